package stats

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// Number is a quantity that the data may leave undefined. The zero value is undefined.
// In JSON it is a number or null.
type Number struct {
	Value   float64
	Defined bool
}

// Defined is v, or undefined where v is not finite.
func Defined(v float64) Number {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Number{}
	}
	return Number{v, true}
}

// number is what a function of this package returned, undefined where that was an error.
func number(v float64, err error) Number {
	if err != nil {
		return Number{}
	}
	return Defined(v)
}

// OrNaN is the value, or NaN where it is undefined: for figures, which leave a gap there.
func (n Number) OrNaN() float64 {
	if !n.Defined {
		return math.NaN()
	}
	return n.Value
}

// Pointer is nil where the number is undefined.
func (n Number) Pointer() *float64 {
	if !n.Defined {
		return nil
	}
	return &n.Value
}

// String is the shortest text of the value, or "undefined".
func (n Number) String() string {
	if !n.Defined {
		return ErrUndefined.Error()
	}
	return strconv.FormatFloat(n.Value, 'g', -1, 64)
}

// MarshalJSON writes a number or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Defined {
		return []byte("null"), nil
	}
	return json.Marshal(n.Value)
}

// UnmarshalJSON reads a number or null.
func (n *Number) UnmarshalJSON(data []byte) error {
	var v *float64
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	*n = Number{}
	if v != nil {
		*n = Number{*v, true}
	}
	return nil
}

// Deviation is the standard deviation that a variance is of.
func (n Number) Deviation() Number {
	if !n.Defined || n.Value < 0 {
		return Number{}
	}
	return Defined(math.Sqrt(n.Value))
}

// Reason is the text of an error of this package as a table's cell has it: "undefined: all
// values equal". Other errors are told as they are.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	if !errors.Is(err, ErrUndefined) {
		return err.Error()
	}
	// What comes before names the operation, which the cell's column does.
	text := err.Error()
	return text[max(strings.Index(text, ErrUndefined.Error()), 0):]
}
