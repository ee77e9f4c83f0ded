package plotting

import (
	"fmt"
	"image/color"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Theme is the background that a figure is drawn for.
type Theme int

const (
	// Light is for paper and for pages that are white, and the default.
	Light Theme = iota
	// Dark is for pages such as JupyterLab's dark theme.
	Dark
	// Adaptive is light, and dark where the reader prefers that: its SVG asks
	// prefers-color-scheme. In a page that shows the SVG as an image, the color-scheme
	// of the image's element answers. PNG cannot ask and is light.
	Adaptive
)

var themeNames = []string{"light", "dark", "adaptive"}

func (t Theme) String() string { return themeNames[t] }

// ThemeOf finds a theme by its name: light, dark or adaptive.
func ThemeOf(name string) (Theme, error) {
	if i := slices.Index(themeNames, name); i >= 0 {
		return Theme(i), nil
	}
	return Light, fmt.Errorf("theme %q; give one of %s", name, strings.Join(themeNames, ", "))
}

// Figures name the colours of the light theme; a dark one replaces each by its
// counterpart, so that nothing that draws needs to know of themes.
var counterparts = [][2]color.NRGBA{
	{cardColor, {0x18, 0x18, 0x1b, 0xff}},
	{borderColor, {0x3a, 0x3a, 0x3d, 0xff}},
	{inkColor, {0xe8, 0xe8, 0xe8, 0xff}},
	{mutedColor, {0xb2, 0xb2, 0xb2, 0xff}},
	{axisColor, {0x9a, 0x9a, 0x9a, 0xff}},
	{gridColor, {0x2c, 0x2c, 0x30, 0xff}},
	{fillColor, {0x3d, 0x4a, 0x57, 0xff}},
	{outlineColor, {0x8b, 0xa1, 0xb5, 0xff}},
	{randomColor, {0xa8, 0xa8, 0xa8, 0xff}},
	{alarmColor, {0xff, 0x8a, 0x80, 0xff}},
	{oliveColor, {0xa3, 0xc2, 0x5a, 0xff}},
	{skipColor, {0x9b, 0x9b, 0x9b, 0xff}},
	{noneColor, {0x8b, 0x8b, 0x8b, 0xff}},
}

var darkPalette = []color.NRGBA{
	{0x3c, 0xc3, 0xff, 0xff},
	{0xe3, 0x70, 0x04, 0xff},
	{0x1c, 0x92, 0x62, 0xff},
	{0xb3, 0x68, 0xa8, 0xff},
	{0xcb, 0xe9, 0xfb, 0xff},
	{0xef, 0xde, 0x65, 0xff},
}

// darkRamp goes from the best to the worst as ramp does: away from the background at its
// start, dim at its end.
var darkRamp = []color.NRGBA{
	{0xfb, 0xf2, 0xa0, 0xff},
	{0xb4, 0xdc, 0x6e, 0xff},
	{0x55, 0xbd, 0x8c, 0xff},
	{0x3f, 0x97, 0xb5, 0xff},
	{0x6f, 0x78, 0xc4, 0xff},
}

// darkOf maps every opaque colour of the light theme.
var darkOf = sync.OnceValue(func() map[color.NRGBA]color.NRGBA {
	out := map[color.NRGBA]color.NRGBA{}
	for _, p := range darkPairs() {
		out[p[0]] = p[1]
	}
	return out
})

// darkPairs are the fixed colours, those of series and of the text beside them, the
// ramp's, and the tints of all that nodes of graphs are filled with.
func darkPairs() [][2]color.NRGBA {
	pairs := slices.Clone(counterparts)
	card := counterparts[0][1]
	for i, c := range palette {
		pairs = append(pairs, [2]color.NRGBA{c, darkPalette[i]}, [2]color.NRGBA{paletteText[i], darkPalette[i]})
	}
	for _, p := range slices.Clone(pairs) {
		pairs = append(pairs, [2]color.NRGBA{tint(p[0]), blend(card, p[1], tintShare)})
	}
	for k := range rampLevels {
		f := float64(k) / (rampLevels - 1)
		pairs = append(pairs, [2]color.NRGBA{alongRamp(ramp, f), alongRamp(darkRamp, f)})
	}
	return pairs
}

// in is the colour that stands for c in a theme, as opaque as it.
func (t Theme) in(c color.NRGBA) color.NRGBA {
	if t != Dark {
		return c
	}
	opaque := c
	opaque.A = 0xff
	d, ok := darkOf()[opaque]
	if !ok {
		return c
	}
	d.A = c.A
	return d
}

// adaptiveStyle is a style sheet that replaces the colours that a document uses where dark
// is preferred. The attributes stay light for readers that know no style sheets, and so
// does paper.
func adaptiveStyle(used map[color.NRGBA]bool) string {
	var b strings.Builder
	b.WriteString("<style>@media screen and (prefers-color-scheme:dark){")
	for _, c := range slices.SortedFunc(maps.Keys(used), func(a, b color.NRGBA) int {
		return strings.Compare(hexOf(a), hexOf(b))
	}) {
		if d := Dark.in(c); d != c {
			for _, property := range []string{"fill", "stroke"} {
				fmt.Fprintf(&b, `.%s [%s="%s"]{%s:%s}`, figureClass, property, hexOf(c), property, hexOf(d))
			}
		}
	}
	return b.String() + "}</style>\n"
}

func hexOf(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }
