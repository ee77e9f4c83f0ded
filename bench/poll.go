package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"evalnas/nasapi/jobs"
)

func init() {
	register(Benchmark{Name: "poll-jobs", Unit: "ms/look", Want: 1, Open: openPoll})
}

// pollJobs is how many jobs are looked at.
const pollJobs = 1000

// poll looks at a study of jobs that wait, a few of which have begun.
type poll struct {
	dir   string
	batch *jobs.BatchHandle
	peer  *peer
	lock  *os.File
}

// openPoll compares the processor's time for one look at a thousand jobs of which only files
// are known: for us at the state and progress of each, for the peer at whether it has a result. Extra has the share of a core
// that waiting for them takes, at the pace at which it looks.
func openPoll(ctx context.Context) (_ *Comparison, err error) {
	p := &poll{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.dir, err = os.MkdirTemp("", "evalnas-bench-"); err != nil {
		return nil, err
	}
	st, err := jobs.OpenStudy(p.dir)
	if err != nil {
		return nil, err
	}
	// Whoever holds this lock is the study's runner: none is started, the jobs wait.
	if p.lock, err = os.OpenFile(st.Paths.Lock(), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(p.lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	b := jobs.Batch{Title: "bench"}
	for seed := range pollJobs {
		b.Specs = append(b.Specs, jobs.Spec{Kind: emptyKind, Numerics: 1, Seed: int64(seed), Config: json.RawMessage("{}")})
	}
	if p.batch, err = st.Submit(b); err != nil {
		return nil, err
	}
	if p.peer, err = startPeer(ctx, "dispatch.py"); err != nil {
		return nil, err
	}
	return &Comparison{PeerKind: "reference", Ours: p.ours, Peer: p.theirs, Extra: p.share, Close: p.close}, nil
}

const looks = 20

func (p *poll) ours(context.Context, int) (float64, error) {
	before, err := processorTime()
	if err != nil {
		return 0, err
	}
	for range looks {
		if _, err := p.batch.Statuses(); err != nil {
			return 0, err
		}
	}
	after, err := processorTime()
	return (after - before).Seconds() * 1e3 / looks, err
}

func (p *poll) theirs(context.Context, int) (float64, error) {
	var answer struct{ Look float64 }
	err := p.peer.ask(map[string]any{"where": "poll", "jobs": pollJobs, "looks": looks}, &answer)
	return answer.Look * 1e3, err
}

// share is the processor time of waiting for ten seconds.
func (p *poll) share(ctx context.Context) (map[string]any, error) {
	const wait = 10 * time.Second
	ctx, stop := context.WithTimeout(ctx, wait)
	defer stop()
	before, err := processorTime()
	if err != nil {
		return nil, err
	}
	if err := p.batch.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("the wait for jobs that never end came to %w", err)
	}
	after, err := processorTime()
	if err != nil {
		return nil, err
	}
	percent := 100 * (after - before).Seconds() / wait.Seconds()
	return map[string]any{"jobs": pollJobs, "peer": "submitit", "percent_of_a_core_while_waiting": round(percent), "percent_wanted": 1}, nil
}

func processorTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

func (p *poll) close() error {
	var errs []error
	if p.peer != nil {
		errs = append(errs, p.peer.close())
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(filepath.Clean(p.dir)))...)
}
