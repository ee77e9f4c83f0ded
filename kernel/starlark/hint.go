package starlark

import (
	"regexp"

	"go.starlark.net/syntax"
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
	"long":         "write int(x); integers have any size",
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
	"exit":         "restart or shut down the kernel from the menu",
	"quit":         "restart or shut down the kernel from the menu",
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
	"set.update":        "write s = s | other",
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

// explain puts the parser's and the resolver's messages into words that help.
func (src *source) explain(pos syntax.Position, msg string) string {
	return msg
}
