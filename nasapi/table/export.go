package table

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"evalnas/nasapi/space"
)

// Export writes a table, or its part over a sub-space, for other programs: a line for each
// architecture in the order of the space. The name of the file decides the format: .csv,
// .jsonl or .parquet. The file appears whole or not at all.
//
// The columns are hash, params, what describes the architecture (of NASBench-101: vertices,
// edges, matrix as 0s and 1s row by row, ops joined by commas; of other spaces:
// architecture in JSON), then every metric of every training and its mean over the repeats,
// and the seconds of training, such as test_108_r0, test_108_mean, valid_36_half_r2 and
// seconds_108_r0.
func Export(t Table, s space.Finite, path string) error {
	format := exportFormats[filepath.Ext(path)]
	if format == nil {
		return fmt.Errorf("exporting to %s: the name ends in .csv, .jsonl or .parquet, which says the format", path)
	}
	e, err := newExport(t, s)
	if err != nil {
		return err
	}
	_, err = writeWhole(filepath.Dir(path), func(f *os.File) (string, error) {
		w := bufio.NewWriterSize(f, 1<<20)
		if err := format(e, w); err != nil {
			return "", err
		}
		return filepath.Base(path), w.Flush()
	}, nil)
	return err
}

var exportFormats = map[string]func(*export, io.Writer) error{
	".csv": (*export).csv, ".jsonl": (*export).jsonLines, ".parquet": (*export).parquet,
}

// export is the lines of a file. A value is a string, an int64 or a float64, the same kind
// in all of a column.
type export struct {
	space   space.Finite
	columns []exportColumn
}

type exportColumn struct {
	name string
	kind reflect.Type
	of   func(i int, a space.Arch) any
}

// add appends a column.
func add[T string | int64 | float64](e *export, name string, of func(i int, a space.Arch) T) {
	e.columns = append(e.columns, exportColumn{name, reflect.TypeFor[T](), func(i int, a space.Arch) any { return of(i, a) }})
}

func newExport(t Table, s space.Finite) (*export, error) {
	e := &export{space: s}
	add(e, "hash", func(_ int, a space.Arch) string { return a.Hash() })
	if err := e.params(t); err != nil {
		return nil, err
	}
	e.describe()
	repeats := []int{}
	for i := range t.Repeats() {
		repeats = append(repeats, i)
	}
	if len(repeats) > 1 {
		repeats = append(repeats, RepeatMean)
	}
	timed := map[string]bool{}
	for _, m := range t.Metrics() {
		for _, m.Repeat = range repeats {
			values, err := t.Column(m, s)
			if err != nil {
				return nil, err
			}
			add(e, m.Name+m.suffix(), func(i int, _ space.Arch) float64 { return values[i] })
		}
		if name := secondsColumn + m.suffix(); !timed[name] {
			timed[name] = true
			if err := e.seconds(t, m); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}

// params adds the table's own numbers of parameters, where it has them.
func (e *export) params(t Table) error {
	own, ok := t.(interface {
		Params(space.Arch) (int64, error)
	})
	if !ok {
		add(e, "params", func(_ int, a space.Arch) int64 { return a.Params() })
		return nil
	}
	values := make([]int64, e.space.Len())
	for i := range values {
		var err error
		if values[i], err = own.Params(e.space.At(i)); err != nil {
			return err
		}
	}
	add(e, "params", func(i int, _ space.Arch) int64 { return values[i] })
	return nil
}

// suffix is what an exported column's name has behind the metric's.
func (m Metric) suffix() string {
	var b strings.Builder
	if m.Epochs > 0 {
		fmt.Fprintf(&b, "_%d", m.Epochs)
	}
	if m.Halfway {
		b.WriteString("_half")
	}
	if m.Repeat == RepeatMean {
		return b.String() + "_mean"
	}
	return b.String() + "_r" + strconv.Itoa(m.Repeat)
}

// describe adds what tells architectures apart.
func (e *export) describe() {
	if _, ok := e.space.(*space.NASBench); !ok {
		add(e, "architecture", func(_ int, a space.Arch) string {
			text, err := a.MarshalJSON()
			if err != nil {
				return ""
			}
			return string(text)
		})
		return
	}
	cell := func(a space.Arch) *space.Cell { return a.(*space.Cell) }
	add(e, "vertices", func(_ int, a space.Arch) int64 { return int64(cell(a).Vertices()) })
	add(e, "edges", func(_ int, a space.Arch) int64 { return int64(cell(a).Edges()) })
	add(e, "matrix", func(_ int, a space.Arch) string {
		var b strings.Builder
		for _, row := range cell(a).Matrix() {
			for _, edge := range row {
				b.WriteByte('0' + byte(edge))
			}
		}
		return b.String()
	})
	add(e, "ops", func(_ int, a space.Arch) string { return strings.Join(cell(a).Ops(), ",") })
}

// seconds adds the times of a metric's trainings, where they are known.
func (e *export) seconds(t Table, m Metric) error {
	for m.Repeat = range t.Repeats() {
		values := make([]float64, e.space.Len())
		for i := range values {
			cost, err := t.Cost(m, e.space.At(i))
			if err != nil {
				return err
			}
			if !cost.Timed {
				return nil
			}
			values[i] = cost.Seconds
		}
		add(e, secondsColumn+m.suffix(), func(i int, _ space.Arch) float64 { return values[i] })
	}
	return nil
}

// each calls f with the values of every line.
func (e *export) each(f func(values []any) error) error {
	values := make([]any, len(e.columns))
	for i := range e.space.Len() {
		a := e.space.At(i)
		for c, column := range e.columns {
			values[c] = column.of(i, a)
		}
		if err := f(values); err != nil {
			return err
		}
	}
	return nil
}

func (e *export) csv(out io.Writer) error {
	w := csv.NewWriter(out)
	line := make([]string, len(e.columns))
	for i, c := range e.columns {
		line[i] = c.name
	}
	if err := w.Write(line); err != nil {
		return err
	}
	if err := e.each(func(values []any) error {
		for i, v := range values {
			line[i] = exportText(v)
		}
		return w.Write(line)
	}); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// exportText gives back a float64 to the bit.
func exportText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return strconv.FormatFloat(v.(float64), 'g', -1, 64)
}

func (e *export) jsonLines(out io.Writer) error {
	names := make([]string, len(e.columns))
	for i, c := range e.columns {
		names[i] = strconv.Quote(c.name) + ": "
	}
	var line []byte
	return e.each(func(values []any) error {
		line = append(line[:0], '{')
		for i, v := range values {
			if i > 0 {
				line = append(line, ", "...)
			}
			line = append(line, names[i]...)
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			line = append(line, text...)
		}
		_, err := out.Write(append(line, "}\n"...))
		return err
	})
}

// parquetRows are written at a time.
const parquetRows = 1 << 14

func (e *export) parquet(out io.Writer) error {
	var fields []reflect.StructField
	for i, c := range e.columns {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("C%d", i), Type: c.kind, Tag: reflect.StructTag(fmt.Sprintf(`parquet:%q`, c.name+",snappy")),
		})
	}
	schema := parquet.SchemaOf(reflect.New(reflect.StructOf(fields)).Interface())
	w := parquet.NewGenericWriter[any](out, schema, parquet.MaxRowsPerRowGroup(1<<17))
	var rows []parquet.Row
	flush := func() error {
		_, err := w.WriteRows(rows)
		rows = rows[:0]
		return err
	}
	err := e.each(func(values []any) error {
		row := make(parquet.Row, len(values))
		for i, v := range values {
			row[i] = parquet.ValueOf(v).Level(0, 0, i)
		}
		if rows = append(rows, row); len(rows) < parquetRows {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return err
	}
	return w.Close()
}
