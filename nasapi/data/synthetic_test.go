package data

import (
	"encoding/json"
	"testing"
)

// TestSyntheticIsPinned: the images are part of results.
func TestSyntheticIsPinned(t *testing.T) {
	const want = "10f4e47eda7203f60d5acf15c472b2494ff2498f2f6ad63f4620cbeb5ad75f40"
	if s := mustSynthetic(t, SyntheticSpec{}); s.Digest != want || !s.Synthetic || s.String() != "synthetic (synthetic): 1024 + 256 images of 16x16x3 in 4 classes" {
		t.Errorf("the default set is %s with the digest %s, it was %s", s, s.Digest, want)
	}
}

// TestSyntheticCanBeLearned by the simplest means, and not by heart alone: the
// class whose mean is nearest is right for most test images, and a single pixel
// says little.
func TestSyntheticCanBeLearned(t *testing.T) {
	for _, spec := range []SyntheticSpec{{}, {Seed: 1, H: 8, W: 8, C: 1, Classes: 3}, {Seed: 2, H: 32, W: 32, Classes: 10}} {
		s := mustSynthetic(t, spec)
		all := make([]int, s.ImageBytes())
		for i := range all {
			all[i] = i
		}
		if right := nearestMean(s, all); right < 0.7 {
			t.Errorf("%s: the nearest mean is right for %.2f of the test images", s, right)
		}
		if right := nearestMean(s, all[:1]); right > 0.6 {
			t.Errorf("%s: one pixel is enough for %.2f of the test images", s, right)
		}
	}
}

// nearestMean is the share of test images whose class has the nearest mean train
// image, by the given bytes of the images.
func nearestMean(s *Set, at []int) float64 {
	means, counts := make([][]float64, s.Classes), make([]float64, s.Classes)
	for k := range means {
		means[k] = make([]float64, len(at))
	}
	for i := range s.TrainN {
		counts[s.Labels[i]]++
		for j, a := range at {
			means[s.Labels[i]][j] += float64(s.Image(i)[a])
		}
	}
	right := 0
	for i := s.TrainN; i < s.N(); i++ {
		best, least := 0, 1e300
		for k := range means {
			d := 0.0
			for j, a := range at {
				diff := float64(s.Image(i)[a]) - means[k][j]/counts[k]
				d += diff * diff
			}
			if d < least {
				best, least = k, d
			}
		}
		if best == int(s.Labels[i]) {
			right++
		}
	}
	return float64(right) / float64(s.TestN)
}

func TestSyntheticSpecFindsTheSetAgain(t *testing.T) {
	t.Setenv(FolderVariable, t.TempDir()) // and needs nothing there
	s := mustSynthetic(t, SyntheticSpec{Seed: 5, TrainN: 30})
	text, err := json.Marshal(s.Spec())
	if err != nil {
		t.Fatal(err)
	}
	var spec Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), spec)
	if err != nil || again.Digest != s.Digest {
		t.Errorf("%s finds %v, %v", text, again, err)
	}
	spec.Synthetic.Seed = 6
	_, err = Open(t.Context(), spec)
	wantError(t, err, "seed 6", s.Digest)

	e, err := Resolve("synthetic")
	if err != nil || !e.Synthetic {
		t.Fatalf("%+v, %v", e, err)
	}
	if set, err := Open(t.Context(), e.Spec()); err != nil || set.Digest != e.Digest {
		t.Errorf("%v, %v", set, err)
	}
	for _, bad := range []SyntheticSpec{{TrainN: -1}, {Classes: 1}, {H: 1 << 20}, {TrainN: 1 << 28}} {
		if _, err := Synthetic(bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	if _, err := Open(t.Context(), Spec{Name: "mnist", Synthetic: &SyntheticSpec{}}); err == nil {
		t.Error("a synthetic set was called mnist")
	}
}
