//go:build !windows

package jobs

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync/atomic"
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

// untilWarned ends the context when SLURM warns of the end of this process's time, by the
// signal that the batch script asks for. warned says whether it did.
func untilWarned(ctx context.Context) (_ context.Context, warned func() bool) {
	ctx, stop := context.WithCancelCause(ctx)
	var was atomic.Bool
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	go func() {
		<-c
		was.Store(true)
		stop(errTimeLimit)
	}()
	return ctx, was.Load
}
