package starlark

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
)

const (
	// An interrupted cell that has not ended is left when so many looks in a
	// row, at such distances, find it outside of a command.
	leaveLooks = 3
	leaveLook  = 20 * time.Millisecond
	// tellAfter is how long a cell waits for one that was left before it says so.
	tellAfter = time.Second
)

// aside runs a cell's work on a goroutine of its own, so that an interrupt is
// answered in time whatever the interpreter does: its operators and builtins
// do not look at the cancellation, and on values that fill the memory they
// take many seconds. Work that has not ended soon after the interrupt is left
// to end by itself. It touches values of cells, and so the next cell waits for
// it (settle), and Tab and help answer nothing meanwhile. It does no more than
// its current operation, as the thread is cancelled: that ends, and needs no
// more memory than if it were waited for. Commands start jobs and publish, and
// watch the context themselves: they are not left.
func (in *Interpreter) aside(ctx context.Context, cell *kernel.Cell, work func() (*kernel.Bundle, error)) (b *kernel.Bundle, err error) {
	if err := in.settle(ctx, cell); err != nil {
		return nil, in.cellError(err)
	}
	var out *kernel.Bundle
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if p := recover(); p != nil {
				failed = in.cellError(&panicError{value: p, stack: string(debug.Stack())})
			}
		}()
		out, failed = work()
	}()
	select {
	case <-ended:
		return out, failed
	case <-ctx.Done():
	}
	for outside := 0; outside < leaveLooks; outside++ {
		select {
		case <-ended:
			return out, failed
		case <-time.After(leaveLook):
		}
		if in.inCommand.Load() > 0 {
			outside = -1
		}
	}
	in.left = ended
	return nil, in.cellError(errLeft)
}

var errLeft = Named("KeyboardInterrupt", errors.New("the cell was interrupted; jobs that it started go on; the computation that it was in stops when it is through, and the next cell waits for that"))

// settle waits for work that was left.
func (in *Interpreter) settle(ctx context.Context, cell *kernel.Cell) error {
	if !in.busy() {
		return nil
	}
	tell := time.NewTimer(tellAfter)
	defer tell.Stop()
	for {
		select {
		case <-in.left:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tell.C:
			cell.Out.Stream("stderr", "waiting for the end of a computation of the cell that was interrupted; Restart Kernel ends it at once\n")
		}
	}
}

// busy says whether work that was left has not ended.
func (in *Interpreter) busy() bool {
	if in.left == nil {
		return false
	}
	select {
	case <-in.left:
		in.left = nil
		return false
	default:
		return true
	}
}

// attended makes a builtin that an interrupt always waits for: it watches the
// context itself, and must not publish or start anything behind the cell.
func (in *Interpreter) attended(b *lib.Builtin) *lib.Builtin {
	return lib.NewBuiltin(b.Name(), func(th *lib.Thread, _ *lib.Builtin, args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		in.inCommand.Add(1)
		defer in.inCommand.Add(-1)
		if err := running(th).ctx.Err(); err != nil {
			return nil, err
		}
		return b.CallInternal(th, args, kwargs)
	})
}
