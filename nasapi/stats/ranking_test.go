package stats

import (
	"math"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/rng"
)

func mustRanking(t testing.TB, values []float64, higher bool) *Ranking {
	t.Helper()
	r, err := NewRanking(values, higher)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(t testing.TB, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %.12g, want %.12g within %g", what, got, want, tol)
	}
}

func TestRanking(t *testing.T) {
	// Ranks by hand: 9, 7, 7, 7, 4, 1.
	higher := mustRanking(t, []float64{7, 1, 9, 7, 4, 7}, true)
	lower := mustRanking(t, []float64{-7, -1, -9, -7, -4, -7}, false)
	tests := []struct {
		v                   float64
		rank, ties, maxRank int
		mid                 float64
	}{
		{9, 1, 1, 1, 1},
		{7, 2, 3, 4, 3},
		{4, 5, 1, 5, 5},
		{1, 6, 1, 6, 6},
		{10, 1, 0, 1, 1},  // better than all
		{8, 2, 0, 2, 1.5}, // between
		{5, 5, 0, 5, 4.5}, // between
		{0, 7, 0, 7, 6},   // worse than all
		{math.Inf(1), 1, 0, 1, 1},
		{math.Inf(-1), 7, 0, 7, 6},
	}
	for _, tt := range tests {
		for _, r := range []*Ranking{higher, lower} {
			v := tt.v
			if r == lower {
				v = -v
			}
			if got := r.Rank(v); got != tt.rank {
				t.Errorf("Rank(%v) = %d, want %d", v, got, tt.rank)
			}
			if got := r.Ties(v); got != tt.ties {
				t.Errorf("Ties(%v) = %d, want %d", v, got, tt.ties)
			}
			if got := r.MaxRank(v); got != tt.maxRank {
				t.Errorf("MaxRank(%v) = %d, want %d", v, got, tt.maxRank)
			}
			near(t, "MidRank", r.MidRank(v), tt.mid, 0)
			near(t, "Percentile", r.Percentile(v), 100*(1-(tt.mid-1)/6), 1e-12)
		}
	}
	if higher.N() != 6 || higher.Distinct() != 4 || higher.Best() != 9 || higher.Worst() != 1 {
		t.Errorf("N, Distinct, Best, Worst = %d, %d, %v, %v", higher.N(), higher.Distinct(), higher.Best(), higher.Worst())
	}
	if got := higher.Rank(math.NaN()); got != 7 {
		t.Errorf("Rank(NaN) = %d, want 7", got)
	}
	for _, v := range []float64{9, 4, 1} { // the untied ones invert exactly
		if got := higher.ValueAt(higher.Percentile(v)); got != v {
			t.Errorf("ValueAt(Percentile(%v)) = %v", v, got)
		}
	}
	if got := higher.ValueAt(-5); got != 1 {
		t.Errorf("ValueAt(-5) = %v, want the worst", got)
	}
}

func TestRankingRefuses(t *testing.T) {
	for name, values := range map[string][]float64{
		"no values": nil, "NaN": {1, math.NaN()}, "+Inf": {1, math.Inf(1)}, "-Inf": {math.Inf(-1), 2},
	} {
		if _, err := NewRanking(values, true); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v does not name it", name, err)
		}
	}
	r := mustRanking(t, []float64{1, 2}, true)
	for _, n := range []int{-1, 0, maxRuns + 1} {
		if _, err := r.MeanPercentileNull(n); err == nil {
			t.Errorf("a null of %d runs was made", n)
		}
	}
	if _, err := r.MeanPercentile(nil); err == nil {
		t.Error("mean percentile of nothing")
	}
	if _, err := r.MeanPercentile([]float64{1, math.NaN()}); err == nil {
		t.Error("mean percentile of NaN")
	}
	if _, err := r.BestOf(0); err == nil {
		t.Error("best of 0")
	}
}

// tied draws n values with many ties.
func tied(n, distinct int, seed int64) []float64 {
	s := rng.New(seed, "test", "values")
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(s.IntN(distinct)) / float64(distinct)
	}
	return out
}

// enumerate returns every mean percentile of n draws, N^n of them.
func enumerate(r *Ranking, values []float64, n int) []float64 {
	means := []float64{0}
	for range n {
		next := make([]float64, 0, len(means)*len(values))
		for _, m := range means {
			for _, v := range values {
				next = append(next, m+r.Percentile(v))
			}
		}
		means = next
	}
	for i := range means {
		means[i] /= float64(n)
	}
	return means
}

func TestNullAgainstEnumeration(t *testing.T) {
	tests := []struct {
		values []float64
		n      int
	}{
		{[]float64{3}, 4},
		{[]float64{1, 1, 1}, 2},
		{[]float64{1, 2}, 6},
		{[]float64{1, 2, 2, 5, 5, 5, 9}, 5},
		{tied(12, 5, 1), 4},
		{tied(91, 40, 2), 2},
		{tied(91, 91, 3), 1},
	}
	for i, tt := range tests {
		for _, higher := range []bool{true, false} {
			r := mustRanking(t, tt.values, higher)
			z, err := r.MeanPercentileNull(tt.n)
			if err != nil {
				t.Fatal(err)
			}
			if !z.Exact() {
				t.Errorf("case %d: not exact", i)
			}
			all := enumerate(r, tt.values, tt.n)
			centre := mean(all)
			near(t, "mean", z.Mean(), centre, 1e-9)
			ss := 0.0
			for _, m := range all {
				ss += (m - centre) * (m - centre)
			}
			near(t, "sd", z.SD(), math.Sqrt(ss/float64(len(all))), 1e-9)
			slices.Sort(all)
			for k := 0; k < len(all); k += 1 + len(all)/200 {
				for _, x := range []float64{all[k], all[k] + 0.01, all[k] - 0.01} {
					below, _ := slices.BinarySearch(all, x-1e-9)
					notAbove, _ := slices.BinarySearch(all, x+1e-9)
					ge, le := float64(len(all)-below), float64(notAbove)
					near(t, "PAtLeast", z.PAtLeast(x), max(ge/float64(len(all)), MinP), 1e-11)
					near(t, "PAtMost", z.PAtMost(x), max(le/float64(len(all)), MinP), 1e-11)
				}
			}
		}
	}
}

func TestNullQuantileAndDetectable(t *testing.T) {
	r := mustRanking(t, tied(91, 60, 4), true)
	z, err := r.MeanPercentileNull(10)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []float64{0, 1e-6, 0.05, 0.25, 0.5, 0.95, 0.999, 1} {
		x := z.Quantile(q)
		if p := z.PAtMost(x); p < q-1e-9 {
			t.Errorf("P(mean <= Quantile(%v) = %v) = %v", q, x, p)
		}
		if p := z.PAtMost(x - z.step); p >= q+1e-9 {
			t.Errorf("Quantile(%v) = %v is not the smallest: %v below it", q, x, p)
		}
	}
	d, err := z.SmallestDetectable(0.05)
	if err != nil {
		t.Fatal(err)
	}
	if p := z.PAtLeast(d.Threshold); p > 0.05 {
		t.Errorf("p at the threshold %v = %v", d.Threshold, p)
	}
	if p := z.PAtLeast(d.Threshold - z.step); p <= 0.05 {
		t.Errorf("the threshold %v is not the smallest: p = %v one step lower", d.Threshold, p)
	}
	near(t, "difference", d.Difference, d.Threshold-z.Mean(), 1e-12)
	// Two equal values: nothing can ever be significant.
	flat, err := mustRanking(t, []float64{1, 1}, true).MeanPercentileNull(3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flat.SmallestDetectable(0.05); err == nil {
		t.Error("a flat space has a detectable difference")
	}
	for _, alpha := range []float64{0, 1, -1, math.NaN()} {
		if _, err := z.SmallestDetectable(alpha); err == nil {
			t.Errorf("level %v was accepted", alpha)
		}
	}
}

// The alternative of Detect, simulated: best of k draws a run must be found
// with the stated power.
func TestDetectBySimulation(t *testing.T) {
	values := tied(400, 300, 5)
	r := mustRanking(t, values, true)
	z, err := r.MeanPercentileNull(10)
	if err != nil {
		t.Fatal(err)
	}
	alt, err := z.Detect(0.05, 0.8)
	if err != nil {
		t.Fatal(err)
	}
	s := rng.New(1, "test", "power")
	b, err := r.BestOf(1)
	if err != nil {
		t.Fatal(err)
	}
	b.k = alt.DrawsPerRun // not whole: beyond what BestOf offers
	const trials = 4000
	found, meanPct := 0, 0.0
	for range trials {
		sum := 0.0
		for range 10 {
			sum += r.Percentile(b.Quantile(s.Float64()))
		}
		meanPct += sum / 10 / trials
		if z.PAtLeast(sum/10) <= 0.05 {
			found++
		}
	}
	near(t, "power", float64(found)/trials, 0.8, 4*math.Sqrt(0.16/trials))
	near(t, "mean percentile", meanPct, alt.MeanPercentile, 0.5)
}

// A random policy's one-sided p is uniform: the largest gap between its
// empirical distribution and the diagonal stays under the Kolmogorov-Smirnov
// bound (2.2 / sqrt(trials) is passed by chance once in 10^4).
func TestNullIsUniformUnderRandom(t *testing.T) {
	for _, size := range []int{91, 2532, 64542} {
		values := tied(size, 2904, int64(size))
		r := mustRanking(t, values, true)
		z, err := r.MeanPercentileNull(10)
		if err != nil {
			t.Fatal(err)
		}
		s := rng.New(3, "test", "random policy")
		const trials = 4000
		hist := make([]int, 1001)
		for range trials {
			sum := 0.0
			for range 10 {
				sum += r.Percentile(values[s.IntN(size)])
			}
			hist[int(math.Ceil(1000*z.PAtLeast(sum/10)))]++
		}
		cum, gap := 0, 0.0
		for i, h := range hist {
			cum += h
			gap = max(gap, math.Abs(float64(cum)/trials-float64(i)/1000))
		}
		if bound := 2.2 / math.Sqrt(trials); gap > bound {
			t.Errorf("space of %d: p departs from uniform by %.4f, more than %.4f", size, gap, bound)
		}
	}
}

// The grid of large spaces against the lattice that holds every attainable
// mean: at the size of NASBench-101 with the bound that is documented, and
// with more runs on a coarser grid, where the bound is one step of it.
func TestNullGridError(t *testing.T) {
	for _, tt := range []struct {
		size, n, limit int
		bound          float64
	}{{423624, 2, maxLattice, 1e-4}, {20000, 10, 1 << 15, 100.0 / (1<<15 - 10)}} {
		r := mustRanking(t, tied(tt.size, 2904, 6), true)
		counts, deficits2 := r.tieWeights()
		for i := range counts {
			counts[i] /= float64(r.N())
		}
		atoms := drawAtoms{prob: counts, deficits2: deficits2, n: r.N()}
		z, full := newNull(atoms, tt.n, tt.limit), newNull(atoms, tt.n, math.MaxInt)
		if z.Exact() || !full.Exact() {
			t.Fatal("the case does not compare a grid with the lattice")
		}
		near(t, "mean", z.Mean(), full.Mean(), 1e-9)
		near(t, "sd", z.SD(), full.SD(), 1e-9)
		for _, q := range []float64{1e-6, 1e-3, 0.05, 0.3, 0.5, 0.9, 0.95, 0.999, 1 - 1e-6} {
			x := full.Quantile(q)
			near(t, "Quantile", z.Quantile(q), x, tt.bound)
			// p moves no further than over the bound on the axis.
			lo, hi := full.PAtLeast(x+tt.bound), full.PAtLeast(x-tt.bound)
			if p := z.PAtLeast(x); p < lo || p > hi {
				t.Errorf("n=%d q=%v: p = %v outside %v..%v", tt.n, q, p, lo, hi)
			}
		}
	}
}

func TestNullManyRuns(t *testing.T) {
	r := mustRanking(t, tied(5000, 2904, 7), true)
	z, err := r.MeanPercentileNull(maxRuns)
	if err != nil {
		t.Fatal(err)
	}
	// The central limit theorem holds by now.
	near(t, "p at +1 sd", z.PAtLeast(z.Mean()+z.SD()), 0.158655, 1e-3)
	near(t, "95 % quantile", z.Quantile(0.95), z.Mean()+1.644854*z.SD(), 1e-3)
}

func TestBestOfAgainstEnumeration(t *testing.T) {
	values := []float64{1, 2, 2, 5, 5, 5, 9}
	for _, higher := range []bool{true, false} {
		r := mustRanking(t, values, higher)
		b, err := r.BestOf(3)
		if err != nil {
			t.Fatal(err)
		}
		var all []float64
		for _, x := range values {
			for _, y := range values {
				for _, w := range values {
					if higher {
						all = append(all, max(x, y, w))
					} else {
						all = append(all, min(x, y, w))
					}
				}
			}
		}
		m := mean(all)
		near(t, "mean", b.Mean(), m, 1e-12)
		near(t, "sd", b.SD(), math.Sqrt(variance(all)*float64(len(all)-1)/float64(len(all))), 1e-12)
		for _, v := range []float64{0, 1, 1.5, 2, 5, 7, 9, 10} {
			notBetter := 0.0
			for _, x := range all {
				if !r.better(x, v) {
					notBetter++
				}
			}
			near(t, "CDF", b.CDF(v), notBetter/float64(len(all)), 1e-12)
		}
		for _, q := range []float64{0, 0.1, 0.5, 0.9, 1} {
			v := b.Quantile(q)
			if b.CDF(v) < q-1e-12 {
				t.Errorf("CDF(Quantile(%v)) = %v", q, b.CDF(v))
			}
		}
		if b.Quantile(1) != r.Best() || b.Quantile(0) != r.Worst() {
			t.Errorf("extreme quantiles %v, %v", b.Quantile(0), b.Quantile(1))
		}
	}
}

func TestPBeatsRandom(t *testing.T) {
	// The paper's three values on NASBench-101 (7 %, 24 %, 62 %) with the
	// ranks that reproduce them.
	for _, tt := range []struct {
		rank int
		want float64
	}{{96939, 0.07}, {57079, 0.24}, {19552, 0.62}} {
		p, err := PBeatsRandom(tt.rank, 423624, 10)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "p", p, tt.want, 0.005)
		equal, err := PBeatsRandomBudget(tt.rank, 423624, 10, 3)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "p at equal budget", equal, p*p*p, 1e-12)
	}
	for _, bad := range [][4]int{{0, 10, 1, 1}, {11, 10, 1, 1}, {1, 0, 1, 1}, {1, 10, 0, 1}, {1, 10, 1, 0}} {
		if _, err := PBeatsRandomBudget(bad[0], bad[1], bad[2], bad[3]); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
	lo, hi, err := PBeatsRandomBand(0.9)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "low", lo, 0.05, 1e-12)
	near(t, "high", hi, 0.95, 1e-12)
	if _, _, err := PBeatsRandomBand(1); err == nil {
		t.Error("a band of level 1")
	}
}

// The band holds a random policy's p as often as it says.
func TestPBeatsRandomBandBySimulation(t *testing.T) {
	lo, hi, err := PBeatsRandomBand(0.9)
	if err != nil {
		t.Fatal(err)
	}
	s := rng.New(4, "test", "band")
	const trials, cells = 4000, 423624
	inside := 0
	for range trials {
		best := cells
		for range 10 {
			best = min(best, 1+s.IntN(cells))
		}
		p, err := PBeatsRandom(best, cells, 10)
		if err != nil {
			t.Fatal(err)
		}
		if p >= lo && p <= hi {
			inside++
		}
	}
	near(t, "share inside", float64(inside)/trials, 0.9, 4*math.Sqrt(0.09/trials))
}

func BenchmarkMeanPercentileNull(b *testing.B) {
	r := mustRanking(b, tied(423624, 2904, 6), true)
	for b.Loop() {
		if _, err := r.MeanPercentileNull(10); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewRanking(b *testing.B) {
	values := tied(423624, 2904, 6)
	for b.Loop() {
		if _, err := NewRanking(values, true); err != nil {
			b.Fatal(err)
		}
	}
}
