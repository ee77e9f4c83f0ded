// Package gpu finds the NVIDIA GPUs of this host, says which of them may be
// offered, and what binds a process to one of them.
//
//	gpus, err := gpu.Offer(ctx)                        // those that the user left to us
//	lock := filepath.Join(dir, gpus[0].LockName())     // one job a GPU, host-wide
//	for name, value := range gpu.Environment(gpus[0]) { ... }   // of the job's process
//
// Find returns all that the host has, Offered (offer.go) which of them jobs may be
// given; Offer is both. Find asks the program nvidia-smi (smi.go), which comes
// with the driver; where there is none, there are no GPUs and no error. So the
// usual build stays static and needs no C. A build with the tag nvidia
// (find_nvidia.go) asks the driver itself, through gorgonia.org/cu:
//
//	CGO_ENABLED=1 CGO_CFLAGS=-I/folder/of/cuda.h go build -tags nvidia .
//
// It takes CUDA 12's headers, not CUDA 13's.
//
// # Traps
//
// A GPU is named by its UUID. Its index is nvidia-smi's, in the order of the
// bus; CUDA may number the GPUs of a mixed host otherwise.
//
// A program built with the tag nvidia needs a driver that works: without
// libcuda it does not start, and where the driver cannot be initialised
// gorgonia.org/cu ends it with exit status 1 before main runs.
// CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER are hidden from the driver meanwhile
// (cudaenv), so this process sees every GPU; choose one by its UUID.
//
// A GPU that is split (MIG) is offered as one, and a job that is bound to it gets
// its first part. The parts are offered one by one where CUDA_VISIBLE_DEVICES
// names them. In a build with the tag nvidia CUDA shows a split GPU alone.
package gpu

import (
	"fmt"
	"strconv"
	"strings"
)

// GPU is a GPU of this host, or a part of one that is split.
type GPU struct {
	Index  int    // as nvidia-smi counts; that of the whole for a part
	UUID   string // "GPU-..." or "MIG-..."; "" where the driver does not tell
	Name   string
	Memory int64 // bytes; 0 where the driver does not tell
}

// String is how people are shown the GPU.
func (g GPU) String() string {
	text := fmt.Sprintf("%d %s", g.Index, g.Name)
	if g.Memory > 0 {
		text += fmt.Sprintf(" (%.1f GiB)", float64(g.Memory)/(1<<30))
	}
	return text
}

// id names the GPU to CUDA.
func (g GPU) id() string {
	if g.UUID == "" {
		return strconv.Itoa(g.Index)
	}
	return g.UUID
}

// Environment is what binds a process to the GPUs, by name; without any it hides them
// all. The order is set too: some programs look devices up in nvidia-smi by CUDA's number.
func Environment(gpus ...GPU) map[string]string {
	var ids []string
	for _, g := range gpus {
		ids = append(ids, g.id())
	}
	return map[string]string{"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": strings.Join(ids, ",")}
}

// LockName names the file that whoever uses the GPU locks. It is the same on
// every start and for every way of finding the GPU, and fit for any file system.
func (g GPU) LockName() string {
	return "gpu-" + strings.Map(func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_' // the older names of a part have slashes
	}, g.id())
}

// trouble says what to do about a driver that does not do its work.
func trouble(err error) error {
	return fmt.Errorf("%w; run nvidia-smi by hand and repair the driver, or set EVALNAS_GPUS=none to work without GPUs", err)
}
