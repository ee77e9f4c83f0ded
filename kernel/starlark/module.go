package starlark

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"evalnas/nasapi/nearest"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"

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

// A loaded file keeps its names. It runs once; again when its text changes, or
// that of a file that it loads.
type loaded struct {
	name    string // as it was asked for
	path    string
	text    string
	names   lib.StringDict
	uses    []string // the paths of the files that it loads
	running bool
	by      *loaded // while it runs: the file that loads it, nil for a cell
}

// maxLoaded bounds a loaded file.
const maxLoaded = 4 << 20

// load is load("file.star", "name", ...): the names that a file defines.
func (r *run) load(args lib.Tuple) (lib.Value, error) {
	name := str(args[0])
	f, err := r.loadFile(name)
	if err != nil {
		return nil, err
	}
	var out lib.Tuple
	for _, want := range args[1:] {
		v := f.names[str(want)]
		if v == nil {
			allowed := f.names.Keys()
			return nil, Named("ImportError", fmt.Errorf("load: %s defines no '%s'; %sit has %s",
				name, str(want), didYouMean(str(want), allowed), strings.Join(allowed, ", ")))
		}
		out = append(out, v)
	}
	return out, nil
}

// loadFile runs a file, named from the folder of the file that loads it, or
// from the notebook's.
func (r *run) loadFile(name string) (*loaded, error) {
	in := r.in
	folder := in.dir
	if r.file != nil {
		folder = filepath.Dir(r.file.path)
	}
	path := filepath.Clean(within(folder, name))
	if r.file != nil {
		r.file.uses = append(r.file.uses, path)
	}
	text, err := readSource(name, path)
	if err != nil {
		return nil, err
	}
	old := in.loads[path]
	if old != nil && old.running {
		return nil, Named("ImportError", fmt.Errorf("load: %s loads itself, directly or through another file: %s", name, strings.Join(append(r.file.chain(), name), " loads ")))
	}
	if old != nil && old.text == text && in.fresh(old) {
		return old, nil
	}
	f := &loaded{name: name, path: path, text: text, running: true, by: r.file}
	in.loads[path] = f
	f.names, err = r.runFile(f)
	f.running, f.by = false, nil
	if err != nil {
		delete(in.loads, path)
		return nil, err
	}
	f.names.Freeze()
	return f, nil
}

func readSource(name, path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", Named("FileNotFoundError", fmt.Errorf("load: %w", err))
	case !info.Mode().IsRegular():
		return "", Named("ImportError", fmt.Errorf("load: %s is no file: give the path of a .star file", name))
	case info.Size() > maxLoaded:
		return "", Named("ImportError", fmt.Errorf("load: %s has %d bytes; at most %d are read", name, info.Size(), maxLoaded))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", Named("ImportError", fmt.Errorf("load: %w", err))
	}
	if !utf8.Valid(text) {
		return "", Named("ImportError", fmt.Errorf("load: %s is not a text in UTF-8", name))
	}
	return string(text), nil
}

// fresh says whether the files that a file loads are as they were.
func (in *Interpreter) fresh(f *loaded) bool {
	for _, path := range f.uses {
		used := in.loads[path]
		if used == nil || used.running {
			return false
		}
		if text, err := readSource(path, path); err != nil || text != used.text || !in.fresh(used) {
			return false
		}
	}
	return true
}

// chain names the files that are being loaded, the outermost first; none for a cell.
func (f *loaded) chain() []string {
	if f == nil {
		return nil
	}
	return append(f.by.chain(), f.name)
}

// within is a path, with slashes as cells write it, seen from a folder.
func within(dir, path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// LoadedFiles are the SHA-256 digests of the files that cells have loaded, by path seen from the
// notebook's folder.
func (c *Call) LoadedFiles() map[string]string { return c.in.loadedFiles() }

func (in *Interpreter) loadedFiles() map[string]string {
	digests := map[string]string{}
	for path, f := range in.loads {
		if rel, err := filepath.Rel(in.dir, path); err == nil {
			path = rel
		}
		sum := sha256.Sum256([]byte(f.text))
		digests[filepath.ToSlash(path)] = hex.EncodeToString(sum[:])
	}
	return digests
}

// runFile runs a loaded file in globals of its own, on the builtins.
func (r *run) runFile(f *loaded) (lib.StringDict, error) {
	src := newSource(f.name, f.text)
	r.in.sources[f.name] = src
	sub := &run{in: r.in, ctx: r.ctx, cell: r.cell, file: f}
	env := lib.StringDict{}
	for k, v := range r.in.base {
		env[k] = v
	}
	if _, err := r.in.runIn(sub, src, env); err != nil {
		return nil, err
	}
	names := lib.StringDict{}
	for k, v := range env {
		if r.in.base[k] != v && !strings.HasPrefix(k, "_") && k != globalsName {
			names[k] = v
		}
	}
	return names, nil
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
