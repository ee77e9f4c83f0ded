package space

import (
	"math/bits"
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space/internal/nb101"
)

// Mutate is the mutation of regularised evolution on NASBench-101 (Ying et
// al.): of a matrix of V = max_vertices vertices every upper-triangular entry
// is flipped with probability 1/V and every interior operation replaced by
// one of the two others with probability 1/(V-2), over again until the result
// is in the space.
//
// The reference mutates the unpruned matrix that an architecture was made
// with. An Arch is its pruned form only, as a draw from the table is: the
// missing vertices are put back without edges, at uniformly drawn places and
// with uniformly drawn operations, so that a mutation can bring them to life.
//
// The cell must be one of the space: Mutate panics otherwise.
func (n *NASBench) Mutate(a Arch, s *rng.Stream) Arch {
	cell := n.own(a, "Mutate")
	var outBuf [nb101.MaxVertices]uint64
	var opBuf [nb101.MaxVertices]uint8
	for {
		out, ops := n.padded(cell, s, outBuf[:0], opBuf[:0])
		n.flip(out, ops, s)
		// Looked at before a cell is made: it has no more vertices than the matrix.
		if prunedEdges(out) > nb101.MaxEdges {
			continue
		}
		if c := newCell(out, ops); c != nil {
			return c
		}
	}
}

// prunedEdges is how many edges pruning leaves.
func prunedEdges(out []uint64) int {
	keep, n := live(out), 0
	for x, row := range out {
		if keep>>x&1 != 0 {
			n += bits.OnesCount64(row & keep)
		}
	}
	return n
}

// own checks that a caller's architecture is of the space.
func (n *NASBench) own(a Arch, operation string) *Cell {
	if err := n.Contains(a); err != nil {
		panic("space: " + operation + ": " + err.Error())
	}
	return a.(*Cell)
}

// padded writes the cell with max_vertices vertices to out and ops.
func (n *NASBench) padded(c *Cell, s *rng.Stream, out []uint64, ops []uint8) ([]uint64, []uint8) {
	interior := n.max - 2
	for range n.max {
		out = append(out, 0)
	}
	for range interior {
		ops = append(ops, uint8(s.IntN(nb101.NumOps)))
	}
	var drawn [nb101.MaxVertices]int
	places := s.AppendSample(drawn[:0], interior, len(c.labels))
	slices.Sort(places)
	place := make([]int, 0, nb101.MaxVertices)
	place = append(place, 0)
	for i, p := range places {
		ops[p] = c.labels[i]
		place = append(place, p+1)
	}
	place = append(place, n.max-1)
	for x, row := range c.out {
		for ; row != 0; row &= row - 1 {
			out[place[x]] |= 1 << place[bits.TrailingZeros64(row)]
		}
	}
	return out, ops
}

// flip makes one round of mutations in place.
func (n *NASBench) flip(out []uint64, ops []uint8, s *rng.Stream) {
	edge := 1 / float64(n.max)
	for x := range n.max - 1 {
		for y := x + 1; y < n.max; y++ {
			if s.Chance(edge) {
				out[x] ^= 1 << y
			}
		}
	}
	if len(ops) == 0 {
		return
	}
	operation := 1 / float64(len(ops))
	for i := range ops {
		if s.Chance(operation) {
			ops[i] = (ops[i] + 1 + uint8(s.IntN(nb101.NumOps-1))) % nb101.NumOps
		}
	}
}

// Neighbours returns the cells of the space that are one edit of the pruned
// cell away, each once (by hash) and the cell itself left out. The edits, in
// the order of the result:
//
//  1. one edge added or removed, by its first and then its second vertex;
//  2. one operation changed, by vertex and then by operation;
//  3. one vertex added between two others, by the first, the second and then
//     the operation: it gets an edge from each and stands right behind the
//     first.
//
// Without the third edit no sequence of edits could enlarge a cell, because a
// vertex needs two edges to survive pruning. The relation is symmetric but
// for removed edges that take with them more than one vertex, or a vertex
// with more than two edges: there is no single edit back.
//
// The cell must be one of the space: Neighbours panics otherwise.
func (n *NASBench) Neighbours(a Arch) []Arch {
	cell := n.own(a, "Neighbours")
	found := &neighbours{space: n, seen: map[int]bool{}}
	if row, ok := cell.indexRow(n.index); ok {
		found.seen[row] = true
	}
	out, ops := slices.Clone(cell.out), slices.Clone(cell.labels)
	for x := range out {
		for y := x + 1; y < len(out); y++ {
			out[x] ^= 1 << y
			found.add(out, ops)
			out[x] ^= 1 << y
		}
	}
	for i, op := range ops {
		for other := range uint8(nb101.NumOps) {
			ops[i] = other
			found.add(out, ops)
		}
		ops[i] = op
	}
	if len(out) < n.max {
		found.insertions(out, ops)
	}
	return found.list
}

// neighbours collects distinct cells.
type neighbours struct {
	space *NASBench
	seen  map[int]bool
	list  []Arch
}

func (f *neighbours) add(out []uint64, ops []uint8) {
	c := newCell(out, ops)
	if c == nil || c.outside(f.space.max) != nil {
		return
	}
	if row, ok := c.indexRow(f.space.index); ok && !f.seen[row] {
		f.seen[row] = true
		f.list = append(f.list, c)
	}
}

func (f *neighbours) insertions(out []uint64, ops []uint8) {
	for x := range out {
		wider := make([]uint64, 0, len(out)+1)
		for v, row := range out {
			// The new vertex is x+1: all behind it move up by one.
			low := row & (1<<(x+1) - 1)
			wider = append(wider, low|(row^low)<<1)
			if v == x {
				wider = append(wider, 0)
			}
		}
		for y := x + 2; y < len(wider); y++ {
			wider[x] |= 1 << (x + 1)
			wider[x+1] = 1 << y
			for op := range uint8(nb101.NumOps) {
				f.add(wider, slices.Insert(slices.Clone(ops), x, op))
			}
		}
	}
}
