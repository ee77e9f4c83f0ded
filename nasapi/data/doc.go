// Package data holds sets of labelled images and hands them to a training loop
// in batches.
//
// A Set is a train and a test part of images of one size, decoded and checked.
// Its Digest names its content, whatever archive or folder it came from, and is
// what a job's configuration holds, in a Spec:
//
//	spec, err := data.Resolve("cifar10")   // in the cell: is it here, and which is it?
//	set, err := data.Open(ctx, spec)       // in the job's process: every image verified
//
// Sets get into the data folder ($EVALNAS_DATA, else evalnas/data in the user's
// cache folder) by Fetch, for those that are known by name (Known), and by
// Import, for one's own: official archives and their unpacked folders, idx
// files, folders with one folder a class, .npz arrays. Synthetic makes a small
// set that needs no file.
//
// A Split says which images train and which validate; an Augment how an image
// is cropped, flipped, normalised and cut out; a Loader puts both together and
// prepares the next batch while the present one is used:
//
//	parts, err := data.Development(0.1, 0).Apply(set)
//	l, err := data.NewLoader(ctx, set, data.LoaderConfig{
//		Images: parts.Train, Batch: 96, Shuffle: true, Seed: 1268,
//		Augment: data.DARTSAugment(set),
//	})
//	defer l.Close()
//	for b, err := range l.All() { … b.X, b.Labels, b.Epoch … }
//
// Everything random is drawn from streams named by (seed, stream, epoch, image):
// a batch has the same bits on any number of threads, and whether it is reached
// from the start or from a Position that a checkpoint kept.
//
// Traps: Set.Pixels and what Image returns are shared and must not be written
// to. A Batch is overwritten after the next call of Next. X has a pixel stride
// of Pad(C), not C: channels are padded with zeros to a multiple of 4.
package data
