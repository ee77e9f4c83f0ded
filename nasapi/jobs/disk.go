package jobs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
)

// disk is how this package writes; tests put a failing one in its place.
// Reading needs no seam: damaged files are made by hand.
type disk interface {
	OpenFile(name string, flag int, perm fs.FileMode) (diskFile, error)
	MkdirAll(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
}

type diskFile interface {
	io.Writer
	Sync() error
	Close() error
}

type osDisk struct{}

func (osDisk) OpenFile(name string, flag int, perm fs.FileMode) (diskFile, error) {
	return os.OpenFile(name, flag, perm)
}
func (osDisk) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (osDisk) Rename(from, to string) error                 { return os.Rename(from, to) }
func (osDisk) Remove(name string) error                     { return os.Remove(name) }

// WriteError says that a study could not be written to, and what to do.
type WriteError struct {
	Op, Path string
	Err      error
}

func (e *WriteError) Error() string {
	return fmt.Sprintf("cannot %s %s: %v%s", e.Op, e.Path, cause(e.Err), e.advice())
}

func (e *WriteError) Unwrap() error { return e.Err }

func (e *WriteError) advice() string {
	switch {
	case errors.Is(e.Err, syscall.ENOSPC), errors.Is(e.Err, syscall.EDQUOT):
		return "; free some space or set EVALNAS_STUDY to a folder on another disk, then run the same again: finished results are kept and stay readable"
	case errors.Is(e.Err, syscall.EROFS), errors.Is(e.Err, fs.ErrPermission):
		return "; the folder is not writable for this user: change that or set EVALNAS_STUDY to a folder that is; results in it stay readable"
	}
	return ""
}

// cause strips the operation and path that package os puts before an error.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}

func writeError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &WriteError{Op: op, Path: path, Err: err}
}

var tempCount atomic.Int64

// writeAtomic replaces a file by a whole new one: a reader sees the old or the
// new content. With durable set the content is on the disk before the name is,
// so that it is whole after a power failure too.
func writeAtomic(d disk, path string, data []byte, durable bool) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+
		strconv.Itoa(os.Getpid())+"-"+strconv.FormatInt(tempCount.Add(1), 10)+".tmp")
	if err := writeWhole(d, temp, data, durable); err != nil {
		d.Remove(temp) // best effort: the write's own error is the one to report
		return writeError("write", path, err)
	}
	if err := d.Rename(temp, path); err != nil {
		d.Remove(temp)
		return writeError("write", path, err)
	}
	return nil
}

func writeWhole(d disk, path string, data []byte, durable bool) error {
	f, err := d.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// removeFile removes a file that may be gone already.
func removeFile(d disk, path string) error {
	if err := d.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return writeError("remove", path, err)
	}
	return nil
}

// appender adds lines to a file. A line is one write, so that a reader finds
// at most the last one incomplete; after a write that broke off (a full disk,
// a killed process) the next line starts on a new one.
type appender struct {
	path string
	mu   sync.Mutex
	f    diskFile
	torn bool
}

func openAppender(d disk, path string) (*appender, error) {
	torn, err := endsTorn(path)
	if err != nil {
		return nil, writeError("append to", path, err)
	}
	f, err := d.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, writeError("append to", path, err)
	}
	return &appender{path: path, f: f, torn: torn}, nil
}

func endsTorn(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, info.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

// line appends text, which has no newline, as a line.
func (a *appender) line(text []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	buf := make([]byte, 0, len(text)+2)
	if a.torn {
		buf = append(buf, '\n')
	}
	buf = append(append(buf, text...), '\n')
	n, err := a.f.Write(buf)
	if err != nil {
		a.torn = a.torn || n > 0
		return writeError("append to", a.path, err)
	}
	a.torn = false
	return nil
}

func (a *appender) close() error {
	return writeError("close", a.path, a.f.Close())
}

// appendLines opens, appends and closes.
func appendLines(d disk, path string, lines ...[]byte) error {
	a, err := openAppender(d, path)
	if err != nil {
		return err
	}
	for _, text := range lines {
		if err := a.line(text); err != nil {
			a.close() // the write's error is the one to report
			return err
		}
	}
	return a.close()
}
