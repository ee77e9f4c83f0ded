package nasapi

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/shared"
	"evalnas/nasapi/space"
	"evalnas/nasapi/stats"
	"evalnas/nasapi/table"
)

// RankingSchema names the JSON form of a RankingEvaluation, RankingMIME the type under which
// a notebook keeps it.
const (
	RankingSchema = "evalnas.ranking.v1"
	RankingMIME   = "application/vnd.evalnas.ranking.v1+json"
)

// RankingEvaluation holds the rankings that searches made with shared weights against
// what training alone gives, on a pool that all of them ranked.
type RankingEvaluation struct {
	Schema   string          `json:"schema"`
	Version  string          `json:"version"`
	Space    string          `json:"space"`
	Truth    string          `json:"truth"`
	Pool     string          `json:"pool"`      // of shared.Ranking
	PoolSize int             `json:"pool_size"` // of the fixed pool
	Policies []PolicyRanking `json:"policies"`
	// Params and FLOPs are what the trivial scores reach on the fixed pool.
	Params stats.Agreement `json:"params"`
	FLOPs  stats.Agreement `json:"flops"`
	// NoiseCeiling says in words what another training of the fixed pool would reach as a
	// ranking of it. Ceiling has the numbers; they are unknown where the truth has one repeat.
	NoiseCeiling string        `json:"noise_ceiling"`
	Ceiling      stats.Ceiling `json:"ceiling"`

	// Hashes are the architectures of the fixed pool, in the order of the accuracies,
	// TrueValues what they reach by training alone.
	Hashes     []string  `json:"hashes"`
	TrueValues []float64 `json:"true_values"`

	truth *objective.Objective
}

// PolicyRanking is one search of a RankingEvaluation.
type PolicyRanking struct {
	Policy    string           `json:"policy"`
	Search    string           `json:"search"`
	Objective string           `json:"objective"`           // the protocol in words
	Reduced   bool             `json:"reduced"`             // it is less than what was published
	Synthetic bool             `json:"synthetic,omitempty"` // the images are made up
	Seeds     []SeedRanking    `json:"seeds"`
	Tau       *Summary         `json:"tau,omitempty"` // of the last rankings, over seeds
	TauRange  *Difference      `json:"tau_interval,omitempty"`
	Trend     stats.RiseReport `json:"trend"` // whether tau still rises at the end
}

// SeedRanking is one seed's rankings, in the order in which they were made.
type SeedRanking struct {
	Seed   int64          `json:"seed"`
	State  jobs.State     `json:"state"`
	Error  string         `json:"error,omitempty"`
	Points []RankingPoint `json:"points"`
}

// RankingPoint is one ranking with what it says.
type RankingPoint struct {
	Epoch    int                  `json:"epoch"`
	Steps    int                  `json:"steps"`
	Images   int                  `json:"images"`
	Accuracy []float64            `json:"accuracy"`
	Hashes   []string             `json:"hashes,omitempty"` // of the policy's own pool
	Report   *stats.RankingReport `json:"report"`
}

// Last is the last ranking, nil before the first.
func (s *SeedRanking) Last() *RankingPoint {
	if len(s.Points) == 0 {
		return nil
	}
	return &s.Points[len(s.Points)-1]
}

// JSON is the whole evaluation.
func (e *RankingEvaluation) JSON() ([]byte, error) { return json.MarshalIndent(e, "", " ") }

// EvaluateRankings reads what searches have ranked so far of a pool: shared.FixedPool,
// shared.OwnPool or shared.FineTuned. They are of one NASBench-101 space, whose table has
// the truth, and have one fixed pool. The truth is a metric of a table of NASBench-101, nil
// for that of the table inside: test accuracy after 108 epochs, first repeat.
func EvaluateRankings(searches []*Search, pool string, truth *objective.Objective) (*RankingEvaluation, error) {
	if pools := []string{shared.FixedPool, shared.OwnPool, shared.FineTuned}; !slices.Contains(pools, pool) {
		return nil, fmt.Errorf("there are no rankings of %q; allowed are %s", pool, strings.Join(pools, ", "))
	}
	first, err := rankedSpace(searches)
	if err != nil {
		return nil, err
	}
	if truth == nil {
		if truth, err = embeddedTruth(); err != nil {
			return nil, err
		}
	} else if err := ranksAgainst(truth); err != nil {
		return nil, err
	}
	e := &RankingEvaluation{
		Schema: RankingSchema, Version: Version, Space: first.Space.String(), Truth: truth.Spec().Describe(), Pool: pool, truth: truth,
	}
	for _, s := range searches {
		if err := ranksPool(s, pool); err != nil {
			return nil, err
		}
	}
	ranking, err := truthRanking(first.Space, truth)
	if err != nil {
		return nil, err
	}
	if err := e.baselines(first, ranking); err != nil {
		return nil, err
	}
	for _, s := range searches {
		p, err := e.policy(s, ranking)
		if err != nil {
			return nil, err
		}
		e.Policies = append(e.Policies, p)
	}
	return e, nil
}

// rankedSpace checks that searches can be evaluated together and is the first.
func rankedSpace(searches []*Search) (*Search, error) {
	if len(searches) == 0 {
		return nil, fmt.Errorf("there is no search: give some whose objective is shared_weights(...)")
	}
	first := searches[0]
	for _, s := range searches {
		switch {
		case s.Config.Shared == nil:
			return nil, fmt.Errorf("%s was guided by %s and has no rankings: give searches whose objective is shared_weights(...)", s.Config.Policy, s.Config.Objective)
		case s.Space.Spec() != first.Space.Spec():
			return nil, fmt.Errorf("%s searched %s and %s searched %s: rankings are evaluated in one space", first.Config.Policy, first.Space, s.Config.Policy, s.Space)
		case s.Config.Shared.Protocol.Pool != first.Config.Shared.Protocol.Pool:
			return nil, fmt.Errorf("%s ranked a pool of %d and %s one of %d: they are evaluated on one, so give them the same pool=",
				first.Config.Policy, first.Config.Shared.Protocol.Pool, s.Config.Policy, s.Config.Shared.Protocol.Pool)
		}
		if a, b := first.numerics(), s.numerics(); a.differs(b) {
			return nil, fmt.Errorf("%s was made under %s and %s under %s: the same configuration and seed can give other rankings, so run the older one again", first.Config.Policy, a, s.Config.Policy, b)
		}
	}
	if _, ok := first.Space.(*space.NASBench); !ok {
		return nil, fmt.Errorf("no table says what architectures of %s reach by training alone: rankings are evaluated in nasbench101(...)", first.Space)
	}
	return first, nil
}

// RanksPool says whether EvaluateRankings answers for a search and a pool.
func RanksPool(s *Search, pool string) bool {
	_, err := rankedSpace([]*Search{s})
	return err == nil && ranksPool(s, pool) == nil
}

// ranksPool says what a search lacks to rank a pool.
func ranksPool(s *Search, pool string) error {
	p := s.Config.Shared.Protocol
	switch {
	case p.Pool == 0 && pool != shared.OwnPool:
		return fmt.Errorf("%s ranked no fixed pool (pool=0): search again with shared_weights(..., pool=200)", s.Config.Policy)
	case p.FineTune == 0 && pool == shared.FineTuned:
		return fmt.Errorf("%s ranked nothing after fine-tuning: search again with shared_weights(..., fine_tune=20), the number of batches", s.Config.Policy)
	}
	return nil
}

// truthKey names the order of a space under a truth.
type truthKey struct {
	space space.Spec
	truth objective.Spec
}

// truthRankings has what truthRanking has worked out, a *stats.Ranking by truthKey: a live
// table asks at every look.
var truthRankings sync.Map

// truthRanking is the order of a whole space under the truth.
func truthRanking(sp space.Space, truth *objective.Objective) (*stats.Ranking, error) {
	key := truthKey{sp.Spec(), truth.Spec()}
	if known, ok := truthRankings.Load(key); ok {
		return known.(*stats.Ranking), nil
	}
	values, err := truth.Column(sp.(space.Finite))
	if err != nil {
		return nil, err
	}
	ranking, err := stats.NewRanking(values, true)
	if err == nil {
		truthRankings.Store(key, ranking)
	}
	return ranking, err
}

// embeddedTruth is the metric of the table inside.
var embeddedTruth = sync.OnceValues(func() (*objective.Objective, error) {
	tab, err := table.NASBench101()
	if err != nil {
		return nil, err
	}
	metric, err := tab.Find(table.Query{Name: table.Test})
	if err != nil {
		return nil, err
	}
	return objective.OfTable(tab, metric), nil
})

// ranksAgainst says why rankings cannot be held against a truth.
func ranksAgainst(truth *objective.Objective) error {
	switch spec := truth.Spec(); {
	case spec.Kind != objective.Table || spec.Table != table.NASBench101Name:
		return fmt.Errorf("the truth is %s: give a metric of a table of NASBench-101, such as nasbench101_table().metric(\"test\")", spec.Describe())
	case spec.Repeat == table.RepeatDrawn:
		return fmt.Errorf("the truth is %s: give repeat=0 or repeat=\"mean\", so that every look finds the same", spec.Describe())
	case spec.Minimise:
		return fmt.Errorf("the truth is %s, which is minimised: give a metric of which more is better", spec.Describe())
	}
	return nil
}

// truthOf are the true values of architectures, by hash.
func (e *RankingEvaluation) truthOf(sp space.Space, hashes []string) ([]float64, error) {
	archs, err := byHash(sp, hashes)
	if err != nil {
		return nil, err
	}
	return valuesOf(e.truth, archs)
}

// ceiling fills in how well the repeats of the truth rank the fixed pool as each other do.
func (e *RankingEvaluation) ceiling(pool []space.Arch) error {
	repeats, err := e.truth.Repeats(pool)
	if err != nil {
		return err
	}
	if e.Ceiling, err = stats.NoiseCeiling(repeats); err != nil {
		return err
	}
	e.NoiseCeiling = e.Ceiling.Why
	switch {
	case e.Ceiling.Repeats == 1:
		e.NoiseCeiling = "unknown: the table has one repeat"
	case e.Ceiling.Tau.Defined:
		e.NoiseCeiling = fmt.Sprintf("tau %.3f between repeats of the training, mean over the pairs of %d", e.Ceiling.Tau.Value, e.Ceiling.Repeats)
	}
	return nil
}

// baselines fills in the fixed pool, and what its architectures' sizes say of it.
func (e *RankingEvaluation) baselines(s *Search, ranking *stats.Ranking) error {
	pool := shared.Pool(s.Space, s.Config.Shared.Protocol.Pool)
	params, flops := make([]float64, len(pool)), make([]float64, len(pool))
	for i, a := range pool {
		e.Hashes = append(e.Hashes, a.Hash())
		params[i], flops[i] = float64(a.Params()), float64(a.FLOPs())
	}
	e.PoolSize = len(pool)
	var err error
	if e.TrueValues, err = valuesOf(e.truth, pool); err != nil {
		return err
	}
	if len(pool) == 0 {
		e.NoiseCeiling = "unknown: no fixed pool was ranked"
		return nil
	}
	if err := e.ceiling(pool); err != nil {
		return err
	}
	if e.Params, err = stats.Agree(params, e.TrueValues, ranking); err != nil {
		return err
	}
	e.FLOPs, err = stats.Agree(flops, e.TrueValues, ranking)
	return err
}

// policy reads one search. What cannot be read of a seed is that seed's error, never that of
// the others.
func (e *RankingEvaluation) policy(s *Search, ranking *stats.Ranking) (PolicyRanking, error) {
	p := PolicyRanking{Policy: s.Config.Policy, Search: s.ID(), Objective: s.Config.Shared.String(), Reduced: s.Config.Shared.Protocol.Reduced(), Synthetic: s.Config.Shared.Data.Synthetic != nil}
	var trend []stats.TauPoint
	var last []float64
	all := s.Jobs()
	for i, run := range s.Runs() {
		seed := e.seed(s, run, all[i], ranking)
		for _, at := range seed.Points {
			trend = append(trend, stats.TauPoint{Seed: run.Seed, Step: float64(at.Steps), Tau: at.Report.Tau.OrNaN()})
		}
		if at := seed.Last(); at != nil && seed.State == jobs.Done && at.Report.Tau.Defined {
			last = append(last, at.Report.Tau.Value)
		}
		p.Seeds = append(p.Seeds, seed)
	}
	var err error
	if len(trend) > 0 {
		if p.Trend, err = stats.StillRising(trend); err != nil {
			return p, err
		}
	}
	return p, p.summarise(last)
}

// seed reads the rankings of one seed.
func (e *RankingEvaluation) seed(s *Search, run Run, j *jobs.Job, ranking *stats.Ranking) SeedRanking {
	seed := SeedRanking{Seed: run.Seed, State: run.Status.State, Error: run.Status.Error, Points: []RankingPoint{}}
	report, err := s.SharedReport(run, j)
	if err == nil && report == nil {
		err = fmt.Errorf("result of job %s is damaged: it has no report of shared weights", j.ID)
	}
	if err != nil {
		seed.State, seed.Error = jobs.Failed, err.Error()
		return seed
	}
	for _, r := range report.Rankings {
		if r.Pool != e.Pool {
			continue
		}
		point, err := s.point(r, j.ID, e.truth.Spec(), func() (RankingPoint, error) { return e.point(s.Space, r, ranking) })
		if err != nil {
			seed.State, seed.Error, seed.Points = jobs.Failed, err.Error(), []RankingPoint{}
			return seed
		}
		seed.Points = append(seed.Points, point)
	}
	return seed
}

// pointKey names a ranking of a search.
type pointKey struct {
	job, pool string
	epoch     int
	truth     objective.Spec
}

// point is what a ranking says, worked out once: a live table asks at every look.
func (s *Search) point(r shared.Ranking, job string, truth objective.Spec, evaluate func() (RankingPoint, error)) (RankingPoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := pointKey{job, r.Pool, r.Epoch, truth}
	// A job that was begun anew ranks anew, if under another program.
	if known, ok := s.points[key]; ok && slices.Equal(known.Accuracy, r.Accuracy) && slices.Equal(known.Hashes, r.Hashes) {
		return known, nil
	}
	point, err := evaluate()
	if err == nil {
		s.points[key] = point
	}
	return point, err
}

// summarise fills in the taus of the last rankings, with an interval from two seeds on.
func (p *PolicyRanking) summarise(last []float64) error {
	if len(last) == 0 {
		return nil
	}
	var err error
	if p.Tau, err = summarise(last); err != nil || len(last) < 2 {
		return err
	}
	low, high := stats.MeanInterval(last, 0.95, -1, 1)
	p.TauRange = &Difference{Mean: p.Tau.Mean, Low: low, High: high, Level: 0.95, Method: "Student", Runs: len(last)}
	return nil
}

// point evaluates one ranking.
func (e *RankingEvaluation) point(sp space.Space, r shared.Ranking, ranking *stats.Ranking) (RankingPoint, error) {
	truth := e.TrueValues
	if r.Hashes != nil {
		var err error
		if truth, err = e.truthOf(sp, r.Hashes); err != nil {
			return RankingPoint{}, err
		}
	}
	if len(truth) != len(r.Accuracy) {
		return RankingPoint{}, fmt.Errorf("a ranking of %d architectures for a pool of %d", len(r.Accuracy), len(truth))
	}
	report, err := stats.RankPool(r.Accuracy, truth, ranking, 0)
	return RankingPoint{Epoch: r.Epoch, Steps: r.Steps, Images: r.Images, Accuracy: r.Accuracy, Hashes: r.Hashes, Report: report}, err
}

// Positive says what the taus of a policy show: "above 0", "undetected" with what it was
// looked for with, or that it rises still.
func (p *PolicyRanking) Positive() string {
	switch {
	case p.Tau == nil:
		return "no tau of a seed that is done"
	case p.TauRange == nil:
		return "one seed: no interval"
	case p.TauRange.Low > 0:
		return "above 0"
	case p.TauRange.High < 0:
		return "below 0"
	case p.Trend.Inconclusive():
		return "undetected, and inconclusive at this budget"
	}
	return "undetected"
}

// Steps is the most steps of the weights' optimiser that a seed's last ranking had.
func (p *PolicyRanking) Steps() int {
	most := 0
	for i := range p.Seeds {
		if at := p.Seeds[i].Last(); at != nil {
			most = max(most, at.Steps)
		}
	}
	return most
}

// NullSD is the deviation of tau without any association, of the last ranking that has
// one; NaN where none has.
func (e *RankingEvaluation) NullSD() float64 {
	for _, p := range e.Policies {
		for i := range p.Seeds {
			if at := p.Seeds[i].Last(); at != nil && at.Report.NullSD.Defined {
				return at.Report.NullSD.Value
			}
		}
	}
	return math.NaN()
}
