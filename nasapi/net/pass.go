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

	cfg   Config
	drops []drop
}

// drop is an edge that drop path may drop: one source of a node's sum.
type drop struct {
	sum    *nn.Sum
	source int
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
	if batch < 1 {
		return nil, fmt.Errorf("a batch of %d images; give at least 1", batch)
	}
	if batch == 1 && n.cfg.Auxiliary && mode == nn.Train {
		return nil, fmt.Errorf("a batch of 1 image: the auxiliary head's batch norm sees one number a channel of it; give at least 2")
	}
	g := nn.NewGraph(n.dev, mode)
	p := &Pass{Graph: g, Input: g.Input(batch, n.cfg.Height, n.cfg.Width, n.cfg.Colours), cfg: n.cfg}
	pool := g.GlobalPool(nn.GlobalPool{X: features(p)})
	g.Add(pool)
	p.Logits, p.Loss = p.classify(pool.Out, n.body.classifier(), 1)
	return p, nil
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
// nothing. In a graph that does not train there is nothing to drop.
func (p *Pass) SetDropPath(s *rng.Stream, drop float64) error {
	if !(drop >= 0 && drop < 1) {
		return fmt.Errorf("a drop path probability of %v; give at least 0 and less than 1", drop)
	}
	for _, d := range p.drops {
		if drop == 0 {
			d.sum.Keep[d.source] = nil
			continue
		}
		for i := range d.keep {
			d.keep[i] = 0
			if s.Chance(1 - drop) {
				d.keep[i] = float32(1 / (1 - drop))
			}
		}
		d.sum.Keep[d.source] = d.keep
	}
	return nil
}

// mayDrop makes one source of a sum subject to drop path.
func (p *Pass) mayDrop(sum *nn.Sum, source int) {
	if sum.Keep == nil {
		sum.Keep = make([][]float32, len(sum.Sources))
	}
	p.drops = append(p.drops, drop{sum, source, make([]float32, p.Batch())})
}
