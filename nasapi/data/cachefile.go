package data

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// A file of images is, without gaps:
//
//	16 bytes    fileMagic, with the version of the format
//	 4 bytes    length of the header, little-endian
//	 n bytes    the header, JSON
//	32 bytes    SHA-256 of all before
//	32 bytes an image    the image's digest
//	 2 bytes an image    its label, little-endian
//	H*W*C bytes an image its pixels
//
// The header's digest is over the digests of the images (Set.seal), so nothing
// in the file can change unseen, and a change is traced to its image.
const (
	fileMagic     = "evalnas-images 1"
	maxHeaderSize = 1 << 24
)

const removeFix = "remove it, then fetch or import the set again"

// bytesAnImage is what an image takes in a file.
func (s Shape) bytesAnImage() int64 { return sha256.Size + 2 + int64(s.ImageBytes()) }

func writeSet(ctx context.Context, w io.Writer, s *Set) error {
	h, err := s.header()
	if err != nil {
		return err
	}
	var head bytes.Buffer
	head.WriteString(fileMagic)
	binary.Write(&head, binary.LittleEndian, uint32(len(h))) // a Buffer takes everything
	head.Write(h)
	sum := sha256.Sum256(head.Bytes())
	head.Write(sum[:])
	for i := range s.images {
		head.Write(s.images[i][:])
	}
	for _, l := range s.Labels {
		binary.Write(&head, binary.LittleEndian, l)
	}
	if _, err := w.Write(head.Bytes()); err != nil {
		return err
	}
	return inPieces(ctx, s.Pixels, func(piece []byte) error {
		_, err := w.Write(piece)
		return err
	})
}

// inPieces calls f on pieces of b until the context ends.
func inPieces(ctx context.Context, b []byte, f func([]byte) error) error {
	const size = 1 << 22
	for len(b) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(size, len(b))
		if err := f(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// damaged is what is wrong with the content of a file, before its path is known.
type damaged string

func (d damaged) Error() string { return string(d) }

// readHeader reads up to the digests of the images. The second result is how
// many bytes it read.
func readHeader(r io.Reader) (header, int64, error) {
	fixed := make([]byte, len(fileMagic)+4)
	if _, err := io.ReadFull(r, fixed); err != nil {
		return header{}, 0, short(err, "it ends before its header")
	}
	if magic := string(fixed[:len(fileMagic)]); magic != fileMagic {
		return header{}, 0, damaged(fmt.Sprintf("it begins with %q; files that this version reads begin with %q", magic, fileMagic))
	}
	length := binary.LittleEndian.Uint32(fixed[len(fileMagic):])
	if length > maxHeaderSize {
		return header{}, 0, damaged(fmt.Sprintf("its header is said to be %d bytes, more than %d", length, maxHeaderSize))
	}
	// The length is not to be believed yet: take memory as the bytes come.
	text, err := io.ReadAll(io.LimitReader(r, int64(length)+sha256.Size))
	if err != nil {
		return header{}, 0, err
	}
	if len(text) < int(length)+sha256.Size {
		return header{}, 0, damaged("it ends within its header")
	}
	text, want := text[:length], text[length:]
	if got := sha256.Sum256(append(fixed, text...)); !bytes.Equal(got[:], want) {
		return header{}, 0, damaged(fmt.Sprintf("its header has the digest %x, expected %x", got, want))
	}
	var h header
	if err := json.Unmarshal(text, &h); err != nil {
		return header{}, 0, damaged("its header: " + err.Error())
	}
	if err := h.validate(); err != nil {
		return header{}, 0, damaged("its header: " + err.Error())
	}
	return h, int64(len(fixed)) + int64(length) + sha256.Size, nil
}

func short(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged(what)
	}
	return err
}

// checkSize holds the size of a file against what its header promises.
func (h header) checkSize(begin, size int64) error {
	n, images := int64(h.N()), size-begin
	want := n * h.bytesAnImage()
	if images > want {
		return damaged(fmt.Sprintf("it has %d bytes, expected %d", size, begin+want))
	}
	if images == want {
		return nil
	}
	whole := (images - n*(sha256.Size+2)) / int64(h.ImageBytes())
	if images < n*(sha256.Size+2) {
		whole = 0
	}
	return damaged(fmt.Sprintf("it was cut short: it has %d bytes, expected %d, and ends in %s", size, begin+want, h.Part(int(whole))))
}

// readSet reads a file of images of a size, and verifies it.
func readSet(ctx context.Context, r io.Reader, size int64) (*Set, error) {
	h, begin, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if err := h.checkSize(begin, size); err != nil {
		return nil, err
	}
	s := &Set{
		Name: h.Name, Shape: h.Shape, Digest: h.Digest, ClassNames: h.ClassNames, Mean: h.Mean, Std: h.Std,
		Synthetic: h.Synthetic, Source: h.Source,
	}
	table := make([]byte, s.N()*sha256.Size)
	labels := make([]byte, s.N()*2)
	s.Pixels = make([]byte, s.N()*s.ImageBytes())
	for _, b := range [][]byte{table, labels, s.Pixels} {
		err := inPieces(ctx, b, func(piece []byte) error {
			_, err := io.ReadFull(r, piece)
			return short(err, "it became shorter while it was read")
		})
		if err != nil {
			return nil, err
		}
	}
	s.images = make([]digest, s.N())
	s.Labels = make([]uint16, s.N())
	for i := range s.images {
		copy(s.images[i][:], table[i*sha256.Size:])
		s.Labels[i] = binary.LittleEndian.Uint16(labels[2*i:])
	}
	return s, s.verify()
}

// verify holds the images against their digests, and those against the set's.
func (s *Set) verify() error {
	got := s.imageDigests()
	if s.Shape.digest(got) == s.Digest && s.Shape.digest(s.images) == s.Digest {
		return damagedIf(s.check())
	}
	for i := range got {
		if got[i] == s.images[i] {
			continue
		}
		if s.Shape.digest(got) == s.Digest {
			return damaged("its record of the digest of " + s.Part(i) + " was altered; the image was not")
		}
		return damaged(fmt.Sprintf("%s has the digest %s, expected %s", s.Part(i), hex.EncodeToString(got[i][:]), hex.EncodeToString(s.images[i][:])))
	}
	return damaged(fmt.Sprintf("its images have the digest %s, expected %s", s.Shape.digest(got), s.Digest))
}

func damagedIf(err error) error {
	if err == nil {
		return nil
	}
	return damaged(err.Error())
}

func readSetFile(ctx context.Context, path string) (*Set, error) {
	f, size, err := openSized(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := readSet(ctx, f, size)
	return s, at(path, err)
}

func readHeaderFile(path string) (header, int64, error) {
	f, size, err := openSized(path)
	if err != nil {
		return header{}, 0, err
	}
	defer f.Close()
	h, begin, err := readHeader(f)
	if err == nil {
		err = h.checkSize(begin, size)
	}
	return h, size, at(path, err)
}

func openSized(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// at adds to an error whose file it is about.
func at(path string, err error) error {
	var d damaged
	switch {
	case err == nil:
		return nil
	case errors.As(err, &d):
		return &DamageError{Path: path, What: string(d), Fix: removeFix}
	}
	return fmt.Errorf("reading %s: %w", path, err)
}
