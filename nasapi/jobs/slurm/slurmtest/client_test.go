//go:build !windows

package slurmtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/jobs/slurm"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// eachClient runs a test with a real SLURM and with the fake: what holds for one must hold for
// the other. Both run at least two tasks at a time.
func eachClient(t *testing.T, test func(t *testing.T, c slurm.Client)) {
	t.Run("fake", func(t *testing.T) { test(t, NewFake(t, 2)) })
	t.Run("node", func(t *testing.T) {
		Setup(t)
		test(t, slurm.Commands{})
	})
}

// submit submits an array of tasks that run lines of shell.
func submit(t *testing.T, c slurm.Client, o slurm.Options, tasks int, lines ...string) (id, name string) {
	t.Helper()
	dir := t.TempDir()
	name = filepath.Base(filepath.Dir(dir))
	script := slurm.Script(o, slurm.Array{Name: name, Tasks: tasks, Dir: dir, Output: filepath.Join(dir, "out.%a"), Lines: lines})
	file := filepath.Join(dir, "job.sh")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	id, err := c.Submit(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return id, name
}

func alive(all map[string]slurm.Task, array string) bool {
	for id, task := range all {
		if strings.HasPrefix(id, array+"_") && task.Alive() {
			return true
		}
	}
	return false
}

// await asks until what SLURM says of all tasks is as it should be.
func await(t *testing.T, c slurm.Client, what string, ok func(all map[string]slurm.Task) bool) {
	t.Helper()
	var all map[string]slurm.Task
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		if all, err = c.Tasks(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ok(all) {
			return
		}
	}
	t.Fatalf("waited in vain for %s: %v", what, all)
}

func TestTasksRunAndEnd(t *testing.T) {
	eachClient(t, func(t *testing.T, c slurm.Client) {
		id, name := submit(t, c, slurm.Options{Parallel: 1}, 3, "exit $((SLURM_ARRAY_TASK_ID * 3))")
		if found, err := c.Find(t.Context(), name); found != id || err != nil {
			t.Errorf("found %q (%v), want %q", found, err, id)
		}
		if found, err := c.Find(t.Context(), "another"); found != "" || err != nil {
			t.Errorf("found %q (%v) of a name that nobody gave", found, err)
		}
		await(t, c, "the end", func(all map[string]slurm.Task) bool { return !alive(all, id) })
		for task, want := range map[string]slurm.Task{"_0": {State: "COMPLETED", Exit: "0:0"}, "_1": {State: "FAILED", Exit: "3:0"}, "_2": {State: "FAILED", Exit: "6:0"}} {
			if got, ok, err := c.Ended(t.Context(), id+task); !ok || err != nil || got.State != want.State || got.Exit != want.Exit || got.Node == "" {
				t.Errorf("%s ended as %+v (%v, %v), want %+v", task, got, ok, err, want)
			}
		}
		if got, ok, err := c.Ended(t.Context(), "999999_0"); ok || err != nil {
			t.Errorf("a task that never was ended as %v (%v)", got, err)
		}
	})
}

func TestTasksAreCancelled(t *testing.T) {
	eachClient(t, func(t *testing.T, c slurm.Client) {
		id, _ := submit(t, c, slurm.Options{Parallel: 1}, 3, "exec sleep 60")
		await(t, c, "one to run", func(all map[string]slurm.Task) bool { return all[id+"_0"].State == "RUNNING" })
		if err := c.Cancel(t.Context(), id+"_2"); err != nil {
			t.Fatal(err)
		}
		await(t, c, "a waiting one to go", func(all map[string]slurm.Task) bool { return !all[id+"_2"].Alive() })
		if err := c.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		await(t, c, "the array to go", func(all map[string]slurm.Task) bool { return !alive(all, id) })
		if got, ok, err := c.Ended(t.Context(), id+"_0"); !ok || err != nil || got.State != "CANCELLED" {
			t.Errorf("what ran ended as %+v (%v, %v)", got, ok, err)
		}
		if err := c.Cancel(t.Context(), id+"_0"); err != nil {
			t.Error("cancelled again: ", err)
		}
	})
}

func TestTasksAreHeld(t *testing.T) {
	eachClient(t, func(t *testing.T, c slurm.Client) {
		gate := filepath.Join(t.TempDir(), "gate")
		id, _ := submit(t, c, slurm.Options{Parallel: 1}, 4, "until [ -e "+slurm.Quote(gate)+" ]; do sleep 0.02; done")
		await(t, c, "one to run", func(all map[string]slurm.Task) bool { return all[id+"_0"].State == "RUNNING" })
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		do(c.Hold(t.Context(), id+"_0", id+"_1", id+"_2"))
		await(t, c, "two to be held", func(all map[string]slurm.Task) bool {
			return !all[id+"_0"].Held() && all[id+"_1"].Held() && all[id+"_2"].Held() && !all[id+"_3"].Held()
		})
		do(os.WriteFile(gate, nil, 0o644))
		await(t, c, "the others to end", func(all map[string]slurm.Task) bool { return !all[id+"_0"].Alive() && !all[id+"_3"].Alive() })
		do(c.Hold(t.Context(), id+"_0", id+"_2"))       // one of which has ended
		do(c.Release(t.Context(), id+"_0", id+"_1"))    // in whatever order
		do(c.Release(t.Context(), id+"_3", "999999_0")) // and never was
		await(t, c, "what was released to end", func(all map[string]slurm.Task) bool { return !all[id+"_1"].Alive() })
		await(t, c, "the last to stay", func(all map[string]slurm.Task) bool { return all[id+"_2"].Held() })
		do(c.Release(t.Context(), id))
		await(t, c, "all to end", func(all map[string]slurm.Task) bool { return !alive(all, id) })
	})
}

func TestTaskIsRequeued(t *testing.T) {
	eachClient(t, func(t *testing.T, c slurm.Client) {
		id, _ := submit(t, c, slurm.Options{}, 1, "exec sleep $((60 * (1 - SLURM_RESTART_COUNT)))")
		await(t, c, "it to run", func(all map[string]slurm.Task) bool { return all[id+"_0"].State == "RUNNING" })
		if err := c.Requeue(t.Context(), id+"_0"); err != nil {
			t.Fatal(err)
		}
		await(t, c, "it to wait or run again", func(all map[string]slurm.Task) bool { return all[id+"_0"].Reason == "BeginTime" || !alive(all, id) })
		if err := c.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRefusal(t *testing.T) {
	eachClient(t, func(t *testing.T, c slurm.Client) {
		file := filepath.Join(t.TempDir(), "job.sh")
		script := slurm.Script(slurm.Options{Partition: "nowhere"}, slurm.Array{Name: "x", Tasks: 1, Dir: "/", Output: "/dev/null", Lines: []string{"true"}})
		if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Submit(t.Context(), file); !slurm.Refused(err) || !strings.Contains(err.Error(), "invalid partition specified: nowhere") {
			t.Errorf("submitted to a partition that is not there: %v", err)
		}
	})
}
