package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// TestNumPysOwnFiles reads what NumPy 2 wrote: random images of 7 x 5x6x3, as
// bytes; as half floats of 0 to 1; channels first as big-endian floats in
// Fortran's order and as 64-bit integers. All are the same images.
func TestNumPysOwnFiles(t *testing.T) {
	var notes []string
	o := ImportOptions{Events: Events{Note: func(text string) { notes = append(notes, text) }}}
	a := mustRead(t, "testdata/numpy.npz", o)
	if a.Name != "numpy" || a.Shape != (Shape{TrainN: 7, TestN: 4, H: 5, W: 6, C: 3, Classes: 3}) {
		t.Fatalf("the set is %s", a)
	}
	if !bytes.Equal(a.Pixels[:4*90], a.Pixels[7*90:]) {
		t.Error("half floats give other pixels than bytes")
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "x_test was rounded to 256 levels, by at most 0.06") {
		t.Errorf("the notes are %q", notes)
	}
	b := mustRead(t, "testdata/numpy_layouts.npz", ImportOptions{})
	if b.Shape != (Shape{TrainN: 7, TestN: 7, H: 5, W: 6, C: 3, Classes: 3}) {
		t.Fatalf("the set is %s", b)
	}
	for part, pixels := range [][]byte{b.Pixels[:7*90], b.Pixels[7*90:]} {
		if !bytes.Equal(a.Pixels[:7*90], pixels) {
			t.Errorf("part %d has other pixels in another layout", part)
		}
	}
	if !strings.Contains(b.Source, "channels before its rows") {
		t.Errorf("the source is %q", b.Source)
	}
	for i := range 14 {
		if int(b.Labels[i]) != i%7%3 {
			t.Errorf("label %d is %d", i, b.Labels[i])
		}
	}
}

func TestNPZWithoutTestPartIsDivided(t *testing.T) {
	pixels := make([]byte, 40*6)
	labels := make([]byte, 40)
	for i := range labels {
		labels[i] = byte(i / 10) // sorted by class
		pixels[6*i] = byte(i)
	}
	content := npzFile(t, map[string][]byte{"images": npyFile("|u1", pixels, 40, 2, 3), "labels": npyFile("|u1", labels, 40)})
	path := writeFile(t, filepath.Join(t.TempDir(), "My data.npz"), content)
	s := mustRead(t, path, ImportOptions{TestShare: 0.25, Seed: 3})
	if s.Name != "my-data" || s.TrainN != 30 || s.TestN != 10 || s.C != 1 {
		t.Fatalf("the set is %s", s)
	}
	seen := map[byte]bool{}
	for i := range s.N() {
		number := s.Image(i)[0]
		seen[number] = true
		if int(s.Labels[i]) != int(number)/10 {
			t.Errorf("image %d came with the label %d", number, s.Labels[i])
		}
	}
	if len(seen) != 40 {
		t.Errorf("%d different images of 40", len(seen))
	}
	if !strings.Contains(s.Source, "10 of 40 images, drawn by seed 3") {
		t.Errorf("the source is %q", s.Source)
	}
	if mustRead(t, path, ImportOptions{TestShare: 0.25, Seed: 3}).Digest != s.Digest {
		t.Error("one seed gives two sets")
	}
	if mustRead(t, path, ImportOptions{TestShare: 0.25, Seed: 4}).Digest == s.Digest {
		t.Error("two seeds give one set")
	}
	if got := mustRead(t, path, ImportOptions{}); got.TestN != 4 {
		t.Errorf("by default %d images of 40 are held back", got.TestN)
	}
}

func floats32(v ...float32) []byte {
	var b []byte
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

func TestFloatScales(t *testing.T) {
	for _, c := range []struct {
		values []float32
		want   []byte
	}{
		{[]float32{0, 1, 0.5, 1. / 255}, []byte{0, 255, 128, 1}}, // 127.5 goes to the even one
		{[]float32{0, 255, 127, 1}, []byte{0, 255, 127, 1}},
	} {
		arrays := map[string][]byte{"x": npyFile("<f4", floats32(c.values...), 2, 1, 2), "y": npyFile("|u1", []byte{0, 1}, 2)}
		s := mustRead(t, writeFile(t, filepath.Join(t.TempDir(), "f.npz"), npzFile(t, arrays)), ImportOptions{TestShare: 0.5})
		got := map[byte]bool{}
		for _, p := range s.Pixels {
			got[p] = true
		}
		for _, p := range c.want {
			if !got[p] {
				t.Errorf("%v became %v, want %v in some order", c.values, s.Pixels, c.want)
			}
		}
	}
}

func TestNPZThatCannotBeRead(t *testing.T) {
	good := func() map[string][]byte {
		return map[string][]byte{
			"x_train": npyFile("|u1", make([]byte, 4*6), 4, 2, 3), "y_train": npyFile("|u1", []byte{0, 1, 0, 1}, 4),
			"x_test": npyFile("|u1", make([]byte, 2*6), 2, 2, 3), "y_test": npyFile("|u1", []byte{0, 1}, 2),
		}
	}
	read := func(o ImportOptions, change func(map[string][]byte)) error {
		arrays := good()
		change(arrays)
		_, err := Read(t.Context(), writeFile(t, filepath.Join(t.TempDir(), "a.npz"), npzFile(t, arrays)), o)
		return err
	}
	for _, c := range []struct {
		change func(map[string][]byte)
		parts  []string
	}{
		{func(a map[string][]byte) { delete(a, "x_train") }, []string{"its arrays are x_test, y_test, y_train", "x_train and y_train"}},
		{func(a map[string][]byte) { delete(a, "y_test") }, []string{"only one of x_test and y_test"}},
		{func(a map[string][]byte) { a["x_train"] = npyFile("|u1", make([]byte, 23), 4, 2, 3) }, []string{"x_train", "cut short", "23 bytes of the 24", "element 3"}},
		{func(a map[string][]byte) { a["x_train"] = npyFile("|u1", make([]byte, 25), 4, 2, 3) }, []string{"x_train", "more than the 24"}},
		{func(a map[string][]byte) { a["x_test"] = npyFile("|u1", make([]byte, 12), 2, 3, 2) }, []string{"x_train are 2x3x1 and x_test 3x2x1"}},
		{func(a map[string][]byte) { a["x_train"] = npyFile("|O", make([]byte, 24), 4, 2, 3) }, []string{`"|O"`, "can be read"}},
		{func(a map[string][]byte) { a["x_train"] = npyFile("<c8", make([]byte, 24), 4, 2, 3) }, []string{`"<c8"`}},
		{func(a map[string][]byte) { a["x_train"] = npyFile("|u1", make([]byte, 24), 24) }, []string{"x_train", "[24]", "N x height x width"}},
		{func(a map[string][]byte) { a["x_train"] = []byte("text") }, []string{"x_train", "no NumPy array"}},
		{func(a map[string][]byte) { a["y_train"] = npyFile("|u1", make([]byte, 5), 5) }, []string{"x_train has 4 images and y_train has 5 labels"}},
		{func(a map[string][]byte) { a["y_train"] = npyFile("|u1", make([]byte, 8), 4, 2) }, []string{"y_train", "one-hot"}},
		{func(a map[string][]byte) { a["y_train"] = npyFile("|i1", []byte{0, 1, 255, 1}, 4) }, []string{"y_train", "label of image 2 is -1"}},
		{func(a map[string][]byte) { a["y_train"] = npyFile("<f4", floats32(0, 1, 0.5, 1), 4) }, []string{"label of image 2 is 0.5"}},
		{func(a map[string][]byte) {
			a["x_train"] = npyFile("<f4", floats32(0, 1, 0, float32(math.NaN())), 4, 1, 1)
		}, []string{"image 3 has the value NaN", "0 to 255"}},
		{func(a map[string][]byte) { a["x_train"] = npyFile("<f4", floats32(0, -1.5, 0, 1), 4, 1, 1) }, []string{"image 1 has the value -1.5", "not normalised"}},
	} {
		wantError(t, read(ImportOptions{}, c.change), c.parts...)
	}
	wantError(t, read(ImportOptions{TestShare: 0.2}, func(map[string][]byte) {}), "it has them: x_test")

	whole := npzFile(t, good())
	for cut := 4; cut < len(whole); cut += 11 {
		if _, err := readNPZ(bytes.NewReader(whole[:cut]), int64(cut), ImportOptions{}); err == nil {
			t.Errorf("an archive cut after %d of %d bytes was accepted", cut, len(whole))
		}
	}
}

// TestNPZFlippedBits: whatever bit of the arrays changes, it is not read as if
// nothing had happened.
func TestNPZFlippedBits(t *testing.T) {
	pixels := make([]byte, 8*48)
	for i := range pixels {
		pixels[i] = byte(i)
	}
	content := npzFile(t, map[string][]byte{"x": npyFile("|u1", pixels, 8, 6, 8), "y": npyFile("|u1", []byte{0, 1, 0, 1, 0, 1, 0, 1}, 8)})
	want, err := readNPZ(bytes.NewReader(content), int64(len(content)), ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for bit := 0; bit < 8*len(content); bit += 5 {
		bad := bytes.Clone(content)
		bad[bit/8] ^= 1 << (bit % 8)
		got, err := readNPZ(bytes.NewReader(bad), int64(len(bad)), ImportOptions{})
		if err == nil && (!bytes.Equal(got.Pixels, want.Pixels) || fmt.Sprint(got.Labels) != fmt.Sprint(want.Labels)) {
			t.Fatalf("bit %d changed the images unseen", bit)
		}
	}
}

func FuzzNPZ(f *testing.F) {
	f.Add(readFile(f, "testdata/numpy.npz"))
	f.Add(readFile(f, "testdata/numpy_layouts.npz"))
	f.Fuzz(func(t *testing.T, content []byte) {
		set, err := readNPZ(bytes.NewReader(content), int64(len(content)), ImportOptions{})
		if err != nil {
			return
		}
		set.Name = "fuzzed"
		if err := set.seal(); err == nil && len(set.Digest) != digestLength {
			t.Errorf("the digest is %q", set.Digest)
		}
	})
}

// FuzzNPY goes past the checksums of the archive.
func FuzzNPY(f *testing.F) {
	f.Add(npyFile("|u1", make([]byte, 24), 4, 2, 3))
	f.Add(npyFile("<f2", make([]byte, 24), 4, 3))
	f.Add(npyFile(">i4", make([]byte, 16), 4))
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := readNPY(bytes.NewReader(content))
		if err != nil {
			return
		}
		if l, err := layoutOf(a); err == nil {
			if pixels, _, err := l.pixels(a); err == nil && len(pixels) != a.n() {
				t.Errorf("%d pixels of %v", len(pixels), a.shape)
			}
		}
		if labels, err := labelsOf(a); err == nil && len(labels) != a.n() {
			t.Errorf("%d labels of %v", len(labels), a.shape)
		}
	})
}
