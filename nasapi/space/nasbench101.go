package space

import (
	_ "embed" // the index
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"sort"
	"strings"
	"sync"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space/internal/nb101"
)

const nasbenchName = "nasbench101"

//go:generate go run ./internal/genindex -out nasbench101.idx

//go:embed nasbench101.idx
var indexData string

// openIndex reads the header of the embedded index; the rest stays where it is.
var openIndex = sync.OnceValues(func() (*nb101.Index, error) { return nb101.OpenIndex(indexData) })

// NASBench is the space of NASBench-101 (Ying et al., ICML 2019) or one of
// its cumulative sub-spaces: the distinct cells of at most max_vertices
// vertices (input and output included), at most 9 edges and three operations.
// It is safe for concurrent use.
type NASBench struct {
	max   int
	index *nb101.Index
	// rows are the rows of the sub-space in the index, in order of hash; nil
	// stands for all of them.
	rows func() []int32
}

var (
	_ Finite        = (*NASBench)(nil)
	_ Mutator       = (*NASBench)(nil)
	_ Neighbourhood = (*NASBench)(nil)
	_ Sequences     = (*NASBench)(nil)
)

// NASBench101 opens the space of cells with at most maxVertices vertices, 2
// to 7: 1, 7, 91, 2,532, 64,542 and 423,624 architectures.
func NASBench101(maxVertices int) (*NASBench, error) {
	if maxVertices < 2 || maxVertices > nb101.MaxVertices {
		return nil, fmt.Errorf("nasbench101: max_vertices=%d; choose 2 to %d (input and output included)", maxVertices, nb101.MaxVertices)
	}
	index, err := openIndex()
	if err != nil {
		return nil, err
	}
	n := &NASBench{max: maxVertices, index: index}
	if maxVertices < nb101.MaxVertices {
		n.rows = subspaceRows[maxVertices]
	}
	return n, nil
}

// subspaceRows lists the rows of each sub-space at its first use.
var subspaceRows = func() (lists [nb101.MaxVertices]func() []int32) {
	for v := range lists {
		lists[v] = sync.OnceValue(func() []int32 {
			index, err := openIndex()
			if err != nil {
				return nil // NASBench101 has already returned it
			}
			var rows []int32
			for row := range index.Len() {
				if index.Graph(row).Vertices() <= v {
					rows = append(rows, int32(row))
				}
			}
			return rows
		})
	}
	return lists
}()

// MaxVertices is the largest number of vertices of a cell of the space.
func (n *NASBench) MaxVertices() int { return n.max }

// Spec says how to build the space again.
func (n *NASBench) Spec() Spec { return Spec{Name: nasbenchName, MaxVertices: n.max} }

func (n *NASBench) String() string { return fmt.Sprintf("nasbench101(max_vertices=%d)", n.max) }

// Size is Len.
func (n *NASBench) Size() *big.Int { return big.NewInt(int64(n.Len())) }

// Measure says over what Sample is uniform.
func (n *NASBench) Measure() string {
	return fmt.Sprintf("uniform over the %d unique graphs with at most %d vertices", n.Len(), n.max)
}

// Len is the number of distinct cells.
func (n *NASBench) Len() int {
	if n.rows == nil {
		return n.index.Len()
	}
	return len(n.rows())
}

// Row is the position of At(i) in the 7-vertex space, which is the row of the
// data set's tables.
func (n *NASBench) Row(i int) int {
	if n.rows == nil {
		return i
	}
	return int(n.rows()[i])
}

// At returns cell i in ascending order of hash, with the matrix that the
// reference's enumeration meets first. It panics unless 0 <= i < Len().
func (n *NASBench) At(i int) Arch { return n.cell(i) }

func (n *NASBench) cell(i int) *Cell {
	row := n.Row(i)
	return cellOfRow(n.index.Graph(row), row)
}

// Index is the inverse of At for any cell of the space, however its vertices
// are ordered; ok is false for what is not in the space.
func (n *NASBench) Index(a Arch) (i int, ok bool) {
	c, ok := a.(*Cell)
	if !ok || len(c.out) > n.max {
		return 0, false
	}
	row, ok := c.indexRow(n.index)
	if !ok || n.rows == nil {
		return row, ok
	}
	rows := n.rows()
	return sort.Find(len(rows), func(i int) int { return row - int(rows[i]) })
}

// indexRow looks the cell up in the index and remembers the answer.
func (c *Cell) indexRow(index *nb101.Index) (row int, ok bool) {
	known := c.row.Load()
	if known == 0 {
		known = -1
		if c.outside(nb101.MaxVertices) == nil {
			if row, ok := index.Row(nb101.Pack(c.out, c.labels)); ok {
				known = int32(row + 1)
			}
		}
		c.row.Store(known)
	}
	return int(known) - 1, known > 0
}

// ByHash returns the cell with a module hash, with its first-enumerated
// matrix. Errors of well-formed hashes wrap ErrOutside.
func (n *NASBench) ByHash(hash string) (*Cell, error) {
	raw, err := hex.DecodeString(hash)
	if err != nil || len(raw) != 16 {
		return nil, fmt.Errorf("%q is not a module hash: it has 32 hexadecimal digits", abbreviate(hash))
	}
	row, ok := n.index.RowOfHash([16]byte(raw))
	if !ok {
		return nil, fmt.Errorf("no cell of NASBench-101 has the hash %s: %w", hash, ErrOutside)
	}
	c := cellOfRow(n.index.Graph(row), row)
	if err := n.Contains(c); err != nil {
		return nil, err
	}
	return c, nil
}

// abbreviate keeps an error message short whatever it quotes.
func abbreviate(s string) string {
	if len(s) <= 40 {
		return s
	}
	return strings.ToValidUTF8(s[:40], "") + "…"
}

// Sample draws a cell uniformly over the unique graphs.
func (n *NASBench) Sample(s *rng.Stream) Arch { return n.At(s.IntN(n.Len())) }

// Parse reads {"matrix": [[..]], "ops": [..]} and checks that the cell, once
// pruned, is in the space.
func (n *NASBench) Parse(raw json.RawMessage) (Arch, error) {
	c, err := ParseCell(raw)
	if err != nil {
		return nil, err
	}
	if err := n.Contains(c); err != nil {
		return nil, err
	}
	return c, nil
}

// Contains says why a is not in the space, nil if it is.
func (n *NASBench) Contains(a Arch) error {
	c, ok := a.(*Cell)
	if !ok {
		return fmt.Errorf("%s is an architecture of the space %s, not of nasbench101: %w", a, a.Space(), ErrOutside)
	}
	return c.outside(n.max)
}

// outside says which limit of the space the cell breaks. A pruned cell that
// breaks none is in the space: the enumeration leaves out no other.
func (c *Cell) outside(maxVertices int) error {
	if n := c.Vertices(); n > maxVertices {
		return fmt.Errorf("the pruned cell has %d vertices, nasbench101(max_vertices=%d) at most %d: %w", n, maxVertices, maxVertices, ErrOutside)
	}
	if e := c.Edges(); e > nb101.MaxEdges {
		return fmt.Errorf("the pruned cell has %d edges, nasbench101 at most %d: %w", e, nb101.MaxEdges, ErrOutside)
	}
	if c.input != inputOp {
		return fmt.Errorf("the first operation is %q, nasbench101 wants %q: %w", abbreviate(c.input), inputOp, ErrOutside)
	}
	if c.output != outputOp {
		return fmt.Errorf("the last operation is %q, nasbench101 wants %q: %w", abbreviate(c.output), outputOp, ErrOutside)
	}
	return nil
}

// Enumeration is what enumerating the space afresh gives.
type Enumeration struct {
	Unique   int // distinct graphs
	Labelled int // matrices and labellings that were tried
}

// Enumerate counts the graphs with at most maxVertices vertices by generating
// them on one core, without the embedded index. Seven vertices take seconds.
func Enumerate(maxVertices int) (Enumeration, error) {
	unique, labelled, err := nb101.Enumerate(maxVertices)
	return Enumeration{Unique: len(unique), Labelled: labelled}, err
}
