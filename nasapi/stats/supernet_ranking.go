package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"evalnas/nasapi/rng"
)

// The sizes that the reference evaluation of Yu et al. (ICLR 2020) reports.
var (
	topSizes    = []int{3, 5, 10, 20}
	subsetSizes = []int{10, 20, 50, 100}
)

const subsetDraws = 5

// Agreement is how far two orders of the same architectures agree. What is undefined,
// as tau is where all scores are equal, is null in JSON.
type Agreement struct {
	Pairs int `json:"pairs"`
	// Tau is Kendall's tau-b, P the two-sided chance of one as far from 0 without any
	// association, NullSD the standard deviation of tau then: see KendallTauTest.
	Tau      Number `json:"kendall_tau"`
	P        Number `json:"kendall_p"`
	NullSD   Number `json:"kendall_null_sd"`
	Method   string `json:"kendall_method,omitempty"`
	Spearman Number `json:"spearman"`
	// Why says what makes them undefined; empty where they are not.
	Why string `json:"why_undefined,omitempty"`
}

// Agree compares any scores of a pool with its truth. Of shared weights it is a part of
// RankPool; of parameter counts or FLOPs on the same pool it is the trivial baseline that
// shared weights have to beat. Higher scores are better; higher truths are unless space,
// which may be nil, says otherwise. Pairs with a value that is not finite are left out.
func Agree(scores, truth []float64, space *Ranking) (Agreement, error) {
	p, err := newPool("agreement", scores, truth, space)
	if err != nil {
		return Agreement{}, err
	}
	return p.agree(), nil
}

// RankingReport is how well the accuracies that architectures have with shared weights
// rank them, at one save point of one run.
type RankingReport struct {
	Pool    int `json:"pool"`     // architectures asked for
	NoScore int `json:"no_score"` // of them without a finite score: counted, and left out below
	NoTruth int `json:"no_truth"` // of the others without a known truth: likewise

	Agreement

	// SparseTau is tau-b with the truth in bins of SparseWidth, SparsePublished the
	// reference's variant of it; undefined where truth is no accuracy.
	SparseTau       Number  `json:"sparse_tau"`
	SparsePublished Number  `json:"sparse_tau_published"`
	SparseWidth     float64 `json:"sparse_width"`

	Top     []TopK      `json:"top"`
	Subsets []SubsetTau `json:"subsets"`

	// Scores: their number of distinct values, mean, deviation (of a sample), best, and
	// mean of the five best.
	Distinct  int    `json:"distinct_scores"`
	ScoreMean Number `json:"score_mean"`
	ScoreSD   Number `json:"score_sd"`
	ScoreBest Number `json:"score_best"`
	ScoreTop5 Number `json:"score_top5"`

	// RankChange is the mean distance between an architecture's rank by score and by
	// truth; ChanceRankChange what a random order has on average, (n^2 - 1) / 3n.
	RankChange       Number `json:"rank_change"`
	ChanceRankChange Number `json:"chance_rank_change"`

	Seed int64 `json:"seed"` // of the random subsets
}

// TopK is about the K architectures of the best scores, those of equal score by their
// place in the pool. All is undefined where the pool has fewer.
type TopK struct {
	K int `json:"k"`
	// Percentiles of their truth in the whole space; undefined without one.
	Min    Number `json:"percentile_min"`
	Median Number `json:"percentile_median"`
	Max    Number `json:"percentile_max"`
	// Best is the best truth among them; Regret how far the best of the space is from
	// it, at least 0, and undefined without a space.
	Best   Number `json:"best_truth"`
	Regret Number `json:"regret"`
	// Overlap is the share of them that are among the best K by truth, that is, than
	// which fewer than K of the pool are strictly better. Chance is what a random order
	// has on average: more than K/n where truths tie at the edge.
	Overlap Number `json:"overlap"`
	Chance  Number `json:"overlap_chance"`
}

// TopOf is what is known of the k architectures of the best scores, undefined for a k other
// than 3, 5, 10 and 20.
func (r *RankingReport) TopOf(k int) TopK {
	for _, t := range r.Top {
		if t.K == k {
			return t
		}
	}
	return TopK{K: k}
}

// SubsetTau is tau-b on random subsets of the pool, which tells how much a tau depends on
// the architectures it is taken from. There are none where the pool is smaller.
type SubsetTau struct {
	Size    int    `json:"size"`
	Draws   int    `json:"draws"`
	Defined int    `json:"defined"` // of them with a defined tau; the rest is over these
	Min     Number `json:"tau_min"`
	Max     Number `json:"tau_max"`
	Mean    Number `json:"tau_mean"`
}

// RankPool evaluates scores, one for each architecture of a pool and the higher the
// better, against truth, as section 4 of Yu et al. (ICLR 2020) does, and beyond. A score
// or a truth that is missing is NaN. space is all truths of the search space, which knows
// their direction too; it may be nil. seed draws the random subsets. Errors are for
// lengths that differ and an empty pool; what such a pool leaves undefined is so in the
// report.
func RankPool(scores, truth []float64, space *Ranking, seed int64) (*RankingReport, error) {
	p, err := newPool("ranking of a pool", scores, truth, space)
	if err != nil {
		return nil, err
	}
	r := &RankingReport{
		Pool: len(scores), NoScore: p.noScore, NoTruth: p.noTruth,
		Agreement: p.agree(), SparseWidth: SparseWidth, Seed: seed,
	}
	if !p.lower {
		r.SparseTau = number(SparseTau(p.scores, p.truth, SparseWidth))
		r.SparsePublished = number(SparseTauPublished(p.scores, p.truth, SparseWidth))
	}
	for _, k := range topSizes {
		r.Top = append(r.Top, p.top(k, space))
	}
	for _, k := range subsetSizes {
		r.Subsets = append(r.Subsets, p.subsets(k, seed))
	}
	r.describeScores(p)
	if d, err := RankDisorder(p.scores, p.merit); err == nil {
		r.RankChange, r.ChanceRankChange = Defined(d.Mean), Defined(d.Chance)
	}
	return r, nil
}

func (r *RankingReport) describeScores(p pool) {
	s, err := Describe(p.scores)
	if err != nil {
		return
	}
	r.ScoreMean, r.ScoreBest = Defined(s.Mean), Defined(s.Max)
	if s.HasSD {
		r.ScoreSD = Defined(s.SD)
	}
	best := slices.Clone(p.scores)
	slices.Sort(best)
	if len(best) >= 5 {
		r.ScoreTop5 = Defined(mean(best[len(best)-5:]))
	}
	r.Distinct = len(slices.Compact(best))
}

// pool is the architectures that have both a score and a truth.
type pool struct {
	scores, truth    []float64
	merit            []float64 // truth, the higher the better
	lower            bool      // lower truths are better
	order            []int     // by score, best first, equal ones by place
	noScore, noTruth int
}

func newPool(op string, scores, truth []float64, space *Ranking) (pool, error) {
	if len(scores) != len(truth) {
		return pool{}, fmt.Errorf("%s: %d scores and %d truths; each architecture has one of each, NaN where it is missing", op, len(scores), len(truth))
	}
	if len(scores) == 0 {
		return pool{}, fmt.Errorf("%s: no architectures; give at least one", op)
	}
	p := pool{lower: space != nil && !space.HigherIsBetter()}
	for i, s := range scores {
		switch {
		case math.IsNaN(s) || math.IsInf(s, 0):
			p.noScore++
			continue
		case math.IsNaN(truth[i]) || math.IsInf(truth[i], 0):
			p.noTruth++
			continue
		}
		merit := truth[i]
		if p.lower {
			merit = -merit
		}
		p.scores, p.truth, p.merit = append(p.scores, s), append(p.truth, truth[i]), append(p.merit, merit)
		p.order = append(p.order, len(p.order))
	}
	slices.SortStableFunc(p.order, func(i, j int) int { return cmp.Compare(p.scores[j], p.scores[i]) })
	return p, nil
}

func (p pool) agree() Agreement {
	a := Agreement{Pairs: len(p.scores)}
	k, err := KendallTauTest(p.scores, p.merit)
	if err != nil {
		a.Why = err.Error()
		return a
	}
	a.Tau, a.P, a.NullSD, a.Method = Defined(k.Tau), Defined(k.TwoSided), Defined(k.NullSD), k.Method
	a.Spearman = number(Spearman(p.scores, p.merit))
	return a
}

func (p pool) top(k int, space *Ranking) TopK {
	t := TopK{K: k}
	n := len(p.order)
	if n < k {
		return t
	}
	byTruth := slices.Clone(p.merit)
	slices.Sort(byTruth)
	edge := byTruth[n-k]
	among := func(merits []float64) (count int) {
		for _, m := range merits {
			if m >= edge {
				count++
			}
		}
		return count
	}
	merits, truths := make([]float64, k), make([]float64, k)
	for j, i := range p.order[:k] {
		merits[j], truths[j] = p.merit[i], p.truth[i]
	}
	t.Overlap = Defined(float64(among(merits)) / float64(k))
	t.Chance = Defined(float64(among(byTruth)) / float64(n))
	best := slices.Max(merits)
	if p.lower {
		best = -best
	}
	t.Best = Defined(best)
	if space != nil {
		percentiles := make([]float64, k)
		for j, v := range truths {
			percentiles[j] = space.Percentile(v)
		}
		slices.Sort(percentiles)
		t.Min, t.Median, t.Max = Defined(percentiles[0]), Defined(quantile(percentiles, 0.5)), Defined(percentiles[k-1])
		t.Regret = Defined(regretOf(space, best))
	}
	return t
}

// regretOf is how far the best of a space is from v, 0 where v is better than all of it.
func regretOf(space *Ranking, v float64) float64 {
	if !space.better(space.Best(), v) {
		return 0
	}
	return math.Abs(space.Best() - v)
}

func (p pool) subsets(size int, seed int64) SubsetTau {
	s := SubsetTau{Size: size}
	if len(p.scores) < size {
		return s
	}
	s.Draws = subsetDraws
	stream := rng.New(seed, "stats", "subset taus", strconv.Itoa(size))
	scores, merits := make([]float64, size), make([]float64, size)
	var taus []float64
	for range subsetDraws {
		for j, i := range stream.Sample(len(p.scores), size) {
			scores[j], merits[j] = p.scores[i], p.merit[i]
		}
		if tau, err := KendallTau(scores, merits); err == nil {
			taus = append(taus, tau)
		}
	}
	if s.Defined = len(taus); s.Defined > 0 {
		s.Min, s.Max, s.Mean = Defined(slices.Min(taus)), Defined(slices.Max(taus)), Defined(mean(taus))
	}
	return s
}
