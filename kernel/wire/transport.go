package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/transport"
)

// scheme is our transport's name in zmq4's endpoints. The rest of such an
// endpoint is a number: the listener is bound before zmq4 hears of it.
const scheme = "guarded"

// guard is the zmq4 transport through which the sockets of this package
// listen.
type guard struct {
	mu      sync.Mutex
	next    int
	waiting map[string]*listener
}

var guarded = &guard{waiting: make(map[string]*listener)}

// registered is zmq4's answer to the registration; it can only fail if another
// package took the name.
var registered = zmq4.RegisterTransport(scheme, guarded)

var _ transport.Transport = (*guard)(nil)

// attach makes a zmq4 socket listen through l.
func (g *guard) attach(s zmq4.Socket, l *listener) error {
	if registered != nil {
		return registered
	}
	g.mu.Lock()
	g.next++
	name := strconv.Itoa(g.next)
	g.waiting[name] = l
	g.mu.Unlock()
	return s.Listen(scheme + "://" + name)
}

func (g *guard) Listen(_ context.Context, name string) (net.Listener, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l, ok := g.waiting[name]
	if !ok {
		return nil, fmt.Errorf("no listener was prepared as %q", name)
	}
	delete(g.waiting, name)
	return l, nil
}

func (g *guard) Addr(endpoint string) (string, error) { return endpoint, nil }

func (g *guard) Dial(context.Context, transport.Dialer, string) (net.Conn, error) {
	return nil, errors.New("this transport only listens")
}
