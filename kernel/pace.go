package kernel

import "time"

// Jupyter Server shows no output beyond 1,000 messages, or 1,000,000 bytes of
// streams, a second, as an average over its last 3 seconds. It counts from
// nothing after each idle.
const (
	// paceWindow is longer than the server's, which may count late what it got:
	// it can be busy for a second and nothing is dropped.
	paceWindow = 4 * time.Second
	// paceBytes and paceMessages leave a little for the state of the protocol,
	// which does not wait.
	paceBytes    = 2_900_000
	paceMessages = 2_900
	// headerSize is more than our headers have.
	headerSize = 1 << 10
)

// pace keeps what is sent under the limits of Jupyter Server, by the same
// account of the last seconds. The zero value has sent nothing.
type pace struct {
	sent  []paceMark // within the window, oldest first
	bytes int        // of all of them
}

// paceMark is one message that counts.
type paceMark struct {
	at    time.Time
	bytes int // of a stream, else 0
}

// wait says how long a message must wait.
func (p *pace) wait(now time.Time, bytes int) time.Duration {
	p.forget(now)
	left, messages := p.bytes, len(p.sent)
	for _, mark := range p.sent {
		if messages < paceMessages && left+bytes <= paceBytes {
			break
		}
		left, messages = left-mark.bytes, messages-1
	}
	expired := len(p.sent) - messages
	if expired == 0 {
		return 0
	}
	return p.sent[expired-1].at.Add(paceWindow).Sub(now)
}

// note accounts for a message that was sent.
func (p *pace) note(now time.Time, bytes int) {
	p.forget(now)
	p.sent = append(p.sent, paceMark{now, bytes})
	p.bytes += bytes
}

// reset is for an idle.
func (p *pace) reset() { p.sent, p.bytes = p.sent[:0], 0 }

func (p *pace) forget(now time.Time) {
	n := 0
	for n < len(p.sent) && now.Sub(p.sent[n].at) >= paceWindow {
		p.bytes -= p.sent[n].bytes
		n++
	}
	p.sent = p.sent[n:]
}

// uncounted are the types that the server lets through without counting them.
var uncounted = map[string]bool{"status": true, "comm_open": true, "execute_input": true}
