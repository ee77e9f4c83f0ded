package child

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
)

// superviseVariable says that this process is to be a supervisor.
const superviseVariable = "EVALNAS_SUPERVISE"

// markVariable is in the environment of a program and of what it starts, by which that is found
// where the supervisor was killed.
const markVariable = "EVALNAS_CHILD_OF"

// Supervise makes this process the supervisor of the program that its arguments name, and
// does not return, if it was started by Start. main calls it first, as do tests that start
// programs (TestMain).
func Supervise() {
	if os.Getenv(superviseVariable) == "" {
		return
	}
	if err := os.Unsetenv(superviseVariable); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(supervise(os.Args[1:], os.NewFile(3, "leash")))
}

// supervise runs a program until it ends, or leash does, and returns its exit status.
func supervise(words []string, leash *os.File) int {
	// On Linux the program is killed when the thread ends that started it.
	runtime.LockOSThread()
	keep(leash)
	adopt()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if errors.Is(cmd.Err, exec.ErrDot) { // found in the current folder, which was meant
		cmd.Err = nil
	}
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return NotFound
		}
		return 126 // as a shell has it for what cannot be executed
	}
	// The program holds these ends alone: its end is then seen at once.
	_, _ = os.Stdin.Close(), os.Stdout.Close()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn...)
	go func() {
		for s := range signals {
			pass(cmd.Process, s)
		}
	}()
	go func() {
		_, _ = io.Copy(io.Discard, leash)
		killGroup(cmd.Process)
	}()
	err := cmd.Wait()
	killGroup(cmd.Process)
	reap()
	return exitCode(cmd, err)
}

func exitCode(cmd *exec.Cmd, err error) int {
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if n := killedBy(cmd.ProcessState); n > 0 {
		return 128 + n
	}
	return cmd.ProcessState.ExitCode()
}
