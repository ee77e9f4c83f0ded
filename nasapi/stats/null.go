package stats

import (
	"fmt"
	"math"
	"math/cmplx"
	"sort"

	"gonum.org/v1/gonum/dsp/fourier"
)

const (
	// maxLattice bounds the length of the convolution: 2^20 points take about
	// a tenth of a second.
	maxLattice = 1 << 20
	// maxRuns keeps at least a hundred grid steps a draw on that lattice.
	maxRuns = 10_000
)

// MinP is the smallest probability that Null resolves: the round-off of the
// convolution lies below it. A chance smaller than MinP is returned as MinP
// and is to be printed as an upper bound.
const MinP = 1e-12

// Null is the distribution of the mean percentile of n independent uniform
// draws (with replacement) from a finite space: what a random policy gets. It
// is immutable and safe for concurrent use; making one takes a few tenths of
// a second at most, so keep it.
//
// Where the half mid-ranks of n draws fit a lattice of 2^20 points the
// distribution is exact up to round-off. Else each draw's mass is split
// between its two neighbours on a regular grid of 2^20/n steps. That keeps the
// mean exactly, and leaves quantiles, the standard deviation and the place of
// any probability within 1e-4 percentile points of the truth.
type Null struct {
	runs int
	// top is the percentile of the best level; a lattice point k is the mean
	// percentile top - k*step.
	top, step float64
	exact     bool
	mean, sd  float64
	mass      []float64
	atLeast   []float64 // atLeast[k] = P(mean percentile >= top - k*step)
	draw      drawAtoms // one draw, for the power of an alternative
}

// drawAtoms is the distribution of one draw: probability and deficit of each
// level from the best one, the deficit in units of half a rank.
type drawAtoms struct {
	prob      []float64
	deficits2 []int
	n         int // cells of the space
}

// MeanPercentileNull returns the null distribution for n runs, 1 to 10,000.
func (r *Ranking) MeanPercentileNull(n int) (*Null, error) {
	if n < 1 || n > maxRuns {
		return nil, fmt.Errorf("null of the mean percentile: %d runs; allowed are 1 to %d", n, maxRuns)
	}
	counts, deficits2 := r.tieWeights()
	atoms := drawAtoms{prob: counts, deficits2: deficits2, n: r.N()}
	for i := range counts {
		counts[i] /= float64(atoms.n)
	}
	return newNull(atoms, n, maxLattice), nil
}

// newNull convolves n draws on a lattice of at most limit points.
func newNull(atoms drawAtoms, n, limit int) *Null {
	first := atoms.deficits2[0]
	span := atoms.deficits2[len(atoms.deficits2)-1] - first // half ranks between best and worst level
	perDeficit := 100 / (2 * float64(atoms.n))              // percentile points a half rank is worth
	steps, exact := span, true
	if span*n+1 > limit {
		steps, exact = (limit-1)/n, false
	}
	z := &Null{
		runs: n, exact: exact, draw: atoms,
		top: 100 - float64(first)*perDeficit,
	}
	if span > 0 {
		z.step = float64(span) / float64(steps) * perDeficit / float64(n)
	}
	one := make([]float64, steps+1)
	for i, d := range atoms.deficits2 {
		spread(one, d-first, span, atoms.prob[i])
	}
	z.mass = convolvePower(one, n)
	z.atLeast = make([]float64, len(z.mass))
	sum := 0.0
	for k, m := range z.mass {
		sum += m
		z.atLeast[k] = sum
	}
	z.moments(perDeficit)
	return z
}

// spread puts the mass p at position d of 0..span onto the lattice, between
// its two neighbours in proportion, which keeps the mean.
func spread(lattice []float64, d, span int, p float64) {
	steps := len(lattice) - 1
	if span == 0 {
		lattice[0] += p
		return
	}
	scaled := d * steps
	k, rest := scaled/span, scaled%span
	if rest == 0 {
		lattice[k] += p
		return
	}
	f := float64(rest) / float64(span)
	lattice[k] += p * (1 - f)
	lattice[k+1] += p * f
}

// moments sets mean and standard deviation from the draw itself, so they do
// not depend on the lattice.
func (z *Null) moments(perDeficit float64) {
	mean := 0.0
	for i, p := range z.draw.prob {
		mean += p * float64(z.draw.deficits2[i])
	}
	variance := 0.0
	for i, p := range z.draw.prob {
		d := float64(z.draw.deficits2[i]) - mean
		variance += p * d * d
	}
	z.mean = 100 - mean*perDeficit
	z.sd = math.Sqrt(variance/float64(z.runs)) * perDeficit
}

// convolvePower returns the n-fold convolution of one, by a real Fourier
// transform; negative round-off is set to 0.
func convolvePower(one []float64, n int) []float64 {
	size := (len(one)-1)*n + 1
	if n == 1 {
		return append([]float64(nil), one...)
	}
	length := 1
	for length < size {
		length *= 2
	}
	padded := make([]float64, length)
	copy(padded, one)
	fft := fourier.NewFFT(length)
	coeff := fft.Coefficients(nil, padded)
	for i, c := range coeff {
		coeff[i] = powInt(c, n)
	}
	out := fft.Sequence(padded, coeff)[:size]
	for i := range out {
		out[i] = max(out[i]/float64(length), 0)
	}
	return out
}

// powInt is c^n by squaring: exact for n = 1 and faster than cmplx.Pow.
func powInt(c complex128, n int) complex128 {
	if cmplx.Abs(c) == 0 {
		return 0
	}
	out := complex(1, 0)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			out *= c
		}
		c *= c
	}
	return out
}

// Runs is the number of draws whose mean this is.
func (z *Null) Runs() int { return z.runs }

// Exact tells whether the lattice holds every attainable mean; if not, the
// bound of the type's comment applies.
func (z *Null) Exact() bool { return z.exact }

// Mean is the expected mean percentile, near 50 (a little above, because
// percentile 100 is attained and 0 is not).
func (z *Null) Mean() float64 { return z.mean }

// SD is the standard deviation of the mean percentile.
func (z *Null) SD() float64 { return z.sd }

// PAtLeast is the one-sided p: the chance that the mean percentile of random
// sampling is x or higher, ties counted. It is never below MinP.
func (z *Null) PAtLeast(x float64) float64 { return clampP(z.upper(x)) }

// PAtMost is the chance that the mean percentile of random sampling is x or
// lower, ties counted. It is never below MinP.
func (z *Null) PAtMost(x float64) float64 { return clampP(1 - z.above(x)) }

// TwoSided doubles the smaller one-sided p, at most 1.
func (z *Null) TwoSided(x float64) float64 {
	return min(1, 2*min(z.PAtLeast(x), z.PAtMost(x)))
}

func clampP(p float64) float64 { return min(max(p, MinP), 1) }

// slack is the part of a lattice step within which two means are the same: a
// caller's sum of percentiles carries rounding errors.
const slack = 1e-3

// position is x in lattice steps below the top.
func (z *Null) position(x float64) float64 {
	if z.step == 0 {
		switch {
		case x > z.top+1e-9:
			return -1
		case x < z.top-1e-9:
			return 1
		}
		return 0
	}
	return (z.top - x) / z.step
}

// upper is P(mean percentile >= x).
func (z *Null) upper(x float64) float64 {
	t := z.position(x)
	if z.exact {
		return z.cumulative(int(math.Floor(t + slack)))
	}
	return z.smooth(t)
}

// above is P(mean percentile > x).
func (z *Null) above(x float64) float64 {
	t := z.position(x)
	if z.exact {
		return z.cumulative(int(math.Ceil(t-slack)) - 1)
	}
	return z.smooth(t)
}

func (z *Null) cumulative(k int) float64 {
	switch {
	case k < 0:
		return 0
	case k >= len(z.atLeast):
		return 1
	}
	return z.atLeast[k]
}

// smooth treats the mass of a grid point as spread evenly over one step around
// it: on the grid a point stands for the means near it, not for a tie.
func (z *Null) smooth(t float64) float64 {
	k := int(math.Floor(t - 0.5))
	f := t - 0.5 - float64(k)
	return z.cumulative(k)*(1-f) + z.cumulative(k+1)*f
}

// Quantile is the smallest mean percentile x with P(mean <= x) >= q, for q in
// 0..1 (held within).
func (z *Null) Quantile(q float64) float64 {
	// P(mean <= top - k*step) = 1 - atLeast[k-1]; look for the largest such k.
	first := sort.Search(len(z.atLeast), func(k int) bool { return 1-z.cumulative(k-1) < q-MinP })
	return z.at(max(first-1, 0))
}

func (z *Null) at(k int) float64 { return z.top - float64(k)*z.step }

// Detectable is what n runs can show.
type Detectable struct {
	Alpha float64 // one-sided level
	// Threshold is the smallest attainable mean percentile with
	// PAtLeast <= Alpha.
	Threshold float64
	// Difference is Threshold - Mean of the null: a smaller lead over random
	// sampling cannot be significant with this number of runs.
	Difference float64
}

// SmallestDetectable returns the smallest mean percentile that would be
// significant at the one-sided level alpha in (0, 1). It is an error where not
// even all runs on the best cell would be.
func (z *Null) SmallestDetectable(alpha float64) (Detectable, error) {
	if !(alpha > 0 && alpha < 1) {
		return Detectable{}, fmt.Errorf("smallest detectable difference: level %v; it lies between 0 and 1, such as 0.05", alpha)
	}
	k := sort.Search(len(z.atLeast), func(k int) bool { return z.atLeast[k] > alpha }) - 1
	if k < 0 {
		return Detectable{}, fmt.Errorf("smallest detectable difference: undefined: %d runs cannot be significant at level %v in a space of %d cells",
			z.runs, alpha, z.draw.n)
	}
	t := z.at(k)
	return Detectable{Alpha: alpha, Threshold: t, Difference: t - z.mean}, nil
}

// Powered is an alternative to random sampling that n runs find with a given
// power.
type Powered struct {
	Power float64
	// DrawsPerRun is k of the alternative: each run is as good as the best of
	// k uniform draws (k > 1, not necessarily whole).
	DrawsPerRun float64
	// MeanPercentile is the expectation of such a run.
	MeanPercentile float64
}

// Detect returns the weakest alternative that is significant at the one-sided
// level alpha with the given power. The alternatives are Lehmann's: each run
// is distributed as the best of k uniform draws, which needs no assumption of
// a shift (a percentile cannot be shifted past 100).
func (z *Null) Detect(alpha, power float64) (Powered, error) {
	if !(power > 0 && power < 1) {
		return Powered{}, fmt.Errorf("detectable alternative: power %v; it lies between 0 and 1, such as 0.8", power)
	}
	d, err := z.SmallestDetectable(alpha)
	if err != nil {
		return Powered{}, err
	}
	const coarse = 1 << 13 // a hundredth of a point is enough for a power
	limit := max(coarse, 64*z.runs)
	powerOf := func(k float64) float64 {
		alt := newNull(z.draw.bestOf(k), z.runs, limit)
		return alt.upper(d.Threshold)
	}
	lo, hi := 0.0, 1.0 // logarithms of k
	for powerOf(math.Exp(hi)) < power {
		if hi *= 2; hi > 32 {
			return Powered{}, fmt.Errorf("detectable alternative: undefined: %d runs never reach power %v at level %v here", z.runs, power, alpha)
		}
	}
	for range 40 {
		mid := (lo + hi) / 2
		if powerOf(math.Exp(mid)) < power {
			lo = mid
		} else {
			hi = mid
		}
	}
	k := math.Exp(hi)
	return Powered{Power: power, DrawsPerRun: k, MeanPercentile: newNull(z.draw.bestOf(k), 1, limit).mean}, nil
}

// bestOf is the distribution of the best of k draws, k >= 1 and real.
func (d drawAtoms) bestOf(k float64) drawAtoms {
	out := drawAtoms{prob: make([]float64, len(d.prob)), deficits2: d.deficits2, n: d.n}
	worse := 1.0 // chance of one draw to be at this level or worse
	for i, p := range d.prob {
		next := max(worse-p, 0)
		if i == len(d.prob)-1 {
			next = 0
		}
		out.prob[i] = math.Pow(worse, k) - math.Pow(next, k)
		worse = next
	}
	return out
}
