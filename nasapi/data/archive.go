package data

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// collector takes the files of an archive or folder that belong to one layout.
type collector interface {
	add(ctx context.Context, name string, r io.Reader) error
	source(what string) (*source, error)
}

// collectorFor finds the layout that a file belongs to, by its name, or nil.
func collectorFor(name string) collector {
	switch {
	case cifar10Layout.has(name):
		return newCIFARFiles(cifar10Layout)
	case cifar100Layout.has(name):
		return newCIFARFiles(cifar100Layout)
	case isNPMFile(name):
		return newNPMFiles()
	}
	return nil
}

// belongs says whether a file is of the layout that c collects.
func belongs(c collector, name string) bool {
	switch c := c.(type) {
	case *cifarFiles:
		return c.layout.has(name)
	case *npmFiles:
		return isNPMFile(name)
	}
	return false
}

// readArchive reads a tar file, packed by gzip or not.
func readArchive(ctx context.Context, file string, o ImportOptions) (*source, error) {
	f, size, err := openSized(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	counted := &countingReader{r: f, tell: func(n int64) { o.Events.progress("reading "+filepath.Base(file), n, size) }}
	in := bufio.NewReaderSize(counted, 1<<20)
	var r io.Reader = in
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("its gzip packing was altered: %w", err)
		}
		r = z
	}
	unpacked := bufio.NewReaderSize(r, 1<<16)
	if start, err := unpacked.Peek(4); err == nil && isIDX(start) {
		return nil, fmt.Errorf("it is one idx file: give the folder with all four of them (%s)", strings.Join(idxNames[:], ", "))
	}
	return readTar(ctx, tar.NewReader(unpacked), "archive "+filepath.Base(file))
}

func readTar(ctx context.Context, t *tar.Reader, what string) (*source, error) {
	var c collector
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the archive was cut short or altered: %w", noEOF(err))
		}
		name := path.Base(h.Name)
		if strings.Contains(h.Name, "cifar-10-batches-py") || strings.Contains(h.Name, "cifar-100-python") {
			return nil, errPickled
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if c == nil {
			c = collectorFor(name)
		}
		if c == nil || !belongs(c, name) {
			continue
		}
		if err := c.add(ctx, name, t); err != nil {
			return nil, err
		}
	}
	if c == nil {
		return nil, errNoCIFAR
	}
	return c.source(what)
}

// noEOF says in words that a file ended too early.
func noEOF(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("it ends too early")
	}
	return err
}

// readFolder reads an archive's files from the folder that it was unpacked to.
func readFolder(ctx context.Context, dir string, o ImportOptions) (*source, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var c collector
	for i, e := range list {
		if c == nil {
			c = collectorFor(e.Name())
		}
		if c == nil || !belongs(c, e.Name()) {
			continue
		}
		o.Events.progress("reading "+e.Name(), int64(i), int64(len(list)))
		if err := addFile(ctx, c, filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	if c == nil {
		return nil, errNoCIFAR
	}
	return c.source("folder " + filepath.Base(dir))
}

func addFile(ctx context.Context, c collector, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.add(ctx, filepath.Base(path), bufio.NewReaderSize(f, 1<<20))
}

// countingReader tells how far a file was read, each MiB.
type countingReader struct {
	r    io.Reader
	n    int64
	told int64
	tell func(int64)
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if c.n-c.told >= 1<<20 || err == io.EOF && c.told != c.n {
		c.told = c.n
		c.tell(c.n)
	}
	return n, err
}
