package net

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/nn/cpu/kernel"
	"evalnas/nasapi/space"
)

func smallMixture(t testing.TB, dev nn.Device, interior int) *NASBenchMixture {
	t.Helper()
	s, err := NewNASBenchMixture(dev, interior, Config{Channels: 7, Cells: 3, Height: 12, Width: 9, Classes: 4})
	if err != nil {
		t.Fatal(err)
	}
	s.Initialise(11)
	unevenNorms(dev, s.Network)
	return s
}

func mustMix(t testing.TB, s *NASBenchMixture, mode nn.Mode, batch int) *MixturePass {
	t.Helper()
	p, err := s.Build(mode, batch)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMixturesShape(t *testing.T) {
	n, err := space.NASBench101(7)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(nasbenchOperations, n.Operations()) {
		t.Errorf("operations %v, the space's are %v", nasbenchOperations, n.Operations())
	}
	p := mustMix(t, smallMixture(t, fakeDevice{}, 3), nn.Train, 2)
	if got, want := p.Shape(), []int{1, 2, 3, 3, 3, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("the shape is %v, want %v", got, want)
	}
	for _, c := range []struct{ out, interior int }{{15, 4}, {16, 3}, {128, 5}} {
		s, err := NewNASBenchMixture(fakeDevice{}, c.interior, Config{Channels: c.out, Cells: 3})
		if err != nil {
			t.Fatal(err)
		}
		// The rule of the cell with all edges.
		edges, ops := "", make([]string, c.interior)
		for to := range c.interior + 2 {
			for from := range to {
				edges += fmt.Sprintf("%d%d ", from, to)
			}
		}
		for i := range ops {
			ops[i] = maxpool
		}
		if want := cellOf(t, edges, ops...).VertexChannels(c.out)[1 : c.interior+1]; !slices.Equal(s.modules[0].widths, want) {
			t.Errorf("%d channels in %d vertices: %v, want %v", c.out, c.interior, s.modules[0].widths, want)
		}
	}
}

// Cells all of whose vertices feed the output have the mixture's widths: with their
// masks the mixture is their own network.
func TestMasksMakeTheMixtureACell(t *testing.T) {
	const batch = 6
	dev := openCPU(t, 2)
	s := smallMixture(t, dev, 3)
	p := mustMix(t, s, nn.Train, batch)
	vertex := regexp.MustCompile(`^(.*\.vertices)\.(\d)\.(.*)$`)
	for _, c := range []*space.Cell{
		cellOf(t, "01 02 03 14 24 34", conv3x3, conv1x1, maxpool),
		cellOf(t, "01 02 12 13 23 14 24 34", conv1x1, maxpool, conv3x3),
		cellOf(t, "01 02 03 04 13 23 14 24 34", maxpool, conv3x3, conv1x1),
	} {
		masks, err := s.Masks(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SetMixture(masks); err != nil {
			t.Fatal(err)
		}
		nn.ClearGradients(dev, s.Params())
		loadNoise(t, p.Pass, 1)
		mustRun(t, p.Pass)
		own := mustNew(t, dev, c, s.cfg)
		ops, shared := c.Ops(), map[*nn.Param]*nn.Param{}
		for _, q := range own.Params() {
			name := q.Name
			if m := vertex.FindStringSubmatch(name); m != nil {
				name = fmt.Sprintf("%s.%s.%s.%s", m[1], m[2], strings.TrimSuffix(ops[m[2][0]-'0'], "-bn-relu"), m[3])
			}
			shared[q] = s.Param(name)
			dev.Write(q.Value, 0, readMemory(dev, shared[q].Value))
		}
		alone := mustBuild(t, own, nn.Train, batch)
		if err := alone.Graph.Plan(); err != nil {
			t.Fatal(err)
		}
		loadNoise(t, alone, 1)
		mustRun(t, alone)
		if got, want := p.Loss.Loss, alone.Loss.Loss; math.Abs(got-want) > 1e-6 {
			t.Errorf("%v: the mixture's loss is %v, the cell's network's %v", c, got, want)
		}
		for q, of := range shared {
			got, want := readMemory(dev, of.Grad), readMemory(dev, q.Grad)
			for i := range want {
				if math.Abs(float64(got[i]-want[i])) > 1e-5 {
					t.Errorf("%v: gradient %d of %s is %v, the cell's network's %v", c, i, of.Name, got[i], want[i])
					break
				}
			}
		}
	}
}

// A chain, whose first vertex has no part of the output, against operators put together
// by hand.
func TestMasksOfAChain(t *testing.T) {
	dev := openCPU(t, 2)
	s := smallMixture(t, dev, 2)
	masks, err := s.Masks(cellOf(t, "01 12 23", maxpool, conv3x3))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(masks), "[[1] [0 1] [0 0 1] [1 0 0] [0 0 1]]"; got != want {
		t.Errorf("the masks of a chain are %v, want %v", got, want)
	}
	p := mustMix(t, s, nn.Evaluate, 5)
	if err := p.SetMixture(masks); err != nil {
		t.Fatal(err)
	}
	loadNoise(t, p.Pass, 4)
	mustRun(t, p.Pass)
	byHand, err := s.build(nn.Evaluate, 5, func(p *Pass) *nn.Var {
		g := p.Graph
		add := func(op *nn.Conv) *nn.Var { g.Add(op); return op.Out }
		return p.inModules(s.stem, 3, func(i int, x *nn.Var) *nn.Var {
			b := s.modules[i]
			first := g.Pool(nn.Pool{X: add(b.input[0].on(g, x)), Max: true, Window: square(3, 1, 1)}, nil)
			g.Add(first)
			h, w := x.Values.H, x.Values.W
			narrow := g.Sum(nn.Sum{Sources: []*nn.Var{first.Out}, Out: g.Value(5, h, w, b.widths[1])})
			g.Add(narrow)
			second := add(b.windows[1][3].on(g, narrow.Out))
			whole, parts := g.Concat(5, h, w, b.widths)
			g.Add(g.Sum(nn.Sum{Sources: []*nn.Var{first.Out}, Weights: []float32{0}, Out: parts[0]}))
			g.Add(g.Sum(nn.Sum{Sources: []*nn.Var{second}, Out: parts[1]}))
			return whole
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := byHand.Graph.Plan(); err != nil {
		t.Fatal(err)
	}
	loadNoise(t, byHand, 4)
	mustRun(t, byHand)
	if p.Loss.Loss != byHand.Loss.Loss {
		t.Errorf("the chain's loss is %v, by hand %v", p.Loss.Loss, byHand.Loss.Loss)
	}
	if _, err := s.Masks(residual(t)); err == nil || !strings.Contains(err.Error(), "supernet of 2") {
		t.Errorf("masks of a larger cell: %v", err)
	}
}

// A path has the loss of its masks, and their gradients of the weights that it has.
func TestPathsOfAMixtureAreItsMasks(t *testing.T) {
	dev := openCPU(t, 2)
	for interior := 2; interior <= 5; interior++ {
		s := smallMixture(t, dev, interior)
		whole := mustMix(t, s, nn.Train, 5)
		grads := func(p *Pass) map[string][]float32 {
			all := map[string][]float32{}
			loadNoise(t, p, 1)
			mustRun(t, p)
			for _, q := range s.Params() {
				if q.Touched {
					all[q.Name] = readMemory(dev, q.Grad)
				}
			}
			nn.ClearGradients(dev, s.Params())
			return all
		}
		for _, c := range pathCells(t, interior) {
			masks, err := s.Masks(c)
			if err != nil {
				t.Fatal(err)
			}
			if err := whole.SetMixture(masks); err != nil {
				t.Fatal(err)
			}
			want := grads(whole.Pass)
			p, err := s.Path(c, nn.Train, 5)
			if err != nil {
				t.Fatal(err)
			}
			got := grads(p)
			if math.Abs(p.Loss.Loss-whole.Loss.Loss) > 1e-6 {
				t.Errorf("%v: the path's loss is %v, that of its masks %v", c, p.Loss.Loss, whole.Loss.Loss)
			}
			for name, all := range want {
				for i, x := range all {
					y := float32(0)
					if got[name] != nil {
						y = got[name][i]
					}
					if math.Abs(float64(x-y)) > 1e-5 {
						t.Errorf("%v: gradient %d of %s is %v, of the masks %v", c, i, name, y, x)
						break
					}
				}
			}
			if p.Graph.MultAdds() >= whole.Graph.MultAdds() {
				t.Errorf("%v: a path costs as much as the mixture", c)
			}
		}
	}
}

// Along the gradient of each vector the loss rises by its squared length.
func TestNASBenchMixtureGradIsTheLosssSlope(t *testing.T) {
	s := smallMixture(t, openCPU(t, 2), 3)
	p := mustMix(t, s, nn.Recalibrate, 48)
	loadNoise(t, p.Pass, 5)
	m := uneven(p.Shape())
	for _, weights := range m {
		for i := range weights {
			weights[i] *= 5
		}
	}
	loss := func() float64 {
		t.Helper()
		if err := p.SetMixture(m); err != nil {
			t.Fatal(err)
		}
		if err := p.Graph.Forward(); err != nil {
			t.Fatal(err)
		}
		return p.Loss.Loss
	}
	loss()
	if err := p.Graph.Backward(); err != nil {
		t.Fatal(err)
	}
	for v, grad := range p.MixtureGrad() {
		square := 0.0
		for _, g := range grad {
			square += g * g
		}
		if square == 0 {
			t.Errorf("%s has no gradient", p.name(v))
		}
		h := 1e-3 / math.Sqrt(square)
		move := func(by float64) float64 {
			for i := range grad {
				m[v][i] += by * grad[i]
			}
			return loss()
		}
		up := move(h)
		down := move(-2 * h)
		move(h)
		if slope := (up - down) / (2 * h); math.Abs(slope-square) > 0.04*square+1e-5 {
			t.Errorf("%s: the square of the gradient is %v, the loss's slope along it %v", p.name(v), square, slope)
		}
	}
}

func TestNASBenchMixtureHasTheSameBitsEverywhere(t *testing.T) {
	var want []float64
	for _, set := range kernel.Available() {
		for _, threads := range []int{1, 3} {
			dev, err := cpu.NewWith(set, threads)
			if err != nil {
				t.Fatal(err)
			}
			s := smallMixture(t, dev, 4)
			p := mustMix(t, s, nn.Train, 6)
			opt := &nn.Optimiser{Rule: nn.SGD, Params: s.Params(), Momentum: 0.9, Decay: 3e-4}
			var got []float64
			for step := range 3 {
				loadNoise(t, p.Pass, int64(step))
				mustRun(t, p.Pass)
				gradient := slices.Concat(p.MixtureGrad()...)
				report, err := opt.Step(dev, 0.025)
				if err != nil {
					t.Fatal(err)
				}
				got = append(append(got, p.Loss.Loss, report.Norm), gradient...)
			}
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v on %d threads: %v, not %v", set, threads, got, want)
			}
			if err := dev.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
