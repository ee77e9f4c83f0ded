package nb101

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomGraph draws a full graph of n vertices: every vertex but the output
// has a successor, every one but the input a predecessor.
func randomGraph(r *rand.Rand, n int) ([]uint64, []uint8) {
	out := make([]uint64, n)
	for x := range n - 1 {
		out[x] = r.Uint64() & r.Uint64() & (1<<n - 1) &^ (1<<(x+1) - 1)
		out[x] |= 1 << (x + 1 + r.IntN(n-x-1))
	}
	for y := 1; y < n; y++ {
		if !slices.ContainsFunc(out[:y], func(row uint64) bool { return row>>y&1 != 0 }) {
			out[r.IntN(y)] |= 1 << y
		}
	}
	ops := make([]uint8, n-2)
	for i := range ops {
		ops[i] = uint8(r.IntN(NumOps))
	}
	return out, ops
}

func TestPackRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		out, ops := randomGraph(r, 2+r.IntN(MaxVertices-1))
		g := Pack(out, ops)
		edges := 0
		for _, row := range out {
			for ; row != 0; row &= row - 1 {
				edges++
			}
		}
		if !slices.Equal(g.Rows(nil), out) || !bytes.Equal(g.Ops(nil), ops) || g.Vertices() != len(out) || g.Edges() != edges {
			t.Fatalf("%b %v became %b %v", out, ops, g.Rows(nil), g.Ops(nil))
		}
	}
}

// plainHash is the module hash as its definition reads, text by text.
func plainHash(out []uint64, labels []int8) [16]byte {
	n := len(out)
	sum := func(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
	edge := func(x, y int) bool { return out[x]>>y&1 != 0 }
	degree := func(v int) (outgoing, incoming int) {
		for u := range n {
			if edge(v, u) {
				outgoing++
			}
			if edge(u, v) {
				incoming++
			}
		}
		return outgoing, incoming
	}
	hashes := make([]string, n)
	for v := range hashes {
		o, i := degree(v)
		hashes[v] = sum(fmt.Sprintf("(%d, %d, %d)", o, i, labels[v]))
	}
	for range n {
		next := make([]string, n)
		for v := range next {
			var before, behind []string
			for u := range n {
				if edge(u, v) {
					before = append(before, hashes[u])
				}
				if edge(v, u) {
					behind = append(behind, hashes[u])
				}
			}
			slices.Sort(before)
			slices.Sort(behind)
			next[v] = sum(strings.Join(before, "") + "|" + strings.Join(behind, "") + "|" + hashes[v])
		}
		hashes = next
	}
	slices.Sort(hashes)
	return md5.Sum([]byte("['" + strings.Join(hashes, "', '") + "']"))
}

// Sizes beyond eight take several batches; one hasher serves all of them.
func TestModuleHashMatchesItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var h Hasher
	for i := range 600 {
		n := 2 + r.IntN(MaxVertices-1)
		if i%20 == 0 {
			n = 2 + r.IntN(63)
		}
		out, ops := randomGraph(r, n)
		labels := []int8{InputLabel}
		for _, op := range ops {
			labels = append(labels, int8(op))
		}
		labels = append(labels, OutputLabel)
		if got, want := h.Module(out, labels), plainHash(out, labels); got != want {
			t.Fatalf("%d vertices, %b %v: %x, want %x", n, out, labels, got, want)
		}
	}
}

// Colour and the module hash see the same classes: on the labelled graphs of
// five vertices, and on random pairs of seven that differ by a permutation or
// by one change.
func TestColourSeparatesAsTheHash(t *testing.T) {
	byColour, byHash := map[uint64][16]byte{}, map[[16]byte]uint64{}
	var h Hasher
	check := func(g Graph) {
		colour, hash := g.Colour(), h.Graph(g)
		if old, ok := byColour[colour]; ok && old != hash {
			t.Fatalf("%08x: one colour, two hashes", uint32(g))
		}
		if old, ok := byHash[hash]; ok && old != colour {
			t.Fatalf("%08x: one hash, two colours", uint32(g))
		}
		byColour[colour], byHash[hash] = hash, colour
	}
	EachLabelled(5, func(g Graph, colour uint64) {
		if colour != g.Colour() {
			t.Fatalf("%08x: colour %x while enumerating, %x alone", uint32(g), colour, g.Colour())
		}
		check(g)
	})
	r := rand.New(rand.NewPCG(7, 8))
	for range 4000 {
		out, ops := randomGraph(r, MaxVertices)
		check(Pack(out, ops))
		// Two neighbours without an edge between them may change places.
		for v := 1; v < MaxVertices-2; v++ {
			if out[v]>>(v+1)&1 == 0 {
				swapped, swappedOps := swapVertices(out, ops, v)
				check(Pack(swapped, swappedOps))
				if Pack(swapped, swappedOps).Colour() != Pack(out, ops).Colour() {
					t.Fatalf("exchanging %d and %d changes the colour of %b", v, v+1, out)
				}
			}
		}
		ops[r.IntN(len(ops))] ^= 1
		for i := range ops {
			ops[i] %= NumOps
		}
		check(Pack(out, ops))
	}
}

func swapVertices(out []uint64, ops []uint8, v int) ([]uint64, []uint8) {
	swapped, swappedOps := slices.Clone(out), slices.Clone(ops)
	swapped[v], swapped[v+1] = swapped[v+1], swapped[v]
	for x, row := range swapped {
		low := row >> v & 3
		swapped[x] = row&^(3<<v) | (low>>1|low<<1&2)<<v
	}
	swappedOps[v-1], swappedOps[v] = swappedOps[v], swappedOps[v-1]
	return swapped, swappedOps
}
