package stats

import (
	"math"
	"testing"
)

// The values are of a table of Student's distribution: t(0.975) is 4.302653 with 2 degrees
// of freedom and 12.706205 with 1.
func TestMeanInterval(t *testing.T) {
	for _, c := range []struct {
		values    []float64
		low, high float64
	}{
		{[]float64{1, 2, 3}, 2 - 4.302653/math.Sqrt(3), 2 + 4.302653/math.Sqrt(3)},
		{[]float64{0, 1}, 0.5 - 12.706205*0.5, 6},
		{[]float64{4}, -10, 6},
		{nil, -10, 6},
	} {
		low, high := MeanInterval(c.values, 0.95, -10, 6)
		if math.Abs(low-c.low) > 1e-5 || math.Abs(high-c.high) > 1e-5 {
			t.Errorf("%v: %v to %v, want %v to %v", c.values, low, high, c.low, c.high)
		}
	}
}
