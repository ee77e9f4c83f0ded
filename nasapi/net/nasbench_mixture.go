package net

import (
	"fmt"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// NASBenchMixture is the supernet of DARTS and FBNet on NASBench-101 (Yu et al., ICLR
// 2020, with each edge weighed by its own weight): in every module all vertices read
// the input and all vertices before them, apply all operations, and feed the output,
// which a projection of the input is added to. Each of these is multiplied by a weight
// that all modules share. So vertices are as wide as the channel rule has it for the
// cell with all edges: an n-th of the module's output.
//
// No batch norm keeps running statistics: see NASBenchSupernet.
type NASBenchMixture struct {
	*Network
	interior int
	stem     stem
	modules  []*mixtureModule
	arena    *nn.Arena
}

// nasbenchOperations are those of a vertex, in the order of space.NASBench.Operations.
var nasbenchOperations = []string{"conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"}

// mixtureModule is the blocks of a module, by vertex.
type mixtureModule struct {
	widths  []int
	input   []block
	windows []map[int]block // by the side of the window
	join    []block         // pieces of the projection to the output
}

// NewNASBenchMixture makes the weights, zero, like NewNASBenchSupernet.
func NewNASBenchMixture(dev nn.Device, interior int, cfg Config) (*NASBenchMixture, error) {
	m, err := nasbenchMaker(dev, interior, cfg)
	if err != nil {
		return nil, err
	}
	cfg = m.n.cfg
	s := &NASBenchMixture{Network: m.n, interior: interior, arena: nn.NewArena(dev), stem: m.stem(cfg.Channels, true)}
	cfg.eachModule(func(i, in, out int) {
		own := ownConvolutions{m: m, name: fmt.Sprintf("cells.%d", i), in: in, out: out, last: interior + 1}
		s.modules = append(s.modules, m.mixtureModule(own, interior))
	})
	m.n.body = pathless{m.nasbenchHead()}
	return s, m.err
}

func (m *maker) mixtureModule(own ownConvolutions, interior int) *mixtureModule {
	made := &mixtureModule{}
	for v := 1; v <= interior; v++ {
		width := own.out / interior
		if v <= own.out%interior {
			width++
		}
		made.widths = append(made.widths, width)
		made.input = append(made.input, own.project(v, width))
		windows := map[int]block{}
		for _, op := range nasbenchOperations {
			if k := nasbenchKernels[op]; k > 0 {
				name := fmt.Sprintf("%s.vertices.%d.conv%dx%d", own.name, v, k, k)
				windows[k] = m.convNormReLU(name, "", 0, square(k, 1, 1), width, width)
			}
		}
		made.windows = append(made.windows, windows)
	}
	made.join = own.output(made.widths)
	return made
}

// Interior is the number of interior vertices.
func (s *NASBenchMixture) Interior() int { return s.interior }

// Masks is the mixture that is one architecture: weights of 1 for what it has, and of 0.
func (s *NASBenchMixture) Masks(c *space.Cell) ([][]float64, error) {
	if err := fitsInterior(c, s.interior); err != nil {
		return nil, err
	}
	m := newMixture(nasbenchShape(s.interior))
	matrix, ops := c.Matrix(), c.Ops()
	last := len(ops) - 1
	for v := 1; v < last; v++ {
		for from := range v {
			m[v-1][from] = float64(matrix[from][v])
		}
		for i, op := range nasbenchOperations {
			if op == ops[v] {
				m[s.interior+v-1][i] = 1
			}
		}
	}
	for v := range last {
		m[2*s.interior][v] = float64(matrix[v][last])
	}
	return m, nil
}

// MixturePass is a graph of the mixture. With n interior vertices its vectors are, by
// vertex 1 to n, the weights of what enters it: the input, then the vertices before it;
// then, by vertex, those of its operations, in the order of space.NASBench.Operations;
// and one of n+1, with which the input's projection and the vertices enter the output.
type MixturePass struct {
	*Pass
	mixer
	into, operate, output []*mixedSum // by vertex
}

// nasbenchShape is the number of weights of each vector.
func nasbenchShape(interior int) []int {
	var shape []int
	for v := 1; v <= interior; v++ {
		shape = append(shape, v)
	}
	for range interior {
		shape = append(shape, len(nasbenchOperations))
	}
	return append(shape, interior+1)
}

func newMixturePass(interior int) *MixturePass {
	p := &MixturePass{mixer: mixer{shape: nasbenchShape(interior)}}
	p.name = func(vector int) string {
		switch {
		case vector < interior:
			return fmt.Sprintf("what enters vertex %d", 1+vector)
		case vector < 2*interior:
			return fmt.Sprintf("the operations of vertex %d", 1+vector-interior)
		}
		return "what enters the output"
	}
	for v := range interior {
		p.into = append(p.into, p.sum(vector(v, v+1)))
		p.operate = append(p.operate, p.sum(vector(interior+v, len(nasbenchOperations))))
		p.output = append(p.output, p.sum([]place{{2 * interior, v + 1}, {2 * interior, 0}}))
	}
	return p
}

// vector is the places of a vector of n weights.
func vector(v, n int) []place {
	places := make([]place, n)
	for i := range places {
		places[i] = place{v, i}
	}
	return places
}

// Build makes the graph, planned, with equal weights of what enters a vertex and of its
// operations, and with ones to the output. All graphs of a mixture lie in one memory, and
// take turns like the paths of a NASBenchSupernet.
func (s *NASBenchMixture) Build(mode nn.Mode, batch int) (*MixturePass, error) {
	p := newMixturePass(s.interior)
	var err error
	p.Pass, err = s.build(mode, batch, func(pass *Pass) *nn.Var {
		return pass.inModules(s.stem, len(s.modules), func(i int, x *nn.Var) *nn.Var { return s.modules[i].mix(p, pass.Graph, x) })
	})
	if err != nil {
		return nil, err
	}
	equal := newMixture(p.shape)
	for v, weights := range equal {
		for i := range weights {
			weights[i] = 1 / float64(len(weights))
			if v == 2*s.interior {
				weights[i] = 1
			}
		}
	}
	if err := p.SetMixture(equal); err != nil {
		return nil, err
	}
	return p, p.Graph.PlanIn(s.arena)
}

// Path is the graph of one architecture, planned: what the mixture with its Masks gives,
// at the cost of what the architecture has. Its widths are the mixture's, so it is not
// the architecture's own network.
func (s *NASBenchMixture) Path(c *space.Cell, mode nn.Mode, batch int) (*Pass, error) {
	if err := fitsInterior(c, s.interior); err != nil {
		return nil, err
	}
	p, err := s.build(mode, batch, func(p *Pass) *nn.Var {
		return p.inModules(s.stem, len(s.modules), func(i int, x *nn.Var) *nn.Var {
			b := s.modules[i]
			m := wire(c, 0, b.widths, b)
			m.parts = b.widths
			return m.on(p, x)
		})
	})
	if err != nil {
		return nil, err
	}
	return p, p.Graph.PlanIn(s.arena)
}

// A module's blocks are the convolutions of any cell in it.
var _ convolutions = (*mixtureModule)(nil)

func (b *mixtureModule) project(v, _ int) block { return b.input[v-1] }

func (b *mixtureModule) convolve(v, k, _ int) block { return b.windows[v-1][k] }

func (b *mixtureModule) output([]int) []block { return b.join }

// mix adds the module's operators: all projections as one group, then the vertices in
// order, then the output.
func (b *mixtureModule) mix(p *MixturePass, g *nn.Graph, x *nn.Var) *nn.Var {
	projected, joined := b.projections(g, x)
	var values []*nn.Var
	for v, width := range b.widths {
		sources := append([]*nn.Var{projected[v]}, values...)
		t := x.Values
		sum := p.into[v].on(g, sources, g.Value(t.N, t.H, t.W, width))
		g.Add(sum)
		values = append(values, b.vertex(p, g, v, sum.Out))
	}
	whole, parts := g.Concat(x.Values.N, x.Values.H, x.Values.W, b.widths)
	var group []nn.Op
	for v, part := range parts {
		group = append(group, p.output[v].on(g, []*nn.Var{values[v], joined[v]}, part))
	}
	g.Add(group...)
	return whole
}

// projections are those of the input, to the vertices and to the parts of the output.
func (b *mixtureModule) projections(g *nn.Graph, x *nn.Var) (vertices, output []*nn.Var) {
	var group []nn.Op
	for _, all := range []struct {
		blocks []block
		to     *[]*nn.Var
	}{{b.input, &vertices}, {b.join, &output}} {
		for _, block := range all.blocks {
			op := block.on(g, x)
			group = append(group, op)
			*all.to = append(*all.to, op.Out)
		}
	}
	g.Add(group...)
	return vertices, output
}

// vertex applies all operations to what enters a vertex and adds them up.
func (b *mixtureModule) vertex(p *MixturePass, g *nn.Graph, v int, x *nn.Var) *nn.Var {
	var group []nn.Op
	var results []*nn.Var
	for _, name := range nasbenchOperations {
		if conv, ok := b.windows[v][nasbenchKernels[name]]; ok {
			op := conv.on(g, x)
			group, results = append(group, op), append(results, op.Out)
			continue
		}
		op := g.Pool(nn.Pool{X: x, Max: true, Window: square(3, 1, 1)}, nil)
		group, results = append(group, op), append(results, op.Out)
	}
	g.Add(group...)
	sum := p.operate[v].on(g, results, nil)
	g.Add(sum)
	return sum.Out
}
