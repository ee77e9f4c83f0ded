package commands

import (
	"errors"
	"fmt"

	lib "go.starlark.net/starlark"

	"evalnas/kernel/starlark"
	"evalnas/nasapi/jobs"
)

// steeringCommands tell jobs that exist what to do.
func (e *Env) steeringCommands() []*starlark.Command {
	params := []starlark.Param{{Name: "searches", Variadic: true, Type: "search, training or id", Doc: "searches and trainings, lists of them, or ids of jobs or searches"}}
	return []*starlark.Command{
		{
			Name: "cancel", Params: params,
			Doc: `Cancel the seeds that have not finished; finished ones keep their results.

The same search(...) again runs what was cancelled.

    cancel(found)`,
			Run: e.runCancel,
		},
		{
			Name: "hold", Params: params,
			Doc: `Keep the seeds that wait from being started, those that wait in SLURM as well; what runs goes on.

They stay held, whatever happens to the kernel, until release(...) or the same search(...) after
cancel(...).

    hold(found)
    release(found)`,
			Run: e.runHold,
		},
		{
			Name: "release", Params: params,
			Doc: `Have the seeds started again that hold(...) keeps waiting.

    release(found)`,
			Run: e.runRelease,
		},
	}
}

// selection is some jobs of one study.
type selection struct {
	study *jobs.Study
	jobs  []*jobs.Job
}

// selections are the jobs that the arguments of a steering command name.
func (e *Env) selections(c *starlark.Call) ([]selection, error) {
	var all []selection
	for _, v := range c.Value("searches").(lib.Tuple) {
		more, err := e.selected(v)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		all = append(all, more...)
	}
	return all, nil
}

func (e *Env) selected(v lib.Value) ([]selection, error) {
	if id, ok := lib.AsString(v); ok {
		st, err := e.study("")
		if err != nil {
			return nil, err
		}
		found, err := st.Find(id)
		return []selection{{st, found}}, err
	}
	if l, ok := v.(lib.Sequence); ok { // ids may be among its elements
		var all []selection
		for x := range lib.Elements(l) {
			more, err := e.selected(x)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
		return all, nil
	}
	works, err := worksOf(v)
	if err != nil {
		return nil, err
	}
	var all []selection
	for _, w := range works {
		all = append(all, selection{w.handle().Study(), w.handle().Jobs()})
	}
	return all, nil
}

func (e *Env) runCancel(c *starlark.Call) (lib.Value, error) {
	all, err := e.selections(c)
	if err != nil {
		return nil, err
	}
	var errs []error
	asked, ended := 0, 0
	for _, s := range all {
		for _, j := range s.jobs {
			if j.Status().State.Final() {
				ended++
			} else {
				asked++
			}
			errs = append(errs, j.Cancel())
		}
	}
	text := fmt.Sprintf("%d told to stop", asked)
	if ended > 0 {
		text += fmt.Sprintf("; %d have ended", ended)
	}
	c.Cell.Out.Stream("stdout", text+"\n")
	return lib.None, failed(c, errs)
}

func (e *Env) runHold(c *starlark.Call) (lib.Value, error) {
	all, err := e.selections(c)
	if err != nil {
		return nil, err
	}
	var errs []error
	held, rest := 0, 0
	for _, s := range all {
		errs = append(errs, s.study.Hold(s.jobs...))
		h := jobs.CountHeld(s.jobs)
		held, rest = held+h, rest+len(s.jobs)-h
	}
	text := fmt.Sprintf("%d held", held)
	if rest > 0 {
		text += fmt.Sprintf("; %d run already or have ended", rest)
	}
	c.Cell.Out.Stream("stdout", text+"\n")
	return lib.None, failed(c, errs)
}

func (e *Env) runRelease(c *starlark.Call) (lib.Value, error) {
	all, err := e.selections(c)
	if err != nil {
		return nil, err
	}
	var errs []error
	held := 0
	for _, s := range all {
		held += jobs.CountHeld(s.jobs)
		errs = append(errs, s.study.Release(s.jobs...))
	}
	c.Cell.Out.Stream("stdout", fmt.Sprintf("%d released\n", held))
	return lib.None, failed(c, errs)
}

// failed is the error of a command of which parts failed, nil if none did.
func failed(c *starlark.Call, errs []error) error {
	if err := errors.Join(errs...); err != nil {
		return c.Errorf("%w", err)
	}
	return nil
}
