package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/uuid/v5"

	"evalnas/kernel/wire"
)

// Probed is what Probe learned of a kernel.
type Probed struct {
	Implementation string
	Version        string
	Protocol       string
	Language       string
	Ready          time.Duration // from the start of the process to kernel_info_reply
	Cell           time.Duration // from execute_request to its reply and idle
	Result         string        // text/plain of the cell, "" if it showed nothing
}

// probeStop is how long a kernel may take to end after shutdown_request; a
// Jupyter server kills it after 5 seconds.
const probeStop = 5 * time.Second

// Probing says what Probe does.
type Probing struct {
	Argv  []string // the kernel's command line, in which {connection_file} is replaced
	Cell  string
	Curve bool // with encrypted sockets (ZMTP CURVE)
}

// Probe starts a kernel as Jupyter does, on free ports of the loopback interface. It
// asks for the kernel's information, runs one cell and shuts the kernel down.
// It returns when the process is gone. Give ctx a deadline: a kernel that says
// nothing is waited for until then.
func Probe(ctx context.Context, how Probing) (result *Probed, err error) {
	dir, err := os.MkdirTemp("", "evalnas-probe-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	conn, err := probeConnection(how.Curve)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "kernel-probe.json")
	text, err := json.Marshal(conn)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	p, err := startProbe(how.Argv, file, conn)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	result, err = p.run(ctx, how.Cell)
	if err != nil {
		return nil, p.explain(err)
	}
	return result, nil
}

// probeConnection picks five ports that are free now. Another program could
// take one before the kernel does; so it is with Jupyter.
func probeConnection(encrypted bool) (Connection, error) {
	key, err := uuid.NewV4()
	if err != nil {
		return Connection{}, err
	}
	c := Connection{IP: "127.0.0.1", Key: key.String(), KernelName: "evalnas"}
	c.EnsureDefaults()
	if encrypted {
		public, secret, err := wire.NewCurve()
		if err != nil {
			return c, err
		}
		c.CurvePublicKey, c.CurveSecretKey = public.String(), secret.String()
	}
	for _, ch := range c.channels() {
		l, err := net.Listen("tcp", net.JoinHostPort(c.IP, "0"))
		if err != nil {
			return c, fmt.Errorf("find a free port on %s: %w", c.IP, err)
		}
		// All stay open until the last is found, so that they differ.
		defer l.Close()
		*ch.port = l.Addr().(*net.TCPAddr).Port
	}
	return c, nil
}

// probe is a running kernel and the client's side of its channels. Goroutines:
// one waits for the process, one reads each open channel; kill ends them.
type probe struct {
	conn    Connection
	dialer  wire.Dialer
	session *session
	cmd     *exec.Cmd
	stderr  *tail
	started time.Time
	exited  chan struct{} // closed when the process is gone
	exit    error         // valid after exited

	clients []*wire.Client
	done    chan struct{} // closed by kill: nobody takes messages any more
	readers sync.WaitGroup
}

func startProbe(argv []string, file string, conn Connection) (*probe, error) {
	s, err := newSession(conn.Key)
	if err != nil {
		return nil, err
	}
	dialer, err := conn.Dialer()
	if err != nil {
		return nil, err
	}
	args := make([]string, len(argv))
	for i, a := range argv {
		args[i] = strings.ReplaceAll(a, "{connection_file}", file)
	}
	p := &probe{conn: conn, dialer: dialer, session: s, stderr: &tail{}, exited: make(chan struct{}), done: make(chan struct{})}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stderr = p.stderr
	// A kernel whose parent dies ends itself.
	p.cmd.Env = append(os.Environ(), "JPY_PARENT_PID="+strconv.Itoa(os.Getpid()))
	// Children of the kernel may hold its stderr open.
	p.cmd.WaitDelay = time.Second
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the kernel: %w", err)
	}
	go func() {
		p.exit = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// kill ends whatever still runs and waits for it.
func (p *probe) kill() {
	select {
	case <-p.exited:
	default:
		// It may end between the check and the kill; either way it is gone.
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	close(p.done)
	for _, c := range p.clients {
		c.Close()
	}
	p.readers.Wait()
}

// explain adds the kernel's last words to an error.
func (p *probe) explain(err error) error {
	if words := p.stderr.String(); words != "" {
		return fmt.Errorf("%w; it wrote: %s", err, words)
	}
	return err
}

func (p *probe) run(ctx context.Context, cell string) (*Probed, error) {
	shell, err := p.dial(ctx, "shell", p.conn.ShellPort, p.dialer.Dealer)
	if err != nil {
		return nil, err
	}
	r, err := p.info(ctx, shell)
	if err != nil {
		return nil, err
	}
	r.Ready = time.Since(p.started)
	if err := p.execute(ctx, shell, r, cell); err != nil {
		return nil, err
	}
	return r, p.shutdown(ctx)
}

// probeChannel is one connection, with what arrives on it.
type probeChannel struct {
	name     string
	client   *wire.Client
	received chan probeMessage
	failed   error // valid after received is closed
}

type probeMessage struct {
	*message
	parent string // msg_id of the request that it answers
}

type dialer = func(network, addr string, identity []byte) (*wire.Client, error)

func (p *probe) dialSub(network, addr string, _ []byte) (*wire.Client, error) {
	return p.dialer.Sub(network, addr, "")
}

// dial tries until the kernel listens.
func (p *probe) dial(ctx context.Context, name string, port int, dial dialer) (*probeChannel, error) {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	network, addr := p.conn.Address(port)
	for {
		client, err := dial(network, addr, []byte(p.session.id))
		if err == nil {
			return p.open(name, client), nil
		}
		select {
		case <-again.C:
		case <-p.exited:
			return nil, p.ended()
		case <-ctx.Done():
			return nil, fmt.Errorf("the %s channel did not open in time (%w): %w", name, ctx.Err(), err)
		}
	}
}

func (p *probe) ended() error {
	if p.exit == nil {
		return errors.New("the kernel ended by itself")
	}
	return fmt.Errorf("the kernel ended: %w", p.exit)
}

func (p *probe) open(name string, client *wire.Client) *probeChannel {
	c := &probeChannel{name: name, client: client, received: make(chan probeMessage)}
	p.clients = append(p.clients, client)
	p.readers.Go(func() { p.read(c) })
	return c
}

func (p *probe) read(c *probeChannel) {
	defer close(c.received)
	for {
		frames, err := c.client.Recv()
		if err == nil {
			var m probeMessage
			if m, err = parseProbed(frames, p.session.signer); err == nil {
				select {
				case c.received <- m:
					continue
				case <-p.done:
				}
			}
		}
		c.failed = err
		return
	}
}

func parseProbed(frames [][]byte, s signer) (probeMessage, error) {
	m, err := parseMessage(frames, s)
	if err != nil {
		return probeMessage{}, err
	}
	var parent header
	// The delimiter and the signature stand between identities and header.
	if err := json.Unmarshal(frames[len(m.ids)+3], &parent); err != nil {
		return probeMessage{}, fmt.Errorf("parent header of %s: %w", m.header.MsgType, err)
	}
	return probeMessage{m, parent.MsgID}, nil
}

// send returns the new message's id.
func (p *probe) send(c *probeChannel, msgType string, content object) (string, error) {
	body, err := encodeJSON(content)
	if err != nil {
		return "", err
	}
	h := p.session.header(msgType)
	frames, err := encodeMessage(p.session.signer, h, nil, nil, body)
	if err != nil {
		return "", err
	}
	if err := c.client.Send(frames); err != nil {
		return "", fmt.Errorf("send %s: %w", msgType, err)
	}
	return h.MsgID, nil
}

// await returns the next message of a channel.
func (p *probe) await(ctx context.Context, c *probeChannel, wanted string) (probeMessage, error) {
	select {
	case m, ok := <-c.received:
		if !ok {
			return m, fmt.Errorf("no %s: the %s channel failed: %w", wanted, c.name, c.failed)
		}
		return m, nil
	case <-p.exited:
		return probeMessage{}, fmt.Errorf("no %s: %w", wanted, p.ended())
	case <-ctx.Done():
		return probeMessage{}, fmt.Errorf("no %s on the %s channel in time: %w", wanted, c.name, ctx.Err())
	}
}

// awaitReply skips messages until the answer to a request.
func (p *probe) awaitReply(ctx context.Context, c *probeChannel, msgType, request string, into any) error {
	for {
		m, err := p.await(ctx, c, msgType)
		if err != nil {
			return err
		}
		if m.header.MsgType == msgType && m.parent == request {
			return json.Unmarshal(m.content, into)
		}
	}
}

func (p *probe) info(ctx context.Context, shell *probeChannel) (*Probed, error) {
	id, err := p.send(shell, "kernel_info_request", object{})
	if err != nil {
		return nil, err
	}
	var reply struct {
		Status         string
		Implementation string
		Version        string `json:"implementation_version"`
		Protocol       string `json:"protocol_version"`
		LanguageInfo   struct {
			Name string
		} `json:"language_info"`
	}
	if err := p.awaitReply(ctx, shell, "kernel_info_reply", id, &reply); err != nil {
		return nil, err
	}
	if reply.Status != "ok" {
		return nil, fmt.Errorf("kernel_info_reply has the status %q", reply.Status)
	}
	return &Probed{Implementation: reply.Implementation, Version: reply.Version,
		Protocol: reply.Protocol, Language: reply.LanguageInfo.Name}, nil
}

// subscribe returns IOPub when something came through it: from then on nothing
// is missed. A kernel that welcomes its subscribers answers at once, from
// others a kernel_info_request draws a status.
func (p *probe) subscribe(ctx context.Context, shell *probeChannel) (*probeChannel, error) {
	iopub, err := p.dial(ctx, "iopub", p.conn.IOPubPort, p.dialSub)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case _, ok := <-iopub.received:
			if !ok {
				return nil, fmt.Errorf("the iopub channel failed: %w", iopub.failed)
			}
			return iopub, nil
		case <-again.C:
			if _, err := p.info(ctx, shell); err != nil {
				return nil, err
			}
		case <-p.exited:
			return nil, p.ended()
		case <-ctx.Done():
			return nil, fmt.Errorf("nothing was published in time: %w", ctx.Err())
		}
	}
}

func (p *probe) execute(ctx context.Context, shell *probeChannel, r *Probed, cell string) error {
	iopub, err := p.subscribe(ctx, shell)
	if err != nil {
		return err
	}
	start := time.Now()
	id, err := p.send(shell, "execute_request", object{"code": cell, "silent": false, "store_history": false,
		"user_expressions": object{}, "allow_stdin": false, "stop_on_error": true})
	if err != nil {
		return err
	}
	if r.Result, err = p.outputs(ctx, iopub, id); err != nil {
		return err
	}
	var reply struct {
		Status string
		Name   string `json:"ename"`
		Value  string `json:"evalue"`
	}
	if err := p.awaitReply(ctx, shell, "execute_reply", id, &reply); err != nil {
		return err
	}
	r.Cell = time.Since(start)
	if reply.Status != "ok" {
		return fmt.Errorf("the cell %q failed: %s %s: %s", cell, reply.Status, reply.Name, reply.Value)
	}
	return nil
}

// outputs reads what a cell publishes until it is idle, and returns the text
// of its result.
func (p *probe) outputs(ctx context.Context, iopub *probeChannel, request string) (string, error) {
	result := ""
	for {
		m, err := p.await(ctx, iopub, "idle status of the cell")
		if err != nil {
			return "", err
		}
		if m.parent != request {
			continue
		}
		var content struct {
			State string         `json:"execution_state"`
			Data  map[string]any `json:"data"`
		}
		if err := json.Unmarshal(m.content, &content); err != nil {
			return "", fmt.Errorf("%s: %w", m.header.MsgType, err)
		}
		if text, ok := content.Data["text/plain"].(string); ok && m.header.MsgType == "execute_result" {
			result = text
		}
		if m.header.MsgType == "status" && content.State == "idle" {
			return result, nil
		}
	}
}

// shutdown asks the kernel to end and waits for it. The reply may be lost with
// the process, so only the end counts.
func (p *probe) shutdown(ctx context.Context) error {
	control, err := p.dial(ctx, "control", p.conn.ControlPort, p.dialer.Dealer)
	if err != nil {
		return err
	}
	if _, err := p.send(control, "shutdown_request", object{"restart": false}); err != nil {
		return err
	}
	late := time.NewTimer(probeStop)
	defer late.Stop()
	for replies := control.received; ; {
		select {
		case _, ok := <-replies:
			if !ok {
				replies = nil // closed with the socket; the process is what counts
			}
		case <-p.exited:
			if p.exit != nil {
				return fmt.Errorf("shutdown_request: %w", p.ended())
			}
			return nil
		case <-late.C:
			return fmt.Errorf("the kernel still runs %v after shutdown_request", probeStop)
		case <-ctx.Done():
			return fmt.Errorf("the kernel still runs after shutdown_request: %w", ctx.Err())
		}
	}
}

// tail keeps the end of what is written to it, on one line.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 2000

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if extra := len(t.text) - tailBytes; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(bytes.Join(bytes.Fields(t.text), []byte(" "))), "?")
}
