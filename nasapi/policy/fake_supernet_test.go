package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/space"
)

// fakeMix is a training of shared weights that has no weights: it asks a Sharer for what
// a real one would, writes down what it was given, and answers from an objective. It can
// be killed after any step or epoch and go on from the state that was kept there.
type fakeMix struct {
	epochs, steps int
	// share is the accuracy of an architecture, 0 to 1, to within a thousandth.
	share func(a space.Arch) float64
	shape []int
	// slope is the gradient of the loss with respect to the mixture, which is linear.
	slope Mixture

	stopAt int        // calls of the Sharer until it is killed; 0 for never
	from   *fakePoint // where an earlier one was killed

	trained  [][]string // hashes that each step trained
	paths    [][]space.Arch
	mixtures []Mixture // of all steps
	graded   []Mixture // of all gradients
	unrolled int       // gradients that were to be of second order
	looked   []fakeLook
	pools    [][]string // hashes after every epoch
	kept     *fakePoint
	sharer   Sharer
}

type fakeLook struct {
	hash  string
	batch int
}

// fakePoint is what a checkpoint has.
type fakePoint struct {
	calls int
	state []byte
}

var errFakeKilled = errors.New("killed by the test")

const fakeValidBatches = 3

func (f *fakeMix) Train(ctx context.Context, s Sharer) error {
	f.sharer = s
	first := 0
	if f.from != nil {
		if err := s.Restore(f.from.state); err != nil {
			return err
		}
		first = f.from.calls
	}
	// A call is a step, or the end of an epoch after its last step.
	for call := first; call < f.epochs*(f.steps+1); call++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := Moment{Epoch: call / (f.steps + 1), Epochs: f.epochs, Step: call % (f.steps + 1), Steps: f.steps}
		if err := f.call(ctx, s, at); err != nil {
			return err
		}
		if f.stopAt == call+1 {
			state, err := s.State()
			f.kept = &fakePoint{call + 1, state}
			return errors.Join(errFakeKilled, err)
		}
	}
	return nil
}

func (f *fakeMix) call(ctx context.Context, s Sharer, at Moment) error {
	if at.Step == at.Steps {
		if err := s.EndEpoch(ctx, (*fakeMixNet)(f), at); err != nil {
			return err
		}
		f.pools = append(f.pools, hashesOf(s.Pool()))
		return nil
	}
	before := len(f.trained) + len(f.mixtures)
	if err := s.Step(ctx, (*fakeMixNet)(f), at); err != nil {
		return err
	}
	if len(f.trained)+len(f.mixtures) != before+1 {
		return fmt.Errorf("step %+v trained %d times, not once", at, len(f.trained)+len(f.mixtures)-before)
	}
	return nil
}

func hashesOf(list []space.Arch) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.Hash())
	}
	return out
}

// fakeMixNet is the supernet of a fakeMix.
type fakeMixNet fakeMix

func (n *fakeMixNet) TrainPaths(paths ...space.Arch) (Accuracy, error) {
	n.trained = append(n.trained, hashesOf(paths))
	n.paths = append(n.paths, slices.Clone(paths))
	return Accuracy{Images: 8 * len(paths), Loss: 1}, nil
}

func (n *fakeMixNet) ValidBatches() int { return fakeValidBatches }

func (n *fakeMixNet) Validate(a space.Arch, batch int) (Accuracy, error) {
	if batch < 0 || batch >= fakeValidBatches {
		return Accuracy{}, fmt.Errorf("validation batch %d of %d", batch, fakeValidBatches)
	}
	n.looked = append(n.looked, fakeLook{a.Hash(), batch})
	return Accuracy{Images: 1000, Correct: int(1000 * n.share(a)), Loss: 1 - n.share(a)}, nil
}

func (n *fakeMixNet) MixtureShape() []int { return n.shape }

func (n *fakeMixNet) checkMixture(m Mixture) error {
	if len(m) != len(n.shape) {
		return fmt.Errorf("a mixture of %d vectors, not %d", len(m), len(n.shape))
	}
	for i, v := range m {
		if len(v) != n.shape[i] {
			return fmt.Errorf("vector %d of the mixture has %d weights, not %d", i, len(v), n.shape[i])
		}
	}
	return nil
}

func (n *fakeMixNet) TrainMixture(m Mixture) (Accuracy, error) {
	n.mixtures = append(n.mixtures, cloneMixture(m))
	return Accuracy{Images: 8}, n.checkMixture(m)
}

func (n *fakeMixNet) MixtureGrad(m Mixture, unrolled bool) (Mixture, Accuracy, error) {
	n.graded = append(n.graded, cloneMixture(m))
	if unrolled {
		n.unrolled++
	}
	return cloneMixture(n.slope), Accuracy{Images: 8}, n.checkMixture(m)
}

func cloneMixture(m Mixture) Mixture {
	out := make(Mixture, len(m))
	for i, v := range m {
		out[i] = slices.Clone(v)
	}
	return out
}

// share runs a policy on shared weights and returns what was evaluated at the end. The
// architecture that Evaluate is asked for is run as the Sharer says.
func share(t testing.TB, name string, cfg Config, s space.Space, seed int64, f *fakeMix) *run {
	t.Helper()
	p, r := problem(s, seed, 1<<30, func(a space.Arch) float64 {
		if sub, ok := f.sharer.(Substituter); ok {
			a = sub.Substitute(a)
		}
		return f.share(a)
	})
	p.Weights = f
	info, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := info.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.err = pol.Search(context.Background(), p); r.err != nil && !errors.Is(r.err, errFakeKilled) {
		t.Fatalf("%s: %v", name, r.err)
	}
	return r
}

// sharingCases are the policies that train shared weights, with spaces to train in.
func sharingCases(t *testing.T, f func(t *testing.T, info *Info, s space.Space)) {
	for _, info := range All() {
		if !slices.Contains([]string{"spos", "fairnas", "random", "darts", "fbnet"}, info.Name) {
			continue
		}
		for _, s := range []space.Space{nasbench(t, 3), nasbench(t, 4), nasbench(t, 7), darts(t, 4)} {
			if info.Needs(s) == nil {
				t.Run(info.Name+"/"+s.String(), func(t *testing.T) { f(t, info, s) })
			}
		}
	}
}

// fresh is a fakeMix of a space with 4 epochs of 5 steps, in which rugged decides.
func fresh(s space.Space) *fakeMix {
	f := &fakeMix{epochs: 4, steps: 5, share: rugged, shape: mixtureShapeOf(s)}
	f.slope = make(Mixture, len(f.shape))
	for i, n := range f.shape {
		for o := range n {
			f.slope[i] = append(f.slope[i], float64((7*i+3*o)%5)-2)
		}
	}
	return f
}

// mixtureShapeOf is the layout that Mixture documents.
func mixtureShapeOf(s space.Space) []int {
	var shape []int
	switch s := s.(type) {
	case *space.NASBench:
		n := s.MaxVertices() - 2
		for v := range n {
			shape = append(shape, v+1)
		}
		for range n {
			shape = append(shape, 3)
		}
		return append(shape, n+1)
	case *space.DARTSSpace:
		for range 2 * 14 {
			shape = append(shape, 8)
		}
	}
	return shape
}

// A training that was killed after any step or epoch and resumed from what its Sharer
// kept asks the same of the supernet, and ends with the same choice.
func TestKilledAndResumed(t *testing.T) {
	sharingCases(t, func(t *testing.T, info *Info, s space.Space) {
		cfg := Config{}
		for _, p := range info.Params {
			if p.Name == "refresh" {
				cfg["refresh"] = 1
			}
		}
		whole := fresh(s)
		want := share(t, info.Name, cfg, s, 1268, whole)
		for stop := 1; stop <= whole.epochs*(whole.steps+1); stop++ {
			first, second := fresh(s), fresh(s)
			first.stopAt = stop
			share(t, info.Name, cfg, s, 1268, first)
			second.from = first.kept
			got := share(t, info.Name, cfg, s, 1268, second)
			for _, c := range []struct{ what, got, want string }{
				{"paths", fmt.Sprint(first.trained, second.trained), fmt.Sprint(whole.trained[:len(first.trained)], whole.trained[len(first.trained):])},
				{"mixtures", fmt.Sprint(slices.Concat(first.mixtures, second.mixtures)), fmt.Sprint(whole.mixtures)},
				{"gradients", fmt.Sprint(slices.Concat(first.graded, second.graded)), fmt.Sprint(whole.graded)},
				{"validations", fmt.Sprint(slices.Concat(first.looked, second.looked)), fmt.Sprint(whole.looked)},
				{"pools", fmt.Sprint(slices.Concat(first.pools, second.pools)), fmt.Sprint(whole.pools)},
				{"evaluations", fmt.Sprint(got.hashes), fmt.Sprint(want.hashes)},
			} {
				if c.got != c.want {
					t.Fatalf("killed after call %d: other %s than unbroken", stop, c.what)
				}
			}
		}
	})
}

func TestSharingSeedsDiffer(t *testing.T) {
	sharingCases(t, func(t *testing.T, info *Info, s space.Space) {
		if s.String() == "nasbench101(max_vertices=3)" {
			return // seven cells are soon the same
		}
		a, b, c := fresh(s), fresh(s), fresh(s)
		trace := func(f *fakeMix, seed int64) string {
			r := share(t, info.Name, nil, s, seed, f)
			return fmt.Sprint(f.trained, f.pools, f.mixtures, r.hashes)
		}
		one := trace(a, 1268)
		if trace(b, 1268) != one {
			t.Error("one seed trained in two ways")
		}
		// First-order DARTS on NASBench-101 draws nothing while it trains, so two
		// seeds may differ in what it samples alone.
		if trace(c, 1269) == one {
			t.Error("two seeds trained in one way")
		}
	})
}

// What must share weights says so without them.
func TestSharingNeedsWeights(t *testing.T) {
	for _, info := range All() {
		if info.Shares != Must || info.Needs(nasbench(t, 4)) != nil {
			continue
		}
		p, r := problem(nasbench(t, 4), 1, 10, rugged)
		pol, err := info.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		err = pol.Search(context.Background(), p)
		if err == nil || !strings.HasPrefix(err.Error(), info.Name+" trains weights") || !strings.Contains(err.Error(), "shared_weights(") || len(r.values) != 0 {
			t.Errorf("%s without shared weights: error %v after %d evaluations", info.Name, err, len(r.values))
		}
	}
}

// Errors of the supernet, of the evaluation and of a state end the search as they are.
func TestSharingPassesErrorsOn(t *testing.T) {
	sharingCases(t, func(t *testing.T, info *Info, s space.Space) {
		f := fresh(s)
		f.from = &fakePoint{state: []byte(`{"pool": 3, "alphas": "x", "uniform": {"pool": [[]]}}`)}
		p, _ := problem(s, 1, 10, rugged)
		p.Weights = f
		pol, err := info.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := pol.Search(context.Background(), p); err == nil || !strings.HasPrefix(err.Error(), info.Name+": the state") {
			t.Errorf("a broken state: error %v", err)
		}
		f.from = nil
		broken := errors.New("weights broke")
		p.Evaluate = func(space.Arch) (float64, error) { return 0, broken }
		if err := pol.Search(context.Background(), p); !errors.Is(err, broken) {
			t.Errorf("a failing evaluation: error %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := pol.Search(ctx, p); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled search: error %v", err)
		}
	})
}
