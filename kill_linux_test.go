package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evalnas/kernel"
	"evalnas/kernel/kerneltest"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

// trialPatience is how long anything in a trial may take. SLURM's part of it is some ten
// seconds, and the machine may be busy.
const trialPatience = 3 * time.Minute

// brinkPatience is how long a point may be off whose brink is met.
const brinkPatience = 10 * time.Second

// trial is one row that is tried: a study in a folder of its own, with kernels of its own.
type trial struct {
	*testing.T
	row    row
	draw   *rand.Rand
	exe    string
	folder string
	study  jobs.StudyPaths

	opened  *jobs.Study
	kernels []*liveKernel // that live
	all     []*liveKernel
	ended   bool
	kills   map[string]int    // of workers, by job: how often it may have been begun again
	unsaid  int               // results whose worker did not come to say that it was done
	seen    map[string][]byte // every result.json as it first was, by job
}

func newTrial(t *testing.T, r row, draw *rand.Rand) *trial {
	t.Helper()
	exe, err := os.Executable()
	check(t, err)
	folder, err := os.MkdirTemp("", "kill")
	check(t, err)
	k := &trial{T: t, row: r, draw: draw, exe: exe, folder: folder, study: jobs.StudyPaths{Dir: filepath.Join(folder, "study")},
		kills: map[string]int{}, seen: map[string][]byte{}}
	t.Cleanup(k.end)
	return k
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run is the trial; it says whether the point was met before all was over.
func (k *trial) run() bool {
	wanted := want(k.T, k.row.work)
	for range k.row.kernels {
		k.start()
	}
	for _, l := range k.kernels {
		k.ask(l, k.cell())
	}
	job, known, met := k.await(k.row.point)
	k.killAt(job, known)
	k.revive()
	k.answers()
	k.judge(wanted)
	return met
}

// cell asks for the row's work and waits for it.
func (k *trial) cell() string {
	call := k.row.work.call
	if k.row.place != here {
		call = strings.TrimSuffix(call, ")") + ", on=" + k.row.place + ")"
	}
	return "found = " + call + "\nwait(found)"
}

// until polls, and remembers the results that appear meanwhile.
func (k *trial) until(what string, ok func() bool) {
	k.Helper()
	for end := time.Now().Add(trialPatience); !ok(); k.watch() {
		if time.Now().After(end) {
			k.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// watch remembers every result as it first is.
func (k *trial) watch() {
	for _, j := range k.jobs() {
		if k.seen[j.ID] == nil {
			if text, err := os.ReadFile(j.Paths.Result()); err == nil {
				k.seen[j.ID] = text
			}
		}
	}
}

// jobs are those that the study has so far. Looking at them makes no study and starts no
// runner, which would be help.
func (k *trial) jobs() []*jobs.Job {
	if k.opened == nil {
		if text, err := os.ReadFile(k.study.Version()); err != nil || len(text) == 0 {
			return nil
		}
		st, err := jobs.OpenStudy(k.study.Dir)
		check(k.T, err)
		k.opened = st
	}
	all, err := k.opened.Jobs()
	check(k.T, err)
	return slices.DeleteFunc(all, func(j *jobs.Job) bool { return j.Err != nil }) // being written
}

func (k *trial) events(j *jobs.Job) []jobs.Event {
	events, _, err := j.Events(0)
	check(k.T, err)
	return events
}

// await brings the study to a point, or to its end if it misses that. It says which job is
// there and, after a brink, which processes there were.
func (k *trial) await(p point) (job string, known []process, met bool) {
	if p.provoke != nil {
		var running []process
		k.until("a job to run", func() bool {
			running = k.running()
			return len(running) > 0 || k.over()
		})
		if len(running) > 0 {
			p.provoke(k, running)
		}
	}
	if p.brink != nil {
		k.until("the brink of the point "+p.name, func() bool {
			_, ok := p.brink(k)
			return ok || k.over()
		})
		known = processes(k.exe, k.folder)
		for end := time.Now().Add(brinkPatience); !met && time.Now().Before(end); {
			toWorkers(syscall.SIGCONT, known)
			time.Sleep(20 * time.Microsecond)
			toWorkers(syscall.SIGSTOP, known)
			job, met = p.reached(k)
		}
		return job, known, met
	}
	k.until("the point "+p.name, func() bool {
		job, met = p.reached(k)
		return met || k.over()
	})
	return job, nil, met
}

// over says that every job has its result.
func (k *trial) over() bool { return countDone(k) == k.row.work.seeds }

// killAt kills the row's set a moment after its point; known are the processes, if they
// were looked up. It waits for the first of the set to be there, unless there is nothing
// left to do.
func (k *trial) killAt(job string, known []process) {
	if k.row.point.spread > 0 && k.draw.IntN(4) > 0 {
		time.Sleep(time.Duration(k.draw.Int64N(int64(k.row.point.spread) + 1)))
	}
	victims := k.victims(slices.Clone(known), k.row.set, job)
	if len(victims) == 0 {
		toWorkers(syscall.SIGCONT, known)
		k.until("something to kill", func() bool {
			victims = k.victims(processes(k.exe, k.folder), k.row.set, job)
			return len(victims) > 0 || k.over()
		})
	}
	k.draw.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	if i := slices.IndexFunc(victims, func(p process) bool { return p.of == job }); i > 0 {
		victims[0], victims[i] = victims[i], victims[0] // while it is where it is
	}
	k.kill(victims...)
	toWorkers(syscall.SIGCONT, known)
}

// kill kills processes and returns when they are gone.
func (k *trial) kill(victims ...process) {
	k.signal(syscall.SIGKILL, victims...)
	k.until("the killed to be gone", func() bool {
		left := processes(k.exe, k.folder)
		return !slices.ContainsFunc(victims, func(v process) bool {
			return slices.ContainsFunc(left, func(p process) bool { return p.pid == v.pid })
		})
	})
	for _, l := range k.kernels {
		if slices.ContainsFunc(victims, func(p process) bool { return p.pid == l.cmd.Process.Pid }) {
			<-l.ended
		}
	}
}

// signal sends it to processes that are the trial's at this moment.
func (k *trial) signal(s syscall.Signal, to ...process) {
	for _, p := range to {
		if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			k.Fatalf("signal %v to the %s %d: %v", s, p.role, p.pid, err)
		}
		k.kills[p.of]++
	}
	k.Logf("%v to %+v", s, to)
}

// toWorkers sends a signal that ends nothing to those of the processes that are workers and
// live.
func toWorkers(s syscall.Signal, known []process) {
	for _, p := range known {
		if p.role == "worker" {
			_ = syscall.Kill(p.pid, s)
		}
	}
}

// victims are those of the processes that are of a set; of workers the one of a job is
// preferred.
func (k *trial) victims(all []process, set, job string) []process {
	only := func(roles ...string) []process {
		return slices.DeleteFunc(all, func(p process) bool { return !slices.Contains(roles, p.role) })
	}
	switch set {
	case theKernel:
		// The other one of two goes on. What a kernel has just forked still looks like it.
		for _, l := range k.kernels {
			if !l.dead() {
				return []process{{pid: l.cmd.Process.Pid, role: "kernel"}}
			}
		}
		return nil
	case theRunner:
		return only("runner")
	case allWorkers:
		return only("worker")
	case runnerWorkers:
		return only("runner", "worker")
	case everything:
		return all
	}
	workers := only("worker")
	if i := slices.IndexFunc(workers, func(p process) bool { return p.of == job }); i >= 0 {
		return workers[i : i+1]
	}
	if len(workers) == 0 {
		return nil
	}
	return []process{k.pick(workers)}
}

func (k *trial) pick(from []process) process { return from[k.draw.IntN(len(from))] }

// running are the workers whose jobs have begun.
func (k *trial) running() []process {
	pids := map[int]bool{}
	for _, j := range k.jobs() {
		if s := j.Status(); s.State == jobs.Running {
			pids[s.PID] = true
		}
	}
	return slices.DeleteFunc(processes(k.exe, k.folder), func(p process) bool { return p.role != "worker" || !pids[p.pid] })
}

// revive has a person come back: where a kernel died another one finds the work again, and
// where none did one is asked for the same once more.
func (k *trial) revive() {
	code := k.cell()
	if batches, err := filepath.Glob(filepath.Join(k.study.Batches(), "*.json")); err == nil && len(batches) > 0 && k.draw.IntN(2) == 0 {
		code = "found = attach()[0]\nwait(found)"
	}
	if slices.ContainsFunc(k.kernels, (*liveKernel).dead) {
		k.kernels = slices.DeleteFunc(k.kernels, (*liveKernel).dead)
		k.ask(k.start(), code)
		return
	}
	k.answers()
	k.ask(k.kernels[0], code)
}

// end reports a trial that failed, ends what still runs and removes the folder. It may be
// called twice.
func (k *trial) end() {
	if k.ended {
		return
	}
	k.ended = true
	if k.Failed() {
		k.report()
		k.cancelArrays()
	}
	for end := time.Now().Add(trialPatience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		left := processes(k.exe, k.folder)
		for _, p := range left {
			_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may be gone
		}
		if len(left) == 0 && os.RemoveAll(k.folder) == nil {
			break
		}
	}
	for _, l := range k.all {
		l.close()
	}
}

// cancelArrays takes from SLURM what a failed trial left to it.
func (k *trial) cancelArrays() {
	if k.row.place == here {
		return
	}
	files, _ := filepath.Glob(filepath.Join(k.study.Arrays(), "*", "array.json")) // a good pattern
	for _, file := range files {
		var a struct {
			ID string `json:"id"`
		}
		if json.Unmarshal([]byte(readable(file)), &a) == nil && a.ID != "" {
			_ = exec.Command("scancel", a.ID).Run() // it may have ended
		}
	}
}

// report says all that is known of a failed trial.
func (k *trial) report() {
	var b strings.Builder
	fmt.Fprintf(&b, "row %v\nlives: %v\nrunner.log:\n%s", k.row, processes(k.exe, k.folder), readable(k.study.RunnerLog()))
	for _, j := range k.jobs() {
		fmt.Fprintf(&b, "job %s, killed %d times: %+v\n%s", j.ID, k.kills[j.ID], j.Status(), readable(j.Paths.Events()))
		if log := j.Log(20); log != "" {
			fmt.Fprintf(&b, "stderr.log:\n%s\n", log)
		}
	}
	if k.row.place != here {
		queue, err := exec.Command("squeue").CombinedOutput()
		fmt.Fprintf(&b, "squeue: %v\n%s", err, queue)
	}
	k.Log(b.String())
}

// liveKernel is a kernel in a process of its own, with a client.
type liveKernel struct {
	cmd     *exec.Cmd
	stderr  bytes.Buffer
	ended   chan struct{} // closed when the process is gone
	client  *kerneltest.Client
	reply   chan reply    // of the cell that was asked last; nil when it was taken
	outputs chan struct{} // closed when the reader of its outputs has ended
}

type reply struct {
	kerneltest.Message
	err error
}

// start starts a kernel as Jupyter does and connects to it.
func (k *trial) start() *liveKernel {
	dir := filepath.Join(k.folder, fmt.Sprintf("kernel%d", k.draw.Uint32()))
	check(k.T, os.Mkdir(dir, 0o700))
	// Unix sockets, for which no port can be taken in between.
	c := kernel.Connection{Transport: "ipc", IP: filepath.Join(dir, "s"), Key: "key", ShellPort: 1, ControlPort: 2, IOPubPort: 3, StdinPort: 4, HBPort: 5}
	text, err := json.Marshal(c)
	check(k.T, err)
	file := filepath.Join(dir, "connection.json")
	check(k.T, os.WriteFile(file, text, 0o600))
	l := &liveKernel{ended: make(chan struct{}), outputs: make(chan struct{})}
	l.cmd = exec.Command(k.exe, "kernel", file)
	l.cmd.Dir, l.cmd.Stderr, l.cmd.Env = k.folder, &l.stderr, k.environment()
	l.cmd.WaitDelay = time.Second // its children have its standard error
	check(k.T, l.cmd.Start())
	go func() {
		_ = l.cmd.Wait() // killed, as a rule
		close(l.ended)
	}()
	k.kernels, k.all = append(k.kernels, l), append(k.all, l)
	k.until("the kernel to answer", func() bool {
		if l.dead() {
			k.Fatalf("the kernel ended: %s", &l.stderr)
		}
		l.client, err = kerneltest.Dial(c, "")
		return err == nil
	})
	l.client.Patience = trialPatience
	go l.readOutputs()
	return l
}

// environment is what all processes of the trial have.
func (k *trial) environment() []string {
	return append(os.Environ(), programVariable+"=1", "EVALNAS_EXE="+k.exe, "EVALNAS_STUDY="+k.study.Dir,
		"EVALNAS_SLOT_DIR="+filepath.Join(k.folder, "slots"), "EVALNAS_SLOTS=2", nasapi.CheckpointVariable+"=100ms",
		"XDG_CONFIG_HOME="+k.folder, "JPY_PARENT_PID="+strconv.Itoa(os.Getpid()))
}

// readOutputs takes what the kernel publishes: one that does not read is cut.
func (l *liveKernel) readOutputs() {
	defer close(l.outputs)
	for {
		if _, err := l.client.Published(); err != nil {
			return
		}
	}
}

func (l *liveKernel) dead() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// close lets go of a kernel that is gone.
func (l *liveKernel) close() {
	<-l.ended
	if l.client == nil {
		return
	}
	l.client.Close()
	<-l.outputs
	if l.reply != nil {
		<-l.reply
	}
}

// ask sends a cell to a kernel.
func (k *trial) ask(l *liveKernel, code string) {
	id, err := l.client.Execute(code)
	check(k.T, err)
	answer := make(chan reply, 1)
	l.reply = answer
	go func() {
		m, err := l.client.Recv(l.client.Shell)
		if err == nil && m.ParentID() != id {
			err = fmt.Errorf("%s answers %s, not %s", m.Type(), m.ParentID(), id)
		}
		answer <- reply{m, err}
	}()
}

// answers waits until the kernels that live have run their cells well.
func (k *trial) answers() {
	for _, l := range k.kernels {
		if l.reply == nil {
			continue
		}
		var got reply
		k.until("the cell to end", func() bool {
			select {
			case got = <-l.reply:
				return true
			default:
				return false
			}
		})
		l.reply = nil
		if got.err != nil || got.Text("status") != "ok" {
			k.Fatalf("the cell ended with %v %s %s: %s; the kernel said %s", got.err, got.Text("status"), got.Text("ename"), got.Text("evalue"), &l.stderr)
		}
	}
}

// results are what a search or training came to, by seed, without the time it took.
func (k *trial) results() map[int64]string {
	all := map[int64]string{}
	for _, j := range k.jobs() {
		raw, err := j.Result()
		if err != nil {
			k.Errorf("seed %d: %v", j.Spec.Seed, err)
			continue
		}
		if k.row.work.timed {
			var v any
			check(k.T, json.Unmarshal(raw, &v))
			raw, err = json.Marshal(untimed(v))
			check(k.T, err)
		}
		all[j.Spec.Seed] = string(raw)
	}
	return all
}

// untimed takes the seconds out of a result.
func untimed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "seconds")
		for name := range v {
			v[name] = untimed(v[name])
		}
	case []any:
		for i := range v {
			v[i] = untimed(v[i])
		}
	}
	return v
}

// judge holds the study to what the table promises.
func (k *trial) judge(wanted map[int64]string) {
	k.until("runner and workers to leave", func() bool {
		left := processes(k.exe, k.folder)
		return !slices.ContainsFunc(left, func(p process) bool { return p.role != "kernel" })
	})
	got := k.results()
	for seed, result := range wanted {
		if got[seed] != result {
			k.Errorf("seed %d came to\n%s\nundisturbed it comes to\n%s", seed, got[seed], result)
		}
	}
	if len(got) != len(wanted) {
		k.Errorf("%d jobs of %d seeds", len(got), len(wanted))
	}
	if batches, err := filepath.Glob(filepath.Join(k.study.Batches(), "*.json")); err != nil || len(batches) != 1 {
		k.Errorf("one request became the batches %v: %v", batches, err)
	}
	for _, j := range k.jobs() {
		k.judgeJob(j)
	}
}

// judgeJob looks for a second result, and for two workers at once.
func (k *trial) judgeJob(j *jobs.Job) {
	if text := readable(j.Paths.Result()); string(k.seen[j.ID]) != text {
		k.Errorf("job %s: its result was replaced: first it was\n%s\nthen\n%s", j.ID, k.seen[j.ID], text)
	}
	if _, err := os.Stat(filepath.Dir(j.Paths.Attempt(1))); !errors.Is(err, fs.ErrNotExist) {
		k.Errorf("job %s: a result was set aside: %v", j.ID, err)
	}
	starts, dones, attempt := 0, 0, 0
	began := map[int]bool{}
	for _, e := range k.events(j) {
		if e.Attempt < attempt {
			k.Errorf("job %s: %s of attempt %d comes after attempt %d: two had it at once", j.ID, e.Kind, e.Attempt, attempt)
		}
		attempt = e.Attempt
		if dones > 0 {
			k.Errorf("job %s: %s of attempt %d after it was done", j.ID, e.Kind, e.Attempt)
		}
		switch e.Kind {
		case "start":
			if began[e.Attempt] {
				k.Errorf("job %s: two workers began attempt %d", j.ID, e.Attempt)
			}
			began[e.Attempt] = true
			starts++
		case "done":
			dones++
		}
	}
	if dones == 0 {
		k.unsaid++
	}
	if o, err := j.Outcome(); err != nil || !began[o.Attempt] {
		k.Errorf("job %s: the result is of attempt %d, which nobody began: %v", j.ID, o.Attempt, err)
	}
	if starts > 1+k.kills[j.ID] {
		k.Errorf("job %s: begun %d times, though its worker was killed %d times", j.ID, starts, k.kills[j.ID])
	}
}
