package policy

import (
	"context"
	"fmt"
	"math"

	"evalnas/nasapi/rng"
)

// lookUp is NAO without shared weights: what joins the pool is evaluated.
func (r *naoRun) lookUp(ctx context.Context) error {
	known := map[string]float64{} // by hash
	more := r.p.Rand("nao", "more")
	for {
		values, fresh, err := r.values(ctx, known)
		if err != nil {
			return err
		}
		if fresh == 0 {
			// A round has brought nothing new: one random sequence does, or all are known.
			if added, err := r.addOne(more); err != nil || !added {
				return err
			}
			continue
		}
		pool, scores := bestFirst(r.pool, values)
		if err := r.learn(ctx, pool, scores, Moment{Epoch: r.rounds}); err != nil {
			return err
		}
	}
}

// values are those of the pool, of which fresh were not known and evaluated now.
func (r *naoRun) values(ctx context.Context, known map[string]float64) (values []float64, fresh int, err error) {
	for _, e := range r.pool {
		h := e.arch.Hash()
		v, ok := known[h]
		if !ok {
			if v, err = evaluate(ctx, r.p, e.arch); err != nil {
				return nil, 0, err
			}
			if math.IsInf(v, 0) {
				return nil, 0, fmt.Errorf("nao: the objective of %s is %v; what is to be predicted must be finite", e.arch, v)
			}
			known[h] = v
			fresh++
		}
		values = append(values, v)
	}
	return values, fresh, nil
}

// addOne adds a random sequence to the pool, if one is left.
func (r *naoRun) addOne(s *rng.Stream) (bool, error) {
	one, err := r.drawNew(r.pool, 1, s)
	r.pool = append(r.pool, one...)
	return len(one) > 0, err
}
