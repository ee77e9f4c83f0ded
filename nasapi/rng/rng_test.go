package rng

import (
	"math"
	"slices"
	"testing"
)

// TestStreamsAreStable pins the first draws: they are part of every result, so
// a change here is a change of nasapi.Numerics.
func TestStreamsAreStable(t *testing.T) {
	s := New(1268, "evolution", "mutation")
	got := []uint64{s.Uint64(), s.Uint64(), s.Uint64()}
	want := []uint64{0xb0a66735341bdff2, 0xd267ab2feff0ce7e, 0xd815eaeed6363813}
	if !slices.Equal(got, want) {
		t.Errorf("first draws are %#x, want %#x", got, want)
	}
}

func TestLabelsSeparateStreams(t *testing.T) {
	streams := map[uint64]string{}
	for name, s := range map[string]*Stream{
		"none": New(1), "empty label": New(1, ""), "ab c": New(1, "ab", "c"), "a bc": New(1, "a", "bc"),
		"abc": New(1, "abc"), "other seed": New(2, "abc"), "negative seed": New(-1, "abc"),
	} {
		v := s.Uint64()
		if other, same := streams[v]; same {
			t.Errorf("%q and %q are one stream", name, other)
		}
		streams[v] = name
	}
}

func TestResumedStreamGoesOn(t *testing.T) {
	a := New(7, "resume")
	a.IntN(10)
	state, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var b Stream
	if err := b.UnmarshalBinary(state); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if x, y := a.Uint64(), b.Uint64(); x != y {
			t.Fatalf("draw %d: %x after the unbroken stream, %x after the resumed one", i, x, y)
		}
	}
	if err := b.UnmarshalBinary([]byte("short")); err == nil {
		t.Error("a damaged state was accepted")
	}
}

// TestUniform holds the counts of each distribution against their expectation;
// 5 standard deviations are not reached by chance.
func TestUniform(t *testing.T) {
	const draws = 200_000
	s := New(3, "uniform")
	for _, n := range []int{1, 2, 3, 7, 91} {
		counts := make([]int, n)
		for range draws {
			counts[s.IntN(n)]++
		}
		p := 1 / float64(n)
		for v, c := range counts {
			if dev := math.Abs(float64(c) - draws*p); dev > 5*math.Sqrt(draws*p*(1-p))+1e-9 {
				t.Errorf("IntN(%d): %d came %d times of %d", n, v, c, draws)
			}
		}
	}
	sum := 0.0
	for range draws {
		f := s.Float64()
		if f < 0 || f >= 1 {
			t.Fatalf("Float64 gave %v", f)
		}
		sum += f
	}
	if mean := sum / draws; math.Abs(mean-0.5) > 5/math.Sqrt(12*draws) {
		t.Errorf("the mean of Float64 is %v", mean)
	}
}

func TestSampleIsUniformOverSubsets(t *testing.T) {
	const draws = 60_000
	s := New(4, "sample")
	counts := map[[2]int]int{}
	for range draws {
		v := s.Sample(4, 2)
		if v[0] == v[1] || v[0] < 0 || v[0] > 3 || v[1] < 0 || v[1] > 3 {
			t.Fatalf("Sample(4, 2) = %v", v)
		}
		counts[[2]int{v[0], v[1]}]++
	}
	if len(counts) != 12 {
		t.Fatalf("%d ordered pairs were drawn, there are 12", len(counts))
	}
	for pair, c := range counts {
		if dev := math.Abs(float64(c) - draws/12.0); dev > 5*math.Sqrt(draws/12.0) {
			t.Errorf("%v came %d times of %d", pair, c, draws)
		}
	}
	perm := s.Perm(100)
	slices.Sort(perm)
	for i, v := range perm {
		if v != i {
			t.Fatalf("Perm(100) misses %d", i)
		}
	}
}

func TestMisuseSaysSo(t *testing.T) {
	for name, f := range map[string]func(){
		"IntN(0)":       func() { New(1).IntN(0) },
		"Sample(2, 3)":  func() { New(1).Sample(2, 3) },
		"Sample(2, -1)": func() { New(1).Sample(2, -1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			f()
		}()
	}
}

// However few are drawn of however many, the sample is that of a shuffle that is kept
// whole.
func TestSampleIsAShuffleCutShort(t *testing.T) {
	for _, n := range []int{1, 2, 5, 50, 256, 257, 1000} {
		for k := range min(n, 40) + 1 {
			a, b := New(int64(n), "sample"), New(int64(n), "sample")
			list := make([]int, n)
			for i := range list {
				list[i] = i
			}
			for i := range k {
				j := i + b.IntN(n-i)
				list[i], list[j] = list[j], list[i]
			}
			if got := a.Sample(n, k); !slices.Equal(got, list[:k]) {
				t.Fatalf("%d of %d: %v, want %v", k, n, got, list[:k])
			}
		}
	}
}
