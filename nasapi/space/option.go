package space

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Option is one value of a choice in the one form in which JSON writes it here: 8, 0.5,
// "conv3x3" or true. Equal values are equal options: 8, 8.0 and 8e0 are 8.
type Option string

// BoolOption is true or false.
func BoolOption(b bool) Option { return Option(strconv.FormatBool(b)) }

// StringOption is a text; it must be valid UTF-8.
func StringOption(s string) (Option, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("%q is no UTF-8 text", abbreviate(s))
	}
	return Option(quoteJSON(s)), nil
}

// plain says that a text stands in JSON as it is: names and options mostly do.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func quoteJSON(s string) string {
	if plain(s) {
		return `"` + s + `"`
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string into a buffer
	return strings.TrimSuffix(b.String(), "\n")
}

// NumberOption reads a decimal number. Integers keep all digits; other numbers are those
// of 64 bits.
func NumberOption(text string) (Option, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "-"), "+")
	if digits != "" && strings.Trim(digits, "0123456789") == "" && len(digits) <= 100 {
		i, _ := new(big.Int).SetString(text, 10)
		return Option(i.String()), nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) || strings.ContainsAny(text, "xX_pP") {
		return "", fmt.Errorf("%q is not a finite decimal number", abbreviate(text))
	}
	return FloatOption(v), nil
}

// exactFloat bounds the integers that 64-bit numbers hold one by one.
const exactFloat = 1 << 53

// FloatOption is a finite number.
func FloatOption(v float64) Option {
	if v == math.Trunc(v) && math.Abs(v) <= exactFloat {
		return Option(strconv.FormatInt(int64(v), 10))
	}
	return Option(strconv.FormatFloat(v, 'g', -1, 64))
}

// ParseOption reads a JSON scalar.
func ParseOption(raw json.RawMessage) (Option, error) {
	text := strings.TrimSpace(string(raw))
	switch {
	case text == "true" || text == "false":
		return Option(text), nil
	case len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' && plain(text[1:len(text)-1]):
		return Option(text), nil
	case strings.HasPrefix(text, `"`):
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", err
		}
		return StringOption(s)
	case text != "" && (text[0] == '-' || text[0] >= '0' && text[0] <= '9'):
		return NumberOption(text)
	}
	return "", fmt.Errorf("%s: an option is a number, a text, true or false", abbreviate(text))
}

func (o Option) kind() int {
	switch {
	case o == "true" || o == "false":
		return 0
	case strings.HasPrefix(string(o), `"`):
		return 2
	}
	return 1
}

// Compare orders false before true before numbers by value before texts.
func (o Option) Compare(p Option) int {
	if c := cmp.Compare(o.kind(), p.kind()); c != 0 || o == p {
		return c
	}
	if o.kind() == 1 {
		a, _ := strconv.ParseFloat(string(o), 64)
		b, _ := strconv.ParseFloat(string(p), 64)
		if c := cmp.Compare(a, b); c != 0 {
			return c
		}
		if x, ok := new(big.Int).SetString(string(o), 10); ok { // two large integers
			if y, ok := new(big.Int).SetString(string(p), 10); ok {
				return x.Cmp(y)
			}
		}
	}
	return strings.Compare(string(o), string(p))
}

// String is the option as a cell writes it: True rather than true.
func (o Option) String() string {
	switch o {
	case "true":
		return "True"
	case "false":
		return "False"
	}
	return string(o)
}

// Plain is the option without quotes, for labels.
func (o Option) Plain() string {
	var s string
	if o.kind() == 2 && json.Unmarshal([]byte(o), &s) == nil {
		return s
	}
	return o.String()
}
