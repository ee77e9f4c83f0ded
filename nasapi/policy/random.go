package policy

import (
	"context"
	"fmt"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

var randomInfo = &Info{
	Name:    "random",
	Summary: "best of budget uniform draws; on shared weights the best of 200 draws that share them",
	Doc: `Draws architectures uniformly over the distinct ones of the space, each draw
independent of the others and with replacement, until the budget is spent.
With a budget of 1 it is the paper's baseline, one architecture a seed.

On shared weights (the reference's ws_random) every step trains one path, uniform
over the distinct architectures, as SPOS does. A pool of 200 of them (or of all,
where there are fewer) is drawn once, before the training; at its end the pool
is evaluated on all validation images and the best wins. The reference draws the
pool from every second architecture of the table's order and chooses on test
images.`,
	Source: "Yu, Sciuto, Jaggi, Musat, Salzmann, Evaluating the Search Phase of Neural Architecture Search, ICLR 2020",
	Params: subspaceParams,
	Needs:  anySpace,
	Shares: May,
	build: func(c Config) Policy {
		return random{part: c.text("subspace"), size: c.integer("subspace_size")}
	},
}

// random draws with replacement on purpose: the exact null of best-of-k,
// P(no draw better than rank r) = (1 - r/N)^k, is that of independent draws.
type random struct {
	part string // of the space, on shared weights
	size int
}

func (r random) Search(ctx context.Context, p *Problem) error {
	if p.Weights != nil {
		return r.sharing(ctx, p)
	}
	if r.part != wholeSpace {
		return fmt.Errorf("random: subspace=%q says what shares weights; the objective has none: use subspace=%q", r.part, wholeSpace)
	}
	draws := p.Rand("random", "draw")
	for {
		if _, err := evaluate(ctx, p, p.Space.Sample(draws)); err != nil {
			return err
		}
	}
}

func (r random) sharing(ctx context.Context, p *Problem) error {
	from, err := regionOf(p.Space, r.part, r.size)
	if err != nil {
		return fmt.Errorf("random: %w", err)
	}
	u := &uniform{p: p, name: "random", from: from}
	u.paths = onePath(from.draw)
	u.fill(maxPool)
	if err := p.Weights.Train(ctx, u); err != nil {
		return err
	}
	return evaluateAll(ctx, p, u.pool)
}

// onePath makes a step of one draw.
func onePath(draw func(*rng.Stream) space.Arch) func(*rng.Stream) ([]space.Arch, error) {
	return func(s *rng.Stream) ([]space.Arch, error) { return []space.Arch{draw(s)}, nil }
}
