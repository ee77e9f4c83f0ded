package policy

import (
	"runtime"
	"sync"
	"sync/atomic"

	"evalnas/nasapi/detmath"
)

// naoBatch runs batches of one size. The rows are cut into parts in one way for all
// machines and their gradients summed in one order, so the bits do not depend on the
// number of threads.
type naoBatch[T detmath.Real] struct {
	*naoShape
	rows     int
	prepared naoPrepared[T]
	parts    []*naoRows[T]
	from     []int // first row of each part, and the number of rows
}

// naoParts is how many threads can work at one batch.
const naoParts = 4

func newNAOBatch[T detmath.Real](s *naoShape, rows int, train bool) *naoBatch[T] {
	b := &naoBatch[T]{naoShape: s, rows: rows, from: []int{0}}
	for i := 1; i <= naoParts; i++ {
		to := 4 * (rows * i / (4 * naoParts)) // whole tiles of the matrix product
		if i == naoParts {
			to = rows
		}
		from := b.from[len(b.from)-1]
		if to == from {
			continue
		}
		part := newNAORows(s, &b.prepared, to-from)
		if train {
			part.grads = newNAORowGrads[T](s, to-from)
		}
		b.parts = append(b.parts, part)
		b.from = append(b.from, to)
	}
	return b
}

// inParallel calls f for 0..n-1, on as many threads as there are; f's order is open.
func inParallel(n int, f func(i int)) {
	threads := min(n, runtime.GOMAXPROCS(0))
	if threads < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var group sync.WaitGroup
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			f(i)
		}
	}
	for range threads - 1 {
		group.Go(work)
	}
	work()
	group.Wait()
}

// prepare sets the weights.
func (b *naoBatch[T]) prepare(packed []T) {
	prepareNAO(b.naoShape, cutNAO(b.naoShape, packed), &b.prepared)
}

// each sets the sequences (rows x length) and calls f for every part.
func (b *naoBatch[T]) each(tokens []int, f func(i int, part *naoRows[T])) {
	inParallel(len(b.parts), func(i int) {
		p := b.parts[i]
		copy(p.tokens, tokens[b.from[i]*b.length:b.from[i+1]*b.length])
		f(i, p)
	})
}

// loss is the loss of a batch; masks (rows x maskSize) may be nil.
func (b *naoBatch[T]) loss(packed []T, tokens []int, targets, masks []T) T {
	sums := make([]float64, len(b.parts))
	b.prepare(packed)
	b.each(tokens, func(i int, p *naoRows[T]) {
		p.masks = nil
		if masks != nil {
			p.masks = masks[b.from[i]*b.maskSize() : b.from[i+1]*b.maskSize()]
		}
		p.encode()
		p.predict()
		p.reconstruct()
		sums[i] = p.loss(targets[b.from[i]:b.from[i+1]], b.rows)
	})
	sum := 0.0
	for _, s := range sums {
		sum += s
	}
	return T(sum)
}

// gradient is the gradient of the loss that was worked out last, with the same targets,
// times out; it fills grad.
func (b *naoBatch[T]) gradient(targets []T, out T, grad []T) {
	b.prepared.transpose()
	inParallel(len(b.parts), func(i int) {
		b.parts[i].backward(targets[b.from[i]:b.from[i+1]], b.rows, out)
	})
	const pieces = 8
	inParallel(pieces, func(i int) {
		from, to := len(grad)*i/pieces, len(grad)*(i+1)/pieces
		b.sum(grad[from:to], func(g *naoRowGrads[T]) []T { return g.packed[from:to] })
	})
	first := b.parts[0].grads
	b.sum(first.encoderTables, func(g *naoRowGrads[T]) []T { return g.encoderTables })
	b.sum(first.decoderTables, func(g *naoRowGrads[T]) []T { return g.decoderTables })
	w := cutNAO(b.naoShape, grad)
	b.prepared.encoder.finish(b.naoShape, &w.encoder, first.encoderTables, b.embed, b.group)
	b.prepared.decoder.finish(b.naoShape, &w.decoder, first.decoderTables, b.hidden, 1)
}

// sum sets to to the sum of the parts' numbers, in the order of the parts.
func (b *naoBatch[T]) sum(to []T, of func(*naoRowGrads[T]) []T) {
	copy(to, of(b.parts[0].grads))
	for _, p := range b.parts[1:] {
		for i, v := range of(p.grads) {
			to[i] += v
		}
	}
}
