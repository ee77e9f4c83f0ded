// Command gen writes the logo files into the current folder.
package main

import (
	"bytes"
	"fmt"
	"image/png"
	"log"
	"os"

	"evalnas/install/logo"
)

func main() {
	write("logo-svg.svg", logo.SVG())
	for _, size := range []int{32, 64} {
		var b bytes.Buffer
		encoder := png.Encoder{CompressionLevel: png.BestCompression}
		if err := encoder.Encode(&b, logo.Image(size)); err != nil {
			log.Fatal(err)
		}
		write(fmt.Sprintf("logo-%dx%d.png", size, size), b.Bytes())
	}
}

func write(name string, data []byte) {
	if err := os.WriteFile(name, data, 0o644); err != nil {
		log.Fatal(err)
	}
}
