package net

import (
	"fmt"
	"slices"

	"evalnas/nasapi/nn"
)

// State is all that training changes of a network, for checkpoints: the optimiser's
// part is nn.OptimiserState.
type State struct {
	Params [][]float32 // in the order of Network.Params
	Norms  []NormState // in that of Network.BatchNorms
}

// NormState is the running statistics of a batch norm, nil where it keeps none.
type NormState struct {
	Mean, Var []float32
	Batches   int64
}

// State copies the network's state.
func (n *Network) State() State {
	var s State
	for _, p := range n.params {
		s.Params = append(s.Params, n.read(p))
	}
	for _, bn := range n.norms {
		s.Norms = append(s.Norms, NormState{slices.Clone(bn.Mean), slices.Clone(bn.Var), bn.Batches})
	}
	return s
}

func (n *Network) read(p *nn.Param) []float32 {
	values := make([]float32, p.Len())
	n.dev.Read(values, p.Value, 0)
	return values
}

// Restore puts a state back. One that does not fit this network leaves it as it was
// and is an error that names the first part that differs.
func (n *Network) Restore(s State) error {
	if err := n.fits(s); err != nil {
		return err
	}
	for i, p := range n.params {
		n.dev.Write(p.Value, 0, s.Params[i])
	}
	for i, bn := range n.norms {
		copy(bn.Mean, s.Norms[i].Mean)
		copy(bn.Var, s.Norms[i].Var)
		bn.Batches = s.Norms[i].Batches
	}
	return nil
}

func (n *Network) fits(s State) error {
	if len(s.Params) != len(n.params) || len(s.Norms) != len(n.norms) {
		return fmt.Errorf("a state of %d parameters and %d batch norms does not fit a network of %d and %d: is it of another architecture or size?",
			len(s.Params), len(s.Norms), len(n.params), len(n.norms))
	}
	for i, p := range n.params {
		if len(s.Params[i]) != p.Len() {
			return fmt.Errorf("the state has %d numbers for %s, which has %d", len(s.Params[i]), p.Name, p.Len())
		}
	}
	for i, bn := range n.norms {
		if len(s.Norms[i].Mean) != len(bn.Mean) || len(s.Norms[i].Var) != len(bn.Var) {
			return fmt.Errorf("the state has statistics of %d and %d channels for %s, which keeps those of %d", len(s.Norms[i].Mean), len(s.Norms[i].Var), bn.Name, len(bn.Mean))
		}
	}
	return nil
}
