package kernel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// historyVariable names another history file, or is "off".
const historyVariable = "EVALNAS_HISTORY"

const (
	// historyBytes bounds the history file, and historyLimit its cells. It is
	// shortened to both when it has outgrown one twice.
	historyBytes = 4 << 20
	// historyCell is the longest cell, in bytes, that the file takes.
	historyCell = 64 << 10
	// historyRead is how much of the end of a file is looked at, whoever made it so long.
	historyRead = 4 * historyBytes
	// lockPatience is how long another kernel may shorten the file while this
	// one waits to write; historyPatience is how long a request or the end of
	// the kernel waits for the writer.
	lockPatience    = 5 * time.Second
	historyPatience = 500 * time.Millisecond
	// historyDelay lets a cell's reply go out before its line is written, and
	// many quick cells be written at once.
	historyDelay = 100 * time.Millisecond
	// historyPending is how many cells wait for a disk that does not answer.
	historyPending = 1000
	// historySessions bounds session numbers: above it a line is damaged.
	historySessions = 1 << 31
)

// HistoryFile is the user's history file: what $EVALNAS_HISTORY names, by
// default history.jsonl in the program's folder among the user's
// configuration. It is empty for none, which the variable asks for by "off".
func HistoryFile() (string, error) {
	switch file := os.Getenv(historyVariable); {
	case strings.EqualFold(file, "off"), file == os.DevNull:
		return "", nil
	case file != "":
		return file, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the history: %w; %s can name a file, or be off", err, historyVariable)
	}
	return filepath.Join(dir, "evalnas", "history.jsonl"), nil
}

// historyFile keeps the cells of all kernels of a user, a JSON object a line.
// Nothing is read or made before a cell is added or a request comes. A
// goroutine writes behind the cells and ends when it has caught up: no cell
// waits for a disk. All who write hold a lock beside the file, so that none
// adds to a file that another is replacing by a shorter one; readers need
// none. Outputs are not kept, for they may hold what was to stay secret.
type historyFile struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	session int            // the number of this kernel's, 0 until the file has it
	pending []historyEntry // still to be written
	writer  *historyWriter // nil while nothing is pending

	// The writer's alone.
	lines  int  // in the file, as far as this kernel knows
	failed bool // the last time, which was logged
}

// historyWriter is the goroutine that writes.
type historyWriter struct {
	hurry func()        // ends the delay
	done  chan struct{} // closed at its end
}

// historyLine is a line of the file. One without an input says only that its
// session's number is taken.
type historyLine struct {
	Session int    `json:"session"`
	Line    int    `json:"line,omitempty"`
	Input   string `json:"input,omitempty"`
	Started string `json:"started,omitempty"`
}

// add has a cell written soon.
func (f *historyFile) add(e historyEntry) {
	if len(e.input) > historyCell {
		f.log.Warn("a cell is too long for the history file and left out", "line", e.line, "bytes", len(e.input), "limit", historyCell)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pending) >= historyPending {
		f.log.Warn("a cell is not kept for later sessions: the history file is not written in time", "file", f.path, "line", f.pending[0].line)
		f.pending = f.pending[1:]
	}
	f.pending = append(f.pending, e)
	if f.writer == nil {
		hurry := make(chan struct{})
		f.writer = &historyWriter{hurry: sync.OnceFunc(func() { close(hurry) }), done: make(chan struct{})}
		go f.write(hurry, f.writer.done)
	}
}

// write writes until nothing is pending.
func (f *historyFile) write(hurry <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	select {
	case <-hurry:
	case <-time.After(historyDelay):
	}
	for batch := f.take(); batch != nil; batch = f.take() {
		err := f.locked(func() error { return f.append(batch) })
		if err != nil && !f.failed {
			f.log.Warn("cells are not kept for later sessions: the history file cannot be written; "+historyVariable+" can name another file, or be off", "file", f.path, "error", err)
		}
		f.failed = err != nil
	}
}

// take is what is to be written, nil at the writer's end.
func (f *historyFile) take() []historyEntry {
	f.mu.Lock()
	defer f.mu.Unlock()
	batch := f.pending
	f.pending = nil
	if batch == nil {
		f.writer = nil
	}
	return batch
}

// hurry has all written at once, by the writer that it returns; nil if nothing is pending.
func (f *historyFile) hurry() *historyWriter {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writer != nil {
		f.writer.hurry()
	}
	return f.writer
}

// settle waits until all is written, and reports whether that was done in time.
func (f *historyFile) settle() bool {
	w := f.hurry()
	if w == nil {
		return true
	}
	select {
	case <-w.done:
		return true
	case <-time.After(historyPatience):
		return false
	}
}

// close ends the session. A disk that does not answer must not hold up the end.
func (f *historyFile) close() {
	if !f.settle() {
		f.log.Warn("the last cells may be missing from the history file: it is not written in time", "file", f.path)
	}
}

// read is what the file has, and this session's number: if it has none yet, the one that it
// would get now. A file that cannot be read is logged and has nothing.
func (f *historyFile) read() ([]historyEntry, int) {
	if !f.settle() {
		f.log.Warn("the history is answered without the last cells", "file", f.path)
	}
	content, err := readHistory(f.path)
	if err != nil {
		f.log.Warn("the history file cannot be read", "file", f.path, "error", err)
	}
	if content.damaged > 0 {
		f.log.Warn("damaged lines of the history file are skipped", "file", f.path, "lines", content.damaged)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.session != 0 {
		return content.entries, f.session
	}
	return content.entries, content.last + 1
}

// locked does something that no other kernel does with the file at the same time.
func (f *historyFile) locked(do func() error) error {
	if err := refuseIrregular(f.path); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	lock := flock.New(f.path+".lock", flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	if _, err := lock.TryLockContext(ctx, 2*time.Millisecond); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Path(), err)
	}
	return errors.Join(do(), lock.Unlock())
}

// refuseIrregular keeps folders, pipes and devices from being taken for the file.
func refuseIrregular(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	return err
}

// append adds cells to the file, in one write, and shortens it if that is due. The first
// time it takes a number for this session.
func (f *historyFile) append(batch []historyEntry) error {
	session, lines, text := f.session, f.lines, []byte(nil)
	if session == 0 {
		old, err := readEnd(f.path)
		if err != nil {
			return err
		}
		session, lines = lastSession(old)+1, bytes.Count(old, []byte{'\n'})
		text = appendLine(nil, historyLine{Session: session, Started: timestamp(time.Now())})
	}
	for _, e := range batch {
		e.session = session
		text = appendCell(text, e)
	}
	size, err := appendText(f.path, text)
	if err != nil {
		return err
	}
	f.lines = lines + len(batch)
	f.mu.Lock()
	f.session = session
	f.mu.Unlock()
	if size > 2*historyBytes || f.lines > 2*historyLimit {
		return f.shorten()
	}
	return nil
}

// shorten replaces the file by one with the newest cells alone.
func (f *historyFile) shorten() error {
	content, err := readHistory(f.path)
	if err != nil {
		return err
	}
	text := content.shortened()
	f.lines = bytes.Count(text, []byte{'\n'})
	return replaceFile(f.path, text)
}

func appendCell(text []byte, e historyEntry) []byte {
	return appendLine(text, historyLine{Session: e.session, Line: e.line, Input: e.input})
}

func appendLine(text []byte, line historyLine) []byte {
	body, err := encodeJSON(line)
	if err != nil {
		panic(err) // numbers and strings
	}
	return append(append(text, body...), '\n')
}

// appendText adds whole lines to a file and returns its size. After a line that broke off
// they begin on a new one.
func appendText(path string, text []byte) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if size = info.Size(); size > 0 {
		last := make([]byte, 1)
		if _, err := file.ReadAt(last, size-1); err != nil {
			return 0, err
		}
		if last[0] != '\n' {
			text = append([]byte{'\n'}, text...)
		}
	}
	n, err := file.Write(text)
	return size + int64(n), err
}

// replaceFile writes a file anew: a reader sees the old or the new text. Where the path is a
// link, the file that it leads to is replaced.
func replaceFile(path string, text []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	temp := path + "." + strconv.Itoa(os.Getpid()) + ".tmp"
	err := writeSynced(temp, text)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp) // best effort: the first error is the one to report
	}
	return err
}

func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// historyContent is what a file holds.
type historyContent struct {
	entries []historyEntry // in the order of the file
	last    int            // the highest session's number
	damaged int            // lines that are none of ours, or broken
}

// readHistory reads the end of a file; one that does not exist is empty.
func readHistory(path string) (historyContent, error) {
	text, err := readEnd(path)
	return parseHistory(text), err
}

func parseHistory(text []byte) historyContent {
	c := historyContent{last: lastSession(text)}
	for line := range bytes.Lines(text) {
		c.add(bytes.TrimSpace(line))
	}
	return c
}

// shortened is the text of a file with the last cells that fit into the bounds. The highest
// number stays taken, also when its session has no cell left.
func (c historyContent) shortened() []byte {
	first, room := len(c.entries), historyBytes
	for ; first > 0 && len(c.entries)-first < historyLimit; first-- {
		if room -= len(appendCell(nil, c.entries[first-1])); room < 0 {
			break
		}
	}
	text := appendLine(nil, historyLine{Session: c.last})
	for _, e := range c.entries[first:] {
		text = appendCell(text, e)
	}
	return text
}

func (c *historyContent) add(text []byte) {
	var line historyLine
	switch err := json.Unmarshal(text, &line); {
	case len(text) == 0, err == nil && line.isClaim():
	case err == nil && line.isCell():
		c.entries = append(c.entries, historyEntry{session: line.Session, line: line.Line, input: line.Input})
	default:
		c.damaged++
	}
}

func (l historyLine) sound() bool { return l.Session > 0 && l.Session <= historySessions }

func (l historyLine) isClaim() bool { return l.sound() && l.Line == 0 && l.Input == "" }

func (l historyLine) isCell() bool { return l.sound() && l.Line > 0 && l.Input != "" }

// lastSession is the highest session's number. A kernel needs no more to begin its own, which
// is much less work than reading the cells.
func lastSession(text []byte) int {
	last := 0
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(`{"session":`)); ok {
			last = max(last, leadingNumber(rest))
		}
	}
	return last
}

// leadingNumber is the session's number that text begins with, 0 if it is none.
func leadingNumber(text []byte) int {
	n := 0
	for i, c := range text {
		switch {
		case '0' <= c && c <= '9' && n <= historySessions:
			n = 10*n + int(c-'0')
		case n <= historySessions && i > 0 && (c == ',' || c == '}'):
			return n
		default:
			return 0
		}
	}
	return 0
}

// readEnd is the text of a file, of a very long one the last whole lines.
func readEnd(path string) ([]byte, error) {
	if err := refuseIrregular(path); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	skipped := max(0, info.Size()-historyRead)
	text, err := io.ReadAll(io.NewSectionReader(file, skipped, historyRead))
	if skipped > 0 {
		_, text, _ = bytes.Cut(text, []byte{'\n'})
	}
	return text, err
}
