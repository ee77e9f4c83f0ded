package starlark

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
)

// A fakeOutput keeps what a cell publishes.
type fakeOutput struct {
	mu       sync.Mutex
	streams  strings.Builder
	displays []*kernel.Bundle
	pages    []*kernel.Bundle
	input    string
	exits    int
}

func (o *fakeOutput) Stream(name, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.streams.WriteString(text)
}

func (o *fakeOutput) Display(b *kernel.Bundle, _ string)   { o.displays = append(o.displays, b) }
func (o *fakeOutput) UpdateDisplay(*kernel.Bundle, string) {}
func (o *fakeOutput) Clear(bool)                           {}
func (o *fakeOutput) Page(b *kernel.Bundle)                { o.pages = append(o.pages, b) }
func (o *fakeOutput) Exit()                                { o.exits++ }

func (o *fakeOutput) Input(context.Context, string, bool) (string, error) {
	if o.input == "" {
		return "", errors.New("input: nobody is there to answer")
	}
	return o.input, nil
}

// A notebook runs cells one after the other.
type notebook struct {
	t   testing.TB
	in  *Interpreter
	n   int
	out *fakeOutput
}

func newNotebook(t testing.TB, o Options) *notebook {
	return &notebook{t: t, in: New(o)}
}

// run answers with the text of the result and what was printed before it.
func (nb *notebook) run(code string) (string, error) {
	nb.t.Helper()
	return nb.runContext(context.Background(), code)
}

func (nb *notebook) runContext(ctx context.Context, code string) (string, error) {
	nb.n++
	nb.out = &fakeOutput{}
	b, err := nb.in.Execute(ctx, &kernel.Cell{Count: nb.n, Out: nb.out}, code)
	text := nb.out.streams.String()
	if b != nil {
		text += b.Data["text/plain"].(string)
	}
	return text, err
}

// cellError checks that err is one that a notebook can show.
func (nb *notebook) cellError(err error) *kernel.CellError {
	nb.t.Helper()
	var ce *kernel.CellError
	if !errors.As(err, &ce) {
		nb.t.Fatalf("error %v is no cell error", err)
	}
	return ce
}

// TestCells runs the files of testdata, each a notebook. A line of three
// dashes ends a cell. Comments that start with #> are the output to expect, a
// comment ### "regexp" is the error that its line is to give, name and message.
func TestCells(t *testing.T) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cells in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runFile(t, file) })
	}
}

func runFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	nb := newNotebook(t, Options{Dir: "testdata", Commands: testCommands()})
	line := 1
	for _, cell := range strings.Split(string(text), "---\n") {
		c := readCell(t, cell)
		out, err := nb.run(c.code)
		where := fmt.Sprintf("%s:%d", file, line)
		switch {
		case err == nil && c.want != nil:
			t.Errorf("%s: no error, want one like %v", where, c.want)
		case err != nil:
			c.checkError(t, where, nb.cellError(err))
		}
		if strings.TrimRight(out, "\n") != c.out {
			t.Errorf("%s: output is\n%s\nwant\n%s", where, out, c.out)
		}
		line += strings.Count(cell, "\n") + 1
	}
}

func TestExit(t *testing.T) {
	for _, row := range []struct {
		cell, fails string
		exits       int
	}{
		{"exit", "", 1},
		{"quit", "", 1},
		{" exit()\n", "", 1},
		{"quit ( )", "", 1},
		{"exit\nx = 1", "NameError", 0},
		{"x = exit()", "NameError", 0},
		{"exit(1)", "NameError", 0},
		{"exits", "NameError", 0},
	} {
		nb := newNotebook(t, Options{})
		out, err := nb.run(row.cell)
		if err != nil && nb.cellError(err).Name != row.fails || err == nil && row.fails != "" || out != "" {
			t.Errorf("%q: %q and error %v, want the error %q", row.cell, out, err, row.fails)
		}
		if nb.out.exits != row.exits {
			t.Errorf("%q leaves %d times, want %d", row.cell, nb.out.exits, row.exits)
		}
	}
}

// TestExitOfOnesOwn goes before the console's.
func TestExitOfOnesOwn(t *testing.T) {
	nb := newNotebook(t, Options{})
	for _, row := range []struct{ cell, want string }{
		{"def exit():\n    return 'way out'", ""},
		{"exit()", `"way out"`},
		{"quit = 3", ""},
		{"quit", "3"},
	} {
		got, err := nb.run(row.cell)
		if err != nil || got != row.want || nb.out.exits != 0 {
			t.Errorf("%q: %q, %v, %d exits; want %q", row.cell, got, err, nb.out.exits, row.want)
		}
	}
}

// A testCell is one cell of a file with what it is to do.
type testCell struct {
	code, out string
	want      *regexp.Regexp
	line      int // of the error
}

var wanted = regexp.MustCompile(`\s*### ("(?:[^"\\]|\\.)*"|` + "`[^`]*`" + `)\s*$`)

func readCell(t *testing.T, text string) testCell {
	var c testCell
	var code, out []string
	for _, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if o, ok := strings.CutPrefix(l, "#>"); ok {
			out = append(out, strings.TrimPrefix(o, " "))
			continue
		}
		if m := wanted.FindStringSubmatch(l); m != nil {
			pattern, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatalf("%s: %v", m[1], err)
			}
			c.want, c.line = regexp.MustCompile(pattern), len(code)+1
			l = wanted.ReplaceAllString(l, "")
		}
		code = append(code, l)
	}
	c.code, c.out = strings.Join(code, "\n"), strings.Join(out, "\n")
	return c
}

func (c testCell) checkError(t *testing.T, where string, err *kernel.CellError) {
	t.Helper()
	trace := uncoloured(err)
	if c.want == nil || !c.want.MatchString(err.Name+": "+err.Value) {
		t.Errorf("%s: unexpected error, want %v\n%s", where, c.want, trace)
		return
	}
	if !strings.Contains(trace, fmt.Sprintf("> %d ", c.line)) {
		t.Errorf("%s: the traceback does not point at line %d\n%s", where, c.line, trace)
	}
}

var colours = regexp.MustCompile("\x1b\\[[0-9]*m")

func uncoloured(err *kernel.CellError) string {
	return colours.ReplaceAllString(strings.Join(err.Traceback, "\n"), "")
}

// testCommands stand in for those that the program adds.
func testCommands() []*Command {
	return []*Command{{
		Name: "search",
		Params: []Param{
			{Name: "policy", Type: "str", Doc: "the search policy", Values: func() []string { return []string{"enas", "evolution", "random"} }},
			{Name: "space", Type: "Space"},
			{Name: "seeds", Type: "list of int", Default: lib.NewList(nil)},
			{Name: "budget", Type: "int", KeywordOnly: true, Default: lib.MakeInt(1000), Doc: "evaluations of the objective"},
		},
		Doc: "Search a space with a policy.\n\nReturns at once. Example: `search(\"random\", space)`",
		Run: func(c *Call) (lib.Value, error) {
			policy, err := c.String("policy")
			if err != nil {
				return nil, err
			}
			budget, err := c.Int("budget")
			if err != nil {
				return nil, err
			}
			if budget < 1 {
				return nil, c.Errorf("budget is %d, want at least 1", budget)
			}
			seeds, err := c.Int64s("seeds")
			return lib.String(fmt.Sprint(policy, " ", budget, " ", seeds)), err
		},
	}, {
		Name:   "plot",
		Params: []Param{{Name: "series", Variadic: true}, {Name: "options", Rest: true}},
		Doc:    "Plot series.",
		Run: func(c *Call) (lib.Value, error) {
			return lib.String(fmt.Sprint(c.Value("series"), c.Rest("options"))), nil
		},
	}, {
		Name: "block",
		Doc:  "Wait for an interrupt.",
		Run: func(c *Call) (lib.Value, error) {
			<-c.Ctx.Done()
			return nil, c.Ctx.Err()
		},
	}, {
		Name: "stall",
		Doc:  "Wait for an interrupt and say what it ended.",
		Run: func(c *Call) (lib.Value, error) {
			<-c.Ctx.Done()
			return nil, c.Errorf("the measurement: %w", c.Ctx.Err())
		},
	}}
}

// TestHugeValuesAreCutShort: what a value shows is bounded however it is nested.
func TestHugeValuesAreCutShort(t *testing.T) {
	in := New(Options{})
	b, err := in.Execute(t.Context(), &kernel.Cell{Out: &fakeOutput{}}, "[[[0] * 1000] * 1000] * 100")
	if err != nil {
		t.Fatal(err)
	}
	text := b.Data["text/plain"].(string)
	if len(text) > 2*prettyBytes || !strings.Contains(text, "more") {
		t.Errorf("100 million elements show as %d bytes", len(text))
	}
}

// notShort skips a test that takes long under the race detector, which sees nothing in it
// that others do not show.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("gigabytes of values are not at hand in short tests")
	}
}
