package nasapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"evalnas/nasapi/objective"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/stats"
)

// CorrelationSchema is the version of a Correlation's JSON form, whose MIME type is
// CorrelationMIME.
const (
	CorrelationSchema = 1
	CorrelationMIME   = "application/vnd.evalnas.correlation.v1+json"
)

// Score is an objective under a name: something that orders architectures.
type Score struct {
	Name string
	By   *objective.Objective
}

// Correlation says how well scores that cost little order architectures as the truth does.
// It is what a ranking by shared weights has to beat.
type Correlation struct {
	Schema   int            `json:"schema"`
	Version  string         `json:"version"`
	Numerics int            `json:"numerics"`
	Truth    objective.Spec `json:"truth"`
	Metric   string         `json:"metric"` // the truth in words
	Space    string         `json:"space"`
	N        int            `json:"n"`              // architectures of the space
	Pool     int            `json:"pool"`           // of them compared: all, or drawn
	Seed     *int64         `json:"seed,omitempty"` // of the draw

	Rows []CorrelationRow `json:"scores"`

	pool   []int // places in the space, nil for all
	scores [][]float64
	truth  []float64
}

// CorrelationRow is about one score.
type CorrelationRow struct {
	Name  string         `json:"name"`
	Score objective.Spec `json:"score"`
	What  string         `json:"what"` // the score in words
	*stats.RankingReport
}

// CorrelateOptions says what is held against what.
type CorrelateOptions struct {
	Scores []Score
	Truth  *objective.Objective
	Space  space.Finite
	// Draws is the number of distinct architectures that are compared, drawn uniformly under
	// Seed; 0 for the whole space.
	Draws int
	Seed  int64
}

// Correlate compares the order of architectures by each score with their order by the truth:
// Kendall's tau-b, Spearman, sparse tau, and the true percentiles of the best by score. Higher
// scores and truths are better, unless their objectives are minimised.
func Correlate(o CorrelateOptions) (*Correlation, error) {
	if len(o.Scores) == 0 {
		return nil, errors.New("correlate: there is no score: give at least one objective, such as params()")
	}
	if o.Draws < 0 || o.Draws > o.Space.Len() {
		return nil, fmt.Errorf("correlate: n is %d: %s has %s architectures, of which 2 or more are compared", o.Draws, o.Space, o.Space.Size())
	}
	truth, err := o.Truth.Column(o.Space)
	if err != nil {
		return nil, fmt.Errorf("correlate: %w", err)
	}
	ranking, err := stats.NewRanking(truth, !o.Truth.Spec().Minimise)
	if err != nil {
		return nil, fmt.Errorf("correlate: %w", err)
	}
	c := &Correlation{
		Schema: CorrelationSchema, Version: Version, Numerics: Numerics, Truth: o.Truth.Spec(), Metric: o.Truth.Spec().Describe(),
		Space: o.Space.String(), N: len(truth), Pool: len(truth), truth: truth,
	}
	if o.Draws > 0 {
		c.pool = rng.New(o.Seed, "correlate", "pool").Sample(o.Space.Len(), o.Draws)
		slices.Sort(c.pool)
		c.Pool, c.Seed, c.truth = o.Draws, &o.Seed, pick(truth, c.pool)
	}
	for _, s := range o.Scores {
		if err := c.add(s, o, ranking); err != nil {
			return nil, fmt.Errorf("correlate: %s: %w", s.Name, err)
		}
	}
	return c, nil
}

func (c *Correlation) add(s Score, o CorrelateOptions, ranking *stats.Ranking) error {
	values, err := s.By.Column(o.Space)
	if err != nil {
		return err
	}
	if c.pool != nil {
		values = pick(values, c.pool)
	}
	scores := make([]float64, len(values))
	for i, v := range values {
		scores[i] = s.By.Score(v)
	}
	report, err := stats.RankPool(scores, c.truth, ranking, o.Seed)
	if err != nil {
		return err
	}
	c.scores = append(c.scores, scores)
	c.Rows = append(c.Rows, CorrelationRow{Name: s.Name, Score: s.By.Spec(), What: guideText(s.By.Spec(), s.By.Spec().Describe()), RankingReport: report})
	return nil
}

func pick(values []float64, at []int) []float64 {
	out := make([]float64, len(at))
	for i, k := range at {
		out[i] = values[k]
	}
	return out
}

// Ranks are those of the compared architectures by score number i and by the truth, 1 the
// best, equal ones at their mean rank.
func (c *Correlation) Ranks(i int) (score, truth []float64) {
	merits := c.truth
	if c.Truth.Minimise {
		merits = make([]float64, len(c.truth))
		for k, v := range c.truth {
			merits[k] = -v
		}
	}
	return stats.MidRanks(c.scores[i]), stats.MidRanks(merits)
}

// JSON returns the machine-readable form (CorrelationMIME).
func (c *Correlation) JSON() ([]byte, error) { return json.MarshalIndent(c, "", "  ") }

// CSV returns a line for each score, with a header.
func (c *Correlation) CSV() [][]string {
	out := [][]string{{"score", "what", "pool", "kendall_tau", "kendall_p", "spearman", "sparse_tau", "top_10_median_percentile", "top_10_overlap", "truth", "space", "seed"}}
	for _, r := range c.Rows {
		top := r.TopOf(10)
		out = append(out, []string{
			r.Name, r.What, strconv.Itoa(r.Pool), r.Tau.String(), r.P.String(), r.Spearman.String(), r.SparseTau.String(),
			top.Median.String(), top.Overlap.String(), c.Metric, c.Space, optInt(c.Seed),
		})
	}
	return out
}
