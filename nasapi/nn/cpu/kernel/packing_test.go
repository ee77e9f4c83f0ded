package kernel

import (
	"fmt"
	"slices"
	"testing"

	"evalnas/nasapi/rng"
)

// packedWeight is number (tap, k, n) of packed weights, read as the comment at Packing says.
func packedWeight(packed []float32, p Packing, tap, k, n int) float32 {
	for first := 0; ; {
		width := 16
		for p.N-first < width {
			width /= 2
		}
		if n < first+width {
			return packed[(tap*p.K+k)*width+n-first]
		}
		packed = packed[p.Taps*p.K*width:]
		first += width
	}
}

// TestPacking puts rows, and columns of the transposed weights, whole and in two parts.
func TestPacking(t *testing.T) {
	s := rng.New(15, "pack")
	for _, taps := range []int{1, 9} {
		for _, k := range []int{1, 3, 16, 36} {
			for _, n := range []int{4, 8, 12, 16, 20, 24, 28, 36, 40, 72, 108} {
				p := Packing{taps, k, n}
				weights := plain(s, p.Size()) // [tap][k][n]
				at := func(tap, k, n int) float32 { return weights[(tap*p.K+k)*p.N+n] }
				rows, columns := make([]float32, p.Size()), make([]float32, p.Size())
				for tap := range taps {
					for i := range k {
						row, cut := weights[(tap*k+i)*n:][:n], s.IntN(n+1)
						p.Row(rows, tap, i, 0, row[:cut])
						p.Row(rows, tap, i, cut, row[cut:])
					}
					for j := range n {
						column, cut := make([]float32, k), s.IntN(k+1)
						for i := range column {
							column[i] = at(tap, i, j)
						}
						p.Column(columns, tap, 0, j, column[:cut])
						p.Column(columns, tap, cut, j, column[cut:])
					}
				}
				name := fmt.Sprintf("%d taps, %d to %d channels", taps, k, n)
				if !slices.Equal(rows, columns) {
					t.Fatalf("%s: rows and columns differ", name)
				}
				for tap := range taps {
					for i := range k {
						for j := range n {
							if got, want := packedWeight(rows, p, tap, i, j), at(tap, i, j); got != want {
								t.Fatalf("%s: number %d, %d, %d is %v, want %v", name, tap, i, j, got, want)
							}
						}
					}
				}
			}
		}
	}
}
