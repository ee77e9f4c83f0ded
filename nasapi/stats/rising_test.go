package stats

import (
	"math"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/rng"
)

// line is a run whose tau goes from a to b over steps 10 to 10n, with noise.
func line(s *rng.Stream, seed int64, n int, a, b, noise float64) (out []TauPoint) {
	for i := range n {
		f := float64(i) / float64(n-1)
		out = append(out, TauPoint{Seed: seed, Step: 10 * float64(i+1), Tau: a + f*(b-a) + noise*(s.Float64()-0.5)})
	}
	return out
}

func TestStillRising(t *testing.T) {
	s := rng.New(3, "test", "rising")
	runs := func(seeds, n int, a, b, noise float64) (out []TauPoint) {
		for i := range seeds {
			out = append(out, line(s, int64(i), n, a, b, noise)...)
		}
		return out
	}
	settled := func(seeds int) (out []TauPoint) { // rises, then stays
		for i := range seeds {
			for _, p := range append(line(s, int64(i), 10, 0, 0.4, 0.02), line(s, int64(i), 10, 0.4, 0.4, 0.02)...) {
				p.Step = 10 * float64(len(out)%20+1)
				out = append(out, p)
			}
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		points []TauPoint
		want   Trend
	}{
		{"nothing", nil, TrendUnknown},
		{"one point", runs(1, 2, 0, 0, 0)[:1], TrendUnknown},
		{"few points", runs(10, 5, 0, 0.3, 0.01), TrendUnknown},
		{"one run that rises", runs(1, 20, 0, 0.4, 0.02), Rising},
		{"one run at rest", settled(1), NotRising},
		{"one run of noise", runs(1, 12, 0.2, 0.2, 0.5), TrendUnknown},
		{"ten runs that rise", runs(10, 10, 0, 0.4, 0.2), Rising},
		{"ten runs at rest", settled(10), NotRising},
		{"ten runs that fall", runs(10, 10, 0.4, 0.2, 0.1), NotRising},
		{"two runs of noise", runs(2, 10, 0.2, 0.2, 0.5), TrendUnknown},
	} {
		r, err := StillRising(tt.points)
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict != tt.want || r.Why == "" || r.Inconclusive() != (tt.want != NotRising) {
			t.Errorf("%s: %+v, want %s", tt.name, r, tt.want)
		}
		if r.Seeds > 0 && !(r.Low.Value <= r.Rise.Value && r.Rise.Value <= r.High.Value) {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
	// The order of the points does not matter, and undefined taus are left out.
	points := runs(3, 12, 0, 0.3, 0.1)
	want, _ := StillRising(points)
	slices.Reverse(points)
	points = append(points, TauPoint{Seed: 0, Step: 115, Tau: math.NaN()}, TauPoint{Seed: 9, Step: 120, Tau: 0.1})
	got, err := StillRising(points)
	if err != nil || got.Rise != want.Rise || got.LeftOut != 1 || got.Seeds != 3 {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestStillRisingNumbers(t *testing.T) {
	ref := scipy(t)
	var one []TauPoint
	for i, step := range ref.Theil.Steps {
		one = append(one, TauPoint{Seed: 4, Step: step, Tau: ref.Theil.Taus[i]})
	}
	r, err := StillRising(one)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "Theil-Sen", r.Rise.Value, 50*ref.Theil.Slope, 1e-12)
	if r.From != 50 || r.To != 100 || !strings.Contains(r.Method, "Sen's interval") {
		t.Errorf("%+v", r)
	}
	// Five runs whose slopes are known: 1 to 5 thousandths a step, so Student's interval
	// is 3 -+ t(0.95, 4) sqrt(2.5/5).
	var five []TauPoint
	for k := range 5 {
		five = append(five, line(rng.New(1), int64(k), 11, 0, 0.1*float64(k+1), 0)...)
	}
	if r, err = StillRising(five); err != nil {
		t.Fatal(err)
	}
	half := ref.Student.Quantile * math.Sqrt(2.5/5)
	near(t, "slope", r.Rise.Value/55*1000, 3, 1e-9)
	near(t, "low", r.Low.Value/55*1000, 3-half, 1e-6)
	near(t, "high", r.High.Value/55*1000, 3+half, 1e-6)
}

// Kendall (1970), appendix table 1, and the approximation where it takes over.
func TestExchangedAtMost(t *testing.T) {
	for _, tt := range []struct{ n, want int }{{4, 0}, {5, 1}, {10, 12}} {
		// P(S >= 6) = 1/24 of 4, P(S >= 8) = 5/120 of 5, P(S >= 21) = 0.036 of 10.
		if got := exchangedAtMost(tt.n, 0.05); got != tt.want {
			t.Errorf("of %d: %d, want %d", tt.n, got, tt.want)
		}
	}
	if got, next := exchangedAtMost(60, 0.05), exchangedAtMost(61, 0.05); next <= got || next > got+40 {
		t.Errorf("%d of 60, %d of 61", got, next)
	}
}

// A false verdict that a run rises is as rare as the level says: noise alone, ten runs.
func TestStillRisingLevel(t *testing.T) {
	s := rng.New(11, "test", "level")
	rising := 0
	const trials = 400
	for range trials {
		var points []TauPoint
		for k := range 5 {
			points = append(points, line(s, int64(k), 10, 0.2, 0.2, 0.2)...)
		}
		r, err := StillRising(points)
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict == Rising {
			rising++
		}
	}
	near(t, "share of false alarms", float64(rising)/trials, 0.05, 0.03)
}

func TestStillRisingRefuses(t *testing.T) {
	for want, p := range map[string][]TauPoint{
		"a tau of 2": {{Tau: 2}},
		"step -1":    {{Step: -1}},
		"step NaN":   {{Step: math.NaN()}},
		"two taus":   {{Seed: 1, Step: 3}, {Seed: 1, Step: 3}},
	} {
		if _, err := StillRising(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %q", err, want)
		}
	}
}
