package net

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// torchFolder is where testdata/torch_losses.py finds modules and weights.
var torchFolder = flag.String("torch", "", "a folder for the modules and weights that testdata/torch_losses.py runs")

// torchCase is a network whose losses PyTorch has worked out.
type torchCase struct {
	arch space.Arch
	cfg  Config
}

func torchCases(t testing.TB) map[string]torchCase {
	c := map[string]torchCase{
		"everything":      {everything(t), Config{Channels: 4, Cells: 7, Height: 20, Width: 17, Auxiliary: true}},
		"everything-grey": {everything(t), Config{Channels: 7, Cells: 5, Height: 9, Width: 13, Colours: 1}},
		"everything-stem": {everything(t), Config{Channels: 7, Cells: 3, Height: 67, Width: 70, Classes: 21, Auxiliary: true}},
		"residual":        {residual(t), Config{Channels: 8, Cells: 6, Height: 70, Width: 130, AsPublished: true}},
		"residual-odd":    {residual(t), Config{Channels: 8, Cells: 3, Height: 13, Width: 11}},
		"inception":       {inception(t), Config{Channels: 8}},
		"nothing":         {mustCell(t, [][]int{{0, 1}, {0, 0}}, "input", "output"), Config{Channels: 8}},
		"pool":            {mustCell(t, [][]int{{0, 1, 1}, {0, 0, 1}, {0, 0, 0}}, "input", "maxpool3x3", "output"), Config{Channels: 8}},
	}
	for _, name := range []string{"DARTS_V2", "NASNet", "AmoebaNet", "nao_1271", "enas_1268", "random_1269", "darts_1268"} {
		c[name] = torchCase{genotypes(t)[name], Config{Channels: 4, Cells: 4, Height: 16, Width: 24, Auxiliary: true}}
	}
	// Of three nodes the last has four earlier states: four edges a node are all there are.
	for _, edges := range []int{1, 3, 4} {
		c[fmt.Sprintf("edges-%d", edges)] = torchCase{edgesPerNode(t, edges), Config{Channels: 4, Cells: 4, Height: 16, Width: 24, Auxiliary: true}}
	}
	return c
}

// edgesPerNode is a sample of a space whose nodes do not all have two edges.
func edgesPerNode(t testing.TB, edges int) space.Arch {
	t.Helper()
	ops := []string{"max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}
	s, err := space.Cells(space.CellsOptions{Nodes: 3, Operations: ops, PerNode: edges})
	if err != nil {
		t.Fatal(err)
	}
	return s.Sample(rng.New(1268, "edges"))
}

// stepCases are those of which PyTorch has made twenty steps of training: a network
// of each family by the optimiser of its protocol, smaller.
func stepCases(t testing.TB) map[string]torchCase {
	return map[string]torchCase{
		"steps-derived":  {genotypes(t)["DARTS_V2"], Config{Channels: 8, Cells: 8, Auxiliary: true}},
		"steps-nasbench": {inception(t), Config{Channels: 16}},
	}
}

const (
	torchBatch = 4
	stepsBatch = 16
)

// prepare gives the network numbers that exercise all of it, exact in float32: the
// norms' are not those that they start at.
func (c torchCase) prepare(t testing.TB, dev nn.Device) *Network {
	t.Helper()
	n := mustNew(t, dev, c.arch, c.cfg)
	n.Initialise(3)
	for _, bn := range n.BatchNorms() {
		scale, shift := make([]float32, bn.C), make([]float32, bn.C)
		for i := range bn.C {
			bn.Mean[i], bn.Var[i] = float32(i%5-2)/8, float32(2+i%3)/4
			scale[i], shift[i] = float32(6+i%7)/8, float32(i%4-1)/16
		}
		dev.Write(bn.Gamma.Value, 0, scale)
		dev.Write(bn.Beta.Value, 0, shift)
	}
	return n
}

// pixels are what torch_losses.py makes too: noise over stripes of another slope and
// depth in every image, exact in float32.
func (c torchCase) pixels(t *nn.Tensor, step int) []float32 {
	padded := make([]float32, t.N*t.Image())
	j := step * t.N * t.H * t.W * t.Channels.Count()
	for i := range t.N {
		k := i + step*t.N
		for pixel := range t.H * t.W {
			row, column := pixel/t.W, pixel%t.W
			for colour := range t.Channels.Count() {
				noise := j
				for _, factor := range []int{48271, 69621, 16807} {
					noise = (noise + 77) * factor % (1<<31 - 1)
				}
				stripes := (row*(1+k%7)+column*(1+k%5)+colour*(k%11))%16 - 8
				padded[(i*t.H*t.W+pixel)*t.Pix+colour] = float32(noise%4096-2048+64*stripes*(1+k%13)) / 4096
				j++
			}
		}
	}
	return padded
}

func (c torchCase) labels(batch, classes, step int) []int32 {
	labels := make([]int32, batch)
	for i := range labels {
		labels[i] = int32((3*i + 1 + step) % classes)
	}
	return labels
}

// TestWriteForTorch writes what torch_losses.py runs, where a folder is named; what is
// tested is that it can be written.
func TestWriteForTorch(t *testing.T) {
	folder := *torchFolder
	if folder == "" {
		folder = t.TempDir()
	}
	cases := torchCases(t)
	maps.Copy(cases, stepCases(t))
	for name, c := range cases {
		n := c.prepare(t, fakeDevice{})
		text, err := ToPyTorch(c.arch, c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		weights, err := os.Create(filepath.Join(folder, name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer weights.Close()
		if err := n.WriteWeights(weights); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("HEIGHT, WIDTH = %d, %d\n", n.Config().Height, n.Config().Width)
		if err := os.WriteFile(filepath.Join(folder, name+".py"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
