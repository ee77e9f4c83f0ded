package nasapi

import (
	"fmt"

	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// SampleRandomPolicy is the name under which draws of SampleRandom appear.
const SampleRandomPolicy = "sample_random"

// Measures of SampleRandom.
const (
	MeasureUnique   = "unique"   // uniform over the distinct architectures of the space
	MeasureSequence = "sequence" // uniform over each decision of ENAS's encoding
)

// Origin says where an architecture came from.
type Origin struct {
	Policy    string     `json:"policy"`
	Space     space.Spec `json:"space,omitzero"`      // searched or drawn from
	Search    string     `json:"search,omitempty"`    // id of the search
	Objective string     `json:"objective,omitempty"` // what guided it
	Budget    int        `json:"budget,omitempty"`    // evaluations of the objective
	Oracle    bool       `json:"oracle,omitempty"`    // the objective read a test column
	Measure   string     `json:"measure,omitempty"`   // of a draw
}

// Found is an architecture that remembers where it came from.
type Found struct {
	space.Arch
	Seed   int64
	Origin Origin
}

// SampleRandom draws one architecture for each seed, at once and without a
// job: the random policy of "Evaluating the Search Phase of Neural
// Architecture Search" (ICLR 2020), section 3. measure is MeasureUnique or
// MeasureSequence.
func SampleRandom(sp space.Space, seeds []int64, measure string) ([]Found, error) {
	if err := CheckSeeds(seeds); err != nil {
		return nil, err
	}
	draw := func(r *rng.Stream) (space.Arch, error) { return sp.Sample(r), nil }
	switch measure {
	case MeasureUnique:
	case MeasureSequence:
		sq, ok := space.SequencesOf(sp)
		if !ok {
			return nil, fmt.Errorf("%s has no sequence encoding: use measure=%q", sp, MeasureUnique)
		}
		draw = func(r *rng.Stream) (space.Arch, error) { return policy.SampleSequence(sq, r) }
	default:
		return nil, fmt.Errorf("unknown measure %q: allowed are %q (uniform over distinct architectures) and %q (uniform over the decisions of the sequence encoding)", measure, MeasureUnique, MeasureSequence)
	}
	out := make([]Found, len(seeds))
	for i, seed := range seeds {
		a, err := draw(rng.New(seed, SampleRandomPolicy, measure))
		if err != nil {
			return nil, err
		}
		out[i] = Found{Arch: a, Seed: seed, Origin: Origin{Policy: SampleRandomPolicy, Space: sp.Spec(), Measure: measure}}
	}
	return out, nil
}
