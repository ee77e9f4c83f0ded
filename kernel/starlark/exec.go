package starlark

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	lib "go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"evalnas/kernel"
)

// fileOptions is the dialect: everything that Starlark leaves optional.
// LoadBindsGlobally has no effect, because load statements are rewritten.
var fileOptions = &syntax.FileOptions{
	Set: true, While: true, TopLevelControl: true, GlobalReassign: true, Recursion: true,
}

// maxDepth bounds recursion, in calls. Python's default is 1000; numeric
// recursions over 7-vertex graphs and long lists need more, and 10,000 calls
// take about 20 MB.
const maxDepth = 10_000

// checkEvery is how many steps pass between two looks at the depth and the
// step limit. A call takes at least three steps, so that the depth stays below
// maxDepth plus a third of it.
const checkEvery = 10_000

// A run is one execution: what the thread's builtins need to know.
type run struct {
	in      *Interpreter
	ctx     context.Context
	cell    *kernel.Cell
	cancel  error // why the thread was cancelled, if it was not an interrupt
	result  lib.Value
	started []time.Time   // of the %time statements that run
	full    atomic.Uint64 // the heap's size when the memory watch stopped it
	before  uint64        // steps that other threads took for it: those of loaded files
	counted uint64        // steps from which the step limit counts
}

const runKey = "run"

// running is the execution that a thread belongs to.
func running(th *lib.Thread) *run { return th.Local(runKey).(*run) }

// Execute runs a cell. Names that it bound before an error stay bound, as in
// Python.
func (in *Interpreter) Execute(ctx context.Context, cell *kernel.Cell, code string) (*kernel.Bundle, error) {
	return in.aside(ctx, cell, func() (*kernel.Bundle, error) { return in.execute(ctx, cell, code) })
}

func (in *Interpreter) execute(ctx context.Context, cell *kernel.Cell, code string) (*kernel.Bundle, error) {
	if name := kernel.ExitName(code); name != "" && in.env[name] == nil {
		cell.Out.Exit()
		return nil, nil
	}
	name := fmt.Sprintf("In[%d]", cell.Count)
	if cell.Silent {
		in.silent++
		name = fmt.Sprintf("silent[%d]", in.silent)
	}
	v, src, err := in.runCell(ctx, cell, name, code)
	if err != nil {
		return nil, err
	}
	if v == nil || v == lib.None {
		return nil, nil
	}
	if !cell.Silent {
		in.remember(cell.Count, v)
	}
	if src.quiet {
		return nil, nil
	}
	return in.show(ctx, cell, v)
}

// runCell answers with the value of the last expression, nil if the cell does
// not end in one. Its errors are *kernel.CellErrors.
func (in *Interpreter) runCell(ctx context.Context, cell *kernel.Cell, name, code string) (lib.Value, *source, error) {
	src := newSource(name, code)
	in.sources[name] = src
	defer in.forget(src)
	r := &run{in: in, ctx: ctx, cell: cell}
	r.tic()
	v, err := in.runSource(r, src)
	if src.timed && src.err == nil {
		r.toc()
	}
	if err != nil {
		return nil, src, in.cellError(err)
	}
	return v, src, nil
}

// forget drops the text of a cell that has run, unless it made functions: their tracebacks
// and their help point into it.
func (in *Interpreter) forget(src *source) {
	if !src.defines {
		delete(in.sources, src.name)
	}
}

// runSource compiles and runs a cell.
func (in *Interpreter) runSource(r *run, src *source) (lib.Value, error) {
	return in.runIn(r, src, in.env)
}

// runIn runs a whole file with its globals in env.
func (in *Interpreter) runIn(r *run, src *source, env lib.StringDict) (v lib.Value, err error) {
	// A panic of a command is an error like any other: the notebook's state
	// must not die of a mistake of ours.
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, &panicError{value: p, stack: string(debug.Stack())}
		}
	}()
	prog, err := src.compile()
	if err != nil {
		return nil, err
	}
	th := r.thread(src.name)
	stop := context.AfterFunc(r.ctx, func() { th.Cancel("interrupt") })
	defer stop()
	stopMemory := r.watchMemory(th)
	defer stopMemory()

	// It stays, because functions read through it after their file has run.
	env[globalsName] = &globals{in: in, run: r, env: env}
	_, err = prog.Init(th, env)
	r.before += th.ExecutionSteps()
	if err == nil {
		return r.result, nil
	}
	if used := r.full.Load(); used > 0 && r.cancel == nil {
		r.cancel = in.memoryError(used)
	}
	if r.cancel != nil && isCancelled(err) {
		err = &replacedError{cause: err, by: r.cancel}
	}
	return nil, err
}

// A panicError is a mistake in the program, with Go's stack.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string {
	return fmt.Sprintf("%v; this is a mistake in the program, not in the cell: please report it with this traceback", e.value)
}

// thread makes the thread that a run's code executes on.
func (r *run) thread(name string) *lib.Thread {
	th := &lib.Thread{Name: name}
	th.SetLocal(runKey, r)
	th.SetMaxExecutionSteps(checkEvery)
	th.OnMaxSteps = func(th *lib.Thread) {
		switch limit := r.in.maxSteps; {
		case th.CallStackDepth() > maxDepth:
			r.stop(th, Named("RecursionError", fmt.Errorf("more than %d calls deep: does the function ever stop calling itself?", maxDepth)))
		case limit > 0 && r.steps(th)-r.counted >= limit:
			r.stop(th, Named("TimeoutError", fmt.Errorf("the cell ran for more than %d steps", limit)))
		}
		th.SetMaxExecutionSteps(th.ExecutionSteps() + checkEvery)
	}
	return th
}

// steps are those of a run until now. The thread is the one that it is on.
func (r *run) steps(th *lib.Thread) uint64 { return r.before + th.ExecutionSteps() }

// stop cancels the thread for a reason of our own. It is called on the
// thread's goroutine.
func (r *run) stop(th *lib.Thread, why error) {
	if r.cancel == nil {
		r.cancel = why
	}
	th.Cancel("stopped")
}

// replacedError keeps the call stack of one error and the message of another.
type replacedError struct{ cause, by error }

func (e *replacedError) Error() string   { return e.by.Error() }
func (e *replacedError) Unwrap() []error { return []error{e.cause, e.by} }

func isCancelled(err error) bool {
	return strings.HasPrefix(err.Error(), "Starlark computation cancelled")
}

// globals is the value that top-level assignments go to.
type globals struct {
	in  *Interpreter
	run *run
	env lib.StringDict
}

var (
	_ lib.Mapping   = (*globals)(nil)
	_ lib.HasSetKey = (*globals)(nil)
)

func (g *globals) String() string        { return "globals" }
func (g *globals) Type() string          { return "globals" }
func (g *globals) Freeze()               {}
func (g *globals) Truth() lib.Bool       { return true }
func (g *globals) Hash() (uint32, error) { return 0, errors.New("unhashable: globals") }

func (g *globals) Get(k lib.Value) (lib.Value, bool, error) {
	name := string(k.(lib.String))
	if v := g.env[name]; v != nil {
		return v, true, nil
	}
	return nil, false, g.in.nameError(name)
}

func (g *globals) SetKey(k, v lib.Value) error {
	name := string(k.(lib.String))
	if name == resultKey {
		g.run.result = v
		return nil
	}
	g.env[name] = v
	return nil
}

// remember keeps a shown value for _, __, ___, _3 and Out[3].
func (in *Interpreter) remember(n int, v lib.Value) {
	for _, pair := range [][2]string{{"___", "__"}, {"__", "_"}} {
		if older := in.env[pair[1]]; older != nil {
			in.env[pair[0]] = older
		}
	}
	in.env["_"] = v
	in.env[fmt.Sprintf("_%d", n)] = v
	out, ok := in.env["Out"].(*lib.Dict)
	if !ok {
		out = new(lib.Dict)
		in.env["Out"] = out
	}
	// A dict that the cells are iterating over or froze is theirs to lose.
	_ = out.SetKey(lib.MakeInt(n), v)
}

// Evaluate computes a user expression.
func (in *Interpreter) Evaluate(ctx context.Context, cell *kernel.Cell, expr string) (*kernel.Bundle, error) {
	return in.aside(ctx, cell, func() (*kernel.Bundle, error) { return in.evaluate(ctx, cell, expr) })
}

func (in *Interpreter) evaluate(ctx context.Context, cell *kernel.Cell, expr string) (*kernel.Bundle, error) {
	v, _, err := in.runCell(ctx, cell, "expression", expr)
	if err != nil {
		return nil, err
	}
	if v == nil {
		v = lib.None
	}
	b, err := in.bundle(ctx, v)
	if err != nil {
		return nil, in.cellError(err)
	}
	return b, nil
}
