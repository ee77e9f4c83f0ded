package nn

import (
	"errors"
	"strings"
	"testing"
)

// fakeDevice has memory and computes nothing: enough to plan on.
type fakeDevice struct {
	Device
	limit int // float32s; 0: none
}

type fakeMemory int

func (m fakeMemory) Len() int { return int(m) }

func (d fakeDevice) NewMemory(n int) (Memory, error) {
	if d.limit > 0 && n > d.limit {
		return nil, errors.New("only a little is free")
	}
	return fakeMemory(n), nil
}

func (fakeDevice) Scratch([]Op) int64 { return 1000 }

func fakeParam(t *testing.T, shape ...int) Weight {
	t.Helper()
	p, err := NewParam(fakeDevice{}, "w", shape...)
	if err != nil {
		t.Fatal(err)
	}
	return p.Whole()
}

// chain is n separable halves after each other, with a skip around each.
func chain(t *testing.T, g *Graph, n int) *Var {
	x := g.Variable(2, 8, 8, 6)
	whole, parts := g.Concat(2, 8, 8, []int{6, 6})
	norm := &BatchNorm{Name: "norm", C: 6, Eps: 1e-5}
	for range n {
		depth := fakeParam(t, 9, 6)
		c := g.Conv(Conv{
			X: x, ReLU: true, Depth: &depth, DepthWindow: Window{KH: 3, KW: 3, PadH: 1, PadW: 1},
			Dense: []DensePart{{W: fakeParam(t, 1, 6, 6)}}, DenseWindow: Window{KH: 1, KW: 1},
		}, norm, false)
		s := g.Sum(Sum{Sources: []*Var{c.Out, x}})
		g.Add(c)
		g.Add(s)
		x = s.Out
	}
	for i := range parts {
		g.Add(g.Sum(Sum{Sources: []*Var{x}, Out: parts[i]}))
	}
	pool := g.GlobalPool(GlobalPool{X: whole})
	linear := g.Linear(Linear{X: pool.Out, W: fakeParam(t, 12, 10)})
	g.Add(pool)
	g.Add(linear)
	g.Add(g.CrossEntropy(linear.Out, 1))
	return x
}

// Two tensors that are needed at the same time never share memory, and every tensor
// that an operator touches has a place.
func TestPlanKeepsLivesApart(t *testing.T) {
	for _, mode := range []Mode{Train, Evaluate} {
		g := NewGraph(fakeDevice{}, mode)
		chain(t, g, 5)
		p := g.layOut()
		for i, a := range p.order {
			for _, b := range p.order[:i] {
				apart := a.died < b.born || b.died < a.born
				if !apart && a.at < b.at+b.size() && b.at < a.at+a.size() {
					t.Errorf("mode %d: tensors of lives %d..%d and %d..%d share memory", mode, a.born, a.died, b.born, b.died)
				}
			}
			if a.at%alignment != 0 {
				t.Errorf("a tensor begins in the middle of a cache line, at %d", a.at)
			}
		}
		if err := g.Plan(); err != nil {
			t.Fatal(err)
		}
		for _, group := range g.groups {
			for _, op := range group.ops {
				for _, v := range op.reads() {
					if v.Values.Mem == nil || mode == Train && v.wanted && v.Grad == nil && v.Via == nil {
						t.Errorf("%T reads a value without a place", op)
					}
				}
			}
		}
	}
}

// Evaluation keeps nothing for a backward pass, so a longer chain needs no more, but
// for what is lost between tensors of two sizes.
func TestEvaluationNeedsNoMoreForALongerChain(t *testing.T) {
	bytes := func(mode Mode, n int) int64 {
		g := NewGraph(fakeDevice{}, mode)
		chain(t, g, n)
		return g.Bytes()
	}
	if short, long := bytes(Evaluate, 3), bytes(Evaluate, 300); long > short*3/2 {
		t.Errorf("evaluating 3 blocks takes %d bytes, 300 blocks %d", short, long)
	}
	if short, long := bytes(Train, 3), bytes(Train, 30); long < 5*short {
		t.Errorf("training 3 blocks takes %d bytes, 30 blocks %d", short, long)
	}
}

// A block whose only reader is a sum stores no gradient of its own.
func TestSumsHandTheirGradientOn(t *testing.T) {
	g := NewGraph(fakeDevice{}, Train)
	chain(t, g, 2)
	if err := g.Plan(); err != nil {
		t.Fatal(err)
	}
	conv := g.groups[0].ops[0].(*Conv)
	sum := g.groups[1].ops[0].(*Sum)
	if conv.Out.Grad != nil || conv.Out.Via != sum || conv.Out.ViaIndex != 0 {
		t.Errorf("the convolution's gradient is %v, via %v", conv.Out.Grad, conv.Out.Via)
	}
	if sum.StoreGrad(1) == conv.StoreGrad(0) {
		t.Error("the two readers of one value both store its gradient, or both add")
	}
}

func TestTooLittleMemoryIsSaidWithTheBytes(t *testing.T) {
	g := NewGraph(fakeDevice{limit: 100}, Train)
	chain(t, g, 2)
	err := g.Plan()
	if err == nil || !strings.Contains(err.Error(), "MB") || !strings.Contains(err.Error(), "smaller batch") {
		t.Errorf("got %v", err)
	}
}

func TestShapesThatDoNotFitPanicTyped(t *testing.T) {
	defer func() {
		if _, ok := recover().(*ShapeError); !ok {
			t.Error("no ShapeError")
		}
	}()
	g := NewGraph(fakeDevice{}, Train)
	g.Conv(Conv{X: g.Input(1, 4, 4, 3), Dense: []DensePart{{W: fakeParam(t, 1, 4, 4)}}, DenseWindow: Window{KH: 1, KW: 1}}, nil, false)
}

func TestMultAdds(t *testing.T) {
	g := NewGraph(fakeDevice{}, Evaluate)
	chain(t, g, 1)
	if got, want := g.MultAdds(), int64(2*(8*8*9*6+8*8*6*6+12*10)); got != want {
		t.Errorf("%d multiply-adds, want %d", got, want)
	}
}
