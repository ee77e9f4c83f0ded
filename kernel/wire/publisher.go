package wire

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/go-zeromq/zmq4"
)

// Publisher is an XPUB socket that holds back the sender: at most one message
// waits in zmq4, the others in the bounded queues of the connections.
type Publisher struct {
	sck   zmq4.Socket
	l     *listener
	pacer *pacer
	mu    sync.Mutex // one Send at a time
}

// ListenPublisher binds addr as ListenRouter does.
func ListenPublisher(network, addr string, opts Options) (*Publisher, error) {
	opts.ensureDefaults()
	pacer := newPacer()
	l, err := listen(network, addr, publisherKind, pacer, opts)
	if err != nil {
		return nil, err
	}
	p := &Publisher{l: l, pacer: pacer, sck: zmq4.NewXPub(context.Background(), zmqLog(opts.Log))}
	if err := guarded.attach(p.sck, l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	<-pacer.ready // nothing is paced before
	return p, nil
}

// Addr is the address that was bound.
func (p *Publisher) Addr() net.Addr { return p.l.Addr() }

// Send publishes a message, frames[0] being its topic. It returns when zmq4
// has begun to hand the message to the subscribers' connections; a subscriber
// whose queue is full holds it up until it reads on or is cut.
func (p *Publisher) Send(frames [][]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.sck.SendMulti(zmq4.NewMsgFrom(frames...)); err != nil {
		return err
	}
	select {
	case <-p.pacer.seen:
		return nil
	case <-p.pacer.done:
		return net.ErrClosed
	}
}

// Subscribers is how many peers are connected that have subscribed to something.
func (p *Publisher) Subscribers() int {
	n := 0
	for _, c := range p.l.list() {
		if c.hears.Load() {
			n++
		}
	}
	return n
}

// Flush waits until everything sent is handed to the connections. The pacer
// sees the marker only when zmq4 is done with the message before it.
func (p *Publisher) Flush() error {
	return p.Send([][]byte{flushMarker[2:]})
}

// Drain waits until everything sent is written, or ctx ends.
func (p *Publisher) Drain(ctx context.Context) error {
	if err := p.Flush(); err != nil {
		return err
	}
	return p.l.drain(ctx)
}

// Shutdown ends the connections as Router's does. Send fails from then on.
func (p *Publisher) Shutdown(ctx context.Context) error {
	p.l.hangUp(ctx)
	p.pacer.Close()
	return p.sck.Close()
}
