package space

import (
	"fmt"
	"math/big"
	"slices"
)

// dartsSequenceOps are the operations of the 5-node form in the index order of
// the sequences of ENAS and NAO.
var dartsSequenceOps = []string{
	"sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "skip_connect",
}

// Choices lists the decisions of the sequence encoding of ENAS and NAO: the
// normal cell, then the reduction cell, per node input, operation, input,
// operation. It is nil for the 4-node form, which has no such encoding (see
// SequencesOf). Nodes of the reduction cell count on from those of the normal
// cell.
func (d *DARTSSpace) Choices() []Choice {
	if !d.repeat {
		return nil
	}
	var out []Choice
	for node := range 2 * d.nodes {
		index := Choice{Node: node, Index: true, N: node%d.nodes + 2}
		op := Choice{Node: node, N: len(d.ops)}
		out = append(out, index, op, index, op)
	}
	return out
}

// Decode turns a sequence of the 5-node form (40 integers, see Choices) into
// its genotype.
func (d *DARTSSpace) Decode(seq []int) (Arch, error) {
	choices := d.Choices()
	if choices == nil {
		return nil, d.noSequences()
	}
	if len(seq) != len(choices) {
		return nil, fmt.Errorf("sequence: %d integers given, %v takes %d", len(seq), d, len(choices))
	}
	for i, c := range choices {
		if seq[i] < 0 || seq[i] >= c.N {
			return nil, fmt.Errorf("sequence: integer %d is %d; allowed are 0 to %d", i, seq[i], c.N-1)
		}
	}
	edges := make([]DARTSEdge, len(seq)/2)
	for i := range edges {
		edges[i] = DARTSEdge{d.ops[seq[2*i+1]], seq[2*i]}
	}
	half := len(edges) / 2
	return d.assemble(edges[:half:half], edges[half:]), nil
}

func (d *DARTSSpace) noSequences() error {
	return fmt.Errorf("%v has no sequence encoding; the 5-node form has", d)
}

// Encode is the sequence of a genotype of the 5-node form, in the order of its
// edges. The two edges of a node may stand either way round in a sequence, so
// others give a genotype of the same hash.
func (d *DARTSSpace) Encode(a Arch) ([]int, error) {
	if !d.repeat {
		return nil, d.noSequences()
	}
	if err := d.Contains(a); err != nil {
		return nil, err
	}
	var seq []int
	for _, c := range a.(*Genotype).cells() {
		for _, e := range c.Edges {
			seq = append(seq, e.Input, slices.Index(d.ops, e.Op))
		}
	}
	return seq, nil
}

// Reachable is Size for the 5-node form, whose genotypes all have a sequence,
// and 0 for the other.
func (d *DARTSSpace) Reachable() *big.Int {
	if !d.repeat {
		return new(big.Int)
	}
	return d.Size()
}
