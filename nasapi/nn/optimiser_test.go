package nn

import (
	"math"
	"testing"
)

func TestCosine(t *testing.T) {
	for i := range 1001 {
		x := float64(i) / 1000
		if got, want := cosPi(x), math.Cos(math.Pi*x); math.Abs(got-want) > 1e-15 {
			t.Errorf("cosPi(%v) = %v, want %v", x, got, want)
		}
	}
	for _, c := range []struct{ t, want float64 }{{0, 0.025}, {300, 0.013}, {600, 0.001}} {
		if got := Cosine(0.025, 0.001, c.t, 600); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("rate at %v is %v, want %v", c.t, got, c.want)
		}
	}
}
