// Command dense writes the kernels of dense convolutions and of the gradients of their
// weights, for AVX2 and for AVX-512. Lanes are output channels; every chain is fused
// multiply-adds in the order of the plain Go twins, so the bits are theirs.
//
// A function has the width of its panel and its set in its name. It does a tile of pixels, or of
// input channels, whose sums stay in registers: so many that the latency of the
// multiply-adds is hidden, as long as there are registers.
package main

import (
	"fmt"

	"evalnas/nasapi/nn/cpu/kernel/asm/emit"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// panel is a number of output channels and the registers that hold them. The Go code
// agrees with pixels and inputs: see largestPixels and largestInputs there.
type panel struct {
	set      string
	channels int
	vectors  int
	vector   func() VecVirtual
	bytes    int  // of a vector
	pixels   int  // of the largest tile of dense
	inputs   int  // of the largest tile of grad
	embedded bool // multiply-adds broadcast their number from memory themselves
}

// With AVX2 a vector's registers run out first. AVX-512 has more and needs no load for
// a broadcast, which is what a gradient waits for with AVX2; its tile of pixels is
// bounded by the sixteen integer registers.
var panels = []panel{
	{"AVX2", 16, 2, YMM, 32, 6, 6, false},
	{"AVX2", 8, 1, YMM, 32, 8, 8, false},
	{"AVX2", 4, 1, XMM, 16, 8, 8, false},
	{"AVX512", 16, 1, ZMM, 64, 8, 16, true},
	{"AVX512", 8, 1, YMM, 32, 8, 16, true},
	{"AVX512", 4, 1, XMM, 16, 8, 16, true},
}

// The fields of the arguments, 8 bytes each. The types and the declarations of the
// functions are in dense_amd64.go; a test holds them to these lists.
var (
	denseCall     = []string{"out", "outOff", "in", "inOff", "taps", "w", "first", "tile", "tiles", "tapCount", "k", "accumulate"}
	denseGradCall = []string{"dw", "a", "b", "tile", "ld", "aRow", "aPix", "bRow", "bPix", "rows", "cols"}
)

func main() {
	for _, l := range panels {
		l.function("dense", denseCall, l.pixels, l.dense)
	}
	for _, l := range panels {
		l.function("denseGrad", denseGradCall, l.inputs, l.grad)
	}
	Generate()
}

// function is one that branches to the code of its tile's size, most at the most.
func (l panel) function(name string, fields []string, most int, body func(c emit.Call, size int)) {
	c := emit.Begin(fmt.Sprintf("%s%d%s", name, l.channels, l.set), fields)
	size := c.Load("tile")
	for s := most; s > 1; s-- {
		CMPQ(size, Imm(uint64(s)))
		JEQ(LabelRef(fmt.Sprintf("size%d", s)))
	}
	for s := 1; s <= most; s++ {
		Label(fmt.Sprintf("size%d", s))
		body(c, s)
		VZEROUPPER()
		RET()
	}
}

// sums are the accumulators of a tile.
type sums [][]VecVirtual

func (l panel) sums(size int) sums {
	s := make(sums, size)
	for i := range s {
		for range l.vectors {
			s[i] = append(s[i], l.vector())
		}
	}
	return s
}

func (l panel) zero(sum VecVirtual) {
	if l.embedded {
		VPXORD(sum, sum, sum) // VXORPS of these registers is an extension of its own
		return
	}
	VXORPS(sum, sum, sum)
}

// each calls f with the accumulators of row i and their places from at on.
func (l panel) each(row []VecVirtual, at Mem, f func(sum VecVirtual, at Mem)) {
	for v, sum := range row {
		f(sum, at.Offset(v*l.bytes))
	}
}

// step adds the products of a panel at w with one number for each row.
func (l panel) step(s sums, w Mem, x func(i int) Mem) {
	var ws []VecVirtual
	for v := range l.vectors {
		ws = append(ws, l.vector())
		VMOVUPS(w.Offset(v*l.bytes), ws[v])
	}
	for i, row := range s {
		if l.embedded {
			VFMADD231PS_BCST(x(i), ws[0], row[0])
			continue
		}
		y := l.vector()
		VBROADCASTSS(x(i), y)
		for v, sum := range row {
			VFMADD231PS(ws[v], y, sum)
		}
	}
}

func (l panel) dense(c emit.Call, size int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, size) }
	Label(label("tile"))
	w, taps := c.Load("w"), c.Load("taps")
	in, inOff, first := c.Load("in"), c.Load("inOff"), c.Load("first")
	rows := make([]GPVirtual, size)
	for i := range rows {
		rows[i] = GP64()
		MOVLQSX(Mem{Base: inOff, Index: first, Scale: 4, Disp: 4 * i}, rows[i])
		LEAQ(Mem{Base: in, Index: rows[i], Scale: 4}, rows[i])
	}
	s := l.sums(size)
	for _, row := range s {
		for _, sum := range row {
			l.zero(sum)
		}
	}
	outs := func(f func(sum VecVirtual, at Mem)) {
		out, outOff, first := c.Load("out"), c.Load("outOff"), c.Load("first")
		for i, row := range s {
			at := GP64()
			MOVLQSX(Mem{Base: outOff, Index: first, Scale: 4, Disp: 4 * i}, at)
			l.each(row, Mem{Base: out, Index: at, Scale: 4}, f)
		}
	}
	CMPQ(c.Field("accumulate"), Imm(0))
	JEQ(LabelRef(label("start")))
	outs(func(sum VecVirtual, at Mem) { VMOVUPS(at, sum) })
	Label(label("start"))
	tapsLeft := c.Load("tapCount")
	Label(label("tap"))
	x, k := GP64(), c.Load("k")
	MOVLQSX(Mem{Base: taps}, x)
	SHLQ(Imm(2), x)
	ADDQ(Imm(4), taps)
	Label(label("channel"))
	l.step(s, Mem{Base: w}, func(i int) Mem { return Mem{Base: rows[i], Index: x, Scale: 1} })
	ADDQ(Imm(uint64(l.vectors*l.bytes)), w)
	ADDQ(Imm(4), x)
	DECQ(k)
	JNZ(LabelRef(label("channel")))
	DECQ(tapsLeft)
	JNZ(LabelRef(label("tap")))
	outs(func(sum VecVirtual, at Mem) { VMOVUPS(sum, at) })
	ADDQ(Imm(uint64(size)), c.Field("first"))
	DECQ(c.Field("tiles"))
	JNZ(LabelRef(label("tile")))
}

func (l panel) grad(c emit.Call, size int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, size) }
	s := l.sums(size)
	table := func(f func(sum VecVirtual, at Mem)) {
		dw, ld := c.Load("dw"), c.Load("ld")
		for _, row := range s {
			l.each(row, Mem{Base: dw}, f)
			ADDQ(ld, dw)
		}
	}
	table(func(sum VecVirtual, at Mem) { VMOVUPS(at, sum) })
	aRow, bRow, rows := c.Load("a"), c.Load("b"), c.Load("rows")
	aPix, bPix := c.Load("aPix"), c.Load("bPix")
	Label(label("row"))
	a, b, cols := GP64(), GP64(), c.Load("cols")
	MOVQ(aRow, a)
	MOVQ(bRow, b)
	Label(label("column"))
	l.step(s, Mem{Base: b}, func(i int) Mem { return Mem{Base: a, Disp: 4 * i} })
	ADDQ(aPix, a)
	ADDQ(bPix, b)
	DECQ(cols)
	JNZ(LabelRef(label("column")))
	ADDQ(c.Field("aRow"), aRow)
	ADDQ(c.Field("bRow"), bRow)
	DECQ(rows)
	JNZ(LabelRef(label("row")))
	table(func(sum VecVirtual, at Mem) { VMOVUPS(sum, at) })
}
