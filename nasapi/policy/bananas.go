package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

var bananasInfo = &Info{
	Name:    "bananas",
	Summary: "an ensemble of small networks predicts the objective and proposes mutations",
	Doc: `Bayesian optimisation with a neural predictor, of the kind of BANANAS. init uniform
draws are evaluated. Then rounds: an ensemble of feed-forward networks is trained from
scratch on all that was evaluated; candidates are mutations (the space's own) of the
best architecture so far, and of the next best ones where these give too few new ones;
those that the acquisition function likes best, batch of them, are evaluated. Nothing
is evaluated twice; the search ends early when the whole space is evaluated.

Encoding: in NASBench-101 the paths from input to output by their operations, the first
paths of them, shorter ones first (40 are those of up to three operations; 0 keeps all
364). In the cells of DARTS how many edges each node has from each input with each
operation; in other spaces one number for each option of each decision.

Predictor: layers of width units with ReLU, mean absolute error, Adam with batches of
32 for epochs epochs; the ensemble differs in initial weights and in the order of the
examples. Values enter as distances from their median over the mean of those distances,
which is ours, so that objectives of any size can be learnt.

Acquisition: "its", independent Thompson sampling, takes for each candidate one normal
draw with mean and deviation of the ensemble's predictions; "ucb" the mean and half a
deviation; "mean" the mean.

Published: its, ensemble of 5, 10 layers of 20, 150 epochs, learning rate 0.01, 100
candidates, 10 draws and rounds of 10, paths up to 40. The mean absolute error is that of
the authors' later code; the paper has a relative one. How many of the best are mutated
where the best does not give enough (five, then uniform draws) is ours too. The space's
mutation changes more than the published one, of about one edge and one operation.`,
	Source: "White, Neiswanger, Savani, BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search, AAAI 2021",
	Params: []Param{
		{Name: "init", Default: 10, Min: 1, Max: 1e6, Doc: "uniform draws to begin with"},
		{Name: "batch", Default: 10, Min: 1, Max: 1e6, Doc: "evaluations a round"},
		{Name: "candidates", Default: 100, Min: 1, Max: 1e5, Doc: "new architectures that a round chooses from"},
		{Name: "acquisition", Default: "its", Options: []string{"its", "ucb", "mean"}, Doc: "how it chooses"},
		{Name: "paths", Default: 40, Min: 0, Max: 1e4, Doc: "NASBench-101: paths in the encoding; 0 for all"},
		{Name: "ensemble", Default: 5, Min: 1, Max: 100, Doc: "networks"},
		{Name: "layers", Default: 10, Min: 1, Max: 100, Doc: "hidden layers of a network"},
		{Name: "width", Default: 20, Min: 1, Max: 1000, Doc: "units of a layer"},
		{Name: "epochs", Default: 150, Min: 1, Max: 1e5, Doc: "of a network's training"},
		{Name: "learning_rate", Default: 0.01, Min: 0, Max: 10, Doc: "of Adam (betas 0.9 and 0.999, eps 1e-8)"},
	},
	Needs: func(s space.Space) error {
		if _, err := featuresOf(s, 0); err != nil {
			return err
		}
		if _, ok := s.(space.Mutator); !ok {
			return fmt.Errorf("bananas: %s has no mutation; nasbench101(max_vertices=4..7), nasbench201(), darts_space(nodes=4 or 5), choices(...) and the rows of a table have one", s)
		}
		return nil
	},
	round: func(c Config) int { return c.integer("batch") },
	build: func(c Config) Policy { return &bananas{c} },
}

type bananas struct{ Config }

// bananasBatch is how many examples a step of a predictor has.
const bananasBatch = 32

// bananasParents is of how many of the best mutations are tried.
const bananasParents = 5

func (b *bananas) Search(ctx context.Context, p *Problem) error {
	if err := bananasInfo.Needs(p.Space); err != nil {
		return err
	}
	r := &bananasRun{
		Config: b.Config, p: p, mutator: p.Space.(space.Mutator), known: map[string]bool{},
		draws: p.Rand("bananas", "draw"), mutations: p.Rand("bananas", "mutation"), choice: p.Rand("bananas", "acquisition"),
	}
	var err error
	if r.features, err = featuresOf(p.Space, r.integer("paths")); err != nil {
		return err
	}
	for len(r.done) < r.integer("init") && !r.exhausted() {
		a, err := r.fresh(ctx)
		if err != nil {
			return err
		}
		if err := r.evaluate(ctx, a); err != nil {
			return err
		}
	}
	for !r.exhausted() {
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bananasRun is one search.
type bananasRun struct {
	Config
	p                        *Problem
	mutator                  space.Mutator
	features                 features
	draws, mutations, choice *rng.Stream
	known                    map[string]bool // by hash: evaluated
	done                     []member        // in the order of their evaluations
	x                        [][]float32     // their features
	rounds                   int
}

func (r *bananasRun) exhausted() bool {
	return r.p.Space.Size().Cmp(big.NewInt(int64(len(r.done)))) <= 0
}

// fresh is a uniform draw among those that are not evaluated; there is one.
func (r *bananasRun) fresh(ctx context.Context) (space.Arch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if a := r.p.Space.Sample(r.draws); !r.known[a.Hash()] {
			return a, nil
		}
	}
}

func (r *bananasRun) evaluate(ctx context.Context, a space.Arch) error {
	v, err := evaluate(ctx, r.p, a)
	if err != nil {
		return err
	}
	if math.IsInf(v, 0) {
		return fmt.Errorf("bananas: the objective of %s is %v; what is to be predicted must be finite", a, v)
	}
	x, err := r.features.of(a)
	if err != nil {
		return fmt.Errorf("bananas: %w", err)
	}
	r.known[a.Hash()] = true
	r.done, r.x = append(r.done, member{a, v}), append(r.x, x)
	return nil
}

// round learns from what was evaluated and evaluates the best candidates.
func (r *bananasRun) round(ctx context.Context) error {
	r.rounds++
	candidates, err := r.candidates(ctx)
	if err != nil {
		return err
	}
	x := make([][]float32, len(candidates))
	for i, a := range candidates {
		if x[i], err = r.features.of(a); err != nil {
			return fmt.Errorf("bananas: %w", err)
		}
	}
	predictions, err := r.predict(ctx, x)
	if err != nil {
		return err
	}
	scores, order := r.acquire(predictions), make([]int, len(candidates))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(scores[j], scores[i]) })
	for _, i := range order[:min(len(order), r.integer("batch"))] {
		if err := r.evaluate(ctx, candidates[i]); err != nil {
			return err
		}
	}
	return nil
}

// candidates are distinct architectures that were not evaluated: mutations of the best,
// then of the next best, and uniform draws where those are too few. There is at least one.
func (r *bananasRun) candidates(ctx context.Context) ([]space.Arch, error) {
	want := r.integer("candidates")
	seen := map[string]bool{}
	var list []space.Arch
	take := func(a space.Arch) {
		if h := a.Hash(); !r.known[h] && !seen[h] {
			seen[h] = true
			list = append(list, a)
		}
	}
	best := slices.Clone(r.done)
	slices.SortStableFunc(best, func(a, b member) int { return cmp.Compare(b.value, a.value) })
	for _, parent := range best[:min(len(best), bananasParents)] {
		for i := 0; i < want && len(list) < want; i++ {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			take(r.mutator.Mutate(parent.arch, r.mutations))
		}
	}
	for i := 0; i < want && len(list) < want; i++ {
		take(r.p.Space.Sample(r.draws))
	}
	if len(list) > 0 {
		return list, nil
	}
	a, err := r.fresh(ctx)
	return []space.Arch{a}, err
}

// predict trains the ensemble and returns the predictions of each of its networks.
func (r *bananasRun) predict(ctx context.Context, x [][]float32) ([][]float32, error) {
	targets := r.targets()
	out, errs := make([][]float32, r.integer("ensemble")), make([]error, r.integer("ensemble"))
	inParallel(len(out), func(i int) {
		s := rng.New(r.p.Seed, "bananas", "predictor", strconv.Itoa(r.rounds), strconv.Itoa(i))
		n := newPerceptron(r.features.size, r.integer("width"), r.integer("layers"), s)
		errs[i] = n.fit(r.x, targets, r.integer("epochs"), bananasBatch, r.number("learning_rate"), s, ctx.Err)
		if errs[i] == nil {
			out[i] = n.predict(x)
		}
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	for _, list := range out {
		if slices.ContainsFunc(list, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }) {
			return nil, errors.New("bananas: the predictions are not finite; lower learning_rate")
		}
	}
	return out, nil
}

// targets are the values as distances from their median, over the mean of the distances.
func (r *bananasRun) targets() []float32 {
	values := make([]float64, len(r.done))
	for i, m := range r.done {
		values[i] = m.value / 2 // so that the difference of two large ones does not overflow
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := sorted[len(sorted)/2]
	mean := 0.0
	for _, v := range values {
		mean += math.Abs(v-middle) / float64(len(values))
	}
	out := make([]float32, len(values))
	for i, v := range values {
		if mean > 0 {
			out[i] = float32((v - middle) / mean)
		}
	}
	return out
}

// acquire is how much each candidate is liked.
func (r *bananasRun) acquire(predictions [][]float32) []float64 {
	scores := make([]float64, len(predictions[0]))
	for i := range scores {
		mean, square := 0.0, 0.0
		for _, list := range predictions {
			mean += float64(list[i]) / float64(len(predictions))
		}
		for _, list := range predictions {
			d := float64(list[i]) - mean
			square += float64(d*d) / float64(len(predictions))
		}
		deviation := math.Sqrt(square)
		switch r.text("acquisition") {
		case "its":
			mean += float64(deviation * normal(r.choice))
		case "ucb":
			mean += deviation / 2
		}
		scores[i] = mean
	}
	return scores
}
