package tensorboard

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestChecksumIsTheFormats: the masked CRC-32C of the published test vector of RFC 3720
// (32 bytes of zero have the CRC 8a9136aa).
func TestChecksumIsTheFormats(t *testing.T) {
	c := uint32(0x8a9136aa)
	if got, want := masked(make([]byte, 32)), (c>>15|c<<17)+0xa282ead8; got != want {
		t.Errorf("%08x, not %08x", got, want)
	}
}

func TestWriteAndReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	at := time.Unix(1700000000, 0)
	want := []Scalar{{"valid/accuracy", 1, at, 0.25}, {"valid/accuracy", 2, at.Add(time.Minute), 0.5}}
	for range 2 { // the second replaces the first
		if err := Write(dir, want); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v: %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var records [][]byte
	for len(data) > 0 {
		n := binary.LittleEndian.Uint64(data)
		if binary.LittleEndian.Uint32(data[8:]) != masked(data[:8]) || binary.LittleEndian.Uint32(data[12+n:]) != masked(data[12:12+n]) {
			t.Fatal("a checksum is wrong")
		}
		records, data = append(records, data[12:12+n]), data[16+n:]
	}
	if len(records) != 3 {
		t.Fatalf("%d records", len(records))
	}
	tag, value, step := "", 0.0, uint64(0)
	fields(t, records[2], func(n protowire.Number, b []byte, x uint64) {
		if n == eventStep {
			step = x
		}
		if n != eventSummary {
			return
		}
		fields(t, b, func(_ protowire.Number, b []byte, _ uint64) {
			fields(t, b, func(n protowire.Number, b []byte, x uint64) {
				if n == valueTag {
					tag = string(b)
				} else {
					value = float64(math.Float32frombits(uint32(x)))
				}
			})
		})
	})
	if tag != "valid/accuracy" || value != 0.5 || step != 2 {
		t.Errorf("read %s %v at %d", tag, value, step)
	}
}

// fields visits the fields of a message.
func fields(t *testing.T, b []byte, visit func(n protowire.Number, bytes []byte, x uint64)) {
	t.Helper()
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal("no field")
		}
		b = b[n:]
		switch kind {
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			visit(number, v, 0)
			b = b[n:]
		case protowire.Fixed32Type:
			v, n := protowire.ConsumeFixed32(b)
			visit(number, nil, uint64(v))
			b = b[n:]
		case protowire.Fixed64Type:
			v, n := protowire.ConsumeFixed64(b)
			visit(number, nil, v)
			b = b[n:]
		default:
			v, n := protowire.ConsumeVarint(b)
			visit(number, nil, v)
			b = b[n:]
		}
	}
}
