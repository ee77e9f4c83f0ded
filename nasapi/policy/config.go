package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Config holds the keywords of a policy by name. Values are int, float64, bool
// or string after Info.Complete, so that encoding/json writes a completed
// Config in one way only: keys in ascending order, every keyword present.
type Config map[string]any

// Param is one keyword of a policy.
type Param struct {
	Name string
	// Default is an int, float64, bool or string; its type is the keyword's.
	Default any
	// Min and Max bound a number, both included. A Max of 0 together with a
	// Min of 0 means no bound at all.
	Min, Max float64
	// Options lists what a string may be.
	Options []string
	Doc     string
}

// Complete returns cfg with the default of every keyword that it leaves out.
// An unknown keyword, a value of another type and a value out of range are
// errors; an integral float64, as JSON gives, is accepted for an integer.
func (i *Info) Complete(cfg Config) (Config, error) {
	if i.own {
		return i.completeOwn(cfg)
	}
	if err := i.checkNames(cfg); err != nil {
		return nil, err
	}
	out := make(Config, len(i.Params))
	for _, p := range i.Params {
		v, given := cfg[p.Name]
		if !given {
			v = p.Default
		}
		c, err := p.convert(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", i.Name, err)
		}
		out[p.Name] = c
	}
	if i.check == nil {
		return out, nil
	}
	if err := i.check(out); err != nil {
		return nil, fmt.Errorf("%s: %w", i.Name, err)
	}
	return out, nil
}

// maxOwn bounds the keywords of a policy that is not this package's.
const maxOwn = 1000

// completeOwn takes keywords as they are, if they are of the types that a Config has.
func (i *Info) completeOwn(cfg Config) (Config, error) {
	if len(cfg) > maxOwn {
		return nil, fmt.Errorf("%s: %d keywords: at most %d are allowed", i.Name, len(cfg), maxOwn)
	}
	for name, v := range cfg {
		switch v := v.(type) {
		case int, bool, string:
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("%s: %s is %v: give a finite number", i.Name, name, v)
			}
		default:
			return nil, fmt.Errorf("%s: %s is %v: keywords are numbers, texts, True or False", i.Name, name, v)
		}
	}
	if cfg == nil {
		return Config{}, nil
	}
	return maps.Clone(cfg), nil
}

// checkNames refuses keywords that the policy does not have, the first in
// alphabetical order so that the message does not depend on map order.
func (i *Info) checkNames(cfg Config) error {
	var names []string
	for _, p := range i.Params {
		names = append(names, p.Name)
	}
	for _, k := range slices.Sorted(maps.Keys(cfg)) {
		if slices.Contains(names, k) {
			continue
		}
		if len(names) == 0 {
			return fmt.Errorf("%s: unknown keyword %q; %s takes no keywords", i.Name, k, i.Name)
		}
		return fmt.Errorf("%s: unknown keyword %q%s; allowed: %s", i.Name, k, didYouMean(k, names), strings.Join(names, ", "))
	}
	return nil
}

func (p *Param) convert(v any) (any, error) {
	switch p.Default.(type) {
	case int:
		return p.integer(v)
	case float64:
		return p.number(v)
	case bool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, fmt.Errorf("%s must be true or false, not %s", p.Name, show(v))
	}
	s, ok := v.(string)
	if !ok || !slices.Contains(p.Options, s) {
		return nil, fmt.Errorf("%s must be one of %s, not %s%s", p.Name, strings.Join(p.Options, ", "), show(v), didYouMean(s, p.Options))
	}
	return s, nil
}

func (p *Param) integer(v any) (any, error) {
	f, ok := toFloat(v)
	if !ok || f != math.Trunc(f) || !p.inRange(f) {
		return nil, fmt.Errorf("%s must be an integer%s, not %s", p.Name, p.bounds(), show(v))
	}
	return int(f), nil
}

func (p *Param) number(v any) (any, error) {
	f, ok := toFloat(v)
	if !ok || !p.inRange(f) {
		return nil, fmt.Errorf("%s must be a number%s, not %s", p.Name, p.bounds(), show(v))
	}
	if f == 0 {
		f = 0 // -0 marshals as "-0" and would make a second form of one value
	}
	return f, nil
}

func (p *Param) unbounded() bool { return p.Min == 0 && p.Max == 0 }

func (p *Param) inRange(f float64) bool {
	return p.unbounded() || p.Min <= f && f <= p.Max
}

func (p *Param) bounds() string {
	if p.unbounded() {
		return ""
	}
	return fmt.Sprintf(" from %s to %s", formatFloat(p.Min), formatFloat(p.Max))
}

// formatFloat writes bounds the way a person would: 1000000 rather than 1e+06.
func formatFloat(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// maxExact bounds the integers that float64 holds exactly.
const maxExact = 1 << 53

// toFloat accepts the number types that Go callers, JSON and Starlark give.
// It is false for what is no finite number or would lose digits.
func toFloat(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return exact(int64(n))
	case int64:
		return exact(n)
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}

func exact(n int64) (float64, bool) {
	return float64(n), n >= -maxExact && n <= maxExact
}

func show(v any) string {
	switch x := v.(type) {
	case nil:
		return "None"
	case string:
		return strconv.Quote(x)
	case int, int64, float64, bool, json.Number:
		return fmt.Sprint(x)
	}
	return fmt.Sprintf("a value of type %T", v)
}

// Values of a completed Config. A missing or mistyped key is a mistake of this
// package and not of its user, hence the panic of the plain assertion.

func (c Config) integer(name string) int    { return c[name].(int) }
func (c Config) number(name string) float64 { return c[name].(float64) }
func (c Config) text(name string) string    { return c[name].(string) }
func (c Config) truth(name string) bool     { return c[name].(bool) }
