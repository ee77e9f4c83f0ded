package commands

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"regexp"
	"strings"
	"testing"

	"evalnas/plotting"
)

func smallFigure(t *testing.T) *plotting.Figure {
	t.Helper()
	fig, err := plotting.SpaceHistogram(plotting.SpaceHistogramData{Title: "A \"small\" space", Metric: "<accuracy>", Values: []float64{1, 2, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	return fig
}

// A figure in a cell follows the theme of the page as an image, and is light as a file.
func TestFigureFollowsTheTheme(t *testing.T) {
	fig := smallFigure(t)
	b, err := figureBundle(fig, fig.Description())
	if err != nil {
		t.Fatal(err)
	}
	page := b.Data["text/html"].(string)
	for _, want := range []string{
		`[data-jp-theme-light="false"] img.evalnas-figure`, "color-scheme:dark", "@media print", `<img class="evalnas-figure" alt="&lt;accuracy&gt;. `,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	m := regexp.MustCompile(`src="data:image/svg\+xml;base64,([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no image in %.300s", page)
	}
	image, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil || !bytes.Contains(image, []byte("(prefers-color-scheme:dark)")) {
		t.Errorf("the image does not ask for the theme (%v)", err)
	}
	if svg := b.Data["image/svg+xml"].(string); strings.Contains(svg, "<style>") {
		t.Error("the SVG by itself is not plain")
	}
	if b.Data["image/png"] == nil {
		t.Error("no PNG")
	}
}

func TestSavedThemes(t *testing.T) {
	notShort(t)
	fig := smallFigure(t)
	files := map[string][]byte{}
	for _, ext := range []string{".svg", ".png"} {
		for _, theme := range []string{lightTheme, "dark"} {
			raw, err := encodeFigure(fig, ext, theme)
			if err != nil {
				t.Fatal(err)
			}
			files[theme+ext] = raw
		}
	}
	if want, err := fig.SVG(); err != nil || !bytes.Equal(files["light.svg"], want) {
		t.Errorf("a saved SVG is not light by itself (%v)", err)
	}
	for name, dark := range map[string]bool{"light.png": false, "dark.png": true} {
		img, err := png.Decode(bytes.NewReader(files[name]))
		if err != nil {
			t.Fatal(err)
		}
		if r, _, _, _ := img.At(10, 10).RGBA(); (r < 0x8000) != dark {
			t.Errorf("%s has a background of %x", name, r)
		}
	}
	if raw, err := encodeFigure(fig, ".svg", "adaptive"); err != nil || !bytes.Contains(raw, []byte("<style>")) {
		t.Errorf("adaptive: %v", err)
	}
	for ext, theme := range map[string]string{".svg": "black", ".png": "adaptive"} {
		if _, err := encodeFigure(fig, ext, theme); err == nil || !strings.Contains(err.Error(), theme) {
			t.Errorf("%s in %s: %v", ext, theme, err)
		}
	}
}
