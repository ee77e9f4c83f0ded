package plotting

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// DefaultClip is the percentile of the space at which axes start where none is
// given: a few failed cells would otherwise squash everything else.
const DefaultClip = 2

// DefaultWatermark is drawn where a group is an oracle and the data name no
// other text.
const DefaultWatermark = "ORACLE: guided by the test column; a benchmark of optimisers, no accuracy result"

// SeedGroup is the results of one policy, one value a seed.
type SeedGroup struct {
	Name   string
	Values []float64
	// Random marks a baseline: drawn grey and hollow.
	Random bool
	// Oracle marks a search that was guided by what is plotted.
	Oracle bool
	// Note is a short text under the group's median, such as
	// "98.2nd percentile". Optional.
	Note string
}

// SearchVersusRandomData is what SearchVersusRandom draws.
type SearchVersusRandomData struct {
	Title, Subtitle string
	// Metric is the label of the axis, such as
	// "test accuracy (%), 108 epochs, first repeat".
	Metric string
	// Scale is what values are multiplied by to be shown, 100 for accuracies
	// in percent; default 1.
	Scale float64
	// LowerIsBetter is true for errors, losses and perplexities.
	LowerIsBetter bool
	// Space holds the values of the whole space; it may be absent.
	Space []float64
	// SpaceName labels its distribution; default "search space".
	SpaceName string
	Groups    []SeedGroup
	// Clip is the percentile of the space at which the axis starts; default
	// DefaultClip, negative for the whole range.
	Clip float64
	// Watermark is drawn over everything if not empty.
	Watermark string
	// Caption is added below.
	Caption string
}

const (
	rowHeight   = 50.0
	histHeight  = 92.0
	dotRadius   = 4.6
	valueColumn = 122.0
	// A group of more results than that, or each of many groups, is drawn as a density.
	maxDots, maxAllDots = 100, 700
)

// SearchVersusRandom draws the results of each group, one point a seed, under
// the distribution of the space; those of more than 100 seeds as a density. At least one
// group is needed and each needs a value.
func SearchVersusRandom(data SearchVersusRandomData) (*Figure, error) {
	v, err := newVersus(data)
	if err != nil {
		return nil, fmt.Errorf("figure of search versus random: %w", err)
	}
	return v.figure(), nil
}

// versus is the figure in display units.
type versus struct {
	data     SearchVersusRandomData
	heading  heading
	space    distribution
	groups   []distribution
	styles   []seriesStyle
	x        scale
	dots     int // the most of a group that is drawn as such
	decimals int
	caption  []string
}

func newVersus(data SearchVersusRandomData) (*versus, error) {
	if len(data.Groups) == 0 {
		return nil, fmt.Errorf("no groups; give at least one")
	}
	factor, err := factorOf(data.Scale)
	if err != nil {
		return nil, err
	}
	v := &versus{data: data}
	if v.data.Clip, err = clipOf(data.Clip); err != nil {
		return nil, err
	}
	if v.space, err = newDistribution("space", data.Space, factor, data.LowerIsBetter); err != nil {
		return nil, err
	}
	random := make([]bool, len(data.Groups))
	for i, g := range data.Groups {
		if len(g.Values) == 0 {
			return nil, fmt.Errorf("group %q has no values; each needs at least one", g.Name)
		}
		d, err := newDistribution(fmt.Sprintf("group %q", g.Name), g.Values, factor, data.LowerIsBetter)
		if err != nil {
			return nil, err
		}
		v.groups = append(v.groups, d)
		random[i] = g.Random
		if g.Oracle && v.data.Watermark == "" {
			v.data.Watermark = DefaultWatermark
		}
	}
	v.styles = seriesStyles(random)
	v.heading = heading{v.data.Watermark, data.Title, data.Subtitle}
	v.layout()
	return v, nil
}

// factorOf checks a display scale; 0 means 1.
func factorOf(scale float64) (float64, error) {
	if scale == 0 {
		return 1, nil
	}
	if !(scale > 0) || math.IsInf(scale, 0) {
		return 0, fmt.Errorf("scale %v; it must be positive, such as 100 for percent", scale)
	}
	return scale, nil
}

// clipOf checks the percentile of a clip: 0 means the default, a negative one
// no clip.
func clipOf(clip float64) (float64, error) {
	switch {
	case clip == 0:
		return DefaultClip, nil
	case clip < 0:
		return 0, nil
	case clip <= 50:
		return clip, nil
	}
	return 0, fmt.Errorf("axis clipped at percentile %v; allowed are up to 50, or a negative number for the whole range", clip)
}

// layout chooses the axis and says in the caption what it leaves out.
func (v *versus) layout() {
	lo, hi := v.extent()
	labels := 0.0
	for _, g := range v.data.Groups {
		labels = max(labels, strongText.width(g.Name))
	}
	if v.space.n() > 0 {
		labels = max(labels, strongText.width(v.spaceName()), tickText.width(percentileLabel))
	}
	start := padding + min(max(labels, 90), 210) + 16
	v.x = scale{lo: lo, hi: hi, from: start, to: figureWidth - padding - valueColumn}
	v.decimals = decimalsFor(math.Pow10(int(math.Floor(math.Log10((hi - lo) / 500)))))
	v.dots = v.mostDots()
	sentences := []string{"One point is one seed, the bar is the median, the thin line the interquartile range"}
	if !slices.ContainsFunc(v.groups, func(d distribution) bool { return !v.dense(d) }) {
		sentences[0] = "The bar is the median, the thin line the interquartile range"
	}
	if slices.ContainsFunc(v.groups, v.dense) {
		sentences = append(sentences, fmt.Sprintf("More than %d seeds are a density: the broader, the more of them", v.dots))
	}
	if v.hasRandom() {
		sentences = append(sentences, "Hollow points: random baselines")
	}
	if v.space.n() > 0 {
		sentences = append(sentences, "Dotted lines: median and best of the space")
	}
	sentences = append(sentences, v.clipNote(), v.data.Caption)
	v.caption = captionLines(figureWidth, sentences...)
}

// mostDots is maxDots, or less where all groups together would have too many.
func (v *versus) mostDots() int {
	for most := maxDots; most > 1; most /= 2 {
		total := 0
		for _, g := range v.groups {
			if g.n() <= most {
				total += g.n()
			}
		}
		if total <= maxAllDots {
			return most
		}
	}
	return 1
}

func (v *versus) dense(d distribution) bool { return d.n() > v.dots }

func (v *versus) hasRandom() bool {
	return slices.ContainsFunc(v.data.Groups, func(g SeedGroup) bool { return g.Random })
}

func (v *versus) spaceName() string {
	if v.data.SpaceName == "" {
		return "search space"
	}
	return v.data.SpaceName
}

// extent is the range of the axis. A group whose median lies outside the
// clipped space moves the end: its results are what the figure is for.
func (v *versus) extent() (lo, hi float64) {
	clip := v.data.Clip
	all := v.space
	if all.n() == 0 {
		all.lower = v.data.LowerIsBetter
		for _, g := range v.groups {
			all.sorted = append(all.sorted, g.sorted...)
		}
		slices.Sort(all.sorted)
		clip = 0 // few values: show them all
	}
	lo, hi = all.clipRange(clip)
	for _, g := range v.groups {
		edge := g.at(25)
		lo, hi = min(lo, edge), max(hi, edge)
		if best := g.best(); all.lower {
			lo = min(lo, best)
		} else {
			hi = max(hi, best)
		}
	}
	if v.space.n() == 0 {
		air := 0.03 * (hi - lo)
		return lo - air, hi + air
	}
	return lo, hi
}

// clipNote says how much lies outside the axis, or nothing.
func (v *versus) clipNote() string {
	var parts []string
	if v.space.n() > 0 {
		if below, above := v.space.outside(v.x.lo, v.x.hi); below+above > 0 {
			parts = append(parts, share(below+above, v.space.n(), "architectures"))
		}
	}
	out, total := 0, 0
	for _, g := range v.groups {
		below, above := g.outside(v.x.lo, v.x.hi)
		out += below + above
		total += g.n()
	}
	if out > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s (arrows)", count(out), plural(total, "result")))
	}
	if len(parts) == 0 {
		return ""
	}
	end := fmt.Sprintf("The axis starts at %s", fixed(v.x.lo, v.decimals))
	if v.data.LowerIsBetter {
		end = fmt.Sprintf("The axis ends at %s", fixed(v.x.hi, v.decimals))
	}
	return end + "; outside lie " + strings.Join(parts, " and ")
}

func (v *versus) figure() *Figure {
	top := v.heading.height()
	panel := top
	if v.space.n() > 0 {
		top += 24 // the percentile axis
		panel = top + histHeight
	}
	base := panel + 8 + rowHeight*float64(len(v.groups))
	caption := base + 62
	height := caption + captionLine*float64(len(v.caption)-1) + padding
	return &Figure{
		width: figureWidth, height: int(math.Ceil(height)),
		title: v.data.Title, desc: v.describe(),
		draw: func(p *pen) {
			v.heading.draw(p, figureWidth)
			p.bottomAxis(v.x, linearTicks(v.x.lo, v.x.hi, 7), top, base)
			p.text((v.x.from+v.x.to)/2, base+38, v.data.Metric, labelText, centre)
			if v.space.n() > 0 {
				v.drawSpace(p, top, panel, base)
			}
			stamp(p, v.data.Watermark, v.x.from, top, v.x.to-v.x.from, base-top)
			p.text(figureWidth-padding, top-8, "median", tickText, right)
			for i := range v.groups {
				v.drawRow(p, i, panel+8+rowHeight*(float64(i)+0.5))
			}
			drawCaption(p, caption, v.caption)
		},
	}
}

func (v *versus) drawSpace(p *pen, top, floor, base float64) {
	p.group("space", v.spaceName(), func() {
		p.outlined(v.space.bins(v.x.lo, v.x.hi, 140).outline(v.x, floor, histHeight-8))
		p.line(v.x.from, floor, v.x.to, floor, 1, axisColor)
		label := v.x.from - 16
		p.text(label, floor-histHeight/2, strongText.fit(v.spaceName(), label-padding), strongText, right)
		p.text(label, floor-histHeight/2+15, plural(v.space.n(), "architecture"), tickText, right)
		p.text(figureWidth-padding, floor-histHeight/2, fixed(v.space.at(50), v.decimals), strongText, right)
		p.text(figureWidth-padding, floor-histHeight/2+15, "best "+fixed(v.space.best(), v.decimals), tickText, right)
	})
	drawPercentiles(p, v.x, v.space, top, percentileLabel)
	for _, mark := range []float64{v.space.at(50), v.space.best()} {
		if x := v.x.at(mark); mark >= v.x.lo && mark <= v.x.hi {
			p.polyline([]xy{{x, top}, {x, base}}, 1, mutedColor, dashes[2])
		}
	}
}

const percentileLabel = "percentile of the space"

// drawPercentiles draws the second axis above a panel.
func drawPercentiles(p *pen, x scale, d distribution, top float64, label string) {
	p.group("axis percentile-axis", "", func() {
		p.line(x.from, top, x.to, top, 1, axisColor)
		for _, t := range percentileTicks(x, d, 34) {
			at := x.at(t.v)
			p.line(at, top-5, at, top, 1, axisColor)
			p.text(at, top-8, t.label, tickText, centre)
		}
		p.text(x.from-16, top-8, label, tickText, right)
	})
}

func (v *versus) drawRow(p *pen, i int, y float64) {
	g, style := v.data.Groups[i], v.styles[i]
	p.group("group", g.Name, func() {
		if i < len(v.groups)-1 {
			p.line(v.x.from, y+rowHeight/2, v.x.to, y+rowHeight/2, 1, gridColor)
		}
		label := v.x.from - 16
		p.text(label, y-1, strongText.fit(g.Name, label-padding), strongText.in(style.text), right)
		note, noteStyle := rowNote(g)
		p.text(label, y+14, note, noteStyle, right)
		d := v.groups[i]
		if v.dense(d) {
			v.drawDensity(p, d, y, style)
			v.drawMedian(p, d, y, style)
		} else {
			v.drawMedian(p, d, y, style)
			v.drawPoints(p, d, y, style)
		}
		median := quantileOf(d.sorted, 0.5)
		p.text(figureWidth-padding, y-1, fixed(median, v.decimals), strongText, right)
		p.text(figureWidth-padding, y+14, tickText.fit(g.Note, valueColumn-10), tickText, right)
	})
}

func rowNote(g SeedGroup) (string, textStyle) {
	seeds := plural(len(g.Values), "seed")
	switch {
	case g.Oracle:
		return "oracle, " + seeds, tickText.in(alarmColor)
	case g.Random:
		return "random, " + seeds, tickText
	}
	return seeds, tickText
}

func (v *versus) drawMedian(p *pen, d distribution, y float64, style seriesStyle) {
	median := quantileOf(d.sorted, 0.5)
	q1, q3 := v.x.clamped(quantileOf(d.sorted, 0.25)), v.x.clamped(quantileOf(d.sorted, 0.75))
	p.line(q1, y, q3, y, 2, withAlpha(style.color, 0x90))
	if median >= v.x.lo && median <= v.x.hi {
		x := v.x.at(median)
		p.line(x, y-18, x, y+18, 3, style.color)
	}
}

// drawPoints stacks points that would cover each other, and turns those
// outside the axis into arrows at its end.
func (v *versus) drawPoints(p *pen, d distribution, y float64, style seriesStyle) {
	inside := make([]float64, 0, d.n())
	below, above := 0, 0
	for _, value := range d.sorted {
		switch {
		case value < v.x.lo:
			below++
		case value > v.x.hi:
			above++
		default:
			inside = append(inside, v.x.at(value))
		}
	}
	for i, dy := range swarm(inside, dotRadius, rowHeight/2-dotRadius-2) {
		p.dot(inside[i], y+dy, dotRadius, style)
	}
	p.outliers(v.x.from, y, -1, below, style)
	p.outliers(v.x.to, y, 1, above, style)
}

// drawDensity draws many results as a histogram around the middle of the row.
func (v *versus) drawDensity(p *pen, d distribution, y float64, style seriesStyle) {
	up := d.centred(v.x.lo, v.x.hi, 110).outline(v.x, y, rowHeight/2-3)
	if len(up) > 0 {
		shape := slices.Clone(up[1 : len(up)-1])
		for i := len(up) - 2; i > 0; i-- {
			shape = append(shape, xy{up[i].x, 2*y - up[i].y})
		}
		p.fill(shape, withAlpha(style.color, 0x70))
	}
	below, above := d.outside(v.x.lo, v.x.hi)
	p.outliers(v.x.from, y, -1, below, style)
	p.outliers(v.x.to, y, 1, above, style)
}

// outliers draws an arrow at the end of an axis, and how many points it
// stands for.
func (p *pen) outliers(x, y, direction float64, n int, style seriesStyle) {
	if n == 0 {
		return
	}
	tip := x + 2*direction
	p.fill([]xy{{tip, y}, {tip - 9*direction, y - 5}, {tip - 9*direction, y + 5}}, style.color)
	a := left
	if direction > 0 {
		a = right
	}
	if n > 1 {
		p.text(tip-12*direction, y+4, "×"+count(n), tickText.in(style.text), a)
	}
}

// swarm gives each point (sorted by x) an offset at which it touches no other,
// the smallest first; past limit the points overlap.
func swarm(xs []float64, r, limit float64) []float64 {
	out := make([]float64, len(xs))
	for i, x := range xs {
		best, covered := 0.0, math.Inf(1)
		for k := 0; k < 2*int(limit)+1; k++ {
			dy := float64((k + 1) / 2)
			if k%2 == 1 {
				dy = -dy
			}
			overlap := 0.0
			for j := i - 1; j >= 0 && x-xs[j] < 2*r; j-- {
				overlap += max(0, 2*r-math.Hypot(x-xs[j], dy-out[j]))
			}
			if overlap < covered {
				best, covered = dy, overlap
			}
			if overlap == 0 {
				break
			}
		}
		out[i] = best
	}
	return out
}

func (v *versus) describe() string {
	parts := []string{v.data.Watermark, v.data.Metric}
	for i, g := range v.data.Groups {
		parts = append(parts, fmt.Sprintf("%s: median %s over %s", g.Name,
			fixed(quantileOf(v.groups[i].sorted, 0.5), v.decimals), plural(len(g.Values), "seed")))
	}
	return joinSentences(parts...)
}

// quantileOf interpolates between the values of a sorted sample (type 7).
func quantileOf(sorted []float64, q float64) float64 {
	h := q * float64(len(sorted)-1)
	i := int(h)
	if i >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (h-float64(i))*(sorted[i+1]-sorted[i])
}
