package starlark

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
)

// loadNotebook is a notebook in a folder of its own, with files.
func loadNotebook(t *testing.T, files map[string]string) *notebook {
	t.Helper()
	nb := newNotebook(t, Options{Dir: t.TempDir()})
	nb.files(files)
	return nb
}

func (nb *notebook) files(files map[string]string) {
	nb.t.Helper()
	for name, text := range files {
		path := filepath.Join(nb.in.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			nb.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			nb.t.Fatal(err)
		}
	}
}

// gives checks what a cell prints and shows.
func (nb *notebook) gives(code, want string) {
	nb.t.Helper()
	if out, err := nb.run(code); err != nil || strings.TrimRight(out, "\n") != want {
		nb.t.Errorf("%q gives %q, %v, want %q", code, out, err, want)
	}
}

// fails checks the words of a cell's traceback.
func (nb *notebook) fails(code string, want ...string) {
	nb.t.Helper()
	_, err := nb.run(code)
	if err == nil {
		nb.t.Errorf("%q does not fail", code)
		return
	}
	trace := uncoloured(nb.cellError(err))
	for _, w := range want {
		if !strings.Contains(trace, w) {
			nb.t.Errorf("%q: %q is missing in\n%s", code, w, trace)
		}
	}
}

func TestLoadIsRelativeToItsFile(t *testing.T) {
	nb := loadNotebook(t, map[string]string{
		"x.star":       "who = 'beside the notebook'",
		"lib/x.star":   "who = 'in lib'",
		"lib/a.star":   "load('x.star', near='who')\nload('../x.star', far='who')\ndef both(): return near + ', ' + far\ndef g(): return who",
		"lib/b/c.star": "load('../a.star', 'both')\nc = both()",
	})
	nb.gives("load('lib/a.star', f='both')\nf()", `"in lib, beside the notebook"`)
	nb.gives("load('lib/b/c.star', 'c')\nc", `"in lib, beside the notebook"`)
	// A file sees neither the notebook's names nor another file's.
	nb.fails("who = 3\nload('lib/a.star', 'g')\ng()", "NameError: name 'who'")
}

func TestLoadAgainWhenTextChanges(t *testing.T) {
	nb := loadNotebook(t, map[string]string{
		"top.star":   "load('left.star', 'l')\nload('right.star', 'r')\nprint('top')\ntop = l + r",
		"left.star":  "load('base.star', 'b')\nprint('left')\nl = [b]",
		"right.star": "load('base.star', 'b')\nprint('right')\nr = [b]",
		"base.star":  "print('base')\nb = 1",
	})
	load := "load('top.star', 'top')\ntop"
	nb.gives(load, "base\nleft\nright\ntop\n[1, 1]")
	nb.gives(load, "[1, 1]")
	nb.gives("load('left.star', 'l')", "")
	nb.files(map[string]string{"right.star": "load('base.star', 'b')\nr = [b, b]"})
	nb.gives(load, "top\n[1, 1, 1]")
	nb.files(map[string]string{"base.star": "b = 2"})
	nb.gives(load, "left\ntop\n[2, 2, 2]")
	// The same text with another date is the same file.
	nb.files(map[string]string{"base.star": "b = 2"})
	nb.gives(load, "[2, 2, 2]")
	nb.files(map[string]string{"base.star": "b = 1 // 0"})
	nb.fails(load, "ZeroDivisionError")
	if err := os.Remove(filepath.Join(nb.in.dir, "base.star")); err != nil {
		t.Fatal(err)
	}
	nb.fails(load, "base.star is no file")
	nb.gives("top", "[2, 2, 2]") // bound before
}

func TestLoadedValuesAreFrozen(t *testing.T) {
	nb := loadNotebook(t, map[string]string{
		"v.star": "xs = [1]\nd = {'a': [2]}\ns = set([1])\n_own = []\ndef add(x): _own.append(x)\ndef default(x, to=[]):\n    to.append(x)",
	})
	for _, change := range []string{"xs.append(2)", "d['b'] = 1", "d['a'].append(1)", "s.add(2)", "add(1)", "default(1)", "xs[0] = 2", "xs += [3]"} {
		nb.fails("load('v.star', 'xs', 'd', 's', 'add', 'default')\n"+change, "TypeError: this ", "belongs to a loaded file and cannot be changed: change a copy")
	}
	nb.gives("ys = list(xs); ys.append(2); ys", "[1, 2]")
}

func TestLoadErrors(t *testing.T) {
	nb := loadNotebook(t, map[string]string{
		"helpers.star": "def f(): return 1\nsteps = 3\n_private = 1",
		"empty.star":   "",
		"latin.star":   "# ok\nx = '\xe9'",
		"huge.star":    "#" + strings.Repeat("x", maxCode),
		"self.star":    "load('self.star', 'x')",
		"a.star":       "load('lib/b.star', 'x')",
		"lib/b.star":   "load('c.star', 'x')",
		"lib/c.star":   "y = 1\nload('../a.star', 'x')",
		"bad.star":     "x = 1\n\nx = = 2",
		"deep.star":    "def inner(n):\n    return 1 // n\n\nvalue = inner(0)",
		"outer.star":   "# a comment\nload('deep.star', 'value')",
		"late.star":    "def late(n):\n    return [][n]",
		"wrong.star":   "load('lib/none.star', 'x')",
	})
	for _, test := range []struct {
		code string
		want []string
	}{
		{"load('helper.star', 'f')", []string{"FileNotFoundError: load: helper.star is no file; did you mean 'helpers.star'? beside the notebook there are a.star, ", "helpers.star"}},
		{"load('', 'f')", []string{`IsADirectoryError: load: "" is a folder`}},
		{"load('lib/d.star', 'f')", []string{"lib/d.star is no file", "in lib/ there are lib/b.star, lib/c.star"}},
		{"load('no/d.star', 'f')", []string{"no/d.star is no file; there is no folder no/"}},
		{"load('lib', 'f')", []string{"IsADirectoryError: load: lib is a folder: name a file in it", "lib/b.star"}},
		{"load('helpers.star', 'g')", []string{"ImportError: load: helpers.star defines no 'g'; helpers.star has f, steps"}},
		{"load('helpers.star', 'step')", []string{"did you mean 'steps'?"}},
		{"load('helpers.star', '_private')", []string{"ImportError: load: _private starts with _, and such names stay in their file; helpers.star has f, steps"}},
		{"load('empty.star', 'f')", []string{"empty.star defines no 'f'; empty.star has nothing to load"}},
		{"load('latin.star', 'x')", []string{"UnicodeDecodeError: load: latin.star is not UTF-8: byte 0xe9 in line 2; save it as UTF-8"}},
		{"load('huge.star', 'x')", []string{"ValueError: load: huge.star has 1048577 bytes: at most 1048576 are allowed"}},
		{"load('self.star', 'x')", []string{"ImportError: load: self.star loads itself"}},
		{"\nload('a.star', 'x')", []string{"ImportError: load: a.star loads lib/b.star, which loads lib/c.star, which loads a.star: files cannot load each other in a circle",
			"In[13], line 2", "a.star, line 1", "lib/b.star, line 1", "lib/c.star, line 2"}},
		{"load('bad.star', 'x')", []string{"SyntaxError", "In[14], line 1", "bad.star, line 3", "-> 3 x = = 2"}},
		{"load('outer.star', 'x')", []string{"ZeroDivisionError", "In[15], line 1", "outer.star, line 2", "deep.star, line 4", "deep.star in inner(), line 2", "-> 2     return 1 // n"}},
		{"load('late.star', 'late')\nlate(3)", []string{"IndexError", "In[16], line 2", "late.star in late(), line 2"}},
		{"load('wrong.star', 'x')", []string{"lib/none.star is no file; did you mean 'lib/b.star'? in lib/ there are"}},
		{"load('helpers.star')", []string{"SyntaxError"}},
	} {
		nb.fails(test.code, test.want...)
	}
	if runtime.GOOS == "linux" {
		nb.fails("load('/dev/zero', 'x')", "OSError: load: /dev/zero is a device or a pipe: only files can be loaded")
	}
	nb.gives("load('helpers.star', 'f', n='steps')\nf() + n", "4") // nothing is left of the failures
}

func TestLoadCompletesFiles(t *testing.T) {
	nb := loadNotebook(t, map[string]string{"helpers.star": "", "lib/near.star": "", "lib/notes.txt": ""})
	for code, want := range map[string]string{`load("he`: "helpers.star", `load("l`: "lib/", `load("lib/`: "lib/near.star", "x = 1\nload('lib/n": "lib/near.star"} {
		found := nb.in.Complete(code, len(code))
		if len(found.Matches) != 1 || found.Matches[0].Text != want {
			t.Errorf("%s: %v, want %s", code, found.Matches, want)
		}
	}
}

// A function may load where it runs: from the folder of its own file, whoever calls it.
func TestLoadInFunctions(t *testing.T) {
	nb := loadNotebook(t, map[string]string{
		"x.star":     "x = 'beside the notebook'\ndef f(): return 0",
		"lib/a.star": "print('a')\ndef late():\n    load('x.star', 'x')\n    return x",
		"lib/x.star": "load('a.star', 'late')\nx = 'in lib'",
	})
	nb.gives("load('lib/a.star', 'late')\nlate()", "a\n\"in lib\"")
	nb.gives("load('lib/a.star', 'late')\nlate()", "\"in lib\"") // they load each other, and not in a circle
	nb.files(map[string]string{"lib/x.star": "x = 'changed'"})
	nb.gives("late()", `"changed"`)
}

// TestLoadReadsSharedFilesOnce has 2^12 ways from the first file to the last.
func TestLoadReadsSharedFilesOnce(t *testing.T) {
	const depth = 12
	files := map[string]string{"f12.star": "x = 1"}
	for i := range depth {
		load := fmt.Sprintf("load('f%d.star', 'x')", i+1)
		files[fmt.Sprintf("f%d.star", i)] = fmt.Sprintf("load('l%d.star', 'x')\nload('r%[1]d.star', 'x')", i)
		files[fmt.Sprintf("l%d.star", i)], files[fmt.Sprintf("r%d.star", i)] = load, load
	}
	nb := loadNotebook(t, files)
	reads, read := 0, nb.in.read
	nb.in.read = func(path string, asked request) (string, error) {
		reads++
		return read(path, asked)
	}
	nb.gives("load('f0.star', 'x')\nx", "1")
	reads = 0
	nb.gives("load('f0.star', 'x')\nx", "1")
	if reads != len(files) {
		t.Errorf("a load looked at its %d files in %d reads", len(files), reads)
	}
}

// Steps of a loaded file are steps of the cell that loads it.
func TestLoadCountsSteps(t *testing.T) {
	count := func(n int) string {
		return fmt.Sprintf("def count():\n    n = 0\n    for i in range(%d):\n        n += i\n    return n\ndone = count()\n", n)
	}
	nb := newNotebook(t, Options{Dir: t.TempDir(), MaxSteps: 1_000_000})
	nb.files(map[string]string{
		"long.star": count(1_000_000), "a.star": count(60_000), "b.star": count(60_000), "c.star": "load('a.star', 'done')\n" + count(60_000),
	})
	nb.fails("load('long.star', 'done')", "TimeoutError: the cell ran for more than 1000000 steps", "In[1], line 1", "long.star, line 6", "long.star in count(), line")
	nb.gives("load('a.star', 'done')\ndone", "1799970000")
	nb.in.loads = map[string]*loaded{}
	nb.fails("load('c.star', 'done')\nload('b.star', 'done')", "TimeoutError")
}

func TestLoadedFunctionsSayWhereTheyAre(t *testing.T) {
	nb := loadNotebook(t, map[string]string{"lib/a.star": "\ndef f():\n    'Does it.'"})
	nb.gives("load('lib/a.star', 'f')", "")
	if b := nb.in.Inspect("f", 1, 1); b == nil || !strings.Contains(fmt.Sprint(b.Data["text/plain"]), "lib/a.star, line 2") {
		t.Errorf("the page of f is %v", b)
	}
}

// A frozenNotebook freezes functions and calls them elsewhere.
type frozenNotebook struct{ *notebook }

func (nb frozenNotebook) try(name string) (*Frozen, error) {
	nb.t.Helper()
	return nb.in.Freeze(nb.in.env[name].(*lib.Function), nb.in.Has)
}

func (nb frozenNotebook) freeze(name string) *Frozen {
	nb.t.Helper()
	f, err := nb.try(name)
	if err != nil {
		nb.t.Fatalf("%s: %v", name, err)
	}
	return f
}

// calls checks what a function gives for a 2 in an interpreter of its own.
func (nb frozenNotebook) calls(f *Frozen, want string) {
	nb.t.Helper()
	if v, err := callFrozen(nb.t, f, Options{}); err != nil || v.String() != want {
		nb.t.Errorf("%s gives %v, %v, want %s, of %+v", f.Function, v, err, want, f)
	}
}

func callFrozen(t testing.TB, f *Frozen, o Options) (lib.Value, error) {
	o.Dir = t.TempDir()
	cell := &kernel.Cell{Silent: true, Out: &fakeOutput{}}
	return New(o).CallFrozen(context.Background(), cell, f, lib.Tuple{lib.MakeInt(2)}, nil)
}

// A function from a file runs elsewhere with what it uses, though names are alike.
func TestFreezeLoadedFunctions(t *testing.T) {
	nb := frozenNotebook{loadNotebook(t, map[string]string{
		"base.star": "step = 100\ndef _scaled(x): return x * step\ndef scale(x): return _scaled(x)\nhidden = _scaled",
		"lib.star":  "# first line\nload('base.star', 'hidden', times='scale')\n\nstep = 7\nquiet = {'by': [1]}\n\ndef climb(n, more=step):\n    return times(n) + step + more + quiet['by'][0] + hidden(0)\n\ndef fails(n):\n    return 1 // (n - 2)\n",
	})}
	if _, err := nb.run("load('lib.star', 'climb', up='climb', bad='fails')\nstep = 1\ndef mine(n): return up(n) + step + climb(0)\ndef worse(n): return bad(n)"); err != nil {
		t.Fatal(err)
	}
	frozen := map[string]*Frozen{}
	for _, name := range []string{"climb", "up", "mine", "bad", "worse"} {
		frozen[name] = nb.freeze(name)
	}
	files := frozen["mine"].Files
	if len(files) != 2 || files[0].Name != "lib.star" || len(files[0].SHA256) != 64 || files[1].Name != "base.star" {
		t.Errorf("the files of mine are %v", files)
	}
	// What it was when it was asked for, whatever becomes of the files.
	nb.files(map[string]string{"base.star": "def scale(x): return 0\nhidden = scale", "lib.star": "def climb(n): return 0"})
	nb.calls(frozen["climb"], "215")
	nb.calls(frozen["up"], "215")
	nb.calls(frozen["mine"], "231")
	for _, name := range []string{"bad", "worse"} {
		_, err := callFrozen(t, frozen[name], Options{})
		if err == nil || !strings.Contains(colours.ReplaceAllString(err.Error(), ""), "lib.star in fails(), line 11") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Two versions of a file, side by side.
	nb.gives("load('lib.star', new='climb')\ndef both(n): return [climb(n), new(n)]", "")
	nb.calls(nb.freeze("both"), "[215, 0]")
}

// The text of a file stays, and that of one that it loads changes.
func TestFreezeRunsOfOneText(t *testing.T) {
	nb := frozenNotebook{loadNotebook(t, map[string]string{
		"base.star": "base = 1",
		"lib.star":  "load('base.star', 'base')\ndef get(n): return n + base",
	})}
	nb.gives("load('lib.star', old='get')", "")
	nb.files(map[string]string{"base.star": "base = 5"})
	nb.gives("load('lib.star', new='get')\ndef both(n): return [old(n), new(n)]\nboth(2)", "[3, 7]")
	nb.calls(nb.freeze("both"), "[3, 7]")
	nb.calls(nb.freeze("old"), "3")
}

func TestFreezeFilesOfOneName(t *testing.T) {
	nb := frozenNotebook{loadNotebook(t, map[string]string{
		"a/x.star": "load('y.star', 'y')\ndef get(n): return 'a' + y(n)",
		"b/x.star": "load('y.star', 'y')\ndef get(n): return 'b' + y(n)",
		"a/y.star": "z = '1'\ndef y(n): return z * n",
		"b/y.star": "z = '2'\ndef y(n): return z * n",
	})}
	nb.gives("load('a/x.star', a='get')\nload('b/x.star', b='get')\ndef both(n): return a(n) + b(n)\nboth(2)", `"a11b22"`)
	f := nb.freeze("both")
	nb.calls(f, `"a11b22"`)
	var names []string
	for _, file := range f.Files {
		names = append(names, file.Name)
	}
	if got := strings.Join(names, " "); got != "a/x.star a/y.star b/x.star b/y.star" {
		t.Errorf("the files are %s", got)
	}
	// Where the folder lies is not in it.
	other := frozenNotebook{loadNotebook(t, map[string]string{"a/x.star": "load('y.star', 'y')\ndef get(n): return 'a' + y(n)", "a/y.star": "z = '1'\ndef y(n): return z * n"})}
	other.gives(fmt.Sprintf("load(%q, 'get')", filepath.ToSlash(filepath.Join(other.in.dir, "a/x.star"))), "")
	nb.gives("load('a/x.star', 'get')", "")
	if here, there := fmt.Sprint(nb.freeze("get")), fmt.Sprint(other.freeze("get")); here != there {
		t.Errorf("in another folder it is %s, not %s", there, here)
	}
}

// What the cell of a function loads is as what an earlier cell loaded.
func TestFreezeAfterLoadInItsCell(t *testing.T) {
	nb := frozenNotebook{loadNotebook(t, map[string]string{"lib.star": "step = 7\ndef add(n): return n + step"})}
	nb.gives("if True:\n    load('lib.star', 'step')\nload('lib.star', plus='add')\ndef mine(n): return plus(n) * step", "")
	nb.calls(nb.freeze("mine"), "63")
}

func TestFreezeCountsSteps(t *testing.T) {
	nb := frozenNotebook{loadNotebook(t, map[string]string{"lib.star": "def endless(n):\n    while True:\n        n += 1"})}
	nb.gives("load('lib.star', 'endless')\ndef mine(n): return endless(n)", "")
	for _, name := range []string{"endless", "mine"} {
		_, err := callFrozen(t, nb.freeze(name), Options{MaxSteps: 100_000})
		var failed *FrozenError
		if !errors.As(err, &failed) || failed.Cell.Name != "TimeoutError" || !strings.Contains(uncoloured(failed.Cell), "lib.star in endless(), line") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFreezeRefuses(t *testing.T) {
	nb := frozenNotebook{loadNotebook(t, map[string]string{
		"twice.star":  "def f(n): return 1\nold = f\ndef f(n): return 2",
		"deep.star":   "def outer(n):\n    def inner(m): return n + m\n    return inner\nmade = outer(1)\nshort = lambda n: n",
		"late.star":   "def late(n):\n    load('twice.star', 'f')\n    return f(n)",
		"uses.star":   "def uses(n): return display(n)\nxs = [len, 1]\ndef value(n): return xs",
		"moved.star":  "by, like = 1, [2]\ndef moved(n, by=by): return n * by\ndef kept(n, *, like=like, none=None): return n + like[0]\nby = 3",
		"absent.star": "def absent(n): return nothing(n)",
	})}
	nb.gives(`load("twice.star", "f", "old")
load("deep.star", "made", "short")
load("late.star", "late")
load("uses.star", "uses", "value")
load("absent.star", "absent")
load("moved.star", "moved", "kept")
def both(n): return f(n) + old(n)
same = f
def alias(n): return same(n)
def again(n): return alias_of_cell(n)
def cell(n): return n
alias_of_cell = cell
by = 1
def late_cell(n, by=by): return n * by
by = 2`, "")
	nb.calls(nb.freeze("kept"), "4")
	nb.calls(nb.freeze("f"), "2")
	nb.calls(nb.freeze("old"), "1")
	nb.calls(nb.freeze("alias"), "2")
	for name, want := range map[string]string{
		"both":      "f is used as it is now and as it was before it was defined again",
		"made":      "inner is no function that a def at the top level of a cell or file made",
		"short":     "lambda is no function that a def",
		"late":      "late loads a file, which is not there where it will run",
		"value":     "value uses xs, a builtin_function_or_method, which cannot be taken along",
		"absent":    "name 'nothing' is not defined",
		"moved":     "moved took the default of by from by, which is something else now: run its def again",
		"late_cell": "late_cell took the default of by",
		"again":     "alias_of_cell is another name of the function cell",
	} {
		if _, err := nb.try(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", name, err, want)
		}
	}
	_, err := nb.in.Freeze(nb.in.env["uses"].(*lib.Function), func(name string) bool { return name != "display" })
	if err == nil || !strings.Contains(err.Error(), "uses uses display(...), which is not there") {
		t.Errorf("uses: %v", err)
	}
}
