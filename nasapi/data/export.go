package data

import (
	"archive/zip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteNPZ writes a set as NumPy reads it: x_train and x_test of bytes, images by rows, columns
// and channels, and y_train and y_test of class numbers. Nothing is compressed. The same set
// gives the same bytes, and Import of the file the same digest.
func WriteNPZ(ctx context.Context, w io.Writer, s *Set) error {
	z := zip.NewWriter(w)
	train := s.TrainN * s.ImageBytes()
	for _, a := range []struct {
		name   string
		pixels []byte
		labels []uint16
		n      int
	}{
		{"x_train", s.Pixels[:train], nil, s.TrainN},
		{"y_train", nil, s.Labels[:s.TrainN], s.TrainN},
		{"x_test", s.Pixels[train:], nil, s.TestN},
		{"y_test", nil, s.Labels[s.TrainN:], s.TestN},
	} {
		if a.n == 0 {
			continue
		}
		kind, shape, body := "|u1", fmt.Sprintf("(%d, %d, %d, %d)", a.n, s.H, s.W, s.C), a.pixels
		if a.labels != nil {
			kind, shape = "<i8", fmt.Sprintf("(%d,)", a.n)
			body = make([]byte, 0, 8*a.n)
			for _, l := range a.labels {
				body = binary.LittleEndian.AppendUint64(body, uint64(l))
			}
		}
		if err := storeArray(ctx, z, a.name, npyHead(kind, shape), body); err != nil {
			return err
		}
	}
	return z.Close()
}

// npyHead is what an array's file begins with: the format's version 1.0, padded to 64 bytes.
func npyHead(kind, shape string) []byte {
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", kind, shape)
	for (10+len(text)+1)%64 != 0 {
		text += " "
	}
	head := append([]byte("\x93NUMPY\x01\x00"), 0, 0)
	binary.LittleEndian.PutUint16(head[8:], uint16(len(text)+1))
	return append(append(head, text...), '\n')
}

// storeArray adds an array, with its size and sum before it, as old readers of zip want it.
func storeArray(ctx context.Context, z *zip.Writer, name string, head, body []byte) error {
	sum := crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, body)
	size := uint64(len(head) + len(body))
	w, err := z.CreateRaw(&zip.FileHeader{Name: name + ".npy", Method: zip.Store, CRC32: sum, CompressedSize64: size, UncompressedSize64: size})
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	return inPieces(ctx, body, func(piece []byte) error {
		_, err := w.Write(piece)
		return err
	})
}

// ExportTo writes a set as an .npz file, whole or not at all.
func ExportTo(ctx context.Context, s Spec, path string) (*Set, error) {
	set, err := Open(ctx, s)
	if err != nil {
		return nil, err
	}
	return set, writeAtomic(path, func(f *os.File) error { return WriteNPZ(ctx, f, set) }, nil)
}

// Exported is the .npz file of a set in the data folder, where programs that other people wrote
// read it: DIGEST.npz, made the first time that it is asked for.
func Exported(ctx context.Context, s Spec) (path string, err error) {
	e, err := Find(s)
	if err != nil {
		return "", err
	}
	cache, err := OpenCache()
	if err != nil {
		return "", err
	}
	path = filepath.Join(cache.Dir, e.Digest+".npz")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err // NumPy holds what it reads against the sums in the file
	}
	_, err = ExportTo(ctx, s, path)
	return path, err
}

// Find is what is known of a set without reading its images, which are made where it is
// synthetic.
func Find(s Spec) (Entry, error) {
	if s.Synthetic != nil {
		return ResolveSynthetic(*s.Synthetic)
	}
	cache, err := OpenCache()
	if err != nil {
		return Entry{}, err
	}
	return cache.Resolve(s)
}
