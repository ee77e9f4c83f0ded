package nasapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/jobs/jobtest"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/stats"
	"evalnas/nasapi/table"
)

func TestMain(m *testing.M) { jobtest.Main(m, map[string]jobs.Handler{SearchKind: SearchHandler}) }

func testStudy(t *testing.T) *jobs.Study {
	t.Helper()
	jobtest.Setup(t)
	st, err := jobs.OpenStudy(jobtest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func oracle(t testing.TB) *objective.Objective {
	t.Helper()
	tab, err := table.NASBench101()
	if err != nil {
		t.Fatal(err)
	}
	m, err := tab.Find(table.Query{Name: table.Test})
	if err != nil {
		t.Fatal(err)
	}
	return objective.OfTable(tab, m)
}

func seedRange(from, to int64) []int64 {
	var out []int64
	for s := from; s < to; s++ {
		out = append(out, s)
	}
	return out
}

var full = space.Spec{Name: "nasbench101", MaxVertices: 7}

func TestSearchRunsAsJobsAndGivesTheSameBits(t *testing.T) {
	st := testStudy(t)
	req := SearchRequest{
		SearchConfig: SearchConfig{Policy: "evolution", Space: full, Objective: objective.OfParams().Spec(), Budget: 300},
		Seeds:        seedRange(1268, 1272),
	}
	s, err := StartSearch(st, req)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	runs := s.Runs()
	for i, r := range runs {
		if r.Status.State != jobs.Done {
			t.Fatalf("seed %d is %s: %s\n%s", r.Seed, r.Status.State, r.Status.Error, s.Jobs()[i].Log(20))
		}
		here, err := RunSearch(ctx, req.SearchConfig, r.Seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, b := mustJSON(t, here), mustJSON(t, r.Result)
		if a != b {
			t.Errorf("seed %d: the job's result differs from the one in this process:\n%s\n%s", r.Seed, b, a)
		}
		if r.Result.Evaluations != 300 || r.Found.Origin.Search != s.ID() || r.Found.Seed != r.Seed {
			t.Errorf("seed %d: %d evaluations, origin %+v", r.Seed, r.Result.Evaluations, r.Found.Origin)
		}
	}
	if runs[0].Result.Hash == runs[1].Result.Hash && runs[1].Result.Hash == runs[2].Result.Hash {
		t.Error("three seeds found one architecture")
	}

	again, err := StartSearch(st, req)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != s.ID() {
		t.Errorf("the same request is search %s and then %s", s.ID(), again.ID())
	}
	if attempt := again.Runs()[0].Status.Attempt; attempt != 1 {
		t.Errorf("asking again began attempt %d", attempt)
	}

	batches, err := st.Batches()
	if err != nil || len(batches) != 1 {
		t.Fatalf("%d batches, %v", len(batches), err)
	}
	attached, err := AttachSearch(batches[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := mustJSON(t, attached.Config), mustJSON(t, s.Config); got != want {
		t.Errorf("attached configuration %s, want %s", got, want)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDefaultsAreNotPartOfTheIdentity: a parameter at its default is the same
// job as one that is not given.
func TestDefaultsAreNotPartOfTheIdentity(t *testing.T) {
	base := SearchConfig{Policy: "evolution", Space: full, Objective: objective.OfParams().Spec(), Budget: 10}
	given := base
	given.Params = policy.Config{"population": 50}
	other := base
	other.Params = policy.Config{"population": 20}
	ids := func(c SearchConfig) string {
		c, err := c.Complete()
		if err != nil {
			t.Fatal(err)
		}
		if c.Params["population"] == nil {
			t.Fatal("Complete leaves the default out")
		}
		c, err = c.identity()
		if err != nil {
			t.Fatal(err)
		}
		return mustJSON(t, c)
	}
	if ids(base) != ids(given) {
		t.Errorf("a default that is given changes the identity: %s, %s", ids(base), ids(given))
	}
	if ids(base) == ids(other) {
		t.Errorf("another population is the same identity: %s", ids(other))
	}
}

func TestBadRequestsAreNamed(t *testing.T) {
	st := testStudy(t)
	good := SearchRequest{SearchConfig: SearchConfig{Policy: "random", Space: full, Objective: objective.OfParams().Spec(), Budget: 5}, Seeds: []int64{1}}
	for name, c := range map[string]struct {
		change func(*SearchRequest)
		want   string
	}{
		"policy":        {func(r *SearchRequest) { r.Policy = "evolutoin" }, "evolution"},
		"parameter":     {func(r *SearchRequest) { r.Policy, r.Params = "evolution", policy.Config{"populaton": 5} }, "population"},
		"space":         {func(r *SearchRequest) { r.Space.Name = "nasbench10" }, "nasbench101"},
		"vertices":      {func(r *SearchRequest) { r.Space.MaxVertices = 9 }, "7"},
		"no budget":     {func(r *SearchRequest) { r.Budget = 0 }, "budget is 0"},
		"huge budget":   {func(r *SearchRequest) { r.Budget = MaxBudget + 1 }, "budget"},
		"no seeds":      {func(r *SearchRequest) { r.Seeds = nil }, "seeds is empty"},
		"seed twice":    {func(r *SearchRequest) { r.Seeds = []int64{4, 5, 4} }, "repeats 4"},
		"enas on darts": {func(r *SearchRequest) { r.Policy, r.Space = "enas", space.Spec{Name: "darts", Nodes: 4} }, "enas"},
		"table of another space": {func(r *SearchRequest) {
			r.Space, r.Objective = space.Spec{Name: "darts", Nodes: 4}, oracle(t).Spec()
		}, "nasbench101"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			r.Seeds = slices.Clone(good.Seeds)
			c.change(&r)
			_, err := StartSearch(st, r)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
}

// TestRandomSearchMatchesTheTable holds random search as it runs against the
// exact distribution of the best of k draws, and that one against the Monte
// Carlo figures that were measured when the project began (2,000 runs each).
func TestRandomSearchMatchesTheTable(t *testing.T) {
	obj := oracle(t)
	sp, err := space.NASBench101(7)
	if err != nil {
		t.Fatal(err)
	}
	values, err := obj.Column(sp)
	if err != nil {
		t.Fatal(err)
	}
	ranking, err := stats.NewRanking(values, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		k        int
		mean, sd float64
		runs     int
	}{{1, .8965, .0723, 2000}, {10, .9294, .0057, 1000}, {50, .9353, .0027, 400}, {150, .9376, .0020, 200}} {
		exact, err := ranking.BestOf(c.k)
		if err != nil {
			t.Fatal(err)
		}
		if tolerance := 4 * c.sd / math.Sqrt(2000); math.Abs(exact.Mean()-c.mean) > tolerance+5e-5 {
			t.Errorf("best of %d: exact mean %.5f, measured %.4f ± %.5f", c.k, exact.Mean(), c.mean, tolerance)
		}
		sum := 0.0
		for seed := range c.runs {
			r, err := RunSearch(t.Context(), SearchConfig{Policy: "random", Space: full, Objective: obj.Spec(), Budget: c.k}, int64(seed), nil)
			if err != nil {
				t.Fatal(err)
			}
			sum += r.Value
		}
		mean, tolerance := sum/float64(c.runs), 4*exact.SD()/math.Sqrt(float64(c.runs))
		if math.Abs(mean-exact.Mean()) > tolerance {
			t.Errorf("random search with budget %d: mean %.5f over %d seeds, exact %.5f ± %.5f", c.k, mean, c.runs, exact.Mean(), tolerance)
		}
	}
}

// TestEvolutionBeatsRandomSearch: guided by the table at 150 evaluations, as
// has been published of it, with an interval that excludes 0.
func TestEvolutionBeatsRandomSearch(t *testing.T) {
	obj := oracle(t)
	best := func(policy string) []float64 {
		var out []float64
		for seed := range int64(60) {
			r, err := RunSearch(t.Context(), SearchConfig{Policy: policy, Space: full, Objective: obj.Spec(), Budget: 150}, seed, nil)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, r.Value)
		}
		return out
	}
	random := best("random")
	for _, policy := range []string{"evolution", "local_search"} {
		d, err := stats.Bootstrap{Stream: rng.New(0, "test", policy)}.MeanDifference(best(policy), random)
		if err != nil {
			t.Fatal(err)
		}
		if d.Low <= 0 {
			t.Errorf("%s - random at 150 evaluations: %+.5f [%+.5f, %+.5f]", policy, d.Point, d.Low, d.High)
		}
	}
}

func TestSearchStopsWhenToldTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := RunSearch(ctx, SearchConfig{Policy: "random", Space: full, Objective: objective.OfParams().Spec(), Budget: 1000}, 1, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestSampleRandom(t *testing.T) {
	sp, err := space.NASBench101(7)
	if err != nil {
		t.Fatal(err)
	}
	seeds := seedRange(1268, 1278)
	a, err := SampleRandom(sp, seeds, MeasureUnique)
	if err != nil {
		t.Fatal(err)
	}
	b, err := SampleRandom(sp, seeds[3:], MeasureUnique)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		if a[i+3].Hash() != b[i].Hash() {
			t.Errorf("seed %d draws another cell when fewer seeds are asked for", seeds[i+3])
		}
	}
	search, err := RunSearch(t.Context(), SearchConfig{Policy: "random", Space: full, Objective: objective.OfParams().Spec(), Budget: 1}, seeds[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if search.Hash == a[0].Hash() {
		t.Error("random search and the draw of one seed share their stream")
	}
	for _, c := range []struct {
		seeds   []int64
		measure string
		want    string
	}{{nil, MeasureUnique, "empty"}, {[]int64{1, 1}, MeasureUnique, "repeats"}, {seeds, "uniqe", "unique"}} {
		if _, err := SampleRandom(sp, c.seeds, c.measure); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("SampleRandom(%v, %q): error %v does not say %q", c.seeds, c.measure, err, c.want)
		}
	}
}
