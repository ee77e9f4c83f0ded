package kernel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"evalnas/kernel"
	"evalnas/kernel/kerneltest"
)

// remembering has a kernel keep its history in a file.
func remembering(file string) func(*kernel.Config) {
	return func(cfg *kernel.Config) { cfg.HistoryFile = file }
}

// startNoted starts a kernel with a history file, whose cells may also be comments: "note ...".
func startNoted(t *testing.T, file string) (*running, *kerneltest.Client) {
	t.Helper()
	note := func(context.Context, *kernel.Cell, string) (*kernel.Bundle, error) { return nil, nil }
	k := start(t, map[string]kerneltest.Command{"note": note}, remembering(file))
	return k, k.client(t)
}

// end stops a kernel, which writes what is due.
func (k *running) end(t *testing.T) {
	t.Helper()
	k.stop()
	check(t, k.ended(t))
}

func runAll(t *testing.T, c *kerneltest.Client, cells ...string) {
	t.Helper()
	for _, code := range cells {
		_, _, err := c.Run(code)
		check(t, err)
	}
}

// asked is the history of a reply, each entry as [session, line, input].
func asked(t *testing.T, c *kerneltest.Client, content map[string]any) []any {
	t.Helper()
	reply, _, err := c.Ask(c.Shell, "history_request", content)
	check(t, err)
	got, ok := reply.Content["history"].([]any)
	if !ok {
		t.Fatalf("history_reply %v", reply.Content)
	}
	return got
}

func entry(session, line float64, input any) any { return []any{session, line, input} }

func wantHistory(t *testing.T, c *kerneltest.Client, content map[string]any, want ...any) {
	t.Helper()
	if got := asked(t, c, content); !reflect.DeepEqual(got, append([]any{}, want...)) {
		t.Errorf("%v: history %v, want %v", content, got, want)
	}
}

type query = map[string]any

func TestHistoryAcrossSessions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "history.jsonl")
	k, c := startNoted(t, file)
	runAll(t, c, "note 1", "value 2\n\n", "exit", "quit ()", "  ")
	for _, unkept := range []query{{"code": "note silent", "silent": true}, {"code": "note unstored", "store_history": false}} {
		_, _, err := c.Ask(c.Shell, "execute_request", unkept)
		check(t, err)
	}
	k.end(t)
	info, err := os.Stat(file)
	check(t, err)
	if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the file's mode is %v, want 0600", mode)
	}

	k, c = startNoted(t, file)
	runAll(t, c, "note 3")
	k.end(t)

	_, c = startNoted(t, file)
	// Before a cell of its own, the number is the next.
	wantHistory(t, c, query{"hist_access_type": "range", "session": -1, "start": 0}, entry(2, 1, "note 3"))
	wantHistory(t, c, query{"hist_access_type": "range", "session": 0, "start": 0})
	runAll(t, c, "value 4", "note 1")
	one, two, three, four, five := entry(1, 1, "note 1"), entry(1, 2, "value 2"), entry(2, 1, "note 3"), entry(3, 1, "value 4"), entry(3, 2, "note 1")
	wantHistory(t, c, query{"hist_access_type": "tail", "n": 100}, one, two, three, four, five)
	wantHistory(t, c, query{"hist_access_type": "tail", "n": 3, "raw": false}, three, four, five)
	wantHistory(t, c, query{"hist_access_type": "range", "session": -2, "start": 2}, two)
	wantHistory(t, c, query{"hist_access_type": "range", "session": 1, "start": 1, "stop": 2}, one)
	wantHistory(t, c, query{"hist_access_type": "range", "session": 3, "start": 2}, five)
	wantHistory(t, c, query{"hist_access_type": "range", "session": -3, "start": 0})
	wantHistory(t, c, query{"hist_access_type": "range", "session": 9, "start": 0})
	wantHistory(t, c, query{"hist_access_type": "search", "pattern": "note*", "unique": true}, three, five)
	wantHistory(t, c, query{"hist_access_type": "search", "pattern": "value ?", "n": 1}, four)
	// The values of this session are known, those of others are not kept.
	wantHistory(t, c, query{"hist_access_type": "search", "pattern": "value*", "output": true},
		entry(1, 2, []any{"value 2", nil}), entry(3, 1, []any{"value 4", "4"}))
}

// TestTailWithoutN has IPython's ten.
func TestTailWithoutN(t *testing.T) {
	_, c := startNoted(t, "")
	for i := range 12 {
		runAll(t, c, fmt.Sprint("note ", i))
	}
	if got := asked(t, c, query{"hist_access_type": "tail"}); len(got) != 10 {
		t.Errorf("%d entries, want 10: %v", len(got), got)
	}
}

// TestRangeFromTheEnd counts back from the end of this session, as IPython does.
func TestRangeFromTheEnd(t *testing.T) {
	_, c := startNoted(t, "")
	runAll(t, c, "note 1", "note 2", "note 3")
	two, three := entry(1, 2, "note 2"), entry(1, 3, "note 3")
	wantHistory(t, c, query{"hist_access_type": "range", "start": -2}, two, three)
	wantHistory(t, c, query{"hist_access_type": "range", "start": 2, "stop": -1}, two)
	wantHistory(t, c, query{"hist_access_type": "range", "start": 2, "stop": 0}, two, three)
}

// TestHistoryOfSeveralKernels has kernels write one file at once.
func TestHistoryOfSeveralKernels(t *testing.T) {
	const kernels, cells = 4, 30
	file := filepath.Join(t.TempDir(), "history.jsonl")
	var all sync.WaitGroup
	clients := make([]*kerneltest.Client, kernels)
	for i := range clients {
		_, clients[i] = startNoted(t, file)
		all.Go(func() {
			for j := range cells {
				if _, _, err := clients[i].Run(fmt.Sprintf("note %d %d", i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	sessions := map[any]string{}
	for i, c := range clients {
		// Its own cells come last, whoever began first; and it has a number of its own.
		own := asked(t, c, query{"hist_access_type": "tail", "n": cells})
		for j, e := range own {
			if input := e.([]any)[2]; input != fmt.Sprintf("note %d %d", i, j) {
				t.Fatalf("entry %d of kernel %d is %v", j, i, e)
			}
		}
		number, name := own[0].([]any)[0], fmt.Sprint("kernel ", i)
		if other := sessions[number]; other != "" {
			t.Errorf("%s and %s both have session %v", other, name, number)
		}
		sessions[number] = name
	}
	// All have been written by now, since all have been asked.
	if got := asked(t, clients[0], query{"hist_access_type": "search", "pattern": "note*"}); len(got) != kernels*cells {
		t.Errorf("%d cells are in the file, want %d", len(got), kernels*cells)
	}
}

func TestHistoryFileIsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	const before, cells = 130, 15 // 8 MB are there, 1 MB comes
	text := strings.Repeat("x", 60<<10)
	var lines bytes.Buffer
	for i := range before {
		fmt.Fprintf(&lines, `{"session":1,"line":%d,"input":"note %s"}`+"\n", i+1, text)
	}
	check(t, os.WriteFile(file, lines.Bytes(), 0o644))
	k, c := startNoted(t, file)
	for range cells {
		runAll(t, c, "note mine"+text)
	}
	giant := "note giant" + strings.Repeat("y", 64<<10)
	runAll(t, c, giant)
	wantHistory(t, c, query{"hist_access_type": "search", "pattern": "note giant*"}, entry(2, cells+1, giant))
	k.end(t)
	if !strings.Contains(k.log.String(), "too long for the history file") {
		t.Errorf("the log does not tell of the giant cell:\n%s", k.log)
	}
	waitFor(t, func() bool { // it has about the 4 MiB that it is shortened to
		info, err := os.Stat(file)
		return err == nil && info.Size() < 5<<20 && info.Size() > 3<<20
	})
	_, c = startNoted(t, file)
	old := asked(t, c, query{"hist_access_type": "range", "session": 1, "start": 0})
	if first := old[0].([]any)[1].(float64); first < 2 || old[len(old)-1].([]any)[1] != float64(before) {
		t.Errorf("of the session before %d cells are left, want the newest", len(old))
	}
	if own := asked(t, c, query{"hist_access_type": "range", "session": -1, "start": 0}); len(own) != cells {
		t.Errorf("%d cells are left of this session, want %d, without the giant one", len(own), cells)
	}
}

// TestHistoryFileOfManyCells shortens a file of many short cells, and keeps
// the number of a session that has none left.
func TestHistoryFileOfManyCells(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	var lines bytes.Buffer
	fmt.Fprintln(&lines, `{"session":7}`)
	for i := range 20_000 {
		fmt.Fprintf(&lines, `{"session":5,"line":%d,"input":"note"}`+"\n", i+1)
	}
	check(t, os.WriteFile(file, lines.Bytes(), 0o600))
	k, c := startNoted(t, file)
	runAll(t, c, "note last")
	wantHistory(t, c, query{"hist_access_type": "tail", "n": 2}, entry(5, 20_000, "note"), entry(8, 1, "note last"))
	k.end(t)
	var text []byte
	waitFor(t, func() bool { // it has 10,000 cells and the last session's number
		var err error
		text, err = os.ReadFile(file)
		return err == nil && bytes.Count(text, []byte{'\n'}) == 10_001
	})
	if first, _, _ := strings.Cut(string(text), "\n"); first != `{"session":8}` {
		t.Errorf("the first line is %s, want the number of the last session", first)
	}
}

func TestDamagedHistoryFile(t *testing.T) {
	good := `{"session":3,"line":1,"input":"note good"}` + "\n"
	for _, row := range []struct {
		name, text string
		damaged    int
	}{
		{"truncated last line", good + `{"session":4,"line":1,"inp`, 1},
		{"truncated in a number", good + `{"sess`, 1},
		{"no newline at the end", strings.TrimSuffix(good, "\n"), 0},
		{"not JSON", "\x00\xff\n" + good + "what\n", 2},
		{"wrong shapes", "[]\nnull\n7\n" + `{"session":"a"}` + "\n" + `{"session":-1,"line":1,"input":"x"}` + "\n" + `{"session":1,"line":-1,"input":"x"}` + "\n" + `{"session":1,"line":1}` + "\n" + good, 7},
		{"a number that leaves no room", `{"session":9223372036854775807}` + "\n" + good, 1},
		{"empty lines", "\n\r\n" + good + "\n", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "history.jsonl")
			check(t, os.WriteFile(file, []byte(row.text), 0o600))
			k, c := startNoted(t, file)
			runAll(t, c, "note mine")
			if log := k.log.String(); log != "" {
				t.Errorf("before anybody asked for the history:\n%s", log)
			}
			got := asked(t, c, query{"hist_access_type": "search", "pattern": "note*"})
			if len(got) != 2 || !reflect.DeepEqual(got[0], entry(3, 1, "note good")) || got[1].([]any)[2] != "note mine" {
				t.Errorf("history %v, want the sound line and the kernel's own", got)
			}
			if log, want := k.log.String(), fmt.Sprint("lines=", row.damaged); strings.Contains(log, "damaged lines") != (row.damaged > 0) || row.damaged > 0 && !strings.Contains(log, want) {
				t.Errorf("the log is to tell of %d damaged lines:\n%s", row.damaged, log)
			}
			k.end(t)
			// What is added begins on a line of its own.
			_, c = startNoted(t, file)
			if got := asked(t, c, query{"hist_access_type": "range", "session": -1, "start": 0}); len(got) != 1 {
				t.Errorf("the session before has %v, want one cell", got)
			}
		})
	}
}

// TestHugeHistoryFile reads the end alone of a file that others have made too long.
func TestHugeHistoryFile(t *testing.T) {
	notShort(t)
	file := filepath.Join(t.TempDir(), "history.jsonl")
	f, err := os.Create(file)
	check(t, err)
	check(t, f.Truncate(1<<26))
	_, err = f.WriteAt([]byte("\n"+`{"session":3,"line":1,"input":"note good"}`+"\n"), 1<<26)
	check(t, err)
	check(t, f.Close())
	k, c := startNoted(t, file)
	runAll(t, c, "note mine")
	wantHistory(t, c, query{"hist_access_type": "tail", "n": 9}, entry(3, 1, "note good"), entry(4, 1, "note mine"))
	k.end(t)
	waitFor(t, func() bool { // it is shortened
		info, err := os.Stat(file)
		return err == nil && info.Size() < 1000
	})
}

func TestUnwritableHistoryFile(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	check(t, os.WriteFile(plain, nil, 0o600))
	for _, row := range []struct{ name, file string }{
		{"below a file", filepath.Join(plain, "history.jsonl")},
		{"a folder", dir},
		{"a device", os.DevNull},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.file == os.DevNull && runtime.GOOS == "windows" {
				t.Skip("Windows has no such file")
			}
			k, c := startNoted(t, row.file)
			runAll(t, c, "note 1", "value 2")
			wantHistory(t, c, query{"hist_access_type": "tail", "n": 9}, entry(1, 1, "note 1"), entry(1, 2, "value 2"))
			runAll(t, c, "note 3")
			k.end(t)
			if n := strings.Count(k.log.String(), "cells are not kept for later sessions"); n != 1 {
				t.Errorf("the log says %d times that cells are not kept, want once:\n%s", n, k.log)
			}
		})
	}
	if _, err := os.Stat(os.DevNull + ".lock"); err == nil {
		t.Error("a lock was made beside a device")
	}
}

// TestNothingIsMadeForNothing: a kernel that stores no cell leaves no trace.
func TestNothingIsMadeForNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "evalnas")
	k, c := startNoted(t, filepath.Join(dir, "history.jsonl"))
	_, _, err := c.Ask(c.Shell, "kernel_info_request", query{})
	check(t, err)
	_, _, err = c.Ask(c.Shell, "execute_request", query{"code": "note 1", "store_history": false})
	check(t, err)
	wantHistory(t, c, query{"hist_access_type": "tail", "n": 9})
	k.end(t)
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s was made", dir)
	}
}

// TestCellsDoNotWaitForTheHistory holds the lock that the writer needs.
func TestCellsDoNotWaitForTheHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	lock := flock.New(file + ".lock")
	check(t, lock.Lock())
	k, c := startNoted(t, file)
	began := time.Now()
	runAll(t, c, "note 1", "note 2", "note 3")
	wantHistory(t, c, query{"hist_access_type": "tail", "n": 9}, entry(1, 1, "note 1"), entry(1, 2, "note 2"), entry(1, 3, "note 3"))
	k.end(t)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("cells, a question and the end took %v, want less than the 5 s that the writer tries for the lock", took)
	}
	if !strings.Contains(k.log.String(), "may be missing from the history file") {
		t.Errorf("the log does not say what is lost:\n%s", k.log)
	}
	check(t, lock.Unlock())
	waitFor(t, func() bool { // the writer lives on here, as the process does
		text, err := os.ReadFile(file)
		return err == nil && bytes.Count(text, []byte("note")) == 3
	})
}

// TestFormOfTheHistoryFile reads a file by hand: its form is what later versions must read,
// and nothing that a cell was told or answers is in it.
func TestFormOfTheHistoryFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	k := start(t, map[string]kerneltest.Command{"reveal": func(context.Context, *kernel.Cell, string) (*kernel.Bundle, error) {
		return kernel.TextBundle("secret"), nil
	}}, remembering(file))
	c := k.client(t)
	runAll(t, c, "reveal <é> \"𝔸\"\nreveal")
	k.end(t)
	text, err := os.ReadFile(file)
	check(t, err)
	claim, cell, _ := strings.Cut(string(text), "\n")
	var started struct {
		Session int
		Started time.Time
	}
	check(t, json.Unmarshal([]byte(claim), &started))
	if started.Session != 1 || time.Since(started.Started) > time.Minute {
		t.Errorf("the session begins with %s", claim)
	}
	if want := `{"session":1,"line":1,"input":"reveal <é> \"𝔸\"\nreveal"}` + "\n"; cell != want {
		t.Errorf("the cell's line is %s, want %s", cell, want)
	}
}

func TestHistoryFilePlace(t *testing.T) {
	config, err := os.UserConfigDir()
	check(t, err)
	for _, row := range []struct{ variable, want string }{
		{"", filepath.Join(config, "evalnas", "history.jsonl")},
		{"off", ""},
		{os.DevNull, ""},
		{"some/file", "some/file"},
	} {
		t.Setenv("EVALNAS_HISTORY", row.variable)
		got, err := kernel.HistoryFile()
		check(t, err)
		if got != row.want {
			t.Errorf("with EVALNAS_HISTORY=%q the file is %q, want %q", row.variable, got, row.want)
		}
	}
	if runtime.GOOS == "linux" {
		t.Setenv("EVALNAS_HISTORY", "")
		t.Setenv("XDG_CONFIG_HOME", "")
		t.Setenv("HOME", "")
		if _, err := kernel.HistoryFile(); err == nil || !strings.Contains(err.Error(), "EVALNAS_HISTORY") {
			t.Errorf("without a home: %v, want an error that names the variable", err)
		}
	}
}

func TestExitPayload(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	reply, published, err := c.Run("exit")
	check(t, err)
	wantLines(t, published, "busy", `in[1] "exit"`, "idle")
	want := []any{map[string]any{"source": "ask_exit", "keepkernel": false}}
	if !reflect.DeepEqual(reply.Content["payload"], want) {
		t.Errorf("payload %v, want %v", reply.Content["payload"], want)
	}
	alive(t, k) // the front end is asked, the kernel goes on
}
