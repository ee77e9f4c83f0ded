package space

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space/internal/nb101"
)

// text writes a cell as the data set does.
func text(c *Cell) (matrix, ops []byte) {
	for _, row := range c.Matrix() {
		for _, e := range row {
			matrix = append(matrix, '0'+byte(e))
		}
	}
	return matrix, []byte(strings.Join(c.Ops(), ","))
}

func TestTextRow(t *testing.T) {
	n := mustNASBench(t, 7)
	for row := 0; row < n.Len(); row += 1 + n.Len()/20000 {
		matrix, ops := text(n.cell(row))
		if got, err := n.TextRow(matrix, ops); err != nil || got != row {
			t.Fatalf("row %d is found at %d, %v", row, got, err)
		}
	}
	// Every labelled graph of up to five vertices: other orders of the same vertices.
	nb101.EachLabelled(5, func(g nb101.Graph, _ uint64) {
		c := newCell(g.Rows(nil), g.Ops(nil))
		want, _ := n.Index(c)
		matrix, ops := text(c)
		if got, err := n.TextRow(matrix, ops); err != nil || got != want {
			t.Fatalf("%s is found at %d, not %d (%v)", c, got, want, err)
		}
		if hash := n.HashOfRow(want); hex.EncodeToString(hash[:]) != c.Hash() || !n.MayHaveHash(want, hash) || n.VerticesOfRow(want) != c.Vertices() {
			t.Fatalf("%s has the row of %x", c, hash)
		}
	})
	if c := n.cell(7); n.MayHaveHash(8, n.HashOfRow(7)) {
		t.Errorf("row 8 may have the hash of %s", c)
	}
	// A dead end is pruned.
	if row, err := n.TextRow([]byte("011000000"), []byte("input,maxpool3x3,output")); err != nil || n.cell(row).Vertices() != 2 {
		t.Errorf("row %d, %v", row, err)
	}
}

func TestTextRowRefuses(t *testing.T) {
	n := mustNASBench(t, 7)
	for _, c := range []struct{ matrix, ops, want string }{
		{"", "", "1 operations for 0 vertices"},
		{"01000", "input,output", "no square"},
		{strings.Repeat("0", 1e6), "input,output", "no square"},
		{"0x00", "input,output", `'x' at row 0, column 1`},
		{"0110", "input,output", "from vertex 1 to vertex 0"},
		{"0100", "input", "1 operations for 2 vertices"},
		{"0100", "start,output", `first operation is "start"`},
		{"0100", strings.Repeat("x", 1e6), "1000000 bytes"},
		{"010001000", "input,maxpool,output", `did you mean "maxpool3x3"`},
		{"0111100111000110000100000", "input,maxpool3x3,maxpool3x3,maxpool3x3,output", "10 edges"},
	} {
		if row, err := n.TextRow([]byte(c.matrix), []byte(c.ops)); err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 400 {
			t.Errorf("%.20q, %.20q: %d, %v; want %q in it", c.matrix, c.ops, row, err, c.want)
		}
	}
}

func TestTextRowDoesNotAllocate(t *testing.T) {
	n := mustNASBench(t, 7)
	matrix, ops := text(n.cell(4711))
	if got := testing.AllocsPerRun(100, func() {
		if _, err := n.TextRow(matrix, ops); err != nil {
			t.Fatal(err)
		}
	}); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

// The constant by its definition.
func TestHashesSum(t *testing.T) {
	if testing.Short() {
		t.Skip("four seconds of MD5 are not at hand in short tests")
	}
	n := mustNASBench(t, 7)
	sum := sha256.New()
	for row := range n.Len() {
		hash := n.HashOfRow(row)
		sum.Write(hash[:])
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != HashesSum {
		t.Errorf("the hashes have the SHA-256 %s, not %s", got, HashesSum)
	}
}

func BenchmarkTextRow(b *testing.B) {
	n := mustNASBench(b, 7)
	var cells [1024]struct{ matrix, ops []byte }
	s := rng.New(1, "text benchmark")
	for i := range cells {
		cells[i].matrix, cells[i].ops = text(n.cell(s.IntN(n.Len())))
	}
	for i := 0; b.Loop(); i++ {
		c := cells[i%len(cells)]
		if _, err := n.TextRow(c.matrix, c.ops); err != nil {
			b.Fatal(err)
		}
	}
}
