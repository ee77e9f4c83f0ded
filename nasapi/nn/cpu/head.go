package cpu

import (
	"fmt"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// globalPoolJob is a global pool's forward or backward pass.
type globalPoolJob struct {
	device   *Device
	op       *nn.GlobalPool
	backward bool
	zeros    []float32
}

func (d *Device) globalPoolForward(o *nn.GlobalPool) { d.jobs.globalPool.run(d, o, false) }

func (d *Device) globalPoolBackward(o *nn.GlobalPool) {
	if o.X.Grad != nil {
		d.jobs.globalPool.run(d, o, true)
	}
}

func (j *globalPoolJob) run(d *Device, o *nn.GlobalPool, backward bool) {
	j.device, j.op, j.backward = d, o, backward
	clear(grow(&j.zeros, o.X.Values.Channels.Padded()))
	d.eachImage(o.X.Values, j)
	j.device, j.op = nil, nil
}

func (j *globalPoolJob) image(w *worker, _, image int) {
	if j.backward {
		j.spread(w, image)
		return
	}
	d, o, in := j.device, j.op, j.op.X.Values
	c := in.Channels.Padded()
	read := grid{h: in.H, w: in.W, c: c}
	data := w.take(read.size())
	a := &w.args.affine
	*a = kernel.Affine{Dst: read.inner(data), X: plane(in, image), Rows: in.H, Cols: in.W, C: c, View: view(o.X, o.ReLU)}
	d.set.Affine(a)
	lanes := w.takeZero(2 * kernel.Lanes * c)
	m := &w.args.moments
	*m = kernel.Moments{Sum: lanes[:kernel.Lanes*c], Square: lanes[kernel.Lanes*c:], X: read.inner(data), Rows: in.H, Cols: in.W, C: c, Center: j.zeros}
	d.set.Moments(m)
	out := plane(o.Out.Values, image).Data
	pixels := float64(in.H * in.W)
	for i := range c {
		out[i] = float32(joinLanes(m.Sum, c, i) / pixels)
	}
}

// spread gives every pixel its share of the gradient.
func (j *globalPoolJob) spread(w *worker, image int) {
	o, in := j.op, j.op.X.Values
	c := in.Channels.Padded()
	share := 1 / float32(in.H*in.W)
	g := w.take(c)
	for i, x := range plane(o.Out.Grad, image).Data[:c] {
		g[i] = x * share
	}
	// Strides of 0: one pixel stands for all.
	addMasked(j.device, w, o.X, o.ReLU, o.StoreGrad(0), kernel.Plane{Data: g}, image)
}

// layer is a linear layer laid out: images are the pixels of one product.
type layer struct {
	k, n       int
	rows       []int
	w          []float32 // packed, [k][n] forward and [n][k] backward
	dw         []float32
	x          []float32 // what is read, [N][k]
	inOff, out []int32
}

func (l *layer) forget() { l.inOff, l.out = nil, nil }

// newLayer packs the weights.
func (d *Device) newLayer(o *nn.Linear, backward bool) *layer {
	in, out := o.X.Values, o.Out.Values
	l := &d.room.linear
	l.k, l.n, l.rows = in.Channels.Padded(), out.Channels.Padded(), places(l.rows[:0], in.Channels)
	clear(grow(&l.w, l.k*l.n))
	width := o.W.Shape[len(o.W.Shape)-1]
	for i, k := range l.rows {
		row := o.W.Value.(memory)[i*width : i*width+o.W.Out]
		if backward {
			kernel.Packing{Taps: 1, K: l.n, N: l.k}.Column(l.w, 0, 0, k, row)
		} else {
			kernel.Packing{Taps: 1, K: l.k, N: l.n}.Row(l.w, 0, k, 0, row)
		}
	}
	l.inOff, l.out = d.table(1, in.N, 0, l.k), d.table(1, in.N, 0, out.Image())
	return l
}

// read copies X.
func (l *layer) read(d *Device, o *nn.Linear) {
	in := o.X.Values
	a := d.args()
	a.affine = kernel.Affine{Dst: kernel.Plane{Data: grow(&l.x, in.N*l.k), Pix: l.k}, X: kernel.Plane{Data: plane(in, 0).Data, Pix: in.Image()}, Rows: 1, Cols: in.N, C: l.k, View: view(o.X, false)}
	d.set.Affine(&a.affine)
}

// args are those of the caller's goroutine.
func (d *Device) args() *arguments { return &d.workers.all[0].args }

func (d *Device) linearForward(o *nn.Linear) {
	l := d.newLayer(o, false)
	l.read(d, o)
	out := plane(o.Out.Values, 0).Data
	for _, at := range l.out {
		row := out[int(at) : int(at)+l.n]
		clear(row)
		if o.B != nil {
			copy(row, o.B.Value.(memory)[:o.B.Out])
		}
	}
	a := d.args()
	a.dense = kernel.Dense{Out: out, OutOff: l.out, In: l.x, InOff: l.inOff, Taps: zeroTap, K: l.k, N: l.n, W: l.w, Accumulate: true}
	d.set.Dense(&a.dense)
}

func (d *Device) linearBackward(mode nn.Mode, o *nn.Linear) {
	if mode == nn.Frozen && o.X.Grad == nil {
		return
	}
	l := d.newLayer(o, true)
	n := o.X.Values.N
	g := plane(o.Out.Grad, 0).Data
	a := d.args()
	if mode != nn.Frozen {
		l.read(d, o)
		clear(grow(&l.dw, l.k*l.n))
		a.denseGrad = kernel.DenseGrad{DW: l.dw, LD: l.n, A: kernel.Plane{Data: l.x, Pix: l.k}, B: kernel.Plane{Data: g, Pix: o.Out.Values.Image()}, Rows: 1, Cols: n, K: l.k, N: l.n}
		d.set.DenseGrad(&a.denseGrad)
		l.addGrads(o, g)
	}
	if o.X.Grad == nil {
		return
	}
	a.dense = kernel.Dense{Out: plane(o.X.Grad, 0).Data, OutOff: d.table(1, n, 0, o.X.Grad.Image()), In: g, InOff: l.out, Taps: zeroTap, K: l.n, N: l.k, W: l.w, Accumulate: !o.StoreGrad(0)}
	d.set.Dense(&a.dense)
}

func (l *layer) addGrads(o *nn.Linear, g []float32) {
	grad, width := o.W.Grad.(memory), o.W.Shape[len(o.W.Shape)-1]
	for i, k := range l.rows {
		for j := range o.W.Out {
			grad[i*width+j] += l.dw[k*l.n+j]
		}
	}
	touch(o.W.Param)
	if o.B == nil {
		return
	}
	bias := o.B.Grad.(memory)
	for _, at := range l.out {
		for j := range o.B.Out {
			bias[j] += g[int(at)+j]
		}
	}
	touch(o.B.Param)
}

func (d *Device) dropoutForward(o *nn.Dropout) {
	in, out := o.X.Values, o.Out.Values
	d.room.places = places(d.room.places[:0], in.Channels)
	count := len(d.room.places)
	a := &d.args().affine
	for image := range in.N {
		*a = kernel.Affine{Dst: plane(out, image), X: plane(in, image), Rows: 1, Cols: 1, C: in.Channels.Padded(), View: view(o.X, false)}
		d.set.Affine(a)
		row := plane(out, image).Data
		for i, c := range d.room.places {
			row[c] *= o.Keep[image*count+i]
		}
	}
}

func (d *Device) dropoutBackward(o *nn.Dropout) {
	t := o.X.Grad
	if t == nil {
		return
	}
	d.room.places = places(d.room.places[:0], o.X.Values.Channels)
	count := len(d.room.places)
	for image := range t.N {
		to, from := plane(t, image).Data, plane(o.Out.Grad, image).Data
		if o.StoreGrad(0) {
			clear(to[:t.Channels.Padded()])
		}
		for i, c := range d.room.places {
			to[c] += float32(from[c] * o.Keep[image*count+i])
		}
	}
}

// probabilities is the softmax of an image's logits, with its largest.
func probabilities(o *nn.CrossEntropy, image int, to []float64) (top int, logSum float64) {
	row := plane(o.Logits.Values, image).Data[:len(to)]
	for i, x := range row {
		if x > row[top] {
			top = i
		}
	}
	sum := 0.0
	for i, x := range row {
		to[i] = detmath.Exp(float64(x) - float64(row[top]))
		sum += to[i]
	}
	for i := range to {
		to[i] /= sum
	}
	return top, float64(row[top]) + detmath.Log(sum)
}

func (d *Device) lossForward(o *nn.CrossEntropy) error {
	t := o.Logits.Values
	classes := t.Channels.Count()
	p := grow(&d.room.probabilities, classes)
	loss := 0.0
	o.Correct = 0
	for image, label := range o.Labels {
		if label < 0 || int(label) >= classes {
			return fmt.Errorf("image %d of the batch has the label %d; there are %d classes, 0 to %d", image, label, classes, classes-1)
		}
		top, logSum := probabilities(o, image, p)
		loss += logSum - float64(plane(t, image).Data[label])
		if top == int(label) {
			o.Correct++
		}
	}
	o.Loss = loss / float64(t.N)
	return nil
}

func (d *Device) lossBackward(o *nn.CrossEntropy) {
	if o.Logits.Grad == nil {
		return
	}
	t := o.Logits.Values
	p := grow(&d.room.probabilities, t.Channels.Count())
	for image, label := range o.Labels {
		probabilities(o, image, p)
		p[label]--
		g := plane(o.Logits.Grad, image).Data[:t.Channels.Padded()]
		if o.StoreGrad(0) {
			clear(g)
		}
		for i, x := range p {
			g[i] += float32(o.Weight * x / float64(t.N))
		}
	}
}
