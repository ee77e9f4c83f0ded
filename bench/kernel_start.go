package main

import (
	"context"
	"errors"
	"os"
)

func init() {
	register(Benchmark{
		Name: "kernel-start", Unit: "s", Want: 5,
		Open: openKernelStart,
	})
}

// openKernelStart compares the time from the start of a kernel's process to
// the reply of its first executed cell with ipykernel's. One Jupyter client
// drives both.
func openKernelStart(ctx context.Context) (*Comparison, error) {
	dir, err := os.MkdirTemp("", "evalnas-bench-")
	if err != nil {
		return nil, err
	}
	exe, err := buildKernel(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p, err := startPeer(ctx, "kernel_start.py")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	start := func(argv ...string) (float64, error) {
		var answer struct{ Seconds float64 }
		err := p.ask(map[string]any{"argv": argv}, &answer)
		return answer.Seconds, err
	}
	ours := func(context.Context, int) (float64, error) { return start(append([]string{exe}, oursArgv...)...) }
	peer := func(context.Context, int) (float64, error) {
		return start(peerArgv...)
	}
	// The first start of each reads its files from the disk: not counted.
	if _, err = ours(ctx, 0); err == nil {
		_, err = peer(ctx, 0)
	}
	if err != nil {
		return nil, errors.Join(err, p.close(), os.RemoveAll(dir))
	}
	return &Comparison{
		PeerKind: "reference", Ours: ours, Peer: peer,
		Close: func() error { return errors.Join(p.close(), os.RemoveAll(dir)) },
	}, nil
}
