package kernel

// Depthwise is a convolution of every channel with its own window: for each pixel
// and channel c < C
//
//	Out(row, col)[c] = start + sum over taps t of In(row, col)[Taps[t]+c] * W[t*C+c]
//
// in that order, one fused multiply-add each; start is the old output with
// Accumulate, else zero. A stride of the convolution is in the strides of In, that
// of its transpose in the strides of Out, dilation and window in Taps. Average
// pooling is a window of ones.
type Depthwise struct {
	Out, In    Plane
	Rows, Cols int
	C          int // a multiple of 4
	Taps       []int32
	W          []float32
	Accumulate bool
}

// DepthwiseGrad is the gradient of its weights: for each tap t and channel c
//
//	DW[t*C+c] = DW[t*C+c] + sum over rows, then columns, of In(row, col)[Taps[t]+c] * G(row, col)[c]
//
// in that order, one fused multiply-add each.
type DepthwiseGrad struct {
	DW         []float32
	In, G      Plane
	Rows, Cols int
	C          int
	Taps       []int32
}

// MaxPool is the largest value of a window: Out(row, col)[c] starts at the first
// tap and becomes v unless it is greater than v, for each further tap's v: that is
// what the processor's instruction does with zeros of two signs and with NaN.
// Padding is -Inf in In. There is at least one tap.
type MaxPool struct {
	Out, In    Plane
	Rows, Cols int
	C          int
	Taps       []int32
}

// MaxPoolGrad hands each output's gradient to the first tap whose input equals the
// output: for each pixel, row after row, and each tap t in order,
//
//	DIn(row, col)[Taps[t]+c] += m
//
// where m is G(row, col)[c] for the first t with In(row, col)[Taps[t]+c] ==
// Out(row, col)[c], and +0 for all others. Taps are not the same.
//
// DIn has the strides of In and room for the padding, whose values are not used.
type MaxPoolGrad struct {
	DIn, In, Out, G Plane
	Rows, Cols      int
	C               int
	Taps            []int32
}
