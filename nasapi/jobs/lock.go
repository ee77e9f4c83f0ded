package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// errLocked says that another process holds a lock.
var errLocked = errors.New("locked by another process")

// lockPatience is how long a lock is tried for before it counts as held: a
// reader that looks whether a lock is held has it for some microseconds.
const lockPatience = 300 * time.Millisecond

// owner is written into a lock's file, for people.
type owner struct {
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
}

func thisProcess() owner {
	return owner{Host: hostname(), PID: os.Getpid(), Started: time.Now().UTC().Truncate(time.Second)}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown host"
	}
	return name
}

// fileLock is a lock that the kernel frees when its process dies.
type fileLock struct{ f *flock.Flock }

// takeLock takes the lock, or returns errLocked when it stays held for as long
// as patience.
func takeLock(ctx context.Context, path string, patience time.Duration) (*fileLock, error) {
	f := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o644))
	deadline := time.Now().Add(patience)
	for {
		ok, err := f.TryLock()
		if err != nil {
			return nil, writeError("lock", path, err)
		}
		if ok {
			recordOwner(path)
			return &fileLock{f}, nil
		}
		if time.Now().After(deadline) {
			return nil, errLocked
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (l *fileLock) release() error { return l.f.Unlock() }

func releaseAll(locks []*fileLock) error {
	var errs []error
	for _, l := range locks {
		errs = append(errs, l.release())
	}
	return errors.Join(errs...)
}

// withLock does something while it holds a lock, or returns errLocked and does nothing when
// the lock stays held for as long as patience.
func withLock(path string, patience time.Duration, do func() error) error {
	lock, err := takeLock(context.Background(), path, patience)
	if err != nil {
		return err
	}
	return errors.Join(do(), lock.release())
}

// unlessLocked takes it for well that another process has the lock.
func unlessLocked(err error) error {
	if errors.Is(err, errLocked) {
		return nil
	}
	return err
}

// isHeld says whether some process holds the lock. It writes nothing, so that
// it works in a folder that may only be read.
func isHeld(path string) (bool, error) {
	f := flock.New(path, flock.SetFlag(os.O_RDONLY))
	ok, err := f.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !ok {
		return true, nil
	}
	return false, f.Unlock()
}

// ownerText is what recordOwner writes.
func ownerText() ([]byte, error) {
	data, err := json.Marshal(thisProcess())
	return append(data, '\n'), err
}

// pause waits, or returns the context's error as soon as it ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
