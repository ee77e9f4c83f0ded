package space

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"

	"evalnas/nasapi/space/internal/nb101"
)

// Cell is an architecture of NASBench-101: a directed acyclic graph whose
// interior vertices carry an operation, in pruned form. Two cells with one
// Hash are one architecture of the space; their matrices may still order the
// vertices differently and then differ in Params and FLOPs, because the
// remainder of the channels goes to the first vertices (see cellCost).
//
// A Cell may lie outside the search space (too many vertices or edges, or
// other names on its ends): it has a hash all the same, and
// NASBench.Contains says what is wrong with it.
type Cell struct {
	out           []uint64 // bit y of out[x] is the edge x->y
	labels        []uint8  // operations of the interior vertices
	input, output string   // what the ends were called

	hashOnce sync.Once
	hash     string
	// row is 1 + the cell's row of the index, -1 outside, 0 not yet known.
	row atomic.Int32

	// Cells of the space keep their slices here: one allocation each.
	outBuf   [nb101.MaxVertices]uint64
	labelBuf [nb101.MaxVertices - 2]uint8
}

var _ Arch = (*Cell)(nil)

// NewCell makes a cell of an adjacency matrix (n x n, entries 0 or 1, upper
// triangular) and the names of its n operations, input and output included,
// and prunes the vertices that are on no path from input to output.
//
// The error wraps ErrNotConnected where nothing is left of the cell; other
// errors say which rule of the construction is broken. Operations of pruned
// vertices are not looked at.
func NewCell(matrix [][]int, ops []string) (*Cell, error) {
	c := new(Cell)
	out, err := checkMatrix(c.outBuf[:0], matrix, ops)
	if err != nil {
		return nil, err
	}
	keep := live(out)
	if bits.OnesCount64(keep) < 2 {
		return nil, fmt.Errorf("the cell is not valid: %w, so pruning leaves nothing of it", ErrNotConnected)
	}
	last := len(ops) - 1
	c.out = compact(out, keep)
	c.input, c.output = ops[0], ops[last]
	c.labels = c.labelBuf[:0]
	for v := 1; v < last; v++ {
		if keep>>v&1 == 0 {
			continue
		}
		label, err := opLabel(ops[v])
		if err != nil {
			return nil, fmt.Errorf("vertex %d: %w", v, err)
		}
		c.labels = append(c.labels, label)
	}
	return c, nil
}

// newCell makes a cell of rows and labels that may still need pruning. It
// returns nil where the input does not reach the output. The arguments are
// not kept.
func newCell(out []uint64, labels []uint8) *Cell {
	c := &Cell{input: inputOp, output: outputOp}
	keep := live(out)
	if bits.OnesCount64(keep) < 2 {
		return nil
	}
	c.out = compact(append(c.outBuf[:0], out...), keep)
	c.labels = c.labelBuf[:0]
	for i, label := range labels {
		if keep>>(i+1)&1 != 0 {
			c.labels = append(c.labels, label)
		}
	}
	return c
}

// cellOfRow is the first-enumerated cell of a row of the index.
func cellOfRow(g nb101.Graph, row int) *Cell {
	c := &Cell{input: inputOp, output: outputOp}
	c.out = g.Rows(c.outBuf[:0])
	c.labels = g.Ops(c.labelBuf[:0])
	c.row.Store(int32(row + 1))
	return c
}

// Vertices is the number of vertices after pruning, input and output included.
func (c *Cell) Vertices() int { return len(c.out) }

// Edges is the number of edges after pruning.
func (c *Cell) Edges() int {
	n := 0
	for _, row := range c.out {
		n += bits.OnesCount64(row)
	}
	return n
}

// Matrix is the pruned adjacency matrix, freshly made.
func (c *Cell) Matrix() [][]int {
	n := len(c.out)
	matrix, all := make([][]int, n), make([]int, n*n)
	for x, row := range c.out {
		matrix[x] = all[x*n : (x+1)*n : (x+1)*n]
		for ; row != 0; row &= row - 1 {
			matrix[x][bits.TrailingZeros64(row)] = 1
		}
	}
	return matrix
}

// Ops names the operations after pruning, the two ends included.
func (c *Cell) Ops() []string {
	ops := make([]string, 0, len(c.out))
	ops = append(ops, c.input)
	for _, label := range c.labels {
		ops = append(ops, nasbenchOps[label])
	}
	return append(ops, c.output)
}

// Hash is the module hash of the data set: 32 hexadecimal digits. It is
// computed at the first call.
func (c *Cell) Hash() string {
	c.hashOnce.Do(func() {
		labels := make([]int8, 0, maxGiven)
		labels = append(labels, nb101.InputLabel)
		for _, label := range c.labels {
			labels = append(labels, int8(label))
		}
		sum := nb101.Module(c.out, append(labels, nb101.OutputLabel))
		c.hash = hex.EncodeToString(sum[:])
	})
	return c.hash
}

// Space is "nasbench101".
func (c *Cell) Space() string { return nasbenchName }

// String names the cell by its hash, size and operations.
func (c *Cell) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cell %s (%d vertices, %d edges", c.Hash()[:8], c.Vertices(), c.Edges())
	for i, label := range c.labels {
		b.WriteString([]string{": ", ", "}[min(i, 1)])
		name, _, _ := strings.Cut(nasbenchOps[label], "-")
		b.WriteString(name)
	}
	b.WriteByte(')')
	return b.String()
}

// cellJSON is the written form of a cell.
type cellJSON struct {
	Matrix [][]int  `json:"matrix"`
	Ops    []string `json:"ops"`
}

// MarshalJSON writes {"matrix": [[..]], "ops": [..]} of the pruned cell.
func (c *Cell) MarshalJSON() ([]byte, error) {
	return json.Marshal(cellJSON{Matrix: c.Matrix(), Ops: c.Ops()})
}

// maxCellJSON bounds the text of one cell; 64 vertices indented by twelve
// columns an entry stay below it.
const maxCellJSON = 1 << 17

// ParseCell reads what MarshalJSON writes. Other keys are ignored, so that
// the output of one command can be the input of another. The errors are those
// of NewCell and of malformed text.
func ParseCell(raw []byte) (*Cell, error) {
	if len(raw) > maxCellJSON {
		return nil, fmt.Errorf("the cell is a text of %d bytes; at most %d are read", len(raw), maxCellJSON)
	}
	var given cellJSON
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, cellSyntaxError(err)
	}
	switch {
	case given.Matrix == nil && given.Ops == nil:
		return nil, fmt.Errorf(`no "matrix" and no "ops": a cell is {"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}`)
	case given.Matrix == nil:
		return nil, fmt.Errorf(`no "matrix": a cell needs its adjacency matrix beside "ops"`)
	case given.Ops == nil:
		return nil, fmt.Errorf(`no "ops": a cell needs the names of its operations beside "matrix"`)
	}
	return NewCell(given.Matrix, given.Ops)
}

// cellSyntaxError says in the terms of a cell what the JSON decoder said in
// those of Go.
func cellSyntaxError(err error) error {
	wrong, ok := err.(*json.UnmarshalTypeError)
	if !ok {
		return fmt.Errorf("not JSON: %w", err)
	}
	field, _, _ := strings.Cut(wrong.Field, ".")
	switch field {
	case "matrix":
		return fmt.Errorf(`found %s in "matrix": it is a list of rows of the integers 0 and 1`, abbreviate(wrong.Value))
	case "ops":
		return fmt.Errorf(`found %s in "ops": it is a list of names`, abbreviate(wrong.Value))
	}
	return fmt.Errorf(`found %s where a cell should be: give {"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}`, abbreviate(wrong.Value))
}
