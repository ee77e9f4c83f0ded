package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"evalnas/nasapi/rng"
)

func init() {
	register(Benchmark{
		Name: "figure-first", Unit: "s", Want: 5,
		Open: openFigureFirst,
	})
}

const (
	figureValues = 423_624 // the cells of NASBench-101
	figureMarks  = 10
)

// openFigureFirst compares the time from the start of a process to its first figure,
// written as SVG, with Matplotlib's: the histogram of as many values as NASBench-101 has
// cells, its percentiles on a second axis, and ten marks. The numbers lie in a file.
func openFigureFirst(ctx context.Context) (*Comparison, error) {
	top, err := root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "evalnas-bench-")
	if err != nil {
		return nil, err
	}
	exe, numbers := filepath.Join(dir, "figure"), filepath.Join(dir, "values.f64")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, "./bench/figure")
	build.Dir = top
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("building the program that draws: %w\n%s", err, text), os.RemoveAll(dir))
	}
	err = os.WriteFile(numbers, figureNumbers(), 0o644)
	draw := func(out string, argv ...string) (float64, error) {
		out = filepath.Join(dir, out)
		cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], numbers, strconv.Itoa(figureMarks), out)...)
		cmd.Stderr = os.Stderr
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("%s: %w", filepath.Base(argv[len(argv)-1]), err)
		}
		seconds := time.Since(began).Seconds()
		return seconds, errors.Join(checkFigure(out), os.Remove(out))
	}
	ours := func(context.Context, int) (float64, error) { return draw("ours.svg", exe) }
	peer := func(context.Context, int) (float64, error) {
		return draw("peer.svg", python(), filepath.Join(top, "bench", "figure_first.py"))
	}
	// The first start of each reads its files from the disk, and Matplotlib lists the fonts
	// of the machine: not counted.
	if err == nil {
		_, err = ours(ctx, 0)
	}
	if err == nil {
		if _, err = peer(ctx, 0); err != nil {
			err = fmt.Errorf("%w (the peer needs Python with Matplotlib; EVALNAS_PEER_PYTHON chooses one)", err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Comparison{
		PeerKind: "reference", Ours: ours, Peer: peer,
		Close: func() error { return os.RemoveAll(dir) },
	}, nil
}

// figureNumbers are accuracies as a space has them, a broad hump with a sharp end and a few
// failures, and then the marks.
func figureNumbers() []byte {
	r := rng.New(1268, "figure-first", "values")
	var out bytes.Buffer
	for i := range figureValues + figureMarks {
		v := 0.95 - 0.03*(r.Float64()+r.Float64()*r.Float64())
		if i < figureValues && r.Chance(1.0/150) {
			v = 0.1
		}
		v = math.Round(9984*v) / 9984 // right answers of so many images
		out.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
	}
	return out.Bytes()
}

// checkFigure holds that a figure is there, with its labels and all of its marks.
func checkFigure(path string) error {
	svg, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	want := []string{"</svg>", "A space and what was found in it", "test accuracy (%)", ">90<"}
	for i := range figureMarks {
		want = append(want, fmt.Sprintf("seed %d ", 1268+i))
	}
	for _, w := range want {
		if !bytes.Contains(svg, []byte(w)) {
			return fmt.Errorf("%s does not show %q", filepath.Base(path), w)
		}
	}
	return nil
}
