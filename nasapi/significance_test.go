package nasapi

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/stats"
)

func TestTwoNumericsVersionsAreRefusedOrMarked(t *testing.T) {
	seeds := seedRange(0, 3)
	old := searched(t, "random", objective.OfParams(), full, 20, seeds)
	old.Numerics = NumericsVersions{Search: Numerics + 1}
	now := searched(t, "evolution", objective.OfParams(), full, 20, seeds)
	now.Numerics = NumericsVersions{Search: Numerics}
	drawn := drawnGroup(t, 7, seeds)
	if drawn.Numerics.Search != Numerics {
		t.Errorf("draws are of %v", drawn.Numerics)
	}
	_, err := Compare([]Group{old, now}, CompareOptions{By: oracle(t), Resamples: 200})
	if err == nil || !strings.Contains(err.Error(), "numerics 2") || !strings.Contains(err.Error(), "unequal=True") {
		t.Fatalf("two versions: %v", err)
	}
	c, err := Compare([]Group{old, now}, CompareOptions{By: oracle(t), Resamples: 200, Unequal: true})
	if err != nil {
		t.Fatal(err)
	}
	if marks := c.Marks(); len(marks) != 1 || !strings.HasPrefix(marks[0], "TWO NUMERICS VERSIONS: random") {
		t.Errorf("marks %q", marks)
	}
	lines := c.CSV()
	at := slices.Index(lines[0], "marks")
	if at < 0 || !strings.Contains(lines[1][at], "TWO NUMERICS VERSIONS") || lines[1][slices.Index(lines[0], "numerics")] != "numerics 2" {
		t.Errorf("the CSV does not say so: %v", lines[:2])
	}
	// A search with shared weights hangs on both; trainings on the engine alone.
	for _, tt := range []struct {
		a, b    NumericsVersions
		differs bool
	}{
		{numericsOf(1), numericsOf(2001), false},
		{numericsOf(2), numericsOf(2001), true},
		{NumericsVersions{Engine: 1}, numericsOf(2001), true},
		{NumericsVersions{Engine: 2}, numericsOf(1), false},
		{NumericsVersions{}, numericsOf(7), false},
	} {
		if tt.a.differs(tt.b) != tt.differs || tt.b.differs(tt.a) != tt.differs {
			t.Errorf("%v and %v: differs is not %v", tt.a, tt.b, tt.differs)
		}
	}
}

func TestUnequalBudgetsAreMarked(t *testing.T) {
	seeds := seedRange(0, 3)
	groups := []Group{searched(t, "random", objective.OfParams(), full, 20, seeds), searched(t, "evolution", objective.OfParams(), full, 60, seedRange(0, 5)), drawnGroup(t, 7, seedRange(0, 7))}
	c, err := Compare(groups, CompareOptions{By: oracle(t), Resamples: 200, Unequal: true})
	if err != nil {
		t.Fatal(err)
	}
	if marks := c.Inequalities(); len(marks) != 1 || !strings.HasPrefix(marks[0], "UNEQUAL BUDGETS") {
		t.Errorf("marks %q", marks)
	}
	// Different numbers of seeds are compared, each with its n.
	row, _ := c.Row("evolution")
	if d := row.VersusDraw; d.Runs != 5 || d.BaselineRuns != 7 || row.Values.N != 5 {
		t.Errorf("runs %+v", d)
	}
	// No other mark, and a draw beside a single search is never refused.
	c, err = Compare([]Group{groups[0], groups[2]}, CompareOptions{By: oracle(t), Resamples: 200})
	if err != nil || len(c.Marks()) != 0 {
		t.Errorf("%v, %v", c.Marks(), err)
	}
}

// All values equal, or one seed: what is undefined says so, and no number is NaN.
func TestUndefinedNumbersSayWhy(t *testing.T) {
	a, b := 0.5, 0.5
	equal := func(name string, n int) Group {
		g := Group{Name: name, Kind: Given, Policy: name}
		for i := range n {
			g.Runs = append(g.Runs, GroupRun{Seed: int64(i), HasSeed: true, State: jobs.Done, Value: &a})
		}
		return g
	}
	random := equal("draws", 4)
	random.Kind, random.Measure, random.Space = Drawn, MeasureUnique, spaceOf(t, 7)
	for i := range random.Runs {
		random.Runs[i].Value = &b
	}
	by, err := objective.OfTrained("test", "nothing")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		groups      []Group
		welch, perm string
	}{
		"all equal": {[]Group{equal("one", 4), equal("two", 4), random}, "undefined: no variation in either sample", "undefined: all values equal"},
		"one seed":  {[]Group{equal("one", 1), random}, "undefined: samples of 1 and 4 values; each needs two", "undefined: all values equal"},
	} {
		c, err := Compare(tt.groups, CompareOptions{By: by, Resamples: 200})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := c.JSON() // NaN is no JSON
		if err != nil || strings.Contains(string(raw), "NaN") {
			t.Fatalf("%s: %v", name, err)
		}
		row, _ := c.Row("one")
		if row.Undefined["welch"] != tt.welch || row.Undefined["permutation"] != tt.perm || row.Welch != nil || row.Permutation != nil {
			t.Errorf("%s: %v", name, row.Undefined)
		}
		if *row.CliffsDelta != 0 || row.MannWhitney.P != 1 {
			t.Errorf("%s: delta %v, p %v", name, *row.CliffsDelta, row.MannWhitney.P)
		}
		if single := name == "one seed"; (row.ValueInterval == nil) != single || (row.Undefined["value_interval"] == "undefined: it needs two runs") != single {
			t.Errorf("%s: interval %v, %v", name, row.ValueInterval, row.Undefined)
		}
	}
}

func TestTestsAgainstDrawsAreAdjusted(t *testing.T) {
	seeds := seedRange(0, 8)
	c, err := Compare([]Group{
		searched(t, "evolution", oracle(t), full, 100, seeds), searched(t, "random", oracle(t), full, 100, seeds),
		drawnGroup(t, 7, seeds),
	}, CompareOptions{By: oracle(t), Resamples: 500})
	if err != nil {
		t.Fatal(err)
	}
	var ps, adjusted []float64
	for _, r := range c.Rows[:2] {
		ps, adjusted = append(ps, r.Permutation.P), append(adjusted, *r.Permutation.PHolm)
		if r.Welch.PHolm == nil || *r.MannWhitney.PHolm < r.MannWhitney.P || r.Permutation.Method != "exact" {
			t.Errorf("%s: %+v %+v", r.Name, r.Welch, r.MannWhitney)
		}
		if i := r.PercentileInterval; !(i.Low < r.Percentiles.Mean && r.Percentiles.Mean < i.High) {
			t.Errorf("%s: interval %+v of %v", r.Name, i, r.Percentiles.Mean)
		}
	}
	want, err := stats.Holm(ps)
	if err != nil || !slices.Equal(want, adjusted) {
		t.Errorf("%v, want %v", adjusted, want)
	}
	if c.Rows[2].Welch != nil || c.Rows[2].Permutation != nil {
		t.Error("the draws are tested against themselves")
	}
}

func TestAnytimeOfASearch(t *testing.T) {
	c, err := Compare([]Group{searched(t, "random", oracle(t), full, 50, seedRange(0, 4)), drawnGroup(t, 7, seedRange(0, 4))}, CompareOptions{By: oracle(t), Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Anytime("random")
	if err != nil {
		t.Fatal(err)
	}
	var places []float64
	for i, m := range a.Regret {
		places = append(places, m.At)
		if m.Runs != 4 || i > 0 && m.Mean.Value > a.Regret[i-1].Mean.Value || math.Abs(*c.Best-a.Moments[i].Mean.Value-m.Mean.Value) > 1e-12 {
			t.Errorf("at %v: %+v, %+v", m.At, m, a.Moments[i])
		}
	}
	if want := []float64{1, 5, 13, 25, 50}; !slices.Equal(places, want) {
		t.Errorf("places %v, want %v", places, want)
	}
	last := a.Moments[len(a.Moments)-1]
	if math.Abs(last.Mean.Value-c.Rows[0].Values.Mean) > 1e-15 {
		t.Errorf("at the end %v, the results are %v", last.Mean.Value, c.Rows[0].Values.Mean)
	}
	if a, err := c.Anytime("sample_random"); a != nil || err != nil {
		t.Errorf("draws have a course: %v, %v", a, err)
	}
	v, err := c.Variance("random")
	if err != nil || v.Within.Defined || !strings.HasPrefix(v.WhyWithin, "unknown") {
		t.Errorf("variance of a table's values: %+v, %v", v, err)
	}
	if raw, err := json.Marshal(a); err != nil || string(raw) == "" {
		t.Error(err)
	}
}

// A study keeps what an older program left: attached, it is not mixed with new results.
func TestOldResultsOfAStudyAreNotMixed(t *testing.T) {
	st := testStudy(t)
	request := SearchRequest{SearchConfig: SearchConfig{Policy: "random", Space: full, Objective: objective.OfParams().Spec(), Budget: 5}, Seeds: []int64{1, 2}}
	now, err := StartSearch(st, request)
	if err != nil {
		t.Fatal(err)
	}
	if err := now.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	var specs []jobs.Spec
	for _, j := range now.Jobs() {
		s := j.Spec
		s.Numerics++
		specs = append(specs, s)
	}
	batch, err := st.Submit(jobs.Batch{Title: "random", Config: now.batch.Config, Specs: specs})
	if err != nil {
		t.Fatal(err)
	}
	if err := batch.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	// This program refuses to run them; the other one left these results.
	for i, j := range batch.Jobs() {
		o, err := now.Jobs()[i].Outcome()
		if err != nil {
			t.Fatal(err)
		}
		o.ID, o.Numerics, o.Attempt = j.ID, j.Spec.Numerics, 2
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(j.Paths.Result(), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old, err := AttachSearch(batch)
	if err != nil {
		t.Fatal(err)
	}
	group := GroupOfSearch(old)
	if group.Numerics.Search != Numerics+1 || group.Runs[0].Arch == nil {
		t.Fatalf("the old search is of %v, its first run %+v", group.Numerics, group.Runs[0])
	}
	by := CompareOptions{By: oracle(t), Resamples: 200}
	for name, groups := range map[string][]Group{
		"searches":      {GroupOfSearch(now), group},
		"its selection": append(GroupsOfFound(old.Selected(), old.Space), GroupOfSearch(now)),
	} {
		if _, err := Compare(groups, by); err == nil || !strings.Contains(err.Error(), "numerics 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// By themselves they are as good as ever, and draws are never refused.
	if c, err := Compare([]Group{group}, by); err != nil || len(c.Marks()) != 0 {
		t.Error(err)
	}
	c, err := Compare([]Group{group, drawnGroup(t, 7, []int64{1, 2})}, by)
	if err != nil || len(c.Marks()) != 1 || !strings.HasPrefix(c.Marks()[0], "TWO NUMERICS VERSIONS") {
		t.Errorf("beside draws of now: %v", err)
	}
}
