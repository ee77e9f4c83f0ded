package policy

import (
	"slices"
	"testing"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Ways by hand: input-output is number 0; one operation 1..3 in the order of the space
// (conv3x3, conv1x1, maxpool3x3); two operations from 4, the first counting threefold.
func TestPathFeatures(t *testing.T) {
	s := nasbench(t, 7)
	cell, err := space.NewCell([][]int{
		{0, 1, 1, 0, 1},
		{0, 0, 0, 1, 0},
		{0, 0, 0, 1, 1},
		{0, 0, 0, 0, 1},
		{0, 0, 0, 0, 0},
	}, []string{"input", "conv1x1-bn-relu", "maxpool3x3", "conv3x3-bn-relu", "output"})
	if err != nil {
		t.Fatal(err)
	}
	// input-output; 1x1,3x3; max,3x3; max.
	want := []int{0, 1 + 2, 4 + 3*1 + 0, 4 + 3*2 + 0}
	for paths, size := range map[int]int{0: 364, 40: 40, 8: 8, 1000: 364} {
		f, err := featuresOf(s, paths)
		if err != nil || f.size != size {
			t.Fatalf("paths=%d: %d features, want %d (%v)", paths, f.size, size, err)
		}
		x, err := f.of(cell)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range x {
			if on := slices.Contains(want, i); (v == 1) != on || v != 0 && v != 1 {
				t.Errorf("paths=%d: number %d is %v", paths, i, v)
			}
		}
	}
}

// Isomorphic cells have one set of paths; the order of a node's edges is not in those of
// DARTS; sequences differ where their features do.
func TestFeaturesAreOfTheArchitecture(t *testing.T) {
	for _, s := range []space.Space{nasbench(t, 7), darts(t, 4), darts(t, 5), cells(t, 3, 3), fakeSpace{nodes: 4, ops: 3}, flatSpace{4, 3, 5}} {
		f, err := featuresOf(s, 0)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string][]float32{}
		draws := rng.New(1, "features")
		mutator := s.(space.Mutator)
		a := s.Sample(draws)
		for range 300 {
			x, err := f.of(a)
			if err != nil || len(x) != f.size {
				t.Fatalf("%s: %d features, want %d (%v)", s, len(x), f.size, err)
			}
			if was, ok := seen[a.Hash()]; ok && !slices.Equal(was, x) {
				t.Errorf("%s: %s has two forms", s, a)
			}
			seen[a.Hash()] = x
			a = mutator.Mutate(a, draws)
		}
		different := map[string]bool{}
		for _, x := range seen {
			b := make([]byte, len(x))
			for i, v := range x {
				b[i] = byte(v)
			}
			different[string(b)] = true
		}
		// Several cells of NASBench-101 have the same ways; all other forms are one to one.
		least := len(seen)
		if s.Spec().Name == "nasbench101" {
			least /= 2
		}
		if len(different) < least {
			t.Errorf("%s: %d architectures have %d forms", s, len(seen), len(different))
		}
	}
}
