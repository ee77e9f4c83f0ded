package shared

import (
	"fmt"
	"math"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
)

// Config is a protocol of training shared weights. Its JSON form is part of a job's
// configuration. [Default] has the published ones.
type Config struct {
	Epochs int `json:"epochs"`
	Batch  int `json:"batch"` // images a step
	// ValidBatch is how many validation images are evaluated at a time. Norms take the
	// statistics of these, so results depend on it.
	ValidBatch int `json:"valid_batch"`

	Channels    int  `json:"channels"` // of a NASBench-101 stem, or of the first cells
	Cells       int  `json:"cells"`
	AsPublished bool `json:"as_published,omitempty"` // NASBench-101: twice the widths, as the published code has them

	Rate    float64 `json:"rate"` // highest learning rate of SGD
	RateMin float64 `json:"rate_min"`
	// Restarts is the length in epochs of the first half cosine; each that follows is
	// twice as long, and starts at Rate. 0: one half cosine over all epochs.
	Restarts int     `json:"restarts,omitempty"`
	Momentum float64 `json:"momentum"`
	Decay    float64 `json:"decay"`          // L2 penalty
	Clip     float64 `json:"clip,omitempty"` // global norm of the gradients; 0: none
	// SkipUntouched leaves weights that a step's paths do not use as they are. Off,
	// weights that were used once go on decaying and drifting by their momentum, as in
	// the reference (see nn.Optimiser).
	SkipUntouched bool    `json:"skip_untouched,omitempty"`
	DropPath      float64 `json:"drop_path,omitempty"` // of edges; highest probability, risen to from 0
	Dropout       float64 `json:"dropout,omitempty"`   // of channels before the classifier of ENAS's child

	Augment data.Augment `json:"augment"`
	Split   data.Split   `json:"split"`

	// SaveEvery is the number of epochs from one ranking to the next, the last epoch
	// always being ranked; 0: the last alone.
	SaveEvery int `json:"save_every"`
	// Pool is how many architectures the fixed pool has, which is drawn once for a
	// space; 0: no ranking of a fixed pool. Of a smaller space it is the whole.
	Pool int `json:"pool"`
	// RankImages is how many of the validation images, the first ones, each
	// architecture is ranked by; 0: all.
	RankImages int `json:"rank_images,omitempty"`
	// FineTune is how many training batches each architecture of the fixed pool is
	// trained on, by itself and from the shared weights, before it is ranked once more
	// at the end; 0: that ranking is left out.
	FineTune int `json:"fine_tune,omitempty"`

	// Preset is the name of the preset that made this smaller than what was published,
	// "paper" where it was not.
	Preset string `json:"preset,omitempty"`
}

// Validate says which number of a protocol is not possible.
func (c Config) Validate() error {
	for _, n := range []struct {
		name        string
		value, from int
	}{
		{"epochs", c.Epochs, 1}, {"batch", c.Batch, 2}, {"valid_batch", c.ValidBatch, 2}, {"channels", c.Channels, 1}, {"cells", c.Cells, 1},
		{"restarts", c.Restarts, 0}, {"save_every", c.SaveEvery, 0}, {"pool", c.Pool, 0}, {"rank_images", c.RankImages, 0}, {"fine_tune", c.FineTune, 0},
	} {
		if n.value < n.from || n.value > 1<<30 {
			return fmt.Errorf("%s is %d; give at least %d", n.name, n.value, n.from)
		}
	}
	if c.Pool == 1 {
		return fmt.Errorf("pool is 1; a ranking needs at least 2 architectures, and 0 is for none")
	}
	for _, x := range []struct {
		name          string
		value         float64
		above, to     float64
		orAbove       bool
		whatItIsAbout string
	}{
		{"rate", c.Rate, 0, 100, false, ""}, {"rate_min", c.RateMin, 0, c.Rate, true, ""}, {"momentum", c.Momentum, 0, 1, true, ""},
		{"decay", c.Decay, 0, 1, true, ""}, {"clip", c.Clip, 0, 1e9, true, " (0 is for none)"}, {"drop_path", c.DropPath, 0, 0.99, true, ""},
		{"dropout", c.Dropout, 0, 0.99, true, ""},
	} {
		if !(x.value > x.above && x.value <= x.to) && !(x.orAbove && x.value == x.above) {
			bound := "above"
			if x.orAbove {
				bound = "from"
			}
			return fmt.Errorf("%s is %v; give a number %s %v to %v%s", x.name, x.value, bound, x.above, x.to, x.whatItIsAbout)
		}
	}
	return nil
}

// Fits says why a protocol cannot be run on a set of a shape.
func (c Config) Fits(s data.Shape) error {
	train, valid, err := c.Split.Counts(s.TrainN)
	if err != nil {
		return err
	}
	if valid < 2 {
		return fmt.Errorf("the split leaves %d images to validate on, and a search needs some: give valid=1000, or split=\"search\" for half", valid)
	}
	if c.Batch > train {
		return fmt.Errorf("a batch of %d images is larger than the %d that there are to train on: give batch=%d or less", c.Batch, train, train)
	}
	if c.ValidBatch > valid {
		return fmt.Errorf("valid_batch is %d and there are %d images to validate on: give valid_batch=%d or less", c.ValidBatch, valid, valid)
	}
	if c.RankImages > valid {
		return fmt.Errorf("rank_images is %d and there are %d images to validate on: give %d or less, or 0 for all", c.RankImages, valid, valid)
	}
	return c.Augment.Validate(s)
}

// Reduced says that this is less than what was published.
func (c Config) Reduced() bool { return c.Preset != "" && c.Preset != PaperPreset }

// String says the protocol in a line.
func (c Config) String() string {
	text := fmt.Sprintf("%d epochs of batch %d, %d channels, %d cells", c.Epochs, c.Batch, c.Channels, c.Cells)
	if c.Split.TrainN > 0 {
		text += fmt.Sprintf(", %d images", c.Split.TrainN)
	}
	if c.Reduced() {
		text += fmt.Sprintf(", REDUCED (%s)", c.ReducedBy())
	}
	return text
}

// ReducedBy says what made this less than what was published.
func (c Config) ReducedBy() string {
	if c.Preset == OwnPreset {
		return "numbers given by hand"
	}
	return fmt.Sprintf("preset %q", c.Preset)
}

// Marked is c with OwnPreset where its numbers are smaller than the published ones and no
// preset says so.
func (c Config) Marked(published Config) Config {
	smaller := c.Epochs < published.Epochs || c.Channels < published.Channels || c.Cells < published.Cells || c.Split.TrainN > 0
	if !c.Reduced() && smaller {
		c.Preset = OwnPreset
	}
	return c
}

// network is the part of a protocol that is the network's.
func (c Config) network(s data.Shape) net.Config {
	return net.Config{
		Height: s.H, Width: s.W, Colours: s.C, Classes: s.Classes,
		Channels: c.Channels, Cells: c.Cells, AsPublished: c.AsPublished,
	}
}

func (c Config) optimiser(params []*nn.Param) *nn.Optimiser {
	return &nn.Optimiser{Rule: nn.SGD, Params: params, Momentum: c.Momentum, Decay: c.Decay, ClipNorm: c.Clip, SkipUntouched: c.SkipUntouched}
}

// rate is the learning rate of an epoch, counted from 0: it is Rate in the first one
// (the reference's schedules are one epoch ahead for most policies).
func (c Config) rate(epoch int) float64 {
	period := c.Epochs
	if c.Restarts > 0 {
		period = c.Restarts
		for epoch >= period {
			epoch -= period
			if period > math.MaxInt/2 {
				break
			}
			period *= 2
		}
	}
	return nn.Cosine(c.Rate, c.RateMin, float64(epoch), float64(period))
}

// savePoint says whether the ranking is made after an epoch.
func (c Config) savePoint(epoch int) bool {
	done := epoch + 1
	return done == c.Epochs || c.SaveEvery > 0 && done%c.SaveEvery == 0
}
