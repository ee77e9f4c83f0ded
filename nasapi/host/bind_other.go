//go:build !linux

package host

import "runtime/debug"

// Cores are numbers of the processors that this process may run on.
func Cores() []int { return countedCores() }

// Bind does nothing here: this system lets no process choose.
func Bind([]int) error { return nil }

// LimitMemory has the collector work harder near a number of bytes; this system has no
// limit that a process could set itself.
func LimitMemory(bytes int64) error {
	debug.SetMemoryLimit(softLimit(bytes))
	return nil
}
