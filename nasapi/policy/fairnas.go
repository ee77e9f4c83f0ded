package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

var fairnasInfo = &Info{
	Name:    "fairnas",
	Summary: "strictly fair: each step trains every operation of every vertex once",
	Doc: `Every step draws an architecture, uniform over the distinct ones, for its graph
alone, and for each vertex a permutation of the operations, independent of the
others. The architectures that the permutations give one after the other (3 on
NASBench-101; 7 in the DARTS space, where each edge has its permutation) are
trained in one step of the optimiser, along the sum of their gradients: each
operation of each vertex has its share of every step. A graph without vertices
is trained once. The loss of a step is the mean of theirs.

Pool, its refreshing and the choice at the end are those of SPOS. The original
paper searches the trained weights with NSGA-II instead.

as_published=True repeats a defect of the reference on NASBench-101, to see what
it is worth: the permuted operations are written into the table of
architectures, so that whatever was trained is evaluated with the operations of
its last permutation, under its own name and rank.`,
	Source: "Chu, Zhang, Xu, FairNAS, ICCV 2021 (strict fairness); NASBench-101 form of Yu et al., ICLR 2020",
	Params: append([]Param{
		{Name: "refresh", Default: 20, Min: 0, Max: 1e6, Doc: "epochs between two changes of the pool; 0 for none"},
		{Name: "as_published", Default: false, Doc: "evaluate trained architectures with the operations of their last permutation"},
	}, subspaceParams...),
	Needs:  needsGraphs,
	Shares: Must,
	build: func(c Config) Policy {
		return &fairnas{
			refresh: c.integer("refresh"), published: c.truth("as_published"),
			part: c.text("subspace"), size: c.integer("subspace_size"),
		}
	},
}

// graphs are the spaces whose architectures are graphs with one operation a place.
type graphs interface {
	space.Space
	Operations() []string
}

func needsGraphs(s space.Space) error {
	switch s.(type) {
	case *space.NASBench, *space.DARTSSpace:
		return nil
	}
	return fmt.Errorf("fairnas: %s has no vertices or edges whose operations could be permuted; nasbench101(max_vertices=2..7) and darts_space(nodes=4 or 5) have", s)
}

type fairnas struct {
	refresh   int
	published bool
	part      string
	size      int
}

func (f *fairnas) Search(ctx context.Context, p *Problem) error {
	if err := needsGraphs(p.Space); err != nil {
		return err
	}
	weights, err := p.shared("fairnas")
	if err != nil {
		return err
	}
	if _, ok := p.Space.(*space.NASBench); f.published && !ok {
		return fmt.Errorf("fairnas: as_published=True is about the table of nasbench101(...), which %s has not", p.Space)
	}
	from, err := regionOf(p.Space, f.part, f.size)
	if err != nil {
		return fmt.Errorf("fairnas: %w", err)
	}
	r := &fairnasRun{
		uniform: &uniform{p: p, name: "fairnas", from: from, refresh: f.refresh},
		ops:     p.Space.(graphs).Operations(),
	}
	r.uniform.paths = r.draw
	if f.published {
		r.written = make(map[string]space.Arch)
		r.runs = r.asWritten
	}
	r.fill(initialPool(p.Space))
	if err := weights.Train(ctx, r); err != nil {
		return err
	}
	return evaluateAll(ctx, p, r.pool)
}

// fairnasRun is the Sharer of FairNAS.
type fairnasRun struct {
	*uniform
	ops []string
	// written is, as published, what the reference's table holds by now for an
	// architecture, by the hash of what it held; nil as meant.
	written map[string]space.Arch
}

func (r *fairnasRun) draw(s *rng.Stream) ([]space.Arch, error) {
	a := r.from.draw(s)
	list, err := fairPaths(a, r.ops, s)
	if r.written != nil && err == nil {
		r.written[a.Hash()] = list[len(list)-1]
	}
	return list, err
}

func (r *fairnasRun) asWritten(a space.Arch) space.Arch {
	if w, ok := r.written[a.Hash()]; ok {
		return w
	}
	return a
}

// fairPaths are architectures of one graph, as many as there are operations, among which
// each place of the graph has each operation once. The vertices keep their order, which
// is that of the supernet's. A graph without places is itself.
func fairPaths(a space.Arch, ops []string, s *rng.Stream) ([]space.Arch, error) {
	switch a := a.(type) {
	case *space.Cell:
		return fairCells(a, ops, s)
	case *space.Genotype:
		return fairGenotypes(a, ops, s)
	}
	return nil, fmt.Errorf("%s is of the space %s, whose operations cannot be permuted", a, a.Space())
}

func fairCells(c *space.Cell, ops []string, s *rng.Stream) ([]space.Arch, error) {
	interior := c.Vertices() - 2
	if interior == 0 {
		return []space.Arch{c}, nil
	}
	perms := permutations(interior, len(ops), s)
	var list []space.Arch
	for i := range ops {
		names := c.Ops()
		for v, perm := range perms {
			names[v+1] = ops[perm[i]]
		}
		path, err := space.NewCell(c.Matrix(), names)
		if err != nil {
			return nil, err
		}
		list = append(list, path)
	}
	return list, nil
}

func fairGenotypes(g *space.Genotype, ops []string, s *rng.Stream) ([]space.Arch, error) {
	normal := permutations(len(g.Normal().Edges), len(ops), s)
	reduce := permutations(len(g.Reduce().Edges), len(ops), s)
	var list []space.Arch
	for i := range ops {
		path, err := space.NewGenotype(withOps(g.Normal(), ops, normal, i), withOps(g.Reduce(), ops, reduce, i))
		if err != nil {
			return nil, err
		}
		list = append(list, path)
	}
	return list, nil
}

// withOps is a copy of the cell whose edges have the i-th operation of their permutation.
func withOps(c space.DARTSCell, ops []string, perms [][]int, i int) space.DARTSCell {
	edges := slices.Clone(c.Edges)
	for e := range edges {
		edges[e].Op = ops[perms[e][i]]
	}
	return space.DARTSCell{Edges: edges, Concat: c.Concat}
}

func permutations(places, n int, s *rng.Stream) [][]int {
	list := make([][]int, places)
	for i := range list {
		list[i] = s.Perm(n)
	}
	return list
}

// fairnasState is the written form of a fairnasRun.
type fairnasState struct {
	Uniform json.RawMessage `json:"uniform"`
	Written []writtenArch   `json:"written,omitempty"` // in ascending order of hash
}

type writtenArch struct {
	Hash string          `json:"hash"`
	Runs json.RawMessage `json:"runs"`
}

func (r *fairnasRun) State() ([]byte, error) {
	shared, err := r.uniform.State()
	if err != nil {
		return nil, err
	}
	state := fairnasState{Uniform: shared}
	for _, hash := range slices.Sorted(maps.Keys(r.written)) {
		raw, err := r.written[hash].MarshalJSON()
		if err != nil {
			return nil, err
		}
		state.Written = append(state.Written, writtenArch{hash, raw})
	}
	return json.Marshal(state)
}

func (r *fairnasRun) Restore(state []byte) error {
	var s fairnasState
	if err := json.Unmarshal(state, &s); err != nil {
		return fmt.Errorf("fairnas: the state of the policy: %w", err)
	}
	if err := r.uniform.Restore(s.Uniform); err != nil {
		return err
	}
	for _, w := range s.Written {
		if r.written == nil {
			return fmt.Errorf("fairnas: the state is that of as_published=True, the policy is not")
		}
		a, err := r.p.Space.Parse(w.Runs)
		if err != nil {
			return fmt.Errorf("fairnas: the state of the policy: %s: %w", w.Hash, err)
		}
		r.written[w.Hash] = a
	}
	return nil
}
