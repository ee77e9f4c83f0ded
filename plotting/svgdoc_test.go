package plotting

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// svgElement is one drawn element, with the groups it lies in.
type svgElement struct {
	tag     string
	attr    map[string]string
	text    string
	classes []string // class words of all enclosing groups
	group   string   // data-name of the innermost group that has one
}

func (e svgElement) num(t testing.TB, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attr[name], 64)
	if err != nil {
		t.Fatalf("attribute %s of %s: %v", name, e.tag, err)
	}
	return v
}

func (e svgElement) in(class string) bool {
	for _, c := range e.classes {
		if c == class {
			return true
		}
	}
	return false
}

type svgDoc []svgElement

// parseSVG reads a figure's SVG strictly and refuses numbers that are none.
func parseSVG(t testing.TB, f *Figure) svgDoc {
	t.Helper()
	raw, err := f.SVG()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"NaN", "Inf"} {
		if i := bytes.Index(raw, []byte(bad)); i >= 0 {
			t.Fatalf("the SVG contains %s: %s", bad, raw[max(0, i-60):min(len(raw), i+60)])
		}
	}
	dec := xml.NewDecoder(bytes.NewReader(raw))
	var doc svgDoc
	type frame struct {
		classes []string
		group   string
	}
	stack := []frame{{}}
	var open []int
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return doc
		}
		if err != nil {
			t.Fatalf("the SVG is not well-formed: %v", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			top := stack[len(stack)-1]
			e := svgElement{tag: tok.Name.Local, attr: map[string]string{}}
			for _, a := range tok.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			next := frame{append(append([]string(nil), top.classes...), strings.Fields(e.attr["class"])...), top.group}
			if name := e.attr["data-name"]; name != "" {
				next.group = name
			}
			e.classes, e.group = next.classes, next.group
			stack = append(stack, next)
			doc = append(doc, e)
			open = append(open, len(doc)-1)
		case xml.EndElement:
			stack, open = stack[:len(stack)-1], open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				doc[open[len(open)-1]].text += string(tok)
			}
		}
	}
}

// find lists elements of a tag in a class, in the group of a name if one is
// given.
func (d svgDoc) find(tag, class, group string) svgDoc {
	var out svgDoc
	for _, e := range d {
		if e.tag == tag && (class == "" || e.in(class)) && (group == "" || e.group == group) {
			out = append(out, e)
		}
	}
	return out
}

func (d svgDoc) text() string {
	var b strings.Builder
	for _, e := range d.find("text", "", "") {
		b.WriteString(e.text + "\n")
	}
	return b.String()
}

// axisOf reads an axis back from its tick labels: a function from pixels to
// values. attr is "x" or "y".
func (d svgDoc) axisOf(t testing.TB, class, attr string, log bool) func(float64) float64 {
	t.Helper()
	var px, v []float64
	for _, e := range d.find("text", class, "") {
		value, err := strconv.ParseFloat(strings.ReplaceAll(e.text, ",", ""), 64)
		if err != nil {
			t.Fatalf("tick label %q", e.text)
		}
		if log {
			if value == 0 {
				continue
			}
			value = math.Log(value)
		}
		at := e.num(t, attr)
		if attr == "y" {
			at -= 0.36 * tickText.size // from the baseline to the tick
		}
		px, v = append(px, at), append(v, value)
	}
	if len(px) < 2 {
		t.Fatalf("axis %s has %d labels", class, len(px))
	}
	last := len(px) - 1
	slope := (v[last] - v[0]) / (px[last] - px[0])
	return func(p float64) float64 {
		value := v[0] + slope*(p-px[0])
		if log {
			return math.Exp(value)
		}
		return value
	}
}

// points flattens a path: corners as they are, curves sampled.
func (e svgElement) points(t testing.TB) []xy {
	t.Helper()
	d := e.attr["d"]
	var out []xy
	for len(d) > 0 {
		op := d[0]
		end := strings.IndexAny(d[1:], "MLCQAZ") + 1
		if end == 0 {
			end = len(d)
		}
		var nums []float64
		for _, f := range strings.FieldsFunc(d[1:end], func(r rune) bool { return r == ' ' || r == ',' }) {
			v, err := strconv.ParseFloat(f, 64)
			if err != nil {
				t.Fatalf("path %q: %v", e.attr["d"], err)
			}
			nums = append(nums, v)
		}
		d = d[end:]
		switch op {
		case 'M', 'L':
			out = append(out, xy{nums[0], nums[1]})
		case 'C':
			p0 := out[len(out)-1]
			for k := 1; k <= 24; k++ {
				s := float64(k) / 24
				a, b, c, w := (1-s)*(1-s)*(1-s), 3*s*(1-s)*(1-s), 3*s*s*(1-s), s*s*s
				out = append(out, xy{
					a*p0.x + b*nums[0] + c*nums[2] + w*nums[4],
					a*p0.y + b*nums[1] + c*nums[3] + w*nums[5],
				})
			}
		}
	}
	return out
}

func near(t testing.TB, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %.6g, want %.6g within %g", what, got, want, tol)
	}
}
