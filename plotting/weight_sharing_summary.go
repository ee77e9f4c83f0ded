package plotting

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// SharedAccuracy is one architecture trained alone and with shared weights.
type SharedAccuracy struct {
	Name   string
	True   float64   // trained alone; NaN if unknown
	TrueSD float64   // over repeats, drawn where 60 architectures or fewer are; 0: none
	Shared []float64 // with shared weights, one a seed; NaN or none where missing
}

// WeightSharingSummaryData is what WeightSharingSummary draws.
type WeightSharingSummaryData struct {
	Title, Subtitle string
	// Metric is the label of the left axis, of the architectures trained alone;
	// SharedMetric that of the right one.
	Metric, SharedMetric string
	Scale                float64 // of both; default 1
	LowerIsBetter        bool
	Architectures        []SharedAccuracy
	// Place is that of the policy among those of the report's other figures, from 0: it
	// has its colour.
	Place     int
	Watermark string
	Caption   string
}

const (
	summaryHeight   = 300.0
	summaryNames    = 40 // architectures that are named
	summaryWhiskers = 60 // architectures whose spread is drawn one by one
	maxSummary      = 1_000_000
	summaryBars     = 400 // bars; of more architectures a bar is several
	standAlone      = "stand-alone"
	sharedWeights   = "shared weights"
)

// WeightSharingSummary draws the true accuracy of architectures as bars, the best first,
// and on a second axis what they have with shared weights: the mean over seeds as a line,
// with its standard deviation. Of more than 400 architectures each bar is the mean of as
// many neighbours as it takes.
func WeightSharingSummary(data WeightSharingSummaryData) (*Figure, error) {
	s, err := newSummary(data)
	if err != nil {
		return nil, fmt.Errorf("weight sharing summary: %w", err)
	}
	return s.figure(), nil
}

// summaryBar is one architecture in display units; NaN is missing.
type summaryBar struct {
	name           string
	truth, truthSD float64
	mean, sd       float64 // sd is 0 with one seed
	x              float64
	sharedSeeds    int
	of             int // architectures
}

type summary struct {
	data    WeightSharingSummaryData
	heading heading
	style   seriesStyle
	bars    []summaryBar
	per     int // architectures a bar, 0 for one
	slot    float64
	x       scale
	y, y2   scale
	bottom  float64 // height of what stands under the panel
	caption []string
}

func newSummary(data WeightSharingSummaryData) (*summary, error) {
	factor, err := factorOf(data.Scale)
	if err != nil {
		return nil, err
	}
	if err := checkPlace(data.Place); err != nil {
		return nil, err
	}
	if n := len(data.Architectures); n < 1 || n > maxSummary {
		return nil, fmt.Errorf("%d architectures; give 1 to %s", n, count(maxSummary))
	}
	s := &summary{data: data, heading: heading{data.Watermark, data.Title, data.Subtitle}, style: placeStyle(data.Place)}
	for _, a := range data.Architectures {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("architecture %q: %w", a.Name, err)
		}
		s.bars = append(s.bars, a.bar(factor))
	}
	slices.SortStableFunc(s.bars, s.compare)
	s.merge()
	s.layout()
	return s, nil
}

func (a SharedAccuracy) check() error {
	if err := finiteOrMissing("true value", []float64{a.True}); err != nil {
		return err
	}
	if !(a.TrueSD >= 0) || math.IsInf(a.TrueSD, 0) {
		return fmt.Errorf("a standard deviation of %v; give 0 where it is unknown", a.TrueSD)
	}
	return finiteOrMissing("shared", a.Shared)
}

func (a SharedAccuracy) bar(factor float64) summaryBar {
	b := summaryBar{name: a.Name, of: 1, truth: a.True * factor, truthSD: a.TrueSD * factor, mean: math.NaN()}
	sum := 0.0
	for _, v := range a.Shared {
		if !math.IsNaN(v) {
			sum += v * factor
			b.sharedSeeds++
		}
	}
	if b.sharedSeeds == 0 {
		return b
	}
	b.mean = sum / float64(b.sharedSeeds)
	squares := 0.0
	for _, v := range a.Shared {
		if !math.IsNaN(v) {
			squares += (v*factor - b.mean) * (v*factor - b.mean)
		}
	}
	if b.sharedSeeds > 1 {
		b.sd = math.Sqrt(squares / float64(b.sharedSeeds-1))
	}
	return b
}

// merge makes bars of equally many neighbours where there are too many architectures. The
// spread of a merged bar is that between its architectures.
func (s *summary) merge() {
	per := (len(s.bars) + summaryBars - 1) / summaryBars
	if per <= 1 {
		return
	}
	s.per = per
	var out []summaryBar
	for chunk := range slices.Chunk(s.bars, per) {
		var truths, means []float64
		b := summaryBar{name: fmt.Sprintf("%s and following", chunk[0].name), of: len(chunk)}
		for _, c := range chunk {
			if !math.IsNaN(c.truth) {
				truths = append(truths, c.truth)
			}
			if !math.IsNaN(c.mean) {
				means = append(means, c.mean)
			}
			b.sharedSeeds = max(b.sharedSeeds, c.sharedSeeds)
		}
		b.truth, _ = meanSpread(truths)
		b.mean, b.sd = meanSpread(means)
		out = append(out, b)
	}
	s.bars = out
}

// meanSpread is the mean and the sample's standard deviation, NaN and 0 of nothing.
func meanSpread(values []float64) (mean, sd float64) {
	if len(values) == 0 {
		return math.NaN(), 0
	}
	for _, v := range values {
		mean += v / float64(len(values))
	}
	if len(values) == 1 {
		return mean, 0
	}
	for _, v := range values {
		sd += float64((v - mean) * (v - mean))
	}
	return mean, math.Sqrt(sd / float64(len(values)-1))
}

// compare puts the best truth first and the unknown last.
func (s *summary) compare(a, b summaryBar) int {
	switch {
	case math.IsNaN(a.truth) || math.IsNaN(b.truth):
		return cmp.Compare(boolInt(math.IsNaN(a.truth)), boolInt(math.IsNaN(b.truth)))
	case s.data.LowerIsBetter:
		return cmp.Compare(a.truth, b.truth)
	}
	return cmp.Compare(b.truth, a.truth)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *summary) layout() {
	top := s.heading.height() + 26 // the legend
	s.x = scale{from: padding + 64, to: figureWidth - padding - 70}
	s.slot = (s.x.to - s.x.from) / float64(len(s.bars))
	for i := range s.bars {
		s.bars[i].x = s.x.from + s.slot*(float64(i)+0.5)
	}
	s.y, s.y2 = s.leftScale(), s.rightScale()
	s.y.from, s.y.to = top+summaryHeight, top
	s.y2.from, s.y2.to = top+summaryHeight, top
	s.bottom = 44 // ticks and a label
	if len(s.bars) <= summaryNames {
		s.bottom = 16
		for _, b := range s.bars {
			label, across := s.nameOf(b)
			if across {
				s.bottom = max(s.bottom, 22)
			} else {
				s.bottom = max(s.bottom, tickText.width(label)+14)
			}
		}
	}
	s.caption = captionLines(figureWidth, append(s.notes(), s.data.Caption)...)
}

// leftScale has room for the bars: those of a few failures in a large pool are cut.
func (s *summary) leftScale() scale {
	d := distribution{lower: s.data.LowerIsBetter}
	for _, b := range s.bars {
		if !math.IsNaN(b.truth) {
			d.sorted = append(d.sorted, b.truth)
		}
	}
	if len(d.sorted) == 0 {
		return scale{lo: 0, hi: 1}
	}
	slices.Sort(d.sorted)
	clip := 0.0
	if d.n() >= 50 {
		clip = DefaultClip
	}
	worst, best := d.at(clip), d.best()
	lo, hi := widen(min(worst, best), max(worst, best))
	for _, b := range s.bars {
		if b.truth >= worst && b.truth <= best || b.truth >= best && b.truth <= worst {
			lo, hi = min(lo, b.truth-b.truthSD), max(hi, b.truth+b.truthSD)
		}
	}
	span := hi - lo
	start := lo - 0.2*span
	if lo >= 0 {
		start = max(start, 0)
	}
	return scale{lo: start, hi: hi + 0.06*span}
}

func (s *summary) rightScale() scale {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, b := range s.bars {
		if !math.IsNaN(b.mean) {
			lo, hi = min(lo, b.mean-b.sd), max(hi, b.mean+b.sd)
		}
	}
	if lo > hi {
		return scale{lo: 0, hi: 1}
	}
	lo, hi = widen(lo, hi)
	air := 0.06 * (hi - lo)
	return scale{lo: lo - air, hi: hi + air}
}

// notes are the sentences of the caption that the data ask for.
func (s *summary) notes() []string {
	seeds, noTruth, noShared, cut := 0, 0, 0, 0
	for _, b := range s.bars {
		seeds = max(seeds, b.sharedSeeds)
		cut += boolInt(s.outside(b))
	}
	for _, a := range s.data.Architectures {
		noTruth += boolInt(math.IsNaN(a.True))
		noShared += boolInt(!slices.ContainsFunc(a.Shared, func(v float64) bool { return !math.IsNaN(v) }))
	}
	line := "Line: mean with shared weights (right axis)"
	switch {
	case s.per > 0:
		line = "Line: mean with shared weights (right axis); band: standard deviation between the architectures of a bar"
	case seeds > 1 && len(s.bars) > summaryWhiskers:
		line = fmt.Sprintf("Line: mean over up to %s with shared weights (right axis); band: its standard deviation", plural(seeds, "seed"))
	case seeds > 1:
		line = fmt.Sprintf("Line: mean over up to %s with shared weights (right axis); whiskers: its standard deviation", plural(seeds, "seed"))
	}
	bars := "Bars: trained alone"
	if s.per > 0 {
		bars = fmt.Sprintf("Bars: trained alone, mean of %d architectures each", s.per)
	}
	out := []string{bars + ", the best first (left axis, which starts at " + fixed(s.y.lo, s.decimals()) + ")", line}
	if cut > 0 {
		out = append(out, fmt.Sprintf("%d of %s lie outside the axis (arrows)", cut, plural(len(s.bars), "bar")))
	}
	if noTruth > 0 {
		out = append(out, plural(noTruth, "architecture")+" without a bar: not known")
	}
	if noShared > 0 {
		out = append(out, plural(noShared, "architecture")+" without a value with shared weights: gaps")
	}
	return out
}

func (s *summary) decimals() int {
	return decimalsFor(math.Pow10(int(math.Floor(math.Log10((s.y.hi - s.y.lo) / 50)))))
}

// outside tells whether a bar is cut: below the axis, or above it where lower is better.
func (s *summary) outside(b summaryBar) bool { return b.truth < s.y.lo || b.truth > s.y.hi }

// nameOf is the label of a bar, and whether it is written across, or upwards.
func (s *summary) nameOf(b summaryBar) (label string, across bool) {
	if label = tickText.fit(b.name, s.slot-6); label == b.name || s.slot >= 90 {
		return label, true
	}
	return tickText.fit(b.name, 92), false
}

func (s *summary) figure() *Figure {
	top, base := s.y.to, s.y.from
	caption := base + s.bottom + 28
	return &Figure{
		width: figureWidth, height: int(math.Ceil(caption + captionLine*float64(len(s.caption)-1) + padding)),
		title: s.data.Title, desc: s.describe(),
		draw: func(p *pen) {
			s.heading.draw(p, figureWidth)
			s.legend(p, top-14)
			p.leftAxis(s.y, linearTicks(s.y.lo, s.y.hi, 6), s.x.from, s.x.to)
			for _, b := range s.bars {
				s.drawBar(p, b, base)
			}
			p.line(s.x.from, base, s.x.to, base, 1, axisColor)
			stamp(p, s.data.Watermark, s.x.from, top, s.x.to-s.x.from, base-top)
			s.drawShared(p)
			p.rightAxis(s.y2, linearTicks(s.y2.lo, s.y2.hi, 6), s.x.to, tickText.in(s.style.text))
			p.turned(padding+6, (top+base)/2, math.Pi/2, labelText.fit(s.data.Metric, summaryHeight), labelText)
			p.turned(figureWidth-padding-6, (top+base)/2, math.Pi/2, labelText.fit(s.data.SharedMetric, summaryHeight), labelText.in(s.style.text))
			s.drawNames(p, base)
			drawCaption(p, caption, s.caption)
		},
	}
}

func (s *summary) legend(p *pen, y float64) {
	x := s.x.from
	p.group("legend", "", func() {
		p.rect(x, y-6, 18, 12, fillColor)
		p.middle(x+24, y, standAlone, labelText, left)
		x += 24 + labelText.width(standAlone) + 26
		p.line(x, y, x+22, y, 2.2, s.style.color)
		p.dot(x+11, y, 3.6, s.style)
		p.middle(x+28, y, sharedWeights, labelText.in(s.style.text), left)
	})
}

func (s *summary) drawBar(p *pen, b summaryBar, base float64) {
	if math.IsNaN(b.truth) {
		return
	}
	width := min(max(0.82*s.slot, 0.6), 56)
	p.group("bar", b.name, func() {
		if b.truth < s.y.lo {
			p.fill([]xy{{b.x, base + 7}, {b.x - 3.5, base + 1}, {b.x + 3.5, base + 1}}, alarmColor)
			return
		}
		top := s.y.clamped(b.truth)
		p.rect(b.x-width/2, top, width, base-top, fillColor)
		if b.truth > s.y.hi {
			p.fill([]xy{{b.x, top - 7}, {b.x - 3.5, top - 1}, {b.x + 3.5, top - 1}}, alarmColor)
			return
		}
		if b.truthSD > 0 && len(s.bars) <= summaryWhiskers {
			// Beside the whisker of the shared weights.
			s.whisker(p, b.x-width/4, s.y.clamped(b.truth-b.truthSD), s.y.clamped(b.truth+b.truthSD), mutedStyle)
		}
	})
}

var mutedStyle = seriesStyle{color: mutedColor}

func (s *summary) whisker(p *pen, x, from, to float64, style seriesStyle) {
	half := min(4, 0.18*s.slot)
	p.line(x, from, x, to, 1.2, style.color)
	p.line(x-half, from, x+half, from, 1.2, style.color)
	p.line(x-half, to, x+half, to, 1.2, style.color)
}

func (s *summary) drawShared(p *pen) {
	mid, up, down := make([]xy, len(s.bars)), make([]xy, len(s.bars)), make([]xy, len(s.bars))
	for i, b := range s.bars {
		mid[i] = xy{b.x, s.y2.at(b.mean)}
		up[i] = xy{b.x, s.y2.at(b.mean + b.sd)}
		down[i] = xy{b.x, s.y2.at(b.mean - b.sd)}
	}
	few := len(s.bars) <= summaryWhiskers
	p.group("spread", sharedWeights, func() {
		lower := runsOf(down)
		for k, run := range runsOf(up) {
			if few {
				for i, q := range run {
					if q.y < lower[k][i].y {
						s.whisker(p, q.x, lower[k][i].y, q.y, s.style)
					}
				}
				continue
			}
			slices.Reverse(lower[k])
			p.fill(append(run, lower[k]...), withAlpha(s.style.color, 0x38))
		}
	})
	p.group("shared", sharedWeights, func() {
		width := 2.0
		if !few {
			width = 1.4
		}
		p.gapped(mid, width, 2, s.style.color, nil)
		for _, q := range mid {
			if few && !math.IsNaN(q.y) {
				p.dot(q.x, q.y, 3.6, s.style)
			}
		}
	})
}

// drawNames names the bars, or counts them where there are too many.
func (s *summary) drawNames(p *pen, base float64) {
	if len(s.bars) > summaryNames {
		n := len(s.data.Architectures)
		places := scale{lo: 1, hi: float64(n), from: s.bars[0].x, to: s.bars[len(s.bars)-1].x}
		p.group("axis x-axis", "", func() {
			for _, t := range rankTicks(n, 8) {
				x := places.at(t.v)
				p.line(x, base, x, base+5, 1, axisColor)
				p.text(x, base+21, t.label, tickText, centre)
			}
		})
		p.text((s.x.from+s.x.to)/2, base+40, "architectures, the best first", labelText, centre)
		return
	}
	p.group("names", "", func() {
		for _, b := range s.bars {
			label, across := s.nameOf(b)
			if across {
				p.text(b.x, base+21, label, tickText, centre)
				continue
			}
			p.turned(b.x, base+11+tickText.width(label)/2, math.Pi/2, label, tickText)
		}
	})
}

func (s *summary) describe() string {
	parts := []string{s.data.Watermark, fmt.Sprintf("%s: %s, bars; %s, line; of %s, the best first", s.data.Metric, standAlone, sharedWeights,
		plural(len(s.data.Architectures), "architecture"))}
	for _, b := range s.bars[:min(3, len(s.bars))] {
		text := b.name + ": alone "
		for i, v := range []float64{b.truth, b.mean} {
			if i == 1 {
				text += ", shared "
			}
			if math.IsNaN(v) {
				text += "unknown"
			} else {
				text += fixed(v, 2)
			}
		}
		parts = append(parts, text)
	}
	return joinSentences(parts...)
}
