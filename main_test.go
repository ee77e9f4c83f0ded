package main

import (
	"os"
	"testing"

	"evalnas/nasapi/child"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

// programVariable makes the test binary the program itself, for tests that need its
// processes.
const programVariable = "EVALNAS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	child.Supervise()
	os.Setenv("EVALNAS_HISTORY", "off") // kernels of tests leave the user's alone
	if os.Getenv(programVariable) != "" {
		main()
		return
	}
	os.Exit(slurmtest.Main(m))
}
