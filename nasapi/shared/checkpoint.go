package shared

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
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

// saveShare is what share of the time checkpoints may take: those of large supernets take
// seconds, and then come less often than Job.Every.
const saveShare = 0.05

// saveInTime makes a checkpoint when it is due.
func (t *Trainer) saveInTime(s policy.Sharer, epochEnded bool) error {
	last := epochEnded && len(t.state.Curve) == t.Config.Epochs
	if last || t.Every == 0 && epochEnded || t.Every > 0 && time.Since(t.saved) >= t.wait() {
		return t.save(s)
	}
	return nil
}

// wait is the time from one checkpoint to the next.
func (t *Trainer) wait() time.Duration {
	return max(t.Every, time.Duration(float64(t.saving)*(1-saveShare)/saveShare))
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
	began := time.Now()
	s := t.state
	s.Network, s.Optimiser, s.Policy = t.net.State(), t.opt.State(t.Device), learnt
	if s.Policy == nil {
		s.Policy = []byte{}
	}
	// Fine-tuning may have stepped what no step of the training has.
	for i, trained := range s.Optimiser.Trained {
		if !trained {
			s.Optimiser.Slots[i] = nil
		}
	}
	text, err := s.encode()
	if err == nil {
		err = t.Save(text)
	}
	t.saved = time.Now()
	t.saving = t.saved.Sub(began)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

func (t *Trainer) restore(text []byte) error {
	s, err := decodeState(text)
	if err != nil {
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

// A checkpoint is this line, the length of the next part as eight little-endian bytes, a
// head as gob, and the numbers of the weights and of their slots as little-endian float32s:
// gob takes ten times as long for those. One without the line is the first version, a
// state as gob.
const stateHead = "shared weights 2\n"

// head is a state without its numbers.
type head struct {
	State state
	// Params are the lengths of State.Network.Params; Slots say how many arrays of that
	// length each has in State.Optimiser.
	Params, Slots []int
}

func (s state) encode() ([]byte, error) {
	params, slots := s.Network.Params, s.Optimiser.Slots
	h := head{State: s}
	h.State.Network.Params, h.State.Optimiser.Slots = nil, nil
	size := 0
	for i, values := range params {
		h.Params, h.Slots = append(h.Params, len(values)), append(h.Slots, len(slots[i]))
		size += 4 * len(values) * (1 + len(slots[i]))
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(h); err != nil {
		return nil, err
	}
	text := make([]byte, 0, len(stateHead)+8+b.Len()+size)
	text = append(text, stateHead...)
	text = binary.LittleEndian.AppendUint64(text, uint64(b.Len()))
	text = append(text, b.Bytes()...)
	for i, values := range params {
		text = appendFloats(text, values)
		for _, slot := range slots[i] {
			text = appendFloats(text, slot)
		}
	}
	return text, nil
}

func appendFloats(text []byte, values []float32) []byte {
	for _, v := range values {
		text = binary.LittleEndian.AppendUint32(text, math.Float32bits(v))
	}
	return text
}

func decodeState(text []byte) (state, error) {
	rest, ok := bytes.CutPrefix(text, []byte(stateHead))
	if !ok {
		var s state
		return s, gob.NewDecoder(bytes.NewReader(text)).Decode(&s)
	}
	if len(rest) < 8 || binary.LittleEndian.Uint64(rest) > uint64(len(rest)-8) {
		return state{}, errors.New("it ends in its head")
	}
	n := binary.LittleEndian.Uint64(rest)
	var h head
	if err := gob.NewDecoder(bytes.NewReader(rest[8 : 8+n])).Decode(&h); err != nil {
		return state{}, err
	}
	if len(h.Params) != len(h.Slots) {
		return state{}, fmt.Errorf("it has %d weights and the slots of %d", len(h.Params), len(h.Slots))
	}
	return h.fill(rest[8+n:])
}

// fill gives a state its numbers back.
func (h head) fill(numbers []byte) (state, error) {
	take := func(n int) ([]float32, error) {
		if n < 0 || n > len(numbers)/4 {
			return nil, fmt.Errorf("it ends %d bytes before the end of an array of %d numbers", 4*n-len(numbers), n)
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(numbers[4*i:]))
		}
		numbers = numbers[4*n:]
		return values, nil
	}
	s := h.State
	for i, n := range h.Params {
		values, err := take(n)
		if err != nil {
			return s, err
		}
		s.Network.Params = append(s.Network.Params, values)
		var slots [][]float32
		for range h.Slots[i] {
			if values, err = take(n); err != nil {
				return s, err
			}
			slots = append(slots, values)
		}
		s.Optimiser.Slots = append(s.Optimiser.Slots, slots)
	}
	if len(numbers) > 0 {
		return s, fmt.Errorf("it goes on for %d bytes after its last number", len(numbers))
	}
	return s, nil
}
