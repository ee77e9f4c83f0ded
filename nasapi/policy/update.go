package policy

import (
	"context"
	"fmt"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Update is one step of what a policy learns, over and over and without a search: what a
// benchmark times.
type Update struct {
	// Step makes one update.
	Step func() error
	// Close ends it.
	Close func() error
	// Params is the number of weights that learn.
	Params int
}

// NewUpdate returns the update of a policy at its default sizes in a space:
//
//	enas   ten sequences are drawn, and the controller learns from made-up rewards
//	nao    encoder, predictor and decoder learn from a batch of 100 random sequences
func NewUpdate(name string, s space.Sequences) (*Update, error) {
	switch name {
	case "enas":
		return enasUpdate(s)
	case "nao":
		return naoUpdate(s)
	}
	return nil, fmt.Errorf("no policy named %q has updates to time; enas and nao have", name)
}

func enasUpdate(s space.Sequences) (*Update, error) {
	cfg, err := enasInfo.Complete(nil)
	if err != nil {
		return nil, err
	}
	r, err := enasInfo.build(cfg).(*enas).newRun(&Problem{Space: s}, cfg.integer("batch"))
	if err != nil {
		return nil, err
	}
	draws := rng.New(0, "update")
	w := r.shape.cut(r.learner.packed)
	return &Update{Params: len(r.learner.packed), Close: r.learner.close, Step: func() error {
		for b := range r.batch {
			r.learner.set(b, r.shape.run(w, sampling(draws)), draws.Float64()-0.5)
		}
		_, err := r.learner.step()
		return err
	}}, nil
}

func naoUpdate(s space.Sequences) (*Update, error) {
	form, err := newNAOForm(s, false)
	if err != nil {
		return nil, err
	}
	const rows = 100
	shape, draws := form.shape(0), rng.New(0, "update")
	l := newNAOLearner(shape, shape.initial(draws), &naoAdam{rate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 1e-4, clip: 5})
	var e naoExamples
	for range rows {
		seq, _, err := drawSequence(s, draws)
		if err != nil {
			return nil, fmt.Errorf("nao: %w", err)
		}
		e.add(form.tokens(seq), float32(draws.Float64()))
	}
	return &Update{Params: shape.size(), Close: l.close, Step: func() error {
		_, err := l.epoch(context.Background(), &e, rows, draws)
		return err
	}}, nil
}
