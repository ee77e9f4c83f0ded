package plotting

import (
	"fmt"
	"math"
	"slices"
)

// Curve is one training run: a value after each epoch that was measured.
type Curve struct {
	Name    string
	Epochs  []float64 // ascending, from 1
	Values  []float64 // as many
	Light   []float64 // a second value drawn faintly, such as the training's own; nil: none
	Random  bool      // a baseline: grey
	Running bool
}

// TrainingCurvesData is what TrainingCurves draws.
type TrainingCurvesData struct {
	Title, Subtitle string
	Metric          string // label of the y axis
	Scale           float64
	Epochs          int // in all
	Curves          []Curve
	Caption         string
}

const (
	trainingHeight = 210.0
	maxCurveRows   = 40  // runs that the legend lists
	maxCurves      = 400 // runs that are drawn
)

// TrainingCurves draws each run's values against epochs, with its last value beside
// the end of its line. Runs without a value yet are in the legend alone, which lists the
// first 40; of more than 400 as many are drawn, evenly chosen.
func TrainingCurves(data TrainingCurvesData) (*Figure, error) {
	t, err := newTrainingCurves(data)
	if err != nil {
		return nil, fmt.Errorf("training curves: %w", err)
	}
	return t.figure(), nil
}

type trainingCurves struct {
	data    TrainingCurvesData
	factor  float64
	heading heading
	styles  []seriesStyle
	x, y    scale
	caption []string
	height  float64
}

func newTrainingCurves(data TrainingCurvesData) (*trainingCurves, error) {
	if len(data.Curves) == 0 {
		return nil, fmt.Errorf("no runs; give at least one")
	}
	if data.Epochs < 1 {
		return nil, fmt.Errorf("%d epochs; give at least 1", data.Epochs)
	}
	factor, err := factorOf(data.Scale)
	if err != nil {
		return nil, err
	}
	t := &trainingCurves{data: data, factor: factor, heading: heading{title: data.Title, subtitle: data.Subtitle}}
	var values []float64
	random := make([]bool, len(data.Curves))
	for i, c := range data.Curves {
		if err := c.check(data.Epochs); err != nil {
			return nil, fmt.Errorf("run %q: %w", c.Name, err)
		}
		random[i] = c.Random
		values = append(append(values, c.Values...), c.Light...)
	}
	t.styles = seriesStyles(random)
	lo, hi := 0.0, 1.0
	if len(values) > 0 {
		lo, hi = slices.Min(values), slices.Max(values)
	}
	lo, hi = widen(lo*factor, hi*factor)
	air := 0.06 * (hi - lo)
	t.height = max(trainingHeight, legendLine*float64(min(len(data.Curves), maxCurveRows+1))+20)
	top := t.heading.height()
	t.x = scale{lo: 0, hi: float64(data.Epochs), from: padding + 64, to: figureWidth - padding - legendWidth}
	t.y = scale{lo: lo - air, hi: hi + air, from: top + t.height, to: top}
	note := ""
	if n := len(data.Curves); n > maxCurves {
		note = fmt.Sprintf("%d of %s runs are drawn", maxCurves, count(n))
	}
	t.caption = captionLines(figureWidth, note, data.Caption)
	return t, nil
}

func (c Curve) check(epochs int) error {
	if len(c.Epochs) != len(c.Values) || c.Light != nil && len(c.Light) != len(c.Values) {
		return fmt.Errorf("%d epochs, %d values and %d faint ones; they must be as many", len(c.Epochs), len(c.Values), len(c.Light))
	}
	for i, e := range c.Epochs {
		if !(e > 0 && e <= float64(epochs)) || i > 0 && e <= c.Epochs[i-1] {
			return fmt.Errorf("epoch %v at place %d; they ascend from above 0 to %d", e, i+1, epochs)
		}
	}
	return finite("value", append(slices.Clone(c.Values), c.Light...))
}

func (t *trainingCurves) figure() *Figure {
	top := t.heading.height()
	base := top + t.height
	caption := base + 62
	return &Figure{
		width: figureWidth, height: int(math.Ceil(caption + captionLine*float64(len(t.caption)-1) + padding)),
		title: t.data.Title, desc: t.describe(),
		draw: func(p *pen) {
			t.heading.draw(p, figureWidth)
			p.leftAxis(t.y, linearTicks(t.y.lo, t.y.hi, 5), t.x.from, t.x.to)
			p.bottomAxis(t.x, linearTicks(0, t.x.hi, min(8, t.data.Epochs)), top, base)
			p.text((t.x.from+t.x.to)/2, base+38, "epoch", labelText, centre)
			p.turned(padding+6, (top+base)/2, math.Pi/2, labelText.fit(t.data.Metric, t.height), labelText)
			for _, i := range evenly(len(t.data.Curves), maxCurves) {
				t.drawCurve(p, i)
			}
			t.legend(p, top)
			drawCaption(p, caption, t.caption)
		},
	}
}

func (t *trainingCurves) points(c Curve, values []float64) []xy {
	pts := make([]xy, len(values))
	for i, v := range values {
		pts[i] = xy{t.x.at(c.Epochs[i]), t.y.at(v * t.factor)}
	}
	return pts
}

func (t *trainingCurves) drawCurve(p *pen, i int) {
	c, s := t.data.Curves[i], t.styles[i]
	n := len(t.data.Curves)
	most := max(min(maxMeanPoints, maxCurvePoints/(2*min(n, maxCurves))), 4)
	pts := thinPoints(t.points(c, c.Values), most)
	p.group("curve", c.Name, func() {
		if c.Light != nil && n <= maxCurveRows {
			p.polyline(thinPoints(t.points(c, c.Light), most), 1.2, withAlpha(s.color, 0x70), dashes[2])
		}
		p.polyline(pts, 2, s.color, s.dash)
	})
	if len(pts) > 0 && n <= maxCurveRows {
		p.group("marker", c.Name, func() { p.along(pts, 3.5, s, i, n) })
	}
}

// legend lists the runs in their order, with the last value of each.
func (t *trainingCurves) legend(p *pen, top float64) {
	x := t.x.to + 14
	if n := len(t.data.Curves); n > maxCurveRows {
		p.middle(x, top+12+legendLine*maxCurveRows, "and "+count(n-maxCurveRows)+" more", tickText, left)
	}
	for i, c := range t.data.Curves[:min(len(t.data.Curves), maxCurveRows)] {
		y, s := top+12+legendLine*float64(i), t.styles[i]
		p.group("legend", c.Name, func() {
			p.sample(x, y, s)
			width := figureWidth - padding - x - 26
			p.middle(x+26, y-1, strongText.fit(c.Name, width), strongText.in(s.text), left)
			p.middle(x+26, y+13, tickText.fit(t.last(c), width), tickText, left)
		})
	}
}

func (t *trainingCurves) last(c Curve) string {
	n := len(c.Values)
	if n == 0 {
		return "no epoch has ended"
	}
	text := fmt.Sprintf("%s, epoch %.0f", fixed(c.Values[n-1]*t.factor, 2), c.Epochs[n-1])
	if c.Running {
		text += ", running"
	}
	return text
}

func (t *trainingCurves) describe() string {
	parts := []string{t.data.Metric}
	n := len(t.data.Curves)
	for _, c := range t.data.Curves[:min(n, maxCurveRows)] {
		parts = append(parts, c.Name+": "+t.last(c))
	}
	if n > maxCurveRows {
		parts = append(parts, "and "+count(n-maxCurveRows)+" more")
	}
	return joinSentences(parts...)
}
