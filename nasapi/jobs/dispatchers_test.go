//go:build !windows

package jobs

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evalnas/nasapi/jobs/slurm"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

// site is a study, and where its jobs run: two at a time.
type site struct {
	*Study
	on Place
	// client is the SLURM of the study's jobs, nil if there is none; fake is it if it is one.
	client slurm.Client
	fake   *slurmtest.Fake
	// stop ends the study's runner without a warning, resume starts another.
	stop, resume func()
}

// sites are the dispatchers: what a batch may ask for.
var sites = []struct {
	name string
	open func(t *testing.T) *site
}{
	{"local", localSite},
	{"fake", fakeSite},
	{"slurm", slurmSite},
}

func localSite(t *testing.T) *site {
	processes(t, 2)
	return runnerProcesses(t, studyIn(t), Place{})
}

func slurmSite(t *testing.T) *site {
	st, _ := slurmStudy(t)
	s := runnerProcesses(t, st, onSlurm(slurm.Options{Parallel: 2}))
	s.client = slurm.Commands{}
	return s
}

// runnerProcesses is a study whose runners are processes, as with the installed program.
func runnerProcesses(t *testing.T, st *Study, on Place) *site {
	return &site{Study: st, on: on, stop: func() { killRunner(t, st) }, resume: func() {
		if err := st.startRunner(); err != nil {
			t.Fatal(err)
		}
	}}
}

// fakeSite has the runner in this process, where the fake is. The test holds its lock, so that
// nobody else starts one.
func fakeSite(t *testing.T) *site {
	processes(t, 2)
	fake := slurmtest.NewFake(t, 2)
	st := studyIn(t)
	st.slurm = fake
	lock, err := takeLock(t.Context(), st.Paths.Lock(), lockPatience)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Study: st, on: onSlurm(slurm.Options{}), client: fake, fake: fake}
	s.resume = func() { s.stop = serveStudy(t, mustOpen(t, st.Dir()), fake) }
	s.resume()
	t.Cleanup(func() {
		s.stop()
		if err := lock.release(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// serveStudy is RunStudy by who has the study's lock. What it had to say is in its log.
func serveStudy(t *testing.T, st *Study, client slurm.Client) (stop func()) {
	log, err := os.OpenFile(st.Paths.RunnerLog(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	o := RunnerOptions{Slurm: client, Log: log, Backoff: 20 * time.Millisecond, Poll: 5 * time.Millisecond}
	if err := o.ensureDefaults(); err != nil {
		t.Fatal(err)
	}
	r := newRunner(st, o, &localDispatcher{exe: o.Exe}, 2)
	r.arrays = newArrays(r, o.Slurm, o.Exe)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		var err error
		for err == nil && pause(ctx, time.Millisecond) == nil {
			err = r.serve(ctx)
		}
		served <- err
	}()
	return func() {
		cancel()
		if err := <-served; err != nil {
			t.Error("the runner: ", err)
		}
		log.Close()
	}
}

// open opens the site's study again, as another process would.
func (s *site) open() (*Study, error) {
	st, err := OpenStudy(s.Dir())
	if err == nil && s.client != nil {
		st.slurm = s.client
	}
	return st, err
}

func (s *site) another(t *testing.T) *Study {
	t.Helper()
	st, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// submit submits to the site.
func (s *site) submit(t *testing.T, b Batch) *BatchHandle {
	t.Helper()
	b.On = s.on
	return mustSubmit(t, s.Study, b)
}

// task waits until SLURM has a job in a state, and returns the task's id.
func (s *site) task(t *testing.T, j *Job, state string) (id string) {
	t.Helper()
	eventually(t, "SLURM to say "+state, func() bool {
		all, _ := s.Queue()
		id = all[j.ID].Task
		return id != "" && all[j.ID].State == state
	})
	return id
}

// one is a job that runs in a task until open is called.
func (s *site) one(t *testing.T) (h *BatchHandle, task, trace string, open func()) {
	t.Helper()
	b, trace, open := gated(t, 1)
	h = s.submit(t, b)
	untilStarted(t, trace, 1)
	return h, s.task(t, h.jobs[0], "RUNNING"), trace, open
}

// awaitRelease waits until SLURM has nothing of the study in its queue.
func (s *site) awaitRelease(t *testing.T) {
	t.Helper()
	if s.client == nil {
		return
	}
	eventually(t, "SLURM to let go", func() bool {
		all, err := s.client.Tasks(t.Context())
		if err != nil {
			return false
		}
		for _, a := range arraysOf(t, s.Study) {
			for id, task := range all {
				if strings.HasPrefix(id, a.ID+"_") && task.Alive() {
					return false
				}
			}
		}
		return true
	})
}

// theWaiting is the one of the jobs that waits, once the others run.
func theWaiting(t *testing.T, jobs []*Job) *Job {
	t.Helper()
	someRunning(t, len(jobs)-1, jobs)
	return jobs[slices.IndexFunc(jobs, func(j *Job) bool { return j.Status().State.Waiting() })]
}

func wantStarts(t *testing.T, trace string, n int) {
	t.Helper()
	if got := len(starts(t, trace)); got != n {
		t.Errorf("%d starts, want %d", got, n)
	}
}

func wantFailed(t *testing.T, j *Job, attempt int, words ...string) {
	t.Helper()
	s := j.Status()
	if s.State != Failed || s.Attempt != attempt {
		t.Errorf("it is %s in attempt %d, want failed in attempt %d: %s", s.State, s.Attempt, attempt, s.Error)
	}
	for _, word := range words {
		if !strings.Contains(s.Error, word) {
			t.Errorf("the error does not say %q: %s", word, s.Error)
		}
	}
}

// behaviours is what every dispatcher does.
var behaviours = []struct {
	name string
	test func(t *testing.T, s *site)
}{
	{"runs every seed, and the same request again nothing", func(t *testing.T, s *site) {
		trace := filepath.Join(t.TempDir(), "trace")
		b := Batch{Title: "all", Specs: countSpecs(countConfig{Steps: 3, Trace: trace}, seedRange(1268, 10)...)}
		h := s.submit(t, b)
		mustWait(t, h)
		wantCounts(t, h, 3)
		b.On = s.on
		again := mustSubmit(t, s.another(t), b)
		mustWait(t, again)
		wantCounts(t, again, 3)
		wantStarts(t, trace, 10)
	}},
	{"does not retry an error of the configuration", func(t *testing.T, s *site) {
		trace := filepath.Join(t.TempDir(), "trace")
		h := s.submit(t, Batch{Specs: countSpecs(countConfig{Mode: "config", Trace: trace}, 1)})
		mustWait(t, h)
		wantFailed(t, h.jobs[0], 1, "no such space")
		wantStarts(t, trace, 1)
	}},
	{"retries a worker that died, twice", func(t *testing.T, s *site) {
		trace := filepath.Join(t.TempDir(), "trace")
		once := countSpecs(countConfig{Steps: 2, Mode: "die-once", Trace: trace}, 1)
		always := countSpecs(countConfig{Steps: 2, Mode: "die", Trace: trace}, 2)
		h := s.submit(t, Batch{Specs: slices.Concat(once, always)})
		mustWait(t, h)
		if st := h.jobs[0].Status(); st.State != Done || st.Attempt != 2 {
			t.Errorf("what died once is %s in attempt %d: %s", st.State, st.Attempt, st.Error)
		}
		wantFailed(t, h.jobs[1], 3, "died 3 times", "dying", "3")
		wantStarts(t, trace, 5)
	}},
	{"cancels what runs and what waits, and runs it when asked again", func(t *testing.T, s *site) {
		b, trace, open := gated(t, 1, 2, 3)
		h := s.submit(t, b)
		theWaiting(t, h.jobs)
		untilStarted(t, trace, 2)
		if err := h.Cancel(); err != nil {
			t.Fatal(err)
		}
		mustWait(t, h)
		for _, j := range h.jobs {
			if st := j.Status(); st.State != Cancelled || j.cancelRequested() {
				t.Errorf("it is %s: %s", st.State, st.Error)
			}
		}
		wantStarts(t, trace, 2)
		s.awaitRelease(t)
		open()
		h = s.submit(t, b)
		mustWait(t, h)
		wantCounts(t, h, 4)
		wantStarts(t, trace, 5)
	}},
	{"goes on with what was interrupted", func(t *testing.T, s *site) {
		b, trace, open := gated(t, 1)
		h := s.submit(t, b)
		untilStarted(t, trace, 1)
		if err := syscall.Kill(h.jobs[0].Status().PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		untilStarted(t, trace, 2)
		open()
		mustWait(t, h)
		wantCounts(t, h, 4)
		if st := h.jobs[0].Status(); st.Attempt != 2 {
			t.Errorf("attempt %d", st.Attempt)
		}
	}},
	{"hands on to the next runner", func(t *testing.T, s *site) {
		b, trace, open := gated(t, seedRange(1, 4)...)
		h := s.submit(t, b)
		untilStarted(t, trace, 2)
		s.stop()
		s.resume()
		s.stop()
		running := slices.DeleteFunc(slices.Clone(h.jobs), func(j *Job) bool { return j.Status().State != Running })
		open()
		eventually(t, "what runs to end without a runner", func() bool {
			return !slices.ContainsFunc(running, func(j *Job) bool { return j.Status().State != Done })
		})
		s.resume()
		mustWait(t, h)
		wantCounts(t, h, 4)
		wantStarts(t, trace, 4)
	}},
	{"takes two submissions at once", func(t *testing.T, s *site) {
		trace := filepath.Join(t.TempDir(), "trace")
		b := Batch{Specs: countSpecs(countConfig{Steps: 3, Trace: trace}, seedRange(1, 6)...), On: s.on}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				st, err := s.open()
				if err == nil {
					_, err = st.Submit(b)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		h := s.submit(t, b)
		mustWait(t, h)
		wantCounts(t, h, 3)
		wantStarts(t, trace, 6)
	}},
	{"survives a damaged job.json", func(t *testing.T, s *site) {
		spoil(t, s, func(file string) error { return os.WriteFile(file, []byte("{"), 0o644) })
	}},
	{"survives a removed job.json", func(t *testing.T, s *site) { spoil(t, s, os.Remove) }},
	{"leaves alone what was done elsewhere", func(t *testing.T, s *site) {
		b, trace, open := gated(t, 1, 2, 3)
		h := s.submit(t, b)
		j := theWaiting(t, h.jobs)
		untilStarted(t, trace, 2)
		done := make(chan error, 1)
		go func() { done <- Worker{Handlers: testHandlers}.Run(t.Context(), j.Paths.Dir) }()
		untilRunning(t, j)
		open()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		mustWait(t, h)
		wantCounts(t, h, 4)
		wantStarts(t, trace, 3)
	}},
}

// spoil has a job's file changed while the job waits: the others end, and the same request
// mends it.
func spoil(t *testing.T, s *site, change func(file string) error) {
	b, trace, open := gated(t, 1, 2, 3)
	h := s.submit(t, b)
	j := theWaiting(t, h.jobs)
	untilStarted(t, trace, 2)
	if err := change(j.Paths.Spec()); err != nil {
		t.Fatal(err)
	}
	open()
	mustWait(t, &BatchHandle{study: s.Study, jobs: slices.DeleteFunc(h.Jobs(), func(other *Job) bool { return other == j })})
	b.On = s.on
	again := mustSubmit(t, s.another(t), b)
	mustWait(t, again)
	wantCounts(t, again, 4)
	wantStarts(t, trace, 3)
}

func TestDispatchers(t *testing.T) {
	for _, where := range sites {
		if where.name == "slurm" && testing.Short() {
			continue // a real one takes seconds for what the fake does at once
		}
		for _, b := range behaviours {
			t.Run(where.name+"/"+strings.ReplaceAll(b.name, " ", "_"), func(t *testing.T) { b.test(t, where.open(t)) })
		}
	}
}

// troubles is what SLURM does that one node of a real one cannot be made to do.
var troubles = []struct {
	name string
	test func(t *testing.T, s *site)
}{
	{"NODE_FAIL is retried", func(t *testing.T, s *site) {
		again(t, s, 2, func(task string) error { return s.fake.Kill(task, "NODE_FAIL") })
	}},
	{"NODE_FAIL and SLURM retries it", func(t *testing.T, s *site) {
		again(t, s, 1, func(task string) error { return s.fake.Kill(task, "REQUEUED") })
	}},
	{"BOOT_FAIL is retried", func(t *testing.T, s *site) {
		again(t, s, 2, func(task string) error { return s.fake.Kill(task, "BOOT_FAIL") })
	}},
	{"PREEMPTED goes on in SLURM", func(t *testing.T, s *site) {
		again(t, s, 1, func(task string) error { return s.fake.Requeue(t.Context(), task) })
	}},
	{"PREEMPTED for good goes on in another array", func(t *testing.T, s *site) {
		again(t, s, 2, func(task string) error { return s.fake.Terminate(task, "PREEMPTED") })
	}},
	{"TIMEOUT goes on in another array", func(t *testing.T, s *site) {
		again(t, s, 2, func(task string) error { return s.fake.Terminate(task, "TIMEOUT") })
	}},
	{"TIMEOUT of a worker that did not save itself is retried", func(t *testing.T, s *site) {
		again(t, s, 2, func(task string) error { return s.fake.Kill(task, "TIMEOUT") })
	}},
	{"a warning of TIMEOUT has the task requeued", func(t *testing.T, s *site) { again(t, s, 1, s.fake.Warn) }},
	{"OUT_OF_MEMORY fails", func(t *testing.T, s *site) {
		h, task, trace, _ := s.one(t)
		if err := s.fake.Kill(task, "OUT_OF_MEMORY"); err != nil {
			t.Fatal(err)
		}
		mustWait(t, h)
		wantFailed(t, h.jobs[0], 1, "want of memory", "mem=", "fake1")
		wantStarts(t, trace, 1)
	}},
	{"a lost answer of sbatch", func(t *testing.T, s *site) {
		s.fake.LoseAnswers(1)
		h, _, trace, open := s.one(t)
		open()
		mustWait(t, h)
		wantCounts(t, h, 4)
		wantStarts(t, trace, 1)
		wantArrays(t, s, 1)
		if all, err := s.fake.Tasks(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("SLURM has %v (%v)", all, err)
		}
	}},
	{"a lost answer of sbatch, and then no controller", func(t *testing.T, s *site) {
		s.fake.LoseAnswers(1)
		s.fake.Deafen(4) // sbatch is asked first and not heard at all
		b, trace, open := gated(t, 1, 2, 3)
		h := s.submit(t, b)
		untilStarted(t, trace, 2)
		open()
		mustWait(t, h)
		wantCounts(t, h, 4)
		wantStarts(t, trace, 3)
	}},
	{"squeue fails for a while", func(t *testing.T, s *site) {
		h, _, trace, open := s.one(t)
		s.fake.Deafen(5)
		eventually(t, "the study to say so", func() bool { _, trouble := s.Queue(); return strings.Contains(trouble, "Unable to contact") })
		eventually(t, "SLURM to answer", func() bool { _, trouble := s.Queue(); return trouble == "" })
		open()
		mustWait(t, h)
		wantCounts(t, h, 4)
		wantStarts(t, trace, 1)
	}},
	{"a controller that forgets", func(t *testing.T, s *site) {
		s.fake.Forget()
		b, trace, open := gated(t, 1, 2)
		b.Specs = slices.Concat(countSpecs(countConfig{Steps: 4, Mode: "die-once", Trace: trace}, seedRange(10, 6)...), b.Specs)
		h := s.submit(t, b)
		defer func() {
			if t.Failed() {
				for _, j := range h.Jobs() {
					t.Logf("%s %+v", j.ID, j.Status())
				}
				t.Log(tail(s.Paths.RunnerLog(), 1<<14))
			}
		}()
		untilStarted(t, trace, 6+2)
		open()
		mustWait(t, h)
		wantCounts(t, h, 4)
		wantStarts(t, trace, 6+6+2)
	}},
	{"what is cancelled is asked for again while SLURM cancels it", func(t *testing.T, s *site) {
		s.fake.Drain("drained")
		s.fake.Delay(30 * time.Millisecond)
		b := Batch{Specs: countSpecs(countConfig{Steps: 4}, 1, 2)} // the second keeps the array known
		h := s.submit(t, b)
		task := s.task(t, h.jobs[0], "PENDING")
		if err := h.jobs[0].Cancel(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "scancel", func() bool { return s.fake.State(task) == "" })
		h = s.submit(t, b) // before the runner hears of it
		s.fake.Drain("")
		mustWait(t, h)
		wantCounts(t, h, 4)
	}},
}

// again does something to a running task, after which its job goes on, in so many arrays in all.
func again(t *testing.T, s *site, arrays int, do func(task string) error) {
	t.Helper()
	h, task, trace, open := s.one(t)
	if err := do(task); err != nil {
		t.Fatal(err)
	}
	untilStarted(t, trace, 2)
	open()
	mustWait(t, h)
	wantCounts(t, h, 4)
	wantStarts(t, trace, 2)
	if st := h.jobs[0].Status(); st.Attempt != 2 {
		t.Errorf("attempt %d", st.Attempt)
	}
	wantArrays(t, s, arrays)
}

func wantArrays(t *testing.T, s *site, n int) {
	t.Helper()
	if all := arraysOf(t, s.Study); len(all) != n {
		t.Errorf("%d arrays, want %d: %+v\n%s", len(all), n, all, tail(s.Paths.RunnerLog(), 1<<13))
	}
}

func TestTroublesOfSlurm(t *testing.T) {
	for _, trouble := range troubles {
		t.Run(strings.ReplaceAll(trouble.name, " ", "_"), func(t *testing.T) { trouble.test(t, fakeSite(t)) })
	}
}
