package nb101

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
)

// Unique is one graph of the space: its module hash and the first matrix and
// operations that enumeration meets it with. Isomorphic matrices may differ
// in the channels of their vertices, so that first form is part of the data.
type Unique struct {
	Hash  [16]byte
	Graph Graph
}

// Enumerate lists the distinct graphs of 2 to maxVertices vertices and at
// most 9 edges in ascending order of hash. It tries what the reference tries
// in the reference's order: sizes, then the masks of the upper triangle, then
// the operations with the last vertex fastest. It also returns how many
// labelled graphs that were.
func Enumerate(maxVertices int) (unique []Unique, labelled int, err error) {
	if maxVertices < 2 || maxVertices > MaxVertices {
		return nil, 0, fmt.Errorf("nasbench101: %d vertices: choose 2 to %d", maxVertices, MaxVertices)
	}
	graphs, labelled := distinct(maxVertices)
	unique = hashAll(graphs)
	slices.SortFunc(unique, func(a, b Unique) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	for i := 1; i < len(unique); i++ {
		if unique[i].Hash == unique[i-1].Hash {
			// Cannot happen while Colour and the module hash agree; a silent
			// duplicate would shift every row of the tables.
			return nil, 0, fmt.Errorf("nasbench101: two enumerated graphs share the hash %x", unique[i].Hash)
		}
	}
	return unique, labelled, nil
}

// hashAll hashes the graphs two by two where two of a size stand together, as
// they do but once for each size.
func hashAll(graphs []Graph) []Unique {
	unique := make([]Unique, 0, len(graphs))
	var pair pairHasher
	for len(graphs) > 1 {
		if graphs[0].Vertices() != graphs[1].Vertices() {
			unique = append(unique, Unique{pair[0].Graph(graphs[0]), graphs[0]})
			graphs = graphs[1:]
			continue
		}
		hashes := pair.graphs(graphs[0], graphs[1])
		unique = append(unique, Unique{hashes[0], graphs[0]}, Unique{hashes[1], graphs[1]})
		graphs = graphs[2:]
	}
	for _, g := range graphs {
		unique = append(unique, Unique{pair[0].Graph(g), g})
	}
	return unique
}

// distinct returns the first graph of each colour in the order of enumeration.
func distinct(maxVertices int) (graphs []Graph, labelled int) {
	seen := newColourSet(maxVertices)
	EachLabelled(maxVertices, func(g Graph, colour uint64) {
		labelled++
		if seen.add(colour) {
			graphs = append(graphs, g)
		}
	})
	return graphs, labelled
}

// EachLabelled calls f with every labelled graph of the enumeration and its
// colour, in order.
func EachLabelled(maxVertices int, f func(g Graph, colour uint64)) {
	var r refiner
	for n := 2; n <= maxVertices; n++ {
		labellings := 1
		for range n - 2 {
			labellings *= NumOps
		}
		// The last interior vertex runs fastest, but it is the highest digit.
		order := make([]uint8, labellings)
		for i := range order {
			order[i] = reverseDigits(i, n-2)
		}
		for mask := uint32(0); mask < 1<<(n*(n-1)/2); mask++ {
			if bits.OnesCount32(mask) > MaxEdges || !isFull(mask, n) {
				continue
			}
			g := Graph(n) | Graph(mask)<<3
			r.load(g)
			for _, digits := range order {
				f(g|Graph(digits)<<24, r.colour(digits))
			}
		}
	}
}

func reverseDigits(i, digits int) uint8 {
	out := 0
	for range digits {
		out = out*NumOps + i%NumOps
		i /= NumOps
	}
	return uint8(out)
}

// isFull says whether every vertex but the output has a successor and every
// vertex but the input has a predecessor: then nothing would be pruned.
func isFull(mask uint32, n int) bool {
	sources := uint32(0)
	for y := 1; y < n; y++ {
		column := mask & (1<<y - 1)
		if column == 0 {
			return false
		}
		sources |= column
		mask >>= y
	}
	return sources == 1<<(n-1)-1
}

// colourSet is an open-addressing set: Go's map would take longer than the
// colours themselves.
type colourSet struct {
	slots   []uint64
	shift   uint
	hasZero bool
}

// newColourSet sizes the set for the known order of magnitude of the space:
// about seven times as many graphs with each vertex, 423,624 at seven.
func newColourSet(maxVertices int) *colourSet {
	log := uint(max(8, 20-3*(MaxVertices-maxVertices)))
	return &colourSet{slots: make([]uint64, 1<<log), shift: 64 - log}
}

// add reports whether the colour was not yet in the set.
func (s *colourSet) add(c uint64) bool {
	if c == 0 {
		added := !s.hasZero
		s.hasZero = true
		return added
	}
	for i := c >> s.shift; ; i = (i + 1) & uint64(len(s.slots)-1) {
		switch s.slots[i] {
		case 0:
			s.slots[i] = c
			return true
		case c:
			return false
		}
	}
}
