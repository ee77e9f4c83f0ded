package nasapi

import (
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/train"
	"evalnas/nasapi/trainer"
)

type fakeReporter struct{}

func (fakeReporter) Progress(int, int, map[string]any) {}
func (fakeReporter) Event(string, any) error           { return nil }

// A program that goes on says the epoch of its checkpoint again; what a killed job did not hear and
// nobody says again is noted.
func TestEpochsOfResumedTrainers(t *testing.T) {
	for name, c := range map[string]struct {
		heard, said, want int // epochs before, the first one that is said, points in the end
		missed            string
	}{
		"goes on":     {heard: 2, said: 3, want: 3},
		"said again":  {heard: 2, said: 2, want: 2},
		"not heard":   {heard: 1, said: 2, want: 2},
		"begun again": {heard: 2, said: 1, want: 1},
		"missed":      {heard: 1, said: 3, want: 2, missed: "no epochs 2 to 2"},
	} {
		t.Run(name, func(t *testing.T) {
			x := &external{report: fakeReporter{}, cfg: TrainingConfig{Trainer: &TrainerConfig{}}, values: map[string]any{}}
			for e := range c.heard {
				x.add(train.Point{Epoch: e + 1, Seconds: 1000 * float64(e+1)})
			}
			x.started(true)
			x.began = time.Now().Add(-5 * time.Second) // to start took it so long
			if err := x.epoch(trainer.Epoch{Epoch: c.said}); err != nil {
				t.Fatal(err)
			}
			r := x.result(&trainer.Result{}, nil)
			last := r.Curve[len(r.Curve)-1]
			if len(r.Curve) != c.want || last.Epoch != c.said {
				t.Errorf("the curve is %v", r.Curve)
			}
			if c.said <= c.heard && last.Seconds != 1000*float64(c.said) || c.said > c.heard && (last.Seconds < 1000*float64(c.heard)+5 || last.Seconds > 1000*float64(c.heard)+100) {
				t.Errorf("epoch %d ended after %v s", c.said, last.Seconds)
			}
			if notes := strings.Join(r.Notes, ""); !strings.Contains(notes, c.missed) || (notes == "") != (c.missed == "") {
				t.Errorf("the notes are %q", notes)
			}
		})
	}
}
