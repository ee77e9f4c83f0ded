package shared

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"testing"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/space"
)

func someState() state {
	return state{
		At: data.Position{Epoch: 3, Batch: 4}, Ending: 2, Steps: 9, Sum: sums{1, 2, 3.5}, Curve: []Point{{Epoch: 1, Rate: .1}},
		Rankings:  []Ranking{{Epoch: 1, Pool: FixedPool, Accuracy: []float64{1, 2}}},
		Network:   net.State{Params: [][]float32{{1, 2.5, -3}, {4}}, Norms: []net.NormState{{}}},
		Optimiser: nn.OptimiserState{Steps: 9, Slots: [][][]float32{{{5, 6, 7}}, nil}, Trained: []bool{true, false}},
		Policy:    []byte("learnt"),
	}
}

func TestStateIsRead(t *testing.T) {
	want := someState()
	text, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeState(text)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngave %+v\nwant %+v", err, got, want)
	}
	var first bytes.Buffer // the first version's form
	if err := gob.NewEncoder(&first).Encode(want); err != nil {
		t.Fatal(err)
	}
	if got, err := decodeState(first.Bytes()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the first version: %v\ngave %+v\nwant %+v", err, got, want)
	}
	for n := range text {
		if _, err := decodeState(text[:n]); err == nil {
			t.Errorf("%d of %d bytes are a state", n, len(text))
		}
	}
	if _, err := decodeState(append(text, 0)); err == nil {
		t.Error("a state with more behind it is one")
	}
}

// TestCheckpointsTakeLittle: after a slow one the next comes later than Every.
func TestCheckpointsTakeLittle(t *testing.T) {
	job := small(t, "spos", spaceOf(t, space.Spec{Name: "nasbench101", MaxVertices: 4}))
	job.Config.Epochs, job.Config.Pool, job.Every = 40, 0, time.Millisecond
	var spent time.Duration
	saves := 0
	const slow = 10 * time.Millisecond
	job.Save = func([]byte) error {
		time.Sleep(slow)
		saves++
		spent += slow
		return nil
	}
	began := time.Now()
	mustTrain(t, job, &walker{space: job.Space, seed: 3, stop: func(policy.Moment) {}})
	took := time.Since(began)
	// The one at the end comes whatever it costs.
	if most := time.Duration(saveShare*float64(took)) + 2*slow; saves < 2 || spent > most {
		t.Errorf("%d checkpoints took %v of %v", saves, spent, took)
	}
}
