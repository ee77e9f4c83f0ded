package jobs

import (
	"os"
	"path/filepath"
	"strconv"
)

// Paths names the files of a job's folder.
type Paths struct{ Dir string }

func (p Paths) Spec() string          { return filepath.Join(p.Dir, "job.json") }
func (p Paths) Events() string        { return filepath.Join(p.Dir, "events.jsonl") }
func (p Paths) Result() string        { return filepath.Join(p.Dir, "result.json") }
func (p Paths) Checkpoint() string    { return filepath.Join(p.Dir, "checkpoint") }
func (p Paths) OldCheckpoint() string { return filepath.Join(p.Dir, "checkpoint.old") }

// Files is a folder of the handler's, such as for the checkpoint of a program of one's own.
func (p Paths) Files() string  { return filepath.Join(p.Dir, "files") }
func (p Paths) Log() string    { return filepath.Join(p.Dir, "stderr.log") }
func (p Paths) OldLog() string { return filepath.Join(p.Dir, "stderr.old.log") }
func (p Paths) Cancel() string { return filepath.Join(p.Dir, "cancel") }
func (p Paths) Hold() string   { return filepath.Join(p.Dir, "hold") }
func (p Paths) Lock() string   { return filepath.Join(p.Dir, "lock") }
func (p Paths) Place() string  { return filepath.Join(p.Dir, "place.json") }

// Attempt is the folder where a fresh attempt sets the files of attempt n.
func (p Paths) Attempt(n int) string {
	return filepath.Join(p.Dir, "attempts", strconv.Itoa(n))
}

// StudyPaths names the files of a study that belong to no single job.
type StudyPaths struct{ Dir string }

func (p StudyPaths) Version() string   { return filepath.Join(p.Dir, "study.json") }
func (p StudyPaths) Queue() string     { return filepath.Join(p.Dir, "queue.log") }
func (p StudyPaths) Lock() string      { return filepath.Join(p.Dir, "runner.lock") }
func (p StudyPaths) RunnerLog() string { return filepath.Join(p.Dir, "runner.log") }
func (p StudyPaths) Jobs() string      { return filepath.Join(p.Dir, "jobs") }
func (p StudyPaths) Batches() string   { return filepath.Join(p.Dir, "batches") }

// Arrays is where the arrays are that were given to SLURM, QueueStates what SLURM last said of
// their tasks.
func (p StudyPaths) Arrays() string      { return filepath.Join(p.Dir, "slurm") }
func (p StudyPaths) QueueStates() string { return filepath.Join(p.Arrays(), "state.json") }

func (p StudyPaths) Job(id string) Paths { return Paths{filepath.Join(p.Jobs(), id)} }

func (p StudyPaths) Batch(id string) string {
	return filepath.Join(p.Batches(), id+".json")
}

// DefaultStudy is where jobs go unless told otherwise: $EVALNAS_STUDY, else
// .evalnas beside the notebook, else .evalnas in the working directory.
func DefaultStudy(notebookDir string) string {
	if dir := os.Getenv("EVALNAS_STUDY"); dir != "" {
		return dir
	}
	return filepath.Join(notebookDir, ".evalnas")
}
