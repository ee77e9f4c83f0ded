package shared

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/space"
	"evalnas/nasapi/train"
)

// Job is one training of shared weights.
type Job struct {
	Device nn.Device
	Space  space.Space
	Policy string // its supernet is the one that the policy has in the space
	Data   *data.Set
	Config Config
	Seed   int64

	// Report hears of every step and of every ranked architecture; nil: nobody does.
	Report func(Progress)
	// Ranked hears of every ranking; nil: nobody does.
	Ranked func(Ranking) error
	// Save keeps a checkpoint, Every so often (less often where one takes seconds, see
	// saveShare) and at the end of the last epoch; nil: none is made. Restore is the one to
	// go on from, nil to begin.
	Save    func([]byte) error
	Every   time.Duration // 0: after every epoch
	Restore []byte
}

// Progress is where a training is.
type Progress struct {
	policy.Moment
	Loss          float64 // mean of this epoch so far, over all paths
	Accuracy      float64 // share of the images classified rightly while training
	Rate          float64
	ImagesASecond float64
	// Doing says what else is under way: "ranking", "policy"; "" while weights train.
	Doing string
}

// Point is one epoch of a training.
type Point struct {
	Epoch    int     `json:"epoch"` // from 1
	Rate     float64 `json:"rate"`
	Loss     float64 `json:"loss"` // mean over the steps' paths
	Accuracy float64 `json:"accuracy"`
	Seconds  float64 `json:"seconds"` // of the weights' steps, since the beginning
}

// Report is what a training leaves besides its weights.
type Report struct {
	Config   Config    `json:"config"`
	Params   int64     `json:"params"` // of the supernet
	Steps    int       `json:"steps"`  // of the weights' optimiser
	Curve    []Point   `json:"curve"`
	Rankings []Ranking `json:"rankings,omitempty"`
	Pool     []string  `json:"pool,omitempty"` // hashes of the fixed pool, as Rankings have them
	Seconds  float64   `json:"seconds"`        // of the weights' steps, over all attempts
	Data     string    `json:"data"`           // digest
	Made     bool      `json:"synthetic,omitempty"`
}

// Trainer trains shared weights: it is a policy.Weights. It is for one goroutine.
type Trainer struct {
	Job
	net   supernet
	opt   *nn.Optimiser
	parts data.Parts
	valid *images
	fixed []space.Arch // the pool
	names []string     // its hashes

	// substitute is the policy's, where it evaluates others than it names.
	substitute func(space.Arch) space.Arch

	state   state
	saved   time.Time
	saving  time.Duration // what the last checkpoint took
	started time.Time
	seen    int // images since started
	batches int // of an epoch
}

// New makes a trainer with the weights of its seed, or those of the checkpoint. The
// error says what does not fit.
func New(job Job) (*Trainer, error) {
	if err := job.Config.Validate(); err != nil {
		return nil, err
	}
	if err := job.Config.Fits(job.Data.Shape); err != nil {
		return nil, err
	}
	t := &Trainer{Job: job}
	var err error
	if t.parts, err = job.Config.Split.Apply(job.Data); err != nil {
		return nil, err
	}
	if t.valid, err = newImages(job.Data, t.parts.Valid, job.Config.Augment); err != nil {
		return nil, err
	}
	if t.net, err = openSupernet(job); err != nil {
		return nil, err
	}
	t.net.Initialise(job.Seed)
	t.opt = job.Config.optimiser(t.net.Params())
	t.fixed = Pool(job.Space, job.Config.Pool)
	t.names = hashesOf(t.fixed)
	if job.Restore != nil {
		if err := t.restore(job.Restore); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Train runs the epochs that are left. A context that ends stops it after the step,
// with a checkpoint, and is its error.
func (t *Trainer) Train(ctx context.Context, s policy.Sharer) error {
	if other, ok := s.(policy.Substituter); ok {
		t.substitute = other.Substitute
	}
	if t.state.Policy != nil {
		if err := s.Restore(t.state.Policy); err != nil {
			return fmt.Errorf("the checkpoint: %s: %w", t.Job.Policy, err)
		}
	}
	loader, err := data.NewLoader(ctx, t.Data, data.LoaderConfig{
		Images: t.parts.Train, Batch: t.Config.Batch, Augment: t.Config.Augment, Shuffle: true, DropLast: true,
		Epochs: t.Config.Epochs, Seed: t.Seed, Stream: "shared", Start: t.state.At,
	})
	if err != nil {
		return err
	}
	defer loader.Close()
	t.batches = loader.Batches()
	t.started, t.saved = time.Now(), time.Now()
	if t.state.Ending > 0 {
		if err := t.endEpoch(ctx, s, t.state.Ending-1); err != nil {
			return err
		}
		if err := t.saveInTime(s, true); err != nil {
			return err
		}
	}
	for {
		batch, err := loader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.Join(err, t.save(s))
		}
		if err := t.step(ctx, s, batch); err != nil {
			return err
		}
		t.state.At = loader.Position()
		if batch.Last {
			t.state.Ending = batch.Epoch + 1
			if err := t.endEpoch(ctx, s, batch.Epoch); err != nil {
				return err
			}
		}
		if err := t.saveInTime(s, batch.Last); err != nil {
			return err
		}
	}
}

func (t *Trainer) moment(epoch, step int) policy.Moment {
	return policy.Moment{Epoch: epoch, Epochs: t.Config.Epochs, Step: step, Steps: t.batches}
}

// step has the policy train on one batch.
func (t *Trainer) step(ctx context.Context, s policy.Sharer, batch *data.Batch) error {
	began := time.Now()
	h := &handed{t: t, ctx: ctx, batch: batch, at: t.moment(batch.Epoch, batch.Batch)}
	if err := s.Step(ctx, h, h.at); err != nil {
		return err
	}
	if h.trained != 1 {
		return fmt.Errorf("%s trained %d times in a step of its supernet, and must once", t.Job.Policy, h.trained)
	}
	t.state.Seconds += time.Since(began).Seconds()
	t.state.Steps++
	t.seen += batch.N
	t.tell(Progress{Moment: t.moment(batch.Epoch, batch.Batch+1)})
	return nil
}

func (t *Trainer) tell(p Progress) {
	if t.Report == nil {
		return
	}
	p.Loss, p.Accuracy, p.Rate = t.state.Sum.loss(), t.state.Sum.accuracy(), t.Config.rate(min(p.Epoch, t.Config.Epochs-1))
	p.ImagesASecond = float64(t.seen) / max(time.Since(t.started).Seconds(), 1e-9)
	t.Report(p)
}

// endEpoch lets the policy learn, ranks at save points, and adds to the curve. No weights
// move: where it is interrupted the checkpoint is of the moment before.
func (t *Trainer) endEpoch(ctx context.Context, s policy.Sharer, epoch int) (err error) {
	before, err := s.State()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = errors.Join(err, t.saveWith(before))
		}
	}()
	at := t.moment(epoch, t.batches)
	t.tell(Progress{Moment: at, Doing: "policy"})
	if err := s.EndEpoch(ctx, &handed{t: t, ctx: ctx, at: at}, at); err != nil {
		return err
	}
	var rankings []Ranking
	if t.Config.savePoint(epoch) {
		if rankings, err = t.rank(ctx, s, at); err != nil {
			return err
		}
	}
	t.state.Rankings = append(t.state.Rankings, rankings...)
	t.state.Curve = append(t.state.Curve, Point{
		Epoch: epoch + 1, Rate: t.Config.rate(epoch), Loss: t.state.Sum.loss(), Accuracy: t.state.Sum.accuracy(), Seconds: t.state.Seconds,
	})
	t.tell(Progress{Moment: at})
	t.state.Sum, t.state.Ending = sums{}, 0
	return nil
}

// Add takes a ranking into a report, in the place of one of the same moment and pool that
// an earlier attempt made.
func (r *Report) Add(ranked Ranking) {
	for i, old := range r.Rankings {
		if old.Epoch == ranked.Epoch && old.Pool == ranked.Pool {
			r.Rankings[i] = ranked
			return
		}
	}
	r.Rankings = append(r.Rankings, ranked)
}

// Result is what the training leaves, so far.
func (t *Trainer) Result() *Report {
	return &Report{
		Config: t.Config, Params: countParams(t.net.Params()), Steps: t.state.Steps, Curve: t.state.Curve, Rankings: t.state.Rankings,
		Pool: t.names, Seconds: t.state.Seconds, Data: t.Data.Digest, Made: t.Data.Synthetic,
	}
}

func countParams(params []*nn.Param) int64 {
	var n int64
	for _, p := range params {
		n += int64(p.Len())
	}
	return n
}

// finite is an error unless a number of a step is one.
func finite(at policy.Moment, what string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return &train.DivergedError{Epoch: at.Epoch + 1, Step: at.Step + 1, What: what, Value: v}
	}
	return nil
}

// accuracyOf is what a pass's last forward pass gave.
func accuracyOf(p *net.Pass) policy.Accuracy {
	return policy.Accuracy{Images: p.Batch(), Correct: p.Loss.Correct, Loss: p.Loss.Loss}
}

// plus is both, by images.
func plus(a, b policy.Accuracy) policy.Accuracy {
	n := a.Images + b.Images
	if n == 0 {
		return a
	}
	loss := float64(a.Loss*float64(a.Images)) + float64(b.Loss*float64(b.Images))
	return policy.Accuracy{Images: n, Correct: a.Correct + b.Correct, Loss: loss / float64(n)}
}
