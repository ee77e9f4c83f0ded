package policy

import (
	"context"
	"slices"

	"evalnas/nasapi/rng"
)

// naoExamples are sequences of tokens with the values to predict, 0 to 1.
type naoExamples struct {
	tokens  [][]int
	targets []float32
}

func (e *naoExamples) add(tokens []int, target float32) {
	e.tokens = append(e.tokens, tokens)
	e.targets = append(e.targets, target)
}

// relative brings scores to 0..1 by their range, and to the middle where all are equal:
// the reference divides by zero there.
func relative(scores []float64) []float32 {
	low, high := slices.Min(scores), slices.Max(scores)
	out := make([]float32, len(scores))
	for i, s := range scores {
		if out[i] = 0.5; high > low {
			out[i] = float32((s - low) / (high - low))
		}
	}
	return out
}

// naoTraining says how the model is trained.
type naoTraining struct {
	epochs, batch int
	copies        int // of each example; in pairs all but the first have branches swapped
}

// naoDropout is of how many units of the predictor training silences one.
const naoDropout = 10

// naoReport is how many epochs lie between two reports.
const naoReport = 100

// train trains on nine tenths of the examples and measures on the rest. The draws come
// from r.
func (l *naoLearner) train(ctx context.Context, form *naoForm, t naoTraining, all naoExamples, r *rng.Stream, report func(map[string]float64)) error {
	order := r.Perm(len(all.tokens))
	split := len(order) * 9 / 10
	var learn, held naoExamples
	for i, at := range order {
		if i >= split && split > 0 {
			held.add(all.tokens[at], all.targets[at])
			continue
		}
		for c := range t.copies {
			tokens := all.tokens[at]
			if c > 0 {
				tokens = form.swapped(tokens, r.IntN)
			}
			learn.add(tokens, all.targets[at])
		}
	}
	for epoch := 1; epoch <= t.epochs; epoch++ {
		loss, err := l.epoch(ctx, &learn, t.batch, r)
		if err != nil {
			return err
		}
		if epoch%naoReport == 0 || epoch == t.epochs {
			values := l.measure(form, &held)
			values["epoch"], values["loss"] = float64(epoch), loss
			report(values)
		}
	}
	return nil
}

// epoch goes through the examples once in a new order and returns the mean loss.
func (l *naoLearner) epoch(ctx context.Context, e *naoExamples, batch int, r *rng.Stream) (float64, error) {
	order := r.Perm(len(e.tokens))
	sum := 0.0
	for rest := order; len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		rows := rest[:min(batch, len(rest))]
		rest = rest[len(rows):]
		m, err := l.of(len(rows))
		if err != nil {
			return 0, err
		}
		for i, at := range rows {
			copy(m.tokens[i*l.length:], e.tokens[at])
			m.targets[i] = e.targets[at]
		}
		dropout(m.masks, r)
		loss, err := l.step(m)
		if err != nil {
			return 0, err
		}
		sum += float64(loss * float64(len(rows)))
	}
	return sum / float64(len(order)), nil
}

// dropout draws masks, two of each word.
func dropout(masks []float32, r *rng.Stream) {
	const least, keep = 1 << 32 / naoDropout, float32(1) / (1 - 1./naoDropout)
	var word uint64
	for i := range masks {
		if i%2 == 0 {
			word = r.Uint64()
		}
		if masks[i] = keep; uint32(word) < least {
			masks[i] = 0
		}
		word >>= 32
	}
}

// measure says how well the model does on examples: the share of pairs that it puts in
// their order (ties go with "not below"), and the mean number of tokens that it decodes
// otherwise than they were.
func (l *naoLearner) measure(form *naoForm, e *naoExamples) map[string]float64 {
	if len(e.tokens) == 0 {
		return map[string]float64{}
	}
	c := newNAOClimb(l.naoShape, l.packed, slices.Concat(e.tokens...))
	values, wrong := c.values(), 0
	for i, got := range c.decode(0, form.legal()) {
		if got != e.tokens[i/l.length][i%l.length] {
			wrong++
		}
	}
	out := map[string]float64{"hamming_distance": float64(wrong) / float64(len(e.tokens))}
	if len(values) > 1 {
		out["pairwise_accuracy"] = pairwise(values, e.targets)
	}
	return out
}

func pairwise(values, targets []float32) float64 {
	right, pairs := 0, 0
	for i := range values {
		for j := range i {
			if pairs++; (values[i] >= values[j]) == (targets[i] >= targets[j]) {
				right++
			}
		}
	}
	return float64(right) / float64(pairs)
}

// propose goes from the best sequences (of tokens) along growing steps up the slopes of
// the prediction and hands what it decodes to keep, which says whether that was enough.
func (l *naoLearner) propose(ctx context.Context, form *naoForm, best [][]int, steps int, keep func(tokens []int) bool) error {
	c := newNAOClimb(l.naoShape, l.packed, slices.Concat(best...))
	for step := 1; step <= steps; step++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		for tokens := range slices.Chunk(c.decode(float32(step), form.legal()), l.length) {
			if keep(tokens) {
				return nil
			}
		}
	}
	return nil
}
