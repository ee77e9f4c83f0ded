// Package jobtest lets a test program stand in for the installed one, so that
// tests submit jobs which real runners and workers execute:
//
//	func TestMain(m *testing.M) { jobtest.Main(m, handlers) }
//
//	func TestX(t *testing.T) {
//		jobtest.Setup(t)
//		study, err := jobs.OpenStudy(jobtest.Dir(t))
package jobtest

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"evalnas/nasapi/child"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

const role = "EVALNAS_TEST_ROLE"

// Main runs the tests, or is the runner or worker that one of them started.
func Main(m *testing.M, handlers map[string]jobs.Handler) {
	child.Supervise()
	if os.Getenv(role) == "" || len(os.Args) != 3 {
		os.Exit(slurmtest.Main(m))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := play(ctx, os.Args[1], os.Args[2], handlers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(ctx context.Context, command, dir string, handlers map[string]jobs.Handler) error {
	switch command {
	case "runner":
		return jobs.RunStudy(ctx, dir, jobs.RunnerOptions{})
	case "worker":
		return jobs.Worker{Handlers: handlers}.Serve(ctx, dir)
	}
	return fmt.Errorf("jobtest: unknown command %q", command)
}

// Setup makes the jobs of a test run in this test program, on slots of their
// own. It changes the environment, so the test cannot be parallel.
func Setup(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("EVALNAS_EXE", exe)
	t.Setenv(role, "1")
	t.Setenv("EVALNAS_SLOT_DIR", Dir(t))
	t.Setenv("EVALNAS_STUDY", "")
	t.Setenv("EVALNAS_STUDIES_FILE", filepath.Join(t.TempDir(), "studies"))
}

// Dir makes a folder for a study that is removed when the test ends, once the
// processes that the test started have let go of it.
func Dir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "study")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		deadline := time.Now().Add(30 * time.Second)
		for {
			err := os.RemoveAll(dir)
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Error(err)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	return dir
}
