package train

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"evalnas/nasapi/data"
	"evalnas/nasapi/nn"
)

func syntheticSet(t *testing.T) *data.Set {
	t.Helper()
	set, err := data.Synthetic(data.SyntheticSpec{Seed: 1, TrainN: 200, TestN: 40, H: 8, W: 8, C: 3, Classes: 4})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestProtocolsAreValidAndSurviveJSON(t *testing.T) {
	for _, cfg := range []Config{DARTS(syntheticSet(t)), NASBench(syntheticSet(t))} {
		if err := cfg.Validate(); err != nil {
			t.Error(err)
		}
		text, err := json.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var back Config
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, cfg) {
			t.Errorf("%s became %+v, %v", text, back, err)
		}
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Optimiser = "lion" }, `no optimiser is called "lion"; give one of adam, rmsprop, rmsprop_tf, sgd`},
		{func(c *Config) { c.Epochs = 0 }, "epochs is 0; give at least 1"},
		{func(c *Config) { c.Batch = -1 }, "batch is -1"},
		{func(c *Config) { c.Rate = 0 }, "rate is 0"},
		{func(c *Config) { c.Rate = math.NaN() }, "rate is NaN"},
		{func(c *Config) { c.RateMin = 1 }, "rate_min is 1"},
		{func(c *Config) { c.DropPath = 1 }, "drop_path is 1"},
		{func(c *Config) { c.Momentum = -0.5 }, "momentum is -0.5"},
	} {
		cfg := DARTS(syntheticSet(t))
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// The rates and drop path probabilities of the published protocol (reference: cosine
// to 0 over 600 epochs, stepped after each; drop path 0.2*epoch/600).
func TestSchedules(t *testing.T) {
	cfg := DARTS(syntheticSet(t))
	for _, c := range []struct {
		epoch      int
		rate, drop float64
	}{{0, 0.025, 0}, {150, 0.025 * (1 + math.Sqrt2/2) / 2, 0.05}, {300, 0.0125, 0.1}, {450, 0.025 * (1 - math.Sqrt2/2) / 2, 0.15}} {
		if got := cfg.rate(c.epoch, 17, 500); math.Abs(got-c.rate) > 1e-15 {
			t.Errorf("rate of epoch %d is %v, want %v", c.epoch, got, c.rate)
		}
		if got := cfg.dropPath(c.epoch); math.Abs(got-c.drop) > 1e-15 {
			t.Errorf("drop path of epoch %d is %v, want %v", c.epoch, got, c.drop)
		}
	}
	steps := NASBench(syntheticSet(t))
	if got := steps.rate(54, 0, 156); math.Abs(got-0.1) > 1e-15 {
		t.Errorf("half way the NASBench rate is %v, want 0.1", got)
	}
	if a, b := steps.rate(0, 0, 156), steps.rate(0, 1, 156); !(a == 0.2 && b < a) {
		t.Errorf("NASBench rates begin %v, %v", a, b)
	}
}

func TestOptimisersOfTheProtocols(t *testing.T) {
	sgd, tf := DARTS(syntheticSet(t)).optimiser(nil), NASBench(syntheticSet(t)).optimiser(nil)
	if sgd.Rule != nn.SGD || sgd.Momentum != 0.9 || sgd.Decay != 3e-4 || sgd.ClipNorm != 5 || sgd.MeanSquare0 != 0 {
		t.Errorf("DARTS steps by %+v", sgd)
	}
	if tf.Rule != nn.RMSPropTF || tf.Alpha != 0.9 || tf.Eps != 1 || tf.MeanSquare0 != 1 || tf.ClipNorm != 0 {
		t.Errorf("NASBench steps by %+v", tf)
	}
}
