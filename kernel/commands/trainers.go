package commands

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	lib "go.starlark.net/starlark"

	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
)

// trainerArg reads trainer=: the program and what its jobs are told.
func (e *Env) trainerArg(c *starlark.Call, rest string) (*programValue, *nasapi.TrainerConfig, data.Spec, error) {
	none := data.Spec{}
	program, ok := c.Value("trainer").(*programValue)
	if !ok {
		return nil, nil, none, named(c, "TypeError", "trainer is %s: give a program, such as exec(\"python3 train.py\")", c.Value("trainer").Type())
	}
	cfg := &nasapi.TrainerConfig{Program: program.program}
	parameters, err := policyParams(c, rest)
	if err != nil {
		return nil, nil, none, err
	}
	if len(parameters) > 0 {
		cfg.Parameters = parameters
	}
	spec, folder, err := e.trainerData(c)
	if err != nil {
		return nil, nil, none, err
	}
	cfg.Folder = folder
	if err := cfg.Check(); err != nil {
		return nil, nil, none, c.Errorf("%w", err)
	}
	return program, cfg, spec, nil
}

// trainerData is what a program trains on: a set, a folder of the user's or its own affair.
func (e *Env) trainerData(c *starlark.Call) (data.Spec, string, error) {
	if c.IsNone("data") {
		return data.Spec{}, "", nil
	}
	if path, ok := lib.AsString(c.Value("data")); ok {
		if info, err := os.Stat(e.path(path)); path != "" && err == nil && (info.IsDir() || strings.ContainsAny(path, `/\.`)) {
			return data.Spec{}, filepath.ToSlash(filepath.Clean(path)), nil
		}
		d, err := resolved(c, path)
		if err != nil {
			return data.Spec{}, "", fmt.Errorf("%w (and there is no file or folder %s, which a trainer would take, too)", err, e.path(path))
		}
		return d.(*dataValue).entry.Spec(), "", nil
	}
	d, ok := c.Value("data").(*dataValue)
	if !ok {
		return data.Spec{}, "", named(c, "TypeError", "data is %s: give images, such as cifar10(), the path of a folder, or None where the trainer has its own", c.Value("data").Type())
	}
	return d.entry.Spec(), "", nil
}

// runTrainer is train(...) by a program of one's own.
func (e *Env) runTrainer(c *starlark.Call) (lib.Value, error) {
	var req nasapi.TrainingRequest
	if err := trainedArchs(c, &req); err != nil {
		return nil, err
	}
	program, cfg, spec, err := e.trainerArg(c, "protocol")
	if err != nil {
		return nil, err
	}
	if c.Given("show_test") {
		return nil, c.Errorf("show_test is for training without trainer=: a program says of test images what it likes")
	}
	req.Trainer, req.Data = cfg, spec
	if err := req.Check(); err != nil {
		return nil, c.Errorf("%w", err)
	}
	if req.On, err = e.placeOf(c, program); err != nil {
		return nil, err
	}
	if debug, err := c.Bool("debug"); err != nil || debug {
		if err != nil {
			return nil, err
		}
		return e.debugTrainer(c, req)
	}
	return e.startTraining(c, req, func(st *jobs.Study) error { return announceTrainer(c, st, req) })
}

// announceTrainer says what trainings by a program will take, as far as finished ones tell.
func announceTrainer(c *starlark.Call, st *jobs.Study, req nasapi.TrainingRequest) error {
	left, err := req.Unfinished(st)
	if err != nil {
		return c.Errorf("%w", err)
	}
	all := len(req.Archs) * len(req.Seeds)
	if len(left) == 0 {
		say(c, "%d networks, all trained before", all)
		return nil
	}
	text, total, err := trainerCost(c, st, req.Trainer, req.On, len(left))
	if err != nil {
		return err
	}
	text = fmt.Sprintf("%s by %s: %s", networks(len(left)), req.Trainer.Program, text)
	if len(left) < all {
		text += fmt.Sprintf("; %d are trained already", all-len(left))
	}
	say(c, "%s", text)
	return confirm(c, req.On, total, "fewer epochs or architectures")
}

func networks(n int) string {
	if n == 1 {
		return "1 network"
	}
	return count(int64(n)) + " networks"
}

// trainerCost is what n trainings take if they take what finished ones took.
func trainerCost(c *starlark.Call, st *jobs.Study, t *nasapi.TrainerConfig, on jobs.Place, n int) (string, time.Duration, error) {
	past, err := nasapi.PastTrainings(st, t)
	if err != nil {
		return "", 0, c.Errorf("%w", err)
	}
	if len(past) == 0 {
		return "how long one takes is known when the first with these parameters has ended", 0, nil
	}
	sum := 0.0
	for _, s := range past {
		sum += s
	}
	each := time.Duration(sum / float64(len(past)) * float64(time.Second))
	total := each * time.Duration(n)
	text := fmt.Sprintf("%s each, as %s took that ended before", aboutText(each), networks(len(past)))
	room, err := on.Room()
	if err != nil {
		return "", 0, c.Errorf("%w", err)
	}
	if room.AtATime > 0 && n > 1 {
		text += fmt.Sprintf("; %s in all", aboutText(each*time.Duration((n+room.AtATime-1)/room.AtATime)))
	}
	return text, total, nil
}

// debugTrainer runs the program for the first architecture in the cell.
func (e *Env) debugTrainer(c *starlark.Call, req nasapi.TrainingRequest) (lib.Value, error) {
	cfg, err := nasapi.ConfigOfTraining(req, 0)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if cfg.Trainer.Epochs() > 1 {
		parameters := maps.Clone(cfg.Trainer.Parameters)
		parameters["epochs"] = 1
		less := *cfg.Trainer
		less.Parameters, cfg.Trainer = parameters, &less
	}
	dir, err := os.MkdirTemp("", "evalnas-debug-")
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	defer os.RemoveAll(dir)
	say(c, "debug: %s, seed %d, %s", label(req.Archs[0]), req.Seeds[0], cfg.Trainer)
	result, err := nasapi.RunTraining(c.Ctx, cfg, req.Seeds[0], &debugTrainer{debugHome: debugHome{c, e.path(e.defaultStudy()), dir}})
	if err != nil {
		if what, _, said := strings.Cut(err.Error(), "; it said last:\n"); said {
			return nil, c.Errorf("%s; its standard error is above", what)
		}
		return nil, c.Errorf("%w", err)
	}
	return toValue(result)
}

// debugTrainer writes what a program says, and its standard error, into the cell.
type debugTrainer struct {
	debugHome
	told string
}

func (d *debugTrainer) Restore() ([]byte, error) { return nil, nil }
func (d *debugTrainer) Event(string, any) error  { return nil }
func (d *debugTrainer) Checkpoint([]byte) error {
	say(d.call, "checkpoint written")
	return nil
}

func (d *debugTrainer) Progress(done, total int, values map[string]any) {
	text := fmt.Sprintf("step %d of %d", done, total)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text += fmt.Sprintf(", %s %v", strings.ReplaceAll(name, "_", " "), values[name])
	}
	if text != d.told {
		d.told = text
		say(d.call, "%s", text)
	}
}

// cellLog is a cell's standard error.
type cellLog struct{ call *starlark.Call }

func (l cellLog) Write(b []byte) (int, error) {
	l.call.Cell.Out.Stream("stderr", string(b))
	return len(b), nil
}

// trainedValue is the objective trained(...).
type trainedValue struct {
	immutable
	unhashable
	program *programValue // nil for our engine
	trainer *nasapi.TrainerConfig
	data    data.Spec
	entry   data.Entry // of our engine
	numbers map[string]any
	metric  string
	seed    *int64
}

func (t *trainedValue) Type() string { return "objective" }

func (t *trainedValue) String() string {
	cfg := nasapi.TrainedConfig{Data: t.data, Trainer: t.trainer}
	if t.trainer == nil {
		return fmt.Sprintf("trained(%s, metric=%q)", t.data.Name, t.metric)
	}
	return fmt.Sprintf("trained(%s, metric=%q)", &cfg, t.metric)
}

// config is the objective in a space.
func (t *trainedValue) config(sp space.Space) (objective.Spec, *nasapi.TrainedConfig, error) {
	cfg := &nasapi.TrainedConfig{Data: t.data, Trainer: t.trainer, Seed: t.seed}
	spec := objective.Spec{Kind: objective.Trainer, Metric: t.metric}
	if t.trainer != nil {
		// The metric is promised: a result without it ends the search with clear words.
		own := *t.trainer
		own.Metrics = []string{t.metric}
		cfg.Trainer = &own
		return spec, cfg, nil
	}
	var err error
	cfg.Protocol, err = nasapi.EngineProtocol(sp, t.entry.Set(), t.numbers)
	return spec, cfg, err
}

func (e *Env) trainerCommands() []*starlark.Command {
	return []*starlark.Command{{
		Name: "trained",
		Params: []starlark.Param{
			{Name: "data", Type: "data", Doc: "the images: `cifar10()`, `synthetic()`; for a trainer of your own also the path of a folder, or None"},
			{Name: "trainer", KeywordOnly: true, Default: lib.None, Type: "program", Doc: "a program of your own that trains, `exec(\"python3 train.py\", gpus=1)`; None: the engine of this program, on processors"},
			{Name: "metric", KeywordOnly: true, Default: lib.String(objective.TrainedValid), Type: "str", Doc: "which metric of a training's result guides the search; \"test\" makes it an oracle"},
			{Name: "seed", KeywordOnly: true, Default: lib.None, Type: "int", Doc: "of every training; None: each has its own, which follows from the search's and the architecture"},
			{Name: "parameters", Rest: true, Doc: "parameters of the trainer, or numbers of the protocol, such as epochs=10"},
		},
		Doc: `A training of each architecture as an objective: what its metric comes to guides the search.

Each evaluation trains a network, within the search's job: by a program of your own, or by the
engine of train(...). An architecture that comes again is not trained again; it counts against the
budget all the same. What was trained is kept, so a search that is killed goes on without training
it again. The policy hears of the metric and of nothing else.

    mine = exec("python3 train.py", gpus=1)
    found = search("evolution", darts_space(), trained(cifar10(), trainer=mine, epochs=10), seeds=range(3), budget=50)`,
		Run: e.runTrained,
	}}
}

func (e *Env) runTrained(c *starlark.Call) (lib.Value, error) {
	t := &trainedValue{unhashable: unhashable{"objective"}}
	var err error
	if t.metric, err = c.String("metric"); err != nil {
		return nil, err
	}
	if t.metric == "" {
		return nil, c.Errorf("metric is empty: name a metric of the result, such as %q", objective.TrainedValid)
	}
	if !c.IsNone("seed") {
		seed, err := c.Int64("seed")
		if err != nil {
			return nil, err
		}
		t.seed = &seed
	}
	if !c.IsNone("trainer") {
		t.program, t.trainer, t.data, err = e.trainerArg(c, "parameters")
		return t, err
	}
	if t.entry, err = dataArg(c, "data"); err != nil {
		return nil, err
	}
	t.data = t.entry.Spec()
	t.numbers, err = policyParams(c, "parameters")
	return t, err
}

// announceTrained says what a search will take whose objective is trainings.
func announceTrained(c *starlark.Call, st *jobs.Study, req nasapi.SearchRequest, done int) error {
	text := fmt.Sprintf("%s: %s, up to %s trainings each", req.Policy, seedCount(len(req.Seeds)), count(int64(req.Budget)))
	var total time.Duration
	if req.Trained.Trainer != nil {
		cost, all, err := trainerCost(c, st, req.Trained.Trainer, req.On, len(req.Seeds)*req.Budget)
		if err != nil {
			return err
		}
		text, total = text+"; "+cost, all
	}
	if done > 0 {
		text += fmt.Sprintf("; %d done already", done)
	}
	say(c, "%s", text)
	return confirm(c, req.On, total, "a smaller budget, fewer epochs or seeds")
}
