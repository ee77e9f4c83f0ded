// Package table answers what an architecture is worth from tabular benchmarks:
// a Table has measured values of every architecture of one space.
//
//	t, err := table.NASBench101()                  // inside the program: embedded.go
//	m, err := t.Find(table.Query{Name: table.Test})
//	v, err := t.Value(m, arch)                     // 0..1
//	a, err := t.Answer(m, arch)                    // with rank, ties and percentile
//
// A Metric is one column: accuracy on which images, after how many epochs, of which repeat
// of the training. A rank is 1 + the number of architectures that are strictly better, always
// in the table's whole space; the ranks of a sub-space follow from its Column. A search that a
// test column guides is an oracle search.
//
// A job finds its table again by name and digest (Open). Traps: a Metric whose repeat is
// RepeatDrawn has no value until Resolve has drawn one.
package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Names of metrics. Both are reported; only Valid may guide a search whose result is judged
// by Test.
const (
	Test  = "test"
	Valid = "valid"
	Train = "train"
)

// NASBench101Name is the name of the tables of NASBench-101.
const NASBench101Name = "nasbench101"

// What a Metric's Repeat may be besides a number from 0.
const (
	// RepeatMean is the mean over all repeats.
	RepeatMean = -1
	// RepeatDrawn is one of the repeats, drawn anew for each look-up, as the reference's
	// API does.
	RepeatDrawn = -2
)

// Metric names one column of a table.
type Metric struct {
	Name   string `json:"name"`   // Test, Valid or Train
	Epochs int    `json:"epochs"` // of training; 0 where the table does not say
	Repeat int    `json:"repeat"` // from 0, RepeatMean or RepeatDrawn
	// Halfway is the value in the middle of that training.
	Halfway bool `json:"halfway,omitempty"`
	// Free says that values are not shares in 0..1: a user's own column.
	Free bool `json:"free,omitempty"`
}

func (m Metric) String() string {
	value := "accuracy"
	if m.Free {
		value = "value"
	}
	text := m.Name + " " + value
	if m.Epochs > 0 {
		text += fmt.Sprintf(", %d epochs", m.Epochs)
	}
	if m.Halfway {
		text += ", halfway"
	}
	return text + ", " + RepeatText(m.Repeat)
}

// RepeatText says a repeat in words: "first repeat", "mean of the repeats".
func RepeatText(repeat int) string {
	switch repeat {
	case RepeatMean:
		return "mean of the repeats"
	case RepeatDrawn:
		return "one repeat drawn for each look-up"
	}
	if names := []string{"first", "second", "third"}; repeat >= 0 && repeat < len(names) {
		return names[repeat] + " repeat"
	}
	return fmt.Sprintf("repeat number %d", repeat+1)
}

// Resolve draws the repeat of a metric of RepeatDrawn; others are returned as they are.
func (m Metric) Resolve(repeats int, s *rng.Stream) Metric {
	if m.Repeat == RepeatDrawn {
		m.Repeat = s.IntN(repeats)
	}
	return m
}

// Query asks for a metric.
type Query struct {
	Name    string
	Epochs  int  // 0 for the most that the table has
	Repeat  *int // nil for the mean, or the only one
	Halfway bool
}

// Cost is what a look-up stands for: the training that it saves.
type Cost struct {
	Seconds float64 // of training, 0 where the table has no times
	Timed   bool    // Seconds is known
	Epochs  int     // of training, half of them for a halfway metric
}

// Table is a tabular benchmark. It is safe for concurrent use.
type Table interface {
	// Name is what configurations call the table; with the digest it tells tables apart.
	Name() string
	// String is the expression that opens the table in a cell.
	String() string
	// Digest is the SHA-256 of the data, for manifests.
	Digest() string
	// Space is that of all its architectures.
	Space() space.Finite
	// Metrics lists the columns, without those over repeats.
	Metrics() []Metric
	// Repeats is how often each architecture was trained.
	Repeats() int
	// Find returns the metric that is asked for; the error says what the table has.
	Find(Query) (Metric, error)
	// Value is the metric of an architecture: an accuracy in 0..1, unrounded, unless the
	// metric is Free. An architecture that the table does not have gives an error that
	// wraps space.ErrOutside.
	Value(Metric, space.Arch) (float64, error)
	// Column lists the metric over the table's space or one of its sub-spaces, in the order
	// of At.
	Column(Metric, space.Space) ([]float64, error)
	// Answer is Value with the rank in the whole space.
	Answer(Metric, space.Arch) (Answer, error)
	// Cost is what a training that gives the metric's value takes.
	Cost(Metric, space.Arch) (Cost, error)
}

// Answer is what a table knows of one architecture under one metric.
type Answer struct {
	Hash       string  `json:"hash"`
	Metric     Metric  `json:"metric"`
	Value      float64 `json:"value"`      // unrounded; an accuracy in 0..1
	Rank       int     `json:"rank"`       // 1 + the architectures of the space that are strictly better
	Ties       int     `json:"ties"`       // architectures with this very value, itself included
	MidRank    float64 `json:"mid_rank"`   // mean of the ranks that the ties share
	MaxRank    int     `json:"max_rank"`   // last of them
	N          int     `json:"n"`          // architectures in the table
	Percentile float64 `json:"percentile"` // 100 (1 - (mid rank - 1) / N)
	Params     int64   `json:"params"`
}

// openers open the tables of a name by the digest of their data, "" for any.
var openers = map[string]func(digest string) (Table, error){
	NASBench101Name: openNASBench101,
	NASBench201Name: func(digest string) (Table, error) { return openOwn(NASBench201Name, digest) },
	OwnName:         func(digest string) (Table, error) { return openOwn(OwnName, digest) },
}

// Open finds a table again from its name and digest, as a configuration has them.
func Open(name, digest string) (Table, error) {
	open := openers[name]
	if open == nil {
		known := slices.Sorted(maps.Keys(openers))
		return nil, fmt.Errorf("unknown table %q: known are %s", shorten(name), strings.Join(known, ", "))
	}
	return open(digest)
}

func openNASBench101(digest string) (Table, error) {
	t, err := NASBench101()
	if err != nil {
		return nil, err
	}
	if digest == "" || digest == t.Digest() {
		return t, nil
	}
	folder, err := OpenFolder()
	if err != nil {
		return nil, err
	}
	found, err := folder.find(digest)
	if err != nil {
		return nil, err
	}
	return found, nil
}
