package starlark

import (
	"regexp"
	"strings"
)

// absentNames are Python builtins that the cells lack, with what to write
// instead.
var absentNames = map[string]string{
	"open":         "cells do not open files; commands take file names, and load(\"file.star\", \"name\") reads code",
	"exec":         "cells cannot run text as code; load(\"file.star\", \"name\") reads code from a file",
	"eval":         "cells cannot run text as code; json.decode(text) reads data",
	"locals":       "write globals() for the names that cells defined",
	"vars":         "write dir(x) for the attributes of x",
	"iter":         "write a for loop or a list comprehension",
	"next":         "write xs[0] for the first element of a list",
	"setattr":      "values have no attributes to set; use a dict",
	"delattr":      "values have no attributes to delete; use a dict and d.pop(key)",
	"object":       "there are no classes; use a dict",
	"super":        "there are no classes; use functions and dicts",
	"property":     "there are no classes; use functions and dicts",
	"staticmethod": "there are no classes; use functions",
	"classmethod":  "there are no classes; use functions",
	"frozenset":    "write set(xs)",
	"complex":      "there are no complex numbers",
	"slice":        "write xs[a:b]",
	"hex":          "write f\"{n:#x}\"",
	"oct":          "write f\"{n:#o}\"",
	"bin":          "write f\"{n:#b}\"",
	"id":           "compare values with ==",
	"ascii":        "write f\"{x!a}\"",
	"bytearray":    "write a list of ints",
	"memoryview":   "write bytes(x)",
	"long":         "write int(x); integers have up to 315,653 digits",
	"unicode":      "write str(x)",
	"xrange":       "write range(n)",
	"reduce":       "write a for loop, or sum(xs)",
	"np":           "numpy is not there: lists, sum(), sorted() and math do what cells need, and results come with their statistics",
	"numpy":        "numpy is not there: lists, sum(), sorted() and math do what cells need, and results come with their statistics",
	"plt":          "matplotlib is not there: values draw themselves, write one as the last expression of a cell",
	"pd":           "pandas is not there: results have .table, and save(\"file.csv\")",
	"time":         "there is no clock in cells; write %%time as a cell's first line to measure it",
	"random":       "randomness comes from seeds: pass seed= or seeds= to a command",
	"os":           "cells do not reach the system; commands take file names",
	"sys":          "cells do not reach the system",
	"Exception":    "write fail(\"message\")",
	"ValueError":   "write fail(\"message\")",
	"TypeError":    "write fail(\"message\")",
	"RuntimeError": "write fail(\"message\")",
	"true":         "write True",
	"false":        "write False",
	"null":         "write None",
	"exit":         "exit as a whole cell leaves a console; elsewhere restart or shut down the kernel from the menu",
	"quit":         "quit as a whole cell leaves a console; elsewhere restart or shut down the kernel from the menu",
}

// absentModules are modules that people import out of habit.
var absentModules = map[string]string{
	"numpy":       absentNames["np"],
	"scipy":       "compare(...) brings the tests and intervals with its result",
	"pandas":      absentNames["pd"],
	"matplotlib":  absentNames["plt"],
	"seaborn":     absentNames["plt"],
	"torch":       "networks are trained by commands such as search(...) in processes of their own",
	"torchvision": "networks are trained by commands such as search(...) in processes of their own",
	"tensorflow":  "networks are trained by commands such as search(...) in processes of their own",
	"random":      absentNames["random"],
	"time":        absentNames["time"],
	"datetime":    "there is no clock in cells",
	"os":          absentNames["os"],
	"sys":         absentNames["sys"],
	"pathlib":     "write paths as strings",
	"re":          "strings have split, find, replace, startswith, removeprefix",
	"collections": "dicts keep their order; count with d[k] = d.get(k, 0) + 1",
	"itertools":   "write nested for loops or comprehensions",
	"functools":   "write a for loop, or sum(xs)",
	"statistics":  "write sum(xs) / len(xs) and sorted(xs)[len(xs) // 2]",
	"typing":      "annotations are accepted and mean nothing; leave the import out",
	"copy":        "write list(xs) or dict(d)",
	"csv":         "results have save(\"file.csv\")",
	"tqdm":        "commands show their own progress",
	"nasbench":    "nasbench101() and query(arch) are builtins",
}

// absentMethods are methods of Python's types that Starlark's lack.
var absentMethods = map[string]string{
	"list.sort":         "write xs = sorted(xs)",
	"list.reverse":      "write xs = reversed(xs)",
	"list.copy":         "write list(xs)",
	"list.count":        "write len([x for x in xs if x == value])",
	"list.shape":        "lists have len(xs)",
	"list.mean":         "write sum(xs) / len(xs)",
	"list.sum":          "write sum(xs)",
	"list.max":          "write max(xs)",
	"list.min":          "write min(xs)",
	"list.len":          "write len(xs)",
	"tuple.index":       "write list(t).index(x)",
	"tuple.count":       "write len([x for x in t if x == value])",
	"dict.copy":         "write dict(d)",
	"dict.fromkeys":     "write {k: value for k in keys}",
	"dict.iteritems":    "write d.items()",
	"dict.has_key":      "write key in d",
	"set.copy":          "write set(s)",
	"string.zfill":      "write f\"{s:0>8}\"",
	"string.ljust":      "write f\"{s:<8}\"",
	"string.rjust":      "write f\"{s:>8}\"",
	"string.center":     "write f\"{s:^8}\"",
	"string.encode":     "write bytes(s)",
	"string.decode":     "strings are text already",
	"string.isnumeric":  "write s.isdigit()",
	"string.swapcase":   "write s.upper() or s.lower()",
	"string.casefold":   "write s.lower()",
	"string.format_map": "write \"...\".format(**d)",
	"float.is_integer":  "write x == int(x)",
	"int.bit_length":    "write len(f\"{n:b}\")",
}

// absentMagics are IPython's that have another way here.
var absentMagics = map[string]string{
	"timeit":     "write %%time as the first line",
	"matplotlib": "figures are inline without it",
	"run":        "write load(\"file.star\", \"name\")",
	"load":       "write load(\"file.star\", \"name\")",
	"pip":        "cells need no packages",
	"conda":      "cells need no packages",
	"ls":         "use the front end's file browser",
	"env":        "cells do not reach the system",
	"autoreload": "load() reads a file again when it has changed",
	"load_ext":   "there are no extensions",
	"bash":       "cells run no shell commands; use a terminal",
	"sh":         "cells run no shell commands; use a terminal",
}

// binaryHints are for operands that Python would take.
var binaryHints = []struct {
	pattern *regexp.Regexp
	hint    string
}{
	{re(`string \+ |\+ string`), "write str(x), or an f-string such as f\"{x}\""},
	{re(`bool [-+*/%]|[-+*/%] bool`), "write int(x) for the number of a bool"},
	{re(`list [-*/] |list \+ (int|float)`), "lists are not arrays: write [x + 1 for x in xs]"},
	{re(`range \+|\+ range`), "write list(range(n))"},
	{re(`dict \+ dict`), "write a | b"},
	{re(`NoneType`), "a value is None: does the function return something?"},
}

// forbiddenStarts are words that start a statement of Python's that cells
// lack.
var forbiddenStarts = map[string]string{
	"class":    "there are no classes: write a dict for data, or a function that returns functions",
	"try":      "errors cannot be caught: ask first, as in `if key in d:` or `if hasattr(x, \"name\"):`",
	"except":   "errors cannot be caught: ask first, as in `if key in d:` or `if hasattr(x, \"name\"):`",
	"finally":  "errors cannot be caught, and nothing needs closing: leave `try` and `finally` out",
	"with":     "there is no `with`, because nothing needs closing: call the command directly",
	"async":    "there is no async: commands such as search(...) return at once and wait(...) waits",
	"await":    "there is no await: write wait(...)",
	"raise":    "there are no exceptions: write fail(\"message\")",
	"global":   "a function cannot assign globals: return the value and write `x = f()` outside",
	"nonlocal": "a function cannot assign an outer function's names: keep the value in a dict, state = {\"n\": 0}, and write state[\"n\"] += 1",
	"yield":    "there are no generators: collect the values in a list and return it",
}

// forbiddenStatement refuses what starts like Python and cannot work.
func (p *preparer) forbiddenStatement(i int, stmt []token) {
	t := stmt[0]
	next := token{}
	if len(stmt) > 1 {
		next = stmt[1]
	}
	starts := next.kind == kindString || next.kind == kindNumber || next.word()
	switch {
	case t.kind == kindName && forbiddenStarts[t.text] != "":
		p.fail(t, "%s", forbiddenStarts[t.text])
	case t.is("@"):
		p.fail(t, "there are no decorators: write `f = decorate(f)` after the def")
	case t.is("del") && stmt[len(stmt)-1].is("]"):
		p.fail(t, "there is no del: write d.pop(key) for a dict, xs.pop(i) for a list")
	case t.is("del"):
		p.fail(t, "there is no del: write x = None to let a value go")
	case t.is("print") && starts, t.is("exec") && starts:
		p.fail(t, "%s is a function: write %s(...)", t.text, t.text)
	case t.is("match") && starts && stmt[len(stmt)-1].is(":"):
		p.fail(t, "there is no match: write if, elif and else")
	case t.is("else") && p.elseOfLoop(i):
		p.fail(t, "a loop has no else: set a variable before `break` and ask for it afterwards")
	case t.is("*"), t.word() && next.is(",") && hasStar(stmt):
		p.fail(t, "a target cannot take the rest: write first, rest = xs[0], xs[1:]")
	}
}

// hasStar finds a starred target: a star after a comma, before the = sign.
func hasStar(stmt []token) bool {
	for i, t := range stmt {
		if t.is("=") {
			break
		}
		if i > 0 && t.is("*") && t.depth == 0 && stmt[i-1].is(",") {
			return true
		}
	}
	return false
}

// elseOfLoop finds the statement that an else at the same indentation belongs
// to.
func (p *preparer) elseOfLoop(i int) bool {
	margin := p.indent(p.toks[i])
	for j := i - 1; j >= 0; j-- {
		t := p.toks[j]
		if !t.first || p.indent(t) > margin {
			continue
		}
		if p.indent(t) == margin && t.start == p.lineStart(t)+margin {
			return t.in("for", "while")
		}
	}
	return false
}

func (p *preparer) lineStart(t token) int {
	return strings.LastIndexByte(p.code[:t.start], '\n') + 1
}

func (p *preparer) indent(t token) int {
	line := p.code[p.lineStart(t):]
	return len(line) - len(strings.TrimLeft(line, " \t"))
}

// forbiddenToken refuses operators and words inside expressions.
func (p *preparer) forbiddenToken(i int) {
	t := p.toks[i]
	before := token{}
	if i > 0 {
		before = p.toks[i-1]
	}
	switch t.text {
	case ":=":
		p.fail(t, "there is no :=; assign on a line of its own before")
	case "@":
		if operand(before) {
			p.fail(t, "there are no matrices: write sum([x * y for x, y in zip(a, b)])")
		}
	case "@=":
		p.fail(t, "there are no matrices")
	case "...":
		p.fail(t, "there is no `...`: write pass as a statement, None as a value")
	case "<>":
		p.fail(t, "write !=")
	case "&&":
		p.fail(t, "write `and`")
	case "||":
		p.fail(t, "write `or`")
	case "!":
		if !(i+1 < len(p.toks) && p.toks[i+1].is("=")) {
			p.fail(t, "write `not`")
		}
	case "yield", "await":
		if !t.first {
			p.fail(t, "%s", forbiddenStarts[t.text])
		}
	case "+", "-":
		if before.is(t.text) && before.end == t.start && (i+1 == len(p.toks) || p.toks[i+1].kind == kindNewline) {
			p.fail(t, "there is no %s%s: write x %s= 1", t.text, t.text, t.text)
		}
	}
}

// bad is a letter that begins nothing.
func (p *preparer) bad(i int) {
	t := p.toks[i]
	switch t.text {
	case "?":
		if !p.questionLine(i) {
			p.fail(t, "there is no ?: write a if condition else b; for help write help(name) or name? alone on a line")
		}
	case "`":
		p.fail(t, "there are no backquotes: write repr(x)")
	case "$":
		p.fail(t, "cells run no shell commands and have no $ names")
	case "\\":
		p.fail(t, "a backslash continues a line only as its very last letter")
	case "“", "”", "„", "‘", "’":
		p.fail(t, "%s is a typographic quote: write \" or '", t.text)
	case "–", "−", "—":
		p.fail(t, "%s is a dash: write - for minus", t.text)
	case "×":
		p.fail(t, "write * for times")
	case "≤":
		p.fail(t, "write <=")
	case "≥":
		p.fail(t, "write >=")
	case "≠":
		p.fail(t, "write !=")
	default:
		p.fail(t, "the letter %q (U+%04X) means nothing here", t.text, []rune(t.text)[0])
	}
}

// questionLine tells whether the ? ends a statement, as IPython's help does.
func (p *preparer) questionLine(i int) bool {
	for i < len(p.toks) && p.toks[i].text == "?" {
		i++
	}
	return i == len(p.toks) || p.toks[i].kind == kindNewline
}

// star refuses unpacking outside of calls.
func (p *preparer) star(i int) {
	t := p.toks[i]
	if i == 0 || !p.toks[i-1].in("[", "{", "(", ",", "=", "return") {
		return
	}
	open := p.outer[i]
	switch {
	case open < 0:
		if p.toks[i-1].in("=", "return") {
			p.fail(t, "lists are not unpacked here: write list(a) + list(b), or tuple(a)")
		}
	case p.toks[open].in("[", "{"), open == 0, p.toks[open].is("(") && !operand(p.toks[open-1]) && !p.toks[open-1].is("lambda"):
		p.fail(t, "lists are not unpacked inside brackets: write list(a) + list(b)")
	}
}

// parserWords puts the parser's and the resolver's messages into words that
// help.
var parserWords = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{re(`^got end of file, want (.*)`), "the cell ends too early: $1 is missing"},
	{re(`^got newline, want ':'`), "a colon is missing at the end of the line"},
	{re(`^got newline, want (.*)`), "the line ends too early: $1 is missing"},
	{re(`^got indent, want primary expression`), "unexpected indentation"},
	{re(`^got indent`), "unexpected indentation"},
	{re(`^got (.*), want indent`), "an indented block is missing"},
	{re(`^got outdent, want (.*)`), "the block ends too early: $1 is missing"},
	{re(`^got '=', want (.*)`), "= assigns and is a statement of its own; write == to compare"},
	{re(`^got (.*), want primary expression`), "$1 cannot stand here: a value is missing before it"},
	{re(`^got (.*), want newline`), "$1 cannot stand here: is an operator, comma or bracket missing before it?"},
	{re(`^got (.*), want '(.)'`), "$1 cannot stand here, '$2' is missing before it"},
	{re(`does not associate with`), "comparisons cannot be chained here: write a < x and x < b"},
	{re(`^unexpected EOF in string`), "the string is not closed"},
	{re(`^unexpected newline in string`), "the string is not closed on its line; triple quotes hold several lines"},
	{re(`^unparenthesized tuple with trailing comma`), "a tuple that ends in a comma needs parentheses: (x,)"},
	{re(`^conditional expression without else clause`), "a conditional value needs an else: a if condition else b"},
	{re(`^can't assign to sliceexpr`), "a slice cannot be assigned: write xs = xs[:a] + new + xs[b:]"},
	{re(`^can't assign to callexpr`), "the result of a call cannot be assigned to; write == to compare"},
	{re(`^can't assign to literal`), "a literal cannot be assigned to; write == to compare"},
	{re(`^can't assign to (.*)expr`), "an expression cannot be assigned to; write == to compare"},
	{re(`^can't use (tuple|list) expression in augmented assignment`), "only one name can be changed by += and its like"},
	{re(`^multiple \*args not allowed`), "one *args only: join the lists, f(*(a + b))"},
	{re(`^multiple \*\*kwargs not allowed`), "one **kwargs only: join the dicts, f(**(a | b))"},
	{re(`^positional argument may not follow \*args`), "a positional argument cannot follow *args: put it into the list"},
	{re(`^positional argument may not follow named`), "a positional argument cannot follow one with a name: name it too, or move it forward"},
	{re(`^keyword argument may not follow \*args`), "keywords go before *args: write f(key=1, *args); compare and wait also take the list itself: compare(found, by=...)"},
	{re(`^keyword argument may not follow \*\*kwargs`), "keywords go before **kwargs: f(key=1, **kwargs)"},
	{re(`^return statement not within a function`), "`return` is for functions: write the value alone on the cell's last line"},
	{re(`^(break|continue) not in a loop`), "`$1` is for loops"},
	{re(`^unindent does not match`), "the indentation matches no line above"},
	{re(`^non-ASCII (hex|octal) escape`), "bytes above \\x7f are written \\u00XX in a string"},
}

// explain rewords a message.
func explain(msg string) string {
	for _, w := range parserWords {
		if w.pattern.MatchString(msg) {
			at := w.pattern.FindStringSubmatchIndex(msg)
			return string(w.pattern.ExpandString(nil, w.text, msg, at))
		}
	}
	return msg
}
