package detmath

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"testing"

	"evalnas/nasapi/rng"
)

var functions = []struct {
	name      string
	f         func(float64) float64
	reference func(float64) *big.Float
	low, high float64
	ulps      float64
	digest    string
}{
	{"exp", Exp, bigExp, -700, 700, 1, "8efb965549c9b862"},
	{"exp near 0", Exp, bigExp, -1, 1, 1, "103cc2d6fcc4d5e8"},
	{"log", Log, bigLog, 1e-8, 1e8, 1, "20ab6a6341b0924c"},
	{"log near 1", Log, bigLog, .5, 2, 1, "4fbb7489171423ea"},
	{"tanh", Tanh, bigTanh, -23, 23, 3, "ab8dd8f890ede8c0"},
	{"tanh near 0", Tanh, bigTanh, -.2, .2, 3, "3da3db9fdd5e4b51"},
	{"sigmoid", Sigmoid, bigSigmoid, -40, 40, 3, "fabf82a9d0767311"},
}

const precision = 200

func bigFloat(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }

func newBig() *big.Float { return new(big.Float).SetPrec(precision) }

// bigExp halves the argument until the series is short, then squares back.
func bigExp(x float64) *big.Float { return bigExpOf(bigFloat(x)) }

func bigExpOf(x *big.Float) *big.Float {
	const halvings = 24
	r := newBig().SetMantExp(x, -halvings)
	sum, term := bigFloat(1), bigFloat(1)
	for n := 1; n < 30; n++ {
		term.Mul(term, r)
		term.Quo(term, bigFloat(float64(n)))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

// bigLog is two steps of Newton's method from math.Log: 16, 32, 64 digits.
func bigLog(x float64) *big.Float {
	y := bigFloat(math.Log(x))
	for range 2 {
		e := bigExpOf(y)
		diff := newBig().Sub(bigFloat(x), e)
		sum := newBig().Add(bigFloat(x), e)
		diff.Quo(diff, sum)
		y.Add(y, diff.Mul(diff, bigFloat(2)))
	}
	return y
}

func bigTanh(x float64) *big.Float {
	e := bigExp(2 * x)
	return newBig().Quo(newBig().Sub(e, bigFloat(1)), newBig().Add(e, bigFloat(1)))
}

func bigSigmoid(x float64) *big.Float {
	return newBig().Quo(bigFloat(1), newBig().Add(bigFloat(1), bigExp(-x)))
}

// ulpsOff is the error of got in units of the last place of the exact result.
func ulpsOff(got float64, exact *big.Float) float64 {
	near, _ := exact.Float64()
	ulp := math.Nextafter(math.Abs(near), math.Inf(1)) - math.Abs(near)
	diff, _ := newBig().Sub(bigFloat(got), exact).Float64()
	return math.Abs(diff) / ulp
}

func TestAccuracy(t *testing.T) {
	for _, c := range functions {
		s := rng.New(1, "detmath", c.name)
		worst, at := 0.0, 0.0
		for range 2000 {
			x := c.low + s.Float64()*(c.high-c.low)
			if off := ulpsOff(c.f(x), c.reference(x)); off > worst {
				worst, at = off, x
			}
		}
		t.Logf("%-12s worst error %.3f ulp at %v", c.name, worst, at)
		if worst >= c.ulps {
			t.Errorf("%s(%v) is %.2f ulp off, want less than %v", c.name, at, worst, c.ulps)
		}
	}
}

// The digests were computed on linux/amd64; a processor or compiler that gives
// other bits fails here.
func TestBits(t *testing.T) {
	for _, c := range functions {
		s, h := rng.New(2, "detmath", c.name), sha256.New()
		for range 20000 {
			x := c.low + float64(s.Float64()*(c.high-c.low))
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], math.Float64bits(c.f(x)))
			h.Write(b[:])
		}
		if got := hex.EncodeToString(h.Sum(nil)[:8]); got != c.digest {
			t.Errorf("%s: digest %s, want %s", c.name, got, c.digest)
		}
	}
}

func TestSpecialValues(t *testing.T) {
	inf, nan, negZero := math.Inf(1), math.NaN(), math.Copysign(0, -1)
	for _, c := range []struct {
		name    string
		f       func(float64) float64
		x, want float64
	}{
		{"exp", Exp, 0, 1}, {"exp", Exp, 710, inf}, {"exp", Exp, -746, 0}, {"exp", Exp, inf, inf},
		{"exp", Exp, -inf, 0}, {"exp", Exp, nan, nan}, {"exp", Exp, math.Nextafter(maxExp, inf), inf},
		{"exp", Exp, -745, 5e-324}, // subnormal, rounded once
		{"log", Log, 1, 0}, {"log", Log, 0, -inf}, {"log", Log, negZero, -inf}, {"log", Log, -1, nan},
		{"log", Log, inf, inf}, {"log", Log, nan, nan}, {"log", Log, 5e-324, -744.4400719213812}, {"log", Log, 2, math.Ln2},
		{"tanh", Tanh, 0, 0}, {"tanh", Tanh, negZero, negZero}, {"tanh", Tanh, inf, 1}, {"tanh", Tanh, -inf, -1},
		{"tanh", Tanh, nan, nan}, {"tanh", Tanh, 1e-300, 1e-300}, {"tanh", Tanh, -1e-10, -1e-10},
		{"sigmoid", Sigmoid, 0, .5}, {"sigmoid", Sigmoid, inf, 1}, {"sigmoid", Sigmoid, -inf, 0}, {"sigmoid", Sigmoid, nan, nan},
	} {
		got := c.f(c.x)
		same := math.Float64bits(got) == math.Float64bits(c.want) || got != got && c.want != c.want
		if !same {
			t.Errorf("%s(%v) = %v, want %v", c.name, c.x, got, c.want)
		}
	}
}

// The largest finite results and subnormal ones, where scaling needs care.
func TestExpAtTheEnds(t *testing.T) {
	for _, x := range []float64{maxExp, math.Nextafter(maxExp, 0), 709.5, 709, -708.5, -709} {
		if off := ulpsOff(Exp(x), bigExp(x)); off >= 1 {
			t.Errorf("exp(%v) is %.2f ulp off", x, off)
		}
	}
}

func TestLogSumExp(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{0, 0}, math.Ln2},
		{[]float64{1000, 1000, 1000, 1000}, 1000 + 2*math.Ln2},
		{[]float64{-1000, math.Inf(-1)}, -1000},
		{[]float64{math.Inf(-1)}, math.Inf(-1)},
	} {
		if got := LogSumExp(c.x); got != c.want {
			t.Errorf("LogSumExp(%v) = %v, want %v", c.x, got, c.want)
		}
	}
}

func TestVectors(t *testing.T) {
	s := rng.New(3, "detmath", "vectors")
	for n := range 19 {
		a, b, y := make([]float64, n), make([]float64, n), make([]float64, n)
		want := 0.0
		for i := range a {
			a[i], b[i], y[i] = float64(s.IntN(9)), float64(s.IntN(9)), float64(s.IntN(9))
			want += a[i] * b[i] // small integers: exact in any order
		}
		if got := Dot(a, b); got != want {
			t.Errorf("Dot of length %d = %v, want %v", n, got, want)
		}
		before := append([]float64(nil), y...)
		Axpy(3, a, y)
		for i := range y {
			if y[i] != before[i]+3*a[i] {
				t.Errorf("Axpy of length %d: element %d is %v", n, i, y[i])
			}
		}
	}
}

// The matrix forms are faster ways to the very bits of the plain loops.
func TestMatrixForms(t *testing.T) {
	s := rng.New(4, "detmath", "matrix")
	random := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = s.Float64() - 0.5
		}
		return x
	}
	for rows := range 18 {
		for cols := range 11 {
			m, x, a := random(rows*cols), random(cols), random(rows)
			got, want := make([]float64, rows), make([]float64, rows)
			MatVec(m, x, got)
			for i := range m {
				want[i/cols] += float64(m[i] * x[i%cols])
			}
			equalBits(t, "MatVec", rows, cols, got, want)

			got = random(cols)
			want = append([]float64(nil), got...)
			AddTransposed(m, a, got)
			for i, v := range a {
				for j := range want {
					want[j] += float64(v * m[i*cols+j])
				}
			}
			equalBits(t, "AddTransposed", rows, cols, got, want)

			got = append([]float64(nil), m...)
			AddOuter(a, x, got)
			for i := range m {
				m[i] += float64(a[i/cols] * x[i%cols])
			}
			equalBits(t, "AddOuter", rows, cols, got, m)
		}
	}
}

func equalBits(t *testing.T, name string, rows, cols int, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			t.Errorf("%s of %d x %d: element %d is %v, want %v", name, rows, cols, i, got[i], want[i])
		}
	}
}

func BenchmarkFunctions(b *testing.B) {
	for _, c := range []struct {
		name string
		f    func(float64) float64
	}{{"exp", Exp}, {"log", Log}, {"tanh", Tanh}, {"sigmoid", Sigmoid}, {"math.Tanh", math.Tanh}} {
		b.Run(c.name, func(b *testing.B) {
			x, sum := 0.1, 0.0
			for b.Loop() {
				sum += c.f(x)
				if x += 0.37; x > 20 {
					x = 0.1
				}
			}
			if sum == 0 {
				b.Fatal("no work was done")
			}
		})
	}
}

func BenchmarkVectors(b *testing.B) {
	m, x, y := make([]float64, 256*64), make([]float64, 64), make([]float64, 256)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"MatVec", func() { MatVec(m, x, y) }},
		{"AddTransposed", func() { AddTransposed(m, y, x) }},
		{"AddOuter", func() { AddOuter(y, x, m) }},
	} {
		b.Run(c.name+"/256x64", func(b *testing.B) {
			for b.Loop() {
				c.f()
			}
			b.ReportMetric(float64(b.N)*256*64/b.Elapsed().Seconds()/1e9, "Gmul-add/s")
		})
	}
}
