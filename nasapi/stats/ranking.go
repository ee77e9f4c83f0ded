package stats

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// Ranking is the order of all values of a finite space. It is immutable and
// safe for concurrent use.
type Ranking struct {
	levels []float64 // the distinct values, best first
	before []int     // before[i] cells are better than levels[i]; one more entry at the end holds N
	higher bool
}

// NewRanking orders the values of a space, one for each cell, in any order
// (the slice is not kept). higherIsBetter is true for accuracies and false
// for errors, losses and perplexities.
func NewRanking(values []float64, higherIsBetter bool) (*Ranking, error) {
	if len(values) == 0 {
		return nil, fmt.Errorf("ranking: the space has no values; give at least one")
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted) // NaNs, if any, come first
	if bad := sorted[0]; math.IsNaN(bad) || math.IsInf(bad, 0) {
		return nil, fmt.Errorf("ranking: %v among the %d values; every cell needs a finite value", bad, len(values))
	}
	if bad := sorted[len(sorted)-1]; math.IsInf(bad, 0) {
		return nil, fmt.Errorf("ranking: %v among the %d values; every cell needs a finite value", bad, len(values))
	}
	if higherIsBetter {
		slices.Reverse(sorted)
	}
	r := &Ranking{higher: higherIsBetter}
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			r.levels = append(r.levels, v)
			r.before = append(r.before, i)
		}
	}
	r.before = append(r.before, len(sorted))
	return r, nil
}

// N is the number of cells.
func (r *Ranking) N() int { return r.before[len(r.levels)] }

// Distinct is the number of distinct values.
func (r *Ranking) Distinct() int { return len(r.levels) }

// HigherIsBetter is the direction that the ranking was made with.
func (r *Ranking) HigherIsBetter() bool { return r.higher }

// Best is the best value of the space.
func (r *Ranking) Best() float64 { return r.levels[0] }

// Worst is the worst value of the space.
func (r *Ranking) Worst() float64 { return r.levels[len(r.levels)-1] }

// better tells whether a is strictly better than b.
func (r *Ranking) better(a, b float64) bool {
	if r.higher {
		return a > b
	}
	return a < b
}

// level returns the index of the first level that is not better than v, and
// whether it equals v.
func (r *Ranking) level(v float64) (i int, found bool) {
	i = sort.Search(len(r.levels), func(i int) bool { return !r.better(r.levels[i], v) })
	return i, i < len(r.levels) && r.levels[i] == v
}

// Rank is 1 + the number of cells strictly better than v: 1 for the best. A
// value that no cell has is ranked by its position all the same; one that is
// worse than the whole space gets N + 1. NaN is worse than everything.
func (r *Ranking) Rank(v float64) int {
	if math.IsNaN(v) {
		return r.N() + 1
	}
	i, _ := r.level(v)
	return r.before[i] + 1
}

// Ties is the number of cells whose value is exactly v: 0 where no cell has it.
func (r *Ranking) Ties(v float64) int {
	i, found := r.level(v)
	if !found {
		return 0
	}
	return r.before[i+1] - r.before[i]
}

// MidRank is the mean rank of the cells that share v. A value that no cell has
// stands between two neighbours and gets the mean of their places, Rank - 1/2,
// held within 1..N so that its percentile lies in the range of the cells'.
func (r *Ranking) MidRank(v float64) float64 {
	rank := float64(r.Rank(v))
	if t := r.Ties(v); t > 0 {
		return rank + float64(t-1)/2
	}
	return min(max(rank-0.5, 1), float64(r.N()))
}

// MaxRank is the last place of the cells that share v, Rank + Ties - 1, and
// Rank where no cell has v.
func (r *Ranking) MaxRank(v float64) int {
	return r.Rank(v) + max(r.Ties(v)-1, 0)
}

// Percentile is 100 (1 - (MidRank - 1) / N), the higher the better whatever
// the direction of the metric.
func (r *Ranking) Percentile(v float64) float64 {
	return 100 * (1 - (r.MidRank(v)-1)/float64(r.N()))
}

// MeanPercentile is the mean of the percentiles of values.
func (r *Ranking) MeanPercentile(values []float64) (float64, error) {
	if len(values) == 0 {
		return 0, fmt.Errorf("mean percentile: undefined for no values")
	}
	sum := 0.0
	for i, v := range values {
		if math.IsNaN(v) {
			return 0, fmt.Errorf("mean percentile: value %d of %d is NaN", i+1, len(values))
		}
		sum += r.Percentile(v)
	}
	return sum / float64(len(values)), nil
}

// ValueAt is the value at a percentile of the space, the inverse of
// Percentile: the value of the cell at rank 1 + N (1 - percentile/100),
// rounded to the nearest place. A percentile outside 0..100 is held within.
func (r *Ranking) ValueAt(percentile float64) float64 {
	n := r.N()
	place := int(math.Round(float64(n) * (1 - percentile/100))) // cells before it
	place = min(max(place, 0), n-1)
	i := sort.Search(len(r.levels), func(i int) bool { return r.before[i+1] > place })
	return r.levels[i]
}

// tieWeights returns the number of cells and twice the deficit (mid-rank - 1)
// of each level, best first: the atoms of one uniform draw.
func (r *Ranking) tieWeights() (counts []float64, deficits2 []int) {
	counts = make([]float64, len(r.levels))
	deficits2 = make([]int, len(r.levels))
	for i := range r.levels {
		t := r.before[i+1] - r.before[i]
		counts[i] = float64(t)
		deficits2[i] = 2*r.before[i] + t - 1
	}
	return counts, deficits2
}
