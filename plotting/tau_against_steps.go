package plotting

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
)

// TauRun is the rank correlation of one run at its save points.
type TauRun struct {
	Steps []float64 // ascending, from 0
	Taus  []float64 // as many, -1 to 1; NaN where it is undefined: a gap
}

// TauGroup is the runs of one policy, one a seed. It may have none yet: its colour is kept
// for it.
type TauGroup struct {
	Name   string
	Runs   []TauRun
	Random bool // a baseline: grey
	// Inconclusive writes "inconclusive at this budget" to the policy's name: tau still
	// rises, or it is not known whether it does.
	Inconclusive bool
}

// TauLine is a tau to compare with, such as that of parameter counts on the same pool.
type TauLine struct {
	Name string
	Tau  float64
}

// TauAgainstStepsData is what TauAgainstSteps draws.
type TauAgainstStepsData struct {
	Title, Subtitle string
	XLabel          string  // default "epoch"
	End             float64 // of training; default the last save point
	Groups          []TauGroup
	Baselines       []TauLine // trivial rankings of the same pool: dashed
	Published       []TauLine // for reference: dash-dotted
	// NullSD is the standard deviation of tau without any correlation; a band of two of
	// them is drawn around 0. 0: none.
	NullSD    float64
	Watermark string // such as "REDUCED: 4 of 200 epochs"
	Caption   string
}

const (
	tauHeight      = 330.0 // more if the legend needs it
	tauLegendWidth = 204.0
	maxTauPoints   = 5_000_000
	// More points of thin lines than that are drawn as a band; curves are thinned to their
	// share of as many corners.
	maxRunPoints  = 4000
	maxMeanPoints = 600 // of a curve
	inconclusive  = "inconclusive at this budget"
)

// TauAgainstSteps draws Kendall's tau of rankings by shared weights against training: a
// thin line a run and a thick one for the mean of each policy, over a band in which tau
// lies without any correlation, beside what trivial rankings reach. Where the runs are too
// many to be drawn one by one, a band holds the middle half of them.
func TauAgainstSteps(data TauAgainstStepsData) (*Figure, error) {
	t, err := newTauSteps(data)
	if err != nil {
		return nil, fmt.Errorf("figure of tau against steps: %w", err)
	}
	return t.figure(), nil
}

type tauSteps struct {
	data    TauAgainstStepsData
	heading heading
	styles  []seriesStyle
	means   []TauRun
	banded  bool // the runs are too many for a line each
	x, y    scale
	height  float64
	rows    []legendRow
	caption []string
}

func newTauSteps(data TauAgainstStepsData) (*tauSteps, error) {
	if err := data.check(); err != nil {
		return nil, err
	}
	t := &tauSteps{data: data, heading: heading{data.Watermark, data.Title, data.Subtitle}}
	if t.data.XLabel == "" {
		t.data.XLabel = "epoch"
	}
	random := make([]bool, len(data.Groups))
	points := 0
	for i, g := range data.Groups {
		random[i] = g.Random
		t.means = append(t.means, g.mean())
		for _, r := range g.Runs {
			points += len(r.Steps)
		}
	}
	t.banded = points > maxRunPoints
	t.styles = seriesStyles(random)
	t.layout()
	return t, nil
}

func (d TauAgainstStepsData) check() error {
	if len(d.Groups) == 0 {
		return fmt.Errorf("no policies; give at least one")
	}
	if !(d.NullSD >= 0 && d.NullSD <= 1) {
		return fmt.Errorf("a standard deviation of %v without correlation; tau's lies in 0..1", d.NullSD)
	}
	if !(d.End >= 0) || math.IsInf(d.End, 0) {
		return fmt.Errorf("training that ends at %v; give its number of epochs or steps, or 0", d.End)
	}
	points := 0
	for _, g := range d.Groups {
		for i, r := range g.Runs {
			if err := r.check(); err != nil {
				return fmt.Errorf("policy %q: run %d of %d: %w", g.Name, i+1, len(g.Runs), err)
			}
			points += len(r.Taus)
		}
	}
	if points > maxTauPoints {
		return fmt.Errorf("%s save points; at most %s can be drawn, so leave some out", count(points), count(maxTauPoints))
	}
	for _, l := range append(slices.Clone(d.Baselines), d.Published...) {
		if !(math.Abs(l.Tau) <= 1) {
			return fmt.Errorf("line %q: a tau of %v; it lies in -1..1", l.Name, l.Tau)
		}
	}
	return nil
}

func (r TauRun) check() error {
	if len(r.Steps) != len(r.Taus) {
		return fmt.Errorf("%d steps and %d taus; each tau needs its step", len(r.Steps), len(r.Taus))
	}
	for i, s := range r.Steps {
		if !(s >= 0) || s > maxEvaluations || i > 0 && s <= r.Steps[i-1] {
			return fmt.Errorf("step %v at place %d; they ascend from 0", s, i+1)
		}
		if math.Abs(r.Taus[i]) > 1 {
			return fmt.Errorf("a tau of %v at step %v; it lies in -1..1, NaN where it is undefined", r.Taus[i], s)
		}
	}
	return nil
}

// mean is the mean of the runs at the steps where all that have begun have a tau; a gap
// where one of them has none.
func (g TauGroup) mean() TauRun {
	sums := map[float64][2]float64{}
	begun := 0.0
	for _, r := range g.Runs {
		if len(r.Steps) > 0 {
			begun++
		}
		for i, s := range r.Steps {
			sum := sums[s] // of a gap too: its step is one of the mean's
			if v := r.Taus[i]; !math.IsNaN(v) {
				sum[0], sum[1] = sum[0]+v, sum[1]+1
			}
			sums[s] = sum
		}
	}
	var m TauRun
	for s := range sums {
		m.Steps = append(m.Steps, s)
	}
	slices.Sort(m.Steps)
	for _, s := range m.Steps {
		v := math.NaN()
		if sum := sums[s]; sum[1] == begun {
			v = sum[0] / sum[1]
		}
		m.Taus = append(m.Taus, v)
	}
	return m
}

// last is the last defined tau and its step.
func (r TauRun) last() (step, tau float64, ok bool) {
	for i := len(r.Taus) - 1; i >= 0; i-- {
		if v := r.Taus[i]; !math.IsNaN(v) {
			return r.Steps[i], v, true
		}
	}
	return 0, 0, false
}

func (t *tauSteps) layout() {
	d := t.data
	lo, hi, end := -2*d.NullSD, 2*d.NullSD, d.End
	cover := func(v float64) {
		if !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	for _, g := range d.Groups {
		for _, r := range g.Runs {
			for i, v := range r.Taus {
				cover(v)
				end = max(end, r.Steps[i])
			}
		}
	}
	for _, l := range append(slices.Clone(d.Baselines), d.Published...) {
		cover(l.Tau)
	}
	if hi-lo < 0.2 { // of noise alone no mountains are made
		lo, hi = (lo+hi)/2-0.1, (lo+hi)/2+0.1
	}
	air := 0.05 * (hi - lo)
	if end == 0 {
		end = 1
	}
	t.x = scale{lo: 0, hi: end, from: padding + 64, to: figureWidth - padding - tauLegendWidth}
	t.y = scale{lo: lo - air, hi: hi + air}
	t.height = tauHeight
	need := 16.0
	rows := t.legend()
	for _, r := range rows {
		need += r.height
	}
	t.height = max(t.height, need)
	top := t.heading.height()
	t.y.from, t.y.to = top+t.height, top
	t.rows = placeRows(t.legend(), top+2, top+t.height-2)
	sentences := []string{"Thin lines: one a seed; thick: their mean, where all have a value"}
	if t.banded {
		sentences = []string{"Lines: mean over seeds, where all have a value; shades: the middle half of the seeds"}
	}
	if d.NullSD > 0 {
		sentences = append(sentences, "Band: two standard deviations of tau around 0, where scores and truth have nothing in common")
	}
	t.caption = captionLines(figureWidth, append(sentences, d.Caption)...)
}

// legendRow is an entry beside the panel, as near to what it names as there is room.
type legendRow struct {
	want, y, height float64      // middles
	style           *seriesStyle // nil for a line to compare with
	name, note      string
	alarm           string
	dash            []vg.Length
	band            bool
}

// legend lists the groups at their last mean, the lines at theirs, and the band.
func (t *tauSteps) legend() []legendRow {
	var rows []legendRow
	for i, g := range t.data.Groups {
		r := legendRow{style: &t.styles[i], name: g.Name, height: legendLine, want: math.Inf(1), note: t.note(i)}
		if _, v, ok := t.means[i].last(); ok {
			r.want = t.y.at(v)
		}
		if g.Inconclusive {
			r.alarm = inconclusive
			r.height += 13
		}
		rows = append(rows, r)
	}
	for i, l := range t.data.Baselines {
		rows = append(rows, l.row(t.y, dashes[1+i%2]))
	}
	for _, l := range t.data.Published {
		rows = append(rows, l.row(t.y, dashes[3]))
	}
	if t.data.NullSD > 0 {
		rows = append(rows, legendRow{name: "no correlation", note: "± " + fixed(2*t.data.NullSD, 3), height: 18, want: t.y.at(0), band: true})
	}
	return rows
}

// row is the entry of a line to compare with.
func (l TauLine) row(y scale, dash []vg.Length) legendRow {
	return legendRow{name: l.Name, note: fixed(l.Tau, 3), height: 18, want: y.at(l.Tau), dash: dash}
}

// placeRows moves rows apart, in the order of where they want to be.
func placeRows(rows []legendRow, lo, hi float64) []legendRow {
	slices.SortStableFunc(rows, func(a, b legendRow) int { return cmp.Compare(a.want, b.want) })
	edge := lo
	for i := range rows {
		r := &rows[i]
		r.y = max(min(r.want, hi), edge+r.height/2)
		edge = r.y + r.height/2
	}
	edge = hi
	for i := len(rows) - 1; i >= 0; i-- {
		r := &rows[i]
		r.y = min(r.y, edge-r.height/2)
		edge = r.y - r.height/2
	}
	return rows
}

func (t *tauSteps) note(i int) string {
	runs := t.data.Groups[i].Runs
	begun := 0
	for _, r := range runs {
		if len(r.Steps) > 0 {
			begun++
		}
	}
	step, tau, ok := t.means[i].last()
	switch {
	case begun == 0:
		return "no save point yet"
	case !ok:
		return "undefined, " + plural(begun, "seed")
	}
	return fmt.Sprintf("%s at %s, %s", fixed(tau, 3), fixed(step, decimalsFor(step)), plural(begun, "seed"))
}

func (t *tauSteps) figure() *Figure {
	top := t.heading.height()
	base := top + t.height
	caption := base + 62
	return &Figure{
		width: figureWidth, height: int(math.Ceil(caption + captionLine*float64(len(t.caption)-1) + padding)),
		title: t.data.Title, desc: t.describe(),
		draw: func(p *pen) {
			t.heading.draw(p, figureWidth)
			drawNull(p, t.x, t.y, t.data.NullSD)
			p.leftAxis(t.y, linearTicks(t.y.lo, t.y.hi, 6), t.x.from, t.x.to)
			p.bottomAxis(t.x, stepTicks(t.x.hi), top, base)
			p.text((t.x.from+t.x.to)/2, base+38, t.data.XLabel, labelText, centre)
			p.turned(padding+6, (top+base)/2, math.Pi/2, "Kendall's tau-b with the truth", labelText)
			stamp(p, t.data.Watermark, t.x.from, top, t.x.to-t.x.from, base-top)
			for i, l := range t.data.Baselines {
				l.draw(p, "baseline", t.x, t.y, dashes[1+i%2])
			}
			for _, l := range t.data.Published {
				l.draw(p, "published", t.x, t.y, dashes[3])
			}
			for i := range t.data.Groups {
				t.drawRuns(p, i)
			}
			for i := range t.data.Groups {
				t.drawMean(p, i)
			}
			for _, r := range t.rows {
				r.draw(p, t.x.to)
			}
			drawCaption(p, caption, t.caption)
		},
	}
}

// stepTicks are of whole steps where there are more than a few.
func stepTicks(end float64) []tick {
	ticks := linearTicks(0, end, 8)
	if end < 2 {
		return ticks
	}
	return slices.DeleteFunc(ticks, func(t tick) bool { return t.v != math.Trunc(t.v) })
}

// drawNull draws the band and the line of no correlation under everything.
func drawNull(p *pen, x, y scale, sd float64) {
	zero := y.at(0)
	p.group("null", "", func() {
		if sd > 0 {
			up, down := y.at(2*sd), y.at(-2*sd)
			p.rect(x.from, up, x.to-x.from, down-up, withAlpha(fillColor, 0x80))
		}
		if y.lo <= 0 && y.hi >= 0 {
			p.line(x.from, zero, x.to, zero, 1.2, axisColor)
		}
	})
}

// draw draws a line across a panel.
func (l TauLine) draw(p *pen, class string, x, y scale, dash []vg.Length) {
	at := y.at(l.Tau)
	p.group(class, l.Name, func() {
		p.polyline([]xy{{x.from, at}, {x.to, at}}, 1.4, inkColor, dash)
	})
}

func (t *tauSteps) points(r TauRun) []xy {
	pts := make([]xy, len(r.Taus))
	for i, v := range r.Taus {
		pts[i] = xy{t.x.at(r.Steps[i]), t.y.at(v)}
	}
	return pts
}

func (t *tauSteps) drawRuns(p *pen, i int) {
	g, s := t.data.Groups[i], t.styles[i]
	if len(g.Runs) == 1 {
		return // it is its own mean
	}
	if t.banded {
		t.drawSpread(p, i)
		return
	}
	p.group("run", g.Name, func() {
		for _, r := range g.Runs {
			p.gapped(t.points(r), 1, 1.8, withAlpha(s.color, 0x66), nil)
		}
	})
}

// drawSpread draws the quartiles of the runs at each step.
func (t *tauSteps) drawSpread(p *pen, i int) {
	g := t.data.Groups[i]
	at := map[float64][]float64{}
	for _, r := range g.Runs {
		for k, s := range r.Steps {
			if v := r.Taus[k]; !math.IsNaN(v) {
				at[s] = append(at[s], v)
			}
		}
	}
	var up, down []xy
	for _, s := range slices.Sorted(maps.Keys(at)) {
		slices.Sort(at[s])
		up = append(up, xy{t.x.at(s), t.y.at(quantileOf(at[s], 0.75))})
		down = append(down, xy{t.x.at(s), t.y.at(quantileOf(at[s], 0.25))})
	}
	most := min(maxMeanPoints, maxCurvePoints/(3*len(t.data.Groups)))
	up, down = thinPoints(up, most), thinPoints(down, most)
	slices.Reverse(down)
	p.group("spread", g.Name, func() { p.fill(append(up, down...), withAlpha(t.styles[i].color, 0x30)) })
}

func (t *tauSteps) drawMean(p *pen, i int) {
	s := t.styles[i]
	pts := thinPoints(t.points(t.means[i]), min(maxMeanPoints, maxCurvePoints/(3*len(t.data.Groups))))
	p.group("mean", t.data.Groups[i].Name, func() {
		p.gapped(pts, 2.8, 3, s.color, s.dash)
	})
	p.group("marker", t.data.Groups[i].Name, func() { p.along(pts, 4, s, i, len(t.data.Groups)) })
}

// draw writes the row beside a panel that ends at edge.
func (r legendRow) draw(p *pen, edge float64) {
	x := edge + 22
	width := figureWidth - padding - x - 26
	if r.style != nil {
		y := r.y - r.height/2 + 10
		p.group("legend", r.name, func() {
			p.sample(x, y, *r.style)
			p.middle(x+26, y, strongText.fit(r.name, width), strongText.in(r.style.text), left)
			p.middle(x+26, y+13, tickText.fit(r.note, width), tickText, left)
			p.middle(x+26, y+26, r.alarm, tickText.in(alarmColor), left)
		})
		return
	}
	p.group("legend", r.name, func() {
		// A thin line leads from what is named to its name.
		p.polyline([]xy{{edge + 2, r.want}, {edge + 8, r.want}, {x - 8, r.y}, {x - 3, r.y}}, 0.8, axisColor, nil)
		if r.band {
			p.rect(x, r.y-5, 20, 10, withAlpha(fillColor, 0x80))
			p.line(x, r.y, x+20, r.y, 1.2, axisColor)
		} else {
			p.polyline([]xy{{x, r.y}, {x + 20, r.y}}, 1.4, inkColor, r.dash)
		}
		room := width - tickText.width(" "+r.note)
		p.middle(x+26, r.y, tickText.fit(r.name, room)+" "+r.note, tickText.in(inkColor), left)
	})
}

func (t *tauSteps) describe() string {
	parts := []string{t.data.Watermark, "Kendall's tau-b of rankings by shared weights with the truth, against training"}
	for i, g := range t.data.Groups {
		text := g.Name + ": " + t.note(i)
		if g.Inconclusive {
			text += ", " + inconclusive
		}
		parts = append(parts, text)
	}
	for _, l := range append(slices.Clone(t.data.Baselines), t.data.Published...) {
		parts = append(parts, l.Name+": "+fixed(l.Tau, 3))
	}
	return joinSentences(parts...)
}
