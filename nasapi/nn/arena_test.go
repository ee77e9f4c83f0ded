package nn

import (
	"strings"
	"testing"
)

func (d fakeDevice) Name() string { return "fake" }

// Graphs of one arena take turns in memory that is as large as the largest needs, and
// hold none when it is another one's turn.
func TestGraphsTakeTurnsInAnArena(t *testing.T) {
	dev := fakeDevice{}
	a := NewArena(dev)
	planned := func(blocks int) *Graph {
		g := NewGraph(dev, Train)
		chain(t, g, blocks)
		if err := g.PlanIn(a); err != nil {
			t.Fatal(err)
		}
		return g
	}
	small, large := planned(2), planned(40)
	if a.Bytes() != 0 {
		t.Errorf("a plan takes %d bytes", a.Bytes())
	}
	if small.mustHoldArena() == nil {
		t.Error("a graph runs without memory")
	}
	for i, g := range []*Graph{small, large, small} {
		if err := g.claim(); err != nil {
			t.Fatal(err)
		}
		if err := g.mustHoldArena(); err != nil {
			t.Errorf("graph %d: %v", i, err)
		}
	}
	if least := large.plan.bytes; a.Bytes() < least || a.Bytes() > least*9/8 {
		t.Errorf("the arena has %d bytes, the larger graph needs %d", a.Bytes(), least)
	}
	if large.mustHoldArena() == nil {
		t.Error("a graph runs on what another one left")
	}
	for _, v := range large.vars {
		if v.Values.Mem != nil || v.Grad != nil && v.Grad.Mem != nil {
			t.Fatal("a graph keeps memory that is another one's")
		}
	}
	for _, v := range small.vars {
		if v.readers > 0 && v.Values.Mem != a.mem {
			t.Fatal("a value has no place")
		}
	}
	// With memory of its own a graph takes no turn.
	if err := small.Plan(); err != nil {
		t.Fatal(err)
	}
	if err := large.claim(); err != nil {
		t.Fatal(err)
	}
	if small.mustHoldArena() != nil || small.vars[0].Values.Mem == nil {
		t.Error("a graph has lost its own memory")
	}
}

func TestArenasRefuse(t *testing.T) {
	g := NewGraph(fakeDevice{limit: 1 << 14}, Train)
	chain(t, g, 40)
	if err := g.PlanIn(NewArena(fakeDevice{})); err == nil || !strings.Contains(err.Error(), "one device") {
		t.Errorf("an arena of another device: %v", err)
	}
	a := NewArena(g.dev)
	if err := g.PlanIn(a); err != nil {
		t.Fatal(err)
	}
	if err := g.claim(); err == nil || !strings.Contains(err.Error(), "smaller batch") {
		t.Errorf("too little memory: %v", err)
	}
	// Without the eighth more there is enough.
	tight := NewGraph(fakeDevice{limit: g.plan.floats()}, Train)
	chain(t, tight, 40)
	if err := tight.PlanIn(NewArena(tight.dev)); err != nil {
		t.Fatal(err)
	}
	if err := tight.claim(); err != nil {
		t.Error(err)
	}
}
