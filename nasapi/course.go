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
	// Clock is the regret, or the values where there is none, at shares of the simulated
	// seconds of training; nil where the table has no times.
	Clock []stats.Moment `json:"clock,omitempty"`
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
	values, regrets := c.courses(runs, func(p Incumbent) float64 { return float64(p.Evaluations) }, func(r IncumbentRun) float64 { return float64(r.Evaluations) })
	a := &Anytime{}
	if a.Moments, err = momentsOf(values, 1); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if slices.ContainsFunc(runs, IncumbentRun.timed) {
		timed := slices.DeleteFunc(runs, func(r IncumbentRun) bool { return !r.timed() })
		worth, lost := c.courses(timed, func(p Incumbent) float64 { return p.Seconds }, func(r IncumbentRun) float64 { return r.Seconds })
		if c.Best != nil {
			worth = lost
		}
		if a.Clock, err = momentsOf(worth, 0); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if c.Best == nil {
		return a, nil
	}
	if a.Regret, err = momentsOf(regrets, 1); err != nil {
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

// timed says that a run was on a virtual clock.
func (r IncumbentRun) timed() bool { return r.Seconds > 0 }

// courses are the values of the runs' incumbents, and how far they are from the best of the
// space, along what at and end count.
func (c *Comparison) courses(runs []IncumbentRun, at func(Incumbent) float64, end func(IncumbentRun) float64) (values, regrets []stats.Course) {
	values, regrets = make([]stats.Course, len(runs)), make([]stats.Course, len(runs))
	for i, r := range runs {
		for _, p := range r.Points {
			values[i].At = append(values[i].At, at(p))
			values[i].Value = append(values[i].Value, p.Value)
			if c.Best != nil {
				regrets[i].Value = append(regrets[i].Value, math.Abs(*c.Best-p.Value))
			}
		}
		values[i].End = end(r)
		regrets[i].At, regrets[i].End = values[i].At, values[i].End
	}
	return values, regrets
}

// momentsOf looks at runs at shares of the longest, and at the first place where that is not 0.
func momentsOf(runs []stats.Course, first float64) ([]stats.Moment, error) {
	end := 0.0
	for _, r := range runs {
		end = max(end, r.End)
	}
	places := []float64{first}
	for _, share := range anytimeShares {
		places = append(places, math.Round(share*end))
	}
	slices.Sort(places)
	places = slices.Compact(places)
	places = slices.DeleteFunc(places, func(at float64) bool { return at < 1 })
	return stats.Anytime(runs, places)
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
