package trainer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"evalnas/nasapi/child"
)

// Job is one training.
type Job struct {
	Program *child.Program
	Study   string // the folder that the program's own is seen from
	Init    Init
	Env     []string  // beside this process's
	Log     io.Writer // takes the program's standard error
	// Grace is how long the program may take to save itself when it must stop, and to end
	// after its result; 0 means DefaultGrace.
	Grace time.Duration
	Heard Heard
}

// DefaultGrace leaves a worker, which is given 20 seconds, the time to kill what is left.
const DefaultGrace = 15 * time.Second

// Heard are called with what a program says; nil: nobody wants to know. An error ends the
// training.
type Heard struct {
	Started    func(resumed bool) // before the first word, at each start
	Progress   func(done, total int64)
	Epoch      func(Epoch) error
	Checkpoint func(epoch int) error
	Restart    func(why error) error
}

// maxRestarts is how often a program is started again within one attempt at a job.
const maxRestarts = 3

// Run trains. A context that ends has the program told so by SIGTERM; it may then say that it
// has saved itself, and the error is the context's.
func Run(ctx context.Context, job Job) (*Result, error) {
	if job.Grace == 0 {
		job.Grace = DefaultGrace
	}
	if err := job.Program.Verify(job.Study); err != nil {
		return nil, &WrongError{err}
	}
	r := run{Job: job}
	for restarts := 0; ; restarts++ {
		before := r.checkpoint()
		result, err := r.once(ctx)
		if err == nil {
			result.Restarts = restarts
			return result, nil
		}
		if ctx.Err() != nil || restarts == maxRestarts || !passes(err) || r.checkpoint() == before {
			return nil, err
		}
		if r.Heard.Restart != nil {
			if err := r.Heard.Restart(err); err != nil {
				return nil, err
			}
		}
	}
}

// passes says that a failure may not come again: a signal ended the program, or it hung.
func passes(err error) bool {
	exit := (*child.ExitError)(nil)
	return errors.Is(err, child.ErrSilent) || errors.As(err, &exit) && exit.Code > 128
}

// run is a training and the program as it was started last.
type run struct {
	Job
	p     *child.Process
	last  Epoch
	said  int // epochs
	bytes int // of what was said of them
}

// version tells two checkpoints apart.
type version struct {
	size int64
	at   time.Time
}

// checkpoint is the newest one, the zero version if there is none.
func (r *run) checkpoint() version {
	info, err := os.Stat(r.Init.Checkpoint)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return version{}
	}
	return version{info.Size(), info.ModTime()}
}

func (r *run) once(ctx context.Context) (*Result, error) {
	init := r.Init
	init.Protocol, init.Role, init.Resume = child.Protocol, Role, r.checkpoint() != version{}
	if init.Parameters == nil {
		init.Parameters = map[string]any{}
	}
	if init.Metrics == nil {
		init.Metrics = []string{}
	}
	if init.Device.GPUs == nil {
		init.Device.GPUs = []string{}
	}
	if r.Heard.Started != nil {
		r.Heard.Started(init.Resume)
	}
	var err error
	if r.p, err = child.Start(r.Program, child.Options{Dir: r.Program.Folder(r.Study), Env: r.Env, Log: r.Log, Grace: r.Grace, Owner: r.Init.Folder}); err != nil {
		return nil, err
	}
	defer r.p.Close() // it returns nothing
	r.last, r.said, r.bytes = Epoch{}, 0, 0
	if err := r.p.Send("init", init); err != nil {
		return nil, err
	}
	result, err := r.listen(ctx)
	if err != nil && ctx.Err() != nil {
		r.saveItself(ctx)
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, r.named(err)
	}
	return result, r.ending(ctx, result)
}

// listen hears the program out, up to its result.
func (r *run) listen(ctx context.Context) (*Result, error) {
	m, err := r.p.Receive(ctx)
	for err == nil && m.Name == "heartbeat" { // to import PyTorch takes a while
		m, err = r.p.Receive(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := m.CheckReady(); err != nil {
		return nil, r.wrong(err)
	}
	for {
		m, err := r.p.Receive(ctx)
		if err != nil {
			return nil, err
		}
		result, err := r.hear(m)
		if result != nil || err != nil {
			return result, err
		}
	}
}

// wrong is what the program does again whenever it is asked.
func (r *run) wrong(err error) error {
	return &WrongError{fmt.Errorf("%s %w", r.Program, err)}
}

// named marks those of package child's complaints that a second attempt does not cure.
func (r *run) named(err error) error {
	exit := (*child.ExitError)(nil)
	if errors.Is(err, child.ErrGarbage) || errors.Is(err, child.ErrLong) || errors.As(err, &exit) && exit.Code == child.NotFound {
		return &WrongError{err}
	}
	return err
}

// hear takes a message; the result is nil unless it was that.
func (r *run) hear(m child.Message) (*Result, error) {
	switch m.Name {
	case "heartbeat":
		return nil, nil
	case "progress":
		return nil, r.progress(m)
	case "epoch":
		return nil, r.epoch(m)
	case "checkpoint":
		return nil, r.saved(m)
	case "result":
		return r.result(m)
	}
	return nil, r.wrong(fmt.Errorf("said %q, which no trainer says: there are %s", m.Name, knownMessages))
}

func (r *run) progress(m child.Message) error {
	var body progressBody
	if err := m.Read(&body); err != nil {
		return r.wrong(err)
	}
	if body.Done == nil || body.Total == nil || *body.Done < 0 || *body.Total < 0 || *body.Done > maxCountedSize || *body.Total > maxCountedSize {
		return r.wrong(fmt.Errorf("said a progress of %.80s: give done and total, whole numbers of steps, 0 or more", m.Body))
	}
	if r.Heard.Progress != nil {
		r.Heard.Progress(*body.Done, *body.Total)
	}
	return nil
}

func (r *run) epoch(m child.Message) error {
	var body epochBody
	if err := m.Read(&body); err != nil {
		return r.wrong(err)
	}
	if body.Epoch == nil || *body.Epoch < 1 {
		return r.wrong(fmt.Errorf("said of an epoch %.80s: give \"epoch\", its number from 1, and \"metrics\"", m.Body))
	}
	n := *body.Epoch
	if n <= r.last.Epoch {
		return r.wrong(fmt.Errorf("said epoch %d after epoch %d: epochs go up, and each is said once after it has ended", n, r.last.Epoch))
	}
	if limit := Epochs(r.Init.Parameters); limit > 0 && n > limit {
		return r.wrong(fmt.Errorf("said epoch %d of %d, which is what epochs= asks for", n, limit))
	}
	metrics, err := metricsOf(body.Metrics, fmt.Sprintf("epoch %d", n))
	if err != nil {
		return r.wrong(err)
	}
	r.said++
	r.bytes += len(m.Body)
	if r.said > maxEpochs || r.bytes > maxEpochBytes {
		return r.wrong(fmt.Errorf("said %d epochs in %d bytes: at most %d in %d are kept; what is said more often belongs into progress", r.said, r.bytes, maxEpochs, maxEpochBytes))
	}
	r.last = Epoch{n, metrics}
	if r.Heard.Epoch == nil {
		return nil
	}
	return r.Heard.Epoch(r.last)
}

func (r *run) saved(m child.Message) error {
	var body checkpointBody
	if err := m.Read(&body); err != nil {
		return r.wrong(err)
	}
	if r.checkpoint() == (version{}) {
		return r.wrong(fmt.Errorf("said that it has saved itself, and there is no file %s, or it is empty: write one beside it and rename that", r.Init.Checkpoint))
	}
	epoch := r.last.Epoch
	if body.Epoch != nil {
		epoch = *body.Epoch
	}
	if r.Heard.Checkpoint == nil {
		return nil
	}
	return r.Heard.Checkpoint(epoch)
}

func (r *run) result(m child.Message) (*Result, error) {
	var body resultBody
	if err := m.Read(&body); err != nil {
		return nil, r.wrong(err)
	}
	metrics, err := metricsOf(body.Metrics, "its result")
	if err != nil {
		return nil, r.wrong(err)
	}
	if len(metrics) == 0 {
		return nil, r.wrong(errors.New("gave a result without metrics: {\"result\": {\"metrics\": {\"valid\": 0.93}}} is one"))
	}
	for _, name := range r.Init.Metrics {
		if _, ok := metrics[name]; !ok {
			return nil, r.wrong(fmt.Errorf("gave a result without %q, which is asked for: it has %s", name, strings.Join(slices.Sorted(maps.Keys(metrics)), ", ")))
		}
	}
	result := &Result{Metrics: metrics}
	if n := body.Parameters; n != nil {
		if *n < 0 || *n > maxCountedSize {
			return nil, r.wrong(fmt.Errorf("counted %d parameters", *n))
		}
		result.Parameters = *n
	}
	if n := body.Epochs; n != nil {
		if *n < 0 || *n > 1<<30 {
			return nil, r.wrong(fmt.Errorf("counted %d epochs", *n))
		}
		result.Epochs = *n
	}
	result.Notes = r.odd(result)
	return result, nil
}

// odd is where a result and the epochs do not agree.
func (r *run) odd(result *Result) []string {
	var notes []string
	if result.Epochs > 0 && r.last.Epoch > 0 && result.Epochs != r.last.Epoch {
		notes = append(notes, fmt.Sprintf("the result counts %d epochs, the last that was said is %d", result.Epochs, r.last.Epoch))
	}
	for _, name := range slices.Sorted(maps.Keys(result.Metrics)) {
		if v, ok := r.last.Metrics[name]; ok && v != result.Metrics[name] {
			notes = append(notes, fmt.Sprintf("%s is %v in the result and %v in epoch %d, the last", name, result.Metrics[name], v, r.last.Epoch))
		}
	}
	return notes
}

// ending waits for the program to end after its result. One that hangs then, as a loader of
// data may, has done its work: it is ended, and that is noted.
func (r *run) ending(ctx context.Context, result *Result) error {
	patience, stop := context.WithTimeout(ctx, r.Grace)
	defer stop()
	for {
		m, err := r.p.Receive(patience)
		exit := (*child.ExitError)(nil)
		switch {
		case err == nil && m.Name == "heartbeat":
			continue
		case err == nil:
			return r.wrong(fmt.Errorf("said %q after its result, which is the last that it says", m.Name))
		case errors.As(err, &exit) && exit.Code == 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case patience.Err() != nil || errors.Is(err, child.ErrSilent):
			result.Notes = append(result.Notes, fmt.Sprintf("the program had not ended %v after its result and was killed", r.Grace))
			return nil
		default:
			return fmt.Errorf("after its result: %w", r.named(err))
		}
	}
}

// saveItself asks the program to stop and hears what it says until it has, or the time is up.
// Only what it saves is of use: the job goes on from there.
func (r *run) saveItself(ctx context.Context) {
	if r.p.Terminate() != nil {
		return
	}
	patience, stop := context.WithTimeout(context.WithoutCancel(ctx), r.Grace)
	defer stop()
	for {
		m, err := r.p.Receive(patience)
		if err != nil {
			break
		}
		if m.Name == "epoch" || m.Name == "checkpoint" {
			if _, err := r.hear(m); err != nil {
				break
			}
		}
	}
	if r.checkpoint() != (version{}) && r.Heard.Checkpoint != nil {
		_ = r.Heard.Checkpoint(r.last.Epoch) // the file is there, whoever knows of it
	}
}

// Epochs is how many a program is asked for, by the parameter of this name; 0 if by none.
func Epochs(parameters map[string]any) int {
	switch n := parameters["epochs"].(type) {
	case int:
		return max(0, n)
	case float64:
		if n >= 1 && n <= 1<<30 && n == float64(int(n)) {
			return int(n)
		}
	}
	return 0
}
