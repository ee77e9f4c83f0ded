package shared

import (
	"math"
	"strings"
	"testing"

	"evalnas/nasapi/data"
	"evalnas/nasapi/space"
)

// TestRates: half cosines that begin at the highest rate in the first epoch of each period
// (Loshchilov and Hutter, SGDR, ICLR 2017, equation 5, by epochs).
func TestRates(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-15 {
			t.Errorf("%s: the rate is %v, want %v", what, got, want)
		}
	}
	whole := Config{Epochs: 200, Rate: 0.025, RateMin: 0.001}
	near("the first epoch", whole.rate(0), 0.025)
	near("the middle", whole.rate(100), 0.013)
	for epoch := range 200 {
		near("an epoch", whole.rate(epoch), 0.001+0.5*0.024*(1+math.Cos(math.Pi*float64(epoch)/200)))
	}
	// ENAS: periods of 10, 20, 40 and 80 epochs.
	warm := Config{Epochs: 150, Rate: 0.05, RateMin: 0.0005, Restarts: 10}
	begins := map[int]bool{}
	for _, p := range []struct{ from, length int }{{0, 10}, {10, 20}, {30, 40}, {70, 80}} {
		begins[p.from] = true
		for k := range p.length {
			near("a period", warm.rate(p.from+k), 0.0005+0.5*0.0495*(1+math.Cos(math.Pi*float64(k)/float64(p.length))))
		}
	}
	for epoch := range 150 {
		if highest := warm.rate(epoch) == 0.05; highest != begins[epoch] {
			t.Errorf("epoch %d has the rate %v", epoch+1, warm.rate(epoch))
		}
	}
	near("periods that overflow", Config{Rate: 1, Restarts: math.MaxInt/2 + 1}.rate(3), 1)
}

func TestSavePoints(t *testing.T) {
	for _, c := range []struct {
		epochs, every int
		want          []int
	}{{6, 2, []int{2, 4, 6}}, {5, 2, []int{2, 4, 5}}, {5, 0, []int{5}}, {3, 1, []int{1, 2, 3}}, {2, 9, []int{2}}} {
		var got []int
		for epoch := range c.epochs {
			if (Config{Epochs: c.epochs, SaveEvery: c.every}).savePoint(epoch) {
				got = append(got, epoch+1)
			}
		}
		if !equal(got, c.want) {
			t.Errorf("%d epochs, every %d: ranked after %v, want %v", c.epochs, c.every, got, c.want)
		}
	}
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestDefaults holds the protocols to the table of what was in effect in the reference
// (Yu et al., ICLR 2020, published code; DARTS, ENAS and NAO in their own spaces).
func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		policy       string
		spec         space.Spec
		train, valid int
		batch        int
		rate, min    float64
		decay, clip  float64
	}{
		{"random", seven, 25_000, 25_000, 256, .025, .001, 3e-4, 5},
		{"spos", seven, 25_000, 25_000, 256, .025, .001, 3e-4, 5},
		{"fairnas", seven, 25_000, 25_000, 256, .025, .001, 3e-4, 5},
		{"nao", seven, 45_000, 5_000, 256, .025, .001, 3e-4, 5},
		{"enas", seven, 45_000, 5_000, 160, .05, .0005, 2.5e-4, 5},
		{"darts", seven, 25_000, 25_000, 64, .025, .001, 3e-4, 5},
		{"fbnet", seven, 40_000, 10_000, 64, .1, .001, 3e-4, 5},
		{"darts", space.Spec{Name: "darts", Nodes: 4}, 25_000, 25_000, 64, .025, .001, 3e-4, 5},
		{"enas", space.Spec{Name: "darts", Nodes: 5}, 45_000, 5_000, 160, .05, .0005, 1e-4, 0},
		{"nao", space.Spec{Name: "darts", Nodes: 5}, 45_000, 5_000, 64, .025, .001, 3e-4, 5},
	} {
		got, err := Default(c.policy, spaceOf(t, c.spec), &data.Set{Shape: cifar})
		if err != nil {
			t.Fatal(err)
		}
		train, valid, err := got.Split.Counts(cifar.TrainN)
		if err != nil {
			t.Fatal(err)
		}
		if train != c.train || valid != c.valid || got.Batch != c.batch || got.Rate != c.rate || got.RateMin != c.min || got.Decay != c.decay || got.Clip != c.clip ||
			got.Momentum != 0.9 || got.Augment.Cutout != 0 || got.SkipUntouched {
			t.Errorf("%s in %v: %d and %d images, %+v", c.policy, c.spec, train, valid, got)
		}
		got.Augment.Norm = data.Norm{Scale: 255, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}
		if err := got.Validate(); err != nil {
			t.Error(err)
		}
		if err := got.Fits(cifar); err != nil {
			t.Error(err)
		}
	}
}

var seven = space.Spec{Name: "nasbench101", MaxVertices: 7}

func TestNumbersThatCannotBe(t *testing.T) {
	sp := spaceOf(t, space.Spec{Name: "nasbench101", MaxVertices: 4})
	set := &data.Set{Shape: cifar}
	for want, numbers := range map[string]map[string]any{
		"epochs is 0":                      {"epochs": 0},
		"batch is 1":                       {"batch": 1},
		"pool is 1":                        {"pool": 1},
		"pool is -1":                       {"pool": -1},
		"rate is 0":                        {"rate": 0.0},
		"rate is 101":                      {"rate": 101.0},
		"rate_min is 0.5":                  {"rate_min": 0.5},
		"momentum is 2":                    {"momentum": 2.0},
		"rate is NaN":                      {"rate": math.NaN()},
		"drop_path is +Inf":                {"drop_path": math.Inf(1)},
		"channels":                         {"channels": 1.5},
		"epochs":                           {"epochs": "many"},
		"images is 0":                      {"images": 0},
		"valid is -1":                      {"valid": -1},
		"are not in its 50000":             {"images": 50_000},
		"a batch of 30000":                 {"batch": 30_000},
		"valid_batch is 26000":             {"valid_batch": 26_000},
		"rank_images is 25001":             {"rank_images": 25_001},
		"leaves 0 images":                  {"split": "whole"},
		`did you mean "epochs"`:            {"epocs": 3},
		`give "development", "nasbench"`:   {"split": "half"},
		"epochs is 1073741825; give at":    {"epochs": 1<<30 + 1},
		"fine_tune is -1; give at least 0": {"fine_tune": -1},
	} {
		c, err := Default("spos", sp, set)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = c.Override(numbers, cifar); err == nil {
			err = c.Validate()
		}
		if err == nil {
			err = c.Fits(cifar)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", numbers, err, want)
		}
	}
	c, err := Default("spos", sp, set)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.With("minute", sp, cifar); err == nil || !strings.Contains(err.Error(), `did you mean "minutes"`) {
		t.Errorf("an unknown preset: %v", err)
	}
}
