package shared

import (
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
	switch job.Space.(type) {
	case *space.DARTSSpace:
		n, err := net.NewSupernet(job.Device, cfg)
		return &dartsNet{Supernet: n}, err
	}
	return nil, nil
}

// dartsNet is the search network of DARTS.
type dartsNet struct {
	*net.Supernet
	mixed map[passKey]*dartsMixture
}

type passKey struct {
	mode  nn.Mode
	batch int
}

func (d *dartsNet) path(a space.Arch, mode nn.Mode, batch int) (*net.Pass, error) {
	return nil, refusePath(a, "")
}

func (d *dartsNet) shape() []int {
	s := make([]int, 28)
	for i := range s {
		s[i] = 8
	}
	return s
}

func (d *dartsNet) mix(mode nn.Mode, batch int) (mixture, error) {
	key := passKey{mode, batch}
	if p := d.mixed[key]; p != nil {
		return p, nil
	}
	p, err := d.Build(mode, batch)
	if err != nil {
		return nil, err
	}
	if err := p.Graph.Plan(); err != nil {
		return nil, err
	}
	if d.mixed == nil {
		d.mixed = map[passKey]*dartsMixture{}
	}
	d.mixed[key] = &dartsMixture{p}
	return d.mixed[key], nil
}

type dartsMixture struct{ *net.SupernetPass }

func (m *dartsMixture) pass() *net.Pass { return m.Pass }

func (m *dartsMixture) set(flat [][]float64) error {
	var all [2]net.Mixture
	for kind := range all {
		copy(all[kind][:], flat[14*kind:])
	}
	return m.SetMixture(all[0], all[1])
}

func (m *dartsMixture) grad() [][]float64 {
	normal, reduce := m.MixtureGrad()
	return append(normal[:], reduce[:]...)
}
