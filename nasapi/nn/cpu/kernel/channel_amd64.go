package kernel

//go:generate go run ./asm/channel -out channel_amd64.s -pkg kernel

// channelCall is a region of pixels, as the assembly reads it: it moves the planes'
// pointers on and counts the rows down in place. Strides are in bytes.
type channelCall struct {
	dst            *float32
	dstRow, dstPix int
	x              *float32
	xRow, xPix     int
	g              *float32
	gRow, gPix     int
	rows, cols     int
	bytes          int // of a pixel's channels
	scale, shift   *float32
	center         *float32
	a, b, d        *float32
	sum, square    *float32
	lane           int // bytes from one lane's sums to the next
	lanes          int // bytes of all
	weight         *float32
	variant        int
}

// The bits of a variant.
const (
	variantReLU  = 1 // the view has one
	variantStore = 2 // nothing is added
	variantScale = 4 // the view has a scale and a shift
)

//go:noescape
func affineRegionAVX2(c *channelCall)

//go:noescape
func addScaledRegionAVX2(c *channelCall)

//go:noescape
func momentsRegionAVX2(c *channelCall)

//go:noescape
func gradMomentsRegionAVX2(c *channelCall)

//go:noescape
func normGradRegionAVX2(c *channelCall)

//go:noescape
func addMaskedRegionAVX2(c *channelCall)

//go:noescape
func scalePixelsRegionAVX2(c *channelCall)

// setRegion says whether there is anything to do.
func (c *channelCall) setRegion(rows, cols, channels int) bool {
	c.rows, c.cols, c.bytes = rows, cols, 4*channels
	return rows > 0 && cols > 0 && channels > 0
}

func (c *channelCall) setDst(p *Plane) { c.dst, c.dstRow, c.dstPix = &p.Data[0], 4*p.Row, 4*p.Pix }
func (c *channelCall) setX(p *Plane)   { c.x, c.xRow, c.xPix = &p.Data[0], 4*p.Row, 4*p.Pix }
func (c *channelCall) setG(p *Plane)   { c.g, c.gRow, c.gPix = &p.Data[0], 4*p.Row, 4*p.Pix }

func (c *channelCall) setView(v *View) {
	if v.ReLU {
		c.variant |= variantReLU
	}
	if v.Scale != nil {
		c.variant |= variantScale
		c.scale, c.shift = &v.Scale[0], &v.Shift[0]
	}
}

// setPassed is setView for a gradient, which no scale touches.
func (c *channelCall) setPassed(v *View) {
	if v.ReLU {
		c.setView(v)
	}
}

func (c *channelCall) setStore(on bool) {
	if on {
		c.variant |= variantStore
	}
}

func (c *channelCall) setSums(sum, square []float32) {
	c.sum, c.square = &sum[0], &square[0]
	c.lane, c.lanes = c.bytes, Lanes*c.bytes
}

func affineAVX2(a *Affine) {
	var c channelCall
	if !c.setRegion(a.Rows, a.Cols, a.C) {
		return
	}
	c.setDst(&a.Dst)
	c.setX(&a.X)
	c.setView(&a.View)
	affineRegionAVX2(&c)
}

func addScaledAVX2(a *AddScaled) {
	var c channelCall
	if !c.setRegion(a.Rows, a.Cols, a.C) {
		return
	}
	c.setDst(&a.Dst)
	c.setX(&a.X)
	c.setView(&a.View)
	c.setStore(a.Store)
	c.weight = &a.Weight
	addScaledRegionAVX2(&c)
}

func momentsAVX2(a *Moments) {
	var c channelCall
	if !c.setRegion(a.Rows, a.Cols, a.C) {
		return
	}
	c.setX(&a.X)
	c.setSums(a.Sum, a.Square)
	c.center = &a.Center[0]
	momentsRegionAVX2(&c)
}

func gradMomentsAVX2(a *GradMoments) {
	var c channelCall
	if !c.setRegion(a.Rows, a.Cols, a.C) {
		return
	}
	c.setX(&a.X)
	c.setG(&a.G)
	c.setPassed(&a.View)
	c.setSums(a.Sum, a.Dot)
	c.center = &a.Center[0]
	gradMomentsRegionAVX2(&c)
}

func normGradAVX2(a *NormGrad) {
	var c channelCall
	if !c.setRegion(a.Rows, a.Cols, a.C) {
		return
	}
	c.setDst(&a.Dst)
	c.setX(&a.X)
	c.setG(&a.G)
	c.setPassed(&a.View)
	c.center, c.a, c.b, c.d = &a.Center[0], &a.A[0], &a.B[0], &a.D[0]
	normGradRegionAVX2(&c)
}

func addMaskedAVX2(a *AddMasked) {
	var c channelCall
	if !c.setRegion(a.Rows, a.Cols, a.C) {
		return
	}
	c.setDst(&a.Dst)
	c.setG(&a.G)
	c.setPassed(&a.View)
	c.setStore(a.Store)
	if a.View.ReLU {
		c.setX(&a.X)
	}
	addMaskedRegionAVX2(&c)
}

func scalePixelsAVX2(a *ScalePixels) {
	var c channelCall
	if !c.setRegion(a.Rows, a.Cols, a.C) {
		return
	}
	c.setDst(&a.Dst)
	c.setX(&a.X)
	c.setStore(!a.Add)
	c.g, c.gRow, c.gPix = &a.Weight[0], 4*a.Cols, 4
	scalePixelsRegionAVX2(&c)
}
