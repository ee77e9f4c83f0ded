package data

import (
	"math"
	"slices"
	"testing"
)

func TestSplits(t *testing.T) {
	set := mustSynthetic(t, SyntheticSpec{TrainN: 50, TestN: 10, H: 2, W: 2, C: 1})
	for name, c := range map[string]struct {
		split        Split
		train, valid []int
	}{
		"whole":      {WholeSplit(), upTo(0, 50), nil},
		"search":     {SearchSplit(), upTo(0, 25), upTo(25, 50)},
		"nasbench":   {NASBenchSplit(), upTo(0, 40), upTo(40, 50)},
		"rest":       {Split{ValidN: 5}, upTo(0, 45), upTo(45, 50)},
		"both":       {Split{TrainN: 10, ValidN: 5}, upTo(0, 10), upTo(45, 50)},
		"train only": {Split{TrainN: 10}, upTo(0, 10), nil},
	} {
		p, err := c.split.Apply(set)
		if err != nil || !slices.Equal(p.Train, c.train) || !slices.Equal(p.Valid, c.valid) || !slices.Equal(p.Test, upTo(50, 60)) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestDevelopmentSplitIsDrawnBySeed(t *testing.T) {
	set := mustSynthetic(t, SyntheticSpec{TrainN: 50, TestN: 10, H: 2, W: 2, C: 1})
	split := func(seed int64) Parts {
		p, err := Development(0.1, seed).Apply(set)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b, c := split(0), split(0), split(1)
	if len(a.Train) != 45 || len(a.Valid) != 5 || !slices.IsSorted(a.Train) || !slices.IsSorted(a.Valid) {
		t.Errorf("the split is %+v", a)
	}
	all := slices.Concat(a.Train, a.Valid)
	slices.Sort(all)
	if !slices.Equal(all, upTo(0, 50)) {
		t.Errorf("the parts together are %v", all)
	}
	if !slices.Equal(a.Valid, b.Valid) || slices.Equal(a.Valid, c.Valid) {
		t.Errorf("seeds 0, 0 and 1 hold back %v, %v and %v", a.Valid, b.Valid, c.Valid)
	}
	if want := []int{12, 19, 21, 29, 37}; !slices.Equal(a.Valid, want) {
		t.Errorf("seed 0 holds back %v, it was %v: results of seeds change", a.Valid, want)
	}
}

func TestSplitsThatDoNotFit(t *testing.T) {
	set := mustSynthetic(t, SyntheticSpec{TrainN: 50, TestN: 10, H: 2, W: 2, C: 1})
	for _, c := range []struct {
		split Split
		parts []string
	}{
		{Split{TrainN: 40, ValidN: 11}, []string{"synthetic", "40 images to train on and 11 to validate on are not in its 50"}},
		{Split{ValidN: 50}, []string{"0 images to train on"}},
		{Split{ValidN: 51}, []string{"51 to validate on"}},
		{Split{ValidN: -1}, []string{"negative"}},
		{Split{Share: 1}, []string{"less than 1"}},
		{Split{Share: math.NaN()}, []string{"NaN"}},
		{Split{Share: 0.001}, []string{"0.001 of 50 images is none"}},
		{Split{Share: 0.1, ValidN: 5}, []string{"leave one out"}},
	} {
		_, err := c.split.Apply(set)
		wantError(t, err, c.parts...)
	}
	// Sorted by class, the last class is in no part to train on.
	sorted := &Set{Name: "sorted", Shape: Shape{TrainN: 8, TestN: 0, H: 1, W: 1, C: 1, Classes: 2}, Labels: []uint16{0, 0, 0, 0, 1, 1, 1, 1}, ClassNames: []string{"cat", "dog"}}
	_, err := SearchSplit().Apply(sorted)
	wantError(t, err, "sorted", "none of the 4 images to train on is of class 1 (dog)", "shuffled")
}
