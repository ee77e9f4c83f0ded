package net

import (
	"math"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/nn/cpu/kernel"
	"evalnas/nasapi/rng"
)

// TestSupernetHasTheSearchNetworksParameters: 1,930,618 are those of DARTS' search
// network without its alphas (counted in PyTorch by tests/torch/networks.py).
func TestSupernetHasTheSearchNetworksParameters(t *testing.T) {
	s, err := NewSupernet(fakeDevice{}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if params, auxiliary := s.Count(); params != 1930618 || auxiliary != 0 {
		t.Errorf("%d parameters and %d of an auxiliary head", params, auxiliary)
	}
	if s.Param("cells.0._ops.0._ops.4.op.1.weight") == nil {
		t.Error("the weights do not have the names of the published code")
	}
}

// smallSupernet has three cells, of which the last two reduce.
func smallSupernet(t *testing.T, dev nn.Device, batch, size int) (*Supernet, *SupernetPass) {
	t.Helper()
	s, err := NewSupernet(dev, Config{Height: size, Width: size, Channels: 4, Cells: 3, Classes: 4})
	if err != nil {
		t.Fatal(err)
	}
	s.Initialise(1)
	p, err := s.Build(nn.Train, batch)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Graph.Plan(); err != nil {
		t.Fatal(err)
	}
	draw, in := rng.New(2, "images"), p.Input.Values
	pixels, labels := make([]float32, in.N*in.Image()), make([]int32, batch)
	for i := range pixels {
		if i%in.Pix < 3 {
			pixels[i] = float32(2*draw.Float64() - 1)
		}
	}
	for i := range labels {
		labels[i] = int32(draw.IntN(4))
	}
	if err := p.Graph.SetInput(p.Input, pixels); err != nil {
		t.Fatal(err)
	}
	if err := p.SetLabels(labels); err != nil {
		t.Fatal(err)
	}
	return s, p
}

func uneven(shape []int) [][]float64 {
	draw, m := rng.New(3, "mixture"), newMixture(shape)
	for _, weights := range m {
		for i := range weights {
			weights[i] = 0.05 + 0.1*draw.Float64()
		}
	}
	return m
}

// TestMixtureGradIsTheLosssSlope holds the gradients of an edge's weights to differences
// of the loss.
func TestMixtureGradIsTheLosssSlope(t *testing.T) {
	_, p := smallSupernet(t, openCPU(t, 2), 24, 16)
	loss := func(m [][]float64) float64 {
		t.Helper()
		if err := p.SetMixture(m); err != nil {
			t.Fatal(err)
		}
		if err := p.Graph.Forward(); err != nil {
			t.Fatal(err)
		}
		return p.Loss.Loss
	}
	m := uneven(p.Shape())
	loss(m)
	if err := p.Graph.Backward(); err != nil {
		t.Fatal(err)
	}
	grad := p.MixtureGrad()
	// Against the gradient of one operation on all edges at once, the loss falls by the
	// square of its length: single weights move too few ReLUs' kinks to average out.
	for _, c := range []struct {
		name     string
		from, to int
	}{{"normal", 0, supernetEdges}, {"reduction", supernetEdges, 2 * supernetEdges}} {
		for op, name := range operations {
			square := 0.0
			for _, g := range grad[c.from:c.to] {
				square += g[op] * g[op]
			}
			if op == 0 {
				if square != 0 {
					t.Errorf("%s cells: none has a gradient", c.name)
				}
				continue
			}
			h := 2e-3 / math.Sqrt(square)
			move := func(by float64) {
				for e := c.from; e < c.to; e++ {
					m[e][op] += by * grad[e][op]
				}
			}
			move(h)
			up := loss(m)
			move(-2 * h)
			down := loss(m)
			move(h)
			if slope := (up - down) / (2 * h); math.Abs(slope-square) > 0.04*square {
				t.Errorf("%s cells, %s: the square of the gradient is %v, the loss's slope along it %v", c.name, name, square, slope)
			}
		}
	}
}

// TestSupernetHasTheSameBitsEverywhere: a step's loss and gradients on every set of
// kernels and any number of threads.
func TestSupernetHasTheSameBitsEverywhere(t *testing.T) {
	var want []float64
	for _, set := range kernel.Available() {
		for _, threads := range []int{1, 3} {
			dev, err := cpu.NewWith(set, threads)
			if err != nil {
				t.Fatal(err)
			}
			s, p := smallSupernet(t, dev, 6, 8)
			opt := &nn.Optimiser{Rule: nn.SGD, Params: s.Params(), Momentum: 0.9, Decay: 3e-4}
			var got []float64
			for range 3 {
				if err := p.Graph.Forward(); err != nil {
					t.Fatal(err)
				}
				if err := p.Graph.Backward(); err != nil {
					t.Fatal(err)
				}
				gradient := p.MixtureGrad()[5][4]
				report, err := opt.Step(dev, 0.025)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p.Loss.Loss, report.Norm, gradient)
			}
			if want == nil {
				want = got
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%v on %d threads: number %d is %v, not %v", set, threads, i, got[i], want[i])
				}
			}
			if err := dev.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSupernetRefuses(t *testing.T) {
	if _, err := NewSupernet(fakeDevice{}, Config{Auxiliary: true}); err == nil {
		t.Error("an auxiliary head is taken")
	}
	s, err := NewSupernet(fakeDevice{}, Config{Height: 8, Width: 8, Channels: 4, Cells: 3})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Build(nn.Train, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Shape(); len(got) != 28 || slices.Max(got) != 8 || slices.Min(got) != 8 {
		t.Errorf("the mixture's shape is %v, want 28 edges of 8", got)
	}
	for what, spoil := range map[string]func(m [][]float64) [][]float64{
		"27 edges":                 func(m [][]float64) [][]float64 { return m[1:] },
		"5 weights for edge 3":     func(m [][]float64) [][]float64 { m[3] = m[3][:5]; return m },
		"edge 0 of the reduction":  func(m [][]float64) [][]float64 { m[14][2] = math.NaN(); return m },
		"edge 13 of the reduction": func(m [][]float64) [][]float64 { m[27][0] = math.Inf(1); return m },
	} {
		err := p.SetMixture(spoil(uneven(p.Shape())))
		if err == nil {
			t.Errorf("%s: taken", what)
		} else if strings.Contains(what, "edge ") && !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
