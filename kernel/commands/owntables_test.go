package commands

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/nasapi/space"
)

// withOwnTables is a notebook beside a table of somebody's own in three formats, a part of
// it, one with percent and an export of NAS-Bench-201.
func withOwnTables(t *testing.T) *notebook {
	t.Setenv("EVALNAS_TABLES", t.TempDir())
	n := newNotebook(t)
	for _, name := range []string{"own.csv", "own.jsonl", "own.parquet"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "nasapi", "table", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		n.file(name, string(content))
		if name == "own.csv" {
			n.file("part.csv", strings.Join(strings.SplitAfter(string(content), "\n")[:30], ""))
		}
	}
	n.file("percent.csv", "a,loss\nx,93.5\ny,40\nz,12\n")
	var b strings.Builder
	b.WriteString("arch,dataset,epochs,seed,valid,test,seconds\n")
	s := space.OpenNASBench201()
	for i := range s.Len() {
		fmt.Fprintf(&b, "%s,cifar10-valid,200,777,%d.5,%d.25,%d\n", s.At(i), i%90, i*7%90, i%1000)
	}
	n.file("nb201.csv", b.String())
	return n
}

func (n *notebook) file(name, content string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.env.Dir, name), []byte(content), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

const openOwnCell = `own = table(%q, choices=["depth", "width", "op", "flag"], valid="val", test="test", seconds="t", repeat="seed", params="params")`

// A search on somebody's own table, guided by valid and judged by test, in jobs that know
// the table by its digest; each format gives the same.
func TestOwnTableQuestion(t *testing.T) {
	notShort(t)
	n := withOwnTables(t)
	first := ""
	for _, name := range []string{"own.csv", "own.jsonl", "own.parquet"} {
		n.run(fmt.Sprintf(openOwnCell, name))
		n.run(`found = search("evolution", own.space, own.metric("valid"), seeds=range(1268, 1271), budget=20, population=5, tournament=2)
wait(found)`)
		got := n.value("[own.digest, found.id, found.selected.hashes]")
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("%s: %s, not %s", name, got, first)
		}
	}
	for expr, want := range map[string]string{
		"len(own.space)":            "24",
		"own.space.size":            "24",
		"own.space[0].params":       "",
		"own.space[0].flops":        "",
		"own.space[0].values":       `{"depth": 8, "width": 16, "op": "conv", "flag": False}`,
		"own.space[0] in own.space": "True",
		"own.space.architecture(depth=8, width=16, op='conv', flag=False) == own.space[0]": "True",
		"own.space.architecture(own.space[5].values) == own.space[5]":                      "True",
		"own.metric('valid')(own.space[0]) > 0":                                            "True",
		"own.metric('test').oracle":                                                        "True",
		"own.metric('valid')":                                                              `table("own.parquet", choices=["depth", "width", "op", "flag"], valid="val", test="test", seconds="t", repeat="seed", params="params").metric("valid")`,
		"own.metric('valid').description":                                                  `"own.parquet valid accuracy, mean of the repeats"`,
		"own.space == choices({'depth': [8, 14, 20], 'width': [16, 36], 'op': ['conv', 'pool'], 'flag': [False, True]})": "True",
		"found.selected[0].search == found.id": "True",
	} {
		if got := n.value(expr); got != want && strings.ReplaceAll(got, "'", `"`) != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	n.run(`drawn = sample_random(own.space, seeds=range(1268, 1271))`)
	_, out := n.run(`r = compare(found, drawn, by=own.metric("test"))`)
	if text := out.text(); !strings.Contains(text, "percentile") || !strings.Contains(text, "test accuracy") {
		t.Errorf("compare shows\n%s", text)
	}
	for _, cell := range []string{`histogram(own.metric("test"), own.space, mark=found.selected)`, "own", "found.selected", "drawn[0]", "r.seeds", "help(own)", "query(drawn, table=own)", "query(drawn[0], table=own, repeat='mean')", `own.export("x.csv")`, `own.export("x.parquet")`, "own.account().query(drawn[0])", "choices({'a': [1]})"} {
		n.run(cell)
	}
	n.run(`r.save("r.csv")`)
	n.run(`again = compare(results("r.csv"), by=own.metric("test"))`)
}

func TestChoicesAndNASBench201Cells(t *testing.T) {
	n := withOwnTables(t)
	n.run(`truth = nasbench201_table("nb201.csv", dataset="cifar10-valid")
space = nasbench201()
cell = space.architecture("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|")
part = table("part.csv", choices=["depth", "width", "op", "flag"], valid="val", repeat="seed")
percent = table("percent.csv", choices=["a"], test="loss")`)
	for expr, want := range map[string]string{
		"len(space)":                               "15625",
		"cell.params":                              "129306",
		"truth.space == space":                     "True",
		"truth.metric('valid')(space[7])":          "0.075",
		"cell.text == str(cell)":                   "True",
		"part.space.name":                          `"rows"`,
		"part.space == part.space":                 "True",
		"len(part.space) < 24":                     "True",
		"part.space[0] in part.space":              "True",
		"percent.metric('test')(percent.space[0])": "93.5",
		"percent.metric('test').description":       `"percent.csv test value, first repeat"`,
		"choices({'a': [1, 2.5, 'x', True]}).size": "4",
		"choices({'a': [1, 2]})[1].values['a']":    "2",
	} {
		if got := n.value(expr); got != want && strings.ReplaceAll(got, "'", `"`) != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	for _, cell := range []string{"cell", "space.sample(3)", "truth", "percent", "part.space.sample(1)", "space[0]", "params()(cell)"} {
		n.run(cell)
	}
	for code, want := range map[string]string{
		`table("percent.csv", choices=["b"], test="loss")`:  `there is no column "b"`,
		`table("percent.csv", choices="a", test="loss")`:    "a list of strings",
		`table("none.csv", choices=["a"], test="loss")`:     "no such file",
		`table("percent.csv", choices=["a"])`:               "no metric is given",
		`nasbench201_table("percent.csv")`:                  `there is no column "arch"`,
		`nasbench201_table("nb201.csv", dataset="cifar10")`: "it has cifar10-valid",
		`nasbench201_table("nb201.csv", dataset="cifar")`:   "allowed are",
		`choices({})`:                "nothing to choose",
		`choices({"a": []})`:         "no options",
		`choices({"a": [1, 1]})`:     "twice",
		`choices({"a": [None]})`:     "must be a number",
		`choices({1: [1]})`:          "must be a string",
		`choices(["a"])`:             "give a dict",
		`params()(percent.space[0])`: "not known here",
		`search("random", percent.space, params(), seeds=[1], budget=2)`:               "not known here",
		`search("random", nasbench101(), percent.metric("test"), seeds=[1], budget=2)`: "it can guide a search of",
		`search("enas", part.space, part.metric("valid"), seeds=[1], budget=2)`:        "sequence encoding",
		`space.architecture("|none~0|")`:                                               "no cell of nasbench201",
		`percent.space.architecture(a="q")`:                                            `no option "q"`,
		`percent.space.architecture("q")`:                                              "keyword for each choice",
		`histogram(flops(), percent.space)`:                                            "not known here",
		`spos = search("spos", space, shared_weights(cifar10()), seeds=[1])`:           "",
	} {
		_, _, err := n.try(code)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", code, err, want)
		}
	}
}

// A search bounded by simulated seconds shows its clock in the comparison, and the report
// fills the line about it.
func TestClockOnAnOwnTable(t *testing.T) {
	notShort(t)
	n := withOwnTables(t)
	n.run(fmt.Sprintf(openOwnCell, "own.csv"))
	n.run(`found = [search(p, own.space, own.metric("valid", repeat="drawn"), seeds=range(3), seconds=2000) for p in ["random", "evolution"]]
wait(found)`)
	_, out := n.run(`r = compare(found, by=own.metric("test"))`)
	if figures := strings.Count(out.text(), "simulated"); figures == 0 {
		t.Errorf("nothing of the clock is shown:\n%s", out.text())
	}
	n.run(`assert r.clock != None and r.anytime != None`)
	n.run(`r.save("clock.svg", figure="clock")`)
	n.run(`assert found[0].selected[0] != None and found[0].budget in [0, None]`)
	b, _ := n.run(`report(r)`)
	text := fmt.Sprint(b.Data["text/markdown"], b.Data["text/html"])
	if !strings.Contains(text, "simulated seconds") || strings.Contains(text, "the trace has none") {
		t.Errorf("the report says nothing of the clock:\n%.3000s", text)
	}
	// Seconds are read again from a file.
	n.run(`r.save("clock.csv")
again = compare(results("clock.csv"), by=own.metric("test"))
assert again.values == r.values`)
	_, _, err := n.try(`compare(found, search("random", own.space, own.metric("valid"), seeds=range(3), budget=5), by=own.metric("test"))`)
	if err == nil || !strings.Contains(err.Error(), "unequal=True") {
		t.Errorf("a clock and a number of look-ups are compared: %v", err)
	}
}
