// Package device opens the engine's devices: the one place that knows which there are.
package device

import (
	"runtime"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
)

// Open opens the processor with so many threads; 0 is as many as the Go runtime uses,
// which a job's slot sets (GOMAXPROCS).
func Open(threads int) (nn.Device, error) {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return cpu.New(threads)
}
