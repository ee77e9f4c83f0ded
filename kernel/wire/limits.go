package wire

import (
	"log/slog"
	"time"
)

// Limits bound what one peer can cost. Zero fields take the defaults.
type Limits struct {
	Message   int64         // bytes of one incoming message; 64 MiB
	Frames    int           // frames of one incoming message; 256
	Queue     int           // bytes waiting to be written to one peer; 16 MiB
	Handshake time.Duration // from connecting to READY; 5 s
	// Stall is how long a peer may take no byte while a writer waits for room
	// in its queue; 2 s. Without such a writer it may take 15 times as long. On
	// a Router, whose replies go to one peer each, it is also how long a writer
	// waits for one that reads, but too slowly.
	Stall   time.Duration
	Pending int // handshakes under way; 256
}

const patience = 15 // Stalls without a waiting writer before a peer is cut

// EnsureDefaults fills the fields that are zero.
func (l *Limits) EnsureDefaults() {
	setDefault(&l.Message, 64<<20)
	setDefault(&l.Frames, 256)
	setDefault(&l.Queue, 16<<20)
	setDefault(&l.Handshake, 5*time.Second)
	setDefault(&l.Stall, 2*time.Second)
	setDefault(&l.Pending, 256)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Options say how a socket listens.
type Options struct {
	Limits Limits
	Log    *slog.Logger // nil discards
	Curve  *Curve       // nil: not encrypted
	// OnSubscribe, of a Publisher, is called when a subscription has taken
	// effect. welcome sends a message to that subscriber alone.
	OnSubscribe func(topic []byte, welcome func(frames [][]byte))
}

func (o *Options) ensureDefaults() {
	o.Limits.EnsureDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}
