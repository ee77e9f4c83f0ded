package policy

import (
	"cmp"
	"context"
	"errors"
	"math/big"
	"slices"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

var successiveHalvingInfo = &Info{
	Name:    "successive_halving",
	Summary: "many draws trained for few epochs, the best of them for more, and so on",
	Doc: `Needs an objective with values after several numbers of epochs (the rungs), such as
the full file of NASBench-101 with its 4, 12, 36 and 108. A bracket begins with
uniform draws, distinct ones as far as the space has so many, and evaluates each
after the epochs of the lowest rung. The best of them, one in eta (rounded down, at
least one; of equals those drawn first), are evaluated on the next rung, until the
highest. Then another bracket begins with fresh draws, until the budget is spent.
Values of different rungs are never compared: the incumbent is the best of those on
the highest rung that was reached.

What it costs: an evaluation on any rung is one look-up of budget=, and seconds= of
that rung's whole training. NASBench-101 trained each number of epochs from scratch
with a learning rate schedule of its own, so no training goes on from a lower rung and
none is charged in part. A budget of look-ups therefore counts cheap evaluations as
dear ones: compare with other policies at equal seconds.

hyperband=True takes the brackets of Hyperband in turn: with R rungs, bracket s = R-1,
..., 0 begins on rung R-1-s with ceil(R / (s + 1) eta^s) draws, so that the last one is
random search on the highest rung; arms is not used then. The sizes are those of the
paper if each rung has eta times the epochs of the one below.`,
	Source: "Jamieson, Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016; brackets of Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, Hyperband, JMLR 2018",
	Params: []Param{
		{Name: "arms", Default: 27, Min: 1, Max: 1e6, Doc: "draws that a bracket begins with; 27 leave one after three cuts to a third"},
		{Name: "eta", Default: 3, Min: 2, Max: 1e3, Doc: "of how many one goes on to the next rung"},
		{Name: "hyperband", Default: false, Doc: "brackets that begin on each rung in turn"},
	},
	Needs:      anySpace,
	Fidelities: true,
	build: func(c Config) Policy {
		return successiveHalving{arms: c.integer("arms"), eta: c.integer("eta"), hyperband: c.truth("hyperband")}
	},
}

type successiveHalving struct {
	arms, eta int
	hyperband bool
}

// bracket is how many draws begin on which rung.
type bracket struct{ arms, rung int }

func (h successiveHalving) Search(ctx context.Context, p *Problem) error {
	rungs := len(p.Fidelities)
	if rungs < 2 {
		return errors.New("successive_halving: the objective has values after one number of epochs only; it needs several, as the full file of NASBench-101 has")
	}
	draws := p.Rand("successive_halving", "draw")
	brackets := h.brackets(rungs)
	for i := 0; ; i = (i + 1) % len(brackets) {
		if err := h.run(ctx, p, brackets[i], draws); err != nil {
			return err
		}
	}
}

func (h successiveHalving) brackets(rungs int) []bracket {
	if !h.hyperband {
		return []bracket{{h.arms, 0}}
	}
	var list []bracket
	power := 1 // eta^s
	for s := range rungs {
		arms := min((rungs*power+s)/(s+1), maxArms)
		list = append(list, bracket{arms, rungs - 1 - s})
		power = min(power*h.eta, maxArms)
	}
	slices.Reverse(list)
	return list
}

// maxArms keeps the products of sizes small.
const maxArms = 1_000_000_000

func (h successiveHalving) run(ctx context.Context, p *Problem, b bracket, draws *rng.Stream) error {
	// Draws are made as they are evaluated: there may be far more arms than budget.
	fresh := newDeck(p.Space, b.arms)
	var alive []member
	for rung := b.rung; rung < len(p.Fidelities); rung++ {
		epochs, n := p.Fidelities[rung], len(alive)
		if rung == b.rung {
			n = b.arms
		}
		next := alive[:0:0]
		for i := range n {
			m := member{}
			if rung > b.rung {
				m = alive[i]
			} else if m.arch = fresh.draw(draws); m.arch == nil {
				break
			}
			var err error
			if m.value, err = evaluateAt(ctx, p, m.arch, epochs); err != nil {
				return err
			}
			next = append(next, m)
		}
		slices.SortStableFunc(next, func(a, b member) int { return cmp.Compare(b.value, a.value) })
		p.log("rung", map[string]float64{"epochs": float64(epochs), "evaluated": float64(len(next)), "best": next[0].value})
		alive = next[:max(1, len(next)/h.eta)]
	}
	return nil
}

// deck draws uniformly without replacement, and nothing once a space that small is
// drawn whole.
type deck struct {
	space space.Space
	left  int64
	seen  map[string]bool
}

func newDeck(s space.Space, most int) *deck {
	d := &deck{space: s, left: int64(most), seen: map[string]bool{}}
	if size := s.Size(); size.Cmp(big.NewInt(d.left)) < 0 {
		d.left = size.Int64()
	}
	return d
}

func (d *deck) draw(s *rng.Stream) space.Arch {
	if d.left == 0 {
		return nil
	}
	for {
		a := d.space.Sample(s)
		if h := a.Hash(); !d.seen[h] {
			d.seen[h] = true
			d.left--
			return a
		}
	}
}
