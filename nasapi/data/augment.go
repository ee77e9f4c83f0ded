package data

import (
	"fmt"
	"strconv"

	"evalnas/nasapi/rng"
)

// Augment says how an image becomes the input of a network: Pad pixels of black
// around it, a crop of the image's size at a uniform place, a horizontal flip
// with probability 1/2, normalising, then a square set to 0 (DeVries and Taylor
// 2017). The zero value of all but Norm leaves the image as it is.
type Augment struct {
	Pad  int  `json:"pad,omitempty"`
	Flip bool `json:"flip,omitempty"`
	// Cutout is the side of the square, an even number; 0 is none. Its centre is
	// uniform over the pixels, and it reaches from centre-Cutout/2 to
	// centre+Cutout/2 (that row and column left out), clipped at the border.
	Cutout int  `json:"cutout,omitempty"`
	Norm   Norm `json:"norm"`
}

// DARTSAugment is the protocol of DARTS for training from scratch: pad 4, crop,
// flip, normalise, cutout 16. These are for CIFAR's 32x32; for images of another
// size the numbers of pixels keep their proportion to the shorter side (an eighth
// and a half of it), or cutout would leave nothing of a small image.
func DARTSAugment(s *Set) Augment {
	return Augment{Pad: s.eighth(), Flip: true, Cutout: 2 * ((min(s.H, s.W) + 2) / 4), Norm: DARTSNorm(s)}
}

// NASBenchAugment is the protocol of NASBench-101: pad 4, crop, flip, normalise.
// For images of another size than 32x32, pad is an eighth of the shorter side.
func NASBenchAugment(s *Set) Augment {
	return Augment{Pad: s.eighth(), Flip: true, Norm: NASBenchNorm(s)}
}

// eighth is an eighth of the shorter side, rounded: 4 of 32 and of 28.
func (s Shape) eighth() int { return (min(s.H, s.W) + 4) / 8 }

// Evaluation is what is left for images that are evaluated on: the norm.
func (a Augment) Evaluation() Augment { return Augment{Norm: a.Norm} }

// Validate says what of the augmentation cannot be done to images of a shape.
func (a Augment) Validate(s Shape) error {
	side := min(s.H, s.W)
	switch {
	case a.Pad < 0 || a.Pad > side:
		return fmt.Errorf("pad is %d; for images of %dx%d it is 0 to %d", a.Pad, s.H, s.W, side)
	case a.Cutout < 0 || a.Cutout > 2*max(s.H, s.W):
		return fmt.Errorf("cutout is %d; for images of %dx%d it is 0 to %d", a.Cutout, s.H, s.W, 2*max(s.H, s.W))
	case a.Cutout%2 != 0:
		return fmt.Errorf("cutout is %d; it is even, since the square reaches half of it each way", a.Cutout)
	}
	return a.Norm.Validate(s.C)
}

// Pad is the number of float32s that c channels take in a batch: c rounded up to
// a multiple of 4.
func Pad(c int) int { return (c + 3) &^ 3 }

// Draw names the random numbers of one image.
type Draw struct {
	Seed   int64
	Stream string
	Epoch  int
}

// Pipeline applies an Augment to the images of a set. Many goroutines may use
// one.
type Pipeline struct {
	set    *Set
	how    Augment
	levels [][256]float32
	pix    int
}

// NewPipeline prepares the augmentation of a set.
func NewPipeline(set *Set, a Augment) (*Pipeline, error) {
	if err := a.Validate(set.Shape); err != nil {
		return nil, fmt.Errorf("augmenting %s: %w", set.Name, err)
	}
	return &Pipeline{set: set, how: a, levels: a.Norm.levels(), pix: Pad(set.C)}, nil
}

// Size is the number of float32s of an image: H * W * Pad(C).
func (p *Pipeline) Size() int { return p.set.H * p.set.W * p.pix }

// Apply writes image i (an index into the set) to dst, which has Size elements:
// channel c of pixel (row, col) at (row*W+col)*Pad(C)+c, zeros in the padding
// channels. What is drawn depends on d and i alone.
func (p *Pipeline) Apply(dst []float32, i int, d Draw) {
	m := p.draw(i, d)
	p.copyPixels(dst, p.set.Image(i), m)
	if p.how.Cutout > 0 {
		p.cut(dst, m)
	}
}

// moves is what was drawn for one image.
type moves struct {
	dy, dx int // of the crop, -Pad to Pad
	flip   bool
	cy, cx int // centre of the cutout
}

// draw takes the same five numbers whatever is switched on, so that switching
// one thing off leaves the others as they were.
func (p *Pipeline) draw(i int, d Draw) moves {
	a := p.how
	if a.Pad == 0 && !a.Flip && a.Cutout == 0 {
		return moves{}
	}
	r := rng.New(d.Seed, "data", "augment", d.Stream, strconv.Itoa(d.Epoch), strconv.Itoa(i))
	var m moves
	m.dy = r.IntN(2*a.Pad+1) - a.Pad
	m.dx = r.IntN(2*a.Pad+1) - a.Pad
	m.flip = r.Chance(0.5) && a.Flip
	m.cy = r.IntN(p.set.H)
	m.cx = r.IntN(p.set.W)
	return m
}

// copyPixels crops, flips and normalises.
func (p *Pipeline) copyPixels(dst []float32, src []byte, m moves) {
	h, w, c := p.set.H, p.set.W, p.set.C
	first, step := m.dx, 1
	if m.flip {
		first, step = w-1+m.dx, -1
	}
	for y := range h {
		row := dst[y*w*p.pix : (y+1)*w*p.pix]
		sy := y + m.dy
		if sy < 0 || sy >= h {
			for x := range w {
				p.black(row[x*p.pix : (x+1)*p.pix])
			}
			continue
		}
		line := src[sy*w*c : (sy+1)*w*c]
		for x := range w {
			out := row[x*p.pix : (x+1)*p.pix]
			sx := first + x*step
			if sx < 0 || sx >= w {
				p.black(out)
				continue
			}
			p.pixel(out, line[sx*c:(sx+1)*c])
		}
	}
}

func (p *Pipeline) pixel(out []float32, in []byte) {
	for c, v := range in {
		out[c] = p.levels[c][v]
	}
	clear(out[len(in):])
}

// black is a pixel of the border, which is there before normalising.
func (p *Pipeline) black(out []float32) {
	for c := range p.levels {
		out[c] = p.levels[c][0]
	}
	clear(out[len(p.levels):])
}

func (p *Pipeline) cut(dst []float32, m moves) {
	h, w, half := p.set.H, p.set.W, p.how.Cutout/2
	left, right := max(m.cx-half, 0), min(m.cx+half, w)
	for y := max(m.cy-half, 0); y < min(m.cy+half, h); y++ {
		clear(dst[(y*w+left)*p.pix : (y*w+right)*p.pix])
	}
}
