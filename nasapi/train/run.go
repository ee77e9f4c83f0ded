package train

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Job is one training run.
type Job struct {
	Device nn.Device
	Arch   space.Arch
	Data   *data.Set
	Config Config

	// Report hears of every step; nil: nobody does.
	Report func(Progress)
	// Save keeps a checkpoint, Every so often and at the end of the run's last whole
	// epoch; nil: none is made. Restore is the one to go on from, nil to begin.
	Save    func([]byte) error
	Every   time.Duration // 0: after every epoch
	Restore []byte

	// Done is given the trained network at the end; nil: nobody wants it.
	Done func(*net.Network) error
}

// Progress is where a run is.
type Progress struct {
	Epoch, Epochs int     // Epoch counts whole ones
	Step, Steps   int     // of this epoch
	Loss          float64 // mean of this epoch so far, without the auxiliary loss
	Accuracy      float64 // share of the epoch's images classified rightly while training
	Rate          float64
	ImagesASecond float64
	Last          *Point // of the last whole epoch
}

// Point is one epoch of a run. Accuracies are shares, losses natural-logarithm
// cross-entropies, each a mean over the images of its part; those not measured are
// NaN in memory and left out of JSON.
type Point struct {
	Epoch         int      `json:"epoch"` // from 1
	Rate          float64  `json:"rate"`  // of its last step
	Loss          float64  `json:"loss"`
	Accuracy      float64  `json:"accuracy"`
	ValidLoss     *float64 `json:"valid_loss,omitempty"`
	ValidAccuracy *float64 `json:"valid_accuracy,omitempty"`
	TestLoss      *float64 `json:"test_loss,omitempty"`
	TestAccuracy  *float64 `json:"test_accuracy,omitempty"`
	Seconds       float64  `json:"seconds"` // of training, evaluation left out
	// Metrics are all that a program of one's own said, by its names; nil for our engine.
	Metrics map[string]float64 `json:"metrics,omitempty"`
}

// Result is what a run leaves.
type Result struct {
	Valid     *float64 `json:"valid,omitempty"` // accuracy after the last epoch
	Test      *float64 `json:"test,omitempty"`
	Params    int64    `json:"params"`
	Auxiliary int64    `json:"auxiliary_params,omitempty"`
	MultAdds  int64    `json:"mult_adds"` // of one image, forward
	Seconds   float64  `json:"seconds"`   // of training, over all attempts
	Curve     []Point  `json:"curve"`
	Data      string   `json:"data"` // digest
	Synthetic bool     `json:"synthetic,omitempty"`
	Reduced   bool     `json:"reduced,omitempty"` // epochs were cut short

	// Metrics and Notes are those of a program of one's own: all that it said, and what is odd.
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Notes   []string           `json:"notes,omitempty"`
}

// DivergedError says that a loss or gradient was not finite. The last checkpoint is
// from before.
type DivergedError struct {
	Epoch, Step int // from 1
	What        string
	Value       float64
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("the %s is %v at step %d of epoch %d: a lower rate or a smaller clip may help; the last checkpoint is from before", e.What, e.Value, e.Step, e.Epoch)
}

// Run trains an architecture. A context that ends stops it after the step, with a
// checkpoint, and the context's error.
func Run(ctx context.Context, job Job) (*Result, error) {
	r, err := newRun(job)
	if err != nil {
		return nil, err
	}
	return r.do(ctx)
}

// run is a run's state; what a checkpoint must keep of it is in state.
type run struct {
	Job
	parts   data.Parts
	net     *net.Network
	opt     *nn.Optimiser
	passes  map[passKey]*net.Pass
	state   state
	saved   time.Time
	started time.Time
	images  int      // since started
	told    Progress // what Report heard last
}

type passKey struct {
	mode  nn.Mode
	batch int
}

// state is all of a run that is not drawn anew from its seed.
type state struct {
	At        data.Position
	Sum       sums // of the epoch that is under way
	Curve     []Point
	Seconds   float64
	Network   net.State
	Optimiser nn.OptimiserState
}

// sums are totals over images.
type sums struct {
	Images, Correct int
	Loss            float64
}

func (s sums) loss() float64     { return s.Loss / float64(max(1, s.Images)) }
func (s sums) accuracy() float64 { return float64(s.Correct) / float64(max(1, s.Images)) }

func newRun(job Job) (*run, error) {
	if err := job.Config.Validate(); err != nil {
		return nil, err
	}
	r := &run{Job: job, passes: map[passKey]*net.Pass{}}
	var err error
	if r.parts, err = job.Config.Split.Apply(job.Data); err != nil {
		return nil, err
	}
	if r.net, err = net.New(job.Device, job.Arch, job.Config.Network(job.Data.Shape)); err != nil {
		return nil, err
	}
	r.net.Initialise(job.Config.Seed)
	r.opt = job.Config.optimiser(r.net.Params())
	if job.Restore != nil {
		if err := r.restore(job.Restore); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *run) do(ctx context.Context) (*Result, error) {
	loader, err := r.loader(ctx)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	r.started, r.saved = time.Now(), time.Now()
	for {
		batch, err := loader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(err, r.save())
		}
		steps := r.steps(loader)
		if batch.Batch < steps {
			if err := r.step(batch, steps); err != nil {
				return nil, err
			}
		}
		r.state.At = loader.Position()
		if batch.Last {
			if err := r.endEpoch(batch.Epoch, steps); err != nil {
				return nil, err
			}
		}
		if err := r.saveInTime(batch.Last); err != nil {
			return nil, err
		}
	}
	if r.Done != nil {
		if err := r.Done(r.net); err != nil {
			return nil, err
		}
	}
	return r.result()
}

func (r *run) loader(ctx context.Context) (*data.Loader, error) {
	return data.NewLoader(ctx, r.Data, data.LoaderConfig{
		Images: r.parts.Train, Batch: r.Config.Batch, Augment: r.Config.Augment, Shuffle: true,
		Epochs: r.Config.Epochs, Seed: r.Config.Seed, Stream: "train", Start: r.state.At,
	})
}

// steps is the number of batches of an epoch that are trained on.
func (r *run) steps(l *data.Loader) int {
	if r.Config.Batches > 0 {
		return min(r.Config.Batches, l.Batches())
	}
	return l.Batches()
}

// step trains on one batch.
func (r *run) step(batch *data.Batch, steps int) error {
	began := time.Now()
	pass, err := r.pass(nn.Train, batch.N)
	if err != nil {
		return err
	}
	if err := r.load(pass, batch); err != nil {
		return err
	}
	masks := rng.New(r.Config.Seed, "train", "drop path", strconv.Itoa(batch.Epoch), strconv.Itoa(batch.Batch))
	if err := pass.SetDropPath(masks, r.Config.dropPath(batch.Epoch)); err != nil {
		return err
	}
	if err := pass.Graph.Forward(); err != nil {
		return err
	}
	if loss := pass.TotalLoss(); math.IsNaN(loss) || math.IsInf(loss, 0) {
		return &DivergedError{batch.Epoch + 1, batch.Batch + 1, "loss", loss}
	}
	if err := pass.Graph.Backward(); err != nil {
		return err
	}
	rate := r.Config.rate(batch.Epoch, batch.Batch, steps)
	if report, err := r.opt.Step(r.Device, rate); err != nil {
		if math.IsNaN(report.Norm) || math.IsInf(report.Norm, 0) {
			return &DivergedError{batch.Epoch + 1, batch.Batch + 1, "norm of the gradient", report.Norm}
		}
		return err
	}
	r.state.Sum.add(pass, batch.N)
	r.state.Seconds += time.Since(began).Seconds()
	r.images += batch.N
	r.report(batch, steps, rate)
	return nil
}

func (s *sums) add(pass *net.Pass, n int) {
	s.Images += n
	s.Correct += pass.Loss.Correct
	s.Loss += float64(pass.Loss.Loss * float64(n))
}

func (r *run) report(batch *data.Batch, steps int, rate float64) {
	if r.Report == nil {
		return
	}
	p := Progress{
		Epoch: batch.Epoch, Epochs: r.Config.Epochs, Step: batch.Batch + 1, Steps: steps,
		Loss: r.state.Sum.loss(), Accuracy: r.state.Sum.accuracy(), Rate: rate,
		ImagesASecond: float64(r.images) / time.Since(r.started).Seconds(),
	}
	r.tell(p)
}

// tell reports with the last whole epoch.
func (r *run) tell(p Progress) {
	if r.Report == nil {
		return
	}
	if n := len(r.state.Curve); n > 0 {
		p.Last = &r.state.Curve[n-1]
	}
	r.told = p
	r.Report(p)
}

// endEpoch evaluates and adds a point to the curve.
func (r *run) endEpoch(epoch, steps int) error {
	point := Point{
		Epoch: epoch + 1, Rate: r.Config.rate(epoch, steps-1, steps),
		Loss: r.state.Sum.loss(), Accuracy: r.state.Sum.accuracy(), Seconds: r.state.Seconds,
	}
	if len(r.parts.Valid) > 0 {
		s, err := r.evaluate(r.parts.Valid)
		if err != nil {
			return err
		}
		point.ValidLoss, point.ValidAccuracy = new(s.loss()), new(s.accuracy())
	}
	if len(r.parts.Test) > 0 && (r.Config.TestEveryEpoch || epoch+1 == r.Config.Epochs) {
		s, err := r.evaluate(r.parts.Test)
		if err != nil {
			return err
		}
		point.TestLoss, point.TestAccuracy = new(s.loss()), new(s.accuracy())
	}
	r.state.Curve = append(r.state.Curve, point)
	r.state.Sum = sums{}
	r.tell(r.told)
	return nil
}

// evaluate runs images through the network as it stands, with running statistics.
func (r *run) evaluate(images []int) (sums, error) {
	loader, err := data.NewLoader(context.Background(), r.Data, data.LoaderConfig{
		Images: images, Batch: min(r.Config.EvalBatch, len(images)), Augment: r.Config.Augment.Evaluation(), Epochs: 1,
	})
	if err != nil {
		return sums{}, err
	}
	defer loader.Close()
	var s sums
	for batch, err := range loader.All() {
		if err != nil {
			return s, err
		}
		pass, err := r.pass(nn.Evaluate, batch.N)
		if err != nil {
			return s, err
		}
		if err := r.load(pass, batch); err != nil {
			return s, err
		}
		if err := pass.Graph.Forward(); err != nil {
			return s, err
		}
		s.add(pass, batch.N)
	}
	return s, nil
}

// load gives a pass a batch's images and labels.
func (r *run) load(pass *net.Pass, batch *data.Batch) error {
	if err := pass.SetLabels(batch.Labels); err != nil {
		return err
	}
	return pass.Graph.SetInput(pass.Input, batch.X)
}

// pass is the planned graph for a mode and batch size: the last batch of an epoch
// may be smaller and has its own.
func (r *run) pass(mode nn.Mode, batch int) (*net.Pass, error) {
	key := passKey{mode, batch}
	if p := r.passes[key]; p != nil {
		return p, nil
	}
	p, err := r.net.Build(mode, batch)
	if err != nil {
		return nil, err
	}
	if err := p.Graph.Plan(); err != nil {
		return nil, fmt.Errorf("a batch of %d images of %v: %w", batch, r.Arch, err)
	}
	r.passes[key] = p
	return p, nil
}

func (r *run) result() (*Result, error) {
	params, auxiliary := r.net.Count()
	cost, err := net.Measure(r.Arch, r.Config.Network(r.Data.Shape))
	if err != nil {
		return nil, err
	}
	result := &Result{
		Params: params, Auxiliary: auxiliary, MultAdds: cost.MultAdds, Seconds: r.state.Seconds, Curve: r.state.Curve,
		Data: r.Data.Digest, Synthetic: r.Data.Synthetic, Reduced: r.Config.Batches > 0,
	}
	if n := len(r.state.Curve); n > 0 {
		result.Valid, result.Test = r.state.Curve[n-1].ValidAccuracy, r.state.Curve[n-1].TestAccuracy
	}
	return result, nil
}

// saveInTime makes a checkpoint when it is due.
func (r *run) saveInTime(epochEnded bool) error {
	if r.Every == 0 && epochEnded || r.Every > 0 && time.Since(r.saved) >= r.Every {
		return r.save()
	}
	return nil
}

func (r *run) save() error {
	if r.Save == nil {
		return nil
	}
	r.state.Network, r.state.Optimiser = r.net.State(), r.opt.State(r.Device)
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(r.state); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	r.saved = time.Now()
	return r.Save(b.Bytes())
}

func (r *run) restore(text []byte) error {
	var s state
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&s); err != nil {
		return fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	if err := r.net.Restore(s.Network); err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	if err := r.opt.Restore(r.Device, s.Optimiser); err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	r.state = s
	return nil
}
