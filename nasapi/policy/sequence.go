package policy

import (
	"errors"
	"fmt"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// maxOutside is how many sequences in a row may decode to nothing in the space
// before a sampler gives up. In NASBench-101 with seven vertices 243 of 29,160
// do; a space where so many in a row do has no usable encoding.
const maxOutside = 100_000

// SampleSequence draws each choice of the sequence encoding uniformly and
// decodes, again until the architecture is in the space. This is not uniform
// over architectures: it is the random baseline of policies that emit
// sequences (ENAS, NAO).
func SampleSequence(s space.Sequences, r *rng.Stream) (space.Arch, error) {
	_, a, err := drawSequence(s, r)
	return a, err
}

// drawSequence returns the sequence too.
func drawSequence(s space.Sequences, r *rng.Stream) ([]int, space.Arch, error) {
	choices := s.Choices()
	seq := make([]int, len(choices))
	for range maxOutside {
		for i, c := range choices {
			seq[i] = r.IntN(c.N)
		}
		a, err := s.Decode(seq)
		if err == nil {
			return seq, a, nil
		}
		if !errors.Is(err, space.ErrOutside) {
			return nil, nil, fmt.Errorf("sequence %v of %s: %w", seq, s, err)
		}
	}
	return nil, nil, fmt.Errorf("%d sequences in a row decode to nothing in %s; draw with measure=\"unique\"", maxOutside, s)
}
