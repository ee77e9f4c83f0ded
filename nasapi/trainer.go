package nasapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"evalnas/nasapi/child"
	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/net"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
	"evalnas/nasapi/train"
	"evalnas/nasapi/trainer"
)

// TrainerConfig is a program of one's own that trains instead of this one's engine, as
// docs/child_protocol.md specifies. It is part of a job's configuration.
type TrainerConfig struct {
	Program *child.Program `json:"program"`
	// Parameters are what the cell's keywords say, for the program alone.
	Parameters map[string]any `json:"parameters,omitempty"`
	// Folder is where its data are, from the folder that it is started in, if it is no set
	// of this program's.
	Folder string `json:"folder,omitempty"`
	// Metrics are those that its result must have.
	Metrics []string `json:"metrics,omitempty"`
}

// maxParameters keeps a configuration readable.
const maxParameters = 1000

// Check says what is wrong with a configuration.
func (c *TrainerConfig) Check() error {
	if c.Program == nil {
		return errors.New("the trainer has no program")
	}
	if len(c.Parameters) > maxParameters {
		return fmt.Errorf("the trainer has %d parameters: at most %d are allowed", len(c.Parameters), maxParameters)
	}
	if n, given := c.Parameters["epochs"]; given && trainer.Epochs(c.Parameters) == 0 {
		return fmt.Errorf("epochs is %v: give a whole number, 1 or more, or leave it to the program", n)
	}
	return c.Program.Check()
}

// Epochs is how many the program is asked for, 0 if that is its own affair.
func (c *TrainerConfig) Epochs() int { return trainer.Epochs(c.Parameters) }

// String says in words who trains: "python train.py, epochs 3, rate 0.1".
func (c *TrainerConfig) String() string {
	text := c.Program.String()
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		text += fmt.Sprintf(", %s %v", name, c.Parameters[name])
	}
	return text
}

// dataText names what is trained on.
func (c *TrainerConfig) dataText(d data.Spec) string {
	switch {
	case d.Name != "":
		return d.Name
	case c.Folder != "":
		return c.Folder
	}
	return "data of its own"
}

// housed is a Reporter in whose home a program can run; a jobs.Task is one.
type housed interface {
	Homely
	Files() (string, error)
}

// remembering is a Reporter that knows what earlier attempts reported; a jobs.Task is one.
type remembering interface {
	Events() ([]jobs.Event, error)
}

// debugging is a Reporter that wants as little work as shows that all is well.
type debugging interface {
	Debugging() bool
	Log() io.Writer
}

// RestartEvent is the kind of event that is left where a program was started again within an
// attempt.
const RestartEvent = "trainer-restarted"

// external is a training by a program of somebody's.
type external struct {
	cfg    TrainingConfig
	report Reporter
	home   housed

	began  time.Time // this start of the program
	spent  float64   // seconds up to the last point that is kept
	curve  []train.Point
	first  bool            // no epoch was said since the program was started
	known  map[int]float64 // the seconds of epochs that were said before it was
	missed string          // what a job that was killed did not hear
	values map[string]any  // to show
	done   [2]int64        // of total, as the program counts
	saved  time.Time
}

// runExternal trains with the configuration's program.
func runExternal(ctx context.Context, cfg TrainingConfig, seed int64, report Reporter) (*train.Result, error) {
	home, ok := report.(housed)
	if !ok {
		return nil, errors.New("a trainer of one's own runs in a job, or with debug=True")
	}
	x := &external{cfg: cfg, report: report, home: home, values: map[string]any{}}
	job, err := x.job(ctx, seed)
	if err != nil {
		return nil, err
	}
	if err := x.remember(); err != nil {
		return nil, err
	}
	result, err := trainer.Run(ctx, job)
	if wrong := (*trainer.WrongError)(nil); errors.As(err, &wrong) {
		return nil, jobs.Config(shortened(err))
	}
	if err != nil {
		return nil, shortened(err)
	}
	return x.result(result, job.Init.Data), nil
}

// shortened keeps the first line of a complaint, which says what happened, and the end of what
// the program said: a job keeps twenty lines.
func shortened(err error) error {
	const most = 15
	lines := strings.Split(err.Error(), "\n")
	if len(lines) <= most+1 {
		return err
	}
	return &shortError{strings.Join(append(lines[:1:1], lines[len(lines)-most:]...), "\n"), err}
}

type shortError struct {
	text string
	err  error
}

func (e *shortError) Error() string { return e.text }
func (e *shortError) Unwrap() error { return e.err }

// job is what package trainer is given.
func (x *external) job(ctx context.Context, seed int64) (trainer.Job, error) {
	var job trainer.Job
	arch, err := x.cfg.Arch.Parse()
	if err != nil {
		return job, jobs.Config(err)
	}
	if err := x.cfg.Trainer.Check(); err != nil {
		return job, jobs.Config(err)
	}
	folder, err := x.home.Files()
	if err != nil {
		return job, err
	}
	images, shape, err := x.data(ctx)
	if err != nil {
		return job, err
	}
	device := deviceOf()
	job = trainer.Job{
		Program: x.cfg.Trainer.Program, Study: x.home.Study(), Log: os.Stderr,
		Env: threadsOf(device.Threads),
		Init: trainer.Init{
			Architecture: trainer.Architecture{Space: arch.Space(), Hash: arch.Hash(), Cell: x.cfg.Arch.Cell},
			Seed:         seed, Data: images, Parameters: x.cfg.Trainer.Parameters, Metrics: x.cfg.Trainer.Metrics,
			Device: device, Folder: folder, Checkpoint: filepath.Join(folder, "checkpoint"),
		},
		Heard: trainer.Heard{Started: x.started, Progress: x.progress, Epoch: x.epoch, Checkpoint: x.checkpoint, Restart: x.restart},
	}
	if g, ok := arch.(*space.Genotype); ok {
		job.Init.Architecture.Genotype = g.Literal()
	}
	if job.Init.Architecture.PyTorch, err = x.module(arch, shape, folder); err != nil {
		return job, err
	}
	if d, ok := x.report.(debugging); ok {
		job.Init.Debug, job.Log = d.Debugging(), d.Log()
	}
	if p, ok := x.report.(provenance); ok {
		p.RunsOn(fmt.Sprintf("%s on %s, %d threads", x.cfg.Trainer.Program.Name(), device.Kind, device.Threads))
		if images != nil && images.Digest != "" {
			p.ReadData(images.Name, images.Digest)
		}
	}
	return job, nil
}

// data is what the program is told of its data, and the shape of the images where that is known.
func (x *external) data(ctx context.Context) (*trainer.Data, data.Shape, error) {
	c := x.cfg.Trainer
	if x.cfg.Data.Name == "" {
		if c.Folder == "" {
			return nil, data.Shape{}, nil
		}
		path := c.Folder
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.Program.Folder(x.home.Study()), path)
		}
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, data.Shape{}, err
		}
		if _, err := os.Stat(path); err != nil {
			return nil, data.Shape{}, fmt.Errorf("the data of the trainer: %w", err)
		}
		return &trainer.Data{Name: filepath.Base(path), Folder: path}, data.Shape{}, nil
	}
	e, err := data.Find(x.cfg.Data)
	if err != nil {
		return nil, e.Shape, err
	}
	path, err := data.Exported(ctx, x.cfg.Data)
	return &trainer.Data{
		Name: e.Name, File: path, Digest: e.Digest, Synthetic: e.Synthetic,
		Train: e.TrainN, Test: e.TestN, Height: e.H, Width: e.W, Channels: e.C, Classes: e.Classes, Mean: e.Mean, Std: e.Std,
	}, e.Shape, err
}

// module writes the network as a module of PyTorch, as to_pytorch() does, of the size that
// the parameters channels, cells, auxiliary and classes ask for; "" where there is none.
func (x *external) module(arch space.Arch, s data.Shape, folder string) (string, error) {
	cfg := net.Config{Height: s.H, Width: s.W, Colours: s.C, Classes: s.Classes}
	for name, to := range map[string]*int{"channels": &cfg.Channels, "cells": &cfg.Cells, "classes": &cfg.Classes} {
		switch n := x.cfg.Trainer.Parameters[name].(type) {
		case int:
			*to = n
		case float64:
			*to = int(n)
		}
	}
	cfg.Auxiliary, _ = x.cfg.Trainer.Parameters["auxiliary"].(bool)
	text, err := net.ToPyTorch(arch, cfg)
	if err != nil { // the program may do without, and mean other things by these names
		fmt.Fprintf(os.Stderr, "the trainer is given no module of PyTorch: %v\n", err)
		return "", nil
	}
	path := filepath.Join(folder, "model.py")
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// deviceOf is what this process was given to compute on: the GPUs that its slots, or SLURM, let
// it see.
func deviceOf() trainer.Device {
	d := trainer.Device{Kind: "cpu", Threads: runtime.GOMAXPROCS(0)}
	for id := range strings.SplitSeq(os.Getenv("CUDA_VISIBLE_DEVICES"), ",") {
		if id = strings.TrimSpace(id); id != "" && id != "-1" && id != "NoDevFiles" {
			d.Kind, d.GPUs = "cuda", append(d.GPUs, id)
		}
	}
	return d
}

// threadsOf keeps the libraries of numbers that programs use to the threads of the job.
func threadsOf(n int) []string {
	var env []string
	for _, name := range []string{"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"} {
		env = append(env, fmt.Sprintf("%s=%d", name, n))
	}
	return env
}

// remember reads the epochs of earlier attempts.
func (x *external) remember() error {
	r, ok := x.report.(remembering)
	if !ok {
		return nil
	}
	events, err := r.Events()
	if err != nil {
		return err
	}
	for _, e := range events {
		var p train.Point
		if e.Kind == epochEvent && json.Unmarshal(e.Data, &p) == nil {
			x.add(p)
		}
	}
	return nil
}

// add keeps a point in the place of all that are not before it.
func (x *external) add(p train.Point) {
	x.curve = append(before(x.curve, p.Epoch), p)
}

// before are the points before an epoch.
func before(curve []train.Point, epoch int) []train.Point {
	for i, p := range curve {
		if p.Epoch >= epoch {
			return curve[:i]
		}
	}
	return curve
}

// started begins a curve anew, unless the program goes on from its checkpoint.
func (x *external) started(resumed bool) {
	x.began, x.first, x.spent = time.Now(), true, 0
	if !resumed {
		x.curve, x.missed = nil, ""
	}
}

func (x *external) progress(done, total int64) {
	x.done = [2]int64{done, total}
	x.tell()
}

func (x *external) tell() { x.report.Progress(int(x.done[0]), int(x.done[1]), x.values) }

func (x *external) epoch(e trainer.Epoch) error {
	if x.first {
		x.first = false
		kept := before(x.curve, e.Epoch)
		if n := len(kept); n > 0 {
			x.spent = kept[n-1].Seconds
			// Whoever has said each epoch so far does not mean to leave some out.
			if last := kept[n-1].Epoch; n == last && e.Epoch > last+1 {
				x.missed = fmt.Sprintf("the curve has no epochs %d to %d: the job was killed before it heard of them, and the program did not say them again", last+1, e.Epoch-1)
			}
		}
		x.known = map[int]float64{}
		for _, p := range x.curve {
			x.known[p.Epoch] = p.Seconds
		}
	}
	p := pointOf(e, x.spent+time.Since(x.began).Seconds())
	if seconds, again := x.known[e.Epoch]; again { // what it took is known, and starting is no part of it
		p.Seconds, x.spent = seconds, seconds
	}
	x.add(p)
	x.values = map[string]any{"epoch": e.Epoch}
	for name, key := range shownAs {
		if v, ok := e.Metrics[name]; ok {
			x.values[key] = v
		}
	}
	if total := x.cfg.Trainer.Epochs(); total > 0 && x.done[1] == 0 {
		x.report.Progress(e.Epoch, total, x.values)
	} else {
		x.tell()
	}
	_ = x.report.Event(epochEvent, p) // what cannot be shown must not end the training
	return nil
}

// shownAs are the live table's names of a program's metrics.
var shownAs = map[string]string{"train": "accuracy", objective.TrainedValid: "valid_accuracy", objective.TrainedTest: "test_accuracy", "loss": "loss", "rate": "rate"}

// pointOf is an epoch as our own engine leaves it, with all that the program measured.
func pointOf(e trainer.Epoch, seconds float64) train.Point {
	p := train.Point{Epoch: e.Epoch, Rate: e.Metrics["rate"], Loss: e.Metrics["loss"], Accuracy: e.Metrics["train"], Seconds: seconds, Metrics: e.Metrics}
	for name, to := range map[string]**float64{
		objective.TrainedValid: &p.ValidAccuracy, objective.TrainedTest: &p.TestAccuracy, "valid_loss": &p.ValidLoss, "test_loss": &p.TestLoss,
	} {
		if v, ok := e.Metrics[name]; ok {
			*to = &v
		}
	}
	return p
}

// savedEvery is how often it is noted that a program has saved itself, at most: the file is its
// own, and the note says to which epoch.
const savedEvery = time.Second

func (x *external) checkpoint(epoch int) error {
	c, ok := x.report.(interface{ Checkpoint([]byte) error })
	if !ok || !x.saved.IsZero() && time.Since(x.saved) < savedEvery {
		return nil
	}
	x.saved = time.Now()
	return c.Checkpoint(fmt.Appendf(nil, `{"epoch":%d}`, epoch))
}

func (x *external) restart(why error) error {
	fmt.Fprintf(os.Stderr, "the trainer is started again from its checkpoint: %v\n", why)
	return x.report.Event(RestartEvent, why.Error())
}

// result is what the job leaves.
func (x *external) result(r *trainer.Result, images *trainer.Data) *train.Result {
	if x.first && len(x.curve) > 0 { // all epochs were said before the program was started
		x.spent = x.curve[len(x.curve)-1].Seconds
	}
	result := &train.Result{Params: r.Parameters, Seconds: x.spent + time.Since(x.began).Seconds(), Curve: x.curve, Metrics: r.Metrics, Notes: r.Notes}
	if x.missed != "" {
		result.Notes = append(result.Notes, x.missed)
	}
	if r.Restarts > 0 {
		result.Notes = append(result.Notes, fmt.Sprintf("the program was started again %d times, from its checkpoint", r.Restarts))
	}
	if images != nil {
		result.Data, result.Synthetic = images.Digest, images.Synthetic
	}
	if v, ok := r.Metrics[objective.TrainedValid]; ok {
		result.Valid = &v
	}
	if v, ok := r.Metrics[objective.TrainedTest]; ok {
		result.Test = &v
	}
	return result
}

// PastTrainings are the seconds that the study's finished trainings by a program with these
// parameters took, to say what more of them will take.
func PastTrainings(st *jobs.Study, c *TrainerConfig) ([]float64, error) {
	all, err := st.Jobs()
	if err != nil {
		return nil, err
	}
	same := c.String()
	var seconds []float64
	for _, j := range all {
		var cfg TrainingConfig
		if j.Err != nil || j.Spec.Kind != TrainKind || json.Unmarshal(j.Spec.Config, &cfg) != nil || cfg.Trainer == nil || cfg.Trainer.Program == nil || cfg.Trainer.String() != same {
			continue
		}
		if o, err := j.Outcome(); err == nil && j.Status().State == jobs.Done {
			seconds = append(seconds, o.Seconds)
		}
	}
	return seconds, nil
}
