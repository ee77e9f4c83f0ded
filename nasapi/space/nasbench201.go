package space

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"evalnas/nasapi/rng"
)

const nasbench201Name = "nasbench201"

// nb201Ops are the operations in the order of the benchmark.
var nb201Ops = []string{"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"}

// nb201Edges are the edges of a cell of four nodes in the order of its text: by the node
// that they lead to, then by the one that they come from.
var nb201Edges = [][2]int{{0, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}}

const nb201Size = 15_625 // 5^6

// NASBench201 is the space of NAS-Bench-201 (Dong and Yang, ICLR 2020), the topology
// space of NATS-Bench: cells of four nodes with one of five operations on each of the six
// edges. Cells are counted as they are labelled; 6,466 of the 15,625 differ, by the
// paper, once those that compute the same are joined.
type NASBench201 struct{ flat }

var (
	_ Finite        = (*NASBench201)(nil)
	_ Mutator       = (*NASBench201)(nil)
	_ Neighbourhood = (*NASBench201)(nil)
	_ Sequences     = (*NASBench201)(nil)
)

var nasbench201 = &NASBench201{flat{[]int{5, 5, 5, 5, 5, 5}}}

// OpenNASBench201 returns the space.
func OpenNASBench201() *NASBench201 { return nasbench201 }

// Spec says how to build the space again.
func (n *NASBench201) Spec() Spec { return Spec{Name: nasbench201Name} }

func (n *NASBench201) String() string { return "nasbench201()" }

// Size is 15,625.
func (n *NASBench201) Size() *big.Int { return big.NewInt(nb201Size) }

// Measure says over what Sample is uniform.
func (n *NASBench201) Measure() string {
	return "uniform over the 15625 labelled cells: isomorphic ones are counted as often as they are written"
}

// Sample draws the operation of each edge uniformly.
func (n *NASBench201) Sample(s *rng.Stream) Arch { return n.arch(n.sample(s)) }

// Len is 15,625.
func (n *NASBench201) Len() int { return nb201Size }

// At counts through the operations, the last edge fastest: this is not the number of the
// benchmark's own files, which list the cells in an arbitrary order. It panics unless
// 0 <= i < Len().
func (n *NASBench201) At(i int) Arch {
	if i < 0 || i >= nb201Size {
		panic(fmt.Sprintf("space: cell %d of %d", i, nb201Size))
	}
	return n.arch(n.digits(i))
}

// Index is the inverse of At.
func (n *NASBench201) Index(a Arch) (i int, ok bool) {
	digits, err := n.read(a)
	if err != nil {
		return 0, false
	}
	return n.index(digits), true
}

func (n *NASBench201) arch(digits []uint32) Arch {
	c := new(NB201Cell)
	for i, d := range digits {
		c.ops[i] = uint8(d)
	}
	return c
}

func (n *NASBench201) read(a Arch) ([]uint32, error) {
	c, ok := a.(*NB201Cell)
	if !ok {
		return nil, fmt.Errorf("%s is an architecture of the space %s, not of nasbench201: %w", a, a.Space(), ErrOutside)
	}
	digits := make([]uint32, len(c.ops))
	for i, o := range c.ops {
		digits[i] = uint32(o)
	}
	return digits, nil
}

// Parse reads the text of a cell as a JSON string.
func (n *NASBench201) Parse(raw json.RawMessage) (Arch, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, fmt.Errorf("%q is no cell: give its text, such as %q", abbreviate(string(raw)), exampleNB201)
	}
	return ParseNB201(text)
}

// Contains says why a is not in the space, nil if it is.
func (n *NASBench201) Contains(a Arch) error {
	_, err := n.read(a)
	return err
}

// Mutate changes the operation of one edge, both uniform, as the benchmark's regularised
// evolution does. An architecture of another space is returned as it is.
func (n *NASBench201) Mutate(a Arch, s *rng.Stream) Arch {
	digits, err := n.read(a)
	if err != nil {
		return a
	}
	return n.arch(n.mutate(digits, s))
}

// Neighbours are the 24 cells with another operation on one edge, by edge and then by
// operation. It is empty for an architecture of another space.
func (n *NASBench201) Neighbours(a Arch) []Arch {
	digits, err := n.read(a)
	if err != nil {
		return nil
	}
	return archsOf(n.neighbours(digits), n.arch)
}

// Choices are the decisions of the encoding: an operation for each edge.
func (n *NASBench201) Choices() []Choice {
	list := make([]Choice, len(n.sizes))
	for i, s := range n.sizes {
		list[i] = Choice{Node: i, N: s}
	}
	return list
}

// Operations names the operations in the order of their numbers.
func (n *NASBench201) Operations() []string { return slices.Clone(nb201Ops) }

// Decode turns the numbers of the operations into their cell.
func (n *NASBench201) Decode(seq []int) (Arch, error) {
	digits, err := n.fromSequence(seq)
	if err != nil {
		return nil, err
	}
	return n.arch(digits), nil
}

// Encode is the inverse of Decode.
func (n *NASBench201) Encode(a Arch) ([]int, error) {
	digits, err := n.read(a)
	if err != nil {
		return nil, err
	}
	return toSequence(digits), nil
}

// Reachable is Size: every cell has a sequence.
func (n *NASBench201) Reachable() *big.Int { return n.Size() }

// NB201Cell is a cell of NAS-Bench-201.
type NB201Cell struct{ ops [6]uint8 }

var _ Arch = (*NB201Cell)(nil)

const exampleNB201 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"

// ParseNB201 reads the text of a cell as the benchmark writes it: the incoming edges of
// nodes 1 to 3, each an operation and the node that it reads.
func ParseNB201(text string) (*NB201Cell, error) {
	fail := func(format string, args ...any) (*NB201Cell, error) {
		return nil, fmt.Errorf("%q is no cell of nasbench201: %w; it is such as %s", abbreviate(text), fmt.Errorf(format, args...), exampleNB201)
	}
	if len(text) > 200 {
		return fail("it has %d characters", len(text))
	}
	nodes := strings.Split(strings.TrimSpace(text), "+")
	if len(nodes) != 3 {
		return fail("it has %d nodes between + signs, not 3", len(nodes))
	}
	c, edge := new(NB201Cell), 0
	for to, node := range nodes {
		inner, opened := strings.CutPrefix(node, "|")
		inner, closed := strings.CutSuffix(inner, "|")
		parts := strings.Split(inner, "|")
		if !opened || !closed || len(parts) != to+1 {
			return fail("node %d needs %d edges between bars", to+1, to+1)
		}
		for from, part := range parts {
			op, source, _ := strings.Cut(part, "~")
			if source != fmt.Sprint(from) {
				return fail("edge %d of node %d must end in ~%d", from+1, to+1, from)
			}
			number := slices.Index(nb201Ops, op)
			if number < 0 {
				return fail("unknown operation %q%s: allowed are %s", abbreviate(op), hint(op, nb201Ops), strings.Join(nb201Ops, ", "))
			}
			c.ops[edge] = uint8(number)
			edge++
		}
	}
	return c, nil
}

// NB201Edge is an edge of a cell.
type NB201Edge struct {
	From, To int // nodes; 0 is the input and 3 the output
	Op       string
}

// Edges are the six edges, in the order of the text.
func (c *NB201Cell) Edges() []NB201Edge {
	edges := make([]NB201Edge, len(c.ops))
	for i, o := range c.ops {
		edges[i] = NB201Edge{nb201Edges[i][0], nb201Edges[i][1], nb201Ops[o]}
	}
	return edges
}

// Text is the cell as the benchmark writes it.
func (c *NB201Cell) Text() string {
	b := make([]byte, 0, 128)
	for i, o := range c.ops {
		from := nb201Edges[i][0]
		switch {
		case i == 0:
			b = append(b, '|')
		case from == 0:
			b = append(b, "+|"...)
		}
		b = append(append(b, nb201Ops[o]...), '~', byte('0'+from), '|')
	}
	return string(b)
}

// Hash is half of the SHA-256 of the text: 32 hexadecimal digits.
func (c *NB201Cell) Hash() string {
	sum := sha256.Sum256([]byte(c.Text()))
	return hex.EncodeToString(sum[:16])
}

// Space is "nasbench201".
func (c *NB201Cell) Space() string { return nasbench201Name }

func (c *NB201Cell) String() string { return c.Text() }

// MarshalJSON writes the text as a JSON string.
func (c *NB201Cell) MarshalJSON() ([]byte, error) { return json.Marshal(c.Text()) }

// The network of the benchmark on CIFAR-10 (its section 2): a 3x3 convolution to 16
// channels, three stages of five cells with 16, 32 and 64 channels on 32x32, 16x16 and 8x8
// pixels, a residual block that halves the pixels before the second and the third, and a
// linear layer to 10 classes. Every convolution has a batch normalisation with two
// parameters a channel, but for that of a residual block's shortcut.
const (
	nb201Cells       = 5
	nb201FixedParams = 73_306
	nb201FixedAdds   = 7_783_040
)

// Params is the number of trainable parameters of the network on CIFAR-10.
func (c *NB201Cell) Params() int64 {
	n := int64(nb201FixedParams)
	for _, channels := range []int64{16, 32, 64} {
		for _, o := range c.ops {
			if k := kernelSize(o); k > 0 {
				n += nb201Cells * (k*k*channels*channels + 2*channels)
			}
		}
	}
	return n
}

// FLOPs is the number of multiply-adds on a 32x32 image.
func (c *NB201Cell) FLOPs() int64 {
	n := int64(nb201FixedAdds)
	for i, channels := range []int64{16, 32, 64} {
		side := int64(32) >> i
		for _, o := range c.ops {
			k := kernelSize(o)
			n += nb201Cells * k * k * channels * channels * side * side
		}
	}
	return n
}

// kernelSize is that of a convolution, 0 of other operations.
func kernelSize(op uint8) int64 {
	switch nb201Ops[op] {
	case "nor_conv_1x1":
		return 1
	case "nor_conv_3x3":
		return 3
	}
	return 0
}
