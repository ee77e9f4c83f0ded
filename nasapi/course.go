package nasapi

import (
	"fmt"
	"math"
	"math/big"
	"slices"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/stats"
)

// Anytime is what the incumbents of a group were worth as its searches went on.
type Anytime struct {
	// Moments are at shares of the budget: of the values under By.
	Moments []stats.Moment `json:"moments"`
	// Regret is the distance from the best of the space at the same places, undefined where
	// the space cannot be listed.
	Regret []stats.Moment `json:"regret,omitempty"`
	// Area is the mean regret over a run's evaluations, averaged over runs.
	Area stats.Number `json:"mean_regret"`
}

// anytimeShares are the parts of the longest run at which Anytime looks, besides the first
// evaluation.
var anytimeShares = []float64{0.1, 0.25, 0.5, 1}

// Anytime summarises the traces of a group; it is nil where there are none.
func (c *Comparison) Anytime(name string) (*Anytime, error) {
	runs, err := c.Incumbents(name)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	values, regrets := make([]stats.Course, len(runs)), make([]stats.Course, len(runs))
	end := 0.0
	for i, r := range runs {
		for _, p := range r.Points {
			values[i].At = append(values[i].At, float64(p.Evaluations))
			values[i].Value = append(values[i].Value, p.Value)
			if c.Best != nil {
				regrets[i].Value = append(regrets[i].Value, math.Abs(*c.Best-p.Value))
			}
		}
		values[i].End = float64(r.Evaluations)
		regrets[i].At, regrets[i].End = values[i].At, values[i].End
		end = max(end, values[i].End)
	}
	places := []float64{1}
	for _, share := range anytimeShares {
		places = append(places, math.Round(share*end))
	}
	slices.Sort(places)
	places = slices.Compact(places)
	places = slices.DeleteFunc(places, func(at float64) bool { return at < 1 })
	a := &Anytime{}
	if a.Moments, err = stats.Anytime(values, places); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if c.Best == nil {
		return a, nil
	}
	if a.Regret, err = stats.Anytime(regrets, places); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var areas []float64
	for _, r := range regrets {
		if v, err := stats.AreaUnder(r, r.End); err == nil { // a run of one evaluation has none
			areas = append(areas, v)
		}
	}
	if m, err := stats.Mean(areas); err == nil {
		a.Area = stats.Defined(m)
	}
	return a, nil
}

// Variance tells the variance over a group's searches from that over the trainings of what
// each found. Where architectures were not trained here, the parts are undefined and say
// so.
func (c *Comparison) Variance(name string) (stats.Components, error) {
	var trained [][]float64
	for _, g := range c.groups {
		if g.Name != name {
			continue
		}
		for _, r := range g.Runs {
			if len(r.Trained) > 0 {
				trained = append(trained, r.Trained)
			}
		}
	}
	if len(trained) == 0 {
		why := "unknown: the values are not of trainings that were made here"
		return stats.Components{WhyBetween: why, WhyWithin: why}, nil
	}
	return stats.VarianceComponents(trained)
}

// Outcomes are the provenance of a group's jobs that are done, each once and without its
// result; none where the group is of architectures or results alone. A job whose outcome
// cannot be read any more is left out.
func (c *Comparison) Outcomes(name string) []jobs.Outcome {
	var out []jobs.Outcome
	seen := map[string]bool{}
	for _, g := range c.groups {
		if g.Name != name {
			continue
		}
		for _, j := range g.jobs {
			if seen[j.ID] {
				continue
			}
			seen[j.ID] = true
			if o, err := j.Outcome(); err == nil {
				o.Result = nil
				out = append(out, o)
			}
		}
	}
	return out
}

// Reachable is the number of architectures that a group's policy can emit, nil where it is
// every one of the space or not known.
func (c *Comparison) Reachable(name string) *big.Int {
	row, ok := c.Row(name)
	if !ok {
		return nil
	}
	info, err := policy.Lookup(row.Policy)
	if err != nil || info.Encoding == nil || !info.Encoding.Fits(c.space) {
		return nil
	}
	return info.Encoding.Reachable(c.space)
}

// Size is the number of architectures of the space.
func (c *Comparison) Size() *big.Int { return c.space.Size() }

// MaxRank is the last place of the cells that share the group's best value.
func (r *GroupRow) MaxRank() int { return r.BestRank + max(r.BestTies-1, 0) }
