package nasapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
	"evalnas/nasapi/stats"
)

// ComparisonSchema is the version of a Comparison's JSON form, whose MIME type
// is ComparisonMIME.
const (
	ComparisonSchema = 1
	ComparisonMIME   = "application/vnd.evalnas.result.v1+json"
)

// significance is the one-sided level of verdicts and detectable differences.
const significance = 0.05

// Comparison is the answer of Compare: every group judged under one final
// evaluation, against random sampling of the same space.
type Comparison struct {
	Schema   int    `json:"schema"`
	Version  string `json:"version"`
	Numerics int    `json:"numerics"`
	Engine   int    `json:"engine"` // EngineNumerics
	// By is the final evaluation; Metric says it in words.
	By     objective.Spec `json:"by"`
	Metric string         `json:"metric"`
	// Space is the searched space, N its size. N is 0 where the space cannot
	// be listed: then there are no ranks, percentiles or null.
	Space string `json:"space"`
	N     int    `json:"n"`
	// Best is the best value of the space under By.
	Best    *float64   `json:"best,omitempty"`
	Oracle  bool       `json:"oracle"` // some group was guided by a test column
	Notes   []string   `json:"notes,omitempty"`
	Rows    []GroupRow `json:"groups"`
	Drawn   string     `json:"drawn,omitempty"` // the group that stands for one draw a seed
	Unequal bool       `json:"unequal,omitempty"`

	space   space.Space
	values  []float64 // of the space, nil where it cannot be listed
	ranking *stats.Ranking
	groups  []Group
	by      *objective.Objective
}

// GroupRow is one group's line.
type GroupRow struct {
	Name      string    `json:"name"`
	Kind      GroupKind `json:"kind"`
	Policy    string    `json:"policy"`
	Objective string    `json:"objective,omitempty"` // what guided it
	Guide     string    `json:"-"`                   // the same, short
	Budget    int       `json:"budget,omitempty"`
	Seconds   float64   `json:"seconds,omitempty"` // on the virtual clock, that bounded each run
	Measure   string    `json:"measure,omitempty"`
	Oracle    bool      `json:"oracle,omitempty"`
	Reduced   string    `json:"reduced,omitempty"` // of Group
	Space     string    `json:"space,omitempty"`   // where it was drawn from another than the comparison's

	Runs int `json:"runs"` // seeds that were asked for
	// Distinct is the number of different architectures among the finished
	// runs, 0 where architectures are not known.
	Distinct int            `json:"distinct_architectures,omitempty"`
	States   map[string]int `json:"states"`
	Values   *Summary       `json:"values,omitempty"` // of the done runs, nil if there is none

	Percentiles *Summary `json:"percentiles,omitempty"`
	// PNull is the chance that n uniform draws reach the group's mean
	// mid-rank percentile or more (exact null of the finite table), never
	// below stats.MinP; PNullHolm the same, adjusted over the judged groups,
	// which are all but the draws.
	PNull     *float64 `json:"p_null,omitempty"`
	PNullHolm *float64 `json:"p_null_holm,omitempty"`
	// PNullLower is the chance that random does as badly or worse, and
	// PNullLowerHolm that, adjusted in the same way.
	PNullLower     *float64 `json:"p_null_lower,omitempty"`
	PNullLowerHolm *float64 `json:"p_null_lower_holm,omitempty"`
	// Detectable is the smallest lead of the mean percentile over random's
	// expectation that this number of runs can show (one-sided 5 %).
	Detectable *float64 `json:"smallest_detectable,omitempty"`
	Verdict    string   `json:"verdict,omitempty"`

	BestRank    int     `json:"best_rank,omitempty"`
	BestTies    int     `json:"best_ties,omitempty"`
	BestMidRank float64 `json:"best_mid_rank,omitempty"`
	// PBeatsRandom is the paper's (1 - r/N)^n. Under random search it is
	// uniform on 0..1: PBand holds 90 % of what a random policy would show.
	PBeatsRandom *float64    `json:"p_beats_random,omitempty"`
	PBand        *[2]float64 `json:"p_null_band,omitempty"`
	// PEqualBudget is (1 - r/N)^(n k), only where the policy was guided by the
	// metric of the final evaluation itself, and bounded by look-ups alone.
	PEqualBudget *float64 `json:"p_equal_budget,omitempty"`

	// Differences of the mean under By, with 95 % bootstrap intervals. They
	// and CliffsDelta keep the sign of the values: where By is minimised, less
	// is better. RelativeToDraw is positive for an improvement.
	VersusDraw     *Difference `json:"versus_draw,omitempty"`
	VersusEncoding *Difference `json:"versus_encoding_draw,omitempty"`
	// VersusRandomSearch is against search("random", ...) under the same
	// objective and budget, where it is among the groups.
	VersusRandomSearch *Difference `json:"versus_random_search,omitempty"`
	RelativeToDraw     *float64    `json:"relative_improvement_percent,omitempty"`

	MannWhitney *RankTest        `json:"mann_whitney,omitempty"` // against the draws
	Welch       *MeanTest        `json:"welch,omitempty"`        // against the draws
	Permutation *PermutationTest `json:"permutation,omitempty"`  // against the draws
	CliffsDelta *float64         `json:"cliffs_delta,omitempty"` // against the draws

	// ValueInterval and PercentileInterval are of the means, 95 % by bootstrap.
	ValueInterval      *Interval `json:"value_interval,omitempty"`
	PercentileInterval *Interval `json:"percentile_interval,omitempty"`
	// Undefined says of fields above, by their names in JSON, why the data leave them
	// undefined.
	Undefined map[string]string `json:"undefined,omitempty"`

	// Numerics are the versions under which the runs were made, where they are known.
	Numerics *NumericsVersions `json:"numerics,omitempty"`

	Seeds []SeedRow `json:"seeds"`
}

// SeedRow is one seed's line.
type SeedRow struct {
	Seed       *int64     `json:"seed,omitempty"`
	State      jobs.State `json:"state"`
	Error      string     `json:"error,omitempty"`
	Hash       string     `json:"hash,omitempty"`
	Arch       space.Arch `json:"architecture,omitempty"`
	Value      *float64   `json:"value,omitempty"`
	Rank       int        `json:"rank,omitempty"` // 1 + number strictly better
	Ties       int        `json:"ties,omitempty"` // architectures that share the value
	Percentile *float64   `json:"percentile,omitempty"`
	Params     int64      `json:"params,omitempty"`
	FLOPs      int64      `json:"flops,omitempty"`
}

// CompareOptions says how groups are judged.
type CompareOptions struct {
	// By is the final evaluation, the same for every group. An architecture of
	// a space that can be listed has the value that the list has for it: its
	// own vertex order may cost a few other parameters (see space.Cell), and
	// ranks are those of the list.
	By *objective.Objective
	// Unequal allows searches of different budgets beside each other, and results of
	// different numerics versions.
	Unequal bool
	// Resamples of the bootstrap, default 10,000.
	Resamples int
}

// Compare judges groups under one final evaluation. Groups of different spaces,
// and of different budgets unless Unequal, are refused. Draws of SampleRandom
// have no budget, and those of a larger or smaller NASBench-101 are ranked like
// all others; only draws of the searched space stand for random sampling.
func Compare(groups []Group, o CompareOptions) (*Comparison, error) {
	if o.By == nil {
		return nil, errors.New(`compare: by is missing: it is the final evaluation, such as by=nasbench101_table().metric("test")`)
	}
	if len(groups) == 0 {
		return nil, errors.New("compare: there is nothing to compare: give searches, lists of architectures or results")
	}
	if o.Resamples == 0 {
		o.Resamples = 10_000
	}
	groups = slices.Clone(groups)
	nameGroups(groups)
	if err := checkStored(groups, o.By.Spec()); err != nil {
		return nil, err
	}
	sp, err := commonSpace(groups)
	if err != nil {
		return nil, err
	}
	if err := checkSpaces(groups, sp); err != nil {
		return nil, err
	}
	c := &Comparison{
		Schema: ComparisonSchema, Version: Version, Numerics: Numerics, Engine: EngineNumerics,
		By: o.By.Spec(), Metric: o.By.Spec().Describe(), groups: groups, by: o.By, Unequal: o.Unequal,
	}
	if err := c.checkBudgets(); err != nil {
		return nil, err
	}
	if err := c.checkNumerics(); err != nil {
		return nil, err
	}
	if err := c.rank(sp); err != nil {
		return nil, err
	}
	for _, g := range groups {
		row, err := c.row(g, o)
		if err != nil {
			return nil, err
		}
		if g.Kind == Drawn && !c.ofSpace(g) {
			row.Space = g.Space.String()
			c.note(fmt.Sprintf("%s was drawn from %s: it is ranked in %s, and other draws stand for random sampling.", g.Name, g.Space, sp))
		}
		c.Oracle = c.Oracle || g.Oracle
		c.Rows = append(c.Rows, row)
	}
	if err := c.judge(); err != nil {
		return nil, err
	}
	if err := c.contrast(o.Resamples); err != nil {
		return nil, err
	}
	return c, adjustTests(c.Rows)
}

// commonSpace is the space that the searches share, those whose architectures
// alone are given included. Draws and other architectures are judged in it.
func commonSpace(groups []Group) (space.Space, error) {
	var sp space.Space
	var owner Group
	for _, g := range groups {
		if !g.searched() {
			continue
		}
		if sp != nil && g.Space.Spec() != sp.Spec() {
			return nil, fmt.Errorf("compare: %q searched %s and %q searched %s: searches are compared in one space", owner.Name, sp, g.Name, g.Space)
		}
		sp, owner = g.Space, g
	}
	if sp != nil {
		return sp, nil
	}
	// Nothing was searched here: the largest space that a group is known to be from.
	for _, g := range groups {
		if g.Space != nil && (sp == nil || g.Space.Size().Cmp(sp.Size()) > 0) {
			sp = g.Space
		}
	}
	if sp == nil {
		return space.NASBench101(7)
	}
	return sp, nil
}

// checkSpaces refuses architectures that the common space does not have. Draws
// of a sub-space's larger relative may lie outside: their accuracies are
// known all the same.
func checkSpaces(groups []Group, sp space.Space) error {
	for _, g := range groups {
		for _, r := range g.Runs {
			if r.Arch == nil || g.Kind == Drawn && r.Arch.Space() == sp.Spec().Name {
				continue
			}
			if err := sp.Contains(r.Arch); err != nil {
				return fmt.Errorf("compare: %s, seed %d: %w: groups are compared in one space, here %s", g.Name, r.Seed, err, sp)
			}
		}
	}
	return nil
}

// ofSpace tells whether a group comes from the space that the comparison is
// about.
func (c *Comparison) ofSpace(g Group) bool {
	return g.Space != nil && g.Space.Spec() == c.space.Spec()
}

// value is an architecture's value under By.
func (c *Comparison) value(a space.Arch) (float64, error) {
	if finite, ok := c.space.(space.Finite); ok && c.values != nil {
		if i, ok := finite.Index(a); ok {
			return c.values[i], nil
		}
	}
	return c.by.Value(a)
}

func (c *Comparison) checkBudgets() error {
	c.noteTraining()
	var first *Group
	for i := range c.groups {
		g := &c.groups[i]
		if g.Kind == Drawn || g.Budget == 0 && g.Seconds == 0 {
			continue
		}
		if first == nil {
			first = g
		}
		if g.Budget == first.Budget && g.Seconds == first.Seconds {
			continue
		}
		if !c.Unequal {
			return fmt.Errorf("compare: %q had %s a seed and %q had %s: searches that are compared share their budget (unequal=True compares them all the same, and says so)",
				first.Name, first.budgetText(), g.Name, g.budgetText())
		}
		if g.Seconds == first.Seconds {
			c.note("UNEQUAL BUDGETS: the searches did not have the same number of evaluations.")
		} else {
			c.note("UNEQUAL BUDGETS: the searches did not have the same time on the virtual clock.")
		}
	}
	return nil
}

// budgetText is what a run of the group may spend, which of two things is spent first.
func (g *Group) budgetText() string {
	var parts []string
	if g.Budget > 0 {
		parts = append(parts, fmt.Sprintf("%d evaluations", g.Budget))
	}
	if g.Seconds > 0 {
		parts = append(parts, SecondsText(g.Seconds)+" simulated seconds")
	}
	return strings.Join(parts, " or ")
}

// Reduced says which groups were searched with less than a published protocol, "" where
// none was.
func (c *Comparison) Reduced() string {
	var texts []string
	for _, g := range c.groups {
		if g.Reduced != "" && !slices.Contains(texts, g.Reduced) {
			texts = append(texts, g.Reduced)
		}
	}
	return strings.Join(texts, "; ")
}

// noteTraining says where searches with shared weights were not trained alike: policies
// have protocols of their own, so this is no error.
func (c *Comparison) noteTraining() {
	protocols := map[string]bool{}
	for _, g := range c.groups {
		if g.Objective != nil && g.Objective.Kind == objective.SharedWeights {
			protocols[g.Objective.Protocol] = true
		}
		if protocol, ok := strings.CutPrefix(g.guide, objective.SharedWeights+"("); ok && g.stored != nil {
			protocols[strings.TrimSuffix(protocol, ")")] = true
		}
	}
	if len(protocols) > 1 {
		c.note("UNEQUAL TRAINING: the searches trained their shared weights by different protocols, which each group's line has.")
	}
}

func (c *Comparison) note(text string) {
	if !slices.Contains(c.Notes, text) {
		c.Notes = append(c.Notes, text)
	}
}

// rank reads the whole space under By, where it can be listed.
func (c *Comparison) rank(sp space.Space) error {
	c.space, c.Space = sp, sp.String()
	if c.By.Minimise {
		c.note("Lower is better: differences and Cliff's delta below 0 are in a group's favour.")
	}
	finite, ok := sp.(space.Finite)
	if c.By.Kind == objective.Trained {
		c.note("Only what was trained has a value: there are no ranks, percentiles or exact null.")
		return nil
	}
	if !ok {
		c.note(fmt.Sprintf("%s cannot be listed: there are no ranks, percentiles or exact null.", sp))
		return nil
	}
	values, err := c.by.Column(finite)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	ranking, err := stats.NewRanking(values, !c.By.Minimise)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	best := ranking.Best()
	c.N, c.Best, c.values, c.ranking = ranking.N(), &best, values, ranking
	return nil
}

func (c *Comparison) row(g Group, o CompareOptions) (GroupRow, error) {
	row := GroupRow{
		Name: g.Name, Kind: g.Kind, Policy: g.Policy, Budget: g.Budget, Seconds: g.Seconds, Measure: g.Measure, Oracle: g.Oracle, Reduced: g.Reduced,
		Objective: g.guide, Guide: g.guide, Runs: len(g.Runs), States: map[string]int{},
	}
	if g.Numerics != (NumericsVersions{}) {
		row.Numerics = &g.Numerics
	}
	if g.Objective != nil {
		row.Objective = guideText(*g.Objective, g.Objective.String())
		row.Guide = guideText(*g.Objective, g.Objective.Label())
	}
	if err := checkOneRunASeed(g); err != nil {
		return row, err
	}
	for _, r := range g.Runs {
		seed, err := c.seedRow(g, r)
		if err != nil {
			return row, err
		}
		row.States[string(seed.State)]++
		row.Seeds = append(row.Seeds, seed)
	}
	c.countDistinct(&row)
	values := row.values()
	if len(values) == 0 {
		return row, nil
	}
	var err error
	if row.Values, err = summarise(values); err != nil {
		return row, fmt.Errorf("compare: %s: %w", g.Name, err)
	}
	if row.ValueInterval, err = row.interval("value_interval", values, o.Resamples); err != nil {
		return row, fmt.Errorf("compare: %s: %w", g.Name, err)
	}
	return row, c.rankRow(&row, g, values, o.Resamples)
}

// checkOneRunASeed refuses a group that counts a seed twice: its runs would not
// be independent, and every test would find more than there is.
func checkOneRunASeed(g Group) error {
	seen := map[int64]bool{}
	for _, r := range g.Runs {
		if r.HasSeed && seen[r.Seed] {
			return fmt.Errorf("compare: group %q has seed %d twice: each seed is one independent run, so give each once", g.Name, r.Seed)
		}
		seen[r.Seed] = true
	}
	return nil
}

// countDistinct notes where the seeds of a group agree so much that they are
// hardly independent evidence of what the policy finds.
func (c *Comparison) countDistinct(row *GroupRow) {
	hashes := map[string]bool{}
	known := 0
	for _, s := range row.Seeds {
		if s.Hash != "" {
			hashes[s.Hash] = true
			known++
		}
	}
	row.Distinct = len(hashes)
	if known >= 3 && len(hashes) == 1 {
		c.note(fmt.Sprintf("All %d runs of %s end in one architecture: they are one result, and its spread is not that of a policy.", known, row.Name))
	}
}

// guideText adds the direction of an objective to a text about it.
func guideText(o objective.Spec, text string) string {
	if o.Minimise {
		return text + ", minimised"
	}
	return text
}

func (c *Comparison) seedRow(g Group, r GroupRun) (SeedRow, error) {
	s := SeedRow{State: r.State, Error: r.Error, Arch: r.Arch, Value: r.Value}
	if r.HasSeed {
		seed := r.Seed
		s.Seed = &seed
	}
	if r.Arch != nil {
		s.Hash, s.Params, s.FLOPs = r.Arch.Hash(), r.Arch.Params(), r.Arch.FLOPs()
		if s.Value == nil {
			v, err := c.value(r.Arch)
			if err != nil {
				return s, fmt.Errorf("compare: %s, seed %d: %w", g.Name, r.Seed, err)
			}
			s.Value = &v
		}
		if err := g.checkValue(r, *s.Value, c.By); err != nil {
			return s, fmt.Errorf("compare: %s, seed %d: %w", g.Name, r.Seed, err)
		}
	}
	if s.Value != nil && c.By.Accuracy() && (*s.Value < 0 || *s.Value > 1) {
		return s, fmt.Errorf("compare: %s, seed %d: value %v: accuracies are fractions in 0..1 (93.1 %% is 0.931)", g.Name, r.Seed, *s.Value)
	}
	if s.Value != nil && c.ranking != nil {
		p := c.ranking.Percentile(*s.Value)
		s.Rank, s.Ties, s.Percentile = c.ranking.Rank(*s.Value), c.ranking.Ties(*s.Value), &p
	}
	return s, nil
}

func (r *GroupRow) values() []float64 {
	var out []float64
	for _, s := range r.Seeds {
		if s.Value != nil {
			out = append(out, *s.Value)
		}
	}
	return out
}

// rankRow adds what follows from the ranks of a group's values.
func (c *Comparison) rankRow(row *GroupRow, g Group, values []float64, resamples int) error {
	if c.ranking == nil {
		return nil
	}
	percentiles := make([]float64, len(values))
	best := values[0]
	for i, v := range values {
		percentiles[i] = c.ranking.Percentile(v)
		if c.ranking.Rank(v) < c.ranking.Rank(best) {
			best = v
		}
	}
	var err error
	if row.Percentiles, err = summarise(percentiles); err != nil {
		return err
	}
	if row.PercentileInterval, err = row.interval("percentile_interval", percentiles, resamples); err != nil {
		return err
	}
	row.BestRank, row.BestTies, row.BestMidRank = c.ranking.Rank(best), c.ranking.Ties(best), c.ranking.MidRank(best)
	// A value measured elsewhere may be worse than the whole space: rank N + 1.
	rank := min(row.BestRank, c.N)
	p, err := stats.PBeatsRandom(rank, c.N, len(values))
	if err != nil {
		return err
	}
	row.PBeatsRandom = &p
	lo, hi, err := stats.PBeatsRandomBand(0.9)
	if err != nil {
		return err
	}
	row.PBand = &[2]float64{lo, hi}
	if row.Kind == Searched && row.Budget > 0 && row.Seconds == 0 && g.Objective != nil && *g.Objective == c.By {
		p, err := stats.PBeatsRandomBudget(rank, c.N, len(values), row.Budget)
		if err != nil {
			return err
		}
		row.PEqualBudget = &p
	}
	return nil
}

// judge tests every group against the exact null of the finite table.
func (c *Comparison) judge() error {
	if c.ranking == nil {
		return nil
	}
	nulls := map[int]*stats.Null{}
	var tested []*GroupRow
	for i := range c.Rows {
		row := &c.Rows[i]
		if row.Percentiles == nil {
			continue
		}
		n := row.Percentiles.N
		if nulls[n] == nil {
			null, err := c.ranking.MeanPercentileNull(n)
			if err != nil {
				return err
			}
			nulls[n] = null
		}
		upper, lower := nulls[n].PAtLeast(row.Percentiles.Mean), nulls[n].PAtMost(row.Percentiles.Mean)
		row.PNull, row.PNullLower = &upper, &lower
		if d, err := nulls[n].SmallestDetectable(significance); err == nil {
			row.Detectable = &d.Difference
		}
		if row.Kind != Drawn {
			tested = append(tested, row)
		}
	}
	return holm(tested)
}

func holm(rows []*GroupRow) error {
	if len(rows) == 0 {
		return nil
	}
	upper, lower := make([]float64, len(rows)), make([]float64, len(rows))
	for i, r := range rows {
		upper[i], lower[i] = *r.PNull, *r.PNullLower
	}
	upper, err := stats.Holm(upper)
	if err != nil {
		return err
	}
	// "Worse than random" is a claim too, and is held to the same standard.
	lower, err = stats.Holm(lower)
	if err != nil {
		return err
	}
	for i, r := range rows {
		r.PNullHolm, r.PNullLowerHolm = &upper[i], &lower[i]
		r.Verdict = verdict(r)
	}
	return nil
}

// verdict says in words what the exact test shows, and what it could have.
func verdict(r *GroupRow) string {
	switch {
	case *r.PNullHolm <= significance:
		return "better than random sampling"
	case *r.PNullLowerHolm <= significance:
		return "worse than random sampling"
	case r.Detectable == nil:
		return "too few runs to tell from random sampling"
	}
	runs := "1 run"
	if r.Percentiles.N > 1 {
		runs = fmt.Sprintf("%d runs", r.Percentiles.N)
	}
	return fmt.Sprintf("not told from random sampling by %s (a lead under %.1f points cannot be)", runs, *r.Detectable)
}

// contrast adds the differences from the baselines: one draw a seed, one draw
// in the policy's own encoding, and random search at equal cost.
func (c *Comparison) contrast(resamples int) error {
	drawn := c.drawnRow()
	if drawn != nil {
		c.Drawn = drawn.Name
	}
	for i := range c.Rows {
		row := &c.Rows[i]
		values := row.values()
		if row.Kind == Drawn || len(values) == 0 {
			continue
		}
		draws, err := c.draws(drawn, row, MeasureUnique)
		if err != nil {
			return err
		}
		if err := c.againstDraws(row, values, draws, resamples); err != nil {
			return err
		}
		if err := c.againstEncoding(row, values, resamples); err != nil {
			return err
		}
		if err := c.againstRandomSearch(row, values, resamples); err != nil {
			return err
		}
	}
	return nil
}

// drawnRow is the group that stands for random sampling: uniform draws from
// the searched space itself.
func (c *Comparison) drawnRow() *GroupRow { return c.drawnBy(MeasureUnique) }

// drawnBy is the first group of draws from the searched space with a measure.
func (c *Comparison) drawnBy(measure string) *GroupRow {
	for i := range c.Rows {
		if r := &c.Rows[i]; r.Kind == Drawn && r.Measure == measure && r.Values != nil && c.ofSpace(c.groups[i]) {
			return r
		}
	}
	return nil
}

// draws are the values of one draw a seed: those of the compared draws, else
// fresh ones under the group's own seeds.
func (c *Comparison) draws(drawn, row *GroupRow, measure string) ([]float64, error) {
	if drawn != nil && measure == MeasureUnique {
		return drawn.values(), nil
	}
	var seeds []int64
	for i, s := range row.Seeds {
		if s.Seed != nil {
			seeds = append(seeds, *s.Seed)
		} else {
			seeds = append(seeds, int64(i))
		}
	}
	slices.Sort(seeds)
	found, err := SampleRandom(c.space, slices.Compact(seeds), measure)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(found))
	for i, f := range found {
		if out[i], err = c.value(f.Arch); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *Comparison) difference(row *GroupRow, values, baseline []float64, key, label string, resamples int) (*Difference, error) {
	d, err := stats.Bootstrap{Resamples: resamples, Stream: rng.New(0, "compare", "bootstrap", row.Name, label)}.MeanDifference(values, baseline)
	if errors.Is(err, stats.ErrUndefined) {
		row.leaveOut(key, "undefined: it needs two runs on either side")
		c.note(fmt.Sprintf("The interval of %s against %s is undefined: it needs two runs on either side.", row.Name, label))
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("compare: %s against %s: %w", row.Name, label, err)
	}
	return &Difference{Mean: d.Point, Low: d.Low, High: d.High, Level: d.Level, Method: d.Method, Runs: len(values), BaselineRuns: len(baseline)}, nil
}

func (c *Comparison) againstDraws(row *GroupRow, values, draws []float64, resamples int) error {
	var err error
	if row.VersusDraw, err = c.difference(row, values, draws, "versus_draw", "one draw a seed", resamples); err != nil {
		return err
	}
	mean, err := stats.Mean(draws)
	if err != nil {
		return err
	}
	if rel, err := stats.RelativeImprovement(row.Values.Mean, mean, !c.By.Minimise); err == nil {
		row.RelativeToDraw = &rel
	} else {
		row.leaveOut("relative_improvement_percent", "undefined: the mean of random sampling is 0")
	}
	if err := row.testMeans(values, draws, resamples); err != nil {
		return fmt.Errorf("compare: %s against one draw a seed: %w", row.Name, err)
	}
	mw, err := stats.MannWhitney(values, draws)
	if err != nil {
		return err
	}
	row.MannWhitney = &RankTest{U: mw.U, P: mw.TwoSided, Method: mw.Method}
	delta, err := stats.CliffsDelta(values, draws)
	if err != nil {
		return err
	}
	row.CliffsDelta = &delta
	return nil
}

// againstEncoding compares with a draw in the encoding, for the policies that
// can only emit what their encoding reaches.
func (c *Comparison) againstEncoding(row *GroupRow, values []float64, resamples int) error {
	info, err := policy.Lookup(row.Policy)
	if err != nil || info.Encoding == nil { // a policy of another program has no encoding that we know
		return nil
	}
	if !info.Encoding.Fits(c.space) {
		return nil
	}
	var draws []float64
	if c.By.Kind == objective.Trained {
		drawn := c.drawnBy(info.Encoding.Name)
		if drawn == nil {
			c.note(fmt.Sprintf("No draw in the encoding of %s was trained: train some along for that baseline, sample_random(space, seeds=..., measure=%q).", row.Policy, info.Encoding.Name))
			return nil
		}
		draws = drawn.values()
	} else if draws, err = c.draws(nil, row, info.Encoding.Name); err != nil {
		return err
	}
	row.VersusEncoding, err = c.difference(row, values, draws, "versus_encoding_draw", "draws in the encoding", resamples)
	return err
}

func (c *Comparison) againstRandomSearch(row *GroupRow, values []float64, resamples int) error {
	if row.Kind != Searched || row.Policy == "random" {
		return nil
	}
	for i := range c.Rows {
		other := &c.Rows[i]
		if other.Kind == Searched && other.Policy == "random" && other.Budget == row.Budget && other.Seconds == row.Seconds && other.Objective == row.Objective && other.Values != nil {
			var err error
			row.VersusRandomSearch, err = c.difference(row, values, other.values(), "versus_random_search", other.Name, resamples)
			return err
		}
	}
	return nil
}

// Row finds a group by name.
func (c *Comparison) Row(name string) (*GroupRow, bool) {
	for i := range c.Rows {
		if c.Rows[i].Name == name {
			return &c.Rows[i], true
		}
	}
	return nil, false
}

// SpaceValues returns the values of the whole space under By, nil where it
// cannot be listed. It must not be changed.
func (c *Comparison) SpaceValues() []float64 { return c.values }

// Incumbents returns the runs of a group that have a trace, with the value
// under By of the incumbent at each change: what the final evaluation would
// have said of the search had it been stopped there.
func (c *Comparison) Incumbents(name string) ([]IncumbentRun, error) {
	var out []IncumbentRun
	for _, g := range c.groups {
		if g.Name != name {
			continue
		}
		for _, r := range g.Runs {
			if len(r.Trace) == 0 {
				continue
			}
			run := IncumbentRun{Evaluations: r.Evaluations, Seconds: r.Seconds}
			for _, p := range r.Trace {
				a, err := g.Space.Parse(p.Arch)
				if err != nil {
					return nil, fmt.Errorf("compare: trace of %s, seed %d: %w", name, r.Seed, err)
				}
				v, err := c.value(a)
				if err != nil {
					return nil, err
				}
				run.Points = append(run.Points, Incumbent{Evaluations: p.Evaluations, Seconds: p.Seconds, Value: v})
			}
			out = append(out, run)
		}
	}
	return out, nil
}

// IncumbentRun is the final evaluation of one run's incumbents.
type IncumbentRun struct {
	Points      []Incumbent
	Evaluations int     // of the whole run
	Seconds     float64 // of the whole run on the virtual clock, 0 where it had none
}

// Incumbent is an architecture that was the best so far.
type Incumbent struct {
	Evaluations int
	Seconds     float64 // on the virtual clock
	Value       float64
}

// JSON returns the machine-readable form (ComparisonMIME).
func (c *Comparison) JSON() ([]byte, error) { return json.MarshalIndent(c, "", "  ") }

// CSV returns one line for each policy and seed, with a header; `results` reads
// it again.
func (c *Comparison) CSV() [][]string {
	out := [][]string{{"policy", "seed", "state", "hash", "architecture", "value", "rank", "ties", "percentile", "params", "flops", "objective", "budget", "seconds", "oracle", "measure", "metric", "space", "numerics", "marks"}}
	marks := strings.Join(c.Marks(), " ")
	for _, r := range c.Rows {
		for _, s := range r.Seeds {
			out = append(out, []string{
				r.Name, optInt(s.Seed), string(s.State), s.Hash, archText(s.Arch), optFloat(s.Value), optCount(s.Rank), optCount(s.Ties),
				optFloat(s.Percentile), optCount(int(s.Params)), optCount(int(s.FLOPs)), r.Objective, optCount(r.Budget), optSeconds(r.Seconds), strconv.FormatBool(r.Oracle), r.Measure, c.Metric, c.Space, r.numericsText(), marks,
			})
		}
	}
	return out
}

func archText(a space.Arch) string {
	if a == nil {
		return ""
	}
	raw, err := a.MarshalJSON()
	if err != nil {
		return ""
	}
	return string(raw)
}

func optInt(v *int64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatInt(*v, 10)
}

func optCount(v int) string {
	if v == 0 {
		return ""
	}
	return strconv.Itoa(v)
}

func optSeconds(v float64) string {
	if v == 0 {
		return ""
	}
	return SecondsText(v)
}

func optFloat(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}
