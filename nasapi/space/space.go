// Package space holds the search spaces: what an architecture is, which ones
// are valid, how one is drawn, changed, encoded and counted.
//
// Space and Arch are the two interfaces that the rest of the project works
// with; a policy asks for more (Mutator, Neighbourhood, Sequences) only where
// it needs it. NASBench101 and DARTS are the spaces of cells with a network behind them.
// Start reading at nasbench101.go; graph.go has the pruning of a cell, internal/nb101 its
// hash, the enumeration and the index.
//
// CellSpace has such cells with any operations, nodes and edges a node (cells.go).
// Choices makes a space of anybody's own names and options (choices.go), and NASBench201 is
// one of six decisions; flat.go is what they share. Rows is the part of such a space that a
// table has.
//
// Architectures are immutable: every operation returns a new one, and the
// slices that accessors return must not be changed.
package space

import (
	"encoding/json"
	"errors"
	"math/big"

	"evalnas/nasapi/rng"
)

// Arch is one architecture of a space.
type Arch interface {
	// Hash identifies the architecture in its space: architectures that the
	// space counts as one have one hash. For NASBench-101 it is the module
	// hash of the data set.
	Hash() string
	// Space is the name of the space's kind: "nasbench101", "darts", "cells", "nasbench201" or
	// "choices".
	Space() string
	// Params is the number of trainable parameters of the network that the
	// space's protocol trains (see each space for which that is), 0 where it is not known.
	Params() int64
	// FLOPs is the number of multiply-adds of one forward pass of that network
	// on one 32x32 image, counting convolutions and linear layers, 0 where it is not known.
	FLOPs() int64
	// String is a short, one-line description.
	String() string
	// MarshalJSON writes the form that Space.Parse reads.
	json.Marshaler
}

// Spec is the serialised form of a space: enough to build it again.
type Spec struct {
	Name         string `json:"name"`                     // "nasbench101", "darts", "cells", "nasbench201", "choices" or "rows"
	MaxVertices  int    `json:"max_vertices,omitempty"`   // nasbench101: 2..7, input and output included
	Nodes        int    `json:"nodes,omitempty"`          // darts, cells: intermediate nodes of a cell
	Choices      string `json:"choices,omitempty"`        // choices: {"depth":[8,14],"op":["conv","pool"]}
	Operations   string `json:"operations,omitempty"`     // cells: ["sep_conv_3x3","skip_connect"]
	EdgesPerNode int    `json:"edges_per_node,omitempty"` // cells: edges into a node
	Share        bool   `json:"share,omitempty"`          // cells: the reduction cell is the normal one
	Table        string `json:"table,omitempty"`          // rows: the digest of the table that has them
}

// Space is a set of architectures.
type Space interface {
	Spec() Spec
	// String is the expression that makes the space in a cell, such as
	// nasbench101(max_vertices=7).
	String() string
	// Size is the number of distinct architectures.
	Size() *big.Int
	// Measure says in words over what Sample is uniform.
	Measure() string
	// Sample draws one architecture uniformly over the distinct ones.
	Sample(s *rng.Stream) Arch
	// Parse reads what Arch.MarshalJSON wrote (or a person did). The error
	// says what is wrong with the architecture, or that it is outside the
	// space; then it wraps ErrOutside.
	Parse(raw json.RawMessage) (Arch, error)
	// Contains returns nil if a is in the space, else an error that says why
	// not and wraps ErrOutside.
	Contains(a Arch) error
}

// ErrOutside is wrapped by the errors of well-formed architectures that are
// not in the space.
var ErrOutside = errors.New("outside the space")

// Finite is a space whose architectures can be listed.
type Finite interface {
	Space
	Len() int
	// At returns architecture i, 0 <= i < Len(), in the order of the space: NASBench101 has
	// that of the hash, the others count through their options.
	At(i int) Arch
	// Index is the inverse of At; ok is false where a is outside the space.
	Index(a Arch) (i int, ok bool)
}

// Mutator is a space with the mutation of regularised evolution.
type Mutator interface {
	Space
	// Mutate returns a changed copy of a that is in the space. It may encode
	// the same architecture as a when the change turns out to be isomorphic.
	Mutate(a Arch, s *rng.Stream) Arch
}

// Neighbourhood is a space with a neighbour relation for local search.
type Neighbourhood interface {
	Space
	// Neighbours returns the distinct architectures one edit away from a, a
	// itself left out, in a fixed order.
	Neighbours(a Arch) []Arch
}

// Choice is one decision of a sequence encoding.
type Choice struct {
	Node  int  // which node decides, from 0; those of a second cell count on
	Index bool // an index of an earlier state (else an operation)
	N     int  // number of options, 0..N-1
	First int  // of an operation: which of Operations is option 0
}

// Sequences is a space with the sequence encoding of ENAS and NAO: see SequencesOf.
type Sequences interface {
	Space
	// Choices lists the decisions of one sequence, in order.
	Choices() []Choice
	// Operations names the options of the operation choices, in order.
	Operations() []string
	// Decode turns a sequence into its architecture. A sequence whose
	// architecture is not in the space gives an error that wraps ErrOutside.
	Decode(seq []int) (Arch, error)
	// Encode is a sequence that Decode turns into a. The error wraps ErrOutside where
	// there is none.
	Encode(a Arch) ([]int, error)
	// Reachable says how many distinct architectures sequences can give.
	Reachable() *big.Int
}

// SequencesOf is the space with its encoding; ok is false where it has none, such as the
// form of the DARTS space with 4 nodes.
func SequencesOf(s Space) (q Sequences, ok bool) {
	if d, darts := s.(*DARTSSpace); darts && !d.repeat {
		return nil, false
	}
	q, ok = s.(Sequences)
	return q, ok
}
