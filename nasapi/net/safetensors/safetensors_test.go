package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"testing"
)

var some = []Tensor{
	{Name: "b.weight", Shape: []int{2, 3}, Floats: []float32{1, -2.5, 0, float32(math.Inf(1)), 1e-40, 3}},
	{Name: "a.count", Ints: []int64{-7}},
	{Name: "a.none", Shape: []int{0, 4}, Floats: []float32{}},
	{Name: "c", Shape: []int{1}, Floats: []float32{9}},
}

func written(t testing.TB, tensors []Tensor, metadata map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	metadata := map[string]string{"format": "pt"}
	data := written(t, some, metadata)
	if n := binary.LittleEndian.Uint64(data); n%8 != 0 {
		t.Errorf("the header has %d bytes, which leaves the data unaligned", n)
	}
	got, meta, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	want := []Tensor{some[1], some[2], some[0], some[3]}
	want[1].Ints = nil
	byName := map[string]Tensor{}
	for _, tensor := range got {
		byName[tensor.Name] = tensor
	}
	for _, w := range want {
		if !reflect.DeepEqual(byName[w.Name], w) {
			t.Errorf("%s is read as %v, want %v", w.Name, byName[w.Name], w)
		}
	}
	if len(got) != len(want) || !reflect.DeepEqual(meta, metadata) {
		t.Errorf("%d tensors and the metadata %v", len(got), meta)
	}
	if got[0].Name != "a.count" {
		t.Errorf("the data begins with %s, not with the integer", got[0].Name)
	}
}

// file is a header and data as they are written in a file.
func file(header, data string) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
}

// The layout by hand, blanks after the header and keys in no order included.
func TestReadsOthersFiles(t *testing.T) {
	got, _, err := Read(file(`{"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"x":{"data_offsets":[0,4],"shape":[1,1],"dtype":"F32"}}   `, "\x00\x00\x80\x3f\x00\x00\x00\xc0"))
	want := []Tensor{{Name: "x", Shape: []int{1, 1}, Floats: []float32{1}}, {Name: "y", Shape: []int{1}, Floats: []float32{-2}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"empty", "0 bytes are too few", nil},
		{"short", "cut short", file(`{}`, "")[:9]},
		{"huge header", "is said to have", []byte("\xff\xff\xff\xff\xff\xff\xff\xff{}")},
		{"not JSON", "not a JSON object", file(`{"a":`, "")},
		{"a list", "not a JSON object", file(`[]`, "")},
		{"null data", "belong to no tensor", file(`{}`, "abcd")},
		{"number for a tensor", "is not described by", file(`{"a":3}`, "")},
		{"metadata of numbers", "not text by name", file(`{"__metadata__":{"a":3}}`, "")},
		{"type", `the type "BF16"`, file(`{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}`, "abcd")},
		{"negative shape", "has the shape", file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, "abcd")},
		{"product runs over", "has the shape", file(`{"a":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,4]}}`, "abcd")},
		{"too short for its shape", "is said to lie", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, "abcd")},
		{"past the end", "is said to lie", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "abcd")},
		{"a gap", "is said to lie", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "abcdefgh")},
		{"one place twice", "is said to lie", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "abcd")},
		{"backwards", "is said to lie", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, "abcd")},
	} {
		if _, _, err := Read(c.data); err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 400 {
			t.Errorf("%s: %v; want %q in it", c.name, err, c.want)
		}
	}
}

func TestWriteRefusesWhatItCouldNotRead(t *testing.T) {
	for name, tensors := range map[string][]Tensor{
		"one name twice": {{Name: "a", Floats: []float32{1}}, {Name: "a", Floats: []float32{1}}},
		"metadata":       {{Name: "__metadata__", Floats: []float32{1}}},
		"shape":          {{Name: "a", Shape: []int{2}, Floats: []float32{1}}},
	} {
		if err := Write(new(bytes.Buffer), tensors, nil); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// Whatever is read can be written and read again, with the same bytes in the end.
func FuzzRead(f *testing.F) {
	f.Add(written(f, some, map[string]string{"format": "pt"}))
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "abcd"))
	f.Add(file(`{"a":{"dtype":"I64","shape":[0],"data_offsets":[0,0]}}`, ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, metadata, err := Read(data)
		if err != nil {
			return
		}
		once := written(t, tensors, metadata)
		tensors, metadata, err = Read(once)
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if again := written(t, tensors, metadata); !bytes.Equal(again, once) {
			t.Error("the bytes differ the second time")
		}
	})
}
