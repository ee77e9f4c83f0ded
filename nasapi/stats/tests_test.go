package stats

import (
	"errors"
	"math"
	"testing"

	"evalnas/nasapi/rng"
)

// The numbers below were computed with SciPy 1.17.1 and NumPy 2.4.6:
// mannwhitneyu (method "exact", or an exhaustive PermutationMethod where there
// are ties, or "asymptotic" for the long samples), ttest_ind with
// equal_var=False, kendalltau, spearmanr, quantile, bootstrap.
var samples = []struct {
	name               string
	a, b               []float64
	method             string
	u                  float64
	two, greater, less float64
	t, df, welch       float64
	tau, rho           float64 // of the first min(len) pairs
}{
	{
		name:   "two policies",
		a:      []float64{93.1, 92.4, 94.0, 91.7, 93.8, 92.9, 93.3, 90.8, 94.2, 93.6},
		b:      []float64{90.1, 92.0, 89.5, 93.0, 91.2, 88.7, 92.6, 90.9, 91.9, 89.9},
		method: "exact", u: 87,
		two: 0.003886206672584382, greater: 0.001943103336292191, less: 0.9985602632661456,
		t: 3.559593027308338, df: 16.81571961281072, welch: 0.0024460457347214868,
		tau: -0.15555555555555553, rho: -0.22424242424242422,
	}, {
		name:   "small",
		a:      []float64{1.5, 2.5, 4.0},
		b:      []float64{3.0, 5.0, 6.0, 7.0},
		method: "exact", u: 1,
		two: 0.11428571428571428, greater: 0.9714285714285714, less: 0.05714285714285714,
		t: -2.3042118533662155, df: 4.991772055462441, welch: 0.0694928152577391,
		tau: 1, rho: 1,
	}, {
		name:   "ties",
		a:      []float64{1, 2, 2, 3, 5},
		b:      []float64{2, 3, 3, 4, 4},
		method: "exact", u: 8,
		two: 0.38095238095238093, greater: 0.8452380952380952, less: 0.19047619047619047,
		t: -0.7745966692414835, df: 6.228373702422145, welch: 0.46695682553609474,
		tau: 0.9428090415820632, rho: 0.9733285267845753,
	}, {
		name:   "uneven",
		a:      []float64{0.1, 10.0, 0.93, 0.94, 0.95},
		b:      []float64{0.90, 0.91, 0.905},
		method: "exact", u: 12,
		two: 0.25, greater: 0.125, less: 0.9285714285714286,
		t: 0.9021414707096975, df: 4.000019246739398, welch: 0.41799341840077436,
		tau: 1, rho: 1,
	}, {
		name: "long with ties",
		a: []float64{0.3, 0.6, 0, -0.6, -0.2, -0.7, 0.4, 1.6, -0.2, -0.3, 0.8, 0.7, 0.4, -0.6, 0.3, 1, -1, -0.2, -1.6, -1,
			-1.5, 0.1, -1, 0.6, 0.5, 0.1, -2.2, -0.2, 0.3, 0.4, -1.2, -0.2, -0.7, -0.5, 1.4, -0.5, 0.3, 1.2, -0.3, 0.2},
		b: []float64{0.1, 0.1, -1.2, 0.1, 1.4, -1.5, 0.9, 0.1, -0.6, 2, 0.8, -1.2, 0.1, 0.6, -0.2, 0.7, -0.1, 0.7,
			1.4, -0.7, 0.2, -0.5, 0.1, -1.2, -0.6, -0.2, 0.9, 1.1, -1.3, -0.8, 0.6, -2, -0.5, -0.1, 1.3},
		method: "normal approximation", u: 659,
		two: 0.6666373431636601, greater: 0.6705396762776741, less: 0.33331867158183004,
		t: -0.4982452446894011, df: 68.36283795487601, welch: 0.6199103994111609,
		tau: -0.08063130412187876, rho: -0.11284077487264471,
	},
}

func TestAgainstSciPy(t *testing.T) {
	for _, tt := range samples {
		t.Run(tt.name, func(t *testing.T) {
			mw, err := MannWhitney(tt.a, tt.b)
			if err != nil {
				t.Fatal(err)
			}
			if mw.Method != tt.method {
				t.Errorf("method %q, want %q", mw.Method, tt.method)
			}
			near(t, "U", mw.U, tt.u, 0)
			near(t, "two-sided p", mw.TwoSided, tt.two, 1e-12)
			near(t, "greater p", mw.Greater, tt.greater, 1e-12)
			near(t, "less p", mw.Less, tt.less, 1e-12)
			w, err := Welch(tt.a, tt.b)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "t", w.T, tt.t, 1e-10)
			near(t, "df", w.DF, tt.df, 1e-9)
			near(t, "Welch p", w.TwoSided, tt.welch, 1e-10)
			near(t, "Welch tails", w.Greater+w.Less, 1, 1e-10)
			d, err := CliffsDelta(tt.a, tt.b)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "delta", d, 2*tt.u/float64(len(tt.a)*len(tt.b))-1, 1e-12)
			m := min(len(tt.a), len(tt.b))
			tau, err := KendallTau(tt.a[:m], tt.b[:m])
			if err != nil {
				t.Fatal(err)
			}
			near(t, "tau", tau, tt.tau, 1e-12)
			rho, err := Spearman(tt.a[:m], tt.b[:m])
			if err != nil {
				t.Fatal(err)
			}
			near(t, "rho", rho, tt.rho, 1e-12)
		})
	}
}

func TestCliffsDeltaByPairs(t *testing.T) {
	for _, tt := range samples {
		pairs := 0.0
		for _, x := range tt.a {
			for _, y := range tt.b {
				switch {
				case x > y:
					pairs++
				case x < y:
					pairs--
				}
			}
		}
		d, err := CliffsDelta(tt.a, tt.b)
		if err != nil {
			t.Fatal(err)
		}
		near(t, tt.name, d, pairs/float64(len(tt.a)*len(tt.b)), 1e-12)
	}
}

func TestDescribe(t *testing.T) {
	got, err := Describe([]float64{3.2, 1.1, 4.8, 2.2, 9.0, 0.4, 7.7})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mean", got.Mean, 4.057142857142857, 1e-15)
	near(t, "sd", got.SD, 3.280171307953871, 1e-14)
	near(t, "Q1", got.Q1, 1.65, 1e-15)
	near(t, "median", got.Median, 3.2, 0)
	near(t, "Q3", got.Q3, 6.25, 1e-14)
	if got.N != 7 || got.Min != 0.4 || got.Max != 9 || !got.HasSD {
		t.Errorf("Describe = %+v", got)
	}
	q, err := Quantile([]float64{3.2, 1.1, 4.8, 2.2, 9.0, 0.4, 7.7}, 0.99)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "99 % quantile", q, 8.922, 1e-14)
	one, err := Describe([]float64{2})
	if err != nil {
		t.Fatal(err)
	}
	if one.HasSD || one.SD != 0 || one.Q1 != 2 || one.Median != 2 {
		t.Errorf("Describe of one value = %+v", one)
	}
}

func TestHolm(t *testing.T) {
	// By hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, then max(0.06, 1 x 0.04).
	got, err := Holm([]float64{0.01, 0.04, 0.03, 0.005})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.03, 0.06, 0.06, 0.02} {
		near(t, "adjusted p", got[i], want, 1e-15)
	}
	if got, err := Holm([]float64{0.9, 0.8}); err != nil || got[0] != 1 || got[1] != 1 {
		t.Errorf("large p-values: %v, %v", got, err)
	}
	if got, err := Holm(nil); err != nil || len(got) != 0 {
		t.Errorf("none: %v, %v", got, err)
	}
	for _, bad := range []float64{-0.1, 1.1, math.NaN()} {
		if _, err := Holm([]float64{0.5, bad}); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestBootstrapAgainstSciPy(t *testing.T) {
	a, b := samples[0].a, samples[0].b
	skewed := []float64{0.1, 0.92, 0.93, 0.935, 0.94, 0.91, 0.905, 0.945, 0.93, 0.925}
	boot := func(seed int64) Bootstrap {
		return Bootstrap{Stream: rng.New(seed, "test", "bootstrap"), Resamples: 100_000}
	}
	tests := []struct {
		name      string
		run       func(Bootstrap) (Interval, error)
		method    string
		low, high float64 // scipy.stats.bootstrap, 200,000 resamples
		tol       float64 // Monte Carlo error of both
	}{
		{"difference of means", func(c Bootstrap) (Interval, error) { return c.MeanDifference(a, b) }, "BCa bootstrap", 0.94, 3.02, 0.02},
		{"mean", func(c Bootstrap) (Interval, error) { return c.MeanOf(a) }, "BCa bootstrap", 92.22, 93.51, 0.02},
		{"skewed mean", func(c Bootstrap) (Interval, error) { return c.MeanOf(skewed) }, "BCa bootstrap", 0.5175, 0.9295, 0.004},
		{"difference of medians", func(c Bootstrap) (Interval, error) { return c.MedianDifference(a, b) }, "percentile bootstrap", 0.7, 3.6, 0.051},
	}
	for _, tt := range tests {
		got, err := tt.run(boot(1))
		if err != nil {
			t.Fatal(err)
		}
		if got.Method != tt.method || got.Level != 0.95 {
			t.Errorf("%s: %+v", tt.name, got)
		}
		near(t, tt.name+" low", got.Low, tt.low, tt.tol)
		near(t, tt.name+" high", got.High, tt.high, tt.tol)
		again, err := tt.run(boot(1))
		if err != nil || again != got {
			t.Errorf("%s: the same stream gave %+v, then %+v (%v)", tt.name, got, again, err)
		}
	}
	small := Bootstrap{Stream: rng.New(1, "test", "default")}
	got, err := small.MedianOf(a)
	if err != nil || got.Resamples != DefaultResamples || !(got.Low <= got.Point && got.Point <= got.High) {
		t.Errorf("median: %+v, %v", got, err)
	}
	if !got.Excludes(80) || got.Excludes(got.Point) {
		t.Errorf("Excludes is wrong on %+v", got)
	}
	flat, err := boot(2).MeanOf([]float64{2, 2, 2})
	if err != nil || flat.Low != 2 || flat.High != 2 || flat.Method != "no variation" {
		t.Errorf("equal values: %+v, %v", flat, err)
	}
}

// An interval of level 0.9 holds the truth in about nine of ten cases.
func TestBootstrapCoverage(t *testing.T) {
	s := rng.New(5, "test", "coverage")
	const trials = 400
	inside := 0
	for range trials {
		draw := func(shift float64) []float64 {
			out := make([]float64, 20)
			for i := range out {
				out[i] = shift + s.Float64() + s.Float64()
			}
			return out
		}
		c := Bootstrap{Level: 0.9, Resamples: 500, Stream: s}
		i, err := c.MeanDifference(draw(1), draw(0))
		if err != nil {
			t.Fatal(err)
		}
		if !i.Excludes(1) {
			inside++
		}
	}
	// The bootstrap of 20 values covers a little too rarely.
	near(t, "coverage", float64(inside)/trials, 0.88, 0.05)
}

func TestUndefined(t *testing.T) {
	c := Bootstrap{Stream: rng.New(1, "test")}
	two := []float64{1, 2}
	checks := map[string]error{}
	_, checks["describe nothing"] = Describe(nil)
	_, checks["quantile of nothing"] = Quantile(nil, 0.5)
	_, checks["mean of nothing"] = Mean(nil)
	_, checks["test of nothing"] = MannWhitney(nil, two)
	_, checks["delta of nothing"] = CliffsDelta(two, nil)
	_, checks["Welch of one"] = Welch([]float64{1}, two)
	_, checks["Welch of constants"] = Welch([]float64{1, 1}, []float64{2, 2})
	_, checks["bootstrap of one"] = c.MeanOf([]float64{1})
	_, checks["tau of constants"] = KendallTau([]float64{1, 1}, two)
	_, checks["rho of constants"] = Spearman(two, []float64{1, 1})
	_, checks["tau of one"] = KendallTau([]float64{1}, []float64{1})
	_, checks["improvement over 0"] = RelativeImprovement(1, 0, true)
	for name, err := range checks {
		if !errors.Is(err, ErrUndefined) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := map[string]error{}
	nan := []float64{1, math.NaN()}
	_, bad["describe NaN"] = Describe(nan)
	_, bad["test of Inf"] = MannWhitney(two, []float64{math.Inf(1)})
	_, bad["quantile 2"] = Quantile(two, 2)
	_, bad["no stream"] = Bootstrap{}.MeanOf(two)
	_, bad["level 1"] = Bootstrap{Level: 1, Stream: c.Stream}.MeanOf(two)
	_, bad["few resamples"] = Bootstrap{Resamples: 5, Stream: c.Stream}.MeanOf(two)
	_, bad["lengths"] = KendallTau(two, []float64{1, 2, 3})
	for name, err := range bad {
		if err == nil || errors.Is(err, ErrUndefined) {
			t.Errorf("%s: %v", name, err)
		}
	}
	same, err := MannWhitney([]float64{1, 1, 1}, []float64{1, 1})
	if err != nil || same.TwoSided != 1 || same.U != 3 {
		t.Errorf("equal samples: %+v, %v", same, err)
	}
}

func TestRelativeImprovement(t *testing.T) {
	for _, tt := range []struct {
		m, r   float64
		higher bool
		want   float64
	}{{93, 92, true, 100. / 92}, {61.9, 62.5, false, 0.96}, {-1, -2, true, 50}} {
		got, err := RelativeImprovement(tt.m, tt.r, tt.higher)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "improvement", got, tt.want, 1e-12)
	}
}

func TestKendallTauByPairs(t *testing.T) {
	s := rng.New(6, "test", "tau")
	for range 200 {
		n := 2 + s.IntN(30)
		x, y := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i], y[i] = float64(s.IntN(6)), float64(s.IntN(6))
		}
		var sum, nx, ny float64
		for i := range x {
			for j := range i {
				dx, dy := sign(x[i]-x[j]), sign(y[i]-y[j])
				sum += dx * dy
				nx += dx * dx
				ny += dy * dy
			}
		}
		got, err := KendallTau(x, y)
		if nx == 0 || ny == 0 {
			if !errors.Is(err, ErrUndefined) {
				t.Errorf("tau of a constant: %v, %v", got, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		near(t, "tau", got, sum/math.Sqrt(nx*ny), 1e-12)
	}
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
