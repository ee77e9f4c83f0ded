package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// limiter is Jupyter Server's own account, _limit_rate of jupyter_server's
// services/kernels/connection/channels.py, with its defaults.
type limiter struct {
	queue           []paceMark // at: when the entry ends
	count, bytes    int
	tooMany, tooBig bool
}

// takes says whether a message gets through to the front end.
func (l *limiter) takes(now time.Time, msgType string, idle bool, size int) bool {
	if idle {
		*l = limiter{}
	}
	if uncounted[msgType] {
		return true
	}
	for len(l.queue) > 0 && !now.Before(l.queue[0].at) {
		l.bytes -= l.queue[0].bytes
		l.count--
		l.queue = l.queue[1:]
	}
	if msgType != "stream" {
		size = 0
	}
	const window = 3.0
	l.count++
	l.bytes += size
	l.queue = append(l.queue, paceMark{now.Add(window * time.Second), size})
	judge := func(exceeded *bool, rate, limit float64) {
		if rate > limit {
			*exceeded = true
		} else if *exceeded && rate < 0.8*limit {
			*exceeded = false
		}
	}
	judge(&l.tooMany, float64(l.count)/window, 1000)
	judge(&l.tooBig, float64(l.bytes)/window, 1e6)
	if !l.tooMany && !l.tooBig {
		return true
	}
	l.count--
	l.bytes -= size
	l.queue = l.queue[:len(l.queue)-1]
	return false
}

// TestPaceAgainstTheServer sends random schedules as fast as the pace lets
// them out. A server that may be busy for up to a second drops nothing, and
// the whole does not take longer than it must.
func TestPaceAgainstTheServer(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 10))
			var p pace
			var server limiter
			began := time.Unix(0, 0)
			now, seen := began, began // by the kernel's clock; when the server took the last one
			// Some schedules are of many small messages, others of few large ones.
			largest := 1 << (4 + r.IntN(18))
			for range 10_000 {
				msgType, size := "stream", 1+r.IntN(largest)
				switch r.IntN(20) {
				case 0:
					msgType = "display_data"
				case 1:
					msgType = "execute_input"
				}
				idle := r.IntN(4000) == 0
				if idle {
					msgType = "status"
				}
				if r.IntN(500) == 0 {
					now = now.Add(time.Duration(r.Int64N(int64(3 * time.Second))))
				}
				counted := 0
				if msgType == "stream" {
					counted = size
				}
				if !uncounted[msgType] {
					wait := p.wait(now, counted)
					now = now.Add(wait)
					p.note(now, counted)
				}
				if idle {
					p.reset()
				}
				late := now.Add(time.Duration(r.Int64N(int64(time.Second))))
				if late.After(seen) {
					seen = late
				}
				if !server.takes(seen, msgType, idle, size) {
					t.Fatalf("a %s of %d bytes is dropped after %v", msgType, size, now.Sub(began))
				}
			}
		})
	}
}

// TestPaceIsNoSlowerThanItNeedsToBe: nothing waits within the burst, what is
// beyond it flows at the window's rate, and an idle makes room at once.
func TestPaceIsNoSlowerThanItNeedsToBe(t *testing.T) {
	now := time.Unix(0, 0)
	var p pace
	send := func(bytes int) {
		now = now.Add(p.wait(now, bytes))
		p.note(now, bytes)
	}
	for range 28 {
		send(100_000)
	}
	if spent := now.Sub(time.Unix(0, 0)); spent != 0 {
		t.Errorf("a burst of 2.8 MB waits %v", spent)
	}
	for range 172 {
		send(100_000)
	}
	if spent := now.Sub(time.Unix(0, 0)); spent > 28*time.Second {
		t.Errorf("20 MB take %v", spent)
	}
	p.reset()
	if wait := p.wait(now, paceBytes); wait != 0 {
		t.Errorf("after an idle a message waits %v", wait)
	}
	p.note(now, 1)
	if wait := p.wait(now, 2*paceBytes); wait != paceWindow {
		t.Errorf("a message beyond all limits waits %v, want %v: until nothing else counts", wait, paceWindow)
	}
}
