package net

import (
	"reflect"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/nn/cpu/kernel"
)

// TestFrozenMixturesHaveTheSameBits holds a mixture's gradient of a pass that leaves the
// parameters alone to that of one that works out theirs too, with fewer and with more
// images than there are chunks.
func TestFrozenMixturesHaveTheSameBits(t *testing.T) {
	for _, set := range kernel.Available() {
		for threads := 1; threads <= 3; threads += 2 {
			dev, err := cpu.NewWith(set, threads)
			if err != nil {
				t.Fatal(err)
			}
			darts, err := NewSupernet(dev, Config{Height: 8, Width: 8, Channels: 4, Cells: 4, Classes: 4, BatchStatistics: true})
			if err != nil {
				t.Fatal(err)
			}
			darts.Initialise(1)
			nasbench := smallMixture(t, dev, 4)
			for _, batch := range []int{6, 37} {
				sameFrozen(t, dev, darts.Params(), func(mode nn.Mode) Mixing {
					p, err := darts.Build(mode, batch)
					if err != nil {
						t.Fatal(err)
					}
					if err := p.Graph.Plan(); err != nil {
						t.Fatal(err)
					}
					return p
				})
				sameFrozen(t, dev, nasbench.Params(), func(mode nn.Mode) Mixing { return mustMix(t, nasbench, mode, batch) })
			}
			if err := dev.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func sameFrozen(t *testing.T, dev nn.Device, params []*nn.Param, build func(nn.Mode) Mixing) {
	t.Helper()
	run := func(mode nn.Mode) (loss float64, grad [][]float64) {
		m := build(mode)
		if err := m.SetMixture(uneven(m.Shape())); err != nil {
			t.Fatal(err)
		}
		p := m.Base()
		loadNoise(t, p, 5)
		mustRun(t, p)
		return p.Loss.Loss, m.MixtureGrad()
	}
	loss, grad := run(nn.Frozen)
	for _, p := range params {
		if p.Touched || p.Trained {
			t.Errorf("%s: %s was touched", dev.Name(), p.Name)
		}
		for _, x := range readMemory(dev, p.Grad) {
			if x != 0 {
				t.Errorf("%s: %s has a gradient", dev.Name(), p.Name)
				break
			}
		}
	}
	wantLoss, want := run(nn.Recalibrate)
	if loss != wantLoss || !reflect.DeepEqual(grad, want) {
		t.Errorf("%s: the loss is %v and the gradient %v, not %v and %v", dev.Name(), loss, grad, wantLoss, want)
	}
	for _, p := range params {
		if !p.Touched {
			t.Errorf("%s: %s was not touched by a pass that is not frozen", dev.Name(), p.Name)
		}
		p.Trained = false
	}
	nn.ClearGradients(dev, params)
}
