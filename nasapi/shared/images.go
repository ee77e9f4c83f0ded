package shared

import (
	"strconv"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/rng"
)

// images are the batches of a part of a set, filled when they are asked for and not
// augmented.
type images struct {
	set  *data.Set
	pipe *data.Pipeline
	all  []int // of the set

	x      []float32
	labels []int32
}

func newImages(set *data.Set, all []int, how data.Augment) (*images, error) {
	pipe, err := data.NewPipeline(set, how.Evaluation())
	return &images{set: set, pipe: pipe, all: all}, err
}

// count is the number of batches of a size; the last may be smaller.
func (m *images) count(size int) int { return (len(m.all) + size - 1) / size }

// batch are the images of batch i of a size, in the part's own order.
func (m *images) batch(i, size int) []int { return m.all[i*size : min((i+1)*size, len(m.all))] }

// drawn are the images of the i-th batch of whole batches in an order that is drawn anew
// whenever all have been used; seed and purpose name the draws.
func (m *images) drawn(i, size int, seed int64, purpose string) []int {
	size = min(size, len(m.all))
	whole := len(m.all) / size
	order := rng.New(seed, "shared", purpose, strconv.Itoa(i/whole)).Perm(len(m.all))
	from := i % whole * size
	picked := make([]int, size)
	for k, at := range order[from : from+size] {
		picked[k] = m.all[at]
	}
	return picked
}

// load gives a pass some images and their labels.
func (m *images) load(p *net.Pass, picked []int) error {
	size := m.pipe.Size()
	if n := len(picked) * size; cap(m.x) < n {
		m.x = make([]float32, n)
	}
	m.x = m.x[:len(picked)*size]
	m.labels = m.labels[:0]
	for k, i := range picked {
		m.pipe.Apply(m.x[k*size:(k+1)*size], i, data.Draw{})
		m.labels = append(m.labels, int32(m.set.Labels[i]))
	}
	return load(p, m.x, m.labels)
}

func load(p *net.Pass, x []float32, labels []int32) error {
	if err := p.SetLabels(labels); err != nil {
		return err
	}
	return p.Graph.SetInput(p.Input, x)
}
