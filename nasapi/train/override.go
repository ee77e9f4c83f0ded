package train

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"evalnas/nasapi/data"
	"evalnas/nasapi/nearest"
)

// augmentKeywords are those of Config.Augment that Override knows.
var augmentKeywords = []string{"pad", "flip", "cutout"}

// hidden are fields of Config that are no number of a protocol.
var hidden = []string{"augment", "split", "seed", "show_test"}

// splits are the values of the keyword split.
var splits = map[string]func() data.Split{
	"development": func() data.Split { return data.Development(0.1, 0) },
	"nasbench":    data.NASBenchSplit,
	"search":      data.SearchSplit,
	"whole":       data.WholeSplit,
}

// Keywords lists what Override takes, in alphabetical order.
func Keywords() []string {
	names := append(slices.Clone(augmentKeywords), "split", "valid")
	for f := range reflect.TypeFor[Config]().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); !slices.Contains(hidden, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Override is c with numbers of its protocol replaced: by their names in JSON, those
// of Augment among them, split as "development" (a tenth is held back), "nasbench",
// "search" or "whole", and valid as the number of images that are held back. Values
// are bool, int, float64 or string. The result is not validated.
func (c Config) Override(values map[string]any) (Config, error) {
	known := Keywords()
	fields, augment := map[string]any{}, map[string]any{}
	for name, v := range values {
		if !slices.Contains(known, name) {
			near := nearest.Name(name, known)
			if near != "" {
				near = fmt.Sprintf(" (did you mean %q?)", near)
			}
			return c, fmt.Errorf("a protocol has no %q%s; it has %s", name, near, strings.Join(known, ", "))
		}
		switch name {
		case "pad", "flip", "cutout":
			augment[name] = v
		case "split":
			text, _ := v.(string)
			split := splits[text]
			if split == nil {
				return c, fmt.Errorf("split is %v; give \"development\", \"nasbench\", \"search\" or \"whole\"", v)
			}
			c.Split = split()
		case "valid":
		default:
			fields[name] = v
		}
	}
	if v, given := values["valid"]; given {
		n, ok := v.(int)
		if !ok || n < 0 {
			return c, fmt.Errorf("valid is %v; give the number of images that are held back, 0 or more", v)
		}
		c.Split.TrainN, c.Split.ValidN, c.Split.Share = 0, n, 0
	}
	if err := replace(&c, fields); err != nil {
		return c, err
	}
	return c, replace(&c.Augment, augment)
}

// replace sets fields of a struct by their names in JSON.
func replace(target any, fields map[string]any) error {
	for name, v := range fields {
		raw, err := json.Marshal(map[string]any{name: v})
		if err != nil {
			return fmt.Errorf("%s is %v: %w", name, v, err)
		}
		if err := json.Unmarshal(raw, target); err != nil {
			return fmt.Errorf("%s is %v, which is not what it can be: %w", name, v, err)
		}
	}
	return nil
}

// String says the protocol in a line.
func (c Config) String() string {
	text := fmt.Sprintf("%s of batch %d, %d channels, %d cells, %s", count(c.Epochs, "epoch", "epochs"), c.Batch, c.Channels, c.Cells, c.Optimiser)
	if c.Batches > 0 {
		text += fmt.Sprintf(", REDUCED to %s an epoch", count(c.Batches, "batch", "batches"))
	}
	return text
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
