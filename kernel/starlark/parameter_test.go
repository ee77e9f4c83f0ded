package starlark

import "testing"

func TestParameterSource(t *testing.T) {
	for text, want := range map[string]string{
		"3": "3", "-2.5e-3": "-2.5e-3", "True": "True", "None": "None", "spos": `"spos"`, "a b": `"a b"`, "": `""`,
		"[1, 2]": "[1, 2]", `{"a": (1, None)}`: `{"a": (1, None)}`, "range(1268, 1278)": "range(1268, 1278)", `"3"`: `"3"`,
		"runs/x.csv": `"runs/x.csv"`, "1 + 1": `"1 + 1"`, "true": `"true"`, "007": `"007"`, "range(n)": `"range(n)"`, "1, 2": "1, 2",
		"say \"hi\"\nthere": `"say \"hi\"\nthere"`, "- 3": "- 3", "nan": `"nan"`,
	} {
		got, err := ParameterSource(text)
		if err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"[1, 2", "[n]", "{1: print()}", `"open`, "(lambda: 1)()"} {
		if got, err := ParameterSource(text); err == nil {
			t.Errorf("%q is taken as %s", text, got)
		}
	}
}

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{"seeds": true, "_x1": true, "": false, "1x": false, "for": false, "True": false, "a.b": false, "a\nb": false, "größe": false} {
		if IsName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
