package cpu

import (
	"testing"

	"evalnas/nasapi/host"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
	"evalnas/nasapi/nn/nntest"
)

func open(t *testing.T, set kernel.Set, threads int) nn.Device {
	t.Helper()
	d, err := NewWith(set, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// The other sets and numbers of threads give the same bits, so one is enough here.
func TestDevice(t *testing.T) {
	set, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	nntest.Run(t, func(t *testing.T) nn.Device { return open(t, set, 2) })
}

// No bit depends on the number of threads or the set of kernels.
func TestSameBits(t *testing.T) {
	var devices []nn.Device
	counts := []int{1, 2, 3, 8}
	if testing.Short() {
		counts = []int{1, 3}
	}
	for _, set := range kernel.Available() {
		for _, threads := range counts {
			devices = append(devices, open(t, set, threads))
		}
	}
	nntest.SameBits(t, devices...)
}

func TestNoThreadsAreRefused(t *testing.T) {
	if _, err := New(0); err == nil {
		t.Error("a device of no threads was opened")
	}
}

func TestTooMuchMemoryIsRefused(t *testing.T) {
	if _, known := host.FreeMemory(); !known {
		t.Skip("this system does not say how much memory is free")
	}
	if _, err := open(t, kernel.Generic, 1).NewMemory(1 << 50); err == nil {
		t.Error("a petabyte was promised")
	}
}

// A step allocates nothing once every operator has run: what a worker needs grows in
// the first steps, whichever of them take the large tasks.
func TestStepsAllocateNothing(t *testing.T) {
	for _, stride := range []int{1, 2} {
		for _, threads := range []int{1, 3} {
			set, err := kernel.Best()
			if err != nil {
				t.Fatal(err)
			}
			dev := open(t, set, threads)
			e := newEdge(t, dev, 5, 8, 8, stride)
			params := []*nn.Param{e.first.Param}
			slot, err := dev.NewMemory(e.first.Len())
			if err != nil {
				t.Fatal(err)
			}
			updates := []nn.Update{{Param: e.first.Param, Slots: [2]nn.Memory{slot}, Rate: 0.1, Momentum: 0.9, Clip: 1}}
			step := func() {
				e.forward(t)
				e.backward(t)
				dev.SquaredNorm(params)
				dev.Update(nn.SGD, updates)
			}
			for range 20 {
				step()
			}
			if n := testing.AllocsPerRun(20, step); n >= 1 {
				t.Errorf("stride %d, %d threads: %v allocations a step", stride, threads, n)
			}
		}
	}
}
