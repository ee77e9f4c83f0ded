package starlark

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"go.starlark.net/resolve"
	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
	"evalnas/nasapi/nearest"
)

// A NamedError carries the name that the notebook shows before the message,
// one of Python's exception names where there is one.
type NamedError struct {
	Name string
	Err  error
}

func (e *NamedError) Error() string { return e.Err.Error() }
func (e *NamedError) Unwrap() error { return e.Err }

// Named gives err a name. An error that has one keeps it.
func Named(name string, err error) error {
	var named *NamedError
	if err == nil || errors.As(err, &named) {
		return err
	}
	return &NamedError{name, err}
}

// syntaxErrorf is an error of the rewriting passes, in rewritten columns.
func syntaxErrorf(pos syntax.Position, format string, args ...any) error {
	return syntax.Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

// nameError says which name the cells do not know, and the nearest they do.
func (in *Interpreter) nameError(name string) error {
	msg := fmt.Sprintf("name '%s' is not defined", name)
	if hint := absentNames[name]; hint != "" {
		msg += "; " + hint
	} else if near := nearest.Name(name, in.names()); near != "" {
		msg += fmt.Sprintf("; did you mean '%s'?", near)
	}
	return Named("NameError", errors.New(msg))
}

// names lists what a cell can refer to.
func (in *Interpreter) names() []string {
	names := make([]string, 0, len(in.env))
	for name := range in.env {
		if !strings.HasPrefix(name, "·") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// cellError turns any error of a run into what the notebook shows.
func (in *Interpreter) cellError(err error) *kernel.CellError {
	var done *kernel.CellError
	if errors.As(err, &done) {
		return done
	}
	outer, err := in.loadFrames(err)
	var placed *placedError
	var syn syntax.Error
	var list resolve.ErrorList
	switch {
	case errors.As(err, &placed):
		name := placed.name
		if name == "" {
			name = "SyntaxError"
		}
		return in.report(name, placed.msg, append(outer, frame{src: placed.src, pos: placed.pos, column: true}))
	case errors.As(err, &syn):
		return in.syntaxError(outer, syn.Pos, syn.Msg)
	case errors.As(err, &list):
		return in.syntaxError(outer, list[0].Pos, list[0].Msg)
	}
	var broken *panicError
	if errors.As(err, &broken) {
		ce := in.report("InternalError", broken.Error(), nil)
		ce.Traceback = append(ce.Traceback, strings.Split(broken.stack, "\n")...)
		return ce
	}
	name, msg := in.classify(err)
	var stack lib.CallStack
	var eval *lib.EvalError
	if errors.As(err, &eval) {
		stack = eval.CallStack
	}
	if n := len(stack); n > 1 && strings.HasPrefix(eval.Msg, "function "+stack[n-1].Name+" ") {
		stack = stack[:n-1] // arguments that do not fit are the caller's mistake
	}
	return in.report(name, msg, append(outer, in.frames(stack)...))
}

// loadFrames are the levels from the cell to the load statement whose file failed, and that
// file's own error.
func (in *Interpreter) loadFrames(err error) ([]frame, error) {
	var outer []frame
	var failed *loadError
	for errors.As(err, &failed) {
		var eval *lib.EvalError
		if errors.As(err, &eval) {
			outer = append(outer, in.frames(eval.CallStack)...)
		}
		err = failed.err
	}
	return outer, err
}

// syntaxError points at the place in what the person wrote, and says what to
// write instead where the construct is Python's.
func (in *Interpreter) syntaxError(outer []frame, pos syntax.Position, msg string) *kernel.CellError {
	src := in.sources[pos.Filename()]
	if src == nil {
		return in.report("SyntaxError", msg, outer)
	}
	at := src.original(pos)
	if strings.HasPrefix(msg, "got newline") && at.line > 1 && at.col == 1 {
		// The parser names the place after the line break.
		at = src.lineEnd(at.line - 1)
	}
	for at.line > 1 && at.line <= len(src.lines) && strings.TrimSpace(src.lines[at.line-1]) == "" {
		at = src.lineEnd(at.line - 1) // an end of the cell behind blank lines
	}
	return in.report("SyntaxError", explain(msg), append(outer, frame{src: src, pos: at, column: true}))
}

// classify finds the exception's name and message.
func (in *Interpreter) classify(err error) (name, msg string) {
	msg = err.Error()
	var replaced *replacedError
	if errors.As(err, &replaced) {
		err = replaced.by
	}
	var named *NamedError
	switch {
	case errors.As(err, &named):
		return named.Name, msg
	case isCancelled(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "KeyboardInterrupt", "the cell was interrupted; jobs that it started go on"
	}
	for _, c := range classes {
		m := c.pattern.FindStringSubmatch(msg)
		if m == nil {
			continue
		}
		if c.say != nil {
			if e := c.say(in, m); e != nil {
				var n *NamedError
				if errors.As(e, &n) {
					return n.Name, e.Error()
				}
				return c.name, e.Error()
			}
		}
		return c.name, msg
	}
	return "RuntimeError", msg
}

// classes maps the interpreter's messages, which carry no type, to exception
// names; say may put one in better words. The first match counts.
var classes = []struct {
	pattern *regexp.Regexp
	name    string
	say     func(in *Interpreter, m []string) error
}{
	{re(`^internal error: predeclared variable (.+) is uninitialized`), "NameError",
		func(in *Interpreter, m []string) error { return in.nameError(m[1]) }},
	{re(`^(local|global) variable (.+) referenced before assignment`), "UnboundLocalError", sayUnbound},
	{re(`^Starlark stack overflow`), "RecursionError", nil},
	{re(`division by zero|modulo by zero`), "ZeroDivisionError", nil},
	{re(`^key (.*) not in `), "KeyError", nil},
	{re(`missing key|key not found`), "KeyError", nil},
	{re(`index.* out of range`), "IndexError", nil},
	{re(`^(\S+) has no \.(\S+) field or method`), "AttributeError", sayAttribute},
	{re(`has no \.\S+ field`), "AttributeError", nil},
	{re(`excessive repeat|repeat count .* too large`), "MemoryError", nil},
	{re(`^string value is not iterable`), "TypeError",
		say("a string is not iterable: write s.elems() for its letters, as in `for c in s.elems()`")},
	{re(`^unknown binary op: (.*)$`), "TypeError", sayBinary},
	{re(`^unknown conversion %`), "ValueError",
		say("a format in a variable knows no width or precision here: write it as \"%.3f\" % x, as an f-string or with .format()")},
	{re(`^invalid call of non-function \((.*)\)`), "TypeError",
		func(_ *Interpreter, m []string) error { return fmt.Errorf("a value of type %s cannot be called", m[1]) }},
	{re(`^(?:\S+: )?cannot .* frozen (.+)$`), "TypeError",
		func(_ *Interpreter, m []string) error {
			return fmt.Errorf("this %s belongs to a loaded file and cannot be changed: change a copy, list(x), dict(x) or set(x)", strings.Replace(m[1], "hash table", "dict or set", 1))
		}},
	{re(`during iteration`), "RuntimeError",
		func(_ *Interpreter, m []string) error { return nil }},
	{re(`^function (\S+) (missing|accepts|got) (.*)`), "TypeError",
		func(_ *Interpreter, m []string) error { return fmt.Errorf("%s() %s %s", m[1], m[2], m[3]) }},
	{re(`^json\.(decode|indent): `), "ValueError", nil},
	{re(`empty sequence`), "ValueError", nil},
	{re(`in sequence assignment`), "TypeError", nil},
	{re(`too (many|few) values to unpack|invalid literal|invalid float literal|empty string|not found$|empty separator|code point .* out of range|is not a valid|math domain|base must be`), "ValueError", nil},
	{re(`unknown unary op|unhashable|not iterable|not implemented|has no len|does not support|missing \d+ argument|unexpected keyword|multiple values|positional argument|accepts no arguments|missing argument|got .*, want|want .*, got|wants|requires|does not accept|got \d+ arguments|can't convert|must be|invalid slice|invalid start|invalid end|unhandled index|can't assign|cannot .* frozen|duplicate key|format`), "TypeError", nil},
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

func say(msg string) func(*Interpreter, []string) error {
	return func(*Interpreter, []string) error { return errors.New(msg) }
}

func sayUnbound(_ *Interpreter, m []string) error {
	return fmt.Errorf("local variable '%s' is used before it is assigned; a function cannot change a global: return the value and assign it outside", m[2])
}

func sayAttribute(_ *Interpreter, m []string) error {
	if hint := absentMethods[m[1]+"."+m[2]]; hint != "" {
		return fmt.Errorf("%s has no .%s; %s", m[1], m[2], hint)
	}
	return nil
}

func sayBinary(_ *Interpreter, m []string) error {
	for _, h := range binaryHints {
		if h.pattern.MatchString(m[1]) {
			return fmt.Errorf("unsupported operands: %s; %s", m[1], h.hint)
		}
	}
	return fmt.Errorf("unsupported operands: %s", m[1])
}

// A frame is one level of a traceback.
type frame struct {
	src    *source // nil for code that is not in a cell
	name   string  // of the function; "" at top level
	pos    position
	column bool // point at the column too
}

// position is a place in the text as the person wrote it, from 1.
type position struct{ line, col int }

// frames leaves out the builtins, whose place is that of their call. A long
// recursion is cut in the middle when it is printed.
func (in *Interpreter) frames(stack lib.CallStack) []frame {
	var out []frame
	for _, f := range stack {
		src := in.sources[f.Pos.Filename()]
		if src == nil {
			continue
		}
		name := f.Name
		if name == "<toplevel>" {
			name = ""
		}
		out = append(out, frame{src: src, name: name, pos: src.original(f.Pos)})
	}
	return out
}

// ANSI colours as IPython uses them.
const (
	red, green, cyan, bold, plain = "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[1m", "\x1b[0m"
)

// maxFrames is how many levels a traceback shows.
const maxFrames = 12

// report lays an error out as IPython does: a rule, the levels with their
// lines, the error.
func (in *Interpreter) report(name, msg string, frames []frame) *kernel.CellError {
	head := "Traceback (most recent call last)"
	gap := max(1, 75-len(name)-len(head))
	tb := []string{
		red + strings.Repeat("-", 75) + plain,
		red + name + plain + strings.Repeat(" ", gap) + head,
	}
	for i, f := range frames {
		if cut := len(frames) - maxFrames; cut > 0 && i >= maxFrames/2 && i < maxFrames/2+cut {
			if i == maxFrames/2 {
				tb = append(tb, fmt.Sprintf("    ... %d more calls ...", cut))
			}
			continue
		}
		tb = append(tb, f.lines()...)
	}
	first, _, _ := strings.Cut(msg, "\n")
	tb = append(tb, red+name+plain+": "+msg)
	return &kernel.CellError{Name: name, Value: first, Traceback: tb}
}

// around is how many lines are shown before and after the failing one.
const around = 2

func (f frame) lines() []string {
	if f.src == nil || f.pos.line == 0 {
		return nil
	}
	where := f.src.shown()
	if f.name != "" {
		where += " in " + cyan + f.name + "()" + plain
	}
	out := []string{fmt.Sprintf("%s%s%s, line %d", green, where, plain, f.pos.line)}
	for n := max(1, f.pos.line-around); n <= min(len(f.src.lines), f.pos.line+around); n++ {
		line := f.src.lines[n-1]
		if n != f.pos.line {
			out = append(out, fmt.Sprintf("%s%7d%s %s", green, n, plain, line))
			continue
		}
		arrow := strings.Repeat("-", max(1, 5-len(fmt.Sprint(n)))) + "> "
		out = append(out, fmt.Sprintf("%s%s%d%s %s%s%s", green, arrow, n, plain, bold, line, plain))
		if f.column {
			out = append(out, strings.Repeat(" ", 8)+indentLike(line, f.pos.col-1)+red+"^"+plain)
		}
	}
	return out
}

// indentLike is white space as wide as the first n letters of line.
func indentLike(line string, n int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= n {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteRune(' ')
		}
	}
	return b.String()
}
