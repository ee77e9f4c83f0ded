package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"

	"evalnas/nasapi/host"
	"evalnas/nasapi/jobs/gpu"
)

// Slots are a host's places for workers: groups of cores with their share of the memory, as
// lock files in a folder that all studies of a user share, so that two notebooks do not load
// a machine twice. A worker holds its slots for its life; the kernel frees them when it dies.
type Slots struct {
	Dir string
	N   int

	cores  []int // of the host, in order
	memory int64 // of the host in bytes, 0 if not known
}

// HostSlots returns this host's slots: $EVALNAS_SLOTS, by default as many as
// there are cores, in $EVALNAS_SLOT_DIR, by default a folder of this user's
// among the temporary files.
func HostSlots() (Slots, error) {
	s := Slots{Dir: os.Getenv("EVALNAS_SLOT_DIR"), cores: host.Cores()}
	s.N = len(s.cores)
	if bytes, known := host.Memory(); known {
		s.memory = bytes
	}
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
func (s Slots) Threads() int { return max(1, len(s.cores)/max(1, s.N)) }

// Memory is a slot's share of the memory in bytes, 0 if the host does not tell what it has.
func (s Slots) Memory() int64 { return s.memory / int64(max(1, s.N)) }

// Need is how many slots a job takes that asks for so many cores and so much memory, or why
// this host never has them.
func (s Slots) Need(l Local) (slots int, err error) {
	slots = max(1, (l.Cores-1)/s.Threads()+1) // no sum that might overflow
	if slots > s.N {
		return 0, fmt.Errorf("cores=%d: this machine has %s of %s: give at most %d", l.Cores, plural(s.N, "slot"), plural(s.Threads(), "core"), s.N*s.Threads())
	}
	bytes, err := parseMemory(l.Memory)
	if err != nil {
		return 0, err
	}
	if bytes == 0 || s.memory == 0 {
		return slots, nil
	}
	if bytes > s.memory {
		return 0, fmt.Errorf("mem=%q: this machine has %s: give less", l.Memory, SizeText(s.memory))
	}
	return max(slots, min(s.N, int((bytes+s.Memory()-1)/s.Memory()))), nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Wanted is a number of GPUs of those that are there; the zero value is none.
type Wanted struct {
	N  int
	Of []gpu.GPU
}

// Share is the slots that this process holds.
type Share struct {
	Slots []int     // their numbers
	GPUs  []gpu.GPU // that are nobody else's meanwhile

	of    Slots
	locks []*fileLock
}

// Release frees the slots.
func (s *Share) Release() error { return releaseAll(s.locks) }

// touch keeps those who tidy up temporary files from taking the locks for forgotten ones:
// without its file a slot could be taken twice. Nothing hangs on a single time.
func (s *Share) touch() {
	if s == nil {
		return
	}
	now := time.Now()
	for _, l := range s.locks {
		_ = os.Chtimes(l.f.Path(), now, now)
	}
}

// Threads is how many threads the holder may use.
func (s *Share) Threads() int { return len(s.Slots) * s.of.Threads() }

// Cores are the processors of the share. Where there are more slots than cores, several
// slots have the same one.
func (s *Share) Cores() []int {
	all, each := s.of.cores, s.of.Threads()
	if len(all) == 0 {
		return nil
	}
	seen := map[int]bool{}
	var mine []int
	for _, slot := range s.Slots {
		for i := range each {
			if c := all[(slot*each+i)%len(all)]; !seen[c] {
				seen[c] = true
				mine = append(mine, c)
			}
		}
	}
	return mine
}

// Memory is the share of the memory in bytes, 0 if the host does not tell.
func (s *Share) Memory() int64 { return s.of.Memory() * int64(len(s.Slots)) }

// Acquire waits for n slots. Whoever waits does so in a queue of one: it holds
// the door while it gathers them, the others wait at the door. A study
// with a thousand jobs therefore takes turns with one that has ten, and a job of many slots
// is not passed by jobs of one for ever, nor do two of them wait for each other.
//
// Of the GPUs that are given it takes as many as are wanted, in their order.
func (s Slots) Acquire(ctx context.Context, n int, gpus Wanted) (*Share, error) {
	if n < 1 || n > s.N {
		return nil, fmt.Errorf("%d slots of %d: give 1 to %d", n, s.N, s.N)
	}
	if gpus.N < 0 || gpus.N > len(gpus.Of) {
		return nil, fmt.Errorf("%d GPUs of %d: give at most as many as there are", gpus.N, len(gpus.Of))
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, writeError("make the slots' folder", s.Dir, err)
	}
	door, err := waitLock(ctx, filepath.Join(s.Dir, "door"))
	if err != nil {
		return nil, err
	}
	share := &Share{of: s}
	err = share.gather(ctx, n, gpus)
	if err = errors.Join(err, door.release()); err != nil {
		return nil, errors.Join(err, share.Release())
	}
	return share, nil
}

// gather takes slots and GPUs as they become free until there are enough. The wait grows
// with the time spent so that short jobs follow each other at once and long ones cost nothing.
func (s *Share) gather(ctx context.Context, n int, gpus Wanted) error {
	begin := time.Now()
	mine := map[string]bool{}
	for {
		for i := 0; i < s.of.N && len(s.Slots) < n; i++ {
			took, err := s.take(ctx, "slot-"+strconv.Itoa(i), mine)
			if err != nil {
				return err
			}
			if took {
				s.Slots = append(s.Slots, i)
			}
		}
		for i := 0; i < len(gpus.Of) && len(s.GPUs) < gpus.N; i++ {
			took, err := s.take(ctx, gpus.Of[i].LockName(), mine)
			if err != nil {
				return err
			}
			if took {
				s.GPUs = append(s.GPUs, gpus.Of[i])
			}
		}
		if len(s.Slots) == n && len(s.GPUs) == gpus.N {
			return nil
		}
		if err := pause(ctx, min(max(time.Since(begin)/8, time.Millisecond), 50*time.Millisecond)); err != nil {
			return err
		}
	}
}

// take takes the lock of a slot or GPU if it is free and not taken yet.
func (s *Share) take(ctx context.Context, name string, mine map[string]bool) (bool, error) {
	if mine[name] {
		return false, nil
	}
	lock, err := takeLock(ctx, filepath.Join(s.of.Dir, name), 0)
	if errors.Is(err, errLocked) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	mine[name] = true
	s.locks = append(s.locks, lock)
	return true, nil
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
