package plotting

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// tauRun saturates at top, with noise; every tenth epoch of 200 has a save point.
func tauRun(r *rand.Rand, top float64) TauRun {
	var run TauRun
	for e := 1; e <= 19; e++ {
		run.Steps = append(run.Steps, float64(10*e))
		run.Taus = append(run.Taus, top*(1-math.Exp(-float64(e)/5))+0.05*r.NormFloat64())
	}
	return run
}

func tauSample() TauAgainstStepsData {
	r := rand.New(rand.NewPCG(4, 4))
	data := TauAgainstStepsData{
		Title: "Does the shared-weight ranking agree with the truth?", Subtitle: "a made-up pool of 200 architectures",
		End: 200, NullSD: 0.0475,
		Baselines: []TauLine{{"parameters", 0.29}, {"FLOPs", 0.284}},
		Published: []TauLine{{"published, Yu et al. 2020", 0.195}},
	}
	for i, name := range []string{"spos", "fairnas", "random_weights"} {
		g := TauGroup{Name: name, Inconclusive: i == 2}
		for range 5 {
			g.Runs = append(g.Runs, tauRun(r, []float64{0.42, 0.25, 0.1}[i]))
		}
		data.Groups = append(data.Groups, g)
	}
	data.Groups = append(data.Groups, TauGroup{Name: "enas"})
	data.Groups[0].Runs[2].Taus[6] = math.NaN()
	return data
}

func rankSample(n, points int) RankChangeData {
	r := rand.New(rand.NewPCG(5, uint64(n)))
	data := RankChangeData{Title: "How ranks move while weights are shared", Subtitle: "a made-up pool, seed 1268"}
	for k := range points {
		data.SavePoints = append(data.SavePoints, fmt.Sprint(20*(k+1)))
	}
	truth := r.Perm(n)
	scores := make([][]float64, points)
	for k := range scores {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(truth[i]) + float64(n)*0.35*r.NormFloat64()
		}
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, v[a]-v[b])) })
		scores[k] = make([]float64, n)
		for place, i := range order {
			scores[k][i] = float64(place + 1)
		}
	}
	for i := range n {
		a := RankLine{Name: fmt.Sprintf("%08x", 0x9e3779b9*uint32(i+1)), Truth: float64(truth[i] + 1)}
		for k := range points {
			a.Ranks = append(a.Ranks, scores[k][i])
		}
		data.Architectures = append(data.Architectures, a)
	}
	return data
}

func disorderSample(n, seeds int) RankingDisorderData {
	data := RankingDisorderData{Title: "Ranks by shared weights against ranks by truth", Subtitle: "spos, a made-up pool"}
	for s := range seeds {
		ranks := rankSample(n, seeds)
		panel := DisorderPanel{Name: fmt.Sprintf("seed %d", 1268+s), Tau: 0.3 + float64(s)/100}
		for _, a := range ranks.Architectures {
			panel.True, panel.Shared = append(panel.True, a.Truth), append(panel.Shared, a.Ranks[s])
		}
		data.Panels = append(data.Panels, panel)
	}
	return data
}

func summarySample(n int) WeightSharingSummaryData {
	r := rand.New(rand.NewPCG(6, uint64(n)))
	data := WeightSharingSummaryData{
		Title: "Trained alone and with shared weights", Subtitle: "spos, a made-up pool",
		Metric: "test accuracy (%), trained alone", SharedMetric: "validation accuracy (%), shared weights", Scale: 100,
	}
	truth := skewedSpace(n, 8)
	for i, v := range truth {
		a := SharedAccuracy{Name: fmt.Sprintf("%08x", 0x9e3779b9*uint32(i+1)), True: v, TrueSD: 0.002}
		for range 5 {
			a.Shared = append(a.Shared, 0.3+2*(max(v, 0.85)-0.85)+0.03*r.NormFloat64())
		}
		data.Architectures = append(data.Architectures, a)
	}
	return data
}

func rankingFigures(t testing.TB) map[string]*Figure {
	must := mustFigure(t)
	return map[string]*Figure{
		"tau":             must(TauAgainstSteps(tauSample())),
		"rank_change":     must(RankChange(rankSample(200, 10))),
		"rank_change_few": must(RankChange(rankSample(12, 4))),
		"disorder":        must(RankingDisorder(disorderSample(60, 10))),
		"disorder_one":    must(RankingDisorder(disorderSample(200, 1))),
		"squares":         must(RankingDisorder(disorderSample(4000, 3))),
		"summary":         must(WeightSharingSummary(summarySample(200))),
		"summary_few":     must(WeightSharingSummary(summarySample(10))),
	}
}

// flat is a figure's text in one line, wrapped captions too.
func flat(doc svgDoc) string { return strings.ReplaceAll(doc.text(), "\n", " ") }

func TestTauStandsAtItsValues(t *testing.T) {
	data := tauSample()
	doc := parseSVG(t, mustFigure(t)(TauAgainstSteps(data)))
	step := doc.axisOf(t, "x-axis", "x", false)
	tau := doc.axisOf(t, "y-axis", "y", false)
	// The fairnas runs have no gaps: five thin paths and the mean.
	g := data.Groups[1]
	runs := doc.find("path", "run", g.Name)
	if len(runs) != 5 {
		t.Fatalf("%d thin lines, want 5", len(runs))
	}
	mean := make([]float64, 19)
	for i, e := range runs {
		for k, q := range e.points(t) {
			near(t, "step", step(q.x), g.Runs[i].Steps[k], 0.1)
			near(t, "tau", tau(q.y), g.Runs[i].Taus[k], 2e-4)
			mean[k] += g.Runs[i].Taus[k] / 5
		}
	}
	for k, q := range doc.find("path", "mean", g.Name)[0].points(t) {
		near(t, "mean", tau(q.y), mean[k], 2e-4)
	}
	// A missing tau is a gap in its run and in the mean.
	if n := len(doc.find("path", "run", "spos")); n != 6 {
		t.Errorf("%d pieces of spos, want 6", n)
	}
	if n := len(doc.find("path", "mean", "spos")); n != 2 {
		t.Errorf("%d pieces of the mean of spos, want 2", n)
	}
	for _, l := range data.Baselines {
		near(t, l.Name, tau(doc.find("path", "baseline", l.Name)[0].points(t)[0].y), l.Tau, 2e-4)
	}
	near(t, "published", tau(doc.find("path", "published", "")[0].points(t)[0].y), 0.195, 2e-4)
	band := doc.find("path", "null", "")[0].points(t)
	near(t, "upper edge of the band", tau(band[0].y), 2*data.NullSD, 2e-4)
	near(t, "lower edge of the band", tau(band[2].y), -2*data.NullSD, 2e-4)
	for _, want := range []string{"parameters 0.290", "FLOPs 0.284", "published, Yu et al. 2020 0.195", "no correlation ± 0.095",
		"no save point yet", fixed(mean[18], 3) + " at 190, 5 seeds", "Kendall's tau-b with the truth"} {
		if !strings.Contains(flat(doc), want) {
			t.Errorf("%q is not in the figure:\n%s", want, doc.text())
		}
	}
	if n := strings.Count(doc.text(), inconclusive); n != 1 {
		t.Errorf("%d policies are called inconclusive, want 1", n)
	}
}

// While runs are on the mean goes as far as all that have begun.
func TestTauMeanOfUnequalRuns(t *testing.T) {
	g := TauGroup{Runs: []TauRun{
		{Steps: []float64{1, 2, 3}, Taus: []float64{0.1, 0.2, 0.3}},
		{Steps: []float64{1, 2}, Taus: []float64{0.3, math.NaN()}},
		{},
	}}
	m := g.mean()
	if !slices.Equal(m.Steps, []float64{1, 2, 3}) || m.Taus[0] != 0.2 || !math.IsNaN(m.Taus[1]) || !math.IsNaN(m.Taus[2]) {
		t.Errorf("mean %+v", m)
	}
	if step, v, ok := m.last(); step != 1 || v != 0.2 || !ok {
		t.Errorf("last %v, %v, %v", step, v, ok)
	}
}

func TestTauLegendDoesNotOverlap(t *testing.T) {
	data := tauSample()
	for range 4 {
		data.Groups = append(data.Groups, data.Groups[:3]...)
	}
	for i := range 6 {
		data.Baselines = append(data.Baselines, TauLine{fmt.Sprintf("baseline %d", i), 0.28 + 0.001*float64(i)})
	}
	doc := parseSVG(t, mustFigure(t)(TauAgainstSteps(data)))
	_, h := mustFigure(t)(TauAgainstSteps(data)).Size()
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
	if ys[len(ys)-1] > float64(h)-60 {
		t.Errorf("the legend ends at %.0f of %d", ys[len(ys)-1], h)
	}
}

func TestRankChangeStandsAtRanks(t *testing.T) {
	data := rankSample(12, 4)
	data.Architectures[3].Ranks[1] = math.NaN()
	data.Architectures[5].Truth = math.NaN()
	doc := parseSVG(t, mustFigure(t)(RankChange(data)))
	rank := doc.axisOf(t, "y-axis", "y", false)
	if rank(0) > rank(100) {
		t.Error("rank 1 is not on top")
	}
	for i, a := range data.Architectures {
		lines := doc.find("path", "architecture", a.Name)
		if i == 3 {
			// Rank, gap, three more: the first stands alone as a disc.
			if len(lines) != 1 || len(doc.find("circle", "architecture", a.Name)) != 2 {
				t.Errorf("a gap makes %d lines and %d discs", len(lines), len(doc.find("circle", "architecture", a.Name)))
			}
			continue
		}
		want := append(slices.Clone(a.Ranks), a.Truth)
		pts := lines[0].points(t)
		if i == 5 {
			want = want[:4]
		}
		if len(pts) != len(want) {
			t.Fatalf("%s: %d points, want %d", a.Name, len(pts), len(want))
		}
		for k, q := range pts {
			near(t, a.Name, rank(q.y), want[k], 0.01)
		}
	}
	for _, want := range []string{"20", "80", "truth", "epoch", "2 of 12 architectures have gaps", data.Architectures[5].Name} {
		if !strings.Contains(flat(doc), want) {
			t.Errorf("%q is not in the figure", want)
		}
	}
	// The best is drawn last, on top, and darkest.
	order := doc.find("path", "architecture", "")
	best := slices.IndexFunc(data.Architectures, func(a RankLine) bool { return a.Truth == 1 })
	if order[len(order)-1].group != data.Architectures[best].Name || !strings.EqualFold(order[len(order)-1].attr["stroke"], "#101f5c") {
		t.Errorf("drawn last: %v", order[len(order)-1].attr)
	}
}

// Labels of many save points do not cover each other, nor that of the truth.
func TestRankChangeLabels(t *testing.T) {
	for _, points := range []int{1, 2, 10, 40, 200} {
		data := rankSample(5, points)
		doc := parseSVG(t, mustFigure(t)(RankChange(data)))
		var spans [][2]float64
		for _, e := range doc.find("text", "", "") {
			if i := slices.Index(data.SavePoints, e.text); e.attr["text-anchor"] == "middle" && (i >= 0 || e.text == "truth") {
				x, w := e.num(t, "x"), textStyle{size: e.num(t, "font-size"), bold: e.text == "truth"}.width(e.text)
				spans = append(spans, [2]float64{x - w/2, x + w/2})
			}
		}
		slices.SortFunc(spans, func(a, b [2]float64) int { return int(math.Copysign(1, a[0]-b[0])) })
		for i := 1; i < len(spans); i++ {
			if spans[i][0] < spans[i-1][1]+2 {
				t.Errorf("%d save points: labels at %v and %v", points, spans[i-1], spans[i])
			}
		}
		if len(spans) < 2 {
			t.Errorf("%d save points: %d labels", points, len(spans))
		}
	}
}

func TestDisorderPointsStandAtRanks(t *testing.T) {
	data := disorderSample(40, 1)
	data.Place = 1
	data.Panels[0].Shared[7] = math.NaN()
	doc := parseSVG(t, mustFigure(t)(RankingDisorder(data)))
	across := doc.axisOf(t, "x-axis", "x", false)
	down := doc.axisOf(t, "y-axis", "y", false)
	var want [][2]float64
	for i, v := range data.Panels[0].True {
		if i != 7 {
			want = append(want, [2]float64{v, data.Panels[0].Shared[i]})
		}
	}
	got := doc.find("circle", "points", "")
	if len(got) != len(want) {
		t.Fatalf("%d points, want %d", len(got), len(want))
	}
	for i, e := range got {
		near(t, "true rank", across(e.num(t, "cx")), want[i][0], 0.02)
		near(t, "shared rank", down(e.num(t, "cy")), want[i][1], 0.02)
		if e.attr["fill"] != "#b54000" {
			t.Errorf("the colour of the second policy is %s", e.attr["fill"])
		}
	}
	for _, text := range []string{"seed 1268", "tau 0.300, n = 39", "1 point without", "rank by truth"} {
		if !strings.Contains(flat(doc), text) {
			t.Errorf("%q is not in the figure:\n%s", text, doc.text())
		}
	}
}

func TestDisorderPanelsStandApart(t *testing.T) {
	for seeds := 1; seeds <= maxPanels; seeds++ {
		data := disorderSample(20, seeds)
		fig := mustFigure(t)(RankingDisorder(data))
		w, h := fig.Size()
		doc := parseSVG(t, fig)
		for _, e := range doc.find("circle", "points", "") {
			if x, y := e.num(t, "cx"), e.num(t, "cy"); x < 40 || x > float64(w)-padding || y > float64(h)-60 {
				t.Errorf("%d seeds: a point at %v, %v of %d x %d", seeds, x, y, w, h)
			}
		}
		for _, panel := range data.Panels {
			if n := len(doc.find("circle", "points", panel.Name)); n != 20 {
				t.Errorf("%d seeds: %d points in %s", seeds, n, panel.Name)
			}
		}
	}
}

func TestSummaryStandsAtValues(t *testing.T) {
	data := summarySample(10)
	data.Architectures[4].True = math.NaN()
	data.Architectures[6].Shared = nil
	fig := mustFigure(t)(WeightSharingSummary(data))
	doc := parseSVG(t, fig)
	truth := doc.axisOf(t, "y-axis", "y", false)
	shared := doc.axisOf(t, "right-axis", "y", false)
	last := math.Inf(1)
	var xs []float64
	for _, e := range doc.find("path", "bar", "") {
		if e.attr["fill"] != "#c6d0da" {
			continue // a whisker
		}
		i := slices.IndexFunc(data.Architectures, func(a SharedAccuracy) bool { return a.Name == e.group })
		pts := e.points(t)
		near(t, "bar of "+e.group, truth(pts[0].y), 100*data.Architectures[i].True, 0.02)
		if v := data.Architectures[i].True; v > last {
			t.Error("bars are not sorted")
		} else {
			last = v
		}
		xs = append(xs, (pts[0].x+pts[1].x)/2)
	}
	if len(xs) != 9 || !slices.IsSorted(xs) {
		t.Errorf("bars at %v", xs)
	}
	dots := doc.find("circle", "shared", "")
	seen := map[string]bool{}
	for _, e := range dots {
		x, y := e.num(t, "cx"), e.num(t, "cy")
		if k := slices.IndexFunc(xs, func(v float64) bool { return math.Abs(v-x) < 0.1 }); k >= 0 {
			sorted := slices.Clone(data.Architectures)
			sorted = slices.DeleteFunc(sorted, func(a SharedAccuracy) bool { return math.IsNaN(a.True) })
			slices.SortStableFunc(sorted, func(a, b SharedAccuracy) int { return int(math.Copysign(1, b.True-a.True)) })
			mean := 0.0
			for _, v := range sorted[k].Shared {
				mean += 100 * v / float64(len(sorted[k].Shared))
			}
			near(t, "shared of "+sorted[k].Name, shared(y), mean, 0.05)
			seen[sorted[k].Name] = true
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d means are drawn over bars, want 8", len(seen))
	}
	for _, want := range []string{standAlone, sharedWeights, "1 architecture without a bar", "1 architecture without a value", "up to 5 seeds"} {
		if !strings.Contains(flat(doc), want) {
			t.Errorf("%q is not in the figure:\n%s", want, doc.text())
		}
	}
}

func TestSummarySpread(t *testing.T) {
	b := SharedAccuracy{True: 1, Shared: []float64{0.1, math.NaN(), 0.3}}.bar(100)
	near(t, "mean", b.mean, 20, 1e-12)
	near(t, "sample deviation", b.sd, math.Sqrt(200), 1e-12)
	if b := (SharedAccuracy{Shared: []float64{0.5}}).bar(1); b.sd != 0 || b.mean != 0.5 {
		t.Errorf("one seed: %+v", b)
	}
	// Failures of a large pool are arrows, and counted.
	data := summarySample(200)
	for i := range 3 {
		data.Architectures[i].True = 0.1
	}
	doc := parseSVG(t, mustFigure(t)(WeightSharingSummary(data)))
	failed := 0
	for _, a := range data.Architectures {
		if a.True == 0.1 {
			failed++
		}
	}
	if want := fmt.Sprintf("%d of 200 bars lie outside", failed); !strings.Contains(flat(doc), want) {
		t.Errorf("%q is not in the figure:\n%s", want, doc.text())
	}
}

func TestRankingWatermarks(t *testing.T) {
	const mark = "REDUCED: 4 of 200 epochs"
	tau, rank, dis, sum := tauSample(), rankSample(5, 3), disorderSample(5, 3), summarySample(5)
	tau.Watermark, rank.Watermark, dis.Watermark, sum.Watermark = mark, mark, mark, mark
	must := mustFigure(t)
	for _, f := range []*Figure{must(TauAgainstSteps(tau)), must(RankChange(rank)), must(RankingDisorder(dis)), must(WeightSharingSummary(sum))} {
		marks := parseSVG(t, f).find("text", "watermark", "")
		if len(marks) < 2 || marks[0].text != mark || marks[1].text != "REDUCED" || !strings.Contains(f.Description(), mark) {
			t.Errorf("%s: watermarks %v", f.Title(), marks)
		}
	}
}

func TestBadRankings(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	group := func(r TauRun) TauAgainstStepsData {
		return TauAgainstStepsData{Groups: []TauGroup{{Name: "g", Runs: []TauRun{r}}}}
	}
	one := []TauGroup{{Name: "g"}}
	for want, d := range map[string]TauAgainstStepsData{
		"no policies":          {},
		"2 steps and 1 taus":   group(TauRun{Steps: []float64{1, 2}, Taus: []float64{0}}),
		"tau of 1.5":           group(TauRun{Steps: []float64{1}, Taus: []float64{1.5}}),
		"step 1 at place 2":    group(TauRun{Steps: []float64{1, 1}, Taus: []float64{0, 0}}),
		"step NaN":             group(TauRun{Steps: []float64{nan}, Taus: []float64{0}}),
		"deviation of NaN":     {Groups: one, NullSD: nan},
		"ends at +Inf":         {Groups: one, End: inf},
		`line "x": a tau of N`: {Groups: one, Baselines: []TauLine{{"x", nan}}},
		`line "y": a tau of 2`: {Groups: one, Published: []TauLine{{"y", 2}}},
	} {
		if _, err := TauAgainstSteps(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("tau: error %v does not mention %q", err, want)
		}
	}
	a := func(truth float64, ranks ...float64) []RankLine {
		return []RankLine{{Name: "a", Ranks: ranks, Truth: truth}}
	}
	p := []string{"1"}
	for want, d := range map[string]RankChangeData{
		"no architectures":         {SavePoints: p},
		"no save points":           {Architectures: a(1)},
		"0 ranks at 1 save points": {SavePoints: p, Architectures: a(1)},
		"rank 0":                   {SavePoints: p, Architectures: a(0, 1)},
		"rank -1":                  {SavePoints: p, Architectures: a(1, -1)},
		"rank +Inf":                {SavePoints: p, Architectures: a(inf, 1)},
	} {
		if _, err := RankChange(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rank change: error %v does not mention %q", err, want)
		}
	}
	for want, d := range map[string]RankingDisorderData{
		"0 panels":    {},
		"11 panels":   {Panels: make([]DisorderPanel, 11)},
		"place -1":    {Panels: make([]DisorderPanel, 1), Place: -1},
		"and 0 by tr": {Panels: []DisorderPanel{{Shared: []float64{1}}}},
		"rank 0.5":    {Panels: []DisorderPanel{{Shared: []float64{1}, True: []float64{0.5}}}},
		"tau of -2":   {Panels: []DisorderPanel{{Tau: -2}}},
	} {
		if _, err := RankingDisorder(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("disorder: error %v does not mention %q", err, want)
		}
	}
	for want, d := range map[string]WeightSharingSummaryData{
		"0 architectures": {},
		"scale":           {Architectures: make([]SharedAccuracy, 1), Scale: -1},
		"place 100":       {Architectures: make([]SharedAccuracy, 1), Place: 100},
		"true value":      {Architectures: []SharedAccuracy{{True: inf}}},
		"deviation of -1": {Architectures: []SharedAccuracy{{TrueSD: -1}}},
		"shared: value 2": {Architectures: []SharedAccuracy{{Shared: []float64{1, inf}}}},
	} {
		if _, err := WeightSharingSummary(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("summary: error %v does not mention %q", err, want)
		}
	}
}

// Odd but allowed data give a document, and a PNG.
func TestExtremeRankings(t *testing.T) {
	nan := math.NaN()
	long := strings.Repeat("long name ", 1000)
	figures := map[string]func() (*Figure, error){
		"tau before training": func() (*Figure, error) { return TauAgainstSteps(TauAgainstStepsData{Groups: []TauGroup{{Name: "a"}}}) },
		"one tau at 0": func() (*Figure, error) {
			return TauAgainstSteps(TauAgainstStepsData{Groups: []TauGroup{{Name: long, Inconclusive: true, Runs: []TauRun{{Steps: []float64{0}, Taus: []float64{-1}}}}},
				Baselines: []TauLine{{long, 1}}, NullSD: 1})
		},
		"undefined only": func() (*Figure, error) {
			return TauAgainstSteps(TauAgainstStepsData{Groups: []TauGroup{{Name: "a", Runs: []TauRun{{Steps: []float64{1, 2}, Taus: []float64{nan, nan}}}}}})
		},
		"one architecture":  func() (*Figure, error) { return RankChange(rankSample(1, 1)) },
		"two architectures": func() (*Figure, error) { return RankChange(rankSample(2, 1)) },
		"a thousand":        func() (*Figure, error) { return RankChange(rankSample(1000, 20)) },
		"no ranks": func() (*Figure, error) {
			return RankChange(RankChangeData{SavePoints: []string{long}, TruthLabel: long, Architectures: []RankLine{{Name: long, Ranks: []float64{nan}, Truth: nan}}})
		},
		"no points": func() (*Figure, error) {
			return RankingDisorder(RankingDisorderData{Panels: []DisorderPanel{{Name: long, Tau: nan}}})
		},
		"one point":  func() (*Figure, error) { return RankingDisorder(disorderSample(1, 1)) },
		"two points": func() (*Figure, error) { return RankingDisorder(disorderSample(2, 10)) },
		"one bar":    func() (*Figure, error) { return WeightSharingSummary(summarySample(1)) },
		"two bars":   func() (*Figure, error) { return WeightSharingSummary(summarySample(2)) },
		"nothing known": func() (*Figure, error) {
			return WeightSharingSummary(WeightSharingSummaryData{Metric: long, Architectures: []SharedAccuracy{{Name: long, True: nan}}})
		},
		"errors": func() (*Figure, error) {
			d := summarySample(30)
			d.LowerIsBetter = true
			return WeightSharingSummary(d)
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
