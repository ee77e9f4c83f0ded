package commands

import (
	"encoding/json"
	"fmt"
	"strings"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// spaceValue is a search space in a cell.
type spaceValue struct {
	immutable
	space space.Space
}

var (
	_ lib.HasAttrs  = (*spaceValue)(nil)
	_ lib.Container = (*spaceValue)(nil)
)

// listedSpace is a space whose architectures can be listed: it has a length
// and is indexed in ascending order of hash.
type listedSpace struct {
	spaceValue
	finite space.Finite
}

var (
	_ lib.Sequence  = (*listedSpace)(nil)
	_ lib.Indexable = (*listedSpace)(nil)
)

func newSpaceValue(s space.Space) lib.Value {
	if f, ok := s.(space.Finite); ok {
		return &listedSpace{spaceValue{space: s}, f}
	}
	return &spaceValue{space: s}
}

func asSpace(v lib.Value) (space.Space, bool) {
	switch v := v.(type) {
	case *spaceValue:
		return v.space, true
	case *listedSpace:
		return v.space, true
	}
	return nil, false
}

func (s *spaceValue) String() string        { return s.space.String() }
func (s *spaceValue) Type() string          { return "space" }
func (s *spaceValue) Hash() (uint32, error) { return hashString(s.space.String()), nil }

// CompareSameType makes spaces of the same definition equal.
func (s *spaceValue) CompareSameType(op syntax.Token, y lib.Value, _ int) (bool, error) {
	other, _ := asSpace(y)
	equal := other != nil && other.Spec() == s.space.Spec()
	switch op {
	case syntax.EQL:
		return equal, nil
	case syntax.NEQ:
		return !equal, nil
	}
	return false, fmt.Errorf("spaces have no order")
}

var spaceAttrs = attrTable[*spaceValue]{
	{"name", "kind of the space, such as `\"nasbench101\"` or `\"choices\"`", func(s *spaceValue) (lib.Value, error) { return lib.String(s.space.Spec().Name), nil }},
	{"size", "number of distinct architectures (an integer)", func(s *spaceValue) (lib.Value, error) { return lib.MakeBigInt(s.space.Size()), nil }},
	{"measure", "over what `.sample` is uniform, in words", func(s *spaceValue) (lib.Value, error) { return lib.String(s.space.Measure()), nil }},
	{"sample", "`.sample(seed)` draws one architecture uniformly; the same seed draws the same one. In a policy of a cell, `.sample(rng)`", (*spaceValue).sampleMethod},
	{"neighbours", "`.neighbours(arch)`: list of the architectures that are one edit away", (*spaceValue).neighboursMethod},
	{"mutate", "`.mutate(arch, rng)`: an architecture changed as regularised evolution does, in a policy of a cell", (*spaceValue).mutateMethod},
	{"architecture", "`.architecture(...)` checks a cell and makes an architecture of it: `matrix=` and `ops=` for nasbench101, a text for darts_space, cell_space and nasbench201, a dict or a keyword for each choice for choices", (*spaceValue).architectureMethod},
	{"reachable", "how many distinct architectures the ENAS/NAO sequence encoding can give, None where it has none", func(s *spaceValue) (lib.Value, error) {
		if sq, ok := space.SequencesOf(s.space); ok {
			return lib.MakeBigInt(sq.Reachable()), nil
		}
		return lib.None, nil
	}},
}

func (s *spaceValue) Attr(name string) (lib.Value, error) { return spaceAttrs.get(s, name) }
func (s *spaceValue) AttrNames() []string                 { return spaceAttrs.names() }
func (s *spaceValue) AttrDoc(name string) string          { return spaceAttrs.doc(name) }
func (s *spaceValue) Doc() string {
	return fmt.Sprintf("%s: a search space of %s architectures\n\n`len(space)`, `space[i]` in ascending order of hash (where it can be listed), `arch in space`, and\n\n%s", s.space, s.space.Size(), spaceAttrs.list())
}

func (s *spaceValue) sampleMethod() (lib.Value, error) {
	return method("sample", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var seed lib.Value
		if err := lib.UnpackArgs("sample", args, kwargs, "seed", &seed); err != nil {
			return nil, err
		}
		if r, ok := seed.(*randomValue); ok {
			return newArchValue(nasapi.Found{Arch: s.space.Sample(r.s)}, s.space), nil
		}
		i, ok := seed.(lib.Int)
		n, fits := int64(0), false
		if ok {
			n, fits = i.Int64()
		}
		if !fits {
			return nil, fmt.Errorf("sample: seed is %s: it must be an integer of 64 bits", seed)
		}
		a := s.space.Sample(rng.New(n, nasapi.SampleRandomPolicy, nasapi.MeasureUnique))
		return newArchValue(nasapi.Found{Arch: a, Seed: n, Origin: nasapi.Origin{Policy: nasapi.SampleRandomPolicy, Space: s.space.Spec(), Measure: nasapi.MeasureUnique}}, s.space), nil
	})
}

func (s *spaceValue) architectureMethod() (lib.Value, error) {
	return method("architecture", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		raw, err := s.archJSON("architecture", args, kwargs)
		if err != nil {
			return nil, err
		}
		a, err := s.space.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("architecture: %w", err)
		}
		return newArchValue(nasapi.Found{Arch: a}, s.space), nil
	})
}

// archJSON is the JSON form of what a cell gave for an architecture.
func (s *spaceValue) archJSON(name string, args lib.Tuple, kwargs []lib.Tuple) (json.RawMessage, error) {
	if _, ok := choicesOf(s.space); ok {
		return choicesJSON(name, args, kwargs)
	}
	if s.space.Spec().Name != "nasbench101" {
		var text string
		if err := lib.UnpackArgs(name, args, kwargs, "genotype", &text); err != nil {
			return nil, err
		}
		if strings.HasPrefix(strings.TrimSpace(text), "{") {
			return json.RawMessage(text), nil
		}
		return json.Marshal(text)
	}
	var matrix, ops lib.Value
	if err := lib.UnpackArgs(name, args, kwargs, "matrix", &matrix, "ops", &ops); err != nil {
		return nil, err
	}
	m, err := intRows(matrix)
	if err != nil {
		return nil, fmt.Errorf("%s: matrix %w", name, err)
	}
	o, err := stringsOf(ops, "operation names")
	if err != nil {
		return nil, fmt.Errorf("%s: ops %w", name, err)
	}
	return json.Marshal(map[string]any{"matrix": m, "ops": o})
}

func intRows(v lib.Value) ([][]int, error) {
	rows, err := elements(v, "a list of rows, such as [[0, 1], [0, 0]]")
	if err != nil {
		return nil, err
	}
	out := make([][]int, len(rows))
	for i, r := range rows {
		cells, err := elements(r, "a list of 0 and 1")
		if err != nil {
			return nil, fmt.Errorf("row %d %w", i, err)
		}
		out[i] = make([]int, len(cells))
		for j, c := range cells {
			n, err := lib.AsInt32(c)
			if err != nil {
				return nil, fmt.Errorf("row %d, column %d is %s: entries are 0 and 1", i, j, c)
			}
			out[i][j] = n
		}
	}
	return out, nil
}

// stringsOf are the entries of a list of strings; what names them for a complaint.
func stringsOf(v lib.Value, what string) ([]string, error) {
	vs, err := elements(v, "a list of "+what)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(vs))
	for i, x := range vs {
		s, ok := lib.AsString(x)
		if !ok {
			return nil, fmt.Errorf("entry %d is %s: it must be a string", i, x)
		}
		out[i] = s
	}
	return out, nil
}

// maxGiven bounds the entries of a list that a cell gives for a matrix or a
// list of operations.
const maxGiven = 10_000

func elements(v lib.Value, want string) ([]lib.Value, error) {
	it, ok := v.(lib.Iterable)
	if !ok {
		return nil, fmt.Errorf("is %s: it must be %s", v.Type(), want)
	}
	if n := lib.Len(v); n > maxGiven {
		return nil, fmt.Errorf("has %d entries: at most %d are allowed", n, maxGiven)
	}
	var out []lib.Value
	for x := range lib.Elements(it) {
		out = append(out, x)
	}
	return out, nil
}

// Has answers `arch in space`.
func (s *spaceValue) Has(v lib.Value) (bool, error) {
	a, ok := v.(*archValue)
	if !ok {
		return false, starlark.Named("TypeError", fmt.Errorf("in %s: %s is not an architecture", s.space, v.Type()))
	}
	return s.space.Contains(a.found.Arch) == nil, nil
}

func (l *listedSpace) Len() int { return l.finite.Len() }

func (l *listedSpace) Index(i int) lib.Value {
	return newArchValue(nasapi.Found{Arch: l.finite.At(i)}, l.space)
}

func (l *listedSpace) Iterate() lib.Iterator { return &spaceIterator{l: l} }

type spaceIterator struct {
	l *listedSpace
	i int
}

func (it *spaceIterator) Next(p *lib.Value) bool {
	if it.i >= it.l.Len() {
		return false
	}
	*p = it.l.Index(it.i)
	it.i++
	return true
}

func (it *spaceIterator) Done() {}

func spaceCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name: "nasbench101",
			Params: []starlark.Param{{Name: "max_vertices", Default: lib.MakeInt(7), Type: "int",
				Doc: "2 to 7, input and output counted: the sub-spaces are cumulative"}},
			Doc: `The NASBench-101 cell space: all graphs of at most 7 vertices and 9 edges.

Returns a space of 423,624 distinct cells (max_vertices=7); 4, 5 and 6 give its cumulative
sub-spaces of 91, 2,532 and 64,542. A vertex between input and output is conv3x3-bn-relu,
conv1x1-bn-relu or maxpool3x3. Two matrices are one cell if their module hashes are equal
(Ying et al., ICML 2019).

    space = nasbench101()
    len(space)          # 423624
    space[0]            # in ascending order of hash
    space.sample(1268)  # uniform over the distinct cells
    space.architecture([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "conv3x3-bn-relu", "output"])`,
			Run: func(c *starlark.Call) (lib.Value, error) {
				n, err := c.Int("max_vertices")
				if err != nil {
					return nil, err
				}
				s, err := space.NASBench101(n)
				if err != nil {
					return nil, c.Errorf("%w", err)
				}
				return newSpaceValue(s), nil
			},
		},
		{
			Name: "darts_space",
			Params: []starlark.Param{{Name: "nodes", Default: lib.MakeInt(4), Type: "int",
				Doc: "intermediate nodes of a cell: 4 (DARTS) or 5 (ENAS and NAO)"}},
			Doc: `The DARTS cell space: a normal and a reduction cell, two edges a node, seven operations.

cell_space makes such a space of other sizes and operations.

The parameters and multiply-adds of its architectures are those of the network that is trained
on CIFAR-10 (36 channels, 20 cells, without the auxiliary head; Liu et al., ICLR 2019).

    space = darts_space()
    space.sample(1268)`,
			Run: func(c *starlark.Call) (lib.Value, error) {
				n, err := c.Int("nodes")
				if err != nil {
					return nil, err
				}
				s, err := space.DARTS(n)
				if err != nil {
					return nil, c.Errorf("%w", err)
				}
				return newSpaceValue(s), nil
			},
		},
		cellSpaceCommand,
	}
}
