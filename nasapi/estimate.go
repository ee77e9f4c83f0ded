package nasapi

import (
	"context"
	"errors"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn/device"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/shared"
	"evalnas/nasapi/train"
)

// unfinished are the jobs of specs that the study does not have done.
func unfinished(st *jobs.Study, specs []jobs.Spec) ([]jobs.Spec, error) {
	all, err := st.Jobs()
	if err != nil {
		return nil, err
	}
	known := make(map[string]*jobs.Job, len(all))
	for _, j := range all {
		known[j.ID] = j
	}
	var left []jobs.Spec
	for _, s := range specs {
		if j := known[s.ID()]; j == nil || j.Status().State != jobs.Done {
			left = append(left, s)
		}
	}
	return left, nil
}

// TrainingCost is what a training takes, from a few measured steps.
type TrainingCost struct {
	Jobs      int
	Threads   int           // of a job
	Each      time.Duration // of the first architecture
	All       time.Duration // of all jobs, times the slots that each takes
	Slots     int           // jobs at a time on this machine; 0 where it runs elsewhere
	Wall      time.Duration // of all jobs in the slots, were they free
	Params    int64         // of the first architecture, without the auxiliary head
	MultAdds  int64
	PerSecond float64 // images, of the first architecture
}

// EstimateTraining measures a few steps of the first architecture with small batches, on as
// many threads as a job has, and scales them to the others by their multiply-adds. left are
// the jobs that are to be run, as Unfinished says them. The set is not read.
func EstimateTraining(r TrainingRequest, shape data.Shape, left []int) (TrainingCost, error) {
	room, err := r.On.Room()
	if err != nil {
		return TrainingCost{}, err
	}
	c, err := measureTraining(r, shape, left, room.Threads)
	if err != nil || room.Slots == 0 {
		return c, err
	}
	c.Slots = room.AtATime
	c.Wall = max(c.Each, c.All/time.Duration(min(c.Slots, c.Jobs)))
	c.All = times(c.All, room.Slots)
	return c, nil
}

// EstimateTrainingHere is EstimateTraining for one that takes this process, and its threads.
func EstimateTrainingHere(r TrainingRequest, shape data.Shape) (TrainingCost, error) {
	return measureTraining(r, shape, []int{0}, 0)
}

func measureTraining(r TrainingRequest, shape data.Shape, left []int, threads int) (TrainingCost, error) {
	c := TrainingCost{Jobs: len(left)}
	if err := r.Protocol.Fits(shape); err != nil {
		return c, err
	}
	dev, err := device.Open(threads)
	if err != nil {
		return c, err
	}
	speed, err := train.Measure(dev, r.Archs[0].Arch, r.Protocol, shape)
	err = errors.Join(err, dev.Close())
	if err != nil {
		return c, err
	}
	c.Threads, c.Each, c.PerSecond = dev.Threads(), speed.Total, speed.ImagesASecond
	adds := make([]int64, len(r.Archs))
	for i, a := range r.Archs {
		cost, err := net.Measure(a.Arch, r.Protocol.Network(shape))
		if err != nil {
			return c, err
		}
		if adds[i] = cost.MultAdds; i == 0 {
			c.Params, c.MultAdds = cost.Params, cost.MultAdds
		}
	}
	for _, i := range left {
		share := float64(adds[i]) / float64(max(1, c.MultAdds))
		c.All += time.Duration(share * float64(c.Each))
	}
	return c, nil
}

// SearchCost is what a search takes, from a slice of its first seed.
type SearchCost struct {
	Jobs      int
	Each      time.Duration // of one seed, with the start of its worker
	All       time.Duration // of all seeds, times the slots that each takes
	Slots     int           // jobs at a time on this machine; 0 where it runs elsewhere
	Wall      time.Duration // of all seeds in the slots, were they free
	PerSecond float64       // evaluations, or images where weights are shared
	Threads   int           // of a job, where weights are shared
	Params    int64         // of the supernet, where weights are shared
	// AtLeast says that times are lower bounds: what the policy learns between two
	// evaluations took longer than it was tried.
	AtLeast bool
	// Unknown says that nothing was tried: the policy is somebody else's, and runs nowhere
	// but in its jobs.
	Unknown bool
}

const (
	// searchSlice is how long a search is tried. A cell waits for it.
	searchSlice = 75 * time.Millisecond
	// searchPatience is how much longer it may be for a policy that has not yet
	// learnt once: only a search of many minutes is that slow.
	searchPatience = 10 * searchSlice
	// searchGivesUp is when it ends where the policy learns for longer between two
	// evaluations.
	searchGivesUp = 3 * time.Second
	// workerStart is what a job takes beside its search: 60 that do nothing end in
	// 0.7 s on two slots.
	workerStart = 20 * time.Millisecond
)

// EstimateSearch runs the first seed in this process for a moment and takes what is
// left of the budget to go on as it went at last. It leaves nothing behind.
func EstimateSearch(ctx context.Context, r SearchRequest) (SearchCost, error) {
	c := SearchCost{Jobs: len(r.Seeds)}
	cfg, err := r.SearchConfig.Complete()
	if err != nil {
		return c, err
	}
	if err := CheckSeeds(r.Seeds); err != nil {
		return c, err
	}
	if cfg.Own != nil || cfg.Trained != nil {
		c.Unknown = true
		return c, nil
	}
	info, err := cfg.Info()
	if err != nil {
		return c, err
	}
	if cfg.Shared != nil {
		return estimateSharing(ctx, r, cfg)
	}
	w := &stopwatch{round: info.Round(cfg.Params), began: time.Now()}
	tried, stop := context.WithTimeout(ctx, searchGivesUp)
	defer stop()
	if _, err := RunSearch(tried, cfg, r.Seeds[0], w); err != nil {
		if c.AtLeast = errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && w.end.evaluations > 0; !c.AtLeast {
			return c, err
		}
		w.giveUp()
	}
	each, pace := w.extrapolate(w.lookUps(cfg))
	c.Each, c.PerSecond = workerStart+each, pace
	room, err := r.On.Room()
	return c.in(room), err
}

// in spreads the jobs over where they run.
func (c SearchCost) in(room jobs.Room) SearchCost {
	c.All = times(c.Each, c.Jobs)
	if room.Slots == 0 {
		return c
	}
	c.Slots = room.AtATime
	c.Wall = times(c.Each, (c.Jobs+c.Slots-1)/c.Slots)
	c.All = times(c.All, room.Slots)
	return c
}

// estimateSharing times some steps of the first seed's supernet, on as many threads as a
// job has. The images are made up: the set is not read.
func estimateSharing(ctx context.Context, r SearchRequest, cfg SearchConfig) (_ SearchCost, err error) {
	c := SearchCost{Jobs: len(r.Seeds)}
	room, err := r.On.Room()
	if err != nil {
		return c, err
	}
	shape, err := ShapeOf(cfg.Shared.Data)
	if err != nil {
		return c, err
	}
	if err := cfg.FitsMemory(shape, room.Memory, "a job"); err != nil {
		return c, err
	}
	run, err := newSearchRun(cfg, r.Seeds[0], nil)
	if err != nil {
		return c, err
	}
	dev, err := device.Open(room.Threads)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	speed, err := shared.Measure(ctx, dev, cfg.Policy, run.space, cfg.Shared.Protocol, shape, func(ctx context.Context, w policy.Weights) error {
		return run.policy.Search(ctx, &policy.Problem{Space: run.space, Budget: MaxBudget, Unit: true, Seed: run.seed, Weights: w})
	})
	if err != nil {
		return c, err
	}
	c.Each, c.PerSecond, c.Threads, c.Params = workerStart+speed.Total, speed.ImagesASecond, dev.Threads(), speed.Params
	return c.in(room), nil
}

// ShapeOf finds the shape of a set without reading its images.
func ShapeOf(s data.Spec) (data.Shape, error) {
	if s.Synthetic != nil {
		set, err := data.Synthetic(*s.Synthetic)
		if err != nil {
			return data.Shape{}, err
		}
		return set.Shape, nil
	}
	cache, err := data.OpenCache()
	if err != nil {
		return data.Shape{}, err
	}
	entry, err := cache.Resolve(s)
	return entry.Shape, err
}

// stopwatch is the Watcher that times a search and ends it after a moment. It looks
// only at the evaluations that begin a round of the policy, since those between two of
// them cost as much in every round.
type stopwatch struct {
	round int
	began time.Time

	first, middle, last lap // beginnings of rounds; middle is past half of the slice
	end                 lap // the last evaluation
	stopped             bool
}

// lap is a moment of a search.
type lap struct {
	evaluations int
	after       time.Duration // since the search began
	simulated   float64       // seconds on the virtual clock
}

func (*stopwatch) Progress(int, int, map[string]any) {}
func (*stopwatch) Event(string, any) error           { return nil }

// Evaluated takes the time; what is set up before the first evaluation is no part of the
// slice, as it may be the reading of a table.
func (w *stopwatch) Evaluated(e Evaluation) error {
	w.end = lap{e.Number, time.Since(w.began), e.Seconds}
	begins := (e.Number-1)%w.round == 0
	switch {
	case e.Number == 1:
		w.first, w.middle, w.last = w.end, w.end, w.end
		return nil
	case begins:
		if w.middle == w.first && w.lasted(searchSlice/2) {
			w.middle = w.end
		}
		w.last = w.end
	}
	if begins && w.lasted(searchSlice) || w.lasted(searchPatience) {
		w.stopped = true
		return policy.ErrBudget
	}
	return nil
}

// giveUp ends what was not over: the last evaluation is counted as long as all lasted.
func (w *stopwatch) giveUp() {
	w.end.after, w.stopped = time.Since(w.began), true
	if w.end.evaluations == w.first.evaluations {
		w.first = lap{}
	}
	w.middle, w.last = w.first, w.first // so that all from the first to the end is taken
}

func (w *stopwatch) lasted(d time.Duration) bool { return w.end.after-w.first.after >= d }

// lookUps is how many evaluations a search will make: where a virtual clock bounds it, as
// many as fit if they go on to take what they took.
func (w *stopwatch) lookUps(c SearchConfig) int {
	n := c.Budget
	if c.Seconds == 0 || w.end.simulated == 0 {
		return n
	}
	fit := int(min(c.Seconds/w.end.simulated*float64(w.end.evaluations), MaxBudget))
	if n == 0 || fit < n {
		n = fit
	}
	return max(n, w.end.evaluations)
}

// extrapolate is how long the whole budget takes and how many evaluations a second are
// made. A search that ended by itself is its own measure.
func (w *stopwatch) extrapolate(budget int) (time.Duration, float64) {
	from, to := w.first, w.end
	switch {
	case !w.stopped && to == from:
		from = lap{}
	case w.stopped && w.middle != w.last:
		from, to = w.middle, w.last
	case w.stopped && w.first != w.last:
		to = w.last
	}
	p := pace(from, to)
	if !w.stopped {
		return w.end.after, p
	}
	return w.end.after + seconds(float64(budget-w.end.evaluations)/p), p
}

// pace is in evaluations a second.
func pace(from, to lap) float64 {
	return float64(to.evaluations-from.evaluations) / max(to.after-from.after, 1).Seconds()
}

// seconds is a duration that does not overflow.
func seconds(s float64) time.Duration {
	return time.Duration(min(s*float64(time.Second), float64(1<<62)))
}

// times is n times d, or the longest duration.
func times(d time.Duration, n int) time.Duration { return seconds(d.Seconds() * float64(n)) }
