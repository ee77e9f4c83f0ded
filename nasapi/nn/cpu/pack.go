package cpu

import "evalnas/nasapi/nn"

// panelWidth is the width of the panel of packed weights that output n begins, of
// total: see kernel.Dense.
func panelWidth(n, total int) int {
	switch left := total - n; {
	case left >= 16:
		return 16
	case left >= 8:
		return 8
	}
	return 4
}

// packing is the layout of packed weights: taps x k inputs x n outputs, in panels.
type packing struct{ taps, k, n int }

func (p packing) size() int { return p.taps * p.k * p.n }

// row puts the weights of a tap and an input into packed, of outputs first and on.
func (p packing) row(packed []float32, tap, k, first int, weights []float32) {
	for n := 0; n < p.n; {
		width := panelWidth(n, p.n)
		from, to := max(n, first), min(n+width, first+len(weights))
		if from < to {
			at := n*p.taps*p.k + (tap*p.k+k)*width
			copy(packed[at+from-n:], weights[from-first:to-first])
		}
		n += width
	}
}

// column puts the weights of a tap and an output, of inputs first and on.
func (p packing) column(packed []float32, tap, first, n int, weights []float32) {
	at := 0
	for ; n-at >= panelWidth(at, p.n); at += panelWidth(at, p.n) {
	}
	width := panelWidth(at, p.n)
	at = at*p.taps*p.k + n - at
	for i, x := range weights {
		packed[at+(tap*p.k+first+i)*width] = x
	}
}

// places appends where each logical channel lies among the padded ones.
func places(to []int, channels nn.Channels) []int {
	begin := 0
	for _, width := range channels {
		for c := range width {
			to = append(to, begin+c)
		}
		begin += nn.Pad(width)
	}
	return to
}
