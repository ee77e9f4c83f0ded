package policy

import (
	"fmt"
	"slices"

	"evalnas/nasapi/space"
)

// features writes architectures of a space as numbers for a predictor.
type features struct {
	size int
	of   func(a space.Arch) ([]float32, error)
}

// featuresOf is the path encoding of NASBench-101, the edges of DARTS cells, and one
// number for each option of each decision of other spaces with a sequence encoding. Of the
// path encoding only the first paths are kept, unless that is 0.
func featuresOf(s space.Space, paths int) (features, error) {
	switch s := s.(type) {
	case *space.NASBench:
		return pathFeatures(s, paths), nil
	case *space.DARTSSpace:
		return edgeFeatures(s, s.Operations(), s.Spec().Nodes), nil
	case *space.Rows: // sequences of its own would hardly hit a row, those of all combinations tell rows apart
		return featuresOf(s.Base(), paths)
	}
	if c, ok := space.CellsOf(s); ok {
		return edgeFeatures(c, c.CellsOptions.Operations, c.Nodes), nil
	}
	if q, ok := space.SequencesOf(s); ok && len(q.Choices()) > 0 {
		return choiceFeatures(q), nil
	}
	return features{}, fmt.Errorf("bananas: %s has no encoding for a predictor; nasbench101(max_vertices=4..7), nasbench201(), darts_space(nodes=4 or 5), cell_space(...), choices(...) and the rows of a table have one", s)
}

// pathFeatures has a number for each way from input to output by its operations: 1 where a
// cell has it. Shorter ways come first, then by the numbers of their operations, the
// first of them counting most: 1 + 3 + 9 + ..., 364 in cells of seven vertices.
func pathFeatures(n *space.NASBench, keep int) features {
	ops := n.Operations()
	all, power := 0, 1
	for range n.MaxVertices() - 1 {
		all, power = all+power, power*len(ops)
	}
	if keep > 0 {
		all = min(all, keep)
	}
	return features{all, func(a space.Arch) ([]float32, error) {
		c, ok := a.(*space.Cell)
		if !ok {
			return nil, fmt.Errorf("%s is no cell of %s", a, n)
		}
		x := make([]float32, all)
		w := walker{matrix: c.Matrix(), ops: make([]int, c.Vertices()), base: len(ops), x: x}
		for v, name := range c.Ops() {
			w.ops[v] = slices.Index(ops, name) // -1 at the ends
		}
		w.walk(0, 0, 0)
		return x, nil
	}}
}

// walker goes along all ways of a cell.
type walker struct {
	matrix [][]int
	ops    []int
	base   int
	x      []float32
}

// walk goes on from vertex v: number is that of the operations so far among the ways of
// their length, first the number of all shorter ones.
func (w *walker) walk(v, number, first int) {
	for to, edge := range w.matrix[v] {
		if edge == 0 {
			continue
		}
		if to == len(w.matrix)-1 {
			if at := first + number; at < len(w.x) {
				w.x[at] = 1
			}
			continue
		}
		w.walk(to, number*w.base+w.ops[to], first*w.base+1)
	}
}

// edgeFeatures counts, for each node of both cells, its edges from each input with each
// operation. The order of a node's edges is not in it.
func edgeFeatures(s space.Space, names []string, nodes int) features {
	first := make([]int, nodes+1) // of a node's numbers
	for node := range nodes {
		first[node+1] = first[node] + (node+2)*len(names)
	}
	return features{2 * first[nodes], func(a space.Arch) ([]float32, error) {
		g, ok := a.(*space.Genotype)
		if !ok {
			return nil, fmt.Errorf("%s is no genotype of %s", a, s)
		}
		x := make([]float32, 2*first[nodes])
		for i, c := range []space.DARTSCell{g.Normal(), g.Reduce()} {
			for k, e := range c.Edges {
				x[i*first[nodes]+first[c.NodeOf(k)]+e.Input*len(names)+slices.Index(names, e.Op)]++
			}
		}
		return x, nil
	}}
}

func choiceFeatures(s space.Sequences) features {
	choices := s.Choices()
	first := make([]int, len(choices)+1)
	for i, c := range choices {
		first[i+1] = first[i] + c.N
	}
	return features{first[len(choices)], func(a space.Arch) ([]float32, error) {
		seq, err := s.Encode(a)
		if err != nil {
			return nil, err
		}
		x := make([]float32, first[len(choices)])
		for i, v := range seq {
			x[first[i]+v] = 1
		}
		return x, nil
	}}
}
