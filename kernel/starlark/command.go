package starlark

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/nasapi/nearest"
)

// Command is a builtin of the cells with its documentation.
type Command struct {
	Name   string
	Params []Param
	// Doc is Markdown. Its first line is the summary that completion and the
	// short help show; the rest gives shapes, units, errors and an example.
	Doc string
	Run func(c *Call) (lib.Value, error)
}

// Param is one parameter of a Command. The zero value is a required parameter
// that may be given by position or by name.
type Param struct {
	Name        string
	Default     lib.Value // nil = required
	Variadic    bool      // *name takes the rest of the positional arguments
	KeywordOnly bool
	Rest        bool   // **name takes the other keywords
	Type        string // for documentation and completion, such as "list of int"
	Doc         string
	// Values lists the strings that are allowed, offered by Tab inside quotes.
	// It may be nil.
	Values func() []string
}

// Call is one invocation of a command with its arguments bound. A command that
// blocks watches Ctx and returns Ctx.Err() when it ends.
type Call struct {
	Ctx    context.Context
	Cell   *kernel.Cell
	Thread *lib.Thread

	in     *Interpreter
	cmd    *Command
	values map[string]lib.Value
	rest   map[string][]lib.Tuple
	given  map[string]bool
}

// bind gives the arguments to the parameters, with Python's rules and words.
func (c *Call) bind(args lib.Tuple, kwargs []lib.Tuple) error {
	cmd := c.cmd
	c.values = make(map[string]lib.Value, len(cmd.Params))
	c.given = make(map[string]bool, len(cmd.Params))
	if err := c.bindPositional(args); err != nil {
		return err
	}
	for _, kv := range kwargs {
		if err := c.bindKeyword(string(kv[0].(lib.String)), kv); err != nil {
			return err
		}
	}
	return c.fillDefaults()
}

func (c *Call) bindPositional(args lib.Tuple) error {
	next, max := 0, 0
	for i := range c.cmd.Params {
		p := &c.cmd.Params[i]
		switch {
		case p.Variadic:
			c.values[p.Name], c.given[p.Name] = args[next:], next < len(args)
			return nil
		case p.KeywordOnly || p.Rest:
			continue
		}
		max++
		if next < len(args) {
			c.values[p.Name], c.given[p.Name] = args[next], true
			next++
		}
	}
	if next < len(args) {
		return Named("TypeError", fmt.Errorf("%s() takes %s but %d %s given; it is %s",
			c.cmd.Name, count(max, "positional argument"), len(args), wasWere(len(args)), c.cmd.Signature()))
	}
	return nil
}

func (c *Call) bindKeyword(name string, kv lib.Tuple) error {
	p := c.cmd.param(name)
	if p != nil {
		if c.given[name] {
			return Named("TypeError", fmt.Errorf("%s() got multiple values for argument '%s'", c.cmd.Name, name))
		}
		c.values[name], c.given[name] = kv[1], true
		return nil
	}
	rest := c.cmd.restParam()
	if rest == nil {
		return Named("TypeError", c.cmd.unknownKeyword(name))
	}
	for _, other := range c.rest[rest.Name] {
		if other[0] == kv[0] {
			return Named("TypeError", fmt.Errorf("%s() got multiple values for argument '%s'", c.cmd.Name, name))
		}
	}
	if c.rest == nil {
		c.rest = map[string][]lib.Tuple{}
	}
	c.rest[rest.Name] = append(c.rest[rest.Name], kv)
	c.given[rest.Name] = true
	return nil
}

func (c *Call) fillDefaults() error {
	var missing []string
	for i := range c.cmd.Params {
		p := &c.cmd.Params[i]
		if p.Variadic || p.Rest || c.given[p.Name] {
			continue
		}
		if p.Default == nil {
			missing = append(missing, "'"+p.Name+"'")
			continue
		}
		c.values[p.Name] = p.Default
	}
	if len(missing) > 0 {
		return Named("TypeError", fmt.Errorf("%s() missing %s: %s%s; it is %s", c.cmd.Name,
			count(len(missing), "required argument"), joinAnd(missing), c.misspelt(), c.cmd.Signature()))
	}
	return nil
}

// misspelt looks for a parameter's name among the keywords that a Rest
// parameter took, since it takes slips of the fingers too.
func (c *Call) misspelt() string {
	for _, pairs := range c.rest {
		for _, kv := range pairs {
			given := string(kv[0].(lib.String))
			if near := nearest.Name(given, c.cmd.keywords()); near != "" && !c.given[near] {
				return fmt.Sprintf(" (did you mean '%s' by '%s'?)", near, given)
			}
		}
	}
	return ""
}

// param finds a parameter that may be given by name.
func (cmd *Command) param(name string) *Param {
	for i := range cmd.Params {
		if p := &cmd.Params[i]; p.Name == name && !p.Variadic && !p.Rest {
			return p
		}
	}
	return nil
}

func (cmd *Command) restParam() *Param {
	for i := range cmd.Params {
		if cmd.Params[i].Rest {
			return &cmd.Params[i]
		}
	}
	return nil
}

// keywords lists the parameters that may be given by name.
func (cmd *Command) keywords() []string {
	var names []string
	for _, p := range cmd.Params {
		if !p.Variadic && !p.Rest {
			names = append(names, p.Name)
		}
	}
	return names
}

func (cmd *Command) unknownKeyword(name string) error {
	allowed := cmd.keywords()
	msg := fmt.Sprintf("%s() got an unexpected keyword argument '%s'", cmd.Name, name)
	if near := nearest.Name(name, allowed); near != "" {
		msg += fmt.Sprintf("; did you mean '%s'?", near)
	} else {
		msg += ";"
	}
	if len(allowed) == 0 {
		return fmt.Errorf("%s it takes no keywords", msg)
	}
	return fmt.Errorf("%s it takes %s", msg, strings.Join(allowed, ", "))
}

// Signature is the call as documentation shows it, such as
// search(policy, space, *, budget=1000).
func (cmd *Command) Signature() string {
	return cmd.Name + cmd.signature()
}

// signature is the part in parentheses.
func (cmd *Command) signature() string {
	var parts []string
	star := false
	for _, p := range cmd.Params {
		switch {
		case p.Rest:
			parts = append(parts, "**"+p.Name)
			continue
		case p.Variadic:
			parts = append(parts, "*"+p.Name)
			star = true
			continue
		case p.KeywordOnly && !star:
			parts = append(parts, "*")
			star = true
		}
		if p.Default == nil {
			parts = append(parts, p.Name)
		} else {
			parts = append(parts, p.Name+"="+repr(p.Default))
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// Value is an argument, its default where it was not given. It is nil for a
// name that the command does not declare.
func (c *Call) Value(name string) lib.Value { return c.values[name] }

// Given tells whether the caller gave the argument.
func (c *Call) Given(name string) bool { return c.given[name] }

// IsNone tells whether the argument is None, given so or by default.
func (c *Call) IsNone(name string) bool {
	v := c.values[name]
	return v == nil || v == lib.None
}

// Rest is what a Rest parameter took: (name, value) pairs as they were written.
func (c *Call) Rest(name string) []lib.Tuple { return c.rest[name] }

// Errorf is an error that is led by the command's name, once. It shows as a
// ValueError unless it wraps an error with another name or that of an interrupt.
func (c *Call) Errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	// What ran out of a time of its own was not interrupted.
	if ended := c.Ctx.Err(); ended == nil || !errors.Is(err, ended) {
		err = Named("ValueError", err)
	}
	if strings.HasPrefix(err.Error(), c.cmd.Name+": ") {
		return err
	}
	return fmt.Errorf("%s: %w", c.cmd.Name, err)
}

// typeError says what an argument is and what it should be.
func (c *Call) typeError(name string, v lib.Value, want string) error {
	return Named("TypeError", fmt.Errorf("%s: %s is %s, want %s", c.cmd.Name, name, describe(v), want))
}

func (c *Call) String(name string) (string, error) {
	v := c.values[name]
	if s, ok := lib.AsString(v); ok {
		return s, nil
	}
	return "", c.typeError(name, v, "a string")
}

// Int64 refuses floats, also whole ones, and booleans.
func (c *Call) Int64(name string) (int64, error) {
	i, err := asInt64(c.values[name])
	if err != nil {
		return 0, c.intError(name, c.values[name], err)
	}
	return i, nil
}

func (c *Call) Int(name string) (int, error) {
	i, err := c.Int64(name)
	if err == nil && int64(int(i)) != i {
		return 0, c.intError(name, c.values[name], errTooLarge)
	}
	return int(i), err
}

func (c *Call) intError(name string, v lib.Value, err error) error {
	if err == errTooLarge {
		return c.Errorf("%s is %s, which does not fit in 64 bits", name, abbreviate(v.String(), 40))
	}
	if f, ok := v.(lib.Float); ok && float64(f) == math.Trunc(float64(f)) {
		return c.typeError(name, v, "an integer: write int("+name+") or the number without a point or exponent")
	}
	return c.typeError(name, v, "an integer")
}

func (c *Call) Bool(name string) (bool, error) {
	if b, ok := c.values[name].(lib.Bool); ok {
		return bool(b), nil
	}
	return false, c.typeError(name, c.values[name], "True or False")
}

// Float accepts integers too.
func (c *Call) Float(name string) (float64, error) {
	v := c.values[name]
	if _, isBool := v.(lib.Bool); !isBool && v != nil {
		if f, ok := lib.AsFloat(v); ok {
			return f, nil
		}
	}
	return 0, c.typeError(name, v, "a number")
}

// Strings accepts any finite iterable of strings; a lone string is refused,
// because its letters are never what was meant.
func (c *Call) Strings(name string) ([]string, error) {
	var out []string
	err := c.each(name, "a list of strings", func(i int, v lib.Value) error {
		s, ok := lib.AsString(v)
		if !ok {
			return c.typeError(fmt.Sprintf("%s[%d]", name, i), v, "a string")
		}
		out = append(out, s)
		return nil
	})
	return out, err
}

// Int64s accepts a range, list, tuple or other iterable of integers.
func (c *Call) Int64s(name string) ([]int64, error) {
	var out []int64
	err := c.each(name, "a list of integers, such as [0, 1, 2] or range(3)", func(i int, v lib.Value) error {
		n, err := asInt64(v)
		if err != nil {
			return c.intError(fmt.Sprintf("%s[%d]", name, i), v, err)
		}
		out = append(out, n)
		return nil
	})
	return out, err
}

// each walks over an iterable argument that is kept. It stops at maxElements,
// so that a slip such as range(10**10) is an error and not all of the memory.
func (c *Call) each(name, want string, f func(i int, v lib.Value) error) error {
	if seq, ok := c.values[name].(lib.Sequence); ok && seq.Len() > maxElements {
		return c.Errorf("%s has %d elements, more than %d", name, seq.Len(), maxElements)
	}
	return c.walk(name, want, func(i int, v lib.Value) error {
		if i >= maxElements {
			return c.Errorf("%s has more than %d elements", name, maxElements)
		}
		return f(i, v)
	})
}

// walk goes over an iterable argument of any length until an interrupt.
func (c *Call) walk(name, want string, f func(i int, v lib.Value) error) error {
	v := c.values[name]
	iterable, ok := v.(lib.Iterable)
	if !ok {
		return c.typeError(name, v, want)
	}
	it := iterable.Iterate()
	defer it.Done()
	var x lib.Value
	for i := 0; it.Next(&x); i++ {
		if i&0xfff == 0 && c.Ctx.Err() != nil {
			return c.Ctx.Err()
		}
		if err := f(i, x); err != nil {
			return err
		}
	}
	return nil
}

// maxElements bounds what one argument may hold.
const maxElements = 1 << 26

var errTooLarge = fmt.Errorf("does not fit in 64 bits")

func asInt64(v lib.Value) (int64, error) {
	i, ok := v.(lib.Int)
	if !ok {
		return 0, fmt.Errorf("not an integer")
	}
	n, ok := i.Int64()
	if !ok {
		return 0, errTooLarge
	}
	return n, nil
}

// builtin makes the command callable from cells.
func (in *Interpreter) builtin(cmd *Command) *lib.Builtin {
	return lib.NewBuiltin(cmd.Name, func(th *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (v lib.Value, err error) {
		defer bounded(&err)
		run := running(th)
		c := &Call{Ctx: run.ctx, Cell: run.cell, Thread: th, in: in, cmd: cmd}
		if err := c.bind(args, kwargs); err != nil {
			return nil, err
		}
		v, err = cmd.Run(c)
		if err != nil {
			return nil, err
		}
		if v == nil {
			v = lib.None
		}
		return v, nil
	})
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func wasWere(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func joinAnd(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// describe names a value in an error: a string "7", an int 7, None.
func describe(v lib.Value) string {
	switch v := v.(type) {
	case nil:
		return "missing"
	case lib.NoneType:
		return "None"
	case lib.String, lib.Int, lib.Float, lib.Bool:
		return fmt.Sprintf("the %s %s", v.Type(), abbreviate(repr(v), 40))
	}
	return "of type " + v.Type()
}

func abbreviate(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
