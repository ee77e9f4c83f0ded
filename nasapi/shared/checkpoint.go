package shared

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/policy"
)

// state is all of a training that is not drawn anew from its seed.
type state struct {
	At     data.Position // of the next batch
	Ending int           // 1 + the epoch whose steps are done and whose end is not; 0: none

	Steps     int
	Sum       sums // of the epoch that is under way
	Curve     []Point
	Rankings  []Ranking
	Seconds   float64
	Network   net.State
	Optimiser nn.OptimiserState
	Policy    []byte // policy.Sharer's
}

// sums are totals over the images of all paths.
type sums struct {
	Images, Correct int
	Loss            float64
}

func (s sums) loss() float64     { return s.Loss / float64(max(1, s.Images)) }
func (s sums) accuracy() float64 { return float64(s.Correct) / float64(max(1, s.Images)) }

func (s *sums) add(a policy.Accuracy) {
	s.Images += a.Images
	s.Correct += a.Correct
	s.Loss += float64(a.Loss * float64(a.Images))
}

// saveInTime makes a checkpoint when it is due.
func (t *Trainer) saveInTime(s policy.Sharer, epochEnded bool) error {
	last := epochEnded && len(t.state.Curve) == t.Config.Epochs
	if last || t.Every == 0 && epochEnded || t.Every > 0 && time.Since(t.saved) >= t.Every {
		return t.save(s)
	}
	return nil
}

func (t *Trainer) save(s policy.Sharer) error {
	learnt, err := s.State()
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", t.Job.Policy, err)
	}
	return t.saveWith(learnt)
}

// saveWith makes a checkpoint with a given state of the policy.
func (t *Trainer) saveWith(learnt []byte) error {
	if t.Save == nil {
		return nil
	}
	s := t.state
	s.Network, s.Optimiser, s.Policy = t.net.State(), t.opt.State(t.Device), learnt
	if s.Policy == nil {
		s.Policy = []byte{}
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(s); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	t.saved = time.Now()
	return t.Save(b.Bytes())
}

func (t *Trainer) restore(text []byte) error {
	var s state
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&s); err != nil {
		return fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	if err := t.net.Restore(s.Network); err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	if err := t.opt.Restore(t.Device, s.Optimiser); err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	if s.Policy == nil {
		s.Policy = []byte{} // gob has no empty slices
	}
	s.Network, s.Optimiser = net.State{}, nn.OptimiserState{}
	t.state = s
	return nil
}
