package shared

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"

	"evalnas/nasapi/data"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// small is a job on made-up images that takes a moment.
func small(t *testing.T, policyName string, sp space.Space) Job {
	t.Helper()
	set, err := data.Synthetic(data.SyntheticSpec{TrainN: 96, TestN: 16, H: 8, W: 8})
	if err != nil {
		t.Fatal(err)
	}
	dev, err := cpu.New(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	cfg, err := Default(policyName, sp, set)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Epochs, cfg.Batch, cfg.ValidBatch, cfg.Channels, cfg.Cells, cfg.SaveEvery, cfg.Pool = 2, 16, 16, 4, 3, 1, 4
	cfg.Split = data.Split{TrainN: 64, ValidN: 32}
	cfg.Augment.Pad = 1
	return Job{Device: dev, Space: sp, Policy: policyName, Data: set, Config: cfg, Seed: 7}
}

func spaceOf(t *testing.T, spec space.Spec) space.Space {
	t.Helper()
	sp, err := space.FromSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	return sp
}

// mixer is a policy of mixtures: it moves a mixture against its gradient.
type mixer struct {
	Mixture  policy.Mixture
	Unrolled bool
	Losses   []float64
}

func (m *mixer) Step(_ context.Context, w policy.Supernet, _ policy.Moment) error {
	if m.Mixture == nil {
		for _, n := range w.MixtureShape() {
			v := make([]float64, n)
			for i := range v {
				v[i] = 1 / float64(n)
			}
			m.Mixture = append(m.Mixture, v)
		}
	}
	grad, _, err := w.MixtureGrad(m.Mixture, m.Unrolled)
	if err != nil {
		return err
	}
	for v := range grad {
		for i := range grad[v] {
			m.Mixture[v][i] -= 0.1 * grad[v][i]
		}
	}
	got, err := w.TrainMixture(m.Mixture)
	m.Losses = append(m.Losses, got.Loss)
	return err
}

func (m *mixer) EndEpoch(context.Context, policy.Supernet, policy.Moment) error { return nil }
func (m *mixer) Pool() []space.Arch                                             { return nil }
func (m *mixer) State() ([]byte, error)                                         { return json.Marshal(m) }
func (m *mixer) Restore(b []byte) error                                         { return json.Unmarshal(b, m) }

// walker is a policy of paths: it trains drawn ones and validates after each epoch.
type walker struct {
	space   space.Space
	seed    int64
	Paths   []string
	Correct []int
	pool    []space.Arch
	stop    func(policy.Moment) // before each call
}

func (m *walker) Step(_ context.Context, w policy.Supernet, at policy.Moment) error {
	m.stop(at)
	draws := rng.New(m.seed+int64(at.Epoch*at.Steps+at.Step), "test")
	a, b := m.space.Sample(draws), m.space.Sample(draws)
	m.Paths = append(m.Paths, a.Hash(), b.Hash())
	_, err := w.TrainPaths(a, b)
	return err
}

func (m *walker) EndEpoch(_ context.Context, w policy.Supernet, at policy.Moment) error {
	for batch := range w.ValidBatches() {
		m.stop(at)
		got, err := w.Validate(m.Pool()[0], batch)
		if err != nil {
			return err
		}
		m.Correct = append(m.Correct, got.Correct)
	}
	return nil
}

func (m *walker) Pool() []space.Arch {
	if m.pool == nil {
		draws := rng.New(m.seed, "pool")
		m.pool = []space.Arch{m.space.Sample(draws), m.space.Sample(draws), m.space.Sample(draws)}
	}
	return m.pool
}
func (m *walker) State() ([]byte, error) { return json.Marshal(m) }
func (m *walker) Restore(b []byte) error { return json.Unmarshal(b, m) }

// TestResumed stops a training at every moment, inside epochs' ends too, and goes on from
// what was saved: weights, policy and rankings are those of the unbroken run.
func TestResumed(t *testing.T) {
	for _, spec := range []space.Spec{{Name: "nasbench101", MaxVertices: 4}, {Name: "darts", Nodes: 4}} {
		sp := spaceOf(t, spec)
		never := func(policy.Moment) {}
		want := &walker{space: sp, seed: 3, stop: never}
		whole := mustTrain(t, small(t, "spos", sp), want)
		calls := 0
		counting := &walker{space: sp, seed: 3, stop: func(policy.Moment) { calls++ }}
		mustTrain(t, small(t, "spos", sp), counting)
		for stopAt := range calls {
			job := small(t, "spos", sp)
			job.Every = 1 << 62
			job.Save = func(b []byte) error { job.Restore = append([]byte(nil), b...); return nil }
			ctx, stop := context.WithCancel(t.Context())
			n := 0
			first := &walker{space: sp, seed: 3, stop: func(policy.Moment) {
				if n == stopAt {
					stop()
				}
				n++
			}}
			trainer, err := New(job)
			if err != nil {
				t.Fatal(err)
			}
			if err := trainer.Train(ctx, first); !errors.Is(err, context.Canceled) && stopAt < calls-1 {
				t.Fatalf("stopped at call %d: %v", stopAt, err)
			}
			again := &walker{space: sp, seed: 3, stop: never}
			resumed := mustTrain(t, job, again)
			if !reflect.DeepEqual(resumed.net.State(), whole.net.State()) {
				t.Fatalf("%v: stopped at call %d: other weights", sp, stopAt)
			}
			if !reflect.DeepEqual(again.Paths, want.Paths) || !reflect.DeepEqual(again.Correct, want.Correct) {
				t.Fatalf("%v: stopped at call %d: the policy went another way: %v and %v", sp, stopAt, again.Correct, want.Correct)
			}
			if !reflect.DeepEqual(resumed.Result().Rankings, whole.Result().Rankings) {
				t.Fatalf("%v: stopped at call %d: other rankings", sp, stopAt)
			}
		}
	}
}

func mustTrain(t *testing.T, job Job, s policy.Sharer) *Trainer {
	t.Helper()
	trainer, err := New(job)
	if err != nil {
		t.Fatal(err)
	}
	if err := trainer.Train(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return trainer
}

// TestUnrolledGradient: the second-order gradient is that of the validation loss after a
// virtual step, and leaves no trace in the weights.
func TestUnrolledGradient(t *testing.T) {
	sp := spaceOf(t, space.Spec{Name: "darts", Nodes: 4})
	job := small(t, "darts", sp)
	// Enough pixels that single ReLUs that turn over do not count.
	set, err := data.Synthetic(data.SyntheticSpec{TrainN: 512, TestN: 16, H: 16, W: 16})
	if err != nil {
		t.Fatal(err)
	}
	job.Data, job.Config.Batch, job.Config.Channels, job.Config.Cells = set, 128, 8, 1
	job.Config.Split = data.Split{TrainN: 256, ValidN: 256}
	trainer, err := New(job)
	if err != nil {
		t.Fatal(err)
	}
	probe := &prober{t: t, trainer: trainer}
	if err := trainer.Train(t.Context(), probe); err != nil && !errors.Is(err, errProbed) {
		t.Fatal(err)
	}
}

var errProbed = errors.New("probed")

// prober compares the unrolled gradient with slopes of the validation loss after the
// virtual step, in its second step, when there is momentum.
type prober struct {
	mixer
	t       *testing.T
	trainer *Trainer
}

func (p *prober) Step(ctx context.Context, w policy.Supernet, at policy.Moment) error {
	if at.Step < 1 {
		return p.mixer.Step(ctx, w, at)
	}
	h := w.(*handed)
	before := p.trainer.weights()
	grad, _, err := w.MixtureGrad(p.Mixture, true)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(before, p.trainer.weights()) {
		p.t.Error("the weights moved")
	}
	virtualOf := func(m policy.Mixture) [][]float32 {
		defer p.trainer.forgetGradients()
		if _, _, err := h.mixed(nn.Recalibrate, m, h.trainImages()); err != nil {
			p.t.Fatal(err)
		}
		return p.trainer.virtualStep(before, p.trainer.Config.rate(at.Epoch))
	}
	virtual := func() [][]float32 { return virtualOf(p.Mixture) }
	loss := func(m policy.Mixture) float64 {
		defer func() { p.trainer.setWeights(before); p.trainer.forgetGradients() }()
		p.trainer.setWeights(virtualOf(m))
		got, _, err := h.mixed(nn.Recalibrate, m, h.validImages())
		if err != nil {
			p.t.Fatal(err)
		}
		return got.Loss
	}
	p.trainer.setWeights(virtual())
	_, direct, err := h.mixed(nn.Recalibrate, p.Mixture, h.validImages())
	p.trainer.setWeights(before)
	p.trainer.forgetGradients()
	if err != nil {
		return err
	}
	// Along the implicit part the slope is that of the direct part and the length of the
	// implicit one.
	length, along := 0.0, 0.0
	for v := range grad {
		for i := range grad[v] {
			length += (grad[v][i] - direct[v][i]) * (grad[v][i] - direct[v][i])
		}
	}
	length = math.Sqrt(length)
	shifted := func(by float64) policy.Mixture {
		m := make(policy.Mixture, len(p.Mixture))
		for v := range m {
			m[v] = append([]float64(nil), p.Mixture[v]...)
			for i := range m[v] {
				m[v][i] += by * (grad[v][i] - direct[v][i]) / length
			}
		}
		return m
	}
	for v := range grad {
		for i := range grad[v] {
			along += direct[v][i] * (grad[v][i] - direct[v][i]) / length
		}
	}
	const eps = 0.05
	slope := (loss(shifted(eps)) - loss(shifted(-eps))) / (2 * eps)
	p.t.Logf("slope %.4f: direct %.4f, implicit %.4f", slope, along, length)
	if math.Abs(slope-along-length) > 0.15*length {
		p.t.Errorf("the slope along the implicit part is %v; the gradient says %v and %v", slope, along, length)
	}
	return errProbed
}

// frozenProbe compares MixtureGrad, of both orders, with passes that work out the gradients
// of the weights too, as it did before there were others.
type frozenProbe struct {
	mixer
	t       *testing.T
	trainer *Trainer
	steps   int
}

func (p *frozenProbe) Step(ctx context.Context, w policy.Supernet, at policy.Moment) error {
	if p.Mixture != nil {
		p.steps++
		h := w.(*handed)
		_, want, err := h.mixed(nn.Recalibrate, p.Mixture, h.validImages())
		p.trainer.forgetGradients()
		if err != nil {
			return err
		}
		grad, _, err := w.MixtureGrad(p.Mixture, false)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(grad, want) {
			p.t.Errorf("the gradient is %v, not %v", grad, want)
		}
		for _, q := range p.trainer.net.Params() {
			if q.Touched {
				p.t.Errorf("the gradient of the mixture touched %s", q.Name)
			}
		}
	}
	return p.mixer.Step(ctx, w, at)
}

// TestMixtureGradLeavesTheWeightsAlone: it is worked out without gradients of the
// weights, and has the same bits.
func TestMixtureGradLeavesTheWeightsAlone(t *testing.T) {
	for _, spec := range []space.Spec{{Name: "darts", Nodes: 4}, {Name: "nasbench101", MaxVertices: 5}} {
		trainer, err := New(small(t, "darts", spaceOf(t, spec)))
		if err != nil {
			t.Fatal(err)
		}
		probe := &frozenProbe{t: t, trainer: trainer}
		if err := trainer.Train(t.Context(), probe); err != nil {
			t.Fatal(err)
		}
		if probe.steps == 0 {
			t.Errorf("%v: nothing was compared", spec)
		}
	}
}
