package policy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// rungs runs successive halving and returns what it asked for: "4:27 12:9 ...".
func rungs(t *testing.T, cfg Config, s space.Space, budget int, value func(space.Arch, int) float64) string {
	t.Helper()
	var list []string
	epochs, n := 0, 0
	p := &Problem{Space: s, Budget: budget, Seed: 1, Fidelities: []int{4, 12, 36, 108}}
	left := budget
	p.EvaluateAt = func(a space.Arch, e int) (float64, error) {
		if left == 0 {
			return 0, ErrBudget
		}
		left--
		if e != epochs && n > 0 {
			list = append(list, fmt.Sprintf("%d:%d", epochs, n))
			n = 0
		}
		epochs = e
		n++
		return value(a, e), nil
	}
	pol, err := successiveHalvingInfo.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := pol.Search(context.Background(), p); !errors.Is(err, ErrBudget) {
		t.Fatal(err)
	}
	return strings.Join(append(list, fmt.Sprintf("%d:%d", epochs, n)), " ")
}

// By hand from the formula of the Hyperband paper's algorithm 1, n = ceil((s_max + 1) /
// (s + 1) eta^s) with s_max = 3 and eta = 3: 27, 12, 6 and 4, of which a third goes on. The
// last two brackets end and begin on the highest rung.
func TestSuccessiveHalvingRungs(t *testing.T) {
	s := nasbench(t, 7)
	byHash := func(a space.Arch, _ int) float64 { return rugged(a) }
	for _, c := range []struct {
		cfg    Config
		s      space.Space
		budget int
		want   string
	}{
		{nil, s, 80, "4:27 12:9 36:3 108:1 4:27 12:9 36:3 108:1"},
		{nil, s, 30, "4:27 12:3"},
		{nil, s, 1, "4:1"},
		{Config{"arms": 5, "eta": 2}, s, 9, "4:5 12:2 36:1 108:1"},
		{Config{"arms": 1}, s, 5, "4:1 12:1 36:1 108:1 4:1"},
		{Config{"hyperband": true}, s, 27 + 9 + 3 + 1 + 12 + 4 + 1 + 6 + 2 + 4 + 27, "4:27 12:9 36:3 108:1 12:12 36:4 108:1 36:6 108:6 4:27"},
		{Config{"arms": 1_000_000, "eta": 1000}, nasbench(t, 3), 20, "4:7 12:1 36:1 108:1 4:7 12:1 36:1 108:1"},
	} {
		if got := rungs(t, c.cfg, c.s, c.budget, byHash); got != c.want {
			t.Errorf("%v, %d look-ups: %s, want %s", c.cfg, c.budget, got, c.want)
		}
	}
}

// Who goes on is the best of its rung, and a bracket draws nothing twice.
func TestSuccessiveHalvingKeepsTheBest(t *testing.T) {
	var asked []member
	var at []int
	value := func(a space.Arch, e int) float64 {
		v := rng.New(int64(e), a.Hash()).Float64()
		asked, at = append(asked, member{a, v}), append(at, e)
		return v
	}
	rungs(t, nil, nasbench(t, 4), 40, value)
	from := 0
	for _, size := range []int{27, 9, 3} {
		rung, next := asked[from:from+size], asked[from+size:from+size+size/3]
		seen := map[string]bool{}
		for _, m := range rung {
			seen[m.arch.Hash()] = true
		}
		if len(seen) != size {
			t.Errorf("%d distinct architectures of %d after %d epochs", len(seen), size, at[from])
		}
		sorted := slices.Clone(rung)
		slices.SortFunc(sorted, func(a, b member) int { return int(math.Copysign(1, b.value-a.value)) })
		for i, m := range next {
			if m.arch.Hash() != sorted[i].arch.Hash() {
				t.Errorf("place %d after %d epochs does not go on", i, at[from])
			}
		}
		from += size
	}
}

func TestSuccessiveHalvingWithoutRungs(t *testing.T) {
	p, r := problem(nasbench(t, 4), 1, 10, rugged)
	p.Fidelities = nil
	pol, err := successiveHalvingInfo.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pol.Search(context.Background(), p); err == nil || !strings.Contains(err.Error(), "one number of epochs") || len(r.values) > 0 {
		t.Errorf("error %v after %d evaluations", err, len(r.values))
	}
}

// Every architecture of a space can be drawn, and each is what its decisions say.
func TestDecisionsReachTheWholeSpace(t *testing.T) {
	for _, s := range []space.Space{nasbench(t, 2), nasbench(t, 3), nasbench(t, 4), fakeSpace{nodes: 3, ops: 2}, flatSpace{4, 3}} {
		d, err := decisionsOf(s)
		if err != nil {
			t.Fatal(err)
		}
		reached := map[string]bool{}
		chosen := make([]int, len(d.options))
		for more := true; more; {
			switch a, err := d.build(chosen); {
			case err == nil:
				if err := s.Contains(a); err != nil {
					t.Fatal(err)
				}
				reached[a.Hash()] = true
			case !errors.Is(err, space.ErrOutside):
				t.Fatalf("%s: %v: %v", s, chosen, err)
			}
			more = false
			for i := range chosen {
				if chosen[i]++; chosen[i] < d.options[i] {
					more = true
					break
				}
				chosen[i] = 0
			}
		}
		if int64(len(reached)) != s.Size().Int64() {
			t.Errorf("%s: decisions reach %d of %s", s, len(reached), s.Size())
		}
	}
	for _, s := range []space.Space{nasbench(t, 7), darts(t, 4), darts(t, 5)} {
		d, err := decisionsOf(s)
		if err != nil {
			t.Fatal(err)
		}
		draws, hits := rng.New(2, "decisions"), 0
		for range 2000 {
			chosen := make([]int, len(d.options))
			for i, n := range d.options {
				chosen[i] = draws.IntN(n)
			}
			a, err := d.build(chosen)
			if err == nil && s.Contains(a) == nil {
				hits++
			} else if !errors.Is(err, space.ErrOutside) {
				t.Fatalf("%s: %v", s, err)
			}
		}
		if hits < 40 {
			t.Errorf("%s: %d of 2000 draws are in the space", s, hits)
		}
	}
}

// One step moves the logits along the gradient of the log probability of the draw, which
// central differences know: tolerance that of steps of 1e-5 in double precision.
func TestReinforceFollowsTheGradient(t *testing.T) {
	s := flatSpace{4, 3, 2}
	d, err := decisionsOf(s)
	if err != nil {
		t.Fatal(err)
	}
	value := 0.2
	p, _ := problem(s, 1, 10, func(space.Arch) float64 { return value })
	p.Unit = true
	r := &reinforceRun{
		reinforce: &reinforce{rate: 0.5, scale: 2, momentum: 0.9}, p: p, decisions: d, draws: rng.New(1, "x"),
		reward: rewardScale{unit: true}, average: movingAverage{momentum: 0.9}, chosen: make([]int, 3),
	}
	start := rng.New(2, "logits")
	for _, n := range d.options {
		logits := make([]float64, n)
		for i := range logits {
			logits[i] = 2*start.Float64() - 1
		}
		r.logits, r.shares = append(r.logits, logits), append(r.shares, make([]float64, n))
	}
	r.average.after(2 * 0.6) // an earlier reward
	value = 0.9
	// The average of two rewards without the bias of the beginning.
	baseline := (0.9*0.1*(2*0.6) + 0.1*(2*0.9)) / (0.9*0.1 + 0.1)
	var before [][]float64
	for _, l := range r.logits {
		before = append(before, slices.Clone(l))
	}
	if err := r.step(context.Background()); err != nil {
		t.Fatal(err)
	}
	logProbability := func(i int, logits []float64) float64 { return logits[r.chosen[i]] - detmath.LogSumExp(logits) }
	for i, logits := range before {
		for o := range logits {
			const h = 1e-5
			l := slices.Clone(logits)
			l[o] += h
			slope := logProbability(i, l)
			l[o] -= 2 * h
			slope = (slope - logProbability(i, l)) / (2 * h)
			if want := logits[o] + 0.5*(2*0.9-baseline)*slope; math.Abs(r.logits[i][o]-want) > 1e-9 {
				t.Errorf("decision %d, option %d: %v, want %v", i, o, r.logits[i][o], want)
			}
		}
	}
}

// A distribution that has left the space says so instead of drawing for ever.
func TestReinforceOutside(t *testing.T) {
	s := fakeSpace{nodes: 2, ops: 3, outside: func(seq []int) bool { return true }}
	p, _ := problem(s, 1, 10, rugged)
	pol, err := reinforceInfo.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pol.Search(context.Background(), p); err == nil || !strings.Contains(err.Error(), "lower learning_rate") {
		t.Errorf("error %v", err)
	}
}

func TestInfiniteValuesCannotBeLearnt(t *testing.T) {
	for _, name := range []string{"reinforce", "bananas", "nao", "enas"} {
		info, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := problem(nasbench(t, 5), 1, 100, func(space.Arch) float64 { return math.Inf(-1) })
		pol, err := info.New(quick(info))
		if err != nil {
			t.Fatal(err)
		}
		if err := pol.Search(context.Background(), p); err == nil || !strings.Contains(err.Error(), "finite") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// What is evaluated once is not evaluated again, and equal values, however large, are no
// trouble.
func TestPredictorsEvaluateNothingTwice(t *testing.T) {
	for _, name := range []string{"bananas", "nao"} {
		for what, value := range map[string]func(space.Arch) float64{
			"rugged": rugged, "equal": func(space.Arch) float64 { return 3 },
			"huge": func(a space.Arch) float64 { return (rugged(a) - 0.5) * math.MaxFloat64 },
		} {
			info, err := Lookup(name)
			if err != nil {
				t.Fatal(err)
			}
			p, r := problem(nasbench(t, 5), 1, 80, value)
			search(t, name, quick(info), p, r)
			if n := len(slices.Compact(slices.Sorted(slices.Values(r.hashes)))); n != len(r.hashes) || n < 80 {
				t.Errorf("%s, %s values: %d distinct of %d", name, what, n, len(r.hashes))
			}
		}
	}
}

// A round of each finds better ones than the draws that it began with: the mean of the
// evaluations after them, over seeds, by more than twice its standard error. The objective
// is smooth in both encodings.
func TestPredictorsImproveOnTheirDraws(t *testing.T) {
	if testing.Short() {
		t.Skip("the time of what learns is not at hand in short tests")
	}
	for name, c := range map[string]struct {
		s             space.Space
		cfg           Config
		first, budget int
	}{
		"bananas": {nasbench(t, 7), Config{"ensemble": 3, "layers": 3, "epochs": 40}, 10, 40},
		"nao":     {fakeSpace{nodes: 4, ops: 3}, Config{"pool": 60, "predictor_epochs": 50, "expand": 3, "hidden": 16, "learning_rate": 0.006, "random": 0}, 60, 90},
	} {
		t.Run(name, func(t *testing.T) {
			const seeds = 6
			var leads []float64
			for seed := range int64(seeds) {
				r := runOn(t, name, c.cfg, c.s, seed, c.budget, params)
				leads = append(leads, stat.Mean(r.values[c.first:], nil)-stat.Mean(r.values[:c.first], nil))
			}
			mean, sd := stat.MeanStdDev(leads, nil)
			t.Logf("it leads its draws by %.3g +- %.2g", mean, sd/math.Sqrt(seeds))
			if mean < 2*sd/math.Sqrt(seeds) {
				t.Errorf("it leads its draws by %.3g, standard deviation of the seeds %.3g", mean, sd)
			}
		})
	}
}
