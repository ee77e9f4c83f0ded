package table

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"evalnas/nasapi/space"
)

// budgets are the epochs of the data set's trainings: a file has one of them or all.
var budgets = [...]int{4, 12, 36, 108}

// Values of a training at one of its two points, in the order in which they are kept.
const (
	trainValue = iota
	validValue
	testValue
	secondsValue
	pointValues
)

// Points of a training.
const (
	halfway = iota
	atEnd
	points
)

// record is one training of one cell.
type record struct {
	offset int64 // in the file
	row    int32 // of the 7-vertex space
	params int32
	budget uint8 // index in budgets
	hash   [16]byte
	values [points][pointValues]float64
}

// recordParser reads payloads: a JSON array of hash, epochs, adjacency, operations and
// metrics, these as a protocol buffer in base64 (seed specification, section 4.1).
type recordParser struct {
	space   *space.NASBench
	decoded []byte
	// The last cell: the trainings of one often stand together.
	matrix, ops []byte
	last        int
}

func newRecordParser() *recordParser {
	s, err := space.NASBench101(7)
	if err != nil {
		panic(err) // the importer has opened it
	}
	return &recordParser{space: s}
}

// payload is the array's five parts; they point into the text where it has no escapes.
type payload struct {
	hash, epochs, matrix, ops, metrics []byte
}

func (p *recordParser) parse(text []byte, r *record) error {
	fields, ok := scanPayload(text)
	if !ok {
		var err error
		if fields, err = decodePayload(text); err != nil {
			return err
		}
	}
	if err := r.readHash(fields.hash); err != nil {
		return err
	}
	if err := r.readBudget(fields.epochs); err != nil {
		return err
	}
	row, err := p.row(fields.matrix, fields.ops)
	if err != nil {
		return fmt.Errorf("its cell: %w", err)
	}
	if !p.space.MayHaveHash(row, r.hash) {
		return hashMismatch(p.space, r.hash, row)
	}
	r.row = int32(row)
	p.decoded = slices.Grow(p.decoded[:0], base64.StdEncoding.DecodedLen(len(fields.metrics)))
	n, err := base64.StdEncoding.Decode(p.decoded[:cap(p.decoded)], fields.metrics)
	if err != nil {
		return fmt.Errorf("its metrics are not base64: %w", err)
	}
	return r.readMetrics(p.decoded[:n])
}

// row finds the row of a cell.
func (p *recordParser) row(matrix, ops []byte) (int, error) {
	if len(matrix) > 0 && bytes.Equal(matrix, p.matrix) && bytes.Equal(ops, p.ops) {
		return p.last, nil
	}
	row, err := p.space.TextRow(matrix, ops)
	if err != nil {
		return 0, err
	}
	p.matrix, p.ops, p.last = append(p.matrix[:0], matrix...), append(p.ops[:0], ops...), row
	return row, nil
}

func hashMismatch(s *space.NASBench, hash [16]byte, row int) error {
	return fmt.Errorf("its hash is %x, and its matrix and operations have the hash %x", hash, s.HashOfRow(row))
}

func (r *record) readHash(text []byte) error {
	if len(text) != 2*len(r.hash) {
		return fmt.Errorf("its hash has %d characters, not 32 hexadecimal digits", len(text))
	}
	if _, err := hex.Decode(r.hash[:], text); err != nil {
		return fmt.Errorf("its hash %q is not of 32 hexadecimal digits", text)
	}
	return nil
}

func (r *record) readBudget(text []byte) error {
	for i, epochs := range [...]string{"4", "12", "36", "108"} {
		if string(text) == epochs {
			r.budget = uint8(i)
			return nil
		}
	}
	return fmt.Errorf("its epochs are %s; NASBench-101 has trainings of 4, 12, 36 and 108", shorten(string(text)))
}

// scanPayload reads the array as Python writes it. What has escapes, or is no such array,
// is left to decodePayload.
func scanPayload(text []byte) (p payload, ok bool) {
	s := scanner{text}
	ok = s.skip('[') && s.quoted(&p.hash) && s.skip(',') && s.number(&p.epochs) && s.skip(',') && s.quoted(&p.matrix) &&
		s.skip(',') && s.quoted(&p.ops) && s.skip(',') && s.quoted(&p.metrics) && s.skip(']')
	s.blanks()
	return p, ok && len(s.rest) == 0
}

type scanner struct{ rest []byte }

func (s *scanner) blanks() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\t' || s.rest[0] == '\r') {
		s.rest = s.rest[1:]
	}
}

func (s *scanner) skip(c byte) bool {
	s.blanks()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// quoted reads a text that stands for itself, without escapes. Line ends, which JSON does not
// allow in a text and base64 would skip, are left to the decoder; what else does not belong
// there is no digit, operation or base64.
func (s *scanner) quoted(to *[]byte) bool {
	if !s.skip('"') {
		return false
	}
	end := bytes.IndexByte(s.rest, '"')
	if end < 0 {
		return false
	}
	*to, s.rest = s.rest[:end], s.rest[end+1:]
	for _, c := range []byte("\\\n\r") {
		if bytes.IndexByte(*to, c) >= 0 {
			return false
		}
	}
	return true
}

// number reads a whole number that begins with a digit other than 0.
func (s *scanner) number(to *[]byte) bool {
	s.blanks()
	n := 0
	for n < len(s.rest) && '0' <= s.rest[n] && s.rest[n] <= '9' {
		n++
	}
	*to, s.rest = s.rest[:n], s.rest[n:]
	return n > 0 && (*to)[0] != '0'
}

// decodePayload reads any JSON, or says what is wrong with it.
func decodePayload(text []byte) (p payload, err error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return p, fmt.Errorf("it is not a JSON array: %w; a record of NASBench-101 is [hash, epochs, adjacency, operations, metrics]", err)
	}
	if len(parts) != 5 {
		return p, fmt.Errorf("it is a JSON array of %d; a record of NASBench-101 is [hash, epochs, adjacency, operations, metrics]", len(parts))
	}
	for i, to := range []*[]byte{&p.hash, nil, &p.matrix, &p.ops, &p.metrics} {
		if to == nil {
			continue
		}
		var s *string
		if err := json.Unmarshal(parts[i], &s); err != nil || s == nil {
			return p, fmt.Errorf("part %d of its JSON array is %s, not a text", i+1, shorten(string(parts[i])))
		}
		*to = []byte(*s)
	}
	p.epochs = parts[1]
	return p, nil
}

// Fields of the messages ModelMetrics and EvaluationData, proto2.
const (
	metricsEvaluations protowire.Number = 1
	metricsParams      protowire.Number = 2

	evaluationSeconds protowire.Number = 2
	evaluationTrain   protowire.Number = 3
	evaluationValid   protowire.Number = 4
	evaluationTest    protowire.Number = 5
)

// evaluations of a training: at its start, halfway, at its end.
const evaluations = 3

// readMetrics reads a ModelMetrics. What is at the start of the training is left out, as
// the reference's API leaves it out, and so is the time with the evaluations.
func (r *record) readMetrics(message []byte) error {
	n, hasParams := 0, false
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return brokenMetrics(size)
		}
		message = message[size:]
		switch {
		case number == metricsEvaluations && kind == protowire.BytesType:
			var evaluation []byte
			if evaluation, size = protowire.ConsumeBytes(message); size < 0 {
				return brokenMetrics(size)
			}
			if n++; n == 1 || n > evaluations {
				break
			}
			if err := readEvaluation(evaluation, &r.values[n-2]); err != nil {
				return fmt.Errorf("its evaluation %s: %w", [...]string{"halfway", "at the end"}[n-2], err)
			}
		case number == metricsParams && kind == protowire.VarintType:
			var params uint64
			if params, size = protowire.ConsumeVarint(message); size < 0 {
				return brokenMetrics(size)
			}
			r.params, hasParams = int32(params), true
		default:
			if size = protowire.ConsumeFieldValue(number, kind, message); size < 0 {
				return brokenMetrics(size)
			}
		}
		message = message[size:]
	}
	switch {
	case n != evaluations:
		return fmt.Errorf("its metrics have %d evaluations; a training has three: at its start, halfway and at its end", n)
	case !hasParams || r.params <= 0:
		return fmt.Errorf("its metrics have no number of trainable parameters, or %d", r.params)
	case r.values[halfway][secondsValue] > r.values[atEnd][secondsValue]:
		return fmt.Errorf("its training took %v s to its middle and %v s to its end", r.values[halfway][secondsValue], r.values[atEnd][secondsValue])
	}
	return nil
}

func brokenMetrics(code int) error {
	return fmt.Errorf("its metrics are not a ModelMetrics message: %w", protowire.ParseError(code))
}

// evaluationFields are the fields of EvaluationData that are kept, by their numbers.
var evaluationFields = [...]struct {
	value int
	name  string
}{
	evaluationSeconds: {secondsValue, "training_time"},
	evaluationTrain:   {trainValue, "train_accuracy"},
	evaluationValid:   {validValue, "validation_accuracy"},
	evaluationTest:    {testValue, "test_accuracy"},
}

func readEvaluation(message []byte, values *[pointValues]float64) error {
	var seen [pointValues]bool
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		if number < evaluationSeconds || number > evaluationTest || kind != protowire.Fixed64Type {
			if size = protowire.ConsumeFieldValue(number, kind, message); size < 0 {
				return protowire.ParseError(size)
			}
			message = message[size:]
			continue
		}
		bits, size := protowire.ConsumeFixed64(message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		field := evaluationFields[number]
		values[field.value], seen[field.value] = math.Float64frombits(bits), true
	}
	return checkEvaluation(values, seen)
}

func checkEvaluation(values *[pointValues]float64, seen [pointValues]bool) error {
	for _, field := range evaluationFields[evaluationSeconds:] {
		v := values[field.value]
		switch {
		case !seen[field.value]:
			return errors.New("no " + field.name)
		case field.value == secondsValue && !(v >= 0 && !math.IsInf(v, 1)):
			return fmt.Errorf("training_time is %v: it is a number of seconds", v)
		case field.value != secondsValue && !(v >= 0 && v <= 1):
			return fmt.Errorf("%s is %v: an accuracy lies in 0..1", field.name, v)
		}
	}
	return nil
}
