package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/net"
	"evalnas/nasapi/space"
)

// archValue is an architecture in a cell. It remembers the search or draw and
// the seed that it came from.
type archValue struct {
	immutable
	found nasapi.Found
	space space.Space // the space that it was taken from
}

func newArchValue(f nasapi.Found, s space.Space) *archValue { return &archValue{found: f, space: s} }

var _ lib.HasAttrs = (*archValue)(nil)

func (a *archValue) String() string        { return a.found.Arch.String() }
func (a *archValue) Type() string          { return "architecture" }
func (a *archValue) Hash() (uint32, error) { return hashString(a.found.Hash()), nil }

// CompareSameType makes architectures of one hash equal.
func (a *archValue) CompareSameType(op syntax.Token, y lib.Value, _ int) (bool, error) {
	b := y.(*archValue)
	equal := a.found.Space() == b.found.Space() && a.found.Hash() == b.found.Hash()
	switch op {
	case syntax.EQL:
		return equal, nil
	case syntax.NEQ:
		return !equal, nil
	}
	return false, starlark.Named("TypeError", fmt.Errorf("architectures have no order: compare .params, .flops or query(a).test"))
}

var archAttrs = attrTable[*archValue]{
	{"hash", "identity in its space: the module hash of NASBench-101 (32 hex digits)", func(a *archValue) (lib.Value, error) { return lib.String(a.found.Hash()), nil }},
	{"params", "number of trainable parameters of its network, None where it is not known", func(a *archValue) (lib.Value, error) { return knownCount(a.found.Params()), nil }},
	{"flops", "multiply-adds of one forward pass on a 32x32 image, None where they are not known", func(a *archValue) (lib.Value, error) { return knownCount(a.found.FLOPs()), nil }},
	{"values", "dict of its choices (of a space of choices)", (*archValue).choiceValues},
	{"text", "the cell as NAS-Bench-201 writes it (of nasbench201)", func(a *archValue) (lib.Value, error) {
		if c, ok := a.found.Arch.(*space.NB201Cell); ok {
			return lib.String(c.Text()), nil
		}
		return nil, nil
	}},
	{"matrix", "adjacency matrix of the pruned cell, V x V, upper triangular (NASBench-101)", func(a *archValue) (lib.Value, error) { return a.field("matrix") }},
	{"ops", "operations of its vertices, input first and output last (NASBench-101)", func(a *archValue) (lib.Value, error) { return a.field("ops") }},
	{"genotype", "the genotype as DARTS writes it (DARTS cells)", func(a *archValue) (lib.Value, error) {
		if g, ok := a.found.Arch.(*space.Genotype); ok {
			return lib.String(g.Literal()), nil
		}
		return nil, nil
	}},
	{"to_pytorch", "to_pytorch(path=None, channels=36, cells=20, ...): the network as a Python module that needs torch alone, written to path or returned as text", (*archValue).toPyTorch},
	{"space", "the space that it was taken from", func(a *archValue) (lib.Value, error) { return newSpaceValue(a.space), nil }},
	{"seed", "seed of the search or draw that it came from, None if it was given by hand", func(a *archValue) (lib.Value, error) {
		if a.found.Origin.Policy == "" {
			return lib.None, nil
		}
		return lib.MakeInt64(a.found.Seed), nil
	}},
	{"policy", "policy that found it, `\"sample_random\"` for a draw, None if it was given by hand", func(a *archValue) (lib.Value, error) { return textOrNone(a.found.Origin.Policy), nil }},
	{"search", "id of the search that found it, None for a draw", func(a *archValue) (lib.Value, error) { return textOrNone(a.found.Origin.Search), nil }},
}

// toPyTorch is the method that writes the network for PyTorch.
func (a *archValue) toPyTorch() (lib.Value, error) {
	return method("to_pytorch", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var path lib.Value = lib.None
		var cfg net.Config
		if err := lib.UnpackArgs("to_pytorch", args, kwargs, "path?", &path, "channels?", &cfg.Channels, "cells?", &cfg.Cells, "classes?", &cfg.Classes,
			"height?", &cfg.Height, "width?", &cfg.Width, "colours?", &cfg.Colours, "auxiliary?", &cfg.Auxiliary, "as_published?", &cfg.AsPublished); err != nil {
			return nil, starlark.Named("TypeError", err)
		}
		text, err := net.ToPyTorch(a.found.Arch, cfg)
		if err != nil || path == lib.None {
			return lib.String(text), err
		}
		name, ok := lib.AsString(path)
		if !ok {
			return nil, starlark.Named("TypeError", fmt.Errorf("path is %s: give the name of a file, or None", path.Type()))
		}
		return lib.None, os.WriteFile(name, []byte(text), 0o644)
	})
}

func textOrNone(s string) lib.Value {
	if s == "" {
		return lib.None
	}
	return lib.String(s)
}

// label is a short name for a figure: the seed that it came from, else its hash.
func (a *archValue) label() string {
	if a.found.Origin.Policy == "" {
		return shortHash(a.found.Hash())
	}
	return fmt.Sprintf("seed %d", a.found.Seed)
}

// policyText is the policy as tables show it.
func (a *archValue) policyText() string {
	if a.found.Origin.Oracle {
		return a.found.Origin.Policy + oracleTag
	}
	return a.found.Origin.Policy
}

// field is a part of the JSON form of a cell of NASBench-101.
func (a *archValue) field(name string) (lib.Value, error) {
	if _, ok := a.found.Arch.(*space.Cell); !ok {
		return nil, nil
	}
	raw, err := a.found.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, err
	}
	if parts[name] == nil {
		return nil, nil // no such attribute: this space has none
	}
	return toValue(parts[name])
}

func (a *archValue) Attr(name string) (lib.Value, error) { return archAttrs.get(a, name) }
func (a *archValue) AttrDoc(name string) string          { return archAttrs.doc(name) }
func (a *archValue) AttrNames() []string {
	var out []string
	for _, n := range archAttrs.names() {
		if v, err := a.Attr(n); err == nil && v != nil {
			out = append(out, n)
		}
	}
	return out
}

func (a *archValue) Doc() string {
	return "An architecture: shown as a drawing of its cell.\n\n" + archAttrs.list()
}

// Bundle draws the cell.
func (a *archValue) Bundle() (*kernel.Bundle, error) { return archBundle(a.found.Arch) }

// archList is a list of architectures, such as found.selected. It never
// changes; + joins two.
type archList struct {
	immutable
	unhashable
	archs []*archValue
}

func newArchList(found []nasapi.Found, s space.Space) *archList {
	l := &archList{unhashable: unhashable{"architecture_list"}}
	for _, f := range found {
		l.archs = append(l.archs, newArchValue(f, s))
	}
	return l
}

var (
	_ lib.Sliceable = (*archList)(nil)
	_ lib.HasBinary = (*archList)(nil)
	_ lib.Sequence  = (*archList)(nil)
	_ lib.HasAttrs  = (*archList)(nil)

	_ lib.Container  = (*archList)(nil)
	_ lib.Comparable = (*archList)(nil)
)

func (l *archList) Type() string          { return "architecture_list" }
func (l *archList) Len() int              { return len(l.archs) }
func (l *archList) Truth() lib.Bool       { return len(l.archs) > 0 }
func (l *archList) Index(i int) lib.Value { return l.archs[i] }
func (l *archList) Iterate() lib.Iterator { return lib.NewList(l.values()).Iterate() }
func (l *archList) String() string {
	parts := make([]string, len(l.archs))
	for i, a := range l.archs {
		parts[i] = a.String()
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (l *archList) values() []lib.Value {
	out := make([]lib.Value, len(l.archs))
	for i, a := range l.archs {
		out[i] = a
	}
	return out
}

// Has answers `arch in list`.
func (l *archList) Has(v lib.Value) (bool, error) {
	for _, a := range l.archs {
		if same, err := lib.Equal(a, v); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

// CompareSameType makes lists of the same architectures in one order equal.
func (l *archList) CompareSameType(op syntax.Token, y lib.Value, depth int) (bool, error) {
	if op != syntax.EQL && op != syntax.NEQ {
		return false, starlark.Named("TypeError", fmt.Errorf("lists of architectures have no order"))
	}
	return lib.CompareDepth(op, lib.NewList(l.values()), lib.NewList(y.(*archList).values()), depth)
}

// Slice keeps a list of architectures one of its kind.
func (l *archList) Slice(start, end, step int) lib.Value {
	out := &archList{unhashable: l.unhashable}
	for i := start; (step > 0 && i < end) || (step < 0 && i > end); i += step {
		out.archs = append(out.archs, l.archs[i])
	}
	return out
}

// Binary joins lists of architectures, also with an ordinary list of them.
func (l *archList) Binary(op syntax.Token, y lib.Value, side lib.Side) (lib.Value, error) {
	if op != syntax.PLUS {
		return nil, nil
	}
	other, err := archsOf(y)
	if err != nil {
		return nil, nil // not a list of architectures: the language says so
	}
	a, b := l.archs, other
	if side == lib.Right {
		a, b = b, a
	}
	out := &archList{unhashable: l.unhashable}
	out.archs = append(append(out.archs, a...), b...)
	return out, nil
}

var archListAttrs = attrTable[*archList]{
	{"hashes", "list of the hashes", func(l *archList) (lib.Value, error) {
		out := make([]lib.Value, len(l.archs))
		for i, a := range l.archs {
			out[i] = lib.String(a.found.Hash())
		}
		return lib.NewList(out), nil
	}},
	{"seeds", "list of the seeds, None for architectures given by hand", func(l *archList) (lib.Value, error) {
		out := make([]lib.Value, len(l.archs))
		for i, a := range l.archs {
			v, err := a.Attr("seed")
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return lib.NewList(out), nil
	}},
}

func (l *archList) Attr(name string) (lib.Value, error) { return archListAttrs.get(l, name) }
func (l *archList) AttrNames() []string                 { return archListAttrs.names() }
func (l *archList) AttrDoc(name string) string          { return archListAttrs.doc(name) }
func (l *archList) Doc() string {
	return "A list of architectures: `len(l)`, `l[i]`, `l[a:b]`, `l + m`, `for a in l`.\n\n" + archListAttrs.list()
}

// Bundle shows the list as a table.
func (l *archList) Bundle() (*kernel.Bundle, error) {
	t := newTable("", column{"policy", left}, column{"seed", right}, column{"hash", left}, column{"cell", left}, column{"parameters", right}, column{"multiply-adds", right})
	for _, a := range l.archs {
		seed := ""
		if a.found.Origin.Policy != "" {
			seed = fmt.Sprint(a.found.Seed)
		}
		t.oracle = t.oracle || a.found.Origin.Oracle
		t.add(a.policyText(), seed, shortHash(a.found.Hash()), a.String(), countText(a.found.Params()), countText(a.found.FLOPs()))
	}
	t.dropEmptyColumns("parameters", "multiply-adds")
	return t.bundle(), nil
}

// archsOf accepts an architecture or any list of them.
func archsOf(v lib.Value) ([]*archValue, error) {
	switch v := v.(type) {
	case *archValue:
		return []*archValue{v}, nil
	case *archList:
		return v.archs, nil
	case *lib.List, lib.Tuple:
		var out []*archValue
		for x := range lib.Elements(v.(lib.Iterable)) {
			a, ok := x.(*archValue)
			if !ok {
				return nil, fmt.Errorf("entry %d is %s, not an architecture", len(out), x.Type())
			}
			out = append(out, a)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s is not an architecture or a list of them", v.Type())
}

func (e *Env) archCommands() []*starlark.Command {
	return []*starlark.Command{genotypeCommand, {
		Name: "sample_random",
		Params: []starlark.Param{
			{Name: "space", Type: "space", Doc: "the space to draw from"},
			{Name: "seeds", Type: "list of int", KeywordOnly: true, Doc: "one draw a seed; each seed once"},
			{Name: "measure", Default: lib.String(nasapi.MeasureUnique), KeywordOnly: true, Type: "str",
				Doc:    "`\"unique\"`: uniform over the distinct architectures; `\"sequence\"`: uniform over each decision of ENAS's encoding; `\"relaxed\"`: over each of that of DARTS and FBNet",
				Values: nasapi.Measures},
		},
		Doc: `Draw one architecture a seed at random: the paper's baseline, at once and without a job.

This is the random policy of "Evaluating the Search Phase of Neural Architecture Search"
(ICLR 2020): one uniform draw for every seed. Best-of-k random search is
` + "`search(\"random\", ..., budget=k)`" + `. The draws of a seed are independent of every search under that
seed.

    drawn = sample_random(space, seeds=range(1268, 1278))`,
		Run: func(c *starlark.Call) (lib.Value, error) {
			sp, err := spaceArg(c, "space")
			if err != nil {
				return nil, err
			}
			seeds, err := c.Int64s("seeds")
			if err != nil {
				return nil, err
			}
			measure, err := c.String("measure")
			if err != nil {
				return nil, err
			}
			found, err := nasapi.SampleRandom(sp, seeds, measure)
			if err != nil {
				return nil, c.Errorf("%w", err)
			}
			return newArchList(found, sp), nil
		},
	}}
}

var genotypeCommand = &starlark.Command{
	Name: "genotype",
	Params: []starlark.Param{{Name: "name", Type: "string", Values: space.GenotypeNames,
		Doc: "a built-in name, or a genotype's own text: `Genotype(normal=[...], ...)` or JSON"}},
	Doc: `An architecture of the DARTS space, by name or from its text.

Built in are DARTS_V1, DARTS_V2, NASNet, AmoebaNet, NAO and, from the code of "Evaluating the
Search Phase of Neural Architecture Search" (ICLR 2020), what four policies found or drew under
ten seeds: {darts, enas, nao, random}_1268 to 1277.

    genotype("darts_1268")
    genotype("""Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), ...)""")`,
	Run: func(c *starlark.Call) (lib.Value, error) {
		text, err := c.String("name")
		if err != nil {
			return nil, err
		}
		read := space.NamedGenotype
		if strings.ContainsAny(text, "({") {
			read = space.ParseGenotype
		}
		g, err := read(text)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		s, err := space.SpaceOf(g)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return newArchValue(nasapi.Found{Arch: g}, s), nil
	},
}

func spaceArg(c *starlark.Call, name string) (space.Space, error) {
	if s, ok := asSpace(c.Value(name)); ok {
		return s, nil
	}
	return nil, named(c, "TypeError", "%s is %s: give a space, such as nasbench101(), darts_space() or choices({...})", name, c.Value(name).Type())
}

// finiteArg is spaceArg for spaces that can be listed.
func finiteArg(c *starlark.Call, name string) (space.Finite, error) {
	sp, err := spaceArg(c, name)
	if err != nil {
		return nil, err
	}
	finite, ok := sp.(space.Finite)
	if !ok {
		return nil, c.Errorf("%s cannot be listed: it has %s architectures", sp, sp.Size())
	}
	return finite, nil
}
