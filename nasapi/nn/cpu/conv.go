package cpu

import (
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// grid is a padded copy of an image in a worker's memory: h x w pixels of c float32s
// with top and left rows and columns before them.
type grid struct {
	h, w, c                  int
	top, left, bottom, right int
}

func (g grid) row() int  { return (g.left + g.w + g.right) * g.c }
func (g grid) size() int { return (g.top + g.h + g.bottom) * g.row() }

// inner is the plane of the image in a copy.
func (g grid) inner(data []float32) kernel.Plane {
	return kernel.Plane{Data: data[g.top*g.row()+g.left*g.c:], Row: g.row(), Pix: g.c}
}

// outer is the plane of the copy with its padding.
func (g grid) outer(data []float32) kernel.Plane {
	return kernel.Plane{Data: data, Row: g.row(), Pix: g.c}
}

// gridFor is the copy that a window needs of h x w pixels of c float32s; more rows
// and columns follow for parts whose window is moved.
func gridFor(win nn.Window, h, w, c, down, right int) grid {
	return grid{h: h, w: w, c: c, top: win.PadH, left: win.PadW, bottom: win.PadH + down, right: win.PadW + right}
}

// taps are the offsets of a window's positions in a copy.
func (g grid) taps(win nn.Window, down, right int) []int32 {
	var all []int32
	for ky := range win.KH {
		for kx := range win.KW {
			all = append(all, int32((ky*win.DilationH+down)*g.row()+(kx*win.DilationW+right)*g.c))
		}
	}
	return all
}

// strided is the plane of the window's origins: a pixel for each output.
func (g grid) strided(win nn.Window, data []float32) kernel.Plane {
	return kernel.Plane{Data: data, Row: win.StrideH * g.row(), Pix: win.StrideW * g.c}
}

// tableKey names a table of pixel offsets: rows x cols pixels with two strides.
type tableKey struct{ rows, cols, row, pix int }

// table is the offsets of a plane's pixels, rows first.
func (d *Device) table(rows, cols, row, pix int) []int32 {
	key := tableKey{rows, cols, row, pix}
	if t := d.tables[key]; t != nil {
		return t
	}
	t := make([]int32, 0, rows*cols)
	for r := range rows {
		for c := range cols {
			t = append(t, int32(r*row+c*pix))
		}
	}
	d.tables[key] = t
	return t
}

// chain is how a convolution block computes one image: input copy, depthwise output
// copy, output.
type chain struct {
	op         *nn.Conv
	in         *nn.Tensor
	out        *nn.Tensor
	depth      nn.Window
	dense      nn.Window
	first      grid // copy of what is read
	second     grid // depthwise output, padded for the dense window; first where there is none
	depthTaps  []int32
	denseTaps  []int32
	k, n       int   // padded input and output channels of the dense convolution
	rows       []int // place of each of its logical inputs
	depthW     []float32
	denseW     []float32
	transposed []float32
	tapW       int // float32s of a tap in transposed
	inOff      []int32
	outOff     []int32
}

// newChain lays a block out and packs its weights.
func (d *Device) newChain(o *nn.Conv, backward bool) *chain {
	in := o.X.Values
	c := &chain{op: o, in: in, out: o.Out.Values, depth: o.DepthWindow.Defaults(), dense: o.DenseWindow.Defaults()}
	down, right := 0, 0
	for _, part := range o.Dense {
		down, right = max(down, part.Down), max(right, part.Right)
	}
	channels := in.Channels.Padded()
	if o.Depth != nil {
		c.first = gridFor(c.depth, in.H, in.W, channels, 0, 0)
		c.depthTaps = c.first.taps(c.depth, 0, 0)
		c.packDepth(d)
		h, w := c.depth.Output(in.H, in.W)
		c.second = gridFor(c.dense, h, w, channels, down, right)
	} else {
		c.first = gridFor(c.dense, in.H, in.W, channels, down, right)
		c.second = c.first
	}
	if len(o.Dense) > 0 {
		c.k, c.n = channels, c.out.Channels.Padded()
		c.rows = places(in.Channels)
		for _, part := range o.Dense {
			c.denseTaps = append(c.denseTaps, c.second.taps(c.dense, part.Down, part.Right)...)
		}
		c.packDense(d, backward)
		c.inOff = d.table(c.out.H, c.out.W, c.dense.StrideH*c.second.row(), c.dense.StrideW*c.second.c)
		c.outOff = d.table(c.out.H, c.out.W, c.out.W*c.out.Pix, c.out.Pix)
	}
	return c
}

func (c *chain) packDepth(d *Device) {
	w := c.op.Depth
	value, width := w.Value.(memory), w.Shape[len(w.Shape)-1]
	taps := len(c.depthTaps)
	c.depthW = grow(&d.room.depth, taps*c.first.c)
	clear(c.depthW)
	for t := range taps {
		copy(c.depthW[t*c.first.c:], value[t*width:t*width+w.Out])
	}
}

// weightAt calls visit for every number of the dense weights: tap of all parts, input
// and output place, and its index in the part's parameter.
func (c *chain) weightAt(visit func(p *nn.Param, tap, k, n, index int)) {
	first, tap := 0, 0
	for _, part := range c.op.Dense {
		shape := part.W.Shape
		depth, width := shape[len(shape)-2], shape[len(shape)-1]
		for t := range c.dense.KH * c.dense.KW {
			for i, k := range c.rows {
				for n := range part.W.Out {
					visit(part.W.Param, tap+t, k, first+n, (t*depth+i)*width+n)
				}
			}
		}
		tap += c.dense.KH * c.dense.KW
		first += part.W.Out
	}
}

// packDense packs the weights in panels, and for the backward pass their transposes,
// a tap by itself after the other.
func (c *chain) packDense(d *Device, backward bool) {
	taps := len(c.denseTaps)
	c.denseW = grow(&d.room.weights, taps*c.k*c.n)
	clear(c.denseW)
	pack := newPanels(taps, c.k, c.n)
	if backward {
		c.tapW = c.k * c.n
		c.transposed = grow(&d.room.transposed, taps*c.tapW)
		clear(c.transposed)
	}
	back := newPanels(1, c.n, c.k)
	c.weightAt(func(p *nn.Param, tap, k, n, index int) {
		x := p.Value.(memory)[index]
		c.denseW[pack.at(tap, k, n)] = x
		if backward {
			c.transposed[tap*c.tapW+back.at(0, n, k)] = x
		}
	})
}

// panels is the layout of packed weights that kernel.Dense asks for.
type panels struct {
	taps, k int
	begin   []int // of the panel of each group of four outputs
	width   []int
	first   []int // output of the panel
}

func newPanels(taps, k, n int) panels {
	p := panels{taps: taps, k: k}
	at := 0
	for i := 0; i < n; {
		width := 4
		switch {
		case n-i >= 16:
			width = 16
		case n-i >= 8:
			width = 8
		}
		for range width / 4 {
			p.begin, p.width, p.first = append(p.begin, at), append(p.width, width), append(p.first, i)
		}
		at += taps * k * width
		i += width
	}
	return p
}

func (p panels) at(tap, k, n int) int {
	i := n / 4
	return p.begin[i] + (tap*p.k+k)*p.width[i] + n - p.first[i]
}

// prepare copies what is read of an image into the first grid.
func (c *chain) prepare(d *Device, w *worker, image int) []float32 {
	data := w.takeZero(c.first.size())
	a := &w.args.affine
	*a = kernel.Affine{Dst: c.first.inner(data), X: plane(c.in, image), Rows: c.in.H, Cols: c.in.W, C: c.first.c, View: view(c.op.X, c.op.ReLU)}
	d.set.Affine(a)
	return data
}

// convolve runs the depthwise convolution into dst.
func (c *chain) convolve(d *Device, w *worker, data []float32, dst kernel.Plane, h, wd int) {
	a := &w.args.depthwise
	*a = kernel.Depthwise{Out: dst, In: c.first.strided(c.depth, data), Rows: h, Cols: wd, C: c.first.c, Taps: c.depthTaps, W: c.depthW}
	d.set.Depthwise(a)
}

// middle is the dense convolution's input: the depthwise output, or what was read.
func (c *chain) middle(d *Device, w *worker, data []float32) []float32 {
	if c.op.Depth == nil {
		return data
	}
	out := w.takeZero(c.second.size())
	c.convolve(d, w, data, c.second.inner(out), c.second.h, c.second.w)
	return out
}

func (d *Device) convForward(mode nn.Mode, o *nn.Conv) {
	c := d.newChain(o, false)
	t := c.out
	chunks := chunkCount(t.N, 0)
	var stats *statistics
	if o.Out.Norm != nil && usesBatch(mode, o.Out.Norm.BN) {
		stats = d.newStatistics(t, chunks)
	}
	d.eachImage(t.N, chunks, func(w *worker, chunk, image int) {
		data := c.prepare(d, w, image)
		if len(o.Dense) == 0 {
			c.convolve(d, w, data, plane(t, image), t.H, t.W)
		} else {
			a := &w.args.dense
			*a = kernel.Dense{Out: plane(t, image).Data, OutOff: c.outOff, In: c.middle(d, w, data), InOff: c.inOff, Taps: c.denseTaps, K: c.k, N: c.n, W: c.denseW}
			d.set.Dense(a)
		}
		if stats != nil {
			stats.add(d, w, t, chunk, image)
		}
	})
	finishNorm(mode, o.Out, stats)
}

func finishNorm(mode nn.Mode, v *nn.Var, stats *statistics) {
	switch {
	case stats != nil:
		stats.finish(mode, v)
	case v.Norm != nil:
		running(v)
	}
}

func (d *Device) convBackward(_ nn.Mode, o *nn.Conv) {
	g := d.prepareGrad(o.Out)
	c := d.newChain(o, true)
	depthSize, denseSize := len(c.depthTaps)*c.first.c, len(c.denseTaps)*c.k*c.n
	if o.Depth == nil {
		depthSize = 0
	}
	size := depthSize + denseSize
	chunks := chunkCount(c.in.N, size)
	partial := grow(&d.room.partial, chunks*size)
	clear(partial)
	d.eachImage(c.in.N, chunks, func(w *worker, chunk, image int) {
		mine := partial[chunk*size : (chunk+1)*size]
		c.backward(d, w, g, mine[:depthSize], mine[depthSize:], image)
	})
	// The chunks' partial gradients, in order.
	total := partial[:size]
	for chunk := 1; chunk < chunks; chunk++ {
		d.set.Add(total, partial[chunk*size:(chunk+1)*size])
	}
	c.addWeightGrads(total[:depthSize], total[depthSize:])
}

func (c *chain) addWeightGrads(depth, dense []float32) {
	if w := c.op.Depth; w != nil {
		grad, width := w.Grad.(memory), w.Shape[len(w.Shape)-1]
		for t := range c.depthTaps {
			for i := range w.Out {
				grad[t*width+i] += depth[t*c.first.c+i]
			}
		}
		touch(w.Param)
	}
	c.weightAt(func(p *nn.Param, tap, k, n, index int) {
		p.Grad.(memory)[index] += dense[(tap*c.k+k)*c.n+n]
	})
	for _, part := range c.op.Dense {
		touch(part.W.Param)
	}
}

// backward takes one image.
func (c *chain) backward(d *Device, w *worker, g *normGrad, depthGrad, denseGrad []float32, image int) {
	o := c.op
	data := c.prepare(d, w, image)
	out := grid{h: c.out.H, w: c.out.W, c: c.out.Channels.Padded()}
	dy := w.take(out.size())
	g.write(d, w, out.inner(dy), image)
	dz := dy
	dzGrid := out
	if len(o.Dense) > 0 {
		dz = c.denseBackward(d, w, c.middle(d, w, data), dy, out, denseGrad)
		dzGrid = c.second
	}
	var dx kernel.Plane
	switch {
	case o.Depth != nil:
		inner := dzGrid.inner(dz)
		a := &w.args.depthwiseGrad
		*a = kernel.DepthwiseGrad{DW: depthGrad, In: c.first.strided(c.depth, data), G: inner, Rows: dzGrid.h, Cols: dzGrid.w, C: c.first.c, Taps: c.depthTaps}
		d.set.DepthwiseGrad(a)
		if o.X.Grad == nil {
			return
		}
		dx = c.depthBackward(d, w, inner, dzGrid)
	default:
		if o.X.Grad == nil {
			return
		}
		dx = dzGrid.inner(dz)
	}
	a := &w.args.addMasked
	*a = kernel.AddMasked{Dst: plane(o.X.Grad, image), G: dx, X: plane(c.in, image), Rows: c.in.H, Cols: c.in.W, C: c.first.c, Store: o.StoreGrad(0)}
	if o.ReLU {
		a.View = view(o.X, true)
	}
	d.set.AddMasked(a)
}

// denseBackward adds to the weights' gradient and returns that of the input, in a
// copy like the second grid.
func (c *chain) denseBackward(d *Device, w *worker, z, dy []float32, out grid, grad []float32) []float32 {
	for t, tap := range c.denseTaps {
		a := &w.args.denseGrad
		*a = kernel.DenseGrad{DW: grad[t*c.k*c.n:], LD: c.n, A: c.second.strided(c.dense, z[tap:]), B: out.inner(dy), Rows: c.out.H, Cols: c.out.W, K: c.k, N: c.n}
		d.set.DenseGrad(a)
	}
	if c.op.Depth == nil && c.op.X.Grad == nil {
		return nil
	}
	// Each tap hands its share back to where it was read from.
	dz := w.takeZero(c.second.size())
	dyOff := d.table(c.out.H, c.out.W, out.row(), out.c)
	for t, tap := range c.denseTaps {
		a := &w.args.dense
		*a = kernel.Dense{Out: dz[tap:], OutOff: c.inOff, In: dy, InOff: dyOff, Taps: zeroTap, K: c.n, N: c.k, W: c.transposed[t*c.tapW : (t+1)*c.tapW], Accumulate: true}
		d.set.Dense(a)
	}
	return dz
}

var zeroTap = []int32{0}

// depthBackward is the gradient of a depthwise convolution's input: each tap hands
// its share back.
func (c *chain) depthBackward(d *Device, w *worker, dz kernel.Plane, dzGrid grid) kernel.Plane {
	dx := w.takeZero(c.first.size())
	for t, tap := range c.depthTaps {
		a := &w.args.depthwise
		*a = kernel.Depthwise{Out: c.first.strided(c.depth, dx[tap:]), In: dz, Rows: dzGrid.h, Cols: dzGrid.w, C: c.first.c,
			Taps: zeroTap, W: c.depthW[t*c.first.c : (t+1)*c.first.c], Accumulate: true}
		d.set.Depthwise(a)
	}
	return c.first.inner(dx)
}

// convScratch is what a block's passes take beyond the plan.
func (d *Device) convScratch(o *nn.Conv) int64 {
	in, out := o.X.Values, o.Out.Values
	image := (in.H + 16) * (in.W + 16) * in.Channels.Padded()
	weights := 0
	if o.Depth != nil {
		weights += o.Depth.Len()
	}
	for _, part := range o.Dense {
		weights += part.W.Len()
	}
	return 4 * int64(d.Threads()*(4*image+out.Image())+(chunkCount(in.N, weights)+2)*weights)
}
