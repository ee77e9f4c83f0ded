package detmath

import (
	"fmt"
	"math"
	"testing"

	"evalnas/nasapi/rng"
)

// fill draws numbers of many magnitudes, so that another order of a sum shows.
func fill(r *rng.Stream, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Ldexp(2*r.Float64()-1, r.IntN(12)))
	}
	return x
}

func matrixOf(r *rng.Stream, rows, cols, gap int) Matrix[float32] {
	return Matrix[float32]{rows, cols, cols + gap, fill(r, rows*(cols+gap))}
}

// The tiles are held to the plain loops, and those to sums written out here.
func TestProductBits(t *testing.T) {
	r := rng.New(1, "product")
	for _, n := range [][3]int{{1, 1, 1}, {4, 3, 16}, {4, 1, 8}, {5, 7, 9}, {3, 2, 24}, {9, 33, 31}, {8, 48, 40}, {2, 0, 8}, {0, 3, 8}, {13, 5, 7}} {
		for _, gap := range []int{0, 3} {
			for _, transposed := range []bool{false, true} {
				rows, terms, cols := n[0], n[1], n[2]
				a, b, c := matrixOf(r, rows, terms, gap), matrixOf(r, terms, cols, gap), matrixOf(r, rows, cols, gap)
				if transposed {
					a = matrixOf(r, terms, rows, gap)
				}
				want := append([]float32(nil), c.Data...)
				for i := range rows {
					for j := range cols {
						for k := range terms {
							x := a.Data[min(i*a.Stride+k, len(a.Data)-1)]
							if transposed {
								x = a.Data[k*a.Stride+i]
							}
							want[i*c.Stride+j] += float32(x * b.Data[k*b.Stride+j])
						}
					}
				}
				product := AddProduct[float32]
				if transposed {
					product = AddTransposedProduct[float32]
				}
				plain := Matrix[float32]{c.Rows, c.Cols, c.Stride, append([]float32(nil), c.Data...)}
				product(c, a, b)
				if transposed {
					addPlain(plain.Data, a.Data, b.Data, rows, terms, 0, cols, c.Stride, 1, a.Stride, b.Stride)
				} else {
					addPlain(plain.Data, a.Data, b.Data, rows, terms, 0, cols, c.Stride, a.Stride, 1, b.Stride)
				}
				for i, w := range want {
					if math.Float32bits(c.Data[i]) != math.Float32bits(w) || math.Float32bits(plain.Data[i]) != math.Float32bits(w) {
						t.Fatalf("%v, gap %d, transposed %v: number %d is %v, plain %v, want %v", n, gap, transposed, i, c.Data[i], plain.Data[i], w)
					}
				}
			}
		}
	}
}

func TestProductRefusesShapes(t *testing.T) {
	m := func(rows, cols int) Matrix[float32] { return Dense(rows, cols, make([]float32, rows*cols)) }
	short := m(2, 3)
	short.Data = short.Data[:5:5]
	for name, f := range map[string]func(){
		"inner":            func() { AddProduct(m(2, 2), m(2, 3), m(2, 2)) },
		"inner transposed": func() { AddTransposedProduct(m(2, 2), m(3, 2), m(2, 2)) },
		"outer":            func() { AddProduct(m(2, 3), m(2, 3), m(3, 2)) },
		"short a":          func() { AddProduct(m(2, 2), short, m(3, 2)) },
		"short c":          func() { AddProduct(short, m(2, 2), m(2, 3)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestTranspose(t *testing.T) {
	got := make([]float64, 6)
	Transpose(got, Dense(2, 3, []float64{1, 2, 3, 4, 5, 6}))
	if fmt.Sprint(got) != "[1 4 2 5 3 6]" {
		t.Error(got)
	}
}

// Every value of 2^-16 steps in +-12 against the double precision of this package.
func TestSinglePrecision(t *testing.T) {
	worst, worstSigmoid := 0.0, 0.0
	for i := -12 << 16; i <= 12<<16; i++ {
		x := float32(i) / (1 << 16)
		exact := Tanh(float64(x))
		ulp := math.Nextafter(math.Abs(exact), 2) - math.Abs(exact)
		if ulp *= 1 << 29; exact != 0 { // from double to single
			worst = max(worst, math.Abs(float64(Tanh32(x))-exact)/ulp)
		}
		worstSigmoid = max(worstSigmoid, math.Abs(float64(Sigmoid32(x))-Sigmoid(float64(x))))
	}
	t.Logf("tanh within %.2f ulp, sigmoid within %.2g", worst, worstSigmoid)
	if worst > 3 || worstSigmoid > 1.2e-7 {
		t.Errorf("tanh within %.2f ulp, sigmoid within %.2g", worst, worstSigmoid)
	}
	inf := float32(math.Inf(1))
	if Tanh32(inf) != 1 || Tanh32(-inf) != -1 || Sigmoid32(-inf) != 0 || Sigmoid32(inf) != 1 || math.Float32bits(Tanh32(float32(math.Copysign(0, -1)))) != 1<<31 {
		t.Error("limits")
	}
	if nan := Tanh32(float32(math.NaN())); nan == nan {
		t.Errorf("tanh of NaN is %v", nan)
	}
}

func TestCurvesInVectors(t *testing.T) {
	x := fill(rng.New(1, "curves"), 4003)
	for i := range 2000 {
		x[i] /= 1 << 10
	}
	copy(x, []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 10, 1e-30, 9.999999})
	for name, f := range map[string]struct {
		all func([]float32)
		one func(float32) float32
	}{"tanh": {Tanhs[float32], Tanh32}, "sigmoid": {Sigmoids[float32], Sigmoid32}} {
		y := append([]float32(nil), x...)
		f.all(y)
		for i, v := range y {
			w := f.one(x[i])
			if math.Float32bits(v) != math.Float32bits(w) && (v == v || w == w) {
				t.Fatalf("%s of %v is %v in a vector, else %v", name, x[i], v, w)
			}
		}
	}
}

func BenchmarkProduct(b *testing.B) {
	r := rng.New(1, "bench")
	for _, n := range [][3]int{{24, 48, 192}, {24, 200, 200}, {48, 216, 192}} {
		x, y, z := matrixOf(r, n[0], n[1], 0), matrixOf(r, n[1], n[2], 0), matrixOf(r, n[0], n[2], 0)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				AddProduct(z, x, y)
			}
			b.ReportMetric(float64(n[0]*n[1]*n[2])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}

func BenchmarkTanhs(b *testing.B) {
	x := fill(rng.New(1, "bench"), 1024)
	for b.Loop() {
		Tanhs(x)
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/1024, "ns/number")
}
