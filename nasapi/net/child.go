package net

import (
	"fmt"
	"slices"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// Child is a network whose weights the architectures of darts_space(nodes=5) share: those
// that ENAS and NAO train while they search. Every node of every cell has two branches,
// and of each branch every operation has weights of its own for every state that it may
// read. A cell ends in a 1x1 convolution that picks its weights by which states are
// concatenated, so that all cells' outputs have equally many channels.
//
// It has no single architecture, so Build is an error; Path makes the graph of one.
// Batch norms keep no running statistics: evaluation is by those of its batch, so the
// larger its batches, the better. (NAO's norms share running statistics between inputs,
// which its own validation does not look at.)
type Child struct {
	*Network
	kind  childKind
	stem  stem
	links []*link
	head  linear
}

// childKind is what differs between the two.
type childKind struct {
	name string
	// halves says that a reduction halves the last output before its cell, all of whose
	// operations then have stride 1; otherwise those that read its inputs have stride 2.
	halves   bool
	countPad bool // means of pools count padding
	relu     bool // before the mean over all pixels
	dropout  bool // after it
	deepens  bool // drop path grows with the cells' places
}

// ENASDropout is the dropout before the classifier that ENAS trains its child with: for
// Pass.SetDropout. The published search leaves it on where it evaluates; this one does
// not.
const ENASDropout = 0.1

// NAODropPath is the probability for Pass.SetDropPath at a step of the whole training of
// NAO's child, step counting from 0: it grows to 0.1 at the last of the steps.
func NAODropPath(step, steps int) float64 {
	return float64(0.1*float64(step+1)) / float64(steps)
}

// NewENASChild makes the network that ENAS trains while it searches the micro space
// (Pham et al., ICML 2018, section 2.4), with weights of zero: see Network.Initialise.
// Sizes of zero are those of the published search: 20 channels in the first cells and 8
// cells, of which those at a third and two thirds follow a factorised reduction to twice
// the channels.
func NewENASChild(dev nn.Device, cfg Config) (*Child, error) {
	kind := childKind{name: "ENAS child", halves: true, countPad: true, relu: true, dropout: true}
	return newChild(dev, cfg, 8, kind)
}

// NewNAOChild makes the network that NAO trains while it searches (Luo et al., NeurIPS
// 2018), with weights of zero: see Network.Initialise. Sizes of zero are those of the
// published search: 20 channels in the first cells and 11 cells, of which two reduce. In
// a reduction cell what reads one of its two inputs has stride 2, with a factorised
// reduction of its own as the identity. (The published code runs the first branch's in
// the second one too.)
//
// Of the probability that Pass.SetDropPath is given, cell i of n has the share (i+1)/n;
// what skip_connect says is never dropped, strided or not. See NAODropPath.
func NewNAOChild(dev nn.Device, cfg Config) (*Child, error) {
	return newChild(dev, cfg, 11, childKind{name: "NAO child", deepens: true})
}

func newChild(dev nn.Device, cfg Config, cells int, kind childKind) (*Child, error) {
	if cfg.Auxiliary || cfg.AsPublished {
		return nil, fmt.Errorf("the %s has no auxiliary head, and no widths as_published: leave both off", kind.name)
	}
	cfg = cfg.fill(Config{Channels: 20, Cells: cells, NormMomentum: 0.1, Start: Kaiming})
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Child{Network: &Network{dev: dev, cfg: cfg}, kind: kind}
	m := &maker{n: c.Network, untracked: true}
	c.make(m)
	return c, m.err
}

// childNodes is the number of nodes of a cell, childStates that of its states.
const (
	childNodes  = 5
	childStates = childNodes + 2
)

// sequenced is the space of the paths.
var sequenced = func() *space.DARTSSpace {
	d, err := space.DARTS(childNodes)
	if err != nil {
		panic(err) // it is one of the two published forms
	}
	return d
}()

// link makes an output of the two before it: a halving, or a cell.
type link struct {
	halve *block // of the last output; nil: it is a cell

	reduction  bool // it is the reduction cell of a genotype
	shape      cellShape
	inputs     [2]block
	candidates [childNodes][2][]map[string]edge // by node, branch and state
	combine    [childStates]nn.Weight           // 1x1, of each state's channels
	norm       *nn.BatchNorm
	drop       float64
}

// output is the channels and the number of halvings of one.
type output struct{ channels, halvings int }

func (c *Child) make(m *maker) {
	cfg := c.cfg
	channels := cfg.Channels
	c.stem = m.stem(stemFactor*channels, false)
	before := output{channels: stemFactor * channels}
	last := before
	for i := range cfg.Cells {
		reduction := isReduction(i, cfg.Cells)
		shape := cellShape{name: fmt.Sprintf("cells.%d", i), reduces: reduction && !c.kind.halves}
		if reduction {
			channels *= 2
		}
		if reduction && c.kind.halves {
			// What ENAS keeps as the output before is the one that was not halved, which
			// the cell then brings to size itself.
			halve := m.factorisedReduce(shape.name+".halve", last.channels, channels)
			halve.conv.ReLU = false
			c.links = append(c.links, &link{halve: &halve})
			before, last = last, output{channels, last.halvings + 1}
		}
		shape.channels, shape.before, shape.last = channels, before.channels, last.channels
		shape.reducedBefore = before.halvings < last.halvings
		l := c.cell(m, i, shape)
		l.reduction = reduction
		c.links = append(c.links, l)
		out := output{channels, last.halvings}
		if shape.reduces {
			out.halvings++
		}
		before, last = last, out
	}
	c.head = m.linear("classifier", last.channels, cfg.Classes)
}

// cell makes a cell's weights.
func (c *Child) cell(m *maker, at int, s cellShape) *link {
	l := &link{shape: s, inputs: m.calibration(s), drop: 1}
	if c.kind.deepens {
		l.drop = float64(at+1) / float64(c.cfg.Cells)
	}
	for node := range childNodes {
		for branch := range 2 {
			for state := range 2 + node {
				name := fmt.Sprintf("%s.nodes.%d.%d.%d", s.name, node, branch, state)
				l.candidates[node][branch] = append(l.candidates[node][branch], c.operations(m, name, s.channels, s.stride(state)))
			}
		}
	}
	for state := range l.combine {
		l.combine[state] = m.dense(fmt.Sprintf("%s.combine.%d", s.name, state), "", 1, 1, s.channels, s.channels)
	}
	l.norm = m.norm(s.name+".norm", "", s.channels)
	return l
}

// operations are all that a branch of a node may do with one state.
func (c *Child) operations(m *maker, name string, channels, stride int) map[string]edge {
	all := map[string]edge{}
	for _, op := range sequenced.Operations() {
		e := m.operation(name+"."+op, op, channels, stride)
		if e.pool != nil {
			e.pool.CountPad = c.kind.countPad
		}
		e.spared = op == "skip_connect"
		all[op] = e
	}
	return all
}

// calibration brings the two outputs before a cell to its channels and to one size, where
// they differ: an output that is twice as large by a factorised reduction, one of other
// channels by a 1x1 convolution, both after a ReLU.
func (m *maker) calibration(s cellShape) (inputs [2]block) {
	switch {
	case s.reducedBefore:
		inputs[0] = m.factorisedReduce(s.name+".calibrate.0", s.before, s.channels)
	case s.before != s.channels:
		inputs[0] = m.reluConvNorm(s.name+".calibrate.0", s.before, s.channels)
	}
	if s.last != s.channels {
		inputs[1] = m.reluConvNorm(s.name+".calibrate.1", s.last, s.channels)
	}
	return inputs
}

// Path makes the graph, not planned yet, of one architecture of darts_space(nodes=5) with
// the child's weights: all that it does not use is left out. Drop path and dropout are off
// until they are set. The error says why g is outside the space.
func (c *Child) Path(g *space.Genotype, mode nn.Mode, batch int) (*Pass, error) {
	if err := sequenced.Contains(g); err != nil {
		return nil, fmt.Errorf("no path through the %s: %w", c.kind.name, err)
	}
	p, err := c.begin(mode, batch)
	if err != nil {
		return nil, err
	}
	p.end(nn.GlobalPool{X: c.features(p, g), ReLU: c.kind.relu}, c.head, c.kind.dropout)
	return p, nil
}

// features adds the operators up to the last cell's output.
func (c *Child) features(p *Pass, g *space.Genotype) *nn.Var {
	cells := make([]*cell, len(c.links))
	for i, l := range c.links {
		if l.halve == nil {
			cells[i] = l.cell(g)
		}
	}
	needed := make([]bool, len(cells))
	needed[len(needed)-1] = true
	spreadNeed(needed, func(i int) []bool {
		if cells[i] == nil {
			return []bool{false, true}
		}
		return cells[i].live
	})
	last := c.stem.on(p.Graph, p.Input)
	before := last
	for i, l := range c.links {
		var out *nn.Var // stays nil where nobody reads it
		if needed[i] {
			out = l.on(p, cells[i], before, last)
		}
		before, last = last, out
	}
	return last
}

// cell is the link's cell of a genotype.
func (l *link) cell(g *space.Genotype) *cell {
	shape := l.shape
	shape.cell = g.Normal()
	if l.reduction {
		shape.cell = g.Reduce()
	}
	shape.cell.Concat = slices.Sorted(slices.Values(shape.cell.Concat)) // a genotype is free in their order
	made := &cell{cellShape: shape, live: liveStates(shape.cell), inputs: l.inputs, drop: l.drop}
	for i, e := range shape.cell.Edges {
		candidate := l.candidates[i/2][i%2][e.Input][e.Op]
		candidate.input = e.Input
		made.edges = append(made.edges, candidate)
	}
	return made
}

// on adds the halving, or the cell and the 1x1 convolution of what it concatenates.
func (l *link) on(p *Pass, c *cell, before, last *nn.Var) *nn.Var {
	var op *nn.Conv
	if l.halve != nil {
		op = l.halve.on(p.Graph, last)
	} else {
		part := nn.DensePart{W: l.combine[c.cell.Concat[0]]}
		for _, state := range c.cell.Concat[1:] {
			part.More = append(part.More, l.combine[state])
		}
		whole := c.on(p, before, last)
		op = p.Graph.Conv(nn.Conv{X: whole, ReLU: true, Dense: []nn.DensePart{part}, DenseWindow: pointwise}, l.norm, false)
	}
	p.Graph.Add(op)
	return op.Out
}
