package data

import (
	"context"
	"fmt"
)

// Spec identifies a set in a job's configuration; its JSON form is stable. It
// holds no path: the process that runs the job finds the set by its digest in
// the data folder, or makes it where it is synthetic.
type Spec struct {
	Name string `json:"name"`
	// Digest is Set.Digest. Only what a person typed may leave it out; Resolve
	// fills it in, and a job's configuration must have it.
	Digest string `json:"digest,omitempty"`
	// Synthetic is how to make the set, for one that was made up.
	Synthetic *SyntheticSpec `json:"synthetic,omitempty"`
}

// Validate says what is wrong with a spec, without looking for the set.
func (s Spec) Validate() error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	if s.Digest != "" {
		if err := checkDigest(s.Digest); err != nil {
			return fmt.Errorf("data %q: %w", s.Name, err)
		}
	}
	if s.Synthetic != nil && s.Name != syntheticName {
		return fmt.Errorf("the data set %q is said to be synthetic; such a set is called %q", s.Name, syntheticName)
	}
	if s.Synthetic != nil {
		return s.Synthetic.Validate()
	}
	return nil
}

func (s Spec) isSynthetic() bool { return s.Name == syntheticName || s.Synthetic != nil }

// Open reads the set from the data folder and verifies every image of it, or
// makes it where it is synthetic. The error is a *MissingError where it is not
// there, and a *DamageError where a file was altered or cut short.
func Open(ctx context.Context, s Spec) (*Set, error) {
	if s.isSynthetic() {
		return openSynthetic(s) // needs no folder
	}
	cache, err := OpenCache()
	if err != nil {
		return nil, err
	}
	return cache.Open(ctx, s)
}

// Resolve finds which set a name means now; "synthetic" is the synthetic set
// with its defaults. It reads no images. The error is a *MissingError where there
// is none of that name.
func Resolve(name string) (Entry, error) {
	cache, err := OpenCache()
	if err != nil {
		return Entry{}, err
	}
	return cache.Resolve(Spec{Name: name})
}

const digestLength = 64

func checkDigest(d string) error {
	if len(d) != digestLength || !isLowerHex(d) {
		return fmt.Errorf("the digest %.80q is not %d lower-case hexadecimal digits", d, digestLength)
	}
	return nil
}

func isLowerHex(d string) bool {
	for _, r := range d {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return false
		}
	}
	return true
}

const maxNameLength = 64

// checkName holds names to what any file system and command line takes.
func checkName(name string) error {
	if name == "" || len(name) > maxNameLength || name != cleanName(name) {
		return fmt.Errorf("%.80q is no name of a data set: it has 1 to %d of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit", name, maxNameLength)
	}
	return nil
}

// cleanName makes a name of any text, "" where nothing is left of it.
func cleanName(text string) string {
	var out []byte
	for _, r := range text {
		switch {
		case r >= 'A' && r <= 'Z':
			r += 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		case len(out) == 0:
			continue
		case r != '.' && r != '_' && r != '-':
			r = '-'
		}
		out = append(out, byte(r))
	}
	return string(out[:min(len(out), maxNameLength)])
}
