package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// npyArray is an array as NumPy stores it (the NPY format, versions 1 to 3).
type npyArray struct {
	kind    byte // 'u', 'i', 'f' or 'b'
	size    int  // bytes an element
	order   binary.ByteOrder
	fortran bool
	shape   []int
	data    []byte
}

// npyHeader is how NumPy writes it: the keys in alphabetical order.
var npyHeader = regexp.MustCompile(`^\{\s*'descr'\s*:\s*'([^']*)'\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,\s*'shape'\s*:\s*\(([0-9L, ]*)\)\s*,?\s*\}\s*$`)

// readNPY reads an array; what follows it in r is an error.
func readNPY(r io.Reader) (*npyArray, error) {
	text, err := readNPYHeader(r)
	if err != nil {
		return nil, err
	}
	m := npyHeader.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("its header is %.200q; arrays of numbers of one type can be read", text)
	}
	a := &npyArray{fortran: m[2] == "True"}
	if err := a.setType(m[1]); err != nil {
		return nil, err
	}
	if a.shape, err = npyShape(m[3]); err != nil {
		return nil, err
	}
	want := int64(a.n()) * int64(a.size)
	// The shape is not to be believed yet: take memory as the bytes come.
	a.data, err = io.ReadAll(io.LimitReader(r, want+1))
	switch got := int64(len(a.data)); {
	case got == want && err == nil:
		return a, nil
	case got > want:
		return nil, fmt.Errorf("it has more than the %d bytes that its shape %v takes", want, a.shape)
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("it was altered: %w", err)
	default:
		return nil, fmt.Errorf("it was cut short: %d bytes of the %d that its shape %v takes; it ends in element %d of the first axis", got, want, a.shape, got/max(want/int64(a.shape[0]), 1))
	}
}

func readNPYHeader(r io.Reader) (string, error) {
	var start [10]byte
	if _, err := io.ReadFull(r, start[:8]); err != nil || string(start[:6]) != "\x93NUMPY" {
		return "", errors.New("it is no NumPy array, or was cut short")
	}
	length := 2
	switch start[6] {
	case 1:
	case 2, 3:
		length = 4
	default:
		return "", fmt.Errorf("it is version %d of the NPY format; 1 to 3 can be read", start[6])
	}
	field := make([]byte, 4)
	if _, err := io.ReadFull(r, field[:length]); err != nil {
		return "", errors.New("it was cut short in its header")
	}
	n := binary.LittleEndian.Uint32(field)
	if n > 1<<16 {
		return "", fmt.Errorf("its header is said to be %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", errors.New("it was cut short in its header")
	}
	return string(text), nil
}

// setType reads a type such as "<f4" or "|u1".
func (a *npyArray) setType(descr string) error {
	refused := fmt.Errorf("its type is %.40q; unsigned and signed integers, bool and floats of 2, 4 or 8 bytes can be read", descr)
	if len(descr) != 3 {
		return refused
	}
	switch descr[0] {
	case '<', '|', '=':
		a.order = binary.LittleEndian
	case '>':
		a.order = binary.BigEndian
	default:
		return refused
	}
	a.kind, a.size = descr[1], int(descr[2]-'0')
	switch descr[1:] {
	case "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "b1":
		return nil
	}
	return refused
}

func npyShape(text string) ([]int, error) {
	var shape []int
	size := 1
	for _, field := range strings.Split(text, ",") {
		field = strings.TrimSuffix(strings.TrimSpace(field), "L")
		if field == "" {
			continue
		}
		d, err := strconv.Atoi(field)
		if err != nil || d < 1 || size > 1<<43/d {
			return nil, fmt.Errorf("its shape is (%.100s); sizes are 1 or more, and fit into memory", text)
		}
		size *= d
		shape = append(shape, d)
	}
	if len(shape) == 0 {
		return nil, errors.New("it is a single number")
	}
	return shape, nil
}

// n is the number of elements.
func (a *npyArray) n() int {
	n := 1
	for _, d := range a.shape {
		n *= d
	}
	return n
}

// strides are the distances, in elements, of neighbours along each axis.
func (a *npyArray) strides() []int {
	s := make([]int, len(a.shape))
	step := 1
	for k := range s {
		axis := len(s) - 1 - k
		if a.fortran {
			axis = k
		}
		s[axis] = step
		step *= a.shape[axis]
	}
	return s
}

// at is an element, by its place in memory. Every integer up to 2^53 is exact.
func (a *npyArray) at(i int) float64 {
	b := a.data[i*a.size : (i+1)*a.size]
	var bits uint64
	switch a.size {
	case 1:
		bits = uint64(b[0])
	case 2:
		bits = uint64(a.order.Uint16(b))
	case 4:
		bits = uint64(a.order.Uint32(b))
	case 8:
		bits = a.order.Uint64(b)
	}
	switch a.kind {
	case 'f':
		return floatOf(bits, a.size)
	case 'i':
		unused := 64 - 8*a.size
		return float64(int64(bits<<unused) >> unused)
	}
	return float64(bits)
}

func floatOf(bits uint64, size int) float64 {
	switch size {
	case 8:
		return math.Float64frombits(bits)
	case 4:
		return float64(math.Float32frombits(uint32(bits)))
	}
	// IEEE half: 1 sign, 5 exponent, 10 fraction bits.
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 31:
		v = math.Inf(1)
		if fraction != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if bits>>15 == 1 {
		v = -v
	}
	return v
}
