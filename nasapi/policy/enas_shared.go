package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"evalnas/nasapi/space"
)

// enasSharing is what ENAS does with shared weights only.
type enasSharing struct {
	updates, batch int // an epoch's, and draws of each; 0: the space's
	pool           int
	samples, final int
}

// of fills in what the reference has in the space.
func (s enasSharing) of(sp space.Sequences) enasSharing {
	updates, batch := 30, 10
	if inputsOfNode(sp.Choices()) > 1 {
		updates, batch = 300, 1
	}
	if s.updates == 0 {
		s.updates = updates
	}
	if s.batch == 0 {
		s.batch = batch
	}
	return s
}

// share searches with shared weights.
func (e *enas) share(ctx context.Context, p *Problem) (err error) {
	sharing := e.sharing.of(p.Space.(space.Sequences))
	run, err := e.newRun(p, sharing.batch)
	if err != nil {
		return err
	}
	run.reward.unit = true // an accuracy
	r := &enasShared{enasRun: run, sharing: sharing}
	defer func() { err = errors.Join(err, r.learner.close()) }()
	if err := p.Weights.Train(ctx, r); err != nil {
		return err
	}
	if len(r.finalists) == 0 {
		return errors.New("enas: the training of the shared weights ended before its last epoch")
	}
	for _, a := range r.finalists {
		if _, err := evaluate(ctx, p, a); err != nil {
			return err
		}
	}
	return nil
}

// enasShared is the state of one search with shared weights.
type enasShared struct {
	*enasRun
	sharing   enasSharing
	trained   [][]int      // the pool: distinct sequences, the last one trained at the end
	finalists []space.Arch // after the last epoch
	final     [][]int      // their sequences
}

var _ Sharer = (*enasShared)(nil)

func (r *enasShared) Step(ctx context.Context, w Supernet, at Moment) error {
	r.samples = r.p.RandAt("enas", "path", at)
	roll, arch, err := r.draw(ctx, r.shape.cut(r.learner.packed))
	if err != nil {
		return err
	}
	if _, err := w.TrainPaths(arch); err != nil {
		return err
	}
	r.keep(roll.seq)
	return nil
}

// keep makes a sequence the last of the pool.
func (r *enasShared) keep(seq []int) {
	r.trained = slices.DeleteFunc(r.trained, func(s []int) bool { return slices.Equal(s, seq) })
	r.trained = append(r.trained, seq)
	if extra := len(r.trained) - r.sharing.pool; extra > 0 {
		r.trained = slices.Delete(r.trained, 0, extra)
	}
}

func (r *enasShared) EndEpoch(ctx context.Context, w Supernet, at Moment) error {
	r.samples = r.p.RandAt("enas", "sample", at)
	batches := r.p.RandAt("enas", "validation", at)
	r.value = func(_ context.Context, a space.Arch) (float64, error) {
		got, err := w.Validate(a, batches.IntN(w.ValidBatches()))
		return got.Share(), err
	}
	for u := range r.sharing.updates {
		if err := r.update(ctx, at.Epoch*r.sharing.updates+u+1); err != nil {
			return err
		}
	}
	if at.Epoch+1 < at.Epochs {
		return nil
	}
	return r.finish(ctx, w, at)
}

// finish chooses what is evaluated on all validation images.
func (r *enasShared) finish(ctx context.Context, w Supernet, at Moment) error {
	candidates := slices.Clone(r.trained)
	r.samples = r.p.RandAt("enas", "final", at)
	weights, random := r.shape.cut(r.learner.packed), r.p.RandAt("enas", "random", at)
	for range r.sharing.samples {
		roll, _, err := r.draw(ctx, weights)
		if err != nil {
			return err
		}
		seq, _, err := drawSequence(r.space, random)
		if err != nil {
			return fmt.Errorf("enas: %w", err)
		}
		candidates = append(candidates, roll.seq, seq)
	}
	list, err := r.distinct(candidates)
	if err != nil {
		return err
	}
	if len(list) > r.sharing.final {
		if list, err = r.bestOf(ctx, w, list); err != nil {
			return err
		}
	}
	r.setFinal(list)
	return nil
}

// enasEntry is a sequence and its architecture.
type enasEntry struct {
	seq  []int
	arch space.Arch
}

func (r *enasShared) setFinal(list []enasEntry) {
	r.final, r.finalists = nil, nil
	for _, e := range list {
		r.final, r.finalists = append(r.final, e.seq), append(r.finalists, e.arch)
	}
}

// distinct decodes sequences and keeps the first of each architecture.
func (r *enasShared) distinct(seqs [][]int) ([]enasEntry, error) {
	seen := map[string]bool{}
	var out []enasEntry
	for _, seq := range seqs {
		a, err := r.space.Decode(seq)
		if err != nil {
			return nil, fmt.Errorf("enas: sequence %v of %s: %w", seq, r.space, err)
		}
		if h := a.Hash(); !seen[h] {
			seen[h] = true
			out = append(out, enasEntry{seq, a})
		}
	}
	return out, nil
}

// bestOf keeps as many as are evaluated at the end, by one batch of validation images
// each, the batches in turn.
func (r *enasShared) bestOf(ctx context.Context, w Supernet, list []enasEntry) ([]enasEntry, error) {
	scores := make(map[string]float64, len(list))
	for i, e := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := w.Validate(e.arch, i%w.ValidBatches())
		if err != nil {
			return nil, err
		}
		scores[e.arch.Hash()] = got.Share()
	}
	slices.SortStableFunc(list, func(a, b enasEntry) int { return cmp.Compare(scores[b.arch.Hash()], scores[a.arch.Hash()]) })
	return list[:r.sharing.final], nil
}

// Pool has no error to give: what cannot be decoded was refused before.
func (r *enasShared) Pool() []space.Arch {
	list, err := r.distinct(r.trained)
	if err != nil {
		return nil
	}
	var out []space.Arch
	for _, e := range list {
		out = append(out, e.arch)
	}
	return out
}

// enasState is what State writes.
type enasState struct {
	Weights        []float64
	Moments        [2][]float64 // of the solver; empty before its first step
	Powers         [2]float64
	Baseline       float64
	Started        bool
	Outside        int
	Trained, Final [][]int
}

func (r *enasShared) State() ([]byte, error) {
	solver := r.learner.solver.(*adam)
	s := enasState{
		Weights: r.learner.packed, Powers: [2]float64{solver.power1, solver.power2},
		Baseline: r.baseline.value, Started: r.baseline.started, Outside: r.outside, Trained: r.trained, Final: r.final,
	}
	if solver.moments != nil {
		s.Moments = solver.moments[0]
	}
	return encodeState("enas", s)
}

func (r *enasShared) Restore(state []byte) error {
	var s enasState
	if err := decodeState("enas", state, &s); err != nil {
		return err
	}
	n := len(r.learner.packed)
	if m := len(s.Moments[0]); len(s.Weights) != n || m != len(s.Moments[1]) || m != 0 && m != n {
		return fmt.Errorf("enas: the saved state has %d weights; want %d: it is of another search", len(s.Weights), n)
	}
	if _, err := r.distinct(s.Trained); err != nil {
		return err
	}
	final, err := r.distinct(s.Final)
	if err != nil {
		return err
	}
	copy(r.learner.packed, s.Weights)
	copy(r.learner.known.packed, s.Weights)
	clear(r.learner.known.rollouts)
	solver := r.learner.solver.(*adam)
	solver.moments, solver.power1, solver.power2 = nil, s.Powers[0], s.Powers[1]
	if len(s.Moments[0]) > 0 {
		solver.moments = [][2][]float64{s.Moments}
	}
	r.baseline.value, r.baseline.started, r.outside, r.trained = s.Baseline, s.Started, s.Outside, s.Trained
	r.setFinal(final)
	return nil
}
