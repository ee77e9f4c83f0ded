package shared

import (
	"fmt"

	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// openSupernet makes the supernet that the job's policy has in its space.
func openSupernet(job Job) (supernet, error) {
	if _, err := numbersOf(job.Policy, job.Space); err != nil {
		return nil, err
	}
	cfg := job.Config.network(job.Data.Shape)
	switch s := job.Space.(type) {
	case *space.NASBench:
		n, err := net.NewNASBenchSupernet(job.Device, s.MaxVertices()-2, cfg)
		return &nasbenchNet{n}, err
	case *space.DARTSSpace:
		arena := nn.NewArena(job.Device)
		if s.Spec().Nodes == 5 {
			return openChild(job, cfg, arena)
		}
		cfg.BatchStatistics = true
		n, err := net.NewSupernet(job.Device, cfg)
		return &dartsNet{Supernet: n, arena: arena, mixed: map[passKey]*dartsMixture{}}, err
	}
	return nil, fmt.Errorf("%s has no supernet", job.Space)
}

// openChild makes the child network of the five-node form: NAO's for NAO, ENAS's for all
// others.
func openChild(job Job, cfg net.Config, arena *nn.Arena) (supernet, error) {
	make := net.NewENASChild
	if job.Policy == "nao" {
		make = net.NewNAOChild
	}
	c, err := make(job.Device, cfg)
	return &childNet{c, arena}, err
}

// nasbenchNet is the supernet of NASBench-101's cells.
type nasbenchNet struct{ *net.NASBenchSupernet }

func (n *nasbenchNet) path(a space.Arch, mode nn.Mode, batch int) (*net.Pass, error) {
	cell, ok := a.(*space.Cell)
	if !ok {
		return nil, refusePath(a, "cells of NASBench-101")
	}
	return n.Path(cell, mode, batch)
}

// childNet is the child network of ENAS or NAO.
type childNet struct {
	*net.Child
	arena *nn.Arena
}

func (n *childNet) path(a space.Arch, mode nn.Mode, batch int) (*net.Pass, error) {
	g, ok := a.(*space.Genotype)
	if !ok {
		return nil, refusePath(a, "darts_space(nodes=5)")
	}
	p, err := n.Path(g, mode, batch)
	if err != nil {
		return nil, err
	}
	return p, p.Graph.PlanIn(n.arena)
}

// dartsNet is the search network of DARTS.
type dartsNet struct {
	*net.Supernet
	arena *nn.Arena
	mixed map[passKey]*dartsMixture
}

type passKey struct {
	mode  nn.Mode
	batch int
}

func (n *dartsNet) path(a space.Arch, mode nn.Mode, batch int) (*net.Pass, error) {
	g, ok := a.(*space.Genotype)
	if !ok {
		return nil, refusePath(a, "darts_space(nodes=4)")
	}
	p, err := n.Path(g, mode, batch)
	if err != nil {
		return nil, err
	}
	return p, p.Graph.PlanIn(n.arena)
}

// A cell of the search network has 14 edges, each with 8 operations.
const (
	dartsEdges = 14
	dartsOps   = 8
)

func (n *dartsNet) shape() []int {
	shape := make([]int, 2*dartsEdges)
	for i := range shape {
		shape[i] = dartsOps
	}
	return shape
}

func (n *dartsNet) mix(mode nn.Mode, batch int) (mixture, error) {
	key := passKey{mode, batch}
	if m := n.mixed[key]; m != nil {
		return m, nil
	}
	p, err := n.Build(mode, batch)
	if err != nil {
		return nil, err
	}
	if err := p.Graph.PlanIn(n.arena); err != nil {
		return nil, err
	}
	n.mixed[key] = &dartsMixture{p}
	return n.mixed[key], nil
}

// dartsMixture is a graph of the search network, with its mixture in one list: the edges
// of the normal cell, then those of the reduction cell.
type dartsMixture struct{ *net.SupernetPass }

func (m *dartsMixture) pass() *net.Pass { return m.Pass }

func (m *dartsMixture) set(flat [][]float64) error {
	if len(flat) != 2*dartsEdges {
		return fmt.Errorf("a mixture of %d edges; the search network has %d", len(flat), 2*dartsEdges)
	}
	var kinds [2]net.Mixture
	for kind := range kinds {
		copy(kinds[kind][:], flat[dartsEdges*kind:])
	}
	return m.SetMixture(kinds[0], kinds[1])
}

func (m *dartsMixture) grad() [][]float64 {
	normal, reduce := m.MixtureGrad()
	return append(normal[:], reduce[:]...)
}
