package net

import (
	"math"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/rng"
)

// Initialise draws the weights of a seed by the configuration's rule and starts the
// batch norms: scale 1, shift 0, running mean 0 and variance 1. Every parameter has a
// stream of its own, named after it, so its first values depend on nothing else.
func (n *Network) Initialise(seed int64) {
	for _, t := range n.tensors {
		switch {
		case t.param != nil:
			values := make([]float32, t.param.Len())
			t.draw(values, n.cfg.Start, rng.New(seed, "net", t.param.Name))
			n.dev.Write(t.param.Value, 0, values)
		case t.batches != nil:
			*t.batches = 0
		}
	}
	for _, bn := range n.norms {
		clear(bn.Mean)
		fill(bn.Var, 1)
	}
}

func (t tensor) draw(values []float32, rule Start, s *rng.Stream) {
	switch {
	case t.role == zeroRole || t.role == biasRole && rule == TensorFlow:
	case t.role == oneRole:
		fill(values, 1)
	case rule == Kaiming && t.role != biasRole:
		normal(values, math.Sqrt(2/float64(t.fanIn)), s)
	case rule == PyTorch, rule == Kaiming:
		uniform(values, 1/math.Sqrt(float64(t.fanIn)), s)
	case t.role == linearRole:
		uniform(values, math.Sqrt(6/float64(t.fanIn+t.fanOut)), s)
	default:
		truncated(values, math.Sqrt(1/float64(t.fanIn))/truncatedDeviation, s)
	}
}

// normal fills x with normal numbers of the given deviation.
func normal(x []float32, deviation float64, s *rng.Stream) {
	for i := 0; i < len(x); i += 2 {
		a, b := normals(s)
		x[i] = float32(deviation * a)
		if i+1 < len(x) {
			x[i+1] = float32(deviation * b)
		}
	}
}

// uniform fills x with uniform numbers between -bound and bound.
func uniform(x []float32, bound float64, s *rng.Stream) {
	for i := range x {
		x[i] = float32(bound * symmetric(s))
	}
}

// symmetric is uniform in [-1, 1).
func symmetric(s *rng.Stream) float64 { return float64(2*s.Float64()) - 1 }

// truncatedDeviation is the standard deviation of a standard normal distribution cut
// off at -2 and 2.
const truncatedDeviation = 0.87962566103423978

// truncated fills x with normal numbers of the given deviation before those beyond
// two deviations are drawn again.
func truncated(x []float32, deviation float64, s *rng.Stream) {
	for i := 0; i < len(x); {
		a, b := normals(s)
		for _, z := range []float64{a, b} {
			if math.Abs(z) <= 2 && i < len(x) {
				x[i] = float32(deviation * z)
				i++
			}
		}
	}
}

// normals are two independent standard normal numbers, by the polar method of
// Marsaglia and Bray (1964).
func normals(s *rng.Stream) (float64, float64) {
	for {
		u, v := symmetric(s), symmetric(s)
		r := float64(u*u) + float64(v*v)
		if r >= 1 || r == 0 {
			continue
		}
		f := math.Sqrt(-2 * detmath.Log(r) / r)
		return u * f, v * f
	}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
