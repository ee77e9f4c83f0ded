package nntest

import (
	"fmt"

	"evalnas/nasapi/nn"
)

// testCase builds one small graph that ends in a loss.
type testCase struct {
	name  string
	build func(b *builder)
}

var cases = makeCases()

func square(k, stride, pad, dilation int) nn.Window {
	return nn.Window{KH: k, KW: k, StrideH: stride, StrideW: stride, PadH: pad, PadW: pad, DilationH: dilation, DilationW: dilation}
}

func makeCases() []testCase {
	var all []testCase
	add := func(name string, build func(b *builder)) { all = append(all, testCase{name, build}) }
	add("loss", func(b *builder) { b.head(b.variable(3, 2, 2, 4)) })
	denseCases(add)
	depthwiseCases(add)
	poolCases(add)
	sumCases(add)
	headCases(add)
	networkCases(add)
	partCases(add)
	fixedCases(add)
	return all
}

func dense(b *builder, window nn.Window, in, out int) nn.Conv {
	return nn.Conv{Dense: []nn.DensePart{{W: b.weight(window.KH*window.KW, in, out)}}, DenseWindow: window}
}

func denseCases(add func(string, func(*builder))) {
	for _, c := range []struct {
		name         string
		n, h, w      int
		in, out      int
		window       nn.Window
		relu, act    bool
		norm, affine bool
	}{
		{name: "1x1", n: 2, h: 3, w: 4, in: 4, out: 8, window: square(1, 1, 0, 1)},
		{name: "1x1 relu norm", n: 3, h: 3, w: 3, in: 6, out: 5, window: square(1, 1, 0, 1), relu: true, norm: true},
		{name: "1x1 affine norm relu", n: 3, h: 4, w: 3, in: 5, out: 7, window: square(1, 1, 0, 1), norm: true, affine: true, act: true},
		{name: "1x1 stride 2", n: 2, h: 5, w: 4, in: 4, out: 4, window: square(1, 2, 0, 1), relu: true, norm: true, affine: true},
		{name: "3x3", n: 2, h: 4, w: 5, in: 3, out: 9, window: square(3, 1, 1, 1), norm: true, affine: true},
		{name: "3x3 stride 2", n: 2, h: 5, w: 6, in: 4, out: 6, window: square(3, 2, 1, 1), relu: true},
		{name: "3x3 dilated", n: 1, h: 6, w: 6, in: 4, out: 4, window: square(3, 1, 2, 2), norm: true},
		{name: "2x2", n: 2, h: 3, w: 3, in: 4, out: 4, window: square(2, 1, 0, 1), relu: true, norm: true, affine: true},
		{name: "1x7", n: 2, h: 3, w: 8, in: 4, out: 4, window: nn.Window{KH: 1, KW: 7, StrideW: 2, PadW: 3}, relu: true},
		{name: "7x1", n: 2, h: 8, w: 3, in: 4, out: 4, window: nn.Window{KH: 7, KW: 1, StrideH: 2, PadH: 3}, norm: true},
		{name: "wide", n: 1, h: 2, w: 3, in: 40, out: 36, window: square(1, 1, 0, 1), norm: true, affine: true, relu: true},
	} {
		add("dense "+c.name, func(b *builder) {
			conv := dense(b, c.window, c.in, c.out)
			conv.X, conv.ReLU = b.variable(c.n, c.h, c.w, c.in), c.relu
			var bn *nn.BatchNorm
			if c.norm {
				bn = b.norm(c.out, c.affine)
			}
			b.head(b.conv(conv, bn, c.act))
		})
	}
	add("dense corner of a larger weight", func(b *builder) {
		p, gamma := b.param(9, 9, 12), b.norm(12, true)
		conv := nn.Conv{X: b.variable(2, 4, 4, 6), Dense: []nn.DensePart{{W: p.Corner(6, 7)}}, DenseWindow: square(3, 1, 1, 1)}
		b.head(b.conv(conv, gamma, true))
	})
	add("factorised reduction", func(b *builder) {
		for _, c := range []int{8, 6} {
			conv := nn.Conv{
				X: b.variable(2, 4, 6, 5), ReLU: true,
				Dense:       []nn.DensePart{{W: b.weight(1, 5, c/2)}, {W: b.weight(1, 5, c-c/2), Down: 1, Right: 1}},
				DenseWindow: square(1, 2, 0, 1),
			}
			b.head(b.conv(conv, b.norm(c, true), false))
		}
	})
	add("one weight twice", func(b *builder) {
		w := b.weight(1, 4, 4)
		x := b.variable(2, 3, 3, 4)
		for range 2 {
			x = b.conv(nn.Conv{X: x, ReLU: true, Dense: []nn.DensePart{{W: w}}, DenseWindow: square(1, 1, 0, 1)}, b.norm(4, false), false)
		}
		b.head(x)
	})
	add("weights of a concatenation's segments", func(b *builder) {
		for _, window := range []nn.Window{square(1, 1, 0, 1), square(3, 2, 1, 1)} {
			x, y := b.variable(2, 3, 4, 5), b.variable(2, 3, 4, 5)
			whole, parts := b.g.Concat(2, 3, 4, []int{5, 5, 5})
			b.parts[whole] = parts
			b.sum(nn.Sum{Sources: []*nn.Var{x}, Out: parts[0]})
			b.sum(nn.Sum{Sources: []*nn.Var{x, y}, Out: parts[1]})
			b.sum(nn.Sum{Sources: []*nn.Var{y}, Out: parts[2]})
			taps := window.KH * window.KW
			twice := b.weight(taps, 5, 6)
			part := nn.DensePart{W: twice, More: []nn.Weight{b.weight(taps, 5, 6), twice}}
			b.head(b.conv(nn.Conv{X: whole, ReLU: true, Dense: []nn.DensePart{part}, DenseWindow: window}, b.norm(6, true), false))
		}
	})
	add("one weight twice in a group", func(b *builder) {
		w := b.weight(1, 4, 4)
		x := b.variable(2, 3, 3, 4)
		one := b.g.Conv(nn.Conv{X: x, Dense: []nn.DensePart{{W: w}}, DenseWindow: square(1, 1, 0, 1)}, nil, false)
		two := b.g.Conv(nn.Conv{X: x, ReLU: true, Dense: []nn.DensePart{{W: w}}, DenseWindow: square(1, 1, 0, 1)}, b.norm(4, false), false)
		b.add(one, two)
		b.head(b.sum(nn.Sum{Sources: []*nn.Var{one.Out, two.Out}}))
	})
}

func depthwise(b *builder, window nn.Window, c int) nn.Conv {
	w := b.weight(window.KH*window.KW, c)
	return nn.Conv{Depth: &w, DepthWindow: window}
}

func depthwiseCases(add func(string, func(*builder))) {
	for _, k := range []int{3, 5, 7} {
		for _, stride := range []int{1, 2} {
			for _, dilation := range []int{1, 2} {
				c := []int{4, 6, 12}[(k+stride+dilation)%3]
				add(fmt.Sprintf("depthwise %dx%d stride %d dilation %d", k, k, stride, dilation), func(b *builder) {
					conv := depthwise(b, square(k, stride, dilation*(k-1)/2, dilation), c)
					conv.X, conv.ReLU = b.variable(2, 6, 5, c), dilation == 2
					b.head(b.conv(conv, nil, stride == 2))
				})
			}
		}
	}
	for _, stride := range []int{1, 2} {
		add(fmt.Sprintf("depthwise and dense, stride %d", stride), func(b *builder) {
			conv := depthwise(b, square(5, stride, 2, 1), 6)
			conv.X, conv.ReLU = b.variable(3, 6, 6, 6), true
			conv.Dense, conv.DenseWindow = []nn.DensePart{{W: b.weight(1, 6, 10)}}, square(1, 1, 0, 1)
			b.head(b.conv(conv, b.norm(10, true), false))
		})
	}
	add("separable convolution of many images", func(b *builder) {
		x := b.variable(19, 4, 4, 4)
		for range 2 {
			conv := depthwise(b, square(3, 1, 1, 1), 4)
			conv.X, conv.ReLU = x, true
			conv.Dense, conv.DenseWindow = []nn.DensePart{{W: b.weight(1, 4, 4)}}, square(1, 1, 0, 1)
			x = b.conv(conv, b.norm(4, false), false)
		}
		b.head(x)
	})
}

func poolCases(add func(string, func(*builder))) {
	for _, c := range []struct {
		name    string
		h, w, c int
		window  nn.Window
		relu    bool
	}{
		{"3x3", 5, 4, 6, square(3, 1, 1, 1), false},
		{"3x3 stride 2", 5, 6, 4, square(3, 2, 1, 1), false},
		{"2x2 stride 2", 4, 4, 8, square(2, 2, 0, 1), false},
		{"5x5 stride 3", 8, 8, 4, square(5, 3, 0, 1), true},
	} {
		for _, isMax := range []bool{true, false} {
			for _, norm := range []bool{false, true} {
				add(fmt.Sprintf("pool %s max %v norm %v", c.name, isMax, norm), func(b *builder) {
					var bn *nn.BatchNorm
					if norm {
						bn = b.norm(c.c, false)
					}
					pool := b.g.Pool(nn.Pool{X: b.variable(2, c.h, c.w, c.c), ReLU: c.relu && !isMax, Max: isMax, Window: c.window}, bn)
					b.add(pool)
					b.head(pool.Out)
				})
			}
		}
	}
	for _, stride := range []int{1, 2} {
		add(fmt.Sprintf("pool that counts padding, stride %d", stride), func(b *builder) {
			pool := b.g.Pool(nn.Pool{X: b.variable(2, 5, 4, 6), CountPad: true, Window: square(3, stride, 1, 1)}, nil)
			b.add(pool)
			b.head(pool.Out)
		})
	}
	add("global pool", func(b *builder) {
		pool := b.g.GlobalPool(nn.GlobalPool{X: b.variable(3, 3, 4, 6), ReLU: true})
		b.add(pool)
		b.head(pool.Out)
	})
}

func sumCases(add func(string, func(*builder))) {
	add("sum", func(b *builder) {
		b.head(b.sum(nn.Sum{Sources: []*nn.Var{b.variable(2, 3, 3, 5), b.variable(2, 3, 3, 5)}}))
	})
	add("weighted sum of everything", func(b *builder) {
		x := b.variable(3, 4, 4, 6)
		one := b.g.Conv(withX(dense(b, square(1, 1, 0, 1), 6, 6), x, true), b.norm(6, true), false)
		two := b.g.Conv(withX(dense(b, square(1, 1, 0, 1), 6, 6), x, false), b.norm(6, false), true)
		pool := b.g.Pool(nn.Pool{X: x, Max: true, Window: square(3, 1, 1, 1)}, b.norm(6, false))
		bare := b.g.Conv(withX(dense(b, square(1, 1, 0, 1), 6, 6), x, true), nil, false)
		b.add(one, two, pool, bare)
		sources := []*nn.Var{one.Out, two.Out, x, pool.Out, bare.Out}
		b.head(b.sum(nn.Sum{
			Sources: sources, Weights: []float32{0.5, -0.25, 0.75, 1.5, 0.125},
			Keep: [][]float32{{0, 1.25, 1.25}, nil, {1.25, 0, 1.25}, nil, {2, 0, 2}},
		}))
	})
	add("sums in two steps", func(b *builder) {
		x, y := b.variable(2, 3, 3, 4), b.variable(2, 3, 3, 4)
		first := b.conv(withX(dense(b, square(1, 1, 0, 1), 4, 4), x, true), b.norm(4, false), false)
		out := b.sum(nn.Sum{Sources: []*nn.Var{first, y}, Weights: []float32{0.5, 2}})
		second := b.conv(withX(dense(b, square(1, 1, 0, 1), 4, 4), y, true), b.norm(4, false), false)
		b.sum(nn.Sum{Sources: []*nn.Var{second, x}, Weights: []float32{-1, 0.25}, Out: out, Add: true})
		b.head(out)
	})
	add("the first channels of a wider value", func(b *builder) {
		wide, narrow := b.variable(2, 3, 3, 11), b.variable(2, 3, 3, 6)
		b.head(b.sum(nn.Sum{Sources: []*nn.Var{narrow, wide}}))
	})
	add("all but one channel of a value, in as much memory", func(b *builder) {
		x := b.variable(2, 3, 3, 7)
		block := b.conv(withX(dense(b, square(1, 1, 0, 1), 7, 7), x, true), b.norm(7, true), true)
		only := b.sum(nn.Sum{Sources: []*nn.Var{block}, Out: b.g.Value(2, 3, 3, 6)})
		b.head(b.sum(nn.Sum{Sources: []*nn.Var{only, x}}))
	})
	add("one source twice", func(b *builder) {
		x := b.variable(2, 3, 3, 4)
		b.head(b.sum(nn.Sum{Sources: []*nn.Var{x, x}, Weights: []float32{0.5, 0.25}}))
	})
	add("concatenation", func(b *builder) {
		x := b.variable(2, 4, 4, 6)
		y := b.conv(withX(dense(b, square(1, 1, 0, 1), 6, 6), x, true), b.norm(6, true), false)
		whole, parts := b.g.Concat(2, 4, 4, []int{6, 6, 6})
		b.parts[whole] = parts
		b.sum(nn.Sum{Sources: []*nn.Var{x, y}, Out: parts[0]})
		b.sum(nn.Sum{Sources: []*nn.Var{y, parts[0]}, Weights: []float32{1.5, 0.5}, Out: parts[1]})
		z := b.conv(withX(dense(b, square(3, 1, 1, 1), 6, 6), parts[1], true), b.norm(6, true), false)
		b.sum(nn.Sum{Sources: []*nn.Var{z, parts[0]}, Out: parts[2]})
		b.head(b.conv(withX(dense(b, square(1, 1, 0, 1), 18, 8), whole, true), b.norm(8, false), false))
	})
}

func withX(c nn.Conv, x *nn.Var, relu bool) nn.Conv {
	c.X, c.ReLU = x, relu
	return c
}

func headCases(add func(string, func(*builder))) {
	add("linear, dropout and two losses", func(b *builder) {
		x := b.variable(4, 3, 3, 6)
		pool := b.g.GlobalPool(nn.GlobalPool{X: x})
		b.add(pool)
		drop := b.g.Dropout(nn.Dropout{X: pool.Out})
		for i := range drop.Keep {
			drop.Keep[i] = []float32{0, 1.25}[b.draw.IntN(2)]
		}
		b.add(drop)
		bias := b.weight(7)
		linear := b.g.Linear(nn.Linear{X: drop.Out, W: b.weight(6, 7), B: &bias})
		b.add(linear)
		loss := b.g.CrossEntropy(linear.Out, 1)
		for i := range loss.Labels {
			loss.Labels[i] = int32(i % 7)
		}
		b.add(loss)
		b.head(x)
	})
	add("linear without a bias", func(b *builder) {
		linear := b.g.Linear(nn.Linear{X: b.variable(18, 1, 1, 5), W: b.weight(5, 4)})
		b.add(linear)
		b.head(linear.Out)
	})
}

// networkCases are the blocks as networks use them: groups that share an input.
func networkCases(add func(string, func(*builder))) {
	for _, stride := range []int{1, 2} {
		add(fmt.Sprintf("mixed edge, stride %d", stride), func(b *builder) {
			const c = 4
			x := b.conv(withX(dense(b, square(1, 1, 0, 1), 3, c), b.variable(3, 6, 6, 3), true), b.norm(c, false), false)
			b.head(mixedEdge(b, x, c, stride))
		})
	}
}

// mixedEdge is the eight candidates of the DARTS space (Liu, Simonyan and Yang,
// 2019) without "none", weighted and added.
func mixedEdge(b *builder, x *nn.Var, c, stride int) *nn.Var {
	block := func(x *nn.Var, k, stride, dilation int) *nn.Conv {
		conv := depthwise(b, square(k, stride, dilation*(k-1)/2, dilation), c)
		conv.X, conv.ReLU = x, true
		conv.Dense, conv.DenseWindow = []nn.DensePart{{W: b.weight(1, c, c)}}, square(1, 1, 0, 1)
		return b.g.Conv(conv, b.norm(c, false), false)
	}
	largest := b.g.Pool(nn.Pool{X: x, Max: true, Window: square(3, stride, 1, 1)}, b.norm(c, false))
	mean := b.g.Pool(nn.Pool{X: x, Window: square(3, stride, 1, 1)}, b.norm(c, false))
	sep3, sep5 := block(x, 3, stride, 1), block(x, 5, stride, 1)
	dil3, dil5 := block(x, 3, stride, 2), block(x, 5, stride, 2)
	group := []nn.Op{largest, mean, sep3, sep5, dil3, dil5}
	skip := x
	if stride == 2 {
		reduce := b.g.Conv(nn.Conv{
			X: x, ReLU: true,
			Dense:       []nn.DensePart{{W: b.weight(1, c, c/2)}, {W: b.weight(1, c, c-c/2), Down: 1, Right: 1}},
			DenseWindow: square(1, 2, 0, 1),
		}, b.norm(c, false), false)
		group = append(group, reduce)
		skip = reduce.Out
	}
	b.add(group...)
	sep3, sep5 = block(sep3.Out, 3, 1, 1), block(sep5.Out, 5, 1, 1)
	b.add(sep3, sep5)
	return b.sum(nn.Sum{
		Sources: []*nn.Var{largest.Out, mean.Out, skip, sep3.Out, sep5.Out, dil3.Out, dil5.Out},
		Weights: []float32{0.11, 0.13, 0.12, 0.14, 0.1, 0.15, 0.125},
	})
}

// partCases use parts of what is shared, as the paths of a supernet do. New cases come
// last: a case draws by its place in the list.
func partCases(add func(string, func(*builder))) {
	add("columns of a weight in a group", func(b *builder) {
		p, bn, x := b.param(1, 6, 14), b.norm(13, true), b.variable(3, 3, 4, 5)
		var group []nn.Op
		var outs []*nn.Var
		for _, first := range []int{0, 5, 10} {
			op := b.g.Conv(nn.Conv{X: x, Dense: []nn.DensePart{{W: p.Columns(5, first, 3)}}, DenseWindow: square(1, 1, 0, 1)}, bn, true)
			group, outs = append(group, op), append(outs, op.Out)
		}
		b.add(group...)
		b.head(b.sum(nn.Sum{Sources: outs}))
	})
	add("a batch norm without running statistics", func(b *builder) {
		bn := b.norm(6, true)
		b.norms, bn.Mean, bn.Var = b.norms[:len(b.norms)-1], nil, nil
		b.head(b.conv(withX(dense(b, square(1, 1, 0, 1), 5, 5), b.variable(3, 3, 3, 5), false), bn, true))
	})
	add("a concatenation with a part of zeros", func(b *builder) {
		x := b.variable(3, 3, 4, 6)
		whole, parts := b.g.Concat(3, 3, 4, []int{6, 5, 6})
		b.parts[whole] = parts
		b.sum(nn.Sum{Sources: []*nn.Var{x}, Out: parts[0]})
		b.sum(nn.Sum{Out: parts[1]})
		b.sum(nn.Sum{Sources: []*nn.Var{x}, Out: parts[2]})
		b.head(b.conv(withX(dense(b, square(1, 1, 0, 1), 17, 8), whole, true), b.norm(8, false), false))
	})
}

// fixedCases read images without a gradient, so that a frozen graph has operators with
// nothing to do: before the first sum with weights, and before none.
func fixedCases(add func(string, func(*builder))) {
	stem := func(b *builder, c int) *nn.Var {
		return b.conv(withX(dense(b, square(3, 1, 1, 1), 3, c), b.input(2, 4, 4, 3), false), b.norm(c, true), false)
	}
	for _, stride := range []int{1, 2} {
		add(fmt.Sprintf("mixed edge after a stem, stride %d", stride), func(b *builder) {
			const c = 4
			x := mixedEdge(b, stem(b, c), c, stride)
			b.head(b.conv(withX(dense(b, square(1, 1, 0, 1), c, c), x, true), b.norm(c, true), true))
		})
	}
	add("no gradient but of weights", func(b *builder) {
		x := stem(b, 6)
		pool := b.g.Pool(nn.Pool{X: x, Max: true, Window: square(3, 1, 1, 1)}, nil)
		b.add(pool)
		mean := b.g.GlobalPool(nn.GlobalPool{X: b.sum(nn.Sum{Sources: []*nn.Var{pool.Out, x}})})
		b.add(mean)
		linear := b.g.Linear(nn.Linear{X: mean.Out, W: b.weight(6, 5)})
		b.add(linear)
		b.head(linear.Out)
	})
	add("weighted parts of a concatenation, after a stem", func(b *builder) {
		const c = 5
		x := stem(b, c)
		whole, parts := b.g.Concat(2, 4, 4, []int{c, c})
		b.parts[whole] = parts
		one := b.g.Conv(withX(dense(b, square(1, 1, 0, 1), c, c), x, true), b.norm(c, true), true)
		bare := b.g.Conv(withX(dense(b, square(1, 1, 0, 1), c, c), x, false), nil, true)
		b.add(one, bare)
		b.sum(nn.Sum{Sources: []*nn.Var{one.Out, x}, Weights: []float32{0.5, 0.75}, Out: parts[0]})
		b.sum(nn.Sum{Sources: []*nn.Var{bare.Out, x}, Out: parts[1]})
		b.head(b.conv(withX(dense(b, square(1, 1, 0, 1), 2*c, 6), whole, true), b.norm(6, false), false))
	})
}
