package nn

// Memory is an array of float32 on a device.
type Memory interface {
	Len() int // in float32s
}

// Mode says how a graph is run.
type Mode uint8

const (
	// Train normalises by the batch's statistics and moves the running ones.
	Train Mode = iota
	// Evaluate normalises by the running statistics, where a norm keeps them.
	Evaluate
	// Recalibrate normalises by the batch's statistics and leaves the running ones.
	Recalibrate
	// Frozen is Recalibrate with parameters that are constants: its backward pass works out
	// the gradients of variables and of sums' weights alone, with the same bits, and adds
	// nothing to any Param.Grad.
	Frozen
)

// Device computes. Package nntest holds every device to the same suite; the CPU of
// nasapi/nn/cpu is one.
//
// Calls come from one goroutine at a time. A Device answers for equal bits: no
// result may depend on its number of threads.
type Device interface {
	Name() string // "cpu (avx2, 2 threads)"
	Threads() int

	// NewMemory is n zeros, or an error that says how many bytes are missing.
	NewMemory(n int) (Memory, error)
	Read(dst []float32, src Memory, at int)
	Write(dst Memory, at int, src []float32)
	Zero(m Memory, at, n int)

	// Forward computes the outputs of operators that do not depend on each other, and
	// their norms' views. Tensors are placed by the graph's plan.
	Forward(mode Mode, group []Op) error
	// Backward works out, for the same group after its Forward and in the same mode,
	// the gradients of what each operator reads (stored or added as StoreGrad says)
	// and adds those of its weights to Param.Grad. In Evaluate mode the norms are
	// constants. Operators of a group may read the same value, and use the same weight:
	// what they add comes in the group's order, whatever runs first. In Frozen mode no
	// parameter is touched, and outputs may have no gradient at all (neither Grad nor Via):
	// their operators have nothing to do.
	Backward(mode Mode, group []Op) error
	// Scratch is the number of bytes that the group needs besides planned tensors,
	// backward pass included. A device may get ready for the groups that it is asked
	// about.
	Scratch(group []Op) int64

	// SquaredNorm is the sum over the parameters, in order, of their gradients' squares.
	SquaredNorm(params []*Param) float64
	// Update applies one optimiser step to each parameter. The gradient of one that is
	// not Touched is zero, and need not be read.
	Update(rule Rule, updates []Update)

	Close() error
}

// Rule is an optimiser's arithmetic.
type Rule uint8

// The rules; g is the gradient times Update.Clip, d = g + Decay*w, s0 and s1 are slots.
const (
	// SGD is PyTorch's: s0 = Momentum*s0 + d; w -= Rate*s0.
	SGD Rule = iota
	// Adam is PyTorch's: s0 = Beta1*s0 + (1-Beta1)*d; s1 = Beta2*s1 + (1-Beta2)*d*d;
	// w -= Rate*Correction1 * s0 / (sqrt(s1)*Correction2 + Eps).
	Adam
	// RMSProp is PyTorch's: s1 = Alpha*s1 + (1-Alpha)*d*d; s0 = Momentum*s0 + d/(sqrt(s1)+Eps); w -= Rate*s0.
	RMSProp
	// RMSPropTF is TensorFlow's: s1 = Alpha*s1 + (1-Alpha)*d*d; s0 = Momentum*s0 + Rate*d/sqrt(s1+Eps); w -= s0.
	RMSPropTF
)

// Update is one parameter's share of an optimiser step.
type Update struct {
	Param                    *Param
	Slots                    [2]Memory // nil where the rule has no use for it
	Rate, Decay, Clip        float64
	Momentum, Alpha, Eps     float64
	Beta1, Beta2             float64
	Correction1, Correction2 float64 // Adam's 1/(1-Beta1^t) and 1/sqrt(1-Beta2^t)
}
