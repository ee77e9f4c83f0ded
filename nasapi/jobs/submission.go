package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/uuid/v5"

	"evalnas/nasapi/jobs/slurm"
)

// submission is arrays on their way to SLURM. Whoever submits jobs gives them to SLURM
// itself, which saves the time until a runner has started and looked. Each array's folder is
// there before any of its jobs is, and locked until SLURM has answered: a runner that finds
// one of the jobs finds the folder too, and leaves the job alone.
type submission struct {
	study  *Study
	arrays []*array
	locks  []*fileLock
	done   chan struct{}
	errs   []error // of SLURM, an array each
}

// sbatchPatience is how long a cell waits for SLURM's answer. An array of which nothing was
// heard by then is the runner's, which asks SLURM for it by its name.
const sbatchPatience = 10 * time.Second

// toSlurm begins to submit those of a batch's jobs that this request makes pending.
func (st *Study) toSlurm(b Batch, ids []string) (*submission, error) {
	var mine []string
	var attempts []int
	for _, id := range ids {
		j := st.job(id)
		if s := j.Status(); j.Err == nil && s.State != Failed && s.State != Cancelled && (s.State != Done || !b.Fresh) {
			continue
		} else if j.Err == nil {
			attempts = append(attempts, s.Attempt+1)
		} else {
			attempts = append(attempts, 0)
		}
		mine = append(mine, id)
	}
	s := &submission{study: st, done: make(chan struct{})}
	exe, err := program()
	for len(mine) > 0 && err == nil {
		n := min(mostTasks, len(mine))
		err = s.prepare(*b.On.Slurm, exe, mine[:n], attempts[:n])
		mine, attempts = mine[n:], attempts[n:]
	}
	if err != nil {
		return nil, errors.Join(err, s.forget())
	}
	go s.submit()
	return s, nil
}

// prepare makes an array's folder under a name that nobody looks at, and shows it with its
// lock held.
func (s *submission) prepare(o slurm.Options, exe string, ids []string, attempts []int) error {
	a, err := s.study.newArray(o, ids)
	if err != nil {
		return err
	}
	a.Attempts = attempts
	final := a.dir
	a.dir = filepath.Join(filepath.Dir(final), "."+filepath.Base(final)+".tmp")
	if err := s.study.disk.MkdirAll(a.dir, 0o755); err != nil {
		return writeError("make the folder", a.dir, err)
	}
	lock, err := takeLock(context.Background(), a.lock(), lockPatience)
	if err == nil {
		s.arrays, s.locks = append(s.arrays, a), append(s.locks, lock)
		err = a.fill(s.study, exe, final)
	}
	if err != nil {
		return err
	}
	if err := s.study.disk.Rename(a.dir, final); err != nil {
		return writeError("write", final, err)
	}
	a.dir = final
	return nil
}

// submit gives the arrays to SLURM, beside the writing of their jobs' folders: both take about
// as long, and SLURM's answer comes before it has started a task.
func (s *submission) submit() {
	defer close(s.done)
	ctx, stop := context.WithTimeout(context.Background(), sbatchPatience)
	defer stop()
	for _, a := range s.arrays {
		id, err := s.study.slurm.Submit(ctx, a.script())
		if err == nil {
			a.ID = id
			err = a.write(s.study.disk)
		}
		s.errs = append(s.errs, err)
	}
}

// finish waits for SLURM's answers. Jobs that it refused fail with its words; what else went
// wrong is left to the runner.
func (s *submission) finish() error {
	<-s.done
	var errs []error
	for i, a := range s.arrays {
		if err := s.errs[i]; a.ID == "" && refused(err) {
			errs = append(errs, s.refuse(a, err))
		}
	}
	return errors.Join(append(errs, releaseAll(s.locks))...)
}

// refused says that asking SLURM again would bring nothing.
func refused(err error) bool { return slurm.Refused(err) || errors.Is(err, slurm.ErrMissing) }

// refusal is why jobs fail that SLURM refused.
func refusal(err error) reasonData {
	return reasonData{Config: true, Error: "SLURM does not take it: " + err.Error()}
}

// refuse fails the jobs before it removes the array, without which a runner would submit them.
func (s *submission) refuse(a *array, why error) error {
	var errs []error
	for _, id := range a.jobs {
		j := s.study.job(id)
		if j.Err != nil {
			continue // it was never written
		}
		errs = append(errs, j.failWaiting(refusal(why)))
	}
	return errors.Join(append(errs, os.RemoveAll(a.dir))...)
}

// failWaiting fails a job that waits and that nobody has.
func (j *Job) failWaiting(why reasonData) error {
	return unlessLocked(withLock(j.Paths.Lock(), lockPatience, func() error {
		h, err := j.observe(true)
		if err == nil && h.state.Waiting() {
			err = j.record(evFailed, why)
		}
		return err
	}))
}

// abandon takes back what was submitted of a batch that could not be written.
func (s *submission) abandon() error {
	<-s.done
	var ids []string
	for _, a := range s.arrays {
		if a.ID != "" {
			ids = append(ids, a.ID)
		}
	}
	var err error
	if len(ids) > 0 {
		ctx, stop := context.WithTimeout(context.Background(), sbatchPatience)
		defer stop()
		err = s.study.slurm.Cancel(ctx, ids...)
	}
	return errors.Join(err, s.forget())
}

// forget removes the arrays' folders.
func (s *submission) forget() error {
	var errs []error
	for _, a := range s.arrays {
		errs = append(errs, os.RemoveAll(a.dir))
	}
	return errors.Join(append(errs, releaseAll(s.locks))...)
}

// newArray is an array of jobs that has no folder yet.
func (st *Study) newArray(o slurm.Options, jobs []string) (*array, error) {
	id, err := uuid.NewV7() // their order is that of time
	if err != nil {
		return nil, err
	}
	return &array{
		Schema: Schema, Name: arrayName(st.Paths.Dir, id.String()), Options: o, Created: time.Now().UTC(),
		dir: filepath.Join(st.Paths.Arrays(), id.String()), jobs: jobs,
	}, nil
}

// fill writes the folder of an array whose files are to be found in dir.
func (a *array) fill(st *Study, exe, dir string) error {
	files := []struct {
		path string
		text []byte
	}{
		{a.tasks(), []byte(strings.Join(a.jobs, "\n") + "\n")},
		{a.script(), []byte(ArrayScript(a.Options, a.Name, st.Paths, dir, exe, len(a.jobs)))},
	}
	for _, f := range files {
		if err := writeAtomic(st.disk, f.path, f.text, false); err != nil {
			return err
		}
	}
	return a.write(st.disk)
}

// awaitSpec is openJob for a task that SLURM may have started before its job was written, or
// before a disk over the network shows it.
func awaitSpec(ctx context.Context, d disk, dir string) (*Job, error) {
	for began := time.Now(); ; {
		// It may appear between two looks at it: the second one decides.
		_, err := os.Stat(Paths{dir}.Spec())
		if err == nil || slurmTask() == "" || time.Since(began) > specPatience {
			return openJob(d, Paths{dir}, filepath.Base(dir)), nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, fmt.Errorf("job %s cannot be run: it has no job.json yet: %w", filepath.Base(dir), err)
		}
	}
}

const specPatience = 30 * time.Second
