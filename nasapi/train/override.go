package train

import (
	"encoding/json"
	"errors"
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

// Overriding replaces numbers of a protocol by name.
type Overriding struct {
	Protocol any // a pointer to the protocol's struct
	Augment  *data.Augment
	Split    *data.Split
	Hidden   []string // fields that are no number of it
}

// Keywords lists the names, in alphabetical order.
func (o Overriding) Keywords() []string {
	names := append(slices.Clone(augmentKeywords), "split", "valid")
	for f := range reflect.TypeOf(o.Protocol).Elem().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); !slices.Contains(o.Hidden, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Apply replaces numbers: by their names in JSON, those of Augment among them, split as
// "development" (a tenth is held back), "nasbench", "search" or "whole", and valid as the
// number of images that are held back. Values are bool, int, float64 or string.
func (o Overriding) Apply(values map[string]any) error {
	known := o.Keywords()
	fields, augment := map[string]any{}, map[string]any{}
	for name, v := range values {
		if !slices.Contains(known, name) {
			near := nearest.Name(name, known)
			if near != "" {
				near = fmt.Sprintf(" (did you mean %q?)", near)
			}
			return fmt.Errorf("a protocol has no %q%s; it has %s", name, near, strings.Join(known, ", "))
		}
		switch name {
		case "pad", "flip", "cutout":
			augment[name] = v
		case "split":
			text, _ := v.(string)
			split := splits[text]
			if split == nil {
				return fmt.Errorf("split is %v; give \"development\", \"nasbench\", \"search\" or \"whole\"", v)
			}
			*o.Split = split()
		case "valid":
		default:
			fields[name] = v
		}
	}
	if v, given := values["valid"]; given {
		n, ok := v.(int)
		if !ok || n < 0 {
			return fmt.Errorf("valid is %v; give the number of images that are held back, 0 or more", v)
		}
		o.Split.TrainN, o.Split.ValidN, o.Split.Share = 0, n, 0
	}
	if err := replace(o.Protocol, fields); err != nil {
		return err
	}
	return replace(o.Augment, augment)
}

func (c *Config) overriding() Overriding { return Overriding{c, &c.Augment, &c.Split, hidden} }

// Keywords lists what Override takes, in alphabetical order.
func Keywords() []string { return new(Config).overriding().Keywords() }

// Override is c with numbers of its protocol replaced, as Overriding does it. The result
// is not validated.
func (c Config) Override(values map[string]any) (Config, error) {
	changed := c
	if err := changed.overriding().Apply(values); err != nil {
		return c, err
	}
	return changed, nil
}

// replace sets fields of a struct by their names in JSON.
func replace(target any, fields map[string]any) error {
	for name, v := range fields {
		raw, err := json.Marshal(map[string]any{name: v})
		if err != nil { // JSON has no NaN
			return fmt.Errorf("%s is %v; give a finite number", name, v)
		}
		if err := json.Unmarshal(raw, target); err != nil {
			return fmt.Errorf("%s is %v: %w", name, v, wrongKind(err))
		}
	}
	return nil
}

// wrongKind says in words what a number of a protocol can be.
func wrongKind(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	switch wrong.Type.Kind() {
	case reflect.Int, reflect.Int64:
		return errors.New("give a whole number")
	case reflect.Float64, reflect.Float32:
		return errors.New("give a number")
	case reflect.Bool:
		return errors.New("give True or False")
	}
	return fmt.Errorf("give a %s", wrong.Type)
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
