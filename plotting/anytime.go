package plotting

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Trace is the incumbent of one run: after Evaluations[i] evaluations, or seconds, the best
// so far was Values[i], and so it stays until the next change.
type Trace struct {
	Evaluations []float64 // ascending, positive
	Values      []float64 // as many
	// End is where the run ended, at or after the last change; default there.
	End float64
}

// at is the incumbent after x evaluations; ok is false before the first.
func (t Trace) at(x float64) (v float64, ok bool) {
	i := sort.SearchFloat64s(t.Evaluations, math.Nextafter(x, math.Inf(1)))
	if i == 0 {
		return 0, false
	}
	return t.Values[i-1], true
}

// TraceGroup is the runs of one policy, one a seed.
type TraceGroup struct {
	Name   string
	Runs   []Trace
	Random bool // a baseline: grey
	Oracle bool // guided by what is plotted
}

// Progress is what a search is followed by.
type Progress int

const (
	Evaluations Progress = iota // queries of the objective
	Seconds                     // such as those of simulated training
)

// AnytimeData is what Anytime draws.
type AnytimeData struct {
	Title, Subtitle string
	// Metric is the label of the y axis; XLabel that of the x axis, default
	// "evaluations of the objective" or "simulated training time".
	Metric, XLabel string
	// X says what the traces' Evaluations and End count. Seconds are shown in the unit
	// that suits the end of the axis, which is added to its label.
	X Progress
	// Scale is what values are multiplied by to be shown; default 1.
	Scale         float64
	LowerIsBetter bool
	Groups        []TraceGroup
	// Optimum is the best value of the space, nil if unknown.
	Optimum *float64
	// Regret draws the distance to the optimum on a logarithmic axis instead
	// of the value; it needs Optimum.
	Regret    bool
	Watermark string
	Caption   string
}

const (
	anytimeHeight = 330.0 // more if the legend needs it
	legendWidth   = 168.0
	legendLine    = 34.0
	// The x axis may also be seconds, so it is not whole numbers only.
	minEvaluations, maxEvaluations = 1e-6, 1e15
	// From this ratio of its ends on an axis of progress is logarithmic.
	manyTimes = 20
	// maxCurvePoints bounds the corners of all curves and bands of a figure, of some 15
	// bytes each: the document stays under 200 kB.
	maxCurvePoints = 9000
)

// Anytime draws the median and the inter-quartile band of each group's incumbents against
// evaluations or seconds, on an axis that is logarithmic where the last is 20 times the
// first or more.
func Anytime(data AnytimeData) (*Figure, error) {
	a, err := newAnytime(data)
	if err != nil {
		return nil, fmt.Errorf("anytime figure: %w", err)
	}
	return a.figure(), nil
}

// band is a group's quartiles at the places where one of its runs changes.
type band struct {
	x              []float64 // one more than the others: the end of the last step
	q1, median, q3 []float64
}

func (b band) last() float64 { return b.median[len(b.median)-1] }

type anytime struct {
	data     AnytimeData
	factor   float64
	unit     float64 // seconds in one of the axis, or 1
	unitName string
	heading  heading
	bands    []band
	styles   []seriesStyle
	x, y     scale
	xs, ys   []tick
	zero     float64 // where a regret of 0 is drawn; 0 if none is
	height   float64 // of the panel
	decimals int
	caption  []string
}

func newAnytime(data AnytimeData) (*anytime, error) {
	if len(data.Groups) == 0 {
		return nil, fmt.Errorf("no groups; give at least one")
	}
	factor, err := factorOf(data.Scale)
	if err != nil {
		return nil, err
	}
	if data.Regret && data.Optimum == nil {
		return nil, fmt.Errorf("regret needs the optimum of the space; give it, or draw values")
	}
	if data.Optimum != nil {
		if err := finite("optimum", []float64{*data.Optimum}); err != nil {
			return nil, err
		}
	}
	if data.X != Evaluations && data.X != Seconds {
		return nil, fmt.Errorf("progress %d; give Evaluations or Seconds", data.X)
	}
	a := &anytime{data: data, factor: factor}
	random := make([]bool, len(data.Groups))
	spans := make([]span, len(data.Groups))
	for i, g := range data.Groups {
		if spans[i], err = newSpan(g.Runs); err != nil {
			return nil, fmt.Errorf("group %q: %w", g.Name, err)
		}
		random[i] = g.Random
		if g.Oracle && a.data.Watermark == "" {
			a.data.Watermark = DefaultWatermark
		}
	}
	a.progressAxis(spans)
	for i, g := range data.Groups {
		a.bands = append(a.bands, a.band(g, spans[i]))
	}
	a.styles = seriesStyles(random)
	a.heading = heading{a.data.Watermark, data.Title, data.Subtitle}
	a.layout()
	return a, nil
}

// check says what is wrong with a trace.
func (t Trace) check() error {
	switch {
	case len(t.Evaluations) != len(t.Values):
		return fmt.Errorf("%d evaluations and %d values; each value needs its evaluation", len(t.Evaluations), len(t.Values))
	case len(t.Values) == 0:
		return fmt.Errorf("no values; a run needs at least one")
	}
	if err := finite("values", t.Values); err != nil {
		return err
	}
	if err := finite("evaluations", append(slices.Clone(t.Evaluations), t.End)); err != nil {
		return err
	}
	for i, x := range t.Evaluations {
		if x < minEvaluations || x > maxEvaluations {
			return fmt.Errorf("evaluation %v; a logarithmic axis has room from %v to %v", x, minEvaluations, maxEvaluations)
		}
		if i > 0 && x <= t.Evaluations[i-1] {
			return fmt.Errorf("evaluations %v and %v; they must ascend", t.Evaluations[i-1], x)
		}
	}
	if last := t.Evaluations[len(t.Evaluations)-1]; t.End != 0 && (t.End < last || t.End > maxEvaluations) {
		return fmt.Errorf("the run ends at %v; it must be from its last change, %v, to %v", t.End, last, maxEvaluations)
	}
	return nil
}

// maxChanges bounds the points of a curve: more than a pixel has no room for
// are thinned, evenly on the axis.
const maxChanges = 600

// span is where all runs of a group go on, and where one of them changes there.
type span struct {
	begin, end float64
	changes    []float64
}

func newSpan(runs []Trace) (span, error) {
	if len(runs) == 0 {
		return span{}, fmt.Errorf("no runs; each group needs at least one")
	}
	s := span{end: math.Inf(1)}
	for i, r := range runs {
		if err := r.check(); err != nil {
			return span{}, fmt.Errorf("run %d of %d: %w", i+1, len(runs), err)
		}
		s.begin = max(s.begin, r.Evaluations[0])
		s.end = min(s.end, max(r.End, r.Evaluations[len(r.Evaluations)-1]))
		s.changes = append(s.changes, r.Evaluations...)
	}
	if s.begin > s.end {
		return span{}, fmt.Errorf("a run ends at %v before another begins at %v", s.end, s.begin)
	}
	slices.Sort(s.changes)
	s.changes = slices.Compact(s.changes)
	s.changes = slices.DeleteFunc(s.changes, func(x float64) bool { return x < s.begin || x > s.end })
	return s, nil
}

// progressAxis covers all groups.
func (a *anytime) progressAxis(spans []span) {
	lo, hi := math.Inf(1), 0.0
	for _, s := range spans {
		lo, hi = min(lo, s.begin), max(hi, s.end)
	}
	a.unit = 1
	if a.data.X == Seconds {
		a.unit, a.unitName = unitOf(hi)
	}
	lo, hi = lo/a.unit, hi/a.unit
	a.x = scale{lo: lo, hi: hi, log: true, from: padding + 64, to: figureWidth - padding - legendWidth}
	switch {
	case hi <= lo:
		a.x.hi = 10 * lo
	case hi < manyTimes*lo:
		a.x.log = false
		if lo < hi/2 {
			a.x.lo = 0
		}
	}
	if a.x.log {
		a.xs = logTicks(a.x.lo, a.x.hi, 1.6)
	} else {
		a.xs = linearTicks(a.x.lo, a.x.hi, 8)
	}
}

// unitOf is the unit in which a time is told: at least three of it.
func unitOf(seconds float64) (size float64, name string) {
	size, name = 1, "seconds"
	for _, u := range []struct {
		size float64
		name string
	}{{60, "minutes"}, {3600, "hours"}, {86_400, "days"}} {
		if seconds >= 3*u.size {
			size, name = u.size, u.name
		}
	}
	return size, name
}

// across is the pixel of a number of evaluations or seconds.
func (a *anytime) across(x float64) float64 { return a.x.at(x / a.unit) }

// band makes the quartiles of a group in display units, from where all its
// runs have begun to where the first one ends.
func (a *anytime) band(g TraceGroup, s span) band {
	b := band{}
	values := make([]float64, len(g.Runs))
	most := min(maxChanges, maxCurvePoints/(6*len(a.data.Groups)))
	for _, x := range thin(s.changes, max(most, 8), a.across) {
		for i, r := range g.Runs {
			v, _ := r.at(x)
			values[i] = a.shown(v)
		}
		slices.Sort(values)
		b.x = append(b.x, x)
		b.q1 = append(b.q1, quantileOf(values, 0.25))
		b.median = append(b.median, quantileOf(values, 0.5))
		b.q3 = append(b.q3, quantileOf(values, 0.75))
	}
	b.x = append(b.x, s.end)
	return b
}

// shown is a value, or its regret, in display units.
func (a *anytime) shown(v float64) float64 {
	if !a.data.Regret {
		return v * a.factor
	}
	d := (*a.data.Optimum - v) * a.factor
	if a.data.LowerIsBetter {
		d = -d
	}
	return max(d, 0)
}

// thin keeps the last of the points that fall together when the axis is cut
// into n pieces, and the first point.
func thin(xs []float64, n int, across func(float64) float64) []float64 {
	if len(xs) <= n {
		return xs
	}
	from, to := across(xs[0]), across(xs[len(xs)-1])
	cell := func(v float64) int { return int(float64(n-2) * (across(v) - from) / (to - from)) }
	out := []float64{xs[0]}
	here := cell(xs[1])
	for i, x := range xs[1:] {
		if i+2 == len(xs) {
			out = append(out, x)
			break
		}
		if next := cell(xs[i+2]); next != here {
			out, here = append(out, x), next
		}
	}
	return out
}

func (a *anytime) layout() {
	if a.data.Regret {
		a.regretAxis()
	} else {
		a.valueAxis()
	}
	a.height = max(anytimeHeight, legendLine*float64(len(a.bands))+20)
	top := a.heading.height()
	a.y.from, a.y.to = top+a.height, top
	sentences := []string{"Lines: median of the incumbents over seeds; bands: interquartile range"}
	if a.zero > 0 {
		sentences = append(sentences, "0 marks a regret of zero, the optimum")
	}
	a.caption = captionLines(figureWidth, append(sentences, a.clipNote(), a.data.Caption)...)
}

// valueAxis covers the optimum and the bands, but for their first, steepest
// part: the worst twentieth of the axis is left to be clipped.
func (a *anytime) valueAxis() {
	var worst, best []float64
	for _, b := range a.bands {
		bad, good := b.q1, b.q3
		if a.data.LowerIsBetter {
			bad, good = b.q3, b.q1
		}
		for k := range 64 {
			x := a.unit * a.x.part(float64(k)/63)
			if x < b.x[0] || x > b.x[len(b.x)-1] {
				continue
			}
			i := min(sort.SearchFloat64s(b.x, math.Nextafter(x, math.Inf(1))), len(good)) - 1
			worst = append(worst, bad[i])
		}
		best = append(best, good...)
		worst = append(worst, b.last())
	}
	if a.data.Optimum != nil {
		best = append(best, a.shown(*a.data.Optimum))
	}
	slices.Sort(worst)
	lo, hi := quantileOf(worst, 0.05), slices.Max(best)
	if a.data.LowerIsBetter {
		lo, hi = slices.Min(best), quantileOf(worst, 0.95)
	}
	lo, hi = widen(min(lo, hi), max(lo, hi))
	air := 0.05 * (hi - lo)
	a.y = scale{lo: lo - air, hi: hi + air}
	a.ys = linearTicks(a.y.lo, a.y.hi, 6)
	a.decimals = decimalsFor(math.Pow10(int(math.Floor(math.Log10((a.y.hi - a.y.lo) / 500)))))
}

func (a *anytime) regretAxis() {
	smallest, largest, zeros := math.Inf(1), 0.0, false
	for _, b := range a.bands {
		for _, q := range [][]float64{b.q1, b.median, b.q3} {
			for _, v := range q {
				if v > 0 {
					smallest = min(smallest, v)
				} else {
					zeros = true
				}
				largest = max(largest, v)
			}
		}
	}
	if largest == 0 {
		smallest, largest = 0.1, 1 // all at the optimum from the start
	}
	smallest = max(smallest, largest*1e-12) // the axis has an end
	a.y = scale{lo: smallest / 1.15, hi: largest * 1.15, log: true}
	a.ys = logTicks(a.y.lo, a.y.hi, 2.4)
	a.decimals = 3
	if zeros {
		a.zero = smallest / 2.5
		a.y.lo = a.zero / 1.2
		a.ys = append(a.ys, tick{a.zero, "0"})
		a.ys = slices.DeleteFunc(a.ys, func(t tick) bool { return t.v < smallest/1.16 && t.v != a.zero })
	}
}

// clipNote names the groups that start outside the axis.
func (a *anytime) clipNote() string {
	var names []string
	for i, b := range a.bands {
		for _, q := range [][]float64{b.q1, b.median, b.q3} {
			if (q[0] < a.y.lo || q[0] > a.y.hi) && a.zero == 0 {
				names = append(names, a.data.Groups[i].Name)
				break
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "Beginning outside the axis: " + strings.Join(names, ", ")
}

// pixel is the height of a value, a zero regret at its own place.
func (a *anytime) pixel(v float64) float64 {
	if a.zero > 0 && v <= 0 {
		v = a.zero
	}
	return a.y.clamped(v)
}

func (a *anytime) figure() *Figure {
	top := a.heading.height()
	base := top + a.height
	caption := base + 62
	return &Figure{
		width: figureWidth, height: int(math.Ceil(caption + captionLine*float64(len(a.caption)-1) + padding)),
		title: a.data.Title, desc: a.describe(),
		draw: func(p *pen) {
			a.heading.draw(p, figureWidth)
			a.axes(p, top, base)
			stamp(p, a.data.Watermark, a.x.from, top, a.x.to-a.x.from, base-top)
			for i := range a.bands {
				a.drawBand(p, i)
			}
			a.drawOptimum(p)
			for i := range a.bands {
				a.drawMedian(p, i)
			}
			a.legend(p, top)
			drawCaption(p, caption, a.caption)
		},
	}
}

func (a *anytime) axes(p *pen, top, base float64) {
	p.leftAxis(a.y, a.ys, a.x.from, a.x.to)
	p.bottomAxis(a.x, a.xs, top, base)
	p.text((a.x.from+a.x.to)/2, base+38, labelText.fit(a.xLabel(), a.x.to-a.x.from), labelText, centre)
	metric := a.data.Metric
	if a.data.Regret && metric != "" {
		metric = "regret: " + metric
	}
	p.turned(padding+6, (top+base)/2, math.Pi/2, labelText.fit(metric, a.height), labelText)
}

func (a *anytime) xLabel() string {
	label := a.data.XLabel
	switch {
	case label == "" && a.data.X == Seconds:
		label = "simulated training time"
	case label == "":
		label = "evaluations of the objective"
	}
	if a.unitName != "" {
		label += " (" + a.unitName + ")"
	}
	return label
}

// steps turns one quartile into a right-continuous step curve.
func (a *anytime) steps(b band, q []float64) []xy {
	var pts []xy
	for i, v := range q {
		y, end := a.pixel(v), a.across(b.x[i+1])
		if n := len(pts); n > 0 && math.Abs(pts[n-1].y-y) < 0.005 {
			pts[n-1].x = end // the other quartiles have changed, this one has not
			continue
		}
		pts = append(pts, xy{a.across(b.x[i]), y}, xy{end, y})
	}
	return pts
}

func (a *anytime) drawBand(p *pen, i int) {
	b := a.bands[i]
	outline := a.steps(b, b.q3)
	lower := a.steps(b, b.q1)
	slices.Reverse(lower)
	p.group("band", a.data.Groups[i].Name, func() {
		p.fill(append(outline, lower...), withAlpha(a.styles[i].color, 0x2c))
	})
}

func (a *anytime) drawMedian(p *pen, i int) {
	pts := a.steps(a.bands[i], a.bands[i].median)
	p.group("median", a.data.Groups[i].Name, func() {
		p.polyline(pts, 2.2, a.styles[i].color, a.styles[i].dash)
	})
	p.group("marker", a.data.Groups[i].Name, func() { p.along(pts, 4, a.styles[i], i, len(a.bands)) })
}

func (a *anytime) drawOptimum(p *pen) {
	if a.data.Optimum == nil || a.data.Regret {
		return
	}
	v := a.shown(*a.data.Optimum)
	y := a.y.at(v)
	p.group("optimum", "", func() {
		p.polyline([]xy{{a.x.from, y}, {a.x.to, y}}, 1.4, inkColor, dashes[1])
		p.text(a.x.from+8, y-5, "optimum of the space "+fixed(v, a.decimals), tickText.in(inkColor), left)
	})
}

// legend lists the groups by their final median, best first, each as near to
// the end of its curve as there is room.
func (a *anytime) legend(p *pen, top float64) {
	order := make([]int, len(a.bands))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(a.pixel(a.bands[i].last()), a.pixel(a.bands[j].last()))
	})
	want := make([]float64, len(order))
	for k, i := range order {
		want[k] = a.pixel(a.bands[i].last())
	}
	x := a.x.to + 14
	for k, y := range spreadOut(want, legendLine, top+12, top+a.height-14) {
		i := order[k]
		g, s := a.data.Groups[i], a.styles[i]
		p.group("legend", g.Name, func() {
			p.sample(x, y, s)
			width := figureWidth - padding - x - 26
			p.middle(x+26, y-1, strongText.fit(g.Name, width), strongText.in(s.text), left)
			note := fixed(a.bands[i].last(), a.decimals) + ", " + plural(len(g.Runs), "seed")
			style := tickText
			if g.Oracle {
				note, style = note+", oracle", tickText.in(alarmColor)
			}
			p.middle(x+26, y+13, style.fit(note, width), style, left)
		})
	}
}

// spreadOut moves ascending positions as little as needed to be gap apart and
// within lo..hi (closer together where there is no room).
func spreadOut(want []float64, gap, lo, hi float64) []float64 {
	if n := len(want); n > 1 {
		gap = min(gap, (hi-lo)/float64(n-1))
	}
	out := slices.Clone(want)
	for i := range out {
		out[i] = max(out[i], lo)
		if i > 0 {
			out[i] = max(out[i], out[i-1]+gap)
		}
	}
	for i := len(out) - 1; i >= 0; i-- {
		limit := hi
		if i < len(out)-1 {
			limit = out[i+1] - gap
		}
		out[i] = min(out[i], limit)
	}
	return out
}

func (a *anytime) describe() string {
	what := a.data.Metric
	if a.data.Regret {
		what = "regret: " + what
	}
	parts := []string{a.data.Watermark, what}
	for i, g := range a.data.Groups {
		b := a.bands[i]
		end := b.x[len(b.x)-1] / a.unit
		after := fixed(end, 0) + " evaluations"
		if a.unitName != "" {
			after = strconv.FormatFloat(end, 'g', 3, 64) + " " + a.unitName
		}
		parts = append(parts, fmt.Sprintf("%s: median %s after %s, %s", g.Name,
			fixed(b.last(), a.decimals), after, plural(len(g.Runs), "seed")))
	}
	return joinSentences(parts...)
}
