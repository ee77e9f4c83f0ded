package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leftBehind writes a file that looks as if its writer died long ago.
func leftBehind(t *testing.T, path string) string {
	t.Helper()
	write(t, path, "half")
	long := time.Now().Add(-2 * leftAlone)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	return path
}

func anArray(t *testing.T, st *Study, name string, closed bool, jobs ...string) string {
	t.Helper()
	a := array{Schema: 1, Name: name, ID: "12", Closed: closed, dir: filepath.Join(st.Paths.Arrays(), name)}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	write(t, a.file(), string(text))
	write(t, a.tasks(), strings.Join(jobs, "\n")+"\n")
	return a.dir
}

// untidy is a study with jobs in every state and with what dead processes left.
type untidy struct {
	st                                        *Study
	done, failed, cancelled, pending, running *Job
	leftovers, kept                           []string
	end                                       func()
}

func newUntidy(t *testing.T) untidy {
	t.Helper()
	gate := filepath.Join(t.TempDir(), "gate")
	specs := append(countSpecs(countConfig{Steps: 1, Mode: "save"}, 1), countSpecs(countConfig{Mode: "error"}, 2)...)
	specs = append(specs, countSpecs(countConfig{Steps: 1}, 3, 4)...)
	specs = append(specs, countSpecs(countConfig{Steps: 1, Gate: gate}, 5)...)
	st, all, err := submitted(t, osDisk{}, t.TempDir(), specs)
	if err != nil {
		t.Fatal(err)
	}
	u := untidy{st: st, done: all[0], failed: all[1], cancelled: all[2], pending: all[3], running: all[4]}
	for _, j := range all[:2] {
		if err := (Worker{Handlers: testHandlers}).Run(t.Context(), j.Paths.Dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.cancelled.Cancel(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- Worker{Handlers: testHandlers}.Run(context.WithoutCancel(t.Context()), u.running.Paths.Dir)
	}()
	eventually(t, "the job to run", func() bool { return u.running.Status().State == Running })
	u.end = func() {
		t.Helper()
		write(t, gate, "")
		if err := <-ended; err != nil || u.running.Status().State != Done {
			t.Errorf("the running job: %v, %+v", err, u.running.Status())
		}
	}
	u.leftovers = []string{
		leftBehind(t, filepath.Join(u.done.Paths.Dir, ".result.json.12-1.tmp")), leftBehind(t, filepath.Join(st.Dir(), ".study.json.12-1.tmp")),
		leftBehind(t, filepath.Join(st.Dir(), ".probe-12")), leftBehind(t, filepath.Join(st.Paths.Batches(), ".b.json.12-3.tmp")),
		anArray(t, st, "a-gone", true, strings.Repeat("0", 20)), filepath.Join(st.Paths.Jobs(), removedPrefix+"x-1"),
	}
	write(t, filepath.Join(u.leftovers[5], "job.json"), "{}")
	if err := st.keepBatch(&BatchHandle{Title: "gone", study: st, seeds: []int64{1}}, []string{strings.Repeat("0", 20)}); err != nil {
		t.Fatal(err)
	}
	if err := st.keepBatch(&BatchHandle{Title: "of the failed", study: st, seeds: []int64{2}}, jobIDs(all[1:2])); err != nil {
		t.Fatal(err)
	}
	u.kept = []string{
		leftBehind(t, filepath.Join(u.running.Paths.Dir, ".checkpoint.12-1.tmp")), leftBehind(t, filepath.Join(u.pending.Paths.Dir, ".job.json.12-1.tmp")),
		anArray(t, st, "b-open", false, u.done.ID), u.running.Paths.Dir, u.pending.Paths.Dir, u.done.Paths.Result(),
	}
	fresh := filepath.Join(u.done.Paths.Dir, ".fresh.12-2.tmp")
	write(t, fresh, "being written")
	u.kept = append(u.kept, fresh)
	return u
}

func (u untidy) sweep(t *testing.T, older time.Duration, kinds ...GarbageKind) []Garbage {
	t.Helper()
	found, err := u.st.Garbage()
	if err != nil {
		t.Fatal(err)
	}
	removed, err := u.st.Sweep(Choose(found, kinds, older))
	if err != nil {
		t.Fatal(err)
	}
	return removed
}

func TestSweepRemovesWhatIsAskedForAlone(t *testing.T) {
	u := newUntidy(t)
	closed := anArray(t, u.st, "c-closed", true, u.done.ID)
	ended := []string{u.failed.Paths.Dir, u.cancelled.Paths.Dir, u.done.Paths.Checkpoint(), closed}
	want := func(there bool, paths ...string) {
		t.Helper()
		for _, path := range paths {
			if exists(path) != there {
				t.Errorf("%s is there: %v, want %v", path, !there, there)
			}
		}
	}
	found, err := u.st.Garbage()
	if err != nil || len(found) < 10 {
		t.Fatal(len(found), err)
	}
	want(true, append(append(u.leftovers, u.kept...), ended...)...)

	removed := u.sweep(t, 0)
	want(false, u.leftovers...)
	want(true, append(u.kept, ended...)...)
	if len(removed) != len(u.leftovers)+1 { // and the batch
		t.Errorf("removed %d: %+v", len(removed), removed)
	}
	if removed := u.sweep(t, time.Hour, GarbageKinds()...); len(removed) != 0 {
		t.Errorf("what has just ended was removed: %+v", removed)
	}
	u.sweep(t, 0, OldCheckpoints)
	want(false, u.done.Paths.Checkpoint())
	u.sweep(t, 0, FailedJobs)
	want(false, u.failed.Paths.Dir)
	want(true, u.cancelled.Paths.Dir, closed)
	batches, err := u.st.Batches()
	if err != nil || slices.ContainsFunc(batches, func(b *BatchHandle) bool { return b.Title != "" && !b.hasJobs() }) {
		t.Errorf("batches without jobs are there: %v, %v", batches, err)
	}
	u.sweep(t, 0, CancelledJobs, ClosedArrays)
	want(false, u.cancelled.Paths.Dir, closed)
	want(true, u.kept...)
	u.sweep(t, 0, DoneJobs)
	want(false, u.done.Paths.Dir)
	want(true, u.running.Paths.Dir, u.pending.Paths.Dir)
	u.end()
	if s := u.pending.Status(); s.State != Pending {
		t.Errorf("the pending job is %+v", s)
	}
	if left, err := filepath.Glob(filepath.Join(u.st.Paths.Jobs(), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

func TestWholeFoldersAreCountedOnce(t *testing.T) {
	u := newUntidy(t)
	defer u.end()
	found, err := u.st.Garbage()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range Choose(found, GarbageKinds(), 0) {
		if g.Job == u.done && g.Kind != DoneJobs {
			t.Errorf("%s is listed beside its folder", g.Path)
		}
		if g.Job == u.running || g.Job == u.pending {
			t.Errorf("%s of a job that has not ended is listed", g.Path)
		}
	}
}

// TestAJobThatStartsInBetween: what was listed as failed is asked for again before it is
// removed, and waits, runs or is done by then.
func TestAJobThatStartsInBetween(t *testing.T) {
	for _, state := range []State{Pending, Running, Done} {
		gate := filepath.Join(t.TempDir(), "gate")
		st, all, err := submitted(t, osDisk{}, t.TempDir(), countSpecs(countConfig{Steps: 3, Gate: gate}, 1))
		if err != nil {
			t.Fatal(err)
		}
		j := all[0]
		if err := j.Cancel(); err != nil {
			t.Fatal(err)
		}
		found, err := st.Garbage()
		if err != nil || len(found) != 1 || found[0].Kind != CancelledJobs {
			t.Fatalf("%+v, %v", found, err)
		}
		if err := j.requeue(false); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		work := func() { ended <- Worker{Handlers: testHandlers}.Run(context.WithoutCancel(t.Context()), j.Paths.Dir) }
		if state == Done {
			write(t, gate, "")
		}
		if state != Pending {
			go work()
			eventually(t, string(state), func() bool { return j.Status().State == state })
		}
		removed, err := st.Sweep(Choose(found, GarbageKinds(), 0))
		if err != nil || len(removed) != 0 || j.Status().State != state {
			t.Errorf("%s: %+v, %v; the job is %+v", state, removed, err, j.Status())
		}
		write(t, gate, "")
		if state == Pending {
			go work()
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		wantCounts(t, &BatchHandle{study: st, jobs: all}, 3)
	}
}

// TestAskedForWhileItIsRemoved submits failed jobs again and again while they are swept:
// whatever comes first, what was submitted is there and waits.
func TestAskedForWhileItIsRemoved(t *testing.T) {
	st := mustOpen(t, t.TempDir())
	specs := countSpecs(countConfig{Steps: 1}, 1, 2, 3)
	stop, swept := make(chan struct{}), make(chan error, 1)
	other := mustOpen(t, st.Dir())
	go func() {
		for {
			select {
			case <-stop:
				swept <- nil
				return
			default:
			}
			found, err := other.Garbage()
			if err == nil {
				_, err = other.Sweep(Choose(found, GarbageKinds(), 0))
			}
			if err != nil {
				swept <- err
				return
			}
		}
	}()
	for range 100 {
		ids := make([]string, len(specs))
		h := &BatchHandle{Title: "again", study: st}
		for i, s := range specs {
			j, waiting, err := st.submitJob(s, s.ID(), Place{}, false)
			if err != nil || !waiting || j.Err != nil || j.Status().State != Pending {
				t.Fatalf("%v, %v, %+v", err, waiting, j.Status())
			}
			ids[i], h.jobs = j.ID, append(h.jobs, j)
		}
		if err := st.keepBatch(h, ids); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the batch to be there", func() bool { return exists(st.Paths.Batch(h.ID)) })
		for _, j := range h.jobs {
			if err := j.Cancel(); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
}

func TestWhatCannotBeRemovedIsToldAndTheRestGoesOn(t *testing.T) {
	st, all := finishedStudy(t, countSpecs(countConfig{Steps: 1}, 1, 2, 3)...)
	broken, err := openStudy(failing(1, false, syscall.EACCES), st.Dir())
	if err != nil {
		t.Fatal(err)
	}
	found, err := broken.Garbage()
	if err != nil {
		t.Fatal(err)
	}
	removed, err := broken.Sweep(Choose(found, []GarbageKind{DoneJobs}, 0))
	if err == nil || !strings.Contains(err.Error(), "cannot remove "+st.Paths.Jobs()) || !strings.Contains(err.Error(), "not writable") {
		t.Errorf("%v", err)
	}
	left := slices.DeleteFunc(all, func(j *Job) bool { return !exists(j.Paths.Dir) })
	if len(removed) != 2 || len(left) != 1 || left[0].Status().State != Done {
		t.Errorf("%d removed, %d left", len(removed), len(left))
	}
}

func TestSizes(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1 KiB", 5 << 20: "5 MiB", 3 << 29: "1.5 GiB"} {
		if got := SizeText(bytes); got != want {
			t.Errorf("%d is %q, want %q", bytes, got, want)
		}
	}
	dir := t.TempDir()
	for i := range 3 {
		write(t, filepath.Join(dir, fmt.Sprint(i), "file"), "12345")
	}
	if n, err := folderSize(dir); n != 15 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
