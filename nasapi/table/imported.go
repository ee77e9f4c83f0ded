package table

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"

	"evalnas/nasapi/nearest"
	"evalnas/nasapi/space"
)

// Imported is a table of NASBench-101 in a store: three repeats of trainings of one or four
// budgets of epochs, their values halfway and at the end, times and parameters. Columns are
// read at their first use.
type Imported struct {
	path    string
	digest  string
	space   *space.NASBench
	epochs  []int
	columns []*column // in the order of columnNames
	ranks   sync.Map  // Metric -> *ranking
}

var _ Table = (*Imported)(nil)

// column is one column of a store. raw and err may be looked at after load.
type column struct {
	encoding encoding
	load     func() error
	raw      []byte
}

// OpenStore opens what Import wrote. It reads a few kilobytes.
func OpenStore(path string) (*Imported, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening a table: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening a table: %w", err)
	}
	h, digest, err := readHeader(f, info.Size())
	if errors.Is(err, errNoStore) {
		return nil, fmt.Errorf("opening the table %s: %w", path, err)
	}
	if err != nil {
		return nil, &DamageError{path, err.Error()}
	}
	return newImported(path, digest, h)
}

func newImported(path, digest string, h storeHeader) (*Imported, error) {
	s, err := space.NASBench101(h.MaxVertices)
	if err != nil {
		return nil, err
	}
	t := &Imported{path: path, digest: digest, space: s, epochs: h.Epochs}
	at := int64(len(storeMagic))
	for _, c := range h.Columns {
		width, err := c.Encoding.width()
		if err != nil {
			return nil, err
		}
		offset, size := at, width*h.Cells
		one := &column{encoding: c.Encoding}
		one.load = sync.OnceValue(func() (err error) {
			one.raw, err = readColumn(path, offset, size, c.SHA256)
			return err
		})
		t.columns = append(t.columns, one)
		at += int64(size)
	}
	return t, nil
}

// Verify reads every column and holds it to its checksum.
func (t *Imported) Verify() error {
	for _, c := range t.columns {
		if err := c.load(); err != nil {
			return err
		}
	}
	return nil
}

// Path is where the store lies.
func (t *Imported) Path() string { return t.path }

// Name is that of the data set.
func (t *Imported) Name() string { return NASBench101Name }

func (t *Imported) String() string {
	return fmt.Sprintf("nasbench101_table(%q)", t.digest[:shortDigest])
}

// Digest is the SHA-256 that stands for all of the data.
func (t *Imported) Digest() string { return t.digest }

// Space is that of the cells in the file: NASBench-101 or one of its sub-spaces.
func (t *Imported) Space() space.Finite { return t.space }

// Repeats is three.
func (t *Imported) Repeats() int { return fileRepeats }

// Epochs are the budgets of epochs, ascending.
func (t *Imported) Epochs() []int { return slices.Clone(t.epochs) }

// metricValues are the values that are metrics, in the order in which they are listed.
var metricValues = []int{testValue, validValue, trainValue}

// Metrics lists the columns as means over the repeats.
func (t *Imported) Metrics() []Metric {
	var all []Metric
	for _, e := range t.epochs {
		for _, half := range []bool{false, true} {
			for _, v := range metricValues {
				all = append(all, Metric{Name: valueNames[v], Epochs: e, Repeat: RepeatMean, Halfway: half})
			}
		}
	}
	return all
}

// Find knows "test", "valid" and "train". The mean over the repeats and the most epochs
// are what is meant where the query does not say.
func (t *Imported) Find(q Query) (Metric, error) {
	m := Metric{Name: q.Name, Epochs: q.Epochs, Repeat: RepeatMean, Halfway: q.Halfway}
	if q.Epochs == 0 {
		m.Epochs = t.epochs[len(t.epochs)-1]
	}
	if q.Repeat != nil {
		m.Repeat = *q.Repeat
	}
	_, err := t.locate(m)
	return m, err
}

// place is where the values of a metric lie.
type place struct{ budget, point, value int }

// locate finds a metric, or says what the table has.
func (t *Imported) locate(m Metric) (p place, err error) {
	i := slices.IndexFunc(metricValues, func(v int) bool { return valueNames[v] == m.Name })
	if i < 0 {
		hint := ""
		if near := nearest.Name(m.Name, []string{Test, Valid, Train}); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		} else if strings.HasPrefix(m.Name, "val") {
			hint = `; did you mean "valid"?`
		}
		return p, fmt.Errorf(`unknown metric %q: the table has "test", "valid" and "train"%s`, shorten(m.Name), hint)
	}
	p.value = metricValues[i]
	if p.budget = slices.Index(t.epochs, m.Epochs); p.budget < 0 {
		return p, fmt.Errorf("epochs is %d: the table has trainings of %s", m.Epochs, numbers(t.epochs))
	}
	if m.Repeat < RepeatDrawn || m.Repeat >= fileRepeats {
		return p, fmt.Errorf(`repeat is %d: each cell was trained %d times; choose 0 to %d, "mean" or "drawn"`, m.Repeat, fileRepeats, fileRepeats-1)
	}
	if m.Free {
		return p, fmt.Errorf("%s: the columns of the table are accuracies", m)
	}
	p.point = atEnd
	if m.Halfway {
		p.point = halfway
	}
	return p, nil
}

func numbers(all []int) string {
	text := make([]string, len(all))
	for i, n := range all {
		text[i] = fmt.Sprint(n)
	}
	if len(text) < 2 {
		return strings.Join(text, "") + " epochs"
	}
	return strings.Join(text[:len(text)-1], ", ") + " and " + text[len(text)-1] + " epochs"
}

// reader gives the values of one metric, by row of the table's space.
type reader struct {
	repeats [fileRepeats]*column
	n       int  // of repeats: one, or all
	counted bool // all hold numbers of images, in one encoding
}

func (r *reader) columns() []*column { return r.repeats[:r.n] }

func (t *Imported) reader(m Metric) (reader, error) {
	p, err := t.locate(m)
	if err != nil {
		return reader{}, err
	}
	return t.readerAt(p, m.Repeat)
}

func (t *Imported) readerAt(p place, repeat int) (reader, error) {
	if repeat == RepeatDrawn {
		return reader{}, errors.New(`one repeat drawn for each look-up is no column: two looks at one architecture differ; it may guide a search, and what judges or ranks is repeat="mean" or a repeat of its own, such as repeat=0`)
	}
	first, last := repeat, repeat
	if repeat == RepeatMean {
		first, last = 0, fileRepeats-1
	}
	var r reader
	r.counted = true
	for i := first; i <= last; i++ {
		c := t.columns[columnAt(p.budget, i, p.point, p.value)]
		if err := c.load(); err != nil {
			return reader{}, err
		}
		r.repeats[r.n] = c
		r.n++
		r.counted = r.counted && c.encoding.counted() && c.encoding == r.repeats[0].encoding
	}
	return r, nil
}

// count sums the images right over the repeats.
func (r *reader) count(row int) int {
	sum := 0
	for _, c := range r.columns() {
		sum += c.encoding.count(c.raw, row)
	}
	return sum
}

// value is that of a row. The mean of accuracies is taken over their images, so that cells
// which are equally good tie however their repeats are ordered.
func (r *reader) value(row int) float64 {
	if r.n == 1 {
		return r.repeats[0].encoding.value(r.repeats[0].raw, row)
	}
	if r.counted {
		return float64(r.count(row)) / float64(r.n*images)
	}
	return r.sum(row) / float64(r.n)
}

// sum adds the repeats, the smallest first.
func (r *reader) sum(row int) float64 {
	var all [fileRepeats]float64
	for i, c := range r.columns() {
		all[i] = c.encoding.value(c.raw, row)
	}
	values := all[:r.n]
	slices.Sort(values)
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum
}

// row finds an architecture in the table's space.
func (t *Imported) row(a space.Arch) (int, error) {
	if row, ok := t.space.Index(a); ok {
		return row, nil
	}
	if err := t.space.Contains(a); err != nil {
		return 0, fmt.Errorf("not in the table: %w", err)
	}
	return 0, fmt.Errorf("not in the table: no cell with the hash %s: %w", a.Hash(), space.ErrOutside)
}

// Value is an accuracy in 0..1 as the file has it, or the mean over the repeats.
func (t *Imported) Value(m Metric, a space.Arch) (float64, error) {
	row, err := t.row(a)
	if err != nil {
		return 0, err
	}
	r, err := t.reader(m)
	if err != nil {
		return 0, err
	}
	return r.value(row), nil
}

// Column lists the metric over the table's space or one of its sub-spaces.
func (t *Imported) Column(m Metric, s space.Space) ([]float64, error) {
	r, err := t.reader(m)
	if err != nil {
		return nil, err
	}
	n, ok := s.(*space.NASBench)
	if !ok {
		return nil, fmt.Errorf("the table holds nasbench101, not %s", s)
	}
	if n.MaxVertices() > t.space.MaxVertices() {
		return nil, fmt.Errorf("the table holds %s, not all of %s", t.space, s)
	}
	values := make([]float64, n.Len())
	for i := range values {
		values[i] = r.value(t.rowOf(n, i))
	}
	return values, nil
}

// rowOf is the row of cell i of a sub-space.
func (t *Imported) rowOf(n *space.NASBench, i int) int {
	if n.MaxVertices() == t.space.MaxVertices() {
		return i
	}
	if t.space.MaxVertices() == wholeVertices {
		return n.Row(i)
	}
	row, _ := t.space.Index(n.At(i)) // it is in the larger space
	return row
}

// wholeVertices are those of the space whose rows NASBench.Row gives.
const wholeVertices = 7

// Cost is what the trainings took that give the metric's value: for the mean of the repeats
// that is all of them.
func (t *Imported) Cost(m Metric, a space.Arch) (Cost, error) {
	row, err := t.row(a)
	if err != nil {
		return Cost{}, err
	}
	p, err := t.locate(m)
	if err != nil {
		return Cost{}, err
	}
	p.value = secondsValue
	r, err := t.readerAt(p, m.Repeat)
	if err != nil {
		return Cost{}, err
	}
	epochs := m.Epochs
	if m.Halfway {
		epochs /= 2
	}
	return Cost{Seconds: r.sum(row), Timed: true, Epochs: epochs * r.n}, nil
}

// Answer looks an architecture up. Ranks are those of the table's space.
func (t *Imported) Answer(m Metric, a space.Arch) (Answer, error) {
	row, err := t.row(a)
	if err != nil {
		return Answer{}, err
	}
	r, err := t.reader(m)
	if err != nil {
		return Answer{}, err
	}
	params, err := t.paramsAt(row)
	if err != nil {
		return Answer{}, err
	}
	made, _ := t.ranks.LoadOrStore(m, &ranking{make: sync.OnceValue(func() rankOf { return r.ranks(t.space.Len()) })})
	answer := Answer{Hash: a.Hash(), Metric: m, Value: r.value(row), N: t.space.Len(), Params: params}
	answer.rank(made.(*ranking).make()(row))
	return answer, nil
}

// Params is the number of parameters that the file has for an architecture.
func (t *Imported) Params(a space.Arch) (int64, error) {
	row, err := t.row(a)
	if err != nil {
		return 0, err
	}
	return t.paramsAt(row)
}

func (t *Imported) paramsAt(row int) (int64, error) {
	c := t.columns[len(t.columns)-1]
	if err := c.load(); err != nil {
		return 0, err
	}
	return int64(c.encoding.value(c.raw, row)), nil
}

// rank fills in what follows from the numbers of better and of equal architectures.
func (a *Answer) rank(better, equal int) {
	a.Rank, a.Ties = 1+better, equal
	a.MaxRank = a.Rank + a.Ties - 1
	a.MidRank = float64(a.Rank+a.MaxRank) / 2
	a.Percentile = 100 * (1 - (a.MidRank-1)/float64(a.N))
}

// ranking ranks one metric, when it is first asked for.
type ranking struct{ make func() rankOf }

// rankOf counts the rows that are better than a row, and those that are equal.
type rankOf func(row int) (better, equal int)

func (r *reader) ranks(rows int) rankOf {
	if r.counted {
		return r.countRanks(rows)
	}
	values := make([]float64, rows)
	for i := range values {
		values[i] = r.value(i)
	}
	return rankValues(values)
}

// rankValues ranks rows by their values, which it keeps.
func rankValues(values []float64) rankOf {
	sorted := slices.Sorted(slices.Values(values))
	return func(row int) (better, equal int) {
		v := values[row]
		first := sort.SearchFloat64s(sorted, v)
		behind := first + sort.Search(len(sorted)-first, func(i int) bool { return sorted[first+i] > v })
		return len(sorted) - behind, behind - first
	}
}

// countRanks needs no sorting: milliseconds for the whole space.
func (r *reader) countRanks(rows int) rankOf {
	equals := make([]int32, r.n*maxCount+1)
	for row := range rows {
		equals[r.count(row)]++
	}
	betters := make([]int32, len(equals))
	for k := len(equals) - 2; k >= 0; k-- {
		betters[k] = betters[k+1] + equals[k+1]
	}
	return func(row int) (better, equal int) {
		k := r.count(row)
		return int(betters[k]), int(equals[k])
	}
}

// maxCount is the largest number that two bytes hold: a column may have any of them.
const maxCount = 1<<16 - 1
