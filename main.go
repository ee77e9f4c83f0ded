// Command evalnas is a Jupyter kernel and notebook backend that asks whether a
// neural architecture search policy beats random sampling. One binary is the
// kernel, the job runner and worker, and the tools around them; this file is
// the command tree, and each command has a file beside it.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"evalnas/nasapi"
	"evalnas/nasapi/child"
	"evalnas/nasapi/jobs"
)

// version is set when the binary is linked.
var version = "dev"

func main() {
	child.Supervise()
	nasapi.Version = version
	if err := newRootCommand().Execute(); err != nil {
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(os.Stderr, "evalnas:", err)
		}
		os.Exit(exitStatus(err))
	}
}

// exitStatus is 1 for all errors but those that say otherwise.
func exitStatus(err error) int {
	var other *statusError
	if errors.As(err, &other) {
		return other.status
	}
	return 1
}

// statusError is an error with an exit status of its own.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// errSilent ends a command that has said what is wrong with exit status 1.
var errSilent = errors.New("failed")

// handlers says what each kind of job runs.
func handlers() map[string]jobs.Handler {
	return map[string]jobs.Handler{nasapi.SearchKind: nasapi.SearchHandler, nasapi.TrainKind: nasapi.TrainHandler}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "evalnas",
		Short: "Does a neural architecture search policy beat random sampling?",
		Long: `evalnas is a Jupyter kernel that asks, in a notebook, whether a search policy finds
better architectures than random sampling from the same space, under the same
condition, over ten seeds.

  evalnas install --user     make the kernel known to Jupyter
  evalnas doctor             check that it works
  jupyter lab                then choose the kernel "evalnas"`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newKernelCommand(), newInstallCommand(), newUninstallCommand(), newDoctorCommand(),
		newDataCommand(), newTrainCommand(),
		newJobsCommand(), newNASBenchCommand(), newNotebookCommand(), newResultsCommand(), newRunnerCommand(), newWorkerCommand(handlers()),
	)
	return root
}
