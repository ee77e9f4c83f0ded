package net

import (
	"fmt"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// BenchmarkPath is what a search does for every batch of images: a random path of the
// supernet of five interior vertices is built and planned, and run.
func BenchmarkPath(b *testing.B) {
	n, err := space.NASBench101(7)
	if err != nil {
		b.Fatal(err)
	}
	var cells []*space.Cell
	draw := rng.New(1268, "cells")
	for range 64 {
		cells = append(cells, n.Sample(draw).(*space.Cell))
	}
	for _, mode := range []nn.Mode{nn.Train, nn.Evaluate} {
		for _, run := range []bool{false, true} {
			b.Run(fmt.Sprintf("mode=%d/run=%v", mode, run), func(b *testing.B) {
				dev := openCPU(b, 2)
				s, err := NewNASBenchSupernet(dev, 5, Config{Channels: 16})
				if err != nil {
					b.Fatal(err)
				}
				s.Initialise(1)
				opt := nn.Optimiser{Rule: nn.SGD, Params: s.Params(), Momentum: 0.9, Decay: 3e-4, ClipNorm: 5}
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					p := mustPath(b, s, cells[i%len(cells)], mode, 64)
					if !run {
						continue
					}
					loadNoise(b, p, 1)
					mustRun(b, p)
					if mode != nn.Train {
						continue
					}
					if _, err := opt.Step(dev, 0.025); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
