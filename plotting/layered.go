package plotting

import (
	"cmp"
	"slices"
)

// A directed acyclic graph is laid out in columns, from left to right: each
// vertex one column after its last predecessor. An edge that spans several
// columns gets a place of its own in each column between, so it passes beside
// the vertices there and never through one.

// place is a vertex or a waypoint of an edge in a column.
type place struct {
	layer  int
	w, h   float64
	x, y   float64 // centre, set by arrange
	vertex int     // or -1
}

type layered struct {
	places []place
	links  [][2]int // between places of neighbouring columns, left to right
	routes [][]int  // places of each edge, its ends included
	layers [][]int  // places from top to bottom
}

const (
	placeGap  = 14.0 // between places of a column
	columnGap = 44.0
)

// depths is the column of each vertex: the longest way from a source. Edges
// run from lower to higher indices.
func depths(n int, edges [][2]int) []int {
	out := make([]int, n)
	ordered := slices.Clone(edges)
	slices.SortFunc(ordered, func(a, b [2]int) int { return cmp.Or(a[0]-b[0], a[1]-b[1]) })
	for _, e := range ordered {
		out[e[1]] = max(out[e[1]], out[e[0]]+1)
	}
	return out
}

// newLayered places vertices (whose layer, w and h are set) and the waypoints
// of edges; size gives the extent of the waypoint of edge e in a layer.
func newLayered(vertices []place, edges [][2]int, size func(e, layer int) (w, h float64)) *layered {
	g := &layered{places: slices.Clone(vertices)}
	for i := range g.places {
		g.places[i].vertex = i
	}
	for e, ends := range edges {
		route := []int{ends[0]}
		for l := vertices[ends[0]].layer + 1; l < vertices[ends[1]].layer; l++ {
			w, h := size(e, l)
			g.places = append(g.places, place{layer: l, w: w, h: h, vertex: -1})
			route = append(route, len(g.places)-1)
		}
		route = append(route, ends[1])
		for i := 1; i < len(route); i++ {
			g.links = append(g.links, [2]int{route[i-1], route[i]})
		}
		g.routes = append(g.routes, route)
	}
	for i, p := range g.places {
		for len(g.layers) <= p.layer {
			g.layers = append(g.layers, nil)
		}
		g.layers[p.layer] = append(g.layers[p.layer], i)
	}
	g.order()
	g.arrange()
	return g
}

// neighbours lists, for each place, the linked ones in the column before (or
// after).
func (g *layered) neighbours(before bool) [][]int {
	out := make([][]int, len(g.places))
	for _, l := range g.links {
		if before {
			out[l[1]] = append(out[l[1]], l[0])
		} else {
			out[l[0]] = append(out[l[0]], l[1])
		}
	}
	return out
}

// order sorts the columns for few crossings: sweeps to the mean position of
// the neighbours, then swaps of adjacent places while they help.
func (g *layered) order() {
	prev, next := g.neighbours(true), g.neighbours(false)
	best, fewest := cloneLayers(g.layers), g.crossings()
	for sweep := range 16 {
		side := prev
		if sweep%2 == 1 {
			side = next
		}
		g.sweep(side, sweep%2 == 1)
		for g.swap() {
		}
		if c := g.crossings(); c < fewest {
			best, fewest = cloneLayers(g.layers), c
		}
	}
	g.layers = best
}

func cloneLayers(l [][]int) [][]int {
	out := make([][]int, len(l))
	for i := range l {
		out[i] = slices.Clone(l[i])
	}
	return out
}

func (g *layered) positions() []int {
	pos := make([]int, len(g.places))
	for _, layer := range g.layers {
		for k, i := range layer {
			pos[i] = k
		}
	}
	return pos
}

func (g *layered) sweep(side [][]int, backward bool) {
	for k := range g.layers {
		if backward {
			k = len(g.layers) - 1 - k
		}
		pos := g.positions()
		key := func(i int) float64 {
			if len(side[i]) == 0 {
				return float64(pos[i])
			}
			sum := 0
			for _, j := range side[i] {
				sum += pos[j]
			}
			return float64(sum) / float64(len(side[i]))
		}
		slices.SortStableFunc(g.layers[k], func(i, j int) int { return cmp.Compare(key(i), key(j)) })
	}
}

// swap exchanges one adjacent pair if that removes a crossing.
func (g *layered) swap() bool {
	now := g.crossings()
	for _, layer := range g.layers {
		for k := 1; k < len(layer); k++ {
			layer[k-1], layer[k] = layer[k], layer[k-1]
			if g.crossings() < now {
				return true
			}
			layer[k-1], layer[k] = layer[k], layer[k-1]
		}
	}
	return false
}

func (g *layered) crossings() int {
	pos := g.positions()
	count := 0
	for i, a := range g.links {
		for _, b := range g.links[:i] {
			if g.places[a[0]].layer == g.places[b[0]].layer &&
				(pos[a[0]]-pos[b[0]])*(pos[a[1]]-pos[b[1]]) < 0 {
				count++
			}
		}
	}
	return count
}

// arrange sets the centres: columns side by side, and in each column places as
// near to the mean of their neighbours as their order and sizes allow.
func (g *layered) arrange() {
	x := 0.0
	for _, layer := range g.layers {
		w := 0.0
		for _, i := range layer {
			w = max(w, g.places[i].w)
		}
		for _, i := range layer {
			g.places[i].x = x + w/2
		}
		x += w + columnGap
	}
	for _, layer := range g.layers {
		g.settle(layer, make([]float64, len(layer))) // stacked around 0
	}
	prev, next := g.neighbours(true), g.neighbours(false)
	for sweep := range 120 {
		for k := range g.layers {
			if sweep%2 == 1 {
				k = len(g.layers) - 1 - k
			}
			want := make([]float64, len(g.layers[k]))
			for n, i := range g.layers[k] {
				want[n] = g.pull(i, prev[i], next[i])
			}
			g.settle(g.layers[k], want)
		}
	}
}

// pull is where a place wants to be. Waypoints count more, so that long edges
// run straight.
func (g *layered) pull(i int, sides ...[]int) float64 {
	sum, weight := 0.0, 0.0
	for _, side := range sides {
		for _, j := range side {
			w := 1.0
			if g.places[i].vertex < 0 && g.places[j].vertex < 0 {
				w = 4
			}
			sum += w * g.places[j].y
			weight += w
		}
	}
	if weight == 0 {
		return 0
	}
	return sum / weight
}

// settle puts a column as near to the wanted centres as the distances between
// neighbours allow: the least-squares solution, by pooling adjacent places
// that would come too close.
func (g *layered) settle(layer []int, want []float64) {
	type block struct {
		sum   float64
		n     int
		first int
	}
	offset := make([]float64, len(layer))
	for k := 1; k < len(layer); k++ {
		offset[k] = offset[k-1] + (g.places[layer[k-1]].h+g.places[layer[k]].h)/2 + placeGap
	}
	var blocks []block
	for k := range layer {
		blocks = append(blocks, block{want[k] - offset[k], 1, k})
		for n := len(blocks) - 1; n > 0 && blocks[n-1].sum*float64(blocks[n].n) > blocks[n].sum*float64(blocks[n-1].n); n-- {
			blocks[n-1].sum += blocks[n].sum
			blocks[n-1].n += blocks[n].n
			blocks = blocks[:n]
		}
	}
	for b, bl := range blocks {
		end := len(layer)
		if b+1 < len(blocks) {
			end = blocks[b+1].first
		}
		for k := bl.first; k < end; k++ {
			g.places[layer[k]].y = bl.sum/float64(bl.n) + offset[k]
		}
	}
}

// bounds is the extent of all places.
func (g *layered) bounds() (x0, y0, x1, y1 float64) {
	for i, p := range g.places {
		l, r, t, b := p.x-p.w/2, p.x+p.w/2, p.y-p.h/2, p.y+p.h/2
		if i == 0 {
			x0, y0, x1, y1 = l, t, r, b
			continue
		}
		x0, y0, x1, y1 = min(x0, l), min(y0, t), max(x1, r), max(y1, b)
	}
	return x0, y0, x1, y1
}
