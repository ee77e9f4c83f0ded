package policy

import (
	"fmt"

	"evalnas/nasapi/space"
)

// layout is the sequence encoding of a space in the order in which ENAS's
// controller decides: cell by cell, node by node, the indices of a node first,
// then its operations.
type layout struct {
	inputs  int // cell inputs, to which an index may point too
	ops     int
	length  int // of a sequence
	nodes   []nodeChoices
	choices []space.Choice // by position
}

// nodeChoices holds the positions in the sequence that a node decides. Place is
// its number in its cell: a node of place 0 begins a cell.
type nodeChoices struct {
	indices, ops []int
	place        int
}

// newLayout checks that the encoding is one that the controller can speak: an
// index of a cell's node i points to an input or to one of the i nodes before
// it. Where a node can point to the inputs only, a cell begins.
func newLayout(s space.Sequences) (*layout, error) {
	choices := s.Choices()
	if len(choices) == 0 {
		return nil, fmt.Errorf("enas: %s leaves nothing to decide; nasbench101(max_vertices=4..7) and darts_space(nodes=5) do", s)
	}
	l := &layout{ops: len(s.Operations()), length: len(choices), choices: choices}
	for at, c := range choices {
		switch c.Node {
		case len(l.nodes):
			place := 0
			if c.Node > 0 {
				place = l.nodes[c.Node-1].place + 1
			}
			l.nodes = append(l.nodes, nodeChoices{place: place})
		case len(l.nodes) - 1:
		default:
			return nil, l.refuse(s, at, c)
		}
		n := &l.nodes[c.Node]
		if !c.Index {
			n.ops = append(n.ops, at)
			if c.N < 1 || c.First < 0 || c.First+c.N > l.ops {
				return nil, l.refuse(s, at, c)
			}
			continue
		}
		if n.indices = append(n.indices, at); at == 0 {
			l.inputs = c.N
		}
		if len(n.indices) == 1 && c.N == l.inputs {
			n.place = 0
		}
		if c.N != l.inputs+n.place || c.N < 1 {
			return nil, l.refuse(s, at, c)
		}
	}
	return l, nil
}

func (l *layout) refuse(s space.Space, at int, c space.Choice) error {
	return fmt.Errorf("enas: choice %d of %s is %+v; the controller needs nodes in order, each choosing among some of %d operations and, as index, among the cell inputs and the nodes before it",
		at, s, c, l.ops)
}

// checkTokens refuses a sequence with an option that a choice does not have.
func (l *layout) checkTokens(seq []int) error {
	for at, c := range l.choices {
		if seq[at] >= 0 && seq[at] < c.N {
			continue
		}
		if c.Index {
			return fmt.Errorf("index %d at position %d is outside 0..%d", seq[at], at, c.N-1)
		}
		return fmt.Errorf("operation %d at position %d is outside 0..%d", seq[at], at, c.N-1)
	}
	return nil
}
