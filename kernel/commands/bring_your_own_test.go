package commands

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fence is a block of code of a page: its language, the file that it is to be, if any, and it.
var fence = regexp.MustCompile("(?ms)^```(\\w+)[ ]?(\\S*)\n(.*?)^```$")

// The cells of the page run as they stand, with the files that it shows.
func TestBringYourOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("the searches and trainings of a whole page are not at hand in short tests")
	}
	python3(t)
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "bring_your_own.md"))
	if err != nil {
		t.Fatal(err)
	}
	n := newNotebook(t)
	t.Setenv("EVALNAS_TABLES", t.TempDir())
	example, err := os.ReadFile(filepath.Join("..", "..", "examples", "policies", "hill_climb.py"))
	if err != nil {
		t.Fatal(err)
	}
	n.write("hill_climb.py", string(example))
	cells := 0
	for _, block := range fence.FindAllStringSubmatch(string(page), -1) {
		language, file, code := block[1], block[2], block[3]
		switch {
		case file != "":
			n.write(file, code)
		case language == "python":
			cells++
			_, out := n.run(code)
			if text := out.text(); strings.Contains(text, "failed") {
				t.Errorf("this cell has failures:\n%s\n%s", code, text)
			}
		}
	}
	if cells < 6 {
		t.Fatalf("the page has %d cells, want one a part", cells)
	}
	if got := n.value(`[s.errors for s in [found, small, mine, best_of_9, wanders, program, guided, chance]]`); got != "[{}, {}, {}, {}, {}, {}, {}, {}]" {
		t.Error(got)
	}
}
