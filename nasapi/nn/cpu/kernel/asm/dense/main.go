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
	{"AVX512", 40, []pack{zmm, zmm, ymm}, 8, 8, false},
	{"AVX512", 36, []pack{zmm, zmm, xmm}, 8, 8, false},
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
type sums struct {
	panel
	rows [][]VecVirtual
	// The last pack of all rows, where that is narrower than a vector: those of some rows fill
	// one, so that few channels take no more multiply-adds than they are.
	folded []VecVirtual
	masks  []Register // of a row's part of such a vector, but for the first
}

func (l panel) sums(size int) *sums {
	s := &sums{panel: l, rows: make([][]VecVirtual, size)}
	packs := l.packs
	if together := l.together(); together > 1 && size%together == 0 {
		packs = packs[:len(packs)-1]
		for range size / together {
			s.folded = append(s.folded, l.packs[0].vector())
		}
		s.makeMasks(together)
	}
	for i := range s.rows {
		for _, p := range packs {
			for range p.vectors {
				s.rows[i] = append(s.rows[i], p.vector())
			}
		}
	}
	return s
}

// together is the number of rows whose last pack fills a vector.
func (l panel) together() int { return l.packs[0].bytes / l.packs[len(l.packs)-1].bytes }

func (s *sums) makeMasks(together int) {
	lanes := 16 / together
	for i := 1; i < together; i++ {
		bits, mask := GP32(), K()
		MOVL(U32(uint32((1<<lanes-1)<<(i*lanes))), bits)
		KMOVW(bits, mask)
		s.masks = append(s.masks, mask)
	}
}

func (s *sums) zeroAll() {
	for _, row := range s.rows {
		for _, sum := range row {
			s.zero(sum)
		}
	}
	for _, sum := range s.folded {
		s.zero(sum)
	}
}

// load begins row i with what is at its place, store puts it there.
func (s *sums) load(i int, at Mem)  { s.move(i, at, true) }
func (s *sums) store(i int, at Mem) { s.move(i, at, false) }

func (s *sums) move(i int, at Mem, load bool) {
	row := s.rows[i]
	for _, p := range s.packs {
		for range p.vectors {
			if len(row) == 0 {
				s.moveFolded(i, at, load)
				return
			}
			if load {
				VMOVUPS(at, row[0])
			} else {
				VMOVUPS(row[0], at)
			}
			row, at = row[1:], at.Offset(p.bytes)
		}
	}
}

func (s *sums) moveFolded(i int, at Mem, load bool) {
	together := s.together()
	sum, part := s.folded[i/together], Imm(uint64(i%together))
	switch wide := together == 2; {
	case load && wide:
		VINSERTF64X4(part, at, sum, sum)
	case load:
		VINSERTF32X4(part, at, sum, sum)
	case wide:
		VEXTRACTF64X4(part, sum, at)
	default:
		VEXTRACTF32X4(part, sum, at)
	}
}

func (l panel) zero(sum VecVirtual) {
	if l.set == "AVX512" {
		VPXORD(sum, sum, sum) // VXORPS of these registers is an extension of its own
		return
	}
	VXORPS(sum, sum, sum)
}

// step adds the products of the numbers of a panel, each pack's at its own place, with
// one number for each row.
func (s *sums) step(packs []Mem, x func(i int) Mem) {
	var ws []VecVirtual
	for i, p := range s.packs {
		for v := range p.vectors {
			if v == 0 && i == len(s.packs)-1 && s.folded != nil {
				continue
			}
			w := p.vector()
			VMOVUPS(packs[i].Offset(v*p.bytes), w)
			ws = append(ws, w)
		}
	}
	var repeated VecVirtual
	if s.folded != nil {
		repeated = s.packs[0].vector()
		if last := packs[len(packs)-1]; s.together() == 2 {
			VBROADCASTF64X4(last, repeated)
		} else {
			VBROADCASTF32X4(last, repeated)
		}
	}
	var parts VecVirtual // the numbers of rows whose last packs are together
	for i, row := range s.rows {
		if s.embedded {
			VFMADD231PS_BCST(x(i), ws[0], row[0])
			continue
		}
		y := s.packs[0].vector()
		VBROADCASTSS(x(i), y)
		for v, sum := range row {
			VFMADD231PS(ws[v], like(y, sum), sum)
		}
		if s.folded == nil {
			continue
		}
		together := s.together()
		if i%together == 0 {
			parts = y
			continue
		}
		blend := s.packs[0].vector()
		VBLENDMPS(y, parts, s.masks[i%together-1], blend)
		if parts = blend; i%together == together-1 {
			VFMADD231PS(repeated, parts, s.folded[i/together])
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
	in, inOff, first := c.Load("in"), c.Load("inOff"), c.Load("first")
	rows := make([]GPVirtual, size)
	for i := range rows {
		rows[i] = GP64()
		MOVLQSX(Mem{Base: inOff, Index: first, Scale: 4, Disp: 4 * i}, rows[i])
		LEAQ(Mem{Base: in, Index: rows[i], Scale: 4}, rows[i])
	}
	s := l.sums(size)
	s.zeroAll()
	outs := func(move func(i int, at Mem)) {
		out, outOff, first := c.Load("out"), c.Load("outOff"), c.Load("first")
		for i := range size {
			at := GP64()
			MOVLQSX(Mem{Base: outOff, Index: first, Scale: 4, Disp: 4 * i}, at)
			move(i, Mem{Base: out, Index: at, Scale: 4})
		}
	}
	CMPQ(c.Field("accumulate"), Imm(0))
	JEQ(LabelRef(label("start")))
	outs(s.load)
	Label(label("start"))
	var w []GPVirtual
	var packs []Mem
	for i := range l.packs {
		w = append(w, c.Load(fmt.Sprint("w", i)))
		packs = append(packs, Mem{Base: w[i]})
	}
	Label(label("tap"))
	x, k := c.Load("tap"), c.Load("k")
	MOVLQSX(Mem{Base: x}, x)
	SHLQ(Imm(2), x)
	ADDQ(Imm(4), c.Field("tap"))
	Label(label("channel"))
	s.step(packs, func(i int) Mem { return Mem{Base: rows[i], Index: x, Scale: 1} })
	for i, p := range l.packs {
		ADDQ(Imm(uint64(p.vectors*p.bytes)), w[i])
	}
	ADDQ(Imm(4), x)
	DECQ(k)
	JNZ(LabelRef(label("channel")))
	DECQ(c.Field("tapsLeft"))
	JNZ(LabelRef(label("tap")))
	outs(s.store)
	ADDQ(Imm(uint64(size)), c.Field("first"))
	DECQ(c.Field("tiles"))
	JNZ(LabelRef(label("tile")))
}

func (l panel) grad(c emit.Call, size int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, size) }
	s := l.sums(size)
	table := func(move func(i int, at Mem)) {
		dw, ld := c.Load("dw"), c.Load("ld")
		for i := range size {
			move(i, Mem{Base: dw})
			ADDQ(ld, dw)
		}
	}
	table(s.load)
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
	s.step(packs, func(i int) Mem { return Mem{Base: a, Disp: 4 * i} })
	ADDQ(aPix, a)
	ADDQ(bPix, b)
	DECQ(cols)
	JNZ(LabelRef(label("column")))
	ADDQ(c.Field("aRow"), aRow)
	ADDQ(c.Field("bRow"), bRow)
	DECQ(rows)
	JNZ(LabelRef(label("row")))
	table(s.store)
}
