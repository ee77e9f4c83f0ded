package nasapi

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

// fakeTable is NASBench-101 as its full file has it, with made-up numbers: four numbers of
// epochs, three repeats, validation accuracies and times. They lie about the embedded
// accuracies.
type fakeTable struct{ table.Table }

const fakeDigest = "made up"

func (fakeTable) Digest() string { return fakeDigest }
func (fakeTable) Repeats() int   { return 3 }

func (fakeTable) Metrics() []table.Metric {
	var list []table.Metric
	for _, name := range []string{table.Valid, table.Test} {
		for _, epochs := range []int{4, 12, 36, 108} {
			for repeat := range 3 {
				list = append(list, table.Metric{Name: name, Epochs: epochs, Repeat: repeat})
			}
		}
	}
	return list
}

func (fakeTable) Find(q table.Query) (table.Metric, error) {
	m := table.Metric{Name: q.Name, Epochs: q.Epochs}
	if q.Repeat != nil {
		m.Repeat = *q.Repeat
	}
	if m.Epochs == 0 {
		m.Epochs = 108
	}
	return m, nil
}

// draw is a number in 0..1 of an architecture, a repeat and a number of epochs.
func (fakeTable) draw(m table.Metric, a space.Arch, what string) float64 {
	return rng.New(int64(m.Repeat), a.Hash(), fmt.Sprint(m.Epochs), m.Name, what).Float64()
}

func (f fakeTable) Value(m table.Metric, a space.Arch) (float64, error) {
	if m.Repeat == table.RepeatDrawn {
		return 0, fmt.Errorf("the repeat of %s is not drawn", m)
	}
	v, err := f.Table.Value(table.Metric{Name: table.Test, Epochs: 108}, a)
	noise := 0.01 + 0.2/float64(m.Epochs)
	return v * (1 - noise*f.draw(m, a, "value")), err
}

func (f fakeTable) Cost(m table.Metric, a space.Arch) (table.Cost, error) {
	return table.Cost{Seconds: float64(m.Epochs) * (10 + 5*f.draw(m, a, "seconds")), Timed: true, Epochs: m.Epochs}, nil
}

func (f fakeTable) Column(m table.Metric, s space.Space) ([]float64, error) {
	finite := s.(space.Finite)
	out := make([]float64, finite.Len())
	for i := range out {
		var err error
		if out[i], err = f.Value(m, finite.At(i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// timed is the objective of the fake table, which searches find by its name.
func timed(t testing.TB, q table.Query) *objective.Objective {
	t.Helper()
	embedded, err := table.NASBench101()
	if err != nil {
		t.Fatal(err)
	}
	fake := fakeTable{embedded}
	was := openObjective
	openObjective = func(s objective.Spec) (*objective.Objective, error) {
		if s.Digest != fakeDigest {
			return was(s)
		}
		return objective.OfTable(fake, table.Metric{Name: s.Metric, Epochs: s.Epochs, Repeat: s.Repeat}).Minimised(s.Minimise), nil
	}
	t.Cleanup(func() { openObjective = was })
	m, err := fake.Find(q)
	if err != nil {
		t.Fatal(err)
	}
	return objective.OfTable(fake, m)
}

// heard keeps every evaluation.
type heard struct{ list []Evaluation }

func (*heard) Progress(int, int, map[string]any) {}
func (*heard) Event(string, any) error           { return nil }
func (h *heard) Evaluated(e Evaluation) error {
	h.list = append(h.list, e)
	return nil
}

func mustRun(t *testing.T, cfg SearchConfig, seed int64) (*SearchResult, []Evaluation) {
	t.Helper()
	h := new(heard)
	r, err := RunSearch(t.Context(), cfg, seed, h)
	if err != nil {
		t.Fatal(err)
	}
	return r, h.list
}

// TestClockEndsASearch: whatever the limit, a search makes the evaluations that end in
// time and no other; the first that would not ends it.
func TestClockEndsASearch(t *testing.T) {
	obj := timed(t, table.Query{Name: table.Valid})
	cfg := SearchConfig{Policy: "random", Space: full, Objective: obj.Spec(), Budget: 200}
	whole, all := mustRun(t, cfg, 7)
	if whole.Seconds != all[199].Seconds || whole.Seconds < 200*108*10 || whole.Seconds > 200*108*15 {
		t.Fatalf("200 trainings took %v simulated seconds", whole.Seconds)
	}
	for _, limit := range []float64{2000, 10_000, 123_456.5, all[41].Seconds, math.Nextafter(all[41].Seconds, 0)} {
		cfg.Budget, cfg.Seconds = 0, limit
		r, made := mustRun(t, cfg, 7)
		want := 0
		for want < len(all) && all[want].Seconds <= limit {
			want++
		}
		if r.Evaluations != want || len(made) != want || r.Seconds != all[want-1].Seconds {
			t.Errorf("seconds=%v: %d evaluations in %v, want %d in %v", limit, r.Evaluations, r.Seconds, want, all[want-1].Seconds)
		}
		for i, e := range made {
			if e.Arch.Hash() != all[i].Arch.Hash() || e.Seconds != all[i].Seconds {
				t.Fatalf("seconds=%v: evaluation %d differs from that of the search without a clock", limit, i+1)
			}
		}
		for _, p := range r.Trace {
			if p.Seconds != all[p.Evaluations-1].Seconds || p.Epochs != 108 {
				t.Errorf("the trace says %v seconds and %d epochs at evaluation %d", p.Seconds, p.Epochs, p.Evaluations)
			}
		}
		// Both bounds: what is spent first.
		cfg.Budget = want - 1
		if r, _ := mustRun(t, cfg, 7); want > 1 && r.Evaluations != want-1 {
			t.Errorf("seconds=%v, budget=%d: %d evaluations", limit, cfg.Budget, r.Evaluations)
		}
		cfg.Budget = want + 1
		if r, _ := mustRun(t, cfg, 7); r.Evaluations != want {
			t.Errorf("seconds=%v, budget=%d: %d evaluations", limit, cfg.Budget, r.Evaluations)
		}
	}
}

func TestEveryPolicyKeepsToTheClock(t *testing.T) {
	obj := timed(t, table.Query{Name: table.Valid})
	for _, info := range policy.All() {
		if info.Shares == policy.Must {
			continue
		}
		const limit = 2e4
		cfg := SearchConfig{Policy: info.Name, Space: full, Objective: obj.Spec(), Seconds: limit}
		if info.Name == "bananas" {
			cfg.Params = policy.Config{"layers": 2, "ensemble": 2, "epochs": 5}
		}
		r, made := mustRun(t, cfg, 3)
		if r.Seconds > limit || r.Seconds < limit-108*15 || r.Evaluations != len(made) {
			t.Errorf("%s: %d evaluations took %v of %v seconds", info.Name, r.Evaluations, r.Seconds, limit)
		}
	}
}

func TestClockRefusals(t *testing.T) {
	obj := timed(t, table.Query{Name: table.Valid})
	for name, c := range map[string]struct {
		cfg  SearchConfig
		want string
	}{
		"no times":         {SearchConfig{Policy: "random", Objective: oracle(t).Spec(), Seconds: 5e6}, "seconds=5000000: nasbench101_table().metric(\"test\") has no training times"},
		"not trained":      {SearchConfig{Policy: "random", Objective: objective.OfParams().Spec(), Seconds: 5e6}, "params() has no training times"},
		"neither":          {SearchConfig{Policy: "random", Objective: obj.Spec()}, "budget is 0"},
		"negative":         {SearchConfig{Policy: "random", Objective: obj.Spec(), Seconds: -1}, "seconds is -1"},
		"no number":        {SearchConfig{Policy: "random", Objective: obj.Spec(), Seconds: math.NaN()}, "seconds is NaN"},
		"without end":      {SearchConfig{Policy: "random", Objective: obj.Spec(), Seconds: math.Inf(1)}, "seconds is +Inf"},
		"over at once":     {SearchConfig{Policy: "random", Objective: obj.Spec(), Seconds: 100}, "seconds=100 is over before the first training has ended"},
		"one fidelity":     {SearchConfig{Policy: "successive_halving", Objective: oracle(t).Spec(), Budget: 100}, "one number of epochs only"},
		"lowest is all":    {SearchConfig{Policy: "successive_halving", Objective: timed(t, table.Query{Name: table.Valid, Epochs: 4}).Spec(), Budget: 100}, "one number of epochs only"},
		"shared, no clock": {SearchConfig{Policy: "spos", Objective: objective.Spec{Kind: objective.SharedWeights}, Shared: new(SharedConfig), Seconds: 5}, "shared weights are trained for as long"},
	} {
		c.cfg.Space = full
		_, err := RunSearch(t.Context(), c.cfg, 1, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// TestRepeatsAreDrawn: each look-up of a metric that leaves the repeat to chance draws one
// from a stream that no other policy has, and the same seed draws the same.
func TestRepeatsAreDrawn(t *testing.T) {
	drawn := table.RepeatDrawn
	obj := timed(t, table.Query{Name: table.Valid, Repeat: &drawn})
	cfg := SearchConfig{Policy: "random", Space: space.Spec{Name: "nasbench101", MaxVertices: 3}, Objective: obj.Spec(), Budget: 600}
	_, made := mustRun(t, cfg, 1)
	_, again := mustRun(t, cfg, 1)
	values := map[string][]float64{}
	for i, e := range made {
		if e.Value != again[i].Value {
			t.Fatal("one seed drew two repeats")
		}
		if h := e.Arch.Hash(); !slices.Contains(values[h], e.Value) {
			values[h] = append(values[h], e.Value)
		}
	}
	for hash, list := range values {
		if len(list) != 3 {
			t.Errorf("%s had %d values in 600 look-ups of seven architectures, want the three repeats", hash, len(list))
		}
	}
	// The same architecture at the same look-up of another policy: another repeat, now and
	// then.
	cfg.Policy, cfg.Budget, cfg.Space.MaxVertices = "evolution", 50, 2
	_, other := mustRun(t, cfg, 1)
	cfg.Policy = "random"
	_, one := mustRun(t, cfg, 1)
	if slices.EqualFunc(one, other, func(a, b Evaluation) bool { return a.Value == b.Value }) {
		t.Error("two policies drew the same repeats under one seed")
	}
}

// TestIncumbentIsOfTheMostEpochs: a value after few epochs never beats one after more.
func TestIncumbentIsOfTheMostEpochs(t *testing.T) {
	obj := timed(t, table.Query{Name: table.Valid})
	cfg := SearchConfig{Policy: "successive_halving", Space: full, Objective: obj.Spec(), Budget: 300}
	r, made := mustRun(t, cfg, 1)
	best := -1
	var trace []TracePoint
	for i, e := range made {
		if best < 0 || e.Epochs > made[best].Epochs || e.Epochs == made[best].Epochs && e.Value > made[best].Value {
			best = i
			trace = append(trace, TracePoint{Evaluations: e.Number, Seconds: e.Seconds, Value: e.Value, Epochs: e.Epochs})
		}
	}
	if len(trace) != len(r.Trace) {
		t.Fatalf("the incumbent changes %d times, want %d", len(r.Trace), len(trace))
	}
	for i, want := range trace {
		if got := r.Trace[i]; got.Evaluations != want.Evaluations || got.Seconds != want.Seconds || got.Value != want.Value || got.Epochs != want.Epochs {
			t.Errorf("change %d is %+v, want %+v", i, got, want)
		}
	}
	own, err := obj.Value(made[best].Arch)
	if err != nil {
		t.Fatal(err)
	}
	if last := r.Trace[len(r.Trace)-1]; last.Epochs != 108 || r.Value != own || r.Hash != made[best].Arch.Hash() {
		t.Errorf("selected %s of %v after %d epochs; its accuracy is %v", r.Hash, r.Value, last.Epochs, own)
	}
}

func TestEstimateOnAClock(t *testing.T) {
	obj := timed(t, table.Query{Name: table.Valid})
	cfg := SearchConfig{Policy: "random", Space: full, Objective: obj.Spec(), Seconds: 1e9}
	c, err := EstimateSearch(t.Context(), SearchRequest{SearchConfig: cfg, Seeds: []int64{1}})
	if err != nil {
		t.Fatal(err)
	}
	want := 1e9 / (108 * 12.5) / c.PerSecond // look-ups of 108 epochs at 10 to 15 seconds each
	if share := c.Each.Seconds() / want; share < 0.8 || share > 1.25 {
		t.Errorf("1e9 simulated seconds are estimated at %v, want about %.1f s", c.Each, want)
	}
}

// TestEstimateGivesUp: what learns for longer than anybody waits for is told as a bound.
func TestEstimateGivesUp(t *testing.T) {
	cfg := SearchConfig{Policy: "nao", Space: full, Objective: objective.OfParams().Spec(), Budget: 200, Params: policy.Config{"predictor_epochs": 1_000_000, "pool": 20}}
	began := time.Now()
	c, err := EstimateSearch(t.Context(), SearchRequest{SearchConfig: cfg, Seeds: []int64{1}})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 4*searchGivesUp {
		t.Errorf("it was tried for %v", took)
	}
	if !c.AtLeast || c.Each < searchGivesUp*200/20 {
		t.Errorf("the estimate is %+v; 20 of 200 evaluations took %v and more", c, searchGivesUp)
	}
}

// TestCompareOnAClock: equal seconds are an equal budget, whatever the number of look-ups.
func TestCompareOnAClock(t *testing.T) {
	obj := timed(t, table.Query{Name: table.Valid})
	by, err := openObjective(objective.Spec{Kind: objective.Table, Table: table.NASBench101Name, Digest: fakeDigest, Metric: table.Test, Epochs: 108})
	if err != nil {
		t.Fatal(err)
	}
	four := space.Spec{Name: "nasbench101", MaxVertices: 4}
	group := func(name string, budget int, seconds float64) Group {
		sp, err := space.FromSpec(four)
		if err != nil {
			t.Fatal(err)
		}
		spec := obj.Spec()
		g := Group{Name: name, Kind: Searched, Policy: name, Objective: &spec, Budget: budget, Seconds: seconds, Space: sp,
			details: []detail{{"budget", optCount(budget)}, {"seconds", optSeconds(seconds)}}}
		for seed := range int64(3) {
			r, _ := mustRun(t, SearchConfig{Policy: name, Space: four, Objective: spec, Budget: budget, Seconds: seconds}, seed)
			a, err := sp.Parse(r.Selected)
			if err != nil {
				t.Fatal(err)
			}
			g.Runs = append(g.Runs, GroupRun{Seed: seed, HasSeed: true, State: jobs.Done, Arch: a, Trace: r.Trace, Evaluations: r.Evaluations, Seconds: r.Seconds})
		}
		return g
	}
	random, halving := group("random", 0, 30_000), group("successive_halving", 0, 30_000)
	c, err := Compare([]Group{random, halving}, CompareOptions{By: by, Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	row, _ := c.Row("successive_halving")
	if row.Seconds != 30_000 || row.Budget != 0 || row.VersusRandomSearch == nil {
		t.Errorf("the row has budget %d, seconds %v, against random search %+v", row.Budget, row.Seconds, row.VersusRandomSearch)
	}
	runs, err := c.Incumbents("successive_halving")
	if err != nil || len(runs) != 3 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for i, r := range runs {
		trace := halving.Runs[i].Trace
		if r.Seconds != halving.Runs[i].Seconds || r.Seconds > 30_000 || len(r.Points) != len(trace) {
			t.Errorf("run %d took %v seconds", i, r.Seconds)
		}
		for k, p := range r.Points {
			if p.Seconds != trace[k].Seconds || p.Evaluations != trace[k].Evaluations {
				t.Errorf("run %d, change %d is at %v seconds, want %v", i, k, p.Seconds, trace[k].Seconds)
			}
		}
	}
	// The guide is the judge: by look-ups there is an equal-budget p, on a clock there is not.
	self, err := Compare([]Group{random}, CompareOptions{By: obj, Resamples: 100})
	if err != nil {
		t.Fatal(err)
	}
	if self.Rows[0].PEqualBudget != nil {
		t.Error("an equal-budget p of a search that was bounded by a clock")
	}
	for name, other := range map[string]Group{
		"30000 simulated seconds":                   group("successive_halving", 0, 20_000),
		"30 evaluations":                            group("successive_halving", 30, 0),
		"30 evaluations or 30000 simulated seconds": group("successive_halving", 30, 30_000),
	} {
		_, err := Compare([]Group{random, other}, CompareOptions{By: by, Resamples: 100})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "unequal=True") {
			t.Errorf("error %v, want %q", err, name)
		}
		c, err := Compare([]Group{random, other}, CompareOptions{By: by, Resamples: 100, Unequal: true})
		if err != nil || !slices.ContainsFunc(c.Notes, func(s string) bool { return strings.Contains(s, "UNEQUAL BUDGETS") }) {
			t.Errorf("unequal budgets are not marked: %v, %v", c, err)
		}
	}
	// A file of results has the seconds too.
	path := filepath.Join(t.TempDir(), "r.csv")
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
	read, err := ReadResults(path)
	if err != nil || len(read) != 2 || read[0].Seconds != 30_000 || read[0].Budget != 0 {
		t.Errorf("read back: %+v, %v", read, err)
	}
	if _, err := Compare(append(read, group("evolution", 0, 20_000)), CompareOptions{By: by, Resamples: 100}); err == nil {
		t.Error("results read from a file have lost their clock")
	}
}

// TestClockIsPartOfAnIdentityOnlyWhereItIs: jobs of before there was one keep their ids.
func TestClockIsPartOfAnIdentityOnlyWhereItIs(t *testing.T) {
	cfg := SearchConfig{Policy: "random", Space: full, Objective: objective.OfParams().Spec(), Budget: 5}
	raw, err := json.Marshal(cfg)
	if want := `{"policy":"random","space":{"name":"nasbench101","max_vertices":7},"objective":{"kind":"params"},"budget":5}`; err != nil || string(raw) != want {
		t.Errorf("%s (%v), want %s", raw, err, want)
	}
	cfg.Seconds = 5e6
	if raw, err = json.Marshal(cfg); err != nil || !strings.HasSuffix(string(raw), `"budget":5,"seconds":5000000}`) {
		t.Errorf("%s (%v)", raw, err)
	}
}
