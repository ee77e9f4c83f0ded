package shared

import (
	"fmt"

	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// supernet is a network of package net whose weights architectures share.
type supernet interface {
	Params() []*nn.Param
	Initialise(seed int64)
	State() net.State
	Restore(net.State) error

	// path is a planned graph of one architecture. All graphs of a supernet share their
	// memory: one runs at a time, from its input to the end of its backward pass.
	path(a space.Arch, mode nn.Mode, batch int) (*net.Pass, error)
}

// mixing is a supernet that can mix all its options.
type mixing interface {
	supernet
	// mix is a planned graph of all options.
	mix(mode nn.Mode, batch int) (net.Mixing, error)
}

// mixtures are the graphs of all options, by mode and batch.
type mixtures map[passKey]net.Mixing

type passKey struct {
	mode  nn.Mode
	batch int
}

// get is the graph of a mode and batch, which is made once.
func (m mixtures) get(mode nn.Mode, batch int, build func() (net.Mixing, error)) (net.Mixing, error) {
	key := passKey{mode, batch}
	if g := m[key]; g != nil {
		return g, nil
	}
	g, err := build()
	if err != nil {
		return nil, err
	}
	m[key] = g
	return g, nil
}

// refusePath is the error for an architecture that a supernet has no path for.
func refusePath(a space.Arch, wants string) error {
	return fmt.Errorf("%v is no path of this supernet, which has those of %s", a, wants)
}
