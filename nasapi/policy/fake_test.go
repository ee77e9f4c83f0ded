package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// fakeSpace is a small space with every ability: an architecture is a sequence
// of (index, operation) pairs, one pair a node, and every sequence is its own
// architecture unless the predicate outside refuses it.
type fakeSpace struct {
	nodes, ops int
	outside    func(seq []int) bool // nil: nothing is outside
}

type fakeArch []int

func (a fakeArch) Hash() string                 { return fmt.Sprint([]int(a)) }
func (a fakeArch) Space() string                { return "fake" }
func (a fakeArch) Params() int64                { return a.sum() }
func (a fakeArch) FLOPs() int64                 { return 2 * a.sum() }
func (a fakeArch) String() string               { return "fake" + a.Hash() }
func (a fakeArch) MarshalJSON() ([]byte, error) { return json.Marshal([]int(a)) }

func (a fakeArch) sum() (n int64) {
	for i, v := range a {
		n += int64((i + 1) * v)
	}
	return n
}

func (f fakeSpace) Spec() space.Spec { return space.Spec{Name: "fake", Nodes: f.nodes} }
func (f fakeSpace) String() string   { return fmt.Sprintf("fake_space(nodes=%d)", f.nodes) }
func (f fakeSpace) Measure() string  { return "sequences" }

func (f fakeSpace) Size() *big.Int {
	if f.outside != nil {
		return big.NewInt(int64(len(f.all())))
	}
	n := int64(1)
	for _, c := range f.Choices() {
		n *= int64(c.N)
	}
	return big.NewInt(n)
}

func (f fakeSpace) all() []space.Arch {
	var list []space.Arch
	seq := make([]int, 2*f.nodes)
	for {
		if f.outside == nil || !f.outside(seq) {
			list = append(list, append(fakeArch(nil), seq...))
		}
		i := 0
		for _, c := range f.Choices() {
			if seq[i]++; seq[i] < c.N {
				break
			}
			seq[i] = 0
			i++
		}
		if i == len(seq) {
			return list
		}
	}
}

func (f fakeSpace) Sample(s *rng.Stream) space.Arch {
	for {
		a := make(fakeArch, 0, 2*f.nodes)
		for _, c := range f.Choices() {
			a = append(a, s.IntN(c.N))
		}
		if f.Contains(a) == nil {
			return a
		}
	}
}

func (f fakeSpace) Parse(raw json.RawMessage) (space.Arch, error) {
	var a fakeArch
	if err := json.Unmarshal(raw, (*[]int)(&a)); err != nil {
		return nil, err
	}
	return a, f.Contains(a)
}

func (f fakeSpace) Contains(a space.Arch) error {
	if f.outside != nil && f.outside(a.(fakeArch)) {
		return fmt.Errorf("%s is %w", a, space.ErrOutside)
	}
	return nil
}

func (f fakeSpace) Mutate(a space.Arch, s *rng.Stream) space.Arch {
	near := f.Neighbours(a)
	return near[s.IntN(len(near))]
}

func (f fakeSpace) Neighbours(a space.Arch) []space.Arch {
	var near []space.Arch
	for i, c := range f.Choices() {
		for v := range c.N {
			b := append(fakeArch(nil), a.(fakeArch)...)
			b[i] = v
			if v != a.(fakeArch)[i] && f.Contains(b) == nil {
				near = append(near, b)
			}
		}
	}
	return near
}

func (f fakeSpace) Choices() []space.Choice {
	var list []space.Choice
	for i := range f.nodes {
		list = append(list, space.Choice{Node: i, Index: true, N: i + 1}, space.Choice{Node: i, N: f.ops})
	}
	return list
}

func (f fakeSpace) Operations() []string {
	return []string{"conv3x3", "conv1x1", "maxpool", "skip", "avgpool"}[:f.ops]
}

func (f fakeSpace) Decode(seq []int) (space.Arch, error) {
	a := append(fakeArch(nil), seq...)
	return a, f.Contains(a)
}

func (f fakeSpace) Encode(a space.Arch) ([]int, error) {
	return slices.Clone(a.(fakeArch)), f.Contains(a)
}

func (f fakeSpace) Reachable() *big.Int { return big.NewInt(int64(len(f.all()))) }

var (
	_ space.Mutator       = fakeSpace{}
	_ space.Neighbourhood = fakeSpace{}
	_ space.Sequences     = fakeSpace{}
)

// plainSpace hides every optional ability of the space that it holds.
type plainSpace struct{ space.Space }

// run is what one search did: the architectures evaluated, in order.
type run struct {
	hashes []string
	values []float64
	best   float64
	arch   space.Arch
	events []string
	err    error
}

// problem returns a Problem that counts its budget as a job does and the run
// that it fills.
func problem(s space.Space, seed int64, budget int, objective func(space.Arch) float64) (*Problem, *run) {
	r := new(run)
	p := &Problem{Space: s, Budget: budget, Seed: seed}
	p.Evaluate = func(a space.Arch) (float64, error) {
		if len(r.values) == budget {
			return 0, ErrBudget
		}
		v := objective(a)
		if len(r.values) == 0 || v > r.best {
			r.best, r.arch = v, a
		}
		r.hashes = append(r.hashes, a.Hash())
		r.values = append(r.values, v)
		return v, nil
	}
	withEpochs(p)
	p.Log = func(event string, values map[string]float64) {
		r.events = append(r.events, fmt.Sprint(event, values))
	}
	return p, r
}

// withEpochs gives a problem numbers of epochs that change nothing of its values.
func withEpochs(p *Problem) {
	p.Fidelities = []int{4, 12, 36}
	p.EvaluateAt = func(a space.Arch, _ int) (float64, error) { return p.Evaluate(a) }
}

func search(t testing.TB, name string, cfg Config, p *Problem, r *run) *run {
	t.Helper()
	info, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := info.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.err = pol.Search(context.Background(), p)
	if r.err != nil && !errors.Is(r.err, ErrBudget) {
		t.Fatalf("%s: %v", name, r.err)
	}
	return r
}

func params(a space.Arch) float64 { return float64(a.Params()) }
