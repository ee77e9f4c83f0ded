// Package nb101 identifies the cells of NASBench-101: small labelled graphs
// in 32 bits (Graph), the data set's module hash (ModuleHash), a cheap hash
// with the same power of distinction (Colour), the enumeration of the space
// (Enumerate) and the index that is embedded in the binary (Index).
//
// It knows nothing of architectures, costs or tables: package space puts
// those on top, and the index generator needs this package before the index
// exists. Start reading at graph.go; colour.go says why two hashes exist.
package nb101

import "math/bits"

// Limits of the space.
const (
	MaxVertices = 7 // input and output included
	MaxEdges    = 9
	NumOps      = 3

	// Labels of the two ends; interior vertices carry 0..NumOps-1.
	InputLabel  = -1
	OutputLabel = -2

	maxInterior = MaxVertices - 2
	edgeBits    = MaxVertices * (MaxVertices - 1) / 2
)

// Graph is a cell of at most 7 vertices in 32 bits: the number of vertices
// (bits 0-2), the upper triangle (bits 3-23; the edge x->y is bit
// 3+x+y(y-1)/2, the reference's order) and the operations of the interior
// vertices as base-3 digits, the first vertex lowest (bits 24-31).
type Graph uint32

// edgeBit is the position of the edge x->y, x < y, in the upper triangle.
func edgeBit(x, y int) int { return x + y*(y-1)/2 }

// Pack makes a Graph of rows (bit y of out[x] is the edge x->y) and the
// operations of the interior vertices. It expects 2 <= len(out) <= 7,
// len(ops) == len(out)-2 and ops below NumOps.
func Pack(out []uint64, ops []uint8) Graph {
	g := Graph(len(out))
	for x, row := range out {
		for row := row; row != 0; row &= row - 1 {
			g |= 1 << (3 + edgeBit(x, bits.TrailingZeros64(row)))
		}
	}
	digits := Graph(0)
	for i := len(ops) - 1; i >= 0; i-- {
		digits = digits*NumOps + Graph(ops[i])
	}
	return g | digits<<24
}

// Vertices is the number of vertices, both ends included.
func (g Graph) Vertices() int { return int(g & 7) }

// Edges is the number of edges.
func (g Graph) Edges() int { return bits.OnesCount32(g.triangle()) }

func (g Graph) triangle() uint32 { return uint32(g) >> 3 & (1<<edgeBits - 1) }

// Rows appends the rows of the adjacency matrix to dst: bit y of row x is the
// edge x->y.
func (g Graph) Rows(dst []uint64) []uint64 {
	n, t := g.Vertices(), g.triangle()
	first := len(dst)
	for range n {
		dst = append(dst, 0)
	}
	rows := dst[first:]
	for y := 1; y < n; y++ {
		for col := t & (1<<y - 1); col != 0; col &= col - 1 {
			rows[bits.TrailingZeros32(col)] |= 1 << y
		}
		t >>= y
	}
	return dst
}

// Ops appends the operations of the interior vertices to dst.
func (g Graph) Ops(dst []uint8) []uint8 {
	digits := uint8(g >> 24)
	for range g.Vertices() - 2 {
		dst = append(dst, digits%NumOps)
		digits /= NumOps
	}
	return dst
}
