package net

import (
	"fmt"
	"slices"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// nasbench is the network of NASBench-101 (Ying et al., ICML 2019, section 2.1): a
// stem, three stacks of modules, all of one cell, with a 2x2 maximum of stride 2
// before the second and third, which drops the last row or column of an odd side.
type nasbench struct {
	stem    stem
	modules []*module
	head    linear
}

func newNASBench(m *maker, c *space.Cell, cfg Config) *nasbench {
	b := &nasbench{stem: m.stem(cfg.Channels, true)}
	cfg.eachModule(func(i, in, out int) {
		own := ownConvolutions{m: m, name: fmt.Sprintf("cells.%d", i), in: in, out: out, last: c.Vertices() - 1}
		b.modules = append(b.modules, newModule(c, out, own))
	})
	b.head = m.nasbenchHead()
	return b
}

// eachModule visits the modules by the widths of their inputs and outputs.
func (c Config) eachModule(visit func(i, in, out int)) {
	in := c.Channels
	for i := range c.Cells {
		out := c.moduleWidth(i / (c.Cells / nasbenchStacks))
		visit(i, in, out)
		in = out
	}
}

// moduleWidth is the width of the modules of a stack.
func (c Config) moduleWidth(stack int) int {
	if c.AsPublished {
		stack++
	}
	return c.Channels << stack
}

// halves says whether a maximum halves the image before module i.
func (c Config) halves(i int) bool { return i > 0 && i%(c.Cells/nasbenchStacks) == 0 }

func (m *maker) nasbenchHead() linear {
	cfg := m.n.cfg
	return m.linear("classifier", cfg.moduleWidth(nasbenchStacks-1), cfg.Classes)
}

func (b *nasbench) classifier() linear { return b.head }

func (b *nasbench) features(p *Pass) *nn.Var {
	return p.inModules(b.stem, len(b.modules), func(i int, x *nn.Var) *nn.Var { return b.modules[i].on(p, x) })
}

// inModules goes through the stem and the modules, halving between the stacks.
func (p *Pass) inModules(s stem, modules int, on func(i int, x *nn.Var) *nn.Var) *nn.Var {
	x := s.on(p.Graph, p.Input)
	for i := range modules {
		if p.cfg.halves(i) {
			pool := p.Graph.Pool(nn.Pool{X: x, Max: true, Window: nn.Window{KH: 2, KW: 2, StrideH: 2, StrideW: 2}}, nil)
			p.Graph.Add(pool)
			x = pool.Out
		}
		x = on(i, x)
	}
	return x
}

// module is a cell with its weights. Its input is projected (1x1 convolution, batch
// norm, ReLU) to the width of every vertex that it feeds. A vertex adds what feeds it,
// of a wider vertex the first channels, and applies its operation; the output
// concatenates the vertices that feed it and adds a projection of the input if that
// feeds it too.
type module struct {
	vertices []vertex // the interior ones
	levels   int
	// output is the input's projection to the output, in pieces as wide as the parts of
	// the concatenation that they are added to: channels are independent of each other
	// after a convolution, so that is one projection. Without interior vertices there
	// is one piece.
	output []block
	// parts, unless it is nil, is the widths of the output's parts, one for every vertex
	// that there could be: those that do not feed the output leave zeros.
	parts []int
}

// vertex is an interior vertex.
type vertex struct {
	width    int
	project  *block // from the module's input; nil: no such edge
	from     []int  // interior vertices
	conv     *block // nil: 3x3 maximum
	level    int    // vertices of one level do not depend on each other
	toOutput bool
}

// nasbenchKernels are the windows of the operations with weights.
var nasbenchKernels = map[string]int{"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}

// convolutions are what a module is made of: with parameters of their own, or with the
// parts of a supernet's that a cell uses. Vertices count from 1.
type convolutions interface {
	// project is from the module's input to a vertex.
	project(vertex, width int) block
	// convolve is a vertex's k x k convolution.
	convolve(vertex, k, width int) block
	// output projects the input to the module's output, in pieces of these widths.
	output(widths []int) []block
}

// ownConvolutions are made for a module.
type ownConvolutions struct {
	m       *maker
	name    string
	in, out int
	last    int // vertex
}

func (o ownConvolutions) project(v, width int) block {
	return o.m.convNormReLU(fmt.Sprintf("%s.projections.%d", o.name, v), "", 0, pointwise, o.in, width)
}

func (o ownConvolutions) convolve(v, k, width int) block {
	return o.m.convNormReLU(fmt.Sprintf("%s.vertices.%d", o.name, v), "", 0, square(k, 1, 1), width, width)
}

func (o ownConvolutions) output(widths []int) []block {
	name := fmt.Sprintf("%s.projections.%d", o.name, o.last)
	if len(widths) == 1 {
		return []block{o.m.convNormReLU(name, "", 0, pointwise, o.in, o.out)}
	}
	var pieces []block
	at := 0
	for _, width := range widths {
		pieces = append(pieces, o.m.convNormReLU(name, fmt.Sprintf("[%d:%d]", at, at+width), 0, pointwise, o.in, width))
		at += width
	}
	return pieces
}

// newModule wires a module of the given output width as a cell says.
func newModule(c *space.Cell, out int, convs convolutions) *module {
	return wire(c, out, c.VertexChannels(out)[1:], convs)
}

// wire is newModule with the interior vertices' widths given.
func wire(c *space.Cell, out int, widths []int, convs convolutions) *module {
	matrix, ops := c.Matrix(), c.Ops()
	last := len(ops) - 1
	made := &module{}
	for v := 1; v < last; v++ {
		x := vertex{width: widths[v-1], toOutput: matrix[v][last] == 1}
		if matrix[0][v] == 1 {
			b := convs.project(v, x.width)
			x.project = &b
		}
		for from := 1; from < v; from++ {
			if matrix[from][v] == 1 {
				x.from = append(x.from, from-1)
				x.level = max(x.level, made.vertices[from-1].level+1)
			}
		}
		if k := nasbenchKernels[ops[v]]; k > 0 {
			b := convs.convolve(v, k, x.width)
			x.conv = &b
		}
		made.vertices = append(made.vertices, x)
		made.levels = max(made.levels, x.level+1)
	}
	if matrix[0][last] == 1 {
		made.output = convs.output(outputWidths(made.vertices, out))
	}
	return made
}

// outputWidths are those of the parts of a module's output: one where there is nothing
// to concatenate.
func outputWidths(vertices []vertex, out int) []int {
	var widths []int
	for _, v := range vertices {
		if v.toOutput {
			widths = append(widths, v.width)
		}
	}
	if len(widths) == 0 {
		return []int{out}
	}
	return widths
}

// on adds the module's operators: all projections as one group, since they share
// their input, then level by level the vertices' sums and operations.
func (b *module) on(p *Pass, x *nn.Var) *nn.Var {
	g := p.Graph
	projected, output := b.project(g, x)
	values := make([]*nn.Var, len(b.vertices))
	for level := range b.levels {
		b.level(g, level, projected, values)
	}
	return b.join(p, values, output)
}

// project applies the projections: of each vertex, nil where it has none, and those
// to the output.
func (b *module) project(g *nn.Graph, x *nn.Var) (vertices, output []*nn.Var) {
	var group []nn.Op
	apply := func(b block) *nn.Var {
		op := b.on(g, x)
		group = append(group, op)
		return op.Out
	}
	vertices = make([]*nn.Var, len(b.vertices))
	for i, v := range b.vertices {
		if v.project != nil {
			vertices[i] = apply(*v.project)
		}
	}
	for _, piece := range b.output {
		output = append(output, apply(piece))
	}
	g.Add(group...)
	return vertices, output
}

func (b *module) level(g *nn.Graph, level int, projected, values []*nn.Var) {
	var sums, ops []nn.Op
	for i, v := range b.vertices {
		if v.level != level {
			continue
		}
		var sources []*nn.Var
		for _, from := range v.from {
			sources = append(sources, values[from])
		}
		if projected[i] != nil {
			sources = append(sources, projected[i])
		}
		x := sources[0]
		if len(sources) > 1 || x.Values.Channels.Count() != v.width {
			t := x.Values
			op := g.Sum(nn.Sum{Sources: sources, Out: g.Value(t.N, t.H, t.W, v.width)})
			sums = append(sums, op)
			x = op.Out
		}
		op, out := v.operate(g, x)
		ops = append(ops, op)
		values[i] = out
	}
	if len(sums) > 0 {
		g.Add(sums...)
	}
	g.Add(ops...)
}

func (v vertex) operate(g *nn.Graph, x *nn.Var) (nn.Op, *nn.Var) {
	if v.conv != nil {
		op := v.conv.on(g, x)
		return op, op.Out
	}
	op := g.Pool(nn.Pool{X: x, Max: true, Window: square(3, 1, 1)}, nil)
	return op, op.Out
}

// join makes the module's output of its vertices and the projections to the output.
func (b *module) join(p *Pass, values, output []*nn.Var) *nn.Var {
	g := p.Graph
	if b.parts != nil {
		return b.joinParts(g, values, output)
	}
	var joined []*nn.Var
	var widths []int
	for i, v := range b.vertices {
		if v.toOutput {
			joined = append(joined, values[i])
			widths = append(widths, v.width)
		}
	}
	switch {
	case len(joined) == 0:
		return output[0]
	case len(joined) == 1 && output == nil:
		return joined[0]
	case len(joined) == 1:
		sum := g.Sum(nn.Sum{Sources: []*nn.Var{joined[0], output[0]}})
		g.Add(sum)
		return sum.Out
	}
	t := joined[0].Values
	whole, parts := g.Concat(t.N, t.H, t.W, widths)
	var group []nn.Op
	for i, v := range joined {
		sources := []*nn.Var{v}
		if output != nil {
			sources = append(sources, output[i])
		}
		group = append(group, g.Sum(nn.Sum{Sources: sources, Out: parts[i]}))
	}
	g.Add(group...)
	return whole
}

// joinParts is join where vertices that are not there have parts, too.
func (b *module) joinParts(g *nn.Graph, values, output []*nn.Var) *nn.Var {
	x := slices.Concat(values, output)[0].Values
	whole, parts := g.Concat(x.N, x.H, x.W, b.parts)
	var group []nn.Op
	for i, part := range parts {
		var sources []*nn.Var
		if i < len(values) && b.vertices[i].toOutput {
			sources = append(sources, values[i])
		}
		if output != nil {
			sources = append(sources, output[i])
		}
		group = append(group, g.Sum(nn.Sum{Sources: sources, Out: part}))
	}
	g.Add(group...)
	return whole
}
