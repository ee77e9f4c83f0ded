package cpu

import (
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// sumJob is a sum's forward or backward pass: it takes all sources through an image.
type sumJob struct {
	device   *Device
	op       *nn.Sum
	backward bool
	narrow   bool      // a source has channels where the sum has padding
	mixture  []float64 // [source][chunk] gradients of the weights
	zeros    []float32
}

func (d *Device) sumForward(o *nn.Sum) { d.jobs.sum.run(d, o, false) }

func (d *Device) sumBackward(o *nn.Sum) {
	if o.Out.Grad == nil {
		return
	}
	j := &d.jobs.sum
	chunks := chunkCount(o.Out.Values.N, 0)
	clear(grow(&j.mixture, len(o.Sources)*chunks))
	clear(grow(&j.zeros, o.Out.Values.Channels.Padded()))
	j.run(d, o, true)
	for i := range o.Sources {
		if !wantsMixture(o, i) {
			continue
		}
		total := 0.0
		for _, x := range j.mixture[i*chunks : (i+1)*chunks] {
			total += x
		}
		o.DWeights[i] = float32(total)
	}
}

func (j *sumJob) run(d *Device, o *nn.Sum, backward bool) {
	j.device, j.op, j.backward, j.narrow = d, o, backward, false
	for _, v := range o.Sources {
		j.narrow = j.narrow || v.Values.Channels.Count() > o.Out.Values.Channels.Count()
	}
	d.eachImage(o.Out.Values, j)
	j.device, j.op = nil, nil
}

func (j *sumJob) image(w *worker, chunk, image int) {
	for i := range j.op.Sources {
		switch {
		case !j.backward:
			j.add(w, i, image)
			continue
		case wantsMixture(j.op, i):
			j.mixture[i*chunkCount(j.op.Out.Values.N, 0)+chunk] += j.mixtureGrad(w, i, image)
		}
		if j.op.Sources[i].Grad != nil {
			j.addGrad(w, i, image)
		}
	}
	switch t := j.op.Out.Values; {
	case j.backward:
	case len(j.op.Sources) == 0:
		clearChannels(t, image, 0)
	case j.narrow:
		clearChannels(t, image, t.Channels.Count())
	}
}

// add adds a source to the sum.
func (j *sumJob) add(w *worker, source, image int) {
	o := j.op
	t, v := o.Out.Values, o.Sources[source]
	a := &w.args.addScaled
	*a = kernel.AddScaled{Dst: plane(t, image), X: plane(v.Values, image), Rows: t.H, Cols: t.W, C: shared(o, v),
		View: view(v, false), Weight: factor(o, source, image), Store: source == 0 && !o.Add}
	j.device.set.AddScaled(a)
}

func (j *sumJob) addGrad(w *worker, source, image int) {
	o := j.op
	t, v := o.Out.Values, o.Sources[source]
	a := &w.args.addScaled
	*a = kernel.AddScaled{Dst: plane(v.Grad, image), X: plane(o.Out.Grad, image), Rows: t.H, Cols: t.W, C: shared(o, v),
		Weight: factor(o, source, image), Store: o.StoreGrad(source)}
	j.device.set.AddScaled(a)
}

// wantsMixture says whether a source's weight gets its gradient here, because the
// source's own backward pass does not leave it.
func wantsMixture(o *nn.Sum, source int) bool {
	v := o.Sources[source]
	return o.DWeights != nil && !(v.Via == o && v.ViaIndex == source && wantsWeight(v))
}

// mixtureGrad is an image's share of the gradient of a source's weight: the product
// of gradient and what is read, summed.
func (j *sumJob) mixtureGrad(w *worker, source, image int) float64 {
	o := j.op
	v, t := o.Sources[source], o.Out.Values
	c := shared(o, v)
	read := grid{h: t.H, w: t.W, c: c}
	data := w.take(read.size())
	a := &w.args.affine
	*a = kernel.Affine{Dst: read.inner(data), X: plane(v.Values, image), Rows: t.H, Cols: t.W, C: c, View: view(v, false)}
	j.device.set.Affine(a)
	lanes := w.takeZero(2 * kernel.Lanes * c)
	m := &w.args.gradMoments
	*m = kernel.GradMoments{Sum: lanes[:kernel.Lanes*c], Dot: lanes[kernel.Lanes*c:], G: plane(o.Out.Grad, image), X: read.inner(data),
		Rows: t.H, Cols: t.W, C: c, Center: j.zeros}
	j.device.set.GradMoments(m)
	total := 0.0
	for i := range c {
		total += joinLanes(m.Dot, c, i)
	}
	if o.Keep != nil && o.Keep[source] != nil {
		total *= float64(o.Keep[source][image])
	}
	return total
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

// clearChannels clears the channels of an image from one on, padding included.
func clearChannels(t *nn.Tensor, image, first int) {
	p := plane(t, image)
	padded := t.Channels.Padded()
	for r := range t.H {
		for c := range t.W {
			clear(p.Data[r*p.Row+c*p.Pix+first : r*p.Row+c*p.Pix+padded])
		}
	}
}
