package policy

import (
	"fmt"
	"math"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// shapeFor is a controller of the default constants over a space.
func shapeFor(t testing.TB, s space.Sequences, hidden int) *controllerShape {
	t.Helper()
	l, err := newLayout(s)
	if err != nil {
		t.Fatal(err)
	}
	return &controllerShape{layout: l, hidden: hidden, temperature: 5, indexTanh: 1.10, opTanh: 0.44, opBias: 0.25}
}

// pairSpace has two cell inputs and two indices and two operations a node, the
// form of ENAS's own cells.
type pairSpace struct{ fakeSpace }

func (s pairSpace) Choices() []space.Choice {
	var list []space.Choice
	for i := range s.nodes {
		for range 2 {
			list = append(list, space.Choice{Node: i, Index: true, N: 2 + i}, space.Choice{Node: i, N: s.ops})
		}
	}
	return list
}

// twoCells has two cells of the form of pairSpace.
type twoCells struct{ pairSpace }

func (s twoCells) Choices() []space.Choice {
	list := s.pairSpace.Choices()
	for _, c := range s.pairSpace.Choices() {
		c.Node += s.nodes
		list = append(list, c)
	}
	return list
}

func controllerSpaces() map[string]space.Sequences {
	return map[string]space.Sequences{
		"two cells":  twoCells{pairSpace{fakeSpace{nodes: 2, ops: 4}}},
		"one input":  fakeSpace{nodes: 5, ops: 3},
		"two inputs": pairSpace{fakeSpace{nodes: 3, ops: 5}},
		"one op":     fakeSpace{nodes: 2, ops: 1},
		"no indices": flatSpace{2, 3, 2},
	}
}

// lossAt evaluates the operation outside of a graph.
func lossAt(t testing.TB, s *controllerShape, packed []float64, seqs [][]int, coefficients []float64) float64 {
	t.Helper()
	v, err := lossOp{s, nil}.Do(opInputs(packed, seqs, coefficients)...)
	if err != nil {
		t.Fatal(err)
	}
	return v.Data().(float64)
}

func opInputs(packed []float64, seqs [][]int, coefficients []float64) []G.Value {
	flat := slices.Concat(seqs...)
	return []G.Value{
		tensor.New(tensor.WithShape(len(packed)), tensor.WithBacking(packed)),
		tensor.New(tensor.WithShape(len(seqs), len(seqs[0])), tensor.WithBacking(flat)),
		tensor.New(tensor.WithShape(len(coefficients)), tensor.WithBacking(coefficients)),
	}
}

// Every parameter of every group against central differences. The loss is near
// 50, so that with steps of 1e-5 rounding costs up to about 2e-9, and truncation
// (1e-10 times the third derivative) less: tolerance 1e-8 + 1e-7 relative.
func TestGradientAgainstFiniteDifferences(t *testing.T) {
	for name, sp := range controllerSpaces() {
		t.Run(name, func(t *testing.T) {
			s := shapeFor(t, sp, 6)
			// Weights larger than the initial ones, so that no part of the
			// network is nearly linear and no derivative nearly zero.
			r := rng.New(1, "gradient", name)
			packed := make([]float64, s.size())
			for i := range packed {
				packed[i] = 1.6*r.Float64() - 0.8
			}
			w := s.cut(packed)
			var seqs [][]int
			for range 6 {
				seqs = append(seqs, s.run(w, sampling(r)).seq)
			}
			coefficients := []float64{0.7, -0.4, 0.1, 1.3, -2, 0.5}
			const upstream = 1.5
			got, err := lossGradOp{lossOp{s, nil}}.Do(append(opInputs(packed, seqs, coefficients), G.NewF64(upstream))...)
			if err != nil {
				t.Fatal(err)
			}
			g := s.cut(got.Data().([]float64))
			for _, part := range []struct {
				name string
				w, g []float64
			}{
				{"embedding", w.embedding, g.embedding},
				{"input to hidden", w.inputHid, g.inputHid}, {"hidden to hidden", w.hidHid, g.hidHid},
				{"input bias", w.biasInput, g.biasInput}, {"hidden bias", w.biasHid, g.biasHid},
				{"operation weights", w.opHid, g.opHid}, {"operation bias", w.opBias, g.opBias},
				{"keys", w.keyHid, g.keyHid}, {"query", w.queryHid, g.queryHid}, {"attention", w.attention, g.attention},
			} {
				largest := 0.0
				for i, have := range part.g {
					want := upstream * difference(t, s, packed, seqs, coefficients, &part.w[i])
					if math.Abs(have-want) > 1e-8+1e-7*math.Abs(want) {
						t.Errorf("%s[%d]: gradient %.12g, differences %.12g", part.name, i, have, want)
					}
					largest = max(largest, math.Abs(want))
				}
				// With one operation there is nothing to learn about operations, without
				// indices nothing about attention.
				attends := part.name == "keys" || part.name == "query" || part.name == "attention"
				if attends && !sp.Choices()[0].Index {
					continue
				}
				if largest < 1e-4 && sp.Choices()[1].N > 1 {
					t.Errorf("%s: all derivatives are below 1e-4: the comparison shows nothing", part.name)
				}
			}
		})
	}
}

func difference(t *testing.T, s *controllerShape, packed []float64, seqs [][]int, coefficients []float64, at *float64) float64 {
	const h = 1e-5
	keep := *at
	defer func() { *at = keep }()
	*at = keep + h
	up := lossAt(t, s, packed, seqs, coefficients)
	*at = keep - h
	return (up - lossAt(t, s, packed, seqs, coefficients)) / (2 * h)
}

// The probabilities of all sequences sum to one, and the operation finds for a
// sampled sequence the log probability that sampling booked, bit for bit.
func TestSampledProbabilityIsThatOfTheOperation(t *testing.T) {
	sp := fakeSpace{nodes: 3, ops: 3}
	s := shapeFor(t, sp, 8)
	packed := s.initial(rng.New(1, "init"))
	total := 0.0
	for _, a := range sp.all() {
		total += math.Exp(-lossAt(t, s, packed, [][]int{a.(fakeArch)}, []float64{1}))
	}
	if math.Abs(total-1) > 1e-12 {
		t.Errorf("probabilities sum to %.15g", total)
	}
	r := rng.New(1, "sample")
	for range 50 {
		roll := s.run(s.cut(packed), sampling(r))
		if got := lossAt(t, s, packed, [][]int{roll.seq}, []float64{1}); got != roll.nll {
			t.Fatalf("sequence %v: sampled with nll %v, operation says %v", roll.seq, roll.nll, got)
		}
	}
}

func TestSamplesHaveTheProbabilitiesOfTheController(t *testing.T) {
	sp := fakeSpace{nodes: 2, ops: 3}
	s := shapeFor(t, sp, 8)
	w := s.cut(s.initial(rng.New(2, "init")))
	const draws = 20000
	counts := make(map[string]float64)
	r := rng.New(2, "sample")
	for range draws {
		counts[fakeArch(s.run(w, sampling(r)).seq).Hash()]++
	}
	chi := 0.0
	for _, a := range sp.all() {
		want := draws * math.Exp(-s.run(w, following(a.(fakeArch))).nll)
		chi += (counts[a.Hash()] - want) * (counts[a.Hash()] - want) / want
	}
	// 17 degrees of freedom: 99.9 % of draws lie below 40.8.
	if chi > 40.8 {
		t.Errorf("chi-square %.1f over 18 sequences", chi)
	}
}

// Hand-checked facts of the reference's initial controller: the first two
// operations have a bias of 10, so tanh(10/5) x 0.44 + 0.25, the others
// tanh(0) x 0.44 - 0.25, up to the small weights; entropy is that of prob.
func TestInitialController(t *testing.T) {
	s := shapeFor(t, fakeSpace{nodes: 5, ops: 3}, 64)
	packed := s.initial(rng.New(3, "init"))
	if want := 4*64 + 2*4*64*64 + 2*4*64 + 3*64 + 3 + 2*64*64 + 64; len(packed) != want {
		t.Fatalf("%d weights, want %d", len(packed), want)
	}
	w := s.cut(packed)
	for i, v := range packed {
		if v < -0.1 || v > 0.1 {
			if !slices.Equal(w.opBias, []float64{10, 10, 0}) || v != 10 {
				t.Fatalf("weight %d is %v", i, v)
			}
		}
	}
	roll := s.run(w, following(make([]int, 10)))
	first, other := math.Exp(0.44*math.Tanh(2)+0.25), math.Exp(-0.25)
	entropy, nll := 0.0, 0.0
	for _, d := range roll.decisions {
		if !d.index {
			want := []float64{first, first, other}
			for i, p := range d.prob {
				if w := want[i] / (2*first + other); math.Abs(p-w) > 0.02 {
					t.Errorf("operation %d has probability %v, want about %v", i, p, w)
				}
			}
		}
		for _, p := range d.prob {
			entropy -= p * math.Log(p)
		}
		nll -= math.Log(d.prob[d.chosen])
	}
	if math.Abs(entropy-roll.entropy) > 1e-12 || math.Abs(nll-roll.nll) > 1e-12 {
		t.Errorf("entropy %v and nll %v, want %v and %v", roll.entropy, roll.nll, entropy, nll)
	}
	// One LSTM step a cell input, then three a node: index, operation, anchor.
	if len(roll.steps) != 1+3*5 || len(roll.anchors) != 6 || len(roll.decisions) != 10 {
		t.Errorf("%d steps, %d anchors, %d decisions", len(roll.steps), len(roll.anchors), len(roll.decisions))
	}
}

// The order of decisions: all indices of a node before its operations, while
// the sequence keeps index and operation side by side.
func TestDecisionOrder(t *testing.T) {
	s := shapeFor(t, pairSpace{fakeSpace{nodes: 2, ops: 3}}, 4)
	var order []int
	s.run(s.cut(s.initial(rng.New(1, "init"))), func(at int, prob []float64) int {
		order = append(order, at)
		return 0
	})
	if want := []int{0, 2, 1, 3, 4, 6, 5, 7}; !slices.Equal(order, want) {
		t.Errorf("positions decided in order %v, want %v", order, want)
	}
}

// ENAS's own space: the second cell has inputs of its own, which cost two steps more,
// and decides among them and its own nodes; the fixed bias is the first cell's alone.
func TestTheSecondCellGoesOnFromTheFirst(t *testing.T) {
	s := shapeFor(t, darts(t, 5), 16)
	w := s.cut(s.initial(rng.New(3, "init")))
	d := darts(t, 5)
	draw := rng.New(4, "sample")
	for range 20 {
		roll := s.run(w, sampling(draw))
		if _, err := d.Decode(roll.seq); err != nil {
			t.Fatal(err)
		}
		// A cell: two steps of inputs, then of a node two indices, two operations, an anchor.
		if len(roll.steps) != 2*(2+5*5) || len(roll.anchors) != 2*7 || len(roll.decisions) != 40 {
			t.Fatalf("%d steps, %d anchors, %d decisions", len(roll.steps), len(roll.anchors), len(roll.decisions))
		}
		for i, c := range roll.decisions {
			node := i % 20 / 4
			want, first := 5, math.Exp(0.44*math.Tanh(2))
			if c.index {
				if want = 2 + node; c.first != i/20*7 {
					t.Errorf("decision %d begins at anchor %d", i, c.first)
				}
			} else {
				other := 1.0
				if i < 20 {
					first, other = first*math.Exp(0.25), math.Exp(-0.25)
				}
				if p := first / (2*first + 3*other); math.Abs(c.prob[0]-p) > 0.02 {
					t.Errorf("decision %d: the first operation has probability %v, want about %v", i, c.prob[0], p)
				}
			}
			if len(c.prob) != want {
				t.Errorf("decision %d has %d options, want %d", i, len(c.prob), want)
			}
		}
	}
	// What the first cell did moves the second one's probabilities; its anchors are not read.
	zeros := make([]int, 40)
	other := slices.Clone(zeros)
	other[1], other[13] = 3, 2
	a, b := s.run(w, following(zeros)), s.run(w, following(other))
	if slices.Equal(a.decisions[20].prob, b.decisions[20].prob) {
		t.Error("the second cell does not see the first one")
	}
	last := make([]int, 40)
	last[36] = 5 // the last node reads its cell's node 3
	roll := s.run(w, following(last))
	fed := 0
	for _, st := range roll.steps {
		if st.row < 0 && st.anchor != cellInput {
			fed++
			if st.anchor != 7+5 {
				t.Errorf("anchor %d is fed, want the sixth of the second cell's", st.anchor)
			}
		}
	}
	if fed != 1 {
		t.Errorf("%d steps are fed an anchor, want 1", fed)
	}
}

func TestLayoutRefuses(t *testing.T) {
	for name, choices := range map[string][]space.Choice{
		"nothing to decide": {},
		"index too wide":    {{Node: 0, Index: true, N: 1}, {Node: 0, N: 3}, {Node: 1, Index: true, N: 3}},
		"other operations":  {{Node: 0, Index: true, N: 1}, {Node: 0, N: 4}},
		"operations beyond": {{Node: 0, Index: true, N: 1}, {Node: 0, N: 2, First: 2}},
		"node skipped":      {{Node: 0, Index: true, N: 1}, {Node: 2, N: 3}},
		"node again":        {{Node: 0, Index: true, N: 1}, {Node: 1, Index: true, N: 2}, {Node: 0, N: 3}},
	} {
		s := oddSpace{fakeSpace{nodes: 1, ops: 3}, choices}
		if l, err := newLayout(s); err == nil {
			t.Errorf("%s: accepted as %+v", name, l)
		}
		if err := enasInfo.Needs(s); err == nil {
			t.Errorf("%s: Needs is satisfied", name)
		}
	}
}

type oddSpace struct {
	fakeSpace
	choices []space.Choice
}

func (s oddSpace) Choices() []space.Choice { return s.choices }

func TestOperationRefusesBadInputs(t *testing.T) {
	s := shapeFor(t, fakeSpace{nodes: 2, ops: 3}, 4)
	packed := make([]float64, s.size())
	for name, in := range map[string][]G.Value{
		"index too large":  opInputs(packed, [][]int{{1, 0, 0, 0}}, []float64{1}),
		"op too large":     opInputs(packed, [][]int{{0, 3, 0, 0}}, []float64{1}),
		"negative":         opInputs(packed, [][]int{{0, 0, -1, 0}}, []float64{1}),
		"too few weights":  opInputs(packed[1:], [][]int{{0, 0, 0, 0}}, []float64{1}),
		"short sequence":   opInputs(packed, [][]int{{0, 0, 0}}, []float64{1}),
		"two coefficients": opInputs(packed, [][]int{{0, 0, 0, 0}}, []float64{1, 1}),
		"a scalar":         {G.NewF64(1), G.NewF64(1), G.NewF64(1)},
		"one input":        {G.NewF64(1)},
	} {
		if v, err := (lossOp{s, nil}).Do(in...); err == nil {
			t.Errorf("%s: loss %v", name, v)
		}
		if v, err := (lossGradOp{lossOp{s, nil}}).Do(append(in, G.NewF64(1))...); err == nil {
			t.Errorf("%s: gradient %v", name, v)
		}
	}
}

func BenchmarkController(b *testing.B) {
	for _, n := range []int{2, 5} {
		s := shapeFor(b, fakeSpace{nodes: n, ops: 3}, 64)
		r := rng.New(1, "bench")
		packed := s.initial(r)
		b.Run(fmt.Sprintf("sample/n=%d", n), func(b *testing.B) {
			w := s.cut(packed)
			for b.Loop() {
				s.run(w, sampling(r))
			}
		})
		// One update as the search does it: ten samples, loss, gradient, Adam.
		b.Run(fmt.Sprintf("update10/n=%d", n), func(b *testing.B) {
			l, err := newLearner(s, packed, 10, 0.0035)
			if err != nil {
				b.Fatal(err)
			}
			defer l.close()
			for b.Loop() {
				w := s.cut(l.packed)
				for i := range 10 {
					l.set(i, s.run(w, sampling(r)), 0.01*float64(i-5))
				}
				if _, err := l.step(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Passes that belong to other weights or another sequence must not be used.
func TestMemoIsOnlyUsedWhereItHolds(t *testing.T) {
	s := shapeFor(t, fakeSpace{nodes: 3, ops: 3}, 4)
	packed := s.initial(rng.New(1, "init"))
	other := s.initial(rng.New(2, "init"))
	seq, elsewhere := []int{0, 1, 1, 2, 0, 0}, []int{0, 1, 1, 2, 0, 1}
	wrong := &rollout{seq: seq, nll: 1e9}
	op := lossOp{s, &memo{packed: packed, rollouts: []*rollout{wrong}}}
	for name, c := range map[string]struct {
		packed []float64
		seq    []int
		used   bool
	}{
		"same":           {packed, seq, true},
		"other weights":  {other, seq, false},
		"other sequence": {packed, elsewhere, false},
	} {
		v, err := op.Do(opInputs(c.packed, [][]int{c.seq}, []float64{1})...)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Data().(float64) == 1e9; got != c.used {
			t.Errorf("%s: memo used: %v", name, got)
		}
	}
}
