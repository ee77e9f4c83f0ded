package cpu

import (
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

func (d *Device) sumForward(o *nn.Sum) {
	t := o.Out.Values
	d.eachImage(t.N, chunkCount(t.N, 0), func(w *worker, _, image int) {
		for i, v := range o.Sources {
			a := &w.args.addScaled
			*a = kernel.AddScaled{Dst: plane(t, image), X: plane(v.Values, image), Rows: t.H, Cols: t.W, C: shared(o, v),
				View: view(v, false), Weight: factor(o, i, image), Store: i == 0 && !o.Add}
			d.set.AddScaled(a)
		}
		if narrow(o) {
			clearPadding(t, image)
		}
	})
}

// factor is what a source's values are multiplied with.
func factor(o *nn.Sum, source, image int) float32 {
	f := float32(1)
	if o.Weights != nil {
		f = o.Weights[source]
	}
	if o.Keep != nil && o.Keep[source] != nil {
		f *= o.Keep[source][image]
	}
	return f
}

// shared is the number of padded channels that a source and the sum both have.
func shared(o *nn.Sum, v *nn.Var) int {
	return min(o.Out.Values.Channels.Padded(), v.Values.Channels.Padded())
}

// narrow says whether a source has channels where the sum has padding.
func narrow(o *nn.Sum) bool {
	for _, v := range o.Sources {
		if v.Values.Channels.Count() > o.Out.Values.Channels.Count() {
			return true
		}
	}
	return false
}

func clearPadding(t *nn.Tensor, image int) {
	p := plane(t, image)
	used, padded := t.Channels.Count(), t.Channels.Padded()
	for r := range t.H {
		for c := range t.W {
			clear(p.Data[r*p.Row+c*p.Pix+used : r*p.Row+c*p.Pix+padded])
		}
	}
}

func (d *Device) sumBackward(o *nn.Sum) {
	t := o.Out.Values
	for i, v := range o.Sources {
		if o.DWeights != nil && v.Via != o {
			o.DWeights[i] = d.mixtureGrad(o, i)
		}
		if v.Grad == nil {
			continue
		}
		d.eachImage(t.N, chunkCount(t.N, 0), func(w *worker, _, image int) {
			a := &w.args.addScaled
			*a = kernel.AddScaled{Dst: plane(v.Grad, image), X: plane(o.Out.Grad, image), Rows: t.H, Cols: t.W, C: shared(o, v),
				Weight: factor(o, i, image), Store: o.StoreGrad(i)}
			d.set.AddScaled(a)
		})
	}
}

// mixtureGrad is the gradient of a source's weight where the source's own backward
// pass does not leave it: the product of gradient and what is read, summed.
func (d *Device) mixtureGrad(o *nn.Sum, source int) float32 {
	v, t := o.Sources[source], o.Out.Values
	c := shared(o, v)
	chunks := chunkCount(t.N, 0)
	sums := make([]float64, chunks)
	center := make([]float32, c)
	d.eachImage(t.N, chunks, func(w *worker, chunk, image int) {
		read := grid{h: t.H, w: t.W, c: c}
		data := w.take(read.size())
		a := &w.args.affine
		*a = kernel.Affine{Dst: read.inner(data), X: plane(v.Values, image), Rows: t.H, Cols: t.W, C: c, View: view(v, false)}
		d.set.Affine(a)
		lanes := w.takeZero(2 * kernel.Lanes * c)
		m := &w.args.gradMoments
		*m = kernel.GradMoments{Sum: lanes[:kernel.Lanes*c], Dot: lanes[kernel.Lanes*c:], G: plane(o.Out.Grad, image), X: read.inner(data),
			Rows: t.H, Cols: t.W, C: c, Center: center}
		d.set.GradMoments(m)
		keep := 1.0
		if o.Keep != nil && o.Keep[source] != nil {
			keep = float64(o.Keep[source][image])
		}
		for i := range c {
			sums[chunk] += float64(keep * joinLanes(m.Dot, c, i))
		}
	})
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return float32(total)
}
