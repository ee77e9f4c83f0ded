package commands

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/big"
	"slices"
	"strconv"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
)

// immutable gives the parts of lib.Value that do not differ between the
// values of this package: they never change, so freezing does nothing.
type immutable struct{}

func (immutable) Freeze()         {}
func (immutable) Truth() lib.Bool { return lib.True }

// unhashable is embedded by values that have no identity as a key.
type unhashable struct{ kind string }

func (u unhashable) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: %s", u.kind) }

func hashString(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

// attrTable serves the attributes of a value and their documentation.
type attrTable[T any] []attr[T]

type attr[T any] struct {
	name, doc string
	get       func(T) (lib.Value, error)
}

func (t attrTable[T]) get(v T, name string) (lib.Value, error) {
	for _, a := range t {
		if a.name == name {
			return a.get(v)
		}
	}
	return nil, nil
}

func (t attrTable[T]) names() []string {
	out := make([]string, len(t))
	for i, a := range t {
		out[i] = a.name
	}
	slices.Sort(out)
	return out
}

func (t attrTable[T]) doc(name string) string {
	for _, a := range t {
		if a.name == name {
			return a.doc
		}
	}
	return ""
}

// list renders the attributes for help.
func (t attrTable[T]) list() string {
	var b strings.Builder
	for _, a := range t {
		fmt.Fprintf(&b, "- `.%s`: %s\n", a.name, a.doc)
	}
	return b.String()
}

// fromJSON turns decoded JSON (with UseNumber) into values of the language.
func fromJSON(v any) lib.Value {
	switch v := v.(type) {
	case nil:
		return lib.None
	case bool:
		return lib.Bool(v)
	case string:
		return lib.String(v)
	case json.Number:
		if i, ok := new(big.Int).SetString(v.String(), 10); ok {
			return lib.MakeBigInt(i)
		}
		f, err := strconv.ParseFloat(v.String(), 64)
		if err != nil {
			return lib.String(v.String())
		}
		return lib.Float(f)
	case float64:
		return lib.Float(v)
	case int:
		return lib.MakeInt(v)
	case []any:
		out := make([]lib.Value, len(v))
		for i, x := range v {
			out[i] = fromJSON(x)
		}
		return lib.NewList(out)
	case map[string]any:
		d := lib.NewDict(len(v))
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			setKey(d, k, fromJSON(v[k]))
		}
		return d
	}
	return lib.String(fmt.Sprint(v))
}

// toValue converts anything that marshals to JSON.
func toValue(v any) (lib.Value, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var x any
	if err := dec.Decode(&x); err != nil {
		return nil, err
	}
	return fromJSON(x), nil
}

// setKey sets a string key of a fresh dictionary, which cannot fail.
func setKey(d *lib.Dict, key string, v lib.Value) {
	if err := d.SetKey(lib.String(key), v); err != nil {
		panic(err) // a fresh, unfrozen dictionary with a hashable key
	}
}

// dict makes a dictionary in the order given.
func dict(pairs ...any) *lib.Dict {
	d := lib.NewDict(len(pairs) / 2)
	for i := 0; i+1 < len(pairs); i += 2 {
		setKey(d, pairs[i].(string), pairs[i+1].(lib.Value))
	}
	return d
}

// method makes a method of a value; what it refuses shows as a ValueError.
func method(name string, run func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error)) (lib.Value, error) {
	return lib.NewBuiltin(name, func(_ *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		v, err := run(args, kwargs)
		return v, starlark.Named("ValueError", err)
	}), nil
}

func optional(v *float64) lib.Value {
	if v == nil {
		return lib.None
	}
	return lib.Float(*v)
}

func floats(vs []float64) *lib.List {
	out := make([]lib.Value, len(vs))
	for i, v := range vs {
		out[i] = lib.Float(v)
	}
	return lib.NewList(out)
}

func stringList(vs []string) *lib.List {
	out := make([]lib.Value, len(vs))
	for i, v := range vs {
		out[i] = lib.String(v)
	}
	return lib.NewList(out)
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return strings.Join(out, ", ")
}

// htmlBundle is a bundle of HTML with its plain text.
func htmlBundle(html, text string) *kernel.Bundle {
	return &kernel.Bundle{Data: map[string]any{"text/html": html, "text/plain": text}}
}
