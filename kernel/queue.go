package kernel

import (
	"context"
	"sync"
	"time"
)

// queueRequests and requestBytes bound the requests that wait behind a cell.
// Beyond them the shell socket is left unread, and its clients wait.
const (
	queueRequests = 20000
	requestBytes  = 128 << 20
)

// request is a message from the shell channel in the order of arrival.
type request struct {
	*message
	arrival uint64
}

// requests holds what the shell socket received and nobody ran yet. The socket
// is read eagerly, so that after an error the kernel knows what had been sent
// before.
type requests struct {
	mu      sync.Mutex
	changed *sync.Cond
	waiting []request
	bytes   int // of waiting
	arrived uint64
	last    time.Time // of the newest arrival
	closed  bool
}

func newRequests() *requests {
	q := &requests{}
	q.changed = sync.NewCond(&q.mu)
	return q
}

func (q *requests) put(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.full(m) && !q.closed {
		q.changed.Wait()
	}
	q.arrived++
	q.last = time.Now()
	q.waiting = append(q.waiting, request{message: m, arrival: q.arrived})
	q.bytes += m.size
	q.changed.Broadcast()
}

// full says whether m has to wait outside. The caller holds mu.
func (q *requests) full(m *message) bool {
	return len(q.waiting) >= queueRequests || len(q.waiting) > 0 && q.bytes+m.size > requestBytes
}

// next waits for a request; false is the end.
func (q *requests) next() (request, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.changed.Wait()
	}
	if q.closed {
		return request{}, false
	}
	r := q.waiting[0]
	q.waiting[0] = request{}
	q.waiting = q.waiting[1:]
	q.bytes -= r.size
	q.changed.Broadcast()
	return r, true
}

// mark is the arrival number of the newest request.
func (q *requests) mark() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.arrived
}

// settle waits until no request has arrived for quiet, at most limit. Clients
// that run all cells send them one after the other; a cell that fails at once
// must not overtake the rest.
func (q *requests) settle(ctx context.Context, quiet, limit time.Duration) {
	end := time.Now().Add(limit)
	since := time.Now()
	for {
		q.mu.Lock()
		if q.last.After(since) {
			since = q.last
		}
		closed := q.closed
		q.mu.Unlock()
		wait := min(quiet-time.Since(since), time.Until(end))
		if wait <= 0 || closed {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (q *requests) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}
