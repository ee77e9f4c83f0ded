//go:build !windows

package jobs

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evalnas/nasapi/jobs/slurm"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

// TestManyShortJobsInSlurm has SLURM run a thousand jobs that take no time.
func TestManyShortJobsInSlurm(t *testing.T) {
	n := int64(60)
	if os.Getenv("EVALNAS_TORTURE") != "" {
		n = 1000
	}
	st, _ := slurmStudy(t)
	trace := filepath.Join(t.TempDir(), "trace")
	begin := time.Now()
	h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 2, Trace: trace}, seedRange(1, n)...), On: onSlurm(slurm.Options{})})
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	if err := h.Wait(ctx); err != nil {
		t.Fatal(err, tail(st.Paths.RunnerLog(), 4096))
	}
	t.Logf("%d jobs in %v", n, time.Since(begin))
	wantCounts(t, h, 2)
	wantStarts(t, trace, int(n))
}

// scontrol runs SLURM's own.
func scontrol(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("scontrol", args...).CombinedOutput(); err != nil {
		t.Fatalf("scontrol %v: %v: %s", args, err, out)
	}
}

func TestNodeIsDrained(t *testing.T) {
	s := slurmSite(t)
	node := "nodename=" + strings.Split(hostname(), ".")[0]
	scontrol(t, "update", node, "state=drain", "reason=a test")
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			scontrol(t, "update", node, "state=resume")
		}
	}
	t.Cleanup(resume)
	h := s.submit(t, Batch{Specs: countSpecs(countConfig{Steps: 2}, 1, 2)})
	eventually(t, "the reason why they wait", func() bool {
		all, _ := s.Queue()
		for _, j := range h.jobs {
			if q := all[j.ID]; q.State != "PENDING" || !strings.Contains(q.Reason, "DRAINED") && !strings.Contains(q.Reason, "ReqNodeNotAvail") && q.Reason != "Resources" {
				return false
			}
		}
		return true
	})
	all, _ := s.Queue()
	t.Logf("SLURM says %q", all[h.jobs[0].ID].Reason)
	resume()
	mustWait(t, h)
	wantCounts(t, h, 2)
}

// TestControllerDiesDuringSbatch kills a controller that has an sbatch waiting for its answer.
func TestControllerDiesDuringSbatch(t *testing.T) {
	st, node := slurmStudy(t)
	pid, err := strconv.Atoi(strings.TrimSpace(tail(filepath.Join(node, "slurmctld.pid"), 64)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 2, Trace: trace}, 1, 2, 3), On: onSlurm(slurm.Options{})})
	eventually(t, "sbatch", func() bool { return len(arraysOf(t, st)) > 0 })
	kill(t, pid)
	eventually(t, "the controller's end", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	slurmtest.Control(t, node, "start")
	mustWait(t, h)
	wantCounts(t, h, 2)
	wantStarts(t, trace, 3)
}

// TestFullDiskWhileAnArrayIsMade fails every single write of a runner that gives jobs to SLURM,
// and lets another one finish: no job is lost or run twice, and nothing half-written stays.
func TestFullDiskWhileAnArrayIsMade(t *testing.T) {
	every := 1
	if testing.Short() {
		every = 4
	}
	for n := 1; ; n += every {
		s := fakeSite(t)
		s.stop()
		trace := filepath.Join(t.TempDir(), "trace")
		s.Study.slurm = &quietSlurm{submit: func() (string, error) { return "", errors.New("no answer came") }} // it is the runner's
		h := s.submit(t, Batch{Specs: countSpecs(countConfig{Steps: 2, Trace: trace}, 1, 2)})
		d := failing(n, true, syscall.ENOSPC)
		st, err := openStudy(d, s.Dir())
		if err != nil {
			t.Fatal(err)
		}
		reached := func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.count >= n }
		done := func() bool {
			all, err := h.Statuses()
			return err == nil && all[0].State == Done && all[1].State == Done
		}
		stop := serveStudy(t, st, s.fake)
		eventually(t, "the disk to be full or the jobs to be done", func() bool { return reached() || done() })
		stop()
		s.resume()
		mustWait(t, h)
		wantCounts(t, h, 2)
		wantStarts(t, trace, 2)
		eventually(t, "whole folders alone", func() bool {
			dirs, err := filepath.Glob(filepath.Join(s.Paths.Arrays(), "*"))
			if err != nil {
				t.Fatal(err)
			}
			whole := arraysOf(t, s.Study)
			for _, a := range whole {
				if !a.Closed || a.ID == "" {
					return false
				}
			}
			return len(whole) > 0 && len(dirs) <= len(whole)+1 // and state.json
		})
		if t.Failed() || !reached() {
			if n < 13 { // three files, and array.json again with what sbatch answered
				t.Errorf("the disk was written to %d times only", n-1)
			}
			return
		}
	}
}
