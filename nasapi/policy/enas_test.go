package policy

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// One architecture has value 1 and all others 0. The controller cannot learn
// to draw nothing else, because its logits are bounded, but it must draw it
// several times as often as the same controller that does not learn.
func TestENASConcentratesOnTheBestArchitecture(t *testing.T) {
	s := fakeSpace{nodes: 2, ops: 3}
	best := fakeArch{0, 2, 1, 0}
	share := func(rate float64) float64 {
		n := 0
		const seeds, budget, tail = 4, 3000, 500
		for seed := int64(1); seed <= seeds; seed++ {
			p, r := problem(s, seed, budget, func(a space.Arch) float64 {
				if a.Hash() == best.Hash() {
					return 1
				}
				return 0
			})
			p.Unit = true
			for _, h := range search(t, "enas", Config{"learning_rate": rate, "hidden": 16}, p, r).hashes[budget-tail:] {
				if h == best.Hash() {
					n++
				}
			}
		}
		return float64(n) / (seeds * tail)
	}
	learnt, initial := share(0.0035), share(0)
	t.Logf("share of the best: %.3f, without learning %.3f", learnt, initial)
	if learnt < 3*initial || initial == 0 {
		t.Errorf("share of the best is %.3f, without learning %.3f", learnt, initial)
	}
}

// On the real space and an objective that needs scaling: over ten seeds the
// draws of the second half are better than those of the first.
func TestENASImprovesOnParams(t *testing.T) {
	s := nasbench(t, 7)
	better := 0
	for seed := int64(1268); seed < 1278; seed++ {
		v := runOn(t, "enas", Config{"hidden": 16}, s, seed, 600, params).values
		first, second := 0.0, 0.0
		for i := range 300 {
			first += v[i]
			second += v[300+i]
		}
		if second > first {
			better++
		}
	}
	// A policy that learns nothing has 9 or more of 10 with probability 0.011.
	if better < 9 {
		t.Errorf("the second half is better in %d of 10 seeds", better)
	}
}

func TestENASIsTheSameOnOneAndOnManyThreads(t *testing.T) {
	trace := func(threads int) *run {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		return runOn(t, "enas", nil, nasbench(t, 7), 1268, 60, params)
	}
	one, eight := trace(1), trace(8)
	if !slices.Equal(one.hashes, eight.hashes) || !slices.Equal(one.events, eight.events) {
		t.Error("1 and 8 threads gave two traces")
	}
	if len(one.events) != 6 {
		t.Errorf("60 evaluations in batches of 10 made %d updates", len(one.events))
	}
}

// The digest of all weights after five updates was computed on linux/amd64;
// another one means other results, and that the numerics version must change.
func TestENASWeightsToTheBit(t *testing.T) {
	s := shapeFor(t, fakeSpace{nodes: 5, ops: 3}, 64)
	l, err := newLearner(s, s.initial(rng.New(1268, "init")), 10, 0.0035)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	r := rng.New(1268, "sample")
	for range 5 {
		fill(s, l, r)
		if _, err := l.step(); err != nil {
			t.Fatal(err)
		}
	}
	h := sha256.New()
	if err := binary.Write(h, binary.LittleEndian, l.packed); err != nil {
		t.Fatal(err)
	}
	const want = "95d945ca4bfd678c"
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

// fill puts a batch of samples with arbitrary coefficients into l.
func fill(s *controllerShape, l *learner, r *rng.Stream) {
	w := s.cut(l.packed)
	for b := range l.coefficients {
		l.set(b, s.run(w, sampling(r)), r.Float64()-0.5)
	}
}

// Gorgonia's graph, machine and binding of gradients add nothing of their own:
// its steps are those of operation, gradient operation and solver by hand, and
// no gradient is left over from one step to the next.
func TestLearnerStepsAreTheOperationsByHand(t *testing.T) {
	s := shapeFor(t, fakeSpace{nodes: 3, ops: 3}, 8)
	start := s.initial(rng.New(1, "init"))
	byHand := slices.Clone(start)
	l, err := newLearner(s, start, 4, 0.01)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	solver := &adam{rate: 0.01, beta1: 0.1, beta2: 0.999, eps: 1e-3}
	r := rng.New(1, "sample")
	for step := range 4 {
		fill(s, l, r)
		in := opInputs(byHand, [][]int{l.sequences}, l.coefficients)
		want := lossAt(t, s, byHand, [][]int{l.sequences}, l.coefficients)
		g, err := lossGradOp{lossOp{s, nil}}.Do(append(in, G.NewF64(1))...)
		if err != nil {
			t.Fatal(err)
		}
		if err := solver.Step([]G.ValueGrad{&pair{byHand, g.Data().([]float64)}}); err != nil {
			t.Fatal(err)
		}
		got, err := l.step()
		if err != nil {
			t.Fatal(err)
		}
		if got != want || !slices.Equal(l.packed, byHand) {
			t.Fatalf("step %d: loss %v, by hand %v; weights equal: %v", step, got, want, slices.Equal(l.packed, byHand))
		}
	}
	if slices.Equal(byHand, s.initial(rng.New(1, "init"))) {
		t.Error("the weights did not move")
	}
}

// pair is a parameter with its gradient outside of a graph.
type pair struct{ w, g []float64 }

func vector(x []float64) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x))
}

func (p *pair) Value() G.Value         { return vector(p.w) }
func (p *pair) Grad() (G.Value, error) { return vector(p.g), nil }

func TestAdamIsGorgoniasAndPyTorchs(t *testing.T) {
	ours := &adam{rate: 0.0035, beta1: 0.1, beta2: 0.999, eps: 1e-3}
	theirs := G.NewAdamSolver(G.WithLearnRate(0.0035), G.WithBeta1(0.1), G.WithBeta2(0.999), G.WithEps(1e-3))
	const n = 50
	r := rng.New(1, "adam")
	a, b := make([]float64, n), make([]float64, n)
	m, v := make([]float64, n), make([]float64, n)
	for step := 1; step <= 40; step++ {
		g := make([]float64, n)
		before := slices.Clone(a)
		for i := range g {
			g[i] = (r.Float64() - 0.5) * math.Pow(10, float64(i%7-4))
		}
		if err := theirs.Step([]G.ValueGrad{&pair{b, slices.Clone(g)}}); err != nil {
			t.Fatal(err)
		}
		mine := &pair{a, slices.Clone(g)}
		if err := ours.Step([]G.ValueGrad{mine}); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(mine.g, func(d float64) bool { return d != 0 }) {
			t.Fatal("the gradient is not cleared")
		}
		for i := range a {
			// PyTorch's torch.optim.Adam, line by line.
			m[i] = 0.1*m[i] + 0.9*g[i]
			v[i] = 0.999*v[i] + 0.001*g[i]*g[i]
			denominator := math.Sqrt(v[i])/math.Sqrt(1-math.Pow(0.999, float64(step))) + 1e-3
			want := before[i] - 0.0035/(1-math.Pow(0.1, float64(step)))*m[i]/denominator
			if math.Abs(a[i]-want) > 1e-13 || math.Abs(a[i]-b[i]) > 1e-12 {
				t.Fatalf("step %d, weight %d: %v, PyTorch %v, Gorgonia %v", step, i, a[i], want, b[i])
			}
		}
	}
}

func TestAdamRefuses(t *testing.T) {
	for name, p := range map[string]*pair{"lengths": {make([]float64, 2), make([]float64, 3)}} {
		if err := (&adam{rate: 1}).Step([]G.ValueGrad{p}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	a, p := &adam{rate: 1}, &pair{make([]float64, 2), make([]float64, 2)}
	if err := a.Step([]G.ValueGrad{p}); err != nil {
		t.Fatal(err)
	}
	if err := a.Step([]G.ValueGrad{p, p}); err == nil {
		t.Error("a model that grew is accepted")
	}
}

// Batches of one, no learning, rewards 1, 0, 0: the baseline starts at the
// first reward, moves by 1 % before use, and lasts from update to update.
func TestBaselineIsKeptBetweenUpdates(t *testing.T) {
	n := 0
	p, r := problem(fakeSpace{nodes: 2, ops: 3}, 1, 3, func(space.Arch) float64 {
		if n++; n == 1 {
			return 1
		}
		return 0
	})
	p.Unit = true
	var got, loss []float64
	p.Log = func(event string, values map[string]float64) {
		got, loss = append(got, values["baseline"]), append(loss, values["loss"])
	}
	search(t, "enas", Config{"batch": 1, "learning_rate": 0.0, "entropy_weight": 0.0, "reward_scale": 1.0, "hidden": 4}, p, r)
	want := []float64{1, 0.99, 0.9801}
	for i := range want {
		if len(got) != 3 || math.Abs(got[i]-want[i]) > 1e-15 {
			t.Fatalf("baselines %v, want %v", got, want)
		}
	}
	// nll is positive and 0 - baseline negative; the first advantage is zero.
	if loss[0] != 0 || loss[1] >= 0 || loss[2] >= 0 {
		t.Errorf("losses %v", loss)
	}
}

func TestRewardScale(t *testing.T) {
	for _, c := range []struct {
		name         string
		unit         bool
		values, want []float64
	}{
		{"unit values stay", true, []float64{0.93, 0.1, 0}, []float64{0.93, 0.1, 0}},
		{"range so far", false, []float64{10, 10, 20, 15, 0, 5}, []float64{0.5, 0.5, 1, 0.5, 0, 0.25}},
		{"negated", false, []float64{-3e6, -1e6, -2e6}, []float64{0.5, 1, 0.5}},
		{"huge", false, []float64{-math.MaxFloat64, math.MaxFloat64, 0}, []float64{0.5, 1, 0.5}},
	} {
		s := rewardScale{unit: c.unit}
		for i, v := range c.values {
			if got := s.of(v); got != c.want[i] {
				t.Errorf("%s: value %d is scaled to %v, want %v", c.name, i, got, c.want[i])
			}
		}
	}
}

func TestENASSkipsSequencesOutsideTheSpace(t *testing.T) {
	s := fakeSpace{nodes: 3, ops: 3, outside: func(seq []int) bool { return seq[1] != 2 }}
	p, r := problem(s, 1, 40, rugged)
	outside := 0.0
	p.Log = func(event string, values map[string]float64) { outside = values["outside"] }
	search(t, "enas", Config{"hidden": 8}, p, r)
	if len(r.values) != 40 || outside < 40 {
		t.Errorf("%d evaluations, %v sequences outside", len(r.values), outside)
	}
	for _, h := range r.hashes {
		if !strings.HasPrefix(h[3:], "2") {
			t.Fatalf("%s was evaluated though it is outside", h)
		}
	}
}

func TestENASGivesUpWhereNothingDecodes(t *testing.T) {
	s := fakeSpace{nodes: 1, ops: 3, outside: func([]int) bool { return true }}
	pol, err := enasInfo.New(Config{"hidden": 2})
	if err != nil {
		t.Fatal(err)
	}
	p, r := problem(s, 1, 40, rugged)
	if err := pol.Search(context.Background(), p); err == nil || !strings.Contains(err.Error(), "10000 sequences in a row outside fake_space(nodes=1)") || len(r.values) != 0 {
		t.Errorf("error %v after %d evaluations", err, len(r.values))
	}
}

func TestENASBudgetInMidBatch(t *testing.T) {
	r := runOn(t, "enas", Config{"hidden": 8}, fakeSpace{nodes: 2, ops: 3}, 1, 15, rugged)
	if len(r.values) != 15 || len(r.events) != 1 {
		t.Errorf("%d evaluations and %d updates, want 15 and 1", len(r.values), len(r.events))
	}
}

func TestENASRefusesInfiniteRewards(t *testing.T) {
	pol, err := enasInfo.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := problem(fakeSpace{nodes: 2, ops: 3}, 1, 15, func(space.Arch) float64 { return math.Inf(-1) })
	if err := pol.Search(context.Background(), p); err == nil || !strings.Contains(err.Error(), "must be finite") {
		t.Errorf("error %v", err)
	}
}
