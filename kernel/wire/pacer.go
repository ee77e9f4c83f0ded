package wire

import (
	"errors"
	"net"
	"sync"
	"time"
)

// flushMarker is a message that no peer ever gets: connections drop it. See
// Publisher.Flush.
var flushMarker = AppendMessage(nil, [][]byte{[]byte("\x00evalnas flush")})

// pacer is a subscriber inside this process, and the first in zmq4's list. It
// sees each message when zmq4 takes it from its queue, which is after the
// message before it was handed to every connection.
type pacer struct {
	replay    []byte
	assembler *assembler
	ready     chan struct{} // closed when the subscription is in effect
	readyOnce sync.Once
	seen      chan struct{} // one value for each message
	done      chan struct{}
	doneOnce  sync.Once
}

func newPacer() *pacer {
	p := &pacer{ready: make(chan struct{}), seen: make(chan struct{}, 1), done: make(chan struct{})}
	p.replay = append(greeting(), ready("SUB", nil)...)
	p.replay = AppendMessage(p.replay, [][]byte{{1}})
	p.assembler = newAssembler(p.emit)
	return p
}

func (p *pacer) emit([]byte) error {
	select {
	case p.seen <- struct{}{}:
		return nil
	case <-p.done:
		return net.ErrClosed
	}
}

func (p *pacer) Read(b []byte) (int, error) {
	if n := copy(b, p.replay); n > 0 {
		p.replay = p.replay[n:]
		return n, nil
	}
	p.readyOnce.Do(func() { close(p.ready) }) // zmq4 wants more, so it has subscribed us
	<-p.done
	return 0, p.fail("read", net.ErrClosed)
}

func (p *pacer) Write(b []byte) (int, error) {
	if err := p.assembler.write(b); err != nil {
		return 0, p.fail("write", err)
	}
	return len(b), nil
}

func (p *pacer) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "pacer", Err: err}
}

func (p *pacer) Close() error {
	p.doneOnce.Do(func() { close(p.done) })
	return nil
}

var errNoDeadline = errors.New("wire: deadlines are the connection's own")

func (p *pacer) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "pacer", Net: "unix"} }
func (p *pacer) RemoteAddr() net.Addr             { return p.LocalAddr() }
func (p *pacer) SetDeadline(time.Time) error      { return errNoDeadline }
func (p *pacer) SetReadDeadline(time.Time) error  { return errNoDeadline }
func (p *pacer) SetWriteDeadline(time.Time) error { return errNoDeadline }
