package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

func init() { nasapi.RegisterCellLanguage(runCellPolicy) }

// cellSteps is how many steps of the language a policy in a cell may take between two
// evaluations: some seconds.
const cellSteps = 100_000_000

// cellLanguage is what a policy in a cell runs in: the language, spaces and what can be counted
// of architectures. There are no tables in it, no searches and no files.
func cellLanguage() *starlark.Interpreter {
	return starlark.New(starlark.Options{
		Commands: slices.Concat(spaceCommands(), choicesCommands(), objectiveCommands()), Version: nasapi.Version, MaxSteps: cellSteps,
	})
}

// frozenPolicy takes a function of the notebook along as a policy.
func frozenPolicy(c *starlark.Call, fn *lib.Function) (*nasapi.OwnPolicy, error) {
	names := []string{"space", "rng", "ask", "budget"}
	if err := takes(fn, len(names)); err != nil {
		return nil, fmt.Errorf("%w: a policy in a cell is def %s(%s): ..., and keywords of search(...) that it has besides", err, fn.Name(), strings.Join(names, ", "))
	}
	frozen, err := c.Freeze(fn, cellLanguage().Has)
	if err != nil {
		return nil, err
	}
	cell := &nasapi.CellPolicy{Name: frozen.Function, Source: frozen.Source}
	for _, f := range frozen.Files {
		cell.Files = append(cell.Files, nasapi.CellFile(f))
	}
	return &nasapi.OwnPolicy{Cell: cell}, nil
}

// takes says that a function cannot be given n arguments.
func takes(fn *lib.Function, n int) error {
	positional := fn.NumParams() - fn.NumKwonlyParams()
	if fn.HasKwargs() {
		positional--
	}
	if fn.HasVarargs() {
		return nil
	}
	if positional < n {
		return fmt.Errorf("%s takes %d arguments", fn.Name(), positional)
	}
	return nil
}

// runCellPolicy is nasapi's CellRunner.
func runCellPolicy(ctx context.Context, c nasapi.CellPolicy, params policy.Config, p *policy.Problem) error {
	ask := lib.NewBuiltin("ask", func(th *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var given lib.Value
		if err := lib.UnpackArgs("ask", args, kwargs, "architecture", &given); err != nil {
			return nil, err
		}
		a, ok := given.(*archValue)
		if !ok {
			return nil, starlark.Named("TypeError", fmt.Errorf("ask: %s is not an architecture: give one of the space, such as space.sample(rng)", given.Type()))
		}
		if err := p.Space.Contains(a.found.Arch); err != nil {
			return nil, fmt.Errorf("ask: %w", err)
		}
		v, err := p.Evaluate(a.found.Arch)
		if err != nil {
			return nil, err
		}
		starlark.StepsAnew(th)
		return lib.Float(v), nil
	})
	var keywords []lib.Tuple
	for _, name := range slices.Sorted(maps.Keys(params)) {
		v, err := toValue(params[name])
		if err != nil {
			return err
		}
		keywords = append(keywords, lib.Tuple{lib.String(name), v})
	}
	args := lib.Tuple{newSpaceValue(p.Space), newRandom(p.Rand(nasapi.OwnStreams, "space")), ask, lib.MakeInt(p.Budget)}
	cell := &kernel.Cell{Silent: true, Out: &logOutput{os.Stderr}}
	frozen := &starlark.Frozen{Function: c.Name, Source: c.Source}
	for _, f := range c.Files {
		frozen.Files = append(frozen.Files, starlark.FrozenFile(f))
	}
	_, err := cellLanguage().CallFrozen(ctx, cell, frozen, args, keywords)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, policy.ErrBudget):
		return policy.ErrBudget
	case err != nil:
		return fmt.Errorf("the policy %s:\n%s", c.Name, ansiEscape.ReplaceAllString(err.Error(), ""))
	}
	return nil
}

// logOutput is the output of a cell that nobody sees: its text goes to a log.
type logOutput struct{ to io.Writer }

// What cannot be logged is no reason to stop.
func (l *logOutput) Stream(_, text string)              { _, _ = io.WriteString(l.to, text) }
func (l *logOutput) Display(b *kernel.Bundle, _ string) { l.plain(b) }
func (l *logOutput) UpdateDisplay(*kernel.Bundle, string) {
}
func (l *logOutput) Clear(bool)            {}
func (l *logOutput) Page(b *kernel.Bundle) { l.plain(b) }
func (l *logOutput) Exit()                 {}
func (l *logOutput) Input(context.Context, string, bool) (string, error) {
	return "", errors.New("there is nobody to ask where a policy runs")
}

func (l *logOutput) plain(b *kernel.Bundle) {
	if text, ok := b.Data["text/plain"]; ok {
		_, _ = fmt.Fprintln(l.to, text)
	}
}

// randomValue is the random numbers of a policy in a cell: a stream that its seed decides.
type randomValue struct {
	immutable
	unhashable
	s *rng.Stream
}

func newRandom(s *rng.Stream) *randomValue {
	return &randomValue{unhashable: unhashable{"random"}, s: s}
}

func (r *randomValue) Type() string   { return "random" }
func (r *randomValue) String() string { return "random numbers" }

var randomAttrs = attrTable[*randomValue]{
	{"random", "`.random()`: a number from 0 to 1, without 1", func(r *randomValue) (lib.Value, error) {
		return method("random", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
			if err := lib.UnpackArgs("random", args, kwargs); err != nil {
				return nil, err
			}
			return lib.Float(r.s.Float64()), nil
		})
	}},
	{"randint", "`.randint(a, b)`: a whole number from a to b, both included", (*randomValue).randint},
	{"choice", "`.choice(list)`: one of its entries", func(r *randomValue) (lib.Value, error) {
		return r.ofList("choice", func(list lib.Indexable, _ int) (lib.Value, error) {
			if list.Len() == 0 {
				return nil, errors.New("choice: the list is empty")
			}
			return list.Index(r.s.IntN(list.Len())), nil
		})
	}},
	{"shuffled", "`.shuffled(list)`: a new list of its entries in random order", func(r *randomValue) (lib.Value, error) {
		return r.ofList("shuffled", func(list lib.Indexable, _ int) (lib.Value, error) { return r.pick(list, list.Len()), nil })
	}},
	{"sample", "`.sample(list, k)`: k different ones of its entries", func(r *randomValue) (lib.Value, error) {
		return r.ofList("sample", func(list lib.Indexable, k int) (lib.Value, error) {
			if k < 0 || k > list.Len() {
				return nil, fmt.Errorf("sample: k is %d: give 0 to %d, the length of the list", k, list.Len())
			}
			return r.pick(list, k), nil
		}, "k")
	}},
}

var _ lib.HasAttrs = (*randomValue)(nil)

func (r *randomValue) Attr(name string) (lib.Value, error) { return randomAttrs.get(r, name) }
func (r *randomValue) AttrNames() []string                 { return randomAttrs.names() }
func (r *randomValue) AttrDoc(name string) string          { return randomAttrs.doc(name) }

func (r *randomValue) randint() (lib.Value, error) {
	return method("randint", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var a, b int
		if err := lib.UnpackArgs("randint", args, kwargs, "a", &a, "b", &b); err != nil {
			return nil, err
		}
		if b < a || b-a+1 < 1 {
			return nil, fmt.Errorf("randint: %d to %d is no range: give the smaller number first", a, b)
		}
		return lib.MakeInt(a + r.s.IntN(b-a+1)), nil
	})
}

// ofList is a method of a list, and of a number where it has a name.
func (r *randomValue) ofList(name string, do func(list lib.Indexable, k int) (lib.Value, error), number ...string) (lib.Value, error) {
	return method(name, func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var given lib.Value
		var k int
		pairs := []any{"list", &given}
		for _, n := range number {
			pairs = append(pairs, n, &k)
		}
		if err := lib.UnpackArgs(name, args, kwargs, pairs...); err != nil {
			return nil, err
		}
		list, ok := given.(lib.Indexable)
		if !ok {
			return nil, starlark.Named("TypeError", fmt.Errorf("%s: %s is no list", name, given.Type()))
		}
		return do(list, k)
	})
}

func (r *randomValue) pick(list lib.Indexable, k int) lib.Value {
	var out []lib.Value
	for _, i := range r.s.Sample(list.Len(), k) {
		out = append(out, list.Index(i))
	}
	return lib.NewList(out)
}

// neighboursMethod lists what is one edit away.
func (s *spaceValue) neighboursMethod() (lib.Value, error) {
	return method("neighbours", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var given lib.Value
		if err := lib.UnpackArgs("neighbours", args, kwargs, "architecture", &given); err != nil {
			return nil, err
		}
		a, err := s.own("neighbours", given)
		if err != nil {
			return nil, err
		}
		n, ok := s.space.(space.Neighbourhood)
		if !ok {
			return nil, fmt.Errorf("neighbours: %s has none", s.space)
		}
		var out []lib.Value
		for _, b := range n.Neighbours(a) {
			out = append(out, newArchValue(nasapi.Found{Arch: b}, s.space))
		}
		return lib.NewList(out), nil
	})
}

// mutateMethod changes an architecture as regularised evolution does.
func (s *spaceValue) mutateMethod() (lib.Value, error) {
	return method("mutate", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var given, random lib.Value
		if err := lib.UnpackArgs("mutate", args, kwargs, "architecture", &given, "rng", &random); err != nil {
			return nil, err
		}
		a, err := s.own("mutate", given)
		if err != nil {
			return nil, err
		}
		r, ok := random.(*randomValue)
		if !ok {
			return nil, starlark.Named("TypeError", fmt.Errorf("mutate: rng is a %s: give the one that the policy is given", random.Type()))
		}
		m, ok := s.space.(space.Mutator)
		if !ok {
			return nil, fmt.Errorf("mutate: %s has no mutation", s.space)
		}
		return newArchValue(nasapi.Found{Arch: m.Mutate(a, r.s)}, s.space), nil
	})
}

// own is an architecture of the space that a method was given.
func (s *spaceValue) own(name string, v lib.Value) (space.Arch, error) {
	a, ok := v.(*archValue)
	if !ok {
		return nil, starlark.Named("TypeError", fmt.Errorf("%s: %s is not an architecture", name, v.Type()))
	}
	if err := s.space.Contains(a.found.Arch); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return a.found.Arch, nil
}
