package plotting

import (
	"bytes"
	"errors"
	"flag"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var (
	update = flag.Bool("update", false, "write the golden images anew")
	look   = flag.String("look", "", "write the figures of the tests to this folder, light and dark, to look at them")
)

func TestLook(t *testing.T) {
	if *look == "" {
		return // nobody wants to
	}
	figures := allFigures(t)
	for _, c := range sizeCases {
		fig, err := c.draw()
		if err != nil {
			t.Fatal(err)
		}
		figures["size "+c.name] = fig
	}
	for name, f := range figures {
		for _, theme := range []Theme{Light, Dark, Adaptive} {
			png, err := f.In(theme).PNG(1)
			path := filepath.Join(*look, strings.ReplaceAll(name, " ", "_")+"."+theme.String())
			if err = errors.Join(err, os.WriteFile(path+".png", png, 0o644), os.WriteFile(path+".svg", svgOf(t, f.In(theme)), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The goldens guard the look. Fonts and curves are drawn in Go, so only the
// rounding of a processor may differ: four pixels in a thousand may differ visibly.
const (
	visible      = 24 // of 255, in any channel
	allowedShare = 0.004
)

func TestGoldenImages(t *testing.T) {
	figures := allFigures(t)
	for _, name := range []string{"oracle", "anytime", "cell", "genotype", "tau", "rank_change_few", "disorder", "summary",
		"correlation", "rug", "dense", "seconds", "squares"} {
		got, err := figures[name].PNG(1)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".png")
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if share := differing(t, got, want); share > allowedShare {
			t.Errorf("%s: %.2f %% of the pixels differ from %s; look at it, then run the test with -update", name, 100*share, path)
		}
	}
}

// differing is the share of pixels that differ visibly, 1 for other sizes.
func differing(t *testing.T, a, b []byte) float64 {
	t.Helper()
	x, y := decodePNG(t, a), decodePNG(t, b)
	if x.Bounds() != y.Bounds() {
		return 1
	}
	n := 0
	for j := range x.Bounds().Dy() {
		for i := range x.Bounds().Dx() {
			r0, g0, b0, _ := x.At(i, j).RGBA()
			r1, g1, b1, _ := y.At(i, j).RGBA()
			if apart(r0, r1) || apart(g0, g1) || apart(b0, b1) {
				n++
			}
		}
	}
	return float64(n) / float64(x.Bounds().Dx()*x.Bounds().Dy())
}

func apart(a, b uint32) bool {
	d := int(a>>8) - int(b>>8)
	return d > visible || d < -visible
}

func decodePNG(t *testing.T, raw []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// The comparison itself must see a change: a moved point, another colour.
func TestGoldenComparisonSees(t *testing.T) {
	a, err := allFigures(t)["cell"].PNG(1)
	if err != nil {
		t.Fatal(err)
	}
	other := inception
	other.Ops = append([]string(nil), inception.Ops...)
	other.Ops[1], other.Ops[2] = other.Ops[2], other.Ops[1]
	b, err := mustFigure(t)(Cell(other)).PNG(1)
	if err != nil {
		t.Fatal(err)
	}
	if differing(t, a, a) != 0 || differing(t, a, b) <= allowedShare {
		t.Errorf("two exchanged operations differ by a share of %v only", differing(t, a, b))
	}
}
