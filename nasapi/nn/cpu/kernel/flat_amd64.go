package kernel

//go:generate go run ./asm/flat -out flat_amd64.s -pkg kernel

// flatCall is eight numbers or a multiple of it of flat arrays, as the assembly reads it.
type flatCall struct {
	w, v, g                     *float32
	n                           int
	rate, momentum, decay, clip *float32
	sums                        *[8]float64
}

//go:noescape
func sgdAVX2x8(c *flatCall)

//go:noescape
func addAVX2x8(c *flatCall)

//go:noescape
func sumSquaresAVX2x8(c *flatCall)

// sgdAVX2 leaves the last few numbers to the plain Go twin, as do its likes.
func sgdAVX2(a *SGD) {
	rest := *a
	if n := len(a.W) &^ 7; n > 0 {
		sgdAVX2x8(&flatCall{w: &a.W[0], v: &a.V[0], g: &a.G[0], n: n, rate: &a.Rate, momentum: &a.Momentum, decay: &a.Decay, clip: &a.Clip})
		rest.W, rest.V, rest.G = a.W[n:], a.V[n:], a.G[n:]
	}
	sgdGeneric(&rest)
}

func addAVX2(dst, x []float32) {
	n := len(x) &^ 7
	if n > 0 {
		addAVX2x8(&flatCall{w: &dst[0], g: &x[0], n: n})
	}
	addGeneric(dst[n:], x[n:])
}

func sumSquaresAVX2(sums *[8]float64, x []float32) {
	n := len(x) &^ 7
	if n > 0 {
		sumSquaresAVX2x8(&flatCall{g: &x[0], n: n, sums: sums})
	}
	sumSquaresGeneric(sums, x[n:])
}
