package plotting

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot/vg"
)

// Mark is a value to be pointed at.
type Mark struct {
	Name   string
	Value  float64
	Random bool // drawn grey
}

// SpaceHistogramData is what SpaceHistogram draws.
type SpaceHistogramData struct {
	Title, Subtitle string
	Metric          string // label of the axis
	Scale           float64
	LowerIsBetter   bool
	Values          []float64 // all values of the space, at least one
	Marks           []Mark    // more than 24 are ticks without their names
	// Clip is the percentile at which the axis starts; default DefaultClip,
	// negative for the whole range. Marks outside are drawn as arrows.
	Clip      float64
	Watermark string
	Caption   string
}

const (
	maxMarks        = 24 // that are named
	rugHeight       = 26.0
	markLine        = 18.0
	bigHistogram    = 210.0
	histogramColumn = 74.0
)

// SpaceHistogram draws how the values of a space are distributed, with the
// percentiles on a second axis and marks at values of interest, which are named where they
// are few.
func SpaceHistogram(data SpaceHistogramData) (*Figure, error) {
	factor, err := factorOf(data.Scale)
	if err != nil {
		return nil, fmt.Errorf("histogram of a space: %w", err)
	}
	if len(data.Values) == 0 {
		return nil, fmt.Errorf("histogram of a space: no values; give at least one")
	}
	d, err := newDistribution("histogram of a space", data.Values, factor, data.LowerIsBetter)
	if err != nil {
		return nil, err
	}
	h := &spaceHistogram{data: data, space: d}
	if h.data.Clip, err = clipOf(data.Clip); err != nil {
		return nil, fmt.Errorf("histogram of a space: %w", err)
	}
	h.data.Marks = slices.Clone(data.Marks)
	for i := range h.data.Marks {
		m := &h.data.Marks[i]
		if err := finite("mark "+m.Name, []float64{m.Value}); err != nil {
			return nil, fmt.Errorf("histogram of a space: %w", err)
		}
		m.Value *= factor
	}
	h.layout()
	return h.figure(), nil
}

type spaceHistogram struct {
	data     SpaceHistogramData
	space    distribution
	x        scale
	hist     histogram
	decimals int
	styles   []seriesStyle
	rows     []int // of each mark's label; none where marks are ticks
	caption  []string
}

func (h *spaceHistogram) layout() {
	lo, hi := h.space.clipRange(h.data.Clip)
	h.x = scale{lo: lo, hi: hi, from: padding + histogramColumn, to: figureWidth - padding - 30}
	h.hist = h.space.bins(lo, hi, 150)
	h.decimals = decimalsFor(math.Pow10(int(math.Floor(math.Log10((hi - lo) / 500)))))
	random := make([]bool, len(h.data.Marks))
	for i, m := range h.data.Marks {
		random[i] = m.Random
	}
	h.styles = seriesStyles(random)
	if h.named() {
		h.placeLabels()
	}
	sentences := []string{fmt.Sprintf("%s: median %s, best %s; bins of %s", plural(h.space.n(), "value"),
		fixed(h.space.at(50), h.decimals), fixed(h.space.best(), h.decimals), strconv.FormatFloat(h.hist.width, 'g', 3, 64))}
	if below, above := h.space.outside(lo, hi); below+above > 0 {
		sentences = append(sentences, fmt.Sprintf("Outside the axis lie %s, the worst at %s",
			share(below+above, h.space.n(), "values"), fixed(h.space.at(0), h.decimals)))
	}
	if !h.named() {
		sentences = append(sentences, h.rugNote())
	}
	h.caption = captionLines(figureWidth, append(sentences, h.data.Caption)...)
}

func (h *spaceHistogram) named() bool { return len(h.data.Marks) <= maxMarks }

// rugNote says what the ticks are.
func (h *spaceHistogram) rugNote() string {
	text := plural(len(h.data.Marks), "mark") + ": ticks under the axis"
	random := 0
	for _, m := range h.data.Marks {
		if m.Random {
			random++
		}
	}
	if random > 0 && random < len(h.data.Marks) {
		text += fmt.Sprintf(", the %s random ones below and grey", count(random))
	}
	return text
}

func (h *spaceHistogram) label(i int) string {
	m := h.data.Marks[i]
	return labelText.fit(m.Name, 220) + " " + fixed(m.Value, h.decimals)
}

// labelSpan is where the label of mark i lies: to the left of its line if there
// is room. That all lie on one side lets close marks rise like stairs, each
// label above the lines that it covers.
func (h *spaceHistogram) labelSpan(i int) (from, to float64, a anchor) {
	x, w := h.x.clamped(h.data.Marks[i].Value), strongText.width(h.label(i))
	if x-6-w < h.x.from {
		return x + 6, x + 6 + w, left
	}
	return x - 6 - w, x - 6, right
}

// placeLabels gives each label the lowest row in which it covers neither
// another one nor the line of a mark that rises past it.
func (h *spaceHistogram) placeLabels() {
	n := len(h.data.Marks)
	h.rows = make([]int, n)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Compare(h.data.Marks[i].Value, h.data.Marks[j].Value)
	})
	for k, i := range order {
		from, to, _ := h.labelSpan(i)
		for h.rows[i] = 0; ; h.rows[i]++ {
			free := true
			for _, j := range order[:k] {
				f, t, _ := h.labelSpan(j)
				line := h.x.clamped(h.data.Marks[j].Value)
				same := h.rows[j] == h.rows[i] && f < to+8 && from < t+8
				crossed := h.rows[j] > h.rows[i] && line > from-6 && line < to+6
				own := h.x.clamped(h.data.Marks[i].Value)
				crosses := h.rows[j] < h.rows[i] && own > f-6 && own < t+6
				free = free && !same && !crossed && !crosses
			}
			if free || h.rows[i] >= n {
				break
			}
		}
	}
}

func (h *spaceHistogram) figure() *Figure {
	head := heading{h.data.Watermark, h.data.Title, h.data.Subtitle}
	rows := 0
	for _, r := range h.rows {
		rows = max(rows, r+1)
	}
	top := head.height() + 24
	floor := top + markLine*float64(rows) + bigHistogram
	below := floor // of the rug
	if !h.named() {
		below += rugHeight
	}
	caption := below + 62
	return &Figure{
		width: figureWidth, height: int(math.Ceil(caption + captionLine*float64(len(h.caption)-1) + padding)),
		title: h.data.Title, desc: h.describe(),
		draw: func(p *pen) {
			head.draw(p, figureWidth)
			most := slices.Max(h.hist.counts)
			y := scale{lo: 0, hi: float64(max(most, 1)), from: floor, to: floor - bigHistogram + 12}
			p.leftAxis(y, countTicks(most), h.x.from, h.x.to)
			p.turned(padding+6, floor-bigHistogram/2, math.Pi/2, "architectures", labelText)
			p.bottomAxis(h.x, linearTicks(h.x.lo, h.x.hi, 9), top, below)
			p.group("space", "", func() {
				p.outlined(h.hist.outline(h.x, floor, bigHistogram-12))
			})
			p.line(h.x.from, floor, h.x.to, floor, 1, axisColor)
			stamp(p, h.data.Watermark, h.x.from, top, h.x.to-h.x.from, floor-top)
			drawPercentiles(p, h.x, h.space, top, "percentile")
			if !h.named() {
				h.drawRug(p, floor)
			}
			for i := range h.rows {
				h.drawMark(p, i, top+markLine*(float64(rows-1-h.rows[i])+0.7), floor)
			}
			p.text((h.x.from+h.x.to)/2, below+38, h.data.Metric, labelText, centre)
			drawCaption(p, caption, h.caption)
		},
	}
}

// drawRug draws the marks as ticks, those of a half pixel as one.
func (h *spaceHistogram) drawRug(p *pen, floor float64) {
	for _, random := range []bool{false, true} {
		var places []float64
		below, above := 0, 0
		for _, m := range h.data.Marks {
			switch {
			case m.Random != random:
			case m.Value < h.x.lo:
				below++
			case m.Value > h.x.hi:
				above++
			default:
				places = append(places, math.Round(2*h.x.at(m.Value))/2)
			}
		}
		slices.Sort(places)
		name, y, s := "found", floor+4, seriesStyles([]bool{random})[0]
		if random {
			name, y = "random", floor+15
		}
		p.group("rug", name, func() {
			var path vg.Path
			for _, x := range slices.Compact(places) {
				path.Move(p.pt(x, y))
				path.Line(p.pt(x, y+9))
			}
			if len(path) > 0 {
				p.stroke(path, 1.2, s.color, nil)
			}
			p.outliers(h.x.from, y+4.5, -1, below, s)
			p.outliers(h.x.to, y+4.5, 1, above, s)
		})
	}
}

// countTicks are whole numbers.
func countTicks(most int) []tick {
	var out []tick
	for _, t := range linearTicks(0, float64(max(most, 1)), 4) {
		if t.v == math.Trunc(t.v) {
			out = append(out, tick{t.v, fixed(t.v, 0)})
		}
	}
	return out
}

func (h *spaceHistogram) drawMark(p *pen, i int, y, floor float64) {
	m, s := h.data.Marks[i], h.styles[i]
	p.group("mark", m.Name, func() {
		x := h.x.clamped(m.Value)
		p.polyline([]xy{{x, y - 6}, {x, floor}}, 1.8, s.color, s.dash)
		switch {
		case m.Value < h.x.lo:
			p.outliers(h.x.from, floor-8, -1, 1, s)
		case m.Value > h.x.hi:
			p.outliers(h.x.to, floor-8, 1, 1, s)
		}
		from, to, a := h.labelSpan(i)
		at := from
		if a == right {
			at = to
		}
		p.middle(at, y, h.label(i), strongText.in(s.text), a)
	})
}

func (h *spaceHistogram) describe() string {
	parts := []string{h.data.Watermark, h.data.Metric,
		fmt.Sprintf("%s, median %s, best %s", plural(h.space.n(), "value"), fixed(h.space.at(50), h.decimals), fixed(h.space.best(), h.decimals))}
	if !h.named() {
		return joinSentences(append(parts, plural(len(h.data.Marks), "mark"))...)
	}
	for _, m := range h.data.Marks {
		parts = append(parts, m.Name+" "+fixed(m.Value, h.decimals))
	}
	return joinSentences(parts...)
}
