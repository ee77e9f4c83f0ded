package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// faultDisk does something else than asked at the n-th operation that changes
// the disk.
type faultDisk struct {
	osDisk
	mu    sync.Mutex
	count int
	fault func(n int) error // nil: do as asked
}

func (d *faultDisk) step() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	return d.fault(d.count)
}

// change is step for operations that cannot be done by halves.
func (d *faultDisk) change() error {
	err := d.step()
	if errors.Is(err, errDieHalfway) {
		return killMyself()
	}
	return err
}

func (d *faultDisk) OpenFile(name string, flag int, perm fs.FileMode) (diskFile, error) {
	if err := d.change(); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := os.OpenFile(name, flag, perm)
	return &faultFile{f, d}, err
}

func (d *faultDisk) MkdirAll(name string, perm fs.FileMode) error {
	if err := d.change(); err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return os.MkdirAll(name, perm)
}

func (d *faultDisk) Rename(from, to string) error {
	if err := d.change(); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return os.Rename(from, to)
}

type faultFile struct {
	*os.File
	disk *faultDisk
}

// Write writes half of what it should when it fails, as a full disk does.
func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.disk.step(); err != nil {
		n, werr := f.File.Write(p[:len(p)/2])
		if errors.Is(err, errDieHalfway) {
			return n, killMyself()
		}
		return n, errors.Join(&fs.PathError{Op: "write", Path: f.Name(), Err: err}, werr)
	}
	return f.File.Write(p)
}

func (f *faultFile) Sync() error {
	if err := f.disk.change(); err != nil {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	return f.File.Sync()
}

// failing fails operation n, and with forever set all later ones.
func failing(n int, forever bool, err error) *faultDisk {
	return &faultDisk{fault: func(k int) error {
		if k == n || forever && k > n {
			return err
		}
		return nil
	}}
}

// killerFromEnv makes a disk for a worker process that kills it at operation n
// of the first worker that gets so far ($EVALNAS_TEST_KILL is "n:file"; the
// file tells later ones that it happened).
func killerFromEnv() (disk, error) {
	number, file, ok := strings.Cut(os.Getenv("EVALNAS_TEST_KILL"), ":")
	if !ok {
		return osDisk{}, nil
	}
	n := 0
	if _, err := fmt.Sscan(number, &n); err != nil {
		return nil, err
	}
	return &faultDisk{fault: func(k int) error {
		if k != n {
			return nil
		}
		f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return nil // another worker was killed before
		}
		f.Close()
		return errDieHalfway
	}}, nil
}

var errDieHalfway = errors.New("die when half is written")

func killMyself() error {
	p, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := p.Kill(); err != nil {
		return err
	}
	select {}
}

func submitted(t *testing.T, d disk, dir string, specs []Spec) (*Study, []*Job, error) {
	t.Helper()
	st, err := openStudy(d, dir)
	if err != nil {
		return nil, nil, err
	}
	var all []*Job
	for _, s := range specs {
		j, _, err := st.submitJob(s, s.ID(), Place{}, false)
		if err != nil {
			return st, all, err
		}
		all = append(all, j)
	}
	h := &BatchHandle{Title: "x", study: st, jobs: all}
	if err := st.keepBatch(h, jobIDs(all)); err != nil {
		return st, all, err
	}
	return st, all, appendLines(d, st.Paths.Queue(), []byte(all[0].ID))
}

// TestFullDiskWhileSubmitting fails every single write of a submission.
func TestFullDiskWhileSubmitting(t *testing.T) {
	specs := countSpecs(countConfig{Steps: 3}, 1, 2)
	for n := 1; ; n++ {
		dir := t.TempDir()
		d := failing(n, true, syscall.ENOSPC)
		_, _, err := submitted(t, d, dir, specs)
		if d.count < n {
			if err != nil {
				t.Fatal(err)
			}
			if n < 10 {
				t.Errorf("only %d operations: the disk is not used", n-1)
			}
			return
		}
		var werr *WriteError
		if !errors.As(err, &werr) || !strings.HasPrefix(werr.Path, dir) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("operation %d: %v", n, err)
		}
		if !strings.Contains(err.Error(), "no space left on device; free some space") {
			t.Errorf("operation %d: unhelpful: %v", n, err)
		}
		_, all, err := submitted(t, osDisk{}, dir, specs)
		if err != nil {
			t.Fatalf("after operation %d failed: %v", n, err)
		}
		for _, j := range all {
			if s := j.Status(); s.State != Pending || j.Err != nil {
				t.Errorf("after operation %d failed: %+v, %v", n, s, j.Err)
			}
		}
	}
}

// TestFullDiskWhileWorking fails every single write of a worker, once and for
// good, and then lets another worker finish the job.
func TestFullDiskWhileWorking(t *testing.T) {
	spec := countSpecs(countConfig{Steps: 3}, 5)[0]
	for _, forever := range []bool{false, true} {
		for n := 1; ; n++ {
			st, all, err := submitted(t, osDisk{}, t.TempDir(), []Spec{spec})
			if err != nil {
				t.Fatal(err)
			}
			j := all[0]
			d := failing(n, forever, syscall.ENOSPC)
			err = Worker{Handlers: testHandlers, disk: d}.Run(context.Background(), j.Paths.Dir)
			if d.count < n {
				break
			}
			s := j.Status()
			if s.State != Done && err == nil && s.State != Failed {
				t.Errorf("operation %d: nobody was told: %+v", n, s)
			}
			if s.State == Failed && !strings.Contains(s.Error, "no space left on device; free some space") {
				t.Errorf("operation %d: %+v", n, s)
			}
			if err := j.requeue(false); err != nil {
				t.Fatal(err)
			}
			if err := (Worker{Handlers: testHandlers}).Run(context.Background(), j.Paths.Dir); err != nil {
				t.Fatal(err)
			}
			wantCounts(t, &BatchHandle{study: st, jobs: all}, 3)
		}
	}
}

// TestKilledAtEveryWrite kills real workers before each operation or when half
// of a write is done, and lets the runner repair that.
func TestKilledAtEveryWrite(t *testing.T) {
	processes(t, 2)
	for n := 1; ; n++ {
		marker := filepath.Join(t.TempDir(), "killed")
		t.Setenv("EVALNAS_TEST_KILL", fmt.Sprintf("%d:%s", n, marker))
		st := studyIn(t)
		h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 3}, 1)})
		mustWait(t, h)
		wantCounts(t, h, 3)
		if _, err := os.Stat(marker); err != nil {
			if n < 8 {
				t.Errorf("a worker writes only %d times", n-1)
			}
			return
		}
	}
}

func TestReadOnlyStudy(t *testing.T) {
	dir := t.TempDir()
	specs := countSpecs(countConfig{Steps: 3}, 5)
	_, all, err := submitted(t, osDisk{}, dir, specs)
	if err != nil {
		t.Fatal(err)
	}
	if err := (Worker{Handlers: testHandlers}).Run(context.Background(), all[0].Paths.Dir); err != nil {
		t.Fatal(err)
	}
	readOnly := failing(1, true, syscall.EROFS)
	st, err := openStudy(readOnly, dir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := st.Submit(Batch{Title: "x", Specs: specs})
	if err != nil || h.Err != nil || readOnly.count != 0 {
		t.Fatalf("the same again: %v, %v, %d writes", err, h.Err, readOnly.count)
	}
	wantCounts(t, h, 3)
	h, err = st.Submit(Batch{Title: "other", Specs: specs})
	if err != nil || !errors.Is(h.Err, syscall.EROFS) {
		t.Fatalf("finished jobs under another title: %v, %v", err, h.Err)
	}
	wantCounts(t, h, 3)
	_, err = st.Submit(Batch{Specs: countSpecs(countConfig{Steps: 3}, 6)})
	if err == nil || !strings.Contains(err.Error(), "the folder is not writable") {
		t.Errorf("a new job: %v", err)
	}
}

func TestResultIsWholeOrAbsent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	if err := writeAtomic(osDisk{}, path, []byte("old"), true); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		d := failing(n, false, syscall.EIO)
		err := writeAtomic(d, path, []byte("new content"), true)
		data, rerr := os.ReadFile(path)
		if rerr != nil {
			t.Fatal(rerr)
		}
		if d.count < n {
			if err != nil || string(data) != "new content" {
				t.Errorf("%v, %q", err, data)
			}
			break
		}
		if err == nil || string(data) != "old" {
			t.Errorf("operation %d: %v, %q", n, err, data)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTornLineIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	d := failing(2, false, syscall.ENOSPC)
	line := func(n int) []byte {
		e, err := newEvent(1, evProgress, progressData{Done: n})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if err := appendLines(d, path, line(1)); err == nil {
		t.Fatal("no error")
	}
	if err := appendLines(d, path, line(2), line(3)); err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	if _, err := readEvents(path, 0, func(_ Event, ok bool) {
		if ok {
			good++
		} else {
			bad++
		}
	}, func() {}); err != nil {
		t.Fatal(err)
	}
	if good != 2 || bad != 1 {
		t.Errorf("%d good lines and %d bad ones, want 2 and 1", good, bad)
	}
}
