package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// WelchResult is the outcome of Welch's t-test.
type WelchResult struct {
	T, DF                   float64
	TwoSided, Greater, Less float64 // Greater tests mean(a) > mean(b)
}

// Welch tests the difference of the means of two samples of unequal variance.
// It needs two values in each and some variation. Accuracies of cells are
// skewed by a few failures: read it after the effect size and the rank test.
func Welch(a, b []float64) (WelchResult, error) {
	if err := twoSamples("Welch's t-test", a, b); err != nil {
		return WelchResult{}, err
	}
	if len(a) < 2 || len(b) < 2 {
		return WelchResult{}, fmt.Errorf("Welch's t-test: %w: samples of %d and %d values; each needs two", ErrUndefined, len(a), len(b))
	}
	va, vb := variance(a)/float64(len(a)), variance(b)/float64(len(b))
	if va+vb == 0 {
		return WelchResult{}, fmt.Errorf("Welch's t-test: %w: no variation in either sample", ErrUndefined)
	}
	r := WelchResult{T: (mean(a) - mean(b)) / math.Sqrt(va+vb)}
	// Welch-Satterthwaite, on shares so that tiny variances do not underflow.
	sa, sb := va/(va+vb), vb/(va+vb)
	r.DF = 1 / (sa*sa/float64(len(a)-1) + sb*sb/float64(len(b)-1))
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: r.DF}
	r.Greater, r.Less = t.Survival(r.T), t.CDF(r.T)
	r.TwoSided = min(1, 2*t.CDF(-math.Abs(r.T)))
	return r, nil
}
