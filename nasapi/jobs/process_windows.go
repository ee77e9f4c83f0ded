//go:build windows

package jobs

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

const detachedProcess = 0x00000008 // DETACHED_PROCESS of the Windows API

// detach gives a process a group of its own and no console: it gets no Ctrl-C
// from the terminal or the kernel that started it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | detachedProcess,
		HideWindow:    true,
	}
}

// recordOwner does nothing here: a locked file can be neither written nor read
// through another handle. The owner is in the job's start event as well.
func recordOwner(path string) {}

// userName tells users of one host apart.
func userName() string {
	return strings.Map(func(r rune) rune {
		if r == '\\' || r == '/' || r == ':' {
			return '-'
		}
		return r
	}, os.Getenv("USERNAME"))
}

// withoutSIGPIPE only writes: this system has no such signal.
func withoutSIGPIPE(write func() error) error { return write() }

// untilWarned does nothing: SLURM does not run here.
func untilWarned(ctx context.Context) (_ context.Context, warned func() bool) {
	return ctx, func() bool { return false }
}
