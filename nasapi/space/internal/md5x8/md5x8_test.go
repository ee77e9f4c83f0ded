package md5x8

import (
	"crypto/md5"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// Every mix of lengths and lane counts must agree with crypto/md5; the
// padding's edge cases (55, 56, 63, 64 bytes) are among the lengths.
func TestSumMatchesMD5(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var b Batch
	for trial := range 3000 {
		longest := 64 + r.IntN(300)
		b.Reset(longest)
		count := 1 + r.IntN(Lanes)
		var want [Lanes][16]byte
		for i := range count {
			n := r.IntN(longest + 1)
			if trial%3 == 0 {
				n = 53 + r.IntN(12)
			}
			lane := b.Lane(i)
			for j := range lane {
				lane[j] = byte(r.Uint32())
			}
			want[i] = md5.Sum(lane[:n])
			b.SetLength(i, n)
		}
		var got, generic Sums
		b.sumGeneric(&generic)
		b.Sum(&got)
		for i := range count {
			if bytesOf(&got, i) != want[i] || bytesOf(&generic, i) != want[i] {
				t.Fatalf("trial %d, lane %d of %d, %d bytes: got %x, generic %x, want %x",
					trial, i, count, b.lengths[i], bytesOf(&got, i), bytesOf(&generic, i), want[i])
			}
		}
	}
}

// Two batches at once, of the same stride or not, give what each gives alone.
func TestSumPair(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	fill := func(longest int) *Batch {
		b := new(Batch)
		b.Reset(longest)
		for i := range r.IntN(Lanes + 1) {
			lane := b.Lane(i)
			for j := range lane {
				lane[j] = byte(r.Uint32())
			}
			b.SetLength(i, r.IntN(longest+1))
		}
		return b
	}
	for trial := range 1000 {
		longest := 64 + r.IntN(200)
		a, b := fill(longest), fill(longest+trial%2*64)
		var wantA, wantB, gotA, gotB Sums
		a.sumGeneric(&wantA)
		b.sumGeneric(&wantB)
		SumPair(a, b, &gotA, &gotB)
		for i := range Lanes {
			if a.blocks[i] > 0 && bytesOf(&gotA, i) != bytesOf(&wantA, i) || b.blocks[i] > 0 && bytesOf(&gotB, i) != bytesOf(&wantB, i) {
				t.Fatalf("trial %d, lane %d: %x and %x, want %x and %x", trial, i,
					bytesOf(&gotA, i), bytesOf(&gotB, i), bytesOf(&wantA, i), bytesOf(&wantB, i))
			}
		}
	}
}

func bytesOf(s *Sums, lane int) (sum [16]byte) {
	for w := range s {
		binary.LittleEndian.PutUint32(sum[4*w:], s[w][lane])
	}
	return sum
}

func TestPaddedLen(t *testing.T) {
	for n, want := range map[int]int{0: 64, 55: 64, 56: 128, 63: 128, 64: 128, 119: 128, 120: 192} {
		if got := paddedLen(n); got != want {
			t.Errorf("paddedLen(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestEmptyBatch(t *testing.T) {
	var b Batch
	var s Sums
	b.Reset(10)
	b.Sum(&s)
	if s != (Sums{}) {
		t.Errorf("a batch without texts wrote %x", s)
	}
}

func benchmarkBatch() *Batch {
	batch := new(Batch)
	batch.Reset(162)
	for i, n := range []int{66, 98, 130, 130, 98, 162, 66, 66} {
		batch.SetLength(i, n)
	}
	return batch
}

func BenchmarkSum(b *testing.B) {
	batch := benchmarkBatch()
	var s Sums
	for b.Loop() {
		batch.Sum(&s)
	}
}

func BenchmarkSumPair(b *testing.B) {
	one, two := benchmarkBatch(), benchmarkBatch()
	var s, t Sums
	for b.Loop() {
		SumPair(one, two, &s, &t)
	}
}

func BenchmarkSumGeneric(b *testing.B) {
	batch := benchmarkBatch()
	var s Sums
	for b.Loop() {
		batch.sumGeneric(&s)
	}
}
