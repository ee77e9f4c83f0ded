package commands

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
)

// comparisonValue is the answer of compare(...).
type comparisonValue struct {
	immutable
	unhashable
	env    *Env
	cmp    *nasapi.Comparison
	parts  []part       // its displays, made once
	shower *kernel.Cell // the cell that compare(...) has shown it in
}

// part is one display of a comparison.
type part struct{ bundle *kernel.Bundle }

var _ lib.HasAttrs = (*comparisonValue)(nil)

func (r *comparisonValue) Type() string   { return "comparison" }
func (r *comparisonValue) String() string { return comparisonTable(r.cmp).text() }

// Show displays the table and the figures, unless compare(...) has just done
// so in the same cell.
func (r *comparisonValue) Show(cell *kernel.Cell) error {
	if r.shower == cell {
		r.shower = nil
		return nil
	}
	for _, p := range r.parts {
		cell.Out.Display(p.bundle, "")
	}
	return nil
}

// perGroup makes a dict by group of one of the rows' fields.
func (r *comparisonValue) perGroup(get func(*nasapi.GroupRow) (lib.Value, error)) (lib.Value, error) {
	d := lib.NewDict(len(r.cmp.Rows))
	for i := range r.cmp.Rows {
		v, err := get(&r.cmp.Rows[i])
		if err != nil {
			return nil, err
		}
		setKey(d, r.cmp.Rows[i].Name, v)
	}
	return d, nil
}

func groupNumber(get func(*nasapi.GroupRow) *float64) func(*comparisonValue) (lib.Value, error) {
	return func(r *comparisonValue) (lib.Value, error) {
		return r.perGroup(func(g *nasapi.GroupRow) (lib.Value, error) { return optional(get(g)), nil })
	}
}

func groupList(get func(nasapi.SeedRow) *float64) func(*comparisonValue) (lib.Value, error) {
	return func(r *comparisonValue) (lib.Value, error) {
		return r.perGroup(func(g *nasapi.GroupRow) (lib.Value, error) {
			var vs []float64
			for _, s := range g.Seeds {
				if v := get(s); v != nil {
					vs = append(vs, *v)
				}
			}
			return floats(vs), nil
		})
	}
}

var comparisonAttrs = attrTable[*comparisonValue]{
	{"table", "list of dicts, one a group, with every number of the comparison", func(r *comparisonValue) (lib.Value, error) {
		v, err := toValue(r.cmp.Rows)
		if err != nil {
			return nil, err
		}
		return shownList{v.(*lib.List), marked(comparisonTable(r.cmp), r.cmp), r.env}, nil
	}},
	{"seeds", "list of dicts, one a group and seed: value, rank, ties, percentile, hash", func(r *comparisonValue) (lib.Value, error) {
		out := lib.NewList(nil)
		for _, g := range r.cmp.Rows {
			for _, s := range g.Seeds {
				v, err := toValue(s)
				if err != nil {
					return nil, err
				}
				setKey(v.(*lib.Dict), "group", lib.String(g.Name))
				if err := out.Append(v); err != nil {
					return nil, err
				}
			}
		}
		return shownList{out, marked(seedTable(r.cmp), r.cmp), r.env}, nil
	}},
	{"groups", "list of the groups' names", func(r *comparisonValue) (lib.Value, error) {
		var names []string
		for _, g := range r.cmp.Rows {
			names = append(names, g.Name)
		}
		return stringList(names), nil
	}},
	{"values", "dict of group to the list of its values under `by`, in seed order", groupList(func(s nasapi.SeedRow) *float64 { return s.Value })},
	{"percentiles", "dict of group to the list of its percentiles in the space", groupList(func(s nasapi.SeedRow) *float64 { return s.Percentile })},
	{"p_value", "dict of group to the chance that as many uniform draws reach its mean percentile (exact null, one-sided; never below 1e-12)", groupNumber(func(g *nasapi.GroupRow) *float64 { return g.PNull })},
	{"p_adjusted", "dict of group to that chance adjusted by Holm over the groups that are not draws, None for draws", groupNumber(func(g *nasapi.GroupRow) *float64 { return g.PNullHolm })},
	{"p_beats_random", "dict of group to the paper's (1 - r/N)^n; for a random policy it is uniform on 0..1, so it is no evidence by itself", groupNumber(func(g *nasapi.GroupRow) *float64 { return g.PBeatsRandom })},
	{"p_equal_budget", "dict of group to (1 - r/N)^(n k), None unless the group was guided by the metric itself", groupNumber(func(g *nasapi.GroupRow) *float64 { return g.PEqualBudget })},
	{"cliffs_delta", "dict of group to Cliff's delta against the draws, -1..1", groupNumber(func(g *nasapi.GroupRow) *float64 { return g.CliffsDelta })},
	{"smallest_detectable", "dict of group to the smallest lead in percentile points that its number of runs can show", groupNumber(func(g *nasapi.GroupRow) *float64 { return g.Detectable })},
	{"verdicts", "dict of group to a sentence", func(r *comparisonValue) (lib.Value, error) {
		return r.perGroup(func(g *nasapi.GroupRow) (lib.Value, error) { return lib.String(g.Verdict), nil })
	}},
	{"metric", "the final evaluation in words", func(r *comparisonValue) (lib.Value, error) { return lib.String(r.cmp.Metric), nil }},
	{"oracle", "True if some group was guided by a test column", func(r *comparisonValue) (lib.Value, error) { return lib.Bool(r.cmp.Oracle), nil }},
	{"n", "size of the space that ranks and percentiles refer to, 0 if it cannot be listed", func(r *comparisonValue) (lib.Value, error) { return lib.MakeInt(r.cmp.N), nil }},
	{"figure", "figure: every seed's result over the distribution of the space", func(r *comparisonValue) (lib.Value, error) { return figureOf(versusFigure(r.cmp)) }},
	{"anytime", "figure: the incumbent against evaluations, median and inter-quartile band", func(r *comparisonValue) (lib.Value, error) { return figureOf(anytimeFigure(r.cmp)) }},
	{"regret", "figure: the incumbent's distance to the best of the space against evaluations, None where that is not known", func(r *comparisonValue) (lib.Value, error) { return figureOf(regretFigure(r.cmp)) }},
	{"clock", "figure: the same against the simulated seconds of training, None where the table has no times", func(r *comparisonValue) (lib.Value, error) { return figureOf(clockFigure(r.cmp)) }},
	{"save", "`.save(path)` writes .csv (a line a seed), .json, .md (tables), .svg or .png (the figure; `figure=\"anytime\"`, `\"regret\"` or `\"clock\"` for others, `theme=\"dark\"` for dark pages)", (*comparisonValue).saveMethod},
}

func (r *comparisonValue) Attr(name string) (lib.Value, error) { return comparisonAttrs.get(r, name) }
func (r *comparisonValue) AttrNames() []string                 { return comparisonAttrs.names() }
func (r *comparisonValue) AttrDoc(name string) string          { return comparisonAttrs.doc(name) }
func (r *comparisonValue) Doc() string {
	return "A comparison of search policies with random sampling.\n\n" + comparisonAttrs.list()
}

// marked is a table of a comparison that is shown by itself, with all marks on top instead
// of among the notes.
func marked(t *tableView, c *nasapi.Comparison) *tableView {
	t.oracle, t.marks = false, c.Marks()
	t.notes = slices.DeleteFunc(t.notes, func(n string) bool { return slices.Contains(t.marks, n) })
	return t
}

func (r *comparisonValue) saveMethod() (lib.Value, error) {
	return method("save", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var path string
		figure, theme := "versus", lightTheme
		if err := lib.UnpackArgs("save", args, kwargs, "path", &path, "figure?", &figure, "theme?", &theme); err != nil {
			return nil, err
		}
		return lib.None, r.save(r.env.path(path), figure, theme)
	})
}

func (r *comparisonValue) save(path, figure, theme string) error {
	data, err := r.encode(strings.ToLower(filepath.Ext(path)), figure, theme)
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return writeFile(path, data)
}

// csvOf is lines as a CSV file has them.
func csvOf(lines [][]string) ([]byte, error) {
	var b bytes.Buffer
	err := csv.NewWriter(&b).WriteAll(lines)
	return b.Bytes(), err
}

// writeFile replaces a file at once, so that a full disk leaves the old one.
func writeFile(path string, data []byte) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return starlark.Named("FileNotFoundError", fmt.Errorf("save %s: there is no folder %s: make it first", path, filepath.Dir(path)))
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // fails harmlessly once it is renamed
	if _, err := f.Write(data); err != nil {
		f.Close()
		return fmt.Errorf("save %s: %w", path, err)
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return fmt.Errorf("save %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return nil
}

var errNothingToDraw = errors.New("there is nothing to draw: no seed of the comparison has what this figure shows")

func (r *comparisonValue) encode(ext, figure, theme string) ([]byte, error) {
	switch ext {
	case ".csv":
		return csvOf(r.cmp.CSV())
	case ".json":
		return r.cmp.JSON()
	case ".md":
		return []byte(comparisonMarkdown(r.cmp)), nil
	case ".svg", ".png":
		make := versusFigure
		switch figure {
		case "versus":
		case "anytime":
			make = anytimeFigure
		case "regret":
			make = regretFigure
		case "clock":
			make = clockFigure
		default:
			return nil, unknown("figure", figure, []string{"versus", "anytime", "regret", "clock"})
		}
		fig, err := make(r.cmp)
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

func (e *Env) comparisonCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name: "compare",
			Params: []starlark.Param{
				{Name: "groups", Variadic: true, Type: "search, list of architectures, or results", Doc: "what to compare: each search, list of architectures or `results(...)` is a group"},
				{Name: "by", KeywordOnly: true, Default: lib.None, Type: "objective", Doc: "the final evaluation, the same for all: `truth.metric(\"test\")`; of trainings `\"test\"` (default) or `\"valid\"`"},
				{Name: "minimise", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "less is better under `by`, such as `by=params()` for small architectures"},
				{Name: "unequal", KeywordOnly: true, Default: lib.False, Type: "bool", Doc: "compare searches of different budgets all the same; the output says so"},
			},
			Doc: `Judge searches against random sampling under one final evaluation; waits if needed.

For each group: percentile in the space against the exact distribution of as many uniform draws
(one-sided p, Holm-adjusted in the verdict), accuracy, best rank with ties, differences to one
draw a seed, to one draw in the policy's encoding and to random search of equal cost with 95 %
bootstrap intervals, the paper's p(> random) with its null band, Mann-Whitney and Cliff's delta
against the draws, the smallest lead that so many runs can show, and every seed's value. Two
figures: results over the space's distribution, and the incumbent against evaluations.

Failed seeds are counted and shown, never dropped. Groups of different spaces are refused, and
of different budgets unless unequal=True. Random sampling is the first list of draws from the
searched space; where there is none, fresh draws under each group's own seeds.

    result = compare(found, drawn, by=truth.metric("test"))
    result.p_value
    result.save("result.csv")`,
			Run: e.runCompare,
		},
		e.resultsCommand(),
	}
}

func (e *Env) runCompare(c *starlark.Call) (lib.Value, error) {
	args := c.Value("groups").(lib.Tuple)
	by, err := judge(c, args)
	if err != nil {
		return nil, err
	}
	unequal, err := c.Bool("unequal")
	if err != nil {
		return nil, err
	}
	minimise, err := c.Bool("minimise")
	if err != nil {
		return nil, err
	}
	if !c.Given("by") && !c.Given("minimise") {
		minimise = by.Spec().Minimise // of notebooks
	}
	if err := e.waitForGroups(c, args); err != nil {
		return nil, err
	}
	var groups []nasapi.Group
	for i, v := range args {
		more, err := groupsOf(v, by.Spec())
		if err != nil {
			return nil, named(c, "TypeError", "group %d: %w", i+1, err)
		}
		groups = append(groups, more...)
	}
	result, err := nasapi.Compare(groups, nasapi.CompareOptions{By: by.Minimised(minimise), Unequal: unequal})
	if err != nil {
		return nil, starlark.Named("ValueError", err)
	}
	v := &comparisonValue{unhashable: unhashable{"comparison"}, env: e, cmp: result}
	if v.parts, err = comparisonParts(result); err != nil {
		return nil, c.Errorf("%w", err)
	}
	if err := v.Show(c.Cell); err != nil {
		return nil, err
	}
	v.shower = c.Cell
	return v, nil
}

// waitForGroups waits for the searches and trainings among the arguments that have not
// finished.
func (e *Env) waitForGroups(c *starlark.Call, args lib.Tuple) error {
	var open []work
	for _, v := range args {
		works, err := worksOf(v)
		if err != nil {
			continue // none: groupsOf says what is wrong with it, if anything
		}
		for _, w := range works {
			statuses, err := w.handle().Statuses()
			if err != nil {
				return err
			}
			if slices.ContainsFunc(statuses, unfinished) {
				open = append(open, w)
			}
		}
	}
	if len(open) == 0 {
		return nil
	}
	return e.waitFor(c.Ctx, c.Cell, open)
}

// groupsOf makes groups of one argument of compare, judged by a metric.
func groupsOf(v lib.Value, by objective.Spec) ([]nasapi.Group, error) {
	if r, ok := v.(*resultsValue); ok {
		return r.groups, nil
	}
	if works, err := worksOf(v); err == nil && len(works) > 0 {
		return groupsOfWorks(works, by)
	}
	if lib.Len(v) == 0 {
		return nil, errors.New("the list is empty: there is nothing in it to compare")
	}
	archs, err := archsOf(v)
	if err != nil || len(archs) == 0 {
		return nil, fmt.Errorf("%s is neither a search, a training, a list of architectures nor results(...)", v.Type())
	}
	var found []nasapi.Found
	var largest space.Space
	for _, a := range archs {
		found = append(found, a.found)
		if largest == nil || a.space.Size().Cmp(largest.Size()) > 0 {
			largest = a.space
		}
	}
	return nasapi.GroupsOfFound(found, largest), nil
}

func groupsOfWorks(works []work, by objective.Spec) ([]nasapi.Group, error) {
	var out []nasapi.Group
	for _, w := range works {
		switch w := w.(type) {
		case *searchValue:
			out = append(out, nasapi.GroupOfSearch(w.search))
		case *trainingValue:
			if by.Kind != objective.Trained {
				return nil, fmt.Errorf("a training is judged by its networks' accuracy: leave by out, or give by=%q or %q", objective.TrainedTest, objective.TrainedValid)
			}
			groups, err := nasapi.GroupsOfTraining(w.training, by.Metric)
			if err != nil {
				return nil, err
			}
			out = append(out, groups...)
		}
	}
	return out, nil
}

// judge is what compare(...) judges by. Where trainings are compared it is the accuracy
// of their networks, on the test images unless by names the others.
func judge(c *starlark.Call, args lib.Tuple) (*objective.Objective, error) {
	for _, v := range args {
		works, err := worksOf(v)
		if err != nil {
			continue
		}
		for _, w := range works {
			t, ok := w.(*trainingValue)
			if !ok {
				continue
			}
			metric := objective.TrainedTest
			if c.Given("by") {
				if metric, err = c.String("by"); err != nil {
					return nil, err
				}
			}
			by, err := objective.OfTrained(metric, t.protocolText())
			if err != nil {
				return nil, c.Errorf("by: %w", err)
			}
			return by, nil
		}
	}
	if !c.Given("by") {
		return judgeOfNotebooks(c, args)
	}
	return objectiveArg(c, "by")
}

// comparisonParts are the displays of a comparison: the table with the
// machine-readable result, each seed's line, and the figures.
func comparisonParts(c *nasapi.Comparison) ([]part, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	main := comparisonTable(c).bundle()
	detail := detailTable(c)
	seeds := seedTable(c).shown()
	markup := main.Data["text/html"].(string) + detail.html() +
		"<details><summary>every seed</summary>" + seeds.html() + "</details>"
	text := main.Data["text/plain"].(string) + "\n\n" + detail.text() + "\n\n" + seeds.text()
	b := htmlBundle(markup, text)
	b.Data[nasapi.ComparisonMIME] = object
	parts := []part{{b}}
	figures := []figureMaker{versusFigure, anytimeFigure}
	if slices.ContainsFunc(c.Rows, func(g nasapi.GroupRow) bool { return g.Seconds > 0 }) {
		figures = append(figures, clockFigure)
	}
	for _, draw := range figures {
		fig, err := draw(c)
		if err != nil {
			return nil, err
		}
		if fig == nil { // nothing to draw, such as no traces
			continue
		}
		fb, err := figureBundle(fig, fig.Description())
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{fb})
	}
	return parts, nil
}

// scaleOf is how values of a metric are shown: accuracies in percent.
func scaleOf(by objective.Spec) (factor float64, unit string) {
	if by.Accuracy() {
		return 100, "%"
	}
	return 1, ""
}

func showValue(by objective.Spec, v float64) string {
	if by.Accuracy() {
		return fmt.Sprintf("%.2f", 100*v)
	}
	return number(v)
}

func meanSD(by objective.Spec, s *nasapi.Summary) string {
	if s.SD == nil {
		return showValue(by, s.Mean)
	}
	return showValue(by, s.Mean) + " ± " + showValue(by, *s.SD)
}

func runsText(g nasapi.GroupRow) string {
	text := fmt.Sprint(g.Runs)
	if done := g.States["done"]; done != g.Runs {
		text = fmt.Sprintf("%d of %d", done, g.Runs)
	}
	if g.Distinct > 0 && g.Distinct < g.States["done"] {
		text += fmt.Sprintf(" (%d distinct)", g.Distinct)
	}
	return text
}

func groupLabel(g nasapi.GroupRow) tableCell {
	name := g.Name
	if g.Oracle {
		name += oracleTag
	}
	return tableCell{text: name}
}

func comparisonTable(c *nasapi.Comparison) *tableView {
	_, unit := scaleOf(c.By)
	if unit != "" {
		unit = " (" + unit + ")"
	}
	t := newTable("Search against random sampling on "+c.Space+", by "+c.Metric,
		column{"group", left}, column{"guided by", prose}, column{"runs", right},
		column{"percentile: mean / median", right}, column{"p (exact)", right}, column{"verdict", prose},
		column{"mean ± sd" + unit, right}, column{"median" + unit, right}, column{"best" + unit, right}, column{"best rank", right})
	t.oracle = c.Oracle
	for _, m := range c.Marks() {
		if m != nasapi.OracleMark && !slices.Contains(c.Notes, m) {
			t.marks = append(t.marks, m)
		}
	}
	for _, g := range c.Rows {
		row := []tableCell{groupLabel(g), {text: guidedText(g)}, {text: runsText(g)}}
		if g.Values == nil {
			t.addCells(append(row, make([]tableCell, 7)...)...)
			continue
		}
		if g.Percentiles != nil {
			row = append(row, tableCell{text: percentileText(g.Percentiles.Mean, 1) + " / " + percentileText(g.Percentiles.Median, 1)}, tableCell{text: nullProbability(*g.PNull)})
		} else {
			row = append(row, make([]tableCell, 2)...)
		}
		best := g.Values.Max
		if c.By.Minimise {
			best = g.Values.Min
		}
		rank := ""
		if g.BestRank > 0 {
			rank = count(g.BestRank)
			if g.BestTies > 1 {
				rank += fmt.Sprintf(" (%s tie)", count(g.BestTies))
			}
		}
		t.addCells(append(row, tableCell{text: g.Verdict}, tableCell{text: meanSD(c.By, g.Values)},
			tableCell{text: showValue(c.By, g.Values.Median)}, tableCell{text: showValue(c.By, best)}, tableCell{text: rank})...)
	}
	if c.N > 0 {
		t.note("Percentile: 100 (1 - (mid-rank - 1)/N) among the N = %s cells of %s. p: chance that as many uniform draws have a mean percentile at least as high (exact null of the finite table, one-sided); verdicts at 5 %% on either side, adjusted by Holm over the groups that have one.", count(c.N), c.Space)
	}
	for _, n := range c.Notes {
		t.note("%s", n)
	}
	return t
}

func guidedText(g nasapi.GroupRow) string {
	switch {
	case g.Guide != "" && (g.Budget > 0 || g.Seconds > 0):
		return fmt.Sprintf("%s, %s", g.Guide, budgetText(g.Budget, g.Seconds))
	case g.Guide != "":
		return g.Guide
	case g.Kind == nasapi.Drawn:
		return "nothing: one draw a seed"
	}
	return ""
}

func differenceText(by objective.Spec, d *nasapi.Difference) string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf("%s [%s, %s]", signed(by, d.Mean), signed(by, d.Low), signed(by, d.High))
}

func signed(by objective.Spec, v float64) string {
	s := showValue(by, v)
	if v >= 0 {
		s = "+" + s
	}
	return s
}

func detailTable(c *nasapi.Comparison) *tableView {
	t := newTable("Baselines and tests", column{"group", left},
		column{"against one draw a seed", right}, column{"one draw in its encoding", right}, column{"random search, equal cost", right},
		column{"relative", right}, column{"Cliff's delta", right}, column{"Mann-Whitney p", right},
		column{"p(> random)", right}, column{"equal-budget p", right}, column{"detectable lead", right})
	var nullBand *[2]float64
	for _, g := range c.Rows {
		if g.Values == nil {
			continue
		}
		if g.PBand != nil {
			nullBand = g.PBand
		}
		relative, mw, delta, paper, equal, detect := "", "", "", "", "", ""
		if g.RelativeToDraw != nil {
			relative = fmt.Sprintf("%+.2f %%", *g.RelativeToDraw)
		}
		if g.MannWhitney != nil {
			mw = probability(g.MannWhitney.P)
		}
		if g.CliffsDelta != nil {
			delta = fmt.Sprintf("%+.2f", *g.CliffsDelta)
		}
		if g.PBeatsRandom != nil {
			paper = probability(*g.PBeatsRandom)
		}
		if g.PEqualBudget != nil {
			equal = probability(*g.PEqualBudget)
		}
		if g.Detectable != nil {
			detect = fmt.Sprintf("%.1f", *g.Detectable)
		}
		row := []tableCell{groupLabel(g)}
		for _, s := range []string{differenceText(c.By, g.VersusDraw), differenceText(c.By, g.VersusEncoding), differenceText(c.By, g.VersusRandomSearch),
			relative, delta, mw, paper, equal, detect} {
			row = append(row, tableCell{text: s})
		}
		t.addCells(row...)
	}
	drawn := c.Drawn
	if drawn == "" {
		drawn = "fresh draws under the group's own seeds"
	}
	t.note("Differences of means with 95 %% bootstrap intervals. One draw a seed: %s.", drawn)
	if nullBand != nil {
		t.note("p(> random) = (1 - r/N)^n is the paper's figure for the best rank r of n runs, the chance that none of n uniform draws is better (high is good); a random policy shows any value of 0..1 equally often, 90 %% of the time one of %.2f to %.2f (its null band), so it is no evidence by itself. Detectable lead: the smallest lead in mean percentile, in points, that so many runs can show at 5 %%, before the adjustment.", nullBand[0], nullBand[1])
		if slices.ContainsFunc(c.Rows, func(g nasapi.GroupRow) bool { return g.PEqualBudget != nil }) {
			t.note("Equal-budget p = (1 - r/N)^(n k): the same against n random searches that look up k cells each (high is good).")
		}
	}
	t.dropEmptyColumns()
	return t
}

func seedTable(c *nasapi.Comparison) *tableView {
	_, unit := scaleOf(c.By)
	t := newTable("Every seed", column{"group", left}, column{"seed", right}, column{"state", left}, column{"value " + unit, right},
		column{"rank", right}, column{"ties", right}, column{"percentile", right}, column{"parameters", right}, column{"hash", left})
	t.folds = "the comparison's .seeds has them all, to sort, filter and save"
	for _, g := range c.Rows {
		for _, s := range g.Seeds {
			seed, value, rank, ties, percentile, params := "", "", "", "", "", ""
			if s.Seed != nil {
				seed = fmt.Sprint(*s.Seed)
			}
			if s.Value != nil {
				value = showValue(c.By, *s.Value)
			}
			if s.Rank > 0 {
				rank, ties, percentile = count(s.Rank), count(s.Ties), percentileText(*s.Percentile, 2)
			}
			if s.Params > 0 {
				params = count(s.Params)
			}
			t.addCells(groupLabel(g), tableCell{text: seed}, stateCell(s.State, false), tableCell{text: value}, tableCell{text: rank},
				tableCell{text: ties}, tableCell{text: percentile}, tableCell{text: params}, tableCell{text: shortHash(s.Hash)})
			if s.Error != "" {
				t.note("%s, seed %s: %s", g.Name, seed, lastLine(s.Error))
			}
		}
	}
	return t
}

func comparisonMarkdown(c *nasapi.Comparison) string {
	var b strings.Builder
	for _, t := range []*tableView{comparisonTable(c), detailTable(c), seedTable(c)} {
		b.WriteString(t.markdown() + "\n")
	}
	return b.String()
}
