package cpu

import (
	"fmt"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
)

// edge is a network around one mixed edge of the DARTS space: the seven candidates
// that compute something, weighted and added, pooled and classified.
type edge struct {
	dev   nn.Device
	g     *nn.Graph
	draw  *rng.Stream
	x     *nn.Var
	first nn.Weight
}

func (e *edge) weight(tb testing.TB, shape ...int) *nn.Weight {
	p, err := nn.NewParam(e.dev, fmt.Sprint("weight ", shape), shape...)
	if err != nil {
		tb.Fatal(err)
	}
	values := make([]float32, p.Len())
	for i := range values {
		values[i] = float32(e.draw.Float64() - 0.5)
	}
	e.dev.Write(p.Value, 0, values)
	w := p.Whole()
	return &w
}

func (e *edge) norm(c int) *nn.BatchNorm {
	return &nn.BatchNorm{Name: "norm", C: c, Momentum: 0.1, Eps: 1e-5, Mean: make([]float32, c), Var: make([]float32, c)}
}

// block is ReLU, a depthwise and a dense convolution, and a norm.
func (e *edge) block(tb testing.TB, x *nn.Var, k, stride, dilation int) *nn.Conv {
	c, pad := x.Values.Channels.Count(), dilation*(k-1)/2
	return e.g.Conv(nn.Conv{
		X: x, ReLU: true, Depth: e.weight(tb, k*k, c),
		DepthWindow: nn.Window{KH: k, KW: k, StrideH: stride, StrideW: stride, DilationH: dilation, DilationW: dilation, PadH: pad, PadW: pad},
		Dense:       []nn.DensePart{{W: *e.weight(tb, 1, c, c)}}, DenseWindow: nn.Window{KH: 1, KW: 1},
	}, e.norm(c), false)
}

// newEdge builds the network for images of size x size pixels.
func newEdge(tb testing.TB, dev nn.Device, images, size, c, stride int) *edge {
	e := &edge{dev: dev, g: nn.NewGraph(dev, nn.Train), draw: rng.New(1, "edge")}
	x := e.g.Variable(images, size, size, c)
	e.x = x
	window := nn.Window{KH: 3, KW: 3, StrideH: stride, StrideW: stride, PadH: 1, PadW: 1}
	largest := e.g.Pool(nn.Pool{X: x, Max: true, Window: window}, e.norm(c))
	mean := e.g.Pool(nn.Pool{X: x, Window: window}, e.norm(c))
	sep3, sep5 := e.block(tb, x, 3, stride, 1), e.block(tb, x, 5, stride, 1)
	dil3, dil5 := e.block(tb, x, 3, stride, 2), e.block(tb, x, 5, stride, 2)
	e.first = *sep3.Depth
	group, skip := []nn.Op{largest, mean, sep3, sep5, dil3, dil5}, x
	if stride == 2 {
		reduce := e.g.Conv(nn.Conv{X: x, ReLU: true, Dense: []nn.DensePart{
			{W: *e.weight(tb, 1, c, c/2)}, {W: *e.weight(tb, 1, c, c/2), Down: 1, Right: 1},
		}, DenseWindow: nn.Window{KH: 1, KW: 1, StrideH: 2, StrideW: 2}}, e.norm(c), false)
		group, skip = append(group, reduce), reduce.Out
	}
	e.g.Add(group...)
	sep3, sep5 = e.block(tb, sep3.Out, 3, 1, 1), e.block(tb, sep5.Out, 5, 1, 1)
	e.g.Add(sep3, sep5)
	sum := e.g.Sum(nn.Sum{
		Sources:  []*nn.Var{largest.Out, mean.Out, skip, sep3.Out, sep5.Out, dil3.Out, dil5.Out},
		Weights:  []float32{0.11, 0.13, 0.12, 0.14, 0.1, 0.15, 0.125},
		DWeights: make([]float32, 7),
	})
	e.g.Add(sum)
	e.head(tb, sum.Out)
	return e
}

// head ends the network and plans it.
func (e *edge) head(tb testing.TB, v *nn.Var) {
	pool := e.g.GlobalPool(nn.GlobalPool{X: v})
	e.g.Add(pool)
	drop := e.g.Dropout(nn.Dropout{X: pool.Out})
	for i := range drop.Keep {
		drop.Keep[i] = float32(i%5) / 4
	}
	e.g.Add(drop)
	linear := e.g.Linear(nn.Linear{X: drop.Out, W: *e.weight(tb, v.Values.Channels.Count(), 10), B: e.weight(tb, 10)})
	e.g.Add(linear)
	loss := e.g.CrossEntropy(linear.Out, 1)
	for i := range loss.Labels {
		loss.Labels[i] = int32(i % 10)
	}
	e.g.Add(loss)
	if err := e.g.Plan(); err != nil {
		tb.Fatal(err)
	}
	t := e.x.Values
	pixels := make([]float32, t.N*t.Image())
	for i := range pixels {
		if i%t.Pix < t.Channels.Count() {
			pixels[i] = float32(e.draw.Float64() - 0.5)
		}
	}
	if err := e.g.SetInput(e.x, pixels); err != nil {
		tb.Fatal(err)
	}
}

func (e *edge) forward(tb testing.TB) {
	if err := e.g.Forward(); err != nil {
		tb.Fatal(err)
	}
}

func (e *edge) backward(tb testing.TB) {
	if err := e.g.Backward(); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkMixedEdge is the edge of the search network's first cells: 16 images of
// 32 x 32 pixels and 16 channels.
func BenchmarkMixedEdge(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, stride := range []int{1, 2} {
			d, err := New(threads)
			if err != nil {
				b.Fatal(err)
			}
			e := newEdge(b, d, 16, 32, 16, stride)
			b.Run(fmt.Sprintf("forward/stride %d/%d threads", stride, threads), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					e.forward(b)
				}
				b.ReportMetric(float64(b.N)*2*float64(e.g.MultAdds())/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
			e.forward(b)
			b.Run(fmt.Sprintf("backward/stride %d/%d threads", stride, threads), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					e.backward(b)
				}
				b.ReportMetric(float64(b.N)*4*float64(e.g.MultAdds())/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
			if err := d.Close(); err != nil {
				b.Error(err)
			}
		}
	}
}
