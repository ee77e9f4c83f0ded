package policy

import (
	"math/big"
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Encoding is how a policy writes architectures down, where that reaches another set of
// them, with other probabilities, than uniform sampling: the fair random baseline of such
// a policy draws from its encoding too.
type Encoding struct {
	Name string // the measure of its draws
	Doc  string // what they are uniform over
	// Fits says whether a space has the encoding. The other two want one that has.
	Fits func(space.Space) bool
	// Draw decides each choice of the encoding uniformly, again until the result is in
	// the space.
	Draw func(space.Space, *rng.Stream) (space.Arch, error)
	// Reachable is the number of distinct architectures that can be written.
	Reachable func(space.Space) *big.Int
}

var sequenceEncoding = &Encoding{
	Name: "sequence",
	Doc:  "uniform over each decision of ENAS's encoding",
	Fits: func(s space.Space) bool { _, ok := space.SequencesOf(s); return ok },
	Draw: func(s space.Space, r *rng.Stream) (space.Arch, error) {
		sequences, _ := space.SequencesOf(s)
		return SampleSequence(sequences, r)
	},
	Reachable: func(s space.Space) *big.Int {
		sequences, _ := space.SequencesOf(s)
		return sequences.Reachable()
	},
}

// relaxedEncoding is that of NASBench-101. In the DARTS space derivation reaches
// everything, and uniform choices are uniform over the architectures.
var relaxedEncoding = &Encoding{
	Name: "relaxed",
	Doc:  "uniform over each vertex's predecessor, or none, and operation, decoded as DARTS and FBNet do",
	Fits: func(s space.Space) bool {
		n, ok := s.(*space.NASBench)
		return ok && n.MaxVertices() > 2
	},
	Draw: func(s space.Space, r *rng.Stream) (space.Arch, error) {
		return SampleRelaxed(s.(*space.NASBench), r)
	},
	Reachable: func(s space.Space) *big.Int {
		return big.NewInt(int64(RelaxedReachable(s.(*space.NASBench).MaxVertices() - 2)))
	},
}

var encodings = []*Encoding{sequenceEncoding, relaxedEncoding}

// Encodings returns those that some policy uses. The entries must not be changed.
func Encodings() []*Encoding { return slices.Clone(encodings) }
