package plotting

import (
	"fmt"
	"strings"
)

// CellData is a cell whose vertices are operations.
type CellData struct {
	// Matrix is the adjacency matrix, n x n with 0 and 1, upper triangular:
	// Matrix[i][j] = 1 is an edge from vertex i to vertex j > i.
	Matrix [][]int
	// Ops are the n operations; the first vertex is the cell's input and the
	// last one its output. A trailing "-bn-relu" is not written out.
	Ops             []string
	Title, Subtitle string
}

const maxVertices = 40

// Cell draws a cell from its input on the left to its output on the right.
func Cell(data CellData) (*Figure, error) {
	n := len(data.Matrix)
	switch {
	case n < 2 || n > maxVertices:
		return nil, fmt.Errorf("drawing of a cell: %d vertices; allowed are 2 to %d", n, maxVertices)
	case len(data.Ops) != n:
		return nil, fmt.Errorf("drawing of a cell: %d operations for %d vertices; give one each, input and output too", len(data.Ops), n)
	}
	var edges []graphEdge
	var ends [][2]int
	for i, row := range data.Matrix {
		if len(row) != n {
			return nil, fmt.Errorf("drawing of a cell: row %d has %d entries; the matrix must be %d x %d", i, len(row), n, n)
		}
		for j, v := range row {
			switch {
			case v == 0:
			case v != 1:
				return nil, fmt.Errorf("drawing of a cell: entry (%d, %d) is %d; allowed are 0 and 1", i, j, v)
			case j <= i:
				return nil, fmt.Errorf("drawing of a cell: edge from %d to %d; the matrix must be upper triangular, edges go to later vertices", i, j)
			default:
				edges = append(edges, graphEdge{from: i, to: j, color: axisColor})
				ends = append(ends, [2]int{i, j})
			}
		}
	}
	return newGraph(cellNodes(data.Ops), edges, cellDepths(n, ends)).figure(data.Title, data.Subtitle, describeCell(data)), nil
}

func cellNodes(ops []string) []graphNode {
	nodes := make([]graphNode, len(ops))
	for i, op := range ops {
		label := strings.TrimSuffix(op, "-bn-relu")
		label = strongText.fit(label, 160)
		nodes[i] = graphNode{label: label, color: operationColor(strings.TrimSuffix(op, "-bn-relu"))}
		if i == 0 || i == len(ops)-1 {
			nodes[i].color, nodes[i].strong = inkColor, true
		}
	}
	return nodes
}

// cellDepths puts the input alone first and the output alone last, also for
// vertices that nothing leads to or from.
func cellDepths(n int, ends [][2]int) []int {
	for i := 1; i < n-1; i++ {
		ends = append(ends, [2]int{0, i}, [2]int{i, n - 1})
	}
	return depths(n, append(ends, [2]int{0, n - 1}))
}

func describeCell(data CellData) string {
	parts := []string{data.Title}
	for i, row := range data.Matrix {
		var to []string
		for j, v := range row {
			if v == 1 {
				to = append(to, fmt.Sprintf("%d %s", j, data.Ops[j]))
			}
		}
		if len(to) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s to %s", i, data.Ops[i], strings.Join(to, ", ")))
		}
	}
	return joinSentences(parts...)
}
