package shared

import (
	"context"
	"errors"

	"evalnas/nasapi/data"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// The pools that are ranked.
const (
	FixedPool = "fixed" // the same for every policy and seed
	OwnPool   = "own"   // those that the policy would choose among
	FineTuned = "fine_tuned"
)

// Ranking is a pool of architectures with their accuracies under the weights as they
// stood at a save point.
type Ranking struct {
	Epoch int    `json:"epoch"` // whole ones behind
	Steps int    `json:"steps"` // of the weights' optimiser
	Pool  string `json:"pool"`  // FixedPool, OwnPool or FineTuned
	// Hashes are the architectures'; of the fixed pool, which is the same each time, they
	// are in Report.Pool.
	Hashes   []string  `json:"hashes,omitempty"`
	Accuracy []float64 `json:"accuracy"` // share of the validation images
	Loss     []float64 `json:"loss"`     // mean cross-entropy
	Images   int       `json:"images"`   // validation images that each was ranked by
}

// mostOwn is how many architectures of a policy's own pool are ranked, the first ones.
const mostOwn = 200

// Pool draws the fixed pool of a space, the same for all that ask; of a space that is no
// larger it is the whole.
func Pool(sp space.Space, n int) []space.Arch {
	if n == 0 {
		return nil
	}
	draws := rng.New(0, "shared", "pool", sp.String())
	var pool []space.Arch
	finite, ok := sp.(space.Finite)
	if !ok {
		for range n {
			pool = append(pool, sp.Sample(draws))
		}
		return pool
	}
	for _, i := range draws.Sample(finite.Len(), min(n, finite.Len())) {
		pool = append(pool, finite.At(i))
	}
	return pool
}

// hashesOf names architectures.
func hashesOf(archs []space.Arch) []string {
	var hashes []string
	for _, a := range archs {
		hashes = append(hashes, a.Hash())
	}
	return hashes
}

// PoolHashes are those of Pool, in its order.
func PoolHashes(sp space.Space, n int) []string { return hashesOf(Pool(sp, n)) }

// rank is the rankings of a save point.
func (t *Trainer) rank(ctx context.Context, s policy.Sharer, at policy.Moment) ([]Ranking, error) {
	var all []Ranking
	known := map[string]policy.Accuracy{} // of this moment, by hash: pools overlap
	add := func(pool string, archs []space.Arch, of func(space.Arch) (policy.Accuracy, error)) error {
		if len(archs) < 2 {
			return nil
		}
		r := Ranking{Epoch: at.Epoch + 1, Steps: t.state.Steps, Pool: pool, Images: t.rankImages()}
		for _, a := range archs {
			got, err := of(a)
			if err != nil {
				return err
			}
			r.Accuracy, r.Loss = append(r.Accuracy, got.Share()), append(r.Loss, got.Loss)
			if pool == OwnPool {
				r.Hashes = append(r.Hashes, a.Hash())
			}
			t.tell(Progress{Moment: at, Doing: "ranking"})
		}
		all = append(all, r)
		if t.Ranked == nil {
			return nil
		}
		return t.Ranked(r)
	}
	plain := func(a space.Arch) (policy.Accuracy, error) {
		hash := a.Hash()
		if got, ok := known[hash]; ok {
			return got, nil
		}
		got, err := t.Evaluate(ctx, a, t.Config.RankImages)
		known[hash] = got
		return got, err
	}
	if err := add(FixedPool, t.fixed, plain); err != nil {
		return nil, err
	}
	own := s.Pool()
	if err := add(OwnPool, own[:min(len(own), mostOwn)], plain); err != nil {
		return nil, err
	}
	if t.Config.FineTune == 0 || at.Epoch+1 < at.Epochs {
		return all, nil
	}
	return all, t.fineTuned(ctx, at, func(tuned func(space.Arch) (policy.Accuracy, error)) error {
		return add(FineTuned, t.fixed, tuned)
	})
}

func (t *Trainer) rankImages() int {
	if t.Config.RankImages > 0 {
		return t.Config.RankImages
	}
	return len(t.parts.Valid)
}

// fineTuned hands on an evaluation that first trains the architecture by itself for
// Config.FineTune batches at the last epoch's rate, and then puts the weights back
// (the reference's evaluate_extra_steps, which no setting of its own reaches).
func (t *Trainer) fineTuned(ctx context.Context, at policy.Moment, do func(func(space.Arch) (policy.Accuracy, error)) error) error {
	network, optimiser, sum := t.net.State(), t.opt.State(t.Device), t.state.Sum
	back := func() error {
		t.state.Sum = sum
		if err := t.net.Restore(network); err != nil {
			return err
		}
		return t.opt.Restore(t.Device, optimiser)
	}
	return do(func(a space.Arch) (_ policy.Accuracy, err error) {
		// Also where it is interrupted: the checkpoint that follows is of the weights before.
		defer func() { err = errors.Join(err, back()) }()
		loader, err := data.NewLoader(ctx, t.Data, data.LoaderConfig{
			Images: t.parts.Train, Batch: t.Config.Batch, Augment: t.Config.Augment, Shuffle: true, DropLast: true,
			Seed: t.Seed, Stream: "fine-tune",
		})
		if err != nil {
			return policy.Accuracy{}, err
		}
		defer loader.Close()
		for range t.Config.FineTune {
			batch, err := loader.Next()
			if err != nil {
				return policy.Accuracy{}, err
			}
			h := &handed{t: t, ctx: ctx, batch: batch, at: at}
			if _, err := h.TrainPaths(a); err != nil {
				return policy.Accuracy{}, err
			}
		}
		return t.Evaluate(ctx, a, t.Config.RankImages)
	})
}
