// Package safetensors reads and writes files of named arrays in the format of that
// name: 8 bytes with the length of the header (little-endian), the header, a JSON object
// of {"dtype", "shape", "data_offsets"} by name and of text by name under
// "__metadata__", and the numbers, little-endian, row-major and without gaps.
//
// Of its types the two that the state of a network needs are known: F32 and I64.
package safetensors

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// Tensor is a named array: of floats, or of integers where Ints is not nil.
type Tensor struct {
	Name   string
	Shape  []int // none: a single number
	Floats []float32
	Ints   []int64
}

func (t Tensor) dtype() string {
	if t.Ints != nil {
		return i64
	}
	return f32
}

func (t Tensor) len() int { return len(t.Floats) + len(t.Ints) }

const (
	f32 = "F32"
	i64 = "I64"
	// metadataKey is the one name that no tensor can have.
	metadataKey = "__metadata__"
)

// width is the bytes that a number of a type takes, 0 for an unknown type.
func width(dtype string) int {
	switch dtype {
	case f32:
		return 4
	case i64:
		return 8
	}
	return 0
}

// Bounds on what is read, far above any network's.
const (
	maxHeader = 32 << 20
	maxNumber = 1 << 40 // of a shape's dimension, and of numbers in a tensor
)

// entry is a tensor's description in the header.
type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// Write writes tensors of different names, and metadata if there is any. Integers come
// first in the data, so that every number is aligned.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	ordered := slices.Clone(tensors)
	slices.SortStableFunc(ordered, func(a, b Tensor) int { return cmp.Compare(width(b.dtype()), width(a.dtype())) })
	header, err := header(ordered, metadata)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], uint64(len(header)))
	out.Write(number[:])
	out.Write(header)
	for _, t := range ordered {
		for _, v := range t.Ints {
			binary.LittleEndian.PutUint64(number[:], uint64(v))
			out.Write(number[:])
		}
		for _, v := range t.Floats {
			binary.LittleEndian.PutUint32(number[:4], math.Float32bits(v))
			out.Write(number[:4])
		}
	}
	return out.Flush() // with the first error of those before
}

// header is the JSON, filled up with blanks to a multiple of 8 bytes.
func header(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	object := map[string]any{}
	if len(metadata) > 0 {
		object[metadataKey] = metadata
	}
	at := int64(0)
	for _, t := range tensors {
		if _, twice := object[t.Name]; twice || t.Name == metadataKey {
			return nil, fmt.Errorf("safetensors: the name %.60q is taken", t.Name)
		}
		shape := make([]int64, len(t.Shape))
		count := 1
		for i, d := range t.Shape {
			shape[i] = int64(d)
			count *= d
		}
		if count != t.len() || t.Floats != nil && t.Ints != nil {
			return nil, fmt.Errorf("safetensors: %s has %d numbers for the shape %v", t.Name, t.len(), t.Shape)
		}
		end := at + int64(t.len()*width(t.dtype()))
		object[t.Name] = entry{t.dtype(), shape, [2]int64{at, end}}
		at = end
	}
	text, err := json.Marshal(object) // keys in order
	if err != nil {
		return nil, err
	}
	return append(text, bytes.Repeat([]byte{' '}, -len(text)&7)...), nil
}

// Read reads a whole file's content: the tensors in the order of their data, and the
// metadata, nil if there is none. The error says what is wrong and where.
func Read(data []byte) ([]Tensor, map[string]string, error) {
	if len(data) < 8 {
		return nil, nil, fmt.Errorf("safetensors: %d bytes are too few: a file begins with 8 that count its header's", len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	rest := data[8:]
	if length > maxHeader || length > uint64(len(rest)) {
		return nil, nil, fmt.Errorf("safetensors: the header is said to have %d bytes; the file goes on for %d, and at most %d are read: it is cut short or of another format", length, len(rest), maxHeader)
	}
	entries, metadata, err := parse(rest[:length])
	if err != nil {
		return nil, nil, err
	}
	tensors, err := collect(entries, rest[length:])
	return tensors, metadata, err
}

// named is an entry with its name.
type named struct {
	name string
	entry
}

func parse(header []byte) ([]named, map[string]string, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(header, &object); err != nil {
		return nil, nil, fmt.Errorf("safetensors: the header is not a JSON object: %w", err)
	}
	var metadata map[string]string
	var entries []named
	for name, raw := range object {
		if name == metadataKey {
			if err := json.Unmarshal(raw, &metadata); err != nil {
				return nil, nil, fmt.Errorf("safetensors: %s is not text by name: %w", metadataKey, err)
			}
			continue
		}
		e := named{name: name}
		if err := json.Unmarshal(raw, &e.entry); err != nil {
			return nil, nil, fmt.Errorf("safetensors: %.60q is not described by dtype, shape and data_offsets: %w", name, err)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.Offsets[0], b.Offsets[0]), cmp.Compare(a.Offsets[1], b.Offsets[1]), cmp.Compare(a.name, b.name))
	})
	return entries, metadata, nil
}

// collect cuts the data up. The entries must cover it without gaps, in order.
func collect(entries []named, data []byte) ([]Tensor, error) {
	var tensors []Tensor
	at := int64(0)
	for _, e := range entries {
		count, err := e.count()
		if err != nil {
			return nil, err
		}
		begin, end := e.Offsets[0], e.Offsets[1]
		if begin != at || end-begin != count*int64(width(e.DType)) || end > int64(len(data)) {
			return nil, fmt.Errorf("safetensors: %.60q of %d numbers is said to lie at bytes %d to %d; the data before it ends at %d and all of it at %d",
				e.name, count, begin, end, at, len(data))
		}
		tensors = append(tensors, e.decode(data[begin:end]))
		at = end
	}
	if at != int64(len(data)) {
		return nil, fmt.Errorf("safetensors: %d bytes of data belong to no tensor", int64(len(data))-at)
	}
	return tensors, nil
}

// count is the number of numbers of a shape.
func (e named) count() (int64, error) {
	if width(e.DType) == 0 {
		return 0, fmt.Errorf("safetensors: %.60q is of the type %.20q; only %s and %s are read", e.name, e.DType, f32, i64)
	}
	count := int64(1)
	for _, d := range e.Shape {
		if d < 0 || d > maxNumber || d > 0 && count > maxNumber/d {
			return 0, fmt.Errorf("safetensors: %.60q has the shape %v", e.name, e.Shape)
		}
		count *= d
	}
	return count, nil
}

func (e named) decode(raw []byte) Tensor {
	t := Tensor{Name: e.name}
	for _, d := range e.Shape {
		t.Shape = append(t.Shape, int(d))
	}
	if e.DType == i64 {
		t.Ints = make([]int64, len(raw)/8)
		for i := range t.Ints {
			t.Ints[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
		}
		return t
	}
	t.Floats = make([]float32, len(raw)/4)
	for i := range t.Floats {
		t.Floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return t
}
