package policy

var fbnetInfo = &Info{
	Name:    "fbnet",
	Summary: "DARTS with Gumbel softmax: noisy mixtures that sharpen as the temperature falls",
	Doc: `DARTS in all but the mixture, which is a Gumbel softmax of the logits,
softmax((logit + g) / T): one draw of noise for each choice and forward pass, of
all cells alike, in validation too. T falls from temperature by the factor
exp(-cooling) every epoch until min_temperature. These are epochs of a run of
200, where T reaches 0.05 after 103; a shorter run stays hotter, and one that is
to end as cold takes cooling=0.045*200/epochs. Logits learn in every epoch, by
gradients of first order; there is no term for latency.

Architectures are sampled, and derived in the DARTS space, from the softmax of
the logits, without noise and temperature; the reference samples all 1,000 from
one noisy distribution.`,
	Source: "Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search, CVPR 2019; NASBench-101 form of Yu et al., ICLR 2020",
	Params: append([]Param{
		{Name: "learning_rate", Default: 0.01, Min: 0, Max: 10, Doc: "of Adam on the logits (betas 0.5 and 0.999)"},
		{Name: "weight_decay", Default: 5e-4, Min: 0, Max: 10, Doc: "of the logits, part of their gradient"},
		{Name: "order", Default: 1, Min: 1, Max: 2, Doc: "of the gradient"},
		{Name: "temperature", Default: 5.0, Min: 1e-3, Max: 1e3, Doc: "of the softmax in the first epoch"},
		{Name: "cooling", Default: 0.045, Min: 0, Max: 1e3, Doc: "every epoch divides the temperature by exp(cooling)"},
		{Name: "min_temperature", Default: 0.05, Min: 1e-3, Max: 1e3, Doc: "what the temperature does not fall below"},
		{Name: "noise", Default: true, Doc: "Gumbel noise on the logits; without it mixtures are the softmax at the temperature"},
	}, nasbenchRelaxedParams...),
	Needs:    needsRelaxation("fbnet"),
	Encoding: relaxedEncoding,
	Shares:   Must,
	build: func(c Config) Policy {
		return &relaxed{
			name:         "fbnet",
			learningRate: c.number("learning_rate"), decay: c.number("weight_decay"), order: c.integer("order"),
			edge: c.number("edge_logit"), samples: c.integer("samples"),
			hot: c.number("temperature"), cooling: c.number("cooling"), coldest: c.number("min_temperature"),
			noise: c.truth("noise"),
		}
	},
}
