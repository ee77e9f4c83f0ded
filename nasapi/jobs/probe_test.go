//go:build !windows

package jobs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/nasapi/jobs/slurm"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

// wantUnseen submits more jobs than run at once: all fail at the first task that its node
// could not run, none is tried again, and SLURM has nothing left to do.
func wantUnseen(t *testing.T, s *site, words ...string) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	h := s.submit(t, Batch{Specs: countSpecs(countConfig{Steps: 1, Trace: trace}, seedRange(1, 6)...)})
	mustWait(t, h)
	for _, j := range h.jobs {
		wantFailed(t, j, 0, words...)
		if text := j.Status().Error; strings.Contains(text, "\n") || strings.Contains(text, "%!") {
			t.Errorf("no sentence: %q", text)
		}
	}
	s.awaitRelease(t)
	wantStarts(t, trace, 0)
}

func TestNodeDoesNotSeeTheStudy(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		s := fakeSite(t)
		s.fake.Hide(s.Dir())
		wantUnseen(t, s, "the node fake1 does not see the folder of the study", s.Dir(), "EVALNAS_STUDY")
	})
	t.Run("slurm", func(t *testing.T) {
		node := slurmtest.Setup(t)
		processes(t, 2)
		dir, err := os.MkdirTemp(slurmtest.Unshared(t, node), "study")
		if err != nil {
			t.Fatal(err)
		}
		st := mustOpen(t, dir)
		t.Cleanup(func() { quiet(t, st) })
		s := &site{Study: st, on: onSlurm(slurm.Options{Parallel: 2}), client: slurm.Commands{}}
		wantUnseen(t, s, "the node "+hostname()+" does not see the folder of the study", dir, "EVALNAS_STUDY")
		wantArrays(t, s, 1)
	})
}

func TestNodeDoesNotSeeTheProgram(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		s := fakeSite(t)
		exe := os.Getenv("EVALNAS_EXE")
		s.fake.Hide(exe)
		wantUnseen(t, s, "the node fake1 does not see the program "+exe, "install it there")
	})
	t.Run("slurm", func(t *testing.T) {
		s := slurmSite(t)
		exe := filepath.Join(slurmtest.Unshared(t, filepath.Dir(os.Getenv("SLURM_CONF"))), filepath.Base(s.Dir()))
		if err := os.Symlink(os.Getenv("EVALNAS_EXE"), exe); err != nil {
			t.Fatal(err)
		}
		t.Setenv("EVALNAS_EXE", exe)
		wantUnseen(t, s, "does not see the program "+exe, "install it there")
	})
	t.Run("not executable", func(t *testing.T) {
		s := fakeSite(t)
		s.stop()
		exe := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(exe, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Setenv("EVALNAS_EXE", exe)
		s.resume()
		wantUnseen(t, s, "sees the program "+exe+" but may not execute it")
	})
}

// TestProbeFindsAllWell: a task that left nothing for another reason is tried again.
func TestProbeFindsAllWell(t *testing.T) {
	s := fakeSite(t)
	s.on.Slurm.Setup = []string{"rm -f " + slurm.Quote(s.Paths.Arrays()) + "/*/out.*", "exit 5"}
	h := s.submit(t, Batch{Specs: countSpecs(countConfig{Steps: 1}, 1)})
	mustWait(t, h)
	wantFailed(t, h.jobs[0], 0, "its worker cannot be started", "exit code 5:0", "it left no output")
	wantArrays(t, s, 3)
}

// TestProbeCannotBeSent: without its answer the job is tried again as any other.
func TestProbeCannotBeSent(t *testing.T) {
	s := fakeSite(t)
	s.fake.Hide(s.Dir())
	s.fake.RefuseAfter(1)
	h := s.submit(t, Batch{Specs: countSpecs(countConfig{Steps: 1}, 1)})
	mustWait(t, h)
	wantFailed(t, h.jobs[0], 0, "SLURM does not take it", "too many jobs")
}
