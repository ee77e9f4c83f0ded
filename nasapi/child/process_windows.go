package child

import (
	"os"
	"os/exec"
)

// This system has no process groups to kill and no signals to pass: the program itself is
// killed, and what it started goes on.

var passedOn = []os.Signal{os.Interrupt}

func keep(*os.File)                   {}
func apart(*exec.Cmd)                 {}
func ownGroup(*exec.Cmd)              {}
func terminate(p *os.Process) error   { return p.Kill() }
func pass(p *os.Process, s os.Signal) { _ = p.Signal(s) }
func killGroup(p *os.Process)         { _ = p.Kill() }
func killedBy(*os.ProcessState) int   { return 0 }
