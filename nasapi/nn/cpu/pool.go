package cpu

import (
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// pooling is a pool.
type pooling struct {
	common
	op    *nn.Pool
	taps  []int32
	ones  []float32 // a window of them, for means
	share []float32 // 1/count of each output pixel
	back  transpose // of means
}

func (p *pooling) layOut() {
	o := p.op
	p.begin(o.X, o.Out, o.ReLU)
	p.store = o.X.Grad != nil && o.StoreGrad(0)
	p.max, p.again, p.window = o.Max, o.Max && o.X.Grad != nil, o.Window.Defaults()
	if o.Max {
		return
	}
	in, out, win := p.x.Values, p.out.Values, p.window
	fill(grow(&p.ones, win.KH*win.KW*p.c), 1)
	p.share = p.share[:0]
	for y := range out.H {
		for x := range out.W {
			if o.CountPad {
				p.share = append(p.share, 1/float32(win.KH*win.KW))
				continue
			}
			n := inside(y*win.StrideH-win.PadH, win.KH, win.DilationH, in.H) * inside(x*win.StrideW-win.PadW, win.KW, win.DilationW, in.W)
			p.share = append(p.share, 1/float32(max(1, n)))
		}
	}
	p.back.layOut(win, in.H, in.W, p.outGrid())
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

func (p *pooling) place(_ *Device, g grid) { p.taps = g.taps(p.taps[:0], p.window, 0, 0) }

func (p *pooling) pack(bool)          {}
func (p *pooling) addGrads([]float32) {}
func (p *pooling) overwrites() bool   { return !p.max && p.back.covers() }

// windows is the plane of a copy's windows.
func (p *pooling) windows(data []float32) kernel.Plane {
	return p.bundle.readings[p.reading].grid.strided(p.window.StrideH, p.window.StrideW, data, p.origin)
}

func (p *pooling) forward(d *Device, w *worker, from copied, image int) {
	t := p.out.Values
	out := plane(t, image)
	if p.op.Max {
		a := &w.args.maxPool
		*a = kernel.MaxPool{Out: out, In: p.windows(from.inf), Rows: t.H, Cols: t.W, C: p.c, Taps: p.taps}
		d.set.MaxPool(a)
		return
	}
	a := &w.args.depthwise
	*a = kernel.Depthwise{Out: out, In: p.windows(from.zero), Rows: t.H, Cols: t.W, C: p.c, Taps: p.taps, W: p.ones}
	d.set.Depthwise(a)
	p.divide(d, w, out)
}

// divide makes means of sums, in place, or shares of their gradients.
func (p *pooling) divide(d *Device, w *worker, x kernel.Plane) {
	a := &w.args.scalePixels
	*a = kernel.ScalePixels{Dst: x, X: x, Rows: p.out.Values.H, Cols: p.out.Values.W, C: p.c, Weight: p.share}
	d.set.ScalePixels(a)
}

func (p *pooling) backward(d *Device, w *worker, from copied, _ []float32, image int) {
	if p.op.Max {
		p.maxBackward(d, w, from, image)
		return
	}
	g := p.back.grid
	dy := w.take(g.size())
	g.border(dy, 0)
	p.grad.write(d, w, g.inner(dy), image)
	p.divide(d, w, g.inner(dy))
	p.back.convolve(d, w, from.grad, p.bundle.readings[p.reading].grid, dy, p.ones, p.adds())
}

func (p *pooling) maxBackward(d *Device, w *worker, from copied, image int) {
	t, g := p.out.Values, p.outGrid()
	dy := w.take(g.size())
	p.grad.write(d, w, g.inner(dy), image)
	a := &w.args.maxPoolGrad
	*a = kernel.MaxPoolGrad{DIn: p.windows(from.grad), In: p.windows(from.inf), Out: plane(t, image), G: g.inner(dy), Rows: t.H, Cols: t.W, C: p.c, Taps: p.taps}
	d.set.MaxPoolGrad(a)
}

func (p *pooling) scratch() int { return max(p.outGrid().size(), p.back.grid.size()) + p.outC }
