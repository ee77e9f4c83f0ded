package nearest

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	policies := []string{"random", "evolution", "local_search", "enas"}
	for given, want := range map[string]string{
		"evolutoin": "evolution", "Evolution": "evolution", "evolve": "", "localsearch": "local_search",
		"enass": "enas", "enas": "", "xyz": "", "": "", "rnadom": "random", "spos": "",
		strings.Repeat("e", 10_000): "",
	} {
		if got := Name(given, policies); got != want {
			t.Errorf("Name(%.20q) = %q, want %q", given, got, want)
		}
	}
	if got := Name("ab", nil); got != "" {
		t.Errorf("nothing is allowed, and %q is near", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"enas", "enas", 0}, {"é", "e", 1}} {
		if got := distance([]rune(c.a), []rune(c.b)); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
