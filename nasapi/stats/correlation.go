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
	if err := paired("Kendall's tau", x, y); err != nil {
		return 0, err
	}
	n := len(x)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(x[i], x[j]), cmp.Compare(y[i], y[j]))
	})
	pairs := func(same func(i, j int) bool) (tied float64) {
		for lo := 0; lo < n; {
			hi := lo + 1
			for hi < n && same(order[lo], order[hi]) {
				hi++
			}
			tied += float64(hi-lo) * float64(hi-lo-1) / 2
			lo = hi
		}
		return tied
	}
	tiedX := pairs(func(i, j int) bool { return x[i] == x[j] })
	tiedBoth := pairs(func(i, j int) bool { return x[i] == x[j] && y[i] == y[j] })
	seq := make([]float64, n)
	for k, i := range order {
		seq[k] = y[i]
	}
	discordant := float64(inversions(seq, make([]float64, n)))
	// seq is sorted now.
	tiedY := 0.0
	for lo := 0; lo < n; {
		hi := lo + 1
		for hi < n && seq[hi] == seq[lo] {
			hi++
		}
		tiedY += float64(hi-lo) * float64(hi-lo-1) / 2
		lo = hi
	}
	all := float64(n) * float64(n-1) / 2
	if all == tiedX || all == tiedY {
		return 0, fmt.Errorf("Kendall's tau: %w: one side has a single value", ErrUndefined)
	}
	s := all - tiedX - tiedY + tiedBoth - 2*discordant
	return s / math.Sqrt(all-tiedX) / math.Sqrt(all-tiedY), nil
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
