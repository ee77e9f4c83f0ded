package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// maxExact is the number of values of both samples up to which MannWhitney
// counts all arrangements; beyond it the normal approximation is close.
const maxExact = 60

// MannWhitneyResult is the outcome of a Mann-Whitney U test.
type MannWhitneyResult struct {
	// U counts the pairs in which the value of a is greater, ties as half.
	U float64
	// TwoSided, Greater and Less are the p-values; Greater tests whether the
	// values of a tend to be greater than those of b. TwoSided is twice the
	// smaller of the others, at most 1.
	TwoSided, Greater, Less float64
	// Method is "exact" (all arrangements of the pooled values, ties kept) or
	// "normal approximation" (with tie and continuity correction).
	Method string
}

// MannWhitney tests whether the values of a tend to be greater or less than
// those of b. It is exact, with ties too, up to 60 values in both samples.
// Samples that are all one value have no evidence either way: p = 1.
func MannWhitney(a, b []float64) (MannWhitneyResult, error) {
	if err := twoSamples("Mann-Whitney test", a, b); err != nil {
		return MannWhitneyResult{}, err
	}
	ranks2, ties := pooledRanks(a, b)
	sum2 := 0 // twice the rank sum of a
	for _, r := range ranks2[:len(a)] {
		sum2 += r
	}
	res := MannWhitneyResult{U: float64(sum2-len(a)*(len(a)+1)) / 2}
	if len(a)+len(b) <= maxExact {
		res.Method = "exact"
		res.Greater, res.Less = exactRankSum(ranks2, len(a), sum2)
	} else {
		res.Method = "normal approximation"
		res.Greater, res.Less = normalRankSum(res.U, len(a), len(b), ties)
	}
	res.TwoSided = min(1, 2*min(res.Greater, res.Less))
	return res, nil
}

func twoSamples(op string, a, b []float64) error {
	for i, s := range [][]float64{a, b} {
		if err := checkFinite(fmt.Sprintf("%s, sample %d", op, i+1), s); err != nil {
			return err
		}
	}
	return nil
}

// pooledRanks returns twice the mid-ranks (1 = smallest) of a followed by b,
// whole numbers, and the sizes of the groups of equal values.
func pooledRanks(a, b []float64) (ranks2, ties []int) {
	pool := append(slices.Clone(a), b...)
	order := make([]int, len(pool))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(pool[i], pool[j]) })
	ranks2 = make([]int, len(pool))
	for lo := 0; lo < len(order); {
		hi := lo + 1
		for hi < len(order) && pool[order[hi]] == pool[order[lo]] {
			hi++
		}
		for _, i := range order[lo:hi] {
			ranks2[i] = lo + 1 + hi
		}
		ties = append(ties, hi-lo)
		lo = hi
	}
	return ranks2, ties
}

// exactRankSum returns P(sum >= observed) and P(sum <= observed) of twice the
// rank sum when m of the pooled values are drawn without replacement.
func exactRankSum(ranks2 []int, m, observed int) (greater, less float64) {
	total := 0
	for _, r := range ranks2 {
		total += r
	}
	// ways[j][s]: choices of j values with sum s. C(60, 30) = 1.2e17 is held
	// to 16 digits, which is plenty for a ratio.
	ways := make([][]float64, m+1)
	for j := range ways {
		ways[j] = make([]float64, total+1)
	}
	ways[0][0] = 1
	for i, r := range ranks2 {
		for j := min(i+1, m); j >= 1; j-- {
			for s := total; s >= r; s-- {
				ways[j][s] += ways[j-1][s-r]
			}
		}
	}
	var all, above, below float64
	for s, w := range ways[m] {
		all += w
		if s >= observed {
			above += w
		}
		if s <= observed {
			below += w
		}
	}
	return above / all, below / all
}

func normalRankSum(u float64, m, n int, ties []int) (greater, less float64) {
	fm, fn := float64(m), float64(n)
	total := fm + fn
	correction := 0.0
	for _, t := range ties {
		ft := float64(t)
		correction += ft * (ft*ft - 1)
	}
	v := fm * fn / 12 * (total + 1 - correction/(total*(total-1)))
	if v <= 0 {
		return 1, 1 // all values are equal
	}
	sd := math.Sqrt(v)
	d := u - fm*fn/2
	return normalUpper((d - 0.5) / sd), normalUpper((-d - 0.5) / sd)
}

// normalUpper is the upper tail of the standard normal distribution.
func normalUpper(z float64) float64 { return 0.5 * math.Erfc(z/math.Sqrt2) }

// CliffsDelta is P(a > b) - P(a < b) over all pairs, in -1..1: an effect size
// that needs no distribution. By the convention of Romano et al. (2006)
// |delta| under 0.147 is negligible, under 0.33 small, under 0.474 medium.
func CliffsDelta(a, b []float64) (float64, error) {
	if err := twoSamples("Cliff's delta", a, b); err != nil {
		return 0, err
	}
	ranks2, _ := pooledRanks(a, b)
	sum2 := 0
	for _, r := range ranks2[:len(a)] {
		sum2 += r
	}
	pairs := float64(len(a)) * float64(len(b))
	u2 := float64(sum2 - len(a)*(len(a)+1)) // twice U
	return u2/pairs - 1, nil
}
