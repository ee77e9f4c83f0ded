package nasapi

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// searched makes the group that a search would leave, without jobs.
func searched(t *testing.T, policy string, obj *objective.Objective, sp space.Spec, budget int, seeds []int64) Group {
	t.Helper()
	s, err := space.FromSpec(sp)
	if err != nil {
		t.Fatal(err)
	}
	spec := obj.Spec()
	g := Group{Name: policy, Kind: Searched, Policy: policy, Objective: &spec, Budget: budget, Oracle: spec.Oracle(), Space: s,
		details: []detail{{"guided by", spec.String()}, {"budget", optCount(budget)}}}
	for _, seed := range seeds {
		r, err := RunSearch(t.Context(), SearchConfig{Policy: policy, Space: sp, Objective: spec, Budget: budget}, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Parse(r.Selected)
		if err != nil {
			t.Fatal(err)
		}
		g.Runs = append(g.Runs, GroupRun{Seed: seed, HasSeed: true, State: jobs.Done, Arch: a, Trace: r.Trace, Evaluations: r.Evaluations})
	}
	return g
}

func drawnGroup(t *testing.T, vertices int, seeds []int64) Group {
	t.Helper()
	sp, err := space.NASBench101(vertices)
	if err != nil {
		t.Fatal(err)
	}
	found, err := SampleRandom(sp, seeds, MeasureUnique)
	if err != nil {
		t.Fatal(err)
	}
	return GroupsOfFound(found, sp)[0]
}

func TestCompareFindsWhatIsThere(t *testing.T) {
	obj, seeds := oracle(t), seedRange(0, 10)
	drawn := drawnGroup(t, 7, seeds)
	c, err := Compare([]Group{
		searched(t, "evolution", obj, full, 200, seeds),
		searched(t, "random", obj, full, 200, seeds),
		searched(t, "enas", objective.OfParams(), full, 200, seeds),
		drawn,
	}, CompareOptions{By: obj, Resamples: 2000})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Oracle || c.N != 423624 || c.Drawn != "sample_random" || math.Abs(*c.Best-.94661) > 1e-5 {
		t.Errorf("oracle %v, N %d, draws %q, best %v", c.Oracle, c.N, c.Drawn, *c.Best)
	}
	evolution, ok := c.Row("evolution")
	if !ok {
		t.Fatal("no row evolution")
	}
	if *evolution.PNull > 1e-6 || evolution.Verdict != "better than random sampling" || evolution.VersusDraw.Low <= 0 {
		t.Errorf("evolution guided by the table: p %v, verdict %q, difference %+v", *evolution.PNull, evolution.Verdict, evolution.VersusDraw)
	}
	if evolution.PEqualBudget == nil || *evolution.PEqualBudget > *evolution.PBeatsRandom {
		t.Errorf("equal-budget p %v, paper's %v", evolution.PEqualBudget, *evolution.PBeatsRandom)
	}
	if evolution.VersusRandomSearch == nil || evolution.VersusRandomSearch.BaselineRuns != 10 {
		t.Errorf("against random search: %+v", evolution.VersusRandomSearch)
	}
	enas, _ := c.Row("enas")
	if enas.PEqualBudget != nil || enas.VersusRandomSearch != nil || enas.VersusEncoding == nil || enas.Oracle {
		t.Errorf("enas guided by params: %+v", enas)
	}
	draws, _ := c.Row("sample_random")
	if draws.Verdict != "" || draws.VersusDraw != nil || *draws.PNull < 1e-4 {
		t.Errorf("the draws are judged against themselves: %+v", draws)
	}
	if want := math.Pow(1-float64(evolution.BestRank)/423624, 10); math.Abs(*evolution.PBeatsRandom-want) > 1e-12 {
		t.Errorf("the paper's p is %v, want %v", *evolution.PBeatsRandom, want)
	}
	runs, err := c.Incumbents("evolution")
	if err != nil || len(runs) != 10 {
		t.Fatalf("%d traces, %v", len(runs), err)
	}
	for i, r := range runs {
		for j := 1; j < len(r.Points); j++ {
			if r.Points[j].Value <= r.Points[j-1].Value || r.Points[j].Evaluations <= r.Points[j-1].Evaluations {
				t.Fatalf("run %d: the incumbent does not rise: %+v", i, r.Points)
			}
		}
	}
}

// TestRanksAreThoseOfTheSearchedSpace: N and the null follow the sub-space.
func TestRanksAreThoseOfTheSearchedSpace(t *testing.T) {
	small := space.Spec{Name: "nasbench101", MaxVertices: 4}
	c, err := Compare([]Group{searched(t, "random", objective.OfParams(), small, 5, seedRange(0, 4)), drawnGroup(t, 7, seedRange(0, 4))}, CompareOptions{By: oracle(t), Resamples: 200})
	if err != nil {
		t.Fatal(err) // draws of a larger space are never refused
	}
	if c.N != 91 {
		t.Errorf("N is %d, want 91", c.N)
	}
	row, _ := c.Row("random")
	for _, s := range row.Seeds {
		if s.Rank < 1 || s.Rank > 91 {
			t.Errorf("seed %d has rank %d of 91", *s.Seed, s.Rank)
		}
	}
}

func TestCompareRefusesWhatIsNotFair(t *testing.T) {
	obj, seeds := oracle(t), seedRange(0, 2)
	a := searched(t, "random", objective.OfParams(), full, 5, seeds)
	longer := searched(t, "evolution", objective.OfParams(), full, 9, seeds)
	smaller := searched(t, "random", objective.OfParams(), space.Spec{Name: "nasbench101", MaxVertices: 5}, 5, seeds)
	percent := 93.1
	foreign := Group{Name: "mine", Kind: Given, Policy: "mine", Runs: []GroupRun{{State: jobs.Done, Value: &percent}}}
	for name, c := range map[string]struct {
		groups []Group
		by     *objective.Objective
		want   string
	}{
		"nothing":     {nil, obj, "nothing to compare"},
		"no by":       {[]Group{a}, nil, "by is missing"},
		"two budgets": {[]Group{a, longer}, obj, "unequal=True"},
		"two spaces":  {[]Group{a, smaller}, obj, "one space"},
		"percent":     {[]Group{foreign}, obj, "fractions"},
		"seed twice":  {[]Group{{Name: "twice", Kind: Given, Runs: append(slices.Clone(a.Runs), a.Runs...)}}, obj, "seed 0 twice"},
	} {
		if _, err := Compare(c.groups, CompareOptions{By: c.by, Resamples: 100}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", name, err, c.want)
		}
	}
	c, err := Compare([]Group{a, longer}, CompareOptions{By: obj, Unequal: true, Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(c.Notes, " "), "UNEQUAL") {
		t.Errorf("unequal budgets are not marked: %v", c.Notes)
	}
}

func TestFailedSeedsAreCounted(t *testing.T) {
	g := searched(t, "random", objective.OfParams(), full, 5, seedRange(0, 3))
	g.Runs = append(g.Runs, GroupRun{Seed: 3, HasSeed: true, State: jobs.Failed, Error: "boom"})
	none := Group{Name: "none", Kind: Searched, Policy: "evolution", Budget: 5, Space: g.Space, Objective: g.Objective,
		Runs: []GroupRun{{Seed: 0, HasSeed: true, State: jobs.Failed, Error: "boom"}}}
	c, err := Compare([]Group{g, none}, CompareOptions{By: oracle(t), Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	row, _ := c.Row("random")
	if row.Runs != 4 || row.States["done"] != 3 || row.States["failed"] != 1 || row.Values.N != 3 || row.Seeds[3].Error != "boom" {
		t.Errorf("row %+v", row)
	}
	if row, _ := c.Row("none"); row.Values != nil || row.Runs != 1 {
		t.Errorf("a group without results: %+v", row)
	}
	if _, err := c.JSON(); err != nil {
		t.Error(err)
	}
}

// TestOneSeedAndEqualValues: what is undefined is absent, not NaN.
func TestOneSeedAndEqualValues(t *testing.T) {
	one := searched(t, "random", objective.OfParams(), full, 5, []int64{1})
	same := searched(t, "evolution", objective.OfParams(), full, 5, []int64{1})
	for seed := range int64(3) {
		again := same.Runs[0]
		again.Seed = 10 + seed
		same.Runs = append(same.Runs, again)
	}
	c, err := Compare([]Group{one, same}, CompareOptions{By: oracle(t), Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.JSON()
	if err != nil {
		t.Fatal(err) // NaN does not marshal
	}
	if row, _ := c.Row("random"); row.Values.SD != nil || row.VersusDraw != nil {
		t.Errorf("one run has %s", raw)
	}
	if !json.Valid(raw) {
		t.Error("the JSON form is not JSON")
	}
}

func TestGroupsOfOnePolicyGetTheirOwnNames(t *testing.T) {
	seeds := seedRange(0, 2)
	c, err := Compare([]Group{
		searched(t, "random", objective.OfParams(), full, 5, seeds),
		searched(t, "random", oracle(t), full, 5, seeds),
		searched(t, "random", oracle(t), full, 5, seeds),
	}, CompareOptions{By: oracle(t), Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, r := range c.Rows {
		names[r.Name] = true
	}
	if len(names) != 3 || !names["random (guided by params())"] {
		t.Errorf("names %v", names)
	}
}

func TestResultsReadWhatCompareWrote(t *testing.T) {
	g := searched(t, "random", objective.OfParams(), full, 5, seedRange(0, 3))
	g.Runs = append(g.Runs, GroupRun{Seed: 9, HasSeed: true, State: jobs.Failed, Error: "boom"})
	opt := CompareOptions{By: oracle(t), Resamples: 100}
	c, err := Compare([]Group{g}, opt)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "results.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := csv.NewWriter(f).WriteAll(c.CSV()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	groups, err := ReadResults(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Compare(groups, opt)
	if err != nil {
		t.Fatal(err)
	}
	was, is := c.Rows[0], again.Rows[0]
	if was.Values.Mean != is.Values.Mean || *was.PNull != *is.PNull || is.Runs != 4 || is.States["failed"] != 1 {
		t.Errorf("read again: %+v, was %+v", is, was)
	}
}

func TestBadResultFiles(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "empty",
		"policy,seed\na,1\n":                  "missing columns: architecture",
		"a,b,c\n":                             "missing columns: policy, seed",
		"policy,seed,value\n":                 "no results",
		"policy,seed,value\na,one,0.9\n":      "line 2: seed",
		"policy,seed,value\na,1,NaN\n":        "line 2: value",
		"policy,seed,value\na,1,\n":           "line 2: has neither",
		"policy,seed,value\na,1,.9\na,1,.8\n": "twice",
		"policy,seed,value\na,1\n":            "wrong number of fields",
		"policy,seed,hash\na,1,zz\n":          "line 2",
		"policy,seed,architecture\na,1,\"{\"\"matrix\"\":[[0]]}\"\n": "line 2: architecture",
		"policy,seed,state,value\na,1,finished,\n":                   "state",
		"policy,seed,space,value\na,1,resnet,0.9\n":                  "space \"resnet\"",
		"policy,seed,budget,value\na,1,0,0.9\n":                      "line 2: budget",
		"policy,seed,measure,value\na,1,some,0.9\n":                  "line 2: measure",
		"policy,seed,budget,value\na,1,5,0.9\na,2,6,0.9\n":           "line 3: policy \"a\" has another",
	} {
		_, err := parseResults(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v does not say %q", text, err, want)
		}
	}
	if _, err := ReadResults(filepath.Join(t.TempDir(), "none.csv")); err == nil {
		t.Error("a file that does not exist was read")
	}
}

func FuzzResults(f *testing.F) {
	f.Add("policy,seed,value\na,1,0.9\n")
	f.Add("policy,seed,hash\na,1,28cfc7874f6d200472e1a9dcd8650aa0\n")
	f.Fuzz(func(t *testing.T, text string) {
		groups, err := parseResults(strings.NewReader(text))
		if err == nil && len(groups) == 0 {
			t.Error("neither groups nor an error")
		}
	})
}

// spaceOf is NASBench-101 with at most so many vertices.
func spaceOf(t *testing.T, vertices int) *space.NASBench {
	t.Helper()
	sp, err := space.NASBench101(vertices)
	if err != nil {
		t.Fatal(err)
	}
	return sp
}

// TestOnlyDrawsOfTheSearchedSpaceAreTheBaseline: draws of a larger space are
// worse than those of five vertices, and must not flatter a search there.
func TestOnlyDrawsOfTheSearchedSpaceAreTheBaseline(t *testing.T) {
	small := space.Spec{Name: "nasbench101", MaxVertices: 5}
	seeds := seedRange(0, 10)
	search := searched(t, "random", objective.OfParams(), small, 5, seeds)
	opt := CompareOptions{By: oracle(t), Resamples: 200}
	own, err := Compare([]Group{search, drawnGroup(t, 5, seeds)}, opt)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := Compare([]Group{drawnGroup(t, 7, seeds), search}, opt)
	if err != nil {
		t.Fatal(err)
	}
	was, _ := own.Row("random")
	is, _ := foreign.Row("random")
	if was.VersusDraw.Mean != is.VersusDraw.Mean || *was.CliffsDelta != *is.CliffsDelta {
		t.Errorf("with draws of another space the lead is %v, with its own %v", is.VersusDraw.Mean, was.VersusDraw.Mean)
	}
	if own.Drawn != "sample_random" || foreign.Drawn != "" || !strings.Contains(strings.Join(foreign.Notes, " "), "drawn from nasbench101(max_vertices=7)") {
		t.Errorf("baselines %q and %q, notes %v", own.Drawn, foreign.Drawn, foreign.Notes)
	}
}

// TestSelectedArchitecturesKeepTheRulesOfTheirSearch: found.selected is no way
// around one space and one budget.
func TestSelectedArchitecturesKeepTheRulesOfTheirSearch(t *testing.T) {
	four, five := spaceOf(t, 4), spaceOf(t, 5)
	selected := func(policy string, sp *space.NASBench, budget int) []Group {
		origin := Origin{Policy: policy, Space: sp.Spec(), Search: policy, Objective: "params()", Budget: budget}
		return GroupsOfFound([]Found{{Arch: sp.At(1), Seed: 1, Origin: origin}, {Arch: sp.At(2), Seed: 2, Origin: origin}}, sp)
	}
	groups := func(gs ...[]Group) []Group {
		var out []Group
		for _, g := range gs {
			out = append(out, g...)
		}
		return out
	}
	byHand := GroupsOfFound([]Found{{Arch: spaceOf(t, 7).At(0)}}, spaceOf(t, 7))
	search := []Group{searched(t, "random", objective.OfParams(), four.Spec(), 5, seedRange(0, 2))}
	genotypes, err := space.DARTS(4)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := SampleRandom(genotypes, seedRange(0, 2), MeasureUnique)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		groups []Group
		want   string
	}{
		"two spaces":         {groups(selected("a", four, 5), selected("b", five, 5)), "one space"},
		"beside a search":    {groups(search, selected("b", five, 5)), "one space"},
		"two budgets":        {groups(search, selected("b", four, 9)), "unequal=True"},
		"by hand, not in it": {groups(search, byHand), "one space, here nasbench101(max_vertices=4)"},
		"draws of DARTS":     {groups(search, GroupsOfFound(drawn, genotypes)), "one space"},
	} {
		if _, err := Compare(c.groups, CompareOptions{By: objective.OfParams(), Resamples: 100}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", name, err, c.want)
		}
	}
	c, err := Compare(groups(search, selected("b", four, 5)), CompareOptions{By: objective.OfParams(), Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if row, _ := c.Row("b"); row.Objective != "params()" || row.Budget != 5 {
		t.Errorf("architectures forget what guided their search: %+v", row)
	}
}

// TestWorseThanRandomIsAdjustedToo: twenty policies that are random; one of
// them is a little unlucky.
func TestWorseThanRandomIsAdjustedToo(t *testing.T) {
	sp := spaceOf(t, 4)
	values, err := oracle(t).Column(sp)
	if err != nil {
		t.Fatal(err)
	}
	sorted := slices.Sorted(slices.Values(values))
	at := func(q float64) GroupRun {
		v := sorted[int(q*float64(len(sorted)-1))]
		return GroupRun{State: jobs.Done, Value: &v}
	}
	groups := []Group{{Name: "unlucky", Kind: Given, Space: sp, Runs: []GroupRun{at(.2), at(.2)}}}
	for range 19 {
		groups = append(groups, Group{Name: "ordinary", Kind: Given, Space: sp, Runs: []GroupRun{at(.5), at(.5)}})
	}
	alone, err := Compare(groups[:1], CompareOptions{By: oracle(t), Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	groups[0].Runs = []GroupRun{at(.1), at(.1)}
	together, err := Compare(groups, CompareOptions{By: oracle(t), Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if p := *alone.Rows[0].PNullLower; p != *alone.Rows[0].PNullLowerHolm {
		t.Errorf("one group is adjusted from %v to %v", p, *alone.Rows[0].PNullLowerHolm)
	}
	row := together.Rows[0]
	if *row.PNullLower > significance || *row.PNullLowerHolm < significance || !strings.HasPrefix(row.Verdict, "not told") {
		t.Errorf("p %v, adjusted %v: %q", *row.PNullLower, *row.PNullLowerHolm, row.Verdict)
	}
}

// TestMinimisedComparison: under params, less is better, a search for small
// cells wins, and every sign says so.
func TestMinimisedComparison(t *testing.T) {
	small := space.Spec{Name: "nasbench101", MaxVertices: 5}
	seeds := seedRange(0, 10)
	down := objective.OfParams().Minimised(true)
	search := searched(t, "random", down, small, 20, seeds)
	c, err := Compare([]Group{search, drawnGroup(t, 5, seeds)}, CompareOptions{By: down, Resamples: 500})
	if err != nil {
		t.Fatal(err)
	}
	values := c.SpaceValues()
	row, _ := c.Row("random")
	if *c.Best != slices.Min(values) || row.Verdict != "better than random sampling" || row.VersusDraw.High >= 0 || *row.CliffsDelta >= 0 || *row.RelativeToDraw <= 0 {
		t.Errorf("best %v, %+v", *c.Best, row)
	}
	better := 0
	for _, v := range values {
		if v < row.Values.Min {
			better++
		}
	}
	if row.BestRank != 1+better || row.PEqualBudget == nil {
		t.Errorf("best rank %d, want %d; equal-budget p %v", row.BestRank, 1+better, row.PEqualBudget)
	}
	// Guided the other way it was not guided by the final evaluation.
	c, err = Compare([]Group{search}, CompareOptions{By: objective.OfParams(), Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if row := c.Rows[0]; row.PEqualBudget != nil || row.Verdict != "worse than random sampling" {
		t.Errorf("judged the other way: %+v", row)
	}
}

// TestValuesOutsideTheSpacesRange: a cell in another vertex order may have
// other parameters, and a value from elsewhere may be worse than all.
func TestValuesOutsideTheSpacesRange(t *testing.T) {
	sp := spaceOf(t, 7)
	// Parallel branches in another order than the data set's, so that another
	// one gets the remainder of the channels.
	var reordered space.Arch
	var listed float64
	for seed := int64(0); reordered == nil && seed < 400; seed++ {
		a, err := policy.SampleSequence(sp, rng.New(seed, "test", "order"))
		if err != nil {
			t.Fatal(err)
		}
		i, ok := sp.Index(a)
		if !ok {
			t.Fatalf("%s is not in the space", a)
		}
		if sp.At(i).Params() != a.Params() {
			reordered, listed = a, float64(sp.At(i).Params())
		}
	}
	if reordered == nil {
		t.Fatal("no cell whose parameters depend on the order of its vertices")
	}
	bad := 1.0
	groups := append(GroupsOfFound([]Found{{Arch: reordered}}, sp), Group{Name: "bad", Kind: Given, Runs: []GroupRun{{State: jobs.Done, Value: &bad}}})
	c, err := Compare(groups, CompareOptions{By: objective.OfParams(), Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Rows[0].Seeds[0]; *s.Value != listed || s.Ties < 1 {
		t.Errorf("value %v with %d ties, the list has %v", *s.Value, s.Ties, listed)
	}
	if row := c.Rows[1]; row.BestRank != c.N+1 || *row.PBeatsRandom != 0 {
		t.Errorf("a value worse than the space: rank %d, p %v", row.BestRank, *row.PBeatsRandom)
	}
}

// TestASavedComparisonIsReadAsItWas: a sub-space stays one and draws stay draws.
func TestASavedComparisonIsReadAsItWas(t *testing.T) {
	small := space.Spec{Name: "nasbench101", MaxVertices: 5}
	seeds := seedRange(0, 4)
	opt := CompareOptions{By: oracle(t), Resamples: 200}
	c, err := Compare([]Group{searched(t, "random", objective.OfParams(), small, 5, seeds), drawnGroup(t, 5, seeds)}, opt)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := csv.NewWriter(&text).WriteAll(c.CSV()); err != nil {
		t.Fatal(err)
	}
	groups, err := parseResults(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Compare(groups, opt)
	if err != nil {
		t.Fatal(err)
	}
	if again.N != c.N || again.Drawn != c.Drawn {
		t.Errorf("N %d and baseline %q, were %d and %q", again.N, again.Drawn, c.N, c.Drawn)
	}
	was, is := c.Rows[0], again.Rows[0]
	if *is.PNullHolm != *was.PNullHolm || is.VersusDraw.Mean != was.VersusDraw.Mean || is.Objective != was.Objective || is.Budget != was.Budget {
		t.Errorf("read again: %+v, was %+v", is, was)
	}
	if again.Rows[1].Kind != Drawn || again.Rows[1].Verdict != "" {
		t.Errorf("the draws became %+v", again.Rows[1])
	}
}

// TestRunsThatAgreeAreOneResult: seeds that end in one architecture are said to
// be one result, and counted.
func TestRunsThatAgreeAreOneResult(t *testing.T) {
	g := searched(t, "random", objective.OfParams(), full, 5, seedRange(0, 1))
	for seed := range int64(3) {
		r := g.Runs[0]
		r.Seed = seed + 1
		g.Runs = append(g.Runs, r)
	}
	c, err := Compare([]Group{g, drawnGroup(t, 7, seedRange(0, 4))}, CompareOptions{By: oracle(t), Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if c.Rows[0].Distinct != 1 || c.Rows[1].Distinct != 4 {
		t.Errorf("%d and %d distinct architectures, want 1 and 4", c.Rows[0].Distinct, c.Rows[1].Distinct)
	}
	if notes := strings.Join(c.Notes, " "); !strings.Contains(notes, "All 4 runs of random end in one architecture") {
		t.Errorf("notes: %s", notes)
	}
}

// TestEncodingOfTrainedNetworks: draws in the encoding of a policy cannot be looked up where
// networks were trained. Without trained ones there is no such baseline, and it is said.
func TestEncodingOfTrainedNetworks(t *testing.T) {
	trained, err := objective.OfTrained(objective.TrainedTest, "4 epochs")
	if err != nil {
		t.Fatal(err)
	}
	value := func(g Group, first float64) Group {
		for i := range g.Runs {
			g.Runs[i].Value = new(first + float64(i)/100)
		}
		return g
	}
	enas := value(drawnGroup(t, 7, seedRange(0, 4)), 0.5)
	enas.Name, enas.Policy, enas.Kind, enas.Measure, enas.ofSpace = "enas", "enas", Given, "", true
	draws := value(drawnGroup(t, 7, seedRange(0, 4)), 0.4)
	c, err := Compare([]Group{enas, draws}, CompareOptions{By: trained, Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	if row, _ := c.Row("enas"); row.VersusEncoding != nil || row.VersusDraw == nil || !strings.Contains(strings.Join(c.Notes, " "), "No draw in the encoding of enas was trained") {
		t.Errorf("%+v; notes %q", row.VersusEncoding, c.Notes)
	}
	info, err := policy.Lookup("enas")
	if err != nil {
		t.Fatal(err)
	}
	encoded := value(drawnGroup(t, 7, seedRange(0, 4)), 0.3)
	encoded.Measure, encoded.Name = info.Encoding.Name, "draws in the encoding"
	c, err = Compare([]Group{enas, draws, encoded}, CompareOptions{By: trained, Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	if row, _ := c.Row("enas"); row.VersusEncoding == nil || math.Abs(row.VersusEncoding.Mean-0.2) > 1e-12 {
		t.Errorf("against trained draws in the encoding: %+v", row.VersusEncoding)
	}
}
