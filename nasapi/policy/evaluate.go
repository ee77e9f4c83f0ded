package policy

import (
	"context"
	"fmt"
	"math"

	"evalnas/nasapi/space"
)

// evaluate is how every policy asks for a value: the context is looked at
// before each evaluation, and a value that cannot be compared is refused.
func evaluate(ctx context.Context, p *Problem, a space.Arch) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	v, err := p.Evaluate(a)
	return checked(a, v, err)
}

// evaluateAt is evaluate after so many epochs of training.
func evaluateAt(ctx context.Context, p *Problem, a space.Arch, epochs int) (float64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	v, err := p.EvaluateAt(a, epochs)
	return checked(a, v, err)
}

// checked refuses a value that cannot be compared.
func checked(a space.Arch, v float64, err error) (float64, error) {
	if err != nil {
		return 0, err
	}
	if math.IsNaN(v) {
		return 0, fmt.Errorf("the objective of %s is not a number (NaN); an objective must return a value that can be compared", a)
	}
	return v, nil
}

func (p *Problem) log(event string, values map[string]float64) {
	if p.Log != nil {
		p.Log(event, values)
	}
}

func anySpace(space.Space) error { return nil }
