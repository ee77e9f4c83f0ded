package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrUndefined is wrapped by the errors of quantities that the data do not
// define, such as the deviation of one value or a test without variation. The
// text after it is fit to be printed in a table's cell.
var ErrUndefined = errors.New("undefined")

// Summary describes a sample.
type Summary struct {
	N    int
	Mean float64
	// SD is the sample standard deviation (divided by N - 1). It is defined
	// for two values and more: HasSD tells.
	SD    float64
	HasSD bool
	Min   float64
	Q1    float64 // quartiles by Quantile
	Median,
	Q3, Max float64
}

// Describe summarises values. No values and values that are not finite are
// errors.
func Describe(values []float64) (Summary, error) {
	sorted, err := sortedFinite("describe", values)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{
		N: len(sorted), Mean: mean(sorted),
		Min: sorted[0], Max: sorted[len(sorted)-1],
		Q1: quantile(sorted, 0.25), Median: quantile(sorted, 0.5), Q3: quantile(sorted, 0.75),
	}
	if s.N > 1 {
		s.SD, s.HasSD = math.Sqrt(variance(sorted)), true
	}
	return s, nil
}

// Quantile is the q-quantile of values, 0 <= q <= 1, by linear interpolation
// between order statistics: type 7 of Hyndman and Fan (1996), the default of R
// and NumPy.
func Quantile(values []float64, q float64) (float64, error) {
	if !(q >= 0 && q <= 1) {
		return 0, fmt.Errorf("quantile: q = %v; it lies in 0..1", q)
	}
	sorted, err := sortedFinite("quantile", values)
	if err != nil {
		return 0, err
	}
	return quantile(sorted, q), nil
}

// Median is the middle value, or the mean of the two middle values.
func Median(values []float64) (float64, error) { return Quantile(values, 0.5) }

// Mean is the arithmetic mean.
func Mean(values []float64) (float64, error) {
	if err := checkFinite("mean", values); err != nil {
		return 0, err
	}
	return mean(values), nil
}

// RelativeImprovement is 100 (m - r) / |r| in percent, the sign turned where
// lower is better, so that positive is an improvement over r.
func RelativeImprovement(m, r float64, higherIsBetter bool) (float64, error) {
	if r == 0 || math.IsNaN(m-r) || math.IsInf(m-r, 0) {
		return 0, fmt.Errorf("relative improvement of %v over %v: %w", m, r, ErrUndefined)
	}
	d := 100 * (m - r) / math.Abs(r)
	if !higherIsBetter {
		d = -d
	}
	return d, nil
}

// sortedFinite returns a sorted copy, or an error that names the operation.
func sortedFinite(op string, values []float64) ([]float64, error) {
	if err := checkFinite(op, values); err != nil {
		return nil, err
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted, nil
}

// checkFinite refuses a sample that is empty or has a value that is not finite.
func checkFinite(op string, values []float64) error {
	if len(values) == 0 {
		return fmt.Errorf("%s: %w: no values", op, ErrUndefined)
	}
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s: value %d of %d is %v; only finite values can be used", op, i+1, len(values), v)
		}
	}
	return nil
}

// The explicit conversions below keep compilers from fusing a product with a
// sum, which would make the last bit depend on the processor.

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	m := sum / float64(len(values))
	// One correction step removes the rounding of the long sum.
	rest := 0.0
	for _, v := range values {
		rest += v - m
	}
	return m + rest/float64(len(values))
}

// variance is the sample variance of two values or more.
func variance(values []float64) float64 {
	m := mean(values)
	ss := 0.0
	for _, v := range values {
		d := v - m
		ss += float64(d * d)
	}
	return ss / float64(len(values)-1)
}

func quantile(sorted []float64, q float64) float64 {
	h := q * float64(len(sorted)-1)
	i := int(h)
	if i >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	f := h - float64(i)
	return sorted[i] + float64(f*(sorted[i+1]-sorted[i]))
}
