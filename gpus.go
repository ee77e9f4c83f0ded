package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"evalnas/nasapi/jobs/gpu"
)

// describeGPUs is what evalnas doctor says of the GPUs of this host.
func describeGPUs(ctx context.Context) (string, error) {
	present, err := gpu.Find(ctx)
	if err != nil {
		return "", err
	}
	offered, err := gpu.Offered(present, os.LookupEnv)
	if err != nil {
		return "", err
	}
	return sayGPUs(present, offered), nil
}

// sayGPUs tells of those present, and of those offered where these are not the same.
func sayGPUs(present, offered []gpu.GPU) string {
	const engine = "the engine computes on processors"
	if len(present) == 0 {
		return "none found, and none is needed: " + engine
	}
	text := listGPUs(present) + "; present and unused: " + engine + ", and a GPU is offered only to work that can use one"
	switch {
	case len(offered) == 0:
		text += "; here not even to that, by EVALNAS_GPUS or CUDA_VISIBLE_DEVICES"
	case !slices.Equal(present, offered):
		text += "; of these only " + listGPUs(offered) + ", by EVALNAS_GPUS or CUDA_VISIBLE_DEVICES"
	}
	return text
}

func listGPUs(gpus []gpu.GPU) string {
	var list []string
	for _, g := range gpus {
		list = append(list, fmt.Sprint(g))
	}
	return strings.Join(list, ", ")
}
