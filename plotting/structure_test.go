package plotting

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Of more marks than can be named the ticks stand at their values, those of the random
// baseline apart, and those outside the axis are counted.
func TestRugStandsAtValues(t *testing.T) {
	data := bigHistogramData(5000, 300)
	doc := parseSVG(t, mustFigure(t)(SpaceHistogram(data)))
	value := doc.axisOf(t, "x-axis", "x", false)
	for _, random := range []bool{false, true} {
		name := "found"
		if random {
			name = "random"
		}
		var ticks []float64
		for i, q := range doc.find("path", "rug", name)[0].points(t) {
			if i%2 == 0 {
				ticks = append(ticks, value(q.x))
			}
		}
		half := math.Abs(value(100.5) - value(100))
		outside := 0
		for _, m := range data.Marks {
			switch {
			case m.Random != random:
			case m.Value == 0.1:
				outside++
			case !slices.ContainsFunc(ticks, func(v float64) bool { return math.Abs(v-100*m.Value) <= half }) && 100*m.Value > ticks[0]:
				t.Errorf("no tick at %v", 100*m.Value)
			}
		}
		if len(ticks) > 200 || len(ticks) < 60 {
			t.Errorf("%s: %d ticks", name, len(ticks))
		}
		if n := len(doc.find("path", "rug", name)); outside > 0 && n != 2 {
			t.Errorf("%s: %d paths; the arrow of what is outside is missing", name, n)
		}
	}
	if !strings.Contains(flat(doc), "300 marks: ticks under the axis, the 100 random ones below") {
		t.Errorf("texts: %s", flat(doc))
	}
	// 24 are named, as ever.
	doc = parseSVG(t, mustFigure(t)(SpaceHistogram(bigHistogramData(5000, maxMarks))))
	if n := len(doc.find("text", "mark", "")); n != maxMarks || len(doc.find("path", "rug", "")) != 0 {
		t.Errorf("%d names of %d marks", n, maxMarks)
	}
}

// A density has as much area on each side of a value as there are seeds.
func TestDensityHoldsItsSeeds(t *testing.T) {
	data := versusData(20_000, 3, 400)
	doc := parseSVG(t, mustFigure(t)(SearchVersusRandom(data)))
	value := doc.axisOf(t, "x-axis", "x", false)
	for i, g := range data.Groups {
		if n := len(doc.find("circle", "group", g.Name)); n != 0 {
			t.Errorf("%s: %d points are drawn", g.Name, n)
		}
		shape := doc.find("path", "group", g.Name)
		k := slices.IndexFunc(shape, func(e svgElement) bool { return e.attr["fill-opacity"] != "" })
		if k < 0 {
			t.Fatalf("%s: no density", g.Name)
		}
		pts := shape[k].points(t)
		up := pts[:len(pts)/2]
		mid := (pts[0].y + pts[len(pts)-1].y) / 2
		edge := value(up[len(up)/4*2].x) // between two bins
		var left, all, leftSeeds, allSeeds float64
		for j := 0; j+1 < len(up); j += 2 {
			area := (up[j+1].x - up[j].x) * (mid - up[j].y)
			all += area
			if value(up[j+1].x) <= edge+1e-6 {
				left += area
			}
		}
		lo, hi := value(up[0].x), value(up[len(up)-1].x)
		for _, v := range g.Values {
			if 100*v >= lo && 100*v <= hi {
				allSeeds++
				if 100*v < edge {
					leftSeeds++
				}
			}
		}
		if i == 1 { // all equal: one block around the value
			for j := 0; j+1 < len(up); j += 2 {
				if mid-up[j].y > 1 {
					lo, hi = value(up[j].x), value(up[j+1].x)
				}
			}
			if v := 100 * g.Values[0]; !(lo < v && v < hi) || math.Abs((lo+hi)/2-v) > 0.05 || hi-lo > 1 {
				t.Errorf("all at %v are drawn from %v to %v", v, lo, hi)
			}
			continue
		}
		near(t, g.Name+": share on the left", left/all, leftSeeds/allSeeds, 0.02)
	}
	if !strings.Contains(flat(doc), "More than 100 seeds are a density") || strings.Contains(flat(doc), "One point is one seed") {
		t.Errorf("caption: %s", flat(doc))
	}
}

// The curves of simulated seconds are those of the same runs in another unit.
func TestAnytimeSeconds(t *testing.T) {
	for _, tt := range []struct {
		first, end float64
		label      string
		log        bool
		unit       float64
	}{
		{1, 100, "(seconds)", true, 1},
		{10, 150, "(seconds)", false, 1},
		{60, 600, "(minutes)", false, 60},
		{60, 36_000, "(hours)", true, 3600},
		{2000, 10_800, "(hours)", false, 3600},
		{1155, 8.64e6, "(days)", true, 86_400},
	} {
		run := Trace{Evaluations: []float64{tt.first, (tt.first + tt.end) / 2}, Values: []float64{0.9, 0.94}, End: tt.end}
		data := AnytimeData{Title: "t", Metric: "m", Scale: 100, X: Seconds, Groups: []TraceGroup{{Name: "g", Runs: []Trace{run}}}}
		fig := mustFigure(t)(Anytime(data))
		doc := parseSVG(t, fig)
		if !strings.Contains(doc.text(), "simulated training time "+tt.label) {
			t.Errorf("%v s: the label is not in %s: %s", tt.end, tt.label, doc.text())
		}
		at := doc.axisOf(t, "x-axis", "x", tt.log)
		pts := doc.find("path", "median", "g")[0].points(t)
		for i, want := range []float64{tt.first, run.Evaluations[1], run.Evaluations[1], tt.end} {
			near(t, fmt.Sprintf("corner %d of %v s", i, tt.end), at(pts[i].x)*tt.unit, want, 2e-3*tt.end)
		}
		if want := strconv.FormatFloat(tt.end/tt.unit, 'g', 3, 64) + " " + strings.Trim(tt.label, "()"); !strings.Contains(fig.Description(), want) {
			t.Errorf("%q does not say %q", fig.Description(), want)
		}
	}
	if _, err := Anytime(AnytimeData{X: 7, Groups: anytimeData(1, 1, false).Groups}); err == nil || !strings.Contains(err.Error(), "Evaluations or Seconds") {
		t.Errorf("progress 7: %v", err)
	}
}

// Bands that are thinned stay on the quartiles.
func TestThinnedBandsAreQuartiles(t *testing.T) {
	data := anytimeData(20, 40, false)
	doc := parseSVG(t, mustFigure(t)(Anytime(data)))
	evals, value := doc.axisOf(t, "x-axis", "x", true), doc.axisOf(t, "y-axis", "y", false)
	g := data.Groups[0]
	band := doc.find("path", "band", g.Name)[0].points(t)
	at := func(x float64) []float64 {
		var values []float64
		for _, r := range g.Runs {
			v, _ := r.at(x)
			values = append(values, 100*v)
		}
		slices.Sort(values)
		return values
	}
	up := band[:len(band)/2]
	for i := 0; i+1 < len(up) && up[i+1].x > up[i].x; i += 2 {
		// The upper edge is the third quartile somewhere in its step, as wide as a cell of
		// the thinned axis at most.
		x, y := evals(up[i].x), value(up[i].y)
		lo, hi := quantileOf(at(x*0.95), 0.75), quantileOf(at(evals(up[i].x+8)), 0.75)
		if y < lo-0.02 || y > hi+0.02 {
			t.Errorf("at %v the upper edge is %v, the quartile %v to %v", x, y, lo, hi)
		}
	}
}

func TestCorrelationStandsAtItsValues(t *testing.T) {
	for _, points := range []int{1, 4} {
		data := correlationData(3, points)
		data.Lines[1].Low, data.Lines[1].High = nil, nil
		if points == 4 {
			data.Lines[2].Taus[1] = math.NaN()
		}
		doc := parseSVG(t, mustFigure(t)(CorrelationAgainstEpochs(data)))
		tau := doc.axisOf(t, "y-axis", "y", false)
		for i, l := range data.Lines {
			var got []xy
			for _, e := range doc.find("path", "line", l.Name) {
				got = append(got, e.points(t)...)
			}
			for _, e := range doc.find("circle", "line", l.Name) { // a point between gaps
				got = append(got, xy{e.num(t, "cx"), e.num(t, "cy")})
			}
			slices.SortFunc(got, func(a, b xy) int { return int(math.Copysign(1, a.x-b.x)) })
			if points == 1 {
				continue // a marker alone
			}
			var want []float64
			for _, v := range l.Taus {
				if !math.IsNaN(v) {
					want = append(want, v)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%s: %d points, want %d", l.Name, len(got), len(want))
			}
			for k, q := range got {
				near(t, l.Name, tau(q.y), want[k], 2e-3)
			}
			whiskers := doc.find("path", "interval", l.Name)
			if i == 1 {
				if len(whiskers) != 0 {
					t.Errorf("%d whiskers without intervals", len(whiskers))
				}
				continue
			}
			if len(whiskers) != 3*points {
				t.Fatalf("%s: %d strokes of whiskers, want %d", l.Name, len(whiskers), 3*points)
			}
			for k := range points {
				ends := whiskers[3*k].points(t)
				near(t, "upper end", tau(ends[0].y), l.High[k], 2e-3)
				near(t, "lower end", tau(ends[1].y), l.Low[k], 2e-3)
			}
		}
		for _, b := range data.Baselines {
			near(t, b.Name, tau(doc.find("path", "baseline", b.Name)[0].points(t)[0].y), b.Tau, 2e-3)
		}
		band := doc.find("path", "null", "")[0].points(t)
		near(t, "upper edge of the band", tau(band[0].y), 2*data.NullSD, 2e-3)
		want := []string{"1", "epochs of training", "Kendall's tau-b with the final truth", "parameters 0.290", "no correlation ± 0.013"}
		if points == 4 {
			want = append(want, "4", "12", "36", "108", "0.210 at 4, 0.870 at 108")
			epoch := doc.axisOf(t, "x-axis", "x", true)
			near(t, "epoch of the second line", epoch(doc.find("path", "line", data.Lines[1].Name)[0].points(t)[1].x), 12, 0.2)
		}
		lines := strings.Split(doc.text(), "\n")
		for _, w := range want {
			if len(w) < 4 && points == 4 && w != "1" && !slices.Contains(lines, w) || len(w) >= 4 && !strings.Contains(flat(doc), w) {
				t.Errorf("%q is not in the figure:\n%s", w, doc.text())
			}
		}
	}
}

func TestBadCorrelations(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	one := func(l CorrelationLine) CorrelationAgainstEpochsData {
		l.Name = "g"
		return CorrelationAgainstEpochsData{Lines: []CorrelationLine{l}}
	}
	e, v := []float64{1, 2}, []float64{0.1, 0.2}
	for want, d := range map[string]CorrelationAgainstEpochsData{
		"no lines":             {},
		"no epochs":            one(CorrelationLine{}),
		"2 epochs and 1 taus":  one(CorrelationLine{Epochs: e, Taus: v[:1]}),
		"epoch 0 at place 1":   one(CorrelationLine{Epochs: []float64{0, 1}, Taus: v}),
		"epoch NaN":            one(CorrelationLine{Epochs: []float64{nan, 1}, Taus: v}),
		"epoch +Inf":           one(CorrelationLine{Epochs: []float64{1, inf}, Taus: v}),
		"epoch 1 at place 2":   one(CorrelationLine{Epochs: []float64{1, 1}, Taus: v}),
		"a tau of 2":           one(CorrelationLine{Epochs: e, Taus: []float64{0, 2}}),
		"2 lower and 0 upper":  one(CorrelationLine{Epochs: e, Taus: v, Low: v}),
		"interval of 0.2 to":   one(CorrelationLine{Epochs: e, Taus: v, Low: []float64{0.2, 0.1}, High: v}),
		"deviation of NaN":     {Lines: []CorrelationLine{{Epochs: e, Taus: v}}, NullSD: nan},
		`baseline "x": a tau `: {Lines: []CorrelationLine{{Epochs: e, Taus: v}}, Baselines: []TauLine{{"x", nan}}},
	} {
		if _, err := CorrelationAgainstEpochs(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not mention %q", err, want)
		}
	}
	// Odd, but allowed.
	for name, d := range map[string]CorrelationAgainstEpochsData{
		"undefined":     one(CorrelationLine{Epochs: e, Taus: []float64{nan, nan}, Low: []float64{nan, nan}, High: []float64{nan, nan}}),
		"all equal":     one(CorrelationLine{Epochs: []float64{5}, Taus: []float64{1}}),
		"tiny and huge": one(CorrelationLine{Epochs: []float64{1e-6, 1e15}, Taus: []float64{-1, 1}}),
		"close epochs":  one(CorrelationLine{Epochs: []float64{100, 100.001, 100.002}, Taus: []float64{-1, nan, 1}}),
	} {
		f, err := CorrelationAgainstEpochs(d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		soundText(t, name, f)
	}
}

// Squares hold each architecture once, at its ranks.
func TestSquaresHoldAll(t *testing.T) {
	data := disorderSample(4000, 2)
	d, err := newDisorder(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, panel := range data.Panels {
		counts := d.counted(panel)
		total := 0
		for _, n := range counts {
			total += n
			if n > 0 && d.levelOf(n) < 0 {
				t.Errorf("%d architectures have no level of %v", n, d.levels)
			}
		}
		if total != 4000 {
			t.Errorf("%d of 4000 in squares", total)
		}
		// The worst by truth lie in the last column.
		last := 0
		for row := range d.squares {
			last += counts[row*d.squares+d.squares-1]
		}
		if want := 4000 / d.squares; math.Abs(float64(last-want)) > 2 {
			t.Errorf("%d in the last column, want about %d", last, want)
		}
	}
	data.Panels = data.Panels[:1]
	if d, err = newDisorder(data); err != nil {
		t.Fatal(err)
	}
	doc := parseSVG(t, mustFigure(t)(RankingDisorder(data)))
	across, down := doc.axisOf(t, "x-axis", "x", false), doc.axisOf(t, "y-axis", "y", false)
	area := 0.0
	for _, e := range doc.find("path", "squares", data.Panels[0].Name) {
		pts := e.points(t)
		for k := 0; k+3 < len(pts); k += 4 {
			x0, x1, y0, y1 := across(pts[k].x), across(pts[k+1].x), down(pts[k].y), down(pts[k+2].y)
			if x0 < 0 || x1 > 4002 || y0 < 0 || y1 > 4002 {
				t.Errorf("a square from %v, %v to %v, %v", x0, y0, x1, y1)
			}
			area += (x1 - x0) * (y1 - y0)
		}
	}
	filled := 0
	for _, n := range d.counted(data.Panels[0]) {
		if n > 0 {
			filled++
		}
	}
	near(t, "area of the squares", area/(3999*3999), float64(filled)/float64(d.squares*d.squares), 0.01)
	for _, want := range append([]string{"architectures, at least"}, count(d.levels[len(d.levels)-1])) {
		if !strings.Contains(doc.text(), want) {
			t.Errorf("%q is not in the legend", want)
		}
	}
}

// Bars of many architectures hold all of them.
func TestMergedBars(t *testing.T) {
	data := summarySample(3001)
	s, err := newSummary(data)
	if err != nil {
		t.Fatal(err)
	}
	total, sum, want := 0, 0.0, 0.0
	for _, b := range s.bars {
		total += b.of
		sum += b.truth * float64(b.of)
	}
	for _, a := range data.Architectures {
		want += 100 * a.True
	}
	if total != 3001 || len(s.bars) > summaryBars || s.per != 8 {
		t.Errorf("%d architectures in %d bars of %d", total, len(s.bars), s.per)
	}
	near(t, "mean of the bars", sum/3001, want/3001, 1e-9)
	doc := parseSVG(t, mustFigure(t)(WeightSharingSummary(data)))
	if !strings.Contains(flat(doc), "mean of 8 architectures each") {
		t.Errorf("caption: %s", flat(doc))
	}
	place := doc.axisOf(t, "x-axis", "x", false)
	bars := doc.find("path", "bar", "")
	first := bars[0].points(t)
	near(t, "place of the first bar", place((first[0].x+first[1].x)/2), 1, 20)
}

func TestLeftOutRanks(t *testing.T) {
	data := rankSample(1000, 150)
	doc := parseSVG(t, mustFigure(t)(RankChange(data)))
	lines := doc.find("path", "architecture", "")
	rank := doc.axisOf(t, "y-axis", "y", false)
	drawn := map[string]bool{}
	for _, e := range lines {
		drawn[e.group] = true
		pts := e.points(t)
		if len(pts) != maxRankPlots+1 {
			t.Fatalf("%d points of a line", len(pts))
		}
		a := data.Architectures[slices.IndexFunc(data.Architectures, func(a RankLine) bool { return a.Name == e.group })]
		near(t, "true rank", rank(pts[maxRankPlots].y), a.Truth, 1)
		near(t, "first rank", rank(pts[0].y), a.Ranks[0], 1)
		near(t, "last rank", rank(pts[maxRankPlots-1].y), a.Ranks[149], 1)
	}
	for _, want := range []string{fmt.Sprintf("%d of 1,000 architectures are drawn", len(drawn)), "100 of 150 save points"} {
		if !strings.Contains(flat(doc), want) {
			t.Errorf("%q is not in the figure: %s", want, flat(doc))
		}
	}
	for _, truth := range []float64{1, 1000} {
		a := data.Architectures[slices.IndexFunc(data.Architectures, func(a RankLine) bool { return a.Truth == truth })]
		if !drawn[a.Name] {
			t.Errorf("rank %v is left out", truth)
		}
	}
}

func TestTrainingCurvesStandAtValues(t *testing.T) {
	data := trainingData(3, 20)
	doc := parseSVG(t, mustFigure(t)(TrainingCurves(data)))
	epoch, value := doc.axisOf(t, "x-axis", "x", false), doc.axisOf(t, "y-axis", "y", false)
	for _, c := range data.Curves {
		paths := doc.find("path", "curve", c.Name)
		for i, values := range [][]float64{c.Light, c.Values} {
			for k, q := range paths[i].points(t) {
				near(t, c.Name+": epoch", epoch(q.x), c.Epochs[k], 0.05)
				near(t, c.Name, value(q.y), 100*values[k], 0.1)
			}
		}
	}
	doc = parseSVG(t, mustFigure(t)(TrainingCurves(trainingData(1000, 5))))
	if n := len(doc.find("path", "curve", "")); n != maxCurves {
		t.Errorf("%d curves are drawn", n)
	}
	for _, want := range []string{"400 of 1,000 runs are drawn", "and 960 more"} {
		if !strings.Contains(flat(doc), want) {
			t.Errorf("%q is not in the figure", want)
		}
	}
}

// Gaps of a curve stay gaps when it is thinned, and its ends stay.
func TestThinPoints(t *testing.T) {
	pts := make([]xy, 1000)
	for i := range pts {
		pts[i] = xy{float64(i), 1}
		if i == 500 || i >= 700 && i < 800 {
			pts[i].y = math.NaN()
		}
	}
	out := thinPoints(pts, 50)
	if runs := runsOf(out); len(runs) != 3 || out[0].x != 0 || out[len(out)-1].x != 999 || len(out) > 60 {
		t.Errorf("%d runs in %d points", len(runs), len(out))
	}
	if len(thinPoints(pts[:50], 50)) != 50 {
		t.Error("few points are thinned")
	}
}

// Markers of series stand on their lines, apart from those of others.
func TestMarkersStandApart(t *testing.T) {
	data := tauSample()
	data.Groups = data.Groups[1:3]
	doc := parseSVG(t, mustFigure(t)(TauAgainstSteps(data)))
	for _, g := range data.Groups {
		if n := len(doc.find("path", "marker", g.Name)) + len(doc.find("circle", "marker", g.Name)); n < 4 {
			t.Errorf("%s: %d strokes of markers", g.Name, n)
		}
	}
	run := []xy{{0, 0}, {10, 10}, {10, 20}, {20, 20}}
	for x, want := range map[float64]float64{0: 0, 5: 5, 10: 10, 15: 20, 20: 20, 30: 20} {
		near(t, fmt.Sprintf("line at %v", x), lineAt(run, x), want, 1e-12)
	}
}
