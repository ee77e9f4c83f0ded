package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// The training steps of torch_nas.py, torch_search.py and torch_paths.py, by our engine.
// `bench step WORK` serves them in a process of its own, whose memory is then its own too,
// in the words of torch_nas.py --serve.

// pathCell is one cell of NASBench-101, PATH in torch_nas.py.
const pathCell = `{"matrix": [[0,1,0,0,1,0],[0,0,1,0,0,0],[0,0,0,1,0,0],[0,0,0,0,0,1],[0,0,0,0,0,1],[0,0,0,0,0,0]],
	"ops": ["input","conv3x3-bn-relu","conv1x1-bn-relu","conv3x3-bn-relu","maxpool3x3","output"]}`

// trainer is a network with one batch of random images.
type trainer struct {
	dev  nn.Device
	pass *net.Pass
	opt  *nn.Optimiser
	// after is what a step does between its backward pass and the optimiser.
	after  func()
	params int64
}

func newTrainer(work string, threads, batch int) (*trainer, error) {
	dev, err := cpu.New(threads)
	if err != nil {
		return nil, err
	}
	t := &trainer{dev: dev, after: func() {}}
	n, err := t.build(work, batch)
	if err != nil {
		return nil, err
	}
	n.Initialise(0)
	t.params, _ = n.Count()
	t.opt = &nn.Optimiser{Rule: nn.SGD, Params: n.Params(), Momentum: 0.9, Decay: 3e-4}
	if err := t.pass.Graph.Plan(); err != nil {
		return nil, err
	}
	return t, t.load()
}

func (t *trainer) build(work string, batch int) (*net.Network, error) {
	var arch space.Arch
	var err error
	switch work {
	case "darts-supernet":
		s, err := net.NewSupernet(t.dev, net.Config{})
		if err != nil {
			return nil, err
		}
		p, err := s.Build(nn.Train, batch)
		if err != nil {
			return nil, err
		}
		t.pass, t.after = p.Pass, func() { p.MixtureGrad() }
		return s.Network, nil
	case "derived":
		arch, err = space.NamedGenotype("DARTS_V2")
	case "nasbench-path":
		arch, err = space.ParseArch("nasbench101", []byte(pathCell))
	default:
		return nil, fmt.Errorf("no step is %q; there are darts-supernet, derived, nasbench-path, darts-search-step, spos-step, rank-pool, enas-controller and nao-round", work)
	}
	if err != nil {
		return nil, err
	}
	cfg := net.Config{}
	if work == "nasbench-path" {
		cfg.Channels = 16
	}
	n, err := net.New(t.dev, arch, cfg)
	if err != nil {
		return nil, err
	}
	t.pass, err = n.Build(nn.Train, batch)
	return n, err
}

// load gives the pass its images and labels.
func (t *trainer) load() error {
	pixels, labels := randomBatch(t.pass, "bench")
	if err := t.pass.Graph.SetInput(t.pass.Input, pixels); err != nil {
		return err
	}
	return t.pass.SetLabels(labels)
}

// randomBatch is images and labels for a pass.
func randomBatch(p *net.Pass, stream string) (pixels []float32, labels []int32) {
	s := rng.New(0, stream)
	in := p.Input.Values
	pixels = make([]float32, in.N*in.Image())
	for i := range pixels {
		if i%in.Pix < in.Channels.Count() {
			pixels[i] = float32(2*s.Float64() - 1)
		}
	}
	labels = make([]int32, p.Batch())
	for i := range labels {
		labels[i] = int32(s.IntN(10))
	}
	return pixels, labels
}

func (t *trainer) step() (seconds float64, err error) {
	began := time.Now()
	if err := t.pass.Graph.Forward(); err != nil {
		return 0, err
	}
	if err := t.pass.Graph.Backward(); err != nil {
		return 0, err
	}
	t.after()
	if _, err := t.opt.Step(t.dev, 0.025); err != nil {
		return 0, err
	}
	return time.Since(began).Seconds(), nil
}

// warmUp is as many steps as torch_nas.py takes before it is ready.
const warmUp = 2

// warm makes the process ready and says what it is.
func (t *trainer) warm() (map[string]any, error) {
	for range warmUp {
		if _, err := t.step(); err != nil {
			return nil, err
		}
	}
	return map[string]any{"params": t.params, "device": t.dev.Name(), "planned_mb": t.pass.Graph.Bytes() >> 20}, nil
}

// steps is what is served.
type steps interface {
	warm() (map[string]any, error)
	step() (seconds float64, err error)
}

func newSteps(work string, threads, batch int) (steps, error) {
	if pathWorks[work] > 0 {
		return newPaths(work, threads)
	}
	if policyOf[work] != "" {
		return newUpdater(work, threads)
	}
	if work == searchStep {
		return newSearcher(threads, batch)
	}
	return newTrainer(work, threads, batch)
}

// serveSteps is `bench step`.
func serveSteps(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("step", flag.ContinueOnError)
	threads := flags.Int("threads", 2, "threads")
	batch := flags.Int("batch", 16, "images of a batch, but of spos-step and rank-pool")
	if err := flags.Parse(args); err != nil {
		return err
	}
	t, err := newSteps(flags.Arg(0), *threads, *batch)
	if err != nil {
		return err
	}
	about, err := t.warm()
	if err != nil {
		return err
	}
	about["ready"] = true
	say := json.NewEncoder(out)
	if err := say.Encode(about); err != nil {
		return err
	}
	steps := 0
	for lines := bufio.NewScanner(in); lines.Scan() && lines.Text() != "end"; steps++ {
		seconds, err := t.step()
		if err != nil {
			return err
		}
		if err := say.Encode(map[string]float64{"seconds": seconds}); err != nil {
			return err
		}
	}
	peak, err := peakMB()
	if err != nil {
		return err
	}
	return say.Encode(map[string]any{"rss_mb": peak, "steps": steps})
}

// peakMB is the most memory that this process had, as the kernel counts it.
func peakMB() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("the memory benchmarks read /proc: %w", err)
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var kb float64
			if _, err := fmt.Sscan(rest, &kb); err != nil {
				return 0, fmt.Errorf("/proc/self/status: %w", err)
			}
			return kb / 1024, nil
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no VmHWM")
}
