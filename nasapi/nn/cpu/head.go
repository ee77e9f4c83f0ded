package cpu

import (
	"fmt"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

func (d *Device) globalPoolForward(o *nn.GlobalPool) {
	in := o.X.Values
	c := in.Channels.Padded()
	pixels := float64(in.H * in.W)
	center := make([]float32, c)
	d.eachImage(in.N, chunkCount(in.N, 0), func(w *worker, _, image int) {
		read := grid{h: in.H, w: in.W, c: c}
		data := w.take(read.size())
		a := &w.args.affine
		*a = kernel.Affine{Dst: read.inner(data), X: plane(in, image), Rows: in.H, Cols: in.W, C: c, View: view(o.X, o.ReLU)}
		d.set.Affine(a)
		lanes := w.takeZero(2 * kernel.Lanes * c)
		m := &w.args.moments
		*m = kernel.Moments{Sum: lanes[:kernel.Lanes*c], Square: lanes[kernel.Lanes*c:], X: read.inner(data), Rows: in.H, Cols: in.W, C: c, Center: center}
		d.set.Moments(m)
		out := plane(o.Out.Values, image).Data
		for i := range c {
			out[i] = float32(joinLanes(m.Sum, c, i) / pixels)
		}
	})
}

func (d *Device) globalPoolBackward(o *nn.GlobalPool) {
	if o.X.Grad == nil {
		return
	}
	in := o.X.Values
	c := in.Channels.Padded()
	share := 1 / float32(in.H*in.W)
	d.eachImage(in.N, chunkCount(in.N, 0), func(w *worker, _, image int) {
		g := w.take(c)
		for i, x := range plane(o.Out.Grad, image).Data[:c] {
			g[i] = x * share
		}
		// Strides of 0: one pixel stands for all.
		a := &w.args.addMasked
		*a = kernel.AddMasked{Dst: plane(o.X.Grad, image), G: kernel.Plane{Data: g}, X: plane(in, image), Rows: in.H, Cols: in.W, C: c, Store: o.StoreGrad(0)}
		if o.ReLU {
			a.View = view(o.X, true)
		}
		d.set.AddMasked(a)
	})
}

// layer is a linear layer's weights in the order of the products.
type layer struct {
	k, n       int
	rows       []int
	w, w2      []float32
	x          []float32 // what is read, [N][k]
	inOff, out []int32
}

// newLayer reads X and packs the weights: forward as [k][n], backward as [n][k].
func (d *Device) newLayer(o *nn.Linear) *layer {
	in, out := o.X.Values, o.Out.Values
	l := &layer{k: in.Channels.Padded(), n: out.Channels.Padded(), rows: places(in.Channels)}
	l.w, l.w2 = make([]float32, l.k*l.n), make([]float32, l.k*l.n)
	forward, back := newPanels(1, l.k, l.n), newPanels(1, l.n, l.k)
	width := o.W.Shape[len(o.W.Shape)-1]
	for i, k := range l.rows {
		for n := range o.W.Out {
			x := o.W.Value.(memory)[i*width+n]
			l.w[forward.at(0, k, n)], l.w2[back.at(0, n, k)] = x, x
		}
	}
	l.x = make([]float32, in.N*l.k)
	d.set.Affine(&kernel.Affine{Dst: kernel.Plane{Data: l.x, Pix: l.k}, X: kernel.Plane{Data: plane(in, 0).Data, Pix: in.Image()}, Rows: 1, Cols: in.N, C: l.k, View: view(o.X, false)})
	l.inOff, l.out = d.table(1, in.N, 0, l.k), d.table(1, in.N, 0, out.Image())
	return l
}

func (d *Device) linearForward(o *nn.Linear) {
	l := d.newLayer(o)
	out := plane(o.Out.Values, 0).Data
	for _, at := range l.out {
		row := out[int(at) : int(at)+l.n]
		clear(row)
		if o.B != nil {
			copy(row, o.B.Value.(memory)[:o.B.Out])
		}
	}
	d.set.Dense(&kernel.Dense{Out: out, OutOff: l.out, In: l.x, InOff: l.inOff, Taps: zeroTap, K: l.k, N: l.n, W: l.w, Accumulate: true})
}

func (d *Device) linearBackward(o *nn.Linear) {
	l := d.newLayer(o)
	n := o.X.Values.N
	g := plane(o.Out.Grad, 0).Data
	dw := make([]float32, l.k*l.n)
	d.set.DenseGrad(&kernel.DenseGrad{DW: dw, LD: l.n, A: kernel.Plane{Data: l.x, Pix: l.k}, B: kernel.Plane{Data: g, Pix: o.Out.Values.Image()}, Rows: 1, Cols: n, K: l.k, N: l.n})
	grad, width := o.W.Grad.(memory), o.W.Shape[len(o.W.Shape)-1]
	for i, k := range l.rows {
		for j := range o.W.Out {
			grad[i*width+j] += dw[k*l.n+j]
		}
	}
	touch(o.W.Param)
	if o.B != nil {
		bias := o.B.Grad.(memory)
		for _, at := range l.out {
			for j := range o.B.Out {
				bias[j] += g[int(at)+j]
			}
		}
		touch(o.B.Param)
	}
	if o.X.Grad == nil {
		return
	}
	d.set.Dense(&kernel.Dense{Out: plane(o.X.Grad, 0).Data, OutOff: d.table(1, n, 0, o.X.Grad.Image()), In: g, InOff: l.out, Taps: zeroTap, K: l.n, N: l.k, W: l.w2, Accumulate: !o.StoreGrad(0)})
}

// eachKept visits a dropout's numbers: the place in the tensor of image and channel,
// and the factor.
func eachKept(o *nn.Dropout, visit func(image, at int, keep float32)) {
	t := o.X.Values
	count := t.Channels.Count()
	for image := range t.N {
		for i, c := range places(t.Channels) {
			visit(image, c, o.Keep[image*count+i])
		}
	}
}

func (d *Device) dropoutForward(o *nn.Dropout) {
	v := view(o.X, false)
	in, out := o.X.Values, o.Out.Values
	for image := range in.N {
		d.set.Affine(&kernel.Affine{Dst: plane(out, image), X: plane(in, image), Rows: 1, Cols: 1, C: in.Channels.Padded(), View: v})
	}
	eachKept(o, func(image, at int, keep float32) { plane(out, image).Data[at] *= keep })
}

func (d *Device) dropoutBackward(o *nn.Dropout) {
	if o.X.Grad == nil {
		return
	}
	if o.StoreGrad(0) {
		t := o.X.Grad
		for image := range t.N {
			clear(plane(t, image).Data[:t.Channels.Padded()])
		}
	}
	eachKept(o, func(image, at int, keep float32) {
		plane(o.X.Grad, image).Data[at] += float32(plane(o.Out.Grad, image).Data[at] * keep)
	})
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
	p := make([]float64, classes)
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
	p := make([]float64, t.Channels.Count())
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
