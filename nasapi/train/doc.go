// Package train trains one architecture from scratch: the protocols of the field
// ([DARTS], [NASBench]), the loop ([Run]) and what it leaves ([Result]).
//
//	cfg := train.DARTS()
//	cfg.Epochs, cfg.Seed = 50, 1
//	result, err := train.Run(ctx, train.Job{Device: dev, Arch: genotype, Data: set, Config: cfg})
//
// A run that is given Save and Restore goes on where an earlier one stopped, with the
// bits of the run that was never stopped: batches, augmentation and drop path are
// drawn from (seed, epoch, image or batch), and a checkpoint holds the rest.
//
// Start reading at run.go; protocol.go has the numbers.
package train
