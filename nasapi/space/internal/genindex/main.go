// Command genindex enumerates NASBench-101 and writes the index that package
// space embeds.
package main

import (
	"flag"
	"fmt"
	"os"

	"evalnas/nasapi/space/internal/nb101"
)

func main() {
	out := flag.String("out", "nasbench101.idx", "file to write")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "genindex:", err)
		os.Exit(1)
	}
}

func write(path string) error {
	unique, _, err := nb101.Enumerate(nb101.MaxVertices)
	if err != nil {
		return err
	}
	data, err := nb101.EncodeIndex(unique)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
