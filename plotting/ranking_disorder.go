package plotting

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
)

// DisorderPanel is one ranking of a pool by shared weights, such as that of one seed.
type DisorderPanel struct {
	Name         string
	Shared, True []float64 // ranks of the same architectures, 1 the best; NaN where missing
	Tau          float64   // NaN where it is undefined
}

// RankingDisorderData is what RankingDisorder draws.
type RankingDisorderData struct {
	Title, Subtitle string
	Panels          []DisorderPanel // 1 to 10
	By              string          // what ranks, default "shared weights"
	// Place is that of the policy among those of the report's other figures, from 0: it
	// has its colour.
	Place     int
	Watermark string
	Caption   string
}

const (
	maxPanels       = 10
	maxPanelPoints  = 5_000_000
	maxPanelDiscs   = 1500 // in all; more are counted in squares
	maxSquares      = 2400 // of all panels
	densityLevels   = 6
	densityRange    = 24.0 // between the most and what is in the lowest level
	disorderTicks   = 44.0 // least room for ticks and label at the left
	disorderHeading = 36.0 // of a panel
)

// RankingDisorder draws ranks by shared weights against ranks by truth, one panel a run:
// the best architectures are on top and at the left, and on the diagonal where both agree.
// More than 1,500 points are counted in squares.
func RankingDisorder(data RankingDisorderData) (*Figure, error) {
	d, err := newDisorder(data)
	if err != nil {
		return nil, fmt.Errorf("figure of ranking disorder: %w", err)
	}
	return d.figure(), nil
}

type disorder struct {
	data          RankingDisorderData
	heading       heading
	style         seriesStyle
	columns, rows int
	side, gap     float64
	width         float64
	last          float64 // the greatest rank of all panels
	ticks         float64 // room for ticks and label at the left
	radius        float64
	squares       int // a side of a panel; 0: every point is drawn
	levels        []int
	caption       []string
}

func (d *disorder) by() string { return cmp.Or(d.data.By, "shared weights") }

func newDisorder(data RankingDisorderData) (*disorder, error) {
	if n := len(data.Panels); n < 1 || n > maxPanels {
		return nil, fmt.Errorf("%d panels; give 1 to %d", n, maxPanels)
	}
	if err := checkPlace(data.Place); err != nil {
		return nil, err
	}
	d := &disorder{data: data, heading: heading{data.Watermark, data.Title, data.Subtitle}, style: placeStyle(data.Place), last: 2}
	points := 0
	for _, panel := range data.Panels {
		if err := panel.check(); err != nil {
			return nil, fmt.Errorf("panel %q: %w", panel.Name, err)
		}
		points += len(panel.True)
		for i, v := range panel.True {
			if !math.IsNaN(v) {
				d.last = max(d.last, v)
			}
			if s := panel.Shared[i]; !math.IsNaN(s) {
				d.last = max(d.last, s)
			}
		}
	}
	if points > maxPanelPoints {
		return nil, fmt.Errorf("%s points; at most %s can be drawn, so take a part of the pool", count(points), count(maxPanelPoints))
	}
	d.layout()
	return d, nil
}

func (d DisorderPanel) check() error {
	if len(d.Shared) != len(d.True) {
		return fmt.Errorf("%d ranks by shared weights and %d by truth; they must be of the same architectures", len(d.Shared), len(d.True))
	}
	if math.Abs(d.Tau) > 1 {
		return fmt.Errorf("a tau of %v; it lies in -1..1, NaN where it is undefined", d.Tau)
	}
	if err := checkRanks(d.Shared); err != nil {
		return err
	}
	return checkRanks(d.True)
}

// drawn counts the architectures that have both ranks.
func (d DisorderPanel) drawn() (n int) {
	for i, v := range d.True {
		if !math.IsNaN(v + d.Shared[i]) {
			n++
		}
	}
	return n
}

func (d *disorder) layout() {
	n := len(d.data.Panels)
	d.columns, d.rows = n, 1
	if n > 4 {
		d.columns, d.rows = (n+1)/2, 2
	}
	d.side = []float64{380, 360, 242, 180, 138}[d.columns-1]
	d.gap = 20
	d.ticks = max(disorderTicks, tickText.width(count(int(math.Ceil(d.last))))+24)
	d.width = max(2*padding+d.ticks+d.side*float64(d.columns)+d.gap*float64(d.columns-1), 560)
	most, missing := 0, 0
	for _, panel := range d.data.Panels {
		most = max(most, panel.drawn())
		missing += len(panel.True) - panel.drawn()
	}
	d.radius = 3.6
	if most > 60 || d.side < 200 {
		d.radius = 2.4
	}
	if most > 500 || most > 60 && d.side < 200 {
		d.radius = 1.6
	}
	drawn := 0
	for _, panel := range d.data.Panels {
		drawn += panel.drawn()
	}
	what := "One point is one architecture of the pool, rank 1 the best; on the dashed line both ranks are equal"
	if drawn > maxPanelDiscs {
		d.squares = max(8, min(int(math.Sqrt(maxSquares/float64(n))), int(d.side/7)))
		d.setLevels()
		what = "The stronger the colour of a square, the more architectures of the pool it holds; rank 1 is the best, and on the dashed line both ranks are equal"
	}
	gaps := ""
	if missing > 0 {
		gaps = plural(missing, "point") + " without one of the two ranks are not drawn"
	}
	d.caption = captionLines(d.width, what, gaps, d.data.Caption)
}

// counted is how many architectures each square of a panel holds, row by row.
func (d *disorder) counted(panel DisorderPanel) []int {
	out := make([]int, d.squares*d.squares)
	at := func(rank float64) int {
		return min(int((rank-1)/max(d.last-1, 1)*float64(d.squares)), d.squares-1)
	}
	for k, v := range panel.True {
		if s := panel.Shared[k]; !math.IsNaN(v + s) {
			out[at(s)*d.squares+at(v)]++
		}
	}
	return out
}

// setLevels divides the counts of all panels into steps of equal ratio, the lowest of which
// holds all that is much less than the most: each level starts at its count.
func (d *disorder) setLevels() {
	most := 1
	for _, panel := range d.data.Panels {
		most = max(most, slices.Max(d.counted(panel)))
	}
	d.levels = []int{1}
	for k := 1; k < densityLevels; k++ {
		from := int(math.Round(float64(most) * math.Pow(densityRange, float64(k)/densityLevels-1)))
		if from > d.levels[len(d.levels)-1] {
			d.levels = append(d.levels, from)
		}
	}
}

// levelColor of the series' colour is faint for few.
func (d *disorder) levelColor(level int) color.NRGBA {
	part := 1.0
	if n := len(d.levels); n > 1 {
		part = float64(level) / float64(n-1)
	}
	return withAlpha(d.style.color, uint8(math.Round(0x28+part*(0xff-0x28))))
}

// drawSquares draws those of a level as one path, neighbours in a row as one rectangle.
func (d *disorder) drawSquares(p *pen, panel DisorderPanel, across, down scale) {
	counts := d.counted(panel)
	edge := func(s scale, i int) float64 {
		return s.at(1 + max(d.last-1, 1)*float64(i)/float64(d.squares))
	}
	for level := range d.levels {
		has := func(row, column int) bool {
			return column < d.squares && d.levelOf(counts[row*d.squares+column]) == level
		}
		var path vg.Path
		for row := range d.squares {
			for from := 0; from < d.squares; from++ {
				if !has(row, from) {
					continue
				}
				to := from + 1
				for has(row, to) {
					to++
				}
				x0, x1, y0, y1 := edge(across, from), edge(across, to), edge(down, row), edge(down, row+1)
				path = append(path, p.path([]xy{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}, true)...)
				from = to
			}
		}
		if len(path) > 0 {
			p.ink(d.levelColor(level))
			p.c.Fill(path)
		}
	}
}

// levelOf is -1 for an empty square.
func (d *disorder) levelOf(n int) int {
	level := -1
	for k, from := range d.levels {
		if n >= from {
			level = k
		}
	}
	return level
}

// drawLevels is the legend of the squares, to the left of x.
func (d *disorder) drawLevels(p *pen, x, y float64) {
	p.group("legend", "", func() {
		for k := len(d.levels) - 1; k >= 0; k-- {
			label := count(d.levels[k])
			p.text(x, y, label, tickText, right)
			x -= tickText.width(label) + 5
			p.rect(x-11, y-9, 11, 11, d.levelColor(k))
			x -= 11 + 12
		}
		p.text(x, y, "architectures, at least", tickText, right)
	})
}

func (d *disorder) figure() *Figure {
	top := d.heading.height()
	bottom := top + float64(d.rows)*(disorderHeading+d.side) + float64(d.rows-1)*30
	caption := bottom + 62
	return &Figure{
		width: int(d.width), height: int(math.Ceil(caption + d.legendHeight() + captionLine*float64(len(d.caption)-1) + padding)),
		title: d.data.Title, desc: d.describe(),
		draw: func(p *pen) {
			d.heading.draw(p, d.width)
			left := padding + d.ticks
			for i := range d.data.Panels {
				x := left + float64(i%d.columns)*(d.side+d.gap)
				y := top + disorderHeading + float64(i/d.columns)*(d.side+disorderHeading+30)
				d.drawPanel(p, i, x, y)
			}
			right := left + float64(d.columns)*(d.side+d.gap) - d.gap
			p.text((left+right)/2, bottom+38, "rank by truth", labelText, centre)
			p.turned(padding+2, (top+bottom)/2, math.Pi/2, "rank by "+d.by(), labelText)
			if d.squares > 0 {
				d.drawLevels(p, right, caption-2)
			}
			drawCaption(p, caption+d.legendHeight(), d.caption)
		},
	}
}

func (d *disorder) legendHeight() float64 {
	if d.squares > 0 {
		return 20
	}
	return 0
}

// drawPanel draws panel i with its plot's upper left corner at (x, y).
func (d *disorder) drawPanel(p *pen, i int, x, y float64) {
	panel := d.data.Panels[i]
	air := 0.02*d.last + 0.2
	across := scale{lo: 1 - air, hi: d.last + air, from: x, to: x + d.side}
	down := scale{lo: 1 - air, hi: d.last + air, from: y, to: y + d.side}
	ticks := rankTicks(int(math.Ceil(d.last)), max(2, int(d.side/60)))
	p.group("panel", panel.Name, func() {
		p.text(x, y-20, strongText.fit(panel.Name, d.side), strongText.in(d.style.text), left)
		p.text(x, y-6, tickText.fit(panel.note(), d.side), tickText, left)
		d.leftAxis(p, down, ticks, x, i%d.columns == 0)
		p.bottomAxis(across, ticks, y, y+d.side)
		if d.squares > 0 {
			p.group("squares", panel.Name, func() { d.drawSquares(p, panel, across, down) })
		}
		diagonal := mutedColor
		if d.squares > 0 {
			diagonal = inkColor // over colours
		}
		p.polyline([]xy{{across.at(1), down.at(1)}, {across.at(d.last), down.at(d.last)}}, 1.2, diagonal, dashes[1])
		stamp(p, d.data.Watermark, x, y, d.side, d.side)
		if d.squares > 0 {
			return
		}
		p.group("points", panel.Name, func() {
			for k, v := range panel.True {
				if s := panel.Shared[k]; !math.IsNaN(v + s) {
					p.disc(across.at(v), down.at(s), d.radius, withAlpha(d.style.color, 0xa8))
				}
			}
		})
	})
}

// leftAxis has labels in the first column of panels only.
func (d *disorder) leftAxis(p *pen, s scale, ticks []tick, x float64, labelled bool) {
	if labelled {
		p.leftAxis(s, ticks, x, x+d.side)
		return
	}
	for _, t := range ticks {
		p.line(x, s.at(t.v), x+d.side, s.at(t.v), 1, gridColor)
	}
	p.line(x, s.from, x, s.to, 1, axisColor)
}

func (d DisorderPanel) note() string {
	tau := "undefined"
	if !math.IsNaN(d.Tau) {
		tau = fixed(d.Tau, 3)
	}
	return fmt.Sprintf("tau %s, n = %s", tau, count(d.drawn()))
}

func (d *disorder) describe() string {
	parts := []string{d.data.Watermark, "Rank by " + d.by() + " against rank by truth"}
	for _, panel := range d.data.Panels {
		parts = append(parts, panel.Name+": "+panel.note())
	}
	return joinSentences(parts...)
}
