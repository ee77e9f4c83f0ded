package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// Job is one folder of a study. Its methods may be called from any goroutine;
// they read only what was added since the last call.
type Job struct {
	ID    string
	Spec  Spec
	Paths Paths
	// Err says why job.json cannot be used, nil if it can. Such a job is not
	// run; what else is in its folder stays readable.
	Err error

	disk disk
	made time.Time // when job.json was written

	silence time.Duration // silenceAfter; tests shorten it

	mu     sync.Mutex
	hist   history
	offset int64
	result resultMeta
	pulse  pulse
}

// A worker shows that it is alive by touching its job's lock. Where another host's lock
// cannot be seen, which depends on how the disk is shared, this is all that is known of it.
// Clocks of two hosts are not compared: what counts is that the time changes.
const (
	beatEvery    = 10 * time.Second
	silenceAfter = 60 * time.Second
)

// pulse is the last beat that was seen, and when.
type pulse struct {
	beat time.Time
	seen time.Time
}

// Status is a job's state at one moment. Figures are those of the current
// attempt.
type Status struct {
	State   State
	Attempt int // from 1; 0 before the first
	// Done of Total steps; both 0 before the handler's first report.
	Done, Total int
	Rate        float64       // steps a second, 0 if not known
	Remaining   time.Duration // expected, 0 if not known
	// Values are the latest that the handler reported, such as the incumbent.
	Values         map[string]any
	Started, Ended time.Time // zero if not yet
	Host           string    // where it runs or ran
	PID            int
	Slots          []int    // of the host that it has or had, none where SLURM gave the place
	GPUs           []string // of the host
	Task           string   // of SLURM that it is or was, "" if none
	// Retries is how often its worker died, or could not be started, and it was tried
	// again since it was last asked for.
	Retries int
	// Held says that it waits and is not to be started.
	Held bool
	// Spent is what all attempts so far have taken of a device: a slot of this machine, or
	// what SLURM gave a task.
	Spent time.Duration
	// Error says what failed, or why the last attempt did not succeed.
	Error string
	// Skipped is the number of damaged lines in events.jsonl.
	Skipped int
}

// Tries is how often it was begun, as far as that counts: an attempt that waits was not.
func (s Status) Tries() int {
	if s.State.Waiting() {
		return max(0, s.Attempt-1)
	}
	return s.Attempt
}

// CountHeld is how many of the jobs are held.
func CountHeld(all []*Job) int {
	n := 0
	for _, j := range all {
		if j.Status().Held {
			n++
		}
	}
	return n
}

// Outcome is the content of result.json: the result and where it came from.
type Outcome struct {
	Schema  int    `json:"schema"`
	ID      string `json:"id"`
	Attempt int    `json:"attempt"`
	Version string `json:"version"` // of the program
	Go      string `json:"go"`
	// What was run: all that the result depends on.
	Kind     string          `json:"kind"`
	Numerics int             `json:"numerics"`
	Seed     int64           `json:"seed"`
	Config   json.RawMessage `json:"config"`
	// Data are the digests of what was read, by name.
	Data map[string]string `json:"data,omitempty"`
	// Where it was run.
	Host    string   `json:"host"`
	OS      string   `json:"os"`
	CPU     string   `json:"cpu"`    // architecture
	Device  string   `json:"device"` // that computed it
	Threads int      `json:"threads"`
	Slots   []int    `json:"slots,omitempty"` // of the host
	GPUs    []string `json:"gpus,omitempty"`
	Task    string   `json:"task,omitempty"` // of SLURM
	// When. Seconds are of the last attempt, by the monotonic clock; Spent are those of
	// all attempts, times their devices; Waited are those from the submission to the end
	// in which no attempt was running, by the wall clock.
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended"`
	Seconds float64         `json:"seconds"`
	Spent   float64         `json:"spent"`
	Waited  float64         `json:"waited"`
	Result  json.RawMessage `json:"result"`
}

// resultMeta remembers what was found in a result.json of a size and time.
type resultMeta struct {
	known   bool
	size    int64
	time    time.Time
	attempt int
	ended   time.Time
	err     error // fs.ErrNotExist where there is none
}

func newJob(d disk, paths Paths, id string) *Job {
	return &Job{ID: id, Paths: paths, disk: d, hist: newHistory(), silence: silenceAfter}
}

// openJob reads a job's folder. Damage is in Err, not an error.
func openJob(d disk, paths Paths, id string) *Job {
	j := newJob(d, paths, id)
	if info, err := os.Stat(paths.Spec()); err == nil { // before it is read: a later one is seen
		j.made = info.ModTime()
	}
	data, err := os.ReadFile(paths.Spec())
	if err != nil {
		j.Err = fmt.Errorf("job.json cannot be read: %w", err)
		return j
	}
	j.Spec, j.Err = decodeSpec(data, id)
	return j
}

// Status reads where the job stands.
func (j *Job) Status() Status {
	h, err := j.observe(false)
	if err != nil {
		return Status{State: Failed, Error: err.Error()}
	}
	s := Status{
		State: h.state, Attempt: h.attempt,
		Done: h.progress.Done, Total: h.progress.Total, Rate: h.progress.Rate,
		Remaining: time.Duration(h.progress.Remaining * float64(time.Second)),
		Values:    h.progress.Values,
		Started:   h.started, Ended: h.ended,
		Host: h.start.Host, PID: h.start.PID, Slots: h.start.Slots, GPUs: h.start.GPUs, Task: h.start.Task,
		Retries: h.crashes, Held: h.state.Waiting() && j.held(),
		Spent: time.Duration(h.cost() * float64(time.Second)),
		Error: h.reason.Error, Skipped: h.skipped,
	}
	if s.State.Final() {
		s.Remaining = 0
	}
	if j.Err != nil && !s.State.Final() {
		s.State, s.Error = Failed, j.Err.Error()
	}
	return s
}

// observe adds to the history what the other files say. owned is true where
// the caller holds the job's lock, so that nobody can be running it.
//
// The order matters: a worker writes its last event before it frees its lock,
// so only events that were read after the lock was seen free are the last.
func (j *Job) observe(owned bool) (history, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		if err := j.update(); err != nil {
			return history{}, err
		}
		h := j.judge()
		if h.state != Running {
			return h, nil
		}
		held := false
		if !owned {
			var err error
			if held, err = isHeld(j.Paths.Lock()); err != nil {
				return history{}, fmt.Errorf("cannot see whether job %s is running: %w", j.ID, err)
			}
		}
		if held || !owned && h.start.Host != hostname() && j.beats() {
			return h, nil
		}
		before := h.attempt
		if err := j.update(); err != nil {
			return history{}, err
		}
		if h = j.judge(); h.state == Running && h.attempt == before {
			h.state = Lost
			h.reason.Error = "the worker died without a result"
			return h, nil
		}
	}
}

// beats says whether a worker on another host has shown itself lately, or may have: it is
// given the benefit of the doubt from the first look on. The mutex is held.
func (j *Job) beats() bool {
	info, err := os.Stat(j.Paths.Lock())
	if err != nil {
		return false
	}
	if now := time.Now(); !info.ModTime().Equal(j.pulse.beat) || j.pulse.seen.IsZero() {
		j.pulse = pulse{info.ModTime(), now}
	}
	return time.Since(j.pulse.seen) < j.silence
}

// judge weighs the result against the events: a result of the current attempt
// counts even if its worker died before it could say so, and without a result
// nothing is done. It is called with the mutex held.
func (j *Job) judge() history {
	h := j.hist
	switch r := j.result; {
	case r.err == nil && r.attempt >= h.attempt:
		h.state, h.attempt = Done, r.attempt
		h.reason = reasonData{}
		if h.ended.IsZero() {
			h.ended = r.ended
		}
	case h.state == Done && errors.Is(r.err, errNewer):
		h.state = Failed // not lost: it must not be overwritten
		h.reason.Error = r.err.Error()
	case h.state == Done && errors.Is(r.err, fs.ErrNotExist):
		h.state = Lost
		h.reason.Error = "result.json is missing; the job will be run again"
	case h.state == Done:
		h.state = Lost
		h.reason.Error = "result.json is not the one of the last attempt; the job will be run again"
		if r.err != nil {
			h.reason.Error = r.err.Error()
		}
	}
	return h
}

// update reads what was added to the folder; the mutex is held.
func (j *Job) update() error {
	info, err := os.Stat(j.Paths.Events())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		j.hist, j.offset = newHistory(), 0
	case err != nil:
		return err
	case info.Size() != j.offset:
		j.offset, err = readEvents(j.Paths.Events(), j.offset, func(e Event, ok bool) {
			if ok {
				j.hist.apply(e)
			} else {
				j.hist.skipped++
			}
		}, func() { j.hist = newHistory() })
		if err != nil {
			return fmt.Errorf("events of job %s: %w", j.ID, err)
		}
	}
	j.updateResult()
	return nil
}

func (j *Job) updateResult() {
	info, err := os.Stat(j.Paths.Result())
	if err != nil {
		j.result = resultMeta{err: err}
		return
	}
	if j.result.known && j.result.size == info.Size() && j.result.time.Equal(info.ModTime()) {
		return
	}
	o, err := readOutcome(j.Paths.Result(), j.ID)
	j.result = resultMeta{known: true, size: info.Size(), time: info.ModTime(), attempt: o.Attempt, ended: o.Ended, err: err}
}

func readOutcome(path, id string) (Outcome, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Outcome{}, err
	}
	return decodeOutcome(data, id)
}

func decodeOutcome(data []byte, id string) (Outcome, error) {
	var o Outcome
	if len(bytes.TrimSpace(data)) == 0 {
		return o, errors.New("result.json is empty; the job will be run again")
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return Outcome{}, fmt.Errorf("result.json is damaged (%w); the job will be run again", err)
	}
	switch {
	case o.Schema > Schema:
		return Outcome{}, fmt.Errorf("result.json has schema %d: %w", o.Schema, errNewer)
	case o.ID != id:
		return Outcome{}, fmt.Errorf("result.json belongs to job %q, its folder is %q; the job will be run again", o.ID, id)
	case o.Attempt < 1 || len(o.Result) == 0:
		return Outcome{}, errors.New("result.json is incomplete; the job will be run again")
	}
	return o, nil
}

// Result returns what the handler returned, as JSON. It is an error if the job
// is not done.
func (j *Job) Result() (json.RawMessage, error) {
	o, err := j.Outcome()
	return o.Result, err
}

// Outcome returns the result with its provenance.
func (j *Job) Outcome() (Outcome, error) {
	if s := j.Status(); s.State != Done {
		if s.Error != "" {
			return Outcome{}, fmt.Errorf("job %s has no result, it is %s: %s", j.ID, s.State, s.Error)
		}
		return Outcome{}, fmt.Errorf("job %s has no result, it is %s", j.ID, s.State)
	}
	o, err := readOutcome(j.Paths.Result(), j.ID)
	if err != nil {
		return Outcome{}, fmt.Errorf("job %s: %w", j.ID, err)
	}
	return o, nil
}

// Events returns the events from a byte offset on (0: all), of all attempts,
// and the offset to go on from. Damaged lines are left out; a last line that
// is not complete yet comes with a later call.
func (j *Job) Events(after int64) ([]Event, int64, error) {
	var events []Event
	next, err := readEvents(j.Paths.Events(), after, func(e Event, ok bool) {
		if ok {
			events = append(events, e)
		}
	}, func() { events = nil })
	if err != nil {
		err = fmt.Errorf("events of job %s: %w", j.ID, err)
	}
	return events, next, err
}

// Log returns the last lines that the job's workers printed.
func (j *Job) Log(lines int) string {
	text := tail(j.Paths.Log(), 256<<10)
	if strings.Count(text, "\n") < lines {
		text = tail(j.Paths.OldLog(), 256<<10) + text
	}
	return lastLines(text, lines)
}

// attemptLog is what the worker of the last attempt that started printed, as far as it is
// kept; all that there is where none started.
func (j *Job) attemptLog() string {
	j.mu.Lock()
	from := j.hist.start.Log
	j.mu.Unlock()
	all := int64(1 << 18)
	if size := sizeOf(j.Paths.Log()); size >= from { // else it was shortened since
		all = min(all, size-from)
	}
	return tail(j.Paths.Log(), all)
}

// tail returns the last bytes of a file, "" if it cannot be read.
func tail(path string, n int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > n {
		if _, err := f.Seek(-n, io.SeekEnd); err != nil {
			return ""
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, n))
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(data), "\uFFFD")
}

func lastLines(text string, n int) string {
	text = strings.TrimRight(text, "\n")
	if text == "" || n <= 0 {
		return ""
	}
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// record appends an event that moves the job. The caller holds its lock.
func (j *Job) record(kind string, data any) error {
	h, err := j.observe(true)
	if err != nil {
		return err
	}
	if why, ok := data.(reasonData); h.state == Lost && (ok || data == nil) {
		why.Late = true
		data = why
	}
	e, err := h.nextEvent(kind, data)
	if err != nil {
		return fmt.Errorf("job %s: %w", j.ID, err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("job %s: %w", j.ID, err)
	}
	return appendLines(j.disk, j.Paths.Events(), text)
}

// cancelRequested says whether somebody asked for the job to stop.
func (j *Job) cancelRequested() bool {
	_, err := os.Lstat(j.Paths.Cancel())
	return err == nil
}

// clearCancel takes the request back, once it is answered.
func (j *Job) clearCancel() error { return removeFile(j.disk, j.Paths.Cancel()) }

// held says whether somebody does not want it started.
func (j *Job) held() bool {
	_, err := os.Lstat(j.Paths.Hold())
	return err == nil
}

// submitted is when a person last asked for it to be run, as well as the files tell.
func (j *Job) submitted(h history) time.Time {
	if !h.queued.IsZero() {
		return h.queued
	}
	info, err := os.Stat(j.Paths.Spec())
	if err != nil {
		return h.started
	}
	return info.ModTime()
}
