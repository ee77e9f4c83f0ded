package main

import (
	"strings"
	"testing"

	"evalnas/nasapi/jobs/gpu"
)

func TestSayGPUs(t *testing.T) {
	two := []gpu.GPU{{Index: 0, UUID: "GPU-a", Name: "NVIDIA A100", Memory: 40 << 30}, {Index: 1, UUID: "GPU-b", Name: "NVIDIA T4"}}
	const unused = "present and unused: the engine computes on processors, and a GPU is offered only to work that can use one"
	for _, c := range []struct {
		present, offered []gpu.GPU
		want             string
	}{
		{nil, nil, "none found, and none is needed: the engine computes on processors"},
		{two, two, "0 NVIDIA A100 (40.0 GiB), 1 NVIDIA T4; " + unused},
		{two, two[1:], unused + "; of these only 1 NVIDIA T4, by EVALNAS_GPUS"},
		{two, nil, unused + "; here not even to that, by EVALNAS_GPUS"},
	} {
		if got := sayGPUs(c.present, c.offered); !strings.HasPrefix(got, c.want) && !strings.Contains(got, "; "+c.want) {
			t.Errorf("%v of %v: %q does not say %q", c.offered, c.present, got, c.want)
		}
	}
}

func TestDescribeGPUsPassesAFaultOn(t *testing.T) {
	t.Setenv("EVALNAS_GPUS", "some")
	if said, err := describeGPUs(t.Context()); err == nil {
		t.Errorf("EVALNAS_GPUS=some is let pass: %s", said)
	}
}
