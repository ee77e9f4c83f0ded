package report

import (
	"fmt"
	"strings"

	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/stats"
)

// defined is a number of an agreement, or why there is none.
func defined(form Form, n stats.Number, why string) Cell {
	if !n.Defined {
		if why == "" {
			why = stats.ErrUndefined.Error()
		}
		return text(why)
	}
	return numbers(form, n.Value)
}

// because is the reason of an agreement that is undefined, without what computed it.
func because(a stats.Agreement) string {
	if i := strings.Index(a.Why, stats.ErrUndefined.Error()); i >= 0 {
		return a.Why[i:]
	}
	return a.Why
}

func (m *maker) rankings() (Section, error) {
	s := Section{ID: "rankings", Title: "Shared weights as a ranking"}
	if len(m.Rankings) == 0 {
		why := "unknown: no rankings were given; where a search shared weights, report(result, rankings(...)) has them"
		m.lacks(6, why)
		m.lacks(15, "unknown: rank change, ranking disorder and the weight-sharing summary need rankings(...)")
		s.Text = append(s.Text, why)
		return s, nil
	}
	for i, e := range m.Rankings {
		s.Text = append(s.Text, fmt.Sprintf("Pool: %s. Truth: %s. Noise ceiling: %s.", poolText(e), e.Truth, e.NoiseCeiling))
		if strings.HasPrefix(e.NoiseCeiling, "unknown") {
			m.lacks(6, "noise ceiling "+e.NoiseCeiling+"; a table with repeats has it")
		}
		s.Tables = append(s.Tables, m.policies(i, e), m.savePoints(i, e))
	}
	s.Figures = []string{FigureTau, FigureChange, FigureDisorder, FigureSummary}
	return s, nil
}

func poolText(e *nasapi.RankingEvaluation) string {
	return fmt.Sprintf("%s, %d architectures of %s", e.Pool, e.PoolSize, e.Space)
}

// policies has a line for each policy, and one for each trivial score.
func (m *maker) policies(i int, e *nasapi.RankingEvaluation) Table {
	t := Table{ID: fmt.Sprintf("tau_%d", i+1), Title: "Kendall's tau-b with the truth, last ranking of each seed",
		Columns: columns(left("policy"), right("seeds done", "tau-b: mean ± sd", "95 % interval", "Spearman", "sparse tau", "sparse tau, as published", "overlap of the best 10"), prose("shows", "protocol"))}
	for k := range e.Policies {
		p := &e.Policies[k]
		m.some(6)
		var spearman, sparse, published, overlap []float64
		done := 0
		for j := range p.Seeds {
			seed := &p.Seeds[j]
			if seed.State == jobs.Done {
				done++
			}
			if at := seed.Last(); at != nil {
				spearman, sparse = collect(spearman, at.Report.Spearman), collect(sparse, at.Report.SparseTau)
				published, overlap = collect(published, at.Report.SparsePublished), collect(overlap, overlapOf(at.Report, 10))
			}
		}
		tau, interval := text("undefined: no seed that is done has one"), text("undefined: it needs two seeds")
		if p.Tau != nil {
			tau = numbers(TauSpread, p.Tau.Mean)
			if p.Tau.SD != nil {
				tau = numbers(TauSpread, p.Tau.Mean, *p.Tau.SD)
			}
		}
		if p.TauRange != nil {
			interval = numbers(TauRange, p.TauRange.Low, p.TauRange.High)
		}
		shows := p.Positive()
		if p.Trend.Verdict == stats.Rising {
			shows += "; tau still rises: inconclusive at this budget"
		}
		t.Rows = append(t.Rows, []Cell{text(p.Policy), count(done), tau, interval, meanOf(Signed, spearman), meanOf(Signed, sparse), meanOf(Signed, published), meanOf(Number, overlap), text(shows), text(p.Objective)})
	}
	for _, b := range []struct {
		name string
		stats.Agreement
	}{{"number of parameters", e.Params}, {"FLOPs", e.FLOPs}} {
		t.Rows = append(t.Rows, []Cell{text(b.name), {}, defined(TauSpread, b.Tau, because(b.Agreement)), {}, defined(Signed, b.Spearman, because(b.Agreement)), {}, {}, {}, text("trivial baseline, on the fixed pool"), {}})
	}
	t.Notes = append(t.Notes, "Spearman, sparse taus (truth in bins of 0.1 points) and overlap are means over the seeds' last rankings. A tau below that of the number of parameters says less than counting them.")
	return t
}

func collect(to []float64, n stats.Number) []float64 {
	if n.Defined {
		return append(to, n.Value)
	}
	return to
}

func meanOf(form Form, values []float64) Cell {
	m, err := stats.Mean(values)
	if err != nil {
		return text(stats.ErrUndefined.Error())
	}
	return numbers(form, m)
}

func overlapOf(r *stats.RankingReport, k int) stats.Number {
	for _, t := range r.Top {
		if t.K == k {
			return t.Overlap
		}
	}
	return stats.Number{}
}

// savePoints has a line for each policy, seed and save point.
func (m *maker) savePoints(i int, e *nasapi.RankingEvaluation) Table {
	t := Table{ID: fmt.Sprintf("save_points_%d", i+1), Title: "Every seed and save point",
		Columns: columns(left("policy"), right("seed"), left("state"), right("epoch", "steps", "tau-b", "p", "Spearman", "sparse tau", "overlap of the best 10"))}
	for k := range e.Policies {
		p := &e.Policies[k]
		for j := range p.Seeds {
			seed := &p.Seeds[j]
			for _, at := range seed.Points {
				why := because(at.Report.Agreement)
				t.Rows = append(t.Rows, []Cell{text(p.Policy), seedCell(seed.Seed), text(string(seed.State)), count(at.Epoch), count(at.Steps),
					defined(Signed, at.Report.Tau, why), defined(Chance, at.Report.P, why), defined(Signed, at.Report.Spearman, why), defined(Signed, at.Report.SparseTau, ""), defined(Number, overlapOf(at.Report, 10), "undefined: fewer than 10")})
			}
			if len(seed.Points) == 0 {
				t.Rows = append(t.Rows, []Cell{text(p.Policy), seedCell(seed.Seed), text(string(seed.State)), text("no ranking"), {}, {}, {}, {}, {}, {}})
			}
		}
	}
	return t
}

func (m *maker) trainings() (Section, error) {
	if len(m.Trainings) == 0 {
		return Section{}, nil
	}
	s := Section{ID: "trainings", Title: "Trainings"}
	for i, t := range m.Trainings {
		s.Text = append(s.Text, fmt.Sprintf("Training %d: %s on %s.", i+1, t.ProtocolText(), t.DataText()))
		table := Table{ID: fmt.Sprintf("training_%d", i+1), Columns: columns(left("policy"), right("seed", "seed of training"), left("state"), right("valid %", "test %", "parameters", "multiply-adds", "seconds"), left("hash"))}
		for _, r := range t.Runs() {
			policy := r.Origin.Policy
			if policy == "" {
				policy = "given by hand"
			}
			row := []Cell{text(policy), seedCell(r.Seed), seedCell(r.TrainSeed), text(string(r.Status.State))}
			if res := r.Result; res != nil {
				row = append(row, share(res.Valid), share(res.Test), numbers(Count, float64(res.Params)), numbers(Count, float64(res.MultAdds)), numbers(Seconds, res.Seconds))
			} else {
				row = append(row, text("unknown"), text("unknown"), Cell{}, Cell{}, Cell{})
			}
			table.Rows = append(table.Rows, append(row, text(r.Hash()[:min(8, len(r.Hash()))])))
		}
		s.Tables = append(s.Tables, table)
	}
	return s, nil
}

// share is an accuracy in percent whatever the metric of the comparison.
func share(v *float64) Cell {
	if v == nil {
		return text("none: no such images")
	}
	return numbers(Number, 100**v)
}

// flat is why components have no F.
func flat(v stats.Components) string {
	switch {
	case v.WhyBetween != "":
		return v.WhyBetween
	case v.Between.Value == 0:
		return "undefined: all values equal"
	}
	return "undefined: no variation over trainings"
}

// variance is output 9.
func (m *maker) variance() (Section, error) {
	s := Section{ID: "variance", Title: "Variance over searches and over trainings"}
	t := Table{ID: "variance", Columns: columns(left("group"), right("searches", "trainings", "sd over results", "sd over searches", "sd over trainings", "share of searches", "F", "p"))}
	trained := false
	var failed error
	m.judged(func(g *nasapi.GroupRow) {
		v, err := m.c.Variance(g.Name)
		if err != nil {
			failed = err
			return
		}
		m.some(9)
		sd := optional(Value, g.Values.SD, "undefined: one run")
		row := []Cell{label(g), count(g.Values.N), text("none here"), sd}
		if v.Values > 0 {
			trained = true
			row[2] = count(v.Values)
		}
		if v.Values > 0 {
			row = append(row, defined(Value, v.Between.Deviation(), v.WhyBetween), defined(Value, v.Within.Deviation(), v.WhyWithin), defined(Number, v.Share, flat(v)), defined(Number, v.F, flat(v)), defined(Chance, v.P, flat(v)))
		} else {
			row = append(row, text("unknown"), text("unknown"), Cell{}, Cell{}, Cell{})
		}
		t.Rows = append(t.Rows, row)
	})
	if failed != nil {
		return s, failed
	}
	if !trained {
		why := "unknown: how much of the spread is training's, for the metric has one training of each architecture; train(found.selected, ..., seeds=range(3)) and compare that, or a table with repeats, tells"
		m.lacks(9, why)
		s.Text = append(s.Text, why)
	}
	t.Notes = append(t.Notes, "The deviation over results has both in it. Apart they are the components of the one-way model with random effects, of as many trainings as each search's architecture had; F tests whether searches differ at all.")
	s.Tables = []Table{t}
	return s, nil
}
