package nasapi

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
)

// small is the space of up to five vertices: 2,532 cells.
var small = space.Spec{Name: "nasbench101", MaxVertices: 5}

// keptComparison is the JSON of a comparison of two searches, one an oracle, and draws,
// of which one seed failed.
func keptComparison(t testing.TB) (*Comparison, []byte) {
	t.Helper()
	test, ok := t.(*testing.T)
	if !ok {
		t.Fatal("for tests")
	}
	obj, seeds := oracle(test), seedRange(0, 4)
	reduced := searched(test, "enas", objective.OfParams(), small, 30, seeds)
	reduced.Reduced = "2 epochs, REDUCED (preset minutes)"
	evolution := searched(test, "evolution", obj, small, 30, seeds)
	evolution.Runs = append(evolution.Runs, GroupRun{Seed: 9, HasSeed: true, State: "failed", Error: "out of memory"})
	c, err := Compare([]Group{evolution, reduced, drawnGroup(test, 5, seeds)}, CompareOptions{By: obj, Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, raw
}

// TestAComparisonIsReadAgain: judged again, groups of a notebook have the numbers that
// they had.
func TestAComparisonIsReadAgain(t *testing.T) {
	first, raw := keptComparison(t)
	stored, err := ReadComparison(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !stored.Oracle || stored.By != first.By || stored.Space != first.Space || stored.Metric != first.Metric || stored.Groups[0].Verdict != first.Rows[0].Verdict {
		t.Errorf("%+v", stored)
	}
	again, err := Compare(stored.ForCompare("other.ipynb"), CompareOptions{By: oracle(t), Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range again.Rows {
		want := first.Rows[i]
		if row.Name != want.Name || row.Oracle != want.Oracle || row.Budget != want.Budget || row.Objective != want.Objective || row.Reduced != want.Reduced || row.Measure != want.Measure ||
			!reflect.DeepEqual(row.Values, want.Values) || !reflect.DeepEqual(row.PNull, want.PNull) || !reflect.DeepEqual(row.VersusDraw, want.VersusDraw) || !reflect.DeepEqual(row.States, want.States) {
			t.Errorf("group %d is %+v, was %+v", i, row, want)
		}
		for k, s := range row.Seeds {
			if s.Hash != want.Seeds[k].Hash || s.State != want.Seeds[k].State || *s.Seed != *want.Seeds[k].Seed || s.Error != want.Seeds[k].Error {
				t.Errorf("%s, run %d is %+v, was %+v", row.Name, k, s, want.Seeds[k])
			}
		}
	}
	if again.Reduced() != first.Reduced() || again.Reduced() == "" || again.Drawn != "sample_random" {
		t.Errorf("reduced %q, draws %q", again.Reduced(), again.Drawn)
	}
	// By another metric architectures are looked up anew.
	byParams, err := Compare(stored.ForCompare("other.ipynb"), CompareOptions{By: objective.OfParams(), Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	if v := byParams.Rows[0].Seeds[0].Value; v == nil || *v < 1e5 {
		t.Errorf("by params: %v", v)
	}
}

func TestNamesTellNotebooksApart(t *testing.T) {
	_, raw := keptComparison(t)
	stored, err := ReadComparison(raw)
	if err != nil {
		t.Fatal(err)
	}
	own := searched(t, "evolution", oracle(t), small, 30, seedRange(4, 4))
	groups := append([]Group{own}, stored.ForCompare("other.ipynb")...)
	groups = append(groups, stored.ForCompare("third.ipynb")[1:]...)
	c, err := Compare(groups, CompareOptions{By: oracle(t), Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range c.Rows {
		names = append(names, r.Name)
	}
	want := []string{"evolution", "evolution (other.ipynb)", "enas (other.ipynb)", "sample_random (other.ipynb)", "enas (third.ipynb)", "sample_random (third.ipynb)"}
	if !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
}

func TestReadComparisonRefuses(t *testing.T) {
	_, raw := keptComparison(t)
	change := func(old, new string) []byte {
		t.Helper()
		out := strings.Replace(string(raw), old, new, 1)
		if out == string(raw) {
			t.Fatalf("%s is not in the JSON", old)
		}
		return []byte(out)
	}
	var form storedForm
	if err := json.Unmarshal(raw, &form); err != nil {
		t.Fatal(err)
	}
	hash, other := form.Groups[0].Seeds[0].Hash, form.Groups[2].Seeds[0].Hash
	for _, c := range []struct {
		raw  []byte
		want string
	}{
		{[]byte(`[1]`), "damaged"},
		{[]byte(`{}`), "no schema"},
		{[]byte(`{"schema": 1}`), "no groups"},
		{change(`"schema":1`, `"schema":2`), "schema 2, this program reads 1"},
		{change(`"kind":"search"`, `"kind":"magic"`), `kind "magic"`},
		{change(`"name":"evolution"`, `"name":""`), "0 letters"},
		{change(`"name":"enas"`, `"name":"evolution"`), "two groups are named"},
		{change(`"budget":30`, `"budget":-1`), "budget -1"},
		{change(`"state":"done"`, `"state":"fine"`), `state "fine"`},
		{change(`"measure":"unique"`, `"measure":"all"`), `measure "all"`},
		{change(`"space":"nasbench101(max_vertices=5)"`, `"space":"moon"`), `space "moon" is not known`},
		{change(`"space":"nasbench101(max_vertices=5)"`, `"space":"nasbench101(max_vertices=2)"`), "outside"},
		{change(hash, other), "the notebook was edited"},
		{change(`"architecture":{`, `"architecture":5,"x":{`), "architecture"},
		{change(`"seed":1,`, `"seed":0,`), "seed 0 twice"},
		{change(`"value":0.9`, `"value":1e400,"x":0.9`), "damaged"},
	} {
		if got, err := ReadComparison(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v; want %q", got != nil, err, c.want)
		}
	}
}

func TestCompareRefusesWhatNotebooksCannotShare(t *testing.T) {
	_, raw := keptComparison(t)
	compare := func(change func(*StoredComparison), by *objective.Objective) error {
		c, err := ReadComparison(raw)
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		_, err = Compare(c.ForCompare("other.ipynb"), CompareOptions{By: by, Resamples: 200})
		return err
	}
	trained, err := objective.OfTrained(objective.TrainedTest, "600 epochs")
	if err != nil {
		t.Fatal(err)
	}
	each := func(f func(*stored)) func(*StoredComparison) {
		return func(c *StoredComparison) {
			for i := range c.Groups {
				f(c.Groups[i].group.stored)
			}
		}
	}
	for _, c := range []struct {
		change func(*StoredComparison)
		by     *objective.Objective
		want   string
	}{
		{each(func(s *stored) { s.numerics = Numerics + 1 }), oracle(t), "is of numerics version 2 and this program computes version 1"},
		{func(c *StoredComparison) { c.Groups[0].group.Runs[0].noted = new(0.95) }, oracle(t), "says 0.95 and here it is"},
		{each(func(s *stored) { s.by = objective.Spec{Kind: objective.Trained, Metric: "test", Protocol: "50 epochs"} }), trained, "trained alike"},
		{each(func(s *stored) { s.by, s.engine = trained.Spec(), EngineNumerics+1 }), trained, "engine version"},
		{func(c *StoredComparison) {
			r := &c.Groups[0].group.Runs[0]
			r.Arch, r.Value = nil, new(0.5)
		}, objective.OfParams(), "has no architecture to look up"},
	} {
		if err := compare(c.change, c.by); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// TestTrainedValuesStay: of trained networks there is nothing to look up.
func TestTrainedValuesStay(t *testing.T) {
	trained, err := objective.OfTrained(objective.TrainedTest, "600 epochs")
	if err != nil {
		t.Fatal(err)
	}
	g := drawnGroup(t, 5, seedRange(0, 3))
	for i := range g.Runs {
		g.Runs[i].Value = new(0.9 + float64(i)/100)
	}
	first, err := Compare([]Group{g}, CompareOptions{By: trained})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := ReadComparison(raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Compare(stored.ForCompare("x.ipynb"), CompareOptions{By: trained})
	if err != nil || *again.Rows[0].Seeds[2].Value != 0.92 {
		t.Fatalf("%+v, %v", again, err)
	}
	looked, err := Compare(stored.ForCompare("x.ipynb"), CompareOptions{By: oracle(t)})
	if err != nil || *looked.Rows[0].Seeds[2].Value == 0.92 {
		t.Errorf("by the table: %v", err)
	}
}

func TestDiffResults(t *testing.T) {
	_, raw := keptComparison(t)
	read := func(change func(*storedForm)) *StoredComparison {
		t.Helper()
		c, err := ReadComparison(raw)
		if err != nil {
			t.Fatal(err)
		}
		var f storedForm
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatal(err)
		}
		change(&f)
		for i := range c.Groups {
			c.Groups[i].Verdict, c.Groups[i].Name = f.Groups[i].Verdict, f.Groups[i].Name
			c.Groups[i].Runs = nil
			for _, s := range f.Groups[i].Seeds {
				c.Groups[i].Runs = append(c.Groups[i].Runs, StoredRun{Seed: s.Seed, State: s.State, Hash: s.Hash, Value: s.Value})
			}
		}
		return c
	}
	a := read(func(*storedForm) {})
	if d := DiffResults([]*StoredComparison{a}, []*StoredComparison{a}); len(d.Differences) != 0 || d.Both != 13 || d.Same != 13 {
		t.Errorf("of itself: %+v", d)
	}
	for _, c := range []struct {
		change func(*storedForm)
		want   string // group, seed, what
	}{
		{func(f *storedForm) { f.Groups[0].Seeds[1].Value = new(0.5) }, "evolution 1 value"},
		{func(f *storedForm) { f.Groups[0].Seeds[1].Hash = "abc" }, "evolution 1 architecture"},
		{func(f *storedForm) { f.Groups[0].Seeds[4].State = "lost" }, "evolution 9 state"},
		{func(f *storedForm) { f.Groups[0].Seeds = f.Groups[0].Seeds[1:] }, "evolution 0 only in A"},
		{func(f *storedForm) { f.Groups[2].Seeds[3].Seed = new(int64(77)) }, "sample_random 3 only in A; sample_random 77 only in B"},
		{func(f *storedForm) { f.Groups[1].Verdict = "better" }, "enas  verdict"},
		{func(f *storedForm) { f.Groups[1].Name = "nao" }, "enas  only in A; nao  only in B"},
	} {
		var got []string
		for _, d := range DiffResults([]*StoredComparison{a}, []*StoredComparison{read(c.change)}).Differences {
			got = append(got, d.Group+" "+d.Seed+" "+d.What)
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s, want %s", text, c.want)
		}
	}
	if d := DiffResults([]*StoredComparison{a}, []*StoredComparison{a, a}); len(d.Differences) != 1 || d.Differences[0].What != "only in B" || d.Differences[0].Comparison != 2 {
		t.Errorf("%+v", d)
	}
}

// FuzzReadComparison: whatever a notebook holds, the answer is a comparison that can be
// judged again, or an error.
func FuzzReadComparison(f *testing.F) {
	f.Add([]byte(`{"schema":1,"numerics":1,"by":{"kind":"params"},"metric":"m","space":"nasbench101(max_vertices=3)","groups":[{"name":"spos","kind":"search","policy":"spos","objective":"params()","budget":5,"seeds":[{"seed":1,"state":"done","architecture":{"matrix":[[0,1],[0,0]],"ops":["input","output"]},"value":1},{"seed":2,"state":"failed","error":"e"}]},{"name":"r","kind":"draw","measure":"unique","seeds":[{"state":"done","value":3}]}]}`))
	f.Add([]byte(`{"schema":1,"by":{"kind":"trained","metric":"test"},"space":"darts_space(nodes=4)","groups":[{"name":"x","kind":"results","seeds":[null,{"state":"done","architecture":{"normal":[]}}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ReadComparison(raw)
		if err != nil {
			return
		}
		if d := DiffResults([]*StoredComparison{c}, []*StoredComparison{c}); d.Both != d.Same {
			t.Errorf("a comparison differs from itself: %+v", d.Differences)
		}
		if _, err := Compare(c.ForCompare("x.ipynb"), CompareOptions{By: objective.OfParams(), Resamples: 10}); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}
