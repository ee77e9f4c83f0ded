package policy

import (
	"fmt"
	"slices"
	"strings"

	"evalnas/nasapi/space"
)

// Sharing says whether a policy trains weights that architectures share.
type Sharing uint8

const (
	Never Sharing = iota // it only evaluates
	May                  // with an objective of shared weights it trains them
	Must                 // it needs such an objective
)

// String is never, may or must.
func (s Sharing) String() string { return [...]string{"never", "may", "must"}[s] }

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
	// Encoding is what the policy emits where that is not the whole space.
	Encoding *Encoding
	// Shares says whether the objective may, or must, be one of shared weights.
	Shares Sharing
	// Fidelities says that the objective must have values after several numbers of epochs.
	Fidelities bool

	own   bool                // of somebody else: its keywords are its own
	round func(Config) int    // of Round; nil for 1
	check func(Config) error  // relations between keywords
	build func(Config) Policy // from a completed Config
}

// Own describes a policy that is not this package's: it takes any keywords, as they are, and
// any space, and shares no weights. It cannot be made by New.
func Own(name, summary string) *Info {
	return &Info{Name: name, Summary: summary, Needs: anySpace, own: true}
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
var infos = []*Info{
	randomInfo, evolutionInfo, localSearchInfo, successiveHalvingInfo, reinforceInfo, bananasInfo, enasInfo, naoInfo,
	sposInfo, fairnasInfo, dartsInfo, fbnetInfo,
}

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
