package kernel_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"evalnas/kernel"
	"evalnas/kernel/kerneltest"
)

// beyond is more text than Jupyter Server takes at once, and more than twice.
const beyond = 8 << 20

// writes knows "text N": N bytes on stdout; and "endless": text until it is interrupted.
var writes = map[string]kerneltest.Command{
	"text": func(_ context.Context, c *kernel.Cell, arg string) (*kernel.Bundle, error) {
		n, err := strconv.Atoi(arg)
		c.Out.Stream("stdout", strings.Repeat("0123456789abcde\n", n/16))
		return nil, err
	},
	"endless": func(ctx context.Context, c *kernel.Cell, _ string) (*kernel.Bundle, error) {
		for ctx.Err() == nil {
			c.Out.Stream("stdout", strings.Repeat("x", 1<<20))
		}
		return nil, ctx.Err()
	},
}

// printed collects what a request prints up to its idle. each is told how many
// bytes there were so far.
func printed(t *testing.T, c *kerneltest.Client, request string, each func(so int)) int {
	t.Helper()
	so := 0
	for {
		m, err := c.Published()
		check(t, err)
		if m.ParentID() != request {
			continue
		}
		switch m.Type() {
		case "stream":
			so += len(m.Text("text"))
			each(so)
		case "status":
			if m.Text("execution_state") == "idle" {
				return so
			}
		}
	}
}

// TestBatchOutputIsNotPaced: a client that allows no questions has no server
// before it, and waits for no limits.
func TestBatchOutputIsNotPaced(t *testing.T) {
	notShort(t)
	c := start(t, writes).client(t)
	began := time.Now()
	id, err := c.Send(c.Shell, "execute_request", map[string]any{"code": "text " + strconv.Itoa(beyond), "allow_stdin": false})
	check(t, err)
	if got := printed(t, c, id, func(int) {}); got != beyond {
		t.Errorf("%d bytes were printed, want %d", got, beyond)
	}
	if took := time.Since(began); took > 7*time.Second { // paced it takes 8
		t.Errorf("it took %v", took)
	}
}

// TestPacedOutputAtTheEnd: the end of the kernel does not wait for the limits,
// and nothing is lost.
func TestPacedOutputAtTheEnd(t *testing.T) {
	notShort(t)
	k := start(t, writes)
	c := k.client(t)
	const all = 4 << 20 // its rest is no more than what clients take in a moment
	id, err := c.Execute("text " + strconv.Itoa(all))
	check(t, err)
	var began time.Time
	got := printed(t, c, id, func(so int) {
		if began.IsZero() && so > 2<<20 {
			began = time.Now()
			_, err := c.Send(c.Control, "shutdown_request", map[string]any{"restart": false})
			check(t, err)
		}
	})
	if got != all {
		t.Errorf("%d bytes were printed, want %d", got, all)
	}
	check(t, k.ended(t))
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the kernel took %v to end", took)
	}
}

// TestInterruptDropsPacedOutput: what waits for the limits when a cell is
// interrupted, in it or when only its output is left, does not come.
func TestInterruptDropsPacedOutput(t *testing.T) {
	notShort(t)
	c := start(t, writes).client(t)
	id, err := c.Execute("text " + strconv.Itoa(beyond))
	check(t, err)
	var interrupt sync.Once
	got := printed(t, c, id, func(int) {
		interrupt.Do(func() { _, err = c.Send(c.Control, "interrupt_request", map[string]any{}) })
		check(t, err)
	})
	if got > 3*beyond/4 {
		t.Errorf("%d bytes of %d were printed after an interrupt at the first", got, beyond)
	}
}

// TestInterruptOfPacedOutput: a cell that prints faster than the limits let
// out is interrupted at once, in its prints and when only its output is left.
func TestInterruptOfPacedOutput(t *testing.T) {
	notShort(t)
	for code, status := range map[string]string{"endless": "error", "text " + strconv.Itoa(beyond): "ok"} {
		t.Run(code, func(t *testing.T) {
			c := start(t, writes).client(t)
			go func() { // to its end, with the client
				for err := error(nil); err == nil; _, err = c.IOPub.Recv() {
				}
			}()
			_, err := c.Execute(code)
			check(t, err)
			check(t, c.Shell.SetReadDeadline(time.Now().Add(time.Second)))
			if _, err := c.Shell.Recv(); err == nil {
				t.Fatal("the reply comes before the output")
			}
			began := time.Now()
			for reply := (kerneltest.Message{}); reply.Type() != "execute_reply"; {
				_, err = c.Send(c.Control, "interrupt_request", map[string]any{})
				check(t, err)
				check(t, c.Shell.SetReadDeadline(time.Now().Add(deadline)))
				reply, err = c.Recv(c.Shell)
				check(t, err)
				if reply.Text("status") != status {
					t.Errorf("the reply's status is %s, want %s", reply.Text("status"), status)
				}
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}
