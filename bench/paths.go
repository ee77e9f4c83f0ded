package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"evalnas/nasapi/net"
	"evalnas/nasapi/net/safetensors"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// A supernet of NASBench-101 (five interior vertices, stem 16) beside one in PyTorch,
// torch_paths.py: a training step of one path, as SPOS makes one for every batch, and
// the ranking of a pool of architectures by their losses on a batch.

func init() {
	for work := range pathWorks {
		register(Benchmark{Name: work, Unit: "s", Want: 3, Open: func(ctx context.Context) (*Comparison, error) { return openPaths(ctx, work) }})
	}
}

// pathWorks are the works with their numbers of cells.
var pathWorks = map[string]int{"spos-step": 8, "rank-pool": 200}

const (
	pathBatch    = 64
	pathInterior = 5
	pathChannels = 16
	pathLosses   = 8 // LOSSES in torch_paths.py
)

// paths is a supernet with cells that take turns on one batch.
type paths struct {
	dev    nn.Device
	net    *net.NASBenchSupernet
	mode   nn.Mode
	cells  []*space.Cell
	input  *nn.Tensor
	pixels []float32
	labels []int32
	opt    *nn.Optimiser
}

func newPaths(work string, threads int) (*paths, error) {
	dev, err := cpu.New(threads)
	if err != nil {
		return nil, err
	}
	s, err := net.NewNASBenchSupernet(dev, pathInterior, net.Config{Channels: pathChannels})
	if err != nil {
		return nil, err
	}
	s.Initialise(0)
	p := &paths{dev: dev, net: s, mode: nn.Evaluate}
	if work == "spos-step" {
		p.mode = nn.Train
	}
	p.opt = &nn.Optimiser{Rule: nn.SGD, Params: s.Params(), Momentum: 0.9, Decay: 3e-4, ClipNorm: 5}
	if p.cells, err = drawCells(pathWorks[work]); err != nil {
		return nil, err
	}
	first, err := s.Path(p.cells[0], p.mode, pathBatch)
	if err != nil {
		return nil, err
	}
	p.input = first.Input.Values
	p.pixels, p.labels = randomBatch(first, "bench")
	return p, nil
}

// drawCells draws cells with five interior vertices.
func drawCells(n int) ([]*space.Cell, error) {
	all, err := space.NASBench101(pathInterior + 2)
	if err != nil {
		return nil, err
	}
	var cells []*space.Cell
	for s := rng.New(0, "bench cells"); len(cells) < n; {
		if c := all.Sample(s).(*space.Cell); c.Vertices() == pathInterior+2 {
			cells = append(cells, c)
		}
	}
	return cells, nil
}

// run is a cell's pass on the batch, forward and, in training, backward.
func (p *paths) run(c *space.Cell, mode nn.Mode) (*net.Pass, error) {
	pass, err := p.net.Path(c, mode, pathBatch)
	if err != nil {
		return nil, err
	}
	if err := pass.Graph.SetInput(pass.Input, p.pixels); err != nil {
		return nil, err
	}
	if err := pass.SetLabels(p.labels); err != nil {
		return nil, err
	}
	if err := pass.Graph.Forward(); err != nil || mode == nn.Evaluate {
		return pass, err
	}
	return pass, pass.Graph.Backward()
}

// losses are those of the first cells.
func (p *paths) losses() ([]float64, error) {
	var all []float64
	for _, c := range p.cells[:pathLosses] {
		pass, err := p.run(c, nn.Evaluate)
		if err != nil {
			return nil, err
		}
		all = append(all, pass.Loss.Loss)
	}
	return all, nil
}

// step takes all cells in turn.
func (p *paths) step() (seconds float64, err error) {
	began := time.Now()
	for _, c := range p.cells {
		if _, err := p.run(c, p.mode); err != nil {
			return 0, err
		}
		if p.mode != nn.Train {
			continue
		}
		if _, err := p.opt.Step(p.dev, 0.025); err != nil {
			return 0, err
		}
	}
	return time.Since(began).Seconds(), nil
}

// warm makes the process ready and says what it is.
func (p *paths) warm() (map[string]any, error) {
	losses, err := p.losses()
	if err != nil {
		return nil, err
	}
	if p.mode == nn.Train {
		if _, err := p.step(); err != nil {
			return nil, err
		}
	}
	params, _ := p.net.Count()
	return map[string]any{"losses": losses, "params": params, "device": p.dev.Name()}, nil
}

// give writes what torch_paths.py takes.
func (p *paths) give(folder string) error {
	write := func(name string, data []byte) error { return os.WriteFile(filepath.Join(folder, name), data, 0o644) }
	var weights, batch bytes.Buffer
	if err := p.net.WriteWeights(&weights); err != nil {
		return err
	}
	tensors := []safetensors.Tensor{publishedImages("images", p.input, p.pixels), publishedLabels("labels", p.labels)}
	if err := safetensors.Write(&batch, tensors, nil); err != nil {
		return err
	}
	cells, err := json.Marshal(p.cells)
	if err != nil {
		return err
	}
	return errors.Join(write("weights.safetensors", weights.Bytes()), write("batch.safetensors", batch.Bytes()), write("cells.json", cells))
}

// publishedImages is a batch in PyTorch's order.
func publishedImages(name string, in *nn.Tensor, pixels []float32) safetensors.Tensor {
	colours, area := in.Channels.Count(), in.H*in.W
	images := safetensors.Tensor{Name: name, Shape: []int{in.N, colours, in.H, in.W}}
	for i := range in.N * colours * area {
		image, colour, pixel := i/area/colours, i/area%colours, i%area
		images.Floats = append(images.Floats, pixels[(image*area+pixel)*in.Pix+colour])
	}
	return images
}

func publishedLabels(name string, all []int32) safetensors.Tensor {
	labels := safetensors.Tensor{Name: name, Shape: []int{len(all)}}
	for _, l := range all {
		labels.Ints = append(labels.Ints, int64(l))
	}
	return labels
}

// startTorchPaths is PyTorch in the layout that is the faster one of two.
func startTorchPaths(ctx context.Context, work, folder string) (*stepper, error) {
	return fasterOf(layouts, func(layout string) (*stepper, error) {
		args := []string{work, "--given", folder, "--threads", strconv.Itoa(stepThreads)}
		if layout == channelsLast {
			args = append(args, "--channels-last")
		}
		return startScript(ctx, layout, "torch_paths.py", args...)
	})
}

// sameLosses holds the two sides' first losses to each other.
func sameLosses(ours, peer *stepper) error {
	if len(ours.losses) == 0 || len(peer.losses) != len(ours.losses) {
		return fmt.Errorf("%d losses of ours and %d of PyTorch's", len(ours.losses), len(peer.losses))
	}
	for i, l := range ours.losses {
		if !(math.Abs(l-peer.losses[i]) <= 1e-3) {
			return fmt.Errorf("loss %d is %v, PyTorch's %v", i, l, peer.losses[i])
		}
	}
	return nil
}

// perCell is a run's seconds for each cell.
func (s *stepper) perCell(cells int) func(context.Context, int) (float64, error) {
	return func(context.Context, int) (float64, error) {
		time.Sleep(settling)
		seconds, err := s.step()
		return seconds / float64(cells), err
	}
}

func openPaths(ctx context.Context, work string) (*Comparison, error) {
	p, err := newPaths(work, 1)
	if err != nil {
		return nil, err
	}
	var t twin
	t.give = func(folder string) error { return errors.Join(p.give(folder), p.dev.Close()) }
	t.start = func(ctx context.Context, folder string) (*stepper, error) { return startTorchPaths(ctx, work, folder) }
	t.compare = func(ours, peer *stepper) *Comparison {
		cells := pathWorks[work]
		return &Comparison{Ours: ours.perCell(cells), Peer: peer.perCell(cells), Extra: func(context.Context) (map[string]any, error) {
			return map[string]any{"threads": stepThreads, "batch": pathBatch, "cells": cells, "peer_layout": peer.layout, "measure": "seconds an architecture"}, nil
		}}
	}
	return t.open(ctx, work)
}

// twin is a peer that is given our weights and batches in a folder.
type twin struct {
	give    func(folder string) error
	start   func(ctx context.Context, folder string) (*stepper, error)
	compare func(ours, peer *stepper) *Comparison
}

// open starts both sides and holds the twin's first losses to ours.
func (t twin) open(ctx context.Context, work string) (c *Comparison, err error) {
	folder, err := os.MkdirTemp("", "evalnas-bench")
	if err != nil {
		return nil, err
	}
	closing := []func() error{func() error { return os.RemoveAll(folder) }}
	closeAll := func() error {
		var all []error
		for _, f := range closing {
			all = append(all, f())
		}
		return errors.Join(all...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	if err := t.give(folder); err != nil {
		return nil, err
	}
	peer, err := t.start(ctx, folder)
	if err != nil {
		return nil, err
	}
	closing = append(closing, peer.close)
	ours, err := startOurs(ctx, work, stepThreads)
	if err != nil {
		return nil, err
	}
	closing = append(closing, ours.close)
	if err := sameLosses(ours, peer); err != nil {
		return nil, err
	}
	c = t.compare(ours, peer)
	c.PeerKind, c.Close = "twin", closeAll
	return c, nil
}
