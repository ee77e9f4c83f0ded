package starlark

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/kernel"
)

func TestRichValues(t *testing.T) {
	dir := t.TempDir()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p.png"), picture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p.txt"), []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := New(Options{Dir: dir})
	for code, want := range map[string]string{
		`HTML("<b>x</b>")`:                      "text/html",
		`Markdown("**x**")`:                     "text/markdown",
		`Latex("$x$")`:                          "text/latex",
		`SVG("<svg/>")`:                         "image/svg+xml",
		`JSON({"a": [1, 2.5, None, True, {}]})`: "application/json",
		`Image("p.png", width=30)`:              "image/png",
	} {
		b, err := in.Execute(context.Background(), &kernel.Cell{Count: 1, Out: &fakeOutput{}}, code)
		if err != nil || b.Data[want] == nil || b.Data["text/plain"] == nil {
			t.Errorf("%s shows %v (%v)", code, b, err)
		}
	}
	for code, want := range map[string]string{
		`HTML(3)`:                       "text",
		`JSON("x")`:                     "a dict or a list",
		`JSON({1: 2})`:                  "keys of JSON are strings",
		`JSON([float("nan")])`:          "NaN",
		`x = []; x.append(x); JSON(x)`:  "holds itself",
		`JSON([len])`:                   "no form",
		`Image("none.png")`:             "none.png",
		`Image("p.txt")`:                "neither PNG nor JPEG",
		`Image(".")`:                    "is no file",
		`Image(7)`:                      "a path or bytes",
		`Image("p.png", width=0)`:       "1 to 10000",
		`display(1, 2, display_id="x")`: "one value",
		`display(1, display_id="")`:     "is empty",
		`update_display(1)`:             "display_id",
		`print("x", file=3)`:            "stderr",
	} {
		_, err := in.Execute(context.Background(), &kernel.Cell{Count: 1, Out: &fakeOutput{}}, code)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", code, err, want)
		}
	}
}
