// Package host asks the machine what a process may have of it, cores and memory, and binds a
// process to less: to a group of cores (Bind) and below a limit of memory (LimitMemory).
//
// Everything here is about this process, so it holds for the containers and control groups
// that it runs in. What a system cannot do is left out without an error where nothing but
// comfort hangs on it: macOS and Windows bind no threads.
package host

import (
	"math"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leftOfGo is what GOMEMLIMIT, or who called debug.SetMemoryLimit, leaves this process.
func leftOfGo() (bytes int64, limited bool) {
	limit := debug.SetMemoryLimit(-1) // a negative one only asks
	if limit == math.MaxInt64 {
		return 0, false
	}
	in := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(in)
	used := int64(in[0].Value.Uint64() - in[1].Value.Uint64()) // as the limit counts
	return max(0, limit-used), true
}

// softLimit leaves room below a limit for what the collector does not count: code, the
// runtime's own structures and memory that it has asked for in whole arenas.
func softLimit(bytes int64) int64 { return bytes / 10 * 9 }

func countedCores() []int {
	cores := make([]int, runtime.NumCPU())
	for i := range cores {
		cores[i] = i
	}
	return cores
}

// Go's runtime says in several ways that it got no memory, C's where it has no stack for a
// thread, and so does what watches a program, as the race detector. Some of the collector's
// own structures are used unasked: a fault at address 0 on the runtime's own stack, which is
// goroutine 0, is one that was refused.
var outOfMemory = regexp.MustCompile(`(?m)^(fatal error: .*(out of memory|cannot allocate memory)|runtime: out of memory|` +
	`runtime/cgo: pthread_create failed|==\d+==ERROR: \w+Sanitizer failed to allocate|` +
	`SIGSEGV: segmentation violation\nPC=\S+ .*addr=0x0\n\s*goroutine 0 )`)

// OutOfMemory tells whether what a process printed says that it ended because it got no more
// memory, as one does that goes beyond its LimitMemory.
func OutOfMemory(log string) bool { return outOfMemory.MatchString(log) }
