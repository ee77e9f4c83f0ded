package main

import (
	"context"
	"fmt"

	"evalnas/nasapi"
	"evalnas/nasapi/objective"
)

func init() {
	register(Benchmark{
		Name: "evolution", Unit: "evaluations/s", Rate: true, Want: 100,
		Open: openEvolution,
	})
}

// Evaluations of a run. The peer makes some thousands a second.
const (
	oursEvaluations = 400_000
	peerEvaluations = 4000
)

// openEvolution compares how many evaluations a second regularised evolution makes on the
// table of test accuracies: ours as a job runs it, with its incumbents and its budget; the
// peer's loop with ModelSpec, hash and a dictionary of all cells.
func openEvolution(ctx context.Context) (*Comparison, error) {
	whole, truth, metric, err := testTable()
	if err != nil {
		return nil, err
	}
	p, err := startNASBenchPeer(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.giveTable(whole, truth, metric); err != nil {
		return nil, errorsOf(err, p.close())
	}
	cfg := nasapi.SearchConfig{
		Policy: "evolution", Space: whole.Spec(), Objective: objective.OfTable(truth, metric).Spec(), Budget: oursEvaluations,
	}
	return &Comparison{
		PeerKind: p.kind, Close: p.close,
		Ours: func(ctx context.Context, pair int) (float64, error) {
			var r *nasapi.SearchResult
			seconds, err := onOneCore(func() (err error) {
				r, err = nasapi.RunSearch(ctx, cfg, int64(pair), nil)
				return err
			})
			if err != nil {
				return 0, err
			}
			return oursEvaluations / seconds, plausible(r.Value)
		},
		Peer: func(_ context.Context, pair int) (float64, error) {
			var answer struct{ Seconds, Best float64 }
			if err := p.ask(map[string]any{"do": "evolve", "evaluations": peerEvaluations, "seed": pair}, &answer); err != nil {
				return 0, err
			}
			return peerEvaluations / answer.Seconds, plausible(answer.Best)
		},
	}, nil
}

// plausible holds a found accuracy against what thousands of evaluations find: 0.94 to
// 0.9466, the best cell.
func plausible(best float64) error {
	if best < 0.935 || best > 0.947 {
		return fmt.Errorf("evolution found a test accuracy of %v", best)
	}
	return nil
}
