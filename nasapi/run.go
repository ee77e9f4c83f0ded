package nasapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"time"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// progressEvery is how often a running search reports, at most.
const progressEvery = 250 * time.Millisecond

// SearchHandler runs one seed of a search in a worker process.
func SearchHandler(ctx context.Context, t *jobs.Task) (any, error) {
	var cfg SearchConfig
	if err := json.Unmarshal(t.Spec.Config, &cfg); err != nil {
		return nil, jobs.Config(fmt.Errorf("search: the configuration is damaged: %w", err))
	}
	if n := cfg.numerics(); t.Spec.Numerics != n {
		return nil, jobs.Config(fmt.Errorf("search: the job was made for numerics version %d, this build has %d: submit the search again", t.Spec.Numerics, n))
	}
	if o := cfg.Objective; o.Digest != "" {
		t.ReadData(o.Table, o.Digest)
	}
	run, err := newSearchRun(cfg, t.Spec.Seed, t)
	if err != nil {
		return nil, jobs.Config(err)
	}
	result, err := run.do(ctx)
	if failsAgain(err) {
		return nil, jobs.Config(err)
	}
	return result, err
}

// Reporter hears of a running search; a jobs.Task is one.
type Reporter interface {
	Progress(done, total int, values map[string]any)
	Event(kind string, payload any) error
}

// Watcher is a Reporter that hears of every evaluation. An error ends the search;
// policy.ErrBudget ends it as a spent budget does.
type Watcher interface {
	Evaluated(Evaluation) error
}

// Evaluation is one answer of the objective.
type Evaluation struct {
	Number   int // from 1
	Arch     space.Arch
	Value    float64 // of the objective, in its own sign
	Improved bool    // it is the new incumbent
	Seconds  float64 // on the virtual clock when it ended, 0 where there are no times
	Epochs   int     // of training, where the objective has a choice of them
}

// RunSearch runs one seed of a search in this process, without a job. The
// result is the one that a job would have. report may be nil.
func RunSearch(ctx context.Context, cfg SearchConfig, seed int64, report Reporter) (*SearchResult, error) {
	run, err := newSearchRun(cfg, seed, report)
	if err != nil {
		return nil, err
	}
	return run.do(ctx)
}

// searchRun is the state of one seed's search.
type searchRun struct {
	cfg    SearchConfig
	seed   int64
	report Reporter
	watch  Watcher // nil where report is none
	space  space.Space
	obj    *objective.Objective
	policy policy.Policy

	sharing *sharedRun // nil unless weights are shared

	repeats    *rng.Stream // of look-ups, where the metric leaves them to chance
	fidelities []int       // of the objective
	clock      clock

	evaluations int
	ctx         context.Context // of the evaluation that is under way, for trainings
	best        space.Arch
	bestScore   float64
	bestEpochs  int // that the best was trained for, 0 where there is no choice
	trace       []TracePoint
	reported    time.Time
}

func newSearchRun(cfg SearchConfig, seed int64, report Reporter) (*searchRun, error) {
	cfg, err := cfg.Complete()
	if err != nil {
		return nil, err
	}
	p, err := cfg.newPolicy(report)
	if err != nil {
		return nil, err
	}
	sp, err := space.FromSpec(cfg.Space)
	if err != nil {
		return nil, err
	}
	watch, _ := report.(Watcher)
	r := &searchRun{cfg: cfg, seed: seed, report: report, watch: watch, space: sp, policy: p, bestScore: math.Inf(-1)}
	if cfg.Shared != nil {
		return r, nil
	}
	if cfg.Trained == nil {
		r.obj, err = openObjective(cfg.Objective)
	} else {
		err = r.openTraining()
	}
	if err != nil {
		return nil, err
	}
	r.repeats, r.fidelities, r.clock.limit = rng.New(seed, cfg.Policy, "repeat"), r.obj.Fidelities(), cfg.Seconds
	return r, nil
}

// newPolicy makes the policy of a complete configuration.
func (c SearchConfig) newPolicy(report Reporter) (policy.Policy, error) {
	if c.Own != nil {
		home := ""
		if h, ok := report.(Homely); ok {
			home = h.Study()
		}
		return c.Own.make(c.Policy, c.Params, home)
	}
	info, err := c.Info()
	if err != nil {
		return nil, err
	}
	return info.New(c.Params)
}

func (r *searchRun) do(ctx context.Context) (_ *SearchResult, err error) {
	r.reported = time.Now()
	problem := &policy.Problem{
		Space:    r.space,
		Budget:   r.cfg.Budget,
		Evaluate: func(a space.Arch) (float64, error) { return r.evaluate(ctx, a, 0) },
		Seed:     r.seed,
		Log:      r.log,
	}
	if r.fidelities != nil {
		problem.Fidelities, problem.EvaluateAt = r.fidelities, func(a space.Arch, epochs int) (float64, error) { return r.evaluate(ctx, a, epochs) }
	}
	if r.cfg.Shared != nil {
		if err := r.openShared(ctx); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.sharing.close()) }()
		problem.Weights = r.sharing.trainer
	}
	if problem.Budget == 0 {
		problem.Budget = MaxBudget
	}
	problem.Unit = r.obj.Unit()
	if err := r.policy.Search(ctx, problem); err != nil && !errors.Is(err, policy.ErrBudget) {
		return nil, err
	}
	if r.best == nil {
		if r.clock.over {
			return nil, fmt.Errorf("search: seconds=%s is over before the first training has ended, which takes %.0f seconds: raise it", SecondsText(r.cfg.Seconds), r.clock.beyond)
		}
		return nil, fmt.Errorf("search: %s ended without evaluating anything", r.cfg.Policy)
	}
	r.tell()
	selected, err := r.best.MarshalJSON()
	if err != nil {
		return nil, err
	}
	result := &SearchResult{
		Config: r.cfg, Seed: r.seed,
		Selected: selected, Hash: r.best.Hash(), Value: r.trace[len(r.trace)-1].Value,
		Evaluations: r.evaluations, Seconds: r.clock.seconds, Trace: r.trace,
	}
	if r.sharing != nil {
		result.Shared = r.sharing.trainer.Result()
	}
	return result, nil
}

// evaluate is the policy's only way to the objective: it counts against the
// budget, moves the clock and keeps the incumbent. epochs is one of the fidelities, or 0
// for the objective's own.
func (r *searchRun) evaluate(ctx context.Context, a space.Arch, epochs int) (float64, error) {
	if r.spent() {
		return 0, policy.ErrBudget
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r.ctx = ctx
	m, err := r.obj.Measure(a, epochs, r.repeats)
	if err != nil {
		return 0, fmt.Errorf("search: evaluate %s: %w", a.Hash(), err)
	}
	if r.clock.limit > 0 && !m.Cost.Timed {
		return 0, fmt.Errorf("search: evaluate %s: the table has no training time of it, and seconds=%s bounds the search: give budget= instead", a.Hash(), SecondsText(r.cfg.Seconds))
	}
	if !r.clock.move(m.Cost) {
		return 0, policy.ErrBudget
	}
	r.evaluations++
	e := Evaluation{Number: r.evaluations, Arch: a, Value: m.Value, Seconds: r.clock.seconds}
	if n := len(r.fidelities); n > 0 {
		if e.Epochs = epochs; epochs == 0 {
			e.Epochs = r.fidelities[n-1]
		}
	}
	score := r.obj.Score(m.Value)
	if e.Improved = r.improves(score, e.Epochs); e.Improved {
		r.bestScore = score
		if err := r.improve(e); err != nil {
			return 0, err
		}
	}
	if time.Since(r.reported) >= progressEvery {
		r.tell()
	}
	if r.watch != nil {
		if err := r.watch.Evaluated(e); err != nil {
			return 0, err
		}
	}
	return score, nil
}

// spent says that nothing more may be evaluated. Shared weights end by their epochs.
func (r *searchRun) spent() bool {
	return r.clock.over || r.cfg.Budget > 0 && r.evaluations >= r.cfg.Budget
}

// improves says whether an architecture with this score is the new incumbent: accuracies
// after different numbers of epochs are not compared, the most epochs win. Of equals the
// first stays, so that the incumbent does not depend on when a run is looked at.
func (r *searchRun) improves(score float64, epochs int) bool {
	return r.best == nil || epochs > r.bestEpochs || epochs == r.bestEpochs && score > r.bestScore
}

func (r *searchRun) improve(e Evaluation) error {
	raw, err := e.Arch.MarshalJSON()
	if err != nil {
		return fmt.Errorf("search: write %s: %w", e.Arch.Hash(), err)
	}
	r.best, r.bestEpochs = e.Arch, e.Epochs
	r.trace = append(r.trace, TracePoint{Evaluations: e.Number, Seconds: e.Seconds, Value: e.Value, Epochs: e.Epochs, Arch: raw})
	return nil
}

func (r *searchRun) tell() {
	r.reported = time.Now()
	if r.report == nil {
		return
	}
	values := map[string]any{"incumbent": r.trace[len(r.trace)-1].Value, "hash": r.best.Hash()}
	if r.sharing == nil {
		if r.clock.seconds > 0 {
			values["simulated"] = r.clock.seconds
		}
		if r.cfg.Budget > 0 {
			r.report.Progress(r.evaluations, r.cfg.Budget, values)
			return
		}
		values["evaluations"] = float64(r.evaluations)
		r.report.Progress(int(r.clock.seconds), int(math.Ceil(r.clock.limit)), values)
		return
	}
	t := &r.sharing.told
	maps.Copy(t.values, values)
	t.values["doing"] = "choosing"
	r.report.Progress(t.done, t.total, t.values)
}

func (r *searchRun) log(event string, values map[string]float64) {
	// A diagnostic that cannot be written must not end the search.
	if r.report == nil {
		return
	}
	if err := r.report.Event(event, values); err != nil {
		fmt.Fprintf(os.Stderr, "search: %s is not in the events: %v\n", event, err)
	}
}
