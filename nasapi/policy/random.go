package policy

import "context"

var randomInfo = &Info{
	Name:    "random",
	Summary: "best of budget uniform draws",
	Doc: `Draws architectures uniformly over the distinct ones of the space, each draw
independent of the others and with replacement, until the budget is spent.
With a budget of 1 it is the paper's baseline, one architecture a seed.`,
	Source: "Yu, Sciuto, Jaggi, Musat, Salzmann, Evaluating the Search Phase of Neural Architecture Search, ICLR 2020",
	Needs:  anySpace,
	Shares: SharesMay,
	build:  func(Config) Policy { return random{} },
}

// random draws with replacement on purpose: the exact null of best-of-k,
// P(no draw better than rank r) = (1 - r/N)^k, is that of independent draws.
type random struct{}

func (random) Search(ctx context.Context, p *Problem) error {
	draws := p.Rand("random", "draw")
	for {
		if _, err := evaluate(ctx, p, p.Space.Sample(draws)); err != nil {
			return err
		}
	}
}
