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
	packs    []pack
	pixels   int  // of the largest tile of dense
	inputs   int  // of the largest tile of grad
	embedded bool // multiply-adds broadcast their number from memory themselves
}

// pack is the channels whose packed weights lie together. The channels of a panel's packs
// follow each other, widest first.
type pack struct {
	vectors int
	vector  func() VecVirtual
	bytes   int // of a vector
}

var (
	twoYMM = pack{2, YMM, 32}
	ymm    = pack{1, YMM, 32}
	xmm    = pack{1, XMM, 16}
	zmm    = pack{1, ZMM, 64}
)

// With AVX2 a vector's registers run out first. AVX-512 has more and needs no load for
// a broadcast, which is what a gradient waits for with AVX2; its tile of pixels is
// bounded by the sixteen integer registers. Where it has 32 channels to do or more, one load
// of a number serves two vectors, and what is left of 36 or 40 channels with them: the
// processors that do two of these vectors a cycle load two numbers a cycle.
var panels = []panel{
	{"AVX2", 16, []pack{twoYMM}, 6, 6, false},
	{"AVX2", 8, []pack{ymm}, 8, 8, false},
	{"AVX2", 4, []pack{xmm}, 8, 8, false},
	{"AVX512", 40, []pack{zmm, zmm, ymm}, 6, 6, false},
	{"AVX512", 36, []pack{zmm, zmm, xmm}, 6, 6, false},
	{"AVX512", 32, []pack{zmm, zmm}, 8, 8, false},
	{"AVX512", 16, []pack{zmm}, 8, 16, true},
	{"AVX512", 8, []pack{ymm}, 8, 16, true},
	{"AVX512", 4, []pack{xmm}, 8, 16, true},
}

// The fields of the arguments, 8 bytes each. The types and the declarations of the
// functions are in dense_amd64.go; a test holds them to these lists.
var (
	denseCall     = []string{"out", "outOff", "in", "inOff", "taps", "w0", "w1", "w2", "first", "tile", "tiles", "tapCount", "k", "accumulate", "tap", "tapsLeft"}
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
		for _, p := range l.packs {
			for range p.vectors {
				s[i] = append(s[i], p.vector())
			}
		}
	}
	return s
}

func (l panel) zero(sum VecVirtual) {
	if l.set == "AVX512" {
		VPXORD(sum, sum, sum) // VXORPS of these registers is an extension of its own
		return
	}
	VXORPS(sum, sum, sum)
}

// each calls f with the accumulators of row i and their places from at on.
func (l panel) each(row []VecVirtual, at Mem, f func(sum VecVirtual, at Mem)) {
	for _, p := range l.packs {
		for range p.vectors {
			f(row[0], at)
			row, at = row[1:], at.Offset(p.bytes)
		}
	}
}

// step adds the products of the numbers of a panel, each pack's at its own place, with
// one number for each row.
func (l panel) step(s sums, packs []Mem, x func(i int) Mem) {
	var ws []VecVirtual
	for i, p := range l.packs {
		for v := range p.vectors {
			w := p.vector()
			VMOVUPS(packs[i].Offset(v*p.bytes), w)
			ws = append(ws, w)
		}
	}
	for i, row := range s {
		if l.embedded {
			VFMADD231PS_BCST(x(i), ws[0], row[0])
			continue
		}
		y := l.packs[0].vector()
		VBROADCASTSS(x(i), y)
		for v, sum := range row {
			VFMADD231PS(ws[v], like(y, sum), sum)
		}
	}
}

// like is the part of x that is as wide as other.
func like(x, other VecVirtual) VecVirtual {
	switch other.Size() {
	case 16:
		return x.AsX().(VecVirtual)
	case 32:
		return x.AsY().(VecVirtual)
	}
	return x
}

func (l panel) dense(c emit.Call, size int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, size) }
	Label(label("tile"))
	MOVQ(c.Load("taps"), c.Field("tap"))
	MOVQ(c.Load("tapCount"), c.Field("tapsLeft"))
	var w []GPVirtual
	var packs []Mem
	for i := range l.packs {
		w = append(w, c.Load(fmt.Sprint("w", i)))
		packs = append(packs, Mem{Base: w[i]})
	}
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
	Label(label("tap"))
	x, k := c.Load("tap"), c.Load("k")
	MOVLQSX(Mem{Base: x}, x)
	SHLQ(Imm(2), x)
	ADDQ(Imm(4), c.Field("tap"))
	Label(label("channel"))
	l.step(s, packs, func(i int) Mem { return Mem{Base: rows[i], Index: x, Scale: 1} })
	for i, p := range l.packs {
		ADDQ(Imm(uint64(p.vectors*p.bytes)), w[i])
	}
	ADDQ(Imm(4), x)
	DECQ(k)
	JNZ(LabelRef(label("channel")))
	DECQ(c.Field("tapsLeft"))
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
	var packs []Mem
	at := 0
	for _, p := range l.packs {
		packs = append(packs, Mem{Base: b, Disp: at})
		at += p.vectors * p.bytes
	}
	Label(label("column"))
	l.step(s, packs, func(i int) Mem { return Mem{Base: a, Disp: 4 * i} })
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
