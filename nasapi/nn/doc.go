// Package nn trains convolutional networks: the engine below nasapi/net, which
// builds networks from architectures, and nasapi/train, which runs them.
//
// A network is a [Graph]: operators ([Conv], [Pool], [Sum], ...) between values
// ([Var]), added in order and in groups that do not depend on each other. The graph
// is built before anything is computed, so its memory is planned and its cost is
// known before the first step. A [Device] computes groups of operators, forward and
// backward; nothing outside the engine knows which device it is.
//
//	g := nn.NewGraph(dev, nn.Train)
//	x := g.Input(batch, 32, 32, 3)
//	y := g.Conv(x, nn.ConvOf(stem, nn.Window{KH: 3, KW: 3, PadH: 1, PadW: 1}), stemNorm)
//	loss := g.CrossEntropy(g.Linear(g.GlobalPool(y), weight, bias), 1)
//	err := g.Plan()              // memory: says how much, fails where there is too little
//	g.SetInput(x, pixels); copy(loss.Labels, labels)
//	g.Forward(); g.Backward(); optimiser.Step(rate)
//
// # Values
//
// Tensors are NHWC float32. A convolution's output is stored once, before its batch
// norm: the norm and its ReLU are part of the [Var] and are applied by whoever reads
// it, so they cost no pass over memory; what lies between a block's input and its
// stored output is recomputed in the backward pass.
//
// Graphs that run one after another, such as the paths of a supernet, may be planned in
// one [Arena].
//
// # Determinism
//
// The same graph, weights and inputs give the same bits on any number of threads and
// any kernel set of a device. Sums over pixels are cut into chunks of images by the
// shape alone and joined in order.
package nn
