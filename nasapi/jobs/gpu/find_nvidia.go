//go:build nvidia

package gpu

import (
	"context"
	"fmt"

	"gorgonia.org/cu"

	"evalnas/nasapi/jobs/gpu/cudaenv"
)

func init() { cudaenv.Restore() }

// Find returns the GPUs that this host has, whatever the environment says of
// them (see Offered).
func Find(ctx context.Context) ([]GPU, error) {
	n, err := cu.NumDevices()
	if err != nil {
		return nil, trouble(fmt.Errorf("CUDA's driver does not count the GPUs: %w", err))
	}
	var found []GPU
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		g, err := describe(i)
		if err != nil {
			return nil, trouble(fmt.Errorf("CUDA's driver does not describe GPU %d: %w", i, err))
		}
		found = append(found, g)
	}
	return found, nil
}

func describe(index int) (GPU, error) {
	g := GPU{Index: index}
	device, err := cu.GetDevice(index)
	if err != nil {
		return g, err
	}
	if g.Name, err = device.Name(); err != nil {
		return g, err
	}
	if g.Memory, err = device.TotalMem(); err != nil {
		return g, err
	}
	id, err := device.UUID()
	g.UUID = "GPU-" + id.String() // as nvidia-smi writes it
	return g, err
}
