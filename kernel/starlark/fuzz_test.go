package starlark

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.starlark.net/syntax"

	"evalnas/kernel"
)

func eachIdent(file *syntax.File, f func(name string, pos position), src *source) {
	syntax.Walk(file, func(n syntax.Node) bool {
		if id, ok := n.(*syntax.Ident); ok {
			f(id.Name, src.original(id.NamePos))
		}
		return true
	})
}

func seeds(f *testing.F) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, cell := range strings.Split(string(text), "---\n") {
			f.Add(cell)
		}
	}
}

// Whatever a cell holds, it neither panics nor hangs, and its error is one
// that a notebook can show. Tab, Shift-Tab and Enter take it too.
func FuzzExecute(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, code string) {
		nb := newNotebook(t, Options{Dir: "testdata", MaxSteps: 20_000, MemoryLimit: 1 << 30})
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := nb.runContext(ctx, code)
		if err != nil {
			if ce := nb.cellError(err); ce.Name == "InternalError" {
				t.Errorf("%v", strings.Join(ce.Traceback, "\n"))
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		for at := 0; at <= len(code); at += 1 + len(code)/7 {
			c := nb.in.complete(code, at)
			if c.Start < 0 || c.Start > c.End || c.End > len(code) {
				t.Errorf("completion at %d replaces %d to %d", at, c.Start, c.End)
			}
			nb.in.inspect(code, at, at%2)
		}
		if s := nb.in.IsComplete(code).Status; s != "complete" && s != "incomplete" && s != "invalid" {
			t.Errorf("status %q", s)
		}
	})
}

// Preparing keeps every line in its place, and every place that it maps back
// lies inside what was written.
func FuzzPrepare(f *testing.F) {
	seeds(f)
	for _, s := range []string{"f'{x!r:>{w}}'", "f'''\n{\nx\n}\n'''", "f'{{}}{f\"{1}\"}'", "rf'\\{x}'", "'a' f'{1}' 'b'", "2**-x[0].y(3)**f'{1}'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code string) {
		if len(code) > 4<<10 {
			return // every column of a line is looked up, which is quadratic: longer lines show nothing new
		}
		src := newSource("In[1]", code)
		src.prepare()
		if src.err != nil {
			return
		}
		if got, want := strings.Count(src.text, "\n"), strings.Count(src.code, "\n"); got != want {
			t.Fatalf("%d line breaks became %d in %q", want, got, src.text)
		}
		for i, line := range strings.Split(src.text, "\n") {
			last, end := 0, utf8.RuneCountInString(src.lines[i])+1
			for col := 1; col <= utf8.RuneCountInString(line)+1; col++ {
				at := src.original(syntax.MakePosition(&src.name, int32(i+1), int32(col)))
				if at.line != i+1 || at.col < 1 || at.col > end || at.col < last {
					t.Fatalf("column %d of %q is %v of %q", col, line, at, src.lines[i])
				}
				last = at.col
			}
		}
	})
}

// What an f-string writes is what format writes of the same value.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{".3f", ">10", "*^8,", "+.2e", "#x", "05d", "c", "%", "é<4", "_b", ".0f", "g", "=+8"} {
		f.Add(s, 1.5, int64(-3))
	}
	f.Fuzz(func(t *testing.T, spec string, x float64, n int64) {
		if strings.ContainsAny(spec, "{}'\\\n\r\x00\ufeff") || !utf8.ValidString(spec) {
			return
		}
		nb := newNotebook(t, Options{})
		a, errA := nb.run("f'{" + floatLiteral(x) + ":" + spec + "}'")
		b, errB := nb.run("format(" + floatLiteral(x) + ", '" + spec + "')")
		if (errA == nil) != (errB == nil) || errA == nil && a != b {
			t.Errorf("%q of %v: %q %v, %q %v", spec, x, a, errA, b, errB)
		}
		if _, err := nb.in.Execute(context.Background(), &kernel.Cell{Count: 9, Out: &fakeOutput{}}, "'{:"+spec+"}'.format("+floatLiteral(float64(n))+")"); err != nil {
			nb.cellError(err)
		}
	})
}

func floatLiteral(x float64) string { return "float('" + floatText(x) + "')" }
