package wire

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/go-zeromq/zmq4"
)

// ErrNoPeer is a Send to a peer that has left, with no other connection of the
// same identity.
var ErrNoPeer = errors.New("the peer has left")

// Router is a ROUTER socket. Somebody has to call Recv all the time, and until
// it fails after Shutdown, or connections wait for it.
type Router struct {
	sck zmq4.Socket
	l   *listener
}

// ListenRouter binds addr, a host:port of the network "tcp" or a path of the
// network "unix".
func ListenRouter(network, addr string, opts Options) (*Router, error) {
	opts.ensureDefaults()
	l, err := listen(network, addr, routerKind, nil, opts)
	if err != nil {
		return nil, err
	}
	r := &Router{l: l, sck: zmq4.NewRouter(context.Background(), zmqLog(opts.Log))}
	if err := guarded.attach(r.sck, l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return r, nil
}

func zmqLog(log *slog.Logger) zmq4.Option {
	return zmq4.WithLogger(slog.NewLogLogger(log.Handler(), slog.LevelDebug))
}

// Addr is the address that was bound.
func (r *Router) Addr() net.Addr { return r.l.Addr() }

// Recv returns the frames of the next message, the first being the peer's key.
func (r *Router) Recv() ([][]byte, error) {
	msg, err := r.sck.Recv()
	return msg.Frames, err
}

// Send sends a message to the peer whose key is frames[0]; if that connection
// has ended, to the newest one of the same identity. It may be called from
// several goroutines.
func (r *Router) Send(frames [][]byte) error {
	peer, ok := r.resolve(frames[0])
	if !ok {
		return ErrNoPeer
	}
	routed := append([][]byte{peer}, frames[1:]...)
	return r.sck.SendMulti(zmq4.NewMsgFrom(routed...))
}

func (r *Router) resolve(key []byte) ([]byte, bool) {
	if r.l.alive(key) {
		return key, true
	}
	return r.Find(Identity(key))
}

// Peers is how many peers are connected.
func (r *Router) Peers() int { return len(r.l.list()) }

// Joined is when the peer with this key connected; false if it has left.
func (r *Router) Joined(key []byte) (time.Time, bool) { return r.l.joined(key) }

// Find returns the key of the newest connection with an identity. Peers that
// chose none are not found.
func (r *Router) Find(identity []byte) ([]byte, bool) {
	if len(identity) == 0 {
		return nil, false
	}
	return r.l.find(identity)
}

// Identity is the identity that the peer with this key chose, which is the
// same on each of a client's sockets; empty if it chose none.
func Identity(key []byte) []byte {
	if len(key) < keySize {
		return nil
	}
	return key[keySize:]
}

// Drain waits until everything sent is written, or ctx ends.
func (r *Router) Drain(ctx context.Context) error { return r.l.drain(ctx) }

// Shutdown takes no more peers and ends the connections there are: peers see
// the end of the stream and have until ctx ends to leave. Then Recv fails.
func (r *Router) Shutdown(ctx context.Context) error {
	r.l.hangUp(ctx)
	return r.sck.Close()
}
