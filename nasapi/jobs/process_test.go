//go:build !windows

package jobs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestSubmitRunsEverySeed(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	h := mustSubmit(t, st, Batch{Title: "count", Specs: countSpecs(countConfig{Steps: 10}, seedRange(1268, 10)...)})
	mustWait(t, h)
	wantCounts(t, h, 10)
	for _, j := range h.Jobs() {
		s := j.Status()
		if s.State != Done || s.Attempt != 1 || s.Done != 10 || s.Total != 10 || s.PID == 0 || s.Error != "" {
			t.Errorf("%s: %+v", j.ID, s)
		}
		if s.Values["incumbent"] != float64(countWant(j.Spec.Seed, 10).Sum) {
			t.Errorf("%s: values %v", j.ID, s.Values)
		}
		o, err := j.Outcome()
		if err != nil || o.Threads < 1 || o.Host == "" || o.Seconds <= 0 || !o.Ended.After(o.Started) {
			t.Errorf("%s: %+v, %v", j.ID, o, err)
		}
	}
}

func TestAgainCostsNothing(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	file := filepath.Join(t.TempDir(), "trace")
	b := Batch{Title: "count", Specs: countSpecs(countConfig{Steps: 3, Trace: file}, 1, 2)}
	first := mustSubmit(t, st, b)
	mustWait(t, first)
	again := mustSubmit(t, mustOpen(t, st.Dir()), b)
	if again.ID != first.ID {
		t.Errorf("batch %s became %s", first.ID, again.ID)
	}
	mustWait(t, again)
	if n := len(starts(t, file)); n != 2 {
		t.Errorf("%d starts, want 2", n)
	}
	b.Fresh = true
	fresh := mustSubmit(t, st, b)
	mustWait(t, fresh)
	wantCounts(t, fresh, 3)
	if n := len(starts(t, file)); n != 4 {
		t.Errorf("%d starts after a fresh submission, want 4", n)
	}
	for _, j := range fresh.Jobs() {
		if s := j.Status(); s.Attempt != 2 {
			t.Errorf("attempt %d, want 2", s.Attempt)
		}
		if _, err := readOutcome(filepath.Join(j.Paths.Attempt(1), "result.json"), j.ID); err != nil {
			t.Errorf("the old result: %v", err)
		}
	}
}

// starts returns the lines that handlers traced: id, attempt, pid.
func starts(t *testing.T, file string) [][]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(data)) {
		all = append(all, strings.Fields(line))
	}
	return all
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("pid %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func runnerPID(t *testing.T, st *Study) int {
	t.Helper()
	pid := 0
	eventually(t, "the runner", func() bool {
		held, err := isHeld(st.Paths.Lock())
		if err != nil || !held {
			return false
		}
		_, rest, _ := strings.Cut(tail(st.Paths.Lock(), 4096), `"pid":`)
		number, _, _ := strings.Cut(rest, ",")
		pid, err = strconv.Atoi(number)
		return err == nil && syscall.Kill(pid, 0) == nil // else it is the one before
	})
	return pid
}

func killRunner(t *testing.T, st *Study) {
	t.Helper()
	kill(t, runnerPID(t, st))
	eventually(t, "the lock to be free", func() bool { held, err := isHeld(st.Paths.Lock()); return err == nil && !held })
}

func untilRunning(t *testing.T, jobs ...*Job) {
	t.Helper()
	eventually(t, "the jobs to run", func() bool {
		return !slices.ContainsFunc(jobs, func(j *Job) bool { return j.Status().State != Running })
	})
}

// someRunning waits until n of the jobs run and returns them: which ones take
// the slots first is a matter of microseconds.
func someRunning(t *testing.T, n int, jobs []*Job) (running []*Job) {
	t.Helper()
	eventually(t, "jobs to run", func() bool {
		running = nil
		for _, j := range jobs {
			if j.Status().State == Running {
				running = append(running, j)
			}
		}
		return len(running) == n
	})
	return running
}

// untilStarted waits until handlers have begun n times in all.
func untilStarted(t *testing.T, file string, n int) {
	t.Helper()
	eventually(t, "the handlers to begin", func() bool { return len(starts(t, file)) >= n })
}

// gated is a batch that runs until open is called.
func gated(t *testing.T, seeds ...int64) (b Batch, file string, open func()) {
	dir := t.TempDir()
	gate, file := filepath.Join(dir, "gate"), filepath.Join(dir, "trace")
	b = Batch{Title: "gated", Specs: countSpecs(countConfig{Steps: 4, Gate: gate, Trace: file}, seeds...)}
	return b, file, func() {
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKilledWorkerIsRetried(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	b, file, open := gated(t, 1, 2)
	h := mustSubmit(t, st, b)
	untilStarted(t, file, 2)
	victim := h.jobs[0]
	kill(t, victim.Status().PID)
	eventually(t, "the reason", func() bool {
		return strings.Contains(tail(victim.Paths.Events(), 4096), "killed by somebody or for want of memory")
	})
	eventually(t, "the second attempt", func() bool { s := victim.Status(); return s.State == Running && s.Attempt == 2 })
	open()
	mustWait(t, h)
	wantCounts(t, h, 4)
	if n := len(starts(t, file)); n != 3 {
		t.Errorf("%d starts, want 3", n)
	}
}

func TestWorkerThatAlwaysDies(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	for mode, want := range map[string]struct {
		attempts int
		words    []string
	}{
		"die":    {3, []string{"died 3 times", "exit status 3", "dying"}},
		"panic":  {3, []string{"died 3 times", "out of cheese"}},
		"error":  {1, []string{"went wrong"}},
		"config": {1, []string{"no such space"}},
		"nan":    {1, []string{"no JSON form"}},
	} {
		h := mustSubmit(t, st, Batch{Title: mode, Specs: countSpecs(countConfig{Mode: mode}, 1)})
		mustWait(t, h)
		s := h.jobs[0].Status()
		if s.State != Failed || s.Attempt != want.attempts {
			t.Errorf("%s: %+v", mode, s)
		}
		for _, word := range want.words {
			if !strings.Contains(s.Error, word) {
				t.Errorf("%s: error %q lacks %q", mode, s.Error, word)
			}
		}
		if _, err := h.jobs[0].Result(); err == nil || !strings.Contains(err.Error(), "it is failed") {
			t.Errorf("%s: result error %v", mode, err)
		}
	}
	h := mustSubmit(t, st, Batch{Title: "once", Specs: countSpecs(countConfig{Mode: "die-once", Steps: 2}, 1)})
	mustWait(t, h)
	wantCounts(t, h, 2)
}

// TestRemovedStudy removes jobs, and then all of the study, under a process that
// has it open, as people do who want to start over.
func TestRemovedStudy(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	b := Batch{Specs: countSpecs(countConfig{Steps: 3}, 1, 2)}
	mustWait(t, mustSubmit(t, st, b))
	for _, dir := range []string{st.Paths.Jobs(), st.Dir()} {
		eventually(t, "the runner to end", func() bool { held, err := isHeld(st.Paths.Lock()); return err == nil && !held })
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		h := mustSubmit(t, st, b)
		mustWait(t, h)
		wantCounts(t, h, 3)
	}
}

func TestUnknownKindFails(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	h := mustSubmit(t, st, Batch{Specs: []Spec{{Kind: "dance", Numerics: 1}}})
	mustWait(t, h)
	if s := h.jobs[0].Status(); s.State != Failed || !strings.Contains(s.Error, `no handler for jobs of kind "dance"; this program runs count`) {
		t.Errorf("%+v", s)
	}
}

func TestSubmitRetriesFailedJobs(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	b := Batch{Specs: countSpecs(countConfig{Mode: "error"}, 1)}
	mustWait(t, mustSubmit(t, st, b))
	h := mustSubmit(t, st, b)
	if s := h.jobs[0].Status(); s.Attempt != 2 {
		t.Errorf("attempt %d, want 2", s.Attempt)
	}
	mustWait(t, h)
	if s := h.jobs[0].Status(); s.State != Failed || s.Attempt != 2 {
		t.Errorf("%+v", s)
	}
}

func TestKilledRunner(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	b, file, open := gated(t, 1, 2, 3, 4)
	h := mustSubmit(t, st, b)
	first := someRunning(t, 2, h.jobs)
	killRunner(t, st)
	untilRunning(t, first...) // they go on
	again := mustSubmit(t, mustOpen(t, st.Dir()), b)
	runnerPID(t, st)
	open()
	mustWait(t, again)
	wantCounts(t, again, 4)
	if n := len(starts(t, file)); n != 4 {
		t.Errorf("%d starts for 4 jobs", n)
	}
}

func TestKilledRunnerAndWorkers(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	b, file, open := gated(t, 1, 2, 3)
	h := mustSubmit(t, st, b)
	first := someRunning(t, 2, h.jobs)
	untilStarted(t, file, 2)
	kill(t, runnerPID(t, st))
	for _, j := range first {
		kill(t, j.Status().PID)
	}
	eventually(t, "the jobs to be lost", func() bool {
		return first[0].Status().State == Lost && first[1].Status().State == Lost
	})
	open()
	mustWait(t, h) // looking at the batch is the command that repairs it
	wantCounts(t, h, 4)
	if n := len(starts(t, file)); n != 5 {
		t.Errorf("%d starts, want 5", n)
	}
}

func TestTerminatedWorkerGoesOnLater(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	b, _, open := gated(t, 1)
	h := mustSubmit(t, st, b)
	untilRunning(t, h.jobs...)
	for attempt := 1; attempt < 5; attempt++ { // more often than crashes are forgiven
		if err := syscall.Kill(h.jobs[0].Status().PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the next attempt", func() bool {
			s := h.jobs[0].Status()
			return s.State == Running && s.Attempt == attempt+1
		})
	}
	open()
	mustWait(t, h)
	wantCounts(t, h, 4)
}

func TestTwoSubmitsAtOnce(t *testing.T) {
	processes(t, 4)
	st := studyIn(t)
	file := filepath.Join(t.TempDir(), "trace")
	b := Batch{Specs: countSpecs(countConfig{Steps: 3, Pause: 5, Trace: file}, seedRange(1, 6)...)}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			mine, err := OpenStudy(st.Dir())
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := mine.Submit(b); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h := mustSubmit(t, st, b)
	mustWait(t, h)
	wantCounts(t, h, 3)
	if n := len(starts(t, file)); n != 6 {
		t.Errorf("%d starts for 6 jobs", n)
	}
}

func TestOneWriter(t *testing.T) {
	processes(t, 4)
	st := studyIn(t)
	b, file, open := gated(t, 7)
	h := mustSubmit(t, st, b)
	untilRunning(t, h.jobs...)
	if err := Work(context.Background(), h.jobs[0].Paths.Dir, testHandlers); err != ErrBusy {
		t.Errorf("a second worker: %v, want ErrBusy", err)
	}
	open()
	mustWait(t, h)
	if err := Work(context.Background(), h.jobs[0].Paths.Dir, testHandlers); err != nil {
		t.Errorf("a worker of a finished job: %v", err)
	}
	if n := len(starts(t, file)); n != 1 {
		t.Errorf("%d starts", n)
	}
}

func TestCancel(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	b, file, open := gated(t, 1, 2, 3)
	h := mustSubmit(t, st, b)
	untilStarted(t, file, 1)
	if err := h.Cancel(); err != nil {
		t.Fatal(err)
	}
	mustWait(t, h)
	for _, j := range h.jobs {
		if s := j.Status(); s.State != Cancelled {
			t.Errorf("%+v", s)
		}
		if j.cancelRequested() {
			t.Error("the request was not answered")
		}
	}
	if n := len(starts(t, file)); n != 1 {
		t.Errorf("%d starts", n)
	}
	open()
	again := mustSubmit(t, st, b)
	mustWait(t, again)
	wantCounts(t, again, 4)
}

// TestAskedForAgainWhileBeingCancelled: the last word is that it shall run.
func TestAskedForAgainWhileBeingCancelled(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	b, file, open := gated(t, 1, 2)
	h := mustSubmit(t, st, b)
	untilStarted(t, file, 2)
	if err := h.Cancel(); err != nil {
		t.Fatal(err)
	}
	h = mustSubmit(t, st, b)
	for _, j := range h.jobs {
		if j.cancelRequested() {
			t.Errorf("job %s was joined while it was told to stop", j.ID)
		}
	}
	open()
	mustWait(t, h)
	wantCounts(t, h, 4)
}

func TestCancelledWhileItsWorkerDies(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	b, _, _ := gated(t, 1)
	h := mustSubmit(t, st, b)
	untilRunning(t, h.jobs...)
	kill(t, runnerPID(t, st))
	pid := h.jobs[0].Status().PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := h.Cancel(); err != nil {
		t.Fatal(err)
	}
	kill(t, pid)
	mustWait(t, h)
	if s := h.jobs[0].Status(); s.State != Cancelled {
		t.Errorf("%+v", s)
	}
}

// TestSlotsAreTheHosts counts how many workers of two studies are between
// their start and their end at once.
func TestSlotsAreTheHosts(t *testing.T) {
	processes(t, 2)
	file := filepath.Join(t.TempDir(), "trace")
	var all []*BatchHandle
	for n := range 2 {
		st := studyIn(t)
		specs := countSpecs(countConfig{Steps: 2, Pause: 10, Trace: file}, seedRange(int64(100*n), 12)...)
		all = append(all, mustSubmit(t, st, Batch{Specs: specs}))
	}
	type edge struct {
		at time.Time
		up int
	}
	var edges []edge
	firsts := make([]time.Time, 2)
	lasts := make([]time.Time, 2)
	for i, h := range all {
		mustWait(t, h)
		wantCounts(t, h, 2)
		for _, j := range h.Jobs() {
			s := j.Status()
			edges = append(edges, edge{s.Started, 1}, edge{s.Ended, -1})
			if firsts[i].IsZero() || s.Started.Before(firsts[i]) {
				firsts[i] = s.Started
			}
			if s.Ended.After(lasts[i]) {
				lasts[i] = s.Ended
			}
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return a.at.Compare(b.at) })
	now, most := 0, 0
	for _, e := range edges {
		now += e.up
		most = max(most, now)
	}
	if most > 2 {
		t.Errorf("%d jobs ran at once on 2 slots", most)
	}
	if lasts[0].Before(firsts[1]) || lasts[1].Before(firsts[0]) {
		t.Error("one study had to wait for the other's end")
	}
}

func TestSlotIsFreeWhenItsHolderDies(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	b, _, open := gated(t, 1)
	h := mustSubmit(t, st, b)
	untilRunning(t, h.jobs...)
	slots, err := HostSlots()
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err := slots.Acquire(soon, 1, Wanted{}); err == nil {
		t.Fatal("a second slot of one")
	}
	kill(t, runnerPID(t, st))
	kill(t, h.jobs[0].Status().PID)
	slot, err := slots.Acquire(context.Background(), 1, Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	if err := slot.Release(); err != nil {
		t.Fatal(err)
	}
	open()
	mustWait(t, h)
}

// TestBrokenProgram has a program that was moved or does nothing.
func TestBrokenProgram(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	t.Setenv("EVALNAS_EXE", "/nonexistent/evalnas")
	if _, err := st.Submit(Batch{Specs: countSpecs(countConfig{Steps: 1}, 1)}); err == nil || !strings.Contains(err.Error(), "cannot start the runner") {
		t.Errorf("submit: %v", err)
	}
	t.Setenv("EVALNAS_EXE", "/bin/false")
	h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 1}, 1)})
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := h.Wait(ctx); err == nil || !strings.Contains(err.Error(), "ends without doing its work") {
		t.Errorf("wait: %v", err)
	}
	// A runner that works, with workers that do not.
	err := RunStudy(ctx, st.Dir(), RunnerOptions{Exe: "/bin/false", Backoff: time.Millisecond, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if s := h.jobs[0].Status(); s.State != Failed || !strings.Contains(s.Error, "its worker cannot be started (exit status 1)") {
		t.Errorf("%+v", s)
	}
}

func TestSubmitIsQuick(t *testing.T) {
	processes(t, 2)
	best := time.Hour
	for n := range 5 {
		st := studyIn(t)
		begin := time.Now()
		mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 1}, seedRange(int64(n*10), 10)...)})
		best = min(best, time.Since(begin))
	}
	t.Logf("10 jobs submitted in %v", best)
	if best > 100*time.Millisecond { // the aim is 20 ms on an idle machine
		t.Errorf("submitting 10 jobs took %v", best)
	}
}

func BenchmarkLocalJobs(b *testing.B) {
	for _, slots := range []int{1, 2} {
		b.Run(fmt.Sprintf("slots=%d", slots), func(b *testing.B) {
			processes(b, slots)
			st := studyIn(b)
			b.ResetTimer()
			h := mustSubmit(b, st, Batch{Specs: countSpecs(countConfig{Steps: 1}, seedRange(0, int64(b.N))...)})
			mustWait(b, h)
			b.ReportMetric(float64(b.Elapsed().Milliseconds())*float64(slots)/float64(b.N), "ms/job/slot")
		})
	}
}
