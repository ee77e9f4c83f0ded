package stats

import (
	"fmt"
	"math"
	"slices"

	"evalnas/nasapi/rng"
)

// maxArrangements is up to how many ways to share out the pooled values are all counted:
// those of ten and ten, 184,756, among them.
const maxArrangements = 200_000

// Permutation is the configuration of permutation tests.
type Permutation struct {
	Resamples int         // where not all ways are counted; default DefaultResamples
	Stream    *rng.Stream // where they come from then; required, and used up by the call
}

// PermutationResult is the outcome of a permutation test.
type PermutationResult struct {
	// Difference is mean(a) - mean(b).
	Difference float64
	// TwoSided is the chance of a difference at least as far from 0 where the labels mean
	// nothing, Greater and Less those of one at least as high and as low.
	TwoSided, Greater, Less float64
	// Method is "exact" (every way to share out the pooled values) or "Monte Carlo", of
	// which Resamples ways are drawn.
	Method    string
	Resamples int
}

// MeanDifference tests whether the means of two samples differ by sharing out the pooled
// values anew (Fisher 1935, Pitman 1937): it needs no distribution, and unlike the rank
// test it asks of means. Drawn ways count the observed one too, (b + 1) / (m + 1), so that
// p is valid and never 0 (Phipson and Smyth 2010). It is undefined where all values are
// equal.
func (p Permutation) MeanDifference(a, b []float64) (PermutationResult, error) {
	const op = "permutation test"
	if err := twoSamples(op, a, b); err != nil {
		return PermutationResult{}, err
	}
	if p.Resamples == 0 {
		p.Resamples = DefaultResamples
	}
	switch {
	case p.Resamples < 100 || p.Resamples > 10_000_000:
		return PermutationResult{}, fmt.Errorf("%s: %d resamples; allowed are 100 to 10,000,000", op, p.Resamples)
	case p.Stream == nil:
		return PermutationResult{}, fmt.Errorf("%s: no random stream given", op)
	}
	pool := append(slices.Clone(a), b...)
	if slices.Min(pool) == slices.Max(pool) {
		return PermutationResult{}, fmt.Errorf("%s: %w: all values equal", op, ErrUndefined)
	}
	t := newTally(pool, len(a))
	r := PermutationResult{Difference: mean(a) - mean(b), Method: "exact"}
	if arrangements(len(pool), len(a)) <= maxArrangements {
		t.all(0, 0, 0)
	} else {
		r.Method, r.Resamples = "Monte Carlo", p.Resamples
		t.count(t.observed)
		for range p.Resamples {
			t.count(t.draw(p.Stream))
		}
	}
	n := float64(t.n)
	r.TwoSided, r.Greater, r.Less = float64(t.beyond)/n, float64(t.greater)/n, float64(t.less)/n
	return r, nil
}

// arrangements is the number of ways to choose m of n, rounded.
func arrangements(n, m int) float64 {
	ways := 1.0
	for i := range min(m, n-m) {
		ways = math.Round(ways * float64(n-i) / float64(i+1))
		if ways > maxArrangements {
			return ways
		}
	}
	return ways
}

// tally counts the sums that the first sample has in other arrangements. A sum decides the
// difference of means, for the sum of all is fixed.
type tally struct {
	pool               []float64 // about its mean
	m                  int       // values of the first sample
	observed, expected float64   // sums of the first sample
	slack              float64   // within which sums are the same
	n, beyond          int
	greater, less      int
}

func newTally(pool []float64, m int) *tally {
	centre := mean(pool)
	t := &tally{pool: make([]float64, len(pool)), m: m}
	size := 0.0
	for i, v := range pool {
		t.pool[i] = v - centre
		size += math.Abs(t.pool[i])
		if i < m {
			t.observed += t.pool[i]
		}
		t.expected += t.pool[i] * float64(m) / float64(len(pool))
	}
	t.slack = 1e-12 * size // sums in another order round otherwise
	return t
}

func (t *tally) count(sum float64) {
	t.n++
	if sum >= t.observed-t.slack {
		t.greater++
	}
	if sum <= t.observed+t.slack {
		t.less++
	}
	if math.Abs(sum-t.expected) >= math.Abs(t.observed-t.expected)-t.slack {
		t.beyond++
	}
}

// all counts every way to choose the values that are left, from place i on.
func (t *tally) all(i, chosen int, sum float64) {
	switch left := len(t.pool) - i; {
	case chosen == t.m:
		t.count(sum)
		return
	case left < t.m-chosen:
		return
	}
	t.all(i+1, chosen+1, sum+t.pool[i])
	t.all(i+1, chosen, sum)
}

// draw is the sum of a random arrangement.
func (t *tally) draw(stream *rng.Stream) float64 {
	sum := 0.0
	for _, i := range stream.Sample(len(t.pool), t.m) {
		sum += t.pool[i]
	}
	return sum
}
