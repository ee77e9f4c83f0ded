package data

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// idxNames are the four files of MNIST's layout, in the order of idx's results.
var idxNames = [4]string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}

// idxIndex is which of the four a file is, packed or not, or -1. Some copies
// have a dot before "idx", and EMNIST has a prefix and "test" for "t10k".
func idxIndex(file string) int {
	name := strings.TrimSuffix(strings.ToLower(file), ".gz")
	name = strings.Replace(name, ".idx", "-idx", 1)
	for i, n := range idxNames {
		if strings.HasSuffix(name, n) || strings.HasSuffix(name, strings.Replace(n, "t10k", "test", 1)) {
			return i
		}
	}
	return -1
}

// isIDX says whether a file begins as an idx file of bytes does.
func isIDX(start []byte) bool {
	return start[0] == 0 && start[1] == 0 && start[2] == idxBytes && start[3] >= 1 && start[3] <= 4
}

const idxBytes = 8 // the type code of unsigned bytes

func readIDXFolder(dir string, o ImportOptions) (*source, error) {
	paths, err := idxPaths(dir)
	if err != nil {
		return nil, err
	}
	var arrays [4]idxArray
	sums := map[string]string{}
	for i, p := range paths {
		o.Events.progress("reading "+filepath.Base(p), int64(i), 4)
		if arrays[i], err = readIDXFile(p); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(p), err)
		}
		sums[idxNames[i]] = arrays[i].sum
	}
	set, err := idxSet(arrays)
	if err != nil {
		return nil, err
	}
	set.Source = "idx files of folder " + filepath.Base(dir)
	return &source{set: set, files: sums}, nil
}

// idxPaths finds the four files.
func idxPaths(dir string) (paths [4]string, err error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return paths, err
	}
	for _, e := range list {
		i := idxIndex(e.Name())
		if i < 0 {
			continue
		}
		full := filepath.Join(dir, e.Name())
		// Packed beside unpacked is the same file twice.
		if paths[i] != "" && strings.TrimSuffix(paths[i], ".gz") != strings.TrimSuffix(full, ".gz") {
			return paths, fmt.Errorf("%s and %s are both %s: give a folder with one set", filepath.Base(paths[i]), e.Name(), idxNames[i])
		}
		paths[i] = full
	}
	for i, p := range paths {
		if p == "" {
			return paths, fmt.Errorf("%s (or %s.gz) is missing from it", idxNames[i], idxNames[i])
		}
	}
	return paths, nil
}

// idxSet puts two pairs of images and labels together.
func idxSet(a [4]idxArray) (*Set, error) {
	var parts [2]part
	for k := range parts {
		images, labels := a[2*k], a[2*k+1]
		if len(images.dims) != 3 || len(labels.dims) != 1 {
			return nil, fmt.Errorf("%s has %d dimensions and %s has %d; they are 3 and 1", idxNames[2*k], len(images.dims), idxNames[2*k+1], len(labels.dims))
		}
		if images.dims[0] != labels.dims[0] {
			return nil, fmt.Errorf("%s has %d images and %s has %d labels", idxNames[2*k], images.dims[0], idxNames[2*k+1], labels.dims[0])
		}
		parts[k].pixels = images.data
		for _, l := range labels.data {
			parts[k].labels = append(parts[k].labels, uint16(l))
		}
	}
	h, w := a[0].dims[1], a[0].dims[2]
	if a[2].dims[1] != h || a[2].dims[2] != w {
		return nil, fmt.Errorf("train images are %dx%d and test images %dx%d; all have one size", h, w, a[2].dims[1], a[2].dims[2])
	}
	set := joined(parts[0], parts[1], Shape{H: h, W: w, C: 1})
	set.Classes = classesOf(set.Labels)
	return set, nil
}

// classesOf counts classes that are numbered from 0.
func classesOf(labels []uint16) int {
	most := 0
	for _, l := range labels {
		most = max(most, int(l))
	}
	return most + 1
}

// idxArray is an array of bytes.
type idxArray struct {
	dims []int
	data []byte
	sum  string // SHA-256 of the file, unpacked
}

func readIDXFile(path string) (idxArray, error) {
	f, err := os.Open(path)
	if err != nil {
		return idxArray{}, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if magic, err := in.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return readIDX(in)
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return idxArray{}, fmt.Errorf("its gzip packing was altered: %w", err)
	}
	return readIDX(z)
}

// readIDX reads an idx file: two zero bytes, the type of the elements, the number
// of dimensions, the dimensions (32 bits, big-endian), the elements.
func readIDX(r io.Reader) (idxArray, error) {
	h := sha256.New()
	r = io.TeeReader(r, h)
	var start [4]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return idxArray{}, fmt.Errorf("it has no idx header: %w", noEOF(err))
	}
	if !isIDX(start[:]) {
		return idxArray{}, fmt.Errorf("it begins with the bytes % x; an idx file of bytes begins with 00 00 08 and 1 to 4 dimensions", start)
	}
	a, want, err := readIDXDims(r, int(start[3]))
	if err != nil {
		return idxArray{}, err
	}
	// The dimensions are not to be believed yet: take memory as the bytes come.
	a.data, err = io.ReadAll(io.LimitReader(r, want+1))
	got := int64(len(a.data))
	switch {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return idxArray{}, fmt.Errorf("it was altered: %w", err)
	case got > want:
		return idxArray{}, fmt.Errorf("it has more than the %d bytes that its dimensions %v take", want, a.dims)
	case got < want:
		return idxArray{}, fmt.Errorf("it was cut short: %d bytes of the %d that its dimensions %v take; it ends in image %d", got, want, a.dims, got/max(want/int64(a.dims[0]), 1))
	case err != nil:
		return idxArray{}, fmt.Errorf("its gzip packing was cut short: %w", err)
	}
	a.sum = fmt.Sprintf("%x", h.Sum(nil))
	return a, nil
}

// readIDXDims reads the dimensions and works out how many bytes follow.
func readIDXDims(r io.Reader, n int) (a idxArray, size int64, err error) {
	size = 1
	for range n {
		var d uint32
		if err := binary.Read(r, binary.BigEndian, &d); err != nil {
			return a, 0, fmt.Errorf("it ends within its header: %w", noEOF(err))
		}
		if d == 0 || d > maxImages || size > 1<<46/int64(d) {
			return a, 0, fmt.Errorf("its dimensions, from %v on %d, are none of images", a.dims, d)
		}
		a.dims = append(a.dims, int(d))
		size *= int64(d)
	}
	return a, size, nil
}
