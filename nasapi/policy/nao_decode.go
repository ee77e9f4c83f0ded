package policy

import (
	"evalnas/nasapi/detmath"
)

// climb encodes and finds the slopes: the derivatives of the prediction in the encoder's
// outputs. It may overwrite the rows' gradients.
func (f *naoRows[T]) climb(slopes, base []T) {
	f.masks = nil
	f.encode()
	f.predict()
	g := f.grads
	clear(g.packed)
	clear(g.mean)
	clear(g.outputs)
	for r, v := range f.value {
		g.value[r] = T(v * (1 - v))
	}
	f.throughPredictor()
	f.throughMean()
	copy(slopes, g.outputs)
	copy(base, f.outputs)
}

// decode goes a step up the slopes, brings the outputs to length 1 again and writes the
// most probable legal tokens, one after another, to out (rows x length).
func (f *naoRows[T]) decode(slopes, base []T, step T, legal [][2]int, out []int) {
	for i, v := range base {
		f.outputs[i] = v + T(step*slopes[i])
	}
	normalise(f.outputs, f.norms, f.hidden)
	f.average()
	for r := range f.fed {
		f.fed[r] = naoStart
	}
	for t, allowed := range legal {
		f.feed(t)
		f.attend(t, t+1)
		for r := range f.fed {
			best := allowed[0]
			p := f.logProb[(t*f.rows+r)*f.vocab:][:f.vocab]
			for v := best + 1; v < allowed[1]; v++ {
				if p[v] > p[best] {
					best = v
				}
			}
			f.fed[r] = best
			out[r*f.length+t] = best
		}
	}
}

// naoClimb goes up the slopes of some architectures, step by step.
type naoClimb[T detmath.Real] struct {
	batch  *naoBatch[T]
	slopes [][]T // by part
	base   [][]T
}

// newNAOClimb begins at sequences of tokens, rows x length.
func newNAOClimb[T detmath.Real](s *naoShape, packed []T, tokens []int) *naoClimb[T] {
	b := newNAOBatch[T](s, len(tokens)/s.length, true)
	c := &naoClimb[T]{b, make([][]T, len(b.parts)), make([][]T, len(b.parts))}
	b.prepare(packed)
	b.prepared.transpose()
	b.each(tokens, func(i int, p *naoRows[T]) {
		c.slopes[i], c.base[i] = make([]T, len(p.outputs)), make([]T, len(p.outputs))
		p.climb(c.slopes[i], c.base[i])
	})
	return c
}

// decode returns the sequences of tokens at a distance up the slopes: 0 reconstructs.
func (c *naoClimb[T]) decode(step T, legal [][2]int) []int {
	out := make([]int, c.batch.rows*c.batch.length)
	inParallel(len(c.batch.parts), func(i int) {
		from, to := c.batch.from[i]*c.batch.length, c.batch.from[i+1]*c.batch.length
		c.batch.parts[i].decode(c.slopes[i], c.base[i], step, legal, out[from:to])
	})
	return out
}

// values are the predictions.
func (c *naoClimb[T]) values() []T {
	var out []T
	for _, p := range c.batch.parts {
		out = append(out, p.value...)
	}
	return out
}
