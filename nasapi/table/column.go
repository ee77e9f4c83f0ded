package table

import (
	"encoding/binary"
	"fmt"
	"math"
)

// encoding is how the numbers of a column lie in a store: the shortest way that gives back
// every one of them to the bit.
type encoding string

const (
	// images right of 9,984 in two bytes; a value is their quotient,
	countDouble encoding = "count"
	// or their quotient rounded to single precision, as TensorFlow wrote it.
	countSingle encoding = "count32"

	singlePrecision encoding = "float32"
	doublePrecision encoding = "float64"

	wholeNumber encoding = "int32" // of parameters
)

// width is the bytes of one number.
func (e encoding) width() (int, error) {
	switch e {
	case countDouble, countSingle:
		return 2, nil
	case singlePrecision, wholeNumber:
		return 4, nil
	case doublePrecision:
		return 8, nil
	}
	return 0, fmt.Errorf("unknown encoding %q", shorten(string(e)))
}

// counted says that a column holds numbers of images.
func (e encoding) counted() bool { return e == countDouble || e == countSingle }

// ofCount is the accuracy of a number of images right.
func (e encoding) ofCount(k int) float64 {
	v := float64(k) / images
	if e == countSingle {
		return float64(float32(v))
	}
	return v
}

// shortest finds the encoding of a column.
func shortest(values []float64) encoding {
	for _, e := range []encoding{countDouble, countSingle, singlePrecision} {
		if e.holds(values) {
			return e
		}
	}
	return doublePrecision
}

func (e encoding) holds(values []float64) bool {
	for _, v := range values {
		back := float64(float32(v))
		if e.counted() {
			if !(v >= 0 && v <= 1) {
				return false
			}
			back = e.ofCount(countOf(v))
		}
		if math.Float64bits(back) != math.Float64bits(v) {
			return false
		}
	}
	return true
}

// countOf is the number of images that an accuracy stands for.
func countOf(v float64) int { return int(math.Round(v * images)) }

// encode appends a column's numbers.
func (e encoding) encode(out []byte, values []float64) []byte {
	for _, v := range values {
		switch e {
		case countDouble, countSingle:
			out = binary.LittleEndian.AppendUint16(out, uint16(countOf(v)))
		case singlePrecision:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(v)))
		case wholeNumber:
			out = binary.LittleEndian.AppendUint32(out, uint32(int32(v)))
		default:
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
		}
	}
	return out
}

// value decodes number i of a column.
func (e encoding) value(raw []byte, i int) float64 {
	switch e {
	case countDouble, countSingle:
		return e.ofCount(e.count(raw, i))
	case singlePrecision:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	case wholeNumber:
		return float64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
}

// count is number i of a counted column.
func (e encoding) count(raw []byte, i int) int { return int(binary.LittleEndian.Uint16(raw[2*i:])) }
