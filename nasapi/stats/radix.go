package stats

import "math"

// keyed is a number to sort by with what belongs to it.
type keyed struct {
	key     uint64
	payload uint32
}

// orderedBits is a whole number that is ordered as finite floats are, 0 and -0 alike.
func orderedBits(v float64) uint64 {
	bits := math.Float64bits(v + 0) // -0 + 0 is 0
	// Of negative numbers all bits turn, of others the sign.
	return bits ^ (uint64(int64(bits)>>63) | 1<<63)
}

const (
	digitBits = 11
	digits    = (64 + digitBits - 1) / digitBits
)

// radixSort sorts by key, equal ones in their order, from the lowest digit to the highest.
// It uses both slices, which are as long as each other, and returns the sorted one first.
func radixSort(a, spare []keyed) (sorted, other []keyed) {
	if len(a) <= 256 { // counting digits costs more than it saves
		insertionSort(a)
		return a, spare
	}
	var counts [digits][1 << digitBits]int
	for _, k := range a {
		for d := range digits {
			counts[d][k.key>>(d*digitBits)&(1<<digitBits-1)]++
		}
	}
	for d := range digits {
		shift, starts := uint(d*digitBits), &counts[d]
		if starts[a[0].key>>shift&(1<<digitBits-1)] == len(a) {
			continue // all share it
		}
		sum := 0
		for i, c := range starts {
			starts[i] = sum
			sum += c
		}
		for _, k := range a {
			at := &starts[k.key>>shift&(1<<digitBits-1)]
			spare[*at] = k
			*at++
		}
		a, spare = spare, a
	}
	return a, spare
}

// insertionSort is for few values; it is stable.
func insertionSort(a []keyed) {
	for i := range a {
		k := a[i]
		j := i
		for ; j > 0 && a[j-1].key > k.key; j-- {
			a[j] = a[j-1]
		}
		a[j] = k
	}
}
