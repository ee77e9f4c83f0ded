package space

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// checkParams compares the parameters of the cells of a file (hash, params,
// anything else; tab-separated, one heading) with the data set's own count.
func checkParams(t *testing.T, path string, rows int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	space := mustNASBench(t, 7)
	checked := 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if fields[0] == "hash" {
			continue
		}
		want, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		c, err := space.ByHash(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		if c.Hash() != fields[0] {
			t.Fatalf("ByHash(%s) has the hash %s", fields[0], c.Hash())
		}
		if got := c.Params(); got != want {
			t.Errorf("%s: %d parameters, the data set has %d", c, got, want)
		}
		checked++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if checked != rows {
		t.Errorf("%d rows checked, want %d", checked, rows)
	}
}

func TestParamsFixture(t *testing.T) { checkParams(t, "testdata/params_500.tsv", 500) }

// The full file has no licence to ship: it is looked for in a folder "shared"
// beside the repository or one of its parents.
func TestParamsOfDataSet(t *testing.T) {
	path := filepath.Join("shared", "data", "nasbench101", "validation_20001.tsv")
	for range 8 {
		if _, err := os.Stat(path); err == nil {
			checkParams(t, path, 20001)
			return
		}
		path = filepath.Join("..", path)
	}
	t.Skip("validation_20001.tsv is not at hand; TestParamsFixture checks 500 of its rows")
}

// Channels from the reference's own tests.
func TestChannels(t *testing.T) {
	conv := nasbenchOps[0]
	for _, c := range []struct {
		edges [][2]int
		n     int
		width int64
		want  []int64 // of the interior vertices
	}{
		{[][2]int{{0, 1}, {1, 2}, {2, 3}, {3, 4}}, 5, 8, []int64{8, 8, 8}},
		{[][2]int{{0, 1}, {0, 2}, {1, 3}, {2, 3}}, 4, 15, []int64{8, 7}},
		{[][2]int{{0, 1}, {0, 2}, {0, 3}, {1, 4}, {2, 4}, {3, 4}}, 5, 8, []int64{3, 3, 2}},
		{[][2]int{{0, 1}, {1, 2}, {1, 3}, {2, 4}, {3, 4}}, 5, 9, []int64{5, 5, 4}},
		{[][2]int{{0, 1}, {0, 3}, {1, 2}, {1, 4}, {2, 3}, {3, 4}}, 5, 15, []int64{8, 7, 7}},
	} {
		matrix, ops := make([][]int, c.n), make([]string, c.n)
		for x := range matrix {
			matrix[x], ops[x] = make([]int, c.n), conv
		}
		for _, e := range c.edges {
			matrix[e[0]][e[1]] = 1
		}
		cell, err := NewCell(matrix, ops)
		if err != nil {
			t.Fatal(err)
		}
		got := cell.VertexChannels(int(c.width))
		if !equalJSON(t, got[1:c.n-1], c.want) {
			t.Errorf("%v, width %d: channels %v, want %v", c.edges, c.width, got[1:c.n-1], c.want)
		}
	}
}

// The smallest network by hand: each of the nine modules is one projection.
func TestCostOfInputToOutput(t *testing.T) {
	c, err := NewCell([][]int{{0, 1}, {0, 0}}, []string{"input", "output"})
	if err != nil {
		t.Fatal(err)
	}
	var params, flops int64 = 27*128 + 2*128 + 512*10 + 10, 27*128*1024 + 512*10
	for _, m := range []struct{ in, out, pixels int64 }{
		{128, 128, 1024}, {128, 128, 1024}, {128, 128, 1024},
		{128, 256, 256}, {256, 256, 256}, {256, 256, 256},
		{256, 512, 64}, {512, 512, 64}, {512, 512, 64},
	} {
		params += m.in*m.out + 2*m.out
		flops += m.in * m.out * m.pixels
	}
	if c.Params() != params || c.FLOPs() != flops {
		t.Errorf("%d parameters and %d multiply-adds, want %d and %d", c.Params(), c.FLOPs(), params, flops)
	}
}
