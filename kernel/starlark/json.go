package starlark

import (
	"fmt"

	starjson "go.starlark.net/lib/json"
	lib "go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// jsonModule is the interpreter's json with bounds, for it has none: a list
// that holds another a thousand times, over a few levels, is a text beyond all
// memory, and brackets nested too deeply are beyond the stack.
func jsonModule() *starlarkstruct.Module {
	checks := map[string]func(*run, lib.Value) error{
		"encode":        (*run).encodable,
		"encode_indent": (*run).encodable,
		"decode":        decodable,
	}
	m := &starlarkstruct.Module{Name: "json", Members: lib.StringDict{}}
	for name, v := range starjson.Module.Members {
		m.Members[name] = v
		b, check := v.(*lib.Builtin), checks[name]
		if check == nil {
			continue
		}
		m.Members[name] = lib.NewBuiltin(b.Name(), func(th *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
			if len(args) > 0 {
				if err := check(running(th), args[0]); err != nil {
					return nil, fmt.Errorf("%s: %w", b.Name(), err)
				}
			}
			return b.CallInternal(th, args, kwargs)
		})
	}
	return m
}

// encodable refuses values whose text is too long. What cannot be encoded, and
// cycles, are left for the encoder to tell of.
func (r *run) encodable(v lib.Value) error {
	return (&measure{run: r}).value(v, 0)
}

// measure counts what a value's text takes at least, with all that it holds.
type measure struct {
	run   *run
	size  int
	steps int
}

func (m *measure) value(v lib.Value, depth int) error {
	m.size += 2
	if s, ok := lib.AsString(v); ok {
		m.size += len(s)
	}
	if m.size > maxText {
		return errTextTooLong
	}
	if m.steps++; m.steps&0xfff == 0 && m.run.ctx.Err() != nil {
		return m.run.ctx.Err()
	}
	if depth > maxNesting {
		return nil // a cycle, or too deep to multiply further
	}
	switch v := v.(type) {
	case *lib.Dict:
		for key, value := range v.Entries() {
			if err := m.value(key, depth+1); err != nil {
				return err
			}
			if err := m.value(value, depth+1); err != nil {
				return err
			}
		}
	case *lib.List, lib.Tuple, *lib.Set:
		for x := range lib.Elements(v.(lib.Iterable)) {
			if err := m.value(x, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxJSONDepth is what Python's json reads about ten times over.
const maxJSONDepth = 10_000

// decodable refuses texts with numbers or nesting without end.
func decodable(_ *run, v lib.Value) error {
	s, _ := lib.AsString(v)
	if len(s) <= maxJSONDepth {
		return nil
	}
	depth, digits, quoted := 0, 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted:
			if c == '\\' {
				i++
			}
			quoted = c != '"'
			continue
		case c == '"':
			quoted = true
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case isDigit(rune(c)):
			if digits++; digits > maxDigits {
				return tooManyDigits(digits)
			}
			continue
		}
		if digits = 0; depth > maxJSONDepth {
			return Named("ValueError", fmt.Errorf("the text nests more than %d lists and dicts: give one that is flatter", maxJSONDepth))
		}
	}
	return nil
}
