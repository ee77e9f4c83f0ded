package commands

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
)

// torchPython is a Python that has PyTorch: Debian's package python3-torch is one for its own.
func torchPython(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import torch, numpy").Run() == nil {
			return python
		}
	}
	t.Skip("PyTorch is not at hand (Debian: apt-get install python3-torch)")
	return ""
}

// The example trains, is killed, goes on, and comes to what it comes to when nobody kills it.
func TestPyTorchTrainer(t *testing.T) {
	if testing.Short() {
		t.Skip("trainings by PyTorch are not at hand in short tests")
	}
	python := torchPython(t)
	n := newNotebook(t)
	t.Setenv(data.FolderVariable, t.TempDir())
	script, err := filepath.Abs("../../examples/pytorch_trainer/train.py")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(n.env.Dir, "train.py"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	n.run(`mine = exec("` + python + ` train.py")`)
	call := `train(genotype("DARTS_V2"), synthetic(train=96, test=32, side=8), trainer=mine, epochs=3, batch=16, channels=4, cells=3, cutout=4, auxiliary=False, valid=0.25`
	n.run("whole = " + call + ")\nwait(whole)")
	if got := n.value(`[whole.errors, whole.results[0]["state"]]`); got != `[[], "done"]` {
		t.Fatal(got)
	}
	outcome := `[[(p["epoch"], p["metrics"]) for p in f.curves[0]], f.results[0]["valid"], f.results[0]["test"], f.results[0]["params"], f.errors]`
	want := n.value("f = whole\n" + outcome)
	n.run("f = " + call + ", fresh=True)")
	j := n.lastBatch().Jobs()[0]
	before := j.Status().Attempt
	until(t, "the first epoch", func() bool {
		_, err := os.Stat(filepath.Join(j.Paths.Files(), "checkpoint"))
		return err == nil && j.Status().State == jobs.Running || j.Status().State == jobs.Done && j.Status().Attempt > 1
	})
	_ = syscall.Kill(j.Status().PID, syscall.SIGKILL) // it may have ended
	n.run("wait(f)")
	if got := n.value(outcome); got != want {
		t.Errorf("killed and resumed: %s\nin one piece: %s", got, want)
	}
	if j.Status().Attempt <= before {
		t.Errorf("the training ended before it could be killed, in attempt %d", j.Status().Attempt)
	}
	for keyword, says := range map[string]string{"bacth=3": "has no parameter bacth", "rate=1e30": "the loss is"} {
		n.run("bad = " + strings.Replace(call, "valid=0.25", "valid=0.25, "+keyword, 1) + ")\nwait(bad)")
		if got := n.value(`bad.errors[0]`); !strings.Contains(got, says) {
			t.Errorf("%s: %s does not say %q", keyword, got, says)
		}
	}
}
