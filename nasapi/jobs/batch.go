package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Batch is what one request submits: as a rule a search, a job for each seed.
type Batch struct {
	Title  string          // for people
	Config json.RawMessage // what the request was, kept for whoever attaches later
	Specs  []Spec
	// Fresh runs finished jobs again. Their old results are set aside. Jobs
	// that are pending or running are joined as they are.
	Fresh bool
	// On is where the jobs run that are not done, nor running or waiting elsewhere already.
	On Place
	// UsesGPUs says that the jobs can compute on GPUs, so that On may ask for some.
	UsesGPUs bool
}

// BatchHandle is a batch in a study.
type BatchHandle struct {
	ID      string
	Title   string
	Config  json.RawMessage
	Created time.Time
	// Err says why the batch's file cannot be read or written, nil if it can.
	Err error

	study *Study
	jobs  []*Job
	seeds []int64
}

type batchFile struct {
	Schema  int             `json:"schema"`
	ID      string          `json:"id"`
	Title   string          `json:"title"`
	Config  json.RawMessage `json:"config,omitempty"`
	Created time.Time       `json:"created"`
	Jobs    []string        `json:"jobs"`
	// Seeds of the jobs, for whoever attaches when a job.json is damaged.
	Seeds []int64 `json:"seeds,omitempty"`
}

// Submit makes the jobs that do not exist, sets failed and cancelled ones
// pending again, joins all others, and sees to it that a runner is there. It
// returns at once. Where all jobs are done it writes nothing, so that finished
// searches can be read from a folder that is read-only.
func (st *Study) Submit(b Batch) (*BatchHandle, error) {
	ids, err := checkSpecs(b.Specs)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(b.On.checkGPUs(b.UsesGPUs), b.On.Check()); err != nil {
		return nil, err
	}
	if _, err := os.Stat(st.Paths.Version()); errors.Is(err, fs.ErrNotExist) {
		if err := st.create(); err != nil { // somebody removed it since it was opened
			return nil, err
		}
	}
	patience := time.Now().Add(cancelPatience)
	for _, id := range ids {
		if err := st.job(id).letCancel(patience); err != nil {
			return nil, err
		}
	}
	var way *submission
	if b.On.Slurm != nil {
		if way, err = st.toSlurm(b, ids); err != nil {
			return nil, err
		}
	}
	h, queue, err := st.writeBatch(b, ids)
	if err == nil && len(queue) > 0 { // else results can be had without the batch's file
		st.register()
		if err = h.Err; err == nil {
			err = st.look(queue)
		}
	}
	switch {
	case way == nil:
	case err != nil:
		err = errors.Join(err, way.abandon())
	default:
		err = way.finish()
	}
	if err != nil {
		return nil, err
	}
	return h, nil
}

// writeBatch makes or finds the jobs of a batch, and returns those that a runner must look at.
func (st *Study) writeBatch(b Batch, ids []string) (h *BatchHandle, queue [][]byte, err error) {
	h = &BatchHandle{Title: b.Title, Config: b.Config, study: st}
	for i, spec := range b.Specs {
		j, waiting, err := st.submitJob(spec, ids[i], b.On, b.Fresh)
		if err != nil {
			return nil, nil, err
		}
		if waiting {
			queue = append(queue, []byte(j.ID))
		}
		h.jobs, h.seeds = append(h.jobs, j), append(h.seeds, spec.Seed)
	}
	h.Err = st.keepBatch(h, ids)
	return h, queue, nil
}

func checkSpecs(specs []Spec) ([]string, error) {
	if len(specs) == 0 {
		return nil, errors.New("nothing to submit: give at least one job")
	}
	ids := make([]string, len(specs))
	seen := map[string]int{}
	for i, s := range specs {
		data, err := s.Canonical()
		if err != nil {
			return nil, err
		}
		ids[i] = hash(data, 20)
		if first, ok := seen[ids[i]]; ok {
			return nil, fmt.Errorf("jobs %d and %d of the batch are the same (kind %s, seed %d): give each its own seed or configuration", first, i, s.Kind, s.Seed)
		}
		seen[ids[i]] = i
	}
	return ids, nil
}

// cancelPatience is how long a request waits for jobs that are being cancelled.
const cancelPatience = 2 * time.Second

// letCancel waits until a job has followed a request to stop: whoever asks for
// it after that wants it run, and must not join a job that is about to end.
func (j *Job) letCancel(until time.Time) error {
	for j.Err == nil && j.cancelRequested() && !j.Status().State.Final() && time.Now().Before(until) {
		if err := j.Cancel(); err != nil { // at once where no worker has it
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// submitJob makes or finds a job; waiting says that a runner must look at it. Where it is
// to run is written before it can be found, or is pending: a runner that looks in between
// would start it elsewhere.
func (st *Study) submitJob(spec Spec, id string, on Place, fresh bool) (j *Job, waiting bool, err error) {
	j = st.job(id)
	if j.Err != nil {
		if j, err = st.writeSpec(spec, id, on); err != nil {
			return nil, false, err
		}
	}
	s := j.Status().State
	if s == Done && !fresh {
		return j, false, nil
	}
	if err = j.setPlace(on); err == nil && s.Final() {
		err = j.requeue(s == Done)
	}
	if (err == nil || errors.Is(err, fs.ErrNotExist)) && !exists(j.Paths.Spec()) {
		return st.submitJob(spec, id, on, fresh) // Sweep has removed it since it was looked at
	}
	return j, true, err
}

// writeSpec writes job.json, the first time or over a damaged one. Two that do
// so at once write the same, and a power failure that empties the file is
// mended here: there is no need to wait for the disk.
func (st *Study) writeSpec(spec Spec, id string, on Place) (*Job, error) {
	text, err := spec.file()
	if err != nil {
		return nil, err
	}
	paths := st.Paths.Job(id)
	if err := st.disk.MkdirAll(paths.Dir, 0o755); err != nil {
		return nil, writeError("make the folder", paths.Dir, err)
	}
	if err := newJob(st.disk, paths, id).setPlace(on); err != nil {
		return nil, err
	}
	if err := writeAtomic(st.disk, paths.Spec(), text, false); err != nil {
		return nil, err
	}
	j := st.job(id)
	return j, j.Err
}

// requeue sets a job that ended pending again. If somebody else has just done
// so, or runs it already, there is nothing to do.
func (j *Job) requeue(fresh bool) error {
	return unlessLocked(withLock(j.Paths.Lock(), lockPatience, func() error { return j.requeueLocked(fresh) }))
}

func (j *Job) requeueLocked(fresh bool) error {
	h, err := j.observe(true)
	if err != nil {
		return err
	}
	if !mayMove(h.state, evQueued) || h.state == Done && !fresh {
		return nil
	}
	for _, flag := range []string{j.Paths.Cancel(), j.Paths.Hold()} {
		if err := removeFile(j.disk, flag); err != nil {
			return err
		}
	}
	if err := j.record(evQueued, nil); err != nil {
		return err
	}
	if fresh {
		return j.setAside(h.attempt, j.Paths.Result(), j.Paths.Checkpoint(), j.Paths.OldCheckpoint(), j.Paths.Files())
	}
	return nil
}

// setAside moves files of an older attempt out of the way.
func (j *Job) setAside(attempt int, files ...string) error {
	dir := j.Paths.Attempt(attempt)
	for _, file := range files {
		if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := j.disk.MkdirAll(dir, 0o755); err != nil {
			return writeError("make the folder", dir, err)
		}
		if err := j.disk.Rename(file, filepath.Join(dir, filepath.Base(file))); err != nil {
			return writeError("set aside", file, err)
		}
	}
	return nil
}

// keepBatch writes the batch's file unless it says the same already.
func (st *Study) keepBatch(h *BatchHandle, ids []string) error {
	key, err := json.Marshal([]any{h.Title, h.Config, ids})
	if err != nil {
		return fmt.Errorf("batch %q: %w", h.Title, err)
	}
	h.ID = hash(key, 12)
	if old, err := st.readBatch(h.ID); err == nil {
		h.Created = old.Created
		return nil
	}
	h.Created = time.Now().UTC().Truncate(time.Millisecond)
	text, err := json.MarshalIndent(batchFile{Schema, h.ID, h.Title, h.Config, h.Created, ids, h.seeds}, "", "  ")
	if err != nil {
		return fmt.Errorf("batch %q: %w", h.Title, err)
	}
	return writeAtomic(st.disk, st.Paths.Batch(h.ID), append(text, '\n'), false)
}

func (st *Study) readBatch(id string) (batchFile, error) {
	var f batchFile
	data, err := os.ReadFile(st.Paths.Batch(id))
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("%s is damaged (%w): submit the same again to write it anew", st.Paths.Batch(id), err)
	}
	if f.Schema > Schema {
		return f, fmt.Errorf("%s has schema %d: %w", st.Paths.Batch(id), f.Schema, errNewer)
	}
	for _, job := range f.Jobs {
		if !isID(job) {
			return f, fmt.Errorf("%s is damaged (%q is no job id): submit the same again to write it anew", st.Paths.Batch(id), job)
		}
	}
	if f.ID != id || len(f.Jobs) == 0 || f.Seeds != nil && len(f.Seeds) != len(f.Jobs) {
		return f, fmt.Errorf("%s is damaged: submit the same again to write it anew", st.Paths.Batch(id))
	}
	return f, nil
}

// Batches returns all batches, the oldest first. Damaged ones are among them,
// with Err set.
func (st *Study) Batches() ([]*BatchHandle, error) {
	entries, err := os.ReadDir(st.Paths.Batches())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the batches of %s: %w", st.Paths.Dir, err)
	}
	var all []*BatchHandle
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || strings.HasPrefix(id, ".") {
			continue
		}
		f, err := st.readBatch(id)
		h := &BatchHandle{ID: id, Title: f.Title, Config: f.Config, Created: f.Created, Err: err, study: st}
		if err == nil {
			for _, job := range f.Jobs {
				h.jobs = append(h.jobs, st.job(job))
			}
			h.seeds = f.Seeds
		}
		all = append(all, h)
	}
	slices.SortStableFunc(all, func(a, b *BatchHandle) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// Study is where the batch lives.
func (h *BatchHandle) Study() *Study { return h.study }

// Jobs returns the jobs in the order of the Specs.
func (h *BatchHandle) Jobs() []*Job { return slices.Clone(h.jobs) }

// Seeds returns the jobs' seeds in the order of Jobs. They are kept with the
// batch, as a damaged job.json does not tell its seed.
func (h *BatchHandle) Seeds() ([]int64, error) {
	if h.seeds != nil {
		return slices.Clone(h.seeds), nil
	}
	seeds := make([]int64, len(h.jobs))
	for i, j := range h.jobs {
		if j.Err != nil {
			return nil, fmt.Errorf("the seed of job %s is not known (%w): submit the same again to write it anew", j.ID, j.Err)
		}
		seeds[i] = j.Spec.Seed
	}
	return seeds, nil
}

// Statuses returns the jobs' states in the order of Jobs. Where something is
// to be run or repaired it sees to it that a runner is there; that this did
// not succeed is the error, the states are valid all the same.
func (h *BatchHandle) Statuses() ([]Status, error) {
	all := make([]Status, len(h.jobs))
	needed := false
	for i, j := range h.jobs {
		all[i] = j.Status()
		needed = needed || all[i].needsRunner()
	}
	if needed {
		return all, h.study.ensure()
	}
	return all, nil
}

// needsRunner says that a runner has something to do with the job.
func (s Status) needsRunner() bool { return startable(s) || s.State == Lost }

// Wait returns when every job is done, failed or cancelled, or ctx ends; then
// it returns ctx's error and the jobs go on. A failed job is no error of Wait:
// ask its Status.
func (h *BatchHandle) Wait(ctx context.Context) error {
	w := wait{batch: h}
	delay := 5 * time.Millisecond
	for {
		ended, err := w.ended()
		if err != nil || ended {
			return err
		}
		if err := pause(ctx, delay); err != nil {
			return err
		}
		delay = min(delay*5/4, 100*time.Millisecond+time.Duration(len(h.jobs))*time.Millisecond/5)
	}
}

// wait waits for a batch: often for the first job that has not ended, seldom for all, which
// takes long where there are many. A runner that is gone is noticed by the latter.
type wait struct {
	batch *BatchHandle
	done  int       // jobs before this one have ended
	look  time.Time // at all
}

func (w *wait) ended() (bool, error) {
	if now := time.Now(); now.After(w.look) {
		if _, err := w.batch.Statuses(); err != nil {
			return false, err
		}
		w.look = time.Now().Add(LookAgain(time.Since(now)))
	}
	for ; w.done < len(w.batch.jobs); w.done++ {
		s := w.batch.jobs[w.done].Status()
		if s.State.Final() {
			continue
		}
		if s.needsRunner() {
			return false, w.batch.study.ensure()
		}
		return false, nil
	}
	// One of the first may have been asked for again meanwhile.
	all, err := w.batch.Statuses()
	w.done = slices.IndexFunc(all, func(s Status) bool { return !s.State.Final() })
	return w.done < 0, err
}

// LookAgain is how long who watches jobs should wait after a look that took so long: looking
// then takes a small part of a hundredth of a core however many jobs there are, but it never
// starts less often than every ten seconds.
func LookAgain(took time.Duration) time.Duration { return min(400*took, 10*time.Second) }

// Cancel keeps pending jobs from starting and asks running ones to stop. It
// does not wait for them.
func (h *BatchHandle) Cancel() error {
	var errs []error
	for _, j := range h.jobs {
		errs = append(errs, j.Cancel())
	}
	return errors.Join(errs...)
}

// Hold keeps the jobs that wait from being started, those of SLURM as well, until Release.
// What runs goes on.
func (h *BatchHandle) Hold() error { return h.study.Hold(h.jobs...) }

// Release takes Hold back.
func (h *BatchHandle) Release() error { return h.study.Release(h.jobs...) }

// Retry sets the jobs that failed, were cancelled or lost pending again.
func (h *BatchHandle) Retry() error { return h.study.Retry(h.jobs...) }

// Retry sets jobs that failed, were cancelled or lost pending again and starts
// a runner. Others stay as they are.
func (st *Study) Retry(jobs ...*Job) error {
	var queue [][]byte
	for _, j := range jobs {
		if j.Err != nil {
			return fmt.Errorf("job %s cannot be run: %w", j.ID, j.Err)
		}
		if err := j.requeue(false); err != nil {
			return err
		}
		if !j.Status().State.Final() {
			queue = append(queue, []byte(j.ID))
		}
	}
	return st.look(queue)
}

// look has a runner look at jobs.
func (st *Study) look(ids [][]byte) error {
	if len(ids) == 0 {
		return nil
	}
	if err := appendLines(st.disk, st.Paths.Queue(), ids...); err != nil {
		return err
	}
	return st.startRunner()
}

// Hold keeps jobs that wait from being started until Release; others stay as they are.
func (st *Study) Hold(jobs ...*Job) error {
	var queue [][]byte
	for _, j := range jobs {
		if s := j.Status(); j.Err != nil || !s.State.Waiting() || s.Held {
			continue
		}
		if err := writeAtomic(j.disk, j.Paths.Hold(), nil, false); err != nil {
			return err
		}
		queue = append(queue, []byte(j.ID))
	}
	return st.look(queue) // SLURM is to be told
}

// Release has jobs started again that were held.
func (st *Study) Release(jobs ...*Job) error {
	var queue [][]byte
	for _, j := range jobs {
		if !j.held() {
			continue
		}
		if err := removeFile(j.disk, j.Paths.Hold()); err != nil {
			return err
		}
		queue = append(queue, []byte(j.ID))
	}
	return st.look(queue)
}

// Cancel keeps a pending job from starting, or asks its worker to stop and
// returns without waiting for that. A job that ended stays as it is.
func (j *Job) Cancel() error {
	if j.Err != nil || j.Status().State.Final() {
		return nil
	}
	if err := writeAtomic(j.disk, j.Paths.Cancel(), nil, false); err != nil {
		return err
	}
	// Short: a worker, which finds the request, has the lock for long, a reader for microseconds.
	return unlessLocked(withLock(j.Paths.Lock(), 5*time.Millisecond, j.cancelLocked))
}

func (j *Job) cancelLocked() error {
	h, err := j.observe(true)
	if err != nil {
		return err
	}
	if !mayMove(h.state, evCancelled) {
		return j.clearCancel() // it ended just now
	}
	if err := j.record(evCancelled, nil); err != nil {
		return err
	}
	return j.clearCancel()
}
