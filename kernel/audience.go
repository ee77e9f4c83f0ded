package kernel

import (
	"context"
	"time"
)

// hearing is how long a client has, from when it connected to shell, to subscribe to IOPub
// before its cells run. A client that found no kernel yet tries each socket again by itself,
// libzmq's after 100 to 200 ms.
const hearing = time.Second

// audience says whether the clients that ask also hear.
type audience struct {
	subscribed chan struct{} // holds one token when somebody has subscribed
}

func newAudience() audience { return audience{subscribed: make(chan struct{}, 1)} }

func (a audience) joined() {
	select {
	case a.subscribed <- struct{}{}:
	default: // one is enough to make awaitAudience look again
	}
}

// awaitAudience holds back a cell of a client that has only just connected while fewer peers
// have subscribed to IOPub than there are on shell. PUB sockets lose what is published before
// the subscription, so the client would miss its output and the idle state, for which
// jupyter_console waits for ever: it executes as soon as shell has answered. A client that
// never subscribes waits once.
func (s *server) awaitAudience(ctx context.Context, m *message) {
	since, connected := s.shell.Joined(m.ids[0])
	if !connected {
		return
	}
	left := time.Until(since.Add(hearing))
	if left <= 0 || s.everyoneHears() {
		return
	}
	timeout := time.NewTimer(left)
	defer timeout.Stop()
	for !s.everyoneHears() {
		select {
		case <-s.audience.subscribed:
		case <-timeout.C:
			s.log.Debug("cell runs for a client that has not subscribed to iopub")
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *server) everyoneHears() bool { return s.publisher.Subscribers() >= s.shell.Peers() }
