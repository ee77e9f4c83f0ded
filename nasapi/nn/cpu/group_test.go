package cpu

import (
	"fmt"
	"math"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
	"evalnas/nasapi/rng"
)

// crowd is operators that read a concatenation and its parts in every way: with and
// without a ReLU, wide and narrow windows, strides, sums between blocks.
func crowd(t *testing.T, dev nn.Device, together bool) (*edge, []*nn.Param) {
	const images, size, c = 18, 7, 6
	e := &edge{dev: dev, g: nn.NewGraph(dev, nn.Train), draw: rng.New(3, "crowd")}
	e.x = e.g.Variable(images, size, size, c)
	whole, parts := e.g.Concat(images, size, size, []int{c, c})
	for _, part := range parts {
		e.g.Add(e.g.Sum(nn.Sum{Sources: []*nn.Var{e.x}, Out: part}))
	}
	var params []*nn.Param
	dense := func(x *nn.Var, relu bool, win nn.Window) *nn.Conv {
		w := e.weight(t, win.KH*win.KW, x.Values.Channels.Count(), c)
		params = append(params, w.Param)
		return e.g.Conv(nn.Conv{X: x, ReLU: relu, Dense: []nn.DensePart{{W: *w}}, DenseWindow: win}, e.norm(c), false)
	}
	depth := func(x *nn.Var, k, stride int) *nn.Conv {
		conv := e.block(t, x, k, stride, 1)
		params = append(params, conv.Depth.Param)
		return conv
	}
	pool := func(x *nn.Var, isMax, relu bool, win nn.Window) *nn.Pool {
		return e.g.Pool(nn.Pool{X: x, Max: isMax, ReLU: relu, Window: win}, nil)
	}
	three := nn.Window{KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}
	ops := []nn.Op{
		dense(parts[0], false, three), depth(parts[1], 5, 1), pool(parts[0], true, false, three), dense(whole, true, nn.Window{KH: 1, KW: 1}),
		e.g.Sum(nn.Sum{Sources: []*nn.Var{parts[0], parts[1]}, Weights: []float32{0.5, -2}}),
		pool(parts[1], false, true, three), pool(whole, false, false, nn.Window{KH: 5, KW: 4, StrideH: 3, StrideW: 3}), depth(parts[1], 3, 2), pool(parts[1], true, true, three),
		dense(whole, false, nn.Window{KH: 2, KW: 3, StrideW: 3, PadH: 2}), depth(parts[0], 7, 2), dense(e.x, true, nn.Window{KH: 3, KW: 3, PadH: 1, PadW: 1}),
	}
	if together {
		e.g.Add(ops...)
	}
	var outs []*nn.Var
	for _, op := range ops {
		if !together {
			e.g.Add(op)
		}
		switch o := op.(type) {
		case *nn.Conv:
			outs = append(outs, o.Out)
		case *nn.Pool:
			outs = append(outs, o.Out)
		case *nn.Sum:
			outs = append(outs, o.Out)
		}
	}
	for _, out := range outs[1:] {
		e.classify(t, out)
	}
	e.head(t, outs[0])
	return e, params
}

// classify ends in a loss of its own.
func (e *edge) classify(t *testing.T, v *nn.Var) {
	s := v.Values
	conv := e.g.Conv(nn.Conv{X: v, Dense: []nn.DensePart{{W: *e.weight(t, s.H*s.W, s.Channels.Count(), 3)}}, DenseWindow: nn.Window{KH: s.H, KW: s.W}}, nil, false)
	e.g.Add(conv)
	e.g.Add(e.g.CrossEntropy(conv.Out, 1))
}

// results are the gradients of a crowd.
func results(t *testing.T, set kernel.Set, threads int, together bool) map[string][]float32 {
	dev := open(t, set, threads)
	e, params := crowd(t, dev, together)
	e.forward(t)
	e.backward(t)
	all := map[string][]float32{"input": e.g.ReadGrad(e.x)}
	for i, p := range params {
		grad := make([]float32, p.Len())
		dev.Read(grad, p.Grad, 0)
		all[fmt.Sprintf("weight %d", i)] = grad
	}
	return all
}

// What operators of a group share changes no gradient by more than rounding, which
// differs where sums have another order.
func TestGroupsAgreeWithOperatorsByThemselves(t *testing.T) {
	set, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	alone := results(t, set, 2, false)
	for name, got := range results(t, set, 2, true) {
		scale := 0.0
		for _, x := range alone[name] {
			scale = max(scale, math.Abs(float64(x)))
		}
		if scale == 0 {
			t.Errorf("%s: no gradient", name)
		}
		for i, x := range got {
			if d := math.Abs(float64(x) - float64(alone[name][i])); !(d <= 3e-6*scale) {
				t.Errorf("%s: number %d is %v in a group, %v alone", name, i, x, alone[name][i])
				break
			}
		}
	}
}

// The same bits on any number of threads and set of kernels, with everything shared.
func TestGroupsGiveTheSameBits(t *testing.T) {
	want := results(t, kernel.Generic, 1, true)
	for _, set := range kernel.Available() {
		for _, threads := range []int{1, 2, 3, 8} {
			for name, got := range results(t, set, threads, true) {
				for i, x := range got {
					if math.Float32bits(x) != math.Float32bits(want[name][i]) {
						t.Errorf("%v, %d threads: %s: number %d is %v, want %v", set, threads, name, i, x, want[name][i])
						break
					}
				}
			}
		}
	}
}

func TestCloseTwice(t *testing.T) {
	d, err := New(3)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
