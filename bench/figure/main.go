// Command figure draws the histogram of a space from a file of numbers, for the benchmark
// figure-first: figure VALUES MARKS OUT, where VALUES holds little-endian float64, the last
// MARKS of which are marks.
package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"

	"evalnas/plotting"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: figure VALUES MARKS OUT")
		os.Exit(2)
	}
	if err := draw(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func draw(from, marks, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	values := make([]float64, len(raw)/8)
	for i := range values {
		values[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	n, err := strconv.Atoi(marks)
	if err != nil || n < 0 || n > len(values) {
		return fmt.Errorf("%q marks of %d values", marks, len(values))
	}
	data := plotting.SpaceHistogramData{
		Title: "A space and what was found in it", Metric: "test accuracy (%)", Scale: 100, Values: values[:len(values)-n],
	}
	for i, v := range values[len(values)-n:] {
		data.Marks = append(data.Marks, plotting.Mark{Name: fmt.Sprintf("seed %d", 1268+i), Value: v})
	}
	fig, err := plotting.SpaceHistogram(data)
	if err != nil {
		return err
	}
	svg, err := fig.SVG()
	if err != nil {
		return err
	}
	return os.WriteFile(to, svg, 0o644)
}
