package kernel_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"evalnas/kernel"
	"evalnas/kernel/kerneltest"
	"evalnas/kernel/wire"
)

// deadline is how long a test waits for what must come.
const deadline = 10 * time.Second

// running is a kernel under test.
type running struct {
	kernel.Connection
	lang *kerneltest.Language
	log  *logged
	stop context.CancelFunc
	done chan error // Run's result
}

// logged is what the kernel logged.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a kernel until the test's end.
func start(t *testing.T, commands map[string]kerneltest.Command, adjust ...func(*kernel.Config)) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	k := &running{lang: &kerneltest.Language{Commands: commands}, log: &logged{}, stop: cancel, done: make(chan error, 1)}
	ready := make(chan kernel.Connection, 1)
	cfg := kernel.Config{
		Connection: &kernel.Connection{Key: "secret"},
		Language:   k.lang,
		Version:    "1.2.3",
		Log:        slog.New(slog.NewTextHandler(k.log, nil)),
		Ready:      func(c kernel.Connection) { ready <- c },
	}
	for _, f := range adjust {
		f(&cfg)
	}
	ended := make(chan struct{})
	go func() {
		k.done <- kernel.Run(ctx, cfg)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("the kernel's log:\n%s", k.log)
		}
	})
	select {
	case k.Connection = <-ready:
	case err := <-k.done:
		t.Fatalf("Run: %v", err)
	}
	return k
}

// client connects a client for the time of the test.
func (k *running) client(t *testing.T) *kerneltest.Client {
	t.Helper()
	c, err := kerneltest.Dial(k.Connection, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// ended returns Run's result, which must come soon.
func (k *running) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-k.done:
		return err
	case <-time.After(deadline):
		t.Fatal("the kernel does not end")
		return nil
	}
}

// lines is a transcript of messages. Text of one stream may come in one
// message or in several; here it is one.
func lines(messages []kerneltest.Message) []string {
	var all []string
	var last *kerneltest.Message
	for _, m := range messages {
		if m.Type() == "stream" && last != nil && last.Type() == "stream" && last.Text("name") == m.Text("name") {
			last.Content["text"] = last.Text("text") + m.Text("text")
			all[len(all)-1] = last.String()
			continue
		}
		all = append(all, m.String())
		last = &m
	}
	return all
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantLines(t *testing.T, got []kerneltest.Message, want ...string) {
	t.Helper()
	if g := lines(got); !slices.Equal(g, want) {
		t.Errorf("published\n\t%s\nwant\n\t%s", strings.Join(g, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestCells plays cells one after the other, against what is published and
// what is replied.
func TestCells(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for _, cell := range []struct {
		code   string
		status string
		want   []string
	}{
		{"print a\nprint b", "ok", []string{"busy", `in[1] "print a\nprint b"`, `stdout "a\nb\n"`, "idle"}},
		{"value 42", "ok", []string{"busy", `in[2] "value 42"`, `out[2] "42"`, "idle"}},
		{"print before\nerror ValueError no good", "error", []string{"busy", `in[3] "print before\nerror ValueError no good"`, `stdout "before\n"`, "error ValueError: no good", "idle"}},
		{"nonsense", "error", []string{"busy", `in[4] "nonsense"`, "error NameError: no command nonsense", "idle"}},
		{"crash oh dear", "error", []string{"busy", `in[5] "crash oh dear"`, "error InternalError: execute_request: oh dear", "idle"}},
		{"show d1 first\nprint x\nupdate d1 second", "ok", []string{"busy", `in[6] "show d1 first\nprint x\nupdate d1 second"`, `display_data d1 "first"`, `stdout "x\n"`, `update_display_data d1 "second"`, "idle"}},
		{"warn <&>", "ok", []string{"busy", `in[7] "warn <&>"`, `stderr "<&>\n"`, "idle"}},
		{"clear", "ok", []string{"busy", `in[8] "clear"`, "clear_output", "idle"}},
		{"", "ok", []string{"busy", `in[9] ""`, "idle"}},
	} {
		reply, published, err := c.Run(cell.code)
		check(t, err)
		if reply.Text("status") != cell.status {
			t.Errorf("%q: status %q, want %q", cell.code, reply.Text("status"), cell.status)
		}
		wantLines(t, published, cell.want...)
		wantCount(t, reply, published)
	}
	if !strings.Contains(k.log.String(), "goroutine") {
		t.Error("the panic's stack is not in the log")
	}
}

// wantCount checks that a reply has the count that its input was shown with.
func wantCount(t *testing.T, reply kerneltest.Message, published []kerneltest.Message) {
	t.Helper()
	for _, m := range published {
		if m.Type() == "execute_input" && m.Content["execution_count"] != reply.Content["execution_count"] {
			t.Errorf("input has the count %v, the reply %v", m.Content["execution_count"], reply.Content["execution_count"])
		}
	}
}

// TestExecuteFlags has one row for each way that a request changes what is
// shown and counted.
func TestExecuteFlags(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for _, row := range []struct {
		name    string
		content map[string]any
		status  string
		count   float64
		want    []string
	}{
		{"plain", map[string]any{"code": "value 1"}, "ok", 1, []string{"busy", `in[1] "value 1"`, `out[1] "1"`, "idle"}},
		{"silent", map[string]any{"code": "print x\nvalue 1", "silent": true}, "ok", 1, []string{"busy", "idle"}},
		{"silent error", map[string]any{"code": "error E x", "silent": true}, "error", 1, []string{"busy", "idle"}},
		{"not stored", map[string]any{"code": "value 2", "store_history": false}, "ok", 1, []string{"busy", `in[1] "value 2"`, `out[1] "2"`, "idle"}},
		{"stored", map[string]any{"code": "value 3", "store_history": true}, "ok", 2, []string{"busy", `in[2] "value 3"`, `out[2] "3"`, "idle"}},
		{"silent wrong type", map[string]any{"code": 7, "silent": true}, "error", 2, []string{"busy", "idle"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			reply, published, err := c.Ask(c.Shell, "execute_request", row.content)
			check(t, err)
			wantLines(t, published, row.want...)
			if reply.Text("status") != row.status || reply.Content["execution_count"] != row.count {
				t.Errorf("reply %v, want status %s and count %v", reply.Content, row.status, row.count)
			}
		})
	}
}

// A request that cannot be read is a cell that fails, as a notebook shows it.
func TestUnreadableExecuteIsShown(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for _, content := range []any{map[string]any{"code": 7}, map[string]any{"code": "value 1", "user_expressions": []string{}}, []string{}} {
		reply, published, err := c.Ask(c.Shell, "execute_request", content)
		check(t, err)
		wantLines(t, published, "busy", fmt.Sprintf("error ProtocolError: %s", reply.Text("evalue")), "idle")
		if reply.Text("status") != "error" || reply.Content["execution_count"] != 0.0 {
			t.Errorf("%v is answered by %v", content, reply.Content)
		}
	}
}

func TestUserExpressions(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	reply, _, err := c.Ask(c.Shell, "execute_request", map[string]any{"code": "",
		"user_expressions": map[string]any{"good": "abc", "wrong": "bad", "panics": "crash"}})
	check(t, err)
	got, ok := reply.Content["user_expressions"].(map[string]any)
	if !ok || reply.Text("status") != "ok" {
		t.Fatalf("reply %v", reply.Content)
	}
	for name, want := range map[string]string{"good": "ok", "wrong": "error", "panics": "error"} {
		value, _ := got[name].(map[string]any)
		if value["status"] != want {
			t.Errorf("%s: %v, want status %s", name, value, want)
		}
	}
	good := got["good"].(map[string]any)["data"].(map[string]any)
	if good["text/plain"] != "ABC" {
		t.Errorf("good is %v, want ABC", good)
	}
}

// TestQuestions asks about code, with characters of one to four bytes before
// the cursor.
func TestQuestions(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for _, row := range []struct {
		name, msgType string
		content       map[string]any
		field         string
		want          any
	}{
		{"complete", "complete_request", map[string]any{"code": "pa", "cursor_pos": 2}, "matches", []any{"page", "panic"}},
		{"complete start", "complete_request", map[string]any{"code": "é 𝒳 pr z", "cursor_pos": 6}, "cursor_start", 4.0},
		{"complete end", "complete_request", map[string]any{"code": "é 𝒳 pr z", "cursor_pos": 6}, "cursor_end", 6.0},
		{"complete beyond", "complete_request", map[string]any{"code": "é 𝒳 pr", "cursor_pos": 99}, "cursor_end", 6.0},
		{"complete before", "complete_request", map[string]any{"code": "pr", "cursor_pos": -3}, "cursor_end", 0.0},
		{"complete none", "complete_request", map[string]any{"code": "zz", "cursor_pos": 2}, "matches", []any{}},
		{"inspect", "inspect_request", map[string]any{"code": "print", "cursor_pos": 2, "detail_level": 1}, "data", map[string]any{"text/plain": "print TEXT (detail 1)"}},
		{"inspect beyond", "inspect_request", map[string]any{"code": "é 😀 𝒳 print z", "cursor_pos": 11}, "data", map[string]any{"text/plain": "print TEXT (detail 0)"}},
		{"inspect after it", "inspect_request", map[string]any{"code": "é 😀 𝒳 print z", "cursor_pos": 12}, "found", false},
		{"inspect before it", "inspect_request", map[string]any{"code": "é 😀 𝒳 print z", "cursor_pos": 5}, "found", false},
		{"inspect none", "inspect_request", map[string]any{"code": "zz", "cursor_pos": 2}, "found", false},
		{"inspect empty data", "inspect_request", map[string]any{"code": "zz", "cursor_pos": 2}, "data", map[string]any{}},
		{"is_complete", "is_complete_request", map[string]any{"code": "x"}, "status", "complete"},
		{"is_complete more", "is_complete_request", map[string]any{"code": "x:"}, "indent", "    "},
		{"is_complete never", "is_complete_request", map[string]any{"code": "?"}, "status", "invalid"},
		{"comm_info", "comm_info_request", map[string]any{}, "comms", map[string]any{}},
		{"kernel_info", "kernel_info_request", map[string]any{}, "implementation", "evalnas"},
		{"kernel_info version", "kernel_info_request", map[string]any{}, "implementation_version", "1.2.3"},
		{"kernel_info links", "kernel_info_request", map[string]any{}, "help_links", []any{}},
		{"connect", "connect_request", map[string]any{}, "shell_port", float64(k.ShellPort)},
		{"wrong type", "complete_request", map[string]any{"code": 1}, "ename", "ProtocolError"},
	} {
		t.Run(row.name, func(t *testing.T) {
			reply, published, err := c.Ask(c.Shell, row.msgType, row.content)
			check(t, err)
			wantLines(t, published, "busy", "idle")
			if got := reply.Content[row.field]; !reflect.DeepEqual(got, row.want) {
				t.Errorf("%s is %#v, want %#v", row.field, got, row.want)
			}
		})
	}
}

// TestCompletionTypes checks what JupyterLab reads beside the matches: positions in code points,
// kinds and signatures.
func TestCompletionTypes(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	reply, _, err := c.Ask(c.Shell, "complete_request", map[string]any{"code": "é 😀 pa z", "cursor_pos": 6})
	check(t, err)
	match := func(text string) any {
		return map[string]any{"start": 4.0, "end": 6.0, "text": text, "type": "function", "signature": "(text)"}
	}
	want := map[string]any{"status": "ok", "matches": []any{"page", "panic"}, "cursor_start": 4.0, "cursor_end": 6.0,
		"metadata": map[string]any{"_jupyter_types_experimental": []any{match("page"), match("panic")}}}
	if !reflect.DeepEqual(reply.Content, want) {
		t.Errorf("reply %v\nwant  %v", reply.Content, want)
	}
}

// TestParentHeader checks that fields of a header which the kernel does not
// know come back.
func TestParentHeader(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	reply, published, err := c.Run("value 1")
	check(t, err)
	for _, m := range append(published, reply) {
		if !reflect.DeepEqual(m.Parent["unknown"], map[string]any{"kept": true}) {
			t.Errorf("%s has the parent header %v", m.Type(), m.Parent)
		}
		if !strings.HasPrefix(m.Topic, "kernel.") && m.Type() != "execute_reply" {
			t.Errorf("%s has the topic %q", m.Type(), m.Topic)
		}
	}
}

// TestAbort sends cells behind one that fails. Those are aborted, and one sent
// after the reply is not.
func TestAbort(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for _, code := range []string{"error ValueError x", "print one", "print two"} {
		_, err := c.Execute(code)
		check(t, err)
	}
	_, err := c.Send(c.Shell, "kernel_info_request", map[string]any{}) // not a cell: answered
	check(t, err)
	for _, want := range []string{"error", "aborted", "aborted", "ok"} {
		reply, err := c.Recv(c.Shell)
		check(t, err)
		if reply.Text("status") != want {
			t.Errorf("%s has status %q, want %q", reply.Type(), reply.Text("status"), want)
		}
		if want != "ok" && reply.Content["execution_count"] != 1.0 {
			t.Errorf("%s has the count %v, want 1", reply.Type(), reply.Content["execution_count"])
		}
	}
	id, err := c.Execute("print three")
	check(t, err)
	published, err := c.Until(id)
	check(t, err)
	wantLines(t, published, "busy", `in[1] "error ValueError x"`, "error ValueError: x", "idle",
		"busy", "idle", "busy", "idle", "busy", "idle", "busy", `in[2] "print three"`, `stdout "three\n"`, "idle")
}

func TestNoAbortWhenNotAskedFor(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	_, err := c.Send(c.Shell, "execute_request", map[string]any{"code": "error E x", "stop_on_error": false})
	check(t, err)
	_, err = c.Execute("value 1")
	check(t, err)
	for _, want := range []string{"error", "ok"} {
		reply, err := c.Recv(c.Shell)
		check(t, err)
		if reply.Text("status") != want {
			t.Errorf("status %q, want %q", reply.Text("status"), want)
		}
	}
}

// entered is a command that tells when the cell has come to it.
func entered() (chan struct{}, kerneltest.Command) {
	at := make(chan struct{}, 1)
	return at, func(context.Context, *kernel.Cell, string) (*kernel.Bundle, error) {
		at <- struct{}{}
		return nil, nil
	}
}

func TestInterrupt(t *testing.T) {
	at, here := entered()
	k := start(t, map[string]kerneltest.Command{"here": here})
	c := k.client(t)
	id, err := c.Execute("here\nblock")
	check(t, err)
	<-at
	began := time.Now()
	_, err = c.Send(c.Control, "interrupt_request", map[string]any{})
	check(t, err)
	answer, err := c.Recv(c.Control)
	check(t, err)
	if answer.Type() != "interrupt_reply" || answer.Text("status") != "ok" {
		t.Errorf("answer %s %v", answer.Type(), answer.Content)
	}
	reply, err := c.Recv(c.Shell)
	check(t, err)
	if took := time.Since(began); took > 100*time.Millisecond {
		t.Errorf("the cell ended %v after the interrupt, want at most 100 ms", took)
	}
	if reply.Text("ename") != "KeyboardInterrupt" {
		t.Errorf("reply %v, want KeyboardInterrupt", reply.Content)
	}
	_, err = c.Until(id)
	check(t, err)
	// The next cell is not hit by it.
	next, _, err := c.Run("value 1")
	check(t, err)
	if next.Text("status") != "ok" {
		t.Errorf("the next cell's reply is %v", next.Content)
	}
}

// TestInterruptDropsOutput interrupts a cell whose output waits for a client
// that does not read: the error comes before most of it, and a note instead.
func TestInterruptDropsOutput(t *testing.T) {
	const megabytes = 30 // within what the kernel's queue takes
	at, here := entered()
	k := start(t, map[string]kerneltest.Command{"here": here}, func(cfg *kernel.Config) {
		cfg.Limits = wire.Limits{Stall: deadline, Queue: 1 << 20}
	})
	c := k.client(t)
	id, err := c.Execute(fmt.Sprintf("megabytes %d\nhere\nblock", megabytes))
	check(t, err)
	<-at
	_, err = c.Send(c.Control, "interrupt_request", map[string]any{})
	check(t, err)
	published, err := c.Until(id)
	check(t, err)
	displays, note := 0, false
	for _, m := range published {
		switch m.Type() {
		case "display_data":
			displays++
		case "stream":
			note = note || strings.Contains(m.Text("text"), "outputs are missing here, whole or in part: the cell was interrupted")
		}
	}
	// The connection's buffers, which hold a few, are on their way.
	if displays > 2*megabytes/3 || !note {
		t.Errorf("%d of %d displays came before the error, note: %v", displays, megabytes, note)
	}
}

// TestControlWhileBusy asks for kernel_info on the control channel while a
// cell runs.
func TestControlWhileBusy(t *testing.T) {
	at, here := entered()
	k := start(t, map[string]kerneltest.Command{"here": here})
	c := k.client(t)
	_, err := c.Execute("here\nblock")
	check(t, err)
	<-at
	reply, published, err := c.Ask(c.Control, "kernel_info_request", map[string]any{})
	check(t, err)
	if reply.Type() != "kernel_info_reply" || reply.Text("protocol_version") != "5.5" {
		t.Errorf("reply %s %v", reply.Type(), reply.Content)
	}
	wantLines(t, published, "busy", `in[1] "here\nblock"`, "busy", "idle")
	check(t, k.shutdown(c))
	check(t, k.ended(t))
}

// shutdown asks for the end and reads the answer.
func (k *running) shutdown(c *kerneltest.Client) error {
	if _, err := c.Send(c.Control, "shutdown_request", map[string]any{"restart": true}); err != nil {
		return err
	}
	reply, err := c.Recv(c.Control)
	if err != nil {
		return err
	}
	if reply.Type() != "shutdown_reply" || reply.Content["restart"] != true {
		return fmt.Errorf("shutdown answered by %s %v", reply.Type(), reply.Content)
	}
	return nil
}

// endsInASecond shuts the kernel down.
func (k *running) endsInASecond(t *testing.T, c *kerneltest.Client) {
	t.Helper()
	began := time.Now()
	check(t, k.shutdown(c))
	check(t, k.ended(t))
	if took := time.Since(began); took > time.Second {
		t.Errorf("the end took %v, want less than 1 s", took)
	}
}

func TestShutdownOnShell(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	_, err := c.Send(c.Shell, "shutdown_request", map[string]any{"restart": false})
	check(t, err)
	reply, err := c.Recv(c.Shell)
	check(t, err)
	if reply.Type() != "shutdown_reply" || reply.Content["restart"] != false {
		t.Errorf("reply %s %v", reply.Type(), reply.Content)
	}
	check(t, k.ended(t))
	if !k.lang.Closed() {
		t.Error("the language was not closed")
	}
}

// TestShutdownLosesNothing floods IOPub and shuts down before anything of it
// is read.
func TestShutdownLosesNothing(t *testing.T) {
	const n = 2000
	shows := func(_ context.Context, cell *kernel.Cell, _ string) (*kernel.Bundle, error) {
		for i := range n {
			cell.Out.Display(kernel.TextBundle(strconv.Itoa(i)), "")
		}
		return nil, nil
	}
	k := start(t, map[string]kerneltest.Command{"shows": shows})
	c := k.client(t)
	_, err := c.Execute("shows")
	check(t, err)
	_, err = c.Recv(c.Shell)
	check(t, err)
	k.endsInASecond(t, c)
	var got int
	for {
		m, err := c.Published()
		check(t, err)
		if m.Type() == "display_data" {
			if want := fmt.Sprintf("display_data  %q", strconv.Itoa(got)); m.String() != want {
				t.Fatalf("got %s, want %s", m, want)
			}
			got++
		}
		if m.Type() == "shutdown_reply" {
			break
		}
	}
	if got != n {
		t.Errorf("%d displays came, want %d", got, n)
	}
}

// TestShutdownAmidUpdates has live displays that are updated without pause while the kernel ends,
// as those of jobs are: the end waits for what was said before, not for them.
func TestShutdownAmidUpdates(t *testing.T) {
	stop := make(chan struct{})
	var live sync.WaitGroup
	k := start(t, map[string]kerneltest.Command{"live": func(_ context.Context, cell *kernel.Cell, id string) (*kernel.Bundle, error) {
		cell.Out.Display(kernel.TextBundle("start"), id)
		live.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					cell.Out.UpdateDisplay(kernel.TextBundle(strconv.Itoa(n)), id)
				}
			}
		})
		return nil, nil
	}})
	defer live.Wait()
	defer close(stop)
	c := k.client(t)
	for i := range 3 {
		_, err := c.Execute(fmt.Sprintf("live d%d", i))
		check(t, err)
	}
	last, err := c.Execute("print the last words")
	check(t, err)
	for range 4 {
		_, err = c.Recv(c.Shell)
		check(t, err)
	}
	k.endsInASecond(t, c)
	published, err := c.Until(last)
	check(t, err)
	if !strings.Contains(strings.Join(lines(published), "\n"), `stdout "the last words\n"`) {
		t.Errorf("of %d messages none has the last words", len(published))
	}
}

// TestShutdownOfACellThatDoesNotEnd has a language that ignores the interrupt.
func TestShutdownOfACellThatDoesNotEnd(t *testing.T) {
	at := make(chan struct{})
	release := make(chan struct{})
	defer close(release)
	k := start(t, map[string]kerneltest.Command{"stuck": func(context.Context, *kernel.Cell, string) (*kernel.Bundle, error) {
		close(at)
		<-release
		return nil, nil
	}})
	c := k.client(t)
	_, err := c.Execute("stuck")
	check(t, err)
	<-at
	k.endsInASecond(t, c)
	if k.lang.Closed() {
		t.Error("the language was closed while a cell ran")
	}
}

func TestInput(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	id, err := c.Execute("print hello\nask name?")
	check(t, err)
	question, err := c.Recv(c.Stdin)
	check(t, err)
	if question.Type() != "input_request" || question.Text("prompt") != "name?" || question.ParentID() != id {
		t.Errorf("question %s %v, parent %s", question.Type(), question.Content, question.ParentID())
	}
	_, err = c.Send(c.Stdin, "input_reply", map[string]any{"value": "Ada"})
	check(t, err)
	published, err := c.Until(id)
	check(t, err)
	wantLines(t, published, "busy", `in[1] "print hello\nask name?"`, `stdout "hello\nAda\n"`, "idle")
}

func TestInputRefused(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	reply, _, err := c.Ask(c.Shell, "execute_request", map[string]any{"code": "ask name?", "allow_stdin": false})
	check(t, err)
	if reply.Text("status") != "error" || !strings.Contains(reply.Text("evalue"), "batch") {
		t.Errorf("reply %v", reply.Content)
	}
}

// TestInputInterrupted leaves a question open; its late answer must not be
// taken for that of the next one.
func TestInputInterrupted(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	id, err := c.Execute("ask first?")
	check(t, err)
	_, err = c.Recv(c.Stdin)
	check(t, err)
	_, err = c.Send(c.Control, "interrupt_request", map[string]any{})
	check(t, err)
	published, err := c.Until(id)
	check(t, err)
	if !strings.Contains(strings.Join(lines(published), "\n"), "error KeyboardInterrupt") {
		t.Errorf("published %v", lines(published))
	}
	_, err = c.Send(c.Stdin, "input_reply", map[string]any{"value": "late"})
	check(t, err)
	// The stdin socket is read in order: once this second, unsound message is
	// in the log, the late answer was dealt with.
	check(t, c.Stdin.Send([][]byte{[]byte("marker")}))
	waitFor(t, func() bool { return strings.Contains(k.log.String(), "no delimiter") })
	id, err = c.Execute("ask second?")
	check(t, err)
	_, err = c.Recv(c.Stdin)
	check(t, err)
	_, err = c.Send(c.Stdin, "input_reply", map[string]any{"value": "in time"})
	check(t, err)
	published, err = c.Until(id)
	check(t, err)
	wantLines(t, published[len(published)-2:], `stdout "in time\n"`, "idle")
}

// waitFor polls until a condition holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the condition does not come to hold")
		}
	}
}

func TestPage(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	reply, _, err := c.Run("page long help")
	check(t, err)
	want := []any{map[string]any{"source": "page", "start": 0.0, "data": map[string]any{"text/plain": "long help"}}}
	if !reflect.DeepEqual(reply.Content["payload"], want) {
		t.Errorf("payload %v, want %v", reply.Content["payload"], want)
	}
}

// TestUnknownComm has messages of comms, of which there are none: an opened one is closed, what is
// for others is logged, and no front end waits for an idle.
func TestUnknownComm(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	type object = map[string]any
	for _, row := range []struct {
		msgType string
		content any
		want    []string
		log     string
	}{
		{"comm_open", object{"comm_id": "c1", "target_name": "nobody", "data": object{}}, []string{"busy", "comm_close", "idle"}, ""},
		{"comm_msg", object{"comm_id": "c1", "data": object{"method": "update"}}, []string{"busy", "idle"}, "type=comm_msg"},
		{"comm_msg", object{"comm_id": "c2", "data": object{}}, []string{"busy", "idle"}, "type=comm_msg"},
		{"comm_close", object{"comm_id": "c1", "data": object{}}, []string{"busy", "idle"}, "type=comm_close"},
		{"comm_open", object{"comm_id": 7}, []string{"busy", "idle"}, "comm_open ignored"},
		{"comm_open", []any{}, []string{"busy", "idle"}, "comm_open ignored"},
		{"comm_msg", nil, []string{"busy", "idle"}, "type=comm_msg"},
	} {
		id, err := c.Send(c.Shell, row.msgType, row.content)
		check(t, err)
		published, err := c.Until(id)
		check(t, err)
		wantLines(t, published, row.want...)
		if len(published) == 3 && (published[1].Text("comm_id") != "c1" || published[1].ParentID() != id) {
			t.Errorf("comm_close %v", published[1])
		}
		if !strings.Contains(k.log.String(), row.log) {
			t.Errorf("%s: the log has no %q", row.msgType, row.log)
		}
	}
	reply, _, err := c.Ask(c.Shell, "comm_info_request", object{"target_name": "nobody"})
	check(t, err)
	if !reflect.DeepEqual(reply.Content["comms"], object{}) {
		t.Errorf("comms %v, want none", reply.Content["comms"])
	}
}

func TestHistory(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for _, code := range []string{"value a", "print b", "value a", "value [x]"} {
		_, _, err := c.Run(code)
		check(t, err)
	}
	type object = map[string]any
	line := func(n float64, input string) any { return []any{1.0, n, input} }
	for _, row := range []struct {
		name    string
		content object
		want    []any
	}{
		{"tail", object{"hist_access_type": "tail", "n": 2}, []any{line(3, "value a"), line(4, "value [x]")}},
		{"tail output", object{"hist_access_type": "tail", "n": 1, "output": true}, []any{[]any{1.0, 4.0, []any{"value [x]", "[x]"}}}},
		{"range", object{"hist_access_type": "range", "session": 0, "start": 2, "stop": 4}, []any{line(2, "print b"), line(3, "value a")}},
		{"range of another session", object{"hist_access_type": "range", "session": -1, "start": 0}, []any{}},
		{"search", object{"hist_access_type": "search", "pattern": "value ?"}, []any{line(1, "value a"), line(3, "value a")}},
		{"search unique", object{"hist_access_type": "search", "pattern": "value*", "unique": true, "n": 5}, []any{line(3, "value a"), line(4, "value [x]")}},
		{"search one", object{"hist_access_type": "search", "pattern": "*", "n": 1}, []any{line(4, "value [x]")}},
		{"search none", object{"hist_access_type": "search", "pattern": "zz"}, []any{}},
		{"unknown access", object{"hist_access_type": "sideways"}, []any{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			reply, _, err := c.Ask(c.Shell, "history_request", row.content)
			check(t, err)
			if got := reply.Content["history"]; !reflect.DeepEqual(got, row.want) {
				t.Errorf("history %v, want %v", got, row.want)
			}
		})
	}
}

// TestUpdatesUnderTheRunningCell updates two displays from goroutines, while
// another cell runs and when none does.
func TestUpdatesUnderTheRunningCell(t *testing.T) {
	outs := make(chan kernel.Output, 2)
	at, here := entered()
	k := start(t, map[string]kerneltest.Command{
		"keep": func(_ context.Context, cell *kernel.Cell, _ string) (*kernel.Bundle, error) {
			outs <- cell.Out
			return nil, nil
		},
		"here": here,
	})
	c := k.client(t)
	var first [2]string
	for i := range first {
		id, err := c.Execute(fmt.Sprintf("show d%d start\nkeep", i))
		check(t, err)
		_, err = c.Until(id)
		check(t, err)
		first[i] = id
	}
	kept := []kernel.Output{<-outs, <-outs}

	blocked, err := c.Execute("here\nblock")
	check(t, err)
	<-at
	var updates sync.WaitGroup
	for i, out := range kept {
		updates.Go(func() {
			for n := range 100 {
				out.UpdateDisplay(kernel.TextBundle(strconv.Itoa(n)), fmt.Sprintf("d%d", i))
			}
		})
	}
	updates.Wait()
	_, err = c.Send(c.Control, "interrupt_request", map[string]any{})
	check(t, err)
	published, err := c.Until(blocked)
	check(t, err)
	final := map[string]string{}
	for _, m := range published {
		if m.Type() == "update_display_data" {
			if m.ParentID() != blocked {
				t.Errorf("update under %s, want the running cell %s", m.ParentID(), blocked)
			}
			id, _ := m.Content["transient"].(map[string]any)["display_id"].(string)
			final[id] = m.String()
		}
	}
	for _, id := range []string{"d0", "d1"} {
		if want := fmt.Sprintf(`update_display_data %s "99"`, id); final[id] != want {
			t.Errorf("last state of %s is %q, want %q", id, final[id], want)
		}
	}

	for i, out := range kept {
		out.UpdateDisplay(kernel.TextBundle("alone"), fmt.Sprintf("d%d", i))
		m, err := c.Published()
		check(t, err)
		for m.Type() == "status" { // the interrupt's own
			m, err = c.Published()
			check(t, err)
		}
		if m.ParentID() != first[i] {
			t.Errorf("update with no cell running is under %s, want %s", m.ParentID(), first[i])
		}
	}
}

func TestUnencodableOutput(t *testing.T) {
	k := start(t, map[string]kerneltest.Command{
		"nan": func(_ context.Context, cell *kernel.Cell, _ string) (*kernel.Bundle, error) {
			b := &kernel.Bundle{Data: map[string]any{"text/plain": "x", "application/json": math.NaN()}}
			cell.Out.Display(b, "")
			return b, nil
		},
	})
	c := k.client(t)
	reply, published, err := c.Run("nan")
	check(t, err)
	if reply.Text("status") != "error" || !strings.Contains(reply.Text("evalue"), "could not be shown") {
		t.Errorf("reply %v", reply.Content)
	}
	if all := strings.Join(lines(published), "\n"); !strings.Contains(all, "an output could not be shown (display_data)") {
		t.Errorf("published\n%s", all)
	}
}

// TestSameIdentity has two clients with one session: each gets its own
// replies.
func TestSameIdentity(t *testing.T) {
	k := start(t, nil)
	var clients [2]*kerneltest.Client
	for i := range clients {
		c, err := kerneltest.Dial(k.Connection, "shared")
		check(t, err)
		defer c.Close()
		clients[i] = c
	}
	for i, c := range clients {
		_, err := c.Send(c.Shell, "is_complete_request", map[string]any{"code": []string{"x", "x:"}[i]})
		check(t, err)
	}
	for i, c := range clients {
		reply, err := c.Recv(c.Shell)
		check(t, err)
		if want := []string{"complete", "incomplete"}[i]; reply.Text("status") != want {
			t.Errorf("client %d got %q, want %q", i, reply.Text("status"), want)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	for _, beat := range [][][]byte{{{}, []byte("ping")}, {{}, {}}, {[]byte("no delimiter")}} {
		check(t, c.HB.Send(beat))
		check(t, c.HB.SetReadDeadline(time.Now().Add(deadline)))
		echo, err := c.HB.Recv()
		check(t, err)
		if !reflect.DeepEqual(echo, beat) {
			t.Errorf("echo %q, want %q", echo, beat)
		}
	}
}

// TestBindFailure has connections that cannot be had. The error names the field, by which whoever
// wrote them knows what to change.
func TestBindFailure(t *testing.T) {
	k := start(t, nil)
	type connection = kernel.Connection
	folder := filepath.ToSlash(t.TempDir())
	ipc := connection{Transport: "ipc", IP: folder + "/none/k", ShellPort: 1, ControlPort: 2, IOPubPort: 3, StdinPort: 4, HBPort: 5}
	inTheWay := ipc
	inTheWay.IP = folder + "/k"
	check(t, os.WriteFile(inTheWay.IP+"-4", nil, 0o600))
	for _, row := range []struct {
		name  string
		given connection
		want  string
	}{
		{"shell", connection{ShellPort: k.ShellPort}, fmt.Sprintf("shell_port is %d", k.ShellPort)},
		{"control", connection{ControlPort: k.ShellPort}, fmt.Sprintf("control_port is %d", k.ShellPort)},
		{"iopub", connection{IOPubPort: k.ShellPort}, fmt.Sprintf("iopub_port is %d", k.ShellPort)},
		{"stdin", connection{StdinPort: k.ShellPort}, fmt.Sprintf("stdin_port is %d", k.ShellPort)},
		{"heartbeat", connection{HBPort: k.ShellPort}, fmt.Sprintf("hb_port is %d", k.ShellPort)},
		{"no host", connection{IP: "no host"}, `ip is "no host"`},
		{"unknown host", connection{IP: "nobody.invalid", HBPort: k.ShellPort}, `ip is "nobody.invalid"`},
		{"another machine's", connection{IP: "192.0.2.1", HBPort: k.ShellPort}, `ip is "192.0.2.1"`}, // RFC 5737
		{"missing folder", ipc, fmt.Sprintf("ip is %q", ipc.IP)},
		{"a file in the way", inTheWay, "stdin_port is 4"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.given.Transport == "ipc" && runtime.GOOS == "windows" {
				t.Skip("ipc is not used on Windows")
			}
			err := kernel.Run(context.Background(), kernel.Config{Connection: &row.given, Language: &kerneltest.Language{}})
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, row.want)
			}
		})
	}
}

// overIPC is a connection of sockets in a folder of the test's.
func overIPC(t *testing.T) kernel.Connection {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("ipc is not used on Windows")
	}
	return kernel.Connection{Transport: "ipc", IP: filepath.Join(t.TempDir(), "k"), Key: "key",
		ShellPort: 1, ControlPort: 2, IOPubPort: 3, StdinPort: 4, HBPort: 5}
}

func TestIPC(t *testing.T) {
	c := overIPC(t)
	// The file of a kernel that was killed.
	stale, err := net.Listen("unix", c.IP+"-1")
	check(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	check(t, stale.Close())
	k := start(t, nil, func(cfg *kernel.Config) { cfg.Connection = &c })
	reply, _, err := k.client(t).Run("value 1")
	check(t, err)
	if reply.Text("status") != "ok" {
		t.Errorf("reply %v", reply.Content)
	}
}

func TestUnsignedConnection(t *testing.T) {
	k := start(t, nil, func(cfg *kernel.Config) { cfg.Connection = &kernel.Connection{} })
	reply, _, err := k.client(t).Run("value 1")
	check(t, err)
	if reply.Text("status") != "ok" {
		t.Errorf("reply %v", reply.Content)
	}
}

// notShort skips a test that takes long under the race detector, which sees nothing in it
// that others do not show.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("megabytes of output and of history are not at hand in short tests")
	}
}
