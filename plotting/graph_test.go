package plotting

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var inception = CellData{
	Title: "A cell", Subtitle: "7 vertices",
	Matrix: [][]int{{0, 1, 1, 1, 0, 1, 0}, {0, 0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 1, 0, 0},
		{0, 0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 0, 0}},
	Ops: []string{"input", "conv1x1-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output"},
}

// The second-order DARTS cell, as published.
var dartsV2 = GenotypeData{
	Title:  "DARTS_V2, normal cell",
	Inputs: []string{"c_{k-2}", "c_{k-1}"}, Nodes: []string{"0", "1", "2", "3"}, Concat: []string{"0", "1", "2", "3"},
	Edges: []GenotypeEdge{
		{"c_{k-2}", "0", "sep_conv_3x3"}, {"c_{k-1}", "0", "sep_conv_3x3"},
		{"c_{k-2}", "1", "sep_conv_3x3"}, {"c_{k-1}", "1", "sep_conv_3x3"},
		{"c_{k-1}", "2", "sep_conv_3x3"}, {"c_{k-2}", "2", "skip_connect"},
		{"c_{k-2}", "3", "skip_connect"}, {"0", "3", "dil_conv_3x3"},
	},
}

type box struct{ x0, y0, x1, y1 float64 }

func boxOf(pts []xy) box {
	b := box{pts[0].x, pts[0].y, pts[0].x, pts[0].y}
	for _, p := range pts {
		b = box{min(b.x0, p.x), min(b.y0, p.y), max(b.x1, p.x), max(b.y1, p.y)}
	}
	return b
}

func (b box) overlaps(o box) bool { return b.x0 < o.x1 && o.x0 < b.x1 && b.y0 < o.y1 && o.y0 < b.y1 }

// checkDrawing reads nodes and edges back from the document: no two nodes
// overlap, every edge runs from its node to its node, and through none of the
// others, nor through the label of another edge.
func checkDrawing(t *testing.T, what string, f *Figure, nodes, edges int) {
	t.Helper()
	doc := parseSVG(t, f)
	width, height := f.Size()
	var boxes []box
	for _, e := range doc.find("path", "node", "") {
		if e.attr["fill"] != "none" {
			boxes = append(boxes, boxOf(e.points(t)))
		}
	}
	if len(boxes) != nodes {
		t.Fatalf("%s: %d nodes drawn, want %d", what, len(boxes), nodes)
	}
	for i, b := range boxes {
		if b.x0 < 0 || b.y0 < 0 || b.x1 > float64(width) || b.y1 > float64(height) {
			t.Errorf("%s: node %d lies outside the card", what, i)
		}
		for _, o := range boxes[:i] {
			if b.overlaps(o) {
				t.Errorf("%s: two nodes overlap", what)
			}
		}
	}
	lines := 0
	for _, e := range doc.find("path", "edge", "") {
		if e.attr["fill"] != "none" || e.attr["stroke-width"] != "1.7" {
			continue
		}
		lines++
		pts := e.points(t)
		for i, b := range boxes {
			touched := 0
			inner := box{b.x0 + 1, b.y0 + 1, b.x1 - 1, b.y1 - 1}
			for k := 1; k < len(pts); k++ {
				if boxOf(pts[k-1:k+1]).overlaps(inner) && crosses(pts[k-1], pts[k], inner) {
					touched++
				}
			}
			// A round node's box is larger than its circle: the first and the
			// last piece may enter the corner of their own node's.
			ends := near2(pts[0], b) || near2(pts[len(pts)-1], b)
			if touched > 0 && !ends {
				t.Errorf("%s: an edge runs through node %d", what, i)
			}
		}
	}
	if lines != edges {
		t.Errorf("%s: %d edges drawn, want %d", what, lines, edges)
	}
}

// crosses samples a short piece against a box.
func crosses(a, b xy, r box) bool {
	for k := 0; k <= 16; k++ {
		s := float64(k) / 16
		x, y := a.x+s*(b.x-a.x), a.y+s*(b.y-a.y)
		if x > r.x0 && x < r.x1 && y > r.y0 && y < r.y1 {
			return true
		}
	}
	return false
}

// near2 tells whether an edge begins or ends at a box (the arrow's length
// away at most).
func near2(p xy, b box) bool {
	return p.x > b.x0-arrowSize-1 && p.x < b.x1+2 && p.y > b.y0 && p.y < b.y1
}

func TestCellDrawing(t *testing.T) {
	f := mustFigure(t)(Cell(inception))
	checkDrawing(t, "cell", f, 7, 9)
	doc := parseSVG(t, f)
	for _, want := range []string{"input", "output", "conv1x1", "conv3x3", "maxpool3x3"} {
		if !strings.Contains(doc.text(), want+"\n") {
			t.Errorf("%q is not written", want)
		}
	}
	fills := map[string]string{}
	for _, e := range doc.find("path", "node", "") {
		if c := e.attr["fill"]; c != "none" {
			if old, ok := fills[e.group]; ok && old != c {
				t.Errorf("%s has two colours", e.group)
			}
			fills[e.group] = c
		}
	}
	if fills["conv1x1"] == fills["conv3x3"] || fills["conv3x3"] == fills["maxpool3x3"] {
		t.Errorf("operations share a colour: %v", fills)
	}
}

func TestRandomCells(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	ops := []string{"conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"}
	for trial := range 60 {
		n := 2 + r.IntN(6)
		if trial%20 == 0 {
			n = 12
		}
		data := CellData{Matrix: make([][]int, n), Ops: make([]string, n)}
		edges := 0
		for i := range n {
			data.Matrix[i] = make([]int, n)
			data.Ops[i] = ops[r.IntN(3)]
			for j := i + 1; j < n; j++ {
				if r.IntN(2) == 0 {
					data.Matrix[i][j] = 1
					edges++
				}
			}
		}
		data.Ops[0], data.Ops[n-1] = "input", "output"
		checkDrawing(t, fmt.Sprint(data.Matrix), mustFigure(t)(Cell(data)), n, edges)
	}
}

func TestGenotypeDrawing(t *testing.T) {
	f := mustFigure(t)(Genotype(dartsV2))
	checkDrawing(t, "genotype", f, 7, 12)
	doc := parseSVG(t, f)
	labels := map[string]int{}
	for _, e := range doc.find("text", "edge", "") {
		labels[e.text]++
	}
	if labels["sep_conv_3x3"] != 5 || labels["skip_connect"] != 2 || labels["dil_conv_3x3"] != 1 || len(labels) != 3 {
		t.Errorf("labels %v", labels)
	}
	if e := doc.find("text", "edge", "0 to 3"); len(e) != 1 || e[0].text != "dil_conv_3x3" {
		t.Errorf("the edge from 0 to 3: %+v", e)
	}
}

func TestRandomGenotypes(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	ops := []string{"max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}
	for range 30 {
		data := GenotypeData{Inputs: []string{"c_{k-2}", "c_{k-1}"}}
		names := append([]string(nil), data.Inputs...)
		for i := range 4 + r.IntN(2) {
			node := fmt.Sprint(i)
			for range 2 { // two edges may come from one node, as in ENAS
				data.Edges = append(data.Edges, GenotypeEdge{names[r.IntN(len(names))], node, ops[r.IntN(len(ops))]})
			}
			names = append(names, node)
			data.Concat = append(data.Concat, node)
		}
		checkDrawing(t, fmt.Sprint(data.Edges), mustFigure(t)(Genotype(data)), len(names)+1, len(data.Edges)+len(data.Concat))
	}
}

func TestBadGraphs(t *testing.T) {
	ops := []string{"input", "output"}
	cells := map[string]CellData{
		"0 vertices":       {},
		"1 vertices":       {Matrix: [][]int{{0}}, Ops: []string{"input"}},
		"41 vertices":      {Matrix: make([][]int, 41)},
		"3 operations":     {Matrix: [][]int{{0, 1}, {0, 0}}, Ops: []string{"a", "b", "c"}},
		"row 1 has 1":      {Matrix: [][]int{{0, 1}, {0}}, Ops: ops},
		"is 2":             {Matrix: [][]int{{0, 2}, {0, 0}}, Ops: ops},
		"upper triangular": {Matrix: [][]int{{0, 1}, {1, 0}}, Ops: ops},
		"from 0 to 0":      {Matrix: [][]int{{1, 1}, {0, 0}}, Ops: ops},
	}
	for want, d := range cells {
		if _, err := Cell(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("cell: error %v does not mention %q", err, want)
		}
	}
	in := []string{"a", "b"}
	edge := func(from, to string) []GenotypeEdge { return []GenotypeEdge{{from, to, "op"}} }
	genotypes := map[string]GenotypeData{
		"no inputs":       {Edges: edge("a", "b")},
		"no edges":        {Inputs: in},
		"appears twice":   {Inputs: []string{"a", "a"}, Edges: edge("a", "0")},
		`"x" is no`:       {Inputs: in, Edges: edge("x", "0")},
		"to an input":     {Inputs: in, Edges: edge("a", "b")},
		"later nodes":     {Inputs: in, Nodes: []string{"0", "1"}, Edges: edge("1", "0")},
		`"7" is no`:       {Inputs: in, Edges: edge("a", "0"), Concat: []string{"7"}},
		`"0" appears`:     {Inputs: in, Edges: edge("a", "0"), Concat: []string{"0"}, Output: "0"},
		"121 edges and 2": {Inputs: in, Edges: make([]GenotypeEdge, 121)},
	}
	for want, d := range genotypes {
		if _, err := Genotype(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("genotype: error %v does not mention %q", err, want)
		}
	}
}
