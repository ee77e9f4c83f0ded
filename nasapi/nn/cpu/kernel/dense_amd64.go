package kernel

//go:generate go run ./asm/dense -out dense_amd64.s -pkg kernel

// denseCall is a run of tiles of one size in one panel, as the assembly reads it. It
// moves first on and counts the tiles down in place.
type denseCall struct {
	out        *float32 // first channel of the panel
	outOff     *int32
	in         *float32
	inOff      *int32
	taps       *int32
	w0, w1, w2 *float32 // of the panels that are done together
	first      int      // pixel
	tile       int      // pixels of a tile
	tiles      int
	tapCount   int
	k          int
	accumulate int // not 0: begin with the old output
	//lint:ignore U1000 the assembly counts with it
	tap *int32 // the next of a tile
	//lint:ignore U1000 the assembly counts with it
	tapsLeft int // of a tile
}

// denseGradCall is a tile of input channels in one panel, summed over a rectangle of
// pixels. Strides are in bytes.
type denseGradCall struct {
	dw, a, b   *float32
	tile       int // input channels
	ld         int
	aRow, aPix int
	bRow, bPix int
	rows, cols int
}

//go:noescape
func dense16AVX2(c *denseCall)

//go:noescape
func dense8AVX2(c *denseCall)

//go:noescape
func dense4AVX2(c *denseCall)

//go:noescape
func denseGrad16AVX2(c *denseGradCall)

//go:noescape
func denseGrad8AVX2(c *denseGradCall)

//go:noescape
func denseGrad4AVX2(c *denseGradCall)

//go:noescape
func dense40AVX512(c *denseCall)

//go:noescape
func dense36AVX512(c *denseCall)

//go:noescape
func dense32AVX512(c *denseCall)

//go:noescape
func dense16AVX512(c *denseCall)

//go:noescape
func dense8AVX512(c *denseCall)

//go:noescape
func dense4AVX512(c *denseCall)

//go:noescape
func denseGrad40AVX512(c *denseGradCall)

//go:noescape
func denseGrad36AVX512(c *denseGradCall)

//go:noescape
func denseGrad32AVX512(c *denseGradCall)

//go:noescape
func denseGrad16AVX512(c *denseGradCall)

//go:noescape
func denseGrad8AVX512(c *denseGradCall)

//go:noescape
func denseGrad4AVX512(c *denseGradCall)

// joined is the width of the panels that a set does together, where output n begins one
// of N: two of 16 channels, and the narrower one after them if there is none of 16.
func joined(s Set, n, N int) int {
	switch left := N - n; {
	case s != AVX512 || left < 32:
		return panel(n, N)
	case left >= 40 && left < 48:
		return 40
	case left >= 36 && left < 40:
		return 36
	}
	return 32
}

// largestPixels is the size of the largest tile of Dense that a set has for a width.
func largestPixels(s Set, width int) int {
	if s == AVX2 && width == 16 {
		return 6
	}
	return 8
}

// largestInputs is that of DenseGrad.
func largestInputs(s Set, width int) int {
	if s == AVX2 || width >= 32 {
		return largestPixels(s, width)
	}
	return 16
}

// denseTile is the size of the next tile, and how many of that size follow each other,
// where left pixels, or input channels, are left in a panel and a tile has most at the
// most. What the largest tiles leave over is shared between the last two: a small tile runs at the pace of the
// multiply-adds' latency.
func denseTile(left, most int) (size, count int) {
	switch {
	case left%most == 0:
		return most, left / most
	case left > 2*most:
		return most, left/most - 1
	case left > most:
		return (left + 1) / 2, 1
	}
	return left, 1
}

func denseAssembly(s Set, a *Dense) {
	if len(a.Taps) == 0 || a.K == 0 || len(a.OutOff) == 0 {
		denseGeneric(a)
		return
	}
	c := denseCall{
		outOff: &a.OutOff[0], in: &a.In[0], inOff: &a.InOff[0], taps: &a.Taps[0],
		tapCount: len(a.Taps), k: a.K, accumulate: flag(a.Accumulate),
	}
	// Every panel reads all inputs again. Blocks of pixels that stay in a cache meanwhile
	// bring nothing here, with inputs of up to 2 MB.
	for n, w := 0, 0; n < a.N; {
		width, size := joined(s, n, a.N), len(a.Taps)*a.K
		c.out, c.w0 = &a.Out[n], &a.W[w]
		if width >= 32 {
			c.w1 = &a.W[w+16*size]
		}
		if width > 32 {
			c.w2 = &a.W[w+32*size]
		}
		for c.first = 0; c.first < len(a.OutOff); {
			c.tile, c.tiles = denseTile(len(a.OutOff)-c.first, largestPixels(s, width))
			densePanel(s, width, &c)
		}
		w += size * width
		n += width
	}
}

func densePanel(s Set, width int, c *denseCall) {
	wide := s == AVX512
	switch {
	case width == 40:
		dense40AVX512(c)
	case width == 36:
		dense36AVX512(c)
	case width == 32:
		dense32AVX512(c)
	case wide && width == 16:
		dense16AVX512(c)
	case wide && width == 8:
		dense8AVX512(c)
	case wide:
		dense4AVX512(c)
	case width == 16:
		dense16AVX2(c)
	case width == 8:
		dense8AVX2(c)
	default:
		dense4AVX2(c)
	}
}

// gradBlock is how many float32s of inputs and gradients the tiles of a gradient go over
// before the next pixels. 128 KiB suit the second-level cache: up to a third faster than
// all pixels of a large image at once, and no slower for a small one. Pixels that do not
// begin at cache lines touch more lines than that cache has time for; their block is one
// for the first level, a quarter faster with 36 channels.
func gradBlock(a *DenseGrad) int {
	const line = 16
	if a.A.Pix%line == 0 && a.B.Pix%line == 0 {
		return 32 << 10
	}
	return 8 << 10
}

// denseGradAssembly goes over blocks of rows, or of a part of one: sums are over rows, then
// columns.
func denseGradAssembly(s Set, a *DenseGrad) {
	if a.Rows == 0 || a.Cols == 0 {
		return
	}
	pixels := max(gradBlock(a)/(a.K+a.N), 32)
	rows, cols := max(1, pixels/a.Cols), min(a.Cols, pixels)
	c := denseGradCall{ld: 4 * a.LD, aRow: 4 * a.A.Row, aPix: 4 * a.A.Pix, bRow: 4 * a.B.Row, bPix: 4 * a.B.Pix}
	for r := 0; r < a.Rows; r += rows {
		for col := 0; col < a.Cols; col += cols {
			c.rows, c.cols = min(rows, a.Rows-r), min(cols, a.Cols-col)
			denseGradBlock(s, a, &c, r*a.A.Row+col*a.A.Pix, r*a.B.Row+col*a.B.Pix)
		}
	}
}

// denseGradBlock sums over the block of c, whose pixels are from A.Data[atA] and
// B.Data[atB] on.
func denseGradBlock(s Set, a *DenseGrad, c *denseGradCall, atA, atB int) {
	for n := 0; n < a.N; {
		width := joined(s, n, a.N)
		c.b = &a.B.Data[atB+n]
		for k := 0; k < a.K; k += c.tile {
			c.tile, _ = denseTile(a.K-k, largestInputs(s, width))
			c.dw, c.a = &a.DW[k*a.LD+n], &a.A.Data[atA+k]
			denseGradPanel(s, width, c)
		}
		n += width
	}
}

func denseGradPanel(s Set, width int, c *denseGradCall) {
	wide := s == AVX512
	switch {
	case width == 40:
		denseGrad40AVX512(c)
	case width == 36:
		denseGrad36AVX512(c)
	case width == 32:
		denseGrad32AVX512(c)
	case wide && width == 16:
		denseGrad16AVX512(c)
	case wide && width == 8:
		denseGrad8AVX512(c)
	case wide:
		denseGrad4AVX512(c)
	case width == 16:
		denseGrad16AVX2(c)
	case width == 8:
		denseGrad8AVX2(c)
	default:
		denseGrad4AVX2(c)
	}
}
