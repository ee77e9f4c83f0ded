package starlark

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	lib "go.starlark.net/starlark"
)

// addBuiltins fills env with the language's own builtins and their
// documentation. Those of the interpreter that walk over their arguments are
// wrapped, so that an interrupt and a bound on their size reach them.
func (in *Interpreter) addBuiltins() {
	for name, v := range lib.Universe {
		in.env[name] = v
		if b, ok := v.(*lib.Builtin); ok && walkers[name] {
			in.env[name] = guarded(b)
		}
	}
	in.env["int"] = boundedInt(lib.Universe["int"].(*lib.Builtin))
	for _, cmd := range documented {
		in.commands[cmd.Name] = cmd
	}
	for _, cmd := range append(in.ownBuiltins(), in.richBuiltins()...) {
		in.commands[cmd.Name] = cmd
		in.env[cmd.Name] = in.builtin(cmd)
	}
	in.env["_"] = lib.None
	in.env["stderr"] = stderrValue{}
	in.addHidden()
}

// walkers are the builtins that consume iterables.
var walkers = set("all any bytes dict enumerate list max min reversed set sorted tuple zip")

// guarded wraps a builtin so that it stops when the cell is interrupted and
// refuses what cannot fit.
func guarded(b *lib.Builtin) *lib.Builtin {
	return lib.NewBuiltin(b.Name(), func(th *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		r := running(th)
		var wrapped lib.Tuple
		for i, arg := range args {
			big, err := tooLong(b.Name(), arg)
			if err != nil {
				return nil, err
			}
			if big {
				if wrapped == nil {
					wrapped = append(wrapped, args...)
				}
				wrapped[i] = &watched{arg.(lib.Iterable), r}
			}
		}
		if wrapped != nil {
			args = wrapped
		}
		v, err := b.CallInternal(th, args, kwargs)
		if err == nil && wrapped != nil && r.ctx.Err() != nil {
			return nil, r.ctx.Err()
		}
		return v, err
	})
}

// lengthWatched is how many elements are walked over without a look at the
// interrupt: a few milliseconds' worth.
const lengthWatched = 100_000

// streams are the walkers that keep nothing, and so may walk as long as they
// are let.
var streams = set("all any max min")

func tooLong(name string, v lib.Value) (watch bool, err error) {
	iter, ok := v.(lib.Iterable)
	if !ok {
		return false, nil
	}
	seq, ok := iter.(lib.Sequence)
	if !ok {
		return true, nil
	}
	n := seq.Len()
	if n > maxElements && !streams[name] {
		return false, Named("MemoryError", fmt.Errorf("%s: %d elements are too many, the limit is %d", name, n, maxElements))
	}
	return n > lengthWatched, nil
}

// watched is an iterable that ends early when the cell is interrupted. It
// hides the length on purpose: nothing may be allocated from it.
type watched struct {
	lib.Iterable
	run *run
}

func (w *watched) Iterate() lib.Iterator {
	return &watchedIterator{Iterator: w.Iterable.Iterate(), run: w.run}
}

type watchedIterator struct {
	lib.Iterator
	run *run
	n   int
}

func (it *watchedIterator) Next(p *lib.Value) bool {
	it.n++
	if it.n&0xfff == 0 && it.run.ctx.Err() != nil {
		return false
	}
	return it.Iterator.Next(p)
}

// required, optional and rest make parameters of the language's own builtins.
func required(name, typ, doc string) Param { return Param{Name: name, Type: typ, Doc: doc} }

func optional(name string, def lib.Value, typ, doc string) Param {
	return Param{Name: name, Default: def, Type: typ, Doc: doc}
}

func keyword(name string, def lib.Value, typ, doc string) Param {
	return Param{Name: name, Default: def, Type: typ, Doc: doc, KeywordOnly: true}
}

func variadic(name, typ, doc string) Param {
	return Param{Name: name, Variadic: true, Type: typ, Doc: doc}
}

func (in *Interpreter) ownBuiltins() []*Command {
	return []*Command{
		{
			Name: "print",
			Params: []Param{
				variadic("values", "any", "what to print"),
				keyword("sep", lib.String(" "), "str", "between the values"),
				keyword("end", lib.String("\n"), "str", "after the last"),
				keyword("flush", lib.False, "bool", "accepted; output is never held back"),
				keyword("file", lib.None, "stderr", "`stderr` for what is shown as a warning; None for the cell's output"),
			},
			Doc: "Print the values to the cell's output.\n\nExample: `print(\"seed\", seed, sep=\": \")`",
			Run: runPrint,
		},
		{
			Name: "display",
			Params: []Param{
				variadic("values", "any", "what to show"),
				keyword("display_id", lib.None, "str", "a name by which `update_display` replaces the value; for one value"),
			},
			Doc: "Show values as a cell's last expression would be shown: tables and drawings as such.\n\n" +
				"Example: `for arch in found.selected: display(arch)`",
			Run: runDisplay,
		},
		{
			Name:   "help",
			Params: []Param{optional("subject", lib.None, "any", "a command, function or value; without it, the list of commands")},
			Doc:    "Show the documentation of a command, function or value.\n\nExample: `help(sorted)`. Shift-Tab on a name shows the same.",
			Run:    runHelp,
		},
		{
			Name:   "type",
			Params: []Param{required("x", "any", "a value")},
			Doc:    "The type of x. For Python's own types it is their builtin: `type(3) == int`; otherwise the type's name as a string.",
			Run:    runType,
		},
		{
			Name: "isinstance",
			Params: []Param{
				required("x", "any", "a value"),
				required("types", "type or tuple of types", "int, str, float, list, dict, tuple, bool, set, bytes, range, a type's name as a string, or type(y)"),
			},
			Doc: "Whether x is of one of the types.\n\nExample: `isinstance(x, (int, float))`. As in Python a bool counts as an int.",
			Run: runIsInstance,
		},
		{
			Name:   "callable",
			Params: []Param{required("x", "any", "a value")},
			Doc:    "Whether x can be called.",
			Run: func(c *Call) (lib.Value, error) {
				_, ok := c.Value("x").(lib.Callable)
				return lib.Bool(ok), nil
			},
		},
		{
			Name:   "sum",
			Params: []Param{required("values", "iterable of numbers", "what to add"), optional("start", lib.MakeInt(0), "number", "where to start")},
			Doc:    "The sum of the values, added from left to right.\n\nExample: `sum([a.params for a in archs]) / len(archs)`. Lists are joined by `+` when start is a list.",
			Run:    runSum,
		},
		{
			Name:   "round",
			Params: []Param{required("number", "int or float", "what to round"), optional("ndigits", lib.None, "int", "digits after the point; without it the result is an int")},
			Doc:    "Round to a number of digits, halves to even, as Python does: `round(2.5)` is 2, `round(2.675, 2)` is 2.67.",
			Run:    runRound,
		},
		{
			Name:   "map",
			Params: []Param{required("function", "callable", "of as many arguments as there are iterables"), variadic("iterables", "iterable", "walked over together, up to the shortest")},
			Doc:    "The list of the function's results, one for each element. Unlike Python's it is a list at once.\n\nExample: `map(lambda a: a.params, archs)`",
			Run:    runMap,
		},
		{
			Name:   "filter",
			Params: []Param{required("function", "callable or None", "None keeps what is true"), required("iterable", "iterable", "what to choose from")},
			Doc:    "The list of the elements for which the function is true.\n\nExample: `filter(lambda a: a.params < 2e6, archs)`",
			Run:    runFilter,
		},
		{
			Name:   "pow",
			Params: []Param{required("base", "number", ""), required("exp", "number", ""), optional("mod", lib.None, "int", "for integers: the remainder modulo this")},
			Doc:    "base to the power exp; `base ** exp` is the same. Integers stay exact; a negative exponent gives a float.",
			Run:    func(c *Call) (lib.Value, error) { return power(c.Value("base"), c.Value("exp"), c.Value("mod")) },
		},
		{
			Name:   "divmod",
			Params: []Param{required("a", "number", ""), required("b", "number", "")},
			Doc:    "The pair (a // b, a % b).",
			Run:    runDivmod,
		},
		{
			Name:   "str",
			Params: []Param{optional("x", lib.String(""), "any", "a value")},
			Doc:    "The text of a value, as print writes it.",
			Run:    func(c *Call) (lib.Value, error) { return lib.String(str(c.Value("x"))), nil },
		},
		{
			Name:   "repr",
			Params: []Param{required("x", "any", "a value")},
			Doc:    "The text of a value as it is written in code: strings with quotes.",
			Run:    func(c *Call) (lib.Value, error) { return lib.String(repr(c.Value("x"))), nil },
		},
		{
			Name:   "format",
			Params: []Param{required("value", "any", "a value"), optional("spec", lib.String(""), "str", "as after the colon in f\"{x:.3f}\"")},
			Doc:    "The value written by a format specification.\n\nExample: `format(0.94661, \".2%\")` is `94.66%`.",
			Run: func(c *Call) (lib.Value, error) {
				spec, err := c.String("spec")
				if err != nil {
					return nil, err
				}
				s, err := formatValue(c.Value("value"), spec)
				return lib.String(s), err
			},
		},
		{
			Name:   "input",
			Params: []Param{optional("prompt", lib.String(""), "str", "shown before the field")},
			Doc:    "Ask the person at the front end for a line of text. It fails where a notebook is executed without one.",
			Run:    asks(false),
		},
		{
			Name:   "getpass",
			Params: []Param{optional("prompt", lib.String("Password: "), "str", "shown before the field")},
			Doc:    "Ask as `input` does, for a text that is not shown while it is typed, and not kept in the notebook.",
			Run:    asks(true),
		},
		{
			Name:   "fail",
			Params: []Param{variadic("args", "any", "the message"), keyword("sep", lib.String(" "), "str", "between its parts")},
			Doc:    "Stop the cell with an error; what Python writes `raise ValueError(...)`.",
			Run: func(c *Call) (lib.Value, error) {
				sep, err := c.String("sep")
				if err != nil {
					return nil, err
				}
				return nil, Named("Error", errors.New(joined(c.Value("args").(lib.Tuple), sep)))
			},
		},
		{
			Name:   "globals",
			Doc:    "A dict of the names that cells have defined, with their values.",
			Params: nil,
			Run: func(c *Call) (lib.Value, error) {
				d := new(lib.Dict)
				for _, name := range c.in.userNames() {
					if err := d.SetKey(lib.String(name), c.in.env[name]); err != nil {
						return nil, err
					}
				}
				return d, nil
			},
		},
	}
}

func joined(values lib.Tuple, sep string) string {
	parts, size := make([]string, len(values)), 0
	for i, v := range values {
		parts[i] = str(v)
		if size += len(parts[i]) + len(sep); size > maxText {
			panic(errTextTooLong)
		}
	}
	return strings.Join(parts, sep)
}

// asks is input, and for a password getpass.
func asks(password bool) func(*Call) (lib.Value, error) {
	return func(c *Call) (lib.Value, error) {
		s, err := c.Cell.Out.Input(c.Ctx, str(c.Value("prompt")), password)
		return lib.String(s), err
	}
}

func runPrint(c *Call) (lib.Value, error) {
	sep, err := orDefault(c, "sep", " ")
	if err != nil {
		return nil, err
	}
	end, err := orDefault(c, "end", "\n")
	if err != nil {
		return nil, err
	}
	stream := "stdout"
	if !c.IsNone("file") {
		if c.Value("file") != lib.Value(stderrValue{}) {
			return nil, c.typeError("file", c.Value("file"), "stderr, or left out: cells print to their own output")
		}
		stream = "stderr"
	}
	text := joined(c.Value("values").(lib.Tuple), sep) + end
	if err := c.Ctx.Err(); err != nil {
		return nil, err // it took long, and the cell may be over
	}
	if text != "" {
		c.Cell.Out.Stream(stream, text)
	}
	return lib.None, nil
}

// orDefault reads a string for which None means the default, as for print.
func orDefault(c *Call, name, def string) (string, error) {
	if c.IsNone(name) {
		return def, nil
	}
	return c.String(name)
}

func runDisplay(c *Call) (lib.Value, error) {
	values := c.Value("values").(lib.Tuple)
	if !c.IsNone("display_id") {
		if len(values) != 1 {
			return nil, c.Errorf("display_id names one value, and %d were given", len(values))
		}
		return lib.None, showAs(c, values[0], c.Cell.Out.Display)
	}
	for _, v := range values {
		b, err := c.in.show(c.Ctx, c.Cell, v)
		if err != nil {
			return nil, err
		}
		if b != nil {
			c.Cell.Out.Display(b, "")
		}
	}
	return lib.None, nil
}

// typeBuiltins are the builtins that stand for Python's types, by the
// interpreter's name of the type.
var typeBuiltins = map[string]string{
	"int": "int", "string": "str", "float": "float", "list": "list", "dict": "dict",
	"tuple": "tuple", "bool": "bool", "set": "set", "bytes": "bytes", "range": "range",
}

func runType(c *Call) (lib.Value, error) {
	t := c.Value("x").Type()
	if b := c.in.base[typeBuiltins[t]]; b != nil {
		return b, nil
	}
	return lib.String(t), nil
}

func runIsInstance(c *Call) (lib.Value, error) {
	types, ok := c.Value("types").(lib.Tuple)
	if !ok {
		types = lib.Tuple{c.Value("types")}
	}
	have := c.Value("x").Type()
	for _, t := range types {
		name, err := typeName(t)
		if err != nil {
			return nil, err
		}
		if name == have || name == "int" && have == "bool" || typeBuiltins[have] == name {
			return lib.True, nil
		}
	}
	return lib.False, nil
}

// typeName is the interpreter's name of the type that a value stands for.
func typeName(t lib.Value) (string, error) {
	switch t := t.(type) {
	case lib.String:
		return string(t), nil
	case *lib.Builtin:
		for name, builtin := range typeBuiltins {
			if builtin == t.Name() {
				return name, nil
			}
		}
	}
	return "", Named("TypeError", fmt.Errorf("isinstance: %s is no type; the types are int, str, float, list, dict, tuple, bool, set, bytes, range, type(y), or a type's name as a string", describe(t)))
}

func runSum(c *Call) (lib.Value, error) {
	total := c.Value("start")
	if _, ok := total.(lib.String); ok {
		return nil, Named("TypeError", errors.New(`sum: strings are joined by "".join(strings)`))
	}
	err := c.walk("values", "an iterable of numbers", func(i int, v lib.Value) error {
		sum, err := add(total, v)
		if err != nil {
			return Named("TypeError", fmt.Errorf("sum: values[%d]: %w", i, err))
		}
		total = sum
		return nil
	})
	return total, err
}

func runMap(c *Call) (lib.Value, error) {
	iterables := c.Value("iterables").(lib.Tuple)
	if len(iterables) == 0 {
		return nil, Named("TypeError", errors.New("map() needs a function and at least one iterable"))
	}
	its := make([]lib.Iterator, 0, len(iterables))
	defer func() {
		for _, it := range its {
			it.Done()
		}
	}()
	for i, v := range iterables {
		it := lib.Iterate(v)
		if it == nil {
			return nil, c.typeError(fmt.Sprintf("argument %d", i+2), v, "an iterable")
		}
		its = append(its, it)
	}
	var out []lib.Value
	for {
		args := make(lib.Tuple, len(its))
		for i, it := range its {
			if !it.Next(&args[i]) {
				return lib.NewList(out), nil
			}
		}
		v, err := lib.Call(c.Thread, c.Value("function"), args, nil)
		if err != nil {
			return nil, err
		}
		if out = append(out, v); len(out) > maxElements {
			return nil, Named("MemoryError", fmt.Errorf("map: more than %d elements", maxElements))
		}
		if c.Ctx.Err() != nil {
			return nil, c.Ctx.Err()
		}
	}
}

func runFilter(c *Call) (lib.Value, error) {
	var out []lib.Value
	err := c.each("iterable", "an iterable", func(_ int, v lib.Value) error {
		keep := v
		if !c.IsNone("function") {
			var err error
			if keep, err = lib.Call(c.Thread, c.Value("function"), lib.Tuple{v}, nil); err != nil {
				return err
			}
		}
		if keep.Truth() {
			out = append(out, v)
		}
		return c.Ctx.Err()
	})
	return lib.NewList(out), err
}

func runDivmod(c *Call) (lib.Value, error) {
	q, err := floorDiv(c.Value("a"), c.Value("b"))
	if err != nil {
		return nil, err
	}
	m, err := modulo(c.Value("a"), c.Value("b"))
	if err != nil {
		return nil, err
	}
	return lib.Tuple{q, m}, nil
}

// userNames lists what cells have defined, without the results' names.
func (in *Interpreter) userNames() []string {
	var names []string
	for _, name := range in.names() {
		if v := in.env[name]; in.base[name] != v && !resultName(name) {
			names = append(names, name)
		}
	}
	return names
}

func resultName(name string) bool {
	return name == "Out" || strings.Trim(name, "_0123456789") == ""
}

func power(base, exp, mod lib.Value) (lib.Value, error) {
	b, intBase := base.(lib.Int)
	e, intExp := exp.(lib.Int)
	if intBase && intExp {
		return intPower(b, e, mod)
	}
	x, ok1 := number(base)
	y, ok2 := number(exp)
	if !ok1 || !ok2 || mod != nil && mod != lib.None {
		return nil, Named("TypeError", fmt.Errorf("pow: unsupported operands: %s ** %s", base.Type(), exp.Type()))
	}
	return floatPower(x, y)
}

func intPower(b, e lib.Int, mod lib.Value) (lib.Value, error) {
	if mod != nil && mod != lib.None {
		m, ok := mod.(lib.Int)
		if ok && max(b.BigInt().BitLen(), e.BigInt().BitLen(), m.BigInt().BitLen()) > modLimit {
			return nil, Named("MemoryError", fmt.Errorf("pow: with a modulus, numbers have at most %d bits: reduce the base first", modLimit))
		}
		if !ok || m.Sign() == 0 || e.Sign() < 0 {
			return nil, Named("ValueError", errors.New("pow: with a modulus the exponent must not be negative and the modulus must be an integer other than 0"))
		}
		r := new(big.Int).Exp(b.BigInt(), e.BigInt(), new(big.Int).Abs(m.BigInt()))
		if m.Sign() < 0 && r.Sign() != 0 {
			r.Add(r, m.BigInt())
		}
		return lib.MakeBigInt(r), nil
	}
	if e.Sign() < 0 {
		x, ok1 := number(b)
		y, ok2 := number(e)
		if !ok1 || !ok2 {
			return nil, Named("OverflowError", errors.New("pow: the numbers are too large for a float"))
		}
		return floatPower(x, y)
	}
	n, ok := e.Int64()
	// A lower bound of the result's size: what passes has at most twice as many bits.
	if bits := int64(b.BigInt().BitLen()) - 1; bits > 0 && (!ok || n > bigLimit/bits) {
		return nil, Named("MemoryError", fmt.Errorf("pow: the result of a number of %d bits to the power %s is too large; an integer has at most %d digits: use floats, as in 2.0 ** x", bits+1, abbreviate(e.String(), 20), maxDigits))
	}
	return lib.MakeBigInt(new(big.Int).Exp(b.BigInt(), e.BigInt(), nil)), nil
}
