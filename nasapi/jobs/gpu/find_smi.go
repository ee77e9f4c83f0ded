//go:build !nvidia

package gpu

import (
	"context"
	"os/exec"
)

// Find returns the GPUs that this host has, whatever the environment says of
// them (see Offered). It takes up to some seconds where nobody uses them.
func Find(ctx context.Context) ([]GPU, error) {
	program, err := exec.LookPath("nvidia-smi")
	if err != nil {
		return nil, nil // it comes with the driver: no driver, no GPU to use
	}
	return ask(ctx, program, patience)
}
