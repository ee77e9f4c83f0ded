package space

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"

	"evalnas/nasapi/rng"
)

const rowsName = "rows"

// Decided is a space whose architectures are one option for each of a fixed list of
// decisions: ChoiceSpace and NASBench201.
type Decided interface {
	Space
	// Sizes are the options of each decision.
	Sizes() []int
	arch(digits []uint32) Arch
	read(a Arch) ([]uint32, error)
}

var (
	_ Decided = (*ChoiceSpace)(nil)
	_ Decided = (*ListedChoices)(nil)
	_ Decided = (*NASBench201)(nil)
)

// Sizes are the options of each decision. They must not be changed.
func (f flat) Sizes() []int { return f.sizes }

// Rows is a part of a larger space: the architectures that a table has measured. Its
// neighbours are those rows that differ in one decision, and a mutation is one of them,
// drawn uniformly, or a uniform row where there is none.
type Rows struct {
	base   Decided
	flat   flat
	digits []uint32 // sorted
	n      int
	spec   Spec
	hoods  func() [][]int32
}

var (
	_ Finite        = (*Rows)(nil)
	_ Mutator       = (*Rows)(nil)
	_ Neighbourhood = (*Rows)(nil)
)

// RowsOf makes the part of a space that has the given rows, each a list of the numbers of
// its options, joined and in ascending order. digest is that of the table that has them.
func RowsOf(base Decided, rows []uint32, digest string) (*Rows, error) {
	r := &Rows{base: base, flat: flat{base.Sizes()}, digits: rows, spec: Spec{Name: rowsName, Table: digest}}
	k := len(r.flat.sizes)
	if r.n = len(rows) / k; r.n == 0 || r.n*k != len(rows) {
		return nil, fmt.Errorf("rows: %d numbers are no rows of %d", len(rows), k)
	}
	for i := range r.n {
		row := r.row(i)
		for at, d := range row {
			if int(d) >= r.flat.sizes[at] {
				return nil, fmt.Errorf("rows: option %d of a decision with %d", d, r.flat.sizes[at])
			}
		}
		if i > 0 && slices.Compare(r.row(i-1), row) >= 0 {
			return nil, errors.New("rows: they are not in ascending order")
		}
	}
	r.hoods = sync.OnceValue(r.sortHoods)
	return r, nil
}

func (r *Rows) row(i int) []uint32 {
	k := len(r.flat.sizes)
	return r.digits[i*k : (i+1)*k : (i+1)*k]
}

// Base is the space that the rows are from.
func (r *Rows) Base() Decided { return r.base }

// Spec names the table that has the rows.
func (r *Rows) Spec() Spec { return r.spec }

// shortDigest is how much of a digest is shown, and enough to find a table again.
const shortDigest = 12

func (r *Rows) String() string {
	return fmt.Sprintf("rows of table %s", r.spec.Table[:min(shortDigest, len(r.spec.Table))])
}

var rowsText = regexp.MustCompile(`^rows of table ([0-9a-f]{12})$`)

// Size is Len.
func (r *Rows) Size() *big.Int { return big.NewInt(int64(r.n)) }

// Measure says over what Sample is uniform.
func (r *Rows) Measure() string {
	return fmt.Sprintf("uniform over the %d rows of the table, of %s combinations", r.n, r.flat.size())
}

// Len is the number of rows.
func (r *Rows) Len() int { return r.n }

// At returns row i in the order of its options' numbers. It panics unless 0 <= i < Len().
func (r *Rows) At(i int) Arch {
	if i < 0 || i >= r.n {
		panic(fmt.Sprintf("space: row %d of %d", i, r.n))
	}
	return r.base.arch(r.row(i))
}

// Index is the inverse of At.
func (r *Rows) Index(a Arch) (i int, ok bool) {
	digits, err := r.base.read(a)
	if err != nil {
		return 0, false
	}
	return r.flat.find(r.digits, digits)
}

// Sample draws a row uniformly.
func (r *Rows) Sample(s *rng.Stream) Arch { return r.At(s.IntN(r.n)) }

// Parse reads an architecture and checks that the table has it.
func (r *Rows) Parse(raw json.RawMessage) (Arch, error) {
	a, err := r.base.Parse(raw)
	if err != nil {
		return nil, err
	}
	if err := r.Contains(a); err != nil {
		return nil, err
	}
	return a, nil
}

// Contains says why a is not among the rows, nil if it is.
func (r *Rows) Contains(a Arch) error {
	digits, err := r.base.read(a)
	if err != nil {
		return err
	}
	if _, ok := r.flat.find(r.digits, digits); !ok {
		return fmt.Errorf("%s is not among the %d rows of the table, which has not all combinations: %w", a, r.n, ErrOutside)
	}
	return nil
}

// Mutate returns a uniform neighbour, or a uniform row where there is none. An
// architecture that is no row is returned as it is.
func (r *Rows) Mutate(a Arch, s *rng.Stream) Arch {
	i, ok := r.Index(a)
	if !ok {
		return a
	}
	near := r.near(i)
	if len(near) == 0 {
		return r.Sample(s)
	}
	return r.At(int(near[s.IntN(len(near))]))
}

// Neighbours are the rows that differ in one decision, by decision and then by option. It
// is empty for an architecture that is no row.
func (r *Rows) Neighbours(a Arch) []Arch {
	i, ok := r.Index(a)
	if !ok {
		return nil
	}
	near := r.near(i)
	out := make([]Arch, len(near))
	for j, row := range near {
		out[j] = r.At(int(row))
	}
	return out
}

func (r *Rows) near(i int) []int32 {
	var near []int32
	row := r.row(i)
	for at, order := range r.hoods() {
		from := sort.Search(r.n, func(j int) bool { return compareBut(r.row(int(order[j])), row, at) >= 0 })
		for _, j := range order[from:] {
			if compareBut(r.row(int(j)), row, at) != 0 {
				break
			}
			if int(j) != i {
				near = append(near, j)
			}
		}
	}
	return near
}

// sortHoods orders the rows, for each decision, so that those that differ in it alone are
// together, in the order of its options.
func (r *Rows) sortHoods() [][]int32 {
	all := make([][]int32, len(r.flat.sizes))
	for at := range all {
		order := make([]int32, r.n)
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortFunc(order, func(i, j int32) int {
			return cmp.Or(compareBut(r.row(int(i)), r.row(int(j)), at), cmp.Compare(i, j))
		})
		all[at] = order
	}
	return all
}

// compareBut compares two rows without one decision.
func compareBut(a, b []uint32, at int) int {
	return cmp.Or(slices.Compare(a[:at], b[:at]), slices.Compare(a[at+1:], b[at+1:]))
}

// openRows finds the rows of a table by its digest, or by the first of its digits.
var openRows func(digest string) (Space, error)

// RegisterRows says how the rows of a table are found: tables are not known here.
func RegisterRows(open func(digest string) (Space, error)) { openRows = open }

func rowsOfTable(digest string) (Space, error) {
	if openRows == nil {
		return nil, fmt.Errorf("rows of table %s: this program opens no tables", abbreviate(digest))
	}
	return openRows(digest)
}

// FromText finds the space whose String is given.
func FromText(text string) (Space, error) {
	specs := []Spec{{Name: nasbench201Name}}
	for v := 7; v >= 2; v-- {
		specs = append(specs, Spec{Name: nasbenchName, MaxVertices: v})
	}
	specs = append(specs, Spec{Name: "darts", Nodes: 4}, Spec{Name: "darts", Nodes: 5})
	if m := rowsText.FindStringSubmatch(text); m != nil {
		specs = []Spec{{Name: rowsName, Table: m[1]}}
	} else if strings.HasPrefix(text, "choices(") {
		return choicesOfText(text)
	} else if strings.HasPrefix(text, "cell_space(") {
		return cellsOfText(text)
	}
	for _, spec := range specs {
		s, err := FromSpec(spec)
		if err != nil {
			return nil, err
		}
		if s.String() == text {
			return s, nil
		}
	}
	return nil, fmt.Errorf("space %q is not known: allowed are such as nasbench101(max_vertices=7), nasbench201(), darts_space(nodes=4), cell_space(...) and choices({...})", abbreviate(text))
}

// Includes says whether every architecture of part is one of whole: part is the same space,
// one of its sub-spaces of NASBench-101, or has the choices of the whole with some of their
// options, or its cells with some of their operations.
func Includes(whole, part Space) bool {
	if whole.Spec() == part.Spec() {
		return true
	}
	switch w := whole.(type) {
	case *NASBench:
		p, ok := part.(*NASBench)
		return ok && p.max <= w.max
	case *ListedChoices:
		return w.includes(part)
	case *ChoiceSpace:
		return w.includes(part)
	}
	if w, ok := cellForm(whole); ok {
		p, ok := cellForm(part)
		return ok && w.includes(p)
	}
	if r, ok := part.(*Rows); ok {
		return Includes(whole, r.base)
	}
	return false
}

func (c *ChoiceSpace) includes(part Space) bool {
	var p *ChoiceSpace
	switch s := part.(type) {
	case *ChoiceSpace:
		p = s
	case *ListedChoices:
		p = s.ChoiceSpace
	case *Rows:
		return c.includes(s.base)
	}
	if p == nil || len(p.picks) != len(c.picks) {
		return false
	}
	for _, pick := range p.picks {
		at, ok := c.at[pick.Name]
		if !ok {
			return false
		}
		for _, o := range pick.Options {
			if _, ok := c.of[at][o]; !ok {
				return false
			}
		}
	}
	return true
}

// Counted says whether parameters and multiply-adds of the space's architectures are known.
func Counted(s Space) bool {
	switch s := s.(type) {
	case *ChoiceSpace, *ListedChoices:
		return false
	case *Rows:
		return Counted(s.base)
	case *CellSpace:
		return s.CheckNetwork() == nil
	case *ListedCells:
		return s.CheckNetwork() == nil
	}
	return true
}
