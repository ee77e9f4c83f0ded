//go:build !windows

package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"testing"
	"time"

	"evalnas/nasapi/jobs/slurm"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

// slurmStudy is a study whose jobs go to the SLURM of this machine.
func slurmStudy(t *testing.T) (st *Study, node string) {
	t.Helper()
	node = slurmtest.Setup(t)
	processes(t, 2)
	return studyIn(t), node
}

func onSlurm(o slurm.Options) Place { return Place{Slurm: &o} }

// arraysOf reads the arrays that a study has given to SLURM.
func arraysOf(t *testing.T, st *Study) []array {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(st.Paths.Arrays(), "*", "array.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []array
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		a := array{dir: filepath.Dir(file)}
		if err := json.Unmarshal(data, &a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// submittedTo waits until SLURM has one array of the study.
func submittedTo(t *testing.T, st *Study) array {
	t.Helper()
	var found array
	eventually(t, "an array", func() bool {
		for _, a := range arraysOf(t, st) {
			if a.ID != "" {
				found = a
				return true
			}
		}
		return false
	})
	return found
}

func scancel(t *testing.T, ids ...string) {
	t.Helper()
	if err := (slurm.Commands{}).Cancel(t.Context(), ids...); err != nil {
		t.Fatal(err)
	}
}

func TestSlurmRunsABatchAsOneArray(t *testing.T) {
	st, _ := slurmStudy(t)
	trace := filepath.Join(st.Dir(), "trace")
	h := mustSubmit(t, st, Batch{Title: "ten", Specs: countSpecs(countConfig{Steps: 3, Trace: trace}, seedRange(1, 10)...), On: onSlurm(slurm.Options{Parallel: 2, CPUs: 1, Setup: []string{"export OF_SETUP=1"}})})
	mustWait(t, h)
	wantCounts(t, h, 3)
	if n := len(starts(t, trace)); n != 10 {
		t.Errorf("%d starts of 10 jobs", n)
	}
	all := arraysOf(t, st)
	if len(all) != 1 {
		t.Fatalf("%d arrays", len(all))
	}
	script, err := os.ReadFile(all[0].script())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--array=0-9%2", "--requeue", "--cpus-per-task=1", "export OF_SETUP=1"} {
		if !strings.Contains(string(script), want) {
			t.Errorf("the script does not say %s:\n%s", want, script)
		}
	}
	eventually(t, "the array to be closed and the runner to leave", func() bool {
		held, err := isHeld(st.Paths.Lock())
		return err == nil && !held && arraysOf(t, st)[0].Closed
	})
}

func TestSlurmRefusesAPartition(t *testing.T) {
	st, _ := slurmStudy(t)
	h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 1}, 1, 2), On: onSlurm(slurm.Options{Partition: "nowhere"})})
	mustWait(t, h)
	for _, j := range h.Jobs() {
		if s := j.Status(); s.State != Failed || !strings.Contains(s.Error, "invalid partition specified: nowhere") {
			t.Errorf("%s: %s", s.State, s.Error)
		}
	}
}

func TestScancelBehindOurBack(t *testing.T) {
	st, _ := slurmStudy(t)
	b, _, open := gated(t, 1, 2, 3)
	b.On = onSlurm(slurm.Options{Parallel: 1})
	h := mustSubmit(t, st, b)
	a := submittedTo(t, st)
	someRunning(t, 1, h.jobs[:1])
	scancel(t, a.ID+"_2") // waits
	scancel(t, a.ID+"_0") // runs
	eventually(t, "both to be cancelled", func() bool {
		return h.jobs[0].Status().State == Cancelled && h.jobs[2].Status().State == Cancelled
	})
	if s := h.jobs[2].Status(); !strings.Contains(s.Error, "cancelled in SLURM") {
		t.Errorf("why: %q", s.Error)
	}
	open()
	mustWait(t, h)
	if s := h.jobs[1].Status(); s.State != Done {
		t.Errorf("the third is %s: %s", s.State, s.Error)
	}
	// What was cancelled runs when it is asked for again.
	again := mustSubmit(t, st, b)
	mustWait(t, again)
	wantCounts(t, again, 4)
}

// TestHoldInSlurm: the task of a held job keeps its place in SLURM's queue, and goes on in it.
func TestHoldInSlurm(t *testing.T) {
	st, _ := slurmStudy(t)
	b, trace, open := gated(t, 1, 2)
	b.On = onSlurm(slurm.Options{Parallel: 1})
	h := mustSubmit(t, st, b)
	a := submittedTo(t, st)
	untilStarted(t, trace, 1)
	if err := h.Hold(); err != nil {
		t.Fatal(err)
	}
	held := func() bool {
		tasks, err := slurm.Commands{}.Tasks(t.Context())
		return err == nil && tasks[a.ID+"_1"].Held()
	}
	eventually(t, "SLURM to hold the second", held)
	open()
	eventually(t, "the first to be done", func() bool { return h.jobs[0].Status().State == Done })
	killRunner(t, st) // the next one knows what is held for us
	if s := h.jobs[1].Status(); s.State != Pending || !s.Held || len(starts(t, trace)) != 1 || !held() {
		t.Errorf("the held one is %+v", s)
	}
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	mustWait(t, h)
	wantCounts(t, h, 4)
	if n := len(arraysOf(t, st)); n != 1 {
		t.Errorf("%d arrays", n)
	}
}

// TestHeldTaskThatStarts: a task that SLURM starts before it hears of a hold does nothing;
// released, its job is submitted again.
func TestHeldTaskThatStarts(t *testing.T) {
	fake := fakeSite(t)
	fake.fake.Drain("drained")
	b, trace, open := gated(t, 1)
	h := fake.submit(t, b)
	fake.task(t, h.jobs[0], "PENDING")
	fake.stop() // nobody tells SLURM
	if err := h.Hold(); err != nil {
		t.Fatal(err)
	}
	fake.fake.Drain("")
	eventually(t, "the task to end", func() bool {
		tasks, err := fake.client.Tasks(t.Context())
		return err == nil && !slices.ContainsFunc(slices.Collect(maps.Values(tasks)), slurm.Task.Alive)
	})
	fake.resume()
	open()
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	mustWait(t, h)
	wantCounts(t, h, 4)
	wantStarts(t, trace, 1)
}

func TestSlurmRequeuesATask(t *testing.T) {
	st, _ := slurmStudy(t)
	b, trace, open := gated(t, 5)
	b.On = onSlurm(slurm.Options{})
	h := mustSubmit(t, st, b)
	a := submittedTo(t, st)
	someRunning(t, 1, h.jobs)
	if err := (slurm.Commands{}).Requeue(t.Context(), a.ID+"_0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the interruption", func() bool { return h.jobs[0].Status().State == Preempted })
	open()
	// SLURM holds what it requeues back for two minutes: this is asked for at once.
	eventually(t, "the task to wait again", func() bool {
		tasks, err := slurm.Commands{}.Tasks(t.Context())
		return err == nil && tasks[a.ID+"_0"].State == "PENDING" && tasks[a.ID+"_0"].Reason == "BeginTime" &&
			exec.Command("scontrol", "update", "JobId="+a.ID+"_0", "StartTime=now").Run() == nil
	})
	ctx, stop := context.WithTimeout(t.Context(), 150*time.Second)
	defer stop()
	if err := h.Wait(ctx); err != nil {
		t.Fatal(err, tail(st.Paths.RunnerLog(), 4096))
	}
	wantCounts(t, h, 4)
	if n := len(starts(t, trace)); n != 2 {
		t.Errorf("%d starts", n)
	}
}

func TestControllerIsRestarted(t *testing.T) {
	st, node := slurmStudy(t)
	b, trace, open := gated(t, 1, 2, 3)
	b.On = onSlurm(slurm.Options{Parallel: 2})
	h := mustSubmit(t, st, b)
	submittedTo(t, st)
	someRunning(t, 2, h.jobs)
	slurmtest.Control(t, node, "stop")
	time.Sleep(1500 * time.Millisecond) // long enough for the runner to ask in vain
	slurmtest.Control(t, node, "start")
	open()
	mustWait(t, h)
	wantCounts(t, h, 4)
	if n := len(starts(t, trace)); n != 3 {
		t.Errorf("%d starts of 3 jobs", n)
	}
}

func TestNoSlurmHere(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	t.Setenv("PATH", t.TempDir())
	h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 1}, 1), On: onSlurm(slurm.Options{})})
	mustWait(t, h)
	if s := h.jobs[0].Status(); s.State != Failed || !strings.Contains(s.Error, "no sbatch on the PATH") {
		t.Errorf("%s: %s", s.State, s.Error)
	}
	local := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 1}, 1)})
	mustWait(t, local)
	wantCounts(t, local, 1)
}

// TestRunnerLeavesASlurmThatIsGone: a runner that can ask nobody does not wait for what
// has ended, nor for a study that was removed.
func TestRunnerLeavesASlurmThatIsGone(t *testing.T) {
	for _, removed := range []bool{false, true} {
		st := mustOpen(t, t.TempDir())
		r := newRunner(st, RunnerOptions{Log: t.Output()}, nil, 1)
		r.arrays = newArrays(r, nil, "")
		var all []*Job
		for _, spec := range countSpecs(countConfig{Steps: 1}, 1, 2) {
			j, err := st.writeSpec(spec, spec.ID(), Place{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, j)
		}
		a, err := r.arrays.prepare(slurm.Options{}, all)
		if err != nil {
			t.Fatal(err)
		}
		for i, j := range all {
			r.arrays.follow(j, a, i, 0)
		}
		if err := all[0].Cancel(); err != nil {
			t.Fatal(err)
		}
		r.arrays.outOfReach(errors.New("no answer"))
		if r.arrays.has(all[0].ID) || !r.arrays.has(all[1].ID) {
			t.Error("of two jobs not the cancelled one alone was let go")
		}
		if removed {
			if err := os.RemoveAll(st.Dir()); err != nil {
				t.Fatal(err)
			}
		} else if err := all[1].Cancel(); err != nil {
			t.Fatal(err)
		}
		r.arrays.outOfReach(errors.New("no answer"))
		if !r.idle() {
			t.Errorf("the runner stays, study removed %v", removed)
		}
		if _, err := os.Stat(st.Dir()); removed && !os.IsNotExist(err) {
			t.Error("the removed study came back")
		}
	}
}

// TestTimeLimitInSlurm meets a time limit: the job saves itself, goes back to SLURM's queue
// and goes on. SLURM's shortest limit is a minute, and it holds requeued jobs back.
func TestTimeLimitInSlurm(t *testing.T) {
	if os.Getenv("EVALNAS_TORTURE") == "" {
		t.Skip("takes minutes: EVALNAS_TORTURE=1 runs it")
	}
	st, _ := slurmStudy(t)
	b, trace, open := gated(t, 1)
	b.On = onSlurm(slurm.Options{Time: "1"})
	h := mustSubmit(t, st, b)
	ctx, stop := context.WithTimeout(t.Context(), 6*time.Minute)
	defer stop()
	for len(starts(t, trace)) < 2 {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			t.Fatal("it was not started again: ", h.jobs[0].Status(), tail(st.Paths.RunnerLog(), 4096))
		}
	}
	open()
	if err := h.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, h, 4)
}
