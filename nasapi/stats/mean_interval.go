package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// MeanInterval is Student's interval of the mean of a sample from a normal population,
// two-sided at a level such as 0.95, cut off at what a value can be, from least to most. Of
// fewer than two values it is all of that.
func MeanInterval(values []float64, level, least, most float64) (low, high float64) {
	n := float64(len(values))
	if n < 2 {
		return least, most
	}
	m := mean(values)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.5 + level/2)
	half := t * math.Sqrt(variance(values)/n)
	return max(least, m-half), min(most, m+half)
}
