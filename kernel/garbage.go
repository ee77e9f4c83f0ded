package kernel

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// restAfter is how long the executor has nothing to do before garbage is collected.
	restAfter = 200 * time.Millisecond
	// restWorth is how many bytes, at least, must have been allocated since for that to pay.
	restWorth = 2 << 20
	// spare is how much a small heap may grow from one collection to the next. Go's own 4 MB
	// are forty cells that show a value, so that one cell in forty would meet a collection.
	spare = 16 << 20
)

// garbage has collections happen between cells rather than in them, as far as that goes: a small
// heap grows by spare before one begins, and where the kernel rests they are done and the memory
// is given back. Only a kernel that owns its process has one. Close it.
type garbage struct {
	mu     sync.Mutex
	timer  *time.Timer
	closed bool
	known  uint64 // bytes allocated in all when the kernel last rested
	before int    // the percentage that applied before
}

// newGarbage changes nothing and returns nil where the user has set GOGC. A nil *garbage does nothing.
func newGarbage() *garbage {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	g := &garbage{before: debug.SetGCPercent(percent(0))}
	g.timer = time.AfterFunc(restAfter, g.rest)
	g.each(new([32]byte))
	return g
}

// percent is the growth that collections wait for, in percent of what is alive.
func percent(live uint64) int {
	return int(max(100, 100*spare/max(live, 4<<20)))
}

// each follows the collections: a heap that has grown is no small one any more.
func (g *garbage) each(sentinel *[32]byte) {
	runtime.SetFinalizer(sentinel, func(s *[32]byte) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.closed {
			debug.SetGCPercent(percent(metric("/gc/heap/live:bytes")))
			g.each(s)
		}
	})
}

// worked says that the executor has just finished something.
func (g *garbage) worked() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.timer.Reset(restAfter)
	}
}

// rest collects what the last cells left.
func (g *garbage) rest() {
	allocated := metric("/gc/heap/allocs:bytes")
	worth := max(restWorth, metric("/gc/heap/live:bytes")/2) // going through a large heap takes long
	g.mu.Lock()
	pays := !g.closed && allocated-g.known >= worth
	if pays {
		g.known = allocated
	}
	g.mu.Unlock()
	if pays {
		debug.FreeOSMemory()
	}
}

func (g *garbage) close() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.timer.Stop()
	debug.SetGCPercent(g.before)
}

func metric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
