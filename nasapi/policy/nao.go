package policy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

var naoInfo = &Info{
	Name:    "nao",
	Summary: "a learnt embedding of architectures is moved up the slope of a learnt predictor",
	Doc: `Neural architecture optimisation. It begins with a pool of random sequences of the
space's encoding, distinct ones as far as there are so many.

On look-ups (any objective but shared weights) each architecture of the pool is
evaluated once. Then rounds, as below: proposals and random sequences join the pool
and are evaluated, unless their architecture was before, which costs nothing; the
search ends early when no sequence is left. The reference (its nao-groundtruth) does
this with a pool of 600, three rounds of 300 proposals and 100 random sequences, and
1,000 epochs of the predictor a round. pool=0 is 100 here, so that a budget of some
hundreds has rounds at all, predictor_epochs=0 is 100, and a round proposes at most
half as many as the pool began with and draws at most a sixth, which are 300 and 100
of 600. The best of all evaluations is chosen.

With shared weights the pool trains the supernet: each batch of images one
architecture of the pool, drawn with a probability proportional to the number of its
own parameters.

Rounds, after every round_every epochs but not after the last (0: after one, two
and three quarters of the epochs, which is the reference's 50, 100 and 150 of 200):
each architecture of the pool is scored on one batch of validation images, the
batches in turn. An encoder (LSTM), a predictor of the score and a decoder (LSTM
with attention) are trained together on nine tenths of the pool, each sequence
expand times (in cells whose nodes have two branches the copies have the branches
of a node swapped; elsewhere copies are alike, so expand=0 is one on look-ups there,
which found the same cells of NASBench-101 in an eighth of the time, and 8, as
published, in all else); the rest measures pairwise accuracy and Hamming distance,
which the log has. Scores are put in 0..1 by their range; if all are equal they
are all 0.5. The loss is 0.8 times the mean squared error plus 0.2 times the mean
negative log probability of the tokens; Adam is begun anew in each round, while
the weights stay. Then the outputs of the encoder for the best 100 sequences are
moved along the predictor's gradient by 1, 2, 3, ... and decoded greedily among
the tokens that their place allows, until there are as many new sequences of the
space as proposals says, or max_step is reached; fewer are no error. pool_update
says what becomes of the pool: keep adds the new ones and random sequences,
replace drops as many of the worst for them, discard keeps the best 100 alone.

At the end of the training all distinct architectures of the pool, those of the last round
included, are scored on one batch of validation images each, and the best final
on all: the best of those is chosen.

as_published turns the operations of proposals back with the published code's
offset, which is one too large: every proposal has its operations rotated, the
first becomes the last. What that costs, with NASBench-101's test accuracies as
scores (seven vertices, seed 1268, 300 epochs of the predictor): the pool's mean is
.905, that of a round's proposals .930, and as published .910.`,
	Source: "Luo, Tian, Qin, Chen, Liu, Neural Architecture Optimization, NeurIPS 2018; settings of Yu et al., ICLR 2020",
	Params: []Param{
		{Name: "pool", Default: 0, Min: 0, Max: 1e5, Doc: "random sequences to begin with; 0 means 600 with shared weights and 100 on look-ups"},
		{Name: "round_every", Default: 0, Min: 0, Max: 1e6, Doc: "shared weights: epochs between two rounds; 0 means a quarter of all"},
		{Name: "proposals", Default: 300, Min: 0, Max: 1e5, Doc: "new sequences that a round decodes, at most"},
		{Name: "random", Default: 100, Min: 0, Max: 1e5, Doc: "random sequences that a round adds"},
		{Name: "pool_update", Default: "keep", Options: []string{"keep", "replace", "discard"}, Doc: "what a round does with the old pool"},
		{Name: "max_step", Default: 50, Min: 1, Max: 1e4, Doc: "the longest step up the predictor's slope"},
		{Name: "hidden", Default: 0, Min: 0, Max: 1024, Doc: "size of the LSTMs; 0 means the space's: 12 for each node but one, 96 where nodes have two inputs"},
		{Name: "predictor_epochs", Default: 0, Min: 0, Max: 1e6, Doc: "epochs of encoder, predictor and decoder in a round; 0 means 1,000 with shared weights and 100 on look-ups"},
		{Name: "expand", Default: 0, Min: 0, Max: 1000, Doc: "copies of each sequence that they are trained on; 0 means 8, and 1 on look-ups where nodes have one branch"},
		{Name: "batch", Default: 100, Min: 1, Max: 1e4, Doc: "sequences of a batch of theirs"},
		{Name: "learning_rate", Default: 1e-3, Min: 0, Max: 10, Doc: "of their Adam (betas 0.9 and 0.999, eps 1e-8)"},
		{Name: "weight_decay", Default: 1e-4, Min: 0, Max: 10, Doc: "times the weights is added to their gradient"},
		{Name: "clip", Default: 5.0, Min: 1e-6, Max: 1e9, Doc: "longest gradient; a longer one is scaled down to it"},
		{Name: "final", Default: 100, Min: 1, Max: 1e5, Doc: "shared weights: architectures that are evaluated on all validation images at the end"},
		{Name: "as_published", Default: false, Doc: "rotate the operations of proposals, as the published code does"},
	},
	Needs: func(s space.Space) error {
		seq, ok := space.SequencesOf(s)
		if !ok {
			return fmt.Errorf("nao: %s has no sequence encoding that it can learn; nasbench101(max_vertices=4..7), nasbench201(), darts_space(nodes=5), cell_space(...) and choices(...) have one", s)
		}
		_, err := newNAOForm(seq, false)
		return err
	},
	Encoding: sequenceEncoding,
	Shares:   May,
	check: func(c Config) error {
		if c.integer("pool") == 1 {
			return errors.New("pool=1 has nothing to compare with: at least 2, or 0 for the default")
		}
		return nil
	},
	round: func(c Config) int { return sizes(c, false).pool },
	build: func(c Config) Policy { return &nao{c} },
}

type nao struct{ Config }

func (n *nao) Search(ctx context.Context, p *Problem) (err error) {
	if err := naoInfo.Needs(p.Space); err != nil {
		return err
	}
	r, err := newNAORun(n.Config, p)
	if err != nil {
		return err
	}
	if p.Weights == nil {
		return r.lookUp(ctx)
	}
	if err := p.Weights.Train(ctx, r); err != nil {
		return err
	}
	if len(r.finalists) == 0 {
		return errors.New("nao: the training of the shared weights ended before its last epoch")
	}
	for _, e := range r.finalists {
		if _, err := evaluate(ctx, p, e.arch); err != nil {
			return err
		}
	}
	return nil
}

// naoBest is how many of the best a round begins its proposals from, and what discard
// keeps.
const naoBest = 100

// naoSizes are numbers that depend on what an evaluation is.
type naoSizes struct {
	pool, proposals, random, epochs int
}

// sizes are those of a configuration, with shared weights or on look-ups.
func sizes(c Config, shared bool) naoSizes {
	s := naoSizes{pool: c.integer("pool"), proposals: c.integer("proposals"), random: c.integer("random"), epochs: c.integer("predictor_epochs")}
	if shared {
		s.pool, s.epochs = cmp.Or(s.pool, 600), cmp.Or(s.epochs, 1000)
		return s
	}
	s.pool, s.epochs = cmp.Or(s.pool, 100), cmp.Or(s.epochs, 100)
	s.proposals, s.random = min(s.proposals, s.pool/2), min(s.random, s.pool/6)
	return s
}

// naoEntry is an architecture of the pool. Its sequence is as it was decoded: with
// as_published an operation may be -1.
type naoEntry struct {
	seq  []int
	arch space.Arch
}

// naoRun is one search.
type naoRun struct {
	Config
	sizes     naoSizes
	p         *Problem
	space     space.Sequences
	form      *naoForm
	shape     *naoShape
	packed    []float32 // the model's weights
	pool      []naoEntry
	finalists []naoEntry // after the last epoch, the best first
	rounds    int
}

var _ Sharer = (*naoRun)(nil)

func newNAORun(c Config, p *Problem) (*naoRun, error) {
	r := &naoRun{Config: c, sizes: sizes(c, p.Weights != nil), p: p, space: p.Space.(space.Sequences)}
	var err error
	if r.form, err = newNAOForm(r.space, c.truth("as_published")); err != nil {
		return nil, err
	}
	r.shape = r.form.shape(c.integer("hidden"))
	r.packed = r.shape.initial(p.Rand("nao", "init"))
	r.pool, err = r.drawNew(nil, r.sizes.pool, p.Rand("nao", "pool"))
	return r, err
}

// entry decodes a sequence; the error wraps space.ErrOutside where it is not in the space.
func (r *naoRun) entry(seq []int) (naoEntry, error) {
	a, err := r.space.Decode(r.form.plain(seq))
	if err != nil {
		return naoEntry{}, fmt.Errorf("nao: sequence %v of %s: %w", seq, r.space, err)
	}
	return naoEntry{seq, a}, nil
}

// maxKnown is how many sequences in a row may be known before a drawer of new ones takes
// the space for exhausted.
const maxKnown = 10_000

// drawNew draws n random sequences that are neither known nor equal to each other, fewer
// where the space has no more.
func (r *naoRun) drawNew(known []naoEntry, n int, s *rng.Stream) ([]naoEntry, error) {
	seen := keysOf(known)
	var out []naoEntry
	for misses := 0; len(out) < n && misses < maxKnown; misses++ {
		seq, a, err := drawSequence(r.space, s)
		if err != nil {
			return nil, fmt.Errorf("nao: %w", err)
		}
		if k := key(seq); !seen[k] {
			seen[k] = true
			out = append(out, naoEntry{seq, a})
			misses = -1
		}
	}
	return out, nil
}

func key(seq []int) string { return fmt.Sprint(seq) }

func keysOf(list []naoEntry) map[string]bool {
	keys := make(map[string]bool, len(list))
	for _, e := range list {
		keys[key(e.seq)] = true
	}
	return keys
}

func (r *naoRun) Step(ctx context.Context, w Supernet, at Moment) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := w.TrainPaths(r.draw(r.p.RandAt("nao", "path", at)).arch)
	return err
}

// draw takes one of the pool with a probability proportional to its parameters.
func (r *naoRun) draw(s *rng.Stream) naoEntry {
	var sum int64
	for _, e := range r.pool {
		sum += e.arch.Params()
	}
	u := int64(s.Float64() * float64(sum))
	for _, e := range r.pool {
		if u -= e.arch.Params(); u < 0 {
			return e
		}
	}
	return r.pool[s.IntN(len(r.pool))] // no architecture has parameters
}

func (r *naoRun) EndEpoch(ctx context.Context, w Supernet, at Moment) error {
	switch done := at.Epoch + 1; {
	case done >= at.Epochs:
		return r.finish(ctx, w)
	case r.due(done, at.Epochs):
		return r.round(ctx, w, at)
	}
	return nil
}

// due says whether a round follows so many epochs.
func (r *naoRun) due(done, epochs int) bool {
	if every := r.integer("round_every"); every > 0 {
		return done%every == 0
	}
	return slices.Contains([]int{epochs / 4, epochs / 2, 3 * epochs / 4}, done)
}

// scored returns entries the best first, and their accuracies on a batch of validation
// images each, the batches in turn.
func (r *naoRun) scored(ctx context.Context, w Supernet, list []naoEntry) ([]naoEntry, []float64, error) {
	values := make([]float64, len(list))
	for i, e := range list {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		a, err := w.Validate(e.arch, i%w.ValidBatches())
		if err != nil {
			return nil, nil, err
		}
		values[i] = a.Share()
	}
	sorted, scores := bestFirst(list, values)
	return sorted, scores, nil
}

// bestFirst sorts entries by their values; of equals the order stays.
func bestFirst(list []naoEntry, values []float64) ([]naoEntry, []float64) {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(values[j], values[i]) })
	sorted, scores := make([]naoEntry, len(list)), make([]float64, len(list))
	for to, from := range order {
		sorted[to], scores[to] = list[from], values[from]
	}
	return sorted, scores
}

// round scores the pool, learns from it and makes the next one.
func (r *naoRun) round(ctx context.Context, w Supernet, at Moment) error {
	pool, scores, err := r.scored(ctx, w, r.pool)
	if err != nil {
		return err
	}
	return r.learn(ctx, pool, scores, at)
}

// learn learns from a pool, the best first, and makes the next one. What fails changes
// nothing.
func (r *naoRun) learn(ctx context.Context, pool []naoEntry, scores []float64, at Moment) (err error) {
	learner := newNAOLearner(r.shape, slices.Clone(r.packed), &naoAdam{
		rate: r.number("learning_rate"), beta1: 0.9, beta2: 0.999, eps: 1e-8,
		decay: r.number("weight_decay"), clip: r.number("clip"),
	})
	defer func() { err = errors.Join(err, learner.close()) }()
	examples := naoExamples{targets: relative(scores)}
	for _, e := range pool {
		examples.tokens = append(examples.tokens, r.form.tokens(e.seq))
	}
	number := float64(r.rounds + 1)
	training := naoTraining{epochs: r.sizes.epochs, batch: r.integer("batch"), copies: r.copies()}
	err = learner.train(ctx, r.form, training, examples, r.p.RandAt("nao", "train", at), func(values map[string]float64) {
		values["round"] = number
		r.p.log("predictor", values)
	})
	if err != nil {
		return err
	}
	fresh, err := r.propose(ctx, learner, pool, examples.tokens[:min(naoBest, len(examples.tokens))])
	if err != nil {
		return err
	}
	drawn, err := r.drawNew(slices.Concat(pool, fresh), r.sizes.random, r.p.RandAt("nao", "random", at))
	if err != nil {
		return err
	}
	r.p.log("proposals", map[string]float64{"round": number, "new": float64(len(fresh)), "random": float64(len(drawn)), "best": scores[0]})
	r.pool = slices.Concat(r.kept(pool, len(fresh)+len(drawn)), fresh, drawn)
	r.packed = learner.packed
	r.rounds++
	return nil
}

// copies is how often a sequence is among the examples.
func (r *naoRun) copies() int {
	if n := r.integer("expand"); n > 0 {
		return n
	}
	if r.p.Weights == nil && !r.form.branches() {
		return 1
	}
	return 8
}

// kept is what stays of a pool, the best first, where so many come.
func (r *naoRun) kept(pool []naoEntry, come int) []naoEntry {
	n := len(pool)
	switch r.text("pool_update") {
	case "replace":
		n = max(0, n-come)
	case "discard":
		n = min(n, naoBest)
	}
	return pool[:n]
}

// propose decodes new sequences from the best ones' tokens.
func (r *naoRun) propose(ctx context.Context, l *naoLearner, pool []naoEntry, best [][]int) ([]naoEntry, error) {
	most := r.sizes.proposals
	if most == 0 {
		return nil, nil
	}
	seen := keysOf(pool)
	var out []naoEntry
	var bad error
	err := l.propose(ctx, r.form, best, r.integer("max_step"), func(tokens []int) bool {
		seq := r.form.sequence(tokens)
		k := key(seq)
		if seen[k] {
			return false
		}
		seen[k] = true
		e, err := r.entry(seq)
		switch {
		case err == nil:
			out = append(out, e)
		case !errors.Is(err, space.ErrOutside):
			bad = err
		}
		return bad != nil || len(out) == most
	})
	return out, errors.Join(err, bad)
}

// finish chooses what is evaluated on all validation images.
func (r *naoRun) finish(ctx context.Context, w Supernet) error {
	sorted, _, err := r.scored(ctx, w, distinctEntries(r.pool))
	if err != nil {
		return err
	}
	r.finalists = sorted[:min(len(sorted), r.integer("final"))]
	return nil
}

// distinctEntries keeps the first of each architecture: several sequences may encode one.
func distinctEntries(list []naoEntry) []naoEntry {
	seen := map[string]bool{}
	var out []naoEntry
	for _, e := range list {
		if h := e.arch.Hash(); !seen[h] {
			seen[h] = true
			out = append(out, e)
		}
	}
	return out
}

func (r *naoRun) Pool() []space.Arch {
	var out []space.Arch
	for _, e := range distinctEntries(r.pool) {
		out = append(out, e.arch)
	}
	return out
}

// naoState is what State writes.
type naoState struct {
	Weights         []float32
	Pool, Finalists [][]int
	Rounds          int
}

func (r *naoRun) State() ([]byte, error) {
	s := naoState{Weights: r.packed, Rounds: r.rounds}
	for _, e := range r.pool {
		s.Pool = append(s.Pool, e.seq)
	}
	for _, e := range r.finalists {
		s.Finalists = append(s.Finalists, e.seq)
	}
	return encodeState("nao", s)
}

func (r *naoRun) Restore(state []byte) error {
	var s naoState
	if err := decodeState("nao", state, &s); err != nil {
		return err
	}
	if len(s.Weights) != len(r.packed) || len(s.Pool) == 0 {
		return fmt.Errorf("nao: the saved state has %d weights and a pool of %d; want %d weights and a pool: it is of another search", len(s.Weights), len(s.Pool), len(r.packed))
	}
	pool, err := r.entries(s.Pool)
	if err != nil {
		return err
	}
	finalists, err := r.entries(s.Finalists)
	if err != nil {
		return err
	}
	copy(r.packed, s.Weights)
	r.pool, r.finalists, r.rounds = pool, finalists, s.Rounds
	return nil
}

func (r *naoRun) entries(seqs [][]int) ([]naoEntry, error) {
	var out []naoEntry
	for _, seq := range seqs {
		e, err := r.entry(seq)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// encodeState and decodeState are how Sharers write their states.

func encodeState(policy string, state any) ([]byte, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(state); err != nil {
		return nil, fmt.Errorf("%s: writing its state: %w", policy, err)
	}
	return b.Bytes(), nil
}

func decodeState(policy string, data []byte, state any) error {
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(state); err != nil {
		return fmt.Errorf("%s: its saved state cannot be read: %w", policy, err)
	}
	return nil
}
