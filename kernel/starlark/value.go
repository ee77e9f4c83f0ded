package starlark

import (
	"evalnas/kernel"
)

// Bundler is a value with a display richer than its text, used where it is a
// cell's last expression and in display(x).
type Bundler interface {
	Bundle() (*kernel.Bundle, error)
}

// Shower is a value that shows itself through cell.Out, for displays that go
// on changing: a front end follows updates of display_data, not those of an
// execute_result.
type Shower interface {
	Show(cell *kernel.Cell) error
}

// Documented is a value with help: Doc for itself, AttrDoc for an attribute
// ("" where there is none). Both are Markdown, summary first.
type Documented interface {
	Doc() string
	AttrDoc(name string) string
}
