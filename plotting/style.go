package plotting

import (
	"fmt"
	"image/color"
	"sync"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
)

// The palette is that of Okabe and Ito, which stays apart in the common forms
// of colour blindness, without its yellow, too faint on white; the order puts
// the strongest contrasts first.
var palette = []color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, // blue
	{0xd5, 0x5e, 0x00, 0xff}, // vermilion
	{0x00, 0x8f, 0x68, 0xff}, // green
	{0xb0, 0x4f, 0x8b, 0xff}, // purple
	{0x3f, 0xa0, 0xdd, 0xff}, // sky
	{0xd6, 0x92, 0x00, 0xff}, // orange
}

var (
	cardColor   = color.NRGBA{0xfd, 0xfd, 0xfd, 0xff}
	borderColor = color.NRGBA{0xd9, 0xd9, 0xd9, 0xff}
	inkColor    = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	mutedColor  = color.NRGBA{0x5f, 0x5f, 0x5f, 0xff}
	axisColor   = color.NRGBA{0x6a, 0x6a, 0x6a, 0xff}
	gridColor   = color.NRGBA{0xe9, 0xe9, 0xe9, 0xff}
	fillColor   = color.NRGBA{0xc6, 0xd0, 0xda, 0xff} // distribution of a space
	randomColor = color.NRGBA{0x66, 0x66, 0x66, 0xff}
	alarmColor  = color.NRGBA{0xb0, 0x00, 0x20, 0xff} // watermarks
	whiteColor  = color.NRGBA{0xff, 0xff, 0xff, 0xff}
)

// ramp is a sequential scale from the best to the worst, dark to light, so that it is read
// without telling hues apart; its end is dark enough for thin lines on white.
var ramp = []color.NRGBA{
	{0x10, 0x1f, 0x5c, 0xff},
	{0x1f, 0x5c, 0xa8, 0xff},
	{0x22, 0x91, 0xa3, 0xff},
	{0x6d, 0xb0, 0x7c, 0xff},
	{0xd0, 0xb6, 0x48, 0xff},
}

// rampAt is the colour at f of the ramp, 0 the best and 1 the worst.
func rampAt(f float64) color.NRGBA {
	at := min(max(f, 0), 1) * float64(len(ramp)-1)
	i := min(int(at), len(ramp)-2)
	a, b, part := ramp[i], ramp[i+1], at-float64(i)
	mix := func(x, y uint8) uint8 { return uint8(float64(x) + part*(float64(y)-float64(x)) + 0.5) }
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}

// placeStyle is the look of the policy at a place, from 0, among those of a report: the one
// that seriesStyles gives it where all are drawn together.
func placeStyle(place int) seriesStyle {
	return seriesStyles(make([]bool, place+1))[place]
}

// maxPlace bounds the places of policies, whose looks repeat after 24.
const maxPlace = 99

func checkPlace(place int) error {
	if place < 0 || place > maxPlace {
		return fmt.Errorf("place %d of the policy; places are 0 to %d", place, maxPlace)
	}
	return nil
}

// dashes set groups apart that share a colour of the palette, and random
// baselines from one another.
var dashes = [][]vg.Length{nil, {7, 3}, {2, 2.5}, {8, 3, 2, 3}}

// seriesStyle is how the i-th group of its kind is drawn.
type seriesStyle struct {
	color  color.NRGBA
	dash   []vg.Length
	hollow bool
}

// seriesStyles gives each group a look: policies walk through the palette,
// random baselines are grey and hollow.
func seriesStyles(random []bool) []seriesStyle {
	out := make([]seriesStyle, len(random))
	policies, baselines := 0, 0
	for i, r := range random {
		if r {
			out[i] = seriesStyle{color: randomColor, dash: dashes[baselines%len(dashes)], hollow: true}
			baselines++
			continue
		}
		out[i] = seriesStyle{
			color: palette[policies%len(palette)],
			dash:  dashes[policies/len(palette)%len(dashes)],
		}
		policies++
	}
	return out
}

// withAlpha is c at an opacity of 0..255.
func withAlpha(c color.NRGBA, a uint8) color.NRGBA {
	c.A = a
	return c
}

// textStyle is a size in pixels, a weight and a colour.
type textStyle struct {
	size  float64
	bold  bool
	color color.NRGBA
}

var (
	titleText    = textStyle{size: 15, bold: true, color: inkColor}
	subtitleText = textStyle{size: 12, color: mutedColor}
	labelText    = textStyle{size: 12, color: inkColor}
	strongText   = textStyle{size: 12, bold: true, color: inkColor}
	tickText     = textStyle{size: 11, color: mutedColor}
	captionText  = textStyle{size: 11, color: mutedColor}
)

func (t textStyle) in(c color.NRGBA) textStyle {
	t.color = c
	return t
}

// svgFonts names fonts of the same widths as the one that is measured with,
// then whatever sans-serif there is.
const svgFonts = "Liberation Sans, Arial, Helvetica, Arimo, sans-serif"

// The fonts are parsed at the first figure, not when the program starts.
var fontCache = sync.OnceValue(func() *font.Cache { return font.NewCache(liberation.Collection()) })

func (t textStyle) face() font.Face {
	f := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if t.bold {
		f.Weight = xfont.WeightBold
	}
	return fontCache().Lookup(f, vg.Length(t.size))
}

// width is the length of s in pixels.
func (t textStyle) width(s string) float64 {
	face := t.face()
	return float64(face.Width(s))
}

// fit shortens s with an ellipsis until it is at most w pixels long.
func (t textStyle) fit(s string, w float64) string {
	const longest = 400 // no label of a figure has room for more
	runes := []rune(s)
	if len(runes) <= longest && t.width(s) <= w {
		return s
	}
	runes = runes[:min(len(runes), longest)]
	for len(runes) > 1 && t.width(string(runes)+"…") > w {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// wrap breaks s at spaces into lines of at most w pixels.
func (t textStyle) wrap(s string, w float64) []string {
	var lines []string
	line := ""
	for _, word := range splitWords(s) {
		switch {
		case line == "":
			line = word
		case t.width(line+" "+word) <= w:
			line += " " + word
		default:
			lines = append(lines, t.fit(line, w))
			line = word
		}
	}
	if line != "" {
		lines = append(lines, t.fit(line, w))
	}
	return lines
}
