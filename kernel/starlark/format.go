package starlark

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	lib "go.starlark.net/starlark"
)

// A spec is a format specification, [[fill]align][sign][#][0][width][,][.precision][type],
// as in Python's str.format.
type spec struct {
	fill      rune
	align     byte // < > = ^, 0 for the type's own
	sign      byte // + - or space, 0 for -
	alternate bool
	width     int
	group     byte // , or _
	precision int  // -1 if not given
	verb      byte // 0 if not given
}

// maxFormatWidth bounds what one replacement can add to a string.
const maxFormatWidth = 1 << 16

func parseSpec(s string) (spec, error) {
	p := spec{fill: ' ', precision: -1}
	whole := s
	bad := func(why string) (spec, error) {
		return p, Named("ValueError", fmt.Errorf("format: %q is no format specification: %s; it is [[fill]align][sign][0][width][,][.precision][type], such as .3f, >10, +.2e, 6d, .1%%", whole, why))
	}
	if r, n := utf8.DecodeRuneInString(s); n > 0 && len(s) > n && strings.IndexByte("<>=^", s[n]) >= 0 {
		p.fill, p.align, s = r, s[n], s[n+1:]
	} else if s != "" && strings.IndexByte("<>=^", s[0]) >= 0 {
		p.align, s = s[0], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		p.sign, s = s[0], s[1:]
	}
	if strings.HasPrefix(s, "#") {
		p.alternate, s = true, s[1:]
	}
	if strings.HasPrefix(s, "0") {
		s = s[1:]
		if p.align == 0 {
			p.fill, p.align = '0', '='
		}
	}
	var err error
	if p.width, s, err = leadingInt(s); err != nil {
		return bad("the width is too large")
	}
	p.width = max(p.width, 0)
	if s != "" && (s[0] == ',' || s[0] == '_') {
		p.group, s = s[0], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		if p.precision, s, err = leadingInt(s[1:]); err != nil {
			return bad("the precision is too large")
		}
		if p.precision < 0 {
			return bad("there is no number after the point")
		}
	}
	if s != "" {
		p.verb, s = s[0], s[1:]
	}
	if s != "" || p.verb != 0 && strings.IndexByte("bcdoxXneEfFgGs%", p.verb) < 0 {
		return bad("the type is not one of b c d o x X e E f F g G n s %")
	}
	return p, nil
}

// leadingInt reads a number, -1 where there is none.
func leadingInt(s string) (n int, rest string, err error) {
	i := 0
	for i < len(s) && isDigit(rune(s[i])) {
		i++
	}
	if i == 0 {
		return -1, s, nil
	}
	n, err = strconv.Atoi(s[:i])
	if err == nil && n > maxFormatWidth {
		err = errTooLarge
	}
	return n, s[i:], err
}

// formatValue writes a value by a specification. Values that are no number
// are written as their text; the specification's width and precision apply.
func formatValue(v lib.Value, text string) (string, error) {
	if text == "" {
		return str(v), nil
	}
	p, err := parseSpec(text)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case lib.Int:
		return p.integer(v.BigInt())
	case lib.Bool:
		if p.verb == 0 || p.verb == 's' {
			break
		}
		return p.integer(truth(v))
	case lib.Float:
		if p.verb != 0 && strings.IndexByte("eEfFgGn%", p.verb) < 0 {
			return "", p.wrongType(v)
		}
		return p.float(float64(v))
	}
	if p.verb != 0 && p.verb != 's' || p.sign != 0 || p.align == '=' && p.fill != '0' {
		return "", p.wrongType(v)
	}
	return p.text(str(v)), nil
}

func truth(b lib.Bool) *big.Int {
	if b {
		return big.NewInt(1)
	}
	return new(big.Int)
}

func (p spec) wrongType(v lib.Value) error {
	verb := ""
	if p.verb != 0 {
		verb = " '" + string(p.verb) + "'"
	}
	return Named("ValueError", fmt.Errorf("format: a value of type %s cannot be written by the number format%s", pythonType(v), verb))
}

// pythonType is the type's name as Python has it.
func pythonType(v lib.Value) string {
	if name, ok := typeBuiltins[v.Type()]; ok {
		return name
	}
	return v.Type()
}

func (p spec) text(s string) string {
	if p.precision >= 0 {
		if r := []rune(s); len(r) > p.precision {
			s = string(r[:p.precision])
		}
	}
	if p.align == 0 || p.align == '=' {
		p.align = '<'
	}
	return p.pad("", s)
}

func (p spec) integer(n *big.Int) (string, error) {
	if p.verb != 0 && strings.IndexByte("eEfFgG%", p.verb) >= 0 {
		f, _ := new(big.Float).SetInt(n).Float64()
		if math.IsInf(f, 0) {
			return "", Named("OverflowError", errors.New("format: the integer is too large for a float"))
		}
		return p.float(f)
	}
	if p.precision >= 0 {
		return "", Named("ValueError", errors.New("format: an integer takes no precision; write f as the type, as in .2f"))
	}
	base, prefix := 10, ""
	switch p.verb {
	case 's':
		return "", p.wrongType(lib.MakeBigInt(n))
	case 'c':
		if !n.IsInt64() || n.Int64() < 0 || n.Int64() > utf8.MaxRune {
			return "", Named("OverflowError", fmt.Errorf("format: %v is no code point", n))
		}
		return p.text(string(rune(n.Int64()))), nil
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0"+string(p.verb)
	}
	digits := new(big.Int).Abs(n).Text(base)
	if p.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if !p.alternate {
		prefix = ""
	}
	every := 3
	if base != 10 {
		every = 4
	}
	return p.number(n.Sign() < 0, prefix, digits, "", every), nil
}

func (p spec) float(x float64) (string, error) {
	negative := math.Signbit(x) && !math.IsNaN(x)
	x = math.Abs(x)
	percent := ""
	precision := p.precision
	verb := p.verb
	if precision < 0 {
		precision = 6
	}
	if verb == '%' {
		x, verb, percent = x*100, 'f', "%"
	}
	var s string
	switch {
	case math.IsNaN(x):
		s = "nan"
	case math.IsInf(x, 0):
		s = "inf"
	default:
		s = floatDigits(x, verb, precision, p.precision >= 0, p.alternate)
	}
	if strings.IndexByte("EFG", verb) >= 0 {
		s = strings.ToUpper(s)
	}
	whole, rest := s, ""
	if i := strings.IndexAny(s, ".eE"); i >= 0 {
		whole, rest = s[:i], s[i:]
	}
	return p.number(negative, "", whole, rest+percent, 3), nil
}

func floatDigits(x float64, verb byte, precision int, given, alternate bool) string {
	switch verb {
	case 'e', 'E':
		return strconv.FormatFloat(x, 'e', precision, 64)
	case 'f', 'F':
		return strconv.FormatFloat(x, 'f', precision, 64)
	case 0:
		if !given {
			return floatText(x)
		}
		// As g, but with a digit after the point and the exponent one sooner.
		s := strconv.FormatFloat(x, 'g', max(precision, 1), 64)
		if e := exponent(x, max(precision, 1)); !strings.Contains(s, "e") && e >= precision-1 && precision > 0 && e > 0 {
			return trimZeros(strconv.FormatFloat(x, 'e', max(precision, 1)-1, 64))
		}
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s
	}
	precision = max(precision, 1)
	if alternate {
		if e := exponent(x, precision); e >= -4 && e < precision {
			return strconv.FormatFloat(x, 'f', precision-1-e, 64)
		}
		return strconv.FormatFloat(x, 'e', precision-1, 64)
	}
	return strconv.FormatFloat(x, 'g', precision, 64)
}

// exponent is the decimal exponent of x rounded to a number of digits.
func exponent(x float64, digits int) int {
	s := strconv.FormatFloat(x, 'e', digits-1, 64)
	e, err := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if err != nil {
		return 0 // not reached: FormatFloat writes a number
	}
	return e
}

// trimZeros takes the zeros off the end of a mantissa.
func trimZeros(s string) string {
	mantissa, exp, _ := strings.Cut(s, "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	return mantissa + "e" + exp
}

// floatText is Python's repr of a float: the shortest digits that give the
// same number, with an exponent below 1e-4 and from 1e16 on.
func floatText(x float64) string {
	switch {
	case math.IsNaN(x):
		return "nan"
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	}
	if a := math.Abs(x); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// number joins sign, prefix, grouped digits and rest, and pads them.
func (p spec) number(negative bool, prefix, digits, rest string, every int) string {
	sign := ""
	switch {
	case negative:
		sign = "-"
	case p.sign == '+' || p.sign == ' ':
		sign = string(p.sign)
	}
	if p.align == 0 {
		p.align = '>'
	}
	if p.group != 0 {
		room := 0
		if p.fill == '0' && p.align == '=' {
			room = p.width - len(sign) - len(prefix) - len(rest)
		}
		digits = grouped(digits, p.group, every, room)
	}
	return p.pad(sign+prefix, digits+rest)
}

// grouped separates digits; where zeros fill the width they are grouped too.
func grouped(digits string, sep byte, every, room int) string {
	var out []byte
	for i, n := len(digits)-1, 0; i >= 0 || len(out) < room; i, n = i-1, n+1 {
		if n > 0 && n%every == 0 {
			out = append(out, sep)
		}
		if i >= 0 {
			out = append(out, digits[i])
		} else {
			out = append(out, '0')
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

func (p spec) pad(head, body string) string {
	n := p.width - utf8.RuneCountInString(head) - utf8.RuneCountInString(body)
	if n <= 0 {
		return head + body
	}
	fill := func(n int) string { return strings.Repeat(string(p.fill), n) }
	switch p.align {
	case '<':
		return head + body + fill(n)
	case '^':
		return fill(n/2) + head + body + fill(n-n/2)
	case '=':
		return head + fill(n) + body
	}
	return fill(n) + head + body
}

// converted applies !r, !s or !a.
func converted(v lib.Value, conv string) (lib.Value, error) {
	switch conv {
	case "":
		return v, nil
	case "r":
		return lib.String(repr(v)), nil
	case "s":
		return lib.String(str(v)), nil
	case "a":
		q := strconv.QuoteToASCII(repr(v))
		return lib.String(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)), nil
	}
	return nil, Named("ValueError", fmt.Errorf("format: the conversion !%s is not one of !r, !s, !a", conv))
}

// A template is a str.format call that is being filled in.
type template struct {
	args   lib.Tuple
	kwargs []lib.Tuple
	next   int // the next argument of {}
	mode   int // 1 once {} was used, 2 once {0} was
}

// expand fills in a template of str.format. depth counts fields inside
// specifications.
func (t *template) expand(s string, depth int) (string, error) {
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		if i+1 < len(s) && s[i+1] == s[i] && depth == 0 {
			b.WriteByte(s[i])
			s = s[i+2:]
			continue
		}
		if s[i] == '}' {
			return "", Named("ValueError", errors.New("format: a single '}' in the format; write }} for the letter"))
		}
		end := fieldEnd(s[i:])
		if end < 0 {
			return "", Named("ValueError", errors.New("format: a '{' without its '}'; write {{ for the letter"))
		}
		text, err := t.field(s[i+1:i+end], depth)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		s = s[i+end+1:]
	}
	return b.String(), nil
}

// fieldEnd is the offset of the brace that closes the one s starts with.
func fieldEnd(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (t *template) field(s string, depth int) (string, error) {
	if depth > 1 {
		return "", Named("ValueError", errors.New("format: fields are nested too deeply"))
	}
	name, spec, conv := s, "", ""
	if i := strings.IndexAny(s, "!:"); i >= 0 {
		name, spec = s[:i], s[i:]
	}
	if strings.HasPrefix(spec, "!") {
		conv, spec, _ = strings.Cut(spec[1:], ":")
		if conv == "" {
			return "", Named("ValueError", errors.New("format: there is no conversion after the '!'; it is one of !r, !s, !a"))
		}
	} else {
		spec = strings.TrimPrefix(spec, ":")
	}
	v, err := t.lookup(name)
	if err != nil {
		return "", err
	}
	if spec, err = t.expand(spec, depth+1); err != nil {
		return "", err
	}
	if v, err = converted(v, conv); err != nil {
		return "", err
	}
	return formatValue(v, spec)
}

// lookup finds what a field name such as 0.name[key] stands for.
func (t *template) lookup(name string) (lib.Value, error) {
	head, path := name, ""
	if i := strings.IndexAny(name, ".["); i >= 0 {
		head, path = name[:i], name[i:]
	}
	v, err := t.argument(head)
	for err == nil && path != "" {
		if path[0] == '.' {
			n := len(path)
			if i := strings.IndexAny(path[1:], ".["); i >= 0 {
				n = i + 1
			}
			v, err = attr(v, path[1:n])
			path = path[n:]
			continue
		}
		key, rest, ok := strings.Cut(path[1:], "]")
		if !ok {
			return nil, Named("ValueError", fmt.Errorf("format: a ']' is missing in %q", name))
		}
		v, err = item(v, key)
		path = rest
	}
	return v, err
}

func (t *template) argument(head string) (lib.Value, error) {
	index, mode := t.next, 1
	if n, err := strconv.Atoi(head); err == nil && n >= 0 {
		index, mode = n, 2
	} else if head != "" {
		for _, kv := range t.kwargs {
			if kv[0] == lib.String(head) {
				return kv[1], nil
			}
		}
		return nil, Named("KeyError", fmt.Errorf("format: the field {%s} has no value: pass %s=...", head, head))
	}
	if t.mode != 0 && t.mode != mode {
		return nil, Named("ValueError", errors.New("format: {} and {0} cannot be mixed"))
	}
	t.mode = mode
	if mode == 1 {
		t.next++
	}
	if index >= len(t.args) {
		return nil, Named("IndexError", fmt.Errorf("format: there is no value for field %d, only %s given", index, count(len(t.args), "value")))
	}
	return t.args[index], nil
}

// attr is x.name.
func attr(x lib.Value, name string) (lib.Value, error) {
	if h, ok := x.(lib.HasAttrs); ok {
		v, err := h.Attr(name)
		if v != nil || err != nil {
			return v, err
		}
	}
	return nil, fmt.Errorf("%s has no .%s field or method", x.Type(), name)
}

// item is x[key] as a format names it: digits are an index.
func item(x lib.Value, key string) (lib.Value, error) {
	if n, err := strconv.Atoi(key); err == nil {
		if ix, ok := x.(lib.Indexable); ok {
			if n < 0 || n >= ix.Len() {
				return nil, Named("IndexError", fmt.Errorf("format: index %d out of range: the %s has %d elements", n, x.Type(), ix.Len()))
			}
			return ix.Index(n), nil
		}
		if v, found, err := get(x, lib.MakeInt(n)); found || err != nil {
			return v, err
		}
	}
	v, found, err := get(x, lib.String(key))
	if err == nil && !found {
		err = Named("KeyError", fmt.Errorf("format: key %q not in %s", key, x.Type()))
	}
	return v, err
}

func get(x, key lib.Value) (lib.Value, bool, error) {
	m, ok := x.(lib.Mapping)
	if !ok {
		return nil, false, Named("TypeError", fmt.Errorf("format: a value of type %s has no [...]", x.Type()))
	}
	return m.Get(key)
}
