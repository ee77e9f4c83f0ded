package shared

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// spied is a Weights that tells what a policy trains on.
type spied struct {
	*Trainer
	steps []spiedStep
}

// spiedStep is one step: its images, and the hashes of its paths.
type spiedStep struct {
	images []int
	x      []float32
	paths  []space.Arch
}

type spy struct {
	policy.Sharer
	on *spied
}

type spiedNet struct {
	policy.Supernet
	paths *[]space.Arch
}

func (n spiedNet) TrainPaths(paths ...space.Arch) (policy.Accuracy, error) {
	*n.paths = append(*n.paths, paths...)
	return n.Supernet.TrainPaths(paths...)
}

func (s *spied) Train(ctx context.Context, with policy.Sharer) error {
	return s.Trainer.Train(ctx, &spy{with, s})
}

func (s *spy) Step(ctx context.Context, w policy.Supernet, at policy.Moment) error {
	h := w.(*handed)
	step := spiedStep{images: slices.Clone(h.batch.Images), x: slices.Clone(h.batch.X)}
	err := s.Sharer.Step(ctx, spiedNet{w, &step.paths}, at)
	s.on.steps = append(s.on.steps, step)
	return err
}

// Substitute keeps what the policy may have hidden behind the Sharer.
func (s *spy) Substitute(a space.Arch) space.Arch {
	if other, ok := s.Sharer.(policy.Substituter); ok {
		return other.Substitute(a)
	}
	return a
}

// searched runs a whole search and is its values, by architecture, with what it trained on.
func searched(t *testing.T, job Job, params policy.Config) (*spied, map[string]float64) {
	t.Helper()
	info, err := policy.Lookup(job.Policy)
	if err != nil {
		t.Fatal(err)
	}
	p, err := info.New(params)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := New(job)
	if err != nil {
		t.Fatal(err)
	}
	s := &spied{Trainer: trainer}
	values := map[string]float64{}
	err = p.Search(t.Context(), &policy.Problem{
		Space: job.Space, Budget: math.MaxInt32, Unit: true, Seed: job.Seed, Weights: s,
		Evaluate: func(a space.Arch) (float64, error) {
			got, err := trainer.Evaluate(t.Context(), a, 0)
			values[a.Hash()] = got.Share()
			return got.Share(), err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, values
}

var fourVertices = space.Spec{Name: "nasbench101", MaxVertices: 4}

// TestImagesOfPolicies: with one seed all policies are trained on the same images in the
// same order, augmented alike, none of which is validated on; what they draw is their own.
func TestImagesOfPolicies(t *testing.T) {
	sp := spaceOf(t, fourVertices)
	var first *spied
	paths := map[string]string{}
	for name, params := range map[string]policy.Config{"spos": nil, "random": nil, "fairnas": nil, "enas": {"controller_steps": 1}, "nao": {"pool": 10, "predictor_epochs": 1}} {
		job := small(t, name, sp)
		job.Config.Dropout, job.Config.DropPath = 0, 0
		s, _ := searched(t, job, params)
		if first == nil {
			first = s
		}
		if len(s.steps) != 8 {
			t.Fatalf("%s: %d steps, want 2 epochs of 4", name, len(s.steps))
		}
		text := ""
		for i, step := range s.steps {
			if !slices.Equal(step.images, first.steps[i].images) || !slices.Equal(step.x, first.steps[i].x) {
				t.Errorf("%s: step %d is on other images than %s's", name, i+1, first.Job.Policy)
			}
			for _, image := range step.images {
				if slices.Contains(s.parts.Valid, image) || image >= job.Data.TrainN {
					t.Errorf("%s: step %d trains on image %d, which is not of those to train on", name, i+1, image)
				}
			}
			for _, a := range step.paths {
				text += a.Hash()
			}
			if name == "fairnas" {
				fair(t, step.paths)
			}
		}
		for other, drawn := range paths {
			if drawn == text {
				t.Errorf("%s and %s draw the same paths", name, other)
			}
		}
		paths[name] = text
		each := map[int]int{}
		for _, step := range s.steps[:4] {
			for _, image := range step.images {
				each[image]++
			}
		}
		if len(each) != 64 {
			t.Errorf("%s: %d different images in an epoch of 64", name, len(each))
		}
	}
}

// fair holds a step of FairNAS to strict fairness.
func fair(t *testing.T, paths []space.Arch) {
	t.Helper()
	counts := map[string]int{}
	for _, a := range paths {
		c := a.(*space.Cell)
		for v, op := range c.Ops()[1 : c.Vertices()-1] {
			counts[fmt.Sprint(v, op)]++
		}
	}
	for what, n := range counts {
		if n != 1 {
			t.Errorf("FairNAS trains %s %d times in a step", what, n)
		}
	}
}

// TestTestImagesAreNotLookedAt: nothing hangs on their labels, of which there are no such
// classes, or on their pixels.
func TestTestImagesAreNotLookedAt(t *testing.T) {
	for name, sp := range map[string]space.Spec{"spos": fourVertices, "darts": fourVertices, "enas": {Name: "darts", Nodes: 5}} {
		var reports []*Report
		var states []net.State
		var all []map[string]float64
		for poisoned := range 2 {
			job := small(t, name, spaceOf(t, sp))
			job.Config.FineTune = 1
			if poisoned == 1 {
				for i := job.Data.TrainN; i < job.Data.N(); i++ {
					job.Data.Labels[i] = 60_000
				}
				size := job.Data.ImageBytes()
				for i := job.Data.TrainN * size; i < len(job.Data.Pixels); i++ {
					job.Data.Pixels[i] ^= 0xff
				}
			}
			params := policy.Config{}
			if name == "enas" {
				params = policy.Config{"controller_steps": 1, "final_pool": 3, "final_samples": 1}
			}
			s, values := searched(t, job, params)
			r := s.Result()
			r.Seconds = 0
			for i := range r.Curve {
				r.Curve[i].Seconds = 0
			}
			reports, states, all = append(reports, r), append(states, s.net.State()), append(all, values)
		}
		if !reflect.DeepEqual(reports[0], reports[1]) || !reflect.DeepEqual(states[0], states[1]) || !reflect.DeepEqual(all[0], all[1]) {
			t.Errorf("%s: other test images, other results: %+v and %+v", name, reports[0], reports[1])
		}
	}
}

// TestValidationIsPlain: validation images are as they are in the file, whatever is done to
// those that are trained on, and come in one order.
func TestValidationIsPlain(t *testing.T) {
	sp := spaceOf(t, fourVertices)
	a := sp.Sample(rng.New(1, "test"))
	var all []policy.Accuracy
	for _, augment := range []func(*data.Augment){
		func(*data.Augment) {}, func(g *data.Augment) { g.Pad, g.Flip = 0, false }, func(g *data.Augment) { g.Pad, g.Cutout = 3, 4 },
	} {
		job := small(t, "spos", sp)
		augment(&job.Config.Augment)
		trainer, err := New(job)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := trainer.Evaluate(t.Context(), a, 0)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, got)
		}
		h := &handed{t: trainer, ctx: t.Context()}
		var parts policy.Accuracy
		for batch := range h.ValidBatches() {
			got, err := h.Validate(a, batch)
			if err != nil {
				t.Fatal(err)
			}
			parts = plus(parts, got)
		}
		all = append(all, parts)
		if !slices.IsSorted(trainer.valid.all) || len(trainer.valid.all) != 32 || !slices.Equal(trainer.valid.all, trainer.parts.Valid) {
			t.Errorf("the validation images are %v", trainer.valid.all)
		}
		for _, batch := range []int{-1, h.ValidBatches()} {
			if _, err := h.Validate(a, batch); err == nil {
				t.Errorf("there is a validation batch %d", batch)
			}
		}
	}
	for _, got := range all {
		if got != all[0] || got.Images != 32 {
			t.Errorf("evaluations of one architecture under one set of weights gave %+v", all)
			break
		}
	}
}

// TestFineTuningLeavesNoTrace: the search ends as it does without it.
func TestFineTuningLeavesNoTrace(t *testing.T) {
	sp := spaceOf(t, fourVertices)
	plain, values := searched(t, small(t, "spos", sp), nil)
	job := small(t, "spos", sp)
	job.Config.FineTune = 3
	tuned, others := searched(t, job, nil)
	if !reflect.DeepEqual(values, others) {
		t.Error("other values of the final evaluation")
	}
	if !reflect.DeepEqual(plain.net.State(), tuned.net.State()) {
		t.Error("other weights")
	}
	if plain.state.Steps != tuned.state.Steps || !reflect.DeepEqual(plain.state.Sum, tuned.state.Sum) {
		t.Errorf("%d steps and %+v, then %d and %+v", plain.state.Steps, plain.state.Sum, tuned.state.Steps, tuned.state.Sum)
	}
	a, b := plain.Result().Rankings, tuned.Result().Rankings
	if len(b) != len(a)+1 || !reflect.DeepEqual(a, b[:len(a)]) {
		t.Fatalf("the rankings are %+v, without fine-tuning %+v", b, a)
	}
	last := b[len(b)-1]
	if last.Pool != FineTuned || len(last.Accuracy) != 4 || reflect.DeepEqual(last.Loss, b[len(b)-3].Loss) {
		t.Errorf("the fine-tuned ranking is %+v", last)
	}
}

// substituting is a policy of paths that has one architecture run for all.
type substituting struct {
	walker
	runs space.Arch
}

func (s *substituting) Substitute(space.Arch) space.Arch { return s.runs }

// TestSubstitute: where a policy evaluates another architecture, validation, rankings and
// the final evaluation all do.
func TestSubstitute(t *testing.T) {
	sp := spaceOf(t, fourVertices)
	draws := rng.New(5, "test")
	never := func(policy.Moment) {}
	plain := mustTrain(t, small(t, "spos", sp), &walker{space: sp, seed: 3, stop: never})
	runs := sp.Sample(draws)
	s := &substituting{walker{space: sp, seed: 3, stop: never}, runs}
	trainer := mustTrain(t, small(t, "spos", sp), s)
	if !reflect.DeepEqual(plain.net.State(), trainer.net.State()) {
		t.Fatal("what is evaluated changes the weights")
	}
	want, err := plain.Evaluate(t.Context(), runs, 0)
	if err != nil {
		t.Fatal(err)
	}
	last := trainer.Result().Rankings[len(trainer.Result().Rankings)-2]
	for i, got := range last.Loss {
		if got != want.Loss {
			t.Errorf("architecture %d of the fixed pool has the loss %v, that of what runs is %v", i, got, want.Loss)
		}
	}
	for range 5 {
		if got, err := trainer.Evaluate(t.Context(), sp.Sample(draws), 0); err != nil || got != want {
			t.Errorf("evaluated to %+v, %v; what runs to %+v", got, err, want)
		}
	}
}

// TestFairNASAsPublished: what it trained is evaluated with other operations, so the same
// weights give other values.
func TestFairNASAsPublished(t *testing.T) {
	sp := spaceOf(t, fourVertices)
	meant, values := searched(t, small(t, "fairnas", sp), policy.Config{"refresh": 0})
	published, others := searched(t, small(t, "fairnas", sp), policy.Config{"refresh": 0, "as_published": true})
	if !reflect.DeepEqual(meant.net.State(), published.net.State()) {
		t.Error("the defect changes the weights, which it does not in the reference")
	}
	if reflect.DeepEqual(values, others) || len(values) != len(others) {
		t.Errorf("the defect does not show: %v and %v", values, others)
	}
}

// TestPathsOfOtherSpaces: a supernet says what it has paths for.
func TestPathsOfOtherSpaces(t *testing.T) {
	specs := []space.Spec{fourVertices, {Name: "darts", Nodes: 4}, {Name: "darts", Nodes: 5}}
	wants := []string{"cells of NASBench-101", "darts_space(nodes=4)", "darts_space(nodes=5)"}
	for i, spec := range specs {
		trainer, err := New(small(t, "random", spaceOf(t, spec)))
		if err != nil {
			t.Fatal(err)
		}
		for k, other := range specs {
			_, err := trainer.Evaluate(t.Context(), spaceOf(t, other).Sample(rng.New(1, "test")), 0)
			if i == k && err != nil {
				t.Error(err)
			}
			if i != k && (err == nil || i*k == 0 && !strings.Contains(err.Error(), wants[i])) {
				t.Errorf("an architecture of %v in the supernet of %v: %v", other, spec, err)
			}
		}
	}
	large := spaceOf(t, space.Spec{Name: "nasbench101", MaxVertices: 7})
	trainer, err := New(small(t, "random", spaceOf(t, fourVertices)))
	if err != nil {
		t.Fatal(err)
	}
	if a := large.Sample(rng.New(2, "test")); a.(*space.Cell).Vertices() < 5 {
		t.Fatalf("%v is too small for the test", a)
	} else if _, err := trainer.Evaluate(t.Context(), a, 0); err == nil || !strings.Contains(err.Error(), "sample from nasbench101(max_vertices=4)") {
		t.Errorf("%v in the supernet of 4 vertices: %v", a, err)
	}
}
