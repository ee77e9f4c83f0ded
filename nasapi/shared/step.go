package shared

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/train"
)

// handed is the supernet as a policy is handed it at one moment: a policy.Supernet.
type handed struct {
	t       *Trainer
	ctx     context.Context
	at      policy.Moment
	batch   *data.Batch // nil between epochs
	trained int
}

var _ policy.Supernet = (*handed)(nil)

// errNoBatch is for a policy that trains where it may not.
var errNoBatch = errors.New("weights are trained in a policy's Step alone")

func (h *handed) TrainPaths(paths ...space.Arch) (policy.Accuracy, error) {
	var all policy.Accuracy
	if h.batch == nil {
		return all, errNoBatch
	}
	if len(paths) == 0 {
		return all, fmt.Errorf("%s trains no path in step %d of epoch %d; give at least one", h.t.Job.Policy, h.at.Step+1, h.at.Epoch+1)
	}
	for i, a := range paths {
		pass, err := h.t.net.path(a, nn.Train, h.batch.N)
		if err != nil {
			return all, err
		}
		if err := h.drop(pass, i); err != nil {
			return all, err
		}
		got, err := h.forwardBackward(pass, func() error { return load(pass, h.batch.X, h.batch.Labels) })
		if err != nil {
			return all, err
		}
		all = plus(all, got)
	}
	return all, h.move(all)
}

// drop draws the masks of a network that has them.
func (h *handed) drop(pass *net.Pass, path int) error {
	// ENAS's child drops channels before its classifier, NAO's drops edges.
	if rate := h.t.Config.Dropout; rate > 0 {
		if err := pass.SetDropout(h.maskStream("dropout", path), rate); err != nil {
			return err
		}
	}
	drop := h.t.Config.DropPath
	if drop == 0 {
		return nil
	}
	done := h.at.Epoch*h.at.Steps + h.at.Step + 1
	share := min(1, float64(done)/float64(h.at.Epochs*h.at.Steps)) // fine-tuning follows the last step
	return pass.SetDropPath(h.maskStream("drop path", path), float64(drop*share))
}

func (h *handed) maskStream(purpose string, path int) *rng.Stream {
	return rng.New(h.t.Seed, "shared", purpose, strconv.Itoa(h.at.Epoch), strconv.Itoa(h.at.Step), strconv.Itoa(path))
}

// forwardBackward adds the gradients of some images' loss to the parameters'.
func (h *handed) forwardBackward(pass *net.Pass, load func() error) (policy.Accuracy, error) {
	if err := load(); err != nil {
		return policy.Accuracy{}, err
	}
	if err := pass.Graph.Forward(); err != nil {
		return policy.Accuracy{}, err
	}
	if err := finite(h.at, "loss", pass.TotalLoss()); err != nil {
		return policy.Accuracy{}, err
	}
	return accuracyOf(pass), pass.Graph.Backward()
}

// move makes the optimiser's step.
func (h *handed) move(got policy.Accuracy) error {
	h.trained++
	report, err := h.t.opt.Step(h.t.Device, h.t.Config.rate(h.at.Epoch))
	if err != nil {
		if math.IsNaN(report.Norm) || math.IsInf(report.Norm, 0) {
			return &train.DivergedError{Epoch: h.at.Epoch + 1, Step: h.at.Step + 1, What: "norm of the gradient", Value: report.Norm}
		}
		return err
	}
	h.t.state.Sum.add(got)
	return nil
}

func (h *handed) ValidBatches() int { return h.t.valid.count(h.t.Config.ValidBatch) }

func (h *handed) Validate(a space.Arch, batch int) (policy.Accuracy, error) {
	if n := h.ValidBatches(); batch < 0 || batch >= n {
		return policy.Accuracy{}, fmt.Errorf("there is no validation batch %d; there are 0 to %d", batch, n-1)
	}
	if err := h.ctx.Err(); err != nil {
		return policy.Accuracy{}, err
	}
	return h.t.classify(a, h.t.valid.batch(batch, h.t.Config.ValidBatch))
}

// classify runs images through an architecture with the weights as they stand.
func (t *Trainer) classify(a space.Arch, picked []int) (policy.Accuracy, error) {
	pass, err := t.evaluation(a, len(picked))
	if err != nil {
		return policy.Accuracy{}, err
	}
	return t.classifyOn(pass, picked)
}

// evaluation is the graph of an architecture, or of what the policy evaluates instead.
func (t *Trainer) evaluation(a space.Arch, batch int) (*net.Pass, error) {
	if t.substitute != nil {
		a = t.substitute(a)
	}
	return t.net.path(a, nn.Evaluate, batch)
}

func (t *Trainer) classifyOn(pass *net.Pass, picked []int) (policy.Accuracy, error) {
	if err := t.valid.load(pass, picked); err != nil {
		return policy.Accuracy{}, err
	}
	if err := pass.Graph.Forward(); err != nil {
		return policy.Accuracy{}, err
	}
	return accuracyOf(pass), nil
}

// Evaluate is an architecture's accuracy on the first n validation images, all where n
// is 0, with the weights as they stand.
func (t *Trainer) Evaluate(ctx context.Context, a space.Arch, n int) (policy.Accuracy, error) {
	part := *t.valid
	if n > 0 && n < len(part.all) {
		part.all = part.all[:n]
	}
	var all policy.Accuracy
	var pass *net.Pass
	for i := range part.count(t.Config.ValidBatch) {
		if err := ctx.Err(); err != nil {
			return all, err
		}
		picked := part.batch(i, t.Config.ValidBatch)
		if pass == nil || pass.Batch() != len(picked) { // the last batch may be smaller
			var err error
			if pass, err = t.evaluation(a, len(picked)); err != nil {
				return all, err
			}
		}
		got, err := t.classifyOn(pass, picked)
		if err != nil {
			return all, err
		}
		all = plus(all, got)
	}
	return all, nil
}
