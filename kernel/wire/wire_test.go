package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

const deadline = 10 * time.Second

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newRouter listens until the test's end and echoes what it receives.
func newRouter(t *testing.T, opts Options) *Router {
	t.Helper()
	r, err := ListenRouter("tcp", "127.0.0.1:0", opts)
	check(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			frames, err := r.Recv()
			if err != nil {
				return
			}
			if err := r.Send(frames); err != nil {
				t.Logf("echo: %v", err)
			}
		}
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-done
	})
	return r
}

func newClient(t *testing.T, addr net.Addr, identity string) *Client {
	t.Helper()
	c, err := Dialer{}.Dealer("tcp", addr.String(), []byte(identity))
	check(t, err)
	t.Cleanup(func() { c.Close() })
	check(t, c.SetReadDeadline(time.Now().Add(deadline)))
	return c
}

// TestEcho sends messages of many shapes there and back.
func TestEcho(t *testing.T) {
	r := newRouter(t, Options{})
	c := newClient(t, r.Addr(), "me")
	for _, sizes := range [][]int{{0}, {1}, {255}, {256}, {0, 0, 0}, {1, 300, 0, 70000}, {5 << 20}, {4095, 4096, 4097}} {
		var sent [][]byte
		for i, n := range sizes {
			sent = append(sent, bytes.Repeat([]byte{byte('a' + i)}, n))
		}
		check(t, c.Send(sent))
		got, err := c.Recv()
		check(t, err)
		if !reflect.DeepEqual(got, sent) {
			t.Errorf("frames of %v bytes came back changed", sizes)
		}
	}
}

// TestBounds has messages at the limits and beyond.
func TestBounds(t *testing.T) {
	r := newRouter(t, Options{Limits: Limits{Message: 1000, Frames: 3}})
	for _, row := range []struct {
		name  string
		sizes []int
		ok    bool
	}{
		{"at the size", []int{1000}, true},
		{"beyond the size", []int{1001}, false},
		{"at the size in frames", []int{500, 250, 250}, true},
		{"beyond the size in frames", []int{500, 501}, false},
		{"too many frames", []int{0, 0, 0, 0}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newClient(t, r.Addr(), "")
			for range 2 { // the count starts anew for each message
				var sent [][]byte
				for _, n := range row.sizes {
					sent = append(sent, make([]byte, n))
				}
				err := c.Send(sent)
				if err == nil {
					_, err = c.Recv()
				}
				if (err == nil) != row.ok {
					t.Fatalf("error %v, want success %v", err, row.ok)
				}
				if !row.ok {
					return
				}
			}
		})
	}
}

// TestPing checks that a heartbeat of the transport is answered and no message.
func TestPing(t *testing.T) {
	r := newRouter(t, Options{})
	c := newClient(t, r.Addr(), "")
	_, err := c.Conn.Write(append([]byte{flagCommand, 10}, "\x04PING\x00\x0actx"...))
	check(t, err)
	h, err := readHeader(c.in)
	check(t, err)
	name, body, err := readCommand(c.in, h)
	check(t, err)
	if name != "PONG" || string(body) != "ctx" {
		t.Errorf("answer %s %q, want PONG with the context ctx", name, body)
	}
}

// TestPublisherFilters checks that subscriptions count, and unsubscriptions.
func TestPublisherFilters(t *testing.T) {
	subscribed := make(chan string, 4)
	p, err := ListenPublisher("tcp", "127.0.0.1:0", Options{
		OnSubscribe: func(topic []byte, welcome func([][]byte)) {
			welcome([][]byte{[]byte("welcome " + string(topic))})
			subscribed <- string(topic)
		},
	})
	check(t, err)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		check(t, p.Shutdown(ctx))
		if err := p.Send([][]byte{[]byte("x")}); err == nil {
			t.Error("Send works after Shutdown")
		}
	}()
	c, err := Dialer{}.Sub("tcp", p.Addr().String(), "a")
	check(t, err)
	defer c.Close()
	check(t, c.SetReadDeadline(time.Now().Add(deadline)))
	<-subscribed
	for _, topic := range []string{"b", "a1", "", "a2"} {
		check(t, p.Send([][]byte{[]byte(topic), []byte("body")}))
	}
	check(t, c.Send([][]byte{[]byte("\x00a")}))
	check(t, c.Send([][]byte{[]byte("\x01b")}))
	<-subscribed // so the unsubscription was seen too
	for _, topic := range []string{"a3", "b1"} {
		check(t, p.Send([][]byte{[]byte(topic), []byte("body")}))
	}
	for _, want := range []string{"welcome a", "a1", "a2", "welcome b", "b1"} {
		frames, err := c.Recv()
		check(t, err)
		if string(frames[0]) != want {
			t.Errorf("got the topic %q, want %q", frames[0], want)
		}
	}
}

// TestDrain publishes and shuts down at once: all of it is written.
func TestDrain(t *testing.T) {
	const n = 2000
	subscribed := make(chan struct{})
	p, err := ListenPublisher("tcp", "127.0.0.1:0", Options{
		OnSubscribe: func([]byte, func([][]byte)) { close(subscribed) },
	})
	check(t, err)
	c, err := Dialer{}.Sub("tcp", p.Addr().String(), "")
	check(t, err)
	defer c.Close()
	<-subscribed
	for i := range n {
		check(t, p.Send([][]byte{fmt.Append(nil, i)}))
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	check(t, p.Drain(ctx))
	short, cancelShort := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancelShort()
	check(t, p.Shutdown(short))
	for i := range n {
		frames, err := c.Recv()
		check(t, err)
		if string(frames[0]) != fmt.Sprint(i) {
			t.Fatalf("got message %q, want %d", frames[0], i)
		}
	}
}

// TestRoutes checks keys, identities and the peers that left.
func TestRoutes(t *testing.T) {
	r, err := ListenRouter("tcp", "127.0.0.1:0", Options{})
	check(t, err)
	received := make(chan [][]byte, 4)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			frames, err := r.Recv()
			if err != nil {
				return
			}
			received <- frames
		}
	}()
	defer func() {
		check(t, r.Shutdown(context.Background()))
		<-done
	}()
	first := newClient(t, r.Addr(), "same")
	check(t, first.Send([][]byte{[]byte("1")}))
	key := (<-received)[0]
	if string(Identity(key)) != "same" {
		t.Errorf("identity %q, want same", Identity(key))
	}
	second := newClient(t, r.Addr(), "same")
	check(t, second.Send([][]byte{[]byte("2")}))
	newest := (<-received)[0]
	if found, ok := r.Find([]byte("same")); !ok || !bytes.Equal(found, newest) {
		t.Errorf("Find returns %q, want the newer connection %q", found, newest)
	}
	if _, ok := r.Find(nil); ok {
		t.Error("Find finds a peer without an identity")
	}
	// When the first has left, what is for it goes to the second.
	check(t, first.Close())
	for end := time.Now().Add(deadline); r.l.alive(key); {
		if time.Now().After(end) {
			t.Fatal("a connection that was closed stays in the list")
		}
		time.Sleep(time.Millisecond)
	}
	check(t, r.Send([][]byte{key, []byte("for you")}))
	frames, err := second.Recv()
	check(t, err)
	if string(frames[0]) != "for you" {
		t.Errorf("got %q", frames)
	}
	if err := r.Send([][]byte{[]byte("nobody"), []byte("x")}); !errors.Is(err, ErrNoPeer) {
		t.Errorf("Send to nobody: %v, want ErrNoPeer", err)
	}
	check(t, second.Close()) // so that Shutdown need not wait for it
}

func TestParseReady(t *testing.T) {
	property := func(name string, value string) []byte { return appendProperty(nil, name, []byte(value)) }
	for _, row := range []struct {
		name string
		in   []byte
		want hello
		err  string
	}{
		{"both", append(property("socket-TYPE", "SUB"), property("Identity", "me")...), hello{"SUB", []byte("me")}, ""},
		{"unknown property", append(property("X-Y", "z"), property("Socket-Type", "SUB")...), hello{"SUB", nil}, ""},
		{"empty", nil, hello{}, ""},
		{"cut", []byte("\x05ab"), hello{}, "cut short"},
		{"no name", []byte("\x00\x00\x00\x00\x00"), hello{}, "cut short"},
		{"value cut", binary.BigEndian.AppendUint32([]byte("\x01a"), 9), hello{}, "claims 9 bytes"},
		{"long identity", property("Identity", strings.Repeat("x", 256)), hello{}, "at most 255"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := parseReady(row.in)
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Errorf("error %v, want one with %q", err, row.err)
				}
				return
			}
			check(t, err)
			if got.socketType != row.want.socketType || !bytes.Equal(got.identity, row.want.identity) {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

// TestAssembler writes one stream in pieces of every size.
func TestAssembler(t *testing.T) {
	frames := [][]byte{[]byte("topic"), {}, bytes.Repeat([]byte("x"), 300)}
	message := AppendMessage(nil, frames)
	var in []byte
	in = append(in, greeting()...)
	in = append(in, ready("XPUB", nil)...)
	in = append(in, message...)
	in = append(in, 0, 0) // an empty message
	in = append(in, message...)
	want := [][]byte{message, {0, 0}, message}
	for size := 1; size <= len(in); size++ {
		var got [][]byte
		a := newAssembler(func(m []byte) error {
			got = append(got, bytes.Clone(m))
			return nil
		})
		for rest := in; len(rest) > 0; {
			n := min(size, len(rest))
			check(t, a.write(rest[:n]))
			rest = rest[n:]
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("in pieces of %d bytes: %d messages, want %d", size, len(got), len(want))
		}
	}
}

// FuzzRead reads arbitrary bytes as a connection, as zmq4 would. Whatever
// comes, nothing is read beyond the bounds, and what is passed on is a whole
// number of sound frames or ends with an error.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x00\x01x\x01\x00\x00\x00"), false)
	f.Add([]byte("\x00\x02\x01a\x00\x01\x00\x01\x01x\x00\x00"), true)
	f.Add([]byte("\x02\x7f\xff\xff\xff\xff\xff\xff\xff"), false)
	f.Add([]byte("\x04\x05\x04PING\x00\x01\x00"), false)
	f.Fuzz(func(t *testing.T, data []byte, publisher bool) {
		k := routerKind
		if publisher {
			k = publisherKind
		}
		opts := Options{Limits: Limits{Message: 1 << 10, Frames: 8}}
		opts.ensureDefaults()
		l := &listener{kind: k, opts: opts, conns: map[*conn]struct{}{}, gone: make(chan struct{})}
		raw, far := net.Pipe()
		defer far.Close()
		c := newConn(l, raw, bufio.NewReader(bytes.NewReader(data)), nil, hello{socketType: "DEALER"}, []byte("12345678"))
		got, err := io.ReadAll(c)
		var op *net.OpError
		if err == nil || !errors.As(err, &op) {
			t.Fatalf("the end of a connection is %v, want a net.OpError, which zmq4 takes for one", err)
		}
		r := bufio.NewReader(bytes.NewReader(got[greetingSize:]))
		if _, err := readReady(r); err != nil {
			t.Fatal(err)
		}
		admitted := bounds{limits: opts.Limits}
		for {
			h, err := readHeader(r)
			if err != nil {
				return
			}
			if h.command() {
				t.Fatal("a command was passed on")
			}
			if err := admitted.add(h); err != nil {
				t.Fatal(err)
			}
			if publisher && (h.more() || h.size == 0) {
				t.Fatalf("the frame %+v of a subscriber was passed on", h)
			}
			if _, err := r.Discard(int(h.size)); err != nil {
				return
			}
		}
	})
}

func BenchmarkEcho(b *testing.B) {
	r, err := ListenRouter("tcp", "127.0.0.1:0", Options{})
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for {
			frames, err := r.Recv()
			if err != nil {
				return
			}
			if err := r.Send(frames); err != nil {
				b.Error(err)
			}
		}
	}()
	c, err := Dialer{}.Dealer("tcp", r.Addr().String(), nil)
	if err != nil {
		b.Fatal(err)
	}
	message := [][]byte{make([]byte, 64), make([]byte, 200), make([]byte, 1000)}
	b.SetBytes(1264)
	for b.Loop() {
		if err := c.Send(message); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Recv(); err != nil {
			b.Fatal(err)
		}
	}
	c.Close()
	if err := r.Shutdown(context.Background()); err != nil {
		b.Fatal(err)
	}
}
