package policy

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// flatSpace is a space of operations only: the number of options of each of its choices.
// They differ, and no choice is an index.
type flatSpace []int

func (f flatSpace) Spec() space.Spec { return space.Spec{Name: "flat"} }
func (f flatSpace) String() string   { return fmt.Sprintf("flat_space(%v)", []int(f)) }
func (f flatSpace) Measure() string  { return "choices" }

func (f flatSpace) Size() *big.Int {
	n := int64(1)
	for _, c := range f {
		n *= int64(c)
	}
	return big.NewInt(n)
}

func (f flatSpace) Sample(s *rng.Stream) space.Arch {
	a := make(fakeArch, len(f))
	for i, n := range f {
		a[i] = s.IntN(n)
	}
	return a
}

func (f flatSpace) Parse(raw json.RawMessage) (space.Arch, error) {
	var a fakeArch
	return a, json.Unmarshal(raw, (*[]int)(&a))
}

func (f flatSpace) Contains(space.Arch) error { return nil }

func (f flatSpace) Mutate(a space.Arch, s *rng.Stream) space.Arch {
	near := f.Neighbours(a)
	return near[s.IntN(len(near))]
}

func (f flatSpace) Neighbours(a space.Arch) []space.Arch {
	var near []space.Arch
	for i, n := range f {
		for v := range n {
			if v != a.(fakeArch)[i] {
				b := slices.Clone(a.(fakeArch))
				b[i] = v
				near = append(near, b)
			}
		}
	}
	return near
}

func (f flatSpace) Choices() []space.Choice {
	var list []space.Choice
	first := 0
	for i, n := range f {
		list = append(list, space.Choice{Node: i, N: n, First: first})
		first += n
	}
	return list
}

func (f flatSpace) Operations() []string {
	var names []string
	for i, n := range f {
		for v := range n {
			names = append(names, fmt.Sprintf("choice%d=%d", i, v))
		}
	}
	return names
}

func (f flatSpace) Decode(seq []int) (space.Arch, error) { return slices.Clone(fakeArch(seq)), nil }
func (f flatSpace) Encode(a space.Arch) ([]int, error)   { return slices.Clone(a.(fakeArch)), nil }
func (f flatSpace) Reachable() *big.Int                  { return f.Size() }

var (
	_ space.Mutator       = flatSpace{}
	_ space.Neighbourhood = flatSpace{}
	_ space.Sequences     = flatSpace{}
)
