package net

import (
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// fakeDevice has memory and computes nothing.
type fakeDevice struct{ nn.Device }

type fakeMemory []float32

func (m fakeMemory) Len() int { return len(m) }

func (fakeDevice) NewMemory(n int) (nn.Memory, error) { return make(fakeMemory, n), nil }
func (fakeDevice) Scratch([]nn.Op) int64              { return 0 }
func (fakeDevice) Read(dst []float32, src nn.Memory, at int) {
	copy(dst, src.(fakeMemory)[at:at+len(dst)])
}
func (fakeDevice) Write(dst nn.Memory, at int, src []float32) {
	copy(dst.(fakeMemory)[at:at+len(src)], src)
}

func mustNew(t testing.TB, dev nn.Device, arch space.Arch, cfg Config) *Network {
	t.Helper()
	n, err := New(dev, arch, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustBuild(t testing.TB, n *Network, mode nn.Mode, batch int) *Pass {
	t.Helper()
	p, err := n.Build(mode, batch)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// inception is the cell of the data set's README.
func inception(t testing.TB) *space.Cell {
	const c1, c3, pool = "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3"
	return mustCell(t, [][]int{
		{0, 1, 1, 1, 0, 1, 0},
		{0, 0, 0, 0, 0, 0, 1},
		{0, 0, 0, 0, 0, 0, 1},
		{0, 0, 0, 0, 1, 0, 0},
		{0, 0, 0, 0, 0, 0, 1},
		{0, 0, 0, 0, 0, 0, 1},
		{0, 0, 0, 0, 0, 0, 0},
	}, "input", c1, c3, c3, c3, pool, "output")
}

func mustCell(t testing.TB, matrix [][]int, ops ...string) *space.Cell {
	t.Helper()
	c, err := space.NewCell(matrix, ops)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// residual is a cell whose input feeds everything: three vertices of unequal widths
// (their number divides no power of two), one of which feeds another, and the output.
func residual(t testing.TB) *space.Cell {
	return mustCell(t, [][]int{
		{0, 1, 1, 1, 1},
		{0, 0, 0, 1, 1},
		{0, 0, 0, 1, 1},
		{0, 0, 0, 0, 1},
		{0, 0, 0, 0, 0},
	}, "input", "conv1x1-bn-relu", "maxpool3x3", "conv3x3-bn-relu", "output")
}

// everything is a genotype with every operation, in both cells; its normal cell
// concatenates an input, its reduction cell has a node that is only read.
func everything(t testing.TB) *space.Genotype {
	t.Helper()
	normal := space.DARTSCell{Edges: []space.DARTSEdge{
		{Op: "max_pool_3x3", Input: 0}, {Op: "avg_pool_3x3", Input: 1},
		{Op: "skip_connect", Input: 0}, {Op: "sep_conv_3x3", Input: 2},
		{Op: "sep_conv_5x5", Input: 1}, {Op: "sep_conv_7x7", Input: 3},
		{Op: "dil_conv_3x3", Input: 2}, {Op: "dil_conv_5x5", Input: 2},
		{Op: "conv_7x1_1x7", Input: 0}, {Op: "skip_connect", Input: 5},
	}, Concat: []int{1, 4, 5, 6}}
	reduce := space.DARTSCell{Edges: []space.DARTSEdge{
		{Op: "max_pool_3x3", Input: 0}, {Op: "avg_pool_3x3", Input: 1},
		{Op: "skip_connect", Input: 0}, {Op: "sep_conv_3x3", Input: 1},
		{Op: "sep_conv_5x5", Input: 1}, {Op: "sep_conv_7x7", Input: 0},
		{Op: "dil_conv_3x3", Input: 0}, {Op: "dil_conv_5x5", Input: 1},
		{Op: "conv_7x1_1x7", Input: 0}, {Op: "skip_connect", Input: 2},
	}, Concat: []int{3, 4, 5, 6}}
	g, err := space.NewGenotype(normal, reduce)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
