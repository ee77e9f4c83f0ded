package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/nasapi"
)

func TestCorrelate(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	b, _ := n.run(`
space = nasbench101(max_vertices=5)
truth = nasbench101_table().metric("test")
c = correlate({"size": params(), "work": flops()}, truth, space)
c`)
	if text := b.Data["text/plain"].(string); !strings.Contains(text, "all 2,532 architectures") || !strings.Contains(text, "108 epochs, first repeat") {
		t.Errorf("the table says\n%s", text)
	}
	if b.Data[nasapi.CorrelationMIME] == nil {
		t.Error("the numbers are not in the notebook")
	}
	n.run(`assert 0.1 < c.tau["size"] and c.p["work"] < 0.01 and c.n == 2532`)
	n.run(`assert c.table[0]["kendall_tau"] == c.tau["size"]`)
	n.run(`assert correlate(params(), truth, space, n=50, seed=1).tau == correlate([params()], truth, space, n=50, seed=1).tau`)
	n.run(`c.figure`)
	n.run(`assert c.epochs == None and correlate(truth, truth, space).epochs != None`)
	for _, ending := range []string{"csv", "json", "md", "svg", "png"} {
		n.run(`c.save("c.` + ending + `")`)
		if info, err := os.Stat(filepath.Join(n.env.Dir, "c."+ending)); err != nil || info.Size() < 100 {
			t.Errorf("%s: %v", ending, err)
		}
	}
	for code, want := range map[string]string{
		`correlate(1, truth, space)`:                                 "int is not an objective",
		`correlate([], truth, space)`:                                "no score",
		`correlate([params(), params()], truth, space)`:              "name them",
		`correlate(params(), truth, darts_space())`:                  "cannot be listed",
		`correlate(params(), truth, space, n=1)`:                     "2 or more",
		`correlate(params(), truth, space, n=10000)`:                 "has 2532",
		`correlate({1: params()}, truth, space)`:                     "not a string",
		`correlate(params(), nasbench101_table(), space)`:            "give one of its metrics",
		`correlate(params(), params(), nasbench101(max_vertices=2))`: "",
	} {
		_, _, err := n.try(code)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: want %q, got %v", code, want, err)
		}
	}
}
