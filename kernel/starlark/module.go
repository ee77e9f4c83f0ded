package starlark

import (
	"errors"
	"evalnas/nasapi/nearest"
	"fmt"
	"sort"
	"strings"

	starmath "go.starlark.net/lib/math"
	lib "go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// addModules defines what import finds. The commands are a module too, so
// that `import evalnas as en` and `from evalnas import search` mean something.
// There is no clock and no random module: cells are deterministic.
func (in *Interpreter) addModules(commands []*Command) {
	own := lib.StringDict{}
	for _, cmd := range commands {
		own[cmd.Name] = in.env[cmd.Name]
	}
	in.modules = map[string]lib.Value{
		"math":    starmath.Module,
		"json":    jsonModule(),
		"evalnas": &starlarkstruct.Module{Name: "evalnas", Members: own},
	}
	in.env["math"], in.env["json"] = starmath.Module, in.modules["json"]
}

// importModules is `import a, b`: one value, or a tuple of them.
func (in *Interpreter) importModules(names lib.Tuple) (lib.Value, error) {
	var out lib.Tuple
	for _, name := range names {
		m, err := in.module(str(name))
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// importNames is `from a import b, c`.
func (in *Interpreter) importNames(args lib.Tuple) (lib.Value, error) {
	m, err := in.module(str(args[0]))
	if err != nil {
		return nil, err
	}
	var out lib.Tuple
	for _, name := range args[1:] {
		v, err := attr(m, str(name))
		if err != nil {
			allowed := m.(lib.HasAttrs).AttrNames()
			return nil, Named("ImportError", fmt.Errorf("cannot import '%s' from %s; %sit has %s",
				str(name), str(args[0]), didYouMean(str(name), allowed), strings.Join(allowed, ", ")))
		}
		out = append(out, v)
	}
	return out, nil
}

func didYouMean(given string, allowed []string) string {
	if near := nearest.Name(given, allowed); near != "" {
		return "did you mean '" + near + "'? "
	}
	return ""
}

func (in *Interpreter) module(name string) (lib.Value, error) {
	if m := in.modules[name]; m != nil {
		return m, nil
	}
	msg := fmt.Sprintf("no module named '%s': cells are Starlark, which has math and json", name)
	if hint := absentModules[strings.SplitN(name, ".", 2)[0]]; hint != "" {
		msg += "; " + hint
	} else {
		msg += fmt.Sprintf("; code of one's own is read by load(\"%s.star\", \"name\")", name)
	}
	return nil, Named("ModuleNotFoundError", errors.New(msg))
}

// sortedKeys lists a map's keys in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
