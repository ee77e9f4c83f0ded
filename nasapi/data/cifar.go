package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
)

// cifarLayout is how a CIFAR binary archive is laid out: records of labels and
// three planes of 32x32 bytes (red, green, blue), row by row.
type cifarLayout struct {
	known  string
	folder string
	train  []string
	test   string
	names  string // the file with the names of the classes
	labels int    // bytes of labels a record; the last one counts (CIFAR-100: the fine label)
}

var cifar10Layout = cifarLayout{
	known: "cifar10", folder: "cifar-10-batches-bin",
	train: []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
	test:  "test_batch.bin", names: "batches.meta.txt", labels: 1,
}

var cifar100Layout = cifarLayout{
	known: "cifar100", folder: "cifar-100-binary",
	train: []string{"train.bin"},
	test:  "test.bin", names: "fine_label_names.txt", labels: 2,
}

const (
	cifarSide  = 32
	cifarPlane = cifarSide * cifarSide
	cifarImage = 3 * cifarPlane
)

func (l cifarLayout) record() int { return l.labels + cifarImage }

func (l cifarLayout) has(name string) bool {
	for _, t := range l.train {
		if name == t {
			return true
		}
	}
	return name == l.test || name == l.names
}

// cifarFiles collects the files of one layout as an archive or folder has them.
type cifarFiles struct {
	layout cifarLayout
	parts  map[string]part
	sums   map[string]string
	names  []string
}

func newCIFARFiles(l cifarLayout) *cifarFiles {
	return &cifarFiles{layout: l, parts: map[string]part{}, sums: map[string]string{}}
}

// add reads a file of the layout.
func (c *cifarFiles) add(ctx context.Context, name string, r io.Reader) error {
	if name == c.layout.names {
		return c.addNames(name, r)
	}
	k := known[c.layout.known]
	h := sha256.New()
	p, err := c.layout.read(ctx, io.TeeReader(r, h), k.Classes)
	if err != nil {
		return fmt.Errorf("%s %w%s", name, err, expectedSum(k.files[name]))
	}
	c.parts[name] = p
	c.sums[name] = fmt.Sprintf("%x", h.Sum(nil))
	return nil
}

func expectedSum(sum string) string {
	if sum == "" {
		return ""
	}
	return "; the official file has the SHA-256 " + sum
}

// read decodes records up to the end.
func (l cifarLayout) read(ctx context.Context, r io.Reader, classes int) (part, error) {
	var p part
	record := make([]byte, l.record())
	for i := 0; ; i++ {
		if i%1000 == 0 && ctx.Err() != nil {
			return part{}, ctx.Err()
		}
		n, err := io.ReadFull(r, record)
		switch {
		case err == io.EOF && i > 0:
			return p, nil
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			return part{}, fmt.Errorf("was cut short: it ends after %d bytes of its image %d, which takes %d", n, i, len(record))
		case err != nil:
			return part{}, fmt.Errorf("cannot be read beyond its image %d: %w", i, err)
		}
		label := record[l.labels-1]
		if int(label) >= classes {
			return part{}, fmt.Errorf("was altered: its image %d has the label %d; labels are 0 to %d", i, label, classes-1)
		}
		if p.n() >= maxImages {
			return part{}, fmt.Errorf("has more than %d images", maxImages)
		}
		p.labels = append(p.labels, uint16(label))
		p.pixels = appendPlanes(p.pixels, record[l.labels:])
	}
}

// appendPlanes appends an image given as three planes, pixel by pixel.
func appendPlanes(to, planes []byte) []byte {
	red, green, blue := planes[:cifarPlane], planes[cifarPlane:2*cifarPlane], planes[2*cifarPlane:]
	for i := range red {
		to = append(to, red[i], green[i], blue[i])
	}
	return to
}

func (c *cifarFiles) addNames(name string, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, 1<<16))
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", name, err)
	}
	c.names = strings.Fields(string(text))
	return nil
}

// source puts the files together in the official order.
func (c *cifarFiles) source(what string) (*source, error) {
	var missing []string
	for _, name := range append(append([]string(nil), c.layout.train...), c.layout.test) {
		if _, ok := c.parts[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s is missing from it; the binary version of %s has %s and %s",
			strings.Join(missing, ", "), known[c.layout.known].Title, strings.Join(c.layout.train, ", "), c.layout.test)
	}
	var train part
	for _, name := range c.layout.train {
		p := c.parts[name]
		train.pixels = append(train.pixels, p.pixels...)
		train.labels = append(train.labels, p.labels...)
		delete(c.parts, name)
	}
	k := known[c.layout.known]
	set := joined(train, c.parts[c.layout.test], Shape{H: cifarSide, W: cifarSide, C: 3, Classes: k.Classes})
	set.Source = what
	if len(c.names) == k.Classes {
		set.ClassNames = c.names
	}
	return &source{set: set, likely: c.layout.known, files: c.sums}, nil
}

// errNoCIFAR is for an archive without any file of a known layout.
var errNoCIFAR = errors.New("it has none of the files of a known archive; " + allowedKinds)
