package main

import (
	"context"
	"errors"
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
	k, err := openKernels(ctx, "kernel_start.py")
	if err != nil {
		return nil, err
	}
	start := func(argv []string) func(context.Context, int) (float64, error) {
		return func(context.Context, int) (float64, error) {
			var answer struct{ Seconds float64 }
			err := k.ask(map[string]any{"argv": argv}, &answer)
			return answer.Seconds, err
		}
	}
	ours, peer := start(k.ours), start(k.theirs)
	// The first start of each reads its files from the disk: not counted.
	if _, err = ours(ctx, 0); err == nil {
		_, err = peer(ctx, 0)
	}
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	return &Comparison{
		PeerKind: "reference", Ours: ours, Peer: peer, Close: k.close,
	}, nil
}
