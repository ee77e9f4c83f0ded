package space

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"evalnas/nasapi/rng"
)

func readDARTSFixture(t testing.TB, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

func publishedGenotypes(t testing.TB) map[string]*Genotype {
	t.Helper()
	out := make(map[string]*Genotype)
	for _, name := range GenotypeNames() {
		g, err := NamedGenotype(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = g
	}
	return out
}

func mustDARTS(t testing.TB, nodes int) *DARTSSpace {
	t.Helper()
	d, err := DARTS(nodes)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The counts come from running the reference's networks (C=36, 20 cells).
func TestDARTSParamsOfPublishedGenotypes(t *testing.T) {
	var want struct {
		Networks map[string]struct {
			Params    int64 `json:"params"`
			AuxParams int64 `json:"aux_params"`
		}
	}
	readDARTSFixture(t, "darts_params.json", &want)
	got := publishedGenotypes(t)
	if len(got) != 47 || len(want.Networks) != 47 {
		t.Fatalf("%d genotypes and %d counts, want 47 of each", len(got), len(want.Networks))
	}
	for name, w := range want.Networks {
		g := got[name]
		if g == nil {
			t.Errorf("%s: no genotype", name)
			continue
		}
		if g.Params() != w.Params || g.AuxParams() != w.AuxParams {
			t.Errorf("%s: params %d aux %d, want %d and %d", name, g.Params(), g.AuxParams(), w.Params, w.AuxParams)
		}
	}
}

// uniformGenotype has one operation everywhere, and inputs 0 and 1.
func uniformGenotype(t *testing.T, op string) *Genotype {
	t.Helper()
	var edges []DARTSEdge
	for range 4 {
		edges = append(edges, DARTSEdge{op, 0}, DARTSEdge{op, 1})
	}
	cell := DARTSCell{Edges: edges, Concat: []int{2, 3, 4, 5}}
	g, err := NewGenotype(cell, cell)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Multiply-adds worked out by hand. With pools only, the network is its stem,
// the two 1x1 projections a cell and the classifier. Input channels of the
// projections: cell 0 gets 108+108, cell 1 108+144, others 2*144 before the
// first halving; the cells of each stage have 36, 72, 144 channels.
func TestDARTSFLOPsByHand(t *testing.T) {
	const big, mid, small = 32 * 32, 16 * 16, 8 * 8
	pools := int64(27*108*big +
		36*big*(216+252+4*288) + // cells 0-5
		72*big*288 + // cell 6, projections before it halves
		72*mid*(144+288) + // cell 7
		72*mid*5*576 + // cells 8-12
		144*mid*576 + // cell 13
		144*small*(288+576) + // cell 14
		144*small*5*1152 + // cells 15-19
		5760)
	if got := uniformGenotype(t, "max_pool_3x3").FLOPs(); got != pools {
		t.Errorf("pools: %d multiply-adds, want %d", got, pools)
	}
	// Eight edges in each of 6, 6, 6 normal cells and a reduction cell at
	// either halving, whose outputs have the size of the stage that follows.
	edge := func(area int64) int64 {
		at := func(c, pixels, cells int64) int64 { return 8 * cells * pixels * c * (area + c) }
		return at(36, big, 6) + at(72, mid, 7) + at(144, small, 7)
	}
	stridedSkips := int64(8 * (mid*72*72 + small*144*144))
	for op, extra := range map[string]int64{
		"avg_pool_3x3": 0,
		"skip_connect": stridedSkips,
		"dil_conv_3x3": edge(9),
		"dil_conv_5x5": edge(25),
		"sep_conv_3x3": 2 * edge(9),
		"sep_conv_5x5": 2 * edge(25),
		"sep_conv_7x7": 2 * edge(49),
		"conv_7x1_1x7": 8 * 14 * (36*36*6*big + 72*72*mid*6 + 144*144*small*6 +
			// where it halves, the 1x7 kernel still sees the full height
			(72*72*mid+144*144*small)*3/2),
	} {
		if got := uniformGenotype(t, op).FLOPs(); got != pools+extra {
			t.Errorf("%s: %d multiply-adds, want %d", op, got, pools+extra)
		}
	}
}

// The closed forms: 180 sets of inputs and 7 operations on each of 8 edges, a
// cell; for 5 nodes the pairs with repetition of 10, 15, 20, 25, 30 edges.
func TestDARTSSize(t *testing.T) {
	for nodes, cell := range map[int]int64{
		4: 180 * 7 * 7 * 7 * 7 * 7 * 7 * 7 * 7,
		5: 55 * 120 * 210 * 325 * 465,
	} {
		want := new(big.Int).Mul(big.NewInt(cell), big.NewInt(cell))
		if d := mustDARTS(t, nodes); d.Size().Cmp(want) != 0 {
			t.Errorf("%v: size %v, want %v", d, d.Size(), want)
		}
	}
}

// distinctPairs lists a node's pairs by brute force, each as sorted text.
func distinctPairs(d *DARTSSpace, node int) map[string]bool {
	found := make(map[string]bool)
	for a := range node + 2 {
		for b := range node + 2 {
			for _, p := range d.ops {
				for _, q := range d.ops {
					if a != b || d.nodes == 5 {
						found[pairKey([2]DARTSEdge{{p, a}, {q, b}})] = true
					}
				}
			}
		}
	}
	return found
}

func pairKey(pair [2]DARTSEdge) string {
	keys := []string{fmt.Sprint(pair[0]), fmt.Sprint(pair[1])}
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

// Together with the uniform index that Sample draws for each node, a bijection
// from indices to distinct pairs is uniformity over distinct genotypes.
func TestDARTSEdgePairIsABijection(t *testing.T) {
	for _, nodes := range []int{4, 5} {
		d := mustDARTS(t, nodes)
		for node := range nodes {
			want := distinctPairs(d, node)
			got := make(map[string]bool)
			for i := range d.edgePairs(node) {
				key := pairKey(d.edgePair(node, i))
				if got[key] || !want[key] {
					t.Fatalf("%v node %d: pair %d = %s is repeated or impossible", d, node, i, key)
				}
				got[key] = true
			}
			if len(got) != len(want) {
				t.Errorf("%v node %d: %d pairs of %d", d, node, len(got), len(want))
			}
		}
	}
}

// Chi-square of the first and the last node's pairs over 60,000 draws, within
// five standard deviations (2 df) of its expectation.
func TestDARTSSampleIsUniform(t *testing.T) {
	const draws = 60000
	for _, nodes := range []int{4, 5} {
		d := mustDARTS(t, nodes)
		s := rng.New(7, "test", "darts")
		counts := map[int]map[string]int{0: {}, nodes - 1: {}}
		for range draws {
			g := d.Sample(s).(*Genotype)
			for node, c := range counts {
				c[pairKey([2]DARTSEdge(g.reduce.Edges[2*node:2*node+2]))]++
			}
		}
		for node, c := range counts {
			n := float64(d.edgePairs(node))
			chi := 0.0
			for key := range distinctPairs(d, node) {
				diff := float64(c[key]) - draws/n
				chi += diff * diff / (draws / n)
			}
			if math.Abs(chi-(n-1)) > 5*math.Sqrt(2*(n-1)) {
				t.Errorf("%v node %d: chi-square %.1f with %.0f degrees of freedom", d, node, chi, n-1)
			}
		}
	}
}

func TestDARTSSamplesAreInTheSpaceAndRoundTrip(t *testing.T) {
	for _, nodes := range []int{4, 5} {
		d := mustDARTS(t, nodes)
		s := rng.New(1268, "test", "round trip")
		a := d.Sample(s)
		for range 300 {
			if err := d.Contains(a); err != nil {
				t.Fatal(err)
			}
			checkGenotypeRoundTrip(t, d, a.(*Genotype))
			b := d.Mutate(a, s)
			if n := editsBetween(a.(*Genotype), b.(*Genotype)); n != 1 {
				t.Fatalf("mutation made %d edits:\n%v\n%v", n, a, b)
			}
			if a.Hash() == b.Hash() {
				t.Fatal("mutation gave the same architecture")
			}
			a = b
		}
	}
}

// editsBetween counts the fields of edges that differ.
func editsBetween(a, b *Genotype) (n int) {
	for c := range 2 {
		for i, e := range a.cells()[c].Edges {
			f := b.cells()[c].Edges[i]
			if e.Op != f.Op {
				n++
			}
			if e.Input != f.Input {
				n++
			}
		}
	}
	return n
}

func checkGenotypeRoundTrip(t *testing.T, d *DARTSSpace, g *Genotype) {
	t.Helper()
	raw, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(g.Literal())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{raw, quoted} {
		back, err := d.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if back.Hash() != g.Hash() || back.(*Genotype).Literal() != g.Literal() {
			t.Fatalf("%s came back as %s", text, back.(*Genotype).Literal())
		}
	}
}

func TestDARTSMutationReachesEveryEdge(t *testing.T) {
	for _, nodes := range []int{4, 5} {
		d := mustDARTS(t, nodes)
		s := rng.New(3, "test", "reach")
		a := d.Sample(s)
		near := make(map[string]bool)
		for _, n := range d.Neighbours(a) {
			near[n.Hash()] = true
		}
		for range 20000 {
			delete(near, d.Mutate(a, s).Hash())
		}
		if len(near) > 0 {
			t.Errorf("%v: %d neighbours were never drawn as mutations", d, len(near))
		}
	}
}

func TestDARTSNeighbours(t *testing.T) {
	// 4 nodes: 16 edges with 6 other operations; node i's two edges have i
	// free states each, in two cells.
	d := mustDARTS(t, 4)
	a := d.Sample(rng.New(1, "test"))
	if got, want := len(d.Neighbours(a)), 16*6+2*2*(0+1+2+3); got != want {
		t.Errorf("%d neighbours, want %d", got, want)
	}
	// 5 nodes: 20 edges with 4 other operations and, at node i, i+1 other
	// states; fewer where edges coincide, so count by brute force.
	d = mustDARTS(t, 5)
	for seed := range int64(20) {
		a := d.Sample(rng.New(seed, "test"))
		seen := make(map[string]bool)
		for _, n := range d.Neighbours(a) {
			if err := d.Contains(n); err != nil {
				t.Fatal(err)
			}
			if n.Hash() == a.Hash() || seen[n.Hash()] {
				t.Fatalf("neighbour %v repeated, or the architecture itself", n)
			}
			seen[n.Hash()] = true
		}
		if got, want := len(seen), distinctEdits(a.(*Genotype)); got != want {
			t.Errorf("seed %d: %d neighbours, want %d", seed, got, want)
		}
	}
}

// distinctEdits counts one-field edits of a 5-node genotype by their effect on
// the node's unordered pair.
func distinctEdits(g *Genotype) int {
	n := 0
	for _, c := range g.cells() {
		for node := range 5 {
			pair := [2]DARTSEdge(c.Edges[2*node : 2*node+2])
			effects := make(map[string]bool)
			for slot := range 2 {
				for input := range node + 2 {
					for _, op := range dartsSequenceOps {
						changed := pair
						changed[slot] = DARTSEdge{op, input}
						if (op == pair[slot].Op) != (input == pair[slot].Input) {
							effects[pairKey(changed)] = true
						}
					}
				}
			}
			n += len(effects)
		}
	}
	return n
}

func TestGenotypeHash(t *testing.T) {
	g := publishedGenotypes(t)
	// Pinned: job folders name architectures by it.
	for _, name := range []string{"DARTS", "DARTS_V2"} {
		if got := g[name].Hash(); got != "19a1822ed93a24ac9e8710e771d761a2" {
			t.Errorf("hash of %s is %s", name, got)
		}
	}
	if g["DARTS_V1"].Hash() == g["DARTS_V2"].Hash() {
		t.Error("DARTS_V1 and DARTS_V2 share a hash")
	}
	base := g["DARTS_V2"]
	for i := range 4 {
		n := base.normal.clone()
		n.Edges[2*i], n.Edges[2*i+1] = n.Edges[2*i+1], n.Edges[2*i]
		slices.Reverse(n.Concat)
		h, err := NewGenotype(n, base.reduce)
		if err != nil {
			t.Fatal(err)
		}
		if h.Hash() != base.Hash() {
			t.Errorf("swapping the edges of node %d changes the hash", i)
		}
	}
	swapped, err := NewGenotype(base.reduce, base.normal)
	if err != nil {
		t.Fatal(err)
	}
	if swapped.Hash() == base.Hash() {
		t.Error("exchanging the cells keeps the hash")
	}
}

func TestDARTSContainsPublishedGenotypes(t *testing.T) {
	four, five := mustDARTS(t, 4), mustDARTS(t, 5)
	for name, g := range publishedGenotypes(t) {
		in4, in5 := four.Contains(g), five.Contains(g)
		for _, err := range []error{in4, in5} {
			if err != nil && !errors.Is(err, ErrOutside) {
				t.Errorf("%s: %v does not wrap ErrOutside", name, err)
			}
		}
		switch policy, _, _ := strings.Cut(name, "_"); policy {
		case "darts", "DARTS":
			if in4 != nil || in5 == nil {
				t.Errorf("%s: 4 nodes: %v; 5 nodes: %v", name, in4, in5)
			}
		case "enas", "nao", "NAO", "TEST":
			if in4 == nil || in5 != nil {
				t.Errorf("%s: 4 nodes: %v; 5 nodes: %v", name, in4, in5)
			}
		case "random":
			if in4 != nil && !strings.Contains(in4.Error(), "twice") {
				t.Errorf("%s: %v", name, in4)
			}
		default: // NASNet and AmoebaNet
			if in4 == nil || in5 == nil {
				t.Errorf("%s is in a space", name)
			}
		}
	}
}

// The integer strings are the raw results of the searches.
func TestDARTSDecodePublishedSequences(t *testing.T) {
	var raw struct {
		Sequences map[string]map[string]string `json:"raw_sequences"`
		Ops       []string                     `json:"raw_op_order"`
	}
	readDARTSFixture(t, "darts_sequences.json", &raw)
	d := mustDARTS(t, 5)
	if !slices.Equal(d.Operations(), raw.Ops) {
		t.Errorf("operations %v, want %v", d.Operations(), raw.Ops)
	}
	published := publishedGenotypes(t)
	n := 0
	for policy, seeds := range raw.Sequences {
		for seed, text := range seeds {
			var seq []int
			for _, f := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("[], ", r) }) {
				i, err := strconv.Atoi(f)
				if err != nil {
					t.Fatal(err)
				}
				seq = append(seq, i)
			}
			g, err := d.Decode(seq)
			if err != nil {
				t.Errorf("%s_%s: %v", policy, seed, err)
				continue
			}
			n++
			want := published[policy+"_"+seed]
			if got := g.(*Genotype).Literal(); got != want.Literal() {
				t.Errorf("%s_%s:\n got %s\nwant %s", policy, seed, got, want.Literal())
			}
			if back, err := d.Encode(want); err != nil || !slices.Equal(back, seq) {
				t.Errorf("%s_%s is encoded as %v (%v), published as %v", policy, seed, back, err, seq)
			}
		}
	}
	if n != 20 {
		t.Errorf("%d sequences decoded, want 20", n)
	}
	if _, err := d.Decode([]int{0, 1}); err == nil || !strings.Contains(err.Error(), "takes 40") {
		t.Errorf("short sequence: %v", err)
	}
	bad := make([]int, 40)
	bad[2] = 2
	if _, err := d.Decode(bad); err == nil || !strings.Contains(err.Error(), "allowed are 0 to 1") {
		t.Errorf("forward index: %v", err)
	}
}

func TestDARTSRefusesOtherSizes(t *testing.T) {
	for _, nodes := range []int{-1, 0, 3, 6} {
		if _, err := DARTS(nodes); err == nil || !strings.Contains(err.Error(), "use 4") {
			t.Errorf("nodes=%d: %v", nodes, err)
		}
	}
}

const goodLiteral = "Genotype(normal=[('sep_conv_3x3', 1), (\"skip_connect\", 0)], normal_concat=range(2, 3), reduce=(('max_pool_3x3', 0), ('max_pool_3x3', 1),), reduce_concat=[2])"

func TestParseGenotypeBadInput(t *testing.T) {
	const tail = `, "normal_concat": [2], "reduce": [["skip_connect", 0], ["skip_connect", 1]], "reduce_concat": [2]}`
	edges := func(normal string) string { return `{"normal": ` + normal + tail }
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "nothing given"},
		{"not json", "{", "not JSON"},
		{"missing", `{"normal": []}`, "normal_concat is missing"},
		{"unknown field", strings.Replace(edges("[]"), "reduce_concat", "reduce_conat", 1), "did you mean reduce_concat"},
		{"no edges", edges("[]"), "normal has 0 edges"},
		{"odd", edges(`[["skip_connect", 0]]`), "normal has 1 edges"},
		{"unknown op", edges(`[["sepconv3x3", 0], ["skip_connect", 1]]`), "did you mean sep_conv_3x3"},
		{"far op", edges(`[["zzzzzzzz", 0], ["skip_connect", 1]]`), `unknown operation "zzzzzzzz"; allowed`},
		{"none", edges(`[["none", 0], ["skip_connect", 1]]`), "search network only"},
		{"forward", edges(`[["skip_connect", 0], ["skip_connect", 2]]`), "edge 1 (node 0): input 2 is not an earlier state; node 0 may read states 0 to 1"},
		{"negative", edges(`[["skip_connect", 0], ["skip_connect", -1]]`), "input -1"},
		{"not a pair", edges(`[["skip_connect", 0, 1], ["skip_connect", 1]]`), "is not an edge"},
		{"fraction", edges(`[["skip_connect", 0.5], ["skip_connect", 1]]`), "is not an edge"},
		{"concat range", `{"normal": [["skip_connect", 0], ["skip_connect", 1]], "normal_concat": [3], "reduce": [["skip_connect", 0], ["skip_connect", 1]], "reduce_concat": [2]}`, "normal_concat: state 3 does not exist; allowed are states 0 to 2"},
		{"concat twice", `{"normal": [["skip_connect", 0], ["skip_connect", 1]], "normal_concat": [2, 2], "reduce": [["skip_connect", 0], ["skip_connect", 1]], "reduce_concat": [2]}`, "listed twice"},
		{"concat empty", `{"normal": [["skip_connect", 0], ["skip_connect", 1]], "normal_concat": [], "reduce": [["skip_connect", 0], ["skip_connect", 1]], "reduce_concat": [2]}`, "no states"},
		{"reduce concat input", `{"normal": [["skip_connect", 0], ["skip_connect", 1]], "normal_concat": [2], "reduce": [["skip_connect", 0], ["skip_connect", 1]], "reduce_concat": [1, 2]}`, "twice the resolution"},
		{"literal name", "Genotip(normal=[])", "wanted Genotype"},
		{"literal twice", strings.Replace(goodLiteral, "reduce=", "normal=", 1), "normal is given twice"},
		{"literal keyword", strings.Replace(goodLiteral, "normal_concat", "normal_cat", 1), "did you mean normal_concat"},
		{"literal open", goodLiteral[:len(goodLiteral)-1], "wanted , or )"},
		{"literal trailing", goodLiteral + " x", "unexpected text"},
		{"literal triple", strings.Replace(goodLiteral, "', 1", "', 1, 2", 1), "not a pair"},
		{"literal unclosed", "Genotype(normal=['", "not closed"},
		{"literal swapped", strings.Replace(goodLiteral, "'sep_conv_3x3', 1", "1, 'sep_conv_3x3'", 1), "edge 0 is not a pair of an operation and a state"},
		{"literal huge range", strings.Replace(goodLiteral, "range(2, 3)", "range(0, 999999999)", 1), "longer than any cell"},
		{"literal step", strings.Replace(goodLiteral, "range(2, 3)", "range(2, 3, 0)", 1), "must be positive"},
		{"literal big int", strings.Replace(goodLiteral, "[2]", "[99999999999999999999]", 1), "wanted a list"},
		{"literal deep", "Genotype(normal=" + strings.Repeat("[", 1000), "nested too deeply"},
		{"literal positional", "Genotype([])", "keyword argument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := ParseGenotype(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want an error with %q", g, err, c.want)
			}
		})
	}
}

func TestParseGenotypeLiteralForms(t *testing.T) {
	want, err := ParseGenotype(goodLiteral)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"DARTS_V9 = " + goodLiteral + "\n",
		strings.ReplaceAll(goodLiteral, ", ", ",\n  "),
		strings.Replace(goodLiteral, "range(2, 3)", "range(2, 3, 1)", 1),
		strings.Replace(goodLiteral, "[2])", "[2,],\n)", 1),
	} {
		g, err := ParseGenotype(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if g.Hash() != want.Hash() {
			t.Errorf("%s is read as %s", text, g.Literal())
		}
	}
}

func TestDARTSParseOutside(t *testing.T) {
	d := mustDARTS(t, 4)
	raw, err := json.Marshal(publishedGenotypes(t)["NASNet"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Parse(raw); !errors.Is(err, ErrOutside) {
		t.Errorf("NASNet: %v", err)
	}
	if _, err := d.Parse(json.RawMessage("5")); err == nil || errors.Is(err, ErrOutside) {
		t.Errorf("a number: %v", err)
	}
}

// What parses is well-formed, and survives both notations.
func FuzzParseGenotype(f *testing.F) {
	f.Add(goodLiteral)
	for _, g := range publishedGenotypes(f) {
		raw, err := json.Marshal(g)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
		f.Add(g.Literal())
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseGenotype(text)
		if err != nil {
			return
		}
		raw, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		for _, again := range []string{string(raw), g.Literal()} {
			h, err := ParseGenotype(again)
			if err != nil {
				t.Fatalf("%s: %v", again, err)
			}
			if h.Hash() != g.Hash() {
				t.Fatalf("%s has another hash than %s", again, text)
			}
		}
		if g.Params() <= 0 || g.FLOPs() <= 0 {
			t.Fatalf("costs of %s: %d, %d", text, g.Params(), g.FLOPs())
		}
	})
}

func TestGenotypesKnowTheirNames(t *testing.T) {
	for _, name := range []string{"DARTS_V1", "darts_1268", "random_1277"} {
		g, err := NamedGenotype(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Name(); got != name {
			t.Errorf("%s is called %q", name, got)
		}
	}
	if got := uniformGenotype(t, "max_pool_3x3").Name(); got != "" {
		t.Errorf("a genotype of pools is called %q", got)
	}
}

// Every genotype of the 5-node form has a sequence; the 4-node form has none.
func TestDARTSEncode(t *testing.T) {
	d := mustDARTS(t, 5)
	s := rng.New(11, "test", "encode")
	for range 1000 {
		a := d.Sample(s)
		seq, err := d.Encode(a)
		if err != nil {
			t.Fatal(err)
		}
		back, err := d.Decode(seq)
		if err != nil || back.(*Genotype).Literal() != a.(*Genotype).Literal() {
			t.Fatalf("%v decodes to %v (%v), not to %v", seq, back, err, a)
		}
	}
	four := mustDARTS(t, 4)
	if _, err := d.Encode(four.Sample(s)); !errors.Is(err, ErrOutside) {
		t.Errorf("a genotype of 4 nodes: %v", err)
	}
	if _, err := four.Encode(four.Sample(s)); err == nil || !strings.Contains(err.Error(), "5-node form") {
		t.Errorf("in the 4-node form: %v", err)
	}
	if _, ok := SequencesOf(four); ok {
		t.Error("the 4-node form has sequences")
	}
	if q, ok := SequencesOf(d); !ok || q.Reachable().Cmp(d.Size()) != 0 {
		t.Error("the 5-node form has not all sequences")
	}
}
