package wire

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a peer's connection as zmq4 gets it: the handshake is over and
// replayed from memory, only admitted messages come in, and writes do not wait
// for the network.
//
// Read is called by zmq4's reader of this connection alone, Write under zmq4's
// lock of the socket.
type conn struct {
	net.Conn // addresses and deadlines; Read, Write and Close are ours
	l        *listener
	peer     []byte // the key, see the package's comment
	socket   string // the peer's socket type

	in     *bufio.Reader
	bounds bounds
	replay []byte // bytes for zmq4 that do not come from the network
	body   uint64 // bytes of the current frame still to come

	// subscribed is a topic that zmq4 has read and may not have noted yet.
	subscribed *string
	// hears says that a subscription is in effect.
	hears atomic.Bool
	// joined is when the peer had shaken hands.
	joined time.Time

	out       *outbox
	assembler *assembler
	closeOnce sync.Once
}

func newConn(l *listener, raw net.Conn, in *bufio.Reader, sealed *secure, peer hello, key []byte) *conn {
	c := &conn{Conn: raw, l: l, peer: key, socket: peer.socketType, in: in, joined: time.Now(),
		bounds: bounds{limits: l.opts.Limits}, out: newOutbox(raw, l.opts.Limits, sealed)}
	if l.kind.name == routerKind.name { // zmq4 locks the other peers out while one is written to
		c.out.longest = l.opts.Limits.Stall
	}
	c.replay = append(greeting(), ready(peer.socketType, key)...)
	c.assembler = newAssembler(c.emit)
	return c
}

// emit takes a whole message from zmq4.
func (c *conn) emit(message []byte) error {
	if bytes.Equal(message, flushMarker) {
		return nil
	}
	return c.out.put(message)
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.assembler.write(p); err != nil {
		return 0, c.fail("write", err)
	}
	return len(p), nil
}

func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(c.replay) > 0 {
			n := copy(p, c.replay)
			c.replay = c.replay[n:]
			return n, nil
		}
		if c.body > 0 {
			if uint64(len(p)) > c.body {
				p = p[:c.body]
			}
			n, err := c.in.Read(p)
			c.body -= uint64(n)
			if n == 0 && err != nil {
				return 0, c.fail("read", err)
			}
			return n, nil
		}
		c.announce()
		if err := c.next(); err != nil {
			return 0, c.fail("read", err)
		}
	}
}

// announce reports a subscription. zmq4 asks for the next frame only after it
// has noted the one before, so it is in effect now.
func (c *conn) announce() {
	if c.subscribed == nil {
		return
	}
	topic := []byte(*c.subscribed)
	c.subscribed = nil
	c.hears.Store(true)
	if c.l.opts.OnSubscribe != nil {
		c.l.opts.OnSubscribe(topic, c.sendAlone)
	}
}

// sendAlone sends a message past zmq4 to this peer only.
func (c *conn) sendAlone(frames [][]byte) {
	if err := c.out.put(AppendMessage(nil, frames)); err != nil {
		c.l.opts.Log.Debug("message to one peer not sent", "error", err)
	}
}

// next reads the next frame's header and prepares to pass the frame on.
func (c *conn) next() error {
	h, err := readHeader(c.in)
	if err != nil {
		return err
	}
	if h.command() {
		return c.command(h)
	}
	if err := c.bounds.add(h); err != nil {
		return err
	}
	if c.l.kind.name == publisherKind.name {
		return c.subscription(h)
	}
	c.pass(h)
	return nil
}

// pass hands a frame to zmq4: its header now, its body as it comes.
func (c *conn) pass(h header) {
	c.replay = append(c.replay[:0], h.flags)
	if h.flags&flagLong != 0 {
		for shift := 56; shift >= 0; shift -= 8 {
			c.replay = append(c.replay, byte(h.size>>shift))
		}
	} else {
		c.replay = append(c.replay, byte(h.size))
	}
	c.body = h.size
}

// subscription passes on a subscription or its end, and drops all else that a
// subscriber sends: zmq4 would put it where nobody reads.
func (c *conn) subscription(h header) error {
	small := h.size > 0 && h.size <= maxCommand && !h.more() && c.bounds.frames == 0
	if small {
		body, err := c.in.Peek(int(h.size))
		if err != nil {
			return err
		}
		if body[0] <= 1 {
			if body[0] == 1 {
				topic := string(body[1:])
				c.subscribed = &topic
			}
			c.pass(h)
			return nil
		}
	}
	_, err := c.in.Discard(int(h.size)) // within bounds, so it fits an int
	return err
}

// command answers a PING and ignores what else there is.
func (c *conn) command(h header) error {
	name, body, err := readCommand(c.in, h)
	if err != nil || name != "PING" {
		return err
	}
	if len(body) < 2 {
		return errors.New("PING without a time to live")
	}
	return c.out.put(appendFrame(nil, flagCommand, append([]byte("\x04PONG"), body[2:]...)))
}

// fail closes the connection and gives zmq4 an error that it takes for the end
// of it; others make it keep the connection in its lists.
func (c *conn) fail(op string, err error) error {
	c.Close()
	return &net.OpError{Op: op, Net: c.RemoteAddr().Network(), Addr: c.RemoteAddr(), Err: err}
}

// serve writes until the connection ends.
func (c *conn) serve() {
	if err := c.out.run(); err != nil {
		c.l.opts.Log.Warn("connection cut", "socket", c.l.kind.name, "peer", c.socket, "error", err)
	}
	c.Close()
}

func (c *conn) Close() error {
	var err error
	c.closeOnce.Do(func() {
		c.out.close()
		err = c.Conn.Close()
		c.l.forget(c)
	})
	return err
}

// hangUp tells the peer that nothing more comes. Closing at once would, with
// unread bytes from the peer, reset the connection and lose what it has not
// yet read.
func (c *conn) hangUp() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err == nil {
			return
		}
	}
	c.Close()
}

// Deadlines are set below, in outbox and listener; zmq4 sets none.

func (c *conn) SetDeadline(time.Time) error      { return errNoDeadline }
func (c *conn) SetReadDeadline(time.Time) error  { return errNoDeadline }
func (c *conn) SetWriteDeadline(time.Time) error { return errNoDeadline }
