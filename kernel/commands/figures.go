package commands

import (
	"encoding/base64"
	"fmt"
	"html"
	"slices"
	"strings"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/space"
	"evalnas/plotting"
)

// pngScale is pixels a CSS pixel, enough for sharp displays.
const pngScale = 2

// maxFallback is the height in CSS pixels up to which figures carry a PNG too.
const maxFallback = 4000

// figureValue is a figure in a cell.
type figureValue struct {
	immutable
	unhashable
	fig *plotting.Figure
}

func (f *figureValue) String() string { return f.fig.Description() }
func (f *figureValue) Type() string   { return "figure" }
func (f *figureValue) Bundle() (*kernel.Bundle, error) {
	return figureBundle(f.fig, f.fig.Description())
}

func figureOf(fig *plotting.Figure, err error) (lib.Value, error) {
	if err != nil {
		return nil, err
	}
	if fig == nil {
		return lib.None, nil
	}
	return &figureValue{unhashable: unhashable{"figure"}, fig: fig}, nil
}

// figureStyle tells the images of a page which theme it has. JupyterLab shows SVG as an
// image, into which no style of the page reaches but the element's color-scheme, which
// the image's prefers-color-scheme follows. Paper is light.
const figureStyle = `<style>img.evalnas-figure{color-scheme:light;max-width:100%;height:auto}` +
	`[data-jp-theme-light="false"] img.evalnas-figure,.vscode-dark img.evalnas-figure{color-scheme:dark}` +
	`@media print{img.evalnas-figure.evalnas-figure{color-scheme:light!important}}</style>`

// imageOf is a figure as an image of a page, in the theme of that: two SVG documents in one
// would share their ids.
func imageOf(name string, fig *plotting.Figure) (string, error) {
	svg, err := fig.In(plotting.Adaptive).SVG()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`%s<img class="evalnas-figure" alt="%s" src="data:image/svg+xml;base64,%s"/>`,
		figureStyle, html.EscapeString(name), base64.StdEncoding.EncodeToString(svg)), nil
}

// figureBundle carries a figure as HTML, which follows the theme of the page, as SVG and,
// for what cannot show these, as PNG.
func figureBundle(fig *plotting.Figure, text string) (*kernel.Bundle, error) {
	svg, err := fig.SVG()
	if err != nil {
		return nil, err
	}
	image, err := imageOf(fig.Description(), fig)
	if err != nil {
		return nil, err
	}
	b := &kernel.Bundle{Data: map[string]any{"text/html": image, "image/svg+xml": string(svg), "text/plain": text}}
	width, height := fig.Size()
	if height > maxFallback { // hundreds of groups: the SVG has to do
		return b, nil
	}
	png, err := fig.PNG(pngScale)
	if err != nil {
		return nil, err
	}
	b.Data["image/png"] = base64.StdEncoding.EncodeToString(png)
	b.Metadata = map[string]any{"image/png": map[string]any{"width": width, "height": height}}
	return b, nil
}

// lightTheme is that of saved figures where none is named.
const lightTheme = "light"

// encodeFigure is a figure as a file with an ending, .svg or .png, in a theme.
func encodeFigure(fig *plotting.Figure, ext, theme string) ([]byte, error) {
	t, err := plotting.ThemeOf(theme)
	if err != nil {
		return nil, err
	}
	if ext == ".svg" {
		return fig.In(t).SVG()
	}
	if t == plotting.Adaptive {
		return nil, fmt.Errorf("theme %q is for .svg: a .png is light or dark", theme)
	}
	return fig.In(t).PNG(pngScale)
}

// archBundle draws an architecture: a NASBench-101 cell as one figure, the two
// cells of a genotype side by side.
func archBundle(a space.Arch) (*kernel.Bundle, error) {
	switch a := a.(type) {
	case *space.Cell:
		fig, err := plotting.Cell(plotting.CellData{
			Title: "NASBench-101 cell " + shortHash(a.Hash()), Subtitle: costText(a), Matrix: a.Matrix(), Ops: a.Ops(),
		})
		if err != nil {
			return nil, err
		}
		return figureBundle(fig, a.String())
	case *space.Genotype:
		return genotypeBundle(a)
	case *space.NB201Cell:
		return nb201Bundle(a)
	case *space.ChoiceArch:
		return choiceBundle(a), nil
	}
	return nil, fmt.Errorf("%T has no drawing", a)
}

// costText is empty where nothing could be counted.
func costText(a space.Arch) string {
	if a.Params() == 0 {
		return ""
	}
	return fmt.Sprintf("%s parameters, %s multiply-adds", count(a.Params()), count(a.FLOPs()))
}

func genotypeBundle(g *space.Genotype) (*kernel.Bundle, error) {
	var markup strings.Builder
	for _, c := range []struct {
		name string
		cell space.DARTSCell
	}{{"normal cell", g.Normal()}, {"reduction cell", g.Reduce()}} {
		fig, err := plotting.Genotype(genotypeData(c.name+" "+shortHash(g.Hash()), costText(g), c.cell))
		if err != nil {
			return nil, err
		}
		image, err := imageOf(c.name, fig)
		if err != nil {
			return nil, err
		}
		markup.WriteString(image)
	}
	return htmlBundle(markup.String(), g.Literal()), nil
}

func genotypeData(title, subtitle string, c space.DARTSCell) plotting.GenotypeData {
	d := plotting.GenotypeData{Title: title, Subtitle: subtitle, Inputs: []string{"c_{k-2}", "c_{k-1}"}}
	state := func(i int) string {
		if i < len(d.Inputs) {
			return d.Inputs[i]
		}
		return fmt.Sprint(i - len(d.Inputs))
	}
	for i := range c.Nodes() {
		d.Nodes = append(d.Nodes, fmt.Sprint(i))
	}
	for i, e := range c.Edges {
		d.Edges = append(d.Edges, plotting.GenotypeEdge{From: state(e.Input), To: fmt.Sprint(c.NodeOf(i)), Op: e.Op})
	}
	for _, i := range c.Concat {
		d.Concat = append(d.Concat, state(i))
	}
	return d
}

// figureMaker draws a comparison; it returns nil where there is nothing to
// draw.
type figureMaker func(*nasapi.Comparison) (*plotting.Figure, error)

// versusFigure shows every seed's result over the distribution of the space.
func versusFigure(c *nasapi.Comparison) (*plotting.Figure, error) {
	factor, unit := scaleOf(c.By)
	data := plotting.SearchVersusRandomData{
		Title:         "Search against random sampling",
		Subtitle:      fmt.Sprintf("%s, one point a seed", c.Space),
		Metric:        metricLabel(c.Metric, unit),
		Scale:         factor,
		LowerIsBetter: c.By.Minimise,
		Space:         c.SpaceValues(),
		SpaceName:     c.Space,
	}
	for _, g := range c.Rows {
		if g.Values == nil {
			continue
		}
		group := plotting.SeedGroup{Name: g.Name, Random: g.Kind == nasapi.Drawn || g.Policy == "random", Oracle: g.Oracle}
		for _, s := range g.Seeds {
			if s.Value != nil {
				group.Values = append(group.Values, *s.Value)
			}
		}
		if g.Percentiles != nil {
			group.Note = "mean percentile " + percentileText(g.Percentiles.Mean, 1)
		}
		data.Groups = append(data.Groups, group)
	}
	if len(data.Groups) == 0 {
		return nil, nil
	}
	if coincide(c) {
		data.Caption = "Seeds with equal results share a point"
	}
	data.Caption = withMarks(c, data.Caption)
	if c.Oracle {
		data.Watermark = oracleWatermark
	}
	return plotting.SearchVersusRandom(data)
}

// coincide says whether two runs of a group have the same value.
func coincide(c *nasapi.Comparison) bool {
	for _, g := range c.Rows {
		seen := map[float64]bool{}
		for _, s := range g.Seeds {
			if s.Value == nil {
				continue
			}
			if seen[*s.Value] {
				return true
			}
			seen[*s.Value] = true
		}
	}
	return false
}

// anytimeFigure shows the final evaluation of the incumbents as the searches
// went on.
func anytimeFigure(c *nasapi.Comparison) (*plotting.Figure, error) {
	return progressFigure(c, false, plotting.Evaluations)
}

// regretFigure is the same as the distance to the best of the space, on a logarithmic axis;
// nil where that is not known.
func regretFigure(c *nasapi.Comparison) (*plotting.Figure, error) {
	if c.Best == nil {
		return nil, nil
	}
	return progressFigure(c, true, plotting.Evaluations)
}

// clockFigure is regretFigure, or anytimeFigure where the best is not known, against the
// simulated seconds of training; nil where no table has told them.
func clockFigure(c *nasapi.Comparison) (*plotting.Figure, error) {
	return progressFigure(c, c.Best != nil, plotting.Seconds)
}

func progressFigure(c *nasapi.Comparison, regret bool, x plotting.Progress) (*plotting.Figure, error) {
	factor, unit := scaleOf(c.By)
	data := plotting.AnytimeData{
		Title:         "What the incumbent is worth as the search goes on",
		Regret:        regret,
		Subtitle:      fmt.Sprintf("%s, median and inter-quartile range over seeds", c.Space),
		Metric:        metricLabel(c.Metric, unit),
		Scale:         factor,
		LowerIsBetter: c.By.Minimise,
		Optimum:       c.Best,
		X:             x,
	}
	for _, g := range c.Rows {
		runs, err := c.Incumbents(g.Name)
		if err != nil {
			return nil, err
		}
		if x == plotting.Seconds {
			runs = slices.DeleteFunc(runs, func(r nasapi.IncumbentRun) bool { return r.Seconds <= 0 })
		}
		if len(runs) == 0 {
			continue
		}
		group := plotting.TraceGroup{Name: g.Name, Random: g.Policy == "random", Oracle: g.Oracle}
		for _, r := range runs {
			t := plotting.Trace{End: float64(r.Evaluations)}
			if x == plotting.Seconds {
				t.End = r.Seconds
			}
			for _, p := range r.Points {
				at := float64(p.Evaluations)
				if x == plotting.Seconds {
					at = p.Seconds
				}
				t.Evaluations, t.Values = append(t.Evaluations, at), append(t.Values, p.Value)
			}
			group.Runs = append(group.Runs, t)
		}
		data.Groups = append(data.Groups, group)
	}
	if len(data.Groups) == 0 {
		return nil, nil
	}
	for _, g := range c.Rows {
		if g.Kind == nasapi.Searched && g.Objective != c.By.String() {
			data.Caption = "The incumbent is the best so far by the search's own objective, its value that of the final evaluation: so a curve may fall"
		}
	}
	data.Caption = withMarks(c, data.Caption)
	if c.Oracle {
		data.Watermark = oracleWatermark
	}
	return plotting.Anytime(data)
}

// withMarks adds to a caption the marks of the comparison but the oracle's, which is a
// watermark.
func withMarks(c *nasapi.Comparison, caption string) string {
	var parts []string
	if caption != "" {
		parts = append(parts, caption)
	}
	for _, m := range c.Marks() {
		if m != nasapi.OracleMark {
			parts = append(parts, strings.TrimSuffix(m, "."))
		}
	}
	return strings.Join(parts, ". ")
}

func metricLabel(metric, unit string) string {
	if unit == "" {
		return metric
	}
	return fmt.Sprintf("%s (%s)", metric, unit)
}

func figureCommands() []*starlark.Command {
	return []*starlark.Command{{
		Name: "histogram",
		Params: []starlark.Param{
			{Name: "objective", Type: "objective", Doc: "what is counted, such as `truth.metric(\"test\")`"},
			{Name: "space", Type: "space", Doc: "a space that can be listed"},
			{Name: "mark", KeywordOnly: true, Default: lib.None, Type: "architecture or list of them", Doc: "architectures to mark; of more than 24 the names are left out"},
		},
		Doc: `Draw how the values of an objective are distributed over a whole space.

    histogram(truth.metric("test"), space, mark=space.sample(1268))`,
		Run: runHistogram,
	}}
}

func runHistogram(c *starlark.Call) (lib.Value, error) {
	obj, err := objectiveArg(c, "objective")
	if err != nil {
		return nil, err
	}
	sp, err := finiteArg(c, "space")
	if err != nil {
		return nil, err
	}
	values, err := obj.Column(sp)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	factor, unit := scaleOf(obj.Spec())
	data := plotting.SpaceHistogramData{
		Title:  fmt.Sprintf("%s architectures of %s", count(len(values)), sp),
		Metric: metricLabel(obj.Spec().Describe(), unit), Scale: factor, Values: values, LowerIsBetter: obj.Spec().Minimise,
	}
	if !c.IsNone("mark") {
		archs, err := archsOf(c.Value("mark"))
		if err != nil {
			return nil, named(c, "TypeError", "mark: %w", err)
		}
		for _, a := range archs {
			v, err := obj.Value(a.found.Arch)
			if err != nil {
				return nil, c.Errorf("mark: %w", err)
			}
			policy := a.found.Origin.Policy
			data.Marks = append(data.Marks, plotting.Mark{Name: a.label(), Value: v, Random: policy == nasapi.SampleRandomPolicy || policy == "random"})
			if a.found.Origin.Oracle {
				data.Watermark = oracleWatermark
			}
		}
	}
	return figureOf(plotting.SpaceHistogram(data))
}
