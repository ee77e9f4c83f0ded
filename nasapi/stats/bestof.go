package stats

import (
	"fmt"
	"math"
	"sort"
)

// BestOf is the exact distribution of the best of k uniform draws, with
// replacement, from a finite space: random search without a model.
type BestOf struct {
	ranking *Ranking
	k       float64
	mean    float64
	sd      float64
}

// BestOf returns the distribution of the best of k draws, k >= 1.
func (r *Ranking) BestOf(k int) (*BestOf, error) {
	if k < 1 {
		return nil, fmt.Errorf("best of k: k = %d; it must be at least 1", k)
	}
	b := &BestOf{ranking: r, k: float64(k)}
	b.moments()
	return b, nil
}

// levelProb is the chance that the best of k draws has the value of level i.
func (b *BestOf) levelProb(i int) float64 {
	return b.notBetter(i) - b.notBetter(i+1)
}

// notBetter is the chance that no draw is better than level i.
func (b *BestOf) notBetter(i int) float64 {
	n := b.ranking.N()
	return math.Pow(float64(n-b.ranking.before[i])/float64(n), b.k)
}

func (b *BestOf) moments() {
	// About the best value, so that the sum of squares does not cancel.
	base := b.ranking.Best()
	var first, second float64
	for i, v := range b.ranking.levels {
		p, d := b.levelProb(i), v-base
		first += p * d
		second += p * d * d
	}
	b.mean = base + first
	b.sd = math.Sqrt(max(second-first*first, 0))
}

// Mean is the expected value of the best of k draws.
func (b *BestOf) Mean() float64 { return b.mean }

// SD is the standard deviation of the best of k draws over searches.
func (b *BestOf) SD() float64 { return b.sd }

// Quantile is the value that the best of k draws does not surpass with
// probability q: 0.5 is the median, a higher q a better value, whatever the
// direction of the metric. q is held within 0..1.
func (b *BestOf) Quantile(q float64) float64 {
	levels := b.ranking.levels
	// notBetter falls from 1 at level 0: the last level that still reaches q.
	first := sort.Search(len(levels), func(i int) bool { return b.notBetter(i) < q })
	return levels[max(first-1, 0)]
}

// CDF is the chance that the best of k draws is v or worse.
func (b *BestOf) CDF(v float64) float64 {
	i, _ := b.ranking.level(v)
	return b.notBetter(i)
}
