package child

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Limits on what a Program may be.
const (
	maxWords = 1000
	maxFiles = 1000
	// MaxSilence is the longest Silence, in seconds: a week.
	MaxSilence = 7 * 24 * 3600
)

// DefaultSilence is how long a program may say nothing unless it is told otherwise.
const DefaultSilence = 10 * time.Minute

// Program says what is started. It is part of a job's configuration.
type Program struct {
	// Words are the command: the first is a program on the PATH or a file, as in a shell
	// but without its quoting, variables and patterns.
	Words []string `json:"words"`
	// Dir is where it is started, from the study's folder and with slashes, so that a notebook
	// that is moved with its study finds its jobs again.
	Dir string `json:"dir,omitempty"`
	// Files are those among the words, and others that were named, with their digests.
	Files []File `json:"files,omitempty"`
	// Silence is how many seconds it may say nothing while something is expected of it;
	// 0 means DefaultSilence.
	Silence float64 `json:"silence,omitempty"`
}

// File is one that the program is made of.
type File struct {
	Path   string `json:"path"` // as it was given: from Dir unless absolute
	SHA256 string `json:"sha256"`
}

// Words splits a command line at blanks. Whatever a shell would treat in a way of its own is
// refused: no shell is asked.
func Words(line string) ([]string, error) {
	if i := strings.IndexAny(line, "\"'\\$`|&;<>()*?[]{}~#\n"); i >= 0 {
		return nil, fmt.Errorf("%q has the character %q, which a shell would understand in its own way, and none is asked: give the words as a list, such as [\"python\", \"train.py\", \"--name\", \"two words\"]", line, line[i])
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil, errors.New("the command is empty: give a program and its arguments, such as \"python train.py\"")
	}
	return words, nil
}

// New describes the program of words when it is started in dir by jobs of the study. The files
// among the words and those of more are read for their digests.
func New(study, dir string, words, more []string) (*Program, error) {
	if err := checkWords(words); err != nil {
		return nil, err
	}
	from, err := relative(study, dir)
	if err != nil {
		return nil, err
	}
	p := &Program{Words: slices.Clone(words), Dir: from}
	named := map[string]bool{}
	add := func(path string) error {
		if named[path] {
			return nil
		}
		named[path] = true
		sum, err := digest(within(dir, path))
		if err != nil {
			return err
		}
		p.Files = append(p.Files, File{path, sum})
		return nil
	}
	for i, w := range words {
		info, err := os.Stat(within(dir, w))
		if err != nil || !info.Mode().IsRegular() || i == 0 && !strings.ContainsRune(w, filepath.Separator) {
			continue // no file, or a program on the PATH
		}
		if err := add(w); err != nil {
			return nil, err
		}
	}
	for _, path := range more {
		if err := add(path); err != nil {
			return nil, fmt.Errorf("files: %w", err)
		}
	}
	return p, p.Check()
}

func checkWords(words []string) error {
	switch {
	case len(words) == 0 || words[0] == "":
		return errors.New("the command is empty: give a program and its arguments, such as \"python train.py\"")
	case len(words) > maxWords:
		return fmt.Errorf("the command has %d words: at most %d are allowed", len(words), maxWords)
	}
	for _, w := range words {
		if strings.ContainsRune(w, 0) {
			return fmt.Errorf("the word %q of the command has a zero byte, which no program can be given", w)
		}
	}
	return nil
}

// Check says what is wrong with a description, which may come from a file.
func (p *Program) Check() error {
	if err := checkWords(p.Words); err != nil {
		return err
	}
	if len(p.Files) > maxFiles {
		return fmt.Errorf("the program has %d files: at most %d are allowed", len(p.Files), maxFiles)
	}
	if math.IsNaN(p.Silence) || p.Silence < 0 || p.Silence > MaxSilence {
		return fmt.Errorf("silence is %v seconds: give 1 to %d, or 0 for %.0f", p.Silence, MaxSilence, DefaultSilence.Seconds())
	}
	return nil
}

// String is the command as a person would type it.
func (p *Program) String() string { return strings.Join(p.Words, " ") }

// Name is what to call it: its script, or its first word, without folder and ending.
func (p *Program) Name() string {
	name := p.Words[0]
	if len(p.Files) > 0 {
		name = p.Files[0].Path
	}
	name = filepath.Base(filepath.FromSlash(name))
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// Patience is Silence as a duration.
func (p *Program) Patience() time.Duration {
	if p.Silence == 0 {
		return DefaultSilence
	}
	return time.Duration(p.Silence * float64(time.Second))
}

// Folder is where the program is started, as jobs of a study find it.
func (p *Program) Folder(study string) string {
	return within(study, filepath.FromSlash(p.Dir))
}

// Verify says which of the files is another one than when the job was asked for.
func (p *Program) Verify(study string) error {
	for _, f := range p.Files {
		sum, err := digest(within(p.Folder(study), f.Path))
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if sum != f.SHA256 {
			return fmt.Errorf("%s was changed after the job was asked for (its SHA-256 is %.12s, of the job's %.12s): ask again in the cell, which makes a new job of the new file", f.Path, sum, f.SHA256)
		}
	}
	return nil
}

// within is a path seen from a folder.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// relative is dir seen from the study, or dir itself where there is no way.
func relative(study, dir string) (string, error) {
	study, err := filepath.Abs(study)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(study, dir); err == nil {
		return filepath.ToSlash(rel), nil
	}
	return filepath.ToSlash(dir), nil
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	defer f.Close() // it was only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
