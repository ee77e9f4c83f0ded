package train

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"evalnas/nasapi/data"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu"
	"evalnas/nasapi/space"
)

func openCPU(t *testing.T, threads int) nn.Device {
	t.Helper()
	dev, err := cpu.New(threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

// smallJob is a network of two cells on 200 synthetic images of 8x8, whose last batch
// of an epoch is a smaller one.
func smallJob(t *testing.T, threads int) Job {
	t.Helper()
	set := syntheticSet(t)
	g, err := space.NamedGenotype("darts_1269")
	if err != nil {
		t.Fatal(err)
	}
	cfg := DARTS(set)
	cfg.Epochs, cfg.Batch, cfg.EvalBatch = 2, 50, 33
	cfg.Channels, cfg.Cells, cfg.Auxiliary = 4, 2, false
	cfg.Augment.Pad, cfg.Augment.Cutout, cfg.DropPath = 1, 2, 0.3
	cfg.Seed = 7
	return Job{Device: openCPU(t, threads), Arch: g, Data: set, Config: cfg}
}

// outcome is a result without its times.
func outcome(t *testing.T, r *Result) string {
	t.Helper()
	c := *r
	c.Seconds, c.Curve = 0, append([]Point(nil), r.Curve...)
	for i := range c.Curve {
		c.Curve[i].Seconds = 0
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustRun(t *testing.T, job Job) *Result {
	t.Helper()
	r, err := Run(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResultsDoNotDependOnThreadsOrInterruptions(t *testing.T) {
	want := mustRun(t, smallJob(t, 1))
	if len(want.Curve) != 2 || want.Valid == nil || want.Test == nil || want.Curve[0].TestAccuracy != nil {
		t.Fatalf("the result is %s", outcome(t, want))
	}
	t.Run("threads", func(t *testing.T) {
		if got := outcome(t, mustRun(t, smallJob(t, 3))); got != outcome(t, want) {
			t.Errorf("three threads gave\n%s\none\n%s", got, outcome(t, want))
		}
	})
	t.Run("interrupted in the middle of epochs", func(t *testing.T) {
		var saved []byte
		attempts := 0
		for {
			attempts++
			job := smallJob(t, 2)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			steps := 0
			job.Restore = saved
			job.Save = func(data []byte) error { saved = data; return nil }
			job.Report = func(Progress) {
				if steps++; steps == 3 {
					cancel()
				}
			}
			got, err := Run(ctx, job)
			if errors.Is(err, context.Canceled) && attempts < 10 {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if outcome(t, got) != outcome(t, want) || attempts < 3 {
				t.Errorf("after %d attempts\n%s\nunbroken\n%s", attempts, outcome(t, got), outcome(t, want))
			}
			return
		}
	})
}

func TestTrainingLearns(t *testing.T) {
	job := smallJob(t, 2)
	job.Config.Epochs, job.Config.DropPath, job.Config.Augment.Cutout = 6, 0, 0
	r := mustRun(t, job)
	first, last := r.Curve[0], r.Curve[len(r.Curve)-1]
	if !(last.Loss < first.Loss && last.Accuracy > 0.5) { // chance is 0.25
		t.Errorf("the loss went from %v to %v, the accuracy to %v", first.Loss, last.Loss, last.Accuracy)
	}
}

func TestDivergenceStopsAndNamesTheStep(t *testing.T) {
	job := smallJob(t, 2)
	job.Config.Rate, job.Config.Clip, job.Config.Epochs = 100, 0, 20
	saves := 0
	job.Save = func([]byte) error { saves++; return nil }
	job.Every = 1 // after every step
	_, err := Run(context.Background(), job)
	var diverged *DivergedError
	if !errors.As(err, &diverged) {
		t.Fatalf("a rate of 100 ended with %v", err)
	}
	if steps := (diverged.Epoch-1)*4 + diverged.Step; saves != steps-1 || !strings.Contains(err.Error(), "lower rate") {
		t.Errorf("%v, after %d checkpoints", err, saves)
	}
}

func TestWhatCannotBeTrainedIsRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*Job)
		want   string
	}{
		{func(j *Job) { j.Config.Batch = 1000 }, "a batch of 1000 is larger than the 180 images"},
		{func(j *Job) { j.Config.Channels = 1 }, "number of channels is 1"},
		{func(j *Job) { j.Config.Split = data.Split{ValidN: 500} }, "500"},
		{func(j *Job) { j.Restore = []byte("nonsense") }, "checkpoint cannot be read"},
	} {
		job := smallJob(t, 1)
		c.change(&job)
		if _, err := Run(context.Background(), job); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
