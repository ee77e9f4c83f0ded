package nn

import "fmt"

// Arena is memory that the tensors of several graphs share, of which one runs at a time:
// the paths of a supernet, training and evaluation. It grows to what the largest graph
// needs, and is taken by the graph whose input is set: all that the others held is lost
// then, but not what they gave to parameters and losses.
type Arena struct {
	dev    Device
	mem    Memory
	holder *Graph
}

// NewArena is an arena of nothing.
func NewArena(dev Device) *Arena { return &Arena{dev: dev} }

// Bytes is how large it has grown.
func (a *Arena) Bytes() int64 {
	if a.mem == nil {
		return 0
	}
	return 4 * int64(a.mem.Len())
}

// PlanIn is Plan with the tensors in an arena. It takes no memory: the first input that
// is set does, where the arena must grow, and fails where there is not enough.
func (g *Graph) PlanIn(a *Arena) error {
	if a.dev != g.dev {
		return fmt.Errorf("an arena on %s for a graph on %s: both must be on one device", a.dev.Name(), g.dev.Name())
	}
	p := g.layOut()
	p.shared = a
	g.scratch() // tells the device what to be ready for
	g.plan = p
	return nil
}

// claim gives a graph its arena.
func (g *Graph) claim() error {
	if g.plan == nil || g.plan.shared == nil || g.plan.shared.holder == g {
		return nil
	}
	a := g.plan.shared
	if a.holder != nil && a.holder.plan.shared == a {
		a.holder.place(nil) // so that memory that is too small can be collected
	}
	a.holder = nil
	if err := a.grow(g.plan); err != nil {
		return err
	}
	a.holder = g
	g.place(a.mem)
	return nil
}

// mustHoldArena refuses to run on what another graph left.
func (g *Graph) mustHoldArena() error {
	if g.plan == nil || g.plan.shared == nil || g.plan.shared.holder == g {
		return nil
	}
	return fmt.Errorf("nn: another graph of the same arena was given its input since: set the input of this one again, and run forward before backward")
}

// grow makes the arena large enough for a plan, with an eighth more if there is as
// much: of many graphs each is a little larger than all before.
func (a *Arena) grow(p *plan) error {
	n := p.floats()
	if a.mem != nil && a.mem.Len() >= n {
		return nil
	}
	a.mem = nil
	mem, err := a.dev.NewMemory(n + n/8)
	if err != nil {
		mem, err = a.dev.NewMemory(n)
	}
	if err != nil {
		return p.tooLarge(err)
	}
	a.mem = mem
	return nil
}
