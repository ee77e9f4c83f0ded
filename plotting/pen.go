package plotting

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// pen draws on a vg canvas in CSS pixels with y downwards, as figures are laid
// out.
type pen struct {
	c      vg.Canvas
	height float64
	theme  Theme
}

// svgExtras are what an SVG canvas can do beyond vg.
type svgExtras interface {
	anchoredString(f font.Face, pt vg.Point, text, anchor string)
	beginGroup(class, name string)
	endGroup()
}

func newPen(c vg.Canvas, height float64, theme Theme) *pen {
	return &pen{c: c, height: height, theme: theme}
}

// ink sets the colour, given as that of the light theme.
func (p *pen) ink(c color.NRGBA) { p.c.SetColor(p.theme.in(c)) }

func (p *pen) pt(x, y float64) vg.Point {
	return vg.Point{X: vg.Length(x), Y: vg.Length(p.height - y)}
}

// group names what draw draws, where the canvas can.
func (p *pen) group(class, name string, draw func()) {
	if g, ok := p.c.(svgExtras); ok {
		g.beginGroup(class, name)
		defer g.endGroup()
	}
	draw()
}

type xy struct{ x, y float64 }

func (p *pen) path(pts []xy, closed bool) vg.Path {
	var path vg.Path
	for i, q := range pts {
		if i == 0 {
			path.Move(p.pt(q.x, q.y))
		} else {
			path.Line(p.pt(q.x, q.y))
		}
	}
	if closed {
		path.Close()
	}
	return path
}

func (p *pen) fill(pts []xy, c color.NRGBA) {
	if len(pts) < 3 {
		return
	}
	p.ink(c)
	p.c.Fill(p.path(pts, true))
}

func (p *pen) stroke(path vg.Path, width float64, c color.NRGBA, dash []vg.Length) {
	p.ink(c)
	p.c.SetLineWidth(vg.Length(width))
	p.c.SetLineDash(dash, 0)
	p.c.Stroke(path)
}

func (p *pen) polyline(pts []xy, width float64, c color.NRGBA, dash []vg.Length) {
	if len(pts) > 1 {
		p.stroke(p.path(pts, false), width, c, dash)
	}
}

// gapped draws a line through points and leaves gaps where y is NaN. A point between two
// gaps would be lost: it is drawn as a disc of radius r.
func (p *pen) gapped(pts []xy, width, r float64, c color.NRGBA, dash []vg.Length) {
	for _, run := range runsOf(pts) {
		if len(run) == 1 {
			p.disc(run[0].x, run[0].y, r, c)
		}
		p.polyline(run, width, c, dash)
	}
}

// runsOf splits points where y is NaN.
func runsOf(pts []xy) [][]xy {
	var out [][]xy
	open := false
	for _, q := range pts {
		if math.IsNaN(q.y) {
			open = false
			continue
		}
		if !open {
			out, open = append(out, nil), true
		}
		out[len(out)-1] = append(out[len(out)-1], q)
	}
	return out
}

func (p *pen) line(x0, y0, x1, y1, width float64, c color.NRGBA) {
	p.polyline([]xy{{x0, y0}, {x1, y1}}, width, c, nil)
}

func (p *pen) rect(x, y, w, h float64, c color.NRGBA) {
	p.fill([]xy{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}, c)
}

func (p *pen) frame(x, y, w, h float64, c color.NRGBA) {
	p.stroke(p.path([]xy{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}, true), 1, c, nil)
}

// rounded is the outline of a rectangle with corners of radius r.
func (p *pen) rounded(x, y, w, h, r float64) vg.Path {
	r = min(r, w/2, h/2)
	k := 0.5522847498 * r // control length of a quarter circle
	var path vg.Path
	path.Move(p.pt(x+r, y))
	path.Line(p.pt(x+w-r, y))
	path.CubeTo(p.pt(x+w-r+k, y), p.pt(x+w, y+r-k), p.pt(x+w, y+r))
	path.Line(p.pt(x+w, y+h-r))
	path.CubeTo(p.pt(x+w, y+h-r+k), p.pt(x+w-r+k, y+h), p.pt(x+w-r, y+h))
	path.Line(p.pt(x+r, y+h))
	path.CubeTo(p.pt(x+r-k, y+h), p.pt(x, y+h-r+k), p.pt(x, y+h-r))
	path.Line(p.pt(x, y+r))
	path.CubeTo(p.pt(x, y+r-k), p.pt(x+r-k, y), p.pt(x+r, y))
	path.Close()
	return path
}

func (p *pen) pill(x, y, w, h, r float64, fill, edge color.NRGBA) {
	path := p.rounded(x, y, w, h, r)
	p.ink(fill)
	p.c.Fill(path)
	p.stroke(path, 1.2, edge, nil)
}

func (p *pen) disc(x, y, r float64, c color.NRGBA) {
	p.ink(c)
	p.c.Fill(p.circle(x, y, r))
}

func (p *pen) circle(x, y, r float64) vg.Path {
	var path vg.Path
	path.Arc(p.pt(x, y), vg.Length(r), 0, 2*math.Pi)
	return path
}

// dot is one point of a series: filled with a rim of the card's colour, or a ring.
func (p *pen) dot(x, y, r float64, s seriesStyle) {
	if s.hollow {
		p.disc(x, y, r, cardColor)
		p.stroke(p.circle(x, y, r-0.4), 1.6, s.color, nil)
		return
	}
	p.disc(x, y, r, withAlpha(s.color, 0xd8))
	p.stroke(p.circle(x, y, r), 0.8, cardColor, nil)
}

// marker is a point on the line of a series, in its shape and about as large as a disc of
// radius r.
func (p *pen) marker(x, y, r float64, s seriesStyle) {
	if s.shape == roundShape {
		p.dot(x, y, r, s)
		return
	}
	corners := s.shape.corners()
	pts := make([]xy, len(corners))
	for i, c := range corners {
		pts[i] = xy{x + float64(r*c.x), y + float64(r*c.y)}
	}
	path := p.path(pts, true)
	fill, edge, width := s.color, cardColor, 0.8
	if s.hollow {
		fill, edge, width = cardColor, s.color, 1.6
	}
	p.ink(fill)
	p.c.Fill(path)
	p.stroke(path, width, edge, nil)
}

// corners are those of a shape with about the area of the unit disc.
func (s shape) corners() []xy {
	switch s {
	case squareShape:
		return []xy{{-0.89, -0.89}, {0.89, -0.89}, {0.89, 0.89}, {-0.89, 0.89}}
	case upShape:
		return []xy{{0, -1.45}, {1.3, 0.85}, {-1.3, 0.85}}
	case diamondShape:
		return []xy{{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}}
	case downShape:
		return []xy{{0, 1.45}, {-1.3, -0.85}, {1.3, -0.85}}
	}
	const in, out = 0.45, 1.3 // a cross
	return []xy{{-in, -out}, {in, -out}, {in, -in}, {out, -in}, {out, in}, {in, in},
		{in, out}, {-in, out}, {-in, in}, {-out, in}, {-out, -in}, {-in, -in}}
}

// markerGap is how far apart the markers on a line are, in pixels.
const markerGap = 110.0

// along draws the i-th of n series' markers on its line: at other places than those of the
// series before it, and at its end.
func (p *pen) along(pts []xy, r float64, s seriesStyle, i, n int) {
	var last *xy
	for _, run := range runsOf(pts) {
		end := run[len(run)-1]
		for x := run[0].x + markerGap*(float64(i%n)+0.5)/float64(n); x < end.x-6*r; x += markerGap {
			p.marker(x, lineAt(run, x), r, s)
		}
		last = &end
	}
	if last != nil {
		p.marker(last.x, last.y, r, s)
	}
}

// lineAt is the height at x of a line that runs to the right.
func lineAt(run []xy, x float64) float64 {
	for i := 1; i < len(run); i++ {
		if a, b := run[i-1], run[i]; x <= b.x && b.x > a.x {
			return a.y + float64((b.y-a.y)*(x-a.x)/(b.x-a.x))
		}
	}
	return run[len(run)-1].y
}

// sample is a series' line in a legend, 20 pixels long.
func (p *pen) sample(x, y float64, s seriesStyle) {
	p.polyline([]xy{{x, y}, {x + 20, y}}, 3, s.color, s.dash)
	p.marker(x+10, y, 4, s)
}

type anchor int

const (
	left anchor = iota
	centre
	right
)

var svgAnchors = [...]string{"start", "middle", "end"}

// text writes s with its baseline at y.
func (p *pen) text(x, y float64, s string, style textStyle, a anchor) {
	if s == "" {
		return
	}
	p.ink(style.color)
	p.string(p.pt(x, y), s, style, a)
}

// middle writes s with the middle of its capitals at y.
func (p *pen) middle(x, y float64, s string, style textStyle, a anchor) {
	p.text(x, y+0.36*style.size, s, style, a)
}

// turned writes s around (x, y), turned counter-clockwise by rad.
func (p *pen) turned(x, y, rad float64, s string, style textStyle) {
	p.c.Push()
	defer p.c.Pop()
	p.c.Translate(p.pt(x, y))
	p.c.Rotate(rad)
	p.ink(style.color)
	p.string(vg.Point{Y: vg.Length(-0.36 * style.size)}, s, style, centre)
}

func (p *pen) string(pt vg.Point, s string, style textStyle, a anchor) {
	face := style.face()
	if c, ok := p.c.(svgExtras); ok {
		c.anchoredString(face, pt, s, svgAnchors[a])
		return
	}
	pt.X -= face.Width(s) * vg.Length(a) / 2
	p.c.FillString(face, pt, s)
}
