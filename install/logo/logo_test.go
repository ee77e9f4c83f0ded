package logo

import (
	"bytes"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"testing"
)

// A pixel may differ by a sample on processors that fuse multiply and add.
const tolerance = 3

func TestFilesMatchTheSource(t *testing.T) {
	svg, err := os.ReadFile("logo-svg.svg")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(svg, []byte("\r\n"), []byte("\n")), SVG()) {
		t.Error("logo-svg.svg differs from its source; run go generate ./install/logo")
	}
	for _, size := range []int{32, 64} {
		comparePixels(t, size)
	}
}

func comparePixels(t *testing.T, size int) {
	t.Helper()
	name := fmt.Sprintf("logo-%dx%d.png", size, size)
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	want := Image(size)
	if got.Bounds() != want.Bounds() {
		t.Fatalf("%s is %v, want %v", name, got.Bounds(), want.Bounds())
	}
	for y := range size {
		for x := range size {
			g, w := color.NRGBAModel.Convert(got.At(x, y)).(color.NRGBA), want.NRGBAAt(x, y)
			if far(g.R, w.R) || far(g.G, w.G) || far(g.B, w.B) || far(g.A, w.A) {
				t.Fatalf("%s pixel %d,%d is %v, the source gives %v; run go generate ./install/logo", name, x, y, g, w)
			}
		}
	}
}

func far(a, b uint8) bool { return max(a, b)-min(a, b) > tolerance }

func TestImageShowsTheMark(t *testing.T) {
	img := Image(64)
	for _, c := range []struct {
		x, y int
		want color.RGBA
	}{{12, 32, end}, {31, 15, teal}, {31, 49, amber}, {52, 32, salmon}, {32, 5, tile}} {
		if got := img.NRGBAAt(c.x, c.y); got != color.NRGBA(c.want) {
			t.Errorf("pixel %d,%d is %v, want %v", c.x, c.y, got, c.want)
		}
	}
	if a := img.NRGBAAt(0, 0).A; a != 0 {
		t.Errorf("the corner has alpha %d, want a transparent one", a)
	}
}
