package starlark

import (
	"errors"
	"fmt"
	"strings"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Names that preparing writes into the text. They begin with a letter that no
// keyboard offers, and mean nothing to completion.
const (
	hiddenMark  = "ƒ"
	fstringName = "ƒstr"    // the parts of an f-string
	powerName   = "ƒpow"    // a ** b
	assertName  = "ƒassert" // assert a, b
	importName  = "ƒimport" // import a, b
	fromName    = "ƒfrom"   // from a import b
	setName     = "ƒset"    // {a, b}
	ticName     = "ƒtic"    // before a %time statement
	tocName     = "ƒtoc"    // after it
	magicName   = "ƒmagic"  // %name arguments
)

// addHidden defines what rewritten cells call.
func (in *Interpreter) addHidden() {
	hidden := func(name, shown string, f func(r *run, th *lib.Thread, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error)) {
		in.env[name] = lib.NewBuiltin(shown, func(th *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (_ lib.Value, err error) {
			defer bounded(&err)
			return f(running(th), th, args, kwargs)
		})
	}
	hidden(fstringName, "f-string", func(_ *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		return fstring(args[0].(*lib.List))
	})
	hidden(powerName, "**", func(_ *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		return power(args[0], args[1], nil)
	})
	hidden(setName, "set", func(_ *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		return makeSet(args[0].(*lib.List))
	})
	hidden(assertName, "assert", func(_ *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		if len(args) > 0 && bool(args[0].Truth()) {
			return lib.None, nil
		}
		msg := "the condition is false"
		if len(args) > 1 {
			msg = str(args[1])
		}
		return nil, Named("AssertionError", errors.New(msg))
	})
	hidden(percentName, "%", func(_ *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		if f, ok := lib.AsString(args[0]); ok {
			s, err := percent(f, args[1])
			return lib.String(s), err
		}
		return modulo(args[0], args[1])
	})
	hidden(repeatName, "*", func(_ *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		return multiply(args[0], args[1])
	})
	hidden(factorName, "*", func(_ *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		return asFactor(args[0]), nil
	})
	hidden(methodName, "method", func(_ *run, th *lib.Thread, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		name := str(args[1])
		f, err := attr(args[0], name)
		if err != nil {
			return nil, err
		}
		if s, ok := lib.AsString(args[0]); ok && grows[name](s, args[2:]) > maxText {
			return nil, Named("MemoryError", fmt.Errorf("%s: the text would have more than %d bytes, which is the limit", name, maxText))
		}
		return lib.Call(th, f, args[2:], kwargs)
	})
	in.env[formatName] = lib.NewBuiltin("format", boundFormat)
	hidden(importName, "import", func(r *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		return r.in.importModules(args)
	})
	hidden(fromName, "import", func(r *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		return r.in.importNames(args)
	})
	hidden(loadName, "load", func(r *run, th *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		return r.load(th, str(args[0]), args[1:])
	})
	hidden(magicName, "magic", func(r *run, _ *lib.Thread, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		return lib.None, r.magic(str(args[0]), str(args[1]))
	})
	hidden(ticName, "%time", func(r *run, _ *lib.Thread, _ lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		r.tic()
		return lib.None, nil
	})
	hidden(tocName, "%time", func(r *run, _ *lib.Thread, _ lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
		r.toc()
		return lib.None, nil
	})
}

// fstring joins the parts of an f-string: text as it is, and (value,
// conversion, specification) for each {…}.
func fstring(parts *lib.List) (lib.Value, error) {
	out := make([]byte, 0, 64)
	for i := range parts.Len() {
		t, ok := parts.Index(i).(lib.Tuple)
		if !ok {
			out = append(out, str(parts.Index(i))...)
			continue
		}
		v, err := converted(t[0], str(t[1]))
		if err != nil {
			return nil, err
		}
		s, err := formatValue(v, str(t[2]))
		if err != nil {
			return nil, err
		}
		out = append(out, s...)
	}
	return lib.String(out), nil
}

func makeSet(elems *lib.List) (lib.Value, error) {
	s := lib.NewSet(elems.Len())
	for i := range elems.Len() {
		if err := s.Insert(elems.Index(i)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// multiply bounds repetitions; numbers go through untouched.
func multiply(x, y lib.Value) (lib.Value, error) {
	if n, ok := y.(lib.Int); ok {
		if err := checkRepeat(x, n); err != nil {
			return nil, err
		}
	} else if n, ok := x.(lib.Int); ok {
		if err := checkRepeat(y, n); err != nil {
			return nil, err
		}
	}
	return binaryStar(x, y)
}

// A factor is the right side of x *= y. It brings the bounds of multiply to a
// statement that evaluates x only once, and so cannot become a call.
type factor struct{ lib.Value }

func (f factor) Binary(op syntax.Token, y lib.Value, side lib.Side) (lib.Value, error) {
	if op != syntax.STAR || side != lib.Right {
		return nil, nil
	}
	return multiply(y, f.Value)
}

// asFactor leaves what cannot make a large value as it is.
func asFactor(v lib.Value) lib.Value {
	switch v := v.(type) {
	case lib.Int:
		if n, ok := v.Int64(); ok && n <= smallFactor {
			return v
		}
		return factor{v}
	case lib.String, lib.Bytes, *lib.List, lib.Tuple:
		return factor{v}
	}
	return v
}

func checkRepeat(x lib.Value, n lib.Int) error {
	size, limit := 0, int64(maxElements)
	switch x := x.(type) {
	case lib.Int:
		if bits := int64(x.BigInt().BitLen()) + int64(n.BigInt().BitLen()); bits > bigLimit {
			return Named("MemoryError", fmt.Errorf("the product of integers of %d and %d bits is too large; an integer has at most %d digits: use floats", x.BigInt().BitLen(), n.BigInt().BitLen(), maxDigits))
		}
		return nil
	case lib.String:
		size, limit = len(x), maxText
	case lib.Bytes:
		size, limit = len(x), maxText
	case *lib.List:
		size = x.Len()
	case lib.Tuple:
		size = x.Len()
	}
	if size == 0 {
		return nil
	}
	if k, ok := n.Int64(); n.Sign() > 0 && (!ok || k > limit/int64(size)) {
		return Named("MemoryError", fmt.Errorf("a %s of %d elements repeated %v times is too large; the limit is %d elements", x.Type(), size, n, limit))
	}
	return nil
}

// grows says how long, at least, the results of methods are that can make a
// text beyond all memory of small arguments. Arguments that are wrong make
// nothing.
var grows = map[string]func(s string, args lib.Tuple) int{"join": joinedSize, "replace": replacedSize}

func joinedSize(sep string, args lib.Tuple) int {
	size := 0
	if len(args) != 1 {
		return size
	}
	list, ok := args[0].(lib.Indexable)
	if !ok {
		return size // keys are held once each
	}
	for i := 0; i < list.Len() && size <= maxText; i++ {
		part, _ := lib.AsString(list.Index(i))
		size += len(part) + len(sep)
	}
	return size
}

func replacedSize(s string, args lib.Tuple) int {
	if len(args) < 2 {
		return 0
	}
	before, ok1 := lib.AsString(args[0])
	after, ok2 := lib.AsString(args[1])
	more := len(after) - len(before)
	if !ok1 || !ok2 || more <= 0 || (len(s)+1)/max(1, len(before)) <= maxText/more {
		return 0 // counting takes time, and even the most of replacements fit
	}
	n := strings.Count(s, before)
	if len(args) > 2 {
		if most, err := lib.AsInt32(args[2]); err == nil && most >= 0 {
			n = min(n, most)
		}
	}
	if n > maxText/more {
		return maxText + 1
	}
	return len(s) + n*more
}

// boundFormat is x.format for any x: a string's is ours, with specifications.
func boundFormat(_ *lib.Thread, _ *lib.Builtin, args lib.Tuple, _ []lib.Tuple) (lib.Value, error) {
	s, ok := lib.AsString(args[0])
	if !ok {
		return attr(args[0], "format")
	}
	return lib.NewBuiltin("format", func(_ *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (_ lib.Value, err error) {
		defer bounded(&err)
		t := &template{args: args, kwargs: kwargs}
		text, err := t.expand(s, 0)
		return lib.String(text), err
	}), nil
}
