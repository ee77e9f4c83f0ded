package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"evalnas/nasapi/table"
	"evalnas/nasapi/table/tabletest"
)

// The twin of the reference's API and ours read the same from a file.
func TestAPITwinReadsWhatWeRead(t *testing.T) {
	if err := exec.Command(python(), "-c", "import numpy").Run(); err != nil {
		t.Skipf("%s has no NumPy (%v): the peers cannot run here", python(), err)
	}
	t.Setenv("NASBENCH_REF", "")
	t.Setenv(table.FolderVariable, t.TempDir())
	t.Cleanup(func() { lastLoad = nil })
	for _, single := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "small.tfrecord")
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(tabletest.Write(f, tabletest.File{MaxVertices: 4, Epochs: []int{108}, Seed: 1, Single: single}), f.Close()); err != nil {
			t.Fatal(err)
		}
		load, err := loadByPeer(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := serveImport([]string{file, filepath.Join(t.TempDir(), "small.table")}, &out); err != nil {
			t.Fatal(err)
		}
		var run importRun
		if err := json.Unmarshal(out.Bytes(), &run); err != nil {
			t.Fatal(err)
		}
		if run.Records != load.Records || run.Cells != load.Cells || run.Right != load.Right || run.Records != 273 || load.byHash <= 0 || load.Kind != "twin" {
			t.Errorf("ours %+v, the peer %+v", run, *load)
		}
	}
}
