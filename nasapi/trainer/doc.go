// Package trainer has a program of somebody's train one network: it tells the program what to
// train, hears of epochs and checkpoints, checks what it claims, and gives it time to save
// itself when the job must stop. docs/child_protocol.md specifies what is said; package child
// is how.
//
//	result, err := trainer.Run(ctx, trainer.Job{Program: program, Study: study, Init: init, Heard: ...})
//
// # What is tried again
//
// A program that a signal ends, or that falls silent, is started again within the job, from its
// checkpoint, as long as it has written a newer one each time: a GPU that fell off the bus costs
// some epochs and no night. One that ends with an exit status of its own is not: what raised an
// exception raises it again. A *WrongError says that another attempt at the job would come to
// the same.
package trainer
