package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"runtime"
	"sync"
)

// Limits of what a set may be. They are far above what can be trained on, and
// keep every product of sizes within an int64.
const (
	maxImages   = 1 << 30
	maxSide     = 1 << 14
	maxChannels = 1 << 10
	maxClasses  = 1 << 16
)

// Shape is what is said of a set before its images.
type Shape struct {
	TrainN  int `json:"train"`
	TestN   int `json:"test"`
	H       int `json:"height"`
	W       int `json:"width"`
	C       int `json:"channels"`
	Classes int `json:"classes"`
}

// N is the number of images of both parts.
func (s Shape) N() int { return s.TrainN + s.TestN }

// ImageBytes is the size of one image.
func (s Shape) ImageBytes() int { return s.H * s.W * s.C }

func (s Shape) String() string {
	return fmt.Sprintf("%d + %d images of %dx%dx%d in %d classes", s.TrainN, s.TestN, s.H, s.W, s.C, s.Classes)
}

// Validate says which number of a shape is not possible.
func (s Shape) Validate() error {
	for _, v := range []struct {
		what     string
		n        int
		from, to int
	}{
		{"images to train on", s.TrainN, 1, maxImages},
		{"images to test on", s.TestN, 0, maxImages},
		{"height", s.H, 1, maxSide},
		{"width", s.W, 1, maxSide},
		{"channels", s.C, 1, maxChannels},
		{"classes", s.Classes, 2, maxClasses},
	} {
		if v.n < v.from || v.n > v.to {
			return fmt.Errorf("%s: %d is not within %d to %d", v.what, v.n, v.from, v.to)
		}
	}
	if total := big.NewInt(int64(s.N())); total.Mul(total, big.NewInt(int64(s.ImageBytes()))).BitLen() > 46 {
		return fmt.Errorf("%s are more than 64 TiB", s)
	}
	return nil
}

// Set is labelled images in memory: first the train part, then the test part,
// each in the order of its source. A Set may be read by many goroutines; nothing
// writes to one.
type Set struct {
	Name string
	Shape

	// Pixels are all images, NHWC: channel c of pixel (row, col) of image i is
	// Pixels[((i*H+row)*W+col)*C+c], 0 to 255.
	Pixels []byte
	// Labels are the classes of the images, 0 to Classes-1.
	Labels []uint16
	// ClassNames has a name for each class, or is nil where none are known.
	ClassNames []string

	// Digest is the hex SHA-256 of the content; see seal.
	Digest string
	// Mean and Std are of the pixels of the train part, one for each channel, on
	// the scale of 0 to 1. Std is that of the population.
	Mean, Std []float64

	// Synthetic is set where the images were made up by Synthetic.
	Synthetic bool
	// Source says in words where the images came from.
	Source string

	images []digest       // of each image, in order
	made   *SyntheticSpec // what a synthetic set was made from
}

// digest is a SHA-256.
type digest = [sha256.Size]byte

// Image is the pixels of an image, to be read only.
func (s *Set) Image(i int) []byte {
	n := s.ImageBytes()
	return s.Pixels[i*n : (i+1)*n : (i+1)*n]
}

// Spec is what finds this set again, or makes it again where it is synthetic.
func (s *Set) Spec() Spec { return Spec{Name: s.Name, Digest: s.Digest, Synthetic: s.made} }

// String says what the set is; one that was made up says so.
func (s *Set) String() string {
	label := ""
	if s.Synthetic {
		label = " (synthetic)"
	}
	return fmt.Sprintf("%s%s: %s", s.Name, label, s.Shape)
}

// Part names an image as people count: its part and its place in it, from 0.
func (s Shape) Part(i int) string {
	if i < s.TrainN {
		return fmt.Sprintf("train image %d", i)
	}
	return fmt.Sprintf("test image %d", i-s.TrainN)
}

// seal checks a set that was just read and fills in its digests and statistics.
//
// The digest of an image is SHA-256 over its label (16 bits, little-endian) and
// its pixels in NHWC order. The digest of the set is SHA-256 over the line
//
//	evalnas/images/1 train N test N height H width W channels C classes K\n
//
// and the digests of the images, train part first. Names are not in it.
func (s *Set) seal() error {
	if err := s.check(); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.images = s.imageDigests()
	s.Digest = s.Shape.digest(s.images)
	s.Mean, s.Std = s.moments()
	return nil
}

func (s *Set) check() error {
	if err := s.Shape.Validate(); err != nil {
		return err
	}
	if len(s.Labels) != s.N() || len(s.Pixels) != s.N()*s.ImageBytes() {
		return fmt.Errorf("%d labels and %d bytes of pixels are not %s", len(s.Labels), len(s.Pixels), s.Shape)
	}
	if s.ClassNames != nil && len(s.ClassNames) != s.Classes {
		return fmt.Errorf("%d names for %d classes", len(s.ClassNames), s.Classes)
	}
	for i, l := range s.Labels {
		if int(l) >= s.Classes {
			return fmt.Errorf("%s has the label %d; there are %d classes, 0 to %d", s.Part(i), l, s.Classes, s.Classes-1)
		}
	}
	return nil
}

func (s *Set) imageDigests() []digest {
	all := make([]digest, s.N())
	inParallel(s.N(), func(from, to int) {
		h := sha256.New()
		var label [2]byte
		for i := from; i < to; i++ {
			h.Reset()
			binary.LittleEndian.PutUint16(label[:], s.Labels[i])
			h.Write(label[:])
			h.Write(s.Image(i))
			h.Sum(all[i][:0])
		}
	})
	return all
}

// digest is the digest of a set of this shape whose images have these digests.
func (s Shape) digest(images []digest) string {
	h := sha256.New()
	fmt.Fprintf(h, "evalnas/images/1 train %d test %d height %d width %d channels %d classes %d\n",
		s.TrainN, s.TestN, s.H, s.W, s.C, s.Classes)
	for i := range images {
		h.Write(images[i][:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// moments are exact up to the last rounding: sums are integers, so that the
// order and the processor cannot matter.
func (s *Set) moments() (mean, std []float64) {
	mean, std = make([]float64, s.C), make([]float64, s.C)
	sum, squares := make([]uint64, s.C), make([]uint64, s.C)
	train := s.Pixels[:s.TrainN*s.ImageBytes()]
	for at := 0; at < len(train); at += s.C {
		for c, p := range train[at : at+s.C] {
			sum[c] += uint64(p)
			squares[c] += uint64(p) * uint64(p)
		}
	}
	n := new(big.Int).SetUint64(uint64(s.TrainN) * uint64(s.H*s.W))
	for c := range mean {
		total := new(big.Int).SetUint64(sum[c])
		mean[c] = ratio(total, new(big.Int).Mul(n, big.NewInt(255)))
		// The variance is (n*squares - sum*sum) / (255*n)^2.
		over := new(big.Int).Mul(n, new(big.Int).SetUint64(squares[c]))
		over.Sub(over, new(big.Int).Mul(total, total))
		under := new(big.Int).Mul(n, big.NewInt(255))
		std[c] = math.Sqrt(ratio(over, under.Mul(under, under)))
	}
	return mean, std
}

func ratio(a, b *big.Int) float64 {
	f, _ := new(big.Rat).SetFrac(a, b).Float64()
	return f
}

// inParallel calls work on the ranges of 0..n-1 that as many goroutines as there
// are processors share, and waits for them.
func inParallel(n int, work func(from, to int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { work(w*n/workers, (w+1)*n/workers) })
	}
	wg.Wait()
}
