package policy

import (
	"context"
	"fmt"

	"evalnas/nasapi/space"
)

// Weights is what an objective of shared weights adds to a Problem: a supernet, whose one
// set of weights all architectures of the space use, and its training. Package
// nasapi/shared has the one that trains.
type Weights interface {
	// Train runs the training from its beginning, or from where an earlier attempt
	// was stopped, and returns after the last epoch. It calls s, and hands it the
	// supernet, which is valid during each call alone.
	Train(ctx context.Context, s Sharer) error
}

// Sharer is a policy's part in the training of a supernet. It is called from one
// goroutine. All that it draws it draws from a stream of the moment
// (Problem.RandAt), or keeps the stream in its State: a training that was killed and
// resumed asks the same of it as one that was not.
type Sharer interface {
	// Step is called once for every batch of training images, and calls one of the
	// Train methods of the supernet once.
	Step(ctx context.Context, w Supernet, at Moment) error
	// EndEpoch is called after an epoch's last step. It may validate, and learn.
	EndEpoch(ctx context.Context, w Supernet, at Moment) error
	// Pool are the architectures that the policy would choose among now, distinct and
	// in an order that its state decides; they are ranked at save points. It may be
	// nil.
	Pool() []space.Arch
	// State is all that the policy has learnt and must have to go on; Restore puts it
	// back into a Sharer that was just made. Weights are not in it.
	State() ([]byte, error)
	Restore(state []byte) error
}

// Substituter is a Sharer that evaluates another architecture than the one it is asked
// for: FairNAS as published does. The supernet, and Problem.Evaluate after the training, run
// Substitute(a) where they are asked for a, and the value is a's; the policy asks for a.
type Substituter interface {
	Substitute(a space.Arch) space.Arch
}

// Rater is a Sharer that learns a distribution over architectures.
type Rater interface {
	// Rate is the logarithm of how likely a is now; ok is false for what the policy
	// cannot emit.
	Rate(a space.Arch) (logLikelihood float64, ok bool)
}

// Moment is a place in the training: counts from 0.
type Moment struct {
	Epoch, Epochs int
	Step, Steps   int // of the epoch; in EndEpoch Step is Steps
}

// Supernet is a supernet as a policy sees it.
type Supernet interface {
	// TrainPaths makes one step of the weights' optimiser with the step's training
	// images, along the sum of the gradients of these architectures' losses. At least
	// one is needed; each is run by itself, with all images.
	TrainPaths(paths ...space.Arch) (Accuracy, error)

	// ValidBatches is the number of batches that the validation images make. They are
	// not augmented and lie in one order for the whole run.
	ValidBatches() int
	// Validate runs one of them, 0 to ValidBatches()-1, through an architecture.
	Validate(a space.Arch, batch int) (Accuracy, error)

	// MixtureShape is the number of options of each vector of a Mixture; nil where the
	// supernet has single paths only.
	MixtureShape() []int
	// TrainMixture makes one step of the weights' optimiser with the step's training
	// images and all options at once, mixed by m.
	TrainMixture(m Mixture) (Accuracy, error)
	// MixtureGrad is the gradient of the loss on a batch of validation images (another
	// one in each step, as large as the training batches) with respect to m. With
	// unrolled it is taken after one virtual step of the weights along the training
	// loss, with the implicit part by finite differences (DARTS, section 2.3, second
	// order). Neither weights nor statistics move.
	MixtureGrad(m Mixture, unrolled bool) (Mixture, Accuracy, error)
}

// Mixture is the weights by which a supernet mixes its options: vectors whose number
// and lengths MixtureShape says. Of NASBench-101 with n interior vertices those are, by
// vertex, the weights of its predecessors (the input first), n vectors of 1 to n; then,
// by vertex, those of its operations, in the order of the space; then one vector of n+1
// that the input's projection and the vertices enter the output with, which are ones in
// training. Of the DARTS cells those are the 14 edges of the normal cell, then those of
// the reduction cell, each with the 8 options of space.SearchOperations.
type Mixture [][]float64

// Accuracy is what a batch of images gave, or several.
type Accuracy struct {
	Images  int
	Correct int
	Loss    float64 // mean over the images of the cross-entropy, natural logarithm
}

// Share is the share of images classified rightly, 0 to 1.
func (a Accuracy) Share() float64 {
	if a.Images == 0 {
		return 0
	}
	return float64(a.Correct) / float64(a.Images)
}

// shared is the supernet's training, or an error that names the policy and the
// objectives that have one.
func (p *Problem) shared(name string) (Weights, error) {
	if p.Weights == nil {
		return nil, fmt.Errorf("%s trains weights that architectures share: its objective is shared_weights(data, epochs=...)", name)
	}
	return p.Weights, nil
}
