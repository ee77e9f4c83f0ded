package cpu

import (
	"slices"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// grid is a padded copy of an image in a worker's memory: h x w pixels of c float32s
// with so many rows and columns around them.
type grid struct {
	h, w, c                  int
	top, left, bottom, right int
}

func (g grid) row() int   { return (g.left + g.w + g.right) * g.c }
func (g grid) size() int  { return (g.top + g.h + g.bottom) * g.row() }
func (g grid) inset() int { return g.top*g.row() + g.left*g.c }

// inner is the plane of the image in a copy.
func (g grid) inner(data []float32) kernel.Plane {
	return kernel.Plane{Data: data[g.inset():], Row: g.row(), Pix: g.c}
}

// strided is the plane of every strideH-th row and strideW-th pixel from offset at.
func (g grid) strided(strideH, strideW int, data []float32, at int) kernel.Plane {
	return kernel.Plane{Data: data[at:], Row: strideH * g.row(), Pix: strideW * g.c}
}

// border fills what is around the image.
func (g grid) border(data []float32, value float32) {
	at := g.inset()
	fill(data[:at], value)
	for y := range g.h {
		end := at + g.w*g.c
		at += g.row()
		if y == g.h-1 {
			at = g.size()
		}
		fill(data[end:at], value)
	}
}

func fill(data []float32, value float32) {
	if value == 0 {
		clear(data)
		return
	}
	for i := range data {
		data[i] = value
	}
}

// pad makes room for a window over the image that may be moved down and right.
func (g *grid) pad(win nn.Window, down, right int) {
	g.top, g.left = max(g.top, win.PadH), max(g.left, win.PadW)
	g.bottom, g.right = max(g.bottom, win.PadH+down), max(g.right, win.PadW+right)
}

// origin is where the first window begins.
func (g grid) origin(win nn.Window) int { return (g.top-win.PadH)*g.row() + (g.left-win.PadW)*g.c }

// taps appends the offsets of a window's positions from its origin.
func (g grid) taps(to []int32, win nn.Window, down, right int) []int32 {
	for ky := range win.KH {
		for kx := range win.KW {
			to = append(to, int32((ky*win.DilationH+down)*g.row()+(kx*win.DilationW+right)*g.c))
		}
	}
	return to
}

// tableKey names a table of pixel offsets: rows x cols pixels with two strides.
type tableKey struct{ rows, cols, row, pix int }

// table is the offsets of a plane's pixels, rows first. Only the caller's goroutine
// may ask for one.
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

// transpose is how a gradient goes back through a window of each channel: for every
// pixel that was read, the sum over the outputs that read it. Pixels whose place has
// the same remainder by the stride are read by the same positions of the window; they
// are a class, and a class is a convolution of stride 1 of the output's gradient.
type transpose struct {
	strideH, strideW int
	grid             grid // of the output's gradient
	classes          []class
	taps             []int32 // of all classes
	positions        []int   // of the window, for each tap
	rows, cols       axis
}

type class struct {
	y, x, rows, cols int // first pixel and number of them
	from, to         int // taps
}

// axis is one dimension of the same: position k of the window meets pixel
// k.class + i*stride at output k.base + i.
type axis struct {
	meets      []meeting
	low, high  int // padding that the gradient needs
	classCount int
}

type meeting struct{ position, class, base int }

func (a *axis) layOut(in, out, window, stride, dilation, pad int) {
	a.meets, a.low, a.high, a.classCount = a.meets[:0], 0, 0, min(stride, in)
	for k := range window {
		for first := range a.classCount {
			at := first + pad - k*dilation
			if at%stride != 0 {
				continue
			}
			base := at / stride
			last := base + count(in, first, stride) - 1
			a.meets = append(a.meets, meeting{k, first, base})
			a.low, a.high = max(a.low, -base), max(a.high, last-(out-1))
		}
	}
}

// count is the number of places first, first+stride, ... below n.
func count(n, first, stride int) int { return (n - first + stride - 1) / stride }

// layOut takes the window, the size of what it reads and the grid of its outputs,
// which it pads.
func (t *transpose) layOut(win nn.Window, h, w int, out grid) {
	t.strideH, t.strideW = win.StrideH, win.StrideW
	t.rows.layOut(h, out.h, win.KH, win.StrideH, win.DilationH, win.PadH)
	t.cols.layOut(w, out.w, win.KW, win.StrideW, win.DilationW, win.PadW)
	out.top, out.bottom = max(out.top, t.rows.low), max(out.bottom, t.rows.high)
	out.left, out.right = max(out.left, t.cols.low), max(out.right, t.cols.high)
	t.grid = out
	t.classes, t.taps, t.positions = t.classes[:0], t.taps[:0], t.positions[:0]
	for y := range t.rows.classCount {
		for x := range t.cols.classCount {
			c := class{y: y, x: x, rows: count(h, y, win.StrideH), cols: count(w, x, win.StrideW), from: len(t.taps)}
			t.meet(y, x, win.KW)
			c.to = len(t.taps)
			t.classes = append(t.classes, c)
		}
	}
}

// meet appends the taps of a class.
func (t *transpose) meet(y, x, width int) {
	for _, a := range t.rows.meets {
		for _, b := range t.cols.meets {
			if a.class == y && b.class == x {
				t.taps = append(t.taps, int32((t.grid.top+a.base)*t.grid.row()+(t.grid.left+b.base)*t.grid.c))
				t.positions = append(t.positions, a.position*width+b.position)
			}
		}
	}
}

// pack puts weights, [position][c], into the order of the taps.
func (t *transpose) pack(to *[]float32, weights []float32) {
	c := t.grid.c
	packed := grow(to, len(t.taps)*c)
	for i, p := range t.positions {
		copy(packed[i*c:(i+1)*c], weights[p*c:(p+1)*c])
	}
}

// covers says whether every pixel that was read gets a gradient.
func (t *transpose) covers() bool {
	return !slices.ContainsFunc(t.classes, func(c class) bool { return c.from == c.to })
}

// convolve makes the gradient of what was read in dst, in the grid read, or adds it to what
// is there. The border of the output's gradient is zero.
func (t *transpose) convolve(d *Device, w *worker, dst []float32, read grid, gradient, packed []float32, accumulate bool) {
	for _, c := range t.classes {
		if c.from == c.to {
			continue
		}
		a := &w.args.depthwise
		*a = kernel.Depthwise{
			Out:  read.strided(t.strideH, t.strideW, dst, read.inset()+c.y*read.row()+c.x*read.c),
			In:   kernel.Plane{Data: gradient, Row: t.grid.row(), Pix: t.grid.c},
			Rows: c.rows, Cols: c.cols, C: read.c, Taps: t.taps[c.from:c.to], W: packed[c.from*read.c:], Accumulate: accumulate,
		}
		d.set.Depthwise(a)
	}
}
