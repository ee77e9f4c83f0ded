package kernel

import (
	"context"
	"time"
)

const (
	// hearing is how long a client has, from when it connected to shell, to subscribe to IOPub
	// before its cells run. A client that found no kernel yet tries each socket again by
	// itself, libzmq's after 100 to 200 ms.
	hearing = time.Second
	// hearingEvery is how often it is looked whether it has.
	hearingEvery = 5 * time.Millisecond
)

// awaitAudience holds back a cell of a client that has only just connected while fewer peers
// have subscribed to IOPub than there are on shell. PUB sockets lose what is published before
// the subscription, so the client would miss its output and the idle state, for which
// jupyter_console waits for ever: it executes as soon as shell has answered. A client that
// never subscribes waits once.
func (s *server) awaitAudience(ctx context.Context, m *message) {
	joined, connected := s.shell.Joined(m.ids[0])
	if !connected {
		return
	}
	left := time.Until(joined.Add(hearing))
	if left <= 0 || s.everyoneHears() {
		return
	}
	timeout := time.NewTimer(left)
	defer timeout.Stop()
	tick := time.NewTicker(hearingEvery)
	defer tick.Stop()
	for !s.everyoneHears() {
		select {
		case <-tick.C: // some may have left shell, too
		case <-timeout.C:
			s.log.Debug("cell runs for a client that has not subscribed to iopub")
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *server) everyoneHears() bool { return s.publisher.Subscribers() >= s.shell.Peers() }
