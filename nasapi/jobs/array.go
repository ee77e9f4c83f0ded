package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/uuid/v5"

	"evalnas/nasapi/jobs/slurm"
)

// arrays gives jobs to SLURM, an array for all that wait with the same options, and follows
// their tasks. It belongs to the runner's goroutine; SLURM's programs, which may take long,
// run in a goroutine of their own, one at a time.
type arrays struct {
	runner *runner
	client slurm.Client
	exe    string

	waiting map[string][]*Job // to be submitted, by the JSON of their options
	live    map[string]*task  // by the job's id
	busy    bool
	results chan func()

	next     time.Time // to ask SLURM
	wait     time.Duration
	said     map[string]Queued // what is in the file
	trouble  string
	failures int // of sbatch in a row, that may pass
	retry    time.Time
}

// task is a job that SLURM has.
type task struct {
	job     *Job
	array   *array
	index   int
	attempt int // that the job was in when it was submitted
	ended   int // how often in a row SLURM said that it had ended
	last    slurm.Task
}

func (t *task) id() string { return fmt.Sprintf("%s_%d", t.array.ID, t.index) }

// array is a folder of the study: the script, the jobs of its tasks and what they printed.
type array struct {
	Schema  int           `json:"schema"`
	Name    string        `json:"name"` // that SLURM knows it by
	ID      string        `json:"id"`   // SLURM's; "" until it has answered
	Options slurm.Options `json:"options"`
	Created time.Time     `json:"created"`
	Closed  bool          `json:"closed,omitempty"` // nothing of it is live any more

	dir  string
	jobs []string
	left int // live tasks
}

func (a *array) file() string        { return filepath.Join(a.dir, "array.json") }
func (a *array) script() string      { return filepath.Join(a.dir, "job.sh") }
func (a *array) tasks() string       { return filepath.Join(a.dir, "tasks") }
func (a *array) output(i int) string { return filepath.Join(a.dir, fmt.Sprintf("out.%d", i)) }
func (a *array) write(d disk) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	return writeAtomic(d, a.file(), append(text, '\n'), false)
}

// SLURM is asked again after a pause that grows as long as nothing changes. Results need no
// asking, as they come through the study's folder.
const (
	shortestPoll = time.Second
	longestPoll  = 30 * time.Second
	// mostTasks is the largest array: SLURM's own default allows indices below 1001.
	mostTasks = 1000
)

func newArrays(r *runner, client slurm.Client, exe string) *arrays {
	return &arrays{
		runner: r, client: client, exe: exe, waiting: map[string][]*Job{}, live: map[string]*task{},
		results: make(chan func()), wait: shortestPoll, said: map[string]Queued{},
	}
}

func (a *arrays) idle() bool { return !a.busy && len(a.waiting) == 0 && len(a.live) == 0 }

// has says whether a job is SLURM's affair.
func (a *arrays) has(id string) bool { return a.live[id] != nil }

// add has a pending job submitted soon.
func (a *arrays) add(j *Job, o slurm.Options) {
	key, err := json.Marshal(o)
	if err != nil {
		a.runner.move(j, Pending, evFailed, reasonData{Config: true, Error: err.Error()})
		return
	}
	if slices.ContainsFunc(a.waiting[string(key)], func(w *Job) bool { return w.ID == j.ID }) {
		return
	}
	a.waiting[string(key)] = append(a.waiting[string(key)], j)
}

// do runs work beside the runner; what it returns is done by the runner's goroutine.
func (a *arrays) do(ctx context.Context, work func(ctx context.Context) func()) {
	a.busy = true
	go func() {
		done := work(ctx)
		select {
		case a.results <- func() { a.busy = false; done() }:
		case <-ctx.Done():
		}
	}()
}

// step does what is due.
func (a *arrays) step(ctx context.Context) {
	now := time.Now()
	switch {
	case a.busy:
	case len(a.waiting) > 0 && now.After(a.retry):
		a.submit(ctx)
	case len(a.live) > 0 && now.After(a.next):
		a.poll(ctx)
	}
}

// load finds the arrays of earlier runners.
func (a *arrays) load(ctx context.Context) error {
	entries, err := os.ReadDir(a.runner.study.Paths.Arrays())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot list the arrays of %s: %w", a.runner.study.Paths.Dir, err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := a.adopt(ctx, filepath.Join(a.runner.study.Paths.Arrays(), e.Name())); err != nil {
			a.runner.logf("array %s: %v", e.Name(), err)
		}
	}
	return nil
}

func (a *arrays) adopt(ctx context.Context, dir string) error {
	r := &array{dir: dir}
	data, err := os.ReadFile(r.file())
	if errors.Is(err, fs.ErrNotExist) {
		return os.RemoveAll(dir) // its runner died before it asked SLURM
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, r); err != nil {
		return fmt.Errorf("array.json is damaged (%w); its jobs are submitted again", err)
	}
	if r.Closed {
		return nil
	}
	if r.ID == "" {
		if r.ID, err = a.client.Find(ctx, r.Name); err != nil {
			return err
		}
		if r.ID == "" {
			return os.RemoveAll(dir)
		}
		if err := r.write(a.runner.study.disk); err != nil {
			return err
		}
	}
	list, err := os.ReadFile(r.tasks())
	if err != nil {
		return err
	}
	r.jobs = strings.Fields(string(list))
	for i, id := range r.jobs {
		if j := a.runner.study.job(id); j.Err == nil {
			if s := j.Status(); !s.State.Final() {
				a.follow(j, r, i, s.Attempt)
			}
		}
	}
	return a.close(r)
}

func (a *arrays) follow(j *Job, r *array, index, attempt int) {
	if old := a.live[j.ID]; old != nil {
		a.drop(old)
	}
	a.live[j.ID] = &task{job: j, array: r, index: index, attempt: attempt}
	r.left++
}

// drop lets a task go; what becomes of its job is somebody else's affair.
func (a *arrays) drop(t *task) {
	delete(a.live, t.job.ID)
	t.array.left--
	if err := a.close(t.array); err != nil {
		a.runner.logf("array %s: %v", t.array.Name, err)
	}
}

// close keeps an array of which nothing is live from being looked at again.
func (a *arrays) close(r *array) error {
	if r.left > 0 || r.Closed {
		return nil
	}
	r.Closed = true
	if _, err := os.Stat(r.dir); errors.Is(err, fs.ErrNotExist) {
		return nil // somebody removed the study
	}
	return r.write(a.runner.study.disk)
}

// submit makes arrays of what waits with one kind of options.
func (a *arrays) submit(ctx context.Context) {
	key := slices.Min(slices.Collect(maps.Keys(a.waiting)))
	all := a.waiting[key]
	var group []*Job
	var rest []*Job
	for _, j := range all {
		switch {
		case len(group) == mostTasks:
			rest = append(rest, j)
		case j.Status().State == Pending && !a.has(j.ID):
			group = append(group, j)
		default:
			a.runner.consider(j)
		}
	}
	delete(a.waiting, key)
	if len(rest) > 0 {
		a.waiting[key] = rest
	}
	if len(group) == 0 {
		return
	}
	var options slurm.Options
	if err := json.Unmarshal([]byte(key), &options); err != nil {
		a.runner.logf("options of SLURM %s: %v", key, err)
		return
	}
	r, err := a.prepare(options, group)
	if err != nil {
		a.put(key, group, err)
		return
	}
	a.do(ctx, func(ctx context.Context) func() {
		id, err := a.client.Submit(ctx, r.script())
		if err == nil {
			r.ID = id
			err = r.write(a.runner.study.disk)
		}
		return func() { a.submitted(r, key, group, err) }
	})
}

// prepare writes the folder of an array.
func (a *arrays) prepare(o slurm.Options, group []*Job) (*array, error) {
	st := a.runner.study
	id, err := uuid.NewV7() // their order is that of time
	if err != nil {
		return nil, err
	}
	r := &array{Schema: Schema, Name: arrayName(st.Paths.Dir, id.String()), Options: o, Created: time.Now().UTC(), dir: filepath.Join(st.Paths.Arrays(), id.String())}
	if err := st.disk.MkdirAll(r.dir, 0o755); err != nil {
		return nil, writeError("make the folder", r.dir, err)
	}
	for _, j := range group {
		r.jobs = append(r.jobs, j.ID)
	}
	files := []struct {
		path string
		text []byte
	}{
		{r.tasks(), []byte(strings.Join(r.jobs, "\n") + "\n")},
		{r.script(), []byte(ArrayScript(o, r.Name, st.Paths, r.dir, a.exe, len(group)))},
	}
	for _, f := range files {
		if err := writeAtomic(st.disk, f.path, f.text, false); err != nil {
			return nil, err
		}
	}
	return r, r.write(st.disk)
}

// arrayName is by what an array is found in SLURM: the study's, and its own.
func arrayName(study, id string) string {
	h := fnv.New32a()
	h.Write([]byte(study))
	return fmt.Sprintf("evalnas-%08x-%s", h.Sum32(), id[len(id)-12:])
}

// slurmVariable tells a worker that SLURM has given it its place.
const slurmVariable = "EVALNAS_SLURM"

// ArrayScript is the batch script of jobs: what dry_run shows, too.
func ArrayScript(o slurm.Options, name string, st StudyPaths, dir, exe string, tasks int) string {
	list := slurm.Quote(filepath.Join(dir, "tasks"))
	return slurm.Script(o, slurm.Array{
		Name: name, Tasks: tasks, Dir: st.Dir, Output: filepath.Join(dir, "out.%a"),
		Lines: []string{
			"export " + slurmVariable + "=1 GOMAXPROCS=${SLURM_CPUS_PER_TASK:-1}",
			`job=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" ` + list + ")",
			fmt.Sprintf(`exec %s worker %s/"$job"`, slurm.Quote(exe), slurm.Quote(st.Jobs())),
		},
	})
}

// DryRun is the script that n jobs of the study would be submitted with.
func (st *Study) DryRun(o slurm.Options, n int) (string, error) {
	if err := o.Check(); err != nil {
		return "", err
	}
	exe, err := program()
	if err != nil {
		return "", err
	}
	return ArrayScript(o, arrayName(st.Paths.Dir, "000000000000"), st.Paths, filepath.Join(st.Paths.Arrays(), "ARRAY"), exe, min(n, mostTasks)), nil
}

// submitted follows an array that SLURM took; jobs that it refused fail with its words.
func (a *arrays) submitted(r *array, key string, group []*Job, err error) {
	if err != nil && r.ID == "" {
		if rerr := os.RemoveAll(r.dir); rerr != nil {
			a.runner.logf("array %s: %v", r.Name, rerr)
		}
		a.put(key, group, err)
		return
	}
	if err != nil {
		a.runner.logf("array %s: %v", r.Name, err) // it is found again by its name
	}
	a.failures = 0
	for i, j := range group {
		a.follow(j, r, i, j.Status().Attempt)
	}
	a.wait, a.next = shortestPoll, time.Now().Add(shortestPoll)
}

// mostRefusals is how often in a row SLURM may be out of reach before the jobs fail.
const mostRefusals = 20

// put has jobs tried again that could not be submitted, or fails them.
func (a *arrays) put(key string, group []*Job, err error) {
	a.failures++
	if !slurm.Refused(err) && !errors.Is(err, slurm.ErrMissing) && a.failures < mostRefusals {
		a.runner.logf("SLURM took no jobs: %v; it is asked again", err)
		a.waiting[key] = append(group, a.waiting[key]...)
		a.retry = time.Now().Add(min(longestPoll, a.runner.options.Backoff<<min(a.failures, 10)))
		return
	}
	for _, j := range group {
		a.runner.move(j, Pending, evFailed, reasonData{Config: true, Error: "SLURM does not take it: " + err.Error()})
	}
}

// ending is how a task ended.
type ending struct {
	t   *task
	how slurm.Task
}

// poll asks SLURM about all tasks at once.
func (a *arrays) poll(ctx context.Context) {
	live := slices.Collect(maps.Values(a.live))
	a.do(ctx, func(ctx context.Context) func() {
		known, err := a.client.Tasks(ctx)
		if err != nil {
			return func() { a.outOfReach(err) }
		}
		var ended []ending
		var needless []string
		for _, t := range live {
			now, ok := known[t.id()]
			final := t.job.Status().State.Final()
			switch {
			case ok && now.Waiting() && final:
				needless = append(needless, t.id()) // done elsewhere, or cancelled
			case ok && now.Alive():
			case final:
				ended = append(ended, ending{t, now})
			default:
				how, found, err := a.client.Ended(ctx, t.id())
				if err != nil {
					return func() { a.outOfReach(err) }
				}
				switch {
				case found:
					now = how
				case !ok && (t.last.State == "" || t.last.Waiting()) && others(known, t.array.ID):
					now = slurm.Task{State: "CANCELLED"} // SLURM takes such a task out of its array
				}
				ended = append(ended, ending{t, now})
			}
		}
		if len(needless) > 0 {
			err = a.client.Cancel(ctx, needless...)
		}
		return func() {
			if err != nil {
				a.runner.logf("scancel: %v", err)
			}
			a.heard(known, ended)
		}
	})
}

// others says whether SLURM knows tasks of an array.
func others(known map[string]slurm.Task, array string) bool {
	for id := range known {
		if strings.HasPrefix(id, array+"_") {
			return true
		}
	}
	return false
}

// outOfReach lets go of what needs no more asking. A task of a job that has ended elsewhere
// does nothing if SLURM starts it after all.
func (a *arrays) outOfReach(err error) {
	a.runner.logf("SLURM cannot be asked: %v", err)
	_, gone := os.Stat(a.runner.study.Paths.Version())
	for _, t := range slices.Collect(maps.Values(a.live)) {
		if t.job.Status().State.Final() || errors.Is(gone, fs.ErrNotExist) {
			a.drop(t)
		}
	}
	if len(a.live) == 0 {
		return
	}
	a.pause(false)
	a.trouble = err.Error()
	a.tell(a.said)
}

// pause is the time until SLURM is asked again.
func (a *arrays) pause(news bool) {
	if a.wait = min(a.wait*3/2, longestPoll); news {
		a.wait = shortestPoll
	}
	a.next = time.Now().Add(a.wait)
}

// heard takes in what SLURM said.
func (a *arrays) heard(known map[string]slurm.Task, ended []ending) {
	news := false
	over := map[*task]slurm.Task{}
	for _, e := range ended {
		over[e.t] = e.how
	}
	said := map[string]Queued{}
	for id, t := range a.live {
		how, ok := over[t]
		if !ok {
			now := known[t.id()]
			news = news || now != t.last
			t.last, t.ended = now, 0
			said[id] = Queued{t.id(), now.State, now.Reason, now.Node}
			continue
		}
		news = true
		t.ended++
		a.over(t, how)
	}
	a.pause(news)
	a.trouble = ""
	a.tell(said)
}

// settled is how often SLURM must say that a task has ended before a job without a result
// counts as lost: what its worker wrote may take a moment to be seen over a network.
const settled = 2

// over decides what follows from a task's end.
func (a *arrays) over(t *task, how slurm.Task) {
	s := t.job.Status()
	if s.State.Final() {
		a.drop(t)
		return
	}
	if t.ended < settled {
		return
	}
	a.drop(t)
	r := a.runner
	switch {
	case s.State == Running: // somebody else has it
		r.consider(t.job)
	case how.State == "CANCELLED":
		r.move(t.job, s.State, evCancelled, reasonData{Error: how.Why()})
	case how.State == "OUT_OF_MEMORY":
		r.move(t.job, s.State, evFailed, reasonData{Error: how.Why()})
	case s.State == Lost:
		r.repair(t.job, s, errors.New(how.Why()))
	case s.Attempt > max(t.attempt, 1), how.State == "TIMEOUT", how.State == "PREEMPTED", how.State == "NODE_FAIL", how.State == "BOOT_FAIL":
		r.consider(t.job) // it was interrupted and goes on where it was
	default:
		r.notStarted(t.job, errors.New(how.Why()+"; "+t.array.printed(t.index, how)))
	}
}

// printed is what a task printed, or what it means that there is nothing.
func (r *array) printed(index int, how slurm.Task) string {
	if text := lastLines(tail(r.output(index), 8<<10), 10); text != "" {
		return "it printed:\n" + text
	}
	if _, err := os.Stat(r.output(index)); err == nil {
		return "it printed nothing"
	}
	return fmt.Sprintf("it left no output: is %s on a disk that the node %s sees? EVALNAS_STUDY names another folder for jobs", r.dir, how.Node)
}

// tell writes what SLURM said into the study, if that is news.
func (a *arrays) tell(said map[string]Queued) {
	if maps.Equal(said, a.said) && a.trouble == "" {
		return
	}
	a.said = said
	st := a.runner.study
	text, err := json.Marshal(queueStates{time.Now().UTC(), said, a.trouble})
	if err == nil {
		err = writeAtomic(st.disk, st.Paths.QueueStates(), append(text, '\n'), false)
	}
	if err != nil {
		a.runner.logf("%v", err)
	}
}
