package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mustRead reads a set that is there to be read.
func mustRead(t testing.TB, path string, o ImportOptions) *Set {
	t.Helper()
	s, err := Read(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSynthetic(t testing.TB, s SyntheticSpec) *Set {
	t.Helper()
	set, err := Synthetic(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// wantError holds an error against the parts of its text that matter.
func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; one with %q was expected", parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("the error is\n  %v\nwhich lacks %q", err, p)
		}
	}
}

func writeFile(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// someByte is a pixel of a made-up image: every place of every image differs.
func someByte(image, at int) byte { return byte(image*131 + at*7 + at/32*3) }

// records are images of a CIFAR file; labels are 0, 1, 2, ... modulo classes.
func records(first, n, labelBytes, classes int) []byte {
	var b []byte
	for i := first; i < first+n; i++ {
		for k := range labelBytes {
			b = append(b, byte((i+labelBytes-1-k)%classes))
		}
		for at := range cifarImage {
			b = append(b, someByte(i, at))
		}
	}
	return b
}

// packed is a .tar.gz.
func packed(t testing.TB, names []string, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// idxFile is an idx file of bytes.
func idxFile(data []byte, dims ...int) []byte {
	b := []byte{0, 0, idxBytes, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, data...)
}

// npyFile is an array as NumPy writes it.
func npyFile(descr string, data []byte, shape ...int) []byte {
	text := ""
	for _, d := range shape {
		text += fmt.Sprintf("%d, ", d)
	}
	if len(shape) > 1 {
		text = strings.TrimSuffix(text, ", ")
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", descr, strings.TrimSuffix(text, " "))
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), byte(len(header)>>8))
	return append(append(b, header...), data...)
}

// npzFile is an archive of arrays, in alphabetical order.
func npzFile(t testing.TB, arrays map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range sortedKeys(arrays) {
		w, err := z.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(arrays[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pngFile is an image of one colour, with its first pixel in another.
func pngFile(t testing.TB, h, w int, c color.Color) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range h * w {
		img.Set(i%w, i/w, c)
	}
	img.Set(0, 0, color.RGBA{1, 2, 3, 255})
	return encodePNG(t, img)
}

func encodePNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
