package nb101

import (
	"encoding/hex"
	"testing"
)

// Hashes of the four smallest cells, computed with the reference.
func TestModuleHashOfSmallCells(t *testing.T) {
	for _, c := range []struct {
		out  []uint64
		ops  []uint8
		want string
	}{
		{[]uint64{2, 0}, nil, "043721b9c7fe8c5fad811d47d83132ec"},
		{[]uint64{2, 4, 0}, []uint8{0}, "b49ac8c578b4561d79ac7087988f1c61"},
		{[]uint64{2, 4, 0}, []uint8{1}, "d1269d9156ddc027c40473008192958a"},
		{[]uint64{2, 4, 0}, []uint8{2}, "53cee42601ad14d661bb6878031d6acb"},
	} {
		var h Hasher
		got := h.Graph(Pack(c.out, c.ops))
		if hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%v %v: %x, want %s", c.out, c.ops, got, c.want)
		}
	}
}
