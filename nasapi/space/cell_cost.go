package space

import "math/bits"

// The network of the data set: a stem, three stacks of three cells, each
// stack but the first after a halving of the image, and a linear layer.
const (
	nasbenchImage   = 32 // pixels a side
	nasbenchStem    = 128
	nasbenchStacks  = 3
	nasbenchModules = 3 // cells a stack; the widths are 128, 256, 512
	nasbenchClasses = 10
)

// Params is the number of trainable parameters of the data set's network with
// this cell: convolutions (no biases), scale and shift of every batch
// normalisation, the linear layer.
func (c *Cell) Params() int64 { return c.cost().params }

// FLOPs is the number of multiply-adds of one forward pass of that network on
// one 32x32 image: convolutions and the linear layer. Pooling, normalisation
// and additions are not counted.
func (c *Cell) FLOPs() int64 { return c.cost().flops }

// cellCost adds up parameters and multiply-adds.
type cellCost struct{ params, flops int64 }

func (c *Cell) cost() cellCost {
	var sum cellCost
	var buf [maxGiven]int64
	pixels := int64(nasbenchImage * nasbenchImage)
	width := int64(nasbenchStem)
	sum.convBN(3*3, 3, width, pixels)
	in := width
	for stack := range nasbenchStacks {
		if stack > 0 {
			pixels /= 4
			width *= 2
		}
		channels := c.channels(buf[:len(c.out)], width)
		for range nasbenchModules {
			sum.module(c, channels, in, pixels)
			in = width
		}
	}
	sum.params += in*nasbenchClasses + nasbenchClasses
	sum.flops += in * nasbenchClasses
	return sum
}

// VertexChannels is the width of every vertex of this cell in a module of the given
// output width, by the data set's rule: the vertices that feed the output share its
// channels, the first ones getting one more where they do not divide; every other
// one is as wide as the widest that it feeds. The input's entry is 0.
func (c *Cell) VertexChannels(width int) []int {
	widths := make([]int, len(c.out))
	for v, w := range c.channels(make([]int64, len(c.out)), int64(width)) {
		widths[v] = int(w)
	}
	return widths
}

// channels fills dst with the width of every vertex of a cell with the given
// output width. The vertices that feed the output share its channels, one
// more for the first ones where they do not divide; every other vertex is as
// wide as the widest it feeds. The input's entry is not used.
func (c *Cell) channels(dst []int64, width int64) []int64 {
	clear(dst)
	last := len(c.out) - 1
	dst[last] = width
	feeders := int64(0)
	for v := 1; v < last; v++ {
		feeders += int64(c.out[v] >> last & 1)
	}
	if feeders == 0 {
		return dst
	}
	share, more := width/feeders, width%feeders
	for v := 1; v < last; v++ {
		if c.out[v]>>last&1 != 0 {
			dst[v] = share
			if more > 0 {
				dst[v]++
				more--
			}
		}
	}
	for v := last - 1; v > 0; v-- {
		if c.out[v]>>last&1 != 0 {
			continue
		}
		for row := c.out[v]; row != 0; row &= row - 1 {
			dst[v] = max(dst[v], dst[bits.TrailingZeros64(row)])
		}
	}
	return dst
}

// module adds one cell: a projection for every edge from the input, the
// operation of every vertex.
func (sum *cellCost) module(c *Cell, channels []int64, in, pixels int64) {
	for row := c.out[0]; row != 0; row &= row - 1 {
		sum.convBN(1, in, channels[bits.TrailingZeros64(row)], pixels)
	}
	for i, label := range c.labels {
		width := channels[i+1]
		switch nasbenchOps[label] {
		case "conv3x3-bn-relu":
			sum.convBN(3*3, width, width, pixels)
		case "conv1x1-bn-relu":
			sum.convBN(1, width, width, pixels)
		}
	}
}

// convBN is a convolution whose kernel has area values, with normalisation.
func (sum *cellCost) convBN(area, in, out, pixels int64) {
	sum.params += area*in*out + 2*out
	sum.flops += area * in * out * pixels
}
