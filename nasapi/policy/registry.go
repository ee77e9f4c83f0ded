package policy

import (
	"fmt"
	"slices"
	"strings"

	"evalnas/nasapi/space"
)

// Info describes one policy: what help shows, what it takes, how it is made.
type Info struct {
	Name    string
	Summary string // one line
	Doc     string // what it does, step by step, and which choices were made
	Source  string // the publication
	Params  []Param
	// Needs returns nil for a space that the policy can search, else an error
	// that says what the space lacks and which spaces have it.
	Needs func(space.Space) error
	// EncodingBaseline says that the policy draws from the space's sequence
	// encoding, which reaches another set of architectures with other
	// probabilities than uniform sampling: its fair random baseline draws from
	// the encoding too (SampleSequence).
	EncodingBaseline bool
	// Shares says whether the policy searches with weights that architectures share:
	// which objectives it takes.
	Shares Sharing

	round func(Config) int    // of Round; nil for 1
	check func(Config) error  // relations between keywords
	build func(Config) Policy // from a completed Config
}

// Sharing says what a policy makes of an objective of shared weights (Problem.Weights).
type Sharing int

const (
	SharesNever Sharing = iota // it takes any objective but that
	SharesMay                  // it takes any objective
	SharesMust                 // it takes no other: it is about the training of the weights
)

// String is never, may or must.
func (s Sharing) String() string {
	if s < SharesNever || s > SharesMust {
		return fmt.Sprintf("Sharing(%d)", int(s))
	}
	return [...]string{"never", "may", "must"}[s]
}

// New makes the policy; cfg is completed first.
func (i *Info) New(cfg Config) (Policy, error) {
	c, err := i.Complete(cfg)
	if err != nil {
		return nil, err
	}
	return i.build(c), nil
}

// Round is how many evaluations are made between two updates of what the policy
// learns, 1 where it learns from each or from none: the evaluations of every
// round cost as much. cfg is complete.
func (i *Info) Round(cfg Config) int {
	if i.round == nil {
		return 1
	}
	return i.round(cfg)
}

// infos is in the order of All: the baseline first.
var infos = []*Info{randomInfo, evolutionInfo, localSearchInfo, enasInfo, naoInfo}

// All returns every policy, the baseline first. The entries must not be
// changed.
func All() []*Info { return slices.Clone(infos) }

// Lookup returns the policy of that name.
func Lookup(name string) (*Info, error) {
	var names []string
	for _, i := range infos {
		if i.Name == name {
			return i, nil
		}
		names = append(names, i.Name)
	}
	return nil, fmt.Errorf("unknown policy %q%s; policies: %s", name, didYouMean(name, names), strings.Join(names, ", "))
}
