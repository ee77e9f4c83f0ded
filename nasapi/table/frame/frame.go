// Package frame reads rows of named columns from the files in which people keep results:
// CSV, JSON lines and Parquet.
//
//	f, err := frame.Read(content, func(names []string) ([]frame.Column, error) { ... })
//	ops := f.Options("op")    // the distinct values in order, and which one each row has
//	acc := f.Numbers("valid") // NaN where a row has none
//
// The format is recognised by the content. Only the columns that are asked for are kept. The
// same data give the same Frame in every format, where the format has their types: CSV has
// none, so a column of it is of numbers, or of true and false, if all of its values are. A
// missing value is an empty one, null, or NaN.
package frame

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"evalnas/nasapi/nearest"
	"evalnas/nasapi/space"
)

// Column is a column that is asked for.
type Column struct {
	Name   string
	Number bool // its values are used as numbers, else as options
}

// Frame is what was read of a file.
type Frame struct {
	names   []string // of all columns of the file
	rows    int
	unit    string  // of lines
	lines   []int32 // where each row begins, from 1
	options map[string]*Options
	numbers map[string][]float64
}

// Options are the values of a column.
type Options struct {
	Values []space.Option // distinct, in ascending order
	Of     []int32        // which of Values each row has, -1 for none
}

// Missing is Options.Of where a row has no value.
const Missing = -1

// Names are those of all columns of the file, in its order.
func (f *Frame) Names() []string { return f.names }

// Rows is how many rows there are.
func (f *Frame) Rows() int { return f.rows }

// Where says where a row stands in the file.
func (f *Frame) Where(row int) string { return fmt.Sprintf("%s %d", f.unit, f.lines[row]) }

// Select keeps some of the rows.
func (f *Frame) Select(rows []int) *Frame {
	s := &Frame{names: f.names, rows: len(rows), unit: f.unit, lines: pick(f.lines, rows), options: map[string]*Options{}, numbers: map[string][]float64{}}
	for name, o := range f.options {
		s.options[name] = &Options{o.Values, pick(o.Of, rows)}
	}
	for name, values := range f.numbers {
		s.numbers[name] = pick(values, rows)
	}
	return s
}

func pick[T any](values []T, rows []int) []T {
	out := make([]T, len(rows))
	for i, row := range rows {
		out[i] = values[row]
	}
	return out
}

// Options are the values of a column that was asked for so.
func (f *Frame) Options(name string) *Options { return f.options[name] }

// Numbers are the values of a column that was asked for so, NaN where a row has none.
func (f *Frame) Numbers(name string) []float64 { return f.numbers[name] }

// MaxBytes bounds what is read.
const MaxBytes = 4 << 30

// maxRows bounds the rows of a frame.
const maxRows = 1<<31 - 2

// Read reads the content of a file. choose is told the names of its columns and says which
// are wanted; a name that the file does not have is an error that names the nearest.
func Read(content []byte, choose func(names []string) ([]Column, error)) (*Frame, error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if err := foreign(content); err != nil {
		return nil, err
	}
	r := &reading{choose: choose, Frame: Frame{unit: "line", options: map[string]*Options{}, numbers: map[string][]float64{}}}
	var err error
	switch trimmed := bytes.TrimLeft(content[:min(len(content), 4096)], " \t\r\n"); {
	case bytes.HasPrefix(content, []byte(parquetMagic)):
		err = r.readParquet(content)
	case len(trimmed) == 0:
		err = errors.New("it is empty: there is not even a header")
	case trimmed[0] == '{':
		err = r.readLines(content)
	default:
		err = r.readCSV(content)
	}
	if err != nil {
		return nil, err
	}
	return &r.Frame, r.finish()
}

// foreign names a file of another format.
func foreign(content []byte) error {
	head := content[:min(len(content), 512)]
	for _, f := range []struct{ magic, what string }{
		{"\x1f\x8b", "compressed with gzip: unpack it first"},
		{"BZh", "compressed with bzip2: unpack it first"},
		{"\xfd7zXZ", "compressed with xz: unpack it first"},
		{"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first"},
		{"PK\x03\x04", "a ZIP file, as spreadsheets and .npz files are: save it as CSV"},
		{"ARROW1", "a Feather file: save it with to_parquet"},
		{"\x89HDF", "an HDF5 file: save it with to_parquet"},
		{"\x93NUMPY", "a NumPy array: save it with names, as CSV or Parquet"},
		{"SQLite format 3", "an SQLite database: save the table as CSV or Parquet"},
	} {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return fmt.Errorf("it is %s", f.what)
		}
	}
	lower := strings.ToLower(string(bytes.TrimLeft(head, " \t\r\n")))
	switch {
	case len(head) > 1 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5:
		return errors.New("it is a Python pickle, which is a program: save the data with to_csv or to_parquet")
	case strings.HasPrefix(lower, "<!doctype") || strings.HasPrefix(lower, "<html"):
		return errors.New("it is an HTML page, perhaps an error that a server sent instead of the file")
	case strings.HasPrefix(lower, "["):
		return errors.New(`it is one JSON list: write one object a line, with to_json(..., orient="records", lines=True)`)
	case bytes.HasPrefix(content, []byte(parquetMagic)):
	case bytes.IndexByte(head, 0) >= 0:
		return errors.New("it is no text: files in CSV, JSON lines and Parquet are read")
	}
	return nil
}

// reading is a Frame in the making.
type reading struct {
	Frame
	choose func(names []string) ([]Column, error)
	wanted []wanted
}

// wanted is a column that is read.
type wanted struct {
	Column
	at      int // in the file
	numbers []float64
	coder   *coder
}

// begin is told the names in the file.
func (r *reading) begin(names []string) error {
	for i, name := range names {
		if !utf8.ValidString(name) {
			return fmt.Errorf("the name of column %d is no UTF-8 text", i+1)
		}
	}
	r.names = names
	columns, err := r.choose(names)
	if err != nil {
		return err
	}
	for _, c := range columns {
		if slices.ContainsFunc(r.wanted, func(w wanted) bool { return w.Column == c }) {
			continue
		}
		at := slices.Index(names, c.Name)
		switch {
		case at < 0:
			return r.missing(c.Name)
		case slices.Contains(names[at+1:], c.Name):
			return fmt.Errorf("two columns are called %q", shorten(c.Name))
		}
		r.wanted = append(r.wanted, wanted{Column: c, at: at, coder: &coder{known: map[string]int32{}}})
	}
	return nil
}

// missing says that there is no such column, and which there are.
func (r *reading) missing(name string) error {
	if near := nearest.Name(name, r.names); near != "" {
		return fmt.Errorf("there is no column %q: did you mean %q?", shorten(name), shorten(near))
	}
	const shown = 20
	var names []string
	for _, n := range r.names[:min(shown, len(r.names))] {
		names = append(names, shorten(n))
	}
	text := strings.Join(names, ", ")
	if more := len(r.names) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("there is no column %q: the file has %s", shorten(name), text)
}

func shorten(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "..."
}

// add counts a row that begins at a line.
func (r *reading) add(line int) error {
	if r.rows >= maxRows || line > math.MaxInt32 {
		return fmt.Errorf("it has more than %d rows", r.rows)
	}
	r.rows++
	r.lines = append(r.lines, int32(line))
	return nil
}

func notNumber(where, name, text string) error {
	return fmt.Errorf("%s: %q is %q, which is not a finite number", where, shorten(name), shorten(text))
}

// finish turns what was read into options and numbers.
func (r *reading) finish() error {
	for i := range r.wanted {
		w := &r.wanted[i]
		if w.Number {
			r.numbers[w.Name] = w.numbers
			continue
		}
		o, err := w.coder.options()
		if err != nil {
			return fmt.Errorf("the column %q: %w", shorten(w.Name), err)
		}
		r.options[w.Name] = o
	}
	return nil
}

// coder numbers the distinct values of a column as they come.
type coder struct {
	known map[string]int32
	texts []string
	of    []int32
	typed bool // texts are options already
}

func (c *coder) add(text []byte) {
	n, ok := c.known[string(text)]
	if !ok {
		n = int32(len(c.texts))
		c.texts = append(c.texts, string(text))
		c.known[c.texts[n]] = n
	}
	c.of = append(c.of, n)
}

func (c *coder) none() { c.of = append(c.of, Missing) }

// options brings the values into their order.
func (c *coder) options() (*Options, error) {
	read := make([]space.Option, len(c.texts))
	infer := untyped(c.texts)
	for i, text := range c.texts {
		if read[i] = space.Option(text); !c.typed {
			o, err := infer(text)
			if err != nil {
				return nil, err
			}
			read[i] = o
		}
	}
	values := slices.Clone(read)
	slices.SortFunc(values, space.Option.Compare)
	values = slices.Compact(values)
	number := make(map[space.Option]int32, len(values))
	for i, o := range values {
		number[o] = int32(i)
	}
	for i, n := range c.of {
		if n != Missing {
			c.of[i] = number[read[n]]
		}
	}
	return &Options{values, c.of}, nil
}

// untyped says how the texts of a column without type are read: as true and false or as
// numbers if all of them can be.
func untyped(texts []string) func(string) (space.Option, error) {
	truth := func(s string) (space.Option, error) {
		switch s {
		case "true", "True", "TRUE":
			return space.BoolOption(true), nil
		case "false", "False", "FALSE":
			return space.BoolOption(false), nil
		}
		return "", errors.New("neither true nor false")
	}
	all := func(read func(string) (space.Option, error)) bool {
		return !slices.ContainsFunc(texts, func(s string) bool { _, err := read(s); return err != nil })
	}
	switch {
	case all(truth):
		return truth
	case all(space.NumberOption):
		return space.NumberOption
	}
	return space.StringOption
}
