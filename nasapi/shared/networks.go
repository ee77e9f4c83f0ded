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
		interior := s.MaxVertices() - 2
		if job.Policy == "darts" || job.Policy == "fbnet" {
			n, err := net.NewNASBenchMixture(job.Device, interior, cfg)
			return &nasbenchMixture{n, mixtures{}}, err
		}
		n, err := net.NewNASBenchSupernet(job.Device, interior, cfg)
		return &nasbenchNet{n}, err
	case *space.DARTSSpace:
		arena := nn.NewArena(job.Device)
		if s.Spec().Nodes == 5 {
			return openChild(job, cfg, arena)
		}
		cfg.BatchStatistics = true
		n, err := net.NewSupernet(job.Device, cfg)
		return &dartsNet{Supernet: n, arena: arena, mixed: mixtures{}}, err
	}
	return nil, fmt.Errorf("%s has no supernet", job.Space)
}

// openChild makes the child network of the five-node form: NAO's for NAO, ENAS's for all
// others.
func openChild(job Job, cfg net.Config, arena *nn.Arena) (supernet, error) {
	open := net.NewENASChild
	if job.Policy == "nao" {
		open = net.NewNAOChild
	}
	c, err := open(job.Device, cfg)
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
	mixed mixtures
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

func (n *dartsNet) mix(mode nn.Mode, batch int) (net.Mixing, error) {
	return n.mixed.get(mode, batch, func() (net.Mixing, error) {
		p, err := n.Build(mode, batch)
		if err != nil {
			return nil, err
		}
		return p, p.Graph.PlanIn(n.arena)
	})
}

// nasbenchMixture is the mixture of DARTS and FBNet over NASBench-101's cells.
type nasbenchMixture struct {
	*net.NASBenchMixture
	mixed mixtures
}

func (n *nasbenchMixture) path(a space.Arch, mode nn.Mode, batch int) (*net.Pass, error) {
	cell, ok := a.(*space.Cell)
	if !ok {
		return nil, refusePath(a, "cells of NASBench-101")
	}
	return n.Path(cell, mode, batch)
}

func (n *nasbenchMixture) mix(mode nn.Mode, batch int) (net.Mixing, error) {
	return n.mixed.get(mode, batch, func() (net.Mixing, error) { return n.Build(mode, batch) })
}
