package nb101

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"
)

// Index finds a graph of the space by row, by colour or by hash. A row is the
// graph's position in ascending order of hash. It reads the encoded form as
// it lies in the binary: opening one checks its length and does nothing else,
// and it is safe for concurrent use.
//
// The encoding, all numbers little-endian: the number n of graphs in 4 bytes;
// n graphs of 4 bytes in order of hash; the first 5 bytes of each hash; and
// an open-addressing table of 2^k slots of 4 bytes, the smallest power of two
// above 1.2 n. A graph's home slot is the top k bits of its colour; an empty
// slot is 0, a full one row+1 in the low 19 bits and the low 13 bits of the
// colour above.
type Index struct {
	graphs   string
	prefixes string
	slots    string
	shift    uint // 64 - k
}

const (
	prefixLen = 5
	rowBits   = 19
	rowMask   = 1<<rowBits - 1
)

// slotBits is k for n graphs.
func slotBits(n int) uint { return uint(bits.Len(uint(n + n/5))) }

// EncodeIndex writes the index of graphs that are sorted by hash.
func EncodeIndex(unique []Unique) ([]byte, error) {
	if len(unique) >= rowMask {
		return nil, fmt.Errorf("nasbench101: %d graphs: the index has room for %d", len(unique), rowMask-1)
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(unique)))
	for _, u := range unique {
		out = binary.LittleEndian.AppendUint32(out, uint32(u.Graph))
	}
	for _, u := range unique {
		out = append(out, u.Hash[:prefixLen]...)
	}
	k := slotBits(len(unique))
	slots := make([]uint32, 1<<k)
	for row, u := range unique {
		colour := u.Graph.Colour()
		at := colour >> (64 - k)
		for slots[at] != 0 {
			at = (at + 1) & (1<<k - 1)
		}
		slots[at] = slot(row, colour)
	}
	for _, s := range slots {
		out = binary.LittleEndian.AppendUint32(out, s)
	}
	return out, nil
}

func slot(row int, colour uint64) uint32 { return uint32(row+1) | uint32(colour)<<rowBits }

// OpenIndex returns the index that is encoded in data and keeps data.
func OpenIndex(data string) (*Index, error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("nasbench101: the index has %d bytes: it is damaged", len(data))
	}
	n := int(word(data, 0))
	k := slotBits(n)
	graphs, prefixes, slots := 4*n, prefixLen*n, 4<<k
	if want := 4 + graphs + prefixes + slots; n >= rowMask || len(data) != want {
		return nil, fmt.Errorf("nasbench101: the index has %d bytes where %d graphs need %d: it is damaged", len(data), n, want)
	}
	data = data[4:]
	return &Index{
		graphs:   data[:graphs],
		prefixes: data[graphs : graphs+prefixes],
		slots:    data[graphs+prefixes:],
		shift:    64 - k,
	}, nil
}

// word is the little-endian word at byte 4*i.
func word(s string, i int) uint32 {
	s = s[4*i : 4*i+4]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// Len is the number of graphs.
func (x *Index) Len() int { return len(x.graphs) / 4 }

// Graph is the first-enumerated graph of a row.
func (x *Index) Graph(row int) Graph { return Graph(word(x.graphs, row)) }

// Row finds the row of the graph's isomorphism class.
func (x *Index) Row(g Graph) (row int, ok bool) {
	colour := g.Colour()
	fingerprint := slot(-1, colour)
	last := len(x.slots)/4 - 1
	for at := int(colour >> x.shift); ; at = (at + 1) & last {
		s := word(x.slots, at)
		if s == 0 {
			return 0, false
		}
		if s&^rowMask == fingerprint {
			// 13 bits can agree by accident: the graph itself decides.
			row := int(s&rowMask) - 1
			if found := x.Graph(row); found == g || found.Colour() == colour {
				return row, true
			}
		}
	}
}

var hashers = sync.Pool{New: func() any { return new(Hasher) }}

// Hash returns the module hash of a graph.
func Hash(g Graph) [16]byte {
	h := hashers.Get().(*Hasher)
	defer hashers.Put(h)
	return h.Graph(g)
}

// Module is Hasher.Module with a shared hasher.
func Module(out []uint64, labels []int8) [16]byte {
	h := hashers.Get().(*Hasher)
	defer hashers.Put(h)
	return h.Module(out, labels)
}

// RowOfHash finds the row with a module hash. The five bytes that are stored
// decide where to look, the graph's own hash whether it is the one.
func (x *Index) RowOfHash(hash [16]byte) (row int, ok bool) {
	want := prefix(hash[:])
	lo, hi := 0, x.Len()
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if x.prefix(mid) < want {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for ; lo < x.Len() && x.prefix(lo) == want; lo++ {
		if Hash(x.Graph(lo)) == hash {
			return lo, true
		}
	}
	return 0, false
}

// MayHave compares the bytes of a row's hash that are stored.
func (x *Index) MayHave(row int, hash [16]byte) bool { return x.prefix(row) == prefix(hash[:]) }

func (x *Index) prefix(row int) uint64 {
	s := x.prefixes[prefixLen*row : prefixLen*(row+1)]
	return uint64(s[0])<<32 | uint64(s[1])<<24 | uint64(s[2])<<16 | uint64(s[3])<<8 | uint64(s[4])
}

func prefix(hash []byte) uint64 {
	return uint64(hash[0])<<32 | uint64(hash[1])<<24 | uint64(hash[2])<<16 | uint64(hash[3])<<8 | uint64(hash[4])
}
