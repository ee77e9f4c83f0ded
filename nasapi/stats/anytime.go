package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Course is what one run had at hand as it went on: Value[i] holds from At[i] on, until
// At[i+1] or the End of the run.
type Course struct {
	At    []float64 // queries or seconds, ascending
	Value []float64
	End   float64
}

// at is what the run had at hand at x: nothing before its first value. A run that has ended
// keeps its last.
func (c Course) at(x float64) (float64, bool) {
	i, found := slices.BinarySearch(c.At, x)
	if found {
		i++
	}
	if i == 0 {
		return 0, false
	}
	return c.Value[i-1], true
}

func (c Course) check(run int) error {
	switch {
	case len(c.At) != len(c.Value) || len(c.At) == 0:
		return fmt.Errorf("anytime summary: run %d has %d places and %d values; each value has a place, and there is one at least", run, len(c.At), len(c.Value))
	case !slices.IsSortedFunc(c.At, func(a, b float64) int { return cmp.Compare(a, b) }):
		return fmt.Errorf("anytime summary: the places of run %d do not ascend", run)
	case !(c.End >= c.At[len(c.At)-1]) || math.IsInf(c.End, 0):
		return fmt.Errorf("anytime summary: run %d ends at %v, before its last value at %v", run, c.End, c.At[len(c.At)-1])
	}
	return checkFinite(fmt.Sprintf("anytime summary, run %d", run), append(slices.Clone(c.At), c.Value...))
}

// Moment is how runs stand at one place.
type Moment struct {
	At   float64 `json:"at"`
	Runs int     `json:"runs"` // that have a value by then; the rest is over these
	// Ended are those of them that had ended before, with their last value.
	Ended  int    `json:"ended,omitempty"`
	Mean   Number `json:"mean"`
	SD     Number `json:"sd"`
	Median Number `json:"median"`
	Q1     Number `json:"q1"`
	Q3     Number `json:"q3"`
}

// Anytime summarises runs at each of the places. Runs count from their first value on.
func Anytime(runs []Course, places []float64) ([]Moment, error) {
	for i, r := range runs {
		if err := r.check(i + 1); err != nil {
			return nil, err
		}
	}
	var out []Moment
	for _, x := range places {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("anytime summary: the place %v; places are finite", x)
		}
		m := Moment{At: x}
		var values []float64
		for _, r := range runs {
			v, ok := r.at(x)
			if !ok {
				continue
			}
			values = append(values, v)
			if r.End < x {
				m.Ended++
			}
		}
		if m.Runs = len(values); m.Runs > 0 {
			s, err := Describe(values)
			if err != nil {
				return nil, err
			}
			m.Mean, m.Median, m.Q1, m.Q3 = Defined(s.Mean), Defined(s.Median), Defined(s.Q1), Defined(s.Q3)
			if s.HasSD {
				m.SD = Defined(s.SD)
			}
		}
		out = append(out, m)
	}
	return out, nil
}

// AreaUnder is the mean of a run's value over the way from its first value to a place: of
// regret, how much was left on average, whenever one had stopped.
func AreaUnder(c Course, to float64) (float64, error) {
	if err := c.check(1); err != nil {
		return 0, err
	}
	if to <= c.At[0] {
		return 0, fmt.Errorf("mean up to %v: %w: the run has its first value at %v", to, ErrUndefined, c.At[0])
	}
	sum := 0.0
	for i, v := range c.Value {
		next := to
		if i+1 < len(c.At) {
			next = min(c.At[i+1], to)
		}
		if next <= c.At[i] {
			break
		}
		sum += float64(v * (next - c.At[i]))
	}
	return sum / (to - c.At[0]), nil
}
