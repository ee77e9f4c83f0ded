package commands

import (
	"fmt"
	"strings"
	"time"

	lib "go.starlark.net/starlark"

	"evalnas/kernel"
	"evalnas/kernel/starlark"
	"evalnas/nasapi"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

// tableValue is a tabular benchmark in a cell.
type tableValue struct {
	immutable
	unhashable
	table table.Table
	env   *Env
}

var _ lib.HasAttrs = (*tableValue)(nil)

func (e *Env) newTableValue(t table.Table) *tableValue {
	return &tableValue{unhashable: unhashable{"table"}, table: t, env: e}
}

func (t *tableValue) String() string { return t.table.String() }
func (t *tableValue) Type() string   { return "table" }
func (t *tableValue) Len() int       { return t.table.Space().Len() }

var tableAttrs = attrTable[*tableValue]{
	{"metric", "`.metric(\"test\", epochs=None, repeat=None, halfway=False)` is one column, as an objective of a search or the final evaluation of a comparison; None: the most epochs, the mean of the repeats", (*tableValue).metricMethod},
	{"query", "`.query(architecture, epochs=None, repeat=None, halfway=False, seed=0)` answers under every metric of one training; `repeat` is 0, 1, ..., `\"mean\"` or `\"drawn\"`, which `seed` draws", (*tableValue).queryMethod},
	{"account", "`.account(seed=0)` counts the seconds and epochs of training that look-ups stand for, see its `.query`", (*tableValue).accountMethod},
	{"export", "`.export(\"x.csv\", space=None)` writes a line for each architecture, as .csv, .jsonl or .parquet", (*tableValue).exportMethod},
	{"space", "the space of its architectures", func(t *tableValue) (lib.Value, error) { return newSpaceValue(t.table.Space()), nil }},
	{"metrics", "list of the names of its metrics", func(t *tableValue) (lib.Value, error) {
		return stringList(distinct(t.table, func(m table.Metric) string { return m.Name })), nil
	}},
	{"epochs", "list of the epochs of its trainings", func(t *tableValue) (lib.Value, error) {
		var out []lib.Value
		for _, e := range distinct(t.table, func(m table.Metric) int { return m.Epochs }) {
			out = append(out, lib.MakeInt(e))
		}
		return lib.NewList(out), nil
	}},
	{"repeats", "how often each architecture was trained", func(t *tableValue) (lib.Value, error) { return lib.MakeInt(t.table.Repeats()), nil }},
	{"digest", "SHA-256 of the data", func(t *tableValue) (lib.Value, error) { return lib.String(t.table.Digest()), nil }},
}

// distinct lists what its metrics have, in their order.
func distinct[T comparable](t table.Table, of func(table.Metric) T) (all []T) {
	seen := map[T]bool{}
	for _, m := range t.Metrics() {
		if v := of(m); !seen[v] {
			seen[v] = true
			all = append(all, v)
		}
	}
	return all
}

func (t *tableValue) Attr(name string) (lib.Value, error) { return tableAttrs.get(t, name) }
func (t *tableValue) AttrNames() []string                 { return tableAttrs.names() }
func (t *tableValue) AttrDoc(name string) string          { return tableAttrs.doc(name) }
func (t *tableValue) Doc() string {
	metrics := t.table.Metrics()
	return fmt.Sprintf("%s: %s architectures of %s; %s, %d trainings each.\n\n%s", t.table.Name(), count(t.Len()), t.table.Space(),
		strings.Join(distinct(t.table, func(m table.Metric) string { return m.Name }), ", "), t.table.Repeats(), tableAttrs.list()) +
		fmt.Sprintf("\nIts first metric is %s.\n", metrics[0])
}

// training are the arguments that name a training of a table.
type training struct {
	epochs, repeat lib.Value
	halfway        bool
}

// query reads them.
func (g training) query(name string) (q table.Query, err error) {
	q = table.Query{Name: name, Halfway: g.halfway}
	if g.epochs != nil && g.epochs != lib.None {
		if err := lib.AsInt(g.epochs, &q.Epochs); err != nil || q.Epochs < 1 {
			return q, starlark.Named("TypeError", fmt.Errorf("epochs is %s: give a whole number of epochs, or None for the most", g.epochs))
		}
	}
	if g.repeat == nil || g.repeat == lib.None {
		return q, nil
	}
	repeat := 0
	switch text, ok := lib.AsString(g.repeat); {
	case ok && text == "mean":
		repeat = table.RepeatMean
	case ok && text == "drawn":
		repeat = table.RepeatDrawn
	case ok || lib.AsInt(g.repeat, &repeat) != nil || repeat < 0:
		return q, starlark.Named("ValueError", fmt.Errorf(`repeat is %s: give 0 for the first, "mean" for the mean of all, or "drawn" for one that chance draws`, g.repeat))
	}
	q.Repeat = &repeat
	return q, nil
}

func (t *tableValue) metricMethod() (lib.Value, error) {
	return method("metric", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var name string
		var g training
		if err := lib.UnpackArgs("metric", args, kwargs, "name", &name, "epochs?", &g.epochs, "repeat?", &g.repeat, "halfway?", &g.halfway); err != nil {
			return nil, err
		}
		q, err := g.query(name)
		if err != nil {
			return nil, fmt.Errorf("metric: %w", err)
		}
		m, err := t.table.Find(q)
		if err != nil {
			return nil, fmt.Errorf("metric: %w", err)
		}
		return &objectiveValue{obj: objective.OfTable(t.table, m)}, nil
	})
}

func (t *tableValue) queryMethod() (lib.Value, error) {
	return method("query", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var what lib.Value
		var g training
		var seed int64
		if err := lib.UnpackArgs("query", args, kwargs, "architecture", &what, "epochs?", &g.epochs, "repeat?", &g.repeat, "halfway?", &g.halfway, "seed?", &seed); err != nil {
			return nil, err
		}
		answer, err := queryTable(t.table, what, g, seed)
		if err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
		return answer, nil
	})
}

// queryTable looks one architecture up, or several; seed draws the repeats where they are
// left to chance.
func queryTable(t table.Table, what lib.Value, g training, seed int64) (lib.Value, error) {
	q, err := g.query("")
	if err != nil {
		return nil, err
	}
	draws := table.Draws(seed)
	return eachAnswer(t, what, func(a space.Arch) (table.Look, error) { return table.LookUp(t, a, q, draws) })
}

// eachAnswer answers for an architecture, a hash, or a list of architectures, all of them or
// none.
func eachAnswer(t table.Table, what lib.Value, look func(space.Arch) (table.Look, error)) (lib.Value, error) {
	answer := func(a *archValue) (*answerValue, error) {
		found, err := look(a.found.Arch)
		if err != nil {
			return nil, err
		}
		return &answerValue{unhashable: unhashable{"answer"}, arch: a, look: found, table: t}, nil
	}
	if hash, ok := lib.AsString(what); ok {
		a, err := archOfHash(t, hash)
		if err != nil {
			return nil, err
		}
		return answer(a)
	}
	archs, err := archsOf(what)
	if err != nil {
		return nil, starlark.Named("TypeError", err)
	}
	if one, ok := what.(*archValue); ok {
		return answer(one)
	}
	for _, a := range archs { // before anything is charged
		if err := t.Space().Contains(a.found.Arch); err != nil {
			return nil, err
		}
	}
	out := &answerList{List: lib.NewList(nil)}
	for _, a := range archs {
		ans, err := answer(a)
		if err != nil {
			return nil, err
		}
		out.answers = append(out.answers, ans)
		if err := out.Append(ans); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// archOfHash finds a cell of NASBench-101.
func archOfHash(t table.Table, hash string) (*archValue, error) {
	s, ok := t.Space().(*space.NASBench)
	if !ok {
		return nil, fmt.Errorf("a hash names cells of nasbench101; give an architecture of %s", t.Space())
	}
	a, err := s.ByHash(hash)
	if err != nil {
		return nil, err
	}
	return newArchValue(nasapi.Found{Arch: a}, s), nil
}

func (t *tableValue) accountMethod() (lib.Value, error) {
	return method("account", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var seed int64
		if err := lib.UnpackArgs("account", args, kwargs, "seed?", &seed); err != nil {
			return nil, err
		}
		return &accountValue{unhashable: unhashable{"account"}, account: table.NewAccount(t.table, seed), table: t}, nil
	})
}

func (t *tableValue) exportMethod() (lib.Value, error) {
	return method("export", func(args lib.Tuple, kwargs []lib.Tuple) (lib.Value, error) {
		var path string
		var over lib.Value
		if err := lib.UnpackArgs("export", args, kwargs, "path", &path, "space??", &over); err != nil {
			return nil, err
		}
		s := t.table.Space()
		if over != nil {
			given, ok := over.(*listedSpace)
			if !ok {
				return nil, starlark.Named("TypeError", fmt.Errorf("export: space is %s: give a space that can be listed, such as nasbench101(max_vertices=5)", over.Type()))
			}
			s = given.finite
		}
		if err := table.Export(t.table, s, t.env.path(path)); err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
		return lib.None, nil
	})
}

func (e *Env) tableCommands() []*starlark.Command {
	return []*starlark.Command{
		{
			Name:   "nasbench101_table",
			Params: []starlark.Param{{Name: "file", Default: lib.None, Type: "str", Doc: "nasbench_only108.tfrecord, nasbench_full.tfrecord, a store that `evalnas nasbench import` wrote, or the first 12 digits of a digest; None: the table inside the program"}},
			Doc: `A table of NASBench-101: the ground truth of its 423,624 cells.

The one inside the program holds the test accuracy (a fraction in 0..1) after 108 epochs of the
first of three training repeats. The data set's own file has all three, validation and training
accuracies, their values halfway, times, and trainings of 4, 12, 36 and 108 epochs; it is imported
once, in seconds, and opened in milliseconds after that.

A search that a test column guides is an *oracle* search: it shows how good an optimiser is, and
nothing about accuracy, and it is watermarked everywhere. Guide by "valid", judge by "test".

    truth = nasbench101_table()
    truth.metric("test")
    full = nasbench101_table("nasbench_full.tfrecord")
    full.metric("valid", epochs=36, repeat="mean")`,
			Run: e.runNASBenchTable,
		},
		{
			Name: "query",
			Params: []starlark.Param{
				{Name: "architecture", Type: "architecture, list of them, or str", Doc: "a cell, a list of cells, or a module hash of 32 hex digits"},
				{Name: "table", Default: lib.None, KeywordOnly: true, Type: "table", Doc: "the table to ask; None: NASBench-101's inside the program"},
				{Name: "epochs", Default: lib.None, KeywordOnly: true, Type: "int", Doc: "of the training; None: the most that the table has"},
				{Name: "repeat", Default: lib.None, KeywordOnly: true, Type: "int or str", Doc: "of the training, 0 is the first; `\"mean\"` of all; `\"drawn\"`: one that the seed draws; None: the mean, or the only one"},
				{Name: "halfway", Default: lib.False, KeywordOnly: true, Type: "bool", Doc: "the values in the middle of the training"},
				{Name: "seed", Default: lib.MakeInt(0), KeywordOnly: true, Type: "int", Doc: "draws the repeats"},
			},
			Doc: `Ask a table for the truth about an architecture: accuracies, rank, ties, percentile, parameters.

The answer names its metrics: of the table inside the program test accuracy, 108 epochs, first
repeat. The rank is 1 + the number of architectures strictly better in the table's whole space,
under the test metric; .valid_rank is the one under the validation metric. A list gives a list
of answers.

    query(space.sample(1268)).test
    query(found.selected)
    query(found.selected, table=full, epochs=108, repeat="mean")`,
			Run: runQuery,
		},
	}
}

func (e *Env) runNASBenchTable(c *starlark.Call) (lib.Value, error) {
	if c.IsNone("file") {
		t, err := table.NASBench101()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return e.newTableValue(t), nil
	}
	file, err := c.String("file")
	if err != nil {
		return nil, err
	}
	progress := &importDisplay{cell: c.Cell, file: file, began: time.Now()}
	t, err := table.OpenFile(c.Ctx, e.path(file), table.ImportOptions{Progress: progress.step})
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	progress.end(t)
	return e.newTableValue(t), nil
}

// importDisplay shows in a cell how far an import is, once it takes a while.
type importDisplay struct {
	cell         *kernel.Cell
	file         string
	began, shown time.Time
}

func (d *importDisplay) step(done, total int64) {
	now := time.Now()
	if now.Sub(d.began) < refresh || now.Sub(d.shown) < refresh {
		return
	}
	d.show(fmt.Sprintf("importing %s: %d %%, %.0f MB of %.0f MB", d.file, 100*done/total, float64(done)/1e6, float64(total)/1e6))
	d.shown = now
}

func (d *importDisplay) show(text string) {
	id := fmt.Sprintf("evalnas-import-%d-%d", d.cell.Count, d.began.UnixNano())
	if d.shown.IsZero() {
		d.cell.Out.Display(kernel.TextBundle(text), id)
		return
	}
	d.cell.Out.UpdateDisplay(kernel.TextBundle(text), id)
}

// end says what was imported, where the import was shown.
func (d *importDisplay) end(t *table.Imported) {
	if d.shown.IsZero() {
		return
	}
	d.show(fmt.Sprintf("imported %s in %.1f s: %s cells; from now on it opens at once", d.file, time.Since(d.began).Seconds(), count(t.Space().Len())))
}

func runQuery(c *starlark.Call) (lib.Value, error) {
	t, err := table.NASBench101()
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if !c.IsNone("table") {
		given, ok := c.Value("table").(*tableValue)
		if !ok {
			return nil, named(c, "TypeError", "table is %s: give a table, such as nasbench101_table()", c.Value("table").Type())
		}
		t = given.table
	}
	g := training{epochs: c.Value("epochs"), repeat: c.Value("repeat")}
	if g.halfway, err = c.Bool("halfway"); err != nil {
		return nil, err
	}
	seed, err := c.Int64("seed")
	if err != nil {
		return nil, err
	}
	answer, err := queryTable(t, c.Value("architecture"), g, seed)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return answer, nil
}
