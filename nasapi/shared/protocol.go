package shared

import (
	"fmt"
	"slices"
	"strings"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/space"
)

// numbers are what differs between the protocols of policies: a row of the tables of
// defaults below.
type numbers struct {
	epochs, batch, validBatch int
	channels, cells           int
	rate, rateMin             float64
	restarts                  int
	decay, clip               float64
	share                     float64 // of the training images that is validated on
	shuffled                  bool
	dropPath, dropout         float64
}

// The settings of Yu et al. (ICLR 2020) on NASBench-101 as they were in effect: policies
// with settings of their own override what their scripts say. 64 images are validated on
// at a time, 500 by NAO.
var nasbenchNumbers = map[string]numbers{
	"random":  {epochs: 200, batch: 256, validBatch: 64, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.5},
	"spos":    {epochs: 200, batch: 256, validBatch: 64, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.5},
	"fairnas": {epochs: 200, batch: 256, validBatch: 64, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.5},
	"nao":     {epochs: 200, batch: 256, validBatch: 500, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.1},
	"enas":    {epochs: 200, batch: 160, validBatch: 64, rate: 0.05, rateMin: 0.0005, decay: 2.5e-4, clip: 5, share: 0.1},
	"darts":   {epochs: 200, batch: 64, validBatch: 64, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.5},
	"fbnet":   {epochs: 200, batch: 64, validBatch: 64, rate: 0.1, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.2},
}

// The same in the space of DARTS, where the reference has DARTS alone; the others have
// its settings.
var dartsNumbers = map[string]numbers{
	"random":  {epochs: 150, batch: 64, validBatch: 64, channels: 16, cells: 8, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.5},
	"spos":    {epochs: 150, batch: 64, validBatch: 64, channels: 16, cells: 8, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.5},
	"fairnas": {epochs: 150, batch: 64, validBatch: 64, channels: 16, cells: 8, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.5},
	"darts":   {epochs: 150, batch: 64, validBatch: 64, channels: 16, cells: 8, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.5},
	"fbnet":   {epochs: 150, batch: 64, validBatch: 64, channels: 16, cells: 8, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.5},
}

// And in the five-node form, each policy with the child network of its authors; random
// search has ENAS's. The warm restarts of ENAS begin at the highest rate (the reference's
// begin in the middle), and its weights are clipped nowhere, as published.
var childNumbers = map[string]numbers{
	"random": {epochs: 150, batch: 160, validBatch: 160, channels: 20, cells: 8, rate: 0.05, rateMin: 0.0005, restarts: 10, decay: 1e-4, share: 0.1, dropout: net.ENASDropout},
	"spos":   {epochs: 150, batch: 160, validBatch: 160, channels: 20, cells: 8, rate: 0.05, rateMin: 0.0005, restarts: 10, decay: 1e-4, share: 0.1, dropout: net.ENASDropout},
	"enas":   {epochs: 150, batch: 160, validBatch: 160, channels: 20, cells: 8, rate: 0.05, rateMin: 0.0005, restarts: 10, decay: 1e-4, share: 0.1, dropout: net.ENASDropout},
	"nao":    {epochs: 200, batch: 64, validBatch: 500, channels: 20, cells: 11, rate: 0.025, rateMin: 0.001, decay: 3e-4, clip: 5, share: 0.1, shuffled: true, dropPath: 0.1},
}

// The published sizes of networks of NASBench-101.
const (
	nasbenchChannels = 128
	nasbenchCells    = 9
)

// fixedPoolSize is how many architectures the fixed pool has: as many as the pools of
// the reference have at most.
const fixedPoolSize = 200

// numbersOf is the row of a policy in a space; the error says what goes together.
func numbersOf(policyName string, sp space.Space) (numbers, error) {
	var table map[string]numbers
	switch s := sp.(type) {
	case *space.NASBench:
		table = nasbenchNumbers
		if s.MaxVertices() < 4 {
			return numbers{}, fmt.Errorf("%s has no supernet: give nasbench101(max_vertices=4) to 7", sp)
		}
	case *space.DARTSSpace:
		table = dartsNumbers
		if s.Spec().Nodes == 5 {
			table = childNumbers
		}
	default:
		return numbers{}, fmt.Errorf("%s has no supernet: nasbench101(max_vertices=4..7), darts_space(nodes=4) and darts_space(nodes=5) have one", sp)
	}
	n, ok := table[policyName]
	if !ok {
		only := "it does in " + Spaces(policyName)
		if Spaces(policyName) == nowhere {
			only = policyName + " trains none anywhere, it looks architectures up"
		}
		return n, fmt.Errorf("%s does not train shared weights in %s, where %s do; %s", policyName, sp, strings.Join(sortedNames(table), ", "), only)
	}
	return n, nil
}

func sortedNames(table map[string]numbers) []string {
	var names []string
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

const nowhere = "no space"

// Spaces says in words in which spaces a policy shares weights, "no space" where in none.
func Spaces(policyName string) string {
	var in []string
	for _, s := range []struct {
		table map[string]numbers
		name  string
	}{{nasbenchNumbers, "nasbench101(max_vertices=4..7)"}, {dartsNumbers, "darts_space(nodes=4)"}, {childNumbers, "darts_space(nodes=5)"}} {
		if _, ok := s.table[policyName]; ok {
			in = append(in, s.name)
		}
	}
	if len(in) == 0 {
		return nowhere
	}
	return strings.Join(in, " and ")
}

// Default is the protocol of a policy in a space, as published, on a set of a shape. The
// error says which policies and spaces go together.
func Default(policyName string, sp space.Space, set *data.Set) (Config, error) {
	n, err := numbersOf(policyName, sp)
	if err != nil {
		return Config{}, err
	}
	if n.channels == 0 {
		n.channels, n.cells = nasbenchChannels, nasbenchCells
	}
	augment := data.DARTSAugment(set)
	augment.Cutout = 0
	return Config{
		Epochs: n.epochs, Batch: n.batch, ValidBatch: n.validBatch, Channels: n.channels, Cells: n.cells,
		Rate: n.rate, RateMin: n.rateMin, Restarts: n.restarts, Momentum: 0.9, Decay: n.decay, Clip: n.clip, DropPath: n.dropPath, Dropout: n.dropout,
		Augment: augment, Split: data.Split{Share: n.share, Shuffled: n.shuffled},
		SaveEvery: 20, Pool: fixedPoolSize, Preset: PaperPreset,
	}, nil
}
