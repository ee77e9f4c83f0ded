package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/net"
	"evalnas/nasapi/net/safetensors"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/rng"
)

// A step of DARTS' search in its own space beside one in PyTorch, torch_search.py: first
// order, 16 channels, 8 cells and 16 images, as the search network of darts-supernet.

const searchStep = "darts-search-step"

func init() {
	register(Benchmark{Name: searchStep, Unit: "s", Want: 4, Open: openSearch})
}

// searcher makes the steps.
type searcher struct {
	dev          nn.Device
	net          *net.Supernet
	valid, train *searchPass
	alphas       *nn.Param
	adam, sgd    *nn.Optimiser
	losses       []float64
}

// searchPass is a graph of the mixture with its batch.
type searchPass struct {
	*net.SupernetPass
	pixels []float32
	labels []int32
}

func newSearcher(threads, batch int) (*searcher, error) {
	dev, err := cpu.New(threads)
	if err != nil {
		return nil, err
	}
	s := &searcher{dev: dev}
	if s.net, err = net.NewSupernet(dev, net.Config{BatchStatistics: true}); err != nil {
		return nil, err
	}
	s.net.Initialise(0)
	arena := nn.NewArena(dev)
	if s.valid, err = s.pass(nn.Frozen, batch, arena); err != nil {
		return nil, err
	}
	if s.train, err = s.pass(nn.Train, batch, arena); err != nil {
		return nil, err
	}
	shape := s.train.Shape()
	if s.alphas, err = nn.NewParam(dev, "alphas", len(shape), shape[0]); err != nil {
		return nil, err
	}
	draw, start := rng.New(0, "bench alphas"), make([]float32, s.alphas.Len())
	for i := range start {
		start[i] = float32(1e-3 * (2*draw.Float64() - 1))
	}
	dev.Write(s.alphas.Value, 0, start)
	s.adam = &nn.Optimiser{Rule: nn.Adam, Params: []*nn.Param{s.alphas}, Beta1: 0.5, Beta2: 0.999, Eps: 1e-8, Decay: 1e-3}
	s.sgd = &nn.Optimiser{Rule: nn.SGD, Params: s.net.Params(), Momentum: 0.9, Decay: 3e-4, ClipNorm: 5}
	return s, nil
}

func (s *searcher) pass(mode nn.Mode, batch int, arena *nn.Arena) (*searchPass, error) {
	p, err := s.net.Build(mode, batch)
	if err != nil {
		return nil, err
	}
	pass := &searchPass{SupernetPass: p}
	pass.pixels, pass.labels = randomBatch(p.Pass, "search batch "+strconv.Itoa(int(mode)))
	return pass, p.Graph.PlanIn(arena)
}

// numbers are the alphas.
func (s *searcher) numbers() []float32 {
	values := make([]float32, s.alphas.Len())
	s.dev.Read(values, s.alphas.Value, 0)
	return values
}

// mixture is the softmax of each edge's alphas.
func (s *searcher) mixture() [][]float64 {
	var m [][]float64
	for edge := range slices.Chunk(s.numbers(), s.alphas.Shape[1]) {
		weights, sum := make([]float64, len(edge)), 0.0
		for i, a := range edge {
			weights[i] = detmath.Exp(float64(a))
			sum += weights[i]
		}
		for i := range weights {
			weights[i] /= sum
		}
		m = append(m, weights)
	}
	return m
}

// run is a forward and a backward pass.
func (s *searcher) run(p *searchPass, m [][]float64) error {
	if err := p.SetMixture(m); err != nil {
		return err
	}
	if err := p.Graph.SetInput(p.Input, p.pixels); err != nil {
		return err
	}
	if err := p.SetLabels(p.labels); err != nil {
		return err
	}
	if err := p.Graph.Forward(); err != nil {
		return err
	}
	s.losses = append(s.losses, p.Loss.Loss)
	return p.Graph.Backward()
}

// moveAlphas is the step of the validation batch: the softmax's gradient of edge e is
// m[e][i] * (g[e][i] - sum of m[e][j]*g[e][j]).
func (s *searcher) moveAlphas() error {
	m := s.mixture()
	if err := s.run(s.valid, m); err != nil {
		return err
	}
	var grad []float32
	for e, g := range s.valid.MixtureGrad() {
		mean := 0.0
		for i, x := range g {
			mean += m[e][i] * x
		}
		for i, x := range g {
			grad = append(grad, float32(m[e][i]*(x-mean)))
		}
	}
	s.dev.Write(s.alphas.Grad, 0, grad)
	s.alphas.Touched, s.alphas.Trained = true, true
	_, err := s.adam.Step(s.dev, 3e-4)
	return err
}

func (s *searcher) step() (seconds float64, err error) {
	began := time.Now()
	if err := s.moveAlphas(); err != nil {
		return 0, err
	}
	if err := s.run(s.train, s.mixture()); err != nil {
		return 0, err
	}
	if _, err := s.sgd.Step(s.dev, 0.025); err != nil {
		return 0, err
	}
	return time.Since(began).Seconds(), nil
}

// warm makes the first steps and says their losses.
func (s *searcher) warm() (map[string]any, error) {
	for range warmUp {
		if _, err := s.step(); err != nil {
			return nil, err
		}
	}
	params, _ := s.net.Count()
	return map[string]any{"losses": s.losses, "params": params, "device": s.dev.Name()}, nil
}

// give writes what torch_search.py takes.
func (s *searcher) give(folder string) error {
	var weights, search bytes.Buffer
	if err := s.net.WriteWeights(&weights); err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for i, p := range []*searchPass{s.valid, s.train} {
		name := []string{"valid", "train"}[i]
		tensors = append(tensors, publishedImages(name+".images", p.Input.Values, p.pixels), publishedLabels(name+".labels", p.labels))
	}
	alphas := s.numbers()
	half := len(alphas) / 2
	for i, name := range []string{"alphas.normal", "alphas.reduce"} {
		tensors = append(tensors, safetensors.Tensor{Name: name, Shape: []int{s.alphas.Shape[0] / 2, s.alphas.Shape[1]}, Floats: alphas[i*half : (i+1)*half]})
	}
	if err := safetensors.Write(&search, tensors, nil); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "weights.safetensors"), weights.Bytes(), 0o644),
		os.WriteFile(filepath.Join(folder, "search.safetensors"), search.Bytes(), 0o644))
}

// alphasOnly is the PyTorch that works out no gradients of weights for the alphas' step.
const alphasOnly = "alphas-only"

// startTorchSearch is PyTorch in the faster layout, with the faster gradient of the alphas.
func startTorchSearch(ctx context.Context, folder string) (*stepper, error) {
	ways := []string{contiguous, channelsLast, contiguous + ", " + alphasOnly, channelsLast + ", " + alphasOnly}
	return fasterOf(ways, func(way string) (*stepper, error) {
		args := []string{"--given", folder, "--threads", strconv.Itoa(stepThreads)}
		if way == ways[1] || way == ways[3] {
			args = append(args, "--channels-last")
		}
		if way == ways[2] || way == ways[3] {
			args = append(args, "--alphas-only")
		}
		return startScript(ctx, way, "torch_search.py", args...)
	})
}

func openSearch(ctx context.Context) (*Comparison, error) {
	s, err := newSearcher(1, searchBatch)
	if err != nil {
		return nil, err
	}
	t := twin{start: startTorchSearch}
	t.give = func(folder string) error { return errors.Join(s.give(folder), s.dev.Close()) }
	t.compare = func(ours, peer *stepper) *Comparison {
		return &Comparison{Ours: ours.run, Peer: peer.run, Extra: func(context.Context) (map[string]any, error) {
			return map[string]any{"threads": stepThreads, "batch": searchBatch, "peer_way": peer.layout, "measure": "seconds a step of alphas and weights"}, nil
		}}
	}
	return t.open(ctx, searchStep)
}

// searchBatch is the default of `bench step`.
const searchBatch = 16
