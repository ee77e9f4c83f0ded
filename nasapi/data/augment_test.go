package data

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// everything is the augmentation with all of it on.
func everything(s *Set) Augment { return DARTSAugment(s) }

func mustPipeline(t testing.TB, s *Set, a Augment) *Pipeline {
	t.Helper()
	p, err := NewPipeline(s, a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// augmented is the definition, pixel by pixel: pad with black, crop, flip,
// normalise, cut out.
func augmented(s *Set, a Augment, image int, m moves) []float32 {
	out := make([]float32, s.H*s.W*Pad(s.C))
	for y := range s.H {
		for x := range s.W {
			if y >= m.cy-a.Cutout/2 && y < m.cy+a.Cutout/2 && x >= m.cx-a.Cutout/2 && x < m.cx+a.Cutout/2 {
				continue
			}
			column := x
			if m.flip {
				column = s.W - 1 - x
			}
			sy, sx := y+m.dy, column+m.dx
			for c := range s.C {
				pixel := 0.0
				if sy >= 0 && sy < s.H && sx >= 0 && sx < s.W {
					pixel = float64(s.Image(image)[(sy*s.W+sx)*s.C+c])
				}
				out[(y*s.W+x)*Pad(s.C)+c] = float32((pixel/a.Norm.Scale - a.Norm.Mean[c]) / a.Norm.Std[c])
			}
		}
	}
	return out
}

func TestAugmentationIsItsDefinition(t *testing.T) {
	for _, spec := range []SyntheticSpec{{TrainN: 40, H: 9, W: 13}, {TrainN: 40, H: 8, W: 8, C: 1}, {TrainN: 40, H: 6, W: 5, C: 4}, {TrainN: 40, H: 5, W: 5, C: 7}} {
		s := mustSynthetic(t, spec)
		norm := DARTSNorm(s)
		for _, a := range []Augment{
			{Norm: norm}, {Pad: 4, Norm: norm}, {Flip: true, Norm: norm}, {Cutout: 4, Norm: norm},
			{Pad: 2, Flip: true, Cutout: 6, Norm: norm}, {Pad: 5, Flip: true, Cutout: 10, Norm: norm},
		} {
			p := mustPipeline(t, s, a)
			dst := make([]float32, p.Size())
			for i := range s.N() {
				for k := range dst {
					dst[k] = float32(math.NaN()) // all is written
				}
				d := Draw{Seed: 3, Epoch: i}
				p.Apply(dst, i, d)
				if want := augmented(s, a, i, p.draw(i, d)); !slices.Equal(dst, want) {
					t.Fatalf("%s, %+v: image %d with %+v differs", s, a, i, p.draw(i, d))
				}
			}
		}
	}
}

// TestDraws holds what is drawn against what the protocol says: uniform places
// of the crop, half of the images flipped, uniform centres of the cutout.
func TestDraws(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{H: 8, W: 10})
	p := mustPipeline(t, s, Augment{Pad: 4, Flip: true, Cutout: 4, Norm: DARTSNorm(s)})
	const draws = 40_000
	counts := map[string]map[int]int{"dy": {}, "dx": {}, "cy": {}, "cx": {}, "flip": {}}
	for i := range draws {
		m := p.draw(i%1000, Draw{Seed: 1, Epoch: i / 1000})
		counts["dy"][m.dy]++
		counts["dx"][m.dx]++
		counts["cy"][m.cy]++
		counts["cx"][m.cx]++
		flip := 0
		if m.flip {
			flip = 1
		}
		counts["flip"][flip]++
	}
	for name, want := range map[string][2]int{"dy": {-4, 4}, "dx": {-4, 4}, "cy": {0, 7}, "cx": {0, 9}, "flip": {0, 1}} {
		values := want[1] - want[0] + 1
		share := 1 / float64(values)
		if len(counts[name]) != values {
			t.Errorf("%s takes %d values, want %d", name, len(counts[name]), values)
		}
		for v := want[0]; v <= want[1]; v++ {
			// 5 standard deviations are not reached by chance.
			if dev := math.Abs(float64(counts[name][v]) - draws*share); dev > 5*math.Sqrt(draws*share*(1-share)) {
				t.Errorf("%s is %d in %d of %d draws", name, v, counts[name][v], draws)
			}
		}
	}
}

// TestSwitchesLeaveOtherDrawsAlone: with cutout off, crop and flip are the same.
func TestSwitchesLeaveOtherDrawsAlone(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{})
	all := mustPipeline(t, s, everything(s))
	a := everything(s)
	a.Cutout = 0
	without := mustPipeline(t, s, a)
	for i := range 50 {
		x, y := all.draw(i, Draw{}), without.draw(i, Draw{})
		if x != y {
			t.Errorf("image %d: %+v with cutout, %+v without", i, x, y)
		}
	}
}

// TestCutoutIsClipped at each border, as the protocol says: rows from centre-8 to
// centre+7 and no more.
func TestCutoutIsClipped(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{H: 32, W: 32})
	p := mustPipeline(t, s, Augment{Cutout: 16, Norm: DARTSNorm(s)})
	for _, c := range []struct{ cy, cx, top, bottom, left, right int }{
		{0, 0, 0, 8, 0, 8}, {16, 16, 8, 24, 8, 24}, {31, 31, 23, 32, 23, 32}, {7, 25, 0, 15, 17, 32}, {8, 24, 0, 16, 16, 32},
	} {
		dst := make([]float32, p.Size())
		for i := range dst {
			dst[i] = 1
		}
		p.cut(dst, moves{cy: c.cy, cx: c.cx})
		for y := range 32 {
			for x := range 32 {
				inside := y >= c.top && y < c.bottom && x >= c.left && x < c.right
				if got := dst[(y*32+x)*4]; (got == 0) != inside {
					t.Fatalf("centre (%d, %d): pixel (%d, %d) is %v", c.cy, c.cx, y, x, got)
				}
			}
		}
	}
}

// TestAugmentationIsPinned: bits of a few pixels are part of results.
func TestAugmentationIsPinned(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{})
	p := mustPipeline(t, s, everything(s))
	dst := make([]float32, p.Size())
	var got []string
	for _, i := range []int{0, 7, 1023} {
		d := Draw{Seed: 1268, Stream: "weights", Epoch: 3}
		p.Apply(dst, i, d)
		text := fmt.Sprintf("%+v", p.draw(i, d))
		for _, at := range []int{0, 15, 120, 255} {
			text += fmt.Sprintf(" %08x", math.Float32bits(dst[4*at+1]))
		}
		got = append(got, text)
	}
	want := []string{
		"{dy:0 dx:2 flip:false cy:3 cx:7} bf70e323 c055593b 3e9df47b c055593b",
		"{dy:1 dx:2 flip:false cy:12 cx:10} be9b1aa8 c055593b 3f8d92c0 c055593b",
		"{dy:0 dx:1 flip:true cy:8 cx:4} c055593b 3ec6c9ee bf260679 3e9df47b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the pixels are\n%q\nthey were\n%q", got, want)
	}
}

func TestAugmentationOnManyThreads(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{})
	p := mustPipeline(t, s, everything(s))
	d := Draw{Seed: 9, Epoch: 2}
	one := make([]float32, s.N()*p.Size())
	for i := range s.N() {
		p.Apply(one[i*p.Size():(i+1)*p.Size()], i, d)
	}
	for _, threads := range []int{2, 3, 8} {
		many := make([]float32, len(one))
		order := rand.New(rand.NewPCG(1, uint64(threads))).Perm(s.N())
		var wg sync.WaitGroup
		for w := range threads {
			wg.Go(func() {
				for k := w; k < len(order); k += threads {
					i := order[k]
					p.Apply(many[i*p.Size():(i+1)*p.Size()], i, d)
				}
			})
		}
		wg.Wait()
		if !slices.Equal(one, many) {
			t.Errorf("%d threads in another order give other bits", threads)
		}
	}
}

func TestProtocolsKeepProportion(t *testing.T) {
	for side, want := range map[int][2]int{32: {4, 16}, 28: {4, 14}, 16: {2, 8}, 8: {1, 4}, 64: {8, 32}, 1: {0, 0}, 3: {0, 2}} {
		s := mustSynthetic(t, SyntheticSpec{TrainN: 4, TestN: 1, H: side, W: side + 5})
		a := DARTSAugment(s)
		if got := [2]int{a.Pad, a.Cutout}; got != want || !a.Flip || a.Validate(s.Shape) != nil {
			t.Errorf("for %dx%d: %+v, want pad and cutout %v", side, side+5, a, want)
		}
		if b := NASBenchAugment(s); b.Pad != want[0] || b.Cutout != 0 || !b.Flip {
			t.Errorf("for %dx%d: %+v", side, side+5, b)
		}
	}
}

func TestAugmentationThatCannotBe(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{H: 8, W: 10})
	norm := DARTSNorm(s)
	for _, c := range []struct {
		a     Augment
		parts []string
	}{
		{Augment{Pad: 9, Norm: norm}, []string{"pad is 9", "8x10", "0 to 8"}},
		{Augment{Pad: -1, Norm: norm}, []string{"pad is -1"}},
		{Augment{Cutout: 3, Norm: norm}, []string{"cutout is 3", "even"}},
		{Augment{Cutout: 22, Norm: norm}, []string{"cutout is 22", "0 to 20"}},
		{Augment{}, []string{"0 means and 0 standard deviations for images of 3 channels"}},
		{Augment{Norm: Norm{Scale: 2, Mean: norm.Mean, Std: norm.Std}}, []string{"scale", "2", "1 (pixels of 0 to 255)"}},
		{Augment{Norm: Norm{Scale: 1, Mean: norm.Mean, Std: []float64{1, 0, 1}}}, []string{"channel 1", "above 0"}},
		{Augment{Norm: Norm{Scale: 1, Mean: []float64{math.NaN(), 0, 0}, Std: norm.Std}}, []string{"channel 0", "NaN"}},
	} {
		_, err := NewPipeline(s, c.a)
		wantError(t, err, append(c.parts, "synthetic")...)
	}
}

// TestMoments holds the exact sums against the plain formula.
func TestMoments(t *testing.T) {
	s := mustSynthetic(t, SyntheticSpec{C: 2})
	for c := range s.C {
		n, sum, squares := 0.0, 0.0, 0.0
		for at := c; at < s.TrainN*s.ImageBytes(); at += s.C {
			v := float64(s.Pixels[at]) / 255
			n, sum, squares = n+1, sum+v, squares+v*v
		}
		mean := sum / n
		if std := math.Sqrt(squares/n - mean*mean); math.Abs(s.Mean[c]-mean) > 1e-9 || math.Abs(s.Std[c]-std) > 1e-9 {
			t.Errorf("channel %d has %v and %v, want %v and %v", c, s.Mean[c], s.Std[c], mean, std)
		}
	}
	flat := &Set{Name: "flat", Shape: Shape{TrainN: 2, H: 1, W: 1, C: 1, Classes: 2}, Pixels: []byte{9, 9}, Labels: []uint16{0, 1}}
	if err := flat.seal(); err != nil {
		t.Fatal(err)
	}
	if n := DARTSNorm(flat); n.Std[0] != 1 || flat.Std[0] != 0 {
		t.Errorf("a channel that never varies is divided by %v", n.Std[0])
	}
}

func BenchmarkAugment(b *testing.B) {
	s := mustSynthetic(b, SyntheticSpec{H: 32, W: 32})
	p := mustPipeline(b, s, everything(s))
	dst := make([]float32, p.Size())
	b.SetBytes(int64(s.ImageBytes()))
	for i := 0; b.Loop(); i++ {
		p.Apply(dst, i%s.N(), Draw{Seed: 1, Epoch: i})
	}
}
