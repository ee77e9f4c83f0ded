package table

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

func open(tb testing.TB) *embedded {
	tb.Helper()
	t, err := openEmbedded()
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func subspace(tb testing.TB, maxVertices int) *space.NASBench {
	tb.Helper()
	s, err := space.NASBench101(maxVertices)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// The facts that were measured on the column by other means.
func TestTableFacts(t *testing.T) {
	tab := open(t)
	column, err := tab.Column(testMetric, subspace(t, 7))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(column)
	n, sum, low := len(column), 0.0, 0
	for _, v := range column {
		sum += v
		if v < .2 {
			low++
		}
	}
	distinct := len(slices.Compact(slices.Clone(column)))
	quantile := func(p float64) float64 { return column[int(p*float64(n))] }
	for _, c := range []struct {
		name            string
		got, want, near float64
	}{
		{"cells", float64(n), 423624, 0},
		{"mean", sum / float64(n), .89680, 5e-6},
		{"median", (column[n/2-1] + column[n/2]) / 2, .90645, 5e-6},
		{"max", column[n-1], .94661, 5e-6},
		{"p90", quantile(.9), .9280, 1e-4},
		{"p95", quantile(.95), .9315, 1e-4},
		{"p99", quantile(.99), .9361, 1e-4},
		{"p99.9", quantile(.999), .9397, 1e-4},
		{"distinct values", float64(distinct), 2904, 0},
		{"cells under 0.2", float64(low), 2673, 0},
	} {
		if math.Abs(c.got-c.want) > c.near {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

// Ranks against the definition, by counting.
func TestAnswerRanks(t *testing.T) {
	tab := open(t)
	whole := subspace(t, 7)
	column, err := tab.Column(testMetric, whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1, 77777, 200000, 423623} {
		a, err := tab.Answer(testMetric, whole.At(i))
		if err != nil {
			t.Fatal(err)
		}
		better, equal := 0, 0
		for _, v := range column {
			if v > column[i] {
				better++
			} else if v == column[i] {
				equal++
			}
		}
		mid := float64(better) + float64(equal+1)/2
		percentile := 100 * (1 - (mid-1)/float64(len(column)))
		if a.Value != column[i] || a.Rank != better+1 || a.Ties != equal || a.MaxRank != better+equal ||
			a.MidRank != mid || a.N != len(column) || a.Percentile != percentile || a.Metric != testMetric {
			t.Errorf("cell %d: %+v; counted %d better, %d equal", i, a, better, equal)
		}
	}
}

func TestColumnOfSubspace(t *testing.T) {
	tab := open(t)
	for v := 2; v <= 5; v++ {
		s := subspace(t, v)
		column, err := tab.Column(testMetric, s)
		if err != nil {
			t.Fatal(err)
		}
		if len(column) != s.Len() {
			t.Fatalf("%s: %d values for %d cells", s, len(column), s.Len())
		}
		for i, got := range column {
			want, err := tab.Value(testMetric, s.At(i))
			if err != nil || got != want {
				t.Fatalf("%s, cell %d: %v, want %v (%v)", s, i, got, want, err)
			}
		}
	}
}

func TestMetric(t *testing.T) {
	tab := open(t)
	m, err := tab.Find(Query{Name: Test})
	if err != nil || m.Epochs != 108 || m.Repeat != 0 || m.String() != "test accuracy, 108 epochs, first repeat" {
		t.Errorf("%v %+v %v", m, m, err)
	}
	for name, want := range map[string]string{"valid": "imported", "tets": `"test"`, strings.Repeat("a", 1e6): `"test"`} {
		if _, err := tab.Find(Query{Name: name}); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("Metric of %d characters: %v", len(name), err)
		}
	}
	if _, err := tab.Value(Metric{Name: "test", Epochs: 36}, subspace(t, 2).At(0)); err == nil {
		t.Error("a column that does not exist was read")
	}
}

func TestOutsideTheTable(t *testing.T) {
	tab := open(t)
	d, err := space.DARTS(4)
	if err != nil {
		t.Fatal(err)
	}
	all, err := space.NewCell([][]int{{0, 1}, {0, 0}}, []string{"begin", "output"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []space.Arch{all, d.Sample(rng.New(1, "table test"))} {
		if _, err := tab.Value(testMetric, a); !errors.Is(err, space.ErrOutside) {
			t.Errorf("%s: %v", a, err)
		}
		if _, err := tab.Answer(testMetric, a); !errors.Is(err, space.ErrOutside) {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestDamagedTable(t *testing.T) {
	s := subspace(t, 7)
	flipped := []byte(testColumn)
	flipped[4711] ^= 1
	for name, column := range map[string]string{"short": testColumn[:100], "flipped": string(flipped)} {
		if _, err := newTable(s, column, EmbeddedDigest); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Opening checks the digest and builds nothing; the best of several tries
// counts, as the machine may be busy.
func TestOpensFast(t *testing.T) {
	best := time.Hour
	for range 20 {
		start := time.Now()
		s := subspace(t, 7)
		tab, err := newTable(s, testColumn, EmbeddedDigest)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tab.Answer(testMetric, s.At(1)); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	if limit := openFactor * 10 * time.Millisecond; best > limit {
		t.Errorf("opening the table and one answer took %v, want under %v", best, limit)
	}
	t.Logf("opened and answered in %v", best)
}

func BenchmarkValueOfFreshCell(b *testing.B) {
	tab := open(b)
	c := subspace(b, 7).At(1234)
	m, err := tab.Find(Query{Name: Test})
	if err != nil {
		b.Fatal(err)
	}
	matrix, ops := c.(*space.Cell).Matrix(), c.(*space.Cell).Ops()
	b.ReportAllocs()
	for b.Loop() {
		c, err := space.NewCell(matrix, ops)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tab.Value(m, c); err != nil {
			b.Fatal(err)
		}
	}
}
