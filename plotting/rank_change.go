package plotting

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"
)

// RankLine is the ranks of one architecture.
type RankLine struct {
	Name  string
	Ranks []float64 // by shared weights, one a save point: 1 is the best, NaN a gap
	Truth float64   // rank by the truth; NaN if unknown
}

// RankChangeData is what RankChange draws.
type RankChangeData struct {
	Title, Subtitle string
	SavePoints      []string // names of the save points, such as epochs
	XLabel          string   // default "epoch"
	TruthLabel      string   // of the last column; default "truth"
	Architectures   []RankLine
	Watermark       string
	Caption         string
}

const (
	rankHeight    = 420.0
	rankLegend    = 150.0
	rankNames     = 28 // architectures that are named one by one
	rankNameLine  = 16.0
	maxRankPoints = 10_000_000
	// More lines and save points than the document has bytes for are left out evenly.
	rankBytes    = 160_000
	maxRankPlots = 100 // save points
)

// RankChange draws how the ranks of architectures move from save point to save point, and
// to the truth: a line an architecture, rank 1 on top, coloured by true rank. Of more than
// some hundred architectures those at even distances by true rank are drawn.
func RankChange(data RankChangeData) (*Figure, error) {
	r, err := newRankChange(data)
	if err != nil {
		return nil, fmt.Errorf("figure of rank change: %w", err)
	}
	return r.figure(), nil
}

type rankChange struct {
	data    RankChangeData
	heading heading
	order   []int // to be drawn, the worst by truth first
	shown   []int // save points
	last    float64
	columns []float64 // pixels; the last is the truth
	x       scale
	y       scale
	height  float64
	caption []string
}

func newRankChange(data RankChangeData) (*rankChange, error) {
	if err := data.check(); err != nil {
		return nil, err
	}
	r := &rankChange{data: data, heading: heading{data.Watermark, data.Title, data.Subtitle}}
	if r.data.XLabel == "" {
		r.data.XLabel = "epoch"
	}
	if r.data.TruthLabel == "" {
		r.data.TruthLabel = "truth"
	}
	for i := range data.Architectures {
		r.order = append(r.order, i)
	}
	slices.SortStableFunc(r.order, func(i, j int) int {
		return cmp.Compare(placeOfTruth(data.Architectures[j]), placeOfTruth(data.Architectures[i]))
	})
	n := len(data.SavePoints)
	r.shown = evenly(n, maxRankPlots)
	// A line is its group, a disc, and about 14 bytes a point.
	all := r.order
	r.order = nil
	for _, k := range evenly(len(all), rankBytes/(240+14*len(r.shown))) {
		r.order = append(r.order, all[k])
	}
	r.layout()
	return r, nil
}

// evenly are at most most of n places, the first and the last among them.
func evenly(n, most int) []int {
	most = max(most, 2)
	out := make([]int, 0, min(n, most))
	for i := range min(n, most) {
		at := i
		if n > most {
			at = int(math.Round(float64(i) * float64(n-1) / float64(most-1)))
		}
		out = append(out, at)
	}
	return out
}

// placeOfTruth sorts the unknown behind all others.
func placeOfTruth(a RankLine) float64 {
	if math.IsNaN(a.Truth) {
		return math.Inf(1)
	}
	return a.Truth
}

func (d RankChangeData) check() error {
	switch {
	case len(d.Architectures) == 0:
		return fmt.Errorf("no architectures; give at least one")
	case len(d.SavePoints) == 0:
		return fmt.Errorf("no save points; give at least one")
	case len(d.Architectures)*len(d.SavePoints) > maxRankPoints:
		return fmt.Errorf("%s ranks; at most %s can be drawn, so leave out save points",
			count(len(d.Architectures)*len(d.SavePoints)), count(maxRankPoints))
	}
	for _, a := range d.Architectures {
		if len(a.Ranks) != len(d.SavePoints) {
			return fmt.Errorf("architecture %q: %d ranks at %d save points; give NaN where it has none", a.Name, len(a.Ranks), len(d.SavePoints))
		}
		if err := checkRanks(append(slices.Clone(a.Ranks), a.Truth)); err != nil {
			return fmt.Errorf("architecture %q: %w", a.Name, err)
		}
	}
	return nil
}

// maxRank is beyond any space that could be drawn.
const maxRank = 1e9

func checkRanks(ranks []float64) error {
	for _, v := range ranks {
		if v < 1 || v > maxRank {
			return fmt.Errorf("rank %v; ranks count from 1, the best, and are NaN where missing", v)
		}
	}
	return nil
}

func (r *rankChange) named() bool { return len(r.data.Architectures) <= rankNames }

func (r *rankChange) layout() {
	r.last = float64(len(r.data.Architectures))
	for _, a := range r.data.Architectures {
		for _, v := range append(slices.Clone(a.Ranks), a.Truth) {
			if !math.IsNaN(v) {
				r.last = max(r.last, v)
			}
		}
	}
	r.height = rankHeight
	if r.named() {
		r.height = max(120, rankNameLine*float64(len(r.data.Architectures))+40)
	}
	top := r.heading.height()
	r.x = scale{from: padding + 56, to: figureWidth - padding - rankLegend}
	lo, hi := 1.0, r.last
	if hi < 2 {
		lo, hi = 0.5, 1.5 // one architecture: in the middle
	}
	r.y = scale{lo: lo, hi: hi, from: top + 12, to: top + r.height - 12}
	n := len(r.shown)
	for k := range n + 1 {
		r.columns = append(r.columns, r.x.from+18+(r.x.to-r.x.from-36)*float64(k)/float64(n))
	}
	r.caption = captionLines(figureWidth,
		"One line is one architecture, its colour its rank by the "+r.data.TruthLabel+"; rank 1 is the best", r.leftOut(), r.missing(), r.data.Caption)
}

// leftOut says that not all is drawn.
func (r *rankChange) leftOut() string {
	var parts []string
	if n, all := len(r.order), len(r.data.Architectures); n < all {
		parts = append(parts, fmt.Sprintf("%s of %s architectures are drawn, at even distances by their true ranks", count(n), count(all)))
	}
	if n, all := len(r.shown), len(r.data.SavePoints); n < all {
		parts = append(parts, fmt.Sprintf("%s of %s save points are drawn", count(n), count(all)))
	}
	return strings.Join(parts, "; ")
}

// ranks of an architecture at the save points that are shown, and its true one.
func (r *rankChange) ranks(a RankLine) []float64 {
	out := make([]float64, 0, len(r.shown)+1)
	for _, k := range r.shown {
		out = append(out, a.Ranks[k])
	}
	return append(out, a.Truth)
}

// missing says how many lines have gaps.
func (r *rankChange) missing() string {
	gaps := 0
	for _, a := range r.data.Architectures {
		if slices.ContainsFunc(append(slices.Clone(a.Ranks), a.Truth), math.IsNaN) {
			gaps++
		}
	}
	if gaps == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %s have gaps: no rank there", gaps, plural(len(r.data.Architectures), "architecture"))
}

func (r *rankChange) colour(a RankLine) color.NRGBA {
	if math.IsNaN(a.Truth) {
		return randomColor
	}
	return rampAt((a.Truth - 1) / max(r.last-1, 1))
}

func (r *rankChange) lineWidth() float64 {
	switch n := len(r.order); {
	case n <= rankNames:
		return 2
	case n <= 100:
		return 1.2
	}
	return 0.8
}

func (r *rankChange) figure() *Figure {
	top := r.heading.height()
	base := top + r.height
	caption := base + 62
	return &Figure{
		width: figureWidth, height: int(math.Ceil(caption + captionLine*float64(len(r.caption)-1) + padding)),
		title: r.data.Title, desc: r.describe(),
		draw: func(p *pen) {
			r.heading.draw(p, figureWidth)
			r.axes(p, top, base)
			stamp(p, r.data.Watermark, r.x.from, top, r.x.to-r.x.from, base-top)
			for _, i := range r.order {
				r.drawLine(p, r.data.Architectures[i])
			}
			if r.named() {
				r.names(p, top, base)
			} else {
				r.colourBar(p)
			}
			drawCaption(p, caption, r.caption)
		},
	}
}

func (r *rankChange) axes(p *pen, top, base float64) {
	ticks := rankTicks(int(math.Ceil(r.last)), 6)
	p.leftAxis(r.y, ticks, r.x.from, r.x.to)
	p.line(r.x.from, top, r.x.from, base, 1, axisColor)
	p.turned(padding+6, (top+base)/2, math.Pi/2, labelText.fit("rank in the pool", r.height), labelText)
	p.group("axis x-axis", "", func() {
		p.line(r.x.from, base, r.x.to, base, 1, axisColor)
		for k, label := range r.columnLabels() {
			x := r.columns[k]
			if label == "" {
				p.line(x, base, x, base+3, 1, axisColor)
				continue
			}
			p.line(x, top, x, base, 1, gridColor)
			p.line(x, base, x, base+5, 1, axisColor)
			p.text(x, base+18, label, tickText, centre)
		}
	})
	end := r.columns[len(r.columns)-1]
	p.line(end, top, end, base, 1, axisColor)
	p.text(end, base+18, r.truthLabel(), strongText, centre)
	p.text((r.columns[0]+end)/2, base+38, r.data.XLabel, labelText, centre)
}

func (r *rankChange) truthLabel() string { return strongText.fit(r.data.TruthLabel, 80) }

// columnLabels are the names of the save points, of as many as there is room for.
func (r *rankChange) columnLabels() []string {
	const longest = 90
	out := make([]string, len(r.shown))
	widest := 0.0
	for k, at := range r.shown {
		out[k] = tickText.fit(r.data.SavePoints[at], longest)
		widest = max(widest, tickText.width(out[k]))
	}
	gap := r.columns[1] - r.columns[0]
	every := max(1, int(math.Ceil((widest+10)/gap)))
	edge := r.columns[len(out)] - strongText.width(r.truthLabel())/2 - 8
	for k := range out {
		if k%every != 0 || r.columns[k]+tickText.width(out[k])/2 > edge {
			out[k] = ""
		}
	}
	return out
}

func (r *rankChange) drawLine(p *pen, a RankLine) {
	pts := make([]xy, len(r.columns))
	for k, v := range r.ranks(a) {
		pts[k] = xy{r.columns[k], r.y.at(v)}
	}
	c, width := r.colour(a), r.lineWidth()
	p.group("architecture", a.Name, func() {
		p.gapped(pts, width, width+0.8, withAlpha(c, 0xd8), nil)
		if end := pts[len(pts)-1]; !math.IsNaN(end.y) {
			p.disc(end.x, end.y, width+1, c)
		}
	})
}

// names writes the architectures beside their true ranks; those of unknown truth come
// last.
func (r *rankChange) names(p *pen, top, base float64) {
	order := slices.Clone(r.order)
	slices.Reverse(order)
	want := make([]float64, len(order))
	for k, i := range order {
		want[k] = r.y.at(r.data.Architectures[i].Truth)
		if math.IsNaN(want[k]) {
			want[k] = base
		}
	}
	x := r.x.to - 6
	for k, y := range spreadOut(want, rankNameLine-2, top+8, base-6) {
		a := r.data.Architectures[order[k]]
		p.group("legend", a.Name, func() {
			p.middle(x, y, tickText.fit(a.Name, figureWidth-padding-x), tickText.in(inkColor), left)
		})
	}
}

// colourBar tells the colours where there are too many lines to name.
func (r *rankChange) colourBar(p *pen) {
	const width, steps = 14.0, 48
	x := r.x.to + 26
	p.group("legend", "", func() {
		step := (r.y.to - r.y.from) / steps
		for k := range steps {
			// A little over the next one, so that no seams show.
			p.rect(x, r.y.from+step*float64(k), width, min(step+0.6, r.y.to-r.y.from-step*float64(k)), rampAt((float64(k)+0.5)/steps))
		}
		for _, t := range rankTicks(int(math.Ceil(r.last)), 5) {
			y := r.y.at(t.v)
			p.line(x+width, y, x+width+4, y, 1, axisColor)
			p.middle(x+width+8, y, t.label, tickText, left)
		}
		p.turned(x+width+52, (r.y.from+r.y.to)/2, math.Pi/2, labelText.fit("rank by the "+r.data.TruthLabel, r.height), labelText)
	})
}

func (r *rankChange) describe() string {
	return joinSentences(r.data.Watermark,
		fmt.Sprintf("Ranks of %s at %s and by the %s", plural(len(r.data.Architectures), "architecture"),
			plural(len(r.data.SavePoints), "save point"), r.data.TruthLabel), r.missing())
}
