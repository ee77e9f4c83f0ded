// Command asm writes the kernels of what has a window for each channel: depthwise
// convolutions, the gradients of their weights, and pools. Lanes are channels; every
// chain has the order of the plain Go twins, so the bits are theirs.
//
// Each function takes an array of pointers p and one of integers n, whose last places
// are its own to count in. Strides are in bytes.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panel is a number of channels and the registers that hold them.
type panel struct {
	set      string
	channels int
	bytes    int // of a vector
	vectors  int
}

func (l panel) name(kernel string) string { return fmt.Sprintf("%s%d%s", kernel, l.channels, l.set) }

var (
	zmm    = panel{"AVX512", 16, 64, 1}
	twoYMM = panel{"AVX2", 16, 32, 2}
	ymm    = panel{"AVX2", 8, 32, 1}
	xmm    = panel{"AVX2", 4, 16, 1}
	// With AVX-512 there are twice as many registers of any width.
	manyYMM = panel{"AVX512", 8, 32, 1}
	manyXMM = panel{"AVX512", 4, 16, 1}
)

var (
	zs = []VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31}
	xs = []VecPhysical{X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13, X14, X15,
		X16, X17, X18, X19, X20, X21, X22, X23, X24, X25, X26, X27, X28, X29, X30, X31}
	ys = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15,
		Y16, Y17, Y18, Y19, Y20, Y21, Y22, Y23, Y24, Y25, Y26, Y27, Y28, Y29, Y30, Y31}
	high = []GPPhysical{R8, R9, R10, R11, R12, R13}
)

func (l panel) reg(i int) VecPhysical {
	switch l.bytes {
	case 16:
		return xs[i]
	case 32:
		return ys[i]
	}
	return zs[i]
}

func (l panel) clear(i int) {
	if l.bytes == 64 {
		VPXORD(l.reg(i), l.reg(i), l.reg(i))
		return
	}
	VXORPS(l.reg(i), l.reg(i), l.reg(i))
}

func p(i int) Mem { return Mem{Base: RBX, Disp: 8 * i} }
func n(i int) Mem { return Mem{Base: RCX, Disp: 8 * i} }

func begin(name string) {
	TEXT(name, NOSPLIT, "func(p *[6]*float32, n *[12]int)")
	Pragma("noescape")
	Load(Param("p"), RBX)
	Load(Param("n"), RCX)
}

func end() {
	VZEROUPPER()
	RET()
}

func main() {
	for _, l := range []panel{zmm, ymm, xmm} {
		windows(l.name("depthwise"), l, (*tile).multiply)
		windows(l.name("maxPool"), l, (*tile).largest)
	}
	for _, l := range []panel{zmm, manyYMM, manyXMM} {
		for _, width := range []int{3, 5} {
			for dilation := 1; dilation <= 2; dilation++ {
				slide(l, width, dilation)
			}
			depthwiseGradSquare(l, width)
		}
	}
	for _, l := range []panel{ymm, xmm} {
		maxPoolGrad(l)
	}
	// With one vector a tap, the sums of few taps wait for the multiply-adds. Two of AVX2
	// are as fast as one of AVX-512.
	for _, l := range []panel{twoYMM, ymm, xmm} {
		for taps := 1; taps <= 5; taps++ {
			depthwiseGrad(l, taps)
		}
	}
	Generate()
}

// windows goes over all windows in tiles of eight pixels, then one by one: p = out, in,
// taps, weights; n = out's row and pixel, in's row and pixel, bytes from a tap's weights
// to the next, rows, columns, taps, accumulate.
func windows(name string, l panel, kind func(t *tile)) {
	begin(name)
	MOVQ(p(0), R8)
	MOVQ(p(1), R9)
	MOVQ(n(3), R12)
	LEAQ(Mem{Base: R12, Index: R12, Scale: 2}, R13)
	beginRows()
	for _, size := range []int{8, 1} {
		Label(fmt.Sprintf("tile%d", size))
		CMPQ(n(11), Imm(uint64(size)))
		JLT(LabelRef(fmt.Sprintf("after%d", size)))
		kind(&tile{l, size})
		SUBQ(Imm(uint64(size)), n(11))
		JMP(LabelRef(fmt.Sprintf("tile%d", size)))
		Label(fmt.Sprintf("after%d", size))
	}
	endRows()
}

// beginRows begins each row of windows: R10 and R11 go through the row's outputs and inputs,
// n[11] counts its columns.
func beginRows() {
	MOVQ(n(1), R14)
	MOVQ(n(5), RAX)
	MOVQ(RAX, n(10))
	Label("row")
	MOVQ(R8, R10)
	MOVQ(R9, R11)
	MOVQ(n(6), RAX)
	MOVQ(RAX, n(11))
}

func endRows() {
	ADDQ(n(0), R8)
	ADDQ(n(2), R9)
	DECQ(n(10))
	JNZ(LabelRef("row"))
	end()
}

// tile is a number of pixels of a row, whose results stay in registers.
type tile struct {
	panel
	size int
}

func (t *tile) label(s string) string { return fmt.Sprintf("%s%d", s, t.size) }

// outs visits the outputs, which RAX goes past.
func (t *tile) outs(each func(r VecPhysical, at Mem)) {
	MOVQ(R10, RAX)
	for i := range t.size {
		each(t.reg(i), Mem{Base: RAX})
		ADDQ(R14, RAX)
	}
}

// start makes the sums that a tile begins with and has R15 at the weights.
func (t *tile) start() {
	CMPQ(n(8), Imm(0))
	JNE(LabelRef(t.label("old")))
	for i := range t.size {
		t.clear(i)
	}
	JMP(LabelRef(t.label("start")))
	Label(t.label("old"))
	t.outs(func(r VecPhysical, at Mem) { VMOVUPS(at, r) })
	Label(t.label("start"))
	MOVQ(p(3), R15)
}

// multiply is a tile of a depthwise convolution.
func (t *tile) multiply() {
	t.start()
	t.taps(func() {
		VMOVUPS(Mem{Base: R15}, t.reg(8))
		ADDQ(n(4), R15)
	}, func(r VecPhysical, at Mem) { VFMADD231PS(at, t.reg(8), r) })
}

// largest is a tile of a pool: what begins with -Inf begins with the first tap.
func (t *tile) largest() {
	VBROADCASTSS(Mem{Base: RCX, Disp: 8 * 4}, t.reg(0))
	for i := 1; i < t.size; i++ {
		VMOVUPS(t.reg(0), t.reg(i))
	}
	t.taps(func() {}, func(r VecPhysical, at Mem) { VMAXPS(at, r, r) })
}

// taps does each tap of each window and writes the results.
func (t *tile) taps(begin func(), each func(r VecPhysical, at Mem)) {
	MOVQ(p(2), RDX)
	MOVQ(n(7), RAX)
	Label(t.label("tap"))
	MOVLQSX(Mem{Base: RDX}, RSI)
	LEAQ(Mem{Base: R11, Index: RSI, Scale: 4}, RSI)
	ADDQ(Imm(4), RDX)
	begin()
	at := []Mem{{Base: RSI}, {Base: RSI, Index: R12, Scale: 1}, {Base: RSI, Index: R12, Scale: 2}, {Base: RSI, Index: R13, Scale: 1}}
	for i := range t.size {
		if i == 4 {
			LEAQ(Mem{Base: RSI, Index: R12, Scale: 4}, RSI)
		}
		each(t.reg(i), at[i%4])
	}
	DECQ(RAX)
	JNZ(LabelRef(t.label("tap")))
	t.outs(func(r VecPhysical, at Mem) { VMOVUPS(r, at) })
	MOVQ(RAX, R10)
	if t.size == 8 {
		LEAQ(Mem{Base: R11, Index: R12, Scale: 8}, R11)
		return
	}
	ADDQ(R12, R11)
}

// slide is a depthwise convolution whose window has rows of so many taps, dilation pixels
// apart: a pixel is read once for all windows of a tile, eight, that have it in the same row.
// Arguments are those of windows, but columns, a multiple of eight, and taps count rows
// of taps.
func slide(l panel, width, dilation int) {
	const size, weights, pixels = 8, 8, 16 // registers: sums, then weights, then what is read
	begin(l.name(fmt.Sprintf("depthwiseSlide%dBy%dx", width, dilation)))
	MOVQ(p(0), R8)
	MOVQ(p(1), R9)
	MOVQ(n(3), R12)
	MOVQ(n(4), R13)
	t := &tile{l, size}
	beginRows()
	Label("tile")
	t.start()
	MOVQ(p(2), RDX)
	MOVQ(n(7), RAX)
	Label("taps")
	MOVLQSX(Mem{Base: RDX}, RSI)
	LEAQ(Mem{Base: R11, Index: RSI, Scale: 4}, RSI)
	ADDQ(Imm(uint64(4*width)), RDX)
	for tap := range width {
		VMOVUPS(Mem{Base: R15}, l.reg(weights+tap))
		ADDQ(R13, R15)
	}
	for pixel := range size + (width-1)*dilation {
		x := l.reg(pixels + pixel%16)
		VMOVUPS(Mem{Base: RSI}, x)
		ADDQ(R12, RSI)
		// The taps of an output come in order, as pixels do.
		for tap := range width {
			if out := pixel - tap*dilation; out >= 0 && out < size {
				VFMADD231PS(x, l.reg(weights+tap), l.reg(out))
			}
		}
	}
	DECQ(RAX)
	JNZ(LabelRef("taps"))
	t.outs(func(r VecPhysical, at Mem) { VMOVUPS(r, at) })
	MOVQ(RAX, R10)
	LEAQ(Mem{Base: R11, Index: R12, Scale: 8}, R11)
	SUBQ(Imm(size), n(11))
	JNZ(LabelRef("tile"))
	endRows()
}

// maxPoolGrad: p = din, in, out, g, taps; n = the row and pixel of din and in, of out, of
// g, rows, columns, taps.
func maxPoolGrad(l panel) {
	begin(l.name("maxPoolGrad"))
	output, left, equal, share := l.reg(0), l.reg(1), l.reg(2), l.reg(3)
	MOVQ(n(6), RAX)
	MOVQ(RAX, n(10))
	Label("row")
	for i, r := range []GPPhysical{R8, R9, R10, R11} {
		MOVQ(p(i), r)
	}
	MOVQ(n(7), R12)
	Label("column")
	VMOVUPS(Mem{Base: R10}, output)
	VMOVUPS(Mem{Base: R11}, left)
	MOVQ(p(4), RDX)
	MOVQ(n(8), RAX)
	Label("tap")
	MOVLQSX(Mem{Base: RDX}, RSI)
	ADDQ(Imm(4), RDX)
	VCMPPS(Imm(0), Mem{Base: R9, Index: RSI, Scale: 4}, output, equal)
	VANDPS(left, equal, share)
	VANDNPS(left, equal, left)
	VADDPS(Mem{Base: R8, Index: RSI, Scale: 4}, share, share)
	VMOVUPS(share, Mem{Base: R8, Index: RSI, Scale: 4})
	DECQ(RAX)
	JNZ(LabelRef("tap"))
	ADDQ(n(1), R8)
	ADDQ(n(1), R9)
	ADDQ(n(3), R10)
	ADDQ(n(5), R11)
	DECQ(R12)
	JNZ(LabelRef("column"))
	for i, row := range []int{0, 0, 2, 4} {
		MOVQ(n(row), RAX)
		ADDQ(RAX, p(i))
	}
	DECQ(n(10))
	JNZ(LabelRef("row"))
	end()
}

// depthwiseGrad of up to five taps: p = dw, in, g, taps; n = in's row and pixel, g's
// row and pixel, bytes from a tap of dw to the next, rows, columns.
func depthwiseGrad(l panel, taps int) {
	begin(l.name(fmt.Sprintf("depthwiseGrad%dx", taps)))
	table := func(each func(r VecPhysical, at Mem)) {
		MOVQ(p(0), RAX)
		for i := range taps {
			for v := range l.vectors {
				each(l.reg(i*l.vectors+v), Mem{Base: RAX, Disp: v * l.bytes})
			}
			ADDQ(n(4), RAX)
		}
	}
	table(func(r VecPhysical, at Mem) { VMOVUPS(at, r) })
	MOVQ(p(3), RAX)
	for i := range taps {
		MOVLQSX(Mem{Base: RAX, Disp: 4 * i}, high[i])
		SHLQ(Imm(2), high[i])
	}
	MOVQ(p(1), RDX)
	MOVQ(p(2), R15)
	MOVQ(n(1), R13)
	MOVQ(n(3), R14)
	MOVQ(n(5), RAX)
	MOVQ(RAX, n(11))
	Label("row")
	MOVQ(RDX, RSI)
	MOVQ(R15, RDI)
	MOVQ(n(6), RAX)
	Label("column")
	for v := range l.vectors {
		VMOVUPS(Mem{Base: RDI, Disp: v * l.bytes}, l.reg(14+v))
	}
	for i := range taps {
		for v := range l.vectors {
			VFMADD231PS(Mem{Base: RSI, Index: high[i], Scale: 1, Disp: v * l.bytes}, l.reg(14+v), l.reg(i*l.vectors+v))
		}
	}
	ADDQ(R13, RSI)
	ADDQ(R14, RDI)
	DECQ(RAX)
	JNZ(LabelRef("column"))
	ADDQ(n(0), RDX)
	ADDQ(n(2), R15)
	DECQ(n(11))
	JNZ(LabelRef("row"))
	table(func(r VecPhysical, at Mem) { VMOVUPS(r, at) })
	end()
}

// depthwiseGradSquare is depthwiseGrad of a window of width x width taps, whose sums are in
// registers all together: p = dw, in, g, taps; n = in's row and pixel, g's row and pixel,
// bytes from a tap of dw to the next, rows, columns, and bytes from a tap of a row to the next.
func depthwiseGradSquare(l panel, width int) {
	begin(l.name(fmt.Sprintf("depthwiseGradSquare%dx", width)))
	table := func(each func(r VecPhysical, at Mem)) {
		MOVQ(p(0), RAX)
		MOVQ(n(4), RDX)
		for i := range width * width {
			each(l.reg(i), Mem{Base: RAX})
			ADDQ(RDX, RAX)
		}
	}
	gradient := l.reg(31)
	table(func(r VecPhysical, at Mem) { VMOVUPS(at, r) })
	MOVQ(p(2), R15)
	MOVQ(n(1), R13)
	MOVQ(n(3), R14)
	MOVQ(n(7), RDX)
	LEAQ(Mem{Base: RDX, Index: RDX, Scale: 2}, RSI)
	MOVQ(n(5), RAX)
	MOVQ(RAX, n(11))
	rows := high[:width]
	Label("row")
	MOVQ(p(3), RAX)
	for i, r := range rows {
		MOVLQSX(Mem{Base: RAX, Disp: 4 * i * width}, r)
		SHLQ(Imm(2), r)
		ADDQ(p(1), r)
	}
	MOVQ(R15, RDI)
	MOVQ(n(6), RAX)
	Label("column")
	VMOVUPS(Mem{Base: RDI}, gradient)
	for i, r := range rows {
		for j, at := range []Mem{{Base: r}, {Base: r, Index: RDX, Scale: 1}, {Base: r, Index: RDX, Scale: 2}, {Base: r, Index: RSI, Scale: 1}, {Base: r, Index: RDX, Scale: 4}}[:width] {
			VFMADD231PS(at, gradient, l.reg(i*width+j))
		}
		ADDQ(R13, r)
	}
	ADDQ(R14, RDI)
	DECQ(RAX)
	JNZ(LabelRef("column"))
	MOVQ(n(0), RAX)
	ADDQ(RAX, p(1))
	ADDQ(n(2), R15)
	DECQ(n(11))
	JNZ(LabelRef("row"))
	table(func(r VecPhysical, at Mem) { VMOVUPS(r, at) })
	end()
}
