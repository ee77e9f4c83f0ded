package shared

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"evalnas/nasapi/data"
	"evalnas/nasapi/space"
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

// Departures are the numbers of c that differ from the published ones of a policy in a
// space, as "batch 256 (here 32)", in alphabetical order. Augmentation, which hangs on the
// images, is left out.
func (c Config) Departures(policyName string, sp space.Space) []string {
	published, err := Default(policyName, sp, &data.Set{})
	if err != nil {
		return nil
	}
	was, is := reflect.ValueOf(published), reflect.ValueOf(c)
	var out []string
	for i := range was.NumField() {
		name, _, _ := strings.Cut(was.Type().Field(i).Tag.Get("json"), ",")
		if slices.Contains(hidden, name) || was.Field(i).Equal(is.Field(i)) {
			continue
		}
		out = append(out, fmt.Sprintf("%s %v (here %v)", name, was.Field(i), is.Field(i)))
	}
	if c.Split != published.Split {
		out = append(out, fmt.Sprintf("split %s (here %s)", splitText(published.Split), splitText(c.Split)))
	}
	slices.Sort(out)
	return out
}

func splitText(s data.Split) string {
	if s.Share > 0 {
		return fmt.Sprintf("with %g %% to validate on", 100*s.Share)
	}
	if s.TrainN > 0 {
		return fmt.Sprintf("of %d and %d images", s.TrainN, s.ValidN)
	}
	return fmt.Sprintf("with %d to validate on", s.ValidN)
}
