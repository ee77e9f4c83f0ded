package kernel

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

const (
	// updateGap is the least time between two updates of one display, unless
	// a cell ends or asks for input.
	updateGap = 250 * time.Millisecond
	// updatesGap and updateRate, in bytes a second, bound all displays together.
	updatesGap = 20 * time.Millisecond
	updateRate = 1 << 20
	// laneDisplays and laneBytes bound what waits, and what is kept for the
	// next cell.
	laneDisplays = 512
	laneBytes    = 16 << 20
)

// lane has updates of displays, the newest of each, in the order in which the
// displays came.
type lane struct {
	list  []*publication
	bytes int
}

// put adds p. An older one of the display hands its place over.
func (l *lane) put(p *publication) {
	if i := l.index(p.displayID); i >= 0 {
		l.bytes += p.size() - l.list[i].size()
		l.list[i] = p
		return
	}
	l.list = append(l.list, p)
	l.bytes += p.size()
}

func (l *lane) index(id string) int {
	return slices.IndexFunc(l.list, func(p *publication) bool { return p.displayID == id })
}

// take removes the display's update; nil if it has none.
func (l *lane) take(id string) *publication {
	i := l.index(id)
	if i < 0 {
		return nil
	}
	p := l.list[i]
	l.list = slices.Delete(l.list, i, i+1)
	l.bytes -= p.size()
	return p
}

// full says that the oldest has to go.
func (l *lane) full() bool {
	return len(l.list) > laneDisplays || len(l.list) > 1 && l.bytes > laneBytes
}

// drop removes the oldest.
func (l *lane) drop() {
	if len(l.list) > 0 {
		l.take(l.list[0].displayID)
	}
}

// updates holds back updates of displays, which come as often as their owners
// like, so that each display and all together keep to a rate that front ends
// can follow. Displays take turns; the last state always gets out.
type updates struct {
	waiting lane
	// missed were sent while no cell ran. Batch clients take only what belongs
	// to a running cell, so the next one sends them again.
	missed lane
	last   map[string]time.Time // when a display was last updated
	next   time.Time            // when any may be, by the rate of all
}

// ready is the update whose turn it is; nil if that is later, or negative for
// when there is none.
func (u *updates) ready(now time.Time) (p *publication, later time.Duration) {
	later = -1
	for _, p := range u.waiting.list {
		due := u.last[p.displayID].Add(updateGap)
		if due.Before(u.next) {
			due = u.next
		}
		if !due.After(now) {
			return p, 0
		}
		later = sooner(later, due.Sub(now))
	}
	return nil, later
}

// sooner is the lesser of two waits, of which a negative one has no end.
func sooner(a, b time.Duration) time.Duration {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// sent notes that p, which was waiting, is on its way.
func (u *updates) sent(now time.Time, p *publication, inCell bool) {
	u.waiting.take(p.displayID)
	u.forget(now)
	u.last[p.displayID] = now
	u.next = now.Add(max(updatesGap, time.Duration(p.size())*time.Second/updateRate))
	u.missed.take(p.displayID)
	if !inCell {
		again := *p
		u.missed.put(&again)
	}
}

// forget bounds what is known of displays that are no longer updated.
func (u *updates) forget(now time.Time) {
	if u.last == nil {
		u.last = map[string]time.Time{}
	}
	if len(u.last) <= laneDisplays {
		return
	}
	for id, at := range u.last {
		if now.Sub(at) >= updateGap {
			delete(u.last, id)
		}
	}
}

// putUpdate queues an update under the cell that is executing when it is
// sent, else under its own. A newer one of the display replaces it until then.
func (q *iopub) putUpdate(ctx context.Context, p *publication) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.refuse(p)
		return
	}
	q.updates.waiting.put(p)
	q.releaseDue(time.Now())
	for q.updates.waiting.full() {
		if !q.makeRoom(ctx, q.updates.waiting.list[0]) {
			q.updates.waiting.drop()
			q.lost++
		} else if q.updates.waiting.full() { // still: the wait was without the lock
			q.release(time.Now(), q.updates.waiting.list[0])
		}
	}
	q.signal()
}

// releaseDue queues the updates whose turn it is, and says when the next one's
// is. Behind outputs that wait for the server's limits they stay replaceable.
func (q *iopub) releaseDue(now time.Time) (later time.Duration) {
	for {
		p, later := q.updates.ready(now)
		if p == nil {
			return later
		}
		if !q.fits(p) || q.paceWait(now) > 0 {
			return -1
		}
		q.release(now, p)
	}
}

// release queues one update.
func (q *iopub) release(now time.Time, p *publication) {
	q.adopt(now, p)
	q.add(p)
}

// adopt gives an update that is on its way its parent.
func (q *iopub) adopt(now time.Time, p *publication) {
	q.updates.sent(now, p, q.current != nil)
	p.parent = q.parentOf(p)
	for q.updates.missed.full() {
		q.updates.missed.drop()
		q.log.Warn("a display's last state is not kept for the next cell: too many have changed while none ran")
	}
}

func (q *iopub) parentOf(update *publication) json.RawMessage {
	if q.current != nil {
		return q.current
	}
	return update.parent
}

// releaseAll queues all updates that wait.
func (q *iopub) releaseAll() {
	for len(q.updates.waiting.list) > 0 {
		q.release(time.Now(), q.updates.waiting.list[0])
	}
}

// overtake takes the update whose turn it is and that may go before all that
// the queue has, where that waits for the server's limits.
func (q *iopub) overtake(now time.Time) *publication {
	p, _ := q.updates.ready(now)
	if p == nil || q.paceWait(now) == 0 || q.pace.wait(now, 0) > 0 {
		return nil
	}
	parent, older := q.parentOf(p), -1
	for i, old := range q.queue {
		if !old.movable() || string(old.parent) != string(parent) {
			return nil
		}
		if old.displayID == p.displayID {
			older = i
		}
	}
	if older >= 0 {
		q.remove(older)
	}
	q.adopt(now, p)
	q.seq++
	p.seq = q.seq
	return p
}

// redisplay is for a display that is shown again: no older state of it may
// come later.
func (q *iopub) redisplay(id string) {
	if p := q.updates.waiting.take(id); p != nil {
		q.release(time.Now(), p)
	}
	q.updates.missed.take(id)
}

// begin makes parent the executing cell's. paced says that a Jupyter server
// may pass on the outputs. What went out since the last cell goes out again.
func (q *iopub) begin(parent json.RawMessage, paced bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.current, q.paced = parent, paced
	for _, p := range q.updates.missed.list {
		if q.updates.waiting.index(p.displayID) < 0 {
			q.updates.waiting.put(p)
		}
	}
	q.updates.missed = lane{}
	q.signal()
}
