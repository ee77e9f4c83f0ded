package nasapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"evalnas/nasapi/data"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/nn/device"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/shared"
	"evalnas/nasapi/space"
	"evalnas/nasapi/stats"
	"evalnas/nasapi/train"
)

// SharedConfig is an objective of shared weights as a job has it: the images, and the
// protocol of the weights' training.
type SharedConfig struct {
	Data     data.Spec     `json:"data"`
	Protocol shared.Config `json:"protocol"`
}

// String says the protocol in a line.
func (c SharedConfig) String() string {
	text := fmt.Sprintf("%s on %s", c.Protocol, c.Data.Name)
	if c.Data.Synthetic != nil {
		text += " (SYNTHETIC)"
	}
	return text
}

// check says what is wrong with it for a policy in a space.
func (c *SharedConfig) check(policyName string, sp space.Space) error {
	if _, err := shared.Default(policyName, sp, &data.Set{}); err != nil {
		return err
	}
	if c.Data.Digest == "" && c.Data.Synthetic == nil {
		return fmt.Errorf("the data set %q has no digest: resolve it first", c.Data.Name)
	}
	return c.Protocol.Validate()
}

// completeShared is Complete for what hangs on the objective being shared weights.
func (c SearchConfig) completeShared(info *policy.Info, sp space.Space) (SearchConfig, error) {
	if c.Objective.Kind != objective.SharedWeights {
		if info.Shares == policy.Must {
			return c, fmt.Errorf("%s trains weights that architectures share: its objective is shared_weights(data, epochs=...), not %s", c.Policy, c.Objective)
		}
		if c.Shared != nil {
			return c, fmt.Errorf("the configuration has a protocol of shared weights and is guided by %s", c.Objective)
		}
		return c, nil
	}
	switch {
	case info.Shares == policy.Never:
		return c, fmt.Errorf("%s looks architectures up and trains no shared weights; %s do", c.Policy, policiesThatShare())
	case c.Shared == nil:
		return c, errors.New("shared_weights(...) needs its data: shared_weights(cifar10(), epochs=...)")
	case c.Budget != 0:
		return c, fmt.Errorf("budget is %d: a search with shared weights has no budget of look-ups, it is as long as its epochs; leave it out", c.Budget)
	case c.Seconds != 0:
		return c, fmt.Errorf("seconds is %v: shared weights are trained for as long as their epochs take, not by a virtual clock; leave it out", c.Seconds)
	case c.Objective.Minimise:
		return c, errors.New("minimise=True: the objective of shared weights is an accuracy, which is maximised")
	}
	if err := c.Shared.check(c.Policy, sp); err != nil {
		return c, err
	}
	c.Objective.Protocol = c.Shared.String()
	return c, nil
}

func policiesThatShare() string {
	var names []string
	for _, i := range policy.All() {
		if i.Shares != policy.Never {
			names = append(names, i.Name)
		}
	}
	return strings.Join(names, ", ")
}

// ProtocolOfSharing is the protocol of a policy in a space on a set, made smaller by a
// preset ("paper" leaves it as published) and with numbers of its own by their names in
// JSON.
func ProtocolOfSharing(policyName string, sp space.Space, set *data.Set, preset string, numbers map[string]any) (shared.Config, error) {
	published, err := shared.Default(policyName, sp, set)
	c := published
	if err != nil {
		return c, err
	}
	if c, err = c.With(preset, sp, set.Shape); err != nil {
		return c, err
	}
	if c, err = c.Override(numbers, set.Shape); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, err
	}
	return c.Marked(published), c.Fits(set.Shape)
}

// FitsMemory says why shared weights on a set of a shape do not fit in so many bytes (0: not
// known) that who, such as "a job", may have.
func (c SearchConfig) FitsMemory(shape data.Shape, bytes int64, who string) error {
	sp, err := space.FromSpec(c.Space)
	if err != nil {
		return err
	}
	protocol := c.Shared.Protocol
	need, err := shared.MemoryOf(c.Policy, sp, protocol, shape)
	if err != nil || bytes == 0 || need.Sum() <= bytes {
		return err
	}
	return fmt.Errorf("the supernet of %s in %s needs at least %s of memory (%s for weights, gradients and momentum, %s for a batch of %d, %s to save them, %s for the images), and %s may have %s: "+
		"lower channels=%d or batch=%d, or give a job more, such as mem=\"%dG\"",
		c.Policy, sp, jobs.SizeText(need.Sum()), jobs.SizeText(need.Weights), jobs.SizeText(need.Graph), protocol.Batch, jobs.SizeText(need.Checkpoint), jobs.SizeText(need.Images),
		who, jobs.SizeText(bytes), protocol.Channels, protocol.Batch, need.Sum()>>30+1)
}

// numerics is the version of what a search's results hang on.
func (c SearchConfig) numerics() int {
	if c.Objective.Kind == objective.SharedWeights || c.Trained != nil && c.Trained.Trainer == nil {
		// Both versions count; either may be raised.
		return 1000*EngineNumerics + Numerics
	}
	return Numerics
}

// sharedRun is the part of a searchRun that trains shared weights.
type sharedRun struct {
	trainer *shared.Trainer
	close   func() error
	told    tolds
}

// tolds are the values that progress goes on to show.
type tolds struct {
	done, total int
	values      map[string]any
}

// openShared makes the supernet of a run.
func (r *searchRun) openShared(ctx context.Context) (err error) {
	set, err := data.Open(ctx, r.cfg.Shared.Data)
	if err != nil {
		return err
	}
	if err := r.cfg.Shared.Protocol.Fits(set.Shape); err != nil {
		return jobs.Config(err)
	}
	dev, err := device.Open(0)
	if err != nil {
		return err
	}
	s := &sharedRun{close: dev.Close, told: tolds{values: map[string]any{}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, dev.Close())
		}
	}()
	job := shared.Job{Device: dev, Space: r.space, Policy: r.cfg.Policy, Data: set, Config: r.cfg.Shared.Protocol, Seed: r.seed}
	if p, ok := r.report.(provenance); ok {
		p.ReadData(set.Name, set.Digest)
		p.RunsOn(dev.Name())
	}
	if r.report != nil {
		job.Report, job.Ranked = r.tellTraining, r.tellRanking
	}
	if keep, ok := r.report.(Reporting); ok {
		job.Save = keep.Checkpoint
		if job.Every, err = checkpointEvery(); err != nil {
			return err
		}
		if job.Restore, err = keep.Restore(); err != nil {
			return err
		}
	}
	if s.trainer, err = shared.New(job); err != nil {
		return err
	}
	r.sharing = s
	for _, ranked := range s.trainer.Result().Rankings { // of earlier attempts
		if _, err := r.tauOf(ranked); err != nil {
			return err
		}
	}
	r.obj = objective.OfSharedWeights(r.cfg.Objective, func(a space.Arch) (float64, error) {
		got, err := s.trainer.Evaluate(ctx, a, 0)
		return got.Share(), err
	})
	return nil
}

// tellTraining turns the progress of the weights into that of the job.
func (r *searchRun) tellTraining(p shared.Progress) {
	t := &r.sharing.told
	t.done, t.total = p.Epoch*p.Steps+p.Step, p.Epochs*p.Steps
	maps.Copy(t.values, map[string]any{
		"epoch": min(p.Epoch+1, p.Epochs), "loss": p.Loss, "accuracy": p.Accuracy, "rate": p.Rate, "images_per_second": p.ImagesASecond,
		"doing": p.Doing,
	})
	r.report.Progress(t.done, t.total, t.values)
}

// RankingEvent is the kind of event that a ranking leaves, with a RankedPool.
const RankingEvent = "ranking"

// RankedPool is a ranking with what it says, as an event and a result have it.
type RankedPool struct {
	shared.Ranking
	// Tau is Kendall's tau-b between the accuracies with shared weights and those of
	// training alone: NASBench-101's test accuracy, 108 epochs, first repeat. It is
	// missing where there is no such truth, or where one of the two does not vary.
	Tau *float64 `json:"tau,omitempty"`
}

// tellRanking writes a ranking into the job's events.
func (r *searchRun) tellRanking(ranked shared.Ranking) error {
	tau, err := r.tauOf(ranked)
	if err != nil {
		return err
	}
	return r.report.Event(RankingEvent, RankedPool{Ranking: ranked, Tau: tau})
}

// tauOf is what a ranking says, nil for nothing. That of the fixed pool is shown from then
// on.
func (r *searchRun) tauOf(ranked shared.Ranking) (*float64, error) {
	truth, err := r.truthOf(ranked)
	if err != nil || truth == nil {
		return nil, err
	}
	tau, err := stats.KendallTau(ranked.Accuracy, truth)
	if err != nil {
		return nil, nil // one of the two does not vary
	}
	if ranked.Pool == shared.FixedPool {
		r.sharing.told.values["tau"] = tau
	}
	return &tau, nil
}

// truthOf are the test accuracies of a ranking's architectures, nil without a table.
func (r *searchRun) truthOf(ranked shared.Ranking) ([]float64, error) {
	hashes := ranked.Hashes
	if hashes == nil {
		hashes = r.sharing.trainer.Result().Pool
	}
	return TruthOf(r.space, hashes)
}

// TruthOf are the test accuracies (108 epochs, first repeat) of the architectures of a
// NASBench-101 space, by hash. It is nil in a space that no table has.
func TruthOf(sp space.Space, hashes []string) ([]float64, error) {
	if _, ok := sp.(*space.NASBench); !ok {
		return nil, nil
	}
	truth, err := embeddedTruth()
	if err != nil {
		return nil, err
	}
	archs, err := byHash(sp, hashes)
	if err != nil {
		return nil, err
	}
	return valuesOf(truth, archs)
}

// byHash finds architectures of a NASBench-101 space.
func byHash(sp space.Space, hashes []string) ([]space.Arch, error) {
	archs := make([]space.Arch, len(hashes))
	for i, hash := range hashes {
		a, err := sp.(*space.NASBench).ByHash(hash)
		if err != nil {
			return nil, err
		}
		archs[i] = a
	}
	return archs, nil
}

// valuesOf are an objective's values of architectures.
func valuesOf(o *objective.Objective, archs []space.Arch) ([]float64, error) {
	values := make([]float64, len(archs))
	for i, a := range archs {
		v, err := o.Value(a)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// SharedReport is what the weights' training left of a run, or nil: for a run that is
// not done, what its events have of it.
func (s *Search) SharedReport(r Run, j *jobs.Job) (*shared.Report, error) {
	if r.Result != nil {
		return r.Result.Shared, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.told[j.ID]
	if told == nil {
		told = &toldRankings{Report: shared.Report{Config: s.Config.Shared.Protocol, Pool: shared.PoolHashes(s.Space, s.Config.Shared.Protocol.Pool)}}
		s.told[j.ID] = told
	}
	if err := told.read(j); err != nil {
		return nil, err
	}
	report := &shared.Report{Config: told.Config, Pool: told.Pool, Rankings: slices.Clone(told.Rankings)}
	slices.SortStableFunc(report.Rankings, func(a, b shared.Ranking) int { return a.Epoch - b.Epoch })
	return report, nil
}

// toldRankings is what was read of a job's rankings so far. An attempt that went on from a
// checkpoint writes some of them again, with the same values.
type toldRankings struct {
	after int64 // bytes of its events
	shared.Report
}

// read takes in what came since it was last called.
func (t *toldRankings) read(j *jobs.Job) error {
	events, after, err := j.Events(t.after)
	if err != nil {
		return err
	}
	if after < t.after { // the job was begun anew
		t.Rankings = nil
	}
	t.after = after
	for _, e := range events {
		var ranked RankedPool
		if e.Kind == RankingEvent && json.Unmarshal(e.Data, &ranked) == nil {
			t.Add(ranked.Ranking)
		}
	}
	return nil
}

// failsAgain says that a second attempt at a run would end the same way.
func failsAgain(err error) bool {
	diverged := (*train.DivergedError)(nil)
	return errors.As(err, &diverged)
}
