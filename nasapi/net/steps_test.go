package net

import (
	"encoding/json"
	"hash/fnv"
	"math"
	"strings"
	"testing"

	"evalnas/nasapi/net/safetensors"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// protocolSteps is twenty steps of training at a protocol's rates by PyTorch:
// testdata/README.md says how its numbers are made.
type protocolSteps struct {
	Batch           int
	Genotype        string
	Cell            json.RawMessage
	Channels, Cells int
	Modules         int
	NormMomentum    float64 `json:"norm_momentum"`
	Rates           []float64
	Parameters      []struct {
		name  string
		shape []int
	}
	Float32, Float64 struct {
		Losses        []float64
		GradientNorms []float64 `json:"gradient_norms"`
	}
	Drift []float64
}

func (p *protocolSteps) UnmarshalJSON(text []byte) error {
	type plain protocolSteps
	var parts struct {
		*plain
		Parameters [][2]json.RawMessage
	}
	parts.plain = (*plain)(p)
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	p.Parameters = make([]struct {
		name  string
		shape []int
	}, len(parts.Parameters))
	for i, pair := range parts.Parameters {
		if err := json.Unmarshal(pair[0], &p.Parameters[i].name); err != nil {
			return err
		}
		if err := json.Unmarshal(pair[1], &p.Parameters[i].shape); err != nil {
			return err
		}
	}
	return nil
}

// word is number i of the stream of a name: SplitMix64.
func word(name string, i int) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	z := 1268 + h.Sum64() + (uint64(i)+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func symmetricNumber(name string, i int) float64 {
	return float64(word(name, i)>>11)*0x1p-52 - 1
}

// weights are those that the steps begin with, under names, in PyTorch's layouts.
func (p *protocolSteps) weights(n *Network) []safetensors.Tensor {
	shapes := map[string][]int{}
	for _, q := range p.Parameters {
		shapes[q.name] = q.shape
	}
	all := n.Weights()
	for i, t := range all {
		shape := shapes[t.Name]
		if shape == nil {
			continue // running statistics begin as the network's do
		}
		fanIn := 1
		for _, d := range shape[1:] {
			fanIn *= d
		}
		for j := range t.Floats {
			u := symmetricNumber(t.Name, j)
			switch {
			case len(shape) > 1:
				u *= 1 / math.Sqrt(float64(fanIn))
			case strings.HasSuffix(t.Name, "weight"):
				u = 1 + u/4
			default:
				u /= 8
			}
			all[i].Floats[j] = float32(u)
		}
	}
	return all
}

// load gives a pass the images and labels of a step.
func (p *protocolSteps) load(t *testing.T, pass *Pass, step int) {
	t.Helper()
	in := pass.Input.Values
	pixels, labels := make([]float32, in.N*in.Image()), make([]int32, in.N)
	for i := range labels {
		image := step*in.N + i
		labels[i] = int32((word("labels", image) >> 32) * 10 >> 32)
		class := "class " + string(rune('0'+labels[i]))
		for at := range in.H * in.W * 3 {
			pixel, colour := at/3, at%3
			pixels[i*in.Image()+pixel*in.Pix+colour] = float32(symmetricNumber("images", image*in.H*in.W*3+at) + symmetricNumber(class, at))
		}
	}
	if err := pass.Graph.SetInput(pass.Input, pixels); err != nil {
		t.Fatal(err)
	}
	if err := pass.SetLabels(labels); err != nil {
		t.Fatal(err)
	}
}

// TestStepsAtTheProtocolsRates: PyTorch in float32 itself leaves PyTorch in float64 by
// Drift, which grows by a factor of ten in a step once it begins. Until the step before it
// reaches 1e-3 the losses are held to 1e-3 of those in float64, and afterwards to five
// times the largest drift up to the next step.
func TestStepsAtTheProtocolsRates(t *testing.T) {
	if got := word("stem.0.weight", 0); got != 0x7bdf83c0213030b6 {
		t.Fatalf("the generator's first number is %x", got)
	}
	dev := openCPU(t, 2)
	for _, c := range []struct {
		file string
		opt  nn.Optimiser
	}{
		{"testdata/derived_steps.json", nn.Optimiser{Rule: nn.SGD, Momentum: 0.9, Decay: 3e-4, ClipNorm: 5}},
		{"testdata/nasbench_steps.json", nn.Optimiser{Rule: nn.RMSPropTF, Momentum: 0.9, Alpha: 0.9, Decay: 1e-4, Eps: 1, MeanSquare0: 1}},
	} {
		var p protocolSteps
		readJSON(t, c.file, &p)
		n := p.network(t, dev)
		if err := n.SetWeights(p.weights(n)); err != nil {
			t.Fatal(err)
		}
		pass := mustBuild(t, n, nn.Train, p.Batch)
		if err := pass.Graph.Plan(); err != nil {
			t.Fatal(err)
		}
		opt := c.opt
		opt.Params = n.Params()
		allowed := 1e-3
		for step, rate := range p.Rates {
			p.load(t, pass, step)
			if err := pass.Graph.Forward(); err != nil {
				t.Fatal(err)
			}
			if err := pass.Graph.Backward(); err != nil {
				t.Fatal(err)
			}
			norm, err := opt.Step(dev, rate)
			if err != nil {
				t.Fatal(err)
			}
			allowed = max(allowed, 5*p.Drift[min(step+1, len(p.Drift)-1)])
			if want := p.Float64.Losses[step]; math.Abs(pass.Loss.Loss-want) > allowed*want {
				t.Errorf("%s: the loss of step %d is %v, PyTorch's %v (allowed %.2g)", c.file, step, pass.Loss.Loss, want, allowed)
			}
			if want := p.Float64.GradientNorms[step]; step == 0 && math.Abs(norm.Norm-want) > 1e-4*want {
				t.Errorf("%s: the gradient's norm is %v, PyTorch's %v", c.file, norm.Norm, want)
			}
		}
	}
}

func (p *protocolSteps) network(t *testing.T, dev nn.Device) *Network {
	t.Helper()
	if p.Genotype != "" {
		return mustNew(t, dev, genotypes(t)[p.Genotype], Config{Channels: p.Channels, Cells: p.Cells, Auxiliary: true})
	}
	arch, err := space.ParseArch("nasbench101", p.Cell)
	if err != nil {
		t.Fatal(err)
	}
	return mustNew(t, dev, arch, Config{Channels: p.Channels, Cells: 3 * p.Modules, NormMomentum: p.NormMomentum})
}
