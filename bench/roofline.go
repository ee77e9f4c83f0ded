package main

import (
	"fmt"
	"io"
	"time"

	"evalnas/nasapi/nn/cpu/kernel"
	"evalnas/nasapi/rng"
)

// `bench roofline` measures each inner loop beside what the machine can do: products
// against the multiply-adds of registers alone, passes over memory against a copy.

// rooflineTime is how long a loop is run for each measurement; the best of
// rooflineRuns counts, as what the machine can do is asked for.
const (
	rooflineTime = 60 * time.Millisecond
	rooflineRuns = 7
)

// rate is how much of its work f does in a second, in units of 1e9.
func rate(work float64, f func()) float64 {
	f()
	best := 0.0
	for range rooflineRuns {
		n, began := 0, time.Now()
		for time.Since(began) < rooflineTime {
			f()
			n++
		}
		best = max(best, float64(n)*work/time.Since(began).Seconds()/1e9)
	}
	return best
}

func drawn(s *rng.Stream, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(s.Float64() - 0.5)
	}
	return x
}

// layer is images of side x side pixels of c channels, padded by a window's half.
type layer struct{ side, c, window int }

func (l layer) width() int { return l.side + l.window - 1 }

func (l layer) taps() []int32 {
	var taps []int32
	for y := range l.window {
		for x := range l.window {
			taps = append(taps, int32((y*l.width()+x)*l.c))
		}
	}
	return taps
}

func (l layer) padded(s *rng.Stream) kernel.Plane {
	return kernel.Plane{Data: drawn(s, l.width()*l.width()*l.c), Row: l.width() * l.c, Pix: l.c}
}

func (l layer) plain(s *rng.Stream) kernel.Plane {
	return kernel.Plane{Data: drawn(s, l.side*l.side*l.c), Row: l.side * l.c, Pix: l.c}
}

func (l layer) String() string { return fmt.Sprintf("%dx%dx%d", l.side, l.side, l.c) }

func roofline(out io.Writer) error {
	set, err := kernel.Best()
	if err != nil {
		return err
	}
	s := rng.New(0, "roofline")
	peak := peakProducts(set, s)
	big := drawn(s, 64<<20/4)
	to := make([]float32, 1<<16)
	at := 0
	next := func(n int) []float32 {
		if at+n > len(big) {
			at = 0
		}
		at += n
		return big[at-n : at]
	}
	copied := rate(float64(4*len(to)), func() { copy(to, next(len(to))) })
	fmt.Fprintf(out, "One thread, kernels of %s. Products: %.0f GFLOP/s of registers alone. Memory: a copy reads %.1f GB/s.\n\n", set, peak, copied)
	fmt.Fprintln(out, "| operator | image | GFLOP/s | of the product's |\n|---|---|---|---|")
	for _, l := range []layer{{32, 16, 1}, {16, 32, 1}, {8, 64, 1}, {32, 36, 1}, {16, 72, 1}, {8, 144, 1}, {32, 64, 3}} {
		forward, grad := l.dense(set, s)
		fmt.Fprintf(out, "| dense %dx%d | %v | %.0f | %.0f %% |\n| its weights' gradient | %v | %.0f | %.0f %% |\n", l.window, l.window, l, forward, 100*forward/peak, l, grad, 100*grad/peak)
	}
	for _, l := range []layer{{32, 16, 3}, {16, 32, 3}, {8, 64, 3}, {32, 16, 5}, {8, 64, 5}, {32, 36, 3}, {16, 72, 3}} {
		forward, grad := l.depthwise(set, s)
		fmt.Fprintf(out, "| depthwise %dx%d | %v | %.0f | %.0f %% |\n| its weights' gradient | %v | %.0f | %.0f %% |\n", l.window, l.window, l, forward, 100*forward/peak, l, grad, 100*grad/peak)
	}
	fmt.Fprintln(out, "\n| pass | image | GB/s read from memory | of the copy's |\n|---|---|---|---|")
	for _, l := range []layer{{32, 16, 1}, {16, 32, 1}, {32, 36, 1}, {16, 72, 1}} {
		for _, p := range l.passes(set, s, next) {
			fmt.Fprintf(out, "| %s | %v | %.1f | %.0f %% |\n", p.name, l, p.rate, 100*p.rate/copied)
		}
	}
	return nil
}

// peakProducts is the rate of multiply-adds whose operands lie in one place.
func peakProducts(set kernel.Set, s *rng.Stream) float64 {
	const pixels = 1 << 16
	k, n := 6, 16 // as many sums as hide the latency of the multiply-adds
	if set == kernel.AVX512 {
		k, n = 8, 32
	}
	a := &kernel.DenseGrad{DW: make([]float32, k*n), LD: n, A: kernel.Plane{Data: drawn(s, k)}, B: kernel.Plane{Data: drawn(s, n)}, Rows: 1, Cols: pixels, K: k, N: n}
	return rate(float64(2*pixels*k*n), func() { set.DenseGrad(a) })
}

func (l layer) dense(set kernel.Set, s *rng.Stream) (forward, grad float64) {
	in, out, taps := l.padded(s), l.plain(s), l.taps()
	a := &kernel.Dense{Out: out.Data, In: in.Data, Taps: taps, K: l.c, N: l.c, W: drawn(s, len(taps)*l.c*l.c)}
	for r := range l.side {
		for c := range l.side {
			a.OutOff, a.InOff = append(a.OutOff, int32(r*out.Row+c*out.Pix)), append(a.InOff, int32(r*in.Row+c*in.Pix))
		}
	}
	flops := 2 * float64(l.side*l.side*len(taps)) * float64(l.c*l.c)
	g := &kernel.DenseGrad{DW: make([]float32, l.c*l.c), LD: l.c, B: out, Rows: l.side, Cols: l.side, K: l.c, N: l.c}
	return rate(flops, func() { set.Dense(a) }), rate(flops, func() {
		for _, t := range taps {
			g.A = kernel.Plane{Data: in.Data[t:], Row: in.Row, Pix: in.Pix}
			set.DenseGrad(g)
		}
	})
}

func (l layer) depthwise(set kernel.Set, s *rng.Stream) (forward, grad float64) {
	in, out, taps := l.padded(s), l.plain(s), l.taps()
	a := &kernel.Depthwise{Out: out, In: in, Rows: l.side, Cols: l.side, C: l.c, Taps: taps, W: drawn(s, len(taps)*l.c)}
	g := &kernel.DepthwiseGrad{DW: make([]float32, len(taps)*l.c), In: in, G: out, Rows: l.side, Cols: l.side, C: l.c, Taps: taps}
	flops := 2 * float64(l.side*l.side*len(taps)*l.c)
	return rate(flops, func() { set.Depthwise(a) }), rate(flops, func() { set.DepthwiseGrad(g) })
}

type pass struct {
	name string
	rate float64
}

// passes read an image that no cache holds; what they write and what else they read is
// a worker's own and stays in one.
func (l layer) passes(set kernel.Set, s *rng.Stream, next func(n int) []float32) []pass {
	own, g := l.plain(s), l.plain(s)
	n := len(own.Data)
	image := func() kernel.Plane { return kernel.Plane{Data: next(n), Row: own.Row, Pix: own.Pix} }
	k, view := drawn(s, l.c), kernel.View{Scale: drawn(s, l.c), Shift: drawn(s, l.c), ReLU: true}
	sums := make([]float32, 2*kernel.Lanes*l.c)
	half := kernel.Lanes * l.c
	bytes := float64(4 * n)
	return []pass{
		{"norm and ReLU", rate(bytes, func() {
			set.Affine(&kernel.Affine{Dst: own, X: image(), Rows: l.side, Cols: l.side, C: l.c, View: view})
		})},
		{"weighted sum", rate(bytes, func() {
			set.AddScaled(&kernel.AddScaled{Dst: own, X: image(), Rows: l.side, Cols: l.side, C: l.c, View: view, Weight: 1e-9})
		})},
		{"moments", rate(bytes, func() {
			set.Moments(&kernel.Moments{Sum: sums[:half], Square: sums[half:], X: image(), Rows: l.side, Cols: l.side, C: l.c, Center: k})
		})},
		{"norm's gradient, sums", rate(bytes, func() {
			set.GradMoments(&kernel.GradMoments{Sum: sums[:half], Dot: sums[half:], G: g, X: image(), Rows: l.side, Cols: l.side, C: l.c, Center: k})
		})},
		{"norm's gradient", rate(bytes, func() {
			set.NormGrad(&kernel.NormGrad{Dst: own, G: g, X: image(), Rows: l.side, Cols: l.side, C: l.c, Center: k, A: k, B: k, D: k})
		})},
	}
}
