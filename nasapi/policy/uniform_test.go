package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// An architecture that is clearly best wins wherever it comes into the pool.
func TestPoolFindsTheBest(t *testing.T) {
	s := nasbench(t, 4)
	best := s.At(33).Hash()
	for _, c := range []struct {
		policy string
		cfg    Config
	}{
		{"spos", Config{"refresh": 1}}, {"spos", Config{"paths": "choices", "refresh": 1}}, {"spos", Config{"selection": "evolution"}},
		{"fairnas", Config{"refresh": 1}}, {"random", nil},
	} {
		f := fresh(s)
		f.share = func(a space.Arch) float64 {
			if a.Hash() == best {
				return .9
			}
			return rugged(a) / 2
		}
		r := share(t, c.policy, c.cfg, s, 5, f)
		if r.arch.Hash() != best {
			t.Errorf("%s %v chose %s with %v of %d, not the one with .9", c.policy, c.cfg, r.arch, r.best, len(r.values))
		}
		slices.Sort(r.hashes)
		if n := len(slices.Compact(slices.Clone(r.hashes))); n != len(r.hashes) {
			t.Errorf("%s %v evaluated %d architectures %d times", c.policy, c.cfg, n, len(r.hashes))
		}
	}
}

func TestPathsAreUniform(t *testing.T) {
	s := nasbench(t, 4)
	for _, name := range []string{"spos", "random"} {
		f := fresh(s)
		f.epochs, f.steps = 20, 1000
		share(t, name, nil, s, 1268, f)
		counts := make([]float64, s.Len())
		for _, step := range f.paths {
			if len(step) != 1 {
				t.Fatalf("%s trained %d paths in a step", name, len(step))
			}
			i, _ := s.Index(step[0])
			counts[i]++
		}
		if p := chiSquareP(counts); len(counts) != 91 || p < 1e-3 || p > 1-1e-3 {
			t.Errorf("%s: paths over %d architectures: chi-square p = %g", name, len(counts), p)
		}
	}
}

// With paths="choices" the cells of nasbench101(max_vertices=4) have the weights that
// the 2^6 graphs of four vertices, with 3^2 operations, give them.
func TestPathsOverChoices(t *testing.T) {
	s := nasbench(t, 4)
	weight, total := make([]float64, s.Len()), 0.0
	for bits := range 1 << 6 {
		for ops := range 9 {
			matrix, bit := make([][]int, 4), 0
			for x := range matrix {
				matrix[x] = make([]int, 4)
				for y := x + 1; y < 4; y++ {
					matrix[x][y] = bits >> bit & 1
					bit++
				}
			}
			names := s.Operations()
			c, err := space.NewCell(matrix, []string{"input", names[ops%3], names[ops/3], "output"})
			if err != nil {
				continue
			}
			i, ok := s.Index(c)
			if !ok {
				t.Fatalf("%s has at most six edges and is not in %s", c, s)
			}
			weight[i]++
			total++
		}
	}
	f := fresh(s)
	f.epochs, f.steps = 20, 1000
	share(t, "spos", Config{"paths": "choices"}, s, 1268, f)
	counts := make([]float64, s.Len())
	for _, step := range f.paths {
		i, _ := s.Index(step[0])
		counts[i]++
	}
	// Cells come on average 220 times: a cell whose rate is off by a third shows.
	for i, c := range counts {
		want := weight[i] / total * 20_000
		if d := c - want; d*d > 25*want {
			t.Errorf("%s came %g times, want %g", s.At(i), c, want)
		}
	}
}

func TestPoolSizes(t *testing.T) {
	for _, c := range []struct {
		policy string
		s      space.Space
		cfg    Config
		want   []int // after each epoch but the last
	}{
		// Section 2.5 of the audit: 40, 80, 120, 160 of 91, 2,532 and so on.
		{"spos", nasbench(t, 4), nil, []int{40, 40, 40}},
		{"spos", nasbench(t, 5), nil, []int{80}},
		{"spos", nasbench(t, 6), nil, []int{120}},
		{"fairnas", nasbench(t, 7), nil, []int{160}},
		{"spos", darts(t, 4), nil, []int{160}},
		{"spos", nasbench(t, 3), nil, []int{7}},
		{"spos", nasbench(t, 2), nil, []int{1}},
		{"spos", nasbench(t, 4), Config{"refresh": 1}, []int{60, 80, 91, 91}},
		{"fairnas", nasbench(t, 7), Config{"refresh": 2}, []int{160, 180, 180, 200, 200, 200}},
		{"random", nasbench(t, 7), nil, []int{200, 200}},
		{"random", nasbench(t, 4), nil, []int{91, 91}},
		{"spos", nasbench(t, 7), Config{"subspace": "random", "refresh": 1}, []int{10, 10}},
		{"spos", nasbench(t, 7), Config{"subspace": "random", "subspace_size": 210, "refresh": 1}, []int{180, 200, 200, 200}},
	} {
		f := fresh(c.s)
		f.epochs, f.steps = len(c.want)+1, 1
		r := share(t, c.policy, c.cfg, c.s, 1, f)
		for epoch, want := range append(c.want, c.want[len(c.want)-1]) {
			pool := slices.Sorted(slices.Values(f.pools[epoch]))
			if len(pool) != want || len(slices.Compact(pool)) != want {
				t.Errorf("%s %v on %s: %d in the pool after epoch %d, want %d different ones", c.policy, c.cfg, c.s, len(pool), epoch, want)
			}
		}
		if !slices.Equal(r.hashes, f.pools[len(c.want)]) {
			t.Errorf("%s %v on %s: not the last pool was evaluated", c.policy, c.cfg, c.s)
		}
	}
}

// A full pool loses the 20 worst on one batch and gets 20 that it did not have.
func TestRefreshDropsTheWorst(t *testing.T) {
	s := nasbench(t, 7)
	f := fresh(s)
	f.epochs = 8
	share(t, "spos", Config{"refresh": 1}, s, 1268, f)
	value := func(hash string) float64 {
		a, err := s.ByHash(hash)
		if err != nil {
			t.Fatal(err)
		}
		return float64(int(1000*rugged(a))) / 1000
	}
	looks := f.looked
	for epoch := 3; epoch < 7; epoch++ {
		before, after := f.pools[epoch-1], f.pools[epoch]
		var left []float64
		stayed := 0.0
		for _, h := range before {
			if slices.Contains(after, h) {
				stayed++
			} else {
				left = append(left, value(h))
			}
		}
		if len(left) != 20 || stayed != 180 {
			t.Fatalf("epoch %d: %d of %d left the pool, want 20 of 200", epoch, len(left), len(before))
		}
		for _, h := range after[:180] {
			if value(h) < slices.Max(left) {
				t.Errorf("epoch %d: %g stayed and %g left", epoch, value(h), slices.Max(left))
			}
		}
	}
	// 160, 180, 200 and then 200 at a time, on one batch each, the next each time.
	for epoch, n := range []int{160, 180, 200, 200, 200, 200, 200} {
		for _, l := range looks[:n] {
			if l.batch != epoch%fakeValidBatches {
				t.Fatalf("epoch %d looked at batch %d", epoch, l.batch)
			}
		}
		looks = looks[n:]
	}
	if len(looks) != 0 {
		t.Errorf("%d validations too many: the last epoch has none", len(looks))
	}
}

// Where only ten others are left, ten go, and those that go do not come back at once.
func TestRefreshOfAlmostAll(t *testing.T) {
	s := nasbench(t, 7)
	f := fresh(s)
	f.epochs = 8
	share(t, "spos", Config{"refresh": 1, "subspace": "random", "subspace_size": 210}, s, 1268, f)
	for epoch := 3; epoch < 7; epoch++ {
		before, after := f.pools[epoch-1], f.pools[epoch]
		left := 0
		for _, h := range before {
			if !slices.Contains(after, h) {
				left++
			}
		}
		if left != 10 || len(after) != 200 {
			t.Errorf("epoch %d: %d of %d left, want 10 of 200", epoch, left, len(before))
		}
	}
}

func TestSubspaces(t *testing.T) {
	for _, c := range []struct {
		vertices int
		part     string
		want     int
	}{
		{4, "linear", 9}, {7, "linear", 243}, {3, "linear", 3}, // 3^n (section 3.3 of the audit)
		// Last vertex on the input: two in parallel, unordered (6); on the first: 9.
		{4, "ws_influence", 15},
		{4, "random", 10}, {3, "random", 7}, {7, "random", 10},
	} {
		s := nasbench(t, c.vertices)
		r, err := regionOf(s, c.part, 10)
		if err != nil {
			t.Fatal(err)
		}
		if r.size != c.want || len(r.only) != c.want {
			t.Errorf("%s of %s has %d architectures, want %d", c.part, s, r.size, c.want)
		}
		for _, a := range r.only {
			cell := a.(*space.Cell)
			if err := s.Contains(a); err != nil {
				t.Error(err)
			}
			if c.part == "linear" && (cell.Vertices() != c.vertices || cell.Edges() != c.vertices-1) {
				t.Errorf("%s is no chain of %d vertices", cell, c.vertices)
			}
		}
	}
	s := nasbench(t, 5)
	r, err := regionOf(s, "ws_influence", 0)
	if err != nil {
		t.Fatal(err)
	}
	// Chain of two and a third on the input (27), on the first (18: two in parallel
	// behind it have no order), on the second (27).
	if r.size != 27+18+27 {
		t.Errorf("ws_influence of %s has %d architectures, want 72", s, r.size)
	}
	for _, name := range []string{"spos", "fairnas", "random"} {
		f := fresh(s)
		got := share(t, name, Config{"subspace": "random"}, s, 1268, f)
		other := share(t, name, Config{"subspace": "random"}, s, 1269, fresh(s))
		slices.Sort(got.hashes)
		slices.Sort(other.hashes)
		if len(got.hashes) != 10 || !slices.Equal(got.hashes, other.hashes) {
			t.Errorf("%s: the ten architectures of two seeds are %v and %v", name, got.hashes, other.hashes)
		}
		for _, step := range f.trained {
			if name != "fairnas" && !slices.Contains(got.hashes, step[0]) {
				t.Errorf("%s trained %s, which is not among the ten", name, step[0])
			}
		}
	}
}

func TestUniformRefuses(t *testing.T) {
	for _, c := range []struct {
		policy string
		cfg    Config
		s      space.Space
		shares bool
		want   string
	}{
		{"random", Config{"subspace": "linear"}, nasbench(t, 4), false, `the objective has none: use subspace="all"`},
		{"spos", Config{"subspace": "linear"}, darts(t, 4), true, "nasbench101(max_vertices=3..7) has sub-spaces"},
		{"spos", Config{"subspace": "linear"}, nasbench(t, 2), true, "nasbench101(max_vertices=3..7) has sub-spaces"},
		{"fairnas", nil, fakeSpace{nodes: 2, ops: 3}, true, "fairnas: fake_space(nodes=2) has no vertices"},
		{"fairnas", Config{"as_published": true}, darts(t, 4), true, "as_published=True is about the table"},
		{"spos", Config{"selection": "evolution"}, plainSpace{nasbench(t, 4)}, true, "has no mutation"},
	} {
		info, err := Lookup(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		pol, err := info.New(c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		p, r := problem(c.s, 1, 10, rugged)
		if c.shares {
			p.Weights = fresh(c.s)
		}
		if err := pol.Search(context.Background(), p); err == nil || !strings.Contains(err.Error(), c.want) || len(r.values) != 0 {
			t.Errorf("%s %v on %s: error %v, want %q", c.policy, c.cfg, c.s, err, c.want)
		}
	}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{"parents": 60}, "parents=60 are more than the population=50"},
		{Config{"paths": "choices", "subspace": "linear"}, `paths="choices" leaves subspace="linear"`},
		{Config{"selection": "evolution", "subspace": "linear"}, `selection="evolution" leaves subspace="linear"`},
	} {
		if _, err := sposInfo.New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("spos %v: error %v, want %q", c.cfg, err, c.want)
		}
	}
}

// Evolution over a smooth landscape beats as many uniform draws, in both spaces; its
// generations hold what the paper says, without an architecture twice.
func TestSPOSEvolution(t *testing.T) {
	for _, s := range []space.Space{nasbench(t, 7), darts(t, 4)} {
		// Parameters, brought to 0..1.
		score := func(a space.Arch) float64 { return float64(a.Params()) / 1e8 }
		f := fresh(s)
		f.share = score
		r := share(t, "spos", Config{"selection": "evolution", "generations": 10}, s, 3, f)
		if len(r.values) != 500 {
			t.Errorf("%s: %d evaluations, want 10 generations of 50", s, len(r.values))
		}
		draws, best := rng.New(3, "test"), 0.0
		for range 500 {
			best = max(best, score(s.Sample(draws)))
		}
		if r.best <= best {
			t.Errorf("%s: evolution found %g, uniform draws %g", s, r.best, best)
		}
		slices.Sort(r.hashes)
		if len(slices.Compact(r.hashes)) != 500 {
			t.Errorf("%s: some architecture was evaluated twice", s)
		}
	}
	// A space that is used up ends it.
	s := nasbench(t, 4)
	if r := share(t, "spos", Config{"selection": "evolution"}, s, 3, fresh(s)); len(r.values) != 91 {
		t.Errorf("%d evaluations of 91 cells", len(r.values))
	}
}

// A mutation changes one edge at least, and each with probability 0.1: a change that is
// undone or overwritten by a later one is rare.
func TestMutationOfGenotypes(t *testing.T) {
	s := darts(t, 4)
	x := s.Sample(rng.New(1, "parent")).(*space.Genotype)
	b := &brood{whole: &region{space: s}, mutator: s, s: rng.New(2, "mutation"), parents: []member{{x, 1}}}
	changed, same := 0, 0
	const n = 2000
	for range n {
		child := b.mutation().(*space.Genotype)
		if child.Hash() == x.Hash() {
			same++
		}
		for i := range 8 {
			if child.Normal().Edges[i] != x.Normal().Edges[i] {
				changed++
			}
			if child.Reduce().Edges[i] != x.Reduce().Edges[i] {
				changed++
			}
		}
	}
	// 1.6 changes, and 1 instead of none in .9^16 = 18.5 % of the children.
	if mean := float64(changed) / n; mean < 1.6 || mean > 1.85 || same > n/50 {
		t.Errorf("%.3g edges change in the mean, %d of %d children are as before", mean, same, n)
	}
}

func TestCrossoverTakesNodesOfEitherParent(t *testing.T) {
	s, draws := darts(t, 4), rng.New(1, "parents")
	x, y := s.Sample(draws), s.Sample(draws)
	b := &brood{whole: &region{space: s}, mutator: s, s: rng.New(2, "crossover"), parents: []member{{x, 1}, {y, 0}}}
	mixed := 0
	for range 100 {
		child := b.crossover().(*space.Genotype)
		if err := s.Contains(child); err != nil {
			t.Fatal(err)
		}
		for node := range 4 {
			pair := func(a space.Arch) string { return fmt.Sprint(a.(*space.Genotype).Normal().Edges[2*node : 2*node+2]) }
			if p := pair(child); p != pair(x) && p != pair(y) {
				t.Fatalf("node %d of a child is %s, its parents have %s and %s", node, p, pair(x), pair(y))
			}
		}
		if child.Hash() != x.Hash() && child.Hash() != y.Hash() {
			mixed++
		}
	}
	if mixed < 30 {
		t.Errorf("%d of 100 children differ from both parents", mixed)
	}
}
