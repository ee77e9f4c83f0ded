package net

import (
	"math"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
)

// TestDropPathsGradientIsTheLosssSlope holds the gradient of a network whose edges are
// dropped to differences of the loss along it.
func TestDropPathsGradientIsTheLosssSlope(t *testing.T) {
	dev := openCPU(t, 2)
	for name, drop := range map[string]float64{"none": 0, "a third": 1.0 / 3} {
		c := torchCase{genotypes(t)["darts_1268"], Config{Channels: 8, Cells: 3, Height: 16, Width: 16}}
		n := c.prepare(t, dev)
		p := c.plan(t, n, nn.Train, 24)
		if err := p.SetDropPath(rng.New(5, "drop"), drop); err != nil {
			t.Fatal(err)
		}
		loss := func() float64 {
			if err := p.Graph.Forward(); err != nil {
				t.Fatal(err)
			}
			return p.Loss.Loss
		}
		loss()
		if err := p.Graph.Backward(); err != nil {
			t.Fatal(err)
		}
		square := dev.SquaredNorm(n.Params())
		grads, values := map[*nn.Param][]float32{}, map[*nn.Param][]float32{}
		for _, q := range n.Params() {
			grads[q], values[q] = make([]float32, q.Len()), make([]float32, q.Len())
			dev.Read(grads[q], q.Grad, 0)
			dev.Read(values[q], q.Value, 0)
		}
		move := func(by float64) float64 {
			for _, q := range n.Params() {
				moved := make([]float32, q.Len())
				for i := range moved {
					moved[i] = values[q][i] + float32(by)*grads[q][i]
				}
				dev.Write(q.Value, 0, moved)
			}
			return loss()
		}
		h := 1e-3 / square
		slope := (move(h) - move(-h)) / (2 * h)
		t.Logf("%s: square %v, slope %v", name, square, slope)
		if math.Abs(slope-square) > 0.02*square {
			t.Errorf("dropping %s: the gradient's square is %v, the loss's slope along it %v", name, square, slope)
		}
	}
}
