package commands

import (
	"fmt"

	lib "go.starlark.net/starlark"

	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

// accountValue counts what look-ups of a table stand for. Unlike other values it changes:
// with each query.
type accountValue struct {
	immutable
	unhashable
	account *table.Account
	table   *tableValue
}

var _ lib.HasAttrs = (*accountValue)(nil)

var accountAttrs = attrTable[*accountValue]{
	{"query", "`.query(architecture, epochs=None, repeat=\"drawn\", halfway=False)` answers as the table does, and charges the training: one repeat, or all of `\"mean\"`. What is outside the table is refused and costs nothing", (*accountValue).queryMethod},
	{"queries", "how many look-ups were answered", func(a *accountValue) (lib.Value, error) { return lib.MakeInt(a.account.Spent().Queries), nil }},
	{"seconds", "seconds of training that they stand for, None where the table has no times", func(a *accountValue) (lib.Value, error) {
		if !a.timed() {
			return lib.None, nil
		}
		return lib.Float(a.account.Spent().Seconds), nil
	}},
	{"epochs", "epochs of training that they stand for, half of them for values halfway", func(a *accountValue) (lib.Value, error) { return lib.MakeInt(a.account.Spent().Epochs), nil }},
	{"reset", "`.reset()` sets the counters to zero; the repeats are drawn on", (*accountValue).resetMethod},
	{"seed", "what draws the repeats", func(a *accountValue) (lib.Value, error) { return lib.MakeInt64(a.account.Seed()), nil }},
	{"table", "the table that it asks", func(a *accountValue) (lib.Value, error) { return a.table, nil }},
}

// timed says whether the table knows its times.
func (a *accountValue) timed() bool {
	t := a.table.table
	if t.Space().Len() == 0 {
		return false
	}
	first := t.Metrics()[0]
	cost, err := t.Cost(first, t.Space().At(0))
	return err == nil && cost.Timed
}

func (a *accountValue) String() string {
	s := a.account.Spent()
	text := fmt.Sprintf("account of %s: %s queries", a.table, count(s.Queries))
	if a.timed() {
		text += fmt.Sprintf(", %s s of training", count(int64(s.Seconds)))
	}
	return text + fmt.Sprintf(", %s epochs", count(s.Epochs))
}

func (a *accountValue) Type() string                        { return "account" }
func (a *accountValue) Attr(name string) (lib.Value, error) { return accountAttrs.get(a, name) }
func (a *accountValue) AttrNames() []string                 { return accountAttrs.names() }
func (a *accountValue) AttrDoc(name string) string          { return accountAttrs.doc(name) }
func (a *accountValue) Doc() string {
	return "The budget counters of a table's look-ups.\n\n" + accountAttrs.list()
}

func (a *accountValue) queryMethod() (lib.Value, error) {
	return method("query", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var what lib.Value
		g := training{repeat: lib.String("drawn")}
		if err := lib.UnpackArgs("query", args, kwargs, "architecture", &what, "epochs?", &g.epochs, "repeat?", &g.repeat, "halfway?", &g.halfway); err != nil {
			return nil, err
		}
		if a.table.table.Repeats() == 1 && g.repeat == lib.String("drawn") {
			g.repeat = lib.None // there is nothing to draw from
		}
		q, err := g.query("")
		if err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
		answer, err := eachAnswer(a.table.table, what, func(arch space.Arch) (table.Look, error) { return a.account.Query(arch, q) })
		if err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
		return answer, nil
	})
}

func (a *accountValue) resetMethod() (lib.Value, error) {
	return method("reset", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		if err := lib.UnpackArgs("reset", args, kwargs); err != nil {
			return nil, err
		}
		a.account.Reset()
		return lib.None, nil
	})
}
