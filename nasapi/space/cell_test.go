package space

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
)

// vector is one line of testdata/hash_vectors.json, made by running the
// reference code.
type vector struct {
	Name          string   `json:"name"`
	Matrix        [][]int  `json:"matrix"`
	Ops           []string `json:"ops"`
	Hash          *string  `json:"hash"`
	ValidSpec     bool     `json:"valid_spec"`
	Error         *string  `json:"error"`
	InSearchSpace bool     `json:"in_search_space"`
	PrunedMatrix  [][]int  `json:"pruned_matrix"`
	PrunedOps     []string `json:"pruned_ops"`
	PrunedEdges   int      `json:"pruned_edges"`
	IsoGroup      string   `json:"iso_group"`
}

func readVectors(tb testing.TB) []vector {
	tb.Helper()
	raw, err := os.ReadFile("testdata/hash_vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &file); err != nil {
		tb.Fatal(err)
	}
	if len(file.Vectors) != 51 {
		tb.Fatalf("%d vectors, want 51", len(file.Vectors))
	}
	return file.Vectors
}

func mustNASBench(tb testing.TB, maxVertices int) *NASBench {
	tb.Helper()
	n, err := NASBench101(maxVertices)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func equalJSON(tb testing.TB, a, b any) bool {
	tb.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		tb.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		tb.Fatal(err)
	}
	return string(x) == string(y)
}

func TestReferenceVectors(t *testing.T) {
	space := mustNASBench(t, 7)
	groups := map[string]string{}
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			c, err := NewCell(v.Matrix, v.Ops)
			if v.Hash == nil {
				if err == nil {
					t.Fatalf("made %s; the reference says %q", c, *v.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Hash() != *v.Hash {
				t.Errorf("hash %s, want %s", c.Hash(), *v.Hash)
			}
			if !equalJSON(t, c.Matrix(), v.PrunedMatrix) || !equalJSON(t, c.Ops(), v.PrunedOps) || c.Edges() != v.PrunedEdges {
				t.Errorf("pruned to %v %v, want %v %v", c.Matrix(), c.Ops(), v.PrunedMatrix, v.PrunedOps)
			}
			err = space.Contains(c)
			if (err == nil) != v.InSearchSpace || err != nil && !errors.Is(err, ErrOutside) {
				t.Errorf("in the space: %v, want %v", err, v.InSearchSpace)
			}
			if i, ok := space.Index(c); ok != v.InSearchSpace || ok && space.At(i).Hash() != *v.Hash {
				t.Errorf("Index says %d, %v", i, ok)
			}
			if v.IsoGroup == "" {
				return
			}
			if h, ok := groups[v.IsoGroup]; ok && h != c.Hash() {
				t.Errorf("isomorphic to a cell with hash %s, has %s", h, c.Hash())
			}
			groups[v.IsoGroup] = c.Hash()
		})
	}
}

func BenchmarkHashOfFreshCell(b *testing.B) {
	c := mustNASBench(b, 7).At(1234).(*Cell)
	matrix, ops := c.Matrix(), c.Ops()
	b.ReportAllocs()
	for b.Loop() {
		fresh, err := NewCell(matrix, ops)
		if err != nil {
			b.Fatal(err)
		}
		fresh.Hash()
	}
}
