package commands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/kernel"
	"evalnas/nasapi/table"
	"evalnas/nasapi/table/tabletest"
)

// tableNotebook has a data set's file beside the notebook: 91 cells, two budgets.
func tableNotebook(t *testing.T) *notebook {
	t.Helper()
	n := newNotebook(t)
	t.Setenv(table.FolderVariable, t.TempDir())
	f, err := os.Create(filepath.Join(n.env.Dir, "small.tfrecord"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tabletest.Write(f, tabletest.File{MaxVertices: 4, Epochs: []int{36, 108}, Seed: 1}), f.Close()); err != nil {
		t.Fatal(err)
	}
	n.run(`truth = nasbench101_table("small.tfrecord")
space = nasbench101(max_vertices=4)
a = space[5]`)
	return n
}

func TestImportedTable(t *testing.T) {
	n := tableNotebook(t)
	for expr, want := range map[string]string{
		"len(truth.space)":     "91",
		"truth.epochs":         "[36, 108]",
		"truth.repeats":        "3",
		"truth.metrics":        `["test", "valid", "train"]`,
		"truth.space == space": "True",
		"nasbench101_table(truth.digest[:12]).digest == truth.digest":                                "True",
		"nasbench101_table('small.tfrecord').digest == truth.digest":                                 "True",
		"query(a, table=truth).test == truth.metric('test')(a)":                                      "True",
		"query(a, table=truth).valid == truth.metric('valid')(a)":                                    "True",
		"query(a, table=truth).train == truth.metric('train', repeat='mean')(a)":                     "True",
		"truth.query(a, epochs=36, repeat=1).valid == truth.metric('valid', epochs=36, repeat=1)(a)": "True",
		"truth.query(a, halfway=True).test == truth.metric('test', halfway=True)(a)":                 "True",
		"truth.query(a).test == query(a).test":                                                       "False",
		"truth.query(a).repeat":                                                                      "'mean'",
		"truth.query(a, repeat=2).repeat":                                                            "2",
		"truth.query(a, epochs=36).epochs":                                                           "36",
		"truth.query(a, halfway=True).halfway":                                                       "True",
		"truth.query(a.hash).test == truth.query(a).test":                                            "True",
		"len(truth.query([a, space[6]]))":                                                            "2",
		"1 <= truth.query(a).rank and truth.query(a).rank <= 91":                                     "True",
		"truth.query(a).valid_rank != None":                                                          "True",
		"query(a).seconds == None":                                                                   "True",
		"truth.query(a, repeat=0).seconds > truth.query(a, repeat=0, halfway=True).seconds":          "True",
		"truth.query(a, repeat='drawn', seed=3).test == truth.query(a, repeat='drawn', seed=3).test": "True",
		"truth.metric('valid').oracle":                                                               "False",
		"truth.metric('test', epochs=36).oracle":                                                     "True",
		"truth.metric('valid', epochs=36, repeat=1, halfway=True)":                                   `nasbench101_table("` + digestOf(n)[:12] + `").metric("valid", epochs=36, repeat=1, halfway=True)`,
		"truth.metric('valid').description":                                                          "'NASBench-101 valid accuracy, 108 epochs, mean of the repeats'",
	} {
		if got := n.value(expr); strings.ReplaceAll(got, "'", `"`) != strings.ReplaceAll(want, "'", `"`) {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
}

func digestOf(n *notebook) string { return strings.Trim(n.value("truth.digest"), `'"`) }

func TestImportedTableShows(t *testing.T) {
	n := tableNotebook(t)
	b, _ := n.run("truth.query([a, space[6]], repeat='drawn', seed=2)")
	text := fmt.Sprint(b.Data["text/plain"])
	for _, want := range []string{"valid accuracy", "test accuracy", "test rank", "valid rank", "training s", "one repeat drawn", "91 cells of the 4-vertex space"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "train accuracy") {
		t.Errorf("the training accuracy stands beside the others:\n%s", text)
	}
	if text := n.value("str(truth.query(a))"); !strings.Contains(text, "test accuracy 0.") || !strings.Contains(text, "(108 epochs, mean of the repeats), rank") || !strings.Contains(text, "valid accuracy 0.") {
		t.Error(text)
	}
}

// Metrics of an imported table guide and judge; a drawn repeat guides only.
func TestImportedTableInSearches(t *testing.T) {
	n := tableNotebook(t)
	n.run(`found = search("random", space, truth.metric("valid", epochs=36), seeds=range(2), budget=10)
wait(found)
c = compare(found, sample_random(space, seeds=range(2)), by=truth.metric("test"))`)
	if got := n.value(`"mean of the repeats" in str(c)`); got != "True" {
		if b, _ := n.run("c"); !strings.Contains(fmt.Sprint(b.Data["text/plain"]), "mean of the repeats") {
			t.Errorf("the comparison does not name its metric:\n%v", b.Data["text/plain"])
		}
	}
	if got := n.value(`found.config["objective"]["metric"]`); got != `"valid"` {
		t.Error(got)
	}
	_, _, err := n.try(`compare(found, by=truth.metric("test", repeat="drawn"))`)
	var cell *kernel.CellError
	if !errors.As(err, &cell) || !strings.Contains(cell.Value, "is no column") {
		t.Errorf("%v", err)
	}
}

func TestAccounts(t *testing.T) {
	n := tableNotebook(t)
	n.run(`account = truth.account(seed=3)
one = account.query(a)
two = account.query(space[6], epochs=36, halfway=True)`)
	for expr, want := range map[string]string{
		"account.queries": "2",
		"account.epochs":  "126",
		"account.seconds == one.seconds + two.seconds":           "True",
		"one.test == truth.metric('test', repeat=one.repeat)(a)": "True",
		"truth.account(seed=3).query(a).repeat == one.repeat":    "True",
		"account.seed": "3",
		"nasbench101_table().account().seconds == None":                                        "True",
		"nasbench101_table().account().query(a).test == nasbench101_table().metric('test')(a)": "True",
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	for _, code := range []string{"account.query(nasbench101()[0])", "account.query([a, nasbench101()[0]])", "account.query(a, epochs=7)", "account.query(a, repeat=3)"} {
		if _, _, err := n.try(code); err == nil {
			t.Errorf("%s was answered", code)
		}
	}
	if got := n.value("account.queries"); got != "2" {
		t.Errorf("what was refused was charged: %s queries", got)
	}
	n.run("account.query(a, repeat='mean')")
	if got := n.value("account.epochs"); got != "450" {
		t.Errorf("the mean of three trainings brings the account to %s epochs, want 126 + 324", got)
	}
	n.run("account.reset()")
	if got := n.value("str(account)"); !strings.Contains(got, "0 queries, 0 s of training, 0 epochs") {
		t.Error(got)
	}
}

func TestTableExportInCells(t *testing.T) {
	n := tableNotebook(t)
	n.run(`truth.export("out.csv")
truth.export("out.jsonl", space=nasbench101(max_vertices=3))`)
	for name, want := range map[string]int{"out.csv": 92, "out.jsonl": 7} {
		data, err := os.ReadFile(filepath.Join(n.env.Dir, name))
		if got := strings.Count(string(data), "\n"); err != nil || got != want {
			t.Errorf("%s has %d lines, want %d (%v)", name, got, want, err)
		}
	}
}

func TestTablesRefuse(t *testing.T) {
	n := tableNotebook(t)
	if err := os.WriteFile(filepath.Join(n.env.Dir, "page.tfrecord"), []byte("<html><body>404 Not Found"), 0o644); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]string{
		`nasbench101_table("none.tfrecord")`:                     "none.tfrecord",
		`nasbench101_table("page.tfrecord")`:                     "web page",
		`nasbench101_table(".")`:                                 "folder",
		`nasbench101_table(3)`:                                   "file",
		`nasbench101_table("000000000000")`:                      "evalnas nasbench import",
		`truth.metric("validation")`:                             `did you mean "valid"?`,
		`truth.metric("valid", epochs=12)`:                       "36 and 108 epochs",
		`truth.metric("valid", repeat=3)`:                        "choose 0 to 2",
		`truth.metric("valid", repeat="average")`:                `"mean"`,
		`truth.metric("valid", epochs="many")`:                   "whole number",
		`truth.query(nasbench101()[0])`:                          "vertices",
		`truth.query("00")`:                                      "32 hexadecimal digits",
		`truth.query(5)`:                                         "not an architecture",
		`query(a, table=3)`:                                      "give a table",
		`query(a).valid`:                                         "imported",
		`query(a, repeat=1)`:                                     "first repeat only",
		`truth.export("out.xlsx")`:                               ".parquet",
		`truth.export("out.csv", space=3)`:                       "space that can be listed",
		`truth.export("out.csv", space=nasbench101())`:           "max_vertices=4",
		`truth.account(seed="x")`:                                "seed",
		`histogram(truth.metric("test", repeat="drawn"), space)`: "is no column",
	} {
		_, _, err := n.try(code)
		var cell *kernel.CellError
		if !errors.As(err, &cell) || !strings.Contains(cell.Value, want) || strings.Contains(cell.Name, "Internal") {
			t.Errorf("%s: %v, want %q in it", code, err, want)
		}
	}
}
