package space

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"evalnas/nasapi/nearest"
	"evalnas/nasapi/space/internal/nb101"
)

// ErrNotConnected is wrapped by the error of a cell whose input does not
// reach its output: nothing is left after pruning, so it has no hash.
var ErrNotConnected = errors.New("the input is not connected to the output")

// maxGiven bounds the cells that are looked at, before pruning: a row of the
// matrix is a machine word.
const maxGiven = 64

// nasbenchOps are the operations in the order of their labels.
var nasbenchOps = [nb101.NumOps]string{"conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"}

const (
	inputOp  = "input"
	outputOp = "output"
)

// checkMatrix makes the reference's checks of a specification: a square
// matrix, one operation a vertex, edges that lead from a lower to a higher
// vertex. It writes the rows (bit y of row x is the edge x->y) to out.
func checkMatrix(out []uint64, matrix [][]int, ops []string) ([]uint64, error) {
	n := len(matrix)
	if n > maxGiven {
		return nil, fmt.Errorf("the matrix has %d rows; at most %d are looked at (cells of the space have at most %d vertices)", n, maxGiven, nb101.MaxVertices)
	}
	for x, row := range matrix {
		if len(row) != n {
			return nil, fmt.Errorf("the matrix is not square: row %d has %d entries, there are %d rows", x, len(row), n)
		}
	}
	if len(ops) != n {
		return nil, fmt.Errorf("%d operations for %d vertices: give one each, %q first and %q last", len(ops), n, inputOp, outputOp)
	}
	for x, row := range matrix {
		bitsOfRow := uint64(0)
		for y, e := range row {
			if e == 0 {
				continue
			}
			if e != 1 {
				return nil, fmt.Errorf("the matrix has %d at row %d, column %d: entries are 0 or 1", e, x, y)
			}
			if y <= x {
				return nil, fmt.Errorf("the matrix has an edge from vertex %d to vertex %d: it must be upper triangular, edges lead from a lower to a higher vertex", x, y)
			}
			bitsOfRow |= 1 << y
		}
		out = append(out, bitsOfRow)
	}
	return out, nil
}

// live returns the vertices (bits) on some path from the first to the last.
func live(out []uint64) uint64 {
	n := len(out)
	if n == 0 {
		return 0
	}
	forward, backward := uint64(1), uint64(1)<<(n-1)
	for x, row := range out {
		if forward>>x&1 != 0 {
			forward |= row
		}
	}
	for x := n - 2; x >= 0; x-- {
		if out[x]&backward != 0 {
			backward |= 1 << x
		}
	}
	return forward & backward
}

// compact deletes the rows and columns of the vertices that are not kept, in
// place; the order of the others stays.
func compact(out []uint64, keep uint64) []uint64 {
	if bits.OnesCount64(keep) == len(out) {
		return out
	}
	kept := out[:0]
	for x, row := range out {
		if keep>>x&1 != 0 {
			kept = append(kept, extract(row, keep))
		}
	}
	return kept
}

// extract gathers the bits of row at the positions set in mask.
func extract(row, mask uint64) uint64 {
	packed := uint64(0)
	for i := 0; mask != 0; i++ {
		packed |= row >> bits.TrailingZeros64(mask) & 1 << i
		mask &= mask - 1
	}
	return packed
}

// opLabel returns the label of an interior operation.
func opLabel(op string) (uint8, error) {
	for label, name := range nasbenchOps {
		if op == name {
			return uint8(label), nil
		}
	}
	hint := ""
	if near := nearestOp(op); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return 0, fmt.Errorf("unknown operation %q (allowed: %s, %s, %s)%s", abbreviate(op), nasbenchOps[0], nasbenchOps[1], nasbenchOps[2], hint)
}

// nearestOp takes the short names, such as conv3x3, for what they begin, and
// other names for the nearest in spelling.
func nearestOp(op string) string {
	for _, name := range nasbenchOps {
		if len(op) >= len("conv") && strings.HasPrefix(name, strings.ToLower(op)) {
			return name
		}
	}
	return nearest.Name(op, nasbenchOps[:])
}
