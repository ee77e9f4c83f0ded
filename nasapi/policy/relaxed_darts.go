package policy

import (
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// dartsCode relaxes the space of DARTS: each edge of the two cells has a choice of eight
// operations, of which "none" is the first. Node i's edges come from all 2+i earlier
// states, so a cell has 14.
type dartsCode struct{ space *space.DARTSSpace }

const (
	dartsNodes = 4
	dartsEdges = 14
	dartsNone  = 0 // of space.SearchOperations
)

func (dartsCode) layout() []relaxedVector {
	var list []relaxedVector
	for range 2 * dartsEdges {
		list = append(list, relaxedVector{options: len(space.SearchOperations())})
	}
	return list
}

func (dartsCode) ones() int { return 0 }

// order: the reference's searches in this space were of first order.
func (dartsCode) order() int { return 1 }

func (c dartsCode) initial(_ float64, s *rng.Stream) [][]float64 {
	var logits [][]float64
	for _, v := range c.layout() {
		vector := make([]float64, v.options)
		for o := range vector {
			vector[o] = float64(1e-3 * gaussian(s))
		}
		logits = append(logits, vector)
	}
	return logits
}

// derive keeps of each node the two edges whose best operation is strongest, "none" left
// out, each with that operation (DARTS, section 2.4).
func (c dartsCode) derive(logs [][]float64, _ int, _ *rng.Stream) (pool []space.Arch, outside int) {
	g, err := space.NewGenotype(deriveCell(logs[:dartsEdges]), deriveCell(logs[dartsEdges:]))
	if err != nil {
		return nil, 1
	}
	return []space.Arch{g}, 0
}

func deriveCell(logs [][]float64) space.DARTSCell {
	cell := space.DARTSCell{Concat: []int{2, 3, 4, 5}}
	ops := space.SearchOperations()
	for node := range dartsNodes {
		states := node + 2
		edges := logs[firstEdge(node) : firstEdge(node)+states]
		// Equal strengths leave the lower input and the lower operation.
		first, second := -1, -1
		strength := func(state int) float64 { return edges[state][bestOp(edges[state])] }
		for state := range states {
			switch {
			case first < 0 || strength(state) > strength(first):
				first, second = state, first
			case second < 0 || strength(state) > strength(second):
				second = state
			}
		}
		for _, state := range []int{min(first, second), max(first, second)} {
			cell.Edges = append(cell.Edges, space.DARTSEdge{Op: ops[bestOp(edges[state])], Input: state})
		}
	}
	return cell
}

// firstEdge is the number of edges of the nodes before a node.
func firstEdge(node int) int { return node * (node + 3) / 2 }

// bestOp is the strongest operation of an edge, "none" left out.
func bestOp(v []float64) int {
	best := dartsNone + 1
	for o := best + 1; o < len(v); o++ {
		if v[o] > v[best] {
			best = o
		}
	}
	return best
}

// rate is the sum over the edges of the architecture of the logarithm of their
// operations' weights. The derivation draws nothing, so that is a score and no
// probability.
func (c dartsCode) rate(logs [][]float64, a space.Arch) (float64, bool) {
	if c.space.Contains(a) != nil {
		return 0, false
	}
	g := a.(*space.Genotype)
	number := make(map[string]int)
	for o, name := range space.SearchOperations() {
		number[name] = o
	}
	sum := 0.0
	for cell, edges := range [][]space.DARTSEdge{g.Normal().Edges, g.Reduce().Edges} {
		for i, e := range edges {
			sum += logs[cell*dartsEdges+firstEdge(i/2)+e.Input][number[e.Op]]
		}
	}
	return sum, true
}
