package policy

var dartsInfo = &Info{
	Name:    "darts",
	Summary: "differentiable search: logits of the choices learn by gradient through a mixture",
	Doc: `All options of every choice run at once, mixed by the softmax of logits. Every
step moves the logits along the gradient of the loss on a batch of validation
images (Adam, betas 0.5 and 0.999), and then the weights along that of a batch
of training images. Logits and weights have optimisers of their own.

In the DARTS space each of the 14 edges of either cell has 8 logits, normally
distributed with deviation 0.001 at first. At the end each node keeps the two
edges whose strongest operation ("none" left out) weighs most, with it.

On NASBench-101 each vertex chooses one predecessor or none (logits edge_logit
and 0 at first) and an operation (0). All vertices and the input feed the output
while weights are trained. After every epoch samples architectures are drawn:
a predecessor and an operation for each vertex; all that the input reaches feed
the output, as does the input. What is in the space is counted, the 200 most
frequent are the pool, the most frequent at the end is the choice. Five vertices
that all feed the output have eleven edges, which the space does not allow, so
there only those feed it that feed no other vertex; the reference drops all of
them. RelaxedReachable says how many cells can be derived.

order=2 takes the gradient after one virtual step of the weights (DARTS, section
2.3). The default, 0, does as the reference ran: 2 on NASBench-101, 1 in the
DARTS space.

Not copied from the reference: mixture weights that are one input off, with the
first input unweighted; another order of the operations in training than in
decoding; logits that the weights' optimiser trains too; sampling before the
epoch's training.`,
	Source: "Liu, Simonyan, Yang, DARTS: Differentiable Architecture Search, ICLR 2019; NASBench-101 form of Yu et al., ICLR 2020",
	Params: append([]Param{
		{Name: "learning_rate", Default: 3e-4, Min: 0, Max: 10, Doc: "of Adam on the logits"},
		{Name: "weight_decay", Default: 1e-3, Min: 0, Max: 10, Doc: "of the logits, part of their gradient"},
		{Name: "order", Default: 0, Min: 0, Max: 2, Doc: "of the gradient: 1, 2, or 0 for the default of the space"},
	}, nasbenchRelaxedParams...),
	Needs:    needsRelaxation("darts"),
	Encoding: relaxedEncoding,
	Shares:   Must,
	build: func(c Config) Policy {
		return &relaxed{
			name:         "darts",
			learningRate: c.number("learning_rate"), decay: c.number("weight_decay"), order: c.integer("order"),
			edge: c.number("edge_logit"), samples: c.integer("samples"),
			hot: 1, coldest: 1,
		}
	},
}

// nasbenchRelaxedParams are what DARTS and FBNet take on NASBench-101.
var nasbenchRelaxedParams = []Param{
	{Name: "edge_logit", Default: 10.0, Min: -1e3, Max: 1e3, Doc: "NASBench-101: initial logit of each predecessor of a vertex; having none has 0"},
	{Name: "samples", Default: 1000, Min: 1, Max: 1e6, Doc: "NASBench-101: architectures drawn after every epoch"},
}
