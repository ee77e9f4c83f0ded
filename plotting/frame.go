package plotting

import (
	"math"
	"slices"
	"strings"
)

const (
	figureWidth = 860
	padding     = 18.0
)

// heading is what stands above a figure: watermark, title, subtitle.
type heading struct{ watermark, title, subtitle string }

const bannerHeight = 26.0

// height is where the drawing below the heading may start.
func (h heading) height() float64 {
	y := padding
	if h.watermark != "" {
		y += bannerHeight
	}
	if h.title != "" {
		y += 16
	}
	if h.subtitle != "" {
		y += 18
	}
	if h.title != "" || h.subtitle != "" {
		y += 10
	}
	return y
}

func (h heading) draw(p *pen, width float64) {
	y := padding - 4
	if h.watermark != "" {
		p.group("watermark", "", func() {
			p.rect(0, 0, width, bannerHeight, alarmColor)
			style := textStyle{size: 13, bold: true, color: cardColor}
			p.middle(width/2, bannerHeight/2, style.fit(h.watermark, width-2*padding), style, centre)
		})
		y += bannerHeight
	}
	if h.title != "" {
		y += 15
		p.text(padding, y, titleText.fit(h.title, width-2*padding), titleText, left)
	}
	if h.subtitle != "" {
		y += 18
		p.text(padding, y, subtitleText.fit(h.subtitle, width-2*padding), subtitleText, left)
	}
}

// stamp writes the watermark's first word (up to a colon) large and faint over
// a panel, so that it survives a crop of the banner.
func stamp(p *pen, watermark string, x, y, w, h float64) {
	if watermark == "" {
		return
	}
	word, _, _ := strings.Cut(watermark, ":")
	p.group("watermark", "", func() {
		style := textStyle{size: min(84, 0.42*h), bold: true, color: withAlpha(alarmColor, 30)}
		if tw := style.width(word); tw > 0.8*w {
			style.size *= 0.8 * w / tw
		}
		p.turned(x+w/2, y+h/2, math.Atan2(h, w)*0.5, word, style)
	})
}

// captionLines wraps a caption for the width of a figure.
func captionLines(width float64, sentences ...string) []string {
	return captionText.wrap(joinSentences(sentences...), width-2*padding)
}

const captionLine = 15.0

func drawCaption(p *pen, y float64, lines []string) {
	p.group("caption", "", func() {
		for i, l := range lines {
			p.text(padding, y+captionLine*float64(i), l, captionText, left)
		}
	})
}

// outlined fills the step curve of a histogram and draws its edge, which is seen where the
// fill is too faint.
func (p *pen) outlined(pts []xy) {
	p.fill(pts, fillColor)
	if len(pts) > 2 {
		p.polyline(pts[1:len(pts)-1], 1, outlineColor, nil)
	}
}

// outline is the histogram as a filled step curve, held on the axis.
func (h histogram) outline(x scale, base, height float64) []xy {
	top := 0
	for _, b := range h.counts {
		top = max(top, b)
	}
	if top == 0 {
		return nil
	}
	pts := []xy{{x.clamped(h.start), base}}
	for i, b := range h.counts {
		y := base - height*float64(b)/float64(top)
		from := h.start + h.width*float64(i)
		pts = append(pts, xy{x.clamped(from), y}, xy{x.clamped(from + h.width), y})
	}
	return append(pts, xy{pts[len(pts)-1].x, base})
}

// thinPoints leaves at most n of a curve's points, evenly chosen, its gaps, and its end.
func thinPoints(pts []xy, n int) []xy {
	if len(pts) <= n {
		return pts
	}
	keep := evenly(len(pts), n)
	out := make([]xy, 0, len(keep))
	for k, i := range keep {
		out = append(out, pts[i])
		if k+1 == len(keep) || math.IsNaN(pts[i].y) {
			continue
		}
		if slices.ContainsFunc(pts[i+1:keep[k+1]], func(q xy) bool { return math.IsNaN(q.y) }) {
			out = append(out, xy{pts[i].x, math.NaN()})
		}
	}
	return out
}
