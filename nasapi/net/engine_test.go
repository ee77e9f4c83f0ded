package net

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/nn/cpu/kernel"
	"evalnas/nasapi/rng"
)

func openCPU(t testing.TB, threads int) nn.Device {
	t.Helper()
	dev, err := cpu.New(threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// plan builds and plans a pass with the case's images and labels.
func (c torchCase) plan(t testing.TB, n *Network, mode nn.Mode, batch int) *Pass {
	t.Helper()
	p := mustBuild(t, n, mode, batch)
	if err := p.Graph.Plan(); err != nil {
		t.Fatal(err)
	}
	c.load(t, n, p, 0)
	return p
}

// load gives a pass the images and labels of a step.
func (c torchCase) load(t testing.TB, n *Network, p *Pass, step int) {
	t.Helper()
	if err := p.Graph.SetInput(p.Input, c.pixels(p.Input.Values, step)); err != nil {
		t.Fatal(err)
	}
	if err := p.SetLabels(c.labels(p.Batch(), n.Config().Classes, step)); err != nil {
		t.Fatal(err)
	}
}

// The constants are PyTorch's, in float64: see testdata/torch_losses.py. A loss of a
// network in float32 was within 6e-7 of it when this was written, a gradient's norm
// within 2e-5 (a ReLU or a maximum near a tie may turn).
func TestLossesAndGradientsArePyTorchs(t *testing.T) {
	var want map[string]map[string]float64
	readJSON(t, "testdata/torch_losses.json", &want)
	cases := torchCases(t)
	if len(want) != len(cases)+len(stepCases(t)) {
		t.Fatalf("%d cases, %d of PyTorch's", len(cases)+len(stepCases(t)), len(want))
	}
	dev := openCPU(t, 2)
	for name, c := range cases {
		n := c.prepare(t, dev)
		near := func(what string, got, tolerance float64) {
			if w, known := want[name][what]; !known || !(math.Abs(got-w) <= tolerance*(1+math.Abs(w))) {
				t.Errorf("%s: %s is %v, PyTorch's %v", name, what, got, w)
			}
		}
		evaluate := c.plan(t, n, nn.Evaluate, torchBatch)
		if err := evaluate.Graph.Forward(); err != nil {
			t.Fatal(err)
		}
		near("evaluate", evaluate.Loss.Loss, 5e-6)
		train := c.plan(t, n, nn.Train, torchBatch)
		if err := train.Graph.Forward(); err != nil {
			t.Fatal(err)
		}
		if err := train.Graph.Backward(); err != nil {
			t.Fatal(err)
		}
		near("train", train.Loss.Loss, 5e-6)
		if train.Auxiliary != nil {
			near("auxiliary", train.Auxiliary.Loss, 5e-6)
		}
		near("gradient", math.Sqrt(dev.SquaredNorm(n.Params())), 1e-4)
		for _, p := range []string{"stem.0.weight", "classifier.bias"} {
			near("gradient of "+p, math.Sqrt(dev.SquaredNorm([]*nn.Param{n.Param(p)})), 1e-4)
		}
	}
}

// Twenty steps from the same weights on the same batches have PyTorch's losses, within
// a thousandth of each.
func TestTwentyStepsArePyTorchs(t *testing.T) {
	var want map[string]map[string]float64
	readJSON(t, "testdata/torch_losses.json", &want)
	dev := openCPU(t, 2)
	for name, c := range stepCases(t) {
		n := c.prepare(t, dev)
		p := c.plan(t, n, nn.Train, stepsBatch)
		opt, rate := nn.Optimiser{Rule: nn.SGD, Params: n.Params(), Momentum: 0.9, Decay: 3e-4, ClipNorm: 5}, 0.0002
		if name == "steps-nasbench" {
			opt, rate = nn.Optimiser{Rule: nn.RMSPropTF, Params: n.Params(), Momentum: 0.9, Alpha: 0.9, Decay: 1e-4, Eps: 1, MeanSquare0: 1}, 0.00002
		}
		for step := range 20 {
			c.load(t, n, p, step)
			if err := p.Graph.Forward(); err != nil {
				t.Fatal(err)
			}
			if err := p.Graph.Backward(); err != nil {
				t.Fatal(err)
			}
			if _, err := opt.Step(dev, rate); err != nil {
				t.Fatal(err)
			}
			w, known := want[name][fmt.Sprintf("step %d", step)]
			if got := p.TotalLoss(); !known || !(math.Abs(got-w) <= 1e-3*w) {
				t.Errorf("%s: the loss of step %d is %v, PyTorch's %v", name, step, got, w)
			}
		}
		evaluate := c.plan(t, n, nn.Evaluate, stepsBatch)
		if err := evaluate.Graph.Forward(); err != nil {
			t.Fatal(err)
		}
		if got, w := evaluate.Loss.Loss, want[name]["evaluate"]; !(math.Abs(got-w) <= 1e-3*w) {
			t.Errorf("%s: the loss of evaluation after the last step is %v, PyTorch's %v", name, got, w)
		}
	}
}

// Ten steps with everything on leave the same bits on any number of threads and with
// any set of kernels.
func TestTrainingLeavesTheSameBitsEverywhere(t *testing.T) {
	for _, c := range []torchCase{
		{everything(t), Config{Channels: 4, Cells: 3, Height: 12, Width: 9, Auxiliary: true}},
		{residual(t), Config{Channels: 8, Cells: 3, Height: 11, Width: 8}},
	} {
		first, losses := trainTenSteps(t, c, openCPU(t, 1))
		devices := []nn.Device{openCPU(t, 2), openCPU(t, 3), openCPU(t, 8)}
		for _, set := range kernel.Available() {
			dev, err := cpu.NewWith(set, 2)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { dev.Close() })
			devices = append(devices, dev)
		}
		for _, dev := range devices {
			if state, seen := trainTenSteps(t, c, dev); seen != losses || !reflect.DeepEqual(state, first) {
				t.Errorf("%v: %s leaves other bits than one thread: losses %s, not %s", c.arch, dev.Name(), seen, losses)
			}
		}
	}
}

func trainTenSteps(t *testing.T, c torchCase, dev nn.Device) (State, string) {
	t.Helper()
	n := c.prepare(t, dev)
	p := c.plan(t, n, nn.Train, torchBatch)
	opt := nn.Optimiser{Rule: nn.SGD, Params: n.Params(), Momentum: 0.9, Decay: 3e-4, ClipNorm: 5}
	masks := rng.New(7, "masks")
	losses := ""
	for range 10 {
		if err := p.SetDropPath(masks, 0.2); err != nil {
			t.Fatal(err)
		}
		if err := p.Graph.Forward(); err != nil {
			t.Fatal(err)
		}
		if err := p.Graph.Backward(); err != nil {
			t.Fatal(err)
		}
		if _, err := opt.Step(dev, 0.025); err != nil {
			t.Fatal(err)
		}
		losses += fmt.Sprintf(" %x", p.TotalLoss())
	}
	return n.State(), losses
}
