package space

// The network that a genotype is evaluated with: CIFAR-10 protocol of the
// DARTS paper, the auxiliary head apart.
const (
	dartsChannels = 36 // of the first cells
	dartsCells    = 20
	dartsStem     = 3 // the stem has this many times the channels
	dartsClasses  = 10
	dartsImage    = 32 // pixels a side
)

// Params is the number of trainable parameters of the network of 20 cells with
// 36 initial channels and 10 classes, without the auxiliary head. It is 0 where an
// operation is no layer here: see Unbuilt.
func (g *Genotype) Params() int64 { return g.cost().params }

// FLOPs is the number of multiply-adds of one forward pass of that network on
// one 32x32 image: convolutions and the linear layer. Pooling, normalisation
// and additions are not counted. It is 0 where Params is.
func (g *Genotype) FLOPs() int64 { return g.cost().flops }

// AuxParams is the number of parameters of the auxiliary head, which hangs on
// the cell after the second halving and exists in training only.
func (g *Genotype) AuxParams() int64 {
	var c dartsCost
	c.conv(1, int64(len(g.reduce.Concat))*4*dartsChannels, 128, 1)
	c.norm(128)
	c.conv(2*2, 128, 768, 1)
	c.norm(768)
	c.linear(768, dartsClasses)
	return c.params
}

// dartsCost adds up parameters and multiply-adds.
type dartsCost struct{ params, flops int64 }

// conv is a convolution without bias whose kernel has area values, at the
// given number of output pixels.
func (c *dartsCost) conv(area, in, out, pixels int64) {
	c.params += area * in * out
	c.flops += area * in * out * pixels
}

func (c *dartsCost) depthwise(area, channels, pixels int64) { c.conv(area, 1, channels, pixels) }

// norm is a batch normalisation with scale and shift.
func (c *dartsCost) norm(channels int64) { c.params += 2 * channels }

func (c *dartsCost) linear(in, out int64) {
	c.params += in*out + out
	c.flops += in * out
}

// project is a 1x1 convolution with normalisation. It stands for the
// factorised reduce too, whose two halves make half of the channels each.
func (c *dartsCost) project(in, out, pixels int64) {
	c.conv(1, in, out, pixels)
	c.norm(out)
}

func (g *Genotype) cost() dartsCost {
	var c dartsCost
	if g.Unbuilt() != "" {
		return c
	}
	side, channels := int64(dartsImage), int64(dartsChannels)
	before, last := dartsStem*channels, dartsStem*channels // channels of the two previous outputs
	c.conv(3*3, 3, last, side*side)
	c.norm(last)
	for i := range dartsCells {
		cell, stride := g.normal, int64(1)
		if i == dartsCells/3 || i == 2*dartsCells/3 {
			cell, stride = g.reduce, 2
			channels *= 2
		}
		c.project(before, channels, side*side)
		c.project(last, channels, side*side)
		side /= stride
		c.edges(cell, channels, side, stride)
		before, last = last, channels*int64(len(cell.Concat))
	}
	c.linear(last, dartsClasses)
	return c
}

// edges adds the operations of a cell whose nodes are side x side pixels and
// whose inputs are stride times that.
func (c *dartsCost) edges(cell DARTSCell, channels, side, stride int64) {
	for _, e := range cell.Edges {
		s := stride
		if e.Input >= 2 {
			s = 1
		}
		c.op(e.Op, channels, side, s)
	}
}

func (c *dartsCost) op(op string, channels, side, stride int64) {
	pixels := side * side
	switch op {
	case "skip_connect":
		if stride != 1 {
			c.project(channels, channels, pixels)
		}
	case "sep_conv_3x3":
		c.separable(3, channels, pixels)
		c.separable(3, channels, pixels)
	case "sep_conv_5x5":
		c.separable(5, channels, pixels)
		c.separable(5, channels, pixels)
	case "sep_conv_7x7":
		c.separable(7, channels, pixels)
		c.separable(7, channels, pixels)
	case "dil_conv_3x3":
		c.separable(3, channels, pixels)
	case "dil_conv_5x5":
		c.separable(5, channels, pixels)
	case "conv_7x1_1x7":
		// The first of the two halves the width only.
		c.conv(7, channels, channels, pixels*stride)
		c.conv(7, channels, channels, pixels)
		c.norm(channels)
	}
	// Pooling has no parameters and no multiply-adds: in the trained network
	// it is not normalised.
}

// separable is a depthwise and a pointwise convolution with normalisation.
func (c *dartsCost) separable(k, channels, pixels int64) {
	c.depthwise(k*k, channels, pixels)
	c.project(channels, channels, pixels)
}
