package data

import (
	"bytes"
	"path/filepath"
	"testing"
)

// fakeIDX are the four files of a set of 6 + 2 images of 3x4.
func fakeIDX() map[string][]byte {
	pixels := make([]byte, 8*12)
	for i := range pixels {
		pixels[i] = byte(i * 5)
	}
	return map[string][]byte{
		idxNames[0]: idxFile(pixels[:72], 6, 3, 4),
		idxNames[1]: idxFile([]byte{0, 1, 2, 0, 1, 2}, 6),
		idxNames[2]: idxFile(pixels[72:], 2, 3, 4),
		idxNames[3]: idxFile([]byte{2, 1}, 2),
	}
}

func TestIDXPackedAndUnpackedAreOneSet(t *testing.T) {
	plain, gz := t.TempDir(), t.TempDir()
	files := fakeIDX()
	for name, content := range files {
		writeFile(t, filepath.Join(plain, name), content)
		writeFile(t, filepath.Join(gz, name+".gz"), gzipped(t, content))
	}
	s := mustRead(t, plain, ImportOptions{Name: "tiny"})
	if s.String() != "tiny: 6 + 2 images of 3x4x1 in 3 classes" {
		t.Errorf("the set is %s", s)
	}
	if !bytes.Equal(s.Image(7), files[idxNames[2]][16+12:]) || s.Labels[6] != 2 {
		t.Errorf("the last image is %v, the label of the first test image %d", s.Image(7), s.Labels[6])
	}
	if other := mustRead(t, gz, ImportOptions{Name: "tiny"}); other.Digest != s.Digest {
		t.Error("packed files give another digest")
	}
	writeFile(t, filepath.Join(gz, idxNames[0]), files[idxNames[0]]) // packed beside unpacked
	mustRead(t, gz, ImportOptions{Name: "tiny"})
	_, err := Read(t.Context(), plain, ImportOptions{Name: "mnist"})
	wantError(t, err, "it has 6 + 2 images", "MNIST", "60000 + 10000")
}

func TestIDXThatIsDamaged(t *testing.T) {
	read := func(change func(map[string][]byte)) error {
		dir := t.TempDir()
		files := fakeIDX()
		change(files)
		for name, content := range files {
			writeFile(t, filepath.Join(dir, name), content)
		}
		_, err := Read(t.Context(), dir, ImportOptions{Name: "tiny"})
		return err
	}
	if err := read(func(map[string][]byte) {}); err != nil {
		t.Fatal(err)
	}
	for name, content := range fakeIDX() {
		for cut := range content {
			if err := read(func(f map[string][]byte) { f[name] = content[:cut] }); err == nil {
				t.Fatalf("%s cut after %d of %d bytes was accepted", name, cut, len(content))
			}
		}
	}
	wantError(t, read(func(f map[string][]byte) { f[idxNames[0]] = f[idxNames[0]][:16+30] }), idxNames[0], "cut short", "30 bytes of the 72", "image 2")
	wantError(t, read(func(f map[string][]byte) { f[idxNames[0]] = append(f[idxNames[0]], 0) }), "more than the 72 bytes")
	wantError(t, read(func(f map[string][]byte) { f[idxNames[0]][2] = 0x0d }), "idx file of bytes begins with 00 00 08")
	wantError(t, read(func(f map[string][]byte) { f[idxNames[1]] = idxFile([]byte{1}, 1) }), "6 images", "1 labels")
	wantError(t, read(func(f map[string][]byte) { f[idxNames[2]] = idxFile(make([]byte, 24), 2, 4, 3) }), "3x4", "4x3", "one size")
	wantError(t, read(func(f map[string][]byte) { f[idxNames[2]] = idxFile(make([]byte, 24), 24) }), "dimensions")
	wantError(t, read(func(f map[string][]byte) { f[idxNames[0]] = idxFile(nil, 0, 3, 4) }), "dimensions")
	wantError(t, read(func(f map[string][]byte) { f[idxNames[0]] = idxFile(nil, 1<<30, 1<<30, 1<<30) }), "dimensions")
	wantError(t, read(func(f map[string][]byte) { delete(f, idxNames[3]) }), idxNames[3], "missing")
	wantError(t, read(func(f map[string][]byte) { f["b-"+idxNames[0]] = f[idxNames[0]] }), "give a folder with one set")
}

func FuzzIDX(f *testing.F) {
	for _, content := range fakeIDX() {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := readIDX(bytes.NewReader(content))
		if err != nil {
			return
		}
		n := 1
		for _, d := range a.dims {
			n *= d
		}
		if n != len(a.data) || !bytes.Equal(idxFile(a.data, a.dims...), content) {
			t.Errorf("%v and %d bytes were read from % x", a.dims, len(a.data), content)
		}
	})
}
