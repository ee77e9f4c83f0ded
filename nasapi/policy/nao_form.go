package policy

import (
	"fmt"

	"evalnas/nasapi/space"
)

// naoForm turns the sequences of a space into NAO's tokens and back: 0 begins, then come
// as many tokens as the longest choice of an index has options, then the operations.
type naoForm struct {
	choices []space.Choice
	indices int
	ops     int
	// rotate gives a proposal's operations the offset of the published code, which is one
	// too large: operation o arrives as o-1, and the first one as -1, which its lists take
	// as the last and its next encoding as a token of the indices.
	rotate bool
}

func newNAOForm(s space.Sequences, asPublished bool) (*naoForm, error) {
	f := &naoForm{choices: s.Choices(), ops: len(s.Operations()), rotate: asPublished}
	if len(f.choices) == 0 {
		return nil, fmt.Errorf("nao: %s leaves nothing to decide; nasbench101(max_vertices=4..7) does", s)
	}
	for i, c := range f.choices {
		switch {
		case c.N < 1, !c.Index && (c.First < 0 || c.First+c.N > f.ops):
			return nil, fmt.Errorf("nao: choice %d of %s is %+v; an operation is one of %d, and a choice has at least one option", i, s, c, f.ops)
		case c.Index:
			f.indices = max(f.indices, c.N)
		}
	}
	return f, nil
}

// shape has the reference's sizes: where a node has two inputs (the cells of DARTS) 48
// numbers a token, read in pairs by an LSTM of 96; else 12 a node but the first. hidden,
// unless 0, is taken instead.
func (f *naoForm) shape(hidden int) *naoShape {
	s := &naoShape{vocab: 1 + f.indices + f.ops, length: len(f.choices), group: 1, layer: 200}
	nodes := 1 + f.choices[len(f.choices)-1].Node
	if inputsOfNode(f.choices) == 2 && s.length%2 == 0 {
		s.group, s.embed, s.hidden = 2, 48, 96
	} else {
		s.embed = 12 * max(1, nodes-1)
		s.hidden = s.embed
	}
	if hidden > 0 {
		s.embed, s.hidden = max(1, hidden/s.group), hidden
	}
	return s
}

// inputsOfNode is how many indices the first node chooses.
func inputsOfNode(choices []space.Choice) int {
	n := 0
	for _, c := range choices {
		if c.Index && c.Node == choices[0].Node {
			n++
		}
	}
	return n
}

// tokens encodes a sequence.
func (f *naoForm) tokens(seq []int) []int {
	t := make([]int, len(seq))
	for i, v := range seq {
		if t[i] = v + 1; !f.choices[i].Index {
			t[i] += f.indices + f.choices[i].First
		}
	}
	return t
}

// sequence decodes tokens that are legal.
func (f *naoForm) sequence(tokens []int) []int {
	seq := make([]int, len(tokens))
	for i, t := range tokens {
		if seq[i] = t - 1; f.choices[i].Index {
			continue
		}
		if seq[i] -= f.indices + f.choices[i].First; f.rotate {
			seq[i]--
		}
	}
	return seq
}

// plain is a sequence as the space understands it: -1 is the last operation.
func (f *naoForm) plain(seq []int) []int {
	out := make([]int, len(seq))
	for i, v := range seq {
		if out[i] = v; v < 0 {
			out[i] = f.choices[i].N - 1
		}
	}
	return out
}

// legal are the first token that a position may have and the one after the last.
func (f *naoForm) legal() [][2]int {
	list := make([][2]int, len(f.choices))
	for i, c := range f.choices {
		first := 1
		if !c.Index {
			first += f.indices + c.First
		}
		list[i] = [2]int{first, first + c.N}
	}
	return list
}

// cells is how many cells the sequence describes one after the other: in each the nodes
// begin anew with the least number of inputs.
func (f *naoForm) cells() int {
	n := 0
	for i, c := range f.choices {
		if c.Index && c.N == f.choices[0].N && (i == 0 || f.choices[i-1].Node != c.Node) {
			n++
		}
	}
	return n
}

// branchedNode is how many tokens a node with two branches has: twice index and operation.
const branchedNode = 4

// branches reports whether all nodes have two branches, which can be swapped.
func (f *naoForm) branches() bool {
	return inputsOfNode(f.choices) == 2 && len(f.choices)%(branchedNode*f.cells()) == 0
}

// swapped is the same architecture in other tokens, where nodes have two branches: those
// of one node in each cell, which pick draws of so many, are swapped. Elsewhere it is a
// plain copy.
func (f *naoForm) swapped(tokens []int, pick func(n int) int) []int {
	out := append([]int(nil), tokens...)
	if !f.branches() {
		return out
	}
	const node = branchedNode
	cells := f.cells()
	nodes := len(out) / (node * cells)
	for cell := range cells {
		from := node * (cell*nodes + pick(nodes))
		b := out[from : from+node]
		b[0], b[1], b[2], b[3] = b[2], b[3], b[0], b[1]
	}
	return out
}
