package kernel

import (
	"fmt"
	"testing"

	"evalnas/nasapi/rng"
)

// denseShape is a convolution of size x size pixels, k to n channels; a window of
// side x side positions.
type denseShape struct{ size, k, n, side int }

func (s denseShape) String() string {
	return fmt.Sprintf("%dx%d pixels/%d to %d/%dx%d", s.size, s.size, s.k, s.n, s.side, s.side)
}

var denseShapes = []denseShape{
	{32, 16, 16, 1}, {16, 32, 32, 1}, {8, 64, 64, 1}, {32, 36, 36, 1}, {16, 72, 72, 1}, {8, 144, 144, 1},
	{32, 64, 64, 1}, {32, 144, 144, 1}, {32, 576, 144, 1}, {8, 576, 144, 1}, {32, 4, 48, 3}, {32, 64, 64, 3}, {32, 24, 40, 1},
}

func (s denseShape) flops() float64 {
	return 2 * float64(s.size*s.size*s.side*s.side) * float64(s.k*s.n)
}

// kernels are the convolution and the gradients of each tap's weights. Memory that was
// never written would be one page of zeros, which is always in a cache.
func (s denseShape) kernels() (*Dense, []*DenseGrad) {
	pixels, row := s.size*s.size, (s.size+s.side-1)*s.k
	draw := rng.New(19, "shape")
	in, out := plain(draw, (s.size+s.side-1)*row), plain(draw, pixels*s.n)
	a := &Dense{Out: out, In: in, K: s.k, N: s.n, W: plain(draw, s.side*s.side*s.k*s.n)}
	for p := range pixels {
		a.OutOff = append(a.OutOff, int32(p*s.n))
		a.InOff = append(a.InOff, int32(p/s.size*row+p%s.size*s.k))
	}
	var grads []*DenseGrad
	for t := range s.side * s.side {
		tap := t/s.side*row + t%s.side*s.k
		a.Taps = append(a.Taps, int32(tap))
		grads = append(grads, &DenseGrad{DW: make([]float32, s.k*s.n), LD: s.n, A: Plane{in[tap:], row, s.k}, B: Plane{out, s.size * s.n, s.n},
			Rows: s.size, Cols: s.size, K: s.k, N: s.n})
	}
	return a, grads
}

func reportRate(b *testing.B, flops float64) {
	b.ReportMetric(float64(b.N)*flops/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// BenchmarkDensePeak is what the multiply-adds can reach: a gradient whose pixels all
// lie in one place, so nothing is waited for.
func BenchmarkDensePeak(b *testing.B) {
	const pixels, k, n = 1 << 16, 6, 16
	draw := rng.New(20, "peak")
	a := &DenseGrad{DW: make([]float32, k*n), LD: n, A: Plane{Data: plain(draw, k)}, B: Plane{Data: plain(draw, n)}, Rows: 1, Cols: pixels, K: k, N: n}
	for _, set := range others() {
		b.Run(set.String(), func(b *testing.B) {
			for b.Loop() {
				set.DenseGrad(a)
			}
			reportRate(b, 2*pixels*k*n)
		})
	}
}

// BenchmarkDenseShapes is of one thread. Some shapes read two to four times as many
// cache lines a pixel as others: rows of 36 channels are not multiples of a line.
func BenchmarkDenseShapes(b *testing.B) {
	for _, s := range denseShapes {
		a, grads := s.kernels()
		for _, set := range others() {
			b.Run(fmt.Sprintf("%v/forward/%v", s, set), func(b *testing.B) {
				for b.Loop() {
					set.Dense(a)
				}
				reportRate(b, s.flops())
			})
			b.Run(fmt.Sprintf("%v/grad/%v", s, set), func(b *testing.B) {
				for b.Loop() {
					for _, g := range grads {
						set.DenseGrad(g)
					}
				}
				reportRate(b, s.flops())
			})
		}
	}
}
