package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"evalnas/kernel/wire"
)

// stdinGrace is how long a question waits for the client's stdin connection,
// which it opens beside the others and maybe later.
const stdinGrace = time.Second

// input asks the person at the front end, one question at a time.
type input struct {
	s    *server
	turn chan struct{} // holds a token while a question is open

	mu     sync.Mutex
	from   string      // the identity that was asked
	answer chan string // nil when nobody was asked
}

func newInput(s *server) *input {
	return &input{s: s, turn: make(chan struct{}, 1)}
}

// ask sends an input_request to the client that sent the cell and waits.
func (in *input) ask(ctx context.Context, o *output, prompt string, password bool) (string, error) {
	select {
	case in.turn <- struct{}{}:
		defer func() { <-in.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	peer, err := in.peer(ctx, o.ids[0])
	if err != nil {
		return "", err
	}
	answer := in.open(string(wire.Identity(peer)))
	defer in.shut()
	// What the person reads before the question must be there.
	if err := in.s.iopub.flush(ctx); err != nil {
		return "", err
	}
	if err := in.send(peer, o, prompt, password); err != nil {
		return "", err
	}
	select {
	case text := <-answer:
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// peer finds the stdin connection of the client whose shell connection is key:
// a client gives all its sockets one identity.
func (in *input) peer(ctx context.Context, key []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stdinGrace)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if peer, ok := in.s.stdin.Find(wire.Identity(key)); ok {
			return peer, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, ctx.Err()
			}
			return nil, errors.New("input: the front end allows questions but has no stdin channel open")
		}
	}
}

func (in *input) send(peer []byte, o *output, prompt string, password bool) error {
	frames, err := in.s.session.frames("input_request", o.parent, nil, object{"prompt": prompt, "password": password})
	if err != nil {
		return err
	}
	ids := append([][]byte{peer}, o.ids[1:]...)
	return in.s.stdin.Send(append(ids, frames...))
}

func (in *input) open(from string) <-chan string {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.from, in.answer = from, make(chan string, 1)
	return in.answer
}

func (in *input) shut() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.answer = nil
}

// deliver takes a message from the stdin socket. An answer that nobody waits
// for, such as one to an interrupted question, is forgotten.
func (in *input) deliver(m *message) {
	if m.header.MsgType != "input_reply" {
		in.s.log.Warn("unknown message", "type", m.header.MsgType, "channel", "stdin")
		return
	}
	var content struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(m.content, &content); err != nil {
		in.s.log.Warn("input_reply dropped", "error", err)
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.answer == nil || in.from != string(wire.Identity(m.ids[0])) {
		in.s.log.Debug("answer without a question dropped")
		return
	}
	in.answer <- content.Value
	in.answer = nil
}
