package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// relaxationOf is the Sharer of a policy, with random logits of deviation 1.
func relaxationOf(t *testing.T, name string, cfg Config, s space.Space) *relaxation {
	t.Helper()
	info, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := info.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	code, err := relaxedCodeOf(name, s)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := problem(s, 1, 10, rugged)
	r := &relaxation{relaxed: pol.(*relaxed), p: p, code: code, logits: code.initial(10, p.Rand(name, "init"))}
	draws := rng.New(9, "logits")
	for _, v := range r.logits {
		for o := range v {
			v[o] = gaussian(draws)
		}
	}
	return r
}

// The gradient with respect to the logits is that of the loss, by central differences,
// with a loss that is not linear in the mixture and with the noise of one draw.
func TestChainAgainstFiniteDifferences(t *testing.T) {
	for _, s := range []space.Space{nasbench(t, 6), darts(t, 4)} {
		for _, temperature := range []float64{1, 0.3, 5} {
			r := relaxationOf(t, "fbnet", nil, s)
			loss := func() float64 {
				sum := 0.0
				for i, v := range r.mixture(r.softmax(temperature, rng.New(3, "noise"))) {
					for o, w := range v {
						sum += math.Sin(float64(3*i+o)) * w * w
					}
				}
				return sum
			}
			probabilities := r.softmax(temperature, rng.New(3, "noise"))
			grad := r.mixture(probabilities)
			for i, v := range grad {
				for o := range v {
					v[o] *= 2 * math.Sin(float64(3*i+o))
				}
			}
			got := r.chain(probabilities, grad, temperature)
			const h = 1e-5
			for i, v := range r.logits {
				for o := range v {
					was := v[o]
					v[o] = was + h
					up := loss()
					v[o] = was - h
					down := loss()
					v[o] = was
					if want := (up - down) / (2 * h); math.Abs(got[i][o]-want) > 1e-8 {
						t.Fatalf("%s, T=%g, logit %d of vector %d: gradient %.10g, differences %.10g", s, temperature, o, i, got[i][o], want)
					}
				}
			}
		}
	}
}

// What the logits weigh, from the formula.
func TestSoftmaxAtATemperature(t *testing.T) {
	r := relaxationOf(t, "fbnet", Config{"noise": false}, nasbench(t, 3))
	r.logits = [][]float64{{0, 2}, {1, 2, 3}}
	got := r.softmax(2, nil)
	sum := math.Exp(.5) + math.Exp(1) + math.Exp(1.5)
	for i, want := range [][]float64{{1 / (1 + math.E), math.E / (1 + math.E)}, {math.Exp(.5) / sum, math.Exp(1) / sum, math.Exp(1.5) / sum}} {
		for o, w := range want {
			if math.Abs(got[i][o]-w) > 1e-15 {
				t.Errorf("option %d of vector %d weighs %g, want %g", o, i, got[i][o], w)
			}
		}
	}
}

// Without a slope the decay is all that moves the logits: by the learning rate towards
// zero, because Adam's first step has the size of its rate.
func TestDecayOfTheLogits(t *testing.T) {
	s := nasbench(t, 4)
	for _, decay := range []float64{0, .5} {
		f := fresh(s)
		f.epochs, f.steps = 1, 1
		for _, v := range f.slope {
			clear(v)
		}
		share(t, "darts", Config{"weight_decay": decay, "learning_rate": 0.25}, s, 1, f)
		want := "[[0 10] [0 10 10] [0 0 0] [0 0 0]]"
		if decay > 0 {
			want = "[[0 9.75] [0 9.75 9.75] [0 0 0] [0 0 0]]"
		}
		logits := f.sharer.(*relaxation).logits
		for _, v := range logits {
			for o := range v {
				v[o] = math.Round(v[o]*1e6) / 1e6
			}
		}
		if got := fmt.Sprint(logits); got != want {
			t.Errorf("decay %g: logits %s, want %s", decay, got, want)
		}
	}
}

// FBNet without noise at temperature 1 is DARTS, to the bit.
func TestFBNetWithoutNoiseIsDARTS(t *testing.T) {
	for _, s := range []space.Space{nasbench(t, 5), darts(t, 4)} {
		d, f := fresh(s), fresh(s)
		share(t, "darts", Config{"order": 1, "learning_rate": 0.02, "weight_decay": 0.1}, s, 1, d)
		share(t, "fbnet", Config{"order": 1, "learning_rate": 0.02, "weight_decay": 0.1, "temperature": 1, "cooling": 0, "noise": false}, s, 1, f)
		if s.Spec().Name == "darts" {
			// The initial logits are draws of each policy's own.
			df, ff := d.sharer.(*relaxation).code.initial(0, rng.New(1, "darts", "init")), f.sharer.(*relaxation).code.initial(0, rng.New(1, "fbnet", "init"))
			if fmt.Sprint(df) == fmt.Sprint(ff) {
				t.Error("two policies begin with one draw")
			}
			continue
		}
		if fmt.Sprint(d.mixtures, d.graded) != fmt.Sprint(f.mixtures, f.graded) {
			t.Errorf("%s: DARTS and FBNet without noise mix differently", s)
		}
	}
	r := relaxationOf(t, "fbnet", Config{"noise": false}, darts(t, 4))
	l := relaxationOf(t, "darts", nil, darts(t, 4))
	if fmt.Sprint(r.softmax(1, nil)) != fmt.Sprint(l.softmax(1, nil)) {
		t.Error("equal logits mix differently")
	}
}

// What the supernet is given: shares that sum to 1 where nothing is hidden, and ones at
// the output.
func TestMixtures(t *testing.T) {
	for _, name := range []string{"darts", "fbnet"} {
		for _, s := range []space.Space{nasbench(t, 3), nasbench(t, 7), darts(t, 4)} {
			f := fresh(s)
			share(t, name, nil, s, 2, f)
			if len(f.mixtures) != 20 || len(f.graded) != 20 {
				t.Fatalf("%s on %s: %d mixtures and %d gradients in 20 steps", name, s, len(f.mixtures), len(f.graded))
			}
			n := 0
			if b, ok := s.(*space.NASBench); ok {
				n = b.MaxVertices() - 2
			}
			for _, m := range slices.Concat(f.mixtures, f.graded) {
				for i, v := range m {
					sum := 0.0
					for _, w := range v {
						sum += w
					}
					switch {
					case n > 0 && i == 2*n:
						if sum != float64(n+1) {
							t.Fatalf("%s: the output takes %v", name, v)
						}
					case i < n: // without the share of "no edge"
						if sum <= 0 || sum >= 1 {
							t.Fatalf("%s: predecessors share %g", name, sum)
						}
					case math.Abs(sum-1) > 1e-14:
						t.Fatalf("%s: vector %d sums to %g", name, i, sum)
					}
				}
			}
			same := 0
			for i := range f.mixtures {
				if fmt.Sprint(f.mixtures[i]) == fmt.Sprint(f.graded[i]) {
					same++
				}
			}
			if same != 0 {
				t.Errorf("%s on %s: validation and training saw one mixture %d times: no step, or one draw of noise", name, s, same)
			}
		}
	}
}

func TestOrderOfTheGradient(t *testing.T) {
	for _, c := range []struct {
		policy string
		cfg    Config
		s      space.Space
		want   int
	}{
		{"darts", nil, nasbench(t, 4), 20}, {"darts", nil, darts(t, 4), 0}, {"fbnet", nil, nasbench(t, 4), 0},
		{"darts", Config{"order": 1}, nasbench(t, 4), 0}, {"darts", Config{"order": 2}, darts(t, 4), 20}, {"fbnet", Config{"order": 2}, nasbench(t, 4), 20},
	} {
		f := fresh(c.s)
		share(t, c.policy, c.cfg, c.s, 1, f)
		if f.unrolled != c.want {
			t.Errorf("%s %v on %s: %d of 20 gradients of second order, want %d", c.policy, c.cfg, c.s, f.unrolled, c.want)
		}
	}
}

// Numbers of section 2.1 of the audit: 0 for no edge and for operations, 10 for
// predecessors; deviation 0.001 in the DARTS space.
func TestInitialLogits(t *testing.T) {
	s := nasbench(t, 5)
	if got := fmt.Sprint(nasbenchCode{s}.initial(10, nil)); got != "[[0 10] [0 10 10] [0 10 10 10] [0 0 0] [0 0 0] [0 0 0]]" {
		t.Errorf("%s begins with %s", s, got)
	}
	var all []float64
	for seed := range int64(40) {
		logits := dartsCode{darts(t, 4)}.initial(10, rng.New(seed, "init"))
		if len(logits) != 28 {
			t.Fatalf("%d edges, want 2 x 14", len(logits))
		}
		for _, v := range logits {
			all = append(all, v...)
		}
	}
	// 8,960 draws: Kolmogorov-Smirnov against the normal distribution.
	slices.Sort(all)
	far := 0.0
	for i, x := range all {
		p := distuv.Normal{Sigma: 1e-3}.CDF(x)
		far = max(far, math.Abs(p-float64(i)/float64(len(all))), math.Abs(p-float64(i+1)/float64(len(all))))
	}
	if limit := 1.95 / math.Sqrt(float64(len(all))); far > limit {
		t.Errorf("logits are %g from normal, more than %g (p = 0.001)", far, limit)
	}
}

func TestTemperatureAndGumbel(t *testing.T) {
	r := relaxationOf(t, "fbnet", nil, nasbench(t, 4))
	// Section 2.4: the floor is reached at epoch 103.
	for epoch, want := range map[int]float64{0: 5, 10: 5 * math.Exp(-.45), 102: 5 * math.Exp(-.045*102), 103: .05, 199: .05} {
		if got := r.temperature(epoch); math.Abs(got-want) > 1e-12 {
			t.Errorf("temperature of epoch %d: %g, want %g", epoch, got, want)
		}
	}
	s := rng.New(4, "gumbel")
	var draws []float64
	for range 100_000 {
		draws = append(draws, gumbel(s))
	}
	// Mean Euler's constant, variance pi^2/6.
	mean, variance := stat.MeanVariance(draws, nil)
	if math.Abs(mean-0.5772) > .02 || math.Abs(variance-math.Pi*math.Pi/6) > .06 {
		t.Errorf("Gumbel draws have mean %g and variance %g", mean, variance)
	}
}

// rigged is a fakeMix whose loss falls with the weight of one choice each.
func rigged(s space.Space, choices []int) *fakeMix {
	f := fresh(s)
	f.epochs, f.steps = 3, 150
	for i, v := range f.slope {
		clear(v)
		if i < len(choices) && choices[i] >= 0 {
			v[choices[i]] = -1
		}
	}
	return f
}

func TestRelaxationsFindWhatTheGradientsFavour(t *testing.T) {
	four := nasbench(t, 6)
	c := nasbenchCode{four}
	choices := []int{1, 2, 1, 3, 1, 0, 2, 1} // predecessors with none as 0, then operations
	at, ok := c.decode(choices)
	if !ok {
		t.Fatal("the favoured cell is outside the space")
	}
	favoured := slices.Clone(choices)
	for v := range 4 {
		favoured[v]-- // the mixture has no "none"
	}
	var edges []int
	for i := range 28 {
		edges = append(edges, 1+i%7)
	}
	edges[firstEdge(2)], edges[14+firstEdge(3)+2] = 0, 0 // favour "none"
	for _, name := range []string{"darts", "fbnet"} {
		cfg := Config{"learning_rate": 0.1, "weight_decay": 0}
		if name == "fbnet" {
			cfg["cooling"] = 1
		}
		r := share(t, name, cfg, four, 3, rigged(four, favoured))
		if len(r.hashes) != 1 || r.hashes[0] != four.At(at).Hash() {
			t.Errorf("%s on %s chose %v, gradients favour %s", name, four, r.arch, four.At(at))
		}
		f := rigged(darts(t, 4), edges)
		r = share(t, name, cfg, darts(t, 4), 3, f)
		if len(r.hashes) != 1 || len(f.pools[0]) != 1 || f.pools[2][0] != r.hashes[0] {
			t.Fatalf("%s: %d evaluations, pools %v", name, len(r.hashes), f.pools)
		}
		g := r.arch.(*space.Genotype)
		ops := space.SearchOperations()
		for cell, d := range []space.DARTSCell{g.Normal(), g.Reduce()} {
			for i, e := range d.Edges {
				want := edges[14*cell+firstEdge(i/2)+e.Input]
				if want == 0 || e.Op != ops[want] {
					t.Errorf("%s kept %+v of node %d; gradients favour %s", name, e, i/2, ops[want])
				}
			}
		}
		rater := f.sharer.(Rater)
		best, ok := rater.Rate(g)
		draws := rng.New(1, "others")
		for range 50 {
			other, okOther := rater.Rate(darts(t, 4).Sample(draws))
			if !ok || !okOther || other > best {
				t.Errorf("%s rates its choice %g and another %g", name, best, other)
			}
		}
		if _, ok := rater.Rate(four.At(0)); ok {
			t.Error("a cell of another space is rated")
		}
	}
}

func TestDeriveDARTSCell(t *testing.T) {
	flat := make([][]float64, 14)
	for i := range flat {
		flat[i] = []float64{9, 1, 1, 1, 1, 1, 1, 1}
	}
	// Ties keep the lower inputs and the lower operation; "none" counts for nothing.
	cell := deriveCell(flat)
	for i, e := range cell.Edges {
		if e.Input != i%2 || e.Op != "max_pool_3x3" {
			t.Errorf("edge %d of equal ones is %+v", i, e)
		}
	}
	flat[firstEdge(2)+3][7], flat[firstEdge(2)+1][4] = 2, 3
	flat[firstEdge(3)+4][2] = 2
	cell = deriveCell(flat)
	want := []space.DARTSEdge{{Op: "sep_conv_3x3", Input: 1}, {Op: "dil_conv_5x5", Input: 3}, {Op: "max_pool_3x3", Input: 0}, {Op: "avg_pool_3x3", Input: 4}}
	if !slices.Equal(cell.Edges[4:], want) {
		t.Errorf("nodes 2 and 3 keep %v, want %v", cell.Edges[4:], want)
	}
	if firstEdge(4) != 14 {
		t.Errorf("%d edges of four nodes, want 14", firstEdge(4))
	}
}

// 19, 101 and 596 are those of the audit's section 0. The fourth is ours: with all of
// five vertices at the output it would be 596 again.
func TestRelaxedReachable(t *testing.T) {
	for interior, want := range []int{0, 4, 19, 101, 596, 3386, 0} {
		if got := RelaxedReachable(interior); got != want {
			t.Errorf("%d vertices: %d cells can be derived, want %d", interior, got, want)
		}
	}
}

// Of five vertices, chains and trees with up to three leaves fit.
func TestDecodeWithinNineEdges(t *testing.T) {
	c := nasbenchCode{nasbench(t, 7)}
	for _, k := range []struct {
		from  []int
		edges int // 0 for outside
	}{
		{[]int{0, 0, 0, 0, 0}, 1},
		{[]int{1, 1, 1, 1, 0}, 9},         // four vertices: all at the output
		{[]int{1, 2, 3, 4, 5}, 5 + 1 + 1}, // one leaf
		{[]int{1, 2, 2, 2, 1}, 0},         // four leaves: 10 edges
		{[]int{1, 2, 2, 3, 1}, 5 + 3 + 1}, // three leaves
		{[]int{1, 1, 1, 1, 1}, 0},         // five leaves
		{[]int{0, 2, 3, 4, 5}, 1},         // all hang on a vertex without input
		{[]int{0, 2, 1, 4, 5}, 3 + 3 + 1}, // three of them are reached
	} {
		at, ok := c.decode(append(slices.Clone(k.from), 0, 1, 2, 0, 1))
		if ok != (k.edges > 0) {
			t.Errorf("%v: in the space %v", k.from, ok)
		} else if ok && c.space.At(at).(*space.Cell).Edges() != k.edges {
			t.Errorf("%v: %s, want %d edges", k.from, c.space.At(at), k.edges)
		}
	}
}

// Ratings are the logarithms of how often architectures are drawn.
func TestRateIsTheLogLikelihood(t *testing.T) {
	s := nasbench(t, 5)
	r := relaxationOf(t, "darts", nil, s)
	logs := r.logs()
	draws, counts := rng.New(5, "rate"), make(map[int]float64)
	const n = 200_000
	pool, outside := r.code.derive(logs, n, draws)
	if len(pool) < 90 || len(pool) > RelaxedReachable(3) || outside != 0 {
		t.Errorf("a pool of %d of %d, %d samples outside", len(pool), RelaxedReachable(3), outside)
	}
	draws = rng.New(5, "rate")
	choices := make([]int, len(logs))
	for range n {
		for i, v := range logs {
			chances := make([]float64, len(v))
			for o, l := range v {
				chances[o] = math.Exp(l)
			}
			choices[i] = pick(chances, draws.Float64())
		}
		at, _ := nasbenchCode{s}.decode(choices)
		counts[at]++
	}
	before := math.Inf(1)
	for _, a := range pool {
		log, ok := r.Rate(a)
		if !ok {
			t.Fatalf("%s was drawn and is not rated", a)
		}
		at, _ := s.Index(a)
		if want := math.Exp(log) * n; math.Abs(counts[at]-want) > 5*math.Sqrt(want)+1 {
			t.Errorf("%s came %g times of %d, its rating says %g", a, counts[at], n, want)
		}
		if counts[at] > before {
			t.Error("the pool is not in order of frequency")
		}
		before = counts[at]
	}
	rated, total := 0, 0.0
	for i := range s.Len() {
		if log, ok := r.Rate(s.At(i)); ok {
			rated++
			total += math.Exp(log)
		}
	}
	if math.Abs(total-1) > 1e-12 {
		t.Errorf("the likelihoods of all cells sum to %.15g", total)
	}
	if rated != RelaxedReachable(3) {
		t.Errorf("%d cells of %s are rated, %d can be derived", rated, s, RelaxedReachable(3))
	}
}

// The baseline reaches what derivation does, and is uniform over choices, not over cells.
func TestSampleRelaxed(t *testing.T) {
	s := nasbench(t, 4)
	r := rng.New(1, "relaxed")
	counts := make(map[string]float64)
	const n = 30_000
	for range n {
		a, err := SampleRelaxed(s, r)
		if err != nil {
			t.Fatal(err)
		}
		counts[a.Hash()]++
	}
	if len(counts) != RelaxedReachable(2) {
		t.Errorf("%d cells were drawn, want %d", len(counts), RelaxedReachable(2))
	}
	// No vertex is alive in 1/2 of the draws of the first (none) times 2/3 of the
	// second (none, or the first, which is dead).
	alone, err := space.NewCell([][]int{{0, 1}, {0, 0}}, []string{"input", "output"})
	if err != nil {
		t.Fatal(err)
	}
	if got := counts[alone.Hash()]; math.Abs(got-n/3) > 5*math.Sqrt(n*2./9) {
		t.Errorf("the cell without vertices came %g times of %d, want a third", got, n)
	}
	seven := nasbench(t, 7)
	for range 1000 {
		a, err := SampleRelaxed(seven, r)
		if err != nil || seven.Contains(a) != nil {
			t.Fatalf("%v, %v", a, err)
		}
	}
	if _, err := SampleRelaxed(nasbench(t, 2), r); err == nil || !strings.Contains(err.Error(), "nothing to decide") {
		t.Errorf("a space without choices: error %v", err)
	}
}

func TestRelaxationRefuses(t *testing.T) {
	s := nasbench(t, 4)
	for _, c := range []struct {
		change func(*fakeMix)
		want   string
	}{
		{func(f *fakeMix) { f.shape = nil }, "darts: the supernet mixes vectors of []"},
		{func(f *fakeMix) { f.shape = f.shape[1:] }, "nasbench101(max_vertices=4) needs [1 2 3 3 3]"},
		{func(f *fakeMix) { f.slope[2][1] = math.NaN() }, "darts: the gradient of the validation loss is NaN"},
		{func(f *fakeMix) {
			f.from = &fakePoint{state: []byte(`{"logits": [[1, 2], [1], [1, 1, 1], [1, 1, 1]]}`)}
		}, "darts: the state of the policy is not one of nasbench101(max_vertices=4)"},
	} {
		f := fresh(s)
		c.change(f)
		p, _ := problem(s, 1, 10, rugged)
		p.Weights = f
		pol, err := dartsInfo.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := pol.Search(t.Context(), p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	for _, s := range []space.Space{nasbench(t, 2), darts(t, 5), fakeSpace{nodes: 2, ops: 3}} {
		if err := dartsInfo.Needs(s); err == nil || !strings.Contains(err.Error(), s.String()) {
			t.Errorf("darts on %s: error %v", s, err)
		}
	}
}
