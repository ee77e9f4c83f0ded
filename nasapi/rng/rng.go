// Package rng gives every draw of the project a named, reproducible stream.
//
// A stream is derived from a seed and labels, by convention the policy and the
// purpose of the draws:
//
//	s := rng.New(1268, "evolution", "mutation")
//	i := s.IntN(5)
//
// Two streams with different labels are independent, so two policies that run
// under one seed never share draws. Nothing reads the clock or a global
// source, and the same calls give the same values on every platform. The
// state marshals, so that a resumed job goes on where it stopped.
//
// A Stream is not safe for concurrent use: derive one for each goroutine.
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// Stream is a deterministic source of random numbers (ChaCha8 underneath,
// distributions of our own on top).
type Stream struct {
	src *rand.ChaCha8
}

// New derives the stream of a seed and its labels. Labels are separated
// unambiguously: ("a", "bc") and ("ab", "c") are different streams.
func New(seed int64, labels ...string) *Stream {
	h := sha256.New()
	h.Write([]byte("evalnas/rng/1\x00"))
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(seed))
	h.Write(b[:])
	for _, l := range labels {
		binary.LittleEndian.PutUint64(b[:], uint64(len(l)))
		h.Write(b[:])
		h.Write([]byte(l))
	}
	var key [32]byte
	h.Sum(key[:0])
	return &Stream{src: rand.NewChaCha8(key)}
}

// Uint64 returns 64 uniform bits.
func (s *Stream) Uint64() uint64 { return s.src.Uint64() }

// IntN returns a uniform integer in [0, n). It panics if n < 1.
func (s *Stream) IntN(n int) int {
	if n < 1 {
		panic("rng: IntN of n < 1")
	}
	// Lemire's multiply-and-reject: unbiased, one multiplication in the common case.
	un := uint64(n)
	hi, lo := bits.Mul64(s.Uint64(), un)
	if lo < un {
		for threshold := -un % un; lo < threshold; {
			hi, lo = bits.Mul64(s.Uint64(), un)
		}
	}
	return int(hi)
}

// Float64 returns a uniform multiple of 2^-53 in [0, 1).
func (s *Stream) Float64() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// Chance is true with probability p.
func (s *Stream) Chance(p float64) bool { return s.Float64() < p }

// Perm returns a uniform permutation of 0..n-1.
func (s *Stream) Perm(n int) []int { return s.Sample(n, n) }

// Sample returns k distinct integers of 0..n-1 in uniform random order.
// It panics if k is negative or greater than n.
func (s *Stream) Sample(n, k int) []int { return s.AppendSample(make([]int, 0, max(k, 0)), n, k) }

// AppendSample appends what Sample returns to out: for those who draw over and over.
func (s *Stream) AppendSample(out []int, n, k int) []int {
	if k < 0 || k > n {
		panic("rng: Sample of k outside 0..n")
	}
	if n <= len(inOrder) {
		return s.sampleFew(out, n, k)
	}
	// The swaps of a Fisher-Yates shuffle, kept sparse so that a few of many
	// cost what the few cost.
	moved := make(map[int]int, k)
	at := func(i int) int {
		if v, ok := moved[i]; ok {
			return v
		}
		return i
	}
	for i := range k {
		j := i + s.IntN(n-i)
		out = append(out, at(j))
		moved[j] = at(i)
	}
	return out
}

// inOrder is a short list before it is shuffled.
var inOrder = func() (list [256]uint8) {
	for i := range list {
		list[i] = uint8(i)
	}
	return list
}()

// sampleFew is the same shuffle where the list is so short that a copy costs less than a
// map.
func (s *Stream) sampleFew(out []int, n, k int) []int {
	list := inOrder
	for i := range k {
		j := i + s.IntN(n-i)
		out = append(out, int(list[j]))
		list[j] = list[i]
	}
	return out
}

// MarshalBinary returns the state of the stream.
func (s *Stream) MarshalBinary() ([]byte, error) { return s.src.MarshalBinary() }

// UnmarshalBinary restores a state written by MarshalBinary.
func (s *Stream) UnmarshalBinary(data []byte) error {
	if s.src == nil {
		s.src = new(rand.ChaCha8)
	}
	return s.src.UnmarshalBinary(data)
}
