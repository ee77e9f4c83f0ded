package kernel

import (
	"fmt"
	"testing"

	"evalnas/nasapi/rng"
)

// channelCase is a region of pixels for all kernels of channel.go.
type channelCase struct {
	rows, cols, c int
	view          View
	name          string
}

func channelCases(s *rng.Stream) []channelCase {
	var all []channelCase
	for _, rows := range []int{1, 3, 40} {
		for _, cols := range []int{1, 2, 3, 4, 5, 11} {
			for _, c := range []int{4, 8, 12, 16, 36} {
				for _, relu := range []bool{false, true} {
					for _, scaled := range []bool{false, true} {
						v := View{ReLU: relu}
						if scaled {
							v.Scale, v.Shift = values(s, c), values(s, c)
						}
						all = append(all, channelCase{rows, cols, c, v, fmt.Sprintf("%dx%d pixels of %d, ReLU %v, scale %v", rows, cols, c, relu, scaled)})
					}
				}
			}
		}
	}
	return all
}

// plane has room between its pixels and between its rows.
func (k channelCase) plane(s *rng.Stream) Plane {
	pix := k.c + 4*s.IntN(2)
	row := k.cols*pix + 4*s.IntN(2)
	return Plane{Data: values(s, k.rows*row+k.c), Row: row, Pix: pix}
}

func (p Plane) with(data []float32) Plane {
	p.Data = data
	return p
}

func TestChannelSets(t *testing.T) {
	s := rng.New(5, "channels")
	for _, k := range channelCases(s) {
		x, g, dst := k.plane(s), k.plane(s), k.plane(s)
		coefficients := func() []float32 { return values(s, k.c) }
		center, a, b, d := coefficients(), coefficients(), coefficients(), coefficients()
		weight, weights := values(s, 1)[0], values(s, k.rows*k.cols)
		check := func(kernel string, run func(set Set, dst Plane)) {
			t.Helper()
			compare(t, kernel+" of "+k.name, dst.Data, func(set Set, out []float32) { run(set, dst.with(out)) })
		}
		check("Affine", func(set Set, dst Plane) {
			set.Affine(&Affine{Dst: dst, X: x, Rows: k.rows, Cols: k.cols, C: k.c, View: k.view})
		})
		check("NormGrad", func(set Set, dst Plane) {
			set.NormGrad(&NormGrad{Dst: dst, G: g, X: x, Rows: k.rows, Cols: k.cols, C: k.c, Center: center, A: a, B: b, D: d, View: k.view})
		})
		for _, store := range []bool{false, true} {
			check(fmt.Sprint("AddScaled, store ", store), func(set Set, dst Plane) {
				set.AddScaled(&AddScaled{Dst: dst, X: x, Rows: k.rows, Cols: k.cols, C: k.c, View: k.view, Weight: weight, Store: store})
			})
			check(fmt.Sprint("AddMasked, store ", store), func(set Set, dst Plane) {
				set.AddMasked(&AddMasked{Dst: dst, G: g, X: x, Rows: k.rows, Cols: k.cols, C: k.c, View: k.view, Store: store})
			})
			check(fmt.Sprint("ScalePixels, add ", store), func(set Set, dst Plane) {
				set.ScalePixels(&ScalePixels{Dst: dst, X: x, Rows: k.rows, Cols: k.cols, C: k.c, Weight: weights, Add: store})
			})
		}
		n := Lanes * k.c
		compare(t, "Moments of "+k.name, values(s, 2*n+4), func(set Set, out []float32) {
			set.Moments(&Moments{Sum: out[:n], Square: out[n:], X: x, Rows: k.rows, Cols: k.cols, C: k.c, Center: center})
		})
		compare(t, "GradMoments of "+k.name, values(s, 2*n+4), func(set Set, out []float32) {
			set.GradMoments(&GradMoments{Sum: out[:n], Dot: out[n:], G: g, X: x, Rows: k.rows, Cols: k.cols, C: k.c, Center: center, View: k.view})
		})
	}
}

func TestFlatSets(t *testing.T) {
	s := rng.New(7, "flat")
	for n := range 40 {
		x, g := values(s, n), values(s, n)
		rates := values(s, 4)
		name := fmt.Sprintf("%d numbers", n)
		compare(t, "SGD of "+name, values(s, 2*n), func(set Set, out []float32) {
			set.SGD(&SGD{W: out[:n], V: out[n:], G: g, Rate: rates[0], Momentum: rates[1], Decay: rates[2], Clip: rates[3]})
		})
		compare(t, "Add of "+name, values(s, n+1), func(set Set, out []float32) { set.Add(out[:n], x) })
		for _, set := range others() {
			got, want := set.SumSquares(x), Generic.SumSquares(x)
			if got != want && (got == got || want == want) {
				t.Errorf("SumSquares of %s by %v: %v, plain Go's %v", name, set, got, want)
			}
		}
	}
}
