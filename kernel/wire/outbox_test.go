package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// runOutbox starts an outbox over a pipe, which holds nothing in between.
func runOutbox(t *testing.T, limits Limits, longest time.Duration) (*outbox, net.Conn, <-chan error) {
	t.Helper()
	limits.EnsureDefaults()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	o := newOutbox(near, limits, nil)
	o.longest = longest
	result := make(chan error, 1)
	go func() {
		err := o.run()
		o.close() // as conn.serve does
		result <- err
	}()
	return o, far, result
}

// TestSlowPeerIsKept has a peer that takes longer than the stall for all, and
// less for each part, while a writer waits for room.
func TestSlowPeerIsKept(t *testing.T) {
	const part, parts = 4 << 10, 30
	o, far, result := runOutbox(t, Limits{Stall: 250 * time.Millisecond, Queue: part * parts}, 0)
	check(t, o.put(make([]byte, part*parts)))
	second := make(chan error, 1)
	go func() { second <- o.put([]byte("second")) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	buffer := make([]byte, part)
	for range parts {
		<-tick.C // the pace of the slow peer
		_, err := io.ReadFull(far, buffer)
		check(t, err)
	}
	check(t, <-second)
	got := make([]byte, len("second"))
	_, err := io.ReadFull(far, got)
	check(t, err)
	if string(got) != "second" {
		t.Errorf("got %q, want second", got)
	}
	o.close()
	check(t, <-result)
}

// TestTricklingPeerIsCut has a peer that goes on reading, so little that a writer would wait for
// it without end.
func TestTricklingPeerIsCut(t *testing.T) {
	const longest = 100 * time.Millisecond
	o, far, result := runOutbox(t, Limits{Stall: time.Minute, Queue: 1 << 20}, longest)
	check(t, o.put(make([]byte, 1<<20)))
	go func() {
		for b := make([]byte, 1); ; time.Sleep(time.Millisecond) {
			if _, err := far.Read(b); err != nil {
				return
			}
		}
	}()
	began := time.Now()
	if err := o.put([]byte("waits")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a message for a peer that trickles: %v", err)
	}
	if waited := time.Since(began); waited < longest || waited > 50*longest {
		t.Errorf("the writer waited %v, want about %v", waited, longest)
	}
	far.Close() // conn, whose Write has failed, closes its end
	if err := <-result; err == nil || !strings.Contains(err.Error(), "too slowly") {
		t.Errorf("the peer was cut with %v", err)
	}
}

// TestStalledPeerIsCut has a peer that takes nothing while a writer waits.
func TestStalledPeerIsCut(t *testing.T) {
	o, _, result := runOutbox(t, Limits{Stall: 20 * time.Millisecond, Queue: 100}, 0)
	check(t, o.put(bytes.Repeat([]byte("x"), 100)))
	if err := o.put([]byte("waits")); err == nil {
		t.Error("a message for a stalled peer was taken")
	}
	if err := <-result; err == nil {
		t.Error("the stalled peer was not cut")
	}
}

// TestPatientWithoutWriter has a peer that takes nothing for some stalls when
// nobody waits for room: it is kept.
func TestPatientWithoutWriter(t *testing.T) {
	const stall = 20 * time.Millisecond
	o, far, result := runOutbox(t, Limits{Stall: stall}, 0)
	check(t, o.put([]byte("message")))
	select {
	case err := <-result:
		t.Fatalf("the peer was cut: %v", err)
	case <-time.After(3 * stall): // a span in which nothing must happen
	}
	got := make([]byte, len("message"))
	_, err := io.ReadFull(far, got)
	check(t, err)
	o.close()
	check(t, <-result)
}
