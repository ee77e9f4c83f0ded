package nasapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"evalnas/nasapi/child"
	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn/device"
	"evalnas/nasapi/space"
	"evalnas/nasapi/train"
	"evalnas/nasapi/train/tensorboard"
)

// TrainKind is the kind of job that TrainHandler runs.
const TrainKind = "train"

// ConfigOfTraining is the configuration of the i-th architecture's job.
func ConfigOfTraining(r TrainingRequest, i int) (TrainingConfig, error) {
	arch, err := newArchSpec(r.Archs[i].Arch)
	cfg := TrainingConfig{Arch: arch, Data: r.Data, Protocol: r.Protocol, Trainer: r.Trainer}
	cfg.Protocol.Seed = 0
	return cfg, err
}

// spec is the job of a seed.
func (c TrainingConfig) spec(seed int64) (jobs.Spec, error) {
	raw, err := json.Marshal(c)
	return jobs.Spec{Kind: TrainKind, Numerics: c.numerics(), Seed: seed, Config: raw}, err
}

// numerics is the version of what a training's result hangs on: our engine, or what a program
// of one's own is told.
func (c TrainingConfig) numerics() int {
	if c.Trainer != nil {
		return child.Protocol
	}
	return EngineNumerics
}

// MaxTrainings is how many jobs one training may have.
const MaxTrainings = 10_000

// TrainingConfig is one job's configuration: together with a seed it decides the
// result.
type TrainingConfig struct {
	Arch     ArchSpec     `json:"arch"`
	Data     data.Spec    `json:"data,omitzero"`
	Protocol train.Config `json:"protocol,omitzero"` // its seed is the job's
	// Trainer trains instead of our engine; then there is no Protocol, and Data may be none.
	Trainer *TrainerConfig `json:"trainer,omitempty"`
}

// ArchSpec is an architecture in a configuration.
type ArchSpec struct {
	Space string          `json:"space"` // "nasbench101", "darts" or "cells"
	Cell  json.RawMessage `json:"cell"`
}

func newArchSpec(a space.Arch) (ArchSpec, error) {
	raw, err := a.MarshalJSON()
	return ArchSpec{Space: a.Space(), Cell: raw}, err
}

// Parse reads it back.
func (s ArchSpec) Parse() (space.Arch, error) { return space.ParseArch(s.Space, s.Cell) }

// trainingBatch is what a training's batch of jobs keeps for whoever attaches: one
// entry for each job, in order.
type trainingBatch struct {
	Data     data.Spec      `json:"data,omitzero"`
	Protocol train.Config   `json:"protocol,omitzero"`
	Trainer  *TrainerConfig `json:"trainer,omitempty"`
	Runs     []trainingRun  `json:"trainings"`
}

type trainingRun struct {
	Arch      ArchSpec `json:"arch"`
	FoundSeed int64    `json:"found_seed"`
	Origin    Origin   `json:"origin"`
	Seed      int64    `json:"seed"`
}

// config is a job's configuration.
func (b trainingBatch) config(arch ArchSpec) TrainingConfig {
	return TrainingConfig{Arch: arch, Data: b.Data, Protocol: b.Protocol, Trainer: b.Trainer}
}

// Training is a started training: a handle on one job for each architecture and seed.
type Training struct {
	Data     data.Spec
	Protocol train.Config   // of every job, but for its seed
	Trainer  *TrainerConfig // nil for our engine; else Protocol is empty
	Trained  []Trained

	batch *jobs.BatchHandle
	ids   []string // of the jobs of Trained

	mu     sync.Mutex
	curves map[string]*curve // of jobs that have not ended, by id
}

// Trained is one job of a training: an architecture, which remembers where it came
// from, and the seed of its weights and batches.
type Trained struct {
	Found
	TrainSeed int64
}

// TrainingRequest is what StartTraining starts.
type TrainingRequest struct {
	Archs    []Found
	Data     data.Spec
	Protocol train.Config
	Trainer  *TrainerConfig // if not nil it trains, without Protocol
	Seeds    []int64        // of training, for every architecture
	Fresh    bool           // starts finished jobs anew
	On       jobs.Place
}

// Check says what is wrong with a request, before anything is measured or submitted.
func (r TrainingRequest) Check() error {
	if len(r.Archs) == 0 {
		return errors.New("there is no architecture to train: give one, or a list such as found.selected")
	}
	if err := CheckSeeds(r.Seeds); err != nil {
		return err
	}
	if n := len(r.Archs) * len(r.Seeds); n > MaxTrainings {
		return fmt.Errorf("%d architectures under %d seeds are %d trainings: at most %d are allowed", len(r.Archs), len(r.Seeds), n, MaxTrainings)
	}
	if r.Trainer != nil {
		return r.Trainer.Check()
	}
	if err := r.Protocol.Validate(); err != nil {
		return err
	}
	if r.Data.Digest == "" && r.Data.Synthetic == nil {
		return fmt.Errorf("the data set %q has no digest: resolve it first", r.Data.Name)
	}
	return nil
}

// specs are the jobs of a request, each once, and what their batch keeps.
func (r TrainingRequest) specs() (specs []jobs.Spec, batch trainingBatch, err error) {
	batch = trainingBatch{Data: r.Data, Protocol: r.Protocol, Trainer: r.Trainer}
	batch.Protocol.Seed = 0
	known := map[string]bool{}
	for _, seed := range r.Seeds {
		for i, found := range r.Archs {
			cfg, err := ConfigOfTraining(r, i)
			if err != nil {
				return nil, batch, fmt.Errorf("train: write %v: %w", found.Arch, err)
			}
			spec, err := cfg.spec(seed)
			if err != nil {
				return nil, batch, fmt.Errorf("train: write the configuration: %w", err)
			}
			batch.Runs = append(batch.Runs, trainingRun{cfg.Arch, found.Seed, found.Origin, seed})
			if id := spec.ID(); !known[id] {
				known[id] = true
				specs = append(specs, spec)
			}
		}
	}
	return specs, batch, nil
}

// Unfinished are the request's jobs that the study does not have done: of each the place of
// its architecture in Archs.
func (r TrainingRequest) Unfinished(st *jobs.Study) (archs []int, err error) {
	specs, batch, err := r.specs()
	if err != nil {
		return nil, err
	}
	left := specs
	if !r.Fresh {
		if left, err = unfinished(st, specs); err != nil {
			return nil, err
		}
	}
	open := map[string]bool{}
	for _, s := range left {
		open[s.ID()] = true
	}
	for i, run := range batch.Runs {
		spec, err := batch.config(run.Arch).spec(run.Seed)
		if err != nil {
			return nil, err
		}
		if id := spec.ID(); open[id] {
			delete(open, id) // an architecture that is given twice is trained once
			archs = append(archs, i%len(r.Archs))
		}
	}
	return archs, nil
}

// StartTraining submits one job for each architecture and seed and returns at once. A
// job that the study already has is not run again: it is finished, running or resumed.
// An architecture that is given twice is trained once.
func StartTraining(st *jobs.Study, r TrainingRequest) (*Training, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	specs, batch, err := r.specs()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(batch)
	if err != nil {
		return nil, fmt.Errorf("train: write the configuration: %w", err)
	}
	h, err := st.Submit(jobs.Batch{Title: "train", Config: raw, Specs: specs, Fresh: r.Fresh, On: r.On, UsesGPUs: r.Trainer != nil})
	if err != nil {
		return nil, err
	}
	return openTraining(batch, h)
}

// IsTraining tells a training's batch of jobs from a search's.
func IsTraining(batch *jobs.BatchHandle) bool {
	var b trainingBatch
	return json.Unmarshal(batch.Config, &b) == nil && len(b.Runs) > 0
}

// AttachTraining finds a training again from its batch of jobs.
func AttachTraining(batch *jobs.BatchHandle) (*Training, error) {
	var b trainingBatch
	if err := json.Unmarshal(batch.Config, &b); err != nil {
		return nil, fmt.Errorf("attach %s: its configuration is damaged: %w", batch.ID, err)
	}
	t, err := openTraining(b, batch)
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", batch.ID, err)
	}
	return t, nil
}

func openTraining(b trainingBatch, h *jobs.BatchHandle) (*Training, error) {
	t := &Training{Data: b.Data, Protocol: b.Protocol, Trainer: b.Trainer, batch: h, curves: map[string]*curve{}}
	for _, r := range b.Runs {
		a, err := r.Arch.Parse()
		if err != nil {
			return nil, err
		}
		spec, err := b.config(r.Arch).spec(r.Seed)
		if err != nil {
			return nil, err
		}
		t.Trained = append(t.Trained, Trained{Found{a, r.FoundSeed, r.Origin}, r.Seed})
		t.ids = append(t.ids, spec.ID())
	}
	return t, nil
}

// ProtocolText says in a line how the networks are trained.
func (t *Training) ProtocolText() string {
	if t.Trainer != nil {
		return t.Trainer.String()
	}
	return t.Protocol.String()
}

// DataText is what they are trained on.
func (t *Training) DataText() string {
	if t.Trainer != nil {
		return t.Trainer.dataText(t.Data)
	}
	return t.Data.Name
}

// Epochs is how many a network is trained for, 0 where that is a program's own affair.
func (t *Training) Epochs() int {
	if t.Trainer != nil {
		return t.Trainer.Epochs()
	}
	return t.Protocol.Epochs
}

// ID identifies the training in its study.
func (t *Training) ID() string { return t.batch.ID }

// Study is the study that the training belongs to.
func (t *Training) Study() *jobs.Study { return t.batch.Study() }

// Jobs returns the jobs; architectures that are the same share one.
func (t *Training) Jobs() []*jobs.Job { return t.batch.Jobs() }

// Wait returns when every job is done, failed or cancelled, or ctx ends. The jobs go
// on when the waiting ends.
func (t *Training) Wait(ctx context.Context) error { return t.batch.Wait(ctx) }

// Cancel stops the jobs that have not finished.
func (t *Training) Cancel() error { return t.batch.Cancel() }

// Statuses returns the state of each job, in the order of Jobs. The error says that
// jobs wait and no runner could be started for them.
func (t *Training) Statuses() ([]jobs.Status, error) { return t.batch.Statuses() }

// TrainedRun is one entry of Trained as it stands.
type TrainedRun struct {
	Trained
	Job    *jobs.Job
	Status jobs.Status
	Result *train.Result // nil unless the job is done
	Curve  []train.Point // of what is done so far
}

// Runs reads every entry's state, curve and result. A result that cannot be read is
// an error of that run's Status, never of the others.
func (t *Training) Runs() []TrainedRun {
	byID := map[string]*jobs.Job{}
	for _, j := range t.Jobs() {
		byID[j.ID] = j
	}
	out := make([]TrainedRun, len(t.Trained))
	for i, trained := range t.Trained {
		out[i] = TrainedRun{Trained: trained}
		if j := byID[t.ids[i]]; j != nil {
			out[i].read(j, t)
			continue
		}
		out[i].Status = jobs.Status{State: jobs.Failed, Error: fmt.Sprintf("job %s is not in the training", t.ids[i])}
	}
	return out
}

func (r *TrainedRun) read(j *jobs.Job, t *Training) {
	r.Job, r.Status = j, j.Status()
	if r.Status.State != jobs.Done {
		r.Curve = t.curveOf(j)
		return
	}
	raw, err := j.Result()
	if err == nil {
		r.Result = &train.Result{}
		err = json.Unmarshal(raw, r.Result)
	}
	if err != nil {
		r.Status.State, r.Status.Error, r.Result = jobs.Failed, fmt.Sprintf("result of job %s is damaged: %v", j.ID, err), nil
		return
	}
	r.Curve = r.Result.Curve
}

// epochEvent is the kind of event that an epoch leaves.
const epochEvent = "epoch"

// curve is what was read of a job's epochs so far.
type curve struct {
	after   int64 // bytes of its events
	byEpoch map[int]train.Point
}

// curveOf is the epochs so far, off a job's events: those that came since it was last
// asked. An attempt that went on from a checkpoint writes some of them again, with the
// same values.
func (t *Training) curveOf(j *jobs.Job) []train.Point {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.curves[j.ID]
	if c == nil {
		c = &curve{byEpoch: map[int]train.Point{}}
		t.curves[j.ID] = c
	}
	// Where there are no events yet the job's state says what is wrong, if anything is.
	if events, after, err := j.Events(c.after); err == nil {
		if after < c.after { // the job was begun anew
			clear(c.byEpoch)
		}
		c.after = after
		for _, e := range events {
			var p train.Point
			if e.Kind == epochEvent && json.Unmarshal(e.Data, &p) == nil {
				c.byEpoch[p.Epoch] = p
			}
		}
	}
	points := slices.Collect(maps.Values(c.byEpoch))
	slices.SortFunc(points, func(a, b train.Point) int { return a.Epoch - b.Epoch })
	return points
}

// Reporting is what a training's reports go to; a jobs.Task is one.
type Reporting interface {
	Reporter
	Checkpoint(data []byte) error
	Restore() ([]byte, error)
}

// Keeper is a Reporting that also wants the trained network.
type Keeper interface {
	Keep(n *net.Network) error
}

// provenance is a Reporting that keeps where a result came from; a jobs.Task is one.
type provenance interface {
	ReadData(name, digest string)
	RunsOn(device string)
}

// CheckpointVariable names the environment variable that has the longest time of training
// that an end without warning costs: 30s or 5m. By default it is a minute; 0s saves after
// every epoch. Where a checkpoint takes seconds, as those of large supernets do, it is
// longer: see shared.Job.
const CheckpointVariable = "EVALNAS_CHECKPOINT_EVERY"

// checkpointEvery reads it.
func checkpointEvery() (time.Duration, error) {
	text := os.Getenv(CheckpointVariable)
	if text == "" {
		return time.Minute, nil
	}
	every, err := time.ParseDuration(text)
	if err != nil || every < 0 {
		return 0, jobs.Config(fmt.Errorf("%s is %q: set it to the time between two checkpoints, such as 30s or 5m, or to 0s for one after every epoch", CheckpointVariable, text))
	}
	return every, nil
}

// TrainHandler trains one architecture under one seed in a worker process.
func TrainHandler(ctx context.Context, t *jobs.Task) (any, error) {
	var cfg TrainingConfig
	if err := json.Unmarshal(t.Spec.Config, &cfg); err != nil {
		return nil, jobs.Config(fmt.Errorf("train: the configuration is damaged: %w", err))
	}
	if n := cfg.numerics(); t.Spec.Numerics != n {
		return nil, jobs.Config(fmt.Errorf("train: the job was made for numerics version %d, this build has %d: submit the training again", t.Spec.Numerics, n))
	}
	result, err := RunTraining(ctx, cfg, t.Spec.Seed, t)
	if diverged := (*train.DivergedError)(nil); errors.As(err, &diverged) {
		return nil, jobs.Config(err) // a second attempt would end the same way
	}
	return result, err
}

// RunTraining trains one architecture in this process; the result is the one that a
// job would have. report may be nil: then there is no checkpoint either.
func RunTraining(ctx context.Context, cfg TrainingConfig, seed int64, report Reporting) (_ *train.Result, err error) {
	if cfg.Trainer != nil {
		return runExternal(ctx, cfg, seed, report)
	}
	arch, err := cfg.Arch.Parse()
	if err != nil {
		return nil, jobs.Config(err)
	}
	set, err := data.Open(ctx, cfg.Data)
	if err != nil {
		return nil, err
	}
	if err := cfg.Protocol.Fits(set.Shape); err != nil {
		return nil, jobs.Config(err)
	}
	dev, err := device.Open(0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	if p, ok := report.(provenance); ok {
		p.ReadData(set.Name, set.Digest)
		p.RunsOn(dev.Name())
	}
	job := train.Job{Device: dev, Arch: arch, Data: set, Config: cfg.Protocol}
	job.Config.Seed = seed
	if report != nil {
		if job.Every, err = checkpointEvery(); err != nil {
			return nil, err
		}
		if job.Restore, err = report.Restore(); err != nil {
			return nil, err
		}
		told := &trainReports{to: report}
		job.Save, job.Report = report.Checkpoint, told.report
		if k, ok := report.(Keeper); ok {
			job.Done = k.Keep
		}
	}
	return train.Run(ctx, job)
}

// trainReports turns the progress of a training into that of a job.
type trainReports struct {
	to     Reporting
	epochs int // whose points were told
}

func (r *trainReports) report(p train.Progress) {
	values := map[string]any{
		"epoch": p.Epoch + 1, "loss": p.Loss, "accuracy": p.Accuracy, "rate": p.Rate, "images_per_second": p.ImagesASecond,
	}
	if last := p.Last; last != nil {
		if last.ValidAccuracy != nil {
			values["valid_accuracy"] = *last.ValidAccuracy
		}
		if last.TestAccuracy != nil {
			values["test_accuracy"] = *last.TestAccuracy
		}
		if last.Epoch > r.epochs {
			r.epochs = last.Epoch
			// What cannot be shown must not end the training.
			_ = r.to.Event(epochEvent, last)
		}
	}
	r.to.Progress(p.Epoch*p.Steps+p.Step, p.Epochs*p.Steps, values)
}

// TensorBoard writes the curves so far as TensorBoard's event files: a folder in dir for
// each network, named after where its architecture came from and its seed of training.
func (t *Training) TensorBoard(dir string) error {
	for _, r := range t.Runs() {
		if err := WriteTensorBoard(filepath.Join(dir, r.folder()), r.Status.Started, r.Curve); err != nil {
			return err
		}
	}
	return nil
}

// folder is a name for the run that no other run of the training has.
func (r Trained) folder() string {
	name := r.Hash()[:8]
	if r.Origin.Policy != "" {
		name = fmt.Sprintf("%s_%d_%s", r.Origin.Policy, r.Seed, name)
	}
	return fmt.Sprintf("%s_seed_%d", name, r.TrainSeed)
}

// WriteTensorBoard writes a training's curve, begun at a time, as an event file in dir.
func WriteTensorBoard(dir string, began time.Time, curve []train.Point) error {
	var all []tensorboard.Scalar
	for _, p := range curve {
		at := began.Add(time.Duration(p.Seconds * float64(time.Second)))
		add := func(tag string, v *float64) {
			if v != nil {
				all = append(all, tensorboard.Scalar{Tag: tag, Step: int64(p.Epoch), Time: at, Value: *v})
			}
		}
		if p.Metrics != nil { // all that a program of one's own said
			for _, name := range slices.Sorted(maps.Keys(p.Metrics)) {
				add(name, new(p.Metrics[name]))
			}
			continue
		}
		add("rate", &p.Rate)
		add("train/loss", &p.Loss)
		add("train/accuracy", &p.Accuracy)
		add("valid/loss", p.ValidLoss)
		add("valid/accuracy", p.ValidAccuracy)
		add("test/loss", p.TestLoss)
		add("test/accuracy", p.TestAccuracy)
	}
	return tensorboard.Write(dir, all)
}
