package kernel

// Packing is the layout of Dense.W: Taps positions of a window, K inputs and N outputs.
// Panels of outputs follow each other, as many of 16 as fit, then one of 8 if 8 are left,
// then one of 4. A panel of width w holds [tap][k][w].
type Packing struct{ Taps, K, N int }

// Size is the number of float32s of the packed weights.
func (p Packing) Size() int { return p.Taps * p.K * p.N }

// Row puts the weights of a tap and an input into packed, of outputs first and on.
func (p Packing) Row(packed []float32, tap, k, first int, weights []float32) {
	for n := 0; n < p.N; {
		width := panel(n, p.N)
		from, to := max(n, first), min(n+width, first+len(weights))
		if from < to {
			at := n*p.Taps*p.K + (tap*p.K+k)*width
			copy(packed[at+from-n:], weights[from-first:to-first])
		}
		n += width
	}
}

// Column puts the weights of a tap and output n, of inputs first and on: a row of the
// transposed weights.
func (p Packing) Column(packed []float32, tap, first, n int, weights []float32) {
	begin := n &^ 15
	for n-begin >= panel(begin, p.N) {
		begin += panel(begin, p.N)
	}
	width := panel(begin, p.N)
	at := begin*p.Taps*p.K + (tap*p.K+first)*width + n - begin
	for i, x := range weights {
		packed[at+i*width] = x
	}
}
