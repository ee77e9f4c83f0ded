// Package table answers what an architecture is worth from tabular
// benchmarks. NASBench101 opens the one that is embedded: the test accuracy
// of all 423,624 cells of NASBench-101 after 108 epochs, first of three
// repeats.
//
//	t, err := table.NASBench101()
//	m, err := t.Metric("test")
//	v, err := t.Value(m, arch)    // 0..1
//	a, err := t.Answer(arch)      // with rank, ties and percentile
//
// A rank is 1 + the number of cells that are strictly better, always in the
// 7-vertex space; the ranks of a sub-space follow from its Column. The column
// is a test column: a search that it guides is an oracle search.
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

const (
	testColumnSum = "7ec88d68b7f30c6dd36cfb19debb020e03e00b762ff07e44f3c73a8917da4177"
	testEpochs    = 108

	// Accuracies count images of 39 batches of 256: the data set drops the
	// remainder of its 10,000.
	images = 9984
)

// Metric names one column of a table.
type Metric struct {
	Name   string `json:"name"`   // "test"
	Epochs int    `json:"epochs"` // of training
	Repeat int    `json:"repeat"` // from 0
}

func (m Metric) String() string {
	return fmt.Sprintf("%s accuracy, %d epochs, %s repeat", m.Name, m.Epochs, ordinal(m.Repeat))
}

func ordinal(repeat int) string {
	if names := []string{"first", "second", "third"}; repeat >= 0 && repeat < len(names) {
		return names[repeat]
	}
	return fmt.Sprintf("%dth", repeat+1)
}

// Table is a tabular benchmark of NASBench-101. It is safe for concurrent use.
type Table struct {
	space  *space.NASBench
	column string // images right of row i: little-endian in two bytes
	ranks  func() *rankTable
}

// rankTable counts, for each number of images right, the cells with it and
// the cells with more.
type rankTable struct{ equal, better [images + 1]int32 }

// NASBench101 opens the embedded table and checks its length and digest once.
var NASBench101 = sync.OnceValues(func() (*Table, error) {
	s, err := space.NASBench101(7)
	if err != nil {
		return nil, err
	}
	return newTable(s, testColumn, testColumnSum)
})

func newTable(s *space.NASBench, column, digest string) (*Table, error) {
	if len(column) != 2*s.Len() {
		return nil, fmt.Errorf("nasbench101 table: %d bytes where %d cells need %d: it is damaged", len(column), s.Len(), 2*s.Len())
	}
	if sum := sha256.Sum256([]byte(column)); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("nasbench101 table: its SHA-256 is %x, not %s: it is damaged", sum, digest)
	}
	t := &Table{space: s, column: column}
	t.ranks = sync.OnceValue(t.countRanks)
	return t, nil
}

// right is the number of images that cell row gets right.
func (t *Table) right(row int) int {
	return int(t.column[2*row]) | int(t.column[2*row+1])<<8
}

func (t *Table) countRanks() *rankTable {
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
func (t *Table) Len() int { return t.space.Len() }

func (t *Table) String() string { return "nasbench101_table()" }

// Digest is the SHA-256 of the column, for manifests.
func (t *Table) Digest() string { return testColumnSum }

// Metrics lists the columns of the table.
func (t *Table) Metrics() []Metric { return []Metric{testMetric} }

var testMetric = Metric{Name: "test", Epochs: testEpochs, Repeat: 0}

// Metric finds a column by name.
func (t *Table) Metric(name string) (Metric, error) {
	switch name {
	case testMetric.Name:
		return testMetric, nil
	case "valid", "validation", "val", "train", "training", "time", "training_time":
		return Metric{}, fmt.Errorf("the embedded table has no metric %q: it holds \"test\" only (108 epochs, first repeat); validation and training metrics need the data set's own file, imported", name)
	}
	return Metric{}, fmt.Errorf("unknown metric %q: the table inside the program holds \"test\" only (108 epochs, first repeat); it has no validation accuracies", shorten(name))
}

func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

func (t *Table) check(m Metric) error {
	if m != testMetric {
		return fmt.Errorf("the embedded table has no column %q: it holds %s", m, testMetric)
	}
	return nil
}

// row finds the architecture in the 7-vertex space.
func (t *Table) row(a space.Arch) (int, error) {
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
func (t *Table) Value(m Metric, a space.Arch) (float64, error) {
	if err := t.check(m); err != nil {
		return 0, err
	}
	row, err := t.row(a)
	if err != nil {
		return 0, err
	}
	return t.value(row), nil
}

func (t *Table) value(row int) float64 { return float64(t.right(row)) / images }

// Column lists the metric over a space of NASBench-101 or one of its
// sub-spaces, in the order of At.
func (t *Table) Column(m Metric, s space.Finite) ([]float64, error) {
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

// Answer is what the table knows of one architecture.
type Answer struct {
	Hash       string  `json:"hash"`
	Test       float64 `json:"test"`       // accuracy in 0..1, unrounded
	Rank       int     `json:"rank"`       // 1 + the cells of the 7-vertex space that are strictly better
	Ties       int     `json:"ties"`       // cells with this very accuracy, itself included
	MidRank    float64 `json:"mid_rank"`   // mean of the ranks that the ties share
	MaxRank    int     `json:"max_rank"`   // last of them
	N          int     `json:"n"`          // cells in the table
	Percentile float64 `json:"percentile"` // 100 (1 - (mid rank - 1) / N)
	Params     int64   `json:"params"`
	Epochs     int     `json:"epochs"`
	Repeat     int     `json:"repeat"` // from 0
}

// Answer looks an architecture up. Ranks are those of the 7-vertex space,
// whatever sub-space the architecture was drawn from.
func (t *Table) Answer(a space.Arch) (Answer, error) {
	row, err := t.row(a)
	if err != nil {
		return Answer{}, err
	}
	k, ranks := t.right(row), t.ranks()
	answer := Answer{
		Hash: a.Hash(), Test: t.value(row),
		Rank: 1 + int(ranks.better[k]), Ties: int(ranks.equal[k]), N: t.Len(),
		Params: a.Params(), Epochs: testMetric.Epochs, Repeat: testMetric.Repeat,
	}
	answer.MaxRank = answer.Rank + answer.Ties - 1
	answer.MidRank = float64(answer.Rank+answer.MaxRank) / 2
	answer.Percentile = 100 * (1 - (answer.MidRank-1)/float64(answer.N))
	return answer, nil
}

// LookupHash answers for the cell with a module hash (32 hexadecimal digits).
// Its parameters are those of the matrix that enumeration meets first.
func (t *Table) LookupHash(hash string) (Answer, error) {
	c, err := t.space.ByHash(hash)
	if err != nil {
		return Answer{}, err
	}
	return t.Answer(c)
}
