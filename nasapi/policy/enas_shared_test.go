package policy

import (
	"fmt"
	"slices"
	"testing"

	"evalnas/nasapi/space"
)

// 30 updates of 10 draws an epoch where nodes have one input, 300 of one where they have
// two, and what the keywords say else: counted are the validations.
func TestENASUpdatesOfTheSpace(t *testing.T) {
	for _, c := range []struct {
		s      space.Space
		cfg    Config
		checks int // of an epoch
		number int // of the last update of two epochs
	}{
		{fakeSpace{nodes: 3, ops: 3}, nil, 300, 60},
		{pairSpace{fakeSpace{nodes: 3, ops: 3}}, nil, 300, 600},
		{fakeSpace{nodes: 3, ops: 3}, Config{"controller_steps": 2, "controller_batch": 7}, 14, 4},
	} {
		cfg := Config{"hidden": 8}
		for k, v := range c.cfg {
			cfg[k] = v
		}
		f := &fakeWeights{epochs: 2, steps: 3, batches: 5, accuracy: func(space.Arch, int) float64 { return 0.5 }}
		r := shareSearch(t, "enas", cfg, c.s, f)
		if r.err != nil {
			t.Fatal(r.err)
		}
		if f.checks != 2*c.checks || len(r.events) != c.number {
			t.Errorf("%v %v: %d validations and %d updates in two epochs, want %d and %d", c.s, c.cfg, f.checks, len(r.events), 2*c.checks, c.number)
		}
	}
}

// The baseline of the first epoch goes on in the second: the reward drops by 40, the
// baseline follows by a hundredth of what is between them for each draw.
func TestENASBaselineIsKeptBetweenEpochs(t *testing.T) {
	f := &fakeWeights{epochs: 2, steps: 1, batches: 1}
	f.accuracy = func(space.Arch, int) float64 {
		if f.at.Epoch == 0 {
			return 0.9
		}
		return 0.5
	}
	r := shareSearch(t, "enas", Config{"hidden": 8, "controller_steps": 1, "controller_batch": 1, "entropy_weight": 0.0}, fakeSpace{nodes: 3, ops: 3}, f)
	if r.err != nil {
		t.Fatal(r.err)
	}
	for i, want := range []float64{90, 90 - 0.4} {
		var got float64
		if _, err := fmt.Sscanf(r.events[i], "controllermap[baseline:%f", &got); err != nil || !near(got, want, 1e-9) {
			t.Errorf("%s: baseline %v, want %v", r.events[i], got, want)
		}
	}
}

func TestENASPoolIsTheLastDistinctSequences(t *testing.T) {
	r := &enasShared{enasRun: &enasRun{space: fakeSpace{nodes: 1, ops: 3}}, sharing: enasSharing{pool: 2}}
	for _, op := range []int{0, 1, 0, 2, 2} {
		r.keep([]int{0, op})
	}
	var got []string
	for _, a := range r.Pool() {
		got = append(got, a.Hash())
	}
	if !slices.Equal(got, []string{"[0 0]", "[0 2]"}) {
		t.Error(got)
	}
}

// More candidates than are evaluated on all images: those stay that one batch likes best.
func TestENASFinalPool(t *testing.T) {
	best := fakeArch{0, 1, 1, 0}
	f := &fakeWeights{epochs: 1, steps: 20, batches: 1, accuracy: matches(best)}
	cfg := Config{"hidden": 8, "controller_steps": 1, "controller_batch": 1, "final_samples": 40, "final_pool": 3}
	r := shareSearch(t, "enas", cfg, fakeSpace{nodes: 2, ops: 3}, f)
	if r.err != nil || len(r.values) != 3 || r.hashes[0] != best.Hash() || !slices.IsSortedFunc(r.values, func(a, b float64) int { return int(100 * (b - a)) }) {
		t.Errorf("evaluated %v with %v, %v", r.hashes, r.values, r.err)
	}
}
