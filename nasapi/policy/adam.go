package policy

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
)

// adam is the Adam solver of Kingma and Ba as PyTorch defines it, with eps
// added outside the square root and after both bias corrections:
//
//	m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
//	w <- w - rate / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//
// Gorgonia's AdamSolver has the same definition (a test holds the two
// together), but its vector kernels may fuse multiply-adds on some processors;
// this one gives the same bits on all.
type adam struct {
	rate, beta1, beta2, eps float64

	power1, power2 float64 // beta1^t and beta2^t after t steps; 0 before the first
	moments        [][2][]float64
}

var _ G.Solver = (*adam)(nil)

// Step updates the float64 tensors of model in place and clears their
// gradients, as Gorgonia's solvers do.
func (a *adam) Step(model []G.ValueGrad) error {
	if err := a.begin(len(model)); err != nil {
		return err
	}
	for i, n := range model {
		g, err := n.Grad()
		if err != nil {
			return fmt.Errorf("adam: parameter %d: %w", i, err)
		}
		w, okW := n.Value().Data().([]float64)
		d, okD := g.Data().([]float64)
		if !okW || !okD || len(w) != len(d) {
			return fmt.Errorf("adam: parameter %d is %T with gradient %T; want []float64 of one length", i, n.Value().Data(), g.Data())
		}
		a.update(i, w, d)
		clear(d)
	}
	return nil
}

// begin counts a step of so many parameters.
func (a *adam) begin(parameters int) error {
	if a.moments == nil {
		a.moments = make([][2][]float64, parameters)
		a.power1, a.power2 = 1, 1
	}
	if len(a.moments) != parameters {
		return fmt.Errorf("adam: %d parameters, but %d in the step before", parameters, len(a.moments))
	}
	a.power1 *= a.beta1
	a.power2 *= a.beta2
	return nil
}

func (a *adam) update(i int, w, g []float64) {
	if a.moments[i][0] == nil {
		a.moments[i] = [2][]float64{make([]float64, len(w)), make([]float64, len(w))}
	}
	m, v := a.moments[i][0], a.moments[i][1]
	rate, root := a.rate/(1-a.power1), math.Sqrt(1-a.power2)
	for j, d := range g {
		m[j] = float64(a.beta1*m[j]) + float64((1-a.beta1)*d)
		v[j] = float64(a.beta2*v[j]) + float64(float64((1-a.beta2)*d)*d)
		w[j] -= float64(rate * (m[j] / (math.Sqrt(v[j])/root + a.eps)))
	}
}
