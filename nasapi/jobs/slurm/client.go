package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Client is SLURM: Commands, or a fake for tests.
type Client interface {
	// Submit submits a script and returns the array's id.
	Submit(ctx context.Context, script string) (id string, err error)
	// Find returns the id of this user's array of a name, "" if SLURM knows none.
	Find(ctx context.Context, name string) (id string, err error)
	// Tasks lists what SLURM knows of this user's arrays' tasks, by "array_task". What ended
	// long ago is missing.
	Tasks(ctx context.Context) (map[string]Task, error)
	// Ended says how a task ended that Tasks does not list any more, ok false if nothing is known.
	Ended(ctx context.Context, id string) (t Task, ok bool, err error)
	// Cancel cancels tasks or whole arrays.
	Cancel(ctx context.Context, ids ...string) error
	// Hold keeps waiting tasks, or whole arrays, from starting until they are released. One that
	// runs goes on, and waits when it is requeued; one that has ended stays as it is.
	Hold(ctx context.Context, ids ...string) error
	// Release lets tasks that were held start.
	Release(ctx context.Context, ids ...string) error
	// Requeue sends a running task back to the queue.
	Requeue(ctx context.Context, id string) error
}

// Task is a task as SLURM sees it.
type Task struct {
	State  string // SLURM's word: PENDING, RUNNING, TIMEOUT, ...
	Reason string // why it waits, or why it ended
	Node   string // where it runs or ran, "" before
	Exit   string // exit code and signal, "1:0", where known
}

// alive are the states from which a task goes on by itself.
var alive = map[string]bool{
	"PENDING": true, "RUNNING": true, "CONFIGURING": true, "COMPLETING": true, "SUSPENDED": true, "REQUEUED": true,
	"REQUEUE_HOLD": true, "REQUEUE_FED": true, "RESIZING": true, "SIGNALING": true, "STAGE_OUT": true, "STOPPED": true, "SPECIAL_EXIT": true, "RESV_DEL_HOLD": true,
}

// Alive says whether more will come of the task.
func (t Task) Alive() bool { return alive[t.State] }

// Waiting says whether it has not been given a node.
func (t Task) Waiting() bool { return t.Alive() && t.State != "RUNNING" && t.State != "COMPLETING" }

// Held says whether the task waits for somebody to release it.
func (t Task) Held() bool {
	return t.Waiting() && (t.Reason == "JobHeldUser" || t.Reason == "JobHeldAdmin")
}

// Why says in a sentence how a task ended.
func (t Task) Why() string {
	where := ""
	if t.Node != "" {
		where = " on " + t.Node
	}
	switch t.State {
	case "TIMEOUT":
		return "it reached SLURM's time limit" + where
	case "OUT_OF_MEMORY":
		return "SLURM ended it" + where + " for want of memory: give more with mem="
	case "NODE_FAIL", "BOOT_FAIL":
		return "its node failed: " + t.Node
	case "PREEMPTED":
		return "it was preempted" + where
	case "CANCELLED":
		return "it was cancelled in SLURM"
	case "":
		return "SLURM does not know it any more"
	}
	text := "SLURM says " + t.State + where
	if t.Exit != "" && t.Exit != "0:0" {
		text += ", exit code " + t.Exit
	}
	if t.Reason != "" && t.Reason != "None" && t.Reason != t.State {
		text += " (" + t.Reason + ")"
	}
	return text
}

// Commands is SLURM's own programs.
type Commands struct {
	// Patience is how long one of them may take; 0 means a minute.
	Patience time.Duration
}

// ErrMissing says that SLURM's programs are not here.
var ErrMissing = errors.New("this machine is no login node of a SLURM cluster, or its SLURM module is not loaded")

// run runs one of SLURM's programs and passes its words on if it fails.
func (c Commands) run(ctx context.Context, name string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("no %s on the PATH: %w", name, ErrMissing)
	}
	patience := c.Patience
	if patience == 0 {
		patience = time.Minute
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	began := time.Now()
	cmd := exec.CommandContext(ctx, path, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w in %s", errNoAnswer, time.Since(began).Round(100*time.Millisecond))
		}
		return "", &commandError{name, strings.TrimSpace(said.String()), err}
	}
	return out.String(), nil
}

// errNoAnswer says that one of SLURM's programs was stopped before it ended.
var errNoAnswer = errors.New("no answer")

type commandError struct {
	name, said string
	err        error
}

func (e *commandError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("%s: %v", e.name, e.err)
	}
	if errors.Is(e.err, errNoAnswer) {
		return fmt.Sprintf("%s: %v; it said: %s", e.name, e.err, e.said)
	}
	return e.said
}

func (e *commandError) Unwrap() error { return e.err }

// Refusal is sbatch's refusal in its own words, for who stands in for SLURM.
func Refusal(said string) error { return &commandError{"sbatch", said, errors.New("refused")} }

// Refused says whether err is SLURM's refusal of what was asked, so that asking again
// brings nothing.
func Refused(err error) bool {
	var e *commandError
	// One that was stopped may have complained of having to wait; that is no answer either.
	if !errors.As(err, &e) || e.name != "sbatch" || errors.Is(err, errNoAnswer) {
		return false
	}
	for _, passing := range []string{"Unable to contact", "Socket timed out", "temporarily", "try again", "Zero Bytes", "Connection refused", "no answer"} {
		if strings.Contains(e.said, passing) {
			return false
		}
	}
	return e.said != ""
}

var idForm = regexp.MustCompile(`^\d+(;\S+)?$`)

func (c Commands) Submit(ctx context.Context, script string) (string, error) {
	out, err := c.run(ctx, "sbatch", "--parsable", script)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(out)
	if !idForm.MatchString(id) {
		return "", fmt.Errorf("sbatch answered %q where the number of a job was expected", id)
	}
	id, _, _ = strings.Cut(id, ";")
	return id, nil
}

// myself is this user as squeue takes it.
func myself() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("cannot find this user's number for squeue: %w", err)
	}
	return u.Uid, nil
}

func (c Commands) Find(ctx context.Context, name string) (string, error) {
	me, err := myself()
	if err != nil {
		return "", err
	}
	out, err := c.run(ctx, "squeue", "--noheader", "--states=all", "--user="+me, "--name="+name, "--format=%F")
	if err != nil {
		return "", err
	}
	if ids := strings.Fields(out); len(ids) > 0 {
		return ids[0], nil
	}
	return "", nil
}

// taskFormat is array, task, state, node and reason. The reason is last, as it may have anything in it.
const taskFormat = "%F|%K|%T|%N|%r"

func (c Commands) Tasks(ctx context.Context) (map[string]Task, error) {
	me, err := myself()
	if err != nil {
		return nil, err
	}
	out, err := c.run(ctx, "squeue", "--noheader", "--array", "--states=all", "--user="+me, "--format="+taskFormat)
	if err != nil {
		return nil, err
	}
	return ParseTasks(out), nil
}

// ParseTasks reads squeue's list of array tasks; other lines are left out.
func ParseTasks(out string) map[string]Task {
	tasks := map[string]Task{}
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSpace(line), "|", 5)
		if len(f) != 5 {
			continue
		}
		if _, err := strconv.Atoi(f[1]); err != nil {
			continue // no task of an array
		}
		tasks[f[0]+"_"+f[1]] = Task{State: f[2], Node: f[3], Reason: f[4]}
	}
	return tasks
}

// Ended asks the accounting if there is one, else the controller, which remembers for a few
// minutes.
func (c Commands) Ended(ctx context.Context, id string) (Task, bool, error) {
	if out, err := c.run(ctx, "sacct", "--noheader", "--allocations", "--parsable2", "--jobs="+id, "--format=State,NodeList,ExitCode"); err == nil {
		if t, ok := ParseAccount(out); ok {
			return t, true, nil
		}
	}
	out, err := c.run(ctx, "scontrol", "show", "job", "--oneliner", id)
	if err != nil {
		// Of a task that was taken out of a waiting array it says nothing at all.
		var e *commandError
		if errors.As(err, &e) && (e.said == "" || strings.Contains(e.said, "Invalid job id")) && ctx.Err() == nil && !errors.Is(err, errNoAnswer) {
			return Task{}, false, nil
		}
		return Task{}, false, err
	}
	t, ok := ParseJob(out)
	return t, ok, nil
}

// ParseAccount reads a line of sacct: "CANCELLED by 0|node|0:15".
func ParseAccount(out string) (Task, bool) {
	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	f := strings.Split(line, "|")
	if len(f) != 3 {
		return Task{}, false
	}
	state, by, _ := strings.Cut(f[0], " ")
	return Task{State: state, Reason: by, Node: f[1], Exit: f[2]}, state != ""
}

// ParseJob reads scontrol's description of a job.
func ParseJob(out string) (Task, bool) {
	fields := map[string]string{}
	for _, word := range strings.Fields(out) {
		if name, value, ok := strings.Cut(word, "="); ok {
			if _, known := fields[name]; !known {
				fields[name] = value
			}
		}
	}
	t := Task{State: fields["JobState"], Reason: fields["Reason"], Node: fields["NodeList"], Exit: fields["ExitCode"]}
	if t.Node == "(null)" {
		t.Node = ""
	}
	return t, t.State != ""
}

// idsAtOnce is how many ids a program is given: a command line has an end.
const idsAtOnce = 500

// inParts calls do with some of the ids at a time until one call fails.
func inParts(ids []string, do func(ids ...string) error) error {
	for part := range slices.Chunk(ids, idsAtOnce) {
		if err := do(part...); err != nil {
			return err
		}
	}
	return nil
}

func (c Commands) Cancel(ctx context.Context, ids ...string) error {
	return inParts(ids, func(ids ...string) error {
		_, err := c.run(ctx, "scancel", ids...)
		if err != nil && strings.Contains(err.Error(), "already completing or completed") {
			return nil
		}
		return err
	})
}

func (c Commands) Hold(ctx context.Context, ids ...string) error {
	// As uhold, so that this user may release it even where it is root.
	return c.control(ctx, "uhold", ids)
}

func (c Commands) Release(ctx context.Context, ids ...string) error {
	return c.control(ctx, "release", ids)
}

// control does something to tasks with scontrol, which goes on after one that has ended.
func (c Commands) control(ctx context.Context, what string, ids []string) error {
	return inParts(ids, func(ids ...string) error {
		_, err := c.run(ctx, "scontrol", what, strings.Join(ids, ","))
		var e *commandError
		if !errors.As(err, &e) || e.said == "" {
			return err
		}
		for line := range strings.Lines(e.said) {
			if !endedLine.MatchString(line) {
				return err
			}
		}
		return nil
	})
}

// endedLine is what scontrol says of a task that has ended, and then of the others.
var endedLine = regexp.MustCompile(`already finished|Invalid job id|No error`)

func (c Commands) Requeue(ctx context.Context, id string) error {
	_, err := c.run(ctx, "scontrol", "requeue", id)
	return err
}
