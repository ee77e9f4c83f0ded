package policy

import (
	"runtime"
	"testing"
	"weak"

	"evalnas/nasapi/rng"
)

// TestClosedLearnersAreFreed looks whether the weights are gone: kernels live long, and time
// every search with a learner of their own before it begins.
func TestClosedLearnersAreFreed(t *testing.T) {
	for name, use := range map[string]func(t *testing.T) (left func() bool){"enas": useENASLearner, "nao": useNAOLearner} {
		t.Run(name, func(t *testing.T) {
			left := use(t)
			for range 3 {
				runtime.GC()
			}
			if left() {
				t.Error("the weights of a learner that was closed are still there")
			}
		})
	}
}

func useENASLearner(t *testing.T) (left func() bool) {
	s := shapeFor(t, fakeSpace{nodes: 5, ops: 3}, 64)
	packed := s.initial(rng.New(1268, "init"))
	l, err := newLearner(s, packed, 10, 0.0035)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	first := weak.Make(&packed[0])
	return func() bool { return first.Value() != nil }
}

func useNAOLearner(t *testing.T) (left func() bool) {
	s := naoShapes["pairs"]
	packed := exampleNAO[float32](s, 1, 0.3).packed
	l := newNAOLearner(s, packed, &naoAdam{})
	if _, err := l.of(7); err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	first := weak.Make(&packed[0])
	return func() bool { return first.Value() != nil }
}
