package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"sync"

	"evalnas/nasapi/rng"
)

// LoaderConfig says which batches a Loader makes.
type LoaderConfig struct {
	// Images are indices into the set, such as Parts.Train. Batches without
	// Shuffle take them in this order.
	Images  []int
	Batch   int // images in a batch
	Augment Augment
	// Shuffle takes the images of each epoch in an order of its own, drawn from
	// (Seed, Stream, epoch).
	Shuffle bool
	// DropLast leaves out the last batch of an epoch where it is smaller.
	DropLast bool
	// Epochs is after how many epochs, counted from epoch 0, Next returns io.EOF.
	// 0 goes on without end.
	Epochs int
	Seed   int64
	// Stream tells the draws of two loaders of one seed apart: "weights" and
	// "architecture", for instance.
	Stream string
	// Start is where to begin: the Position of another Loader goes on where that
	// one was.
	Start Position
	// Ahead is how many batches are prepared while one is used. Default 2.
	Ahead int
	// Workers is how many goroutines fill one batch; no bit depends on it.
	// Default 1, which keeps up with training on images of 32x32.
	Workers int
}

// Position is a place in the sequence of batches: a number of whole epochs and
// of batches of the one after.
type Position struct {
	Epoch int `json:"epoch"`
	Batch int `json:"batch"`
}

// Batch is images ready for a network.
type Batch struct {
	// X is the images, NHWC with padded channels: channel c of pixel (row, col)
	// of image n at ((n*H+row)*W+col)*Pad(C)+c.
	X []float32
	// Labels are the classes of the images.
	Labels []int32
	// Images are their indices in the set.
	Images []int
	// N is the number of images, less than the configured one only in the last
	// batch of an epoch.
	N int
	// Position is the batch's own.
	Position
	// Last is set on the last batch of an epoch.
	Last bool

	room []float32 // all of the memory of X
}

// Loader makes batches in one goroutine beside its user's. Its methods are for
// one goroutine, but for Close.
type Loader struct {
	cfg     LoaderConfig
	set     *Set
	pipe    *Pipeline
	batches int // in an epoch

	ready  chan *Batch
	free   chan *Batch
	held   *Batch   // what Next returned last
	next   Position // of the batch that Next returns next
	cancel context.CancelCauseFunc
	ctx    context.Context
	done   sync.WaitGroup
}

// ErrClosed is returned by Next after Close.
var ErrClosed = errors.New("the loader is closed")

// NewLoader checks the configuration and starts to prepare batches. Close ends
// the goroutine, and so does the end of ctx.
func NewLoader(ctx context.Context, set *Set, cfg LoaderConfig) (*Loader, error) {
	if cfg.Ahead == 0 {
		cfg.Ahead = 2
	}
	if cfg.Workers == 0 {
		cfg.Workers = 1
	}
	if err := cfg.check(set); err != nil {
		return nil, fmt.Errorf("batches of %s: %w", set.Name, err)
	}
	cfg.Images = slices.Clone(cfg.Images) // the caller may change its own
	pipe, err := NewPipeline(set, cfg.Augment)
	if err != nil {
		return nil, err
	}
	l := &Loader{cfg: cfg, set: set, pipe: pipe, batches: cfg.batches(), next: cfg.Start}
	if l.next.Batch == l.batches {
		l.next = Position{Epoch: l.next.Epoch + 1}
	}
	// One batch is used, one is filled, the others wait.
	l.ready, l.free = make(chan *Batch, cfg.Ahead), make(chan *Batch, cfg.Ahead+2)
	for range cfg.Ahead + 2 {
		l.free <- l.newBatch()
	}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.done.Go(func() { l.prepare(l.next) })
	return l, nil
}

func (c LoaderConfig) check(set *Set) error {
	switch {
	case len(c.Images) == 0:
		return errors.New("there are no images in this part of the set")
	case c.Batch < 1:
		return fmt.Errorf("the batch is %d images; it is 1 or more", c.Batch)
	case c.Batch > len(c.Images):
		return fmt.Errorf("a batch of %d is larger than the %d images there are: lower it to at most %d", c.Batch, len(c.Images), len(c.Images))
	case c.Ahead < 1 || c.Ahead > 64 || c.Workers < 1 || c.Workers > 256:
		return fmt.Errorf("%d batches ahead by %d workers; 1 to 64 and 1 to 256 are possible", c.Ahead, c.Workers)
	case c.Epochs < 0:
		return fmt.Errorf("the number of epochs is %d; it is 0 or more", c.Epochs)
	case c.Start.Epoch < 0 || c.Start.Batch < 0 || c.Start.Batch > c.batches():
		return fmt.Errorf("there is no batch %d of epoch %d: an epoch has %d", c.Start.Batch, c.Start.Epoch, c.batches())
	}
	for _, i := range c.Images {
		if i < 0 || i >= set.N() {
			return fmt.Errorf("there is no image %d: the set has %d", i, set.N())
		}
	}
	return nil
}

func (c LoaderConfig) batches() int {
	if c.DropLast {
		return len(c.Images) / c.Batch
	}
	return (len(c.Images) + c.Batch - 1) / c.Batch
}

func (l *Loader) newBatch() *Batch {
	return &Batch{
		room:   make([]float32, l.cfg.Batch*l.pipe.Size()),
		Labels: make([]int32, 0, l.cfg.Batch),
	}
}

// Batches is the number of batches in an epoch.
func (l *Loader) Batches() int { return l.batches }

// Position is that of the batch that Next returns next. A checkpoint after the
// step on a batch keeps it.
func (l *Loader) Position() Position { return l.next }

// Next returns the next batch; it may be used until the call after. It returns
// io.EOF after the last epoch, ErrClosed after Close, and the context's error.
func (l *Loader) Next() (*Batch, error) {
	if l.held != nil {
		l.free <- l.held // there is room for all batches
		l.held = nil
	}
	if l.ctx.Err() != nil { // though some may be ready
		return nil, l.ended()
	}
	select {
	case <-l.ctx.Done():
		return nil, l.ended()
	case b, more := <-l.ready:
		if !more {
			return nil, l.ended()
		}
		l.held = b
		l.next = l.after(b.Position)
		return b, nil
	}
}

// ended says why there is no batch.
func (l *Loader) ended() error {
	if cause := context.Cause(l.ctx); cause != nil {
		return cause
	}
	return io.EOF
}

// All ranges over the batches up to the last, or to the first error.
func (l *Loader) All() iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		for {
			b, err := l.Next()
			if errors.Is(err, io.EOF) || !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// Close stops the goroutine and waits for it. It may be called twice.
func (l *Loader) Close() {
	l.cancel(ErrClosed)
	l.done.Wait()
}

// prepare fills batches from a position on.
func (l *Loader) prepare(at Position) {
	defer close(l.ready)
	order, of := []int(nil), -1
	for ; l.cfg.Epochs == 0 || at.Epoch < l.cfg.Epochs; at = l.after(at) {
		if of != at.Epoch {
			order, of = l.order(at.Epoch), at.Epoch
		}
		var b *Batch
		select {
		case <-l.ctx.Done():
			return
		case b = <-l.free:
		}
		l.fill(b, order, at)
		select {
		case <-l.ctx.Done():
			return
		case l.ready <- b:
		}
	}
}

// order is the images of an epoch as its batches take them.
func (l *Loader) order(epoch int) []int {
	if !l.cfg.Shuffle {
		return l.cfg.Images
	}
	order := append([]int(nil), l.cfg.Images...)
	shuffle(order, rng.New(l.cfg.Seed, "data", "shuffle", l.cfg.Stream, strconv.Itoa(epoch)))
	return order
}

func (l *Loader) after(p Position) Position {
	if p.Batch+1 < l.batches {
		return Position{Epoch: p.Epoch, Batch: p.Batch + 1}
	}
	return Position{Epoch: p.Epoch + 1}
}

func (l *Loader) fill(b *Batch, order []int, at Position) {
	from := at.Batch * l.cfg.Batch
	b.Images = order[from:min(from+l.cfg.Batch, len(order))]
	b.N, b.Position, b.Last = len(b.Images), at, at.Batch == l.batches-1
	b.Labels = b.Labels[:0]
	for _, i := range b.Images {
		b.Labels = append(b.Labels, int32(l.set.Labels[i]))
	}
	size := l.pipe.Size()
	b.X = b.room[:b.N*size]
	d := Draw{Seed: l.cfg.Seed, Stream: l.cfg.Stream, Epoch: at.Epoch}
	workers := min(l.cfg.Workers, b.N)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := w * b.N / workers; n < (w+1)*b.N/workers; n++ {
				l.pipe.Apply(b.X[n*size:(n+1)*size], b.Images[n], d)
			}
		})
	}
	wg.Wait()
}
