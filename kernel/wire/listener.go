package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// keySize is the length of the serial number that leads a peer's key.
const keySize = 8

// listener accepts peers, shakes hands with them in the background and hands
// them to zmq4 through Accept.
type listener struct {
	raw  net.Listener
	kind kind
	opts Options

	first   net.Conn      // what Accept returns first, if not nil
	ready   chan net.Conn // shaken hands, for zmq4
	pending chan struct{} // one token for each handshake under way
	done    chan struct{}
	once    sync.Once
	wg      sync.WaitGroup // the accept loop, handshakes and writers

	mu     sync.Mutex
	conns  map[*conn]struct{}
	early  map[net.Conn]struct{} // in handshake
	serial uint64
	gone   chan struct{} // closed and replaced when a connection ends
	closed bool
}

// listen binds an address. network is "tcp" or "unix".
func listen(network, addr string, k kind, first net.Conn, opts Options) (*listener, error) {
	raw, err := bind(network, addr)
	if err != nil {
		return nil, err
	}
	l := &listener{raw: raw, kind: k, opts: opts, first: first,
		ready:   make(chan net.Conn),
		pending: make(chan struct{}, opts.Limits.Pending),
		done:    make(chan struct{}),
		conns:   make(map[*conn]struct{}),
		early:   make(map[net.Conn]struct{}),
		gone:    make(chan struct{}),
	}
	l.wg.Add(1)
	go l.acceptLoop()
	return l, nil
}

// resolveWait is how long the name of a host may take to be looked up; whoever starts a kernel
// is to hear within a second that it cannot listen.
const resolveWait = 800 * time.Millisecond

func bind(network, addr string) (net.Listener, error) {
	if network == "unix" {
		if err := removeStale(addr); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveWait)
	defer cancel()
	var config net.ListenConfig
	l, err := config.Listen(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		if err := os.Chmod(addr, 0o600); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// removeStale removes the socket file of a process that was killed, and
// nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return nil // Listen says what is wrong, if anything is
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("listen unix %s: another process listens there", path)
	}
	return os.Remove(path)
}

func (l *listener) acceptLoop() {
	defer l.wg.Done()
	const first, most = 5 * time.Millisecond, time.Second
	backoff := first
	for {
		raw, err := l.raw.Accept()
		if errors.Is(err, net.ErrClosed) { // by stopAccepting alone
			return
		}
		if err != nil {
			select {
			case <-l.done:
				return
			case <-time.After(backoff): // such as too many open files
			}
			l.opts.Log.Warn("accept failed", "socket", l.kind.name, "error", err)
			backoff = min(2*backoff, most)
			continue
		}
		backoff = first
		select {
		case l.pending <- struct{}{}:
			l.greet(raw)
		default:
			l.opts.Log.Warn("too many handshakes under way, connection refused", "socket", l.kind.name)
			raw.Close()
		}
	}
}

// greet starts the handshake with a new peer.
func (l *listener) greet(raw net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		raw.Close()
		return
	}
	l.early[raw] = struct{}{}
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		c, err := l.shake(raw)
		<-l.pending
		if err != nil {
			raw.Close()
			l.opts.Log.Debug("handshake failed", "socket", l.kind.name, "error", err)
			return
		}
		select {
		case l.ready <- c:
			c.serve()
		case <-l.done:
			c.Close()
		}
	}()
}

func (l *listener) shake(raw net.Conn) (*conn, error) {
	defer func() {
		l.mu.Lock()
		delete(l.early, raw)
		l.mu.Unlock()
	}()
	if err := raw.SetDeadline(time.Now().Add(l.opts.Limits.Handshake)); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(raw, 16<<10)
	peer, sealed, err := l.meet(in, raw)
	if err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return l.admit(raw, sealed.reader(in, l.opts.Limits), sealed, peer)
}

// meet does the handshake of the mechanism that the socket has.
func (l *listener) meet(in *bufio.Reader, raw net.Conn) (hello, *secure, error) {
	if l.opts.Curve == nil {
		peer, err := handshake(in, raw, l.kind, nil)
		return peer, nil, err
	}
	if err := exchangeGreetings(in, raw, curveMechanism, true); err != nil {
		return hello{}, nil, err
	}
	return serveCurve(in, raw, l.kind, l.opts.Curve)
}

// admit gives a peer its key and its place in the list.
func (l *listener) admit(raw net.Conn, in *bufio.Reader, sealed *secure, peer hello) (*conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	l.serial++
	key := binary.BigEndian.AppendUint64(nil, l.serial)
	c := newConn(l, raw, in, sealed, peer, append(key, peer.identity...))
	l.conns[c] = struct{}{}
	return c, nil
}

func (l *listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	close(l.gone)
	l.gone = make(chan struct{})
}

// find returns the key of the newest connection with an identity.
func (l *listener) find(identity []byte) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var newest []byte
	for c := range l.conns {
		if string(c.peer[keySize:]) == string(identity) && string(c.peer) > string(newest) {
			newest = c.peer
		}
	}
	return newest, newest != nil
}

// alive says whether the connection with this key is open.
func (l *listener) alive(key []byte) bool {
	_, open := l.joined(key)
	return open
}

// joined is when the connection with this key was made; false if it is not open.
func (l *listener) joined(key []byte) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if string(c.peer) == string(key) {
			return c.joined, true
		}
	}
	return time.Time{}, false
}

func (l *listener) list() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	conns := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	return conns
}

// drain waits until all that was handed to the connections is written.
func (l *listener) drain(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		busy := 0
		for _, c := range l.list() {
			if !c.out.idle() {
				busy++
			}
		}
		if busy == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("output for %d peers was not written: %w", busy, ctx.Err())
		case <-tick.C:
		}
	}
}

// hangUp ends all connections, giving the peers until ctx ends to leave first.
func (l *listener) hangUp(ctx context.Context) {
	l.stopAccepting()
	for _, c := range l.list() {
		c.hangUp()
	}
	for {
		l.mu.Lock()
		left, gone := len(l.conns), l.gone
		l.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-gone:
		case <-ctx.Done():
			for _, c := range l.list() {
				c.Close()
			}
			return
		}
	}
}

func (l *listener) stopAccepting() {
	l.once.Do(func() {
		l.mu.Lock()
		l.closed = true
		for raw := range l.early {
			raw.Close()
		}
		l.mu.Unlock()
		close(l.done)
		l.raw.Close()
	})
}

// Accept, Close and Addr make it the net.Listener that zmq4 uses.

func (l *listener) Accept() (net.Conn, error) {
	if c := l.first; c != nil {
		l.first = nil
		return c, nil
	}
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.stopAccepting()
	for _, c := range l.list() {
		c.Close()
	}
	l.wg.Wait()
	return nil
}

func (l *listener) Addr() net.Addr { return l.raw.Addr() }
