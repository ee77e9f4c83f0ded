package space

import (
	"math"
	"testing"

	"evalnas/nasapi/rng"
)

func TestMutateStaysAndCovers(t *testing.T) {
	const steps = 20000
	for v := 2; v <= 7; v++ {
		n := mustNASBench(t, v)
		s := rng.New(1, "mutation test")
		a := n.Sample(s)
		seen := map[int]bool{}
		for range steps {
			a = n.Mutate(a, s)
			i, ok := n.Index(a)
			if !ok {
				t.Fatalf("%s: %s is not in the space", n, a)
			}
			seen[i] = true
		}
		// A chain of mutations visits all of the small spaces, and many cells
		// of the large ones.
		if want := min(n.Len(), 91); len(seen) < want {
			t.Errorf("%s: %d mutations visited %d cells of %d", n, steps, len(seen), n.Len())
		}
	}
}

func TestMutateKeepsItsArgument(t *testing.T) {
	n := mustNASBench(t, 7)
	s := rng.New(1, "mutation test")
	a := n.At(1000)
	before := a.String()
	for range 100 {
		n.Mutate(a, s)
	}
	if a.String() != before {
		t.Errorf("%s became %s", before, a)
	}
}

func TestMutateIsReproducible(t *testing.T) {
	n := mustNASBench(t, 6)
	x, y := rng.New(5, "mutation test"), rng.New(5, "mutation test")
	a, b := n.At(77), n.At(77)
	for range 50 {
		a, b = n.Mutate(a, x), n.Mutate(b, y)
		if a.Hash() != b.Hash() {
			t.Fatalf("the same stream gave %s and %s", a, b)
		}
	}
}

// flip changes each edge with probability 1/V, each operation with 1/(V-2).
func TestMutationRates(t *testing.T) {
	const trials = 20000
	for v := 3; v <= 7; v++ {
		n := mustNASBench(t, v)
		s := rng.New(2, "mutation test")
		edges, ops := 0, 0
		var turned [3]int
		for range trials {
			out, labels := make([]uint64, v), make([]uint8, v-2)
			n.flip(out, labels, s)
			for x, row := range out {
				for y := x + 1; y < v; y++ {
					edges += int(row >> y & 1)
				}
			}
			for _, label := range labels {
				turned[label]++
				if label != 0 {
					ops++
				}
			}
		}
		pairs := v * (v - 1) / 2
		near := func(name string, got, n int, p float64) {
			mean, sd := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
			if math.Abs(float64(got)-mean) > 5*sd+1e-9 {
				t.Errorf("%d vertices: %d %s, want %.0f ± %.0f", v, got, name, mean, sd)
			}
		}
		near("edges flipped", edges, trials*pairs, 1/float64(v))
		near("operations changed", ops, trials*(v-2), 1/float64(v-2))
		near("of them to the first other", turned[1], ops, .5)
	}
}

func TestNeighbours(t *testing.T) {
	for v := 2; v <= 7; v++ {
		n := mustNASBench(t, v)
		s := rng.New(1, "neighbour test")
		for range 60 {
			a := n.Sample(s)
			list := n.Neighbours(a)
			seen := map[string]bool{a.Hash(): true}
			for _, b := range list {
				if err := n.Contains(b); err != nil {
					t.Fatal(err)
				}
				if seen[b.Hash()] {
					t.Fatalf("%s is twice among the neighbours of %s, or is it", b, a)
				}
				seen[b.Hash()] = true
				if !oneEditBack(a.(*Cell), b.(*Cell)) {
					continue
				}
				if !hasHash(n.Neighbours(b), a.Hash()) {
					t.Fatalf("%s is a neighbour of %s, but not the other way round", b, a)
				}
			}
			again := n.Neighbours(a)
			for i, b := range again {
				if b.Hash() != list[i].Hash() {
					t.Fatalf("the order of the neighbours of %s changed", a)
				}
			}
		}
	}
}

// oneEditBack says whether the relation promises the way back from b to a:
// not after the removal of an edge that took more with it than a vertex with
// two edges.
func oneEditBack(a, b *Cell) bool {
	vertices, edges := a.Vertices()-b.Vertices(), a.Edges()-b.Edges()
	return vertices <= 0 || vertices == 1 && edges == 2
}

func hasHash(list []Arch, hash string) bool {
	for _, a := range list {
		if a.Hash() == hash {
			return true
		}
	}
	return false
}

// From any cell a walk over neighbours reaches the whole of a small space.
func TestNeighboursConnectTheSpace(t *testing.T) {
	for v := 2; v <= 5; v++ {
		n := mustNASBench(t, v)
		seen := make([]bool, n.Len())
		queue := []int{n.Len() / 2}
		seen[queue[0]] = true
		for len(queue) > 0 {
			a := n.At(queue[0])
			queue = queue[1:]
			for _, b := range n.Neighbours(a) {
				i, ok := n.Index(b)
				if !ok {
					t.Fatalf("%s is not in the space", b)
				}
				if !seen[i] {
					seen[i] = true
					queue = append(queue, i)
				}
			}
		}
		for i, ok := range seen {
			if !ok {
				t.Fatalf("%s: no walk reaches %s", n, n.At(i))
			}
		}
	}
}

// The neighbours of the smallest cells, by hand.
func TestNeighboursOfSmallCells(t *testing.T) {
	n := mustNASBench(t, 3)
	direct, err := NewCell([][]int{{0, 1}, {0, 0}}, []string{"input", "output"})
	if err != nil {
		t.Fatal(err)
	}
	// A vertex beside the edge, with each operation.
	if got := n.Neighbours(direct); len(got) != 3 || got[0].(*Cell).Edges() != 3 {
		t.Errorf("%s has the neighbours %v", direct, got)
	}
	chain, err := NewCell([][]int{{0, 1, 0}, {0, 0, 1}, {0, 0, 0}}, []string{"input", "maxpool3x3", "output"})
	if err != nil {
		t.Fatal(err)
	}
	// The skip edge, and two other operations.
	if got := n.Neighbours(chain); len(got) != 3 || got[0].(*Cell).Edges() != 3 || got[1].(*Cell).Ops()[1] != "conv3x3-bn-relu" {
		t.Errorf("%s has the neighbours %v", chain, got)
	}
}

func TestMovesRefuseForeignCells(t *testing.T) {
	n, whole := mustNASBench(t, 4), mustNASBench(t, 7)
	foreign := whole.At(0)
	for name, move := range map[string]func(){
		"Mutate":     func() { n.Mutate(foreign, rng.New(1, "x")) },
		"Neighbours": func() { n.Neighbours(foreign) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s took a cell of seven vertices in the space of four", name)
				}
			}()
			move()
		}()
	}
}
