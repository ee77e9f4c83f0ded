package cpu

import (
	"math"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// pooling is how a pool computes one image.
type pooling struct {
	op      *nn.Pool
	in, out *nn.Tensor
	win     nn.Window
	grid    grid
	taps    []int32
	c       int
	ones    []float32 // a window of them, for means
	share   []float32 // 1/count of each output pixel
}

func newPooling(o *nn.Pool) *pooling {
	in := o.X.Values
	p := &pooling{op: o, in: in, out: o.Out.Values, win: o.Window.Defaults(), c: in.Channels.Padded()}
	p.grid = gridFor(p.win, in.H, in.W, p.c, 0, 0)
	p.taps = p.grid.taps(p.win, 0, 0)
	if o.Max {
		return p
	}
	p.ones = make([]float32, len(p.taps)*p.c)
	for i := range p.ones {
		p.ones[i] = 1
	}
	for y := range p.out.H {
		for x := range p.out.W {
			n := inside(y*p.win.StrideH-p.win.PadH, p.win.KH, p.win.DilationH, in.H) * inside(x*p.win.StrideW-p.win.PadW, p.win.KW, p.win.DilationW, in.W)
			p.share = append(p.share, 1/float32(max(1, n)))
		}
	}
	return p
}

// inside counts the positions from, from+step, ... of n that are pixels of size.
func inside(from, n, step, size int) int {
	count := 0
	for i := range n {
		if at := from + i*step; at >= 0 && at < size {
			count++
		}
	}
	return count
}

func (p *pooling) prepare(d *Device, w *worker, image int) []float32 {
	data := w.take(p.grid.size())
	border := float32(0)
	if p.op.Max {
		border = float32(math.Inf(-1))
	}
	for i := range data {
		data[i] = border
	}
	a := &w.args.affine
	*a = kernel.Affine{Dst: p.grid.inner(data), X: plane(p.in, image), Rows: p.in.H, Cols: p.in.W, C: p.c, View: view(p.op.X, p.op.ReLU)}
	d.set.Affine(a)
	return data
}

func (d *Device) poolForward(mode nn.Mode, o *nn.Pool) {
	p := newPooling(o)
	t := p.out
	chunks := chunkCount(t.N, 0)
	var stats *statistics
	if o.Out.Norm != nil && usesBatch(mode, o.Out.Norm.BN) {
		stats = d.newStatistics(t, chunks)
	}
	d.eachImage(t.N, chunks, func(w *worker, chunk, image int) {
		data := p.prepare(d, w, image)
		p.forward(d, w, data, plane(t, image))
		if stats != nil {
			stats.add(d, w, t, chunk, image)
		}
	})
	finishNorm(mode, o.Out, stats)
}

func (p *pooling) forward(d *Device, w *worker, data []float32, out kernel.Plane) {
	in := p.grid.strided(p.win, data)
	if p.op.Max {
		a := &w.args.maxPool
		*a = kernel.MaxPool{Out: out, In: in, Rows: p.out.H, Cols: p.out.W, C: p.c, Taps: p.taps}
		d.set.MaxPool(a)
		return
	}
	a := &w.args.depthwise
	*a = kernel.Depthwise{Out: out, In: in, Rows: p.out.H, Cols: p.out.W, C: p.c, Taps: p.taps, W: p.ones}
	d.set.Depthwise(a)
	s := &w.args.scalePixels
	*s = kernel.ScalePixels{Dst: out, X: out, Rows: p.out.H, Cols: p.out.W, C: p.c, Weight: p.share}
	d.set.ScalePixels(s)
}

func (d *Device) poolBackward(_ nn.Mode, o *nn.Pool) {
	g := d.prepareGrad(o.Out)
	if o.X.Grad == nil {
		return
	}
	p := newPooling(o)
	d.eachImage(p.in.N, chunkCount(p.in.N, 0), func(w *worker, _, image int) {
		out := grid{h: p.out.H, w: p.out.W, c: p.c}
		dy := w.take(out.size())
		g.write(d, w, out.inner(dy), image)
		dx := w.takeZero(p.grid.size())
		if o.Max {
			p.maxBackward(d, w, dx, out.inner(dy), image)
		} else {
			p.meanBackward(d, w, dx, out.inner(dy))
		}
		a := &w.args.addMasked
		*a = kernel.AddMasked{Dst: plane(o.X.Grad, image), G: p.grid.inner(dx), X: plane(p.in, image), Rows: p.in.H, Cols: p.in.W, C: p.c, Store: o.StoreGrad(0)}
		if o.ReLU {
			a.View = view(o.X, true)
		}
		d.set.AddMasked(a)
	})
}

func (p *pooling) maxBackward(d *Device, w *worker, dx []float32, dy kernel.Plane, image int) {
	data := p.prepare(d, w, image)
	a := &w.args.maxPoolGrad
	*a = kernel.MaxPoolGrad{DIn: p.grid.strided(p.win, dx), In: p.grid.strided(p.win, data), Out: plane(p.out, image), G: dy,
		Rows: p.out.H, Cols: p.out.W, C: p.c, Taps: p.taps}
	d.set.MaxPoolGrad(a)
}

func (p *pooling) meanBackward(d *Device, w *worker, dx []float32, dy kernel.Plane) {
	s := &w.args.scalePixels
	*s = kernel.ScalePixels{Dst: dy, X: dy, Rows: p.out.H, Cols: p.out.W, C: p.c, Weight: p.share}
	d.set.ScalePixels(s)
	for t, tap := range p.taps {
		a := &w.args.depthwise
		*a = kernel.Depthwise{Out: p.grid.strided(p.win, dx[tap:]), In: dy, Rows: p.out.H, Cols: p.out.W, C: p.c, Taps: zeroTap, W: p.ones[t*p.c:], Accumulate: true}
		d.set.Depthwise(a)
	}
}
