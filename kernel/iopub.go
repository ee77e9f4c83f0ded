package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// queueMessages and queueBytes bound what waits for slow clients.
	queueMessages = 4096
	queueBytes    = 32 << 20
	// queueWait is how long an output waits for room before it is dropped.
	// Stalled clients are cut sooner, so it takes a fault to come to that.
	queueWait = 15 * time.Second
	// streamGap is the least time between two stream messages when nothing
	// else is sent: JupyterLab drops output beyond 1,000 messages a second.
	streamGap = 20 * time.Millisecond
	// streamBytes is the most text that is joined into one stream message.
	streamBytes = 256 << 10
)

// publication is one message that waits to be published.
type publication struct {
	msgType string
	parent  json.RawMessage
	content json.RawMessage // of all but streams, which are joined while they wait

	stream    string // stdout or stderr, for a stream
	text      []byte
	displayID string // of update_display_data, and of display_data if it has one
	// vital messages carry the protocol's state and are never held up.
	vital bool
	seq   uint64 // its place in the order, from 1
}

func (p *publication) size() int { return len(p.content) + len(p.text) + 256 }

// iopub orders everything that is published. Producers append to its queue,
// one goroutine (run) sends. What cannot be told apart by a reader is joined
// while it waits: text of one stream, and updates of one display.
type iopub struct {
	session *session
	log     *slog.Logger
	send    func(frames [][]byte) error

	mu      sync.Mutex
	queue   []*publication
	bytes   int
	current json.RawMessage // the parent of the cell that is executing
	seq     uint64          // of the newest message
	sending uint64          // of the message that run has taken and not finished, else 0
	hurry   int             // callers of flush: no stream is held back
	lastOut time.Time       // of the last stream message
	lost    int             // outputs dropped since the last report
	changed chan struct{}   // closed and replaced at each change
	closed  bool
}

func newIOPub(s *session, log *slog.Logger, send func([][]byte) error) *iopub {
	return &iopub{session: s, log: log, send: send, changed: make(chan struct{})}
}

// signal wakes all that wait. The caller holds mu.
func (q *iopub) signal() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// publish queues a message with any content. An error is that of its encoding.
func (q *iopub) publish(ctx context.Context, msgType string, parent json.RawMessage, content any) error {
	body, err := encodeJSON(content)
	if err != nil {
		return err
	}
	q.put(ctx, &publication{msgType: msgType, parent: parent, content: body})
	return nil
}

// state queues one of the protocol's own messages, whose content is known to
// encode and which are few.
func (q *iopub) state(msgType string, parent json.RawMessage, content object) {
	body, err := encodeJSON(content)
	if err != nil {
		q.log.Error("message not sent", "type", msgType, "error", err)
		return
	}
	q.put(context.Background(), &publication{msgType: msgType, parent: parent, content: body, vital: true})
}

// put appends p, when there is room.
func (q *iopub) put(ctx context.Context, p *publication) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !p.vital && !q.makeRoom(ctx, p) {
		q.lost++
		return
	}
	q.add(p)
}

// makeRoom waits until p fits. It returns false if that takes too long, or if
// ctx ends first: an interrupted cell must not hang in a print.
func (q *iopub) makeRoom(ctx context.Context, p *publication) bool {
	var timeout <-chan time.Time
	for !q.closed && len(q.queue) > 0 && (len(q.queue) >= queueMessages || q.bytes+p.size() > queueBytes) {
		if timeout == nil {
			timer := time.NewTimer(queueWait)
			defer timer.Stop()
			timeout = timer.C
		}
		changed := q.changed
		q.mu.Unlock()
		ok := true
		select {
		case <-changed:
		case <-timeout:
			ok = false
		case <-ctx.Done():
			ok = false
		}
		q.mu.Lock()
		if !ok {
			return false
		}
	}
	return true
}

// add appends p, joined with what waits already where that is possible.
func (q *iopub) add(p *publication) {
	if q.closed {
		q.log.Warn("output after the end of the kernel", "type", p.msgType)
		return
	}
	if q.joinStream(p) {
		q.signal()
		return
	}
	q.dropSuperseded(p)
	q.append(p)
}

func (q *iopub) append(p *publication) {
	q.seq++
	p.seq = q.seq
	q.queue = append(q.queue, p)
	q.bytes += p.size()
	q.signal()
}

func (q *iopub) joinStream(p *publication) bool {
	if p.stream == "" || len(q.queue) == 0 {
		return false
	}
	last := q.queue[len(q.queue)-1]
	if last.stream != p.stream || string(last.parent) != string(p.parent) || len(last.text)+len(p.text) > streamBytes {
		return false
	}
	last.text = append(last.text, p.text...)
	q.bytes += len(p.text)
	return true
}

// dropSuperseded removes the waiting update that p replaces. It looks back
// only over streams and updates of the same parent: those the reader can get
// in either order and see the same in the end.
func (q *iopub) dropSuperseded(p *publication) {
	if p.msgType != "update_display_data" {
		return
	}
	for i := len(q.queue) - 1; i >= 0; i-- {
		old := q.queue[i]
		movable := old.stream != "" || old.msgType == "update_display_data"
		if !movable || string(old.parent) != string(p.parent) {
			return
		}
		if old.msgType == p.msgType && old.displayID == p.displayID {
			q.bytes -= old.size()
			q.queue = append(q.queue[:i], q.queue[i+1:]...)
			return
		}
	}
}

// putUpdate queues an update under the cell that is executing at that moment,
// else under its own.
func (q *iopub) putUpdate(ctx context.Context, p *publication) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.makeRoom(ctx, p) {
		q.lost++
		return
	}
	if q.current != nil {
		p.parent = q.current
	}
	q.add(p)
}

// begin makes parent the executing cell's.
func (q *iopub) begin(parent json.RawMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.current = parent
}

// end queues the executing cell's idle. No update can come after it under that
// cell, where batch clients would not see it.
func (q *iopub) end(parent json.RawMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.current = nil
	q.add(&publication{msgType: "status", parent: parent, content: json.RawMessage(`{"execution_state":"idle"}`), vital: true})
}

// flush waits until everything queued so far is sent, or ctx ends.
func (q *iopub) flush(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hurry++
	q.signal()
	defer func() { q.hurry-- }()
	last := q.seq
	for len(q.queue) > 0 && q.queue[0].seq <= last || q.sending != 0 && q.sending <= last {
		changed := q.changed
		q.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		q.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// close ends run once the queue is empty.
func (q *iopub) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// run sends what is queued until close.
func (q *iopub) run() {
	for {
		p := q.next()
		if p == nil {
			return
		}
		if err := q.transmit(p); err != nil {
			q.log.Warn("output not published", "type", p.msgType, "error", err)
		}
		q.mu.Lock()
		q.sending = 0
		q.reportLost(p.parent)
		q.signal()
		q.mu.Unlock()
	}
}

// next waits for a message that may be sent now; nil is the end.
func (q *iopub) next() *publication {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		wait := q.hold()
		if wait == 0 {
			break
		}
		if q.closed && len(q.queue) == 0 {
			return nil
		}
		changed := q.changed
		q.mu.Unlock()
		waitFor(changed, wait)
		q.mu.Lock()
	}
	p := q.queue[0]
	q.queue[0] = nil
	q.queue = q.queue[1:]
	q.bytes -= p.size()
	q.sending = p.seq
	if p.stream != "" {
		q.lastOut = time.Now()
	}
	q.signal()
	return p
}

// hold says how long the head of the queue is held back; negative is until
// something changes. A stream at the queue's end waits for more text, unless
// none was sent of late.
func (q *iopub) hold() time.Duration {
	if len(q.queue) == 0 {
		return -1
	}
	p := q.queue[0]
	if p.stream == "" || len(q.queue) > 1 || q.hurry > 0 || q.closed || len(p.text) >= streamBytes/2 {
		return 0
	}
	return max(0, streamGap-time.Since(q.lastOut))
}

func waitFor(changed <-chan struct{}, wait time.Duration) {
	if wait < 0 {
		<-changed
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

// reportLost tells the reader of a notebook that outputs are missing. The
// caller holds mu.
func (q *iopub) reportLost(parent json.RawMessage) {
	if q.lost == 0 || len(q.queue) > queueMessages/2 {
		return
	}
	text := fmt.Sprintf("[%d outputs are missing here: the front end did not take them in time]\n", q.lost)
	q.log.Warn("outputs dropped: no client took them", "count", q.lost)
	q.lost = 0
	q.append(&publication{msgType: "stream", parent: parent, stream: "stderr", text: []byte(text)})
}

func (q *iopub) transmit(p *publication) error {
	topic := p.msgType
	content := p.content
	if p.stream != "" {
		topic = "stream." + p.stream
		body, err := encodeJSON(object{"name": p.stream, "text": string(p.text)})
		if err != nil {
			return err
		}
		content = body
	}
	frames, err := encodeMessage(q.session.signer, q.session.header(p.msgType), p.parent, nil, content)
	if err != nil {
		return err
	}
	return q.send(append([][]byte{[]byte("kernel." + q.session.id + "." + topic)}, frames...))
}
