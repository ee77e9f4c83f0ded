package table

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// FolderVariable names the environment variable that moves the folder of tables.
const FolderVariable = "EVALNAS_TABLES"

// Folder is where imported tables are found again by their digest: DIGEST.table is a store,
// DIGEST.path holds the path of one that lies elsewhere, and files/ remembers which file
// became which. The zero value is not usable: see OpenFolder.
type Folder struct{ Dir string }

// OpenFolder finds the folder of tables: $EVALNAS_TABLES, else evalnas/tables in the user's
// cache folder. It makes nothing.
func OpenFolder() (Folder, error) {
	dir := os.Getenv(FolderVariable)
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return Folder{}, fmt.Errorf("finding the folder of tables: %w; set %s to a folder", err, FolderVariable)
		}
		dir = filepath.Join(base, "evalnas", "tables")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Folder{}, fmt.Errorf("finding the folder of tables %s: %w", dir, err)
	}
	return Folder{abs}, nil
}

const (
	storeSuffix   = ".table"
	pointerSuffix = ".path"

	// shortDigest are the digits by which a table may be named.
	shortDigest = 12
)

func (f Folder) store(digest string) string   { return filepath.Join(f.Dir, digest+storeSuffix) }
func (f Folder) pointer(digest string) string { return filepath.Join(f.Dir, digest+pointerSuffix) }
func (f Folder) memory(path string) string {
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(f.Dir, "files", hex.EncodeToString(sum[:16]))
}

// opened are the tables that this process has opened, by digest.
var opened sync.Map

// MissingError says that a table is not in the folder, and how to get it.
type MissingError struct{ Digest, Folder string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("the table %s with the data %s is not in the folder %s; import its file again with `evalnas nasbench import FILE`, or open its store once in a cell, nasbench101_table(\"STORE\"); %s names another folder", NASBench101Name, shorten(e.Digest), e.Folder, FolderVariable)
}

// find opens the table with a digest, or with one that begins so.
func (f Folder) find(digest string) (*Imported, error) {
	if t, ok := opened.Load(digest); ok {
		return t.(*Imported), nil
	}
	whole, err := f.complete(digest)
	if err != nil {
		return nil, err
	}
	path := f.store(whole)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		text, err := os.ReadFile(f.pointer(whole))
		if err != nil {
			return nil, &MissingError{digest, f.Dir}
		}
		path = strings.TrimSpace(string(text))
	}
	t, err := OpenStore(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &MissingError{digest, f.Dir}
	}
	if err != nil {
		return nil, err
	}
	if t.digest != whole {
		return nil, fmt.Errorf("%s holds the table %s, not %s: %w", path, t.digest, whole, &MissingError{digest, f.Dir})
	}
	opened.Store(t.digest, t)
	return t, nil
}

// complete is the one digest in the folder that begins as given.
func (f Folder) complete(digest string) (string, error) {
	if len(digest) == 2*sha256.Size {
		return digest, nil
	}
	if !isDigest(digest) {
		return "", &MissingError{digest, f.Dir}
	}
	files, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("listing the folder of tables: %w", err)
	}
	found := ""
	for _, file := range files {
		name, suffix, _ := strings.Cut(file.Name(), ".")
		if "."+suffix != storeSuffix && "."+suffix != pointerSuffix || !strings.HasPrefix(name, digest) || name == found {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("the tables %s and %s both begin with %s: give more digits", found, name, digest)
		}
		found = name
	}
	if found == "" {
		return "", &MissingError{digest, f.Dir}
	}
	return found, nil
}

// isDigest says that a text may be a digest or the beginning of one.
func isDigest(s string) bool {
	return len(s) >= shortDigest && len(s) <= 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

// importedFile is what the folder remembers of a file that was imported.
type importedFile struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // in nanoseconds
	Digest  string `json:"digest"`
}

// remember lets the folder find a table again by its digest, and by the file that it was
// imported from.
func remember(path string, info os.FileInfo, t *Imported) error {
	if err := register(t); err != nil {
		return err
	}
	folder, err := OpenFolder()
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	text, err := json.Marshal(importedFile{abs, info.Size(), info.ModTime().UnixNano(), t.digest})
	if err != nil {
		return err
	}
	return writeText(folder.memory(abs), string(text))
}

// register lets jobs, which know digests, find a table.
func register(t *Imported) error {
	opened.Store(t.digest, t)
	folder, err := OpenFolder()
	if err != nil {
		return err
	}
	if t.path == folder.store(t.digest) {
		return nil
	}
	abs, err := filepath.Abs(t.path)
	if err != nil {
		return err
	}
	if text, err := os.ReadFile(folder.pointer(t.digest)); err == nil && strings.TrimSpace(string(text)) == abs {
		return nil
	}
	return writeText(folder.pointer(t.digest), abs+"\n")
}

// recall finds the table that an unchanged file became.
func recall(path string, info os.FileInfo) (*Imported, bool) {
	folder, err := OpenFolder()
	if err != nil {
		return nil, false
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, false
	}
	text, err := os.ReadFile(folder.memory(abs))
	if err != nil {
		return nil, false
	}
	var file importedFile
	if json.Unmarshal(text, &file) != nil || file.Path != abs || file.Size != info.Size() || file.Changed != info.ModTime().UnixNano() {
		return nil, false
	}
	t, err := folder.find(file.Digest)
	return t, err == nil
}

// OpenFile opens a store, or the file of NASBench-101 that a store was made from; where
// there is no store yet it imports the file. The first digits of a digest name a table that
// was imported before.
func OpenFile(ctx context.Context, path string, o ImportOptions) (*Imported, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && isDigest(filepath.Base(path)) {
		folder, err := OpenFolder()
		if err != nil {
			return nil, err
		}
		return folder.find(filepath.Base(path))
	}
	if err != nil {
		return nil, fmt.Errorf("opening a table: %w", err)
	}
	t, err := OpenStore(path)
	if err == nil {
		return t, register(t)
	}
	if info.Mode().IsRegular() && !errors.Is(err, errNoStore) {
		return nil, err
	}
	if t, ok := recall(path, info); ok {
		return t, nil
	}
	return Import(ctx, path, o)
}

// makeFolder makes a folder for what this package keeps for itself; people make theirs.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of tables: %w%s", err, writeHint(err))
	}
	return nil
}

func writeText(path, text string) error {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	_, err := writeWhole(filepath.Dir(path), func(f *os.File) (string, error) {
		_, err := f.WriteString(text)
		return filepath.Base(path), err
	}, nil)
	return err
}

// staleAfter is the age at which an unfinished file is nobody's: writing one takes seconds.
const staleAfter = 15 * time.Minute

const unfinished = ".unfinished-table-"

// writeWhole makes a file appear in a folder whole or not at all; write gives its name.
// What check refuses does not appear. Unfinished files of writers that were killed go.
func writeWhole(dir string, write func(*os.File) (name string, err error), check func(temp string) error) (path string, err error) {
	wrong := func(err error) (string, error) {
		return "", fmt.Errorf("writing a table into %s: %w%s", dir, err, writeHint(err))
	}
	removeStale(dir)
	f, err := os.CreateTemp(dir, unfinished+"*")
	if err != nil {
		return wrong(err)
	}
	defer os.Remove(f.Name()) // nothing is there after the rename
	name, err := write(f)
	err = cmp.Or(err, f.Sync(), f.Close())
	if err == nil && check != nil {
		err = check(f.Name())
	}
	path = filepath.Join(dir, name)
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return wrong(err)
	}
	return path, nil
}

func writeHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "; free some space, or name a place on another disk"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "; name a place that may be written to, or set " + FolderVariable + " to one"
	}
	return ""
}

// removeStale is an aid: what it cannot remove stays.
func removeStale(dir string) {
	files, err := filepath.Glob(filepath.Join(dir, unfinished+"*"))
	if err != nil {
		return
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > staleAfter {
			os.Remove(file)
		}
	}
}
