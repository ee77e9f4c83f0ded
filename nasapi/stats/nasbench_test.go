package stats_test

import (
	"math"
	"testing"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/stats"
	"evalnas/nasapi/table"
)

// column is the test accuracy of a (sub-)space of NASBench-101.
func column(t *testing.T, maxVertices int) []float64 {
	t.Helper()
	tab, err := table.NASBench101()
	if err != nil {
		t.Fatal(err)
	}
	m, err := tab.Find(table.Query{Name: table.Test})
	if err != nil {
		t.Fatal(err)
	}
	s, err := space.NASBench101(maxVertices)
	if err != nil {
		t.Fatal(err)
	}
	values, err := tab.Column(m, s)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// Best of k uniform draws on the real table against 2,000 simulated random
// searches of each k that were run once, with another program: mean and
// standard deviation agree within four standard errors of the simulation and
// the rounding of its report.
func TestBestOfOnNASBench(t *testing.T) {
	r, err := stats.NewRanking(column(t, 7), true)
	if err != nil {
		t.Fatal(err)
	}
	if r.N() != 423624 || r.Distinct() != 2904 {
		t.Errorf("%d cells with %d distinct values; the table has 423,624 with 2,904", r.N(), r.Distinct())
	}
	const runs, rounding = 2000, 0.00005
	for _, tt := range []struct {
		k        int
		mean, sd float64
		sdTol    float64 // relative; failed cells make that of single draws coarse
	}{
		{1, 0.8965, 0.0723, 0.15},
		{10, 0.9294, 0.0057, 0.08},
		{50, 0.9353, 0.0027, 0.08},
		{150, 0.9376, 0.0020, 0.08},
		{1000, 0.9404, 0.0015, 0.08},
	} {
		b, err := r.BestOf(tt.k)
		if err != nil {
			t.Fatal(err)
		}
		if tol := 4*b.SD()/math.Sqrt(runs) + rounding; math.Abs(b.Mean()-tt.mean) > tol {
			t.Errorf("best of %d: mean %.5f, simulated %.4f, tolerance %.5f", tt.k, b.Mean(), tt.mean, tol)
		}
		if math.Abs(b.SD()-tt.sd) > tt.sdTol*tt.sd+rounding {
			t.Errorf("best of %d: sd %.5f, simulated %.4f", tt.k, b.SD(), tt.sd)
		}
	}
}

// On the real spaces, too, random sampling has a uniform p.
func TestNullOnNASBench(t *testing.T) {
	for _, vertices := range []int{4, 7} {
		values := column(t, vertices)
		r, err := stats.NewRanking(values, true)
		if err != nil {
			t.Fatal(err)
		}
		z, err := r.MeanPercentileNull(10)
		if err != nil {
			t.Fatal(err)
		}
		s := rng.New(1, "test", "nasbench null")
		const trials = 2000
		below := map[float64]int{0.05: 0, 0.25: 0, 0.5: 0, 0.75: 0, 0.95: 0}
		for range trials {
			drawn := make([]float64, 10)
			for i := range drawn {
				drawn[i] = values[s.IntN(len(values))]
			}
			m, err := r.MeanPercentile(drawn)
			if err != nil {
				t.Fatal(err)
			}
			p := z.PAtLeast(m)
			for level := range below {
				if p <= level {
					below[level]++
				}
			}
		}
		for level, n := range below {
			got := float64(n) / trials
			// One step of the attainable p-values for the small space, and
			// four standard errors.
			if tol := 4*math.Sqrt(level*(1-level)/trials) + 0.002; math.Abs(got-level) > tol {
				t.Errorf("%d vertices: p <= %v in %.4f of the trials, tolerance %.4f", vertices, level, got, tol)
			}
		}
	}
}
