package nntest

import (
	"math"
	"slices"

	"evalnas/nasapi/nn"
)

// reference works a graph out in float64, operator by operator, the plainest way. It
// is the suite's definition of every operator; its own gradients are differences.
type reference struct {
	mode   nn.Mode
	ops    []nn.Op
	parts  map[*nn.Var][]*nn.Var // of each concatenation
	values map[*nn.Var]array     // of inputs, and after a run of every value, as stored
	params map[*nn.Param][]float64
	weight map[*nn.Sum][]float64
	loss   float64
	norms  map[*nn.Norm]moments
}

// array is N x H x W x C numbers without padding.
type array struct {
	n, h, w, c int
	x          []float64
}

type moments struct{ mean, variance []float64 }

func newArray(n, h, w, c int) array { return array{n, h, w, c, make([]float64, n*h*w*c)} }

func (a array) at(n, y, x, c int) *float64 { return &a.x[((n*a.h+y)*a.w+x)*a.c+c] }

// run computes the loss: the sum of all cross-entropies by their weights.
func (r *reference) run() float64 {
	r.loss = 0
	r.norms = map[*nn.Norm]moments{}
	for _, op := range r.ops {
		switch o := op.(type) {
		case *nn.Conv:
			r.conv(o)
		case *nn.Pool:
			r.pool(o)
		case *nn.Sum:
			r.sum(o)
		case *nn.GlobalPool:
			r.globalPool(o)
		case *nn.Linear:
			r.linear(o)
		case *nn.Dropout:
			r.dropout(o)
		case *nn.CrossEntropy:
			r.crossEntropy(o)
		}
	}
	return r.loss
}

// read is what an operator sees of v: its norm and ReLU applied.
func (r *reference) read(v *nn.Var, relu bool) array {
	var a array
	if parts := r.parts[v]; parts != nil {
		a = r.concat(parts)
	} else {
		stored := r.values[v]
		a = array{stored.n, stored.h, stored.w, stored.c, slices.Clone(stored.x)}
	}
	if v.Norm != nil {
		r.normalise(v.Norm, a)
	}
	if v.ReLU || relu {
		for i, x := range a.x {
			a.x[i] = max(0, x)
		}
	}
	return a
}

func (r *reference) concat(parts []*nn.Var) array {
	var read []array
	c := 0
	for _, p := range parts {
		read = append(read, r.values[p])
		c += read[len(read)-1].c
	}
	whole := newArray(read[0].n, read[0].h, read[0].w, c)
	pixels := whole.n * whole.h * whole.w
	at := 0
	for _, a := range read {
		for p := range pixels {
			copy(whole.x[p*c+at:], a.x[p*a.c:(p+1)*a.c])
		}
		at += a.c
	}
	return whole
}

func (r *reference) normalise(norm *nn.Norm, a array) {
	bn := norm.BN
	m := a.moments()
	r.norms[norm] = m
	mean, variance := m.mean, m.variance
	if r.mode == nn.Evaluate && bn.Mean != nil {
		mean, variance = widen(bn.Mean[norm.First:]), widen(bn.Var[norm.First:])
	}
	for i := range a.x {
		c := i % a.c
		y := (a.x[i] - mean[c]) / math.Sqrt(variance[c]+bn.Eps)
		if bn.Gamma != nil {
			y = y*r.params[bn.Gamma][norm.First+c] + r.params[bn.Beta][norm.First+c]
		}
		a.x[i] = y
	}
}

func (a array) moments() moments {
	m := moments{make([]float64, a.c), make([]float64, a.c)}
	pixels := float64(len(a.x) / a.c)
	for i, x := range a.x {
		m.mean[i%a.c] += x / pixels
	}
	for i, x := range a.x {
		d := x - m.mean[i%a.c]
		m.variance[i%a.c] += d * d / pixels
	}
	return m
}

// window calls visit for every output pixel and every position of the window that
// lies in the image.
func window(w nn.Window, in array, oh, ow int, down, right int, visit func(n, oy, ox, tap, iy, ix int)) {
	w = w.Defaults()
	for n := range in.n {
		for oy := range oh {
			for ox := range ow {
				for ky := range w.KH {
					for kx := range w.KW {
						iy := oy*w.StrideH + ky*w.DilationH - w.PadH + down
						ix := ox*w.StrideW + kx*w.DilationW - w.PadW + right
						if iy >= 0 && iy < in.h && ix >= 0 && ix < in.w {
							visit(n, oy, ox, ky*w.KW+kx, iy, ix)
						}
					}
				}
			}
		}
	}
}

func (r *reference) conv(o *nn.Conv) {
	a := r.read(o.X, o.ReLU)
	if o.Depth != nil {
		h, w := o.DepthWindow.Output(a.h, a.w)
		out := newArray(a.n, h, w, a.c)
		weight, width := r.params[o.Depth.Param], last(o.Depth.Shape)
		window(o.DepthWindow, a, h, w, 0, 0, func(n, oy, ox, tap, iy, ix int) {
			for c := range a.c {
				*out.at(n, oy, ox, c) += *a.at(n, iy, ix, c) * weight[tap*width+c]
			}
		})
		a = out
	}
	if len(o.Dense) > 0 {
		h, w := o.DenseWindow.Output(a.h, a.w)
		out := newArray(a.n, h, w, o.Out.Values.Channels.Count())
		first := 0
		for _, part := range o.Dense {
			in := 0
			for _, weights := range append([]nn.Weight{part.W}, part.More...) {
				weight, width := r.params[weights.Param], last(weights.Shape)
				depth := weights.Shape[len(weights.Shape)-2]
				window(o.DenseWindow, a, h, w, part.Down, part.Right, func(n, oy, ox, tap, iy, ix int) {
					for k := range weights.In {
						x := *a.at(n, iy, ix, in+k)
						for c := range part.W.Out {
							*out.at(n, oy, ox, first+c) += x * weight[(tap*depth+k)*width+weights.First+c]
						}
					}
				})
				in += weights.In
			}
			first += part.W.Out
		}
		a = out
	}
	r.values[o.Out] = a
}

func (r *reference) pool(o *nn.Pool) {
	a := r.read(o.X, o.ReLU)
	h, w := o.Window.Output(a.h, a.w)
	out := newArray(a.n, h, w, a.c)
	count := newArray(a.n, h, w, 1)
	window(o.Window, a, h, w, 0, 0, func(n, oy, ox, _, iy, ix int) {
		k := count.at(n, oy, ox, 0)
		for c := range a.c {
			x, y := *a.at(n, iy, ix, c), out.at(n, oy, ox, c)
			switch {
			case !o.Max:
				*y += x
			case *k == 0 || x > *y:
				*y = x
			}
		}
		*k++
	})
	if !o.Max {
		for i := range out.x {
			if o.CountPad {
				out.x[i] /= float64(o.Window.KH * o.Window.KW)
				continue
			}
			out.x[i] /= count.x[i/a.c]
		}
	}
	r.values[o.Out] = out
}

func (r *reference) sum(o *nn.Sum) {
	t := o.Out.Values
	out := newArray(t.N, t.H, t.W, t.Channels.Count())
	if o.Add {
		copy(out.x, r.values[o.Out].x)
	}
	for i, source := range o.Sources {
		a := r.read(source, false)
		for n := range out.n {
			factor := 1.0
			if o.Weights != nil {
				factor = r.weight[o][i]
			}
			if o.Keep != nil && o.Keep[i] != nil {
				factor *= float64(o.Keep[i][n])
			}
			for p := range out.h * out.w {
				for c := range out.c {
					out.x[(n*out.h*out.w+p)*out.c+c] += factor * a.x[(n*out.h*out.w+p)*a.c+c]
				}
			}
		}
	}
	r.values[o.Out] = out
}

func (r *reference) globalPool(o *nn.GlobalPool) {
	a := r.read(o.X, o.ReLU)
	out := newArray(a.n, 1, 1, a.c)
	pixels := a.h * a.w
	for i, x := range a.x {
		out.x[i/a.c/pixels*a.c+i%a.c] += x / float64(pixels)
	}
	r.values[o.Out] = out
}

func (r *reference) linear(o *nn.Linear) {
	a := r.read(o.X, false)
	out := newArray(a.n, 1, 1, o.W.Out)
	weight, width := r.params[o.W.Param], last(o.W.Shape)
	for n := range a.n {
		for j := range o.W.Out {
			y := 0.0
			if o.B != nil {
				y = r.params[o.B.Param][j]
			}
			for k := range a.c {
				y += a.x[n*a.c+k] * weight[k*width+j]
			}
			out.x[n*o.W.Out+j] = y
		}
	}
	r.values[o.Out] = out
}

func (r *reference) dropout(o *nn.Dropout) {
	a := r.read(o.X, false)
	for i := range a.x {
		a.x[i] *= float64(o.Keep[i])
	}
	r.values[o.Out] = a
}

func (r *reference) crossEntropy(o *nn.CrossEntropy) {
	a := r.read(o.Logits, false)
	for n := range a.n {
		row := a.x[n*a.c : (n+1)*a.c]
		top, sum := slices.Max(row), 0.0
		for _, x := range row {
			sum += math.Exp(x - top)
		}
		r.loss += o.Weight / float64(a.n) * (top + math.Log(sum) - row[o.Labels[n]])
	}
}

func last(shape []int) int { return shape[len(shape)-1] }

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
