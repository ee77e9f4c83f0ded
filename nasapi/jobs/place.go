package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"evalnas/nasapi/jobs/slurm"
)

// Place is where a batch's jobs run. The zero value is this machine. No result depends on it,
// so it is in no job's id: the same job may be tried here after it failed there.
type Place struct {
	Slurm *slurm.Options `json:"slurm,omitempty"`
}

// Check says what is wrong with a place.
func (p Place) Check() error {
	if p.Slurm == nil {
		return nil
	}
	if err := p.Slurm.Check(); err != nil {
		return fmt.Errorf("slurm: %w", err)
	}
	return nil
}

// setPlace keeps where the job is to run the next time that it starts.
func (j *Job) setPlace(p Place) error {
	if p.Slurm == nil {
		if err := j.disk.Remove(j.Paths.Place()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return writeError("remove", j.Paths.Place(), err)
		}
		return nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return writeAtomic(j.disk, j.Paths.Place(), append(text, '\n'), false)
}

// place is where the job is to run.
func (j *Job) place() (Place, error) {
	var p Place
	data, err := os.ReadFile(j.Paths.Place())
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err == nil {
		err = p.Check()
	}
	if err != nil {
		return Place{}, fmt.Errorf("%s is damaged (%w): submit the job again to write it anew", j.Paths.Place(), err)
	}
	return p, nil
}

// Queued is what SLURM last said of a job's task.
type Queued struct {
	Task   string `json:"task"` // its id, "12_3"
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Node   string `json:"node,omitempty"`
}

// queueStates is the file of them; Asked is when SLURM was asked.
type queueStates struct {
	Asked time.Time         `json:"asked"`
	Jobs  map[string]Queued `json:"jobs"`
	// Error is why SLURM could not be asked since then.
	Error string `json:"error,omitempty"`
}

// Queue is what SLURM last said of the study's jobs, by their ids, and what is wrong with
// asking it, "" if nothing is.
func (st *Study) Queue() (all map[string]Queued, trouble string) {
	data, err := os.ReadFile(st.Paths.QueueStates())
	if err != nil {
		return nil, ""
	}
	var f queueStates
	if json.Unmarshal(data, &f) != nil {
		return nil, "" // the runner writes it anew
	}
	return f.Jobs, f.Error
}
