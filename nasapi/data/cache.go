package data

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"evalnas/nasapi/nearest"
)

// FolderVariable names the environment variable that moves the data folder.
const FolderVariable = "EVALNAS_DATA"

// Cache is the data folder. A set is the file DIGEST.images in it, written once;
// names/NAME holds the digest that a name means. The zero value is not usable:
// see OpenCache.
type Cache struct{ Dir string }

// OpenCache finds the data folder: $EVALNAS_DATA, else evalnas/data in the
// user's cache folder. It makes nothing.
func OpenCache() (Cache, error) {
	dir := os.Getenv(FolderVariable)
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return Cache{}, fmt.Errorf("finding the data folder: %w; set %s to a folder", err, FolderVariable)
		}
		dir = filepath.Join(base, "evalnas", "data")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Cache{}, fmt.Errorf("finding the data folder %s: %w", dir, err)
	}
	return Cache{abs}, nil
}

const fileSuffix = ".images"

func (c Cache) file(digest string) string { return filepath.Join(c.Dir, digest+fileSuffix) }
func (c Cache) nameFile(name string) string {
	return filepath.Join(c.Dir, "names", name)
}

// Entry is what is known of a set in the data folder without reading its images.
type Entry struct {
	Name string `json:"name"`
	Shape
	Digest     string    `json:"digest"`
	ClassNames []string  `json:"class_names,omitempty"`
	Mean       []float64 `json:"mean"`
	Std        []float64 `json:"std"`
	Synthetic  bool      `json:"synthetic"`
	Source     string    `json:"source"`
	Path       string    `json:"path"`
	Bytes      int64     `json:"bytes"`
	// Problem says why the set cannot be used, "" where nothing is known.
	Problem string `json:"problem,omitempty"`

	made *SyntheticSpec // what a synthetic set was made from
}

// Spec is what goes into a job's configuration.
func (e Entry) Spec() Spec { return Spec{Name: e.Name, Digest: e.Digest, Synthetic: e.made} }

// Set is a set of the entry's shape and statistics without images: enough to choose a
// protocol by.
func (e Entry) Set() *Set {
	return &Set{Name: e.Name, Shape: e.Shape, Digest: e.Digest, Mean: e.Mean, Std: e.Std, Synthetic: e.Synthetic, Source: e.Source, ClassNames: e.ClassNames, made: e.made}
}

// MissingError says that a set is not in the data folder, and how to get it.
type MissingError struct {
	Spec   Spec
	Folder string
	Names  []string // of the sets that are there
}

func (e *MissingError) Error() string {
	text := fmt.Sprintf("the data set %q", e.Spec.Name)
	if e.Spec.Digest != "" {
		text += " with the digest " + e.Spec.Digest
	}
	text += " is not in the data folder " + e.Folder
	if _, ok := known[e.Spec.Name]; ok {
		return text + fmt.Sprintf("; get it with `evalnas data fetch %s`, or with `evalnas data import PATH` if you have its files; %s names another data folder", e.Spec.Name, FolderVariable)
	}
	if len(e.Names) == 0 {
		text += ", which has none"
	} else {
		text += ", which has " + strings.Join(e.Names, ", ")
	}
	choice := slices.Concat(e.Names, knownNames())
	if near := nearest.Name(e.Spec.Name, choice); near != "" && e.Spec.Digest == "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return text + fmt.Sprintf(" Import it with `evalnas data import PATH --name %s`, or fetch one of %s; %s names another data folder", e.Spec.Name, strings.Join(knownNames(), ", "), FolderVariable)
}

func knownNames() []string {
	var names []string
	for _, k := range KnownSets() {
		names = append(names, k.Name)
	}
	return names
}

// DamageError says what of a file was altered or cut short.
type DamageError struct {
	Path string
	What string // "train image 17 has the digest ..., expected ..."
	Fix  string
}

func (e *DamageError) Error() string {
	text := fmt.Sprintf("%s is damaged: %s", e.Path, e.What)
	if e.Fix != "" {
		text += "; " + e.Fix
	}
	return text
}

// Resolve finds a set without reading its images.
func (c Cache) Resolve(s Spec) (Entry, error) {
	if err := s.Validate(); err != nil {
		return Entry{}, err
	}
	if s.isSynthetic() {
		return resolveSynthetic(s)
	}
	asked := s
	if s.Digest == "" {
		var err error
		if s.Digest, err = c.meaning(s.Name); err != nil {
			return Entry{}, err
		}
	}
	if s.Digest == "" {
		return Entry{}, c.missing(asked)
	}
	path := c.file(s.Digest)
	h, size, err := readHeaderFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, c.missing(asked)
	}
	if err != nil {
		return Entry{}, err
	}
	if h.Digest != s.Digest {
		return Entry{}, &DamageError{Path: path, What: "it holds the set " + h.Digest, Fix: removeFix}
	}
	h.Name = s.Name
	return h.entry(path, size), nil
}

// meaning is the digest that a name stands for, "" where there is none. Public
// sets keep their names.
func (c Cache) meaning(name string) (string, error) {
	if k, ok := known[name]; ok && k.Digest != "" {
		return k.Digest, nil
	}
	text, err := os.ReadFile(c.nameFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("finding the data set %q: %w", name, err)
	}
	digest := strings.TrimSpace(string(text))
	if err := checkDigest(digest); err != nil {
		return "", &DamageError{Path: c.nameFile(name), What: err.Error(), Fix: removeFix}
	}
	return digest, nil
}

func (c Cache) missing(s Spec) error {
	e := &MissingError{Spec: s, Folder: c.Dir}
	// The list is an aid; that the set is missing is the error.
	if all, err := c.List(); err == nil {
		for _, one := range all {
			e.Names = append(e.Names, one.Name)
		}
	}
	return e
}

// Open reads a set and verifies every image, or makes it where it is synthetic.
func (c Cache) Open(ctx context.Context, s Spec) (*Set, error) {
	if s.isSynthetic() {
		return openSynthetic(s)
	}
	e, err := c.Resolve(s)
	if err != nil {
		return nil, err
	}
	set, err := readSetFile(ctx, e.Path)
	if err != nil {
		return nil, err
	}
	if set.Digest != e.Digest {
		return nil, &DamageError{Path: e.Path, What: "it holds the set " + set.Digest, Fix: removeFix}
	}
	set.Name = e.Name
	return set, nil
}

// List says which sets are there, by name. Files that cannot be read are among
// them, with their Problem.
func (c Cache) List() ([]Entry, error) {
	files, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the data folder: %w", err)
	}
	names, all, err := c.names()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		digest, ok := strings.CutSuffix(f.Name(), fileSuffix)
		if !ok || checkDigest(digest) != nil {
			continue
		}
		all = append(all, c.entries(digest, names[digest])...)
	}
	slices.SortFunc(all, func(a, b Entry) int {
		if d := strings.Compare(a.Name, b.Name); d != 0 {
			return d
		}
		return strings.Compare(a.Digest, b.Digest)
	})
	return all, nil
}

// entries are those of one file, one for each of its names.
func (c Cache) entries(digest string, names []string) []Entry {
	path := c.file(digest)
	h, size, err := readHeaderFile(path)
	if err == nil && h.Digest != digest {
		err = &DamageError{Path: path, What: "it holds the set " + h.Digest, Fix: removeFix}
	}
	e := Entry{Digest: digest, Path: path, Bytes: size}
	if err != nil {
		e.Problem = err.Error()
	} else {
		e = h.entry(path, size)
	}
	if len(names) == 0 {
		// No name means it any more; jobs still find it by its digest.
		return []Entry{e}
	}
	var all []Entry
	for _, n := range names {
		e.Name = n
		all = append(all, e)
	}
	return all
}

// names are the names of each digest, and entries for names that mean nothing.
func (c Cache) names() (all map[string][]string, bad []Entry, err error) {
	files, err := os.ReadDir(filepath.Join(c.Dir, "names"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("listing the data folder: %w", err)
	}
	all = map[string][]string{}
	for _, f := range files {
		if checkName(f.Name()) != nil {
			continue
		}
		digest, err := c.meaning(f.Name())
		if err != nil {
			bad = append(bad, Entry{Name: f.Name(), Path: c.nameFile(f.Name()), Problem: err.Error()})
			continue
		}
		all[digest] = append(all[digest], f.Name())
	}
	return all, bad, nil
}

// Store writes a sealed set, reads it back to verify it, and lets its name mean
// it. A file that is there and whole is left as it is.
func (c Cache) Store(ctx context.Context, s *Set) (Entry, error) {
	if err := checkName(s.Name); err != nil {
		return Entry{}, err
	}
	path := c.file(s.Digest)
	if _, err := readSetFile(ctx, path); err != nil {
		if ctx.Err() != nil {
			return Entry{}, ctx.Err()
		}
		if err := writeAtomic(path, func(f *os.File) error { return writeSet(ctx, f, s) }, func(temp string) error {
			_, err := readSetFile(ctx, temp)
			return err
		}); err != nil {
			return Entry{}, err
		}
	}
	err := writeAtomic(c.nameFile(s.Name), func(f *os.File) error {
		_, err := f.WriteString(s.Digest + "\n")
		return err
	}, nil)
	if err != nil {
		return Entry{}, err
	}
	return c.Resolve(s.Spec())
}

// writeAtomic makes a file appear whole or not at all. What check refuses does
// not appear.
func writeAtomic(path string, write func(*os.File) error, check func(temp string) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return writeError(path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return writeError(path, err)
	}
	defer os.Remove(f.Name()) // nothing is there after the rename
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && check != nil {
		err = check(f.Name())
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return writeError(path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename last. Windows has no such call and needs none.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return writeError(dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EINVAL) {
		return writeError(dir, err)
	}
	return nil
}

func writeError(path string, err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("writing %s: %w; free some space or set %s to a folder on another disk", path, err, FolderVariable)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("writing %s: %w; set %s to a folder that may be written to", path, err, FolderVariable)
	}
	return fmt.Errorf("writing %s: %w", path, err)
}

// header is what a file of images begins with, as JSON.
type header struct {
	Name string `json:"name"`
	Shape
	Digest     string    `json:"digest"`
	ClassNames []string  `json:"class_names,omitempty"`
	Mean       []float64 `json:"mean"`
	Std        []float64 `json:"std"`
	Synthetic  bool      `json:"synthetic,omitempty"`
	Source     string    `json:"source"`
}

func (h header) entry(path string, size int64) Entry {
	return Entry{
		Name: h.Name, Shape: h.Shape, Digest: h.Digest, ClassNames: h.ClassNames, Mean: h.Mean, Std: h.Std,
		Synthetic: h.Synthetic, Source: h.Source, Path: path, Bytes: size,
	}
}

func (h header) validate() error {
	if err := checkName(h.Name); err != nil {
		return err
	}
	if err := h.Shape.Validate(); err != nil {
		return err
	}
	if len(h.Mean) != h.C || len(h.Std) != h.C {
		return fmt.Errorf("%d means and %d deviations for %d channels", len(h.Mean), len(h.Std), h.C)
	}
	if h.ClassNames != nil && len(h.ClassNames) != h.Classes {
		return fmt.Errorf("%d names for %d classes", len(h.ClassNames), h.Classes)
	}
	return checkDigest(h.Digest)
}

func (s *Set) header() ([]byte, error) {
	return json.Marshal(header{
		Name: s.Name, Shape: s.Shape, Digest: s.Digest, ClassNames: s.ClassNames, Mean: s.Mean, Std: s.Std,
		Synthetic: s.Synthetic, Source: s.Source,
	})
}
