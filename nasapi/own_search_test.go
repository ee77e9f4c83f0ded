package nasapi

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tablePolicies are those that need nothing but a table's values.
var tablePolicies = []string{"random", "evolution", "local_search", "enas", "reinforce", "bananas", "nao"}

func ownTable(t *testing.T, path string, c table.OwnColumns) *table.Own {
	t.Helper()
	own, err := table.OpenOwn(path, filepath.Base(path), c)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

func guided(t *testing.T, name string, sp space.Space, tab table.Table) SearchConfig {
	t.Helper()
	m, err := tab.Find(table.Query{Name: table.Valid})
	if err != nil {
		t.Fatal(err)
	}
	cfg := SearchConfig{Policy: name, Space: sp.Spec(), Objective: objective.OfTable(tab, m).Spec(), Budget: 40}
	switch name {
	case "evolution":
		cfg.Params = policy.Config{"population": 6, "tournament": 3}
	case "enas":
		cfg.Params = policy.Config{"hidden": 8}
	case "bananas":
		cfg.Params = policy.Config{"epochs": 5, "ensemble": 2, "candidates": 10}
	case "nao":
		cfg.Params = policy.Config{"pool": 12, "hidden": 8, "predictor_epochs": 2, "proposals": 5, "random": 5}
	}
	return cfg
}

// Every policy that a table can guide runs on somebody's own, and searches the same way
// whatever format the data are in.
func TestPoliciesOnOwnTables(t *testing.T) {
	t.Setenv("EVALNAS_TABLES", t.TempDir())
	columns := table.OwnColumns{Choices: []string{"depth", "width", "op", "flag"}, Valid: "val", Test: "test", Seconds: "t", Repeat: "seed"}
	for _, name := range tablePolicies {
		var first *SearchResult
		for _, file := range []string{"own.csv", "own.jsonl", "own.parquet"} {
			tab := ownTable(t, filepath.Join("table", "testdata", file), columns)
			result, err := RunSearch(context.Background(), guided(t, name, tab.Space(), tab), 3, nil)
			if err != nil {
				t.Fatalf("%s on %s: %v", name, file, err)
			}
			if first == nil {
				first = result
			}
			if !reflect.DeepEqual(result, first) {
				t.Errorf("%s: another result on %s: %s, not %s", name, file, result.Selected, first.Selected)
			}
		}
		if first.Evaluations < 10 || len(first.Trace) == 0 {
			t.Errorf("%s: %d evaluations", name, first.Evaluations)
		}
	}
}

// ENAS learns in a space without indices: its draws in the end are better than in the
// beginning, where a table rewards one option of each choice.
func TestENASLearnsChoices(t *testing.T) {
	t.Setenv("EVALNAS_TABLES", t.TempDir())
	var b strings.Builder
	b.WriteString("a,b,c,val\n")
	for i := range 4 * 3 * 2 {
		rows := []string{string(rune('0' + i%4)), string(rune('p' + i/4%3)), []string{"true", "false"}[i/12]}
		good := 0
		for at, best := range []string{"2", "q", "false"} {
			if rows[at] == best {
				good++
			}
		}
		b.WriteString(strings.Join(rows, ",") + "," + []string{"0.1", "0.3", "0.6", "0.9"}[good] + "\n")
	}
	tab := ownTable(t, writeFile(t, "mine.csv", b.String()), table.OwnColumns{Choices: []string{"a", "b", "c"}, Valid: "val"})
	cfg := guided(t, "enas", tab.Space(), tab)
	cfg.Budget = 2000
	cfg.Params = policy.Config{"hidden": 16, "op_tanh_constant": 2.5}
	w := &watched{}
	if _, err := RunSearch(context.Background(), cfg, 1, w); err != nil {
		t.Fatal(err)
	}
	early, late := w.mean(0, 400), w.mean(1600, 2000)
	t.Logf("mean of the first draws %.3f, of the last %.3f", early, late)
	if late < early+0.1 {
		t.Errorf("the first 400 draws are worth %.3f, the last %.3f", early, late)
	}
}

// watched keeps every value.
type watched struct{ values []float64 }

func (w *watched) Progress(int, int, map[string]any) {}
func (w *watched) Event(string, any) error           { return nil }
func (w *watched) Evaluated(e Evaluation) error {
	w.values = append(w.values, e.Value)
	return nil
}

func (w *watched) mean(from, to int) float64 {
	sum := 0.0
	for _, v := range w.values[from:to] {
		sum += v
	}
	return sum / float64(to-from)
}

// The rows of a table that has not all combinations are searched too, but not by policies
// that emit sequences, which could hardly hit them.
func TestPoliciesOnRows(t *testing.T) {
	t.Setenv("EVALNAS_TABLES", t.TempDir())
	var b strings.Builder
	b.WriteString("a,b,c,val\n")
	for i := range 1000 {
		if i%3 != 0 {
			b.WriteString(strings.Join([]string{string(rune('0' + i%10)), string(rune('0' + i/10%10)), string(rune('0' + i/100))}, ",") + ",0." + strings.Repeat("1", 1+i%7) + "\n")
		}
	}
	tab := ownTable(t, writeFile(t, "mine.csv", b.String()), table.OwnColumns{Choices: []string{"a", "b", "c"}, Valid: "val"})
	for _, name := range tablePolicies {
		_, err := RunSearch(context.Background(), guided(t, name, tab.Space(), tab), 3, nil)
		sequences := slices.Contains([]string{"enas", "reinforce", "nao"}, name)
		if refused := err != nil && (strings.Contains(err.Error(), "sequence encoding") || strings.Contains(err.Error(), "no decisions")); err != nil && !refused || refused != sequences {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A table guides no search of a space that it does not have, and nothing can be counted
// where no network is known.
func TestOwnTablesRefuse(t *testing.T) {
	t.Setenv("EVALNAS_TABLES", t.TempDir())
	tab := ownTable(t, writeFile(t, "mine.csv", "a,val\nx,0.5\ny,0.6\n"), table.OwnColumns{Choices: []string{"a"}, Valid: "val"})
	other, err := space.FromText(`choices({"a": ["x", "z"]})`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guided(t, "random", other, tab).Complete(); err == nil || !strings.Contains(err.Error(), "it can guide a search of") {
		t.Errorf("another space: %v", err)
	}
	if _, err := guided(t, "random", space.OpenNASBench201(), tab).Complete(); err == nil {
		t.Error("a search of nasbench201() was taken")
	}
	cfg := guided(t, "random", tab.Space(), tab)
	cfg.Objective = objective.OfParams().Spec()
	if _, err := cfg.Complete(); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("params(): %v", err)
	}
	if _, err := objective.OfFLOPs().Value(tab.Space().At(0)); err == nil {
		t.Error("flops() of choices has a value")
	}
}

// Successive halving spends its look-ups on the epochs that somebody's table has, and its
// virtual clock counts the table's seconds.
func TestHalvingOnOwnEpochs(t *testing.T) {
	t.Setenv("EVALNAS_TABLES", t.TempDir())
	var b strings.Builder
	b.WriteString("a,b,e,val,s\n")
	for i := range 100 {
		for _, epochs := range []int{4, 12, 36} {
			fmt.Fprintf(&b, "%d,%d,%d,0.%03d,%d\n", i/10, i%10, epochs, 100+i*epochs/5, 2*epochs)
		}
	}
	tab := ownTable(t, writeFile(t, "mine.csv", b.String()), table.OwnColumns{Choices: []string{"a", "b"}, Valid: "val", Epochs: "e", Seconds: "s"})
	result, err := RunSearch(context.Background(), guided(t, "successive_halving", tab.Space(), tab), 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	if result.Evaluations != 40 {
		t.Errorf("%d evaluations", result.Evaluations)
	}
}
