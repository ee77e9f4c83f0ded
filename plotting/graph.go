package plotting

import (
	"cmp"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
)

// graphNode is a vertex of a drawn graph; graphEdge an edge, with the name of
// its operation if edges carry them.
type graphNode struct {
	label  string
	color  color.NRGBA
	strong bool // input or output: drawn dark
	round  bool
}

type graphEdge struct {
	from, to int
	label    string
	color    color.NRGBA
}

// drawnGraph is a laid-out graph.
type drawnGraph struct {
	nodes  []graphNode
	edges  []graphEdge
	layout *layered
}

const (
	nodeHeight = 32.0
	chipHeight = 22.0
	edgeHeight = 10.0 // of a waypoint
	arrowSize  = 7.0
)

// newGraph lays out nodes in their columns. If edges carry labels, every other
// column is for them.
func newGraph(nodes []graphNode, edges []graphEdge, depth []int) *drawnGraph {
	g := &drawnGraph{nodes: nodes, edges: edges}
	per := 1
	if slices.ContainsFunc(edges, func(e graphEdge) bool { return e.label != "" }) {
		per = 2
	}
	places := make([]place, len(nodes))
	for i, n := range nodes {
		w := max(strongText.width(n.label)+22, 46)
		if n.round {
			w = nodeHeight
		}
		places[i] = place{layer: depth[i] * per, w: w, h: nodeHeight}
	}
	ends := make([][2]int, len(edges))
	for i, e := range edges {
		ends[i] = [2]int{e.from, e.to}
	}
	g.layout = newLayered(places, ends, func(e, layer int) (w, h float64) {
		if edges[e].label != "" && layer == depth[edges[e].from]*per+1 {
			return labelText.width(edges[e].label) + 18, chipHeight
		}
		return 1, edgeHeight
	})
	return g
}

// draw paints the graph with the corner of its bounds at (x, y).
func (g *drawnGraph) draw(p *pen, x, y float64) {
	x0, y0, _, _ := g.layout.bounds()
	dx, dy := x-x0, y-y0
	outs, ins := g.ports()
	for e := range g.edges {
		g.drawEdge(p, e, dx, dy, outs[e], ins[e])
	}
	for i, n := range g.nodes {
		g.drawNode(p, n, g.layout.places[i], dx, dy)
	}
}

func (g *drawnGraph) drawNode(p *pen, n graphNode, at place, dx, dy float64) {
	x, y := at.x+dx, at.y+dy
	p.group("node", n.label, func() {
		radius := 8.0
		if n.round {
			radius = nodeHeight / 2
		}
		if n.strong {
			p.pill(x-at.w/2, y-at.h/2, at.w, at.h, radius, n.color, n.color)
			p.middle(x, y, n.label, strongText.in(cardColor), centre)
			return
		}
		p.pill(x-at.w/2, y-at.h/2, at.w, at.h, radius, tint(n.color), n.color)
		p.middle(x, y, n.label, strongText, centre)
	})
}

// ports spreads the ends of edges over the sides of their nodes, in the order
// in which they come and go, so that they do not cross there.
func (g *drawnGraph) ports() (outs, ins []float64) {
	outs, ins = make([]float64, len(g.edges)), make([]float64, len(g.edges))
	side := func(out []float64, at func(graphEdge) int, next func(route []int) int) {
		for i := range g.nodes {
			var here []int
			for e, edge := range g.edges {
				if at(edge) == i {
					here = append(here, e)
				}
			}
			slices.SortStableFunc(here, func(a, b int) int {
				return cmp.Compare(g.layout.places[next(g.layout.routes[a])].y, g.layout.places[next(g.layout.routes[b])].y)
			})
			gap := min(9, (nodeHeight-12)/float64(max(len(here)-1, 1)))
			for k, e := range here {
				out[e] = gap * (float64(k) - float64(len(here)-1)/2)
			}
		}
	}
	side(outs, func(e graphEdge) int { return e.from }, func(r []int) int { return r[1] })
	side(ins, func(e graphEdge) int { return e.to }, func(r []int) int { return r[len(r)-2] })
	return outs, ins
}

// rim is how far the side of a node lies from its centre at a height dy.
func (g *drawnGraph) rim(i int, dy float64) float64 {
	at := g.layout.places[i]
	if g.nodes[i].round {
		return math.Sqrt(max(at.w*at.w/4-dy*dy, 0))
	}
	return at.w / 2
}

// drawEdge draws curves in the gaps between columns and straight lines along
// the waypoints.
func (g *drawnGraph) drawEdge(p *pen, e int, dx, dy, out, in float64) {
	edge, route := g.edges[e], g.layout.routes[e]
	name := g.nodes[edge.from].label + " to " + g.nodes[edge.to].label
	p.group("edge", name, func() {
		first, last := g.layout.places[route[0]], g.layout.places[route[len(route)-1]]
		var path vg.Path
		x, y := first.x+dx+g.rim(edge.from, out), first.y+dy+out
		path.Move(p.pt(x, y))
		// The curves keep to the gaps: a column is as wide as its widest place.
		edgeOf := func(i int) (l, r float64) {
			half := 0.0
			for _, j := range g.layout.layers[g.layout.places[i].layer] {
				half = max(half, g.layout.places[j].w/2)
			}
			c := g.layout.places[i].x + dx
			return c - half, c + half
		}
		_, side := edgeOf(route[0])
		path.Line(p.pt(side, y))
		x = side
		for _, i := range route[1 : len(route)-1] {
			l, r := edgeOf(i)
			wy := g.layout.places[i].y + dy
			curveTo(p, &path, x, y, l, wy)
			path.Line(p.pt(r, wy))
			x, y = r, wy
		}
		tip := last.x + dx - g.rim(edge.to, in)
		l, _ := edgeOf(route[len(route)-1])
		ey := last.y + dy + in
		// The last straight piece holds the arrow.
		curveTo(p, &path, x, y, l-arrowSize-1, ey)
		path.Line(p.pt(tip-arrowSize+1, ey))
		p.stroke(path, 1.7, edge.color, nil)
		p.fill([]xy{{tip, ey}, {tip - arrowSize, ey - 3.6}, {tip - arrowSize, ey + 3.6}}, edge.color)
		g.drawChip(p, edge, route, dx, dy)
	})
}

func curveTo(p *pen, path *vg.Path, x0, y0, x1, y1 float64) {
	mid := (x0 + x1) / 2
	path.CubeTo(p.pt(mid, y0), p.pt(mid, y1), p.pt(x1, y1))
}

// drawChip writes the operation on the edge's first waypoint.
func (g *drawnGraph) drawChip(p *pen, edge graphEdge, route []int, dx, dy float64) {
	if edge.label == "" || len(route) < 3 {
		return
	}
	at := g.layout.places[route[1]]
	x, y := at.x+dx, at.y+dy
	p.pill(x-at.w/2, y-at.h/2, at.w, at.h, chipHeight/2, tint(edge.color), edge.color)
	p.middle(x, y, edge.label, labelText, centre)
}

// figure is the graph on a card with a heading.
func (g *drawnGraph) figure(title, subtitle, desc string) *Figure {
	x0, y0, x1, y1 := g.layout.bounds()
	head := heading{title: title, subtitle: subtitle}
	width := math.Ceil(max(x1-x0+2*padding, titleText.width(title)+2*padding, subtitleText.width(subtitle)+2*padding))
	width = min(width, max(x1-x0+2*padding, 1200)) // a longer title is cut
	top := head.height()
	return &Figure{
		width: int(math.Ceil(width)), height: int(math.Ceil(top + y1 - y0 + padding)),
		title: title, desc: desc,
		draw: func(p *pen) {
			head.draw(p, width)
			g.draw(p, (width-(x1-x0))/2, top)
		},
	}
}

// operationColors are fixed, so that an operation looks the same in every
// figure.
var operationColors = map[string]color.NRGBA{
	"conv3x3":      palette[0],
	"conv1x1":      palette[2],
	"maxpool3x3":   palette[1],
	"sep_conv_3x3": palette[0],
	"sep_conv_5x5": palette[4],
	"dil_conv_3x3": palette[2],
	"dil_conv_5x5": oliveColor,
	"max_pool_3x3": palette[1],
	"avg_pool_3x3": palette[5],
	"skip_connect": skipColor,
	"none":         noneColor,
}

// operationColor is the colour of any operation, known or not.
func operationColor(op string) color.NRGBA {
	if c, ok := operationColors[op]; ok {
		return c
	}
	sum := 0
	for _, b := range []byte(op) {
		sum = (sum*31 + int(b)) % len(palette)
	}
	return palette[sum]
}
