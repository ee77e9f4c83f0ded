package net

import (
	"fmt"

	"evalnas/nasapi/nn"
)

// block is a convolution with its batch norm, not yet applied to anything.
type block struct {
	conv nn.Conv
	norm *nn.BatchNorm
	act  bool // a ReLU after the norm
}

func (b block) on(g *nn.Graph, x *nn.Var) *nn.Conv {
	c := b.conv
	c.X = x
	return g.Conv(c, b.norm, b.act)
}

// square is a window that keeps the size at stride 1.
func square(k, stride, dilation int) nn.Window {
	pad := dilation * (k - 1) / 2
	return nn.Window{KH: k, KW: k, StrideH: stride, StrideW: stride, DilationH: dilation, DilationW: dilation, PadH: pad, PadW: pad}
}

var pointwise = square(1, 1, 1)

// reluConvNorm is ReLU, 1x1 convolution and batch norm: what a cell sees of an input.
func (m *maker) reluConvNorm(name string, in, out int) block {
	return block{
		conv: nn.Conv{ReLU: true, Dense: []nn.DensePart{{W: m.dense(name+".op.1", "", 1, 1, in, out)}}, DenseWindow: pointwise},
		norm: m.norm(name+".op.2", "", out),
	}
}

// factorisedReduce is ReLU, two 1x1 convolutions of stride 2, each to half of the
// channels, the second on the input moved by one pixel, and batch norm. Of an image
// with an odd side, the second half sees zeros past the edge.
func (m *maker) factorisedReduce(name string, in, out int) block {
	first := m.dense(name+".conv_1", "", 1, 1, in, out/2)
	second := m.dense(name+".conv_2", "", 1, 1, in, out-out/2)
	return block{
		conv: nn.Conv{ReLU: true, Dense: []nn.DensePart{{W: first}, {W: second, Down: 1, Right: 1}}, DenseWindow: square(1, 2, 1)},
		norm: m.norm(name+".bn", "", out),
	}
}

// separableHalf is ReLU, depthwise convolution, 1x1 convolution and batch norm, the
// modules from..from+3 of a sequence: once in a dilated convolution, twice in a
// separable one.
func (m *maker) separableHalf(name string, from int, window nn.Window, c int) block {
	module := func(i int) string { return fmt.Sprintf("%s.op.%d", name, from+i) }
	depth := m.depthwise(module(1), window.KH, c)
	dense := m.dense(module(2), "", 1, 1, c, c)
	return block{
		conv: nn.Conv{ReLU: true, Depth: depth, DepthWindow: window, Dense: []nn.DensePart{{W: dense}}, DenseWindow: pointwise},
		norm: m.norm(module(3), "", c),
	}
}

// convNormReLU is a convolution that keeps the size, or halves it, with batch norm
// and ReLU: the modules first, first+1 of a sequence.
func (m *maker) convNormReLU(name, piece string, first int, window nn.Window, in, out int) block {
	b := m.convNorm(name, piece, first, window, in, out)
	b.act = true
	return b
}

func (m *maker) convNorm(name, piece string, first int, window nn.Window, in, out int) block {
	dense := m.dense(fmt.Sprintf("%s.%d", name, first), piece, window.KH, window.KW, in, out)
	return block{
		conv: nn.Conv{Dense: []nn.DensePart{{W: dense}}, DenseWindow: window},
		norm: m.norm(fmt.Sprintf("%s.%d", name, first+1), piece, out),
	}
}

// stem is what comes before the first cell, each block by itself.
type stem []block

// stemHalvings is how often the stem halves an image: as long as the longer side has
// 64 pixels or more and the shorter one 16, so that of CIFAR's 32x32 it is the
// published 3x3 convolution of stride 1, and the first cell sees 32 to 63 pixels of
// a larger one, as it does of an ImageNet image in the stems of DARTS and NASNet.
func stemHalvings(h, w int) int {
	n := 0
	for max(h, w) >= 64 && min(h, w) >= 16 {
		h, w = (h+1)/2, (w+1)/2
		n++
	}
	return n
}

// stemWidths are the channels after each of the stem's convolutions: half as many
// (rounded up) for each halving that is yet to come.
func stemWidths(halvings, out int) []int {
	var widths []int
	for left := max(1, halvings) - 1; left >= 0; left-- {
		widths = append(widths, (out+1<<left-1)>>left)
	}
	return widths
}

// stem is 3x3 convolutions with batch norm, each but the last with a ReLU, the last
// one if act.
func (m *maker) stem(out int, act bool) stem {
	cfg := m.n.cfg
	halvings := stemHalvings(cfg.Height, cfg.Width)
	stride := min(2, 1+halvings)
	in := cfg.Colours
	var s stem
	for i, width := range stemWidths(halvings, out) {
		b := m.convNormReLU("stem", "", 3*i, square(3, stride, 1), in, width)
		s = append(s, b)
		in = width
	}
	s[len(s)-1].act = act
	return s
}

func (s stem) on(g *nn.Graph, x *nn.Var) *nn.Var {
	for _, b := range s {
		op := b.on(g, x)
		g.Add(op)
		x = op.Out
	}
	return x
}
