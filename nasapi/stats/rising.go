package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// TauPoint is the tau of one save point of one run.
type TauPoint struct {
	Seed int64   `json:"seed"`
	Step float64 `json:"step"` // epochs or steps of training, from 0
	Tau  float64 `json:"tau"`  // NaN where it is undefined
}

// Trend is what StillRising concludes.
type Trend string

const (
	// Rising: tau still grows; the training was too short to judge the policy by.
	Rising Trend = "rising"
	// NotRising: tau has settled, or falls.
	NotRising Trend = "not rising"
	// TrendUnknown: the points do not tell one from the other.
	TrendUnknown Trend = "unknown"
)

const (
	// riseMargin is the growth of tau over the last half of training that does not
	// matter: a fifth of what lies between the taus that Yu et al. publish for their
	// smallest and largest space, 0.441 and 0.195.
	riseMargin = 0.05
	// risePoints are needed in the last half of a run: with fewer no order of them is
	// significant at the level of one side, 0.05 (1 of 4! orders is).
	risePoints = 4
	riseTail   = 0.05
)

// RiseReport is the verdict whether tau still rises at the end of training.
type RiseReport struct {
	Verdict Trend  `json:"verdict"`
	Why     string `json:"why"`
	// Rise is by how much tau changes over the last half of training, From to To, and
	// Low to High its interval at 90 percent, 5 on each side.
	Rise Number  `json:"rise"`
	Low  Number  `json:"rise_low"`
	High Number  `json:"rise_high"`
	From float64 `json:"from"`
	To   float64 `json:"to"`
	// Seeds are the runs that it rests on, LeftOut those with too few points.
	Seeds   int    `json:"seeds"`
	LeftOut int    `json:"seeds_left_out"`
	Method  string `json:"method,omitempty"`
}

// Inconclusive tells whether a low tau says nothing yet: it rises, or nobody knows.
func (r RiseReport) Inconclusive() bool { return r.Verdict != NotRising }

// StillRising judges from the taus of a policy's runs, in any order, whether tau against
// steps still rises at the end. Of each run that has at least four save points in the last
// half of training it takes the median of the slopes between any two of them (Theil 1950,
// Sen 1968), which one odd save point cannot turn. Runs are independent, save points of a
// run are not: with two runs or more the interval of the slope is Student's over runs.
// With one it is Sen's, which takes the save points' errors for independent and is too
// narrow to the degree that they are not.
//
// The verdict is Rising where the whole interval lies above 0, NotRising where it ends
// below a rise of 0.05 over that half, and TrendUnknown else: that a rise is not
// significant does not show that there is none.
func StillRising(points []TauPoint) (RiseReport, error) {
	runs, err := runsOf(points)
	if err != nil {
		return RiseReport{}, fmt.Errorf("rise of tau: %w", err)
	}
	r := RiseReport{Verdict: TrendUnknown}
	for _, p := range points {
		r.To = max(r.To, p.Step)
	}
	r.From = r.To / 2
	var halves [][]TauPoint
	for _, run := range runs {
		run = slices.DeleteFunc(run, func(p TauPoint) bool { return p.Step < r.From || math.IsNaN(p.Tau) })
		if len(run) < risePoints {
			r.LeftOut++
			continue
		}
		halves = append(halves, run)
	}
	r.Seeds = len(halves)
	if r.Seeds == 0 {
		r.Why = fmt.Sprintf("no run has %d save points in the last half of training", risePoints)
		return r, nil
	}
	slope, low, high := seedSlopes(halves)
	r.Method = "Theil-Sen slopes, Student's interval over runs"
	if r.Seeds == 1 {
		low, high = senInterval(halves[0])
		r.Method = "Theil-Sen slope, Sen's interval of one run"
	}
	span := r.To - r.From
	r.Rise, r.Low, r.High = Defined(slope*span), Defined(low*span), Defined(high*span)
	r.judge()
	return r, nil
}

func (r *RiseReport) judge() {
	over := fmt.Sprintf("tau changes by %+.3f (%+.3f to %+.3f) over the last half of training", r.Rise.Value, r.Low.Value, r.High.Value)
	switch {
	case r.Low.Value > 0:
		r.Verdict, r.Why = Rising, over
	case r.High.Value < riseMargin:
		r.Verdict, r.Why = NotRising, over
	default:
		r.Why = over + ": neither a rise nor its absence is shown"
	}
}

// runsOf sorts points by run and step.
func runsOf(points []TauPoint) ([][]TauPoint, error) {
	sorted := slices.Clone(points)
	slices.SortFunc(sorted, func(a, b TauPoint) int {
		return cmp.Or(cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Step, b.Step))
	})
	var runs [][]TauPoint
	for i, p := range sorted {
		switch {
		case !(p.Step >= 0) || math.IsInf(p.Step, 0):
			return nil, fmt.Errorf("step %v of seed %d; steps are finite and count from 0", p.Step, p.Seed)
		case math.Abs(p.Tau) > 1:
			return nil, fmt.Errorf("a tau of %v at step %v of seed %d; it lies in -1..1, NaN where it is undefined", p.Tau, p.Step, p.Seed)
		case i == 0 || p.Seed != sorted[i-1].Seed:
			runs = append(runs, nil)
		case p.Step == sorted[i-1].Step:
			return nil, fmt.Errorf("two taus at step %v of seed %d; give one", p.Step, p.Seed)
		}
		last := len(runs) - 1
		runs[last] = append(runs[last], p)
	}
	return runs, nil
}

// pairSlopes are the slopes between any two points, ascending.
func pairSlopes(run []TauPoint) []float64 {
	var out []float64
	for i, p := range run {
		for _, q := range run[:i] {
			out = append(out, (p.Tau-q.Tau)/(p.Step-q.Step))
		}
	}
	slices.Sort(out)
	return out
}

// seedSlopes is the mean of the runs' median slopes with Student's interval, which is
// all numbers for one run.
func seedSlopes(runs [][]TauPoint) (slope, low, high float64) {
	var medians []float64
	for _, run := range runs {
		medians = append(medians, quantile(pairSlopes(run), 0.5))
	}
	slope = mean(medians)
	n := float64(len(medians))
	if n < 2 {
		return slope, math.Inf(-1), math.Inf(1)
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(1 - riseTail)
	half := t * math.Sqrt(variance(medians)/n)
	return slope, slope - half, slope + half
}

// senInterval bounds the slope of one run: as many of the extreme pair slopes are cut off
// on each side as there may be exchanged pairs, at most, with probability riseTail where
// the slope is true (Sen 1968).
func senInterval(run []TauPoint) (low, high float64) {
	s := pairSlopes(run)
	cut := exchangedAtMost(len(run), riseTail)
	return s[cut], s[len(s)-1-cut]
}

// exchangedAtMost is the largest number c of exchanged pairs of n values with
// P(exchanged <= c) <= p; 0 where there is none.
func exchangedAtMost(n int, p float64) int {
	if n > maxExactKendall {
		f := float64(n)
		pairs := f * (f - 1) / 2
		sd := math.Sqrt(pairs * (f + f + 5) / 9)
		return max(int(math.Floor((pairs-float64(distuv.UnitNormal.Quantile(1-p)*sd))/2))-1, 0)
	}
	sum := 0.0
	for c, chance := range exchangedPairs(n) {
		if sum += chance; sum > p {
			return max(c-1, 0)
		}
	}
	return 0
}
