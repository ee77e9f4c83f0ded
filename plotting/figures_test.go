package plotting

import (
	"bytes"
	"fmt"
	"image/png"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// skewedSpace looks like the accuracies of a space: a broad hump with a sharp
// end, a few failures at 0.1, on a lattice of 1/9984.
func skewedSpace(n int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, n)
	for i := range out {
		v := 0.945 - 0.02*r.ExpFloat64() - 0.01*r.Float64()
		if r.IntN(150) == 0 {
			v = 0.1
		}
		out[i] = math.Round(max(v, 0.1)*9984) / 9984
	}
	return out
}

func draws(space []float64, n, k int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 2))
	out := make([]float64, n)
	for i := range out {
		for range k {
			out[i] = max(out[i], space[r.IntN(len(space))])
		}
	}
	return out
}

func versusSample() SearchVersusRandomData {
	space := skewedSpace(20_000, 1)
	return SearchVersusRandomData{
		Title: "Does the search beat random sampling?", Subtitle: "a made-up space, ten seeds a policy",
		Metric: "test accuracy (%)", Scale: 100, Space: space, SpaceName: "made-up space",
		Groups: []SeedGroup{
			{Name: "evolution", Values: draws(space, 10, 5, 3), Note: "88.1st percentile"},
			{Name: "local_search", Values: draws(space, 10, 4, 4)},
			{Name: "enas", Values: draws(space, 10, 1, 5)},
			{Name: "random search, k = 1,000", Values: draws(space, 10, 3, 6)},
			{Name: "random", Values: append(draws(space, 9, 1, 7), 0.1), Random: true},
			{Name: "random, ENAS encoding", Values: draws(space, 10, 1, 8), Random: true},
		},
	}
}

func mustFigure(t testing.TB) func(*Figure, error) *Figure {
	return func(f *Figure, err error) *Figure {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

// discs are the centres of a group's points (rings repeat them).
func discs(t testing.TB, doc svgDoc, group string) []xy {
	var out []xy
	for _, e := range doc.find("circle", "group", group) {
		c := xy{e.num(t, "cx"), e.num(t, "cy")}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

func TestVersusPointsStandAtTheirValues(t *testing.T) {
	for _, lower := range []bool{false, true} {
		data := versusSample()
		data.LowerIsBetter = lower
		if lower {
			flip := func(v []float64) []float64 {
				out := slices.Clone(v)
				for i := range out {
					out[i] = 1 - out[i]
				}
				return out
			}
			data.Space = flip(data.Space)
			for i := range data.Groups {
				data.Groups[i].Values = flip(data.Groups[i].Values)
			}
		}
		doc := parseSVG(t, mustFigure(t)(SearchVersusRandom(data)))
		value := doc.axisOf(t, "x-axis", "x", false)
		outside := 0
		for _, g := range data.Groups {
			var got, want []float64
			for _, c := range discs(t, doc, g.Name) {
				got = append(got, value(c.x))
			}
			for _, v := range g.Values {
				if v == 0.1 || v == 0.9 {
					outside++
					continue
				}
				want = append(want, 100*v)
			}
			slices.Sort(got)
			slices.Sort(want)
			if len(got) != len(want) {
				t.Errorf("%s: %d points drawn, %d lie on the axis", g.Name, len(got), len(want))
				continue
			}
			for i := range got {
				near(t, g.Name, got[i], want[i], 0.01)
			}
		}
		if caption := doc.find("text", "caption", ""); !strings.Contains(svgDoc(caption).text(), fmt.Sprintf("%d of 60 results", outside)) {
			t.Errorf("the caption does not count the %d results outside: %s", outside, svgDoc(caption).text())
		}
		for _, want := range []string{data.Title, data.Metric, "20,000 architectures", "percentile of the space", "99", "88.1st percentile"} {
			if !strings.Contains(doc.text(), want) {
				t.Errorf("%q is not in the figure", want)
			}
		}
	}
}

func TestVersusPointsDoNotCover(t *testing.T) {
	data := versusSample()
	doc := parseSVG(t, mustFigure(t)(SearchVersusRandom(data)))
	for _, g := range data.Groups {
		pts := discs(t, doc, g.Name)
		for i, a := range pts {
			for _, b := range pts[:i] {
				if d := math.Hypot(a.x-b.x, a.y-b.y); d < 2*dotRadius-0.1 {
					t.Errorf("%s: two points %.1f apart", g.Name, d)
				}
			}
		}
	}
}

// The filled distribution is the histogram of the space: its area over each
// half of the axis is as the counts are.
func TestVersusDistribution(t *testing.T) {
	data := versusSample()
	doc := parseSVG(t, mustFigure(t)(SearchVersusRandom(data)))
	value := doc.axisOf(t, "x-axis", "x", false)
	shape := doc.find("path", "space", data.SpaceName)[0].points(t)
	base := shape[0].y
	var lowArea, allArea, lowCount, allCount float64
	lo, hi := value(shape[0].x), value(shape[len(shape)-1].x)
	for i := 1; i+1 < len(shape); i += 2 {
		area := (shape[i+1].x - shape[i].x) * (base - shape[i].y)
		allArea += area
		if value(shape[i+1].x) < 92 {
			lowArea += area
		}
	}
	for _, v := range data.Space {
		if 100*v < lo || 100*v > hi {
			continue
		}
		allCount++
		if 100*v < 92 {
			lowCount++
		}
	}
	near(t, "share below 92", lowArea/allArea, lowCount/allCount, 0.01)
}

func TestWatermark(t *testing.T) {
	data := versusSample()
	if doc := parseSVG(t, mustFigure(t)(SearchVersusRandom(data))); len(doc.find("text", "watermark", "")) != 0 {
		t.Error("a watermark without an oracle")
	}
	data.Groups[0].Oracle = true
	doc := parseSVG(t, mustFigure(t)(SearchVersusRandom(data)))
	marks := doc.find("text", "watermark", "")
	if len(marks) != 2 || marks[0].text != DefaultWatermark || marks[1].text != "ORACLE" {
		t.Errorf("watermarks of an oracle: %+v", marks)
	}
	anytime := anytimeSample()
	anytime.Groups[1].Oracle = true
	anytime.Watermark = "ORACLE: mine <&>"
	doc = parseSVG(t, mustFigure(t)(Anytime(anytime)))
	if marks := doc.find("text", "watermark", ""); len(marks) != 2 || marks[0].text != anytime.Watermark {
		t.Errorf("watermarks of an anytime figure: %+v", marks)
	}
}

// trace keeps the changes of a random search.
func trace(space []float64, budget int, boost float64, seed uint64) Trace {
	r := rand.New(rand.NewPCG(seed, 3))
	t := Trace{End: float64(budget)}
	best := 0.0
	for e := 1; e <= budget; e++ {
		for range 1 + int(boost*float64(e)/100) {
			if v := space[r.IntN(len(space))]; v > best {
				best = v
				if n := len(t.Values); n > 0 && t.Evaluations[n-1] == float64(e) {
					t.Values[n-1] = v
				} else {
					t.Evaluations, t.Values = append(t.Evaluations, float64(e)), append(t.Values, v)
				}
			}
		}
	}
	return t
}

func anytimeSample() AnytimeData {
	space := skewedSpace(20_000, 1)
	optimum := slices.Max(space)
	data := AnytimeData{
		Title: "Best cell found so far", Metric: "test accuracy (%)", Scale: 100, Optimum: &optimum,
	}
	for i, name := range []string{"evolution", "local_search", "enas", "random search"} {
		g := TraceGroup{Name: name, Random: i == 3}
		for seed := range uint64(10) {
			g.Runs = append(g.Runs, trace(space, 1000, float64(3-i), 100*uint64(i)+seed))
		}
		data.Groups = append(data.Groups, g)
	}
	return data
}

// medianAt is the median of a group's incumbents after x evaluations.
func medianAt(g TraceGroup, x float64) float64 {
	var values []float64
	for _, r := range g.Runs {
		v := math.NaN()
		for i := range r.Values {
			if r.Evaluations[i] <= x {
				v = r.Values[i]
			}
		}
		values = append(values, v)
	}
	slices.Sort(values)
	return (values[4] + values[5]) / 2
}

func TestAnytimeCurves(t *testing.T) {
	data := anytimeSample()
	for _, regret := range []bool{false, true} {
		data.Regret = regret
		doc := parseSVG(t, mustFigure(t)(Anytime(data)))
		evals := doc.axisOf(t, "x-axis", "x", true)
		value := doc.axisOf(t, "y-axis", "y", regret)
		for _, g := range data.Groups {
			curve := doc.find("path", "median", g.Name)[0].points(t)
			near(t, "end of the curve", evals(curve[len(curve)-1].x), 1000, 5)
			checked := 0
			for i := 0; i+1 < len(curve); i += 2 {
				mid := evals((curve[i].x + curve[i+1].x) / 2)
				want := 100 * medianAt(g, mid)
				got := value(curve[i].y)
				tol := 0.01
				if regret {
					want = 100**data.Optimum - want
					tol = 0.01*want + 1e-3
				} else if want < 90 {
					continue // may be clipped
				}
				if curve[i+1].x-curve[i].x < 1 || want == 0 {
					continue // too short to know its evaluation; 0 has a place of its own
				}
				near(t, fmt.Sprintf("%s after %.1f", g.Name, mid), got, want, tol)
				checked++
			}
			if checked < 5 {
				t.Errorf("%s: only %d steps checked", g.Name, checked)
			}
		}
		if !regret {
			line := doc.find("path", "optimum", "")[0].points(t)
			near(t, "optimum", value(line[0].y), 100**data.Optimum, 0.01)
			if !strings.Contains(doc.text(), "optimum of the space 94.") {
				t.Error("the optimum has no label")
			}
		}
		if n := len(doc.find("text", "legend", "")); n != 8 {
			t.Errorf("%d texts in the legend, want 8", n)
		}
	}
}

// Many groups make the panel higher rather than the legend illegible.
func TestAnytimeLegendHasRoom(t *testing.T) {
	data := anytimeSample()
	for i := range 12 {
		g := data.Groups[i%4]
		g.Name = fmt.Sprintf("policy %d", i)
		data.Groups = append(data.Groups, g)
	}
	doc := parseSVG(t, mustFigure(t)(Anytime(data)))
	var ys []float64
	for _, e := range doc.find("text", "legend", "") {
		ys = append(ys, e.num(t, "y"))
	}
	slices.Sort(ys)
	for i := 1; i < len(ys); i++ {
		if ys[i]-ys[i-1] < tickText.size {
			t.Errorf("two lines of the legend are %.1f apart", ys[i]-ys[i-1])
		}
	}
}

// A figure may be drawn by several goroutines at once, with the same result.
func TestConcurrentDrawing(t *testing.T) {
	f := mustFigure(t)(Anytime(anytimeSample()))
	want, err := f.SVG()
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for range 4 {
		go func() {
			svg, err := f.SVG()
			if err == nil && !bytes.Equal(svg, want) {
				err = fmt.Errorf("another document")
			}
			if err == nil {
				_, err = f.PNG(1)
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestAnytimeZeroRegret(t *testing.T) {
	optimum := 0.9
	data := AnytimeData{Regret: true, Optimum: &optimum, Groups: []TraceGroup{
		{Name: "hits", Runs: []Trace{{Evaluations: []float64{1, 10}, Values: []float64{0.8, 0.9}, End: 100}}},
	}}
	doc := parseSVG(t, mustFigure(t)(Anytime(data)))
	if !slices.ContainsFunc(doc.find("text", "y-axis", ""), func(e svgElement) bool { return e.text == "0" }) {
		t.Error("the axis does not show 0")
	}
	data.Groups[0].Runs[0].Values = []float64{0.9, 0.9} // there from the start
	parseSVG(t, mustFigure(t)(Anytime(data)))
}

func TestAnytimeThinsLongTraces(t *testing.T) {
	r := Trace{}
	for i := range 200_000 {
		r.Evaluations, r.Values = append(r.Evaluations, float64(i+1)), append(r.Values, float64(i))
	}
	f := mustFigure(t)(Anytime(AnytimeData{Groups: []TraceGroup{{Name: "long", Runs: []Trace{r, r, r}}}}))
	raw, err := f.SVG()
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 100_000 {
		t.Errorf("%d bytes for one curve", len(raw))
	}
	if !strings.Contains(f.Description(), "median 199999 after 200,000") && !strings.Contains(f.Description(), "199,999") {
		t.Errorf("the last value was lost: %s", f.Description())
	}
}

func TestHistogramMarks(t *testing.T) {
	data := SpaceHistogramData{
		Title: "A space", Metric: "test accuracy (%)", Scale: 100, Values: skewedSpace(50_000, 2),
		Marks: []Mark{{Name: "evolution", Value: 0.9432}, {Name: "local_search", Value: 0.9421}, {Name: "enas", Value: 0.921},
			{Name: "random", Value: 0.9065, Random: true}, {Name: "failed", Value: 0.1}},
	}
	doc := parseSVG(t, mustFigure(t)(SpaceHistogram(data)))
	value := doc.axisOf(t, "x-axis", "x", false)
	type span struct{ from, to, y float64 }
	var labels []span
	for _, m := range data.Marks {
		line := doc.find("path", "mark", m.Name)[0].points(t)
		if m.Name != "failed" {
			near(t, m.Name, value(line[0].x), 100*m.Value, 0.01)
		}
		e := doc.find("text", "mark", m.Name)[0]
		if want := fmt.Sprintf("%s %.2f", m.Name, 100*m.Value); e.text != want {
			t.Errorf("label %q, want %q", e.text, want)
		}
		x, w := e.num(t, "x"), strongText.width(e.text)
		if e.attr["text-anchor"] == "end" {
			x -= w
		}
		for _, l := range labels {
			if l.y == e.num(t, "y") && x < l.to && l.from < x+w {
				t.Errorf("the label of %s covers another", m.Name)
			}
		}
		labels = append(labels, span{x, x + w, e.num(t, "y")})
		if x < 0 || x+w > figureWidth {
			t.Errorf("the label of %s is cut: %.0f..%.0f", m.Name, x, x+w)
		}
	}
	if got := doc.text(); !strings.Contains(got, "Outside the axis lie") || !strings.Contains(got, "architectures") {
		t.Errorf("texts: %s", got)
	}
}

// Values on a lattice: the bins hold whole steps of it, so a flat distribution
// has a flat histogram.
func TestBinsDoNotBeatAgainstALattice(t *testing.T) {
	var values []float64
	for k := 9000; k < 9450; k++ {
		for range 20 {
			values = append(values, float64(k)/9984)
		}
	}
	d, err := newDistribution("test", values, 100, false)
	if err != nil {
		t.Fatal(err)
	}
	lo, hi := d.clipRange(0)
	h := d.bins(lo, hi, 140)
	total := 0
	for i, c := range h.counts {
		total += c
		if i > 0 && c != 0 && i+2 < len(h.counts) && h.counts[i+1] != 0 && c != h.counts[0] {
			t.Errorf("bin %d holds %d, the first %d", i, c, h.counts[0])
		}
	}
	if total != len(values) {
		t.Errorf("%d of %d values in bins", total, len(values))
	}
}

func allFigures(t testing.TB) map[string]*Figure {
	must := mustFigure(t)
	oracle := versusSample()
	oracle.Groups[0].Oracle = true
	regret := anytimeSample()
	regret.Regret = true
	all := rankingFigures(t)
	maps.Copy(all, map[string]*Figure{
		"versus":      must(SearchVersusRandom(versusSample())),
		"oracle":      must(SearchVersusRandom(oracle)),
		"anytime":     must(Anytime(anytimeSample())),
		"regret":      must(Anytime(regret)),
		"histogram":   must(SpaceHistogram(SpaceHistogramData{Title: "A space", Metric: "accuracy", Values: skewedSpace(5000, 3), Marks: []Mark{{Name: "found", Value: 0.94}}})),
		"cell":        must(Cell(inception)),
		"genotype":    must(Genotype(dartsV2)),
		"correlation": must(CorrelationAgainstEpochs(correlationData(4, 4))),
		"training":    must(TrainingCurves(trainingData(4, 30))),
		"rug":         must(SpaceHistogram(bigHistogramData(5000, 60))),
		"dense":       must(SearchVersusRandom(versusData(5000, 4, 150))),
		"seconds":     must(Anytime(anytimeData(3, 10, true))),
	})
	return all
}

func TestFiguresAreSoundDocuments(t *testing.T) {
	others := allFigures(t)
	for name, f := range allFigures(t) {
		doc := parseSVG(t, f)
		w, h := f.Size()
		root := doc[0]
		if root.attr["width"] != fmt.Sprint(w) || root.attr["height"] != fmt.Sprint(h) || root.attr["viewBox"] != fmt.Sprintf("0 0 %d %d", w, h) {
			t.Errorf("%s: %v does not state %d x %d", name, root.attr, w, h)
		}
		if f.Description() == "" || f.Title() == "" {
			t.Errorf("%s: no title or description", name)
		}
		soundText(t, name, f)
		first, err := f.SVG()
		if err != nil {
			t.Fatal(err)
		}
		again, err := others[name].SVG()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Errorf("%s: the same data gave another document", name)
		}
	}
}

func TestPNG(t *testing.T) {
	f := allFigures(t)["cell"]
	for _, scale := range []float64{0.5, 1, 1.37, 2} {
		raw, err := f.PNG(scale)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := png.DecodeConfig(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if w, h := f.PixelSize(scale); cfg.Width != w || cfg.Height != h {
			t.Errorf("scale %v: %d x %d pixels, PixelSize says %d x %d", scale, cfg.Width, cfg.Height, w, h)
		}
	}
	for _, scale := range []float64{0, -1, 11, math.NaN(), math.Inf(1)} {
		if _, err := f.PNG(scale); err == nil {
			t.Errorf("scale %v was accepted", scale)
		}
	}
}

func TestLargeSpaceStaysSmall(t *testing.T) {
	data := versusSample()
	data.Space = skewedSpace(1_000_000, 9)
	f := mustFigure(t)(SearchVersusRandom(data))
	raw, err := f.SVG()
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 60_000 {
		t.Errorf("%d bytes for a million values", len(raw))
	}
	hist := mustFigure(t)(SpaceHistogram(SpaceHistogramData{Values: data.Space}))
	if raw, err = hist.SVG(); err != nil || len(raw) > 60_000 {
		t.Errorf("%d bytes for a histogram of a million values (%v)", len(raw), err)
	}
}

func TestBadData(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	one := []SeedGroup{{Name: "a", Values: []float64{1}}}
	versus := map[string]SearchVersusRandomData{
		"no groups":  {},
		"no values":  {Groups: []SeedGroup{{Name: "empty"}}},
		"NaN":        {Groups: []SeedGroup{{Name: "a", Values: []float64{1, nan}}}},
		"+Inf":       {Groups: []SeedGroup{{Name: "a", Values: []float64{inf}}}},
		"space":      {Groups: one, Space: []float64{nan}},
		"scale":      {Groups: one, Scale: -1},
		"percentile": {Groups: one, Clip: nan},
	}
	for want, d := range versus {
		if _, err := SearchVersusRandom(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("search versus random: error %v does not mention %q", err, want)
		}
	}
	run := func(x, v []float64, end float64) AnytimeData {
		return AnytimeData{Groups: []TraceGroup{{Name: "g", Runs: []Trace{{Evaluations: x, Values: v, End: end}}}}}
	}
	anytime := map[string]AnytimeData{
		"no groups":    {},
		"no runs":      {Groups: []TraceGroup{{Name: "g"}}},
		"no values":    run(nil, nil, 0),
		"2 evaluation": run([]float64{1, 2}, []float64{1}, 0),
		"NaN":          run([]float64{1}, []float64{nan}, 0),
		"evaluation 0": run([]float64{0}, []float64{1}, 0),
		"ascend":       run([]float64{2, 1}, []float64{1, 2}, 0),
		"ends at 1":    run([]float64{2}, []float64{1}, 1),
		"+Inf":         run([]float64{2}, []float64{1}, inf),
		"optimum":      {Regret: true, Groups: run([]float64{1}, []float64{1}, 0).Groups},
		"begins": {Groups: []TraceGroup{{Name: "g", Runs: []Trace{
			{Evaluations: []float64{1}, Values: []float64{1}, End: 5}, {Evaluations: []float64{9}, Values: []float64{1}}}}}},
	}
	for want, d := range anytime {
		if _, err := Anytime(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("anytime: error %v does not mention %q", err, want)
		}
	}
	hist := map[string]SpaceHistogramData{
		"no values": {},
		"NaN":       {Values: []float64{nan}},
		"mark m":    {Values: []float64{1}, Marks: []Mark{{Name: "m", Value: inf}}},
		"scale":     {Values: []float64{1}, Scale: nan},
		"clipped":   {Values: []float64{1}, Clip: 80},
	}
	for want, d := range hist {
		if _, err := SpaceHistogram(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("histogram: error %v does not mention %q", err, want)
		}
	}
}

// Odd but allowed data give a document, and a PNG.
func TestExtremeData(t *testing.T) {
	opt := 5.0
	figures := map[string]func() (*Figure, error){
		"one value": func() (*Figure, error) {
			return SearchVersusRandom(SearchVersusRandomData{Groups: []SeedGroup{{Name: "a", Values: []float64{0}}}})
		},
		"all equal": func() (*Figure, error) {
			return SearchVersusRandom(SearchVersusRandomData{Space: []float64{3, 3, 3}, Groups: []SeedGroup{{Name: "a", Values: slices.Repeat([]float64{3}, 200)}}})
		},
		"huge and tiny": func() (*Figure, error) {
			return SearchVersusRandom(SearchVersusRandomData{Space: []float64{-1e99, 1e-300, 1e99}, Groups: []SeedGroup{{Name: "a", Values: []float64{1e99, -1e99, 5e-324}}}, LowerIsBetter: true})
		},
		"nearly equal": func() (*Figure, error) {
			return SpaceHistogram(SpaceHistogramData{Values: []float64{1, math.Nextafter(1, 2)}})
		},
		"all outside the space": func() (*Figure, error) {
			return SearchVersusRandom(SearchVersusRandomData{Space: []float64{1, 2, 3}, Groups: []SeedGroup{{Name: "a", Values: []float64{-50, -60}}, {Name: "b", Values: []float64{90}}}})
		},
		"odd names": func() (*Figure, error) {
			long := strings.Repeat("long name ", 100_000)
			return SearchVersusRandom(SearchVersusRandomData{Title: "a\x00b\n]]>\u202e", Subtitle: long, Metric: "<&>\"'", Caption: long[:500] + strings.Repeat("x", 5000),
				Groups: []SeedGroup{{Name: long, Values: []float64{1, 2}}, {Name: "\xff\xfe 名前 🙂", Values: []float64{1}}}})
		},
		"one evaluation": func() (*Figure, error) {
			return Anytime(AnytimeData{Optimum: &opt, Groups: []TraceGroup{{Name: "a", Runs: []Trace{{Evaluations: []float64{1}, Values: []float64{5}}}}}})
		},
		"all equal runs": func() (*Figure, error) {
			r := Trace{Evaluations: []float64{1e-6}, Values: []float64{-2}, End: 1e15}
			return Anytime(AnytimeData{LowerIsBetter: true, Groups: []TraceGroup{{Name: "a", Runs: []Trace{r, r}}}})
		},
		"regret over many decades": func() (*Figure, error) {
			r := Trace{Evaluations: []float64{1, 2, 3}, Values: []float64{-1e99, 5 - 1e-15, 5}, End: 9}
			return Anytime(AnytimeData{Regret: true, Optimum: &opt, Groups: []TraceGroup{{Name: "a", Runs: []Trace{r}}}})
		},
		"one mark each side": func() (*Figure, error) {
			return SpaceHistogram(SpaceHistogramData{Values: []float64{1}, Marks: []Mark{{Value: -9}, {Value: 9}, {Value: 1}}})
		},
	}
	for name, make := range figures {
		f, err := make()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		parseSVG(t, f)
		if _, err := f.PNG(0.5); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSeriesStylesDiffer(t *testing.T) {
	random := make([]bool, 20)
	random[3], random[7] = true, true
	seen := map[string]bool{}
	for _, s := range seriesStyles(random) {
		key := fmt.Sprint(s)
		if seen[key] {
			t.Errorf("style %s is used twice", key)
		}
		seen[key] = true
	}
}

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-423624), "-423,624"}, {count(1234567), "1,234,567"},
		{fixed(-0.001, 2), "0.00"}, {fixed(94.661, 2), "94.66"}, {fixed(1e20, 2), "1e+20"}, {fixed(12345.6, 1), "12,345.6"},
		{fixed(1000, 0), "1000"}, {plural(1, "seed"), "1 seed"}, {plural(2000, "seed"), "2,000 seeds"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	for _, tt := range []struct {
		step float64
		want int
	}{{1, 0}, {0.5, 1}, {0.02, 2}, {0.1, 1}, {200, 0}, {0.0005, 4}} {
		if got := decimalsFor(tt.step); got != tt.want {
			t.Errorf("decimalsFor(%v) = %d, want %d", tt.step, got, tt.want)
		}
	}
}

func TestTicks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		lo := (r.Float64() - 0.5) * math.Pow10(r.IntN(12)-6)
		hi := lo + math.Pow10(r.IntN(9)-6)*(0.1+r.Float64())
		lo, hi = widen(lo, hi)
		ticks := linearTicks(lo, hi, 7)
		if len(ticks) < 2 || len(ticks) > 15 {
			t.Errorf("%d ticks in %v..%v", len(ticks), lo, hi)
		}
		for i, tk := range ticks {
			if tk.v < lo-1e-6*(hi-lo) || tk.v > hi+1e-6*(hi-lo) || (i > 0 && tk.label == ticks[i-1].label) {
				t.Errorf("tick %v of %v..%v", tk, lo, hi)
			}
		}
	}
	var labels []string
	for _, tk := range logTicks(1, 1000, 1.6) {
		if tk.label != "" {
			labels = append(labels, tk.label)
		}
	}
	if !slices.Equal(labels, []string{"1", "10", "100", "1000"}) {
		t.Errorf("labels %v", labels)
	}
}
