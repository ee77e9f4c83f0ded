// Package net builds trainable networks from architectures: the DARTS family's
// genotypes (Liu, Simonyan and Yang, "DARTS", ICLR 2019) and the cells of NASBench-101
// (Ying et al., ICML 2019), on the engine nasapi/nn.
//
// A [Network] owns the weights and the batch norms, on one device; [Network.Build]
// makes a [Pass], a graph of the network for one mode and batch size. Passes share
// the weights.
//
//	n, err := net.New(dev, genotype, net.Config{Auxiliary: true})
//	n.Initialise(1268)
//	train, err := n.Build(nn.Train, 96)
//	err = train.Graph.Plan()
//	err = train.Graph.SetInput(train.Input, pixels)
//	err = train.SetLabels(labels)
//	err = train.SetDropPath(masks, 0.1)
//	train.Graph.Forward(); train.Graph.Backward(); optimiser.Step(dev, rate)
//
// [Measure] counts parameters and multiply-adds without a device. [Network.Weights]
// and [Network.SetWeights] are the weights under the names and in the layouts of
// PyTorch, [ToPyTorch] the same network as a Python module that takes them;
// [Network.State] and [Network.Restore] are for checkpoints.
//
// Four networks are for searches, whose architectures share their weights:
// [NewNASBenchSupernet] runs one cell of NASBench-101 at a time, [NewNASBenchMixture]
// all of them at once, weighed by a mixture, [NewSupernet] the genotypes of DARTS in
// either way, and a [Child] those of ENAS and NAO one at a time. Path is the graph of one
// architecture. Graphs that take turns may share their memory: nn.Arena.
//
// Only what reaches a loss is computed: an edge whose node nobody concatenates or
// reads has its weights, but no operator, and is never trained (nor is it in PyTorch,
// whose gradients of it are None).
//
// Start reading at darts.go and nasbench.go, and at mixing.go for mixtures; layer.go has
// the blocks that they are made of.
package net

import (
	"fmt"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// Config says how large a network of an architecture is. Its zero value is the
// published protocol of the architecture's space.
type Config struct {
	Height, Width int // pixels of an image, at least 8 each; 0: 32
	Colours       int // channels of an image; 0: 3
	Classes       int // 0: 10

	// Channels is the number of channels of a genotype's first cells (0: 36), or of
	// the stem of a NASBench-101 network (0: 128), whose stacks have 1, 2 and 4 times
	// as many.
	Channels int
	// Cells is the number of cells (0: 20), or of modules of a NASBench-101 network
	// (0: 9), a multiple of its 3 stacks.
	Cells int

	// Auxiliary hangs the auxiliary head on a genotype's network, in training only;
	// its loss counts AuxiliaryWeight (0: 0.4).
	Auxiliary       bool
	AuxiliaryWeight float64

	// AsPublished doubles the widths of a NASBench-101 network, as the PyTorch code
	// that was published with "Evaluating the search phase of neural architecture
	// search" (ICLR 2020) does: 2, 4 and 8 times the stem's.
	AsPublished bool

	// NormMomentum is the share of a new batch in running statistics, 0 < m <= 1 (0: 0.1,
	// PyTorch's default; in a NASBench-101 network 0.003, TensorFlow's 0.997), NormEps
	// what batch norms add to the variance (0: 1e-5).
	NormMomentum, NormEps float64

	// BatchStatistics has a search network's batch norms keep no running statistics, which
	// are those of no single path: those of the batch are always used.
	BatchStatistics bool

	// Start is how weights begin; "": as the architecture's space did.
	Start Start
}

// Start names a rule for the first weights.
type Start string

const (
	// PyTorch draws convolutions and linear layers, biases too, uniformly within
	// 1/sqrt(fan-in).
	PyTorch Start = "pytorch"
	// TensorFlow draws convolutions from a normal distribution of variance 1/fan-in,
	// cut off at two deviations and widened to have that variance again, and linear
	// layers uniformly within sqrt(6/(fan-in + fan-out)), without a bias (the defaults
	// of variance_scaling_initializer and of layers.dense).
	TensorFlow Start = "tensorflow"
	// Kaiming draws convolutions and linear layers from a normal distribution of variance
	// 2/fan-in (He et al., "Delving deep into rectifiers", ICCV 2015; PyTorch's
	// kaiming_normal_), and leaves the biases of linear layers to PyTorch's rule.
	Kaiming Start = "kaiming"
)

// The bounds on sizes are far above what is trained; they keep products of sizes
// from running over.
const (
	minPixels   = 8
	maxPixels   = 4096
	maxColours  = 1024
	maxChannels = 4096
	maxCells    = 1000
	maxClasses  = 1 << 20
)

const nasbenchStacks = 3

// withDefaults fills in what is 0 for the architecture.
func (c Config) withDefaults(arch space.Arch) (Config, error) {
	switch a := arch.(type) {
	case *space.Genotype:
		if err := a.CheckNetwork(); err != nil {
			return c, err
		}
		c = c.fill(Config{Channels: 36, Cells: 20, NormMomentum: 0.1, Start: PyTorch})
	case *space.Cell:
		c = c.fill(Config{Channels: 128, Cells: 9, NormMomentum: 0.003, Start: TensorFlow})
	default:
		return c, fmt.Errorf("no network is built from %v: give a genotype of the DARTS family or a cell of NASBench-101", arch)
	}
	if err := c.validate(); err != nil {
		return c, err
	}
	return c, c.validateFamily(arch)
}

// fill fills in what is 0: standard says what differs between kinds of networks.
func (c Config) fill(standard Config) Config {
	for _, d := range []struct {
		value    *int
		standard int
	}{{&c.Height, 32}, {&c.Width, 32}, {&c.Colours, 3}, {&c.Classes, 10}, {&c.Channels, standard.Channels}, {&c.Cells, standard.Cells}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	for _, d := range []struct {
		value    *float64
		standard float64
	}{{&c.AuxiliaryWeight, 0.4}, {&c.NormMomentum, standard.NormMomentum}, {&c.NormEps, 1e-5}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if c.Start == "" {
		c.Start = standard.Start
	}
	return c
}

func (c Config) validate() error {
	for _, d := range []struct {
		name       string
		value      int
		least, top int
	}{
		{"an image's height", c.Height, minPixels, maxPixels},
		{"an image's width", c.Width, minPixels, maxPixels},
		{"the number of colours", c.Colours, 1, maxColours},
		{"the number of classes", c.Classes, 2, maxClasses},
		{"the number of channels", c.Channels, 2, maxChannels},
		{"the number of cells", c.Cells, 1, maxCells},
	} {
		if d.value < d.least || d.value > d.top {
			return fmt.Errorf("%s is %d; give %d to %d", d.name, d.value, d.least, d.top)
		}
	}
	if !(c.NormMomentum > 0 && c.NormMomentum <= 1) {
		return fmt.Errorf("the batch norms' momentum is %v; give more than 0 and at most 1 (the share of the new batch: 0.1, or 0.003 for TensorFlow's 0.997)", c.NormMomentum)
	}
	if !(c.NormEps > 0 && c.NormEps <= 1) {
		return fmt.Errorf("the batch norms' eps is %v; give more than 0 and at most 1, such as 1e-5", c.NormEps)
	}
	if !(c.AuxiliaryWeight > 0 && c.AuxiliaryWeight <= 100) {
		return fmt.Errorf("the auxiliary loss's weight is %v; give more than 0 and at most 100, such as 0.4", c.AuxiliaryWeight)
	}
	if c.Start != PyTorch && c.Start != TensorFlow && c.Start != Kaiming {
		return fmt.Errorf("no rule for the first weights is called %.40q; give %q, %q or %q", c.Start, PyTorch, TensorFlow, Kaiming)
	}
	return nil
}

func (c Config) validateFamily(arch space.Arch) error {
	cell, ok := arch.(*space.Cell)
	if !ok {
		if c.AsPublished {
			return fmt.Errorf("as_published doubles the widths of NASBench-101 networks; %v has no such form", arch)
		}
		return nil
	}
	if c.Auxiliary {
		return fmt.Errorf("a NASBench-101 network has no auxiliary head")
	}
	if err := c.validateStacks(); err != nil {
		return err
	}
	for v, width := range cell.VertexChannels(c.Channels) {
		if v > 0 && width == 0 {
			return fmt.Errorf("%d channels leave none to vertex %d of %v; give more", c.Channels, v, cell)
		}
	}
	return nil
}

func (c Config) validateStacks() error {
	if c.Cells%nasbenchStacks != 0 {
		return fmt.Errorf("the number of cells is %d; a NASBench-101 network has %d stacks of equally many, so give a multiple of %d", c.Cells, nasbenchStacks, nasbenchStacks)
	}
	return nil
}

// Network is the network of one architecture: its weights and batch norms, on one
// device. It is not safe for concurrent use.
type Network struct {
	dev  nn.Device
	arch space.Arch
	cfg  Config

	params  []*nn.Param
	norms   []*nn.BatchNorm
	tensors []tensor
	body    body
}

// body is what one family's networks are made of.
type body interface {
	// classifier is the linear layer on top.
	classifier() linear
}

// wholeBody is one of which there is one graph, not one for each path.
type wholeBody interface {
	body
	// features adds the operators up to the last cell's output. It may add losses.
	features(p *Pass) *nn.Var
}

// New makes the network of an architecture with weights of zero: see Initialise. The
// error says which size does not fit, or how much memory is missing.
func New(dev nn.Device, arch space.Arch, cfg Config) (*Network, error) {
	cfg, err := cfg.withDefaults(arch)
	if err != nil {
		return nil, err
	}
	n := &Network{dev: dev, arch: arch, cfg: cfg}
	m := &maker{n: n}
	switch a := arch.(type) {
	case *space.Genotype:
		n.body = newDerived(m, a, cfg)
	case *space.Cell:
		n.body = newNASBench(m, a, cfg)
	}
	return n, m.err
}

// Arch is the architecture.
func (n *Network) Arch() space.Arch { return n.arch }

// Config is the configuration, defaults filled in.
func (n *Network) Config() Config { return n.cfg }

// Params are the trainable parameters, in the order of PyTorch's modules. They are
// the network's own.
func (n *Network) Params() []*nn.Param { return n.params }

// BatchNorms are the batch norms, in the same order.
func (n *Network) BatchNorms() []*nn.BatchNorm { return n.norms }

// Param is the parameter of a name, nil if there is none.
func (n *Network) Param(name string) *nn.Param {
	for _, p := range n.params {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Count is the number of trainable numbers, with those of the auxiliary head apart.
func (n *Network) Count() (params, auxiliary int64) {
	for _, p := range n.params {
		if isAuxiliary(p.Name) {
			auxiliary += int64(p.Len())
			continue
		}
		params += int64(p.Len())
	}
	return params, auxiliary
}
