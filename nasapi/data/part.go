package data

import (
	"maps"
	"slices"

	"evalnas/nasapi/rng"
)

// part is images of one size with their labels, as a reader collects them.
type part struct {
	pixels []byte
	labels []uint16
}

func (p *part) n() int { return len(p.labels) }

// joined makes an unsealed set of a train and a test part.
func joined(train, test part, s Shape) *Set {
	s.TrainN, s.TestN = train.n(), test.n()
	return &Set{
		Shape:  s,
		Pixels: append(train.pixels[:len(train.pixels):len(train.pixels)], test.pixels...),
		Labels: append(train.labels[:len(train.labels):len(train.labels)], test.labels...),
	}
}

// pick is the images of p at the places of order.
func (p *part) pick(order []int, size int) part {
	q := part{pixels: make([]byte, 0, len(order)*size), labels: make([]uint16, 0, len(order))}
	for _, i := range order {
		q.pixels = append(q.pixels, p.pixels[i*size:(i+1)*size]...)
		q.labels = append(q.labels, p.labels[i])
	}
	return q
}

// inDrawnOrder is p in an order drawn from the seed.
func (p *part) inDrawnOrder(seed int64, size int) part {
	return p.pick(drawnOrder(p.n(), seed), size)
}

// divided puts the images into an order drawn from the seed and makes the last
// share of them the test part, at least one.
func (p *part) divided(share float64, seed int64, size int) (train, test part) {
	order := drawnOrder(p.n(), seed)
	last := min(max(int(float64(share*float64(p.n()))+0.5), 1), p.n())
	return p.pick(order[:p.n()-last], size), p.pick(order[p.n()-last:], size)
}

func drawnOrder(n int, seed int64) []int {
	order := upTo(0, n)
	shuffle(order, rng.New(seed, "data", "import"))
	return order
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
