package shared

import (
	"fmt"
	"math"

	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/policy"
)

// mixing is the supernet if it can mix.
func (h *handed) mixing() (mixing, error) {
	m, ok := h.t.net.(mixing)
	if !ok {
		return nil, fmt.Errorf("the supernet of %s in %s has single paths only", h.t.Job.Policy, h.t.Space)
	}
	return m, nil
}

func (h *handed) MixtureShape() []int {
	m, err := h.mixing()
	if err != nil {
		return nil
	}
	g, err := m.mix(nn.Train, h.t.Config.Batch)
	if err != nil {
		return nil
	}
	return g.Shape()
}

func (h *handed) TrainMixture(m policy.Mixture) (policy.Accuracy, error) {
	if h.batch == nil {
		return policy.Accuracy{}, errNoBatch
	}
	got, _, err := h.mixed(nn.Train, m, h.trainImages())
	if err != nil {
		return got, err
	}
	return got, h.move(got)
}

// picked are images that a pass is given.
type picked struct {
	n    int
	load func(net.Mixing) error
}

func (h *handed) trainImages() picked {
	return picked{h.batch.N, func(m net.Mixing) error { return load(m.Base(), h.batch.X, h.batch.Labels) }}
}

// validImages are the step's batch of validation images.
func (h *handed) validImages() picked {
	drawn := h.t.valid.drawn(h.at.Epoch*h.at.Steps+h.at.Step, h.t.Config.Batch, h.t.Seed, "mixture")
	return picked{len(drawn), func(m net.Mixing) error { return h.t.valid.load(m.Base(), drawn) }}
}

// mixed is a forward and a backward pass of the mixture: gradients are added to those of
// the parameters, unless these are frozen.
func (h *handed) mixed(mode nn.Mode, m policy.Mixture, on picked) (policy.Accuracy, policy.Mixture, error) {
	supernet, err := h.mixing()
	if err != nil {
		return policy.Accuracy{}, nil, err
	}
	mix, err := supernet.mix(mode, on.n)
	if err != nil {
		return policy.Accuracy{}, nil, err
	}
	if err := mix.SetMixture(m); err != nil {
		return policy.Accuracy{}, nil, err
	}
	got, err := h.forwardBackward(mix.Base(), func() error { return on.load(mix) })
	if err != nil {
		return got, nil, err
	}
	return got, mix.MixtureGrad(), nil
}

func (h *handed) MixtureGrad(m policy.Mixture, unrolled bool) (policy.Mixture, policy.Accuracy, error) {
	if h.batch == nil {
		return nil, policy.Accuracy{}, errNoBatch
	}
	if unrolled {
		return h.unrolled(m)
	}
	got, grad, err := h.mixed(nn.Frozen, m, h.validImages())
	return grad, got, err
}

// unrolled is the second-order gradient of DARTS (Liu, Simonyan and Yang, ICLR 2019,
// equations 6 to 8): that of the validation loss at the weights after a virtual step,
// less the rate times its implicit part, for which the training loss is differenced along
// the validation loss's gradient.
func (h *handed) unrolled(m policy.Mixture) (policy.Mixture, policy.Accuracy, error) {
	t := h.t
	w := t.weights()
	defer func() { t.setWeights(w); t.forgetGradients() }()
	if _, _, err := h.mixed(nn.Recalibrate, m, h.trainImages()); err != nil {
		return nil, policy.Accuracy{}, err
	}
	rate := t.Config.rate(h.at.Epoch)
	t.setWeights(t.virtualStep(w, rate))
	t.forgetGradients()
	got, grad, err := h.mixed(nn.Recalibrate, m, h.validImages())
	if err != nil {
		return nil, got, err
	}
	along := t.gradients()
	t.forgetGradients()
	reach := 0.01 / max(norm(along), 1e-12) // R of the published code
	var ends [2]policy.Mixture
	for i, sign := range []float64{1, -1} {
		t.setWeights(moved(w, along, float64(sign*reach)))
		if _, ends[i], err = h.mixed(nn.Frozen, m, h.trainImages()); err != nil {
			return nil, got, err
		}
	}
	for v := range grad {
		for i := range grad[v] {
			implicit := float64(ends[0][v][i]-ends[1][v][i]) / float64(2*reach)
			grad[v][i] -= float64(rate * implicit)
		}
	}
	return grad, got, nil
}

// weights copies the values of all parameters.
func (t *Trainer) weights() [][]float32 {
	return t.copied(func(p *nn.Param) nn.Memory { return p.Value })
}

func (t *Trainer) gradients() [][]float32 {
	return t.copied(func(p *nn.Param) nn.Memory { return p.Grad })
}

func (t *Trainer) copied(of func(*nn.Param) nn.Memory) [][]float32 {
	var all [][]float32
	for _, p := range t.net.Params() {
		values := make([]float32, p.Len())
		t.Device.Read(values, of(p), 0)
		all = append(all, values)
	}
	return all
}

func (t *Trainer) setWeights(w [][]float32) {
	for i, p := range t.net.Params() {
		t.Device.Write(p.Value, 0, w[i])
	}
}

// forgetGradients clears what backward passes left that no step is to follow.
func (t *Trainer) forgetGradients() { nn.ClearGradients(t.Device, t.net.Params()) }

// virtualStep is the weights after the optimiser's step along the present gradients,
// not clipped: w - rate (momentum buffer' + gradient + decay w).
func (t *Trainer) virtualStep(w [][]float32, rate float64) [][]float32 {
	grads := t.gradients()
	next := make([][]float32, len(w))
	for i, p := range t.net.Params() {
		buffer := t.opt.Slot(t.Device, p, 0)
		next[i] = make([]float32, len(w[i]))
		for k, x := range w[i] {
			g := float64(grads[i][k]) + float64(t.Config.Decay*float64(x))
			if buffer != nil {
				g += float64(t.Config.Momentum * float64(buffer[k]))
			}
			next[i][k] = float32(float64(x) - float64(rate*g))
		}
	}
	return next
}

// moved is w + by*along.
func moved(w, along [][]float32, by float64) [][]float32 {
	next := make([][]float32, len(w))
	for i := range w {
		next[i] = make([]float32, len(w[i]))
		for k, x := range w[i] {
			next[i][k] = float32(float64(x) + float64(by*float64(along[i][k])))
		}
	}
	return next
}

func norm(v [][]float32) float64 {
	sum := 0.0
	for _, part := range v {
		for _, x := range part {
			sum += float64(float64(x) * float64(x))
		}
	}
	return math.Sqrt(sum)
}
