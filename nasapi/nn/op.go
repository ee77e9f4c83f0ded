package nn

// Op is an operator of a graph: one of *[Conv], *[Pool], *[Sum], *[GlobalPool],
// *[Linear], *[Dropout], *[CrossEntropy]. The fields of each say what its forward
// pass computes; the backward pass adds to the gradients of its inputs and weights.
type Op interface {
	// reads lists the values that the operator takes, output the one it makes.
	reads() []*Var
	output() *Var
	setGrads([]inputGrad)
}

// Window is what a convolution or pool sees of its input.
type Window struct {
	KH, KW               int
	StrideH, StrideW     int // 0 is 1
	DilationH, DilationW int // 0 is 1
	PadH, PadW           int // zeros (or, for pools, nothing) on every side
}

// Output is the height and width that the window leaves of h x w pixels.
func (w Window) Output(h, wd int) (int, int) {
	w = w.Defaults()
	return (h+2*w.PadH-w.DilationH*(w.KH-1)-1)/w.StrideH + 1, (wd+2*w.PadW-w.DilationW*(w.KW-1)-1)/w.StrideW + 1
}

// Defaults is w with strides and dilations of 0 made 1.
func (w Window) Defaults() Window {
	for _, v := range []*int{&w.StrideH, &w.StrideW, &w.DilationH, &w.DilationW} {
		*v = max(1, *v)
	}
	return w
}

// Conv is the block that the networks of this field are made of:
//
//	[ReLU] -> [depthwise convolution] -> [dense convolution] -> stored -> [batch norm of Out]
//
// At least one of the convolutions is there; neither has a bias. With both, the
// intermediate result is never stored. ReLUConvBN is ReLU and Dense, the dilated
// convolution ReLU, Depth and Dense, the separable one two of those.
type Conv struct {
	X    *Var
	ReLU bool // of what is read of X

	Depth       *Weight // [KH*KW][C]
	DepthWindow Window

	// Dense are the parts of a dense convolution, whose outputs follow each other in
	// Out's channels: one, or the two halves of a factorised reduction.
	Dense       []DensePart
	DenseWindow Window

	Out *Var // Out.Norm is nil or this block's batch norm

	grad []inputGrad
}

// DensePart is one weight of a dense convolution and the pixels by which its window
// is moved down and right: a factorised reduction's second half is moved by one.
type DensePart struct {
	W           Weight
	Down, Right int

	// More are weights of the input channels after those of W, each of as many outputs:
	// of a concatenation whose segments have weights of their own.
	More []Weight
}

// In is the number of input channels of the part.
func (p *DensePart) In() int {
	n := p.W.In
	for _, w := range p.More {
		n += w.In
	}
	return n
}

// Weights is the number of W and More, Weight the i-th of them.
func (p *DensePart) Weights() int { return 1 + len(p.More) }

// Weight is W for 0, then those of More.
func (p *DensePart) Weight(i int) *Weight {
	if i == 0 {
		return &p.W
	}
	return &p.More[i-1]
}

// Pool is a pooling of each channel: the largest value of the window, or its mean
// over the pixels that lie in the image (padding is left out of the count, as
// count_include_pad=False), or with CountPad over the whole window, padding as zeros.
type Pool struct {
	X        *Var
	ReLU     bool
	Max      bool
	CountPad bool // of a mean
	Window   Window
	Out      *Var

	grad []inputGrad
}

// Sum writes, or with Add adds to Out, the sum of Weights[i] * Keep[i][n] * Sources[i]
// over its sources in order; nil Weights are ones, nil Keep[i] are ones. A source of
// more channels than Out gives its first ones. Without sources it is zeros.
type Sum struct {
	Sources  []*Var
	Weights  []float32
	Keep     [][]float32 // [source][image]: drop path's 0 or 1/keep
	DWeights []float32   // gradient of Weights, set (not added to) by the backward pass; nil: not wanted
	Out      *Var        // never normalised
	Add      bool

	grad []inputGrad
}

// GlobalPool is the mean over all pixels; Out is N x 1 x 1 x C.
type GlobalPool struct {
	X    *Var
	ReLU bool
	Out  *Var

	grad []inputGrad
}

// Linear is X*W + B for X of H = W = 1. Out is a plain tensor.
type Linear struct {
	X   *Var
	W   Weight  // [in][out]
	B   *Weight // [out]; nil: none
	Out *Var

	grad []inputGrad
}

// Dropout multiplies each value of an N x 1 x 1 x C tensor by Keep[n*C+c], which the
// caller draws (0 or 1/keep).
type Dropout struct {
	X    *Var
	Keep []float32
	Out  *Var

	grad []inputGrad
}

// CrossEntropy is the mean over a batch of the softmax cross-entropy of Logits
// (N x 1 x 1 x classes) against Labels, times Weight. Loss (before Weight), Correct
// and the probabilities are there after the forward pass.
type CrossEntropy struct {
	Logits *Var
	Labels []int32 // one an image
	Weight float64

	Loss    float64 // mean negative log-likelihood, natural logarithm
	Correct int     // images whose largest logit is their label's (ties: the first)

	grad []inputGrad
}

// inputGrad says how an operator's backward pass leaves the gradient of one of the
// values that it reads.
type inputGrad struct {
	store bool // it is the first to write: it need not add
}

func (o *Conv) reads() []*Var         { return []*Var{o.X} }
func (o *Pool) reads() []*Var         { return []*Var{o.X} }
func (o *Sum) reads() []*Var          { return o.Sources }
func (o *GlobalPool) reads() []*Var   { return []*Var{o.X} }
func (o *Linear) reads() []*Var       { return []*Var{o.X} }
func (o *Dropout) reads() []*Var      { return []*Var{o.X} }
func (o *CrossEntropy) reads() []*Var { return []*Var{o.Logits} }

func (o *Conv) output() *Var         { return o.Out }
func (o *Pool) output() *Var         { return o.Out }
func (o *Sum) output() *Var          { return o.Out }
func (o *GlobalPool) output() *Var   { return o.Out }
func (o *Linear) output() *Var       { return o.Out }
func (o *Dropout) output() *Var      { return o.Out }
func (o *CrossEntropy) output() *Var { return nil }

// StoreGrad says whether the i-th read value's gradient must be stored (this
// operator is the first of the backward pass to write it) rather than added to. A
// gradient that a slice or a narrower reader would write first was zeroed before.
func (o *Conv) StoreGrad(i int) bool         { return o.grad[i].store }
func (o *Pool) StoreGrad(i int) bool         { return o.grad[i].store }
func (o *Sum) StoreGrad(i int) bool          { return o.grad[i].store }
func (o *GlobalPool) StoreGrad(i int) bool   { return o.grad[i].store }
func (o *Linear) StoreGrad(i int) bool       { return o.grad[i].store }
func (o *Dropout) StoreGrad(i int) bool      { return o.grad[i].store }
func (o *CrossEntropy) StoreGrad(i int) bool { return o.grad[i].store }

func (o *Conv) setGrads(g []inputGrad)         { o.grad = g }
func (o *Pool) setGrads(g []inputGrad)         { o.grad = g }
func (o *Sum) setGrads(g []inputGrad)          { o.grad = g }
func (o *GlobalPool) setGrads(g []inputGrad)   { o.grad = g }
func (o *Linear) setGrads(g []inputGrad)       { o.grad = g }
func (o *Dropout) setGrads(g []inputGrad)      { o.grad = g }
func (o *CrossEntropy) setGrads(g []inputGrad) { o.grad = g }
