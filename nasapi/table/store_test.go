package table

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/table/tabletest"
)

func TestStoreDamageIsFound(t *testing.T) {
	tables(t)
	tab := imported(t, tabletest.File{MaxVertices: 3, Epochs: []int{108}, Seed: 4})
	data, err := os.ReadFile(tab.Path())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "damaged.table")
	check := func(damaged []byte) error {
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := OpenStore(path)
		if err == nil {
			err = s.Verify()
		}
		return err
	}
	if err := check(data); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data); at += damageStep(at, len(data)) {
		damaged := bytes.Clone(data)
		damaged[at] ^= 1 << (at % 8)
		err := check(damaged)
		var bad *DamageError
		if at < len(storeMagic) {
			if err == nil {
				t.Fatalf("byte %d of the magic was changed, and it opens", at)
			}
			continue
		}
		if !errors.As(err, &bad) || bad.Path != path {
			t.Fatalf("byte %d of %d was changed: %v", at, len(data), err)
		}
	}
	for size := 0; size < len(data); size += damageStep(size, len(data)) {
		if err := check(data[:size]); err == nil {
			t.Fatalf("%d bytes of %d open", size, len(data))
		}
	}
	if err := check(append(bytes.Clone(data), 0)); err == nil {
		t.Error("a byte more opens")
	}
	if err := check([]byte(strings.Replace(string(data), storeMagic, "evalnas table 2\n", 1))); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("another version: %v", err)
	}
}

// damageStep goes through both ends of a file byte by byte, and through the rest in steps
// that no column's width divides.
func damageStep(at, size int) int {
	if at < 64 || at >= size-128 {
		return 1
	}
	return 41
}

// A value of a damaged column is never given, and the others still are.
func TestDamagedColumnIsRefused(t *testing.T) {
	tables(t)
	tab := imported(t, small)
	data, err := os.ReadFile(tab.Path())
	if err != nil {
		t.Fatal(err)
	}
	data[len(storeMagic)] ^= 1 // the first column: training accuracy, 4 epochs, halfway, first repeat
	if err := os.WriteFile(tab.Path(), data, 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := OpenStore(tab.Path())
	if err != nil {
		t.Fatal(err)
	}
	cell := again.Space().At(90) // not the changed one
	var bad *DamageError
	for _, m := range []Metric{{Name: Train, Epochs: 4, Halfway: true}, {Name: Train, Epochs: 4, Halfway: true, Repeat: RepeatMean}} {
		if v, err := again.Value(m, cell); !errors.As(err, &bad) || !strings.Contains(err.Error(), "import") {
			t.Errorf("%s: %v, %v", m, v, err)
		}
	}
	if _, err := again.Value(Metric{Name: Valid, Epochs: 4, Halfway: true}, cell); err != nil {
		t.Error(err)
	}
}

// sealed makes a store's end of a header.
func sealed(columns []byte, header []byte) []byte {
	sum := sha256.Sum256(header)
	out := slices.Concat([]byte(storeMagic), columns, header, sum[:])
	return append(binary.LittleEndian.AppendUint64(out, uint64(len(header))), storeMagic...)
}

// storeParts takes a store to pieces.
func storeParts(tb testing.TB, path string) (columns []byte, h storeHeader) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	length := int(binary.LittleEndian.Uint64(data[len(data)-len(storeMagic)-8:]))
	end := len(data) - storeTail
	if err := json.Unmarshal(data[end-length:end], &h); err != nil {
		tb.Fatal(err)
	}
	return data[len(storeMagic) : end-length], h
}

// Headers that lie about what a store holds.
func TestStoreHeaderIsChecked(t *testing.T) {
	tables(t)
	tab := imported(t, tabletest.File{MaxVertices: 3, Epochs: []int{108}, Seed: 4})
	columns, _ := storeParts(t, tab.Path())
	path := filepath.Join(t.TempDir(), "lie.table")
	for name, lie := range map[string]func(h *storeHeader){
		"":            func(h *storeHeader) {},
		"table":       func(h *storeHeader) { h.Table = "nasbench201" },
		"vertices":    func(h *storeHeader) { h.MaxVertices = 8 },
		"fewer":       func(h *storeHeader) { h.MaxVertices = 2 },
		"cells":       func(h *storeHeader) { h.Cells = 6 },
		"repeats":     func(h *storeHeader) { h.Repeats = 2 },
		"no epochs":   func(h *storeHeader) { h.Epochs = nil },
		"epochs":      func(h *storeHeader) { h.Epochs = []int{107} },
		"twice":       func(h *storeHeader) { h.Epochs = []int{108, 108} },
		"no column":   func(h *storeHeader) { h.Columns = h.Columns[1:] },
		"order":       func(h *storeHeader) { h.Columns[0], h.Columns[1] = h.Columns[1], h.Columns[0] },
		"encoding":    func(h *storeHeader) { h.Columns[0].Encoding = "float16" },
		"width":       func(h *storeHeader) { h.Columns[0].Encoding = doublePrecision },
		"params kind": func(h *storeHeader) { h.Columns[len(h.Columns)-1].Encoding = singlePrecision },
	} {
		_, h := storeParts(t, tab.Path())
		lie(&h)
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, sealed(columns, text), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := OpenStore(path)
		if name == "" {
			if err != nil || s.Digest() != tab.Digest() {
				t.Errorf("the true header: %v", err)
			}
			continue
		}
		if bad := (*DamageError)(nil); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzStore(f *testing.F) {
	tables(f)
	tab := imported(f, tabletest.File{MaxVertices: 2, Epochs: []int{108}, Seed: 4})
	columns, h := storeParts(f, tab.Path())
	text, err := json.Marshal(h)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(columns, text)
	f.Add([]byte{}, []byte("{}"))
	f.Fuzz(func(t *testing.T, columns, header []byte) {
		data := sealed(columns, header)
		h, digest, err := readHeader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "fuzz.table")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		tab, err := newImported(path, digest, h)
		if err != nil {
			t.Fatalf("a header that was checked: %v", err)
		}
		if tab.Verify() != nil {
			return
		}
		for _, m := range tab.Metrics() {
			if _, err := tab.Answer(m, tab.Space().At(0)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestOpenFile(t *testing.T) {
	dir := tables(t)
	data := slices.Concat(frames(t, small)...)
	path := written(t, data)
	forget := func() { opened.Clear() }
	imports := 0
	o := ImportOptions{Progress: func(done, total int64) {
		if done == total {
			imports++
		}
	}}
	first, err := OpenFile(t.Context(), path, o)
	if err != nil || imports != 1 || filepath.Dir(first.Path()) != dir {
		t.Fatalf("%v, %v, %d imports", first, err, imports)
	}
	for name, given := range map[string]string{"again": path, "the store": first.Path(), "its digest": first.Digest(), "its first digits": first.Digest()[:shortDigest]} {
		forget()
		if again, err := OpenFile(t.Context(), given, o); err != nil || imports != 1 || again.Digest() != first.Digest() {
			t.Errorf("%s: %v, %v, %d imports", name, again, err, imports)
		}
	}
	// A file that changed is imported again, one whose store is gone too.
	if err := os.WriteFile(path, slices.Concat(frames(t, tabletest.File{MaxVertices: 4, Epochs: small.Epochs, Seed: 5})...), 0o644); err != nil {
		t.Fatal(err)
	}
	second, err := OpenFile(t.Context(), path, o)
	if err != nil || imports != 2 || second.Digest() == first.Digest() {
		t.Errorf("%v, %v, %d imports", second, err, imports)
	}
	forget()
	if err := os.Remove(second.Path()); err != nil {
		t.Fatal(err)
	}
	if third, err := OpenFile(t.Context(), path, o); err != nil || imports != 3 || third.Digest() != second.Digest() {
		t.Errorf("%v, %v, %d imports", third, err, imports)
	}
	if _, err := OpenFile(t.Context(), filepath.Join(dir, "none"), o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A job knows a name and a digest; the store may lie anywhere.
func TestOpenByDigest(t *testing.T) {
	dir := tables(t)
	store := filepath.Join(t.TempDir(), "mine.table")
	tab, err := Import(t.Context(), written(t, slices.Concat(frames(t, small)...)), ImportOptions{Out: store})
	if err != nil {
		t.Fatal(err)
	}
	opened.Clear()
	again, err := Open(NASBench101Name, tab.Digest())
	if err != nil || again.Digest() != tab.Digest() {
		t.Fatalf("%v, %v", again, err)
	}
	var missing *MissingError
	for name, lose := range map[string]func() error{
		"no folder": func() error { t.Setenv(FolderVariable, filepath.Join(dir, "none")); return nil },
		"no store":  func() error { t.Setenv(FolderVariable, dir); return os.Remove(store) },
	} {
		opened.Clear()
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		if tab, err := Open(NASBench101Name, tab.Digest()); tab != nil || !errors.As(err, &missing) || !strings.Contains(err.Error(), "evalnas nasbench import FILE") {
			t.Errorf("%s: %v, %v", name, tab, err)
		}
	}
	// The embedded table needs no folder.
	if tab, err := Open(NASBench101Name, EmbeddedDigest); err != nil || tab.Repeats() != 1 {
		t.Errorf("%v, %v", tab, err)
	}
}

// Another store under the path that is remembered is not taken for the one that was.
func TestOpenByDigestOfAnotherStore(t *testing.T) {
	tables(t)
	store := filepath.Join(t.TempDir(), "mine.table")
	tab, err := Import(t.Context(), written(t, slices.Concat(frames(t, small)...)), ImportOptions{Out: store})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), written(t, slices.Concat(frames(t, tabletest.File{MaxVertices: 3, Epochs: []int{4}})...)), ImportOptions{Out: store}); err != nil {
		t.Fatal(err)
	}
	opened.Clear()
	if again, err := Open(NASBench101Name, tab.Digest()); err == nil || !strings.Contains(err.Error(), "holds the table") {
		t.Errorf("%v, %v", again, err)
	}
}

func TestOtherFormatsAreNamed(t *testing.T) {
	tables(t)
	dir := t.TempDir()
	gzipped := func(data []byte) []byte {
		cmd := exec.Command("gzip", "-c")
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.Output()
		if err != nil {
			t.Skip("gzip is not at hand")
		}
		return out
	}
	tarball := func(name string) []byte {
		header := make([]byte, 1024)
		copy(header, name)
		copy(header[257:], "ustar")
		return header
	}
	whole := slices.Concat(frames(t, small)...)
	tab := imported(t, small)
	store, err := os.ReadFile(tab.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "empty"},
		{"gzip", gzipped(whole), "gunzip"},
		{"gzip of text", gzipped([]byte("hello")), "what is in it is none"},
		{"half a gzip", gzipped(whole)[:5], "damaged gzip"},
		{"tar of CIFAR", tarball("cifar-10-batches-bin/"), "CIFAR"},
		{"tar", tarball("other"), "a tar archive"},
		{"CIFAR batch", make([]byte, 30730000), "CIFAR"},
		{"page", []byte("\n<!DOCTYPE html><html><title>404"), "web page"},
		{"XML page", []byte("<?xml version='1.0'?><Error><Code>AccessDenied"), "web page"},
		{"pickle", []byte("\x80\x04\x95aaaaaaaaaaaaaaaaa"), "pickle"},
		{"zip", []byte("PK\x03\x04aaaaaaaaaaaaaaaaaaa"), "zip"},
		{"JSON", []byte(`{"a": 1, "b": [2, 3, 4, 5]}`), "JSON"},
		{"Parquet", []byte("PAR1aaaaaaaaaaaaaaaaaaaaaa"), "Parquet"},
		{"NumPy", []byte("\x93NUMPYaaaaaaaaaaaaaaaaaaaaaa"), "NumPy"},
		{"text", []byte("hash,params\nabc,3\n"), "no file of NASBench-101"},
		{"a byte", []byte("x"), "no file of NASBench-101"},
		{"store", store, "a store already"},
		{"other records", tabletest.Frame([]byte("\x0a\x05image")), "record 1 at byte 0"},
	} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		if tab, err := Import(t.Context(), path, ImportOptions{}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", c.name, tab, err)
		}
		if c.name == "store" {
			continue
		}
		if tab, err := OpenFile(t.Context(), path, ImportOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("opening %s: %v, %v", c.name, tab, err)
		}
	}
	for _, open := range []func() (*Imported, error){
		func() (*Imported, error) { return Import(t.Context(), dir, ImportOptions{}) },
		func() (*Imported, error) { return OpenFile(t.Context(), dir, ImportOptions{}) },
	} {
		if tab, err := open(); err == nil || !strings.Contains(err.Error(), "folder") {
			t.Errorf("a folder: %v, %v", tab, err)
		}
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("this user (root) may write anywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Setenv(FolderVariable, filepath.Join(dir, "tables"))
	if _, err := Import(t.Context(), written(t, slices.Concat(frames(t, small)...)), ImportOptions{}); err == nil || !strings.Contains(err.Error(), FolderVariable) {
		t.Errorf("%v", err)
	}
}
