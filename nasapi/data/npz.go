package data

import (
	"archive/zip"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// npzNames are what arrays of a part are called, by those who write such files.
var npzNames = []struct{ images, labels, testImages, testLabels string }{
	{"x_train", "y_train", "x_test", "y_test"},
	{"train_images", "train_labels", "test_images", "test_labels"},
	{"images", "labels", "", ""},
	{"x", "y", "", ""},
}

const npzAllowed = "an .npz file of images has x_train and y_train, with or without x_test and y_test; or train_images, train_labels (test_images, test_labels); or images, labels; or x, y"

func readNPZFile(path string, o ImportOptions) (*source, error) {
	f, size, err := openSized(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	set, err := readNPZ(f, size, o)
	if err != nil {
		return nil, err
	}
	set.Source = strings.TrimSuffix("file "+filepath.Base(path)+", "+set.Source, ", ")
	return &source{set: set}, nil
}

// npz is an archive of arrays.
type npz struct {
	files map[string]*zip.File
	o     ImportOptions
	notes []string
}

// readNPZ reads an unsealed set of an archive of NumPy arrays.
func readNPZ(r io.ReaderAt, size int64, o ImportOptions) (*Set, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("it is no .npz file, or was cut short: %w", err)
	}
	z := &npz{files: map[string]*zip.File{}, o: o}
	for _, f := range archive.File {
		z.files[strings.TrimSuffix(f.Name, ".npy")] = f
	}
	for _, n := range npzNames {
		if z.files[n.images] != nil && z.files[n.labels] != nil {
			return z.set(n.images, n.labels, n.testImages, n.testLabels)
		}
	}
	return nil, fmt.Errorf("its arrays are %s; %s", strings.Join(sortedKeys(z.files), ", "), npzAllowed)
}

func (z *npz) set(images, labels, testImages, testLabels string) (*Set, error) {
	z.noteUnread(images, labels, testImages, testLabels)
	first, shape, err := z.part(images, labels)
	if err != nil {
		return nil, err
	}
	if (z.files[testImages] == nil) != (z.files[testLabels] == nil) {
		return nil, fmt.Errorf("it has only one of %s and %s", testImages, testLabels)
	}
	if z.files[testImages] == nil {
		return z.splitOff(first, shape)
	}
	if z.o.TestShare != 0 {
		return nil, fmt.Errorf("a share of test images is asked for, but it has them: %s", testImages)
	}
	test, testShape, err := z.part(testImages, testLabels)
	if err != nil {
		return nil, err
	}
	if testShape != shape {
		return nil, fmt.Errorf("%s are %dx%dx%d and %s %dx%dx%d; all have one size", images, shape.H, shape.W, shape.C, testImages, testShape.H, testShape.W, testShape.C)
	}
	return z.finish(first, test, shape)
}

// splitOff makes the test part of a share of the only one.
func (z *npz) splitOff(all part, shape Shape) (*Set, error) {
	train, test, how := all.splitOff(z.o, shape.ImageBytes())
	z.notes = append(z.notes, how)
	z.o.Events.note("%s", how)
	return z.finish(train, test, shape)
}

// splitOff divides by the options, and says how.
func (p *part) splitOff(o ImportOptions, size int) (train, test part, how string) {
	share := o.TestShare
	if share == 0 {
		share = defaultTestShare
	}
	train, test = p.divided(share, o.Seed, size)
	return train, test, fmt.Sprintf("%d of %d images, drawn by seed %d, are the test part", test.n(), p.n(), o.Seed)
}

func (z *npz) finish(train, test part, shape Shape) (*Set, error) {
	set := joined(train, test, shape)
	set.Classes = classesOf(set.Labels)
	set.Source = strings.Join(z.notes, "; ")
	return set, nil
}

// noteUnread says which arrays nothing is made of.
func (z *npz) noteUnread(read ...string) {
	var other []string
	for _, name := range sortedKeys(z.files) {
		if !slices.Contains(read, name) {
			other = append(other, name)
		}
	}
	if len(other) > 0 {
		z.note("not read: %s", strings.Join(other, ", "))
	}
}

func (z *npz) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(z.notes, text) {
		z.notes = append(z.notes, text)
		z.o.Events.note("%s", text)
	}
}

func (z *npz) array(name string) (*npyArray, error) {
	f, err := z.files[name].Open()
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	defer f.Close()
	a, err := readNPY(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return a, nil
}

func (z *npz) part(images, labels string) (part, Shape, error) {
	a, err := z.array(images)
	if err != nil {
		return part{}, Shape{}, err
	}
	b, err := z.array(labels)
	if err != nil {
		return part{}, Shape{}, err
	}
	p := part{}
	if p.labels, err = labelsOf(b); err != nil {
		return part{}, Shape{}, fmt.Errorf("%s: %w", labels, err)
	}
	l, err := layoutOf(a)
	if err != nil {
		return part{}, Shape{}, fmt.Errorf("%s: %w", images, err)
	}
	if a.shape[0] != len(p.labels) {
		return part{}, Shape{}, fmt.Errorf("%s has %d images and %s has %d labels", images, a.shape[0], labels, len(p.labels))
	}
	if l.planes {
		z.note("%s has its channels before its rows", images)
	}
	change := 0.0
	if p.pixels, change, err = l.pixels(a); err != nil {
		return part{}, Shape{}, fmt.Errorf("%s: %w", images, err)
	}
	if a.kind == 'f' {
		z.note("%s was rounded to 256 levels, by at most %.2g of one", images, change)
	}
	return p, Shape{H: l.h, W: l.w, C: l.c}, nil
}

// labelsOf reads class numbers: whole, from 0.
func labelsOf(a *npyArray) ([]uint16, error) {
	if len(a.shape) > 2 || len(a.shape) == 2 && a.shape[1] != 1 {
		return nil, fmt.Errorf("its shape is %v; labels are one class number an image (not one-hot): N or N x 1", a.shape)
	}
	labels := make([]uint16, a.n())
	for i := range labels {
		v := a.at(i)
		if !(v >= 0 && v < maxClasses) || v != math.Trunc(v) {
			return nil, fmt.Errorf("the label of image %d is %v; labels are whole numbers from 0 to %d", i, v, maxClasses-1)
		}
		labels[i] = uint16(v)
	}
	return labels, nil
}

// imageLayout is how the axes of an array of images lie in memory.
type imageLayout struct {
	n, h, w, c     int
	sn, sh, sw, sc int  // strides
	planes         bool // channels before rows
}

// likelyChannels says whether an axis of that size is taken for channels before
// rows: 1, 3 or 4 are what images have.
func likelyChannels(n int) bool { return n == 1 || n == 3 || n == 4 }

func layoutOf(a *npyArray) (imageLayout, error) {
	s := a.strides()
	l := imageLayout{c: 1}
	switch {
	case len(a.shape) == 3:
		l.n, l.h, l.w = a.shape[0], a.shape[1], a.shape[2]
		l.sn, l.sh, l.sw = s[0], s[1], s[2]
	case len(a.shape) == 4 && likelyChannels(a.shape[1]) && !likelyChannels(a.shape[3]):
		l.n, l.c, l.h, l.w, l.planes = a.shape[0], a.shape[1], a.shape[2], a.shape[3], true
		l.sn, l.sc, l.sh, l.sw = s[0], s[1], s[2], s[3]
	case len(a.shape) == 4:
		l.n, l.h, l.w, l.c = a.shape[0], a.shape[1], a.shape[2], a.shape[3]
		l.sn, l.sh, l.sw, l.sc = s[0], s[1], s[2], s[3]
	default:
		return l, fmt.Errorf("its shape is %v; images are N x height x width, with or without channels", a.shape)
	}
	return l, nil
}

// pixels converts to bytes. Floats are taken on the scale of 0 to 1 where none
// is above 1, and of 0 to 255 otherwise; change is the largest rounding.
func (l imageLayout) pixels(a *npyArray) (to []byte, change float64, err error) {
	if a.kind == 'u' && a.size == 1 && !a.fortran && !l.planes {
		return a.data, 0, nil
	}
	scale, err := scaleOf(a, l.sn)
	if err != nil {
		return nil, 0, err
	}
	to = make([]byte, 0, a.n())
	for n := range l.n {
		for y := range l.h {
			for x := range l.w {
				for c := range l.c {
					v := float64(a.at(n*l.sn+y*l.sh+x*l.sw+c*l.sc) * scale)
					near := math.RoundToEven(v)
					change = max(change, math.Abs(v-near))
					to = append(to, byte(near))
				}
			}
		}
	}
	return to, change, nil
}

// scaleOf checks the range of the values and says what they are multiplied by.
func scaleOf(a *npyArray, image int) (float64, error) {
	most := 0.0
	for i := range a.n() {
		v := a.at(i)
		if !(v >= 0 && v <= 255) {
			where := i / image
			if a.fortran {
				where = i % a.shape[0]
			}
			return 0, fmt.Errorf("image %d has the value %v; pixels are 0 to 255, or 0 to 1 as floats (and not normalised)", where, v)
		}
		most = max(most, v)
	}
	if (a.kind == 'f' || a.kind == 'b') && most <= 1 {
		return 255, nil
	}
	return 1, nil
}
