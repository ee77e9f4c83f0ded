package main

import (
	"encoding/json"
	"fmt"
	"time"

	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/shared"
	"evalnas/nasapi/space"
	"evalnas/nasapi/train"
)

// eventLine is a line of events.
type eventLine struct {
	Table   string          `json:"table"`
	Job     string          `json:"job"`
	Group   string          `json:"group"`
	Seed    int64           `json:"seed"`
	Time    time.Time       `json:"time"`
	Attempt int             `json:"attempt"`
	Event   string          `json:"event"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// traceLine is a line of traces.
type traceLine struct {
	Table string `json:"table"`
	Job   string `json:"job"`
	Group string `json:"group"`
	Seed  int64  `json:"seed"`
	nasapi.TracePoint
}

// study prints the jobs of a study: of each first the batches in their order, then the
// rest. It starts no runner, so that looking at a colleague's study changes nothing.
func (p *resultPrinter) study(source sourceLine) error {
	st, err := jobs.OpenStudy(source.Path)
	if err != nil {
		return err
	}
	batches, err := st.Batches()
	if err != nil {
		return err
	}
	rest, err := st.Jobs()
	if err != nil {
		return err
	}
	p.line(source)
	found := origins(batches)
	listed := map[string]bool{}
	for _, b := range batches {
		if b.Err != nil {
			p.problem("batch "+b.ID, b.Err)
		}
		for _, j := range b.Jobs() {
			if !listed[j.ID] {
				listed[j.ID] = true
				p.job(j, b.Title, found[j.ID])
			}
		}
		p.rankingsOf(b)
	}
	for _, j := range rest {
		if !listed[j.ID] {
			p.job(j, j.Spec.Kind, nil)
		}
	}
	return nil
}

// origins says of the jobs of trainings where their architectures came from.
func origins(batches []*jobs.BatchHandle) map[string]*nasapi.Trained {
	out := map[string]*nasapi.Trained{}
	for _, b := range batches {
		if all := b.Jobs(); b.Err != nil || len(all) == 0 || all[0].Spec.Kind != nasapi.TrainKind {
			continue
		}
		t, err := nasapi.AttachTraining(b)
		if err != nil {
			continue // the job's own folder says all but the origin
		}
		for _, r := range t.Runs() {
			if r.Job != nil {
				out[r.Job.ID] = &r.Trained
			}
		}
	}
	return out
}

func (p *resultPrinter) job(j *jobs.Job, group string, trained *nasapi.Trained) {
	s := j.Status()
	where := "job " + j.ID
	spent := s.Spent.Seconds()
	line := resultLine{
		Table: resultsTable, From: "study", Job: j.ID, Group: group, Kind: j.Spec.Kind, Config: j.Spec.Config,
		Seed: &j.Spec.Seed, State: s.State, Held: &s.Held, Attempt: s.Attempt, Error: s.Error,
		Numerics: j.Spec.Numerics, Host: s.Host, Spent: &spent,
	}
	if !s.Started.IsZero() {
		line.Started = &s.Started
	}
	if !s.Ended.IsZero() {
		line.Ended = &s.Ended
	}
	if j.Err != nil {
		line.Seed = nil // it is not known
		p.problem(where, j.Err)
	}
	if s.Skipped > 0 {
		p.problem(where, fmt.Errorf("%d damaged lines of events.jsonl are left out", s.Skipped))
	}
	var trace []nasapi.TracePoint
	if err := line.describe(j, trained); err != nil && j.Err == nil {
		p.problem(where, err)
	}
	if s.State == jobs.Done {
		var err error
		if trace, err = line.outcome(j); err != nil {
			p.problem(where, err)
		}
	}
	p.line(line)
	for _, at := range trace {
		p.line(traceLine{tracesTable, j.ID, group, j.Spec.Seed, at})
	}
	events, _, err := j.Events(0)
	if err != nil {
		p.problem(where, err)
	}
	for _, e := range events {
		p.line(eventLine{eventsTable, j.ID, group, j.Spec.Seed, e.Time, e.Attempt, e.Kind, e.Data})
	}
}

// describe fills in what the configuration says.
func (l *resultLine) describe(j *jobs.Job, trained *nasapi.Trained) error {
	switch j.Spec.Kind {
	case nasapi.SearchKind:
		var cfg nasapi.SearchConfig
		if err := json.Unmarshal(j.Spec.Config, &cfg); err != nil {
			return fmt.Errorf("its configuration is damaged: %w", err)
		}
		oracle := cfg.Objective.Oracle()
		l.Policy, l.Objective, l.Budget, l.Seconds, l.Oracle = cfg.Policy, cfg.Objective.String(), cfg.Budget, cfg.Seconds, &oracle
		sp, err := space.FromSpec(cfg.Space)
		if err != nil {
			return err
		}
		l.Space = sp.String()
	case nasapi.TrainKind:
		var cfg nasapi.TrainingConfig
		if err := json.Unmarshal(j.Spec.Config, &cfg); err != nil {
			return fmt.Errorf("its configuration is damaged: %w", err)
		}
		l.Space, l.Data, l.Arch = cfg.Arch.Space, cfg.Data.Name, cfg.Arch.Cell
		if trained != nil {
			l.Policy, l.FoundSeed = trained.Origin.Policy, &trained.Found.Seed
		}
		a, err := cfg.Arch.Parse()
		if err != nil {
			return err
		}
		l.Hash = a.Hash()
	default:
		return fmt.Errorf("jobs of kind %q are not known to this version of evalnas: its line has no values", j.Spec.Kind)
	}
	return nil
}

// outcome fills in what a job that is done has found, and returns a search's trace.
func (l *resultLine) outcome(j *jobs.Job) ([]nasapi.TracePoint, error) {
	o, err := j.Outcome()
	if err != nil {
		return nil, err
	}
	l.Version, l.Device, l.Host = o.Version, o.Device, o.Host
	switch j.Spec.Kind {
	case nasapi.SearchKind:
		var r nasapi.SearchResult
		if err := json.Unmarshal(o.Result, &r); err != nil {
			return nil, fmt.Errorf("its result is damaged: %w", err)
		}
		l.Hash, l.Arch, l.Value, l.Evaluations, l.Simulated = r.Hash, r.Selected, &r.Value, r.Evaluations, r.Seconds
		return r.Trace, nil
	case nasapi.TrainKind:
		var r train.Result
		if err := json.Unmarshal(o.Result, &r); err != nil {
			return nil, fmt.Errorf("its result is damaged: %w", err)
		}
		l.Valid, l.Test, l.Params = r.Valid, r.Test, r.Params
	}
	return nil, nil
}

// rankingsOf prints the rankings of a search with shared weights, of every pool that it
// ranked.
func (p *resultPrinter) rankingsOf(b *jobs.BatchHandle) {
	all := b.Jobs()
	if b.Err != nil || len(all) == 0 || all[0].Spec.Kind != nasapi.SearchKind {
		return
	}
	s, err := nasapi.AttachSearch(b)
	if err != nil {
		p.problem("batch "+b.ID, err)
		return
	}
	for _, pool := range []string{shared.FixedPool, shared.OwnPool, shared.FineTuned} {
		if !nasapi.RanksPool(s, pool) {
			continue
		}
		e, err := nasapi.EvaluateRankings([]*nasapi.Search{s}, pool, nil)
		switch {
		case err != nil:
			p.problem("batch "+b.ID, fmt.Errorf("its rankings: %w", err))
		case pool == shared.FixedPool || ranked(e):
			p.rankings(0, e)
		}
	}
}

// ranked says whether any seed ranked: not every policy has a pool of its own.
func ranked(e *nasapi.RankingEvaluation) bool {
	for _, policy := range e.Policies {
		for _, s := range policy.Seeds {
			if len(s.Points) > 0 {
				return true
			}
		}
	}
	return false
}
