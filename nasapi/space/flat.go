package space

import (
	"math/big"
	"slices"
	"sort"

	"evalnas/nasapi/rng"
)

// MaxListed is how many architectures a space of choices may have to be listed.
const MaxListed = 20_000_000

// flat is the arithmetic of spaces whose architectures are one option for each of some
// decisions, all independent. Digits are the numbers of the options.
type flat struct {
	sizes []int // options of each decision, at least 1; the first counts slowest
}

func (f flat) size() *big.Int {
	n := big.NewInt(1)
	for _, s := range f.sizes {
		n.Mul(n, big.NewInt(int64(s)))
	}
	return n
}

// listed is the number of architectures where it is at most MaxListed.
func (f flat) listed() (int, bool) {
	n := 1
	for _, s := range f.sizes {
		if n *= s; n > MaxListed {
			return 0, false
		}
	}
	return n, true
}

func (f flat) index(digits []uint32) int {
	i := 0
	for at, d := range digits {
		i = i*f.sizes[at] + int(d)
	}
	return i
}

func (f flat) digits(i int) []uint32 {
	digits := make([]uint32, len(f.sizes))
	for at := len(digits) - 1; at >= 0; at-- {
		digits[at] = uint32(i % f.sizes[at])
		i /= f.sizes[at]
	}
	return digits
}

func (f flat) sample(s *rng.Stream) []uint32 {
	digits := make([]uint32, len(f.sizes))
	for at, n := range f.sizes {
		digits[at] = uint32(s.IntN(n))
	}
	return digits
}

// mutate changes one decision, uniform among those with two options or more, to another
// option, uniform too. Where there is nothing to change it returns a copy.
func (f flat) mutate(digits []uint32, s *rng.Stream) []uint32 {
	changed := slices.Clone(digits)
	open := 0
	for _, n := range f.sizes {
		if n > 1 {
			open++
		}
	}
	if open == 0 {
		return changed
	}
	at := s.IntN(open)
	for i, n := range f.sizes {
		if n < 2 {
			continue
		}
		if at--; at < 0 {
			changed[i] = (changed[i] + 1 + uint32(s.IntN(n-1))) % uint32(n)
			break
		}
	}
	return changed
}

// neighbours lists what is one change away, by decision and then by option.
func (f flat) neighbours(digits []uint32) [][]uint32 {
	var list [][]uint32
	for at, n := range f.sizes {
		for o := range uint32(n) {
			if o != digits[at] {
				changed := slices.Clone(digits)
				changed[at] = o
				list = append(list, changed)
			}
		}
	}
	return list
}

// find is the row of a sorted list of rows, each as long as the digits.
func (f flat) find(rows, digits []uint32) (row int, ok bool) {
	k := len(digits)
	return sort.Find(len(rows)/k, func(i int) int { return slices.Compare(digits, rows[i*k:(i+1)*k]) })
}
