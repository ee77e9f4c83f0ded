package nasapi

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/space"
	"evalnas/nasapi/train"
)

// TestExtrapolation drives the stopwatch by a clock that stands still between
// evaluations.
func TestExtrapolation(t *testing.T) {
	const ms = time.Millisecond
	every := func(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
	for name, c := range map[string]struct {
		round, budget int
		cost          func(n int) time.Duration // of evaluation n
		want          time.Duration
		waits         time.Duration // at most
	}{
		"constant":              {1, 1000, every(ms), 1000 * ms, 80 * ms},
		"over within the slice": {1, 20, every(ms), 20 * ms, 20 * ms},
		"slower than the slice": {1, 10, every(200 * ms), 2000 * ms, 400 * ms},
		"a single evaluation":   {1, 1, every(200 * ms), 200 * ms, 200 * ms},
		"a table is read first": {1, 1000, func(n int) time.Duration {
			if n == 1 {
				return 300 * ms
			}
			return ms
		}, 1299 * ms, 380 * ms},
		"a population of cheap ones": {1, 1000, func(n int) time.Duration {
			if n <= 30 {
				return ms
			}
			return 5 * ms
		}, 4880 * ms, 80 * ms},
		"an update after ten": {10, 1000, func(n int) time.Duration {
			if n > 1 && n%10 == 1 {
				return 20 * ms
			}
			return ms
		}, 2881 * ms, 100 * ms},
		"the update is past the slice": {10, 1000, func(n int) time.Duration {
			if n > 1 && n%10 == 1 {
				return 200 * ms
			}
			return 20 * ms
		}, 37820 * ms, 400 * ms},
		"the update is past all patience": {1000, 10_000, every(10 * ms), 100_000 * ms, 770 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &stopwatch{round: c.round, began: time.Now()}
				for n := 1; n <= c.budget; n++ {
					time.Sleep(c.cost(n))
					if err := w.Evaluated(Evaluation{Number: n}); errors.Is(err, policy.ErrBudget) {
						break
					}
				}
				if waited := time.Since(w.began); waited > c.waits {
					t.Errorf("it was measured for %v, want at most %v", waited, c.waits)
				}
				got, pace := w.extrapolate(c.budget)
				if share := got.Seconds() / c.want.Seconds(); share < 0.98 || share > 1.02 {
					t.Errorf("estimated %v at %.1f evaluations a second, want %v", got, pace, c.want)
				}
			})
		})
	}
}

// TestEstimatesAreOfTheRightOrder: against a run of the same request. A machine that does
// other work meanwhile is asked again.
func TestEstimatesAreOfTheRightOrder(t *testing.T) {
	guided := func(name string, o objective.Spec, budget int) SearchConfig {
		return SearchConfig{Policy: name, Space: full, Objective: o, Budget: budget}
	}
	table, params := oracle(t).Spec(), objective.OfParams().Spec()
	deep := guided("evolution", objective.OfFLOPs().Spec(), 5000)
	deep.Space = space.Spec{Name: "darts", Nodes: 4}
	wide := guided("enas", params, 40)
	wide.Params = policy.Config{"hidden": 128}
	for _, cfg := range []SearchConfig{
		guided("random", params, 100), guided("random", table, 400_000), guided("evolution", table, 100_000),
		guided("local_search", params, 20_000), guided("enas", table, 200), wide, deep,
	} {
		const seed, tries = 1268, 4
		var share float64
		for range tries {
			cost, err := EstimateSearch(t.Context(), SearchRequest{SearchConfig: cfg, Seeds: []int64{seed}})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err := RunSearch(t.Context(), cfg, seed, nil); err != nil {
				t.Fatal(err)
			}
			share = cost.Each.Seconds() / (time.Since(began) + workerStart).Seconds()
			if share > 0.3 && share < 3 {
				break
			}
		}
		if share < 0.3 || share > 3 {
			t.Errorf("%s, %s, %d evaluations: the estimate is %.2f times what it takes", cfg.Policy, cfg.Objective, cfg.Budget, share)
		}
	}
}

func TestEstimateCountsSeedsAndSlots(t *testing.T) {
	t.Setenv("EVALNAS_SLOTS", "3")
	req := SearchRequest{SearchConfig: SearchConfig{Policy: "random", Space: full, Objective: objective.OfParams().Spec(), Budget: MaxBudget}, Seeds: seedRange(0, 10)}
	c, err := EstimateSearch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if c.Jobs != 10 || c.Slots != 3 || math.Abs(c.All.Seconds()/c.Each.Seconds()-10) > 1e-6 || math.Abs(c.Wall.Seconds()/c.Each.Seconds()-4) > 1e-6 {
		t.Errorf("ten seeds on three slots: %+v", c)
	}
	t.Setenv("EVALNAS_SLOTS", "4")
	one, err := jobs.Place{}.Room()
	if err != nil {
		t.Fatal(err)
	}
	req.On.Local.Cores = 2 * one.Threads // two slots each
	wide, err := EstimateSearch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if wide.Slots != 2 || math.Abs(wide.All.Seconds()/wide.Each.Seconds()-20) > 1e-6 || math.Abs(wide.Wall.Seconds()/wide.Each.Seconds()-5) > 1e-6 {
		t.Errorf("ten seeds of two slots each on four slots: %+v", wide)
	}
	if want := MaxBudget / c.PerSecond; math.Abs(c.Each.Seconds()/want-1) > 0.5 {
		t.Errorf("%v each at %.0f evaluations a second", c.Each, c.PerSecond)
	}
}

func TestEstimateIsNoPartOfASearch(t *testing.T) {
	cfg := SearchConfig{Policy: "enas", Space: full, Objective: objective.OfParams().Spec(), Budget: 30}
	run := func() string {
		r, err := RunSearch(t.Context(), cfg, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		return mustJSON(t, r)
	}
	before := run()
	if _, err := EstimateSearch(t.Context(), SearchRequest{SearchConfig: cfg, Seeds: []int64{1}}); err != nil {
		t.Fatal(err)
	}
	if after := run(); after != before {
		t.Errorf("after an estimate the search finds %s, before it %s", after, before)
	}
}

func TestEstimateStopsWhenToldTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := SearchRequest{SearchConfig: SearchConfig{Policy: "enas", Space: full, Objective: objective.OfParams().Spec(), Budget: 1000}, Seeds: []int64{1}}
	if _, err := EstimateSearch(ctx, req); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	req.Seeds = nil
	if _, err := EstimateSearch(t.Context(), req); err == nil || !strings.Contains(err.Error(), "seeds is empty") {
		t.Errorf("without seeds: %v", err)
	}
}

func TestUnfinishedSeeds(t *testing.T) {
	st := testStudy(t)
	req := SearchRequest{SearchConfig: SearchConfig{Policy: "random", Space: full, Objective: objective.OfParams().Spec(), Budget: 5}, Seeds: []int64{3, 4}}
	s, err := StartSearch(st, req)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	req.Seeds = []int64{2, 3, 4, 5}
	if left, err := req.Unfinished(st); err != nil || !slices.Equal(left, []int64{2, 5}) {
		t.Errorf("left are %v, %v", left, err)
	}
	req.Fresh = true
	if left, err := req.Unfinished(st); err != nil || len(left) != 4 {
		t.Errorf("anew are %v, %v", left, err)
	}
}

// fakeWatcher keeps what it hears and ends a search early.
type fakeWatcher struct {
	heard []Evaluation
	limit int
}

func (w *fakeWatcher) Progress(int, int, map[string]any) {}
func (w *fakeWatcher) Event(string, any) error           { return nil }
func (w *fakeWatcher) Evaluated(e Evaluation) error {
	w.heard = append(w.heard, e)
	if len(w.heard) == w.limit {
		return policy.ErrBudget
	}
	return nil
}

func TestWatcherHearsOfEveryEvaluation(t *testing.T) {
	w := &fakeWatcher{limit: 30}
	r, err := RunSearch(t.Context(), SearchConfig{Policy: "evolution", Space: full, Objective: objective.OfParams().Spec(), Budget: 100}, 1, w)
	if err != nil {
		t.Fatal(err)
	}
	var improved []int
	for i, e := range w.heard {
		if e.Number != i+1 {
			t.Errorf("evaluation %d is number %d", i+1, e.Number)
		}
		if e.Improved {
			improved = append(improved, e.Number)
		}
	}
	var trace []int
	for _, p := range r.Trace {
		trace = append(trace, p.Evaluations)
	}
	if r.Evaluations != 30 || !slices.Equal(improved, trace) {
		t.Errorf("%d evaluations, improved at %v, the trace changes at %v", r.Evaluations, improved, trace)
	}
}

func TestUnfinishedTrainings(t *testing.T) {
	st, err := jobs.OpenStudy(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sp, err := space.NASBench101(7)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := SampleRandom(sp, []int64{1, 2}, MeasureUnique)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := data.ResolveSynthetic(data.SyntheticSpec{}.EnsureDefaults())
	if err != nil {
		t.Fatal(err)
	}
	req := TrainingRequest{
		Archs: []Found{drawn[0], drawn[1], drawn[0]}, Data: entry.Spec(), Seeds: []int64{5, 6},
		Protocol: train.ProtocolFor(drawn[0].Arch, entry.Set()),
	}
	left, err := req.Unfinished(st)
	if err != nil || !slices.Equal(left, []int{0, 1, 0, 1}) {
		t.Errorf("left are %v (%v): the third is the first again", left, err)
	}
}
