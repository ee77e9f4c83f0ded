//go:build !windows

package child

import (
	"os"
	"os/exec"
	"syscall"
)

// passedOn are the signals that a supervisor hands to its program.
var passedOn = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1}

// keep has no program inherit the file, which came here as an open one.
func keep(f *os.File) { syscall.CloseOnExec(int(f.Fd())) }

// apart gives the supervisor a process group of its own: what is sent to the job's is not
// for the program, which is asked by Terminate.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// The group may have ended already, which is as good.

func pass(p *os.Process, s os.Signal) { _ = syscall.Kill(-p.Pid, s.(syscall.Signal)) }

func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }

func killedBy(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return int(w.Signal())
	}
	return 0
}
