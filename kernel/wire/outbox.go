package wire

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// writeChunk is the most that one deadline covers, so that a slow peer that
// still reads is told from one that does not.
const writeChunk = 128 << 10

// keepBuffer is the largest buffer that is used again.
const keepBuffer = 1 << 20

// outbox is the queue of whole messages to one peer. Its goroutine writes
// everything that waits in one call.
type outbox struct {
	raw    net.Conn
	limits Limits
	sealed *secure // encrypts, if not nil; the goroutine's alone
	// longest is how long a put may wait for room before the peer is cut; 0 is for as long as
	// the peer goes on reading.
	longest time.Duration

	mu      sync.Mutex
	changed *sync.Cond // any field below
	queued  []byte
	writing int // bytes that the goroutine has taken and not yet written
	waiting int // callers of put that wait for room
	closed  bool
	reason  error // of a close by put
}

func newOutbox(raw net.Conn, limits Limits, sealed *secure) *outbox {
	o := &outbox{raw: raw, limits: limits, sealed: sealed}
	o.changed = sync.NewCond(&o.mu)
	return o
}

// put queues one message. It waits for room; the goroutine's deadlines and
// longest bound that wait.
func (o *outbox) put(message []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.full(message) {
		o.waitForRoom(message)
	}
	if o.closed {
		return net.ErrClosed
	}
	o.queued = append(o.queued, message...)
	o.changed.Broadcast()
	return nil
}

// full says whether a message has to wait. The caller holds mu.
func (o *outbox) full(message []byte) bool {
	return !o.closed && o.pending() > 0 && o.pending()+len(message) > o.limits.Queue
}

// waitForRoom closes the outbox when that takes too long. The caller holds mu.
func (o *outbox) waitForRoom(message []byte) {
	late := false
	if o.longest > 0 {
		timer := time.AfterFunc(o.longest, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			late = true
			o.changed.Broadcast()
		})
		defer timer.Stop()
	}
	o.waiting++
	defer func() { o.waiting-- }()
	for o.full(message) {
		if late {
			o.reason = errors.New("the peer reads too slowly what it has asked for")
			o.shut()
			return
		}
		o.changed.Wait()
	}
}

func (o *outbox) pending() int { return len(o.queued) + o.writing }

// run writes until close, or until the peer is gone, stalled or cut by put, which
// it returns as an error.
func (o *outbox) run() error {
	err := o.writeAll()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reason != nil {
		return o.reason // and not the write that it interrupted
	}
	return err
}

func (o *outbox) writeAll() error {
	var buffer, boxes []byte
	for {
		o.mu.Lock()
		for len(o.queued) == 0 && !o.closed {
			o.changed.Wait()
		}
		if o.closed {
			o.mu.Unlock()
			return nil
		}
		buffer, o.queued = o.queued, buffer[:0]
		o.writing = len(buffer)
		o.mu.Unlock()

		out := buffer
		if o.sealed != nil {
			var err error
			if boxes, err = o.sealed.sealFrames(boxes[:0], buffer); err != nil {
				return err
			}
			out = boxes
			o.grew(len(boxes) - len(buffer))
		}
		if err := o.write(out); err != nil {
			return err
		}
		if cap(buffer) > keepBuffer {
			buffer = nil
		}
		if cap(boxes) > keepBuffer {
			boxes = nil
		}
	}
}

func (o *outbox) write(b []byte) error {
	stalls := 0
	for len(b) > 0 {
		if err := o.raw.SetWriteDeadline(time.Now().Add(o.limits.Stall)); err != nil {
			return err
		}
		n, err := o.raw.Write(b[:min(len(b), writeChunk)])
		b = b[n:]
		full := o.wrote(n)
		switch {
		case err == nil || n > 0 && errors.Is(err, os.ErrDeadlineExceeded):
			stalls = 0
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		default:
			stalls++
			if full || stalls >= patience {
				return errors.New("the peer has stopped reading")
			}
		}
	}
	return nil
}

// grew accounts for what encryption adds to the bytes that are being written.
func (o *outbox) grew(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.writing += n
	}
}

// wrote accounts for n written bytes and says whether a caller waits for room.
func (o *outbox) wrote(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing -= n
	o.changed.Broadcast()
	return o.waiting > 0
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shut()
}

// shut is close for a caller that holds mu.
func (o *outbox) shut() {
	o.closed = true
	o.queued, o.writing = nil, 0
	o.changed.Broadcast()
}

// idle says whether nothing waits to be written.
func (o *outbox) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed || o.pending() == 0
}
