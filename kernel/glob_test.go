package kernel

import "testing"

func TestMatchGlob(t *testing.T) {
	for _, row := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b\nc", true},
		{"a*", "abc", true}, {"*c", "abc", true}, {"*b*", "abc", true}, {"*d*", "abc", false},
		{"a*b*c", "aXbYbZc", true}, {"?", "é", true}, {"?", "", false}, {"??", "a", false},
		{"[abc]", "b", true}, {"[a-c]x", "bx", true}, {"[!a-c]", "b", false}, {"[!a-c]", "d", true},
		{"[]]", "]", true}, {"[", "[", true}, {"[!", "[!", true}, {"a[b", "a[b", true}, {"[]", "[]", true}, {"[a-]", "-", true},
		{"**a", "bba", true}, {"a?c*", "abcd", true},
	} {
		if got := matchGlob(row.pattern, row.text); got != row.want {
			t.Errorf("matchGlob(%q, %q) = %v, want %v", row.pattern, row.text, got, row.want)
		}
	}
}

// FuzzMatchGlob checks that a text without special characters matches itself
// and every pattern ends.
func FuzzMatchGlob(f *testing.F) {
	f.Add("*a?[b-d]", "xxaqc")
	f.Add("[!]]*[", "[")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		matchGlob(pattern, text)
		if !matchGlob("*", text) || !matchGlob(pattern+"*", pattern) && !hasSpecial(pattern) {
			t.Errorf("pattern %q, text %q", pattern, text)
		}
	})
}

func hasSpecial(s string) bool {
	for _, r := range s {
		if r == '[' || r == '?' || r == '*' {
			return true
		}
	}
	return false
}
