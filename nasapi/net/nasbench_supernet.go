package net

import (
	"errors"
	"fmt"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// NASBenchSupernet is the weights that all cells of NASBench-101 with up to so many
// interior vertices share: the supernet of SPOS, FairNAS, ENAS and NAO in "Evaluating
// the search phase of neural architecture search" (Yu et al., ICLR 2020). Each of the
// modules has its own, by vertex 1 to n a projection of the module's input and a 1x1
// and a 3x3 convolution, and one projection of its input to its output, all as wide as
// the module's output; stem and classifier are there once. A vertex of a cell (in its
// pruned form) uses the first channels of its vertex's weights and batch norms, as
// many as it is wide. Only those are computed: what the reference throws away has no
// part in a result or a gradient.
//
// No batch norm keeps running statistics, which would be those of other paths: every
// mode normalises by the batch (the reference's norms are always in training mode, but
// for the stem's and the output projections').
type NASBenchSupernet struct {
	*Network
	interior int
	stem     stem
	slots    []*moduleSlots
	arena    *nn.Arena
}

// The numbers of interior vertices of a supernet: up to those of NASBench-101's cells.
const (
	leastInterior = 2
	mostInterior  = 5
)

// NewNASBenchSupernet makes the weights, zero: see Network.Initialise. Sizes of zero are
// those of NASBench-101's networks; Config.Start is PyTorch unless given.
func NewNASBenchSupernet(dev nn.Device, interior int, cfg Config) (*NASBenchSupernet, error) {
	m, err := nasbenchMaker(dev, interior, cfg)
	if err != nil {
		return nil, err
	}
	cfg = m.n.cfg
	s := &NASBenchSupernet{Network: m.n, interior: interior, arena: nn.NewArena(dev), stem: m.stem(cfg.Channels, true)}
	cfg.eachModule(func(i, in, out int) {
		s.slots = append(s.slots, m.moduleSlots(fmt.Sprintf("cells.%d", i), interior, in, out))
	})
	m.n.body = pathless{m.nasbenchHead()}
	return s, m.err
}

// nasbenchMaker begins a supernet's network: its batch norms keep no statistics.
func nasbenchMaker(dev nn.Device, interior int, cfg Config) (*maker, error) {
	if interior < leastInterior || interior > mostInterior {
		return nil, fmt.Errorf("a supernet of NASBench-101 for cells of %d interior vertices; give %d to %d", interior, leastInterior, mostInterior)
	}
	if cfg.Auxiliary {
		return nil, errors.New("a supernet of NASBench-101 has no auxiliary head: leave it off")
	}
	cfg = cfg.fill(Config{Channels: 128, Cells: 9, NormMomentum: 0.003, Start: PyTorch})
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := cfg.validateStacks(); err != nil {
		return nil, err
	}
	if width := cfg.moduleWidth(0); width < interior {
		return nil, fmt.Errorf("%d channels for cells of %d interior vertices leave none to some; give at least %d", width, interior, interior)
	}
	return &maker{n: &Network{dev: dev, cfg: cfg}, untracked: true}, nil
}

// pathless is the body of a network of which there is no graph as a whole.
type pathless struct{ head linear }

func (b pathless) classifier() linear { return b.head }

// moduleSlots is what a module's cells share.
type moduleSlots struct {
	in, out  int
	vertices []vertexSlot
	join     block // input to output
}

// vertexSlot is the blocks of a vertex, in full width.
type vertexSlot struct {
	input    block
	convolve map[int]block // by the side of the window
}

func (m *maker) moduleSlots(name string, interior, in, out int) *moduleSlots {
	s := &moduleSlots{in: in, out: out}
	for v := 1; v <= interior; v++ {
		slot := vertexSlot{convolve: map[int]block{}}
		slot.input = m.convNormReLU(fmt.Sprintf("%s.projections.%d", name, v), "", 0, pointwise, in, out)
		for _, k := range []int{3, 1} {
			slot.convolve[k] = m.convNormReLU(fmt.Sprintf("%s.vertices.%d.conv%dx%d", name, v, k, k), "", 0, square(k, 1, 1), out, out)
		}
		s.vertices = append(s.vertices, slot)
	}
	s.join = m.convNormReLU(fmt.Sprintf("%s.projections.%d", name, interior+1), "", 0, pointwise, in, out)
	return s
}

func (s *moduleSlots) project(v, width int) block {
	return s.vertices[v-1].input.columns(s.in, 0, width)
}

func (s *moduleSlots) convolve(v, k, width int) block {
	return s.vertices[v-1].convolve[k].columns(width, 0, width)
}

func (s *moduleSlots) output(widths []int) []block {
	var pieces []block
	at := 0
	for _, width := range widths {
		pieces = append(pieces, s.join.columns(s.in, at, width))
		at += width
	}
	return pieces
}

// columns is a block of one dense convolution that uses the first in channels of what it
// reads and has only width of its output channels, from first on.
func (b block) columns(in, first, width int) block {
	b.conv.Dense = []nn.DensePart{{W: b.conv.Dense[0].W.Columns(in, first, width)}}
	return b
}

// Interior is the largest number of interior vertices that a cell may have.
func (s *NASBenchSupernet) Interior() int { return s.interior }

// Path is a cell's graph, planned. All paths of a supernet lie in one memory, that of
// the largest so far: one of them runs at a time, from its Graph.SetInput to its
// Graph.Backward. Gradients add up in the parameters whichever path they come from.
func (s *NASBenchSupernet) Path(c *space.Cell, mode nn.Mode, batch int) (*Pass, error) {
	p, err := s.path(c, mode, batch)
	if err != nil {
		return nil, err
	}
	return p, p.Graph.PlanIn(s.arena)
}

// PathBytes is what a cell's graph needs beside the weights, which is not taken.
func (s *NASBenchSupernet) PathBytes(c *space.Cell, mode nn.Mode, batch int) (int64, error) {
	p, err := s.path(c, mode, batch)
	if err != nil {
		return 0, err
	}
	return p.Graph.Bytes(), nil
}

// ArenaBytes is how large the memory of the paths has grown.
func (s *NASBenchSupernet) ArenaBytes() int64 { return s.arena.Bytes() }

func (s *NASBenchSupernet) path(c *space.Cell, mode nn.Mode, batch int) (*Pass, error) {
	if err := fitsInterior(c, s.interior); err != nil {
		return nil, err
	}
	return s.build(mode, batch, func(p *Pass) *nn.Var {
		return p.inModules(s.stem, len(s.slots), func(i int, x *nn.Var) *nn.Var {
			return newModule(c, s.slots[i].out, s.slots[i]).on(p, x)
		})
	})
}

// fitsInterior refuses a cell that a supernet has too few vertices for.
func fitsInterior(c *space.Cell, interior int) error {
	if n := c.Vertices() - 2; n > interior {
		return fmt.Errorf("a cell of %d interior vertices in a supernet of %d: make one of at least %d, or sample from nasbench101(max_vertices=%d)", n, interior, n, interior+2)
	}
	return nil
}
