package starlark

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
)

// atCursor takes the mark | out of a text and returns its place.
func atCursor(t *testing.T, text string) (code string, at int) {
	t.Helper()
	at = strings.IndexByte(text, '|')
	if at < 0 {
		t.Fatalf("no cursor in %q", text)
	}
	return text[:at] + text[at+1:], at
}

func TestComplete(t *testing.T) {
	nb := newNotebook(t, Options{Dir: "testdata", Commands: testCommands()})
	if _, err := nb.run("found = {'alpha': 1, 'beta': 2}\ndef plan(first, second=1, *, third=2): pass\n_hidden = 1"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		text, replaced string
		want, unwanted string // words that must, and must not, be offered
	}{
		{"sea|", "sea", "search", "ƒstr print"},
		{"SEA|", "SEA", "search", ""},
		{"fou|", "fou", "found", ""},
		{"x = 1 + pri|", "pri", "print", ""},
		{"math.sq|", "sq", "sqrt", "pi"},
		{"math.|", "", "sqrt pi", "search"},
		{"found.it|", "it", "items", ""},
		{"'abc'.up|", "up", "upper", ""},
		{"nothing.|", "", "", "search"},
		{"search('random', bud|", "bud", "budget=", ""},
		{"search('random', |", "", "space= budget= found search", "policy="},
		{"search('random', budget=3, |", "", "seeds=", "budget= policy="},
		{"search(|)", "", "policy= budget=", ""},
		{"plan(1, |", "", "second= third=", "first="},
		{"search('e|", "e", "enas evolution", "random search"},
		{"search(policy='r|", "r", "random", "enas"},
		{"search(['e|", "e", "enas evolution", ""},
		{"search('random', 'e|", "e", "", "enas"},
		{"found['|", "", "alpha beta", ""},
		{"found[\"al|", "al", "alpha", "beta"},
		{"load('li|", "li", "", "lib.star.txt"},
		{"load('gl|", "gl", "globals.star", ""},
		{"f'{fou|", "fou", "found", ""},
		{"f'{found.it|", "it", "items", ""},
		{"f'{{fou|", "{{fou", "", "found"},
		{"import ma|", "ma", "math", "json map"},
		{"from math import s|", "s", "sqrt sin", "search"},
		{"from math |", "", "import", "search"},
		{"import |", "", "math json evalnas", "search"},
		{"%ti|", "%ti", "%time", "%pwd"},
		{"%%t|", "%%t", "%%time", "%pwd"},
		{"x = 1\n%p|", "%p", "%pwd", ""},
		{"whi|", "whi", "while", ""},
		{"_h|", "_h", "_hidden", ""},
		{"|", "", "found search print", "_hidden ·globals ƒstr"},
		{"# sea|", "sea", "", "search"},
		{"def sea|", "sea", "", "search"},
		{"local_name = 1\nloc|", "loc", "local_name", ""},
		{"def f(argument):\n  return arg|", "arg", "argument", ""},
		{"[element for element in ele|", "ele", "element", ""},
		{"é = 1; fou|", "fou", "found", ""},
		{"'a|", "a", "", "abs"},
		{"3|", "", "", "abs"},
	} {
		code, at := atCursor(t, test.text)
		c := nb.in.Complete(code, at)
		offered := map[string]bool{}
		for _, m := range c.Matches {
			offered[m.Text] = true
			if m.Type == "" {
				t.Errorf("%q: %s has no type", test.text, m.Text)
			}
		}
		if c.Start > c.End || c.End > len(code) {
			t.Errorf("%q: the range is %d to %d", test.text, c.Start, c.End)
			continue
		}
		if got := code[c.Start:c.End]; got != test.replaced && len(c.Matches) > 0 {
			t.Errorf("%q: replaces %q, want %q", test.text, got, test.replaced)
		}
		for _, w := range strings.Fields(test.want) {
			if !offered[w] {
				t.Errorf("%q: %s is not offered", test.text, w)
			}
		}
		for _, w := range strings.Fields(test.unwanted) {
			if offered[w] {
				t.Errorf("%q: %s is offered", test.text, w)
			}
		}
	}
	c := nb.in.Complete("search", 6)
	if len(c.Matches) != 1 || c.Matches[0].Signature != "(policy, space, seeds=[], *, budget=1000)" || c.Matches[0].Type != "function" {
		t.Errorf("search is offered as %+v", c.Matches)
	}
}

func TestInspect(t *testing.T) {
	nb := newNotebook(t, Options{Commands: testCommands()})
	if _, err := nb.run("found = [1, 2]\ndef plan(a, *rest, b=2, **others):\n    \"\"\"Plan it.\n\n        At length.\n    \"\"\"\n"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		text   string
		detail int
		want   []string // of the plain text; nil where nothing is found
		not    string
	}{
		{"sea|rch", 0, []string{"search(policy, space, seeds=[], *, budget=1000)", "Search a space"}, "Returns at once"},
		{"search|", 1, []string{"Returns at once", "the search policy", "\"enas\""}, ""},
		{"search(|", 0, []string{"search(policy"}, ""},
		{"search('random', 3, |)", 0, []string{"search(policy"}, ""},
		{"search('ran|dom', [1, 2", 0, []string{"search(policy"}, ""},
		{"search(found|)", 0, []string{"found: list", "[1, 2]"}, ""},
		{"search(budget|=3)", 0, []string{"search(policy"}, ""},
		{"plan|", 1, []string{"plan(a, *rest, b=2, **others)", "Plan it.", "\nAt length.", "Defined in In[1], line 2"}, ""},
		{"math.sqrt|", 0, []string{"sqrt(x): the square root"}, ""},
		{"found.append|", 0, []string{"append(x): add x"}, ""},
		{"math|", 0, []string{"math: module"}, ""},
		{"sorted|", 0, []string{"sorted(iterable, reverse=False, *, key=None)"}, ""},
		{"absent|", 0, nil, ""},
		{"1 + |2", 0, nil, ""},
		{"# search|", 0, nil, ""},
		{"|", 0, nil, ""},
	} {
		code, at := atCursor(t, test.text)
		b := nb.in.Inspect(code, at, test.detail)
		if b == nil || test.want == nil {
			if (b == nil) != (test.want == nil) {
				t.Errorf("%q: found %v, want %v", test.text, b, test.want)
			}
			continue
		}
		text := b.Data["text/plain"].(string)
		if b.Data["text/markdown"] == nil {
			t.Errorf("%q: no Markdown", test.text)
		}
		for _, w := range test.want {
			if !strings.Contains(text, w) {
				t.Errorf("%q: %q is missing in\n%s", test.text, w, text)
			}
		}
		if test.not != "" && strings.Contains(text, test.not) {
			t.Errorf("%q: %q is in\n%s", test.text, test.not, text)
		}
	}
}

// Every builtin has documentation, and none documents what is not there.
func TestDocumented(t *testing.T) {
	in := New(Options{})
	for name, v := range in.base {
		if _, ok := v.(*lib.Builtin); ok && !strings.HasPrefix(name, "·") && !strings.HasPrefix(name, hiddenMark) && in.commands[name] == nil {
			t.Errorf("%s is not documented", name)
		}
	}
	for name, cmd := range in.commands {
		if in.base[name] == nil {
			t.Errorf("%s is documented and not there", name)
		}
		if cmd.Doc == "" {
			t.Errorf("%s has no summary", name)
		}
	}
	for _, module := range []string{"math", "json"} {
		for _, name := range in.modules[module].(lib.HasAttrs).AttrNames() {
			if moduleDocs[module+"."+name] == "" {
				t.Errorf("%s.%s is not documented", module, name)
			}
		}
	}
	for _, v := range []lib.Value{lib.String(""), lib.NewList(nil), lib.NewDict(0), lib.NewSet(0)} {
		for _, name := range v.(lib.HasAttrs).AttrNames() {
			if methodDocs[v.Type()+"."+name] == "" {
				t.Errorf("%s.%s is not documented", v.Type(), name)
			}
		}
	}
}

func TestIsComplete(t *testing.T) {
	in := New(Options{})
	for _, test := range []struct{ code, status, indent string }{
		{"", "complete", ""},
		{"x = 1", "complete", ""},
		{"x = 1;", "complete", ""},
		{"f(1,", "incomplete", "    "},
		{"  f(1,", "incomplete", "      "},
		{"x = [1,\n2", "incomplete", "    "},
		{"'abc", "invalid", ""},
		{"'''abc", "incomplete", ""},
		{"f'''{x", "incomplete", ""},
		{"x = 1 + \\", "incomplete", ""},
		{"def f():", "incomplete", "    "},
		{"def f():\n    return 1", "incomplete", ""},
		{"def f():\n    x = 1", "incomplete", "    "},
		{"def f():\n    x = 1\n", "incomplete", "    "},
		{"def f():\n    x = 1\n\n", "complete", ""},
		{"def f():\n    x = 1\n    ", "complete", ""},
		{"def f(): return 1", "incomplete", ""},
		{"if x:\n    y\nelse:", "incomplete", "    "},
		{"if x:\n  if y:", "incomplete", "      "},
		{"x = {1: 2}", "complete", ""},
		{"x = lambda: 1", "complete", ""},
		{"1 +", "invalid", ""},
		{")", "invalid", ""},
		{"(]", "invalid", ""},
		{"class A:", "invalid", ""},
		{"def 7(x):", "invalid", ""},
		{"for x in y:  # why", "incomplete", "    "},
		{"import math", "complete", ""},
		{"%time f()", "complete", ""},
		{"%%time\nx", "complete", ""},
		{"%pwd", "complete", ""},
		{"len?", "complete", ""},
		{"# comment", "complete", ""},
		{"f'{x:.2f}' '}'", "complete", ""},
	} {
		got := in.IsComplete(test.code)
		if got.Status != test.status || got.Indent != test.indent {
			t.Errorf("%q: %s %q, want %s %q", test.code, got.Status, got.Indent, test.status, test.indent)
		}
	}
}

// promptly is how soon an interrupted cell must end, 100 ms, with some for a
// machine that does other things too; twice that beside the collection of a
// large heap's garbage. The rows with large values take a second and more.
const promptly = 250 * time.Millisecond

func TestInterrupt(t *testing.T) {
	const (
		text    = "s = 'ab ' * (1 << 22)"
		numbers = "xs = list(range(3 << 20))"
	)
	for _, row := range []struct{ before, code string }{
		{"", "while True: pass"},
		{"", "def f():\n    while True: pass\nf()"},
		{"", "block()"},
		{"", "stall()"},
		{"", "sum(range(10**13))"},
		{"", "max(range(10**13))"},
		{"", "[0 for i in range(10**13)]"},
		{"", "map(lambda i: i, range(10**13)); block()"},
		{"", "any(map(lambda i: False, range(10**13)))"},
		{"", "load('loop.star.txt', 'x')"},
		{text, "x = s.split()"},
		{text + "\ns *= 4", "x = s.title()"},
		{text + "\ns *= 4", "x = s.replace('a', 'xyz')"},
		{text + "\ns *= 4", "x = repr(s)"},
		{numbers, "x = sorted(xs, reverse=True)"},
		{numbers + "\ns = json.encode(xs)", "x = json.decode(s)"},
	} {
		if row.before != "" && testing.Short() {
			continue // large values take a minute under the race detector
		}
		nb := newNotebook(t, Options{Dir: "testdata", Commands: testCommands()})
		if _, err := nb.run(row.before); err != nil {
			t.Fatalf("%s: %v", row.before, err)
		}
		code := row.code
		ctx, cancel := context.WithCancel(context.Background())
		var interrupted time.Time
		time.AfterFunc(20*time.Millisecond, func() {
			interrupted = time.Now()
			cancel()
		})
		_, err := nb.runContext(ctx, code)
		took := time.Since(interrupted)
		if err == nil {
			t.Errorf("%s: no error", code)
			continue
		}
		if ce := nb.cellError(err); ce.Name != "KeyboardInterrupt" {
			t.Errorf("%s: %v", code, ce)
		}
		limit := promptly
		if row.before != "" {
			limit *= 2
		}
		if took > limit {
			t.Errorf("%s: returned %v after the interrupt", code, took)
		}
		if out, err := nb.run("1 + 1"); !strings.HasSuffix(out, "2") || err != nil {
			t.Errorf("%s: the next cell gives %q, %v", code, out, err)
		}
	}
}

// TestTextBound: values whose text would fill the memory are refused or cut
// before it is made.
func TestTextBound(t *testing.T) {
	nb := newNotebook(t, Options{})
	if _, err := nb.run("s = 'x' * (1 << 28)\nt = s[:1 << 20]\nxs = [s]\nfor i in range(20): xs = [xs, xs]"); err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{"str(xs)", "f'{xs}'", "'%s' % xs", "'{}'.format(xs)", "print(*[t] * 300)", "json.encode(xs)", "json.encode_indent([s])"} {
		start := time.Now()
		_, err := nb.run("y = " + code)
		if err == nil || nb.cellError(err).Name != "MemoryError" || !strings.Contains(strings.Join(nb.cellError(err).Traceback, ""), "> 1") {
			t.Errorf("%s: %v", code, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s takes %v", code, took)
		}
	}
	if out, err := nb.run("xs"); len(out) > 2*prettyBytes || !strings.Contains(out, "more bytes") || err != nil {
		t.Errorf("the value shows as %d bytes, %v", len(out), err)
	}
	if out, err := nb.run("%whos"); len(out) > 1000 || !strings.Contains(out, `xs                   list         [[[`) || err != nil {
		t.Errorf("%%whos shows %d bytes, %v", len(out), err)
	}
}

// A stubborn value is compared until it is let go.
type stubborn struct {
	lib.NoneType
	at, let chan struct{}
}

func (o *stubborn) Type() string { return "stubborn" }

func (o *stubborn) CompareSameType(syntax.Token, lib.Value, int) (bool, error) {
	o.at <- struct{}{}
	<-o.let
	return true, nil
}

// TestLeave interrupts an operator that takes no notice. The cell ends, and
// until the operator has ended too nothing else looks at the cells' values.
func TestLeave(t *testing.T) {
	o := &stubborn{at: make(chan struct{}), let: make(chan struct{})}
	nb := newNotebook(t, Options{Commands: []*Command{{Name: "operand", Run: func(*Call) (lib.Value, error) { return o, nil }}}})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-o.at
		cancel()
	}()
	_, err := nb.runContext(ctx, "word = 1\noperand() == operand()\nword = 2\nprint('on')")
	if err == nil || nb.cellError(err).Name != "KeyboardInterrupt" {
		t.Errorf("the cell gives %v", err)
	}
	if found := nb.in.Complete("wor", 3); len(found.Matches) > 0 {
		t.Errorf("completion offers %v", found.Matches)
	}
	if found := nb.in.Inspect("word", 4, 0); found != nil {
		t.Errorf("help shows %v", found.Data)
	}
	short, cancel := context.WithTimeout(context.Background(), tellAfter+tellAfter/10)
	defer cancel()
	out, err := nb.runContext(short, "word = 3")
	if err == nil || nb.cellError(err).Name != "KeyboardInterrupt" || !strings.HasPrefix(out, "waiting for the end of a computation") {
		t.Errorf("the next cell says %q and gives %v", out, err)
	}
	close(o.let)
	if out, err := nb.run("word"); out != "1" || err != nil {
		t.Errorf("the cell after the end gives %q, %v", out, err)
	}
	if found := nb.in.Complete("wor", 3); len(found.Matches) != 1 {
		t.Errorf("completion offers %v after the end", found.Matches)
	}
}

// TestCommandsAreNotLeft: a command may still tell what it leaves behind.
func TestCommandsAreNotLeft(t *testing.T) {
	nb := newNotebook(t, Options{Commands: []*Command{{Name: "search", Run: func(c *Call) (lib.Value, error) {
		<-c.Ctx.Done()
		time.Sleep(2 * leaveLooks * leaveLook) // longer than a cell is waited for
		c.Cell.Out.Stream("stdout", "it goes on")
		return nil, c.Ctx.Err()
	}}}})
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	if out, err := nb.runContext(ctx, "search()\nsearch()"); out != "it goes on" || err == nil || !strings.Contains(strings.Join(nb.cellError(err).Traceback, ""), "search()") {
		t.Errorf("the cell says %q and gives %v", out, err)
	}
}

// A cell that fills the memory is stopped, and the kernel lives on.
func TestMemory(t *testing.T) {
	notShort(t)
	nb := newNotebook(t, Options{MemoryLimit: 256 << 20})
	_, err := nb.run("s = 'x' * 1000\nwhile True: s += s")
	if err == nil || nb.cellError(err).Name != "MemoryError" {
		t.Fatalf("doubling a string gives %v", err)
	}
	if out, err := nb.run("s = None\n2"); out != "2" || err != nil {
		t.Errorf("the next cell gives %q, %v", out, err)
	}
}

func TestDeepNesting(t *testing.T) {
	notShort(t)
	nb := newNotebook(t, Options{})
	for _, test := range []struct{ code, want string }{
		{strings.Repeat("(", 100_000), "SyntaxError"},
		{strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), "SyntaxError"},
		{"1" + strings.Repeat("+1", 200_000), "SyntaxError"},
		{strings.Repeat("-", 200_000) + "1", "SyntaxError"},
		{"x" + strings.Repeat("()", 200_000), "SyntaxError"},
		{"x" + strings.Repeat(".x", 200_000), "SyntaxError"},
		{strings.Repeat("f'{", 1000), "SyntaxError"},
		{strings.Repeat("not ", 100_000) + "1", "SyntaxError"},
		{"lambda: " + strings.Repeat("lambda: ", 100_000) + "1", "SyntaxError"},
		{"x = 1 if 1 else " + strings.Repeat("1 if 1 else ", 100_000) + "1", "SyntaxError"},
		{strings.Repeat("2**", 20_000) + "2", "SyntaxError"},
		{strings.Repeat("x", 2<<20), "SyntaxError"},
	} {
		start := time.Now()
		_, err := nb.run(test.code)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%.20s... takes %v", test.code, took)
		}
		if err == nil || nb.cellError(err).Name != test.want {
			t.Errorf("%.20s...: %v", test.code, err)
		}
	}
	out, err := nb.run("x = []\nfor i in range(100000): x = [x]\nlen(str(x)) > 10, x")
	if err != nil || !strings.HasPrefix(out, "(True,\n [[[") {
		t.Errorf("a deep list: %.50q, %v", out, err)
	}
	out, err = nb.run("y = []\ny.append(y)\ny")
	if err != nil || out != "[[...]]" {
		t.Errorf("a list in itself: %q, %v", out, err)
	}
}

// A drawing shows itself in several types; a live thing shows itself.
type drawing struct{ lib.NoneType }

func (drawing) Type() string   { return "drawing" }
func (drawing) String() string { return "a drawing" }
func (drawing) Doc() string    { return "A drawing.\n\nOf something." }

func (drawing) AttrDoc(name string) string {
	return map[string]string{"width": "In pixels."}[name]
}

func (drawing) Attr(name string) (lib.Value, error) {
	if name == "width" {
		return lib.MakeInt(3), nil
	}
	return nil, nil
}
func (drawing) AttrNames() []string { return []string{"width"} }

func (drawing) Bundle() (*kernel.Bundle, error) {
	return &kernel.Bundle{Data: map[string]any{"image/svg+xml": "<svg/>"}}, nil
}

type live struct{ lib.NoneType }

func (live) Type() string { return "live" }

func (live) Show(cell *kernel.Cell) error {
	cell.Out.Display(kernel.TextBundle("live"), "id")
	return nil
}

func TestDisplay(t *testing.T) {
	nb := newNotebook(t, Options{Commands: []*Command{
		{Name: "draw", Doc: "Draw.", Run: func(*Call) (lib.Value, error) { return drawing{}, nil }},
		{Name: "watch", Doc: "Watch.", Run: func(*Call) (lib.Value, error) { return live{}, nil }},
		{Name: "broken", Doc: "Fail.", Run: func(*Call) (lib.Value, error) { return nil, errors.New("disk full") }},
		{Name: "panics", Doc: "Panic.", Run: func(*Call) (lib.Value, error) { panic("a mistake") }},
	}})
	cell := &kernel.Cell{Count: 1, Out: &fakeOutput{}}
	b, err := nb.in.Execute(context.Background(), cell, "d = draw()\nd")
	if err != nil || b.Data["image/svg+xml"] != "<svg/>" || b.Data["text/plain"] != "a drawing" {
		t.Errorf("draw() shows %v, %v", b, err)
	}
	if out, err := nb.run("display(d, 1)"); out != "" || err != nil || len(nb.out.displays) != 2 {
		t.Errorf("display shows %q %v, %v", out, nb.out.displays, err)
	}
	if out, err := nb.run("watch()"); out != "" || err != nil || len(nb.out.displays) != 1 {
		t.Errorf("a live value shows %q %v, %v", out, nb.out.displays, err)
	}
	if b := nb.in.Inspect("d.width", 7, 0); b == nil || !strings.Contains(b.Data["text/plain"].(string), "In pixels.") {
		t.Errorf("d.width is documented as %v", b)
	}
	if _, err := nb.run("help(d)"); err != nil || len(nb.out.pages) != 1 || !strings.Contains(nb.out.pages[0].Data["text/plain"].(string), "Of something.") {
		t.Errorf("help(d) shows %v, %v", nb.out.pages, err)
	}
	if _, err := nb.run("help()"); err != nil || !strings.Contains(nb.out.pages[0].Data["text/plain"].(string), "broken()") {
		t.Errorf("help() shows %v, %v", nb.out.pages, err)
	}
	_, err = nb.run("broken()")
	if ce := nb.cellError(err); ce.Name != "RuntimeError" || ce.Value != "disk full" {
		t.Errorf("broken() gives %v", ce)
	}
	_, err = nb.run("x = 1\npanics()")
	if ce := nb.cellError(err); ce.Name != "InternalError" || !strings.Contains(ce.Value, "a mistake") {
		t.Errorf("panics() gives %v", ce)
	}
	if out, err := nb.run("x"); out != "1" || err != nil {
		t.Errorf("after a panic: %q, %v", out, err)
	}
}

func TestEvaluate(t *testing.T) {
	nb := newNotebook(t, Options{})
	if _, err := nb.run("x = 2"); err != nil {
		t.Fatal(err)
	}
	cell := &kernel.Cell{Count: 1, Out: &fakeOutput{}}
	b, err := nb.in.Evaluate(context.Background(), cell, "x ** 3")
	if err != nil || b.Data["text/plain"] != "8" {
		t.Errorf("x ** 3 is %v, %v", b, err)
	}
	if _, err := nb.in.Evaluate(context.Background(), cell, "nope"); err == nil {
		t.Error("nope has a value")
	}
	if out, err := nb.run("_"); err != nil || out != "" {
		t.Errorf("_ is %q, %v after a user expression", out, err)
	}
	// A silent cell leaves no trace but its bindings.
	if _, err := nb.in.Execute(context.Background(), &kernel.Cell{Silent: true, Out: &fakeOutput{}}, "s = 5\ns"); err != nil {
		t.Fatal(err)
	}
	if out, err := nb.run("s, _"); out != "(5, None)" || err != nil {
		t.Errorf("after a silent cell: %q, %v", out, err)
	}
}

func TestTime(t *testing.T) {
	nb := newNotebook(t, Options{})
	for _, code := range []string{"%time 1 + 1", "%%time\nx = 1\nx + 1", "%time 2;\n2", "if True:\n    %time 1\n2"} {
		out, err := nb.run(code)
		if err != nil || !strings.HasPrefix(out, "Wall time: ") || !strings.HasSuffix(out, "2") {
			t.Errorf("%q gives %q, %v", code, out, err)
		}
	}
}

func TestTraceback(t *testing.T) {
	nb := newNotebook(t, Options{})
	if _, err := nb.run("def inner(n):\n    y = 2 ** n; return f'{y:.1f} {1 // n}'\n"); err != nil {
		t.Fatal(err)
	}
	_, err := nb.run("def outer():\n    return [inner(i) for i in (1, 0)]\n\nouter()")
	trace := uncoloured(nb.cellError(err))
	for _, want := range []string{
		"In[2], line 4\n", "----> 4 outer()", "In[2] in outer(), line 2", "----> 2     return [inner(i)",
		"In[1] in inner(), line 2", "ZeroDivisionError: floored division by zero",
	} {
		if !strings.Contains(trace, want) {
			t.Errorf("%q is missing in\n%s", want, trace)
		}
	}
}

// Places in rewritten text come back as places in what was written.
func TestPlaces(t *testing.T) {
	for _, text := range []string{
		"x = 2 ** 3 + |nope",
		"f'{1:.2f} {2!r}' + |nope",
		"f'''{1}\n  {|nope} x'''",
		"f'é {  |nope }'",
		"{1, 2, |nope}",
		"sum(i ** 2 for i in |nope)",
		"'a' 'b' + |nope",
		"'\\xe9' + |nope",
		"1_000 + |nope",
		"0 < 1 < 2 < |nope",
		"f\"{f'{1 ** |nope}'}\"",
		"assert 1 < 2 ** |nope, 3",
		"1 is None or |nope",
	} {
		at := strings.IndexByte(text, '|')
		code := text[:at] + text[at+1:]
		src := newSource("In[1]", code)
		file, err := src.parse()
		if err != nil {
			t.Errorf("%q: %v", code, err)
			continue
		}
		found := false
		eachIdent(file, func(name string, pos position) {
			if name == "nope" {
				found = true
				if want := src.place(at); pos != want {
					t.Errorf("%q: nope is at %v, want %v", code, pos, want)
				}
			}
		}, src)
		if !found {
			t.Errorf("%q: the name is lost", code)
		}
	}
}
