package commands

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/shared"
	"evalnas/nasapi/stats"
	"evalnas/plotting"
)

// rankingsValue is the answer of rankings(...).
type rankingsValue struct {
	immutable
	unhashable
	env *Env
	ev  *nasapi.RankingEvaluation
}

var _ lib.HasAttrs = (*rankingsValue)(nil)

func (r *rankingsValue) Type() string   { return "rankings" }
func (r *rankingsValue) String() string { return rankingsTable(r.ev).text() }

// Show displays the table, with every number in it, and the figures.
func (r *rankingsValue) Show(cell *kernel.Cell) error {
	b := rankingsTable(r.ev).bundle()
	raw, err := r.ev.JSON()
	if err != nil {
		return err
	}
	b.Data[nasapi.RankingMIME] = json.RawMessage(raw)
	cell.Out.Display(b, "")
	for _, make := range []func(*nasapi.RankingEvaluation) (*plotting.Figure, error){tauFigure, disorderFigure, summaryFigure} {
		fig, err := make(r.ev)
		if err != nil {
			return err
		}
		if fig == nil {
			continue
		}
		b, err := figureBundle(fig, fig.Description())
		if err != nil {
			return err
		}
		cell.Out.Display(b, "")
	}
	return nil
}

var rankingsAttrs = attrTable[*rankingsValue]{
	{"table", "list of dicts, one a policy and seed: policy, seed, state, epoch, steps, tau, spearman, sparse_tau, top_5_percentile", (*rankingsValue).table},
	{"tau", "dict of policy to the list of its seeds' taus at the last ranking, None where there is none", (*rankingsValue).taus},
	{"trends", `dict of policy to "rising", "not rising" or "unknown": whether tau still rises at the end`, func(r *rankingsValue) (lib.Value, error) {
		return r.perPolicy(func(p *nasapi.PolicyRanking) (lib.Value, error) { return lib.String(p.Trend.Verdict), nil })
	}},
	{"verdicts", `dict of policy to what its taus show: "above 0", "below 0" or "undetected", and why not`, func(r *rankingsValue) (lib.Value, error) {
		return r.perPolicy(func(p *nasapi.PolicyRanking) (lib.Value, error) { return lib.String(p.Positive()), nil })
	}},
	{"baselines", "dict of params and flops to the tau of these numbers with the truth, on the fixed pool", func(r *rankingsValue) (lib.Value, error) {
		return dict("params", number2(r.ev.Params.Tau), "flops", number2(r.ev.FLOPs.Tau)), nil
	}},
	{"truth", "what rankings are held against, in words", func(r *rankingsValue) (lib.Value, error) { return lib.String(r.ev.Truth), nil }},
	{"noise_ceiling", "tau between repeats of the truth on the fixed pool, the most that a ranking can be expected to reach; None where the truth has one repeat", func(r *rankingsValue) (lib.Value, error) { return number2(r.ev.Ceiling.Tau), nil }},
	{"pool", "which pool was ranked: fixed, own or fine_tuned", func(r *rankingsValue) (lib.Value, error) { return lib.String(r.ev.Pool), nil }},
	{"figure", "figure: tau against steps, beside the tau of parameters and FLOPs", func(r *rankingsValue) (lib.Value, error) { return figureOf(tauFigure(r.ev)) }},
	{"disorder", "figure: rank with shared weights against true rank, at the last ranking of each policy's first seeds", func(r *rankingsValue) (lib.Value, error) { return figureOf(disorderFigure(r.ev)) }},
	{"rank_change", "rank_change(policy, seed): figure of the ranks at each save point and by the truth", (*rankingsValue).rankChange},
	{"summary", "figure: true accuracies as bars, accuracies with shared weights as a line", func(r *rankingsValue) (lib.Value, error) { return figureOf(summaryFigure(r.ev)) }},
	{"save", "`.save(path)` writes .csv (a line a policy, seed, save point and architecture), .json, .md, .svg or .png (`theme=\"dark\"` for dark pages)", (*rankingsValue).saveMethod},
}

func (r *rankingsValue) Attr(name string) (lib.Value, error) { return rankingsAttrs.get(r, name) }
func (r *rankingsValue) AttrNames() []string                 { return rankingsAttrs.names() }
func (r *rankingsValue) AttrDoc(name string) string          { return rankingsAttrs.doc(name) }
func (r *rankingsValue) Doc() string {
	return "Rankings by shared weights, held against training alone.\n\n" + rankingsAttrs.list()
}

func (r *rankingsValue) perPolicy(get func(*nasapi.PolicyRanking) (lib.Value, error)) (lib.Value, error) {
	d := lib.NewDict(len(r.ev.Policies))
	for i, name := range policyLabels(r.ev) {
		v, err := get(&r.ev.Policies[i])
		if err != nil {
			return nil, err
		}
		setKey(d, name, v)
	}
	return d, nil
}

// policyLabels are names that tell searches of one policy apart.
func policyLabels(ev *nasapi.RankingEvaluation) []string {
	seen := map[string]int{}
	labels := make([]string, len(ev.Policies))
	for i, p := range ev.Policies {
		labels[i] = p.Policy
		if seen[p.Policy]++; seen[p.Policy] > 1 {
			labels[i] = fmt.Sprintf("%s #%d", p.Policy, seen[p.Policy])
		}
	}
	return labels
}

// number2 is a number in a cell, None where it is not defined.
func number2(n stats.Number) lib.Value {
	if !n.Defined {
		return lib.None
	}
	return lib.Float(n.Value)
}

func (r *rankingsValue) taus() (lib.Value, error) {
	return r.perPolicy(func(p *nasapi.PolicyRanking) (lib.Value, error) {
		var out []lib.Value
		for i := range p.Seeds {
			v := lib.Value(lib.None)
			if at := p.Seeds[i].Last(); at != nil {
				v = number2(at.Report.Tau)
			}
			out = append(out, v)
		}
		return lib.NewList(out), nil
	})
}

func (r *rankingsValue) table() (lib.Value, error) {
	var out []lib.Value
	for i, name := range policyLabels(r.ev) {
		p := &r.ev.Policies[i]
		for k := range p.Seeds {
			s := &p.Seeds[k]
			row := dict("policy", lib.String(name), "seed", lib.MakeInt64(s.Seed), "state", lib.String(s.State))
			if at := s.Last(); at != nil {
				setKey(row, "epoch", lib.MakeInt(at.Epoch))
				setKey(row, "steps", lib.MakeInt(at.Steps))
				setKey(row, "tau", number2(at.Report.Tau))
				setKey(row, "spearman", number2(at.Report.Spearman))
				setKey(row, "sparse_tau", number2(at.Report.SparseTau))
				setKey(row, "top_5_percentile", number2(at.Report.TopOf(5).Median))
			}
			out = append(out, row)
		}
	}
	view := seedRankingsTable(r.ev)
	if reduced := reducedText(r.ev); reduced != "" {
		view.marks = append(view.marks, reduced)
	}
	return shownList{lib.NewList(out), view, r.env}, nil
}

func tauText(n stats.Number) string {
	if !n.Defined {
		return ""
	}
	return fmt.Sprintf("%+.3f", n.Value)
}

// rankingsTable has a line for each policy, and one for each trivial score.
func rankingsTable(ev *nasapi.RankingEvaluation) *tableView {
	t := newTable(fmt.Sprintf("Shared weights as a ranking of %s, %s", ev.Space, poolWords[ev.Pool]),
		column{"policy", left}, column{"seeds", right}, column{"epochs", right}, column{"steps", right},
		column{"tau-b", right}, column{"95 % interval", left}, column{"shows", left}, column{"still rising?", left},
		column{"Spearman", right}, column{"sparse tau", right}, column{"top 5, percentile", right}, column{"overlap of 10", right})
	protocols := map[string]bool{}
	for i, name := range policyLabels(ev) {
		p := &ev.Policies[i]
		protocols[p.Objective] = true
		done, epochs := 0, 0
		var spearman, sparse, top, overlap []float64
		for k := range p.Seeds {
			s := &p.Seeds[k]
			if s.State == jobs.Done {
				done++
			}
			at := s.Last()
			if at == nil {
				continue
			}
			epochs = max(epochs, at.Epoch)
			spearman = collect(spearman, at.Report.Spearman)
			sparse = collect(sparse, at.Report.SparseTau)
			top = collect(top, at.Report.TopOf(5).Median)
			overlap = collect(overlap, at.Report.TopOf(10).Overlap)
		}
		tau, interval := "", ""
		if p.Tau != nil {
			tau = fmt.Sprintf("%+.3f", p.Tau.Mean)
			if p.Tau.SD != nil {
				tau += fmt.Sprintf(" ± %.3f", *p.Tau.SD)
			}
		}
		if p.TauRange != nil {
			interval = fmt.Sprintf("[%+.3f, %+.3f]", p.TauRange.Low, p.TauRange.High)
		}
		t.add(name, fmt.Sprintf("%d of %d", done, len(p.Seeds)), count(epochs), count(p.Steps()), tau, interval, p.Positive(), string(p.Trend.Verdict),
			meanText("%+.3f", spearman), meanText("%+.3f", sparse), meanText("%.1f", top), meanText("%.2f", overlap))
		for _, s := range p.Seeds {
			if s.Error != "" {
				t.below(fmt.Sprintf("seed %d: %s", s.Seed, s.Error), true)
			}
		}
	}
	for _, b := range []struct {
		name string
		stats.Agreement
	}{{"number of parameters", ev.Params}, {"FLOPs", ev.FLOPs}} {
		what := "trivial baseline"
		if ev.Pool == shared.OwnPool {
			what += ", fixed pool"
		}
		t.add(b.name, "", "", "", tauText(b.Tau), "", what, "", tauText(b.Spearman))
		t.rows[len(t.rows)-1] = append(t.rows[len(t.rows)-1], tableCell{}, tableCell{}, tableCell{})
	}
	t.note("Kendall's tau-b between accuracy with shared weights (validation images) and the truth, %s: mean ± deviation over the seeds that are done, Student's interval of the mean. %s. Spearman, sparse tau (truth in bins of 0.1 points), median percentile in the space of the best five and the share of the true best ten among the best ten are means over seeds. Noise ceiling: %s.", ev.Truth, poolText(ev), ev.NoiseCeiling)
	var texts []string
	for text := range protocols {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	t.note("Protocols: %s.", strings.Join(texts, "; "))
	for i, name := range policyLabels(ev) {
		if trend := ev.Policies[i].Trend; trend.Verdict == stats.TrendUnknown {
			t.note("Unknown whether it still rises, %s: %s.", name, trend.Why)
		}
	}
	if slices.ContainsFunc(ev.Policies, func(p nasapi.PolicyRanking) bool { return p.Trend.Verdict == stats.Rising }) {
		t.note("Where tau still rises, its value is inconclusive at this budget: more training would change it.")
	}
	t.dropEmptyColumns("95 % interval", "Spearman", "sparse tau", "top 5, percentile", "overlap of 10", "epochs", "steps", "tau-b")
	return t
}

// poolWords are what the pools are called in titles.
var poolWords = map[string]string{shared.FixedPool: "fixed pool", shared.OwnPool: "each policy's own pool", shared.FineTuned: "fixed pool, fine-tuned"}

// poolText says how large the pool is, or that each has its own.
func poolText(ev *nasapi.RankingEvaluation) string {
	if ev.Pool == shared.OwnPool {
		return "Each policy ranks what it would choose among, so these taus are of different architectures"
	}
	return fmt.Sprintf("Pool of %d architectures", ev.PoolSize)
}

func collect(to []float64, n stats.Number) []float64 {
	if n.Defined {
		return append(to, n.Value)
	}
	return to
}

func meanText(format string, values []float64) string {
	if len(values) == 0 {
		return ""
	}
	m, err := stats.Mean(values)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(format, m)
}

func seedRankingsTable(ev *nasapi.RankingEvaluation) *tableView {
	t := newTable("Every seed's last ranking", column{"policy", left}, column{"seed", right}, column{"state", left}, column{"epoch", right}, column{"steps", right},
		column{"tau-b", right}, column{"p", right}, column{"Spearman", right}, column{"sparse tau", right}, column{"top 5, percentile", right}, column{"best shared accuracy %", right})
	for i, name := range policyLabels(ev) {
		p := &ev.Policies[i]
		for k := range p.Seeds {
			s := &p.Seeds[k]
			cells := []tableCell{{text: name}, {text: fmt.Sprint(s.Seed)}, stateCell(s.State, false)}
			texts := make([]string, 8)
			if at := s.Last(); at != nil {
				texts[0], texts[1], texts[2] = count(at.Epoch), count(at.Steps), tauText(at.Report.Tau)
				if why := at.Report.Why; why != "" {
					texts[2] = "undefined"
					t.note("%s, seed %d: %s", name, s.Seed, why)
				}
				if at.Report.P.Defined {
					texts[3] = probability(at.Report.P.Value)
				}
				texts[4], texts[5] = tauText(at.Report.Spearman), tauText(at.Report.SparseTau)
				if top := at.Report.TopOf(5).Median; top.Defined {
					texts[6] = fmt.Sprintf("%.1f", top.Value)
				}
				if at.Report.ScoreBest.Defined {
					texts[7] = fmt.Sprintf("%.2f", 100*at.Report.ScoreBest.Value)
				}
			}
			for _, text := range texts {
				cells = append(cells, tableCell{text: text})
			}
			t.addCells(cells...)
		}
	}
	return t
}

// reducedText is the watermark of what was made with less than the published protocol, or
// on images that are made up.
func reducedText(ev *nasapi.RankingEvaluation) string {
	said := strings.NewReplacer(", REDUCED (preset ", " (preset ", " (SYNTHETIC)", "")
	for _, p := range ev.Policies {
		switch {
		case p.Synthetic:
			return "SYNTHETIC images: " + said.Replace(p.Objective)
		case p.Reduced:
			return "REDUCED: " + said.Replace(p.Objective)
		}
	}
	return ""
}

// sizedPool is the pool in a figure's subtitle.
func sizedPool(ev *nasapi.RankingEvaluation) string {
	if ev.Pool == shared.OwnPool {
		return poolWords[ev.Pool]
	}
	return fmt.Sprintf("%s of %d", poolWords[ev.Pool], ev.PoolSize)
}

// tauFigure is nil where nothing has been ranked.
func tauFigure(ev *nasapi.RankingEvaluation) (*plotting.Figure, error) {
	data := plotting.TauAgainstStepsData{
		Title:     "Do shared weights rank architectures as training alone does?",
		Subtitle:  fmt.Sprintf("%s, %s, tau-b with %s", ev.Space, sizedPool(ev), ev.Truth),
		XLabel:    "steps of the weights' optimiser",
		Watermark: reducedText(ev),
	}
	if sd := ev.NullSD(); !math.IsNaN(sd) {
		data.NullSD = sd
	}
	for _, b := range []struct {
		name string
		tau  stats.Number
	}{{"parameters", ev.Params.Tau}, {"FLOPs", ev.FLOPs.Tau}} {
		if b.tau.Defined {
			data.Baselines = append(data.Baselines, plotting.TauLine{Name: b.name, Tau: b.tau.Value})
		}
	}
	some := false
	for i, name := range policyLabels(ev) {
		p := &ev.Policies[i]
		group := plotting.TauGroup{Name: name, Random: p.Policy == "random", Inconclusive: p.Trend.Verdict == stats.Rising}
		for _, s := range p.Seeds {
			var run plotting.TauRun
			for _, at := range s.Points {
				run.Steps = append(run.Steps, float64(at.Steps))
				run.Taus = append(run.Taus, at.Report.Tau.OrNaN())
			}
			if len(run.Steps) > 0 {
				group.Runs = append(group.Runs, run)
				some = true
			}
		}
		data.Groups = append(data.Groups, group)
	}
	if !some {
		return nil, nil
	}
	return plotting.TauAgainstSteps(data)
}

// mostPanels is how many seeds disorderFigure shows.
const mostPanels = 10

// disorderFigure shows the last rankings, as many seeds of each policy as there is room
// for.
func disorderFigure(ev *nasapi.RankingEvaluation) (*plotting.Figure, error) {
	data := plotting.RankingDisorderData{
		Title:    "Rank with shared weights against true rank",
		Subtitle: fmt.Sprintf("%s, %s, last ranking of each seed; the truth is %s", ev.Space, poolWords[ev.Pool], ev.Truth), Watermark: reducedText(ev),
	}
	each := max(1, mostPanels/max(1, len(ev.Policies)))
	for i, name := range policyLabels(ev) {
		p := &ev.Policies[i]
		for k := range p.Seeds[:min(each, len(p.Seeds))] {
			at := p.Seeds[k].Last()
			if at == nil || at.Hashes != nil || len(data.Panels) == mostPanels {
				continue
			}
			d, err := stats.RankDisorder(at.Accuracy, ev.TrueValues)
			if err != nil {
				return nil, err
			}
			data.Panels = append(data.Panels, plotting.DisorderPanel{Name: fmt.Sprintf("%s, seed %d", name, p.Seeds[k].Seed), Shared: d.Score, True: d.Truth, Tau: at.Report.Tau.OrNaN()})
		}
	}
	if len(data.Panels) == 0 {
		return nil, nil
	}
	return plotting.RankingDisorder(data)
}

// summaryFigure shows the last rankings of the first policy that has some.
func summaryFigure(ev *nasapi.RankingEvaluation) (*plotting.Figure, error) {
	for i, name := range policyLabels(ev) {
		data := plotting.WeightSharingSummaryData{
			Title: "True accuracy and accuracy with shared weights", Subtitle: fmt.Sprintf("%s on %s, %s, mean and deviation over seeds", name, ev.Space, poolWords[ev.Pool]),
			Metric: ev.Truth + " (%)", SharedMetric: "validation accuracy with shared weights (%)", Scale: 100, Watermark: reducedText(ev), Place: i,
		}
		for k, hash := range ev.Hashes {
			data.Architectures = append(data.Architectures, plotting.SharedAccuracy{Name: shortHash(hash), True: ev.TrueValues[k]})
		}
		some := false
		for s := range ev.Policies[i].Seeds {
			at := ev.Policies[i].Seeds[s].Last()
			if at == nil || at.Hashes != nil {
				continue
			}
			some = true
			for k, v := range at.Accuracy {
				data.Architectures[k].Shared = append(data.Architectures[k].Shared, v)
			}
		}
		if some {
			return plotting.WeightSharingSummary(data)
		}
	}
	return nil, nil
}

func (r *rankingsValue) rankChange() (lib.Value, error) {
	return method("rank_change", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var name string
		var seed int64
		if err := lib.UnpackArgs("rank_change", args, kwargs, "policy", &name, "seed", &seed); err != nil {
			return nil, starlark.Named("TypeError", err)
		}
		labels := policyLabels(r.ev)
		i := slices.Index(labels, name)
		if i < 0 {
			return nil, unknown("policy", name, labels)
		}
		p := &r.ev.Policies[i]
		k := slices.IndexFunc(p.Seeds, func(s nasapi.SeedRanking) bool { return s.Seed == seed })
		if k < 0 {
			var seeds []int64
			for _, s := range p.Seeds {
				seeds = append(seeds, s.Seed)
			}
			return nil, fmt.Errorf("rank_change: %s has no seed %d; its seeds are %s", name, seed, seedsText(seeds))
		}
		return figureOf(rankChangeFigure(r.ev, name, &p.Seeds[k]))
	})
}

func rankChangeFigure(ev *nasapi.RankingEvaluation, name string, s *nasapi.SeedRanking) (*plotting.Figure, error) {
	if len(s.Points) == 0 || s.Points[0].Hashes != nil {
		return nil, fmt.Errorf("rank_change: %s, seed %d has no ranking of the fixed pool", name, s.Seed)
	}
	var scores [][]float64
	data := plotting.RankChangeData{
		Title: "Ranks as the weights train, and by the truth", Subtitle: fmt.Sprintf("%s, seed %d, %s, fixed pool of %d", name, s.Seed, ev.Space, ev.PoolSize),
		XLabel: "epoch", TruthLabel: "truth", Watermark: reducedText(ev),
	}
	for _, at := range s.Points {
		data.SavePoints = append(data.SavePoints, fmt.Sprint(at.Epoch))
		scores = append(scores, at.Accuracy)
	}
	moves, err := stats.RankMovement(scores)
	if err != nil {
		return nil, err
	}
	d, err := stats.RankDisorder(scores[len(scores)-1], ev.TrueValues)
	if err != nil {
		return nil, err
	}
	for k, hash := range ev.Hashes {
		line := plotting.RankLine{Name: shortHash(hash), Truth: d.Truth[k]}
		for _, ranks := range moves.Ranks {
			line.Ranks = append(line.Ranks, ranks[k])
		}
		data.Architectures = append(data.Architectures, line)
	}
	return plotting.RankChange(data)
}

func (r *rankingsValue) saveMethod() (lib.Value, error) {
	return method("save", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var path string
		theme := lightTheme
		if err := lib.UnpackArgs("save", args, kwargs, "path", &path, "theme?", &theme); err != nil {
			return nil, starlark.Named("TypeError", err)
		}
		data, err := r.encode(strings.ToLower(filepath.Ext(path)), theme)
		if err != nil {
			return nil, fmt.Errorf("save %s: %w", path, err)
		}
		return lib.None, writeFile(r.env.path(path), data)
	})
}

func (r *rankingsValue) encode(ext, theme string) ([]byte, error) {
	switch ext {
	case ".json":
		return r.ev.JSON()
	case ".md":
		return []byte(rankingsTable(r.ev).markdown() + "\n" + seedRankingsTable(r.ev).markdown()), nil
	case ".csv":
		return csvOf(rankingLines(r.ev))
	case ".svg", ".png":
		fig, err := tauFigure(r.ev)
		if err != nil {
			return nil, err
		}
		if fig == nil {
			return nil, errNothingToDraw
		}
		return encodeFigure(fig, ext, theme)
	}
	return nil, fmt.Errorf("unknown ending %q: allowed are .csv, .json, .md, .svg and .png", ext)
}

// rankingLines is a line for each policy, seed, save point and architecture.
func rankingLines(ev *nasapi.RankingEvaluation) [][]string {
	lines := [][]string{{"policy", "seed", "pool", "epoch", "steps", "hash", "shared_accuracy", "images"}}
	for i, name := range policyLabels(ev) {
		for _, s := range ev.Policies[i].Seeds {
			for _, at := range s.Points {
				hashes := at.Hashes
				if hashes == nil {
					hashes = ev.Hashes
				}
				for k, v := range at.Accuracy {
					lines = append(lines, []string{name, fmt.Sprint(s.Seed), ev.Pool, fmt.Sprint(at.Epoch), fmt.Sprint(at.Steps), hashes[k], fmt.Sprint(v), fmt.Sprint(at.Images)})
				}
			}
		}
	}
	return lines
}

func (e *Env) rankingCommands() []*starlark.Command {
	return []*starlark.Command{{
		Name: "rankings",
		Params: []starlark.Param{
			{Name: "searches", Variadic: true, Type: "search", Doc: "searches whose objective is `shared_weights(...)`, in one NASBench-101 space"},
			{Name: "pool", KeywordOnly: true, Default: lib.String(shared.FixedPool), Type: "str", Values: poolNames,
				Doc: `which pool: "fixed", the same for all; "own", what each policy would choose among; "fine_tuned", the fixed one after fine_tune= batches of each architecture by itself`},
			{Name: "truth", KeywordOnly: true, Default: lib.None, Type: "metric",
				Doc: "what rankings are held against, a metric of a table of NASBench-101; None is the table inside: test accuracy after 108 epochs, first repeat. A table with repeats gives the noise ceiling"},
		},
		Doc: `Hold the rankings that shared weights give against what training alone gives.

At each save point of a search with shared weights, every architecture of a pool has an accuracy
with the weights as they stood. This says how well their order agrees with NASBench-101's test
accuracies: Kendall's tau-b for every seed with an interval over seeds, Spearman's, sparse tau, where
the best five lie in the space, and whether tau still rises at the end (then its value is
inconclusive at this budget). Beside them is the tau of the plain number of parameters and of FLOPs on
the fixed pool, and the noise ceiling: the tau between repeats of the truth's own training, where a
table has them (the one inside has one repeat; an imported file has three). It answers as things stand: seeds that are running have what they ranked so far.

    r = rankings(spos, fairnas)
    r.tau["spos"]
    r.rank_change("spos", 1268)
    r.save("rankings.csv")
    rankings(spos, truth=nasbench101_table("nasbench_only108.tfrecord").metric("test"))`,
		Run: func(c *starlark.Call) (lib.Value, error) {
			pool, err := c.String("pool")
			if err != nil {
				return nil, err
			}
			if !slices.Contains(poolNames(), pool) {
				return nil, c.Errorf("%w", unknown("pool", pool, poolNames()))
			}
			var searches []*nasapi.Search
			for v := range lib.Elements(c.Value("searches").(lib.Iterable)) {
				s, ok := v.(*searchValue)
				if !ok {
					return nil, named(c, "TypeError", "%s is not a search: give searches whose objective is shared_weights(...)", v.Type())
				}
				searches = append(searches, s.search)
			}
			var truth *objective.Objective
			if v, ok := c.Value("truth").(*objectiveValue); ok {
				truth = v.obj
			} else if c.Value("truth") != lib.None {
				return nil, named(c, "TypeError", "truth is a %s: give a metric of a table of NASBench-101, such as nasbench101_table(\"FILE\").metric(\"test\")", c.Value("truth").Type())
			}
			v, err := newRankings(e, searches, pool, truth)
			if err != nil {
				return nil, c.Errorf("%w", err)
			}
			return v, nil
		},
	}}
}

func newRankings(e *Env, searches []*nasapi.Search, pool string, truth *objective.Objective) (*rankingsValue, error) {
	ev, err := nasapi.EvaluateRankings(searches, pool, truth)
	if err != nil {
		return nil, err
	}
	return &rankingsValue{unhashable: unhashable{"rankings"}, env: e, ev: ev}, nil
}

func poolNames() []string { return []string{shared.FixedPool, shared.OwnPool, shared.FineTuned} }

// liveRankings is what a search's table shows below it, also while it runs: tau against
// steps, and folded away the other figures of its last rankings. It is nothing where there
// is no truth or nothing was ranked.
func liveRankings(s *nasapi.Search) (markup, text string, err error) {
	ev, err := nasapi.EvaluateRankings([]*nasapi.Search{s}, shared.FixedPool, nil)
	if err != nil || ev.PoolSize == 0 {
		return "", "", nil // a space without a table, which rankings(...) says
	}
	tau, err := tauFigure(ev)
	if err != nil || tau == nil {
		return "", "", err
	}
	open, err := imageOf("tau against steps", tau)
	if err != nil {
		return "", "", err
	}
	var folded strings.Builder
	for _, f := range []struct {
		name string
		make func() (*plotting.Figure, error)
	}{
		{"rank change", func() (*plotting.Figure, error) { return firstRankChange(ev) }},
		{"ranking disorder", func() (*plotting.Figure, error) { return disorderFigure(ev) }},
		{"weight sharing summary", func() (*plotting.Figure, error) { return summaryFigure(ev) }},
	} {
		fig, err := f.make()
		if err != nil {
			return "", "", err
		}
		if fig == nil {
			continue
		}
		image, err := imageOf(f.name, fig)
		if err != nil {
			return "", "", err
		}
		folded.WriteString(image)
	}
	return open + "<details><summary>Ranks at each save point, against the truth, and accuracies</summary>" + folded.String() + "</details>", "\n" + tau.Description(), nil
}

// firstRankChange is that of the first seed that has rankings.
func firstRankChange(ev *nasapi.RankingEvaluation) (*plotting.Figure, error) {
	for i, name := range policyLabels(ev) {
		for k := range ev.Policies[i].Seeds {
			if s := &ev.Policies[i].Seeds[k]; len(s.Points) > 0 {
				return rankChangeFigure(ev, name, s)
			}
		}
	}
	return nil, nil
}
