package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

func init() {
	for _, b := range []struct {
		work       string
		speed, mem float64
	}{{"darts-supernet", 5, 4}, {"derived", 3, 3}, {"nasbench-path", 3, 0}} {
		register(Benchmark{Name: b.work, Unit: "s", Want: b.speed, Open: func(ctx context.Context) (*Comparison, error) { return openSteps(ctx, b.work) }})
		if b.mem > 0 {
			register(Benchmark{Name: b.work + "-memory", Unit: "MB", Want: b.mem, Open: func(ctx context.Context) (*Comparison, error) { return openMemory(ctx, b.work) }})
		}
	}
	register(Benchmark{Name: "two-threads", Unit: "s", Want: 1.6, Open: openScaling})
}

// stepThreads is how many threads both sides have.
const stepThreads = 2

// torch is a Python that has PyTorch: that of $EVALNAS_TORCH_PYTHON, or the system's, or
// the peers'.
func torch(ctx context.Context) (string, error) {
	candidates := []string{os.Getenv("EVALNAS_TORCH_PYTHON"), "/usr/bin/python3", python()}
	for _, p := range candidates {
		if p != "" && exec.CommandContext(ctx, p, "-c", "import torch").Run() == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("no PyTorch: install it (Debian: apt-get install python3-torch), or name a Python that has it in EVALNAS_TORCH_PYTHON")
}

// stepper is a process that makes training steps when it is told to.
type stepper struct {
	*peer
	layout string
	losses []float64 // before the first step, where it tells them
}

func startStepper(ctx context.Context, layout, exe string, args ...string) (*stepper, error) {
	p, err := startProcess(exec.CommandContext(ctx, exe, args...))
	if err != nil {
		return nil, err
	}
	var ready struct {
		Ready  bool
		Losses []float64
	}
	if err := p.answer(&ready); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if !ready.Ready {
		return nil, errors.Join(fmt.Errorf("%s did not get ready", filepath.Base(exe)), p.close())
	}
	return &stepper{p, layout, ready.Losses}, nil
}

// ours is this program as a stepper.
func startOurs(ctx context.Context, work string, threads int) (*stepper, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startStepper(ctx, "NHWC", exe, "step", "-threads", strconv.Itoa(threads), work)
}

// The two layouts of PyTorch.
const (
	contiguous   = "contiguous"
	channelsLast = "channels-last"
)

var layouts = []string{contiguous, channelsLast}

func startTorch(ctx context.Context, work, layout string) (*stepper, error) {
	args := []string{work, "--serve", "--threads", strconv.Itoa(stepThreads)}
	if layout == channelsLast {
		args = append(args, "--channels-last")
	}
	return startScript(ctx, layout, "torch_nas.py", args...)
}

// startScript is one of bench's scripts for PyTorch, in a way of running it.
func startScript(ctx context.Context, way, script string, args ...string) (*stepper, error) {
	exe, err := torch(ctx)
	if err != nil {
		return nil, err
	}
	top, err := root()
	if err != nil {
		return nil, err
	}
	return startStepper(ctx, way, exe, append([]string{filepath.Join(top, "bench", script)}, args...)...)
}

// fasterTorch is PyTorch in the layout whose step is the faster one of two.
func fasterTorch(ctx context.Context, work string) (*stepper, error) {
	return fasterOf(layouts, func(layout string) (*stepper, error) { return startTorch(ctx, work, layout) })
}

// fasterOf is the fastest of several ways to run a peer, by a step of each.
func fasterOf(ways []string, start func(way string) (*stepper, error)) (*stepper, error) {
	var best *stepper
	least := 0.0
	for _, way := range ways {
		s, err := start(way)
		if err != nil {
			return nil, err
		}
		seconds, err := s.step()
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		slower := s
		if best == nil || seconds < least {
			slower, best, least = best, s, seconds
		}
		if slower != nil {
			if _, err := slower.end(); err != nil {
				return nil, err
			}
		}
	}
	return best, nil
}

func (s *stepper) step() (float64, error) {
	var answer struct{ Seconds float64 }
	if _, err := io.WriteString(s.in, "step\n"); err != nil {
		return 0, err
	}
	err := s.answer(&answer)
	return answer.Seconds, err
}

// end ends the process and says how many megabytes it had at most.
func (s *stepper) end() (float64, error) {
	var answer struct {
		Megabytes float64 `json:"rss_mb"`
	}
	if _, err := io.WriteString(s.in, "end\n"); err != nil {
		return 0, err
	}
	if err := s.answer(&answer); err != nil {
		return 0, err
	}
	return answer.Megabytes, s.close()
}

// A run is at least so many steps, and takes at least so many seconds. Before it, the
// other side's threads get the time to stop waiting actively for more work.
const (
	leastSteps   = 3
	leastSeconds = 0.5
	settling     = 50 * time.Millisecond
)

// run is the median of the seconds of the run's steps, but for a first one that brings
// the process's memory back into the caches.
func (s *stepper) run(context.Context, int) (float64, error) {
	time.Sleep(settling)
	if _, err := s.step(); err != nil {
		return 0, err
	}
	var all []float64
	for sum := 0.0; len(all) < leastSteps || sum < leastSeconds; {
		seconds, err := s.step()
		if err != nil {
			return 0, err
		}
		all = append(all, seconds)
		sum += seconds
	}
	return median(all), nil
}

func openSteps(ctx context.Context, work string) (*Comparison, error) {
	peer, err := fasterTorch(ctx, work)
	if err != nil {
		return nil, err
	}
	ours, err := startOurs(ctx, work, stepThreads)
	if err != nil {
		return nil, errors.Join(err, peer.close())
	}
	return &Comparison{
		PeerKind: "reference", Ours: ours.run, Peer: peer.run,
		Extra: func(context.Context) (map[string]any, error) {
			return map[string]any{"threads": stepThreads, "batch": 16, "peer_layout": peer.layout}, nil
		},
		Close: func() error { return errors.Join(ours.close(), peer.close()) },
	}, nil
}

// openMemory compares the peaks of processes that make a few steps, PyTorch's in the
// layout that is the faster.
func openMemory(ctx context.Context, work string) (*Comparison, error) {
	peer, err := fasterTorch(ctx, work)
	if err != nil {
		return nil, err
	}
	layout := peer.layout
	if _, err := peer.end(); err != nil {
		return nil, err
	}
	peak := func(s *stepper, err error) (float64, error) {
		if err != nil {
			return 0, err
		}
		if _, err := s.step(); err != nil {
			return 0, errors.Join(err, s.close())
		}
		return s.end()
	}
	return &Comparison{
		PeerKind: "reference",
		Ours:     func(ctx context.Context, _ int) (float64, error) { return peak(startOurs(ctx, work, stepThreads)) },
		Peer:     func(ctx context.Context, _ int) (float64, error) { return peak(startTorch(ctx, work, layout)) },
		Extra: func(context.Context) (map[string]any, error) {
			return map[string]any{"threads": stepThreads, "batch": 16, "peer_layout": layout, "measure": "peak resident memory after three steps"}, nil
		},
	}, nil
}

// openScaling compares two threads of ours with one.
func openScaling(ctx context.Context) (*Comparison, error) {
	two, err := startOurs(ctx, "darts-supernet", 2)
	if err != nil {
		return nil, err
	}
	one, err := startOurs(ctx, "darts-supernet", 1)
	if err != nil {
		return nil, errors.Join(err, two.close())
	}
	return &Comparison{
		PeerKind: "ours, one thread", Ours: two.run, Peer: one.run,
		Close: func() error { return errors.Join(two.close(), one.close()) },
	}, nil
}
