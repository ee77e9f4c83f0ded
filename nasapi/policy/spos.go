package policy

import (
	"context"
	"fmt"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Values of two keywords of SPOS.
const (
	uniquePaths = "unique"
	choicePaths = "choices"
	byPool      = "pool"
	byEvolution = "evolution"
)

var sposInfo = &Info{
	Name:    "spos",
	Summary: "single path one shot: uniform paths share weights, the best of a pool wins",
	Doc: `Every step trains the shared weights along one path. With paths="unique" (as the
reference) it is uniform over the distinct architectures of the space. With
paths="choices" on NASBench-101 each edge of the upper triangle is there with
probability 1/2 and each operation with 1/3, over again until the cell is in the
space: large cells come more often, and in any order of their vertices, of which
the supernet sees each as other slots. The cells of DARTS have no such
difference: two different inputs a node and an operation each, all uniform.

The pool begins with 40 architectures for each interior vertex of NASBench-101
beyond the first (160 in other spaces), or all. Every refresh epochs 20 come in;
once there are 200 the 20 that are worst on one batch of validation images (the
next batch each time) go first. The reference means this, but its full pool
changes in one place only. Nothing changes after the last epoch.

At the end selection="pool" evaluates the pool on all validation images and the
best wins; the reference looks at test images, last at epoch 182 of 200.
selection="evolution" is the search of the original paper instead: a population
of uniform draws, then generations of children of the best parents of all
generations so far, half by crossover and half by mutation. Crossover takes each
node's two edges from either parent; cells of NASBench-101 have no places that
correspond, so there all children are mutations, with the rates of regularised
evolution. In the DARTS space a mutation changes each of the 16 edges with
probability 0.1, one at least. An architecture is evaluated once. Evaluation
takes the statistics of the batches at hand, which is what the paper's
recalibration of batch normalisation for each path is for.`,
	Source: "Guo et al., Single Path One-Shot Neural Architecture Search with Uniform Sampling, ECCV 2020; pool of Yu et al., ICLR 2020",
	Params: append([]Param{
		{Name: "paths", Default: uniquePaths, Options: []string{uniquePaths, choicePaths}, Doc: "uniform over distinct architectures, or over edges and operations until valid"},
		{Name: "refresh", Default: 20, Min: 0, Max: 1e6, Doc: "epochs between two changes of the pool; 0 for none"},
		{Name: "selection", Default: byPool, Options: []string{byPool, byEvolution}, Doc: "how the winner is found on the trained weights"},
		{Name: "population", Default: 50, Min: 2, Max: 1e5, Doc: "of selection=\"evolution\""},
		{Name: "generations", Default: 20, Min: 1, Max: 1e5, Doc: "of selection=\"evolution\", the first included"},
		{Name: "parents", Default: 10, Min: 1, Max: 1e5, Doc: "of selection=\"evolution\": how many of the best have children"},
	}, subspaceParams...),
	Needs:  anySpace,
	Shares: Must,
	check:  checkSPOS,
	build: func(c Config) Policy {
		return &spos{
			choices: c.text("paths") == choicePaths,
			refresh: c.integer("refresh"),
			evolve:  c.text("selection") == byEvolution,
			pathEvolution: pathEvolution{
				population:  c.integer("population"),
				generations: c.integer("generations"),
				parents:     c.integer("parents"),
			},
			part: c.text("subspace"), size: c.integer("subspace_size"),
		}
	},
}

func checkSPOS(c Config) error {
	if c.integer("parents") > c.integer("population") {
		return fmt.Errorf("parents=%d are more than the population=%d they come from; lower it or raise population", c.integer("parents"), c.integer("population"))
	}
	part := c.text("subspace")
	if part == wholeSpace {
		return nil
	}
	if c.text("paths") == choicePaths {
		return fmt.Errorf("paths=%q leaves subspace=%q; use paths=%q", choicePaths, part, uniquePaths)
	}
	if c.text("selection") == byEvolution {
		return fmt.Errorf("selection=%q leaves subspace=%q; use selection=%q", byEvolution, part, byPool)
	}
	return nil
}

type spos struct {
	choices bool
	refresh int
	evolve  bool
	pathEvolution
	part string
	size int
}

func (o *spos) Search(ctx context.Context, p *Problem) error {
	weights, err := p.shared("spos")
	if err != nil {
		return err
	}
	if o.evolve {
		if _, ok := p.Space.(space.Mutator); !ok {
			return fmt.Errorf("spos: selection=%q: %s has no mutation; use selection=%q", byEvolution, p.Space, byPool)
		}
	}
	from, err := regionOf(p.Space, o.part, o.size)
	if err != nil {
		return fmt.Errorf("spos: %w", err)
	}
	u := &uniform{p: p, name: "spos", from: from, refresh: o.refresh}
	u.paths = onePath(from.draw)
	if n, ok := p.Space.(*space.NASBench); ok && o.choices {
		u.paths = onePath(func(s *rng.Stream) space.Arch { return drawChoices(n, s) })
	}
	u.fill(initialPool(p.Space))
	if err := weights.Train(ctx, u); err != nil {
		return err
	}
	if o.evolve {
		return o.pathEvolution.search(ctx, p)
	}
	return evaluateAll(ctx, p, u.pool)
}

// drawChoices draws each edge and each operation uniformly until the cell is in the
// space (the random cells of Ying et al., NAS-Bench-101, ICML 2019).
func drawChoices(n *space.NASBench, s *rng.Stream) space.Arch {
	vertices, names := n.MaxVertices(), n.Operations()
	ops := make([]string, vertices)
	ops[0], ops[vertices-1] = "input", "output"
	for {
		matrix := make([][]int, vertices)
		for x := range matrix {
			matrix[x] = make([]int, vertices)
			for y := x + 1; y < vertices; y++ {
				matrix[x][y] = s.IntN(2)
			}
		}
		for v := 1; v < vertices-1; v++ {
			ops[v] = names[s.IntN(len(names))]
		}
		// A cell without a way from input to output is no cell.
		if c, err := space.NewCell(matrix, ops); err == nil && n.Contains(c) == nil {
			return c
		}
	}
}
