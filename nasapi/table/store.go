package table

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"evalnas/nasapi/space"
)

// A store is an imported table in one file:
//
//	storeMagic, the columns one behind the other, the header in JSON, its SHA-256, its length
//	in 8 bytes (little-endian), storeMagic again
//
// The header names every column with its encoding and its SHA-256, so its own SHA-256
// stands for all of the data: it is the table's digest, and the same data give the same
// file, byte for byte. Opening reads the header alone; a column is checked when it is read.
const (
	storeMagic = "evalnas table 1\n"
	storeTail  = sha256.Size + 8 + len(storeMagic)

	// All columns of the largest file of the data set take some 30 kB.
	maxHeader = 1 << 20
)

// repeats of every training in the data set's files.
const fileRepeats = 3

type storeHeader struct {
	Table       string        `json:"table"` // NASBench101Name
	MaxVertices int           `json:"max_vertices"`
	Cells       int           `json:"cells"`
	Repeats     int           `json:"repeats"`
	Epochs      []int         `json:"epochs"`
	Columns     []storeColumn `json:"columns"`
}

type storeColumn struct {
	columnName
	Encoding encoding `json:"encoding"`
	SHA256   string   `json:"sha256"`
}

// columnName says what a column holds; its zero value, but for Name, is that of the numbers
// of parameters.
type columnName struct {
	Name    string `json:"name"`
	Epochs  int    `json:"epochs,omitempty"`
	Repeat  int    `json:"repeat,omitempty"`
	Halfway bool   `json:"halfway,omitempty"`
}

// Names of columns beside those of metrics.
const (
	secondsColumn = "seconds"
	paramsColumn  = "params"
)

var valueNames = [pointValues]string{trainValue: Train, validValue: Valid, testValue: Test, secondsValue: secondsColumn}

// columnNames lists a store's columns in order: for each budget, repeat and point the four
// values, then the parameters.
func columnNames(epochs []int) []columnName {
	var names []columnName
	for _, e := range epochs {
		for repeat := range fileRepeats {
			for point := range points {
				for _, name := range valueNames {
					names = append(names, columnName{name, e, repeat, point == halfway})
				}
			}
		}
	}
	return append(names, columnName{Name: paramsColumn})
}

// columnAt is the position in columnNames.
func columnAt(budget, repeat, point, value int) int {
	return ((budget*fileRepeats+repeat)*points+point)*pointValues + value
}

// writeStore writes a store whose columns column(i) gives, in values that it may use
// again. It returns the digest.
func writeStore(out io.Writer, h storeHeader, column func(i int) []float64) (digest string, err error) {
	if _, err := io.WriteString(out, storeMagic); err != nil {
		return "", err
	}
	var raw []byte
	for i, name := range columnNames(h.Epochs) {
		values := column(i)
		e := wholeNumber
		if name.Name != paramsColumn {
			e = shortest(values)
		}
		raw = e.encode(raw[:0], values)
		sum := sha256.Sum256(raw)
		h.Columns = append(h.Columns, storeColumn{name, e, hex.EncodeToString(sum[:])})
		if _, err := out.Write(raw); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	tail := append(text, sum[:]...)
	tail = binary.LittleEndian.AppendUint64(tail, uint64(len(text)))
	_, err = out.Write(append(tail, storeMagic...))
	return hex.EncodeToString(sum[:]), err
}

// DamageError says what of a store was altered or cut short.
type DamageError struct{ Path, What string }

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged: %s; remove it and import the data set's file again with `evalnas nasbench import FILE`", e.Path, e.What)
}

// errNoStore says that a file is of another kind.
var errNoStore = errors.New("it is no store of evalnas")

// readHeader reads and checks all but the columns.
func readHeader(in io.ReaderAt, size int64) (h storeHeader, digest string, err error) {
	if err := checkMagic(in, size); err != nil {
		return h, "", err
	}
	var tail [storeTail]byte
	if _, err := in.ReadAt(tail[:], size-int64(storeTail)); err != nil {
		return h, "", err
	}
	if string(tail[storeTail-len(storeMagic):]) != storeMagic {
		return h, "", errors.New("it does not end as a store does: it is cut short")
	}
	length := binary.LittleEndian.Uint64(tail[sha256.Size:])
	if length > maxHeader || int64(length) > size-int64(storeTail+len(storeMagic)) {
		return h, "", fmt.Errorf("its header has %d bytes", length)
	}
	text := make([]byte, length)
	if _, err := in.ReadAt(text, size-int64(storeTail)-int64(length)); err != nil {
		return h, "", err
	}
	if sum := sha256.Sum256(text); !bytes.Equal(sum[:], tail[:sha256.Size]) {
		return h, "", fmt.Errorf("its header has the SHA-256 %x, not %x", sum, tail[:sha256.Size])
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&h); err != nil {
		return h, "", fmt.Errorf("its header: %w", err)
	}
	return h, hex.EncodeToString(tail[:sha256.Size]), h.check(size - int64(storeTail) - int64(length))
}

func checkMagic(in io.ReaderAt, size int64) error {
	var start [len(storeMagic)]byte
	n, err := in.ReadAt(start[:], 0)
	if err != nil && err != io.EOF {
		return err
	}
	begins := string(start[:n])
	switch {
	case begins != storeMagic && len(begins) == len(storeMagic) && begins[:14] == storeMagic[:14]:
		return fmt.Errorf("it is a store of another version of evalnas (%q)", begins)
	case begins != storeMagic:
		return errNoStore
	case size < int64(len(storeMagic)+storeTail):
		return errors.New("it is cut short")
	}
	return nil
}

// check holds the header to what a store is; end is where its columns end.
func (h storeHeader) check(end int64) error {
	if h.Table != NASBench101Name || h.Repeats != fileRepeats {
		return fmt.Errorf("its header names the table %q with %d repeats", shorten(h.Table), h.Repeats)
	}
	s, err := space.NASBench101(h.MaxVertices)
	if err != nil {
		return err
	}
	if s.Len() != h.Cells {
		return fmt.Errorf("it has %d cells where %s has %d", h.Cells, s, s.Len())
	}
	last := 0
	for _, e := range h.Epochs {
		if e <= last || !slices.Contains(budgets[:], e) {
			return fmt.Errorf("its header has the epochs %v", h.Epochs)
		}
		last = e
	}
	names := columnNames(h.Epochs)
	if len(h.Epochs) == 0 || len(h.Columns) != len(names) {
		return fmt.Errorf("its header has %d columns where epochs of %v have %d", len(h.Columns), h.Epochs, len(names))
	}
	at := int64(len(storeMagic))
	for i, c := range h.Columns {
		width, err := c.Encoding.width()
		if err != nil {
			return fmt.Errorf("its column %d: %w", i, err)
		}
		if c.columnName != names[i] || (c.Encoding == wholeNumber) != (c.Name == paramsColumn) {
			return fmt.Errorf("its column %d is %+v in %s", i, c.columnName, c.Encoding)
		}
		at += int64(width) * int64(h.Cells)
	}
	if at != end {
		return fmt.Errorf("its columns have %d bytes where %d are needed: it is cut short or was added to", end-int64(len(storeMagic)), at-int64(len(storeMagic)))
	}
	return nil
}

// readColumn reads and checks a column's bytes.
func readColumn(path string, offset int64, size int, sum string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a table: %w", err)
	}
	defer f.Close()
	raw := make([]byte, size)
	if _, err := f.ReadAt(raw, offset); err != nil {
		return nil, fmt.Errorf("reading the table %s: %w", path, err)
	}
	if got := sha256.Sum256(raw); hex.EncodeToString(got[:]) != sum {
		return nil, &DamageError{path, fmt.Sprintf("the column at byte %d has the SHA-256 %x, not %s", offset, got, sum)}
	}
	return raw, nil
}
