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

// Frozen is a function with all that it uses of its notebook and of the files that the
// notebook loads.
type Frozen struct {
	Function string
	Source   string // of cells; it loads from Files
	Files    []FrozenFile
}

// FrozenFile is what a function uses of a loaded file.
type FrozenFile struct {
	Name   string // by which Source and other files load it
	SHA256 string // of the whole file
	Values string // loads and assignments, which run before Source
	Source string // functions, each in its line of the file
}

func (f *Frozen) size() int {
	n := len(f.Source)
	for _, file := range f.Files {
		n += len(file.Values) + len(file.Source)
	}
	return n
}

// Freeze writes a function down with all that it uses of its notebook, as these things are
// now: numbers, texts and lists, dicts and tuples of them as assignments, other functions, and
// itself at the end. What is in loaded files stays in files of their own. It runs in an
// interpreter of its own (CallFrozen). may says which of the language's and the commands' names
// that one has. A function that uses something else, or that was not defined at the top level
// of a cell or file, is an error that says so.
func (in *Interpreter) Freeze(fn *lib.Function, may func(name string) bool) (*Frozen, error) {
	f := &freezer{in: in, may: may, parts: map[*loaded]*frozenPart{}}
	cells := f.part(nil)
	if err := f.use(cells, fn.Name(), fn); err != nil {
		return nil, err
	}
	out := &Frozen{Function: fn.Name(), Source: cells.text()}
	for _, p := range f.files {
		out.Files = append(out.Files, p.file())
	}
	if n := out.size(); n > maxCode {
		return nil, fmt.Errorf("%s and what it uses are a text of %d bytes: at most %d are allowed", fn.Name(), n, maxCode)
	}
	return out, nil
}

// Freeze is the Interpreter's, for commands that are given a function.
func (c *Call) Freeze(fn *lib.Function, may func(name string) bool) (*Frozen, error) {
	return c.in.Freeze(fn, may)
}

type freezer struct {
	in    *Interpreter
	may   func(string) bool
	parts map[*loaded]*frozenPart // nil is the cells
	files []*frozenPart           // without the cells
	size  int                     // of the values so far
}

// A frozenPart is what is used of the cells, or of one file.
type frozenPart struct {
	of        *loaded
	name      string
	env       lib.StringDict
	seen      map[string]*lib.Function // global names; nil for values
	values    []string                 // loads and assignments
	functions []frozenFunction
}

type frozenFunction struct {
	fn   *lib.Function
	text string
}

func (f frozenFunction) line() int { return int(f.fn.Position().Line) }

// part is that of a file, or of the cells if it is nil.
func (f *freezer) part(of *loaded) *frozenPart {
	p := f.parts[of]
	if p != nil {
		return p
	}
	p = &frozenPart{of: of, env: f.in.env, seen: map[string]*lib.Function{}}
	if of != nil {
		p.env, p.name = of.env, of.name
		for n := 2; slices.ContainsFunc(f.files, func(other *frozenPart) bool { return other.name == p.name }); n++ {
			p.name = fmt.Sprintf("%s (%d)", of.name, n) // the file as it was at another load
		}
		f.files = append(f.files, p)
	}
	f.parts[of] = p
	return p
}

// text has each function behind those that it uses.
func (p *frozenPart) text() string {
	slices.Sort(p.values)
	lines := slices.Clone(p.values)
	for _, fn := range p.functions {
		lines = append(lines, fn.text)
	}
	return strings.Join(lines, "\n") + "\n"
}

// file has each function in its own line, which tracebacks name.
func (p *frozenPart) file() FrozenFile {
	slices.Sort(p.values)
	slices.SortFunc(p.functions, func(a, b frozenFunction) int { return a.line() - b.line() })
	var text strings.Builder
	at := 1
	for _, fn := range p.functions {
		text.WriteString(strings.Repeat("\n", fn.line()-at) + fn.text + "\n")
		at = fn.line() + strings.Count(fn.text, "\n") + 1
	}
	return FrozenFile{Name: p.name, SHA256: p.of.sha256, Values: strings.Join(append(p.values, ""), "\n"), Source: text.String()}
}

// claim has a name stand for a function of a cell or file, or for something else if fn is nil.
// It says whether the name was known.
func (p *frozenPart) claim(name string, fn *lib.Function) (known bool, err error) {
	was, known := p.seen[name]
	if known && was != fn {
		return true, Named("TypeError", fmt.Errorf("%s is used as it is now and as it was before it was defined again: give one of the two another name", name))
	}
	p.seen[name] = fn
	return known, nil
}

// use makes a function known in a part by a name.
func (f *freezer) use(in *frozenPart, name string, fn *lib.Function) error {
	if known, err := in.claim(name, fn); known || err != nil {
		return err
	}
	home := f.part(f.in.fileAt(fn.Position().Filename()))
	if home == in {
		if fn.Name() != name {
			return Named("TypeError", fmt.Errorf("%s is another name of the function %s: use the name that def gave it", name, fn.Name()))
		}
		return f.function(home, fn)
	}
	in.values = append(in.values, fmt.Sprintf("load(%s, %s=%s)", lib.String(home.name), name, lib.String(fn.Name())))
	if known, err := home.claim(fn.Name(), fn); known || err != nil {
		return err
	}
	return f.function(home, fn)
}

func (f *freezer) function(p *frozenPart, fn *lib.Function) error {
	text, def, err := f.in.definition(fn)
	if err != nil {
		return err
	}
	if err := p.sameDefaults(fn, def); err != nil {
		return err
	}
	var names []string
	loads := false
	syntax.Walk(def, func(n syntax.Node) bool {
		if id, ok := n.(*syntax.Ident); ok && id.Name == loadName {
			loads = true
		} else if ok && id != def.Name && fromOutside(id) && !reserved(id.Name) {
			names = append(names, id.Name)
		}
		return true
	})
	if loads {
		return Named("TypeError", fmt.Errorf("%s loads a file, which is not there where it will run: write load(...) outside of functions", fn.Name()))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if err := f.name(p, fn.Name(), name); err != nil {
			return err
		}
	}
	p.functions = append(p.functions, frozenFunction{fn, text})
	return nil
}

// sameDefaults says which default is no more what its name stands for: def runs again where the
// function does, and would take the new value without a word.
func (p *frozenPart) sameDefaults(fn *lib.Function, def *syntax.DefStmt) error {
	taken := map[string]*syntax.Ident{}
	for _, param := range def.Params {
		if b, ok := param.(*syntax.BinaryExpr); ok {
			if id, ok := b.Y.(*syntax.Ident); ok && fromOutside(id) && !reserved(id.Name) {
				taken[b.X.(*syntax.Ident).Name] = id
			}
		}
	}
	for i := range fn.NumParams() {
		name, _ := fn.Param(i)
		id := taken[name]
		if id == nil {
			continue
		}
		now, same := p.env[id.Name], false
		if now != nil {
			same, _ = lib.Equal(now, fn.ParamDefault(i)) // what cannot be compared is another value
		}
		if !same {
			return Named("TypeError", fmt.Errorf("%s took the default of %s from %s, which is something else now: run its def again", fn.Name(), name, id.Name))
		}
	}
	return nil
}

// fromOutside says that a name in a function is none of the function's own.
func fromOutside(id *syntax.Ident) bool {
	b, ok := id.Binding.(*resolve.Binding)
	return ok && (b.Scope == resolve.Global || b.Scope == resolve.Predeclared || b.Scope == resolve.Universal)
}

// name adds what a global name stands for.
func (f *freezer) name(p *frozenPart, user, name string) error {
	v := p.env[name]
	if fn, ok := v.(*lib.Function); ok {
		return f.use(p, name, fn)
	}
	if known, err := p.claim(name, nil); known || err != nil {
		return err
	}
	if v == nil {
		return fmt.Errorf("%s: %w", user, f.in.nameError(name))
	}
	if f.in.base[name] == v {
		if !f.may(name) {
			return Named("TypeError", fmt.Errorf("%s uses %s(...), which is not there where it will run: what it is given as arguments, the language's own functions and other functions of the notebook are", user, name))
		}
		return nil
	}
	text, err := f.literal(v, 0)
	if err != nil {
		return Named("TypeError", fmt.Errorf("%s uses %s, %w", user, name, err))
	}
	p.values = append(p.values, name+" = "+text)
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

// definition is the text of a function as a cell or file has it, and what it parses to, with scopes.
func (in *Interpreter) definition(fn *lib.Function) (string, *syntax.DefStmt, error) {
	src := in.sources[fn.Position().Filename()]
	if src == nil {
		return "", nil, Named("TypeError", fmt.Errorf("%s was not defined in a cell or a loaded file: write its def into the notebook", fn.Name()))
	}
	again := newSource(src.name, src.code)
	file, err := again.parse()
	if err != nil {
		return "", nil, err
	}
	if err := resolveNames(file); err != nil {
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
	return "", nil, Named("TypeError", fmt.Errorf("%s is no function that a def at the top level of a cell or file made: write one", fn.Name()))
}

// CallFrozen runs what Freeze wrote, and then its function. The interpreter's step limit
// counts from the beginning, or from the last StepsAnew.
func (in *Interpreter) CallFrozen(ctx context.Context, cell *kernel.Cell, f *Frozen, args lib.Tuple, kwargs []lib.Tuple) (v lib.Value, err error) {
	src := newSource(f.Function, f.Source)
	in.sources[src.name] = src
	in.take(f.Files)
	r := &run{in: in, ctx: ctx, cell: cell}
	if _, err := in.runSource(r, src); err != nil {
		return nil, in.frozenError(err)
	}
	fn, ok := in.env[f.Function].(*lib.Function)
	if !ok {
		return nil, fmt.Errorf("the text defines no function %s", f.Function)
	}
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, in.frozenError(&panicError{value: p, stack: string(debug.Stack())})
		}
	}()
	th := r.thread(f.Function)
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

// take has load statements read what was taken along of files.
func (in *Interpreter) take(files []FrozenFile) {
	in.taken = map[string]FrozenFile{}
	for _, f := range files {
		in.taken[f.Name] = f
	}
	in.read = func(path string, _ request) (string, error) {
		f, ok := in.taken[path]
		if !ok {
			return "", Named("FileNotFoundError", fmt.Errorf("load: %s was not taken along", path))
		}
		return f.Source, nil
	}
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
func StepsAnew(th *lib.Thread) {
	r := running(th)
	r.counted = r.steps(th)
}

// Has says whether a name is one of the language's or the commands'.
func (in *Interpreter) Has(name string) bool { return in.base[name] != nil }
