package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evalnas/kernel/notebook"
)

// notebookFile writes a notebook of code cells and returns its path.
func notebookFile(t *testing.T, name string, cells ...string) string {
	t.Helper()
	nb := &notebook.Notebook{Metadata: map[string]any{"kernelspec": map[string]any{"name": "evalnas", "display_name": "evalnas (Starlark)", "language": "starlark"}}}
	for _, source := range cells {
		source, tag, tagged := strings.Cut(source, " #tag ")
		c := &notebook.Cell{Kind: notebook.Code, Source: source, Metadata: map[string]any{}, ID: "c" + string(rune('a'+len(nb.Cells)))}
		if tagged {
			c.Metadata["tags"] = []any{tag}
		}
		nb.Cells = append(nb.Cells, c)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := nb.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs the program's command line.
func command(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := newRootCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	if err := cmd.Execute(); err != nil {
		errs.WriteString("\nevalnas: " + err.Error())
		status = exitStatus(err)
	}
	return out.String(), errs.String(), status
}

// own keeps the studies, slots and settings of a test apart from everybody's.
func own(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	slots, err := os.MkdirTemp("", "slots") // workers may hold it for some moments longer
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"EVALNAS_EXE": exe, programVariable: "1", "EVALNAS_SLOT_DIR": slots, "EVALNAS_STUDY": "",
		"EVALNAS_STUDIES_FILE": filepath.Join(t.TempDir(), "studies"), "XDG_CONFIG_HOME": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	t.Cleanup(func() { _ = os.RemoveAll(slots) })
}

// comparing is a notebook whose comparison needs no jobs.
var comparing = []string{
	"seeds = range(3)\nvertices = 6 #tag parameters",
	"space = nasbench101(max_vertices=vertices)\ntruth = nasbench101_table()\nprint(f\"{len(space):,} cells\")",
	"drawn = sample_random(space, seeds=seeds)\ndrawn",
	"compare(drawn, sample_random(space, seeds=seeds, measure=\"relaxed\"), by=truth.metric(\"test\"))",
	"1 // 0 #tag raises-exception",
	"_",
}

func TestNotebookRun(t *testing.T) {
	own(t)
	path := notebookFile(t, "x.ipynb", comparing...)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(filepath.Dir(path), "x.executed.ipynb")
	_, stderr, status := command(t, "notebook", "run", path, "-p", "seeds=range(4)", "-p", "vertices=5", "-p", "vertices=4", "-p", "typo=spos")
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, want := range []string{"cell 3 of 7: space = nasbench101(max_vertices=vertices) …", "7 of 7 cells ran", out, "does not set typo"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is not in %s", want, stderr)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Error("the notebook itself has changed")
	}
	nb, err := notebook.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if got := nb.Cells[1].Source; got != "# Parameters\nseeds = range(4)\nvertices = 4\ntypo = \"spos\"" {
		t.Errorf("injected: %s", got)
	}
	if got := nb.Cells[2].Outputs[0].Text; got != "91 cells\n" {
		t.Errorf("printed: %q", got)
	}
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	// Again over its own file: the injected cell is replaced, and the bytes are the same.
	if _, stderr, status := command(t, "notebook", "run", out, "-o", out, "-p", "seeds=range(4)", "-p", "vertices=4", "-p", "typo=spos"); status != 0 {
		t.Fatal(stderr)
	}
	if again, err := os.ReadFile(out); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the same notebook gives other bytes (%v)", err)
	}
	stdout, _, status := command(t, "notebook", "run", out, "-o", "-")
	if status != 0 || stdout != string(first) {
		t.Errorf("to standard output: status %d, %d bytes", status, len(stdout))
	}
}

func TestNotebookRunSaysHowItEnded(t *testing.T) {
	own(t)
	failing := notebookFile(t, "f.ipynb", "print(1)", "nonsense", "print(2)")
	out := filepath.Join(filepath.Dir(failing), "f.executed.ipynb")
	if _, stderr, status := command(t, "notebook", "run", failing); status != 1 || !strings.Contains(stderr, "cell 2 of 3 failed: NameError") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if nb, err := notebook.Read(out); err != nil || nb.Cells[1].Outputs[0].Kind != notebook.Error || len(nb.Cells[2].Outputs) != 0 {
		t.Errorf("%+v, %v", nb, err)
	}
	if _, stderr, status := command(t, "notebook", "run", failing, "--allow-errors"); status != 0 {
		t.Errorf("status %d: %s", status, stderr)
	}
	endless := notebookFile(t, "e.ipynb", "while True:\n    pass")
	if _, stderr, status := command(t, "notebook", "run", endless, "--timeout", "0.05"); status != 1 || !strings.Contains(stderr, "TimeoutError: the cell ran for more than 50ms") {
		t.Errorf("status %d: %s", status, stderr)
	}
	python := notebookFile(t, "p.ipynb", "print(1)")
	data, err := os.ReadFile(python)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(`"name": "evalnas"`, `"name": "python3"`, `"starlark"`, `"python"`).Replace(string(data))
	if err := os.WriteFile(python, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{python}, `kernel is "python3"`},
		{[]string{failing, "-p", "x"}, "give name=value"},
		{[]string{failing, "-p", "a.b=1"}, "no name that a cell can set"},
		{[]string{failing, "-p", "x=[1, 2"}, "is no literal"},
		{[]string{failing, "-o", filepath.Dir(failing)}, "is a folder"},
		{[]string{failing, "-o", filepath.Join(filepath.Dir(failing), "none", "x.ipynb")}, "cannot be written"},
		{[]string{failing, "--timeout", "soon"}, "--timeout soon is no time"},
		{[]string{filepath.Dir(failing)}, "is a folder: give a notebook, such as"},
		{[]string{"none.ipynb"}, "none.ipynb"},
	} {
		if _, stderr, status := command(t, append([]string{"notebook", "run"}, c.args...)...); status != statusTrouble || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: status %d, %s; want %q", c.args, status, stderr, c.want)
		}
	}
}

// TestNotebookInterrupt: what there is is written.
func TestNotebookInterrupt(t *testing.T) {
	own(t)
	path := notebookFile(t, "e.ipynb", "print(1)", "while True:\n    pass", "print(2)")
	out := filepath.Join(filepath.Dir(path), "out.ipynb")
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, stop)
	var stdout, stderr bytes.Buffer
	err := runNotebook(ctx, path, &notebookRunOptions{output: out, allowErrors: true, executeOptions: executeOptions{timeout: "0"}}, &stdout, &stderr)
	if exitStatus(err) != statusInterrupted {
		t.Fatalf("%v, %s", err, &stderr)
	}
	nb, err := notebook.Read(out)
	if err != nil || nb.Cells[0].Outputs[0].Text != "1\n" || nb.Cells[1].Outputs[0].ErrorName != "KeyboardInterrupt" || len(nb.Cells[2].Outputs) != 0 {
		t.Errorf("%+v, %v", nb, err)
	}
}

func TestNotebookVerify(t *testing.T) {
	own(t)
	path := notebookFile(t, "x.ipynb", comparing...)
	if _, stderr, status := command(t, "notebook", "verify", path); status != statusTrouble || !strings.Contains(stderr, "has no outputs") {
		t.Errorf("without outputs: status %d, %s", status, stderr)
	}
	if _, stderr, status := command(t, "notebook", "run", path, "-o", path, "-p", "vertices=4"); status != 0 {
		t.Fatal(stderr)
	}
	stdout, stderr, status := command(t, "notebook", "verify", path)
	if status != 0 || !strings.Contains(stdout, "nothing differs") || !strings.Contains(stdout, "numerics version 1") {
		t.Fatalf("status %d: %s%s", status, stdout, stderr)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Another value of one seed, and another number in a printed text.
	text := strings.Replace(string(data), `"91 cells`, `"92 cells`, 1)
	at := strings.Index(text, `"value": 0.`)
	text = text[:at] + `"value": 0.5, "was": 0.` + text[at+len(`"value": 0.`):]
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	stdout, _, status = command(t, "notebook", "verify", path)
	if status != statusDiffers || !strings.Contains(stdout, "value") || !strings.Contains(stdout, "0.5 ") || !strings.Contains(stdout, "line 1, number 1") || strings.Count(stdout, "\n") != 5 {
		t.Errorf("status %d: %s", status, stdout)
	}
	stdout, _, status = command(t, "notebook", "verify", path, "--json")
	var v notebook.Verdict
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || status != statusDiffers || len(v.Differences) != 3 || v.Differences[0].Cell != 3 || v.Differences[1].Cell != 5 {
		t.Errorf("status %d, %v: %s", status, err, stdout)
	}
	if _, stderr, status := command(t, "notebook", "verify", path, "--tolerance", "2"); status != statusTrouble {
		t.Errorf("status %d: %s", status, stderr)
	}
	// Of other numerics: said so, and compared within the tolerance.
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), `"numerics": 1`, `"numerics": 0`)), 0o644); err != nil {
		t.Fatal(err)
	}
	if stdout, _, status := command(t, "notebook", "verify", path); status != 0 || !strings.Contains(stdout, "within 1 % of the larger number: its results are of numerics version 0, this program computes version 1") {
		t.Errorf("status %d: %s", status, stdout)
	}
	// A notebook that fails now and did not then.
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), "vertices = 4", "vertices = 40", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, status := command(t, "notebook", "verify", path); status != statusTrouble || !strings.Contains(stderr, "which it did not in the notebook") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// TestNotebookVerifyRunsSearchesAnew: in a study that goes away, unless one is named.
func TestNotebookVerifyRunsSearchesAnew(t *testing.T) {
	own(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	path := notebookFile(t, "x.ipynb", "found = search(\"random\", nasbench101(max_vertices=4), params(), seeds=range(2), budget=5)\nfound", "wait(found)", "found.selected")
	study := filepath.Join(filepath.Dir(path), ".evalnas")
	if _, stderr, status := command(t, "notebook", "run", path, "-o", path); status != 0 {
		t.Fatal(stderr)
	}
	nb, err := notebook.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := nb.Data("")
	if err != nil || len(data) != 1 || !bytes.Contains(data[0].JSON, []byte(`"devices":["cpu"]`)) {
		t.Errorf("%v, %+v", err, data)
	}
	stdout, stderr, status := command(t, "notebook", "verify", path)
	if status != 0 || !strings.Contains(stdout, "device cpu as here") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	for _, dir := range []string{temp, filepath.Dir(path)} {
		if left, err := filepath.Glob(filepath.Join(dir, ".evalnas-verify-*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
	if err := os.RemoveAll(study); err != nil {
		t.Fatal(err)
	}
	if _, stderr, status := command(t, "notebook", "verify", path, "--study", study); status != 0 {
		t.Errorf("status %d: %s", status, stderr)
	}
	if jobs, err := os.ReadDir(filepath.Join(study, "jobs")); err != nil || len(jobs) != 2 {
		t.Errorf("the named study has %v, %v", jobs, err)
	}
}

// The jobs of a program are the same in the study that verify makes: by configuration and by id,
// which is printed digit by digit, because ids are not compared.
func TestNotebookVerifyKeepsJobsOfPrograms(t *testing.T) {
	own(t)
	path := notebookFile(t, "x.ipynb", "found = search(exec(\"true\"), nasbench101(max_vertices=4), params(), seeds=[1], budget=5)\nwait(found)", `print(" ".join(found.jobs[0].elems()))`, "found.config")
	if _, stderr, status := command(t, "notebook", "run", path, "-o", path); status != 0 {
		t.Fatal(stderr)
	}
	if stdout, stderr, status := command(t, "notebook", "verify", path); status != 0 {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
}

func TestNotebookDiff(t *testing.T) {
	own(t)
	a, b := notebookFile(t, "a.ipynb", comparing...), notebookFile(t, "b.ipynb", comparing...)
	if _, stderr, status := command(t, "notebook", "diff", a, b); status != statusTrouble || !strings.Contains(stderr, "has no outputs") {
		t.Errorf("status %d: %s", status, stderr)
	}
	for path, seeds := range map[string]string{a: "range(3)", b: "range(1, 4)"} {
		if _, stderr, status := command(t, "notebook", "run", path, "-o", path, "-p", "vertices=4", "-p", "seeds="+seeds); status != 0 {
			t.Fatal(stderr)
		}
	}
	if stdout, _, status := command(t, "notebook", "diff", a, a); status != 0 || !strings.Contains(stdout, "6 runs are in both, 6 of them the same; 0 searches") {
		t.Errorf("status %d: %s", status, stdout)
	}
	stdout, _, status := command(t, "notebook", "diff", a, b)
	if status != statusDiffers || strings.Count(stdout, "only in A") != 2 || strings.Count(stdout, "only in B") != 2 || !strings.Contains(stdout, "4 runs are in both, 4 of them the same") {
		t.Errorf("status %d: %s", status, stdout)
	}
	stdout, _, _ = command(t, "notebook", "diff", a, b, "--json")
	var d struct{ Both, Same int }
	if err := json.Unmarshal([]byte(stdout), &d); err != nil || d.Both != 4 {
		t.Errorf("%v: %s", err, stdout)
	}
}

func TestExitStatus(t *testing.T) {
	if got := exitStatus(errors.New("x")); got != 1 {
		t.Errorf("of any error: %d", got)
	}
	if err := trouble(os.ErrNotExist); exitStatus(err) != 2 || !errors.Is(err, os.ErrNotExist) || trouble(nil) != nil {
		t.Errorf("of trouble: %d", exitStatus(err))
	}
}
