package starlark

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
)

func TestRichValues(t *testing.T) {
	dir := t.TempDir()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p.png"), picture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p.txt"), []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := New(Options{Dir: dir})
	for code, want := range map[string]string{
		`HTML("<b>x</b>")`:                      "text/html",
		`Markdown("**x**")`:                     "text/markdown",
		`Latex("$x$")`:                          "text/latex",
		`SVG("<svg/>")`:                         "image/svg+xml",
		`JSON({"a": [1, 2.5, None, True, {}]})`: "application/json",
		`Image("p.png", width=30)`:              "image/png",
	} {
		b, err := in.Execute(context.Background(), &kernel.Cell{Count: 1, Out: &fakeOutput{}}, code)
		if err != nil || b.Data[want] == nil || b.Data["text/plain"] == nil {
			t.Errorf("%s shows %v (%v)", code, b, err)
		}
	}
	for code, want := range map[string]string{
		`HTML(3)`:                       "text",
		`JSON("x")`:                     "a dict or a list",
		`JSON({1: 2})`:                  "keys of JSON are strings",
		`JSON([float("nan")])`:          "NaN",
		`x = []; x.append(x); JSON(x)`:  "holds itself",
		`JSON([len])`:                   "no form",
		`Image("none.png")`:             "none.png",
		`Image("p.txt")`:                "neither PNG nor JPEG",
		`Image(".")`:                    "is no file",
		`Image(7)`:                      "a path or bytes",
		`Image("p.png", width=0)`:       "1 to 10000",
		`display(1, 2, display_id="x")`: "one value",
		`display(1, display_id="")`:     "is empty",
		`update_display(1)`:             "display_id",
		`print("x", file=3)`:            "stderr",
	} {
		_, err := in.Execute(context.Background(), &kernel.Cell{Count: 1, Out: &fakeOutput{}}, code)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
	}
}

// TestLoadedFiles changes files that load each other between cells.
func TestLoadedFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nb := newNotebook(t, Options{Dir: dir})
	expect := func(code, want string) {
		t.Helper()
		text, err := nb.run(code)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s gives %q, want %q", code, text, want)
		}
	}
	write("a.star", "load('sub/b.star', 'b')\ndef a(): return b + 1\nlist = [1]")
	write("sub/b.star", "load('c.star', 'c')\nb = c * 10\n")
	write("sub/c.star", "c = 1")
	cell := "load('a.star', 'a')\na()"
	expect(cell, "11")
	write("sub/c.star", "c = 2")
	expect(cell, "21")
	expect("load('a.star', 'list')\nlist.append(2)", "frozen")
	if files := nb.in.loadedFiles(); len(files) != 3 || len(files["sub/c.star"]) != 64 {
		t.Errorf("loaded: %v", files)
	}
	write("sub/c.star", "load('../a.star', 'a')\nc = 3")
	expect(cell, "a.star loads sub/b.star loads c.star loads ../a.star")
	write("sub/c.star", "c = 4")
	expect(cell, "41")
	write("bad.star", "x = \xff")
	expect("load('bad.star', 'x')", "UTF-8")
	expect("load('sub', 'x')", "is no file")
	write("big.star", strings.Repeat("#", maxLoaded+1))
	expect("load('big.star', 'x')", "at most")
}

// TestLoadedFunctionIsNotFrozen refuses what would be read with the notebook's names.
func TestLoadedFunctionIsNotFrozen(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.star"), []byte("step = 1\ndef mine(x): return x + step"), 0o600); err != nil {
		t.Fatal(err)
	}
	nb := newNotebook(t, Options{Dir: dir})
	for _, cell := range []string{"load('a.star', 'mine')\nstep = 100", "def user(x): return mine(x)"} {
		if _, err := nb.run(cell); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"mine", "user"} {
		_, err := nb.in.Freeze(nb.in.env[name].(*lib.Function), func(string) bool { return true })
		if err == nil || !strings.Contains(err.Error(), "a.star") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
