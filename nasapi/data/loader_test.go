package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
)

func mustLoader(t testing.TB, s *Set, cfg LoaderConfig) *Loader {
	t.Helper()
	l, err := NewLoader(context.Background(), s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func loaderConfig(s *Set) LoaderConfig {
	return LoaderConfig{
		Images: upTo(0, s.TrainN), Batch: 16, Augment: everything(s), Shuffle: true, Epochs: 3, Seed: 4, Stream: "weights",
	}
}

// copied is a batch that the loader does not overwrite.
func copied(b *Batch) Batch {
	c := *b
	c.X, c.Labels, c.Images = slices.Clone(b.X), slices.Clone(b.Labels), slices.Clone(b.Images)
	return c
}

func (b Batch) equal(o Batch) bool {
	return b.Position == o.Position && b.N == o.N && b.Last == o.Last &&
		slices.Equal(b.X, o.X) && slices.Equal(b.Labels, o.Labels) && slices.Equal(b.Images, o.Images)
}

func allBatches(t testing.TB, l *Loader) []Batch {
	t.Helper()
	var all []Batch
	for b, err := range l.All() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, copied(b))
	}
	return all
}

func TestEpochsTakeEveryImageOnce(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{TrainN: 100, TestN: 10, H: 4, W: 4})
	for _, drop := range []bool{false, true} {
		cfg := loaderConfig(s)
		cfg.Augment, cfg.DropLast = Augment{Norm: DARTSNorm(s)}, drop
		l := mustLoader(t, s, cfg)
		all := allBatches(t, l)
		want := 7
		if drop {
			want = 6
		}
		if l.Batches() != want || len(all) != 3*want {
			t.Fatalf("%d batches in 3 epochs of %d", len(all), l.Batches())
		}
		var orders [][]int
		for e := range 3 {
			var order []int
			for k, b := range all[e*want : (e+1)*want] {
				if b.Position != (Position{e, k}) || b.Last != (k == want-1) || b.N != len(b.Labels) || len(b.X) != b.N*4*4*4 {
					t.Errorf("batch %d of epoch %d says %+v, %v", k, e, b.Position, b.Last)
				}
				for n, i := range b.Images {
					if b.Labels[n] != int32(s.Labels[i]) {
						t.Errorf("image %d has the label %d", i, b.Labels[n])
					}
				}
				order = append(order, b.Images...)
			}
			orders = append(orders, slices.Clone(order))
			slices.Sort(order)
			if full := len(slices.Compact(order)); !drop && full != 100 || drop && full != 96 {
				t.Errorf("%d different images in epoch %d", full, e)
			}
		}
		if slices.Equal(orders[0], orders[1]) || slices.Equal(orders[1], orders[2]) {
			t.Error("two epochs have one order")
		}
		if _, err := l.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last epoch the error is %v", err)
		}
	}
}

func TestOrderWithoutShuffle(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{TrainN: 10, TestN: 5, H: 4, W: 4})
	l := mustLoader(t, s, LoaderConfig{Images: []int{14, 3, 0}, Batch: 2, Augment: DARTSAugment(s).Evaluation(), Epochs: 1})
	var got []int
	for _, b := range allBatches(t, l) {
		got = append(got, b.Images...)
	}
	if !slices.Equal(got, []int{14, 3, 0}) {
		t.Errorf("the order is %v", got)
	}
}

// TestBatchesDoNotDependOnThreads: neither on workers nor on how far ahead.
func TestBatchesDoNotDependOnThreads(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{TrainN: 100, TestN: 1, H: 8, W: 8})
	want := allBatches(t, mustLoader(t, s, loaderConfig(s)))
	for _, workers := range []int{2, 3, 8, 50} {
		cfg := loaderConfig(s)
		cfg.Workers, cfg.Ahead = workers, workers%7+1
		got := allBatches(t, mustLoader(t, s, cfg))
		if !slices.EqualFunc(got, want, Batch.equal) {
			t.Errorf("%d workers give other batches", workers)
		}
	}
}

func TestSeedsAndStreamsDiffer(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{TrainN: 64, TestN: 1, H: 8, W: 8})
	first := func(change func(*LoaderConfig)) Batch {
		cfg := loaderConfig(s)
		cfg.Batch = 64
		change(&cfg)
		b, err := mustLoader(t, s, cfg).Next()
		if err != nil {
			t.Fatal(err)
		}
		return copied(b)
	}
	base := first(func(*LoaderConfig) {})
	for name, change := range map[string]func(*LoaderConfig){
		"seed":   func(c *LoaderConfig) { c.Seed++ },
		"stream": func(c *LoaderConfig) { c.Stream = "architecture" },
		"epoch":  func(c *LoaderConfig) { c.Start.Epoch = 1 },
	} {
		other := first(change)
		if slices.Equal(base.Images, other.Images) {
			t.Errorf("another %s gives the same order", name)
		}
		at, from := slices.Index(other.Images, base.Images[0]), len(base.X)/64
		if slices.Equal(base.X[:from], other.X[at*from:(at+1)*from]) {
			t.Errorf("another %s gives image %d the same augmentation", name, base.Images[0])
		}
	}
}

// TestPositionRestores every place exactly.
func TestPositionRestores(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{TrainN: 50, TestN: 1, H: 8, W: 8})
	cfg := loaderConfig(s)
	unbroken := mustLoader(t, s, cfg)
	want := allBatches(t, unbroken)
	l := mustLoader(t, s, cfg)
	for k := range len(want) + 1 {
		again := cfg
		again.Start = l.Position()
		if got := allBatches(t, mustLoader(t, s, again)); !slices.EqualFunc(got, want[k:], Batch.equal) {
			t.Fatalf("from position %+v on, after %d batches, others come", again.Start, k)
		}
		if k < len(want) {
			if _, err := l.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p := unbroken.Position(); p != (Position{Epoch: 3}) {
		t.Errorf("at the end the position is %+v", p)
	}
	// The end of an epoch may also be written as its last batch's successor.
	cfg.Start = Position{Epoch: 0, Batch: 4}
	if got := allBatches(t, mustLoader(t, s, cfg)); !slices.EqualFunc(got, want[4:], Batch.equal) {
		t.Error("batch 4 of 4 of epoch 0 is not the begin of epoch 1")
	}
}

// TestABatchStaysUntilTheNext: what is prepared meanwhile does not overwrite it.
func TestABatchStaysUntilTheNext(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{TrainN: 100, TestN: 1, H: 8, W: 8})
	cfg := loaderConfig(s)
	want := allBatches(t, mustLoader(t, s, cfg))
	l := mustLoader(t, s, cfg)
	for k := range want {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		for len(l.ready) < min(cap(l.ready), len(want)-k-1) {
			runtime.Gosched() // until all that may be prepared ahead is
		}
		if !copied(b).equal(want[k]) {
			t.Fatalf("batch %d changed while it was used", k)
		}
	}
}

func TestLoaderEnds(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{TrainN: 100, TestN: 1, H: 8, W: 8})
	cfg := loaderConfig(s)
	cfg.Epochs = 0
	l := mustLoader(t, s, cfg)
	for range 30 {
		if _, err := l.Next(); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	l.Close()
	for range 5 {
		if _, err := l.Next(); !errors.Is(err, ErrClosed) {
			t.Fatalf("after Close the error is %v", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := NewLoader(ctx, s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := l.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context ended the error is %v", err)
	}
	l.Close()
	select { // the goroutine is gone: it closed its channel
	case _, more := <-l.ready:
		for more {
			_, more = <-l.ready
		}
	default:
		t.Error("Close did not wait")
	}
}

func TestLoaderThatCannotBe(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{TrainN: 100, TestN: 1, H: 8, W: 8})
	for _, c := range []struct {
		change func(*LoaderConfig)
		parts  []string
	}{
		{func(c *LoaderConfig) { c.Batch = 101 }, []string{"a batch of 101 is larger than the 100 images", "at most 100"}},
		{func(c *LoaderConfig) { c.Batch = 0 }, []string{"the batch is 0"}},
		{func(c *LoaderConfig) { c.Images = nil }, []string{"no images in this part"}},
		{func(c *LoaderConfig) { c.Images = []int{101}; c.Batch = 1 }, []string{"no image 101", "has 101"}},
		{func(c *LoaderConfig) { c.Images = []int{-1}; c.Batch = 1 }, []string{"no image -1"}},
		{func(c *LoaderConfig) { c.Start.Batch = 8 }, []string{"no batch 8 of epoch 0", "has 7"}},
		{func(c *LoaderConfig) { c.Start.Epoch = -1 }, []string{"epoch -1"}},
		{func(c *LoaderConfig) { c.Epochs = -1 }, []string{"-1"}},
		{func(c *LoaderConfig) { c.Workers = 1000 }, []string{"1000 workers"}},
		{func(c *LoaderConfig) { c.Augment.Pad = 100 }, []string{"pad is 100"}},
	} {
		cfg := loaderConfig(s)
		c.change(&cfg)
		_, err := NewLoader(t.Context(), s, cfg)
		wantError(t, err, append(c.parts, s.Name)...)
	}
}

func BenchmarkLoader(b *testing.B) {
	s := mustSynthetic(b, SyntheticSpec{TrainN: 2048, H: 32, W: 32})
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			cfg := loaderConfig(s)
			cfg.Batch, cfg.Epochs, cfg.Workers = 96, 0, workers
			l := mustLoader(b, s, cfg)
			images := 0
			for b.Loop() {
				batch, err := l.Next()
				if err != nil {
					b.Fatal(err)
				}
				images += batch.N
			}
			b.ReportMetric(float64(images)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
