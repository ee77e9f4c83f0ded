package commands

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/jobs/slurm"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

// newTrainerNotebook has a trainer beside it, mine.
func newTrainerNotebook(t *testing.T) *notebook {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not at hand")
	}
	n := newNotebook(t)
	t.Setenv(data.FolderVariable, t.TempDir())
	text, err := os.ReadFile("testdata/trainer.py")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(n.env.Dir, "trainer.py"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	n.run(`mine = exec("python3 trainer.py", silence=60)`)
	return n
}

// lastJob is the first job of the newest batch.
func (n *notebook) lastJob() *jobs.Job {
	n.t.Helper()
	return n.lastBatch().Jobs()[0]
}

// until waits for something that processes bring about.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(50 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s has not come", what)
		}
	}
}

func TestTrainersOfOnesOwn(t *testing.T) {
	n := newTrainerNotebook(t)
	n.run(`space = darts_space()`)
	call := `train(sample_random(space, seeds=[1, 2]), synthetic(train=64, test=16, side=8), trainer=mine, epochs=3, loads=True, channels=4, cells=3)`
	_, out := n.run("finals = " + call)
	if text := out.text(); !strings.Contains(text, "2 networks by python3 trainer.py: how long one takes is known when the first") {
		t.Errorf("it says %s", text)
	}
	_, out = n.run("wait(finals)")
	if got := n.value(`[r["state"] for r in finals.results]`); got != `["done", "done"]` {
		t.Fatalf("%s: %s", got, n.value(`finals.errors`))
	}
	for _, want := range []string{"training on synthetic, python3 trainer.py, cells 3, channels 4, epochs 3", "3 of 3", "123", "SYNTHETIC"} {
		if text := out.text(); !strings.Contains(text, want) {
			t.Errorf("the table does not say %q: %s", want, text)
		}
	}
	for expr, want := range map[string]string{
		`[r["params"] for r in finals.results]`:                                     "[123, 123]",
		`[0 <= r["valid"] and r["test"] == r["valid"] / 4 for r in finals.results]`: "[True, True]",
		`[[p["epoch"] for p in c] for c in finals.curves]`:                          "[[1, 2, 3], [1, 2, 3]]",
		`finals.curves[0][2]["valid_accuracy"] == finals.results[0]["valid"]`:       "True",
		`finals.curves[0][0]["metrics"]["loss"] > 0`:                                "True",
		`finals.config["parameters"]["epochs"]`:                                     "3",
		`finals.provenance[0]["device"][:14]`:                                       `"trainer on cpu"`,
		`(` + call + `) == finals`:                                                  "True",
		`attach()[0] == finals`:                                                     "True",
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s is %s, want %s", expr, got, want)
		}
	}
	_, out = n.run("compare(finals)")
	for _, want := range []string{"sample_random", "test accuracy after training from scratch", "python3 trainer.py", "no ranks"} {
		if text := out.text(); !strings.Contains(text, want) {
			t.Errorf("the comparison does not say %q:\n%s", want, text)
		}
	}
	n.run(`compare(finals, by="valid")
finals.tensorboard("runs")`)
	_, out = n.run(strings.Replace(call, "seeds=[1, 2]", "seeds=[1, 2, 3]", 1))
	if text := out.text(); !strings.Contains(text, "as 2 networks took that ended before; 2 are trained already") {
		t.Errorf("it says %s", text)
	}
	// Whose file was changed is another trainer, and what waits of the old one is refused.
	n.run(`wait(attach())`)
}

// What a trainer does wrong is told in the table, and nothing of it stays.
func TestTrainersThatFail(t *testing.T) {
	n := newTrainerNotebook(t)
	pids := filepath.Join(n.env.Dir, "pids")
	n.run(`space = nasbench101(max_vertices=4)
quick = exec("python3 trainer.py", silence=1.5)
def one(mode, p=mine): return train(space[7], None, trainer=p, mode=mode, pids="` + pids + `")
bad = [one("crash"), one("lie"), one("hang", quick), train(space[7], None, trainer=exec("sh -c garbage")), one("fork")]
wait(bad)`)
	for i, want := range []string{
		"ZeroDivisionError: division by zero", "shares of images, 0 to 1", "has said nothing for 1.5s", "exit status 127", "",
	} {
		got := n.value(fmt.Sprintf(`(bad[%d].errors or [""])[0]`, i))
		if !strings.Contains(got, want) || want == "" && got != `""` {
			t.Errorf("trainer %d: %s does not say %q", i, got, want)
		}
	}
	if got := n.value(`bad[0].errors[0]`); !strings.Contains(got, "python3 trainer.py ended with exit status 1") || !strings.Contains(got, "about to divide") {
		t.Errorf("a crash is told as %s", got)
	}
	text, err := os.ReadFile(pids)
	if pid, aerr := strconv.Atoi(string(text)); err != nil || aerr != nil || syscall.Kill(pid, 0) == nil {
		t.Errorf("process %s is there still (%v, %v)", text, err, aerr)
	}
	// Asked for again, what failed is tried again.
	n.run(`again = one("crash")
wait(again)`)
	first, err := n.lastBatch().Study().Jobs()
	if err != nil || !slices.ContainsFunc(first, func(j *jobs.Job) bool { return j.Status().Attempt == 2 }) {
		t.Errorf("no job was tried again: %v", err)
	}
	for code, want := range map[string]string{
		`train(space[7], None, trainer=3)`:                                                      "trainer is int",
		`train(space[7], None, trainer=mine, epochs=0)`:                                         "epochs is 0",
		`train(space[7], None, trainer=mine, show_test=True)`:                                   "show_test is for training without trainer=",
		`train(space[7], 3, trainer=mine)`:                                                      "data is int",
		`train(space[7], "no-such-set", trainer=mine)`:                                          "no-such-set",
		`train(space[7], None, trainer=exec("python3 trainer.py", gpus=1))`:                     "gpus=1: this machine offers 0",
		`train(space[7], None)`:                                                                 "data is NoneType",
		`search("random", space, trained(None, trainer=mine), seeds=[1])`:                       "missing argument budget: the number of trainings",
		`search("random", space, trained(None), seeds=[1], budget=2)`:                           "data is NoneType",
		`trained(None, trainer=mine, metric="")`:                                                "metric is empty",
		`search("spos", space, trained(None, trainer=mine), seeds=[1], budget=2)`:               "shared_weights",
		`search("random", space, trained(None, trainer=mine), seeds=[1], budget=2, seconds=5)`:  "not by a virtual clock",
		`search("successive_halving", space, trained(None, trainer=mine), seeds=[1], budget=2)`: "which only tables know",
	} {
		if _, _, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", code, err, want)
		}
	}
}

// A worker that is killed is followed by one that goes on from the program's checkpoint, and so
// is one that is told to stop; both come to the result of a training that nobody stopped.
func TestTrainersGoOn(t *testing.T) {
	n := newTrainerNotebook(t)
	gate, log := filepath.Join(n.env.Dir, "gate"), filepath.Join(n.env.Dir, "log")
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	call := fmt.Sprintf(`train(nasbench101(max_vertices=4)[9], None, trainer=mine, epochs=4, gate=%q, log=%q`, gate, log)
	n.run("whole = " + call + ")\nwait(whole)")
	outcome := func() (text string) {
		return n.value(`[[(p["epoch"], p["metrics"]) for p in now.curves[0]], now.results[0]["valid"], now.results[0]["test"], now.errors]`)
	}
	n.run("now = whole")
	want := outcome()
	if !strings.Contains(want, "(4,") {
		t.Fatal(want)
	}
	for name, end := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "told to stop": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			if err := os.Remove(gate); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(log, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			n.run("now = " + call + ", fresh=True)")
			j := n.lastJob()
			until(t, "the checkpoint", func() bool {
				s := j.Status()
				_, err := os.Stat(filepath.Join(j.Paths.Files(), "checkpoint"))
				e, _ := s.Values["epoch"].(float64)
				return err == nil && e == 2 && s.State == jobs.Running
			})
			if err := syscall.Kill(j.Status().PID, end); err != nil {
				t.Fatal(err)
			}
			until(t, "the next attempt", func() bool {
				text, err := os.ReadFile(log)
				return err == nil && strings.Count(string(text), "\n") == 2
			})
			if err := os.WriteFile(gate, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			n.run("wait(now)")
			if got := outcome(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if text, err := os.ReadFile(log); err != nil || !strings.HasSuffix(string(text), "True\n") {
				t.Errorf("it was told %s, %v", text, err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		if err := os.Remove(gate); err != nil {
			t.Fatal(err)
		}
		n.run("now = " + call + ", fresh=True)")
		j := n.lastJob()
		until(t, "the second epoch", func() bool { e, _ := j.Status().Values["epoch"].(float64); return e == 2 })
		n.run("cancel(now)\nwait(now)")
		if s := j.Status(); s.State != jobs.Cancelled {
			t.Errorf("it is %s", s.State)
		}
	})
}

// On SLURM a trainer is requeued, or cancelled and asked for again, and comes to what it comes to
// here.
func TestTrainerOnSlurm(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of SLURM is not at hand in short tests")
	}
	slurmtest.Setup(t)
	n := newTrainerNotebook(t)
	gate, log := filepath.Join(n.env.Dir, "gate"), filepath.Join(n.env.Dir, "log")
	call := fmt.Sprintf(`train(nasbench101(max_vertices=4)[9], None, trainer=mine, epochs=4, gate=%q, log=%q`, gate, log)
	const outcome = `[[(p["epoch"], p["metrics"]) for p in now.curves[0]], now.results[0]["valid"], now.results[0]["test"], now.errors, now.results[0]["state"]]`
	open := func() {
		t.Helper()
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open()
	n.run("now = " + call + ")\nwait(now)")
	want := n.value(outcome)
	for name, stop := range map[string]func(t *testing.T, j *jobs.Job){
		"requeued": func(t *testing.T, j *jobs.Job) {
			task := j.Status().Task
			if err := (slurm.Commands{}).Requeue(t.Context(), task); err != nil {
				t.Fatal(err)
			}
			until(t, "the interruption", func() bool { return j.Status().State == jobs.Checkpointed })
			// SLURM holds what it requeues back for two minutes: this is asked for at once.
			until(t, "the task to wait again", func() bool {
				tasks, err := slurm.Commands{}.Tasks(t.Context())
				return err == nil && tasks[task].State == "PENDING" && tasks[task].Reason == "BeginTime" &&
					exec.Command("scontrol", "update", "JobId="+task, "StartTime=now").Run() == nil
			})
		},
		"cancelled": func(t *testing.T, j *jobs.Job) {
			n.run("cancel(now)\nwait(now)")
			if s := j.Status(); s.State != jobs.Cancelled {
				t.Fatalf("it is %s", s.State)
			}
			n.run("now = " + call + ", on=slurm(cpus=1))")
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(os.Remove(gate), os.WriteFile(log, nil, 0o644)); err != nil {
				t.Fatal(err)
			}
			n.run("now = " + call + ", on=slurm(cpus=1), fresh=True)")
			j := n.lastJob()
			until(t, "the second epoch", func() bool {
				e, _ := j.Status().Values["epoch"].(float64)
				_, err := os.Stat(filepath.Join(j.Paths.Files(), "checkpoint"))
				return e == 2 && err == nil
			})
			stop(t, j)
			open()
			n.run("wait(now)")
			if got := n.value(outcome); got != want {
				t.Errorf("SLURM came to %s\nthis machine to  %s", got, want)
			}
			if text, err := os.ReadFile(log); err != nil || strings.Count(string(text), "\n") != 2 || !strings.HasSuffix(string(text), "True\n") {
				t.Errorf("it was told %s, %v", text, err)
			}
		})
	}
}

func TestTrainersInACell(t *testing.T) {
	n := newTrainerNotebook(t)
	_, out := n.run(`train(nasbench101(max_vertices=4)[9], None, trainer=mine, epochs=4, debug=True)`)
	for _, want := range []string{"debug: ", "epoch 1", "checkpoint written", "valid accuracy"} {
		if text := out.text(); !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %s", want, text)
		}
	}
	if strings.Contains(out.text(), "epoch 2") {
		t.Errorf("it trains for long: %s", out.text())
	}
	_, out, err := n.try(`train(nasbench101(max_vertices=4)[9], None, trainer=mine, mode="crash", debug=True)`)
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(out.text(), "ZeroDivisionError") {
		t.Errorf("%v: %s", err, out.text())
	}
	_, out = n.run(`search("random", nasbench101(max_vertices=4), trained(None, trainer=mine, epochs=1), seeds=[1], budget=9, debug=True)`)
	if text := out.text(); !strings.Contains(text, "REDUCED: 2 of 9") || !strings.Contains(text, "evaluation 2 of 2") {
		t.Errorf("it says %s", text)
	}
}

// A program that was changed after its job was asked for is not run.
func TestChangedTrainers(t *testing.T) {
	n := newTrainerNotebook(t)
	gate := filepath.Join(n.env.Dir, "gate")
	n.run(fmt.Sprintf(`t = train(nasbench101(max_vertices=4)[9], None, trainer=mine, gate=%q, mode="crash")
wait(t)`, gate))
	f, err := os.OpenFile(filepath.Join(n.env.Dir, "trainer.py"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("# changed\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	n.run(fmt.Sprintf(`t = train(nasbench101(max_vertices=4)[9], None, trainer=mine, gate=%q, mode="crash")
wait(t)`, gate))
	if got := n.value(`t.errors[0]`); !strings.Contains(got, "trainer.py was changed after the job was asked for") {
		t.Errorf("it says %s", got)
	}
	if got := n.value(`train(nasbench101(max_vertices=4)[9], None, trainer=exec("python3 trainer.py"), mode="crash") == t`); got != "False" {
		t.Error("a changed program is the same job")
	}
	n.run(`wait(attach())`)
}

// Trainings as an objective: each architecture once, and a killed search is the one that nobody
// killed.
func TestTrainedAsObjective(t *testing.T) {
	notShort(t)
	n := newTrainerNotebook(t)
	gate, log := filepath.Join(n.env.Dir, "gate"), filepath.Join(n.env.Dir, "log")
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	n.run(fmt.Sprintf(`w = trained(None, trainer=mine, epochs=2, log=%q)`, log))
	calls := map[string]string{
		"random":    `search("random", nasbench101(max_vertices=4), w, seeds=[3], budget=6`,
		"evolution": `search("evolution", nasbench101(max_vertices=4), w, seeds=[3], budget=14, population=4, tournament=2`,
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(log, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			n.run("s = " + call + ")\nwait(s)")
			want := n.value(`[s.traces, s.values, s.errors, [a.hash for a in s.selected]]`)
			hashes := trainedHashes(t, log)
			if got := slices.Compact(slices.Sorted(slices.Values(hashes))); len(got) != len(hashes) || len(got) == 0 || name == "evolution" && len(got) > 14 {
				t.Errorf("%d trainings of %d architectures", len(hashes), len(got))
			}
			n.run("s = " + call + ", fresh=True)")
			j := n.lastJob()
			until(t, "some trainings", func() bool {
				events, _, err := j.Events(0)
				count := 0
				for _, e := range events {
					if e.Kind == "training" {
						count++
					}
				}
				return err == nil && count >= 3+len(hashes) && j.Status().State == jobs.Running || j.Status().State == jobs.Done && j.Status().Attempt > 1
			})
			_ = syscall.Kill(j.Status().PID, syscall.SIGKILL) // it may have ended
			n.run("wait(s)")
			if got := n.value(`[s.traces, s.values, s.errors, [a.hash for a in s.selected]]`); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			// What had been trained before the kill was not trained again, but for one.
			if again := trainedHashes(t, log)[len(hashes):]; len(again) > len(hashes)+1 {
				t.Errorf("%d trainings of %d architectures after a kill", len(again), len(hashes))
			}
		})
	}
	n.run(`o = search("random", nasbench101(max_vertices=4), trained(None, trainer=mine, metric="test", seed=5), seeds=[3], budget=2)`)
	_, out := n.run("wait(o)")
	if text := out.text(); !strings.Contains(text, "ORACLE") {
		t.Errorf("a search by test accuracy does not say so: %s", text)
	}
	n.run(`p = search("random", nasbench101(max_vertices=4), trained(None, trainer=mine, metric="top5"), seeds=[3], budget=2)
wait(p)`)
	if got := n.value(`p.errors[3]`); !strings.Contains(got, `without \"top5\", which is asked for`) {
		t.Errorf("a metric that is not there: %s", got)
	}
	n.run(`e = search("random", nasbench101(max_vertices=4), trained(synthetic(train=64, test=16, side=8), ` + small + `, pad=1), seeds=[3], budget=2)
wait(e)`)
	if got := n.value(`[e.errors, e.values[3] >= 0]`); got != "[{}, True]" {
		t.Errorf("with our own engine: %s", got)
	}
	n.run(`compare(s, sample_random(nasbench101(max_vertices=4), seeds=[3]), by=nasbench101_table().metric("test"))`)
}

// trainedHashes are the architectures that a trainer was told, in order.
func trainedHashes(t *testing.T, log string) []string {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for line := range strings.Lines(string(text)) {
		hashes = append(hashes, strings.Fields(line)[0])
	}
	return hashes
}
