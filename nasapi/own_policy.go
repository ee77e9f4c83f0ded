package nasapi

import (
	"context"
	"errors"
	"fmt"
	"math"

	"evalnas/nasapi/child"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/space"
)

// OwnPolicy is a policy that is none of this program's: a process that is asked and told, or a
// function that was written in a cell. One of the two is given.
type OwnPolicy struct {
	Program *child.Program `json:"program,omitempty"`
	Cell    *CellPolicy    `json:"cell,omitempty"`
}

// CellPolicy is a function in the language of the cells.
type CellPolicy struct {
	Name string `json:"name"` // of the function in Source
	// Source is all that it needs: the values and functions that it used of its notebook,
	// as they were when the search was asked for, and itself.
	Source string     `json:"source"`
	Files  []CellFile `json:"files,omitempty"`
}

// CellFile is what a function uses of a file that its notebook loads.
type CellFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`           // of the whole file
	Values string `json:"values,omitempty"` // what its functions use, run before them
	Source string `json:"source"`           // its functions, each in its line
}

// OwnName is what a policy of one's own is called: never as one of this program's is, whose
// name stands for what it does.
func OwnName(name string) string {
	if _, err := policy.Lookup(name); err == nil {
		return name + " (own)"
	}
	return name
}

// Info describes the configuration's policy.
func (c SearchConfig) Info() (*policy.Info, error) {
	if c.Own == nil {
		return policy.Lookup(c.Policy)
	}
	if err := c.Own.check(c.Policy); err != nil {
		return nil, err
	}
	return policy.Own(c.Policy, "a policy of one's own"), nil
}

func (o *OwnPolicy) check(name string) error {
	switch {
	case (o.Program == nil) == (o.Cell == nil):
		return errors.New("a policy of one's own is a program or a function in a cell: the configuration has neither, or both")
	case name == "" || name != OwnName(name):
		return fmt.Errorf("a policy of one's own cannot be called %q", name)
	case o.Program != nil:
		return o.Program.Check()
	case o.Cell.Name == "" || o.Cell.Source == "":
		return errors.New("the policy of a cell has no name or no source")
	}
	return nil
}

// Homely is a Reporter that knows the folder of the study, from which programs are found.
type Homely interface {
	Study() string
}

// make is the policy that can be run. home is the study's folder.
func (o *OwnPolicy) make(name string, params policy.Config, home string) (policy.Policy, error) {
	params = plainNumbers(params)
	if o.Program != nil {
		if home == "" {
			return nil, fmt.Errorf("%s can only be started by a job or in a notebook, which say where its files are", o.Program)
		}
		return &askedPolicy{name: name, program: o.Program, study: home, params: params}, nil
	}
	if runCell == nil {
		return nil, errors.New("this program has no language of cells, in which the policy is written")
	}
	return cellPolicy{*o.Cell, params}, nil
}

// plainNumbers turns whole floats into integers: a job's file has one number for both.
func plainNumbers(c policy.Config) policy.Config {
	out := policy.Config{}
	for k, v := range c {
		if f, ok := v.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			v = int(f)
		}
		out[k] = v
	}
	return out
}

// CellRunner runs the function of a policy that was written in a cell: it is given the space,
// random numbers, a way to ask for values and the budget, and params as keywords.
type CellRunner func(ctx context.Context, c CellPolicy, params policy.Config, p *policy.Problem) error

// runCell is set by whoever has the language: this package is below it.
var runCell CellRunner

// RegisterCellLanguage makes policies that were written in cells run. It is called once, when
// the program starts.
func RegisterCellLanguage(run CellRunner) { runCell = run }

type cellPolicy struct {
	cell   CellPolicy
	params policy.Config
}

func (c cellPolicy) Search(ctx context.Context, p *policy.Problem) error {
	return runCell(ctx, c.cell, c.params, p)
}

// outsideError says that a policy of one's own gave an architecture that is not in the space.
func outsideError(who string, number int, err error) error {
	if errors.Is(err, space.ErrOutside) {
		return fmt.Errorf("%s answered question %d with an architecture that is not in the space: %w", who, number, err)
	}
	return fmt.Errorf("%s answered question %d with what is no architecture of the space: %w", who, number, err)
}
