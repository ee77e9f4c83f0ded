package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// job is a phase of work in n tasks that do not depend on each other.
type job interface {
	task(w *worker, i int)
}

// workers run the tasks of one job at a time. The caller of run is one of them.
// Which worker takes which task is left to chance; no result may depend on it.
//
// The ticket holds the number of the phase and the tasks that nobody has taken yet.
// Who takes one off it by compare-and-swap may read job and count: they change only
// after the taken task has ended.
type workers struct {
	all    []*worker
	ticket atomic.Uint64
	left   atomic.Int64 // tasks that have not ended
	job    job
	count  int

	sleeping atomic.Int32
	mu       sync.Mutex
	wake     *sync.Cond
	ended    bool
	done     sync.WaitGroup // one goroutine for each worker but the first
}

// worker has memory of its own, which a task may take from.
type worker struct {
	buffer []float32
	used   int
	args   arguments
	copies []copied

	reserved *int // of Device.reserved
}

// leastBuffer is how many float32s a worker begins with.
const leastBuffer = 1 << 16

const (
	taskBits = 32
	taskMask = 1<<taskBits - 1
	// spins is how often a worker looks for the next phase before it sleeps, a few
	// tens of microseconds: phases follow each other faster than a goroutine wakes.
	spins = 20000
)

func newWorkers(threads int, reserved *int) *workers {
	ws := &workers{}
	ws.wake = sync.NewCond(&ws.mu)
	for range threads {
		ws.all = append(ws.all, &worker{reserved: reserved})
	}
	for _, w := range ws.all[1:] {
		ws.done.Go(func() { ws.serve(w) })
	}
	return ws
}

// run does tasks 0 to n-1 and returns when all have ended.
func (ws *workers) run(n int, j job) {
	if n == 1 || len(ws.all) == 1 {
		for i := range n {
			ws.all[0].do(j, i)
		}
		return
	}
	if n == 0 {
		return
	}
	ws.job, ws.count = j, n
	ws.left.Store(int64(n))
	ws.ticket.Store((ws.ticket.Load()>>taskBits+1)<<taskBits | uint64(n))
	if ws.sleeping.Load() > 0 {
		ws.mu.Lock()
		ws.wake.Broadcast()
		ws.mu.Unlock()
	}
	for ws.work(ws.all[0]) {
	}
	for i := 1; ws.left.Load() > 0; i++ {
		if i%64 == 0 {
			runtime.Gosched()
		}
	}
	ws.job = nil
}

// work does one task if there is one.
func (ws *workers) work(w *worker) bool {
	for {
		t := ws.ticket.Load()
		if t&taskMask == 0 {
			return false
		}
		if ws.ticket.CompareAndSwap(t, t-1) {
			w.do(ws.job, ws.count-int(t&taskMask))
			ws.left.Add(-1)
			return true
		}
	}
}

func (w *worker) do(j job, i int) {
	w.used = 0
	j.task(w, i)
}

func (ws *workers) serve(w *worker) {
	for {
		for i := 1; i <= spins; i++ {
			if ws.work(w) {
				i = 0
			} else if i%256 == 0 {
				runtime.Gosched()
			}
		}
		if !ws.sleep() {
			return
		}
	}
}

// sleep waits for a phase with tasks left; it answers false after close. It counts
// itself asleep before it looks at the ticket, run the other way round, so no phase
// begins unseen.
func (ws *workers) sleep() bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.sleeping.Add(1)
	defer ws.sleeping.Add(-1)
	for ws.ticket.Load()&taskMask == 0 && !ws.ended {
		ws.wake.Wait()
	}
	return !ws.ended
}

// close ends the goroutines. It may be called twice.
func (ws *workers) close() {
	ws.mu.Lock()
	ws.ended = true
	ws.wake.Broadcast()
	ws.mu.Unlock()
	ws.done.Wait()
}

// take is n float32s until the task ends or gives them back, with whatever they held.
func (w *worker) take(n int) []float32 {
	if w.used+n > len(w.buffer) {
		// What was taken before stays valid in the old array.
		w.buffer, w.used = make([]float32, max(len(w.buffer)+n, *w.reserved, leastBuffer)), 0
		useLargePages(w.buffer)
	}
	s := w.buffer[w.used : w.used+n : w.used+n]
	w.used += n
	return s
}

// takeZero is take, cleared.
func (w *worker) takeZero(n int) []float32 {
	s := w.take(n)
	clear(s)
	return s
}

// giveBack frees what was taken since used was mark.
func (w *worker) giveBack(mark int) { w.used = min(mark, len(w.buffer)) }

// forget drops every reference to a graph's memory.
func (w *worker) forget() {
	w.args = arguments{}
	clear(w.copies)
}
