package notebook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"evalnas/kernel"
)

// grace is how long a cell may take to end once it is told to; the contract of
// kernel.Language is 100 ms.
const grace = 10 * time.Second

// Options say how a notebook is executed.
type Options struct {
	Language kernel.Language
	// Kernelspec goes into the metadata of a notebook that has none: its name and
	// display name.
	Kernelspec, DisplayName string
	// Timeout of each cell, none if 0.
	Timeout time.Duration
	// AllowErrors goes on behind a cell that failed. Cells that have the tag
	// raises-exception may always fail, and so may those that MayFail names.
	AllowErrors bool
	MayFail     func(*Cell) bool
	// Started, if given, is told of each cell before it runs: the n-th of m.
	Started func(n, m int, c *Cell)
	// Log has the stacks of panics; nowhere if nil.
	Log *slog.Logger
}

// Report is how an execution ended.
type Report struct {
	Ran, Cells int // cells that were run, and those there are
	// Failed is the error that ended the execution, nil if all cells were run; At is
	// the number of its cell, from 1.
	Failed *kernel.CellError
	At     int
	// Interrupted says that the context ended it.
	Interrupted bool
}

// Execute runs the cells, from the first to the last or to the first error, and puts
// their outputs in the place of the old ones. Cells that were not reached have none.
// It ends soon after ctx does, with what there is. An error means that the
// language hangs, and that the process had better end.
func (nb *Notebook) Execute(ctx context.Context, o Options) (Report, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := nb.describe(o); err != nil {
		return Report{}, err
	}
	cells := nb.Executable()
	for _, c := range nb.Cells {
		if c.Kind == Code && !c.Tagged("skip-execution") {
			c.Outputs, c.Count = nil, nil
		}
	}
	out := newCollector()
	defer out.close()
	report := Report{Cells: len(cells)}
	for i, c := range cells {
		if ctx.Err() != nil {
			report.Interrupted = true
			return report, nil
		}
		if o.Started != nil {
			o.Started(i+1, len(cells), c)
		}
		failed, err := runCell(ctx, o, out, c, i+1)
		report.Ran++
		if err != nil {
			return report, fmt.Errorf("cell %d of %d: %w", i+1, len(cells), err)
		}
		report.Interrupted = ctx.Err() != nil
		allowed := o.AllowErrors || c.Tagged("raises-exception") || o.MayFail != nil && o.MayFail(c)
		if failed != nil && (report.Interrupted || !allowed) {
			report.Failed, report.At = failed, i+1
			return report, nil
		}
	}
	return report, nil
}

// describe puts what the kernel says of itself into the metadata.
func (nb *Notebook) describe(o Options) error {
	raw, err := json.Marshal(o.Language.Info())
	if err != nil {
		return err
	}
	info := map[string]any{}
	if err := json.Unmarshal(raw, &info); err != nil {
		return err
	}
	nb.Metadata["language_info"] = info
	if nb.Kernel() == "" || nb.text("kernelspec", "display_name") == "" {
		nb.Metadata["kernelspec"] = map[string]any{"name": orElse(nb.Kernel(), o.Kernelspec), "display_name": o.DisplayName, "language": o.Language.Info().Name}
	}
	return nil
}

// errHangs is the end of an execution whose cell does not end.
var errHangs = errors.New("it does not end though it was told to")

// runCell executes one cell as the kernel does (kernel/execute.go). failed is the
// error that the cell shows.
func runCell(ctx context.Context, o Options, out *collector, c *Cell, count int) (failed *kernel.CellError, err error) {
	if o.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, o.Timeout)
		defer stop()
	}
	c.Count = &count
	publish := out.begin(c)
	defer out.end()
	value, err := call(ctx, o, &kernel.Cell{Count: count, Out: publish}, c.Source)
	if errors.Is(err, errHangs) {
		return nil, err
	}
	if err == nil && value != nil {
		err = publish.result(value, count)
	}
	if err == nil {
		return nil, nil
	}
	failed = kernel.AsCellError(err)
	if failed.Name == "KeyboardInterrupt" && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		failed = timedOut(failed, o.Timeout)
	}
	publish.failed(failed)
	return failed, nil
}

// timedOut says why a cell was interrupted.
func timedOut(e *kernel.CellError, limit time.Duration) *kernel.CellError {
	why := fmt.Sprintf("the cell ran for more than %v", limit)
	return &kernel.CellError{Name: "TimeoutError", Value: why, Traceback: append(e.Traceback[:len(e.Traceback):len(e.Traceback)], "TimeoutError: "+why)}
}

// call runs the code, and gives up on it some time after ctx has ended. The
// goroutine that it then leaves behind is the language's.
func call(ctx context.Context, o Options, cell *kernel.Cell, code string) (*kernel.Bundle, error) {
	type answer struct {
		b   *kernel.Bundle
		err error
	}
	ended := make(chan answer, 1)
	go func() {
		b, err := kernel.Protect(ctx, o.Log, "cell", func() (*kernel.Bundle, error) { return o.Language.Execute(ctx, cell, code) })
		ended <- answer{b, err}
	}()
	select {
	case a := <-ended:
		return a.b, a.err
	case <-ctx.Done():
	}
	select {
	case a := <-ended:
		return a.b, a.err
	case <-time.After(grace):
		return nil, errHangs
	}
}
