package policy

import (
	"cmp"
	"context"
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

const (
	// sposMutation is the chance of each choice to change (Guo et al., section 3.3).
	sposMutation = 0.1
	// sposAttempts is how many draws a child may take on average until it is one that
	// was not evaluated before, as in the authors' code.
	sposAttempts = 10
)

// pathEvolution is how SPOS searches with trained weights.
type pathEvolution struct{ population, generations, parents int }

func (e *pathEvolution) search(ctx context.Context, p *Problem) error {
	whole, err := regionOf(p.Space, wholeSpace, 0)
	if err != nil {
		return err
	}
	b := &brood{whole: whole, mutator: p.Space.(space.Mutator), s: p.Rand("spos", "evolution"), seen: make(map[string]bool)}
	for range e.generations {
		for _, a := range b.children(e.population) {
			v, err := evaluate(ctx, p, a)
			if err != nil {
				return err
			}
			b.parents = append(b.parents, member{a, v})
		}
		slices.SortStableFunc(b.parents, func(x, y member) int { return cmp.Compare(y.value, x.value) })
		b.parents = b.parents[:min(e.parents, len(b.parents))]
	}
	return nil
}

// brood makes generation after generation of architectures that no earlier one had.
type brood struct {
	whole   *region
	mutator space.Mutator
	s       *rng.Stream
	parents []member // the best of all generations, the best first
	seen    map[string]bool
	next    []space.Arch
}

// children is the next generation, smaller only where the space has no more. Uniform
// draws are the first, and stand in for what the parents did not have in them.
func (b *brood) children(population int) []space.Arch {
	b.next = nil
	if len(b.parents) > 0 {
		half := population / 2
		b.breed(half, b.crossover)
		b.breed(population, b.mutation)
	}
	for len(b.next) < population && len(b.seen) < b.whole.size {
		b.add(b.whole.draw(b.s))
	}
	return b.next
}

// breed calls make until there are size children, or too many calls gave known ones.
func (b *brood) breed(size int, make func() space.Arch) {
	for range sposAttempts * (size - len(b.next)) {
		if len(b.next) == size {
			return
		}
		a := make()
		if a == nil {
			return
		}
		b.add(a)
	}
}

func (b *brood) add(a space.Arch) {
	if h := a.Hash(); !b.seen[h] {
		b.seen[h] = true
		b.next = append(b.next, a)
	}
}

func (b *brood) parent() space.Arch { return b.parents[b.s.IntN(len(b.parents))].arch }

// mutation changes each edge of a genotype with a probability, one at least; other spaces
// have rates of their own.
func (b *brood) mutation() space.Arch {
	a := b.parent()
	changes := 1
	if g, ok := a.(*space.Genotype); ok {
		changes = 0
		for range len(g.Normal().Edges) + len(g.Reduce().Edges) {
			if b.s.Chance(sposMutation) {
				changes++
			}
		}
	}
	for range max(changes, 1) {
		a = b.mutator.Mutate(a, b.s)
	}
	return a
}

// crossover takes each node from one of two parents. It is nil in a space where nodes of
// two architectures do not correspond. Cells that concatenate their loose ends have none
// that are certain before all edges are, so they are left to mutation too.
func (b *brood) crossover() space.Arch {
	if s := b.whole.space.Spec(); s.Name != "darts" || s.Nodes != 4 {
		return nil
	}
	x, okX := b.parent().(*space.Genotype)
	y, okY := b.parent().(*space.Genotype)
	if !okX || !okY {
		return nil
	}
	normal, reduce := b.mixed(x.Normal(), y.Normal()), b.mixed(x.Reduce(), y.Reduce())
	g, err := space.NewGenotype(normal, reduce)
	if err != nil {
		return nil
	}
	return g
}

func (b *brood) mixed(x, y space.DARTSCell) space.DARTSCell {
	child := space.DARTSCell{Concat: x.Concat}
	for at := 0; at < len(x.Edges); at += 2 {
		from := x
		if b.s.IntN(2) == 1 {
			from = y
		}
		child.Edges = append(child.Edges, from.Edges[at:at+2]...)
	}
	return child
}
