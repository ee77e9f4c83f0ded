package report

import (
	"fmt"
	"strings"

	"evalnas/nasapi"
	"evalnas/nasapi/objective"
)

// label is a group's name, marked where it is an oracle.
func label(g *nasapi.GroupRow) Cell {
	if g.Oracle {
		return text(g.Name + " [oracle]")
	}
	return text(g.Name)
}

// judged calls each with the groups that have values.
func (m *maker) judged(each func(g *nasapi.GroupRow)) {
	for i := range m.c.Rows {
		if g := &m.c.Rows[i]; g.Values != nil {
			each(g)
		}
	}
}

// noValues is what stands for the numbers of a comparison without any.
const noValues = "unknown: no run has a result; wait(...) waits for those that are under way, .errors says why others failed"

func (m *maker) question() (Section, error) {
	s := Section{ID: "question", Title: "What was asked"}
	s.Text = append(s.Text, fmt.Sprintf("Do these search policies find better architectures in %s than sampling it at random does? Every architecture is judged alike, by %s.", m.c.Space, m.c.Metric))
	if m.c.By.Minimise {
		s.Text = append(s.Text, "Lower is better.")
	}
	t := Table{ID: "groups", Columns: columns(left("group", "kind"), prose("guided by"), right("evaluations a seed", "runs", "done"), left("sampling measure"))}
	for i := range m.c.Rows {
		g := &m.c.Rows[i]
		budget := text("none: one draw a seed")
		switch {
		case g.Budget > 0:
			budget = count(g.Budget)
		case g.Kind == nasapi.Searched:
			budget = text("none: shared weights, see the protocol")
		case g.Kind == nasapi.Given:
			budget = text("unknown")
		}
		guide := g.Guide
		if guide == "" && g.Kind == nasapi.Drawn {
			guide = "nothing"
		}
		t.Rows = append(t.Rows, []Cell{label(g), text(kindOf(g)), text(guide), budget, count(g.Runs), count(g.States["done"]), text(g.Measure)})
		if v := g.Verdict; v != "" {
			s.Text = append(s.Text, fmt.Sprintf("%s: %s.", g.Name, v))
		}
	}
	s.Tables = []Table{t}
	return s, nil
}

func kindOf(g *nasapi.GroupRow) string {
	switch {
	case g.Kind == nasapi.Searched:
		return "search"
	case g.Kind == nasapi.Drawn:
		return "random draws"
	case g.Objective != "":
		return "what a search found"
	}
	return "results or architectures, given"
}

// reason is why a field of a group has no number, else what stands in general.
func reason(g *nasapi.GroupRow, field, otherwise string) string {
	if why := g.Undefined[field]; why != "" {
		return why
	}
	return otherwise
}

func (m *maker) percentiles() (Section, error) {
	s := Section{ID: "percentiles", Title: "Percentiles in the space", Figures: []string{FigureResults}}
	m.some(15)
	if m.c.N == 0 {
		why := fmt.Sprintf("unknown: %s, so there is no exact null; a space with a table, such as nasbench101(), has one", m.unlisted())
		s.Text = append(s.Text, why)
		m.lacks(1, why)
		return s, nil
	}
	chance := 50 + 50/float64(m.c.N) // the mean of all mid-rank percentiles
	t := Table{ID: "percentiles", Columns: columns(left("group"), right("n", "mean", "lead over random", "median", "worst", "best", "p (exact)", "p, Holm", "smallest detectable lead"), prose("verdict"))}
	m.judged(func(g *nasapi.GroupRow) {
		m.some(1)
		p := g.Percentiles
		lead := numbers(Points, p.Mean-chance)
		if i := g.PercentileInterval; i != nil {
			lead = numbers(Points, p.Mean-chance, i.Low-chance, i.High-chance)
		}
		holm := optional(NullChance, g.PNullHolm, "draws are not judged")
		verdict := g.Verdict
		if g.Kind == nasapi.Drawn {
			verdict = "the baseline itself"
		}
		t.Rows = append(t.Rows, []Cell{label(g), count(p.N), numbers(Percentile, p.Mean), lead, numbers(Percentile, p.Median), numbers(Percentile, p.Min), numbers(Percentile, p.Max),
			optional(NullChance, g.PNull, ""), holm, optional(Points, g.Detectable, "undefined: too few runs for any"), text(verdict)})
	})
	t.Notes = append(t.Notes, fmt.Sprintf("100 (1 - (mid-rank - 1)/N) among the N = %s architectures of %s; 100 is a best one. Random sampling has %.4f on average. In brackets the 95 %% interval of the lead by bootstrap over seeds. p: the chance that as many uniform draws have a mean percentile at least as high, from the exact distribution of the finite table.", grouped(m.c.N), m.c.Space, chance))
	s.Tables = []Table{t}
	if len(t.Rows) == 0 {
		m.lacks(1, noValues)
	}
	return s, nil
}

// unlisted is why there is no list of the space under the metric.
func (m *maker) unlisted() string {
	if m.c.By.Kind == objective.Trained {
		return "only what was trained has a value"
	}
	return m.c.Space + " cannot be listed"
}

func (m *maker) values() (Section, error) {
	s := Section{ID: "values", Title: "Values under the final evaluation"}
	t := Table{ID: "values", Columns: columns(left("group"), right("n", "median", "best", "worst", "mean ± sd", "95 % interval of the mean"))}
	m.judged(func(g *nasapi.GroupRow) {
		v := g.Values
		best, worst := v.Max, v.Min
		if m.c.By.Minimise {
			best, worst = worst, best
		}
		spread := numbers(Value, v.Mean)
		if v.SD != nil {
			spread = numbers(Deviation, v.Mean, *v.SD)
		}
		interval := text(reason(g, "value_interval", "unknown"))
		if i := g.ValueInterval; i != nil {
			interval = numbers(Range, i.Low, i.High)
		}
		t.Rows = append(t.Rows, []Cell{label(g), count(v.N), numbers(Value, v.Median), numbers(Value, best), numbers(Value, worst), spread, interval})
	})
	s.Text = append(s.Text, "The median before the mean: a few failed architectures rule the mean of accuracies. The deviation is that of a sample.")
	if len(t.Rows) == 0 {
		s.Text = append(s.Text, noValues)
	}
	s.Tables = []Table{t}
	return s, nil
}

func (m *maker) difference(g *nasapi.GroupRow, field string, d *nasapi.Difference, none string) Cell {
	if d == nil {
		return text(reason(g, field, none))
	}
	return numbers(Difference, d.Mean, d.Low, d.High)
}

func (m *maker) baselines() (Section, error) {
	s := Section{ID: "baselines", Title: "Three baselines"}
	t := Table{ID: "baselines", Columns: columns(left("group"), right("n", "against one draw a seed", "draws", "against draws in its encoding", "against random search at equal cost", "relative improvement"))}
	noSearch := false
	m.judged(func(g *nasapi.GroupRow) {
		if g.Kind == nasapi.Drawn {
			return
		}
		m.some(2, 3)
		encoding := "not needed: it has no encoding that reaches less"
		if g.Policy == "random" {
			encoding = "not needed: it draws uniformly"
		}
		search := "it is random search"
		if g.Policy != "random" {
			search = "unknown"
			noSearch = noSearch || g.VersusRandomSearch == nil && g.Kind == nasapi.Searched
		}
		draws := text("unknown")
		if g.VersusDraw != nil {
			draws = count(g.VersusDraw.BaselineRuns)
		}
		t.Rows = append(t.Rows, []Cell{label(g), count(g.Values.N), m.difference(g, "versus_draw", g.VersusDraw, "unknown"), draws,
			m.difference(g, "versus_encoding_draw", g.VersusEncoding, encoding), m.difference(g, "versus_random_search", g.VersusRandomSearch, search),
			optional(Percent, g.RelativeToDraw, reason(g, "relative_improvement_percent", "unknown"))})
	})
	drawn := m.c.Drawn
	if drawn == "" {
		drawn = "fresh draws under each group's own seeds"
	}
	t.Notes = append(t.Notes, fmt.Sprintf("Differences of means with 95 %% bootstrap intervals. One draw a seed, the paper's baseline: %s. Relative improvement is 100 (m - r)/|r| over its mean, positive for the better.", drawn))
	if noSearch {
		why := `random search at equal cost: compare search("random", ...) with the same objective and budget along`
		m.lacks(2, "unknown: "+why)
		t.Notes = append(t.Notes, "Unknown: "+why+".")
	}
	if len(t.Rows) == 0 {
		why := "unknown: no search has a result to compare with draws"
		m.lacks(2, why)
		m.lacks(3, why)
		s.Text = append(s.Text, why)
	}
	s.Tables = []Table{t}
	return s, nil
}

func (m *maker) tests() (Section, error) {
	s := Section{ID: "tests", Title: "Tests against the draws"}
	t := Table{ID: "tests", Columns: columns(left("group"), right("n", "Cliff's delta", "Mann-Whitney U", "p", "p, Holm", "Welch t", "df", "Welch p", "Welch p, Holm", "permutation p", "permutation p, Holm"))}
	paper := Table{ID: "paper", Title: "p(> random), the paper's figure", Columns: columns(left("group"), right("n", "best rank r", "p(> random)", "null band", "equal-budget p", "evaluations a run"))}
	m.judged(func(g *nasapi.GroupRow) {
		if g.PBeatsRandom != nil {
			m.some(4)
			budget := text("")
			if g.Budget > 0 {
				budget = count(g.Budget)
			}
			paper.Rows = append(paper.Rows, []Cell{label(g), count(g.Values.N), count(g.BestRank), numbers(Chance, *g.PBeatsRandom), numbers(Number, g.PBand[0], g.PBand[1]),
				optional(Chance, g.PEqualBudget, "no meaning: not guided by the metric itself"), budget})
		}
		if g.MannWhitney == nil {
			return
		}
		m.some(4)
		row := []Cell{label(g), count(g.Values.N), optional(Signed, g.CliffsDelta, "unknown"), numbers(Number, g.MannWhitney.U), numbers(Chance, g.MannWhitney.P), optional(Chance, g.MannWhitney.PHolm, "")}
		if w := g.Welch; w != nil {
			row = append(row, numbers(Signed, w.T), numbers(Number, w.DF), numbers(Chance, w.P), optional(Chance, w.PHolm, ""))
		} else {
			row = append(row, text(reason(g, "welch", "unknown")), Cell{}, Cell{}, Cell{})
		}
		if p := g.Permutation; p != nil {
			row = append(row, numbers(Chance, p.P), optional(Chance, p.PHolm, ""))
		} else {
			row = append(row, text(reason(g, "permutation", "unknown")), Cell{})
		}
		t.Rows = append(t.Rows, row)
	})
	t.Notes = append(t.Notes, "Effect size first: Cliff's delta is P(better) - P(worse) over all pairs with a draw, in the sign of the values. All p-values are two-sided; Holm adjusts each test over the groups that have it. A few draws are a noisy baseline: the exact test above is the stronger one.")
	paper.Notes = append(paper.Notes, "(1 - r/N)^n. It is uniform on 0 to 1 for a policy that is itself random, whatever n is: the band holds 90 % of what such a policy shows, so no value inside it is evidence. At equal budget random search looks up as many cells as the policy did: (1 - r/N)^(n k).")
	if len(t.Rows) == 0 && len(paper.Rows) == 0 {
		why := "unknown: there is no search with a result and no list of the space"
		m.lacks(4, why)
		s.Text = append(s.Text, why)
		return s, nil
	}
	s.Tables = []Table{t}
	if len(paper.Rows) > 0 {
		s.Tables = append(s.Tables, paper)
	} else {
		m.lacks(4, "unknown: p(> random) needs a space that can be listed")
	}
	return s, nil
}

func (m *maker) ranks() (Section, error) {
	s := Section{ID: "ranks", Title: "Best architectures and ties"}
	if m.c.N == 0 {
		why := fmt.Sprintf("unknown: %s, so there are no ranks", m.unlisted())
		m.lacks(5, why)
		s.Text = append(s.Text, why)
		return s, nil
	}
	t := Table{ID: "ranks", Columns: columns(left("group"), right("n", "best", "rank", "tied", "mid-rank", "last rank", "percentile"))}
	m.judged(func(g *nasapi.GroupRow) {
		m.some(5)
		best, p := g.Values.Max, g.Percentiles.Max
		if m.c.By.Minimise {
			best = g.Values.Min
		}
		t.Rows = append(t.Rows, []Cell{label(g), count(g.Values.N), numbers(Value, best), count(g.BestRank), count(g.BestTies), numbers(Number, g.BestMidRank), count(g.MaxRank()), numbers(Percentile, p)})
	})
	if len(t.Rows) == 0 {
		m.lacks(5, noValues)
	}
	t.Notes = append(t.Notes, fmt.Sprintf("By %s, among %s architectures: a rank is 1 + the number that are strictly better; those that tie share it. The best of the space has %s.", m.c.Metric, grouped(m.c.N), m.valueText(*m.c.Best)))
	s.Tables = []Table{t}
	return s, nil
}

func (m *maker) valueText(v float64) string {
	if m.report.Accuracy {
		return fmt.Sprintf("%.2f %%", 100*v)
	}
	return fmt.Sprintf("%g", v)
}

func (m *maker) anytime() (Section, error) {
	s := Section{ID: "anytime", Title: "As the search goes on"}
	t := Table{ID: "anytime", Columns: columns(left("group"), right("evaluations", "runs", "regret: mean", "median", "Q1", "Q3", "mean over the run"))}
	for i := range m.c.Rows {
		g := &m.c.Rows[i]
		a, err := m.c.Anytime(g.Name)
		if err != nil {
			return s, err
		}
		if a == nil {
			continue
		}
		moments := a.Regret
		if moments == nil {
			moments = a.Moments
			t.Columns[3].Title = "value: mean"
		}
		for k, p := range moments {
			m.some(7)
			area := Cell{}
			if k == len(moments)-1 && a.Area.Defined {
				area = numbers(Value, a.Area.Value)
			}
			t.Rows = append(t.Rows, []Cell{label(g), numbers(Count, p.At), count(p.Runs), numbers(Value, p.Mean.Value), numbers(Value, p.Median.Value), numbers(Value, p.Q1.Value), numbers(Value, p.Q3.Value), area})
		}
	}
	if len(t.Rows) == 0 {
		why := "unknown: no run has a trace; a search(...) leaves one, lists of architectures do not"
		m.lacks(7, why)
		s.Text = append(s.Text, why)
		return s, nil
	}
	t.Notes = append(t.Notes, "Regret: how far the incumbent is from the best of the space under the final evaluation. The incumbent is the best so far by the search's own objective, so regret may grow.")
	s.Tables, s.Figures = []Table{t}, []string{FigureAnytime}
	clock, err := m.clock(t.Columns[3].Title)
	if err != nil {
		return s, err
	}
	if len(clock.Rows) == 0 {
		why := "unknown: simulated training seconds: the trace has none, for the table inside has no training times; a table that is imported with them has"
		m.lacks(7, why)
		s.Text = append(s.Text, "U"+why[1:]+".")
		return s, nil
	}
	s.Tables, s.Figures = append(s.Tables, clock), append(s.Figures, FigureClock)
	return s, nil
}

// clock is the other half of output 7: the same against simulated seconds.
func (m *maker) clock(mean string) (Table, error) {
	t := Table{ID: "clock", Columns: columns(left("group"), right("simulated seconds", "runs", mean, "median", "Q1", "Q3"))}
	for i := range m.c.Rows {
		g := &m.c.Rows[i]
		a, err := m.c.Anytime(g.Name)
		if err != nil {
			return t, err
		}
		if a == nil {
			continue
		}
		for _, p := range a.Clock {
			t.Rows = append(t.Rows, []Cell{label(g), numbers(Count, p.At), count(p.Runs), numbers(Value, p.Mean.Value), numbers(Value, p.Median.Value), numbers(Value, p.Q1.Value), numbers(Value, p.Q3.Value)})
		}
	}
	t.Notes = append(t.Notes, "Simulated seconds: the sum of the trainings that the look-ups stand for, as the table has their times.")
	return t, nil
}

// selection is output 8.
func (m *maker) selection() (Section, error) {
	s := Section{ID: "selection", Title: "Selected on validation, and on test"}
	t := Table{ID: "selection", Columns: columns(left("group"), prose("selected by"), right("n", "median", "mean"), left("is"))}
	fair, oracle := false, false
	m.judged(func(g *nasapi.GroupRow) {
		if g.Kind != nasapi.Searched || g.Objective == "" {
			return
		}
		is := "no test column was looked at"
		if g.Oracle {
			is, oracle = "ORACLE: selected on test", true
		} else {
			fair = fair || strings.Contains(strings.ToLower(g.Objective), "valid") || strings.Contains(g.Guide, "shared weights")
		}
		t.Rows = append(t.Rows, []Cell{label(g), text(g.Guide), count(g.Values.N), numbers(Value, g.Values.Median), numbers(Value, g.Values.Mean), text(is)})
	})
	if fair || oracle {
		m.some(8)
	}
	if !fair {
		why := "unknown: no search here selects on validation accuracy; the table inside has a test column only, so import the data set's own file, or guide by shared_weights(...)"
		m.lacks(8, why)
		s.Text = append(s.Text, why)
	}
	if fair && !oracle {
		s.Text = append(s.Text, "No search selected on test: there is no oracle to put beside.")
	}
	if len(t.Rows) > 0 {
		s.Tables = []Table{t}
	}
	return s, nil
}
