package plotting

import (
	"bytes"
	"fmt"
	"image/png"
	"math"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
)

// maxPixels bounds the longer side of a PNG.
const maxPixels = 16_384

// Figure is a finished figure. It is immutable and safe for concurrent use.
type Figure struct {
	width, height int
	title, desc   string
	draw          func(*pen)
	theme         Theme
}

// In is the same figure in a theme; a new one is Light.
func (f *Figure) In(t Theme) *Figure {
	themed := *f
	themed.theme = t
	return &themed
}

// Size is the width and height in CSS pixels.
func (f *Figure) Size() (width, height int) { return f.width, f.height }

// PixelSize is the size of PNG(scale) in pixels.
func (f *Figure) PixelSize(scale float64) (width, height int) {
	dpi := math.Round(72 * scale)
	at := func(n int) int { return int(float64(n)*dpi/72 + 0.5) }
	return at(f.width), at(f.height)
}

// Title is the figure's title, empty if it has none.
func (f *Figure) Title() string { return f.title }

// Description says in words what the figure shows: its alternative text.
func (f *Figure) Description() string { return f.desc }

// SVG returns the figure as a document of its own. The same data give the same
// bytes.
func (f *Figure) SVG() ([]byte, error) {
	c := newSVGCanvas(f.width, f.height, f.title, f.desc)
	c.adaptive = f.theme == Adaptive
	f.paint(c)
	return c.finish(), nil
}

// PNG returns the figure with scale pixels a CSS pixel: 2 for the screens of
// today, 0.25 to 10 allowed.
func (f *Figure) PNG(scale float64) ([]byte, error) {
	if !(scale >= 0.25 && scale <= 10) {
		return nil, fmt.Errorf("png: scale %v; allowed are 0.25 to 10", scale)
	}
	if w, h := f.PixelSize(scale); max(w, h) > maxPixels {
		return nil, fmt.Errorf("png: %d x %d pixels at scale %v; allowed are %d a side, so use a smaller scale", w, h, scale, maxPixels)
	}
	c := vgimg.NewWith(
		vgimg.UseWH(vg.Length(f.width), vg.Length(f.height)),
		vgimg.UseDPI(int(math.Round(72*scale))), // a point of the canvas is a CSS pixel
	)
	f.paint(c)
	var out bytes.Buffer
	if err := png.Encode(&out, c.Image()); err != nil {
		return nil, fmt.Errorf("png: %w", err)
	}
	return out.Bytes(), nil
}

func (f *Figure) paint(c vg.Canvas) {
	p := newPen(c, float64(f.height), f.theme)
	p.rect(0, 0, float64(f.width), float64(f.height), cardColor)
	f.draw(p)
	p.frame(0.5, 0.5, float64(f.width)-1, float64(f.height)-1, borderColor)
}

// joinSentences makes a description of its parts.
func joinSentences(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, strings.TrimSuffix(p, ".")+".")
		}
	}
	return strings.Join(kept, " ")
}
