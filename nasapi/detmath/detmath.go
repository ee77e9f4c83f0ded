// Package detmath has the elementary functions whose results must be the same
// bits on every machine: Exp, Log, Tanh, Sigmoid and the sums built on them.
//
// The functions of package math are accurate but not reproducible: some have
// assembly on one processor and not on another, and the compiler may fuse
// x*y+z into one rounding where the processor can (arm64, or amd64 at a higher
// GOAMD64). Here every product stands in an explicit float64 conversion, which
// forbids fusing, and only + - * / and bit operations are used. IEEE 754 fixes
// their results.
//
// Errors against the exact result are below 1 ulp for Exp and Log and below
// 3 ulp for Tanh and Sigmoid. Special values are those of package math.
//
// Callers that sum products must wrap each product themselves, or use Dot,
// Axpy and AddProduct, which fix the order of the sum too.
//
// For networks there is single precision: Tanh32 and Sigmoid32, Tanhs and
// Sigmoids of many numbers at once, and matrix products. Those have AVX2 twins
// of the same bits (asm writes them; go generate).
package detmath

import "math"

// ln2Hi has its low 32 bits zero, so that k*ln2Hi is exact for every exponent
// k; ln2Lo is the rest of ln 2.
const (
	ln2Hi = 0x1.62e42feep-01
	ln2Lo = 0x1.a39ef35793c76p-33
	invLn = 1 / math.Ln2
)

// maxExp and minExp bound the arguments of a finite, non-zero Exp.
const (
	maxExp = 709.782712893384
	minExp = -745.1332191019412
)

// expSeries holds 1/n! for n = 13 down to 2: with |r| <= ln(2)/2 the next term
// is below 5e-18.
var expSeries = [...]float64{
	1. / 6227020800, 1. / 479001600, 1. / 39916800, 1. / 3628800, 1. / 362880, 1. / 40320,
	1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2,
}

// reduce writes x as k ln 2 + r with |r| just above ln(2)/2 at most; r is hi+lo
// with the rounding error of the reduction in lo.
func reduce(x float64) (k int, hi, lo float64) {
	n := math.Floor(float64(x*invLn) + 0.5)
	hi = x - float64(n*ln2Hi)
	return int(n), hi, -float64(n * ln2Lo)
}

// expm1 is exp(hi+lo)-1 for a reduced argument.
func expm1(hi, lo float64) float64 {
	r := hi + lo
	lo -= r - hi // what the sum dropped; its derivative is near 1, so it is added back at the end
	p := expSeries[0]
	for _, c := range expSeries[1:] {
		p = float64(p*r) + c
	}
	return r + (float64(float64(r*r)*p) + float64(lo+float64(lo*r)))
}

// scale returns x * 2^k for 0.5 < x < 2.
func scale(x float64, k int) float64 {
	if k > -1022 && k < 1023 {
		return x * math.Float64frombits(uint64(k+1023)<<52)
	}
	return math.Ldexp(x, k)
}

// Exp returns e**x.
func Exp(x float64) float64 {
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x > maxExp:
		return math.Inf(1)
	case x < minExp:
		return 0
	}
	k, hi, lo := reduce(x)
	return scale(1+expm1(hi, lo), k)
}

// logSeries holds 2/(2n+1) for n = 11 down to 1: the series of 2 atanh(s) less
// 2s, over s, in powers of s*s <= 0.0295.
var logSeries = [...]float64{
	2. / 23, 2. / 21, 2. / 19, 2. / 17, 2. / 15, 2. / 13, 2. / 11, 2. / 9, 2. / 7, 2. / 5, 2. / 3,
}

// Log returns the natural logarithm.
func Log(x float64) float64 {
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	// log(1+f) = 2 atanh(s) with s = f/(2+f); 2s = f - s f, and f*f/2 is taken
	// out so that the large part f stays exact.
	f := m - 1
	s := f / (2 + f)
	z := float64(s * s)
	p := logSeries[0]
	for _, c := range logSeries[1:] {
		p = float64(p*z) + c
	}
	half := float64(float64(f*f) * 0.5)
	n := float64(e)
	tail := float64(s*(half+float64(z*p))) + float64(n*ln2Lo)
	return float64(n*ln2Hi) + (f - (half - tail))
}

// Tanh returns the hyperbolic tangent.
func Tanh(x float64) float64 {
	a := math.Abs(x)
	switch {
	case x != x || x == 0:
		return x
	case a > 22: // 1 - tanh is below half an ulp of 1
		return math.Copysign(1, x)
	}
	k, hi, lo := reduce(2 * a)
	two := scale(1, k)
	e := float64(two*expm1(hi, lo)) + (two - 1) // exp(2a) - 1, without cancellation for small a
	return math.Copysign(e/(e+2), x)
}

// Sigmoid returns 1 / (1 + exp(-x)).
func Sigmoid(x float64) float64 {
	if x < 0 {
		e := Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + Exp(-x))
}

// LogSumExp returns the logarithm of the sum of exp of x, which must not be
// empty, summed in order and without overflow.
func LogSumExp(x []float64) float64 {
	top := x[0]
	for _, v := range x[1:] {
		top = math.Max(top, v)
	}
	if math.IsInf(top, 0) {
		return top
	}
	sum := 0.0
	for _, v := range x {
		sum += Exp(v - top)
	}
	return top + Log(sum)
}
