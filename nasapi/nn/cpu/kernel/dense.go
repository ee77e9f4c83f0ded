package kernel

// Dense is a convolution over all input channels, or a matrix product, at a list
// of pixels: for each pixel p and output channel n < N
//
//	Out[OutOff[p]+n] = start + sum over taps t, then k < K, of
//	                   In[InOff[p]+Taps[t]+k] * W(t, k, n)
//
// in that order, one fused multiply-add each, where start is the old value of the
// output with Accumulate and zero without. Stride, dilation, padding and the shape
// of the window are in the offsets.
type Dense struct {
	Out        []float32
	OutOff     []int32 // a pixel each
	In         []float32
	InOff      []int32   // as many
	Taps       []int32   // offsets of the window's positions
	K          int       // input channels, any number
	N          int       // output channels, a multiple of 4
	W          []float32 // laid out by Packing
	Accumulate bool
}

// DenseGrad is the gradient of a product's weights: for k < K, n < N
//
//	DW[k*LD+n] = DW[k*LD+n] + sum over rows r, then columns c, of
//	             A(r, c)[k] * B(r, c)[n]
//
// in that order, one fused multiply-add each. K is any number, N a multiple of 4.
type DenseGrad struct {
	DW         []float32
	LD         int
	A, B       Plane
	Rows, Cols int
	K, N       int
}
