package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/report"
	"evalnas/plotting"
)

// reportValue is the answer of report(...).
type reportValue struct {
	immutable
	unhashable
	env     *Env
	report  *report.Report
	figures map[string]*plotting.Figure // those that there are, by name
	words   map[string]string           // what they are called
}

var _ lib.HasAttrs = (*reportValue)(nil)

func (r *reportValue) Type() string   { return "report" }
func (r *reportValue) String() string { return r.text() }

var reportAttrs = attrTable[*reportValue]{
	{"save", "`.save(path)` writes .html (with the figures in it), .md (the figures beside it, as SVG), .json (every number, unrounded) or .bib (what to cite)", (*reportValue).saveMethod},
	{"tables", "dict of name to each table of the report, which can be sorted, filtered and saved", (*reportValue).tables},
	{"outputs", "table of the fifteen outputs of a rigorous evaluation: number, what, state, section, why", func(r *reportValue) (lib.Value, error) {
		return r.rows(r.report.Outputs, outputsTable(r.report))
	}},
	{"checklist", "table of the checklist of Lindauer and Hutter: part, question, answer, evidence", func(r *reportValue) (lib.Value, error) {
		return r.rows(r.report.Check, checklistTable(r.report))
	}},
	{"citation", "what to cite, as BibTeX", func(r *reportValue) (lib.Value, error) { return lib.String(r.bibtex()), nil }},
	{"marks", "list of the warnings that belong on every output: ORACLE, REDUCED, UNEQUAL BUDGETS", func(r *reportValue) (lib.Value, error) { return stringList(r.report.Marks), nil }},
	{"title", "title of the report", func(r *reportValue) (lib.Value, error) { return lib.String(r.report.Title), nil }},
	{"markdown", "the report in Markdown", func(r *reportValue) (lib.Value, error) { return lib.String(r.markdown("")), nil }},
}

func (r *reportValue) Attr(name string) (lib.Value, error) { return reportAttrs.get(r, name) }
func (r *reportValue) AttrNames() []string                 { return reportAttrs.names() }
func (r *reportValue) AttrDoc(name string) string          { return reportAttrs.doc(name) }
func (r *reportValue) Doc() string {
	return "A report of a comparison: numbers, manifest, checklist, citation.\n\n" + reportAttrs.list()
}

// Bundle is the report as HTML, which notebooks prefer, Markdown, text and its numbers.
func (r *reportValue) Bundle() (*kernel.Bundle, error) {
	raw, err := r.report.JSON()
	if err != nil {
		return nil, err
	}
	markup, err := r.html()
	if err != nil {
		return nil, err
	}
	b := htmlBundle(markup, r.text())
	b.Data["text/markdown"] = r.markdown("")
	b.Data[report.MIME] = json.RawMessage(raw)
	return b, nil
}

func (r *reportValue) rows(items any, view *tableView) (lib.Value, error) {
	v, err := toValue(items)
	if err != nil {
		return nil, err
	}
	view.marks = r.report.Marks
	return shownList{v.(*lib.List), view, r.env}, nil
}

// tables are all tables by their ids, a dict a row with the titles as keys.
func (r *reportValue) tables() (lib.Value, error) {
	all := lib.NewDict(0)
	for _, s := range r.report.Sections {
		for _, t := range s.Tables {
			var rows []lib.Value
			for _, row := range t.Rows {
				d := lib.NewDict(len(row))
				for i, c := range row {
					setKey(d, t.Columns[i].Title, cellValue(c))
				}
				rows = append(rows, d)
			}
			view := r.table(t)
			view.title, view.marks = cmpTitle(t, s), r.report.Marks
			setKey(all, t.ID, shownList{lib.NewList(rows), view, r.env})
		}
	}
	return all, nil
}

func cmpTitle(t report.Table, s report.Section) string {
	if t.Title != "" {
		return t.Title
	}
	return s.Title
}

// cellValue is a cell in the language: one number, a list of several, or text.
func cellValue(c report.Cell) lib.Value {
	switch {
	case len(c.Values) == 0 && c.Text == "":
		return lib.None
	case len(c.Values) == 0:
		return lib.String(c.Text)
	case len(c.Values) == 1 && (c.Form == report.Count || c.Form == report.Name):
		return lib.MakeInt64(int64(c.Values[0]))
	case len(c.Values) == 1:
		return lib.Float(c.Values[0])
	}
	return floats(c.Values)
}

// table is a table of the report as it is shown.
func (r *reportValue) table(t report.Table) *tableView {
	var all []column
	for _, c := range t.Columns {
		title := c.Title
		if unit := r.unitOf(t, title); unit != "" {
			title += " (" + unit + ")"
		}
		all = append(all, column{title, map[string]alignment{"right": right, "prose": prose, "wide": wide}[c.Align]})
	}
	view := newTable(t.Title, all...)
	for _, row := range t.Rows {
		cells := make([]tableCell, len(row))
		for i, c := range row {
			cells[i] = r.cell(c)
		}
		view.addCells(cells...)
	}
	for _, n := range t.Notes {
		view.note("%s", n)
	}
	return view
}

// unitOf is the unit of a column, where its numbers are accuracies.
func (r *reportValue) unitOf(t report.Table, title string) string {
	if !r.report.Accuracy {
		return ""
	}
	at := slices.IndexFunc(t.Columns, func(c report.Column) bool { return c.Title == title })
	for _, row := range t.Rows {
		switch row[at].Form {
		case report.Value, report.Deviation, report.Range:
			return "%"
		case report.Difference:
			return "points"
		}
	}
	return ""
}

// cell writes a cell's numbers. States have their colours.
func (r *reportValue) cell(c report.Cell) tableCell {
	if len(c.Values) == 0 {
		return tableCell{text: c.Text, markup: coloured(c.Text)}
	}
	v := c.Values
	switch c.Form {
	case report.Count:
		return tableCell{text: plainCount(v[0])}
	case report.Counts:
		return tableCell{text: fmt.Sprintf("%s (%s to %s)", millions(v[1]), millions(v[0]), millions(v[2]))}
	case report.Name:
		return tableCell{text: strconv.FormatFloat(v[0], 'f', -1, 64)}
	case report.Value:
		return tableCell{text: r.value(v[0])}
	case report.Deviation:
		return tableCell{text: r.value(v[0]) + " ± " + r.value(v[1])}
	case report.Range:
		return tableCell{text: fmt.Sprintf("[%s, %s]", r.value(v[0]), r.value(v[1]))}
	case report.Difference:
		return tableCell{text: fmt.Sprintf("%s [%s, %s]", plus(r.value(v[0])), plus(r.value(v[1])), plus(r.value(v[2])))}
	case report.Percentile:
		return tableCell{text: percentileText(v[0], 2)}
	case report.Points:
		if len(v) == 3 {
			return tableCell{text: fmt.Sprintf("%+.1f [%+.1f, %+.1f]", v[0], v[1], v[2])}
		}
		return tableCell{text: fmt.Sprintf("%+.1f", v[0])}
	case report.Chance:
		return tableCell{text: probability(v[0])}
	case report.NullChance:
		return tableCell{text: nullProbability(v[0])}
	case report.Signed:
		return tableCell{text: fmt.Sprintf("%+.2f", v[0])}
	case report.Percent:
		return tableCell{text: fmt.Sprintf("%+.2f %%", v[0])}
	case report.Seconds:
		return tableCell{text: roundSeconds(v[0])}
	case report.Hours:
		return tableCell{text: deviceHours(v[0])}
	case report.TauSpread:
		if len(v) == 2 {
			return tableCell{text: fmt.Sprintf("%+.3f ± %.3f", v[0], v[1])}
		}
		return tableCell{text: fmt.Sprintf("%+.3f", v[0])}
	case report.TauRange:
		return tableCell{text: fmt.Sprintf("[%+.3f, %+.3f]", v[0], v[1])}
	}
	texts := make([]string, len(v))
	for i, x := range v {
		texts[i] = trimmed(x)
	}
	return tableCell{text: strings.Join(texts, " to ")}
}

func coloured(text string) string {
	for state, colour := range stateColours {
		if text == string(state) {
			return fmt.Sprintf(`<span style="color:%s">%s</span>`, colour, html.EscapeString(text))
		}
	}
	return ""
}

// value is a value of the metric: of accuracies in percent.
func (r *reportValue) value(v float64) string {
	if r.report.Accuracy {
		return fmt.Sprintf("%.2f", 100*v)
	}
	return number(v)
}

func plus(text string) string {
	if strings.HasPrefix(text, "-") {
		return text
	}
	return "+" + text
}

// plainCount writes a whole number with groups; medians of counts may be halves.
func plainCount(v float64) string {
	if math.Abs(v) >= 1e18 { // sizes of spaces that nobody lists
		return fmt.Sprintf("%.3g", v)
	}
	return count(int64(math.Round(v)))
}

// millions writes parameters and multiply-adds short enough for three in a cell.
func millions(v float64) string {
	switch {
	case v < 1e6:
		return plainCount(v)
	case v < 1e8:
		return strconv.FormatFloat(v/1e6, 'f', 1, 64) + " M"
	}
	return count(int64(math.Round(v/1e6))) + " M"
}

// trimmed writes a number with up to three decimals.
func trimmed(v float64) string {
	if math.Abs(v) >= 1000 {
		if v != math.Trunc(v) {
			return count(int64(math.Trunc(v))) + strings.TrimPrefix(strconv.FormatFloat(math.Abs(v)-math.Trunc(math.Abs(v)), 'f', 1, 64), "0")
		}
		return count(int64(v))
	}
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 3, 64), "0"), ".")
}

func roundSeconds(v float64) string {
	if v >= 1000 {
		return count(int64(math.Round(v)))
	}
	if v < 1 {
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

func deviceHours(v float64) string {
	if v > 0 && v < 0.0005 {
		return "under 0.001"
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func outputsTable(r *report.Report) *tableView {
	t := newTable("", column{"", right}, column{"output", wide}, column{"state", left}, column{"section", left}, column{"unknown, and what would give it", wide})
	titles := map[string]string{}
	for _, s := range r.Sections {
		titles[s.ID] = s.Title
	}
	colours := map[report.State]string{report.Filled: green, report.Partly: yellow, report.Unknown: red}
	for _, o := range r.Outputs {
		state := tableCell{text: string(o.State), markup: fmt.Sprintf(`<span style="color:%s">%s</span>`, colours[o.State], o.State)}
		t.addCells(tableCell{text: fmt.Sprint(o.Number)}, tableCell{text: o.What}, state, tableCell{text: titles[o.Section]}, tableCell{text: strings.Join(o.Why, "; ")})
	}
	return t
}

func checklistTable(r *report.Report) *tableView {
	t := newTable("", column{"about", left}, column{"question", wide}, column{"answer", left}, column{"evidence", wide})
	colours := map[report.Answer]string{report.Yes: green, report.No: red, report.NotKnown: yellow}
	for _, i := range r.Check {
		t.addCells(tableCell{text: i.Part}, tableCell{text: i.Question}, tableCell{text: string(i.Answer), markup: fmt.Sprintf(`<span style="color:%s">%s</span>`, colours[i.Answer], i.Answer)}, tableCell{text: i.Evidence})
	}
	return t
}

func (r *reportValue) bibtex() string {
	var b strings.Builder
	for _, e := range r.report.Cite {
		fmt.Fprintf(&b, "%% %s\n%s\n\n", e.Why, e.BibTeX)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

const (
	headStyle    = `style="margin:18px 0 4px 0;font-size:120%"`
	proseOfPage  = `style="margin:4px 0;max-width:60em"`
	checklistRef = "Best practices of Lindauer and Hutter (JMLR 21(243), 2020), in our words. Answers are what this program can tell from the comparison and its jobs."
	outputsRef   = "What a rigorous evaluation of a search phase reports, and how much of it is here."
)

// html is the report as a part of a page.
func (r *reportValue) html() (string, error) {
	var b strings.Builder
	b.WriteString(`<div class="evalnas-report">`)
	for _, m := range r.report.Marks {
		b.WriteString(watermarkHTML(m))
	}
	fmt.Fprintf(&b, `<h2 style="margin:8px 0">%s</h2>`, html.EscapeString(r.report.Title))
	for _, s := range r.report.Sections {
		open, shut := fmt.Sprintf("<section><h3 %s>%s</h3>", headStyle, html.EscapeString(s.Title)), "</section>"
		if s.Long {
			open, shut = fmt.Sprintf("<details><summary><b>%s</b></summary>", html.EscapeString(s.Title)), "</details>"
		}
		b.WriteString(open)
		for _, p := range s.Text {
			fmt.Fprintf(&b, `<p %s>%s</p>`, proseOfPage, html.EscapeString(p))
		}
		for _, t := range s.Tables {
			b.WriteString(`<div style="margin:4px 0 10px 0">` + r.table(t).html() + "</div>")
		}
		for _, name := range s.Figures {
			if fig := r.figures[name]; fig != nil {
				image, err := imageOf(r.words[name], fig)
				if err != nil {
					return "", err
				}
				b.WriteString(`<div style="margin:6px 0">` + image + `</div>`)
			}
		}
		b.WriteString(shut)
	}
	for _, t := range []struct {
		title, about string
		view         *tableView
	}{{"What is here and what is not", outputsRef, outputsTable(r.report)}, {"Checklist", checklistRef, checklistTable(r.report)}} {
		fmt.Fprintf(&b, `<section><h3 %s>%s</h3><p %s>%s</p>%s</section>`, headStyle, t.title, proseOfPage, html.EscapeString(t.about), t.view.html())
	}
	fmt.Fprintf(&b, `<section><h3 %s>To cite</h3><pre style="font-size:90%%;overflow-x:auto">%s</pre></section></div>`, headStyle, html.EscapeString(r.bibtex()))
	return b.String(), nil
}

// pageStyle is for a report that is a page of its own; in a notebook the tables have its
// style.
const pageStyle = `body{font-family:system-ui,sans-serif;font-size:14px;line-height:1.4;margin:24px auto;padding:0 16px;max-width:1200px;color:#222;background:#fff}
table{border-collapse:collapse;font-size:13px}th{border-bottom:1px solid #888}tbody tr:nth-child(even){background:#f5f5f5}img{max-width:100%}
@media print{details>*{display:block}}`

func (r *reportValue) page() (string, error) {
	body, err := r.html()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%s</title><style>%s</style></head>\n<body>%s</body></html>\n", html.EscapeString(r.report.Title), pageStyle, body), nil
}

// markdown is the report with its figures beside it, in files that begin with a name; ""
// leaves them out.
func (r *reportValue) markdown(figures string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", r.report.Title)
	for _, m := range r.report.Marks {
		fmt.Fprintf(&b, "> **%s**\n\n", m)
	}
	for _, s := range r.report.Sections {
		fmt.Fprintf(&b, "## %s\n\n", s.Title)
		for _, p := range s.Text {
			b.WriteString(markdownText(p) + "\n\n")
		}
		for _, t := range s.Tables {
			b.WriteString(r.table(t).markdown() + "\n")
		}
		for _, name := range s.Figures {
			if figures != "" && r.figures[name] != nil {
				fmt.Fprintf(&b, "![%s](%s)\n\n", r.words[name], figures+"_"+name+".svg")
			}
		}
	}
	fmt.Fprintf(&b, "## What is here and what is not\n\n%s\n\n%s\n## Checklist\n\n%s\n\n%s\n", outputsRef, outputsTable(r.report).markdown(), checklistRef, checklistTable(r.report).markdown())
	fmt.Fprintf(&b, "## To cite\n\n```bibtex\n%s```\n", r.bibtex())
	return b.String()
}

// markdownText keeps a paragraph's underscores and stars from becoming emphasis.
func markdownText(s string) string { return strings.NewReplacer("_", `\_`, "*", `\*`).Replace(s) }

func (r *reportValue) text() string {
	lines := append([]string{r.report.Title}, r.report.Marks...)
	for _, s := range r.report.Sections {
		lines = append(lines, "", s.Title)
		lines = append(lines, s.Text...)
		for _, t := range s.Tables {
			lines = append(lines, r.table(t).text())
		}
	}
	lines = append(lines, "", "What is here and what is not", outputsTable(r.report).text(), "", "Checklist", checklistTable(r.report).text(), "", r.bibtex())
	return strings.Join(lines, "\n")
}

func (r *reportValue) saveMethod() (lib.Value, error) {
	return method("save", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var path string
		if err := lib.UnpackArgs("save", args, kwargs, "path", &path); err != nil {
			return nil, starlark.Named("TypeError", err)
		}
		return lib.None, r.save(r.env.path(path))
	})
}

func (r *reportValue) save(path string) error {
	var data []byte
	var err error
	switch ext := filepath.Ext(path); strings.ToLower(ext) {
	case ".html":
		var page string
		page, err = r.page()
		data = []byte(page)
	case ".md":
		stem := strings.TrimSuffix(path, ext)
		if err := r.saveFigures(stem); err != nil {
			return err
		}
		data = []byte(r.markdown(strings.ReplaceAll(filepath.Base(stem), " ", "%20")))
	case ".json":
		data, err = r.report.JSON()
	case ".bib":
		data = []byte(r.bibtex())
	default:
		return fmt.Errorf("save %s: unknown ending %q: allowed are .html, .md, .json and .bib", path, ext)
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return writeFile(path, data)
}

func (r *reportValue) saveFigures(stem string) error {
	for _, s := range r.report.Sections {
		for _, name := range s.Figures {
			fig := r.figures[name]
			if fig == nil {
				continue
			}
			svg, err := fig.SVG()
			if err != nil {
				return err
			}
			if err := writeFile(stem+"_"+name+".svg", svg); err != nil {
				return err
			}
		}
	}
	return nil
}

// draw makes the figures that there are.
func (r *reportValue) draw(in report.Input) error {
	r.figures, r.words = map[string]*plotting.Figure{}, map[string]string{}
	add := func(name, words string, fig *plotting.Figure, err error) error {
		if err != nil {
			return err
		}
		if fig != nil {
			r.figures[name], r.words[name] = fig, words
		}
		return nil
	}
	fig, err := versusFigure(in.Comparison)
	if err := add(report.FigureResults, "every seed over the distribution of the space", fig, err); err != nil {
		return err
	}
	fig, err = anytimeFigure(in.Comparison)
	if err := add(report.FigureAnytime, "the incumbent as the search goes on", fig, err); err != nil {
		return err
	}
	fig, err = clockFigure(in.Comparison)
	if err := add(report.FigureClock, "the incumbent as simulated training goes on", fig, err); err != nil {
		return err
	}
	if len(in.Rankings) == 0 {
		return nil
	}
	for _, f := range []struct {
		name, words string
		make        func(*nasapi.RankingEvaluation) (*plotting.Figure, error)
	}{
		{report.FigureTau, "tau against steps", tauFigure}, {report.FigureChange, "rank change", firstRankChange},
		{report.FigureDisorder, "ranking disorder", disorderFigure}, {report.FigureSummary, "weight sharing summary", summaryFigure},
	} {
		fig, err := f.make(in.Rankings[0])
		if err := add(f.name, f.words, fig, err); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) reportCommands() []*starlark.Command {
	return []*starlark.Command{{
		Name: "report",
		Params: []starlark.Param{
			{Name: "result", Type: "comparison", Doc: "the value of `compare(...)`"},
			{Name: "more", Variadic: true, Type: "rankings or training", Doc: "what else belongs in it: the values of `rankings(...)` and `train(...)`"},
		},
		Doc: `Write the full report of a comparison: numbers, manifest, checklist and citation.

It has the fifteen outputs of a rigorous evaluation of a search phase, each with its numbers or
with why they are unknown and what would give them: percentiles against the exact null, three
baselines, tests with effect sizes first, ranks and ties, rankings by shared weights (of
rankings(...)), regret as the search goes on, variance over searches and over trainings apart (of a
comparison of trainings), cost in device-hours, conditions, every run with its state. Then the
manifest, the checklist of Lindauer and Hutter as far as it can be filled in, and BibTeX. Oracle
searches, reduced protocols and unequal conditions are marked on top.

A report is of the comparison as it was made. .save(...) writes it as a page with its figures, as
Markdown with the figures beside it, or as JSON with every number unrounded.

    r = report(compare(found, drawn, by=truth.metric("test")))
    r.save("report.html")
    r.tables["percentiles"].sort("mean", reverse=True)`,
		Run: e.runReport,
	}}
}

func (e *Env) runReport(c *starlark.Call) (lib.Value, error) {
	result, ok := c.Value("result").(*comparisonValue)
	if !ok {
		return nil, named(c, "TypeError", "result is a %s: give the value of compare(...)", c.Value("result").Type())
	}
	in := report.Input{Comparison: result.cmp, Loaded: c.LoadedFiles(), Made: time.Now()}
	for i, v := range c.Value("more").(lib.Tuple) {
		switch v := v.(type) {
		case *rankingsValue:
			in.Rankings = append(in.Rankings, v.ev)
		case *trainingValue:
			in.Trainings = append(in.Trainings, v.training)
		case *comparisonValue:
			return nil, named(c, "ValueError", "argument %d is a second comparison: a report has one; give compare(...) all groups", i+2)
		default:
			return nil, named(c, "TypeError", "argument %d is a %s: after the comparison come values of rankings(...) and train(...)", i+2, v.Type())
		}
	}
	v := &reportValue{unhashable: unhashable{"report"}, env: e}
	var err error
	if v.report, err = report.Make(in); err != nil {
		return nil, c.Errorf("%w", err)
	}
	if err := v.draw(in); err != nil && !errors.Is(err, errNothingToDraw) {
		return nil, c.Errorf("%w", err)
	}
	return v, nil
}
