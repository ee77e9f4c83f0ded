package jobs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The registry is a file of this user's that lists the studies with jobs, an absolute path
// a line, so that they are found again from anywhere. It is a convenience: nothing that a
// study holds depends on it, and no submission fails for its sake.

// studiesVariable names another file for it; tests set it.
const studiesVariable = "EVALNAS_STUDIES_FILE"

// mostStudies bounds the registry. Past it those that are gone leave, then the oldest.
const mostStudies = 1000

func registryFile() (string, error) {
	if file := os.Getenv(studiesVariable); file != "" {
		return file, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the list of studies: %w; %s can name a file", err, studiesVariable)
	}
	return filepath.Join(dir, "evalnas", "studies"), nil
}

// Studies are the folders of the studies that this user has submitted jobs to, the oldest
// first. Those that are gone are left out.
func Studies() ([]string, error) {
	file, err := registryFile()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(registered(file), isNoStudy), nil
}

// registered is what the file lists, each folder once. A file that cannot be read lists
// nothing.
func registered(file string) []string {
	var dirs []string
	seen := map[string]bool{}
	for line := range strings.Lines(tail(file, 4<<20)) {
		dir := strings.TrimRight(line, "\n")
		if filepath.IsAbs(dir) && !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// IsStudy says whether a folder is a study, as far as can be seen: opening one makes a study
// of a folder that is none.
func IsStudy(dir string) bool {
	_, err := os.Stat(StudyPaths{dir}.Version())
	return !errors.Is(err, fs.ErrNotExist)
}

func isNoStudy(dir string) bool { return !IsStudy(dir) }

// register has the study listed. Whether that succeeds is nobody's concern: a home that is
// full or read-only must not keep jobs from running.
func (st *Study) register() {
	st.mu.Lock()
	done := st.listed
	st.listed = true
	st.mu.Unlock()
	file, err := registryFile()
	if done || err != nil || strings.ContainsAny(st.Paths.Dir, "\n\r") {
		return
	}
	_ = addStudy(file, st.Paths.Dir)
}

// addStudy appends a study that is missing. Two that do so at once may write it twice, which
// readers pass over; one that shortens the file may drop what another has just added, which
// adds itself again.
func addStudy(file, dir string) error {
	dirs := registered(file)
	if slices.Contains(dirs, dir) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if len(dirs) < mostStudies {
		return appendLines(osDisk{}, file, []byte(dir))
	}
	dirs = append(slices.DeleteFunc(dirs, isNoStudy), dir)
	dirs = dirs[max(0, len(dirs)-mostStudies/2):]
	return writeAtomic(osDisk{}, file, []byte(strings.Join(dirs, "\n")+"\n"), false)
}
