package jobs

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Task is a job as its handler sees it. Its methods may be called from any
// goroutine of the handler, until the handler returns.
type Task struct {
	Spec    Spec
	Seed    int64
	Attempt int // from 1

	job     *Job
	events  *appender
	started time.Time

	mu      sync.Mutex
	latest  progressData
	due     bool      // latest is not written yet
	written time.Time // when progress was last written
	meter   meter
	grumble bool // a failure to write progress was reported

	checkpoints checkpoints
	data        map[string]string
	device      string
}

// ReadData notes the digest of data that the result depends on, for its provenance.
func (t *Task) ReadData(name, digest string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.data == nil {
		t.data = map[string]string{}
	}
	t.data[name] = digest
}

// Folder is the job's own, for files that belong to it alone.
func (t *Task) Folder() string { return t.job.Paths.Dir }

// Files is a folder for files of the handler's own, which is there. A fresh attempt has an
// empty one.
func (t *Task) Files() (string, error) {
	dir := t.job.Paths.Files()
	return dir, writeError("make the folder", dir, t.job.disk.MkdirAll(dir, 0o755))
}

// Events are those of the job so far, of earlier attempts too.
func (t *Task) Events() ([]Event, error) {
	events, _, err := t.job.Events(0)
	return events, err
}

// Study is the folder of the study that the job belongs to.
func (t *Task) Study() string { return filepath.Dir(filepath.Dir(t.job.Paths.Dir)) }

// RunsOn notes what computes the result, for its provenance: "cpu, avx512, 2 threads".
func (t *Task) RunsOn(device string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.device = device
}

func newTask(r *run) (*Task, error) {
	events, err := openAppender(r.job.disk, r.job.Paths.Events())
	if err != nil {
		return nil, err
	}
	return &Task{
		Spec: r.job.Spec, Seed: r.job.Spec.Seed, Attempt: r.attempt,
		job: r.job, events: events, started: r.started,
		checkpoints: checkpoints{disk: r.job.disk, newest: r.job.Paths.Checkpoint(), older: r.job.Paths.OldCheckpoint()},
	}, nil
}

func (t *Task) close() error { return t.events.close() }

func (t *Task) append(e Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event %q: %w", e.Kind, err)
	}
	return t.events.line(text)
}

// Progress reports that done of total steps are behind the handler, and values
// to show beside that, such as the incumbent. It may be called for every step:
// it is written at most four times a second, in long runs less often, and the
// last report always is.
func (t *Task) Progress(done, total int, values map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.started)
	p := progressData{Done: done, Total: total, Seconds: now.Seconds(), Values: clean(values)}
	p.Rate = t.meter.add(now, done)
	if p.Rate > 0 && total > done {
		p.Remaining = float64(total-done) / p.Rate
	}
	t.latest, t.due = p, true
	if time.Since(t.written) >= t.interval() {
		t.write()
	}
}

// interval is the time between two progress events: it grows with the run so
// that a day's log stays within some megabytes.
func (t *Task) interval() time.Duration {
	return min(max(time.Since(t.started)/2000, 250*time.Millisecond), 5*time.Second)
}

// flush writes progress that waits, if it is time or the last is wanted.
func (t *Task) flush(last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.due && (last || time.Since(t.written) >= t.interval()) {
		t.write()
	}
}

// write writes the latest progress. That it cannot be written does not fail
// the job, whose result may well fit: the log says so, once.
func (t *Task) write() {
	t.due, t.written = false, time.Now()
	e, err := newEvent(t.Attempt, evProgress, t.latest)
	if err == nil {
		err = t.append(e)
	}
	if err != nil && !t.grumble {
		t.grumble = true
		fmt.Fprintf(os.Stderr, "progress of job %s is not shown: %v\n", t.job.ID, err)
	}
}

// clean copies values and spells out what JSON has no number for.
func clean(values map[string]any) map[string]any {
	if len(values) == 0 {
		return nil
	}
	c := make(map[string]any, len(values))
	for key, value := range values {
		if f, ok := value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			value = fmt.Sprint(f)
		}
		c[key] = value
	}
	return c
}

// Event appends an event of the handler's own kind. It is written at once:
// keep it to what is worth reading later.
func (t *Task) Event(kind string, payload any) error {
	if _, reserved := targets[kind]; reserved || kind == evProgress || kind == "" {
		return fmt.Errorf("event %q: this name is kept for the job's own events, choose another", kind)
	}
	e, err := newEvent(t.Attempt, kind, payload)
	if err != nil {
		return err
	}
	return t.append(e)
}

func (t *Task) boundLog() {
	if err := boundFile(t.job.Paths.Log(), t.job.Paths.OldLog(), logLimit); err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !t.grumble {
			t.grumble = true
			fmt.Fprintf(os.Stderr, "the log of job %s cannot be bounded: %v\n", t.job.ID, err)
		}
	}
}

// meter measures a rate over the last seconds, by the monotonic clock.
type meter struct{ samples []sample }

type sample struct {
	at   time.Duration
	done int
}

const (
	meterWindow = 15 * time.Second
	meterStep   = 250 * time.Millisecond // between samples that are kept
)

// add returns the steps a second over the window up to now.
func (m *meter) add(now time.Duration, done int) float64 {
	if len(m.samples) == 0 {
		m.samples = append(m.samples, sample{now, done})
		return 0
	}
	if now-m.samples[len(m.samples)-1].at >= meterStep {
		m.samples = append(m.samples, sample{now, done})
	}
	for len(m.samples) > 2 && now-m.samples[1].at >= meterWindow {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	if span := (now - first.at).Seconds(); span > 0 && done > first.done {
		return float64(done-first.done) / span
	}
	return 0
}
