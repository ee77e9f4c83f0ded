package net

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/nn/cpu/kernel"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// children are the two kinds of one family.
var children = map[string]func(nn.Device, Config) (*Child, error){"enas": NewENASChild, "nao": NewNAOChild}

func fiveNodes(t testing.TB) *space.DARTSSpace {
	t.Helper()
	d, err := space.DARTS(5)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newTestChild(t testing.TB, kind string, dev nn.Device, cfg Config) *Child {
	t.Helper()
	c, err := children[kind](dev, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, counts := dev.(paper); !counts {
		c.Initialise(1)
	}
	return c
}

// The numbers of weights by hand, from the layout of section 3.2 of the specification:
// with no convolution biased, k = 1 of a norm counts scale and shift.
//
//	branch of a node, a state: sep3 and sep5, each twice depthwise, pointwise and norm
//	  2*(9c + c*c + 2c) + 2*(25c + c*c + 2c) = 4cc + 76c
//	states of five nodes: 2+3+4+5+6 = 20, two branches: 40 of them
//	end of a cell: seven 1x1 of c*c and a norm
//	strided identities of NAO: 5 nodes, 2 branches, 2 inputs: 20 of c*c + 2c
//
// What brings outputs to size is listed by cell below. Both sums are also what PyTorch
// counts in the modules of testdata/torch_children.py: 5,373,150 and 7,370,870.
func TestParametersOfTheChildren(t *testing.T) {
	cell := func(c int64) int64 { return 40*(4*c*c+76*c) + 7*c*c + 2*c }
	conv := func(in, out int64) int64 { return in*out + 2*out }
	stem, head := int64(27*60+2*60), int64(80*10+10)
	want := map[string]int64{
		// Cells 0, 1: c = 20 (60, 60; then 60, 20 come in); 2 to 4: 40; 5 to 7: 80. At 2
		// and 5 the last output is halved, and the same output again as the one before.
		"enas": stem + head + 2*cell(20) + 3*cell(40) + 3*cell(80) +
			3*conv(60, 20) + 2*conv(20, 40) + 2*conv(40, 80),
		// Cells 0 to 2: 20; 3 to 6: 40; 7 to 10: 80. Cells 3 and 7 take two outputs of half
		// as many channels, cells 4 and 8 a larger one of half as many as the one before.
		"nao": stem + head + 3*cell(20) + 4*cell(40) + 4*cell(80) +
			20*conv(40, 40) + 20*conv(80, 80) +
			3*conv(60, 20) + 2*conv(20, 40) + 2*conv(40, 80) + conv(20, 40) + conv(40, 80),
	}
	for kind, n := range want {
		c := newTestChild(t, kind, fakeDevice{}, Config{})
		if got, _ := c.Count(); got != n {
			t.Errorf("%s: %d parameters, want %d", kind, got, n)
		}
		t.Logf("%s: %d parameters in %d arrays", kind, n, len(c.Params()))
		// In 3.2 of the specification 4 nodes of state 5 see states 0 to 5.
		for _, name := range []string{"cells.0.nodes.4.1.5.sep_conv_5x5.op.5.weight", "cells.0.combine.6.weight"} {
			if c.Param(name) == nil {
				t.Errorf("%s: there is no %s", kind, name)
			}
		}
	}
}

var smallChild = Config{Height: 16, Width: 16, Channels: 4, Cells: 4, Classes: 4}

// planned is a path ready to run, with images.
func (c *Child) planned(t testing.TB, g space.Arch, mode nn.Mode, batch int) *Pass {
	t.Helper()
	p, err := c.Path(g.(*space.Genotype), mode, batch)
	return planned(t, p, err)
}

// The gradient of a path's weights against differences of the loss along it, with drop
// path and dropout on.
func TestGradientsOfAPathAreTheLosssSlope(t *testing.T) {
	dev := openCPU(t, 2)
	for kind := range children {
		c := newTestChild(t, kind, dev, smallChild)
		draw := rng.New(6, "genotypes")
		for i := range 3 {
			p := c.planned(t, fiveNodes(t).Sample(draw), nn.Train, 24)
			if err := errors.Join(p.SetDropPath(rng.New(1, "paths"), 0.3), p.SetDropout(rng.New(1, "channels"), 0.2)); err != nil {
				t.Fatal(err)
			}
			run(t, p)
			square := dev.SquaredNorm(c.Params())
			grads, start := gradients(c.Network), map[string][]float32{}
			for name := range grads {
				start[name] = c.read(c.Param(name))
			}
			move := func(by float64) float64 {
				for name, g := range grads {
					moved := slices.Clone(start[name])
					for j := range moved {
						moved[j] += float32(by * float64(g[j]))
					}
					dev.Write(c.Param(name).Value, 0, moved)
				}
				if err := p.Graph.Forward(); err != nil {
					t.Fatal(err)
				}
				return p.Loss.Loss
			}
			h := 1e-3 / square
			slope := (move(h) - move(-h)) / (2 * h)
			move(0)
			if math.Abs(slope-square) > 0.03*square {
				t.Errorf("%s, genotype %d: the gradient's square is %v, the loss's slope along it %v", kind, i, square, slope)
			}
		}
	}
}

// A path writes the gradients of the weights on it, and of no others.
func TestAPathTouchesItsWeightsAlone(t *testing.T) {
	dev := openCPU(t, 2)
	d, draw := fiveNodes(t), rng.New(7, "genotypes")
	for kind := range children {
		c := newTestChild(t, kind, dev, Config{Height: 8, Width: 8, Channels: 4, Cells: 3, Classes: 3})
		for range 4 {
			g := d.Sample(draw).(*space.Genotype)
			run(t, c.planned(t, g, nn.Train, 3))
			touched := gradients(c.Network)
			for _, p := range c.Params() {
				want, known := onPath(p.Name, g, kind)
				if got := touched[p.Name] != nil; known && got != want {
					t.Errorf("%s, %v: %s has a gradient: %v, want %v", kind, g.Literal(), p.Name, got, want)
				}
			}
		}
	}
}

// onPath says whether the last cell of three uses a parameter, or whether that is known:
// the first two cells may have outputs that nobody reads.
func onPath(name string, g *space.Genotype, kind string) (want, known bool) {
	const last = "cells.2." // it reduces
	if !strings.HasPrefix(name, last) {
		return true, strings.HasPrefix(name, "classifier") || strings.HasPrefix(name, "stem")
	}
	cell := g.Reduce()
	var node, branch, state int
	if n, _ := fmt.Sscanf(name, last+"nodes.%d.%d.%d.", &node, &branch, &state); n == 3 {
		e := cell.Edges[2*node+branch]
		return e.Input == state && strings.Contains(name, "."+e.Op+"."), true
	}
	if n, _ := fmt.Sscanf(name, last+"combine.%d", &state); n == 1 {
		return slices.Contains(cell.Concat, state), true
	}
	if strings.HasPrefix(name, last+"halve") {
		state = 1
	} else if n, _ := fmt.Sscanf(name, last+"calibrate.%d", &state); n != 1 {
		return true, true // the norm
	}
	return slices.ContainsFunc(cell.Edges, func(e space.DARTSEdge) bool { return e.Input == state }), true
}

// A genotype that concatenates inputs, and one whose reduction cell reads one input.
func TestPathsOfPublishedGenotypes(t *testing.T) {
	for kind := range children {
		c := newTestChild(t, kind, paper{}, Config{})
		n := 0
		for name, g := range genotypes(t) {
			if fiveNodes(t).Contains(g) != nil {
				continue
			}
			n++
			for _, mode := range []nn.Mode{nn.Train, nn.Evaluate, nn.Recalibrate} {
				p, err := c.Path(g, mode, 2)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if err := p.Graph.Plan(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if n != 22 {
			t.Errorf("%d genotypes of five nodes, want 10 of ENAS, 10 of NAO and 2 names of one", n)
		}
	}
}

// Steps along changing architectures leave the same bits on any number of threads and
// with any set of kernels; so does the evaluation that follows, which takes the batch's
// statistics.
func TestChildrenHaveTheSameBitsEverywhere(t *testing.T) {
	steps := func(kind string, dev nn.Device) (State, []float64) {
		c := newTestChild(t, kind, dev, Config{Height: 9, Width: 11, Channels: 6, Cells: 4, Classes: 3})
		opt := &nn.Optimiser{Rule: nn.SGD, Params: c.Params(), Momentum: 0.9, Decay: 1e-4, ClipNorm: 5}
		draw := rng.New(8, "genotypes")
		var losses []float64
		for range 4 {
			g := fiveNodes(t).Sample(draw)
			p := c.planned(t, g, nn.Train, 5)
			if err := errors.Join(p.SetDropPath(draw, 0.2), p.SetDropout(draw, 0.1)); err != nil {
				t.Fatal(err)
			}
			run(t, p)
			if _, err := opt.Step(dev, 0.025); err != nil {
				t.Fatal(err)
			}
			evaluate := c.planned(t, g, nn.Evaluate, 5)
			run(t, evaluate)
			losses = append(losses, p.Loss.Loss, evaluate.Loss.Loss)
		}
		return c.State(), losses
	}
	for kind := range children {
		first, losses := steps(kind, openCPU(t, 1))
		devices := []nn.Device{openCPU(t, 2), openCPU(t, 3)}
		for _, set := range kernel.Available() {
			dev, err := cpu.NewWith(set, 2)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { dev.Close() })
			devices = append(devices, dev)
		}
		for _, dev := range devices {
			if state, seen := steps(kind, dev); !slices.Equal(seen, losses) || !reflect.DeepEqual(state, first) {
				t.Errorf("%s: %s leaves other bits than one thread: losses %v, not %v", kind, dev.Name(), seen, losses)
			}
		}
	}
}

// A state goes into another child of the same sizes, which then computes the same.
func TestStateOfAChild(t *testing.T) {
	dev := openCPU(t, 2)
	a := newTestChild(t, "nao", dev, smallChild)
	b, err := NewNAOChild(dev, smallChild)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(a.State()); err != nil {
		t.Fatal(err)
	}
	g := fiveNodes(t).Sample(rng.New(1, "state"))
	near(t, "logits", run(t, b.planned(t, g, nn.Evaluate, 3)), run(t, a.planned(t, g, nn.Evaluate, 3)), 0)
	if err := b.SetWeights(a.Weights()); err != nil {
		t.Error(err)
	}
	other := newTestChild(t, "enas", dev, smallChild)
	if err := other.Restore(a.State()); err == nil {
		t.Error("the state of the other child is taken")
	}
}

// Cell i of n drops its edges with the share (i+1)/n of the probability; skips are never
// dropped.
func TestDropPathOfNAODeepens(t *testing.T) {
	edges := func(op string) (list []space.DARTSEdge) {
		for range 5 {
			list = append(list, space.DARTSEdge{Op: op, Input: 0}, space.DARTSEdge{Op: "skip_connect", Input: 0})
		}
		return list
	}
	cell := edges("max_pool_3x3")
	g, err := space.NewGenotype(space.DARTSCell{Edges: cell, Concat: []int{1, 2, 3, 4, 5, 6}}, space.DARTSCell{Edges: cell, Concat: []int{2, 3, 4, 5, 6}})
	if err != nil {
		t.Fatal(err)
	}
	const cells, batch = 5, 2000
	for kind := range children {
		c := newTestChild(t, kind, paper{}, Config{Height: 8, Width: 8, Channels: 4, Cells: cells})
		p, err := c.Path(g, nn.Train, batch)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetDropPath(rng.New(1, "drop"), 0.5); err != nil {
			t.Fatal(err)
		}
		at := map[*nn.Sum]int{}
		for _, d := range p.drops {
			if d.source != 0 {
				t.Errorf("%s: a skip may be dropped", kind)
			}
			at[d.sum] = len(at)
			share := 1.0
			// The normal cells read input 1 by concatenating it, the reduction cells not at
			// all: every cell is there.
			if kind == "nao" {
				share = float64(at[d.sum]/5+1) / cells
			}
			dropped := 0
			for _, k := range d.keep {
				if k == 0 {
					dropped++
				} else if k != float32(1/(1-share*0.5)) {
					t.Fatalf("%s: an edge of cell %d counts %v times", kind, at[d.sum]/5, k)
				}
			}
			if p := share * 0.5; math.Abs(float64(dropped)-batch*p) > 5*math.Sqrt(batch*p*(1-p)) {
				t.Errorf("%s: %d of %d images dropped in cell %d, want a share of %v", kind, dropped, batch, at[d.sum]/5, p)
			}
		}
		if len(p.drops) == 0 || len(p.drops)%5 != 0 || kind == "nao" && len(p.drops) < 5*3 {
			t.Errorf("%s: %d edges may be dropped", kind, len(p.drops))
		}
	}
	if got := NAODropPath(0, 1000); got != 0.0001 {
		t.Errorf("the first of 1,000 steps drops %v", got)
	}
	if got := NAODropPath(999, 1000); got != 0.1 {
		t.Errorf("the last of 1,000 steps drops %v", got)
	}
}

// Dropout is there in ENAS' training alone.
func TestDropoutOfENAS(t *testing.T) {
	g := fiveNodes(t).Sample(rng.New(1, "dropout")).(*space.Genotype)
	for kind := range children {
		c := newTestChild(t, kind, paper{}, Config{Height: 8, Width: 8, Channels: 20, Cells: 3})
		for _, mode := range []nn.Mode{nn.Train, nn.Evaluate, nn.Recalibrate} {
			p, err := c.Path(g, mode, 100)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := p.dropout != nil, kind == "enas" && mode == nn.Train; got != want {
				t.Fatalf("%s, mode %d: dropout %v", kind, mode, got)
			}
			if err := p.SetDropout(rng.New(1, "dropout"), ENASDropout); err != nil {
				t.Fatal(err)
			}
			if p.dropout == nil {
				continue
			}
			dropped := 0
			for _, k := range p.dropout.Keep {
				if k == 0 {
					dropped++
				} else if k != float32(1/0.9) {
					t.Fatalf("a channel counts %v times", k)
				}
			}
			n := float64(len(p.dropout.Keep))
			if n != 100*80 || math.Abs(float64(dropped)-0.1*n) > 5*math.Sqrt(n*0.09) {
				t.Errorf("%d of %v dropped", dropped, n)
			}
			if err := p.SetDropout(nil, 0); err != nil || slices.ContainsFunc(p.dropout.Keep, func(k float32) bool { return k != 1 }) {
				t.Errorf("dropout is not off: %v", err)
			}
			if p.SetDropout(nil, 1) == nil {
				t.Error("a probability of 1 is taken")
			}
		}
	}
}

func TestChildrenRefuse(t *testing.T) {
	for kind, open := range children {
		for _, bad := range []Config{{Auxiliary: true}, {AsPublished: true}, {Cells: -1}, {Start: "xavier"}} {
			if _, err := open(fakeDevice{}, bad); err == nil {
				t.Errorf("%s: %+v is taken", kind, bad)
			}
		}
		c := newTestChild(t, kind, fakeDevice{}, Config{Height: 8, Width: 8, Channels: 4, Cells: 3})
		if _, err := c.Path(genotypes(t)["DARTS_V2"], nn.Train, 2); !errors.Is(err, space.ErrOutside) || !strings.Contains(err.Error(), "5 nodes") {
			t.Errorf("%s: a genotype of four nodes: %v", kind, err)
		}
		if _, err := c.Path(genotypes(t)["nao_1268"], nn.Train, 0); err == nil {
			t.Errorf("%s: a batch of no images is taken", kind)
		}
		if _, err := c.Build(nn.Train, 2); err == nil || !strings.Contains(err.Error(), "Path") {
			t.Errorf("%s: a pass of no architecture: %v", kind, err)
		}
	}
}

// Weights of Kaiming's start have the deviation sqrt(2/fan-in): here of 4,000 and more.
func TestKaimingStart(t *testing.T) {
	c := newTestChild(t, "enas", fakeDevice{}, Config{})
	for name, fanIn := range map[string]float64{
		"cells.6.nodes.0.0.1.sep_conv_3x3.op.2.weight": 80,
		"cells.7.combine.3.weight":                     80,
		"cells.5.nodes.3.1.4.sep_conv_5x5.op.1.weight": 25,
	} {
		sum, square, n := 0.0, 0.0, 0.0
		for _, x := range c.read(c.Param(name)) {
			sum, square, n = sum+float64(x), square+float64(x)*float64(x), n+1
		}
		want := 2 / fanIn
		if mean := sum / n; math.Abs(mean) > 5*math.Sqrt(want/n) {
			t.Errorf("%s: mean %v", name, mean)
		}
		if v := square / n; math.Abs(v-want) > 5*want*math.Sqrt(2/n) {
			t.Errorf("%s: variance %v, want %v", name, v, want)
		}
	}
}
