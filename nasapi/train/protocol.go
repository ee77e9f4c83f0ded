package train

import (
	"fmt"
	"slices"
	"strings"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// Config is a training protocol. Its JSON form is part of a job's configuration.
// [DARTS] and [NASBench] are the published ones.
type Config struct {
	Epochs    int `json:"epochs"`
	Batch     int `json:"batch"`      // images a step
	EvalBatch int `json:"eval_batch"` // images at a time when nothing is learnt; no result depends on it

	Channels        int     `json:"channels"` // of the first cells, or of a NASBench-101 stem
	Cells           int     `json:"cells"`
	Auxiliary       bool    `json:"auxiliary,omitempty"`
	AuxiliaryWeight float64 `json:"auxiliary_weight,omitempty"`
	AsPublished     bool    `json:"as_published,omitempty"`

	Optimiser string  `json:"optimiser"` // sgd, adam, rmsprop or rmsprop_tf
	Rate      float64 `json:"rate"`      // highest learning rate
	RateMin   float64 `json:"rate_min"`  // where the half cosine ends
	ByStep    bool    `json:"by_step,omitempty"`
	Momentum  float64 `json:"momentum"`
	Decay     float64 `json:"decay"` // L2 penalty
	Alpha     float64 `json:"alpha,omitempty"`
	Eps       float64 `json:"eps,omitempty"`
	Clip      float64 `json:"clip,omitempty"` // global norm of the gradients; 0: none

	DropPath float64      `json:"drop_path,omitempty"` // probability in the last epoch, rising from 0
	Augment  data.Augment `json:"augment"`
	Split    data.Split   `json:"split"`

	// TestEveryEpoch evaluates on the test part after every epoch, not only at the end.
	TestEveryEpoch bool `json:"show_test,omitempty"`
	// Batches ends every epoch after so many; 0: whole epochs. What was trained like
	// that is marked as reduced.
	Batches int `json:"batches,omitempty"`

	Seed int64 `json:"seed"`
}

// DARTS is the protocol of the DARTS space on CIFAR-10 (Liu, Simonyan and Yang, 2019;
// drop path 0.2, auxiliary head, cutout 16): 600 epochs of batch 96 on C=36, 20
// cells. Development holds back 5,000 of the 50,000 images.
func DARTS(set *data.Set) Config {
	return Config{
		Epochs: 600, Batch: 96, EvalBatch: 64,
		Channels: 36, Cells: 20, Auxiliary: true, AuxiliaryWeight: 0.4,
		Optimiser: "sgd", Rate: 0.025, Momentum: 0.9, Decay: 3e-4, Clip: 5,
		DropPath: 0.2, Augment: data.DARTSAugment(set), Split: data.Development(0.1, 0),
	}
}

// NASBench is the protocol that made the NASBench-101 table (Ying et al., 2019):
// RMSProp in TensorFlow's form, rate 0.2 by a half cosine over steps, 108 epochs of
// batch 256 on the first 40,000 images. The table's first step has a rate of 0; here
// it has the cosine's.
func NASBench(set *data.Set) Config {
	return Config{
		Epochs: 108, Batch: 256, EvalBatch: 256,
		Channels: 128, Cells: 9,
		Optimiser: "rmsprop_tf", Rate: 0.2, ByStep: true, Momentum: 0.9, Decay: 1e-4, Alpha: 0.9, Eps: 1,
		Augment: data.NASBenchAugment(set), Split: data.NASBenchSplit(),
	}
}

// ProtocolFor is the protocol of an architecture's space.
func ProtocolFor(arch space.Arch, set *data.Set) Config {
	if _, ok := arch.(*space.Cell); ok {
		return NASBench(set)
	}
	return DARTS(set)
}

// optimisers are the names of Config.Optimiser.
var optimisers = map[string]nn.Rule{"sgd": nn.SGD, "adam": nn.Adam, "rmsprop": nn.RMSProp, "rmsprop_tf": nn.RMSPropTF}

// Optimisers lists the names of optimisers.
func Optimisers() []string {
	names := make([]string, 0, len(optimisers))
	for name := range optimisers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Validate says which number of a protocol is not possible.
func (c Config) Validate() error {
	if _, ok := optimisers[c.Optimiser]; !ok {
		return fmt.Errorf("no optimiser is called %.40q; give one of %s", c.Optimiser, strings.Join(Optimisers(), ", "))
	}
	for _, n := range []struct {
		name        string
		value, from int
	}{
		{"epochs", c.Epochs, 1}, {"batch", c.Batch, 1}, {"eval_batch", c.EvalBatch, 1}, {"batches", c.Batches, 0},
	} {
		if n.value < n.from || n.value > 1<<30 {
			return fmt.Errorf("%s is %d; give at least %d", n.name, n.value, n.from)
		}
	}
	for _, x := range []struct {
		name      string
		value     float64
		above, to float64
		orZero    bool
	}{
		{"rate", c.Rate, 0, 100, false}, {"rate_min", c.RateMin, 0, c.Rate, true}, {"momentum", c.Momentum, 0, 1, true},
		{"decay", c.Decay, 0, 1, true}, {"clip", c.Clip, 0, 1e9, true}, {"drop_path", c.DropPath, 0, 0.99, true},
		{"alpha", c.Alpha, 0, 1, true}, {"eps", c.Eps, 0, 1e9, true}, {"auxiliary_weight", c.AuxiliaryWeight, 0, 100, true},
	} {
		if !(x.value > x.above && x.value <= x.to) && !(x.orZero && x.value == 0) {
			return fmt.Errorf("%s is %v; give a number above %v%s and at most %v", x.name, x.value, x.above, map[bool]string{true: " (or 0)"}[x.orZero], x.to)
		}
	}
	return nil
}

// Fits says why a protocol cannot be run on a set of a shape: batches that are larger
// than what there is to train on, or a split that leaves nothing.
func (c Config) Fits(s data.Shape) error {
	n, _, err := c.Split.Counts(s.TrainN)
	if err != nil {
		return err
	}
	if c.Batch > n {
		return fmt.Errorf("a batch of %d images is larger than the %d that there are to train on: give batch=%d or less", c.Batch, n, n)
	}
	return nil
}

// Network is the part of a protocol that is the network's, for the images of a set.
func (c Config) Network(s data.Shape) net.Config {
	return net.Config{
		Height: s.H, Width: s.W, Colours: s.C, Classes: s.Classes,
		Channels: c.Channels, Cells: c.Cells,
		Auxiliary: c.Auxiliary, AuxiliaryWeight: c.AuxiliaryWeight, AsPublished: c.AsPublished,
	}
}

// optimiser makes the optimiser of the parameters. RMSProp's mean square starts at 1
// in TensorFlow's form, at 0 in PyTorch's.
func (c Config) optimiser(params []*nn.Param) *nn.Optimiser {
	o := &nn.Optimiser{
		Rule: optimisers[c.Optimiser], Params: params,
		Momentum: c.Momentum, Decay: c.Decay, Alpha: c.Alpha, Eps: c.Eps, ClipNorm: c.Clip,
		Beta1: 0.9, Beta2: 0.999,
	}
	if o.Rule == nn.RMSPropTF {
		o.MeanSquare0 = 1
	}
	if o.Eps == 0 && o.Rule != nn.SGD {
		o.Eps = 1e-8
	}
	if o.Alpha == 0 {
		o.Alpha = 0.99
	}
	return o
}

// rate is the learning rate of a step: by half cosine over epochs, or over steps.
func (c Config) rate(epoch, step, steps int) float64 {
	if c.ByStep {
		return nn.Cosine(c.Rate, c.RateMin, float64(epoch*steps+step), float64(c.Epochs*steps))
	}
	return nn.Cosine(c.Rate, c.RateMin, float64(epoch), float64(c.Epochs))
}

// dropPath is the probability with which an edge is dropped in an epoch.
func (c Config) dropPath(epoch int) float64 {
	return c.DropPath * float64(epoch) / float64(c.Epochs)
}
