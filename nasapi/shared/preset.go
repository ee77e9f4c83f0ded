package shared

import (
	"fmt"
	"slices"
	"strings"

	"evalnas/nasapi/data"
	"evalnas/nasapi/nearest"
	"evalnas/nasapi/space"
)

// PaperPreset is the protocol as published.
const PaperPreset = "paper"

// OwnPreset stands where numbers that were given one by one make a protocol smaller.
const OwnPreset = "own"

// preset is how much smaller than published a protocol is made.
type preset struct {
	name               string
	epochs             int
	nasbench, cells    int // channels of a NASBench-101 stem; of cells of the DARTS family
	batch              int // at most
	trainN, validN     int // images at most; 0: as published
	rankImages, points int // validation images of a ranking; rankings in all
}

// presets are in the order of their cost. The names say about how long a seed of SPOS
// takes on one core in NASBench-101 with 4 vertices (ten minutes for the first); what a search
// really takes is measured before it is submitted.
var presets = []preset{
	{name: "minutes", epochs: 16, nasbench: 16, cells: 8, batch: 32, trainN: 20_000, validN: 5_000, rankImages: 300, points: 8},
	{name: "hour", epochs: 50, nasbench: 16, cells: 12, batch: 64, rankImages: 1_000, points: 10},
	{name: "day", epochs: 150, nasbench: 32, cells: 16, batch: 96, rankImages: 5_000, points: 15},
}

// Presets lists the names, the published protocol first.
func Presets() []string {
	names := []string{PaperPreset}
	for _, p := range slices.Backward(presets) {
		names = append(names, p.name)
	}
	return names
}

// With is c made smaller by a preset, for images of a shape.
func (c Config) With(name string, sp space.Space, s data.Shape) (Config, error) {
	if name == PaperPreset {
		return c, nil
	}
	i := slices.IndexFunc(presets, func(p preset) bool { return p.name == name })
	if i < 0 {
		near := nearest.Name(name, Presets())
		if near != "" {
			near = fmt.Sprintf(": did you mean %q?", near)
		}
		return c, fmt.Errorf("there is no preset %.40q%s Presets are %s", name, near, strings.Join(Presets(), ", "))
	}
	p := presets[i]
	c.Preset = name
	c.Epochs = min(c.Epochs, p.epochs)
	c.Batch = min(c.Batch, p.batch)
	if _, cells := sp.(*space.NASBench); cells {
		c.Channels = min(c.Channels, p.nasbench)
	} else {
		c.Channels = min(c.Channels, p.cells)
	}
	c.SaveEvery = max(1, p.epochs/p.points)
	train, valid, err := c.Split.Counts(s.TrainN)
	if err != nil {
		return c, err
	}
	if p.trainN > 0 && (train > p.trainN || valid > p.validN) {
		c.Split.Share = 0
		c.Split.TrainN, c.Split.ValidN = min(train, p.trainN), min(valid, p.validN)
		_, valid, _ = c.Split.Counts(s.TrainN)
	}
	c.ValidBatch = min(c.ValidBatch, valid)
	if p.rankImages < valid {
		c.RankImages = p.rankImages
	}
	return c, nil
}
