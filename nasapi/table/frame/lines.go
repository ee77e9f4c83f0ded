package frame

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"evalnas/nasapi/space"
)

// maxLine bounds the text of one row.
const maxLine = 1 << 24

// readLines reads one JSON object a line. The first one's keys are the columns.
func (r *reading) readLines(content []byte) error {
	for number := 1; len(content) > 0; number++ {
		var line []byte
		line, content, _ = bytes.Cut(content, []byte{'\n'})
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if len(line) > maxLine {
			return fmt.Errorf("line %d has %d bytes; at most %d are read", number, len(line), maxLine)
		}
		if r.rows == 0 {
			names, err := keys(line)
			if err != nil {
				return lineError(number, err)
			}
			if err := r.begin(names); err != nil {
				return err
			}
		}
		if err := r.add(number); err != nil {
			return err
		}
		if err := r.addLine(line); err != nil {
			return err
		}
	}
	for i := range r.wanted {
		r.wanted[i].coder.typed = true
	}
	return nil
}

func lineError(number int, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && strings.Contains(err.Error(), "'N'") {
		return fmt.Errorf("line %d: NaN is no JSON; a missing value is null", number)
	}
	return fmt.Errorf("line %d is no JSON object: %w", number, err)
}

// keys lists the keys of an object in its order.
func keys(line []byte) ([]string, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(err, errors.New("it must begin with {"))
	}
	var names []string
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return nil, err
		}
		names = append(names, key.(string)) // an object's keys are texts
	}
	return names, nil
}

func (r *reading) addLine(line []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(line, &values); err != nil {
		return lineError(int(r.lines[r.rows-1]), err)
	}
	for i := range r.wanted {
		w := &r.wanted[i]
		raw := values[w.Name]
		none := len(raw) == 0 || string(raw) == "null" || string(raw) == `""`
		switch {
		case none && w.Number:
			w.numbers = append(w.numbers, math.NaN())
		case none:
			w.coder.none()
		case w.Number:
			v, err := strconv.ParseFloat(string(raw), 64)
			if err != nil || math.IsInf(v, 0) {
				return notNumber(r.Where(r.rows-1), w.Name, string(raw))
			}
			w.numbers = append(w.numbers, v)
		default:
			o, err := space.ParseOption(raw)
			if err != nil {
				return fmt.Errorf("%s: %q: %w", r.Where(r.rows-1), shorten(w.Name), err)
			}
			w.coder.add([]byte(o))
		}
	}
	return nil
}
