package nn

import (
	"cmp"
	"fmt"
	"slices"
)

// plan is where a graph's tensors lie: in one arena, two of them in the same place
// where their lives do not overlap.
type plan struct {
	bytes  int64
	shared *Arena // nil: the graph's own memory
	lives  map[*Tensor]*life
	order  []*life // as first seen
}

// life is the span of time in which a tensor's numbers are needed. Group i runs
// forward at time i and backward at time 2*groups-1-i; -1 is before the run.
type life struct {
	t          *Tensor
	born, died int
	at         int // float32s from the start of the arena
}

func (l *life) size() int { return l.t.N * l.t.Image() }

// Plan works out which gradients are stored, who writes them first and where every
// tensor lies, and takes the memory. Nothing can be added to the graph after it. It
// fails where there is not enough memory, with the number of bytes.
func (g *Graph) Plan() error {
	p := g.layOut()
	g.scratch() // tells the device what to be ready for
	arena, err := g.dev.NewMemory(p.floats())
	if err != nil {
		return p.tooLarge(err)
	}
	g.plan = p
	g.place(arena)
	return nil
}

func (p *plan) tooLarge(err error) error {
	return fmt.Errorf("the plan needs %.0f MB for tensors (a smaller batch, fewer channels or fewer cells need less): %w", float64(p.bytes)/1e6, err)
}

// place puts all tensors into memory, or nowhere.
func (g *Graph) place(m Memory) {
	for _, v := range g.vars {
		for _, t := range []*Tensor{v.Values, v.Grad} {
			if t != nil && g.plan.lives[t.root()] != nil {
				t.place(m, g.plan.lives[t.root()].at)
			}
		}
	}
}

// Bytes is what the graph needs: planned tensors and the device's scratch; the
// parameters are not in it. It may be asked before Plan, at no cost in memory.
func (g *Graph) Bytes() int64 {
	p := g.plan
	if p == nil {
		p = g.layOut()
	}
	return p.bytes + g.scratch()
}

// scratch is what the group that needs the most needs.
func (g *Graph) scratch() int64 {
	var most int64
	for _, group := range g.groups {
		most = max(most, g.dev.Scratch(group.ops))
	}
	return most
}

func (g *Graph) layOut() *plan {
	p := &plan{lives: map[*Tensor]*life{}}
	producer := g.producers()
	g.wantGradients(producer)
	g.placeGradients(producer)
	g.liveValues(p)
	if g.mode != Evaluate {
		g.orderGradients()
		g.liveGradients(p)
	}
	p.pack()
	return p
}

// backward is the time at which group i runs backward.
func (g *Graph) backward(i int) int { return 2*len(g.groups) - 1 - i }

// producers are the operators that make values.
func (g *Graph) producers() map[*Var]Op {
	producer := map[*Var]Op{}
	for _, group := range g.groups {
		for _, op := range group.ops {
			if out := op.output(); out != nil {
				producer[out] = op
			}
		}
	}
	return producer
}

// wantGradients decides which values have a gradient. Of a Frozen graph those that depend
// on a variable or on the weight of a sum, and the sources whose operators leave such a
// weight its gradient: nothing else leads to a gradient that anybody sees.
func (g *Graph) wantGradients(producer map[*Var]Op) {
	moves := map[*Tensor]bool{} // by roots
	for _, v := range g.vars {
		v.wanted = v.asked
		moves[v.Values.root()] = v.variable
	}
	if g.mode != Frozen {
		return
	}
	g.eachSum(func(s *Sum) { moves[s.Out.Values.root()] = moves[s.Out.Values.root()] || s.DWeights != nil })
	for _, group := range g.groups {
		for _, op := range group.ops {
			for _, v := range op.reads() {
				if out := op.output(); out != nil && moves[v.Values.root()] {
					moves[out.Values.root()] = true
				}
			}
		}
	}
	for _, v := range g.vars {
		v.wanted = v.asked && moves[v.Values.root()]
	}
	g.eachSum(func(s *Sum) {
		for _, v := range s.Sources {
			v.wanted = v.wanted || s.DWeights != nil && follows(v, s, producer)
		}
	})
}

func (g *Graph) eachSum(visit func(s *Sum)) {
	for _, group := range g.groups {
		for _, op := range group.ops {
			if sum, ok := op.(*Sum); ok {
				visit(sum)
			}
		}
	}
}

// placeGradients decides for every value where its gradient is: nowhere, in a
// tensor of its own, in a slice of the whole's, or a multiple of its only reader's.
func (g *Graph) placeGradients(producer map[*Var]Op) {
	g.eachSum(func(s *Sum) {
		for i, v := range s.Sources {
			if v.wanted && follows(v, s, producer) {
				v.Via, v.ViaIndex = s, i
			}
		}
	})
	sliced := map[*Tensor]bool{}
	for _, v := range g.vars {
		sliced[v.Values.parent] = true
	}
	wholes := map[*Tensor]*Tensor{}
	for _, v := range g.vars {
		v.alone = v.readers == 1 && v.Values.parent == nil && !sliced[v.Values]
		if v.wanted && v.Via == nil && v.Values.parent == nil {
			t := v.Values
			v.Grad = newTensor(t.N, t.H, t.W, t.Channels)
			wholes[t] = v.Grad
		}
	}
	for _, v := range g.vars {
		if v.wanted && v.Values.parent != nil {
			v.Grad = wholes[v.Values.parent].slice(v.Values.at, v.Values.Channels[0])
		}
	}
}

// follows says whether the gradient of a sum's source is a multiple of the sum's.
func follows(v *Var, s *Sum, producer map[*Var]Op) bool {
	return v.readers == 1 && v.Values.parent == nil && canFollow(producer[v]) && v.Values.Channels.Padded() == s.Out.Values.Channels.Padded()
}

// canFollow says whether an operator can take its output's gradient from the sum
// that reads it.
func canFollow(op Op) bool {
	switch op.(type) {
	case *Conv, *Pool:
		return true
	}
	return false
}

// live stretches a tensor's life over time at.
func (p *plan) live(t *Tensor, at int) {
	root := t.root()
	l := p.lives[root]
	if l == nil {
		l = &life{t: root, born: at, died: at}
		p.lives[root] = l
		p.order = append(p.order, l)
	}
	l.born, l.died = min(l.born, at), max(l.died, at)
}

func (g *Graph) liveValues(p *plan) {
	written := map[*Tensor]bool{}
	for _, group := range g.groups {
		for _, op := range group.ops {
			if out := op.output(); out != nil {
				written[out.Values.root()] = true
			}
		}
	}
	for i, group := range g.groups {
		for _, op := range group.ops {
			if out := op.output(); out != nil {
				p.live(out.Values, i)
				if g.mode != Evaluate && out.wanted && needsOutput(op) {
					p.live(out.Values, g.backward(i))
				}
			}
			for _, v := range op.reads() {
				if !written[v.Values.root()] {
					p.live(v.Values, -1)
				}
				p.live(v.Values, i)
				if g.mode != Evaluate && g.needsInput(op) {
					p.live(v.Values, g.backward(i))
				}
			}
		}
	}
	// What nobody reads afterwards is what a caller may want to read: the last outputs.
	for _, v := range g.vars {
		if l := p.lives[v.Values.root()]; l != nil && v.readers == 0 && v.Values.parent == nil {
			l.died = 2 * len(g.groups)
		}
	}
}

// needsOutput says whether an operator's backward pass reads what it stored.
func needsOutput(op Op) bool {
	switch o := op.(type) {
	case *Conv:
		return o.Out.Norm != nil || o.Out.ReLU
	case *Pool:
		return o.Max || o.Out.Norm != nil || o.Out.ReLU
	}
	return false
}

// needsInput says whether it reads its inputs again: of a Frozen graph's weights there is
// no gradient that would take them.
func (g *Graph) needsInput(op Op) bool {
	switch o := op.(type) {
	case *Conv:
		return g.mode != Frozen || o.ReLU && o.X.wanted
	case *Linear:
		return g.mode != Frozen
	case *Pool:
		return o.Max || o.ReLU
	case *Sum:
		return o.DWeights != nil
	case *GlobalPool:
		return o.ReLU
	case *Dropout:
		return false
	}
	return true
}

// orderGradients says for every reader whether it stores the gradient or adds to it,
// and what must be cleared first because nobody stores the whole of it.
func (g *Graph) orderGradients() {
	begun := map[*Tensor]bool{}
	begin := func(group *group, t *Tensor) {
		group.zeroes = append(group.zeroes, t.root())
		begun[t.root()] = true
	}
	for _, group := range slices.Backward(g.groups) {
		group.zeroes = nil
		for _, op := range group.ops {
			// An output that nobody read has a gradient of zero.
			if out := op.output(); out != nil && out.Grad != nil && !begun[out.Grad.root()] {
				begin(group, out.Grad)
			}
		}
		for _, op := range group.ops {
			grads := make([]inputGrad, len(op.reads()))
			for i, v := range op.reads() {
				if v.Grad == nil || begun[v.Grad.root()] {
					continue
				}
				if v.Grad.parent != nil || narrows(op, v) {
					begin(group, v.Grad)
					continue
				}
				grads[i].store = true
				begun[v.Grad] = true
			}
			op.setGrads(grads)
		}
	}
	// An input that wants a gradient and that nobody read.
	for _, v := range g.vars {
		if v.Grad != nil && !begun[v.Grad.root()] && len(g.groups) > 0 {
			begin(g.groups[len(g.groups)-1], v.Grad)
		}
	}
}

// narrows says whether the operator reads only the first channels of v.
func narrows(op Op, v *Var) bool {
	sum, ok := op.(*Sum)
	return ok && sum.Out.Values.Channels.Padded() < v.Values.Channels.Padded()
}

func (g *Graph) liveGradients(p *plan) {
	for i, group := range g.groups {
		at := g.backward(i)
		for _, t := range group.zeroes {
			p.live(t, at)
		}
		for _, op := range group.ops {
			if out := op.output(); out != nil {
				if out.Grad != nil {
					p.live(out.Grad, at)
				}
				if out.Via != nil && out.Via.Out.Grad != nil {
					p.live(out.Via.Out.Grad, at)
				}
			}
			for _, v := range op.reads() {
				if v.Grad != nil {
					p.live(v.Grad, at)
				}
			}
		}
	}
	// What no operator made is for the caller to read at the end.
	made := map[*Tensor]bool{}
	for _, group := range g.groups {
		for _, op := range group.ops {
			if out := op.output(); out != nil && out.Grad != nil {
				made[out.Grad.root()] = true
			}
		}
	}
	for _, v := range g.vars {
		if v.Grad != nil && !made[v.Grad.root()] {
			p.live(v.Grad, 2*len(g.groups))
		}
	}
}

// alignment is a cache line, in float32s.
const alignment = 16

// pack finds every tensor a place, in two ways, and keeps the smaller: the largest
// first, which suits tensors of many sizes, and the first to live first, which suits
// chains of equal ones.
func (p *plan) pack() {
	bySize := func(a, b *life) int { return cmp.Compare(b.size(), a.size()) }
	byBirth := func(a, b *life) int { return cmp.Compare(a.born, b.born) }
	if p.packBy(bySize) > p.packBy(byBirth) {
		return
	}
	p.packBy(bySize)
}

// packBy puts each tensor, in order, at the lowest address that is free for the
// whole of its life.
func (p *plan) packBy(order func(a, b *life) int) (bytes int64) {
	tensors := slices.Clone(p.order)
	slices.SortStableFunc(tensors, order)
	var placed []*life // by address
	for _, l := range tensors {
		at := 0
		for _, other := range placed {
			if other.died < l.born || l.died < other.born {
				continue
			}
			if at+l.size() <= other.at {
				break
			}
			at = max(at, (other.at+other.size()+alignment-1)/alignment*alignment)
		}
		l.at = at
		i, _ := slices.BinarySearchFunc(placed, l, func(a, b *life) int { return cmp.Compare(a.at, b.at) })
		placed = slices.Insert(placed, i, l)
	}
	p.bytes = int64(p.floats()) * 4
	return p.bytes
}

func (p *plan) floats() int {
	n := 0
	for _, l := range p.order {
		n = max(n, l.at+l.size())
	}
	return n
}

// MultAdds is the number of multiply-adds of a forward pass over the batch.
func (g *Graph) MultAdds() int64 {
	var n int64
	for _, group := range g.groups {
		for _, op := range group.ops {
			n += multAdds(op)
		}
	}
	return n
}

func multAdds(op Op) int64 {
	switch o := op.(type) {
	case *Conv:
		in, out := o.X.Values, o.Out.Values
		h, w := in.H, in.W
		var n int
		if o.Depth != nil {
			h, w = o.DepthWindow.Output(h, w)
			n += h * w * o.DepthWindow.KH * o.DepthWindow.KW * o.Depth.Out
		}
		for _, part := range o.Dense {
			n += out.H * out.W * o.DenseWindow.KH * o.DenseWindow.KW * part.In() * part.W.Out
		}
		return int64(in.N * n)
	case *Linear:
		return int64(o.X.Values.N * o.W.In * o.W.Out)
	}
	return 0
}
