package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/gofrs/flock"
)

// Slots are a host's places for workers: lock files in a folder that all
// studies of a user share, so that two notebooks do not load a machine twice.
// A worker holds its slot for its life; the kernel frees it when it dies.
type Slots struct {
	Dir string
	N   int
}

// HostSlots returns this host's slots: $EVALNAS_SLOTS, by default as many as
// there are cores, in $EVALNAS_SLOT_DIR, by default a folder of this user's
// among the temporary files.
func HostSlots() (Slots, error) {
	s := Slots{Dir: os.Getenv("EVALNAS_SLOT_DIR"), N: runtime.NumCPU()}
	if s.Dir == "" {
		s.Dir = filepath.Join(os.TempDir(), "evalnas-slots-"+userName())
	}
	if text := os.Getenv("EVALNAS_SLOTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 4096 {
			return s, fmt.Errorf("EVALNAS_SLOTS is %q: set it to the number of jobs that may run at once on this machine, 1 to 4096", text)
		}
		s.N = n
	}
	return s, nil
}

// Threads is a slot's share of the cores.
func (s Slots) Threads() int { return max(1, runtime.NumCPU()/max(1, s.N)) }

// Slot is a place that this process holds.
type Slot struct {
	Index int
	lock  *fileLock
}

// Release frees the slot.
func (s *Slot) Release() error { return s.lock.release() }

// Acquire waits for a slot. Whoever waits does so in a queue of one: it holds
// the door while it looks for a slot, the others wait at the door. A study
// with a thousand jobs therefore takes turns with one that has ten.
func (s Slots) Acquire(ctx context.Context) (*Slot, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, writeError("make the slots' folder", s.Dir, err)
	}
	door, err := waitLock(ctx, filepath.Join(s.Dir, "door"))
	if err != nil {
		return nil, err
	}
	slot, err := s.search(ctx)
	return slot, errors.Join(err, door.release())
}

// search tries the slots until one is free. The wait grows with the time spent
// so that short jobs follow each other at once and long ones cost nothing.
func (s Slots) search(ctx context.Context) (*Slot, error) {
	begin := time.Now()
	for {
		for i := range s.N {
			lock, err := takeLock(ctx, filepath.Join(s.Dir, "slot-"+strconv.Itoa(i)), 0)
			if err == nil {
				return &Slot{i, lock}, nil
			}
			if !errors.Is(err, errLocked) {
				return nil, err
			}
		}
		wait := min(max(time.Since(begin)/8, time.Millisecond), 50*time.Millisecond)
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// waitLock waits for a lock in the operating system's queue, which is fairer
// than trying again and again. That wait cannot be broken off: when ctx ends
// first, a goroutine frees the lock as soon as it comes.
func waitLock(ctx context.Context, path string) (*fileLock, error) {
	f := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	got := make(chan error, 1)
	go func() { got <- f.Lock() }()
	select {
	case err := <-got:
		if err != nil {
			return nil, writeError("lock", path, err)
		}
		return &fileLock{f}, nil
	case <-ctx.Done():
		go func() {
			if <-got == nil {
				_ = f.Unlock() // nobody is left to tell; the process's end frees it too
			}
		}()
		return nil, ctx.Err()
	}
}
