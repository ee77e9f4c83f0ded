package stats

import "math"

// maxExactKendall is the number of pairs up to which all orders are counted; beyond
// it the normal approximation is closer than anyone prints.
const maxExactKendall = 60

// KendallResult is Kendall's tau-b with its test against no association.
type KendallResult struct {
	Tau   float64
	Pairs int
	// TwoSided is the chance that an order without any association has a tau as far
	// from 0, or farther.
	TwoSided float64
	// NullSD is the standard deviation of tau without association, ties kept.
	NullSD float64
	// Method is "exact" (up to 60 pairs, no ties) or "normal approximation" (with
	// tie correction, no continuity correction).
	Method string
}

// KendallTauTest tests whether x and y are associated: Kendall, Rank Correlation
// Methods (1970), chapters 4 and 5. It is undefined where KendallTau is.
func KendallTauTest(x, y []float64) (KendallResult, error) {
	p, err := comparePairs(x, y)
	if err != nil {
		return KendallResult{}, err
	}
	sx, sy := p.scale()
	sd := math.Sqrt(p.nullVariance())
	r := KendallResult{Tau: p.tau(), Pairs: len(x), NullSD: sd / sx / sy}
	if p.x.pairs == 0 && p.y.pairs == 0 && len(x) <= maxExactKendall {
		r.Method = "exact"
		r.TwoSided = exactKendall(len(x), math.Abs(p.s))
		return r, nil
	}
	r.Method = "normal approximation"
	r.TwoSided = min(1, 2*normalUpper(math.Abs(p.s)/sd))
	return r, nil
}

// nullVariance is the variance of s over all orders of y.
func (p pairCounts) nullVariance() float64 {
	m := p.n * (p.n - 1)
	v := (float64(m*(p.n+p.n+5)) - p.x.variance - p.y.variance) / 18
	v += float64(2 * p.x.pairs * p.y.pairs / m)
	if p.n > 2 {
		v += float64(p.x.triples * p.y.triples / (9 * m * (p.n - 2)))
	}
	return v
}

// exactKendall is P(|S| >= s) over the n! orders without ties.
func exactKendall(n int, s float64) float64 {
	all := float64(n*(n-1)) / 2
	p := 0.0
	for k, c := range exchangedPairs(n) {
		if all-2*float64(k) < s {
			break // the lower tail; the other one is its mirror image
		}
		p += c
	}
	return min(1, 2*p)
}

// exchangedPairs[k] is the chance of k exchanged pairs in a random order of n values.
func exchangedPairs(n int) []float64 {
	chance := []float64{1}
	for i := 2; i <= n; i++ {
		// The i-th value passes 0 to i-1 of those before it with equal chance.
		next := make([]float64, i*(i-1)/2+1)
		window := 0.0
		for k := range next {
			if k < len(chance) {
				window += chance[k]
			}
			if k >= i {
				window -= chance[k-i]
			}
			next[k] = max(window, 0) / float64(i)
		}
		chance = next
	}
	return chance
}
