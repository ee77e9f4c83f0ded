package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"evalnas/nasapi/jobs/slurm/slurmtest"
)

// The test binary is its own worker and runner: started with EVALNAS_TEST_ROLE
// it runs `worker FOLDER` or `runner STUDY` as the program does.
func TestMain(m *testing.M) {
	if os.Getenv("EVALNAS_TEST_ROLE") == "" || len(os.Args) != 3 {
		// No test has its studies among those of the person who runs it.
		if err := os.Setenv(studiesVariable, os.DevNull); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(slurmtest.Main(m))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := role(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func role(ctx context.Context, name, dir string) error {
	switch name {
	case "runner":
		return RunStudy(ctx, dir, RunnerOptions{Backoff: 20 * time.Millisecond, Poll: 200 * time.Millisecond})
	case "worker":
		d, err := killerFromEnv()
		if err != nil {
			return err
		}
		return Worker{Handlers: testHandlers, disk: d}.Serve(ctx, dir)
	}
	return fmt.Errorf("unknown role %q", name)
}

// countConfig is the Config of the kind "count".
type countConfig struct {
	Steps int    `json:"steps"`
	Pause int    `json:"pause,omitempty"` // milliseconds a step
	Trace string `json:"trace,omitempty"` // file to append a line to when starting
	Mode  string `json:"mode,omitempty"`
	Gate  string `json:"gate,omitempty"` // file whose existence lets it end
}

type countResult struct {
	Sum int64 `json:"sum"`
}

var testHandlers = map[string]Handler{"count": count}

// count adds up seed, seed+1, ...: a result that depends on the Spec alone.
func count(ctx context.Context, t *Task) (any, error) {
	var c countConfig
	if err := json.Unmarshal(t.Spec.Config, &c); err != nil {
		return nil, Config(err)
	}
	if c.Trace != "" {
		if err := trace(c.Trace, t); err != nil {
			return nil, err
		}
	}
	switch c.Mode {
	case "config":
		return nil, Config(errors.New("no such space"))
	case "error":
		fmt.Fprintln(os.Stderr, "about to fail")
		return nil, errors.New("went wrong")
	case "panic":
		panic("out of cheese")
	case "die":
		fmt.Fprintln(os.Stderr, "dying")
		os.Exit(3)
	case "die-once":
		if t.Attempt == 1 {
			os.Exit(3)
		}
	case "nan":
		return map[string]any{"x": func() {}}, nil
	case "stubborn":
		select {}
	case "share":
		return myShare()
	case "gpu":
		return os.Getenv("CUDA_VISIBLE_DEVICES"), pause(ctx, 50*time.Millisecond)
	case "hungry":
		return hungry(), nil
	case "save":
		if err := t.Checkpoint([]byte("state")); err != nil {
			return nil, err
		}
	}
	r := countResult{}
	for i := range c.Steps {
		if err := stepPause(ctx, c); err != nil {
			return nil, err
		}
		r.Sum += t.Seed + int64(i)
		t.Progress(i+1, c.Steps, map[string]any{"incumbent": r.Sum})
	}
	return r, awaitGate(ctx, c.Gate)
}

// shareResult is what a worker may use of the machine.
type shareResult struct {
	Cores   []int
	Threads int
	Memory  uint64 // RLIMIT_DATA
}

// hungry takes memory until it is stopped.
func hungry() int {
	var all [][]byte
	for range 1 << 10 {
		b := make([]byte, 64<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
	return len(all)
}

func stepPause(ctx context.Context, c countConfig) error {
	if c.Pause == 0 {
		return ctx.Err()
	}
	return pause(ctx, time.Duration(c.Pause)*time.Millisecond)
}

func awaitGate(ctx context.Context, gate string) error {
	for gate != "" {
		if _, err := os.Stat(gate); err == nil {
			return nil
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func trace(path string, t *Task) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %d %d\n", t.Spec.ID(), t.Attempt, os.Getpid())
	return errors.Join(err, f.Close())
}

// processes makes workers and runners of this test real ones, with slots of
// their own.
func processes(t testing.TB, slots int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("EVALNAS_EXE", exe)
	t.Setenv("EVALNAS_TEST_ROLE", "1")
	t.Setenv("EVALNAS_SLOT_DIR", lastingDir(t))
	t.Setenv("EVALNAS_SLOTS", strconv.Itoa(slots))
}

func countSpecs(c countConfig, seeds ...int64) []Spec {
	config, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of ints and strings has a JSON form
	}
	specs := make([]Spec, len(seeds))
	for i, seed := range seeds {
		specs[i] = Spec{Kind: "count", Numerics: 1, Seed: seed, Config: config}
	}
	return specs
}

func countWant(seed int64, steps int) countResult {
	var r countResult
	for i := range steps {
		r.Sum += seed + int64(i)
	}
	return r
}

func seedRange(from, n int64) []int64 {
	var s []int64
	for i := range n {
		s = append(s, from+i)
	}
	return s
}

func mustOpen(t testing.TB, dir string) *Study {
	t.Helper()
	st, err := OpenStudy(dir)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// studyIn makes a study whose runner is gone when the test's folder is removed.
func studyIn(t testing.TB) *Study {
	t.Helper()
	st := mustOpen(t, lastingDir(t))
	st.every = 200 * time.Millisecond
	t.Cleanup(func() { quiet(t, st) })
	return st
}

// lastingDir is removed once every process of the test has let go of it: a
// runner that found another one there writes its log until it has left.
func lastingDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "study")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, dir+" to be removed", func() bool { return os.RemoveAll(dir) == nil })
	})
	return dir
}

// quiet cancels what runs and waits for the runner and all workers to end.
func quiet(t testing.TB, st *Study) {
	t.Helper()
	all, err := st.Jobs()
	if err != nil {
		t.Error(err)
	}
	for _, j := range all {
		if err := j.Cancel(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the study to come to rest", func() bool {
		for _, j := range all {
			if held, err := isHeld(j.Paths.Lock()); err != nil || held {
				return false
			}
		}
		held, err := isHeld(st.Paths.Lock())
		return err == nil && !held
	})
}

func mustSubmit(t testing.TB, st *Study, b Batch) *BatchHandle {
	t.Helper()
	h, err := st.Submit(b)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustWait(t testing.TB, h *BatchHandle) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := h.Wait(ctx); err != nil {
		all, _ := h.Statuses()
		t.Fatalf("waiting: %v; %+v; runner: %s", err, all, tail(h.study.Paths.RunnerLog(), 4096))
	}
}

// eventually polls until a condition holds or the test fails.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func wantCounts(t testing.TB, h *BatchHandle, steps int) {
	t.Helper()
	for _, j := range h.Jobs() {
		raw, err := j.Result()
		if err != nil {
			t.Errorf("%v; log: %s", err, j.Log(20))
			continue
		}
		var got countResult
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Error(err)
		}
		if want := countWant(j.Spec.Seed, steps); got != want {
			t.Errorf("seed %d: got %v, want %v", j.Spec.Seed, got, want)
		}
	}
}
