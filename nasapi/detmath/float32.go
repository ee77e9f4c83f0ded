package detmath

import "math"

// tanhSeries holds 1/n! for n = 7 down to 2: with |r| <= ln(2)/2 the next term is below
// 6e-9 of r.
var tanhSeries = [...]float32{1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2}

// ln2Hi32 has its low bits zero, so that small multiples are exact; ln2Lo32 is the rest.
const (
	ln2Hi32 = 0x1.62ep-01
	ln2Lo32 = 0x1.0bfbe8p-15
	invLn32 = 0x1.715476p+00
)

// Tanh32 is the hyperbolic tangent in single precision, for what is evaluated by the
// million: within 3 ulp of the exact one. NaN gives NaN.
func Tanh32(x float32) float32 {
	a := 2 * math.Float32frombits(math.Float32bits(x)&^(1<<31))
	if a > 20 { // 1 - tanh is below half an ulp of 1
		a = 20
	}
	n := int32(float32(a*invLn32) + 0.5)
	k := float32(n)
	r := (a - float32(k*ln2Hi32)) - float32(k*ln2Lo32)
	p := tanhSeries[0]
	p = float32(p*r) + tanhSeries[1]
	p = float32(p*r) + tanhSeries[2]
	p = float32(p*r) + tanhSeries[3]
	p = float32(p*r) + tanhSeries[4]
	p = float32(p*r) + tanhSeries[5]
	two := math.Float32frombits(uint32(n+127) << 23)
	e := float32(two*(r+float32(float32(r*r)*p))) + (two - 1) // exp(2a) - 1
	t := e / (e + 2)
	return math.Float32frombits(math.Float32bits(t) | math.Float32bits(x)&(1<<31))
}

// Sigmoid32 is 1 / (1 + exp(-x)) in single precision: within 1.2e-7, and so 0 from about
// -18 down.
func Sigmoid32(x float32) float32 {
	return 0.5 + float32(0.5*Tanh32(float32(0.5*x)))
}

// Tanhs sets every number of x to its hyperbolic tangent: Tanh, or Tanh32 to the bit.
func Tanhs[T Real](x []T) {
	switch x := any(x).(type) {
	case []float32:
		for i := curveVectors(x, false); i < len(x); i++ {
			x[i] = Tanh32(x[i])
		}
	case []float64:
		for i, v := range x {
			x[i] = Tanh(v)
		}
	}
}

// Sigmoids is Tanhs for Sigmoid and Sigmoid32.
func Sigmoids[T Real](x []T) {
	switch x := any(x).(type) {
	case []float32:
		for i := curveVectors(x, true); i < len(x); i++ {
			x[i] = Sigmoid32(x[i])
		}
	case []float64:
		for i, v := range x {
			x[i] = Sigmoid(v)
		}
	}
}
