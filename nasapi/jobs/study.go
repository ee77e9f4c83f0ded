package jobs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"evalnas/nasapi/jobs/slurm"
)

// Study is a folder of jobs. Its methods may be called from any goroutine, and
// several processes may have the same study open.
type Study struct {
	Paths StudyPaths

	disk  disk
	slurm slurm.Client
	every time.Duration // ensureEvery

	mu      sync.Mutex
	jobs    map[string]*Job
	ensured time.Time // when this process last started a runner
	tries   int       // runners in a row that did not last
	listed  bool      // in the registry, as far as that goes
}

type studyVersion struct {
	Schema  int    `json:"schema"`
	Program string `json:"program"`
}

// OpenStudy opens a study, and makes the folder if there is none. A study that
// a newer version wrote is refused.
func OpenStudy(dir string) (*Study, error) { return openStudy(osDisk{}, dir) }

func openStudy(d disk, dir string) (*Study, error) {
	if dir == "" {
		return nil, errors.New("a study needs a folder: give its path or set EVALNAS_STUDY")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("study %s: %w", dir, err)
	}
	st := &Study{Paths: StudyPaths{abs}, disk: d, slurm: slurm.Commands{}, every: ensureEvery, jobs: map[string]*Job{}}
	data, err := os.ReadFile(st.Paths.Version())
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(data) == 0:
		return st, st.create()
	case err != nil:
		return nil, fmt.Errorf("cannot open the study %s: %w", abs, err)
	}
	var v studyVersion
	if err := json.Unmarshal(data, &v); err != nil || v.Schema < 1 {
		return nil, fmt.Errorf("%s is damaged: remove it, and it will be written anew; the jobs beside it are kept", st.Paths.Version())
	}
	if v.Schema > Schema {
		return nil, fmt.Errorf("the study %s was written by a newer version of evalnas (schema %d, this one knows 1 to %d): use that version or another study", abs, v.Schema, Schema)
	}
	return st, nil
}

func (st *Study) create() error {
	for _, dir := range []string{st.Paths.Jobs(), st.Paths.Batches()} {
		if err := st.disk.MkdirAll(dir, 0o755); err != nil {
			return writeError("make the folder", dir, err)
		}
	}
	text, err := json.Marshal(studyVersion{Schema: Schema, Program: "evalnas"})
	if err != nil {
		return err
	}
	return writeAtomic(st.disk, st.Paths.Version(), append(text, '\n'), false)
}

// Dir is the study's absolute path.
func (st *Study) Dir() string { return st.Paths.Dir }

// Jobs returns all jobs, in the order of their folders' names. Damaged ones are
// among them, with Err set.
func (st *Study) Jobs() ([]*Job, error) {
	entries, err := os.ReadDir(st.Paths.Jobs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the jobs of %s: %w", st.Paths.Dir, err)
	}
	var all []*Job
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			all = append(all, st.job(e.Name()))
		}
	}
	return all, nil
}

// job returns the study's one Job of an id, so that what it has read is kept.
// A damaged one is looked at again, as submitting mends it, and so is one whose
// folder somebody removed, or removed and made anew: its events are others.
func (st *Study) job(id string) *Job {
	st.mu.Lock()
	defer st.mu.Unlock()
	if j := st.jobs[id]; j != nil && j.Err == nil {
		if info, err := os.Stat(j.Paths.Spec()); err == nil && info.ModTime().Equal(j.made) {
			return j
		}
	}
	j := openJob(st.disk, st.Paths.Job(id), id)
	st.jobs[id] = j
	return j
}

// isID says whether text has the form of a job's id.
func isID(text string) bool {
	return len(text) == 20 && strings.Trim(text, "0123456789abcdef") == ""
}

// Job finds a job by its id or by the beginning of it.
func (st *Study) Job(id string) (*Job, error) {
	all, err := st.Jobs()
	if err != nil {
		return nil, err
	}
	var found []*Job
	for _, j := range all {
		if j.ID == id {
			return j, nil
		}
		if id != "" && strings.HasPrefix(j.ID, id) {
			found = append(found, j)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, unknownID("job", id, jobIDs(all), st.Paths.Dir)
	}
	return nil, fmt.Errorf("job id %q is ambiguous, it begins %s: give more of it", id, strings.Join(firstN(jobIDs(found), 5), ", "))
}

// Batch finds what was submitted together, by its id or the beginning of it.
func (st *Study) Batch(id string) (*BatchHandle, error) {
	all, err := st.Batches()
	if err != nil {
		return nil, err
	}
	var found []*BatchHandle
	var ids []string
	for _, b := range all {
		ids = append(ids, b.ID)
		if b.ID == id {
			return b, nil
		}
		if id != "" && strings.HasPrefix(b.ID, id) {
			found = append(found, b)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, unknownID("batch", id, ids, st.Paths.Dir)
	}
	return nil, fmt.Errorf("batch id %q is ambiguous, %d begin with it: give more of it", id, len(found))
}

// Find returns the jobs that an id, or the beginning of one, stands for: one job, or all of
// a batch.
func (st *Study) Find(id string) ([]*Job, error) {
	j, err := st.Job(id)
	if err == nil {
		return []*Job{j}, nil
	}
	b, berr := st.Batch(id)
	switch {
	case berr != nil:
		return nil, err
	case b.Err != nil:
		return nil, b.Err
	}
	return b.Jobs(), nil
}

func jobIDs(all []*Job) []string {
	ids := make([]string, len(all))
	for i, j := range all {
		ids[i] = j.ID
	}
	return ids
}

func firstN(s []string, n int) []string { return s[:min(n, len(s))] }

func unknownID(what, id string, known []string, dir string) error {
	if len(known) == 0 {
		return fmt.Errorf("no %s %q: the study %s has none", what, id, dir)
	}
	near := slices.Clone(known)
	slices.SortStableFunc(near, func(a, b string) int {
		return cmp.Compare(idDistance(id, a), idDistance(id, b))
	})
	return fmt.Errorf("no %s %q in the study %s; the nearest are %s", what, id, dir, strings.Join(firstN(near, 3), ", "))
}

// idDistance is the edit distance of what was typed to the best beginning of an
// id, since people type only its first digits.
func idDistance(typed, id string) int {
	typed = typed[:min(len(typed), 64)]
	row := make([]int, len(id)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(typed) {
		left := row[0]
		row[0] = i + 1
		for j := range len(id) {
			cost := left
			if typed[i] != id[j] {
				cost = 1 + min(left, row[j], row[j+1])
			}
			left, row[j+1] = row[j+1], cost
		}
	}
	return slices.Min(row)
}
