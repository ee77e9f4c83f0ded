package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// KendallTau is Kendall's tau-b of paired values: 1 for the same order, -1 for
// the reverse one, ties corrected for. It takes O(n log n) time. It is
// undefined where one side is all one value.
func KendallTau(x, y []float64) (float64, error) {
	p, err := comparePairs(x, y)
	if err != nil {
		return 0, err
	}
	return p.tau(), nil
}

// pairCounts is what Kendall's statistics are made of: how the pairs of pairs compare.
type pairCounts struct {
	n    float64
	s    float64 // concordant minus discordant
	x, y tieCounts
}

// tieCounts sums over the groups of t equal values.
type tieCounts struct {
	pairs    float64 // t (t-1) / 2
	triples  float64 // t (t-1) (t-2)
	variance float64 // t (t-1) (2t+5)
}

func (c *tieCounts) add(t int) {
	f := float64(t)
	c.pairs += f * (f - 1) / 2
	c.triples += float64(f * (f - 1) * (f - 2))
	c.variance += float64(f * (f - 1) * (f + f + 5))
}

func (p pairCounts) all() float64 { return p.n * (p.n - 1) / 2 }

// scale is what s is divided by to be tau-b, in two steps.
func (p pairCounts) scale() (x, y float64) {
	return math.Sqrt(p.all() - p.x.pairs), math.Sqrt(p.all() - p.y.pairs)
}

func (p pairCounts) tau() float64 {
	x, y := p.scale()
	return min(max(p.s/x/y, -1), 1) // the roots round
}

// comparePairs sorts by x, then y, and counts what a merge sort by y exchanges
// (Knight 1966).
func comparePairs(x, y []float64) (pairCounts, error) {
	if err := paired("Kendall's tau", x, y); err != nil {
		return pairCounts{}, err
	}
	n := len(x)
	p := pairCounts{n: float64(n)}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(x[i], x[j]), cmp.Compare(y[i], y[j]))
	})
	var both tieCounts
	groups(n, func(a, b int) bool { return x[order[a]] == x[order[b]] }, p.x.add)
	groups(n, func(a, b int) bool {
		return x[order[a]] == x[order[b]] && y[order[a]] == y[order[b]]
	}, both.add)
	seq := make([]float64, n)
	for k, i := range order {
		seq[k] = y[i]
	}
	discordant := float64(inversions(seq, make([]float64, n)))
	// seq is sorted now.
	groups(n, func(a, b int) bool { return seq[a] == seq[b] }, p.y.add)
	if p.all() == p.x.pairs || p.all() == p.y.pairs {
		return pairCounts{}, fmt.Errorf("Kendall's tau: %w: one side has a single value", ErrUndefined)
	}
	p.s = p.all() - p.x.pairs - p.y.pairs + both.pairs - 2*discordant
	return p, nil
}

// groups calls each with the size of every run of places that are the same.
func groups(n int, same func(a, b int) bool, each func(size int)) {
	for lo := 0; lo < n; {
		hi := lo + 1
		for hi < n && same(lo, hi) {
			hi++
		}
		each(hi - lo)
		lo = hi
	}
}

// inversions sorts v by merging and counts the pairs that were out of order.
func inversions(v, tmp []float64) int {
	if len(v) < 2 {
		return 0
	}
	mid := len(v) / 2
	count := inversions(v[:mid], tmp[:mid]) + inversions(v[mid:], tmp[mid:])
	i, j := 0, mid
	for k := range tmp {
		if j == len(v) || (i < mid && v[i] <= v[j]) {
			tmp[k] = v[i]
			i++
		} else {
			tmp[k] = v[j]
			count += mid - i
			j++
		}
	}
	copy(v, tmp)
	return count
}

// Spearman is the rank correlation of paired values, with mid-ranks for ties.
// It is undefined where one side is all one value.
func Spearman(x, y []float64) (float64, error) {
	if err := paired("Spearman's correlation", x, y); err != nil {
		return 0, err
	}
	rx, _ := pooledRanks(x, nil)
	ry, _ := pooledRanks(y, nil)
	centre := len(x) + 1 // twice the mean rank
	var xy, xx, yy float64
	for i := range rx {
		dx, dy := float64(rx[i]-centre), float64(ry[i]-centre)
		xy += dx * dy
		xx += dx * dx
		yy += dy * dy
	}
	if xx == 0 || yy == 0 {
		return 0, fmt.Errorf("Spearman's correlation: %w: one side has a single value", ErrUndefined)
	}
	return xy / math.Sqrt(xx) / math.Sqrt(yy), nil
}

func paired(op string, x, y []float64) error {
	if len(x) != len(y) {
		return fmt.Errorf("%s: %d and %d values; they must be pairs", op, len(x), len(y))
	}
	if len(x) < 2 {
		return fmt.Errorf("%s: %w: %d pairs; it needs two", op, ErrUndefined, len(x))
	}
	return twoSamples(op, x, y)
}
