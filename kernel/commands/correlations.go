package commands

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/table"
	"evalnas/plotting"
)

// correlationValue is the answer of correlate(...).
type correlationValue struct {
	immutable
	unhashable
	env *Env
	c   *nasapi.Correlation
}

var _ lib.HasAttrs = (*correlationValue)(nil)

func (r *correlationValue) Type() string   { return "correlation" }
func (r *correlationValue) String() string { return correlationTable(r.c).text() }

// Bundle is the table, with every number in it.
func (r *correlationValue) Bundle() (*kernel.Bundle, error) {
	b := correlationTable(r.c).bundle()
	raw, err := r.c.JSON()
	if err != nil {
		return nil, err
	}
	b.Data[nasapi.CorrelationMIME] = json.RawMessage(raw)
	return b, nil
}

func (r *correlationValue) perScore(get func(*nasapi.CorrelationRow) lib.Value) (lib.Value, error) {
	d := lib.NewDict(len(r.c.Rows))
	for i := range r.c.Rows {
		setKey(d, r.c.Rows[i].Name, get(&r.c.Rows[i]))
	}
	return d, nil
}

var correlationAttrs = attrTable[*correlationValue]{
	{"tau", "dict of score to Kendall's tau-b with the truth, None where it is undefined", func(r *correlationValue) (lib.Value, error) {
		return r.perScore(func(c *nasapi.CorrelationRow) lib.Value { return number2(c.Tau) })
	}},
	{"p", "dict of score to the two-sided chance of a tau as far from 0 without any association", func(r *correlationValue) (lib.Value, error) {
		return r.perScore(func(c *nasapi.CorrelationRow) lib.Value { return number2(c.P) })
	}},
	{"spearman", "dict of score to Spearman's correlation with the truth", func(r *correlationValue) (lib.Value, error) {
		return r.perScore(func(c *nasapi.CorrelationRow) lib.Value { return number2(c.Spearman) })
	}},
	{"sparse_tau", "dict of score to tau-b with the truth in bins of 0.1 points", func(r *correlationValue) (lib.Value, error) {
		return r.perScore(func(c *nasapi.CorrelationRow) lib.Value { return number2(c.SparseTau) })
	}},
	{"table", "list of dicts, one a score, with every number", func(r *correlationValue) (lib.Value, error) {
		v, err := toValue(r.c.Rows)
		if err != nil {
			return nil, err
		}
		return shownList{v.(*lib.List), correlationTable(r.c), r.env}, nil
	}},
	{"n", "how many architectures were compared", func(r *correlationValue) (lib.Value, error) { return lib.MakeInt(r.c.Pool), nil }},
	{"truth", "what the scores are held against, in words", func(r *correlationValue) (lib.Value, error) { return lib.String(r.c.Metric), nil }},
	{"figure", "figure: rank by each score against true rank", func(r *correlationValue) (lib.Value, error) { return figureOf(correlationFigure(r.c)) }},
	{"epochs", "figure: tau against epochs of training, of the scores that are accuracies after some; None where none is", func(r *correlationValue) (lib.Value, error) {
		fig, err := epochsFigure(r.c)
		return figureOf(fig, err)
	}},
	{"save", "`.save(path)` writes .csv (a line a score), .json, .md, .svg or .png (the figure; `figure=\"epochs\"` for the other, `theme=\"dark\"` for dark pages)", (*correlationValue).saveMethod},
}

func (r *correlationValue) Attr(name string) (lib.Value, error) { return correlationAttrs.get(r, name) }
func (r *correlationValue) AttrNames() []string                 { return correlationAttrs.names() }
func (r *correlationValue) AttrDoc(name string) string          { return correlationAttrs.doc(name) }
func (r *correlationValue) Doc() string {
	return "How well scores order architectures as the truth does.\n\n" + correlationAttrs.list()
}

func (r *correlationValue) saveMethod() (lib.Value, error) {
	return method("save", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var path string
		figure, theme := "ranks", lightTheme
		if err := lib.UnpackArgs("save", args, kwargs, "path", &path, "figure?", &figure, "theme?", &theme); err != nil {
			return nil, err
		}
		data, err := r.encode(strings.ToLower(filepath.Ext(path)), figure, theme)
		if err != nil {
			return nil, fmt.Errorf("save %s: %w", path, err)
		}
		return lib.None, writeFile(r.env.path(path), data)
	})
}

func (r *correlationValue) encode(ext, figure, theme string) ([]byte, error) {
	switch ext {
	case ".csv":
		return csvOf(r.c.CSV())
	case ".json":
		return r.c.JSON()
	case ".md":
		return []byte(correlationTable(r.c).markdown()), nil
	case ".svg", ".png":
		make := correlationFigure
		switch figure {
		case "ranks":
		case "epochs":
			make = epochsFigure
		default:
			return nil, unknown("figure", figure, []string{"ranks", "epochs"})
		}
		fig, err := make(r.c)
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

// poolOf says in words what was compared.
func poolOf(c *nasapi.Correlation) string {
	if c.Seed == nil {
		return fmt.Sprintf("all %s architectures of %s", count(c.Pool), c.Space)
	}
	return fmt.Sprintf("%s of the %s architectures of %s, drawn under seed %d", count(c.Pool), count(c.N), c.Space, *c.Seed)
}

func correlationTable(c *nasapi.Correlation) *tableView {
	t := newTable("Scores against the truth: "+poolOf(c),
		column{"score", left}, column{"what it is", prose}, column{"tau-b", right}, column{"p", right}, column{"Spearman", right}, column{"sparse tau", right},
		column{"top 10, percentile", right}, column{"overlap of 10", right})
	for i := range c.Rows {
		r := &c.Rows[i]
		top := r.TopOf(10)
		p, percentile, overlap := "", "", ""
		if r.P.Defined {
			p = probability(r.P.Value)
		}
		if top.Median.Defined {
			percentile = fmt.Sprintf("%.1f", top.Median.Value)
		}
		if top.Overlap.Defined {
			overlap = fmt.Sprintf("%.2f", top.Overlap.Value)
		}
		t.add(r.Name, r.What, tauText(r.Tau), p, tauText(r.Spearman), tauText(r.SparseTau), percentile, overlap)
		if r.Why != "" {
			t.below("undefined: "+r.Why, false)
		}
	}
	t.note("The truth is %s. Kendall's tau-b with its two-sided p, Spearman's correlation, tau-b with the truth in bins of 0.1 points, the median true percentile in the space of the best ten by score (of equals the first by hash), and the share of the true best ten among them.", c.Metric)
	t.dropEmptyColumns("p", "Spearman", "sparse tau", "top 10, percentile", "overlap of 10")
	return t
}

func correlationFigure(c *nasapi.Correlation) (*plotting.Figure, error) {
	data := plotting.RankingDisorderData{
		Title: "Rank by score against true rank", By: "score", Subtitle: fmt.Sprintf("%s; the truth is %s", poolOf(c), c.Metric),
	}
	for i := range c.Rows {
		score, truth := c.Ranks(i)
		data.Panels = append(data.Panels, plotting.DisorderPanel{Name: c.Rows[i].Name, Shared: score, True: truth, Tau: c.Rows[i].Tau.OrNaN()})
	}
	return plotting.RankingDisorder(data)
}

// epochsFigure shows the scores that are accuracies after some epochs of training as lines
// over the others; nil where there are none.
func epochsFigure(c *nasapi.Correlation) (*plotting.Figure, error) {
	data := plotting.CorrelationAgainstEpochsData{
		Title: "How soon accuracies rank as the truth does", Subtitle: fmt.Sprintf("%s; the truth is %s", poolOf(c), c.Metric),
	}
	rows := slices.Clone(c.Rows)
	slices.SortStableFunc(rows, func(a, b nasapi.CorrelationRow) int { return cmp.Compare(a.Score.Epochs, b.Score.Epochs) })
	at := map[objective.Spec]int{}
	for _, r := range rows {
		if r.Score.Epochs == 0 {
			if r.Tau.Defined {
				data.Baselines = append(data.Baselines, plotting.TauLine{Name: r.Name, Tau: r.Tau.Value})
			}
			continue
		}
		metric := r.Score
		metric.Epochs = 0
		i, known := at[metric]
		if !known {
			i = len(data.Lines)
			at[metric] = i
			data.Lines = append(data.Lines, plotting.CorrelationLine{Name: metric.Label() + ", " + table.RepeatText(metric.Repeat)})
		}
		line := &data.Lines[i]
		line.Epochs, line.Taus = append(line.Epochs, float64(r.Score.Epochs)), append(line.Taus, r.Tau.OrNaN())
	}
	if len(data.Lines) == 0 {
		return nil, nil
	}
	return plotting.CorrelationAgainstEpochs(data)
}

func (e *Env) correlationCommands() []*starlark.Command {
	return []*starlark.Command{{
		Name: "correlate",
		Params: []starlark.Param{
			{Name: "scores", Type: "objective, list or dict of them", Doc: "what orders architectures: `params()`, `{\"after 4 epochs\": truth.metric(\"valid\", epochs=4)}`"},
			{Name: "truth", Type: "objective", Doc: "what they are held against, such as `truth.metric(\"test\")`"},
			{Name: "space", Type: "space", Doc: "a space that can be listed"},
			{Name: "n", KeywordOnly: true, Default: lib.None, Type: "int", Doc: "compare so many distinct architectures, drawn uniformly, instead of all"},
			{Name: "seed", KeywordOnly: true, Default: lib.MakeInt(0), Type: "int", Doc: "of the draw"},
		},
		Doc: `Ask how well scores that cost little rank architectures as the truth does.

For each score: Kendall's tau-b with its p, Spearman's correlation, tau-b with the truth in bins
of 0.1 points (sparse tau), and what the ten best by score are truly worth. This is what a ranking by
shared weights has to beat: on the 7-vertex space the number of parameters alone has a tau of
0.30 with the test accuracy, and the paper reports 0.195 of its shared weights.

    c = correlate([params(), flops()], truth.metric("test"), space)
    c.tau["params()"]
    c.figure`,
		Run: e.runCorrelate,
	}}
}

func (e *Env) runCorrelate(c *starlark.Call) (lib.Value, error) {
	scores, err := scoresArg(c)
	if err != nil {
		return nil, err
	}
	truth, err := objectiveArg(c, "truth")
	if err != nil {
		return nil, err
	}
	sp, err := finiteArg(c, "space")
	if err != nil {
		return nil, err
	}
	o := nasapi.CorrelateOptions{Scores: scores, Truth: truth, Space: sp}
	if !c.IsNone("n") {
		if o.Draws, err = c.Int("n"); err != nil {
			return nil, err
		}
		if o.Draws < 2 {
			return nil, c.Errorf("n is %d: 2 or more architectures are compared", o.Draws)
		}
	}
	seed, err := c.Int("seed")
	if err != nil {
		return nil, err
	}
	o.Seed = int64(seed)
	result, err := nasapi.Correlate(o)
	if err != nil {
		return nil, starlark.Named("ValueError", err)
	}
	return &correlationValue{unhashable: unhashable{"correlation"}, env: e, c: result}, nil
}

// scoresArg reads one objective, or several with or without names.
func scoresArg(c *starlark.Call) ([]nasapi.Score, error) {
	wrong := func(v lib.Value) error {
		return named(c, "TypeError", "scores: %s is not an objective: give params(), flops(), a table's metric, or a list or dict of such", v.Type())
	}
	var out []nasapi.Score
	add := func(name string, v lib.Value) error {
		o, ok := v.(*objectiveValue)
		if !ok {
			return wrong(v)
		}
		if name == "" {
			name = scoreName(o.obj.Spec())
		}
		for _, s := range out {
			if s.Name == name {
				return c.Errorf("scores: two are called %q: name them, {\"one\": ..., \"other\": ...}", name)
			}
		}
		out = append(out, nasapi.Score{Name: name, By: o.obj})
		return nil
	}
	switch v := c.Value("scores").(type) {
	case *lib.Dict:
		for _, item := range v.Items() {
			name, ok := lib.AsString(item[0])
			if !ok {
				return nil, named(c, "TypeError", "scores: the name %s is not a string", item[0])
			}
			if err := add(name, item[1]); err != nil {
				return nil, err
			}
		}
	case *lib.List, lib.Tuple:
		for x := range lib.Elements(v.(lib.Iterable)) {
			if err := add("", x); err != nil {
				return nil, err
			}
		}
	default:
		if err := add("", v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// scoreName is what a score is called that has no name.
func scoreName(s objective.Spec) string {
	name := s.Label()
	if s.Kind == objective.Table && s.Epochs > 0 {
		name = fmt.Sprintf("%s, %d epochs", name, s.Epochs)
	}
	return name
}
