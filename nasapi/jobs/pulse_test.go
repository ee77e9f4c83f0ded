package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

// elsewhere makes a job that has started on another host, whose lock is not seen here.
func elsewhere(t *testing.T) *Job {
	t.Helper()
	st := mustOpen(t, t.TempDir())
	spec := countSpecs(countConfig{Steps: 2}, 3)[0]
	j, err := st.writeSpec(spec, spec.ID(), Place{})
	if err != nil {
		t.Fatal(err)
	}
	start, err := newEvent(1, evStart, startData{Host: "another-host", PID: 1, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(start)
	if err != nil {
		t.Fatal(err)
	}
	if err := appendLines(j.disk, j.Paths.Events(), text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.Paths.Lock(), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return j
}

// beating touches a job's lock as a worker on another host would.
func beating(t *testing.T, j *Job) (stop func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		// Its clock is an hour late.
		for at := time.Now().Add(-time.Hour); pause(ctx, 10*time.Millisecond) == nil; at = at.Add(time.Second) {
			_ = os.Chtimes(j.Paths.Lock(), at, at)
		}
	}()
	return stop
}

func TestJobOnAnotherHostIsRunningWhileItBeats(t *testing.T) {
	j := elsewhere(t)
	j.silence = 200 * time.Millisecond
	stop := beating(t, j)
	for end := time.Now().Add(600 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s := j.Status(); s.State != Running || s.Host != "another-host" {
			t.Fatalf("%s on %s while its worker beats", s.State, s.Host)
		}
	}
	stop()
	eventually(t, "its death to be noticed", func() bool { return j.Status().State == Lost })
}

func TestSecondStarterWaitsForSilence(t *testing.T) {
	j := elsewhere(t)
	j.silence = 400 * time.Millisecond
	lock, err := takeLock(t.Context(), j.Paths.Lock(), lockPatience)
	if err != nil {
		t.Fatal(err)
	}
	stop := beating(t, j)
	if err := j.awaitSilence(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("a second starter beside a living worker: %v", err)
	}
	stop()
	time.Sleep(20 * time.Millisecond)
	if err := j.awaitSilence(t.Context()); err != nil {
		t.Errorf("a second starter after a dead one: %v", err)
	}
	if err := lock.release(); err != nil {
		t.Fatal(err)
	}
}
