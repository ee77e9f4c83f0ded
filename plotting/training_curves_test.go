package plotting

import (
	"math"
	"strings"
	"testing"
)

func TestTrainingCurves(t *testing.T) {
	fig, err := TrainingCurves(TrainingCurvesData{
		Metric: "validation accuracy, %", Scale: 100, Epochs: 5, Caption: "made up",
		Curves: []Curve{
			{Name: "darts_1268", Epochs: []float64{1, 2, 3}, Values: []float64{0.3, 0.4, 0.45}, Light: []float64{0.28, 0.39, 0.44}, Running: true},
			{Name: "random 7", Epochs: []float64{1}, Values: []float64{0.31}, Random: true},
			{Name: "waiting"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	svg, err := fig.SVG()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"darts_1268", "45.00, epoch 3, running", "31.00, epoch 1", "no epoch has ended", "made up"} {
		if !strings.Contains(string(svg)+fig.Description(), want) {
			t.Errorf("the figure does not say %q", want)
		}
	}
}

func TestTrainingCurvesRefuse(t *testing.T) {
	one := []Curve{{Name: "a", Epochs: []float64{1}, Values: []float64{0.5}}}
	for what, d := range map[string]TrainingCurvesData{
		"no runs":        {Epochs: 3},
		"no epochs":      {Curves: one},
		"an epoch of 9":  {Epochs: 3, Curves: []Curve{{Epochs: []float64{9}, Values: []float64{1}}}},
		"a NaN":          {Epochs: 3, Curves: []Curve{{Epochs: []float64{1}, Values: []float64{math.NaN()}}}},
		"missing values": {Epochs: 3, Curves: []Curve{{Epochs: []float64{1, 2}, Values: []float64{1}}}},
		"falling epochs": {Epochs: 3, Curves: []Curve{{Epochs: []float64{2, 1}, Values: []float64{1, 1}}}},
	} {
		if _, err := TrainingCurves(d); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
