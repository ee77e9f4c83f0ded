package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExec(t *testing.T) {
	n := newNotebook(t)
	if err := os.WriteFile(filepath.Join(n.env.Dir, "mine.py"), []byte("pass"), 0o644); err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]string{
		`exec("python3 mine.py")`:                             `exec("python3 mine.py")`,
		`exec(["python3", "mine.py", "two words"]).words[2]`:  `"two words"`,
		`exec("python3 mine.py").name`:                        `"mine"`,
		`len(exec("python3 mine.py").files["mine.py"])`:       "64",
		`sorted(exec("python3 -u", files=["mine.py"]).files)`: `["mine.py"]`,
		`type(exec("python3 mine.py"))`:                       `"program"`,
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	for code, want := range map[string]string{
		`exec("")`:                      "the command is empty",
		`exec(3)`:                       "give a text",
		`exec("python3 mine.py | tee")`: "a shell would understand",
		`exec("python3 mine.py", files=["not.py"])`: "not.py",
		`exec("python3 mine.py", files=3)`:          "give a list of paths",
		`exec("python3 mine.py", silence=0)`:        "in which no program can answer",
		`exec("python3 mine.py", silence=-3)`:       "give 1 to",
		`exec("python3 mine.py", gpus=-1)`:          "gpus is -1",
		`exec(["python3", 3])`:                      "give a text",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", code, err, want)
		}
	}
}
