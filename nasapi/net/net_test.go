package net

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// genotypes are the 47 published ones.
func genotypes(t testing.TB) map[string]*space.Genotype {
	t.Helper()
	var raw map[string]json.RawMessage
	readJSON(t, "../space/genotypes.json", &raw)
	all := map[string]*space.Genotype{}
	for name, text := range raw {
		g, err := space.ParseGenotype(string(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = g
	}
	return all
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// The counts come from running the reference's networks (36 channels, 20 cells).
func TestParametersOfThePublishedGenotypes(t *testing.T) {
	var want struct {
		Networks map[string]struct {
			Params    int64 `json:"params"`
			AuxParams int64 `json:"aux_params"`
		}
	}
	readJSON(t, "../space/testdata/darts_params.json", &want)
	all := genotypes(t)
	if len(all) != 47 || len(want.Networks) != 47 {
		t.Fatalf("%d genotypes and %d counts, want 47 of each", len(all), len(want.Networks))
	}
	for name, g := range all {
		got, err := Measure(g, Config{Auxiliary: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w := want.Networks[name]
		if got.Params != w.Params || got.AuxParams != w.AuxParams {
			t.Errorf("%s: %d parameters and %d of the head, want %d and %d", name, got.Params, got.AuxParams, w.Params, w.AuxParams)
		}
		// The formula counts every edge; the network leaves out what reaches no loss.
		whole := !slices.Contains(liveStates(g.Normal()), false) && !slices.Contains(liveStates(g.Reduce()), false)
		if whole != (got.MultAdds == g.FLOPs()) || got.MultAdds > g.FLOPs() {
			t.Errorf("%s: %d multiply-adds, the space's formula says %d", name, got.MultAdds, g.FLOPs())
		}
		n, err := New(paper{}, g, Config{Auxiliary: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []nn.Mode{nn.Train, nn.Evaluate, nn.Recalibrate} {
			p, err := n.Build(mode, 4)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := p.Graph.Plan(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The counts are the data set's own (and the README's cell is among the anchors).
func TestParametersOfNASBenchCells(t *testing.T) {
	n, err := space.NASBench101(7)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("../space/testdata/params_500.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(raw)), "\n")[1:]
	if len(rows) != 500 {
		t.Fatalf("%d rows, want 500", len(rows))
	}
	for _, row := range append(rows, "28cfc7874f6d200472e1a9dcd8650aa0\t2694282") {
		fields := strings.Split(row, "\t")
		c, err := n.ByHash(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		got, err := Measure(c, Config{})
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := strconv.ParseInt(fields[1], 10, 64); got.Params != want || got.AuxParams != 0 || got.MultAdds != c.FLOPs() {
			t.Errorf("%v: %+v, want %d parameters and %d multiply-adds", c, got, want, c.FLOPs())
		}
	}
}

func TestDoubledWidthsOfThePublishedCode(t *testing.T) {
	got, err := Measure(inception(t), Config{AsPublished: true})
	if err != nil || got.Params != 10701450 {
		t.Errorf("%d parameters, %v; the published network has 10,701,450", got.Params, err)
	}
}

// Every size that is allowed can be built, and is counted alike in every mode.
func TestNetworksOfManySizes(t *testing.T) {
	for _, arch := range []space.Arch{everything(t), genotypes(t)["NASNet"], inception(t), residual(t), mustCell(t, [][]int{{0, 1}, {0, 0}}, "input", "output")} {
		for _, c := range []Config{
			{Height: 8, Width: 8, Colours: 1, Classes: 2, Channels: 5, Cells: 3},
			{Height: 9, Width: 63, Colours: 5, Classes: 100, Channels: 6, Cells: 6},
			{Height: 224, Width: 224, Channels: 5, Cells: 9},
			{Height: 64, Width: 300, Channels: 7, Cells: 3},
			{Height: 8, Width: 4096, Channels: 6, Cells: 3},
			{Height: 33, Width: 31, Channels: 16, Cells: 12},
		} {
			if _, ok := arch.(*space.Genotype); ok {
				c.Auxiliary = true
			}
			n := mustNew(t, paper{}, arch, c)
			for _, mode := range []nn.Mode{nn.Train, nn.Evaluate, nn.Recalibrate} {
				p := mustBuild(t, n, mode, 2)
				if err := p.Graph.Plan(); err != nil {
					t.Errorf("%v, %+v: %v", arch, c, err)
				}
				if (p.Auxiliary != nil) != (c.Auxiliary && mode == nn.Train) {
					t.Errorf("%v, mode %d: auxiliary loss %v", arch, mode, p.Auxiliary)
				}
				if got := p.Logits.Values; got.N != 2 || got.Channels.Count() != n.Config().Classes {
					t.Errorf("%v: logits are %v", arch, got)
				}
			}
		}
	}
}

// Few cells put both reductions, or the head and the end, in one place.
func TestNetworksOfFewCells(t *testing.T) {
	for cells := 1; cells <= 8; cells++ {
		n := mustNew(t, paper{}, everything(t), Config{Cells: cells, Channels: 4, Auxiliary: true})
		mustBuild(t, n, nn.Train, 2)
	}
}

func TestTheStemLeavesTheFirstCell32To63Pixels(t *testing.T) {
	for _, c := range []struct{ h, w, want int }{
		{8, 8, 0}, {32, 32, 0}, {63, 63, 0}, {64, 64, 1}, {96, 96, 1}, {127, 100, 2}, {128, 128, 2}, {224, 224, 2}, {4096, 4096, 7},
		{65, 15, 0}, {64, 16, 1}, {15, 4096, 0},
	} {
		if got := stemHalvings(c.h, c.w); got != c.want {
			t.Errorf("the stem halves %dx%d %d times, want %d", c.h, c.w, got, c.want)
		}
	}
	for side := 64; side <= maxPixels; side++ {
		left := side
		for range stemHalvings(side, side) {
			left = (left + 1) / 2
		}
		if left < 32 || left > 63 {
			t.Fatalf("of %dx%d the first cell sees %d pixels a side", side, side, left)
		}
	}
	if got := stemWidths(3, 108); !slices.Equal(got, []int{27, 54, 108}) {
		t.Errorf("the channels of a stem that halves three times are %v", got)
	}
	if got := stemWidths(0, 108); !slices.Equal(got, []int{108}) {
		t.Errorf("the channels of the published stem are %v", got)
	}
}

func TestTheAuxiliaryHeadSees2x2Pixels(t *testing.T) {
	if got, want := auxiliaryWindow(8, 8), (nn.Window{KH: 5, KW: 5, StrideH: 3, StrideW: 3}); got != want {
		t.Errorf("the window on 8x8 is %+v, the published one %+v", got, want)
	}
	for h := 2; h <= 1024; h++ {
		w := 1026 - h
		if oh, ow := auxiliaryWindow(h, w).Output(h, w); oh != 2 || ow != 2 {
			t.Errorf("of %dx%d it leaves %dx%d", h, w, oh, ow)
		}
	}
}

func TestConfigurationsThatDoNotFit(t *testing.T) {
	g, c := everything(t), inception(t)
	for _, bad := range []struct {
		arch space.Arch
		cfg  Config
		want string
	}{
		{g, Config{Height: 7}, "height is 7; give 8 to 4096"},
		{g, Config{Width: -1}, "width is -1"},
		{g, Config{Colours: 2000}, "colours is 2000"},
		{g, Config{Classes: 1}, "classes is 1; give 2"},
		{g, Config{Channels: 1}, "channels is 1"},
		{g, Config{Channels: 1 << 40}, "channels is 1099511627776"},
		{g, Config{Cells: 5000}, "cells is 5000"},
		{g, Config{NormMomentum: 1.5}, "momentum is 1.5"},
		{g, Config{NormEps: math.NaN()}, "eps is NaN"},
		{g, Config{AuxiliaryWeight: -1}, "auxiliary loss's weight is -1"},
		{g, Config{Start: "xavier"}, `"xavier"; give "pytorch", "tensorflow" or "kaiming"`},
		{g, Config{AsPublished: true}, "as_published"},
		{c, Config{Auxiliary: true}, "no auxiliary head"},
		{c, Config{Cells: 8}, "give a multiple of 3"},
		{c, Config{Channels: 3}, "leave none to vertex"},
	} {
		if _, err := New(fakeDevice{}, bad.arch, bad.cfg); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%+v: %v; want %q in it", bad.cfg, err, bad.want)
		}
		if _, err := ToPyTorch(bad.arch, bad.cfg); err == nil {
			t.Errorf("%+v: a PyTorch module is written", bad.cfg)
		}
	}
}

func TestNoMemoryIsAnError(t *testing.T) {
	_, err := New(crampedDevice{}, everything(t), Config{})
	if err == nil || !strings.Contains(err.Error(), "only a little is free") || !strings.Contains(err.Error(), "stem.") {
		t.Errorf("got %v", err)
	}
}

// crampedDevice has no memory for the stem.
type crampedDevice struct{ fakeDevice }

func (d crampedDevice) NewMemory(n int) (nn.Memory, error) {
	if n > 1000 {
		return nil, errors.New("only a little is free")
	}
	return d.fakeDevice.NewMemory(n)
}

// cellSpace is a space with all operations that there are networks of.
func cellSpace(t testing.TB, nodes, perNode int) *space.CellSpace {
	t.Helper()
	s, err := space.Cells(space.CellsOptions{Nodes: nodes, PerNode: perNode, Operations: space.NetworkOperations()})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := space.CellsOf(s)
	if !ok {
		t.Fatalf("%v is no space of cells", s)
	}
	return c
}

// Cells of every size: the network has the parameters and multiply-adds of the formula,
// and can be planned.
func TestNetworksOfCellSpaces(t *testing.T) {
	stream := rng.New(1268, "test", "cells")
	for nodes := 1; nodes <= space.MaxCellNodes; nodes++ {
		for perNode := 1; perNode <= nodes+1; perNode++ {
			g := cellSpace(t, nodes, perNode).Sample(stream).(*space.Genotype)
			cost, err := Measure(g, Config{Auxiliary: true})
			if err != nil {
				t.Fatalf("%v: %v", g, err)
			}
			// With one edge a node nothing may read an input: see the published genotypes.
			whole := !slices.Contains(liveStates(g.Normal()), false) && !slices.Contains(liveStates(g.Reduce()), false)
			if cost.Params != g.Params() || whole != (cost.MultAdds == g.FLOPs()) || cost.MultAdds > g.FLOPs() || cost.AuxParams != g.AuxParams() {
				t.Errorf("%s: %+v, the space's formulas say %d, %d and %d", g.Literal(), cost, g.Params(), g.FLOPs(), g.AuxParams())
			}
			n := mustNew(t, paper{}, g, Config{Channels: 5, Cells: 4, Height: 9, Width: 13, Auxiliary: true})
			for _, mode := range []nn.Mode{nn.Train, nn.Evaluate, nn.Recalibrate} {
				if err := mustBuild(t, n, mode, 2).Graph.Plan(); err != nil {
					t.Errorf("%v: %v", g, err)
				}
			}
			text, err := ToPyTorch(g, Config{})
			if want := fmt.Sprintf("EDGES_PER_NODE = %d\n", perNode); err != nil || !strings.Contains(text, want) {
				t.Errorf("%v: no %q in the module (%v)", g, want, err)
			}
		}
	}
}

func TestOperationsThatNoNetworkHas(t *testing.T) {
	s, err := space.Cells(space.CellsOptions{Nodes: 1, Operations: []string{"sep_conv_3x4"}})
	if err != nil {
		t.Fatal(err)
	}
	a := s.Sample(rng.New(1))
	_, made := New(paper{}, a, Config{})
	_, written := ToPyTorch(a, Config{})
	for _, err := range []error{made, written} {
		if err == nil || !strings.Contains(err.Error(), `"sep_conv_3x4"`) || !strings.Contains(err.Error(), "did you mean sep_conv_3x3?") {
			t.Error(err)
		}
	}
}
