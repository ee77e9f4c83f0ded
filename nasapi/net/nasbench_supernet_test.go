package net

import (
	"fmt"
	"math"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/nn/cpu/kernel"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// With n interior vertices a module of i inputs and o outputs has
// n(io + 2o + o^2 + 2o + 9o^2 + 2o) + io + 2o parameters. The sums are those of the
// reference, counted by running it: 23.30, 34.50, 45.71 and 56.91 million, and 92.99,
// 137.75, 182.51 and 227.27 in the published widths.
func TestNASBenchSupernetsParameters(t *testing.T) {
	for _, c := range []struct {
		interior        int
		want, published int64
	}{{2, 23295370, 92986506}, {3, 34501770, 137747082}, {4, 45708170, 182507658}, {5, 56914570, 227268234}} {
		for as, want := range map[bool]int64{false: c.want, true: c.published} {
			s, err := NewNASBenchSupernet(paper{}, c.interior, Config{AsPublished: as})
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := s.Count(); got != want {
				t.Errorf("%d interior vertices, as published %v: %d parameters, want %d", c.interior, as, got, want)
			}
			if s.Config().Start != PyTorch {
				t.Errorf("weights start as %s", s.Config().Start)
			}
		}
	}
}

const (
	conv3x3 = "conv3x3-bn-relu"
	conv1x1 = "conv1x1-bn-relu"
	maxpool = "maxpool3x3"
)

// cellOf makes a cell of the edges between vertices, such as "01 12 02".
func cellOf(t testing.TB, edges string, ops ...string) *space.Cell {
	t.Helper()
	matrix := make([][]int, len(ops)+2)
	for i := range matrix {
		matrix[i] = make([]int, len(matrix))
	}
	for edge := range strings.FieldsSeq(edges) {
		matrix[edge[0]-'0'][edge[1]-'0'] = 1
	}
	return mustCell(t, matrix, slices.Concat([]string{"input"}, ops, []string{"output"})...)
}

// pathCells are cells of all shapes for a supernet: only the projection, chains, edges
// from the input to the output beside one and several vertices, unequal widths, what
// the space has at random.
func pathCells(t testing.TB, interior int) []*space.Cell {
	t.Helper()
	cells := []*space.Cell{
		cellOf(t, "01"),
		cellOf(t, "01 12", conv3x3),
		cellOf(t, "01 12 02", maxpool),
		cellOf(t, "01 12 23", conv1x1, conv3x3),
		cellOf(t, "01 02 03 13 23", conv3x3, conv1x1),
	}
	if interior >= 3 {
		cells = append(cells, residual(t), cellOf(t, "01 12 13 24 34", conv3x3, conv1x1, maxpool))
	}
	if interior >= 5 {
		cells = append(cells, inception(t), cellOf(t, "01 12 23 34 45 56", conv3x3, maxpool, conv1x1, conv3x3, conv1x1))
	}
	n, err := space.NASBench101(interior + 2)
	if err != nil {
		t.Fatal(err)
	}
	draw := rng.New(5, "cells")
	for range 4 {
		cells = append(cells, n.Sample(draw).(*space.Cell))
	}
	return cells
}

// smallPaths is a supernet whose widths no number of vertices divides, with norms that
// are not those that it starts with.
func smallPaths(t testing.TB, dev nn.Device, interior int) *NASBenchSupernet {
	t.Helper()
	s, err := NewNASBenchSupernet(dev, interior, Config{Channels: 7, Cells: 3, Height: 12, Width: 9, Classes: 4})
	if err != nil {
		t.Fatal(err)
	}
	s.Initialise(11)
	unevenNorms(dev, s.Network)
	return s
}

func unevenNorms(dev nn.Device, n *Network) {
	for _, bn := range n.BatchNorms() {
		scale, shift := make([]float32, bn.C), make([]float32, bn.C)
		for i := range bn.C {
			scale[i], shift[i] = float32(6+i%7)/8, float32(i%4-1)/16
		}
		dev.Write(bn.Gamma.Value, 0, scale)
		dev.Write(bn.Beta.Value, 0, shift)
	}
}

// loadNoise gives a pass images and labels of a seed.
func loadNoise(t testing.TB, p *Pass, seed int64) {
	t.Helper()
	draw, in := rng.New(seed, "noise"), p.Input.Values
	pixels, labels := make([]float32, in.N*in.Image()), make([]int32, in.N)
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

func mustPath(t testing.TB, s *NASBenchSupernet, c *space.Cell, mode nn.Mode, batch int) *Pass {
	t.Helper()
	p, err := s.Path(c, mode, batch)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustRun(t testing.TB, p *Pass) {
	t.Helper()
	if err := p.Graph.Forward(); err != nil {
		t.Fatal(err)
	}
	if p.Graph.Mode() == nn.Evaluate {
		return
	}
	if err := p.Graph.Backward(); err != nil {
		t.Fatal(err)
	}
}

// part is where a parameter of a cell's own network lies in one of a supernet.
type part struct {
	whole     *nn.Param
	in, first int // rows, and the first column
}

// parts finds them by name.
func (s *NASBenchSupernet) parts(t testing.TB, own *Network, c *space.Cell) map[*nn.Param]part {
	t.Helper()
	piece := regexp.MustCompile(`\[(\d+):\d+\]$`)
	vertex := regexp.MustCompile(`^(cells\.\d+)\.(projections|vertices)\.(\d+)\.(.*)$`)
	last, ops := c.Vertices()-1, c.Ops()
	parts := map[*nn.Param]part{}
	for _, p := range own.Params() {
		name, first := p.Name, 0
		if m := piece.FindStringSubmatch(name); m != nil {
			name = strings.TrimSuffix(name, m[0])
			first, _ = strconv.Atoi(m[1])
		}
		if m := vertex.FindStringSubmatch(name); m != nil {
			v, _ := strconv.Atoi(m[3])
			switch {
			case m[2] == "vertices":
				name = fmt.Sprintf("%s.vertices.%d.%s.%s", m[1], v, strings.TrimSuffix(ops[v], "-bn-relu"), m[4])
			case v == last:
				name = fmt.Sprintf("%s.projections.%d.%s", m[1], s.interior+1, m[4])
			}
		}
		whole := s.Param(name)
		if whole == nil {
			t.Fatalf("%s of a cell's network is %s of the supernet, which has none", p.Name, name)
		}
		in := 1
		if len(p.Shape) > 1 {
			in = p.Shape[len(p.Shape)-2]
		}
		parts[p] = part{whole, in, first}
	}
	return parts
}

// each visits the numbers of a part by their places in the part and in the whole.
func (x part) each(p *nn.Param, visit func(own, whole int)) {
	columns, width := p.Shape[len(p.Shape)-1], x.whole.Shape[len(x.whole.Shape)-1]
	depth := 1
	if len(x.whole.Shape) > 1 {
		depth = x.whole.Shape[len(x.whole.Shape)-2]
	}
	for i := range p.Len() {
		row, column := i/columns, i%columns
		tap, k := row/x.in, row%x.in
		visit(i, (tap*depth+k)*width+x.first+column)
	}
}

func readMemory(dev nn.Device, m nn.Memory) []float32 {
	values := make([]float32, m.Len())
	dev.Read(values, m, 0)
	return values
}

// ownNetwork is the cell's network with the supernet's weights.
func (s *NASBenchSupernet) ownNetwork(t testing.TB, c *space.Cell) (*Network, map[*nn.Param]part) {
	t.Helper()
	own := mustNew(t, s.dev, c, s.cfg)
	parts := s.parts(t, own, c)
	for p, x := range parts {
		whole, values := readMemory(s.dev, x.whole.Value), make([]float32, p.Len())
		x.each(p, func(i, at int) { values[i] = whole[at] })
		s.dev.Write(p.Value, 0, values)
	}
	return own, parts
}

// A path is the network of its cell with the same weights, to the bit: logits, loss and
// gradients, which come to the part of each weight that the path uses and nowhere else.
func TestPathsAreTheirCellsNetworks(t *testing.T) {
	const batch = 5
	dev := openCPU(t, 2)
	for interior := 2; interior <= 5; interior++ {
		s := smallPaths(t, dev, interior)
		for _, c := range pathCells(t, interior) {
			nn.ClearGradients(dev, s.Params())
			path := mustPath(t, s, c, nn.Train, batch)
			loadNoise(t, path, 1)
			mustRun(t, path)
			own, parts := s.ownNetwork(t, c)
			alone := mustBuild(t, own, nn.Train, batch)
			if err := alone.Graph.Plan(); err != nil {
				t.Fatal(err)
			}
			loadNoise(t, alone, 1)
			mustRun(t, alone)
			if path.Loss.Loss != alone.Loss.Loss || path.Loss.Correct != alone.Loss.Correct || !slices.Equal(path.Graph.ReadValues(path.Logits), alone.Graph.ReadValues(alone.Logits)) {
				t.Errorf("%v: the path's loss is %v, the cell's network's %v", c, path.Loss.Loss, alone.Loss.Loss)
			}
			want := map[*nn.Param][]float32{}
			for p, x := range parts {
				if want[x.whole] == nil {
					want[x.whole] = make([]float32, x.whole.Len())
				}
				grad := readMemory(dev, p.Grad)
				x.each(p, func(i, at int) { want[x.whole][at] = grad[i] })
			}
			for _, p := range s.Params() {
				got := readMemory(dev, p.Grad)
				if p.Touched != (want[p] != nil) {
					t.Errorf("%v: %s is touched: %v", c, p.Name, p.Touched)
				}
				for i, x := range got {
					if want[p] == nil && x != 0 || want[p] != nil && x != want[p][i] {
						t.Errorf("%v: gradient %d of %s is %v, the cell's network's is %v", c, i, p.Name, x, want[p])
						break
					}
				}
			}
			if got, want := path.Graph.MultAdds(), alone.Graph.MultAdds(); got != want {
				t.Errorf("%v: %d multiply-adds, the cell's network has %d", c, got, want)
			}
			evaluate := mustPath(t, s, c, nn.Evaluate, batch)
			loadNoise(t, evaluate, 1)
			mustRun(t, evaluate)
			if evaluate.Loss.Loss != path.Loss.Loss {
				t.Errorf("%v: evaluation's loss is %v, that of the batch's statistics %v", c, evaluate.Loss.Loss, path.Loss.Loss)
			}
		}
	}
}

// The widths are those of the reference's own tests (15 channels out): a module's
// convolutions have them.
func TestPathsUseTheChannelRule(t *testing.T) {
	s, err := NewNASBenchSupernet(fakeDevice{}, 3, Config{Channels: 15, Cells: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cell *space.Cell
		want []int
	}{
		{cellOf(t, "01 12 23 34", conv1x1, conv1x1, conv1x1), []int{15, 15, 15}},
		{cellOf(t, "01 02 13 23", conv1x1, conv1x1), []int{8, 7}},
		{cellOf(t, "01 02 03 14 24 34", conv1x1, conv1x1, conv1x1), []int{5, 5, 5}},
		{cellOf(t, "01 12 13 24 34", conv1x1, conv1x1, conv1x1), []int{8, 8, 7}},
		{cellOf(t, "01 03 12 14 23 34", conv1x1, conv1x1, conv1x1), []int{8, 7, 7}},
	} {
		for v, x := range newModule(c.cell, 15, s.slots[0]).vertices {
			w := x.conv.conv.Dense[0].W
			if x.width != c.want[v] || w.In != c.want[v] || w.Out != c.want[v] || w.First != 0 || w.Shape[1] != 15 {
				t.Errorf("%v: vertex %d convolves %d channels to %d of %v, want %d", c.cell, 1+v, w.In, w.Out, w.Shape, c.want[v])
			}
		}
	}
}

// FairNAS adds the gradients of three paths before it makes a step.
func TestGradientsOfPathsAdd(t *testing.T) {
	dev := openCPU(t, 2)
	s := smallPaths(t, dev, 3)
	cells := pathCells(t, 3)[4:7]
	want := map[*nn.Param][]float64{}
	run := func(c *space.Cell) {
		p := mustPath(t, s, c, nn.Train, 4)
		loadNoise(t, p, 2)
		mustRun(t, p)
	}
	for _, c := range cells {
		run(c)
		for _, p := range s.Params() {
			if want[p] == nil {
				want[p] = make([]float64, p.Len())
			}
			for i, x := range readMemory(dev, p.Grad) {
				want[p][i] += float64(x)
			}
		}
		nn.ClearGradients(dev, s.Params())
	}
	for _, c := range cells {
		run(c)
	}
	for _, p := range s.Params() {
		for i, x := range readMemory(dev, p.Grad) {
			if math.Abs(float64(x)-want[p][i]) > 1e-6*(1+math.Abs(want[p][i])) {
				t.Fatalf("%s: gradient %d of three paths is %v, their sum %v", p.Name, i, x, want[p][i])
			}
		}
	}
}

// pathSteps trains some paths and tells the state that they leave.
func pathSteps(t *testing.T, dev nn.Device) (State, []float64) {
	t.Helper()
	s := smallPaths(t, dev, 5)
	opt := nn.Optimiser{Rule: nn.SGD, Params: s.Params(), Momentum: 0.9, Decay: 3e-4, ClipNorm: 5}
	var losses []float64
	for i, c := range pathCells(t, 5) {
		p := mustPath(t, s, c, nn.Train, 6)
		loadNoise(t, p, int64(i))
		mustRun(t, p)
		report, err := opt.Step(dev, 0.025)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, p.Loss.Loss, report.Norm)
	}
	return s.State(), losses
}

func TestPathsLeaveTheSameBitsEverywhere(t *testing.T) {
	first, losses := pathSteps(t, openCPU(t, 1))
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
		state, seen := pathSteps(t, dev)
		if !slices.Equal(seen, losses) {
			t.Errorf("%s: losses and norms %v, on one thread %v", dev.Name(), seen, losses)
		}
		for i, values := range state.Params {
			if !slices.Equal(values, first.Params[i]) {
				t.Errorf("%s: other weights in parameter %d", dev.Name(), i)
			}
		}
	}
}

// Once trained, weights that a path does not use go on by momentum and decay, as the
// reference's do; the others stay.
func TestUntouchedWeightsDriftOnceTrained(t *testing.T) {
	for _, skip := range []bool{false, true} {
		dev := openCPU(t, 1)
		s := smallPaths(t, dev, 2)
		opt := nn.Optimiser{Rule: nn.SGD, Params: s.Params(), Momentum: 0.9, Decay: 3e-4, SkipUntouched: skip}
		step := func(c *space.Cell) {
			p := mustPath(t, s, c, nn.Train, 4)
			loadNoise(t, p, 3)
			mustRun(t, p)
			if _, err := opt.Step(dev, 0.1); err != nil {
				t.Fatal(err)
			}
		}
		used, never := s.Param("cells.0.vertices.1.conv3x3.0.weight"), s.Param("cells.0.vertices.1.conv1x1.0.weight")
		start, first := readMemory(dev, never.Value), readMemory(dev, used.Value)
		step(cellOf(t, "01 12", conv3x3))
		second := readMemory(dev, used.Value)
		step(cellOf(t, "01 12", maxpool))
		third := readMemory(dev, used.Value)
		if !slices.Equal(readMemory(dev, never.Value), start) {
			t.Error("a weight that no path used has moved")
		}
		moved := 0
		for i := range third {
			want := second[i]
			if !skip {
				v := (first[i] - second[i]) / 0.1
				want -= 0.1 * (0.9*v + 3e-4*second[i])
			}
			if math.Abs(float64(third[i]-want)) > 1e-6 {
				t.Fatalf("skipping %v: an untouched weight went from %v to %v, not to %v", skip, second[i], third[i], want)
			}
			if third[i] != second[i] {
				moved++
			}
		}
		if skip == (moved > 0) {
			t.Errorf("skipping %v: %d untouched weights moved", skip, moved)
		}
	}
}

func TestNASBenchSupernetRefuses(t *testing.T) {
	refused := func(what, word string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, interior := range []int{1, 6} {
		_, err := NewNASBenchSupernet(fakeDevice{}, interior, Config{})
		refused("interior vertices", "give 2 to 5", err)
	}
	_, err := NewNASBenchSupernet(fakeDevice{}, 5, Config{Channels: 4})
	refused("channels", "at least 5", err)
	_, err = NewNASBenchSupernet(fakeDevice{}, 5, Config{Cells: 8})
	refused("cells", "multiple of 3", err)
	_, err = NewNASBenchSupernet(fakeDevice{}, 5, Config{Auxiliary: true})
	refused("auxiliary", "auxiliary", err)
	s, err := NewNASBenchSupernet(fakeDevice{}, 2, Config{Channels: 4, Cells: 3})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Path(residual(t), nn.Train, 2)
	refused("a larger cell", "3 interior vertices in a supernet of 2", err)
	_, err = s.Path(cellOf(t, "01"), nn.Train, 0)
	refused("no images", "at least 1", err)
	_, err = s.Build(nn.Train, 2)
	refused("a graph of no cell", "Path", err)
}

// A path that was built before another one ran is run after its own input is set.
func TestPathsTakeTurnsInOneMemory(t *testing.T) {
	dev := openCPU(t, 1)
	s := smallPaths(t, dev, 2)
	small, large := mustPath(t, s, cellOf(t, "01 12", maxpool), nn.Train, 2), mustPath(t, s, cellOf(t, "01 02 03 13 23", conv3x3, conv3x3), nn.Train, 8)
	loadNoise(t, small, 1)
	mustRun(t, small)
	want := small.Loss.Loss
	loadNoise(t, large, 1)
	if small.Graph.Forward() == nil || small.Graph.Backward() == nil {
		t.Error("a path runs on what another one's input left")
	}
	mustRun(t, large)
	loadNoise(t, small, 1)
	mustRun(t, small)
	if small.Loss.Loss != want {
		t.Errorf("the loss is %v, and was %v before another path ran", small.Loss.Loss, want)
	}
}

// Two hundred paths need no more memory than the largest of them.
func TestMemoryOfPathsIsBounded(t *testing.T) {
	dev := openCPU(t, 2)
	s := smallPaths(t, dev, 5)
	n, err := space.NASBench101(7)
	if err != nil {
		t.Fatal(err)
	}
	draw := rng.New(6, "cells")
	var largest int64
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	var before float64
	for i := range 200 {
		c := n.Sample(draw).(*space.Cell)
		bytes, err := s.PathBytes(c, nn.Train, 8)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, bytes)
		p := mustPath(t, s, c, nn.Train, 8)
		loadNoise(t, p, int64(i))
		mustRun(t, p)
		if i == 100 {
			before = heap()
		}
	}
	if got := s.ArenaBytes(); got == 0 || got > largest*9/8 {
		t.Errorf("the paths' memory is %d bytes, the largest path needs %d with the device's scratch", got, largest)
	}
	if after := heap(); after > before*1.1+1<<20 {
		t.Errorf("the heap grew from %.0f to %.0f bytes in the second hundred paths", before, after)
	}
	runtime.KeepAlive(s)
}

// A state of weights alone, and the weights as a file, bring a supernet back.
func TestSupernetsComeBack(t *testing.T) {
	dev := openCPU(t, 1)
	s := smallPaths(t, dev, 2)
	loss := func(s *NASBenchSupernet) float64 {
		p := mustPath(t, s, cellOf(t, "01 02 03 13 23", conv3x3, conv1x1), nn.Evaluate, 3)
		loadNoise(t, p, 1)
		mustRun(t, p)
		return p.Loss.Loss
	}
	want := loss(s)
	for name, bring := range map[string]func(to *NASBenchSupernet) error{
		"state":   func(to *NASBenchSupernet) error { return to.Restore(s.State()) },
		"weights": func(to *NASBenchSupernet) error { return to.SetWeights(s.Weights()) },
	} {
		other := smallPaths(t, dev, 2)
		other.Initialise(12)
		if loss(other) == want {
			t.Fatal("another seed has the same loss")
		}
		if err := bring(other); err != nil {
			t.Fatal(err)
		}
		if got := loss(other); got != want {
			t.Errorf("%s: the loss is %v, was %v", name, got, want)
		}
	}
	if err := smallPaths(t, dev, 3).Restore(s.State()); err == nil {
		t.Error("the state of a supernet of other cells is taken")
	}
}
