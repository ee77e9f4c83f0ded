package nb101

import (
	"testing"
)

// Counts of unique and of labelled graphs, computed with the reference.
var counts = [MaxVertices + 1]struct{ unique, labelled int }{
	2: {1, 1}, 3: {7, 7}, 4: {91, 97}, 5: {2532, 3364}, 6: {64542, 128509}, 7: {423624, 1293208},
}

func TestEnumerateCounts(t *testing.T) {
	for v := 2; v <= MaxVertices; v++ {
		unique, labelled, err := Enumerate(v)
		if err != nil {
			t.Fatal(err)
		}
		if len(unique) != counts[v].unique || labelled != counts[v].labelled {
			t.Errorf("%d vertices: %d unique of %d labelled graphs, want %d of %d", v, len(unique), labelled, counts[v].unique, counts[v].labelled)
		}
	}
}

func TestEnumerateRefusesOtherSizes(t *testing.T) {
	for _, v := range []int{-1, 0, 1, 8} {
		if _, _, err := Enumerate(v); err == nil {
			t.Errorf("Enumerate(%d) gave no error", v)
		}
	}
}

func BenchmarkEnumerate6(b *testing.B) {
	for b.Loop() {
		if _, _, err := Enumerate(6); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkColour(b *testing.B) {
	g := Pack([]uint64{0b10110, 0b1001000, 0b1000, 0b1010000, 0b1000000, 0b1000000, 0}, []uint8{0, 1, 2, 0, 1})
	for b.Loop() {
		g.Colour()
	}
}

func BenchmarkModuleHash(b *testing.B) {
	g := Pack([]uint64{0b10110, 0b1001000, 0b1000, 0b1010000, 0b1000000, 0b1000000, 0}, []uint8{0, 1, 2, 0, 1})
	var h Hasher
	for b.Loop() {
		h.Graph(g)
	}
}
