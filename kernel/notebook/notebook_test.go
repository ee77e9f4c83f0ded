package notebook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written makes a notebook of code cells, as a person saves it.
func written(t testing.TB, sources ...string) *Notebook {
	t.Helper()
	nb := &Notebook{Metadata: map[string]any{}}
	for i, s := range sources {
		nb.Cells = append(nb.Cells, &Cell{Kind: Code, ID: fmt.Sprintf("c%d", i), Source: s, Metadata: map[string]any{}})
	}
	return nb
}

func tag(c *Cell, tags ...any) { c.Metadata["tags"] = tags }

func TestReadKeepsWhatJupyterWrote(t *testing.T) {
	// nbformat 4.4: no ids; lines as lists; unknown metadata and numbers that no float64 has.
	nb, err := Read("testdata/old.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	if len(nb.Cells) != 4 || nb.Cells[0].Kind != Markdown || nb.Cells[1].Source != "x = 1\nx" || *nb.Cells[1].Count != 7 {
		t.Fatalf("%+v", nb.Cells)
	}
	ids := map[string]bool{}
	for _, c := range nb.Cells {
		ids[c.ID] = true
	}
	if len(ids) != 4 || ids[""] {
		t.Errorf("ids %v", ids)
	}
	out := nb.Cells[1].Outputs
	if len(out) != 3 || out[0].Text != "a\nb\n" || out[1].plain() != "line 1\nline 2" || out[2].Traceback[0] != "line 1" {
		t.Errorf("outputs %+v", out)
	}
	data, err := nb.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"nbformat_minor": 5`, `"precise": 12345678901234567890.5`, `"of_another": {`, `"id": "cell-1"`, `"a\n",`, `<b>`} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("%s is not in what is written:\n%s", want, data)
		}
	}
	if bytes.Contains(data, []byte("orig_nbformat")) || bytes.Contains(data, []byte("trusted")) {
		t.Error("what must not be saved is")
	}
	again, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if twice, err := again.Encode(); err != nil || !bytes.Equal(data, twice) {
		t.Errorf("written again it differs: %v", err)
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := `{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}`
	cell := func(text string) string { return strings.Replace(good, "[]", "["+text+"]", 1) }
	for _, c := range []struct{ path, want string }{
		{write("a.ipynb", ""), "empty"},
		{write("b.ipynb", "<!DOCTYPE html><html>"), "HTML"},
		{write("c.ipynb", "\x1f\x8b\x08"), "gunzip"},
		{write("d.ipynb", "policy,seed\n"), "some other text"},
		{write("e.ipynb", good[:40]), "cut off"},
		{write("f.ipynb", good+"{}"), "follows its end"},
		{write("g.ipynb", `{"nbformat": 3, "worksheets": [{"cells": []}]}`), "nbformat 3"},
		{write("h.ipynb", `{"nbformat": 4, "metadata": {}}`), "has no cells"},
		{write("i.ipynb", `{"nbformat": 5, "cells": []}`), `nbformat "5"`},
		{write("j.ipynb", `[1, 2]`), "no notebook"},
		{write("k.ipynb", cell(`{"cell_type": "heading", "source": ""}`)), `cell 1 of 1 is of the unknown kind "heading"`},
		{write("l.ipynb", cell(`{"cell_type": "code", "source": 5}`)), "source"},
		{write("m.ipynb", cell(`{"cell_type": "code", "source": "x", "outputs": [{"output_type": "pyout"}]}`)), `unknown kind "pyout"`},
		{write("n.ipynb", cell(`{"cell_type": "code", "source": "`+strings.Repeat("x", maxSource+1)+`"}`)), "MB of code"},
		{write(".ipynb_checkpoints/o-checkpoint.ipynb", good), filepath.Join(dir, "o.ipynb")},
		{dir, "is a folder: give a notebook, such as " + filepath.Join(dir, "a.ipynb")},
		{filepath.Join(dir, "none.ipynb"), "no such file"},
	} {
		nb, err := Read(c.path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, %v; want %q", filepath.Base(c.path), nb, err, c.want)
		}
	}
}

func TestCheckKernel(t *testing.T) {
	for _, c := range []struct{ metadata, want string }{
		{`{}`, ""},
		{`{"kernelspec": {"name": "evalnas", "display_name": "x"}}`, ""},
		{`{"kernelspec": {"name": "evalnas-debug", "language": "starlark"}}`, ""},
		{`{"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}`, `kernel is "python3" (Python 3)`},
		{`{"language_info": {"name": "julia"}}`, `"julia"`},
		{`{"kernelspec": 5}`, ""},
	} {
		nb := &Notebook{}
		if err := json.Unmarshal([]byte(c.metadata), &nb.Metadata); err != nil {
			t.Fatal(err)
		}
		err := nb.CheckKernel("evalnas", "starlark")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.metadata, err, c.want)
		}
	}
}

func TestInject(t *testing.T) {
	params := []Parameter{{"seeds", "range(3)"}, {"policy", `"spos"`}}
	order := func(nb *Notebook) string {
		var names []string
		for _, c := range nb.Cells {
			names = append(names, strings.ReplaceAll(c.Source, "\n", "|"))
		}
		return strings.Join(names, "; ")
	}
	injected := `# Parameters|seeds = range(3)|policy = "spos"`
	top := written(t, "a", "b")
	top.Inject(params)
	if got := order(top); got != injected+"; a; b" || !top.Cells[0].Tagged("injected-parameters") {
		t.Errorf("without a tag: %s", got)
	}
	behind := written(t, "a", "seeds = range(10)  # ten\npolicy: str = 'x'\nother == 1", "b")
	tag(behind.Cells[1], "parameters")
	if unknown := behind.UnknownParameters(append(params, Parameter{"other", "1"})); len(unknown) != 1 || unknown[0] != "other" {
		t.Errorf("unknown %v", unknown)
	}
	behind.Inject(params)
	if got := order(behind); !strings.HasSuffix(got, "; "+injected+"; b") {
		t.Errorf("behind the tag: %s", got)
	}
	behind.Inject([]Parameter{{"seeds", "[1]"}})
	if got := order(behind); strings.Count(got, "# Parameters") != 1 || !strings.HasSuffix(got, "# Parameters|seeds = [1]; b") {
		t.Errorf("in the place of the first: %s", got)
	}
	behind.Inject(nil)
	if len(behind.Cells) != 4 {
		t.Errorf("without parameters: %s", order(behind))
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"old.ipynb"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["a"], "metadata": {"tags": [1]}, "outputs": [{"output_type": "display_data", "data": {"text/plain": ["a", 1], "application/vnd.evalnas.result.v1+json": [1]}}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		nb, err := Parse(data)
		if err != nil {
			return
		}
		encoded, err := nb.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(encoded)
		if err != nil {
			t.Fatalf("what is written cannot be read: %v", err)
		}
		if v := Verify(nb, again, 0); len(v.Differences) > 0 {
			t.Fatalf("written and read again it differs: %+v", v.Differences)
		}
		if _, err := nb.Data(""); err != nil {
			t.Fatal(err)
		}
		_ = nb.CheckKernel("evalnas", "starlark") // must not panic
	})
}
