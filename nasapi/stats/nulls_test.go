package stats

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"evalnas/nasapi/rng"
)

// Each p-value of the package, simulated where nothing but chance is at work. A p of
// continuous data is uniform; one of few outcomes falls below a level at most as often as
// the level says, and is uniform from there up to the next outcome.

const nullTrials = 2000

// kolmogorov999 is the 99.9 % quantile of the one-sample Kolmogorov statistic, scaled by
// the root of the number of values (Smirnov 1948): the chance that a sound p fails here.
const kolmogorov999 = 1.95

func TestEveryPIsSoundUnderItsNull(t *testing.T) {
	space, err := NewRanking(tiedSpace(), true)
	if err != nil {
		t.Fatal(err)
	}
	null, err := space.MeanPercentileNull(4)
	if err != nil {
		t.Fatal(err)
	}
	normals := func(s *rng.Stream, n int) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = distuv.UnitNormal.Quantile(s.Float64())
		}
		return out
	}
	small := func(s *rng.Stream, n int) []float64 { // with ties
		out := make([]float64, n)
		for i := range out {
			out[i] = float64(s.IntN(5))
		}
		return out
	}
	drawn := func(s *rng.Stream) []float64 {
		all := tiedSpace()
		out := make([]float64, 4)
		for i := range out {
			out[i] = all[s.IntN(len(all))]
		}
		return out
	}
	meanPercentile := func(s *rng.Stream) float64 {
		m, err := space.MeanPercentile(drawn(s))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	tests := []struct {
		name    string
		uniform bool    // else conservative
		slack   float64 // of an approximation
		p       func(*rng.Stream) (float64, error)
	}{
		{"Welch, equal sizes", true, 0, func(s *rng.Stream) (float64, error) {
			r, err := Welch(normals(s, 10), normals(s, 10))
			return r.TwoSided, err
		}},
		{"Welch, unequal variances", true, 0.01, func(s *rng.Stream) (float64, error) {
			b := normals(s, 6)
			for i := range b {
				b[i] *= 3
			}
			r, err := Welch(normals(s, 14), b)
			return r.TwoSided, err
		}},
		{"Mann-Whitney, exact", false, 0, func(s *rng.Stream) (float64, error) {
			r, err := MannWhitney(normals(s, 8), normals(s, 9))
			return r.Greater, err
		}},
		{"Mann-Whitney, ties", false, 0, func(s *rng.Stream) (float64, error) {
			r, err := MannWhitney(small(s, 8), small(s, 9))
			return r.TwoSided, err
		}},
		{"Mann-Whitney, normal", true, 0.02, func(s *rng.Stream) (float64, error) {
			r, err := MannWhitney(normals(s, 40), normals(s, 45))
			return r.TwoSided, err
		}},
		{"permutation, exact", false, 0, func(s *rng.Stream) (float64, error) {
			r, err := Permutation{Stream: s}.MeanDifference(normals(s, 5), normals(s, 5))
			return r.TwoSided, err
		}},
		{"permutation, Monte Carlo", true, 0.01, func(s *rng.Stream) (float64, error) {
			r, err := Permutation{Stream: s, Resamples: 199}.MeanDifference(normals(s, 14), normals(s, 14))
			return r.Greater, err
		}},
		{"Kendall, exact", false, 0, func(s *rng.Stream) (float64, error) {
			r, err := KendallTauTest(normals(s, 9), normals(s, 9))
			return r.TwoSided, err
		}},
		{"Kendall, normal", true, 0.01, func(s *rng.Stream) (float64, error) {
			r, err := KendallTauTest(normals(s, 100), normals(s, 100))
			return r.TwoSided, err
		}},
		{"variance components", true, 0, func(s *rng.Stream) (float64, error) {
			r, err := VarianceComponents([][]float64{normals(s, 2), normals(s, 5), normals(s, 3), normals(s, 1)})
			return r.P.OrNaN(), err
		}},
		{"exact null, upper", false, 0, func(s *rng.Stream) (float64, error) { return null.PAtLeast(meanPercentile(s)), nil }},
		{"exact null, lower", false, 0, func(s *rng.Stream) (float64, error) { return null.PAtMost(meanPercentile(s)), nil }},
		{"exact null, both", false, 0, func(s *rng.Stream) (float64, error) { return null.TwoSided(meanPercentile(s)), nil }},
		{"Holm, the smallest of three", false, 0, func(s *rng.Stream) (float64, error) {
			ps, err := Holm([]float64{s.Float64(), s.Float64(), s.Float64()})
			return slices.Min(ps), err
		}},
		// The paper's figure: whoever is random has any value of it equally often.
		{"p to beat random", true, 0, func(s *rng.Stream) (float64, error) {
			best := 423624
			for range 10 {
				best = min(best, 1+s.IntN(423624))
			}
			return PBeatsRandom(best, 423624, 10)
		}},
		{"p to beat random at equal budget", true, 0.001, func(s *rng.Stream) (float64, error) {
			best := 423624
			for range 10 * 5 {
				best = min(best, 1+s.IntN(423624))
			}
			return PBeatsRandomBudget(best, 423624, 10, 5)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := rng.New(11, "test", "null", tt.name)
			ps := make([]float64, nullTrials)
			for i := range ps {
				var err error
				if ps[i], err = tt.p(s); err != nil || !(ps[i] >= 0 && ps[i] <= 1) {
					t.Fatalf("p = %v, %v", ps[i], err)
				}
			}
			checkNull(t, ps, tt.uniform, tt.slack)
		})
	}
}

// checkNull compares the share of p-values up to each with the value itself: it may not
// surpass that, and where p is uniform not fall short of it either.
func checkNull(t *testing.T, ps []float64, uniform bool, slack float64) {
	t.Helper()
	slices.Sort(ps)
	n := float64(len(ps))
	bound := kolmogorov999/math.Sqrt(n) + slack
	for i, p := range ps {
		if i+1 < len(ps) && ps[i+1] == p {
			continue
		}
		share := float64(i+1) / n
		if share-p > bound {
			t.Fatalf("p <= %.4f in %.4f of the trials: more than it says", p, share)
		}
		if uniform && p-share > bound {
			t.Fatalf("p <= %.4f in %.4f of the trials only", p, share)
		}
	}
}

// A test that finds nothing would pass the one above: each must find what is there.
func TestPIsSmallWhereThereIsADifference(t *testing.T) {
	s := rng.New(12, "test", "power")
	sample := func(n int, shift float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = shift + s.Float64()
		}
		return out
	}
	a, b := sample(10, 0.8), sample(10, 0)
	w, _ := Welch(a, b)
	mw, _ := MannWhitney(a, b)
	perm, _ := Permutation{Stream: s}.MeanDifference(a, b)
	k, _ := KendallTauTest(a, a)
	v, _ := VarianceComponents([][]float64{a, b})
	for name, p := range map[string]float64{"Welch": w.TwoSided, "Mann-Whitney": mw.TwoSided, "permutation": perm.TwoSided, "Kendall": k.TwoSided, "components": v.P.OrNaN()} {
		if !(p < 1e-3) {
			t.Errorf("%s: p = %v", name, p)
		}
	}
}

// tiedSpace is 300 values with ties, as tables have them.
func tiedSpace() []float64 {
	out := make([]float64, 300)
	for i := range out {
		out[i] = math.Floor(math.Sqrt(float64(i)))
	}
	return out
}
