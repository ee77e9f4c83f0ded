package policy

import (
	"math"
	"testing"

	"evalnas/nasapi/rng"
)

// meanError is what backward is the gradient of.
func meanError(predicted, targets []float32) float64 {
	sum := 0.0
	for i, y := range predicted {
		sum += math.Abs(float64(y)-float64(targets[i])) / float64(len(targets))
	}
	return sum
}

// The network is linear in each weight between the bends of ReLU, so central differences
// are exact up to the rounding of single precision: 1e-7 of values near 1, over steps of
// 1e-2. A weight whose step crosses a bend is left out, as few as those are.
func TestPerceptronGradient(t *testing.T) {
	s := rng.New(3, "perceptron")
	n := newPerceptron(5, 8, 3, s)
	const rows = 7
	p := n.pass(rows)
	for i := range p.x[0] {
		p.x[0][i] = float32(2*s.Float64() - 1)
	}
	targets := make([]float32, rows)
	for i := range targets {
		targets[i] = float32(4*s.Float64() - 2)
	}
	p.forward()
	grad := append([]float32(nil), p.backward(targets)...)
	bent, moved := 0, 0
	for i, w := range n.packed {
		at := func(h float32) float64 {
			n.packed[i] = w + h
			defer func() { n.packed[i] = w }()
			return meanError(p.forward(), targets)
		}
		const h = 1e-2
		up, middle, down := at(h), at(0), at(-h)
		if math.Abs(up+down-2*middle) > 1e-6 {
			bent++
			continue
		}
		want := (up - down) / (2 * h)
		if math.Abs(float64(grad[i])-want) > 2e-4 {
			t.Errorf("weight %d: gradient %v, differences %v", i, grad[i], want)
		}
		if math.Abs(want) > 1e-3 {
			moved++
		}
	}
	if bent > len(n.packed)/3 || moved < len(n.packed)/4 {
		t.Errorf("of %d weights %d are at a bend and %d matter: the comparison shows little", len(n.packed), bent, moved)
	}
}

// A smooth function of its inputs is learnt from some hundred examples.
func TestPerceptronLearns(t *testing.T) {
	s := rng.New(4, "perceptron")
	example := func() ([]float32, float32) {
		x := make([]float32, 6)
		sum := 0.0
		for i := range x {
			x[i] = float32(s.IntN(2))
			sum += float64(float64(i)*float64(x[i])) / 5
		}
		return x, float32(sum - 1.5 + float64(x[0]*x[5]))
	}
	var x [][]float32
	var y []float32
	for range 200 {
		a, b := example()
		x, y = append(x, a), append(y, b)
	}
	n := newPerceptron(6, 20, 3, s)
	before := meanError(n.predict(x), y)
	if err := n.fit(x, y, 60, 32, 0.01, s, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if after := meanError(n.predict(x), y); after > 0.15 || after > before/4 {
		t.Errorf("the mean error went from %.3f to %.3f", before, after)
	}
}
