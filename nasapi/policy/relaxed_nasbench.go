package policy

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// nasbenchCode relaxes NASBench-101: each interior vertex chooses one predecessor (none,
// the input or an earlier vertex) and an operation. The vectors are those of the
// predecessors by vertex, of which option 0 is none, then those of the operations.
type nasbenchCode struct{ space *space.NASBench }

// keptSamples is how many of the sampled architectures are kept, the most frequent.
const keptSamples = 200

func (c nasbenchCode) interior() int { return c.space.MaxVertices() - 2 }

func (c nasbenchCode) layout() []relaxedVector {
	var list []relaxedVector
	for v := range c.interior() {
		list = append(list, relaxedVector{options: v + 2, hidden: 1})
	}
	for range c.interior() {
		list = append(list, relaxedVector{options: len(c.space.Operations())})
	}
	return list
}

// ones are the weights of the input and the vertices at the output.
func (c nasbenchCode) ones() int { return c.interior() + 1 }

// order: the reference's search on NASBench-101 is unrolled.
func (c nasbenchCode) order() int { return 2 }

func (c nasbenchCode) initial(edge float64, _ *rng.Stream) [][]float64 {
	var logits [][]float64
	for _, v := range c.layout() {
		vector := make([]float64, v.options)
		for o := v.hidden; o < v.options && v.hidden > 0; o++ {
			vector[o] = edge
		}
		logits = append(logits, vector)
	}
	return logits
}

// derive samples architectures and keeps the most frequent, in order of frequency and
// then of hash.
func (c nasbenchCode) derive(logs [][]float64, samples int, s *rng.Stream) (pool []space.Arch, outside int) {
	chances := make([][]float64, len(logs))
	for i, v := range logs {
		for _, l := range v {
			chances[i] = append(chances[i], detmath.Exp(l))
		}
	}
	counts := make(map[int]int)
	choices := make([]int, len(logs))
	for range samples {
		for i, v := range chances {
			choices[i] = pick(v, s.Float64())
		}
		if at, ok := c.decode(choices); ok {
			counts[at]++
		} else {
			outside++
		}
	}
	order := make([]int, 0, len(counts))
	for at := range counts {
		order = append(order, at)
	}
	// At counts in ascending order of hash.
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for _, at := range order[:min(len(order), keptSamples)] {
		pool = append(pool, c.space.At(at))
	}
	return pool, outside
}

// pick is the option in which the cumulative probability passes u.
func pick(chances []float64, u float64) int {
	last := 0
	for o, p := range chances {
		if p == 0 {
			continue
		}
		if last = o; u < p {
			return o
		}
		u -= p
	}
	return last // what rounding left over
}

// decode is the place of an architecture in the space; false where it has none. Vertices
// without a way from the input are left out, all others and the input feed the output.
// Five vertices make eleven edges so: where that is too many, only those that feed no
// other vertex feed the output, and the input. Four and five of those are still too many.
func (c nasbenchCode) decode(choices []int) (at int, ok bool) {
	n := c.interior()
	for _, sparse := range []bool{false, true} {
		cell, err := c.cell(choices[:n], choices[n:], sparse)
		if err != nil {
			return 0, false
		}
		if at, ok := c.space.Index(cell); ok {
			return at, true
		}
	}
	return 0, false
}

func (c nasbenchCode) cell(from, ops []int, sparse bool) (*space.Cell, error) {
	n := c.interior()
	names := c.space.Operations()
	labels, matrix := make([]string, n+2), make([][]int, n+2)
	for x := range matrix {
		matrix[x] = make([]int, n+2)
	}
	labels[0], labels[n+1] = "input", "output"
	for v := range n {
		if labels[v+1] = names[ops[v]]; from[v] > 0 {
			matrix[from[v]-1][v+1] = 1
		}
	}
	for v := range n {
		if !sparse || !slices.Contains(matrix[v+1], 1) {
			matrix[v+1][n+1] = 1
		}
	}
	matrix[0][n+1] = 1
	return space.NewCell(matrix, labels)
}

// rate sums over all choices that decode to a.
func (c nasbenchCode) rate(logs [][]float64, a space.Arch) (float64, bool) {
	want, ok := c.space.Index(a)
	if !ok {
		return 0, false
	}
	var terms []float64
	choices := make([]int, len(logs))
	for _, at := range relaxedPlaces(c.space) {
		if int(at) == want {
			sum := 0.0
			for i, o := range choices {
				sum += logs[i][o]
			}
			terms = append(terms, sum)
		}
		c.count(choices)
	}
	if len(terms) == 0 {
		return 0, false
	}
	return detmath.LogSumExp(terms), true
}

// count goes to the next choices, the last fastest, and back to zeros after the last.
func (c nasbenchCode) count(choices []int) bool {
	n := c.interior()
	for i := len(choices) - 1; i >= 0; i-- {
		limit := 3
		if i < n {
			limit = i + 2
		}
		if choices[i]++; choices[i] < limit {
			return true
		}
		choices[i] = 0
	}
	return false
}

// relaxedPlaces are the places in the space of what all choices decode to, in the order
// of count, -1 for those outside: 174,960 of the largest space.
func relaxedPlaces(s *space.NASBench) []int32 { return relaxedPlacesOf[s.MaxVertices()]() }

var relaxedPlacesOf = func() (lists [8]func() []int32) {
	for vertices := range lists {
		lists[vertices] = sync.OnceValue(func() []int32 { return listRelaxed(vertices) })
	}
	return lists
}()

func listRelaxed(vertices int) []int32 {
	s, err := space.NASBench101(vertices)
	if err != nil || vertices < 3 {
		return nil // no space that is searched
	}
	c := nasbenchCode{s}
	var places []int32
	choices := make([]int, 2*c.interior())
	for more := true; more; more = c.count(choices) {
		at, ok := c.decode(choices)
		if !ok {
			at = -1
		}
		places = append(places, int32(at))
	}
	return places
}

// RelaxedReachable is the number of distinct cells of NASBench-101 that DARTS and FBNet
// can derive with so many interior vertices, 1 to 5. The first call with 5 takes a
// second.
func RelaxedReachable(interior int) int {
	if interior < 1 || interior+2 >= len(relaxedPlacesOf) {
		return 0
	}
	seen := make(map[int32]bool)
	for _, at := range relaxedPlacesOf[interior+2]() {
		seen[at] = true
	}
	delete(seen, -1)
	return len(seen)
}

// SampleRelaxed draws each vertex's predecessor (or none) and operation uniformly and
// decodes them as DARTS and FBNet do, again until the architecture is in the space: the
// random baseline of these policies.
func SampleRelaxed(s *space.NASBench, r *rng.Stream) (space.Arch, error) {
	c := nasbenchCode{s}
	if c.interior() < 1 {
		return nil, fmt.Errorf("%s leaves nothing to decide; draw with measure=\"unique\"", s)
	}
	choices := make([]int, 2*c.interior())
	for range maxOutside {
		for i, v := range c.layout() {
			choices[i] = r.IntN(v.options)
		}
		if at, ok := c.decode(choices); ok {
			return s.At(at), nil
		}
	}
	return nil, fmt.Errorf("%d draws in a row decode to nothing in %s; draw with measure=\"unique\"", maxOutside, s)
}
