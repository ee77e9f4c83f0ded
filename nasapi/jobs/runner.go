package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"evalnas/nasapi/host"
	"evalnas/nasapi/jobs/slurm"
)

// RunnerOptions are a runner's settings; the zero value is good.
type RunnerOptions struct {
	// Exe is the program whose `worker <job folder>` runs a job; by default
	// $EVALNAS_EXE, else this program.
	Exe string
	// Retries is how often a job whose worker died is tried again; 0 means
	// twice, a negative number never.
	Retries int
	// Backoff is the wait before the first retry, each later one is five times
	// as long; 0 means a second.
	Backoff time.Duration
	// Log receives what the runner has to say; nil means os.Stderr.
	Log io.Writer
	// Slurm is whom jobs are given that ask for SLURM; nil means its programs.
	Slurm slurm.Client
	// Poll is how soon SLURM is asked again while something changes; 0 means a second.
	Poll time.Duration
}

func (o *RunnerOptions) ensureDefaults() error {
	if o.Retries == 0 {
		o.Retries = 2
	}
	if o.Backoff == 0 {
		o.Backoff = time.Second
	}
	if o.Log == nil {
		o.Log = os.Stderr
	}
	if o.Slurm == nil {
		o.Slurm = slurm.Commands{}
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Exe == "" {
		exe, err := program()
		if err != nil {
			return err
		}
		o.Exe = exe
	}
	return nil
}

// program is what workers and runners are started with.
func program() (string, error) {
	if exe := os.Getenv("EVALNAS_EXE"); exe != "" {
		return exe, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot find this program's own file (%w): set EVALNAS_EXE to it", err)
	}
	return exe, nil
}

// dispatcher starts workers somewhere. Launch returns when the worker is on
// its way; what happens to it comes as news, in order, the last with gone set,
// until ctx ends.
type dispatcher interface {
	Launch(ctx context.Context, j *Job, sink chan<- news) error
}

// news is what a dispatcher learned about a worker that it started.
type news struct {
	job  *Job
	gone bool  // the worker ended; else it has its slot
	exit error // how it ended, nil for well
}

// RunStudy runs the study's jobs until nothing is left to do: it starts workers
// for pending jobs and repairs lost ones. Only one runner works on a study; a
// second returns nil at once. When ctx ends it returns, and its workers go on.
func RunStudy(ctx context.Context, dir string, o RunnerOptions) error {
	if err := o.ensureDefaults(); err != nil {
		return err
	}
	st, err := OpenStudy(dir)
	if err != nil {
		return err
	}
	slots, err := HostSlots()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := newRunner(st, o, &localDispatcher{exe: o.Exe}, min(2, slots.N))
	r.arrays = newArrays(r, o.Slurm, o.Exe)
	for {
		lock, err := takeLock(ctx, st.Paths.Lock(), lockPatience)
		if errors.Is(err, errLocked) {
			return nil
		}
		if err != nil {
			return err
		}
		err = r.serve(ctx)
		if err = errors.Join(err, lock.release()); err != nil {
			return err
		}
		// Whoever submitted before the lock was free relied on this runner.
		if ctx.Err() != nil || !r.queueGrew() {
			return nil
		}
	}
}

// runner is the state of RunStudy; one goroutine owns it. Each worker has one
// goroutine more, in the dispatcher, that sends on news.
type runner struct {
	study    *Study
	options  RunnerOptions
	dispatch dispatcher
	ahead    int // workers that may wait for a slot at a time: hides their start-up

	news     chan news
	queue    []*waiter // by priority, equals in the order of submission
	queued   map[string]bool
	launched map[string]int  // the attempt that each launched job was in
	waiting  map[string]bool // those of them that have no slot yet
	adopted  map[string]*Job // running, but launched by a runner that died
	delayed  map[string]time.Time
	failures map[string]int  // launches that ended without a start
	given    map[string]bool // cannot be repaired now: left to a later runner
	seen     int64           // length of queue.log that was read
	arrays   *arrays         // of SLURM
}

func newRunner(st *Study, o RunnerOptions, d dispatcher, ahead int) *runner {
	return &runner{
		study: st, options: o, dispatch: d, ahead: ahead,
		news: make(chan news), queued: map[string]bool{},
		launched: map[string]int{}, waiting: map[string]bool{}, adopted: map[string]*Job{},
		delayed: map[string]time.Time{}, failures: map[string]int{}, given: map[string]bool{},
	}
}

// runnerTick is how soon new submissions and the ends of adopted jobs are seen.
const runnerTick = 50 * time.Millisecond

// serve works until nothing is left to do, or ctx ends.
func (r *runner) serve(ctx context.Context) error {
	if err := r.arrays.load(); err != nil {
		return err
	}
	if err := r.readAll(); err != nil {
		return err
	}
	ticker := time.NewTicker(runnerTick)
	defer ticker.Stop()
	for {
		r.launch(ctx)
		r.arrays.step(ctx)
		if r.idle() {
			before := len(r.queue)
			if err := r.readAll(); err != nil {
				return err
			}
			if r.idle() && len(r.queue) == before {
				return nil
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case n := <-r.news:
			r.hear(n)
		case f := <-r.arrays.results:
			f()
		case <-ticker.C:
			r.tick()
		}
	}
}

func (r *runner) idle() bool {
	return len(r.queue) == 0 && len(r.launched) == 0 &&
		len(r.adopted) == 0 && len(r.delayed) == 0 && r.arrays.idle()
}

func (r *runner) logf(format string, args ...any) {
	fmt.Fprintf(r.options.Log, "%s %s\n", time.Now().Format(time.RFC3339), fmt.Sprintf(format, args...))
}

// readAll looks at every job of the study, in the order of queue.log.
func (r *runner) readAll() error {
	order := map[string]int{}
	for i, id := range r.newIDs(true) {
		order[id] = i + 1
	}
	all, err := r.study.Jobs()
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b *Job) int { return cmp.Compare(order[a.ID], order[b.ID]) })
	for _, j := range all {
		r.consider(j)
	}
	return nil
}

// queueGrew says whether somebody has submitted since the queue was last read.
func (r *runner) queueGrew() bool {
	info, err := os.Stat(r.study.Paths.Queue())
	return err == nil && info.Size() != r.seen
}

// newIDs returns the ids that were added to queue.log since the last call, or
// all of them. It is a hint about order and haste: what is missing in it is
// found by readAll.
func (r *runner) newIDs(all bool) []string {
	if all {
		r.seen = 0
	}
	f, err := os.Open(r.study.Paths.Queue())
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.logf("cannot read the queue: %v", err)
		}
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() < r.seen {
		r.seen = 0 // somebody removed it, and others have written it anew
	}
	if _, err := f.Seek(r.seen, io.SeekStart); err != nil {
		r.logf("cannot read the queue: %v", err)
		return nil
	}
	data, err := io.ReadAll(f)
	if err != nil {
		r.logf("cannot read the queue: %v", err)
	}
	r.seen += int64(len(data))
	return strings.Fields(string(data))
}

// tick reads new submissions and looks after jobs that no news come from.
func (r *runner) tick() {
	if r.queueGrew() {
		r.readNew()
	}
	for _, j := range r.adopted {
		r.consider(j)
	}
	now := time.Now()
	for id, at := range r.delayed {
		if now.After(at) {
			delete(r.delayed, id)
			r.consider(r.study.job(id))
		}
	}
}

// readNew looks at the jobs that were submitted since the last look, or at all
// of them if queue.log has a line that is no id.
func (r *runner) readNew() {
	for _, id := range r.newIDs(false) {
		if !isID(id) {
			if err := r.readAll(); err != nil {
				r.logf("%v", err)
			}
			return
		}
		delete(r.given, id)
		if r.arrays.has(id) {
			r.arrays.soon()
		}
		r.consider(r.study.job(id))
	}
}

// consider puts a job where its state belongs. It may be called for any job at
// any time.
func (r *runner) consider(j *Job) {
	if _, launched := r.launched[j.ID]; launched || j.Err != nil || r.given[j.ID] || r.arrays.has(j.ID) {
		return
	}
	delete(r.adopted, j.ID)
	switch s := j.Status(); {
	case s.Held: // who releases it says so in the queue
	case s.State.Waiting():
		r.place(j, s.State)
	case s.State == Running:
		r.adopted[j.ID] = j
	case s.State == Lost:
		r.repair(j, s, nil)
	}
}

// place has a job that waits run where it is meant to.
func (r *runner) place(j *Job, state State) {
	if _, delayed := r.delayed[j.ID]; delayed {
		return
	}
	switch p, err := j.place(); {
	case err != nil:
		r.move(j, state, evFailed, reasonData{Config: true, Error: err.Error()})
	case p.Slurm != nil:
		r.arrays.add(j, *p.Slurm)
	default:
		r.enqueue(j, p.Local.Priority)
	}
}

// waiter is a job that waits for this machine.
type waiter struct {
	*Job
	priority int
}

// enqueue puts a job behind all of its priority and of higher ones.
func (r *runner) enqueue(j *Job, priority int) {
	if r.queued[j.ID] {
		return
	}
	r.queued[j.ID] = true
	at := len(r.queue)
	for at > 0 && r.queue[at-1].priority < priority {
		at--
	}
	r.queue = slices.Insert(r.queue, at, &waiter{j, priority})
}

// launch starts workers until enough of them wait for a slot.
func (r *runner) launch(ctx context.Context) {
	for len(r.queue) > 0 && len(r.waiting) < r.ahead {
		j := r.queue[0].Job
		r.queue = r.queue[1:]
		delete(r.queued, j.ID)
		if j.cancelRequested() {
			if err := j.Cancel(); err != nil {
				r.logf("job %s: %v", j.ID, err)
			}
		}
		s := j.Status()
		if !s.State.Waiting() || s.Held {
			r.consider(j)
			continue
		}
		if err := r.dispatch.Launch(ctx, j, r.news); err != nil {
			r.notStarted(j, err)
			continue
		}
		r.waiting[j.ID], r.launched[j.ID] = true, s.Attempt
	}
}

// hear takes in what happened to a worker.
func (r *runner) hear(n news) {
	delete(r.waiting, n.job.ID)
	if !n.gone {
		return
	}
	before := r.launched[n.job.ID]
	delete(r.launched, n.job.ID)
	switch s := n.job.Status(); {
	case s.Held:
	case s.State.Waiting() && (s.Attempt > before+1 || s.Attempt > before && before > 0):
		r.place(n.job, s.State) // it began and was interrupted
	case s.State.Waiting():
		r.notStarted(n.job, n.exit)
	case s.State == Lost:
		r.repair(n.job, s, n.exit)
	default:
		delete(r.failures, n.job.ID)
		r.consider(n.job)
	}
}

// notStarted deals with a worker that could not be started or ended before its
// job did: it is tried again a few times, as it may be for want of memory.
func (r *runner) notStarted(j *Job, cause error) {
	r.failures[j.ID]++
	if r.failures[j.ID] <= r.options.Retries {
		r.delay(j, r.failures[j.ID])
		return
	}
	delete(r.failures, j.ID)
	reason := reasonData{Error: withLog("its worker cannot be started", cause, j)}
	r.move(j, j.Status().State, evFailed, reason)
}

func (r *runner) delay(j *Job, retry int) {
	wait := r.options.Backoff
	for range retry - 1 {
		wait *= 5
	}
	r.delayed[j.ID] = time.Now().Add(wait)
}

// repair sets a lost job pending again, fails it if that was often enough, or
// cancels it if that was asked for.
func (r *runner) repair(j *Job, s Status, cause error) {
	h, err := j.observe(false)
	if err != nil || h.state != Lost {
		r.given[j.ID] = err != nil
		return
	}
	reason := reasonData{Error: withLog(s.Error, cause, j)}
	switch {
	case j.cancelRequested():
		r.move(j, Lost, evCancelled, nil)
	case starved(j):
		r.move(j, Lost, evFailed, reasonData{Error: "it ended for want of memory: give more with mem=, or a smaller batch; " + reason.Error})
	case h.crashes < r.options.Retries:
		r.logf("job %s, attempt %d: %s; it will be tried again", j.ID, s.Attempt, s.Error)
		if r.move(j, Lost, evRetry, reason) {
			r.delay(j, h.crashes+1)
		}
	default:
		reason.Error = fmt.Sprintf("died %d times; the last time: %s", h.crashes+1, reason.Error)
		r.move(j, Lost, evFailed, reason)
	}
}

// starved says whether the last attempt ended at its limit of memory: the next would too.
func starved(j *Job) bool {
	return host.OutOfMemory(j.attemptLog())
}

// move records an event if the job still is in a state. A job that cannot be
// written to is left alone, or the runner would turn in circles.
func (r *runner) move(j *Job, from State, event string, data any) bool {
	err := withLock(j.Paths.Lock(), lockPatience, func() error { return r.moveLocked(j, from, event, data) })
	if errors.Is(err, errLocked) {
		r.adopted[j.ID] = j // somebody runs it after all
		return false
	}
	if err != nil {
		r.given[j.ID] = true
		r.logf("job %s: %v", j.ID, err)
	}
	return err == nil
}

func (r *runner) moveLocked(j *Job, from State, event string, data any) error {
	h, err := j.observe(true)
	if err != nil || h.state != from {
		return err
	}
	if err := j.record(event, data); err != nil {
		return err
	}
	if event == evCancelled {
		return j.clearCancel()
	}
	return nil
}

// withLog says how a worker ended and what it printed last.
func withLog(what string, cause error, j *Job) string {
	if cause != nil {
		what += " (" + cause.Error() + ")"
		if strings.Contains(cause.Error(), "signal: killed") {
			what += ", killed by somebody or for want of memory"
		}
	}
	if log := telling(j.attemptLog(), 15); log != "" {
		what += "; its last lines:\n" + log
	}
	return what
}

// A crash of a Go program begins with one of these; where each goroutine was follows.
var crash = regexp.MustCompile(`(?m)^(fatal error: |panic: |SIG[A-Z]+: |runtime: out of memory|runtime/cgo: )`)

// telling is the part of a log that says why its process ended: its last lines, as of a
// Python traceback, or the first ones of a crash of Go.
func telling(log string, lines int) string {
	if at := crash.FindStringIndex(log); at != nil {
		first := strings.SplitN(strings.TrimSpace(log[at[0]:]), "\n", lines+1)
		return strings.TrimSpace(strings.Join(first[:min(lines, len(first))], "\n"))
	}
	return lastLines(log, lines)
}
