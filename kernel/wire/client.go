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
}

// DialDealer connects to a ROUTER socket.
func DialDealer(network, addr string, identity []byte) (*Client, error) {
	return dial(network, addr, dealerKind, identity)
}

// DialReq connects as a REQ socket does; the empty delimiter frame is the
// caller's.
func DialReq(network, addr string) (*Client, error) {
	return dial(network, addr, reqKind, nil)
}

// DialSub connects to a PUB or XPUB socket and subscribes to a topic.
func DialSub(network, addr, topic string) (*Client, error) {
	c, err := dial(network, addr, subKind, nil)
	if err != nil {
		return nil, err
	}
	if err := c.Send([][]byte{append([]byte{1}, topic...)}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func dial(network, addr string, k kind, identity []byte) (*Client, error) {
	raw, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &Client{Conn: raw, in: bufio.NewReaderSize(raw, 64<<10)}
	c.limits.EnsureDefaults()
	if err := c.open(k, identity); err != nil {
		raw.Close()
		return nil, fmt.Errorf("connect to %s %s: %w", network, addr, err)
	}
	return c, nil
}

func (c *Client) open(k kind, identity []byte) error {
	if err := c.SetDeadline(time.Now().Add(c.limits.Handshake)); err != nil {
		return err
	}
	if _, err := handshake(c.in, c.Conn, k, identity); err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}

// Send writes one message.
func (c *Client) Send(frames [][]byte) error {
	_, err := c.Conn.Write(AppendMessage(nil, frames))
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
