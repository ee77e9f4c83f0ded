package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"evalnas/nasapi/rng"
)

// packedWeight is number (tap, k, n), padding counted, of packed weights, read as the
// comment at Dense says.
func packedWeight(packed []float32, taps, inputs, outputs, tap, k, n int) float32 {
	for first := 0; ; {
		width := 16
		for outputs-first < width {
			width /= 2
		}
		if n < first+width {
			return packed[(tap*inputs+k)*width+n-first]
		}
		packed = packed[taps*inputs*width:]
		first += width
	}
}

// logical is the channel at every padded place, -1 in the padding.
func logical(segments []int) []int {
	var all []int
	i := 0
	for _, width := range segments {
		for range width {
			all = append(all, i)
			i++
		}
		for len(all)%4 > 0 {
			all = append(all, -1)
		}
	}
	return all
}

func packCases(s *rng.Stream) []DenseWeights {
	var all []DenseWeights
	for _, inputs := range [][]int{{1}, {16}, {3, 5}, {36, 4, 7}} {
		for _, outputs := range [][]int{{4}, {16}, {10}, {13, 2, 8}, {36}, {1, 1, 1, 1, 1, 1}, {72}} {
			for _, order := range [][]int{{0}, {0, 1, 2}, {8, 7, 6, 5, 4, 3, 2, 1, 0}} {
				k, n := sum(inputs)+s.IntN(3), sum(outputs)+s.IntN(3) // a corner
				w := DenseWeights{Data: plain(s, 9*k*n), Tap: k * n, K: n, N: 1, Taps: order, Inputs: inputs, Outputs: outputs}
				transposed := w
				transposed.K, transposed.N, transposed.Inputs, transposed.Outputs = w.N, w.K, outputs, inputs
				all = append(all, w, transposed)
			}
		}
	}
	return all
}

func sum(x []int) int {
	total := 0
	for _, v := range x {
		total += v
	}
	return total
}

func TestPackDense(t *testing.T) {
	for _, w := range packCases(rng.New(15, "pack")) {
		name := fmt.Sprintf("taps %v, %v to %v channels, strides %d, %d, %d", w.Taps, w.Inputs, w.Outputs, w.Tap, w.K, w.N)
		packed := make([]float32, w.Size()+1)
		for i := range packed {
			packed[i] = float32(math.NaN())
		}
		PackDense(packed, &w)
		if last := packed[w.Size()]; last == last {
			t.Fatalf("%s: wrote behind the packed weights", name)
		}
		ks, ns := logical(w.Inputs), logical(w.Outputs)
		if inputs, outputs := w.Padded(); inputs != len(ks) || outputs != len(ns) {
			t.Fatalf("%s: padded to %d and %d, want %d and %d", name, inputs, outputs, len(ks), len(ns))
		}
		for i, tap := range w.Taps {
			for k, inK := range ks {
				for n, inN := range ns {
					want := float32(0)
					if inK >= 0 && inN >= 0 {
						want = w.Data[tap*w.Tap+inK*w.K+inN*w.N]
					}
					if got := packedWeight(packed, len(w.Taps), len(ks), len(ns), i, k, n); got != want {
						t.Fatalf("%s: number %d, %d, %d is %v, want %v", name, i, k, n, got, want)
					}
				}
			}
		}
	}
}

func TestAddDense(t *testing.T) {
	s := rng.New(16, "add")
	for _, w := range packCases(s) {
		grad := plain(s, w.Size())
		want := slices.Clone(w.Data)
		at := 0
		for _, tap := range w.Taps {
			for _, inK := range logical(w.Inputs) {
				for _, inN := range logical(w.Outputs) {
					if inK >= 0 && inN >= 0 {
						want[tap*w.Tap+inK*w.K+inN*w.N] += grad[at]
					}
					at++
				}
			}
		}
		AddDense(&w, grad)
		if !slices.Equal(w.Data, want) {
			t.Fatalf("taps %v, %v to %v channels: a sum is wrong, or something else has changed", w.Taps, w.Inputs, w.Outputs)
		}
	}
}
