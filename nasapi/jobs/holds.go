package jobs

import (
	"context"
	"errors"
	"slices"

	"evalnas/nasapi/jobs/slurm"
)

// holds has SLURM hold the waiting tasks of jobs that are held, so that they keep their place
// in its queue, and releases those that it holds for us. One that a person held with scontrol
// stays as it is. A task that SLURM starts before it hears of this ends at once: its worker
// sees the hold, too. It runs beside the runner, whose goroutine does what is returned.
func (a *arrays) holds(ctx context.Context, live []*task, known map[string]slurm.Task) func() {
	var hold, release []*task
	for _, t := range live {
		now, ok := known[t.id()]
		switch ours := slices.Contains(t.array.Held, t.index); {
		case !ok || !now.Waiting():
		case t.job.held() && !now.Held() && !ours:
			hold = append(hold, t)
		case ours && !t.job.held():
			release = append(release, t)
		}
	}
	err := errors.Join(change(ctx, hold, a.client.Hold), change(ctx, release, a.client.Release))
	return func() {
		if err != nil {
			a.runner.logf("scontrol: %v", err)
			return // it is tried again at the next look
		}
		a.remember(hold, release)
	}
}

func change(ctx context.Context, tasks []*task, do func(ctx context.Context, ids ...string) error) error {
	if len(tasks) == 0 {
		return nil
	}
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.id()
	}
	return do(ctx, ids...)
}

// remember keeps which tasks are held for us, for a later runner as well.
func (a *arrays) remember(held, released []*task) {
	changed := map[*array]bool{}
	for _, t := range held {
		t.array.Held = append(t.array.Held, t.index)
		changed[t.array] = true
	}
	for _, t := range released {
		t.array.Held = slices.DeleteFunc(t.array.Held, func(i int) bool { return i == t.index })
		changed[t.array] = true
	}
	for r := range changed {
		if err := r.write(a.runner.study.disk); err != nil {
			a.runner.logf("array %s: %v", r.Name, err)
		}
	}
}
