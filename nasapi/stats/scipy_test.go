package stats

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"evalnas/nasapi/rng"
)

// testsFixture is testdata/tests.json, which testdata/tests.py has from SciPy and NumPy.
type testsFixture struct {
	Permutations []struct {
		Name                           string
		A, B                           []float64
		Difference, Two, Greater, Less float64
	}
	Components []struct {
		Name                      string
		Groups                    [][]float64
		F, P, N0, Between, Within float64
		Truncated                 bool
	}
	Anytime struct {
		Courses []struct {
			At, Value []float64
			End       float64
		}
		Places  []float64
		Moments []struct{ Mean, SD, Median, Q1, Q3 float64 }
	}
	Taus []struct {
		Name   string
		X, Y   []float64
		Tau, P float64
	}
}

func readTests(t *testing.T) testsFixture {
	t.Helper()
	raw, err := os.ReadFile("testdata/tests.json")
	if err != nil {
		t.Fatal(err)
	}
	var f testsFixture
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPermutationAgainstSciPy(t *testing.T) {
	for _, tt := range readTests(t).Permutations {
		got, err := Permutation{Stream: rng.New(1, "test")}.MeanDifference(tt.A, tt.B)
		if err != nil {
			t.Fatal(err)
		}
		if got.Method != "exact" || got.Resamples != 0 {
			t.Errorf("%s: %+v", tt.Name, got)
		}
		near(t, tt.Name+" difference", got.Difference, tt.Difference, 1e-12)
		near(t, tt.Name+" greater", got.Greater, tt.Greater, 1e-12)
		near(t, tt.Name+" less", got.Less, tt.Less, 1e-12)
		near(t, tt.Name+" two-sided", got.TwoSided, tt.Two, 1e-12)
	}
}

// Drawn arrangements come near to all of them, the same ones for the same stream.
func TestPermutationByMonteCarlo(t *testing.T) {
	s := rng.New(2, "test", "permutation")
	sample := func(n int, shift float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = shift + s.Float64()
		}
		return out
	}
	a, b := sample(15, 0.15), sample(14, 0)
	p := func(seed int64) PermutationResult {
		r, err := Permutation{Resamples: 40_000, Stream: rng.New(seed, "test")}.MeanDifference(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	got := p(1)
	if got.Method != "Monte Carlo" || got.Resamples != 40_000 || got != p(1) || got == p(2) {
		t.Errorf("%+v, then %+v", got, p(1))
	}
	w, err := Welch(a, b) // of these nearly normal means, near to the truth
	if err != nil {
		t.Fatal(err)
	}
	near(t, "two-sided", got.TwoSided, w.TwoSided, 0.01)
	far, err := Permutation{Resamples: 999, Stream: rng.New(3, "test")}.MeanDifference(sample(20, 9), b)
	if err != nil || far.TwoSided != 1./1000 {
		t.Errorf("the smallest p is 1/(m+1): %+v, %v", far, err)
	}
}

func TestVarianceComponentsAgainstSciPy(t *testing.T) {
	for _, tt := range readTests(t).Components {
		got, err := VarianceComponents(tt.Groups)
		if err != nil {
			t.Fatal(err)
		}
		near(t, tt.Name+" between", got.Between.Value, tt.Between, 1e-12)
		near(t, tt.Name+" within", got.Within.Value, tt.Within, 1e-12)
		near(t, tt.Name+" n0", got.EffectiveSize.Value, tt.N0, 1e-12)
		near(t, tt.Name+" F", got.F.Value, tt.F, 1e-9*max(1, tt.F))
		near(t, tt.Name+" p", got.P.Value, tt.P, 1e-10)
		if got.Truncated != tt.Truncated || got.WhyBetween+got.WhyWithin != "" {
			t.Errorf("%s: %+v", tt.Name, got)
		}
	}
}

// The estimates are right on average, whatever the sizes.
func TestVarianceComponentsAreUnbiased(t *testing.T) {
	s := rng.New(4, "test", "components")
	normal := func(sd float64) float64 { return sd * distuv.UnitNormal.Quantile(s.Float64()) }
	var between, within float64
	const trials = 3000
	for range trials {
		var groups [][]float64
		for _, n := range []int{1, 2, 3, 8, 4, 2, 5, 3} {
			m := normal(2)
			g := make([]float64, n)
			for i := range g {
				g[i] = m + normal(1)
			}
			groups = append(groups, g)
		}
		c, err := VarianceComponents(groups)
		if err != nil {
			t.Fatal(err)
		}
		between += c.Between.Value / trials
		within += c.Within.Value / trials
	}
	near(t, "between", between, 4, 0.2) // sd of the mean: about 0.045
	near(t, "within", within, 1, 0.03)
}

func TestVarianceThatIsUndefined(t *testing.T) {
	for name, tt := range map[string]struct {
		groups          [][]float64
		between, within string
	}{
		"one training each": {[][]float64{{1}, {2}, {3}}, "undefined: no group has two values", "undefined: no group has two values"},
		"one search":        {[][]float64{{1, 2, 3}}, "undefined: one group", ""},
	} {
		c, err := VarianceComponents(tt.groups)
		if err != nil || c.WhyBetween != tt.between || c.WhyWithin != tt.within || c.Between.Defined || c.Within.Defined == (tt.within != "") {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	equal, err := VarianceComponents([][]float64{{1, 1}, {1, 1}})
	if err != nil || equal.Between.Value != 0 || equal.Within.Value != 0 || !equal.Within.Defined || equal.F.Defined || equal.Share.Defined {
		t.Errorf("equal values: %+v, %v", equal, err)
	}
	if _, err := VarianceComponents(nil); !errors.Is(err, ErrUndefined) {
		t.Errorf("no groups: %v", err)
	}
	if _, err := VarianceComponents([][]float64{{1, math.NaN()}}); err == nil {
		t.Error("a NaN was taken")
	}
}

func TestNoiseCeiling(t *testing.T) {
	c, err := NoiseCeiling([][]float64{{1, 2, 3, 4}, {1, 2, 4, 3}, {2, 1, 3, math.NaN()}})
	if err != nil {
		t.Fatal(err)
	}
	// By hand: one of six pairs is exchanged, then one of three, one of three.
	for i, want := range []float64{4. / 6, 1. / 3, 1. / 3} {
		near(t, "tau", c.Pairs[i].Tau.Value, want, 1e-15)
	}
	near(t, "mean", c.Tau.Value, (4./6+2./3)/3, 1e-15)
	if c.Repeats != 3 || c.Pairs[1].First != 0 || c.Pairs[1].Second != 2 || c.Pairs[1].Common != 3 {
		t.Errorf("%+v", c)
	}
	for want, repeats := range map[string][][]float64{
		"unknown: one repeat":                     {{1, 2}},
		"unknown: no repeat":                      nil,
		"undefined: all values equal on one side": {{1, 1}, {1, 2}},
	} {
		c, err := NoiseCeiling(repeats)
		if err != nil || c.Tau.Defined || c.Why != want {
			t.Errorf("%v: %+v, %v; want %q", repeats, c, err, want)
		}
	}
	if _, err := NoiseCeiling([][]float64{{1, 2}, {1}}); err == nil {
		t.Error("repeats of different lengths were taken")
	}
}

func TestAnytimeAgainstNumPy(t *testing.T) {
	f := readTests(t).Anytime
	var courses []Course
	for _, c := range f.Courses {
		courses = append(courses, Course{c.At, c.Value, c.End})
	}
	got, err := Anytime(courses, f.Places)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range f.Moments {
		near(t, "mean", got[i].Mean.Value, want.Mean, 1e-12)
		near(t, "sd", got[i].SD.Value, want.SD, 1e-12)
		near(t, "median", got[i].Median.Value, want.Median, 1e-12)
		near(t, "Q1", got[i].Q1.Value, want.Q1, 1e-12)
		near(t, "Q3", got[i].Q3.Value, want.Q3, 1e-12)
	}
}

func TestAnytimeEdges(t *testing.T) {
	runs := []Course{{At: []float64{2, 5}, Value: []float64{3, 1}, End: 6}, {At: []float64{4}, Value: []float64{2}, End: 10}}
	got, err := Anytime(runs, []float64{1, 2, 4.5, 8})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Runs != 0 || got[0].Mean.Defined || got[1].Runs != 1 || got[1].SD.Defined || got[1].Mean.Value != 3 ||
		got[2].Runs != 2 || got[2].Mean.Value != 2.5 || got[3].Ended != 1 || got[3].Mean.Value != 1.5 {
		t.Errorf("%+v", got)
	}
	// 3 for three units, 1 for five: 14 over the eight from 2 to 10.
	area, err := AreaUnder(runs[0], 10)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "area", area, 14./8, 1e-15)
	if area, err = AreaUnder(runs[0], 4); err != nil || area != 3 {
		t.Errorf("up to 4: %v, %v", area, err)
	}
	if _, err := AreaUnder(runs[0], 2); !errors.Is(err, ErrUndefined) {
		t.Errorf("up to the first value: %v", err)
	}
	for _, bad := range []Course{{}, {At: []float64{2, 1}, Value: []float64{1, 1}, End: 3}, {At: []float64{1}, Value: []float64{math.NaN()}, End: 3}, {At: []float64{4}, Value: []float64{1}, End: 3}} {
		if _, err := Anytime([]Course{bad}, []float64{1}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestTauOfManyAgainstSciPy(t *testing.T) {
	for _, tt := range readTests(t).Taus {
		got, err := KendallTauTest(tt.X, tt.Y)
		if err != nil {
			t.Fatal(err)
		}
		near(t, tt.Name+" tau", got.Tau, tt.Tau, 1e-13)
		near(t, tt.Name+" p", got.TwoSided, tt.P, 1e-12)
	}
}

// Sorting by bits is sorting.
func TestRadixSort(t *testing.T) {
	s := rng.New(9, "test", "radix")
	for _, n := range []int{0, 1, 2, 256, 257, 5000} {
		a := make([]keyed, n)
		values := make([]float64, n)
		for i := range a {
			values[i] = []float64{0, math.Copysign(0, -1), -1, 1e300, -1e-300, s.Float64() - 0.5, float64(s.IntN(9)) - 4}[s.IntN(7)]
			a[i] = keyed{orderedBits(values[i]), uint32(i)}
		}
		want := slices.Clone(a)
		slices.SortStableFunc(want, func(p, q keyed) int {
			switch x, y := values[p.payload], values[q.payload]; {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		got, _ := radixSort(a, make([]keyed, n))
		if !slices.Equal(got, want) {
			t.Errorf("%d values are not in order", n)
		}
	}
}

func TestInversionsByPairs(t *testing.T) {
	s := rng.New(10, "test", "inversions")
	for _, n := range []int{0, 1, 5, 17, 40, 700} {
		for _, width := range []int{1, 3, 12} {
			v := make([]uint32, n)
			want := 0
			for i := range v {
				v[i] = uint32(s.IntN(1 << width))
				for _, before := range v[:i] {
					if before > v[i] {
						want++
					}
				}
			}
			if got := inversions(v, make([]uint32, n), width); got != want {
				t.Errorf("%d numbers of %d bits: %d, want %d", n, width, got, want)
			}
		}
	}
}

func TestReason(t *testing.T) {
	_, err := Welch([]float64{1, 1}, []float64{1, 1})
	if got := Reason(err); got != "undefined: no variation in either sample" {
		t.Errorf("%q", got)
	}
	_, err = Permutation{Stream: rng.New(1, "test")}.MeanDifference([]float64{1, 1}, []float64{1})
	if got := Reason(err); got != "undefined: all values equal" {
		t.Errorf("%q", got)
	}
	if Reason(nil) != "" || Reason(errors.New("broken")) != "broken" {
		t.Error("other errors")
	}
}
