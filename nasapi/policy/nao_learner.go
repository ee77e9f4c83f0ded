package policy

import (
	"errors"
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// naoAdam is adam in single precision, as NAO trains: gradients are brought to a length
// of at most clip, then decay times the weights is added to them (PyTorch's weight_decay).
type naoAdam struct {
	rate, beta1, beta2, eps, decay, clip float64

	power1, power2 float64 // as in adam
	m, v           []float32
}

var _ G.Solver = (*naoAdam)(nil)

// Step updates the one vector of model and clears its gradient.
func (a *naoAdam) Step(model []G.ValueGrad) error {
	if len(model) != 1 {
		return fmt.Errorf("nao: the solver takes one vector of weights, not %d", len(model))
	}
	gradient, err := model[0].Grad()
	if err != nil {
		return fmt.Errorf("nao: the gradient: %w", err)
	}
	w, okW := model[0].Value().Data().([]float32)
	g, okG := gradient.Data().([]float32)
	if !okW || !okG || len(w) != len(g) || a.m != nil && len(a.m) != len(w) {
		return fmt.Errorf("nao: weights are %T and their gradient %T; want []float32 of one length", model[0].Value().Data(), gradient.Data())
	}
	a.begin(len(w))
	scale, err := a.scale(g)
	if err != nil {
		return err
	}
	inParallel(adamPieces, func(i int) {
		from, to := len(w)*i/adamPieces, len(w)*(i+1)/adamPieces
		a.update(w[from:to], g[from:to], a.m[from:to], a.v[from:to], scale)
	})
	clear(g)
	return nil
}

// begin counts a step of so many weights.
func (a *naoAdam) begin(weights int) {
	if a.m == nil {
		a.m, a.v = make([]float32, weights), make([]float32, weights)
		a.power1, a.power2 = 1, 1
	}
	a.power1 *= a.beta1
	a.power2 *= a.beta2
}

// adamPieces are as many as threads can work at; the sums of squares are by piece.
const adamPieces = 4

// scale is what clipping multiplies the gradient with, PyTorch's clip_grad_norm_.
func (a *naoAdam) scale(g []float32) (float32, error) {
	var sums [adamPieces]float64
	inParallel(adamPieces, func(i int) {
		var s0, s1 float64
		for j, v := range g[len(g)*i/adamPieces : len(g)*(i+1)/adamPieces] {
			if x := float64(v); j%2 == 0 {
				s0 += float64(x * x)
			} else {
				s1 += float64(x * x)
			}
		}
		sums[i] = s0 + s1
	})
	norm := math.Sqrt((sums[0] + sums[1]) + (sums[2] + sums[3]))
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return 0, errors.New("nao: the gradient of the predictor is not finite; lower learning_rate")
	}
	return float32(min(1, a.clip/(norm+1e-6))), nil
}

func (a *naoAdam) update(w, g, m, v []float32, scale float32) {
	b1, b2, decay, eps := float32(a.beta1), float32(a.beta2), float32(a.decay), float32(a.eps)
	c1, c2 := float32(1-a.beta1), float32(1-a.beta2)
	rate, root := float32(a.rate/(1-a.power1)), float32(1/math.Sqrt(1-a.power2))
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i, x := range w {
		d := float32(g[i]*scale) + float32(decay*x)
		m[i] = float32(b1*m[i]) + float32(c1*d)
		v[i] = float32(b2*v[i]) + float32(float32(c2*d)*d)
		w[i] = x - float32(rate*(m[i]/(float32(float32(math.Sqrt(float64(v[i])))*root)+eps)))
	}
}

// naoLearner is the Gorgonia side of NAO's model: for each size of batch the graph of
// loss and gradient and the machine that runs it, all of them on one vector of weights.
type naoLearner struct {
	*naoShape
	packed   []float32
	solver   *naoAdam
	machines map[int]*naoMachine
}

// naoMachine runs batches of one size: fill tokens, targets and masks, then step.
type naoMachine struct {
	tokens         []int
	targets, masks []float32
	weights        *G.Node
	loss           G.Value
	vm             G.VM
}

func newNAOLearner(s *naoShape, packed []float32, solver *naoAdam) *naoLearner {
	return &naoLearner{s, packed, solver, map[int]*naoMachine{}}
}

// of returns the machine for a number of rows.
func (l *naoLearner) of(rows int) (*naoMachine, error) {
	if m := l.machines[rows]; m != nil {
		return m, nil
	}
	m := &naoMachine{
		tokens: make([]int, rows*l.length), targets: make([]float32, rows), masks: make([]float32, rows*l.maskSize()),
	}
	graph := G.NewGraph()
	m.weights = G.NewVector(graph, tensor.Float32, G.WithName("weights"), G.WithShape(len(l.packed)),
		G.WithValue(tensor.New(tensor.WithShape(len(l.packed)), tensor.WithBacking(l.packed))))
	tokens := G.NewMatrix(graph, tensor.Int, G.WithName("tokens"), G.WithShape(rows, l.length),
		G.WithValue(tensor.New(tensor.WithShape(rows, l.length), tensor.WithBacking(m.tokens))))
	targets := G.NewVector(graph, tensor.Float32, G.WithName("targets"), G.WithShape(rows),
		G.WithValue(tensor.New(tensor.WithShape(rows), tensor.WithBacking(m.targets))))
	masks := G.NewMatrix(graph, tensor.Float32, G.WithName("masks"), G.WithShape(rows, l.maskSize()),
		G.WithValue(tensor.New(tensor.WithShape(rows, l.maskSize()), tensor.WithBacking(m.masks))))
	loss, err := G.ApplyOp(newNAOLossOp(l.naoShape, rows), m.weights, tokens, targets, masks)
	if err != nil {
		return nil, fmt.Errorf("nao: the loss does not fit its inputs: %w", err)
	}
	G.Read(loss, &m.loss)
	if _, err := G.Grad(loss, m.weights); err != nil {
		return nil, fmt.Errorf("nao: the gradient of the loss: %w", err)
	}
	m.vm = G.NewTapeMachine(graph, G.BindDualValues(m.weights))
	l.machines[rows] = m
	return m, nil
}

// step moves the weights once and returns the loss before the move.
func (l *naoLearner) step(m *naoMachine) (float64, error) {
	if err := m.vm.RunAll(); err != nil {
		return 0, err
	}
	defer m.vm.Reset()
	loss, ok := m.loss.Data().(float32)
	if !ok {
		return 0, fmt.Errorf("nao: the loss is %T, not a float32", m.loss.Data())
	}
	return float64(loss), l.solver.Step([]G.ValueGrad{m.weights})
}

func (l *naoLearner) close() error {
	var errs []error
	for _, m := range l.machines {
		errs = append(errs, closeMachine(m.vm))
	}
	return errors.Join(errs...)
}
