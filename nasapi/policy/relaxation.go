package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// relaxed are the settings of a continuous relaxation: the choices of an architecture
// have logits, the supernet mixes what could be chosen by their softmax, and the logits
// learn by the gradient of the validation loss. DARTS and FBNet differ in these alone.
type relaxed struct {
	name                string
	learningRate, decay float64 // of Adam on the logits
	order               int     // of the gradient; 0 for the default of the space
	edge                float64 // initial logit of each predecessor on NASBench-101
	samples             int     // architectures that are drawn after an epoch there
	// The temperature of the softmax falls by cooling an epoch from hot to coldest.
	hot, cooling, coldest float64
	noise                 bool // Gumbel noise on the logits
}

func (x *relaxed) Search(ctx context.Context, p *Problem) error {
	code, err := relaxedCodeOf(x.name, p.Space)
	if err != nil {
		return err
	}
	weights, err := p.shared(x.name)
	if err != nil {
		return err
	}
	r := &relaxation{relaxed: x, p: p, code: code, solver: adam{rate: x.learningRate, beta1: 0.5, beta2: 0.999, eps: 1e-8}}
	r.logits = code.initial(x.edge, p.Rand(x.name, "init"))
	if err := weights.Train(ctx, r); err != nil {
		return err
	}
	if len(r.pool) == 0 {
		return fmt.Errorf("%s: none of the %d architectures sampled after each epoch was in %s; raise samples", x.name, x.samples, p.Space)
	}
	_, err = evaluate(ctx, p, r.pool[0])
	return err
}

// relaxedCode says what the logits of a space stand for.
type relaxedCode interface {
	// layout has one entry for each vector of logits.
	layout() []relaxedVector
	// ones is the length of a last vector of the mixture, of ones that nothing learns; 0
	// where there is none.
	ones() int
	// initial are the logits of the beginning.
	initial(edge float64, s *rng.Stream) [][]float64
	// derive are the architectures that the logits prefer, the chosen one first, and how
	// many of the samples were in no table. logs are logarithms of probabilities.
	derive(logs [][]float64, samples int, s *rng.Stream) (pool []space.Arch, outside int)
	// rate is the logarithm of how likely an architecture is.
	rate(logs [][]float64, a space.Arch) (float64, bool)
	// order of the gradient by default.
	order() int
}

// relaxedVector is the choice that one vector of logits makes. The supernet mixes its
// options but the first hidden ones.
type relaxedVector struct{ options, hidden int }

func relaxedCodeOf(policy string, s space.Space) (relaxedCode, error) {
	switch s := s.(type) {
	case *space.NASBench:
		if s.MaxVertices() > 2 {
			return nasbenchCode{s}, nil
		}
	case *space.DARTSSpace:
		if s.Spec().Nodes == 4 {
			return dartsCode{s}, nil
		}
	}
	return nil, fmt.Errorf("%s: %s has no choices that a supernet could mix; nasbench101(max_vertices=3..7) and darts_space(nodes=4) have", policy, s)
}

func needsRelaxation(policy string) func(space.Space) error {
	return func(s space.Space) error {
		_, err := relaxedCodeOf(policy, s)
		return err
	}
}

// relaxation is the Sharer of a relaxed policy.
type relaxation struct {
	*relaxed
	p      *Problem
	code   relaxedCode
	logits [][]float64
	solver adam
	pool   []space.Arch // of the last epoch that gave one, the chosen one first
}

var _ Rater = (*relaxation)(nil)

// Step moves the logits along the gradient on validation images, then the weights.
func (r *relaxation) Step(_ context.Context, w Supernet, at Moment) error {
	if err := r.checkShape(w); err != nil {
		return err
	}
	// Each of the two forward passes has its noise.
	noise := r.p.RandAt(r.name, "noise", at)
	temperature := r.temperature(at.Epoch)
	probabilities := r.softmax(temperature, noise)
	grad, _, err := w.MixtureGrad(r.mixture(probabilities), r.unrolled())
	if err != nil {
		return err
	}
	if err := r.learn(r.chain(probabilities, grad, temperature)); err != nil {
		return err
	}
	_, err = w.TrainMixture(r.mixture(r.softmax(temperature, noise)))
	return err
}

func (r *relaxation) unrolled() bool {
	if r.order == 0 {
		return r.code.order() == 2
	}
	return r.order == 2
}

func (r *relaxation) checkShape(w Supernet) error {
	var want []int
	for _, v := range r.code.layout() {
		want = append(want, v.options-v.hidden)
	}
	if n := r.code.ones(); n > 0 {
		want = append(want, n)
	}
	if got := w.MixtureShape(); !slices.Equal(got, want) {
		return fmt.Errorf("%s: the supernet mixes vectors of %v options (none: it has single paths only); %s needs %v", r.name, got, r.p.Space, want)
	}
	return nil
}

// temperature of an epoch; FBNet's is max(5 exp(-0.045 epoch), 0.05).
func (x *relaxed) temperature(epoch int) float64 {
	return max(float64(x.hot*detmath.Exp(-float64(x.cooling*float64(epoch)))), x.coldest)
}

// softmax is what each option weighs: softmax((logits + noise) / temperature).
func (r *relaxation) softmax(temperature float64, s *rng.Stream) [][]float64 {
	out := make([][]float64, len(r.logits))
	for i, v := range r.logits {
		out[i] = make([]float64, len(v))
		for o, logit := range v {
			if r.noise {
				logit += gumbel(s)
			}
			out[i][o] = logit / temperature
		}
		softmaxInPlace(out[i])
	}
	return out
}

func softmaxInPlace(v []float64) {
	top, sum := slices.Max(v), 0.0
	for i, x := range v {
		v[i] = detmath.Exp(x - top)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}

// gumbel draws from the standard Gumbel distribution.
func gumbel(s *rng.Stream) float64 { return -detmath.Log(-detmath.Log(openUnit(s))) }

// openUnit is uniform in the open interval from 0 to 1.
func openUnit(s *rng.Stream) float64 {
	for {
		if u := s.Float64(); u > 0 {
			return u
		}
	}
}

// mixture is what the supernet mixes by.
func (r *relaxation) mixture(probabilities [][]float64) Mixture {
	var m Mixture
	for i, v := range r.code.layout() {
		m = append(m, slices.Clone(probabilities[i][v.hidden:]))
	}
	if n := r.code.ones(); n > 0 {
		m = append(m, slices.Repeat([]float64{1}, n))
	}
	return m
}

// chain is the gradient with respect to the logits, of which the mixture is a softmax:
// p_j (g_j - sum_k p_k g_k) / temperature, where options that are not mixed have g = 0.
// The noise of the draw is a constant to it.
func (r *relaxation) chain(probabilities [][]float64, grad Mixture, temperature float64) [][]float64 {
	out := make([][]float64, len(r.logits))
	for i, v := range r.code.layout() {
		g := make([]float64, v.options)
		copy(g[v.hidden:], grad[i])
		mean := 0.0
		for o, p := range probabilities[i] {
			mean += float64(p * g[o])
		}
		for o, p := range probabilities[i] {
			g[o] = float64(p*(g[o]-mean)) / temperature
		}
		out[i] = g
	}
	return out
}

// learn makes a step of Adam, with weight decay as part of the gradient.
func (r *relaxation) learn(grad [][]float64) error {
	if err := r.solver.begin(len(grad)); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	for i, g := range grad {
		for o := range g {
			g[o] += float64(r.decay * r.logits[i][o])
			if math.IsNaN(g[o]) || math.IsInf(g[o], 0) {
				return fmt.Errorf("%s: the gradient of the validation loss is %v; the weights diverged: lower their learning rate", r.name, g[o])
			}
		}
		r.solver.update(i, r.logits[i], g)
	}
	return nil
}

// EndEpoch derives the pool from the logits, after the epoch's training.
func (r *relaxation) EndEpoch(_ context.Context, _ Supernet, at Moment) error {
	logs := r.logs()
	pool, outside := r.code.derive(logs, r.samples, r.p.RandAt(r.name, "derive", at))
	if len(pool) > 0 {
		r.pool = pool
	}
	r.p.log("logits", map[string]float64{
		"epoch": float64(at.Epoch), "entropy": meanEntropy(logs), "temperature": r.temperature(at.Epoch),
		"pool": float64(len(r.pool)), "outside": float64(outside),
	})
	return nil
}

// logs are the logarithms of the softmax, without noise and at temperature 1.
func (r *relaxation) logs() [][]float64 {
	out := make([][]float64, len(r.logits))
	for i, v := range r.logits {
		sum := detmath.LogSumExp(v)
		for _, logit := range v {
			out[i] = append(out[i], logit-sum)
		}
	}
	return out
}

// meanEntropy is the mean over the choices of their entropy, in nats.
func meanEntropy(logs [][]float64) float64 {
	sum := 0.0
	for _, v := range logs {
		for _, l := range v {
			sum -= float64(detmath.Exp(l) * l)
		}
	}
	return sum / float64(len(logs))
}

func (r *relaxation) Pool() []space.Arch { return slices.Clone(r.pool) }

func (r *relaxation) Rate(a space.Arch) (float64, bool) { return r.code.rate(r.logs(), a) }

// relaxationState is the written form of a relaxation.
type relaxationState struct {
	Logits  [][]float64       `json:"logits"`
	Powers  [2]float64        `json:"powers"`  // of Adam's betas
	Moments [][2][]float64    `json:"moments"` // of Adam, by vector
	Pool    []json.RawMessage `json:"pool"`
}

func (r *relaxation) State() ([]byte, error) {
	s := relaxationState{
		Logits: r.logits, Powers: [2]float64{r.solver.power1, r.solver.power2}, Moments: r.solver.moments,
		Pool: make([]json.RawMessage, len(r.pool)),
	}
	for i, a := range r.pool {
		raw, err := a.MarshalJSON()
		if err != nil {
			return nil, err
		}
		s.Pool[i] = raw
	}
	return json.Marshal(s)
}

func (r *relaxation) Restore(state []byte) error {
	var s relaxationState
	if err := json.Unmarshal(state, &s); err != nil {
		return fmt.Errorf("%s: the state of the policy: %w", r.name, err)
	}
	if !r.fits(s) {
		return fmt.Errorf("%s: the state of the policy is not one of %s", r.name, r.p.Space)
	}
	pool, err := parseAll(r.p.Space, s.Pool)
	if err != nil {
		return fmt.Errorf("%s: the state of the policy: %w", r.name, err)
	}
	r.logits, r.pool = s.Logits, pool
	r.solver.power1, r.solver.power2, r.solver.moments = s.Powers[0], s.Powers[1], s.Moments
	return nil
}

// fits looks at the lengths of what was read.
func (r *relaxation) fits(s relaxationState) bool {
	layout := r.code.layout()
	if len(s.Logits) != len(layout) || s.Moments != nil && len(s.Moments) != len(layout) {
		return false
	}
	for i, v := range layout {
		if len(s.Logits[i]) != v.options {
			return false
		}
		if s.Moments != nil && (len(s.Moments[i][0]) != v.options || len(s.Moments[i][1]) != v.options) {
			return false
		}
	}
	return true
}

// gaussian draws from the standard normal distribution (Marsaglia's polar method).
func gaussian(s *rng.Stream) float64 {
	for {
		x, y := float64(2*s.Float64())-1, float64(2*s.Float64())-1
		square := float64(x*x) + float64(y*y)
		if square > 0 && square < 1 {
			return float64(x * math.Sqrt(float64(-2*detmath.Log(square))/square))
		}
	}
}
