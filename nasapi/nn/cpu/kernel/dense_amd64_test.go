package kernel

import (
	"reflect"
	"testing"
)

// TestCallsLayout holds the arguments of the assembly to the lists in asm: the
// names in their order, 8 bytes each.
func TestCallsLayout(t *testing.T) {
	for _, c := range []struct {
		call   any
		fields []string
	}{
		{denseCall{}, []string{"out", "outOff", "in", "inOff", "taps", "w0", "w1", "w2", "first", "tile", "tiles", "tapCount", "k", "accumulate", "tap", "tapsLeft"}},
		{denseGradCall{}, []string{"dw", "a", "b", "tile", "ld", "aRow", "aPix", "bRow", "bPix", "rows", "cols"}},
		{channelCall{}, []string{
			"dst", "dstRow", "dstPix", "x", "xRow", "xPix", "g", "gRow", "gPix", "rows", "cols", "bytes",
			"scale", "shift", "center", "a", "b", "d", "sum", "square", "lane", "lanes", "weight", "variant",
		}},
		{flatCall{}, []string{"w", "v", "g", "n", "rate", "momentum", "decay", "clip", "sums"}},
	} {
		typ := reflect.TypeOf(c.call)
		if typ.NumField() != len(c.fields) {
			t.Errorf("%v has %d fields, the assembly knows %d", typ, typ.NumField(), len(c.fields))
			continue
		}
		for i, name := range c.fields {
			f, ok := typ.FieldByName(name)
			if !ok || f.Offset != uintptr(8*i) || f.Type.Size() != 8 {
				t.Errorf("%v: %s is not the 8 bytes at %d that the assembly takes it for", typ, name, 8*i)
			}
		}
	}
}

// TestDenseTiles shares out every count of pixels or channels, and leaves no tile of one
// or two where larger ones are to be had.
func TestDenseTiles(t *testing.T) {
	for _, set := range []Set{AVX2, AVX512} {
		for _, width := range []int{40, 36, 32, 16, 8, 4} {
			if set != AVX512 && width > 16 {
				continue
			}
			for _, most := range []int{largestPixels(set, width), largestInputs(set, width)} {
				for total := 1; total <= 60; total++ {
					left, smallest := total, total
					for left > 0 {
						size, count := denseTile(left, most)
						if count < 1 || size < 1 || size > most {
							t.Fatalf("%d of %d left, at most %d: %d tiles of %d", left, total, most, count, size)
						}
						left -= size * count
						smallest = min(smallest, size)
					}
					if left < 0 || total > 2 && smallest < 3 {
						t.Errorf("%d, at most %d: %d left over, smallest tile %d", total, most, left, smallest)
					}
				}
			}
		}
	}
}
