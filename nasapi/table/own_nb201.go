package table

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"evalnas/nasapi/nearest"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table/frame"
)

// nb201Datasets are the data sets of the benchmark.
var nb201Datasets = []string{"cifar10-valid", "cifar10", "cifar100", "ImageNet16-120"}

// NASBench201Datasets are the data sets of the benchmark.
func NASBench201Datasets() []string { return slices.Clone(nb201Datasets) }

// nb201Reading reads statistics of NAS-Bench-201 that a user has exported.
type nb201Reading struct {
	Dataset string `json:"dataset"`
	Partial bool   `json:"partial"`
}

// OpenNASBench201 opens statistics of NAS-Bench-201 that a user has exported: docs/tables.md
// says how. dataset is one of NASBench201Datasets, or "" where the file has one. With
// partial, cells may be missing, and the space is those that are there. shown is the path
// as the user wrote it.
func OpenNASBench201(path, shown, dataset string, partial bool) (*Own, error) {
	if dataset != "" && !slices.Contains(nb201Datasets, dataset) {
		hint := ""
		if near := nearest.Name(dataset, nb201Datasets); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, fmt.Errorf("dataset is %q: allowed are %s%s", shorten(dataset), strings.Join(nb201Datasets, ", "), hint)
	}
	n := nb201Reading{Dataset: dataset, Partial: partial}
	expression := fmt.Sprintf("nasbench201_table(%q", shown)
	if dataset != "" {
		expression += fmt.Sprintf(", dataset=%q", dataset)
	}
	if partial {
		expression += ", partial=True"
	}
	label := ownLabel{expression + ")", strings.TrimSpace("NAS-Bench-201 " + dataset)}
	return openFile(path, ownReading{name: NASBench201Name, how: n, label: label, read: n.read})
}

// read makes the table's data of an export.
func (n nb201Reading) read(content []byte) (*ownData, error) {
	f, err := frame.Read(content, n.columns)
	if err != nil {
		return nil, err
	}
	if f, err = n.ofDataset(f); err != nil {
		return nil, err
	}
	m := &measured{file: f, base: space.OpenNASBench201(), epochs: f.Numbers("epochs")}
	if err := m.readCells(); err != nil {
		return nil, err
	}
	if f.Options("seed") != nil {
		if m.repeats, err = m.labels("seed"); err != nil {
			return nil, err
		}
	}
	if err := m.readShares(); err != nil {
		return nil, err
	}
	d, err := m.build()
	if err != nil {
		return nil, err
	}
	if d.rows != nil && !n.Partial {
		return nil, missingCells(d)
	}
	return d, nil
}

func (n nb201Reading) columns(names []string) ([]frame.Column, error) {
	if !slices.Contains(names, "arch") && slices.Contains(names, "index") {
		return nil, errors.New("it has the column index and no column arch: an index is a place in the benchmark's own files, which are not known here; export api.arch(index) too")
	}
	columns := []frame.Column{{Name: "arch"}}
	for _, name := range []string{"dataset", "seed", "epochs", Train, Valid, Test, "seconds"} {
		if slices.Contains(names, name) {
			columns = append(columns, frame.Column{Name: name, Number: name != "dataset" && name != "seed"})
		}
	}
	return columns, nil
}

// ofDataset keeps the rows of one data set.
func (n nb201Reading) ofDataset(f *frame.Frame) (*frame.Frame, error) {
	o := f.Options("dataset")
	if o == nil {
		return f, nil
	}
	var has []string
	for _, v := range o.Values {
		has = append(has, v.Plain())
	}
	want := slices.Index(has, n.Dataset)
	switch {
	case n.Dataset == "" && len(has) == 1:
		want = 0
	case n.Dataset == "":
		return nil, fmt.Errorf("it has %d data sets: choose one with dataset=, of %s", len(has), shorten(strings.Join(has, ", ")))
	case want < 0:
		return nil, fmt.Errorf("it has no rows of %s: it has %s", n.Dataset, shorten(strings.Join(has, ", ")))
	}
	var keep []int
	for i, v := range o.Of {
		if int(v) == want {
			keep = append(keep, i)
		}
	}
	return f.Select(keep), nil
}

// readCells reads the texts of the cells.
func (m *measured) readCells() error {
	of, err := m.labels("arch")
	if err != nil {
		return err
	}
	sp := space.OpenNASBench201()
	texts := m.file.Options("arch").Values
	cells := make([][]int, len(texts))
	for i, row := range of {
		if cells[row] == nil {
			c, err := space.ParseNB201(texts[row].Plain())
			if err != nil {
				return fmt.Errorf("%s: %w", m.file.Where(i), err)
			}
			if cells[row], err = sp.Encode(c); err != nil {
				return err
			}
		}
		for _, d := range cells[row] {
			m.digits = append(m.digits, uint32(d))
		}
	}
	return nil
}

// readShares reads the metrics, which the benchmark gives in percent. A column without any
// value is left out: the data set has no such images.
func (m *measured) readShares() error {
	for _, name := range []string{Test, Valid, Train} {
		values := present(m.file.Numbers(name))
		if values == nil {
			continue
		}
		if i := slices.IndexFunc(values, func(v float64) bool { return v < 0 || v > 100 }); i >= 0 {
			return fmt.Errorf("%s: %q is %v: accuracies are percent, 0 to 100", m.file.Where(i), name, values[i])
		}
		if slices.ContainsFunc(values, func(v float64) bool { return v > 1 }) {
			for i := range values {
				values[i] /= 100
			}
		}
		m.metrics = append(m.metrics, measuredColumn{name, name, values})
	}
	if len(m.metrics) == 0 {
		return errors.New("it has no accuracies: columns test, valid and train, in percent, hold them")
	}
	if values := present(m.file.Numbers("seconds")); values != nil {
		m.seconds = &measuredColumn{"", "seconds", values}
	}
	return nil
}

// present is nil where no row has a value.
func present(values []float64) []float64 {
	if !slices.ContainsFunc(values, func(v float64) bool { return !math.IsNaN(v) }) {
		return nil
	}
	return values
}

// missingCells names what an export lacks.
func missingCells(d *ownData) error {
	s := space.OpenNASBench201()
	r, err := space.RowsOf(s, d.rows, "")
	if err != nil {
		return err
	}
	var first []string
	for i := 0; i < s.Len() && len(first) < 3; i++ {
		if a := s.At(i); r.Contains(a) != nil {
			first = append(first, a.String())
		}
	}
	return fmt.Errorf("%d of %d cells are missing, such as %s: export all, or say partial=True to search those that are there", s.Len()-d.n, s.Len(), strings.Join(first, ", "))
}
