package main

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"time"

	"evalnas/nasapi/policy"
	"evalnas/nasapi/space"
)

// What policies learn, beside our own rewriting for PyTorch (torch_policies.py).

func init() {
	for work := range policyOf {
		register(Benchmark{Name: work, Unit: "s", Want: 1, Open: func(ctx context.Context) (*Comparison, error) { return openPolicy(ctx, work) }})
	}
}

// policyOf is the policy of each benchmark: an update of ENAS's controller by ten samples,
// and a batch of 100 sequences of NAO's encoder, predictor and decoder. Both in
// NASBench-101 with seven vertices.
var policyOf = map[string]string{"enas-controller": "enas", "nao-round": "nao"}

// updater makes the updates of a policy when it is told to.
type updater struct{ *policy.Update }

func newUpdater(work string, threads int) (*updater, error) {
	runtime.GOMAXPROCS(threads)
	s, err := space.NASBench101(7)
	if err != nil {
		return nil, err
	}
	u, err := policy.NewUpdate(policyOf[work], s)
	return &updater{u}, err
}

func (u *updater) step() (float64, error) {
	began := time.Now()
	err := u.Step()
	return time.Since(began).Seconds(), err
}

func (u *updater) warm() (map[string]any, error) {
	for range warmUp {
		if _, err := u.step(); err != nil {
			return nil, err
		}
	}
	return map[string]any{"params": u.Params}, nil
}

// startTwin is PyTorch with so many threads.
func startTwin(ctx context.Context, work string, threads int) (*stepper, error) {
	return startScript(ctx, strconv.Itoa(threads), "torch_policies.py", work, "--threads", strconv.Itoa(threads))
}

// fasterTwin is PyTorch on one thread or on two: such small products are often the faster
// on one.
func fasterTwin(ctx context.Context, work string) (*stepper, error) {
	one, err := startTwin(ctx, work, 1)
	if err != nil {
		return nil, err
	}
	two, err := startTwin(ctx, work, stepThreads)
	if err != nil {
		return nil, errors.Join(err, one.close())
	}
	slow, err := one.run(ctx, 0)
	if err != nil {
		return nil, errors.Join(err, one.close(), two.close())
	}
	fast, err := two.run(ctx, 0)
	if err != nil {
		return nil, errors.Join(err, one.close(), two.close())
	}
	if slow < fast {
		one, two = two, one
	}
	return two, one.close()
}

func openPolicy(ctx context.Context, work string) (*Comparison, error) {
	peer, err := fasterTwin(ctx, work)
	if err != nil {
		return nil, err
	}
	ours, err := startOurs(ctx, work, stepThreads)
	if err != nil {
		return nil, errors.Join(err, peer.close())
	}
	return &Comparison{
		PeerKind: "twin", Ours: ours.run, Peer: peer.run,
		Extra: func(context.Context) (map[string]any, error) {
			return map[string]any{"threads": stepThreads, "peer_threads": peer.layout}, nil
		},
		Close: func() error { return errors.Join(ours.close(), peer.close()) },
	}, nil
}
