package kernel_test

import (
	"testing"
	"time"
)

// TestCellsWaitForTheirSubscriber has a client whose shell is connected before its IOPub, as
// libzmq's sockets are where they come before the kernel: beside one that hears all, too.
func TestCellsWaitForTheirSubscriber(t *testing.T) {
	k := start(t, nil)
	k.client(t)
	for range 20 {
		began := time.Now()
		c := k.client(t)
		c.IOPub.Close()
		time.Sleep(50 * time.Millisecond) // for the kernel to see that
		id, err := c.Execute("print here")
		check(t, err)
		time.Sleep(100 * time.Millisecond)
		check(t, c.Subscribe(k.Connection))
		if time.Since(began) > 500*time.Millisecond {
			continue // too slow: the kernel may have waited long enough
		}
		published, err := c.Until(id)
		check(t, err)
		if published[0].Type() == "iopub_welcome" {
			published = published[1:]
		}
		wantLines(t, published, "busy", `in[1] "print here"`, `stdout "here\n"`, "idle")
		return
	}
	t.Skip("this machine is too slow for a client that is quick")
}

// TestCellsWithoutSubscriber: who never subscribes waits once, and gets every reply.
func TestCellsWithoutSubscriber(t *testing.T) {
	k := start(t, nil)
	c := k.client(t)
	c.IOPub.Close()
	time.Sleep(50 * time.Millisecond)
	for range 3 {
		_, err := c.Execute("print here")
		check(t, err)
	}
	for range 3 {
		reply, err := c.Recv(c.Shell)
		check(t, err)
		if reply.Text("status") != "ok" {
			t.Errorf("reply has the status %q", reply.Text("status"))
		}
	}
	began := time.Now()
	_, err := c.Execute("print here")
	check(t, err)
	_, err = c.Recv(c.Shell)
	check(t, err)
	if took := time.Since(began); took > 900*time.Millisecond {
		t.Errorf("a later cell took %v: it waits again", took)
	}
}

// TestCellsDoNotWaitForWhoHasLeft: a Jupyter server's passing sockets leave IOPub and shell one after the other.
func TestCellsDoNotWaitForWhoHasLeft(t *testing.T) {
	k := start(t, nil)
	for range 20 {
		began := time.Now()
		c, passing := k.client(t), k.client(t)
		passing.IOPub.Close()
		time.Sleep(50 * time.Millisecond) // for the kernel to see that
		_, err := c.Execute("print here")
		check(t, err)
		time.Sleep(50 * time.Millisecond)
		passing.Shell.Close()
		_, err = c.Recv(c.Shell)
		check(t, err)
		if time.Since(began) < 700*time.Millisecond {
			return
		}
	}
	t.Error("cells wait the whole second for a client that has left")
}
