package nn

import (
	"fmt"
	"math"
)

// Optimiser moves parameters against their gradients. Its zero value but for Rule
// and Params is plain gradient descent.
type Optimiser struct {
	Rule   Rule
	Params []*Param

	Momentum float64 // SGD, RMSProp, RMSPropTF
	Decay    float64 // L2 penalty: Decay*w is added to the gradient of every weight, norms and biases too
	Alpha    float64 // share of the old mean square: PyTorch's default 0.99, TensorFlow's 0.9
	Beta1    float64 // Adam
	Beta2    float64
	Eps      float64
	ClipNorm float64 // 0: none; else gradients are scaled to this global L2 norm where it is exceeded

	// SkipUntouched leaves weights that no backward pass of this step used as they
	// are. Off, a weight that ever had a gradient goes on decaying and drifting by its
	// momentum when the sampled path does not use it, as the reference's did
	// (PyTorch 1.2 zeroed gradients instead of dropping them). Weights that never had
	// one stay where they began either way.
	SkipUntouched bool

	// MeanSquare0 is what RMSProp's mean square starts at: 0 in PyTorch, 1 in TensorFlow.
	MeanSquare0 float64

	steps int64
}

// clipEps keeps the scale finite, as in the reference (and PyTorch).
const clipEps = 1e-6

// StepReport is what a step saw.
type StepReport struct {
	Norm float64 // global L2 norm of the gradients before clipping
}

// Step makes one step of the given learning rate and clears the gradients. A norm
// that is not finite leaves weights, slots and gradients alone and is an error.
func (o *Optimiser) Step(dev Device, rate float64) (StepReport, error) {
	var moved []*Param
	var updates []Update
	norm := math.Sqrt(dev.SquaredNorm(touched(o.Params)))
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return StepReport{norm}, fmt.Errorf("the gradient's norm is %v", norm)
	}
	clip := 1.0
	if o.ClipNorm > 0 {
		clip = min(1, o.ClipNorm/(norm+clipEps))
	}
	steps := o.steps + 1
	for _, p := range o.Params {
		if !p.Trained || o.SkipUntouched && !p.Touched {
			continue
		}
		if err := o.prepare(dev, p); err != nil {
			return StepReport{norm}, err
		}
		moved = append(moved, p)
		updates = append(updates, Update{
			Param: p, Slots: [2]Memory{p.slots[0], p.slots[1]},
			Rate: rate, Decay: o.Decay, Clip: clip, Momentum: o.Momentum, Alpha: o.Alpha, Eps: o.Eps,
			Beta1: o.Beta1, Beta2: o.Beta2,
			Correction1: 1 / (1 - power(o.Beta1, steps)), Correction2: 1 / math.Sqrt(1-power(o.Beta2, steps)),
		})
	}
	dev.Update(o.Rule, updates)
	o.steps = steps
	ClearGradients(dev, moved)
	return StepReport{norm}, nil
}

// ClearGradients drops what backward passes added since the last step, as a step does
// itself: after a pass that was made for a mixture's gradient alone.
func ClearGradients(dev Device, params []*Param) {
	for _, p := range params {
		if p.Touched {
			dev.Zero(p.Grad, 0, p.Len())
			p.Touched = false
		}
	}
}

// power is b^n by squaring, with the same roundings everywhere.
func power(b float64, n int64) float64 {
	p := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p *= b
		}
		b *= b
	}
	return p
}

func touched(params []*Param) []*Param {
	var list []*Param
	for _, p := range params {
		if p.Touched {
			list = append(list, p)
		}
	}
	return list
}

// slotCount is the number of slots that each rule keeps.
func (r Rule) slotCount() int {
	if r == SGD {
		return 1
	}
	return 2
}

// prepare makes a parameter's slots before its first step.
func (o *Optimiser) prepare(dev Device, p *Param) error {
	if len(p.slots) > 0 {
		return nil
	}
	slots := make([]Memory, 2)
	for i := range o.Rule.slotCount() {
		var err error
		if slots[i], err = dev.NewMemory(p.Len()); err != nil {
			return fmt.Errorf("the optimiser's state of %s: %w", p.Name, err)
		}
	}
	if o.MeanSquare0 != 0 && (o.Rule == RMSProp || o.Rule == RMSPropTF) {
		fill := make([]float32, p.Len())
		for i := range fill {
			fill[i] = float32(o.MeanSquare0)
		}
		dev.Write(slots[1], 0, fill)
	}
	p.slots = slots
	return nil
}

// Slot copies one of the numbers that the rule keeps for each of a parameter's: SGD's
// slot 0 is the momentum buffer. It is nil for a parameter that has not been stepped.
func (o *Optimiser) Slot(dev Device, p *Param, i int) []float32 {
	if i >= len(p.slots) || p.slots[i] == nil {
		return nil
	}
	values := make([]float32, p.Len())
	dev.Read(values, p.slots[i], 0)
	return values
}

// OptimiserState is what a checkpoint keeps of an optimiser: Slots by parameter, nil
// for one that has not been stepped.
type OptimiserState struct {
	Steps   int64
	Slots   [][][]float32
	Trained []bool
}

// State copies the optimiser's state.
func (o *Optimiser) State(dev Device) OptimiserState {
	s := OptimiserState{Steps: o.steps}
	for _, p := range o.Params {
		var slots [][]float32
		for _, m := range p.slots {
			if m == nil {
				continue
			}
			values := make([]float32, m.Len())
			dev.Read(values, m, 0)
			slots = append(slots, values)
		}
		s.Slots = append(s.Slots, slots)
		s.Trained = append(s.Trained, p.Trained)
	}
	return s
}

// Restore puts a state back. Gradients are not in it: it is taken between steps.
func (o *Optimiser) Restore(dev Device, s OptimiserState) error {
	if len(s.Slots) != len(o.Params) || len(s.Trained) != len(o.Params) {
		return fmt.Errorf("an optimiser's state for %d parameters does not fit %d", len(s.Slots), len(o.Params))
	}
	for i, p := range o.Params {
		p.Trained = s.Trained[i]
		if len(s.Slots[i]) == 0 {
			p.slots = nil // it had not been stepped then
			continue
		}
		if len(s.Slots[i]) != o.Rule.slotCount() {
			return fmt.Errorf("%s has %d slots in the state; the rule keeps %d", p.Name, len(s.Slots[i]), o.Rule.slotCount())
		}
		p.slots = nil
		if err := o.prepare(dev, p); err != nil {
			return err
		}
		for j, values := range s.Slots[i] {
			if len(values) != p.Len() {
				return fmt.Errorf("%s has %d numbers in the state, %d in the network", p.Name, len(values), p.Len())
			}
			dev.Write(p.slots[j], 0, values)
		}
	}
	o.steps = s.Steps
	return nil
}

// Cosine is the rate at t of T of a half cosine from high to low (Loshchilov and
// Hutter, "SGDR", 2017): low + (high-low)(1+cos(pi t/T))/2. t and T count epochs or
// steps, as the caller's protocol says.
func Cosine(high, low, t, T float64) float64 {
	if T <= 0 {
		return high
	}
	return low + float64((high-low)*float64(1+cosPi(t/T)))/2
}

// cosPi is cos(pi x) for 0 <= x <= 1, to about 1e-15: Taylor series about the nearest
// multiple of 1/2 in plain operations, since math.Cos differs between processors.
func cosPi(x float64) float64 {
	switch {
	case x > 0.75:
		return -series(math.Pi*(1-x), 0)
	case x > 0.25:
		return -series(math.Pi*(x-0.5), 1)
	}
	return series(math.Pi*x, 0)
}

// series sums the powers of y from y^first/first! in steps of two with changing
// signs: cosine from 0, sine from 1.
func series(y float64, first int) float64 {
	term := 1.0
	if first == 1 {
		term = y
	}
	sum := term
	for k := first + 2; k < 30; k += 2 {
		term = -float64(float64(term*y)*y) / float64(k*(k-1))
		sum += term
	}
	return sum
}
