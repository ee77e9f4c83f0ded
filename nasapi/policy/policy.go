// Package policy holds the search policies, one file each, behind one
// interface.
//
// A policy is given a Problem: the space, a way to evaluate an architecture,
// the budget and its random streams. It knows nothing of notebooks, jobs or
// clusters, and it never sees a table: what an evaluation costs and how the
// best so far is kept is the Problem's business. Names and parameters of all
// policies are in the registry (Lookup, All):
//
//	info, err := policy.Lookup("evolution")
//	pol, err := info.New(policy.Config{"population": 20})
//	err = pol.Search(ctx, problem) // ErrBudget when the budget is spent
//
// ENAS takes several files: layout.go orders the choices of a space's encoding,
// controller.go is the forward pass, controller_grad.go its gradient, op.go
// both as Gorgonia operations, adam.go the solver and enas.go the search;
// enas_shared.go is the search with shared weights. NAO likewise: nao_form.go
// makes tokens of sequences, nao_model.go and nao_grad.go are the passes over
// some rows and nao_batch.go over a batch, nao_op.go and nao_learner.go
// Gorgonia's side, nao_train.go the training, nao_decode.go the way to new
// sequences and nao.go the search.
//
// Policies that train weights which architectures share speak to a supernet through
// shared.go. uniform.go is what SPOS (spos.go, spos_evolution.go), FairNAS and random
// search have in common, relaxation.go what DARTS and FBNet do; relaxed_nasbench.go and
// relaxed_darts.go say what their logits stand for in either space. encoding.go has the
// random baselines of policies that reach a part of a space only.
// Traps: the arithmetic of a policy must give the same bits on every machine
// (package detmath), and each purpose draws from a stream of its own
// (Problem.Rand).
package policy

import (
	"context"
	"errors"
	"strconv"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// ErrBudget is returned by Problem.Evaluate when the budget is spent. A policy
// passes it on (wrapped or not); it ends the search and is no failure.
var ErrBudget = errors.New("search budget is spent")

// Problem is what a policy searches.
type Problem struct {
	Space space.Space
	// Budget is the number of evaluations allowed, at least 1; where something else
	// bounds the search, such as a clock, it is far above what is possible.
	Budget int
	// Evaluate returns the value of an architecture, the higher the better
	// (an objective that is minimised arrives negated). Each call counts
	// against the budget, also for an architecture that was evaluated before.
	Evaluate func(a space.Arch) (float64, error)
	// Fidelities are the epochs of training after which EvaluateAt knows a value,
	// ascending; Evaluate is that after the last of them. It is nil where there is no
	// choice.
	Fidelities []int
	// EvaluateAt is Evaluate after so many epochs, one of Fidelities. It is one
	// evaluation whatever the epochs.
	EvaluateAt func(a space.Arch, epochs int) (float64, error)
	// Unit says that values lie in 0..1 by their nature (an accuracy);
	// policies that need a bounded reward scale all others by the range that
	// they have seen so far.
	Unit bool
	// Weights is the supernet of an objective of shared weights, nil of any other. Then
	// Evaluate is the accuracy of an architecture with the weights as they stand, on
	// all validation images.
	Weights Weights
	// Seed of this run; streams come from rng.New(Seed, policy name, purpose).
	Seed int64
	// Log, if not nil, receives diagnostics worth keeping beside the results,
	// such as a controller's loss. Keys are stable names.
	Log func(event string, values map[string]float64)
}

// Rand returns the stream of this run for a policy and a purpose.
func (p *Problem) Rand(policy, purpose string) *rng.Stream {
	return rng.New(p.Seed, policy, purpose)
}

// RandAt returns the stream of a moment of a supernet's training.
func (p *Problem) RandAt(policy, purpose string, at Moment) *rng.Stream {
	return rng.New(p.Seed, policy, purpose, strconv.Itoa(at.Epoch), strconv.Itoa(at.Step))
}

// Policy is one way to search.
type Policy interface {
	// Search runs until the budget is spent (ErrBudget from Evaluate), the
	// context ends or an evaluation fails, and returns that error. It may
	// return nil earlier when nothing is left to try.
	Search(ctx context.Context, p *Problem) error
}
