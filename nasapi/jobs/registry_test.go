package jobs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// listIn has studies of this test listed in a file of its own.
func listIn(t *testing.T, file string) {
	t.Helper()
	t.Setenv(studiesVariable, file)
	t.Setenv("EVALNAS_EXE", "/nonexistent/evalnas") // no runner is wanted
}

// submitQuietly submits a job that nobody runs.
func submitQuietly(t *testing.T, dir string) {
	t.Helper()
	if _, err := mustOpen(t, dir).Submit(Batch{Specs: countSpecs(countConfig{Steps: 1}, 1)}); err == nil {
		t.Fatal("a runner that does not exist was started")
	}
}

func TestStudiesAreFoundAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config", "studies")
	listIn(t, file)
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	for _, dir := range append(dirs, dirs[0]) {
		mustOpen(t, dir) // looking at a study is no submission
	}
	if got, err := Studies(); err != nil || len(got) != 0 {
		t.Errorf("%q, %v before anything was submitted", got, err)
	}
	for _, dir := range append(dirs, dirs[0]) {
		submitQuietly(t, dir)
	}
	if got, err := Studies(); err != nil || !slices.Equal(got, dirs) {
		t.Errorf("%q, %v; want %q", got, err, dirs)
	}
	if text := tail(file, 1<<16); strings.Count(text, "\n") != 3 {
		t.Errorf("the file is %q", text)
	}
	if err := os.RemoveAll(dirs[1]); err != nil {
		t.Fatal(err)
	}
	if got, err := Studies(); err != nil || !slices.Equal(got, []string{dirs[0], dirs[2]}) {
		t.Errorf("%q, %v with one removed", got, err)
	}
}

func TestDamagedRegistry(t *testing.T) {
	file, dir := filepath.Join(t.TempDir(), "studies"), t.TempDir()
	listIn(t, file)
	write(t, file, "relative/path\n\x00\xff\n\n"+dir+"x\n/no/such/stu") // cut by a power failure
	submitQuietly(t, dir)
	if got, err := Studies(); err != nil || !slices.Equal(got, []string{dir}) {
		t.Errorf("%q, %v; want %s", got, err, dir)
	}
}

// TestNoSubmissionFailsForTheRegistry puts the file where none can be.
func TestNoSubmissionFailsForTheRegistry(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	write(t, blocked, "")
	for _, file := range []string{filepath.Join(blocked, "studies"), t.TempDir()} {
		listIn(t, file)
		_, err := mustOpen(t, t.TempDir()).Submit(Batch{Specs: countSpecs(countConfig{Steps: 1}, 1)})
		if err == nil || !strings.Contains(err.Error(), "cannot start the runner") {
			t.Errorf("%s: %v, want none but the runner's", file, err)
		}
		if got, err := Studies(); err != nil || len(got) != 0 {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
}

func TestRegistryIsBounded(t *testing.T) {
	file, old := filepath.Join(t.TempDir(), "studies"), t.TempDir()
	mustOpen(t, old)
	var text strings.Builder
	for i := range mostStudies - 1 {
		fmt.Fprintf(&text, "%s-gone-%d\n", old, i)
	}
	write(t, file, old+"\n"+text.String())
	dir := t.TempDir()
	if err := addStudy(file, dir); err != nil {
		t.Fatal(err)
	}
	if got := registered(file); !slices.Equal(got, []string{old, dir}) {
		t.Errorf("%d are listed: %.200q; want those that exist", len(got), got)
	}
}

func TestTwoStudiesAreListedAtOnce(t *testing.T) {
	file, root := filepath.Join(t.TempDir(), "studies"), t.TempDir()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := addStudy(file, filepath.Join(root, fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := registered(file); len(got) != 20 {
		t.Errorf("%d of 20 are listed", len(got))
	}
}
