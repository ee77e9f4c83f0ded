package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// GarbageKind is why something may be removed from a study.
type GarbageKind string

const (
	// Leftovers are of no use to anybody: files that a process which died was writing, batches
	// and arrays of which no job exists any more.
	Leftovers GarbageKind = "leftovers"
	// Of the others a person must say that they are not wanted.
	OldCheckpoints GarbageKind = "checkpoints" // of jobs that have their result
	FailedJobs     GarbageKind = "failed"      // whole folders, as of the next two
	CancelledJobs  GarbageKind = "cancelled"
	DoneJobs       GarbageKind = "done"
	ClosedArrays   GarbageKind = "arrays" // scripts and what the tasks printed
)

// GarbageKinds are all of them, the least missed first.
func GarbageKinds() []GarbageKind {
	return []GarbageKind{Leftovers, OldCheckpoints, CancelledJobs, FailedJobs, ClosedArrays, DoneJobs}
}

// Garbage is one thing that may be removed.
type Garbage struct {
	Kind  GarbageKind
	Path  string
	Bytes int64
	Job   *Job      // whose it is, nil if it is no job's
	Since time.Time // when the job ended, or the file was last changed

	state State // of the job
	batch *BatchHandle
}

// leftAlone is how old a file must be that looks half-written: nobody writes for so long.
const leftAlone = time.Hour

// removedPrefix begins the name of a job's folder that is being removed.
const removedPrefix = ".removed-"

// Garbage lists what may be removed. It removes nothing, and of jobs that run or wait it
// lists nothing. What cannot be looked at is the error; the rest is listed all the same.
func (st *Study) Garbage() ([]Garbage, error) {
	c := collector{study: st}
	for _, look := range []func() error{c.files, c.jobs, c.batches, c.arrays} {
		c.errs = append(c.errs, look())
	}
	return c.found, errors.Join(c.errs...)
}

// collector is one look at a study.
type collector struct {
	study *Study
	found []Garbage
	errs  []error
}

func (c *collector) add(g Garbage) { c.found = append(c.found, g) }

// files finds half-written files that belong to no job, and folders whose removal broke off.
func (c *collector) files() error {
	p := c.study.Paths
	for _, dir := range []string{p.Dir, p.Batches(), p.Arrays()} {
		c.temps(dir, nil)
	}
	probes, err := filepath.Glob(filepath.Join(p.Dir, ".probe-*"))
	c.old(probes, nil)
	broken, berr := filepath.Glob(filepath.Join(p.Jobs(), removedPrefix+"*"))
	for _, dir := range broken {
		bytes, serr := folderSize(dir)
		c.errs = append(c.errs, serr)
		c.add(Garbage{Kind: Leftovers, Path: dir, Bytes: bytes})
	}
	return errors.Join(err, berr)
}

// temps finds the files in a folder that writeAtomic left.
func (c *collector) temps(dir string, j *Job) {
	temps, err := filepath.Glob(filepath.Join(dir, ".*.tmp"))
	c.errs = append(c.errs, err)
	c.old(temps, j)
}

func (c *collector) old(files []string, j *Job) {
	for _, file := range files {
		info, err := os.Lstat(file)
		if err != nil || time.Since(info.ModTime()) < leftAlone {
			continue // its writer may be at work, or has just ended
		}
		g := Garbage{Kind: Leftovers, Path: file, Bytes: info.Size(), Since: info.ModTime(), Job: j}
		if j != nil {
			g.state = j.Status().State
		}
		c.add(g)
	}
}

func (c *collector) jobs() error {
	all, err := c.study.Jobs()
	if err != nil {
		return err
	}
	for _, j := range all {
		s := j.Status()
		if j.Err != nil || !s.State.Final() {
			continue // a damaged one may have its result, and submitting mends it
		}
		c.temps(j.Paths.Dir, j)
		bytes, err := folderSize(j.Paths.Dir)
		if err != nil {
			c.errs = append(c.errs, err)
			continue
		}
		kind := map[State]GarbageKind{Failed: FailedJobs, Cancelled: CancelledJobs, Done: DoneJobs}[s.State]
		c.add(Garbage{Kind: kind, Path: j.Paths.Dir, Bytes: bytes, Job: j, Since: s.Ended, state: s.State})
		if s.State != Done {
			continue // asked for again it goes on from its checkpoint
		}
		for _, file := range j.checkpointFiles() {
			c.add(Garbage{Kind: OldCheckpoints, Path: file, Bytes: sizeOf(file), Job: j, Since: s.Ended, state: Done})
		}
	}
	return nil
}

// checkpointFiles are the checkpoints that the job has, those of attempts that were set
// aside among them.
func (j *Job) checkpointFiles() []string {
	files := []string{j.Paths.Checkpoint(), j.Paths.OldCheckpoint(), filepath.Join(j.Paths.Files(), "checkpoint")}
	for _, name := range []string{"checkpoint", "checkpoint.old", "files/checkpoint"} {
		aside, err := filepath.Glob(filepath.Join(j.Paths.Dir, "attempts", "*", name))
		if err == nil {
			files = append(files, aside...)
		}
	}
	return slices.DeleteFunc(files, func(file string) bool {
		_, err := os.Lstat(file)
		return err != nil
	})
}

func (c *collector) batches() error {
	all, err := c.study.Batches()
	for _, b := range all {
		if b.Err == nil && !b.hasJobs() {
			path := c.study.Paths.Batch(b.ID)
			c.add(Garbage{Kind: Leftovers, Path: path, Bytes: sizeOf(path), Since: b.Created, batch: b})
		}
	}
	return err
}

// hasJobs says whether the folder of any of its jobs exists.
func (h *BatchHandle) hasJobs() bool {
	return slices.ContainsFunc(h.jobs, func(j *Job) bool { return exists(j.Paths.Dir) })
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// arrays finds the folders of arrays that are closed: SLURM has nothing of them.
func (c *collector) arrays() error {
	entries, err := os.ReadDir(c.study.Paths.Arrays())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		a := array{dir: filepath.Join(c.study.Paths.Arrays(), e.Name())}
		data, err := os.ReadFile(a.file())
		if err != nil || json.Unmarshal(data, &a) != nil || !a.Closed {
			continue // the runner looks after it
		}
		info, err := os.Stat(a.file())
		if err != nil {
			continue
		}
		bytes, err := folderSize(a.dir)
		c.errs = append(c.errs, err)
		g := Garbage{Kind: ClosedArrays, Path: a.dir, Bytes: bytes, Since: info.ModTime()}
		if list, err := os.ReadFile(a.tasks()); err == nil && !slices.ContainsFunc(strings.Fields(string(list)), func(id string) bool { return exists(c.study.Paths.Job(id).Dir) }) {
			g.Kind = Leftovers
		}
		c.add(g)
	}
	return err
}

func folderSize(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil || e.IsDir() {
			return err
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes, err
}

// Choose picks what is asked for: leftovers, and of these kinds what ended so long ago. What
// lies in a folder that goes as a whole is not listed by itself.
func Choose(found []Garbage, kinds []GarbageKind, older time.Duration) []Garbage {
	var chosen []Garbage
	whole := map[string]bool{}
	for _, g := range found {
		if g.Kind != Leftovers && (!slices.Contains(kinds, g.Kind) || older > 0 && time.Since(g.Since) < older) {
			continue
		}
		chosen = append(chosen, g)
		whole[g.Path] = true
	}
	return slices.DeleteFunc(chosen, func(g Garbage) bool {
		return g.Job != nil && g.Path != g.Job.Paths.Dir && whole[g.Job.Paths.Dir]
	})
}

// Sweep removes what Garbage listed, and then the batches of which no job is left. A job that
// was started, submitted again or ended anew since then is passed over, which is no error;
// what cannot be removed is one, and the rest goes on.
func (st *Study) Sweep(chosen []Garbage) (removed []Garbage, err error) {
	var errs []error
	sweep := func(all []Garbage) {
		for _, g := range all {
			gone, err := st.remove(g)
			errs = append(errs, err)
			if gone {
				removed = append(removed, g)
			}
		}
	}
	sweep(chosen)
	c := collector{study: st}
	errs = append(errs, c.batches())
	sweep(c.found)
	return removed, errors.Join(errs...)
}

func (st *Study) remove(g Garbage) (gone bool, err error) {
	switch {
	case g.batch != nil:
		return g.batch.remove()
	case g.Job != nil && g.Path == g.Job.Paths.Dir:
		return g.Job.remove(g.state)
	case g.Job != nil:
		return g.Job.whileStill(g.state, func() error { return removeFile(st.disk, g.Path) })
	}
	if info, err := os.Lstat(g.Path); err == nil && info.IsDir() {
		err := os.RemoveAll(g.Path)
		return err == nil, writeError("remove", g.Path, err)
	}
	err = removeFile(st.disk, g.Path)
	return err == nil, err
}

// whileStill does something to a job that has ended as before, and keeps others from
// starting it meanwhile.
func (j *Job) whileStill(state State, do func() error) (done bool, err error) {
	if !state.Final() || !exists(j.Paths.Spec()) {
		return false, nil
	}
	err = withLock(j.Paths.Lock(), lockPatience, func() error {
		// What this process has read may be of a job that was removed and made anew since.
		now := openJob(j.disk, j.Paths, j.ID)
		h, err := now.observe(true)
		if err == nil && now.Err == nil && h.state == state {
			err = do()
			done = err == nil
		}
		return err
	})
	return done, unlessLocked(err) // who has the lock works on it
}

// remove takes the folder out of the study in one step, so that nobody meets half of it.
func (j *Job) remove(state State) (gone bool, err error) {
	away := filepath.Join(filepath.Dir(j.Paths.Dir), fmt.Sprintf("%s%s-%d", removedPrefix, j.ID, os.Getpid()))
	gone, err = j.whileStill(state, func() error {
		return writeError("remove", j.Paths.Dir, j.disk.Rename(j.Paths.Dir, away))
	})
	if !gone {
		return false, err
	}
	return true, errors.Join(err, writeError("remove", away, os.RemoveAll(away)))
}

// remove takes a batch away of which no job exists. Whoever submits it makes the jobs first
// and then looks for its file: if jobs are there once the file is not, it goes back.
func (h *BatchHandle) remove() (gone bool, err error) {
	path := h.study.Paths.Batch(h.ID)
	away := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d-gc.tmp", h.ID, os.Getpid()))
	if h.hasJobs() {
		return false, nil
	}
	if err := h.study.disk.Rename(path, away); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, writeError("remove", path, err)
	}
	if h.hasJobs() {
		return false, writeError("put back", path, h.study.disk.Rename(away, path))
	}
	err = removeFile(h.study.disk, away)
	return err == nil, err
}
