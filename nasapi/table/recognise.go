package table

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
)

// What is said of files that hold no records of NASBench-101.
var (
	errFolder   = errors.New("it is a folder; name the file nasbench_only108.tfrecord or nasbench_full.tfrecord in it")
	errEmpty    = errors.New("the file is empty")
	errStore    = errors.New("it is a store already: open it as it is, with nasbench101_table(\"FILE\") or --table FILE")
	errPacked   = errors.New("it is packed by gzip: unpack it first, with gunzip")
	errImages   = errors.New("it is an archive of CIFAR images, not a table; `evalnas data import` reads it")
	errPage     = errors.New("it is a web page, perhaps a server's error message, not the file itself: download it again")
	errNotTable = errors.New("it is no file of NASBench-101: give nasbench_only108.tfrecord or nasbench_full.tfrecord")
)

// notRecords wraps what a file is into what was wanted.
func notRecords(what string) error {
	return errors.New("it is " + what + ", not a file of NASBench-101: give nasbench_only108.tfrecord or nasbench_full.tfrecord")
}

// recognise refuses files of other formats by their name where it knows them. It leaves
// the file at its start.
func recognise(f *os.File, info os.FileInfo) error {
	switch {
	case info.IsDir():
		return errFolder
	case !info.Mode().IsRegular():
		return notRecords("no regular file")
	case info.Size() == 0:
		return errEmpty
	}
	start := make([]byte, 512)
	n, err := f.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return err
	}
	start = start[:n]
	if beginsRecord(start) {
		return nil
	}
	if bytes.HasPrefix(start, []byte{0x1f, 0x8b}) {
		return unpacked(f)
	}
	if err := otherFormat(start, info.Size()); err != nil {
		return err
	}
	if len(start) < frameHead || binary.LittleEndian.Uint64(start) > maxPayload {
		return errNotTable
	}
	// A record with changed bytes: reading it says so.
	return nil
}

// beginsRecord says that the length of a record stands at the start, with its checksum.
func beginsRecord(start []byte) bool {
	return len(start) >= frameHead && maskedCRC(start[:8]) == binary.LittleEndian.Uint32(start[8:])
}

// otherFormat names what a file begins like.
func otherFormat(start []byte, size int64) error {
	for _, f := range []struct {
		magic string
		err   error
	}{
		{storeMagic[:14], errStore},
		{"PK\x03\x04", notRecords("a zip file (as .npz and PyTorch's .pt and .pth are)")},
		{"\x80\x02", notRecords("a Python pickle")},
		{"\x80\x03", notRecords("a Python pickle")},
		{"\x80\x04", notRecords("a Python pickle")},
		{"\x80\x05", notRecords("a Python pickle")},
		{"PAR1", notRecords("a Parquet file")},
		{"\x89HDF\r\n", notRecords("an HDF5 file")},
		{"\x93NUMPY", notRecords("a NumPy array")},
		{"BZh", notRecords("packed by bzip2")},
		{"\xfd7zXZ", notRecords("packed by xz")},
	} {
		if bytes.HasPrefix(start, []byte(f.magic)) {
			return f.err
		}
	}
	if len(start) > 262 && string(start[257:262]) == "ustar" {
		if strings.HasPrefix(string(start), "cifar-10") {
			return errImages
		}
		return notRecords("a tar archive")
	}
	text := strings.ToLower(strings.TrimSpace(string(start)))
	switch {
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"), strings.HasPrefix(text, "<?xml"):
		return errPage
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return notRecords("a file of JSON")
	case size%(10_000*3073) == 0, size%(10_000*3074) == 0:
		return errImages // a batch of CIFAR-10, or a part of CIFAR-100
	}
	return nil
}

// unpacked says what a file packed by gzip holds.
func unpacked(f io.ReaderAt) error {
	z, err := gzip.NewReader(io.NewSectionReader(f, 0, 1<<20))
	if err != nil {
		return notRecords("a damaged gzip file")
	}
	start := make([]byte, 512)
	n, err := io.ReadFull(z, start)
	if err != nil && err != io.ErrUnexpectedEOF {
		return notRecords("a damaged gzip file")
	}
	if beginsRecord(start[:n]) {
		return errPacked
	}
	if head, err := tar.NewReader(bytes.NewReader(start[:n])).Next(); err == nil {
		if strings.HasPrefix(head.Name, "cifar-10") {
			return errImages
		}
		return notRecords("a packed tar archive")
	}
	return notRecords("packed by gzip, and what is in it is none")
}
