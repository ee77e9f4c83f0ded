package data

import (
	"fmt"
	"slices"

	"evalnas/nasapi/rng"
)

// Split divides the train part of a set into images to train on and images to
// validate on; the test part is never in either. Its JSON form goes into a job's
// configuration. Development, NASBenchSplit, SearchSplit and WholeSplit make the
// usual ones.
type Split struct {
	// TrainN and ValidN are numbers of images. With both 0 the whole train part
	// trains; with TrainN 0 all that ValidN leaves trains.
	TrainN int `json:"train,omitempty"`
	ValidN int `json:"valid,omitempty"`
	// Share divides by share instead: ValidN is Share of the train part, rounded
	// to the nearest image, and the rest trains.
	Share float64 `json:"share,omitempty"`
	// Shuffled takes the images in the order of a permutation drawn from Seed,
	// and otherwise in the order of the file; the first ones train, the last ones
	// validate.
	Shuffled bool  `json:"shuffled,omitempty"`
	Seed     int64 `json:"seed,omitempty"`
}

// Parts are indices into a Set, each part in ascending order.
type Parts struct {
	Train, Valid, Test []int
}

// Development holds back a share of the train part, drawn by seed, for choosing
// between settings: 0.1 of CIFAR-10 is the usual 45,000 and 5,000.
func Development(share float64, seed int64) Split {
	return Split{Share: share, Shuffled: true, Seed: seed}
}

// NASBenchSplit is the data set's own split of CIFAR-10 (Ying et al. 2019): the
// first four files of 10,000 train, the fifth validates. Of another set the
// last fifth validates.
func NASBenchSplit() Split { return Split{Share: 0.2} }

// SearchSplit is DARTS's (Liu et al. 2019): weights learn on the first half,
// architectures on the second, in the order of the file.
func SearchSplit() Split { return Split{Share: 0.5} }

// WholeSplit trains on the whole train part and has no images to validate on.
func WholeSplit() Split { return Split{} }

// Apply divides a set. It is refused where the numbers do not fit, and where a
// class of the set would have no image to train on.
func (s Split) Apply(set *Set) (Parts, error) {
	train, valid, err := s.Counts(set.TrainN)
	if err != nil {
		return Parts{}, fmt.Errorf("splitting %s: %w", set.Name, err)
	}
	order := upTo(0, set.TrainN)
	if s.Shuffled {
		shuffle(order, rng.New(s.Seed, "data", "split"))
	}
	p := Parts{
		Train: slices.Clone(order[:train]),
		Valid: slices.Clone(order[set.TrainN-valid:]),
		Test:  upTo(set.TrainN, set.N()),
	}
	slices.Sort(p.Train)
	slices.Sort(p.Valid)
	return p, s.checkClasses(set, p)
}

// Counts are the numbers of images to train and to validate on, of n.
func (s Split) Counts(n int) (train, valid int, err error) {
	switch {
	case s.Share != 0 && (s.TrainN != 0 || s.ValidN != 0):
		return 0, 0, fmt.Errorf("a share (%v) and numbers of images (%d, %d) are both given: leave one out", s.Share, s.TrainN, s.ValidN)
	case !(s.Share >= 0 && s.Share < 1):
		return 0, 0, fmt.Errorf("the share to validate on is %v; it is 0 or more and less than 1", s.Share)
	case s.TrainN < 0 || s.ValidN < 0:
		return 0, 0, fmt.Errorf("numbers of images cannot be negative: %d, %d", s.TrainN, s.ValidN)
	}
	valid = s.ValidN
	if s.Share > 0 {
		valid = int(float64(s.Share*float64(n)) + 0.5)
		if valid < 1 {
			return 0, 0, fmt.Errorf("a share of %v of %d images is none: give a larger one, or 0", s.Share, n)
		}
	}
	train = s.TrainN
	if train == 0 {
		train = n - valid
	}
	if train < 1 || train+valid > n {
		return 0, 0, fmt.Errorf("%d images to train on and %d to validate on are not in its %d", max(train, 0), valid, n)
	}
	return train, valid, nil
}

// checkClasses refuses what happens when a set is sorted by class and its split
// is not shuffled.
func (s Split) checkClasses(set *Set, p Parts) error {
	all, seen := make([]bool, set.Classes), make([]bool, set.Classes)
	for _, l := range set.Labels[:set.TrainN] {
		all[l] = true
	}
	for _, i := range p.Train {
		seen[set.Labels[i]] = true
	}
	for k := range all {
		if all[k] && !seen[k] {
			return fmt.Errorf("splitting %s: none of the %d images to train on is of class %s; take a shuffled split or more images", set.Name, len(p.Train), set.className(k))
		}
	}
	return nil
}

func (s *Set) className(k int) string {
	if s.ClassNames == nil {
		return fmt.Sprint(k)
	}
	return fmt.Sprintf("%d (%s)", k, s.ClassNames[k])
}

// upTo is from, from+1, ..., to-1.
func upTo(from, to int) []int {
	all := make([]int, to-from)
	for i := range all {
		all[i] = from + i
	}
	return all
}

// shuffle puts v into uniform random order (Fisher-Yates).
func shuffle(v []int, r *rng.Stream) {
	for i := len(v) - 1; i > 0; i-- {
		j := r.IntN(i + 1)
		v[i], v[j] = v[j], v[i]
	}
}
