// Package starlark is the language of the cells: Starlark with the habits of a
// notebook. It implements kernel.Language.
//
// The way of a cell through the files:
//
//	magic.go     %%time and other lines that are not Starlark
//	token.go     a scanner that is lenient about Python
//	source.go    what Python writes and Starlark's parser cannot read is put
//	             into a form that it can, keeping count of columns
//	hint.go      what cannot work: an error that says what to write instead
//	rewrite.go   the syntax tree: globals become live, formats become calls
//	aside.go     a goroutine for it, which an interrupt can leave
//	exec.go      running it: limits, interrupts, the value to show
//	error.go     from an interpreter's error to a notebook's traceback
//
// Beside it: command.go (builtins with documentation and bound arguments, what
// the rest of the program adds to the language), builtin.go and format.go (the
// builtins of the language itself), memory.go and json.go (bounds), complete.go
// and inspect.go (Tab and Shift-Tab), incomplete.go (may a console run this
// yet?).
//
// Globals live in one map, Interpreter.env, that holds builtins, commands and
// the cells' own names. Every function looks names up in it when it runs, so
// that it sees what later cells define; an assignment at top level is rewritten
// to a write into the map. Nothing but the running cell may touch it: values
// that jobs share with cells must be converted or frozen.
package starlark
