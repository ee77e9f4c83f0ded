//go:build unix

package kernel

import (
	"errors"
	"os"
	"syscall"
)

// parentGone returns a test for the end of process pid. If pid is our parent
// now, a change of parent tells, which a reused number or a process nobody
// waited for cannot spoil.
func parentGone(pid int) func() bool {
	if os.Getppid() == pid {
		return func() bool { return os.Getppid() != pid }
	}
	return func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
}
