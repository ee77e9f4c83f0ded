package nb101

import (
	"crypto/md5"
	"encoding/binary"
	"math/bits"
	"strconv"

	"evalnas/nasapi/space/internal/md5x8"
)

// Hasher computes module hashes and keeps its buffers between calls. The zero
// value is ready; it is not safe for concurrent use.
//
// The reference hashes texts that Python makes of tuples and lists. Only the
// vertices' hashes change from round to round in those of one cell, so each
// vertex keeps its text in a lane of an MD5 batch with the bars and the
// padding in place, and a round writes hashes between them.
type Hasher struct {
	vertices []vertex
	order    []int         // vertices by rank
	batches  []md5x8.Batch // vertex v is lane v%8 of batch v/8
	text     []byte
	rows     []uint64
	labels   []int8
}

type vertex struct {
	in, out   uint64 // bits of its neighbours
	rank      int    // among the vertices by hash, ascending
	high, low uint64 // its hash, as numbers that compare as the hash does
	hex       [32]byte

	text        []byte // its lane
	own         int    // where its own hash goes in the text
	inAt, outAt int    // where the next neighbour's hash goes
}

// Graph returns the module hash of a graph.
func (h *Hasher) Graph(g Graph) [16]byte {
	h.unpack(g)
	return h.Module(h.rows, h.labels)
}

func (h *Hasher) unpack(g Graph) {
	h.rows = g.Rows(h.rows[:0])
	h.labels = append(h.labels[:0], InputLabel)
	digits := uint8(g >> 24)
	for range g.Vertices() - 2 {
		h.labels = append(h.labels, int8(digits%NumOps))
		digits /= NumOps
	}
	h.labels = append(h.labels, OutputLabel)
}

// Module returns the module hash of a pruned cell of 2 to 64 vertices: bit y
// of out[x] is the edge x->y, labels are InputLabel, OutputLabel or an
// operation's index.
func (h *Hasher) Module(out []uint64, labels []int8) [16]byte {
	h.load(out)
	h.start(labels)
	h.sum()
	h.lay()
	for range out {
		h.rank()
		h.write()
		h.sum()
	}
	h.rank()
	return h.list()
}

// pairHasher hashes two graphs at once, round by round, because two MD5
// batches together take little more time than one.
type pairHasher [2]Hasher

// graphs returns the module hashes of two graphs of the same size.
func (p *pairHasher) graphs(first, second Graph) [2][16]byte {
	a, b := &p[0], &p[1]
	a.unpack(first)
	b.unpack(second)
	a.load(a.rows)
	b.load(b.rows)
	a.start(a.labels)
	b.start(b.labels)
	p.sum()
	a.lay()
	b.lay()
	for range a.rows {
		a.rank()
		b.rank()
		a.write()
		b.write()
		p.sum()
	}
	a.rank()
	b.rank()
	return [2][16]byte{a.list(), b.list()}
}

func (p *pairHasher) sum() {
	var a, b md5x8.Sums
	md5x8.SumPair(&p[0].batches[0], &p[1].batches[0], &a, &b)
	p[0].take(0, &a)
	p[1].take(0, &b)
}

// load sizes the buffers for a cell and finds the neighbours.
func (h *Hasher) load(out []uint64) {
	n := len(out)
	if cap(h.vertices) < n {
		h.vertices = make([]vertex, n)
		h.order = make([]int, n)
		h.batches = make([]md5x8.Batch, (n+md5x8.Lanes-1)/md5x8.Lanes)
	}
	h.vertices, h.order = h.vertices[:n], h.order[:n]
	h.batches = h.batches[:(n+md5x8.Lanes-1)/md5x8.Lanes]
	for v := range h.vertices {
		h.vertices[v].in, h.vertices[v].out = 0, out[v]
	}
	for x, row := range out {
		for ; row != 0; row &= row - 1 {
			h.vertices[bits.TrailingZeros64(row)].in |= 1 << x
		}
	}
	for i := range h.batches {
		// The longest text of a round: n-1 neighbours, the vertex, two bars.
		h.batches[i].Reset(32*n + 2)
	}
	for v := range h.vertices {
		h.vertices[v].text = h.batches[v/md5x8.Lanes].Lane(v % md5x8.Lanes)
	}
}

func (h *Hasher) setLength(v, n int) {
	h.batches[v/md5x8.Lanes].SetLength(v%md5x8.Lanes, n)
}

// start writes the texts of round 0: what Python prints for the tuple
// (out_degree, in_degree, label).
func (h *Hasher) start(labels []int8) {
	for v := range h.vertices {
		x := &h.vertices[v]
		text := append(x.text[:0], '(')
		text = strconv.AppendInt(text, int64(bits.OnesCount64(x.out)), 10)
		text = append(text, ", "...)
		text = strconv.AppendInt(text, int64(bits.OnesCount64(x.in)), 10)
		text = append(text, ", "...)
		text = strconv.AppendInt(text, int64(labels[v]), 10)
		text = append(text, ')')
		h.setLength(v, len(text))
	}
}

// lay prepares the lanes for the rounds: the hashes of the predecessors, a
// bar, those of the successors, a bar, the vertex's own.
func (h *Hasher) lay() {
	for v := range h.vertices {
		x := &h.vertices[v]
		bar1 := 32 * bits.OnesCount64(x.in)
		bar2 := bar1 + 1 + 32*bits.OnesCount64(x.out)
		x.text[bar1], x.text[bar2] = '|', '|'
		x.own = bar2 + 1
		h.setLength(v, x.own+32)
	}
}

// rank orders the vertices by hash. Every pair is compared without a branch:
// the outcome is random, and there are few.
func (h *Hasher) rank() {
	for j := range h.vertices {
		y := &h.vertices[j]
		y.rank = 0
		for i := range j {
			x := &h.vertices[i]
			_, less := bits.Sub64(y.low, x.low, 0)
			_, less = bits.Sub64(y.high, x.high, less)
			x.rank += int(less)
			y.rank += 1 - int(less)
		}
	}
}

// write puts every vertex's hash into its own text and its neighbours'. Going
// through the vertices by rank leaves the hashes sorted in every text.
func (h *Hasher) write() {
	for v := range h.vertices {
		x := &h.vertices[v]
		h.order[x.rank] = v
		x.inAt, x.outAt = 0, 32*bits.OnesCount64(x.in)+1
		*(*[32]byte)(x.text[x.own:]) = x.hex
	}
	for _, v := range h.order {
		x := &h.vertices[v]
		for set := x.out; set != 0; set &= set - 1 {
			y := &h.vertices[bits.TrailingZeros64(set)]
			*(*[32]byte)(y.text[y.inAt:]) = x.hex
			y.inAt += 32
		}
		for set := x.in; set != 0; set &= set - 1 {
			y := &h.vertices[bits.TrailingZeros64(set)]
			*(*[32]byte)(y.text[y.outAt:]) = x.hex
			y.outAt += 32
		}
	}
}

// sum replaces every vertex's hash by that of its text.
func (h *Hasher) sum() {
	var sums md5x8.Sums
	for i := range h.batches {
		h.batches[i].Sum(&sums)
		h.take(i, &sums)
	}
}

// take gives the vertices of a batch their sums.
func (h *Hasher) take(batch int, sums *md5x8.Sums) {
	first := batch * md5x8.Lanes
	vertices := h.vertices[first:min(first+md5x8.Lanes, len(h.vertices))]
	for lane := range vertices {
		x := &vertices[lane]
		x.high = uint64(bits.ReverseBytes32(sums[0][lane]))<<32 | uint64(bits.ReverseBytes32(sums[1][lane]))
		x.low = uint64(bits.ReverseBytes32(sums[2][lane]))<<32 | uint64(bits.ReverseBytes32(sums[3][lane]))
		for w := range sums {
			binary.LittleEndian.PutUint64(x.hex[8*w:], hexDigits(sums[w][lane]))
		}
	}
}

// list hashes what Python prints for the sorted list of the hashes.
func (h *Hasher) list() [16]byte {
	const item = len(`'`) + 32 + len(`', `)
	n := item*len(h.vertices) + len("[]") - len(", ")
	if cap(h.text) < n {
		h.text = make([]byte, n)
	}
	text := h.text[:n]
	for v := range h.vertices {
		x := &h.vertices[v]
		at := 1 + item*x.rank
		text[at] = '\''
		*(*[32]byte)(text[at+1:]) = x.hex
		text[at+33] = '\''
		if x.rank < len(h.vertices)-1 {
			text[at+34], text[at+35] = ',', ' '
		}
	}
	text[0], text[n-1] = '[', ']'
	return md5.Sum(text)
}

// hexDigits returns the eight lower-case hexadecimal digits of four
// little-endian bytes, the first digit lowest. The nibbles are spread over
// the bytes of a word and turned into digits by arithmetic.
func hexDigits(w uint32) uint64 {
	const ones = 0x0101010101010101
	x := uint64(w)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x>>4 | x<<8) & 0x0f0f0f0f0f0f0f0f
	letter := (x + 6*ones) >> 4 & ones // 1 where the nibble is 10 or more
	return x + '0'*ones + ('a'-'0'-10)*letter
}
