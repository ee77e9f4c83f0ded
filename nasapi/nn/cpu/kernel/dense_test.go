package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"evalnas/nasapi/rng"
)

// denseCase is a convolution at random pixels, or the gradient of its weights.
type denseCase struct {
	pixels, taps, k, n int
	accumulate         bool
}

func (c denseCase) String() string {
	return fmt.Sprintf("%d pixels, %d taps, %d to %d channels, accumulate %v", c.pixels, c.taps, c.k, c.n, c.accumulate)
}

// margin is the room on either side of an output that no kernel may touch.
const margin = 32

// build draws the arguments; pixels of the output lie apart and in no order. Out has
// margins.
func (c denseCase) build(s *rng.Stream, draw func(s *rng.Stream, n int) []float32) (a *Dense, out []float32) {
	stride := c.n + s.IntN(7)
	a = &Dense{In: draw(s, 700), InOff: offsets(s, c.pixels, 300), Taps: offsets(s, c.taps, 300), K: c.k, N: c.n, W: draw(s, c.taps*c.k*c.n), Accumulate: c.accumulate}
	for _, p := range s.Perm(c.pixels) {
		a.OutOff = append(a.OutOff, int32(p*stride))
	}
	return a, draw(s, c.pixels*stride+2*margin)
}

// run answers the output, margins included.
func (a *Dense) run(set Set, out []float32) []float32 {
	b := *a
	out = slices.Clone(out)
	b.Out = out[margin : len(out)-margin]
	set.Dense(&b)
	return out
}

// untouched fails where a number that no pixel owns has changed.
func (a *Dense) untouched(t *testing.T, name string, got, before []float32) {
	t.Helper()
	owned := make([]bool, len(before))
	for _, p := range a.OutOff {
		for n := range a.N {
			owned[margin+int(p)+n] = true
		}
	}
	unchanged(t, name, got, before, owned)
}

func unchanged(t *testing.T, name string, got, before []float32, owned []bool) {
	t.Helper()
	for i, x := range before {
		if !owned[i] && math.Float32bits(x) != math.Float32bits(got[i]) {
			t.Fatalf("%s: number %d of %d, which is nobody's, was %v and is %v", name, i, len(before), x, got[i])
		}
	}
}

// special draws from what rounds, overflows and cancels most.
func special(s *rng.Stream, n int) []float32 {
	x := values(s, n)
	for i := range x {
		switch s.IntN(40) {
		case 0:
			x[i] = float32(math.Inf(1 - 2*s.IntN(2)))
		case 1:
			x[i] = float32(math.NaN())
		case 2:
			x[i] *= 3e38
		case 3:
			x[i] = drawFloat(s)
		}
	}
	return x
}

// plain draws between -1 and 1.
func plain(s *rng.Stream, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(2*s.Float64() - 1)
	}
	return x
}

// denseCases are all counts of channels with any number of pixels and taps, and all
// counts of pixels and taps with any number of channels.
func denseCases(s *rng.Stream) []denseCase {
	var all []denseCase
	for k := 1; k <= 40; k++ {
		for n := 4; n <= 72; n += 4 {
			all = append(all, denseCase{1 + s.IntN(40), 1 + s.IntN(9), k, n, s.IntN(2) == 0})
		}
	}
	for pixels := 1; pixels <= 40; pixels++ {
		for taps := 1; taps <= 9; taps++ {
			for _, n := range []int{4, 8, 16} {
				all = append(all, denseCase{pixels, taps, 1 + s.IntN(9), n + 16*s.IntN(2), s.IntN(2) == 0})
			}
		}
	}
	return all
}

func TestDenseBits(t *testing.T) {
	s := rng.New(11, "dense bits")
	for i, c := range denseCases(s) {
		draw := values
		if i%2 == 0 {
			draw = special
		}
		a, out := c.build(s, draw)
		want := a.run(Generic, out)
		a.untouched(t, c.String(), want, out)
		for _, set := range others() {
			equalBits(t, fmt.Sprintf("%v by %v", c, set), a.run(set, out), want)
		}
	}
}

func TestDenseOfNothing(t *testing.T) {
	for _, set := range Available() {
		set.Dense(&Dense{Taps: []int32{0}, K: 3, N: 4, W: make([]float32, 12)})
		set.DenseGrad(&DenseGrad{K: 3, N: 4})
		for _, a := range []Dense{{K: 0, Taps: []int32{0}}, {K: 3}} {
			a.OutOff, a.InOff, a.In, a.N = []int32{4}, []int32{0}, make([]float32, 3), 4
			a.Out = []float32{1, 2, 3, 4, 5, 6, 7, 8}
			set.Dense(&a)
			if want := []float32{1, 2, 3, 4, 0, 0, 0, 0}; !slices.Equal(a.Out, want) {
				t.Errorf("%v: a sum of nothing is %v, want %v", set, a.Out, want)
			}
		}
	}
}

// TestDenseIsTheSum holds the definition to a sum in float64.
func TestDenseIsTheSum(t *testing.T) {
	s := rng.New(12, "dense sum")
	for _, c := range []denseCase{{7, 1, 16, 16, false}, {13, 9, 8, 28, true}, {2, 3, 40, 4, true}, {3, 2, 12, 72, false}} {
		a, out := c.build(s, plain)
		weight := plain(s, c.taps*c.k*c.n)
		pack := Packing{c.taps, c.k, c.n}
		for tap := range c.taps {
			for k := range c.k {
				pack.Row(a.W, tap, k, 0, weight[(tap*c.k+k)*c.n:][:c.n])
			}
		}
		for _, set := range Available() {
			got := a.run(set, out)
			for p := range c.pixels {
				for n := range c.n {
					at := margin + int(a.OutOff[p]) + n
					sum, size := 0.0, 1.0
					if c.accumulate {
						sum = float64(out[at])
					}
					for tap, off := range a.Taps {
						for k := range c.k {
							y := float64(a.In[int(a.InOff[p])+int(off)+k]) * float64(weight[(tap*c.k+k)*c.n+n])
							sum, size = sum+y, size+math.Abs(y)
						}
					}
					within(t, fmt.Sprintf("%v by %v: pixel %d, channel %d", c, set, p, n), got[at], sum, size*float64(c.taps*c.k))
				}
			}
		}
	}
}

// within allows for size roundings of numbers below 1.
func within(t *testing.T, name string, got float32, want, size float64) {
	t.Helper()
	const half = 1.0 / (1 << 24)
	if diff := math.Abs(float64(got) - want); !(diff <= half*size) {
		t.Fatalf("%s is %v, want %v within %v", name, got, want, half*size)
	}
}

// gradCase is a gradient over rows x cols pixels, k by n.
type gradCase struct{ rows, cols, k, n int }

func (c gradCase) String() string {
	return fmt.Sprintf("%dx%d pixels, %d by %d", c.rows, c.cols, c.k, c.n)
}

func (c gradCase) build(s *rng.Stream, draw func(s *rng.Stream, n int) []float32) (a *DenseGrad, dw []float32) {
	plane := func(channels int) Plane {
		pix := channels + s.IntN(3)
		row := c.cols*pix + s.IntN(5)
		return Plane{draw(s, c.rows*row+channels), row, pix}
	}
	a = &DenseGrad{LD: c.n + s.IntN(6), A: plane(c.k), B: plane(c.n), Rows: c.rows, Cols: c.cols, K: c.k, N: c.n}
	return a, draw(s, c.k*a.LD+2*margin)
}

func (a *DenseGrad) run(set Set, dw []float32) []float32 {
	b := *a
	dw = slices.Clone(dw)
	b.DW = dw[margin : len(dw)-margin]
	set.DenseGrad(&b)
	return dw
}

func (a *DenseGrad) untouched(t *testing.T, name string, got, before []float32) {
	t.Helper()
	owned := make([]bool, len(before))
	for k := range a.K {
		for n := range a.N {
			owned[margin+k*a.LD+n] = true
		}
	}
	unchanged(t, name, got, before, owned)
}

func TestDenseGradBits(t *testing.T) {
	s := rng.New(13, "dense grad bits")
	// More pixels than the assembly takes at once, in rows and in one.
	cases := []gradCase{{1, 2500, 5, 8}, {90, 30, 7, 4}, {3, 700, 1, 12}, {2, 300, 90, 40}}
	for k := 1; k <= 40; k++ {
		for n := 4; n <= 72; n += 4 {
			cases = append(cases, gradCase{1 + s.IntN(5), 1 + s.IntN(12), k, n})
		}
	}
	for i, c := range cases {
		draw := values
		if i%2 == 0 {
			draw = special
		}
		a, dw := c.build(s, draw)
		want := a.run(Generic, dw)
		a.untouched(t, c.String(), want, dw)
		for _, set := range others() {
			equalBits(t, fmt.Sprintf("%v by %v", c, set), a.run(set, dw), want)
		}
	}
}

func TestDenseGradIsTheSum(t *testing.T) {
	s := rng.New(14, "dense grad sum")
	for _, c := range []gradCase{{1, 1, 1, 4}, {5, 7, 16, 16}, {3, 20, 9, 28}, {8, 8, 40, 36}} {
		a, dw := c.build(s, plain)
		for _, set := range Available() {
			got := a.run(set, dw)
			for k := range c.k {
				for n := range c.n {
					at := margin + k*a.LD + n
					sum, size := float64(dw[at]), 1.0
					for r := range c.rows {
						for col := range c.cols {
							y := float64(a.A.Data[r*a.A.Row+col*a.A.Pix+k]) * float64(a.B.Data[r*a.B.Row+col*a.B.Pix+n])
							sum, size = sum+y, size+math.Abs(y)
						}
					}
					within(t, fmt.Sprintf("%v by %v: %d, %d", c, set, k, n), got[at], sum, size*float64(c.rows*c.cols))
				}
			}
		}
	}
}
