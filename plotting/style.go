package plotting

import (
	"fmt"
	"image/color"
	"math"
	"sync"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
)

// The palette has the hues of Okabe and Ito's but for yellow, too faint on white, moved
// until any two of them and the grey of random baselines lie a colour difference (CIE 1976)
// of 19 apart to normal sight and to the three kinds of dichromacy, and all have a contrast
// of 3 to the card (themes_test.go). The order puts the strongest contrasts first.
var palette = []color.NRGBA{
	{0x07, 0x52, 0x90, 0xff}, // blue
	{0xb5, 0x40, 0x00, 0xff}, // rust
	{0x0d, 0x85, 0x49, 0xff}, // green
	{0xc4, 0x72, 0xa6, 0xff}, // pink
	{0x03, 0x95, 0xe8, 0xff}, // sky
	{0xd3, 0x7a, 0x00, 0xff}, // orange
}

// paletteText are the same hues, dark enough for text: a contrast of 4.5.
var paletteText = []color.NRGBA{
	{0x07, 0x52, 0x90, 0xff},
	{0xb5, 0x40, 0x00, 0xff},
	{0x0d, 0x85, 0x49, 0xff},
	{0xa1, 0x5e, 0x88, 0xff},
	{0x02, 0x79, 0xbc, 0xff},
	{0xa8, 0x61, 0x00, 0xff},
}

var (
	cardColor    = color.NRGBA{0xfd, 0xfd, 0xfd, 0xff}
	borderColor  = color.NRGBA{0xd9, 0xd9, 0xd9, 0xff}
	inkColor     = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	mutedColor   = color.NRGBA{0x5f, 0x5f, 0x5f, 0xff}
	axisColor    = color.NRGBA{0x6a, 0x6a, 0x6a, 0xff}
	gridColor    = color.NRGBA{0xe9, 0xe9, 0xe9, 0xff}
	fillColor    = color.NRGBA{0xc6, 0xd0, 0xda, 0xff} // distribution of a space
	outlineColor = color.NRGBA{0x6f, 0x80, 0x90, 0xff} // its edge
	randomColor  = color.NRGBA{0x66, 0x66, 0x66, 0xff}
	alarmColor   = color.NRGBA{0xb0, 0x00, 0x20, 0xff} // watermarks
	oliveColor   = color.NRGBA{0x6d, 0x8b, 0x2f, 0xff} // operations
	skipColor    = color.NRGBA{0x77, 0x77, 0x77, 0xff}
	noneColor    = color.NRGBA{0x8a, 0x8a, 0x8a, 0xff}
)

// ramp is a sequential scale from the best to the worst, dark to light, so that it is read
// without telling hues apart; its end is dark enough for thin lines on white.
var ramp = []color.NRGBA{
	{0x10, 0x1f, 0x5c, 0xff},
	{0x1c, 0x47, 0x8f, 0xff},
	{0x1a, 0x6e, 0x86, 0xff},
	{0x47, 0x89, 0x5a, 0xff},
	{0xa5, 0x8a, 0x1e, 0xff},
}

// rampLevels bounds the colours of a figure, each of which a dark theme replaces.
const rampLevels = 64

// rampAt is the colour at f of the ramp, 0 the best and 1 the worst.
func rampAt(f float64) color.NRGBA {
	return alongRamp(ramp, math.Round(min(max(f, 0), 1)*(rampLevels-1))/(rampLevels-1))
}

func alongRamp(ramp []color.NRGBA, f float64) color.NRGBA {
	at := f * float64(len(ramp)-1)
	i := min(int(at), len(ramp)-2)
	return blend(ramp[i], ramp[i+1], at-float64(i))
}

// blend is the opaque colour at a part of the way from a to b.
func blend(a, b color.NRGBA, part float64) color.NRGBA {
	mix := func(x, y uint8) uint8 { return uint8(float64(x) + float64(part*(float64(y)-float64(x))) + 0.5) }
	return color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}

const tintShare = 0.22

// tint is a light, opaque shade: what lies below must not shine through.
func tint(c color.NRGBA) color.NRGBA { return blend(cardColor, c, tintShare) }

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

// shapes are what points of lines are drawn as: the lines of a print without colours are
// told apart by them.
type shape int

const (
	roundShape shape = iota
	squareShape
	upShape
	diamondShape
	downShape
	crossShape
	shapeCount
)

// seriesStyle is how the i-th group of its kind is drawn.
type seriesStyle struct {
	color  color.NRGBA
	text   color.NRGBA // of its name
	dash   []vg.Length
	shape  shape
	hollow bool
}

// seriesStyles gives each group a look: policies walk through the palette and the shapes,
// random baselines are grey and hollow. Looks repeat after 24 policies.
func seriesStyles(random []bool) []seriesStyle {
	out := make([]seriesStyle, len(random))
	policies, baselines := 0, 0
	for i, r := range random {
		if r {
			out[i] = seriesStyle{color: randomColor, text: mutedColor, dash: dashes[baselines%len(dashes)],
				shape: shape(baselines % int(shapeCount)), hollow: true}
			baselines++
			continue
		}
		k := policies % len(palette)
		out[i] = seriesStyle{color: palette[k], text: paletteText[k], dash: dashes[policies/len(palette)%len(dashes)], shape: shape(k)}
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
