package plotting

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// maxSVG is how many bytes a figure may have.
const maxSVG = 200_000

// nasbench101 is the number of cells of NAS-Bench-101, disorderPool that of the largest
// sub-space that is ranked as a whole.
const (
	nasbench101  = 423_624
	disorderPool = 64_542
)

// sizeCases are figures at all sizes, and of odd data.
var sizeCases = func() []sizeCase {
	var out []sizeCase
	add := func(draw func() (*Figure, error), format string, args ...any) {
		out = append(out, sizeCase{fmt.Sprintf(format, args...), draw})
	}
	for _, n := range []int{1, 2, 10, 10_000, nasbench101} {
		add(func() (*Figure, error) { return SpaceHistogram(bigHistogramData(n, 3)) }, "histogram of %d", n)
		add(func() (*Figure, error) { return SearchVersusRandom(versusData(n, 3, 10)) }, "versus over %d", n)
		add(func() (*Figure, error) { return WeightSharingSummary(summarySample(n)) }, "summary of %d", n)
		add(func() (*Figure, error) { return SpaceHistogram(bigHistogramData(1000, n)) }, "histogram with %d marks", n)
	}
	for _, groups := range []int{1, 8, 20} {
		for _, seeds := range []int{1, 2, 10, 100, 500} {
			add(func() (*Figure, error) { return SearchVersusRandom(versusData(10_000, groups, seeds)) }, "versus %dx%d", groups, seeds)
			add(func() (*Figure, error) { return Anytime(anytimeData(groups, seeds, false)) }, "anytime %dx%d", groups, seeds)
			add(func() (*Figure, error) { return TauAgainstSteps(tauData(groups, seeds, 40)) }, "tau %dx%d", groups, seeds)
		}
		add(func() (*Figure, error) { return Anytime(anytimeData(groups, 500, true)) }, "regret %dx500", groups)
		add(func() (*Figure, error) { return CorrelationAgainstEpochs(correlationData(groups, 4)) }, "correlation %dx4", groups)
		add(func() (*Figure, error) { return CorrelationAgainstEpochs(correlationData(groups, 600)) }, "correlation %dx600", groups)
	}
	add(func() (*Figure, error) { return SearchVersusRandom(versusData(100, 1, nasbench101)) }, "versus of all seeds")
	add(func() (*Figure, error) { return TauAgainstSteps(tauData(1, 1, 100_000)) }, "tau of a long run")
	for _, n := range []int{1, 2, 28, 400, 10_000} {
		for _, points := range []int{1, 20} {
			add(func() (*Figure, error) { return RankChange(rankSample(n, points)) }, "ranks %dx%d", n, points)
		}
	}
	add(func() (*Figure, error) { return RankChange(rankSample(50, 1000)) }, "ranks 50x1000")
	for _, n := range []int{1, 2, 10, 150, 1000, disorderPool} {
		for _, panels := range []int{1, 3, 10} {
			add(func() (*Figure, error) { return RankingDisorder(disorderSample(n, panels)) }, "disorder %dx%d", n, panels)
		}
	}
	add(func() (*Figure, error) { return RankingDisorder(disorderSample(nasbench101, 1)) }, "disorder of a space")
	for _, n := range []int{1, 20, 500, 5000} {
		for _, epochs := range []int{1, 600} {
			add(func() (*Figure, error) { return TrainingCurves(trainingData(n, epochs)) }, "training %dx%d", n, epochs)
		}
	}
	add(func() (*Figure, error) {
		d := CellData{Title: "The largest cell", Matrix: make([][]int, maxVertices)}
		for i := range d.Matrix {
			d.Matrix[i] = make([]int, maxVertices)
			for j := i + 1; j < min(maxVertices, i+4); j++ {
				d.Matrix[i][j] = 1
			}
			d.Ops = append(d.Ops, "conv3x3-bn-relu")
		}
		return Cell(d)
	}, "cell")
	return out
}()

type sizeCase struct {
	name string
	draw func() (*Figure, error)
}

func bigHistogramData(n, marks int) SpaceHistogramData {
	d := SpaceHistogramData{Title: "A made-up space", Metric: "test accuracy (%)", Scale: 100, Values: skewedSpace(n, 2)}
	for i, v := range skewedSpace(marks, 4) {
		d.Marks = append(d.Marks, Mark{Name: fmt.Sprintf("seed %d", 1268+i), Value: v, Random: i%3 == 2})
	}
	return d
}

func groupName(i int) string {
	if i == 2 {
		return "a policy whose name is much longer than any column of a figure has room for, 150 queries"
	}
	return fmt.Sprintf("policy %d", i+1)
}

// versusData has a group of equal values, and one with a failure.
func versusData(space, groups, seeds int) SearchVersusRandomData {
	d := SearchVersusRandomData{Title: "Does the search beat random sampling?", Subtitle: "a made-up space",
		Metric: "test accuracy (%)", Scale: 100, Space: skewedSpace(space, 1), SpaceName: "made-up space"}
	for i := range groups {
		g := SeedGroup{Name: groupName(i), Values: draws(d.Space, seeds, 1+i%5, uint64(i)), Random: i%5 == 4, Note: "mean percentile 98.1"}
		if i == 1 {
			for k := range g.Values {
				g.Values[k] = g.Values[0]
			}
		}
		if i == 3 {
			g.Values[0] = 0.1
		}
		d.Groups = append(d.Groups, g)
	}
	return d
}

// anytimeData are traces of up to 1,000 evaluations of 1,100 s or so.
func anytimeData(groups, seeds int, regret bool) AnytimeData {
	space := skewedSpace(20_000, 1)
	best := 0.0
	for _, v := range space {
		best = max(best, v)
	}
	d := AnytimeData{Title: "Best cell found so far", Metric: "test accuracy (%)", Scale: 100, Optimum: &best, Regret: regret}
	if regret {
		d.X = Seconds
	}
	for i := range groups {
		g := TraceGroup{Name: groupName(i), Random: i%5 == 4}
		for s := range seeds {
			run := trace(space, 1000, float64(3-i%4), uint64(1000*i+s))
			if d.X == Seconds {
				r := rand.New(rand.NewPCG(uint64(s), uint64(i)))
				for k := range run.Evaluations {
					run.Evaluations[k] = 1100*run.Evaluations[k] + float64(r.IntN(500))
				}
				run.End *= 1101.5
			}
			g.Runs = append(g.Runs, run)
		}
		d.Groups = append(d.Groups, g)
	}
	return d
}

func tauData(groups, seeds, points int) TauAgainstStepsData {
	d := TauAgainstStepsData{Title: "Does the shared-weight ranking agree with the truth?", NullSD: 0.0475,
		Baselines: []TauLine{{"parameters", 0.29}, {"FLOPs", 0.284}}}
	r := rand.New(rand.NewPCG(7, 7))
	for i := range groups {
		g := TauGroup{Name: groupName(i), Random: i%5 == 4}
		for range seeds {
			var run TauRun
			for e := range points {
				run.Steps = append(run.Steps, float64(10*(e+1)))
				run.Taus = append(run.Taus, 0.45/float64(1+i%4)*(1-math.Exp(-10*float64(e)/float64(points)))+0.05*r.NormFloat64())
			}
			g.Runs = append(g.Runs, run)
		}
		d.Groups = append(d.Groups, g)
	}
	return d
}

func correlationData(lines, points int) CorrelationAgainstEpochsData {
	d := CorrelationAgainstEpochsData{Title: "How early is the final ranking known?", Subtitle: "a made-up table of 10,000 cells", NullSD: 0.0067,
		Baselines: []TauLine{{"parameters", 0.29}, {"FLOPs", 0.284}, {"training time", 0.21}}}
	for i := range lines {
		l := CorrelationLine{Name: groupName(i), Random: i%5 == 4}
		for k := range points {
			e, tau := float64(k+1), 0.9-0.7/(1+float64(k)/60)-0.05*float64(i%4)
			if points == 4 { // those of NAS-Bench-101
				e, tau = []float64{4, 12, 36, 108}[k], []float64{0.21, 0.42, 0.68, 0.87}[k]-0.04*float64(i%6)
			}
			l.Epochs, l.Taus = append(l.Epochs, e), append(l.Taus, tau)
			l.Low, l.High = append(l.Low, tau-0.03), append(l.High, tau+0.02)
		}
		d.Lines = append(d.Lines, l)
	}
	return d
}

func trainingData(n, epochs int) TrainingCurvesData {
	r := rand.New(rand.NewPCG(8, 8))
	d := TrainingCurvesData{Title: "Training from scratch", Metric: "validation accuracy (%)", Scale: 100, Epochs: epochs}
	for i := range n {
		c := Curve{Name: groupName(i), Random: i%5 == 4}
		for e := range epochs {
			v := 0.95 - 0.8/(1+float64(e)/20) - 0.01*float64(i%20) + 0.01*r.NormFloat64()
			c.Epochs, c.Values, c.Light = append(c.Epochs, float64(e+1)), append(c.Values, v), append(c.Light, v-0.02)
		}
		d.Curves = append(d.Curves, c)
	}
	return d
}

// Every figure is drawn at every size, as a document that mail and notebooks can hold, with
// its style sheet, and all of its text inside.
func TestFiguresStaySmall(t *testing.T) {
	for i, c := range sizeCases {
		if testing.Short() && i%5 != 0 {
			continue
		}
		f, err := c.draw()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		raw := svgOf(t, f.In(Adaptive))
		if len(raw) > maxSVG {
			t.Errorf("%s: %d bytes, want at most %d", c.name, len(raw), maxSVG)
		}
		t.Logf("%-28s %7d bytes", c.name, len(raw))
		soundText(t, c.name, f)
	}
}

// soundText holds that no text is cut by the edge of a figure.
func soundText(t *testing.T, name string, f *Figure) {
	t.Helper()
	w, h := f.Size()
	for _, e := range parseSVG(t, f).find("text", "", "") {
		x, y, size := e.num(t, "x"), e.num(t, "y"), e.num(t, "font-size")
		if e.attr["transform"] != "" {
			continue // turned
		}
		width := textStyle{size: size, bold: e.attr["font-weight"] == "bold"}.width(e.text)
		switch e.attr["text-anchor"] {
		case "middle":
			x -= width / 2
		case "end":
			x -= width
		}
		if x < 2 || x+width > float64(w)-2 || y-size < 0 || y > float64(h)-4 {
			t.Errorf("%s: text %q is cut: x %.0f..%.0f, y %.0f of %d x %d", name, strings.TrimSpace(e.text), x, x+width, y, w, h)
		}
	}
}
