// Package tensorboard writes scalars as TensorBoard reads them: event files of
// TensorFlow's record format (tensorflow/core/util/event.proto, summary.proto, and
// lib/io/record_writer.cc).
package tensorboard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Scalar is a number at a step.
type Scalar struct {
	Tag   string
	Step  int64
	Time  time.Time
	Value float64
}

// The numbers of the fields.
const (
	eventTime, eventStep, eventVersion, eventSummary = 1, 2, 3, 5
	summaryValue                                     = 1
	valueTag, valueSimple                            = 1, 2
)

// Write writes the scalars of a run into dir, which it makes: a file of its own that
// replaces the one that an earlier Write of the same run left.
func Write(dir string, scalars []Scalar) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	began := time.Unix(0, 0)
	if len(scalars) > 0 {
		began = scalars[0].Time
	}
	data := record(nil, event(began, 0, func(b []byte) []byte {
		b = protowire.AppendTag(b, eventVersion, protowire.BytesType)
		return protowire.AppendString(b, "brain.Event:2")
	}))
	for _, s := range scalars {
		data = record(data, s.event())
	}
	// TensorBoard takes any file with this in its name, and reads them in the order of
	// their names.
	path := filepath.Join(dir, "events.out.tfevents.0000000001.evalnas")
	f, err := os.CreateTemp(dir, ".events-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func event(at time.Time, step int64, what func(b []byte) []byte) []byte {
	b := protowire.AppendTag(nil, eventTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(at.UnixNano())/1e9))
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(step))
	return what(b)
}

func (s Scalar) event() []byte {
	value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
	value = protowire.AppendString(value, s.Tag)
	value = protowire.AppendTag(value, valueSimple, protowire.Fixed32Type)
	value = protowire.AppendFixed32(value, math.Float32bits(float32(s.Value)))
	summary := protowire.AppendTag(nil, summaryValue, protowire.BytesType)
	summary = protowire.AppendBytes(summary, value)
	return event(s.Time, s.Step, func(b []byte) []byte {
		b = protowire.AppendTag(b, eventSummary, protowire.BytesType)
		return protowire.AppendBytes(b, summary)
	})
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of the record format.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// record appends a record: length, its checksum, data, its checksum.
func record(to, data []byte) []byte {
	begin := len(to)
	to = binary.LittleEndian.AppendUint64(to, uint64(len(data)))
	to = binary.LittleEndian.AppendUint32(to, masked(to[begin:begin+8]))
	to = append(to, data...)
	return binary.LittleEndian.AppendUint32(to, masked(data))
}
