package kerneltest

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"evalnas/kernel"
	"evalnas/kernel/wire"
)

// defaultPatience is how long a client waits for any one message.
const defaultPatience = 10 * time.Second

// Message is one message as a client sees it.
type Message struct {
	Topic    string // of IOPub's messages
	Header   map[string]any
	Parent   map[string]any
	Metadata map[string]any
	Content  map[string]any
}

// Type is the message's type.
func (m Message) Type() string { return text(m.Header, "msg_type") }

// ParentID is the id of the request that caused the message.
func (m Message) ParentID() string { return text(m.Parent, "msg_id") }

// Text is a string field of the content.
func (m Message) Text(field string) string { return text(m.Content, field) }

func text(object map[string]any, field string) string {
	s, _ := object[field].(string)
	return s
}

// String is the message in one line, as transcripts have it.
func (m Message) String() string {
	switch m.Type() {
	case "status":
		return m.Text("execution_state")
	case "stream":
		return fmt.Sprintf("%s %q", m.Text("name"), m.Text("text"))
	case "execute_input":
		return fmt.Sprintf("in[%v] %q", m.Content["execution_count"], m.Text("code"))
	case "execute_result":
		return fmt.Sprintf("out[%v] %q", m.Content["execution_count"], m.plain())
	case "display_data", "update_display_data":
		id := ""
		if transient, ok := m.Content["transient"].(map[string]any); ok {
			id = text(transient, "display_id")
		}
		return fmt.Sprintf("%s %s %q", m.Type(), id, m.plain())
	case "error":
		return fmt.Sprintf("error %s: %s", m.Text("ename"), m.Text("evalue"))
	}
	return m.Type()
}

func (m Message) plain() string {
	data, _ := m.Content["data"].(map[string]any)
	return text(data, "text/plain")
}

// Client is a front end with one connection to each of a kernel's sockets.
type Client struct {
	Shell, Control, Stdin, IOPub, HB *wire.Client
	// Patience is how long to wait for any one message; 0 means 10 seconds.
	Patience time.Duration

	key     []byte
	session string
	serial  int
}

var sessions atomic.Int64

// Dial connects to all sockets of a kernel and returns when IOPub's welcome
// says that no output will be missed. session is the client's identity; empty
// makes a new one.
func Dial(c kernel.Connection, session string) (*Client, error) {
	if session == "" {
		session = "client-" + strconv.FormatInt(sessions.Add(1), 10)
	}
	cl := &Client{key: []byte(c.Key), session: session}
	if err := cl.dial(c); err != nil {
		cl.Close()
		return nil, err
	}
	return cl, nil
}

func (c *Client) dial(k kernel.Connection) error {
	to, err := k.Dialer()
	if err != nil {
		return err
	}
	dealers := []struct {
		to   **wire.Client
		port int
	}{{&c.Shell, k.ShellPort}, {&c.Control, k.ControlPort}, {&c.Stdin, k.StdinPort}}
	for _, d := range dealers {
		network, addr := k.Address(d.port)
		conn, err := to.Dealer(network, addr, []byte(c.session))
		if err != nil {
			return err
		}
		*d.to = conn
	}
	network, addr := k.Address(k.HBPort)
	hb, err := to.Req(network, addr)
	if err != nil {
		return err
	}
	c.HB = hb
	if err := c.Subscribe(k); err != nil {
		return err
	}
	return c.welcomed()
}

// Subscribe connects to IOPub, again if that connection was closed.
func (c *Client) Subscribe(k kernel.Connection) error {
	to, err := k.Dialer()
	if err != nil {
		return err
	}
	network, addr := k.Address(k.IOPubPort)
	c.IOPub, err = to.Sub(network, addr, "")
	return err
}

// welcomed waits for IOPub's welcome. What other clients' cells publish between
// the subscription and the welcome may come before it.
func (c *Client) welcomed() error {
	for {
		m, err := c.Published()
		if err != nil || m.Type() == "iopub_welcome" {
			return err
		}
	}
}

// Close closes the connections.
func (c *Client) Close() {
	for _, conn := range []*wire.Client{c.Shell, c.Control, c.Stdin, c.IOPub, c.HB} {
		if conn != nil {
			conn.Close()
		}
	}
}

// Frames makes a signed message.
func (c *Client) Frames(msgType string, content any) (id string, frames [][]byte) {
	c.serial++
	id = fmt.Sprintf("%s_%d", c.session, c.serial)
	head := marshal(map[string]any{"msg_id": id, "session": c.session, "username": "test", "version": "5.3",
		"date": "2026-01-02T03:04:05.000000Z", "msg_type": msgType, "unknown": map[string]any{"kept": true}})
	parts := [][]byte{head, []byte("{}"), []byte("{}"), marshal(content)}
	return id, append([][]byte{[]byte("<IDS|MSG>"), c.Sign(parts)}, parts...)
}

// Sign is the signature of a message's four parts.
func (c *Client) Sign(parts [][]byte) []byte {
	if len(c.key) == 0 {
		return nil
	}
	mac := hmac.New(sha256.New, c.key)
	for _, part := range parts {
		mac.Write(part)
	}
	return []byte(hex.EncodeToString(mac.Sum(nil)))
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own content
	}
	return b
}

// Send sends a request and returns its id.
func (c *Client) Send(on *wire.Client, msgType string, content any) (string, error) {
	id, frames := c.Frames(msgType, content)
	return id, on.Send(frames)
}

// Execute sends a cell.
func (c *Client) Execute(code string) (string, error) {
	return c.Send(c.Shell, "execute_request", map[string]any{"code": code})
}

// Recv receives the next message of a channel, with its signature checked.
func (c *Client) Recv(on *wire.Client) (Message, error) {
	if err := on.SetReadDeadline(time.Now().Add(cmp.Or(c.Patience, defaultPatience))); err != nil {
		return Message{}, err
	}
	frames, err := on.Recv()
	if err != nil {
		return Message{}, err
	}
	return c.parse(frames)
}

func (c *Client) parse(frames [][]byte) (Message, error) {
	var m Message
	for len(frames) > 0 && string(frames[0]) != "<IDS|MSG>" {
		m.Topic = string(frames[0])
		frames = frames[1:]
	}
	if len(frames) < 6 {
		return m, fmt.Errorf("message of %d frames from the delimiter on", len(frames))
	}
	parts := frames[2:6]
	if !hmac.Equal(frames[1], c.Sign(parts)) {
		return m, errors.New("message with a wrong signature")
	}
	for i, into := range []*map[string]any{&m.Header, &m.Parent, &m.Metadata, &m.Content} {
		if err := json.Unmarshal(parts[i], into); err != nil {
			return m, err
		}
		if *into == nil {
			return m, fmt.Errorf("part %d of a message is null", i)
		}
	}
	return m, nil
}

// Published receives the next message from IOPub.
func (c *Client) Published() (Message, error) { return c.Recv(c.IOPub) }

// Until collects what is published up to the idle of a request. Messages of
// other parents are in it too.
func (c *Client) Until(id string) ([]Message, error) {
	var all []Message
	for {
		m, err := c.Published()
		if err != nil {
			return all, fmt.Errorf("after %d messages: %w", len(all), err)
		}
		all = append(all, m)
		if m.ParentID() == id && m.Type() == "status" && m.Text("execution_state") == "idle" {
			return all, nil
		}
	}
}

// Ask sends a request on a channel and returns its reply, and what was
// published from busy to idle.
func (c *Client) Ask(on *wire.Client, msgType string, content any) (Message, []Message, error) {
	id, err := c.Send(on, msgType, content)
	if err != nil {
		return Message{}, nil, err
	}
	reply, err := c.Recv(on)
	if err != nil {
		return reply, nil, err
	}
	if reply.ParentID() != id {
		return reply, nil, fmt.Errorf("%s is for %q, want %q", reply.Type(), reply.ParentID(), id)
	}
	published, err := c.Until(id)
	return reply, published, err
}

// Run executes a cell.
func (c *Client) Run(code string) (Message, []Message, error) {
	return c.Ask(c.Shell, "execute_request", map[string]any{"code": code})
}
