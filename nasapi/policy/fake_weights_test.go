package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"evalnas/nasapi/space"
)

// fakeWeights is a training of shared weights without weights: accuracies come from a
// function. It can be killed before any call, and then goes on from the state it saved.
type fakeWeights struct {
	epochs, steps, batches int
	accuracy               func(a space.Arch, batch int) float64
	killAt                 int // the call before which it is killed; 0: none
	saveEvery              int // steps between two saves, besides those after epochs

	calls  int
	saved  []byte // with the place after it
	at     Moment
	paths  map[Moment]string // what each step trained
	checks int               // validations
	pools  []int             // sizes of the pool after epochs
}

var errKilled = errors.New("killed")

func (f *fakeWeights) Train(ctx context.Context, s Sharer) error {
	if f.paths == nil {
		f.paths = map[Moment]string{}
	}
	if f.saved != nil {
		if err := s.Restore(f.saved); err != nil {
			return err
		}
	}
	for f.at.Epoch < f.epochs {
		m := Moment{f.at.Epoch, f.epochs, f.at.Step, f.steps}
		if f.calls++; f.calls == f.killAt {
			return errKilled
		}
		if f.at.Step < f.steps {
			net := &fakeSupernet{fakeWeights: f, at: m}
			if err := s.Step(ctx, net, m); err != nil {
				return err
			}
			if net.trained != 1 {
				return fmt.Errorf("step %v trained %d times", m, net.trained)
			}
			f.at.Step++
			if f.saveEvery > 0 && f.at.Step%f.saveEvery == 0 {
				if err := f.save(s); err != nil {
					return err
				}
			}
			continue
		}
		if err := s.EndEpoch(ctx, &fakeSupernet{fakeWeights: f, at: m, ended: true}, m); err != nil {
			return err
		}
		f.pools = append(f.pools, len(s.Pool()))
		f.at = Moment{Epoch: f.at.Epoch + 1}
		if err := f.save(s); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeWeights) save(s Sharer) (err error) {
	f.saved, err = s.State()
	f.saved = slices.Clone(f.saved)
	return err
}

// resume is what a job does that was killed: the steps since the save are made again.
func (f *fakeWeights) resume(saved []byte, at Moment) *fakeWeights {
	g := *f
	g.killAt, g.saved, g.at = 0, saved, at
	return &g
}

type fakeSupernet struct {
	*fakeWeights
	at      Moment
	ended   bool
	trained int
}

func (n *fakeSupernet) TrainPaths(paths ...space.Arch) (Accuracy, error) {
	if n.ended || len(paths) == 0 {
		return Accuracy{}, fmt.Errorf("%d paths trained at %v", len(paths), n.at)
	}
	n.trained++
	n.paths[n.at] = ""
	for _, p := range paths {
		n.paths[n.at] += p.Hash() + " "
	}
	return Accuracy{Images: 10, Correct: 5}, nil
}

func (n *fakeSupernet) ValidBatches() int { return n.batches }

func (n *fakeSupernet) Validate(a space.Arch, batch int) (Accuracy, error) {
	if batch < 0 || batch >= n.batches {
		return Accuracy{}, fmt.Errorf("there is no batch %d", batch)
	}
	n.checks++
	const images = 1000
	return Accuracy{Images: images, Correct: int(images * n.accuracy(a, batch))}, nil
}

func (n *fakeSupernet) MixtureShape() []int { return nil }

func (n *fakeSupernet) TrainMixture(Mixture) (Accuracy, error) {
	return Accuracy{}, errors.New("single paths only")
}

func (n *fakeSupernet) MixtureGrad(Mixture, bool) (Mixture, Accuracy, error) {
	return nil, Accuracy{}, errors.New("single paths only")
}

// matches is the share of a sequence's choices that are those of the best one, so that
// near ones are good too.
func matches(best fakeArch) func(a space.Arch, batch int) float64 {
	return func(a space.Arch, batch int) float64 {
		n := 0
		for i, v := range a.(fakeArch) {
			if v == best[i] {
				n++
			}
		}
		return 0.2 + 0.7*float64(n)/float64(len(best)) + 0.01*float64(batch%3-1)
	}
}

// shareSearch runs a policy over fake weights; what is evaluated at the end has the mean
// accuracy.
func shareSearch(t testing.TB, name string, cfg Config, s space.Space, f *fakeWeights) *run {
	t.Helper()
	p, r := problem(s, 1268, 1_000_000, func(a space.Arch) float64 { return f.accuracy(a, 1) })
	p.Unit, p.Weights = true, f
	info, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := info.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.err = pol.Search(context.Background(), p)
	return r
}

// smallShare are configurations that take moments.
var smallShare = map[string]Config{
	"nao":  {"pool": 40, "proposals": 20, "random": 5, "hidden": 16, "predictor_epochs": 4, "expand": 2, "final": 20},
	"enas": {"hidden": 16, "controller_steps": 10, "controller_batch": 5, "pool": 30, "final_pool": 20},
}

func TestSharersFindTheBestArchitecture(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute is not at hand in short tests")
	}
	best := fakeArch{0, 1, 1, 0, 0, 1, 2, 0} // of the operations that ENAS is biased to
	for name, cfg := range map[string]Config{
		"nao":  {"pool": 150, "proposals": 30, "random": 0, "predictor_epochs": 60, "expand": 4, "hidden": 16},
		"enas": {"controller_steps": 400, "hidden": 16, "final_samples": 50, "pool": 50},
	} {
		s := fakeSpace{nodes: 4, ops: 3}
		f := &fakeWeights{epochs: 12, steps: 5, batches: 7, accuracy: matches(best)}
		r := shareSearch(t, name, cfg, s, f)
		if r.err != nil {
			t.Fatalf("%s: %v", name, r.err)
		}
		rank := 0
		for _, a := range s.all() {
			if f.accuracy(a, 1) > r.best {
				rank++
			}
		}
		t.Logf("%s: %v of %d evaluated, %d of %s are better, pools %v, %v", name, r.arch, len(r.values), rank, s.Size(), f.pools, r.events[len(r.events)-1])
		if r.arch.Hash() != best.Hash() {
			t.Errorf("%s chose %v, not %v", name, r.arch, best)
		}
		if len(f.paths) != 60 {
			t.Errorf("%s made %d steps", name, len(f.paths))
		}
	}
}

// A training that is killed before any of its calls and resumed from what was saved last
// trains the same paths and evaluates the same architectures.
func TestSharersResumeWhereTheyWereKilled(t *testing.T) {
	for name, cfg := range smallShare {
		s := fakeSpace{nodes: 4, ops: 3}
		whole := fakeWeights{epochs: 4, steps: 3, batches: 3, saveEvery: 2, accuracy: matches(fakeArch{0, 2, 1, 0, 0, 1, 2, 2})}
		f := whole
		want := shareSearch(t, name, cfg, s, &f)
		if want.err != nil || len(want.hashes) == 0 {
			t.Fatalf("%s: %v", name, want.err)
		}
		for kill := 1; kill <= f.calls; kill++ {
			first := whole
			first.killAt = kill
			if r := shareSearch(t, name, cfg, s, &first); !errors.Is(r.err, errKilled) {
				t.Fatalf("%s killed before call %d: %v", name, kill, r.err)
			}
			// The place that belongs to the state: the last save.
			at := first.at
			if first.at.Step > 0 {
				at.Step = first.at.Step / first.saveEvery * first.saveEvery
			}
			second := first.resume(first.saved, at)
			r := shareSearch(t, name, cfg, s, second)
			if r.err != nil || !slices.Equal(r.hashes, want.hashes) {
				t.Fatalf("%s killed before call %d: other architectures at the end: %v", name, kill, r.err)
			}
			for m, p := range f.paths {
				if second.paths[m] != p {
					t.Fatalf("%s killed before call %d: step %v trained %s, not %s", name, kill, m, second.paths[m], p)
				}
			}
		}
		// After the last epoch nothing is left but the evaluation.
		if r := shareSearch(t, name, cfg, s, f.resume(f.saved, f.at)); r.err != nil || !slices.Equal(r.hashes, want.hashes) {
			t.Errorf("%s resumed after the training: %v", name, r.err)
		}
	}
}

func TestSharersRefuseOtherStates(t *testing.T) {
	for name, cfg := range smallShare {
		accuracy := matches(fakeArch{0, 2, 1, 0, 0, 1})
		f := &fakeWeights{epochs: 1, steps: 2, batches: 1, accuracy: accuracy}
		if r := shareSearch(t, name, cfg, fakeSpace{nodes: 3, ops: 2}, f); r.err != nil {
			t.Fatal(r.err)
		}
		for what, saved := range map[string][]byte{"nothing": {}, "noise": []byte("noise"), "another space's": f.saved} {
			g := &fakeWeights{epochs: 1, steps: 2, batches: 1, accuracy: accuracy, saved: saved}
			if r := shareSearch(t, name, cfg, fakeSpace{nodes: 3, ops: 3}, g); r.err == nil || errors.Is(r.err, ErrBudget) {
				t.Errorf("%s: a state that is %s: %v", name, what, r.err)
			}
		}
	}
}

func TestSharersPassErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for name, cfg := range smallShare {
		for _, calls := range []int{0, 3} {
			f := &fakeWeights{epochs: 4, steps: 2, batches: 1}
			ctx, cancel := context.WithCancel(context.Background())
			f.accuracy = func(space.Arch, int) float64 {
				if f.checks > calls {
					cancel()
				}
				return 0.5
			}
			p, r := problem(fakeSpace{nodes: 3, ops: 3}, 1, 5, func(space.Arch) float64 { return 0.5 })
			p.Weights, p.Unit = f, true
			info, _ := Lookup(name)
			pol, err := info.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := pol.Search(ctx, p); !errors.Is(err, context.Canceled) || len(r.values) > 0 {
				t.Errorf("%s cancelled in validation %d: %v", name, calls+1, err)
			}
			cancel()
			f = &fakeWeights{epochs: 2, steps: 2, batches: 1, accuracy: func(space.Arch, int) float64 { return 0.5 }}
			p.Weights = f
			if err := pol.Search(context.Background(), p); !errors.Is(err, ErrBudget) || len(r.values) != 5 {
				t.Errorf("%s with a budget of 5: %v after %d", name, err, len(r.values))
			}
			p.Evaluate = func(space.Arch) (float64, error) { return 0, broken }
			p.Weights = &fakeWeights{epochs: 2, steps: 2, batches: 1, accuracy: f.accuracy}
			if err := pol.Search(context.Background(), p); !errors.Is(err, broken) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// What takes shared weights only says which objective that is; what never takes them is
// not asked with them.
func TestSharing(t *testing.T) {
	want := map[string]string{"random": "may", "enas": "may", "nao": "may", "evolution": "never", "local_search": "never"}
	for _, info := range All() {
		if w, ok := want[info.Name]; ok && info.Shares.String() != w {
			t.Errorf("%s shares weights: %s, want %s", info.Name, info.Shares, w)
		}
	}
	p, r := problem(nasbench(t, 7), 1, 10, params)
	pol, err := dartsInfo.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pol.Search(context.Background(), p); err == nil || err.Error() != "darts trains weights that architectures share: its objective is shared_weights(data, epochs=...)" || len(r.values) > 0 {
		t.Errorf("darts without shared weights: %v", err)
	}
}
