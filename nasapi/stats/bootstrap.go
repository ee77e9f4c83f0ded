package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"evalnas/nasapi/rng"
)

// DefaultResamples is the number of bootstrap resamples where none is given.
const DefaultResamples = 10_000

// Interval is an estimate with a confidence interval.
type Interval struct {
	Point, Low, High float64
	Level            float64 // confidence, such as 0.95
	Resamples        int
	// Method is "BCa bootstrap" (means), "percentile bootstrap" (medians, whose
	// acceleration the jackknife cannot estimate, and means for which the
	// correction is undefined) or "no variation".
	Method string
}

// Excludes tells whether v lies outside the interval.
func (i Interval) Excludes(v float64) bool { return v < i.Low || v > i.High }

// Bootstrap is the configuration of bootstrap intervals.
type Bootstrap struct {
	Level     float64     // confidence in (0, 1); default 0.95
	Resamples int         // default DefaultResamples
	Stream    *rng.Stream // where resamples come from; required, and used up by the call
}

func (b Bootstrap) check(op string) (Bootstrap, error) {
	if b.Level == 0 {
		b.Level = 0.95
	}
	if b.Resamples == 0 {
		b.Resamples = DefaultResamples
	}
	switch {
	case !(b.Level > 0 && b.Level < 1):
		return b, fmt.Errorf("%s: level %v; it lies between 0 and 1, such as 0.95", op, b.Level)
	case b.Resamples < 100 || b.Resamples > 10_000_000:
		return b, fmt.Errorf("%s: %d resamples; allowed are 100 to 10,000,000", op, b.Resamples)
	case b.Stream == nil:
		return b, fmt.Errorf("%s: no random stream given", op)
	}
	return b, nil
}

// MeanOf is the interval of the mean of a.
func (b Bootstrap) MeanOf(a []float64) (Interval, error) {
	return b.run("bootstrap of the mean", meanStatistic, a)
}

// MedianOf is the interval of the median of a.
func (b Bootstrap) MedianOf(a []float64) (Interval, error) {
	return b.run("bootstrap of the median", medianStatistic, a)
}

// MeanDifference is the interval of mean(a) - mean(b), the samples resampled
// apart.
func (b Bootstrap) MeanDifference(a, c []float64) (Interval, error) {
	return b.run("bootstrap of the difference of means", meanStatistic, a, c)
}

// MedianDifference is the interval of median(a) - median(c).
func (b Bootstrap) MedianDifference(a, c []float64) (Interval, error) {
	return b.run("bootstrap of the difference of medians", medianStatistic, a, c)
}

// statistic is what is resampled; of may reorder its argument, which is a copy.
type statistic struct {
	of     func([]float64) float64
	smooth bool // the jackknife estimates its acceleration
}

var (
	meanStatistic   = statistic{of: mean, smooth: true}
	medianStatistic = statistic{of: func(v []float64) float64 {
		slices.Sort(v)
		return quantile(v, 0.5)
	}}
)

// run makes the interval of stat(first) - stat(second), or of stat(first).
func (b Bootstrap) run(op string, stat statistic, samples ...[]float64) (Interval, error) {
	b, err := b.check(op)
	if err != nil {
		return Interval{}, err
	}
	for i, s := range samples {
		if err := checkFinite(op, s); err != nil {
			return Interval{}, err
		}
		if len(s) < 2 {
			return Interval{}, fmt.Errorf("%s: %w: sample %d has one value; an interval needs two", op, ErrUndefined, i+1)
		}
	}
	estimate := func(draw func(sample []float64) []float64) float64 {
		d := stat.of(draw(samples[0]))
		if len(samples) == 2 {
			d -= stat.of(draw(samples[1]))
		}
		return d
	}
	res := Interval{Level: b.Level, Resamples: b.Resamples, Point: estimate(slices.Clone[[]float64])}
	dist := make([]float64, b.Resamples)
	scratch := []float64(nil)
	for i := range dist {
		dist[i] = estimate(func(s []float64) []float64 {
			scratch = scratch[:0]
			for range s {
				scratch = append(scratch, s[b.Stream.IntN(len(s))])
			}
			return scratch
		})
	}
	slices.Sort(dist)
	lo, hi, method := intervalLevels(dist, res, jackknife(stat, samples))
	res.Low, res.High, res.Method = quantile(dist, lo), quantile(dist, hi), method
	return res, nil
}

// jackknife returns the estimates with one value left out, for each sample in
// turn and with the sign that the sample has in the difference; none for a
// statistic that is not smooth.
func jackknife(stat statistic, samples [][]float64) [][]float64 {
	if !stat.smooth {
		return nil
	}
	out := make([][]float64, len(samples))
	for k, s := range samples {
		sign := 1.0
		if k == 1 {
			sign = -1
		}
		for i := range s {
			rest := append(slices.Clone(s[:i]), s[i+1:]...)
			out[k] = append(out[k], sign*stat.of(rest))
		}
	}
	return out
}

// intervalLevels returns the levels of the bootstrap distribution that bound the
// interval: bias-corrected and accelerated (Efron 1987; for several samples as
// in Efron and Tibshirani 1993, chapter 14), or the plain percentiles where
// the correction is undefined.
func intervalLevels(dist []float64, est Interval, jack [][]float64) (lo, hi float64, method string) {
	tail := (1 - est.Level) / 2
	if dist[0] == dist[len(dist)-1] {
		return tail, 1 - tail, "no variation"
	}
	below := 0.0
	for _, d := range dist {
		switch {
		case d < est.Point:
			below++
		case d == est.Point:
			below += 0.5 // ties are common with few distinct values
		}
	}
	share := below / float64(len(dist))
	a, ok := acceleration(jack)
	if !ok || share <= 0 || share >= 1 {
		return tail, 1 - tail, "percentile bootstrap"
	}
	normal := distuv.UnitNormal
	z0 := normal.Quantile(share)
	adjust := func(q float64) float64 {
		z := z0 + normal.Quantile(q)
		return normal.CDF(z0 + z/(1-a*z))
	}
	lo, hi = adjust(tail), adjust(1-tail)
	if !(lo < hi) {
		return tail, 1 - tail, "percentile bootstrap"
	}
	return lo, hi, "BCa bootstrap"
}

func acceleration(jack [][]float64) (a float64, ok bool) {
	var cubes, squares float64
	for _, j := range jack {
		m, n := mean(j), float64(len(j))
		for _, v := range j {
			u := (n - 1) * (m - v) / n // influence of the value left out
			cubes += u * u * u
			squares += u * u
		}
	}
	if squares == 0 {
		return 0, false
	}
	return cubes / (6 * math.Pow(squares, 1.5)), true
}
