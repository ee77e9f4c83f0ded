package plotting

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
)

// CorrelationLine is how well what is known after fewer epochs ranks architectures as the
// final truth does: of one sub-space, metric or data set.
type CorrelationLine struct {
	Name   string
	Epochs []float64 // ascending, positive
	Taus   []float64 // as many, -1 to 1; NaN where it is undefined: a gap
	// Low and High are the ends of an interval around each tau; nil: none, NaN: none there.
	Low, High []float64
	Random    bool // a baseline: grey
}

// CorrelationAgainstEpochsData is what CorrelationAgainstEpochs draws.
type CorrelationAgainstEpochsData struct {
	Title, Subtitle string
	XLabel          string // default "epochs of training"
	// Metric is the label of the y axis, default "Kendall's tau-b with the final truth".
	Metric    string
	Lines     []CorrelationLine
	Baselines []TauLine // trivial rankings, such as that of parameters: dashed
	// NullSD is the standard deviation of tau without any correlation; a band of two of
	// them is drawn around 0. 0: none.
	NullSD    float64
	Watermark string
	Caption   string
}

// maxEpochNames is how many numbers of epochs the axis names one by one.
const maxEpochNames = 12

// CorrelationAgainstEpochs draws rank correlations with the final truth against epochs of
// training, on an axis that is logarithmic where the last is 20 times the first or more, with
// whiskers for intervals, over what trivial rankings reach without any training.
func CorrelationAgainstEpochs(data CorrelationAgainstEpochsData) (*Figure, error) {
	c, err := newCorrelation(data)
	if err != nil {
		return nil, fmt.Errorf("figure of correlation against epochs: %w", err)
	}
	return c.figure(), nil
}

type correlation struct {
	data    CorrelationAgainstEpochsData
	heading heading
	styles  []seriesStyle
	x, y    scale
	xs      []tick
	height  float64
	rows    []legendRow
	caption []string
}

func newCorrelation(data CorrelationAgainstEpochsData) (*correlation, error) {
	if err := data.check(); err != nil {
		return nil, err
	}
	c := &correlation{data: data, heading: heading{data.Watermark, data.Title, data.Subtitle}}
	if c.data.XLabel == "" {
		c.data.XLabel = "epochs of training"
	}
	if c.data.Metric == "" {
		c.data.Metric = "Kendall's tau-b with the final truth"
	}
	random := make([]bool, len(data.Lines))
	for i, l := range data.Lines {
		random[i] = l.Random
	}
	c.styles = seriesStyles(random)
	c.layout()
	return c, nil
}

func (d CorrelationAgainstEpochsData) check() error {
	if len(d.Lines) == 0 {
		return fmt.Errorf("no lines; give at least one")
	}
	if !(d.NullSD >= 0 && d.NullSD <= 1) {
		return fmt.Errorf("a standard deviation of %v without correlation; tau's lies in 0..1", d.NullSD)
	}
	points := 0
	for _, l := range d.Lines {
		if err := l.check(); err != nil {
			return fmt.Errorf("line %q: %w", l.Name, err)
		}
		points += len(l.Epochs)
	}
	if points > maxTauPoints {
		return fmt.Errorf("%s correlations; at most %s can be drawn", count(points), count(maxTauPoints))
	}
	for _, l := range d.Baselines {
		if !(math.Abs(l.Tau) <= 1) {
			return fmt.Errorf("baseline %q: a tau of %v; it lies in -1..1", l.Name, l.Tau)
		}
	}
	return nil
}

func (l CorrelationLine) check() error {
	n := len(l.Epochs)
	switch {
	case n == 0:
		return fmt.Errorf("no epochs; give at least one")
	case len(l.Taus) != n:
		return fmt.Errorf("%d epochs and %d taus; each tau needs its epoch", n, len(l.Taus))
	case (l.Low != nil || l.High != nil) && (len(l.Low) != n || len(l.High) != n):
		return fmt.Errorf("%d taus, %d lower and %d upper ends of intervals; they must be as many, or none", n, len(l.Low), len(l.High))
	}
	for i, e := range l.Epochs {
		if !(e >= minEvaluations && e <= maxEvaluations) || i > 0 && e <= l.Epochs[i-1] {
			return fmt.Errorf("epoch %v at place %d; they ascend from above 0", e, i+1)
		}
		if math.Abs(l.Taus[i]) > 1 {
			return fmt.Errorf("a tau of %v at epoch %v; it lies in -1..1, NaN where it is undefined", l.Taus[i], e)
		}
		if l.Low == nil {
			continue
		}
		if lo, hi := l.Low[i], l.High[i]; lo > hi || math.Abs(lo) > 1 || math.Abs(hi) > 1 {
			return fmt.Errorf("an interval of %v to %v at epoch %v; its ends ascend and lie in -1..1", lo, hi, e)
		}
	}
	return nil
}

// layout chooses the axes: tau's goes on to the next round value beyond all that is drawn.
func (c *correlation) layout() {
	d := c.data
	lo, hi := -2*d.NullSD, 2*d.NullSD
	first, last := math.Inf(1), 0.0
	cover := func(values ...float64) {
		for _, v := range values {
			if !math.IsNaN(v) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	for _, l := range d.Lines {
		cover(l.Taus...)
		cover(l.Low...)
		cover(l.High...)
		first, last = min(first, l.Epochs[0]), max(last, l.Epochs[len(l.Epochs)-1])
	}
	for _, l := range d.Baselines {
		cover(l.Tau)
	}
	if hi-lo < 0.2 { // of noise alone no mountains are made
		lo, hi = (lo+hi)/2-0.1, (lo+hi)/2+0.1
	}
	air := 0.05 * (hi - lo)
	c.epochAxis(first, last)
	c.y = scale{lo: lo - air, hi: hi + air}
	need := 16.0
	for _, r := range c.legend() {
		need += r.height
	}
	c.height = max(tauHeight, need)
	top := c.heading.height()
	c.y.from, c.y.to = top+c.height, top
	c.rows = placeRows(c.legend(), top+2, top+c.height-2)
	c.caption = captionLines(figureWidth, append(c.notes(), d.Caption)...)
}

// epochAxis has a little air beside the first and the last number of epochs, which are
// named themselves where they are few.
func (c *correlation) epochAxis(first, last float64) {
	c.x = scale{from: padding + 64, to: figureWidth - padding - tauLegendWidth}
	c.x.log = last >= manyTimes*first
	switch {
	case c.x.log:
		air := math.Pow(last/first, 0.04)
		c.x.lo, c.x.hi = first/air, last*air
	case last > first:
		c.x.lo, c.x.hi = first-0.04*(last-first), last+0.04*(last-first)
	default:
		c.x.lo, c.x.hi = 0.5*first, 1.5*first
	}
	var all []float64
	for _, l := range c.data.Lines {
		all = append(all, l.Epochs...)
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > maxEpochNames {
		c.xs = linearTicks(c.x.lo, c.x.hi, 8)
		if c.x.log {
			c.xs = logTicks(c.x.lo, c.x.hi, 1.6)
		}
		return
	}
	edge := math.Inf(-1)
	for _, e := range all {
		t := tick{v: e, label: fixed(e, decimalsFor(e))}
		if half := tickText.width(t.label) / 2; c.x.at(e)-half > edge+4 {
			edge = c.x.at(e) + half
		} else {
			t.label = ""
		}
		c.xs = append(c.xs, t)
	}
}

func (c *correlation) legend() []legendRow {
	var rows []legendRow
	for i, l := range c.data.Lines {
		r := legendRow{style: &c.styles[i], name: l.Name, height: legendLine, want: math.Inf(1), note: l.note()}
		if _, v, ok := (TauRun{l.Epochs, l.Taus}).last(); ok {
			r.want = c.y.at(v)
		}
		rows = append(rows, r)
	}
	for i, l := range c.data.Baselines {
		rows = append(rows, l.row(c.y, baselineDash(i)))
	}
	if sd := c.data.NullSD; sd > 0 {
		rows = append(rows, legendRow{name: "no correlation", note: "± " + fixed(2*sd, 3), height: 18, want: c.y.at(0), band: true})
	}
	return rows
}

// baselineDash is that of the i-th line to compare with.
func baselineDash(i int) []vg.Length { return dashes[1+i%3] }

// note tells the first and the last tau.
func (l CorrelationLine) note() string {
	first := slices.IndexFunc(l.Taus, func(v float64) bool { return !math.IsNaN(v) })
	epoch, tau, ok := TauRun{l.Epochs, l.Taus}.last()
	if !ok {
		return "undefined"
	}
	text := fmt.Sprintf("%s at %s", fixed(l.Taus[first], 3), fixed(l.Epochs[first], decimalsFor(l.Epochs[first])))
	if l.Epochs[first] != epoch {
		text += fmt.Sprintf(", %s at %s", fixed(tau, 3), fixed(epoch, decimalsFor(epoch)))
	}
	return text
}

func (c *correlation) notes() []string {
	var out []string
	if slices.ContainsFunc(c.data.Lines, func(l CorrelationLine) bool { return l.Low != nil }) {
		out = append(out, "Whiskers or shades: the interval of each correlation")
	}
	if len(c.data.Baselines) > 0 {
		out = append(out, "Thin dashed lines: rankings that need no training")
	}
	if c.data.NullSD > 0 {
		out = append(out, "Band: two standard deviations of tau around 0, where the two have nothing in common")
	}
	return out
}

func (c *correlation) figure() *Figure {
	top := c.heading.height()
	base := top + c.height
	caption := base + 62
	return &Figure{
		width: figureWidth, height: int(math.Ceil(caption + captionLine*float64(len(c.caption)-1) + padding)),
		title: c.data.Title, desc: c.describe(),
		draw: func(p *pen) {
			c.heading.draw(p, figureWidth)
			drawNull(p, c.x, c.y, c.data.NullSD)
			p.leftAxis(c.y, linearTicks(c.y.lo, c.y.hi, 6), c.x.from, c.x.to)
			p.bottomAxis(c.x, c.xs, top, base)
			p.text((c.x.from+c.x.to)/2, base+38, labelText.fit(c.data.XLabel, c.x.to-c.x.from), labelText, centre)
			p.turned(padding+6, (top+base)/2, math.Pi/2, labelText.fit(c.data.Metric, c.height), labelText)
			stamp(p, c.data.Watermark, c.x.from, top, c.x.to-c.x.from, base-top)
			for i, l := range c.data.Baselines {
				l.draw(p, "baseline", c.x, c.y, baselineDash(i))
			}
			for i := range c.data.Lines {
				c.drawInterval(p, i)
			}
			for i := range c.data.Lines {
				c.drawLine(p, i)
			}
			for _, r := range c.rows {
				r.draw(p, c.x.to)
			}
			drawCaption(p, caption, c.caption)
		},
	}
}

// most is how many points of a curve there are bytes for.
func (c *correlation) most() int {
	return max(min(maxMeanPoints, maxCurvePoints/(3*len(c.data.Lines))), 4)
}

// points of line i are a little apart from those of other lines at the same epochs, whose
// whiskers they would cover.
func (c *correlation) points(i int, values []float64) []xy {
	l, n := c.data.Lines[i], float64(len(c.data.Lines))
	shift := 0.0
	if slices.ContainsFunc(c.data.Lines, func(l CorrelationLine) bool { return l.Low != nil }) && len(l.Epochs) <= maxEpochNames {
		shift = min(9, 40/n) * (float64(i) - (n-1)/2)
	}
	pts := make([]xy, len(values))
	for k, v := range values {
		pts[k] = xy{c.x.at(l.Epochs[k]) + shift, c.y.at(v)}
	}
	return pts
}

// drawInterval draws whiskers, or a shade where they would be too many.
func (c *correlation) drawInterval(p *pen, i int) {
	l, s, n := c.data.Lines[i], c.styles[i], len(c.data.Lines)
	if l.Low == nil {
		return
	}
	up, down := c.points(i, l.High), c.points(i, l.Low)
	p.group("interval", l.Name, func() {
		if len(up) <= maxEpochNames && n <= 2*len(palette) {
			for k, q := range up {
				if !math.IsNaN(q.y + down[k].y) {
					p.line(q.x, q.y, q.x, down[k].y, 1.4, s.color)
					p.line(q.x-3, q.y, q.x+3, q.y, 1.4, s.color)
					p.line(q.x-3, down[k].y, q.x+3, down[k].y, 1.4, s.color)
				}
			}
			return
		}
		for k := range up { // a gap in one is a gap in both
			if math.IsNaN(up[k].y + down[k].y) {
				up[k].y, down[k].y = math.NaN(), math.NaN()
			}
		}
		lower := runsOf(thinPoints(down, c.most()))
		for k, run := range runsOf(thinPoints(up, c.most())) {
			slices.Reverse(lower[k])
			p.fill(append(run, lower[k]...), withAlpha(s.color, 0x30))
		}
	})
}

// drawLine has a marker at each epoch, or along the line where they are many.
func (c *correlation) drawLine(p *pen, i int) {
	l, s := c.data.Lines[i], c.styles[i]
	pts := thinPoints(c.points(i, l.Taus), c.most())
	p.group("line", l.Name, func() { p.gapped(pts, 2.2, 3, s.color, s.dash) })
	p.group("marker", l.Name, func() {
		if len(pts) > maxEpochNames {
			p.along(pts, 4, s, i, len(c.data.Lines))
			return
		}
		for _, q := range pts {
			if !math.IsNaN(q.y) {
				p.marker(q.x, q.y, 4.4, s)
			}
		}
	})
}

func (c *correlation) describe() string {
	parts := []string{c.data.Watermark, c.data.Metric + ", against " + c.data.XLabel}
	for _, l := range c.data.Lines {
		parts = append(parts, l.Name+": "+l.note())
	}
	for _, l := range c.data.Baselines {
		parts = append(parts, l.Name+": "+fixed(l.Tau, 3))
	}
	return joinSentences(parts...)
}
