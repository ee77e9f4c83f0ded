package stats

import (
	"cmp"
	"fmt"
	"slices"
)

// Holm adjusts p-values for their number by Holm's step-down method (1979),
// which controls the family-wise error without any assumption. The result is
// in the order given; none is no error.
func Holm(ps []float64) ([]float64, error) {
	order := make([]int, len(ps))
	for i, p := range ps {
		if !(p >= 0 && p <= 1) {
			return nil, fmt.Errorf("Holm's method: p-value %d of %d is %v; it lies in 0..1", i+1, len(ps), p)
		}
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(ps[i], ps[j]) })
	out := make([]float64, len(ps))
	floor := 0.0
	for k, i := range order {
		floor = min(1, max(floor, float64(len(ps)-k)*ps[i]))
		out[i] = floor
	}
	return out, nil
}
