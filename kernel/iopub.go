package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// queueMessages and queueBytes bound what waits for slow clients.
	queueMessages = 4096
	queueBytes    = 32 << 20
	// queueWait is how long an output waits for room before it is dropped, and
	// the end of a cell for its output, while nothing at all is sent. Stalled
	// clients are cut sooner, so it takes a fault to come to that.
	queueWait = 15 * time.Second
	// streamGap is the least time between two stream messages when nothing
	// else is sent: JupyterLab drops output beyond 1,000 messages a second.
	streamGap = 20 * time.Millisecond
	// streamBytes is the most text that is joined into one stream message.
	streamBytes = 256 << 10
	// interruptKeeps is how much of an interrupted cell's waiting output is
	// still sent: its end, which tells where the cell was.
	interruptKeeps = 64 << 10
)

// idleContent is that of the status after which clients expect nothing.
const idleContent = `{"execution_state":"idle"}`

// errStalled is the end of a wait for the sender.
var errStalled = errors.New("no client takes the output")

// publication is one message that waits to be published.
type publication struct {
	msgType string
	parent  json.RawMessage
	content json.RawMessage // of all but streams, which are joined while they wait

	stream    string // stdout or stderr, for a stream
	text      []byte
	encoded   json.RawMessage // the content of a stream that is to be sent next, and so is joined no more
	displayID string          // of update_display_data, and of display_data if it has one
	// vital messages carry the protocol's state and are never held up.
	vital bool
	seq   uint64 // its place in the order, from 1
}

func (p *publication) size() int { return len(p.content) + len(p.text) + 256 }

// counted is the part of the size that the limits of servers are about.
func (p *publication) counted() int {
	if p.stream == "" {
		return 0
	}
	return max(len(p.text), len(p.encoded)) + len(p.parent) + headerSize
}

// body is the message's content.
func (p *publication) body() (json.RawMessage, error) {
	switch {
	case p.stream == "":
		return p.content, nil
	case p.encoded != nil:
		return p.encoded, nil
	}
	return encodeJSON(object{"name": p.stream, "text": string(p.text)})
}

// movable says that the reader can get p before or after others of its cell
// that are movable, and see the same in the end.
func (p *publication) movable() bool {
	return p.stream != "" || p.msgType == "update_display_data"
}

func (p *publication) idle() bool { return p.msgType == "status" && string(p.content) == idleContent }

// iopub orders everything that is published. Producers append to its queue,
// one goroutine (run) sends. What cannot be told apart by a reader is joined
// while it waits: text of one stream, and updates of one display (updates.go).
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
	sent    uint64          // how many were
	paced   bool            // a Jupyter server may be between us and the reader
	rushed  bool            // the kernel ends, nothing is paced any more
	pace    pace
	updates updates
	lost    int           // outputs dropped since the last report
	changed chan struct{} // closed and replaced at each change
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
	if p.msgType == "display_data" && p.displayID != "" {
		q.redisplay(p.displayID)
	}
	q.add(p)
}

// makeRoom waits until p fits. It returns false if nothing is sent for too long,
// or if ctx ends first: an interrupted cell must not hang in a print.
func (q *iopub) makeRoom(ctx context.Context, p *publication) bool {
	return q.waitWhile(ctx, func() bool { return !q.closed && !q.fits(p) }) == nil
}

func (q *iopub) fits(p *publication) bool {
	return len(q.queue) == 0 || len(q.queue) < queueMessages && q.bytes+p.size() <= queueBytes
}

// waitWhile waits as long as the condition holds, with mu free meanwhile. It
// fails when ctx ends, or when nothing is sent for too long.
func (q *iopub) waitWhile(ctx context.Context, condition func() bool) error {
	if !condition() {
		return nil
	}
	timer := time.NewTimer(queueWait)
	defer timer.Stop()
	for sent := q.sent; condition(); {
		if q.sent != sent {
			sent = q.sent
			timer.Reset(queueWait)
		}
		changed := q.changed
		q.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-timer.C:
			err = errStalled
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

// add appends p, joined with what waits already where that is possible.
func (q *iopub) add(p *publication) {
	if q.closed {
		q.refuse(p)
		return
	}
	if q.joinStream(p) {
		q.signal()
		return
	}
	q.dropSuperseded(p)
	q.append(p)
}

func (q *iopub) refuse(p *publication) {
	q.log.Warn("output after the end of the kernel", "type", p.msgType)
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
	if last.stream != p.stream || last.encoded != nil || string(last.parent) != string(p.parent) || len(last.text)+len(p.text) > streamBytes {
		return false
	}
	last.text = append(last.text, p.text...)
	q.bytes += len(p.text)
	return true
}

// dropSuperseded removes the queued update that p replaces. It looks back
// only over what is movable.
func (q *iopub) dropSuperseded(p *publication) {
	if p.msgType != "update_display_data" {
		return
	}
	for i := len(q.queue) - 1; i >= 0; i-- {
		old := q.queue[i]
		if !old.movable() || string(old.parent) != string(p.parent) {
			return
		}
		if old.msgType == p.msgType && old.displayID == p.displayID {
			q.remove(i)
			return
		}
	}
}

func (q *iopub) remove(i int) {
	q.bytes -= q.queue[i].size()
	q.queue = slices.Delete(q.queue, i, i+1)
}

// end queues the executing cell's idle. No update can come after it under that
// cell, where batch clients would not see it.
func (q *iopub) end(parent json.RawMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.releaseAll()
	q.current = nil
	q.add(&publication{msgType: "status", parent: parent, content: json.RawMessage(idleContent), vital: true})
}

// flush waits until everything queued so far is sent, the last state of every
// display included. It fails when ctx ends, or when nothing is sent for too long.
func (q *iopub) flush(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.releaseAll()
	q.hurry++
	q.signal()
	defer func() { q.hurry-- }()
	last := q.seq
	return q.waitWhile(ctx, func() bool {
		return len(q.queue) > 0 && q.queue[0].seq <= last || q.sending != 0 && q.sending <= last
	})
}

// rush is for the end of the kernel: what is still to be sent goes out at once.
func (q *iopub) rush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rushed = true
	q.signal()
}

// hasten is for an interrupted cell, whose end must not wait for its output to
// be taken, nor to get through the limits of servers. At the end of the kernel
// nothing is lost.
func (q *iopub) hasten(parent json.RawMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paced = false
	if !q.rushed {
		q.drop(parent)
	}
	q.signal()
}

// close ends run once the queue is empty.
func (q *iopub) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.releaseAll()
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
		bytes, err := q.transmit(p)
		if err != nil {
			q.log.Warn("output not published", "type", p.msgType, "error", err)
		}
		q.mu.Lock()
		q.sending = 0
		q.account(p, bytes)
		q.reportLost(p.parent)
		q.signal()
		q.mu.Unlock()
	}
}

// account notes what was sent: now, since the server cannot have it before.
func (q *iopub) account(p *publication, bytes int) {
	q.sent++
	switch {
	case p.idle():
		q.pace.reset()
	case q.paced && !uncounted[p.msgType]:
		if p.stream == "" {
			bytes = 0
		}
		q.pace.note(time.Now(), bytes)
	}
}

// next waits for a message that may be sent now; nil is the end.
func (q *iopub) next() *publication {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		p, wait := q.pick(time.Now())
		if p != nil {
			q.sending = p.seq
			q.signal()
			return p
		}
		if q.closed && len(q.queue) == 0 {
			return nil
		}
		changed := q.changed
		q.mu.Unlock()
		waitFor(changed, wait)
		q.mu.Lock()
	}
}

// pick takes the message to be sent now. If there is none it says how long to
// wait, which negative is until something changes.
func (q *iopub) pick(now time.Time) (*publication, time.Duration) {
	later := q.releaseDue(now)
	if p := q.overtake(now); p != nil {
		return p, 0
	}
	if wait := q.hold(now); wait != 0 {
		return nil, sooner(later, wait)
	}
	p := q.queue[0]
	q.queue[0] = nil
	q.queue = q.queue[1:]
	q.bytes -= p.size()
	if p.stream != "" {
		q.lastOut = now
	}
	return p, 0
}

// hold says how long the head of the queue is held back; negative is until
// something changes. A stream at the queue's end waits for more text, unless
// none was sent of late.
func (q *iopub) hold(now time.Time) time.Duration {
	if len(q.queue) == 0 {
		return -1
	}
	p := q.queue[0]
	joins := p.stream != "" && p.encoded == nil && len(q.queue) == 1 && q.hurry == 0 && !q.closed && len(p.text) < streamBytes/2
	if wait := streamGap - now.Sub(q.lastOut); joins && wait > 0 {
		return wait
	}
	if q.paced && p.stream != "" && p.encoded == nil {
		body, err := p.body()
		if err != nil {
			return 0 // transmit reports it
		}
		p.encoded = body
	}
	return q.paceWait(now)
}

// paceWait says how long the limits of servers hold back the queue.
func (q *iopub) paceWait(now time.Time) time.Duration {
	if len(q.queue) == 0 || !q.paced || q.rushed || q.closed || q.queue[0].vital {
		return 0
	}
	return q.pace.wait(now, q.queue[0].counted())
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

// drop takes back the texts and pictures of an interrupted cell that still
// wait, but for their end, so that its error comes at once; a note tells that
// they are missing. Displays with an id stay, for updates will follow them. The
// caller holds mu.
func (q *iopub) drop(parent json.RawMessage) {
	keep, dropped, at := interruptKeeps, 0, 0
	for i := len(q.queue) - 1; i >= 0; i-- {
		p := q.queue[i]
		named := p.stream == "" && (p.msgType != "display_data" || p.displayID != "")
		if named || string(p.parent) != string(parent) {
			continue
		}
		size := p.size()
		if keep < size {
			dropped, at = dropped+1, i
			p.content, p.text, p.encoded = nil, lastLines(p.text, keep), nil
			q.bytes -= size - p.size()
		}
		keep = max(0, keep-size)
	}
	if dropped == 0 {
		return
	}
	text := fmt.Sprintf("[%d outputs are missing here, whole or in part: the cell was interrupted before they were sent]\n", dropped+q.lost)
	q.lost = 0
	note := &publication{msgType: "stream", parent: parent, stream: "stderr", text: []byte(text), seq: q.queue[at].seq}
	q.bytes += note.size()
	q.queue = slices.Insert(q.queue, at, note)
	q.queue = slices.DeleteFunc(q.queue, func(p *publication) bool {
		empty := len(p.content) == 0 && len(p.text) == 0
		if empty {
			q.bytes -= p.size()
		}
		return empty
	})
}

// lastLines is the end of a text, from the start of a line on, in at most n
// bytes; nil if no line starts there.
func lastLines(text []byte, n int) []byte {
	_, lines, _ := bytes.Cut(text[max(0, len(text)-n):], []byte("\n"))
	if len(lines) == 0 {
		return nil
	}
	return lines
}

// transmit sends p and says how many bytes servers see of it.
func (q *iopub) transmit(p *publication) (bytes int, err error) {
	topic := p.msgType
	if p.stream != "" {
		topic = "stream." + p.stream
	}
	content, err := p.body()
	if err != nil {
		return 0, err
	}
	frames, err := encodeMessage(q.session.signer, q.session.header(p.msgType), p.parent, nil, content)
	if err != nil {
		return 0, err
	}
	for _, frame := range frames[2:] { // without delimiter and signature
		bytes += len(frame)
	}
	return bytes, q.send(append([][]byte{[]byte("kernel." + q.session.id + "." + topic)}, frames...))
}
