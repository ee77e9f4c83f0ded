package notebook

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evalnas/kernel"
	"evalnas/kernel/kerneltest"
)

// outputsText writes a cell's outputs in short.
func outputsText(c *Cell) string {
	var parts []string
	for _, o := range c.Outputs {
		switch o.Kind {
		case Stream:
			parts = append(parts, fmt.Sprintf("%s %q", o.Name, o.Text))
		case Error:
			parts = append(parts, fmt.Sprintf("error %s %q", o.ErrorName, o.ErrorValue))
		case ExecuteResult:
			parts = append(parts, fmt.Sprintf("Out[%d] %q", *o.Count, o.plain()))
		default:
			parts = append(parts, fmt.Sprintf("display %q", o.plain()))
		}
	}
	return strings.Join(parts, "; ")
}

func run(t *testing.T, nb *Notebook, o Options) Report {
	t.Helper()
	if o.Language == nil {
		o.Language = &kerneltest.Language{}
	}
	report, err := nb.Execute(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestOutputsAreKeptAsAFrontEndDoes holds a cell's outputs to what nbclient keeps of the
// same messages, and JupyterLab's joining of neighbouring text.
func TestOutputsAreKeptAsAFrontEndDoes(t *testing.T) {
	for _, c := range []struct {
		name  string
		cells []string
		want  []string
	}{
		{"neighbouring text is joined", []string{"print a\nprint b\nwarn c\nprint d\nvalue v"}, []string{`stdout "a\nb\n"; stderr "c\n"; stdout "d\n"; Out[1] "v"`}},
		{"counts", []string{"value a", "  \n", "value b"}, []string{`Out[1] "a"`, "", `Out[2] "b"`}},
		{"an update changes earlier cells", []string{"show x one\nprint a", "show x two", "update x three"}, []string{`display "three"; stdout "a\n"`, `display "three"`, ""}},
		{"the same id again", []string{"show x one\nshow x two"}, []string{`display "two"; display "two"`}},
		{"an update of nothing", []string{"update y one"}, []string{""}},
		{"clear waits for the next output", []string{"print a\nclear\nprint b", "print a\nclear"}, []string{`stdout "b\n"`, `stdout "a\n"`}},
		{"cleared outputs are not updated", []string{"show x one\nclear\nshow y two\nupdate x three"}, []string{`display "two"`}},
		{"questions", []string{"ask name?"}, []string{`error InternalError "` + kernel.ErrNoInput.Error() + `"`}},
		{"panics", []string{"crash oh"}, []string{`error InternalError "cell: oh"`}},
		{"long help is for people", []string{"page text\nvalue v"}, []string{`Out[1] "v"`}},
	} {
		nb := written(t, c.cells...)
		run(t, nb, Options{})
		for i, want := range c.want {
			if got := outputsText(nb.Cells[i]); got != want {
				t.Errorf("%s: cell %d shows %s, want %s", c.name, i+1, got, want)
			}
		}
	}
}

func TestExecutionStopsAtTheFirstError(t *testing.T) {
	nb := written(t, "print a", "error NameError x", "print b")
	nb.Cells[2].Outputs, nb.Cells[2].Count = []*Output{{Kind: Stream, Name: "stdout", Text: "of before"}}, new(9)
	report := run(t, nb, Options{})
	if report.Ran != 2 || report.At != 2 || report.Failed == nil || report.Failed.Name != "NameError" || report.Interrupted {
		t.Errorf("%+v", report)
	}
	if outputsText(nb.Cells[1]) != `error NameError "x"` || nb.Cells[2].Outputs != nil || nb.Cells[2].Count != nil {
		t.Errorf("%s; %+v", outputsText(nb.Cells[1]), nb.Cells[2])
	}
	if report := run(t, nb, Options{AllowErrors: true}); report.Ran != 3 || report.Failed != nil {
		t.Errorf("with AllowErrors: %+v", report)
	}
	tag(nb.Cells[1], "raises-exception")
	if report := run(t, nb, Options{}); report.Ran != 3 || report.Failed != nil {
		t.Errorf("with the tag: %+v", report)
	}
	tag(nb.Cells[1], "skip-execution")
	report = run(t, nb, Options{})
	if report.Ran != 2 || report.Cells != 2 || outputsText(nb.Cells[1]) != `error NameError "x"` || *nb.Cells[2].Count != 2 {
		t.Errorf("skipped: %+v, %s", report, outputsText(nb.Cells[1]))
	}
}

func TestInterruptAndTimeout(t *testing.T) {
	nb := written(t, "print a", "block", "print b")
	report := run(t, nb, Options{Timeout: 20 * time.Millisecond})
	if report.Failed == nil || report.Failed.Name != "TimeoutError" || report.Interrupted || !strings.Contains(outputsText(nb.Cells[1]), "more than 20ms") {
		t.Errorf("%+v, %s", report, outputsText(nb.Cells[1]))
	}
	ctx, stop := context.WithCancel(t.Context())
	report, err := nb.Execute(ctx, Options{Language: &kerneltest.Language{}, AllowErrors: true, Started: func(n, m int, _ *Cell) {
		if m != 3 {
			t.Errorf("cell %d of %d", n, m)
		}
		if n == 2 {
			time.AfterFunc(10*time.Millisecond, stop)
		}
	}})
	if err != nil || !report.Interrupted || report.Ran != 2 || !strings.HasPrefix(outputsText(nb.Cells[1]), "error KeyboardInterrupt") || outputsText(nb.Cells[0]) != `stdout "a\n"` {
		t.Errorf("%+v, %v, %s", report, err, outputsText(nb.Cells[1]))
	}
}

func TestMetadataSaysWhatRanIt(t *testing.T) {
	nb := written(t, "value v")
	run(t, nb, Options{Kernelspec: "evalnas", DisplayName: "evalnas (Starlark)"})
	if nb.Kernel() != "evalnas" || nb.text("kernelspec", "language") != "fake" || nb.text("language_info", "file_extension") != ".fake" {
		t.Errorf("%v", nb.Metadata)
	}
	nb.Metadata["kernelspec"] = map[string]any{"name": "evalnas-debug", "display_name": "mine"}
	run(t, nb, Options{Kernelspec: "evalnas", DisplayName: "evalnas (Starlark)"})
	if nb.Kernel() != "evalnas-debug" || nb.text("kernelspec", "display_name") != "mine" {
		t.Errorf("a kernel's own name is lost: %v", nb.Metadata)
	}
}

// TestOutputsEndWithTheExecution: what is published later reaches no output, and values
// that their owner changes stay as they were.
func TestOutputsEndWithTheExecution(t *testing.T) {
	var out kernel.Output
	bundle := &kernel.Bundle{Data: map[string]any{"text/plain": "before", "application/json": map[string]any{"x": 1.5}}}
	lang := &kerneltest.Language{Commands: map[string]kerneltest.Command{
		"keep": func(_ context.Context, c *kernel.Cell, _ string) (*kernel.Bundle, error) {
			out = c.Out
			out.Display(bundle, "id")
			return nil, nil
		},
		"bad": func(_ context.Context, c *kernel.Cell, _ string) (*kernel.Bundle, error) {
			c.Out.Display(&kernel.Bundle{Data: map[string]any{"text/plain": func() {}}}, "")
			c.Out.Display(&kernel.Bundle{Data: map[string]any{"image/png": 5}}, "")
			return nil, nil
		},
	}}
	nb := written(t, "keep", "bad")
	run(t, nb, Options{Language: lang})
	bundle.Data["text/plain"] = "after"
	out.UpdateDisplay(bundle, "id")
	out.Stream("stdout", "late")
	out.Clear(false)
	if got := outputsText(nb.Cells[0]); got != `display "before"` {
		t.Error(got)
	}
	if got := outputsText(nb.Cells[1]); strings.Count(got, "could not be shown") != 2 || strings.Contains(got, "display \"") {
		t.Error(got)
	}
}

func TestWriteReplacesAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.ipynb")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	nb := written(t, "print a")
	nb.Cells[0].Metadata["bad"] = func() {}
	if err := nb.Write(path); err == nil {
		t.Error("what cannot be encoded is written")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("the old file is %q, %v", data, err)
	}
	delete(nb.Cells[0].Metadata, "bad")
	if err := nb.Write(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := Read(path); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := nb.Write(filepath.Join(dir, "none", "x.ipynb")); err == nil {
		t.Error("a folder appeared")
	}
}
