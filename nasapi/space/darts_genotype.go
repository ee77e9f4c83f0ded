package space

import (
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

// DARTSEdge is one operation applied to one earlier state of a cell. States 0
// and 1 are the outputs of the two previous cells, state i+2 is node i. In
// JSON it is the pair ["sep_conv_3x3", 1].
type DARTSEdge struct {
	Op    string
	Input int
}

// DARTSCell is a cell: two edges a node, whose results are added, and the
// states whose channels are concatenated into the cell's output.
type DARTSCell struct {
	Edges  []DARTSEdge // edges 2i and 2i+1 belong to node i
	Concat []int       // states
}

// Nodes is the number of intermediate nodes.
func (c DARTSCell) Nodes() int { return len(c.Edges) / 2 }

func (c DARTSCell) clone() DARTSCell {
	return DARTSCell{slices.Clone(c.Edges), slices.Clone(c.Concat)}
}

// Genotype is an architecture of the DARTS family: the cell that keeps the
// resolution and the cell that halves it, from which the network of 20 cells
// is built (Liu et al., "DARTS", ICLR 2019). Every Genotype is well-formed;
// whether it is in a space is for DARTSSpace.Contains to say, so that cells
// from elsewhere (NASNet, AmoebaNet) can be read and counted too.
type Genotype struct {
	normal, reduce DARTSCell
}

// NewGenotype checks and copies the two cells. The error names the cell, the
// node and what would be allowed there.
func NewGenotype(normal, reduce DARTSCell) (*Genotype, error) {
	// The inputs of a reduction cell have twice the resolution of its nodes,
	// so they cannot be concatenated with them.
	if err := normal.check("normal", 0); err != nil {
		return nil, err
	}
	if err := reduce.check("reduce", 2); err != nil {
		return nil, err
	}
	return &Genotype{normal.clone(), reduce.clone()}, nil
}

// Normal is the cell that keeps the resolution. Its slices must not be changed.
func (g *Genotype) Normal() DARTSCell { return g.normal }

// Reduce is the cell that halves the resolution. Its slices must not be changed.
func (g *Genotype) Reduce() DARTSCell { return g.reduce }

func (c DARTSCell) check(name string, firstConcat int) error {
	if n := len(c.Edges); n == 0 || n%2 != 0 || n > 2*dartsMaxNodes {
		return fmt.Errorf("genotype: %s has %d edges; a cell has two for each of its 1 to %d nodes", name, n, dartsMaxNodes)
	}
	for i, e := range c.Edges {
		if err := e.check(i / 2); err != nil {
			return fmt.Errorf("genotype: %s edge %d (node %d): %w", name, i, i/2, err)
		}
	}
	if err := c.checkConcat(firstConcat); err != nil {
		return fmt.Errorf("genotype: %s_concat: %w", name, err)
	}
	return nil
}

func (e DARTSEdge) check(node int) error {
	if err := checkDARTSOp(e.Op); err != nil {
		return err
	}
	if e.Input < 0 || e.Input > node+1 {
		return fmt.Errorf("input %d is not an earlier state; node %d may read states 0 to %d (0 and 1 are the cell's inputs, state i+2 is node i)",
			e.Input, node, node+1)
	}
	return nil
}

func checkDARTSOp(op string) error {
	known := slices.Concat(dartsSearchOps, dartsOldOps)
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

// Space is "darts".
func (g *Genotype) Space() string { return "darts" }

// Hash is the first 128 bits, in hexadecimal, of the SHA-256 of the genotype
// in a canonical form: the two edges of each node in order of input and
// operation, the concatenated states ascending. Both orders leave the network
// as it is (sums commute; permuted channels are a renaming of the next cell's
// weights). Node numbers are kept: cells that differ by a renumbering of
// their nodes count as different, as they do in the usual size of the space.
func (g *Genotype) Hash() string {
	var b strings.Builder
	b.WriteString("evalnas/darts/1\n")
	g.normal.writeCanonical(&b)
	g.reduce.writeCanonical(&b)
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}

func (c DARTSCell) writeCanonical(b *strings.Builder) {
	for i := 0; i+1 < len(c.Edges); i += 2 {
		e, f := c.Edges[i], c.Edges[i+1]
		if f.Input < e.Input || f.Input == e.Input && f.Op < e.Op {
			e, f = f, e
		}
		fmt.Fprintf(b, "%s %d %s %d\n", e.Op, e.Input, f.Op, f.Input)
	}
	fmt.Fprintln(b, slices.Sorted(slices.Values(c.Concat)))
}

// String is a one-line description; Literal has the whole genotype.
func (g *Genotype) String() string {
	return fmt.Sprintf("darts genotype %.8s (%d nodes, %.2f M parameters)",
		g.Hash(), g.normal.Nodes(), float64(g.Params())/1e6)
}

// Literal is the genotype as Python code in the notation of the DARTS code
// base, which ParseGenotype reads again.
func (g *Genotype) Literal() string {
	return fmt.Sprintf("Genotype(normal=%s, normal_concat=%s, reduce=%s, reduce_concat=%s)",
		literalEdges(g.normal.Edges), literalInts(g.normal.Concat),
		literalEdges(g.reduce.Edges), literalInts(g.reduce.Concat))
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

// MarshalJSON writes {"normal": [["sep_conv_3x3", 1], ...], "normal_concat":
// [2, ...], "reduce": ..., "reduce_concat": ...}.
func (g *Genotype) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Normal       []DARTSEdge `json:"normal"`
		NormalConcat []int       `json:"normal_concat"`
		Reduce       []DARTSEdge `json:"reduce"`
		ReduceConcat []int       `json:"reduce_concat"`
	}{g.normal.Edges, g.normal.Concat, g.reduce.Edges, g.reduce.Concat})
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
func ParseGenotype(text string) (*Genotype, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, fmt.Errorf("genotype: nothing given; write JSON or Genotype(normal=[...], ...)")
	case text[0] == '{':
		return genotypeFromJSON([]byte(text))
	default:
		return parseGenotypeLiteral(text)
	}
}

func genotypeFromJSON(raw []byte) (*Genotype, error) {
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
	return NewGenotype(normal, reduce)
}

// checkGenotypeKeys wants each of genotypeKeys exactly once.
func checkGenotypeKeys(given []string) error {
	all := strings.Join(genotypeKeys, ", ")
	seen := make(map[string]bool)
	for _, k := range given {
		if !slices.Contains(genotypeKeys, k) {
			hint := ""
			if near := nearest.Name(k, genotypeKeys); near != "" {
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
