package kernel

// DenseWeights says where a dense convolution's weights, or their gradient, lie in
// memory. Number n of input k of tap t is Data[t*Tap+k*K+n*N]: so a transpose swaps
// two strides, and the corner of a larger weight has the strides of the whole.
//
// Channels come in segments: Inputs and Outputs are their widths in Data. Packed, and
// in the pixels that a kernel reads and writes, each segment is padded with zeros to a
// multiple of 4.
type DenseWeights struct {
	Data            []float32
	Tap, K, N       int
	Taps            []int // in the order of Dense.Taps
	Inputs, Outputs []int
}

// Padded is the number of channels with their padding: Dense.K and Dense.N.
func (w *DenseWeights) Padded() (k, n int) { return padded(w.Inputs), padded(w.Outputs) }

// Size is the number of float32s of the packed weights, and of a gradient with its
// padding.
func (w *DenseWeights) Size() int {
	k, n := w.Padded()
	return len(w.Taps) * k * n
}

func padded(segments []int) int {
	sum := 0
	for _, width := range segments {
		sum += (width + 3) &^ 3
	}
	return sum
}

// PackDense writes the weights into dst as Dense.W wants them, w.Size() float32s.
func PackDense(dst []float32, w *DenseWeights) {
	dst = dst[:w.Size()]
	clear(dst)
	taps := len(w.Taps)
	inputs, outputs := w.Padded()
	w.eachRun(func(r denseRun) {
		for i := 0; i < r.count; {
			first, width := panelOf(r.n+i, outputs)
			place := r.n + i - first
			to := dst[first*taps*inputs+(r.tap*inputs+r.k)*width+place:]
			for j := range min(r.count-i, width-place) {
				to[j] = w.Data[r.at+(i+j)*w.N]
			}
			i += width - place
		}
	})
}

// AddDense adds a gradient to w.Data: grad is [tap][k][n] with padded channels, as
// DenseGrad sums up each tap. What the padding holds is left out.
func AddDense(w *DenseWeights, grad []float32) {
	inputs, outputs := w.Padded()
	w.eachRun(func(r denseRun) {
		for i, x := range grad[(r.tap*inputs+r.k)*outputs+r.n:][:r.count] {
			w.Data[r.at+i*w.N] += x
		}
	})
}

// denseRun is one input's weights for a segment of outputs: from place (tap, k, n)
// among the padded channels on, and from Data[at] on.
type denseRun struct{ tap, k, n, at, count int }

func (w *DenseWeights) eachRun(visit func(r denseRun)) {
	for tap, t := range w.Taps {
		eachSegment(w.Inputs, func(k, logicalK, inputs int) {
			for i := range inputs {
				eachSegment(w.Outputs, func(n, logicalN, outputs int) {
					visit(denseRun{tap, k + i, n, t*w.Tap + (logicalK+i)*w.K + logicalN*w.N, outputs})
				})
			}
		})
	}
}

// eachSegment calls visit with where a segment begins, with padding and without, and
// its width without.
func eachSegment(segments []int, visit func(place, logical, width int)) {
	place, logical := 0, 0
	for _, width := range segments {
		visit(place, logical, width)
		place += (width + 3) &^ 3
		logical += width
	}
}

// panelOf is where the panel that holds output channel n begins, and its width, of
// total channels.
func panelOf(n, total int) (first, width int) {
	first = n &^ 15
	for {
		width = panel(first, total)
		if n < first+width {
			return first, width
		}
		first += width
	}
}
