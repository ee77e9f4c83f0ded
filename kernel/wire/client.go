package wire

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"time"
)

// Client is the other end, as small as it can be: one connection to one
// socket, no reconnecting, no goroutine. The doctor command and the tests talk
// to a kernel with it.
type Client struct {
	net.Conn
	in     *bufio.Reader
	limits Limits
	sealed *secure // nil: not encrypted
}

// Dialer says how to connect. The zero Dialer speaks plainly.
type Dialer struct {
	Curve *ClientCurve // nil: not encrypted
}

// Dealer connects to a ROUTER socket.
func (d Dialer) Dealer(network, addr string, identity []byte) (*Client, error) {
	return d.dial(network, addr, dealerKind, identity)
}

// Req connects as a REQ socket does; the empty delimiter frame is the
// caller's.
func (d Dialer) Req(network, addr string) (*Client, error) {
	return d.dial(network, addr, reqKind, nil)
}

// Sub connects to a PUB or XPUB socket and subscribes to a topic.
func (d Dialer) Sub(network, addr, topic string) (*Client, error) {
	c, err := d.dial(network, addr, subKind, nil)
	if err != nil {
		return nil, err
	}
	if err := c.Send([][]byte{append([]byte{1}, topic...)}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (d Dialer) dial(network, addr string, k kind, identity []byte) (*Client, error) {
	raw, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &Client{Conn: raw, in: bufio.NewReaderSize(raw, 64<<10)}
	c.limits.EnsureDefaults()
	if err := c.open(k, identity, d.Curve); err != nil {
		raw.Close()
		return nil, fmt.Errorf("connect to %s %s: %w", network, addr, err)
	}
	return c, nil
}

func (c *Client) open(k kind, identity []byte, keys *ClientCurve) error {
	if err := c.SetDeadline(time.Now().Add(c.limits.Handshake)); err != nil {
		return err
	}
	if err := c.meet(k, identity, keys); err != nil {
		return err
	}
	c.in = c.sealed.reader(c.in, c.limits)
	return c.SetDeadline(time.Time{})
}

// meet does the handshake of the mechanism that the keys stand for.
func (c *Client) meet(k kind, identity []byte, keys *ClientCurve) (err error) {
	if keys == nil {
		_, err = handshake(c.in, c.Conn, k, identity)
		return err
	}
	if err = exchangeGreetings(c.in, c.Conn, curveMechanism, false); err != nil {
		return err
	}
	_, c.sealed, err = dialCurve(c.in, c.Conn, k, identity, keys)
	return err
}

// Send writes one message.
func (c *Client) Send(frames [][]byte) error {
	message := AppendMessage(nil, frames)
	if c.sealed != nil {
		var err error
		if message, err = c.sealed.sealFrames(nil, message); err != nil {
			return err
		}
	}
	_, err := c.Conn.Write(message)
	return err
}

// Recv reads one message. After an error, a deadline's too, the connection is
// of no more use.
func (c *Client) Recv() ([][]byte, error) {
	var frames [][]byte
	admitted := bounds{limits: c.limits}
	for {
		h, err := readHeader(c.in)
		if err != nil {
			return nil, err
		}
		if h.command() {
			if _, _, err := readCommand(c.in, h); err != nil {
				return nil, err
			}
			continue
		}
		if err := admitted.add(h); err != nil {
			return nil, err
		}
		frame := make([]byte, h.size)
		if _, err := io.ReadFull(c.in, frame); err != nil {
			return nil, err
		}
		frames = append(frames, frame)
		if !h.more() {
			return frames, nil
		}
	}
}
