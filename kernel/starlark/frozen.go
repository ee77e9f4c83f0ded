package starlark

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
)

// Freeze writes a function down with all that it uses of its notebook, as these things are
// now: numbers, texts and lists, dicts and tuples of them as assignments, other functions, and
// itself at the end. The text runs in an interpreter of its own (CallFrozen). may says which of
// the language's and the commands' names that one has. A function that uses something else, or
// that no cell defined at its top level, is an error that says so.
func (in *Interpreter) Freeze(fn *lib.Function, may func(name string) bool) (string, error) {
	f := &freezer{in: in, may: may, seen: map[string]bool{}}
	if err := f.function(fn); err != nil {
		return "", err
	}
	slices.Sort(f.values)
	text := strings.Join(append(f.values, f.functions...), "\n") + "\n"
	if len(text) > maxCode {
		return "", fmt.Errorf("%s and what it uses are a text of %d bytes: at most %d are allowed", fn.Name(), len(text), maxCode)
	}
	return text, nil
}

// Freeze is the Interpreter's, for commands that are given a function.
func (c *Call) Freeze(fn *lib.Function, may func(name string) bool) (string, error) {
	return c.in.Freeze(fn, may)
}

type freezer struct {
	in        *Interpreter
	may       func(string) bool
	seen      map[string]bool // global names
	values    []string        // assignments
	functions []string        // definitions, each behind those that it uses
	size      int             // of the values so far
}

func (f *freezer) function(fn *lib.Function) error {
	// Its names are those of its file, and here they would be looked up in the notebook: another
	// value of the same name would be taken without a word.
	if file := fn.Position().Filename(); !strings.HasPrefix(file, "In[") {
		return Named("TypeError", fmt.Errorf("%s comes from the loaded file %s, which is not there where it will run: define it in a cell", fn.Name(), file))
	}
	text, def, err := f.in.definition(fn)
	if err != nil {
		return err
	}
	f.seen[fn.Name()] = true
	var names []string
	syntax.Walk(def, func(n syntax.Node) bool {
		if id, ok := n.(*syntax.Ident); ok && fromOutside(id) && !reserved(id.Name) {
			names = append(names, id.Name)
		}
		return true
	})
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if f.seen[name] {
			continue
		}
		f.seen[name] = true
		if err := f.name(fn.Name(), name); err != nil {
			return err
		}
	}
	f.functions = append(f.functions, text)
	return nil
}

// fromOutside says that a name in a function is none of the function's own.
func fromOutside(id *syntax.Ident) bool {
	b, ok := id.Binding.(*resolve.Binding)
	return ok && (b.Scope == resolve.Global || b.Scope == resolve.Predeclared || b.Scope == resolve.Universal)
}

// name adds what a global name stands for.
func (f *freezer) name(user, name string) error {
	v := f.in.env[name]
	if v == nil {
		return fmt.Errorf("%s: %w", user, f.in.nameError(name))
	}
	if f.in.base[name] == v {
		if !f.may(name) {
			return Named("TypeError", fmt.Errorf("%s uses %s(...), which is not there where it will run: what it is given as arguments, the language's own functions and other functions of the notebook are", user, name))
		}
		return nil
	}
	if fn, ok := v.(*lib.Function); ok {
		if fn.Name() != name {
			return Named("TypeError", fmt.Errorf("%s uses %s, another name of the function %s: use the name that def gave it", user, name, fn.Name()))
		}
		return f.function(fn)
	}
	text, err := f.literal(v, 0)
	if err != nil {
		return Named("TypeError", fmt.Errorf("%s uses %s, %w", user, name, err))
	}
	f.values = append(f.values, name+" = "+text)
	return nil
}

// maxNested bounds lists in lists.
const maxNested = 100

// literal writes a value as an expression that gives it again.
func (f *freezer) literal(v lib.Value, depth int) (string, error) {
	if depth > maxNested {
		return "", fmt.Errorf("a value nested deeper than %d", maxNested)
	}
	all := func(values []lib.Value) (string, error) {
		parts := make([]string, len(values))
		for i, v := range values {
			text, err := f.literal(v, depth+1)
			if err != nil {
				return "", err
			}
			parts[i] = text
		}
		return strings.Join(parts, ", "), nil
	}
	if f.size += 8; f.size > maxCode {
		return "", fmt.Errorf("a value of more than %d bytes", maxCode)
	}
	switch v := v.(type) {
	case lib.NoneType, lib.Bool, lib.Int:
		return v.String(), nil
	case lib.Float:
		if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Sprintf("float(%q)", v.String()), nil
		}
		return v.String(), nil
	case lib.String:
		f.size += len(v)
		return v.String(), nil
	case lib.Bytes:
		f.size += len(v)
		return v.String(), nil
	case *lib.List:
		text, err := all(slices.Collect(v.Elements()))
		return "[" + text + "]", err
	case lib.Tuple:
		text, err := all(v)
		if len(v) == 1 {
			text += ","
		}
		return "(" + text + ")", err
	case *lib.Dict:
		var parts []string
		for _, item := range v.Items() {
			key, err := f.literal(item[0], depth+1)
			if err != nil {
				return "", err
			}
			value, err := f.literal(item[1], depth+1)
			if err != nil {
				return "", err
			}
			parts = append(parts, key+": "+value)
		}
		return "{" + strings.Join(parts, ", ") + "}", nil
	case lib.Value:
		if v.Type() == "range" {
			return v.String(), nil
		}
	}
	return "", fmt.Errorf("a %s, which cannot be taken along: numbers, texts, lists, dicts and functions of the notebook can", v.Type())
}

// definition is the text of a function as a cell has it, and what it parses to, with scopes.
func (in *Interpreter) definition(fn *lib.Function) (string, *syntax.DefStmt, error) {
	src := in.sources[fn.Position().Filename()]
	if src == nil {
		return "", nil, Named("TypeError", fmt.Errorf("%s was not defined in a cell: write its def into the notebook", fn.Name()))
	}
	again := newSource(src.name, src.code)
	file, err := again.parse()
	if err != nil {
		return "", nil, err
	}
	if err := resolve.File(file, anyName, noName); err != nil {
		return "", nil, err
	}
	for _, s := range file.Stmts {
		def, ok := s.(*syntax.DefStmt)
		if !ok || def.Name.Name != fn.Name() || def.Name.NamePos.Line != fn.Position().Line {
			continue
		}
		start, end := def.Span()
		if start.Col == 1 {
			return strings.Join(again.lines[start.Line-1:end.Line], "\n"), def, nil
		}
	}
	return "", nil, Named("TypeError", fmt.Errorf("%s is no function that a def at the top level of a cell made: write one", fn.Name()))
}

// CallFrozen runs what Freeze wrote, and then its function. The interpreter's step limit
// counts from the beginning, or from the last StepsAnew.
func (in *Interpreter) CallFrozen(ctx context.Context, cell *kernel.Cell, source, function string, args lib.Tuple, kwargs []lib.Tuple) (v lib.Value, err error) {
	src := newSource(function, source)
	in.sources[src.name] = src
	r := &run{in: in, ctx: ctx, cell: cell}
	if _, err := in.runSource(r, src); err != nil {
		return nil, in.frozenError(err)
	}
	fn, ok := in.env[function].(*lib.Function)
	if !ok {
		return nil, fmt.Errorf("the text defines no function %s", function)
	}
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, in.frozenError(&panicError{value: p, stack: string(debug.Stack())})
		}
	}()
	th := r.thread(function)
	defer context.AfterFunc(ctx, func() { th.Cancel("interrupt") })()
	defer r.watchMemory(th)()
	v, err = lib.Call(th, fn, args, kwargs)
	if used := r.full.Load(); err != nil && used > 0 && r.cancel == nil {
		r.cancel = in.memoryError(used)
	}
	if err != nil && r.cancel != nil && isCancelled(err) {
		err = &replacedError{cause: err, by: r.cancel}
	}
	if err != nil {
		return nil, in.frozenError(err)
	}
	return v, nil
}

// FrozenError is an error of a function, with the traceback that a cell would show.
type FrozenError struct {
	Cell  *kernel.CellError
	cause error
}

func (e *FrozenError) Error() string { return strings.Join(e.Cell.Traceback, "\n") }
func (e *FrozenError) Unwrap() error { return e.cause }

func (in *Interpreter) frozenError(err error) error { return &FrozenError{in.cellError(err), err} }

// StepsAnew has the step limit of a thread count from here.
func StepsAnew(th *lib.Thread) { running(th).counted = th.ExecutionSteps() }

// Has says whether a name is one of the language's or the commands'.
func (in *Interpreter) Has(name string) bool { return in.base[name] != nil }
