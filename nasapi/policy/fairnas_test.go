package policy

import (
	"fmt"
	"slices"
	"testing"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Each operation of each vertex, or edge, comes once in every step, on one graph.
func TestFairNASIsStrictlyFair(t *testing.T) {
	for _, s := range []space.Space{nasbench(t, 4), nasbench(t, 7), darts(t, 4), darts(t, 5)} {
		f := fresh(s)
		f.epochs, f.steps = 1, 300
		share(t, "fairnas", nil, s, 1268, f)
		ops := len(s.(graphs).Operations())
		orders := make(map[string]bool)
		for _, step := range f.paths {
			graph, _ := describe(step[0])
			if graph == fmt.Sprint([][]int{{0, 1}, {0, 0}}) {
				if len(step) != 1 {
					t.Fatalf("a cell without vertices was trained %d times", len(step))
				}
				continue
			}
			if len(step) != ops {
				t.Fatalf("%s: %d paths in a step, want %d", s, len(step), ops)
			}
			used := make(map[string]int)
			for _, a := range step {
				if err := s.Contains(a); err != nil {
					t.Fatal(err)
				}
				g, names := describe(a)
				if g != graph {
					t.Fatalf("%s: one step has the graphs %s and %s", s, graph, g)
				}
				for place, name := range names {
					used[fmt.Sprint(place, name)]++
				}
				orders[fmt.Sprint(names)] = true
			}
			_, places := describe(step[0])
			if len(used) != ops*len(places) {
				t.Fatalf("%s: %d operations of %d places were trained, want %d each", s, len(used), len(places), ops)
			}
		}
		// Independent permutations: of two vertices alone all nine pairs.
		if len(orders) < 9 {
			t.Errorf("%s: only %d assignments of operations in 300 steps", s, len(orders))
		}
	}
}

// describe is an architecture's graph and the operations of its places.
func describe(a space.Arch) (graph string, ops []string) {
	switch a := a.(type) {
	case *space.Cell:
		names := a.Ops()
		return fmt.Sprint(a.Matrix()), names[1 : len(names)-1]
	case *space.Genotype:
		var inputs []int
		for _, c := range []space.DARTSCell{a.Normal(), a.Reduce()} {
			for _, e := range c.Edges {
				inputs, ops = append(inputs, e.Input), append(ops, e.Op)
			}
		}
		return fmt.Sprint(inputs, a.Normal().Concat, a.Reduce().Concat), ops
	}
	return "", nil
}

// Drawing paths leaves what it drew from as it was: the defect is in nobody's way.
func TestFairNASEvaluatesWhatItNames(t *testing.T) {
	s := nasbench(t, 4)
	for _, published := range []bool{false, true} {
		f := fresh(s)
		f.epochs, f.steps = 2, 400
		r := share(t, "fairnas", Config{"as_published": published}, s, 1268, f)
		run := f.sharer.(Substituter)
		wrong := 0
		for i, hash := range r.hashes {
			a, err := s.ByHash(hash)
			if err != nil {
				t.Fatal(err)
			}
			ran := run.Substitute(a)
			if r.values[i] != rugged(ran) {
				t.Errorf("%s has the value of something else", a)
			}
			if ran.Hash() != hash {
				wrong++
				if g, _ := describe(ran); g != fmt.Sprint(a.Matrix()) {
					t.Errorf("%s runs as %s, which is another graph", a, ran)
				}
				// The last permutation that was trained on this graph is among the
				// third paths of the steps.
				if !slices.ContainsFunc(f.trained, func(step []string) bool { return step[len(step)-1] == ran.Hash() }) {
					t.Errorf("%s runs as %s, which was not the last of any step", a, ran)
				}
			}
		}
		if published && wrong < len(r.hashes)/2 {
			t.Errorf("as published %d of %d architectures run as others: most should (800 steps, 91 cells)", wrong, len(r.hashes))
		}
		if !published && wrong != 0 {
			t.Errorf("%d architectures run as others", wrong)
		}
	}
}

// As published, what was drawn runs as the last of the paths that were made of it.
func TestFairNASWritesTheLastPermutation(t *testing.T) {
	s := nasbench(t, 5)
	from, err := regionOf(s, wholeSpace, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &fairnasRun{uniform: &uniform{from: from}, ops: s.Operations(), written: make(map[string]space.Arch)}
	for seed := range int64(50) {
		paths, err := r.draw(rng.New(seed, "paths"))
		if err != nil {
			t.Fatal(err)
		}
		drawn := from.draw(rng.New(seed, "paths"))
		if got, last := r.asWritten(drawn), paths[len(paths)-1]; got.Hash() != last.Hash() {
			t.Errorf("%s runs as %s, the last of its paths is %s", drawn, got, last)
		}
	}
}

// What the reference's table holds by then survives a kill too.
func TestFairNASAsPublishedResumes(t *testing.T) {
	s := nasbench(t, 4)
	cfg := Config{"as_published": true, "refresh": 1}
	whole := fresh(s)
	want := share(t, "fairnas", cfg, s, 7, whole)
	first, second := fresh(s), fresh(s)
	first.stopAt = 13
	share(t, "fairnas", cfg, s, 7, first)
	second.from = first.kept
	got := share(t, "fairnas", cfg, s, 7, second)
	if !slices.Equal(got.hashes, want.hashes) || !slices.Equal(got.values, want.values) {
		t.Error("a resumed search evaluated other architectures")
	}
}
