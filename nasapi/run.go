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

	evaluations int
	best        space.Arch
	bestScore   float64
	trace       []TracePoint
	reported    time.Time
}

func newSearchRun(cfg SearchConfig, seed int64, report Reporter) (*searchRun, error) {
	cfg, err := cfg.Complete()
	if err != nil {
		return nil, err
	}
	info, err := policy.Lookup(cfg.Policy)
	if err != nil {
		return nil, err
	}
	p, err := info.New(cfg.Params)
	if err != nil {
		return nil, err
	}
	sp, err := space.FromSpec(cfg.Space)
	if err != nil {
		return nil, err
	}
	watch, _ := report.(Watcher)
	r := &searchRun{cfg: cfg, seed: seed, report: report, watch: watch, space: sp, policy: p, bestScore: math.Inf(-1)}
	if cfg.Shared == nil {
		r.obj, err = objective.New(cfg.Objective)
	}
	return r, err
}

func (r *searchRun) do(ctx context.Context) (_ *SearchResult, err error) {
	r.reported = time.Now()
	problem := &policy.Problem{
		Space:    r.space,
		Budget:   r.cfg.Budget,
		Evaluate: func(a space.Arch) (float64, error) { return r.evaluate(ctx, a) },
		Seed:     r.seed,
		Log:      r.log,
	}
	if r.cfg.Shared != nil {
		if err := r.openShared(ctx); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.sharing.close()) }()
		problem.Weights, problem.Budget = r.sharing.trainer, MaxBudget
	}
	problem.Unit = r.obj.Unit()
	if err := r.policy.Search(ctx, problem); err != nil && !errors.Is(err, policy.ErrBudget) {
		return nil, err
	}
	if r.best == nil {
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
		Evaluations: r.evaluations, Trace: r.trace,
	}
	if r.sharing != nil {
		result.Shared = r.sharing.trainer.Result()
	}
	return result, nil
}

// evaluate is the policy's only way to the objective: it counts against the
// budget and keeps the incumbent.
func (r *searchRun) evaluate(ctx context.Context, a space.Arch) (float64, error) {
	if r.cfg.Shared == nil && r.evaluations >= r.cfg.Budget {
		return 0, policy.ErrBudget
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	value, err := r.obj.Value(a)
	if err != nil {
		return 0, fmt.Errorf("search: evaluate %s: %w", a.Hash(), err)
	}
	score := r.obj.Score(value)
	r.evaluations++
	// Of equals the first stays, so that the incumbent does not depend on
	// when a run is looked at.
	improved := r.best == nil || score > r.bestScore
	if improved {
		if err := r.improve(a, value, score); err != nil {
			return 0, err
		}
	}
	if time.Since(r.reported) >= progressEvery {
		r.tell()
	}
	if r.watch != nil {
		if err := r.watch.Evaluated(Evaluation{r.evaluations, a, value, improved}); err != nil {
			return 0, err
		}
	}
	return score, nil
}

func (r *searchRun) improve(a space.Arch, value, score float64) error {
	raw, err := a.MarshalJSON()
	if err != nil {
		return fmt.Errorf("search: write %s: %w", a.Hash(), err)
	}
	r.best, r.bestScore = a, score
	r.trace = append(r.trace, TracePoint{Evaluations: r.evaluations, Value: value, Arch: raw})
	return nil
}

func (r *searchRun) tell() {
	r.reported = time.Now()
	if r.report == nil {
		return
	}
	values := map[string]any{"incumbent": r.trace[len(r.trace)-1].Value, "hash": r.best.Hash()}
	if r.sharing == nil {
		r.report.Progress(r.evaluations, r.cfg.Budget, values)
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
