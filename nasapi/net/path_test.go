package net

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// fourNodes is the space of the search network's paths.
func fourNodes(t testing.TB) *space.DARTSSpace {
	t.Helper()
	d, err := space.DARTS(4)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// load gives a pass images and labels of a seed.
func load(t testing.TB, p *Pass, seed int64) {
	t.Helper()
	draw, in := rng.New(seed, "images"), p.Input.Values
	pixels, labels := make([]float32, in.N*in.Image()), make([]int32, p.Batch())
	for i := range pixels {
		if i%in.Pix < in.Channels.Count() {
			pixels[i] = float32(2*draw.Float64() - 1)
		}
	}
	for i := range labels {
		labels[i] = int32(draw.IntN(p.cfg.Classes))
	}
	if err := p.Graph.SetInput(p.Input, pixels); err != nil {
		t.Fatal(err)
	}
	if err := p.SetLabels(labels); err != nil {
		t.Fatal(err)
	}
}

// planned is a pass ready to run, with images.
func planned(t testing.TB, p *Pass, err error) *Pass {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Graph.Plan(); err != nil {
		t.Fatal(err)
	}
	load(t, p, 2)
	return p
}

// run is the pass forward and, unless it evaluates, backward; and the logits.
func run(t testing.TB, p *Pass) []float32 {
	t.Helper()
	if err := p.Graph.Forward(); err != nil {
		t.Fatal(err)
	}
	logits := p.Graph.ReadValues(p.Logits) // other values take their place in the backward pass
	if p.Graph.Mode() == nn.Evaluate {
		return logits
	}
	if err := p.Graph.Backward(); err != nil {
		t.Fatal(err)
	}
	return logits
}

// gradients are those of the parameters that a backward pass wrote to, which are
// forgotten.
func gradients(n *Network) map[string][]float32 {
	all := map[string][]float32{}
	for _, p := range n.Params() {
		if p.Touched {
			g := make([]float32, p.Len())
			n.dev.Read(g, p.Grad, 0)
			all[p.Name] = g
		}
		n.dev.Zero(p.Grad, 0, p.Len())
		p.Touched = false
	}
	return all
}

// near compares numbers by the largest of them.
func near(t testing.TB, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	largest := 1e-6
	for _, x := range want {
		largest = max(largest, math.Abs(float64(x)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*largest) {
			t.Errorf("%s: number %d is %v, want %v (largest %v)", what, i, got[i], want[i], largest)
			return
		}
	}
}

func smallNet(t testing.TB, dev nn.Device) *Supernet {
	t.Helper()
	s, err := NewSupernet(dev, Config{Height: 16, Width: 16, Channels: 4, Cells: 4, Classes: 4})
	if err != nil {
		t.Fatal(err)
	}
	s.Initialise(1)
	return s
}

// oneHot is a mixture of weight 1 for the operations of a genotype and 0 for all others.
func oneHot(g *space.Genotype) [][]float64 {
	m := newMixture(newSupernetPass().shape)
	for kind, c := range []space.DARTSCell{g.Normal(), g.Reduce()} {
		for i, e := range c.Edges {
			node := i / 2
			m[kind*supernetEdges+node*(node+3)/2+e.Input][slices.Index(operations, e.Op)] = 1
		}
	}
	return m
}

// concatenated is g with the states that its cells concatenate in another order, which
// leaves the architecture what it is.
func concatenated(t testing.TB, g *space.Genotype, order []int) *space.Genotype {
	t.Helper()
	out, err := space.NewGenotype(space.DARTSCell{Edges: g.Normal().Edges, Concat: order}, space.DARTSCell{Edges: g.Reduce().Edges, Concat: order})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A path is the supernet under mixtures that leave out all else, in logits, in the
// gradients of the weights, and in the running statistics of what it uses.
func TestPathIsTheSupernetUnderOneHotMixtures(t *testing.T) {
	dev := openCPU(t, 2)
	draw, d := rng.New(4, "genotypes"), fourNodes(t)
	for i := range 4 {
		g := concatenated(t, d.Sample(draw).(*space.Genotype), [][]int{{2, 3, 4, 5}, {5, 3, 2, 4}}[i%2])
		whole, single := smallNet(t, dev), smallNet(t, dev)
		mixture, err := whole.Build(nn.Train, 12)
		if err != nil {
			t.Fatal(err)
		}
		planned(t, mixture.Pass, nil)
		if err := mixture.SetMixture(oneHot(g)); err != nil {
			t.Fatal(err)
		}
		p, err := single.Path(g, nn.Train, 12)
		path := planned(t, p, err)
		near(t, fmt.Sprintf("genotype %d: logits", i), run(t, path), run(t, mixture.Pass), 1e-4)
		want, got := gradients(whole.Network), gradients(single.Network)
		if len(got) == 0 || len(got) >= len(want) {
			t.Errorf("genotype %d: a path writes gradients of %d parameters, the mixture of %d", i, len(got), len(want))
		}
		for name, w := range want {
			if got[name] == nil {
				if slices.ContainsFunc(w, func(x float32) bool { return x != 0 }) {
					t.Errorf("genotype %d: the path leaves out %s, which has a gradient", i, name)
				}
				continue
			}
			// Sums over pixels that all but cancel out: a share of what is added up.
			near(t, fmt.Sprintf("genotype %d: gradient of %s", i, name), got[name], w, 1e-3)
		}
		moved := 0
		for j, bn := range single.BatchNorms() {
			if bn.Batches == 1 {
				moved++
				near(t, "running mean of "+bn.Name, bn.Mean, whole.BatchNorms()[j].Mean, 1e-4)
				near(t, "running variance of "+bn.Name, bn.Var, whole.BatchNorms()[j].Var, 1e-4)
			}
		}
		if moved == 0 || moved >= len(single.BatchNorms()) {
			t.Errorf("a path moved the statistics of %d norms of %d", moved, len(single.BatchNorms()))
		}
	}
}

// withoutPools draws a genotype of the other operations: a stand-alone network's pools
// have no norm.
func withoutPools(t testing.TB, draw *rng.Stream) *space.Genotype {
	t.Helper()
	g := fourNodes(t).Sample(draw).(*space.Genotype)
	cells := [2]space.DARTSCell{g.Normal(), g.Reduce()}
	for c := range cells {
		cells[c].Edges = slices.Clone(cells[c].Edges)
		for i, e := range cells[c].Edges {
			if strings.Contains(e.Op, "pool") {
				cells[c].Edges[i].Op = []string{"skip_connect", "sep_conv_3x3", "dil_conv_5x5"}[i%3]
			}
		}
	}
	out, err := space.NewGenotype(cells[0], cells[1])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A path computes, bit by bit, what the genotype's own network does with its weights
// and norms whose scale and shift are still 1 and 0.
func TestPathIsTheGenotypesNetwork(t *testing.T) {
	dev := openCPU(t, 2)
	draw := rng.New(5, "genotypes")
	for i := range 3 {
		g := withoutPools(t, draw)
		s := smallNet(t, dev)
		cfg := s.Config()
		alone := mustNew(t, dev, g, Config{Height: cfg.Height, Width: cfg.Width, Channels: cfg.Channels, Cells: cfg.Cells, Classes: cfg.Classes})
		alone.Initialise(9)
		names := map[string]string{}
		for _, p := range alone.Params() {
			from := candidateName(p.Name, g, cfg)
			names[p.Name] = from
			if q := s.Param(from); q != nil {
				dev.Write(p.Value, 0, s.read(q))
			} else if !isNorm(p.Name) {
				t.Fatalf("the supernet has no %s", from)
			}
		}
		for _, mode := range []nn.Mode{nn.Train, nn.Recalibrate, nn.Evaluate} {
			p, err := s.Path(g, mode, 5)
			path := planned(t, p, err)
			p, err = alone.Build(mode, 5)
			want := planned(t, p, err)
			near(t, fmt.Sprintf("genotype %d, mode %d: logits", i, mode), run(t, path), run(t, want), 0)
			if path.Loss.Loss != want.Loss.Loss || path.Graph.MultAdds() != want.Graph.MultAdds() {
				t.Errorf("genotype %d, mode %d: loss %v and %d multiply-adds, its own network's %v and %d", i, mode, path.Loss.Loss, path.Graph.MultAdds(), want.Loss.Loss, want.Graph.MultAdds())
			}
			got, own := gradients(s.Network), gradients(alone)
			for name, g := range own {
				if !isNorm(name) || strings.HasPrefix(name, "stem") {
					near(t, fmt.Sprintf("genotype %d, mode %d: gradient of %s", i, mode, name), got[names[name]], g, 0)
				}
			}
		}
	}
}

// isNorm says whether a parameter of a genotype's network is a norm's.
func isNorm(name string) bool {
	return strings.HasSuffix(name, ".bias") && name != "classifier.bias" || strings.Contains(name, ".op.2.weight") && strings.Contains(name, "preprocess") ||
		strings.Contains(name, "bn.weight") || strings.HasSuffix(name, ".op.3.weight") || strings.HasSuffix(name, ".op.7.weight")
}

// candidateName is what the supernet calls a parameter of a genotype's network:
// cells.3._ops.5.op.1.weight of the sixth edge is that of its operation on the edge of
// the cell between these two states.
func candidateName(name string, g *space.Genotype, cfg Config) string {
	var cell, edge int
	if n, _ := fmt.Sscanf(name, "cells.%d._ops.%d.", &cell, &edge); n < 2 {
		return name
	}
	c := g.Normal()
	if isReduction(cell, cfg.Cells) {
		c = g.Reduce()
	}
	e, node := c.Edges[edge], edge/2
	prefix := fmt.Sprintf("cells.%d._ops.%d.", cell, edge)
	return fmt.Sprintf("cells.%d._ops.%d._ops.%d.%s", cell, node*(node+3)/2+e.Input, slices.Index(operations, e.Op), strings.TrimPrefix(name, prefix))
}

func TestPathRefuses(t *testing.T) {
	s, err := NewSupernet(fakeDevice{}, Config{Height: 8, Width: 8, Channels: 4, Cells: 3})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"nao_1268": "5 nodes (10 edges), not 4",
		"NASNet":   "5 nodes",
	} {
		_, err := s.Path(genotypes(t)[name], nn.Train, 2)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, space.ErrOutside) {
			t.Errorf("%s: %v, want %q in it", name, err, want)
		}
	}
	foreign := fourNodes(t).Sample(rng.New(1, "foreign")).(*space.Genotype).Normal()
	foreign.Edges = slices.Clone(foreign.Edges)
	foreign.Edges[3].Op = "sep_conv_7x7"
	g, err := space.NewGenotype(foreign, foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Path(g, nn.Train, 2); err == nil || !strings.Contains(err.Error(), "sep_conv_7x7 is not one of") {
		t.Errorf("a foreign operation: %v", err)
	}
	if _, err := s.Path(genotypes(t)["DARTS_V2"], nn.Train, 0); err == nil {
		t.Error("a batch of no images is taken")
	}
}
