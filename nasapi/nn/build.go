package nn

import "fmt"

// The methods of this file complete an operator: they make its output and check its
// shapes. The operator is not part of the graph until [Graph.Add].

// Conv completes c: Out is made unless given, with norm bn unless that is nil, and
// with act as the ReLU that is part of the output. Of bn are used as many channels as
// Out has, from the one at which the dense weight begins. Shapes that do not fit panic with
// a [ShapeError].
func (g *Graph) Conv(c Conv, bn *BatchNorm, act bool) *Conv {
	in := c.X.Values
	h, w, out := in.H, in.W, in.Channels
	if c.Depth != nil {
		must(len(out) == 1 && out[0] == c.Depth.Out && c.Depth.First == 0, "depthwise convolution of %v channels with a weight for %d", out, c.Depth.Out)
		h, w = c.DepthWindow.Output(h, w)
	}
	if len(c.Dense) > 0 {
		n := 0
		for _, part := range c.Dense {
			must(part.In() == out.Count(), "dense convolution of %v channels with weights for %d", out, part.In())
			for j := range part.Weights() {
				w := part.Weight(j)
				must(w.Out == part.W.Out, "dense convolution with a weight for %d outputs after one for %d", w.Out, part.W.Out)
				must(w.fits(), "dense convolution with %d inputs and the outputs %d to %d of a parameter of %v", w.In, w.First, w.First+w.Out, w.Shape)
			}
			n += part.W.Out
		}
		h, w = c.DenseWindow.Output(h, w)
		out = Channels{n}
	}
	must(c.Depth != nil || len(c.Dense) > 0, "convolution without a weight")
	must(h > 0 && w > 0, "window larger than the image of %dx%d", in.H, in.W)
	g.mustHold(c.Out, out)
	c.Out = g.output(c.Out, in.N, h, w, out)
	first := 0
	if len(c.Dense) > 0 {
		first = c.Dense[0].W.First
	}
	c.Out.Norm, c.Out.ReLU = newNorm(bn, first, out), act
	return &c
}

// Pool completes p like Conv.
func (g *Graph) Pool(p Pool, bn *BatchNorm) *Pool {
	in := p.X.Values
	h, w := p.Window.Output(in.H, in.W)
	must(h > 0 && w > 0, "pool's window larger than the image of %dx%d", in.H, in.W)
	g.mustHold(p.Out, in.Channels)
	p.Out = g.output(p.Out, in.N, h, w, in.Channels)
	p.Out.Norm = newNorm(bn, 0, in.Channels)
	return &p
}

// Sum completes s; Out is like the first source unless given. A sum of nothing, which
// needs an Out, is zeros.
func (g *Graph) Sum(s Sum) *Sum {
	if len(s.Sources) == 0 {
		must(s.Out != nil && s.Weights == nil && !s.Add, "a sum of nothing sets an output that is given")
		return &s
	}
	first := s.Sources[0].Values
	s.Out = g.output(s.Out, first.N, first.H, first.W, first.Channels)
	out := s.Out.Values
	for _, v := range s.Sources {
		in := v.Values
		fits := in.N == out.N && in.H == out.H && in.W == out.W
		same := in.Channels.Count() == out.Channels.Count() && in.Channels.Padded() == out.Channels.Padded()
		narrower := len(in.Channels) == 1 && len(out.Channels) == 1 && in.Channels[0] >= out.Channels[0]
		must(fits && (same || narrower), "%v added to %v", in, out)
	}
	must(s.Weights == nil || len(s.Weights) == len(s.Sources), "%d weights for %d sources", len(s.Weights), len(s.Sources))
	return &s
}

// GlobalPool completes p.
func (g *Graph) GlobalPool(p GlobalPool) *GlobalPool {
	in := p.X.Values
	p.Out = g.output(p.Out, in.N, 1, 1, in.Channels)
	return &p
}

// Linear completes l.
func (g *Graph) Linear(l Linear) *Linear {
	in := l.X.Values
	must(in.H == 1 && in.W == 1 && in.Channels.Count() == l.W.In && l.W.First == 0, "linear layer of %d inputs on %v", l.W.In, in)
	l.Out = g.output(l.Out, in.N, 1, 1, Channels{l.W.Out})
	return &l
}

// Dropout completes d.
func (g *Graph) Dropout(d Dropout) *Dropout {
	in := d.X.Values
	must(in.H == 1 && in.W == 1, "dropout of %v: only of 1x1 images", in)
	d.Keep = make([]float32, in.N*in.Channels.Count())
	d.Out = g.output(d.Out, in.N, 1, 1, in.Channels)
	return &d
}

// CrossEntropy completes a loss over logits.
func (g *Graph) CrossEntropy(logits *Var, weight float64) *CrossEntropy {
	in := logits.Values
	must(in.H == 1 && in.W == 1 && len(in.Channels) == 1, "cross-entropy of %v", in)
	return &CrossEntropy{Logits: logits, Weight: weight, Labels: make([]int32, in.N)}
}

// mustHold refuses a given output that has fewer channels than what is computed: only a
// sum may leave some out.
func (g *Graph) mustHold(given *Var, c Channels) {
	must(given == nil || given.Values.Channels.Count() == c.Count(), "%d channels into an output of another number", c.Count())
}

func (g *Graph) output(given *Var, n, h, w int, c Channels) *Var {
	if given == nil {
		return g.newVar(n, h, w, c, true)
	}
	t := given.Values
	must(t.N == n && t.H == h && t.W == w && t.Channels.Count() <= c.Count(), "output of %dx%dx%dx%d into %v", n, h, w, c.Count(), t)
	return given
}

func newNorm(bn *BatchNorm, first int, c Channels) *Norm {
	if bn == nil {
		return nil
	}
	must(first+c.Count() <= bn.C, "batch norm %s of %d channels over %v from %d on", bn.Name, bn.C, c, first)
	n := c.Padded()
	all := make([]float32, 4*n)
	return &Norm{BN: bn, First: first, Scale: all[:n:n], Shift: all[n : 2*n : 2*n], Center: all[2*n : 3*n : 3*n], InvStd: all[3*n:]}
}

// ShapeError is the panic of a builder that was given shapes that do not fit.
type ShapeError struct{ What string }

func (e *ShapeError) Error() string { return "nn: " + e.What }

func must(holds bool, format string, args ...any) {
	if !holds {
		panic(&ShapeError{fmt.Sprintf(format, args...)})
	}
}
