package shared

import (
	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Memory is what a training takes at least, in bytes.
type Memory struct {
	Weights    int64 // values, gradients and momentum
	Graph      int64 // of the largest path that was looked at, or of the mixture
	Checkpoint int64 // values and momentum: a copy, in written form, and once more with its digest
	Images     int64
}

// Sum is all of it.
func (m Memory) Sum() int64 { return m.Weights + m.Graph + m.Checkpoint + m.Images }

// memoryDraws are how many drawn paths MemoryOf looks at.
const memoryDraws = 4

// MemoryOf works out what a protocol takes on a set of a shape, on paper: it takes
// milliseconds and no memory.
func MemoryOf(policyName string, sp space.Space, cfg Config, shape data.Shape) (Memory, error) {
	n, err := openSupernet(Job{Device: net.Paper(), Space: sp, Policy: policyName, Data: &data.Set{Shape: shape}, Config: cfg})
	if err != nil {
		return Memory{}, err
	}
	const float = 4
	params := countParams(n.Params())
	m := Memory{Weights: 3 * float * params, Checkpoint: 6 * float * params, Images: int64(shape.N()) * int64(shape.ImageBytes())}
	if mix, ok := n.(mixing); ok && (policyName == "darts" || policyName == "fbnet") {
		g, err := mix.mix(nn.Train, cfg.Batch)
		if err != nil {
			return m, err
		}
		m.Graph = g.Base().Graph.Bytes()
		return m, nil
	}
	for _, a := range largePaths(sp) {
		for mode, batch := range map[nn.Mode]int{nn.Train: cfg.Batch, nn.Evaluate: cfg.ValidBatch} {
			p, err := n.path(a, mode, batch)
			if err != nil {
				return m, err
			}
			m.Graph = max(m.Graph, p.Graph.Bytes())
		}
	}
	return m, nil
}

// largePaths are architectures of which one needs about as much as any: of NASBench-101
// the chain of all vertices, which are widest there, with the input into each, and in other
// spaces some draws.
func largePaths(sp space.Space) []space.Arch {
	var list []space.Arch
	if cells, ok := sp.(*space.NASBench); ok {
		list = append(list, chain(cells.MaxVertices()))
	}
	draws := rng.New(0, "shared", "memory")
	for range memoryDraws {
		list = append(list, sp.Sample(draws))
	}
	return list
}

// mostEdges is how many a cell of NASBench-101 has at most.
const mostEdges = 9

// chain is the cell of 3x3 convolutions in a row that all read the input too, as far as the
// number of edges allows.
func chain(vertices int) space.Arch {
	matrix, ops := make([][]int, vertices), make([]string, vertices)
	for v := range matrix {
		matrix[v], ops[v] = make([]int, vertices), "conv3x3-bn-relu"
	}
	ops[0], ops[vertices-1] = "input", "output"
	for v := 1; v < vertices; v++ {
		matrix[v-1][v] = 1
	}
	for v := 2; v < vertices && vertices-1+v-1 <= mostEdges; v++ {
		matrix[0][v] = 1
	}
	a, err := space.NewCell(matrix, ops)
	if err != nil {
		panic(err) // it is a cell of all numbers of vertices
	}
	return a
}
