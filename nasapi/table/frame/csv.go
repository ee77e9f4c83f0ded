package frame

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// readCSV reads fields that are separated by commas, or by tabs or semicolons where the
// header has no comma.
func (r *reading) readCSV(content []byte) error {
	in := csv.NewReader(bytes.NewReader(content))
	in.ReuseRecord = true
	header, _, _ := bytes.Cut(content, []byte{'\n'})
	for _, separator := range []rune{'\t', ';'} {
		if bytes.IndexByte(header, ',') < 0 && bytes.ContainsRune(header, separator) {
			in.Comma = separator
			break
		}
	}
	record, err := in.Read()
	if err != nil {
		return csvError(err)
	}
	names := make([]string, len(record))
	for i, name := range record {
		names[i] = strings.Clone(strings.TrimSpace(name))
	}
	if err := r.begin(names); err != nil {
		return err
	}
	for {
		record, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return csvError(err)
		}
		line, _ := in.FieldPos(0)
		if err := r.add(line); err != nil {
			return err
		}
		if err := r.addRecord(record); err != nil {
			return err
		}
	}
}

func csvError(err error) error {
	var wrong *csv.ParseError
	if !errors.As(err, &wrong) {
		return err
	}
	if errors.Is(err, csv.ErrFieldCount) {
		return fmt.Errorf("line %d has more or fewer fields than the header", wrong.Line)
	}
	return fmt.Errorf("line %d, column %d: %w", wrong.Line, wrong.Column, wrong.Err)
}

func (r *reading) addRecord(record []string) error {
	for i := range r.wanted {
		w := &r.wanted[i]
		text := strings.TrimSpace(record[w.at])
		none := text == "" || text == "nan" || text == "NaN"
		switch {
		case none && w.Number:
			w.numbers = append(w.numbers, math.NaN())
		case none:
			w.coder.none()
		case w.Number:
			v, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsInf(v, 0) {
				return notNumber(r.Where(r.rows-1), w.Name, text)
			}
			w.numbers = append(w.numbers, v)
		default:
			w.coder.add([]byte(text))
		}
	}
	return nil
}
