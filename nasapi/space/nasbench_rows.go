package space

import (
	"bytes"
	"fmt"
	"math/bits"

	"evalnas/nasapi/space/internal/nb101"
)

// HashesSum is the SHA-256 of all 423,624 module hashes, 16 bytes each, in ascending
// order. Who has a hash for every row compares one sum with it instead of computing four
// million MD5s.
const HashesSum = "13bb1f0fa98c75fcbc269a7f011cf12245f8c9e0e6fc3eb94add6dcbdfba09db"

// TextRow finds the row in the 7-vertex space of a cell as the files of the data set write
// it: the adjacency matrix row by row in the digits 0 and 1, and the names of the
// operations with commas between. Errors are those of NewCell and Contains.
func (n *NASBench) TextRow(matrix, ops []byte) (row int, err error) {
	if g, ok := prunedGraph(matrix, ops); ok {
		if row, ok := n.index.Row(g); ok {
			return row, nil
		}
	}
	c, err := textCell(matrix, ops)
	if err != nil {
		return 0, err
	}
	if err := c.outside(nb101.MaxVertices); err != nil {
		return 0, err
	}
	row, _ = c.indexRow(n.index)
	return row, nil
}

// HashOfRow computes the module hash of a row of the 7-vertex space.
func (n *NASBench) HashOfRow(row int) [16]byte { return nb101.Hash(n.index.Graph(row)) }

// MayHaveHash compares the first bytes of a row's hash, which are stored: false is certain.
func (n *NASBench) MayHaveHash(row int, hash [16]byte) bool { return n.index.MayHave(row, hash) }

// VerticesOfRow is the number of vertices of a row of the 7-vertex space.
func (n *NASBench) VerticesOfRow(row int) int { return n.index.Graph(row).Vertices() }

// side is the root of a square of at most MaxVertices.
func side(area int) (int, bool) {
	for v := 2; v <= nb101.MaxVertices; v++ {
		if v*v == area {
			return v, true
		}
	}
	return 0, false
}

// prunedGraph reads a cell of the usual form: 2 to 7 vertices, none to prune, the usual
// names. Everything else is for textCell.
func prunedGraph(matrix, ops []byte) (g nb101.Graph, ok bool) {
	n, ok := side(len(matrix))
	if !ok {
		return 0, false
	}
	var out [nb101.MaxVertices]uint64
	for x := range n {
		row := matrix[x*n : (x+1)*n]
		for y, digit := range row {
			switch {
			case digit == '1' && y > x:
				out[x] |= 1 << y
			case digit != '0':
				return 0, false
			}
		}
	}
	if bits.OnesCount64(live(out[:n])) != n {
		return 0, false
	}
	labels, ok := textLabels(ops, n)
	return nb101.Pack(out[:n], labels[:n-2]), ok
}

func textLabels(ops []byte, n int) (labels [nb101.MaxVertices - 2]uint8, ok bool) {
	name, rest, _ := bytes.Cut(ops, []byte{','})
	if string(name) != inputOp {
		return labels, false
	}
	for v := range n - 2 {
		name, rest, _ = bytes.Cut(rest, []byte{','})
		switch string(name) {
		case nasbenchOps[0]:
		case nasbenchOps[1]:
			labels[v] = 1
		case nasbenchOps[2]:
			labels[v] = 2
		default:
			return labels, false
		}
	}
	return labels, string(rest) == outputOp
}

// textCell reads any cell, or says what is wrong with it.
func textCell(matrix, ops []byte) (*Cell, error) {
	n := 0
	for n*n < len(matrix) && n <= maxGiven {
		n++
	}
	if n*n != len(matrix) {
		return nil, fmt.Errorf("the matrix has %d digits: that is no square of at most %d rows", len(matrix), maxGiven)
	}
	rows := make([][]int, n)
	for i, digit := range matrix {
		if digit != '0' && digit != '1' {
			return nil, fmt.Errorf("the matrix has %q at row %d, column %d: digits are 0 or 1", digit, i/n, i%n)
		}
		rows[i/n] = append(rows[i/n], int(digit-'0'))
	}
	if len(ops) > maxCellJSON {
		return nil, fmt.Errorf("the operations are a text of %d bytes; at most %d are read", len(ops), maxCellJSON)
	}
	var names []string
	for name := range bytes.SplitSeq(ops, []byte{','}) {
		names = append(names, string(name))
	}
	return NewCell(rows, names)
}
