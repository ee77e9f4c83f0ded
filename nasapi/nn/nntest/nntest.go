// Package nntest holds every device of the engine to the same suite.
//
//	func TestDevice(t *testing.T) { nntest.Run(t, func(t *testing.T) nn.Device { ... }) }
//
// [Run] compares the loss, every stored value, every gradient and the running
// statistics of small graphs of each operator with a reference in float64 that is
// written the plainest way and differentiated by differences. [SameBits] compares
// devices with each other, bit by bit: thread counts, kernel sets.
package nntest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
)

// builder makes one case's graph on one device.
type builder struct {
	dev    nn.Device
	mode   nn.Mode
	g      *nn.Graph
	draw   *rng.Stream
	ops    []nn.Op
	inputs []*nn.Var
	pixels [][]float32 // of each input, without padding
	params []*nn.Param
	start  [][]float32
	norms  []*nn.BatchNorm
	parts  map[*nn.Var][]*nn.Var
	sums   []*nn.Sum // whose weights have a gradient
}

func newBuilder(dev nn.Device, mode nn.Mode, seed int64) *builder {
	return &builder{dev: dev, mode: mode, g: nn.NewGraph(dev, mode), draw: rng.New(seed, "nntest"), parts: map[*nn.Var][]*nn.Var{}}
}

// numbers draws n values spread over -1..1 that are far from zero and from each
// other, so that differences meet no kink of a ReLU or a maximum.
func (b *builder) numbers(n int, scale float64) []float32 {
	x := make([]float32, n)
	for i, place := range b.draw.Perm(n) {
		x[i] = float32(scale * (2*(float64(place)+0.25+0.5*b.draw.Float64())/float64(n) - 1))
	}
	return x
}

func (b *builder) variable(n, h, w, c int) *nn.Var {
	v := b.g.Variable(n, h, w, c)
	b.inputs = append(b.inputs, v)
	b.pixels = append(b.pixels, b.numbers(n*h*w*c, 2))
	return v
}

// input is a value without a gradient.
func (b *builder) input(n, h, w, c int) *nn.Var {
	v := b.g.Input(n, h, w, c)
	b.inputs = append(b.inputs, v)
	b.pixels = append(b.pixels, b.numbers(n*h*w*c, 2))
	return v
}

func (b *builder) param(shape ...int) *nn.Param {
	p, err := nn.NewParam(b.dev, fmt.Sprintf("p%d", len(b.params)), shape...)
	if err != nil {
		panic(err)
	}
	values := b.numbers(p.Len(), 0.8)
	b.dev.Write(p.Value, 0, values)
	b.params = append(b.params, p)
	b.start = append(b.start, values)
	return p
}

func (b *builder) weight(shape ...int) nn.Weight { return b.param(shape...).Whole() }

func (b *builder) norm(c int, affine bool) *nn.BatchNorm {
	bn := &nn.BatchNorm{Name: "norm", C: c, Momentum: 0.1, Eps: 1e-5, Mean: b.numbers(c, 0.5), Var: make([]float32, c)}
	for i := range bn.Var {
		bn.Var[i] = float32(0.5 + b.draw.Float64())
	}
	if affine {
		bn.Gamma, bn.Beta = b.param(c), b.param(c)
	}
	b.norms = append(b.norms, bn)
	return bn
}

func (b *builder) add(ops ...nn.Op) {
	b.g.Add(ops...)
	b.ops = append(b.ops, ops...)
}

// conv adds a convolution block by itself.
func (b *builder) conv(c nn.Conv, bn *nn.BatchNorm, act bool) *nn.Var {
	op := b.g.Conv(c, bn, act)
	b.add(op)
	return op.Out
}

func (b *builder) sum(s nn.Sum) *nn.Var {
	op := b.g.Sum(s)
	if op.Weights != nil && op.DWeights == nil && b.mode != nn.Evaluate {
		op.DWeights = make([]float32, len(op.Weights))
	}
	if op.DWeights != nil {
		b.sums = append(b.sums, op)
	}
	b.add(op)
	return op.Out
}

// head ends a graph in a loss that weighs every pixel and channel differently: a
// dense convolution whose window is the whole image.
func (b *builder) head(v *nn.Var) {
	t := v.Values
	const classes = 5
	logits := b.conv(nn.Conv{
		X:           v,
		Dense:       []nn.DensePart{{W: b.weight(t.H*t.W, t.Channels.Count(), classes)}},
		DenseWindow: nn.Window{KH: t.H, KW: t.W},
	}, nil, false)
	loss := b.g.CrossEntropy(logits, 0.7)
	for i := range loss.Labels {
		loss.Labels[i] = int32(b.draw.IntN(classes))
	}
	b.add(loss)
}

// run plans and runs the graph forward and, unless it evaluates, backward.
func (b *builder) run() error {
	if err := b.g.Plan(); err != nil {
		return err
	}
	for i, v := range b.inputs {
		if err := b.g.SetInput(v, padded(v.Values, b.pixels[i])); err != nil {
			return err
		}
	}
	if err := b.g.Forward(); err != nil {
		return err
	}
	if b.mode == nn.Evaluate {
		return nil
	}
	return b.g.Backward()
}

// outcome is every number that a run leaves, by name.
func (b *builder) outcome() map[string][]float32 {
	all := map[string][]float32{}
	for _, op := range b.ops {
		if loss, ok := op.(*nn.CrossEntropy); ok {
			all["loss"] = append(all["loss"], float32(loss.Loss), float32(loss.Correct))
		}
	}
	for i, bn := range b.norms {
		all[fmt.Sprintf("norm %d mean", i)], all[fmt.Sprintf("norm %d variance", i)] = bn.Mean, bn.Var
	}
	if b.mode == nn.Evaluate {
		return all
	}
	for i, v := range b.inputs {
		if v.WantsGrad() {
			all[fmt.Sprintf("gradient of input %d", i)] = compact(v.Values, b.g.ReadGrad(v))
		}
	}
	for i, s := range b.sums {
		all[fmt.Sprintf("gradient of mixture %d", i)] = s.DWeights
	}
	if b.mode == nn.Frozen {
		return all
	}
	for i, p := range b.params {
		grad := make([]float32, p.Len())
		b.dev.Read(grad, p.Grad, 0)
		all[fmt.Sprintf("gradient of weight %d %v", i, p.Shape)] = grad
	}
	return all
}

// reference is the same case in float64.
func (b *builder) reference() *reference {
	r := &reference{
		mode: b.mode, ops: b.ops, parts: b.parts,
		values: map[*nn.Var]array{}, params: map[*nn.Param][]float64{}, weight: map[*nn.Sum][]float64{},
	}
	for i, v := range b.inputs {
		t := v.Values
		r.values[v] = array{t.N, t.H, t.W, t.Channels.Count(), widen(b.pixels[i])}
	}
	for i, p := range b.params {
		r.params[p] = widen(b.start[i])
	}
	for _, op := range b.ops {
		if s, ok := op.(*nn.Sum); ok && s.Weights != nil {
			r.weight[s] = widen(s.Weights)
		}
	}
	return r
}

// differences is the gradient of the reference's loss with respect to x, which is
// part of r.
func (r *reference) differences(x []float64) []float64 {
	const step = 1e-5
	d := make([]float64, len(x))
	for i, at := range x {
		x[i] = at + step
		up := r.run()
		x[i] = at - step
		d[i] = (up - r.run()) / (2 * step)
		x[i] = at
	}
	return d
}

// Run holds a device to the suite. open is called once a case; it may register a
// cleanup.
func Run(t *testing.T, open func(t *testing.T) nn.Device) {
	for i, c := range cases {
		for _, mode := range []nn.Mode{nn.Train, nn.Evaluate, nn.Recalibrate, nn.Frozen} {
			t.Run(fmt.Sprintf("%s/%s", c.name, modeNames[mode]), func(t *testing.T) {
				check(t, c, open(t), mode, int64(i))
			})
		}
		t.Run(c.name+"/frozen as recalibrate", func(t *testing.T) { checkFrozen(t, c, open(t), int64(i)) })
	}
}

// checkFrozen holds what a Frozen graph gives to the bits of one that works out the
// gradients of its parameters too, and its parameters to be left alone.
func checkFrozen(t *testing.T, c testCase, dev nn.Device, seed int64) {
	var all [2]map[string][]float32
	for i, mode := range []nn.Mode{nn.Recalibrate, nn.Frozen} {
		b := newBuilder(dev, mode, seed)
		c.build(b)
		if err := b.run(); err != nil {
			t.Fatal(err)
		}
		all[i] = b.outcome()
		for j, p := range b.params {
			grad := make([]float32, p.Len())
			dev.Read(grad, p.Grad, 0)
			if mode == nn.Frozen && (p.Touched || p.Trained || slices.ContainsFunc(grad, func(x float32) bool { return x != 0 })) {
				t.Errorf("weight %d %v was touched", j, p.Shape)
			}
		}
	}
	for name, got := range all[1] {
		sameBits(t, name, got, all[0][name])
	}
}

var modeNames = map[nn.Mode]string{nn.Train: "train", nn.Evaluate: "evaluate", nn.Recalibrate: "recalibrate", nn.Frozen: "frozen"}

func check(t *testing.T, c testCase, dev nn.Device, mode nn.Mode, seed int64) {
	b := newBuilder(dev, mode, seed)
	c.build(b)
	r := b.reference()
	want := r.run()
	before := make([][2][]float64, len(b.norms))
	for i, bn := range b.norms {
		before[i] = [2][]float64{widen(bn.Mean), widen(bn.Var)}
	}
	if err := b.run(); err != nil {
		t.Fatal(err)
	}
	got := 0.0
	for _, op := range b.ops {
		if loss, ok := op.(*nn.CrossEntropy); ok {
			got += loss.Weight * loss.Loss
		}
	}
	if math.IsNaN(got) || math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
		t.Errorf("loss %v, want %v", got, want)
	}
	b.checkStatistics(t, r, before)
	if mode == nn.Evaluate {
		return
	}
	all := b.outcome()
	for i, v := range b.inputs {
		if !v.WantsGrad() {
			continue
		}
		name := fmt.Sprintf("gradient of input %d", i)
		near(t, name, all[name], r.differences(r.values[v].x))
	}
	for i, s := range b.sums {
		name := fmt.Sprintf("gradient of mixture %d", i)
		near(t, name, all[name], r.differences(r.weight[s]))
	}
	if mode == nn.Frozen {
		return
	}
	for i, p := range b.params {
		name := fmt.Sprintf("gradient of weight %d %v", i, p.Shape)
		near(t, name, all[name], r.differences(r.params[p]))
	}
}

// checkStatistics compares the running statistics, which move in training alone.
func (b *builder) checkStatistics(t *testing.T, r *reference, before [][2][]float64) {
	t.Helper()
	for i, bn := range b.norms {
		mean, variance := before[i][0], before[i][1]
		for norm, m := range r.norms {
			if bn != norm.BN || b.mode != nn.Train {
				continue
			}
			count := r.pixels(norm)
			for c := range m.mean {
				at := norm.First + c
				mean[at] += bn.Momentum * (m.mean[c] - mean[at])
				variance[at] += bn.Momentum * (m.variance[c]*count/(count-1) - variance[at])
			}
		}
		near(t, "running mean", bn.Mean, mean)
		near(t, "running variance", bn.Var, variance)
	}
}

// pixels is the number of values that each of a norm's statistics is taken over.
func (r *reference) pixels(norm *nn.Norm) float64 {
	for v, a := range r.values {
		if v.Norm == norm {
			return float64(a.n * a.h * a.w)
		}
	}
	return math.NaN()
}

// tolerance is relative to the largest number of an array: float32 sums of some
// hundred terms are good to about 1e-6 of it, differences in float64 to 1e-8.
const tolerance = 3e-5

func near(t *testing.T, name string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", name, len(got), len(want))
		return
	}
	scale := 1e-3
	for _, x := range want {
		scale = max(scale, math.Abs(x))
	}
	for i := range got {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= tolerance*scale) {
			t.Errorf("%s: number %d is %v, want %v (of at most %.3g)", name, i, got[i], want[i], scale)
			return
		}
	}
}

// SameBits runs every case on each device and compares all that they leave, bit by
// bit, with what the first one left.
func SameBits(t *testing.T, devices ...nn.Device) {
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) { sameOutcomes(t, c, nn.Train, int64(i), devices) })
		t.Run(c.name+"/frozen", func(t *testing.T) { sameOutcomes(t, c, nn.Frozen, int64(i), devices) })
	}
}

func sameOutcomes(t *testing.T, c testCase, mode nn.Mode, seed int64, devices []nn.Device) {
	var first map[string][]float32
	for _, dev := range devices {
		b := newBuilder(dev, mode, seed)
		c.build(b)
		if err := b.run(); err != nil {
			t.Fatal(err)
		}
		all := b.outcome()
		if first == nil {
			first = all
		}
		for name, want := range first {
			sameBits(t, dev.Name()+": "+name, all[name], want)
		}
	}
}

func sameBits(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("%s: number %d is %v, want %v", name, i, got[i], want[i])
			return
		}
	}
}

// padded spreads numbers without padding over a tensor's memory.
func padded(t *nn.Tensor, x []float32) []float32 {
	out := make([]float32, t.N*t.Image())
	each(t, func(i, at int) { out[at] = x[i] })
	return out
}

// compact is the inverse.
func compact(t *nn.Tensor, x []float32) []float32 {
	out := make([]float32, t.N*t.H*t.W*t.Channels.Count())
	each(t, func(i, at int) { out[i] = x[at] })
	return out
}

// each visits the numbers of a tensor: the i-th without padding is the at-th with it.
func each(t *nn.Tensor, visit func(i, at int)) {
	i := 0
	for p := range t.N * t.H * t.W {
		at := p * t.Pix
		for _, width := range t.Channels {
			for c := range width {
				visit(i, at+c)
				i++
			}
			at += nn.Pad(width)
		}
	}
}
