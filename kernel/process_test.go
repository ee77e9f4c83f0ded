//go:build unix

package kernel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"evalnas/kernel"
	"evalnas/kernel/kerneltest"
	"evalnas/kernel/wire"
)

// process is a kernel in a process of its own.
type process struct {
	kernel.Connection
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan error
}

// writeConnection writes a connection file with unix sockets, for which no
// port can be taken in between.
func writeConnection(t *testing.T) (kernel.Connection, string) {
	t.Helper()
	c := overIPC(t)
	data, err := json.Marshal(c)
	check(t, err)
	file := filepath.Join(t.TempDir(), "connection.json")
	check(t, os.WriteFile(file, data, 0o600))
	return c, file
}

// spawn runs this test binary as a kernel, see TestMain.
func spawn(t *testing.T, env ...string) *process {
	t.Helper()
	c, file := writeConnection(t)
	p := &process{Connection: c, done: make(chan error, 1)}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(append(os.Environ(), "KERNEL_TEST_CONNECTION="+file), env...)
	p.cmd.Stderr = &p.stderr
	check(t, p.cmd.Start())
	ended := make(chan struct{})
	go func() {
		p.done <- p.cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-ended
	})
	return p
}

func (p *process) client(t *testing.T) *kerneltest.Client {
	t.Helper()
	var c *kerneltest.Client
	waitFor(t, func() bool {
		var err error
		c, err = kerneltest.Dial(p.Connection, "")
		return err == nil
	})
	t.Cleanup(c.Close)
	return c
}

func (p *process) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(deadline):
		t.Fatal("the process does not end")
		return nil
	}
}

func TestSignals(t *testing.T) {
	p := spawn(t)
	c := p.client(t)
	id, err := c.Execute("print here\nblock")
	check(t, err)
	for {
		m, err := c.Published()
		check(t, err)
		if m.Type() == "stream" {
			break
		}
	}
	check(t, p.cmd.Process.Signal(os.Interrupt))
	published, err := c.Until(id)
	check(t, err)
	wantLines(t, published, "error KeyboardInterrupt: context canceled", "idle")

	check(t, p.cmd.Process.Signal(syscall.SIGTERM))
	if err := p.ended(t); err != nil {
		t.Errorf("after SIGTERM: %v; %s", err, &p.stderr)
	}
}

// TestKilledAndStartedAgain reuses the addresses of a kernel that was killed,
// as a restart does.
func TestKilledAndStartedAgain(t *testing.T) {
	p := spawn(t)
	p.client(t)
	check(t, p.cmd.Process.Kill())
	if err := p.ended(t); err == nil {
		t.Error("a killed process ended well")
	}
	k := start(t, nil, func(cfg *kernel.Config) { cfg.Connection = &p.Connection })
	alive(t, k)
}

// TestKilledWithHistory loses none of the cells that ran some time ago, and a file that a
// kernel was killed over takes the next one's.
func TestKilledWithHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	for session := range 2 {
		p := spawn(t, "KERNEL_TEST_HISTORY="+file)
		c := p.client(t)
		runAll(t, c, "value 1", "value 2")
		waitFor(t, func() bool {
			text, err := os.ReadFile(file)
			return err == nil && bytes.Count(text, []byte("value")) == 2*(session+1)
		})
		check(t, p.cmd.Process.Kill())
		if err := p.ended(t); err == nil {
			t.Error("a killed process ended well")
		}
	}
	_, c := startNoted(t, file)
	wantHistory(t, c, query{"hist_access_type": "search", "pattern": "value ?"},
		entry(1, 1, "value 1"), entry(1, 2, "value 2"), entry(2, 1, "value 1"), entry(2, 2, "value 2"))
}

// TestParentGone names a process that has ended as the parent.
func TestParentGone(t *testing.T) {
	parent := exec.Command("true")
	check(t, parent.Run())
	p := spawn(t, fmt.Sprintf("JPY_PARENT_PID=%d", parent.Process.Pid))
	if err := p.ended(t); err != nil {
		t.Errorf("%v; %s", err, &p.stderr)
	}
	if !strings.Contains(p.stderr.String(), "parent process is gone") {
		t.Errorf("standard error: %s", &p.stderr)
	}
}

// TestLivingParent names this process, and the kernel stays.
func TestLivingParent(t *testing.T) {
	p := spawn(t, fmt.Sprintf("JPY_PARENT_PID=%d", os.Getpid()))
	c := p.client(t)
	_, _, err := c.Run("value 1")
	check(t, err)
	select {
	case err := <-p.done:
		t.Errorf("the kernel ended although its parent lives: %v", err)
	case <-time.After(1500 * time.Millisecond): // longer than it takes to look
	}
}

// TestConnectionFiles has connection files that must be refused, each with a
// word of why.
func TestConnectionFiles(t *testing.T) {
	public, secret, err := wire.NewCurve()
	check(t, err)
	for _, row := range []struct{ name, file, want string }{
		{"not JSON", "{", "unexpected end"},
		{"a list", "[]", "not a JSON object"},
		{"null", "null", "not a JSON object"},
		{"empty", "{}", "shell_port is 0 or missing"},
		{"null port", `{"shell_port":1,"control_port":2,"iopub_port":3,"stdin_port":null,"hb_port":5}`, "stdin_port is 0 or missing"},
		{"a text for a port", `{"shell_port":"5000"}`, "shell_port has a value of the type string; it must be a whole number"},
		{"half a port", `{"hb_port":5000.5}`, "hb_port has a value of the type number 5000.5; it must be a whole number"},
		{"a number for the ip", `{"ip":127}`, "ip has a value of the type number; it must be a string"},
		{"a list for the key", `{"key":["k"]}`, "key has a value of the type array; it must be a string"},
		{"giant", `{"kernel_name":"` + strings.Repeat("x", 1<<20) + `"}`, "more than 65536 bytes"},
		{"transport", `{"transport":"carrier pigeon"}`, "tcp and ipc"},
		{"scheme", `{"signature_scheme":"hmac-md5"}`, "hmac-sha256"},
		{"same port", `{"shell_port":5000,"hb_port":5000}`, "shell_port and hb_port are both 5000"},
		{"port", `{"shell_port":70000}`, "0 to 65535"},
		{"ipc port", `{"transport":"ipc","ip":"/tmp/x"}`, "shell_port is 0"},
		{"ipc path", `{"transport":"ipc"}`, "ip is empty"},
		{"half a pair", `{"curve_publickey":"` + public.String() + `"}`, "curve_secretkey is not"},
		{"the other half", `{"curve_secretkey":"` + secret.String() + `"}`, "curve_publickey is not"},
		{"short key", `{"curve_publickey":"abc","curve_secretkey":"` + secret.String() + `"}`, "curve_publickey has 3 characters"},
		{"no Z85", `{"curve_publickey":"` + public.String() + `","curve_secretkey":"` + strings.Repeat("~", 40) + `"}`, "curve_secretkey has the character"},
		{"another pair", `{"curve_publickey":"` + secret.String() + `","curve_secretkey":"` + secret.String() + `"}`, "does not belong"},
	} {
		t.Run(row.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.json")
			check(t, os.WriteFile(file, []byte(row.file), 0o600))
			_, err := kernel.ReadConnection(file)
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("error %v, want one with %q and the file's name", err, row.want)
			}
		})
	}
	if _, err := kernel.ReadConnection(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

// TestBadConnectionOfAProcess starts kernels that cannot have their connection: each ends at once,
// with a failure and one line of why.
func TestBadConnectionOfAProcess(t *testing.T) {
	folder := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer taken.Close()
	c := kernel.Connection{ShellPort: taken.Addr().(*net.TCPAddr).Port}
	for _, port := range []*int{&c.ControlPort, &c.IOPubPort, &c.StdinPort, &c.HBPort} {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		*port = free.Addr().(*net.TCPAddr).Port
		check(t, free.Close())
	}
	elsewhere := c
	elsewhere.IP = "nobody.invalid"
	file := func(name string, content any) string {
		data, err := json.Marshal(content)
		check(t, err)
		path := filepath.Join(folder, name)
		check(t, os.WriteFile(path, data, 0o600))
		return path
	}
	pipe := filepath.Join(folder, "pipe")
	check(t, syscall.Mkfifo(pipe, 0o600))
	for _, row := range []struct{ name, file, want string }{
		{"port in use", file("taken", c), "shell_port is "},
		{"no host", file("elsewhere", elsewhere), `ip is "nobody.invalid"`},
		{"a list", file("list", []int{}), "not a JSON object"},
		{"missing", filepath.Join(folder, "none"), "no such file"},
		{"a folder", folder, "must be a regular file"},
		{"a pipe that nobody writes to", pipe, "must be a regular file"},
		{"an endless device", "/dev/zero", "must be a regular file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			// It is to take less than a second; the rest is for a loaded machine.
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), "KERNEL_TEST_CONNECTION="+row.file)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("the process ended with %v, want exit status 1", err)
			}
			if !strings.Contains(string(out), row.want) || strings.Count(string(out), "\n") != 1 {
				t.Errorf("output %q, want one line with %q", out, row.want)
			}
		})
	}
}
