//go:build !linux && !windows

package child

import (
	"os/exec"
	"syscall"
)

// ownGroup has the program lead a process group.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
