package table

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"evalnas/nasapi/space"
	"evalnas/nasapi/table/frame"
)

// measured is a file's rows as measurements: which architecture, trained how long, which
// time, and what came of it.
type measured struct {
	file    *frame.Frame
	base    space.Decided
	digits  []uint32  // of the rows, joined
	epochs  []float64 // nil where the file has one training for each
	repeats []int32   // in ascending order of the labels, nil as above
	metrics []measuredColumn
	seconds *measuredColumn
	params  *measuredColumn
	flops   *measuredColumn
}

type measuredColumn struct {
	name   string // of the metric
	column string // of the file
	values []float64
}

// Bounds of what rows may hold.
const (
	maxEpochs  = 1_000_000
	maxRepeats = 100_000
)

// build brings the rows into the order of a space and checks that nothing is missing or
// twice.
func (m *measured) build() (*ownData, error) {
	if m.file.Rows() == 0 {
		return nil, errors.New("the file has a header and no rows")
	}
	if err := m.checkNumbers(); err != nil {
		return nil, err
	}
	order := m.sorted()
	groups := m.group(order)
	d := &ownData{base: m.base, n: len(groups)}
	var err error
	if d.epochs, err = m.fidelities(groups); err != nil {
		return nil, err
	}
	if err := m.findTwice(groups); err != nil {
		return nil, err
	}
	if !d.full() {
		d.rows = make([]uint32, 0, d.n*len(m.base.Sizes()))
		for _, g := range groups {
			d.rows = append(d.rows, m.row(g[0])...)
		}
	}
	return d, m.fill(d, groups)
}

// full says that all combinations are there, in a space that a job can be told of.
func (d *ownData) full() bool {
	if _, listed := d.base.(space.Finite); !listed || d.base.Size().Cmp(big.NewInt(int64(d.n))) != 0 {
		return false
	}
	c, ok := d.base.(interface{ CheckPortable() error })
	return !ok || c.CheckPortable() == nil
}

func (m *measured) row(i int32) []uint32 {
	k := len(m.base.Sizes())
	return m.digits[int(i)*k : (int(i)+1)*k]
}

// checkNumbers refuses missing values and those that cannot be.
func (m *measured) checkNumbers() error {
	for _, c := range m.columns() {
		count := c == m.params || c == m.flops
		for i, v := range c.values {
			switch {
			case math.IsNaN(v):
				return fmt.Errorf("%s: %q has no value: every row needs one", m.file.Where(i), shorten(c.column))
			case c == m.seconds && v < 0:
				return fmt.Errorf("%s: %q is %v: seconds are 0 or more", m.file.Where(i), shorten(c.column), v)
			case count && (v < 0 || v != math.Trunc(v) || v > 1<<53):
				return fmt.Errorf("%s: %q is %v: it must be an integer, 0 or more", m.file.Where(i), shorten(c.column), v)
			}
		}
	}
	for i, e := range m.epochs {
		if !(e >= 1 && e <= maxEpochs) || e != math.Trunc(e) {
			return fmt.Errorf("%s: the epochs are %v: they must be an integer from 1 to %d", m.file.Where(i), e, maxEpochs)
		}
	}
	return nil
}

func (m *measured) columns() []*measuredColumn {
	var all []*measuredColumn
	for i := range m.metrics {
		all = append(all, &m.metrics[i])
	}
	for _, c := range []*measuredColumn{m.seconds, m.params, m.flops} {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// sorted orders the rows by architecture, epochs, repeat and place in the file.
func (m *measured) sorted() []int32 {
	compare := m.byArchitecture()
	order := make([]int32, m.file.Rows())
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int {
		return cmp.Or(compare(i, j), cmp.Compare(m.epochsOf(i), m.epochsOf(j)), cmp.Compare(m.repeatOf(i), m.repeatOf(j)), cmp.Compare(i, j))
	})
	return order
}

// byArchitecture compares one number a row where it fits.
func (m *measured) byArchitecture() func(i, j int32) int {
	if !m.base.Size().IsInt64() {
		return func(i, j int32) int { return slices.Compare(m.row(i), m.row(j)) }
	}
	sizes := m.base.Sizes()
	codes := make([]int64, m.file.Rows())
	for i := range codes {
		for at, d := range m.row(int32(i)) {
			codes[i] = codes[i]*int64(sizes[at]) + int64(d)
		}
	}
	return func(i, j int32) int { return cmp.Compare(codes[i], codes[j]) }
}

func (m *measured) epochsOf(i int32) int {
	if m.epochs == nil {
		return 0
	}
	return int(m.epochs[i])
}

func (m *measured) repeatOf(i int32) int32 {
	if m.repeats == nil {
		return 0
	}
	return m.repeats[i]
}

// group cuts sorted rows into architectures.
func (m *measured) group(order []int32) [][]int32 {
	var groups [][]int32
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && slices.Equal(m.row(order[from]), m.row(order[to])) {
			to++
		}
		groups = append(groups, order[from:to:to])
		from = to
	}
	return groups
}

// fidelities are the numbers of epochs, which all architectures must have.
func (m *measured) fidelities(groups [][]int32) ([]int, error) {
	of := func(g []int32) []int {
		var epochs []int
		for _, i := range g {
			epochs = append(epochs, m.epochsOf(i))
		}
		return slices.Compact(epochs)
	}
	var all []int
	for _, g := range groups {
		for _, e := range of(g) {
			if at, known := slices.BinarySearch(all, e); !known {
				all = slices.Insert(all, at, e)
			}
		}
		if len(all) > 10_000 {
			return nil, errors.New("there are more than 10,000 different numbers of epochs: is it the right column?")
		}
	}
	lacking, example := 0, ""
	for _, g := range groups {
		if has := of(g); len(has) != len(all) {
			if lacking++; lacking == 1 {
				example = fmt.Sprintf("that of %s has %s of %s", m.file.Where(int(g[0])), intList(has), intList(all))
			}
		}
	}
	if lacking > 0 {
		return nil, fmt.Errorf("%d of %d architectures lack some epochs: %s; give the rows of the epochs that all have", lacking, len(groups), example)
	}
	return all, nil
}

func intList(all []int) string {
	var texts []string
	for _, n := range all[:min(len(all), 6)] {
		texts = append(texts, fmt.Sprint(n))
	}
	if len(all) > 6 {
		texts = append(texts, "...")
	}
	return strings.Join(texts, ", ")
}

// findTwice refuses two rows for one training.
func (m *measured) findTwice(groups [][]int32) error {
	for _, g := range groups {
		for at := 1; at < len(g); at++ {
			i, j := g[at-1], g[at]
			if m.epochsOf(i) != m.epochsOf(j) || m.repeatOf(i) != m.repeatOf(j) {
				continue
			}
			text := "the same architecture"
			if m.epochs != nil {
				text += fmt.Sprintf(" after %d epochs", m.epochsOf(i))
			}
			advice := "name the column that tells repeats apart (repeat=)"
			if m.repeats != nil {
				text += " in one repeat"
				advice = "one of them must go"
			}
			return fmt.Errorf("%s and %s hold %s (%s): %s", m.file.Where(int(i)), m.file.Where(int(j)), text, m.describe(i), advice)
		}
	}
	return nil
}

// describe names the architecture of a row.
func (m *measured) describe(i int32) string {
	r, err := space.RowsOf(m.base, slices.Clone(m.row(i)), "")
	if err != nil {
		return "which is none"
	}
	return r.At(0).String()
}

// fill puts the values into their places.
func (m *measured) fill(d *ownData, groups [][]int32) error {
	counts := make([]int, len(d.epochs))
	for _, g := range groups {
		clear(counts)
		for _, i := range g {
			f, _ := slices.BinarySearch(d.epochs, m.epochsOf(i))
			counts[f]++
		}
		d.repeats = max(d.repeats, slices.Max(counts))
	}
	if d.repeats > maxRepeats || d.repeats*d.n*len(d.epochs) > 16*m.file.Rows()+1_000_000 {
		return fmt.Errorf("one architecture has %d repeats, and the others have far fewer: is it the right column?", d.repeats)
	}
	for i := range m.metrics {
		c := &m.metrics[i]
		free := slices.ContainsFunc(c.values, func(v float64) bool { return v < 0 || v > 1 })
		d.metrics = append(d.metrics, ownMetric{name: c.name, free: free, values: m.spread(c, d, groups)})
	}
	if m.seconds != nil {
		d.seconds = m.spread(m.seconds, d, groups)
	}
	var err error
	if d.params, err = m.once(m.params, groups); err != nil {
		return err
	}
	d.flops, err = m.once(m.flops, groups)
	return err
}

// spread is a column by epochs, repeat and architecture; NaN where one has fewer repeats.
func (m *measured) spread(c *measuredColumn, d *ownData, groups [][]int32) [][][]float64 {
	all := make([][][]float64, len(d.epochs))
	for f := range all {
		all[f] = make([][]float64, d.repeats)
		for r := range all[f] {
			all[f][r] = slices.Repeat([]float64{math.NaN()}, d.n)
		}
	}
	for at, g := range groups {
		f, r := 0, 0
		for _, i := range g {
			if m.epochsOf(i) != d.epochs[f] {
				f, r = f+1, 0
			}
			all[f][r][at] = c.values[i]
			r++
		}
	}
	return all
}

// once is a column that has one value for each architecture.
func (m *measured) once(c *measuredColumn, groups [][]int32) ([]float64, error) {
	if c == nil {
		return nil, nil
	}
	values := make([]float64, len(groups))
	for at, g := range groups {
		values[at] = c.values[g[0]]
		for _, i := range g[1:] {
			if c.values[i] != values[at] {
				return nil, fmt.Errorf("%s and %s hold one architecture with different values of %q: %v and %v",
					m.file.Where(int(g[0])), m.file.Where(int(i)), shorten(c.column), values[at], c.values[i])
			}
		}
	}
	return values, nil
}
