package table

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table/tabletest"
)

// Ranks of repeats, of means, and of columns that are not counted, against the definition.
func TestImportedRanks(t *testing.T) {
	tables(t)
	tab := imported(t, tabletest.File{MaxVertices: 4, Epochs: []int{36, 108}, Seed: 2, Single: true})
	odd := imported(t, tabletest.File{MaxVertices: 4, Epochs: []int{108}, Seed: 3})
	for _, c := range odd.columns { // as if accuracies were no counts
		if c.encoding == countDouble {
			if err := c.load(); err != nil {
				t.Fatal(err)
			}
			values := make([]float64, 91)
			for i := range values {
				values[i] = c.encoding.value(c.raw, i)
			}
			c.encoding, c.raw = doublePrecision, doublePrecision.encode(nil, values)
		}
	}
	for _, tab := range []*Imported{tab, odd} {
		for _, m := range tab.Metrics() {
			for _, m.Repeat = range []int{0, 2, RepeatMean} {
				checkRanks(t, tab, m)
			}
		}
	}
}

func checkRanks(t *testing.T, tab *Imported, m Metric) {
	t.Helper()
	column, err := tab.Column(m, tab.Space())
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range column {
		better, equal := 0, 0
		for _, w := range column {
			if w > v {
				better++
			} else if w == v {
				equal++
			}
		}
		a, err := tab.Answer(m, tab.Space().At(i))
		mid := float64(better) + float64(equal+1)/2
		if err != nil || a.Value != v || a.Rank != better+1 || a.Ties != equal || a.MaxRank != better+equal || a.MidRank != mid || a.N != len(column) ||
			a.Percentile != 100*(1-(mid-1)/float64(len(column))) || a.Metric != m {
			t.Fatalf("%s, cell %d: %+v, %v; counted %d better, %d equal", m, i, a, err, better, equal)
		}
	}
}

func TestImportedMeans(t *testing.T) {
	tables(t)
	tab := imported(t, small)
	for i := range tab.Space().Len() {
		a := tab.Space().At(i)
		for _, m := range tab.Metrics() {
			sum, seconds := 0.0, 0.0
			for m.Repeat = range 3 {
				v, err := tab.Value(m, a)
				if err != nil {
					t.Fatal(err)
				}
				cost, err := tab.Cost(m, a)
				if err != nil {
					t.Fatal(err)
				}
				sum, seconds = sum+math.Round(v*images), seconds+cost.Seconds
			}
			m.Repeat = RepeatMean
			if v, err := tab.Value(m, a); err != nil || v != sum/(3*images) {
				t.Fatalf("%s: %v, want %v (%v)", m, v, sum/(3*images), err)
			}
			epochs := 3 * m.Epochs
			if m.Halfway {
				epochs = 3 * (m.Epochs / 2)
			}
			if cost, err := tab.Cost(m, a); err != nil || math.Abs(cost.Seconds-seconds) > 1e-9 || !cost.Timed || cost.Epochs != epochs {
				t.Fatalf("%s: %+v, want %v s and %d epochs (%v)", m, cost, seconds, epochs, err)
			}
		}
	}
}

func TestImportedFind(t *testing.T) {
	tables(t)
	tab := imported(t, small)
	one, drawn, four := 1, RepeatDrawn, 4
	for _, c := range []struct {
		q    Query
		want Metric
	}{
		{Query{Name: Test}, Metric{Name: Test, Epochs: 108, Repeat: RepeatMean}},
		{Query{Name: Valid, Epochs: 12, Repeat: &one, Halfway: true}, Metric{Name: Valid, Epochs: 12, Repeat: 1, Halfway: true}},
		{Query{Name: Train, Repeat: &drawn}, Metric{Name: Train, Epochs: 108, Repeat: RepeatDrawn}},
	} {
		if m, err := tab.Find(c.q); err != nil || m != c.want {
			t.Errorf("%+v is %+v, %v", c.q, m, err)
		}
	}
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Name: "validation"}, `did you mean "valid"?`},
		{Query{Name: "tets"}, `did you mean "test"?`},
		{Query{Name: strings.Repeat("x", 1e6)}, `unknown metric`},
		{Query{Name: Test, Epochs: 50}, "4, 12, 36 and 108 epochs"},
		{Query{Name: Test, Repeat: &four}, "choose 0 to 2"},
	} {
		if m, err := tab.Find(c.q); err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 300 {
			t.Errorf("%.60q is %+v, %v", c.q.Name, m, err)
		}
	}
	// What has no value says so.
	if v, err := tab.Value(Metric{Name: Test, Epochs: 108, Repeat: RepeatDrawn}, tab.Space().At(0)); err == nil || !strings.Contains(err.Error(), "is no column") {
		t.Errorf("a repeat that was not drawn: %v, %v", v, err)
	}
}

func TestImportedColumns(t *testing.T) {
	tables(t)
	tab := imported(t, tabletest.File{MaxVertices: 5, Epochs: []int{108}, Seed: 6})
	m, err := tab.Find(Query{Name: Valid})
	if err != nil {
		t.Fatal(err)
	}
	for v := 2; v <= 5; v++ {
		s := subspace(t, v)
		column, err := tab.Column(m, s)
		if err != nil || len(column) != s.Len() {
			t.Fatalf("%s: %d values, %v", s, len(column), err)
		}
		for i, got := range column {
			if want, err := tab.Value(m, s.At(i)); err != nil || got != want {
				t.Fatalf("%s, cell %d: %v, want %v (%v)", s, i, got, want, err)
			}
		}
	}
	if _, err := tab.Column(m, subspace(t, 6)); err == nil || !strings.Contains(err.Error(), "nasbench101(max_vertices=5)") {
		t.Errorf("a larger space: %v", err)
	}
	d, err := space.DARTS(4)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []space.Arch{subspace(t, 7).At(5), d.Sample(rng.New(1, "table test"))} {
		_, err1 := tab.Value(m, a)
		_, err2 := tab.Answer(m, a)
		_, err3 := tab.Cost(m, a)
		_, err4 := tab.Params(a)
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, space.ErrOutside) {
				t.Errorf("%s: %v", a, err)
			}
		}
	}
}

// An account charges what the reference's API charges.
func TestAccount(t *testing.T) {
	tables(t)
	tab := imported(t, small)
	drawn := RepeatDrawn
	a := NewAccount(tab, 7)
	outside := subspace(t, 7).At(5)
	if look, err := a.Query(outside, Query{Repeat: &drawn}); !errors.Is(err, space.ErrOutside) || a.Spent() != (Spent{}) {
		t.Errorf("%+v, %v, charged %+v", look, err, a.Spent())
	}
	if look, err := a.Query(tab.Space().At(1), Query{Repeat: &drawn, Epochs: 5}); err == nil || a.Spent() != (Spent{}) {
		t.Errorf("%+v, %v, charged %+v", look, err, a.Spent())
	}
	var want Spent
	seen := map[int]int{}
	for i := range 300 {
		half := i%3 == 0
		look, err := a.Query(tab.Space().At(i%91), Query{Epochs: 36, Repeat: &drawn, Halfway: half})
		if err != nil || len(look.Answers) != 3 {
			t.Fatal(look, err)
		}
		repeat := look.Answers[0].Metric.Repeat
		seen[repeat]++
		for _, answer := range look.Answers {
			m := Metric{Name: answer.Metric.Name, Epochs: 36, Repeat: repeat, Halfway: half}
			v, err := tab.Value(m, tab.Space().At(i%91))
			if err != nil || answer.Metric != m || answer.Value != v {
				t.Fatalf("%+v, want %v of %+v (%v)", answer, v, m, err)
			}
		}
		cost, err := tab.Cost(look.Answers[0].Metric, tab.Space().At(i%91))
		if err != nil || cost != look.Cost {
			t.Fatalf("%+v, want %+v (%v)", look.Cost, cost, err)
		}
		want.Queries, want.Seconds, want.Epochs = want.Queries+1, want.Seconds+cost.Seconds, want.Epochs+cost.Epochs
	}
	if a.Spent() != want || want.Epochs != 200*36+100*18 {
		t.Errorf("charged %+v, want %+v", a.Spent(), want)
	}
	// 300 draws of three: 100 each, standard deviation 8.2.
	for repeat := range 3 {
		if seen[repeat] < 60 || seen[repeat] > 140 {
			t.Errorf("repeat %d was drawn %d times of 300", repeat, seen[repeat])
		}
	}
	a.Reset()
	if a.Spent() != (Spent{}) {
		t.Errorf("%+v after a reset", a.Spent())
	}
}

// The same seed and order give the same repeats, and what is refused draws nothing.
func TestAccountIsReproducible(t *testing.T) {
	tables(t)
	tab := imported(t, small)
	drawn := RepeatDrawn
	one, two, other := NewAccount(tab, 7), NewAccount(tab, 7), NewAccount(tab, 8)
	same := true
	for i := range 91 {
		if _, err := two.Query(subspace(t, 7).At(5), Query{Repeat: &drawn}); err == nil {
			t.Fatal("a cell outside was found")
		}
		var got [3]Look
		for k, a := range []*Account{one, two, other} {
			var err error
			if got[k], err = a.Query(tab.Space().At(i), Query{Repeat: &drawn}); err != nil {
				t.Fatal(err)
			}
		}
		if got[0].Answers[0] != got[1].Answers[0] {
			t.Fatalf("%+v and %+v", got[0], got[1])
		}
		same = same && got[0].Answers[0] == got[2].Answers[0]
	}
	if same {
		t.Error("another seed draws the same repeats")
	}
}

// Of the embedded table a look has its one metric.
func TestLookUpEmbedded(t *testing.T) {
	tab := open(t)
	look, err := LookUp(tab, tab.Space().At(3), Query{}, Draws(1))
	answer, ok := look.Of(Test)
	if err != nil || !ok || len(look.Answers) != 1 || answer.Value != tab.value(3) || look.Cost.Timed || look.Cost.Epochs != 108 {
		t.Errorf("%+v, %v", look, err)
	}
	if _, ok := look.Of(Valid); ok {
		t.Error("the embedded table has a validation accuracy")
	}
}

// Opening reads the header alone, and an answer reads a few columns.
func TestStoreOpensFast(t *testing.T) {
	tables(t)
	path := imported(t, tabletest.File{MaxVertices: 5, Epochs: []int{4, 12, 36, 108}, Seed: 6}).Path()
	best := time.Hour
	for range 20 {
		start := time.Now()
		tab, err := OpenStore(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := tab.Find(Query{Name: Test})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tab.Answer(m, tab.Space().At(1)); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	if limit := openFactor * 20 * time.Millisecond; best > limit {
		t.Errorf("opening the store and one answer took %v, want under %v", best, limit)
	}
	t.Logf("opened and answered in %v", best)
}

func BenchmarkImportedValue(b *testing.B) {
	tables(b)
	tab := imported(b, tabletest.File{MaxVertices: 5, Epochs: []int{108}, Seed: 6})
	m, err := tab.Find(Query{Name: Valid})
	if err != nil {
		b.Fatal(err)
	}
	cells := make([]space.Arch, tab.Space().Len())
	for i := range cells {
		cells[i] = tab.Space().At(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := tab.Value(m, cells[i%len(cells)]); err != nil {
			b.Fatal(err)
		}
	}
}
