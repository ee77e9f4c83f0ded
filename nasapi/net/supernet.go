package net

import (
	"fmt"
	"slices"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// Supernet is the search network of DARTS (section 2.2 and model_search.py): in every
// cell four nodes, each with an edge from every earlier state, and on each edge all
// operations of the space, added by weights that all normal cells share, and all
// reduction cells. The cells' batch norms are not affine, and pools have one too.
type Supernet struct {
	*Network
	body *mixed
}

const supernetNodes = 4

// supernetEdges is the number of edges of a cell.
const supernetEdges = supernetNodes * (supernetNodes + 3) / 2

// NewSupernet makes the search network with weights of zero: see Network.Initialise.
// Sizes of zero are those of the published search: 16 channels and 8 cells.
func NewSupernet(dev nn.Device, cfg Config) (*Supernet, error) {
	if cfg.Auxiliary || cfg.AsPublished {
		return nil, fmt.Errorf("a search network has no auxiliary head, and no widths as_published: leave both off")
	}
	cfg = cfg.fill(Config{Channels: 16, Cells: 8, NormMomentum: 0.1, Start: PyTorch})
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Network{dev: dev, cfg: cfg}
	m := &maker{n: n, untracked: cfg.BatchStatistics}
	body := newMixed(m, cfg)
	n.body = body
	return &Supernet{n, body}, m.err
}

// SupernetPass is a graph of the search network. Its mixture is the 14 edges of the
// normal cells and then those of the reduction cells, each with the weights of
// space.SearchOperations, in order; the edges come in the order of their nodes and then
// of the states that they come from. The weight of "none" has no effect.
type SupernetPass struct {
	*Pass
	mixer
	nodes [2][]*mixedSum // of normal and reduction cells
}

func newSupernetPass() *SupernetPass {
	p := &SupernetPass{}
	p.name = func(edge int) string {
		return fmt.Sprintf("edge %d of the %s cells", edge%supernetEdges, []string{"normal", "reduction"}[edge/supernetEdges])
	}
	for kind := range p.nodes {
		for node := range supernetNodes {
			var places []place
			for range 2 + node {
				// The first operation adds nothing.
				places = append(places, vector(len(p.shape), len(operations))[1:]...)
				p.shape = append(p.shape, len(operations))
			}
			p.nodes[kind] = append(p.nodes[kind], p.sum(places))
		}
	}
	return p
}

// Build makes the graph for batches of the given number of images, with equal weights.
func (s *Supernet) Build(mode nn.Mode, batch int) (*SupernetPass, error) {
	p := newSupernetPass()
	var err error
	if p.Pass, err = s.Network.build(mode, batch, func(pass *Pass) *nn.Var { return s.body.on(pass, p) }); err != nil {
		return nil, err
	}
	equal := newMixture(p.shape)
	for _, weights := range equal {
		for i := range weights {
			weights[i] = 1 / float64(len(operations))
		}
	}
	return p, p.SetMixture(equal)
}

// Path makes the graph, not planned yet, of one architecture of darts_space(nodes=4)
// with the supernet's weights: what SupernetPass computes under mixtures that are 1 for
// the architecture's operations and 0 for all others, but nothing beyond what these need.
// Its drop path is off until it is set. The error says why g is outside the space.
//
// Running statistics that its training moves are those of the whole supernet.
func (s *Supernet) Path(g *space.Genotype, mode nn.Mode, batch int) (*Pass, error) {
	if err := searched.Contains(g); err != nil {
		return nil, fmt.Errorf("no path through the search network: %w", err)
	}
	return s.Network.build(mode, batch, s.body.path(g).features)
}

// searched is the space of the paths.
var searched = func() *space.DARTSSpace {
	d, err := space.DARTS(supernetNodes)
	if err != nil {
		panic(err) // it is one of the two published forms
	}
	return d
}()

// path is the network of a genotype made of the candidates.
func (b *mixed) path(g *space.Genotype) *derived {
	d := &derived{stem: b.stem, head: b.head}
	for _, m := range b.cells {
		shape := m.cellShape
		shape.cell = g.Normal()
		if shape.reduces {
			shape.cell = g.Reduce()
		}
		// The next cell's weights know the nodes by their order, which a genotype is free in.
		shape.cell.Concat = slices.Sorted(slices.Values(shape.cell.Concat))
		c := &cell{cellShape: shape, live: liveStates(shape.cell), inputs: m.inputs, drop: 1}
		for i, e := range shape.cell.Edges {
			made := m.edges[i/2][e.Input][slices.Index(operations, e.Op)-1]
			made.input = e.Input
			c.edges = append(c.edges, made)
		}
		d.cells = append(d.cells, c)
	}
	return d
}

// operations are those of an edge; the first adds nothing.
var operations = space.SearchOperations()

// mixed is the body of a supernet.
type mixed struct {
	stem  stem
	cells []*mixedCell
	head  linear
}

type mixedCell struct {
	cellShape
	inputs [2]block
	// edges are by node and the state that they come from.
	edges [supernetNodes][][]edge
}

func newMixed(m *maker, cfg Config) *mixed {
	channels := cfg.Channels
	before, last := stemFactor*channels, stemFactor*channels
	b := &mixed{stem: m.stem(last, false)}
	m.plain = true
	for i := range cfg.Cells {
		shape := cellShape{
			name: fmt.Sprintf("cells.%d", i), before: before, last: last,
			reduces: isReduction(i, cfg.Cells), reducedBefore: i > 0 && isReduction(i-1, cfg.Cells),
		}
		if shape.reduces {
			channels *= 2
		}
		shape.channels = channels
		b.cells = append(b.cells, m.mixedCell(shape))
		before, last = last, supernetNodes*channels
	}
	m.plain = false
	b.head = m.linear("classifier", last, cfg.Classes)
	return b
}

func (m *maker) mixedCell(s cellShape) *mixedCell {
	c := &mixedCell{cellShape: s, inputs: m.cellInputs(s)}
	number := 0
	for node := range c.edges {
		for from := range 2 + node {
			var candidates []edge
			for i, op := range operations {
				if i > 0 {
					candidates = append(candidates, m.candidate(fmt.Sprintf("%s._ops.%d._ops.%d", s.name, number, i), op, s.channels, s.stride(from)))
				}
			}
			c.edges[node] = append(c.edges[node], candidates)
			number++
		}
	}
	return c
}

// candidate is an operation of a mixed edge: its pools are followed by a batch norm.
func (m *maker) candidate(name, op string, c, stride int) edge {
	e := m.operation(name, op, c, stride)
	if e.pool != nil {
		e.norm = m.norm(name+".1", "", c)
	}
	return e
}

func (b *mixed) classifier() linear { return b.head }

// features is on for a graph whose mixture nobody sets.
func (b *mixed) features(p *Pass) *nn.Var { return b.on(p, newSupernetPass()) }

// on adds the operators; the sums of the mixtures go to the pass.
func (b *mixed) on(p *Pass, to *SupernetPass) *nn.Var {
	last := b.stem.on(p.Graph, p.Input)
	before := last
	for _, c := range b.cells {
		before, last = last, c.on(p, to, before, last)
	}
	return last
}

// on adds the cell's operators: as soon as a state is there, all candidates that read
// it, in one group, and then what follows them.
func (c *mixedCell) on(p *Pass, to *SupernetPass, before, last *nn.Var) *nn.Var {
	g := p.Graph
	kind := 0
	if c.reduces {
		kind = 1
	}
	first, second := c.inputs[0].on(g, before), c.inputs[1].on(g, last)
	g.Add(first, second)
	states := []*nn.Var{first.Out, second.Out}
	h, w := second.Out.Values.H, second.Out.Values.W
	if c.reduces {
		h, w = (h+1)/2, (w+1)/2
	}
	whole, parts := g.Concat(p.Batch(), h, w, []int{c.channels, c.channels, c.channels, c.channels})
	var sources [supernetNodes][]*nn.Var
	read := func(state int) {
		var r readers
		var edges [supernetNodes][]*nn.Var
		for node := max(0, state-1); node < supernetNodes; node++ {
			for _, e := range c.edges[node][state] {
				edges[node] = append(edges[node], r.add(g, e, states[state]))
			}
		}
		r.end(g)
		for node, e := range edges {
			sources[node] = append(sources[node], e...)
		}
	}
	read(0)
	read(1)
	for node := range sources {
		sum := to.nodes[kind][node].on(g, sources[node], parts[node])
		g.Add(sum)
		states = append(states, sum.Out)
		if node < supernetNodes-1 {
			read(2 + node)
		}
	}
	return whole
}
