package table

import (
	"crypto/sha256"
	_ "embed" // the column
	"encoding/hex"
	"fmt"
	"sync"

	"evalnas/nasapi/space"
)

//go:embed test108_r0.u16le
var testColumn string

// EmbeddedDigest is the SHA-256 of the column.
const EmbeddedDigest = "7ec88d68b7f30c6dd36cfb19debb020e03e00b762ff07e44f3c73a8917da4177"

const (
	testEpochs = 108

	// Accuracies count images of 39 batches of 256: the data set drops the
	// remainder of its 10,000.
	images = 9984
)

// embedded is the column of NASBench-101 inside the program.
type embedded struct {
	space  *space.NASBench
	column string // images right of row i: little-endian in two bytes
	ranks  func() *rankTable
}

// rankTable counts, for each number of images right, the cells with it and
// the cells with more.
type rankTable struct{ equal, better [images + 1]int32 }

var openEmbedded = sync.OnceValues(func() (*embedded, error) {
	s, err := space.NASBench101(7)
	if err != nil {
		return nil, err
	}
	return newTable(s, testColumn, EmbeddedDigest)
})

// NASBench101 opens the embedded table: the test accuracy of all 423,624 cells of
// NASBench-101 after 108 epochs, first of three repeats. Its length and digest are checked
// once.
func NASBench101() (Table, error) {
	t, err := openEmbedded()
	if err != nil {
		return nil, err
	}
	return t, nil
}

func newTable(s *space.NASBench, column, digest string) (*embedded, error) {
	if len(column) != 2*s.Len() {
		return nil, fmt.Errorf("nasbench101 table: %d bytes where %d cells need %d: it is damaged", len(column), s.Len(), 2*s.Len())
	}
	if sum := sha256.Sum256([]byte(column)); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("nasbench101 table: its SHA-256 is %x, not %s: it is damaged", sum, digest)
	}
	t := &embedded{space: s, column: column}
	t.ranks = sync.OnceValue(t.countRanks)
	return t, nil
}

// right is the number of images that cell row gets right.
func (t *embedded) right(row int) int {
	return int(t.column[2*row]) | int(t.column[2*row+1])<<8
}

func (t *embedded) countRanks() *rankTable {
	r := new(rankTable)
	for row := range t.Len() {
		r.equal[min(t.right(row), images)]++
	}
	for k := images - 1; k >= 0; k-- {
		r.better[k] = r.better[k+1] + r.equal[k+1]
	}
	return r
}

// Len is the number of cells in the table.
func (t *embedded) Len() int { return t.space.Len() }

func (t *embedded) String() string { return "nasbench101_table()" }

// Digest is the SHA-256 of the column, for manifests.
func (t *embedded) Digest() string { return EmbeddedDigest }

// Metrics lists the columns of the table.
func (t *embedded) Metrics() []Metric { return []Metric{testMetric} }

var testMetric = Metric{Name: Test, Epochs: testEpochs}

// Name is that of the data set.
func (t *embedded) Name() string { return NASBench101Name }

// Space is the 7-vertex space.
func (t *embedded) Space() space.Finite { return t.space }

// Repeats is one: the first.
func (t *embedded) Repeats() int { return 1 }

// Find knows "test" only.
func (t *embedded) Find(q Query) (Metric, error) {
	switch q.Name {
	case Test:
	case Valid, "validation", "val", "train", "training", "time", "training_time":
		return Metric{}, fmt.Errorf("the embedded table has no metric %q: it holds \"test\" only (108 epochs, first repeat); validation and training metrics need the data set's own file, imported", q.Name)
	default:
		return Metric{}, fmt.Errorf("unknown metric %q: the table inside the program holds \"test\" only (108 epochs, first repeat); it has no validation accuracies", shorten(q.Name))
	}
	if q.Epochs != 0 && q.Epochs != testEpochs {
		return Metric{}, fmt.Errorf("epochs is %d: the table inside the program has %d epochs only", q.Epochs, testEpochs)
	}
	if q.Halfway {
		return Metric{}, fmt.Errorf("halfway: the table inside the program has the end of the training only")
	}
	if q.Repeat != nil && *q.Repeat != 0 {
		return Metric{}, fmt.Errorf("repeat is %s: the table inside the program has the first repeat only", RepeatText(*q.Repeat))
	}
	return testMetric, nil
}

// Cost is not known: the embedded table has no training times.
func (t *embedded) Cost(m Metric, a space.Arch) (Cost, error) {
	if err := t.check(m); err != nil {
		return Cost{}, err
	}
	_, err := t.row(a)
	return Cost{Epochs: testEpochs}, err
}

func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

func (t *embedded) check(m Metric) error {
	if m != testMetric {
		return fmt.Errorf("the embedded table has no column %q: it holds %s", m, testMetric)
	}
	return nil
}

// row finds the architecture in the 7-vertex space.
func (t *embedded) row(a space.Arch) (int, error) {
	if row, ok := t.space.Index(a); ok {
		return row, nil
	}
	if err := t.space.Contains(a); err != nil {
		return 0, fmt.Errorf("not in the table: %w", err)
	}
	return 0, fmt.Errorf("not in the table: no cell with the hash %s: %w", a.Hash(), space.ErrOutside)
}

// Value is the metric of an architecture: an accuracy in 0..1, an unrounded
// multiple of 1/9984. Architectures outside NASBench-101 give an error that
// wraps space.ErrOutside.
func (t *embedded) Value(m Metric, a space.Arch) (float64, error) {
	if err := t.check(m); err != nil {
		return 0, err
	}
	row, err := t.row(a)
	if err != nil {
		return 0, err
	}
	return t.value(row), nil
}

func (t *embedded) value(row int) float64 { return float64(t.right(row)) / images }

// Column lists the metric over a space of NASBench-101 or one of its
// sub-spaces, in the order of At.
func (t *embedded) Column(m Metric, s space.Space) ([]float64, error) {
	if err := t.check(m); err != nil {
		return nil, err
	}
	n, ok := s.(*space.NASBench)
	if !ok {
		return nil, fmt.Errorf("the table holds nasbench101, not %s", s)
	}
	values := make([]float64, n.Len())
	for i := range values {
		values[i] = t.value(n.Row(i))
	}
	return values, nil
}

// Answer looks an architecture up. Ranks are those of the 7-vertex space,
// whatever sub-space the architecture was drawn from.
func (t *embedded) Answer(m Metric, a space.Arch) (Answer, error) {
	if err := t.check(m); err != nil {
		return Answer{}, err
	}
	row, err := t.row(a)
	if err != nil {
		return Answer{}, err
	}
	k, ranks := t.right(row), t.ranks()
	answer := Answer{
		Hash: a.Hash(), Metric: m, Value: t.value(row),
		N:      t.Len(),
		Params: a.Params(),
	}
	answer.rank(int(ranks.better[k]), int(ranks.equal[k]))
	return answer, nil
}
