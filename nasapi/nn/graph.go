package nn

import (
	"errors"
	"fmt"
	"slices"
)

// Graph is a network for one batch size on one device: groups of operators in the
// order in which they run. It is built once and run many times; parameters are
// shared with other graphs.
type Graph struct {
	dev    Device
	mode   Mode
	groups []*group
	vars   []*Var
	plan   *plan
}

// group is operators that do not depend on each other.
type group struct {
	ops    []Op
	zeroes []*Tensor // gradients to clear before its backward pass
}

// NewGraph is an empty graph. It can run backward but in Evaluate mode.
func NewGraph(dev Device, mode Mode) *Graph { return &Graph{dev: dev, mode: mode} }

// Mode is how the graph runs.
func (g *Graph) Mode() Mode { return g.mode }

// Input is a value that the caller sets before each run; it has no gradient.
func (g *Graph) Input(n, h, w, c int) *Var { return g.newVar(n, h, w, Channels{c}, false) }

// Variable is an input whose gradient is wanted: see ReadGrad.
func (g *Graph) Variable(n, h, w, c int) *Var {
	v := g.newVar(n, h, w, Channels{c}, true)
	v.variable = true
	return v
}

// Value is a value for an operator that is given its Out: a sum narrower than all of
// its sources.
func (g *Graph) Value(n, h, w, c int) *Var { return g.newVar(n, h, w, Channels{c}, true) }

func (g *Graph) newVar(n, h, w int, c Channels, wanted bool) *Var {
	v := &Var{Values: newTensor(n, h, w, c), asked: wanted && g.mode != Evaluate}
	g.vars = append(g.vars, v)
	return v
}

// Concat is a value that others write, each its part: one segment of channels for
// each width. The parts are given to Sum as Out, and read like any value.
func (g *Graph) Concat(n, h, w int, widths []int) (whole *Var, parts []*Var) {
	whole = g.newVar(n, h, w, slices.Clone(widths), true)
	at := 0
	for _, width := range widths {
		part := &Var{Values: whole.Values.slice(at, width), asked: whole.asked}
		g.vars = append(g.vars, part)
		parts = append(parts, part)
		at += Pad(width)
	}
	return whole, parts
}

// Add appends a group: operators none of which reads what another one writes, and
// no two of which write the same Out.
func (g *Graph) Add(ops ...Op) {
	if g.plan != nil {
		panic(errors.New("nn: a graph cannot grow after its plan"))
	}
	for _, op := range ops {
		for _, v := range op.reads() {
			v.readers++
		}
	}
	g.groups = append(g.groups, &group{ops: ops})
}

// SetInput writes pixels, N*H*W*Pad(C) float32 with zeros as padding, into an input.
func (g *Graph) SetInput(v *Var, pixels []float32) error {
	t := v.Values
	if want := t.N * t.Image(); len(pixels) != want {
		return fmt.Errorf("input %v takes %d numbers, padding included, not %d", t, want, len(pixels))
	}
	if err := g.claim(); err != nil {
		return err
	}
	g.dev.Write(t.Mem, t.Off, pixels)
	return nil
}

// ReadValues copies what is stored of a value, padding included: before its norm.
// Other values may take its place once the last operator that needs it has run.
func (g *Graph) ReadValues(v *Var) []float32 { return g.read(v.Values) }

// ReadGrad copies the gradient of a Variable after the backward pass.
func (g *Graph) ReadGrad(v *Var) []float32 { return g.read(v.Grad) }

func (g *Graph) read(t *Tensor) []float32 {
	if err := g.mustHoldArena(); err != nil {
		panic(err)
	}
	out := make([]float32, t.N*t.Image())
	g.dev.Read(out, t.Mem, t.Off)
	return out
}

// Forward computes every operator in order.
func (g *Graph) Forward() error {
	if err := g.mustHoldArena(); err != nil {
		return err
	}
	for _, group := range g.groups {
		if err := g.dev.Forward(g.mode, group.ops); err != nil {
			return err
		}
	}
	return nil
}

// Backward adds the gradients of all losses to those of the parameters, unless these are
// Frozen. It follows a Forward.
func (g *Graph) Backward() error {
	if g.mode == Evaluate {
		return errors.New("nn: a graph for evaluation has no backward pass")
	}
	if err := g.mustHoldArena(); err != nil {
		return err
	}
	for _, group := range slices.Backward(g.groups) {
		for _, t := range group.zeroes {
			g.dev.Zero(t.Mem, t.Off, t.N*t.Image())
		}
		if err := g.dev.Backward(g.mode, group.ops); err != nil {
			return err
		}
	}
	return nil
}
