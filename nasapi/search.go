package nasapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/shared"
	"evalnas/nasapi/space"
)

// SearchKind is the kind of job that SearchHandler runs.
const SearchKind = "search"

// Limits on what one search may ask for.
const (
	MaxSeeds  = 10_000 // as many runs as the exact null takes
	MaxBudget = 1_000_000_000
	// MaxSeconds is some hundred million years.
	MaxSeconds = 1e15
)

// SearchConfig says what is searched and how. Together with a seed it is a
// job's whole configuration.
type SearchConfig struct {
	Policy string `json:"policy"`
	// Own is what Policy stands for where it is none of this program's.
	Own *OwnPolicy `json:"own,omitempty"`
	// Params are the policy's parameters. In a job's identity only those that
	// differ from their defaults are written, so that a parameter added later
	// does not change the identity of older jobs.
	Params    policy.Config  `json:"params,omitempty"`
	Space     space.Spec     `json:"space"`
	Objective objective.Spec `json:"objective"`
	// Budget is the number of evaluations of the objective for each seed; 0 where Seconds
	// alone bounds them, and with shared weights, whose training is what a search costs.
	Budget int `json:"budget"`
	// Seconds is the time on a virtual clock for each seed, which each evaluation moves by
	// the training that its value comes from; 0 for none. What is spent first, it or
	// Budget, ends the search.
	Seconds float64 `json:"seconds,omitempty"`
	// Shared is the training of shared weights, where these are the objective.
	Shared *SharedConfig `json:"shared,omitempty"`
	// Trained is the training of each architecture, where its outcome is the objective.
	Trained *TrainedConfig `json:"trained,omitempty"`
}

// Complete checks the configuration and fills in the policy's defaults.
func (c SearchConfig) Complete() (SearchConfig, error) {
	info, err := c.Info()
	if err != nil {
		return c, err
	}
	c.Params, err = info.Complete(c.Params)
	if err != nil {
		return c, err
	}
	sp, err := space.FromSpec(c.Space)
	if err != nil {
		return c, err
	}
	if err := info.Needs(sp); err != nil {
		return c, err
	}
	if c, err = c.completeTrained(); err != nil {
		return c, err
	}
	if c.Objective.Kind != objective.SharedWeights && c.Trained == nil {
		o, err := openObjective(c.Objective)
		if err != nil {
			return c, err
		}
		if err := o.Fits(sp); err != nil {
			return c, err
		}
	}
	if c, err = c.completeShared(info, sp); err != nil || c.Shared != nil {
		return c, err
	}
	return c, c.checkBudget(info)
}

// identity is the configuration with the policy's defaults left out.
func (c SearchConfig) identity() (SearchConfig, error) {
	info, err := c.Info()
	if err != nil {
		return c, err
	}
	defaults, err := info.Complete(nil)
	if err != nil {
		return c, err
	}
	kept := maps.Clone(c.Params)
	maps.DeleteFunc(kept, func(k string, v any) bool { return reflect.DeepEqual(v, defaults[k]) })
	c.Params = kept
	if c.Shared != nil || c.Trained != nil {
		c.Objective.Protocol = "" // Shared and Trained have it in numbers
	}
	return c, nil
}

// Search is a started search: a handle on one job for each seed.
type Search struct {
	Config SearchConfig // complete
	Space  space.Space
	Seeds  []int64

	batch *jobs.BatchHandle

	mu     sync.Mutex
	told   map[string]*toldRankings // of jobs that have not ended, by id
	points map[pointKey]RankingPoint
}

// SearchRequest is what StartSearch starts.
type SearchRequest struct {
	SearchConfig
	Seeds []int64
	// Fresh starts finished jobs anew instead of taking their results.
	Fresh bool
	// On is where the jobs run.
	On jobs.Place
}

// specs are the jobs of a request, one for each seed, under the complete
// configuration and as it is written in each.
func (r SearchRequest) specs() (cfg SearchConfig, raw json.RawMessage, specs []jobs.Spec, err error) {
	if cfg, err = r.SearchConfig.Complete(); err != nil {
		return cfg, nil, nil, err
	}
	if err := CheckSeeds(r.Seeds); err != nil {
		return cfg, nil, nil, err
	}
	id, err := cfg.identity()
	if err != nil {
		return cfg, nil, nil, err
	}
	if raw, err = json.Marshal(id); err != nil {
		return cfg, nil, nil, fmt.Errorf("search: write the configuration: %w", err)
	}
	for _, seed := range r.Seeds {
		specs = append(specs, jobs.Spec{Kind: SearchKind, Numerics: cfg.numerics(), Seed: seed, Config: raw})
	}
	return cfg, raw, specs, nil
}

// Unfinished are the request's seeds that the study does not have done.
func (r SearchRequest) Unfinished(st *jobs.Study) ([]int64, error) {
	_, _, specs, err := r.specs()
	if err != nil || r.Fresh {
		return r.Seeds, err
	}
	specs, err = unfinished(st, specs)
	var seeds []int64
	for _, s := range specs {
		seeds = append(seeds, s.Seed)
	}
	return seeds, err
}

// StartSearch submits one job for each seed and returns at once. A job that
// the study already has is not run again: it is finished, running or resumed.
func StartSearch(st *jobs.Study, r SearchRequest) (*Search, error) {
	cfg, raw, specs, err := r.specs()
	if err != nil {
		return nil, err
	}
	batch, err := st.Submit(jobs.Batch{Title: cfg.Policy, Config: raw, Specs: specs, Fresh: r.Fresh, On: r.On, UsesGPUs: cfg.Trained != nil && cfg.Trained.Trainer != nil})
	if err != nil {
		return nil, err
	}
	return openSearch(cfg, r.Seeds, batch)
}

// AttachSearch finds a search again from its batch of jobs.
func AttachSearch(batch *jobs.BatchHandle) (*Search, error) {
	var cfg SearchConfig
	if err := json.Unmarshal(batch.Config, &cfg); err != nil {
		return nil, fmt.Errorf("attach %s: its configuration is damaged: %w", batch.ID, err)
	}
	cfg, err := cfg.Complete()
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", batch.ID, err)
	}
	seeds, err := batch.Seeds()
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", batch.ID, err)
	}
	return openSearch(cfg, seeds, batch)
}

func openSearch(cfg SearchConfig, seeds []int64, batch *jobs.BatchHandle) (*Search, error) {
	sp, err := space.FromSpec(cfg.Space)
	if err != nil {
		return nil, err
	}
	return &Search{Config: cfg, Space: sp, Seeds: slices.Clone(seeds), batch: batch, told: map[string]*toldRankings{}, points: map[pointKey]RankingPoint{}}, nil
}

// CheckSeeds refuses an empty list, repeated seeds and lists that are too long.
func CheckSeeds(seeds []int64) error {
	switch {
	case len(seeds) == 0:
		return errors.New("seeds is empty: give at least one integer, such as seeds=range(1268, 1278)")
	case len(seeds) > MaxSeeds:
		return fmt.Errorf("seeds has %d entries: at most %d are allowed", len(seeds), MaxSeeds)
	}
	at := make(map[int64]int, len(seeds))
	for i, s := range seeds {
		if j, twice := at[s]; twice {
			return fmt.Errorf("seeds repeats %d (entries %d and %d): each seed is one independent run, so give each once", s, j, i)
		}
		at[s] = i
	}
	return nil
}

// ID identifies the search in its study.
func (s *Search) ID() string { return s.batch.ID }

// Jobs returns the jobs in the order of Seeds.
func (s *Search) Jobs() []*jobs.Job { return s.batch.Jobs() }

// Study is the study that the search belongs to.
func (s *Search) Study() *jobs.Study { return s.batch.Study() }

// Wait returns when every seed is done, failed or cancelled, or ctx ends. The
// jobs go on when the waiting ends.
func (s *Search) Wait(ctx context.Context) error { return s.batch.Wait(ctx) }

// Cancel stops the jobs that have not finished.
func (s *Search) Cancel() error { return s.batch.Cancel() }

// Statuses returns the state of each seed, in the order of Seeds. The error
// says that jobs wait and no runner could be started for them.
func (s *Search) Statuses() ([]jobs.Status, error) { return s.batch.Statuses() }

// Run is one seed of a search as it stands.
type Run struct {
	Seed   int64
	Status jobs.Status
	// Result is nil unless the job is done.
	Result *SearchResult
	// Found is nil unless the job is done.
	Found *Found
}

// Runs reads every seed's state and result. A result that cannot be read is an
// error of that run's Status, never of the others.
func (s *Search) Runs() []Run {
	out := make([]Run, len(s.Seeds))
	for i, j := range s.Jobs() {
		out[i] = s.run(s.Seeds[i], j)
	}
	return out
}

func (s *Search) run(seed int64, j *jobs.Job) Run {
	r := Run{Seed: seed, Status: j.Status()}
	if r.Status.State != jobs.Done {
		return r
	}
	fail := func(err error) Run {
		r.Status.State, r.Status.Error, r.Result, r.Found = jobs.Failed, err.Error(), nil, nil
		return r
	}
	raw, err := j.Result()
	if err != nil {
		return fail(err)
	}
	r.Result = new(SearchResult)
	if err := json.Unmarshal(raw, r.Result); err != nil {
		return fail(fmt.Errorf("result of job %s is damaged: %w", j.ID, err))
	}
	a, err := s.Space.Parse(r.Result.Selected)
	if err != nil {
		return fail(fmt.Errorf("result of job %s: %w", j.ID, err))
	}
	r.Found = &Found{Arch: a, Seed: seed, Origin: s.origin()}
	return r
}

func (s *Search) origin() Origin {
	o := s.Config.Objective
	return Origin{
		Policy: s.Config.Policy, Space: s.Config.Space, Search: s.ID(), Objective: guideText(o, o.String()),
		Budget: s.Config.Budget, Seconds: s.Config.Seconds, Oracle: o.Oracle(), Numerics: s.numerics(),
	}
}

// Selected returns one architecture for each finished seed, in seed order.
func (s *Search) Selected() []Found {
	var out []Found
	for _, r := range s.Runs() {
		if r.Found != nil {
			out = append(out, *r.Found)
		}
	}
	return out
}

// TracePoint is a change of the incumbent (the best architecture so far).
type TracePoint struct {
	Evaluations int     `json:"evaluations"`
	Seconds     float64 `json:"seconds,omitempty"` // on the virtual clock, where there are times
	Value       float64 `json:"value"`             // of the objective, in its own sign
	// Epochs of training that Value is after, where the objective has a choice of them:
	// of what was evaluated after the most epochs so far the best is the incumbent.
	Epochs int             `json:"epochs,omitempty"`
	Arch   json.RawMessage `json:"arch"`
}

// SearchResult is what a search job leaves as its result. It depends on the
// configuration and the seed alone: when and where it was computed is in the
// job's Outcome.
type SearchResult struct {
	Config      SearchConfig    `json:"config"` // complete: defaults filled in
	Seed        int64           `json:"seed"`
	Selected    json.RawMessage `json:"selected"`
	Hash        string          `json:"hash"`
	Value       float64         `json:"value"` // of the objective, in its own sign
	Evaluations int             `json:"evaluations"`
	// Seconds that have passed on the virtual clock, 0 where there are no times.
	Seconds float64      `json:"seconds,omitempty"`
	Trace   []TracePoint `json:"trace"`
	// Shared is what the training of shared weights left, where there was one.
	Shared *shared.Report `json:"shared,omitempty"`
}
