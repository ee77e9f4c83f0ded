package stats

import (
	"fmt"
	"math"
	"math/bits"
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

// comparePairs sorts by x, then y, and counts the pairs that are out of order in y
// (Knight 1966). Both sorts and the count go by the bits of whole numbers, so the time
// depends little on the values.
func comparePairs(x, y []float64) (pairCounts, error) {
	if err := paired("Kendall's tau", x, y); err != nil {
		return pairCounts{}, err
	}
	n := len(x)
	p := pairCounts{n: float64(n)}
	pairs, spare := make([]keyed, n), make([]keyed, n)
	for i, v := range y {
		pairs[i] = keyed{orderedBits(v), uint32(i)}
	}
	pairs, spare = radixSort(pairs, spare)
	// In the order of y the payload becomes the dense rank of y, the key that of x.
	rank := uint32(0)
	groups(n, func(a, b int) bool { return pairs[a].key == pairs[b].key }, func(lo, hi int) {
		p.y.add(hi - lo)
		for i := lo; i < hi; i++ {
			pairs[i] = keyed{orderedBits(x[pairs[i].payload]), rank}
		}
		rank++
	})
	// The sort is stable: equal x stay in the order of y.
	pairs, _ = radixSort(pairs, spare)
	var both tieCounts
	groups(n, func(a, b int) bool { return pairs[a].key == pairs[b].key }, func(lo, hi int) { p.x.add(hi - lo) })
	groups(n, func(a, b int) bool { return pairs[a] == pairs[b] }, func(lo, hi int) { both.add(hi - lo) })
	if p.all() == p.x.pairs || p.all() == p.y.pairs {
		return pairCounts{}, fmt.Errorf("Kendall's tau: %w: all values equal on one side", ErrUndefined)
	}
	ranks := make([]uint32, n)
	for i, q := range pairs {
		ranks[i] = q.payload
	}
	discordant := float64(inversions(ranks, make([]uint32, n), bits.Len32(rank-1)))
	p.s = p.all() - p.x.pairs - p.y.pairs + both.pairs - 2*discordant
	return p, nil
}

// groups calls each with the bounds of every run of places that are the same. each may
// change the places of its run.
func groups(n int, same func(a, b int) bool, each func(lo, hi int)) {
	for lo := 0; lo < n; {
		hi := lo + 1
		for hi < n && same(lo, hi) {
			hi++
		}
		each(lo, hi)
		lo = hi
	}
}

// fewInversions is the length up to which pairs are compared one by one.
const fewInversions = 16

// inversions counts the pairs of places whose numbers, of so many bits, are out of order.
// It reorders v, which spare is as long as. A number with the highest bit stands before one
// without it in as many pairs as are out of order by that bit; the rest is out of order
// among those that share it.
func inversions(v, spare []uint32, width int) int {
	if width == 0 || len(v) < 2 {
		return 0
	}
	if len(v) <= fewInversions {
		count := 0
		for i, a := range v {
			for _, b := range v[i+1:] {
				if a > b {
					count++
				}
			}
		}
		return count
	}
	shift := uint(width - 1)
	count, zeros, ones := 0, 0, 0
	for _, a := range v {
		bit := int(a >> shift & 1)
		count += ones &^ -bit // the ones before a zero
		// Both are written and one of them counts: no branch to guess.
		v[zeros], spare[ones] = a, a
		zeros += 1 - bit
		ones += bit
	}
	copy(v[zeros:], spare[:ones])
	low, high := v[:zeros], v[zeros:]
	return count + inversions(low, spare, width-1) + inversions(high, spare, width-1)
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
		return 0, fmt.Errorf("Spearman's correlation: %w: all values equal on one side", ErrUndefined)
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
