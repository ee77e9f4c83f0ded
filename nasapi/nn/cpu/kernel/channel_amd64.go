package kernel

import "math"

//go:generate go run ./asm/channel -out channel_amd64.s -pkg kernel

// channelCall is a panel of channels of a region of pixels, as the assembly reads it:
// it moves the planes' pointers on and counts the rows down in place. Strides are in
// bytes.
type channelCall struct {
	dst            *float32
	dstRow, dstPix int
	x              *float32
	xRow, xPix     int
	g              *float32
	gRow, gPix     int
	rows, cols     int
	scale, shift   *float32
	center         *float32
	a, b, d        *float32
	sum, square    *float32
	lane           int // bytes from one lane's sums to the next
	weight         *float32
	variant        int
}

// The bits of a variant.
const (
	variantReLU  = 1 // the view has one
	variantStore = 2 // nothing is added
	variantFour  = 4 // channels, not eight
)

//go:noescape
func affinePanelAVX2(c *channelCall)

//go:noescape
func addScaledPanelAVX2(c *channelCall)

//go:noescape
func momentsPanelAVX2(c *channelCall)

//go:noescape
func gradMomentsPanelAVX2(c *channelCall)

//go:noescape
func normGradPanelAVX2(c *channelCall)

//go:noescape
func addMaskedPanelAVX2(c *channelCall)

//go:noescape
func scalePixelsPanelAVX2(c *channelCall)

// regionBlock is how many numbers of a plane all panels of channels go over before the
// next rows: few enough to stay in the first-level cache.
const regionBlock = 2 << 10

// region goes over blocks of rows of a region of pixels, and over the panels of
// channels of each.
type region struct {
	rows, cols, c int // of all
	step          int // rows of a block
	row, channel  int // where the panel at hand begins
}

func newRegion(rows, cols, c int) region {
	if cols == 0 {
		rows = 0
	}
	return region{rows: rows, cols: cols, c: c, step: max(1, regionBlock/max(1, cols*c))}
}

func (r *region) next() {
	r.channel += panelWidth(r.c - r.channel)
	if r.channel >= r.c {
		r.channel, r.row = 0, r.row+r.step
	}
}

func panelWidth(left int) int {
	if left >= 8 {
		return 8
	}
	return 4
}

// call begins the arguments of the panel at hand; bits are those of the variant.
func (r *region) call(bits int) channelCall {
	if panelWidth(r.c-r.channel) == 4 {
		bits |= variantFour
	}
	return channelCall{rows: min(r.step, r.rows-r.row), cols: r.cols, lane: 4 * r.c, variant: bits}
}

// of is the panel's place among numbers of all channels.
func (r *region) of(x []float32) *float32 { return &x[r.channel] }

func (r *region) place(p *Plane) (at *float32, row, pix int) {
	return &p.Data[r.row*p.Row+r.channel], 4 * p.Row, 4 * p.Pix
}

func (r *region) dst(c *channelCall, p *Plane) { c.dst, c.dstRow, c.dstPix = r.place(p) }
func (r *region) x(c *channelCall, p *Plane)   { c.x, c.xRow, c.xPix = r.place(p) }
func (r *region) g(c *channelCall, p *Plane)   { c.g, c.gRow, c.gPix = r.place(p) }

// The coefficients of a view without any: with a shift of -0 zeros keep their sign.
var (
	ones      = [8]float32{1, 1, 1, 1, 1, 1, 1, 1}
	minusZero = math.Float32frombits(1 << 31)
	noShift   = [8]float32{minusZero, minusZero, minusZero, minusZero, minusZero, minusZero, minusZero, minusZero}
)

func (r *region) view(c *channelCall, v *View) {
	c.scale, c.shift = &ones[0], &noShift[0]
	if v.Scale != nil {
		c.scale, c.shift = r.of(v.Scale), r.of(v.Shift)
	}
}

func bit(on bool, b int) int {
	if on {
		return b
	}
	return 0
}

func affineAVX2(a *Affine) {
	for r := newRegion(a.Rows, a.Cols, a.C); r.row < r.rows; r.next() {
		c := r.call(bit(a.View.ReLU, variantReLU))
		r.dst(&c, &a.Dst)
		r.x(&c, &a.X)
		r.view(&c, &a.View)
		affinePanelAVX2(&c)
	}
}

func addScaledAVX2(a *AddScaled) {
	for r := newRegion(a.Rows, a.Cols, a.C); r.row < r.rows; r.next() {
		c := r.call(bit(a.View.ReLU, variantReLU) | bit(a.Store, variantStore))
		r.dst(&c, &a.Dst)
		r.x(&c, &a.X)
		r.view(&c, &a.View)
		c.weight = &a.Weight
		addScaledPanelAVX2(&c)
	}
}

func momentsAVX2(a *Moments) {
	for r := newRegion(a.Rows, a.Cols, a.C); r.row < r.rows; r.next() {
		c := r.call(0)
		r.x(&c, &a.X)
		c.center, c.sum, c.square = r.of(a.Center), r.of(a.Sum), r.of(a.Square)
		momentsPanelAVX2(&c)
	}
}

func gradMomentsAVX2(a *GradMoments) {
	for r := newRegion(a.Rows, a.Cols, a.C); r.row < r.rows; r.next() {
		c := r.call(bit(a.View.ReLU, variantReLU))
		r.x(&c, &a.X)
		r.g(&c, &a.G)
		r.view(&c, &a.View)
		c.center, c.sum, c.square = r.of(a.Center), r.of(a.Sum), r.of(a.Dot)
		gradMomentsPanelAVX2(&c)
	}
}

func normGradAVX2(a *NormGrad) {
	for r := newRegion(a.Rows, a.Cols, a.C); r.row < r.rows; r.next() {
		c := r.call(bit(a.View.ReLU, variantReLU))
		r.dst(&c, &a.Dst)
		r.x(&c, &a.X)
		r.g(&c, &a.G)
		r.view(&c, &a.View)
		c.center, c.a, c.b, c.d = r.of(a.Center), r.of(a.A), r.of(a.B), r.of(a.D)
		normGradPanelAVX2(&c)
	}
}

func addMaskedAVX2(a *AddMasked) {
	for r := newRegion(a.Rows, a.Cols, a.C); r.row < r.rows; r.next() {
		c := r.call(bit(a.View.ReLU, variantReLU) | bit(a.Store, variantStore))
		r.dst(&c, &a.Dst)
		r.g(&c, &a.G)
		if a.View.ReLU {
			r.x(&c, &a.X)
			r.view(&c, &a.View)
		}
		addMaskedPanelAVX2(&c)
	}
}

func scalePixelsAVX2(a *ScalePixels) {
	for r := newRegion(a.Rows, a.Cols, a.C); r.row < r.rows; r.next() {
		c := r.call(bit(!a.Add, variantStore))
		r.dst(&c, &a.Dst)
		r.x(&c, &a.X)
		c.g, c.gRow, c.gPix = &a.Weight[r.row*a.Cols], 4*a.Cols, 4
		scalePixelsPanelAVX2(&c)
	}
}
