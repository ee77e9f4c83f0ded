// Command asm writes what package detmath has in AVX2, with the operations of the plain
// Go twins in their order: product and sum are two roundings, so the bits are the same.
//
// Tiles of matrix products: rows x columns numbers of the result stay in registers while
// a loop goes through the terms of their sums. Strides are in bytes.
//
// Curves: Tanh32 and Sigmoid32 of eight numbers at a time, in place.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	tile(4, 2)
	tile(4, 1)
	tile(1, 2)
	tile(1, 1)
	curve("tanhAVX2", false)
	curve("sigmoidAVX2", true)
	Generate()
}

// tile is rows x 8 vectors columns of the result.
func tile(rows, vectors int) {
	TEXT(fmt.Sprintf("tile%dx%dAVX2", rows, 8*vectors), NOSPLIT, "func(c, a, b *float32, terms, cRow, aRow, aTerm, bTerm int)")
	c, a, b := Load(Param("c"), GP64()), Load(Param("a"), GP64()), Load(Param("b"), GP64())
	terms, aTerm, bTerm := Load(Param("terms"), GP64()), Load(Param("aTerm"), GP64()), Load(Param("bTerm"), GP64())
	cs := rowsOf(c, "cRow", rows)
	sums := make([]VecVirtual, rows*vectors)
	for i := range sums {
		sums[i] = YMM()
		VMOVUPS(shift(cs[i/vectors], 32*(i%vectors)), sums[i])
	}
	as := rowsOf(a, "aRow", rows)
	Label("term")
	bs := make([]VecVirtual, vectors)
	for v := range bs {
		bs[v] = YMM()
		VMOVUPS(Mem{Base: b, Disp: 32 * v}, bs[v])
	}
	for r := range rows {
		x := YMM()
		VBROADCASTSS(as[r], x)
		for v := range bs {
			p := YMM()
			VMULPS(bs[v], x, p)
			VADDPS(p, sums[r*vectors+v], sums[r*vectors+v])
		}
	}
	// The rows of a are addressed from its first and its last, which both move on.
	ADDQ(aTerm, a)
	if last := as[rows-1].Base; rows > 1 {
		ADDQ(aTerm, last.(GPVirtual))
	}
	ADDQ(bTerm, b)
	DECQ(terms)
	JNZ(LabelRef("term"))
	cs = rowsOf(c, "cRow", rows)
	for i, s := range sums {
		VMOVUPS(s, shift(cs[i/vectors], 32*(i%vectors)))
	}
	VZEROUPPER()
	RET()
}

// rowsOf are the places of one row, or of four that lie a stride apart.
func rowsOf(base Register, stride string, rows int) []Mem {
	if rows == 1 {
		return []Mem{{Base: base}}
	}
	row, last := Load(Param(stride), GP64()), GP64()
	LEAQ(Mem{Base: base, Index: row, Scale: 2}, last)
	ADDQ(row, last)
	return []Mem{{Base: base}, {Base: base, Index: row, Scale: 1}, {Base: base, Index: row, Scale: 2}, {Base: last}}
}

func shift(m Mem, bytes int) Mem {
	m.Disp += bytes
	return m
}

// tanhSeries are the constants of package detmath; its test compares the bits.
var tanhSeries = [...]float32{1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2}

const (
	ln2Hi = 0x1.62ep-01
	ln2Lo = 0x1.0bfbe8p-15
	invLn = 0x1.715476p+00
)

// curve is Tanh32, line by line, and around it what makes it Sigmoid32. n is a multiple
// of eight above zero.
func curve(name string, sigmoid bool) {
	TEXT(name, NOSPLIT, "func(x *float32, n int)")
	p, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	Label("eight")
	x, a, t := YMM(), YMM(), YMM()
	VMOVUPS(Mem{Base: p}, x)
	if sigmoid {
		VMULPS(number(0.5), x, x)
	}
	sign := YMM()
	VMOVUPS(eight(1<<31), sign)
	VANDNPS(x, sign, a)
	VADDPS(a, a, a)
	bound := YMM()
	VMOVUPS(number(20), bound)
	VMINPS(a, bound, a) // NaN stays: the second source wins
	n32, k, r, q := YMM(), YMM(), YMM(), YMM()
	VMULPS(number(invLn), a, t)
	VADDPS(number(0.5), t, t)
	VCVTTPS2DQ(t, n32)
	VCVTDQ2PS(n32, k)
	VMULPS(number(ln2Hi), k, t)
	VSUBPS(t, a, r)
	VMULPS(number(ln2Lo), k, t)
	VSUBPS(t, r, r)
	VMOVUPS(number(tanhSeries[0]), q)
	for _, c := range tanhSeries[1:] {
		VMULPS(r, q, q)
		VADDPS(number(c), q, q)
	}
	VPADDD(eight(127), n32, n32)
	VPSLLD(Imm(23), n32, n32)
	VMULPS(r, r, t)
	VMULPS(q, t, t)
	VADDPS(t, r, t)
	VMULPS(t, n32, t)
	VSUBPS(number(1), n32, n32)
	VADDPS(n32, t, t)
	VADDPS(number(2), t, a)
	VDIVPS(a, t, t)
	VANDPS(sign, x, x)
	VORPS(x, t, t)
	if sigmoid {
		VMULPS(number(0.5), t, t)
		VADDPS(number(0.5), t, t)
	}
	VMOVUPS(t, Mem{Base: p})
	ADDQ(Imm(32), p)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("eight"))
	VZEROUPPER()
	RET()
}

var words = map[uint32]Mem{}

// eight is a constant of eight equal words.
func eight(w uint32) Mem {
	m, known := words[w]
	if !known {
		m = GLOBL(fmt.Sprintf("eight%08x", w), RODATA|NOPTR)
		for i := range 8 {
			DATA(4*i, U32(w))
		}
		words[w] = m
	}
	return m
}

func number(x float32) Mem { return eight(math.Float32bits(x)) }
