package plotting

import (
	"bytes"
	"image/color"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
)

// linear undoes the transfer function of sRGB (IEC 61966-2-1).
func linear(c color.NRGBA) [3]float64 {
	var out [3]float64
	for i, b := range []uint8{c.R, c.G, c.B} {
		v := float64(b) / 255
		if out[i] = v / 12.92; v > 0.04045 {
			out[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return out
}

// contrast is the contrast ratio of WCAG 2.2.
func contrast(a, b color.NRGBA) float64 {
	light := func(c color.NRGBA) float64 {
		l := linear(c)
		return 0.2126*l[0] + 0.7152*l[1] + 0.0722*l[2]
	}
	x, y := light(a), light(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// dichromacy are the matrices of Machado, Oliveira and Fernandes, "A Physiologically-based
// Model for Simulation of Color Vision Deficiency" (2009), at severity 1, on linear sRGB.
var dichromacy = map[string][3][3]float64{
	"normal":       {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// seen is a colour in CIE L*a*b* (D65) as it is seen with a kind of sight.
func seen(c color.NRGBA, sight [3][3]float64) [3]float64 {
	l := linear(c)
	var s [3]float64
	for i, row := range sight {
		s[i] = min(max(row[0]*l[0]+row[1]*l[1]+row[2]*l[2], 0), 1)
	}
	f := func(v float64) float64 {
		if v > 216.0/24389 {
			return math.Cbrt(v)
		}
		return (24389.0/27*v + 16) / 116
	}
	x := f((0.4124564*s[0] + 0.3575761*s[1] + 0.1804375*s[2]) / 0.95047)
	y := f(0.2126729*s[0] + 0.7151522*s[1] + 0.0721750*s[2])
	z := f((0.0193339*s[0] + 0.1191920*s[1] + 0.9503041*s[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// deltaE is the colour difference of CIE 1976.
func deltaE(a, b color.NRGBA, sight [3][3]float64) float64 {
	p, q := seen(a, sight), seen(b, sight)
	return math.Sqrt((p[0]-q[0])*(p[0]-q[0]) + (p[1]-q[1])*(p[1]-q[1]) + (p[2]-q[2])*(p[2]-q[2]))
}

// The measures themselves: known values of them.
func TestColourMeasures(t *testing.T) {
	black, white := color.NRGBA{A: 255}, color.NRGBA{255, 255, 255, 255}
	near(t, "contrast of black and white", contrast(black, white), 21, 1e-9)
	near(t, "contrast of #777777 and white", contrast(color.NRGBA{0x77, 0x77, 0x77, 255}, white), 4.478, 1e-3)
	near(t, "difference of black and white", deltaE(black, white, dichromacy["normal"]), 100, 1e-3)
	red, green := color.NRGBA{200, 60, 0, 255}, color.NRGBA{90, 110, 0, 255}
	if d := deltaE(red, green, dichromacy["deuteranopia"]); d > 0.5*deltaE(red, green, dichromacy["normal"]) {
		t.Errorf("red and green are %v apart without green cones", d)
	}
}

// pages are what lies around figures: paper, and JupyterLab 4's --jp-layout-color0 of its
// two themes.
var pages = map[Theme]color.NRGBA{Light: {0xff, 0xff, 0xff, 0xff}, Dark: {0x11, 0x11, 0x11, 0xff}}

func TestContrast(t *testing.T) {
	text := []color.NRGBA{inkColor, mutedColor, alarmColor}
	text = append(text, paletteText...)
	series := append(slices.Clone(palette), randomColor, outlineColor, axisColor)
	for _, c := range operationColors {
		series = append(series, c)
	}
	for k := range rampLevels {
		series = append(series, rampAt(float64(k)/(rampLevels-1)))
	}
	for theme, page := range pages {
		for _, background := range []color.NRGBA{theme.in(cardColor), page} {
			for _, c := range text {
				if got := contrast(theme.in(c), background); got < 4.5 {
					t.Errorf("%s: text in %s has a contrast of %.2f to %s, want 4.5", theme, hexOf(theme.in(c)), got, hexOf(background))
				}
			}
			for _, c := range series {
				if got := contrast(theme.in(c), background); got < 3 {
					t.Errorf("%s: %s has a contrast of %.2f to %s, want 3", theme, hexOf(theme.in(c)), got, hexOf(background))
				}
			}
		}
		// Text on the nodes of graphs, on those that are filled, and on the banner.
		for _, c := range append(slices.Collect(maps.Values(operationColors)), mutedColor, axisColor) {
			if got := contrast(theme.in(inkColor), theme.in(tint(c))); got < 4.5 {
				t.Errorf("%s: text on a node of %s has a contrast of %.2f", theme, hexOf(c), got)
			}
		}
		for _, c := range []color.NRGBA{inkColor, alarmColor} {
			if got := contrast(theme.in(cardColor), theme.in(c)); got < 4.5 {
				t.Errorf("%s: text on %s has a contrast of %.2f", theme, hexOf(c), got)
			}
		}
	}
}

func TestSeriesStayApart(t *testing.T) {
	// What the palettes reach; 10 is told apart at a glance, 2.3 is just seen
	// (Mahy et al. 1994).
	apart := map[Theme]float64{Light: 19, Dark: 25}
	all := append(slices.Clone(palette), randomColor)
	for theme, bound := range apart {
		for name, sight := range dichromacy {
			for i, a := range all {
				for _, b := range all[:i] {
					want := bound
					if a == randomColor {
						want *= 0.7 // hollow and, in figures of lines, dashed
					}
					if got := deltaE(theme.in(a), theme.in(b), sight); got < want {
						t.Errorf("%s, %s: %s and %s are %.1f apart, want %.1f", theme, name, hexOf(theme.in(a)), hexOf(theme.in(b)), got, want)
					}
				}
			}
		}
	}
}

// In a print without colours lines are told apart by their dashes and shapes.
func TestSeriesInGrey(t *testing.T) {
	random := make([]bool, 28)
	for i := 24; i < 28; i++ {
		random[i] = true
	}
	type look struct {
		dash   int
		shape  shape
		hollow bool
	}
	found := map[look]int{}
	for i, s := range seriesStyles(random) {
		dash := slices.IndexFunc(dashes, func(d []vg.Length) bool { return slices.Equal(d, s.dash) })
		l := look{dash, s.shape, s.hollow}
		if j, ok := found[l]; ok {
			t.Errorf("without colours series %d looks as %d", i, j)
		}
		found[l] = i
	}
	for a := range shapeCount {
		for b := range a {
			if slices.Equal(a.corners(), b.corners()) && a != roundShape && b != roundShape {
				t.Errorf("shapes %d and %d are one", a, b)
			}
		}
	}
}

// The ramp is read by its lightness: away from the background at the best.
func TestRampIsSequential(t *testing.T) {
	for theme, page := range pages {
		last := math.Inf(1)
		for k := range rampLevels {
			got := contrast(theme.in(rampAt(float64(k)/(rampLevels-1))), page)
			if got >= last {
				t.Errorf("%s: level %d of the ramp is not nearer to the page than the one before", theme, k)
			}
			last = got
		}
	}
}

// No colour of the light theme stands for two of the dark one, and all that figures use
// have a counterpart.
func TestCounterparts(t *testing.T) {
	known := map[color.NRGBA]color.NRGBA{}
	for _, p := range darkPairs() {
		if d, ok := known[p[0]]; ok && d != p[1] {
			t.Errorf("%s stands for %s and for %s", hexOf(p[0]), hexOf(d), hexOf(p[1]))
		}
		known[p[0]] = p[1]
	}
	for name, f := range allFigures(t) {
		c := newSVGCanvas(f.width, f.height, "", "")
		f.paint(c)
		for used := range c.used {
			if _, ok := known[used]; !ok {
				t.Errorf("%s: %s has no counterpart on dark", name, hexOf(used))
			}
		}
	}
}

var coloured = regexp.MustCompile(`(fill|stroke)="(#[0-9a-f]{6})"`)

// An adaptive document is the light one with a style sheet, which makes of it the colours of
// the dark one.
func TestAdaptiveIsLightAndDark(t *testing.T) {
	rule := regexp.MustCompile(`\.evalnas-figure \[(fill|stroke)="(#[0-9a-f]{6})"\]\{(fill|stroke):(#[0-9a-f]{6})\}`)
	for name, f := range allFigures(t) {
		light, dark, adaptive := svgOf(t, f), svgOf(t, f.In(Dark)), svgOf(t, f.In(Adaptive))
		from, to := bytes.Index(adaptive, []byte("<style>")), bytes.Index(adaptive, []byte("</style>\n"))
		if from < 0 || to < 0 {
			t.Fatalf("%s: no style sheet", name)
		}
		style := string(adaptive[from:to])
		if !strings.HasPrefix(style, "<style>@media screen and (prefers-color-scheme:dark){") {
			t.Errorf("%s: the style sheet is %.80s", name, style)
		}
		rest := append(bytes.Clone(adaptive[:from]), adaptive[to+len("</style>\n"):]...)
		if !bytes.Equal(rest, light) {
			t.Errorf("%s: without its style sheet it is not the light document", name)
		}
		rules := map[string]string{}
		for _, m := range rule.FindAllStringSubmatch(style, -1) {
			if m[1] != m[3] {
				t.Errorf("%s: rule %s", name, m[0])
			}
			rules[m[1]+m[2]] = m[4]
		}
		restyled := coloured.ReplaceAllFunc(rest, func(m []byte) []byte {
			parts := coloured.FindSubmatch(m)
			if d, ok := rules[string(parts[1])+string(parts[2])]; ok {
				return []byte(string(parts[1]) + `="` + d + `"`)
			}
			return m
		})
		if !bytes.Equal(restyled, dark) {
			t.Errorf("%s: the style sheet does not make it the dark document", name)
		}
		if bytes.Contains(dark, []byte(`"`+hexOf(cardColor)+`"`)) {
			t.Errorf("%s: the dark document has the light card's colour", name)
		}
	}
}

func TestThemeOf(t *testing.T) {
	for _, want := range []Theme{Light, Dark, Adaptive} {
		if got, err := ThemeOf(want.String()); err != nil || got != want {
			t.Errorf("%s: %v, %v", want, got, err)
		}
	}
	if _, err := ThemeOf("black"); err == nil || !strings.Contains(err.Error(), "light, dark, adaptive") {
		t.Errorf("error %v", err)
	}
}

func svgOf(t testing.TB, f *Figure) []byte {
	t.Helper()
	raw, err := f.SVG()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
