package cpu

import (
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// chain is a convolution block. An image goes from the copy of what is read through
// the depthwise convolution into a worker's memory, and through the dense one into
// the output.
type chain struct {
	common
	op    *nn.Conv
	dense nn.Window
	taps  int // positions of the dense window, in all parts

	depthTaps []int32
	depthW    []float32
	back      transpose // of the depthwise convolution; its grid is its gradient's
	backW     []float32

	middle     grid // what the dense convolution reads
	at         int  // its first window there
	denseTaps  []int32
	denseW     []float32
	inOff      []int32
	outOff     []int32
	backTaps   []int32 // in the grid of the gradient of what the dense convolution reads
	backAt     int
	backOff    []int32
	gradOff    []int32   // of the output's gradient
	transposed []float32 // a tap by itself after the other, or a class of gather

	gather transpose // of the dense convolution, if gathers
	places []tapPlace
	parts  []gathered // a class each
}

// tapPlace is a position of the dense window in its transpose: a tap of a class. A
// position that meets no pixel has class -1.
type tapPlace struct{ class, tap int }

// gathered is where the pixels of a class of the transposed dense convolution are.
type gathered struct {
	out, in []int32
	first   int // pixel
}

func (c *chain) layOut() {
	o := c.op
	c.begin(o.X, o.Out, o.ReLU)
	c.store, c.again = o.X.Grad != nil && o.StoreGrad(0), !c.frozen
	c.dense = o.DenseWindow.Defaults()
	down, right := 0, 0
	for _, part := range o.Dense {
		down, right = max(down, part.Down), max(right, part.Right)
	}
	c.taps = len(o.Dense) * c.dense.KH * c.dense.KW
	if len(o.Dense) > 0 {
		c.weights = c.taps * c.c * c.outC
	}
	if o.Depth == nil {
		c.window, c.down, c.right = c.dense, down, right
		c.layOutGather(c.x.Values.H, c.x.Values.W)
		return
	}
	c.window = o.DepthWindow.Defaults()
	c.weights += c.depthSize()
	in := c.x.Values
	h, w := c.window.Output(in.H, in.W)
	c.middle = grid{h: h, w: w, c: c.c}
	if len(o.Dense) > 0 {
		c.middle.pad(c.dense, down, right)
	}
	c.back.layOut(c.window, in.H, in.W, c.middle)
	c.layOutGather(h, w)
}

// gathers says whether each pixel that the dense convolution read gathers its gradient
// from all outputs that read it: one sum, where handing out a tap's share after the other
// would load and store it for every tap. One pixel wide windows and those of several
// parts are handed out.
func (c *chain) gathers() bool { return len(c.op.Dense) == 1 && c.taps > 1 }

// layOutGather takes the size of what the dense convolution reads.
func (c *chain) layOutGather(h, w int) {
	if !c.gathers() {
		return
	}
	c.gather.layOut(c.dense, h, w, c.outGrid())
	grow(&c.places, c.taps)
	for i := range c.places {
		c.places[i].class = -1
	}
	for i, class := range c.gather.classes {
		for j, position := range c.gather.positions[class.from:class.to] {
			c.places[position] = tapPlace{i, j}
		}
	}
}

// depthSize is the number of the depthwise weights.
func (c *chain) depthSize() int {
	if c.op.Depth == nil {
		return 0
	}
	return c.window.KH * c.window.KW * c.c
}

func (c *chain) place(d *Device, g grid) {
	if c.op.Depth != nil {
		c.depthTaps = g.taps(c.depthTaps[:0], c.window, 0, 0)
	}
	if len(c.op.Dense) == 0 {
		return
	}
	gradient := c.back.grid
	if c.op.Depth == nil {
		c.middle, gradient = g, g
	}
	c.at, c.backAt = c.middle.origin(c.dense), gradient.origin(c.dense)
	c.denseTaps, c.backTaps = c.denseTaps[:0], c.backTaps[:0]
	for _, part := range c.op.Dense {
		c.denseTaps = c.middle.taps(c.denseTaps, c.dense, part.Down, part.Right)
		c.backTaps = gradient.taps(c.backTaps, c.dense, part.Down, part.Right)
	}
	t := c.out.Values
	c.inOff = d.table(t.H, t.W, c.dense.StrideH*c.middle.row(), c.dense.StrideW*c.c)
	c.backOff = d.table(t.H, t.W, c.dense.StrideH*gradient.row(), c.dense.StrideW*c.c)
	c.outOff = d.table(t.H, t.W, t.W*t.Pix, t.Pix)
	c.gradOff = d.table(t.H, t.W, t.W*c.outC, c.outC)
	c.parts = c.parts[:0]
	if !c.gathers() {
		return
	}
	for _, class := range c.gather.classes {
		c.parts = append(c.parts, gathered{
			out:   d.table(class.rows, class.cols, c.dense.StrideH*gradient.row(), c.dense.StrideW*c.c),
			in:    d.table(class.rows, class.cols, c.gather.grid.row(), c.gather.grid.c),
			first: gradient.inset() + class.y*gradient.row() + class.x*gradient.c,
		})
	}
}

func (c *chain) pack(backward bool) {
	if c.op.Depth != nil {
		c.packDepth()
		if backward {
			c.back.pack(&c.backW, c.depthW)
		}
	}
	switch {
	case len(c.op.Dense) == 0:
	case backward:
		c.packTransposed()
	default:
		c.packDense()
	}
}

func (c *chain) overwrites() bool {
	switch {
	case c.op.Depth != nil:
		return c.back.covers()
	case c.gathers():
		return c.gather.covers()
	}
	return c.pointwise()
}

func (c *chain) packDepth() {
	w := c.op.Depth
	value, width := w.Value.(memory), w.Shape[len(w.Shape)-1]
	clear(grow(&c.depthW, c.depthSize()))
	for t := range c.window.KH * c.window.KW {
		copy(c.depthW[t*c.c:(t+1)*c.c], value[t*width:t*width+w.Out])
	}
}

// eachRow calls visit for the outputs of every tap and input of the dense weights:
// the tap among those of all parts, the input's place, the first output's place, and
// where the row that is used begins in the part's parameter.
func (c *chain) eachRow(visit func(w *nn.Weight, tap, k, first, at int)) {
	first, tap := 0, 0
	for i := range c.op.Dense {
		part := &c.op.Dense[i]
		in := 0
		for j := range part.Weights() {
			w := part.Weight(j)
			depth, width := w.Shape[len(w.Shape)-2], w.Shape[len(w.Shape)-1]
			for t := range c.dense.KH * c.dense.KW {
				for row, k := range c.inPlaces[in : in+w.In] {
					visit(w, tap+t, k, first, (t*depth+row)*width+w.First)
				}
			}
			in += w.In
		}
		tap += c.dense.KH * c.dense.KW
		first += part.W.Out
	}
}

// eachParam tells the batch of the block's parameters.
func (c *chain) eachParam(b *batch) {
	if c.op.Depth != nil {
		b.share(c.op.Depth.Param)
	}
	for i := range c.op.Dense {
		part := &c.op.Dense[i]
		for j := range part.Weights() {
			b.share(part.Weight(j).Param)
		}
	}
}

// tapSize is the number of the dense weights of a tap.
func (c *chain) tapSize() int { return c.c * c.outC }

func (c *chain) packDense() {
	p := kernel.Packing{Taps: c.taps, K: c.c, N: c.outC}
	clear(grow(&c.denseW, p.Size()))
	c.eachRow(func(w *nn.Weight, tap, k, first, at int) {
		p.Row(c.denseW, tap, k, first, w.Value.(memory)[at:at+w.Out])
	})
}

func (c *chain) packTransposed() {
	p := kernel.Packing{Taps: 1, K: c.outC, N: c.c}
	clear(grow(&c.transposed, c.taps*p.Size()))
	if c.gathers() {
		c.eachRow(func(w *nn.Weight, tap, k, first, at int) {
			place := c.places[tap]
			if place.class < 0 {
				return
			}
			class := c.gather.classes[place.class]
			p.Taps = class.to - class.from
			p.Column(c.transposed[class.from*c.tapSize():], place.tap, first, k, w.Value.(memory)[at:at+w.Out])
		})
		return
	}
	c.eachRow(func(w *nn.Weight, tap, k, first, at int) {
		p.Column(c.transposed[tap*c.tapSize():], 0, first, k, w.Value.(memory)[at:at+w.Out])
	})
}

func (c *chain) addGrads(total []float32) {
	if w := c.op.Depth; w != nil {
		grad, width := w.Grad.(memory), w.Shape[len(w.Shape)-1]
		for t := range c.window.KH * c.window.KW {
			for i := range w.Out {
				grad[t*width+i] += total[t*c.c+i]
			}
		}
		touch(w.Param)
	}
	c.eachRow(func(w *nn.Weight, tap, k, first, at int) {
		from := c.depthSize() + (tap*c.c+k)*c.outC + first
		grad := w.Grad.(memory)[at : at+w.Out]
		for i, x := range total[from : from+w.Out] {
			grad[i] += x
		}
	})
	for i := range c.op.Dense {
		part := &c.op.Dense[i]
		for j := range part.Weights() {
			touch(part.Weight(j).Param)
		}
	}
}

// convolve runs the depthwise convolution into dst.
func (c *chain) convolve(d *Device, w *worker, from []float32, g grid, dst kernel.Plane, h, wd int) {
	a := &w.args.depthwise
	*a = kernel.Depthwise{Out: dst, In: g.strided(c.window.StrideH, c.window.StrideW, from, c.origin), Rows: h, Cols: wd, C: c.c, Taps: c.depthTaps, W: c.depthW}
	d.set.Depthwise(a)
}

// denseInput is the depthwise output, or what was read.
func (c *chain) denseInput(d *Device, w *worker, from []float32) []float32 {
	if c.op.Depth == nil {
		return from
	}
	z := w.take(c.middle.size())
	c.middle.border(z, 0)
	c.convolve(d, w, from, c.readGrid(), c.middle.inner(z), c.middle.h, c.middle.w)
	return z
}

func (c *chain) readGrid() grid { return c.bundle.readings[c.reading].grid }

func (c *chain) forward(d *Device, w *worker, from copied, image int) {
	t := c.out.Values
	out := plane(t, image)
	if len(c.op.Dense) == 0 {
		c.convolve(d, w, from.zero, c.readGrid(), out, t.H, t.W)
		return
	}
	a := &w.args.dense
	*a = kernel.Dense{Out: out.Data, OutOff: c.outOff, In: c.denseInput(d, w, from.zero)[c.at:], InOff: c.inOff, Taps: c.denseTaps, K: c.c, N: c.outC, W: c.denseW}
	d.set.Dense(a)
}

func (c *chain) backward(d *Device, w *worker, from copied, partial []float32, image int) {
	if len(c.op.Dense) == 0 {
		dz := w.take(c.back.grid.size())
		c.back.grid.border(dz, 0)
		c.grad.write(d, w, c.back.grid.inner(dz), image)
		c.depthBackward(d, w, from, dz, partial)
		return
	}
	out := c.gradGrid()
	dy := w.take(out.size())
	out.border(dy, 0)
	c.grad.write(d, w, out.inner(dy), image)
	if !c.frozen {
		c.denseGrad(d, w, c.denseInput(d, w, from.zero), out.inner(dy), partial[c.depthSize():])
	}
	if c.op.Depth == nil {
		if from.grad != nil {
			c.denseBackward(d, w, from.grad, dy, c.adds())
		}
		return
	}
	dz := w.take(c.back.grid.size())
	stored := c.pointwise() || c.gathers() && c.gather.covers()
	if !stored {
		clear(dz)
	}
	c.denseBackward(d, w, dz, dy, !stored)
	c.back.grid.border(dz, 0) // of what came to the padding
	c.depthBackward(d, w, from, dz, partial)
}

// gradGrid is a copy of the output's gradient.
func (c *chain) gradGrid() grid {
	if c.gathers() {
		return c.gather.grid
	}
	return c.outGrid()
}

// denseGrad adds to the gradient of the dense weights.
func (c *chain) denseGrad(d *Device, w *worker, z []float32, dy kernel.Plane, partial []float32) {
	t := c.out.Values
	for i, tap := range c.denseTaps {
		a := &w.args.denseGrad
		*a = kernel.DenseGrad{DW: partial[i*c.tapSize():], LD: c.outC, A: c.middle.strided(c.dense.StrideH, c.dense.StrideW, z, c.at+int(tap)), B: dy,
			Rows: t.H, Cols: t.W, K: c.c, N: c.outC}
		d.set.DenseGrad(a)
	}
}

// pointwise says whether each output reads one pixel, a different one each.
func (c *chain) pointwise() bool {
	return c.taps == 1 && c.dense.StrideH == 1 && c.dense.StrideW == 1 && c.dense.PadH == 0 && c.dense.PadW == 0
}

// denseBackward makes the gradient of what the dense convolution read in dz, from a copy of
// the output's: gathered, or by handing each tap's share to where it was read from.
func (c *chain) denseBackward(d *Device, w *worker, dz, dy []float32, accumulate bool) {
	for i, part := range c.parts {
		class := c.gather.classes[i]
		if class.from == class.to {
			continue
		}
		a := &w.args.dense
		*a = kernel.Dense{Out: dz[part.first:], OutOff: part.out, In: dy, InOff: part.in, Taps: c.gather.taps[class.from:class.to], K: c.outC, N: c.c,
			W: c.transposed[class.from*c.tapSize() : class.to*c.tapSize()], Accumulate: accumulate}
		d.set.Dense(a)
	}
	if c.gathers() {
		return
	}
	for i, tap := range c.backTaps {
		a := &w.args.dense
		*a = kernel.Dense{Out: dz[c.backAt+int(tap):], OutOff: c.backOff, In: dy, InOff: c.gradOff, Taps: zeroTap, K: c.outC, N: c.c,
			W: c.transposed[i*c.tapSize() : (i+1)*c.tapSize()], Accumulate: accumulate}
		d.set.Dense(a)
	}
}

var zeroTap = []int32{0}

// depthBackward takes the gradient of the depthwise output, bordered by zeros.
func (c *chain) depthBackward(d *Device, w *worker, from copied, dz, partial []float32) {
	g := c.readGrid()
	if !c.frozen {
		a := &w.args.depthwiseGrad
		*a = kernel.DepthwiseGrad{DW: partial[:c.depthSize()], In: g.strided(c.window.StrideH, c.window.StrideW, from.zero, c.origin), G: c.back.grid.inner(dz),
			Rows: c.middle.h, Cols: c.middle.w, C: c.c, Taps: c.depthTaps}
		d.set.DepthwiseGrad(a)
	}
	if from.grad != nil {
		c.back.convolve(d, w, from.grad, g, dz, c.backW, c.adds())
	}
}

func (c *chain) scratch() int {
	n := c.gradGrid().size() + c.outC
	if c.op.Depth != nil {
		n += c.middle.size() + c.back.grid.size()
	}
	return n
}
