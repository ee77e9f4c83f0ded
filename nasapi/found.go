package nasapi

import (
	"fmt"

	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// SampleRandomPolicy is the name under which draws of SampleRandom appear.
const SampleRandomPolicy = "sample_random"

// MeasureUnique is the measure of SampleRandom that is uniform over the distinct
// architectures of the space. The others are uniform over each decision of an encoding
// that some policies have, and have its name.
const MeasureUnique = "unique"

// Measures are those of SampleRandom.
func Measures() []string {
	list := []string{MeasureUnique}
	for _, e := range policy.Encodings() {
		list = append(list, e.Name)
	}
	return list
}

// Origin says where an architecture came from.
type Origin struct {
	Policy    string     `json:"policy"`
	Space     space.Spec `json:"space,omitzero"`      // searched or drawn from
	Search    string     `json:"search,omitempty"`    // id of the search
	Objective string     `json:"objective,omitempty"` // what guided it
	Budget    int        `json:"budget,omitempty"`    // evaluations of the objective
	Seconds   float64    `json:"seconds,omitempty"`   // on the virtual clock, that it might take
	Oracle    bool       `json:"oracle,omitempty"`    // the objective read a test column
	Measure   string     `json:"measure,omitempty"`   // of a draw
	// Numerics are the versions of the search; they are not kept with a training.
	Numerics NumericsVersions `json:"-"`
}

// Found is an architecture that remembers where it came from.
type Found struct {
	space.Arch
	Seed   int64
	Origin Origin
}

// SampleRandom draws one architecture for each seed, at once and without a
// job: the random policy of "Evaluating the Search Phase of Neural
// Architecture Search" (ICLR 2020), section 3. measure is one of
// Measures.
func SampleRandom(sp space.Space, seeds []int64, measure string) ([]Found, error) {
	if err := CheckSeeds(seeds); err != nil {
		return nil, err
	}
	draw, err := drawer(sp, measure)
	if err != nil {
		return nil, err
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

// drawer is how an architecture is drawn with a measure.
func drawer(sp space.Space, measure string) (func(*rng.Stream) (space.Arch, error), error) {
	if measure == MeasureUnique {
		return func(r *rng.Stream) (space.Arch, error) { return sp.Sample(r), nil }, nil
	}
	allowed := fmt.Sprintf("%q (uniform over the distinct architectures)", MeasureUnique)
	for _, e := range policy.Encodings() {
		if e.Name != measure {
			allowed += fmt.Sprintf(", %q (%s)", e.Name, e.Doc)
			continue
		}
		if !e.Fits(sp) {
			return nil, fmt.Errorf("%s has no %s encoding: use measure=%q", sp, e.Name, MeasureUnique)
		}
		return func(r *rng.Stream) (space.Arch, error) { return e.Draw(sp, r) }, nil
	}
	return nil, fmt.Errorf("unknown measure %q: allowed are %s", measure, allowed)
}
