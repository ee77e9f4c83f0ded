package shared

import (
	"fmt"
	"maps"
	"slices"

	"evalnas/nasapi/data"
	"evalnas/nasapi/train"
)

// hidden are fields of Config that are no number of a protocol.
var hidden = []string{"augment", "split", "preset"}

// imagesKeyword is how many images weights are trained on.
const imagesKeyword = "images"

func (c *Config) overriding() train.Overriding {
	return train.Overriding{Protocol: c, Augment: &c.Augment, Split: &c.Split, Hidden: hidden}
}

// Keywords lists what Override takes, in alphabetical order.
func Keywords() []string {
	names := append(new(Config).overriding().Keywords(), imagesKeyword)
	slices.Sort(names)
	return names
}

// Override is c with numbers of its protocol replaced by name (see train.Overriding);
// images is how many training images there are, and valid how many to validate on. The
// result is not validated.
func (c Config) Override(values map[string]any, set data.Shape) (Config, error) {
	changed, rest := c, maps.Clone(values)
	n, limited := rest[imagesKeyword]
	delete(rest, imagesKeyword)
	if err := changed.overriding().Apply(rest); err != nil {
		return c, err
	}
	if !limited {
		if _, given := values["valid"]; given { // the images that a preset leaves stay
			changed.Split.TrainN = c.Split.TrainN
		}
		return changed, nil
	}
	images, ok := n.(int)
	if !ok || images < 1 {
		return c, fmt.Errorf("images is %v; give the number of images to train on, 1 or more", n)
	}
	_, valid, err := changed.Split.Counts(set.TrainN)
	if err != nil {
		return c, err
	}
	changed.Split.TrainN, changed.Split.ValidN, changed.Split.Share = images, valid, 0
	return changed, nil
}
