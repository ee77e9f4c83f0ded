package cpu

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// fixture is a case of testdata/operators.json.gz, whose README says what is in it.
type fixture struct {
	Name    string
	Options struct {
		Op         string
		Kernel     []int
		Stride     any // of blocks one number
		Padding    []int
		Dilation   []int
		Train      *bool
		Labels     []int32
		Keep       []float32
		Candidates []string
		CountPad   bool `json:"count_include_pad"`
	}
	Inputs          map[string]numbers
	Weights         map[string]numbers
	RunningBefore   map[string]numbers `json:"running_before"`
	RunningAfter    map[string]numbers `json:"running_after"`
	Gradients       map[string]numbers
	WeightGradients map[string]numbers `json:"weight_gradients"`
	Upstream        numbers
	Output          numbers
}

type numbers struct {
	Shape []int
	Data  []float32
}

func readFixtures(t *testing.T) []fixture {
	t.Helper()
	f, err := os.Open("../testdata/operators.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Cases []fixture }
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all.Cases
}

// TestOperatorsArePyTorchs holds every operator and block, forward and backward, to
// PyTorch's numbers in float64, on every set of kernels.
func TestOperatorsArePyTorchs(t *testing.T) {
	cases := readFixtures(t)
	if len(cases) != 51 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, set := range kernel.Available() {
		d, err := NewWith(set, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s/%v", c.Name, set), func(t *testing.T) { newTwin(t, d, c).check() })
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// twin is a case built on a device.
type twin struct {
	t      *testing.T
	d      *Device
	c      fixture
	g      *nn.Graph
	mode   nn.Mode
	x, out *nn.Var
	groups [][]nn.Op
	params map[string]*nn.Param
	norms  map[string]*nn.BatchNorm
	loss   *nn.CrossEntropy
	mixed  *nn.Sum
	alphas []float64 // softmax
}

func newTwin(t *testing.T, d *Device, c fixture) *twin {
	mode := nn.Train
	if c.Options.Train != nil && !*c.Options.Train {
		mode = nn.Recalibrate // it has a backward pass; Evaluate is asked of the device below
	}
	w := &twin{t: t, d: d, c: c, g: nn.NewGraph(d, mode), mode: nn.Train, params: map[string]*nn.Param{}, norms: map[string]*nn.BatchNorm{}}
	if mode == nn.Recalibrate {
		w.mode = nn.Evaluate
	}
	s := c.Inputs["x"].Shape
	for len(s) < 4 {
		s = []int{s[0], 1, 1, s[len(s)-1]}
	}
	w.x = w.g.Variable(s[0], s[1], s[2], s[3])
	w.out = w.build()
	return w
}

func (w *twin) add(ops ...nn.Op) { w.groups = append(w.groups, ops); w.g.Add(ops...) }

func (w *twin) param(name string) *nn.Param {
	n := w.c.Weights[name]
	p, err := nn.NewParam(w.d, name, n.Shape...)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(n.Shape) == 4 {
		p.Shape = []int{n.Shape[0] * n.Shape[1], n.Shape[2], n.Shape[3]}
	}
	if len(n.Shape) == 3 {
		p.Shape = []int{n.Shape[0] * n.Shape[1], n.Shape[2]}
	}
	w.d.Write(p.Value, 0, n.Data)
	w.params[name] = p
	return p
}

// identity is a pointwise convolution that changes nothing, for what is not an operator
// of the engine by itself.
func (w *twin) identity(c int) []nn.DensePart {
	p, err := nn.NewParam(w.d, "identity", 1, c, c)
	if err != nil {
		w.t.Fatal(err)
	}
	values := make([]float32, c*c)
	for i := range c {
		values[i*c+i] = 1
	}
	w.d.Write(p.Value, 0, values)
	return []nn.DensePart{{W: p.Whole()}}
}

func (w *twin) norm(name string, c int) *nn.BatchNorm {
	prefix := name
	if name != "" {
		prefix += "."
	}
	bn := &nn.BatchNorm{Name: name, C: c, Momentum: 0.1, Eps: 1e-5,
		Mean: append([]float32(nil), w.c.RunningBefore[prefix+"running_mean"].Data...), Var: append([]float32(nil), w.c.RunningBefore[prefix+"running_var"].Data...)}
	if _, affine := w.c.Weights[prefix+"weight"]; affine {
		bn.Gamma, bn.Beta = w.param(prefix+"weight"), w.param(prefix+"bias")
	}
	w.norms[prefix] = bn
	return bn
}

func (w *twin) window() nn.Window {
	o := w.c.Options
	s := o.Stride.([]any)
	win := nn.Window{KH: o.Kernel[0], KW: o.Kernel[1], StrideH: int(s[0].(float64)), StrideW: int(s[1].(float64)), PadH: o.Padding[0], PadW: o.Padding[1]}
	if len(o.Dilation) > 0 {
		win.DilationH, win.DilationW = o.Dilation[0], o.Dilation[1]
	}
	return win
}

func square(k, stride, dilation int) nn.Window {
	pad := dilation * (k / 2)
	return nn.Window{KH: k, KW: k, StrideH: stride, StrideW: stride, DilationH: dilation, DilationW: dilation, PadH: pad, PadW: pad}
}

func (w *twin) dense(name string) []nn.DensePart { return []nn.DensePart{{W: w.param(name).Whole()}} }

// half is ReLU, depthwise and pointwise convolution and norm: modules from..from+2 of a
// sequence.
func (w *twin) half(x *nn.Var, prefix string, from int, win nn.Window) *nn.Conv {
	depth := w.param(fmt.Sprintf("%sop.%d.weight", prefix, from)).Whole()
	dense := w.dense(fmt.Sprintf("%sop.%d.weight", prefix, from+1))
	bn := w.norm(fmt.Sprintf("%sop.%d", prefix, from+2), dense[0].W.Out)
	return w.g.Conv(nn.Conv{X: x, ReLU: true, Depth: &depth, DepthWindow: win, Dense: dense, DenseWindow: nn.Window{KH: 1, KW: 1}}, bn, false)
}

func (w *twin) reduce(prefix string) *nn.Conv {
	first, second := w.param(prefix+"conv_1.weight").Whole(), w.param(prefix+"conv_2.weight").Whole()
	return w.g.Conv(nn.Conv{X: w.x, ReLU: true, Dense: []nn.DensePart{{W: first}, {W: second, Down: 1, Right: 1}}, DenseWindow: square(1, 2, 1)},
		w.norm(prefix+"bn", first.Out+second.Out), false)
}

// candidate is an operation of the DARTS space, in one operator or two.
func (w *twin) candidate(op, prefix string, stride int) []nn.Op {
	switch op {
	case "max_pool_3x3", "avg_pool_3x3":
		return []nn.Op{w.g.Pool(nn.Pool{X: w.x, Max: op == "max_pool_3x3", Window: square(3, stride, 1)}, w.norm(prefix+"1", w.x.Values.Channels.Count()))}
	case "skip_connect":
		return []nn.Op{w.reduce(prefix)}
	case "dil_conv_3x3":
		return []nn.Op{w.half(w.x, prefix, 1, square(3, stride, 2))}
	case "dil_conv_5x5":
		return []nn.Op{w.half(w.x, prefix, 1, square(5, stride, 2))}
	}
	k := 3
	if op == "sep_conv_5x5" {
		k = 5
	}
	first := w.half(w.x, prefix, 1, square(k, stride, 1))
	return []nn.Op{first, w.half(first.Out, prefix, 5, square(k, 1, 1))}
}

func outOf(op nn.Op) *nn.Var {
	switch o := op.(type) {
	case *nn.Conv:
		return o.Out
	case *nn.Pool:
		return o.Out
	}
	return nil
}

func (w *twin) build() *nn.Var {
	o, g := w.c.Options, w.g
	channels := w.x.Values.Channels.Count()
	conv := func(c nn.Conv, bn *nn.BatchNorm, act bool) *nn.Var {
		op := g.Conv(c, bn, act)
		w.add(op)
		return op.Out
	}
	switch o.Op {
	case "conv":
		return conv(nn.Conv{X: w.x, Dense: w.dense("weight"), DenseWindow: w.window()}, nil, false)
	case "depthwise":
		depth := w.param("weight").Whole()
		return conv(nn.Conv{X: w.x, Depth: &depth, DepthWindow: w.window()}, nil, false)
	case "batch_norm":
		return conv(nn.Conv{X: w.x, Dense: w.identity(channels), DenseWindow: nn.Window{KH: 1, KW: 1}}, w.norm("", channels), false)
	case "relu":
		return conv(nn.Conv{X: w.x, ReLU: true, Dense: w.identity(channels), DenseWindow: nn.Window{KH: 1, KW: 1}}, nil, false)
	case "relu_conv_bn":
		dense := w.dense("op.1.weight")
		return conv(nn.Conv{X: w.x, ReLU: true, Dense: dense, DenseWindow: nn.Window{KH: 1, KW: 1}}, w.norm("op.2", dense[0].W.Out), false)
	case "max_pool", "avg_pool":
		op := g.Pool(nn.Pool{X: w.x, Max: o.Op == "max_pool", CountPad: o.CountPad, Window: w.window()}, nil)
		w.add(op)
		return op.Out
	case "global_pool":
		op := g.GlobalPool(nn.GlobalPool{X: w.x})
		w.add(op)
		return op.Out
	case "linear":
		bias := w.param("bias").Whole()
		op := g.Linear(nn.Linear{X: w.x, W: w.param("weight").Whole(), B: &bias})
		w.add(op)
		return op.Out
	case "cross_entropy":
		w.loss = g.CrossEntropy(w.x, float64(w.c.Upstream.Data[0]))
		copy(w.loss.Labels, o.Labels)
		w.add(w.loss)
		return nil
	case "drop_path":
		op := g.Sum(nn.Sum{Sources: []*nn.Var{w.x}, Keep: [][]float32{o.Keep}})
		w.add(op)
		return op.Out
	case "conv_7x1_1x7":
		stride := int(o.Stride.(float64))
		x := conv(nn.Conv{X: w.x, ReLU: true, Dense: w.dense("1.weight"), DenseWindow: nn.Window{KH: 1, KW: 7, StrideW: stride, PadW: 3}}, nil, false)
		return conv(nn.Conv{X: x, Dense: w.dense("2.weight"), DenseWindow: nn.Window{KH: 7, KW: 1, StrideH: stride, PadH: 3}}, w.norm("3", channels), false)
	case "factorised_reduce":
		op := w.reduce("")
		w.add(op)
		return op.Out
	case "mixed_edge":
		return w.buildMixed()
	}
	var last nn.Op
	for _, op := range w.candidate(o.Op, "", int(o.Stride.(float64))) {
		w.add(op)
		last = op
	}
	return outOf(last)
}

func (w *twin) buildMixed() *nn.Var {
	o, stride := w.c.Options, int(w.c.Options.Stride.(float64))
	w.alphas = softmax(w.c.Inputs["alphas"].Data)
	var first, second []nn.Op
	sum := nn.Sum{}
	for i, name := range o.Candidates {
		if name == "none" {
			continue
		}
		sum.Weights = append(sum.Weights, float32(w.alphas[i]))
		if name == "skip_connect" && stride == 1 {
			sum.Sources = append(sum.Sources, w.x)
			continue
		}
		ops := w.candidate(name, fmt.Sprintf("_ops.%d.", i), stride)
		first, second = append(first, ops[0]), append(second, ops[1:]...)
		sum.Sources = append(sum.Sources, outOf(ops[len(ops)-1]))
	}
	w.add(first...)
	w.add(second...)
	sum.DWeights = make([]float32, len(sum.Weights))
	w.mixed = w.g.Sum(sum)
	w.add(w.mixed)
	return w.mixed.Out
}

func softmax(x []float32) []float64 {
	out, sum := make([]float64, len(x)), 0.0
	for i, v := range x {
		out[i] = math.Exp(float64(v))
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// padded is a tensor's data with its padding channels, plain the other way.
func padded(data []float32, c, pix int) []float32 {
	out := make([]float32, len(data)/c*pix)
	for i := range len(data) / c {
		copy(out[i*pix:], data[i*c:(i+1)*c])
	}
	return out
}

func plain(data []float32, c, pix int) []float32 {
	out := make([]float32, 0, len(data)/pix*c)
	for i := 0; i < len(data); i += pix {
		out = append(out, data[i:i+c]...)
	}
	return out
}

func (w *twin) check() {
	t := w.t
	// The output is read by the test, which hands it the gradient: the graph's own
	// backward pass would begin with zeros.
	if err := w.g.Plan(); err != nil {
		t.Fatal(err)
	}
	in := w.x.Values
	if err := w.g.SetInput(w.x, padded(w.c.Inputs["x"].Data, in.Channels.Count(), in.Pix)); err != nil {
		t.Fatal(err)
	}
	for _, group := range w.groups {
		if err := w.d.Forward(w.mode, group); err != nil {
			t.Fatal(err)
		}
	}
	if w.loss != nil {
		near(t, "output", []float32{float32(w.loss.Loss)}, w.c.Output.Data)
	} else {
		near(t, "output", w.read(w.out), w.c.Output.Data)
		g := w.out.Grad
		w.d.Write(g.Mem, g.Off, padded(w.c.Upstream.Data, g.Channels.Count(), g.Pix))
	}
	for i := len(w.groups) - 1; i >= 0; i-- {
		if err := w.d.Backward(w.mode, w.groups[i]); err != nil {
			t.Fatal(err)
		}
	}
	near(t, "gradient of x", plain(w.g.ReadGrad(w.x), in.Channels.Count(), in.Pix), w.c.Gradients["x"].Data)
	for name, want := range w.c.WeightGradients {
		got := make([]float32, len(want.Data))
		w.d.Read(got, w.params[name].Grad, 0)
		near(t, "gradient of "+name, got, want.Data)
	}
	for prefix, bn := range w.norms {
		if len(w.c.RunningAfter) > 0 {
			near(t, prefix+"running_mean", bn.Mean, w.c.RunningAfter[prefix+"running_mean"].Data)
			near(t, prefix+"running_var", bn.Var, w.c.RunningAfter[prefix+"running_var"].Data)
		}
	}
	if w.mixed != nil {
		near(t, "gradient of alphas", w.alphaGrad(), w.c.Gradients["alphas"].Data)
	}
}

// read is what a reader of the output sees.
func (w *twin) read(v *nn.Var) []float32 {
	c := v.Values.Channels.Count()
	data := plain(w.g.ReadValues(v), c, v.Values.Pix)
	if v.Norm == nil {
		return data
	}
	for i, x := range data {
		data[i] = x*v.Norm.Scale[i%c] + v.Norm.Shift[i%c]
	}
	return data
}

// alphaGrad is that of the mixture's weights through the softmax; "none" adds nothing.
func (w *twin) alphaGrad() []float32 {
	mean := 0.0
	grads := append([]float32{0}, w.mixed.DWeights...)
	for i, p := range w.alphas {
		mean += p * float64(grads[i])
	}
	out := make([]float32, len(w.alphas))
	for i, p := range w.alphas {
		out[i] = float32(p * (float64(grads[i]) - mean))
	}
	return out
}

// near compares with a tolerance of a share of the largest number.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d numbers, PyTorch's %d", what, len(got), len(want))
	}
	largest := 1e-3
	for _, x := range want {
		largest = max(largest, math.Abs(float64(x)))
	}
	for i := range want {
		if diff := math.Abs(float64(got[i]) - float64(want[i])); !(diff <= 1e-5*largest) {
			t.Fatalf("%s: number %d is %v, PyTorch's %v (largest %v)", what, i, got[i], want[i], largest)
		}
	}
}
