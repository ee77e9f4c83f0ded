package space

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"evalnas/nasapi/rng"
)

// DARTSSpace is the space of normal and reduction cells of the DARTS family,
// in one of two forms.
//
// With 4 nodes it is what DARTS derives: each node has two edges from two
// different earlier states, each with one of 7 operations, and the cell
// concatenates its 4 nodes. Its size is (180 * 7^8)^2, about 1.1e18.
//
// With 5 nodes it is what ENAS and NAO emit: each node has two edges chosen
// independently, so both may read the same state, with one of 5 operations;
// the cell concatenates the states that no edge reads, of which a reduction
// cell leaves out its inputs. Its size is about 4.4e22.
//
// The "random" cells of Yu et al. (ICLR 2020) let a node of the 4-node form
// read one state twice, which DARTS cannot derive: ParseGenotype reads them,
// Contains says that they lie outside.
//
// CellSpace is the space of such cells with any operations and sizes.
type DARTSSpace struct {
	nodes int
	ops   []string
	// repeat allows both edges of a node to read one state.
	repeat bool
}

const dartsName = "darts"

var (
	_ Mutator       = (*DARTSSpace)(nil)
	_ Neighbourhood = (*DARTSSpace)(nil)
	_ Sequences     = (*DARTSSpace)(nil) // of the 5-node form
)

// DARTS returns the space with the given number of intermediate nodes a cell:
// 4 for DARTS, 5 for the form of ENAS and NAO. Any other number is refused.
func DARTS(nodes int) (*DARTSSpace, error) {
	switch nodes {
	case 4:
		return &DARTSSpace{nodes: 4, ops: dartsSearchOps}, nil
	case 5:
		return &DARTSSpace{nodes: 5, ops: dartsSequenceOps, repeat: true}, nil
	}
	return nil, fmt.Errorf("darts_space: nodes=%d is not a published form of the space; use 4 (DARTS: 7 operations, two different inputs a node) or 5 (ENAS and NAO: 5 operations, loose ends concatenated)", nodes)
}

// Spec says how to build the space again.
func (d *DARTSSpace) Spec() Spec { return Spec{Name: dartsName, Nodes: d.nodes} }

func (d *DARTSSpace) String() string { return fmt.Sprintf("darts_space(nodes=%d)", d.nodes) }

// Operations names the operations that an edge may have, in index order; of
// the 5-node form, in that of the sequences of ENAS and NAO.
func (d *DARTSSpace) Operations() []string { return slices.Clone(d.ops) }

// Size is the number of genotypes, the order of a node's two edges ignored.
func (d *DARTSSpace) Size() *big.Int {
	size := big.NewInt(1)
	for node := range d.nodes {
		size.Mul(size, big.NewInt(int64(d.edgePairs(node))))
	}
	return size.Mul(size, size)
}

// edgePairs is the number of different pairs of edges that a node may have.
func (d *DARTSSpace) edgePairs(node int) int {
	states, ops := node+2, len(d.ops)
	if d.repeat {
		edges := states * ops
		return edges * (edges + 1) / 2
	}
	return states * (states - 1) / 2 * ops * ops
}

// edgePair returns pair i of the node, 0 <= i < edgePairs(node).
func (d *DARTSSpace) edgePair(node, i int) [2]DARTSEdge {
	ops := len(d.ops)
	if d.repeat {
		hi, lo := unrankPair(i)
		return [2]DARTSEdge{{d.ops[lo%ops], lo / ops}, {d.ops[hi%ops], hi / ops}}
	}
	hi, lo := unrankPair(i / (ops * ops))
	return [2]DARTSEdge{{d.ops[i%ops], lo}, {d.ops[i/ops%ops], hi + 1}}
}

// unrankPair lists the pairs hi >= lo >= 0 by hi, then lo, and returns pair i.
func unrankPair(i int) (hi, lo int) {
	for i > hi {
		i -= hi + 1
		hi++
	}
	return hi, i
}

// Measure says over what Sample is uniform.
func (d *DARTSSpace) Measure() string {
	if d.repeat {
		return "uniform over distinct genotypes: each node's unordered pair of (operation, input) edges uniform, both may read the same state; loose ends concatenated"
	}
	return "uniform over distinct genotypes: each node's two different inputs uniform, an operation uniform for each; all nodes concatenated"
}

// Sample draws one genotype uniformly over the distinct ones.
func (d *DARTSSpace) Sample(s *rng.Stream) Arch {
	return d.assemble(d.sampleEdges(s), d.sampleEdges(s))
}

func (d *DARTSSpace) sampleEdges(s *rng.Stream) []DARTSEdge {
	var edges []DARTSEdge
	for node := range d.nodes {
		pair := d.edgePair(node, s.IntN(d.edgePairs(node)))
		edges = append(edges, pair[:]...)
	}
	return edges
}

// assemble adds the concatenations that the space prescribes to valid edges,
// which it keeps.
func (d *DARTSSpace) assemble(normal, reduce []DARTSEdge) *Genotype {
	return &Genotype{
		DARTSCell{Edges: normal, Concat: d.concat(normal, 0)},
		DARTSCell{Edges: reduce, Concat: d.concat(reduce, 2)},
	}
}

// concat lists the states that a cell with these edges concatenates, none
// below first.
func (d *DARTSSpace) concat(edges []DARTSEdge, first int) []int {
	if !d.repeat {
		first = 2
	}
	var states []int
	for s := first; s < d.nodes+2; s++ {
		read := slices.ContainsFunc(edges, func(e DARTSEdge) bool { return e.Input == s })
		if !d.repeat || !read {
			states = append(states, s)
		}
	}
	return states
}

// Parse reads a genotype: the JSON object that MarshalJSON writes, or a JSON
// string that holds it or a Python literal (see ParseGenotype).
func (d *DARTSSpace) Parse(raw json.RawMessage) (Arch, error) {
	text := string(raw)
	var quoted string
	if json.Unmarshal(raw, &quoted) == nil {
		text = quoted
	}
	g, err := ParseGenotype(text)
	if err != nil {
		return nil, err
	}
	if err := d.Contains(g); err != nil {
		return nil, err
	}
	return g, nil
}

// Contains returns nil if a is a genotype of this space, else why not.
func (d *DARTSSpace) Contains(a Arch) error {
	g, ok := a.(*Genotype)
	if !ok {
		return fmt.Errorf("%v is %w: it is no genotype of %v", a, ErrOutside, d)
	}
	if err := d.containsCell(g.normal, 0); err != nil {
		return fmt.Errorf("genotype %w %v: normal cell: %w", ErrOutside, d, err)
	}
	if err := d.containsCell(g.reduce, 2); err != nil {
		return fmt.Errorf("genotype %w %v: reduce cell: %w", ErrOutside, d, err)
	}
	return nil
}

func (d *DARTSSpace) containsCell(c DARTSCell, first int) error {
	if c.EdgesPerNode() != dartsPerNode {
		return fmt.Errorf("edges_per_node=%d, not %d", c.EdgesPerNode(), dartsPerNode)
	}
	if c.Nodes() != d.nodes {
		return fmt.Errorf("%d nodes (%d edges), not %d nodes (%d edges)", c.Nodes(), len(c.Edges), d.nodes, 2*d.nodes)
	}
	for i, e := range c.Edges {
		if !slices.Contains(d.ops, e.Op) {
			return fmt.Errorf("node %d: %s is not one of the space's operations %v", i/2, e.Op, d.ops)
		}
		if !d.repeat && i%2 == 1 && e.Input == c.Edges[i-1].Input {
			return fmt.Errorf("node %d reads state %d twice; its two inputs must differ", i/2, e.Input)
		}
	}
	if got, want := slices.Sorted(slices.Values(c.Concat)), d.concat(c.Edges, first); !slices.Equal(got, want) {
		return fmt.Errorf("concatenates states %v; in this space these edges give %v", got, want)
	}
	return nil
}

// Mutate changes one edge as regularised evolution does (Real et al., AAAI
// 2019): a cell, and input or operation, with equal chances, then a uniform
// edge and a uniform different value for it. Loose ends are concatenated anew.
// An architecture of another space is returned as it is.
func (d *DARTSSpace) Mutate(a Arch, s *rng.Stream) Arch {
	g, ok := a.(*Genotype)
	if !ok || d.Contains(g) != nil {
		return a
	}
	cell := s.IntN(2)
	changes := d.opChanges
	if s.IntN(2) == 0 {
		changes = d.inputChanges
	}
	edges := g.cells()[cell].Edges
	var options [][]DARTSEdge // of the edges that have any
	var at []int
	for i := range edges {
		if o := changes(edges, i); len(o) > 0 {
			options, at = append(options, o), append(at, i)
		}
	}
	pick := s.IntN(len(options))
	return d.withEdge(g, cell, at[pick], options[pick][s.IntN(len(options[pick]))])
}

// Neighbours returns the distinct genotypes with one input or one operation
// changed: normal cell first, by edge, operations before inputs. It is empty
// for an architecture of another space.
func (d *DARTSSpace) Neighbours(a Arch) []Arch {
	g, ok := a.(*Genotype)
	if !ok || d.Contains(g) != nil {
		return nil
	}
	// Two equal edges of a node give each change twice.
	seen := map[string]bool{g.Hash(): true}
	var found []Arch
	for cell, c := range g.cells() {
		for i := range c.Edges {
			for _, e := range append(d.opChanges(c.Edges, i), d.inputChanges(c.Edges, i)...) {
				n := d.withEdge(g, cell, i, e)
				if h := n.Hash(); !seen[h] {
					seen[h] = true
					found = append(found, n)
				}
			}
		}
	}
	return found
}

func (g *Genotype) cells() [2]DARTSCell { return [2]DARTSCell{g.normal, g.reduce} }

// withEdge is g with one edge of cell 0 (normal) or 1 (reduce) replaced.
func (d *DARTSSpace) withEdge(g *Genotype, cell, i int, e DARTSEdge) *Genotype {
	edges := [2][]DARTSEdge{slices.Clone(g.normal.Edges), slices.Clone(g.reduce.Edges)}
	edges[cell][i] = e
	return d.assemble(edges[0], edges[1])
}

// opChanges are the edges that may stand for edge i with another operation.
func (d *DARTSSpace) opChanges(edges []DARTSEdge, i int) []DARTSEdge {
	var out []DARTSEdge
	for _, op := range d.ops {
		if op != edges[i].Op {
			out = append(out, DARTSEdge{op, edges[i].Input})
		}
	}
	return out
}

// inputChanges are the edges that may stand for edge i with another input.
func (d *DARTSSpace) inputChanges(edges []DARTSEdge, i int) []DARTSEdge {
	var out []DARTSEdge
	for input := range i/2 + 2 {
		taken := !d.repeat && input == edges[i^1].Input
		if input != edges[i].Input && !taken {
			out = append(out, DARTSEdge{edges[i].Op, input})
		}
	}
	return out
}
