package policy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

var enasInfo = &Info{
	Name:    "enas",
	Summary: "an LSTM controller that is trained by REINFORCE to emit good sequences",
	Doc: `The controller of ENAS in the form that the reference uses on NASBench-101, with
the objective itself as reward (no shared weights: the reference's
enas-groundtruth). It draws sequences of the space's encoding, node by node: which
earlier state to read (attention), then which operation. After each batch of
evaluations one Adam step moves it along the gradient of the mean of
nll * (reward - baseline). On darts_space(nodes=5) it draws the normal cell, then the
reduction cell from the LSTM state that the first one left, without op_bias.

Reward: reward_scale times the objective where that lies in 0..1 by nature (an
accuracy), else times its place in the range of values seen so far in this run,
so that early rewards are on a narrower range than late ones; plus
entropy_weight times the entropy. The scale matters because Adam's eps is 0.001
and gradients are small: with 100 (accuracy in percent, as in the reference's
search with shared weights) the mean test accuracy of the draws on NASBench-101
rises from .914 to .927 in 1,000 evaluations; with 1 (its enas-groundtruth) it
does not move in 3,000.
Baseline: the first reward, then moved by baseline_rate towards each reward
before that reward is compared with it, and kept for the whole run (the
reference forgets it every epoch).

A sequence outside the space is drawn again and costs nothing; how often this
happened is in the log. Ten thousand in a row are an error. A batch that the
budget cuts short is evaluated but not learnt from. The logits are bounded
(tanh_constant), so the controller prefers architectures but never collapses
onto one.

With shared weights (shared_weights): each batch of training images trains one
architecture that the controller draws. After each epoch the controller makes
controller_steps updates, each from the mean of controller_batch draws, each draw
rewarded by its accuracy on one batch of validation images that is drawn too.
Both are 0 for what the reference has in the space: 30 updates of 10 draws on
NASBench-101, 300 of 1 draw where nodes have two inputs (the cells of DARTS).
Baseline and controller stay for the whole run, as above. The pool is the last
pool distinct sequences that were trained. After the last epoch final_samples
draws of the controller and as many random sequences join it; where that is more
than final_pool architectures, each is scored on one batch of validation images
and the best final_pool stay; those are evaluated on all of them, and the best is
chosen.`,
	Source: "Pham, Guan, Zoph, Le, Dean, Efficient Neural Architecture Search via Parameter Sharing, ICML 2018; settings of Yu et al., ICLR 2020",
	Params: []Param{
		{Name: "hidden", Default: 64, Min: 1, Max: 1024, Doc: "size of the LSTM state and of the embeddings"},
		{Name: "learning_rate", Default: 0.0035, Min: 0, Max: 10, Doc: "of Adam (betas 0.1 and 0.999, eps 0.001)"},
		{Name: "batch", Default: 10, Min: 1, Max: 1e4, Doc: "evaluations an update; where it is above the budget nothing is learnt"},
		{Name: "reward_scale", Default: 100.0, Min: 1e-6, Max: 1e6, Doc: "multiplies objective values in 0..1; 100 makes accuracies percent"},
		{Name: "entropy_weight", Default: 1e-4, Min: -1e6, Max: 1e6, Doc: "entropy of a sequence, in nats, is added to its reward with this weight"},
		{Name: "baseline_rate", Default: 0.01, Min: 0, Max: 1, Doc: "share of each reward in the moving baseline"},
		{Name: "temperature", Default: 5.0, Min: 1e-3, Max: 1e6, Doc: "divides the logits before tanh"},
		{Name: "tanh_constant", Default: 1.10, Min: 0, Max: 1e3, Doc: "bound of the index logits, after tanh"},
		{Name: "op_tanh_constant", Default: 0.44, Min: 0, Max: 1e3, Doc: "bound of the operation logits, after tanh"},
		{Name: "op_bias", Default: 0.25, Min: -1e3, Max: 1e3, Doc: "fixed: added to the first two operations' logits, taken from the others'; in the first cell, and only where there are indices"},
		{Name: "controller_steps", Default: 0, Min: 0, Max: 1e6, Doc: "shared weights: updates an epoch; 0 means the space's, 30 or 300"},
		{Name: "controller_batch", Default: 0, Min: 0, Max: 1e4, Doc: "shared weights: draws an update; 0 means the space's, 10 or 1"},
		{Name: "pool", Default: 200, Min: 1, Max: 1e5, Doc: "shared weights: how many of the sequences that were trained are kept to choose from"},
		{Name: "final_samples", Default: 10, Min: 0, Max: 1e5, Doc: "shared weights: draws, and as many random sequences, that join the pool at the end"},
		{Name: "final_pool", Default: 200, Min: 1, Max: 1e5, Doc: "shared weights: architectures that are evaluated on all validation images at the end"},
	},
	Needs:    needsSequences,
	Encoding: sequenceEncoding,
	Shares:   May,
	round:    func(c Config) int { return c.integer("batch") },
	build: func(c Config) Policy {
		return &enas{
			shape: controllerShape{
				hidden:      c.integer("hidden"),
				temperature: c.number("temperature"),
				indexTanh:   c.number("tanh_constant"),
				opTanh:      c.number("op_tanh_constant"),
				opBias:      c.number("op_bias"),
			},
			batch:         c.integer("batch"),
			learningRate:  c.number("learning_rate"),
			rewardScale:   c.number("reward_scale"),
			entropyWeight: c.number("entropy_weight"),
			baselineRate:  c.number("baseline_rate"),
			sharing: enasSharing{
				updates: c.integer("controller_steps"), batch: c.integer("controller_batch"), pool: c.integer("pool"),
				samples: c.integer("final_samples"), final: c.integer("final_pool"),
			},
		}
	},
}

func needsSequences(s space.Space) error {
	seq, ok := space.SequencesOf(s)
	if !ok {
		return fmt.Errorf("enas: %s has no sequence encoding that it can learn; nasbench101(max_vertices=4..7), nasbench201(), darts_space(nodes=5), cell_space(...) and choices(...) have one", s)
	}
	_, err := newLayout(seq)
	return err
}

type enas struct {
	shape         controllerShape // its layout comes with the space
	batch         int
	learningRate  float64
	rewardScale   float64
	entropyWeight float64
	baselineRate  float64
	sharing       enasSharing
}

func (e *enas) Search(ctx context.Context, p *Problem) (err error) {
	if err := needsSequences(p.Space); err != nil {
		return err
	}
	if p.Weights != nil {
		return e.share(ctx, p)
	}
	r, err := e.newRun(p, e.batch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.learner.close()) }()
	r.samples, r.reward.unit = p.Rand("enas", "sample"), p.Unit
	r.value = func(ctx context.Context, a space.Arch) (float64, error) { return evaluate(ctx, p, a) }
	for update := 1; ; update++ {
		if err := r.update(ctx, update); err != nil {
			return err
		}
	}
}

func (e *enas) newRun(p *Problem, batch int) (*enasRun, error) {
	r := &enasRun{
		enas: e, p: p, space: p.Space.(space.Sequences), shape: e.shape, batch: batch,
		baseline: baseline{rate: e.baselineRate},
	}
	var err error
	if r.shape.layout, err = newLayout(r.space); err != nil {
		return nil, err
	}
	r.learner, err = newLearner(&r.shape, r.shape.initial(p.Rand("enas", "init")), batch, e.learningRate)
	return r, err
}

// enasRun is the state of one search.
type enasRun struct {
	*enas
	p        *Problem
	space    space.Sequences
	shape    controllerShape
	learner  *learner
	batch    int // draws an update
	samples  *rng.Stream
	value    func(context.Context, space.Arch) (float64, error)
	baseline baseline
	reward   rewardScale
	outside  int // sequences so far that were outside the space
}

// update draws and evaluates one batch and learns from it.
func (r *enasRun) update(ctx context.Context, number int) error {
	var entropy, reward float64
	w := r.shape.cut(r.learner.packed)
	share := 1 / float64(r.batch)
	for b := range r.batch {
		roll, arch, err := r.draw(ctx, w)
		if err != nil {
			return err
		}
		v, err := r.value(ctx, arch)
		if err != nil {
			return err
		}
		if math.IsInf(v, 0) {
			return fmt.Errorf("enas: the objective of %s is %v; a reward must be finite", arch, v)
		}
		got := float64(r.rewardScale*r.reward.of(v)) + float64(r.entropyWeight*roll.entropy)
		r.learner.set(b, roll, float64(share*(got-r.baseline.after(got))))
		reward += float64(share * got)
		entropy += float64(share * roll.entropy)
	}
	loss, err := r.learner.step()
	if err != nil {
		return fmt.Errorf("enas: update %d: %w", number, err)
	}
	r.p.log("controller", map[string]float64{
		"update": float64(number), "loss": loss, "reward": reward, "baseline": r.baseline.value,
		"entropy": entropy, "outside": float64(r.outside),
	})
	return nil
}

// maxOutsideController is how many sequences in a row a controller may draw
// outside the space before the search fails: some seconds of nothing.
const maxOutsideController = 10_000

func (r *enasRun) draw(ctx context.Context, w *weights) (*rollout, space.Arch, error) {
	for range maxOutsideController {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		roll := r.shape.run(w, sampling(r.samples))
		a, err := r.space.Decode(roll.seq)
		if err == nil {
			return roll, a, nil
		}
		if !errors.Is(err, space.ErrOutside) {
			return nil, nil, fmt.Errorf("enas: sequence %v of %s: %w", roll.seq, r.space, err)
		}
		r.outside++
	}
	return nil, nil, fmt.Errorf("enas: the controller drew %d sequences in a row outside %s; lower tanh_constant, op_tanh_constant or learning_rate",
		maxOutsideController, r.space)
}

// baseline is the moving average that rewards are compared with.
type baseline struct {
	rate, value float64
	started     bool
}

// after moves the baseline towards a reward and returns it.
func (b *baseline) after(reward float64) float64 {
	if !b.started {
		b.value, b.started = reward, true
	}
	b.value -= float64(b.rate * (b.value - reward))
	return b.value
}

// rewardScale brings objective values to 0..1.
type rewardScale struct {
	unit      bool
	low, high float64
	started   bool
}

// of returns v itself where values lie in 0..1 by nature, else its place in the
// range seen so far, v included; while there is no range, the middle.
func (s *rewardScale) of(v float64) float64 {
	if s.unit {
		return v
	}
	if !s.started {
		s.low, s.high, s.started = v, v, true
	}
	s.low, s.high = math.Min(s.low, v), math.Max(s.high, v)
	if s.low == s.high {
		return 0.5
	}
	// Halves, because the difference of two large values may overflow.
	low, high := float64(s.low/2), float64(s.high/2)
	return (float64(v/2) - low) / (high - low)
}

// learner is the Gorgonia side: the graph of loss and gradient, the machine
// that runs it and the solver. The batch is filled by set and used by step.
type learner struct {
	packed       []float64 // the weights; shared with the graph's node
	sequences    []int
	coefficients []float64
	length       int
	known        *memo

	weights *G.Node
	loss    G.Value
	machine G.VM
	solver  G.Solver
}

func newLearner(shape *controllerShape, packed []float64, batch int, rate float64) (*learner, error) {
	l := &learner{
		packed: packed, sequences: make([]int, batch*shape.length), coefficients: make([]float64, batch), length: shape.length,
		known:  &memo{packed: slices.Clone(packed), rollouts: make([]*rollout, batch)},
		solver: &adam{rate: rate, beta1: 0.1, beta2: 0.999, eps: 1e-3},
	}
	graph := G.NewGraph()
	l.weights = G.NewVector(graph, tensor.Float64, G.WithName("weights"), G.WithShape(len(packed)),
		G.WithValue(tensor.New(tensor.WithShape(len(packed)), tensor.WithBacking(l.packed))))
	sequences := G.NewMatrix(graph, tensor.Int, G.WithName("sequences"), G.WithShape(batch, shape.length),
		G.WithValue(tensor.New(tensor.WithShape(batch, shape.length), tensor.WithBacking(l.sequences))))
	coefficients := G.NewVector(graph, tensor.Float64, G.WithName("coefficients"), G.WithShape(batch),
		G.WithValue(tensor.New(tensor.WithShape(batch), tensor.WithBacking(l.coefficients))))
	loss, err := G.ApplyOp(lossOp{shape, l.known}, l.weights, sequences, coefficients)
	if err != nil {
		return nil, fmt.Errorf("enas: the loss does not fit its inputs: %w", err)
	}
	G.Read(loss, &l.loss)
	if _, err := G.Grad(loss, l.weights); err != nil {
		return nil, fmt.Errorf("enas: the gradient of the loss: %w", err)
	}
	l.machine = G.NewTapeMachine(graph, G.BindDualValues(l.weights))
	return l, nil
}

// set puts a sequence, sampled with the present weights, into the batch with
// its coefficient.
func (l *learner) set(b int, r *rollout, coefficient float64) {
	copy(l.sequences[b*l.length:(b+1)*l.length], r.seq)
	l.coefficients[b] = coefficient
	l.known.rollouts[b] = r
}

// step moves the weights once and returns the loss before the move.
func (l *learner) step() (float64, error) {
	if err := l.machine.RunAll(); err != nil {
		return 0, err
	}
	defer l.machine.Reset()
	loss, ok := l.loss.Data().(float64)
	if !ok {
		return 0, fmt.Errorf("the loss is %T, not a float64", l.loss.Data())
	}
	if err := l.solver.Step([]G.ValueGrad{l.weights}); err != nil {
		return 0, err
	}
	copy(l.known.packed, l.packed)
	clear(l.known.rollouts)
	return loss, nil
}

func (l *learner) close() error { return closeMachine(l.machine) }
