package starlark

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	lib "go.starlark.net/starlark"
)

// A loaded file keeps its names, frozen. It runs once; again when its text, or that of a
// file that it loads, has changed.
type loaded struct {
	path   string // of the file; in a frozen function its name
	name   string // as tracebacks have it: from the notebook's folder
	sha256 string
	env    lib.StringDict // its globals, on the builtins
	names  lib.StringDict // those that can be loaded
	needs  []*loaded      // what it loaded when it ran
}

// A request is a path as a load statement has it.
type request struct {
	from *loaded // the file of the statement, nil for a cell
	path string
}

// LoadedFiles are the SHA-256 digests of the files that cells have loaded, by path seen from the
// notebook's folder.
func (c *Call) LoadedFiles() map[string]string { return c.in.loadedFiles() }

func (in *Interpreter) loadedFiles() map[string]string {
	digests := map[string]string{}
	for _, f := range in.loads {
		digests[f.name] = f.sha256
	}
	return digests
}

// loadError is an error in a loaded file, on its way through the load statement.
type loadError struct{ err error }

func (e *loadError) Error() string { return e.err.Error() }
func (e *loadError) Unwrap() error { return e.err }

// load is load("file.star", "name", ...): the names that a file defines.
func (r *run) load(th *lib.Thread, given string, names lib.Tuple) (lib.Value, error) {
	f, err := r.loadFile(th, request{r.in.caller(th), given})
	if err != nil {
		return nil, err
	}
	var out lib.Tuple
	for _, want := range names {
		v, err := r.in.loadedName(f, given, str(want))
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// caller is the file whose load statement runs, nil if it is in a cell.
func (in *Interpreter) caller(th *lib.Thread) *loaded {
	return in.fileAt(th.CallFrame(1).Pos.Filename())
}

// fileAt is the file to which a position belongs, nil for a cell.
func (in *Interpreter) fileAt(source string) *loaded {
	if src := in.sources[source]; src != nil {
		return src.file
	}
	return nil
}

// loadedName is what a load statement binds.
func (in *Interpreter) loadedName(f *loaded, given, want string) (lib.Value, error) {
	if v := f.names[want]; v != nil {
		return v, nil
	}
	// Functions that are taken along use those of their own file through load statements.
	if v := f.env[want]; v != nil && in.taken != nil {
		return v, nil
	}
	allowed := f.names.Keys()
	has := given + " has " + strings.Join(allowed, ", ")
	if len(allowed) == 0 {
		has = given + " has nothing to load"
	}
	if strings.HasPrefix(want, "_") {
		return nil, Named("ImportError", fmt.Errorf("load: %s starts with _, and such names stay in their file; %s", want, has))
	}
	return nil, Named("ImportError", fmt.Errorf("load: %s defines no '%s'; %s%s", given, want, didYouMean(want, allowed), has))
}

// loadFile gives a file as it is now: as it ran before, if nothing has changed.
func (r *run) loadFile(th *lib.Thread, asked request) (*loaded, error) {
	in := r.in
	path := in.loadPath(asked)
	if i := slices.IndexFunc(in.loading, func(f *loaded) bool { return f.path == path }); i >= 0 {
		return nil, circle(in.loading[i:])
	}
	text, err := in.read(path, asked)
	if err != nil {
		return nil, err
	}
	f := in.loads[path]
	if f == nil || f.sha256 != digest(text) || !in.fresh(f, map[*loaded]bool{}) {
		f = &loaded{path: path, name: in.loadName(asked, path), sha256: digest(text)}
		if err := r.runLoaded(th, f, text); err != nil {
			return nil, &loadError{err}
		}
		in.loads[path] = f
	}
	// What a function loads later has no part in what its file defined.
	if from := asked.from; slices.Contains(in.loading, from) && !slices.Contains(from.needs, f) {
		from.needs = append(from.needs, f)
	}
	return f, nil
}

// circle says which files load one another.
func circle(files []*loaded) error {
	if len(files) == 1 {
		return Named("ImportError", fmt.Errorf("load: %s loads itself", files[0].name))
	}
	var chain strings.Builder
	for _, f := range files[1:] {
		chain.WriteString(" loads " + f.name + ", which")
	}
	return Named("ImportError", fmt.Errorf("load: %s%s loads %[1]s: files cannot load each other in a circle", files[0].name, chain.String()))
}

// fresh says whether the files that a file loads are as they were when it ran. known keeps the
// answers of one check, in which many files may load the same one.
func (in *Interpreter) fresh(f *loaded, known map[*loaded]bool) bool {
	for _, need := range f.needs {
		is, ok := known[need]
		if !ok {
			text, err := in.read(need.path, request{path: need.path})
			is = err == nil && in.loads[need.path] == need && digest(text) == need.sha256 && in.fresh(need, known)
			known[need] = is
		}
		if !is {
			return false
		}
	}
	return true
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// loadPath is where a path leads: from the notebook's folder, in a file from that file's.
func (in *Interpreter) loadPath(asked request) string {
	if in.taken != nil {
		return asked.path
	}
	folder := in.dir
	if asked.from != nil {
		folder = filepath.Dir(asked.from.path)
	}
	return filepath.Clean(within(folder, asked.path))
}

// loadName is what a file is called. A path from the root stays only where the notebook or a file
// has it so: jobs are known by these names, also on other machines.
func (in *Interpreter) loadName(asked request, full string) string {
	if in.taken != nil {
		return asked.path
	}
	if rel, err := filepath.Rel(in.dir, full); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	switch {
	case filepath.IsAbs(filepath.FromSlash(asked.path)):
		return filepath.ToSlash(full)
	case asked.from != nil:
		return path.Join(path.Dir(asked.from.name), asked.path)
	}
	return path.Clean(asked.path)
}

// within is a path, with slashes as cells write it, seen from a folder.
func within(dir, path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// runLoaded runs a file in globals of its own, on the builtins, and freezes them.
func (r *run) runLoaded(th *lib.Thread, f *loaded, text string) error {
	in := r.in
	in.loading = append(in.loading, f)
	defer func() { in.loading = in.loading[:len(in.loading)-1] }()
	f.env, f.names = lib.StringDict{}, lib.StringDict{}
	for k, v := range in.base {
		f.env[k] = v
	}
	for _, part := range []string{in.taken[f.path].Values, text} {
		if err := r.runPart(th, f, part); err != nil {
			return err
		}
	}
	for k, v := range f.env {
		if in.base[k] == v || k == globalsName {
			continue
		}
		v.Freeze()
		if !strings.HasPrefix(k, "_") {
			f.names[k] = v
		}
	}
	return nil
}

// runPart runs a text as one of a file. Its steps are the load statement's.
func (r *run) runPart(th *lib.Thread, f *loaded, text string) error {
	if text == "" {
		return nil
	}
	in := r.in
	// Functions of an earlier run of the file may be in use: they keep their text.
	in.runs++
	src := newSource(fmt.Sprintf("%s (%d)", f.path, in.runs), text)
	src.file = f
	in.sources[src.name] = src
	sub := &run{in: in, ctx: r.ctx, cell: r.cell, before: r.steps(th), counted: r.counted}
	_, err := in.runIn(sub, src, f.env)
	r.before += sub.before - r.steps(th)
	return err
}

// readFile reads a file that is to be loaded.
func readFile(path string, asked request) (string, error) {
	fail := func(name, format string, args ...any) (string, error) {
		return "", Named(name, fmt.Errorf("load: %s %s", asked, fmt.Sprintf(format, args...)))
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail("FileNotFoundError", "is no file; %s", asked.others(filepath.Dir(path)))
	case err != nil:
		return fail("OSError", "cannot be read: %v", pathless(err))
	case info.IsDir():
		return fail("IsADirectoryError", "is a folder: name a file in it; %s", request{asked.from, asked.path + "/"}.others(path))
	case !info.Mode().IsRegular():
		return fail("OSError", "is a device or a pipe: only files can be loaded")
	case info.Size() > maxCode:
		return fail("ValueError", "has %d bytes: at most %d are allowed", info.Size(), maxCode)
	}
	text, err := readRegular(path)
	switch {
	case err != nil:
		return fail("OSError", "cannot be read: %v", pathless(err))
	case len(text) > maxCode: // it grew
		return fail("ValueError", "has more than %d bytes, which are allowed", maxCode)
	}
	if at := invalidUTF8(text); at >= 0 {
		return fail("UnicodeDecodeError", "is not UTF-8: byte 0x%02x in line %d; save it as UTF-8", text[at], strings.Count(text[:at], "\n")+1)
	}
	return text, nil
}

func (q request) String() string {
	if q.path == "" {
		return `""`
	}
	return q.path
}

// others says what could have been asked for in a folder.
func (q request) others(dir string) string {
	where := "beside the notebook"
	if q.from != nil {
		where = "beside " + q.from.name
	}
	folder := q.path[:strings.LastIndexByte(q.path, '/')+1]
	if folder != "" {
		where = "in " + folder
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "there is no folder " + folder
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".star") {
			names = append(names, folder+e.Name())
		}
	}
	if len(names) == 0 {
		return "there are no .star files " + where
	}
	const most = 20
	more := ""
	if n := len(names) - most; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("%s%s there are %s%s", didYouMean(q.path, names), where, strings.Join(names[:min(most, len(names))], ", "), more)
}

// pathless is an error of the file system without the path, which the caller names.
func pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func readRegular(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCode+1))
	return string(text), err
}

// invalidUTF8 is the place of the first byte that is not UTF-8, -1 if there is none.
func invalidUTF8(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}
