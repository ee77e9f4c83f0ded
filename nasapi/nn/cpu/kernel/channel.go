package kernel

// The kernels of this file do one thing to every value of a Rows x Cols region of
// pixels, with a coefficient for each channel. C is a multiple of 4.

// View is how values are read: act(x*Scale[c]+Shift[c]), with one fused
// multiply-add; a nil Scale (then Shift is nil too) leaves x as it is. act is
// max(0, v) (v > 0 ? v : +0) with ReLU, else nothing. It is how a batch norm and
// its ReLU are applied by whoever reads the values, with no pass of their own.
type View struct {
	Scale, Shift []float32
	ReLU         bool
}

// Affine writes Dst = View(X).
type Affine struct {
	Dst, X        Plane
	Rows, Cols, C int
	View          View
}

// AddScaled adds Dst = fma(View(X), Weight, Dst); with Store, Dst = View(X)*Weight.
type AddScaled struct {
	Dst, X        Plane
	Rows, Cols, C int
	View          View
	Weight        float32
	Store         bool
}

// Lanes is the number of partial sums that a reduction over pixels keeps a
// channel: column col adds to lane col%Lanes, so that additions do not wait for
// each other. Accumulators are [Lanes][C].
const Lanes = 4

// Moments adds up, for d = X - Center[c] (one rounding),
//
//	Sum[lane][c] += d        Square[lane][c] = fma(d, d, Square[lane][c])
type Moments struct {
	Sum, Square   []float32 // [Lanes][C]
	X             Plane
	Rows, Cols, C int
	Center        []float32 // [C]
}

// GradMoments adds up, for d = X - Center[c] and m = G, or zero where the view's
// ReLU is on and its value at X is not above zero (View is of X; Scale may be nil),
//
//	Sum[lane][c] += m        Dot[lane][c] = fma(m, d, Dot[lane][c])
//
// the two sums that the backward pass of a batch norm needs.
type GradMoments struct {
	Sum, Dot      []float32 // [Lanes][C]
	G, X          Plane
	Rows, Cols, C int
	Center        []float32
	View          View
}

// NormGrad writes the gradient behind a batch norm, for d and m as in GradMoments:
//
//	Dst = fma(m, A[c], fma(d, B[c], D[c]))
type NormGrad struct {
	Dst, G, X     Plane
	Rows, Cols, C int
	Center        []float32
	A, B, D       []float32 // [C]
	View          View
}

// AddMasked passes a gradient back through a view's ReLU, without its scale: for
// m = G where View.ReLU is off or View(X) > 0, else +0,
//
//	Dst = Dst + m, or with Store Dst = m
type AddMasked struct {
	Dst, G, X     Plane
	Rows, Cols, C int
	View          View
	Store         bool
}

// ScalePixels writes Dst(row, col) = X(row, col) * Weight[row*Cols+col], or with
// Add adds it: Dst = fma(X, weight, Dst).
type ScalePixels struct {
	Dst, X        Plane
	Rows, Cols, C int
	Weight        []float32
	Add           bool
}

// SGD is a step of stochastic gradient descent in PyTorch's form over flat arrays
// of one length:
//
//	d = fma(Decay, W, fma-free G*Clip)   V = fma(Momentum, V, d)   W = fma(-Rate, V, W)
//
// G*Clip is rounded by itself.
type SGD struct {
	W, V, G                     []float32
	Rate, Momentum, Decay, Clip float32
}
