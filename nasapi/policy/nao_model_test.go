package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/rng"
)

// naoShapes are small models of both forms, with sizes that fill no vector, and that of
// seven vertices.
var naoShapes = map[string]*naoShape{
	"tiny":  {vocab: 5, length: 4, group: 1, embed: 3, hidden: 5, layer: 6},
	"pairs": {vocab: 7, length: 8, group: 2, embed: 3, hidden: 9, layer: 10},
	"seven": {vocab: 9, length: 10, group: 1, embed: 48, hidden: 48, layer: 200},
}

// naoExample is a batch of random sequences, targets and masks.
type naoExample[T detmath.Real] struct {
	packed         []T
	tokens         []int
	targets, masks []T
}

func exampleNAO[T detmath.Real](s *naoShape, rows int, spread float64) *naoExample[T] {
	r := rng.New(1, "nao example")
	e := &naoExample[T]{packed: make([]T, s.size()), tokens: make([]int, rows*s.length), targets: make([]T, rows), masks: make([]T, rows*s.maskSize())}
	for i := range e.packed {
		e.packed[i] = T(float32(spread * (2*r.Float64() - 1)))
	}
	for i := range e.tokens {
		e.tokens[i] = 1 + r.IntN(s.vocab-1)
	}
	for i := range e.targets {
		e.targets[i] = T(float32(r.Float64()))
	}
	for i := range e.masks {
		if r.Chance(0.8) {
			e.masks[i] = 1.25
		}
	}
	return e
}

func (e *naoExample[T]) run(s *naoShape) (T, []T) {
	b := newNAOBatch[T](s, len(e.targets), true)
	loss := b.loss(e.packed, e.tokens, e.targets, e.masks)
	grad := make([]T, len(e.packed))
	b.gradient(e.targets, 1, grad)
	return loss, grad
}

// Every parameter in double precision against central differences. The loss is below 1,
// so steps of 1e-5 leave rounding of 1e-11 and truncation of 1e-10 times the third
// derivative.
func TestNAOGradientAgainstFiniteDifferences(t *testing.T) {
	for _, name := range []string{"tiny", "pairs"} {
		s := naoShapes[name]
		const rows = 6
		e := exampleNAO[float64](s, rows, 0.9)
		_, grad := e.run(s)
		b := newNAOBatch[float64](s, rows, false)
		zeros := 0
		for i, g := range grad {
			const step = 1e-5
			was := e.packed[i]
			e.packed[i] = was + step
			up := b.loss(e.packed, e.tokens, e.targets, e.masks)
			e.packed[i] = was - step
			down := b.loss(e.packed, e.tokens, e.targets, e.masks)
			e.packed[i] = was
			want := (up - down) / (2 * step)
			if math.Abs(g-want) > 2e-9+1e-6*math.Abs(want) {
				t.Fatalf("%s: derivative %d of %d is %g, differences give %g", name, i, len(grad), g, want)
			}
			if g == 0 {
				zeros++
			}
		}
		if zeros > len(grad)/3 {
			t.Errorf("%s: %d of %d derivatives are 0", name, zeros, len(grad))
		}
	}
}

// The same in single precision: what is used is what was checked.
func TestNAOSinglePrecisionIsNearDouble(t *testing.T) {
	for name, s := range naoShapes {
		for _, rows := range []int{1, 3, 100} {
			loss64, grad64 := exampleNAO[float64](s, rows, 0.3).run(s)
			loss32, grad32 := exampleNAO[float32](s, rows, 0.3).run(s)
			if d := math.Abs(float64(loss32) - loss64); d > 1e-6 {
				t.Errorf("%s, %d rows: loss %v, in double precision %v", name, rows, loss32, loss64)
			}
			var off, norm float64
			for i, g := range grad64 {
				d := float64(grad32[i]) - g
				off += d * d
				norm += g * g
			}
			if r := math.Sqrt(off / norm); r > 1e-5 {
				t.Errorf("%s, %d rows: the gradient is off by %g of its length", name, rows, r)
			}
		}
	}
}

func TestNAOHasTheSameBitsOnOneAndOnManyThreads(t *testing.T) {
	s := naoShapes["seven"]
	trace := func(threads int) (float32, []float32) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		return exampleNAO[float32](s, 37, 0.3).run(s)
	}
	loss1, grad1 := trace(1)
	loss8, grad8 := trace(8)
	if loss1 != loss8 || !slices.Equal(grad1, grad8) {
		t.Error("1 and 8 threads give two results")
	}
}

// A batch used before leaves nothing behind.
func TestNAOBatchForgets(t *testing.T) {
	s := naoShapes["pairs"]
	e := exampleNAO[float32](s, 10, 0.3)
	wantLoss, want := e.run(s)
	b := newNAOBatch[float32](s, 10, true)
	other := exampleNAO[float32](s, 10, 0.9)
	got := make([]float32, len(want))
	b.loss(other.packed, other.tokens, other.targets, nil)
	b.gradient(other.targets, 3, got)
	if loss := b.loss(e.packed, e.tokens, e.targets, e.masks); loss != wantLoss {
		t.Errorf("loss %v, in a new batch %v", loss, wantLoss)
	}
	if b.gradient(e.targets, 1, got); !slices.Equal(got, want) {
		t.Error("the gradient is not that of a new batch")
	}
}

func BenchmarkNAOBatch(b *testing.B) {
	s := naoShapes["seven"]
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprint(threads), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
			e := exampleNAO[float32](s, 100, 0.1)
			batch := newNAOBatch[float32](s, 100, true)
			grad := make([]float32, s.size())
			for b.Loop() {
				batch.loss(e.packed, e.tokens, e.targets, e.masks)
				batch.gradient(e.targets, 1, grad)
			}
		})
	}
}

// Gorgonia's graph, machine and binding of gradients add nothing of their own: steps are
// those of the plain functions, with batches of two sizes in turn.
func TestNAOLearnerStepsAreThePlainOnes(t *testing.T) {
	s := naoShapes["pairs"]
	newSolver := func() *naoAdam {
		return &naoAdam{rate: 1e-2, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 1e-2, clip: 0.05}
	}
	packed := exampleNAO[float32](s, 1, 0.3).packed
	byHand := slices.Clone(packed)
	l, solver := newNAOLearner(s, packed, newSolver()), newSolver()
	defer l.close()
	for i := range 6 {
		e := exampleNAO[float32](s, 7+i%2*5, 0.3)
		m, err := l.of(len(e.targets))
		if err != nil {
			t.Fatal(err)
		}
		copy(m.tokens, e.tokens)
		copy(m.targets, e.targets)
		copy(m.masks, e.masks)
		loss, err := l.step(m)
		if err != nil {
			t.Fatal(err)
		}
		e.packed = byHand
		want, grad := e.run(s)
		if err := solver.Step([]G.ValueGrad{&pair32{byHand, grad}}); err != nil {
			t.Fatal(err)
		}
		if loss != float64(want) || !slices.Equal(packed, byHand) {
			t.Fatalf("step %d: loss %v, by hand %v; weights equal: %v", i, loss, want, slices.Equal(packed, byHand))
		}
	}
	if slices.Equal(packed, exampleNAO[float32](s, 1, 0.3).packed) {
		t.Error("the weights did not move")
	}
}

// pair32 is a parameter with its gradient outside of a graph.
type pair32 struct{ w, g []float32 }

func vector32(x []float32) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x))
}

func (p *pair32) Value() G.Value         { return vector32(p.w) }
func (p *pair32) Grad() (G.Value, error) { return vector32(p.g), nil }

// The operation's memory of its last pass is used only where it holds.
func TestNAOOperationIsThePlainFunction(t *testing.T) {
	s := naoShapes["tiny"]
	const rows = 5
	op := newNAOLossOp(s, rows)
	for _, spread := range []float64{0.3, 0.9, 0.9, 0.3} {
		e := exampleNAO[float32](s, rows, spread)
		in := []G.Value{
			vector32(e.packed), tensor.New(tensor.WithShape(rows, s.length), tensor.WithBacking(e.tokens)),
			vector32(e.targets), tensor.New(tensor.WithShape(rows, s.maskSize()), tensor.WithBacking(e.masks)),
		}
		want, grad := e.run(s)
		if got, err := (naoGradOp{op}).Do(append(in, G.NewF32(1))...); err != nil || !slices.Equal(got.Data().([]float32), grad) {
			t.Errorf("spread %v: the gradient is another one: %v", spread, err)
		}
		if got, err := op.Do(in...); err != nil || got.Data().(float32) != want {
			t.Errorf("spread %v: loss %v, %v; want %v", spread, got, err, want)
		}
		for what, change := range map[string]func(){
			"9 weights": func() { in[0] = vector32(e.packed[:9]) },
			"a token":   func() { e.tokens[3] = s.vocab },
			"3 targets": func() { in[2] = vector32(e.targets[:3]) },
			"a vector":  func() { in[3] = vector(make([]float64, rows*s.maskSize())) },
		} {
			was, token := slices.Clone(in), e.tokens[3]
			change()
			if _, err := op.Do(in...); err == nil {
				t.Errorf("%s: no error", what)
			}
			in, e.tokens[3] = was, token
		}
	}
}

func BenchmarkNAOStep(b *testing.B) {
	s := naoShapes["seven"]
	e := exampleNAO[float32](s, 100, 0.1)
	l := newNAOLearner(s, e.packed, &naoAdam{rate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 1e-4, clip: 5})
	defer l.close()
	m, err := l.of(100)
	if err != nil {
		b.Fatal(err)
	}
	copy(m.tokens, e.tokens)
	copy(m.targets, e.targets)
	copy(m.masks, e.masks)
	for b.Loop() {
		if _, err := l.step(m); err != nil {
			b.Fatal(err)
		}
	}
}

// The digest of all weights after five steps was computed on linux/amd64 with AVX2;
// another one means other results, and that the numerics version must change.
func TestNAOWeightsToTheBit(t *testing.T) {
	s := naoShapes["seven"]
	e := exampleNAO[float32](s, 100, 0.1)
	l := newNAOLearner(s, s.initial(rng.New(1268, "init")), &naoAdam{rate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 1e-4, clip: 5})
	defer l.close()
	m, err := l.of(100)
	if err != nil {
		t.Fatal(err)
	}
	copy(m.tokens, e.tokens)
	copy(m.targets, e.targets)
	r := rng.New(1268, "masks")
	for range 5 {
		dropout(m.masks, r)
		if _, err := l.step(m); err != nil {
			t.Fatal(err)
		}
	}
	h := sha256.New()
	if err := binary.Write(h, binary.LittleEndian, l.packed); err != nil {
		t.Fatal(err)
	}
	const want = "009e3a4a8bc710fc"
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}
