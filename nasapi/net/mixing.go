package net

import (
	"fmt"
	"math"

	"evalnas/nasapi/nn"
)

// Mixing is a graph of a supernet that adds up all options by weights: a
// *[SupernetPass] or a *[MixturePass].
type Mixing interface {
	// Base is the graph.
	Base() *Pass
	// Shape is the number of weights of each vector of a mixture.
	Shape() []int
	// SetMixture sets the weights, of the next forward passes: a policy's softmax, or
	// whatever it mixes by.
	SetMixture(m [][]float64) error
	// MixtureGrad is the loss's gradient with respect to the weights, after a backward
	// pass; a graph for evaluation has none. The pass has added to the gradients of the
	// network's parameters, too (nn.ClearGradients drops those), but in nn.Frozen mode,
	// which costs a third less.
	MixtureGrad() [][]float64
}

var (
	_ Mixing = (*SupernetPass)(nil)
	_ Mixing = (*MixturePass)(nil)
)

// Base is the pass.
func (p *Pass) Base() *Pass { return p }

// mixer is a mixture's weights as the sums of a graph have them.
type mixer struct {
	shape  []int
	name   func(vector int) string
	shared []*mixedSum
}

// mixedSum is the weights of one sum, which is there in several cells: where each of
// them stands in the mixture.
type mixedSum struct {
	weights []float32
	places  []place
	sums    []*nn.Sum
}

type place struct{ vector, at int }

// sum is the weights of sums whose sources are weighed by these places.
func (m *mixer) sum(places []place) *mixedSum {
	s := &mixedSum{weights: make([]float32, len(places)), places: places}
	m.shared = append(m.shared, s)
	return s
}

// on adds up sources into out, by the weights.
func (s *mixedSum) on(g *nn.Graph, sources []*nn.Var, out *nn.Var) *nn.Sum {
	sum := g.Sum(nn.Sum{Sources: sources, Weights: s.weights, Out: out})
	if g.Mode() != nn.Evaluate {
		sum.DWeights = make([]float32, len(s.weights))
	}
	s.sums = append(s.sums, sum)
	return sum
}

// Shape is the number of weights of each vector of a mixture.
func (m *mixer) Shape() []int { return append([]int(nil), m.shape...) }

// SetMixture sets the weights. One that is not a finite number is an error, as are
// vectors of another shape: the weights are then as they were.
func (m *mixer) SetMixture(mixture [][]float64) error {
	if err := m.validate(mixture); err != nil {
		return err
	}
	for _, s := range m.shared {
		for i, p := range s.places {
			s.weights[i] = float32(mixture[p.vector][p.at])
		}
	}
	return nil
}

func (m *mixer) validate(mixture [][]float64) error {
	if len(mixture) != len(m.shape) {
		return fmt.Errorf("a mixture of %d vectors; give %d, of %v weights", len(mixture), len(m.shape), m.shape)
	}
	for v, weights := range mixture {
		if len(weights) != m.shape[v] {
			return fmt.Errorf("%d weights for %s; give %d", len(weights), m.name(v), m.shape[v])
		}
		for i, w := range weights {
			if math.IsNaN(w) || math.IsInf(w, 0) {
				return fmt.Errorf("weight %d of %s is %v; give a finite number", i, m.name(v), w)
			}
		}
	}
	return nil
}

// MixtureGrad is the loss's gradient with respect to the weights, after a backward
// pass: zero for one that nothing is multiplied by.
func (m *mixer) MixtureGrad() [][]float64 {
	grad := newMixture(m.shape)
	for _, s := range m.shared {
		for _, sum := range s.sums {
			for i, d := range sum.DWeights {
				p := s.places[i]
				grad[p.vector][p.at] += float64(d)
			}
		}
	}
	return grad
}

// newMixture is zeros.
func newMixture(shape []int) [][]float64 {
	m := make([][]float64, len(shape))
	for i, n := range shape {
		m[i] = make([]float64, n)
	}
	return m
}
