package space

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space/internal/nb101"
)

var subspaceSizes = map[int]int{2: 1, 3: 7, 4: 91, 5: 2532, 6: 64542, 7: 423624}

func TestSubspaceSizes(t *testing.T) {
	for v, want := range subspaceSizes {
		n := mustNASBench(t, v)
		if n.Len() != want || n.Size().Int64() != int64(want) {
			t.Errorf("%s has %d cells, want %d", n, n.Len(), want)
		}
		if want := fmt.Sprintf("uniform over the %d unique graphs with at most %d vertices", want, v); n.Measure() != want {
			t.Errorf("%s: %q", n, n.Measure())
		}
	}
	for _, v := range []int{-1, 0, 1, 8} {
		if _, err := NASBench101(v); err == nil || !strings.Contains(err.Error(), "2 to 7") {
			t.Errorf("max_vertices=%d: %v", v, err)
		}
	}
}

func TestAtIndexRoundTrip(t *testing.T) {
	for v := 2; v <= 7; v++ {
		n := mustNASBench(t, v)
		step := 1 + n.Len()/3000
		last := ""
		for i := 0; i < n.Len(); i += step {
			a := n.At(i)
			c := a.(*Cell)
			fresh, err := NewCell(c.Matrix(), c.Ops())
			if err != nil {
				t.Fatal(err)
			}
			if j, ok := n.Index(fresh); !ok || j != i {
				t.Fatalf("%s: cell %d is found at %d, %v", n, i, j, ok)
			}
			if j, ok := n.Index(a); !ok || j != i {
				t.Fatalf("%s: cell %d of At is found at %d, %v", n, i, j, ok)
			}
			if err := n.Contains(a); err != nil {
				t.Fatal(err)
			}
			if a.Hash() <= last {
				t.Fatalf("%s: hash %s behind %s", n, a.Hash(), last)
			}
			last = a.Hash()
			if h, err := n.ByHash(last); err != nil || h.String() != a.String() {
				t.Fatalf("%s: ByHash: %v, %v", n, h, err)
			}
		}
	}
}

// Every labelled graph of up to six vertices has the row of its hash.
func TestEnumeratedGraphsAreInTheSpace(t *testing.T) {
	n := mustNASBench(t, 6)
	seen := make([]bool, n.Len())
	labelled := 0
	nb101.EachLabelled(6, func(g nb101.Graph, _ uint64) {
		c := newCell(g.Rows(nil), g.Ops(nil))
		i, ok := n.Index(c)
		if !ok {
			t.Fatalf("%s is not in %s", c, n)
		}
		if labelled%97 == 0 && n.At(i).Hash() != c.Hash() {
			t.Fatalf("%s has the index of %s", c, n.At(i))
		}
		seen[i] = true
		labelled++
	})
	for i, ok := range seen {
		if !ok {
			t.Errorf("no labelled graph is cell %d", i)
		}
	}
	if labelled != 128509 {
		t.Errorf("%d labelled graphs, want 128,509", labelled)
	}
}

func TestContainsSaysWhyNot(t *testing.T) {
	chain := func(n int, first, last string) *Cell {
		matrix, ops := make([][]int, n), make([]string, n)
		for x := range matrix {
			matrix[x], ops[x] = make([]int, n), "maxpool3x3"
			if x+1 < n {
				matrix[x][x+1] = 1
			}
		}
		ops[0], ops[n-1] = first, last
		c, err := NewCell(matrix, ops)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	full := func(n int) *Cell {
		matrix, ops := make([][]int, n), make([]string, n)
		for x := range matrix {
			matrix[x], ops[x] = make([]int, n), "maxpool3x3"
			for y := x + 1; y < n; y++ {
				matrix[x][y] = 1
			}
		}
		ops[0], ops[n-1] = "input", "output"
		c, err := NewCell(matrix, ops)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	darts, err := DARTS(4)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		max  int
		arch Arch
		want string
	}{
		{7, chain(8, "input", "output"), "8 vertices, nasbench101(max_vertices=7) at most 7"},
		{4, chain(5, "input", "output"), "5 vertices, nasbench101(max_vertices=4) at most 4"},
		{7, full(5), "10 edges, nasbench101 at most 9"},
		{7, chain(4, "start", "output"), `first operation is "start"`},
		{7, chain(4, "input", strings.Repeat("x", 1e5)), `last operation is "xxx`},
		{7, darts.Sample(rng.New(1, "test")), "space darts"},
	} {
		n := mustNASBench(t, c.max)
		err := n.Contains(c.arch)
		if !errors.Is(err, ErrOutside) || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 400 {
			t.Errorf("%v: want %q in it", err, c.want)
		}
		if i, ok := n.Index(c.arch); ok {
			t.Errorf("%s has the index %d", c.arch, i)
		}
	}
	if err := mustNASBench(t, 7).Contains(chain(7, "input", "output")); err != nil {
		t.Error(err)
	}
}

func TestBadSpecifications(t *testing.T) {
	two := []string{"input", "output"}
	big := make([][]int, 1000000)
	for _, c := range []struct {
		name   string
		matrix [][]int
		ops    []string
		want   string
	}{
		{"not square", [][]int{{0, 1}, {0}}, two, "row 1 has 1 entries, there are 2 rows"},
		{"wide", [][]int{{0, 1, 1}, {0, 0, 0}}, two, "row 0 has 3 entries"},
		{"too few operations", [][]int{{0, 1}, {0, 0}}, two[:1], "1 operations for 2 vertices"},
		{"lower triangle", [][]int{{0, 1}, {1, 0}}, two, "from vertex 1 to vertex 0"},
		{"diagonal", [][]int{{1, 1}, {0, 0}}, two, "from vertex 0 to vertex 0"},
		{"an entry of 2", [][]int{{0, 2}, {0, 0}}, two, "2 at row 0, column 1"},
		{"a negative entry", [][]int{{0, -1}, {0, 0}}, two, "-1 at row 0"},
		{"disconnected", [][]int{{0, 0}, {0, 0}}, two, "not connected"},
		{"one vertex", [][]int{{0}}, two[:1], "not connected"},
		{"empty", [][]int{}, nil, "not connected"},
		{"nil", nil, nil, "not connected"},
		{"huge", big, two, "1000000 rows; at most 64"},
		{"unknown operation", [][]int{{0, 1, 0}, {0, 0, 1}, {0, 0, 0}}, []string{"input", "maxpool3", "output"}, `did you mean "maxpool3x3"?`},
		{"short operation", [][]int{{0, 1, 0}, {0, 0, 1}, {0, 0, 0}}, []string{"input", "conv1x1", "output"}, `did you mean "conv1x1-bn-relu"?`},
		{"long operation", [][]int{{0, 1, 0}, {0, 0, 1}, {0, 0, 0}}, []string{"input", strings.Repeat("conv", 1e5), "output"}, "unknown operation"},
	} {
		cell, err := NewCell(c.matrix, c.ops)
		if err == nil || cell != nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 400 {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
		if disconnected := c.want == "not connected"; errors.Is(err, ErrNotConnected) != disconnected || errors.Is(err, ErrOutside) {
			t.Errorf("%s: %v is the wrong kind of error", c.name, err)
		}
	}
}

func TestParseRoundTrip(t *testing.T) {
	n := mustNASBench(t, 7)
	s := rng.New(1, "parse test")
	for range 200 {
		a := n.Sample(s)
		raw, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := n.Parse(raw)
		if err != nil || b.Hash() != a.Hash() || b.Params() != a.Params() {
			t.Fatalf("%s became %v, %v", raw, b, err)
		}
	}
	if _, err := mustNASBench(t, 3).Parse([]byte(`{"matrix":[[0,1,1,0],[0,0,0,1],[0,0,0,1],[0,0,0,0]],"ops":["input","maxpool3x3","maxpool3x3","output"]}`)); !errors.Is(err, ErrOutside) {
		t.Errorf("four vertices in the space of three: %v", err)
	}
	for raw, want := range map[string]string{
		``:                               "not JSON",
		`{`:                              "not JSON",
		`[]`:                             "where a cell should be",
		`{}`:                             `no "matrix" and no "ops"`,
		`{"ops": []}`:                    `no "matrix"`,
		`{"matrix": 3}`:                  `found number in "matrix"`,
		`{"matrix": [[1.5]], "ops": []}`: `found number 1.5 in "matrix"`,
		`{"matrix": [[0]], "ops": [1]}`:  `found number in "ops"`,
		`{"matrix": [` + strings.Repeat("[],", 1e6) + `[]]}`: "at most 131072",
	} {
		if _, err := n.Parse([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("%.40q: %v, want %q in it", raw, err, want)
		}
	}
}

func TestByHashRefuses(t *testing.T) {
	n := mustNASBench(t, 4)
	// A cell of seven vertices, and a hash that nothing has.
	for _, h := range []string{"28cfc7874f6d200472e1a9dcd8650aa0", strings.Repeat("f", 32)} {
		if c, err := n.ByHash(h); !errors.Is(err, ErrOutside) {
			t.Errorf("%s: %v, %v", h, c, err)
		}
	}
	for _, h := range []string{"", "28", strings.Repeat("f", 31), strings.Repeat("g", 32), strings.Repeat("f", 1e6)} {
		if c, err := n.ByHash(h); err == nil || errors.Is(err, ErrOutside) || len(err.Error()) > 200 {
			t.Errorf("%.40q: %v, %v", h, c, err)
		}
	}
}

// Every cell of the smallest spaces is drawn about equally often.
func TestSampleIsUniform(t *testing.T) {
	n := mustNASBench(t, 4)
	s := rng.New(1, "sample test")
	const draws = 91 * 200
	counts := make([]float64, n.Len())
	for range draws {
		i, ok := n.Index(n.Sample(s))
		if !ok {
			t.Fatal("a draw is not in the space")
		}
		counts[i]++
	}
	chi := 0.0
	for _, c := range counts {
		chi += (c - 200) * (c - 200) / 200
	}
	// 90 degrees of freedom: mean 90, standard deviation 13.4; six of them.
	if math.Abs(chi-90) > 6*13.4 {
		t.Errorf("chi-squared %.1f of 90 degrees of freedom", chi)
	}
}

// Accessors may be called from many goroutines: run with -race.
func TestCellIsSafeForConcurrentUse(t *testing.T) {
	n := mustNASBench(t, 7)
	a := n.At(99999).(*Cell)
	c, err := NewCell(a.Matrix(), a.Ops())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if i, ok := n.Index(c); !ok || i != 99999 || c.Hash() != a.Hash() || c.Params() != a.Params() {
				t.Errorf("cell %d, %s", i, c)
			}
		})
	}
	wg.Wait()
}

// Opening builds nothing. The best of several tries counts, as the machine
// may be busy.
func TestOpensFast(t *testing.T) {
	best := time.Hour
	for range 20 {
		start := time.Now()
		index, err := nb101.OpenIndex(indexData)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := index.Row(index.Graph(4711)); !ok {
			t.Fatal("row 4711 is not found")
		}
		best = min(best, time.Since(start))
	}
	if best > 10*time.Millisecond {
		t.Errorf("opening the index took %v, want under 10 ms", best)
	}
}

func TestEnumerateAfresh(t *testing.T) {
	got, err := Enumerate(5)
	if err != nil || got != (Enumeration{Unique: 2532, Labelled: 3364}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Enumerate(9); err == nil {
		t.Error("nine vertices were enumerated")
	}
}

func TestFromSpec(t *testing.T) {
	for v := 2; v <= 7; v++ {
		n := mustNASBench(t, v)
		s, err := FromSpec(n.Spec())
		if err != nil || s.String() != n.String() {
			t.Errorf("%v, %v", s, err)
		}
	}
	d, err := DARTS(5)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := FromSpec(d.Spec()); err != nil || s.String() != d.String() {
		t.Errorf("%v, %v", s, err)
	}
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, "unknown space"},
		{Spec{Name: "nasbench-101"}, `did you mean "nasbench101"?`},
		{Spec{Name: "nasbench101"}, "2 to 7"},
		{Spec{Name: "darts", Nodes: 3}, "nodes=3"},
	} {
		s, err := FromSpec(c.spec)
		if s != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, %v", c.spec, s, err)
		}
	}
}

func FuzzParseCell(f *testing.F) {
	f.Add([]byte(`{"matrix":[[0,1],[0,0]],"ops":["input","output"]}`))
	f.Add([]byte(`{"matrix":[[0,1,1],[0,0,1],[0,0,0]],"ops":["input","conv3x3-bn-relu","output"]}`))
	f.Add([]byte(`{"matrix":[[0,1,0],[0,0,0],[0,0,0]],"ops":["input","?","output"]}`))
	n, err := NASBench101(7)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseCell(raw)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseCell(again)
		if err != nil || d.Hash() != c.Hash() || d.Params() != c.Params() || d.FLOPs() != c.FLOPs() {
			t.Fatalf("%s became %v, %v", again, d, err)
		}
		// What breaks no rule is in the index, and nothing else.
		i, ok := n.Index(c)
		if ok != (n.Contains(c) == nil) || ok && n.At(i).Hash() != c.Hash() {
			t.Fatalf("%s: index %d, %v; %v", again, i, ok, n.Contains(c))
		}
	})
}
