// Command asm writes md5x8's assembly: MD5 of eight texts in the lanes of
// AVX2 registers. The constants and the schedule are those of RFC 1321.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Vector registers are assigned by hand: avo's allocator counts the rows,
// which are written half by half, as live all the time and runs out of the
// sixteen that AVX2 has.
var (
	sum   = [4]VecPhysical{Y0, Y1, Y2, Y3} // the chaining values
	left  = Y4                             // blocks left in each lane
	state = [4]VecPhysical{Y5, Y6, Y7, Y8} // a, b, c, d; before that the rows to transpose
	temp  = [6]VecPhysical{Y9, Y10, Y11, Y12, Y13, Y14}
)

var rotations = [4][4]uint64{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}

var initial = [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}

func main() {
	sines, start, one := constants()
	TEXT("run", NOSPLIT, "func(sums *[4][8]uint32, lanes *byte, stride uint64, blocks *[8]uint32, most uint64)")
	Doc("run hashes eight lanes of padded text: lane i has blocks[i] blocks of 64 bytes",
		"at lanes+i*stride, and most is the largest of blocks. Lanes with no blocks keep",
		"the initial state.")
	result := Load(Param("sums"), GP64())
	low := Load(Param("lanes"), GP64())
	stride := Load(Param("stride"), GP64())
	blocks := Load(Param("blocks"), GP64())
	most := Load(Param("most"), GP64())

	stride3, high := GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	LEAQ(Mem{Base: low, Index: stride, Scale: 4}, high)

	words := AllocLocal(16 * 32)
	for i := range sum {
		VPBROADCASTD(start.Offset(4*i), sum[i])
	}
	VMOVDQU(Mem{Base: blocks}, left)

	Label("block")
	for group := range 4 {
		transpose(words, group, low, high, stride, stride3)
	}
	v := state
	for i := range v {
		VMOVDQA(sum[i], v[i])
	}
	for i := range 64 {
		step(i, v, words, sines)
		v = [4]VecPhysical{v[3], v[0], v[1], v[2]}
	}
	// A lane that is finished keeps its sum: what it just hashed is whatever
	// lies behind its text.
	active := temp[0]
	VPXOR(active, active, active)
	VPCMPGTD(active, left, active)
	for i := range sum {
		VPAND(active, v[i], v[i])
		VPADDD(v[i], sum[i], sum[i])
	}
	ones := temp[0]
	VPBROADCASTD(one, ones)
	VPSUBD(ones, left, left)
	ADDQ(Imm(64), low)
	ADDQ(Imm(64), high)
	DECQ(most)
	JNZ(LabelRef("block"))

	for i := range sum {
		VMOVDQU(sum[i], Mem{Base: result, Disp: 32 * i})
	}
	VZEROUPPER()
	RET()
	Generate()
}

// constants lays out the table of sines, the initial state and a one.
func constants() (sines, start, one Mem) {
	sines = GLOBL("sines", RODATA|NOPTR)
	for i := range 64 {
		DATA(4*i, U32(uint32(math.Floor(math.Abs(math.Sin(float64(i+1)))*(1<<32)))))
	}
	start = GLOBL("start", RODATA|NOPTR)
	for i, w := range initial {
		DATA(4*i, U32(w))
	}
	one = GLOBL("one", RODATA|NOPTR)
	DATA(0, U32(1))
	return sines, start, one
}

// transpose puts words 4*group to 4*group+3 of the eight lanes' blocks into
// one vector a word: lanes 0-3 in the low half, 4-7 in the high half.
func transpose(words Mem, group int, low, high, stride, stride3 Register) {
	row := state
	for i := range row {
		VMOVDQU(rowAddress(low, stride, stride3, i, 16*group), row[i].AsX())
		VINSERTI128(Imm(1), rowAddress(high, stride, stride3, i, 16*group), row[i], row[i])
	}
	lo01, hi01, lo23, hi23 := temp[0], temp[1], temp[2], temp[3]
	VPUNPCKLDQ(row[1], row[0], lo01)
	VPUNPCKHDQ(row[1], row[0], hi01)
	VPUNPCKLDQ(row[3], row[2], lo23)
	VPUNPCKHDQ(row[3], row[2], hi23)
	for i, pair := range [2][2]VecPhysical{{lo01, lo23}, {hi01, hi23}} {
		even, odd := temp[4], temp[5]
		VPUNPCKLQDQ(pair[1], pair[0], even)
		VPUNPCKHQDQ(pair[1], pair[0], odd)
		VMOVDQU(even, words.Offset(32*(4*group+2*i)))
		VMOVDQU(odd, words.Offset(32*(4*group+2*i+1)))
	}
}

func rowAddress(base, stride, stride3 Register, i, disp int) Mem {
	switch i {
	case 0:
		return Mem{Base: base, Disp: disp}
	case 3:
		return Mem{Base: base, Index: stride3, Scale: 1, Disp: disp}
	default:
		return Mem{Base: base, Index: stride, Scale: uint8(i), Disp: disp}
	}
}

// step is one of the 64: a = b + rotl(a + f(b, c, d) + word + sine, s). What
// does not depend on b, the value just computed, is added first.
func step(i int, v [4]VecPhysical, words, sines Mem) {
	a, b, c, d := v[0], v[1], v[2], v[3]
	round := i / 16
	word := [4]int{i % 16, (5*i + 1) % 16, (3*i + 5) % 16, 7 * i % 16}[round]
	s := rotations[round][i%4]

	t, u := temp[0], temp[1]
	VPBROADCASTD(sines.Offset(4*i), t)
	VPADDD(words.Offset(32*word), t, t)
	VPADDD(t, a, a)
	switch round {
	case 0: // (b & c) | (^b & d)
		VPXOR(c, d, u)
		VPAND(b, u, u)
		VPXOR(d, u, u)
	case 1: // (b & d) | (c & ^d): disjoint bits, so both are added
		VPANDN(c, d, t)
		VPADDD(t, a, a)
		VPAND(b, d, u)
	case 2: // b ^ c ^ d
		VPXOR(c, d, u)
		VPXOR(b, u, u)
	case 3: // c ^ (b | ^d)
		VPCMPEQD(t, t, t)
		VPXOR(d, t, u)
		VPOR(b, u, u)
		VPXOR(c, u, u)
	}
	VPADDD(u, a, a)
	VPSLLD(Imm(s), a, t)
	VPSRLD(Imm(32-s), a, a)
	VPOR(t, a, a)
	VPADDD(b, a, a)
}
