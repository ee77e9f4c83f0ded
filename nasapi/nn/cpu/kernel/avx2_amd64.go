package kernel

import "unsafe"

//go:generate go run ./asm -out avx2_amd64.s -stubs avx2_stub_amd64.go -pkg kernel

// float is a table of int32 under the type that the assembly's pointers have.
func float(table []int32) *float32 { return (*float32)(unsafe.Pointer(unsafe.SliceData(table))) }

// at is the place of element i. It need not exist where a panel's last store ends a
// slice: nothing behind it is touched.
func at(x []float32, i int) *float32 { return &x[i] }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// wholeLines says whether every pixel of a plane begins where a cache line may, so that
// no vector of 16 channels lies across two.
func wholeLines(p *Plane) bool {
	const line = 16
	return p.Pix%line == 0 && p.Row%line == 0
}

// windowPanel is the width of the next panel of channels, of left.
func windowPanel(s Set, left int, lines bool) int {
	switch {
	case left >= 16 && s == AVX512 && lines:
		return 16
	case left >= 8:
		return 8
	}
	return 4
}

func depthwiseAssembly(s Set, a *Depthwise) {
	if a.Rows == 0 || a.Cols == 0 {
		return
	}
	if s == AVX512 {
		if w := windowRows(a.Taps, a.In.Pix); w.width > 0 {
			if depthwiseSlide(a, w); a.Cols%slideCols == 0 {
				return
			}
			rest := *a
			done := a.Cols - a.Cols%slideCols
			rest.Cols -= done
			rest.Out.Data, rest.In.Data = a.Out.Data[done*a.Out.Pix:], a.In.Data[done*a.In.Pix:]
			a = &rest
		}
	}
	lines := wholeLines(&a.In)
	for c := 0; c < a.C; {
		p := [6]*float32{at(a.Out.Data, c), at(a.In.Data, c), float(a.Taps), at(a.W, c)}
		n := [12]int{4 * a.Out.Row, 4 * a.Out.Pix, 4 * a.In.Row, 4 * a.In.Pix, 4 * a.C, a.Rows, a.Cols, len(a.Taps), flag(a.Accumulate)}
		width := windowPanel(s, a.C-c, lines)
		switch width {
		case 16:
			depthwise16AVX512(&p, &n)
		case 8:
			depthwise8AVX2(&p, &n)
		default:
			depthwise4AVX2(&p, &n)
		}
		c += width
	}
}

// slideCols is the number of pixels of a tile of depthwiseSlide.
const slideCols = 8

// slideRows is a window of rows of so many taps, dilation pixels apart. In the
// transpose of a convolution they come from right to left.
type slideRows struct {
	width, dilation int
	leftward        bool
}

// windowRows finds the rows of a window that depthwiseSlide has code for; else their width is 0.
func windowRows(taps []int32, pix int) slideRows {
	for _, width := range []int{5, 3} {
		if len(taps)%width != 0 || len(taps) == 0 {
			continue
		}
		step := int(taps[1]) - int(taps[0])
		w := slideRows{width: width, dilation: max(step, -step) / pix, leftward: step < 0}
		if step%pix == 0 && (w.dilation == 1 || w.dilation == 2) && evenRows(taps, width, step) {
			return w
		}
	}
	return slideRows{}
}

func evenRows(taps []int32, width, step int) bool {
	for i := range taps {
		if i%width > 0 && int(taps[i])-int(taps[i-1]) != step {
			return false
		}
	}
	return true
}

// depthwiseSlide does all whole tiles of the rows.
func depthwiseSlide(a *Depthwise, w slideRows) {
	cols := a.Cols - a.Cols%slideCols
	if cols == 0 {
		return
	}
	out, in, outPix, inPix := 0, 0, a.Out.Pix, a.In.Pix
	if w.leftward {
		out, in, outPix, inPix = (cols-1)*outPix, (cols-1)*inPix, -outPix, -inPix
	}
	for c := 0; c < a.C; {
		p := [6]*float32{at(a.Out.Data, out+c), at(a.In.Data, in+c), float(a.Taps), at(a.W, c)}
		n := [12]int{4 * a.Out.Row, 4 * outPix, 4 * a.In.Row, 4 * inPix, 4 * a.C, a.Rows, cols, len(a.Taps) / w.width, flag(a.Accumulate)}
		width := panel(c, a.C)
		switch width {
		case 16:
			slide16(w, &p, &n)
		case 8:
			slide8(w, &p, &n)
		default:
			slide4(w, &p, &n)
		}
		c += width
	}
}

func slide16(w slideRows, p *[6]*float32, n *[12]int) {
	switch {
	case w.width == 3 && w.dilation == 1:
		depthwiseSlide3By1x16AVX512(p, n)
	case w.width == 3:
		depthwiseSlide3By2x16AVX512(p, n)
	case w.dilation == 1:
		depthwiseSlide5By1x16AVX512(p, n)
	default:
		depthwiseSlide5By2x16AVX512(p, n)
	}
}

func slide8(w slideRows, p *[6]*float32, n *[12]int) {
	switch {
	case w.width == 3 && w.dilation == 1:
		depthwiseSlide3By1x8AVX512(p, n)
	case w.width == 3:
		depthwiseSlide3By2x8AVX512(p, n)
	case w.dilation == 1:
		depthwiseSlide5By1x8AVX512(p, n)
	default:
		depthwiseSlide5By2x8AVX512(p, n)
	}
}

func slide4(w slideRows, p *[6]*float32, n *[12]int) {
	switch {
	case w.width == 3 && w.dilation == 1:
		depthwiseSlide3By1x4AVX512(p, n)
	case w.width == 3:
		depthwiseSlide3By2x4AVX512(p, n)
	case w.dilation == 1:
		depthwiseSlide5By1x4AVX512(p, n)
	default:
		depthwiseSlide5By2x4AVX512(p, n)
	}
}

// lowest is -Inf, as an integer that holds its bits.
const lowest = 0xff800000

func maxPoolAssembly(s Set, a *MaxPool) {
	if a.Rows == 0 || a.Cols == 0 {
		return
	}
	lines := wholeLines(&a.In)
	for c := 0; c < a.C; {
		p := [6]*float32{at(a.Out.Data, c), at(a.In.Data, c), float(a.Taps)}
		n := [12]int{4 * a.Out.Row, 4 * a.Out.Pix, 4 * a.In.Row, 4 * a.In.Pix, lowest, a.Rows, a.Cols, len(a.Taps)}
		width := windowPanel(s, a.C-c, lines)
		switch width {
		case 16:
			maxPool16AVX512(&p, &n)
		case 8:
			maxPool8AVX2(&p, &n)
		default:
			maxPool4AVX2(&p, &n)
		}
		c += width
	}
}

func maxPoolGradAVX2(a *MaxPoolGrad) {
	if a.Rows == 0 || a.Cols == 0 {
		return
	}
	for c := 0; c < a.C; {
		p := [6]*float32{at(a.DIn.Data, c), at(a.In.Data, c), at(a.Out.Data, c), at(a.G.Data, c), float(a.Taps)}
		n := [12]int{4 * a.In.Row, 4 * a.In.Pix, 4 * a.Out.Row, 4 * a.Out.Pix, 4 * a.G.Row, 4 * a.G.Pix, a.Rows, a.Cols, len(a.Taps)}
		if a.C-c >= 8 {
			maxPoolGrad8AVX2(&p, &n)
			c += 8
		} else {
			maxPoolGrad4AVX2(&p, &n)
			c += 4
		}
	}
}

// gradTaps is how many taps the assembly takes at once.
const gradTaps = 5

func depthwiseGradOf16(taps int, p *[6]*float32, n *[12]int) {
	switch taps {
	case 1:
		depthwiseGrad1x16AVX2(p, n)
	case 2:
		depthwiseGrad2x16AVX2(p, n)
	case 3:
		depthwiseGrad3x16AVX2(p, n)
	case 4:
		depthwiseGrad4x16AVX2(p, n)
	case 5:
		depthwiseGrad5x16AVX2(p, n)
	}
}

func depthwiseGradOf8(taps int, p *[6]*float32, n *[12]int) {
	switch taps {
	case 1:
		depthwiseGrad1x8AVX2(p, n)
	case 2:
		depthwiseGrad2x8AVX2(p, n)
	case 3:
		depthwiseGrad3x8AVX2(p, n)
	case 4:
		depthwiseGrad4x8AVX2(p, n)
	case 5:
		depthwiseGrad5x8AVX2(p, n)
	}
}

func depthwiseGradOf4(taps int, p *[6]*float32, n *[12]int) {
	switch taps {
	case 1:
		depthwiseGrad1x4AVX2(p, n)
	case 2:
		depthwiseGrad2x4AVX2(p, n)
	case 3:
		depthwiseGrad3x4AVX2(p, n)
	case 4:
		depthwiseGrad4x4AVX2(p, n)
	case 5:
		depthwiseGrad5x4AVX2(p, n)
	}
}

func depthwiseGradAssembly(s Set, a *DepthwiseGrad) {
	if a.Rows == 0 || a.Cols == 0 {
		return
	}
	if s == AVX512 && depthwiseGradSquare(a) {
		return
	}
	for t := 0; t < len(a.Taps); t += gradTaps {
		taps := min(gradTaps, len(a.Taps)-t)
		for c := 0; c < a.C; {
			p := [6]*float32{at(a.DW, t*a.C+c), at(a.In.Data, c), at(a.G.Data, c), float(a.Taps[t:])}
			n := [12]int{4 * a.In.Row, 4 * a.In.Pix, 4 * a.G.Row, 4 * a.G.Pix, 4 * a.C, a.Rows, a.Cols}
			switch left := a.C - c; {
			case left >= 16:
				depthwiseGradOf16(taps, &p, &n)
				c += 16
			case left >= 8:
				depthwiseGradOf8(taps, &p, &n)
				c += 8
			default:
				depthwiseGradOf4(taps, &p, &n)
				c += 4
			}
		}
	}
}

// depthwiseGradSquare takes windows of 3 x 3 and of 5 x 5 taps; it says whether this is one.
func depthwiseGradSquare(a *DepthwiseGrad) bool {
	side := 3
	if len(a.Taps) == 25 {
		side = 5
	}
	step := 0
	if len(a.Taps) == side*side {
		step = int(a.Taps[1]) - int(a.Taps[0])
	}
	if step == 0 || !evenRows(a.Taps, side, step) {
		return false
	}
	for c := 0; c < a.C; {
		p := [6]*float32{at(a.DW, c), at(a.In.Data, c), at(a.G.Data, c), float(a.Taps)}
		n := [12]int{4 * a.In.Row, 4 * a.In.Pix, 4 * a.G.Row, 4 * a.G.Pix, 4 * a.C, a.Rows, a.Cols, 4 * step}
		width := panel(c, a.C)
		switch {
		case side == 3 && width == 16:
			depthwiseGradSquare3x16AVX512(&p, &n)
		case side == 3 && width == 8:
			depthwiseGradSquare3x8AVX512(&p, &n)
		case side == 3:
			depthwiseGradSquare3x4AVX512(&p, &n)
		case width == 16:
			depthwiseGradSquare5x16AVX512(&p, &n)
		case width == 8:
			depthwiseGradSquare5x8AVX512(&p, &n)
		default:
			depthwiseGradSquare5x4AVX512(&p, &n)
		}
		c += width
	}
	return true
}
