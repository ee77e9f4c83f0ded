package kernel

import (
	"math"
	"math/big"
	"testing"

	"evalnas/nasapi/rng"
)

// exactFMA rounds a*b+c once, by arbitrary precision.
func exactFMA(a, b, c float32) float32 {
	exact := func(x float32) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(float64(x)) }
	sum := exact(a)
	sum.Mul(sum, exact(b)).Add(sum, exact(c))
	f, _ := sum.Float32()
	return f
}

// drawFloat draws bit patterns that are likely to meet ties, cancellation, denormals and
// overflow: few bits set, exponents near each other.
func drawFloat(s *rng.Stream) float32 {
	bits := uint32(s.Uint64())
	switch s.IntN(4) {
	case 0: // any finite number
		if bits>>23&255 == 255 {
			bits &^= 1 << 23
		}
	case 1: // near 1, few bits
		bits = bits&(1<<31) | uint32(115+s.IntN(24))<<23 | bits&0x7fffff&(bits>>3)&(bits<<5)
	case 2: // denormal or nearly
		bits = bits&(1<<31) | uint32(s.IntN(3))<<23 | bits&0x7fffff
	default: // a power of two
		bits = bits&(1<<31) | uint32(s.IntN(255))<<23
	}
	return math.Float32frombits(bits)
}

// drawTriple draws the arguments of a multiply-add, half of them adversarial.
func drawTriple(s *rng.Stream) (a, b, c float32) {
	a, b, c = drawFloat(s), drawFloat(s), drawFloat(s)
	switch s.IntN(4) {
	case 0: // cancels, all but the last bits
		c = -float32(float64(a) * float64(b))
	case 1: // a tie, or as near to one as products come
		fraction := float32(1 + math.Ldexp(float64(s.IntN(3)-1), -23))
		_, exp := math.Frexp(float64(c))
		split := s.IntN(40) - 20
		a, b = float32(math.Ldexp(1, exp-25+split)), fraction*float32(math.Ldexp(1, -split))
		if s.IntN(2) == 0 {
			a = -a
		}
	}
	return a, b, c
}

func sameFloat(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func TestFMAIsCorrectlyRounded(t *testing.T) {
	s := rng.New(1, "fma")
	n := 1_000_000
	if testing.Short() {
		n = 30_000
	}
	for range n {
		a, b, c := drawTriple(s)
		if got, want := FMA(a, b, c), exactFMA(a, b, c); !sameFloat(got, want) {
			t.Fatalf("FMA(%x, %x, %x) = %x, want %x", a, b, c, got, want)
		}
	}
}

// TestFMAIsTheProcessors runs Dense on one input of one pixel; one of the four channels
// that it must have gets a triple.
func TestFMAIsTheProcessors(t *testing.T) {
	s := rng.New(18, "fma of the processor")
	n := 1_000_000
	if testing.Short() {
		n = 10_000
	}
	w, out, in := make([]float32, 4), make([]float32, 4), make([]float32, 1)
	zero := []int32{0}
	for range n {
		var old [4]float32
		for i := range old {
			w[i], old[i] = drawFloat(s), drawFloat(s)
		}
		i := s.IntN(len(w))
		in[0], w[i], old[i] = drawTriple(s)
		for _, set := range others() {
			copy(out, old[:])
			set.Dense(&Dense{Out: out, OutOff: zero, In: in, InOff: zero, Taps: zero, K: 1, N: 4, W: w, Accumulate: true})
			for i, got := range out {
				if want := FMA(in[0], w[i], old[i]); !sameFloat(got, want) {
					t.Fatalf("%v: %x * %x + %x = %x, FMA says %x", set, in[0], w[i], old[i], got, want)
				}
			}
		}
	}
}

func TestFMAOfSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct{ a, b, c, want float32 }{
		{inf, 1, 0, inf}, {inf, -1, 5, -inf}, {1, 1, inf, inf}, {3e38, 10, 0, inf}, {3e38, 10, -inf, -inf}, {0, 5, 0, 0},
	} {
		if got := FMA(c.a, c.b, c.c); got != c.want {
			t.Errorf("FMA(%v, %v, %v) = %v, want %v", c.a, c.b, c.c, got, c.want)
		}
	}
	for _, c := range [][3]float32{{nan, 1, 1}, {1, nan, 1}, {1, 1, nan}, {inf, 0, 1}, {inf, 1, -inf}} {
		if got := FMA(c[0], c[1], c[2]); got == got {
			t.Errorf("FMA of %v is %v", c, got)
		}
	}
}

func TestChoose(t *testing.T) {
	if s, err := choose("generic"); err != nil || s != Generic {
		t.Errorf("generic is %v, %v", s, err)
	}
	if _, err := choose("sse9"); err == nil {
		t.Error("an unknown set was taken")
	}
	if s, err := choose(""); err != nil || s != Available()[len(Available())-1] {
		t.Errorf("the best is %v, %v", s, err)
	}
}
