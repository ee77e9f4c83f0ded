//go:build !windows

package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"evalnas/nasapi/jobs/slurm"
)

// quietSlurm takes arrays and says nothing more of them than that they wait.
type quietSlurm struct {
	slurm.Client
	submit    func() (string, error)
	submitted []string // scripts
	cancelled []string
}

func (q *quietSlurm) Submit(_ context.Context, script string) (string, error) {
	q.submitted = append(q.submitted, script)
	return q.submit()
}
func (q *quietSlurm) Cancel(_ context.Context, ids ...string) error {
	q.cancelled = append(q.cancelled, ids...)
	return nil
}
func (q *quietSlurm) Find(context.Context, string) (string, error) { return "", nil }

// unattended is a study whose submissions start no runner: the test has the lock.
func unattended(t *testing.T, q *quietSlurm) *Study {
	t.Helper()
	processes(t, 1)
	st := mustOpen(t, t.TempDir())
	st.slurm = q
	lock, err := takeLock(t.Context(), st.Paths.Lock(), lockPatience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lock.release(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// runnerOf is a runner of the study that the test steps by hand.
func runnerOf(t *testing.T, st *Study, q slurm.Client) *runner {
	t.Helper()
	r := newRunner(st, RunnerOptions{Log: io.Discard, Backoff: time.Millisecond}, nil, 1)
	r.arrays = newArrays(r, q, "/bin/true")
	return r
}

func TestWhoSubmitsGivesToSlurm(t *testing.T) {
	q := &quietSlurm{submit: func() (string, error) { return "77", nil }}
	st := unattended(t, q)
	b := Batch{Specs: countSpecs(countConfig{Steps: 1}, seedRange(0, mostTasks+1)...), On: onSlurm(slurm.Options{})}
	h := mustSubmit(t, st, b)
	if len(q.submitted) != 2 {
		t.Fatalf("%d jobs became %d arrays, want 2", mostTasks+1, len(q.submitted))
	}
	tasks := 0
	for _, a := range arraysOf(t, st) {
		list, err := os.ReadFile(a.tasks())
		if err != nil || a.ID != "77" {
			t.Fatalf("%+v: %v", a, err)
		}
		n := len(strings.Fields(string(list)))
		script, err := os.ReadFile(a.script())
		if err != nil || !strings.Contains(string(script), filepath.Join(a.dir, "tasks")) {
			t.Errorf("the script does not read %s (%v)", a.tasks(), err)
		}
		tasks += n
	}
	if tasks != mostTasks+1 {
		t.Errorf("%d tasks of %d jobs", tasks, mostTasks+1)
	}
	r := runnerOf(t, st, q)
	if err := errors.Join(r.arrays.load(), r.readAll()); err != nil {
		t.Fatal(err)
	}
	if len(r.arrays.live) != mostTasks+1 || len(r.arrays.waiting) != 0 {
		t.Errorf("the runner follows %d and submits %d", len(r.arrays.live), len(r.arrays.waiting))
	}
	// The same again joins what waits.
	mustSubmit(t, st, b)
	if len(q.submitted) != 2 {
		t.Error("what waits in SLURM was submitted again")
	}
	for _, j := range h.jobs {
		if s := j.Status(); s.State != Pending {
			t.Fatalf("%+v", s)
		}
	}
}

// TestWhatIsOnItsWayIsLeftAlone has a runner look while sbatch runs, and after who called it
// died.
func TestWhatIsOnItsWayIsLeftAlone(t *testing.T) {
	asked, answer := make(chan bool), make(chan string)
	q := &quietSlurm{submit: func() (string, error) { asked <- true; return <-answer, nil }}
	st := unattended(t, q)
	ended := make(chan error, 1)
	go func() {
		_, err := st.Submit(Batch{Specs: countSpecs(countConfig{Steps: 1}, 1, 2), On: onSlurm(slurm.Options{})})
		ended <- err
	}()
	<-asked
	r := runnerOf(t, st, q)
	eventually(t, "the jobs to be found", func() bool {
		all, err := st.Jobs()
		return err == nil && len(all) == 2 && !slices.ContainsFunc(all, func(j *Job) bool { return st.job(j.ID).Err != nil })
	})
	for range 3 {
		if err := errors.Join(r.arrays.load(), r.readAll()); err != nil {
			t.Fatal(err)
		}
		r.arrays.step(t.Context())
	}
	if len(r.arrays.coming) != 1 || len(r.arrays.live)+len(r.arrays.waiting) != 0 || r.idle() {
		t.Errorf("%d coming, %d followed, %d to submit", len(r.arrays.coming), len(r.arrays.live), len(r.arrays.waiting))
	}
	answer <- "5"
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r.arrays.step(t.Context())
	if len(r.arrays.coming) != 0 || len(r.arrays.live) != 2 {
		t.Errorf("%d coming, %d followed after SLURM's answer", len(r.arrays.coming), len(r.arrays.live))
	}
}

// TestSubmitterDies leaves an array of which nobody knows whether SLURM has it: it does not,
// so the jobs are submitted again.
func TestSubmitterDies(t *testing.T) {
	q := &quietSlurm{submit: func() (string, error) { return "", errors.New("no answer came") }}
	st := unattended(t, q)
	mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 1}, 1, 2), On: onSlurm(slurm.Options{})})
	r := runnerOf(t, st, q)
	if err := errors.Join(r.arrays.load(), r.readAll()); err != nil {
		t.Fatal(err)
	}
	if len(r.arrays.coming) != 1 {
		t.Fatalf("%d arrays are coming", len(r.arrays.coming))
	}
	q.submit = func() (string, error) { return "9", nil }
	eventually(t, "the jobs to be submitted", func() bool {
		r.arrays.step(t.Context())
		select {
		case f := <-r.arrays.results:
			f()
		default:
		}
		return len(r.arrays.live) == 2
	})
	if len(q.submitted) != 2 || len(arraysOf(t, st)) != 1 {
		t.Errorf("%d scripts, %d arrays", len(q.submitted), len(arraysOf(t, st)))
	}
}

// TestTaskIsFasterThanItsFolder has SLURM start a task before who submitted it has made the
// folder of its job.
func TestTaskIsFasterThanItsFolder(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not at hand")
	}
	q := &quietSlurm{}
	st := unattended(t, q)
	q.submit = func() (string, error) { return "5", nil }
	spec := countSpecs(countConfig{Steps: 1}, 1)[0]
	way, err := st.toSlurm(Batch{On: onSlurm(slurm.Options{})}, []string{spec.ID()})
	if err != nil {
		t.Fatal(err)
	}
	task := exec.Command(bash, way.arrays[0].script())
	task.Env = append(os.Environ(), "SLURM_ARRAY_TASK_ID=0", "SLURM_JOB_ID=5")
	var said strings.Builder
	task.Stderr = &said
	if err := task.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	j, err := st.writeSpec(spec, spec.ID(), onSlurm(slurm.Options{}))
	if err = errors.Join(err, way.finish(), task.Wait()); err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if s := j.Status(); s.State != Done {
		t.Errorf("%+v: %s", s, said.String())
	}
}

// longQueue is a SLURM in which all tasks wait until they are cancelled.
type longQueue struct {
	*quietSlurm
	tasks int
}

func (l longQueue) Tasks(context.Context) (map[string]slurm.Task, error) {
	all := map[string]slurm.Task{}
	for i := range l.tasks {
		if id := fmt.Sprintf("77_%d", i); !slices.Contains(l.cancelled, id) {
			all[id] = slurm.Task{State: "PENDING"}
		}
	}
	return all, nil
}

// TestCancelledWithoutARunner: who cancels jobs while no runner is there has their tasks taken
// out of SLURM's queue by the next one.
func TestCancelledWithoutARunner(t *testing.T) {
	q := &quietSlurm{submit: func() (string, error) { return "77", nil }}
	st := unattended(t, q)
	h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 1}, 1, 2, 3), On: onSlurm(slurm.Options{})})
	for _, j := range h.jobs[:2] {
		if err := j.Cancel(); err != nil {
			t.Fatal(err)
		}
	}
	r := runnerOf(t, st, longQueue{q, 3})
	if err := errors.Join(r.arrays.load(), r.readAll()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "SLURM to be told", func() bool {
		r.arrays.step(t.Context())
		select {
		case f := <-r.arrays.results:
			f()
		default:
		}
		return !r.arrays.busy && len(q.cancelled) > 0
	})
	slices.Sort(q.cancelled)
	if want := []string{"77_0", "77_1"}; !slices.Equal(q.cancelled, want) {
		t.Errorf("%v were taken out of the queue, want %v", q.cancelled, want)
	}
}

func TestRefusedAtOnce(t *testing.T) {
	q := &quietSlurm{submit: func() (string, error) { return "", slurm.ErrMissing }}
	st := unattended(t, q)
	h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 1}, 1, 2), On: onSlurm(slurm.Options{})})
	for _, j := range h.jobs {
		if s := j.Status(); s.State != Failed || !strings.Contains(s.Error, "SLURM does not take it") {
			t.Errorf("%+v", s)
		}
	}
	if n := len(arraysOf(t, st)); n != 0 {
		t.Errorf("%d arrays are left", n)
	}
}

// TestFullDiskWhileSubmittingToSlurm fails every single write: SLURM keeps no array of jobs
// that are not there, and the same request succeeds later.
func TestFullDiskWhileSubmittingToSlurm(t *testing.T) {
	for n := 1; ; n++ {
		q := &quietSlurm{submit: func() (string, error) { return "3", nil }}
		st := unattended(t, q)
		d := failing(n, true, syscall.ENOSPC)
		st.disk = d
		b := Batch{Specs: countSpecs(countConfig{Steps: 1}, 1, 2), On: onSlurm(slurm.Options{})}
		_, err := st.Submit(b)
		if d.count < n {
			if err != nil || n < 10 {
				t.Errorf("after %d operations: %v", n-1, err)
			}
			return
		}
		if err == nil || !strings.Contains(err.Error(), "free some space") {
			// SLURM's answer could not be written: the runner finds the array by its name.
			if err != nil || len(q.submitted) != 1 {
				t.Errorf("operation %d: %v", n, err)
			}
		}
		// Jobs that were written are pending; the rest was never made.
		again := mustOpen(t, st.Dir())
		again.slurm = &quietSlurm{submit: func() (string, error) { return "4", nil }}
		h := mustSubmit(t, again, b)
		for _, j := range h.jobs {
			if s := j.Status(); s.State != Pending || j.Err != nil {
				t.Errorf("after operation %d failed: %+v, %v", n, s, j.Err)
			}
		}
		if left, err := filepath.Glob(filepath.Join(st.Paths.Arrays(), ".*.tmp")); err != nil || len(left) > 0 {
			t.Errorf("operation %d left %v (%v)", n, left, err)
		}
	}
}
