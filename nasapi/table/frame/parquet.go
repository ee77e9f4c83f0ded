package frame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"evalnas/nasapi/space"
)

const parquetMagic = "PAR1"

// readParquet reads the columns one after the other. The library panics at some damaged
// files.
func (r *reading) readParquet(content []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Parquet file is damaged: %v", p)
		}
	}()
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("the Parquet file is damaged: %w", err)
	}
	columns := f.Root().Columns()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name()
	}
	if err := r.begin(names); err != nil {
		return err
	}
	r.unit = "row"
	for i := range int(f.NumRows()) {
		if err := r.add(i + 1); err != nil {
			return err
		}
	}
	for i := range r.wanted {
		w := &r.wanted[i]
		if err := r.readColumn(w, columns[w.at], f); err != nil {
			return err
		}
		if n := len(w.numbers) + len(w.coder.of); n != r.rows {
			return fmt.Errorf("the Parquet file is damaged: the column %q has %d values, not %d", shorten(w.Name), n, r.rows)
		}
	}
	return nil
}

func (r *reading) readColumn(w *wanted, c *parquet.Column, f *parquet.File) error {
	if !c.Leaf() || c.Repeated() || c.MaxRepetitionLevel() > 0 {
		return fmt.Errorf("the column %q holds lists or records: it must have one value a row", shorten(w.Name))
	}
	read, err := reader(c)
	if err != nil {
		return err
	}
	w.coder.typed = true
	values := make([]parquet.Value, 4096)
	for _, group := range f.RowGroups() {
		pages := group.ColumnChunks()[c.Index()].Pages()
		err := eachValue(pages, values, func(v parquet.Value) error { return r.addValue(w, v, read) })
		if err := errors.Join(err, pages.Close()); err != nil {
			return err
		}
	}
	return nil
}

func eachValue(pages parquet.Pages, values []parquet.Value, use func(parquet.Value) error) error {
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the Parquet file is damaged: %w", err)
		}
		for in := page.Values(); err != io.EOF; {
			var n int
			if n, err = in.ReadValues(values); err != nil && err != io.EOF {
				return fmt.Errorf("the Parquet file is damaged: %w", err)
			}
			for _, v := range values[:n] {
				if err := use(v); err != nil {
					return err
				}
			}
		}
		parquet.Release(page)
	}
}

func (r *reading) addValue(w *wanted, v parquet.Value, read *typeReader) error {
	at := max(len(w.numbers), len(w.coder.of))
	if at >= r.rows {
		return errors.New("the Parquet file is damaged: a column has more values than there are rows")
	}
	none := v.IsNull() || read.none(v)
	switch {
	case none && w.Number:
		w.numbers = append(w.numbers, math.NaN())
	case none:
		w.coder.none()
	case w.Number:
		n := math.Inf(1)
		if read.number != nil {
			n = read.number(v)
		}
		if math.IsInf(n, 0) {
			return notNumber(r.Where(at), w.Name, v.String())
		}
		w.numbers = append(w.numbers, n)
	default:
		o, err := read.option(v)
		if err != nil {
			return fmt.Errorf("%s: %q: %w", r.Where(at), shorten(w.Name), err)
		}
		w.coder.add([]byte(o))
	}
	return nil
}

// typeReader reads the values of a column's type.
type typeReader struct {
	none   func(parquet.Value) bool
	number func(parquet.Value) float64 // nil for a type without numbers
	option func(parquet.Value) (space.Option, error)
}

// reader refuses types whose values are more than a number, a text, true or false.
func reader(c *parquet.Column) (*typeReader, error) {
	unsigned := false
	if l := c.Type().LogicalType(); l != nil {
		kind, _, _ := strings.Cut(l.String(), "(")
		switch kind {
		case "NULL", "UNKNOWN":
			return nothing, nil
		case "STRING", "ENUM", "INT", "":
		default:
			return nil, fmt.Errorf("the column %q is of the type %s: a number, a text, true or false is needed", shorten(c.Name()), l)
		}
		unsigned = strings.HasSuffix(l.String(), "false)")
	} else if t := c.Type().ConvertedType(); t != nil {
		switch *t {
		case deprecated.UTF8, deprecated.Enum, deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
		case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
			unsigned = true
		default:
			return nil, fmt.Errorf("the column %q is of the type %v: a number, a text, true or false is needed", shorten(c.Name()), *t)
		}
	}
	read := readers[c.Type().Kind()]
	if read == nil {
		return nil, fmt.Errorf("the column %q is of the type %s: a number, a text, true or false is needed", shorten(c.Name()), c.Type())
	}
	return read(unsigned), nil
}

func never(parquet.Value) bool { return false }

// nothing reads a column without a type, in which no row has a value.
var nothing = &typeReader{none: func(parquet.Value) bool { return true }}

// readers make the typeReader of each physical type. A number of 32 bits stands for its
// shortest decimal, which is what CSV files have of it.
var readers = map[parquet.Kind]func(unsigned bool) *typeReader{
	parquet.Boolean: func(bool) *typeReader {
		return &typeReader{never, nil, func(v parquet.Value) (space.Option, error) { return space.BoolOption(v.Boolean()), nil }}
	},
	parquet.Int32: func(unsigned bool) *typeReader {
		return integers(func(v parquet.Value) string {
			if unsigned {
				return strconv.FormatUint(uint64(v.Uint32()), 10)
			}
			return strconv.FormatInt(int64(v.Int32()), 10)
		})
	},
	parquet.Int64: func(unsigned bool) *typeReader {
		return integers(func(v parquet.Value) string {
			if unsigned {
				return strconv.FormatUint(v.Uint64(), 10)
			}
			return strconv.FormatInt(v.Int64(), 10)
		})
	},
	parquet.Float: func(bool) *typeReader {
		return floats(func(v parquet.Value) float64 {
			n, err := strconv.ParseFloat(strconv.FormatFloat(float64(v.Float()), 'g', -1, 32), 64)
			if err != nil {
				return math.NaN() // it is what was written
			}
			return n
		})
	},
	parquet.Double: func(bool) *typeReader { return floats(parquet.Value.Double) },
	parquet.ByteArray: func(bool) *typeReader {
		return &typeReader{
			func(v parquet.Value) bool { return len(v.ByteArray()) == 0 }, nil,
			func(v parquet.Value) (space.Option, error) { return space.StringOption(string(v.ByteArray())) },
		}
	},
}

func integers(text func(parquet.Value) string) *typeReader {
	return &typeReader{
		never,
		func(v parquet.Value) float64 {
			n, err := strconv.ParseFloat(text(v), 64)
			if err != nil {
				return math.NaN() // digits are a number
			}
			return n
		},
		func(v parquet.Value) (space.Option, error) { return space.NumberOption(text(v)) },
	}
}

func floats(number func(parquet.Value) float64) *typeReader {
	return &typeReader{
		func(v parquet.Value) bool { return math.IsNaN(number(v)) },
		number,
		func(v parquet.Value) (space.Option, error) {
			if math.IsInf(number(v), 0) {
				return "", errors.New("it is infinite")
			}
			return space.FloatOption(number(v)), nil
		},
	}
}
