package space

import (
	"fmt"
	"math/big"
	"math/bits"
	"sync"

	"evalnas/nasapi/space/internal/nb101"
)

// Choices lists the decisions of the encoding that ENAS and NAO use: for each
// interior vertex which earlier one feeds it (0 is the input) and which
// operation it has. Every vertex that feeds no other feeds the output.
func (n *NASBench) Choices() []Choice {
	var choices []Choice
	for node := range n.max - 2 {
		choices = append(choices,
			Choice{Node: node, Index: true, N: node + 1},
			Choice{Node: node, N: nb101.NumOps})
	}
	return choices
}

// Operations names the operations in the order of their numbers.
func (n *NASBench) Operations() []string { return append([]string(nil), nasbenchOps[:]...) }

// Decode turns [prev, op, prev, op, ...] into its cell. Five vertices in
// parallel have 10 edges and are outside the space.
func (n *NASBench) Decode(seq []int) (Arch, error) {
	choices := n.Choices()
	if len(seq) != len(choices) {
		return nil, fmt.Errorf("a sequence of %s has %d numbers, not %d", n, len(choices), len(seq))
	}
	for i, c := range choices {
		if seq[i] < 0 || seq[i] >= c.N {
			return nil, fmt.Errorf("number %d of the sequence is %d: it must be 0 to %d", i, seq[i], c.N-1)
		}
	}
	c := decodeSequence(seq)
	if err := c.outside(n.max); err != nil {
		return nil, err
	}
	return c, nil
}

// Encode is the sequence that decodes to a cell, with its vertices in the order
// of its matrix. There is one only where the pruned cell has as many vertices
// as the space allows, one edge into each of its interior vertices, and an edge
// to the output from just those vertices that lead nowhere else.
func (n *NASBench) Encode(a Arch) ([]int, error) {
	if err := n.Contains(a); err != nil {
		return nil, err
	}
	c := a.(*Cell)
	refuse := func(format string, args ...any) ([]int, error) {
		return nil, fmt.Errorf("%s has no sequence, so it is %w of those of %s: %s", c, ErrOutside, n, fmt.Sprintf(format, args...))
	}
	if v := c.Vertices(); v != n.max {
		return refuse("it has %d vertices, decoded cells have %d", v, n.max)
	}
	last := n.max - 1
	var seq []int
	for v := range last {
		feeds := c.out[v] &^ (1 << last)
		if toOutput := feeds != c.out[v]; toOutput != (feeds == 0) {
			return refuse("vertex %d leads to the output and to another vertex; only one that leads nowhere else may", v)
		}
		if v == 0 {
			continue
		}
		from := uint64(0)
		for u := range v {
			from |= c.out[u] >> v & 1 << u
		}
		if bits.OnesCount64(from) != 1 {
			return refuse("vertex %d has %d inputs, not one", v, bits.OnesCount64(from))
		}
		seq = append(seq, bits.TrailingZeros64(from), int(c.labels[v-1]))
	}
	return seq, nil
}

// decodeSequence expects numbers in range. All vertices are live: each has a
// predecessor, and what feeds no vertex feeds the output.
func decodeSequence(seq []int) *Cell {
	vertices := len(seq)/2 + 2
	last := vertices - 1
	out := make([]uint64, vertices)
	labels := make([]uint8, 0, vertices-2)
	for i := 0; i < len(seq); i += 2 {
		out[seq[i]] |= 1 << (i/2 + 1)
		labels = append(labels, uint8(seq[i+1]))
	}
	for v := range last {
		if out[v] == 0 {
			out[v] = 1 << last
		}
	}
	return newCell(out, labels)
}

// Reachable is the number of distinct cells of the space that sequences
// encode: 15, 82, 495 and 3,123 for 4 to 7 vertices. The first call goes
// through all sequences, 29,160 of the largest space.
func (n *NASBench) Reachable() *big.Int { return big.NewInt(int64(reachable[n.max]())) }

var reachable = func() (counts [nb101.MaxVertices + 1]func() int) {
	for v := range counts {
		counts[v] = sync.OnceValue(func() int { return countReachable(v) })
	}
	return counts
}()

func countReachable(maxVertices int) int {
	seen := map[uint64]bool{}
	seq := make([]int, 2*(maxVertices-2))
	for more := true; more; more = nextSequence(seq) {
		if c := decodeSequence(seq); c.outside(maxVertices) == nil {
			seen[nb101.Pack(c.out, c.labels).Colour()] = true
		}
	}
	return len(seen)
}

// nextSequence counts up, the last number fastest.
func nextSequence(seq []int) bool {
	for i := len(seq) - 1; i >= 0; i-- {
		limit := nb101.NumOps
		if i%2 == 0 {
			limit = i/2 + 1
		}
		if seq[i]++; seq[i] < limit {
			return true
		}
		seq[i] = 0
	}
	return false
}
