package child

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// adopt makes this process the parent of what its descendants leave behind.
func adopt() {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "processes that the program leaves behind may go on:", err)
	}
}

// ownGroup has the program lead a process group, and die with its supervisor.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reap kills all children of this process until none is left: those of a program that has
// ended, and of its children in turn, are this process's.
func reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR || pid > 0:
			continue
		case err != nil: // no child is left
			return
		}
		for _, pid := range children(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(time.Millisecond) // the killed need a moment
	}
}

// children lists the processes whose parent is pid.
func children(pid int) []int {
	var found []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name, which may hold anything) state ppid
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) < 2 || string(fields[1]) != strconv.Itoa(pid) {
			continue
		}
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			found = append(found, n)
		}
	}
	return found
}

// killMarked kills all processes of this user whose environment has the line, until none is
// left.
func killMarked(line string) {
	for end := time.Now().Add(markedPatience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		found := marked(line)
		if len(found) == 0 {
			return
		}
		for _, pid := range found {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
}

// markedPatience is how long the killed may take to end, as in a system call of a bad disk.
const markedPatience = 5 * time.Second

func marked(line string) []int {
	var found []int
	self := strconv.Itoa(os.Getpid())
	environs, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is good
	for _, path := range environs {
		text, err := os.ReadFile(path)
		if err != nil { // it has ended, or is somebody else's
			continue
		}
		pid := filepath.Base(filepath.Dir(path))
		if n, err := strconv.Atoi(pid); err == nil && pid != self && bytes.Contains(append([]byte{0}, text...), []byte("\x00"+line+"\x00")) {
			found = append(found, n)
		}
	}
	return found
}
