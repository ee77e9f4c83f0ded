package net

import (
	"fmt"
	"slices"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// derived is the network that a genotype is evaluated with.
type derived struct {
	stem  stem
	cells []*cell
	aux   *auxiliary // nil: none
	head  linear
}

// auxiliary is the head that hangs on one cell in training.
type auxiliary struct {
	cell     int
	pool     nn.Pool
	reduce   block // 1x1
	spread   block // 2x2 pixels to one
	classify linear
}

// stemFactor is how many times the channels of the first cells the stem has.
const stemFactor = 3

// isReduction says whether cell i of n halves the image: those at a third and at two.
func isReduction(i, n int) bool { return i == n/3 || i == 2*n/3 }

func newDerived(m *maker, g *space.Genotype, cfg Config) *derived {
	channels := cfg.Channels
	before, last := stemFactor*channels, stemFactor*channels // channels of the two previous outputs
	d := &derived{stem: m.stem(last, false)}
	auxiliaryIn := 0
	for i := range cfg.Cells {
		shape := cellShape{
			name: fmt.Sprintf("cells.%d", i), cell: g.Normal(),
			before: before, last: last,
			reducedBefore: i > 0 && isReduction(i-1, cfg.Cells),
		}
		if isReduction(i, cfg.Cells) {
			channels *= 2
			shape.cell, shape.reduces = g.Reduce(), true
		}
		shape.channels = channels
		d.cells = append(d.cells, m.cell(shape))
		before, last = last, channels*len(shape.cell.Concat)
		if i == cfg.auxiliaryCell() {
			auxiliaryIn = last
		}
	}
	if cfg.Auxiliary {
		d.aux = m.auxiliary(auxiliaryIn, cfg)
	}
	d.head = m.linear("classifier", last, cfg.Classes)
	return d
}

// auxiliary is DARTS' head for CIFAR: ReLU, mean over 5x5 of stride 3, 1x1 to 128, batch
// norm, ReLU, 2x2 to 768, batch norm, ReLU, linear. It wants a map of 2x2 pixels after
// the mean, which 8x8 gives; of any other size the mean's window and stride are chosen
// so that there are 2x2 (see auxiliaryWindow).
//
// In the published code the ReLU works in place, so where the head hangs on the last
// cell (3 cells or fewer) the classifier sees the ReLU too, in training alone. Ours
// does not.
func (m *maker) auxiliary(in int, cfg Config) *auxiliary {
	const name = auxiliaryPrefix + "features"
	a := &auxiliary{cell: cfg.auxiliaryCell(), pool: nn.Pool{ReLU: true, Window: auxiliaryWindow(cfg.auxiliaryMap())}}
	a.reduce = m.convNormReLU(name, "", 2, pointwise, in, 128)
	a.spread = m.convNormReLU(name, "", 5, nn.Window{KH: 2, KW: 2}, 128, 768)
	a.classify = m.linear(auxiliaryPrefix+"classifier", 768, cfg.Classes)
	return a
}

// auxiliaryCell is the cell that the auxiliary head hangs on: the second reduction.
func (c Config) auxiliaryCell() int { return 2 * c.Cells / 3 }

// auxiliaryMap is the height and width of that cell's output.
func (c Config) auxiliaryMap() (h, w int) {
	halvings := stemHalvings(c.Height, c.Width)
	for i := range c.auxiliaryCell() + 1 {
		if isReduction(i, c.Cells) {
			halvings++
		}
	}
	h, w = c.Height, c.Width
	for range halvings {
		h, w = (h+1)/2, (w+1)/2
	}
	return h, w
}

// auxiliaryWindow makes 2x2 pixels of h x w, h and w at least 2: along each side the
// stride is half of what lies beyond two pixels, and the window as wide as two of them
// then allow. Of 8x8 that is 5x5 with stride 3, the published one.
func auxiliaryWindow(h, w int) nn.Window {
	sh, sw := max(1, (h-2)/2), max(1, (w-2)/2)
	return nn.Window{KH: h - sh, KW: w - sw, StrideH: sh, StrideW: sw}
}

func (d *derived) classifier() linear { return d.head }

func (d *derived) features(p *Pass) *nn.Var {
	withAuxiliary := d.aux != nil && p.Graph.Mode() == nn.Train
	needed := d.needed(withAuxiliary)
	last := d.stem.on(p.Graph, p.Input)
	before := last
	for i, c := range d.cells {
		var out *nn.Var // stays nil where nobody reads it
		if needed[i] {
			out = c.on(p, before, last)
		}
		before, last = last, out
		if withAuxiliary && i == d.aux.cell {
			d.aux.on(p, out)
		}
	}
	return last
}

// needed says which cells' outputs reach a loss.
func (d *derived) needed(withAuxiliary bool) []bool {
	needed := make([]bool, len(d.cells))
	needed[len(d.cells)-1] = true
	if withAuxiliary {
		needed[d.aux.cell] = true
	}
	spreadNeed(needed, func(i int) []bool { return d.cells[i].live })
	return needed
}

// spreadNeed marks what the outputs that are needed read, of a chain in which each reads
// the two before it where reads says so.
func spreadNeed(needed []bool, reads func(i int) []bool) {
	for i := len(needed) - 1; i >= 0; i-- {
		for input, previous := range []int{i - 2, i - 1} {
			if needed[i] && reads(i)[input] && previous >= 0 {
				needed[previous] = true
			}
		}
	}
}

func (a *auxiliary) on(p *Pass, x *nn.Var) {
	g := p.Graph
	mean := a.pool
	mean.X = x
	pool := g.Pool(mean, nil)
	reduce := a.reduce.on(g, pool.Out)
	spread := a.spread.on(g, reduce.Out)
	g.Add(pool)
	g.Add(reduce)
	g.Add(spread)
	_, p.Auxiliary = p.classify(spread.Out, a.classify, p.cfg.AuxiliaryWeight)
}

// cellShape is all that a cell is made from.
type cellShape struct {
	name          string
	cell          space.DARTSCell
	channels      int // of each node
	before, last  int // of the outputs of the cell before the previous one, and of the previous one
	reduces       bool
	reducedBefore bool // the previous cell halved, so its input is twice as large as its output
}

// stride is that of what reads a state: a reduction cell halves its two inputs.
func (s cellShape) stride(state int) int {
	if s.reduces && state < 2 {
		return 2
	}
	return 1
}

// cell is one cell of a genotype's network.
type cell struct {
	cellShape
	inputs [2]block // without a convolution: the state is the output itself
	edges  []edge
	live   []bool  // of each state: it reaches the output
	drop   float64 // share of drop path's probability for its edges
}

// edge is one operation of a cell: nothing but its input (an identity), a pool, or
// one or two blocks.
type edge struct {
	input  int
	pool   *nn.Pool
	norm   *nn.BatchNorm // of the pool; nil: none
	blocks []block
	spared bool // drop path leaves it, though it is no identity
}

func (e edge) isIdentity() bool { return e.pool == nil && len(e.blocks) == 0 }

func (m *maker) cell(s cellShape) *cell {
	c := &cell{cellShape: s, live: liveStates(s.cell), inputs: m.cellInputs(s), drop: 1}
	for i, e := range s.cell.Edges {
		made := m.operation(fmt.Sprintf("%s._ops.%d", s.name, i), e.Op, s.channels, s.stride(e.Input))
		made.input = e.Input
		c.edges = append(c.edges, made)
	}
	return c
}

// cellInputs bring the outputs of the two cells before to a cell's size and channels.
func (m *maker) cellInputs(s cellShape) [2]block {
	before := m.reluConvNorm
	if s.reducedBefore {
		before = m.factorisedReduce
	}
	return [2]block{before(s.name+".preprocess0", s.before, s.channels), m.reluConvNorm(s.name+".preprocess1", s.last, s.channels)}
}

// liveStates are the states that the concatenation reaches backwards.
func liveStates(c space.DARTSCell) []bool {
	live := make([]bool, 2+c.Nodes())
	for s := len(live) - 1; s >= 0; s-- {
		live[s] = live[s] || slices.Contains(c.Concat, s)
		if s >= 2 && live[s] {
			from, to := c.EdgesOf(s - 2)
			for _, e := range c.Edges[from:to] {
				live[e.Input] = true
			}
		}
	}
	return live
}

// operation is one of the operations of the DARTS space or of the older cells that
// are written in its notation (operations.py of DARTS).
func (m *maker) operation(name, op string, c, stride int) edge {
	separable := func(k int) edge {
		return edge{blocks: []block{m.separableHalf(name, 0, square(k, stride, 1), c), m.separableHalf(name, 4, square(k, 1, 1), c)}}
	}
	switch op {
	case "max_pool_3x3", "avg_pool_3x3":
		return edge{pool: &nn.Pool{Max: op == "max_pool_3x3", Window: square(3, stride, 1)}}
	case "skip_connect":
		if stride == 1 {
			return edge{}
		}
		return edge{blocks: []block{m.factorisedReduce(name, c, c)}}
	case "sep_conv_3x3":
		return separable(3)
	case "sep_conv_5x5":
		return separable(5)
	case "sep_conv_7x7":
		return separable(7)
	case "dil_conv_3x3":
		return edge{blocks: []block{m.separableHalf(name, 0, square(3, stride, 2), c)}}
	case "dil_conv_5x5":
		return edge{blocks: []block{m.separableHalf(name, 0, square(5, stride, 2), c)}}
	case "conv_7x1_1x7":
		return edge{blocks: m.crossed(name, c, stride)}
	}
	if m.err == nil {
		m.err = fmt.Errorf("%s: no operation of the engine is %q", name, op)
	}
	return edge{}
}

// crossed is ReLU, 1x7 convolution, 7x1 convolution and batch norm.
func (m *maker) crossed(name string, c, stride int) []block {
	wide := m.dense(name+".1", "", 1, 7, c, c)
	high := m.dense(name+".2", "", 7, 1, c, c)
	return []block{
		{conv: nn.Conv{ReLU: true, Dense: []nn.DensePart{{W: wide}}, DenseWindow: nn.Window{KH: 1, KW: 7, StrideW: stride, PadW: 3}}},
		{
			conv: nn.Conv{Dense: []nn.DensePart{{W: high}}, DenseWindow: nn.Window{KH: 7, KW: 1, StrideH: stride, PadH: 3}},
			norm: m.norm(name+".3", "", c),
		},
	}
}

// on adds the cell's operators. As soon as a state is there, all operations that read
// it run as one group, for a device to prepare their input once; then what follows
// them, then the next node's sum.
func (c *cell) on(p *Pass, before, last *nn.Var) *nn.Var {
	g := p.Graph
	states := make([]*nn.Var, len(c.live))
	copy(states, c.readInputs(g, before, last))
	whole, parts := c.concat(p, states)
	results := make([]*nn.Var, len(c.edges))
	for s, live := range c.live {
		if !live {
			continue
		}
		switch part := parts[s]; {
		case s >= 2:
			states[s] = c.node(p, s-2, results, part)
		case part != nil:
			g.Add(g.Sum(nn.Sum{Sources: []*nn.Var{states[s]}, Out: part}))
		}
		c.readers(g, s, states[s], results)
	}
	if whole == nil {
		return states[c.cell.Concat[0]]
	}
	return whole
}

// readInputs are the two input states, nil where nobody reads one.
func (c *cell) readInputs(g *nn.Graph, before, last *nn.Var) []*nn.Var {
	states := make([]*nn.Var, 2)
	var group []nn.Op
	for i, x := range []*nn.Var{before, last} {
		switch {
		case !c.live[i]:
		case len(c.inputs[i].conv.Dense) == 0:
			states[i] = x
		default:
			op := c.inputs[i].on(g, x)
			group = append(group, op)
			states[i] = op.Out
		}
	}
	if len(group) > 0 {
		g.Add(group...)
	}
	return states
}

// concat is the cell's output and by state the part of it that the state is written
// to. A cell that concatenates one state has it as its output as it is.
func (c *cell) concat(p *Pass, states []*nn.Var) (whole *nn.Var, parts []*nn.Var) {
	parts = make([]*nn.Var, len(states))
	if len(c.cell.Concat) == 1 {
		return nil, parts
	}
	in := states[0]
	if in == nil {
		in = states[1]
	}
	h, w := in.Values.H, in.Values.W
	if c.reduces {
		h, w = (h+1)/2, (w+1)/2
	}
	widths := make([]int, len(c.cell.Concat))
	for i := range widths {
		widths[i] = c.channels
	}
	whole, written := p.Graph.Concat(p.Batch(), h, w, widths)
	for i, s := range c.cell.Concat {
		parts[s] = written[i]
	}
	return whole, parts
}

// node adds the edges of a node, into its part of the output if it has one.
func (c *cell) node(p *Pass, node int, results []*nn.Var, part *nn.Var) *nn.Var {
	from, to := c.cell.EdgesOf(node)
	sum := p.Graph.Sum(nn.Sum{Sources: slices.Clone(results[from:to]), Out: part})
	if p.Graph.Mode() == nn.Train {
		for i := range sum.Sources {
			if e := c.edges[from+i]; !e.isIdentity() && !e.spared {
				p.mayDrop(sum, i, c.drop)
			}
		}
	}
	p.Graph.Add(sum)
	return sum.Out
}

// readers adds the operations that read a state and fills in their results.
func (c *cell) readers(g *nn.Graph, state int, x *nn.Var, results []*nn.Var) {
	var r readers
	for i, e := range c.edges {
		if e.input == state && c.live[2+c.cell.NodeOf(i)] {
			results[i] = r.add(g, e, x)
		}
	}
	r.end(g)
}

// readers are the operators of edges that read one state: those that read it as it is
// and those that follow them.
type readers struct{ first, second []nn.Op }

// add is the edge's result.
func (r *readers) add(g *nn.Graph, e edge, x *nn.Var) *nn.Var {
	switch {
	case e.isIdentity():
		return x
	case e.pool != nil:
		pool := *e.pool
		pool.X = x
		op := g.Pool(pool, e.norm)
		r.first = append(r.first, op)
		return op.Out
	}
	op := e.blocks[0].on(g, x)
	r.first = append(r.first, op)
	if len(e.blocks) > 1 {
		op = e.blocks[1].on(g, op.Out)
		r.second = append(r.second, op)
	}
	return op.Out
}

// end adds both as groups.
func (r *readers) end(g *nn.Graph) {
	for _, group := range [][]nn.Op{r.first, r.second} {
		if len(group) > 0 {
			g.Add(group...)
		}
	}
}
