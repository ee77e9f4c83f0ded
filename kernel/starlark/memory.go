package starlark

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	lib "go.starlark.net/starlark"
)

// watchMemory stops a thread whose cell fills the memory: the interpreter has
// no accounts of its own, and a process that the system kills takes the
// notebook's state with it. The returned function ends the watch and waits.
func (r *run) watchMemory(th *lib.Thread) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if used := heapInUse(); used > r.in.memoryLimit {
				r.full.Store(used)
				th.Cancel("memory")
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (in *Interpreter) memoryError(used uint64) error {
	return Named("MemoryError", fmt.Errorf("the kernel's memory reached %s, the limit is %s; assign None to what is no longer needed",
		megabytes(used), megabytes(in.memoryLimit)))
}

func megabytes(n uint64) string { return fmt.Sprintf("%d MB", n>>20) }

func heapInUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}

// defaultMemoryLimit is half of what the machine, or the control group that we
// are in, has. Where that cannot be read it is 4 GiB.
func defaultMemoryLimit() uint64 {
	limit := uint64(math.MaxUint64)
	if kb, ok := memTotal(); ok {
		limit = kb << 10
	}
	if b, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil {
			limit = min(limit, n)
		}
	}
	if limit == math.MaxUint64 {
		return 4 << 30
	}
	return limit / 2
}

func memTotal() (kb uint64, ok bool) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if n, err := fmt.Sscanf(sc.Text(), "MemTotal: %d kB", &kb); n == 1 && err == nil {
			return kb, true
		}
	}
	return 0, false
}
