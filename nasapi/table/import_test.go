package table

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table/tabletest"
)

// small is a file of 91 cells with all four budgets.
var small = tabletest.File{MaxVertices: 4, Epochs: []int{4, 12, 36, 108}, Seed: 1}

// tables sets an empty folder of tables up.
func tables(t testing.TB) string {
	dir := t.TempDir()
	t.Setenv(FolderVariable, dir)
	return dir
}

// frames are the records of a file, framed.
func frames(t testing.TB, file tabletest.File) (all [][]byte) {
	t.Helper()
	if err := file.Records(func(r tabletest.Record) error {
		all = append(all, tabletest.Frame(r.Payload()))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func written(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nasbench.tfrecord")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func imported(t testing.TB, file tabletest.File) *Imported {
	t.Helper()
	tab, err := Import(t.Context(), written(t, slices.Concat(frames(t, file)...)), ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestImportKeepsEveryValueToTheBit(t *testing.T) {
	for _, file := range []tabletest.File{
		small,
		{MaxVertices: 5, Epochs: []int{108}, Seed: 2, Single: true},
		{MaxVertices: 2, Epochs: []int{12, 4}, Seed: 3},
	} {
		tables(t)
		tab := imported(t, file)
		next := map[string]int{} // repeats that came, by hash and epochs
		checked := 0
		if err := file.Records(func(r tabletest.Record) error {
			c, err := tab.Space().(*space.NASBench).ByHash(r.Hash)
			if err != nil {
				return err
			}
			repeat := next[fmt.Sprint(r.Hash, r.Epochs)]
			next[fmt.Sprint(r.Hash, r.Epochs)]++
			for point, half := range map[int]bool{1: true, 2: false} {
				e := r.Evaluations[point]
				for name, want := range map[string]float64{Train: e.Train, Valid: e.Valid, Test: e.Test} {
					m := Metric{Name: name, Epochs: r.Epochs, Repeat: repeat, Halfway: half}
					got, err := tab.Value(m, c)
					if err != nil || math.Float64bits(got) != math.Float64bits(want) {
						t.Fatalf("%s of %s: %v, want %v (%v)", m, r.Hash, got, want, err)
					}
					checked++
				}
				epochs := r.Epochs
				if half {
					epochs /= 2
				}
				cost, err := tab.Cost(Metric{Name: Test, Epochs: r.Epochs, Repeat: repeat, Halfway: half}, c)
				if want := (Cost{e.Seconds, true, epochs}); err != nil || cost != want {
					t.Fatalf("%s costs %+v, want %+v (%v)", r.Hash, cost, want, err)
				}
			}
			if params, err := tab.Params(c); err != nil || params != r.Params {
				t.Fatalf("%s has %d parameters, want %d (%v)", r.Hash, params, r.Params, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if want := tab.Space().Len() * len(file.Epochs) * 3 * 2 * 3; checked != want {
			t.Errorf("%d values were checked of %d", checked, want)
		}
	}
}

// Times that single precision holds take four bytes, others eight.
func TestShortestEncoding(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   encoding
	}{
		{[]float64{0, 1, 9361. / 9984}, countDouble},
		{[]float64{0, 1, float64(float32(9361. / 9984))}, countSingle},
		{[]float64{0, .5}, countDouble},
		{[]float64{0, float64(float32(.1))}, singlePrecision},
		{[]float64{1156.85107421875}, singlePrecision},
		{[]float64{.1}, doublePrecision},
		{[]float64{math.Copysign(0, -1)}, singlePrecision},
		{[]float64{math.Nextafter(9361./9984, 0)}, doublePrecision},
	} {
		e := shortest(c.values)
		if e != c.want {
			t.Errorf("%v is kept as %s, want %s", c.values, e, c.want)
		}
		raw := e.encode(nil, c.values)
		for i, v := range c.values {
			if got := e.value(raw, i); math.Float64bits(got) != math.Float64bits(v) {
				t.Errorf("%v comes back from %s as %v", v, e, got)
			}
		}
	}
}

// The store does not depend on the number of cores, or on when it was made.
func TestImportIsReproducible(t *testing.T) {
	path := written(t, slices.Concat(frames(t, small)...))
	var first []byte
	for _, cores := range []int{1, 2, 7} {
		tables(t)
		old := runtime.GOMAXPROCS(cores)
		tab, err := Import(t.Context(), path, ImportOptions{})
		runtime.GOMAXPROCS(old)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(tab.Path())
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		}
		if !bytes.Equal(data, first) {
			t.Errorf("%d cores: another store", cores)
		}
	}
}

// change rewrites the record with a number, from 1.
type change struct {
	name   string
	record int
	edit   func(r *tabletest.Record) []byte // the payload
	want   string
}

func field(name string, set func(r *tabletest.Record), want string) change {
	return change{name, 500, func(r *tabletest.Record) []byte { set(r); return r.Payload() }, want}
}

func replace(name, old, new, want string) change {
	return change{name, 500, func(r *tabletest.Record) []byte {
		p := r.Payload()
		if !bytes.Contains(p, []byte(old)) {
			panic(fmt.Sprintf("%s has no %s", p, old))
		}
		return bytes.Replace(p, []byte(old), []byte(new), 1)
	}, want}
}

var changes = []change{
	replace("not JSON", "[", "(", "not a JSON array"),
	replace("open", "]", "", "not a JSON array"),
	replace("an object", "[", `{"a":[`, "not a JSON array"),
	{"empty", 1, func(*tabletest.Record) []byte { return nil }, "not a JSON array"},
	{"four parts", 1, func(*tabletest.Record) []byte { return []byte(`["a", 108, "b", "c"]`) }, "array of 4"},
	{"null", 1, func(*tabletest.Record) []byte { return []byte(`[null, 108, "b", "c", "d"]`) }, "part 1 of its JSON array is null"},
	{"not text", 1, func(*tabletest.Record) []byte { return []byte(`["a", 108, 7, "c", "d"]`) }, "part 3 of its JSON array is 7"},
	replace("epochs in quotes", ", 36,", `, "36",`, `epochs are "36"`),
	replace("a fraction of epochs", ", 36,", ", 36.0,", "epochs are 36.0"),
	field("unknown epochs", func(r *tabletest.Record) { r.Epochs = 50 }, "epochs are 50"),
	field("short hash", func(r *tabletest.Record) { r.Hash = r.Hash[1:] }, "31 characters"),
	field("hash of letters", func(r *tabletest.Record) { r.Hash = strings.Repeat("g", 32) }, "32 hexadecimal digits"),
	field("another hash", func(r *tabletest.Record) { r.Hash = strings.Repeat("0", 32) }, "its matrix and operations have the hash"),
	field("unknown operation", func(r *tabletest.Record) {
		r.Ops = "input" + strings.Repeat(",conv5x5-bn-relu", strings.Count(r.Ops, ",")-1) + ",output"
	}, "unknown operation"),
	field("an operation less", func(r *tabletest.Record) { r.Ops = "input,output" }, "2 operations for"),
	field("no matrix", func(r *tabletest.Record) { r.Matrix = "" }, "operations for 0 vertices"),
	field("no square", func(r *tabletest.Record) { r.Matrix += "0" }, "no square"),
	field("a matrix of letters", func(r *tabletest.Record) { r.Matrix = "x" + r.Matrix[1:] }, "digits are 0 or 1"),
	field("a NaN", func(r *tabletest.Record) { r.Evaluations[2].Valid = math.NaN() }, "at the end: validation_accuracy is NaN"),
	field("an infinity", func(r *tabletest.Record) { r.Evaluations[1].Train = math.Inf(1) }, "halfway: train_accuracy is +Inf"),
	field("per cent", func(r *tabletest.Record) { r.Evaluations[2].Test *= 100 }, "lies in 0..1"),
	field("a negative accuracy", func(r *tabletest.Record) { r.Evaluations[2].Test = -.1 }, "lies in 0..1"),
	field("a negative time", func(r *tabletest.Record) { r.Evaluations[1].Seconds = -1 }, "training_time is -1"),
	field("time backwards", func(r *tabletest.Record) { r.Evaluations[1].Seconds = 1e9 }, "to its middle"),
	field("no parameters", func(r *tabletest.Record) { r.Params = 0 }, "parameters"),
	field("other parameters", func(r *tabletest.Record) { r.Params++ }, "parameters, and in record"),
}

// Every kind of wrong record is named by its number and its offset.
func TestImportNamesTheWrongRecord(t *testing.T) {
	var records []tabletest.Record
	if err := small.Records(func(r tabletest.Record) error { records = append(records, r); return nil }); err != nil {
		t.Fatal(err)
	}
	whole := frames(t, small)
	for _, c := range changes {
		dir := tables(t)
		at := c.record - 1
		for c.record > 1 && (len(records[at].Matrix) < 9 || records[at].Epochs != 36) {
			at++ // a cell with operations
		}
		r := records[at]
		all := slices.Clone(whole)
		all[at] = tabletest.Frame(c.edit(&r))
		checkRefused(t, c.name, written(t, slices.Concat(all...)), at+1, len(slices.Concat(all[:at]...)), c.want)
		if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 0 {
			t.Errorf("%s: %v are there, %v", c.name, files, err)
		}
	}
}

func checkRefused(t *testing.T, name, path string, number, offset int, want string) {
	t.Helper()
	tab, err := Import(t.Context(), path, ImportOptions{})
	var bad *RecordError
	if !errors.As(err, &bad) || bad.Number != int64(number) || bad.Offset != int64(offset) ||
		!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || len(err.Error()) > 700 {
		t.Errorf("%s: %v, %v; want record %d at byte %d and %q", name, tab, err, number, offset, want)
	}
}

// Flipped bits and cuts at each kind of place.
func TestImportNamesDamage(t *testing.T) {
	all := frames(t, small)
	whole := slices.Concat(all...)
	number := 700
	offset := len(slices.Concat(all[:number-1]...))
	length := len(all[number-1])
	for _, c := range []struct {
		name string
		at   int
		want string
	}{
		{"length", 0, "checksum of its length"}, {"high length", 7, "checksum of its length"}, {"length's checksum", 9, "checksum of its length"},
		{"first of the data", frameHead, "checksum of its data"}, {"middle", length / 2, "checksum of its data"}, {"last of the data", length - 5, "checksum of its data"},
		{"checksum", length - 1, "checksum of its data"},
	} {
		tables(t)
		data := bytes.Clone(whole)
		data[offset+c.at] ^= 1 << (c.at % 8)
		checkRefused(t, c.name, written(t, data), number, offset, c.want)
	}
	for _, cut := range []int{1, 8, frameHead - 1, frameHead, frameHead + 1, length / 2, length - 1} {
		tables(t)
		checkRefused(t, fmt.Sprint("cut at ", cut), written(t, whole[:offset+cut]), number, offset, "cut short")
	}
	huge := tabletest.Frame(make([]byte, maxPayload+1))
	tables(t)
	checkRefused(t, "huge", written(t, slices.Concat(whole[:offset], huge, whole[offset:])), number, offset, "at most 1048576 are read")
}

func TestImportNamesMissingAndSpareRecords(t *testing.T) {
	all := frames(t, small)
	tables(t)
	without := slices.Concat(slices.Concat(all[:300]...), slices.Concat(all[301:]...))
	path := written(t, without)
	if tab, err := Import(t.Context(), path, ImportOptions{}); err == nil || !strings.Contains(err.Error(), "1 times there are fewer") || !strings.Contains(err.Error(), fmt.Sprintf("at byte %d after %d records", len(without), len(all)-1)) {
		t.Errorf("a missing record: %v, %v", tab, err)
	}
	// A whole cell of the largest size; which space it is stays clear.
	if _, err := Import(t.Context(), written(t, slices.Concat(all[12:]...)), ImportOptions{}); err == nil || !strings.Contains(err.Error(), "4 times there are fewer") {
		t.Errorf("a missing cell: %v", err)
	}
	whole := slices.Concat(all...)
	checkRefused(t, "the same again", written(t, slices.Concat(whole, all[7])), len(all)+1, len(whole), "it repeats an earlier record: the second repeat of cell")
	var more []byte
	if err := (tabletest.File{MaxVertices: 4, Epochs: small.Epochs, Seed: 9}).Records(func(r tabletest.Record) error {
		if more == nil {
			more = tabletest.Frame(r.Payload())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	checkRefused(t, "a fourth repeat", written(t, slices.Concat(whole, more)), len(all)+1, len(whole), "one too many")
}

// A hash that is wrong in its last digits only passes the first look.
func TestImportComparesWholeHashes(t *testing.T) {
	var all [][]byte
	wrong := map[int]bool{}
	if err := small.Records(func(r tabletest.Record) error {
		if n := len(all); n >= 24 && n < 36 || n >= 12 && n < 24 {
			last := "0"
			if strings.HasSuffix(r.Hash, last) {
				last = "1"
			}
			r.Hash = r.Hash[:31] + last
			wrong[n] = true
		}
		all = append(all, tabletest.Frame(r.Payload()))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	tables(t)
	checkRefused(t, "in all of its records", written(t, slices.Concat(all...)), 13, len(slices.Concat(all[:12]...)), "its matrix and operations have the hash")
	good := frames(t, small)
	for at := range wrong {
		if at != 17 && at != 24 {
			all[at] = good[at]
		}
	}
	checkRefused(t, "in one of its records", written(t, slices.Concat(all...)), 18, len(slices.Concat(all[:17]...)), "its matrix and operations have the hash")
	all[17] = good[17]
	// The first record of a cell: the next ones show it.
	checkRefused(t, "in the first of its records", written(t, slices.Concat(all...)), 25, len(slices.Concat(all[:24]...)), "its matrix and operations have the hash")
}

// JSON that is not written as Python writes it, and metrics with fields in another order.
func TestImportReadsOtherSpellings(t *testing.T) {
	tables(t)
	want := imported(t, small)
	var all [][]byte
	if err := small.Records(func(r tabletest.Record) error {
		p := r.Payload()
		switch len(all) % 3 {
		case 1:
			p = bytes.ReplaceAll(p, []byte("/"), []byte(`\/`))
		case 2:
			var parts []any
			decoder := json.NewDecoder(bytes.NewReader(p))
			decoder.UseNumber()
			if err := decoder.Decode(&parts); err != nil {
				return err
			}
			parts[0] = strings.ToUpper(parts[0].(string))
			var err error
			if p, err = json.MarshalIndent(parts, " ", "\t"); err != nil {
				return err
			}
		}
		all = append(all, tabletest.Frame(p))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	got, err := Import(t.Context(), written(t, slices.Concat(all...)), ImportOptions{})
	if err != nil || got.Digest() != want.Digest() {
		t.Errorf("%v, %v; want %s", got, err, want.Digest())
	}
}

func TestImportTargets(t *testing.T) {
	dir := tables(t)
	whole := slices.Concat(frames(t, small)...)
	path := written(t, whole)
	store := filepath.Join(t.TempDir(), "mine.table")
	for range 2 { // the second goes over the first
		tab, err := Import(t.Context(), path, ImportOptions{Out: store})
		if err != nil || tab.Path() != store {
			t.Fatalf("%v, %v", tab, err)
		}
	}
	other := written(t, []byte("mine"))
	for out, want := range map[string]string{path: "the file that is imported", dir: "no file", other: "no store of evalnas"} {
		if _, err := Import(t.Context(), path, ImportOptions{Out: out}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("into %s: %v", out, err)
		}
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, whole) {
		t.Errorf("the file was changed: %v", err)
	}
	if data, err := os.ReadFile(other); err != nil || string(data) != "mine" {
		t.Errorf("another file was changed: %v", err)
	}
}

func TestImportEndsWhenAsked(t *testing.T) {
	dir := tables(t)
	ctx, cancel := context.WithCancel(t.Context())
	path := written(t, slices.Concat(frames(t, small)...))
	before := runtime.NumGoroutine()
	_, err := Import(ctx, path, ImportOptions{Progress: func(done, total int64) { cancel() }})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	cancel()
	if _, err := Import(ctx, path, ImportOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, unfinished+"*")); len(files) > 0 {
		t.Errorf("%v are left", files)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
}

func TestImportsAtOnce(t *testing.T) {
	dir := tables(t)
	path := written(t, slices.Concat(frames(t, small)...))
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			tab, err := Import(t.Context(), path, ImportOptions{})
			if err == nil {
				err = tab.Verify()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	stores, err := filepath.Glob(filepath.Join(dir, "*"+storeSuffix))
	if err != nil || len(stores) != 1 {
		t.Errorf("stores %v, %v", stores, err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, unfinished+"*")); len(files) > 0 {
		t.Errorf("%v are left", files)
	}
}

// What a killed writer left is removed once nobody can be writing it.
func TestStaleFilesGo(t *testing.T) {
	dir := tables(t)
	old, fresh := filepath.Join(dir, unfinished+"1"), filepath.Join(dir, unfinished+"2")
	for _, path := range []string{old, fresh} {
		if err := os.WriteFile(path, []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * staleAfter)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	imported(t, tabletest.File{MaxVertices: 3, Epochs: []int{108}})
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old one: %v", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("the fresh one: %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	if err := (tabletest.File{MaxVertices: 3, Epochs: []int{108}}).Records(func(r tabletest.Record) error {
		f.Add(r.Payload())
		return nil
	}); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`["\u0030", 108, null, "", ""]`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		p := newRecordParser()
		var quick, slow record
		err := p.parse(payload, &quick)
		// The scanner and the decoder agree on what both take.
		if fields, ok := scanPayload(payload); ok {
			decoded, bad := decodePayload(payload)
			if bad != nil {
				if err == nil {
					t.Fatalf("%q was read, and is no JSON: %v", payload, bad)
				}
			} else if !bytes.Equal(fields.hash, decoded.hash) || !bytes.Equal(fields.matrix, decoded.matrix) || !bytes.Equal(fields.ops, decoded.ops) ||
				!bytes.Equal(fields.metrics, decoded.metrics) || string(fields.epochs) != string(decoded.epochs) {
				if err == nil {
					t.Fatalf("%q was scanned as %q and decoded as %q", payload, fields, decoded)
				}
			}
		}
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("an error of %d characters", len(err.Error()))
			}
			return
		}
		if err := p.parse(payload, &slow); err != nil || slow.flat() != quick.flat() {
			t.Fatalf("%q is read as %v and as %v, %v", payload, quick, slow, err)
		}
		if int(quick.row) >= p.space.Len() || !p.space.MayHaveHash(int(quick.row), quick.hash) {
			t.Fatalf("row %d", quick.row)
		}
	})
}

func FuzzFrames(f *testing.F) {
	whole := slices.Concat(frames(f, tabletest.File{MaxVertices: 3, Epochs: []int{108}})...)
	f.Add(whole)
	f.Add(whole[:100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		at := int64(0)
		err := eachChunk(t.Context(), bytes.NewReader(data), func(c *chunk) error {
			if c.offset != at || !bytes.Equal(c.data, data[at:at+int64(len(c.data))]) {
				t.Fatalf("a chunk of %d bytes at %d", len(c.data), c.offset)
			}
			at += int64(len(c.data))
			if c.bad != nil {
				return c.bad
			}
			if c.tail != nil {
				return c.tail
			}
			return nil
		})
		if err == nil && at != int64(len(data)) {
			t.Fatalf("%d bytes of %d were read", at, len(data))
		}
	})
}

// Records that cross the borders of chunks, of several sizes.
func TestChunksAreWhole(t *testing.T) {
	s := rng.New(1, "chunk test")
	var data []byte
	var ends []int64
	for range 40 {
		data = append(data, tabletest.Frame(make([]byte, s.IntN(maxPayload+1)))...)
		ends = append(ends, int64(len(data)))
	}
	in := &chunks{in: bytes.NewReader(data)}
	n := 0
	for more := true; more; {
		c := &chunk{}
		var err error
		if more, err = in.next(c); err != nil || c.tail != nil {
			t.Fatal(err, c.tail)
		}
		if c.number != int64(n+1) {
			t.Fatalf("record %d begins a chunk behind %d", c.number, n)
		}
		for n < len(ends) && ends[n] <= c.offset+int64(len(c.data)) {
			n++
		}
		if len(c.data) > 0 && !slices.Contains(ends, c.offset+int64(len(c.data))) {
			t.Fatalf("a chunk ends at %d, inside a record", c.offset+int64(len(c.data)))
		}
	}
	if n != len(ends) {
		t.Errorf("%d records of %d", n, len(ends))
	}
}
