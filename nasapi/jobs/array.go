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
	known   map[string]bool   // arrays that were looked at, by their folders' names
	coming  map[string]*array // of them, those that somebody is submitting
	probes  []*probe          // that have not been answered
	busy    bool
	results chan func()

	next     time.Time // to ask SLURM
	wait     time.Duration
	said     map[string]Queued // what is in the file
	trouble  string            // in asking
	told     string            // the trouble that is in the file
	failures int               // of sbatch in a row, that may pass
	retry    time.Time
}

// task is a job that SLURM has.
type task struct {
	job     *Job
	array   *array
	index   int
	attempt int  // that the job was in when it was submitted
	moot    bool // its job had ended elsewhere: what becomes of the task says nothing of the job
	ended   int  // how often in a row SLURM said that it had ended
	how     slurm.Task
	last    slurm.Task
}

func (t *task) id() string { return fmt.Sprintf("%s_%d", t.array.ID, t.index) }

// begun says whether a worker has begun with the job since it was submitted.
func (t *task) begun() bool {
	s := t.job.Status()
	return s.State == Running || s.State == Lost || s.Attempt > max(t.attempt, 1)
}

// array is a folder of the study: the script, the jobs of its tasks and what they printed.
type array struct {
	Schema  int           `json:"schema"`
	Name    string        `json:"name"` // that SLURM knows it by
	ID      string        `json:"id"`   // SLURM's; "" until it has answered
	Options slurm.Options `json:"options"`
	Created time.Time     `json:"created"`
	// Attempts that the jobs were to make next when it was submitted, 0 for new ones.
	Attempts []int `json:"attempts,omitempty"`
	Held     []int `json:"held,omitempty"`   // tasks that SLURM holds for us
	Closed   bool  `json:"closed,omitempty"` // nothing of it is live any more

	dir     string
	jobs    []string
	left    int  // live tasks
	held    bool // somebody is submitting it
	unknown bool // SLURM has to be asked whether it has it
	probe   *probe
}

func (a *array) lock() string        { return filepath.Join(a.dir, "lock") }
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

const (
	// pollStretch bounds how the pause until SLURM is asked again grows as long as nothing
	// changes. Results need no asking, as they come through the study's folder.
	pollStretch = 30
	// longestRetry bounds the pause until sbatch is tried again.
	longestRetry = 30 * time.Second
	// mostTasks is the largest array: SLURM's own default allows indices below 1001.
	mostTasks = 1000
)

func newArrays(r *runner, client slurm.Client, exe string) *arrays {
	return &arrays{
		runner: r, client: client, exe: exe, waiting: map[string][]*Job{}, live: map[string]*task{},
		known: map[string]bool{}, coming: map[string]*array{},
		results: make(chan func()), wait: r.options.Poll, said: map[string]Queued{},
	}
}

func (a *arrays) idle() bool {
	return !a.busy && len(a.waiting) == 0 && len(a.live) == 0 && len(a.coming) == 0
}

// has says whether a job is SLURM's affair, or about to be.
func (a *arrays) has(id string) bool {
	if a.live[id] != nil {
		return true
	}
	for _, r := range a.coming {
		if slices.Contains(r.jobs, id) {
			return true
		}
	}
	return false
}

// soon has SLURM asked at once: somebody wants something of a job that it has.
func (a *arrays) soon() { a.wait, a.next = a.runner.options.Poll, time.Now() }

// add has a pending job submitted soon.
func (a *arrays) add(j *Job, o slurm.Options) {
	key, err := json.Marshal(o)
	if err != nil {
		a.runner.move(j, j.Status().State, evFailed, reasonData{Config: true, Error: err.Error()})
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
	for name, r := range a.coming {
		if !r.unknown {
			a.look(name)
		}
	}
	switch {
	case a.busy:
	case now.After(a.retry) && a.unknown() != nil:
		a.find(ctx, a.unknown())
	case len(a.waiting) > 0 && now.After(a.retry):
		a.submit(ctx)
	case a.toSend() != nil:
		a.send(ctx, a.toSend())
	case len(a.live) > 0 && now.After(a.next):
		a.poll(ctx)
	}
}

// load finds the arrays of earlier runners, and those that others have submitted meanwhile.
func (a *arrays) load() error {
	entries, err := os.ReadDir(a.runner.study.Paths.Arrays())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot list the arrays of %s: %w", a.runner.study.Paths.Dir, err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || a.known[e.Name()] {
			continue
		}
		a.known[e.Name()] = true
		a.look(e.Name())
	}
	return nil
}

// look adopts an array that SLURM has, and remembers one that is on its way.
func (a *arrays) look(name string) {
	r, err := a.read(name)
	if err == nil && r != nil && (r.held || r.ID == "") {
		r.unknown = !r.held
		a.coming[name] = r
		return
	}
	if err == nil && r != nil {
		err = a.adopt(r)
	}
	if err != nil {
		a.runner.logf("array %s: %v", name, err)
	}
	a.came(name)
}

// came lets go of an array that is not on its way any more. Jobs of one that came to nothing
// are submitted anew.
func (a *arrays) came(name string) {
	r := a.coming[name]
	delete(a.coming, name)
	if r == nil {
		return
	}
	for _, id := range r.jobs {
		a.runner.consider(a.runner.study.job(id))
	}
}

// read reads the folder of an array; one that needs no looking after is nil.
func (a *arrays) read(name string) (*array, error) {
	r := &array{dir: filepath.Join(a.runner.study.Paths.Arrays(), name)}
	held, err := isHeld(r.lock())
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(r.file())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, os.RemoveAll(r.dir) // its runner died before it asked SLURM
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("array.json is damaged (%w); its jobs are submitted again", err)
	}
	if r.Closed {
		return nil, nil
	}
	list, err := os.ReadFile(r.tasks())
	if err != nil {
		return nil, err
	}
	r.held, r.jobs = held, strings.Fields(string(list))
	return r, nil
}

// unknown is an array of which nobody knows whether SLURM has it, nil if there is none.
func (a *arrays) unknown() *array {
	for _, name := range slices.Sorted(maps.Keys(a.coming)) {
		if r := a.coming[name]; r.unknown {
			return r
		}
	}
	return nil
}

// find asks SLURM for an array whose submitter died before it had an answer, or got none.
func (a *arrays) find(ctx context.Context, r *array) {
	a.do(ctx, func(ctx context.Context) func() {
		id, err := a.client.Find(ctx, r.Name)
		return func() { a.foundIt(r, id, err) }
	})
}

func (a *arrays) foundIt(r *array, id string, err error) {
	if err != nil {
		a.runner.logf("array %s: %v", r.Name, err)
		a.failures++
		if !errors.Is(err, slurm.ErrMissing) && a.failures < mostRefusals {
			a.backOff()
			return
		}
	}
	a.failures = 0
	if r.ID = id; id == "" {
		err = os.RemoveAll(r.dir)
	} else if err = r.write(a.runner.study.disk); err == nil {
		err = a.adopt(r)
	}
	if err != nil {
		a.runner.logf("array %s: %v", r.Name, err)
	}
	a.came(filepath.Base(r.dir))
}

// adopt follows the tasks of an array that SLURM has. Where a job has ended while no runner was
// there its task may wait in SLURM's queue still, and is taken out of it by poll.
func (a *arrays) adopt(r *array) error {
	for i, id := range r.jobs {
		j := a.runner.study.job(id)
		if s := j.Status(); j.Err == nil && (!s.State.Final() || a.live[id] == nil) {
			a.follow(j, r, i, r.attempt(i, s))
			a.live[id].moot = s.State.Final()
		}
	}
	a.wait, a.next = a.runner.options.Poll, time.Now().Add(a.runner.options.Poll)
	return a.close(r)
}

// attempt is the one that a task's job was to make next when it was submitted.
func (a *array) attempt(task int, now Status) int {
	if task < len(a.Attempts) {
		return a.Attempts[task]
	}
	return now.Attempt
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
	// Whoever made jobs pending may have submitted them, too.
	if err := a.load(); err != nil {
		a.runner.logf("%v", err)
	}
	key := slices.Min(slices.Collect(maps.Keys(a.waiting)))
	all := a.waiting[key]
	delete(a.waiting, key)
	var group []*Job
	for _, j := range all {
		switch {
		case len(group) == mostTasks:
			a.waiting[key] = append(a.waiting[key], j)
		case startable(j.Status()) && !a.has(j.ID):
			group = append(group, j)
		default:
			a.runner.consider(j)
		}
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
		id, err := a.sbatch(ctx, r)
		if err == nil {
			r.ID = id
			err = r.write(a.runner.study.disk)
		}
		return func() { a.submitted(r, key, group, err) }
	})
}

// startable says that the job is to be started.
func startable(s Status) bool { return s.State.Waiting() && !s.Held }

// sbatch submits an array. SLURM may have taken it even where no answer came: it is asked,
// or the jobs would be in its queue twice.
func (a *arrays) sbatch(ctx context.Context, r *array) (id string, err error) {
	id, err = a.client.Submit(ctx, r.script())
	if err == nil || refused(err) {
		return id, err
	}
	if found, ferr := a.client.Find(ctx, r.Name); ferr == nil && found != "" {
		return found, nil
	}
	return "", err
}

// prepare writes the folder of an array.
func (a *arrays) prepare(o slurm.Options, group []*Job) (*array, error) {
	st := a.runner.study
	r, err := st.newArray(o, jobIDs(group))
	if err != nil {
		return nil, err
	}
	for _, j := range group {
		r.Attempts = append(r.Attempts, j.Status().Attempt)
	}
	a.known[filepath.Base(r.dir)] = true
	err = st.disk.MkdirAll(r.dir, 0o755)
	if err != nil {
		err = writeError("make the folder", r.dir, err)
	} else {
		err = r.fill(st, a.exe, r.dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.dir)) // it would be in the way for ever
	}
	return r, nil
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
			fmt.Sprintf(`job=%s/$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" %s)`, slurm.Quote(st.Jobs()), list),
			// SLURM may have started it before its job's folder was made, or is seen on its node;
			// the log is in there. Where the study is not seen at all nothing is waited for.
			fmt.Sprintf(`while [ ! -d "$job" ] && [ -d %s ] && [ $SECONDS -lt %.0f ]; do sleep 0.1; done`, slurm.Quote(st.Jobs()), specPatience.Seconds()),
			fmt.Sprintf(`exec %s worker "$job" 2>>"$job/stderr.log"`, slurm.Quote(exe)),
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
		a.follow(j, r, i, r.attempt(i, j.Status()))
	}
	a.wait, a.next = a.runner.options.Poll, time.Now().Add(a.runner.options.Poll)
}

// mostRefusals is how often in a row SLURM may be out of reach before the jobs fail.
const mostRefusals = 20

// backOff puts the next try off, the longer the more have failed in a row.
func (a *arrays) backOff() {
	a.retry = time.Now().Add(min(longestRetry, a.runner.options.Backoff<<min(a.failures, 10)))
}

// put has jobs tried again that could not be submitted, or fails them.
func (a *arrays) put(key string, group []*Job, err error) {
	a.failures++
	if !refused(err) && a.failures < mostRefusals {
		a.runner.logf("SLURM took no jobs: %v; it is asked again", err)
		a.waiting[key] = append(group, a.waiting[key]...)
		a.backOff()
		return
	}
	for _, j := range group {
		a.runner.move(j, j.Status().State, evFailed, refusal(err))
	}
}

// ending is how a task ended.
type ending struct {
	t   *task
	how slurm.Task
}

// poll asks SLURM about all tasks at once.
func (a *arrays) poll(ctx context.Context) {
	live, probes := slices.Collect(maps.Values(a.live)), slices.Clone(a.probes)
	a.do(ctx, func(ctx context.Context) func() {
		known, err := a.client.Tasks(ctx)
		if err != nil {
			return func() { a.outOfReach(err) }
		}
		probed, err := a.answers(ctx, probes, known)
		if err != nil {
			return func() { a.outOfReach(err) }
		}
		var ended []ending
		var needless []string
		var moot []*task
		for _, t := range live {
			now, ok := known[t.id()]
			final := t.job.Status().State.Final()
			if final {
				moot = append(moot, t)
			}
			switch {
			case ok && now.Waiting() && final:
				needless = append(needless, t.id()) // done elsewhere, or cancelled
			case ok && now.Alive():
			case final:
				ended = append(ended, ending{t, now})
			case t.ended >= settled: // it waits for its array's probe
				ended = append(ended, ending{t, t.how})
			default:
				how, found, err := a.client.Ended(ctx, t.id())
				if err != nil {
					return func() { a.outOfReach(err) }
				}
				switch {
				case found:
					now = how
				case !ok && !t.begun() && (t.last.State == "" || t.last.Waiting()) && others(known, t.array.ID):
					now = slurm.Task{State: "CANCELLED"} // SLURM takes such a task out of its array
				}
				ended = append(ended, ending{t, now})
			}
		}
		if len(needless) > 0 {
			err = a.client.Cancel(ctx, needless...)
		}
		held := a.holds(ctx, live, known)
		return func() {
			if err != nil {
				a.runner.logf("scancel: %v", err)
			}
			for _, t := range moot {
				t.moot = true
			}
			probed()
			held()
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
	if a.wait = min(a.wait*3/2, pollStretch*a.runner.options.Poll); news {
		a.wait = a.runner.options.Poll
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
		t.ended++
		news = news || t.ended <= settled
		t.how = how
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
	if s.State.Final() || t.moot {
		a.drop(t)
		a.runner.consider(t.job) // it may have been asked for again
		return
	}
	if t.ended < settled {
		return
	}
	if t.unseen(how) && a.probeDecides(t, how) {
		return
	}
	a.drop(t)
	r := a.runner
	if s.Held || t.begun() {
		delete(r.failures, t.job.ID) // SLURM could start it
	}
	switch {
	case s.State == Running: // somebody else has it
		r.consider(t.job)
	case s.Held: // its worker left for that; who releases it says so in the queue
	case how.State == "CANCELLED":
		r.move(t.job, s.State, evCancelled, reasonData{Error: how.Why()})
	case how.State == "OUT_OF_MEMORY":
		r.move(t.job, s.State, evFailed, reasonData{Error: how.Why()})
	case s.State == Lost:
		r.repair(t.job, s, errors.New(how.Why()))
	case s.Attempt > max(t.attempt, 1), how.State == "TIMEOUT", how.State == "PREEMPTED", how.State == "NODE_FAIL", how.State == "BOOT_FAIL":
		r.consider(t.job) // it was interrupted and goes on where it was
	default:
		r.notStarted(t.job, errors.New(how.Why()+t.array.printed(t.index)))
	}
}

// printed is what a task printed before its worker began, whose log is the job's.
func (a *array) printed(index int) string {
	if text := lastLines(tail(a.output(index), 8<<10), 10); text != "" {
		return "; it printed:\n" + text
	}
	if _, err := os.Stat(a.output(index)); errors.Is(err, fs.ErrNotExist) {
		return "; it left no output, " + a.output(index)
	}
	return ""
}

// tell writes what SLURM said into the study, if that is news.
func (a *arrays) tell(said map[string]Queued) {
	if maps.Equal(said, a.said) && a.trouble == a.told {
		return
	}
	a.said, a.told = said, a.trouble
	st := a.runner.study
	text, err := json.Marshal(queueStates{time.Now().UTC(), said, a.trouble})
	if err == nil {
		err = writeAtomic(st.disk, st.Paths.QueueStates(), append(text, '\n'), false)
	}
	if err != nil {
		a.runner.logf("%v", err)
	}
}
