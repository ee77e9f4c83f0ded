package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"evalnas/nasapi/jobs/slurm"
)

// Handler runs the jobs of one kind. It returns what becomes the result, which
// must have a JSON form. It stops soon after ctx ends and returns its error.
// Its result may depend on the Task's Spec only: a job that is tried again
// must come to the same.
type Handler func(ctx context.Context, t *Task) (result any, err error)

// ErrBusy says that another worker has the job.
var ErrBusy = errors.New("another worker has this job")

// ErrConfig marks an error that trying again cannot cure; Config wraps one.
var ErrConfig = errors.New("configuration error")

type configError struct{ err error }

func (e *configError) Error() string        { return e.err.Error() }
func (e *configError) Unwrap() error        { return e.err }
func (e *configError) Is(target error) bool { return target == ErrConfig }

// Config marks err as caused by the configuration.
func Config(err error) error {
	if err == nil {
		return nil
	}
	return &configError{err}
}

// The causes for which a handler's context ends.
var (
	errCancelled   = errors.New("cancelled on request")
	errInterrupted = errors.New("the worker was told to terminate")
	errPanicked    = errors.New("the handler panicked")
	errStuck       = errors.New("the handler did not stop when asked to")
)

const (
	attendEvery = 100 * time.Millisecond // how soon a request to cancel is seen
	stopGrace   = 20 * time.Second       // for a handler to stop in
	logLimit    = 1 << 20                // bytes of stderr.log, and of stderr.old.log
)

// Worker runs one job in this process.
type Worker struct {
	Handlers map[string]Handler
	// Slots, if not nil, are the host's: the worker waits for one.
	Slots *Slots
	// Ready, if not nil, is called when the slot is taken.
	Ready func()
	// Version of the program, for the results' provenance.
	Version string
	// Grace is how long a handler may take to stop; 0 means 20 seconds.
	Grace time.Duration

	disk disk
}

// Work runs the job of a folder in this process, in a slot of this host. It
// returns nil when what became of the job is recorded in the folder, whatever
// that is, and ErrBusy if another worker has it.
func Work(ctx context.Context, dir string, handlers map[string]Handler) error {
	slots, err := HostSlots()
	if err != nil {
		return err
	}
	return Worker{Handlers: handlers, Slots: &slots}.Run(ctx, dir)
}

// Serve is Run as the process that a runner started, or SLURM. A runner's waits for a
// slot of the host and tells when it has one. SLURM's has been given its place; near its
// time limit it saves its state and goes back to SLURM's queue.
func (w Worker) Serve(ctx context.Context, dir string) error {
	if os.Getenv(slurmVariable) == "" {
		slots, err := HostSlots()
		if err != nil {
			return err
		}
		w.Slots, w.Ready = &slots, Ready
		return unlessBusy(w.Run(ctx, dir))
	}
	ctx, nearEnd := untilWarned(ctx)
	if err := unlessBusy(w.Run(ctx, dir)); err != nil || !nearEnd() {
		return err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if openJob(osDisk{}, Paths{abs}, filepath.Base(abs)).Status().State != Pending {
		return nil // it ended in time
	}
	// Where SLURM refuses this the runner submits the job again.
	return slurm.Commands{}.Requeue(context.WithoutCancel(ctx), os.Getenv("SLURM_JOB_ID"))
}

// unlessBusy takes it for well that another worker has the job.
func unlessBusy(err error) error {
	if errors.Is(err, ErrBusy) {
		return nil
	}
	return err
}

// Run is Work with the worker's settings.
func (w Worker) Run(ctx context.Context, dir string) (err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("job folder %s: %w", dir, err)
	}
	if w.disk == nil {
		w.disk = osDisk{}
	}
	j := openJob(w.disk, Paths{abs}, filepath.Base(abs))
	if j.Err != nil {
		return fmt.Errorf("job %s cannot be run: %w", j.ID, j.Err)
	}
	waiting := time.Now()
	threads := runtime.GOMAXPROCS(0)
	if w.Slots != nil {
		slot, err := w.Slots.Acquire(ctx)
		if err != nil {
			return fmt.Errorf("no slot for job %s: %w", j.ID, err)
		}
		defer func() { err = errors.Join(err, slot.Release()) }()
	}
	if w.Ready != nil {
		w.Ready()
	}
	lock, err := takeLock(ctx, j.Paths.Lock(), lockPatience)
	if errors.Is(err, errLocked) {
		return ErrBusy
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	if err := j.awaitSilence(ctx); err != nil {
		return err
	}
	r := &run{Worker: w, job: j, threads: threads, waited: time.Since(waiting)}
	return r.run(ctx)
}

// awaitSilence is for who has the lock of a job that ran on another host, and died there
// or is still alive where locks are not shared: it waits for as long as a worker there may
// take to show itself, and gives up if one does.
func (j *Job) awaitSilence(ctx context.Context) error {
	h, err := j.observe(true)
	if err != nil || h.state != Lost || h.start.Host == "" || h.start.Host == hostname() {
		return err
	}
	touched, err := os.Stat(j.Paths.Lock()) // by this process, which wrote its owner
	if err != nil {
		return err
	}
	for end := time.Now().Add(j.silence / 2); time.Now().Before(end); {
		if err := pause(ctx, min(time.Second, j.silence/20)); err != nil {
			return fmt.Errorf("job %s ran on %s; it could not be waited for whether it still does: %w", j.ID, h.start.Host, err)
		}
		now, err := os.Stat(j.Paths.Lock())
		if err != nil {
			return err
		}
		if !now.ModTime().Equal(touched.ModTime()) {
			return ErrBusy
		}
	}
	return nil
}

// run is one attempt at a job, by the holder of its lock.
type run struct {
	Worker
	job     *Job
	threads int
	waited  time.Duration
	attempt int
	started time.Time
}

func (r *run) run(ctx context.Context) error {
	h, err := r.job.observe(true)
	if err != nil {
		return err
	}
	if h.state.Final() {
		return nil // somebody was faster, or it was cancelled meanwhile
	}
	if r.job.cancelRequested() {
		return r.job.cancelLocked()
	}
	handler, ok := r.Handlers[r.job.Spec.Kind]
	if !ok {
		return r.job.record(evFailed, reasonData{Config: true, Error: fmt.Sprintf("no handler for jobs of kind %q; this program runs %s", r.job.Spec.Kind, kinds(r.Handlers))})
	}
	if err := r.begin(&h); err != nil {
		return err
	}
	t, err := newTask(r)
	if err != nil {
		return err
	}
	result, err := r.attend(ctx, t, handler)
	return errors.Join(r.finish(t, result, err), t.close())
}

// touch shows that the job's worker is alive. Nothing hangs on a single beat.
func (j *Job) touch() {
	now := time.Now()
	_ = os.Chtimes(j.Paths.Lock(), now, now)
}

func kinds(handlers map[string]Handler) string {
	var names []string
	for name := range handlers {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// begin clears what an attempt that died may have left and records the start.
func (r *run) begin(h *history) error {
	if _, err := os.Lstat(r.job.Paths.Result()); err == nil {
		old := h.attempt // of the attempt that left it
		if h.state == Pending {
			old--
		}
		if err := r.job.setAside(max(0, old), r.job.Paths.Result()); err != nil {
			return err
		}
	}
	if h.attempt > 0 {
		if err := removeTemps(r.job.disk, r.job.Paths.Dir); err != nil {
			return err
		}
	}
	e, err := h.nextEvent(evStart, startData{Host: hostname(), PID: os.Getpid(), Threads: r.threads})
	if err != nil {
		return fmt.Errorf("job %s: %w", r.job.ID, err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	r.attempt, r.started = e.Attempt, time.Now()
	return appendLines(r.job.disk, r.job.Paths.Events(), text)
}

// removeTemps removes half-written files of a killed worker.
func removeTemps(d disk, dir string) error {
	temps, err := filepath.Glob(filepath.Join(dir, ".*.tmp"))
	if err != nil {
		return err
	}
	for _, name := range temps {
		if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return writeError("remove", name, err)
		}
	}
	return nil
}

type returned struct {
	result any
	err    error
}

// attend runs the handler and meanwhile looks for a request to cancel, writes
// progress that is due and keeps the log bounded.
func (r *run) attend(ctx context.Context, t *Task, handler Handler) (any, error) {
	inner, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	done := make(chan returned, 1)
	go func() { done <- call(inner, t, handler) }()
	ticker := time.NewTicker(attendEvery)
	defer ticker.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	var grace <-chan time.Time
	end := ctx.Done()
	ask := func(cause error) {
		stop(cause)
		limit := r.Grace
		if limit == 0 {
			limit = stopGrace
		}
		grace = time.After(limit)
	}
	for {
		select {
		case got := <-done:
			return got.result, because(inner, got.err)
		case <-end:
			end = nil
			ask(errInterrupted)
		case <-grace:
			return nil, errors.Join(context.Cause(inner), errStuck)
		case <-beat.C:
			r.job.touch()
		case <-ticker.C:
			t.flush(false)
			t.boundLog()
			if grace == nil && r.job.cancelRequested() {
				ask(errCancelled)
			}
		}
	}
}

// because adds why the context ended to a handler's error.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return errors.Join(err, context.Cause(ctx))
}

// call turns a panic of the handler into an error, its stack into the log.
func call(ctx context.Context, t *Task, handler Handler) (got returned) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n%s", p, debug.Stack())
			got = returned{err: fmt.Errorf("%w: %v", errPanicked, p)}
		}
	}()
	result, err := handler(ctx, t)
	return returned{result, err}
}

// finish records what became of the attempt.
func (r *run) finish(t *Task, result any, err error) error {
	t.flush(true)
	if err == nil {
		if err = r.writeResult(result); err == nil {
			return errors.Join(r.record(t, evDone, nil), r.answered())
		}
	}
	reason := reasonData{Error: lastLines(err.Error(), 20), Config: errors.Is(err, ErrConfig)}
	switch {
	case errors.Is(err, errPanicked):
		return r.record(t, evCrashed, reason)
	case errors.Is(err, errCancelled):
		return errors.Join(r.record(t, evCancelled, nil), r.answered())
	case errors.Is(err, errInterrupted):
		return r.record(t, evInterrupted, nil)
	}
	fmt.Fprintf(os.Stderr, "job %s failed: %v\n", r.job.ID, err)
	if werr := r.record(t, evFailed, reason); werr != nil {
		return errors.Join(err, werr)
	}
	return r.answered()
}

// answered removes a request to cancel that came too late or was followed.
func (r *run) answered() error {
	if r.job.cancelRequested() {
		return r.job.clearCancel()
	}
	return nil
}

func (r *run) record(t *Task, kind string, data any) error {
	attempt := r.attempt
	if beginsAttempt(kind) {
		attempt++
	}
	e, err := newEvent(attempt, kind, data)
	if err != nil {
		return err
	}
	return t.append(e)
}

func (r *run) writeResult(result any) error {
	raw, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("the result of job %s has no JSON form: %w", r.job.ID, err)
	}
	now := time.Now()
	text, err := json.Marshal(Outcome{
		Schema: Schema, ID: r.job.ID, Attempt: r.attempt,
		Version: fullVersion(r.Version), Go: runtime.Version(), Host: hostname(),
		OS: runtime.GOOS, CPU: runtime.GOARCH, Threads: r.threads,
		Started: r.started.UTC(), Ended: now.UTC(),
		Seconds: now.Sub(r.started).Seconds(), Waited: r.waited.Seconds(),
		Result: raw,
	})
	if err != nil {
		return err
	}
	return writeAtomic(r.job.disk, r.job.Paths.Result(), append(text, '\n'), true)
}

// fullVersion adds the commit that the program was built from, where known.
func fullVersion(version string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return strings.TrimSpace(version + " " + s.Value[:min(12, len(s.Value))])
		}
	}
	if version == "" {
		return info.Main.Version
	}
	return version
}

// boundFile keeps a log that others append to below a limit: what there is
// becomes the old log, and the file is emptied. What is appended in between
// the two is lost, and the note says so.
func boundFile(path, old string, limit int64) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= limit {
		return nil
	}
	if err != nil {
		return err
	}
	text := tail(path, limit)
	if err := os.WriteFile(old, []byte(text), 0o644); err != nil {
		return writeError("write", old, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o644)
	if err != nil {
		return writeError("shorten", path, err)
	}
	_, err = io.WriteString(f, fmt.Sprintf("[the log grew past %d KiB; what came before is in %s, as far as it fits]\n", limit>>10, filepath.Base(old)))
	return writeError("shorten", path, errors.Join(err, f.Close()))
}
