package space

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/rng"
)

func cellsOf(t testing.TB, o CellsOptions) *CellSpace {
	t.Helper()
	s, err := Cells(o)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := CellsOf(s)
	if !ok {
		t.Fatalf("%v is no space of cells", s)
	}
	return c
}

// smallCells can be listed in a test. Each exercises something: one node, nodes with fewer
// states than edges, names that are no layers, a shared cell, one architecture.
func smallCells() []CellsOptions {
	return []CellsOptions{
		{Nodes: 1, Operations: []string{"sep_conv_3x3"}, PerNode: 2},
		{Nodes: 1, Operations: []string{"sep_conv_3x3", "skip_connect"}, PerNode: 1},
		{Nodes: 2, Operations: []string{"max_pool_3x3", "skip_connect"}, PerNode: 2},
		{Nodes: 2, Operations: []string{"max_pool_3x3", "attention"}, PerNode: 3},
		{Nodes: 2, Operations: []string{"a", "b", "c"}, PerNode: 1},
		{Nodes: 3, Operations: []string{"a", "b"}, PerNode: 3, Share: true},
		{Nodes: 3, Operations: []string{"mbconv-k3/e6", "none"}, PerNode: 2, Share: true},
	}
}

// enumerated counts the cells of a space by going through all edges of all nodes.
func enumerated(o CellsOptions) int64 {
	cell := int64(1)
	for node := range o.Nodes {
		sets := int64(0)
		for mask := range 1 << (node + 2) {
			ways, members := int64(1), 0
			for s := range node + 2 {
				if mask>>s&1 == 1 {
					members++
					ways *= int64(len(o.Operations))
				}
			}
			if members == min(o.PerNode, node+2) {
				sets += ways
			}
		}
		cell *= sets
	}
	if o.Share {
		return cell
	}
	return cell * cell
}

func TestCellSpaceSizes(t *testing.T) {
	for _, o := range smallCells() {
		s := cellsOf(t, o)
		if got, want := s.Size(), big.NewInt(enumerated(o)); got.Cmp(want) != 0 {
			t.Errorf("%v: %s architectures, counted are %s", s, got, want)
		}
	}
	seven := dartsSearchOps
	var many []string
	for i := range MaxCellOperations {
		many = append(many, "op"+string(rune('0'+i/10))+string(rune('0'+i%10)))
	}
	for _, c := range []struct {
		o    CellsOptions
		want string
	}{
		// (180 * 7^8)^2, and its root
		{CellsOptions{Nodes: 4, Operations: seven}, mustDARTS(t, 4).Size().String()},
		{CellsOptions{Nodes: 4, Operations: seven, Share: true}, "1037664180"},
		// (1*3*6*10*15*21*28*36)^2 * 64^32 = 57153600^2 * 2^192
		{CellsOptions{Nodes: 8, Operations: many}, new(big.Int).Mul(big.NewInt(57153600*57153600), new(big.Int).Lsh(big.NewInt(1), 192)).String()},
		// one set of states a node: 2+3+...+9 = 44 edges a cell, 2^(6*88)
		{CellsOptions{Nodes: 8, Operations: many, PerNode: 9}, new(big.Int).Lsh(big.NewInt(1), 528).String()},
	} {
		if got := cellsOf(t, c.o).Size().String(); got != c.want {
			t.Errorf("%+v: %s architectures, want %s", c.o, got, c.want)
		}
	}
}

// At, Index, JSON, literals, sequences and hashes of every architecture.
func TestCellSpaceRoundTrips(t *testing.T) {
	for _, o := range smallCells() {
		s, err := Cells(o)
		if err != nil {
			t.Fatal(err)
		}
		l := s.(*ListedCells)
		hashes := map[string]bool{}
		for i := range l.Len() {
			a := l.At(i).(*Genotype)
			hashes[a.Hash()] = true
			checkCells(t, l.CellSpace, a)
			if at, ok := l.Index(a); !ok || at != i {
				t.Fatalf("%v: %v is at %d, found at %d", s, a, i, at)
			}
		}
		if len(hashes) != l.Len() || l.Size().Int64() != int64(l.Len()) {
			t.Errorf("%v: %d hashes of %d", s, len(hashes), l.Len())
		}
		checkSpaceRoundTrip(t, s)
	}
	large := cellsOf(t, CellsOptions{Nodes: 8, Operations: []string{"sep_conv_3x3", "gconv@8", "x"}, PerNode: 4})
	checkSpaceRoundTrip(t, large)
	stream := rng.New(5, "test", "cells")
	a := large.Sample(stream)
	for range 200 {
		checkCells(t, large, a.(*Genotype))
		a = large.Mutate(a, stream)
	}
}

func checkSpaceRoundTrip(t *testing.T, s Space) {
	t.Helper()
	raw, err := json.Marshal(s.Spec())
	if err != nil {
		t.Fatal(err)
	}
	var spec Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	if again, err := FromSpec(spec); err != nil || again.Spec() != s.Spec() || again.String() != s.String() {
		t.Errorf("%s gives %v (%v)", raw, again, err)
	}
	if again, err := FromText(s.String()); err != nil || again.Spec() != s.Spec() {
		t.Errorf("%s gives %v (%v)", s, again, err)
	}
}

func checkCells(t *testing.T, s *CellSpace, a *Genotype) {
	t.Helper()
	if err := s.Contains(a); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(a.Literal())
	for _, text := range [][]byte{raw, quoted} {
		back, err := s.Parse(text)
		if err != nil || back.Hash() != a.Hash() || back.(*Genotype).Literal() != a.Literal() {
			t.Fatalf("%s came back as %v (%v)", text, back, err)
		}
	}
	if back, err := ParseArch(a.Space(), raw); err != nil || back.Hash() != a.Hash() || back.Space() != a.Space() {
		t.Fatalf("%s of %s came back as %v (%v)", raw, a.Space(), back, err)
	}
	seq, err := s.Encode(a)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range s.Choices() {
		if seq[i] < 0 || seq[i] >= c.N || c.First+c.N > len(s.Operations()) {
			t.Fatalf("decision %d of %v is %d of %+v", i, a, seq[i], c)
		}
	}
	if back, err := s.Decode(seq); err != nil || back.Hash() != a.Hash() {
		t.Fatalf("%v of %v gives %v (%v)", seq, a, back, err)
	}
	if (a.Params() > 0) != (a.CheckNetwork() == nil) || (a.FLOPs() > 0) != (a.Params() > 0) {
		t.Fatalf("%v: %d parameters, %v", a, a.Params(), a.CheckNetwork())
	}
}

// The space with the sizes of DARTS is darts_space(nodes=4): hashes, JSON and draws.
func TestCellSpaceOfDARTS(t *testing.T) {
	d, c := mustDARTS(t, 4), cellsOf(t, CellsOptions{Nodes: 4, Operations: dartsSearchOps})
	if d.Size().Cmp(c.Size()) != 0 {
		t.Errorf("%s and %s architectures", d.Size(), c.Size())
	}
	one, two := rng.New(1268, "test", "same"), rng.New(1268, "test", "same")
	for range 200 {
		a, b := d.Sample(one).(*Genotype), c.Sample(two).(*Genotype)
		if a.Hash() != b.Hash() || a.Literal() != b.Literal() || a.Space() != b.Space() || a.Params() != b.Params() {
			t.Fatalf("%s\n%s", a.Literal(), b.Literal())
		}
		if c.Contains(a) != nil || d.Contains(b) != nil {
			t.Fatal(c.Contains(a), d.Contains(b))
		}
		hashes := func(list []Arch) (out []string) {
			for _, n := range list {
				out = append(out, n.Hash())
			}
			slices.Sort(out)
			return out
		}
		if x, y := hashes(d.Neighbours(a)), hashes(c.Neighbours(b)); !slices.Equal(x, y) {
			t.Fatalf("%d and %d neighbours", len(x), len(y))
		}
	}
	part := cellsOf(t, CellsOptions{Nodes: 4, Operations: dartsSearchOps[2:5], Share: true})
	other := cellsOf(t, CellsOptions{Nodes: 4, Operations: []string{"skip_connect", "mine"}})
	for _, x := range []struct {
		whole, part Space
		want        bool
	}{{d, c, true}, {c, d, true}, {d, part, true}, {c, part, true}, {part, c, false}, {d, other, false}, {other, d, false}, {mustDARTS(t, 5), c, false}} {
		if got := Includes(x.whole, x.part); got != x.want {
			t.Errorf("%v includes %v: %v", x.whole, x.part, got)
		}
	}
	for s, want := range map[Space]bool{d: true, c: true, part: true, other: false} {
		if Counted(s) != want {
			t.Errorf("the networks of %v are known: %v", s, Counted(s))
		}
	}
}

// Chi-square over all architectures, within five standard deviations of its expectation.
func TestCellSpaceSampleIsUniform(t *testing.T) {
	for _, o := range smallCells()[1:] {
		s, err := Cells(o)
		if err != nil {
			t.Fatal(err)
		}
		l, stream := s.(*ListedCells), rng.New(11, "test", "uniform")
		const each = 20
		counts := make([]int, l.Len())
		for range each * l.Len() {
			i, _ := l.Index(l.Sample(stream))
			counts[i]++
		}
		chi, n := 0.0, float64(l.Len()-1)
		for _, c := range counts {
			chi += float64(c-each) * float64(c-each) / each
		}
		if math.Abs(chi-n) > 5*math.Sqrt(2*n) {
			t.Errorf("%v: chi-square %.1f with %.0f degrees of freedom", s, chi, n)
		}
	}
}

// Neighbours are in the space, mutual and distinct, lead everywhere, and are what a
// mutation draws.
func TestCellSpaceNeighbours(t *testing.T) {
	for _, o := range smallCells() {
		s, err := Cells(o)
		if err != nil {
			t.Fatal(err)
		}
		l := s.(*ListedCells)
		near := make([]map[int]bool, l.Len())
		for i := range near {
			near[i] = map[int]bool{}
			list := l.Neighbours(l.At(i))
			for _, n := range list {
				j, ok := l.Index(n)
				if !ok || j == i {
					t.Fatalf("%v: %v is near %v", s, n, l.At(i))
				}
				near[i][j] = true
			}
			if len(near[i]) != len(list) {
				t.Fatalf("%v: %d neighbours, %d of them distinct", s, len(list), len(near[i]))
			}
		}
		reached, queue := map[int]bool{0: true}, []int{0}
		for len(queue) > 0 {
			i := queue[0]
			queue = queue[1:]
			for j := range near[i] {
				if !near[j][i] {
					t.Fatalf("%v: %v is near %v, not the other way round", s, l.At(j), l.At(i))
				}
				if !reached[j] {
					reached[j], queue = true, append(queue, j)
				}
			}
		}
		if len(reached) != l.Len() {
			t.Errorf("%v: %d of %d are reached", s, len(reached), l.Len())
		}
		stream, left := rng.New(3, "test", "mutate"), map[int]bool{}
		at := l.Len() / 2
		for j := range near[at] {
			left[j] = true
		}
		for range 3000 {
			j, ok := l.Index(l.Mutate(l.At(at), stream))
			if !ok || !near[at][j] && len(near[at]) > 0 {
				t.Fatalf("%v: a mutation of %v is %d", s, l.At(at), j)
			}
			delete(left, j)
		}
		if len(left) > 0 {
			t.Errorf("%v: %d neighbours were never drawn", s, len(left))
		}
	}
}

func TestCellSpaceErrors(t *testing.T) {
	for _, c := range []struct {
		o    CellsOptions
		want string
	}{
		{CellsOptions{Nodes: 0, Operations: []string{"a"}}, "nodes=0: a cell has 1 to 8"},
		{CellsOptions{Nodes: 9, Operations: []string{"a"}}, "nodes=9"},
		{CellsOptions{Nodes: 3, Operations: []string{"a"}, PerNode: 5}, "edges_per_node=5: with nodes=3 it is 1 to 4"},
		{CellsOptions{Nodes: 3, Operations: []string{"a"}, PerNode: -1}, "edges_per_node=-1"},
		{CellsOptions{Nodes: 3}, "ops is empty"},
		{CellsOptions{Nodes: 3, Operations: []string{"a", "b", "a"}}, `"a" twice`},
		{CellsOptions{Nodes: 3, Operations: []string{"a b"}}, `"a b": a name is`},
		{CellsOptions{Nodes: 3, Operations: []string{""}}, `"": a name is`},
		{CellsOptions{Nodes: 3, Operations: []string{"a'"}}, "a name is"},
		{CellsOptions{Nodes: 3, Operations: []string{strings.Repeat("a", 65)}}, "a name is"},
		{CellsOptions{Nodes: 3, Operations: make([]string, 65)}, "65 operations: at most 64"},
	} {
		if _, err := Cells(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
	for _, spec := range []Spec{{Name: "cells"}, {Name: "cells", Nodes: 2, Operations: `["a"`, EdgesPerNode: 1}, {Name: "cells", Nodes: 2, Operations: `[1]`}} {
		if _, err := FromSpec(spec); err == nil {
			t.Errorf("%+v is a space", spec)
		}
	}
	for _, text := range []string{"cell_space(", "cell_space(nodes=2, ops=[], edges_per_node=2)", `cell_space(nodes=2, ops=["a"], edges_per_node=0)`, `cell_space(nodes=2, ops=["a"], edges_per_node=2, share=False)`} {
		if s, err := FromText(text); err == nil {
			t.Errorf("%s is %v", text, s)
		}
	}
	s := cellsOf(t, CellsOptions{Nodes: 1, Operations: []string{"sep_conv_3x3", "mine"}, PerNode: 1})
	for text, want := range map[string]string{
		`{"normal":[["mine",0]],"normal_concat":[2],"reduce":[["mine",1]],"reduce_concat":[2]}`:                                 "1 edges; a cell has two",
		`{"normal":[["mine",0]],"normal_concat":[2],"reduce":[["mine",1]],"reduce_concat":[2],"edges_per_node":0}`:              "edges_per_node is 0; give",
		`{"normal":[["mine",0]],"normal_concat":[2],"reduce":[["mine",1]],"reduce_concat":[2],"edges_per_node":1e99}`:           "edges_per_node is 1e99",
		`{"normal":[["mine",0]],"normal_concat":[2],"reduce":[["mine",1]],"reduce_concat":[2],"edges_per_nod":1}`:               "did you mean edges_per_node?",
		`{"normal":[["mien",0]],"normal_concat":[2],"reduce":[["mine",1]],"reduce_concat":[2],"edges_per_node":1}`:              `did you mean "mine"?`,
		`{"normal":[["mine",2]],"normal_concat":[2],"reduce":[["mine",1]],"reduce_concat":[2],"edges_per_node":1}`:              "input 2 is not an earlier state",
		`{"normal":[["mine",0],["mine",2]],"normal_concat":[2,3],"reduce":[["mine",1]],"reduce_concat":[2],"edges_per_node":1}`: "2 nodes, not 1",
		`{"normal":[["mine",0]],"normal_concat":[0,2],"reduce":[["mine",1]],"reduce_concat":[2],"edges_per_node":1}`:            "in this space it is all nodes",
		`{"normal":[["mine",0],["mine",1]],"normal_concat":[2],"reduce":[["mine",1],["mine",0]],"reduce_concat":[2]}`:           "edges_per_node=2, not 1",
		`"Genotype(normal=[('mine', 0)], normal_concat=[2], reduce=[('mine', 1)], reduce_concat=[2], edges_per_node='1')"`:      "edges_per_node is 1; give a number",
	} {
		if a, err := s.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", text, a, err, want)
		}
	}
	two := cellsOf(t, CellsOptions{Nodes: 1, Operations: []string{"mine"}, Share: true})
	for text, want := range map[string]string{
		`{"normal":[["mine",0],["mine",0]],"normal_concat":[2],"reduce":[["mine",1],["mine",0]],"reduce_concat":[2]}`:  "reads state 0 twice",
		`{"normal":[["other",0],["mine",1]],"normal_concat":[2],"reduce":[["mine",1],["mine",0]],"reduce_concat":[2]}`: `"other"`,
	} {
		if _, err := two.Parse([]byte(text)); !errors.Is(err, ErrOutside) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	// The order of a node's edges does not tell two cells apart.
	if _, err := two.Parse([]byte(`{"normal":[["mine",0],["mine",1]],"normal_concat":[2],"reduce":[["mine",1],["mine",0]],"reduce_concat":[2]}`)); err != nil {
		t.Error(err)
	}
}

func TestOperationsWithoutNetwork(t *testing.T) {
	for op, want := range map[string]string{
		"sep_conv_3x4": "did you mean sep_conv_3x3?",
		"none":         "one less of edges_per_node",
		"transformer":  "known are max_pool_3x3",
	} {
		err := cellsOf(t, CellsOptions{Nodes: 1, Operations: []string{"skip_connect", op}}).CheckNetwork()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"`+op+`"`) {
			t.Errorf("%s: %v, want %q", op, err, want)
		}
	}
	if err := cellsOf(t, CellsOptions{Nodes: 1, Operations: networkOps}).CheckNetwork(); err != nil {
		t.Error(err)
	}
}

// The hashes of architectures are part of tables and notebooks.
const hashOfThreeEdges = "bea0a592e7d8be722d3efbf63ed1e61b"

func TestHashesOfCells(t *testing.T) {
	s := cellsOf(t, CellsOptions{Nodes: 3, Operations: []string{"sep_conv_3x3", "mine"}, PerNode: 3})
	if got := s.Sample(rng.New(1, "test", "hash")).Hash(); got != hashOfThreeEdges {
		t.Errorf("the hash is %s", got)
	}
}

func FuzzParseCells(f *testing.F) {
	s := cellsOf(f, CellsOptions{Nodes: 3, Operations: []string{"sep_conv_3x3", "mine"}, PerNode: 3})
	stream := rng.New(1, "fuzz", "cells")
	for range 5 {
		g := s.Sample(stream).(*Genotype)
		raw, err := json.Marshal(g)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw), s.String())
		f.Add(g.Literal(), s.String())
	}
	f.Fuzz(func(t *testing.T, text, of string) {
		if s, err := FromText(of); err == nil {
			if again, err := FromSpec(s.Spec()); err != nil || again.String() != s.String() {
				t.Errorf("%s gives %v (%v)", s, again, err)
			}
		}
		g, err := parseGenotype(text, checkOpName)
		if err != nil {
			return
		}
		raw, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		for _, again := range []string{string(raw), g.Literal()} {
			h, err := parseGenotype(again, checkOpName)
			if err != nil || h.Hash() != g.Hash() {
				t.Fatalf("%s became %v (%v)", again, h, err)
			}
		}
		if sp, err := SpaceOf(g); err == nil {
			_ = sp.Contains(g) // which of the two it is depends on what is concatenated
		}
		_, _, _ = g.Params(), g.FLOPs(), s.Contains(g)
	})
}
