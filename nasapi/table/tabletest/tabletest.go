// Package tabletest writes files in the format of NASBench-101's with made-up metrics, for
// tests and benchmarks.
//
//	tabletest.Write(f, tabletest.File{MaxVertices: 4, Epochs: []int{4, 108}, Seed: 1})
//
// The metrics mean nothing: a table made of them is good for counting and timing alone.
package tabletest

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Repeats of every training.
const Repeats = 3

// images are those that accuracies count.
const images = 9984

// File says what is written.
type File struct {
	MaxVertices int   // of the largest cell, 2 to 7
	Epochs      []int // budgets of the trainings
	Seed        int64
	// Single rounds accuracies to single precision, as TensorFlow does.
	Single bool
}

// Record is one training of one cell.
type Record struct {
	Hash   string
	Epochs int
	Matrix string // 0s and 1s, row by row
	Ops    string // joined by commas
	Params int64
	// At the start, halfway and at the end.
	Evaluations [3]Evaluation
}

// Evaluation is one EvaluationData.
type Evaluation struct{ Epoch, Seconds, Train, Valid, Test float64 }

// Records calls f with the records of a file, in its order: cells are scattered, the
// trainings of one stand together.
func (file File) Records(f func(Record) error) error {
	s, err := space.NASBench101(file.MaxVertices)
	if err != nil {
		return err
	}
	draws := rng.New(file.Seed, "tabletest")
	for i := range s.Len() {
		// The prime has no factor in common with the sizes of the spaces.
		cell := s.At(i * 104729 % s.Len()).(*space.Cell)
		matrix := new(strings.Builder)
		for _, row := range cell.Matrix() {
			for _, e := range row {
				matrix.WriteByte('0' + byte(e))
			}
		}
		r := Record{Hash: cell.Hash(), Matrix: matrix.String(), Ops: strings.Join(cell.Ops(), ","), Params: cell.Params()}
		for _, r.Epochs = range file.Epochs {
			for range Repeats {
				r.Evaluations = file.train(r.Epochs, draws)
				if err := f(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// train makes the numbers of one training up.
func (file File) train(epochs int, draws *rng.Stream) (all [3]Evaluation) {
	share := func(low, high int) float64 {
		v := float64(low+draws.IntN(high-low)) / images
		if file.Single {
			return float64(float32(v))
		}
		return v
	}
	seconds := 300 + 6000*draws.Float64()
	all[0] = Evaluation{0, 0, share(900, 1100), share(900, 1100), share(900, 1100)}
	all[1] = Evaluation{float64(epochs / 2), seconds / 2, share(6000, 9000), share(5000, 8500), share(5000, 8500)}
	all[2] = Evaluation{float64(epochs), seconds, share(9000, 9984), share(6000, 9480), share(5900, 9480)}
	return all
}

// Metrics is the record's ModelMetrics message.
func (r Record) Metrics() []byte {
	var out []byte
	for _, e := range r.Evaluations {
		var data []byte
		for i, v := range []float64{e.Epoch, e.Seconds, e.Train, e.Valid, e.Test} {
			data = protowire.AppendTag(data, protowire.Number(1+i), protowire.Fixed64Type)
			data = protowire.AppendFixed64(data, math.Float64bits(v))
		}
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendBytes(out, data)
	}
	out = protowire.AppendTag(out, 2, protowire.VarintType)
	out = protowire.AppendVarint(out, uint64(r.Params))
	out = protowire.AppendTag(out, 3, protowire.Fixed64Type)
	return protowire.AppendFixed64(out, math.Float64bits(1.05*r.Evaluations[2].Seconds))
}

// Payload is the record's JSON.
func (r Record) Payload() []byte {
	return fmt.Appendf(nil, `["%s", %d, "%s", "%s", "%s"]`, r.Hash, r.Epochs, r.Matrix, r.Ops, base64.StdEncoding.EncodeToString(r.Metrics()))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Frame makes a TFRecord of a payload.
func Frame(payload []byte) []byte {
	masked := func(data []byte) uint32 {
		c := crc32.Checksum(data, castagnoli)
		return (c>>15 | c<<17) + 0xa282ead8
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(payload)))
	out = binary.LittleEndian.AppendUint32(out, masked(out))
	out = append(out, payload...)
	return binary.LittleEndian.AppendUint32(out, masked(payload))
}

// Write writes a file.
func Write(out io.Writer, file File) error {
	w := bufio.NewWriterSize(out, 1<<20)
	if err := file.Records(func(r Record) error {
		_, err := w.Write(Frame(r.Payload()))
		return err
	}); err != nil {
		return err
	}
	return w.Flush()
}
