package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestUpdatesTakeTurns has a hundred displays change ten times a second, for
// ten seconds of a clock of its own.
func TestUpdatesTakeTurns(t *testing.T) {
	const displays, seconds = 100, 10
	began := time.Unix(0, 0)
	var u updates
	last, counts := map[string]time.Time{}, map[string]int{}
	total := 0
	for tick := range seconds * 100 {
		now := began.Add(time.Duration(tick) * 10 * time.Millisecond)
		if tick%10 == 0 {
			for i := range displays {
				u.waiting.put(update(parentA, fmt.Sprint(i), fmt.Sprint(tick)))
			}
		}
		for {
			p, later := u.ready(now)
			if p == nil {
				if len(u.waiting.list) > 0 && (later <= 0 || later > updateGap) {
					t.Fatalf("%d displays wait, the next for %v", len(u.waiting.list), later)
				}
				break
			}
			if gap := now.Sub(last[p.displayID]); counts[p.displayID] > 0 && gap < updateGap {
				t.Fatalf("two updates of a display are %v apart", gap)
			}
			last[p.displayID] = now
			counts[p.displayID]++
			total++
			u.sent(now, p, true)
		}
	}
	if most := seconds*int(time.Second/updatesGap) + 1; total > most || total < most*8/10 {
		t.Errorf("%d updates in %d s, want at most %d and not many fewer", total, seconds, most)
	}
	for id, n := range counts {
		if mean := total / displays; n < mean-1 || n > mean+1 {
			t.Errorf("display %s had %d turns, the mean is %d", id, n, mean)
		}
	}
	if len(counts) != displays || len(u.waiting.list) == 0 || u.bytesWrong() {
		t.Errorf("%d displays had a turn, %d wait, with %d bytes", len(counts), len(u.waiting.list), u.waiting.bytes)
	}
}

// bytesWrong says that the count of what waits is off.
func (u *updates) bytesWrong() bool {
	sum := 0
	for _, p := range u.waiting.list {
		sum += p.size()
	}
	return sum != u.waiting.bytes
}

// TestUpdatesShareTheBytes: large updates come more rarely.
func TestUpdatesShareTheBytes(t *testing.T) {
	var u updates
	now := time.Unix(0, 0)
	for _, id := range []string{"a", "b"} {
		u.waiting.put(update(parentA, id, strings.Repeat("x", 2*updateRate)))
	}
	p, _ := u.ready(now)
	u.sent(now, p, true)
	if _, later := u.ready(now); later < 2*time.Second || later > 3*time.Second {
		t.Errorf("after one of 2 s' worth the next waits %v", later)
	}
}

// TestUpdatesOfOneCell come in a quick loop. Few are sent, the last of each
// display is, and all before the cell's idle.
func TestUpdatesOfOneCell(t *testing.T) {
	q := newHeld(t)
	q.open()
	q.begin(parentA, false)
	began := time.Now()
	for n := range 50 {
		for i := range 4 {
			q.putUpdate(context.Background(), update(parentB, fmt.Sprint("d", i), fmt.Sprint(n)))
		}
	}
	most := 4 * (2 + int(time.Since(began)/updateGap))
	q.end(parentA)
	got := q.sent()
	if got[len(got)-1] != "status idle" || len(got)-1 > most {
		t.Errorf("%d updates were sent, at most %d are to be, and idle last", len(got)-1, most)
	}
	for i := range 4 {
		prefix := fmt.Sprintf("update_display_data d%d ", i)
		own := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.HasPrefix(s, prefix) })
		if len(own) == 0 || own[len(own)-1] != prefix+"49" {
			t.Errorf("of d%d was sent %q, want its last state last", i, own)
		}
	}
}

// TestMissedUpdates: what went out while no cell ran goes out again in the
// next cell, unless something newer did.
func TestMissedUpdates(t *testing.T) {
	q := newHeld(t)
	for _, id := range []string{"again", "newer", "shown"} {
		q.putUpdate(context.Background(), update(parentA, id, "1"))
		q.releaseNow(t)
	}
	q.begin(parentB, false)
	q.putUpdate(context.Background(), update(parentA, "newer", "2"))
	q.put(context.Background(), display(parentB, "display_data", "shown", "2"))
	q.end(parentB)
	q.begin(parentB, false)
	q.end(parentB)
	got := q.sent()
	at := slices.Index(got, "status idle")
	if at < 0 || !slices.Equal(got[at:], []string{"status idle", "status idle"}) {
		t.Fatalf("sent %q, want only idle after the first idle", got)
	}
	for id, last := range map[string]string{"again": "update_display_data again 1", "newer": "update_display_data newer 2", "shown": "display_data shown 2"} {
		own := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.Contains(s, " "+id+" ") })
		if own[0] != "update_display_data "+id+" 1" || own[len(own)-1] != last {
			t.Errorf("of %q was sent %q, want its last state last", id, own)
		}
	}
	again := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s != "update_display_data again 1" })
	if len(again) != 2 {
		t.Errorf("what was missed was sent %d times, want twice", len(again))
	}
}

// releaseNow queues what waits, as time would.
func (q *held) releaseNow(t *testing.T) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.releaseAll()
}

// TestMissedUpdatesAreBounded in number and in size.
func TestMissedUpdatesAreBounded(t *testing.T) {
	for _, large := range []int{1, laneBytes / 4} {
		q := newHeld(t)
		q.open()
		for i := range 2 * laneDisplays {
			q.putUpdate(context.Background(), update(parentA, fmt.Sprint(i), strings.Repeat("x", large)))
			if large > 1 && i == 6 {
				break
			}
		}
		q.releaseNow(t)
		q.mu.Lock()
		missed := &q.updates.missed
		if len(missed.list) == 0 || len(missed.list) > laneDisplays || missed.bytes > laneBytes {
			t.Errorf("%d displays are kept, of %d bytes", len(missed.list), missed.bytes)
		}
		if newest := missed.list[len(missed.list)-1].displayID; large == 1 && newest != fmt.Sprint(2*laneDisplays-1) {
			t.Errorf("the newest kept is %s", newest)
		}
		q.mu.Unlock()
		q.sent()
	}
}

// exhausted has sent as much as servers let through, and holds a stream.
func exhausted(t *testing.T) *held {
	t.Helper()
	q := newHeld(t)
	q.begin(parentA, true)
	q.mu.Lock()
	q.pace.note(time.Now(), paceBytes)
	q.mu.Unlock()
	q.open()
	q.put(context.Background(), stream(parentA, "stdout", "held"))
	for { // the stream's gap
		q.mu.Lock()
		held := q.paceWait(time.Now()) > 0 && q.queue[0].encoded != nil
		q.mu.Unlock()
		if held {
			return q
		}
		time.Sleep(time.Millisecond)
	}
}

// sentSoon waits until n messages are sent after the first.
func (q *held) sentSoon(t *testing.T, n int) []string {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		q.r.mu.Lock()
		got := slices.Clone(q.r.sent[min(1, len(q.r.sent)):])
		q.r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(limit) {
			t.Fatalf("sent %q, want %d messages", got, n)
		}
	}
}

// TestUpdatesOvertakeHeldStreams: a display stays live while what was printed
// waits for the limits of servers, and never goes back to an older state.
func TestUpdatesOvertakeHeldStreams(t *testing.T) {
	q := exhausted(t)
	q.put(context.Background(), update(parentA, "d", "1")) // as a flush does
	q.putUpdate(context.Background(), update(parentB, "d", "2"))
	if got := q.sentSoon(t, 1); !slices.Equal(got, []string{"update_display_data d 2"}) {
		t.Errorf("sent %q, want the newest update alone", got)
	}
	q.put(context.Background(), display(parentA, "display_data", "e", "1"))
	q.putUpdate(context.Background(), update(parentB, "e", "2"))
	want := []string{"update_display_data d 2", "stream stdout held", "display_data e 1", "update_display_data e 2"}
	if got := q.sent(); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// TestPacing: what a server counts waits, its idle makes room, and the end of
// the kernel waits for nothing.
func TestPacing(t *testing.T) {
	for name, free := range map[string]func(*held){
		"idle": func(q *held) {
			q.mu.Lock()
			q.account(&publication{msgType: "status", content: json.RawMessage(idleContent)}, 100)
			q.signal()
			q.mu.Unlock()
		},
		"end of the kernel": func(q *held) { q.rush() },
		"a batch client":    func(q *held) { q.begin(parentA, false) },
	} {
		t.Run(name, func(t *testing.T) {
			q := exhausted(t)
			q.put(context.Background(), display(parentA, "display_data", "d", "behind"))
			if n := q.waiting(); n != 2 {
				t.Fatalf("%d messages wait, want the held stream and what is behind it", n)
			}
			began := time.Now()
			free(q)
			q.sentSoon(t, 2)
			if took := time.Since(began); took > paceWindow/2 {
				t.Errorf("it took %v", took)
			}
			q.sent()
		})
	}
}

// TestInterruptedFlush: a cell that waits only for its output to leave can be
// interrupted.
func TestInterruptedFlush(t *testing.T) {
	q := exhausted(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	began := time.Now()
	if err := q.flush(ctx); err == nil || time.Since(began) > paceWindow/2 {
		t.Errorf("a flush that is interrupted ends after %v with %v", time.Since(began), err)
	}
	q.sent()
}
