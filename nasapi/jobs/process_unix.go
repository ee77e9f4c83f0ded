//go:build !windows

package jobs

import (
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
)

// detach gives a process a session of its own: it gets no Ctrl-C and no hangup
// from the terminal or the kernel that started it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}

// recordOwner notes the holder in a lock's file. It is for people only, the
// lock holds without it, so that a full disk is no reason to fail here.
func recordOwner(path string) {
	if text, err := ownerText(); err == nil {
		_ = os.WriteFile(path, text, 0o644)
	}
}

// userName tells users of one host apart.
func userName() string { return strconv.Itoa(os.Getuid()) }

// withoutSIGPIPE keeps a write to a broken standard output from killing this
// process. It does not ignore the signal: children would inherit that.
func withoutSIGPIPE(write func() error) error {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGPIPE)
	defer signal.Stop(c)
	return write()
}
