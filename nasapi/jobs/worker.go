package jobs

import (
	"cmp"
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

	"evalnas/nasapi/host"
	"evalnas/nasapi/jobs/gpu"
	"evalnas/nasapi/jobs/slurm"
)

// Handler runs the jobs of one kind. It returns what becomes the result, which
// must have a JSON form. It stops soon after ctx ends and returns its error.
// Its result may depend on the Task's Spec only: a job that is tried again
// must come to the same.
type Handler func(ctx context.Context, t *Task) (result any, err error)

// ErrBusy says that another worker has the job.
var ErrBusy = errors.New("another worker has this job")

// errUnwanted says that a job is not to be started any more.
var errUnwanted = errors.New("the job has ended or is held")

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
	errTimeLimit   = errors.New("its time limit came near")
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
	// Slots, if not nil, are the host's: the worker waits for as many as the job asks for.
	Slots *Slots
	// Bind has this whole process keep to the cores and the memory of its slots.
	Bind bool
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
		w.Slots, w.Bind, w.Ready = &slots, true, Ready
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
	if !openJob(osDisk{}, Paths{abs}, filepath.Base(abs)).Status().State.Waiting() {
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
	j, err := awaitSpec(ctx, w.disk, abs)
	if err != nil {
		return err
	}
	if j.Err != nil {
		return fmt.Errorf("job %s cannot be run: %w", j.ID, j.Err)
	}
	r := &run{Worker: w, job: j, threads: runtime.GOMAXPROCS(0)}
	if w.Slots != nil {
		share, err := r.takeShare(ctx)
		if errors.Is(err, errUnwanted) {
			return nil // what became of the job is in its folder
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, share.Release()) }()
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
	return r.run(ctx)
}

// takeShare waits for the slots that the job asks for. A process that has Bind set is bound
// to their cores and to the memory that goes with them.
func (r *run) takeShare(ctx context.Context) (*Share, error) {
	place, err := r.job.place()
	if err != nil {
		return nil, err
	}
	n, err := r.Slots.Need(place.Local)
	if err != nil {
		return nil, fmt.Errorf("job %s cannot run here: %w", r.job.ID, err)
	}
	gpus := Wanted{N: place.Local.GPUs}
	if gpus.N > 0 {
		if gpus.Of, err = offered(ctx, gpus.N); err != nil {
			return nil, fmt.Errorf("job %s cannot run here: %w", r.job.ID, err)
		}
	}
	waiting, stop := r.job.whileWanted(ctx)
	share, err := r.Slots.Acquire(waiting, n, gpus)
	stop()
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			err = context.Cause(waiting)
		}
		return nil, fmt.Errorf("no slot for job %s: %w", r.job.ID, err)
	}
	r.share, r.slots = share, share.Slots
	for _, g := range share.GPUs {
		r.gpus = append(r.gpus, g.String())
	}
	if r.Bind {
		r.threads = share.Threads()
		err = share.bind(place.Local)
	}
	if err != nil {
		return nil, errors.Join(err, share.Release())
	}
	return share, nil
}

// wantedEvery is how often a worker that waits for slots looks whether it still should.
const wantedEvery = 250 * time.Millisecond

// whileWanted ends the context once a job that waits for slots has ended, is held or runs
// elsewhere, as one does that an earlier runner has started too. Its worker would keep slots
// idle and all others at the door, for as long as the last of its slots is somebody else's.
func (j *Job) whileWanted(ctx context.Context) (_ context.Context, stop func()) {
	ctx, end := context.WithCancelCause(ctx)
	go func() {
		for pause(ctx, wantedEvery) == nil {
			switch s := j.Status(); {
			case s.State.Final() || s.Held:
				end(errUnwanted)
			case s.State == Running:
				end(ErrBusy)
			}
		}
	}()
	return ctx, func() { end(nil) }
}

// bind keeps this process to its share of the machine.
func (s *Share) bind(l Local) error {
	limit, err := l.limit(s.Memory())
	if err != nil {
		return err
	}
	if limit > 0 {
		if err := host.LimitMemory(limit); err != nil {
			return err
		}
	}
	if cores := s.Cores(); len(cores) > 0 {
		if err := host.Bind(cores); err != nil {
			return err
		}
	}
	// Whoever was given none sees none: they are for those who were.
	for name, value := range gpu.Environment(s.GPUs...) {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	runtime.GOMAXPROCS(s.Threads())
	return nil
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
	share   *Share // nil where SLURM gave the place
	slots   []int
	gpus    []string
	attempt int
	started time.Time
	before  history // the job's, with the start of this attempt
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
	if r.job.held() {
		fmt.Fprintf(os.Stderr, "job %s is held: `evalnas jobs release` has it started\n", r.job.ID)
		return nil // since its worker began to wait for a slot, or SLURM to give it a place
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
		if h.state.Waiting() {
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
	e, err := h.nextEvent(evStart, startData{Host: hostname(), PID: os.Getpid(), Threads: r.threads, Slots: r.slots, GPUs: r.gpus, Task: slurmTask(), Log: sizeOf(r.job.Paths.Log())})
	if err != nil {
		return fmt.Errorf("job %s: %w", r.job.ID, err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	r.attempt, r.started, r.before = e.Attempt, time.Now(), *h
	r.before.apply(e)
	return appendLines(r.job.disk, r.job.Paths.Events(), text)
}

// sizeOf is a file's size, 0 if there is none.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// removeTemps removes half-written files of a killed worker.
func removeTemps(d disk, dir string) error {
	temps, err := filepath.Glob(filepath.Join(dir, ".*.tmp"))
	if err != nil {
		return err
	}
	for _, name := range temps {
		if err := removeFile(d, name); err != nil {
			return err
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
			if errors.Is(context.Cause(ctx), errTimeLimit) {
				ask(errTimeLimit)
			} else {
				ask(errInterrupted)
			}
		case <-grace:
			return nil, errors.Join(context.Cause(inner), errStuck)
		case <-beat.C:
			r.job.touch()
			r.share.touch()
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
		if err = r.writeResult(t, result); err == nil {
			return errors.Join(r.record(t, evDone, nil), r.answered())
		}
	}
	reason := reasonData{Error: lastLines(err.Error(), 20), Config: errors.Is(err, ErrConfig)}
	switch {
	case errors.Is(err, errPanicked):
		return r.record(t, evCrashed, reason)
	case errors.Is(err, errCancelled):
		return errors.Join(r.record(t, evCancelled, nil), r.answered())
	case errors.Is(err, errInterrupted), errors.Is(err, errTimeLimit):
		return r.interrupted(t, err)
	}
	fmt.Fprintf(os.Stderr, "job %s failed: %v\n", r.job.ID, err)
	if werr := r.record(t, evFailed, reason); werr != nil {
		return errors.Join(err, werr)
	}
	return r.answered()
}

// interrupted records that the job was told to stop and waits again: with its state saved,
// in this attempt or an earlier one, or to begin anew.
func (r *run) interrupted(t *Task, why error) error {
	kind := evPreempted
	if _, err := os.Lstat(r.job.Paths.Checkpoint()); err == nil {
		kind = evCheckpointed
	}
	cause := errInterrupted
	if errors.Is(why, errTimeLimit) {
		cause = errTimeLimit
	}
	return r.record(t, kind, reasonData{Error: cause.Error()})
}

// slurmTask is SLURM's name of the task that this process is, "" if it is none.
func slurmTask() string {
	if os.Getenv(slurmVariable) == "" {
		return ""
	}
	if array := os.Getenv("SLURM_ARRAY_JOB_ID"); array != "" {
		return array + "_" + os.Getenv("SLURM_ARRAY_TASK_ID")
	}
	return os.Getenv("SLURM_JOB_ID")
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

func (r *run) writeResult(t *Task, result any) error {
	raw, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("the result of job %s has no JSON form: %w", r.job.ID, err)
	}
	now, spec := time.Now(), r.job.Spec
	seconds := now.Sub(r.started).Seconds()
	h := r.before
	h.busy = seconds
	t.mu.Lock()
	data, device := t.data, t.device
	t.mu.Unlock()
	text, err := json.Marshal(Outcome{
		Schema: Schema, ID: r.job.ID, Attempt: r.attempt,
		Version: fullVersion(r.Version), Go: runtime.Version(),
		Kind: spec.Kind, Numerics: spec.Numerics, Seed: spec.Seed, Config: spec.Config, Data: data,
		Host: hostname(), OS: runtime.GOOS, CPU: runtime.GOARCH, Threads: r.threads,
		Device: cmp.Or(device, "cpu"), Slots: r.slots, GPUs: r.gpus, Task: slurmTask(),
		Started: r.started.UTC(), Ended: now.UTC(),
		Seconds: seconds, Spent: h.cost(), Waited: max(0, now.Sub(r.job.submitted(h)).Seconds()-h.worked-h.busy),
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
