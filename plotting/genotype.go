package plotting

import (
	"fmt"
	"slices"
	"strings"
)

// GenotypeEdge applies an operation to a node and feeds another.
type GenotypeEdge struct {
	From, To string
	Op       string // empty for an edge without operation
}

// GenotypeData is a cell whose edges are operations, as in the DARTS space.
type GenotypeData struct {
	Title, Subtitle string
	// Inputs are the cell's inputs, such as "c_{k-2}" and "c_{k-1}".
	Inputs []string
	// Nodes are the intermediate nodes in order; edges lead from inputs and
	// earlier nodes to later ones. Nodes named by edges only are added in the
	// order in which they are fed.
	Nodes []string
	Edges []GenotypeEdge
	// Output is the node that all of Concat feed, default "c_{k}". No Concat,
	// no output.
	Output string
	Concat []string
}

const maxGenotypeEdges = 120

// Genotype draws such a cell with the operations written on its edges.
func Genotype(data GenotypeData) (*Figure, error) {
	g, err := newGenotype(data)
	if err != nil {
		return nil, fmt.Errorf("drawing of a genotype: %w", err)
	}
	edges := make([][2]int, len(g.edges))
	for i, e := range g.edges {
		edges[i] = [2]int{e.from, e.to}
	}
	depth := depths(len(g.nodes), edges)
	if len(data.Concat) > 0 { // the output stands alone at the end
		last := len(depth) - 1
		depth[last] = slices.Max(depth[:last]) + 1
	}
	return newGraph(g.nodes, g.edges, depth).figure(data.Title, data.Subtitle, describeGenotype(data)), nil
}

type genotype struct {
	nodes  []graphNode
	edges  []graphEdge
	index  map[string]int
	inputs int
}

func newGenotype(data GenotypeData) (*genotype, error) {
	switch {
	case len(data.Inputs) == 0:
		return nil, fmt.Errorf("no inputs; give at least one")
	case len(data.Edges) == 0:
		return nil, fmt.Errorf("no edges; give at least one")
	case len(data.Edges) > maxGenotypeEdges || len(data.Inputs)+len(data.Nodes) > maxVertices:
		return nil, fmt.Errorf("%d edges and %d nodes; at most %d and %d can be drawn",
			len(data.Edges), len(data.Inputs)+len(data.Nodes), maxGenotypeEdges, maxVertices)
	}
	g := &genotype{index: map[string]int{}, inputs: len(data.Inputs)}
	for _, name := range data.Inputs {
		if err := g.add(name, graphNode{label: name, color: inkColor, strong: true}); err != nil {
			return nil, err
		}
	}
	for _, name := range data.Nodes {
		if err := g.add(name, innerNode(name)); err != nil {
			return nil, err
		}
	}
	for _, e := range data.Edges {
		if _, ok := g.index[e.To]; !ok {
			if err := g.add(e.To, innerNode(e.To)); err != nil {
				return nil, err
			}
		}
		if err := g.connect(e.From, e.To, e.Op); err != nil {
			return nil, err
		}
	}
	return g, g.addOutput(data)
}

func innerNode(name string) graphNode {
	return graphNode{label: name, color: mutedColor, round: strongText.width(name) < nodeHeight-10}
}

func (g *genotype) add(name string, n graphNode) error {
	if _, ok := g.index[name]; ok {
		return fmt.Errorf("node %q appears twice", name)
	}
	n.label = strongText.fit(name, 160)
	g.index[name] = len(g.nodes)
	g.nodes = append(g.nodes, n)
	return nil
}

// connect adds an edge; nodes are in topological order.
func (g *genotype) connect(from, to, op string) error {
	i, ok := g.index[from]
	if !ok {
		return fmt.Errorf("edge from %q to %q: %q is no input and no earlier node", from, to, from)
	}
	j, ok := g.index[to]
	if !ok {
		return fmt.Errorf("edge from %q to %q: there is no node %q", from, to, to)
	}
	if j < g.inputs {
		return fmt.Errorf("edge from %q to %q: nothing leads to an input", from, to)
	}
	if i >= j {
		return fmt.Errorf("edge from %q to %q: edges lead to later nodes", from, to)
	}
	e := graphEdge{from: i, to: j, label: labelText.fit(op, 160), color: axisColor}
	if op != "" {
		e.color = operationColor(op)
	}
	g.edges = append(g.edges, e)
	return nil
}

func (g *genotype) addOutput(data GenotypeData) error {
	if len(data.Concat) == 0 {
		return nil
	}
	name := data.Output
	if name == "" {
		name = "c_{k}"
	}
	if err := g.add(name, graphNode{color: inkColor, strong: true}); err != nil {
		return err
	}
	for _, from := range data.Concat {
		if err := g.connect(from, name, ""); err != nil {
			return err
		}
	}
	return nil
}

func describeGenotype(data GenotypeData) string {
	parts := []string{data.Title}
	for _, e := range data.Edges {
		parts = append(parts, fmt.Sprintf("%s to %s: %s", e.From, e.To, e.Op))
	}
	if len(data.Concat) > 0 {
		parts = append(parts, "output: "+strings.Join(data.Concat, ", "))
	}
	return joinSentences(parts...)
}
