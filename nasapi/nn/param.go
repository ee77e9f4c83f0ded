package nn

import "fmt"

// Param is a trainable array, shared by every graph that uses it. Layouts, all
// row-major: dense convolution [KH*KW][in][out], depthwise [KH*KW][channel], linear
// [in][out], vectors [channel].
type Param struct {
	Name  string
	Shape []int
	Value Memory
	Grad  Memory // sum over backward passes since the last step

	// Touched says that a graph wrote to Grad since the last step; Trained that one
	// ever did.
	Touched, Trained bool

	slots []Memory // of the optimiser: momentum and the like
}

// Len is the number of trainable numbers.
func (p *Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// NewParam is a parameter of zeros on dev.
func NewParam(dev Device, name string, shape ...int) (*Param, error) {
	p := &Param{Name: name, Shape: shape}
	for _, m := range []*Memory{&p.Value, &p.Grad} {
		var err error
		if *m, err = dev.NewMemory(p.Len()); err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	return p, nil
}

// Whole is the weight that uses all of p: Out is its last dimension, In the one
// before (0 for a vector).
func (p *Param) Whole() Weight {
	d := p.Shape
	w := Weight{Param: p, Out: d[len(d)-1]}
	if len(d) > 1 {
		w.In = d[len(d)-2]
	}
	return w
}

// Corner is the weight that uses the first in input and the first out output channels.
func (p *Param) Corner(in, out int) Weight { return p.Columns(in, 0, out) }

// Columns is the weight that uses the first in input channels and out output channels
// from first on. Only a dense convolution takes one whose first is not 0.
func (p *Param) Columns(in, first, out int) Weight {
	return Weight{Param: p, In: in, Out: out, First: first}
}

// Weight is the part of a parameter that an operator uses, without a copy: of a dense
// convolution [KH*KW][0:In][First:First+Out], of a depthwise one or a vector [..][0:Out].
type Weight struct {
	*Param
	In, Out int
	First   int
}

// fits says whether the parameter, of a dense convolution, has the part.
func (w Weight) fits() bool {
	d := w.Shape
	return len(d) > 1 && w.First >= 0 && w.In <= d[len(d)-2] && w.First+w.Out <= d[len(d)-1]
}

// BatchNorm is the state of a batch norm over up to C channels (Ioffe and Szegedy,
// 2015): y = (x-mean)/sqrt(var+Eps)*Gamma + Beta over a batch's pixels, variance
// biased; running statistics with the unbiased one, as PyTorch keeps them.
type BatchNorm struct {
	Name        string
	C           int
	Gamma, Beta *Param    // nil: not affine
	Mean, Var   []float32 // running statistics; nil: not kept, and batch statistics are always used
	Momentum    float64   // share of the new batch, PyTorch's meaning (0.1); TensorFlow's is 1 minus it
	Eps         float64
	Batches     int64 // counted when running statistics move
}
