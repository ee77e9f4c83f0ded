package policy

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

func nasbench(t testing.TB, maxVertices int) *space.NASBench {
	t.Helper()
	s, err := space.NASBench101(maxVertices)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func darts(t testing.TB, nodes int) *space.DARTSSpace {
	t.Helper()
	s, err := space.DARTS(nodes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// quick is a configuration for tests that do not look at what is found: what learns is
// small.
func quick(info *Info) Config {
	switch info.Name {
	case "enas":
		return Config{"hidden": 8}
	case "nao":
		return Config{"hidden": 12, "pool": 20, "predictor_epochs": 2, "expand": 1, "max_step": 5}
	case "bananas":
		return Config{"ensemble": 2, "layers": 2, "width": 5, "epochs": 5}
	}
	return nil
}

// eachPolicyAndSpace goes through the policies that search with any objective.
func eachPolicyAndSpace(t *testing.T, f func(t *testing.T, info *Info, s space.Space)) {
	spaces := []space.Space{
		fakeSpace{nodes: 4, ops: 3}, flatSpace{4, 3, 5, 2, 6}, nasbench(t, 4), nasbench(t, 5), nasbench(t, 7), darts(t, 4), darts(t, 5), cells(t, 3, 3),
	}
	for _, info := range All() {
		for _, s := range spaces {
			if info.Name == "nao" && s.Size().Int64() == 91 {
				continue // of which it reaches 15, too few for these tests
			}
			if info.Shares != Must && info.Needs(s) == nil {
				t.Run(info.Name+"/"+s.String(), func(t *testing.T) { f(t, info, s) })
			}
		}
	}
}

// What the errors of Needs promise.
func TestSpacesThatPoliciesCanSearch(t *testing.T) {
	for _, c := range []struct {
		s    space.Space
		want string
	}{
		{nasbench(t, 4), "random evolution local_search successive_halving reinforce bananas enas nao spos fairnas darts fbnet"},
		{nasbench(t, 5), "random evolution local_search successive_halving reinforce bananas enas nao spos fairnas darts fbnet"},
		{nasbench(t, 6), "random evolution local_search successive_halving reinforce bananas enas nao spos fairnas darts fbnet"},
		{nasbench(t, 7), "random evolution local_search successive_halving reinforce bananas enas nao spos fairnas darts fbnet"},
		{nasbench(t, 2), "random evolution local_search successive_halving reinforce bananas spos fairnas"}, // one architecture
		{darts(t, 4), "random evolution local_search successive_halving reinforce bananas spos fairnas darts fbnet"},
		{darts(t, 5), "random evolution local_search successive_halving reinforce bananas enas nao spos fairnas"},
		{flatSpace{4, 3}, "random evolution local_search successive_halving reinforce bananas enas nao spos"},
		{cells(t, 3, 3), "random evolution local_search successive_halving reinforce bananas enas nao spos"},
	} {
		var can []string
		for _, info := range All() {
			if info.Needs(c.s) == nil {
				can = append(can, info.Name)
			}
		}
		if got := strings.Join(can, " "); got != c.want {
			t.Errorf("%s can be searched by %s, want %s", c.s, got, c.want)
		}
	}
}

// rugged is an objective in 0..1 with many local optima and hardly a tie.
func rugged(a space.Arch) float64 {
	h := fnv.New64a()
	h.Write([]byte(a.Hash()))
	return rng.New(int64(h.Sum64()), "rugged").Float64()
}

func runOn(t testing.TB, name string, cfg Config, s space.Space, seed int64, budget int, objective func(space.Arch) float64) *run {
	t.Helper()
	p, r := problem(s, seed, budget, objective)
	return search(t, name, cfg, p, r)
}

func TestBudgetIsSpentExactly(t *testing.T) {
	eachPolicyAndSpace(t, func(t *testing.T, info *Info, s space.Space) {
		for _, budget := range []int{1, 2, 3, 9, 49, 50, 51, 83} {
			r := runOn(t, info.Name, quick(info), s, 1268, budget, rugged)
			if r.err == nil { // it says that nothing is left
				q, _ := space.SequencesOf(s)
				if distinct := len(slices.Compact(slices.Sorted(slices.Values(r.hashes)))); int64(distinct) != q.Reachable().Int64() {
					t.Errorf("budget %d: it ends after %d of %s architectures", budget, distinct, q.Reachable())
				}
				continue
			}
			if len(r.values) != budget || !errors.Is(r.err, ErrBudget) {
				t.Errorf("budget %d: %d evaluations, error %v", budget, len(r.values), r.err)
			}
		}
	})
}

func TestSeedDecidesTheTrace(t *testing.T) {
	eachPolicyAndSpace(t, func(t *testing.T, info *Info, s space.Space) {
		budget := 120
		if info.Name == "nao" {
			budget = 60 // some rounds of learning, each of which takes seconds
		}
		a := runOn(t, info.Name, quick(info), s, 1268, budget, rugged)
		b := runOn(t, info.Name, quick(info), s, 1268, budget, rugged)
		c := runOn(t, info.Name, quick(info), s, 1269, budget, rugged)
		if !slices.Equal(a.hashes, b.hashes) || !slices.Equal(a.events, b.events) {
			t.Error("one seed gave two traces")
		}
		if slices.Equal(a.hashes, c.hashes) {
			t.Error("two seeds gave one trace")
		}
	})
}

// Two policies under one seed must not start from the same draws (objection 8
// of the evaluation notes).
func TestPoliciesShareNoDraws(t *testing.T) {
	s := nasbench(t, 7)
	seen := make(map[string]string)
	for _, info := range All() {
		if info.Shares == Must {
			continue
		}
		start := strings.Join(runOn(t, info.Name, quick(info), s, 1268, 3, rugged).hashes, " ")
		if other, ok := seen[start]; ok {
			t.Errorf("%s and %s begin with the same three draws", info.Name, other)
		}
		seen[start] = info.Name
	}
}

func TestContextEndsTheSearchBetweenEvaluations(t *testing.T) {
	eachPolicyAndSpace(t, func(t *testing.T, info *Info, s space.Space) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		p, r := problem(s, 1, 1000, rugged)
		evaluate := p.Evaluate
		p.Evaluate = func(a space.Arch) (float64, error) {
			if len(r.values) == 62 {
				cancel()
			}
			return evaluate(a)
		}
		pol, err := info.New(quick(info))
		if err != nil {
			t.Fatal(err)
		}
		if err := pol.Search(ctx, p); !errors.Is(err, context.Canceled) || len(r.values) != 63 {
			t.Errorf("cancelled in evaluation 63: %d evaluations, error %v", len(r.values), err)
		}
	})
}

func TestEvaluationErrorIsPassedOn(t *testing.T) {
	broken := errors.New("trainer broke")
	eachPolicyAndSpace(t, func(t *testing.T, info *Info, s space.Space) {
		for _, at := range []int{0, 1, 9, 10, 49, 50, 69} {
			n := 0
			p := &Problem{Space: s, Budget: 100, Seed: 3, Evaluate: func(a space.Arch) (float64, error) {
				if n++; n > at {
					return 0, broken
				}
				return rugged(a), nil
			}}
			withEpochs(p)
			pol, err := info.New(quick(info))
			if err != nil {
				t.Fatal(err)
			}
			if err := pol.Search(context.Background(), p); !errors.Is(err, broken) || n != at+1 {
				t.Fatalf("failure of evaluation %d: error %v after %d", at+1, err, n)
			}
		}
	})
}

func TestNaNIsRefused(t *testing.T) {
	eachPolicyAndSpace(t, func(t *testing.T, info *Info, s space.Space) {
		p, _ := problem(s, 3, 100, func(space.Arch) float64 { return math.NaN() })
		pol, err := info.New(quick(info))
		if err != nil {
			t.Fatal(err)
		}
		if err := pol.Search(context.Background(), p); err == nil || !strings.Contains(err.Error(), "not a number") {
			t.Errorf("error %v", err)
		}
	})
}

func TestSpaceWithoutTheAbility(t *testing.T) {
	bare := plainSpace{fakeSpace{nodes: 2, ops: 3}}
	for _, info := range All() {
		err := info.Needs(bare)
		if info.Name == "random" || info.Name == "spos" || info.Name == "successive_halving" {
			if err != nil {
				t.Errorf("%s needs nothing, yet: %v", info.Name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "fake_space(nodes=2)") || !strings.Contains(err.Error(), "nasbench101(") {
			t.Errorf("%s: the error must name the space and those that do: %v", info.Name, err)
			continue
		}
		p, r := problem(bare, 1, 10, rugged)
		if info.Shares == Must {
			p.Weights = new(fakeMix) // nothing may be asked of it
		}
		pol, newErr := info.New(nil)
		if newErr != nil {
			t.Fatal(newErr)
		}
		if got := pol.Search(context.Background(), p); got == nil || got.Error() != err.Error() || len(r.values) != 0 {
			t.Errorf("%s: Search says %v after %d evaluations, Needs says %v", info.Name, got, len(r.values), err)
		}
	}
}

// chiSquareP is the probability of counts at least as uneven as these under
// equal chances.
func chiSquareP(counts []float64) float64 {
	want := make([]float64, len(counts))
	for i := range want {
		for _, c := range counts {
			want[i] += c / float64(len(counts))
		}
	}
	return distuv.ChiSquared{K: float64(len(counts) - 1)}.Survival(stat.ChiSquare(counts, want))
}

func TestRandomIsUniform(t *testing.T) {
	s := nasbench(t, 4)
	counts := make([]float64, s.Len())
	runOn(t, "random", nil, s, 1268, 200*s.Len(), func(a space.Arch) float64 {
		i, ok := s.Index(a)
		if !ok {
			t.Fatalf("%s is drawn and not in the space", a)
		}
		counts[i]++
		return 0
	})
	if p := chiSquareP(counts); len(counts) != 91 || p < 1e-3 || p > 1-1e-3 {
		t.Errorf("draws over %d architectures: chi-square p = %g", len(counts), p)
	}
}

// With the tournament as large as the population, the parent is the best of
// the last population evaluations, whatever was found before: the oldest died.
func TestEvolutionOldestDies(t *testing.T) {
	s := fakeSpace{nodes: 4, ops: 3}
	const population = 7
	byHash := make(map[string]space.Arch)
	p, r := problem(s, 5, 300, func(a space.Arch) float64 {
		byHash[a.Hash()] = a
		return rugged(a)
	})
	search(t, "evolution", Config{"population": population, "tournament": population}, p, r)
	lost := false
	for i := population; i < len(r.hashes); i++ {
		parent := i - population
		for j := i - population; j < i; j++ {
			if r.values[j] > r.values[parent] {
				parent = j
			}
		}
		if !slices.ContainsFunc(s.Neighbours(byHash[r.hashes[parent]]), func(a space.Arch) bool { return a.Hash() == r.hashes[i] }) {
			t.Fatalf("evaluation %d is no mutation of the best of the %d before it", i, population)
		}
		lost = lost || slices.Max(r.values[:i]) > r.values[parent]
	}
	if !lost {
		t.Error("the best ever never died of age in 300 evaluations: the test shows nothing")
	}
}

func TestTournamentIsWithoutReplacement(t *testing.T) {
	e := &evolution{population: 5, tournament: 5}
	var alive []member
	for i := range 5 {
		alive = append(alive, member{fakeArch{i}, float64(i)})
	}
	for seed := range int64(200) {
		if got := e.parent(alive, rng.New(seed, "t")); got.Hash() != "[4]" {
			t.Fatalf("seed %d: a tournament of everyone was won by %s", seed, got)
		}
	}
}

// advantage is how much better a policy is than random search on params(): the
// mean over seeds of the difference, of the best or of the mean evaluation,
// with its 95 % t interval.
func advantage(t testing.TB, name string, s space.Space, budget int, ofMean bool) (mean, half float64) {
	const seeds = 20
	result := func(name string, seed int64) float64 {
		r := runOn(t, name, nil, s, seed, budget, params)
		if ofMean {
			return stat.Mean(r.values, nil)
		}
		return r.best
	}
	var d []float64
	for seed := int64(1268); seed < 1268+seeds; seed++ {
		d = append(d, result(name, seed)-result("random", seed))
	}
	mean, sd := stat.MeanStdDev(d, nil)
	return mean, distuv.StudentsT{Sigma: 1, Nu: seeds - 1}.Quantile(.975) * sd / math.Sqrt(seeds)
}

func TestGuidedPoliciesBeatRandomOnASmoothObjective(t *testing.T) {
	for _, c := range []struct {
		policy string
		s      space.Space
		mean   bool // compare the mean of all evaluations, not the best
	}{
		{"evolution", fakeSpace{nodes: 5, ops: 5}, false},
		{"local_search", fakeSpace{nodes: 5, ops: 5}, false},
		{"local_search", nasbench(t, 7), false},
		// The reference's mutation flips three edges on average, and params()
		// jumps with each: evolution draws better cells than random search, but
		// the best of them is no better for it.
		{"evolution", nasbench(t, 7), true},
	} {
		mean, half := advantage(t, c.policy, c.s, 150, c.mean)
		t.Logf("%s minus random at 150 evaluations of params() on %s: %.4g +- %.2g", c.policy, c.s, mean, half)
		if mean-half <= 0 {
			t.Errorf("%s on %s is not better than random: %.3g +- %.3g", c.policy, c.s, mean, half)
		}
	}
}

func TestLocalSearchEndsInLocalOptima(t *testing.T) {
	s := fakeSpace{nodes: 3, ops: 3}
	for _, move := range []string{"best", "first"} {
		optima := 0
		byValue := make(map[float64]space.Arch)
		p, r := problem(s, 11, 1<<30, func(a space.Arch) float64 {
			byValue[rugged(a)] = a
			return rugged(a)
		})
		p.Log = func(event string, values map[string]float64) {
			if event != "local_optimum" {
				t.Fatalf("unknown event %q", event)
			}
			optima++
			for _, n := range s.Neighbours(byValue[values["value"]]) {
				if rugged(n) > values["value"] {
					t.Errorf("move=%s: %g is reported as an optimum beside %g", move, values["value"], rugged(n))
				}
			}
		}
		if search(t, "local_search", Config{"move": move}, p, r); r.err != nil {
			t.Errorf("move=%s: the whole space is evaluated, yet error %v", move, r.err)
		}
		slices.Sort(r.hashes)
		if n := len(slices.Compact(r.hashes)); n != len(r.values) || n != len(s.all()) {
			t.Errorf("move=%s: %d evaluations of %d architectures in a space of %d", move, len(r.values), n, len(s.all()))
		}
		if optima < 2 {
			t.Errorf("move=%s: %d optima in a rugged landscape", move, optima)
		}
	}
}

func TestSampleSequence(t *testing.T) {
	s := fakeSpace{nodes: 2, ops: 3, outside: func(seq []int) bool { return seq[3] == seq[1] }}
	counts := make(map[string]float64)
	r := rng.New(1, "sequence")
	for range 6000 {
		a, err := SampleSequence(s, r)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Contains(a); err != nil {
			t.Fatal(err)
		}
		counts[a.Hash()]++
	}
	var list []float64
	for _, c := range counts {
		list = append(list, c)
	}
	if p := chiSquareP(list); len(list) != 12 || p < 1e-3 {
		t.Errorf("%d of 12 architectures drawn, chi-square p = %g", len(list), p)
	}
	reached := make(map[string]bool)
	for four := nasbench(t, 4); int64(len(reached)) < four.Reachable().Int64(); {
		a, err := SampleSequence(four, r)
		if err != nil {
			t.Fatal(err)
		}
		reached[a.Hash()] = true
	}
	s.outside = func([]int) bool { return true }
	if _, err := SampleSequence(s, r); err == nil || !strings.Contains(err.Error(), "fake_space(nodes=2)") {
		t.Errorf("a space without any sequence: error %v", err)
	}
}

// cells is a space of cells whose operations are names alone.
func cells(t testing.TB, nodes, perNode int) space.Space {
	t.Helper()
	s, err := space.Cells(space.CellsOptions{Nodes: nodes, PerNode: perNode, Operations: []string{"sep_conv_3x3", "attention", "none"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
