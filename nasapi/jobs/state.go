package jobs

import (
	"encoding/json"
	"fmt"
	"time"
)

// State is where a job stands.
type State string

const (
	Pending      State = "pending"      // waits for a place, or for its next attempt
	Running      State = "running"      // a worker holds its lock
	Checkpointed State = "checkpointed" // told to stop with its state saved; waits to go on from there
	Preempted    State = "preempted"    // told to stop with nothing saved; waits to begin anew
	Done         State = "done"         // has its result
	Failed       State = "failed"       // will not be tried again unless asked
	Cancelled    State = "cancelled"    // stopped on request
	Lost         State = "lost"         // its worker died without a result; the next command repairs that
)

// States are all of them, in the order in which a person wants to read them.
func States() []State {
	return []State{Running, Pending, Checkpointed, Preempted, Done, Failed, Cancelled, Lost}
}

// Final says that nothing happens to the job unless somebody asks for it.
func (s State) Final() bool { return s == Done || s == Failed || s == Cancelled }

// Waiting says that the job is to be started by a runner, or by SLURM.
func (s State) Waiting() bool { return s == Pending || s == Checkpointed || s == Preempted }

// Events that move a job. All others (progress and what handlers report) leave
// its state as it is.
const (
	evQueued       = "queued"
	evStart        = "start"
	evDone         = "done"
	evFailed       = "failed"
	evCancelled    = "cancelled"
	evCheckpointed = "checkpointed"
	evPreempted    = "preempted"
	evCrashed      = "crashed"
	evRetry        = "retry"
	evProgress     = "progress"
)

// move is one row of the table in the package's documentation.
type move struct {
	From  State
	To    State
	Event string
}

var moves = []move{
	{Pending, Running, evStart},
	{Pending, Failed, evFailed},
	{Pending, Cancelled, evCancelled},
	{Checkpointed, Running, evStart},
	{Checkpointed, Failed, evFailed},
	{Checkpointed, Cancelled, evCancelled},
	{Preempted, Running, evStart},
	{Preempted, Failed, evFailed},
	{Preempted, Cancelled, evCancelled},
	{Running, Done, evDone},
	{Running, Failed, evFailed},
	{Running, Cancelled, evCancelled},
	{Running, Checkpointed, evCheckpointed},
	{Running, Preempted, evPreempted},
	{Running, Lost, evCrashed},
	{Lost, Running, evStart},
	{Lost, Pending, evRetry},
	{Lost, Failed, evFailed},
	{Lost, Cancelled, evCancelled},
	{Lost, Pending, evQueued},
	{Failed, Pending, evQueued},
	{Cancelled, Pending, evQueued},
	{Done, Pending, evQueued},
}

// targets is where each event leads. It is the same from every state, which is
// why a log with a damaged line is still understood from its later lines.
var targets = func() map[string]State {
	to := map[string]State{}
	for _, m := range moves {
		to[m.Event] = m.To
	}
	return to
}()

// interruptedBefore is the event that stood for both of checkpointed and preempted in
// version 1 of this package: logs have it, nobody writes it.
const interruptedBefore = "interrupted"

// mayMove says whether the table allows an event in a state. Writers ask it;
// readers believe what is written.
func mayMove(from State, event string) bool {
	for _, m := range moves {
		if m.From == from && m.Event == event {
			return true
		}
	}
	return false
}

// beginsAttempt says that the event belongs to an attempt that is yet to start.
func beginsAttempt(event string) bool {
	return event == evQueued || event == evRetry || event == evCheckpointed || event == evPreempted
}

// Event is one line of events.jsonl.
type Event struct {
	Time    time.Time       `json:"t"`
	Attempt int             `json:"attempt"`
	Kind    string          `json:"event"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Payloads of the events that this package writes.
type (
	startData struct {
		Host    string   `json:"host"`
		PID     int      `json:"pid"`
		Threads int      `json:"threads"`
		Slots   []int    `json:"slots,omitempty"` // of the host; none where SLURM gave the place
		GPUs    []string `json:"gpus,omitempty"`
		Task    string   `json:"task,omitempty"` // of SLURM
		Log     int64    `json:"log,omitempty"`  // bytes that the log had before
	}
	progressData struct {
		Done      int            `json:"done"`
		Total     int            `json:"total"`
		Seconds   float64        `json:"seconds"` // since the attempt's start, by the monotonic clock
		Rate      float64        `json:"rate"`    // per second
		Remaining float64        `json:"remaining"`
		Values    map[string]any `json:"values,omitempty"`
	}
	reasonData struct {
		Error string `json:"error,omitempty"`
		// Config says that trying again cannot help.
		Config bool `json:"config,omitempty"`
		// Late says that the job had been lost, for nobody knows how long.
		Late bool `json:"late,omitempty"`
	}
)

// history is what the events of a job add up to.
type history struct {
	state    State
	attempt  int // the current one, from 1; 0 before the first
	crashes  int // of this job since it was last queued by a person
	start    startData
	progress progressData
	reason   reasonData
	queued   time.Time // by a person, zero if never but by the first submission
	started  time.Time
	ended    time.Time
	skipped  int // damaged lines
	// Seconds for which the job ran: in this attempt up to its last event, and in those
	// before; and the latter times their devices.
	busy, worked, spent float64
}

// devices is how many slots the attempt has, or GPUs if it has any; a task of SLURM counts
// as one.
func (d startData) devices() float64 {
	if len(d.GPUs) > 0 {
		return float64(len(d.GPUs))
	}
	return float64(max(1, len(d.Slots)))
}

// cost is what the job has taken so far, in seconds of a device.
func (h *history) cost() float64 { return h.spent + h.busy*h.start.devices() }

func newHistory() history { return history{state: Pending} }

// apply adds an event. Events of an older attempt come from a writer that lost
// its lock to a failing disk: they no longer count.
func (h *history) apply(e Event) {
	if e.Attempt < h.attempt {
		return
	}
	// Retry, queued and start are of who found it lost, perhaps days later, and so may be the
	// events that have a reason.
	var why reasonData
	if h.state == Running && e.Kind != evRetry && e.Kind != evQueued && e.Kind != evStart && unpack(e.Data, &why) == 0 && !why.Late {
		// By the wall clock, as all attempts are; one that went back says nothing.
		h.busy = max(h.busy, e.Time.Sub(h.started).Seconds())
	}
	if e.Attempt > h.attempt {
		*h = history{state: h.state, attempt: e.Attempt, crashes: h.crashes, skipped: h.skipped, queued: h.queued, worked: h.worked + h.busy, spent: h.cost()}
	}
	if to, ok := targets[e.Kind]; ok {
		h.state = to
	} else if e.Kind == interruptedBefore {
		h.state = Pending
	}
	switch e.Kind {
	case evQueued:
		h.crashes, h.queued = 0, e.Time
	case evRetry:
		h.crashes++
		h.skipped += unpack(e.Data, &h.reason)
	case evStart:
		h.reason = reasonData{}
		h.started, h.ended = e.Time, time.Time{}
		h.skipped += unpack(e.Data, &h.start)
	case evProgress:
		var p progressData
		h.skipped += unpack(e.Data, &p)
		h.progress, h.busy = p, max(h.busy, p.Seconds)
	case evCheckpointed, evPreempted:
		h.skipped += unpack(e.Data, &h.reason)
	case evDone:
		h.ended = e.Time
	case evFailed, evCancelled, evCrashed:
		h.ended = e.Time
		h.skipped += unpack(e.Data, &h.reason)
	}
}

// unpack decodes an event's payload and returns 1 if it is damaged, else 0.
func unpack(data json.RawMessage, into any) int {
	if len(data) == 0 {
		return 0
	}
	if err := json.Unmarshal(data, into); err != nil {
		return 1
	}
	return 0
}

// nextEvent makes the event that moves a job on, with the attempt it belongs
// to, or says that the table has no such move.
func (h *history) nextEvent(kind string, data any) (Event, error) {
	if !mayMove(h.state, kind) {
		return Event{}, fmt.Errorf("a job that is %s takes no event %q", h.state, kind)
	}
	attempt := h.attempt
	switch {
	case beginsAttempt(kind):
		attempt++
	case kind == evStart && (h.attempt == 0 || h.state == Lost):
		attempt++
	}
	return newEvent(attempt, kind, data)
}

func newEvent(attempt int, kind string, data any) (Event, error) {
	e := Event{Time: time.Now().UTC(), Attempt: attempt, Kind: kind}
	if data == nil {
		return e, nil
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return e, fmt.Errorf("event %q: %w", kind, err)
	}
	e.Data = raw
	return e, nil
}
