package table

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// folder makes the folder of tables of a test, and forgets what is open.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv(FolderVariable, dir)
	forget()
	t.Cleanup(forget)
	return dir
}

func forget() { ownOpened = sync.Map{} }

var ownColumns = OwnColumns{
	Choices: []string{"depth", "width", "op", "flag"}, Valid: "val", Test: "test", Seconds: "t", Repeat: "seed", Params: "params",
}

func openFixture(t testing.TB, name string) *Own {
	t.Helper()
	own, err := OpenOwn(filepath.Join("testdata", name), name, ownColumns)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// metricOf finds a metric, a repeat of it where one is given.
func metricOf(t testing.TB, tab Table, name string, repeat ...int) Metric {
	t.Helper()
	q := Query{Name: name}
	if len(repeat) > 0 {
		q.Repeat = &repeat[0]
	}
	m, err := tab.Find(q)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The same data give the same table in each format, so searches on them are the same jobs.
// testdata/own.py has written the files: nullable, categorical, boolean and 32-bit columns,
// of which Parquet has dictionaries compressed with Snappy.
func TestFormatsAgree(t *testing.T) {
	folder(t)
	first := openFixture(t, "own.csv")
	for _, name := range []string{"own.jsonl", "own.parquet"} {
		forget()
		if tab := openFixture(t, name); tab.Digest() != first.Digest() {
			t.Errorf("%s: digest %s, of the CSV file %s", name, tab.Digest(), first.Digest())
		}
	}
	want := `choices({"depth": [8, 14, 20], "width": [16, 36], "op": ["conv", "pool"], "flag": [False, True]})`
	if got := first.Space().String(); got != want {
		t.Errorf("the space is %s, not %s", got, want)
	}
}

// Every value against the rows of the CSV file, read here in another way.
func TestOwnValues(t *testing.T) {
	folder(t)
	tab := openFixture(t, "own.parquet")
	if tab.Space().Len() != 24 || tab.Repeats() != 2 {
		t.Fatalf("%d architectures with %d repeats", tab.Space().Len(), tab.Repeats())
	}
	f, err := os.Open("testdata/own.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sums, seconds := map[string]float64{}, map[string]float64{}
	for _, row := range rows[1:] {
		a := fixtureArch(t, tab, row)
		repeat := map[string]int{"777": 0, "888": 1}[row[4]]
		for column, name := range map[int]string{5: Valid, 6: Test} {
			got, err := tab.Value(metricOf(t, tab, name, repeat), a)
			if err != nil || fmt.Sprint(got) != row[column] {
				t.Errorf("%s of %s, repeat %d: %v, the file has %s (%v)", name, a, repeat, got, row[column], err)
			}
		}
		v, err := tab.Value(metricOf(t, tab, Valid, repeat), a)
		if err != nil {
			t.Fatal(err)
		}
		cost, err := tab.Cost(metricOf(t, tab, Valid, repeat), a)
		if err != nil || fmt.Sprint(cost.Seconds) != row[7] || !cost.Timed {
			t.Errorf("%s: cost %+v, the file has %s (%v)", a, cost, row[7], err)
		}
		sums[a.Hash()] += v
		seconds[a.Hash()] += cost.Seconds
		answer, err := tab.Answer(metricOf(t, tab, Test), a)
		if err != nil || fmt.Sprint(answer.Params) != row[8] {
			t.Errorf("%s: %d parameters, the file has %s (%v)", a, answer.Params, row[8], err)
		}
	}
	mean := metricOf(t, tab, Valid)
	for i := range tab.Space().Len() {
		a := tab.Space().At(i)
		v, err := tab.Value(mean, a)
		if err != nil || math.Abs(v-sums[a.Hash()]/2) > 1e-15 {
			t.Errorf("mean of %s: %v, want %v (%v)", a, v, sums[a.Hash()]/2, err)
		}
		if cost, err := tab.Cost(mean, a); err != nil || cost.Seconds != seconds[a.Hash()] {
			t.Errorf("cost of both repeats of %s: %+v, want %v (%v)", a, cost, seconds[a.Hash()], err)
		}
	}
}

func fixtureArch(t *testing.T, tab Table, row []string) space.Arch {
	t.Helper()
	raw := fmt.Sprintf(`{"depth": %s, "width": %s, "op": %q, "flag": %s}`, row[0], row[1], row[2], strings.ToLower(row[3]))
	a, err := tab.Space().Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Ranks against the definition, by counting.
func TestOwnRanks(t *testing.T) {
	folder(t)
	tab := openFixture(t, "own.csv")
	m := metricOf(t, tab, Test, 0)
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
		if err != nil || a.Rank != better+1 || a.Ties != equal || a.MaxRank != better+equal || a.MidRank != mid || a.N != len(column) ||
			a.Percentile != 100*(1-(mid-1)/float64(len(column))) {
			t.Errorf("%d: %+v; counted %d better, %d equal (%v)", i, a, better, equal, err)
		}
	}
}

// A job opens the table by name and digest alone.
func TestOpenKept(t *testing.T) {
	dir := folder(t)
	tab := openFixture(t, "own.csv")
	forget()
	again, err := Open(OwnName, tab.Digest())
	if err != nil {
		t.Fatal(err)
	}
	m := metricOf(t, tab, Test)
	a, err := tab.Column(m, tab.Space())
	if err != nil {
		t.Fatal(err)
	}
	b, err := again.Column(m, again.Space())
	if err != nil || !slices.Equal(a, b) || again.String() != tab.String() {
		t.Errorf("%s is not %s: %v", again, tab, err)
	}
	for _, c := range []struct {
		name   string
		change func(path string) error
	}{
		{"flipped", func(path string) error { return flip(path, -9) }},
		{"header", func(path string) error { return flip(path, 450) }}, // behind the label
		{"short", func(path string) error { return os.Truncate(path, 500) }},
		{"gone", os.Remove},
	} {
		name := c.name
		forget()
		if err := c.change(filepath.Join(dir, tab.Digest()+ownSuffix)); err != nil {
			t.Fatal(err)
		}
		want := "damaged"
		if name == "gone" {
			want = "again in a cell"
		}
		if _, err := Open(OwnName, tab.Digest()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "gone" {
			continue
		}
		if err := os.Remove(filepath.Join(dir, tab.Digest()+ownSuffix)); err != nil {
			t.Fatal(err)
		}
		openFixture(t, "own.csv") // writes it anew
	}
	for _, digest := range []string{"", "abc", strings.Repeat("0", 64)} {
		if _, err := Open(OwnName, digest); err == nil {
			t.Errorf("the digest %q was opened", digest)
		}
	}
	if _, err := Open(NASBench201Name, openFixture(t, "own.csv").Digest()); err == nil {
		t.Error("a table was opened under another name")
	}
}

// flip changes a byte, from the end where at is negative.
func flip(path string, at int) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if at < 0 {
		at += len(content)
	}
	content[at] ^= 1
	return os.WriteFile(path, content, 0o644)
}

// write makes a file of a test.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOwnRefuses(t *testing.T) {
	folder(t)
	plain := OwnColumns{Choices: []string{"a", "b"}, Test: "test"}
	with := func(change func(*OwnColumns)) OwnColumns {
		c := plain
		change(&c)
		return c
	}
	repeats := with(func(c *OwnColumns) { c.Repeat = "seed" })
	epochs := with(func(c *OwnColumns) { c.Epochs = "e" })
	for name, c := range map[string]struct {
		columns OwnColumns
		content string
		want    []string
	}{
		"empty":             {plain, "", []string{"it is empty"}},
		"no rows":           {plain, "a,b,test\n", []string{"no rows"}},
		"column":            {with(func(c *OwnColumns) { c.Test = "tset" }), "a,b,test\n1,2,.5\n", []string{`"tset"`, `mean "test"`}},
		"no such column":    {with(func(c *OwnColumns) { c.Test = "zzzzzzzz" }), "a,b,test\n1,2,.5\n", []string{"the file has a, b, test"}},
		"column twice":      {plain, "a,b,test,a\n1,2,.5,3\n", []string{`two columns are called "a"`}},
		"used twice":        {with(func(c *OwnColumns) { c.Test = "a" }), "a,b\n1,2\n", []string{"both a choice and the test metric"}},
		"no choices":        {OwnColumns{Test: "test"}, "a,test\n1,2\n", []string{"choices is empty"}},
		"no metric":         {OwnColumns{Choices: []string{"a"}}, "a,test\n1,2\n", []string{"no metric"}},
		"twice":             {plain, "a,b,test\n1,2,.5\n2,2,.6\n1,2,.7\n", []string{"line 2 and line 4", "a=1 b=2", "repeat="}},
		"repeat twice":      {repeats, "a,b,test,seed\n1,2,.5,1\n1,2,.6,2\n1,2,.7,1\n", []string{"line 2 and line 4", "in one repeat"}},
		"missing value":     {plain, "a,b,test\n1,2,.5\n2,2,\n", []string{"line 3", `"test" has no value`}},
		"NaN":               {plain, "a,b,test\n1,2,NaN\n", []string{"line 2", `"test" has no value`}},
		"infinite":          {plain, "a,b,test\n1,2,inf\n", []string{"line 2", "not a finite number"}},
		"percent sign":      {plain, "a,b,test\n1,2,93.1%\n", []string{"line 2", `"93.1%"`}},
		"missing choice":    {plain, "a,b,test\n1,,.5\n", []string{"line 2", `"b" has no value`}},
		"NaN among numbers": {plain, "a,b,test\n1,nan,.5\n", []string{"line 2", `"b" has no value`}},
		"fields":            {plain, "a,b,test\n1,2\n", []string{"line 2", "fewer fields"}},
		"quotes":            {plain, "a,b,test\n1,\"2,.5\n", []string{"line"}},
		"ragged epochs":     {epochs, "a,b,test,e\n1,2,.5,4\n1,2,.6,12\n2,2,.5,4\n", []string{"1 of 2 architectures lack", "line 4 has 4 of 4, 12"}},
		"epochs":            {epochs, "a,b,test,e\n1,2,.5,1.5\n", []string{"line 2", "1.5"}},
		"negative seconds":  {with(func(c *OwnColumns) { c.Seconds = "t" }), "a,b,test,t\n1,2,.5,-3\n", []string{"line 2", "-3"}},
		"params differ": {with(func(c *OwnColumns) { c.Repeat, c.Params = "seed", "p" }), "a,b,test,seed,p\n1,2,.5,1,100\n1,2,.5,2,101\n",
			[]string{"line 2 and line 3", "100 and 101"}},
		"gzip":          {plain, "\x1f\x8b\x08\x00", []string{"gzip"}},
		"html":          {plain, "<!DOCTYPE html><html>", []string{"HTML page"}},
		"pickle":        {plain, "\x80\x04\x95", []string{"pickle"}},
		"excel":         {plain, "PK\x03\x04", []string{"ZIP"}},
		"json list":     {plain, `[{"a": 1}]`, []string{"lines=True"}},
		"binary":        {plain, "a,b\x00\x01", []string{"no text"}},
		"json":          {plain, `{"a": 1, "b": 2, "test": 0.5}` + "\n{\"a\": 1,", []string{"line 2", "no JSON object"}},
		"json NaN":      {plain, `{"a": 1, "b": 2, "test": NaN}`, []string{"line 1", "null"}},
		"json text":     {plain, `{"a": 1, "b": 2, "test": "0.5"}`, []string{"line 1", "not a finite number"}},
		"json missing":  {plain, `{"a": 1, "b": 2, "test": 0.5}` + "\n" + `{"a": 2, "test": 0.5}`, []string{"line 2", `"b" has no value`}},
		"json nested":   {plain, `{"a": [1], "b": 2, "test": 0.5}`, []string{"line 1", "a number, a text, true or false"}},
		"parquet":       {plain, "PAR1 and no more", []string{"damaged"}},
		"parquet empty": {plain, "PAR1", []string{"damaged"}},
	} {
		_, err := OpenOwn(write(t, "mine.csv", c.content), "mine.csv", c.columns)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q", name, err, want)
			}
		}
		if len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d characters", name, len(err.Error()))
		}
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none.csv")} {
		if _, err := OpenOwn(path, path, plain); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
}

func TestOwnFind(t *testing.T) {
	folder(t)
	tab := openFixture(t, "own.csv")
	two, one := 2, 1
	for want, q := range map[string]Query{
		"test, valid; did you mean": {Name: "tset"},
		`did you mean "valid"`:      {Name: "validation"},
		"without a column":          {Name: Test, Epochs: 3},
		"ends of the trainings":     {Name: Test, Halfway: true},
		"choose 0 to 1":             {Name: Test, Repeat: &two},
	} {
		if _, err := tab.Find(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", q, err, want)
		}
	}
	if m, err := tab.Find(Query{Name: Test, Repeat: &one}); err != nil || m.Repeat != 1 || m.Free {
		t.Errorf("%+v %v", m, err)
	}
	m := metricOf(t, tab, Test, RepeatDrawn)
	if _, err := tab.Value(m, tab.Space().At(0)); err == nil {
		t.Error("a repeat that is not drawn has a value")
	}
	if r := m.Resolve(tab.Repeats(), rng.New(1, "test")); r.Repeat < 0 || r.Repeat > 1 {
		t.Errorf("drawn repeat %d", r.Repeat)
	}
}

// Uneven repeats: means are over those that there are, a repeat that not all have is not
// there. Values outside 0..1 are taken as they are.
func TestOwnEpochsAndRepeats(t *testing.T) {
	folder(t)
	path := write(t, "mine.csv", "a,test,e,seed,s\nx,40,4,1,2\nx,50,12,1,6\nx,60,12,2,7\ny,10,4,9,3\ny,20,12,9,8\n")
	tab, err := OpenOwn(path, "mine.csv", OwnColumns{Choices: []string{"a"}, Test: "test", Epochs: "e", Repeat: "seed", Seconds: "s"})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range tab.Metrics() {
		texts = append(texts, m.String())
	}
	if got := strings.Join(texts, "; "); got != "test value, 4 epochs, mean of the repeats; test value, 12 epochs, mean of the repeats" {
		t.Error(got)
	}
	m := metricOf(t, tab, Test)
	column, err := tab.Column(m, tab.Space())
	if err != nil || !slices.Equal(column, []float64{55, 20}) {
		t.Errorf("%v %v", column, err)
	}
	cost, err := tab.Cost(m, tab.Space().At(0))
	if err != nil || cost != (Cost{Seconds: 13, Timed: true, Epochs: 24}) {
		t.Errorf("%+v %v", cost, err)
	}
	one := 1
	if _, err := tab.Find(Query{Name: Test, Repeat: &one}); err == nil {
		t.Error("a repeat that one architecture lacks was found")
	}
	if s := strings.Join(tab.Summary(), "\n"); !strings.Contains(s, "percent") || !strings.Contains(s, "1 to 2 of each") {
		t.Error(s)
	}
}

// A table without all combinations is a space of its rows.
func TestOwnRows(t *testing.T) {
	folder(t)
	var b strings.Builder
	b.WriteString("a,b,c,test\n")
	s := rng.New(3, "rows")
	seen := map[string]bool{}
	for len(seen) < 300 {
		key := fmt.Sprintf("%d,%d,%d", s.IntN(20), s.IntN(20), s.IntN(20))
		if !seen[key] {
			seen[key] = true
			fmt.Fprintf(&b, "%s,0.%d\n", key, 100+s.IntN(800))
		}
	}
	tab, err := OpenOwn(write(t, "mine.csv", b.String()), "mine.csv", OwnColumns{Choices: []string{"a", "b", "c"}, Test: "test"})
	if err != nil {
		t.Fatal(err)
	}
	sp, ok := tab.Space().(*space.Rows)
	if !ok || sp.Len() != 300 {
		t.Fatalf("the space is %T of %s", tab.Space(), tab.Space().Size())
	}
	for i := range sp.Len() {
		a := sp.At(i)
		if j, ok := sp.Index(a); !ok || j != i {
			t.Fatalf("row %d is found at %d", i, j)
		}
		checkNeighbours(t, sp, a)
	}
	again, err := space.FromSpec(sp.Spec())
	if err != nil || again.Spec() != sp.Spec() {
		t.Errorf("%v %v", again, err)
	}
	if again, err = space.FromText(sp.String()); err != nil || again.Spec() != sp.Spec() {
		t.Errorf("%v %v", again, err)
	}
	if _, err := sp.Parse([]byte(`{"a": 99, "b": 1, "c": 1}`)); !errors.Is(err, space.ErrOutside) {
		t.Error(err)
	}
}

// checkNeighbours holds the neighbours of a row to the definition.
func checkNeighbours(t *testing.T, sp *space.Rows, a space.Arch) {
	t.Helper()
	want := map[string]bool{}
	mine := a.(*space.ChoiceArch).Values()
	for i := range sp.Len() {
		differ := 0
		for at, v := range sp.At(i).(*space.ChoiceArch).Values() {
			if v != mine[at] {
				differ++
			}
		}
		if differ == 1 {
			want[sp.At(i).Hash()] = true
		}
	}
	got := sp.Neighbours(a)
	for _, n := range got {
		if !want[n.Hash()] {
			t.Errorf("%s is no neighbour of %s", n, a)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s has %d neighbours, not %d", a, len(got), len(want))
	}
	if m := sp.Mutate(a, rng.New(1, a.Hash())); sp.Contains(m) != nil || len(want) > 0 && !want[m.Hash()] {
		t.Errorf("%s mutates to %s", a, m)
	}
}

func TestOneRow(t *testing.T) {
	folder(t)
	tab, err := OpenOwn(write(t, "mine.csv", "a,test\nx,0.5\n"), "mine.csv", OwnColumns{Choices: []string{"a"}, Test: "test"})
	if err != nil {
		t.Fatal(err)
	}
	sp := tab.Space()
	if sp.Len() != 1 || sp.At(0).String() != "a=x" {
		t.Errorf("%s", sp)
	}
	a, err := tab.Answer(metricOf(t, tab, Test), sp.At(0))
	if err != nil || a.Rank != 1 || a.Percentile != 100 {
		t.Errorf("%+v %v", a, err)
	}
}

// A table guides searches of its space and of those with fewer options, in any order.
func TestOwnCovers(t *testing.T) {
	folder(t)
	tab := openFixture(t, "own.csv")
	for text, want := range map[string]bool{
		`choices({"depth": [8, 14, 20], "width": [16, 36], "op": ["conv", "pool"], "flag": [False, True]})`: true,
		`choices({"flag": [True], "depth": [20, 8], "width": [36], "op": ["pool", "conv"]})`:                true,
		`choices({"flag": [True], "depth": [20, 9], "width": [36], "op": ["pool", "conv"]})`:                false,
		`choices({"flag": [True], "depth": [20, 8], "width": [36]})`:                                        false,
		`nasbench101(max_vertices=4)`: false,
	} {
		s, err := space.FromText(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := space.Includes(tab.Space(), s); got != want {
			t.Errorf("%s: %v", text, got)
		}
		if !want {
			continue
		}
		m := metricOf(t, tab, Test)
		column, err := tab.Column(m, s)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range column {
			if v, err := tab.Value(m, s.(space.Finite).At(i)); err != nil || v != got {
				t.Errorf("%s: %v, not %v (%v)", s.(space.Finite).At(i), got, v, err)
			}
		}
	}
}

// A million rows are read in seconds, and the second time without reading them.
func TestMillionRows(t *testing.T) {
	if testing.Short() {
		t.Skip("a file of 30 MB is not at hand in short tests")
	}
	folder(t)
	var b strings.Builder
	b.WriteString("a,b,c,d,e,f,val,test,t\n")
	for i := range 1_000_000 {
		x, sep := i, ""
		for range 6 {
			fmt.Fprintf(&b, "%sv%d", sep, x%10)
			x, sep = x/10, ","
		}
		fmt.Fprintf(&b, ",0.%06d,0.%06d,%d\n", (i*7919)%1_000_000, (i*104729)%1_000_000, i%1000)
	}
	path := write(t, "mine.csv", b.String())
	columns := OwnColumns{Choices: []string{"a", "b", "c", "d", "e", "f"}, Valid: "val", Test: "test", Seconds: "t"}
	for _, what := range []string{"read", "opened again"} {
		start := time.Now()
		tab, err := OpenOwn(path, "mine.csv", columns)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s in %v", what, time.Since(start))
		if tab.Space().Len() != 1_000_000 {
			t.Fatal(tab.Space().Len())
		}
		forget()
	}
}
