// Command asm writes md5x8's assembly: MD5 of eight texts in the lanes of
// AVX2 registers, and of twice eight. The constants and the schedule are those
// of RFC 1321.
package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var rotations = [4][4]uint64{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}

var initial = [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}

// stream is one batch of eight lanes on its way through a function.
//
// Vector registers are assigned by hand: avo's allocator counts the rows to
// transpose, which are written half by half, as live all the time and runs out
// of the sixteen that AVX2 has. Two streams share them, so the chaining values
// lie in memory: in the caller's scratch, since two streams need more than a
// function that does not grow its stack may have.
type stream struct {
	low, high Register // lanes 0-3 and 4-7 of the current block
	words     Mem      // the block, one vector a word
	sum       Mem      // the chaining values
	left      Mem      // blocks left in each lane
	state     [4]VecPhysical
	temp      [2]VecPhysical
}

var (
	states = [2][4]VecPhysical{{Y0, Y1, Y2, Y3}, {Y4, Y5, Y6, Y7}}
	temps  = [2][2]VecPhysical{{Y8, Y9}, {Y10, Y11}}
	spare  = [2]VecPhysical{Y12, Y13}
)

// scratchPerStream is the size of words, sum and left.
const scratchPerStream = 16*32 + 4*32 + 32

var sines, start, one Mem

func main() {
	constants()
	TEXT("run", NOSPLIT, "func(sums *[4][8]uint32, lanes *byte, stride uint64, blocks *[8]uint32, most uint64, scratch *[1344]byte)")
	Pragma("noescape")
	Doc("run hashes eight lanes of padded text: lane i has blocks[i] blocks of 64 bytes",
		"at lanes+i*stride, and most, at least 1, is the largest of blocks. Lanes with no",
		"blocks keep the initial state.")
	body([]string{""})
	TEXT("runPair", NOSPLIT, "func(sumsA, sumsB *[4][8]uint32, lanesA, lanesB *byte, stride uint64, blocksA, blocksB *[8]uint32, most uint64, scratch *[1344]byte)")
	Pragma("noescape")
	Doc("runPair is run for two batches of one stride at once: MD5 is a chain of dependent",
		"steps, and two chains fill the machine better than one.")
	body([]string{"A", "B"})
	Generate()
}

// constants lays out the table of sines, the initial state and a one.
func constants() {
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
}

// body emits a function for as many streams as there are suffixes of the
// parameters' names.
func body(suffixes []string) {
	stride := Load(Param("stride"), GP64())
	stride3 := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	most := Load(Param("most"), GP64())
	scratch := Mem{Base: Load(Param("scratch"), GP64())}
	streams := make([]stream, len(suffixes))
	for i, suffix := range suffixes {
		streams[i] = open(i, suffix, stride, scratch.Offset(i*scratchPerStream))
	}

	Label("block")
	for _, s := range streams {
		for group := range 4 {
			s.transpose(group, stride, stride3)
		}
	}
	for _, s := range streams {
		for i, v := range s.state {
			VMOVDQU(s.sum.Offset(32*i), v)
		}
	}
	for i := range 64 {
		for _, s := range streams {
			s.step(i)
		}
	}
	for _, s := range streams {
		s.finishBlock()
	}
	DECQ(most)
	JNZ(LabelRef("block"))

	for i, suffix := range suffixes {
		streams[i].store(suffix)
	}
	VZEROUPPER()
	RET()
}

// open loads a stream's parameters and the initial state.
func open(i int, suffix string, stride Register, scratch Mem) stream {
	s := stream{
		low: Load(Param("lanes"+suffix), GP64()), high: GP64(),
		words: scratch, sum: scratch.Offset(16 * 32), left: scratch.Offset(20 * 32),
		state: states[i], temp: temps[i],
	}
	LEAQ(Mem{Base: s.low, Index: stride, Scale: 4}, s.high)
	blocks := Load(Param("blocks"+suffix), GP64())
	VMOVDQU(Mem{Base: blocks}, s.temp[0])
	VMOVDQU(s.temp[0], s.left)
	for w := range initial {
		VPBROADCASTD(start.Offset(4*w), s.temp[0])
		VMOVDQU(s.temp[0], s.sum.Offset(32*w))
	}
	return s
}

// transpose puts words 4*group to 4*group+3 of the eight lanes' blocks into
// one vector a word: lanes 0-3 in the low half, 4-7 in the high half.
func (s stream) transpose(group int, stride, stride3 Register) {
	row := s.state
	for i := range row {
		VMOVDQU(rowAddress(s.low, stride, stride3, i, 16*group), row[i].AsX())
		VINSERTI128(Imm(1), rowAddress(s.high, stride, stride3, i, 16*group), row[i], row[i])
	}
	pairs := [2][2]VecPhysical{s.temp, spare} // the low and the high halves of two rows each
	for i, rows := range [2][2]VecPhysical{{row[0], row[1]}, {row[2], row[3]}} {
		VPUNPCKLDQ(rows[1], rows[0], pairs[0][i])
		VPUNPCKHDQ(rows[1], rows[0], pairs[1][i])
	}
	for i, pair := range pairs {
		VPUNPCKLQDQ(pair[1], pair[0], row[2*i])
		VPUNPCKHQDQ(pair[1], pair[0], row[2*i+1])
	}
	for i := range row {
		VMOVDQU(row[i], s.words.Offset(32*(4*group+i)))
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

// step is one of the 64: a = b + rotl(a + f(b, c, d) + word + sine, r), and
// the four change places. What does not depend on b, the value just computed,
// is added first.
func (s stream) step(i int) {
	v := func(k int) VecPhysical { return s.state[(k-i%4+4)%4] }
	a, b, c, d := v(0), v(1), v(2), v(3)
	round := i / 16
	word := [4]int{i % 16, (5*i + 1) % 16, (3*i + 5) % 16, 7 * i % 16}[round]
	r := rotations[round][i%4]

	t, u := s.temp[0], s.temp[1]
	VPBROADCASTD(sines.Offset(4*i), t)
	VPADDD(s.words.Offset(32*word), t, t)
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
	VPSLLD(Imm(r), a, t)
	VPSRLD(Imm(32-r), a, a)
	VPOR(t, a, a)
	VPADDD(b, a, a)
}

// finishBlock adds the state to the chaining values and moves on. A lane that
// is finished keeps its sum: what it just hashed is whatever lies behind its
// text.
func (s stream) finishBlock() {
	left, active := s.temp[0], s.temp[1]
	VMOVDQU(s.left, left)
	VPXOR(active, active, active)
	VPCMPGTD(active, left, active)
	for i, v := range s.state {
		VPAND(active, v, v)
		VPADDD(s.sum.Offset(32*i), v, v)
		VMOVDQU(v, s.sum.Offset(32*i))
	}
	VPBROADCASTD(one, active)
	VPSUBD(active, left, left)
	VMOVDQU(left, s.left)
	ADDQ(Imm(64), s.low)
	ADDQ(Imm(64), s.high)
}

// store writes the chaining values to the caller's sums; the state holds them.
func (s stream) store(suffix string) {
	sums := Load(Param("sums"+suffix), GP64())
	for i, v := range s.state {
		VMOVDQU(v, Mem{Base: sums, Disp: 32 * i})
	}
}
