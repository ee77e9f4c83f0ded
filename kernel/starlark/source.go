package starlark

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A source is one cell's text, as it was written and as Starlark parses it.
type source struct {
	name  string  // what positions carry
	file  *loaded // whose text it is; nil for a cell
	code  string
	lines []string
	text  string      // what is parsed; it has as many lines as code
	spans [][]segment // by line of text, where its columns come from
	quiet bool        // the last statement ends in a semicolon
	timed bool        // by %%time
	// defines says that it has a def or a lambda, once it is compiled.
	defines bool
	err     error // what preparing found, reported by compile
}

// A segment says that columns of the parsed text from new on come from old on
// in what was written, or all from old itself if they were put in.
type segment struct {
	new, old int
	put      bool
}

func newSource(name, code string) *source {
	code = strings.TrimPrefix(code, "\ufeff")
	code = strings.ReplaceAll(strings.ReplaceAll(code, "\r\n", "\n"), "\r", "\n")
	return &source{name: name, code: code, lines: strings.Split(code, "\n")}
}

// shown is what tracebacks call it.
func (src *source) shown() string {
	if src.file != nil {
		return src.file.name
	}
	return src.name
}

// maxCode bounds a cell, and a file, in bytes. The compiler's recursion grows with the
// length of an expression.
const maxCode = 1 << 20

// compile prepares, parses, rewrites and compiles the text.
func (src *source) compile() (*lib.Program, error) {
	file, err := src.parse()
	if err != nil {
		return nil, err
	}
	src.defines = hasFunctions(file)
	keepResult(file.Stmts)
	rw := &rewriter{}
	if err := rw.rewrite(file); err != nil {
		return nil, err
	}
	return lib.FileProgram(file, anyName)
}

func hasFunctions(file *syntax.File) bool {
	found := false
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n.(type) {
		case *syntax.DefStmt, *syntax.LambdaExpr:
			found = true
		}
		return !found
	})
	return found
}

// keepResult makes the last expression's value the cell's. The end of a %time
// statement does not count.
func keepResult(stmts []syntax.Stmt) {
	n := len(stmts) - 1
	if n > 0 && callsHidden(stmts[n], tocName) {
		n--
	}
	if n < 0 {
		return
	}
	if last, ok := stmts[n].(*syntax.ExprStmt); ok {
		pos := syntax.Start(last)
		stmts[n] = &syntax.AssignStmt{OpPos: pos, Op: syntax.EQ, LHS: globalRef(resultKey, pos), RHS: last.X}
	}
}

func callsHidden(s syntax.Stmt, name string) bool {
	e, ok := s.(*syntax.ExprStmt)
	if !ok {
		return false
	}
	c, ok := e.X.(*syntax.CallExpr)
	if !ok {
		return false
	}
	id, ok := c.Fn.(*syntax.Ident)
	return ok && id.Name == name
}

// parse prepares the text and parses it.
func (src *source) parse() (*syntax.File, error) {
	src.prepare()
	if src.err != nil {
		return nil, src.err
	}
	return fileOptions.Parse(src.name, src.text, 0)
}

// An edit replaces code[start:end]. Its text has as many newlines as what it
// replaces.
type edit struct {
	start, end int
	text       string
	rank       int // orders what is put in at one place
}

// apply makes text and spans from code.
func (src *source) apply(code string, edits []edit) {
	sort.SliceStable(edits, func(i, j int) bool {
		a, b := edits[i], edits[j]
		if a.start != b.start {
			return a.start < b.start
		}
		if putA, putB := a.end == a.start, b.end == b.start; putA != putB {
			return putA // what is put before a token comes before its own change
		}
		return a.rank < b.rank
	})
	w := &spanWriter{spans: [][]segment{nil}, newCol: 1, oldCol: 1}
	at := 0
	for _, e := range edits {
		if e.start < at {
			src.fail(e.start, "this cannot be read: write it in smaller steps")
			return
		}
		w.keep(code[at:e.start])
		w.replace(code[e.start:e.end], e.text)
		at = e.end
	}
	w.keep(code[at:])
	src.text, src.spans = w.out.String(), w.spans
}

type spanWriter struct {
	out            strings.Builder
	spans          [][]segment
	newCol, oldCol int
}

func (w *spanWriter) mark(put bool) {
	last := len(w.spans) - 1
	w.spans[last] = append(w.spans[last], segment{w.newCol, w.oldCol, put})
}

func (w *spanWriter) keep(s string) {
	w.mark(false)
	for _, r := range s {
		w.newCol++
		w.oldCol++
		if r == '\n' {
			w.line()
			w.mark(false)
		}
	}
	w.out.WriteString(s)
}

func (w *spanWriter) replace(old, text string) {
	w.mark(true)
	for _, r := range text {
		w.newCol++
		if r == '\n' {
			w.line()
			w.mark(true)
		}
	}
	w.out.WriteString(text)
	if i := strings.LastIndexByte(old, '\n'); i >= 0 {
		w.oldCol = 1
		old = old[i+1:]
	}
	w.oldCol += utf8.RuneCountInString(old)
}

func (w *spanWriter) line() {
	w.spans = append(w.spans, nil)
	w.newCol, w.oldCol = 1, 1
}

// original is the place in what was written of a place in what was parsed.
func (src *source) original(pos syntax.Position) position {
	line, col := int(pos.Line), int(pos.Col)
	if line < 1 || line > len(src.spans) {
		return position{line, col}
	}
	old := col
	for _, s := range src.spans[line-1] {
		if s.new > col {
			break
		}
		old = s.old
		if !s.put {
			old += col - s.new
		}
	}
	return position{line, old}
}

// lineEnd is the place after a line's last letter.
func (src *source) lineEnd(line int) position {
	return position{line, utf8.RuneCountInString(src.lines[line-1]) + 1}
}

// place is the line and column of an offset in code.
func (src *source) place(offset int) position {
	before := src.code[:offset]
	i := strings.LastIndexByte(before, '\n')
	return position{strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[i+1:]) + 1}
}

// A placedError is an error at a place in what was written.
type placedError struct {
	src  *source
	pos  position
	name string // SyntaxError if ""
	msg  string
}

func (e *placedError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.src.shown(), e.pos.line, e.pos.col, e.msg)
}

// fail records the first error of preparing.
func (src *source) fail(offset int, format string, args ...any) {
	if src.err == nil {
		src.err = &placedError{src: src, pos: src.place(offset), msg: fmt.Sprintf(format, args...)}
	}
}
