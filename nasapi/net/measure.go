package net

import (
	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// Cost is the size of a network.
type Cost struct {
	Params    int64 // trainable numbers, without the auxiliary head's
	AuxParams int64 // the auxiliary head's; 0 without one
	// MultAdds is the number of multiply-adds of classifying one image: convolutions
	// and the linear layer, as far as they reach the output. Arch.FLOPs counts edges
	// that do not, too.
	MultAdds int64
}

// Measure counts without a device. The error says which size does not fit.
func Measure(arch space.Arch, cfg Config) (Cost, error) {
	n, err := New(paper{}, arch, cfg)
	if err != nil {
		return Cost{}, err
	}
	p, err := n.Build(nn.Evaluate, 1)
	if err != nil {
		return Cost{}, err
	}
	var c Cost
	c.Params, c.AuxParams = n.Count()
	c.MultAdds = p.Graph.MultAdds()
	return c, nil
}

// paper is a device for counting: it has memory of any size, of which there is
// nothing, and cannot compute.
type paper struct{ nn.Device }

// Paper is a device on which a network can be made and its graphs planned, to count what
// they need, and which cannot compute.
func Paper() nn.Device { return paper{} }

type blank int

func (b blank) Len() int { return int(b) }

func (paper) NewMemory(n int) (nn.Memory, error) { return blank(n), nil }

// Scratch is left out of what a graph on paper needs.
func (paper) Scratch([]nn.Op) int64 { return 0 }
