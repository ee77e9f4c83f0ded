package nb101

import (
	"bytes"
	"os"
	"testing"
)

func encoded(tb testing.TB, maxVertices int) (*Index, []Unique, []byte) {
	tb.Helper()
	unique, _, err := Enumerate(maxVertices)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := EncodeIndex(unique)
	if err != nil {
		tb.Fatal(err)
	}
	index, err := OpenIndex(string(data))
	if err != nil {
		tb.Fatal(err)
	}
	return index, unique, data
}

// Every labelled graph of the enumeration resolves to the row of its class,
// every hash to its row.
func TestIndexFindsEveryLabelledGraph(t *testing.T) {
	const vertices = 5
	index, unique, _ := encoded(t, vertices)
	hits := make([]int, index.Len())
	var h Hasher
	EachLabelled(vertices, func(g Graph, _ uint64) {
		row, ok := index.Row(g)
		if !ok {
			t.Fatalf("%08x is not found", uint32(g))
		}
		if h.Graph(g) != unique[row].Hash {
			t.Fatalf("%08x resolves to another class", uint32(g))
		}
		hits[row]++
	})
	for row, n := range hits {
		if n == 0 {
			t.Errorf("row %d is nobody's", row)
		}
		if got, ok := index.RowOfHash(unique[row].Hash); !ok || got != row || index.Graph(row) != unique[row].Graph {
			t.Errorf("row %d is found at %d, %v", row, got, ok)
		}
	}
}

func TestIndexMisses(t *testing.T) {
	index, unique, _ := encoded(t, 4)
	five := Pack([]uint64{2, 4, 8, 16, 0}, []uint8{0, 1, 2})
	if row, ok := index.Row(five); ok {
		t.Errorf("a graph of five vertices is row %d of four", row)
	}
	// The same five bytes and another end: the hash of the graph decides.
	near := unique[3].Hash
	near[15] ^= 1
	if row, ok := index.RowOfHash(near); ok {
		t.Errorf("hash %x is row %d", near, row)
	}
	for _, h := range [][16]byte{{}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}} {
		if row, ok := index.RowOfHash(h); ok {
			t.Errorf("hash %x is row %d", h, row)
		}
	}
}

func TestOpenIndexRefusesDamage(t *testing.T) {
	_, _, data := encoded(t, 4)
	for _, n := range []int{0, 3, 4, len(data) - 1} {
		if _, err := OpenIndex(string(data[:n])); err == nil {
			t.Errorf("an index of %d of %d bytes was opened", n, len(data))
		}
	}
	for _, header := range []string{"\xff\xff\xff\xff", "\x00\x00\x00\x00"} {
		if _, err := OpenIndex(header + string(data[4:])); err == nil {
			t.Errorf("an index that claims %x graphs was opened", header)
		}
	}
}

// The embedded index is what enumeration gives. Seven vertices take seconds;
// EVALNAS_TORTURE=1 compares the whole file.
func TestEmbeddedIndexIsRegenerated(t *testing.T) {
	raw, err := os.ReadFile("../../nasbench101.idx")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("EVALNAS_TORTURE") != "" {
		if _, _, fresh := encoded(t, MaxVertices); !bytes.Equal(raw, fresh) {
			t.Error("go generate would change nasbench101.idx")
		}
		return
	}
	index, err := OpenIndex(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	const vertices = 6
	unique, _, err := Enumerate(vertices)
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for row := range index.Len() {
		g := index.Graph(row)
		if g.Vertices() > vertices {
			continue
		}
		if next == len(unique) || g != unique[next].Graph || index.prefix(row) != prefix(unique[next].Hash[:]) {
			t.Fatalf("row %d, graph %d of %d vertices at most: the index differs from the enumeration", row, next, vertices)
		}
		if found, ok := index.Row(g); !ok || found != row {
			t.Fatalf("row %d is found at %d, %v", row, found, ok)
		}
		next++
	}
	if next != len(unique) {
		t.Errorf("%d graphs of at most %d vertices, want %d", next, vertices, len(unique))
	}
}
