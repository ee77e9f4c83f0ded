package jobs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestTinyDisk fills a real file system.
func TestTinyDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("mounting a small tmpfs needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	study := filepath.Join(dir, "study")
	_, done, err := submitted(t, osDisk{}, study, countSpecs(countConfig{Steps: 3}, 1))
	if err != nil {
		t.Fatal(err)
	}
	work := func(j *Job) error {
		return Worker{Handlers: testHandlers}.Run(context.Background(), j.Paths.Dir)
	}
	if err := work(done[0]); err != nil {
		t.Fatal(err)
	}
	_, next, err := submitted(t, osDisk{}, study, countSpecs(countConfig{Steps: 3}, 2))
	if err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	err = os.WriteFile(filler, make([]byte, 1<<20), 0o644)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	if err := work(next[0]); err == nil || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("working on a full disk: %v", err)
	}
	if _, _, err := submitted(t, osDisk{}, study, countSpecs(countConfig{Steps: 3}, 3)); err == nil || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("submitting to a full disk: %v", err)
	}
	st := mustOpen(t, study)
	wantCounts(t, &BatchHandle{study: st, jobs: done}, 3)
	// Nobody can record that the job failed: waiting for it must end all the same.
	if err := (&BatchHandle{study: st, jobs: next}).Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("waiting on a full disk: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := work(next[0]); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, &BatchHandle{study: st, jobs: next}, 3)
}
