package nasapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/net"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/train"
)

// TrainedConfig is the training of each architecture that a search evaluates, where that is
// the objective.
type TrainedConfig struct {
	Data     data.Spec      `json:"data,omitzero"`
	Protocol train.Config   `json:"protocol,omitzero"` // of our engine, where Trainer is nil
	Trainer  *TrainerConfig `json:"trainer,omitempty"`
	// Seed is the one of every training; nil: each has its own, which follows from the
	// search's and the architecture.
	Seed *int64 `json:"seed,omitempty"`
}

// String says in words how networks are trained.
func (c *TrainedConfig) String() string {
	t := Training{Data: c.Data, Protocol: c.Protocol, Trainer: c.Trainer}
	text := fmt.Sprintf("%s on %s", t.ProtocolText(), t.DataText())
	if c.Data.Synthetic != nil {
		text += " (SYNTHETIC)"
	}
	return text
}

// completeTrained is Complete for what hangs on the objective being trainings.
func (c SearchConfig) completeTrained() (SearchConfig, error) {
	if c.Objective.Kind != objective.Trainer {
		if c.Trained != nil {
			return c, fmt.Errorf("the configuration has a training and is guided by %s", c.Objective)
		}
		return c, nil
	}
	switch {
	case c.Trained == nil:
		return c, errors.New("trained(...) needs its data and trainer: trained(cifar10(), trainer=exec(\"python3 train.py\"))")
	case c.Seconds != 0:
		return c, fmt.Errorf("seconds is %v: trained(...) trains for as long as it takes, not by a virtual clock; give budget=, the number of trainings", c.Seconds)
	}
	if t := c.Trained.Trainer; t != nil {
		if err := t.Check(); err != nil {
			return c, err
		}
	} else if err := c.checkEngine(); err != nil {
		return c, err
	}
	c.Objective.Protocol = c.Trained.String()
	return c, nil
}

// checkEngine is for trainings by our own engine.
func (c SearchConfig) checkEngine() error {
	t := c.Trained
	if t.Data.Digest == "" && t.Data.Synthetic == nil {
		return fmt.Errorf("the data set %q has no digest: resolve it first", t.Data.Name)
	}
	if m := c.Objective.Metric; m != objective.TrainedValid && m != objective.TrainedTest {
		return fmt.Errorf("metric is %.40q: without trainer= there are %q and %q", m, objective.TrainedValid, objective.TrainedTest)
	}
	return t.Protocol.Validate()
}

// trainedSeed is the seed of an architecture's training.
func (c *TrainedConfig) trainedSeed(search int64, hash string) int64 {
	if c.Seed != nil {
		return *c.Seed
	}
	return int64(rng.New(search, "trained", hash).Uint64() >> 12) // a number that JSON and all languages hold
}

// TrainingEvent is the kind of event that a training of a search leaves, with a TrainingNote.
const TrainingEvent = "training"

// TrainingNote is one training of a search: what it came to.
type TrainingNote struct {
	Hash    string             `json:"hash"`
	Seed    int64              `json:"seed"`
	Value   float64            `json:"value"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Seconds float64            `json:"seconds"`
	Notes   []string           `json:"notes,omitempty"`
}

// trainedValues are what the trainings of a search have come to. An architecture is trained
// once in a job, however often it is evaluated and however often the job is tried.
type trainedValues struct {
	run    *searchRun
	known  map[string]TrainingNote // by hash
	folder string                  // "" keeps nothing
}

// openTrained reads what earlier attempts have finished.
func (r *searchRun) openTrained() (*trainedValues, error) {
	v := &trainedValues{run: r, known: map[string]TrainingNote{}}
	home, ok := r.report.(housed)
	if !ok {
		return v, nil
	}
	var err error
	if v.folder, err = home.Files(); err != nil {
		return nil, err
	}
	f, err := os.Open(v.path())
	if errors.Is(err, os.ErrNotExist) {
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var n TrainingNote
		// A line that was cut short is of a training that is not finished.
		if json.Unmarshal(lines.Bytes(), &n) == nil && n.Hash != "" {
			v.known[n.Hash] = n
		}
	}
	return v, lines.Err()
}

// openTraining makes the objective of trainings.
func (r *searchRun) openTraining() error {
	v, err := r.openTrained()
	if err != nil {
		return err
	}
	r.obj = objective.OfTrainer(r.cfg.Objective, func(a space.Arch) (float64, error) { return v.value(r.ctx, a) })
	return nil
}

func (v *trainedValues) path() string { return filepath.Join(v.folder, "trainings.jsonl") }

// value is the metric of an architecture's training.
func (v *trainedValues) value(ctx context.Context, a space.Arch) (float64, error) {
	hash := a.Hash()
	if n, ok := v.known[hash]; ok {
		return n.Value, nil
	}
	cfg := v.run.cfg.Trained
	arch, err := newArchSpec(a)
	if err != nil {
		return 0, err
	}
	seed := cfg.trainedSeed(v.run.seed, hash)
	one := &oneTraining{values: v, hash: hash, folder: filepath.Join(v.folder, "training")}
	if err := one.begin(); err != nil {
		return 0, err
	}
	began := time.Now()
	result, err := RunTraining(ctx, TrainingConfig{Arch: arch, Data: cfg.Data, Protocol: cfg.Protocol, Trainer: cfg.Trainer}, seed, one)
	if err != nil {
		if diverged := (*train.DivergedError)(nil); errors.As(err, &diverged) {
			err = jobs.Config(err)
		}
		return 0, fmt.Errorf("training seed %d: %w", seed, err)
	}
	n := TrainingNote{Hash: hash, Seed: seed, Metrics: result.Metrics, Seconds: time.Since(began).Seconds(), Notes: result.Notes}
	if n.Value, err = metricOf(result, v.run.cfg.Objective.Metric); err != nil {
		return 0, jobs.Config(err)
	}
	v.known[hash] = n
	if err := v.keep(n); err != nil {
		return 0, err
	}
	return n.Value, one.end()
}

// metricOf is the metric of a result that guides a search.
func metricOf(r *train.Result, metric string) (float64, error) {
	if v, ok := r.Metrics[metric]; ok {
		return v, nil
	}
	v := r.Test
	if metric == objective.TrainedValid {
		v = r.Valid
	}
	if v == nil || math.IsNaN(*v) {
		return 0, fmt.Errorf("the training has no %s images: give it some, or another metric=", metric)
	}
	return *v, nil
}

// keep writes a finished training where the next attempt finds it, and tells of it.
func (v *trainedValues) keep(n TrainingNote) error {
	if v.folder != "" {
		if err := appendLine(v.path(), n); err != nil {
			return err
		}
		if c, ok := v.run.report.(interface{ Checkpoint([]byte) error }); ok {
			// With it the job counts as one that goes on from what it has.
			if err := c.Checkpoint(fmt.Appendf(nil, `{"trainings":%d}`, len(v.known))); err != nil {
				return err
			}
		}
	}
	if v.run.report == nil {
		return nil
	}
	return v.run.report.Event(TrainingEvent, n)
}

// appendLine adds a line of JSON that is on the disk when it returns. A line before it that was
// cut short is ended.
func appendLine(path string, v any) (err error) {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(append(append([]byte("\n"), text...), '\n')); err != nil {
		return err
	}
	return f.Sync()
}

// oneTraining is who hears of a training within a search: its progress is shown as the
// search's.
type oneTraining struct {
	values *trainedValues
	hash   string
	folder string
}

// begin makes the training's folder. What is there of another architecture is removed; of the
// same one the program goes on.
func (o *oneTraining) begin() error {
	if o.values.folder == "" {
		return nil
	}
	name := filepath.Join(o.folder, "architecture")
	if text, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(text)) == o.hash {
		return nil
	}
	if err := o.end(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(o.hash+"\n"), 0o644)
}

// end removes the training's files: what it came to is kept.
func (o *oneTraining) end() error {
	if o.values.folder == "" {
		return nil
	}
	return os.RemoveAll(o.folder)
}

func (o *oneTraining) Study() string {
	if h, ok := o.values.run.report.(Homely); ok {
		return h.Study()
	}
	return ""
}

func (o *oneTraining) Files() (string, error) {
	if o.values.folder == "" {
		return "", errors.New("a trainer of one's own needs a folder to work in, which a job has")
	}
	return o.folder, nil
}

func (o *oneTraining) Debugging() bool {
	d, ok := o.values.run.report.(debugging)
	return ok && d.Debugging()
}

// Log is where a program's standard error goes.
func (o *oneTraining) Log() io.Writer {
	if d, ok := o.values.run.report.(debugging); ok {
		return d.Log()
	}
	return os.Stderr
}

func (o *oneTraining) Event(kind string, payload any) error {
	if kind == epochEvent || o.values.run.report == nil { // a search has thousands
		return nil
	}
	return o.values.run.report.Event(kind, payload)
}

func (o *oneTraining) Progress(_, _ int, values map[string]any) {
	r := o.values.run
	if r.report == nil {
		return
	}
	shown := map[string]any{"doing": "training", "training": o.hash}
	if e, ok := values["epoch"]; ok {
		shown["epoch"] = e
	}
	if r.best != nil {
		shown["incumbent"], shown["hash"] = r.trace[len(r.trace)-1].Value, r.best.Hash()
	}
	r.report.Progress(r.evaluations, r.cfg.Budget, shown)
}

// Checkpoint has nothing to keep: a program's file is its own, and a training by our engine is
// begun again.
func (o *oneTraining) Checkpoint([]byte) error {
	r := o.values.run
	if c, ok := r.report.(interface{ Checkpoint([]byte) error }); ok && r.cfg.Trained.Trainer != nil {
		return c.Checkpoint(fmt.Appendf(nil, `{"trainings":%d}`, len(o.values.known)))
	}
	return nil
}

func (o *oneTraining) Restore() ([]byte, error) { return nil, nil }

func (o *oneTraining) ReadData(name, digest string) {
	if p, ok := o.values.run.report.(provenance); ok {
		p.ReadData(name, digest)
	}
}

func (o *oneTraining) RunsOn(device string) {
	if p, ok := o.values.run.report.(provenance); ok {
		p.RunsOn(device)
	}
}

// EngineProtocol is the protocol of our engine for the architectures of a space, with numbers
// replaced by name.
func EngineProtocol(sp space.Space, set *data.Set, numbers map[string]any) (train.Config, error) {
	a := sp.Sample(rng.New(0, "trained", "protocol"))
	if _, err := net.Measure(a, net.Config{}); err != nil {
		return train.Config{}, fmt.Errorf("the networks of %s cannot be trained by this program's engine (%w): give trainer=exec(...)", sp, err)
	}
	c, err := train.ProtocolFor(a, set).Override(numbers)
	if err != nil {
		return c, err
	}
	return c, c.Validate()
}
