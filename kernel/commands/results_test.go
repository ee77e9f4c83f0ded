package commands

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/kernel"
	ipynb "evalnas/kernel/notebook"
	"evalnas/nasapi"
)

// save writes what cells have shown as an executed notebook; the cells have the given
// execution counts.
func save(t *testing.T, dir, name string, shown map[int][]*kernel.Bundle) {
	t.Helper()
	nb := &ipynb.Notebook{Metadata: map[string]any{}}
	for count := range 20 {
		if shown[count] == nil {
			continue
		}
		c := &ipynb.Cell{Kind: ipynb.Code, ID: "c" + string(rune('a'+count)), Source: "x", Metadata: map[string]any{}, Count: &count}
		for _, b := range shown[count] {
			c.Outputs = append(c.Outputs, &ipynb.Output{Kind: ipynb.DisplayData, Data: b.Data})
		}
		nb.Cells = append(nb.Cells, c)
	}
	if err := nb.Write(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// TestResultsOfANotebook: what a colleague's notebook shows is compared with one's own.
func TestResultsOfANotebook(t *testing.T) {
	notShort(t)
	n := newNotebook(t)
	n.run("space = nasbench101(max_vertices=4)\ntruth = nasbench101_table()\nmine = sample_random(space, seeds=range(3))\ntheirs = sample_random(space, seeds=range(5, 9))")
	_, one := n.run(`first = compare(theirs, by=truth.metric("test"))`)
	_, two := n.run(`second = compare(theirs[:2], by=params(), minimise=True)`)
	dir := n.env.Dir
	save(t, dir, "other.ipynb", map[int][]*kernel.Bundle{3: one.displays, 7: one.displays})
	save(t, dir, "several.ipynb", map[int][]*kernel.Bundle{3: one.displays, 12: two.displays})
	save(t, dir, "none.ipynb", map[int][]*kernel.Bundle{1: {kernel.TextBundle("x")}})
	save(t, dir, "empty.ipynb", nil)

	n.run(`both = compare(mine, results("other.ipynb"), by=truth.metric("test"))`)
	if got := n.value("both.groups"); got != `["sample_random", "sample_random (other.ipynb)"]` {
		t.Errorf("groups %s", got)
	}
	if got := n.value(`both.values["sample_random (other.ipynb)"] == first.values["sample_random"]`); got != "True" {
		t.Errorf("the values are other ones: %s", n.value("both.values"))
	}
	// Without by, the notebook's own; its direction too.
	if got := n.value(`compare(results("several.ipynb", cell=3)).values == first.values`); got != "True" {
		t.Error("judged by something else")
	}
	if got := n.value(`again = compare(results("several.ipynb", cell=12))
(again.metric, again.values == second.values, again.table[0]["best_rank"] == second.table[0]["best_rank"])`); got != `("number of trainable parameters", True, True)` {
		t.Error(got)
	}
	if got := n.value(`results("other.ipynb")`); !strings.Contains(got, `results("other.ipynb", cell=3)`) || !strings.Contains(got, "sample_random") || !strings.Contains(got, "NASBench-101 test accuracy") {
		t.Error(got)
	}
	for code, want := range map[string]string{
		`results("several.ipynb")`:         "several comparisons; say which, such as cell=12: cell 3 has sample_random, by NASBench-101 test accuracy, 108 epochs, first repeat; cell 12 has sample_random, by number of trainable parameters",
		`results("several.ipynb", cell=4)`: "cell 4 of",
		`results("none.ipynb")`:            "has no result of compare(...)",
		`results("empty.ipynb")`:           "has no outputs",
		`results("gone.ipynb")`:            "gone.ipynb",
		`results("mine.csv", cell=3)`:      "cell is for notebooks",
		`compare(results("several.ipynb", cell=3), results("several.ipynb", cell=12))`: "by is missing: the notebooks judged by",
		`compare(mine)`: "by is missing",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "other.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.ReplaceAll(string(data), `"schema": 1`, `"schema": 9`)
	if err := os.WriteFile(filepath.Join(dir, "edited.ipynb"), []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.try(`results("edited.ipynb")`); err == nil || !strings.Contains(err.Error(), "cell 3: the result is of schema 9") {
		t.Error(err)
	}
}

// TestEndedWorkKeepsItsData: a search that has ended leaves its results for machines.
func TestEndedWorkKeepsItsData(t *testing.T) {
	n := newNotebook(t)
	_, out := n.run(`found = search("random", nasbench101(max_vertices=4), params(), seeds=range(2), budget=5)
wait(found)
found`)
	if len(out.displays) == 0 {
		t.Fatal("nothing is shown")
	}
	raw, err := json.Marshal(out.displays[len(out.displays)-1].Data[nasapi.SearchMIME])
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Name, Space string
		Numerics    int
		Devices     []string
		Runs        []struct {
			Seed  int
			State string
			Hash  string
			Value float64
		}
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	if r.Name != "random" || r.Numerics != nasapi.Numerics || len(r.Devices) != 1 || r.Devices[0] != "cpu" || len(r.Runs) != 2 || r.Runs[1].Seed != 1 || r.Runs[1].State != "done" || len(r.Runs[0].Hash) != 32 || r.Runs[0].Value < 1e5 {
		t.Errorf("%s", raw)
	}
}
