package policy

import (
	"context"
	"fmt"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

var evolutionInfo = &Info{
	Name:    "evolution",
	Summary: "regularised evolution: tournament selection, mutation, the oldest dies",
	Doc: `Evaluates a population of uniform draws. Then each step draws a tournament from
the population without replacement, mutates the best of it (the space's own
mutation), evaluates the child, adds it and removes the oldest member, however
good it is. A child that encodes its parent again is evaluated again, as in the
reference. A budget below the population evaluates uniform draws only.`,
	Source: "Real, Aggarwal, Huang, Le, Regularized Evolution for Image Classifier Architecture Search, AAAI 2019; sizes of Ying et al., NAS-Bench-101, ICML 2019",
	Params: []Param{
		{Name: "population", Default: 50, Min: 1, Max: 1e6, Doc: "members that are alive at a time"},
		{Name: "tournament", Default: 10, Min: 1, Max: 1e6, Doc: "members that compete to be the parent; at most the population"},
	},
	Needs: needsMutator,
	check: func(c Config) error {
		if c.integer("tournament") > c.integer("population") {
			return fmt.Errorf("tournament=%d is larger than population=%d, from which it is drawn without replacement; lower it or raise population",
				c.integer("tournament"), c.integer("population"))
		}
		return nil
	},
	build: func(c Config) Policy {
		return &evolution{population: c.integer("population"), tournament: c.integer("tournament")}
	},
}

func needsMutator(s space.Space) error {
	if _, ok := s.(space.Mutator); ok {
		return nil
	}
	return fmt.Errorf("evolution: %s has no mutation; nasbench101(max_vertices=4..7), nasbench201(), darts_space(nodes=4 or 5), choices(...) and the rows of a table have one", s)
}

type evolution struct {
	population, tournament int

	drawn []int // of a tournament, kept for the next
}

type member struct {
	arch  space.Arch
	value float64
}

func (e *evolution) Search(ctx context.Context, p *Problem) error {
	if err := needsMutator(p.Space); err != nil {
		return err
	}
	mutator := p.Space.(space.Mutator)
	alive, err := e.populate(ctx, p)
	if err != nil {
		return err
	}
	tournaments, mutations := p.Rand("evolution", "tournament"), p.Rand("evolution", "mutation")
	// alive is a ring: the newest replaces the oldest in place.
	for oldest := 0; ; oldest = (oldest + 1) % len(alive) {
		child := mutator.Mutate(e.parent(alive, tournaments), mutations)
		v, err := evaluate(ctx, p, child)
		if err != nil {
			return err
		}
		alive[oldest] = member{child, v}
	}
}

func (e *evolution) populate(ctx context.Context, p *Problem) ([]member, error) {
	draws := p.Rand("evolution", "init")
	// Grown as it fills: the population may be far above the budget.
	var alive []member
	for len(alive) < e.population {
		a := p.Space.Sample(draws)
		v, err := evaluate(ctx, p, a)
		if err != nil {
			return nil, err
		}
		alive = append(alive, member{a, v})
	}
	return alive, nil
}

// parent returns the best of a tournament; ties go to the member drawn first,
// which is random because the order of a draw is.
func (e *evolution) parent(alive []member, s *rng.Stream) space.Arch {
	e.drawn = s.AppendSample(e.drawn[:0], len(alive), e.tournament)
	best := e.drawn[0]
	for _, i := range e.drawn[1:] {
		if alive[i].value > alive[best].value {
			best = i
		}
	}
	return alive[best].arch
}
