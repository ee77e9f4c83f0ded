//go:build !windows

package slurmtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evalnas/nasapi/jobs/slurm"
)

// Fake is a SLURM inside this process, for what a real one of one node cannot be made to do.
// It runs the tasks of a script with bash, some at a time, and says of them what SLURM says.
// Where SLURM waits, as before it starts what was requeued, it does not.
//
// Each running task has one goroutine, that waits for its process; Close ends both.
type Fake struct {
	dir   string // scripts as they were taken, and the tasks' scontrol
	cores int

	mu      sync.Mutex
	running sync.WaitGroup
	closed  bool
	last    int // number that a job was given
	arrays  []*fakeArray

	lost    int // answers of sbatch that will not arrive
	deaf    int // questions that will not be answered
	limit   int // of scripts that are taken; 0: none
	delay   time.Duration
	forgets bool
	drained string // why the node takes no tasks
	hidden  []string
}

// fakeArray is what was submitted at once.
type fakeArray struct {
	id     string
	script string
	head   header
	tasks  []*fakeTask
}

// fakeTask is one process at a time: the first, and one for each time that it was requeued.
type fakeTask struct {
	slurm.Task
	id      string // "12_3"
	job     int    // SLURM_JOB_ID
	index   int
	array   *fakeArray
	process *os.Process // while it runs
	verdict string      // the state that its end will be; "": as the process ends
	gone    bool        // SLURM does not know it any more
	held    bool
	starts  int
}

// the node's name, and how long a task may take to end when it is told to.
const (
	fakeNode = "fake1"
	killWait = 10 * time.Second
)

// NewFake starts a SLURM that runs so many tasks at a time, until the test ends.
func NewFake(t testing.TB, cores int) *Fake {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not at hand")
	}
	dir, err := os.MkdirTemp("", "slurm-fake")
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{dir: dir, cores: cores}
	t.Cleanup(func() {
		f.Close()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "scontrol"), []byte(taskControl), 0o755); err != nil {
		t.Fatal(err)
	}
	return f
}

// taskControl is the scontrol that tasks find. A requeue is done when the task has ended,
// which is what a task does that asks for its own.
const taskControl = `#!/bin/sh
[ "$1" = requeue ] || { echo "scontrol: a task's can requeue alone, not $1" >&2; exit 1; }
: >"${0%/bin/scontrol}/requeue.$2"
`

// Close kills what runs and waits until it has ended. It may be called twice.
func (f *Fake) Close() {
	f.mu.Lock()
	f.closed = true
	f.each(func(t *fakeTask) {
		if t.process != nil {
			t.signal(syscall.SIGKILL)
		}
	})
	f.mu.Unlock()
	f.running.Wait()
}

// LoseAnswers has the next n scripts submitted, and sbatch say that it got no answer.
func (f *Fake) LoseAnswers(n int) { f.set(func() { f.lost = n }) }

// Deafen has the next n questions fail, as without a controller.
func (f *Fake) Deafen(n int) { f.set(func() { f.deaf = n }) }

// RefuseAfter has no script be taken after n more.
func (f *Fake) RefuseAfter(n int) { f.set(func() { f.limit = len(f.arrays) + n }) }

// Delay has every answer take its time.
func (f *Fake) Delay(d time.Duration) { f.set(func() { f.delay = d }) }

// Forget has ended tasks be forgotten at once, and those that ended before.
func (f *Fake) Forget() {
	f.set(func() {
		f.forgets = true
		f.each(func(t *fakeTask) { t.gone = t.gone || !t.Alive() })
	})
}

// Drain keeps waiting tasks from starting, for a reason that they show; "" resumes the node.
func (f *Fake) Drain(reason string) { f.set(func() { f.drained = reason }) }

// Hide has the tasks that are submitted from now on not see a folder, or a file.
func (f *Fake) Hide(path string) { f.set(func() { f.hidden = append(f.hidden, path) }) }

// Kill ends a running task by force with a state: NODE_FAIL, OUT_OF_MEMORY, BOOT_FAIL.
func (f *Fake) Kill(id, state string) error { return f.end(id, state, syscall.SIGKILL) }

// Terminate tells a running task to end, and gives it a state when it has: TIMEOUT, PREEMPTED.
func (f *Fake) Terminate(id, state string) error { return f.end(id, state, syscall.SIGTERM) }

// Warn sends a running task the signal that its script asked for before its time limit.
func (f *Fake) Warn(id string) error { return f.end(id, "", syscall.SIGUSR1) }

// State is a task's state at once, "" if SLURM does not know it.
func (f *Fake) State(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.find(id); t != nil {
		return t.State
	}
	return ""
}

func (f *Fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.schedule()
}

func (f *Fake) end(id, verdict string, s syscall.Signal) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.find(id)
	if t == nil || t.process == nil {
		return fmt.Errorf("fake SLURM: the task %s does not run", id)
	}
	f.stop(t, verdict, s)
	return nil
}

// each visits all tasks; the mutex is held.
func (f *Fake) each(visit func(t *fakeTask)) {
	for _, a := range f.arrays {
		for _, t := range a.tasks {
			visit(t)
		}
	}
}

func (f *Fake) find(id string) (found *fakeTask) {
	f.each(func(t *fakeTask) {
		if t.id == id && !t.gone {
			found = t
		}
	})
	return found
}

// answer is how every question begins: after a while, or not at all.
func (f *Fake) answer(ctx context.Context) error {
	f.mu.Lock()
	delay := f.delay
	deaf := f.deaf > 0
	f.deaf = max(0, f.deaf-1)
	f.mu.Unlock()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	if deaf {
		return errors.New("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
	}
	return nil
}

func (f *Fake) Submit(ctx context.Context, script string) (string, error) {
	if err := f.answer(ctx); err != nil {
		return "", err
	}
	text, err := os.ReadFile(script)
	if err != nil {
		return "", slurm.Refusal("sbatch: error: Unable to open file " + script)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	a, err := f.take(f.veil(string(text)))
	if err != nil {
		return "", err
	}
	f.schedule()
	if f.lost > 0 {
		f.lost--
		return "", errors.New("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
	}
	return a.id, nil
}

// take keeps a script as sbatch does, so that the file may change or go.
func (f *Fake) take(text string) (*fakeArray, error) {
	if f.closed {
		return nil, errors.New("fake SLURM: closed")
	}
	head, err := readHeader(text)
	if err != nil {
		return nil, err
	}
	if f.limit > 0 && len(f.arrays) >= f.limit {
		return nil, slurm.Refusal("sbatch: error: QOSMaxSubmitJobPerUserLimit: too many jobs")
	}
	a := &fakeArray{id: strconv.Itoa(f.last + 1), head: head}
	a.script = filepath.Join(f.dir, a.id+".sh")
	if err := os.WriteFile(a.script, []byte(text), 0o644); err != nil {
		return nil, err
	}
	for i := range head.tasks {
		f.last++
		t := &fakeTask{id: fmt.Sprintf("%s_%d", a.id, i), job: f.last, index: i, array: a}
		t.Task = slurm.Task{State: "PENDING", Reason: "None"}
		a.tasks = append(a.tasks, t)
	}
	f.arrays = append(f.arrays, a)
	return a, nil
}

// veil leads paths that are hidden into nothing.
func (f *Fake) veil(text string) string {
	for _, path := range f.hidden {
		text = strings.ReplaceAll(text, path, path+".hidden")
	}
	return text
}

func (f *Fake) Find(ctx context.Context, name string) (id string, err error) {
	if err := f.answer(ctx); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.each(func(t *fakeTask) {
		if t.array.head.name == name && !t.gone {
			id = cmp.Or(id, t.array.id)
		}
	})
	return id, nil
}

func (f *Fake) Tasks(ctx context.Context) (map[string]slurm.Task, error) {
	if err := f.answer(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]slurm.Task{}
	f.each(func(t *fakeTask) {
		if !t.gone {
			all[t.id] = slurm.Task{State: t.State, Reason: t.Reason, Node: t.Node}
		}
	})
	return all, nil
}

func (f *Fake) Ended(ctx context.Context, id string) (slurm.Task, bool, error) {
	if err := f.answer(ctx); err != nil {
		return slurm.Task{}, false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.find(id); t != nil {
		return t.Task, true, nil
	}
	return slurm.Task{}, false, nil
}

// Cancel takes waiting tasks out of their arrays and ends running ones.
func (f *Fake) Cancel(ctx context.Context, ids ...string) error {
	return f.command(ctx, ids, func(t *fakeTask) {
		if t.process == nil {
			t.State, t.gone = "CANCELLED", true
			return
		}
		f.stop(t, "CANCELLED", syscall.SIGTERM)
	})
}

func (f *Fake) Requeue(ctx context.Context, id string) error {
	return f.command(ctx, []string{id}, func(t *fakeTask) {
		if t.process == nil {
			t.wait("BeginTime")
			return
		}
		f.stop(t, "REQUEUED", syscall.SIGTERM)
	})
}

func (f *Fake) Hold(ctx context.Context, ids ...string) error {
	return f.command(ctx, ids, func(t *fakeTask) { t.held = true })
}

func (f *Fake) Release(ctx context.Context, ids ...string) error {
	return f.command(ctx, ids, func(t *fakeTask) { t.held = false })
}

// command does something to the tasks, or to whole arrays, that have not ended.
func (f *Fake) command(ctx context.Context, ids []string, do func(t *fakeTask)) error {
	if err := f.answer(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.each(func(t *fakeTask) {
		if t.Alive() && !t.gone && (slices.Contains(ids, t.id) || slices.Contains(ids, t.array.id)) {
			do(t)
		}
	})
	f.schedule()
	return nil
}

// schedule starts what may start, in the order in which it was submitted; the mutex is held.
func (f *Fake) schedule() {
	busy := 0
	f.each(func(t *fakeTask) {
		if t.process != nil {
			busy++
		}
	})
	for _, a := range f.arrays {
		parallel := 0
		for _, t := range a.tasks {
			if t.process != nil {
				parallel++
			}
		}
		for _, t := range a.tasks {
			switch {
			case f.closed, t.gone, t.State != "PENDING":
			case t.held:
				t.Reason = "JobHeldUser"
			case f.drained != "":
				t.Reason = f.drained
			case a.head.parallel > 0 && parallel >= a.head.parallel:
				t.Reason = "JobArrayTaskLimit"
			case busy >= f.cores:
				t.Reason = "Resources"
			case f.start(t):
				parallel, busy = parallel+1, busy+1
			}
		}
	}
}

// start runs a task's script; false says that the node could not.
func (f *Fake) start(t *fakeTask) bool {
	t.starts++
	t.State, t.Reason, t.Node = "RUNNING", "None", fakeNode
	out, err := os.OpenFile(strings.ReplaceAll(t.array.head.output, "%a", strconv.Itoa(t.index)), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		f.over(t, "FAILED", "JobLaunchFailure", "0:53")
		return false
	}
	defer out.Close()
	cmd := exec.Command("bash", t.array.script)
	cmd.Dir = t.array.head.folder
	if _, err := os.Stat(cmd.Dir); err != nil {
		cmd.Dir = os.TempDir() // as SLURM does
	}
	cmd.Env = append(os.Environ(), t.array.head.env()...)
	cmd.Env = append(cmd.Env,
		"PATH="+filepath.Join(f.dir, "bin")+":"+os.Getenv("PATH"),
		"SLURM_JOB_ID="+strconv.Itoa(t.job), "SLURM_ARRAY_JOB_ID="+t.array.id, "SLURM_ARRAY_TASK_ID="+strconv.Itoa(t.index),
		"SLURM_RESTART_COUNT="+strconv.Itoa(t.starts-1), "SLURMD_NODENAME="+fakeNode)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		f.over(t, "FAILED", "JobLaunchFailure", "0:53")
		return false
	}
	t.process, t.verdict = cmd.Process, ""
	f.running.Go(func() {
		err := cmd.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ended(t, err)
		f.schedule()
	})
	return true
}

// signal reaches all processes of a task. One that has just ended needs none.
func (t *fakeTask) signal(s syscall.Signal) { _ = syscall.Kill(-t.process.Pid, s) }

// stop signals a running task and keeps what its end will count as.
func (f *Fake) stop(t *fakeTask, verdict string, s syscall.Signal) {
	t.signal(s)
	if verdict == "" {
		return
	}
	t.State, t.verdict = "COMPLETING", verdict
	process := t.process
	time.AfterFunc(killWait, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if t.process == process {
			t.signal(syscall.SIGKILL)
		}
	})
}

// ended says what has become of a task whose process is no more.
func (f *Fake) ended(t *fakeTask, err error) {
	t.process = nil
	asked := filepath.Join(f.dir, fmt.Sprintf("requeue.%d", t.job))
	if os.Remove(asked) == nil || t.verdict == "REQUEUED" {
		t.wait("BeginTime")
		return
	}
	state, reason, exit := "COMPLETED", "None", "0:0"
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		status, _ := failed.Sys().(syscall.WaitStatus)
		state, reason, exit = "FAILED", "NonZeroExitCode", fmt.Sprintf("%d:0", status.ExitStatus())
		if status.Signaled() {
			reason, exit = "RaisedSignal", fmt.Sprintf("0:%d", status.Signal())
		}
	}
	f.over(t, cmp.Or(t.verdict, state), reason, exit)
}

func (f *Fake) over(t *fakeTask, state, reason, exit string) {
	t.State, t.Reason, t.Exit = state, reason, exit
	t.gone = f.forgets
}

func (t *fakeTask) wait(reason string) {
	t.Task = slurm.Task{State: "PENDING", Reason: reason}
}

// header is what the fake understands of a script's options.
type header struct {
	name, folder, output string
	tasks, parallel      int
	cpus                 string
}

func (h header) env() []string {
	if h.cpus == "" {
		return nil
	}
	return []string{"SLURM_CPUS_PER_TASK=" + h.cpus}
}

// readHeader reads the #SBATCH lines. It refuses partitions that begin with "no".
func readHeader(text string) (h header, err error) {
	if !strings.HasPrefix(text, "#!") {
		return h, slurm.Refusal("sbatch: error: This does not look like a batch script.")
	}
	for line := range strings.Lines(text) {
		option, ok := strings.CutPrefix(strings.TrimSpace(line), "#SBATCH --")
		if !ok {
			continue
		}
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "job-name":
			h.name = value
		case "chdir":
			h.folder = value
		case "output":
			h.output = value
		case "cpus-per-task":
			h.cpus = value
		case "array":
			if n, err := fmt.Sscanf(value, "0-%d%%%d", &h.tasks, &h.parallel); n == 0 {
				return h, slurm.Refusal(fmt.Sprintf("sbatch: error: Invalid job array specification %s: %v", value, err))
			}
			h.tasks++
		case "partition":
			if strings.HasPrefix(value, "no") {
				return h, slurm.Refusal("sbatch: error: invalid partition specified: " + value + "\nsbatch: error: Batch job submission failed: Invalid partition name specified")
			}
		}
	}
	return h, nil
}
