package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// localDispatcher starts workers on this machine, each in a session of its own,
// so that they outlive the runner.
type localDispatcher struct{ exe string }

// Launch starts `exe worker <folder>`. The worker's standard error is the log
// itself and not a pipe through the runner: it must go on when the runner dies.
// Its standard output tells that it has a slot.
func (d *localDispatcher) Launch(ctx context.Context, j *Job, sink chan<- news) error {
	log, err := os.OpenFile(j.Paths.Log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return writeError("open", j.Paths.Log(), err)
	}
	defer log.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot start a worker: %w", err)
	}
	defer write.Close()
	cmd := exec.Command(d.exe, "worker", j.Paths.Dir)
	// Until it has its share of the machine it only waits; with one thread that costs least.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = write, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		read.Close()
		return fmt.Errorf("cannot start a worker: %w", err)
	}
	go watch(ctx, cmd, read, j, sink)
	return nil
}

// watch turns what a worker does into news. It ends with the worker, which may
// be after the runner.
func watch(ctx context.Context, cmd *exec.Cmd, read *os.File, j *Job, sink chan<- news) {
	tell := func(n news) {
		select {
		case sink <- n:
		case <-ctx.Done():
		}
	}
	if n, _ := read.Read(make([]byte, 1)); n > 0 { // an error is the pipe's end
		tell(news{job: j})
	}
	exit := cmd.Wait()
	read.Close()
	tell(news{job: j, gone: true, exit: exit})
}

// Ready tells the runner that this worker has its slot. It is the Worker.Ready
// of a worker process. The runner may be dead, which is no concern of ours;
// whatever else is printed goes to the log.
func Ready() {
	_ = withoutSIGPIPE(func() error {
		_, err := os.Stdout.Write([]byte{'\n'})
		return err
	})
	_ = os.Stdout.Close()
	os.Stdout = os.Stderr
}

// runnerLogLimit bounds runner.log.
const runnerLogLimit = 1 << 20

// startRunner starts a runner unless one is there.
func (st *Study) startRunner() error {
	held, err := isHeld(st.Paths.Lock())
	if err != nil {
		return fmt.Errorf("cannot see whether the study %s has a runner: %w", st.Paths.Dir, err)
	}
	if held {
		return nil
	}
	exe, err := program()
	if err != nil {
		return err
	}
	if err := boundFile(st.Paths.RunnerLog(), st.Paths.RunnerLog()+".old", runnerLogLimit); err != nil {
		return err
	}
	log, err := os.OpenFile(st.Paths.RunnerLog(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return writeError("open", st.Paths.RunnerLog(), err)
	}
	defer log.Close()
	cmd := exec.Command(exe, "runner", st.Paths.Dir)
	cmd.Dir = st.Paths.Dir
	cmd.Stderr = log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the runner of the study %s: %w", st.Paths.Dir, err)
	}
	st.mu.Lock()
	st.ensured = time.Now()
	st.mu.Unlock()
	go func() { _ = cmd.Wait() }() // only to reap it: what it had to say is in its log
	return nil
}

// ensureEvery is how long a runner may take to show itself before the next is
// started.
const ensureEvery = 2 * time.Second

// ensureTries is how many runners in a row may die before that is an error.
const ensureTries = 3

// ensure is startRunner for callers that come several times a second.
func (st *Study) ensure() error {
	st.mu.Lock()
	recent, tries := time.Since(st.ensured) < st.every, st.tries
	st.mu.Unlock()
	if recent {
		return nil
	}
	held, err := isHeld(st.Paths.Lock())
	if err != nil || held {
		st.countTries(held)
		return err
	}
	if tries >= ensureTries {
		st.countTries(true)
		return fmt.Errorf("the runner of the study %s ends without doing its work; the end of %s:\n%s",
			st.Paths.Dir, st.Paths.RunnerLog(), lastLines(tail(st.Paths.RunnerLog(), 8<<10), 10))
	}
	// Where the disk is full a runner starts, lasts as long as its retries and
	// cannot record why it ended: ask the disk before the next one does so.
	if err := st.probe(); err != nil {
		return err
	}
	if err := st.startRunner(); err != nil {
		return err // it never ran, so its log has nothing to say of it
	}
	st.countTries(false)
	return nil
}

// probeSize is more than the slack of a file's last block.
const probeSize = 64 << 10

// probe says whether the study can be written to.
func (st *Study) probe() error {
	path := filepath.Join(st.Paths.Dir, fmt.Sprintf(".probe-%d", os.Getpid()))
	err := writeAtomic(st.disk, path, make([]byte, probeSize), false)
	if rerr := st.disk.Remove(path); err == nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = writeError("remove", path, rerr)
	}
	return err
}

func (st *Study) countTries(reset bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.tries++
	if reset {
		st.tries = 0
	}
}

// Ensure sees to it that a runner is there if any job is pending or lost. It is
// what every command does that looks at a study.
func (st *Study) Ensure() error {
	all, err := st.Jobs()
	if err != nil {
		return err
	}
	for _, j := range all {
		if j.Status().needsRunner() {
			return st.startRunner()
		}
	}
	return nil
}

// WindDown cancels all jobs and returns when no runner is left, so that the folder can be
// removed, or when ctx ends.
func (st *Study) WindDown(ctx context.Context) error {
	all, err := st.Jobs()
	if err != nil {
		return err
	}
	for _, j := range all {
		if err := j.Cancel(); err != nil {
			return err
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if held, err := isHeld(st.Paths.Lock()); err != nil || !held {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the runner of the study %s goes on: %w", st.Paths.Dir, ctx.Err())
		}
	}
}
