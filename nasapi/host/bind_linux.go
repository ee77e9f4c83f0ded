package host

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// Cores are the numbers of the processors that this process may run on, in order.
func Cores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return countedCores()
	}
	var cores []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	return cores
}

// Bind has all threads of this process, those to come and its children run on these
// processors alone.
func Bind(cores []int) error {
	var set unix.CPUSet
	for _, c := range cores {
		set.Set(c)
	}
	if set.Count() == 0 {
		return errors.New("bind to no processor: give at least one of Cores()")
	}
	// A thread that is made meanwhile has the binding of its maker: once a look finds
	// nobody new, all are bound.
	bound := map[int]bool{}
	for fresh := true; fresh; {
		fresh = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("bind to processors %v: %w", cores, err)
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || bound[id] {
				continue
			}
			if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("bind to processors %v: %w", cores, err)
			}
			bound[id], fresh = true, true
		}
	}
	return nil
}

// LimitMemory keeps this process and each of its children below a number of bytes of
// memory of their own: the collector works harder near it, and what goes beyond it ends the
// process; OutOfMemory knows what it prints then.
func LimitMemory(bytes int64) error {
	var have unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &have); err != nil {
		return fmt.Errorf("limit memory to %d bytes: %w", bytes, err)
	}
	have.Cur = min(uint64(bytes), have.Max)
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &have); err != nil {
		return fmt.Errorf("limit memory to %d bytes: %w", bytes, err)
	}
	debug.SetMemoryLimit(softLimit(bytes))
	return nil
}
