package data

import (
	"fmt"
	"strconv"

	"evalnas/nasapi/rng"
)

// syntheticName is what every synthetic set is called; no other has the name.
const syntheticName = "synthetic"

// SyntheticSpec says which synthetic set to make. Zeros are the defaults.
type SyntheticSpec struct {
	Seed    int64 `json:"seed"`
	TrainN  int   `json:"train"`    // default 1,024
	TestN   int   `json:"test"`     // default 256
	H       int   `json:"height"`   // default 16
	W       int   `json:"width"`    // default 16
	C       int   `json:"channels"` // default 3
	Classes int   `json:"classes"`  // default 4
}

// EnsureDefaults is s with its defaults filled in.
func (s SyntheticSpec) EnsureDefaults() SyntheticSpec {
	for _, d := range []struct {
		v         *int
		byDefault int
	}{{&s.TrainN, 1024}, {&s.TestN, 256}, {&s.H, 16}, {&s.W, 16}, {&s.C, 3}, {&s.Classes, 4}} {
		if *d.v == 0 {
			*d.v = d.byDefault
		}
	}
	return s
}

func (s SyntheticSpec) shape() Shape {
	return Shape{TrainN: s.TrainN, TestN: s.TestN, H: s.H, W: s.W, C: s.C, Classes: s.Classes}
}

// maxSyntheticBytes keeps a slip in a number from filling the memory.
const maxSyntheticBytes = 1 << 32

// Validate says what is wrong with the numbers.
func (s SyntheticSpec) Validate() error {
	shape := s.EnsureDefaults().shape()
	if err := shape.Validate(); err != nil {
		return fmt.Errorf("synthetic data: %w", err)
	}
	if bytes := shape.N() * shape.ImageBytes(); bytes > maxSyntheticBytes {
		return fmt.Errorf("synthetic data: %s take %d bytes, more than %d", shape, bytes, maxSyntheticBytes)
	}
	return nil
}

// Synthetic makes a set that a small network can learn and that needs no file:
// each class has a smooth coloured pattern, and an image is its class's pattern,
// moved by up to an eighth of the side, at a contrast of its own and under
// noise. All of it is integer arithmetic on draws of the seed.
func Synthetic(s SyntheticSpec) (*Set, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s = s.EnsureDefaults()
	set := &Set{
		Name: syntheticName, Shape: s.shape(), Synthetic: true,
		Source: fmt.Sprintf("made up from seed %d", s.Seed),
		made:   &s,
	}
	set.Pixels = make([]byte, set.N()*set.ImageBytes())
	set.Labels = make([]uint16, set.N())
	patterns := make([]pattern, s.Classes)
	for k := range patterns {
		patterns[k] = newPattern(rng.New(s.Seed, "data", "synthetic", "class", strconv.Itoa(k)), s.C)
	}
	inParallel(set.N(), func(from, to int) {
		for i := from; i < to; i++ {
			r := rng.New(s.Seed, "data", "synthetic", "image", strconv.Itoa(i))
			// Classes take turns, so that any run of images holds all of them.
			class := i % s.Classes
			if i >= s.TrainN {
				class = (i - s.TrainN) % s.Classes
			}
			set.Labels[i] = uint16(class)
			patterns[class].draw(r, set.Image(i), set.Shape)
		}
	})
	return set, set.seal()
}

// openSynthetic makes the set and holds it against the digest, if one is given.
func openSynthetic(s Spec) (*Set, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	how := SyntheticSpec{}
	if s.Synthetic != nil {
		how = *s.Synthetic
	}
	set, err := Synthetic(how)
	if err != nil {
		return nil, err
	}
	if s.Digest != "" && s.Digest != set.Digest {
		return nil, fmt.Errorf("synthetic data of seed %d has the digest %s, not %s: it was asked for by another version", how.Seed, set.Digest, s.Digest)
	}
	return set, nil
}

// ResolveSynthetic is what is known of the set that s makes.
func ResolveSynthetic(s SyntheticSpec) (Entry, error) {
	return resolveSynthetic(Spec{Name: syntheticName, Synthetic: &s})
}

func resolveSynthetic(s Spec) (Entry, error) {
	set, err := openSynthetic(s)
	if err != nil {
		return Entry{}, err
	}
	return Entry{
		Name: set.Name, Shape: set.Shape, Digest: set.Digest, Mean: set.Mean, Std: set.Std,
		Synthetic: true, Source: set.Source, made: set.made,
	}, nil
}

// knots is how many values a pattern has along each side.
const knots = 4

// pattern is values of -100 to 100 on a grid, for each channel.
type pattern [][knots * knots]int

func newPattern(r *rng.Stream, channels int) pattern {
	p := make(pattern, channels)
	for c := range p {
		for k := range p[c] {
			p[c][k] = r.IntN(201) - 100
		}
	}
	return p
}

// draw writes one image of the pattern.
func (p pattern) draw(r *rng.Stream, into []byte, s Shape) {
	dy := r.IntN(2*(s.H/8)+1) - s.H/8
	dx := r.IntN(2*(s.W/8)+1) - s.W/8
	contrast := 40 + r.IntN(61) // percent
	for y := range s.H {
		for x := range s.W {
			for c := range s.C {
				v := p.at(c, y+dy, x+dx, s)
				noise := r.IntN(65) + r.IntN(65) - 64
				into[(y*s.W+x)*s.C+c] = byte(min(max(128+v*contrast/100+noise, 0), 255))
			}
		}
	}
}

// at interpolates the grid bilinearly, in units of 1/256 of a cell.
func (p pattern) at(c, y, x int, s Shape) int {
	gy, fy := cell(y, s.H)
	gx, fx := cell(x, s.W)
	g := &p[c]
	top := g[gy*knots+gx]*(256-fx) + g[gy*knots+gx+1]*fx
	bottom := g[(gy+1)*knots+gx]*(256-fx) + g[(gy+1)*knots+gx+1]*fx
	return (top*(256-fy) + bottom*fy) / (256 * 256)
}

// cell is the knot before a pixel and how far beyond it the pixel is.
func cell(at, side int) (knot, fraction int) {
	at = min(max(at, 0), side-1)
	pos := at * (knots - 1) * 256 / max(side-1, 1)
	knot = min(pos/256, knots-2)
	return knot, pos - knot*256
}
