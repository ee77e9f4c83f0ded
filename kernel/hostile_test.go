package kernel_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evalnas/kernel"
	"evalnas/kernel/kerneltest"
	"evalnas/kernel/wire"
)

// ports lists a connection's ports with their names.
func ports(c kernel.Connection) map[string]int {
	return map[string]int{"shell": c.ShellPort, "control": c.ControlPort, "iopub": c.IOPubPort, "stdin": c.StdinPort, "hb": c.HBPort}
}

// alive checks that a new client gets a cell run.
func alive(t *testing.T, k *running) {
	t.Helper()
	c, err := kerneltest.Dial(k.Connection, "")
	check(t, err)
	defer c.Close()
	reply, _, err := c.Run("value 1")
	check(t, err)
	if reply.Text("status") != "ok" {
		t.Errorf("reply %v", reply.Content)
	}
}

func dial(t *testing.T, port int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestSilentPeer connects to every port and says nothing.
func TestSilentPeer(t *testing.T) {
	k := start(t, nil)
	for range 3 {
		for _, port := range ports(k.Connection) {
			dial(t, port)
		}
	}
	alive(t, k)
}

// TestSilentPeerIsCut checks the deadline of the handshake.
func TestSilentPeerIsCut(t *testing.T) {
	k := start(t, nil, func(cfg *kernel.Config) { cfg.Limits = wire.Limits{Handshake: 50 * time.Millisecond} })
	conn := dial(t, k.ShellPort)
	check(t, conn.SetReadDeadline(time.Now().Add(deadline)))
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("reading to the end of the connection: %v", err)
	}
}

// greeting is a ZMTP 3 greeting of mechanism NULL, spelt out here so that the
// tests do not lean on the code under test.
func greeting() []byte {
	g := make([]byte, 64)
	copy(g, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL")
	return g
}

func ready(socketType string) []byte {
	body := "\x05READY\x0bSocket-Type" + string(binary.BigEndian.AppendUint32(nil, uint32(len(socketType)))) + socketType
	return append([]byte{4, byte(len(body))}, body...)
}

// TestHostileBytes sends each port what no client would.
func TestHostileBytes(t *testing.T) {
	dealer := append(greeting(), ready("DEALER")...)
	sub := append(greeting(), ready("SUB")...)
	long := func(flags byte, size uint64) []byte { return binary.BigEndian.AppendUint64([]byte{flags}, size) }
	rows := map[string][]byte{
		"http":                 []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("x", 100)),
		"zmtp 1":               {1, 0},
		"zmtp 2":               append([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01"), make([]byte, 53)...),
		"other mechanism":      append([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00CURVE"), make([]byte, 47)...),
		"message before READY": append(greeting(), 0, 1, 'x'),
		"READY cut":            append(greeting(), append([]byte{4, 8}, "\x05READY\x0bS"...)...),
		"READY property":       append(greeting(), append([]byte{4, 12}, "\x05READY\x01S\xff\xff\xff\xff"...)...),
		"READY name":           append(greeting(), append([]byte{4, 2}, "\xffR"...)...),
		"READY empty":          append(greeting(), 4, 0),
		"READY giant":          append(greeting(), long(6, 1<<62)...),
		"unknown socket type":  append(greeting(), ready("FISH")...),
		"wrong socket type":    append(greeting(), ready("PULL")...),
		"giant frame":          append(bytes.Clone(dealer), long(2, 1<<62)...),
		"negative frame":       append(bytes.Clone(dealer), long(2, 1<<63)...),
		"giant with more":      append(bytes.Clone(dealer), long(3, 1<<40)...),
		"giant subscription":   append(bytes.Clone(sub), long(2, 1<<62)...),
		"reserved flags":       append(bytes.Clone(dealer), 0xf8, 0),
		"command with more":    append(bytes.Clone(dealer), 5, 1, 0),
		"endless frames":       append(bytes.Clone(dealer), bytes.Repeat([]byte{1, 0}, 5000)...),
		"odd commands":         append(bytes.Clone(dealer), "\x04\x05\x04PING\x04\x01\x00"...),
		"empty message":        append(bytes.Clone(dealer), 0, 0, 0, 0),
		"subscriber talks":     append(bytes.Clone(sub), bytes.Repeat([]byte("\x01\x03abc\x00\x02zz\x00\x00"), 50)...),
	}
	k := start(t, nil)
	for name, sent := range rows {
		t.Run(name, func(t *testing.T) {
			for socket, port := range ports(k.Connection) {
				conn := dial(t, port)
				if _, err := conn.Write(sent); err != nil {
					t.Logf("%s: %v", socket, err) // cut while we wrote: fine
				}
			}
			alive(t, k)
		})
	}
}

// TestUnsoundMessages sends, over a sound connection, what is no message of
// ours, and then a request which must be answered.
func TestUnsoundMessages(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	parts := func(header, content string) [][]byte {
		return [][]byte{[]byte(header), []byte("{}"), []byte("{}"), []byte(content)}
	}
	signed := func(p [][]byte) [][]byte {
		return append([][]byte{[]byte("<IDS|MSG>"), c.Sign(p)}, p...)
	}
	_, sound := c.Frames("execute_request", map[string]any{"code": "print forged"})
	forged := append([][]byte{}, sound...)
	forged[1] = []byte(strings.Repeat("0", 64))
	changed := append([][]byte{}, sound...)
	changed[5] = []byte(`{"code": "print changed"}`)
	rows := []struct {
		name   string
		frames [][]byte
		log    string
	}{
		{"wrong signature", forged, "signature"},
		{"changed content", changed, "signature"},
		{"no signature", append([][]byte{[]byte("<IDS|MSG>"), {}}, sound[2:]...), "signature"},
		{"signature not hex", append([][]byte{[]byte("<IDS|MSG>"), []byte("zz")}, sound[2:]...), "signature"},
		{"short", sound[:4], "3 frames after the delimiter"},
		{"delimiter alone", sound[:1], "0 frames after the delimiter"},
		{"no delimiter", sound[1:], "no delimiter"},
		{"one empty frame", [][]byte{{}}, "no delimiter"},
		{"header not JSON", signed(parts("{", "{}")), "header is not a JSON object"},
		{"header null", signed(parts("null", "{}")), "header is not a JSON object"},
		{"header without type", signed(parts("{}", "{}")), "no msg_type"},
		{"type not a string", signed(parts(`{"msg_type": 7, "msg_id": "a"}`, "{}")), "msg_type is 7; it must be a string"},
		{"id not a string", signed(parts(`{"msg_type": "kernel_info_request", "msg_id": [1]}`, "{}")), "msg_id is [1]; it must be a string"},
	}
	sockets := map[string]*wire.Client{"shell": c.Shell, "control": c.Control, "stdin": c.Stdin}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			before := strings.Count(k.log.String(), row.log)
			for _, conn := range sockets {
				check(t, conn.Send(row.frames))
			}
			waitFor(t, func() bool { return strings.Count(k.log.String(), row.log) >= before+len(sockets) })
		})
	}
	reply, published, err := c.Run("print fine")
	check(t, err)
	if reply.Text("status") != "ok" {
		t.Errorf("reply %v", reply.Content)
	}
	wantLines(t, published, "busy", `in[1] "print fine"`, `stdout "fine\n"`, "idle")
}

// TestUnknownRequests has requests that the kernel does not know, or not on that channel: each is
// refused in words, between busy and idle.
func TestUnknownRequests(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for _, row := range []struct {
		channel string
		on      *wire.Client
		msgType string
		want    []string
	}{
		{"shell", c.Shell, "teapot_request", []string{`"teapot_request"`, "shell channel", "complete_request", "execute_request"}},
		{"control", c.Control, "teapot_request", []string{`"teapot_request"`, "control channel", "interrupt_request", "shutdown_request"}},
		{"shell", c.Shell, "interrupt_request", []string{"send it on the control channel"}},
		{"control", c.Control, "execute_request", []string{"send it on the shell channel"}},
		{"control", c.Control, "debug_request", []string{`"debug_request"`}},
		{"shell", c.Shell, "_request", []string{`"_request"`}},
	} {
		t.Run(row.msgType+" on "+row.channel, func(t *testing.T) {
			reply, published, err := c.Ask(row.on, row.msgType, map[string]any{})
			check(t, err)
			wantLines(t, published, "busy", "idle")
			if want := strings.TrimSuffix(row.msgType, "_request") + "_reply"; reply.Type() != want {
				t.Errorf("answered by %s, want %s", reply.Type(), want)
			}
			if reply.Text("status") != "error" || reply.Text("ename") != "ProtocolError" || reply.Content["traceback"] == nil {
				t.Errorf("reply %v", reply.Content)
			}
			for _, part := range row.want {
				if !strings.Contains(reply.Text("evalue"), part) {
					t.Errorf("evalue %q has no %q", reply.Text("evalue"), part)
				}
			}
			if line := fmt.Sprintf("level=WARN msg=\"unknown message\" type=%s channel=%s", row.msgType, row.channel); !strings.Contains(k.log.String(), line) {
				t.Errorf("the log has no line with %s", line)
			}
		})
	}
	// Nobody waits for an answer to what is no request, or from stdin.
	for channel, on := range map[string]*wire.Client{"shell": c.Shell, "control": c.Control, "stdin": c.Stdin} {
		_, err := c.Send(on, "teapot", map[string]any{})
		check(t, err)
		waitFor(t, func() bool { return strings.Contains(k.log.String(), "type=teapot channel="+channel) })
	}
	_, published, err := c.Run("value 1")
	check(t, err)
	wantLines(t, published, "busy", `in[1] "value 1"`, `out[1] "1"`, "idle")
}

// TestOddHeaders has headers of which some fields have wrong types. What names the request is
// sound, so it is answered, and the header comes back as it was.
func TestOddHeaders(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for i, odd := range []string{
		`"session": 5`, `"session": null`, `"session": {}`, `"date": []`, `"date": 20260102`, `"username": null`, `"username": ["x"]`,
		`"version": 5.3`, `"version": true`, `"session": 1, "date": 2, "username": 3, "version": 4, "subshell_id": 5`,
	} {
		t.Run(odd, func(t *testing.T) {
			head := fmt.Sprintf(`{"msg_type": "execute_request", "msg_id": "odd-%d", %s}`, i, odd)
			parts := [][]byte{[]byte(head), []byte("7"), []byte("null"), []byte(`{"code": "value 1"}`)}
			check(t, c.Shell.Send(append([][]byte{[]byte("<IDS|MSG>"), c.Sign(parts)}, parts...)))
			reply, err := c.Recv(c.Shell)
			check(t, err)
			published, err := c.Until(fmt.Sprintf("odd-%d", i))
			check(t, err)
			var want map[string]any
			check(t, json.Unmarshal([]byte(head), &want))
			for _, m := range append(published, reply) {
				if !reflect.DeepEqual(m.Parent, want) {
					t.Errorf("%s has the parent header %v, want %v", m.Type(), m.Parent, want)
				}
			}
			if reply.Text("status") != "ok" || len(published) != 4 {
				t.Errorf("reply %v, published %v", reply.Content, lines(published))
			}
		})
	}
}

// TestOddContent has requests that somebody waits for: each is answered, and says why.
func TestOddContent(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for _, msgType := range []string{"execute_request", "complete_request", "inspect_request", "is_complete_request", "history_request", "comm_info_request", "kernel_info_request"} {
		for i, content := range []string{"[]", "null", "7", "x", `{"code": 7, "cursor_pos": "x", "hist_access_type": [], "target_name": 4}`} {
			parts := [][]byte{fmt.Appendf(nil, `{"msg_type": %q, "msg_id": "odd-%d"}`, msgType, i), []byte("[]"), []byte("3"), []byte(content)}
			check(t, c.Shell.Send(append([][]byte{[]byte("<IDS|MSG>"), c.Sign(parts)}, parts...)))
			reply, err := c.Recv(c.Shell)
			check(t, err)
			if want := strings.TrimSuffix(msgType, "_request") + "_reply"; reply.Type() != want {
				t.Errorf("%s with %s is answered by %s", msgType, content, reply.Type())
			}
			if reply.Text("status") == "ok" && (msgType == "execute_request" || msgType == "complete_request") {
				t.Errorf("%s with %s is well", msgType, content)
			}
			if value := reply.Text("evalue"); strings.Contains(value, "Go ") || i == 4 && reply.Text("status") == "error" && !strings.Contains(value, "must be") {
				t.Errorf("%s with %s: %q", msgType, content, value)
			}
		}
	}
	alive(t, k)
}

// TestReplay says a sound message again: it is obeyed once.
func TestReplay(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	_, frames := c.Frames("execute_request", map[string]any{"code": "value 1"})
	for _, conn := range []*wire.Client{c.Shell, c.Shell, c.Shell} {
		check(t, conn.Send(frames))
	}
	shouted := append([][]byte{}, frames...)
	shouted[1] = bytes.ToUpper(shouted[1])
	check(t, c.Shell.Send(shouted))
	waitFor(t, func() bool { return strings.Count(k.log.String(), "replay") == 3 })
	if _, err := c.Recv(c.Shell); err != nil { // of the first
		t.Fatal(err)
	}
	reply, _, err := c.Run("value 2")
	check(t, err)
	if reply.Content["execution_count"] != 2.0 {
		t.Errorf("after one cell said four times the next has the count %v, not 2", reply.Content["execution_count"])
	}
}

// TestManyConnections opens and closes connections, and counts what is left of them.
func TestManyConnections(t *testing.T) {
	t.Run("tcp", func(t *testing.T) { manyConnections(t, kernel.Connection{Key: "key"}) })
	t.Run("ipc", func(t *testing.T) { manyConnections(t, overIPC(t)) })
}

func manyConnections(t *testing.T, c kernel.Connection) {
	n := 1000
	if os.Getenv("EVALNAS_TORTURE") != "" {
		n = 10_000
	}
	k := start(t, nil, func(cfg *kernel.Config) { cfg.Connection = &c })
	alive(t, k)
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0 // not on this system
		}
		return len(all)
	}
	goroutines, files := runtime.NumGoroutine(), descriptors()
	for i := range n {
		network, addr := k.Address([]int{k.ShellPort, k.IOPubPort, k.HBPort}[i%3])
		conn, err := net.Dial(network, addr)
		check(t, err)
		conn.Close()
		if i%2 == 0 {
			continue
		}
		network, addr = k.Address(k.IOPubPort)
		sub, err := wire.Dialer{}.Sub(network, addr, "")
		check(t, err)
		sub.Close()
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= goroutines+5 && descriptors() <= files+5 })
	alive(t, k)
}

// TestManyCells queues a thousand cells, of which the middle one fails.
func TestManyCells(t *testing.T) {
	const n = 1000
	k := start(t, nil)
	c := k.client(t)
	for i := range n {
		code := fmt.Sprintf("value %d", i)
		if i == n/2 {
			code = "error ValueError x"
		}
		_, err := c.Execute(code)
		check(t, err)
	}
	counts := map[string]int{}
	for range n {
		reply, err := c.Recv(c.Shell)
		check(t, err)
		counts[reply.Text("status")]++
	}
	// Those that came before the error was answered are aborted, however the two race.
	if counts["ok"] < n/2 || counts["error"] != 1 || counts["ok"]+counts["error"]+counts["aborted"] != n {
		t.Errorf("replies: %v", counts)
	}
	alive(t, k)
}

// TestSubscriberLeavesWhileAnotherStalls has one that goes away in the middle of the other's stall.
func TestSubscriberLeavesWhileAnotherStalls(t *testing.T) {
	k := start(t, nil, func(cfg *kernel.Config) {
		cfg.Limits = wire.Limits{Stall: 500 * time.Millisecond, Queue: 4 << 20}
	})
	addr := fmt.Sprintf("127.0.0.1:%d", k.IOPubPort)
	stalled, err := wire.Dialer{}.Sub("tcp", addr, "")
	check(t, err)
	defer stalled.Close()
	leaving, err := wire.Dialer{}.Sub("tcp", addr, "")
	check(t, err)
	c := k.client(t)
	_, err = c.Execute("megabytes 100\nprint done")
	check(t, err)
	displaysUntilPrinted(t, c, func(got int) {
		if got == 10 {
			check(t, leaving.Close())
		}
	})
	alive(t, k)
}

// displaysUntilPrinted reads IOPub up to what the cell prints, and counts the displays before;
// each, if not nil, is told of every one. Nothing is parsed: a slow reader may be cut, too.
func displaysUntilPrinted(t *testing.T, c *kerneltest.Client, each func(got int)) (got int) {
	t.Helper()
	for {
		check(t, c.IOPub.SetReadDeadline(time.Now().Add(deadline)))
		frames, err := c.IOPub.Recv()
		check(t, err)
		switch topic := string(frames[0]); {
		case strings.HasSuffix(topic, ".stream.stdout"):
			return got
		case strings.HasSuffix(topic, ".display_data"):
			if got++; each != nil {
				each(got)
			}
		}
	}
}

// TestStalledSubscriber has a subscriber that reads nothing. The other one
// gets everything, and the stalled one is cut.
func TestStalledSubscriber(t *testing.T) {
	const n = 200
	k := start(t, nil, func(cfg *kernel.Config) {
		cfg.Limits = wire.Limits{Stall: time.Second, Queue: 8 << 20}
	})
	stalled, err := wire.Dialer{}.Sub("tcp", fmt.Sprintf("127.0.0.1:%d", k.IOPubPort), "")
	check(t, err)
	defer stalled.Close()
	c := k.client(t)
	_, err = c.Execute(fmt.Sprintf("megabytes %d\nprint done", n))
	check(t, err)
	if got := displaysUntilPrinted(t, c, nil); got != n {
		t.Errorf("the good subscriber got %d displays, want %d", got, n)
	}
	if log := k.log.String(); !strings.Contains(log, "stopped reading") || strings.Contains(log, "outputs dropped") {
		t.Error("the log does not tell of a stalled peer, or tells of lost output")
	}
	check(t, stalled.SetReadDeadline(time.Now().Add(deadline)))
	for {
		if _, err := stalled.Recv(); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("the stalled subscriber was not cut")
			}
			break
		}
	}
	alive(t, k)
}

// TestClientThatNeverReads has one that asks for much and reads nothing of the replies. It is cut,
// costs no more than its queue, and another client is served.
func TestClientThatNeverReads(t *testing.T) {
	const n, most = 60, 32 << 20 // MiB of replies; bytes that may be held
	var peak atomic.Uint64
	k := start(t, map[string]kerneltest.Command{
		"megabyte": func(_ context.Context, cell *kernel.Cell, _ string) (*kernel.Bundle, error) {
			var m runtime.MemStats
			if runtime.ReadMemStats(&m); m.HeapAlloc > most { // some of it may be garbage
				runtime.GC()
				runtime.ReadMemStats(&m)
			}
			peak.Store(max(peak.Load(), m.HeapAlloc))
			cell.Out.Page(kernel.TextBundle(strings.Repeat("x", 1<<20)))
			return nil, nil
		},
	}, func(cfg *kernel.Config) { cfg.Limits = wire.Limits{Stall: 300 * time.Millisecond, Queue: 1 << 20} })
	c := k.client(t)
	c.Patience = time.Minute // what the other asks for comes first
	alive(t, k)
	goroutines := runtime.NumGoroutine()
	greedy, err := kerneltest.Dial(k.Connection, "")
	check(t, err)
	for range n {
		_, err := greedy.Send(greedy.Shell, "execute_request", map[string]any{"code": "megabyte", "silent": true})
		check(t, err)
	}
	waitFor(t, func() bool { return peak.Load() > 0 }) // it has begun
	reply, _, err := c.Run("value 1")
	check(t, err)
	if reply.Text("status") != "ok" {
		t.Errorf("another client's reply is %v", reply.Content)
	}
	waitFor(t, func() bool { return strings.Contains(k.log.String(), `msg="connection cut" socket=ROUTER`) })
	if peak.Load() > most {
		t.Errorf("%d MiB were held, want less than %d", peak.Load()>>20, most>>20)
	}
	greedy.Close()
	waitFor(t, func() bool { return runtime.NumGoroutine() <= goroutines })
}

// TestChurn has many clients come and go, some in mid-message, as a server's
// short-lived probes do.
func TestChurn(t *testing.T) {
	k := start(t, nil)
	steady := k.client(t)
	for i := range 100 {
		c, err := kerneltest.Dial(k.Connection, "")
		check(t, err)
		switch i % 3 {
		case 0:
			_, _, err = c.Ask(c.Control, "kernel_info_request", map[string]any{})
		case 1:
			_, err = c.Execute("value 1")
		case 2:
			_, err = c.Shell.Write([]byte{0, 200, 'x'})
		}
		check(t, err)
		c.Close()
	}
	id, err := steady.Execute("value last")
	check(t, err)
	published, err := steady.Until(id)
	check(t, err)
	wantLines(t, published[len(published)-1:], "idle")
}

// TestNoGoroutineIsLeft runs kernels to their end. zmq4 leaves one goroutine
// of each XPUB socket behind, which it gives no way to end.
func TestNoGoroutineIsLeft(t *testing.T) {
	const kernels = 5
	count := func() int { return runtime.NumGoroutine() }
	before := count()
	for range kernels {
		k := start(t, nil)
		silent := dial(t, k.ShellPort)
		c, err := kerneltest.Dial(k.Connection, "")
		check(t, err)
		_, _, err = c.Run("flood 100")
		check(t, err)
		k.stop()
		check(t, k.ended(t))
		c.Close()
		silent.Close()
	}
	waitFor(t, func() bool { return count() <= before+kernels })
}
