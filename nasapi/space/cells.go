package space

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"evalnas/nasapi/nearest"
	"evalnas/nasapi/rng"
)

const cellsName = "cells"

// The bounds of a CellSpace keep the ways to fill one node within 63 bits, for one draw.
const (
	MaxCellNodes      = 8
	MaxCellOperations = 64
)

// CellsOptions says which cells a CellSpace has.
type CellsOptions struct {
	Nodes      int      // intermediate nodes of a cell, 1 to MaxCellNodes
	Operations []string // of an edge, 1 to MaxCellOperations different ones
	PerNode    int      // edges into a node, 1 to Nodes+1; 0: 2
	Share      bool     // the reduction cell is the normal one
}

// CellSpace is the space of normal and reduction cells as DARTS derives them, with any
// operations: each node has PerNode edges from different earlier states, or one from each
// where there are fewer, and the cell concatenates its nodes. Its architectures are
// Genotypes. With 4 nodes, 2 edges a node and the 7 operations of DARTS they are those of
// the DARTSSpace with 4 nodes, under the same hashes.
//
// Operations that are no layers here are names: networks of them are not built here, but
// all else works.
//
// As a list of decisions (see flat) an architecture is, node by node of both cells, the set
// of states that it reads and then an operation for each, in the order of the states. Sets
// are numbered by their largest member, then the next.
type CellSpace struct {
	flat
	CellsOptions
	spec Spec
}

// ListedCells is a CellSpace that can be listed, the last decision fastest.
type ListedCells struct {
	*CellSpace
	n int
}

var (
	_ Mutator       = (*CellSpace)(nil)
	_ Neighbourhood = (*CellSpace)(nil)
	_ Sequences     = (*CellSpace)(nil)
	_ Finite        = (*ListedCells)(nil)
)

// Cells makes the space: a *ListedCells where it has at most MaxListed architectures, else
// a *CellSpace.
func Cells(o CellsOptions) (Space, error) {
	if o.PerNode == 0 {
		o.PerNode = dartsPerNode
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("cell_space: %w", err)
	}
	o.Operations = slices.Clone(o.Operations)
	c := &CellSpace{CellsOptions: o}
	c.spec = Spec{Name: cellsName, Nodes: o.Nodes, Operations: quoteList(o.Operations, ","), EdgesPerNode: o.PerNode, Share: o.Share}
	for range c.cells() {
		for node := range o.Nodes {
			c.sizes = append(c.sizes, binomial(node+2, c.edgesInto(node)))
			for range c.edgesInto(node) {
				c.sizes = append(c.sizes, len(o.Operations))
			}
		}
	}
	if n, ok := c.listed(); ok {
		return &ListedCells{c, n}, nil
	}
	return c, nil
}

func (o CellsOptions) check() error {
	switch {
	case o.Nodes < 1 || o.Nodes > MaxCellNodes:
		return fmt.Errorf("nodes=%d: a cell has 1 to %d intermediate nodes", o.Nodes, MaxCellNodes)
	case o.PerNode < 1 || o.PerNode > o.Nodes+1:
		return fmt.Errorf("edges_per_node=%d: with nodes=%d it is 1 to %d, since the last node has %d earlier states to read (the two inputs and the nodes before it), each once at most",
			o.PerNode, o.Nodes, o.Nodes+1, o.Nodes+1)
	case len(o.Operations) == 0:
		return fmt.Errorf("ops is empty: give one operation at least, such as %s, or names that a trainer of your own knows", strings.Join(dartsSearchOps, ", "))
	case len(o.Operations) > MaxCellOperations:
		return fmt.Errorf("ops has %d operations: at most %d are allowed", len(o.Operations), MaxCellOperations)
	}
	for i, op := range o.Operations {
		if err := checkOpName(op); err != nil {
			return fmt.Errorf("ops: %w", err)
		}
		if slices.Contains(o.Operations[:i], op) {
			return fmt.Errorf("ops has %q twice: give each operation once", op)
		}
	}
	return nil
}

// opName has nothing that a literal would have to escape, nor the blanks that part words
// in the canonical form of a genotype.
var opName = regexp.MustCompile(`^[A-Za-z0-9_.+:/@-]{1,64}$`)

// checkOpName takes any name of an operation, also of one that is no layer here.
func checkOpName(op string) error {
	if !opName.MatchString(op) {
		return fmt.Errorf("operation %q: a name is 1 to 64 letters, digits and characters of _ . + : / @ -", abbreviate(op))
	}
	return nil
}

func quoteList(texts []string, comma string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = quoteJSON(t)
	}
	return "[" + strings.Join(quoted, comma) + "]"
}

func parseOperations(text string) ([]string, error) {
	var ops []string
	if len(text) > maxChoices {
		return nil, fmt.Errorf("cell_space: a list of operations of %d bytes: at most %d are read", len(text), maxChoices)
	}
	if err := json.Unmarshal([]byte(text), &ops); err != nil {
		return nil, fmt.Errorf(`cell_space: ops is %q, not such as ["sep_conv_3x3", "skip_connect"]: %w`, abbreviate(text), err)
	}
	return ops, nil
}

var cellsText = regexp.MustCompile(`^cell_space\(nodes=(\d{1,3}), ops=(\[.*\]), edges_per_node=(\d{1,3})(, share=True)?\)$`)

// cellsOfText reads what String wrote.
func cellsOfText(text string) (Space, error) {
	m := cellsText.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf(`%q is no space of cells, such as cell_space(nodes=4, ops=["sep_conv_3x3", "skip_connect"], edges_per_node=2)`, abbreviate(text))
	}
	ops, err := parseOperations(m[2])
	if err != nil {
		return nil, err
	}
	nodes, _ := strconv.Atoi(m[1]) // three digits
	perNode, _ := strconv.Atoi(m[3])
	if perNode == 0 {
		perNode = -1 // which is refused: 0 is the default of CellsOptions alone
	}
	return Cells(CellsOptions{Nodes: nodes, Operations: ops, PerNode: perNode, Share: m[4] != ""})
}

// CellsOf is the CellSpace that a space is.
func CellsOf(s Space) (*CellSpace, bool) {
	switch s := s.(type) {
	case *CellSpace:
		return s, true
	case *ListedCells:
		return s.CellSpace, true
	}
	return nil, false
}

// SpaceOf is a space for a genotype that was given by hand: the form of the DARTS space
// with its number of nodes, else the CellSpace of its size with the operations of DARTS
// and its own.
func SpaceOf(g *Genotype) (Space, error) {
	if d, err := DARTS(g.normal.Nodes()); err == nil && g.Space() == dartsName {
		return d, nil
	}
	ops := slices.Clone(dartsSearchOps)
	for _, c := range g.cells() {
		for _, e := range c.Edges {
			if !slices.Contains(ops, e.Op) {
				ops = append(ops, e.Op)
			}
		}
	}
	return Cells(CellsOptions{Nodes: g.normal.Nodes(), Operations: ops, PerNode: g.normal.EdgesPerNode()})
}

// cells is how many cells are decided.
func (c *CellSpace) cells() int {
	if c.Share {
		return 1
	}
	return 2
}

func (c *CellSpace) edgesInto(node int) int { return min(c.PerNode, node+2) }

// binomial is n over k, small.
func binomial(n, k int) int {
	out := 1
	for i := range k {
		out = out * (n - i) / (i + 1)
	}
	return out
}

// rankSet is the number of an ascending set, by its largest member, then the next.
func rankSet(set []int) int {
	rank := 0
	for i, v := range set {
		if v > i { // else n over k is 0
			rank += binomial(v, i+1)
		}
	}
	return rank
}

// unrankSet is the set of k members of a number.
func unrankSet(rank, k int) []int {
	set := make([]int, k)
	for i := k; i > 0; i-- {
		v := i - 1
		for binomial(v+1, i) <= rank {
			v++
		}
		if v >= i {
			rank -= binomial(v, i)
		}
		set[i-1] = v
	}
	return set
}

// Spec says how to build the space again.
func (c *CellSpace) Spec() Spec { return c.spec }

func (c *CellSpace) String() string {
	share := ""
	if c.Share {
		share = ", share=True"
	}
	return fmt.Sprintf("cell_space(nodes=%d, ops=%s, edges_per_node=%d%s)", c.Nodes, quoteList(c.CellsOptions.Operations, ", "), c.PerNode, share)
}

// Size is, for a cell, the product over its nodes of the sets of states that a node can
// read times the operations to the power of its edges; squared where there are two cells.
func (c *CellSpace) Size() *big.Int { return c.size() }

// Measure says over what Sample is uniform.
func (c *CellSpace) Measure() string {
	cells := "all nodes concatenated"
	if c.Share {
		cells += "; one cell for both"
	}
	return "uniform over distinct architectures: each node's set of different inputs uniform, an operation uniform for each; " + cells
}

// Sample draws one architecture uniformly. A node is one draw, as in DARTSSpace: a stream
// gives both the same architectures where they have the same.
func (c *CellSpace) Sample(s *rng.Stream) Arch {
	var digits []uint32
	ops := len(c.CellsOptions.Operations)
	for range c.cells() {
		for node := range c.Nodes {
			k := c.edgesInto(node)
			ways := 1
			for range k {
				ways *= ops
			}
			i := s.IntN(binomial(node+2, k) * ways)
			digits = append(digits, uint32(i/ways))
			for range k {
				digits = append(digits, uint32(i%ops))
				i /= ops
			}
		}
	}
	return c.arch(digits)
}

func (c *CellSpace) arch(digits []uint32) Arch {
	var cells [2]DARTSCell
	for i := range c.cells() {
		cells[i], digits = c.cell(digits)
	}
	if c.Share {
		cells[1] = cells[0]
	}
	return &Genotype{cells[0], cells[1]}
}

// cell takes the digits of one cell.
func (c *CellSpace) cell(digits []uint32) (DARTSCell, []uint32) {
	var edges []DARTSEdge
	for node := range c.Nodes {
		k := c.edgesInto(node)
		for i, input := range unrankSet(int(digits[0]), k) {
			edges = append(edges, DARTSEdge{c.CellsOptions.Operations[digits[1+i]], input})
		}
		digits = digits[1+k:]
	}
	return c.assemble(edges), digits
}

// assemble adds what the space prescribes to edges, which it keeps.
func (c *CellSpace) assemble(edges []DARTSEdge) DARTSCell {
	cell := DARTSCell{Edges: edges}
	if c.PerNode != dartsPerNode {
		cell.PerNode = c.PerNode
	}
	for node := range c.Nodes {
		cell.Concat = append(cell.Concat, node+2)
	}
	return cell
}

// read finds the digits of an architecture of the space.
func (c *CellSpace) read(a Arch) ([]uint32, error) {
	if err := c.Contains(a); err != nil {
		return nil, err
	}
	var digits []uint32
	cells := a.(*Genotype).cells()
	for _, cell := range cells[:c.cells()] {
		for node := range c.Nodes {
			from, to := cell.EdgesOf(node)
			edges := sortedByInput(cell.Edges[from:to])
			var inputs []int
			for _, e := range edges {
				inputs = append(inputs, e.Input)
			}
			digits = append(digits, uint32(rankSet(inputs)))
			for _, e := range edges {
				digits = append(digits, uint32(slices.Index(c.CellsOptions.Operations, e.Op)))
			}
		}
	}
	return digits, nil
}

func sortedByInput(edges []DARTSEdge) []DARTSEdge {
	return slices.SortedStableFunc(slices.Values(edges), func(e, f DARTSEdge) int { return e.Input - f.Input })
}

// Parse reads a genotype: the JSON object that MarshalJSON writes, or a JSON string that
// holds it or a Python literal. Names of operations are those of the space.
func (c *CellSpace) Parse(raw json.RawMessage) (Arch, error) {
	text := string(raw)
	var quoted string
	if json.Unmarshal(raw, &quoted) == nil {
		text = quoted
	}
	if len(text) > literalMaxBytes {
		return nil, fmt.Errorf("genotype: the text has %d bytes; at most %d are read", len(text), literalMaxBytes)
	}
	g, err := parseGenotype(text, c.checkOp)
	if err != nil {
		return nil, err
	}
	if err := c.Contains(g); err != nil {
		return nil, err
	}
	return g, nil
}

// checkOp wants an operation of the space.
func (c *CellSpace) checkOp(op string) error {
	ops := c.CellsOptions.Operations
	if slices.Contains(ops, op) {
		return nil
	}
	return fmt.Errorf("operation %q is %w%s; allowed are %s", abbreviate(op), ErrOutside, hint(op, ops), strings.Join(ops, ", "))
}

// Contains returns nil if a is in the space, else why not.
func (c *CellSpace) Contains(a Arch) error {
	g, ok := a.(*Genotype)
	if !ok {
		return fmt.Errorf("%v is %w: it is no genotype of %v", a, ErrOutside, c)
	}
	for i, cell := range g.cells() {
		if err := c.containsCell(cell); err != nil {
			return fmt.Errorf("genotype %w %v: %s cell: %w", ErrOutside, c, []string{"normal", "reduce"}[i], err)
		}
	}
	if c.Share && !c.sameCells(g) {
		return fmt.Errorf("genotype %w %v: its two cells differ", ErrOutside, c)
	}
	return nil
}

func (c *CellSpace) sameCells(g *Genotype) bool {
	for node := range c.Nodes {
		from, to := g.normal.EdgesOf(node)
		if !slices.Equal(sortedByInput(g.normal.Edges[from:to]), sortedByInput(g.reduce.Edges[from:to])) {
			return false
		}
	}
	return true
}

func (c *CellSpace) containsCell(cell DARTSCell) error {
	if cell.EdgesPerNode() != c.PerNode {
		return fmt.Errorf("edges_per_node=%d, not %d", cell.EdgesPerNode(), c.PerNode)
	}
	if cell.Nodes() != c.Nodes {
		return fmt.Errorf("%s, not %d", counted(cell.Nodes(), "node"), c.Nodes)
	}
	for node := range c.Nodes {
		from, to := cell.EdgesOf(node)
		for i := from; i < to; i++ {
			e := cell.Edges[i]
			if err := c.checkOp(e.Op); err != nil {
				return fmt.Errorf("node %d: %w", node, err)
			}
			if slices.ContainsFunc(cell.Edges[from:i], func(f DARTSEdge) bool { return f.Input == e.Input }) {
				return fmt.Errorf("node %d reads state %d twice; its inputs must differ", node, e.Input)
			}
		}
	}
	want := c.assemble(nil).Concat
	if got := slices.Sorted(slices.Values(cell.Concat)); !slices.Equal(got, want) {
		return fmt.Errorf("concatenates states %v; in this space it is all nodes, %v", got, want)
	}
	return nil
}

// change is one edge that may stand for another of the same node.
type change struct {
	cell, edge int
	to         DARTSEdge
}

// changes lists what one edge of a cell may become: with other operations, and with other
// inputs. Those of a shared cell are listed once.
func (c *CellSpace) changes(g *Genotype, cell, edge int) (ops, inputs []change) {
	edges := g.cells()[cell]
	e := edges.Edges[edge]
	for _, op := range c.CellsOptions.Operations {
		if op != e.Op {
			ops = append(ops, change{cell, edge, DARTSEdge{op, e.Input}})
		}
	}
	node := edges.NodeOf(edge)
	from, to := edges.EdgesOf(node)
	for input := range node + 2 {
		if !slices.ContainsFunc(edges.Edges[from:to], func(f DARTSEdge) bool { return f.Input == input }) {
			inputs = append(inputs, change{cell, edge, DARTSEdge{e.Op, input}})
		}
	}
	return ops, inputs
}

// apply makes the architecture with a change. Edges come in the order of their inputs.
func (c *CellSpace) apply(g *Genotype, ch change) *Genotype {
	cells := g.cells()
	edges := slices.Clone(cells[ch.cell].Edges)
	edges[ch.edge] = ch.to
	from, to := cells[ch.cell].EdgesOf(cells[ch.cell].NodeOf(ch.edge))
	copy(edges[from:to], sortedByInput(edges[from:to]))
	cells[ch.cell] = c.assemble(edges)
	if c.Share {
		cells[1] = cells[0]
	}
	return &Genotype{cells[0], cells[1]}
}

// Mutate changes one edge as regularised evolution does: a cell, and input or operation,
// with equal chances, then an edge that has another value, uniform, and the value, uniform.
// Where a space leaves one of the two nothing to change the other is changed, and a space
// of one architecture gives it back. So is an architecture of another space.
func (c *CellSpace) Mutate(a Arch, s *rng.Stream) Arch {
	g, ok := a.(*Genotype)
	if !ok || c.Contains(g) != nil {
		return a
	}
	cell := s.IntN(c.cells())
	var byOp, byInput [][]change // of the edges that have any
	for edge := range g.cells()[cell].Edges {
		ops, inputs := c.changes(g, cell, edge)
		if len(ops) > 0 {
			byOp = append(byOp, ops)
		}
		if len(inputs) > 0 {
			byInput = append(byInput, inputs)
		}
	}
	first, second := byOp, byInput
	if s.IntN(2) == 0 {
		first, second = byInput, byOp
	}
	if len(first) == 0 {
		first = second
	}
	if len(first) == 0 {
		return g
	}
	options := first[s.IntN(len(first))]
	return c.apply(g, options[s.IntN(len(options))])
}

// Neighbours are the architectures with one operation or one input of an edge changed:
// normal cell first, by edge, operations before inputs. A shared cell changes as one. It
// is empty for an architecture of another space.
func (c *CellSpace) Neighbours(a Arch) []Arch {
	g, ok := a.(*Genotype)
	if !ok || c.Contains(g) != nil {
		return nil
	}
	var found []Arch
	for cell := range c.cells() {
		for edge := range g.cells()[cell].Edges {
			ops, inputs := c.changes(g, cell, edge)
			for _, ch := range append(ops, inputs...) {
				found = append(found, c.apply(g, ch))
			}
		}
	}
	return found
}

// Choices lists the decisions of the encoding: node by node the set of states that it
// reads, then an operation for each of them. Every sequence is an architecture.
func (c *CellSpace) Choices() []Choice {
	var list []Choice
	for cell := range c.cells() {
		first := len(c.CellsOptions.Operations)
		for node := range c.Nodes {
			k, number := c.edgesInto(node), cell*c.Nodes+node
			sets := binomial(node+2, k)
			list = append(list, Choice{Node: number, N: sets, First: first})
			for range k {
				list = append(list, Choice{Node: number, N: len(c.CellsOptions.Operations)})
			}
			first += sets
		}
	}
	return list
}

// Operations names the options of all decisions: the operations of an edge, then for each
// node the sets of states that it may read, "node 1 reads 0 2".
func (c *CellSpace) Operations() []string {
	names := slices.Clone(c.CellsOptions.Operations)
	for node := range c.Nodes {
		k := c.edgesInto(node)
		for rank := range binomial(node+2, k) {
			names = append(names, fmt.Sprintf("node %d reads %s", node, strings.Trim(fmt.Sprint(unrankSet(rank, k)), "[]")))
		}
	}
	return names
}

// Decode turns a sequence of decisions into its architecture.
func (c *CellSpace) Decode(seq []int) (Arch, error) {
	digits, err := c.fromSequence(seq)
	if err != nil {
		return nil, err
	}
	return c.arch(digits), nil
}

// Encode is the inverse of Decode, the order of a node's edges apart.
func (c *CellSpace) Encode(a Arch) ([]int, error) {
	digits, err := c.read(a)
	if err != nil {
		return nil, err
	}
	return toSequence(digits), nil
}

// Reachable is Size: every architecture has one sequence.
func (c *CellSpace) Reachable() *big.Int { return c.size() }

// CheckNetwork says which operation keeps networks from being built here, nil if none does.
func (c *CellSpace) CheckNetwork() error {
	for _, op := range c.CellsOptions.Operations {
		if err := checkNetworkOp(op); err != nil {
			return err
		}
	}
	return nil
}

// CheckNetwork says which operation keeps the network from being built here, nil if none
// does.
func (g *Genotype) CheckNetwork() error {
	if op := g.Unbuilt(); op != "" {
		return checkNetworkOp(op)
	}
	return nil
}

func checkNetworkOp(op string) error {
	known := NetworkOperations()
	if slices.Contains(known, op) {
		return nil
	}
	meant := ""
	if near := nearest.Name(op, known); near != "" {
		meant = fmt.Sprintf(" (did you mean %s?)", near)
	}
	if op == "none" {
		meant = " (an edge that is left out is one less of edges_per_node)"
	}
	return fmt.Errorf("no network with the operation %q is built here%s: known are %s; make the space of these, or judge its architectures by values of your own, such as a table's",
		op, meant, strings.Join(known, ", "))
}

// Len is the number of architectures.
func (l *ListedCells) Len() int { return l.n }

// At counts through the decisions, the last one fastest. It panics unless 0 <= i < Len().
func (l *ListedCells) At(i int) Arch {
	if i < 0 || i >= l.n {
		panic(fmt.Sprintf("space: architecture %d of %d", i, l.n))
	}
	return l.arch(l.digits(i))
}

// Index is the inverse of At.
func (l *ListedCells) Index(a Arch) (i int, ok bool) {
	digits, err := l.read(a)
	if err != nil {
		return 0, false
	}
	return l.index(digits), true
}

// cellForm is a space of the 4-node form of DARTS or of a CellSpace as options.
func cellForm(s Space) (CellsOptions, bool) {
	if d, ok := s.(*DARTSSpace); ok && !d.repeat {
		return CellsOptions{Nodes: d.nodes, Operations: d.ops, PerNode: dartsPerNode}, true
	}
	if c, ok := CellsOf(s); ok {
		return c.CellsOptions, true
	}
	return CellsOptions{}, false
}

// includes says whether every architecture of part is one of these.
func (o CellsOptions) includes(part CellsOptions) bool {
	if o.Nodes != part.Nodes || o.PerNode != part.PerNode || o.Share && !part.Share {
		return false
	}
	for _, op := range part.Operations {
		if !slices.Contains(o.Operations, op) {
			return false
		}
	}
	return true
}
