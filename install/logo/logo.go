// Package logo draws the project's mark: a small cell of a network, input to
// output, on a dark tile. The shapes are listed once; SVG and Image render the
// same list. The files beside this one are made by
//
//	go generate ./install/logo
//
// and embedded into the binary; a test holds them to this source.
package logo

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strings"
)

//go:generate go run ./gen

// The mark is drawn on a square of side 64.
const side = 64

var (
	tile   = color.RGBA{0x1f, 0x2a, 0x44, 0xff}
	edge   = color.RGBA{0x8f, 0xa3, 0xc8, 0xff}
	end    = color.RGBA{0xf5, 0xf7, 0xfa, 0xff}
	teal   = color.RGBA{0x2e, 0xc4, 0xb6, 0xff}
	amber  = color.RGBA{0xff, 0xb7, 0x03, 0xff}
	salmon = color.RGBA{0xf2, 0x6d, 0x5b, 0xff}
)

// shape is one filled figure in the coordinates of the square.
type shape interface {
	svg() string
	covers(x, y float64) bool
	fill() color.RGBA
}

type disc struct {
	x, y, r float64
	c       color.RGBA
}

type line struct {
	x1, y1, x2, y2, width float64
	c                     color.RGBA
}

type roundedTile struct {
	inset, r float64
	c        color.RGBA
}

// shapes lists the mark from back to front.
func shapes() []shape {
	return []shape{
		roundedTile{1, 13, tile},
		line{12, 32, 31, 15, 3.5, edge},
		line{12, 32, 31, 49, 3.5, edge},
		line{12, 32, 52, 32, 3.5, edge},
		line{31, 15, 31, 49, 3.5, edge},
		line{31, 15, 52, 32, 3.5, edge},
		line{31, 49, 52, 32, 3.5, edge},
		disc{12, 32, 6, end},
		disc{31, 15, 7.5, teal},
		disc{31, 49, 7.5, amber},
		disc{52, 32, 6, salmon},
	}
}

// SVG is the mark as a vector image.
func SVG() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", side, side, side, side)
	b.WriteString("  <title>evalnas</title>\n")
	for _, s := range shapes() {
		fmt.Fprintf(&b, "  %s\n", s.svg())
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// Image is the mark in pixels, size a side, with a transparent ground.
func Image(size int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	list := shapes()
	for y := range size {
		for x := range size {
			img.SetNRGBA(x, y, pixel(list, x, y, size))
		}
	}
	return img
}

// pixel averages samples x samples points, which is all the anti-aliasing that
// discs and lines need.
func pixel(list []shape, px, py, size int) color.NRGBA {
	const samples = 16
	var r, g, b, hits int
	for i := range samples * samples {
		x := (float64(px) + (float64(i%samples)+.5)/samples) * side / float64(size)
		y := (float64(py) + (float64(i/samples)+.5)/samples) * side / float64(size)
		if c, ok := top(list, x, y); ok {
			r, g, b, hits = r+int(c.R), g+int(c.G), b+int(c.B), hits+1
		}
	}
	if hits == 0 {
		return color.NRGBA{}
	}
	return color.NRGBA{uint8(r / hits), uint8(g / hits), uint8(b / hits), uint8(hits * 255 / (samples * samples))}
}

// top is the colour of the front shape at a point.
func top(list []shape, x, y float64) (color.RGBA, bool) {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].covers(x, y) {
			return list[i].fill(), true
		}
	}
	return color.RGBA{}, false
}

func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func (d disc) svg() string {
	return fmt.Sprintf(`<circle cx="%g" cy="%g" r="%g" fill="%s"/>`, d.x, d.y, d.r, hex(d.c))
}
func (d disc) fill() color.RGBA         { return d.c }
func (d disc) covers(x, y float64) bool { return math.Hypot(x-d.x, y-d.y) <= d.r }

func (l line) svg() string {
	return fmt.Sprintf(`<path d="M%g %gL%g %g" stroke="%s" stroke-width="%g"/>`, l.x1, l.y1, l.x2, l.y2, hex(l.c), l.width)
}
func (l line) fill() color.RGBA { return l.c }

// covers is true within half the width of the segment. The ends, square in
// SVG and round here, lie under discs.
func (l line) covers(x, y float64) bool {
	dx, dy := l.x2-l.x1, l.y2-l.y1
	t := ((x-l.x1)*dx + (y-l.y1)*dy) / (dx*dx + dy*dy)
	t = min(max(t, 0), 1)
	return math.Hypot(x-l.x1-t*dx, y-l.y1-t*dy) <= l.width/2
}

func (t roundedTile) svg() string {
	w := side - 2*t.inset
	return fmt.Sprintf(`<rect x="%g" y="%g" width="%g" height="%g" rx="%g" fill="%s"/>`, t.inset, t.inset, w, w, t.r, hex(t.c))
}
func (t roundedTile) fill() color.RGBA { return t.c }

// covers measures from the middle, where one quarter stands for all four.
func (t roundedTile) covers(x, y float64) bool {
	const middle = side / 2
	flat := middle - t.inset - t.r
	dx, dy := max(math.Abs(x-middle)-flat, 0), max(math.Abs(y-middle)-flat, 0)
	return math.Hypot(dx, dy) <= t.r
}
