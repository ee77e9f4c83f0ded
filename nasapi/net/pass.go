package net

import (
	"errors"
	"fmt"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
)

// Pass is a network's graph for one mode and batch size. It is planned by its
// caller (Graph.Plan), who may ask Graph.Bytes before.
type Pass struct {
	Graph  *nn.Graph
	Input  *nn.Var          // batch x height x width x colours
	Logits *nn.Var          // batch x 1 x 1 x classes
	Loss   *nn.CrossEntropy // after Forward: the mean loss and the number of images classified rightly
	// Auxiliary is the auxiliary head's loss, before its weight; nil but in training
	// of a network that has one.
	Auxiliary *nn.CrossEntropy

	cfg     Config
	drops   []drop
	dropout *nn.Dropout // nil: none
}

// drop is an edge that drop path may drop: one source of a node's sum.
type drop struct {
	sum    *nn.Sum
	source int
	share  float64   // of SetDropPath's probability
	keep   []float32 // of each image
}

// Build makes the graph for batches of the given number of images.
func (n *Network) Build(mode nn.Mode, batch int) (*Pass, error) {
	whole, ok := n.body.(wholeBody)
	if !ok {
		return nil, errors.New("this supernet is run one architecture at a time: build the graph of one with Path")
	}
	return n.build(mode, batch, whole.features)
}

// build is Build with the operators up to the classifier given.
func (n *Network) build(mode nn.Mode, batch int, features func(p *Pass) *nn.Var) (*Pass, error) {
	p, err := n.begin(mode, batch)
	if err != nil {
		return nil, err
	}
	p.end(nn.GlobalPool{X: features(p)}, n.body.classifier(), false)
	return p, nil
}

// begin is a graph with its input.
func (n *Network) begin(mode nn.Mode, batch int) (*Pass, error) {
	if batch < 1 {
		return nil, fmt.Errorf("a batch of %d images; give at least 1", batch)
	}
	if batch == 1 && n.cfg.Auxiliary && mode == nn.Train {
		return nil, fmt.Errorf("a batch of 1 image: the auxiliary head's batch norm sees one number a channel of it; give at least 2")
	}
	g := nn.NewGraph(n.dev, mode)
	return &Pass{Graph: g, Input: g.Input(batch, n.cfg.Height, n.cfg.Width, n.cfg.Colours), cfg: n.cfg}, nil
}

// end adds the mean over all pixels, in training the dropout of its channels if there is
// one, the classifier and the loss.
func (p *Pass) end(mean nn.GlobalPool, classifier linear, dropout bool) {
	g := p.Graph
	pool := g.GlobalPool(mean)
	g.Add(pool)
	x := pool.Out
	if dropout && g.Mode() == nn.Train {
		p.dropout = g.Dropout(nn.Dropout{X: x})
		fill(p.dropout.Keep, 1)
		g.Add(p.dropout)
		x = p.dropout.Out
	}
	p.Logits, p.Loss = p.classify(x, classifier, 1)
}

// classify ends the graph, or a branch of it, in a loss.
func (p *Pass) classify(x *nn.Var, layer linear, weight float64) (*nn.Var, *nn.CrossEntropy) {
	logits := layer.on(p.Graph, x)
	loss := p.Graph.CrossEntropy(logits.Out, weight)
	p.Graph.Add(logits)
	p.Graph.Add(loss)
	return logits.Out, loss
}

// Batch is the number of images of a batch.
func (p *Pass) Batch() int { return p.Input.Values.N }

// SetLabels gives the losses the class of every image.
func (p *Pass) SetLabels(labels []int32) error {
	if len(labels) != p.Batch() {
		return fmt.Errorf("%d labels for a batch of %d images", len(labels), p.Batch())
	}
	for i, label := range labels {
		if label < 0 || int(label) >= p.cfg.Classes {
			return fmt.Errorf("image %d of the batch has the label %d; the network's classes are 0 to %d", i, label, p.cfg.Classes-1)
		}
	}
	for _, loss := range []*nn.CrossEntropy{p.Loss, p.Auxiliary} {
		if loss == nil {
			continue
		}
		copy(loss.Labels, labels)
	}
	return nil
}

// TotalLoss is what the last forward pass's backward pass follows: the loss, and the
// auxiliary one by its weight.
func (p *Pass) TotalLoss() float64 {
	sum := p.Loss.Loss
	if p.Auxiliary != nil {
		sum += float64(p.Auxiliary.Weight * p.Auxiliary.Loss)
	}
	return sum
}

// SetDropPath draws for every image and every edge but identities (skips of stride 1)
// whether the edge counts: with probability 1-p, and then 1/(1-p) times (Larsson,
// Maire and Shakhnarovich, "FractalNet", ICLR 2017, as DARTS does it). Edges come in
// the order of cells and genotype, images within each. 0 turns it off and draws
// nothing. In a graph that does not train there is nothing to drop. In a NAO child p
// grows with a cell's place: see NewNAOChild.
func (p *Pass) SetDropPath(s *rng.Stream, drop float64) error {
	if !(drop >= 0 && drop < 1) {
		return fmt.Errorf("a drop path probability of %v; give at least 0 and less than 1", drop)
	}
	for _, d := range p.drops {
		if drop == 0 {
			d.sum.Keep[d.source] = nil
			continue
		}
		keep := 1 - float64(d.share*drop)
		for i := range d.keep {
			d.keep[i] = 0
			if s.Chance(keep) {
				d.keep[i] = float32(1 / keep)
			}
		}
		d.sum.Keep[d.source] = d.keep
	}
	return nil
}

// SetDropout draws for every image and every channel that the classifier sees whether it
// counts: with probability 1-drop, and then 1/(1-drop) times. 0 turns it off and draws
// nothing. There is a dropout in the training graphs of an ENAS child alone: of all others
// it asks nothing.
func (p *Pass) SetDropout(s *rng.Stream, drop float64) error {
	if !(drop >= 0 && drop < 1) {
		return fmt.Errorf("a dropout probability of %v; give at least 0 and less than 1", drop)
	}
	if p.dropout == nil {
		return nil
	}
	for i := range p.dropout.Keep {
		switch {
		case drop == 0:
			p.dropout.Keep[i] = 1
		case s.Chance(1 - drop):
			p.dropout.Keep[i] = float32(1 / (1 - drop))
		default:
			p.dropout.Keep[i] = 0
		}
	}
	return nil
}

// mayDrop makes one source of a sum subject to a share of drop path's probability.
func (p *Pass) mayDrop(sum *nn.Sum, source int, share float64) {
	if sum.Keep == nil {
		sum.Keep = make([][]float32, len(sum.Sources))
	}
	p.drops = append(p.drops, drop{sum, source, share, make([]float32, p.Batch())})
}
