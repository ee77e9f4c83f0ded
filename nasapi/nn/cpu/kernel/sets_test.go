package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"evalnas/nasapi/rng"
)

// others are the sets whose bits are held to Generic's: none on a processor that runs
// the plain Go kernels alone.
func others() []Set { return Available()[1:] }

// values are n numbers, some of them denormal, huge, infinite or zeros of either sign.
func values(s *rng.Stream, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(2*s.Float64() - 1)
		switch s.IntN(60) {
		case 0:
			x[i] = drawFloat(s)
		case 1:
			x[i] = float32(math.Copysign(0, 2*s.Float64()-1))
		case 2:
			x[i] *= 1e-41
		}
	}
	return x
}

func equalBits(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i := range want {
		a, b := got[i], want[i]
		if math.Float32bits(a) != math.Float32bits(b) && (a == a || b == b) { // one NaN is like another
			t.Fatalf("%s: number %d is %v (%08x), plain Go's %v (%08x)", name, i, a, math.Float32bits(a), b, math.Float32bits(b))
		}
	}
}

// compare runs a kernel on copies of an output; what it must not touch is in them.
func compare(t *testing.T, name string, out []float32, run func(s Set, out []float32)) {
	t.Helper()
	want := slices.Clone(out)
	run(Generic, want)
	for _, set := range others() {
		got := slices.Clone(out)
		run(set, got)
		equalBits(t, fmt.Sprintf("%s by %v", name, set), got, want)
	}
}

func offsets(s *rng.Stream, n, most int) []int32 {
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(s.IntN(most))
	}
	return all
}

func TestDenseSets(t *testing.T) {
	s := rng.New(2, "dense")
	for pixels := range 15 {
		for _, taps := range []int{1, 2, 9} {
			for _, k := range []int{1, 3, 4, 16, 36} {
				for n := 4; n <= 84; n += 4 {
					in, w := values(s, 700), values(s, taps*k*n)
					inOff, tap := offsets(s, pixels, 300), offsets(s, taps, 300)
					stride := n + 4*s.IntN(3)
					outOff := make([]int32, pixels)
					for i, p := range s.Perm(pixels) {
						outOff[i] = int32(p * stride)
					}
					for _, accumulate := range []bool{false, true} {
						compare(t, fmt.Sprintf("%d pixels, %d taps, %d to %d channels, accumulate %v", pixels, taps, k, n, accumulate),
							values(s, pixels*stride+8), func(set Set, out []float32) {
								set.Dense(&Dense{Out: out, OutOff: outOff, In: in, InOff: inOff, Taps: tap, K: k, N: n, W: w, Accumulate: accumulate})
							})
					}
				}
			}
		}
	}
}

func TestDenseGradSets(t *testing.T) {
	s := rng.New(3, "dense grad")
	for _, rows := range []int{1, 3} {
		for _, cols := range []int{1, 2, 7} {
			for k := 1; k <= 20; k++ {
				for n := 4; n <= 84; n += 4 {
					ld := n + 4*s.IntN(2)
					a := Plane{Data: values(s, 900), Row: 200, Pix: k + 1}
					b := Plane{Data: values(s, 1200), Row: 300, Pix: n + 1}
					compare(t, fmt.Sprintf("%dx%d pixels, %d by %d", rows, cols, k, n), values(s, k*ld+8), func(set Set, out []float32) {
						set.DenseGrad(&DenseGrad{DW: out, LD: ld, A: a, B: b, Rows: rows, Cols: cols, K: k, N: n})
					})
				}
			}
		}
	}
}

func TestDepthwiseSets(t *testing.T) {
	s := rng.New(4, "depthwise")
	for _, rows := range []int{1, 3} {
		for cols := 1; cols <= 19; cols++ {
			for c := 4; c <= 28; c += 4 {
				for _, taps := range []int{1, 4, 9, 25} {
					step := 1 + s.IntN(2)
					in := Plane{Data: values(s, 4000), Row: step * cols * c, Pix: step * c}
					tap, w := offsets(s, taps, 300), values(s, taps*c)
					out := Plane{Row: cols*(c+4) + 3, Pix: c + 4}
					for _, accumulate := range []bool{false, true} {
						compare(t, fmt.Sprintf("%dx%d pixels of %d, %d taps, accumulate %v", rows, cols, c, taps, accumulate),
							values(s, rows*out.Row), func(set Set, data []float32) {
								out := out
								out.Data = data
								set.Depthwise(&Depthwise{Out: out, In: in, Rows: rows, Cols: cols, C: c, Taps: tap, W: w, Accumulate: accumulate})
							})
					}
					g := Plane{Data: values(s, rows*out.Row), Row: out.Row, Pix: out.Pix}
					compare(t, fmt.Sprintf("gradient of %dx%d pixels of %d, %d taps", rows, cols, c, taps), values(s, taps*c+8), func(set Set, dw []float32) {
						set.DepthwiseGrad(&DepthwiseGrad{DW: dw, In: in, G: g, Rows: rows, Cols: cols, C: c, Taps: tap})
					})
				}
			}
		}
	}
}

// Windows of rows of taps have code of their own.
func TestDepthwiseRowsOfTaps(t *testing.T) {
	s := rng.New(9, "rows of taps")
	const channels, border = 44, 20
	for _, cols := range []int{1, 7, 8, 9, 16, 21} {
		for _, width := range []int{3, 5, 7} {
			for _, dilation := range []int{1, 2, 3} {
				for _, stride := range []int{1, 2} {
					for _, leftward := range []bool{false, true} {
						rows := 2
						pitch := (stride*cols + 2*border) * channels
						origin := border*pitch + border*channels
						in := Plane{Data: values(s, origin+(stride*rows+border)*pitch)[origin:], Row: stride * pitch, Pix: stride * channels}
						var taps []int32
						for ky := range width {
							for kx := range width {
								column := kx
								if leftward {
									column = width - 1 - kx
								}
								taps = append(taps, int32(dilation*(ky*pitch+column*channels)))
							}
						}
						c := 4 * (1 + s.IntN(channels/4))
						name := fmt.Sprintf("%dx%d pixels of %d, window %d, dilation %d, stride %d, leftward %v", rows, cols, c, width, dilation, stride, leftward)
						w := values(s, len(taps)*c)
						out := Plane{Row: cols*(c+4) + 3, Pix: c + 4}
						for _, accumulate := range []bool{false, true} {
							compare(t, fmt.Sprintf("%s, accumulate %v", name, accumulate), values(s, rows*out.Row), func(set Set, data []float32) {
								out := out
								out.Data = data
								set.Depthwise(&Depthwise{Out: out, In: in, Rows: rows, Cols: cols, C: c, Taps: taps, W: w, Accumulate: accumulate})
							})
						}
						g := Plane{Data: values(s, rows*out.Row), Row: out.Row, Pix: out.Pix}
						compare(t, "gradient of "+name, values(s, len(taps)*c+8), func(set Set, dw []float32) {
							set.DepthwiseGrad(&DepthwiseGrad{DW: dw, In: in, G: g, Rows: rows, Cols: cols, C: c, Taps: taps})
						})
					}
				}
			}
		}
	}
}

func TestMaxPoolSets(t *testing.T) {
	s := rng.New(6, "pools")
	for _, rows := range []int{1, 3} {
		for cols := 1; cols <= 19; cols++ {
			for c := 4; c <= 28; c += 4 {
				step, side := 1+s.IntN(2), 2+s.IntN(2)
				width := step*cols + side
				in := Plane{Data: values(s, (step*rows+side)*width*c), Row: step * width * c, Pix: step * c}
				for i := range in.Data {
					if s.IntN(2) == 0 {
						in.Data[i] = float32(s.IntN(3)) // some are equal
					}
				}
				var taps []int32
				for i := range side * side {
					taps = append(taps, int32((i/side*width+i%side)*c))
				}
				out := Plane{Row: cols*(c+4) + 3, Pix: c + 4}
				name := fmt.Sprintf("%dx%d pixels of %d, window of %d", rows, cols, c, side)
				compare(t, name, values(s, rows*out.Row), func(set Set, data []float32) {
					set.MaxPool(&MaxPool{Out: out.with(data), In: in, Rows: rows, Cols: cols, C: c, Taps: taps})
				})
				out.Data = values(s, rows*out.Row)
				Generic.MaxPool(&MaxPool{Out: out, In: in, Rows: rows, Cols: cols, C: c, Taps: taps})
				g := out.with(values(s, rows*out.Row))
				compare(t, "gradient of "+name, values(s, len(in.Data)), func(set Set, data []float32) {
					set.MaxPoolGrad(&MaxPoolGrad{DIn: in.with(data), In: in, Out: out, G: g, Rows: rows, Cols: cols, C: c, Taps: taps})
				})
			}
		}
	}
}

// BenchmarkDense is a pointwise convolution of 32 x 32 pixels.
func BenchmarkDense(b *testing.B) {
	for _, c := range []int{16, 36, 64} {
		for _, set := range Available() {
			b.Run(fmt.Sprintf("%d channels/%v", c, set), func(b *testing.B) {
				const pixels = 1024
				off := make([]int32, pixels)
				for i := range off {
					off[i] = int32(i * c)
				}
				a := &Dense{Out: make([]float32, pixels*c), OutOff: off, In: make([]float32, pixels*c), InOff: off, Taps: []int32{0}, K: c, N: c, W: make([]float32, c*c)}
				g := &DenseGrad{DW: make([]float32, c*c), LD: c, A: Plane{a.In, 32 * c, c}, B: Plane{a.Out, 32 * c, c}, Rows: 32, Cols: 32, K: c, N: c}
				for b.Loop() {
					set.Dense(a)
					set.DenseGrad(g)
				}
				b.ReportMetric(float64(b.N)*4*pixels*float64(c*c)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

// BenchmarkDepthwise is a depthwise convolution of 32 x 32 pixels.
func BenchmarkDepthwise(b *testing.B) {
	for _, c := range []int{16, 36} {
		for _, k := range []int{3, 5} {
			for _, set := range Available() {
				b.Run(fmt.Sprintf("%d channels/%dx%d/%v", c, k, k, set), func(b *testing.B) {
					side := 32 + k - 1
					var taps []int32
					for y := range k {
						for x := range k {
							taps = append(taps, int32((y*side+x)*c))
						}
					}
					in := Plane{make([]float32, side*side*c), side * c, c}
					out := Plane{make([]float32, 1024*c), 32 * c, c}
					a := &Depthwise{Out: out, In: in, Rows: 32, Cols: 32, C: c, Taps: taps, W: make([]float32, k*k*c)}
					g := &DepthwiseGrad{DW: make([]float32, k*k*c), In: in, G: out, Rows: 32, Cols: 32, C: c, Taps: taps}
					for b.Loop() {
						set.Depthwise(a)
						set.DepthwiseGrad(g)
					}
					b.ReportMetric(float64(b.N)*4*1024*float64(k*k*c)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
