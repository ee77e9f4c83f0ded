package net

import (
	_ "embed" // the classes
	"fmt"
	"strconv"
	"strings"

	"evalnas/nasapi/space"
)

var (
	//go:embed pytorch/common.py
	pythonCommon string
	//go:embed pytorch/darts.py
	pythonDARTS string
	//go:embed pytorch/nasbench.py
	pythonNASBench string
)

// ToPyTorch is the network as the text of a Python module that needs torch alone. Its
// class Network has the parameters of New under the same names: its
// load_state_dict takes what WriteWeights writes, which the module's read_weights
// reads. First weights are PyTorch's own. The error says which size does not fit.
func ToPyTorch(arch space.Arch, cfg Config) (string, error) {
	cfg, err := cfg.withDefaults(arch)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\"\"\"The network of an architecture of the space %s, %s, for images of %dx%d.\"\"\"\nimport json\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n", arch.Space(), arch.Hash(), cfg.Height, cfg.Width)
	line := func(name, value string) { fmt.Fprintf(&text, "%s = %s\n", name, value) }
	line("COLOURS", strconv.Itoa(cfg.Colours))
	line("CLASSES", strconv.Itoa(cfg.Classes))
	line("CELLS", strconv.Itoa(cfg.Cells))
	line("NORM_MOMENTUM", strconv.FormatFloat(cfg.NormMomentum, 'g', -1, 64))
	line("NORM_EPS", strconv.FormatFloat(cfg.NormEps, 'g', -1, 64))
	switch a := arch.(type) {
	case *space.Genotype:
		line("STEM", pythonStem(cfg, stemFactor*cfg.Channels))
		pythonGenotype(line, a, cfg)
		return text.String() + pythonCommon + pythonDARTS, nil
	case *space.Cell:
		line("STEM", pythonStem(cfg, cfg.Channels))
		pythonCell(line, a, cfg)
		return text.String() + pythonCommon + pythonNASBench, nil
	}
	return "", fmt.Errorf("no PyTorch module is written for %v", arch)
}

// pythonStem lists the channels and the stride of each of the stem's convolutions.
func pythonStem(cfg Config, out int) string {
	halvings := stemHalvings(cfg.Height, cfg.Width)
	var parts []string
	for _, width := range stemWidths(halvings, out) {
		parts = append(parts, fmt.Sprintf("(%d, %d)", width, min(2, 1+halvings)))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func pythonGenotype(line func(name, value string), g *space.Genotype, cfg Config) {
	line("CHANNELS", strconv.Itoa(cfg.Channels))
	line("EDGES_PER_NODE", strconv.Itoa(g.Normal().EdgesPerNode()))
	for _, c := range []struct {
		name string
		cell space.DARTSCell
	}{{"NORMAL", g.Normal()}, {"REDUCE", g.Reduce()}} {
		var edges []string
		for _, e := range c.cell.Edges {
			edges = append(edges, fmt.Sprintf("(%q, %d)", e.Op, e.Input))
		}
		line(c.name, "["+strings.Join(edges, ", ")+"]")
		line(c.name+"_CONCAT", pythonInts(c.cell.Concat))
	}
	if !cfg.Auxiliary {
		line("AUXILIARY", "False")
		return
	}
	line("AUXILIARY", "True")
	w := auxiliaryWindow(cfg.auxiliaryMap())
	line("AUXILIARY_WINDOW", fmt.Sprintf("(%d, %d)", w.KH, w.KW))
	line("AUXILIARY_STRIDE", fmt.Sprintf("(%d, %d)", w.StrideH, w.StrideW))
}

func pythonCell(line func(name, value string), c *space.Cell, cfg Config) {
	var rows, ops, widths []string
	for _, row := range c.Matrix() {
		rows = append(rows, pythonInts(row))
	}
	for _, op := range c.Ops() {
		ops = append(ops, strconv.Quote(op))
	}
	for stack := range nasbenchStacks {
		widths = append(widths, pythonInts(c.VertexChannels(cfg.moduleWidth(stack))))
	}
	line("MATRIX", "["+strings.Join(rows, ", ")+"]")
	line("OPS", "["+strings.Join(ops, ", ")+"]")
	line("WIDTHS", "["+strings.Join(widths, ", ")+"]  # of the vertices, in each stack")
}

func pythonInts(list []int) string {
	return strings.ReplaceAll(fmt.Sprint(list), " ", ", ")
}
