package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// workers run the tasks of one phase at a time. The caller of run is one of them.
// Which worker takes which task is left to chance; no result may depend on it.
type workers struct {
	all   []*worker
	phase atomic.Pointer[phase]
	epoch atomic.Uint64 // counts phases
	mu    sync.Mutex
	wake  *sync.Cond
	ended bool
	done  sync.WaitGroup
}

// phase is n tasks, taken in order.
type phase struct {
	n    int64
	next atomic.Int64
	left atomic.Int64
	do   func(w *worker, task int)
}

// worker has memory of its own, which a task may take from.
type worker struct {
	buffer []float32
	used   int
	args   arguments
}

// spins is how often a worker looks for the next phase before it sleeps: phases
// follow each other within microseconds, and waking a goroutine takes as long.
const spins = 2000

func newWorkers(threads int) *workers {
	ws := &workers{}
	ws.wake = sync.NewCond(&ws.mu)
	for range threads {
		ws.all = append(ws.all, &worker{})
	}
	for _, w := range ws.all[1:] {
		ws.done.Go(func() { ws.serve(w) })
	}
	return ws
}

// run runs do for tasks 0 to n-1 and returns when all have ended.
func (ws *workers) run(n int, do func(w *worker, task int)) {
	if n == 0 {
		return
	}
	p := &phase{n: int64(n), do: do}
	p.left.Store(int64(n))
	if n > 1 && len(ws.all) > 1 {
		ws.phase.Store(p)
		ws.mu.Lock()
		ws.epoch.Add(1)
		ws.wake.Broadcast()
		ws.mu.Unlock()
	}
	p.work(ws.all[0])
	for p.left.Load() > 0 {
		runtime.Gosched()
	}
}

func (p *phase) work(w *worker) {
	for {
		task := p.next.Add(1) - 1
		if task >= p.n {
			return
		}
		w.used = 0
		p.do(w, int(task))
		p.left.Add(-1)
	}
}

func (ws *workers) serve(w *worker) {
	seen := uint64(0)
	for {
		for i := 0; i < spins && ws.epoch.Load() == seen; i++ {
			if i%64 == 63 {
				runtime.Gosched()
			}
		}
		ws.mu.Lock()
		for ws.epoch.Load() == seen && !ws.ended {
			ws.wake.Wait()
		}
		ended := ws.ended
		seen = ws.epoch.Load()
		ws.mu.Unlock()
		if ended {
			return
		}
		ws.phase.Load().work(w)
	}
}

func (ws *workers) close() {
	ws.mu.Lock()
	ws.ended = true
	ws.wake.Broadcast()
	ws.mu.Unlock()
	ws.done.Wait()
}

// take is n float32s until the task ends, with whatever they held.
func (w *worker) take(n int) []float32 {
	if w.used+n > len(w.buffer) {
		// What was taken before stays valid in the old array.
		w.buffer, w.used = make([]float32, max(2*len(w.buffer), n, 1<<16)), 0
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
