package starlark

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"unicode/utf8"

	lib "go.starlark.net/starlark"
)

// percent is format % value with Python's flags, width and precision.
func percent(format string, arg lib.Value) (string, error) {
	p := &percentFormat{arg: arg, values: lib.Tuple{arg}}
	if t, ok := arg.(lib.Tuple); ok {
		p.values = t
	}
	s := format
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			p.b.WriteString(s)
			break
		}
		p.b.WriteString(s[:i])
		rest, err := p.directive(s[i+1:])
		if err != nil {
			return "", err
		}
		s = rest
	}
	if _, mapping := arg.(lib.Mapping); p.used < len(p.values) && !p.keyed && !mapping {
		return "", Named("TypeError", fmt.Errorf("%%: the format has %s, but %s given",
			count(p.used, "directive"), countWere(len(p.values), "value")))
	}
	return p.b.String(), nil
}

func countWere(n int, noun string) string { return count(n, noun) + " " + wasWere(n) }

type percentFormat struct {
	b      strings.Builder
	arg    lib.Value
	values lib.Tuple
	used   int
	keyed  bool
}

func (p *percentFormat) take() (lib.Value, error) {
	if p.used >= len(p.values) {
		return nil, Named("TypeError", fmt.Errorf("%%: the format has more directives than the %s given", countWere(len(p.values), "value")))
	}
	p.used++
	return p.values[p.used-1], nil
}

// directive writes what follows a % sign and returns the text after it.
func (p *percentFormat) directive(s string) (rest string, err error) {
	if strings.HasPrefix(s, "%") {
		p.b.WriteByte('%')
		return s[1:], nil
	}
	var v lib.Value
	if strings.HasPrefix(s, "(") {
		key, after, ok := strings.Cut(s[1:], ")")
		if !ok {
			return "", Named("ValueError", errors.New("%: a key has no closing parenthesis"))
		}
		if v, err = p.lookup(key); err != nil {
			return "", err
		}
		s = after
	}
	sp, s, err := p.spec(s)
	if err != nil {
		return "", err
	}
	if v == nil {
		if v, err = p.take(); err != nil {
			return "", err
		}
	}
	verb := s[0]
	text, err := percentValue(sp, verb, v)
	p.b.WriteString(text)
	return s[1:], err
}

func (p *percentFormat) lookup(key string) (lib.Value, error) {
	m, ok := p.arg.(lib.Mapping)
	if !ok {
		return nil, Named("TypeError", fmt.Errorf("%%: %%(%s) needs a dict on the right, not a value of type %s", key, pythonType(p.arg)))
	}
	p.keyed = true
	v, found, err := m.Get(lib.String(key))
	if err == nil && !found {
		err = Named("KeyError", fmt.Errorf("%%: key %q is not in the dict", key))
	}
	return v, err
}

// spec reads flags, width and precision up to the verb.
func (p *percentFormat) spec(s string) (sp spec, rest string, err error) {
	sp = spec{fill: ' ', align: '>', precision: -1}
	zero := false
	for ; s != "" && strings.IndexByte("-+ #0", s[0]) >= 0; s = s[1:] {
		switch s[0] {
		case '-':
			sp.align = '<'
		case '+', ' ':
			if sp.sign != '+' {
				sp.sign = s[0]
			}
		case '#':
			sp.alternate = true
		case '0':
			zero = true
		}
	}
	if sp.width, s, err = p.size(s); err != nil {
		return sp, "", err
	}
	if sp.width < -1 {
		sp.align, sp.width = '<', -sp.width
	}
	sp.width = max(sp.width, 0)
	if strings.HasPrefix(s, ".") {
		if sp.precision, s, err = p.size(s[1:]); err != nil {
			return sp, "", err
		}
		sp.precision = max(sp.precision, 0)
	}
	if zero && sp.align == '>' {
		sp.fill, sp.align = '0', '='
	}
	s = strings.TrimLeft(s, "hlL") // C's sizes mean nothing here, as in Python
	if s == "" {
		return sp, "", Named("ValueError", errors.New("%: the format ends in the middle of a directive; write %% for the letter"))
	}
	return sp, s, nil
}

// size reads a number or takes it from the values for a *.
func (p *percentFormat) size(s string) (n int, rest string, err error) {
	if !strings.HasPrefix(s, "*") {
		if n, rest, err = leadingInt(s); err != nil {
			err = Named("ValueError", errors.New("%: the width or precision is too large"))
		}
		return n, rest, err
	}
	v, err := p.take()
	if err != nil {
		return 0, "", err
	}
	i, err := asInt64(v)
	if err != nil || i > maxFormatWidth || i < -maxFormatWidth {
		return 0, "", Named("TypeError", fmt.Errorf("%%: * wants an integer up to %d, not %s", maxFormatWidth, describe(v)))
	}
	return int(i), s[1:], nil
}

func percentValue(sp spec, verb byte, v lib.Value) (string, error) {
	switch verb {
	case 's', 'r', 'a':
		c, err := converted(v, string(verb))
		if err != nil {
			return "", err
		}
		sp.fill = ' '
		if sp.align == '=' {
			sp.align = '>'
		}
		return sp.text(str(c)), nil
	case 'c':
		return percentLetter(sp, v)
	case 'd', 'i', 'u', 'o', 'x', 'X':
		n, err := percentInt(verb, v)
		if err != nil {
			return "", err
		}
		sp.verb = verb
		if verb == 'i' || verb == 'u' {
			sp.verb = 'd'
		}
		digits := sp.precision
		sp.precision = -1
		return sp.integerDigits(n, digits)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		x, ok := lib.AsFloat(v)
		if b, isBool := v.(lib.Bool); isBool {
			x, ok = float64(truth(b).Int64()), true
		}
		if !ok {
			return "", Named("TypeError", fmt.Errorf("%%%c wants a number, not %s", verb, describe(v)))
		}
		sp.verb = verb
		return sp.float(x)
	}
	r, _ := utf8.DecodeRuneInString(string(verb))
	return "", Named("ValueError", fmt.Errorf("%%%c is no conversion; write %%%% for the letter %%", r))
}

func percentLetter(sp spec, v lib.Value) (string, error) {
	sp.fill = ' '
	if sp.align == '=' {
		sp.align = '>'
	}
	if s, ok := lib.AsString(v); ok && utf8.RuneCountInString(s) == 1 {
		sp.precision = -1
		return sp.text(s), nil
	}
	if n, err := asInt64(v); err == nil && n >= 0 && n <= utf8.MaxRune {
		return sp.text(string(rune(n))), nil
	}
	return "", Named("TypeError", fmt.Errorf("%%c wants a letter or its code point, not %s", describe(v)))
}

// percentInt truncates floats for %d, as Python does, but not for %x and %o.
func percentInt(verb byte, v lib.Value) (lib.Int, error) {
	switch v := v.(type) {
	case lib.Int:
		return v, nil
	case lib.Bool:
		return lib.MakeBigInt(truth(v)), nil
	case lib.Float:
		if f := float64(v); strings.IndexByte("diu", verb) >= 0 && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return lib.NumberToInt(v)
		}
	}
	return lib.Int{}, Named("TypeError", fmt.Errorf("%%%c wants an integer, not %s", verb, describe(v)))
}

// integerDigits writes at least so many digits; -1 is for no such wish.
func (p spec) integerDigits(n lib.Int, digits int) (string, error) {
	s, err := spec{fill: '0', align: '=', width: max(digits, 0), precision: -1, verb: p.verb}.integer(new(big.Int).Abs(n.BigInt()))
	if err != nil {
		return "", err
	}
	prefix := ""
	if p.alternate {
		switch p.verb {
		case 'o':
			prefix = "0o"
		case 'x', 'X':
			prefix = "0" + string(p.verb)
		}
	}
	return p.number(n.Sign() < 0, prefix, s, "", 3), nil
}
