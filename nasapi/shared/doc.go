// Package shared trains the weights that the architectures of a space share: the loop
// between a policy (nasapi/policy), which says what each step trains, and a supernet
// (nasapi/net), which has the weights.
//
// A [Trainer] is the policy.Weights of a search. Its Config is a protocol; [Default]
// says which one a policy has in a space, by the table of Yu et al. (ICLR 2020) in
// protocol.go. At save points, and at the end, the trainer ranks a fixed pool of
// architectures and the policy's own by their accuracy with the weights as they stand
// (ranking.go).
//
//	cfg, err := shared.Default("spos", sp, set)
//	t, err := shared.New(shared.Job{Device: dev, Space: sp, Policy: "spos", Data: set, Config: cfg, Seed: 1268})
//	err = pol.Search(ctx, &policy.Problem{Weights: t, Evaluate: ..., ...})
//	report := t.Result()
//
// # What is validated on
//
// Policies learn from, and choose by, validation images, which are never augmented and
// never trained on; test images are not looked at. Norms take the statistics of the
// batch, as the reference's do: one set of running statistics cannot fit all paths. So
// accuracies with shared weights depend on Config.ValidBatch.
//
// # Resuming
//
// All that is drawn is drawn from streams of (seed, purpose, moment). A checkpoint is
// made between steps, never while a policy is at work, and a training that goes on from
// one gives the bits of one that was not stopped.
package shared
