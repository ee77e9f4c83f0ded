package commands

import (
	"encoding/json"
	"fmt"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi/space"
	"evalnas/plotting"
)

// knownCount is None where nothing could be counted.
func knownCount(n int64) lib.Value {
	if n == 0 {
		return lib.None
	}
	return lib.MakeInt64(n)
}

// countText is empty where nothing could be counted.
func countText(n int64) string {
	if n == 0 {
		return ""
	}
	return count(n)
}

// choiceValues is the dict of a space of choices' architecture; nil for others.
func (a *archValue) choiceValues() (lib.Value, error) {
	c, ok := a.found.Arch.(*space.ChoiceArch)
	if !ok {
		return nil, nil
	}
	d := lib.NewDict(0)
	for _, v := range c.Values() {
		value, err := toValue(json.RawMessage(v.Option))
		if err != nil {
			return nil, err
		}
		setKey(d, v.Name, value)
	}
	return d, nil
}

// choiceBundle shows an architecture of choices as a table of them.
func choiceBundle(a *space.ChoiceArch) *kernel.Bundle {
	t := newTable("", column{"choice", left}, column{"value", left})
	for _, v := range a.Values() {
		t.add(v.Name, v.Option.Plain())
	}
	return t.bundle()
}

// nb201Bundle draws a cell of NAS-Bench-201. Edges without operation are left out.
func nb201Bundle(c *space.NB201Cell) (*kernel.Bundle, error) {
	d := plotting.GenotypeData{
		Title: "NAS-Bench-201 cell", Subtitle: costText(c), Inputs: []string{"input"}, Nodes: []string{"1", "2", "output"},
	}
	nodes := append(d.Inputs[:1:1], d.Nodes...)
	for _, e := range c.Edges() {
		if e.Op != "none" {
			d.Edges = append(d.Edges, plotting.GenotypeEdge{From: nodes[e.From], To: nodes[e.To], Op: e.Op})
		}
	}
	if len(d.Edges) == 0 {
		return kernel.TextBundle(c.Text()), nil
	}
	fig, err := plotting.Genotype(d)
	if err != nil {
		return nil, err
	}
	return figureBundle(fig, c.Text())
}

// choicesOf is the space of choices that a space is, or whose rows it has.
func choicesOf(s space.Space) (*space.ChoiceSpace, bool) {
	if r, ok := s.(*space.Rows); ok {
		s = r.Base()
	}
	switch s := s.(type) {
	case *space.ChoiceSpace:
		return s, true
	case *space.ListedChoices:
		return s.ChoiceSpace, true
	}
	return nil, false
}

// choicesJSON is the JSON form of a dict, or of a keyword for each choice.
func choicesJSON(name string, args lib.Tuple, kwargs []lib.Tuple) (json.RawMessage, error) {
	given := kwargs
	switch {
	case len(args) == 1 && len(kwargs) == 0:
		d, ok := args[0].(*lib.Dict)
		if !ok {
			return nil, starlark.Named("TypeError", fmt.Errorf(`%s: %s is no architecture of choices: give a dict such as {"depth": 8}, or a keyword for each choice`, name, args[0].Type()))
		}
		given = d.Items()
	case len(args) > 0:
		return nil, starlark.Named("TypeError", fmt.Errorf("%s: give one dict, or a keyword for each choice", name))
	}
	values := make(map[string]json.RawMessage, len(given))
	for _, kv := range given {
		key, ok := lib.AsString(kv[0])
		if !ok {
			return nil, starlark.Named("TypeError", fmt.Errorf("%s: the name of a choice is %s: it must be a string", name, kv[0].Type()))
		}
		o, err := optionOf(kv[1])
		if err != nil {
			return nil, fmt.Errorf("%s: the choice %q: %w", name, key, err)
		}
		values[key] = json.RawMessage(o)
	}
	return json.Marshal(values)
}

// optionOf reads a value of a choice.
func optionOf(v lib.Value) (space.Option, error) {
	switch v := v.(type) {
	case lib.Bool:
		return space.BoolOption(bool(v)), nil
	case lib.String:
		return space.StringOption(string(v))
	case lib.Int:
		return space.NumberOption(v.String())
	case lib.Float:
		return space.NumberOption(fmt.Sprintf("%g", float64(v)))
	}
	return "", starlark.Named("TypeError", fmt.Errorf("an option is %s: it must be a number, a string, True or False", v.Type()))
}

func choicesCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name:   "choices",
			Params: []starlark.Param{{Name: "options", Type: "dict", Doc: "for each name the list of its options: numbers, strings, True and False"}},
			Doc: `A space of independent choices: an architecture has one of the options under each name.

Neighbours differ in one choice, and a mutation changes one. A space of at most 20,000,000
combinations can be listed. Which networks the choices make is not known here, so nothing of
them is counted: a table guides a search (` + "`table`" + `).

    space = choices({"depth": [8, 14, 20], "width": [16, 36], "op": ["conv", "pool"]})
    space.size                                              # 12
    space.architecture(depth=8, width=16, op="conv")
    space.sample(1268).values`,
			Run: runChoices,
		},
		{
			Name: "nasbench201",
			Doc: `The NAS-Bench-201 space (the topology space of NATS-Bench): one of five operations on six edges.

Returns a space of 15,625 cells, counted as they are written; by the paper (Dong and Yang, ICLR
2020) 6,466 of them compute different functions. Parameters and multiply-adds are those of its
network on CIFAR-10. ` + "`nasbench201_table`" + ` reads accuracies.

    space = nasbench201()
    space.architecture("|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|")`,
			Run: func(*starlark.Call) (lib.Value, error) { return newSpaceValue(space.OpenNASBench201()), nil },
		},
	}
}

func runChoices(c *starlark.Call) (lib.Value, error) {
	d, ok := c.Value("options").(*lib.Dict)
	if !ok {
		return nil, named(c, "TypeError", `options is %s: give a dict such as {"depth": [8, 14, 20], "op": ["conv", "pool"]}`, c.Value("options").Type())
	}
	var picks []space.Pick
	for _, kv := range d.Items() {
		name, ok := lib.AsString(kv[0])
		if !ok {
			return nil, named(c, "TypeError", "the name of a choice is %s: it must be a string", kv[0].Type())
		}
		p := space.Pick{Name: name}
		values, err := elements(kv[1], "a list of its options")
		if err != nil {
			return nil, named(c, "TypeError", "the choice %q %w", name, err)
		}
		for _, v := range values {
			o, err := optionOf(v)
			if err != nil {
				return nil, c.Errorf("the choice %q: %w", name, err)
			}
			p.Options = append(p.Options, o)
		}
		picks = append(picks, p)
	}
	s, err := space.Choices(picks)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if of, ok := choicesOf(s); ok {
		if err := of.CheckPortable(); err != nil {
			return nil, c.Errorf("%w", err)
		}
	}
	return newSpaceValue(s), nil
}
