package starlark

import (
	"context"
	"fmt"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
)

// show is the display of a cell's value: a Shower publishes itself and leaves
// nothing for the kernel to show.
func (in *Interpreter) show(ctx context.Context, cell *kernel.Cell, v lib.Value) (*kernel.Bundle, error) {
	if s, ok := v.(Shower); ok {
		in.inCommand.Add(1)
		defer in.inCommand.Add(-1)
		if err := ctx.Err(); err != nil {
			return nil, in.cellError(err)
		}
		if err := s.Show(cell); err != nil {
			return nil, in.cellError(err)
		}
		return nil, nil
	}
	b, err := in.bundle(ctx, v)
	if err != nil {
		return nil, in.cellError(err)
	}
	return b, nil
}

// bundle is a value's display. It always holds text/plain. After an interrupt
// it is an error: what writing a huge value has held up is not shown behind
// the cell.
func (in *Interpreter) bundle(ctx context.Context, v lib.Value) (*kernel.Bundle, error) {
	b, ok := v.(Bundler)
	if !ok {
		return kernel.TextBundle(pretty(v)), ctx.Err()
	}
	bundle, err := b.Bundle()
	if err != nil {
		return nil, err
	}
	if bundle == nil || bundle.Data == nil {
		return kernel.TextBundle(pretty(v)), ctx.Err()
	}
	if _, ok := bundle.Data["text/plain"]; !ok {
		bundle.Data["text/plain"] = v.String()
	}
	return bundle, ctx.Err()
}

const (
	prettyWidth    = 79
	prettyElements = 1000
	prettyBytes    = 100_000 // of the whole value, about; print shows all of it
	maxNesting     = 500
	maxText        = 1 << 28 // bytes of a text that is made of a value
)

// pretty writes a value for the eye: containers that are too wide for a line
// get a line an element, long ones are cut.
func pretty(v lib.Value) string {
	p := &printer{limit: prettyElements, max: prettyWidth}
	p.value(v, 0)
	flat := p.b.String()
	if len(flat) <= prettyWidth && !p.cut {
		return flat
	}
	p = &printer{limit: prettyElements, max: prettyBytes, tall: true}
	p.value(v, 0)
	return p.b.String()
}

// repr is the text of a value in full. It is ours because the interpreter's
// recursion has no limit. Where a container's text would pass maxText it panics
// with errTextTooLong, which the calls of builtins recover (bounded).
func repr(v lib.Value) string {
	switch v := v.(type) {
	case lib.Float:
		return floatText(float64(v))
	case *lib.List, lib.Tuple, *lib.Dict, *lib.Set:
		p := &printer{limit: -1}
		p.value(v, 0)
		return p.b.String()
	}
	return v.String()
}

// str is what print writes.
func str(v lib.Value) string {
	if s, ok := lib.AsString(v); ok {
		return s
	}
	return repr(v)
}

var errTextTooLong = Named("MemoryError", fmt.Errorf("the text of the value has more than %d bytes, which is the limit: take a part of it, as in xs[:100]", maxText))

// bounded makes an error of the panic of repr.
func bounded(err *error) {
	if p := recover(); p == any(errTextTooLong) {
		*err = errTextTooLong
	} else if p != nil {
		panic(p)
	}
}

// A printer writes containers.
type printer struct {
	b     strings.Builder
	limit int // elements a container shows, -1 for all
	max   int // bytes after which containers are cut short, 0 for no limit
	tall  bool
	cut   bool
	path  []lib.Value
}

func (p *printer) value(v lib.Value, indent int) {
	switch v := v.(type) {
	case *lib.List:
		p.container(v, v.Len(), indent, "[", "]", func(i int) { p.value(v.Index(i), indent+1) })
	case lib.Tuple:
		end := ")"
		if len(v) == 1 {
			end = ",)"
		}
		p.container(v, len(v), indent, "(", end, func(i int) { p.value(v[i], indent+1) })
	case *lib.Dict:
		items := v.Items()
		p.container(v, len(items), indent, "{", "}", func(i int) {
			p.value(items[i][0], indent+1)
			p.b.WriteString(": ")
			p.value(items[i][1], indent+1)
		})
	case *lib.Set:
		var elems []lib.Value
		for x := range lib.Elements(v) {
			elems = append(elems, x)
		}
		p.container(v, len(elems), indent, "set([", "])", func(i int) { p.value(elems[i], indent+1) })
	case lib.String:
		if p.max > 0 && len(v) > prettyBytes {
			fmt.Fprintf(&p.b, "%s... %d more bytes", repr(v[:prettyBytes]), len(v)-prettyBytes)
			p.cut = true
			break
		}
		p.room(len(v))
		p.b.WriteString(repr(v))
	default:
		p.b.WriteString(repr(v))
	}
}

// room panics where n more bytes do not fit into a text.
func (p *printer) room(n int) {
	if p.b.Len()+n > maxText {
		panic(errTextTooLong)
	}
}

func (p *printer) container(v lib.Value, n, indent int, open, end string, elem func(int)) {
	if len(p.path) > maxNesting || p.inside(v) {
		p.b.WriteString(open + "..." + end)
		return
	}
	p.path = append(p.path, v)
	defer func() { p.path = p.path[:len(p.path)-1] }()
	p.b.WriteString(open)
	sep := ", "
	if p.tall && !fits(v, prettyWidth-indent) {
		sep = ",\n" + strings.Repeat(" ", indent+len(open))
	}
	for i := range n {
		if i > 0 {
			p.b.WriteString(sep)
		}
		if i == p.limit || p.max > 0 && p.b.Len() > p.max {
			fmt.Fprintf(&p.b, "... %d more", n-i)
			p.cut = true
			break
		}
		elem(i)
		p.room(0)
	}
	p.b.WriteString(end)
}

// fits tells whether a container's text takes one line.
func fits(v lib.Value, width int) bool {
	if s, ok := v.(lib.Sequence); ok && s.Len() > width {
		return false
	}
	p := &printer{limit: width, max: width}
	p.value(v, 0)
	return p.b.Len() <= width && !p.cut
}

// inside finds cycles.
func (p *printer) inside(v lib.Value) bool {
	for _, outer := range p.path {
		switch outer := outer.(type) {
		case *lib.List:
			if v == lib.Value(outer) {
				return true
			}
		case *lib.Dict:
			if v == lib.Value(outer) {
				return true
			}
		}
	}
	return false
}
