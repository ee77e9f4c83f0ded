package plotting

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// svgCanvas is a vg.Canvas that writes SVG. Unlike gonum's it emits final
// coordinates instead of a mirrored coordinate system, anchors text so that
// another font does not displace it, and names groups.
type svgCanvas struct {
	body   bytes.Buffer
	height float64
	width  float64
	head   string
	states []svgState
	used   map[color.NRGBA]bool // colours, opaque
	// adaptive adds a style sheet with the colours of the dark theme.
	adaptive bool
}

// figureClass is the class of a figure's document.
const figureClass = "evalnas-figure"

type svgState struct {
	matrix    [6]float64 // x' = m0 x + m2 y + m4, y' = m1 x + m3 y + m5, y upwards
	lineWidth float64
	dash      []vg.Length
	dashShift vg.Length
	color     color.NRGBA
}

func newSVGCanvas(w, h int, title, desc string) *svgCanvas {
	c := &svgCanvas{
		width: float64(w), height: float64(h),
		states: []svgState{{matrix: [6]float64{1, 0, 0, 1, 0, 0}}},
		used:   map[color.NRGBA]bool{},
	}
	var head strings.Builder
	fmt.Fprintf(&head, `<svg xmlns="http://www.w3.org/2000/svg" class="%s" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="%s" style="max-width:100%%;height:auto">`+"\n",
		figureClass, w, h, w, h, svgFonts)
	if title != "" {
		fmt.Fprintf(&head, "<title>%s</title>\n", escapeXML(title))
	}
	if desc != "" {
		fmt.Fprintf(&head, "<desc>%s</desc>\n", escapeXML(desc))
	}
	c.head = head.String()
	vg.Initialize(c)
	return c
}

func (c *svgCanvas) finish() []byte {
	head := c.head
	if c.adaptive {
		head += adaptiveStyle(c.used)
	}
	return append(append([]byte(head), c.body.Bytes()...), "</svg>\n"...)
}

func (c *svgCanvas) top() *svgState { return &c.states[len(c.states)-1] }

func (c *svgCanvas) SetLineWidth(w vg.Length) { c.top().lineWidth = float64(w) }

func (c *svgCanvas) SetLineDash(dash []vg.Length, shift vg.Length) {
	c.top().dash, c.top().dashShift = dash, shift
}

func (c *svgCanvas) SetColor(col color.Color) {
	if col == nil {
		col = color.Black
	}
	c.top().color = color.NRGBAModel.Convert(col).(color.NRGBA)
}

func (c *svgCanvas) transform(m [6]float64) {
	o := c.top().matrix
	c.top().matrix = [6]float64{
		o[0]*m[0] + o[2]*m[1], o[1]*m[0] + o[3]*m[1],
		o[0]*m[2] + o[2]*m[3], o[1]*m[2] + o[3]*m[3],
		o[0]*m[4] + o[2]*m[5] + o[4], o[1]*m[4] + o[3]*m[5] + o[5],
	}
}

func (c *svgCanvas) Rotate(rad float64) {
	sin, cos := math.Sincos(rad)
	c.transform([6]float64{cos, sin, -sin, cos, 0, 0})
}

func (c *svgCanvas) Translate(pt vg.Point) {
	c.transform([6]float64{1, 0, 0, 1, float64(pt.X), float64(pt.Y)})
}

func (c *svgCanvas) Scale(x, y float64) { c.transform([6]float64{x, 0, 0, y, 0, 0}) }

func (c *svgCanvas) Push() { c.states = append(c.states, *c.top()) }

func (c *svgCanvas) Pop() { c.states = c.states[:len(c.states)-1] }

// at is a point in the document: transformed, y downwards.
func (c *svgCanvas) at(p vg.Point) (x, y float64) {
	m := &c.top().matrix
	px, py := float64(p.X), float64(p.Y)
	return m[0]*px + m[2]*py + m[4], c.height - (m[1]*px + m[3]*py + m[5])
}

func (c *svgCanvas) xy(p vg.Point) string {
	x, y := c.at(p)
	return coord(x) + "," + coord(y)
}

func (c *svgCanvas) Stroke(path vg.Path) {
	s := c.top()
	if s.lineWidth <= 0 || len(path) == 0 {
		return
	}
	attr := `fill="none" ` + c.paint("stroke", s.color) + ` stroke-width="` + coord(s.lineWidth) + `"`
	if len(s.dash) > 0 {
		parts := make([]string, len(s.dash))
		for i, d := range s.dash {
			parts[i] = coord(float64(d))
		}
		attr += ` stroke-dasharray="` + strings.Join(parts, " ") + `"`
		if s.dashShift != 0 {
			attr += ` stroke-dashoffset="` + coord(float64(s.dashShift)) + `"`
		}
	}
	c.shape(path, attr)
}

func (c *svgCanvas) Fill(path vg.Path) {
	if len(path) == 0 {
		return
	}
	c.shape(path, c.paint("fill", c.top().color))
}

// shape writes a circle as such, so that points can be told in the document,
// and anything else as a path.
func (c *svgCanvas) shape(path vg.Path, attr string) {
	if a := path[0]; len(path) <= 2 && a.Type == vg.ArcComp && math.Abs(a.Angle) >= 2*math.Pi &&
		(len(path) == 1 || path[1].Type == vg.CloseComp) {
		x, y := c.at(a.Pos)
		fmt.Fprintf(&c.body, `<circle cx="%s" cy="%s" r="%s" %s/>`+"\n", coord(x), coord(y), coord(float64(a.Radius)), attr)
		return
	}
	fmt.Fprintf(&c.body, `<path d="%s" %s/>`+"\n", c.pathData(path), attr)
}

func (c *svgCanvas) pathData(path vg.Path) string {
	var d strings.Builder
	for i, comp := range path {
		switch comp.Type {
		case vg.MoveComp:
			d.WriteString("M" + c.xy(comp.Pos))
		case vg.LineComp:
			d.WriteString("L" + c.xy(comp.Pos))
		case vg.CurveComp:
			d.WriteString([]string{"L", "Q", "C"}[len(comp.Control)])
			for _, q := range comp.Control {
				d.WriteString(c.xy(q) + " ")
			}
			d.WriteString(c.xy(comp.Pos))
		case vg.ArcComp:
			c.arc(&d, comp, i == 0)
		case vg.CloseComp:
			d.WriteString("Z")
		}
	}
	return d.String()
}

// arc writes an arc in halves, because one that ends where it starts is not
// drawn.
func (c *svgCanvas) arc(d *strings.Builder, a vg.PathComp, first bool) {
	on := func(angle float64) string {
		sin, cos := math.Sincos(angle)
		return c.xy(vg.Point{X: a.Pos.X + a.Radius*vg.Length(cos), Y: a.Pos.Y + a.Radius*vg.Length(sin)})
	}
	move := "L"
	if first {
		move = "M"
	}
	d.WriteString(move + on(a.Start))
	sweep := "0" // counter-clockwise with y upwards is sweep 0 with y downwards
	if a.Angle < 0 {
		sweep = "1"
	}
	r := coord(float64(a.Radius))
	for _, share := range []float64{0.5, 1} {
		d.WriteString("A" + r + "," + r + " 0 0 " + sweep + " " + on(a.Start+share*a.Angle))
	}
}

func (c *svgCanvas) FillString(f font.Face, pt vg.Point, text string) {
	c.anchoredString(f, pt, text, "start")
}

// anchoredString is FillString with an SVG text-anchor: start, middle or end.
func (c *svgCanvas) anchoredString(f font.Face, pt vg.Point, text, anchor string) {
	if f.Font.Size <= 0 || text == "" {
		return
	}
	s := c.top()
	x, y := c.at(pt)
	attr := ""
	if anchor != "start" {
		attr += ` text-anchor="` + anchor + `"`
	}
	if f.Font.Weight >= xfont.WeightBold {
		attr += ` font-weight="bold"`
	}
	if s.matrix[1] != 0 {
		attr += fmt.Sprintf(` transform="rotate(%s %s %s)"`,
			coord(-math.Atan2(s.matrix[1], s.matrix[0])*180/math.Pi), coord(x), coord(y))
	}
	fmt.Fprintf(&c.body, `<text x="%s" y="%s" font-size="%s" %s%s>%s</text>`+"\n",
		coord(x), coord(y), coord(float64(f.Font.Size)), c.paint("fill", s.color), attr, escapeXML(text))
}

// DrawImage leaves out rasters: no figure has any.
func (c *svgCanvas) DrawImage(vg.Rectangle, image.Image) {}

func (c *svgCanvas) beginGroup(class, name string) {
	c.body.WriteString(`<g class="` + escapeXML(class) + `"`)
	if name != "" {
		c.body.WriteString(` data-name="` + escapeXML(name) + `"`)
	}
	c.body.WriteString(">\n")
}

func (c *svgCanvas) endGroup() { c.body.WriteString("</g>\n") }

// coord writes a number with at most two decimals; a hundredth of a pixel is
// not seen, and it hides differences of the last bit between processors.
func coord(v float64) string {
	s := strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
	if s == "-0" {
		return "0"
	}
	return s
}

func (c *svgCanvas) paint(property string, with color.NRGBA) string {
	out := fmt.Sprintf(`%s="%s"`, property, hexOf(with))
	if with.A != 0xff {
		out += fmt.Sprintf(` %s-opacity="%s"`, property, coord(float64(with.A)/255))
	}
	with.A = 0xff
	c.used[with] = true
	return out
}

// escapeXML makes any string fit for text and attributes; what XML 1.0 cannot
// hold at all becomes the replacement character.
func escapeXML(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case r < 0x20 || r == 0xfffe || r == 0xffff:
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
