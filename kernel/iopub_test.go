package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is the far end of an iopub; while its gate is closed it takes one
// message and no more.
type recorder struct {
	mu   sync.Mutex
	gate sync.Mutex
	sent []string
}

func (r *recorder) send(frames [][]byte) error {
	r.gate.Lock()
	defer r.gate.Unlock()
	m, err := parseMessage(append([][]byte{{}}, frames[1:]...), signer{})
	if err != nil {
		return err
	}
	var content struct {
		Text      string            `json:"text"`
		Name      string            `json:"name"`
		State     string            `json:"execution_state"`
		Data      map[string]string `json:"data"`
		Transient map[string]string `json:"transient"`
	}
	if err := json.Unmarshal(m.content, &content); err != nil {
		return err
	}
	words := []string{m.header.MsgType, content.Name, content.State, content.Transient["display_id"], content.Data["text/plain"], content.Text}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " "))
	return nil
}

// held is an iopub whose first message is held up at the far end, so that what
// a test puts next waits in the queue.
type held struct {
	*iopub
	r    *recorder
	open func() // lets everything out
	done chan struct{}
}

func newHeld(t *testing.T) *held {
	t.Helper()
	s, err := newSession("")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	q := &held{iopub: newIOPub(s, slog.New(slog.DiscardHandler), r.send), r: r, done: make(chan struct{})}
	r.gate.Lock()
	q.open = sync.OnceFunc(r.gate.Unlock)
	go func() {
		q.run()
		close(q.done)
	}()
	q.state("status", nil, object{"execution_state": "starting"})
	for q.waiting() > 0 {
		runtime.Gosched()
	}
	return q
}

func (q *held) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue)
}

// sent lets everything out, ends the iopub and returns what was sent after the
// first message.
func (q *held) sent() []string {
	q.open()
	q.close()
	<-q.done
	return q.r.sent[1:]
}

var (
	parentA = json.RawMessage(`{"msg_id":"a"}`)
	parentB = json.RawMessage(`{"msg_id":"b"}`)
)

func stream(parent json.RawMessage, name, text string) *publication {
	return &publication{msgType: "stream", parent: parent, stream: name, text: []byte(text)}
}

func display(parent json.RawMessage, msgType, id, text string) *publication {
	body, err := encodeJSON(object{"data": object{"text/plain": text}, "transient": object{"display_id": id}})
	if err != nil {
		panic(err) // strings encode
	}
	return &publication{msgType: msgType, parent: parent, content: body, displayID: id}
}

func update(parent json.RawMessage, id, text string) *publication {
	return display(parent, "update_display_data", id, text)
}

// TestJoining has what waits in the queue, and what a client gets of it.
func TestJoining(t *testing.T) {
	idle := &publication{msgType: "status", parent: parentA, content: json.RawMessage(`{"execution_state":"idle"}`), vital: true}
	for _, row := range []struct {
		name string
		put  []*publication
		want []string
	}{
		{"streams join", []*publication{stream(parentA, "stdout", "a"), stream(parentA, "stdout", "b")}, []string{"stream stdout ab"}},
		{"not across names", []*publication{stream(parentA, "stdout", "a"), stream(parentA, "stderr", "b"), stream(parentA, "stdout", "c")},
			[]string{"stream stdout a", "stream stderr b", "stream stdout c"}},
		{"not across parents", []*publication{stream(parentA, "stdout", "a"), stream(parentB, "stdout", "b")}, []string{"stream stdout a", "stream stdout b"}},
		{"not across displays", []*publication{stream(parentA, "stdout", "a"), display(parentA, "display_data", "d", "1"), stream(parentA, "stdout", "b")},
			[]string{"stream stdout a", "display_data d 1", "stream stdout b"}},
		{"updates replace", []*publication{update(parentA, "d", "1"), update(parentA, "e", "1"), stream(parentA, "stdout", "a"), update(parentA, "d", "2")},
			[]string{"update_display_data e 1", "stream stdout a", "update_display_data d 2"}},
		{"not before their display", []*publication{update(parentA, "d", "1"), display(parentA, "display_data", "d", "2"), update(parentA, "d", "3")},
			[]string{"update_display_data d 1", "display_data d 2", "update_display_data d 3"}},
		{"not across idle", []*publication{update(parentA, "d", "1"), idle, update(parentA, "d", "2")},
			[]string{"update_display_data d 1", "status idle", "update_display_data d 2"}},
		{"updates of other parents stay", []*publication{update(parentA, "d", "1"), update(parentB, "d", "2")},
			[]string{"update_display_data d 1", "update_display_data d 2"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			q := newHeld(t)
			for _, p := range row.put {
				q.put(context.Background(), p)
			}
			if got := q.sent(); !slices.Equal(got, row.want) {
				t.Errorf("sent %q, want %q", got, row.want)
			}
		})
	}
}

// TestBound fills the queue. An output whose cell is interrupted gives up and
// is reported, the protocol's own messages go in, and the count of bytes comes
// back to none.
func TestBound(t *testing.T) {
	q := newHeld(t)
	for i := range queueMessages {
		q.put(context.Background(), display(parentA, "display_data", fmt.Sprint(i), "x"))
	}
	interrupted, cancel := context.WithCancel(context.Background())
	cancel()
	q.put(interrupted, display(parentA, "display_data", "lost", "x"))
	q.end(parentA)
	got := q.sent()
	if len(got) != queueMessages+2 {
		t.Errorf("%d messages were sent, want %d", len(got), queueMessages+2)
	}
	if report := got[len(got)-1]; !strings.Contains(report, "stderr [1 outputs are missing") {
		t.Errorf("the last message is %q, want a report of what is lost", report)
	}
	if slices.Contains(got, "display_data lost x") || !slices.Contains(got, "status idle") {
		t.Error("the lost output was sent, or idle was not")
	}
	if q.bytes != 0 {
		t.Errorf("an empty queue counts %d bytes", q.bytes)
	}
}

// TestFullQueueWaits checks that a producer goes on when there is room.
func TestFullQueueWaits(t *testing.T) {
	q := newHeld(t)
	q.put(context.Background(), display(parentA, "display_data", "big", strings.Repeat("x", queueBytes)))
	through := make(chan struct{})
	go func() {
		q.put(context.Background(), display(parentA, "display_data", "next", "y"))
		close(through)
	}()
	select {
	case <-through:
		t.Error("an output went into a full queue")
	case <-time.After(20 * time.Millisecond): // a wait that must not end, not one for something
	}
	if n := q.waiting(); n != 1 {
		t.Errorf("%d messages wait, want 1", n)
	}
	q.open()
	<-through
	if got := q.sent(); len(got) != 2 || got[1] != "display_data next y" {
		t.Errorf("%d messages were sent, want 2 with the waiting one last", len(got))
	}
}

// TestDrop has what waits at an interrupt, and what a client gets of it: all
// if it is little, else the end of it, after a note.
func TestDrop(t *testing.T) {
	const note = "stream stderr [%d outputs are missing here, whole or in part: the cell was interrupted before they were sent]\n"
	long := strings.Repeat("some line\n", interruptKeeps/5) // twice what is kept
	endOfLong := long[:interruptKeeps-interruptKeeps%10]
	for _, row := range []struct {
		name string
		put  []*publication
		want []string
	}{
		{"little", []*publication{stream(parentA, "stdout", "a"), display(parentA, "display_data", "", "1")}, []string{"stream stdout a", "display_data 1"}},
		{"much text", []*publication{stream(parentA, "stdout", long)}, []string{fmt.Sprintf(note, 1), "stream stdout " + endOfLong}},
		{"a line without end", []*publication{stream(parentA, "stdout", strings.Repeat("x", 2*interruptKeeps))}, []string{fmt.Sprintf(note, 1)}},
		{"a large picture before", []*publication{display(parentA, "display_data", "", long), stream(parentA, "stdout", "a")}, []string{fmt.Sprintf(note, 1), "stream stdout a"}},
		{"what will be updated", []*publication{display(parentA, "display_data", "d", "1"), stream(parentA, "stdout", long), stream(parentA, "stderr", long), update(parentA, "d", "2")},
			[]string{"display_data d 1", fmt.Sprintf(note, 2), "stream stderr " + endOfLong, "update_display_data d 2"}},
		{"other cells", []*publication{stream(parentB, "stdout", long), stream(parentA, "stdout", strings.Repeat("y", len(long))), stream(parentB, "stdout", "b")},
			[]string{"stream stdout " + long, fmt.Sprintf(note, 1), "stream stdout b"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			q := newHeld(t)
			for _, p := range row.put {
				q.put(context.Background(), p)
			}
			q.hasten(parentA)
			q.end(parentA)
			row.want = append(row.want, "status idle")
			if got := q.sent(); !slices.Equal(got, row.want) {
				t.Errorf("sent %.300q, want %.300q", got, row.want)
			}
			if q.bytes != 0 {
				t.Errorf("an empty queue counts %d bytes", q.bytes)
			}
		})
	}
}

// TestUpdateParent checks under which cell an update goes out.
func TestUpdateParent(t *testing.T) {
	q := newHeld(t)
	q.begin(parentB, false)
	during := update(parentA, "d", "1")
	q.putUpdate(context.Background(), during)
	q.end(parentB)
	after := update(parentA, "d", "2")
	q.putUpdate(context.Background(), after)
	if string(during.parent) != string(parentB) || string(after.parent) != string(parentA) {
		t.Errorf("parents %s and %s, want %s and %s", during.parent, after.parent, parentB, parentA)
	}
	want := []string{"update_display_data d 1", "status idle", "update_display_data d 2"}
	if got := q.sent(); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}
