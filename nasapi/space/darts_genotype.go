package space

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"evalnas/nasapi/nearest"
	"fmt"
	"slices"
	"strings"
)

// dartsSearchOps are the operations that a derived cell of the DARTS space may
// hold, in the index order of the search network (which has "none" before them).
var dartsSearchOps = []string{
	"max_pool_3x3", "avg_pool_3x3", "skip_connect",
	"sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
}

// SearchOperations are the operations of an edge of the search network, by index;
// "none" is among them, which no derived cell holds.
func SearchOperations() []string { return append([]string{"none"}, dartsSearchOps...) }

// dartsOldOps occur in the published NASNet and AmoebaNet cells only.
var dartsOldOps = []string{"sep_conv_7x7", "conv_7x1_1x7"}

// dartsMaxNodes bounds what is read from outside; published cells have 4 or 5.
const dartsMaxNodes = 32

// dartsPerNode is how many edges lead into a node of published cells.
const dartsPerNode = 2

// DARTSEdge is one operation applied to one earlier state of a cell. States 0
// and 1 are the outputs of the two previous cells, state i+2 is node i. In
// JSON it is the pair ["sep_conv_3x3", 1].
type DARTSEdge struct {
	Op    string
	Input int
}

// DARTSCell is a cell: two edges a node, or another number of them, whose results
// are added, and the states whose channels are concatenated into the cell's output.
type DARTSCell struct {
	Edges  []DARTSEdge // node by node: see EdgesOf
	Concat []int       // states
	// PerNode is how many edges lead into a node that has so many earlier states; into
	// others as many as these. 0 is the 2 of DARTS.
	PerNode int
}

// EdgesPerNode is PerNode with the default filled in.
func (c DARTSCell) EdgesPerNode() int {
	if c.PerNode == 0 {
		return dartsPerNode
	}
	return c.PerNode
}

// Nodes is the number of intermediate nodes. Edges that make no whole node count as none.
func (c DARTSCell) Nodes() int {
	node := 0
	for firstEdge(node+1, c.EdgesPerNode()) <= len(c.Edges) {
		node++
	}
	return node
}

// EdgesOf says which edges lead into a node: those from one number up to, without, another.
func (c DARTSCell) EdgesOf(node int) (from, to int) {
	return firstEdge(node, c.EdgesPerNode()), firstEdge(node+1, c.EdgesPerNode())
}

// NodeOf is the node that an edge leads into.
func (c DARTSCell) NodeOf(edge int) int {
	node := 0
	for firstEdge(node+1, c.EdgesPerNode()) <= edge {
		node++
	}
	return node
}

// firstEdge is the number of edges into the nodes before one.
func firstEdge(node, perNode int) int {
	// Node i has i+2 earlier states: the first perNode-2 nodes have fewer than perNode.
	short := min(node, max(0, perNode-2))
	return short*(short+3)/2 + (node-short)*perNode
}

func (c DARTSCell) clone() DARTSCell {
	out := DARTSCell{Edges: slices.Clone(c.Edges), Concat: slices.Clone(c.Concat), PerNode: c.PerNode}
	if out.PerNode == dartsPerNode {
		out.PerNode = 0 // one form of each cell
	}
	return out
}

// Genotype is an architecture of the DARTS family: the cell that keeps the
// resolution and the cell that halves it, from which the network of 20 cells
// is built (Liu et al., "DARTS", ICLR 2019). Every Genotype is well-formed;
// whether it is in a space is for DARTSSpace.Contains to say, so that cells
// from elsewhere (NASNet, AmoebaNet) can be read and counted too.
//
// An architecture of CellSpace is a Genotype too: it may have another number of edges a
// node, and operations that are names alone, of which no network is built here.
type Genotype struct {
	normal, reduce DARTSCell
}

// NewGenotype checks and copies the two cells. The error names the cell, the
// node and what would be allowed there.
func NewGenotype(normal, reduce DARTSCell) (*Genotype, error) {
	return newGenotype(normal, reduce, checkDARTSOp)
}

// newGenotype takes the operations that checkOp allows.
func newGenotype(normal, reduce DARTSCell, checkOp func(string) error) (*Genotype, error) {
	// The inputs of a reduction cell have twice the resolution of its nodes,
	// so they cannot be concatenated with them.
	if err := normal.check("normal", 0, checkOp); err != nil {
		return nil, err
	}
	if err := reduce.check("reduce", 2, checkOp); err != nil {
		return nil, err
	}
	if normal.EdgesPerNode() != reduce.EdgesPerNode() {
		return nil, fmt.Errorf("genotype: normal has %d edges a node and reduce %d: they must agree", normal.EdgesPerNode(), reduce.EdgesPerNode())
	}
	return &Genotype{normal.clone(), reduce.clone()}, nil
}

// Normal is the cell that keeps the resolution. Its slices must not be changed.
func (g *Genotype) Normal() DARTSCell { return g.normal }

// Reduce is the cell that halves the resolution. Its slices must not be changed.
func (g *Genotype) Reduce() DARTSCell { return g.reduce }

func (c DARTSCell) check(name string, firstConcat int, checkOp func(string) error) error {
	if c.EdgesPerNode() < 1 || c.EdgesPerNode() > dartsMaxNodes+1 {
		return fmt.Errorf("genotype: %s has edges_per_node=%d; give 1 to %d", name, c.PerNode, dartsMaxNodes+1)
	}
	if n := len(c.Edges); n == 0 || n > firstEdge(dartsMaxNodes, c.EdgesPerNode()) || firstEdge(c.Nodes(), c.EdgesPerNode()) != n {
		if c.EdgesPerNode() == dartsPerNode {
			return fmt.Errorf("genotype: %s has %d edges; a cell has two for each of its 1 to %d nodes", name, n, dartsMaxNodes)
		}
		return fmt.Errorf("genotype: %s has %d edges; with edges_per_node=%d each of its 1 to %d nodes has %d, or one from each earlier state where there are fewer",
			name, n, c.EdgesPerNode(), dartsMaxNodes, c.EdgesPerNode())
	}
	for node := range c.Nodes() {
		from, to := c.EdgesOf(node)
		for i := from; i < to; i++ {
			if err := c.Edges[i].check(node, checkOp); err != nil {
				return fmt.Errorf("genotype: %s edge %d (node %d): %w", name, i, node, err)
			}
		}
	}
	if err := c.checkConcat(firstConcat); err != nil {
		return fmt.Errorf("genotype: %s_concat: %w", name, err)
	}
	return nil
}

func (e DARTSEdge) check(node int, checkOp func(string) error) error {
	if err := checkOp(e.Op); err != nil {
		return err
	}
	if e.Input < 0 || e.Input > node+1 {
		return fmt.Errorf("input %d is not an earlier state; node %d may read states 0 to %d (0 and 1 are the cell's inputs, state i+2 is node i)",
			e.Input, node, node+1)
	}
	return nil
}

// NetworkOperations are those that networks are built of here. They must not be changed.
func NetworkOperations() []string { return networkOps }

var networkOps = slices.Concat(dartsSearchOps, dartsOldOps)

func checkDARTSOp(op string) error {
	known := NetworkOperations()
	if slices.Contains(known, op) {
		return nil
	}
	list := strings.Join(known, ", ")
	if op == "none" {
		return fmt.Errorf("operation \"none\" exists in the search network only, a derived cell leaves the edge out; allowed are %s", list)
	}
	if near := nearest.Name(op, known); near != "" {
		return fmt.Errorf("unknown operation %.40q (did you mean %s?); allowed are %s", op, near, list)
	}
	return fmt.Errorf("unknown operation %.40q; allowed are %s", op, list)
}

func (c DARTSCell) checkConcat(first int) error {
	last := c.Nodes() + 1
	if len(c.Concat) == 0 {
		return fmt.Errorf("no states; list at least one of states %d to %d", first, last)
	}
	seen := make(map[int]bool)
	for _, s := range c.Concat {
		switch {
		case s >= 0 && s < first:
			return fmt.Errorf("state %d is an input of the cell, which has twice the resolution of a reduction cell's nodes; allowed are states %d to %d", s, first, last)
		case s < first || s > last:
			return fmt.Errorf("state %d does not exist; allowed are states %d to %d", s, first, last)
		case seen[s]:
			return fmt.Errorf("state %d is listed twice", s)
		}
		seen[s] = true
	}
	return nil
}

// Space is "darts", or "cells" where the cells are none of the DARTS notation: with another
// number of edges a node, or operations that are no layers here.
func (g *Genotype) Space() string {
	if g.normal.EdgesPerNode() != dartsPerNode || g.Unbuilt() != "" {
		return cellsName
	}
	return dartsName
}

// Unbuilt is an operation of which no network is built here, "" where there is none.
func (g *Genotype) Unbuilt() string {
	known := NetworkOperations()
	for _, c := range g.cells() {
		for _, e := range c.Edges {
			if !slices.Contains(known, e.Op) {
				return e.Op
			}
		}
	}
	return ""
}

// Hash is the first 128 bits, in hexadecimal, of the SHA-256 of the genotype
// in a canonical form: the two edges of each node in order of input and
// operation, the concatenated states ascending. Both orders leave the network
// as it is (sums commute; permuted channels are a renaming of the next cell's
// weights). Node numbers are kept: cells that differ by a renumbering of
// their nodes count as different, as they do in the usual size of the space.
//
// An architecture has one hash in every space: that of cell_space(nodes=4, ...) with the
// operations of DARTS and two edges a node is the one that darts_space(nodes=4) gives it.
func (g *Genotype) Hash() string {
	var b strings.Builder
	if g.Space() == dartsName {
		b.WriteString("evalnas/darts/1\n")
	} else {
		fmt.Fprintf(&b, "evalnas/cells/1\n%d\n", g.normal.EdgesPerNode())
	}
	g.normal.writeCanonical(&b)
	g.reduce.writeCanonical(&b)
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}

func (c DARTSCell) writeCanonical(b *strings.Builder) {
	for node := range c.Nodes() {
		from, to := c.EdgesOf(node)
		edges := slices.SortedFunc(slices.Values(c.Edges[from:to]), func(e, f DARTSEdge) int {
			return cmp.Or(cmp.Compare(e.Input, f.Input), strings.Compare(e.Op, f.Op))
		})
		for i, e := range edges {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(b, "%s %d", e.Op, e.Input) // no operation has blanks
		}
		b.WriteByte('\n')
	}
	fmt.Fprintln(b, slices.Sorted(slices.Values(c.Concat)))
}

// String is a one-line description; Literal has the whole genotype.
func (g *Genotype) String() string {
	if g.Space() == cellsName {
		text := fmt.Sprintf("cells %.8s (%s, %s a node", g.Hash(), counted(g.normal.Nodes(), "node"), counted(g.normal.EdgesPerNode(), "edge"))
		if p := g.Params(); p > 0 {
			text += fmt.Sprintf(", %.2f M parameters", float64(p)/1e6)
		}
		return text + ")"
	}
	return fmt.Sprintf("darts genotype %.8s (%d nodes, %.2f M parameters)",
		g.Hash(), g.normal.Nodes(), float64(g.Params())/1e6)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Literal is the genotype as Python code in the notation of the DARTS code
// base, which ParseGenotype reads again. Where a node has not two edges it ends in
// edges_per_node, a field of ours.
func (g *Genotype) Literal() string {
	per := ""
	if k := g.normal.EdgesPerNode(); k != dartsPerNode {
		per = fmt.Sprintf(", %s=%d", perNodeKey, k)
	}
	return fmt.Sprintf("Genotype(normal=%s, normal_concat=%s, reduce=%s, reduce_concat=%s%s)",
		literalEdges(g.normal.Edges), literalInts(g.normal.Concat),
		literalEdges(g.reduce.Edges), literalInts(g.reduce.Concat), per)
}

func literalEdges(edges []DARTSEdge) string {
	parts := make([]string, len(edges))
	for i, e := range edges {
		parts[i] = fmt.Sprintf("('%s', %d)", e.Op, e.Input)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func literalInts(ints []int) string {
	return "[" + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(ints)), ", "), "[]") + "]"
}

// genotypeKeys are the fields of a genotype, in the order of the DARTS code base.
var genotypeKeys = []string{"normal", "normal_concat", "reduce", "reduce_concat"}

// perNodeKey is the field of genotypes whose nodes have not two edges.
const perNodeKey = "edges_per_node"

// MarshalJSON writes {"normal": [["sep_conv_3x3", 1], ...], "normal_concat":
// [2, ...], "reduce": ..., "reduce_concat": ...}, and "edges_per_node" unless it is 2.
func (g *Genotype) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Normal       []DARTSEdge `json:"normal"`
		NormalConcat []int       `json:"normal_concat"`
		Reduce       []DARTSEdge `json:"reduce"`
		ReduceConcat []int       `json:"reduce_concat"`
		PerNode      int         `json:"edges_per_node,omitempty"` // kept as 0 where it is 2
	}{g.normal.Edges, g.normal.Concat, g.reduce.Edges, g.reduce.Concat, g.normal.PerNode})
}

// MarshalJSON writes the pair ["op", input].
func (e DARTSEdge) MarshalJSON() ([]byte, error) { return json.Marshal([]any{e.Op, e.Input}) }

// UnmarshalJSON reads the pair ["op", input].
func (e *DARTSEdge) UnmarshalJSON(raw []byte) error {
	var pair []json.RawMessage
	if json.Unmarshal(raw, &pair) != nil || len(pair) != 2 ||
		json.Unmarshal(pair[0], &e.Op) != nil || json.Unmarshal(pair[1], &e.Input) != nil {
		return fmt.Errorf("%.40s is not an edge; write a pair such as [\"sep_conv_3x3\", 1]", raw)
	}
	return nil
}

// ParseGenotype reads a genotype in JSON (as MarshalJSON writes it) or as the
// Python literal of the DARTS code base,
//
//	Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), reduce=..., reduce_concat=...)
//
// with or without an assignment before it. Every error says what was found and
// what is allowed.
func ParseGenotype(text string) (*Genotype, error) { return parseGenotype(text, checkDARTSOp) }

// parseGenotype takes the operations that checkOp allows.
func parseGenotype(text string, checkOp func(string) error) (*Genotype, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, fmt.Errorf("genotype: nothing given; write JSON or Genotype(normal=[...], ...)")
	case text[0] == '{':
		return genotypeFromJSON([]byte(text), checkOp)
	default:
		return parseGenotypeLiteral(text, checkOp)
	}
}

func genotypeFromJSON(raw []byte, checkOp func(string) error) (*Genotype, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("genotype: not JSON: %w", err)
	}
	given := make([]string, 0, len(fields))
	for k := range fields {
		given = append(given, k)
	}
	slices.Sort(given)
	if err := checkGenotypeKeys(given); err != nil {
		return nil, err
	}
	var normal, reduce DARTSCell
	for i, into := range []any{&normal.Edges, &normal.Concat, &reduce.Edges, &reduce.Concat} {
		key := genotypeKeys[i]
		if err := json.Unmarshal(fields[key], into); err != nil {
			return nil, fmt.Errorf("genotype: %s: %w", key, err)
		}
	}
	if given, ok := fields[perNodeKey]; ok {
		if err := json.Unmarshal(given, &normal.PerNode); err != nil || normal.PerNode < 1 {
			return nil, perNodeError(string(given))
		}
		reduce.PerNode = normal.PerNode
	}
	return newGenotype(normal, reduce, checkOp)
}

func perNodeError(given string) error {
	return fmt.Errorf("genotype: %s is %s; give a number of edges, 1 to %d", perNodeKey, abbreviate(given), dartsMaxNodes+1)
}

// checkGenotypeKeys wants each of genotypeKeys exactly once, and perNodeKey once at most.
func checkGenotypeKeys(given []string) error {
	all := strings.Join(genotypeKeys, ", ")
	seen := make(map[string]bool)
	for _, k := range given {
		if !slices.Contains(genotypeKeys, k) && k != perNodeKey {
			hint := ""
			if near := nearest.Name(k, append([]string{perNodeKey}, genotypeKeys...)); near != "" {
				hint = " (did you mean " + near + "?)"
			}
			return fmt.Errorf("genotype: unknown field %.40q%s; a genotype has %s", k, hint, all)
		}
		if seen[k] {
			return fmt.Errorf("genotype: %s is given twice", k)
		}
		seen[k] = true
	}
	for _, k := range genotypeKeys {
		if !seen[k] {
			return fmt.Errorf("genotype: %s is missing; a genotype has %s", k, all)
		}
	}
	return nil
}
