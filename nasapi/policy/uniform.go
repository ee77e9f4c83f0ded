package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// maxPool is the number of architectures that the pools of the reference hold at most.
const maxPool = 200

// turnover is how many of a pool its refreshing adds, and drops once the pool is full.
const turnover = 20

// initialPool is how many architectures the pools of SPOS and FairNAS begin with: 40 for
// each interior vertex of NASBench-101 beyond the first, and as many as for the largest
// of its spaces in any other.
func initialPool(s space.Space) int {
	if n, ok := s.(*space.NASBench); ok {
		return 40 * max(n.MaxVertices()-3, 1)
	}
	return 160
}

// uniform trains shared weights along architectures that nothing which was learnt has an
// influence on, and chooses from a pool of random ones: what SPOS, FairNAS and random
// search with shared weights have in common. It is their Sharer.
type uniform struct {
	p    *Problem
	name string // of the policy and so of its streams
	from *region
	// paths draws what one step trains.
	paths func(*rng.Stream) ([]space.Arch, error)
	// runs is the architecture that is evaluated where a is asked for; nil for a itself.
	runs    func(a space.Arch) space.Arch
	refresh int // epochs after which the pool changes; 0 for never
	pool    []space.Arch
}

// fill draws an initial pool of so many architectures, or of all where there are fewer.
func (u *uniform) fill(size int) {
	u.pool = u.from.more(nil, nil, size, u.p.Rand(u.name, "pool"))
}

func (u *uniform) Step(_ context.Context, w Supernet, at Moment) error {
	paths, err := u.paths(u.p.RandAt(u.name, "path", at))
	if err != nil {
		return fmt.Errorf("%s: %w", u.name, err)
	}
	_, err = w.TrainPaths(paths...)
	return err
}

// EndEpoch refreshes the pool where it is time, but not after the last epoch: what would
// come in then was never compared with anything.
func (u *uniform) EndEpoch(ctx context.Context, w Supernet, at Moment) error {
	done := at.Epoch + 1
	if u.refresh == 0 || done%u.refresh != 0 || done >= at.Epochs {
		return nil
	}
	ranked, err := u.rank(ctx, w, (done/u.refresh-1)%w.ValidBatches())
	if err != nil {
		return err
	}
	// As many go as are needed to let 20 others in: none while there is room. Those that
	// go do not come back at once.
	stay := min(len(ranked), maxPool-min(turnover, u.from.size-len(ranked)))
	u.pool = u.from.more(ranked[:stay:stay], ranked[stay:], min(stay+turnover, maxPool), u.p.RandAt(u.name, "refresh", at))
	u.p.log("pool", map[string]float64{
		"epoch": float64(at.Epoch), "size": float64(len(u.pool)), "dropped": float64(len(ranked) - stay),
	})
	return nil
}

// rank orders the pool by one batch of validation images, the best first.
func (u *uniform) rank(ctx context.Context, w Supernet, batch int) ([]space.Arch, error) {
	type ranked struct {
		arch space.Arch
		got  Accuracy
	}
	list := make([]ranked, len(u.pool))
	for i, a := range u.pool {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := w.Validate(a, batch)
		if err != nil {
			return nil, err
		}
		list[i] = ranked{a, got}
	}
	slices.SortStableFunc(list, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.got.Share(), a.got.Share()), cmp.Compare(a.got.Loss, b.got.Loss), cmp.Compare(a.arch.Hash(), b.arch.Hash()))
	})
	archs := make([]space.Arch, len(list))
	for i, r := range list {
		archs[i] = r.arch
	}
	return archs, nil
}

func (u *uniform) Pool() []space.Arch { return slices.Clone(u.pool) }

// Substitute is a itself but for FairNAS as published.
func (u *uniform) Substitute(a space.Arch) space.Arch {
	if u.runs == nil {
		return a
	}
	return u.runs(a)
}

// uniformState is the written form of a uniform: all draws are those of a moment.
type uniformState struct {
	Pool []space.Arch `json:"pool"`
}

func (u *uniform) State() ([]byte, error) { return json.Marshal(uniformState{u.pool}) }

func (u *uniform) Restore(state []byte) error {
	var s struct {
		Pool []json.RawMessage `json:"pool"`
	}
	if err := json.Unmarshal(state, &s); err != nil {
		return fmt.Errorf("%s: the state of the policy: %w", u.name, err)
	}
	pool, err := parseAll(u.p.Space, s.Pool)
	if err != nil {
		return fmt.Errorf("%s: the state of the policy: %w", u.name, err)
	}
	u.pool = pool
	return nil
}

func parseAll(s space.Space, raw []json.RawMessage) ([]space.Arch, error) {
	var list []space.Arch
	for i, r := range raw {
		a, err := s.Parse(r)
		if err != nil {
			return nil, fmt.Errorf("architecture %d: %w", i, err)
		}
		list = append(list, a)
	}
	return list, nil
}

// evaluateAll asks for the value of each; the best is for who evaluates to keep.
func evaluateAll(ctx context.Context, p *Problem, archs []space.Arch) error {
	for _, a := range archs {
		if _, err := evaluate(ctx, p, a); err != nil {
			return err
		}
	}
	return nil
}

// region is the part of a space that is trained and pooled.
type region struct {
	space space.Space
	only  []space.Arch // nil for the whole space
	size  int          // distinct architectures, at most MaxInt
}

// The sub-spaces of the reference.
const (
	wholeSpace      = "all"
	linearSpace     = "linear"
	randomSpace     = "random"
	influenceSpace  = "ws_influence"
	subspaceDoc     = "part of NASBench-101 that is trained and pooled: all of it, the chains of all vertices (linear), random architectures, or chains whose last vertex is fed by each earlier one in turn (ws_influence)"
	subspaceSizeDoc = "architectures of subspace=\"random\"; every seed has the same ones"
)

var subspaceParams = []Param{
	{Name: "subspace", Default: wholeSpace, Options: []string{wholeSpace, linearSpace, randomSpace, influenceSpace}, Doc: subspaceDoc},
	{Name: "subspace_size", Default: 10, Min: 1, Max: 1e6, Doc: subspaceSizeDoc},
}

// regionOf is the part of s that the keywords of subspaceParams name.
func regionOf(s space.Space, part string, size int) (*region, error) {
	r := &region{space: s, size: math.MaxInt}
	if all := s.Size(); all.IsInt64() && all.Int64() < math.MaxInt {
		r.size = int(all.Int64())
	}
	if part == wholeSpace {
		return r, nil
	}
	n, ok := s.(*space.NASBench)
	if !ok || n.MaxVertices() < 3 {
		return nil, fmt.Errorf("subspace=%q of %s: nasbench101(max_vertices=3..7) has sub-spaces; use subspace=%q", part, s, wholeSpace)
	}
	interior := n.MaxVertices() - 2
	var err error
	switch part {
	case linearSpace:
		r.only, err = chains(n, interior-1)
	case influenceSpace:
		for from := 0; from < interior && err == nil; from++ {
			var group []space.Arch
			group, err = chains(n, from)
			r.only = append(r.only, group...)
		}
	case randomSpace:
		for _, i := range rng.New(0, "subspace", n.String()).Sample(n.Len(), min(size, n.Len())) {
			r.only = append(r.only, n.At(i))
		}
	}
	if err != nil {
		return nil, err
	}
	r.only = distinct(r.only)
	r.size = len(r.only)
	return r, nil
}

// chains are the cells of all interior vertices in a row but the last, which vertex from
// feeds (0 is the input), with all operations. What feeds no vertex feeds the output.
func chains(n *space.NASBench, from int) ([]space.Arch, error) {
	seq := make([]int, len(n.Choices()))
	for v := 0; v < len(seq); v += 2 {
		seq[v] = v / 2
	}
	seq[len(seq)-2] = from
	var list []space.Arch
	for {
		a, err := n.Decode(seq)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
		v := len(seq) - 1
		for ; v >= 0 && seq[v] == len(n.Operations())-1; v -= 2 {
			seq[v] = 0
		}
		if v < 0 {
			return list, nil
		}
		seq[v]++
	}
}

// distinct keeps the first architecture of each hash.
func distinct(list []space.Arch) []space.Arch {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(a space.Arch) bool {
		was := seen[a.Hash()]
		seen[a.Hash()] = true
		return was
	})
}

// draw is uniform over the distinct architectures.
func (r *region) draw(s *rng.Stream) space.Arch {
	if r.only == nil {
		return r.space.Sample(s)
	}
	return r.only[s.IntN(len(r.only))]
}

// more appends random architectures that are neither in list nor in not until it has so
// many, or until there are no others.
func (r *region) more(list, not []space.Arch, size int, s *rng.Stream) []space.Arch {
	seen := make(map[string]bool)
	for _, a := range slices.Concat(list, not) {
		seen[a.Hash()] = true
	}
	for len(list) < size && len(seen) < r.size {
		if a := r.draw(s); !seen[a.Hash()] {
			seen[a.Hash()] = true
			list = append(list, a)
		}
	}
	return list
}
