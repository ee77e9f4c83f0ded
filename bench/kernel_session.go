package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

func init() {
	for _, m := range []struct {
		name, unit, measure string
		want                float64
	}{
		{"cell-roundtrip", "s", "roundtrip", 8},
		{"stdout-10k", "s", "stdout", 3},
		{"kernel-memory", "MiB", "memory", 2},
		{"interrupt", "s", "interrupt", 1},
		{"shutdown", "s", "shutdown", 2},
	} {
		register(Benchmark{Name: m.name, Unit: m.unit, Want: m.want, Open: func(ctx context.Context) (*Comparison, error) {
			return openKernelSession(ctx, m.measure)
		}})
	}
}

// kernels are what one Jupyter client, a script of bench/, drives: ours, built as it is
// installed, and ipykernel, by their command lines.
type kernels struct {
	*peer        // the client
	ours, theirs []string
	close        func() error
}

func openKernels(ctx context.Context, script string) (_ *kernels, err error) {
	top, err := root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "evalnas-bench-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	exe := filepath.Join(dir, "evalnas")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", exe, ".")
	build.Dir = top
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the kernel: %w\n%s", err, text)
	}
	if err := uncache(exe); err != nil {
		return nil, err
	}
	p, err := startPeer(ctx, script)
	if err != nil {
		return nil, err
	}
	return &kernels{
		peer: p, ours: []string{exe, "kernel", "{connection_file}"},
		theirs: []string{"{python}", "-m", "ipykernel_launcher", "-f", "{connection_file}"},
		close:  func() error { return errors.Join(p.close(), os.RemoveAll(dir)) },
	}, nil
}

// openKernelSession compares what a kernel that runs takes for one thing with ipykernel. One
// Jupyter client drives both. A run's measure is the median; Extra has the 99th percentiles of
// round trips, pooled.
func openKernelSession(ctx context.Context, measure string) (*Comparison, error) {
	k, err := openKernels(ctx, "kernel_session.py")
	if err != nil {
		return nil, err
	}
	var pooled [2][]float64
	one := func(side int, argv []string) func(context.Context, int) (float64, error) {
		return func(context.Context, int) (float64, error) {
			var answer struct{ Values []float64 }
			if err := k.ask(map[string]any{"argv": argv, "python": side == 1, "measure": measure}, &answer); err != nil {
				return 0, err
			}
			if len(answer.Values) == 0 {
				return 0, errors.New("nothing was measured")
			}
			slices.Sort(answer.Values)
			pooled[side] = append(pooled[side], answer.Values...)
			return answer.Values[len(answer.Values)/2], nil
		}
	}
	c := &Comparison{
		PeerKind: "reference",
		Ours:     one(0, k.ours), Peer: one(1, k.theirs), Close: k.close,
	}
	if measure == "roundtrip" {
		c.Extra = func(context.Context) (map[string]any, error) {
			p99 := func(all []float64) float64 {
				slices.Sort(all)
				return all[len(all)*99/100]
			}
			o, p := p99(pooled[0]), p99(pooled[1])
			return map[string]any{"ours_p99": round(o), "peer_p99": round(p), "ratio_p99": round(p / o)}, nil
		}
	}
	return c, nil
}
