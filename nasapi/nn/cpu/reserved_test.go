package cpu

import (
	"testing"

	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// TestReservedMemoryIsEnough holds what a plan says a step needs beside its tensors to
// what a step takes.
func TestReservedMemoryIsEnough(t *testing.T) {
	cell := []byte(`{"matrix": [[0,1,0,0,1,0],[0,0,1,0,0,0],[0,0,0,1,0,0],[0,0,0,0,0,1],[0,0,0,0,0,1],[0,0,0,0,0,0]],
		"ops": ["input","conv3x3-bn-relu","conv1x1-bn-relu","conv3x3-bn-relu","maxpool3x3","output"]}`)
	derived := func(name string, cfg net.Config) func(d *Device) (*net.Network, *net.Pass, error) {
		return func(d *Device) (*net.Network, *net.Pass, error) {
			arch, err := space.NamedGenotype(name)
			if err != nil {
				return nil, nil, err
			}
			return built(net.New(d, arch, cfg))
		}
	}
	for name, build := range map[string]func(d *Device) (*net.Network, *net.Pass, error){
		"DARTS_V2":     derived("DARTS_V2", net.Config{Channels: 12, Cells: 6}),
		"AmoebaNet":    derived("AmoebaNet", net.Config{Channels: 4, Cells: 5}),
		"large images": derived("DARTS_V1", net.Config{Channels: 36, Cells: 3}),
		"NASBench-101": func(d *Device) (*net.Network, *net.Pass, error) {
			arch, err := space.ParseArch("nasbench101", cell)
			if err != nil {
				return nil, nil, err
			}
			return built(net.New(d, arch, net.Config{Channels: 16}))
		},
		"path of a supernet": func(d *Device) (*net.Network, *net.Pass, error) {
			arch, err := space.ParseArch("nasbench101", cell)
			if err != nil {
				return nil, nil, err
			}
			s, err := net.NewNASBenchSupernet(d, 5, net.Config{Channels: 16})
			if err != nil {
				return nil, nil, err
			}
			p, err := s.Path(arch.(*space.Cell), nn.Train, 6)
			return s.Network, p, err
		},
		"mixture of NASBench-101": func(d *Device) (*net.Network, *net.Pass, error) {
			s, err := net.NewNASBenchMixture(d, 5, net.Config{Channels: 16})
			if err != nil {
				return nil, nil, err
			}
			p, err := s.Build(nn.Train, 6)
			if err != nil {
				return nil, nil, err
			}
			return s.Network, p.Pass, nil
		},
		"search network": func(d *Device) (*net.Network, *net.Pass, error) {
			s, err := net.NewSupernet(d, net.Config{Channels: 8, Cells: 4})
			if err != nil {
				return nil, nil, err
			}
			p, err := s.Build(nn.Train, 6)
			if err != nil {
				return nil, nil, err
			}
			return s.Network, p.Pass, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := New(2)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			n, pass, err := build(d)
			if err != nil {
				t.Fatal(err)
			}
			n.Initialise(1)
			if err := pass.Graph.Plan(); err != nil {
				t.Fatal(err)
			}
			in := pass.Input.Values
			if err := pass.Graph.SetInput(pass.Input, make([]float32, in.N*in.Image())); err != nil {
				t.Fatal(err)
			}
			if err := pass.SetLabels(make([]int32, pass.Batch())); err != nil {
				t.Fatal(err)
			}
			if err := pass.Graph.Forward(); err != nil {
				t.Fatal(err)
			}
			if err := pass.Graph.Backward(); err != nil {
				t.Fatal(err)
			}
			for i, w := range d.workers.all {
				if most := max(d.reserved.worker, leastBuffer); len(w.buffer) > most {
					t.Errorf("worker %d took %d numbers, %d were reserved", i, len(w.buffer), most)
				}
			}
			if len(d.batch.partial) > d.reserved.partial {
				t.Errorf("gradients of chunks take %d numbers, %d were reserved", len(d.batch.partial), d.reserved.partial)
			}
		})
	}
}

func built(n *net.Network, err error) (*net.Network, *net.Pass, error) {
	if err != nil {
		return nil, nil, err
	}
	p, err := n.Build(nn.Train, 6)
	return n, p, err
}
